/* SPDX-License-Identifier: BSD-3-Clause */
/** @file sluicectl --control URL: the control plane instead of a gateway. */
#ifndef SLUICECTL_CONTROL_H
#define SLUICECTL_CONTROL_H

#include "ops.h"
#include "rest.h"
#include "sluicectl.h"

/** A word or two, and the operation that they stand for. */
struct control_verb {
	const char *words;
	const char *op;
	const char *args[3]; /* fields by position */
	const char *fixed;   /* NAME=VALUE that it always gives */
	const char *syntax, *help;
	bool file; /* the first word is a file whose JSON is the body */
	int (*run)(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
};
extern const struct control_verb control_verbs[];
extern const unsigned n_control_verbs;

/** What a command line asks for. */
struct control_request {
	const struct op *op;
	json_t *path, *query, *body; /* objects of text, of text, of anything */
	char *text;		     /* instead of body, from a file */
	FILE *to;		     /* a good answer goes there as it comes; NULL: kept */
	char if_match[24];	     /* ETag that the change was made of; "": what is there now */
};

/** @return 0 or -EINVAL with `e` filled */
int control_parse(struct control_request *q, const struct op *op, const struct control_verb *v,
		  int argc, char **argv, struct sl_error *e);
/** What a file holds, "-": standard input, into q->text. @return 0 or a negative errno */
int control_read_file(struct control_request *q, const char *path, struct sl_error *e);
void control_request_free(struct control_request *q);
/** Ask, all pages, with the revision where one is wanted. @return 0 or an exit code */
int control_ask(struct rest *r, const struct control_request *q, struct rest_answer *a,
		struct sl_error *e);
const struct op *op_find(const char *id);

/** The whole of it. @return an exit code */
int control_command(const struct rest_conf *conf, int argc, char **argv, bool json,
		    struct sl_error *e);
/** How many of these words are a command, or an operation, of the control plane. */
int control_knows(int argc, char **argv);
void control_help(void);
/** Help about a verb or an operation. @return an exit code */
int control_help_about(int argc, char **argv);

/** An answer, as JSON or for people. @return 0, or EXIT_FAILED: it could not be written */
int control_tell(const struct rest_answer *a, bool json);

/** Refuse a file for a client that holds more than keys, addresses and routes.
 * @return 0; -EPERM config_unsafe */
int conf_check(const char *text, struct sl_error *e);

/* --- newpeer.c, import_cmd.c, migration_cmd.c, double_tunnel.c: commands that do more than ask
 * ---------------------------------- */

int newpeer_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
/** peer config: the files as they are, one after the other. */
int peer_config_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
/** role-map add: the object's name and source are made of the words. */
int role_map_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int import_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
/* evidence_cmd.c */
int would_deny_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int flows_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int suggest_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int replay_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int migration_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int withdraw_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);

int double_tunnel_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
/** audit verify: all rows are read. */
int audit_rows_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
/** audit export: rows as lines of a file. */
int audit_export_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);
int routes_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e);

#endif
