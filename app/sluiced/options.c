/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <rte_version.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"
#include "sluiced.h"

#define DEFAULT_CONFIG "/etc/sluice/sluice.conf"

static const char usage_text[] =
	"Usage: sluiced [-c FILE] [-i] [--instance NAME] [--log-level LEVEL] [-- EAL OPTIONS]\n"
	"       sluiced --check [-c FILE]\n"
	"       sluiced --backup FILE [-c FILE] [--instance NAME]\n"
	"       sluiced --restore FILE [--force] [-c FILE] [--instance NAME]\n"
	"\n"
	"The Sluice WireGuard gateway.\n"
	"\n"
	"  -c, --config FILE    configuration (default " DEFAULT_CONFIG ")\n"
	"  -i, --interactive    console on the terminal (help, TAB completes)\n"
	"      --instance NAME  name of this gateway on the host; several may run under other "
	"names\n"
	"      --check          check the configuration and leave\n"
	"      --backup FILE    keep in a new file what only this gateway knows: modes, logging, "
	"policy,\n"
	"                       members, revocations and key files (never endpoints); it may "
	"run\n"
	"      --restore FILE   put that back; it must not run. Refuses to replace what differs\n"
	"      --force          with --restore: replace it, and take another instance's backup\n"
	"      --log-level L    err, warn, notice, info or debug\n"
	"  -V, --version        versions of sluiced and DPDK\n"
	"  -h, --help           this text\n"
	"\n"
	"SIGTERM and SIGINT end it. Exit status: 0 ended as asked, 1 error, 2 wrong usage.\n";

static int
set_log_level(const char *text)
{
	enum sl_log_level level;

	if (sl_log_level_parse(text, &level)) {
		fprintf(stderr, "sluiced: --log-level %s: use err, warn, notice, info or debug\n",
			text);
		return 2;
	}
	sl_log_set_level(level);
	return 0;
}

int
sluiced_options_parse(int argc, char **argv, struct sluiced_options *o)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"interactive", no_argument, NULL, 'i'},
		{"instance", required_argument, NULL, 'I'},
		{"check", no_argument, NULL, 'C'},
		{"backup", required_argument, NULL, 'B'},
		{"restore", required_argument, NULL, 'R'},
		{"force", no_argument, NULL, 'F'},
		{"log-level", required_argument, NULL, 'L'},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	*o = (struct sluiced_options){.config = DEFAULT_CONFIG};
	while ((opt = getopt_long(argc, argv, "c:iVh", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			o->config = optarg;
			break;
		case 'i':
			o->interactive = true;
			break;
		case 'I':
			o->instance = optarg;
			break;
		case 'C':
			o->check = true;
			break;
		case 'B':
			o->backup = optarg;
			break;
		case 'R':
			o->restore = optarg;
			break;
		case 'F':
			o->force = true;
			break;
		case 'L':
			if (set_log_level(optarg))
				return 2;
			break;
		case 'V':
			printf("sluiced %s, %s\n", SL_VERSION, rte_version());
			return 1;
		case 'h':
			fputs(usage_text, stdout);
			return 1;
		default:
			fputs("Try: sluiced --help\n", stderr);
			return 2;
		}
	}
	if ((o->backup != NULL) + (o->restore != NULL) + o->check > 1 ||
	    (o->force && !o->restore)) {
		fputs("sluiced: one of --backup, --restore and --check; --force is for --restore\n",
		      stderr);
		return 2;
	}
	for (; optind < argc && o->n_eal < SL_ARRAY_SIZE(o->eal) - 1; optind++)
		o->eal[o->n_eal++] = argv[optind];
	if (o->n_eal && argv[argc - (int)o->n_eal - 1][0] != '-') {
		fprintf(stderr, "sluiced: unexpected argument \"%s\"; try: sluiced --help\n",
			o->eal[0]);
		return 2;
	}
	return 0;
}
