/* SPDX-License-Identifier: BSD-3-Clause */
/* Where packets of the file's routes, insides and neighbours go: what the gateway would refuse of
 * them at its start. Ports with their addresses come first there, then interfaces, then the rest;
 * so do they here. */
#include <stdio.h>

#include "config_int.h"
#include "gw.h"
#include "sl_json.h"

#define NONE UINT32_MAX

/** A port and VLAN that has addresses, or the inside of an interface. */
struct place {
	const char *port;
	unsigned vlan;
};

struct net {
	const struct sl_config *c;
	struct place place[SL_ATT_MAX];
	unsigned n_ifaces[SL_ATT_MAX]; /* whose inside each is */
	unsigned n;
};

static unsigned
place_find(const struct net *net, const char *port, unsigned vlan)
{
	for (unsigned i = 0; i < net->n; i++)
		if (net->place[i].vlan == vlan && strcmp(net->place[i].port, port) == 0)
			return i;
	return NONE;
}

/** @return 0, or limit_attachments */
static int
place_add(struct net *net, const char *port, unsigned vlan, struct sl_error *e)
{
	unsigned of_port = 0;

	if (place_find(net, port, vlan) != NONE)
		return 0;
	for (unsigned i = 0; i < net->n; i++)
		of_port += strcmp(net->place[i].port, port) == 0;
	if (net->n == SL_ATT_MAX || of_port == SL_ATT_IFACES)
		return gw_limit_attachments(e);
	net->place[net->n++] = (struct place){port, vlan};
	return 0;
}

/** Addresses of the ports. @return 0, or an error with the line of the port */
static int
net_init(struct net *net, const struct sl_config *c, struct sl_error *e)
{
	*net = (struct net){.c = c};
	for (unsigned i = 0; i < c->n_ports; i++) {
		const struct sl_config_port *p = &c->ports[i];
		struct sl_error inner = {0};
		int rc = gw_port_addresses_check(p->addr, p->n_addr, &inner);

		for (unsigned k = 0; rc == 0 && k < p->n_addr; k++)
			rc = place_add(net, p->port.name, p->addr[k].vlan, &inner);
		if (rc)
			return sl_config_fail(c, p->line, e, rc, inner.reason, "/ports",
					      "port \"%s\": %.200s", p->port.name, inner.message);
	}
	return 0;
}

/** Does one of its networks hold the address? @param[out] own it is the gateway's own there */
static bool
place_holds(const struct net *net, unsigned at, const struct sl_ip *ip, bool *own)
{
	const struct place *p = &net->place[at];
	bool found = false;

	*own = false;
	for (unsigned i = 0; i < net->c->n_ports; i++) {
		const struct sl_config_port *port = &net->c->ports[i];

		for (unsigned k = 0; strcmp(port->port.name, p->port) == 0 && k < port->n_addr;
		     k++) {
			struct sl_prefix of = port->addr[k].prefix;

			if (port->addr[k].vlan != p->vlan)
				continue;
			*own |= sl_ip_equal(&of.ip, ip);
			sl_prefix_mask(&of);
			found |= sl_prefix_contains(&of, ip);
		}
	}
	return found;
}

static unsigned
vlan_of(const json_t *o)
{
	return (unsigned)json_integer_value(json_object_get(o, "vlan"));
}

static const json_t *
inside_of(const struct sl_config_call *call)
{
	return json_object_get(call->params, "inside");
}

static bool
has_prefixes(const struct sl_config_call *call)
{
	return json_array_size(json_object_get(inside_of(call), "prefixes")) > 0;
}

/** The inside of an interface, NONE: it has none. */
static unsigned
inside_place(const struct net *net, const struct sl_config_call *call)
{
	const json_t *inside = inside_of(call);

	return place_find(net, sl_json_text(inside, "port"), vlan_of(inside));
}

static int
check_inside(struct net *net, const struct sl_config_call *call, struct sl_error *e)
{
	const json_t *inside = inside_of(call);
	const char *port = sl_json_text(inside, "port");
	unsigned at;

	if (!port[0])
		return 0;
	at = inside_place(net, call);
	if (!has_prefixes(call) && (net->n == 0 || (net->n == 1 && at == 0)))
		return gw_inside_required(sl_json_text(call->params, "interface"), port,
					  "it is the only port and VLAN of the gateway", e);
	if (at != NONE && net->n_ifaces[at] == SL_ATT_IFACES)
		return gw_limit_inside(e);
	if (place_add(net, port, vlan_of(inside), e))
		return e->err;
	net->n_ifaces[inside_place(net, call)]++;
	return 0;
}

/* --- routes ----------------------------------------------------------------------------------- */

static bool
is_link_local(const struct sl_ip *ip)
{
	return sl_ip_bytes(ip) == 16 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

/** The place whose network has a next hop. @param only where it must be; NONE: anywhere */
static int
find_via(const struct net *net, const struct sl_ip *via, unsigned only, unsigned *at,
	 struct sl_error *e)
{
	unsigned n = 0;
	bool own;

	for (unsigned i = 0; i < net->n && !is_link_local(via); i++) {
		if ((only != NONE && i != only) || !place_holds(net, i, via, &own))
			continue;
		*at = i;
		n++;
	}
	return n == 1 ? 0 : n == 0 ? gw_via_unreachable(via, e) : gw_via_ambiguous(via, e);
}

/** A route of all interfaces makes its place an outside. */
static int
check_outside(const struct net *net, unsigned at, struct sl_error *e)
{
	for (unsigned i = 0; i < net->c->n_calls; i++) {
		const struct sl_config_call *call = &net->c->calls[i];

		if (strcmp(call->method, "interface.set") == 0 && inside_place(net, call) == at &&
		    !has_prefixes(call))
			return gw_route_outside(sl_json_text(call->params, "interface"), e);
	}
	return 0;
}

static const struct sl_config_call *
interface_of(const struct net *net, const char *name)
{
	for (unsigned i = 0; i < net->c->n_calls; i++)
		if (strcmp(net->c->calls[i].method, "interface.set") == 0 &&
		    strcmp(sl_json_text(net->c->calls[i].params, "interface"), name) == 0)
			return &net->c->calls[i];
	return NULL;
}

static int
check_via(const struct net *net, const struct sl_ip *via, const struct sl_prefix *prefix,
	  const struct sl_config_call *iface, unsigned *at, struct sl_error *e)
{
	bool own = false;
	int rc = gw_via_check(via, prefix, e);

	if (rc == 0 && *at == NONE && iface && inside_place(net, iface) == NONE)
		return gw_via_unreachable(via, e);
	if (rc == 0 && *at == NONE)
		rc = find_via(net, via, iface ? inside_place(net, iface) : NONE, at, e);
	if (rc == 0)
		place_holds(net, *at, via, &own);
	return rc == 0 && own ? gw_via_own(via, e) : rc;
}

static int
check_route(const struct net *net, const json_t *params, struct sl_error *e)
{
	const char *via = sl_json_text(params, "via"), *port = sl_json_text(params, "port");
	const char *name = sl_json_text(params, "interface");
	const struct sl_config_call *iface = name[0] ? interface_of(net, name) : NULL;
	unsigned at = NONE;
	struct sl_prefix p;
	struct sl_ip ip;
	int rc = sl_prefix_parse(sl_json_text(params, "prefix"), &p);

	rc = rc ? rc : gw_prefix_check(&p, "route", "/prefix", e);
	if (rc || json_is_true(json_object_get(params, "blackhole")))
		return rc;
	if (port[0]) {
		at = place_find(net, port, vlan_of(params));
		if (at == NONE)
			return gw_vlan_unknown(port, vlan_of(params), e);
	} else if (!via[0]) {
		return gw_route_incomplete(e);
	}
	if (via[0] && sl_ip_parse(via, &ip) == 0)
		rc = check_via(net, &ip, &p, iface, &at, e);
	if (rc)
		return rc;
	if (iface)
		return inside_place(net, iface) == at ? 0 : gw_route_not_inside(name, e);
	return check_outside(net, at, e);
}

/* --- neighbours --------------------------------------------------------------------------------
 */

static int
check_neighbour(const struct net *net, const json_t *params, struct sl_error *e)
{
	const char *port = sl_json_text(params, "port");
	unsigned at = place_find(net, port, vlan_of(params));
	const char *text = sl_json_text(params, "mac");
	uint8_t m[6];
	struct sl_ip ip;
	bool own;

	if (at == NONE)
		return gw_vlan_unknown(port, vlan_of(params), e);
	if (sl_ip_parse(sl_json_text(params, "ip"), &ip) == 0) {
		place_holds(net, at, &ip, &own);
		if (own || !gw_ip_unicast(&ip))
			return gw_neigh_invalid(&ip, e);
	}
	return sscanf(text, "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &m[0], &m[1], &m[2], &m[3], &m[4],
		      &m[5]) == 6
		       ? gw_mac_check(m, e)
		       : 0;
}

int
sl_config_check_hops(const struct sl_config *c, struct sl_error *e)
{
	struct net net;
	int rc = net_init(&net, c, e);

	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];
		struct sl_error inner = {0};

		if (strcmp(call->method, "interface.set") == 0)
			rc = check_inside(&net, call, &inner);
		else if (strcmp(call->method, "route.add") == 0)
			rc = check_route(&net, call->params, &inner);
		else if (strcmp(call->method, "neighbour.set") == 0)
			rc = check_neighbour(&net, call->params, &inner);
		if (rc && inner.err)
			return sl_config_call_fail(c, call, e, &inner);
	}
	return rc;
}
