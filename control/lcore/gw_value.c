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
