/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Where a check of JSON is, so that an error names the place. One thread. */
#ifndef SL_JSON_AT_H
#define SL_JSON_AT_H

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "sl_error.h"
#include "sl_json.h"

struct sl_json_at {
	struct sl_error *e;
	char path[sizeof(((struct sl_error *)0)->path)]; /* a JSON pointer */
};

/** Go down to a key. @return what sl_json_up() needs */
static inline size_t
sl_json_key(struct sl_json_at *at, const char *key)
{
	return sl_json_down(at->path, sizeof(at->path), key);
}

/** Go down to a member of an array, likewise. */
static inline size_t
sl_json_index(struct sl_json_at *at, size_t index)
{
	char key[24];

	snprintf(key, sizeof(key), "%zu", index);
	return sl_json_key(at, key);
}

static inline void
sl_json_up(struct sl_json_at *at, size_t was)
{
	at->path[was] = '\0';
}

/** An error at the present place. @return -EINVAL */
SL_PRINTF(3, 4)
static inline int
sl_json_fail(struct sl_json_at *at, const char *reason, const char *fmt, ...)
{
	char text[sizeof(at->e->message)];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sl_fail(at->e, -EINVAL, reason, at->path, "%s", text);
}

/** @return -EINVAL: field_type */
static inline int
sl_json_wrong_type(struct sl_json_at *at, const char *want, const json_t *v)
{
	return sl_json_fail(at, "field_type", "%s is wanted here, not %s", want,
			    sl_json_type_text(v));
}

/** An error at a key below the present place. @return -EINVAL */
SL_PRINTF(4, 5)
static inline int
sl_json_fail_at(struct sl_json_at *at, const char *key, const char *reason, const char *fmt, ...)
{
	char text[sizeof(at->e->message)];
	size_t was = sl_json_key(at, key);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	sl_fail(at->e, -EINVAL, reason, at->path, "%s", text);
	sl_json_up(at, was);
	return -EINVAL;
}

#endif
