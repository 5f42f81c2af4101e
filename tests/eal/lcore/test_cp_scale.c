/* SPDX-License-Identifier: BSD-3-Clause */
/* 100,000 peers of a control plane: how long a snapshot, a restart from the boot cache and one
 * change take, what a turn of the loop costs, how much memory it is. Turns are measured in
 * processor time: other programs of the machine are not the gateway's fault. */
#include "cp_fixture.h"

#include <malloc.h>
#include <time.h>

#define PEERS 100000
#define PART 1000
#define TURN_MAX_US 5000

struct turns {
	uint64_t n, sum_ns, max_ns, over;
};

static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * S + (uint64_t)t.tv_nsec;
}

/* One turn of the loop. */
static bool
turn(struct turns *t)
{
	uint64_t begin = cpu_ns(), took;
	bool any = sl_cp_poll(cx.cp);

	sl_gw_poll(cx.f->gw);
	took = cpu_ns() - begin;
	t->n++;
	t->sum_ns += took;
	t->max_ns = SL_MAX(t->max_ns, took);
	t->over += took > TURN_MAX_US * 1000ULL;
	return any;
}

/* hs takes its commands without being measured. */
static void
drain_hs(void)
{
	fx_turn(cx.f);
}

static void
until_done(struct turns *t, unsigned n_done)
{
	while (cx.n_done < n_done) {
		turn(t);
		drain_hs();
	}
	cx_acked();
}

static void
key_text(unsigned i, char out[SL_KEY_B64_LEN + 1])
{
	uint8_t b[32] = {0};

	sl_blake2s(b, 32, &i, sizeof(i), NULL, 0);
	sl_key_to_base64(b, out);
}

static json_t *
peer_object(unsigned i, unsigned rev)
{
	char id[24], key[SL_KEY_B64_LEN + 1], prefix[32];

	snprintf(id, sizeof(id), "peer-%u", i);
	key_text(i, key);
	snprintf(prefix, sizeof(prefix), "10.%u.%u.%u/32", 64 + i / 65536, i / 256 % 256, i % 256);
	return json_pack("{s:s, s:s, s:i, s:{s:s, s:s, s:{s:[s]}, s:[s]}}", "kind", "peer", "id",
			 id, "rev", (int)rev, "obj", "interface", "wg0", "public_key", key,
			 "addresses", "gw-1", prefix, "roles", i % 2 ? "eng" : "guest");
}

static uint64_t
heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void
send_snapshot(uint64_t seq, struct turns *t)
{
	struct sl_replica *sum_of = sl_replica_new();
	struct sl_hash_sum sum;
	json_t *part = cx_json("[" CX_IFACE CX_POLICY
			       "{'kind':'crl','id':'token:0a1B2c3D4e','rev':1,'obj':{}}]");
	unsigned i, n = cx.n_done;
	enum sl_kind k;
	json_t *o;
	size_t at;

	assert_int_equal(cp_sub_ops.snapshot_begin(cx.cp, &cx.epoch, seq, "test", &cx.f->e), 0);
	n++;
	for (i = 0; i < PEERS;) {
		for (; json_array_size(part) < PART && i < PEERS; i++)
			json_array_append_new(part, peer_object(i, 1));
		json_array_foreach (part, at, o) {
			sl_kind_parse(json_string_value(json_object_get(o, "kind")), &k);
			sl_replica_put(sum_of, k, json_string_value(json_object_get(o, "id")), 1,
				       json_object_get(o, "obj"));
		}
		assert_int_equal(cp_sub_ops.snapshot_part(cx.cp, part, &cx.f->e), 0);
		until_done(t, ++n);
		json_decref(part);
		part = json_array();
	}
	json_decref(part);
	sl_replica_sum(sum_of, &sum);
	assert_int_equal(cp_sub_ops.snapshot_end(cx.cp, sl_replica_count(sum_of), &sum, "b2b:0",
						 &cx.f->e),
			 0);
	sl_replica_free(sum_of);
	until_done(t, n + 1);
}

static void
tell(const char *what, const struct turns *t)
{
	printf("%s: %.0f ms of processor time in %llu turns, the longest %.2f ms, %llu over 5 ms\n",
	       what, (double)t->sum_ns / 1e6, (unsigned long long)t->n, (double)t->max_ns / 1e6,
	       (unsigned long long)t->over);
}

static void
settle(struct turns *t)
{
	for (unsigned quiet = 0; quiet < 50;) {
		quiet = turn(t) ? 0 : quiet + 1;
		drain_hs();
	}
}

static void
change_one(unsigned i, unsigned rev, const char *what)
{
	json_t *o = peer_object(i, rev), *txn;
	unsigned n = cx.n_done;
	struct turns t = {0};

	json_object_set_new(o, "op", json_string("put"));
	json_object_set_new(json_object_get(o, "obj"), "keepalive_s", json_integer(rev));
	txn = json_pack("{s:I, s:s, s:[o]}", "seq", (json_int_t)cx.cp->seq + 1, "chain", "b2b:1",
			"ops", o);
	assert_int_equal(cp_sub_ops.txn(cx.cp, txn, &cx.f->e), 0);
	json_decref(txn);
	until_done(&t, n + 1);
	tell(what, &t);
	assert_true(t.max_ns < TURN_MAX_US * 1000ULL);
}

static void
test_scale(void **state)
{
	struct turns load = {0}, again = {0}, cache = {0};
	uint64_t before = heap(), after;
	struct sl_gw_peer_info info;

	send_snapshot(10, &load);
	after = heap();
	tell("snapshot of 100,000 peers", &load);
	printf("memory: %.0f MiB, of it the replica %.0f MiB\n", (double)(after - before) / 1048576,
	       (double)sl_replica_bytes(cx.cp->r) / 1048576);
	assert_int_equal(cx.cp->n_peers, PEERS);
	assert_true(cx_peer("peer-99999", &info));
	settle(&cache); /* the boot cache is copied */
	cx.f->now_ns += S;
	settle(&cache);
	tell("copy for the boot cache (and its writing, for want of a helper)", &cache);
	change_one(5, 2, "one change");
	change_one(99998, 3, "another one");
	send_snapshot(20, &again);
	tell("the same snapshot again", &again);
	assert_int_equal(cx.cp->n_peers, PEERS);
}

static int
setup(void **state)
{
	return cx_setup_large(state, 131072);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_scale, setup, cx_teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
