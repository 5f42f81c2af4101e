/* SPDX-License-Identifier: BSD-3-Clause */
/* Datagrams to a listen port: which WireGuard message it is, and whose. */
#include "pipeline_int.h"

/* The lane of a handshake message (D32), or why it ends here. */
static enum sl_drop
handshake_lane(const struct sl_worker *w, const uint8_t *p, enum sl_wire_type type, uint32_t *lane)
{
	static const uint8_t no_mac2[16];
	const struct sl_msg_initiation *init = (const void *)p;
	enum sl_slot_state state;
	uint32_t index;

	if (type == SL_WIRE_INITIATION) {
		*lane = memcmp(init->mac2, no_mac2, sizeof(no_mac2)) != 0 ? 1 : 2;
		return SL_DROP_NONE;
	}
	index = sl_load_le32(type == SL_WIRE_RESPONSE ? p + 8 : p + 4);
	if (sl_session_owner(w->dp->sessions, index, &state) < 0)
		return SL_DROP_WG_INDEX;
	/* A cookie reply answers an initiation or a response of ours, whose keypair is live. */
	if (state != SL_SLOT_HANDSHAKE && (type == SL_WIRE_RESPONSE || state != SL_SLOT_LIVE))
		return SL_DROP_HS_NO_STATE;
	*lane = 0;
	return SL_DROP_NONE;
}

static void
classify_handshake(struct sl_worker *w, struct rte_mbuf *m, const struct sl_ip_info *info,
		   unsigned len, struct sl_vec out[])
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	const uint8_t *p = ip + info->l4_off + SL_UDP_HDR;
	struct sl_meta *meta = sl_meta(m);
	enum sl_drop why;
	enum sl_wire_type type;
	bool bad_length = false;

	type = sl_wire_classify(p, len, &bad_length);
	if (type == SL_WIRE_INVALID)
		why = bad_length ? SL_DROP_WG_LENGTH : SL_DROP_NOT_WIREGUARD;
	else if (!(meta->flags & SL_PKT_L4_CSUM_OK) && !sl_l4_csum_ok(ip, info))
		why = SL_DROP_L4_CHECKSUM;
	else
		why = handshake_lane(w, p, type, &meta->nh);
	if (why != SL_DROP_NONE) {
		sl_vec_drop(&out[SL_NODE_DROP], m, why);
		return;
	}
	sl_meta_from_ip(meta, info);
	meta->outer_tos = info->tos;
	meta->counter = w->now_ns;
	m->data_len = (uint16_t)(info->l4_off + SL_UDP_HDR + len);
	m->pkt_len = m->data_len;
	sl_vec_add(&out[SL_NODE_HS], m);
}

/* To the worker that owns the keypair. */
static void
classify_data(struct sl_worker *w, struct rte_mbuf *m, const struct sl_ip_info *info, unsigned len,
	      struct sl_vec out[])
{
	const unsigned head = info->l4_off + SL_UDP_HDR;
	struct sl_meta *meta = sl_meta(m);
	const struct sl_msg_data *msg = rte_pktmbuf_mtod_offset(m, const void *, head);
	enum sl_slot_state state;
	int owner;

	meta->index = sl_load_le32(msg->receiver);
	meta->counter = sl_load_le64(msg->counter);
	meta->outer_tos = info->tos;
	meta->outer_off = m->data_off;
	m->data_off = (uint16_t)(m->data_off + head);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	if (w->dp->n_workers == 1 && w->owner) { /* OPEN sees by itself whether the index lives */
		sl_vec_add(&out[SL_NODE_OPEN], m);
		return;
	}
	owner = sl_session_owner(w->dp->sessions, meta->index, &state);
	if (sl_unlikely(owner < 0 || state != SL_SLOT_LIVE)) { /* peers know their indexes */
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_WG_INDEX);
	} else if (w->owner && (unsigned)owner == w->id) {
		sl_vec_add(&out[SL_NODE_OPEN], m);
	} else {
		meta->from = (uint8_t)w->id;
		sl_vec_steer(w, out, m, (unsigned)owner, SL_NEXT_OPEN);
	}
}

void
sl_classify_wireguard(struct sl_worker *w, struct rte_mbuf *m, const struct sl_ip_info *info,
		      struct sl_vec out[])
{
	const uint8_t *udp = rte_pktmbuf_mtod_offset(m, const uint8_t *, info->l4_off);
	unsigned udp_len = sl_load_be16(udp + 4);
	unsigned len = udp_len - SL_UDP_HDR;

	if (sl_unlikely(udp_len < SL_UDP_HDR || /* no sender that works makes these */
			udp_len > (unsigned)info->total_len - info->l4_off))
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_L4_TRUNCATED);
	else if (sl_likely(len >= SL_WIRE_DATA_MIN && /* handshakes: one in minutes */
			   sl_load_le32(udp + SL_UDP_HDR) == SL_WIRE_DATA))
		classify_data(w, m, info, len, out);
	else
		classify_handshake(w, m, info, len, out);
}
