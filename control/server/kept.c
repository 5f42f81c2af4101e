/* SPDX-License-Identifier: BSD-3-Clause */
#include "kept.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"

#define HASH 32

int
kept_init(struct sl_store *s, struct sl_error *e)
{
	return sl_store_table(
		s,
		"CREATE TABLE IF NOT EXISTS rest_kept(who TEXT NOT NULL, key TEXT NOT "
		"NULL, request BLOB NOT NULL, at INTEGER NOT NULL, status INTEGER NOT "
		"NULL, seq INTEGER NOT NULL, rev INTEGER NOT NULL, location TEXT NOT "
		"NULL, body TEXT, PRIMARY KEY(who, key)) WITHOUT ROWID",
		e);
}

/** Of what was asked: target and body. */
static void
request_hash(const struct sl_call *c, uint8_t out[HASH])
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, NULL, 0, HASH);
	crypto_generichash_update(&st, (const uint8_t *)c->uri, strlen(c->uri) + 1);
	crypto_generichash_update(&st, (const uint8_t *)c->text, c->text_len);
	crypto_generichash_final(&st, out, HASH);
}

static int
replay(struct sl_call *c, sqlite3_stmt *st, struct sl_error *e)
{
	const char *body = (const char *)sqlite3_column_text(st, 5);
	uint8_t hash[HASH];

	request_hash(c, hash);
	if (sqlite3_column_bytes(st, 0) != HASH ||
	    memcmp(sqlite3_column_blob(st, 0), hash, HASH) != 0) {
		sl_fail(e, -EINVAL, "idempotency_key_reused", "Idempotency-Key",
			"this key was used for another request");
		sl_hint(e, "a new key for each new request");
		return -EINVAL;
	}
	if (body == NULL && sqlite3_column_int(st, 1) == 0) {
		sl_fail(e, -EEXIST, "done_before", "Idempotency-Key",
			"this request was done; the server ended before its answer was kept");
		sl_hint(e, "look at what is there now");
		return -EEXIST;
	}
	if (body == NULL) {
		sl_fail(e, -EEXIST, "shown_once", "Idempotency-Key",
			"this request was done; its answer held a secret and is not kept");
		sl_hint(e, "revoke what it made, and make another one");
		return -EEXIST;
	}
	c->status = sqlite3_column_int(st, 1);
	c->seq = (uint64_t)sqlite3_column_int64(st, 2);
	c->etag = (uint64_t)sqlite3_column_int64(st, 3);
	snprintf(c->location, sizeof(c->location), "%s", (const char *)sqlite3_column_text(st, 4));
	c->out_text = strdup(body);
	if (c->out_text == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the answer");
	c->out_len = strlen(c->out_text);
	return 0;
}

int
kept_find(struct sl_call *c, bool *hit, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0;

	*hit = false;
	if (c->key == NULL)
		return 0;
	if (sqlite3_prepare_v2(sl_store_db(c->store),
			       "SELECT request, status, seq, rev, location, body FROM rest_kept "
			       "WHERE who = ?1 AND key = ?2 AND at > ?3",
			       -1, &st, NULL) != SQLITE_OK)
		return sl_fail(e, -EIO, "store_io", "", "kept answers cannot be read");
	sqlite3_bind_text(st, 1, c->who.name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, c->key, -1, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)(sl_rest_wall_ns() / 1000000000 - KEPT_S));
	if (sqlite3_step(st) == SQLITE_ROW) {
		rc = replay(c, st, e);
		*hit = rc == 0;
	}
	sqlite3_finalize(st);
	return rc;
}

/** @param body NULL: none */
static int
put(struct sl_call *c, int status, const char *body)
{
	sqlite3_stmt *st = NULL;
	uint8_t hash[HASH];
	int rc;

	request_hash(c, hash);
	if (sqlite3_prepare_v2(sl_store_db(c->store),
			       "INSERT OR REPLACE INTO rest_kept VALUES(?1, ?2, ?3, ?4, ?5, ?6, "
			       "?7, ?8, ?9)",
			       -1, &st, NULL) != SQLITE_OK)
		return -EIO;
	sqlite3_bind_text(st, 1, c->who.name, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 2, c->key, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 3, hash, HASH, SQLITE_STATIC);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)(sl_rest_wall_ns() / 1000000000));
	sqlite3_bind_int(st, 5, status);
	sqlite3_bind_int64(st, 6, (sqlite3_int64)c->seq);
	sqlite3_bind_int64(st, 7, (sqlite3_int64)c->etag);
	sqlite3_bind_text(st, 8, c->location, -1, SQLITE_STATIC);
	sqlite3_bind_text(st, 9, body, -1, SQLITE_STATIC);
	rc = sqlite3_step(st) == SQLITE_DONE ? 0 : -EIO;
	sqlite3_finalize(st);
	return rc;
}

int
kept_claim(struct sl_call *c, struct sl_error *e)
{
	if (c->key == NULL || put(c, 0, NULL) == 0)
		return 0;
	return sl_fail(e, -EIO, "store_io", "", "the request cannot be noted: %s",
		       sqlite3_errmsg(sl_store_db(c->store)));
}

bool
kept_wanted(const struct sl_call *c)
{
	return c->key != NULL && c->status < 300 && c->out != NULL && !sl_call_dry_run(c);
}

void
kept_store(struct sl_call *c)
{
	char *body;

	if (!kept_wanted(c))
		return;
	body = c->keep_secret ? NULL : json_dumps(c->out, JSON_COMPACT);
	if (put(c, c->status, body) != 0)
		sl_log(SL_LOG_WARN, "rest", "%s: the answer could not be kept: %s", c->id,
		       sqlite3_errmsg(sl_store_db(c->store)));
	free(body);
}

void
kept_prune(struct sl_store *s, uint64_t wall_ns)
{
	char sql[96];

	snprintf(sql, sizeof(sql), "DELETE FROM rest_kept WHERE at <= %lld",
		 (long long)(wall_ns / 1000000000) - KEPT_S);
	if (sqlite3_exec(sl_store_db(s), sql, NULL, NULL, NULL) != SQLITE_OK)
		sl_log(SL_LOG_WARN, "rest", "kept answers could not be tidied: %s",
		       sqlite3_errmsg(sl_store_db(s)));
}
