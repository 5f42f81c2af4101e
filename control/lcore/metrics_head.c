/* SPDX-License-Identifier: BSD-3-Clause */
/* The head of a scraper's request, as far as it matters (RFC 9112, section 3). */
#include <string.h>

#include "metrics_http.h"

/** Where the empty line lies: headers may end with or without a carriage return. */
static bool
is_whole(const char *head, size_t len)
{
	return memmem(head, len, "\r\n\r\n", 4) != NULL || memmem(head, len, "\n\n", 2) != NULL;
}

static bool
equals(const char *s, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(s, word, len) == 0;
}

static bool
is_method(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (s[i] < 'A' || s[i] > 'Z')
			return false;
	return len > 0;
}

/** METHOD SP TARGET SP HTTP/1.x */
static unsigned
judge_line(const char *line, size_t len)
{
	const char *end = line + len, *target, *version, *query;
	size_t n;

	target = memchr(line, ' ', len);
	if (target == NULL || !is_method(line, (size_t)(target - line)))
		return 400;
	target++;
	version = memchr(target, ' ', (size_t)(end - target));
	if (version == NULL || version == target || target[0] != '/')
		return 400;
	version++;
	if (!equals(version, (size_t)(end - version), "HTTP/1.1") &&
	    !equals(version, (size_t)(end - version), "HTTP/1.0"))
		return 400;
	n = (size_t)(version - 1 - target);
	query = memchr(target, '?', n);
	if (!equals(target, query != NULL ? (size_t)(query - target) : n, "/metrics"))
		return 404;
	return equals(line, (size_t)(target - 1 - line), "GET") ? 200 : 405;
}

unsigned
sl_scrape_judge(const char *head, size_t len)
{
	const char *end = len > 0 ? memchr(head, '\n', len) : NULL;
	size_t line;

	if (len > SL_SCRAPE_HEAD_MAX)
		return 431;
	if (end == NULL || !is_whole(head, len))
		return len == SL_SCRAPE_HEAD_MAX ? 431 : 0;
	line = (size_t)(end - head);
	if (line > 0 && head[line - 1] == '\r')
		line--;
	return judge_line(head, line);
}
