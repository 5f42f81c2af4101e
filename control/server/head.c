/* SPDX-License-Identifier: BSD-3-Clause */
#include "head.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "sl_secret.h"

size_t
sl_head_len(const char *data, size_t len)
{
	for (size_t i = 0; i + 1 < len; i++) {
		if (data[i] != '\n')
			continue;
		if (data[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && data[i + 1] == '\r' && data[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static size_t
line_len(const char *p, size_t len)
{
	const char *end = memchr(p, '\n', len);

	return end != NULL ? (size_t)(end - p) + 1 : len;
}

int
sl_head_line(const char *head, size_t len, char method[8], char *target, size_t room)
{
	size_t n = line_len(head, len), m, t;
	const char *at, *end;

	at = memchr(head, ' ', n);
	m = at != NULL ? (size_t)(at - head) : 0;
	if (m == 0 || m >= 8)
		return -EINVAL;
	memcpy(method, head, m);
	method[m] = '\0';
	at++;
	end = memchr(at, ' ', n - m - 1);
	if (end == NULL)
		return -EINVAL;
	t = (size_t)(end - at);
	if (t >= room)
		return -E2BIG;
	memcpy(target, at, t);
	target[t] = '\0';
	return memchr(target, '\0', t) == NULL ? 0 : -EINVAL;
}

/** Does this line hold the header? Then its value, trimmed. */
static bool
is_header(const char *p, size_t n, const char *name, const char **value, size_t *value_len)
{
	size_t k = strlen(name);

	if (n <= k || p[k] != ':' || strncasecmp(p, name, k) != 0)
		return false;
	p += k + 1;
	n -= k + 1;
	while (n > 0 && isspace((unsigned char)p[n - 1]))
		n--;
	while (n > 0 && (*p == ' ' || *p == '\t')) {
		p++;
		n--;
	}
	*value = p;
	*value_len = n;
	return true;
}

int
sl_head_get(const char *head, size_t len, const char *name, char *out, size_t room)
{
	size_t at = line_len(head, len), n, value_len = 0;
	const char *value;
	bool found = false;

	for (; at < len; at += n) {
		n = line_len(head + at, len - at);
		if (!is_header(head + at, n, name, &value, &value_len))
			continue;
		if (found)
			return -EEXIST;
		if (value_len >= room || value_len > INT32_MAX)
			return -E2BIG;
		if (memchr(value, '\0', value_len) != NULL)
			return -EINVAL;
		memcpy(out, value, value_len);
		out[value_len] = '\0';
		found = true;
	}
	return found ? (int)strlen(out) : -ENOENT;
}

/* --- form ------------------------------------------------------------------------------------- */

static int
invalid(struct sl_error *e, const char *what)
{
	return sl_fail(e, -EINVAL, "request_invalid", "", "%s", what);
}

static bool
is_token(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)p[i]) && strchr("!#$%&'*+-.^_`|~", p[i]) == NULL)
			return false;
	return n > 0 && memchr(p, '\0', n) == NULL;
}

static size_t
without_end(const char *p, size_t n)
{
	if (n > 0 && p[n - 1] == '\n')
		n--;
	return n > 0 && p[n - 1] == '\r' ? n - 1 : n;
}

static int
check_first(const char *p, size_t n, struct sl_error *e)
{
	static const char *const known[] = {"GET", "PUT", "POST", "PATCH", "DELETE"};
	const char *target = memchr(p, ' ', n), *version;
	size_t m = target != NULL ? (size_t)(target - p) : 0, i;

	version = target != NULL ? memchr(target + 1, ' ', n - m - 1) : NULL;
	if (version == NULL || !is_token(p, m) || version == target + 1)
		return invalid(e, "the first line is not METHOD TARGET HTTP/1.1");
	for (const char *t = target + 1; t < version; t++)
		if (*t <= ' ' || *t >= 0x7f)
			return invalid(e, "the target holds bytes that must be written as %XX");
	version++;
	i = n - (size_t)(version - p);
	if (i < 5 || memcmp(version, "HTTP/", 5) != 0)
		return invalid(e, "the first line is not METHOD TARGET HTTP/1.1");
	if (i != 8 || (memcmp(version, "HTTP/1.1", 8) != 0 && memcmp(version, "HTTP/1.0", 8) != 0))
		return sl_fail(e, -EINVAL, "version_unknown", "", "HTTP/1.1 is spoken here");
	for (i = 0; i < SL_ARRAY_SIZE(known); i++)
		if (strlen(known[i]) == m && memcmp(known[i], p, m) == 0)
			return 0;
	return sl_fail(e, -EINVAL, "method_unknown", "",
		       "GET, PUT, POST, PATCH and DELETE are known");
}

static int
check_header(const char *p, size_t n, struct sl_error *e)
{
	const char *colon = memchr(p, ':', n);

	if (colon == NULL || !is_token(p, (size_t)(colon - p)))
		return invalid(e, "a header is not NAME: VALUE on one line");
	for (const char *v = colon + 1; v < p + n; v++)
		if (((unsigned char)*v < ' ' && *v != '\t') || *v == 0x7f)
			return invalid(e, "a header holds a control character");
	return 0;
}

/** What evhttp would read as a body, and nobody else as another one. */
static int
check_body(const char *head, size_t len, struct sl_error *e)
{
	char text[24], coding[24];
	int n = sl_head_get(head, len, "Content-Length", text, sizeof(text));
	int c = sl_head_get(head, len, "Transfer-Encoding", coding, sizeof(coding));

	if (n != -ENOENT && (n < 1 || strspn(text, "0123456789") != (size_t)n) && n != -E2BIG)
		return invalid(e, "Content-Length is not one number");
	if (c == -ENOENT)
		return 0;
	if (n != -ENOENT)
		return invalid(e, "Content-Length and Transfer-Encoding exclude each other");
	sl_fail(e, -EINVAL, "length_required", "", "a body in pieces is not taken");
	sl_hint(e, "send its Content-Length");
	return -EINVAL;
}

int
sl_head_check(const char *head, size_t len, struct sl_error *e)
{
	size_t n = line_len(head, len), at = n;
	int rc = check_first(head, without_end(head, n), e);

	if (sl_head_len(head, len) == 0)
		return rc;
	for (; rc == 0 && at < len; at += n) {
		n = line_len(head + at, len - at);
		if (without_end(head + at, n) == 0)
			break;
		rc = check_header(head + at, without_end(head + at, n), e);
	}
	return rc == 0 ? check_body(head, len, e) : rc;
}

static int
auth_invalid(struct sl_error *e)
{
	sl_fail(e, -EACCES, "auth_invalid", "",
		"the Authorization header is neither Bearer slt_… nor Basic");
	sl_hint(e,
		"Authorization: Bearer TOKEN, or the token's id and secret as user and password");
	return -EACCES;
}

static int
sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/** @return bytes, or -1 */
static int
base64(const char *s, char *out, size_t room)
{
	size_t len = strlen(s), n = 0;
	uint32_t bits = 0;
	unsigned have = 0;

	while (len > 0 && s[len - 1] == '=')
		len--;
	for (size_t i = 0; i < len; i++) {
		int v = sextet(s[i]);

		if (v < 0)
			return -1;
		bits = bits << 6 | (uint32_t)v;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		if (n + 1 >= room)
			return -1;
		out[n++] = (char)(bits >> have);
	}
	out[n] = '\0';
	return memchr(out, '\0', n) == NULL ? (int)n : -1;
}

int
sl_head_credential(const char *value, char out[SL_CREDENTIAL_MAX], struct sl_error *e)
{
	char pair[SL_CREDENTIAL_MAX] = "";
	char *colon;
	int rc = 0, n;

	if (strncasecmp(value, "Bearer ", 7) == 0) {
		value += 7 + strspn(value + 7, " ");
		if (strlen(value) >= SL_CREDENTIAL_MAX)
			return auth_invalid(e);
		memcpy(out, value, strlen(value) + 1);
		return 0;
	}
	if (strncasecmp(value, "Basic ", 6) != 0)
		return auth_invalid(e);
	value += 6 + strspn(value + 6, " ");
	n = base64(value, pair, sizeof(pair));
	colon = n >= 0 ? strchr(pair, ':') : NULL;
	if (colon != NULL) {
		*colon = '\0';
		n = snprintf(out, SL_CREDENTIAL_MAX, "slt_%s_%s", pair, colon + 1);
	}
	if (colon == NULL || n < 0 || n >= SL_CREDENTIAL_MAX)
		rc = auth_invalid(e);
	sl_wipe(pair, sizeof(pair));
	return rc;
}

int
sl_head_host(const char *value, char *out, size_t room)
{
	size_t n;

	if (value[0] == '[') {
		const char *end = strchr(++value, ']');

		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return -EINVAL;
		n = (size_t)(end - value);
	} else {
		n = strcspn(value, ":");
		if (value[n] == ':' && strchr(value + n + 1, ':') != NULL)
			return -EINVAL;
	}
	if (n > 0 && value[n - 1] == '.')
		n--;
	if (n == 0 || n >= room)
		return -EINVAL;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)value[i];

		if (!isalnum(c) && strchr(".-_:", c) == NULL)
			return -EINVAL;
		out[i] = (char)tolower(c);
	}
	out[n] = '\0';
	return 0;
}

int
sl_head_etag(const char *value, uint64_t *rev, bool *any)
{
	size_t n;

	*any = strcmp(value, "*") == 0;
	*rev = 0;
	if (*any)
		return 0;
	if (strncmp(value, "W/", 2) == 0)
		value += 2;
	n = strlen(value);
	if (n < 3 || n > 20 || value[0] != '"' || value[n - 1] != '"')
		return -EINVAL;
	for (size_t i = 1; i < n - 1; i++) {
		if (!isdigit((unsigned char)value[i]))
			return -EINVAL;
		*rev = *rev * 10 + (uint64_t)(value[i] - '0');
	}
	return 0;
}
