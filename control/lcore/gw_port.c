/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"

struct gw_att *
gw_att_find(struct sl_gw *gw, const char *port, uint16_t vlan)
{
	unsigned i;

	for (i = 0; i < gw->n_atts; i++) {
		struct gw_att *a = gw->att[i];

		if (a->a.vlan == vlan && strcmp(gw_att_port_name(gw, a), port) == 0)
			return a;
	}
	return NULL;
}

const char *
gw_att_port_name(const struct sl_gw *gw, const struct gw_att *a)
{
	return gw->port[a->a.port].port->name;
}

static struct gw_att *
att_new(struct sl_gw *gw, unsigned number, uint16_t vlan, struct sl_error *e)
{
	const struct sl_port *port = gw->port[number].port;
	struct gw_att *a;
	unsigned i, of_port = 0;

	for (i = 0; i < gw->n_atts; i++)
		of_port += gw->att[i]->a.port == number;
	if (gw->n_atts == SL_ATT_MAX || of_port == SL_ATT_IFACES) {
		gw_limit_attachments(e);
		return NULL;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	a->glean = sl_nh_alloc(gw->dp->nhs);
	if (a->glean == 0) {
		free(a);
		sl_fail(e, -ENOSPC, "limit_next_hops", "", "the table of next hops is full");
		return NULL;
	}
	a->a.id = (uint16_t)gw->n_atts;
	a->a.port = (uint16_t)number;
	a->a.vlan = vlan;
	a->a.mtu = port->mtu;
	memcpy(a->a.mac, port->mac, 6);
	a->dirty = true;
	sl_nh_write(gw->dp->nhs, a->glean, SL_NH_GLEAN, SL_NH_USABLE, &a->a, NULL, NULL);
	gw->att[gw->n_atts++] = a;
	gw->dirty = true;
	return a;
}

static int
port_number(struct sl_gw *gw, const char *name)
{
	unsigned i;

	for (i = 0; i < SL_PORT_MAX; i++) {
		if (gw->port[i].port != NULL && strcmp(gw->port[i].port->name, name) == 0)
			return (int)i;
	}
	return -1;
}

int
gw_att_check(struct sl_gw *gw, const char *port, uint16_t vlan, const char *path,
	     struct sl_error *e)
{
	if (port_number(gw, port) < 0) {
		sl_fail(e, -ENOENT, "port_unknown", path, "no port has the name \"%s\"", port);
		sl_hint(e, "define the port, or see `port list` for the names");
		return -ENOENT;
	}
	if (vlan > 4094)
		return sl_fail(e, -EINVAL, "vlan_invalid", path, "VLAN %u is not in 0-4094", vlan);
	return 0;
}

int
gw_att_get(struct sl_gw *gw, const char *port, uint16_t vlan, const char *path, struct gw_att **out,
	   struct sl_error *e)
{
	int rc = gw_att_check(gw, port, vlan, path, e);

	if (rc != 0)
		return rc;
	*out = gw_att_find(gw, port, vlan);
	if (*out == NULL)
		*out = att_new(gw, (unsigned)port_number(gw, port), vlan, e);
	return *out != NULL ? 0 : -ENOSPC;
}

const struct sl_prefix *
gw_att_network(const struct gw_att *a, const struct sl_ip *ip)
{
	const struct sl_prefix *best = NULL;
	unsigned i;

	for (i = 0; i < a->a.n_addrs; i++) {
		const struct sl_prefix *p = &a->a.addr[i];

		if (sl_prefix_contains(p, ip) && (best == NULL || p->len > best->len))
			best = p;
	}
	return best;
}

bool
gw_att_owns(const struct gw_att *a, const struct sl_ip *ip)
{
	unsigned i;

	for (i = 0; i < a->a.n_addrs; i++) {
		if (sl_ip_equal(&a->a.addr[i].ip, ip))
			return true;
	}
	return false;
}

struct gw_att *
gw_att_underlay(struct sl_gw *gw, const struct sl_ip *ip)
{
	struct gw_att *best = NULL;
	int len = -1;
	unsigned i, k;

	for (i = 0; i < gw->n_atts; i++) {
		struct gw_att *a = gw->att[i];

		for (k = 0; k < a->n_conf; k++) {
			if (a->a.addr[k].len > len && sl_prefix_contains(&a->a.addr[k], ip)) {
				best = a;
				len = a->a.addr[k].len;
			}
		}
	}
	return best;
}

void
gw_att_join(struct sl_gw *gw, struct gw_att *a, uint16_t iface_id)
{
	if (a->a.n_ifaces == SL_ATT_IFACES)
		return; /* checked before: limit_inside */
	a->a.iface[a->a.n_ifaces++] = iface_id;
	a->dirty = true;
	gw->dirty = true;
}

void
gw_att_leave(struct sl_gw *gw, struct gw_att *a, uint16_t iface_id)
{
	unsigned i, k = 0;

	for (i = 0; i < a->a.n_ifaces; i++) {
		if (a->a.iface[i] != iface_id)
			a->a.iface[k++] = a->a.iface[i];
	}
	a->a.n_ifaces = (uint8_t)k;
	a->dirty = true;
	gw->dirty = true;
}

/* --- adding a port ---------------------------------------------------------------------------- */

static void
add_link_local(struct gw_att *a)
{
	struct sl_prefix ll = {.ip.family = 6, .len = 64};
	bool v6 = false;
	unsigned i;

	sl_ip6_link_local(a->a.mac, ll.ip.b);
	for (i = 0; i < a->n_conf; i++) {
		v6 |= a->a.addr[i].ip.family == 6;
		if (sl_ip_equal(&a->a.addr[i].ip, &ll.ip))
			return;
	}
	if (v6)
		a->a.addr[a->a.n_addrs++] = ll;
}

static int
port_check(struct sl_gw *gw, unsigned number, const struct sl_port *port,
	   const struct sl_gw_addr *addr, unsigned n_addr, struct sl_error *e)
{
	if (number >= SL_PORT_MAX)
		return sl_fail(e, -ENOSPC, "limit_ports", "", "more than %u ports", SL_PORT_MAX);
	if (gw->port[number].port != NULL)
		return sl_fail(e, -EEXIST, "port_in_use", "", "port number %u is taken by \"%s\"",
			       number, gw->port[number].port->name);
	if (port_number(gw, port->name) >= 0)
		return sl_fail(e, -EEXIST, "name_in_use", "/name",
			       "another port has the name \"%s\"", port->name);
	return gw_port_addresses_check(addr, n_addr, e);
}

/* Attachments of the port: the untagged one first, then the VLANs in the order given. */
static int
port_attach(struct sl_gw *gw, unsigned number, struct sl_error *e)
{
	struct gw_port *p = &gw->port[number];
	struct gw_att *a;
	unsigned i, pass;

	for (pass = 0; pass < 2; pass++) {
		for (i = 0; i < p->n_addr; i++) {
			if ((p->addr[i].vlan == 0) != (pass == 0))
				continue;
			a = gw_att_find(gw, p->port->name, p->addr[i].vlan);
			if (a == NULL)
				a = att_new(gw, number, p->addr[i].vlan, e);
			if (a == NULL)
				return -ENOSPC;
			a->a.addr[a->a.n_addrs++] = p->addr[i].prefix;
			a->n_conf++;
		}
	}
	return 0;
}

/* Its attachments were never published. */
static void
port_undo(struct sl_gw *gw, unsigned number, unsigned n_atts)
{
	while (gw->n_atts > n_atts) {
		sl_nh_free(gw->dp->nhs, gw->att[--gw->n_atts]->glean);
		free(gw->att[gw->n_atts]);
	}
	free(gw->port[number].addr);
	gw->port[number] = (struct gw_port){0};
}

int
sl_gw_port_add(struct sl_gw *gw, unsigned number, const struct sl_port *port,
	       const struct sl_gw_addr *addr, unsigned n_addr, struct sl_error *e)
{
	int rc = port_check(gw, number, port, addr, n_addr, e);
	struct gw_port *p = &gw->port[number];
	unsigned i, n_atts;

	if (rc != 0)
		return rc;
	if (n_addr > 0) {
		p->addr = malloc(n_addr * sizeof(*addr));
		if (p->addr == NULL)
			return gw_no_memory(e);
		memcpy(p->addr, addr, n_addr * sizeof(*addr));
	}
	sl_gw_begin(gw);
	n_atts = gw->n_atts;
	p->port = port;
	p->n_addr = n_addr;
	gw->dirty = true;
	rc = port_attach(gw, number, e);
	if (rc != 0)
		port_undo(gw, number, n_atts);
	for (i = 0; rc == 0 && i < gw->n_atts; i++) {
		if (gw->att[i]->a.port == number) {
			add_link_local(gw->att[i]);
			gw_route_connected(gw, gw->att[i]);
		}
	}
	sl_gw_commit(gw);
	return rc;
}

void
sl_gw_port_walk(struct sl_gw *gw, void (*fn)(void *ctx, const struct sl_gw_port_view *v), void *ctx)
{
	struct sl_gw_port_view v;
	unsigned i;

	for (i = 0; i < SL_PORT_MAX; i++) {
		if (gw->port[i].port == NULL)
			continue;
		v = (struct sl_gw_port_view){.number = i,
					     .port = gw->port[i].port,
					     .addr = gw->port[i].addr,
					     .n_addr = gw->port[i].n_addr};
		fn(ctx, &v);
	}
}

void
gw_ports_free(struct sl_gw *gw)
{
	unsigned i;

	for (i = 0; i < SL_PORT_MAX; i++)
		free(gw->port[i].addr);
	for (i = 0; i < gw->n_atts; i++) {
		sl_nh_free(gw->dp->nhs, gw->att[i]->glean);
		gw_obj_free(gw->att[i]->view);
		free(gw->att[i]);
	}
}
