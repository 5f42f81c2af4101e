/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces: what the control plane says of them. Key, port, inside attachment stay as the
 * gateway's own configuration has them. */
#include <stdlib.h>

#include "cp.h"

#define ADDRESSES_MAX 16

static int
settings(struct sl_cp *cp, const char *id, const json_t *body, struct sl_error *e)
{
	const json_t *mtu = json_object_get(body, "mtu");
	const json_t *isolation = json_object_get(body, "isolation");
	const json_t *clamp = json_object_get(body, "mss_clamp");
	struct sl_gw_iface_spec s = {.name = id,
				     .fields = SL_IF_MTU | SL_IF_ISOLATION | SL_IF_MSS_CLAMP,
				     .mtu = 1420,
				     .isolation = !json_is_false(isolation),
				     .mss_clamp = !json_is_false(clamp)};
	struct sl_gw_iface_info now;

	if (mtu != NULL)
		s.mtu = (uint16_t)json_integer_value(mtu);
	if (sl_gw_iface_find(cp->gw, id, &now) && now.mtu == s.mtu &&
	    now.isolation == s.isolation && now.mss_clamp == s.mss_clamp)
		return 0;
	return sl_gw_iface_set(cp->gw, &s, e);
}

static int
addresses(struct sl_cp *cp, const char *iface, const json_t *list, struct sl_error *e)
{
	struct sl_prefix v[ADDRESSES_MAX];
	struct sl_gw_iface_spec s = {.name = iface, .fields = SL_IF_ADDRESSES, .addresses = v};
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item) {
		if (s.n_addresses == ADDRESSES_MAX ||
		    sl_prefix_parse(json_string_value(item), &v[s.n_addresses]) != 0)
			return sl_fail(e, -EINVAL, "address_invalid", "/addresses",
				       "not an address with its prefix length");
		s.n_addresses++;
	}
	return sl_gw_iface_set(cp->gw, &s, e);
}

int
cp_iface_apply(struct sl_cp *cp, enum sl_kind k, const char *id, struct sl_error *e)
{
	json_t *body = cp_object(cp, k, id, e);
	const char *iface = id;
	int rc = 0;

	if (body == NULL) /* gone: nobody says what it should be now, so it stays */
		return e->err;
	if (k == SL_KIND_GATEWAY_INTERFACE)
		iface = json_string_value(json_object_get(body, "interface"));
	if (!cp_manages(cp, iface))
		cp_ignore(cp, k, id, "");
	else if (k == SL_KIND_INTERFACE)
		rc = settings(cp, iface, body, e);
	else if (json_object_get(body, "addresses") != NULL)
		rc = addresses(cp, iface, json_object_get(body, "addresses"), e);
	json_decref(body);
	return rc;
}
