/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of the control plane in Prometheus' text format. */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "collector.h"
#include "sl_prom.h"
#include "sl_replica.h"
#include "sl_rpc_server.h"
#include "sl_tls_alarm.h"
#include "sl_turns.h"

#define SNAPSHOTS "sluice_control_snapshots_total"
#define SOURCE_SNAPSHOTS "sluice_control_source_snapshots_total"

/* --- subscribers ------------------------------------------------------------------------------ */

struct family {
	FILE *f;
	const char *name;
	uint64_t (*of)(const struct sl_subscriber_info *i);
};

static bool
each(void *ctx, const struct sl_subscriber_info *i)
{
	struct family *x = ctx;

	sl_prom_uint(x->f, x->name, x->of(i), "node", i->node, "kind",
		     i->follower ? "follower" : "gateway", NULL);
	return true;
}

static uint64_t
connected(const struct sl_subscriber_info *i)
{
	return i->connected;
}

static uint64_t
lag(const struct sl_subscriber_info *i)
{
	return i->head > i->acked_seq ? i->head - i->acked_seq : 0;
}

static uint64_t
hash_ok(const struct sl_subscriber_info *i)
{
	return i->hash_ok;
}

static uint64_t
refused(const struct sl_subscriber_info *i)
{
	return i->nack_code[0] != '\0';
}

static uint64_t
outbox(const struct sl_subscriber_info *i)
{
	return i->outbox;
}

static bool
each_snapshots(void *ctx, const struct sl_subscriber_info *i)
{
	for (unsigned r = 0; r < SL_SNAP_OTHER; r++)
		sl_prom_uint(ctx, SNAPSHOTS, i->snapshots_by[r], "node", i->node, "kind",
			     i->follower ? "follower" : "gateway", "reason", sl_snap_reason_name(r),
			     NULL);
	return true;
}

static void
subscribers(FILE *f, const struct sl_publisher *p)
{
	static const struct {
		const char *name, *type, *help;
		uint64_t (*of)(const struct sl_subscriber_info *i);
	} families[] = {
		{"sluice_control_subscriber_connected", "gauge", "1: it follows the log now",
		 connected},
		{"sluice_control_gateway_lag", "gauge",
		 "transactions of its scope that it has not acknowledged", lag},
		{"sluice_control_hash_ok", "gauge", "1: its state equals ours by hash", hash_ok},
		{"sluice_control_refused", "gauge",
		 "1: it refuses a transaction and serves an older one", refused},
		{"sluice_control_outbox_bytes", "gauge", "live transactions that wait for it",
		 outbox},
	};

	for (unsigned i = 0; p != NULL && i < SL_ARRAY_SIZE(families); i++) {
		struct family x = {.f = f, .name = families[i].name, .of = families[i].of};

		sl_prom_head(f, families[i].name, families[i].type, families[i].help);
		sl_publisher_walk(p, each, &x);
	}
	if (p == NULL)
		return;
	sl_prom_head(f, SNAPSHOTS, "counter", "snapshots that it was sent");
	sl_publisher_walk(p, each_snapshots, f);
}

/* --- the rest --------------------------------------------------------------------------------- */

static void
objects(FILE *f, struct sl_store *s)
{
	sl_prom_head(f, "sluice_control_objects", "gauge", "objects of the store by kind");
	for (unsigned k = 0; k < SL_KIND_N; k++)
		sl_prom_uint(f, "sluice_control_objects", sl_store_count(s, k), "kind",
			     sl_kind_name(k), NULL);
}

struct of_gateways {
	FILE *f;
	struct sl_collector *c;
	const char *name;
	void (*put)(const struct of_gateways *x, const char *node,
		    const struct sl_gateway_state *g);
};

static void
skew_s(const struct of_gateways *x, const char *node, const struct sl_gateway_state *g)
{
	sl_prom_real(x->f, x->name, (double)g->skew_ms / 1000, "node", node, NULL);
}

static void
blocked(const struct of_gateways *x, const char *node, const struct sl_gateway_state *g)
{
	sl_prom_uint(x->f, x->name, (uint64_t)sl_blocked_count(g->state), "node", node, NULL);
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct of_gateways *x = ctx;
	struct sl_gateway_state g;

	if (!sl_collector_gateway(x->c, id, &g))
		return true;
	x->put(x, id, &g);
	json_decref(g.state);
	return true;
}

static void
of_gateways(FILE *f, const struct sl_call *c, const char *name, const char *help,
	    void (*put)(const struct of_gateways *x, const char *node,
			const struct sl_gateway_state *g))
{
	struct of_gateways x = {f, c->rest->c.collector, name, put};

	sl_prom_head(f, name, "gauge", help);
	sl_store_walk(c->store, SL_KIND_GATEWAY, "", each_gateway, &x, NULL);
}

static void
collected(FILE *f, const struct sl_call *c)
{
	if (c->reports == NULL)
		return;
	sl_prom_single(f, "sluice_control_sessions_open", "gauge",
		       "user sessions that have not ended", sl_sessions_open(c->reports->sessions));
	of_gateways(f, c, "sluice_control_clock_skew_seconds", "a gateway's clock less ours",
		    skew_s);
	of_gateways(f, c, "sluice_control_blocked_objects",
		    "objects that a gateway blocks, for they came back after their deletion",
		    blocked);
}

/** How long the loop is at work at a stretch. */
static void
turns(FILE *f, const struct sl_turns *t)
{
	static const char name[] = "sluice_control_loop_turn_seconds";

	if (t == NULL)
		return;
	sl_prom_head(f, name, "histogram", "processor time of a turn of the event loop");
	sl_prom_times(f, name, &t->times, NULL, NULL);
	sl_prom_head(f, "sluice_control_loop_turn_longest_seconds", "gauge",
		     "the longest one so far");
	sl_prom_real(f, "sluice_control_loop_turn_longest_seconds", (double)t->longest_ns / 1e9,
		     NULL);
}

/** What will stop working by itself. */
static void
endings(FILE *f, const struct sl_call *c)
{
	static const char name[] = "sluice_control_token_expiry_timestamp_seconds";
	int64_t now = (int64_t)(sl_rest_wall_ns() / 1000000000);
	struct sl_token_endings t;
	unsigned n = 0;

	sl_token_endings(c->store, now, now + SL_TLS_ALARM_DAYS * 86400, &t);
	sl_prom_single(f, "sluice_control_certificate_expiry_timestamp_seconds", "gauge",
		       "when this server's certificate ends",
		       (uint64_t)sl_tls_not_after(c->rest->c.tls));
	sl_prom_single(f, "sluice_control_tokens_expiring", "gauge",
		       "tokens that end within 14 days", t.soon);
	for (unsigned i = 0; i < SL_SR_N; i++) {
		if (t.next_s[i] == 0)
			continue;
		if (n++ == 0)
			sl_prom_head(f, name, "gauge", "when the next token with that role ends");
		sl_prom_uint(f, name, (uint64_t)t.next_s[i], "kind", sl_service_role_name(i), NULL);
	}
}

struct provider_family {
	FILE *f;
	bool begun;
};

static bool
each_provider(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL);
	const char *state = json_string_value(json_object_get(body, "state"));
	struct provider_family *x = ctx;

	if (!x->begun)
		sl_prom_head(x->f, "sluice_control_idp_up", "gauge",
			     "1: the identity provider answers, as its object says");
	x->begun = true;
	sl_prom_uint(x->f, "sluice_control_idp_up", state != NULL && strcmp(state, "up") == 0,
		     "issuer", id, NULL);
	json_decref(body);
	return true;
}

static void
providers(FILE *f, struct sl_store *s)
{
	struct provider_family x = {.f = f};

	sl_store_walk(s, SL_KIND_PROVIDER, "", each_provider, &x, NULL);
}

static void
stream(FILE *f, const struct sl_rpc_server *server)
{
	static const char name[] = "sluice_control_stream_logins_total";
	struct sl_rpc_server_stats st;

	if (server == NULL)
		return;
	sl_rpc_server_stats(server, &st);
	sl_prom_head(f, name, "counter", "logins of gateways and followers for replication");
	sl_prom_uint(f, name, st.logins, "result", "ok", NULL);
	sl_prom_uint(f, name, st.logins_refused, "result", "refused", NULL);
	sl_prom_uint(f, name, st.logins_delayed, "result", "delayed", NULL);
	sl_prom_single(f, "sluice_control_stream_connections", "gauge", "open now", st.connections);
}

static void
put_failures(FILE *f, const char *listener, const uint64_t n[SL_TLS_FAILURES])
{
	for (unsigned i = 0; i < SL_TLS_FAILURES; i++)
		sl_prom_uint(f, "sluice_control_tls_failed_total", n[i], "listener", listener,
			     "reason", sl_tls_failure_name(i), NULL);
}

/** Who was not even asked for a login. */
static void
handshakes(FILE *f, const struct sl_rest_stats *rest, const struct sl_rpc_server *server)
{
	struct sl_rpc_server_stats st;

	sl_prom_head(f, "sluice_control_tls_failed_total", "counter",
		     "connections that ended before their TLS handshake was done");
	put_failures(f, "rest", rest->tls_failed);
	if (server == NULL)
		return;
	sl_rpc_server_stats(server, &st);
	put_failures(f, "stream", st.tls_failed);
}

/** What the loop knows. */
static void
source(FILE *f, const struct sl_call *c)
{
	struct sl_sub_info info = {0};
	char at[160];

	if (c->rest->c.source == NULL || !c->rest->c.source(c->rest->c.ctx, &info, at))
		return;
	sl_prom_single(f, "sluice_control_source_epoch_refused", "gauge",
		       "follower: 1: a source's epoch is not taken, somebody has to accept it",
		       info.refused.number != 0);
	sl_prom_head(f, SOURCE_SNAPSHOTS, "counter", "follower: snapshots that came");
	for (unsigned r = 0; r < SL_SNAP_REASONS; r++)
		sl_prom_uint(f, SOURCE_SNAPSHOTS, info.snapshots_by[r], "reason",
			     sl_snap_reason_name(r), NULL);
}

static void
of_loop(FILE *f, const struct sl_call *c)
{
	struct sl_store *s = c->store;
	struct sl_rest_stats st;
	struct sl_epoch epoch;

	sl_rest_stats(c->rest, &st);
	sl_store_epoch(s, &epoch);
	sl_prom_head(f, "sluice_build_info", "gauge", "version of the program");
	sl_prom_uint(f, "sluice_build_info", 1, "program", "sluice-control", "version", SL_VERSION,
		     "commit", sl_prom_commit, NULL);
	sl_prom_single(f, "sluice_control_oplog_head", "gauge", "newest seq", sl_store_head(s));
	sl_prom_single(f, "sluice_control_oplog_oldest", "gauge", "oldest seq of the log",
		       sl_store_oldest(s));
	sl_prom_single(f, "sluice_control_epoch", "gauge",
		       "number of the epoch; grows by a restore or a promotion", epoch.number);
	sl_prom_single(f, "sluice_control_primary", "gauge", "1: this is the primary",
		       sl_store_role(s) == SL_STORE_PRIMARY);
	source(f, c);
	rest_counts_put(f, &c->rest->counts);
	sl_prom_single(f, "sluice_control_http_problems_total", "counter",
		       "answers that told a problem", st.problems);
	sl_prom_head(f, "sluice_control_refused_total", "counter", "requests refused");
	sl_prom_uint(f, "sluice_control_refused_total", st.refused_login, "reason", "login", NULL);
	sl_prom_uint(f, "sluice_control_refused_total", st.refused_role, "reason", "role", NULL);
	sl_prom_uint(f, "sluice_control_refused_total", st.refused_rate, "reason", "rate", NULL);
	sl_prom_single(f, "sluice_control_http_connections", "gauge", "open now", st.connections);
	handshakes(f, &st, c->rest->c.stream);
	turns(f, c->rest->c.turns);
	stream(f, c->rest->c.stream);
	subscribers(f, c->rest->c.publisher);
}

/** What is counted in the store. */
static void
of_store(FILE *f, const struct sl_call *c)
{
	endings(f, c);
	objects(f, c->store);
	providers(f, c->store);
	collected(f, c);
}

int
sl_op_get_metrics(struct sl_call *c, struct sl_error *e)
{
	char *before = c->out_text;
	FILE *f = open_memstream(&c->out_text, &c->out_len);

	if (f == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (before != NULL)
		fputs(before, f);
	free(before);
	if (c->part == 0)
		of_loop(f, c);
	else
		of_store(f, c);
	if (fclose(f) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	c->out_type = "text/plain; version=0.0.4";
	return c->part == 0 ? SL_CALL_HELPER : 0;
}
