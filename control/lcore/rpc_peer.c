/* SPDX-License-Identifier: BSD-3-Clause */
/* peer.* */
#include "key_file.h"
#include "rpc_int.h"

static void
set_age(json_t *o, const char *name, uint64_t age_ms)
{
	if (age_ms != UINT64_MAX)
		json_object_set_new(o, name, json_integer((json_int_t)age_ms));
}

static json_t *
peer_json(const struct sl_gw_peer_info *i)
{
	json_t *o = json_pack(
		"{s:s, s:s, s:o, s:b, s:o, s:i, s:b, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:i}",
		"interface", i->iface, "name", i->name, "public_key", ctl_key(&i->public_key),
		"enabled", (int)i->enabled, "allowed_ips", ctl_prefixes(i->allowed, i->n_allowed),
		"persistent_keepalive", (int)i->keepalive_s, "preshared_key", (int)i->has_psk,
		"state", ctl_state_text(i->state), "rx_bytes", (json_int_t)i->rx_bytes, "tx_bytes",
		(json_int_t)i->tx_bytes, "rx_packets", (json_int_t)i->rx_packets, "tx_packets",
		(json_int_t)i->tx_packets, "handshakes", (json_int_t)i->handshakes, "auth_failures",
		(json_int_t)i->auth_failures, "replays", (json_int_t)i->replays, "worker",
		(int)i->home);

	if (i->has_endpoint)
		json_object_set_new(o, "endpoint", ctl_endpoint(&i->endpoint));
	if (i->expires_wall_ns)
		json_object_set_new(o, "expires",
				    json_integer((json_int_t)(i->expires_wall_ns / SL_NS_PER_S)));
	if (i->last_handshake_wall_ns)
		json_object_set_new(o, "last_handshake",
				    json_integer(
					    (json_int_t)(i->last_handshake_wall_ns / SL_NS_PER_S)));
	set_age(o, "last_data_rx_ms", i->last_data_rx_age_ms);
	set_age(o, "last_data_tx_ms", i->last_data_tx_age_ms);
	return o;
}

json_t *
ctl_peer_settings(const struct sl_gw_peer_info *i)
{
	json_t *allowed = i->n_allowed > CTL_RECORD_ITEMS ? json_sprintf("(%u items)", i->n_allowed)
							  : ctl_prefixes(i->allowed, i->n_allowed);
	json_t *o = json_pack("{s:s, s:o, s:b, s:o, s:i, s:b}", "name", i->name, "public_key",
			      ctl_key(&i->public_key), "enabled", (int)i->enabled, "allowed_ips",
			      allowed, "persistent_keepalive", (int)i->keepalive_s, "preshared_key",
			      (int)i->has_psk);

	if (i->expires_wall_ns)
		json_object_set_new(o, "expires",
				    json_integer((json_int_t)(i->expires_wall_ns / SL_NS_PER_S)));
	return o;
}

static bool
add_peer(void *ctx, const struct sl_gw_peer_info *i)
{
	struct ctl_page *page = ctx;

	if (ctl_page_takes(page))
		json_array_append_new(page->list, peer_json(i));
	return !page->more;
}

static int
check_iface(struct sl_ctl *ctl, const char *name, struct sl_error *e)
{
	struct sl_gw_iface_info i;

	if (!name || sl_gw_iface_find(ctl->gw, name, &i))
		return 0;
	sl_fail(e, -ENOENT, "interface_unknown", "/interface", "no interface \"%.32s\"", name);
	sl_hint(e, "interface.list names them");
	return -ENOENT;
}

int
sl_rpc_h_peer_list(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_list *p,
		   json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct ctl_page page;
	int rc = check_iface(ctl, p->interface, e);

	(void)caller;
	if (rc)
		return rc;
	ctl_page_init(&page, p->has_after, p->after, p->has_limit, p->limit);
	page.seen = page.after; /* the walk itself begins there */
	sl_gw_peer_walk(ctl->gw, p->interface, (uint32_t)page.after, add_peer, &page);
	return ctl_page_answer(&page, "peers", result);
}

int
sl_rpc_h_peer_get(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_get *p,
		  json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_gw_peer_info i;
	struct sl_pubkey key;
	int rc = sl_gw_peer_lookup(ctl->gw, p->interface, p->peer, &key, e);

	(void)caller;
	if (rc)
		return rc;
	rc = sl_gw_peer_info(ctl->gw, p->interface, &key, &i);
	return rc ? rc : ctl_answer(result, peer_json(&i));
}

/* --- changes -------------------------------------------------------------------------------- */

static void
spec_of(const struct sl_rpc_peer_set *p, const struct sl_rpc_caller *caller,
	struct sl_gw_peer_spec *s)
{
	*s = (struct sl_gw_peer_spec){
		.iface = p->interface,
		.public_key = p->public_key,
		.name = p->name,
		.endpoint = p->endpoint,
		.keepalive_s = (uint16_t)p->persistent_keepalive,
		.allowed = p->allowed_ips.v,
		.n_allowed = p->allowed_ips.n,
		.strict_allowed = !p->move,
		.enabled = p->enabled,
		.expires_wall_ns = (uint64_t)p->expires * SL_NS_PER_S,
		.initiate = caller->via == SL_RPC_VIA_CONFIG,
	};
	if (p->has_name)
		s->fields |= SL_PF_NAME;
	if (p->has_endpoint)
		s->fields |= SL_PF_ENDPOINT;
	if (p->has_persistent_keepalive)
		s->fields |= SL_PF_KEEPALIVE;
	if (p->has_allowed_ips)
		s->fields |= SL_PF_ALLOWED_IPS;
	if (p->has_enabled)
		s->fields |= SL_PF_ENABLED;
	if (p->has_expires)
		s->fields |= SL_PF_EXPIRES;
}

/** Read the preshared key that is named; "" takes it away. The caller wipes `psk`. */
static int
spec_psk(const struct sl_rpc_peer_set *p, struct sl_gw_peer_spec *s, struct sl_secret *psk,
	 struct sl_error *e)
{
	memset(psk, 0, sizeof(*psk));
	if (!p->has_preshared_key_file)
		return 0;
	s->fields |= SL_PF_PSK;
	s->psk = psk;
	if (!p->preshared_key_file[0])
		return 0;
	s->psk_file = p->preshared_key_file;
	return sl_key_file_read(p->preshared_key_file, "/preshared_key_file", psk, e);
}

static int
change(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_set *p,
       bool create_only, json_t **result, struct sl_error *e)
{
	struct sl_gw_peer_spec s;
	struct sl_gw_peer_info i;
	struct sl_secret psk;
	int rc;

	spec_of(p, caller, &s);
	s.create_only = create_only;
	rc = sl_gw_check_managed(ctl->gw, p->interface, e);
	if (rc)
		return rc;
	rc = spec_psk(p, &s, &psk, e);
	if (rc == 0)
		rc = sl_gw_peer_set(ctl->gw, &s, e);
	sl_wipe(&psk, sizeof(psk));
	if (rc == 0)
		rc = sl_gw_peer_info(ctl->gw, p->interface, &p->public_key, &i);
	if (rc)
		return rc;
	return ctl_answer(result, json_pack("{s:I, s:s}", "generation",
					    (json_int_t)sl_gw_generation(ctl->gw), "name", i.name));
}

int
sl_rpc_h_peer_set(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_set *p,
		  json_t **result, struct sl_error *e)
{
	return change(user, caller, p, false, result, e);
}

/* the two calls have the same parameters: one list in the schema */
_Static_assert(sizeof(struct sl_rpc_peer_add) == sizeof(struct sl_rpc_peer_set), "same list");
_Static_assert(offsetof(struct sl_rpc_peer_add, has_expires) ==
		       offsetof(struct sl_rpc_peer_set, has_expires),
	       "same list");

int
sl_rpc_h_peer_add(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_add *p,
		  json_t **result, struct sl_error *e)
{
	return change(user, caller, (const struct sl_rpc_peer_set *)p, true, result, e);
}

int
sl_rpc_h_peer_remove(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_peer_remove *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_pubkey key;
	int rc = sl_gw_check_managed(ctl->gw, p->interface, e);

	(void)caller;
	(void)result;
	rc = rc ? rc : sl_gw_peer_lookup(ctl->gw, p->interface, p->peer, &key, e);
	return rc ? rc : sl_gw_peer_del(ctl->gw, p->interface, &key, e);
}

int
sl_rpc_h_peer_kick(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_peer_kick *p,
		   json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	struct sl_pubkey key;
	int rc = sl_gw_peer_lookup(ctl->gw, p->interface, p->peer, &key, e);

	(void)caller;
	(void)result;
	return rc ? rc : sl_gw_peer_kick(ctl->gw, p->interface, &key, e);
}
