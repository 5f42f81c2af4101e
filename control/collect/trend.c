/* SPDX-License-Identifier: BSD-3-Clause */
/* Samples of gateways, folded into steps of five minutes. */
#include "sl_trend.h"

#include <stdio.h>
#include <stdlib.h>

#include "db.h"

enum { TQ_LAST, TQ_SET_LAST, TQ_FOLD, TQ_RTT, TQ_N };

struct sl_trend {
	sqlite3 *db;
	sqlite3_stmt *st[TQ_N];
};

/* clang-format off */
static const char tables[] =
	"CREATE TABLE IF NOT EXISTS trend(gateway TEXT, at INTEGER, n INTEGER NOT NULL, packets INTEGER NOT NULL,"
	" drops INTEGER NOT NULL, quantiles INTEGER NOT NULL, p50 REAL NOT NULL, p95 REAL NOT NULL, p99 REAL NOT NULL,"
	" PRIMARY KEY(gateway, at)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS trend_rtt(target TEXT, gateway TEXT, at INTEGER, n INTEGER NOT NULL, p50 REAL NOT NULL,"
	" p95 REAL NOT NULL, p99 REAL NOT NULL, PRIMARY KEY(target, gateway, at)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS trend_last(gateway TEXT PRIMARY KEY, boot TEXT NOT NULL, packets INTEGER NOT NULL,"
	" drops INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const sql[TQ_N] = {
	[TQ_LAST] = "SELECT boot, packets, drops FROM trend_last WHERE gateway = ?1",
	[TQ_SET_LAST] = "INSERT INTO trend_last VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET boot = ?2, packets = ?3, drops = ?4",
	[TQ_FOLD] = "INSERT INTO trend VALUES(?1, ?2, 1, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET n = n + 1,"
		" packets = min(packets + ?3, 1 << 40), drops = min(drops + ?4, 1 << 40), quantiles = quantiles + ?5, p50 = p50 + ?6, p95 = p95 + ?7, p99 = p99 + ?8",
	[TQ_RTT] = "INSERT INTO trend_rtt VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET n = n + ?4,"
		" p50 = p50 + ?5, p95 = p95 + ?6, p99 = p99 + ?7",
};

/* Decided by policy, or no loss of anybody's traffic. */
static const char *const not_losses[] = {"no_role", "denied", "map_error", "target_withdrawn", "isolation", "no_peer", "peer_down", "spoofed_source",
					 "local_consumed", "l2_not_mine", "l2_ethertype", "l2_vlan", "not_wireguard", "not_tunnel",
					 "no_listener", "rate_local"};
/* clang-format on */

struct sl_trend *
sl_trend_new(sqlite3 *db, struct sl_error *e)
{
	struct sl_trend *t = calloc(1, sizeof(*t));
	int n = 0;

	if (!t) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	t->db = db;
	if (db_exec(db, tables, e) == 0)
		while (n < TQ_N && (t->st[n] = db_prepare(db, sql[n], e)) != NULL)
			n++;
	if (n == TQ_N)
		return t;
	sl_trend_free(t);
	return NULL;
}

void
sl_trend_free(struct sl_trend *t)
{
	if (!t)
		return;
	for (int i = 0; i < TQ_N; i++)
		sqlite3_finalize(t->st[i]);
	free(t);
}

/* --- samples -------------------------------------------------------------------------------- */

static bool
is_loss(const char *reason)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(not_losses); i++)
		if (strcmp(reason, not_losses[i]) == 0)
			return false;
	return true;
}

static int64_t
losses(const json_t *drops)
{
	const char *reason;
	uint64_t n = 0; /* whatever they say: it may wrap, not overflow */
	json_t *v;

	json_object_foreach ((json_t *)drops, reason, v)
		if (is_loss(reason))
			n += (uint64_t)json_integer_value(v);
	return (int64_t)(n & INT64_MAX);
}

/* sums of all of them stay numbers, whatever a gateway says */
#define COUNT_MAX (1LL << 40) /* of a step */
#define TIMES_MAX (1LL << 24) /* of a report */
#define TIME_MAX 1e15

struct quantiles {
	double p50, p95, p99;
	int64_t n; /* 0: there are none */
};

static double
time_of(const json_t *v)
{
	double t = json_number_value(v);

	return t > 0 ? SL_MIN(t, TIME_MAX) : 0;
}

static struct quantiles
quantiles_of(const json_t *v)
{
	const json_t *n = json_object_get(v, "n");
	struct quantiles q = {
		.p50 = time_of(json_object_get(v, "p50")),
		.p95 = time_of(json_object_get(v, "p95")),
		.p99 = time_of(json_object_get(v, "p99")),
		.n = n ? SL_MIN(json_integer_value(n), TIMES_MAX) : 1,
	};

	if (!json_is_number(json_object_get(v, "p50")))
		q = (struct quantiles){0};
	return q;
}

/** ?N from `first` on. */
static void
bind_quantiles(sqlite3_stmt *st, int first, const struct quantiles *q, double weight)
{
	sqlite3_bind_double(st, first, q->p50 * weight);
	sqlite3_bind_double(st, first + 1, q->p95 * weight);
	sqlite3_bind_double(st, first + 2, q->p99 * weight);
}

static int
step(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	return rc == SQLITE_DONE ? 0 : -EIO;
}

/** What the counters say since the report before; of another boot: from zero on. */
static int
since_last(struct sl_trend *t, const char *gateway, const char *boot, int64_t *packets,
	   int64_t *drops)
{
	sqlite3_stmt *st = t->st[TQ_LAST];
	int64_t p = 0, d = 0, all = *packets, lost = *drops;
	int rc = db_run(st, "t", gateway);

	if (rc == 1 && strcmp(db_text(st, 0), boot) == 0) {
		p = sqlite3_column_int64(st, 1);
		d = sqlite3_column_int64(st, 2);
	}
	if (rc == 1)
		sqlite3_reset(st);
	*packets = all >= p ? all - p : all;
	*drops = lost >= d ? lost - d : lost;
	return rc < 0 ? rc : db_run(t->st[TQ_SET_LAST], "ttii", gateway, boot, all, lost);
}

static int
fold(struct sl_trend *t, const char *gateway, const char *boot, const json_t *state, int64_t at)
{
	struct quantiles q = quantiles_of(json_object_get(state, "latency_ns"));
	int64_t packets = SL_MAX(json_integer_value(json_object_get(state, "packets")), 0);
	int64_t drops = losses(json_object_get(state, "drops"));
	sqlite3_stmt *st = t->st[TQ_FOLD];
	int rc = since_last(t, gateway, boot, &packets, &drops);

	if (rc)
		return rc;
	sqlite3_bind_text(st, 1, gateway, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(st, 2, at);
	sqlite3_bind_int64(st, 3, SL_MIN(packets, COUNT_MAX));
	sqlite3_bind_int64(st, 4, SL_MIN(drops, COUNT_MAX));
	sqlite3_bind_int64(st, 5, q.n ? 1 : 0);
	bind_quantiles(st, 6, &q, 1);
	return step(st);
}

static int
fold_rtt(struct sl_trend *t, const char *gateway, const json_t *by_target, int64_t at)
{
	sqlite3_stmt *st = t->st[TQ_RTT];
	const char *target;
	json_t *v;
	int rc = 0;

	json_object_foreach ((json_t *)by_target, target, v) {
		struct quantiles q = quantiles_of(v);

		if (rc || q.n <= 0)
			continue;
		sqlite3_bind_text(st, 1, target, -1, SQLITE_TRANSIENT);
		sqlite3_bind_text(st, 2, gateway, -1, SQLITE_TRANSIENT);
		sqlite3_bind_int64(st, 3, at);
		sqlite3_bind_int64(st, 4, q.n);
		bind_quantiles(st, 5, &q, (double)q.n);
		rc = step(st);
	}
	return rc;
}

int
sl_trend_report(struct sl_trend *t, const char *gateway, const char *boot, const json_t *state,
		int64_t now_s, struct sl_error *e)
{
	int64_t at = now_s - now_s % SL_TREND_STEP_S;
	bool mine;
	int rc = db_begin(t->db, &mine, e);

	if (rc)
		return rc;
	rc = fold(t, gateway, boot, state, at);
	rc = rc ? rc : fold_rtt(t, gateway, json_object_get(state, "tcp_rtt_ms"), at);
	if (rc < 0)
		db_failed(t->db, e);
	return db_end(t->db, mine, rc, e);
}

/* --- means ---------------------------------------------------------------------------------- */

static double
mean(sqlite3_stmt *st, int col, double n)
{
	return n > 0 ? sqlite3_column_double(st, col) / n : 0;
}

int
sl_trend_mean(struct sl_trend *t, const char *gateway, const char *target, int64_t from_s,
	      int64_t to_s, struct sl_trend_mean *out, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(
		t->db,
		"SELECT sum(n), sum(packets), sum(drops), sum(quantiles), sum(p50), sum(p95), "
		"sum(p99) FROM trend WHERE (?1 IS NULL OR gateway = ?1) AND at >= ?2 AND at < ?3",
		e);
	double n;

	*out = (struct sl_trend_mean){0};
	if (!st || db_run(st, "tii", gateway, from_s, to_s) < 0) {
		sqlite3_finalize(st);
		return db_failed(t->db, e);
	}
	out->samples = (uint64_t)sqlite3_column_int64(st, 0);
	out->packets = (uint64_t)sqlite3_column_int64(st, 1);
	out->drops = (uint64_t)sqlite3_column_int64(st, 2);
	out->drop_rate = out->packets ? (double)out->drops / (double)out->packets : 0;
	n = sqlite3_column_double(st, 3);
	out->p50 = mean(st, 4, n);
	out->p95 = mean(st, 5, n);
	out->p99 = mean(st, 6, n);
	sqlite3_finalize(st);
	st = target ? db_prepare(t->db,
				 "SELECT sum(n), sum(p50), sum(p95), sum(p99) FROM trend_rtt WHERE "
				 "target = "
				 "?4 AND (?1 IS NULL OR gateway = ?1) AND at >= ?2 AND at < ?3",
				 e)
		    : NULL;
	if (st && db_run(st, "tiit", gateway, from_s, to_s, target) == 1) {
		out->rtt_samples = (uint64_t)sqlite3_column_int64(st, 0);
		out->rtt_p50 = mean(st, 1, (double)out->rtt_samples);
		out->rtt_p95 = mean(st, 2, (double)out->rtt_samples);
		out->rtt_p99 = mean(st, 3, (double)out->rtt_samples);
	}
	sqlite3_finalize(st);
	return 0;
}

/* Objects of the control plane hold integers only: rates in millionths, times in ns and us. */

json_t *
sl_trend_json(const struct sl_trend_mean *m)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "samples",
			 (json_int_t)m->samples, "packets", (json_int_t)m->packets, "drops",
			 (json_int_t)m->drops, "drop_ppm", (json_int_t)(m->drop_rate * 1e6),
			 "p50_ns", (json_int_t)m->p50, "p95_ns", (json_int_t)m->p95, "p99_ns",
			 (json_int_t)m->p99, "rtt_samples", (json_int_t)m->rtt_samples,
			 "rtt_p50_us", (json_int_t)(m->rtt_p50 * 1000), "rtt_p95_us",
			 (json_int_t)(m->rtt_p95 * 1000), "rtt_p99_us",
			 (json_int_t)(m->rtt_p99 * 1000));
}

int
sl_trend_parse(const json_t *v, struct sl_trend_mean *out)
{
	json_int_t n[11];

	if (json_unpack((json_t *)v, "{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			"samples", &n[0], "packets", &n[1], "drops", &n[2], "drop_ppm", &n[3],
			"p50_ns", &n[4], "p95_ns", &n[5], "p99_ns", &n[6], "rtt_samples", &n[7],
			"rtt_p50_us", &n[8], "rtt_p95_us", &n[9], "rtt_p99_us", &n[10]))
		return -EINVAL;
	*out = (struct sl_trend_mean){
		.samples = (uint64_t)n[0],
		.packets = (uint64_t)n[1],
		.drops = (uint64_t)n[2],
		.drop_rate = n[1] ? (double)n[2] / (double)n[1] : 0,
		.p50 = (double)n[4],
		.p95 = (double)n[5],
		.p99 = (double)n[6],
		.rtt_samples = (uint64_t)n[7],
		.rtt_p50 = (double)n[8] / 1000,
		.rtt_p95 = (double)n[9] / 1000,
		.rtt_p99 = (double)n[10] / 1000,
	};
	return 0;
}

bool
sl_trend_no_worse(const struct sl_trend_mean *before, const struct sl_trend_mean *now, char *why,
		  size_t room)
{
	const struct {
		const char *what;
		double before, now, slack;
	} q[] = {
		{"p50 ns", before->p50, now->p50, 20000},
		{"p95 ns", before->p95, now->p95, 20000},
		{"p99 ns", before->p99, now->p99, 20000},
		{"p50 ms to the target", before->rtt_p50, now->rtt_p50, 1},
		{"p95 ms to the target", before->rtt_p95, now->rtt_p95, 1},
		{"p99 ms to the target", before->rtt_p99, now->rtt_p99, 1},
	};
	unsigned n = before->rtt_samples && now->rtt_samples ? 6 : 3;

	why[0] = 0;
	if (before->samples == 0 || now->samples == 0) {
		snprintf(why, room, "no samples %s", before->samples ? "since" : "before");
		return false;
	}
	if (now->drop_rate > 1.5 * before->drop_rate + 1e-4) {
		snprintf(why, room, "losses %.4f %% -> %.4f %%", 100 * before->drop_rate,
			 100 * now->drop_rate);
		return false;
	}
	for (unsigned i = 0; i < n; i++)
		if (q[i].now > 1.5 * q[i].before + q[i].slack) {
			snprintf(why, room, "%s %.1f -> %.1f", q[i].what, q[i].before, q[i].now);
			return false;
		}
	return true;
}

int64_t
sl_trend_prune(struct sl_trend *t, int64_t before_s, struct sl_error *e)
{
	static const char *const prune[] = {"DELETE FROM trend WHERE at < ?1",
					    "DELETE FROM trend_rtt WHERE at < ?1"};
	int64_t rows = 0;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(prune); i++) {
		sqlite3_stmt *st = db_prepare(t->db, prune[i], e);
		int rc = st ? db_run(st, "i", before_s) : -EIO;

		rows += rc == 0 ? sqlite3_changes(t->db) : 0;
		sqlite3_finalize(st);
		if (rc)
			return db_failed(t->db, e);
	}
	return rows;
}
