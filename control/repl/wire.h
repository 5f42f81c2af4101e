/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What both ends of the stream write: growing text, epochs as they are told. */
#ifndef SL_REPL_WIRE_H
#define SL_REPL_WIRE_H

#include <jansson.h>

#include "sl_object.h"

/** Growing text. A failed allocation is remembered, not told at once. */
struct wire_text {
	char *p;
	size_t len, cap;
	bool failed;
};

void wire_add(struct wire_text *t, const char *s, size_t len);
void wire_addf(struct wire_text *t, const char *fmt, ...) SL_PRINTF(2, 3);
/** A JSON value, compact. */
void wire_json(struct wire_text *t, const json_t *v);
/** Text as a JSON string. */
void wire_string(struct wire_text *t, const char *s);
void wire_free(struct wire_text *t);

/** {number, id}: what names an epoch. @return 0, -EINVAL */
int wire_epoch(const json_t *v, uint64_t *number, char id[33]);
json_t *wire_epoch_json(const struct sl_epoch *e);

#endif
