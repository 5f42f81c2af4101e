/* SPDX-License-Identifier: BSD-3-Clause */
/* From JSON as people write it to JSON. */
#include "doc_int.h"

struct cleaner {
	char *text;
	size_t len, at;
	char last;	 /* what stood before, spaces and comments apart; 0 at first */
	size_t comma_at; /* of `last`, if it is a comma that may be taken away */
	bool comma;
	size_t values;
};

static int
no_end(const struct cleaner *c, size_t from, struct sl_error *e)
{
	unsigned line = 1, column = 1;

	for (size_t i = 0; i < from; i++) {
		column = c->text[i] == '\n' ? 1 : column + 1;
		line += c->text[i] == '\n';
	}
	return sl_fail(e, -EINVAL, "json_syntax", "",
		       "line %u column %u: this comment does not end", line, column);
}

static void
blank(struct cleaner *c, size_t to)
{
	for (; c->at < to; c->at++) {
		if (c->text[c->at] != '\n' && c->text[c->at] != '\r')
			c->text[c->at] = ' ';
	}
}

static int
clean_comment(struct cleaner *c, struct sl_error *e)
{
	size_t end = c->at + 2;

	if (c->text[c->at + 1] == '/') {
		while (end < c->len && c->text[end] != '\n')
			end++;
		blank(c, end);
		return 0;
	}
	while (end + 1 < c->len && (c->text[end] != '*' || c->text[end + 1] != '/'))
		end++;
	if (end + 1 >= c->len)
		return no_end(c, c->at, e);
	blank(c, end + 2);
	return 0;
}

/** Behind the string that begins here; without an end, behind the text. */
static void
skip_string(struct cleaner *c)
{
	for (c->at++; c->at < c->len && c->text[c->at] != '"'; c->at++) {
		if (c->text[c->at] == '\\')
			c->at++;
	}
	c->at = SL_MIN(c->at + 1, c->len);
}

static void
note(struct cleaner *c, char ch)
{
	bool closes = ch == ']' || ch == '}';
	bool follows = c->last != 0 && strchr("[{,:", c->last) == NULL;

	if (closes && c->comma)
		c->text[c->comma_at] = ' ';
	c->comma = ch == ',' && follows;
	c->comma_at = c->at;
	c->values += ch == ',' || ch == '[' || ch == '{';
	c->last = ch;
}

int
sl_policy_doc_clean(char *text, size_t len, struct sl_error *e)
{
	static const char mark[] = "\xef\xbb\xbf"; /* of UTF-8; some editors begin so */
	struct cleaner c = {.text = text, .len = len};
	int rc;

	if (len >= strlen(mark) && memcmp(text, mark, strlen(mark)) == 0)
		blank(&c, strlen(mark));

	while (c.at < len) {
		char ch = text[c.at];

		if (ch == '/' && c.at + 1 < len && strchr("/*", text[c.at + 1]) != NULL &&
		    text[c.at + 1] != '\0') {
			rc = clean_comment(&c, e);
			if (rc < 0)
				return rc;
			continue;
		}
		if (strchr(" \t\r\n", ch) == NULL || ch == '\0')
			note(&c, ch);
		if (ch == '"')
			skip_string(&c);
		else
			c.at++;
	}
	if (c.values >= DOC_VALUES_MAX)
		return sl_fail(e, -EFBIG, "json_too_large", "",
			       "the document has more than %u values", DOC_VALUES_MAX);
	return 0;
}
