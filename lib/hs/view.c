/* SPDX-License-Identifier: BSD-3-Clause */
/* What control may read of the handshake plane while it runs. */
#include "hs_priv.h"
#include "sl_latch.h"

_Static_assert(offsetof(struct hs_peer, view) % 4 == 0, "latched by words");
_Static_assert(offsetof(struct hs_peer, view_odd) % 4 == 0, "latched by words");
_Static_assert(sizeof(struct sl_hs_peer_view) % 4 == 0, "latched by words");

static enum sl_hs_state
state_of(struct hs_peer *hp)
{
	const struct sl_timers *t = &hp->timers;

	if (hs_kp_of(hp, HS_KP_CURRENT) != NULL)
		return SL_HS_ESTABLISHED;
	if (hp->pending || t->in_handshake || t->want_handshake || hp->queue_pprev != NULL ||
	    hp->answer || hs_kp_of(hp, HS_KP_NEXT) != NULL)
		return SL_HS_IN_PROGRESS;
	if (t->gave_up || hp->bad_key)
		return SL_HS_ERROR;
	return hp->session_lost ? SL_HS_EXPIRED : SL_HS_INIT;
}

void
hs_peer_view_update(struct sl_hs *hs, struct hs_peer *hp)
{
	struct sl_hs_peer_view v = hp->view; /* the even copy is the writer's to read */
	enum sl_hs_state state = state_of(hp);

	if (v.state != state || v.since_ns == 0)
		v.since_ns = hs->now_ns;
	v.state = state;
	v.session_ns = hp->timers.session_ns;
	memcpy(v.last_ts, hp->noise.last_ts, sizeof(v.last_ts));
	v.keepalive_s = hp->timers.persistent_s;
	v.has_psk = !sl_ct_is_zero(hp->noise.psk.b, sizeof(hp->noise.psk.b));
	if (memcmp(&v, &hp->view, sizeof(v)) != 0)
		sl_latch_write(&hp->view_seq, &hp->view, &hp->view_odd, &v, sizeof(v));
}

void
sl_hs_peer_view(const struct sl_peer *p, struct sl_hs_peer_view *out)
{
	const struct hs_peer *hp = __atomic_load_n(&p->hs_priv, __ATOMIC_ACQUIRE);

	if (hp == NULL) {
		memset(out, 0, sizeof(*out));
		return;
	}
	sl_latch_read(&hp->view_seq, &hp->view, &hp->view_odd, out, sizeof(*out));
}

const struct sl_hs_stats *
sl_hs_stats(const struct sl_hs *hs)
{
	return &hs->stats;
}
