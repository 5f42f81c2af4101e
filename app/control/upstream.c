/* SPDX-License-Identifier: BSD-3-Clause */
#include "upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_tasks.h"
#include "sl_trail.h"

#define TOGETHER_NS (50 * 1000000ULL) /* of one transaction: others change something too */
#define LOST_MS 1000

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
gateway_register(struct sl_store *s, const struct sl_seal_key *key, const char *node,
		 json_t *params, json_t **result, struct sl_error *e)
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
		rc = sl_trail_change(s, key, t, &row, e);
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

struct report {
	struct sl_rpc_later *later;
	const char *method; /* of the schema */
	char node[64];
	json_t *params, *result;
	int rc;
	struct sl_error e;
	TAILQ_ENTRY(report) link;
};

TAILQ_HEAD(reports, report);

struct upstream {
	struct sl_store *store;	       /* the writer's */
	const struct sl_seal_key *key; /* of the audit */
	struct sl_collector *collector;
	struct sl_rate *rate[SL_ARRAY_SIZE(tells)];
	struct sl_tasks *writer;
	struct sl_task write, tick;
	struct reports waiting, written; /* written: the writer's, while it writes */
	struct report *left;		 /* of `written`: the first one of its next turn */
	bool writing, ticking;
};

/* --- the writer ------------------------------------------------------------------------------- */

/** A row of the log is a transaction of its own. */
static bool
is_change(const struct report *r)
{
	return strcmp(r->method, "gateway.register") == 0;
}

/** Those up to `end` (NULL: the last) were not committed. */
static void
undo(struct report *from, const struct report *end, int rc, const struct sl_error *e)
{
	for (struct report *r = from; r != end; r = TAILQ_NEXT(r, link)) {
		if (r->rc != 0)
			continue;
		r->rc = rc;
		r->e = *e;
	}
}

/** @return the first one that is not of this transaction */
static struct report *
write_together(struct upstream *u, struct report *first)
{
	uint64_t begun = sl_clock_mono_ns();
	struct sl_error e = {0};
	struct report *r = first;
	int rc = sl_collector_begin(u->collector, &e);

	for (; r != NULL && !is_change(r); r = TAILQ_NEXT(r, link)) {
		if (r != first && sl_clock_mono_ns() - begun > TOGETHER_NS)
			break;
		if (rc == 0)
			r->rc = sl_collector_call(u->collector, r->method, r->node, r->params,
						  &r->result, &r->e);
	}
	if (rc == 0)
		rc = sl_collector_commit(u->collector, &e);
	if (rc != 0)
		undo(first, r, rc, &e);
	return r;
}

static void
write_run(struct sl_task *t)
{
	struct upstream *u = SL_CONTAINER_OF(t, struct upstream, write);
	struct report *r = TAILQ_FIRST(&u->written);

	if (!is_change(r)) {
		u->left = write_together(u, r);
		return;
	}
	r->rc = gateway_register(u->store, u->key, r->node, r->params, &r->result, &r->e);
	u->left = TAILQ_NEXT(r, link);
}

static void
tick_run(struct sl_task *t)
{
	sl_collector_tick(SL_CONTAINER_OF(t, struct upstream, tick)->collector,
			  sl_collector_now_s());
}

/* --- the loop --------------------------------------------------------------------------------- */

static void
tick_done(struct sl_task *t)
{
	SL_CONTAINER_OF(t, struct upstream, tick)->ticking = false;
}

void
upstream_tick(struct upstream *u)
{
	if (u->ticking)
		return;
	u->ticking = true;
	u->tick = (struct sl_task){.run = tick_run, .done = tick_done};
	sl_tasks_give(u->writer, &u->tick);
}

static void
answer(struct report *r)
{
	if (r->rc != 0) {
		json_decref(r->result);
		r->result = NULL;
	}
	sl_rpc_answer(r->later, r->rc, r->result, &r->e);
	json_decref(r->params);
	free(r);
}

/** Those of a list up to `end`. */
static void
answer_all(struct reports *list, const struct report *end)
{
	struct report *r;

	while ((r = TAILQ_FIRST(list)) != end) {
		TAILQ_REMOVE(list, r, link);
		answer(r);
	}
}

static void write_done(struct sl_task *t);

static void
write_next(struct upstream *u)
{
	if (u->writing)
		return;
	TAILQ_CONCAT(&u->written, &u->waiting, link);
	if (TAILQ_EMPTY(&u->written))
		return;
	u->writing = true;
	u->write = (struct sl_task){.run = write_run, .done = write_done};
	sl_tasks_give(u->writer, &u->write);
}

static void
write_done(struct sl_task *t)
{
	struct upstream *u = SL_CONTAINER_OF(t, struct upstream, write);

	u->writing = false;
	answer_all(&u->written, u->left);
	write_next(u);
}

static int
open_all(struct upstream *u, struct sl_error *e)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(tells); i++) {
		u->rate[i] = sl_rate_new(tells[i].per_second, tells[i].burst, PLACES);
		if (u->rate[i] == NULL)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for reports");
	}
	u->collector = sl_collector_new(u->store, u->key, e);
	return u->collector != NULL ? 0 : e->err;
}

struct upstream *
upstream_new(struct sl_tasks *writer, struct sl_store *s, const struct sl_seal_key *key,
	     struct sl_error *e)
{
	struct upstream *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for reports");
		return NULL;
	}
	u->writer = writer;
	u->store = s;
	u->key = key;
	TAILQ_INIT(&u->waiting);
	TAILQ_INIT(&u->written);
	if (open_all(u, e) == 0)
		return u;
	upstream_free(u);
	return NULL;
}

void
upstream_free(struct upstream *u)
{
	struct report *r;

	if (u == NULL)
		return;
	TAILQ_CONCAT(&u->written, &u->waiting, link);
	TAILQ_FOREACH (r, &u->written, link) {
		r->rc = sl_fail(&r->e, -EBUSY, "stopping", "", "the server ends");
		r->e.retry_after_ms = LOST_MS;
	}
	answer_all(&u->written, NULL);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(tells); i++)
		sl_rate_free(u->rate[i]);
	sl_collector_free(u->collector);
	free(u);
}

struct sl_collector *
upstream_collector(struct upstream *u)
{
	return u->collector;
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

static const char *
method_of(const char *method)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(tells); i++)
		if (strcmp(tells[i].method, method) == 0)
			return tells[i].method;
	return NULL;
}

int
upstream_call(struct upstream *u, const struct sl_rpc_caller *caller, const char *method,
	      const char *node, json_t *params, struct sl_error *e)
{
	struct report *r;
	int rc;

	if (method_of(method) == NULL) /* repl.*: it is in the publisher's table, here it ends */
		return 0;
	rc = check_rate(u, method, node, params, e);
	if (rc != 0)
		return rc;
	r = calloc(1, sizeof(*r));
	if (r != NULL)
		r->later = sl_rpc_later(caller);
	if (r == NULL || r->later == NULL) {
		free(r);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the report");
	}
	r->method = method_of(method);
	r->params = json_incref(params);
	snprintf(r->node, sizeof(r->node), "%s", node);
	TAILQ_INSERT_TAIL(&u->waiting, r, link);
	write_next(u);
	return SL_RPC_LATER;
}
