/* SPDX-License-Identifier: BSD-3-Clause */
/* We as initiator: responses (paper section 5.4.3) and cookie replies (5.4.7). */
#include "hs_priv.h"

/** The peer that an index of ours stands for, on the right interface, or NULL. */
static struct hs_peer *
peer_of_index(struct sl_hs *hs, const struct hs_rx *rx, uint32_t index)
{
	struct hs_peer *hp = hs_peer_of(hs, sl_session_peer(hs->dp->sessions, index));

	if (hp == NULL || hp->deleting) {
		hs_drop(hs, SL_DROP_HS_NO_STATE);
		return NULL;
	}
	if (hp->iface_id != rx->iface_id) {
		hs_drop(hs, SL_DROP_WRONG_INTERFACE);
		return NULL;
	}
	return hp;
}

static void
established(struct sl_hs *hs, struct hs_peer *hp, const struct hs_rx *rx)
{
	struct sl_noise_keys keys;
	struct sl_keypair *kp;

	hs_count(&hp->p->hs_rx_bytes, sizeof(struct sl_msg_response));
	hp->pending = false;
	if (sl_noise_begin(&hp->noise, &keys) != 0 || !hs_kp_room(hp)) {
		sl_wipe(&keys, sizeof(keys));
		sl_session_unreserve(hs->dp->sessions, hp->pending_index);
		hs_drop(hs, SL_DROP_HS_LIMIT);
		return;
	}
	kp = sl_session_publish(hs->dp->sessions, hp->pending_index, hp->p, hp->iface_id, &keys,
				hs->now_ns);
	sl_wipe(&keys, sizeof(keys));
	if (kp == NULL) {
		hs_drop(hs, SL_DROP_HS_LIMIT);
		return;
	}
	hp->rx_tick = hs->tick;
	hp->lane = (uint16_t)rx->worker;
	hs_path_set(hs, hp, &rx->reply, false);
	hs_kp_install(hs, hp, kp);
	hs_session_up(hs, hp, kp);
}

void
hs_rx_response(struct sl_hs *hs, const struct hs_rx *rx)
{
	const struct sl_msg_response *msg = (const struct sl_msg_response *)rx->msg;
	uint32_t index = sl_load_le32(msg->receiver);
	struct hs_peer *hp = peer_of_index(hs, rx, index);
	int err;

	if (hp == NULL)
		return;
	hs_peer_sync_key(hs, hp);
	if (!hp->pending || hp->pending_index != index || hp->rehoming) {
		hs_drop(hs, SL_DROP_HS_NO_STATE);
		return;
	}
	if (!hs_peer_usable(hs, hp)) {
		hs_drop(hs, SL_DROP_PEER_DOWN);
		return;
	}
	err = sl_noise_consume_response(&hs->ident[hp->iface_id].local, &hp->noise, msg);
	if (err != 0)
		hs_drop(hs, err == -EINVAL ? SL_DROP_HS_NO_STATE : SL_DROP_HS_INVALID);
	else
		established(hs, hp, rx);
}

/*
 * A cookie reply names the index of the message it answers: our pending initiation, or the keypair
 * that our response made. It says nothing about where the peer is, and what it brings is used with
 * the next message (paper section 6.6).
 */
void
hs_rx_cookie(struct sl_hs *hs, const struct hs_rx *rx)
{
	const struct sl_msg_cookie *msg = (const struct sl_msg_cookie *)rx->msg;
	struct hs_peer *hp = peer_of_index(hs, rx, sl_load_le32(msg->receiver));
	int err;

	if (hp == NULL)
		return;
	err = sl_cookie_consume(&hp->maker, msg, hs->now_ns);
	if (err != 0)
		hs_drop(hs, err == -EINVAL ? SL_DROP_HS_NO_STATE : SL_DROP_HS_INVALID);
}
