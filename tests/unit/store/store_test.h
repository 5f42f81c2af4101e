/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of the store share: a store in a directory of its own, objects from text. */
#ifndef STORE_TEST_H
#define STORE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sl_secret.h"
#include "sl_store.h"
#include "store_int.h"

#define NOW UINT64_C(1800000000000000000) /* 2027-01-15T08:00:00Z */

struct fixture {
	char dir[64], path[96];
	struct sl_store *s;
	uint64_t now;
	struct sl_error e;
};

static inline uint64_t
fixture_clock(void *ctx)
{
	return ((struct fixture *)ctx)->now;
}

static inline void
fixture_open(struct fixture *f)
{
	f->s = sl_store_open(f->path, SL_STORE_WRITE, &f->e);
	if (f->s == NULL)
		fail_msg("open: %s: %s", f->e.reason, f->e.message);
	sl_store_set_clock(f->s, fixture_clock, f);
}

static inline void
fixture_begin(struct fixture *f, enum sl_store_role role)
{
	*f = (struct fixture){.now = NOW};
	snprintf(f->dir, sizeof(f->dir), "/tmp/sl-store-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store.db", f->dir);
	if (sl_store_init(f->path, role, &f->e) < 0)
		fail_msg("init: %s: %s", f->e.reason, f->e.message);
	fixture_open(f);
}

static inline void
fixture_end(struct fixture *f)
{
	char cmd[96];

	sl_store_close(f->s);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", f->dir);
	assert_int_equal(system(cmd), 0);
}

static inline struct sl_store_txn *
begin(struct fixture *f)
{
	struct sl_store_txn *t = sl_store_begin(f->s, "uid:0", "test", &f->e);

	if (t == NULL)
		fail_msg("begin: %s: %s", f->e.reason, f->e.message);
	return t;
}

static inline json_t *
parse(const char *text)
{
	json_error_t je;
	json_t *v = json_loads(text, 0, &je);

	if (v == NULL)
		fail_msg("%s: %s", text, je.text);
	return v;
}

/** Text with ' for ". */
static inline json_t *
quoted(const char *text)
{
	char *copy = strdup(text);
	json_t *v;

	for (char *c = copy; *c != '\0'; c++)
		*c = *c == '\'' ? '"' : *c;
	v = parse(copy);
	free(copy);
	return v;
}

static inline int
put_rev(struct fixture *f, struct sl_store_txn *t, enum sl_kind k, const char *id, uint64_t rev,
	const char *text)
{
	json_t *body = quoted(text);
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_store_put(t, k, id, rev, body, &f->e);
	json_decref(body);
	return rc;
}

static inline int
put(struct fixture *f, struct sl_store_txn *t, enum sl_kind k, const char *id, const char *text)
{
	return put_rev(f, t, k, id, SL_REV_ANY, text);
}

static inline void
must_put(struct fixture *f, struct sl_store_txn *t, enum sl_kind k, const char *id,
	 const char *text)
{
	if (put(f, t, k, id, text) < 0)
		fail_msg("put %s %s: %s at %s: %s", sl_kind_name(k), id, f->e.reason, f->e.path,
			 f->e.message);
}

static inline uint64_t
must_commit(struct fixture *f, struct sl_store_txn *t)
{
	uint64_t seq = 0;

	f->e = (struct sl_error){0};
	if (sl_store_commit(t, &seq, &f->e) < 0)
		fail_msg("commit: %s at %s: %s", f->e.reason, f->e.path, f->e.message);
	return seq;
}

static inline uint64_t
put_one(struct fixture *f, enum sl_kind k, const char *id, const char *text)
{
	struct sl_store_txn *t = begin(f);

	must_put(f, t, k, id, text);
	return must_commit(f, t);
}

static inline uint64_t
del_one(struct fixture *f, enum sl_kind k, const char *id)
{
	struct sl_store_txn *t = begin(f);

	if (sl_store_del(t, k, id, SL_REV_ANY, &f->e) < 0)
		fail_msg("del %s %s: %s: %s", sl_kind_name(k), id, f->e.reason, f->e.message);
	return must_commit(f, t);
}

/** A key of its own for each number. */
static inline const char *
key_of(unsigned n, char out[SL_KEY_B64_LEN + 1])
{
	uint8_t k[32] = {1, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)};

	k[31] = 0x40;
	sl_key_to_base64(k, out);
	return out;
}

#define PEER_TEXT 700
/** Peer number n of wg0, with one address. */
static inline const char *
peer_text(unsigned n, const char *more, char out[PEER_TEXT])
{
	char key[SL_KEY_B64_LEN + 1];

	snprintf(out, PEER_TEXT,
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['10.%u.%u.%u/32']%s%s}",
		 key_of(n, key), 16 + (n >> 16 & 15), n >> 8 & 255, n & 255, more[0] ? ", " : "",
		 more);
	return out;
}

#define expect_fail(f, rc, want_err, want_reason)                                                  \
	do {                                                                                       \
		assert_int_equal(rc, want_err);                                                    \
		assert_string_equal((f)->e.reason, want_reason);                                   \
	} while (0)

static inline void
must_verify(struct fixture *f)
{
	struct sl_store_report r;

	f->e = (struct sl_error){0};
	if (store_verify(f->s, &r, &f->e) < 0)
		fail_msg("verify: %s: %s", f->e.reason, f->e.message);
}

static inline void
sh(const char *fmt, const char *a)
{
	char cmd[400];

	snprintf(cmd, sizeof(cmd), fmt, a, a, a);
	assert_int_equal(system(cmd), 0);
}

/* --- from one store to another ---------------------------------------------------------------- */

struct feed {
	struct fixture *to;
	int rc;
};

static inline bool
feed_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct feed *w = ctx;

	w->rc = sl_store_follow(w->to->s, txn, &w->to->e);
	return w->rc == 0;
}

/** All rows of `from` that `to` lacks. */
static inline int
catch_up(struct fixture *from, struct fixture *to)
{
	struct feed w = {to, 0};

	to->e = (struct sl_error){0};
	assert_int_equal(sl_store_log_read(from->s, sl_store_head(to->s) + 1, feed_row, &w,
					   &from->e),
			 0);
	return w.rc;
}

static inline bool
collect(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:I, s:o}", "kind", sl_kind_name(k), "id",
					     id, "rev", (json_int_t)rev, "obj",
					     json_loadb(text, len, 0, NULL)));
	return true;
}

/** A snapshot of `from`, whose count and sum are told so much too high. */
static inline int
load(struct fixture *from, struct fixture *to, int64_t count_off, unsigned sum_off)
{
	struct sl_store_snap *snap = sl_store_snap_open(from->s, &from->e);
	json_t *all = json_array();
	struct sl_hash_sum sum;
	struct sl_epoch epoch;
	char chain[SL_CHAIN_STR];
	int64_t count = count_off;
	uint64_t seq;
	int rc;

	sl_store_snap_pos(snap, &epoch, &seq, chain);
	sl_store_sum(from->s, &sum);
	to->e = (struct sl_error){0};
	rc = sl_store_load_begin(to->s, &epoch, seq, chain, &to->e);
	while (rc == 0 && sl_store_snap_next(snap, 2, collect, all) > 0) {
		rc = sl_store_load_part(to->s, all, &to->e);
		json_array_clear(all);
	}
	sl_store_snap_close(snap);
	json_decref(all);
	sum.w[0] += sum_off;
	for (unsigned k = 0; k < SL_KIND_N; k++)
		count += (int64_t)sl_store_count(from->s, k);
	return rc < 0 ? rc : sl_store_load_end(to->s, (uint64_t)count, &sum, &to->e);
}

#endif
