/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The target of a request: path and query in pieces, decoded. Pure; bytes come from outside.
 */
#ifndef SL_REST_TARGET_H
#define SL_REST_TARGET_H

#include "sl_base.h"
#include "sl_error.h"

#define SL_TARGET_MAX 8192 /* bytes of a target */
#define SL_TARGET_SEGS 8
#define SL_TARGET_QUERY 16

struct sl_target_pair {
	const char *name, *value;
};

struct sl_target {
	unsigned n_segs, n_query;
	const char *seg[SL_TARGET_SEGS];
	struct sl_target_pair query[SL_TARGET_QUERY];
	char buf[SL_TARGET_MAX + 1]; /* what the pointers point to */
};

/**
 * Only the origin form ("/a/b?x=y") is taken. A slash of a segment is written %2F; a plus of a
 * query is a blank. Refused: empty segments, "." and "..", bytes below 0x21 or above 0x7e as they
 * stand, %00 and control characters, a parameter that stands twice.
 * @return 0; -EINVAL uri_invalid (-E2BIG uri_too_long) with the place in the message
 */
int sl_target_parse(const char *text, struct sl_target *out, struct sl_error *e);

#endif
