/* SPDX-License-Identifier: BSD-3-Clause */
/* Who may reach what. The mode is local (D6) and applied per packet; judge() is the only door to
 * a policy. */
#include "send_int.h"

static inline const struct sl_lpm *
mode_table(const struct sl_authz_view *a, uint8_t version)
{
	return version == 4 ? &a->mode4 : &a->mode6;
}

/** @return true if no packet of this root can meet the mode enforce. */
static inline bool
only_observe(const struct sl_authz_view *a)
{
	return a->panic_observe ||
	       (a->deflt == SL_MODE_OBSERVE && a->mode4.root == NULL && a->mode6.root == NULL);
}

/** Modes of a burst: of the longest mode prefix on the address that is not the peer's (D3). */
static void
find_modes(const struct sl_authz_view *a, struct rte_mbuf **m, unsigned n, uint32_t mode[])
{
	struct sl_lookup look;
	uint8_t version;
	unsigned i;
	bool out;

	sl_lookup_begin(&look, mode, n);
	for (i = 0; i < n; i++) {
		version = sl_meta(m[i])->version;
		out = (sl_meta(m[i])->flags & SL_PKT_FROM_TUNNEL) != 0;
		sl_lookup_add(&look, mode_table(a, version), version,
			      out ? sl_pkt_dst(m[i]) : sl_pkt_src(m[i]), i);
	}
	sl_lookup_run(&look);
	for (i = 0; i < n; i++)
		if (mode[i] == SL_LPM_NONE)
			mode[i] = a->deflt;
}

/**
 * Verdict on a packet under enforce. Peer, interface and 5-tuple are in its meta. Without a policy
 * nobody has a role, and a subject without a role is denied (D1).
 * @return SL_DROP_NONE to pass
 */
static enum sl_drop
judge(const struct sl_worker *w, const struct sl_meta *meta)
{
	return SL_DROP_NO_ROLE;
}

static inline void
pass(struct rte_mbuf *m, struct sl_vec out[])
{
	bool from_tunnel = (sl_meta(m)->flags & SL_PKT_FROM_TUNNEL) != 0;

	sl_vec_add(&out[from_tunnel ? SL_NODE_FORWARD : SL_NODE_ENCAP], m);
}

static void
authz_burst(struct sl_worker *w, struct rte_mbuf **m, unsigned n, struct sl_vec out[])
{
	uint32_t mode[SL_BURST];
	enum sl_drop verdict;
	struct sl_meta *meta;
	unsigned i;

	find_modes(&w->root->authz, m, n, mode);
	for (i = 0; i < n; i++) {
		meta = sl_meta(m[i]);
		if (mode[i] == SL_MODE_OBSERVE || (meta->flags & SL_PKT_LOCAL_ORIGIN) != 0)
			verdict = SL_DROP_NONE;
		else
			verdict = judge(w, meta);
		if (verdict == SL_DROP_NONE)
			pass(m[i], out);
		else
			sl_vec_drop(&out[SL_NODE_DROP], m[i], verdict);
	}
}

/** There is no flow table: each packet that is judged needs a classification. */
static void
count(struct sl_worker *w, const struct sl_vec *in)
{
	unsigned i, from_tunnel = 0, own = 0;
	uint8_t flags;

	for (i = 0; i < in->n; i++) {
		flags = sl_meta(in->m[i])->flags;
		own += (flags & SL_PKT_LOCAL_ORIGIN) != 0;
		from_tunnel +=
			(flags & (SL_PKT_LOCAL_ORIGIN | SL_PKT_FROM_TUNNEL)) == SL_PKT_FROM_TUNNEL;
	}
	w->delta.stage[SL_STATS_POST_DECRYPT].policy_misses += from_tunnel;
	w->delta.stage[SL_STATS_PRE_ENCRYPT].policy_misses += in->n - own - from_tunnel;
}

void
sl_stage_authz(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	unsigned i, n;

	count(w, in);
	if (only_observe(&w->root->authz)) {
		for (i = 0; i < in->n; i++)
			pass(in->m[i], out);
	} else {
		for (i = 0; i < in->n; i += n) {
			n = SL_MIN(in->n - i, (unsigned)SL_BURST);
			authz_burst(w, &in->m[i], n, out);
		}
	}
	in->n = 0;
}
