/* SPDX-License-Identifier: BSD-3-Clause */
/* neighbour.* */
#include "rpc_int.h"

static const char *
state_text(enum sl_neigh_state s)
{
	static const char *const text[] = {"incomplete", "reachable", "stale", "delay",
					   "probe",	 "failed",    "static"};

	return (unsigned)s < SL_ARRAY_SIZE(text) ? text[s] : "failed";
}

static void
add_neigh(void *ctx, const struct sl_gw_neigh_info *i)
{
	static const uint8_t none[6];
	struct ctl_page *page = ctx;
	json_t *o;

	if (!ctl_page_takes(page))
		return;
	o = json_pack("{s:s, s:o, s:s}", "port", i->port, "ip", ctl_ip(&i->n->ip), "state",
		      state_text(i->n->state));
	ctl_set_vlan(o, i->vlan);
	if (memcmp(i->n->mac, none, 6) != 0)
		json_object_set_new(o, "mac", ctl_mac(i->n->mac));
	json_array_append_new(page->list, o);
}

int
sl_rpc_h_neighbour_list(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_neighbour_list *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct ctl_page page;

	(void)caller;
	(void)e;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	sl_gw_neigh_walk(ctl->gw, add_neigh, &page);
	return ctl_page_answer(&page, "neighbours", result);
}

int
sl_rpc_h_neighbour_set(void *user, const struct sl_rpc_caller *caller,
		       const struct sl_rpc_neighbour_set *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;

	(void)caller;
	(void)result;
	return sl_gw_neigh_set(ctl->gw, p->port, (uint16_t)p->vlan, &p->ip, p->mac, e);
}

int
sl_rpc_h_neighbour_remove(void *user, const struct sl_rpc_caller *caller,
			  const struct sl_rpc_neighbour_remove *p, json_t **result,
			  struct sl_error *e)
{
	struct sl_ctl *ctl = user;

	(void)caller;
	(void)result;
	return sl_gw_neigh_del(ctl->gw, p->port, (uint16_t)p->vlan, &p->ip, e);
}
