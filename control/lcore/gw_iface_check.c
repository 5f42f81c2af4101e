/* SPDX-License-Identifier: BSD-3-Clause */
#include <ctype.h>
#include <stdio.h>

#include "gw.h"

#define IFACE_MTU_MIN 1280
#define IFACE_MTU_MAX 9000

static int
check_name(const char *name, struct sl_error *e)
{
	size_t i, n = name != NULL ? strlen(name) : 0;
	bool ok = n >= 1 && n <= 15 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;

	for (i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)name[i]) || strchr("_.-", name[i]) != NULL;
	if (ok)
		return 0;
	sl_fail(e, -EINVAL, "name_invalid", "/name", "\"%.32s\" cannot name an interface",
		name != NULL ? name : "");
	sl_hint(e, "use 1 to 15 characters of A-Z a-z 0-9 _ . -");
	return -EINVAL;
}

static int
check_listen_port(struct sl_gw *gw, const struct gw_iface *f, uint16_t port, struct sl_error *e)
{
	uint16_t by = gw->udp_port[port];

	if (port == 0)
		return 0;
	if (port == 443) {
		sl_fail(e, -EINVAL, "port_443", "/listen_port",
			"UDP port 443 is not available to tunnels");
		sl_hint(e, "choose another port, for example 51820");
		return -EINVAL;
	}
	if (by == 0 || (f != NULL && by == f->id))
		return 0;
	sl_fail(e, -EADDRINUSE, "port_in_use", "/listen_port", "UDP port %u belongs to %s already",
		port, gw->iface[by]->name);
	sl_hint(e, "each interface needs a UDP port of its own");
	return -EADDRINUSE;
}

static int
check_scalars(const struct sl_gw_iface_spec *s, struct sl_error *e)
{
	if (s->fields & SL_IF_MTU && (s->mtu < IFACE_MTU_MIN || s->mtu > IFACE_MTU_MAX))
		return sl_fail(e, -ERANGE, "mtu_range", "/mtu", "MTU %u is not in %u-%u", s->mtu,
			       IFACE_MTU_MIN, IFACE_MTU_MAX);
	if (s->fields & SL_IF_UDP_CSUM && (unsigned)s->udp_csum > SL_UDP_CSUM_FULL)
		return sl_fail(e, -EINVAL, "udp_csum_invalid", "/outer_udp_checksum",
			       "not a checksum mode: %u", (unsigned)s->udp_csum);
	if (!(s->fields & SL_IF_KEY))
		return 0;
	if ((s->key_source == SL_KEY_FILE || s->key_source == SL_KEY_UAPI) &&
	    (s->key == NULL || sl_ct_is_zero(s->key, sizeof(*s->key))))
		return sl_fail(e, -EINVAL, "key_invalid", "/private_key",
			       "the private key is missing or zero");
	return 0;
}

/* --- D35: what comes from inside ----------------------------------------------------------------
 */

bool
gw_att_is_outside(struct sl_gw *gw, const struct gw_att *a, const char **why)
{
	unsigned i;

	if (gw->n_atts == 0 || (gw->n_atts == 1 && gw->att[0] == a)) {
		*why = "it is the only port and VLAN of the gateway";
		return true;
	}
	for (i = 0; a != NULL && i < gw->n_routes; i++) {
		if (gw->route[i]->iface_id == 0 && gw->route[i]->att == a->a.id) {
			*why = "a route of the underlay leaves through it";
			return true;
		}
	}
	return false;
}

static int
check_inside(struct sl_gw *gw, const struct gw_iface *f, const struct sl_gw_iface_spec *s,
	     struct gw_att **att, struct sl_error *e)
{
	const char *why;
	char path[40];
	unsigned i;
	int rc;

	*att = NULL;
	if (s->inside_port == NULL && s->n_inside_prefixes > 0)
		return sl_fail(e, -EINVAL, "inside_port_missing", "/inside/port",
			       "inside prefixes are given without an inside port");
	if (s->inside_port == NULL)
		return 0;
	rc = gw_att_check(gw, s->inside_port, s->inside_vlan, "/inside/port", e);
	if (rc != 0)
		return rc;
	if (s->n_inside_prefixes > GW_PREFIXES_MAX)
		return sl_fail(e, -ENOSPC, "limit_prefixes", "/inside/prefixes",
			       "%u prefixes, at most %u are possible", s->n_inside_prefixes,
			       GW_PREFIXES_MAX);
	for (i = 0; i < s->n_inside_prefixes; i++) {
		snprintf(path, sizeof(path), "/inside/prefixes/%u", i);
		rc = gw_prefix_check(&s->inside_prefixes[i], "inside", path, e);
		if (rc != 0)
			return rc;
	}
	*att = gw_att_find(gw, s->inside_port, s->inside_vlan);
	if (s->n_inside_prefixes == 0 && gw_att_is_outside(gw, *att, &why))
		return gw_inside_required(s->name, s->inside_port, why, e);
	if (*att != NULL && (*att)->a.n_ifaces == SL_ATT_IFACES &&
	    (f == NULL || f->inside_att != (*att)->a.id))
		return gw_limit_inside(e);
	return 0;
}

/* --- D36: interfaces that share an inside --------------------------------------------------------
 */

static int
fail_overlap(struct sl_error *e, const struct sl_prefix *p, const char *what,
	     const struct gw_iface *g, const char *path)
{
	char text[SL_PREFIX_STR];

	sl_fail(e, -EEXIST, "inside_overlap", path,
		"%s overlaps %s of interface %s (/interfaces/%s), which shares the inside port",
		sl_prefix_str(p, text), what, g->name, g->name);
	sl_hint(e,
		"give the interfaces disjoint addresses, or insides of their own (port or VLAN)");
	return -EEXIST;
}

static int
check_against(const struct gw_iface *g, const struct sl_prefix *p, const char *path,
	      struct sl_error *e)
{
	unsigned fam = gw_fam(&p->ip);

	if (sl_lpm_overlaps(&g->table[GW_T_PEERS][fam], p->ip.b, p->len))
		return fail_overlap(e, p, "the AllowedIPs", g, path);
	if (sl_lpm_overlaps(&g->table[GW_T_LOCAL][fam], p->ip.b, p->len))
		return fail_overlap(e, p, "an address", g, path);
	return 0;
}

static int
check_shared(struct sl_gw *gw, const struct gw_att *a, const struct gw_iface *f,
	     const struct sl_prefix *p, const char *path, struct sl_error *e)
{
	unsigned i;
	int rc;

	for (i = 0; i < a->a.n_ifaces; i++) {
		const struct gw_iface *g = gw->iface[a->a.iface[i]];

		if (g == f)
			continue;
		rc = check_against(g, p, path, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

int
gw_check_shared_prefix(struct sl_gw *gw, const struct gw_iface *f, const struct sl_prefix *p,
		       const char *path, struct sl_error *e)
{
	if (f->inside_att == GW_ATT_NONE)
		return 0;
	return check_shared(gw, gw->att[f->inside_att], f, p, path, e);
}

struct shared_walk {
	struct sl_gw *gw;
	const struct gw_att *a;
	const struct gw_iface *f;
	struct sl_error *e;
	uint8_t family;
};

static int
shared_cb(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct shared_walk *w = ctx;
	struct sl_prefix p = {.ip.family = w->family, .len = (uint8_t)len};

	memcpy(p.ip.b, addr, w->family == 4 ? 4 : 16);
	return check_shared(w->gw, w->a, w->f, &p, "/inside/port", w->e);
}

/* The inside or the addresses change: addresses (new or kept) and AllowedIPs against the others. */
static int
check_shared_all(struct sl_gw *gw, const struct gw_iface *f, const struct gw_att *a,
		 const struct sl_gw_iface_spec *s, struct sl_error *e)
{
	bool given = s->fields & SL_IF_ADDRESSES;
	const struct sl_prefix *addr = given ? s->addresses : f != NULL ? f->addr : NULL;
	unsigned i, n = given ? s->n_addresses : f != NULL ? f->n_addr : 0;
	struct shared_walk w = {.gw = gw, .a = a, .f = f, .e = e};
	char path[40];
	int rc = 0;

	for (i = 0; rc == 0 && i < n; i++) {
		struct sl_prefix own = {.ip = addr[i].ip, .len = (uint8_t)sl_ip_bytes(&addr[i].ip)};

		own.len *= 8;
		snprintf(path, sizeof(path), "/addresses/%u", i);
		rc = check_shared(gw, a, f, &own, path, e);
		if (rc != 0 && given && e != NULL)
			snprintf(e->reason, sizeof(e->reason), "address_in_use");
	}
	if (f == NULL || f->inside_att == a->a.id)
		return rc;
	for (i = 0; rc == 0 && i < 2; i++) {
		w.family = i == 0 ? 4 : 6;
		rc = sl_lpm_walk(&f->table[GW_T_PEERS][i], shared_cb, &w);
	}
	return rc;
}

int
gw_iface_check(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct gw_iface *f,
	       struct sl_error *e)
{
	struct gw_att *att = NULL;
	int rc = check_name(s->name, e);

	if (rc == 0 && s->fields & SL_IF_LISTEN_PORT)
		rc = check_listen_port(gw, f, s->listen_port, e);
	if (rc == 0)
		rc = check_scalars(s, e);
	if (rc == 0 && s->fields & SL_IF_ADDRESSES)
		rc = gw_addresses_check(s->addresses, s->n_addresses, e);
	if (rc == 0 && s->fields & SL_IF_INSIDE)
		rc = check_inside(gw, f, s, &att, e);
	else if (f != NULL && f->inside_att != GW_ATT_NONE)
		att = gw->att[f->inside_att];
	if (rc == 0 && att != NULL && s->fields & (SL_IF_INSIDE | SL_IF_ADDRESSES))
		rc = check_shared_all(gw, f, att, s, e);
	return rc;
}

int
sl_gw_iface_check(struct sl_gw *gw, const struct sl_gw_iface_spec *s, struct sl_error *e)
{
	return gw_iface_check(gw, s, s->name != NULL ? gw_iface_by_name(gw, s->name) : NULL, e);
}
