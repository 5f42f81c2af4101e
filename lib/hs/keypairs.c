/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Life of keypairs (D29, D30): published -> installed -> (confirmed) -> retired. A retired keypair
 * is unpublished at once; the workers that may use it answer, one grace period passes, then its
 * keys are wiped and its index is free. A peer holds at most next, current and previous, beside
 * the index of a pending initiation.
 */
#include "hs_priv.h"

#define REJECT_NS (SL_WG_REJECT_AFTER_S * SL_NS_PER_S)

struct hs_kp *
hs_kp_of(struct hs_peer *hp, enum hs_kp_role role)
{
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++)
		if (hp->kp[i].role == role)
			return &hp->kp[i];
	return NULL;
}

bool
hs_kp_room(const struct hs_peer *hp)
{
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++)
		if (hp->kp[i].role == HS_KP_NONE)
			return true;
	return false;
}

static struct hs_kp *
by_index(struct hs_peer *hp, uint32_t index)
{
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++)
		if (hp->kp[i].role != HS_KP_NONE && hp->kp[i].kp->local_index == index)
			return &hp->kp[i];
	return NULL;
}

/** The grace period of a keypair has passed. */
static void
release(void *ctx, void *obj)
{
	struct sl_hs *hs = ctx;
	struct sl_keypair *kp = obj;
	struct hs_peer *hp = hs_peer_of(hs, kp->peer_id);
	struct hs_kp *r = hp != NULL ? by_index(hp, kp->local_index) : NULL;

	sl_session_release(hs->dp->sessions, kp);
	if (r != NULL)
		memset(r, 0, sizeof(*r));
	if (hp != NULL)
		hs_peer_delete_try(hs, hp);
}

/** Everybody has answered. Without memory for the deferral it is tried again by the sweep. */
static void
grace(struct sl_hs *hs, struct hs_kp *r)
{
	if (sl_rcu_defer(hs->rcu, release, hs, r->kp) == 0)
		r->role = HS_KP_GRACE;
}

static void
send_retire(struct sl_hs *hs, struct hs_peer *hp, struct hs_kp *r)
{
	struct sl_wk_msg msg = {.type = SL_WK_RETIRE,
				.peer_id = hp->id,
				.index = r->kp->local_index};

	r->unsent = 0;
	r->answers = 1;
	hs_tell_worker(hs, r->kp->owner, &msg);
	if (r->kp->owner != hp->home) {
		r->answers++;
		hs_tell_worker(hs, hp->home, &msg);
	}
}

void
hs_kp_retire(struct sl_hs *hs, struct hs_peer *hp, struct hs_kp *r)
{
	if (r == NULL || r->role == HS_KP_NONE || r->role >= HS_KP_RETIRING)
		return;
	sl_session_unpublish(hs->dp->sessions, r->kp);
	r->role = HS_KP_RETIRING;
	if (hp->rehoming)
		r->unsent = 1;
	else
		send_retire(hs, hp, r);
}

void
hs_kp_resume(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_kp *r;
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++) {
		r = &hp->kp[i];
		if (r->role != HS_KP_RETIRING)
			continue;
		if (r->unsent && !hp->rehoming)
			send_retire(hs, hp, r);
		else if (!r->unsent && r->answers == 0)
			grace(hs, r);
	}
}

void
hs_kp_on_retired(struct sl_hs *hs, struct hs_peer *hp, uint32_t index)
{
	struct hs_kp *r = by_index(hp, index);

	if (r == NULL || r->role != HS_KP_RETIRING || r->answers == 0)
		return;
	if (--r->answers == 0)
		grace(hs, r);
}

/** current -> previous; the old previous goes. */
static void
shift_current(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_kp *current = hs_kp_of(hp, HS_KP_CURRENT);

	hs_kp_retire(hs, hp, hs_kp_of(hp, HS_KP_PREVIOUS));
	if (current != NULL)
		current->role = HS_KP_PREVIOUS;
}

void
hs_kp_install(struct sl_hs *hs, struct hs_peer *hp, struct sl_keypair *kp)
{
	struct hs_kp *r;

	hs_kp_confirmed(hs, hp); /* perhaps `next` is current already */
	r = hs_kp_of(hp, HS_KP_NONE);
	r->kp = kp;
	r->answers = 0;
	r->unsent = 0;
	if (kp->initiator) {
		shift_current(hs, hp);
		r->role = HS_KP_CURRENT;
	} else {
		hs_kp_retire(hs, hp, hs_kp_of(hp, HS_KP_NEXT));
		r->role = HS_KP_NEXT;
	}
	hs_tell_home(hs, hp, SL_WK_INSTALL, kp->local_index);
}

/*
 * The home never goes back to an older keypair: one that is confirmed after a younger session of
 * ours came up only receives.
 */
bool
hs_kp_confirmed(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_kp *next = hs_kp_of(hp, HS_KP_NEXT), *current;

	if (next == NULL || !atomic_load_explicit(&next->kp->confirmed, memory_order_acquire))
		return false;
	current = hs_kp_of(hp, HS_KP_CURRENT);
	if (current != NULL && current->kp->birth_ns > next->kp->birth_ns) {
		hs_kp_retire(hs, hp, hs_kp_of(hp, HS_KP_PREVIOUS));
		next->role = HS_KP_PREVIOUS;
		return false;
	}
	shift_current(hs, hp);
	next->role = HS_KP_CURRENT;
	hs_session_up(hs, hp, next->kp);
	return true;
}

uint64_t
hs_kp_expire(struct sl_hs *hs, struct hs_peer *hp)
{
	uint64_t first = UINT64_MAX, end;
	struct hs_kp *r;
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++) {
		r = &hp->kp[i];
		if (r->role == HS_KP_NONE || r->role >= HS_KP_RETIRING)
			continue;
		end = r->kp->birth_ns + REJECT_NS;
		if (hs->now_ns < end) {
			first = SL_MIN(first, end);
			continue;
		}
		if (r->role == HS_KP_CURRENT) {
			hp->session_lost = true;
			hs_record_down(hs, hp, SL_RR_EXPIRED);
		}
		hs_kp_retire(hs, hp, r);
	}
	return first;
}

void
hs_pending_drop(struct sl_hs *hs, struct hs_peer *hp)
{
	if (!hp->pending)
		return;
	hp->pending = false;
	sl_session_unreserve(hs->dp->sessions, hp->pending_index);
	sl_noise_hs_clear(&hp->noise.hs);
}

void
hs_keys_zero(struct sl_hs *hs, struct hs_peer *hp)
{
	unsigned i;

	for (i = 0; i < HS_KP_MAX; i++) {
		hp->session_lost |= hp->kp[i].role == HS_KP_CURRENT;
		hs_kp_retire(hs, hp, &hp->kp[i]);
	}
	hs_pending_drop(hs, hp);
	sl_noise_hs_clear(&hp->noise.hs);
	hp->answer = false;
	hp->rekey_ns = 0;
	sl_timers_on_zeroed(&hp->timers);
}

void
hs_sessions_wipe(struct sl_hs *hs, struct hs_peer *hp, enum sl_rec_reason why)
{
	struct sl_timers *t = &hp->timers;

	hs_keys_zero(hs, hp);
	hs_record_down(hs, hp, why);
	hs_initiation_unqueue(hs, hp);
	hp->initiate = false;
	t->want_handshake = false;
	t->in_handshake = false;
	t->initiation_ns = 0; /* the next handshake may start at once */
	t->handshake_due_ns = 0;
}
