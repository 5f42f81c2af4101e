/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Gateways that are taken out in several transactions: how far each of them is, written in
 * those transactions, so that whoever goes on, also after a restart, knows whose record it was. */
#ifndef SL_REST_LEAVING_H
#define SL_REST_LEAVING_H

#include "call.h"

struct leaving {
	uint64_t rev; /* of the record that was shut: with another one it is another gateway */
	bool done;
	json_t *gone; /* the answer so far; a reference of the caller's */
};

int leaving_init(struct sl_store *s, struct sl_error *e);
/** @return 0, -ENOENT (without `e`), -EIO store_io */
int leaving_get(struct sl_store *s, const char *gateway, struct leaving *out, struct sl_error *e);
/** In a transaction: the first part, asked for by this call. @return 0, -EIO store_io */
int leaving_begin(struct sl_call *c, uint64_t rev, struct sl_error *e);
/** What another data store had begun, a row as leaving_walk tells it without its source.
 * @return 0, -EIO store_io, -ENOMEM */
int leaving_enter(struct sl_store *s, const json_t *row, struct sl_error *e);
/** In a transaction: `gone` of all parts so far. @return 0, -EIO store_io, -ENOMEM */
int leaving_note(struct sl_call *c, const json_t *gone, bool done, struct sl_error *e);
/** The request that takes this gateway out, and no other. @param[out] arg of its path
 * @return NULL: it is none */
const struct sl_rest_op *leaving_op(const struct sl_target *t, const char *gateway,
				    const char *arg[2]);
void leaving_drop(struct sl_store *s, const char *gateway);
/** Since when, for whom, what is gone; NULL: it does not leave. New reference. */
json_t *leaving_show(struct sl_store *s, const char *gateway);
/** Each that is not done: `fn` gets {gateway, rev, request, uri, body, key, actor, source},
 * borrowed.
 * @return 0, -EIO store_io */
int leaving_walk(struct sl_store *s, void (*fn)(void *ctx, json_t *row), void *ctx,
		 struct sl_error *e);
/** Forget those that were done a day ago. */
void leaving_prune(struct sl_store *s, uint64_t wall_ns);

#endif
