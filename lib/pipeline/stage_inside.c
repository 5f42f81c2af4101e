/* SPDX-License-Identifier: BSD-3-Clause */
/* Plaintext from inside: who may send at all (D35), and what is for the gateway itself. */
#include "send_int.h"

struct view {
	const struct sl_iface_view *f[SL_BURST];
	const struct sl_att *att[SL_BURST];
	uint32_t spoofed;	   /* bit i */
	uint32_t inside[SL_BURST]; /* source is in the inside prefixes */
	uint32_t own[SL_BURST];	   /* destination is an own inner address */
};

static inline const struct sl_lpm *
inside_table(const struct sl_iface_view *f, uint8_t version)
{
	return version == 4 ? &f->inside4 : &f->inside6;
}

/** Mark the packets whose source belongs to the k-th interface of their attachment or its peers. */
static void
mark_sources(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct view *v, unsigned k)
{
	uint32_t found[SL_BURST];
	const struct sl_iface_view *f;
	struct sl_lookup look;
	const uint8_t *src;
	uint8_t version;
	unsigned i;

	sl_lookup_begin(&look, found, n);
	for (i = 0; i < n; i++) {
		if (v->att[i] == NULL || k >= v->att[i]->n_ifaces)
			continue;
		f = sl_root_iface(w->root, v->att[i]->iface[k]);
		if (f == NULL)
			continue;
		version = sl_meta(m[i])->version;
		src = sl_pkt_src(m[i]);
		sl_lookup_add(&look, sl_iface_peers(f, version), version, src, i);
		v->spoofed |= (uint32_t)sl_iface_owns(f, version, src) << i;
	}
	sl_lookup_run(&look);
	for (i = 0; i < n; i++)
		v->spoofed |= (uint32_t)(found[i] != SL_LPM_NONE) << i;
}

/** A source that belongs to the gateway or to a tunnel of any interface on the attachment. */
static void
find_spoofed(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct view *v)
{
	unsigned i, k, ifaces = 0;

	v->spoofed = 0;
	for (i = 0; i < n; i++) {
		v->f[i] = sl_pkt_iface(w, m[i]);
		v->att[i] = sl_root_att(w->root, sl_meta(m[i])->att);
		if (v->att[i] == NULL)
			continue;
		ifaces = SL_MAX(ifaces, v->att[i]->n_ifaces);
		if (sl_att_owns(v->att[i], sl_meta(m[i])->version, sl_pkt_src(m[i])))
			v->spoofed |= UINT32_C(1) << i;
	}
	for (k = 0; k < ifaces; k++)
		mark_sources(w, m, n, v, k);
}

static void
find_places(struct rte_mbuf **m, unsigned n, struct view *v)
{
	struct sl_lookup inside, own;
	uint8_t version;
	unsigned i;

	sl_lookup_begin(&inside, v->inside, n);
	sl_lookup_begin(&own, v->own, n);
	for (i = 0; i < n; i++) {
		if (v->f[i] == NULL)
			continue;
		version = sl_meta(m[i])->version;
		if (!v->f[i]->inside_any)
			sl_lookup_add(&inside, inside_table(v->f[i], version), version,
				      sl_pkt_src(m[i]), i);
		if (sl_meta(m[i])->peer_id == SL_PEER_ID_NONE) /* so it is for own addresses */
			sl_lookup_add(&own, sl_iface_local(v->f[i], version), version,
				      sl_pkt_dst(m[i]), i);
	}
	sl_lookup_run(&inside);
	sl_lookup_run(&own);
}

static void
leave(struct rte_mbuf *m, const struct view *v, unsigned i, struct sl_vec out[])
{
	const struct sl_iface_view *f = v->f[i];

	if (sl_unlikely(f == NULL || v->att[i] == NULL)) /* only while the root changes */
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NOT_TUNNEL);
	else if (v->spoofed >> i & 1)
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_SPOOFED_SOURCE);
	else if (!f->inside_any && v->inside[i] == SL_LPM_NONE)
		sl_vec_drop(&out[SL_NODE_DROP], m, SL_DROP_NOT_INSIDE);
	else if (v->own[i] != SL_LPM_NONE)
		sl_vec_add(&out[SL_NODE_LOCAL], m);
	else if (sl_meta(m)->peer_id == SL_PEER_ID_NONE)
		sl_vec_icmp(out, m, SL_DROP_NO_PEER);
	else if (sl_meta(m)->ttl <= 1)
		sl_vec_icmp(out, m, SL_DROP_TTL);
	else
		sl_vec_add(&out[SL_NODE_AUTHZ], m);
}

void
sl_stage_inside(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct view v;
	unsigned i, k, n;

	w->delta.stage[SL_STATS_PRE_ENCRYPT].total += in->n;
	for (i = 0; i < in->n; i += n) {
		n = SL_MIN(in->n - i, (unsigned)SL_BURST);
		find_spoofed(w, &in->m[i], n, &v);
		find_places(&in->m[i], n, &v);
		for (k = 0; k < n; k++)
			leave(in->m[i + k], &v, k, out);
	}
	in->n = 0;
}
