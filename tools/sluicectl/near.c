/* SPDX-License-Identifier: BSD-3-Clause */
/* Words that are no command: which commands begin like them? */
#include <stdio.h>

#include "sluicectl.h"

void
near_add(struct near *n, const char *words, const char *first)
{
	size_t len = strlen(n->text), more = strlen(words) + 2;

	if (first[0] && strncmp(words, first, strlen(first)) == 0 && len + more < sizeof(n->text))
		snprintf(n->text + len, sizeof(n->text) - len, "%s%s", len ? ", " : "", words);
}

int
near_fail(const struct near *n, int argc, char **argv, const char *what, const char *help,
	  struct sl_error *e)
{
	bool two = n->text[0] && argc > 1;

	sl_fail(e, -EINVAL, "command_unknown", "", "no command or %s \"%.40s%s%.40s\"", what,
		argv[0], two ? " " : "", two ? argv[1] : "");
	sl_hint(e, "%s%s", n->text[0] ? "there are: " : "", n->text[0] ? n->text : help);
	return -EINVAL;
}
