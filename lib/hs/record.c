/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions of peers as records: the first keypair opens one, each further one is a rekey, and it is
 * closed when its keys are wiped or none may be used any more (180 s after the last handshake).
 */
#include "hs_priv.h"

/** Count one of a type. @return true if a record is to be written */
static bool
selected(struct sl_hs *hs, enum sl_rec_type t)
{
	const struct sl_root *root = atomic_load_explicit(&hs->dp->root, memory_order_acquire);
	struct sl_rec_ring *ring = hs->dp->hs_records;

	sl_rec_seen(ring, t, 1);
	if (root == NULL || !root->authz.logging)
		sl_rec_not_selected(ring, t, 1);
	else if (sl_rec_token(hs->dp->hs_buckets, t, SL_POL_NONE16, hs->tick))
		return true;
	else
		sl_rec_suppressed(ring, t, 1);
	return false;
}

static struct sl_rec *
begin(struct sl_hs *hs, const struct hs_peer *hp, enum sl_rec_type t)
{
	struct sl_rec *r = sl_rec_begin(hs->dp->hs_records);

	r->mono_ns = hs->now_ns;
	r->type = (uint8_t)t;
	r->count = 1;
	r->rule = SL_POL_NONE;
	r->role = r->target = r->zone = SL_POL_NONE16;
	r->iface = hp->iface_id;
	r->peer_id = hp->id;
	return r;
}

void
hs_record_up(struct sl_hs *hs, struct hs_peer *hp, bool initiator)
{
	enum sl_rec_type t = hp->opened_ns == 0 ? SL_REC_SESSION_OPEN : SL_REC_SESSION_REKEY;
	struct sl_rec *r;

	if (hp->opened_ns == 0)
		hp->opened_ns = hs->now_ns;
	if (!selected(hs, t))
		return;
	r = begin(hs, hp, t);
	r->flags = initiator ? 0 : SL_RF_FROM_TUNNEL;
	sl_rec_commit(hs->dp->hs_records, r);
}

void
hs_record_down(struct sl_hs *hs, struct hs_peer *hp, enum sl_rec_reason why)
{
	uint64_t opened_ns = hp->opened_ns;
	struct sl_rec *r;

	hp->opened_ns = 0;
	if (opened_ns == 0 || !selected(hs, SL_REC_SESSION_CLOSE))
		return;
	r = begin(hs, hp, SL_REC_SESSION_CLOSE);
	r->reason = (uint8_t)why;
	r->bytes[0] = hs->now_ns - opened_ns;
	sl_rec_commit(hs->dp->hs_records, r);
}

void
sl_hs_purge(struct sl_hs *hs)
{
	for (unsigned i = 0; i < hs->pool.used; i++)
		if (hs->pool.base[i].p != NULL)
			hs_record_down(hs, &hs->pool.base[i], SL_RR_SHUTDOWN);
}
