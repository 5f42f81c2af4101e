/* SPDX-License-Identifier: BSD-3-Clause */
/* What gateways report, line by line: 's' and the parameters of stats.report, 'l' and those of
 * log.push, as they come through the schema (texts are texts, numbers none below zero; lists are
 * anything). All of a report is taken or nothing; what is kept can be read. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../fuzz_store.h"
#include "../require.h"
#include "collector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_store *store;
static struct sl_collector *collector;
static struct sl_reports *reports; /* what others read */
static struct sl_error e;

static void
clean_up(void)
{
	sl_reports_free(reports);
	sl_collector_free(collector);
}

static void
put(struct sl_store_txn *t, enum sl_kind k, const char *id, const char *body)
{
	json_t *v = json_loads(body, 0, NULL);

	require_ok(v != NULL && sl_store_put(t, k, id, SL_REV_NONE, v, &e) == 0, e);
	json_decref(v);
}

static void
set_up(void)
{
	struct sl_store_txn *t;

	store = fuzz_store_new(SL_STORE_PRIMARY);
	t = sl_store_begin(store, "uid:0", "fuzz", &e);
	require_ok(t != NULL, e);
	put(t, SL_KIND_INTERFACE, "wg0", "{}");
	put(t, SL_KIND_GATEWAY, "gw-1", "{\"interfaces\": [\"wg0\"]}");
	put(t, SL_KIND_PEER, "alice",
	    "{\"interface\": \"wg0\", \"public_key\": "
	    "\"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\"}");
	put(t, SL_KIND_TARGET, "db", "{\"addresses\": [\"10.20.0.10/32\"]}");
	require_ok(sl_store_commit(t, NULL, &e) == 0, e);
	collector = sl_collector_new(store, NULL, &e); /* no ledger: no audit */
	require_ok(collector != NULL, e);
	reports = sl_reports_new(store, &e);
	require_ok(reports != NULL, e);
	atexit(clean_up);
}

/* --- what is kept --------------------------------------------------------------------------------
 */

static bool
look_flow(void *ctx, const struct sl_flow_row *r)
{
	uint64_t *flows = ctx;

	require(strcmp(r->gateway, "gw-1") == 0 && r->interface != NULL && r->peer != NULL);
	require(r->role != NULL && r->rule != NULL && r->reason != NULL);
	require(r->src.family == r->dst.family && r->src.family != 0);
	require(r->first_s <= r->last_s);
	*flows += r->flows;
	return true;
}

static bool
look_session(void *ctx, const struct sl_session *v)
{
	(void)ctx;
	require(strcmp(v->peer, "alice") == 0); /* of nobody else */
	require(v->started_s <= v->last_s);
	require(strlen(v->country) == 0 || strlen(v->country) == 2);
	return true;
}

static bool
look_hour(void *ctx, int64_t hour_s, uint64_t rx, uint64_t tx)
{
	(void)ctx;
	(void)rx;
	(void)tx;
	require(hour_s % 3600 == 0);
	return true;
}

static uint64_t
look(void)
{
	const struct sl_flows_filter all = {.since_s = INT64_MIN};
	const struct sl_session_filter any = {0};
	json_t *names = json_pack("[s]", "gw-1"), *gaps;
	int64_t now = sl_collector_now_s();
	struct sl_trend_mean mean;
	uint64_t flows = 0;

	require_ok(sl_flows_walk(reports->flows, &all, look_flow, &flows, &e) == 0, e);
	require_ok(sl_sessions_walk(reports->sessions, &any, now, look_session, NULL, &e) == 0, e);
	require_ok(sl_sessions_usage(reports->sessions, NULL, 0, now + 86400, look_hour, NULL,
				     &e) == 0,
		   e);
	gaps = sl_flows_gaps(reports->flows, names, now - 86400, now, &e);
	require(json_array_size(gaps) == 1);
	json_decref(gaps);
	json_decref(names);
	(void)sl_trend_mean(reports->trend, "gw-1", "db", 0, now + 1, &mean, &e);
	return flows;
}

/* Nothing of the input before. */
static void
forget(void)
{
	int64_t future = INT64_C(1) << 60;

	require_ok(sl_flows_prune(reports->flows, future, &e) >= 0, e);
	require_ok(sl_sessions_prune(reports->sessions, future, &e) >= 0, e);
	require_ok(sl_trend_prune(reports->trend, future, &e) >= 0, e);
}

/* --- the schema before it -----------------------------------------------------------------------
 */

static bool
is_text(const json_t *o, const char *name, size_t max, bool needed)
{
	const json_t *v = json_object_get(o, name);

	return v == NULL ? !needed : json_is_string(v) && json_string_length(v) <= max;
}

static bool
is_number(const json_t *o, const char *name, bool needed)
{
	const json_t *v = json_object_get(o, name);

	return v == NULL ? !needed
			 : json_is_integer(v) && json_integer_value(v) >= 0 &&
				   json_integer_value(v) < INT64_C(1) << 53;
}

static bool
fits(const json_t *o, bool log)
{
	if (!is_text(o, "boot", 64, true) || !is_text(o, "now", 40, false) ||
	    !is_text(o, "from", 40, false) || !is_text(o, "to", 40, false))
		return false;
	if (!log)
		return json_object_get(o, "peers") != NULL;
	return json_object_get(o, "rows") != NULL && is_number(o, "first", true) &&
	       is_number(o, "lost_before", false) && is_number(o, "lost_flows", false);
}

static void
one_line(char *line)
{
	json_t *params = json_loads(line + 1, JSON_REJECT_DUPLICATES, NULL), *result = NULL;
	bool log = line[0] == 'l';
	uint64_t before;
	int rc;

	if (json_is_object(params) && fits(params, log)) {
		before = look();
		require_ok(sl_collector_begin(collector, &e) == 0, e);
		e = (struct sl_error){0};
		rc = sl_collector_call(collector, log ? "log.push" : "stats.report", "gw-1", params,
				       &result, &e);
		require(rc <= 0 && (rc == 0 || e.reason[0] != '\0'));
		require_ok(sl_collector_commit(collector, &e) == 0, e);
		require(rc == 0 || !log || look() == before); /* all of it or nothing */
		if (rc == 0 && log)
			require(json_is_integer(json_object_get(result, "acked")));
		sl_collector_tick(collector, sl_collector_now_s());
		look();
	}
	json_decref(params);
	json_decref(result);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text, *save = NULL, *line;

	if (size < 3)
		return 0;
	if (store == NULL)
		set_up();
	forget();
	text = malloc(size + 1);
	require(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save))
		one_line(line);
	free(text);
	return 0;
}
