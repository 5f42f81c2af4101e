/* SPDX-License-Identifier: BSD-3-Clause */
/* route.* */
#include "rpc_int.h"

static void
add_route(void *ctx, const struct sl_gw_route_info *r)
{
	struct ctl_page *page = ctx;
	char text[SL_PREFIX_STR];
	json_t *o;

	if (!ctl_page_takes(page))
		return;
	o = json_pack("{s:s, s:s}", "prefix", sl_prefix_str(&r->prefix, text), "kind",
		      r->blackhole   ? "blackhole"
		      : r->connected ? "connected"
				     : "static");
	if (r->via.family)
		json_object_set_new(o, "via", ctl_ip(&r->via));
	if (r->port && !r->blackhole)
		json_object_set_new(o, "port", json_string(r->port));
	ctl_set_vlan(o, r->vlan);
	if (r->iface)
		json_object_set_new(o, "interface", json_string(r->iface));
	json_array_append_new(page->list, o);
}

int
sl_rpc_h_route_list(void *user, const struct sl_rpc_caller *caller,
		    const struct sl_rpc_route_list *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct ctl_page page;

	(void)caller;
	(void)e;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	sl_gw_route_walk(ctl->gw, add_route, &page);
	return ctl_page_answer(&page, "routes", result);
}

int
sl_rpc_h_route_add(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_route_add *p,
		   json_t **result, struct sl_error *e)
{
	struct sl_gw_route_spec s = {.prefix = p->prefix,
				     .via = p->via,
				     .port = p->port,
				     .vlan = (uint16_t)p->vlan,
				     .iface = p->interface,
				     .blackhole = p->blackhole};
	struct sl_ctl *ctl = user;

	(void)caller;
	(void)result;
	return sl_gw_route_add(ctl->gw, &s, e);
}

int
sl_rpc_h_route_remove(void *user, const struct sl_rpc_caller *caller,
		      const struct sl_rpc_route_remove *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;

	(void)caller;
	(void)result;
	return sl_gw_route_del(ctl->gw, &p->prefix, p->interface, e);
}
