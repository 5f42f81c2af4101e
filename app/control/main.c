/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control: its words. */
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "control.h"
#include "sl_crypto.h"
#include "sl_log.h"

static const struct control_command commands[] = {
	{"init", "make a new control plane, or the data store of a follower", control_init_usage,
	 control_init},
	{"run", "serve: REST for people and programs, replication for gateways and followers",
	 control_run_usage, control_run},
	{"token", "make, list and revoke tokens", control_token_usage, control_token},
	{"status", "where the data store stands and what it holds", control_status_usage,
	 control_status},
	{"backup", "copy the data store to a file while it is in use", control_backup_usage,
	 control_backup},
	{"verify", "is the data store, or a backup, whole?", control_verify_usage, control_verify},
	{"restore", "go back to a backup", control_restore_usage, control_restore},
	{"promote", "make a follower the primary", control_promote_usage, control_promote},
	{"epoch", "let a follower take an epoch that it refuses", control_epoch_usage,
	 control_epoch},
	{"compact", "drop old rows of the log", control_compact_usage, control_compact},
	{"export", "print all objects as lines of JSON", control_export_usage, control_export},
	{"audit", "the audit's public key; is the audit whole?", control_audit_usage,
	 control_audit},
};

static void
log_line(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	fprintf(stderr, "sluice-control: %s: %s\n", topic, text);
}

static void
help(FILE *f)
{
	fputs("Usage: sluice-control COMMAND [OPTIONS]\n"
	      "\n"
	      "The control plane of Sluice: what gateways should do, who may ask for it, and what "
	      "they report.\n"
	      "\n",
	      f);
	for (size_t i = 0; i < SL_ARRAY_SIZE(commands); i++)
		fprintf(f, "  %-9s %s\n", commands[i].name, commands[i].line);
	fputs("\n"
	      "Every command takes\n"
	      "  --state-dir DIR  where its files are (default " CONTROL_STATE_DIR ")\n"
	      "  -h, --help       all about the command\n"
	      "  sluice-control --version\n"
	      "\n"
	      "Exit status: 0 done, 1 error, 2 wrong usage.\n",
	      f);
}

int
main(int argc, char **argv)
{
	const struct rlimit no_core = {0, 0};
	const char *word = argc > 1 ? argv[1] : "";
	static char name[64]; /* as getopt_long() begins its messages */

	umask(077);
	sl_log_set_sink(log_line, NULL);
	setrlimit(RLIMIT_CORE, &no_core);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0) {
		puts("sluice-control " SL_VERSION);
		return 0;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		help(stdout);
		return 0;
	}
	if (sl_crypto_init() < 0) {
		fputs("sluice-control: libsodium cannot start\n", stderr);
		return 1;
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(commands); i++)
		if (strcmp(word, commands[i].name) == 0) {
			snprintf(name, sizeof(name), "sluice-control %s", word);
			argv[1] = name;
			return commands[i].run(&commands[i], argc - 1, argv + 1);
		}
	if (word[0] != '\0')
		fprintf(stderr, "sluice-control: there is no command \"%s\"\n", word);
	help(stderr);
	return 2;
}
