/* SPDX-License-Identifier: BSD-3-Clause */
/* The state as calls that rebuild it, page by page: for config.show and config.save. No key, no
 * learned endpoint (C18) and no authz mode (D6) is in them. */
#include "rpc_int.h"
#include "sl_log.h"

#define SECTION_SHIFT 40 /* a cursor is section | place in it */

enum section { S_LOG, S_IFACES, S_PEERS, S_ROUTES, S_NEIGHBOURS, S_MAX };

struct emit {
	struct ctl_calls *c;
	json_t *left_out;
	uint64_t skip; /* places of this section that earlier pages held */
	uint64_t pos;
	unsigned passed; /* peers that are not ours to write */
	bool full;
	struct sl_gw *gw;
};

static bool
is_managed(const struct emit *x, const char *iface)
{
	struct sl_error e;

	return sl_gw_check_managed(x->gw, iface, &e) != 0;
}

/** Is the object at hand on this page? Counts it. */
static bool
takes(struct emit *x)
{
	if (x->full)
		return false;
	if (x->pos < x->skip) {
		x->pos++;
		return false;
	}
	x->full = json_array_size(x->c->calls) == x->c->limit;
	x->pos += !x->full;
	return !x->full;
}

static void
add(struct emit *x, const char *method, json_t *params)
{
	json_array_append_new(x->c->calls,
			      json_pack("{s:s, s:o}", "method", method, "params", params));
}

static void leave_out(struct emit *x, const char *fmt, ...) SL_PRINTF(2, 3);

static void
leave_out(struct emit *x, const char *fmt, ...)
{
	va_list ap;

	if (!x->left_out)
		return;
	va_start(ap, fmt);
	json_array_append_new(x->left_out, json_vsprintf(fmt, ap));
	va_end(ap);
}

static void
log_call(struct emit *x)
{
	static const char *const text[] = {"err", "warn", "notice", "info", "debug"};

	if (takes(x))
		add(x, "sys.log_level.set", json_pack("{s:s}", "level", text[sl_log_get_level()]));
}

static void
add_settings(json_t *p, const struct sl_gw_iface_info *i)
{
	json_object_set_new(p, "addresses", ctl_prefixes(i->addresses, i->n_addresses));
	json_object_set_new(p, "isolation", json_boolean(i->isolation));
	json_object_set_new(p, "mtu", json_integer(i->mtu));
	json_object_set_new(p, "mss_clamp", json_boolean(i->mss_clamp));
}

static void
iface_call(void *ctx, const struct sl_gw_iface_info *i)
{
	struct emit *x = ctx;
	json_t *p, *inside;

	if (!takes(x))
		return;
	p = json_pack("{s:s, s:i, s:s}", "interface", i->name, "listen_port", (int)i->listen_port,
		      "outer_udp_checksum", ctl_udp_csum_text(i->udp_csum));
	if (is_managed(x, i->name))
		leave_out(x, "interface %s: peers and settings come from the control plane",
			  i->name);
	else
		add_settings(p, i);
	if (i->key_source == SL_KEY_FILE && i->key_file)
		json_object_set_new(p, "private_key_file", json_string(i->key_file));
	else if (i->key_source == SL_KEY_MEMORY)
		json_object_set_new(p, "key_store", json_string("memory"));
	else if (i->key_source == SL_KEY_UAPI)
		leave_out(x, "interface %s: its private key came over UAPI", i->name);
	if (i->inside_port) {
		inside = json_pack("{s:s, s:o}", "port", i->inside_port, "prefixes",
				   ctl_prefixes(i->inside_prefixes, i->n_inside_prefixes));
		ctl_set_vlan(inside, i->inside_vlan);
		json_object_set_new(p, "inside", inside);
	}
	add(x, "interface.set", p);
}

static bool
peer_call(void *ctx, const struct sl_gw_peer_info *i)
{
	struct emit *x = ctx;
	json_t *p;

	if (!takes(x))
		return !x->full;
	if (is_managed(x, i->iface)) { /* many of them may be passed over in a page */
		x->full = ++x->passed == 4 * x->c->limit;
		return !x->full;
	}
	p = json_pack("{s:s, s:o, s:s, s:o, s:i, s:b}", "interface", i->iface, "public_key",
		      ctl_key(&i->public_key), "name", i->name, "allowed_ips",
		      ctl_prefixes(i->allowed, i->n_allowed), "persistent_keepalive",
		      (int)i->keepalive_s, "enabled", (int)i->enabled);
	if (i->configured.ip.family)
		json_object_set_new(p, "endpoint", ctl_endpoint(&i->configured));
	if (i->expires_wall_ns)
		json_object_set_new(p, "expires",
				    json_integer((json_int_t)(i->expires_wall_ns / SL_NS_PER_S)));
	if (i->has_psk && i->psk_file)
		json_object_set_new(p, "preshared_key_file", json_string(i->psk_file));
	else if (i->has_psk)
		leave_out(x, "peer %s of %s: its preshared key came over UAPI", i->name, i->iface);
	add(x, "peer.set", p);
	return true;
}

static void
route_call(void *ctx, const struct sl_gw_route_info *r)
{
	char text[SL_PREFIX_STR];
	struct emit *x = ctx;
	json_t *p;

	if (r->connected || !takes(x))
		return;
	p = json_pack("{s:s}", "prefix", sl_prefix_str(&r->prefix, text));
	if (r->via.family)
		json_object_set_new(p, "via", ctl_ip(&r->via));
	if (r->port && !r->blackhole)
		json_object_set_new(p, "port", json_string(r->port));
	ctl_set_vlan(p, r->vlan);
	if (r->iface)
		json_object_set_new(p, "interface", json_string(r->iface));
	if (r->blackhole)
		json_object_set_new(p, "blackhole", json_true());
	add(x, "route.add", p);
}

static void
neigh_call(void *ctx, const struct sl_gw_neigh_info *i)
{
	struct emit *x = ctx;
	json_t *p;

	if (i->n->state != SL_NEIGH_STATIC || !takes(x))
		return;
	p = json_pack("{s:s, s:o, s:o}", "port", i->port, "ip", ctl_ip(&i->n->ip), "mac",
		      ctl_mac(i->n->mac));
	ctl_set_vlan(p, i->vlan);
	add(x, "neighbour.set", p);
}

static void
emit_section(struct sl_ctl *ctl, struct emit *x, enum section s)
{
	switch (s) {
	case S_LOG:
		log_call(x);
		break;
	case S_IFACES:
		sl_gw_iface_walk(ctl->gw, iface_call, x);
		break;
	case S_PEERS:
		x->pos = x->skip; /* the walk itself begins there */
		sl_gw_peer_walk(ctl->gw, NULL, (uint32_t)x->skip, peer_call, x);
		break;
	case S_ROUTES:
		sl_gw_route_walk(ctl->gw, route_call, x);
		break;
	default:
		sl_gw_neigh_walk(ctl->gw, neigh_call, x);
		break;
	}
}

int
ctl_calls(struct sl_ctl *ctl, uint64_t after, unsigned limit, struct ctl_calls *c, json_t *left_out)
{
	uint64_t s = after >> SECTION_SHIFT;
	struct emit x = {.c = c,
			 .left_out = left_out,
			 .gw = ctl->gw,
			 .skip = after & ((UINT64_C(1) << SECTION_SHIFT) - 1)};

	*c = (struct ctl_calls){.calls = json_array(), .limit = limit};
	if (!c->calls)
		return -ENOMEM;
	for (; s < S_MAX; s++) {
		emit_section(ctl, &x, (enum section)s);
		if (x.full) {
			c->next = s << SECTION_SHIFT | x.pos;
			break;
		}
		x.skip = x.pos = 0;
	}
	return 0;
}
