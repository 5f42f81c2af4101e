/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Appending JSON text to a buffer: no tree, no allocation. A buffer that would overflow keeps what
 * it has and says `full`.
 */
#ifndef SL_DRAIN_OUT_H
#define SL_DRAIN_OUT_H

#include "sl_base.h"

struct sl_out {
	char *p, *end;
	bool full;
};

static inline void
out_mem(struct sl_out *o, const char *s, size_t n)
{
	if (sl_unlikely((size_t)(o->end - o->p) < n)) { /* lines are far shorter than the buffer */
		o->full = true;
		return;
	}
	memcpy(o->p, s, n);
	o->p += n;
}

/** A literal. */
#define OUT(o, s) out_mem((o), (s), sizeof(s) - 1)

static inline void
out_text(struct sl_out *o, const char *s)
{
	out_mem(o, s, strlen(s));
}

void out_u64(struct sl_out *o, uint64_t v);
/** v with exactly `digits` digits. */
void out_digits(struct sl_out *o, uint64_t v, unsigned digits);
/** A JSON string with its quotes; bytes that are no UTF-8 become U+FFFD. */
void out_str(struct sl_out *o, const char *s, size_t n);
static inline void
out_strz(struct sl_out *o, const char *s)
{
	out_str(o, s, strlen(s));
}
static inline void
out_bool(struct sl_out *o, bool v)
{
	if (v)
		OUT(o, "true");
	else
		OUT(o, "false");
}
/** An address without quotes. @param version 4 or 6 */
void out_ip(struct sl_out *o, unsigned version, const uint8_t *b);

#endif
