/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the commands of sluice-control share. Exit status: 0 done, 1 error, 2 wrong usage. */
#ifndef CONTROL_H
#define CONTROL_H

#include <inttypes.h>
#include <stdio.h>

#include "sl_store.h"
#include "sl_token.h"

#define CONTROL_STATE_DIR "/var/lib/sluice-control"
#define CONTROL_DIR 480
#define CONTROL_PATH 512

/** A word of the command line: its table is in main.c. */
struct control_command {
	const char *name, *line; /* what it does, in a line */
	const char *usage;	 /* all of it, for --help */
	int (*run)(const struct control_command *c, int argc, char **argv);
};

int control_init(const struct control_command *c, int argc, char **argv);
int control_run(const struct control_command *c, int argc, char **argv);
int control_token(const struct control_command *c, int argc, char **argv);
int control_status(const struct control_command *c, int argc, char **argv);
int control_backup(const struct control_command *c, int argc, char **argv);
int control_restore(const struct control_command *c, int argc, char **argv);
int control_promote(const struct control_command *c, int argc, char **argv);
int control_verify(const struct control_command *c, int argc, char **argv);
int control_compact(const struct control_command *c, int argc, char **argv);
int control_export(const struct control_command *c, int argc, char **argv);
int control_audit(const struct control_command *c, int argc, char **argv);
int control_epoch(const struct control_command *c, int argc, char **argv);
extern const char control_init_usage[], control_run_usage[], control_token_usage[],
	control_status_usage[], control_backup_usage[], control_restore_usage[],
	control_promote_usage[], control_verify_usage[], control_compact_usage[],
	control_export_usage[], control_audit_usage[], control_epoch_usage[];

/* --- the state directory (state.c) ------------------------------------------------------------ */

/** Where things are, of --state-dir. */
struct control_paths {
	char dir[CONTROL_DIR];
	char store[CONTROL_PATH];    /* DIR/store.db */
	char pepper[CONTROL_PATH];   /* DIR/pepper */
	char ca[CONTROL_PATH];	     /* DIR/ca: the authority, if it lives here */
	char tls[CONTROL_PATH];	     /* DIR/tls */
	char tls_ca[CONTROL_PATH];   /* DIR/tls/ca.pem: whom we believe */
	char tls_cert[CONTROL_PATH]; /* DIR/tls/control.pem */
	char tls_key[CONTROL_PATH];  /* DIR/tls/control.key */
	char lock[CONTROL_PATH];     /* DIR/lock */
};
/** @param dir NULL: CONTROL_STATE_DIR. @return -ENAMETOOLONG path_too_long */
int control_paths_of(const char *dir, struct control_paths *out, struct sl_error *e);
/** The directory is there, ours, and closed to others. @param make make it where it is not (0700)
 * @return 0; -ENOENT state_missing; -EPERM state_foreign, state_mode; -EIO */
int control_state_check(const struct control_paths *p, bool make, struct sl_error *e);
/** The host's first label, fit for a name. */
void control_node_name(char out[64]);
/** Be the only one: a server, a restore, a promotion. Ends with the process or by close().
 * @return a descriptor; -EBUSY control_running */
int control_lock(const struct control_paths *p, struct sl_error *e);

/* --- for commands ----------------------------------------------------------------------------- */

/** "sluice-control: MESSAGE (at PATH)", remedy in a line of its own. @return 1 */
int control_fail(const struct sl_error *e);
/** Unknown option or too few words. @return 2 */
int control_misuse(const struct control_command *c);
/** The same, and what is wrong. @return 2 */
int control_misuse_of(const struct control_command *c, const char *what, const char *arg);
/** Are there as many words after the options as the command takes? @return 0 or 2, told */
int control_words(const struct control_command *c, int argc, char **argv, int least, int most);
/** Who calls, for records: "uid:0". */
const char *control_actor(char out[32]);
/** Options that commands without values of their own have: --state-dir, --json, --help, and up
 * to two flags that the caller names.
 * @param words what is left: `least` to `most`, then NULL. @return -1 go on, else the exit status
 */
struct control_simple {
	const char *flag_name; /* without --, or NULL; the rest is found out */
	bool flag;
	const char *flag2_name; /* another one */
	bool flag2;
	const char *state_dir;
	bool json;
};
int control_simple_options(const struct control_command *c, int argc, char **argv, int least,
			   int most, struct control_simple *out, char ***words);
/** Check the directory and open its store. NULL: told. */
struct sl_store *control_open(const char *state_dir, enum sl_store_mode mode,
			      struct control_paths *p);
/** "90d", "12h", "30m", "45s". @return 0 or -EINVAL */
int control_duration(const char *text, uint64_t *seconds);
/** https://HOST[:PORT][/]: where people reach a server. */
bool control_is_url(const char *text);
/** Does something take connections there, at any address of that name? Waits 5 s at most for the
 * name, and again for an answer.
 * @return 1 yes; 0 no, or it is no such address; -EIO primary_unknown: it could not be asked */
int control_answers(const char *url, struct sl_error *e);
uint64_t control_wall_ns(void);

#endif
