/* SPDX-License-Identifier: BSD-3-Clause */
/* Metrics of the control plane in Prometheus' text format. */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "collector.h"
#include "sl_replica.h"
#include "sl_tls_alarm.h"
#include "sl_turns.h"

static void
head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
value(FILE *f, const char *name, const char *type, const char *help, unsigned long long v)
{
	head(f, name, type, help);
	fprintf(f, "%s %llu\n", name, v);
}

/* --- subscribers ------------------------------------------------------------------------------ */

struct family {
	FILE *f;
	const char *name;
	long long (*of)(const struct sl_subscriber_info *i);
};

static bool
each(void *ctx, const struct sl_subscriber_info *i)
{
	struct family *x = ctx;

	/* names match [a-z0-9-]: nothing to be escaped */
	fprintf(x->f, "%s{node=\"%s\",kind=\"%s\"} %lld\n", x->name, i->node,
		i->follower ? "follower" : "gateway", x->of(i));
	return true;
}

static long long
connected(const struct sl_subscriber_info *i)
{
	return i->connected;
}

static long long
lag(const struct sl_subscriber_info *i)
{
	return i->head > i->acked_seq ? (long long)(i->head - i->acked_seq) : 0;
}

static long long
hash_ok(const struct sl_subscriber_info *i)
{
	return i->hash_ok;
}

static long long
refused(const struct sl_subscriber_info *i)
{
	return i->nack_code[0] != '\0';
}

static long long
outbox(const struct sl_subscriber_info *i)
{
	return (long long)i->outbox;
}

static long long
snapshots(const struct sl_subscriber_info *i)
{
	return (long long)i->snapshots;
}

static void
subscribers(FILE *f, const struct sl_publisher *p)
{
	static const struct {
		const char *name, *type, *help;
		long long (*of)(const struct sl_subscriber_info *i);
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
		{"sluice_control_snapshots_total", "counter", "snapshots that it was sent",
		 snapshots},
	};

	for (unsigned i = 0; p != NULL && i < SL_ARRAY_SIZE(families); i++) {
		struct family x = {.f = f, .name = families[i].name, .of = families[i].of};

		head(f, families[i].name, families[i].type, families[i].help);
		sl_publisher_walk(p, each, &x);
	}
}

/* --- the rest --------------------------------------------------------------------------------- */

static void
objects(FILE *f, struct sl_store *s)
{
	head(f, "sluice_control_objects", "gauge", "objects of the store by kind");
	for (unsigned k = 0; k < SL_KIND_N; k++)
		fprintf(f, "sluice_control_objects{kind=\"%s\"} %llu\n", sl_kind_name(k),
			(unsigned long long)sl_store_count(s, k));
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct {
		FILE *f;
		struct sl_collector *c;
	} *x = ctx;
	struct sl_gateway_state g;

	if (!sl_collector_gateway(x->c, id, &g))
		return true;
	fprintf(x->f, "sluice_control_clock_skew_seconds{node=\"%s\"} %.3f\n", id,
		(double)g.skew_ms / 1000);
	return true;
}

static void
collected(FILE *f, struct sl_store *s, struct sl_collector *c)
{
	struct {
		FILE *f;
		struct sl_collector *c;
	} x = {f, c};

	if (c == NULL)
		return;
	value(f, "sluice_control_sessions_open", "gauge", "user sessions that have not ended",
	      sl_sessions_open(sl_collector_sessions(c)));
	head(f, "sluice_control_clock_skew_seconds", "gauge", "a gateway's clock less ours");
	sl_store_walk(s, SL_KIND_GATEWAY, "", each_gateway, &x, NULL);
}

/** How long the loop is at work at a stretch. */
static void
turns(FILE *f, const struct sl_turns *t)
{
	static const char name[] = "sluice_control_loop_turn_seconds";
	uint64_t n = 0;

	if (t == NULL)
		return;
	head(f, name, "histogram", "processor time of a turn of the event loop");
	for (unsigned c = 0; c < SL_TURN_CLASSES; c++) {
		n += t->n[c];
		fprintf(f, "%s_bucket{le=\"%g\"} %llu\n", name, sl_turn_us[c] / 1e6,
			(unsigned long long)n);
	}
	fprintf(f, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", name,
		(unsigned long long)t->all, name, (double)t->sum_ns / 1e9, name,
		(unsigned long long)t->all);
	head(f, "sluice_control_loop_turn_longest_seconds", "gauge", "the longest one so far");
	fprintf(f, "sluice_control_loop_turn_longest_seconds %.6f\n", (double)t->longest_ns / 1e9);
}

/** What will stop working by itself. */
static void
endings(FILE *f, const struct sl_rest *r)
{
	int64_t now = (int64_t)(sl_rest_wall_ns() / 1000000000);

	head(f, "sluice_control_certificate_expiry_timestamp_seconds", "gauge",
	     "when this server's certificate ends");
	fprintf(f, "sluice_control_certificate_expiry_timestamp_seconds %lld\n",
		(long long)sl_tls_not_after(r->c.tls));
	value(f, "sluice_control_tokens_expiring", "gauge", "tokens that end within 14 days",
	      sl_token_count_ending(r->c.store, now, now + SL_TLS_ALARM_DAYS * 86400));
}

int
sl_op_get_metrics(struct sl_call *c, struct sl_error *e)
{
	struct sl_store *s = c->store;
	struct sl_rest_stats st;
	struct sl_epoch epoch;
	FILE *f = open_memstream(&c->out_text, &c->out_len);

	if (f == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	sl_rest_stats(c->rest, &st);
	sl_store_epoch(s, &epoch);
	head(f, "sluice_build_info", "gauge", "version of the program");
	fprintf(f, "sluice_build_info{program=\"sluice-control\",version=\"%s\"} 1\n", SL_VERSION);
	value(f, "sluice_control_oplog_head", "gauge", "newest seq", sl_store_head(s));
	value(f, "sluice_control_oplog_oldest", "gauge", "oldest seq of the log",
	      sl_store_oldest(s));
	value(f, "sluice_control_epoch", "counter",
	      "number of the epoch; grows by a restore or a promotion", epoch.number);
	value(f, "sluice_control_primary", "gauge", "1: this is the primary",
	      sl_store_role(s) == SL_STORE_PRIMARY);
	value(f, "sluice_control_http_requests_total", "counter", "requests of the REST API",
	      st.requests);
	value(f, "sluice_control_http_problems_total", "counter", "of them answered with a problem",
	      st.problems);
	head(f, "sluice_control_refused_total", "counter", "requests refused");
	fprintf(f,
		"sluice_control_refused_total{reason=\"login\"} %llu\n"
		"sluice_control_refused_total{reason=\"role\"} %llu\n"
		"sluice_control_refused_total{reason=\"rate\"} %llu\n",
		(unsigned long long)st.refused_login, (unsigned long long)st.refused_role,
		(unsigned long long)st.refused_rate);
	value(f, "sluice_control_http_connections", "gauge", "open now", st.connections);
	turns(f, c->rest->c.turns);
	endings(f, c->rest);
	objects(f, s);
	subscribers(f, c->rest->c.publisher);
	collected(f, s, c->rest->c.collector);
	if (fclose(f) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	c->out_type = "text/plain; version=0.0.4";
	return 0;
}
