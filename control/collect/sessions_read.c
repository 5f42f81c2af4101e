/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of the sessions, and what is forgotten. */
#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "sessions_int.h"

const char *
sl_session_state_name(enum sl_session_state s)
{
	static const char *const names[] = {"open", "unknown", "closed"};

	return names[s];
}

/** Has every gateway of an open session been silent? */
static bool
all_silent(struct sl_sessions *s, const char *gateways, int64_t now_s)
{
	char name[64];

	while (*gateways) {
		size_t n = strcspn(gateways, ",");

		snprintf(name, sizeof(name), "%.*s", (int)n, gateways);
		if (db_run(s->st[SQL_GET_GATEWAY], "t", name) == 1) {
			int64_t last = sqlite3_column_int64(s->st[SQL_GET_GATEWAY], 0);

			sqlite3_reset(s->st[SQL_GET_GATEWAY]);
			if (last + SL_SESSION_SILENT_S > now_s)
				return false;
		}
		gateways += n + (gateways[n] == ',');
	}
	return true;
}

int
sl_sessions_walk(struct sl_sessions *s, const struct sl_session_filter *f, int64_t now_s,
		 bool (*fn)(void *ctx, const struct sl_session *v), void *ctx, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(
		s->db,
		"SELECT id, peer, started, last, ended, rx, tx, gateways, country, asn FROM session"
		" WHERE (?1 IS NULL OR peer = ?1) AND (NOT ?2 OR ended IS NULL)"
		" AND (ended IS NULL OR ended >= ?3) AND (NOT ?4 OR id < ?4) ORDER BY id DESC",
		e);
	int rc;

	if (!st)
		return -EIO;
	rc = db_run(st, "tiii", f->peer, (int64_t)f->open, f->since_s, f->before_id);
	while (rc == 1) {
		struct sl_session v = {
			.id = sqlite3_column_int64(st, 0),
			.peer = db_text(st, 1),
			.started_s = sqlite3_column_int64(st, 2),
			.last_s = sqlite3_column_int64(st, 3),
			.ended_s = sqlite3_column_int64(st, 4),
			.rx = (uint64_t)sqlite3_column_int64(st, 5),
			.tx = (uint64_t)sqlite3_column_int64(st, 6),
			.gateways = db_text(st, 7),
			.country = db_text(st, 8),
			.asn = (uint32_t)sqlite3_column_int64(st, 9),
		};

		v.state = sqlite3_column_type(st, 4) != SQLITE_NULL ? SL_SESSION_CLOSED
			  : all_silent(s, v.gateways, now_s)	    ? SL_SESSION_UNKNOWN
								    : SL_SESSION_OPEN;
		if (!fn(ctx, &v))
			break;
		rc = sqlite3_step(st);
		rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
	}
	if (rc < 0)
		db_failed(s->db, e);
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

uint64_t
sl_sessions_open(struct sl_sessions *s)
{
	sqlite3_stmt *st = s->st[SQL_COUNT];
	uint64_t n = 0;

	if (db_run(st, "") == 1)
		n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return n;
}

int
sl_sessions_usage(struct sl_sessions *s, const char *peer, int64_t from_s, int64_t to_s,
		  bool (*fn)(void *ctx, int64_t hour_s, uint64_t rx, uint64_t tx), void *ctx,
		  struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(
		s->db,
		"SELECT hour, sum(rx), sum(tx) FROM usage WHERE (?1 IS NULL OR peer = ?1)"
		" AND hour >= ?2 AND hour < ?3 GROUP BY hour ORDER BY hour",
		e);
	int rc;

	if (!st)
		return -EIO;
	rc = db_run(st, "tii", peer, from_s - from_s % 3600, to_s);
	while (rc == 1 &&
	       fn(ctx, sqlite3_column_int64(st, 0), (uint64_t)sqlite3_column_int64(st, 1),
		  (uint64_t)sqlite3_column_int64(st, 2))) {
		rc = sqlite3_step(st);
		rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
	}
	if (rc < 0)
		db_failed(s->db, e);
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

int
sl_sessions_seen(struct sl_sessions *s, const char *peer, int64_t *data_s, int64_t *handshake_s)
{
	sqlite3_stmt *st = s->st[SQL_GET_SEEN];

	*data_s = *handshake_s = 0;
	if (db_run(st, "t", peer) != 1)
		return -ENOENT;
	*data_s = sqlite3_column_int64(st, 0);
	*handshake_s = sqlite3_column_int64(st, 1);
	sqlite3_reset(st);
	return 0;
}

int
sl_sessions_at(struct sl_sessions *s, const char *gateway, const char *peer, struct sl_peer_at *out,
	       struct sl_error *e)
{
	sqlite3_stmt *st = s->st[SQL_GET_AT];
	int rc = db_run(st, "tt", gateway, peer);

	*out = (struct sl_peer_at){0};
	if (rc == 1)
		*out = (struct sl_peer_at){
			.rx = (uint64_t)sqlite3_column_int64(st, 0),
			.tx = (uint64_t)sqlite3_column_int64(st, 1),
			.data_s = sqlite3_column_int64(st, 2),
			.handshake_s = sqlite3_column_int64(st, 3),
			.gateway_s = sqlite3_column_int64(st, 4),
			.told = sqlite3_column_int(st, 5),
		};
	sqlite3_reset(st);
	return rc < 0 ? db_failed(s->db, e) : 0;
}

int
sl_sessions_know(struct sl_sessions *s, const json_t *peers, int64_t now_s, struct sl_error *e)
{
	const json_t *v;
	bool mine;
	size_t i;
	int rc = db_begin(s->db, &mine, e);

	if (rc)
		return rc;
	json_array_foreach ((json_t *)(uintptr_t)peers, i, v)
		if (rc == 0)
			rc = db_run(s->st[SQL_KNOW], "ti", json_string_value(v), now_s);
	if (rc < 0)
		db_failed(s->db, e);
	return db_end(s->db, mine, rc, e);
}

int64_t
sl_sessions_known(struct sl_sessions *s, const char *peer)
{
	sqlite3_stmt *st = s->st[SQL_GET_KNOWN];
	int64_t since = db_run(st, "t", peer) == 1 ? sqlite3_column_int64(st, 0) : 0;

	sqlite3_reset(st);
	return since;
}

bool
sl_sessions_next(struct sl_sessions *s, const char *after, char *out, size_t room)
{
	sqlite3_stmt *st = s->st[SQL_NEXT_KNOWN];
	bool found = db_run(st, "t", after) == 1;

	if (found)
		snprintf(out, room, "%s", db_text(st, 0));
	sqlite3_reset(st);
	return found;
}

static int
delete_where(struct sl_sessions *s, const char *sql, const char *type, const char *text,
	     int64_t number, int64_t *rows, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(s->db, sql, e);
	int rc;

	if (!st)
		return -EIO;
	rc = type[0] == 't' ? db_run(st, type, text) : db_run(st, type, number);
	if (rc < 0)
		db_failed(s->db, e);
	else if (rows)
		*rows += sqlite3_changes(s->db);
	sqlite3_finalize(st);
	return rc;
}

int
sl_sessions_forget(struct sl_sessions *s, const char *peer, struct sl_error *e)
{
	int rc = delete_where(s, "DELETE FROM peer_seen WHERE peer = ?1", "t", peer, 0, NULL, e);

	rc = rc ? rc
		: delete_where(s, "DELETE FROM peer_known WHERE peer = ?1", "t", peer, 0, NULL, e);
	rc = rc ? rc
		: delete_where(s, "DELETE FROM peer_counter WHERE peer = ?1", "t", peer, 0, NULL,
			       e);
	rc = rc ? rc
		: delete_where(s, "DELETE FROM peer_handshake WHERE peer = ?1", "t", peer, 0, NULL,
			       e);
	return rc ? rc
		  : delete_where(
			    s, "UPDATE session SET ended = last WHERE ended IS NULL AND peer = ?1",
			    "t", peer, 0, NULL, e);
}

int64_t
sl_sessions_prune(struct sl_sessions *s, int64_t before_s, struct sl_error *e)
{
	int64_t rows = 0;
	int rc = delete_where(s, "DELETE FROM session WHERE ended < ?1", "i", NULL, before_s, &rows,
			      e);

	rc = rc ? rc
		: delete_where(s, "DELETE FROM usage WHERE hour < ?1", "i", NULL, before_s, &rows,
			       e);
	return rc ? rc : rows;
}
