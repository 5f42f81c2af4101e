/* SPDX-License-Identifier: BSD-3-Clause */
/* Reports into sessions, usage and last-seen times. */
#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "sessions_int.h"

/* clang-format off */
static const char tables[] =
	"CREATE TABLE IF NOT EXISTS session(id INTEGER PRIMARY KEY, peer TEXT NOT NULL, started INTEGER NOT NULL,"
	" last INTEGER NOT NULL, ended INTEGER, rx INTEGER NOT NULL, tx INTEGER NOT NULL, gateways TEXT NOT NULL,"
	" country TEXT NOT NULL, asn INTEGER NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS session_open ON session(peer) WHERE ended IS NULL;"
	"CREATE INDEX IF NOT EXISTS session_peer ON session(peer, id);"
	"CREATE INDEX IF NOT EXISTS session_ended ON session(ended);"
	"CREATE TABLE IF NOT EXISTS usage(peer TEXT, hour INTEGER, rx INTEGER NOT NULL, tx INTEGER NOT NULL,"
	" PRIMARY KEY(peer, hour)) WITHOUT ROWID;"
	"CREATE INDEX IF NOT EXISTS usage_hour ON usage(hour);"
	"CREATE TABLE IF NOT EXISTS peer_seen(peer TEXT PRIMARY KEY, data INTEGER NOT NULL, handshake INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS peer_known(peer TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS peer_counter(gateway TEXT, peer TEXT, boot TEXT NOT NULL, rx INTEGER NOT NULL,"
	" tx INTEGER NOT NULL, last INTEGER NOT NULL, PRIMARY KEY(gateway, peer)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS peer_handshake(gateway TEXT, peer TEXT, at INTEGER NOT NULL, PRIMARY KEY(gateway, peer)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS gateway_seen(gateway TEXT PRIMARY KEY, last INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const sql[SQL_N] = {
	[SQL_COUNTER] = "SELECT boot, rx, tx, last FROM peer_counter WHERE gateway = ?1 AND peer = ?2",
	[SQL_SET_COUNTER] = "INSERT INTO peer_counter VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET boot = ?3, rx = ?4, tx = ?5, last = ?6",
	[SQL_SEEN] = "INSERT INTO peer_seen VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET data = max(data, ?2), handshake = max(handshake, ?3)",
	[SQL_USAGE] = "INSERT INTO usage VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET rx = rx + ?3, tx = tx + ?4",
	[SQL_OPEN] = "SELECT id, last, gateways FROM session WHERE peer = ?1 AND ended IS NULL",
	[SQL_END_ONE] = "UPDATE session SET ended = last WHERE id = ?1",
	[SQL_BEGIN] = "INSERT INTO session(peer, started, last, rx, tx, gateways, country, asn) VALUES(?1, ?2, ?2, ?3, ?4, ?5, ?6, ?7)",
	[SQL_PROLONG] = "UPDATE session SET last = max(last, ?2), rx = rx + ?3, tx = tx + ?4, gateways = ?5 WHERE id = ?1",
	[SQL_GATEWAY] = "INSERT INTO gateway_seen VALUES(?1, ?2) ON CONFLICT DO UPDATE SET last = ?2",
	[SQL_END] = "UPDATE session SET ended = last WHERE ended IS NULL AND last + ?1 <= ?2",
	[SQL_COUNT] = "SELECT count(*) FROM session WHERE ended IS NULL",
	[SQL_GET_SEEN] = "SELECT data, handshake FROM peer_seen WHERE peer = ?1",
	[SQL_KNOW] = "INSERT OR IGNORE INTO peer_known VALUES(?1, ?2)",
	[SQL_GET_KNOWN] = "SELECT since FROM peer_known WHERE peer = ?1",
	[SQL_NEXT_KNOWN] = "SELECT peer FROM peer_known WHERE peer > ?1 ORDER BY peer LIMIT 1",
	[SQL_GET_GATEWAY] = "SELECT last FROM gateway_seen WHERE gateway = ?1",
	/* one that is told again is not written again */
	[SQL_HANDSHAKE] = "INSERT INTO peer_handshake VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET at = ?3 WHERE abs(at - ?3) > ?4",
	[SQL_GET_AT] = "SELECT c.rx, c.tx, c.last, h.at, g.last, c.peer IS NOT NULL FROM gateway_seen g"
		" LEFT JOIN peer_counter c ON c.gateway = g.gateway AND c.peer = ?2"
		" LEFT JOIN peer_handshake h ON h.gateway = g.gateway AND h.peer = ?2 WHERE g.gateway = ?1",
};
/* clang-format on */

struct sl_sessions *
sl_sessions_new(sqlite3 *db, struct sl_error *e)
{
	struct sl_sessions *s = calloc(1, sizeof(*s));

	if (!s) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	s->db = db;
	s->idle_s = SL_SESSION_IDLE_S;
	if (db_exec(db, tables, e) == 0) {
		int n = 0;

		while (n < SQL_N && (s->st[n] = db_prepare(db, sql[n], e)) != NULL)
			n++;
		if (n == SQL_N)
			return s;
	}
	sl_sessions_free(s);
	return NULL;
}

void
sl_sessions_free(struct sl_sessions *s)
{
	if (!s)
		return;
	for (int i = 0; i < SQL_N; i++)
		sqlite3_finalize(s->st[i]);
	free(s);
}

void
sl_sessions_set_idle(struct sl_sessions *s, uint32_t idle_s)
{
	s->idle_s = idle_s ? idle_s : SL_SESSION_IDLE_S;
}

/** What a report says beyond the one before. */
struct news {
	uint64_t rx, tx;
	int64_t last; /* newest data, 0 none */
	bool data;    /* data packets came since, or the last one is newer than what we know */
};

/** Reports round ages to seconds and take their time: two that mean the same packet may differ. */
#define JITTER_S 3

static int
take_counter(struct sl_sessions *s, const char *gateway, const char *boot,
	     const struct sl_peer_stat *p, int64_t now_s, struct news *out)
{
	sqlite3_stmt *st = s->st[SQL_COUNTER];
	int rc = db_run(st, "tt", gateway, p->peer);
	uint64_t rx = 0, tx = 0;
	int64_t last = 0;

	if (rc < 0)
		return rc;
	if (rc == 1) {
		last = sqlite3_column_int64(st, 3);
		if (strcmp(db_text(st, 0), boot) == 0) {
			rx = (uint64_t)sqlite3_column_int64(st, 1);
			tx = (uint64_t)sqlite3_column_int64(st, 2);
		}
		sqlite3_reset(st);
	}
	*out = (struct news){
		.rx = p->rx >= rx ? p->rx - rx : p->rx,
		.tx = p->tx >= tx ? p->tx - tx : p->tx,
		.last = p->data_age_s < 0 ? 0 : now_s - p->data_age_s,
	};
	out->data = out->last && (out->rx || out->tx || out->last > last + JITTER_S);
	return db_run(s->st[SQL_SET_COUNTER], "tttiii", gateway, p->peer, boot, (int64_t)p->rx,
		      (int64_t)p->tx, SL_MAX(out->last, last));
}

static int
take_usage(struct sl_sessions *s, const char *gateway, const struct sl_peer_stat *p,
	   const struct news *n, int64_t now_s)
{
	int64_t shake = p->handshake_age_s < 0 ? 0 : now_s - p->handshake_age_s;
	int rc = db_run(s->st[SQL_SEEN], "tii", p->peer, n->last, shake);

	if (rc == 0 && shake)
		rc = db_run(s->st[SQL_HANDSHAKE], "ttii", gateway, p->peer, shake,
			    (int64_t)JITTER_S);
	if (rc == 0 && (n->rx || n->tx))
		rc = db_run(s->st[SQL_USAGE], "tiii", p->peer, now_s - now_s % 3600, (int64_t)n->rx,
			    (int64_t)n->tx);
	return rc;
}

/** Is `name` one of the list's? */
static bool
lists(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (*list) {
		size_t k = strcspn(list, ",");

		if (k == n && memcmp(list, name, n) == 0)
			return true;
		list += k + (list[k] == ',');
	}
	return false;
}

static int
take_session(struct sl_sessions *s, const char *gateway, const struct sl_peer_stat *p,
	     const struct news *n, int64_t now_s)
{
	sqlite3_stmt *st = s->st[SQL_OPEN];
	int rc = db_run(st, "t", p->peer);
	int64_t id = 0, last = 0;
	char gateways[512] = "";
	size_t len;

	if (rc == 1) {
		id = sqlite3_column_int64(st, 0);
		last = sqlite3_column_int64(st, 1);
		snprintf(gateways, sizeof(gateways), "%s", db_text(st, 2));
		sqlite3_reset(st);
		rc = 0;
	}
	if (rc == 0 && id && last + (int64_t)s->idle_s <= n->last) { /* it ended unnoticed */
		rc = db_run(s->st[SQL_END_ONE], "i", id);
		id = 0;
	}
	if (rc || n->last + (int64_t)s->idle_s <= now_s)
		return rc;
	if (!id)
		return db_run(s->st[SQL_BEGIN], "tiiitti", p->peer, n->last, (int64_t)n->rx,
			      (int64_t)n->tx, gateway, p->country ? p->country : "",
			      (int64_t)p->asn);
	len = strlen(gateways);
	if (!lists(gateways, gateway) && len + strlen(gateway) + 2 <= sizeof(gateways))
		snprintf(gateways + len, sizeof(gateways) - len, ",%s", gateway);
	return db_run(s->st[SQL_PROLONG], "iiiit", id, n->last, (int64_t)n->rx, (int64_t)n->tx,
		      gateways);
}

int
sl_sessions_report(struct sl_sessions *s, const char *gateway, const char *boot,
		   const struct sl_peer_stat *stat, unsigned n, int64_t now_s, struct sl_error *e)
{
	bool mine;
	int rc = db_begin(s->db, &mine, e);

	if (rc)
		return rc;
	rc = db_run(s->st[SQL_GATEWAY], "ti", gateway, now_s);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		struct news news;

		rc = take_counter(s, gateway, boot, &stat[i], now_s, &news);
		rc = rc ? rc : take_usage(s, gateway, &stat[i], &news, now_s);
		if (rc == 0 && news.data)
			rc = take_session(s, gateway, &stat[i], &news, now_s);
	}
	if (rc < 0)
		db_failed(s->db, e);
	return db_end(s->db, mine, rc, e);
}

int
sl_sessions_tick(struct sl_sessions *s, int64_t now_s, struct sl_error *e)
{
	if (db_run(s->st[SQL_END], "ii", (int64_t)s->idle_s, now_s) < 0)
		return db_failed(s->db, e);
	return sqlite3_changes(s->db);
}
