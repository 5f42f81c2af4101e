/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers: the common operations, their public key, suspension, configs for stock clients. */
#include <stdio.h>

#include "change.h"
#include "client_config.h"
#include "collector.h"
#include "object.h"
#include "page.h"
#include "sl_alloc.h"
#include "sl_secret.h"

const struct object_kind peer_kind = {SL_KIND_PEER, "peer", "peers", sl_alloc_keep};

static bool
wanted(struct sl_call *c, const char *id, const json_t *body)
{
	const char *iface = json_string_value(json_object_get(body, "interface"));

	return c->q[SL_Q_INTERFACE] == NULL ||
	       (iface != NULL && strcmp(iface, c->q[SL_Q_INTERFACE]) == 0);
}

int
sl_op_list_peers(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_PEER, wanted, NULL, e);
}

int
sl_op_get_peer(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_PEER, c->arg[0], e);

	return rc != 0 ? rc : object_get(c, &peer_kind, e);
}

int
sl_op_put_peer(struct sl_call *c, struct sl_error *e)
{
	return object_put(c, &peer_kind, e);
}

int
sl_op_patch_peer(struct sl_call *c, struct sl_error *e)
{
	return object_patch(c, &peer_kind, e);
}

int
sl_op_delete_peer(struct sl_call *c, struct sl_error *e)
{
	return object_delete(c, &peer_kind, e);
}

/* --- the public key --------------------------------------------------------------------------- */

static bool
has_prefix(const json_t *list, const struct sl_prefix *want)
{
	struct sl_prefix p;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) == 0 && sl_prefix_equal(&p, want))
			return true;
	}
	return false;
}

/** What an agent says to have must be what was given to it. */
static int
check_address(const struct sl_call *c, const json_t *peer, struct sl_error *e)
{
	const char *text = json_string_value(json_object_get(c->body, "address"));
	json_t *addresses = json_object_get(peer, "addresses"), *list;
	struct sl_prefix want;
	const char *gateway;

	if (text == NULL)
		return 0;
	if (sl_prefix_parse(text, &want) != 0)
		return sl_fail(e, -EINVAL, "prefix_invalid", "/address", "\"%.50s\" is no address",
			       text);
	if (has_prefix(json_object_get(peer, "allowed_ips"), &want))
		return 0;
	json_object_foreach (addresses, gateway, list) {
		if (has_prefix(list, &want))
			return 0;
	}
	return sl_fail(e, -EEXIST, "address_mismatch", "/address",
		       "\"%.50s\" was not given to this peer", text);
}

static int
set_key(struct sl_call *c, json_t *peer, struct sl_error *e)
{
	const char *key = json_string_value(json_object_get(c->body, "public_key"));
	json_t *old = json_object_get(peer, "public_key");
	json_int_t overlap = json_integer_value(json_object_get(c->body, "overlap_s"));
	char until[SL_TIME_STR];
	uint8_t raw[SL_KEY_LEN];
	int rc = check_address(c, peer, e);

	if (rc != 0)
		return rc;
	if (sl_key_from_base64(key, raw) != 0)
		return sl_fail(e, -EINVAL, "key_invalid", "/public_key",
			       "44 characters of base64 are needed");
	if (strcmp(key, json_string_value(old)) == 0)
		return 0;
	json_object_del(peer, "old_key");
	json_object_del(peer, "old_key_until");
	if (overlap > 0) {
		sl_time_str(sl_rest_wall_ns() + (uint64_t)overlap * 1000000000, until);
		json_object_set(peer, "old_key", old);
		json_object_set_new(peer, "old_key_until", json_string(until));
	}
	json_object_set_new(peer, "public_key", json_string(key));
	return 0;
}

static int
edit(struct sl_call *c, int (*fn)(struct sl_call *c, json_t *body, struct sl_error *e),
     struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = object_edit(c, t, &peer_kind, c->arg[0], fn, e);
	rc = change_end(c, t, rc, e);
	return rc != 0 || c->done ? rc : object_get(c, &peer_kind, e);
}

int
sl_op_put_peer_public_key(struct sl_call *c, struct sl_error *e)
{
	int rc = sl_call_own(c, SL_SR_PEER, c->arg[0], e);

	return rc != 0 ? rc : edit(c, set_key, e);
}

static int
set_enabled(struct sl_call *c, json_t *peer, struct sl_error *e)
{
	json_object_set(peer, "enabled", json_object_get(c->body, "enabled"));
	return 0;
}

int
sl_op_put_peer_enabled(struct sl_call *c, struct sl_error *e)
{
	return edit(c, set_enabled, e);
}

/* --- configs ---------------------------------------------------------------------------------- */

int
sl_op_get_peer_config(struct sl_call *c, struct sl_error *e)
{
	json_t *peer = NULL, *configs = NULL, *text = NULL;
	const char *gateway = c->q[SL_Q_GATEWAY];
	int rc = sl_call_own(c, SL_SR_PEER, c->arg[0], e);

	if (rc != 0)
		return rc;
	if (sl_store_get(c->store, SL_KIND_PEER, c->arg[0], &c->etag, &peer) != 0)
		return sl_call_not_found("peer", c->arg[0], e);
	if (gateway != NULL && sl_store_get(c->store, SL_KIND_GATEWAY, gateway, NULL, NULL) != 0) {
		json_decref(peer);
		return sl_call_not_found("gateway", gateway, e);
	}
	rc = client_configs(c->store, c->arg[0], peer, gateway, &configs, &text, e);
	/* its routes are the same on every gateway */
	if (rc == 0 && c->rest->c.collector != NULL && json_array_size(configs) > 0)
		rc = sl_collector_issued(c->store, c->arg[0],
					 json_object_get(json_array_get(configs, 0), "allowed_ips"),
					 e);
	if (rc == 0)
		rc = sl_call_answer(c, 200,
				    json_pack("{s:s, s:I, s:o, s:o*}", "peer", c->arg[0], "rev",
					      (json_int_t)c->etag, "configs", configs, "text",
					      text),
				    e);
	json_decref(peer);
	return rc;
}
