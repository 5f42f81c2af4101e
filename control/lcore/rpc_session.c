/* SPDX-License-Identifier: BSD-3-Clause */
/* session.list: the peers that have keys or shake hands. */
#include "rpc_int.h"

#define VISITS_MAX 4096 /* peers looked at for one answer (D43) */

struct walk {
	json_t *list;
	unsigned limit;
	uint32_t at; /* place of the next peer */
	unsigned visits;
	bool more;
};

static json_t *
session_json(const struct sl_gw_peer_info *i)
{
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:I, s:I, s:I}", "interface", i->iface,
			  "peer", i->name, "state", ctl_state_text(i->state), "worker",
			  (int)i->home, "packets_encrypted", (json_int_t)i->tx_packets,
			  "packets_decrypted", (json_int_t)i->rx_packets, "replay_detected",
			  (json_int_t)i->replays, "auth_failures", (json_int_t)i->auth_failures,
			  "key_rotation_count", (json_int_t)i->handshakes);

	if (i->key_age_ms == UINT64_MAX)
		return o;
	json_object_set_new(o, "local_index", json_integer(i->local_index));
	json_object_set_new(o, "remote_index", json_integer(i->remote_index));
	json_object_set_new(o, "age_ms", json_integer((json_int_t)i->key_age_ms));
	json_object_set_new(o, "initiator", json_boolean(i->key_initiator));
	return o;
}

static bool
add_session(void *ctx, const struct sl_gw_peer_info *i)
{
	struct walk *w = ctx;

	if (json_array_size(w->list) == w->limit || w->visits == VISITS_MAX) {
		w->more = true;
		return false;
	}
	w->visits++;
	w->at++;
	if (i->state != SL_HS_INIT || i->key_age_ms != UINT64_MAX)
		json_array_append_new(w->list, session_json(i));
	return true;
}

int
sl_rpc_h_session_list(void *user, const struct sl_rpc_caller *caller,
		      const struct sl_rpc_session_list *p, json_t **result, struct sl_error *e)
{
	struct walk w = {.list = json_array(),
			 .limit = p->has_limit ? (unsigned)p->limit : CTL_PAGE,
			 .at = (uint32_t)p->after};
	struct sl_ctl *ctl = user;
	struct sl_gw_iface_info i;

	(void)caller;
	if (p->has_interface && !sl_gw_iface_find(ctl->gw, p->interface, &i)) {
		json_decref(w.list);
		sl_fail(e, -ENOENT, "interface_unknown", "/interface", "no interface \"%.32s\"",
			p->interface);
		sl_hint(e, "interface.list names them");
		return -ENOENT;
	}
	sl_gw_peer_walk(ctl->gw, p->interface, w.at, add_session, &w);
	*result = json_pack("{s:o}", "sessions", w.list);
	if (*result && w.more)
		json_object_set_new(*result, "next", json_integer(w.at));
	return *result ? 0 : -ENOMEM;
}
