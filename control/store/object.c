/* SPDX-License-Identifier: BSD-3-Clause */
/* One object's row, its index rows and its part of the sum, written together. */
#include <stdlib.h>

#include "store_int.h"

static void
sum_less(struct sl_hash_sum *sum, enum sl_kind k, const char *id, const char *was)
{
	uint8_t h[SL_HASH_LEN];

	if (was == NULL)
		return;
	sl_object_hash(k, id, was, strlen(was), h);
	sl_hash_sub(sum, h);
}

static void
sum_more(struct sl_hash_sum *sum, enum sl_kind k, const char *id, const struct store_body *is)
{
	uint8_t h[SL_HASH_LEN];

	if (is->hash == NULL)
		sl_object_hash(k, id, is->text, is->len, h);
	sl_hash_add(sum, is->hash != NULL ? is->hash : h);
}

static int
put_row(struct sl_store *s, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	size_t len, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_PUT);

	if (st == NULL)
		return store_run(s, st, e);
	store_bind_text(st, 1, sl_kind_name(k));
	store_bind_text(st, 2, id);
	sqlite3_bind_int64(st, 3, (sqlite3_int64)rev);
	sqlite3_bind_text64(st, 4, text, len, SQLITE_STATIC, SQLITE_UTF8);
	return store_run(s, st, e);
}

int
store_object_put(struct sl_store *s, enum sl_kind k, const char *id, uint64_t rev,
		 const struct store_body *is, const char *was, struct sl_hash_sum *sum,
		 struct sl_error *e)
{
	int rc = put_row(s, k, id, rev, is->text, is->len, e);

	if (rc == 0 && was != NULL)
		rc = store_index_del(s, k, id, e);
	if (rc == 0)
		rc = store_index_put(s, k, id, is->body, e);
	if (rc == 0) {
		sum_less(sum, k, id, was);
		sum_more(sum, k, id, is);
	}
	return rc;
}

int
store_body_make(const json_t *body, struct store_body *out, struct sl_error *e)
{
	out->body = body;
	out->text = sl_canon(body, &out->len);
	return out->text != NULL ? 0
				 : sl_fail(e, -EINVAL, "field_type", "",
					   "the object has no canonical form: integers only");
}

int
store_object_del(struct sl_store *s, enum sl_kind k, const char *id, const char *was,
		 struct sl_hash_sum *sum, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_DEL);
	int rc;

	if (st != NULL) {
		store_bind_text(st, 1, sl_kind_name(k));
		store_bind_text(st, 2, id);
	}
	rc = store_run(s, st, e);
	if (rc == 0)
		rc = store_index_del(s, k, id, e);
	if (rc == 0)
		sum_less(sum, k, id, was);
	return rc;
}
