/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The log of the store as server-sent events: a message `change` for each object that a transaction
 * puts or deletes. The last message of a transaction has its `id`, SEQ.EPOCH (the number of the
 * epoch), from which a listener goes on after a break; where the log has no longer what follows, a
 * message `reset` says that what the listener knows is to be asked for anew.
 */
#ifndef SL_REST_EVENTS_H
#define SL_REST_EVENTS_H

#include "sl_store.h"

struct events;
void events_free(struct events *v); /* NULL allowed; the helper has ended */

/** What one listener was told, and may be. */
struct events_reader {
	uint32_t kinds; /* bits by sl_kind: what it may see */
	bool begun;
	bool resumes;	/* it goes on; else it begins at the head */
	uint64_t seq;	/* all up to this one was told */
	uint64_t epoch; /* its number; 0: the present one */
	size_t op;	/* of the next transaction: so many were looked at */
};

/** The transaction that was read last: listeners are mostly at the same one. */
struct events_log {
	uint64_t seq; /* 0: none */
	char chain[SL_CHAIN_STR];
	json_t *txn;
};
void events_log_clear(struct events_log *g);

/** The kind whose objects an operation tells, -1: of none. */
int events_kind_of(const char *op_id);
/** Go on behind Last-Event-ID. @param id NULL: begin. @return 0, -EINVAL header_invalid */
int events_resume(struct events_reader *r, const char *id, struct sl_error *e);
/** What is new, as messages, until there are so many bytes. @param[out] len 0: nothing is
 * @return 0, -EIO, -ENOMEM */
int events_read(struct events_log *g, struct sl_store *s, struct events_reader *r, size_t bytes,
		char **text, size_t *len, struct sl_error *e);

#endif
