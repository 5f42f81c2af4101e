/* SPDX-License-Identifier: BSD-3-Clause */
/* What a route table holds for one prefix is computed anew from its sources whenever one of them
 * changes: a static route of the interface, a static route of all, a resolved neighbour, a
 * connected network, in this order. The underlay has the sources of every attachment, an interface
 * those of its inside, and in the end its own networks: an address there that no peer has is
 * nowhere, so that a packet for it is not carried on in clear by a shorter route (D7). */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"

static uint64_t
route_hash(const struct sl_gw *gw, const struct sl_prefix *p, uint16_t iface_id)
{
	uint8_t in[20];

	in[0] = p->ip.family;
	in[1] = p->len;
	sl_store_be16(in + 2, iface_id);
	memcpy(in + 4, p->ip.b, 16);
	return sl_siphash(gw->hash_key, in, sizeof(in));
}

static struct gw_route *
route_find(const struct sl_gw *gw, const struct sl_prefix *p, uint16_t iface_id)
{
	struct gw_link *l = gw_hash_find(&gw->routes, route_hash(gw, p, iface_id));
	struct gw_route *r;

	for (; l != NULL; l = gw_hash_next(l)) {
		r = SL_CONTAINER_OF(l, struct gw_route, link);
		if (r->iface_id == iface_id && sl_prefix_equal(&r->info.prefix, p))
			return r;
	}
	return NULL;
}

/* --- one prefix of one table (f NULL: the underlay) ----------------------------------------------
 */

static bool
route_in(const struct gw_route *r, const struct gw_iface *f)
{
	if (r->iface_id != 0 && (f == NULL || f->id != r->iface_id))
		return false;
	return f == NULL || r->att == GW_ATT_NONE || r->att == f->inside_att;
}

static bool
is_connected(const struct gw_att *a, const struct sl_prefix *p)
{
	struct sl_prefix net;
	unsigned i;

	for (i = 0; i < a->n_conf; i++) {
		net = a->a.addr[i];
		sl_prefix_mask(&net);
		if (sl_prefix_equal(&net, p))
			return true;
	}
	return false;
}

static uint32_t
best_static(const struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p)
{
	struct gw_route *r = f != NULL ? route_find(gw, p, f->id) : NULL;

	if (r != NULL && route_in(r, f))
		return r->info.nh;
	r = route_find(gw, p, 0);
	return r != NULL && route_in(r, f) ? r->info.nh : SL_LPM_NONE;
}

static uint32_t
best_att(struct sl_gw *gw, const struct gw_att *a, const struct sl_prefix *p)
{
	uint32_t nh;

	if (p->len == sl_ip_bytes(&p->ip) * 8) {
		nh = gw_neigh_host(gw, a->a.id, &p->ip);
		return nh != 0 ? nh : SL_LPM_NONE;
	}
	return is_connected(a, p) ? a->glean : SL_LPM_NONE;
}

static bool
is_own_network(const struct gw_iface *f, const struct sl_prefix *p)
{
	struct sl_prefix net;
	unsigned i;

	for (i = 0; i < f->n_addr; i++) {
		net = f->addr[i];
		sl_prefix_mask(&net);
		if (sl_prefix_equal(&net, p))
			return net.len != 0 && net.len < sl_ip_bytes(&net.ip) * 8;
	}
	return false;
}

static uint32_t
best_of_iface(struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p)
{
	uint32_t nh = SL_LPM_NONE;

	if (f->inside_att != GW_ATT_NONE)
		nh = best_att(gw, gw->att[f->inside_att], p);
	return nh == SL_LPM_NONE && is_own_network(f, p) ? gw->nowhere : nh;
}

static uint32_t
best(struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p)
{
	uint32_t nh = best_static(gw, f, p);
	const struct gw_att *a;
	unsigned i;

	if (nh != SL_LPM_NONE)
		return nh;
	if (f != NULL)
		return best_of_iface(gw, f, p);
	if (p->len == sl_ip_bytes(&p->ip) * 8) {
		a = gw_att_underlay(gw, &p->ip);
		return a != NULL ? best_att(gw, a, p) : SL_LPM_NONE;
	}
	for (i = 0; i < gw->n_atts && nh == SL_LPM_NONE; i++)
		nh = best_att(gw, gw->att[i], p);
	return nh;
}

static void
refresh(struct sl_gw *gw, struct gw_iface *f, const struct sl_prefix *p)
{
	struct sl_lpm *pair = f != NULL ? f->table[GW_T_ROUTES] : gw->underlay;
	uint32_t is = gw_lpm_get(pair, p), should = best(gw, f, p);
	int rc;

	if (is == should)
		return;
	rc = should == SL_LPM_NONE ? gw_lpm_del(gw, pair, p) : gw_lpm_set(gw, pair, p, should);
	gw->routes_stale |= rc != 0; /* out of memory: made good in a later turn */
	gw->dirty = true;
	if (f != NULL)
		f->dirty = true;
}

void
gw_route_refresh_att(struct sl_gw *gw, const struct gw_att *a, const struct sl_prefix *p)
{
	unsigned i;

	refresh(gw, NULL, p);
	for (i = 0; i < a->a.n_ifaces; i++)
		refresh(gw, gw->iface[a->a.iface[i]], p);
}

/* A static route came or went. */
static void
refresh_route(struct sl_gw *gw, const struct gw_route *r)
{
	unsigned i;

	if (r->iface_id != 0) {
		refresh(gw, gw->iface[r->iface_id], &r->info.prefix);
		return;
	}
	refresh(gw, NULL, &r->info.prefix);
	for (i = 1; i < gw->n_ifaces; i++) {
		if (gw->iface[i] != NULL)
			refresh(gw, gw->iface[i], &r->info.prefix);
	}
}

void
gw_route_connected(struct sl_gw *gw, const struct gw_att *a)
{
	struct sl_prefix net;
	unsigned i;

	for (i = 0; i < a->n_conf; i++) {
		net = a->a.addr[i];
		sl_prefix_mask(&net);
		if (net.len < sl_ip_bytes(&net.ip) * 8)
			gw_route_refresh_att(gw, a, &net);
	}
}

/* --- all prefixes of an interface
 * ----------------------------------------------------------------- */

struct rebuild {
	struct sl_gw *gw;
	struct gw_iface *f;
	struct sl_prefix *old;
	unsigned n_old;
	uint8_t family;
};

static int
collect(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct rebuild *b = ctx;
	struct sl_prefix *p = &b->old[b->n_old++];

	*p = (struct sl_prefix){.ip.family = b->family, .len = (uint8_t)len};
	memcpy(p->ip.b, addr, b->family == 4 ? 4 : 16);
	return 0;
}

static void
refresh_neigh(void *ctx, const struct sl_prefix *p)
{
	struct rebuild *b = ctx;

	refresh(b->gw, b->f, p);
}

static void
refresh_old(struct rebuild *b)
{
	const struct sl_lpm *pair = b->f != NULL ? b->f->table[GW_T_ROUTES] : b->gw->underlay;
	unsigned i, n = pair[0].count + pair[1].count;

	if (n == 0)
		return;
	b->old = malloc(n * sizeof(*b->old));
	if (b->old == NULL) {
		b->gw->routes_stale = true;
		return;
	}
	for (i = 0; i < 2; i++) {
		b->family = i == 0 ? 4 : 6;
		sl_lpm_walk(&pair[i], collect, b);
	}
	for (i = 0; i < b->n_old; i++)
		refresh(b->gw, b->f, &b->old[i]);
	free(b->old);
}

static void
refresh_att(struct rebuild *b, const struct gw_att *a)
{
	struct sl_prefix net;
	unsigned i;

	for (i = 0; i < a->n_conf; i++) {
		net = a->a.addr[i];
		sl_prefix_mask(&net);
		refresh(b->gw, b->f, &net);
	}
	gw_neigh_each(b->gw, a->a.id, refresh_neigh, b);
}

void
gw_route_rebuild(struct sl_gw *gw, struct gw_iface *f)
{
	struct rebuild b = {.gw = gw, .f = f};
	unsigned i;

	refresh_old(&b);
	for (i = 0; i < gw->n_routes; i++) {
		if (route_in(gw->route[i], f))
			refresh(gw, f, &gw->route[i]->info.prefix);
	}
	for (i = 0; i < gw->n_atts; i++) {
		if (f == NULL || f->inside_att == i)
			refresh_att(&b, gw->att[i]);
	}
	for (i = 0; f != NULL && i < f->n_addr; i++) {
		struct sl_prefix net = f->addr[i];

		sl_prefix_mask(&net);
		refresh(gw, f, &net);
	}
}

void
gw_route_mend(struct sl_gw *gw)
{
	unsigned i;

	if (!gw->routes_stale)
		return;
	gw->routes_stale = false;
	gw_route_rebuild(gw, NULL);
	for (i = 1; i < gw->n_ifaces; i++) {
		if (gw->iface[i] != NULL)
			gw_route_rebuild(gw, gw->iface[i]);
	}
}

/* --- adding and removing -------------------------------------------------------------------------
 */

static int
check_prefix(struct sl_gw *gw, const struct sl_gw_route_spec *s, uint16_t iface_id,
	     struct sl_error *e)
{
	int rc = gw_prefix_check(&s->prefix, "route", "/prefix", e);

	if (rc != 0)
		return rc;
	if (gw->n_routes == GW_ROUTES_MAX && route_find(gw, &s->prefix, iface_id) == NULL)
		return gw_limit_routes(e);
	return 0;
}

/* The attachment whose connected network has `via`, among those that the route may use. */
static int
resolve_via(struct sl_gw *gw, const struct sl_gw_route_spec *s, const struct gw_iface *f,
	    struct gw_att **out, struct sl_error *e)
{
	unsigned i, n = 0;

	for (i = 0; i < gw->n_atts; i++) {
		if (f != NULL && f->inside_att != i)
			continue;
		if (sl_ip_bytes(&s->via) == 16 && s->via.b[0] == 0xfe &&
		    (s->via.b[1] & 0xc0) == 0x80)
			continue; /* link-local: only with a port */
		if (gw_att_network(gw->att[i], &s->via) != NULL) {
			*out = gw->att[i];
			n++;
		}
	}
	if (n == 1)
		return 0;
	if (n == 0)
		return gw_via_unreachable(&s->via, e);
	return gw_via_ambiguous(&s->via, e);
}

static int
check_via(struct sl_gw *gw, const struct sl_gw_route_spec *s, const struct gw_iface *f,
	  struct gw_att **a, struct sl_error *e)
{
	int rc = gw_via_check(&s->via, &s->prefix, e);

	if (rc != 0)
		return rc;
	if (*a == NULL && resolve_via(gw, s, f, a, e) != 0)
		return -EINVAL;
	if (gw_att_owns(*a, &s->via))
		return gw_via_own(&s->via, e);
	return 0;
}

/* A route of all interfaces makes its attachment an outside (D35). */
static int
check_insides(struct sl_gw *gw, const struct gw_att *a, struct sl_error *e)
{
	unsigned i;

	for (i = 0; i < a->a.n_ifaces; i++) {
		const struct gw_iface *f = gw->iface[a->a.iface[i]];

		if (f->n_inside == 0)
			return gw_route_outside(f->name, e);
	}
	return 0;
}

static int
check_hop(struct sl_gw *gw, const struct sl_gw_route_spec *s, const struct gw_iface *f,
	  struct gw_att **a, struct sl_error *e)
{
	int rc = 0;

	*a = NULL;
	if (s->blackhole)
		return 0;
	if (s->port != NULL) {
		rc = gw_att_check(gw, s->port, s->vlan, "/port", e);
		if (rc == 0)
			*a = gw_att_find(gw, s->port, s->vlan);
		if (rc == 0 && *a == NULL)
			rc = gw_vlan_unknown(s->port, s->vlan, e);
	} else if (s->via.family == 0) {
		rc = gw_route_incomplete(e);
	}
	if (rc == 0 && s->via.family != 0)
		rc = check_via(gw, s, f, a, e);
	if (rc == 0 && f != NULL && f->inside_att != (*a)->a.id)
		rc = gw_route_not_inside(f->name, e);
	return rc == 0 && f == NULL ? check_insides(gw, *a, e) : rc;
}

static int
routes_room(struct sl_gw *gw, struct sl_error *e)
{
	struct gw_route **grown;
	unsigned cap = gw->cap_routes != 0 ? gw->cap_routes * 2 : 16;

	if (gw->n_routes < gw->cap_routes)
		return 0;
	grown = realloc(gw->route, cap * sizeof(struct gw_route *));
	if (grown == NULL)
		return gw_no_memory(e);
	gw->route = grown;
	gw->cap_routes = cap;
	return 0;
}

static struct gw_route *
route_new(struct sl_gw *gw, const struct sl_gw_route_spec *s, const struct gw_iface *f,
	  const struct gw_att *a, struct sl_error *e)
{
	struct gw_route *r = routes_room(gw, e) == 0 ? calloc(1, sizeof(*r)) : NULL;

	if (r == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	r->att = a != NULL ? a->a.id : GW_ATT_NONE;
	r->iface_id = f != NULL ? f->id : 0;
	r->info = (struct sl_gw_route_info){.prefix = s->prefix,
					    .via = s->blackhole ? (struct sl_ip){0} : s->via,
					    .port = a != NULL ? gw_att_port_name(gw, a) : NULL,
					    .iface = f != NULL ? f->name : NULL,
					    .vlan = a != NULL ? a->a.vlan : 0,
					    .blackhole = s->blackhole};
	if (a == NULL)
		r->info.nh = gw->blackhole;
	else if (r->info.via.family == 0)
		r->info.nh = a->glean;
	else
		r->info.nh = gw_neigh_pin(gw, a, &r->info.via);
	if (r->info.nh != 0)
		return r;
	sl_fail(e, -ENOSPC, "limit_neighbours", "/via", "no room for another neighbour");
	free(r);
	return NULL;
}

static void
route_enter(struct sl_gw *gw, struct gw_route *r)
{
	r->at = gw->n_routes;
	gw->route[gw->n_routes++] = r;
	gw_hash_add(&gw->routes, &r->link, route_hash(gw, &r->info.prefix, r->iface_id));
	refresh_route(gw, r);
}

static void
route_remove(struct sl_gw *gw, struct gw_route *r)
{
	gw_hash_del(&gw->routes, &r->link);
	gw->route[r->at] = gw->route[--gw->n_routes];
	gw->route[r->at]->at = r->at;
	refresh_route(gw, r);
	if (r->att != GW_ATT_NONE && r->info.via.family != 0)
		gw_neigh_unpin(gw, gw->att[r->att], &r->info.via);
	free(r);
}

int
sl_gw_route_add(struct sl_gw *gw, const struct sl_gw_route_spec *s, struct sl_error *e)
{
	struct gw_iface *f = s->iface != NULL ? gw_iface_by_name(gw, s->iface) : NULL;
	struct gw_route *r, *old;
	struct gw_att *a = NULL;
	int rc;

	if (s->iface != NULL && f == NULL)
		return sl_fail(e, -ENOENT, "interface_unknown", "/interface",
			       "no interface \"%.32s\"", s->iface);
	rc = check_prefix(gw, s, f != NULL ? f->id : 0, e);
	if (rc == 0)
		rc = check_hop(gw, s, f, &a, e);
	if (rc != 0)
		return rc;
	sl_gw_begin(gw);
	r = route_new(gw, s, f, a, e);
	if (r != NULL) {
		old = route_find(gw, &s->prefix, r->iface_id);
		if (old != NULL)
			route_remove(gw, old);
		route_enter(gw, r);
	}
	sl_gw_commit(gw);
	return r != NULL ? 0 : -ENOSPC;
}

int
sl_gw_route_del(struct sl_gw *gw, const struct sl_prefix *p, const char *iface, struct sl_error *e)
{
	struct gw_iface *f = iface != NULL ? gw_iface_by_name(gw, iface) : NULL;
	char text[SL_PREFIX_STR];
	struct gw_route *r;

	if (iface != NULL && f == NULL)
		return sl_fail(e, -ENOENT, "interface_unknown", "/interface",
			       "no interface \"%.32s\"", iface);
	r = route_find(gw, p, f != NULL ? f->id : 0);
	if (r == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/prefix", "no static route to %s%s%s",
			       sl_prefix_str(p, text), f != NULL ? " of " : "",
			       f != NULL ? f->name : "");
	sl_gw_begin(gw);
	route_remove(gw, r);
	sl_gw_commit(gw);
	return 0;
}

void
gw_route_forget(struct sl_gw *gw, struct gw_iface *f)
{
	unsigned i = 0;

	while (i < gw->n_routes) {
		if (gw->route[i]->iface_id == f->id)
			route_remove(gw, gw->route[i]);
		else
			i++;
	}
}

void
gw_routes_free(struct sl_gw *gw)
{
	while (gw->n_routes > 0)
		free(gw->route[--gw->n_routes]);
	free(gw->route);
}

void
sl_gw_route_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_route_info *r),
		 void *ctx)
{
	unsigned i, k;

	for (i = 0; i < gw->n_atts; i++) {
		const struct gw_att *a = gw->att[i];
		struct sl_gw_route_info info = {.port = gw_att_port_name(gw, a),
						.vlan = a->a.vlan,
						.connected = true,
						.nh = a->glean};

		for (k = 0; k < a->n_conf; k++) {
			info.prefix = a->a.addr[k];
			sl_prefix_mask(&info.prefix);
			fn(ctx, &info);
		}
	}
	for (i = 0; i < gw->n_routes; i++)
		fn(ctx, &gw->route[i]->info);
}
