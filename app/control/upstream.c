/* SPDX-License-Identifier: BSD-3-Clause */
#include "upstream.h"

#include <stdio.h>
#include <stdlib.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_trail.h"

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
	struct sl_trail_row row = {.actor = actor,
				   .source = "-",
				   .operation = "gateway.register",
				   .path = "-",
				   .request_id = "-",
				   .outcome = "done"};
	struct sl_store_txn *t;
	uint64_t seq = 0;
	int rc;

	snprintf(actor, sizeof(actor), "gateway:%s", node);
	t = sl_store_begin(s, actor, "gateway.register", e);
	if (t == NULL)
		return e->err;
	rc = put_all(t, node, params, e);
	if (rc == 0)
		rc = sl_trail_change(s, t, &row, e);
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

/* --- how often -------------------------------------------------------------------------------- */

#define PLACES 4096

/* A gateway that begins tells of 100,000 peers in 200 calls, and of 16,384 rows in 33. */
static const struct told {
	const char *method, *list; /* what it tells of */
	unsigned per_second, burst;
	unsigned unit; /* so many of the list cost as much as a call */
} tells[] = {
	{"log.push", "rows", 20, 250, 100},
	{"stats.report", "peers", 50, 500, 1000},
	{"gateway.register", "interfaces", 1, 20, 1000},
};

struct upstream {
	struct sl_store *store;
	struct sl_collector *collector;
	struct sl_rate *rate[SL_ARRAY_SIZE(tells)];
};

struct upstream *
upstream_new(struct sl_store *s, struct sl_collector *collector)
{
	struct upstream *u = calloc(1, sizeof(*u));

	for (unsigned i = 0; u != NULL && i < SL_ARRAY_SIZE(tells); i++) {
		u->rate[i] = sl_rate_new(tells[i].per_second, tells[i].burst, PLACES);
		if (u->rate[i] != NULL)
			continue;
		upstream_free(u);
		return NULL;
	}
	if (u != NULL) {
		u->store = s;
		u->collector = collector;
	}
	return u;
}

void
upstream_free(struct upstream *u)
{
	for (unsigned i = 0; u != NULL && i < SL_ARRAY_SIZE(tells); i++)
		sl_rate_free(u->rate[i]);
	free(u);
}

static int
check_rate(struct upstream *u, const char *method, const char *node, const json_t *params,
	   struct sl_error *e)
{
	uint64_t wait_ns;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(tells); i++)
		if (strcmp(tells[i].method, method) == 0)
			break;
	if (i == SL_ARRAY_SIZE(tells))
		return 0;
	wait_ns = sl_rate_take_ns(u->rate[i], node, sl_clock_mono_ns());
	if (wait_ns == 0) {
		size_t n = json_array_size(json_object_get(params, tells[i].list));

		sl_rate_charge(u->rate[i], node, (unsigned)(n / tells[i].unit));
		return 0;
	}
	sl_fail(e, -EBUSY, "rate_limited", "", "%s of gateway \"%.63s\" comes too often", method,
		node);
	e->retry_after_ms = (uint32_t)(wait_ns / SL_NS_PER_MS) + 1;
	sl_hint(e, "try again in %u ms", e->retry_after_ms);
	return -EBUSY;
}

int
upstream_call(struct upstream *u, const char *method, const char *node, json_t *params,
	      json_t **result, struct sl_error *e)
{
	int rc;

	if (strncmp(method, "repl.", 5) == 0) /* it is in the publisher's table: here it ends */
		return 0;
	rc = check_rate(u, method, node, params, e);
	if (rc != 0)
		return rc;
	if (strcmp(method, "gateway.register") == 0)
		return gateway_register(u->store, node, params, result, e);
	return sl_collector_call(u->collector, method, node, params, result, e);
}
