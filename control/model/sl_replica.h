/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A replica in memory: the objects as they were received, with their sum of hashes, found by
 * (kind, id) and walked by kind. Bodies are kept as canonical text (about 300 B a peer). One
 * thread.
 */
#ifndef SL_REPLICA_H
#define SL_REPLICA_H

#include "sl_object.h"

struct sl_replica;

struct sl_replica_obj {
	enum sl_kind kind;
	const char *id;
	uint64_t rev;
	const char *text; /* canonical JSON */
	size_t len;
	const uint8_t *hash;
	const char *scope; /* interface or gateway, "" */
};

struct sl_replica *sl_replica_new(void);
void sl_replica_free(struct sl_replica *r); /* NULL allowed */
/** Put whole. @return 0, -EINVAL (no canonical form, unknown scope), -ENOMEM; then nothing changed
 */
int sl_replica_put(struct sl_replica *r, enum sl_kind k, const char *id, uint64_t rev,
		   const json_t *body);
/**
 * The same in two steps: an object is made ready, which is what takes time and may be done on
 * another thread while `r` is used, then it is entered. What was made ready for one replica is not
 * for another one.
 */
struct replica_obj;
/** @param[out] out free() it where it is not entered. @return as sl_replica_put() */
int sl_replica_make(const struct sl_replica *r, enum sl_kind k, const char *id, uint64_t rev,
		    const json_t *body, struct replica_obj **out);
/** @return 0, then it is the replica's; -ENOMEM */
int sl_replica_enter(struct sl_replica *r, enum sl_kind k, struct replica_obj *o);
/** What it will be. */
void sl_replica_show(enum sl_kind k, const struct replica_obj *o, struct sl_replica_obj *out);
/** @return 0 or -ENOENT */
int sl_replica_del(struct sl_replica *r, enum sl_kind k, const char *id);
/** Valid until the object is changed. */
bool sl_replica_get(const struct sl_replica *r, enum sl_kind k, const char *id,
		    struct sl_replica_obj *out);
/** The body, parsed: new reference, NULL: none. */
json_t *sl_replica_body(const struct sl_replica *r, enum sl_kind k, const char *id);
size_t sl_replica_count(const struct sl_replica *r);
size_t sl_replica_count_kind(const struct sl_replica *r, enum sl_kind k);
void sl_replica_sum(const struct sl_replica *r, struct sl_hash_sum *out);
/** Memory in bytes, roughly. */
size_t sl_replica_bytes(const struct sl_replica *r);

/** Walk one kind in steps, in no order that means anything: start with a zero cursor; objects that
 * are there for the whole walk are seen once; the others perhaps. @return false at the end */
struct sl_replica_cursor {
	size_t at;
};
bool sl_replica_next(const struct sl_replica *r, enum sl_kind k, struct sl_replica_cursor *c,
		     struct sl_replica_obj *out);

/** What must be done to get from `from` to `to`: visited in steps of at most `budget` objects
 * looked at. @return true when the end is reached */
struct sl_replica_diff {
	unsigned phase;
	enum sl_kind kind;
	struct sl_replica_cursor cursor;
};
typedef void (*sl_replica_changed)(void *ctx, const struct sl_replica_obj *was, /* NULL: new */
				   const struct sl_replica_obj *is);		/* NULL: gone */
bool sl_replica_diff_step(struct sl_replica_diff *d, const struct sl_replica *from,
			  const struct sl_replica *to, unsigned budget, sl_replica_changed fn,
			  void *ctx);

#endif
