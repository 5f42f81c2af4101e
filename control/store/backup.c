/* SPDX-License-Identifier: BSD-3-Clause */
/* Backups, and back to one. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_log.h"
#include "sl_token.h"
#include "store_int.h"

#define SECONDS_2024 UINT64_C(1704067200) /* 2024-01-01T00:00:00Z */

int
sl_store_backup(const char *path, const char *to, struct sl_error *e)
{
	sqlite3 *db = NULL;
	mode_t mask = umask(077);
	int version, rc = store_file_check_there(path, e);

	if (rc == 0)
		rc = store_connect(path, SQLITE_OPEN_READWRITE, &db, e);
	if (rc == 0)
		rc = store_schema_version(db, &version, e);
	if (rc == 0)
		rc = store_copy(db, to, e);
	if (rc == -EEXIST)
		sl_hint(e, "name a new file: a backup never replaces another one");
	sqlite3_close(db);
	umask(mask);
	return rc;
}

/* --- restore ---------------------------------------------------------------------------------- */

/** The backup beside the store, whoever owned it. */
static int
fetch(const char *from, const char *to, struct sl_error *e)
{
	sqlite3 *db = NULL;
	struct stat st;
	int rc, version;

	if (stat(from, &st) < 0 || !S_ISREG(st.st_mode)) {
		sl_fail(e, -ENOENT, "backup_missing", "", "%.200s is no file", from);
		sl_hint(e, "name a file that sluice-control backup wrote");
		return -ENOENT;
	}
	rc = store_connect(from, SQLITE_OPEN_READONLY, &db, e);
	if (rc == 0)
		rc = store_schema_version(db, &version, e);
	unlink(to); /* of a restore that was cut short */
	if (rc == 0)
		rc = store_copy(db, to, e);
	if (rc == -EBADMSG)
		sl_hint(e, "it is damaged or no backup; the store is as it was: name another file "
			   "that sluice-control backup wrote");
	sqlite3_close(db);
	return rc;
}

/** A number above whatever there was, where nobody can tell what there was: seconds since 2024, so
 * that a second attempt is above the first one too. The numbers of restores and promotions stay far
 * below. */
static uint64_t
unknown_epoch(const struct sl_store *s)
{
	uint64_t seconds = store_now(s) / UINT64_C(1000000000);

	return seconds > SECONDS_2024 ? seconds - SECONDS_2024 : 0;
}

/** Has the store that is replaced had all of the backup? Another one, an older one, or one that was
 * made anew in the meantime does not know what was revoked since. */
static bool
has_backup(struct sl_store *now)
{
	static const char sql[] = "SELECT 1 FROM old.log o JOIN main.state s ON o.seq = s.head AND "
				  "o.chain = s.chain";
	sqlite3_stmt *q = NULL;
	bool has = sqlite3_prepare_v2(now->db, sql, -1, &q, NULL) == SQLITE_OK &&
		   sqlite3_step(q) == SQLITE_ROW;

	sqlite3_finalize(q);
	return has;
}

/** What the store of today knows and the backup may not: deletions since, the highest epoch, ids of
 * roles.
 * @param[out] unknown it does not know them; @param[out] roles of store_role_ids_of() */
static int
inherit(struct sl_store *now, const char *path, uint64_t *epoch, bool *unknown, json_t **roles,
	struct sl_error *e)
{
	sqlite3_stmt *q = NULL;
	struct sl_error why = {0};
	int rc;

	*epoch = 0;
	if (sqlite3_prepare_v2(now->db, "ATTACH ?1 AS old", -1, &q, NULL) != SQLITE_OK)
		return store_sql_error(now->db, sqlite3_errcode(now->db), "restore", e);
	store_bind_text(q, 1, path);
	rc = store_run(now, q, &why);
	sqlite3_finalize(q);
	if (rc == 0)
		rc = store_exec(now->db,
				"INSERT OR REPLACE INTO tombstone SELECT o.* FROM old.tombstone o "
				"LEFT JOIN tombstone t ON t.kind = o.kind AND t.id = o.id WHERE "
				"t.rev IS NULL OR t.rev < o.rev",
				&why);
	if (rc == 0 && sqlite3_prepare_v2(now->db, "SELECT epoch_number FROM old.state", -1, &q,
					  NULL) == SQLITE_OK) {
		if (sqlite3_step(q) == SQLITE_ROW)
			*epoch = (uint64_t)sqlite3_column_int64(q, 0);
		sqlite3_finalize(q);
	}
	if (rc == 0)
		*roles = store_role_ids_of(now, "old");
	if (rc < 0)
		sl_log(SL_LOG_WARN, "store", "the store that is replaced cannot be read: %s",
		       why.message);
	*unknown = rc < 0 || !has_backup(now);
	if (*unknown)
		*epoch = SL_MAX(*epoch, unknown_epoch(now));
	store_exec(now->db, "DETACH old", NULL);
	return 0;
}

/** What was revoked since the backup is revoked in the new epoch too, for good and for everybody:
 * tombstones end, and new followers know none. */
static int
revoke_anew(struct sl_store *s, struct sl_error *e)
{
	static const char sql[] = "SELECT t.id FROM tombstone t LEFT JOIN object o ON o.kind = "
				  "'crl' AND o.id = t.id WHERE t.kind = 'crl' AND o.id IS NULL";
	json_t *ids = json_array(), *crl = json_pack("{s:s}", "reason", "before the restore"), *v;
	struct sl_store_txn *t;
	sqlite3_stmt *q = NULL;
	uint64_t seq;
	size_t i;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL);

	while (rc == SQLITE_OK && sqlite3_step(q) == SQLITE_ROW)
		json_array_append_new(ids, json_string((const char *)sqlite3_column_text(q, 0)));
	rc = sqlite3_finalize(q) == SQLITE_OK && ids != NULL && crl != NULL ? 0 : -EIO;
	if (rc < 0)
		sl_fail(e, rc, "store_io", "", "what was revoked since cannot be read");
	if (rc == 0 && json_array_size(ids) > 0) {
		t = sl_store_begin(s, "restore", "revoked since the backup", e);
		rc = t != NULL ? 0 : e->err;
		json_array_foreach (ids, i, v) {
			const char *id = json_string_value(v);
			bool token = strncmp(id, "token:", 6) == 0;

			/* a token takes its entry with it */
			if (rc == 0 && (!token || sl_store_get(s, SL_KIND_TOKEN, id + 6, NULL,
							       NULL) == -ENOENT))
				rc = sl_store_put(t, SL_KIND_CRL, id, SL_REV_ANY, crl, e);
			else if (rc == 0)
				rc = sl_store_del(t, SL_KIND_TOKEN, id + 6, SL_REV_ANY, e);
		}
		if (t != NULL && rc == 0)
			rc = sl_store_commit(t, &seq, e);
		else if (t != NULL)
			sl_store_abort(t);
	}
	json_decref(ids);
	json_decref(crl);
	return rc;
}

/** Walks tokens; ctx is a list for the ids of those that an agent or a peer has. */
static bool
note_own(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL), *v;
	enum sl_service_role r;
	bool own = false;
	size_t i;

	json_array_foreach (json_object_get(body, "roles"), i, v)
		own |= sl_service_role_parse(json_string_value(v), &r) == 0 &&
		       (r == SL_SR_AGENT || r == SL_SR_PEER);
	json_decref(body);
	return !own || json_array_append_new(ctx, json_string(id)) == 0;
}

/** Who had a token of an agent or peer may set its key; whether it was revoked since the backup, or
 * went with its peer, nobody knows. */
static int
revoke_own(struct sl_store *s, unsigned *revoked, struct sl_error *e)
{
	json_t *ids = json_array(), *v;
	struct sl_store_txn *t = NULL;
	uint64_t seq, n;
	size_t i;
	int rc = ids != NULL ? sl_store_walk(s, SL_KIND_TOKEN, "", note_own, ids, e)
			     : store_no_memory(e);

	n = json_array_size(ids);
	if (rc == 0 && n > 0) {
		t = sl_store_begin(s, "restore", "nobody knows what was revoked since the backup",
				   e);
		rc = t != NULL ? 0 : e->err;
	}
	json_array_foreach (ids, i, v) {
		if (rc == 0)
			rc = sl_token_revoke(t, json_string_value(v), e);
	}
	if (t != NULL && rc == 0)
		rc = sl_store_commit(t, &seq, e);
	else if (t != NULL)
		sl_store_abort(t);
	if (rc == 0)
		*revoked = (unsigned)n;
	json_decref(ids);
	return rc;
}

/** A primary that goes on from a backup: in an epoch above `epoch`. */
static int
go_on(struct sl_store *s, struct store_state *st, uint64_t epoch, const json_t *roles,
      struct sl_store_restore *how, struct sl_error *e)
{
	int rc;

	store_epoch_next(&st->epoch, epoch, st->head);
	rc = store_state_set(s, st, e);
	if (rc == 0)
		rc = revoke_anew(s, e);
	if (rc == 0)
		rc = store_inherit_role_ids(s, roles, e);
	if (rc == 0 && how->unknown && !how->keep_tokens)
		rc = revoke_own(s, &how->revoked, e);
	return rc;
}

static int
prepare(const char *tmp, const char *path, struct sl_store_restore *how, struct sl_error *e)
{
	struct sl_store *s = sl_store_open(tmp, SL_STORE_WRITE, e);
	struct sl_store_report report;
	struct store_state st;
	json_t *roles = NULL;
	uint64_t epoch = 0;
	bool unknown = true;
	int rc;

	if (s == NULL)
		return e != NULL ? e->err : -EIO;
	rc = store_verify(s, &report, e);
	if (rc == 0 && access(path, F_OK) == 0)
		rc = inherit(s, path, &epoch, &unknown, &roles, e);
	else if (rc == 0)
		epoch = unknown_epoch(s);
	if (rc == 0)
		rc = store_state_get(s, &st, e);
	if (rc == 0 && st.role == SL_STORE_PRIMARY) {
		how->unknown = unknown;
		rc = go_on(s, &st, epoch, roles, how, e);
	}
	if (rc == 0) /* one file; the WAL comes back when it is opened at its place */
		rc = store_exec(s->db,
				"PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE", e);
	json_decref(roles);
	sl_store_close(s);
	return rc;
}

/** Nobody else may have the present store open. A store that is broken is nobody's. */
static int
take_over(const char *path, struct sl_error *e)
{
	sqlite3 *db = NULL;
	struct sl_error why = {0};
	int rc = store_connect(path, SQLITE_OPEN_READWRITE, &db, &why);

	if (rc == 0) {
		sqlite3_busy_timeout(db, 300);
		rc = store_exec(db, "PRAGMA journal_mode = DELETE", &why);
	}
	sqlite3_close(db);
	if (rc != -EBUSY)
		return 0;
	sl_fail(e, -EBUSY, "store_in_use", "", "%.200s is in use", path);
	sl_hint(e, "stop sluice-control first (and Litestream, if it runs)");
	return -EBUSY;
}

/** Keep what was there under another name: at each moment the store or its successor is in place.
 */
static int
swap(const char *tmp, const char *path, struct sl_error *e)
{
	static const char *const beside[] = {"-wal", "-shm"};
	char from[STORE_PATH + 32], to[STORE_PATH + 48];

	snprintf(to, sizeof(to), "%s.before-restore", path);
	unlink(to);
	if (link(path, to) < 0 && errno != ENOENT)
		return sl_fail(e, -errno, "store_io", "", "%.200s: %s", to, strerror(errno));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(beside); i++) {
		snprintf(from, sizeof(from), "%s%s", path, beside[i]);
		snprintf(to, sizeof(to), "%s.before-restore%s", path, beside[i]);
		if (rename(from, to) < 0 && errno != ENOENT)
			return sl_fail(e, -errno, "store_io", "", "%.200s: %s", to,
				       strerror(errno));
	}
	if (rename(tmp, path) < 0)
		return sl_fail(e, -errno, "store_io", "", "%.200s: %s", path, strerror(errno));
	return store_file_sync(path, e);
}

int
sl_store_restore(const char *path, const char *from, struct sl_store_restore *how,
		 struct sl_error *e)
{
	struct sl_store_restore usual = {0};
	char tmp[STORE_PATH + 32], file[STORE_PATH + 64];
	mode_t mask = umask(077);
	int rc;

	snprintf(tmp, sizeof(tmp), "%s.restore", path);
	rc = fetch(from, tmp, e);
	if (rc == 0)
		rc = prepare(tmp, path, how != NULL ? how : &usual, e);
	if (rc == 0 && access(path, F_OK) == 0)
		rc = take_over(path, e);
	if (rc == 0)
		rc = swap(tmp, path, e);
	if (rc < 0)
		unlink(tmp);
	for (unsigned i = 0; i < 2; i++) {
		snprintf(file, sizeof(file), "%s%s", tmp, i == 0 ? "-wal" : "-shm");
		unlink(file);
	}
	for (int v = 1; v < store_steps[store_n_steps - 1].to; v++) { /* of an older backup */
		snprintf(file, sizeof(file), "%s.schema-%d", tmp, v);
		unlink(file);
	}
	umask(mask);
	return rc;
}
