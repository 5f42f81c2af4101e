/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From the lanes to the queues, and what happens under load (D32; paper section 5.3). Only mac1
 * stands between a stranger and the queues: it costs 0.4 us. Where more waits than hs can work on,
 * initiations need a cookie, which proves their source address, and each address has its rate.
 */
#include "hs_priv.h"
#include "sl_wire.h"

enum { LANE_A, LANE_B, LANE_C };

/** Notes of hs in the metadata of a message that waits (its fields for packets are free then). */
static inline void
note(struct rte_mbuf *m, unsigned worker, enum sl_cookie_verdict mac)
{
	sl_meta(m)->nh = worker;
	sl_meta(m)->frag_id = mac;
}

/**
 * Take a datagram apart.
 * @return SL_DROP_NONE or why it is none of the three messages
 */
static enum sl_drop
parse(struct rte_mbuf *m, struct hs_rx *rx)
{
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *), *udp;
	const struct sl_meta *meta = sl_meta(m);
	unsigned have = rte_pktmbuf_data_len(m), ulen;
	struct sl_outer *o = &rx->reply;
	bool v4, bad_len;

	if (have == 0 || (unsigned)meta->l4_off + SL_UDP_HDR > have)
		return SL_DROP_NOT_WIREGUARD;
	v4 = ip[0] >> 4 == 4;
	if (meta->l4_off < (v4 ? SL_IP4_HDR : SL_IP6_HDR))
		return SL_DROP_NOT_WIREGUARD;
	udp = ip + meta->l4_off;
	ulen = sl_load_be16(udp + 4);
	if (ulen < SL_UDP_HDR || ulen > have - meta->l4_off)
		return SL_DROP_NOT_WIREGUARD;
	rx->msg = udp + SL_UDP_HDR;
	rx->len = ulen - SL_UDP_HDR;
	rx->type = sl_wire_classify(rx->msg, rx->len, &bad_len);
	if (rx->type == SL_WIRE_INVALID || rx->type == SL_WIRE_DATA)
		return bad_len ? SL_DROP_WG_LENGTH : SL_DROP_NOT_WIREGUARD;
	o->dst = v4 ? sl_ip_v4(ip + 12) : sl_ip_v6(ip + 8);
	o->src = v4 ? sl_ip_v4(ip + 16) : sl_ip_v6(ip + 24);
	o->dport = sl_load_be16(udp);
	o->sport = sl_load_be16(udp + 2);
	rx->from = (struct sl_endpoint){.ip = o->dst, .port = o->dport};
	rx->iface_id = meta->iface_id;
	rx->arrival_ns = meta->counter;
	rx->worker = meta->nh;
	rx->mac = (enum sl_cookie_verdict)meta->frag_id;
	return SL_DROP_NONE;
}

static bool
stale(const struct sl_hs *hs, const struct hs_rx *rx)
{
	return hs->now_ns > rx->arrival_ns + HS_STALE_NS;
}

static inline bool
came_before(struct rte_mbuf *a, struct rte_mbuf *b)
{
	uint64_t at = sl_meta(a)->counter, bt = sl_meta(b)->counter;

	return at < bt || (at == bt && sl_meta(a)->nh <= sl_meta(b)->nh);
}

/** In order of arrival, then worker: the lanes merge here (D44). Nearly always appends. */
static void
enqueue(struct hs_queue *q, struct rte_mbuf *m)
{
	unsigned i = q->head + q->n++;
	struct rte_mbuf *before;

	for (; i != q->head; i--) {
		before = q->m[(i - 1) % HS_QUEUE_MAX];
		if (came_before(before, m))
			break;
		q->m[i % HS_QUEUE_MAX] = before;
	}
	q->m[i % HS_QUEUE_MAX] = m;
}

static struct rte_mbuf *
dequeue(struct hs_queue *q)
{
	struct rte_mbuf *m = q->m[q->head];

	q->head = (q->head + 1) % HS_QUEUE_MAX;
	q->n--;
	return m;
}

bool
hs_under_load(const struct sl_hs *hs)
{
	return hs->now_ns < hs->load_until_ns;
}

static void
count_type(struct sl_hs *hs, enum sl_wire_type type)
{
	hs_count(type == SL_WIRE_INITIATION ? &hs->stats.initiations_rx
		 : type == SL_WIRE_RESPONSE ? &hs->stats.responses_rx
					    : &hs->stats.cookies_rx,
		 1);
}

/** Under load an initiation needs a cookie and a token of its address. */
static enum sl_drop
shed(struct sl_hs *hs, const struct hs_rx *rx)
{
	if (rx->type != SL_WIRE_INITIATION || !hs_under_load(hs))
		return SL_DROP_NONE;
	if (rx->mac != SL_MAC2_OK) {
		hs_tx_cookie_reply(hs, rx);
		return SL_DROP_HS_COOKIE_SENT;
	}
	return sl_ratelimit_allow(hs->ratelimit, &rx->from.ip, hs->now_ns) ? SL_DROP_NONE
									   : SL_DROP_HS_RATELIMIT;
}

/** mac1 of what came out of a lane. @return SL_DROP_NONE: it may wait in a queue */
static enum sl_drop
admit(struct sl_hs *hs, struct rte_mbuf *m, unsigned worker, struct hs_rx *rx)
{
	enum sl_drop why = parse(m, rx);

	if (why != SL_DROP_NONE)
		return why;
	rx->worker = worker;
	rx->mac = SL_MAC1_OK;
	count_type(hs, rx->type);
	if (hs_iface_of(hs, rx->iface_id) == NULL || !hs->ident[rx->iface_id].local.has_key)
		return SL_DROP_HS_NO_KEY;
	if (stale(hs, rx))
		return SL_DROP_HS_STALE;
	if (rx->type != SL_WIRE_COOKIE) {
		rx->mac = sl_cookie_check(&hs->ident[rx->iface_id].checker, rx->msg, rx->len,
					  &rx->from, hs->now_ns, &hs->conf.rng_cookie);
		if (rx->mac == SL_MAC_BAD)
			return SL_DROP_HS_MAC1;
	}
	note(m, worker, rx->mac);
	return SL_DROP_NONE;
}

static unsigned
intake_lane(struct sl_hs *hs, unsigned worker, unsigned class, unsigned room)
{
	struct hs_queue *q = &hs->queue[class];
	struct rte_mbuf *m[HS_INTAKE_LANE];
	struct hs_rx rx = {0};
	enum sl_drop why;
	unsigned n, i;

	n = rte_ring_sc_dequeue_burst(hs->dp->worker[worker]->hs_lane[class], (void **)m,
				      SL_MIN(room, HS_QUEUE_MAX - q->n), NULL);
	for (i = 0; i < n; i++) {
		why = admit(hs, m[i], worker, &rx);
		if (why == SL_DROP_NONE) {
			enqueue(q, m[i]);
		} else {
			hs_drop(hs, why);
			rte_pktmbuf_free(m[i]);
		}
	}
	return n;
}

/** Backlog and age decide; once seen, it holds for a second. */
static void
detect_load(struct sl_hs *hs)
{
	uint64_t oldest = hs->now_ns;
	const struct hs_queue *q;
	unsigned n = 0, class;

	for (class = 0; class < HS_CLASSES; class ++) {
		q = &hs->queue[class];
		n += q->n;
		if (q->n != 0)
			oldest = SL_MIN(oldest, sl_meta(q->m[q->head])->counter);
	}
	if (n >= HS_LOAD_BACKLOG || hs->now_ns - oldest > HS_LOAD_AGE_NS)
		hs->load_until_ns = hs->now_ns + HS_LOAD_HOLD_NS;
}

/** Every lane in turn, beginning with another worker each time, so that one cannot starve the rest.
 */
unsigned
hs_intake(struct sl_hs *hs)
{
	unsigned left = HS_INTAKE_MAX, lcores = hs->dp->n_lcores, class, i, worker;

	hs->intake_first = (hs->intake_first + 1) % lcores;
	for (class = 0; class < HS_CLASSES; class ++) {
		for (i = 0; i < lcores && left != 0; i++) {
			worker = (hs->intake_first + i) % lcores;
			left -= intake_lane(hs, worker, class, SL_MIN(left, HS_INTAKE_LANE));
		}
	}
	detect_load(hs);
	return HS_INTAKE_MAX - left;
}

static void
handle(struct sl_hs *hs, struct rte_mbuf *m)
{
	enum sl_drop why;
	struct hs_rx rx;

	why = parse(m, &rx);
	if (why == SL_DROP_NONE && hs_iface_of(hs, rx.iface_id) == NULL)
		why = SL_DROP_HS_NO_KEY; /* it was removed while this waited */
	if (why == SL_DROP_NONE)
		why = stale(hs, &rx) ? SL_DROP_HS_STALE : shed(hs, &rx);
	if (why != SL_DROP_NONE)
		hs_drop(hs, why);
	else if (rx.type == SL_WIRE_INITIATION)
		hs_rx_initiation(hs, &rx);
	else if (rx.type == SL_WIRE_RESPONSE)
		hs_rx_response(hs, &rx);
	else
		hs_rx_cookie(hs, &rx);
	rte_pktmbuf_free(m);
}

unsigned
hs_serve(struct sl_hs *hs)
{
	static const unsigned weight[HS_CLASSES] = {4, 2, 1};
	unsigned done = 0, before, class, i;

	do {
		before = done;
		for (class = LANE_A; class <= LANE_C; class ++) {
			for (i = 0; i < weight[class] && hs->queue[class].n != 0; i++, done++)
				handle(hs, dequeue(&hs->queue[class]));
		}
	} while (done != before && done < HS_SERVE_MAX);
	return done;
}

void
hs_load_account(struct sl_hs *hs)
{
	uint64_t from = hs->load_seen_ns, to = SL_MIN(hs->now_ns, hs->load_until_ns);

	if (to > from)
		hs->load_ns += to - from;
	hs->load_seen_ns = hs->now_ns;
	atomic_store_explicit(&hs->stats.under_load, hs->load_ns / SL_NS_PER_S,
			      memory_order_relaxed);
	sl_ratelimit_collect(hs->ratelimit, hs->now_ns, HS_SWEEP_MAX);
}

void
hs_queues_free(struct sl_hs *hs)
{
	unsigned class;

	for (class = 0; class < HS_CLASSES; class ++)
		while (hs->queue[class].n != 0)
			rte_pktmbuf_free(dequeue(&hs->queue[class]));
}
