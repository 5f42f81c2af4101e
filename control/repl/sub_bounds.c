/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a source may send of one thing: without a bound one that never says `last` fills the
 * memory. */
#include <inttypes.h>

#include "sub_int.h"

#define MIB (UINT64_C(1) << 20)

/* A data store has what is kept for people beside it, and each policy of before as text; it writes
 * to its disk. */
static const struct sub_bounds of_gateway = {"snapshot", "objects", SL_REPL_GATEWAY_BYTES,
					     SL_REPL_GATEWAY_OBJECTS};
static const struct sub_bounds of_store = {"snapshot", "objects", 16384 * MIB, 50000000};
/* A publisher sends a snapshot instead of more than 8 MiB. All of it is in memory as JSON, where a
 * value may take 240 bytes. */
static const struct sub_bounds of_txn = {"transaction", "values", 32 * MIB, 2000000};

const struct sub_bounds *
sub_snapshot_bounds(bool follower)
{
	return follower ? &of_store : &of_gateway;
}

const struct sub_bounds *
sub_txn_bounds(void)
{
	return &of_txn;
}

int
sub_came_add(struct sub_came *c, const struct sub_bounds *b, size_t bytes, size_t items,
	     struct sl_error *e)
{
	c->bytes += bytes;
	c->items += items;
	if (c->bytes <= b->bytes && c->items <= b->items)
		return 0;
	sl_fail(e, -EBADMSG, "too_large", "",
		"a %s is larger than %" PRIu64 " MiB or %" PRIu64 " %s: what is there serves on",
		b->what, b->bytes / MIB, b->items, b->items_are);
	sl_hint(e, "see what the source has in it");
	e->retry_after_ms = SL_REPL_TOO_LARGE_MS;
	return -EBADMSG;
}
