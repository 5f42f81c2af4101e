/* SPDX-License-Identifier: BSD-3-Clause */
/* role-map add: an object whose name and source are made of the words. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"

#define ARGS_MAX 16
#define WORDS 3 /* ROLE MEMBER INTERFACE */

/** "key=value" of the operation. @return malloc'ed, NULL without memory */
static char *
pair_of(const char *key, const char *value)
{
	char *out;

	return value && asprintf(&out, "%s=%s", key, value) >= 0 ? out : NULL;
}

static char *
source_of(const char *reason)
{
	json_t *source = json_pack("{s:s, s:s}", "type", "dynamic", "reason", reason);
	char *text = source ? json_dumps(source, JSON_COMPACT) : NULL,
	     *out = pair_of("source", text);

	free(text);
	json_decref(source);
	return out;
}

static const char *
reason_of(int argc, char **argv)
{
	static const char key[] = "reason=";

	for (int i = WORDS; i < argc; i++)
		if (strncmp(argv[i], key, strlen(key)) == 0 && argv[i][strlen(key)])
			return argv[i] + strlen(key);
	return NULL;
}

/** @return how many of `args` are ours, -1 without memory */
static int
make_args(char **argv, const char *reason, char **args)
{
	static const char *const keys[WORDS] = {"role", "member", "interface"};
	char *name;
	int n = 0;

	if (asprintf(&name, "name=%s:%s", argv[0], argv[1]) < 0)
		return -1;
	args[n++] = name;
	for (int i = 0; i < WORDS; i++)
		args[n++] = pair_of(keys[i], argv[i]);
	args[n++] = source_of(reason);
	for (int i = 0; i < n; i++)
		if (!args[i])
			return -1;
	return n;
}

static int
ask(struct rest *r, int n, char **args, bool json, struct sl_error *e)
{
	struct control_request q = {0};
	struct rest_answer a = {0};
	int rc = control_parse(&q, op_find("createRoleMap"), NULL, n, args, e)
			 ? EXIT_USAGE
			 : control_ask(r, &q, &a, e);

	if (rc == 0)
		rc = control_tell(&a, json);
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

int
role_map_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	const char *reason = reason_of(argc, argv);
	char *args[ARGS_MAX] = {NULL};
	int own, n, rc = EXIT_FAILED;

	if (argc < WORDS || argc > ARGS_MAX - 2 || !reason) {
		sl_fail(e, -EINVAL, "usage", "",
			"role-map add wants ROLE MEMBER INTERFACE reason=TEXT");
		sl_hint(e, "for example: role-map add staff peer:alice wg0 reason=CHG-12 "
			   "expires_at=2027-01-31T17:00:00Z");
		return EXIT_USAGE;
	}
	own = n = make_args(argv, reason, args);
	for (int i = WORDS; n > 0 && i < argc; i++)
		if (strncmp(argv[i], "reason=", 7) != 0)
			args[n++] = argv[i];
	if (n > 0)
		rc = ask(r, n, args, json, e);
	for (int i = 0; i < (own > 0 ? own : WORDS + 2); i++)
		free(args[i]);
	return rc;
}
