/* SPDX-License-Identifier: BSD-3-Clause */
/* From master copies to one new root. Only views of changed interfaces and attachments are made
 * anew; the arrays that lead to them are copied when an element changed. What the old root alone
 * referred to forms one batch that is freed after a grace period. */
#include <stdlib.h>

#include "gw.h"
#include "gw_policy.h"

/* Before each object; keeps the cache line alignment of what follows. */
struct gw_obj {
	struct gw_obj *next;
	uint8_t pad[SL_CACHE_LINE - sizeof(void *)];
};
_Static_assert(sizeof(struct gw_obj) == SL_CACHE_LINE, "keeps alignment");

struct gw_root {
	struct sl_root root;
	struct sl_iface_view **ifaces;
	struct sl_att **atts;
	uint16_t *udp_port;
};

struct batch {
	struct sl_rcu_head rcu;
	struct sl_lpm_garbage garbage;
	struct gw_obj *objs;
	struct gw_iface *ifaces;
	struct gw_later *later;
	uint32_t nhs;
};

void *
gw_obj_alloc(size_t size)
{
	struct gw_obj *o;

	size = (size + SL_CACHE_LINE - 1) / SL_CACHE_LINE * SL_CACHE_LINE + sizeof(*o);
	o = aligned_alloc(SL_CACHE_LINE, size);
	if (o == NULL)
		return NULL;
	memset(o, 0, size);
	return o + 1;
}

void
gw_obj_free(void *obj)
{
	if (obj != NULL)
		free((struct gw_obj *)obj - 1);
}

void
gw_obj_retire(struct sl_gw *gw, void *obj)
{
	struct gw_obj *o;

	if (obj == NULL)
		return;
	o = (struct gw_obj *)obj - 1;
	o->next = gw->retired;
	gw->retired = o;
}

void
gw_later_retire(struct sl_gw *gw, struct gw_later *l)
{
	l->next = gw->later;
	gw->later = l;
}

/* --- views
 * ---------------------------------------------------------------------------------------- */

static int
view_iface(struct sl_gw *gw, struct gw_iface *f)
{
	struct sl_iface_view *v = gw_obj_alloc(sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	v->id = f->id;
	v->listen_port = f->listen_port;
	v->mtu = f->mtu;
	v->inside_att = f->inside_att;
	v->up = true;
	v->isolation = f->isolation;
	v->mss_clamp = f->mss_clamp;
	v->inside_any = f->inside_att != GW_ATT_NONE && f->n_inside == 0;
	v->outer_udp_csum = (uint8_t)f->udp_csum;
	memcpy(v->name, f->name, sizeof(v->name));
	v->peers4 = f->table[GW_T_PEERS][0];
	v->peers6 = f->table[GW_T_PEERS][1];
	v->inside4 = f->table[GW_T_INSIDE][0];
	v->inside6 = f->table[GW_T_INSIDE][1];
	v->routes4 = f->table[GW_T_ROUTES][0];
	v->routes6 = f->table[GW_T_ROUTES][1];
	v->local4 = f->table[GW_T_LOCAL][0];
	v->local6 = f->table[GW_T_LOCAL][1];
	v->n_addrs = f->n_addr;
	if (f->n_addr > 0)
		memcpy(v->addr, f->addr, f->n_addr * sizeof(*f->addr));
	gw_obj_retire(gw, f->view);
	f->view = v;
	return 0;
}

static int
view_att(struct sl_gw *gw, struct gw_att *a)
{
	struct sl_att *v = gw_obj_alloc(sizeof(*v));

	if (v == NULL)
		return -ENOMEM;
	*v = a->a;
	gw_obj_retire(gw, a->view);
	a->view = v;
	return 0;
}

/* The dirty marks stay until the root is stored, so that a failure is made good by the next try. */
static int
make_views(struct sl_gw *gw, bool *ifaces_changed, bool *atts_changed)
{
	unsigned i;

	for (i = 0; i < gw->n_ifaces; i++) {
		if (gw->iface[i] == NULL || !gw->iface[i]->dirty)
			continue;
		if (view_iface(gw, gw->iface[i]) != 0)
			return -ENOMEM;
		*ifaces_changed = true;
	}
	for (i = 0; i < gw->n_atts; i++) {
		if (!gw->att[i]->dirty)
			continue;
		if (view_att(gw, gw->att[i]) != 0)
			return -ENOMEM;
		*atts_changed = true;
	}
	return 0;
}

static void
clear_dirty(struct sl_gw *gw)
{
	unsigned i;

	for (i = 0; i < gw->n_ifaces; i++) {
		if (gw->iface[i] != NULL)
			gw->iface[i]->dirty = false;
	}
	for (i = 0; i < gw->n_atts; i++)
		gw->att[i]->dirty = false;
	gw->udp_dirty = false;
	gw->ifaces_dirty = false;
	gw->dirty = false;
	gw->publish_failed = false;
}

/* --- arrays
 * ----------------------------------------------------------------------------------------- */

static int
make_ifaces(struct sl_gw *gw, struct gw_root *r)
{
	unsigned i;

	r->ifaces = gw_obj_alloc((gw->n_ifaces + 1) * sizeof(struct sl_iface_view *));
	if (r->ifaces == NULL)
		return -ENOMEM;
	for (i = 0; i < gw->n_ifaces; i++)
		r->ifaces[i] = gw->iface[i] != NULL ? gw->iface[i]->view : NULL;
	return 0;
}

static int
make_atts(struct sl_gw *gw, struct gw_root *r)
{
	unsigned i;

	r->atts = gw_obj_alloc((gw->n_atts + 1) * sizeof(struct sl_att *));
	if (r->atts == NULL)
		return -ENOMEM;
	for (i = 0; i < gw->n_atts; i++)
		r->atts[i] = gw->att[i]->view;
	return 0;
}

static int
make_udp_ports(struct sl_gw *gw, struct gw_root *r)
{
	r->udp_port = gw_obj_alloc(sizeof(gw->udp_port));
	if (r->udp_port == NULL)
		return -ENOMEM;
	memcpy(r->udp_port, gw->udp_port, sizeof(gw->udp_port));
	return 0;
}

static int
make_arrays(struct sl_gw *gw, struct gw_root *r, bool ifaces_changed, bool atts_changed)
{
	const struct gw_root *old = gw->root;
	int rc = 0;

	if (old == NULL || ifaces_changed || old->root.n_ifaces != gw->n_ifaces)
		rc = make_ifaces(gw, r);
	else
		r->ifaces = old->ifaces;
	if (rc == 0 && (old == NULL || atts_changed))
		rc = make_atts(gw, r);
	else if (rc == 0)
		r->atts = old->atts;
	if (rc == 0 && (old == NULL || gw->udp_dirty))
		rc = make_udp_ports(gw, r);
	else if (rc == 0)
		r->udp_port = old->udp_port;
	return rc;
}

static void
drop_arrays(const struct gw_root *old, struct gw_root *r)
{
	if (old == NULL || r->ifaces != old->ifaces)
		gw_obj_free(r->ifaces);
	if (old == NULL || r->atts != old->atts)
		gw_obj_free(r->atts);
	if (old == NULL || r->udp_port != old->udp_port)
		gw_obj_free(r->udp_port);
}

static void
fill_ports(struct sl_gw *gw, struct sl_root *r)
{
	unsigned i;

	for (i = 0; i < SL_PORT_MAX; i++) {
		if (gw->port[i].port == NULL)
			continue;
		r->port[i].present = true;
		memcpy(r->port[i].mac, gw->port[i].port->mac, 6);
	}
	for (i = 0; i < gw->n_atts; i++) { /* a port's untagged one has the lowest id */
		struct sl_port_view *v = &r->port[gw->att[i]->a.port];

		if (v->n_att == SL_ATT_IFACES)
			continue; /* checked when it was made: limit_attachments */
		if (gw->att[i]->a.vlan == 0 && v->n_att > 0) {
			v->att[v->n_att++] = v->att[0];
			v->att[0] = (uint16_t)i;
		} else {
			v->att[v->n_att++] = (uint16_t)i;
		}
	}
}

static void
fill_root(struct sl_gw *gw, struct gw_root *r)
{
	r->root.generation = gw->generation + 1;
	r->root.underlay4 = gw->underlay[0];
	r->root.underlay6 = gw->underlay[1];
	r->root.authz.deflt = gw->mode.view.deflt;
	r->root.authz.panic_observe = gw->mode.view.panic;
	r->root.authz.mode4 = gw->mode.table[0];
	r->root.authz.mode6 = gw->mode.table[1];
	r->root.authz.required4 = gw->mode.log.table[0];
	r->root.authz.required6 = gw->mode.log.table[1];
	r->root.authz.logging = !gw->mode.log.quiet;
	r->root.authz.policy = gw->policy->view;
	r->root.n_ifaces = gw->n_ifaces;
	r->root.iface = (const struct sl_iface_view *const *)r->ifaces;
	r->root.iface_by_udp_port = r->udp_port;
	r->root.n_atts = gw->n_atts;
	r->root.att = (const struct sl_att *const *)r->atts;
	fill_ports(gw, &r->root);
}

/* --- the store and what comes after
 * ------------------------------------------------------------------ */

static void
free_objs(struct gw_obj *o)
{
	struct gw_obj *next;

	for (; o != NULL; o = next) {
		next = o->next;
		free(o);
	}
}

/* In the order in which they were retired: versions before the builder that made them. */
static void
run_later(struct sl_gw *gw, struct gw_later *newest)
{
	struct gw_later *next, *l = NULL;

	for (; newest != NULL; newest = next) {
		next = newest->next;
		newest->next = l;
		l = newest;
	}
	for (; l != NULL; l = next) {
		next = l->next;
		l->fn(gw, l);
	}
}

static void
batch_reclaim(void *ctx, void *obj)
{
	struct sl_gw *gw = ctx;
	struct batch *b = obj;
	struct gw_iface *f = b->ifaces, *next;
	uint32_t nh = b->nhs;

	sl_lpm_garbage_free(&b->garbage);
	free_objs(b->objs);
	run_later(gw, b->later);
	for (; f != NULL; f = next) {
		next = f->next_retired;
		gw_iface_free(gw, f);
	}
	for (; nh != 0; nh = gw->nh_next_retired[nh])
		sl_nh_free(gw->dp->nhs, nh);
	free(b);
}

static void
retire_root(struct sl_gw *gw, struct gw_root *old, const struct gw_root *r)
{
	if (old == NULL)
		return;
	if (old->ifaces != r->ifaces)
		gw_obj_retire(gw, old->ifaces);
	if (old->atts != r->atts)
		gw_obj_retire(gw, old->atts);
	if (old->udp_port != r->udp_port)
		gw_obj_retire(gw, old->udp_port);
	gw_obj_retire(gw, old);
}

static void
retire_batch(struct sl_gw *gw, struct batch *b)
{
	b->objs = gw->retired;
	b->ifaces = gw->retired_ifaces;
	b->later = gw->later;
	b->nhs = gw->nh_retired;
	gw->retired = NULL;
	gw->later = NULL;
	gw->retired_ifaces = NULL;
	gw->nh_retired = 0;
	sl_rcu_defer_head(gw->conf.reclaim, &b->rcu, batch_reclaim, gw, b);
}

int
gw_publish(struct sl_gw *gw)
{
	struct gw_root *r, *old = gw->root;
	bool ifaces_changed = gw->ifaces_dirty, atts_changed = false;
	struct batch *b;

	if (!gw->dirty)
		return 0;
	r = gw_obj_alloc(sizeof(*r));
	b = calloc(1, sizeof(*b));
	if (r == NULL || b == NULL || gw_who_publish(gw) != 0 ||
	    make_views(gw, &ifaces_changed, &atts_changed) != 0 ||
	    make_arrays(gw, r, ifaces_changed, atts_changed) != 0) {
		if (r != NULL)
			drop_arrays(old, r);
		gw_obj_free(r);
		free(b);
		gw->publish_failed = true;
		return -ENOMEM;
	}
	fill_root(gw, r);
	sl_lpm_garbage_move(&b->garbage, &gw->garbage); /* seals the drafts */
	atomic_store_explicit(&gw->dp->root, &r->root, memory_order_release);
	gw->generation++;
	gw->root = r;
	clear_dirty(gw);
	retire_root(gw, old, r);
	retire_batch(gw, b);
	return 0;
}

void
gw_publish_free(struct sl_gw *gw)
{
	struct gw_iface *f;

	atomic_store_explicit(&gw->dp->root, NULL, memory_order_release);
	sl_lpm_garbage_free(&gw->garbage);
	free_objs(gw->retired);
	while ((f = gw->retired_ifaces) != NULL) {
		gw->retired_ifaces = f->next_retired;
		gw_iface_free(gw, f);
	}
	if (gw->root != NULL)
		drop_arrays(NULL, gw->root);
	gw_obj_free(gw->root);
	run_later(gw, gw->later);
	gw->later = NULL;
}
