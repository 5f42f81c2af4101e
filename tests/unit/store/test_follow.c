/* SPDX-License-Identifier: BSD-3-Clause */
/* A follower: rows and snapshots of a primary, refused where they do not fit; promoted. */
#include "store_test.h"

static void
must_equal(struct fixture *a, struct fixture *b)
{
	struct sl_hash_sum sa, sb;
	char ca[SL_CHAIN_STR], cb[SL_CHAIN_STR];

	sl_store_sum(a->s, &sa);
	sl_store_sum(b->s, &sb);
	assert_memory_equal(&sa, &sb, sizeof(sa));
	assert_int_equal(sl_store_head(a->s), sl_store_head(b->s));
	sl_store_chain(a->s, sl_store_head(a->s), ca);
	sl_store_chain(b->s, sl_store_head(b->s), cb);
	assert_string_equal(ca, cb);
	must_verify(a);
	must_verify(b);
}

static void
add_peer(struct fixture *f, unsigned n)
{
	char id[16], text[PEER_TEXT];

	snprintf(id, sizeof(id), "p%u", n);
	put_one(f, SL_KIND_PEER, id, peer_text(n, "", text));
}

static void
test_follow(void **state)
{
	struct fixture p, f;
	struct sl_store_txn *t;
	char text[PEER_TEXT];
	json_t *row;

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	assert_int_equal(sl_store_role(f.s), SL_STORE_FOLLOWER);
	expect_fail(&f, sl_store_promote(f.s, &f.e), -EPERM, "never_followed");
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	add_peer(&p, 1);
	assert_int_equal(load(&p, &f, 0, 0), 0);
	must_equal(&p, &f);
	add_peer(&p, 2);
	del_one(&p, SL_KIND_PEER, "p1");
	put_one(&p, SL_KIND_PEER, "p2", peer_text(2, "'keepalive_s': 9", text));
	assert_int_equal(catch_up(&p, &f), 0);
	must_equal(&p, &f);
	/* the same row again, and one too many */
	row = quoted("{'prev': 2, 'seq': 3, 'chain': 'x', 'ops': []}");
	expect_fail(&f, sl_store_follow(f.s, row, &f.e), -EPROTO, "gap");
	json_decref(row);
	/* a row that does not continue ours; nothing of it stays */
	row = quoted("{'prev': 5, 'seq': 6, 'chain': 'b2b:00', 'ops': [{'op': 'del', 'kind': "
		     "'peer', 'id': 'p2', 'rev': 2}]}");
	expect_fail(&f, sl_store_follow(f.s, row, &f.e), -EINVAL, "diverged");
	json_decref(row);
	must_equal(&p, &f);
	/* no changes of its own */
	assert_int_equal(sl_store_set_primary(f.s, "https://primary:7443", &f.e), 0);
	assert_null(sl_store_begin(f.s, "uid:0", "test", &f.e));
	assert_string_equal(f.e.reason, "readonly");
	assert_non_null(strstr(f.e.hint, "https://primary:7443"));
	expect_fail(&p, sl_store_load_begin(p.s, &(struct sl_epoch){0}, 0, "", &p.e), -EPERM,
		    "not_a_follower");
	/* until it is promoted */
	assert_int_equal(sl_store_promote(f.s, &f.e), 0);
	t = begin(&f);
	must_put(&f, t, SL_KIND_INTERFACE, "wg1", "{}");
	must_commit(&f, t);
	must_verify(&f);
	fixture_end(&f);
	fixture_end(&p);
}

static void
test_bad_snapshot(void **state)
{
	struct fixture p, f;
	struct sl_epoch epoch;

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	for (unsigned i = 1; i < 6; i++)
		add_peer(&p, i);
	assert_int_equal(load(&p, &f, 0, 0), 0);
	add_peer(&p, 6);
	expect_fail(&f, load(&p, &f, 1, 0), -EBADMSG, "hash_mismatch");
	expect_fail(&f, load(&p, &f, 0, 1), -EBADMSG, "hash_mismatch");
	assert_int_equal(sl_store_head(f.s), 6);
	must_verify(&f);
	/* one that is broken off */
	sl_store_epoch(p.s, &epoch);
	assert_int_equal(sl_store_load_begin(f.s, &epoch, 99, "", &f.e), 0);
	sl_store_load_abort(f.s);
	assert_int_equal(catch_up(&p, &f), 0);
	must_equal(&p, &f);
	fixture_end(&f);
	fixture_end(&p);
}

struct tombs {
	unsigned n;
	struct sl_tombstone last;
};

static bool
count_tomb(void *ctx, const struct sl_tombstone *t)
{
	struct tombs *w = ctx;

	w->n++;
	w->last = *t;
	return true;
}

static struct tombs
tombs(struct fixture *f)
{
	struct tombs w = {0};

	assert_int_equal(sl_store_tombstones(f->s, count_tomb, &w, &f->e), 0);
	return w;
}

static void
test_tombstones(void **state)
{
	struct fixture p, f;
	struct tombs w;

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	add_peer(&p, 1);
	add_peer(&p, 2);
	assert_int_equal(load(&p, &f, 0, 0), 0);
	del_one(&p, SL_KIND_PEER, "p1");
	w = tombs(&p);
	assert_int_equal(w.n, 1);
	assert_int_equal(w.last.kind, SL_KIND_PEER);
	assert_string_equal(w.last.id, "p1");
	assert_int_equal(w.last.rev, 1);
	assert_int_equal(w.last.seq, 4);
	assert_int_equal(w.last.epoch_number, 1);
	assert_int_equal(w.last.wall_ns, NOW);
	assert_int_equal(catch_up(&p, &f), 0);
	assert_int_equal(tombs(&f).n, 1);
	/* a later put in the same epoch clears it */
	add_peer(&p, 1);
	assert_int_equal(tombs(&p).n, 0);
	assert_int_equal(catch_up(&p, &f), 0);
	assert_int_equal(tombs(&f).n, 0);
	/* what went while we were away: the snapshot has it no more */
	del_one(&p, SL_KIND_PEER, "p2");
	assert_int_equal(load(&p, &f, 0, 0), 0);
	w = tombs(&f);
	assert_int_equal(w.n, 1);
	assert_string_equal(w.last.id, "p2");
	/* 120 days later it is forgotten */
	f.now = NOW + UINT64_C(121) * 86400 * 1000000000;
	assert_int_equal(sl_store_compact(f.s, 0, 0, UINT64_MAX, &f.e), 0);
	assert_int_equal(tombs(&f).n, 0);
	fixture_end(&f);
	fixture_end(&p);
}

/** At most a million, the oldest go first. */
static void
restore(struct fixture *f, const char *backup, bool lost)
{
	sl_store_close(f->s);
	if (lost)
		assert_int_equal(unlink(f->path), 0);
	assert_int_equal(sl_store_restore(f->path, backup, NULL, &f->e), 0);
	fixture_open(f);
}

/** A backup from before a revocation does not undo it: not where the revocation is known, and not
 * at a follower of a server that has forgotten it. */
static void
test_revoked_since(void **state)
{
	static const char id[] = "cert:1f09c3";
	struct fixture p, f;
	char backup[128];

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	add_peer(&p, 1);
	snprintf(backup, sizeof(backup), "%s/backup.db", p.dir);
	assert_int_equal(sl_store_backup(p.path, backup, &p.e), 0);
	assert_int_equal(load(&p, &f, 0, 0), 0);
	assert_false(sl_store_revoked(p.s, id));
	put_one(&p, SL_KIND_CRL, id, "{'reason': 'lost'}");
	assert_int_equal(catch_up(&p, &f), 0);
	assert_true(sl_store_revoked(p.s, id));
	assert_true(sl_store_revoked(f.s, id));
	restore(&p, backup, false);
	assert_int_equal(sl_store_get(p.s, SL_KIND_CRL, id, NULL, NULL), 0);
	assert_true(sl_store_revoked(p.s, id));
	must_verify(&p);
	restore(&p, backup, true);
	assert_false(sl_store_revoked(p.s, id));
	assert_int_equal(load(&p, &f, 0, 0), 0);
	assert_int_equal(sl_store_get(f.s, SL_KIND_CRL, id, NULL, NULL), -ENOENT);
	assert_true(sl_store_revoked(f.s, id));
	assert_false(sl_store_revoked(f.s, "cert:1f09c4"));
	fixture_end(&f);
	fixture_end(&p);
}

static void
test_many_tombstones(void **state)
{
	static const char many[] =
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000002) "
		"INSERT INTO tombstone SELECT 'peer', 'p' || i, 1, 1, 1, 1800000000000000000 + i "
		"FROM n";
	struct fixture f;

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(store_exec(f.s->db, many, &f.e), 0);
	assert_int_equal(sl_store_compact(f.s, 0, 0, UINT64_MAX, &f.e), 0);
	assert_int_equal(tombs(&f).n, 1000000);
	assert_int_equal(store_tombstone_rev(f.s, SL_KIND_PEER, "p2"), 0);
	assert_int_equal(store_tombstone_rev(f.s, SL_KIND_PEER, "p3"), 1);
	fixture_end(&f);
}

/** Order is that of seq: a clock that jumps changes what is written beside it, and nothing else. */
static void
test_clock_jumps(void **state)
{
	struct fixture p, f;

	fixture_begin(&p, SL_STORE_PRIMARY);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	assert_int_equal(load(&p, &f, 0, 0), 0);
	for (unsigned i = 1; i < 8; i++) {
		p.now = i % 2 ? UINT64_C(1000000000) * i : NOW * 2 + i;
		f.now = i % 3 ? 1 : NOW;
		add_peer(&p, 1 + i);
		if (i % 2)
			add_peer(&p, 1);
		else
			del_one(&p, SL_KIND_PEER, "p1");
		assert_int_equal(catch_up(&p, &f), 0);
		must_equal(&p, &f);
	}
	fixture_end(&f);
	fixture_end(&p);
}

static void
test_compact(void **state)
{
	struct fixture p, f;
	char chain[SL_CHAIN_STR], gone[SL_CHAIN_STR];

	fixture_begin(&p, SL_STORE_PRIMARY);
	put_one(&p, SL_KIND_INTERFACE, "wg0", "{}");
	for (unsigned i = 2; i <= 10; i++) {
		p.now += 1000000000;
		add_peer(&p, i);
	}
	sl_store_chain(p.s, 6, chain);
	assert_int_equal(sl_store_compact(p.s, 3600, 0, UINT64_MAX, &p.e), 0); /* too young */
	p.now += UINT64_C(3600) * 1000000000;
	assert_int_equal(sl_store_compact(p.s, 3600, 20, UINT64_MAX, &p.e), 0); /* too few */
	assert_int_equal(sl_store_compact(p.s, 3600, 1, 5, &p.e), 4); /* a snapshot needs 5 */
	assert_int_equal(sl_store_oldest(p.s), 5);
	must_verify(&p);
	assert_int_equal(sl_store_compact(p.s, 3600, 4, UINT64_MAX, &p.e), 2);
	assert_int_equal(sl_store_oldest(p.s), 7);
	sl_store_chain(p.s, 6, gone); /* the one before the oldest is known */
	assert_string_equal(gone, chain);
	sl_store_chain(p.s, 5, gone);
	assert_string_equal(gone, "");
	assert_int_equal(sl_store_compact(p.s, 0, 0, UINT64_MAX, &p.e), 4);
	assert_int_equal(sl_store_compact(p.s, 0, 0, UINT64_MAX, &p.e), 0);
	add_peer(&p, 20);
	must_verify(&p);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	assert_int_equal(load(&p, &f, 0, 0), 0);
	must_equal(&p, &f);
	fixture_end(&f);
	fixture_end(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follow),	      cmocka_unit_test(test_bad_snapshot),
		cmocka_unit_test(test_tombstones),    cmocka_unit_test(test_many_tombstones),
		cmocka_unit_test(test_revoked_since), cmocka_unit_test(test_clock_jumps),
		cmocka_unit_test(test_compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
