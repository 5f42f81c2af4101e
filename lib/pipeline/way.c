/* SPDX-License-Identifier: BSD-3-Clause */
#include "way.h"

static inline bool
is_in_net(const struct sl_prefix *own, uint32_t net)
{
	return own->ip.family == 4 && sl_load_be32(own->ip.b) >> SL_WAY_HOST_BITS == net;
}

/** Is one of the interface's own addresses in the network? */
static bool
owns_some(const struct sl_iface_view *f, const uint8_t *dst, uint32_t net)
{
	unsigned i;

	if (f->n_addrs > SL_IFACE_FEW) /* as sl_iface_owns() */
		return sl_lpm_overlaps(&f->local4, dst, 32 - SL_WAY_HOST_BITS);
	for (i = 0; i < f->n_addrs; i++)
		if (is_in_net(&f->addr[i], net))
			return true;
	return false;
}

static bool
att_owns_some(const struct sl_att *att, uint32_t net)
{
	unsigned i;

	for (i = 0; i < att->n_addrs; i++)
		if (is_in_net(&att->addr[i], net))
			return true;
	return false;
}

/** Are all addresses of the network some peer's, or none? */
static inline bool
is_alike(const struct sl_lpm *t, const uint8_t *dst)
{
	return sl_lpm_alike(t, dst) >= SL_WAY_HOST_BITS;
}

/** Does what holds for `dst` hold for all of its network? As stage forward asks, for what goes to
 * the inside; ranges that no router forwards are larger than a network. */
static bool
goes_one_way(const struct sl_worker *w, const struct sl_iface_view *f, const struct sl_att *att,
	     const uint8_t *dst, uint32_t net)
{
	const struct sl_iface_view *other;
	unsigned k;

	if (!is_alike(&f->routes4, dst) || !is_alike(&f->peers4, dst) || owns_some(f, dst, net))
		return false;
	if (att == NULL)
		return true;
	for (k = 0; k < att->n_ifaces; k++) {
		other = sl_root_iface(w->root, att->iface[k]);
		if (other != NULL && !is_alike(&other->peers4, dst))
			return false;
	}
	return !att_owns_some(att, net);
}

static void
put(uint64_t *way, uint16_t iface, uint32_t place, uint32_t nh)
{
	way[sl_way_at(iface, place)] = sl_way_about(iface, place) << 16 | nh;
}

void
sl_way_put(struct sl_worker *w, struct rte_mbuf *m, const struct sl_iface_view *f,
	   const struct sl_att *att, uint32_t nh)
{
	const uint8_t *dst = sl_pkt_dst(m);
	uint32_t addr = sl_load_be32(dst), net = addr >> SL_WAY_HOST_BITS;
	uint16_t iface = sl_meta(m)->iface_id;

	if (sl_meta(m)->version != 4 || nh > UINT16_MAX)
		return;
	if (w->ways.net[sl_way_at(iface, net)] != sl_way_about(iface, net) << 16) {
		if (goes_one_way(w, f, att, dst, net)) {
			put(w->ways.net, iface, net, nh);
			return;
		}
		put(w->ways.net, iface, net, 0);
	}
	put(w->ways.host, iface, addr, nh);
}
