/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of the file that the gateway would refuse at its start: told by the same checks, with
 * their line, before a running gateway was stopped for it. */
#include <stdio.h>
#include <stdlib.h>

#include "config_int.h"
#include "gw.h"
#include "sl_json.h"

/** @param what as gw_prefix_check() */
static int
check_prefixes(const json_t *list, const char *what, const char *at, struct sl_error *e)
{
	struct sl_prefix p;
	char path[64];
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v) {
		snprintf(path, sizeof(path), "%s/%zu", at, i);
		if (sl_prefix_parse(json_string_value(v), &p) == 0 &&
		    gw_prefix_check(&p, what, path, e))
			return e->err;
	}
	return 0;
}

static int
check_interface(const json_t *params, struct sl_error *e)
{
	const json_t *list = json_object_get(params, "addresses");
	size_t n = json_array_size(list), i;
	struct sl_prefix *a = calloc(n + 1, sizeof(*a));
	int rc = a ? 0 : -ENOMEM;

	for (i = 0; rc == 0 && i < n; i++)
		rc = sl_prefix_parse(json_string_value(json_array_get(list, i)), &a[i]);
	rc = rc ? rc : gw_addresses_check(a, (unsigned)n, e);
	free(a);
	return rc ? rc
		  : check_prefixes(json_object_get(json_object_get(params, "inside"), "prefixes"),
				   "inside", "/inside/prefixes", e);
}

static int
check_peer(const json_t *params, struct sl_error *e)
{
	const char *name = json_string_value(json_object_get(params, "name"));
	struct sl_endpoint ep;
	struct sl_pubkey key;
	int rc = name ? gw_peer_name_check(name, e) : 0;

	if (rc == 0 && sl_key_from_base64(sl_json_text(params, "public_key"), key.b) == 0)
		rc = gw_public_key_check(&key, e);
	if (rc == 0 && sl_endpoint_parse(sl_json_text(params, "endpoint"), &ep) == 0)
		rc = gw_endpoint_check(&ep, e);
	return rc ? rc
		  : check_prefixes(json_object_get(params, "allowed_ips"), "allowed",
				   "/allowed_ips", e);
}

static int
check_call(const struct sl_config_call *call, struct sl_error *e)
{
	if (strcmp(call->method, "interface.set") == 0)
		return check_interface(call->params, e);
	return strcmp(call->method, "peer.set") == 0 ? check_peer(call->params, e) : 0;
}

int
sl_config_check_values(const struct sl_config *c, struct sl_error *e)
{
	for (unsigned i = 0; i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];
		struct sl_error inner = {0};
		int rc = check_call(call, &inner);

		if (rc && !inner.err)
			return rc;
		if (rc)
			return sl_config_call_fail(c, call, e, &inner);
	}
	return 0;
}
