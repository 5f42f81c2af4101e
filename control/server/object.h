/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The five operations that objects of the store have in common. */
#ifndef SL_REST_OBJECT_H
#define SL_REST_OBJECT_H

#include "page.h"

struct object_kind {
	enum sl_kind kind;
	const char *what;	/* "peer" */
	const char *collection; /* "peers", as in the path */
	/** In the transaction, after a put; NULL: nothing more. */
	int (*after)(struct sl_store_txn *t, const char *id, struct sl_error *e);
	page_show show; /* NULL: as it is stored */
	/** A field that `show` adds: a body may bring it back, and it is ignored. NULL: none. */
	const char *computed;
};

/** Peers: their allocations follow their addresses. */
extern const struct object_kind peer_kind;

/** POST: the name stands in the body, or follows from it. */
int object_create(struct sl_call *c, const struct object_kind *k, struct sl_error *e);
int object_get(struct sl_call *c, const struct object_kind *k, struct sl_error *e);
int object_put(struct sl_call *c, const struct object_kind *k, struct sl_error *e);
/** PATCH: RFC 7396 on what is there. */
int object_patch(struct sl_call *c, const struct object_kind *k, struct sl_error *e);
int object_delete(struct sl_call *c, const struct object_kind *k, struct sl_error *e);

/** Put, and what is to be done after it. */
int object_store(struct sl_store_txn *t, const struct object_kind *k, const char *id,
		 uint64_t if_rev, json_t *body, struct sl_error *e);
/** The body of a request as the object's, without its name and what is computed. New reference. */
json_t *object_body(const struct sl_call *c, const struct object_kind *k);
/** Change an object inside the transaction `t`: `fn` edits its body. For handlers that do more than
 * replace. @return 0, -ENOENT not_found, what `fn` gave */
int object_edit(struct sl_call *c, struct sl_store_txn *t, const struct object_kind *k,
		const char *id, int (*fn)(struct sl_call *c, json_t *body, struct sl_error *e),
		struct sl_error *e);
/** Header Location of an object. */
void object_location(struct sl_call *c, const struct object_kind *k, const char *id);

#endif
