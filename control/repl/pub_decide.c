/* SPDX-License-Identifier: BSD-3-Clause */
/* What a subscriber gets: the log from where it stands, or a snapshot and why. */
#include "pub_int.h"

/** Its wish, as one of the reasons that exist. */
static const char *
wish(const char *why)
{
	static const char *const known[] = {"hash_mismatch", "schema"};

	for (unsigned i = 0; why && i < SL_ARRAY_SIZE(known); i++) {
		if (strcmp(why, known[i]) == 0)
			return known[i];
	}
	return "resync";
}

/** It has more than we, in our own epoch: what it has beyond us is lost if we are the primary. */
static enum pub_mode
beyond(const struct sl_publisher *p, const char **reason, const char *what)
{
	*reason = what;
	return p->conf.writer && sl_store_role(p->conf.store) == SL_STORE_PRIMARY ? PUB_REWOUND
										  : PUB_BEHIND;
}

static enum pub_mode
decide_same_epoch(struct sl_publisher *p, const struct pub_ask *a, const char **reason)
{
	char chain[SL_CHAIN_STR] = "";
	const struct pub_bucket *b;

	if (a->seq > p->seq)
		return beyond(p, reason, "seq_ahead");
	if (sl_store_chain(p->conf.store, a->seq, chain) == 0 && chain[0] && a->chain &&
	    a->chain[0] && strcmp(chain, a->chain) != 0)
		return beyond(p, reason, "diverged");
	if (a->want) {
		*reason = wish(a->why);
		return PUB_SNAP;
	}
	if (a->seq + 1 < sl_store_oldest(p->conf.store)) {
		*reason = "compacted";
		return PUB_SNAP;
	}
	b = a->all ? NULL : pub_bucket(p, SL_SCOPE_GATEWAY, a->node);
	if (b && b->record_seq > a->seq) {
		*reason = "scope_changed";
		return PUB_SNAP;
	}
	return PUB_RESUME;
}

enum pub_mode
pub_decide(struct sl_publisher *p, const struct pub_ask *a, const char **reason)
{
	*reason = "new";
	if (!a->has_epoch || !a->number)
		return PUB_SNAP;
	if (a->number == p->epoch.number && strcmp(a->id, p->epoch.id) == 0)
		return decide_same_epoch(p, a, reason);
	*reason = "epoch_changed";
	/* a later epoch than ours: we are what was left, or have not heard of it yet */
	return a->number > p->epoch.number ? PUB_BEHIND : PUB_SNAP;
}
