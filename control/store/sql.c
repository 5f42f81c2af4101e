/* SPDX-License-Identifier: BSD-3-Clause */
/* SQLite's statements and errors. */
#include <stdio.h>

#include "store_int.h"

static const char *const texts[ST_N] = {
	[ST_BEGIN] = "BEGIN IMMEDIATE",
	[ST_COMMIT] = "COMMIT",
	[ST_ROLLBACK] = "ROLLBACK",
	[ST_STATE_GET] = "SELECT role, epoch_number, epoch_id, parent_id, parent_seq, base_seq, "
			 "base_chain, head, chain, sum, primary_url FROM state",
	[ST_STATE_SET] = "UPDATE state SET role = ?1, epoch_number = ?2, epoch_id = ?3, "
			 "parent_id = ?4, parent_seq = ?5, base_seq = ?6, base_chain = ?7, "
			 "head = ?8, chain = ?9, sum = ?10, primary_url = ?11",
	[ST_GET] = "SELECT rev, body FROM object WHERE kind = ?1 AND id = ?2",
	[ST_PUT] = "INSERT INTO object (kind, id, rev, body) VALUES (?1, ?2, ?3, ?4) "
		   "ON CONFLICT (kind, id) DO UPDATE SET rev = ?3, body = ?4",
	[ST_DEL] = "DELETE FROM object WHERE kind = ?1 AND id = ?2",
	[ST_COUNT] = "SELECT count(*) FROM object WHERE kind = ?1",
	[ST_UNIQUE_GET] = "SELECT kind, id FROM uniq WHERE what = ?1 AND value = ?2",
	[ST_UNIQUE_PUT] = "INSERT OR REPLACE INTO uniq (what, value, kind, id) "
			  "VALUES (?1, ?2, ?3, ?4)",
	[ST_UNIQUE_DEL] = "DELETE FROM uniq WHERE kind = ?1 AND id = ?2",
	[ST_REF_PUT] = "INSERT OR REPLACE INTO ref (to_kind, to_id, kind, id, flags, path) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[ST_REF_DEL] = "DELETE FROM ref WHERE kind = ?1 AND id = ?2",
	[ST_REF_TO] = "SELECT kind, id, path FROM ref WHERE to_kind = ?1 AND to_id = ?2 AND "
		      "flags & ?3 AND (?4 = '' OR kind = ?4) ORDER BY kind, id LIMIT 1",
	[ST_NET_PUT] = "INSERT OR REPLACE INTO net (iface, ip, len, gateway, kind, id, path) "
		       "VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[ST_NET_DEL] = "DELETE FROM net WHERE kind = ?1 AND id = ?2",
	[ST_NET_SAME] = "SELECT gateway, kind, id, path FROM net WHERE iface = ?1 AND ip = ?2 AND "
			"len = ?3",
	[ST_NET_AT] = "SELECT kind, id FROM net WHERE iface = ?1 AND ip = ?2 AND len = ?3 AND "
		      "kind <> 'allocation' LIMIT 1",
	[ST_NET_INSIDE] = "SELECT kind, id, path FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND "
			  "?3 AND kind <> 'allocation' LIMIT 1",
	[ST_NET_PEER_INSIDE] = "SELECT 1 FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND ?3 AND "
			       "kind = 'peer' AND len > 0 LIMIT 1",
	[ST_NET_PEER_AT] = "SELECT 1 FROM net WHERE iface = ?1 AND ip = ?2 AND len = ?3 AND "
			   "kind = 'peer' LIMIT 1",
	[ST_NET_PEER_IN] = "SELECT id FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND ?3 AND "
			   "kind = 'peer' AND len > 0 AND (id = ?4) = ?5 LIMIT 1",
	[ST_NET_PEERS] = "SELECT ip, len, id FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND ?3 "
			 "AND kind = 'peer' AND gateway = '' ORDER BY ip, len",
	[ST_NET_LAST] = "SELECT ip, len FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND ?3 AND "
			"gateway = ?4 AND kind = 'allocation' ORDER BY ip DESC LIMIT 1",
	[ST_NET_RANGE] = "SELECT ip, len FROM net WHERE iface = ?1 AND ip BETWEEN ?2 AND ?3 AND "
			 "(gateway = ?4 OR gateway = '') ORDER BY ip, len",
	[ST_NET_AT_GATEWAY] = "SELECT 1 FROM net WHERE iface = ?1 AND ip = ?2 AND len = ?3 AND "
			      "(gateway = ?4 OR gateway = '') LIMIT 1",
	[ST_REF_OF_KIND] = "SELECT id FROM ref WHERE to_kind = ?1 AND to_id = ?2 AND kind = ?3",
	[ST_LOG_PUT] = "INSERT INTO log (seq, wall_s, chain, txn) VALUES (?1, ?2, ?3, ?4)",
	[ST_LOG_CHAIN] = "SELECT chain FROM log WHERE seq = ?1",
	[ST_TOMB_PUT] = "INSERT OR REPLACE INTO tombstone (kind, id, rev, epoch, seq, wall_ns) "
			"VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
	[ST_TOMB_DEL] = "DELETE FROM tombstone WHERE kind = ?1 AND id = ?2",
	[ST_TOMB_GET] = "SELECT rev FROM tombstone WHERE kind = ?1 AND id = ?2",
	[ST_TOMB_ANY] = "SELECT 1 FROM tombstone WHERE kind = ?1 LIMIT 1",
	[ST_TOMB_TRIM_AGE] = "DELETE FROM tombstone WHERE wall_ns < ?1",
	[ST_TOMB_TRIM_COUNT] = "DELETE FROM tombstone WHERE (kind, id) IN (SELECT kind, id FROM "
			       "tombstone ORDER BY wall_ns LIMIT max(0, (SELECT count(*) FROM "
			       "tombstone) - ?1))",
	[ST_MAPS] = "SELECT count(*) FROM object WHERE kind = 'role_map' AND "
		    "instr(id, ':peer:') = 0",
	[ST_TOKEN_USED] = "INSERT INTO token_used (id, wall_s) VALUES (?1, ?2) "
			  "ON CONFLICT (id) DO UPDATE SET wall_s = ?2",
	[ST_TOKEN_LAST] = "SELECT wall_s FROM token_used WHERE id = ?1",
};

int
store_no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "not enough memory");
}

int
store_sql_error(sqlite3 *db, int rc, const char *what, struct sl_error *e)
{
	const char *text = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc);

	switch (rc & 0xff) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		sl_fail(e, -EBUSY, "store_busy", "", "another process holds the store");
		sl_hint(e, "try again; if it lasts, see who has it open: fuser store.db");
		return -EBUSY;
	case SQLITE_FULL:
		sl_fail(e, -ENOSPC, "store_full", "", "%s: the disk is full; nothing was changed",
			what);
		sl_hint(e, "make room on the file system of the store");
		return -ENOSPC;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		sl_fail(e, -EBADMSG, "store_corrupt", "", "%s: %s", what, text);
		sl_hint(e, "a damaged data store is replaced by a backup: sluice-control restore "
			   "FILE");
		return -EBADMSG;
	case SQLITE_READONLY:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		sl_fail(e, -EROFS, "store_readonly", "", "%s: %s", what, text);
		sl_hint(e, "run sluice-control as the user that owns the state directory, on a "
			   "file system that can be written");
		return -EROFS;
	case SQLITE_NOMEM:
		return store_no_memory(e);
	default:
		sl_fail(e, -EIO, "store_io", "", "%s: %s (%d)", what, text, rc);
		sl_hint(e, "see the kernel's log for errors of the disk, and df for room");
		return -EIO;
	}
}

sqlite3_stmt *
store_stmt(struct sl_store *s, enum stmt id)
{
	sqlite3_stmt **st = &s->st[id];

	if (*st == NULL && sqlite3_prepare_v3(s->db, texts[id], -1, SQLITE_PREPARE_PERSISTENT, st,
					      NULL) != SQLITE_OK)
		return NULL;
	sqlite3_reset(*st);
	sqlite3_clear_bindings(*st);
	return *st;
}

void
store_stmts_free(struct sl_store *s)
{
	for (unsigned i = 0; i < ST_N; i++) {
		sqlite3_finalize(s->st[i]);
		s->st[i] = NULL;
	}
}

int
store_run(struct sl_store *s, sqlite3_stmt *st, struct sl_error *e)
{
	int rc;

	if (st == NULL)
		return store_sql_error(s->db, sqlite3_errcode(s->db), "store", e);
	rc = sqlite3_step(st);
	rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : store_sql_error(s->db, rc, "write", e);
	sqlite3_reset(st);
	return rc;
}

int
store_do(struct sl_store *s, enum stmt id, struct sl_error *e)
{
	return store_run(s, store_stmt(s, id), e);
}

int
store_exec(sqlite3 *db, const char *sql, struct sl_error *e)
{
	int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

	return rc == SQLITE_OK ? 0 : store_sql_error(db, rc, "store", e);
}

void
store_column(sqlite3_stmt *st, int at, char *out, size_t room)
{
	const char *text = (const char *)sqlite3_column_text(st, at);

	snprintf(out, room, "%s", text != NULL ? text : "");
}
