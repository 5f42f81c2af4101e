/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of sluicectl: the connection, the verbs, help and completion. */
#ifndef SLUICECTL_H
#define SLUICECTL_H

#include "sl_schema.h"

enum exit_code {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,	      /* also: a file of this machine cannot be used; nothing was sent */
	EXIT_NOT_VOUCHED = 3, /* audit verify: whole, but not all of it is vouched for */
	EXIT_UNREACHABLE = 4,
	EXIT_NOT_FOUND = 5,
	EXIT_CONFLICT = 6, /* there already, in use, or not what it was when it was read */
};

/* --- client.c ------------------------------------------------------------------------------- */

struct client; /* one connection */

/** The remote control of a gateway. */
struct remote_conf {
	const char *at;			  /* "HOST:PORT"; NULL: not over TLS */
	const char *ca_file;		  /* NULL: the system's authorities */
	const char *cert_file, *key_file; /* NULL: none */
	const char *token_file;		  /* NULL: none */
};

/**
 * @param socket path of the unix socket; not used when `tcp` or `tls->at` is given
 * @param tcp "HOST:PORT" or NULL
 * @param[out] status exit code where it fails
 * @return NULL with an error
 */
struct client *client_open(const char *socket, const char *tcp, const struct remote_conf *tls,
			   int *status, struct sl_error *e);
void client_close(struct client *c);
/**
 * One request and its answer.
 * @param params borrowed
 * @param[out] result new reference on success
 * @return 0, or an exit code with `e` filled
 */
int client_call(struct client *c, const char *method, json_t *params, json_t **result,
		struct sl_error *e);

/* --- remote.c ------------------------------------------------------------------------------- */

struct remote;
/** Dial, see that it is `at` who answers, log in. @param[out] status exit code where it fails;
 * @return NULL with an error */
struct remote *remote_open(const struct remote_conf *conf, int *status, struct sl_error *e);
void remote_close(struct remote *r); /* NULL allowed */
/** As client_call(). */
int remote_call(struct remote *r, const char *method, json_t *params, json_t **result,
		struct sl_error *e);

/** Say it, with its remedy, on standard error (main.c). */
void tell_error(const struct sl_error *e);

/* --- answer.c ------------------------------------------------------------------------------- */

/** The answer for programs, with its newline; NULL: {}. @return 0, or EXIT_FAILED: it could not be
 * written */
int answer_json(const json_t *v);
/** {reason, message, and where they are known path, hint, retry_after_ms}. @return new reference */
json_t *answer_error(const struct sl_error *e);
/** {"error": ...} instead of an answer, unless one was written. */
void answer_failed(const struct sl_error *e);

/* --- near.c --------------------------------------------------------------------------------- */

/** Commands that begin like words that are none. */
struct near {
	char text[160];
};
/** Note a command if it begins with the first of those words, and has room. */
void near_add(struct near *n, const char *words, const char *first);
/** "no command or WHAT ...", with what was noted, or else where to look, as the remedy.
 * @return -EINVAL with `e` filled */
int near_fail(const struct near *n, int argc, char **argv, const char *what, const char *help,
	      struct sl_error *e);

/* --- verbs.c -------------------------------------------------------------------------------- */

#define VERB_ARGS 3

/** "peer add" and what it stands for. */
struct verb {
	const char *words; /* one or two */
	const char *method;
	const char *args[VERB_ARGS]; /* parameters by position */
	const char *rest;	     /* list parameter that takes what follows; NULL: KEY=VALUE */
	const char *fixed;	     /* KEY=VALUE that it always gives; NULL: none */
	const char *alone;	     /* KEY=VALUE instead of `fixed` when nothing follows */
	const char *then;	     /* method whose result is shown instead */
	const char *syntax, *help;
	bool file; /* the first parameter is what the named file holds; "-": standard input */
	const char *only; /* --ONLY shows that member of the result alone, as it is */
};

extern const struct verb verbs[];
extern const unsigned n_verbs;

/** What a command line asks for. */
struct request {
	const struct sl_schema_method *method;
	const char *then;
	bool file;	  /* its text may be too long for one line */
	bool needs_file;  /* it has no meaning without one */
	const char *only; /* member of the result that is shown alone; NULL: all */
	json_t *params;
};

/** No verb and no method is called so. @return -EINVAL with `e` filled */
int request_unknown(int argc, char **argv, struct sl_error *e);
/** Is it a command or a method of a gateway? */
bool request_knows(int argc, char **argv);
/** How many of argv's words a verb's one or two words match, 0: not this verb. */
int words_match(const char *words, int argc, char **argv);
/** Understand METHOD or a verb with its arguments. @return 0 or -EINVAL with `e` filled */
int request_parse(struct request *r, int argc, char **argv, struct sl_error *e);

/* --- ca.c ----------------------------------------------------------------------------------- */

/** sluicectl ca ...: needs no gateway. @param argv[0] "ca"; @return an exit code */
int ca_command(int argc, char **argv, bool json, struct sl_error *e);

/* --- token.c -------------------------------------------------------------------------------- */

/** sluicectl token ...: needs no gateway. @param argv[0] "token"; @return an exit code */
int token_command(int argc, char **argv, struct sl_error *e);

/* --- audit_cmd.c ---------------------------------------------------------------------------- */

/** sluicectl audit verify FILE...: needs no gateway. @param argv behind these words
 * @return an exit code */
int audit_files_command(int argc, char **argv, bool json, struct sl_error *e);

/** Do these words name a file? Else it is about the control plane's rows, where one is named. */
bool audit_names_files(int argc, char **argv);

/* --- help.c --------------------------------------------------------------------------------- */

void help_all(void);
/** Help about a method or a verb. @return an exit code */
int help_about(int argc, char **argv);

/* --- completion.c --------------------------------------------------------------------------- */

/** A script for bash, on standard output. */
void help_completion(void);

#endif
