/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of the gateway program: options, the one-instance lock, privileges, the control
 * loop. */
#ifndef SLUICED_H
#define SLUICED_H

#include "sl_assembly.h"

struct sluiced_options {
	const char *config;
	const char *instance;	      /* overrides the file */
	bool interactive;	      /* -i: console */
	bool check;		      /* --check: validate and leave */
	const char *backup, *restore; /* a file: carry that out and leave */
	bool force;		      /* with --restore */
	const char *eal[32];	      /* behind "--" */
	unsigned n_eal;
};

/** @return 0 go on, 1 leave with status 0 (help, version), 2 usage error (told on standard error).
 */
int sluiced_options_parse(int argc, char **argv, struct sluiced_options *o);

/** --backup, --restore: what only this gateway knows, to a file and back. */
int sluiced_keep(const struct sluiced_options *o, struct sl_error *e);

#define SLUICED_LOCK_DIR "/run/sluice"

/**
 * Take the lock of an instance on this host (S2-12). The name alone decides, not what the file
 * says.
 * @param dir SLUICED_LOCK_DIR; made if it is not there
 * @return a descriptor to keep open, or a negative errno: instance_running with the pid that holds
 * it
 */
int sluiced_lock(const char *dir, const char *instance, struct sl_error *e);

/** Before EAL: no core dumps, not traceable, only the capabilities that ports need. */
int sluiced_privileges_limit(struct sl_error *e);
/** Refuse a directory of ours that others may write to; give it to `user`, if given. */
int sluiced_dir_secure(const char *dir, const char *option, const char *user, struct sl_error *e);
/** mkdir -p with mode 0700 for the last part, which only we (or `user`) may write to: what lies
 * there is trusted at the next start. */
int sluiced_dir_make(const char *path, const char *option, const char *user, struct sl_error *e);
/** When everything is open: change to `user` (all threads), if given. */
int sluiced_privileges_drop(const char *user, struct sl_error *e);

/** Run the control loop until a signal or `quit`. */
int sluiced_loop(struct sl_assembly *a, struct sl_config *c, const struct sluiced_options *o,
		 struct sl_error *e);

#endif
