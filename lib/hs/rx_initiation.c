/* SPDX-License-Identifier: BSD-3-Clause */
/* We as responder: paper sections 5.4.2, 5.4.3 and 6. */
#include "hs_priv.h"

static enum sl_drop
reason(int err)
{
	switch (err) {
	case -EALREADY:
		return SL_DROP_HS_REPLAY;
	case -ENOKEY:
		return SL_DROP_HS_NO_KEY;
	default:
		return SL_DROP_HS_INVALID;
	}
}

/** Whose it is, before anything of the peer changes. */
static enum sl_drop
find_peer(struct sl_hs *hs, const struct hs_rx *rx, const struct sl_noise_rx *n,
	  struct hs_peer **out)
{
	struct hs_peer *hp = hs_peer_by_key(hs, rx->iface_id, &n->remote);

	if (hp == NULL)
		return SL_DROP_HS_UNKNOWN_PEER;
	hs_peer_sync_key(hs, hp);
	if (!hs_peer_usable(hs, hp))
		return SL_DROP_PEER_DOWN;
	if (hp->initiation_rx_ns != 0 && hs->now_ns < hp->initiation_rx_ns + HS_FLOOD_NS)
		return SL_DROP_HS_FLOOD;
	*out = hp;
	return SL_DROP_NONE;
}

/** The initiation is authentic and new: it replaces any handshake in progress. */
static void
accepted(struct sl_hs *hs, struct hs_peer *hp, const struct hs_rx *rx)
{
	unsigned home;

	if (hp->pending) { /* its noise state is gone: only the index is left */
		sl_session_unreserve(hs->dp->sessions, hp->pending_index);
		hp->pending = false;
	}
	hs_count(&hp->p->hs_rx_bytes, sizeof(struct sl_msg_initiation));
	hp->initiation_rx_ns = hs->now_ns;
	hp->rx_tick = hs->tick;
	hp->lane = (uint16_t)rx->worker;
	hp->answer = true;
	hp->answer_to = rx->reply;
	hp->answer_worker = rx->worker;
	hp->answer_ns = rx->arrival_ns;
	if (hp->rehoming)
		return; /* answered when the home has changed */
	home = hs_home_choose(hs, hp, rx->worker);
	if (home != hp->home)
		hs_rehome_start(hs, hp, home);
	else
		hs_respond(hs, hp);
}

void
hs_rx_initiation(struct sl_hs *hs, const struct hs_rx *rx)
{
	const struct sl_msg_initiation *msg = (const struct sl_msg_initiation *)rx->msg;
	struct hs_ident *id = &hs->ident[rx->iface_id];
	struct hs_peer *hp = NULL;
	enum sl_drop why;
	struct sl_noise_rx n;
	int err;

	err = sl_noise_consume_initiation(&id->local, msg, &n);
	why = err != 0 ? reason(err) : find_peer(hs, rx, &n, &hp);
	if (why == SL_DROP_NONE) {
		err = sl_noise_accept_initiation(&id->local, &hp->noise, msg, &n);
		if (err != 0)
			why = reason(err);
	}
	sl_noise_rx_clear(&n);
	if (why != SL_DROP_NONE)
		hs_drop(hs, why);
	else
		accepted(hs, hp, rx);
}

/** Make the response and the keys. @return the published keypair, or NULL */
static struct sl_keypair *
make_response(struct sl_hs *hs, struct hs_peer *hp, struct sl_msg_response *msg)
{
	struct hs_ident *id = &hs->ident[hp->iface_id];
	struct sl_session_table *t = hs->dp->sessions;
	struct sl_keypair *kp = NULL;
	struct sl_noise_keys keys;
	struct sl_secret eph;
	uint32_t index;
	int err;

	if (!hs_kp_room(hp) || sl_session_reserve(t, hp->home, hp->id, &index) != 0) {
		hs_drop(hs, SL_DROP_HS_LIMIT);
		return NULL;
	}
	sl_rng_fill(&hs->conf.rng_ephemeral, eph.b, sizeof(eph.b));
	err = sl_noise_create_response(&id->local, &hp->noise, index, &eph, msg);
	sl_wipe(&eph, sizeof(eph));
	if (err == 0)
		err = sl_noise_begin(&hp->noise, &keys);
	if (err != 0) {
		sl_session_unreserve(t, index);
		hs_drop(hs, reason(err));
		return NULL;
	}
	kp = sl_session_publish(t, index, hp->p, hp->iface_id, &keys, hs->now_ns);
	sl_wipe(&keys, sizeof(keys));
	if (kp == NULL)
		hs_drop(hs, SL_DROP_HS_LIMIT);
	return kp;
}

/*
 * The keypair is published and the home told before the response leaves, so that the first data
 * packet finds it (D29).
 */
void
hs_respond(struct sl_hs *hs, struct hs_peer *hp)
{
	struct sl_msg_response msg;
	struct sl_keypair *kp;

	hp->answer = false;
	kp = make_response(hs, hp, &msg);
	if (kp == NULL) {
		sl_noise_hs_clear(&hp->noise.hs);
		return;
	}
	hs_path_set(hs, hp, &hp->answer_to, false);
	hs_kp_install(hs, hp, kp);
	sl_cookie_mac(&hp->maker, &msg, sizeof(msg), hs->now_ns);
	if (hs_tx(hs, hp->answer_worker, &hp->answer_to, hp->iface_id, hp->id, &msg, sizeof(msg)))
		hs_count_tx(hp, &hs->stats.responses_tx, sizeof(msg));
	hp->tx_tick = hs->tick;
	sl_timers_on_response_sent(&hp->timers, hs->now_ns);
	hs_peer_look(hs, hp);
}
