/* SPDX-License-Identifier: BSD-3-Clause */
#include "target.h"

static int
invalid(struct sl_error *e, const char *why)
{
	return sl_fail(e, -EINVAL, "uri_invalid", "", "the address of the request has %s", why);
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Decode in place. @return NULL, or what is wrong */
static const char *
decode(char *s, bool plus)
{
	char *to = s;

	for (; *s != '\0'; s++) {
		int hi, lo;

		if (*s != '%') {
			*to++ = plus && *s == '+' ? ' ' : *s;
			continue;
		}
		hi = hex(s[1]);
		lo = hi >= 0 ? hex(s[2]) : -1;
		if (lo < 0)
			return "a % that two hex digits do not follow";
		if ((hi << 4 | lo) < 0x20 || (hi << 4 | lo) == 0x7f)
			return "a control character";
		*to++ = (char)(hi << 4 | lo);
		s += 2;
	}
	*to = '\0';
	return NULL;
}

static int
add_segment(struct sl_target *t, char *s, struct sl_error *e)
{
	const char *why = decode(s, false);

	if (why != NULL)
		return invalid(e, why);
	if (s[0] == '\0')
		return invalid(e, "an empty part");
	if (strcmp(s, ".") == 0 || strcmp(s, "..") == 0)
		return invalid(e, "a part . or ..");
	if (t->n_segs == SL_TARGET_SEGS)
		return invalid(e, "too many parts");
	t->seg[t->n_segs++] = s;
	return 0;
}

static int
add_pair(struct sl_target *t, char *s, struct sl_error *e)
{
	char *value = strchr(s, '=');
	const char *why;

	if (value != NULL)
		*value++ = '\0';
	else
		value = s + strlen(s);
	why = decode(s, true);
	if (why == NULL && *value != '\0')
		why = decode(value, true);
	if (why != NULL)
		return invalid(e, why);
	if (s[0] == '\0')
		return invalid(e, "a parameter without name");
	for (unsigned i = 0; i < t->n_query; i++) {
		if (strcmp(t->query[i].name, s) == 0)
			return invalid(e, "a parameter twice");
	}
	if (t->n_query == SL_TARGET_QUERY)
		return invalid(e, "too many parameters");
	t->query[t->n_query++] = (struct sl_target_pair){s, value};
	return 0;
}

/** Cut at each `sep` and hand the pieces over. */
static int
each(struct sl_target *t, char *s, char sep,
     int (*fn)(struct sl_target *t, char *s, struct sl_error *e), struct sl_error *e)
{
	int rc = 0;

	while (rc == 0 && s != NULL) {
		char *next = strchr(s, sep);

		if (next != NULL)
			*next++ = '\0';
		rc = fn(t, s, e);
		s = next;
	}
	return rc;
}

int
sl_target_parse(const char *text, struct sl_target *out, struct sl_error *e)
{
	size_t len = strnlen(text, SL_TARGET_MAX + 1);
	char *query;
	int rc;

	out->n_segs = 0;
	out->n_query = 0;
	if (len > SL_TARGET_MAX)
		return sl_fail(e, -E2BIG, "uri_too_long", "",
			       "the address of the request is longer than %u bytes", SL_TARGET_MAX);
	if (text[0] != '/')
		return invalid(e, "no slash at its begin");
	for (size_t i = 0; i < len; i++) {
		if (text[i] < 0x21 || text[i] > 0x7e || text[i] == '#')
			return invalid(e, "a byte that must be written as %XX");
	}
	memcpy(out->buf, text, len + 1);
	query = strchr(out->buf, '?');
	if (query != NULL)
		*query++ = '\0';
	rc = out->buf[1] != '\0' ? each(out, out->buf + 1, '/', add_segment, e) : 0;
	if (rc == 0 && query != NULL && *query != '\0')
		rc = each(out, query, '&', add_pair, e);
	return rc;
}
