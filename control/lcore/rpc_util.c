/* SPDX-License-Identifier: BSD-3-Clause */
/* What the handlers have in common; registration. */
#include <stdio.h>
#include <stdlib.h>

#include "rpc_int.h"
#include "sl_cp.h"

void
ctl_page_init(struct ctl_page *p, bool has_after, int64_t after, bool has_limit, int64_t limit)
{
	*p = (struct ctl_page){.after = has_after ? (uint64_t)after : 0,
			       .limit = has_limit ? (unsigned)limit : CTL_PAGE,
			       .list = json_array()};
}

bool
ctl_page_takes(struct ctl_page *p)
{
	if (p->seen++ < p->after)
		return false;
	if (json_array_size(p->list) < p->limit)
		return true;
	p->more = true;
	return false;
}

int
ctl_page_answer(struct ctl_page *p, const char *name, json_t **result)
{
	json_int_t next = (json_int_t)(p->after + json_array_size(p->list));
	json_t *o = json_pack("{s:o}", name, p->list);

	if (o && p->more)
		json_object_set_new(o, "next", json_integer(next));
	return ctl_answer(result, o);
}

json_t *
ctl_prefixes(const struct sl_prefix *p, unsigned n)
{
	json_t *list = json_array();
	char text[SL_PREFIX_STR];

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(sl_prefix_str(&p[i], text)));
	return list;
}

json_t *
ctl_ip(const struct sl_ip *ip)
{
	char text[SL_IP_STR];

	return json_string(sl_ip_str(ip, text));
}

json_t *
ctl_key(const struct sl_pubkey *key)
{
	char text[SL_KEY_B64_LEN + 1];

	sl_key_to_base64(key->b, text);
	return json_string(text);
}

json_t *
ctl_endpoint(const struct sl_endpoint *ep)
{
	char text[SL_ENDPOINT_STR];

	return json_string(sl_endpoint_str(ep, text));
}

json_t *
ctl_mac(const uint8_t mac[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return json_string(text);
}

void
ctl_set_vlan(json_t *o, uint16_t vlan)
{
	if (vlan)
		json_object_set_new(o, "vlan", json_integer(vlan));
}

const char *
ctl_state_text(enum sl_hs_state state)
{
	static const char *const text[] = {"init", "handshake", "established", "expired", "error"};

	return (unsigned)state < SL_ARRAY_SIZE(text) ? text[state] : "error";
}

const char *
ctl_udp_csum_text(unsigned csum)
{
	static const char *const text[] = {"zero", "auto", "full"};

	return csum < SL_ARRAY_SIZE(text) ? text[csum] : "zero";
}

int
sl_ctl_register(struct sl_rpc *rpc)
{
	struct sl_ctl *ctl = sl_rpc_user(rpc);
	int rc = ctl_rates_init(ctl);

	ctl->rpc = rpc;
	ctl_trail_begin(rpc);
	ctl_work_begin(ctl, rpc);
	return rc ? rc : sl_rpc_bind_gateway(rpc);
}

void
sl_ctl_poll(struct sl_ctl *ctl)
{
	if (ctl->evidence)
		sl_evidence_poll(ctl->evidence);
	ctl_work_poll(ctl);
	ctl_questions_poll(ctl);
	ctl_flows_poll(ctl);
	ctl_simulations_poll(ctl);
	if (ctl->cp)
		sl_cp_poll(ctl->cp);
	ctl_accepted_poll(ctl);
	sl_remote_poll(ctl->remote);
}

void
ctl_event(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const char *action,
	  json_t *fields)
{
	if (fields)
		json_object_set_new(fields, "principal", json_string(caller->principal));
	sl_gw_event(ctl->gw, action, "success", fields);
}

void
sl_ctl_clear(struct sl_ctl *ctl)
{
	free(ctl->rates);
	ctl->rates = NULL;
	ctl_questions_free(ctl);
	ctl_flows_free(ctl);
	ctl_simulations_free(ctl);
	ctl_lints_free(ctl);
	ctl_work_free(ctl);
	ctl_uploads_free(ctl);
}
