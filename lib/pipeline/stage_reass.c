/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Outer fragments to the gateway's own addresses: put together again within bounds (D40), so that a
 * tunnel over a path with a small MTU works. What cannot be completed is counted and freed.
 */
#define ALLOW_EXPERIMENTAL_API /* rte_ip_frag_table_del_expired_entries() */
#include <rte_ip_frag.h>
#include <rte_malloc.h>

#include "pipeline_int.h"

#define FRAG_BUCKETS 128 /* two of them per packet */
#define FRAG_BUCKET_ENTRIES 4
#define FRAG_ENTRIES 1024
#define FRAG_TIMEOUT_NS SL_NS_PER_S
#define IP6_FRAG_HDR 8
#define IP6_NEXT_FRAGMENT 44

struct reass {
	struct rte_ip_frag_tbl *table;
	unsigned held, max;		   /* fragments: one datagram of the table may have eight */
	struct rte_ip_frag_death_row dead; /* fragments that the table gave up */
};

void *
sl_reass_new(unsigned max)
{
	struct reass *r = rte_zmalloc(NULL, sizeof(*r), SL_CACHE_LINE);

	if (r == NULL)
		return NULL;
	r->max = max;
	r->table = rte_ip_frag_table_create(FRAG_BUCKETS, FRAG_BUCKET_ENTRIES, FRAG_ENTRIES,
					    FRAG_TIMEOUT_NS, SOCKET_ID_ANY);
	if (r->table == NULL) {
		rte_free(r);
		return NULL;
	}
	return r;
}

void
sl_reass_free(void *reass)
{
	struct reass *r = reass;

	if (r == NULL)
		return;
	rte_ip_frag_table_destroy(r->table);
	rte_free(r);
}

static void
bury(struct sl_worker *w, struct reass *r)
{
	sl_stats_drop(&w->delta, SL_DROP_FRAG_OUTER, r->dead.cnt);
	r->held -= r->dead.cnt;
	rte_ip_frag_free_death_row(&r->dead, 0);
}

void
sl_reass_sweep(struct sl_worker *w)
{
	struct reass *r = w->reass;

	rte_ip_frag_table_del_expired_entries(r->table, &r->dead, w->now_ns);
	if (r->dead.cnt > 0)
		bury(w, r);
}

/* Give a fragment to the table. @return the whole packet, or NULL; `m` is no longer ours */
static struct rte_mbuf *
collect(struct sl_worker *w, struct reass *r, struct rte_mbuf *m)
{
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *);
	struct rte_mbuf *whole;

	m->l2_len = 0;
	if (sl_meta(m)->version == 4) {
		m->l3_len = sl_meta(m)->l4_off;
		whole = rte_ipv4_frag_reassemble_packet(r->table, &r->dead, m, w->now_ns,
							(void *)ip);
	} else {
		m->l3_len = SL_IP6_HDR + IP6_FRAG_HDR;
		whole = rte_ipv6_frag_reassemble_packet(r->table, &r->dead, m, w->now_ns,
							(void *)ip, (void *)(ip + SL_IP6_HDR));
	}
	r->held++;
	if (whole != NULL)
		r->held -= whole->nb_segs;
	if (r->dead.cnt > 0)
		bury(w, r);
	return whole;
}

static void
classify_whole(struct sl_worker *w, struct rte_mbuf *m, struct sl_vec out[])
{
	struct sl_meta *meta = sl_meta(m);
	struct sl_ip_info info;
	enum sl_drop why;

	if (rte_pktmbuf_linearize(m) != 0) {
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_CHAINED);
		return;
	}
	/* the header checksum was right in each fragment and is not kept up */
	why = sl_ip_parse_packet(rte_pktmbuf_mtod(m, const uint8_t *), m->data_len, false, &info);
	if (why == SL_DROP_NONE && sl_ip_is_frag(&info))
		why = SL_DROP_FRAG_OUTER;
	if (why == SL_DROP_NONE) {
		meta->flags &= (uint8_t)~SL_PKT_L4_CSUM_OK; /* the NIC saw parts only */
		meta->iface_id = w->root->iface_by_udp_port[info.dport];
		if (info.proto != SL_PROTO_UDP || meta->iface_id == 0)
			why = SL_DROP_NO_LISTENER;
	}
	if (why == SL_DROP_NONE)
		sl_classify_wireguard(w, m, &info, out);
	else
		sl_vec_drop(&out[SL_NODE_DROP], m, why);
}

/* The table knows a fragment header only right behind the IPv6 header. */
static bool
is_plain_fragment(struct rte_mbuf *m)
{
	return sl_meta(m)->version == 4 ||
	       (rte_pktmbuf_mtod(m, const uint8_t *)[6] == IP6_NEXT_FRAGMENT &&
		sl_meta(m)->l4_off == SL_IP6_HDR + IP6_FRAG_HDR);
}

void
sl_stage_reass(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	const struct reass *r = w->reass;
	struct rte_mbuf *m;
	unsigned i;

	for (i = 0; i < in->n; i++) {
		m = in->m[i];
		if (!is_plain_fragment(m) || r->held >= r->max) {
			sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_FRAG_OUTER);
			continue;
		}
		m = collect(w, w->reass, m);
		if (m != NULL)
			classify_whole(w, m, out);
	}
	in->n = 0;
}
