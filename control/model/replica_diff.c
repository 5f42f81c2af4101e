/* SPDX-License-Identifier: BSD-3-Clause */
/* What differs between two replicas. */
#include "sl_replica.h"

enum { GONE_OR_CHANGED, NEW };

/** An object of one side and what the other side says of it. */
static void
compare(unsigned phase, const struct sl_replica_obj *o, const struct sl_replica *other,
	sl_replica_changed fn, void *ctx)
{
	struct sl_replica_obj x;
	bool there = sl_replica_get(other, o->kind, o->id, &x);

	if (phase == NEW) {
		if (!there)
			fn(ctx, NULL, o);
		return;
	}
	if (!there)
		fn(ctx, o, NULL);
	else if (memcmp(o->hash, x.hash, SL_HASH_LEN) != 0)
		fn(ctx, o, &x);
}

bool
sl_replica_diff_step(struct sl_replica_diff *d, const struct sl_replica *from,
		     const struct sl_replica *to, unsigned budget, sl_replica_changed fn, void *ctx)
{
	struct sl_replica_obj o;

	for (; d->phase <= NEW; d->phase++, d->kind = 0) {
		const struct sl_replica *one = d->phase == NEW ? to : from;
		const struct sl_replica *other = d->phase == NEW ? from : to;

		while (d->kind < SL_KIND_N) {
			if (budget == 0)
				return false;
			if (sl_replica_next(one, d->kind, &d->cursor, &o)) {
				budget--;
				compare(d->phase, &o, other, fn, ctx);
			} else {
				d->kind++;
				d->cursor.at = 0;
			}
		}
	}
	return true;
}
