/* SPDX-License-Identifier: BSD-3-Clause */
/* A store: made, opened, closed, and where it stands. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store_int.h"

/* pages of a transaction of tens of thousands of objects stay in memory until its commit */
#define WRITE_SETTINGS "PRAGMA journal_mode = WAL; PRAGMA cache_size = -32768"

static uint64_t
real_wall_ns(void *ctx)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

uint64_t
store_now(const struct sl_store *s)
{
	return s->wall_ns(s->wall_ctx);
}

void
sl_store_set_clock(struct sl_store *s, uint64_t (*wall_ns)(void *ctx), void *ctx)
{
	s->wall_ns = wall_ns;
	s->wall_ctx = ctx;
}

void
store_step(struct sl_store *s, const char *at)
{
	if (s->step != NULL)
		s->step(s->step_ctx, at);
}

void
store_epoch_id(char out[33])
{
	uint8_t b[16];

	randombytes_buf(b, sizeof(b));
	sodium_bin2hex(out, 33, b, sizeof(b));
}

/* --- the state row ---------------------------------------------------------------------------- */

static void
read_state(sqlite3_stmt *st, struct store_state *out)
{
	char role[16];

	*out = (struct store_state){0};
	store_column(st, 0, role, sizeof(role));
	out->role = strcmp(role, "follower") == 0 ? SL_STORE_FOLLOWER : SL_STORE_PRIMARY;
	out->epoch.number = (uint64_t)sqlite3_column_int64(st, 1);
	store_column(st, 2, out->epoch.id, sizeof(out->epoch.id));
	store_column(st, 3, out->epoch.parent_id, sizeof(out->epoch.parent_id));
	out->epoch.parent_seq = (uint64_t)sqlite3_column_int64(st, 4);
	out->base_seq = (uint64_t)sqlite3_column_int64(st, 5);
	store_column(st, 6, out->base_chain, sizeof(out->base_chain));
	out->head = (uint64_t)sqlite3_column_int64(st, 7);
	store_column(st, 8, out->chain, sizeof(out->chain));
	if (sqlite3_column_bytes(st, 9) == (int)sizeof(out->sum))
		memcpy(&out->sum, sqlite3_column_blob(st, 9), sizeof(out->sum));
	store_column(st, 10, out->primary, sizeof(out->primary));
}

int
store_state_get(struct sl_store *s, struct store_state *out, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_STATE_GET);
	int rc = st != NULL ? sqlite3_step(st) : sqlite3_errcode(s->db);

	if (rc == SQLITE_ROW) {
		read_state(st, out);
		sqlite3_reset(st);
		return 0;
	}
	rc = store_sql_error(s->db, rc == SQLITE_DONE ? SQLITE_CORRUPT : rc, "read", e);
	sqlite3_reset(st);
	return rc;
}

int
store_state_set(struct sl_store *s, const struct store_state *v, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_STATE_SET);

	if (st == NULL)
		return store_sql_error(s->db, sqlite3_errcode(s->db), "write", e);
	store_bind_text(st, 1, v->role == SL_STORE_FOLLOWER ? "follower" : "primary");
	sqlite3_bind_int64(st, 2, (sqlite3_int64)v->epoch.number);
	store_bind_text(st, 3, v->epoch.id);
	store_bind_text(st, 4, v->epoch.parent_id);
	sqlite3_bind_int64(st, 5, (sqlite3_int64)v->epoch.parent_seq);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)v->base_seq);
	store_bind_text(st, 7, v->base_chain);
	sqlite3_bind_int64(st, 8, (sqlite3_int64)v->head);
	store_bind_text(st, 9, v->chain);
	sqlite3_bind_blob(st, 10, &v->sum, sizeof(v->sum), SQLITE_STATIC);
	store_bind_text(st, 11, v->primary);
	return store_run(s, st, e);
}

/* --- making and opening ----------------------------------------------------------------------- */

static int
first_state(sqlite3 *db, enum sl_store_role role, struct sl_error *e)
{
	struct sl_store s = {.db = db, .wall_ns = real_wall_ns};
	struct store_state st = {.role = role};
	int rc;

	rc = store_exec(db, "INSERT INTO state VALUES (1, '', 0, '', '', 0, 0, '', 0, '', x'', '')",
			e);
	if (role == SL_STORE_PRIMARY) { /* a follower takes its source's */
		st.epoch.number = 1;
		store_epoch_id(st.epoch.id);
	}
	if (rc == 0)
		rc = store_state_set(&s, &st, e);
	store_stmts_free(&s);
	return rc;
}

static int
fill_new(const char *path, enum sl_store_role role, struct sl_error *e)
{
	char sql[64];
	sqlite3 *db = NULL;
	int rc = store_connect(path, SQLITE_OPEN_READWRITE, &db, e);

	if (rc < 0)
		return rc;
	snprintf(sql, sizeof(sql), "PRAGMA application_id = %d", STORE_APPLICATION);
	rc = store_exec(db, sql, e);
	if (rc == 0)
		rc = store_migrate(db, path, store_steps, store_n_steps, e);
	if (rc == 0)
		rc = first_state(db, role, e);
	if (rc == 0)
		rc = store_exec(db, "PRAGMA journal_mode = WAL", e);
	sqlite3_close(db);
	return rc;
}

int
sl_store_init(const char *path, enum sl_store_role role, struct sl_error *e)
{
	mode_t mask = umask(077);
	char tmp[STORE_PATH + 8];
	int rc;

	snprintf(tmp, sizeof(tmp), "%s.new", path);
	if (access(path, F_OK) == 0) {
		rc = sl_fail(e, -EEXIST, "exists", "", "%.200s is there already", path);
		sl_hint(e, "to go back to a backup: sluice-control restore FILE; to begin anew: "
			   "move it away");
	} else {
		unlink(tmp); /* of an init that was cut short */
		rc = store_file_make(tmp, e);
		if (rc == 0)
			rc = fill_new(tmp, role, e);
		if (rc == 0)
			rc = store_file_sync(tmp, e);
		if (rc == 0 && rename(tmp, path) < 0)
			rc = sl_fail(e, -errno, "store_io", "", "%.200s: %s", path,
				     strerror(errno));
		if (rc == 0)
			rc = store_file_sync(path, e);
	}
	umask(mask);
	return rc;
}

static int
open_db(struct sl_store *s, struct sl_error *e)
{
	int rc = store_connect(s->path, SQLITE_OPEN_READWRITE, &s->db, e);

	if (rc < 0)
		return rc;
	if (s->mode == SL_STORE_READ) {
		rc = store_schema_read(s->db, store_steps[store_n_steps - 1].to, e);
		return rc == 0 ? store_exec(s->db, "PRAGMA query_only = ON", e) : rc;
	}
	rc = store_migrate(s->db, s->path, store_steps, store_n_steps, e);
	return rc == 0 ? store_exec(s->db, WRITE_SETTINGS, e) : rc;
}

struct sl_store *
sl_store_open(const char *path, enum sl_store_mode mode, struct sl_error *e)
{
	struct sl_store *s;
	struct store_state st;
	mode_t mask;
	int rc = store_file_check_there(path, e);

	if (rc < 0)
		return NULL;
	s = calloc(1, sizeof(*s));
	if (s == NULL || strlen(path) >= sizeof(s->path)) {
		free(s);
		sl_fail(e, s == NULL ? -ENOMEM : -ENAMETOOLONG, "store_io", "", "%.200s", path);
		return NULL;
	}
	snprintf(s->path, sizeof(s->path), "%s", path);
	s->mode = mode;
	s->busy_ms = STORE_BUSY_MS;
	s->wall_ns = real_wall_ns;
	mask = umask(077); /* -wal and -shm too */
	rc = open_db(s, e);
	if (rc == 0)
		rc = store_state_get(s, &st, e);
	umask(mask);
	if (rc < 0) {
		sl_store_close(s);
		return NULL;
	}
	return s;
}

struct sl_store *
sl_store_open_again(const struct sl_store *s, enum sl_store_mode mode, struct sl_error *e)
{
	struct sl_store *o = sl_store_open(s->path, mode, e);

	if (o != NULL)
		sl_store_set_clock(o, s->wall_ns, s->wall_ctx);
	return o;
}

void
sl_store_set_patience(struct sl_store *s, unsigned ms)
{
	s->busy_ms = ms;
	sqlite3_busy_timeout(s->db, (int)ms);
}

void
sl_store_leave_checkpoints(struct sl_store *s)
{
	sqlite3_wal_autocheckpoint(s->db, 0);
}

void
sl_store_checkpoint(struct sl_store *s)
{
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

void
sl_store_close(struct sl_store *s)
{
	if (s == NULL)
		return;
	sl_store_abort(s->txn);
	sl_store_load_abort(s);
	store_stmts_free(s);
	sqlite3_close(s->db);
	json_decref(s->uses);
	free(s);
}

/* --- where it stands -------------------------------------------------------------------------- */

enum sl_store_role
sl_store_role(struct sl_store *s)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	return st.role;
}

void
sl_store_epoch(struct sl_store *s, struct sl_epoch *out)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	*out = st.epoch;
}

uint64_t
sl_store_head(struct sl_store *s)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	return st.head;
}

void
sl_store_sum(struct sl_store *s, struct sl_hash_sum *out)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	*out = st.sum;
}

uint64_t
sl_store_oldest(struct sl_store *s)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	return st.base_seq + 1;
}

int
sl_store_chain(struct sl_store *s, uint64_t seq, char out[SL_CHAIN_STR])
{
	sqlite3_stmt *st = store_stmt(s, ST_LOG_CHAIN);
	struct store_state state;
	int rc;

	out[0] = '\0';
	if (st == NULL)
		return -EIO;
	sqlite3_bind_int64(st, 1, (sqlite3_int64)seq);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		store_column(st, 0, out, SL_CHAIN_STR);
	sqlite3_reset(st);
	if (rc == SQLITE_ROW)
		return 0;
	if (rc != SQLITE_DONE || store_state_get(s, &state, NULL) < 0)
		return -EIO;
	if (seq == state.base_seq)
		snprintf(out, SL_CHAIN_STR, "%s", state.base_chain);
	return 0;
}

const char *
sl_store_primary(struct sl_store *s)
{
	struct store_state st = {0};

	store_state_get(s, &st, NULL);
	snprintf(s->primary, sizeof(s->primary), "%s", st.primary);
	return s->primary;
}

int
sl_store_set_primary(struct sl_store *s, const char *url, struct sl_error *e)
{
	struct store_state st;
	int rc = store_do(s, ST_BEGIN, e);

	if (rc < 0)
		return rc;
	rc = store_state_get(s, &st, e);
	if (rc == 0 && strlen(url) >= sizeof(st.primary))
		rc = sl_fail(e, -EINVAL, "url_invalid", "", "the address is too long");
	if (rc == 0) {
		snprintf(st.primary, sizeof(st.primary), "%s", url);
		rc = store_state_set(s, &st, e);
	}
	if (rc == 0)
		rc = store_do(s, ST_COMMIT, e);
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	return rc;
}

struct sqlite3 *
sl_store_db(struct sl_store *s)
{
	return s->db;
}

int
sl_store_table(struct sl_store *s, const char *sql, struct sl_error *e)
{
	return store_exec(s->db, sql, e);
}
