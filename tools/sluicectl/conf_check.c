/* SPDX-License-Identifier: BSD-3-Clause */
/* A file for a stock client as the control plane sent it: wg-quick runs the commands that one
 * names, as root. Only what such a file is for may stand in it. */
#include <ctype.h>

#include "control.h"

static const char *const keys[] = {"PrivateKey",	 "Address",  "MTU",
				   "PublicKey",		 "Endpoint", "AllowedIPs",
				   "PersistentKeepalive"};

static size_t
trimmed(const char *s, size_t n)
{
	while (n > 0 && isspace((unsigned char)s[n - 1]))
		n--;
	return n;
}

/** Letters count as wg-quick takes them, small or large. */
static bool
is(const char *s, size_t n, const char *word)
{
	return strlen(word) == n && strncasecmp(s, word, n) == 0;
}

static bool
is_known(const char *s, size_t n)
{
	const char *equals;

	while (n > 0 && isspace((unsigned char)*s)) {
		s++;
		n--;
	}
	if (n == 0 || *s == '#')
		return true;
	if (*s == '[')
		return is(s, trimmed(s, n), "[Interface]") || is(s, trimmed(s, n), "[Peer]");
	equals = memchr(s, '=', n);
	for (unsigned i = 0; equals && i < SL_ARRAY_SIZE(keys); i++)
		if (is(s, trimmed(s, (size_t)(equals - s)), keys[i]))
			return true;
	return false;
}

int
conf_check(const char *text, struct sl_error *e)
{
	for (unsigned line = 1; *text; line++) {
		size_t n = strcspn(text, "\n");

		if (!is_known(text, n)) {
			sl_fail(e, -EPERM, "config_unsafe", "",
				"line %u of the file that the control plane sent is \"%.*s\"", line,
				(int)SL_MIN(n, (size_t)60), text);
			sl_hint(e, "such a file holds keys, addresses and routes, and no commands: "
				   "is that your control plane, and sluicectl of its version?");
			return -EPERM;
		}
		text += n + (text[n] == '\n');
	}
	return 0;
}
