/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_uapi.h"

#include <errno.h>
#include <stdlib.h>

#include "request.h"

enum state {
	IDLE, /* the next line names the operation */
	IN_GET,
	IN_SET,
	SKIP, /* refused: read on to the blank line */
	DEAD, /* a request was too large */
};

struct sl_uapi {
	struct sl_uapi_handler h;
	size_t max_request;
	size_t used; /* bytes of this request */
	unsigned line_no;
	enum state state;
	enum sl_uapi_op op;
	int err; /* first error of this request, with its line */
	unsigned err_line;
	const char *why;
	size_t line_len; /* SL_UAPI_LINE_MAX + 1: too long, the rest is thrown away */
	char line[SL_UAPI_LINE_MAX + 1];
	struct sl_uapi_request request;
};

struct sl_uapi *
sl_uapi_new(const struct sl_uapi_handler *handler, size_t max_request)
{
	struct sl_uapi *u = calloc(1, sizeof(*u));

	if (!u)
		return NULL;
	u->h = *handler;
	u->max_request = max_request ? max_request : SL_UAPI_REQUEST_MAX;
	return u;
}

void
sl_uapi_free(struct sl_uapi *u)
{
	if (!u)
		return;
	sl_uapi_request_clear(&u->request);
	sl_wipe(u, sizeof(*u));
	free(u);
}

static void
refuse(struct sl_uapi *u, int err, const char *why)
{
	u->err = err;
	u->err_line = u->line_no;
	u->why = why;
	u->state = SKIP;
	sl_uapi_request_clear(&u->request);
}

/* The blank line, or the end by size: answer, and be ready for the next request. */
static void
finish(struct sl_uapi *u)
{
	if (u->state == IN_SET) {
		int err = sl_uapi_request_end(&u->request);

		if (err)
			refuse(u, err, "out of memory");
	}
	if (u->state == IN_GET)
		u->h.get(u->h.ctx);
	else if (u->state == IN_SET)
		u->h.set(u->h.ctx, &u->request.set);
	else
		u->h.fail(u->h.ctx, u->op, u->err, u->err_line, u->why);
	sl_uapi_request_clear(&u->request);
	u->state = IDLE;
	u->err = 0;
}

static void
operation(struct sl_uapi *u, const char *key, const char *value)
{
	if (strcmp(key, "get") == 0) {
		u->op = SL_UAPI_GET;
		u->state = IN_GET;
	} else if (strcmp(key, "set") == 0) {
		u->op = SL_UAPI_SET;
		u->state = IN_SET;
	} else {
		refuse(u, -EINVAL, "unknown operation");
		return;
	}
	if (strcmp(value, "1") != 0)
		refuse(u, -EINVAL, "unknown version of the operation");
}

static void
key_value(struct sl_uapi *u, char *eq)
{
	const char *why = NULL;
	int err;

	*eq = '\0';
	if (u->state == IDLE) {
		operation(u, u->line, eq + 1);
	} else if (u->state == IN_GET) {
		refuse(u, -EINVAL, "get has no keys");
	} else {
		err = sl_uapi_request_line(&u->request, u->line, eq + 1, &why);
		if (err)
			refuse(u, err, why);
	}
}

/* A whole line is in u->line. */
static void
take_line(struct sl_uapi *u)
{
	char *eq;

	if (u->line_len == 0) {
		if (u->state != IDLE)
			finish(u);
		u->used = 0;
		u->line_no = 0;
		return;
	}
	u->line_no++;
	if (u->state == SKIP)
		return;
	if (u->state == IDLE)
		u->op = SL_UAPI_SET; /* of a request that does not name it */
	if (u->line_len > SL_UAPI_LINE_MAX) {
		refuse(u, -EPROTO, "line too long");
		return;
	}
	u->line[u->line_len] = '\0';
	eq = strchr(u->line, '=');
	if (!eq)
		refuse(u, -EPROTO, "line without '='");
	else if (strlen(u->line) != u->line_len)
		refuse(u, -EPROTO, "zero byte in the line");
	else
		key_value(u, eq);
}

static void
append(struct sl_uapi *u, const char *p, size_t n)
{
	size_t room = SL_UAPI_LINE_MAX - SL_MIN(u->line_len, SL_UAPI_LINE_MAX);

	if (u->line_len > SL_UAPI_LINE_MAX)
		return;
	memcpy(u->line + u->line_len, p, SL_MIN(n, room));
	u->line_len = n > room ? SL_UAPI_LINE_MAX + 1 : u->line_len + n;
}

int
sl_uapi_feed(struct sl_uapi *u, const void *data, size_t len)
{
	const char *p = data, *end = p + len;

	while (u->state != DEAD && p < end) {
		const char *nl = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((nl ? nl : end) - p);

		u->used += n + (nl != NULL);
		if (u->used > u->max_request) {
			u->line_no++;
			if (u->state == IDLE)
				u->op = SL_UAPI_SET;
			refuse(u, -EMSGSIZE, "request too large");
			finish(u);
			u->state = DEAD;
			break;
		}
		append(u, p, n);
		p += n + (nl != NULL);
		if (nl) {
			take_line(u);
			sl_wipe(u->line, sizeof(u->line));
			u->line_len = 0;
		}
	}
	return u->state == DEAD ? -EMSGSIZE : 0;
}
