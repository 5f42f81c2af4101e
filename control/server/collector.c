/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports of gateways to where they belong. */
#include "collector.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "migration.h"
#include "settings.h"
#include "sl_env.h"
#include "sl_log.h"
#include "sl_object.h"

#define PEERS_MAX 4096 /* of one report */
#define TICK_S 5
#define PRUNE_S 3600
#define DAY_S 86400
#define KNOWN_SLICE 300 /* peers that are looked at in one tick */

struct sl_collector {
	struct sl_store *store;
	const struct sl_seal_key *key; /* of the audit */
	struct sl_reports *reports;
	pthread_mutex_t lock; /* of the next */
	json_t *gateways;     /* name -> {state, at, push, skew} */
	int64_t ticked_s, pruned_s;
	char known_at[SL_OBJ_ID]; /* all up to this name are looked at */
	bool modes_moved;	  /* the ledger has something to look at */
	uint64_t ledger_sum; /* of the objects that the ledger follows, and when they were looked at
			      */
	uint64_t ledger_seq;
};

static const char issued_table[] = "CREATE TABLE IF NOT EXISTS issued(peer TEXT PRIMARY KEY, at "
				   "INTEGER NOT NULL, routes TEXT NOT NULL) WITHOUT ROWID";

int64_t
sl_collector_now_s(void)
{
	return (int64_t)(sl_clock_wall_ns() / 1000000000);
}

struct sl_collector *
sl_collector_new(struct sl_store *s, const struct sl_seal_key *key, struct sl_error *e)
{
	struct sl_collector *c = calloc(1, sizeof(*c));

	if (c == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	c->store = s;
	c->key = key;
	c->gateways = json_object();
	pthread_mutex_init(&c->lock, NULL);
	c->reports = sl_reports_new(s, e);
	if (c->reports != NULL && sl_store_table(s, issued_table, e) == 0)
		return c;
	sl_collector_free(c);
	return NULL;
}

void
sl_collector_free(struct sl_collector *c)
{
	if (c == NULL)
		return;
	sl_reports_free(c->reports);
	pthread_mutex_destroy(&c->lock);
	json_decref(c->gateways);
	free(c);
}

int
sl_collector_begin(struct sl_collector *c, struct sl_error *e)
{
	return db_exec(sl_store_db(c->store), "BEGIN IMMEDIATE", e);
}

int
sl_collector_commit(struct sl_collector *c, struct sl_error *e)
{
	sqlite3 *db = sl_store_db(c->store);
	int rc = db_exec(db, "COMMIT", e);

	if (rc == 0)
		return 0;
	sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
	sl_flows_forget(c->reports->flows);
	return rc;
}

/* --- the last state --------------------------------------------------------------------------- */

/** @param value taken over */
static void
set_gateway(struct sl_collector *c, const char *name, const char *field, json_t *value)
{
	json_t *g;

	pthread_mutex_lock(&c->lock);
	g = json_object_get(c->gateways, name);
	if (g == NULL) {
		g = json_object();
		json_object_set_new(c->gateways, name, g);
	}
	json_object_set_new(g, field, value);
	pthread_mutex_unlock(&c->lock);
}

bool
sl_collector_gateway(struct sl_collector *c, const char *name, struct sl_gateway_state *out)
{
	const json_t *g;

	pthread_mutex_lock(&c->lock);
	g = json_object_get(c->gateways, name);
	*out = (struct sl_gateway_state){
		.state = json_deep_copy(json_object_get(g, "state")),
		.at_s = json_integer_value(json_object_get(g, "at")),
		.push_s = json_integer_value(json_object_get(g, "push")),
		.skew_ms = json_integer_value(json_object_get(g, "skew")),
	};
	pthread_mutex_unlock(&c->lock);
	return g != NULL;
}

json_int_t
sl_blocked_count(const json_t *state)
{
	json_int_t n =
		json_integer_value(json_object_get(json_object_get(state, "blocked"), "count"));

	return SL_MAX(n, 0);
}

/** An alarm when a clock is off, once until it is right again. */
static void
note_skew(struct sl_collector *c, int64_t was, const char *node, const char *now_text)
{
	int64_t skew;
	uint64_t theirs;

	if (now_text == NULL || sl_time_parse(now_text, &theirs) != 0)
		return;
	skew = ((int64_t)theirs - (int64_t)sl_clock_wall_ns()) / 1000000;
	set_gateway(c, node, "skew", json_integer(skew));
	if (llabs(skew) > SL_SKEW_MS && llabs(was) <= SL_SKEW_MS)
		sl_log(SL_LOG_WARN, "clock", "clock_skew: the clock of %s is off by %lld s", node,
		       (long long)(skew / 1000));
}

/* --- stats.report ----------------------------------------------------------------------------- */

static int64_t
age_of(const json_t *v)
{
	return json_is_integer(v) && json_integer_value(v) >= 0 ? json_integer_value(v) : -1;
}

static int
stat_of(const json_t *p, struct sl_peer_stat *out)
{
	const char *country = json_string_value(json_object_get(p, "country"));
	json_int_t rx = json_integer_value(json_object_get(p, "data_rx"));
	json_int_t tx = json_integer_value(json_object_get(p, "data_tx"));

	*out = (struct sl_peer_stat){
		.peer = json_string_value(json_object_get(p, "id")),
		.rx = (uint64_t)SL_MAX(rx, 0),
		.tx = (uint64_t)SL_MAX(tx, 0),
		.data_age_s = age_of(json_object_get(p, "data_age_s")),
		.handshake_age_s = age_of(json_object_get(p, "handshake_age_s")),
		.country = country != NULL && strlen(country) == 2 ? country : "",
		.asn = (uint32_t)json_integer_value(json_object_get(p, "asn")),
	};
	return out->peer != NULL && strlen(out->peer) <= 63 ? 0 : -EINVAL;
}

/** A gateway speaks of the peers that it serves: of others it would tell when they were there.
 * @return 1: it serves it, 0: it does not, -ENOENT: there is no such peer */
static int
serves(struct sl_collector *c, const json_t *interfaces, const char *peer)
{
	json_t *body = NULL, *v;
	const char *iface;
	int found = 0;
	size_t i;

	if (sl_store_get(c->store, SL_KIND_PEER, peer, NULL, &body) != 0)
		return -ENOENT;
	iface = json_string_value(json_object_get(body, "interface"));
	json_array_foreach ((json_t *)interfaces, i, v)
		found |= iface != NULL && strcmp(json_string_value(v), iface) == 0;
	json_decref(body);
	return found;
}

/** Leave out what is not its own. @return how many are left */
static unsigned
keep_own(struct sl_collector *c, const char *node, struct sl_peer_stat *stat, unsigned n)
{
	json_t *record = NULL, *interfaces;
	unsigned kept = 0;

	(void)sl_store_get(c->store, SL_KIND_GATEWAY, node, NULL, &record);
	interfaces = json_object_get(record, "interfaces");
	for (unsigned i = 0; i < n; i++)
		if (serves(c, interfaces, stat[i].peer) == 1)
			stat[kept++] = stat[i];
	json_decref(record);
	if (kept < n)
		sl_log(SL_LOG_INFO, "stats", "%s tells of %u peers that it does not serve: ignored",
		       node, n - kept);
	return kept;
}

static int
take_peers(struct sl_collector *c, const char *node, const char *boot, json_t *peers,
	   struct sl_error *e)
{
	size_t n = json_array_size(peers), i;
	struct sl_peer_stat *stat;
	json_t *p;
	int rc = 0;

	if (!json_is_array(peers) || n > PEERS_MAX)
		return sl_fail(e, -EINVAL, "param_range", "/peers", "a list of at most %d peers",
			       PEERS_MAX);
	stat = calloc(n + 1, sizeof(*stat));
	if (stat == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	json_array_foreach (peers, i, p) {
		char path[32];

		snprintf(path, sizeof(path), "/peers/%zu", i);
		if (rc == 0 && stat_of(p, &stat[i]) != 0)
			rc = sl_fail(e, -EINVAL, "param_type", path, "a peer needs its id");
	}
	if (rc == 0)
		rc = sl_sessions_report(c->reports->sessions, node, boot, stat,
					keep_own(c, node, stat, (unsigned)n), sl_collector_now_s(),
					e);
	free(stat);
	return rc;
}

/** Times of targets that the policy does not name would fill the store under invented names. */
static void
drop_unknown_targets(struct sl_collector *c, json_t *state)
{
	json_t *times = json_object_get(state, "tcp_rtt_ms"), *v;
	const char *name;
	void *next;

	json_object_foreach_safe(times, next, name, v) if (sl_store_get(c->store, SL_KIND_TARGET,
									name, NULL, NULL) != 0)
		json_object_del(times, name);
}

static int
stats_report(struct sl_collector *c, const char *node, json_t *params, struct sl_error *e)
{
	const char *boot = json_string_value(json_object_get(params, "boot"));
	json_t *state = json_object_get(params, "state");
	struct sl_gateway_state was;
	int rc = take_peers(c, node, boot, json_object_get(params, "peers"), e);

	if (rc != 0)
		return rc;
	sl_collector_gateway(c, node, &was);
	note_skew(c, was.skew_ms, node, json_string_value(json_object_get(params, "now")));
	if (json_is_object(state)) {
		drop_unknown_targets(c, state);
		c->modes_moved |= !json_equal(json_object_get(was.state, "mode"),
					      json_object_get(state, "mode"));
		set_gateway(c, node, "state", json_deep_copy(state));
		rc = sl_trend_report(c->reports->trend, node, boot, state, sl_collector_now_s(), e);
	}
	json_decref(was.state);
	set_gateway(c, node, "at", json_integer(sl_collector_now_s()));
	return rc;
}

/* --- log.push --------------------------------------------------------------------------------- */

static int64_t
seconds_of(const json_t *params, const char *name)
{
	const char *text = json_string_value(json_object_get(params, name));
	uint64_t ns;

	return text != NULL && sl_time_parse(text, &ns) == 0 ? (int64_t)(ns / 1000000000) : 0;
}

/** Flows of others' peers would speak for or against what those may do: they are nobody's. They
 * stay, for rows have numbers, and what would be denied counts. */
static void
take_names_away(struct sl_collector *c, const char *node, json_t *rows)
{
	json_t *record = NULL, *interfaces, *o, *known, *foreign = json_object();
	unsigned n = 0;
	size_t i;

	(void)sl_store_get(c->store, SL_KIND_GATEWAY, node, NULL, &record);
	interfaces = json_object_get(record, "interfaces");
	json_array_foreach (rows, i, o) {
		const char *peer = json_string_value(json_object_get(o, "peer"));

		if (peer == NULL || peer[0] == '\0')
			continue;
		known = json_object_get(foreign, peer);
		if (known == NULL) {
			known = json_boolean(serves(c, interfaces, peer) == 0);
			json_object_set_new(foreign, peer, known);
		}
		if (!json_is_true(known))
			continue;
		json_object_set_new(o, "peer", json_string(""));
		n++;
	}
	json_decref(foreign);
	json_decref(record);
	if (n > 0)
		sl_log(SL_LOG_INFO, "flows", "%s tells %u times of peers that it does not serve",
		       node, n);
}

static int
log_push(struct sl_collector *c, const char *node, json_t *params, json_t **result,
	 struct sl_error *e)
{
	struct sl_flows_push p = {
		.gateway = node,
		.boot = json_string_value(json_object_get(params, "boot")),
		.first = (uint64_t)json_integer_value(json_object_get(params, "first")),
		.lost_before = (uint64_t)json_integer_value(json_object_get(params, "lost_before")),
		.lost_flows = (uint64_t)json_integer_value(json_object_get(params, "lost_flows")),
		.from_s = seconds_of(params, "from"),
		.to_s = seconds_of(params, "to"),
		.rows = json_object_get(params, "rows"),
	};
	uint64_t acked;
	int rc;

	if (!json_is_array(p.rows))
		return sl_fail(e, -EINVAL, "param_type", "/rows", "a list of rows");
	take_names_away(c, node, p.rows);
	rc = sl_flows_push(c->reports->flows, &p, sl_collector_now_s(), &acked, e);
	if (rc != 0)
		return rc;
	set_gateway(c, node, "push", json_integer(sl_collector_now_s()));
	*result = json_pack("{s:I}", "acked", (json_int_t)acked);
	return *result != NULL ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

static int
take(struct sl_collector *c, const char *method, const char *node, json_t *params, json_t **result,
     struct sl_error *e)
{
	if (strcmp(method, "log.push") == 0)
		return log_push(c, node, params, result, e);
	*result = json_object();
	return stats_report(c, node, params, e);
}

int
sl_collector_call(struct sl_collector *c, const char *method, const char *node, json_t *params,
		  json_t **result, struct sl_error *e)
{
	sqlite3 *db = sl_store_db(c->store);
	int rc;

	/* a follower could invent names, and each is remembered */
	if (sl_store_get(c->store, SL_KIND_GATEWAY, node, NULL, NULL) != 0)
		return sl_fail(e, -ENOENT, "gateway_unknown", "", "there is no gateway \"%.63s\"",
			       node);
	rc = db_exec(db, "SAVEPOINT report", e);
	if (rc != 0)
		return rc;
	rc = take(c, method, node, params, result, e);
	if (rc != 0)
		sqlite3_exec(db, "ROLLBACK TO report", NULL, NULL, NULL);
	sqlite3_exec(db, "RELEASE report", NULL, NULL, NULL);
	return rc;
}

/* --- time ------------------------------------------------------------------------------------- */

static void
prune(struct sl_collector *c, int64_t now_s)
{
	struct sl_error e = {0};
	int64_t flow_days = sl_setting_get(c->store, "flow_days");
	int64_t session_days = sl_setting_get(c->store, "session_days");

	if (sl_flows_prune(c->reports->flows, now_s - flow_days * DAY_S, &e) < 0 ||
	    sl_sessions_prune(c->reports->sessions, now_s - session_days * DAY_S, &e) < 0 ||
	    sl_trend_prune(c->reports->trend, now_s - flow_days * DAY_S, &e) < 0)
		sl_log(SL_LOG_WARN, "store", "what is old is not dropped: %s", e.message);
	sl_sessions_set_idle(c->reports->sessions,
			     (uint32_t)sl_setting_get(c->store, "session_idle_s"));
}

static bool
add_rev(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	uint64_t *sum = ctx;

	*sum = *sum * 31 + rev + (uint64_t)k;
	return true;
}

/** A target that enters observed, a gateway that goes, other addresses of a target: what gateways
 * said long ago may mean something else now. */
static bool
ledger_moved(struct sl_collector *c)
{
	static const enum sl_kind kinds[] = {SL_KIND_MIGRATION, SL_KIND_GATEWAY, SL_KIND_TARGET};
	uint64_t seq = sl_store_head(c->store), sum = 0;
	bool moved;

	if (seq == c->ledger_seq)
		return false;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(kinds); i++)
		sl_store_walk(c->store, kinds[i], "", add_rev, &sum, NULL);
	moved = sum != c->ledger_sum;
	c->ledger_seq = seq;
	c->ledger_sum = sum;
	return moved;
}

struct known {
	struct sl_collector *c;
	json_t *fresh;
	char last[SL_OBJ_ID];
	unsigned n;
};

static bool
each_known(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct known *w = ctx;

	if (sl_sessions_known(w->c->reports->sessions, id) == 0)
		json_array_append_new(w->fresh, json_string(id));
	snprintf(w->last, sizeof(w->last), "%s", id);
	return ++w->n < KNOWN_SLICE;
}

/** Who is new is known from now on, who is gone is forgotten: another one may get the name. A slice
 * of the names. */
static void
look_at_peers(struct sl_collector *c, int64_t now_s)
{
	struct known w = {.c = c, .fresh = json_array()};
	struct sl_error e = {0};
	char at[SL_OBJ_ID];
	bool end;
	int rc = sl_store_walk(c->store, SL_KIND_PEER, c->known_at, each_known, &w, &e);

	end = w.n < KNOWN_SLICE;
	snprintf(at, sizeof(at), "%s", c->known_at);
	for (unsigned n = 0; rc == 0 && n < KNOWN_SLICE; n++) {
		if (!sl_sessions_next(c->reports->sessions, at, at, sizeof(at)) ||
		    (!end && strcmp(at, w.last) > 0))
			break;
		if (sl_store_get(c->store, SL_KIND_PEER, at, NULL, NULL) == -ENOENT)
			rc = sl_sessions_forget(c->reports->sessions, at, &e);
	}
	if (rc == 0 && json_array_size(w.fresh) > 0)
		rc = sl_sessions_know(c->reports->sessions, w.fresh, now_s, &e);
	if (rc != 0)
		sl_log(SL_LOG_WARN, "store", "peers that are new or gone: %s", e.message);
	snprintf(c->known_at, sizeof(c->known_at), "%s", end ? "" : w.last);
	json_decref(w.fresh);
}

void
sl_collector_tick(struct sl_collector *c, int64_t now_s)
{
	struct sl_error e = {0};

	c->modes_moved |= ledger_moved(c);
	if (c->modes_moved) {
		c->modes_moved = false;
		migration_follow(c->reports, c, c->key);
	}
	if (now_s - c->ticked_s >= TICK_S || now_s < c->ticked_s) {
		c->ticked_s = now_s;
		if (sl_sessions_tick(c->reports->sessions, now_s, &e) < 0)
			sl_log(SL_LOG_WARN, "store", "sessions do not end: %s", e.message);
		look_at_peers(c, now_s);
	}
	if (now_s - c->pruned_s >= PRUNE_S || now_s < c->pruned_s) {
		c->pruned_s = now_s;
		prune(c, now_s);
	}
}

/* --- configurations that were given out ------------------------------------------------------- */

int
sl_collector_issued(struct sl_store *s, const char *peer, const json_t *routes, struct sl_error *e)
{
	sqlite3 *db = sl_store_db(s);
	sqlite3_stmt *st = db_prepare(db,
				      "INSERT INTO issued VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE "
				      "SET at = ?2, routes = ?3",
				      e);
	char *text = json_dumps(routes, JSON_COMPACT);
	int rc = st != NULL && text != NULL ? db_run(st, "tit", peer, sl_collector_now_s(), text)
					    : -EIO;

	free(text);
	sqlite3_finalize(st);
	return rc < 0 ? db_failed(db, e) : 0;
}

static bool
holds_any(const char *text, const json_t *prefixes)
{
	json_t *routes = json_loads(text, 0, NULL), *a, *b;
	bool found = false;
	size_t i, k;

	json_array_foreach (routes, i, a)
		json_array_foreach ((json_t *)prefixes, k, b)
			found |= strcmp(json_string_value(a), json_string_value(b)) == 0;
	json_decref(routes);
	return found;
}

json_t *
sl_collector_issued_with(struct sl_store *s, const json_t *prefixes, struct sl_error *e)
{
	sqlite3 *db = sl_store_db(s);
	sqlite3_stmt *st = db_prepare(db, "SELECT peer, routes FROM issued ORDER BY peer", e);
	json_t *out = json_array();
	int rc = st != NULL ? db_run(st, "") : -EIO;

	for (; rc == 1; rc = sqlite3_step(st) == SQLITE_ROW)
		if (holds_any(db_text(st, 1), prefixes) &&
		    sl_store_get(s, SL_KIND_PEER, db_text(st, 0), NULL, NULL) == 0)
			json_array_append_new(out, json_string(db_text(st, 0)));
	sqlite3_finalize(st);
	return out;
}
