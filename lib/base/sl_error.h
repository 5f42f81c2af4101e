/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * An error that a person can act on: stable reason, place, what is wrong, how to mend it.
 */
#ifndef SL_ERROR_H
#define SL_ERROR_H

#include <errno.h>

#include "sl_base.h"

struct sl_error {
	int err;	   /* negative errno, 0 when unset */
	char reason[40];   /* stable snake_case word, e.g. "key_invalid" */
	char path[160];	   /* JSON pointer of the offending value, e.g. "/peers/0/public_key" */
	char message[320]; /* one sentence, no trailing full stop */
	char hint[200];	   /* the remedy, may be empty */
	uint32_t retry_after_ms; /* 0: not to be tried again by itself */
};

/**
 * Fill `e` (NULL allowed) and return `err`, so that `return sl_fail(e, -EINVAL, ...)` reads well.
 * @param err negative errno
 */
int sl_fail(struct sl_error *e, int err, const char *reason, const char *path, const char *fmt, ...)
	SL_PRINTF(5, 6);

/** Set the remedy of an error that sl_fail() filled. */
void sl_hint(struct sl_error *e, const char *fmt, ...) SL_PRINTF(2, 3);

/** Put `prefix` before the path that is already in `e`. */
void sl_error_under(struct sl_error *e, const char *fmt, ...) SL_PRINTF(2, 3);

#endif
