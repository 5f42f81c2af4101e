/* SPDX-License-Identifier: BSD-3-Clause */
/* sluicectl token new: a token of a gateway's own file. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sl_remote.h"
#include "sl_remote_tokens.h"
#include "sl_secret.h"
#include "sluicectl.h"

#define DAYS 90
#define DAYS_MAX 3650

static int
usage(struct sl_error *e, const char *what)
{
	sl_fail(e, -EINVAL, "usage", "", "%s", what);
	sl_hint(e, "sluicectl token new FILE --role viewer|auditor|approver|operator|admin "
		   "[--days 90; 0: for ever]");
	return EXIT_USAGE;
}

int
token_command(int argc, char **argv, struct sl_error *e)
{
	static const struct option longs[] = {{"role", required_argument, NULL, 'r'},
					      {"days", required_argument, NULL, 'd'},
					      {NULL, 0, NULL, 0}};
	char text[SL_REMOTE_TOKEN_TEXT + 1], *end = NULL;
	enum sl_service_role role = SL_SR_N;
	long days = DAYS;
	int opt, rc;

	if (argc < 2 || strcmp(argv[1], "new") != 0)
		return usage(e, "a token can be made: token new");
	optind = 0;
	while ((opt = getopt_long(argc - 1, argv + 1, "", longs, NULL)) != -1) {
		if (opt == 'r' && sl_remote_role_parse(optarg, &role))
			return usage(e, "no such role");
		else if (opt == 'd')
			days = strtol(optarg, &end, 10);
		else if (opt != 'r')
			return usage(e, "unknown option");
	}
	if (optind != argc - 2)
		return usage(e, "one file of tokens is needed");
	if (role == SL_SR_N)
		return usage(e, "--role is missing");
	if (days < 0 || days > DAYS_MAX || (end && *end))
		return usage(e, "--days is 0 to 3650");
	rc = sl_remote_tokens_make(argv[1 + optind], role,
				   days ? (int64_t)time(NULL) + days * 86400 : 0, text, e);
	if (rc == 0)
		puts(text);
	sl_wipe(text, sizeof(text));
	return rc || fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}
