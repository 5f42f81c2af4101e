/* SPDX-License-Identifier: BSD-3-Clause */
/* What can be told of a value alone, of a running gateway and of a configuration file. */
#include <stdio.h>

#include "gw.h"

int
gw_prefix_check(const struct sl_prefix *p, const char *what, const char *path, struct sl_error *e)
{
	struct sl_prefix masked = *p;
	char text[SL_PREFIX_STR], right[SL_PREFIX_STR], reason[40];

	if (sl_ip_bytes(&p->ip) == 0 || p->len > sl_ip_bytes(&p->ip) * 8) {
		snprintf(reason, sizeof(reason), "%s_invalid", what);
		return sl_fail(e, -EINVAL, reason, path, "not a prefix");
	}
	if (!sl_prefix_mask(&masked))
		return 0;
	snprintf(reason, sizeof(reason), "%s_host_bits", what);
	sl_fail(e, -EINVAL, reason, path, "%s has address bits set behind its length",
		sl_prefix_str(p, text));
	sl_hint(e, "did you mean %s?", sl_prefix_str(&masked, right));
	return -EINVAL;
}

bool
gw_ip_unicast(const struct sl_ip *ip)
{
	static const uint8_t zero[16];

	if (ip->family == 4)
		return ip->b[0] != 0 && ip->b[0] < 224;
	if (ip->family == 6)
		return ip->b[0] != 0xff && memcmp(ip->b, zero, 16) != 0;
	return false;
}

int
gw_addresses_check(const struct sl_prefix *a, unsigned n, struct sl_error *e)
{
	char path[40], text[SL_PREFIX_STR];
	unsigned i, k;

	if (n > SL_IFACE_ADDRS)
		return sl_fail(e, -ENOSPC, "limit_addresses", "/addresses",
			       "%u addresses, at most %u are possible", n, SL_IFACE_ADDRS);
	for (i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "/addresses/%u", i);
		if (!gw_ip_unicast(&a[i].ip) || a[i].len > sl_ip_bytes(&a[i].ip) * 8)
			return sl_fail(e, -EINVAL, "address_invalid", path,
				       "%s is not an address that an interface may have",
				       sl_prefix_str(&a[i], text));
		for (k = 0; k < i; k++) {
			if (sl_ip_equal(&a[i].ip, &a[k].ip))
				return sl_fail(e, -EEXIST, "address_in_use", path,
					       "%s stands twice in the list",
					       sl_prefix_str(&a[i], text));
		}
	}
	return 0;
}

static int
check_port_address(const struct sl_gw_addr *addr, unsigned at, struct sl_error *e)
{
	const struct sl_gw_addr *a = &addr[at];
	char text[SL_PREFIX_STR], path[40];
	unsigned i, same = 0;

	snprintf(path, sizeof(path), "/addresses/%u", at);
	if (!gw_ip_unicast(&a->prefix.ip) || a->prefix.len > sl_ip_bytes(&a->prefix.ip) * 8)
		return sl_fail(e, -EINVAL, "address_invalid", path,
			       "%s is not an address that a port may have",
			       sl_prefix_str(&a->prefix, text));
	if (a->vlan > 4094)
		return sl_fail(e, -EINVAL, "vlan_invalid", path, "VLAN %u is not in 0-4094",
			       a->vlan);
	for (i = 0; i < at; i++) {
		if (addr[i].vlan != a->vlan)
			continue;
		same++;
		if (sl_ip_equal(&addr[i].prefix.ip, &a->prefix.ip))
			return sl_fail(e, -EEXIST, "address_in_use", path,
				       "%s stands twice on this port",
				       sl_prefix_str(&a->prefix, text));
	}
	if (same >= SL_ATT_ADDRS - 1) /* one is kept for the link-local address */
		return sl_fail(e, -ENOSPC, "limit_addresses", path,
			       "more than %u addresses on a port and VLAN", SL_ATT_ADDRS - 1);
	return 0;
}

int
gw_port_addresses_check(const struct sl_gw_addr *addr, unsigned n, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < n; i++)
		rc = check_port_address(addr, i, e);
	return rc;
}

int
gw_peer_name_check(const char *name, struct sl_error *e)
{
	size_t i, n = name != NULL ? strlen(name) : 0;
	bool ok = n >= 1 && n <= GW_PEER_NAME_MAX;
	struct sl_pubkey key;

	for (i = 0; ok && i < n; i++)
		ok = name[i] > ' ' && name[i] < 0x7f && strchr("\"'\\", name[i]) == NULL;
	if (ok && sl_key_from_base64(name, key.b) != 0)
		return 0;
	sl_fail(e, -EINVAL, "name_invalid", "/name", "\"%.64s\" cannot name a peer",
		name != NULL ? name : "");
	sl_hint(e, "use 1 to %d visible ASCII characters without quotes and backslash, not a key",
		GW_PEER_NAME_MAX);
	return -EINVAL;
}

int
gw_public_key_check(const struct sl_pubkey *key, struct sl_error *e)
{
	if (!sl_ct_is_zero(key->b, SL_KEY_LEN))
		return 0;
	return sl_fail(e, -EINVAL, "key_invalid", "/public_key",
		       "the public key is missing or zero");
}

int
gw_via_unreachable(const struct sl_ip *via, struct sl_error *e)
{
	char text[SL_IP_STR];

	sl_fail(e, -ENETUNREACH, "via_unreachable", "/via", "%s is in no connected network",
		sl_ip_str(via, text));
	sl_hint(e, "name the port (and VLAN) through which it is reached");
	return -ENETUNREACH;
}

int
gw_via_own(const struct sl_ip *via, struct sl_error *e)
{
	char text[SL_IP_STR];

	return sl_fail(e, -EINVAL, "via_own", "/via", "%s is the gateway's own address",
		       sl_ip_str(via, text));
}

int
gw_via_ambiguous(const struct sl_ip *via, struct sl_error *e)
{
	char text[SL_IP_STR];

	sl_fail(e, -EINVAL, "via_ambiguous", "/via", "%s is in several connected networks",
		sl_ip_str(via, text));
	sl_hint(e, "name the port (and VLAN) through which it is reached");
	return -EINVAL;
}

int
gw_via_check(const struct sl_ip *via, const struct sl_prefix *prefix, struct sl_error *e)
{
	char text[SL_IP_STR];

	if (via->family == prefix->ip.family && gw_ip_unicast(via))
		return 0;
	return sl_fail(e, -EINVAL, "via_invalid", "/via", "%s cannot be the next hop of this route",
		       sl_ip_str(via, text));
}

int
gw_route_incomplete(struct sl_error *e)
{
	return sl_fail(e, -EINVAL, "route_incomplete", "/via",
		       "a route needs a next hop, a port or \"blackhole\"");
}

int
gw_route_not_inside(const char *iface, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "route_not_inside", "/port",
		"a route of %s can only leave through its inside", iface);
	sl_hint(e, "leave out the interface for a route of the underlay");
	return -EINVAL;
}

int
gw_route_outside(const char *iface, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "inside_required", "/port",
		"the inside of \"%s\" is on this port without prefixes, and the route would send "
		"outer traffic through it",
		iface);
	sl_hint(e, "give the route an interface, or %s inside prefixes", iface);
	return -EINVAL;
}

int
gw_inside_required(const char *iface, const char *port, const char *why, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "inside_required", "/inside/prefixes",
		"the inside of \"%s\" needs prefixes: outer traffic uses port \"%s\" too, because "
		"%s",
		iface, port, why);
	sl_hint(e, "list the private networks behind the gateway as inside prefixes, or use "
		   "another port");
	return -EINVAL;
}

int
gw_vlan_unknown(const char *port, unsigned vlan, struct sl_error *e)
{
	return sl_fail(e, -ENOENT, "vlan_unknown", "/vlan",
		       "port \"%s\" has no addresses on VLAN %u", port, vlan);
}

int
gw_neigh_invalid(const struct sl_ip *ip, struct sl_error *e)
{
	char text[SL_IP_STR];

	return sl_fail(e, -EINVAL, "address_invalid", "/ip", "%s cannot be a neighbour",
		       sl_ip_str(ip, text));
}

int
gw_mac_check(const uint8_t mac[6], struct sl_error *e)
{
	static const uint8_t zero[6];

	if ((mac[0] & 1) == 0 && memcmp(mac, zero, 6) != 0)
		return 0;
	return sl_fail(e, -EINVAL, "mac_invalid", "/mac",
		       "the MAC address of a neighbour is unicast and not zero");
}

int
gw_endpoint_check(const struct sl_endpoint *ep, struct sl_error *e)
{
	char text[SL_ENDPOINT_STR];

	if (ep->ip.family == 0 || (gw_ip_unicast(&ep->ip) && ep->port != 0))
		return 0;
	sl_fail(e, -EINVAL, "endpoint_invalid", "/endpoint", "%s is not the endpoint of a peer",
		sl_endpoint_str(ep, text));
	sl_hint(e, "an endpoint is a unicast address and a port from 1 to 65535");
	return -EINVAL;
}

int
gw_peer_is_self(const char *iface, struct sl_error *e)
{
	return sl_fail(e, -EINVAL, "peer_is_self", "/public_key",
		       "this is the public key of %s itself", iface);
}

int
gw_limit_attachments(struct sl_error *e)
{
	return sl_fail(e, -ENOSPC, "limit_attachments", "",
		       "more than %u VLANs on a port, or %u ports and VLANs together",
		       SL_ATT_IFACES, SL_ATT_MAX);
}

int
gw_limit_inside(struct sl_error *e)
{
	return sl_fail(e, -ENOSPC, "limit_inside", "/inside/port",
		       "more than %u interfaces with the same inside", SL_ATT_IFACES);
}

int
gw_limit_interfaces(struct sl_error *e)
{
	return sl_fail(e, -ENOSPC, "limit_interfaces", "", "more than %u interfaces",
		       SL_IFACE_MAX - 1);
}

int
gw_limit_peers(unsigned max, struct sl_error *e)
{
	sl_fail(e, -ENOSPC, "limit_peers", "", "the limit of %u peers is reached", max);
	sl_hint(e, "remove peers that are not used, or give some to another gateway");
	return -ENOSPC;
}

int
gw_limit_routes(struct sl_error *e)
{
	return sl_fail(e, -ENOSPC, "limit_routes", "", "the limit of %u routes is reached",
		       GW_ROUTES_MAX);
}

int
gw_limit_mode_prefixes(struct sl_error *e)
{
	return sl_fail(e, -ENOSPC, "limit_prefixes", "/prefixes",
		       "the limit of %u prefixes is reached", GW_MODE_PREFIXES_MAX);
}
