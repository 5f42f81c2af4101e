/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_error.h"

#include <stdarg.h>
#include <stdio.h>

int
sl_fail(struct sl_error *e, int err, const char *reason, const char *path, const char *fmt, ...)
{
	struct sl_error n = {.err = err};
	va_list ap;

	if (e == NULL)
		return err;
	snprintf(n.reason, sizeof(n.reason), "%s", reason);
	snprintf(n.path, sizeof(n.path), "%s", path == NULL ? "" : path);
	va_start(ap, fmt);
	vsnprintf(n.message, sizeof(n.message), fmt, ap);
	va_end(ap);
	*e = n; /* last: the arguments may point into *e */
	return err;
}

void
sl_hint(struct sl_error *e, const char *fmt, ...)
{
	char text[sizeof(e->hint)];
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(e->hint, text, sizeof(text));
}

void
sl_error_under(struct sl_error *e, const char *fmt, ...)
{
	char text[sizeof(e->path)];
	size_t n, rest;
	va_list ap;

	if (e == NULL)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	rest = SL_MIN(strlen(e->path), sizeof(e->path) - 1 - n);
	memmove(e->path + n, e->path, rest);
	memcpy(e->path, text, n);
	e->path[n + rest] = '\0';
}
