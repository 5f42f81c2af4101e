/* SPDX-License-Identifier: BSD-3-Clause */
/* What hs sends: outer packets through the inject rings of workers, initiations at a pace. */
#include <rte_cycles.h>

#include "hs_priv.h"

/** UDP checksum over the packet at p; a zero result is sent as all ones. */
static void
fill_udp_checksum(uint8_t *p, const struct sl_outer *o, unsigned hdr, unsigned len)
{
	struct sl_ip_info info = {.version = o->dst.family, .proto = SL_PROTO_UDP};
	unsigned l4 = hdr - SL_UDP_HDR, addr = o->dst.family == 4 ? 12 : 8;
	uint16_t csum;

	info.l4_off = (uint16_t)l4;
	info.total_len = (uint16_t)(hdr + len);
	info.src = p + addr;
	info.dst = p + addr + sl_ip_bytes(&o->dst);
	csum = sl_l4_csum(&info, p + l4, SL_UDP_HDR + len, 6);
	if (csum == 0)
		csum = 0xffff;
	memcpy(p + l4 + 6, &csum, sizeof(csum));
}

static void
fill_meta(struct sl_meta *meta, const struct sl_outer *o, unsigned hdr, unsigned len)
{
	memset(meta, 0, sizeof(*meta));
	meta->next = SL_NEXT_OUTER;
	meta->flags = SL_PKT_LOCAL_ORIGIN;
	meta->version = o->dst.family;
	meta->proto = SL_PROTO_UDP;
	meta->ttl = 64;
	meta->tos = SL_WG_HANDSHAKE_TOS;
	meta->outer_tos = SL_WG_HANDSHAKE_TOS;
	meta->l4_off = (uint16_t)(hdr - SL_UDP_HDR);
	meta->total_len = (uint16_t)(hdr + len);
	meta->sport = o->sport;
	meta->dport = o->dport;
}

bool
hs_tx(struct sl_hs *hs, unsigned worker, const struct sl_outer *outer, uint16_t iface_id,
      uint32_t peer_id, const void *msg, unsigned len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(hs->dp->pool);
	struct sl_outer o = *outer;
	unsigned hdr = sl_outer_len(o.dst.family);
	uint8_t *p;

	if (m == NULL) {
		hs_drop(hs, SL_DROP_NO_MBUF);
		return false;
	}
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(hdr + len));
	if (p == NULL) {
		rte_pktmbuf_free(m);
		hs_drop(hs, SL_DROP_NO_MBUF);
		return false;
	}
	if (o.src.family != o.dst.family) { /* chosen by route */
		memset(&o.src, 0, sizeof(o.src));
		o.src.family = o.dst.family;
	}
	sl_outer_write(p, &o, SL_WG_HANDSHAKE_TOS, (uint16_t)len);
	memcpy(p + hdr, msg, len);
	fill_udp_checksum(p, &o, hdr, len);
	fill_meta(sl_meta(m), &o, hdr, len);
	sl_meta(m)->iface_id = iface_id;
	sl_meta(m)->peer_id = peer_id;
	if (rte_ring_sp_enqueue(hs->dp->worker[worker]->inject[0], m) != 0) {
		rte_pktmbuf_free(m);
		hs_drop(hs, SL_DROP_TX_FULL);
		return false;
	}
	return true;
}

void
hs_tx_cookie_reply(struct sl_hs *hs, const struct hs_rx *rx)
{
	struct sl_msg_cookie out;

	sl_cookie_reply(&hs->ident[rx->iface_id].checker, rx->msg, rx->len,
			sl_load_le32(rx->msg + 4), &rx->from, hs->now_ns, &hs->conf.rng_cookie,
			&out);
	if (hs_tx(hs, rx->worker, &rx->reply, rx->iface_id, SL_PEER_ID_NONE, &out, sizeof(out)))
		hs_count(&hs->stats.cookies_tx, 1);
}

bool
hs_path_get(const struct hs_peer *hp, struct sl_outer *out)
{
	struct sl_peer_path path;

	if (hp->path_own &&
	    atomic_load_explicit(&hp->p->path_seq, memory_order_acquire) == hp->path_seq0) {
		*out = hp->outer; /* the home has not come to our message yet */
	} else {
		sl_peer_path_read(hp->p, &path);
		*out = path.outer;
	}
	return out->dst.family != 0;
}

void
hs_path_send(struct sl_hs *hs, struct hs_peer *hp)
{
	struct sl_wk_msg msg = {.type = SL_WK_PATH, .peer_id = hp->id, .outer = hp->outer};

	if (hp->rehoming) {
		hp->path_unsent = true;
		return;
	}
	hp->path_unsent = false;
	msg.force_path = hp->path_force;
	hs_tell_worker(hs, hp->home, &msg);
}

void
hs_path_set(struct sl_hs *hs, struct hs_peer *hp, const struct sl_outer *outer, bool force)
{
	hp->outer = *outer;
	hp->path_own = true;
	hp->path_force = force;
	hp->path_seq0 = atomic_load_explicit(&hp->p->path_seq, memory_order_acquire);
	hs_path_send(hs, hp);
}

void
hs_initiation_unqueue(struct sl_hs *hs, struct hs_peer *hp)
{
	if (hp->queue_pprev == NULL)
		return;
	*hp->queue_pprev = hp->queue_next;
	if (hp->queue_next != NULL)
		hp->queue_next->queue_pprev = hp->queue_pprev;
	else
		hs->init_tail = hp->queue_pprev;
	hp->queue_next = NULL;
	hp->queue_pprev = NULL;
}

/** An initiation cannot be made: the attempt ends here, new traffic may start another. */
static void
call_off(struct sl_hs *hs, struct hs_peer *hp)
{
	hp->timers.want_handshake = false;
	hp->timers.in_handshake = false;
	hp->timers.handshake_due_ns = 0;
	hs_pending_drop(hs, hp);
	hs_peer_view_update(hs, hp);
}

void
hs_initiation_queue(struct sl_hs *hs, struct hs_peer *hp)
{
	struct sl_outer outer;

	if (hp->queue_pprev != NULL)
		return;
	if (!hs_peer_usable(hs, hp) || !hs_path_get(hp, &outer)) {
		call_off(hs, hp);
		return;
	}
	hp->queue_next = NULL;
	hp->queue_pprev = hs->init_tail;
	*hs->init_tail = hp;
	hs->init_tail = &hp->queue_next;
}

/** Make and send one; a retransmission has a new index, ephemeral key and timestamp. */
static int
send_initiation(struct sl_hs *hs, struct hs_peer *hp, const struct sl_outer *outer)
{
	struct hs_ident *id = &hs->ident[hp->iface_id];
	uint64_t wall = hs->conf.wall_ns(hs->conf.wall_ctx) & ~(HS_TAI64N_GRAIN_NS - 1);
	struct sl_msg_initiation msg;
	uint8_t ts[SL_TAI64N_LEN];
	struct sl_secret eph;
	uint32_t index;
	int err;

	hs_pending_drop(hs, hp);
	err = sl_session_reserve(hs->dp->sessions, hp->home, hp->id, &index);
	if (err != 0)
		return err;
	sl_tai64n(ts, wall);
	sl_rng_fill(&hs->conf.rng_ephemeral, eph.b, sizeof(eph.b));
	err = sl_noise_create_initiation(&id->local, &hp->noise, index, &eph, ts, &msg);
	sl_wipe(&eph, sizeof(eph));
	if (err != 0) {
		sl_session_unreserve(hs->dp->sessions, index);
		return err;
	}
	hp->pending = true;
	hp->pending_index = index;
	sl_cookie_mac(&hp->maker, &msg, sizeof(msg), hs->now_ns);
	if (hs_tx(hs, hp->home, outer, hp->iface_id, hp->id, &msg, sizeof(msg)))
		hs_count_tx(hp, &hs->stats.initiations_tx, sizeof(msg));
	return 0;
}

/** @return true if one was made: that is what the pace counts. */
static bool
initiate(struct sl_hs *hs, struct hs_peer *hp)
{
	const struct sl_timers *t = &hp->timers;
	struct hs_iface *ifc = hs_iface_of(hs, hp->iface_id);
	struct sl_outer outer;
	unsigned home;
	int err;

	if (hp->rehoming) {
		hp->initiate = true;
		return false;
	}
	hs_peer_sync_key(hs, hp);
	if (!t->want_handshake && !(t->in_handshake && hs->now_ns >= t->retransmit_ns))
		return false; /* not needed any more */
	if (ifc == NULL || !hs_peer_usable(hs, hp) || !hs_path_get(hp, &outer)) {
		call_off(hs, hp);
		return false;
	}
	home = t->in_handshake ? hp->home : hs_home_choose(hs, hp, hp->lane);
	if (home != hp->home) {
		hp->initiate = true;
		hs_rehome_start(hs, hp, home);
		return false;
	}
	outer.sport = ifc->listen_port;
	err = send_initiation(hs, hp, &outer);
	if (err == -ENOSPC) {
		hs_drop(hs, SL_DROP_HS_LIMIT); /* the timers ask again in a second */
	} else if (err != 0) {
		hp->bad_key = err == -EKEYREJECTED;
		hs_drop(hs, err == -ENOKEY ? SL_DROP_HS_NO_KEY : SL_DROP_HS_INVALID);
		call_off(hs, hp);
		return false;
	} else {
		sl_timers_on_initiation_sent(&hp->timers, hs->now_ns, &hs->conf.rng_jitter);
	}
	hs_peer_look(hs, hp);
	return err == 0;
}

/** Time between two initiations: the configured rate, at most half of what this CPU can do. */
static uint64_t
pace_gap_ns(const struct sl_hs *hs)
{
	uint64_t gap = SL_NS_PER_S / SL_MAX(hs->conf.handshakes_per_s, 1U), half = 0;

	if (hs->dp->tsc_hz != 0)
		half = 2 * hs->initiation_cycles * SL_NS_PER_S / hs->dp->tsc_hz;
	return SL_MAX(gap, half);
}

unsigned
hs_initiations_run(struct sl_hs *hs)
{
	uint64_t floor_ns = hs->now_ns > HS_PACE_BURST_NS ? hs->now_ns - HS_PACE_BURST_NS : 0;
	uint64_t gap = pace_gap_ns(hs), tsc;
	struct hs_peer *hp;
	unsigned n = 0;

	hs->pace_ns = SL_MAX(hs->pace_ns, floor_ns);
	while (hs->init_head != NULL && hs->pace_ns <= hs->now_ns && n < HS_SERVE_MAX) {
		hp = hs->init_head;
		hs_initiation_unqueue(hs, hp);
		tsc = rte_rdtsc();
		n++;
		if (!initiate(hs, hp))
			continue;
		tsc = rte_rdtsc() - tsc;
		hs->initiation_cycles += (tsc >> 4) - (hs->initiation_cycles >> 4);
		hs->pace_ns += gap;
	}
	return n;
}
