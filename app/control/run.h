/* SPDX-License-Identifier: BSD-3-Clause */
/** @file sluice-control run: the server. */
#ifndef SL_CONTROL_RUN_H
#define SL_CONTROL_RUN_H

#include "control.h"
#include "sl_addr.h"
#include "sl_repl.h"

#define RUN_SOURCES 8

struct run_options {
	const char *state_dir; /* NULL: the default */
	struct sl_endpoint rest, repl;
	const char *cert, *key, *ca; /* NULL: those of the state directory */
	char name[64];		     /* of this server */
	bool follower;
	struct sl_sub_source source[RUN_SOURCES];
	unsigned n_sources;
	const char *token_file; /* follower: NULL: the certificate is the login */
	const char *allow_cert, *public_url;
	unsigned heartbeat_s;
};

/** @return -1 go on, else the exit status: 0 (help was shown), 2 wrong usage */
int run_options_parse(const struct control_command *c, int argc, char **argv,
		      struct run_options *o);

#endif
