/* SPDX-License-Identifier: BSD-3-Clause */
#include "upstream.h"

#include <stdio.h>

#include "sl_log.h"

static bool
serves(const json_t *gateway, const char *iface)
{
	json_t *list = json_object_get(gateway, "interfaces"), *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), iface) == 0)
			return true;
	}
	return false;
}

/** Its key, and its addresses where nobody has set any. */
static int
put_interface(struct sl_store_txn *t, const char *node, const char *iface, const json_t *told,
	      struct sl_error *e)
{
	json_t *key = json_object_get(told, "public_key"), *was = NULL, *body;
	json_t *addresses = json_object_get(told, "addresses");
	char id[SL_OBJ_ID];
	uint64_t rev = SL_REV_NONE;
	int rc;

	snprintf(id, sizeof(id), "%s:%s", node, iface);
	if (sl_store_txn_get(t, SL_KIND_GATEWAY_INTERFACE, id, &rev, &was) != 0)
		body = json_pack("{s:s, s:s}", "gateway", node, "interface", iface);
	else
		body = json_deep_copy(was);
	json_decref(was);
	if (json_is_string(key))
		json_object_set(body, "public_key", key);
	if (json_array_size(addresses) > 0 && json_object_get(body, "addresses") == NULL)
		json_object_set(body, "addresses", addresses);
	rc = sl_store_put(t, SL_KIND_GATEWAY_INTERFACE, id, rev, body, e);
	json_decref(body);
	return rc;
}

static int
put_all(struct sl_store_txn *t, const char *node, const json_t *params, struct sl_error *e)
{
	json_t *list = json_object_get(params, "interfaces"), *told, *gateway = NULL;
	size_t i;
	int rc = 0;

	if (sl_store_txn_get(t, SL_KIND_GATEWAY, node, NULL, &gateway) != 0) {
		sl_fail(e, -ENOENT, "gateway_unknown", "", "there is no gateway \"%.63s\"", node);
		sl_hint(e, "POST /api/v1/gateways with its name and interfaces");
		return -ENOENT;
	}
	json_array_foreach (list, i, told) {
		const char *iface = json_string_value(json_object_get(told, "interface"));

		if (rc != 0 || iface == NULL || !serves(gateway, iface))
			continue;
		rc = put_interface(t, node, iface, told, e);
		if (rc != 0)
			sl_error_under(e, "/interfaces/%zu", i);
	}
	json_decref(gateway);
	return rc;
}

static int
gateway_register(struct sl_store *s, const char *node, json_t *params, json_t **result,
		 struct sl_error *e)
{
	char actor[96];
	struct sl_store_txn *t;
	uint64_t seq = 0;
	int rc;

	snprintf(actor, sizeof(actor), "gateway:%s", node);
	t = sl_store_begin(s, actor, "gateway.register", e);
	if (t == NULL)
		return e->err;
	rc = put_all(t, node, params, e);
	if (rc != 0) {
		sl_store_abort(t);
		return rc;
	}
	rc = sl_store_commit(t, &seq, e);
	if (rc != 0)
		return rc;
	sl_log(SL_LOG_INFO, "register", "gateway %s, version %s", node,
	       json_string_value(json_object_get(params, "version")));
	*result = json_pack("{s:I}", "seq", (json_int_t)seq);
	return *result != NULL ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

int
upstream_call(struct sl_store *s, struct sl_collector *collector, const char *method,
	      const char *node, json_t *params, json_t **result, struct sl_error *e)
{
	if (strncmp(method, "repl.", 5) == 0) /* it is in the publisher's table: here it ends */
		return 0;
	if (strcmp(method, "gateway.register") == 0)
		return gateway_register(s, node, params, result, e);
	return sl_collector_call(collector, method, node, params, result, e);
}
