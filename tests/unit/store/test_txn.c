/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions: what is put is there, what is refused changes nothing, what goes takes along what
 * cannot be without it. */
#include "store_test.h"

#define ANY SL_REV_ANY

static void
test_put_get(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	uint64_t rev = 0, seq;
	json_t *body = NULL;
	char peer[PEER_TEXT];

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(sl_store_head(f.s), 0);
	assert_int_equal(sl_store_oldest(f.s), 1);
	assert_int_equal(put_one(&f, SL_KIND_INTERFACE, "wg0", "{'listen_port': 51820}"), 1);
	t = begin(&f);
	must_put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "", peer));
	assert_int_equal(sl_store_txn_get(t, SL_KIND_PEER, "alice", &rev, &body), 0);
	json_decref(body);
	seq = must_commit(&f, t);
	assert_int_equal(seq, 2);
	assert_int_equal(sl_store_get(f.s, SL_KIND_PEER, "alice", &rev, &body), 0);
	assert_int_equal(rev, 1);
	assert_string_equal(json_string_value(json_object_get(body, "interface")), "wg0");
	json_decref(body);
	assert_int_equal(sl_store_get(f.s, SL_KIND_PEER, "bob", &rev, &body), -ENOENT);
	assert_int_equal(sl_store_count(f.s, SL_KIND_PEER), 1);
	/* nothing changes: no row, no rev */
	assert_int_equal(put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", peer)), 2);
	assert_int_equal(put_one(&f, SL_KIND_PEER, "alice",
				 peer_text(1, "'keepalive_s': 25", peer)),
			 3);
	sl_store_get(f.s, SL_KIND_PEER, "alice", &rev, NULL);
	assert_int_equal(rev, 2);
	/* the rev grows over a deletion */
	assert_int_equal(del_one(&f, SL_KIND_PEER, "alice"), 4);
	assert_int_equal(put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", peer)), 5);
	sl_store_get(f.s, SL_KIND_PEER, "alice", &rev, NULL);
	assert_int_equal(rev, 3);
	must_verify(&f);
	fixture_end(&f);
}

static void
test_revs(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	t = begin(&f);
	expect_fail(&f, put_rev(&f, t, SL_KIND_INTERFACE, "wg0", SL_REV_NONE, "{'mtu': 1400}"),
		    -EEXIST, "exists");
	expect_fail(&f, put_rev(&f, t, SL_KIND_INTERFACE, "wg0", 7, "{'mtu': 1400}"), -ESTALE,
		    "rev_mismatch");
	expect_fail(&f, put_rev(&f, t, SL_KIND_INTERFACE, "wg1", 7, "{'mtu': 1400}"), -ENOENT,
		    "not_found");
	expect_fail(&f, sl_store_del(t, SL_KIND_INTERFACE, "wg0", 2, &f.e), -ESTALE,
		    "rev_mismatch");
	expect_fail(&f, sl_store_del(t, SL_KIND_INTERFACE, "wg9", ANY, &f.e), -ENOENT, "not_found");
	assert_int_equal(put_rev(&f, t, SL_KIND_INTERFACE, "wg0", 1, "{'mtu': 1400}"), 0);
	sl_store_abort(t);
	assert_int_equal(sl_store_head(f.s), 1);
	must_verify(&f);
	fixture_end(&f);
}

/** Some refer to others: nobody is left pointing at nothing. */
static void
test_references(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	char peer[PEER_TEXT];

	fixture_begin(&f, SL_STORE_PRIMARY);
	t = begin(&f);
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "", peer)), -EINVAL,
		    "reference_unknown");
	assert_string_equal(f.e.path, "/interface");
	must_put(&f, t, SL_KIND_INTERFACE, "wg0", "{}");
	must_put(&f, t, SL_KIND_ROLE, "staff", "{'id': 1}");
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "'roles': ['boss']", peer)),
		    -EINVAL, "reference_unknown");
	assert_string_equal(f.e.path, "/roles/0");
	must_put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "'roles': ['staff']", peer));
	must_commit(&f, t);
	t = begin(&f);
	expect_fail(&f, sl_store_del(t, SL_KIND_ROLE, "staff", ANY, &f.e), -EBUSY, "referenced");
	assert_string_equal(f.e.path, "/with/peer/alice");
	expect_fail(&f, sl_store_del(t, SL_KIND_INTERFACE, "wg0", ANY, &f.e), -EBUSY, "referenced");
	must_put(&f, t, SL_KIND_PEER, "alice", peer_text(1, "", peer));
	assert_int_equal(sl_store_del(t, SL_KIND_ROLE, "staff", ANY, &f.e), 0);
	must_commit(&f, t);
	must_verify(&f);
	fixture_end(&f);
}

static void
setup_gateway(struct fixture *f)
{
	struct sl_store_txn *t = begin(f);
	char key[SL_KEY_B64_LEN + 1], text[400];

	must_put(f, t, SL_KIND_INTERFACE, "wg0", "{}");
	must_put(f, t, SL_KIND_INTERFACE, "wg1", "{}");
	must_put(f, t, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0']}");
	must_put(f, t, SL_KIND_GATEWAY, "gw2", "{'interfaces': ['wg0']}");
	snprintf(text, sizeof(text),
		 "{'gateway': 'gw1', 'interface': 'wg0', 'public_key': '%s', 'index': 1, "
		 "'addresses': ['10.200.0.1/24']}",
		 key_of(900, key));
	must_put(f, t, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0", text);
	must_put(f, t, SL_KIND_ROLE, "staff", "{'id': 1}");
	must_commit(f, t);
}

static void
test_unique(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	char peer[PEER_TEXT], key[SL_KEY_B64_LEN + 1], text[500], id[SL_OBJ_ID];

	fixture_begin(&f, SL_STORE_PRIMARY);
	setup_gateway(&f);
	put_one(&f, SL_KIND_PEER, "alice", peer_text(1, "", peer));
	t = begin(&f);
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", peer_text(1, "", peer)), -EEXIST,
		    "key_taken");
	assert_string_equal(f.e.path, "/public_key");
	/* another key, the same address */
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['10.9.0.0/16', "
		 "'10.16.0.1/32']}",
		 key_of(2, key));
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", text), -EEXIST, "prefix_taken");
	assert_string_equal(f.e.path, "/allowed_ips/1");
	/* at one gateway what another has everywhere, and what a gateway has itself */
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'addresses': {'gw1': "
		 "['10.16.0.1/32']}}",
		 key_of(2, key));
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", text), -EEXIST, "prefix_taken");
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['10.200.0.1/32']}",
		 key_of(2, key));
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", text), -EEXIST, "prefix_taken");
	/* a gateway's key, a peer's old key */
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", peer_text(900, "", peer)), -EEXIST,
		    "key_taken");
	snprintf(text, sizeof(text), "'old_key': '%s', 'old_key_until': '2027-02-01T00:00:00Z'",
		 key_of(1, key));
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "bob", peer_text(2, text, peer)), -EEXIST,
		    "key_taken");
	assert_string_equal(f.e.path, "/old_key");
	/* the same address at two gateways for two peers; another interface's key and address */
	for (unsigned i = 0; i < 2; i++) {
		snprintf(text, sizeof(text),
			 "{'interface': 'wg0', 'public_key': '%s', 'addresses': {'gw%u': "
			 "['10.50.0.1/32']}}",
			 key_of(10 + i, key), 1 + i);
		must_put(&f, t, SL_KIND_PEER, i == 0 ? "carol" : "dave", text);
	}
	snprintf(text, sizeof(text),
		 "{'interface': 'wg1', 'public_key': '%s', 'allowed_ips': ['10.16.0.1/32']}",
		 key_of(1, key));
	must_put(&f, t, SL_KIND_PEER, "erin", text);
	must_commit(&f, t);
	assert_int_equal(sl_store_unique(f.s, "prefix", "wg0/10.16.0.1/32", id), 0);
	assert_string_equal(id, "alice");
	assert_int_equal(sl_store_unique(f.s, "prefix", "gw2:wg0/10.50.0.1/32", id), 0);
	assert_string_equal(id, "dave");
	snprintf(text, sizeof(text), "wg1/%s", key_of(1, key));
	assert_int_equal(sl_store_unique(f.s, "peer_key", text, id), 0);
	assert_string_equal(id, "erin");
	assert_int_equal(sl_store_unique(f.s, "prefix", "wg1/10.50.0.1/32", id), -ENOENT);
	/* free again once it is gone */
	del_one(&f, SL_KIND_PEER, "alice");
	put_one(&f, SL_KIND_PEER, "bob", peer_text(1, "", peer));
	fixture_end(&f);
}

/** A gateway that serves two interfaces must know whose an address is. */
static void
test_overlap(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	char key[SL_KEY_B64_LEN + 1], text[400];
	uint64_t seq;

	fixture_begin(&f, SL_STORE_PRIMARY);
	setup_gateway(&f);
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['10.60.0.0/16']}",
		 key_of(1, key));
	put_one(&f, SL_KIND_PEER, "site", text);
	snprintf(text, sizeof(text),
		 "{'interface': 'wg1', 'public_key': '%s', 'allowed_ips': ['10.60.7.1/32']}",
		 key_of(2, key));
	put_one(&f, SL_KIND_PEER, "alice", text); /* no gateway has both */
	t = begin(&f);
	must_put(&f, t, SL_KIND_GATEWAY, "gw2", "{'interfaces': ['wg0', 'wg1']}");
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EEXIST, "prefix_overlap");
	t = begin(&f);
	sl_store_del(t, SL_KIND_PEER, "alice", ANY, &f.e);
	must_put(&f, t, SL_KIND_GATEWAY, "gw2", "{'interfaces': ['wg0', 'wg1']}");
	must_commit(&f, t);
	t = begin(&f);
	must_put(&f, t, SL_KIND_PEER, "alice", text);
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EEXIST, "prefix_overlap");
	assert_string_equal(f.e.path, "/peer/alice/allowed_ips/0");
	/* around it instead of inside */
	snprintf(text, sizeof(text),
		 "{'interface': 'wg1', 'public_key': '%s', 'allowed_ips': ['10.0.0.0/8']}",
		 key_of(2, key));
	t = begin(&f);
	must_put(&f, t, SL_KIND_PEER, "alice", text);
	expect_fail(&f, sl_store_commit(t, &seq, &f.e), -EEXIST, "prefix_overlap");
	t = begin(&f);
	must_put(&f, t, SL_KIND_SETTING, "separate_interfaces", "{'value': true}");
	must_put(&f, t, SL_KIND_PEER, "alice", text);
	must_commit(&f, t);
	fixture_end(&f);
}

static unsigned
count(struct fixture *f)
{
	unsigned n = 0;

	for (unsigned k = 0; k < SL_KIND_N; k++)
		n += (unsigned)sl_store_count(f->s, (enum sl_kind)k);
	return n;
}

/** Whoever gets a deleted peer's name gets neither its roles nor its token. */
static void
test_cascade(void **state)
{
	static const char token[] =
		"{'hash': '00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff', "
		"'roles': ['%s'], 'bound': '%s', 'expires_at': '2027-03-01T00:00:00Z'}";
	struct fixture f;
	struct sl_store_txn *t;
	char key[SL_KEY_B64_LEN + 1], text[400];
	json_t *body;
	unsigned before;

	fixture_begin(&f, SL_STORE_PRIMARY);
	setup_gateway(&f);
	before = count(&f);
	t = begin(&f);
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'addresses': {'gw1': "
		 "['10.50.0.1/32'], 'gw2': ['10.51.0.1/32']}}",
		 key_of(1, key));
	must_put(&f, t, SL_KIND_PEER, "alice", text);
	must_put(&f, t, SL_KIND_ALLOCATION, "gw1:wg0:10.50.0.1", "{'peer': 'alice'}");
	must_put(&f, t, SL_KIND_ALLOCATION, "gw2:wg0:10.51.0.1", "{'peer': 'alice'}");
	must_put(&f, t, SL_KIND_ROLE_MAP, "staff:peer:alice",
		 "{'role': 'staff', 'member': 'peer:alice', 'interface': 'wg0', 'source': "
		 "{'type': 'dynamic', 'reason': 'x'}}");
	snprintf(text, sizeof(text), token, "peer", "alice");
	must_put(&f, t, SL_KIND_TOKEN, "tokenalice", text);
	snprintf(text, sizeof(text), token, "gateway", "gw2");
	must_put(&f, t, SL_KIND_TOKEN, "tokengw002", text);
	must_commit(&f, t);
	/* a gateway: its allocation, token and the peers' addresses at it */
	del_one(&f, SL_KIND_GATEWAY, "gw2");
	assert_int_equal(sl_store_get(f.s, SL_KIND_ALLOCATION, "gw2:wg0:10.51.0.1", NULL, NULL),
			 -ENOENT);
	assert_int_equal(sl_store_get(f.s, SL_KIND_TOKEN, "tokengw002", NULL, NULL), -ENOENT);
	assert_int_equal(sl_store_get(f.s, SL_KIND_CRL, "token:tokengw002", NULL, &body), 0);
	assert_string_equal(json_string_value(json_object_get(body, "until")),
			    "2027-03-01T00:00:00Z");
	json_decref(body);
	sl_store_get(f.s, SL_KIND_PEER, "alice", NULL, &body);
	assert_int_equal(json_object_size(json_object_get(body, "addresses")), 1);
	json_decref(body);
	/* the peer: all that is left of it are two revocations */
	del_one(&f, SL_KIND_PEER, "alice");
	assert_int_equal(count(&f), before - 1 + 2);
	must_verify(&f);
	fixture_end(&f);
}

static bool
keep_row(void *ctx, uint64_t seq, json_t *txn)
{
	*(json_t **)ctx = json_incref(txn);
	return true;
}

static void
test_log_row(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	json_t *row = NULL, *ops, *want;
	char key[SL_KEY_B64_LEN + 1], text[300], chain[SL_CHAIN_STR], before[SL_CHAIN_STR];

	fixture_begin(&f, SL_STORE_PRIMARY);
	setup_gateway(&f);
	snprintf(text, sizeof(text), "{'interface': 'wg0', 'public_key': '%s'}", key_of(1, key));
	put_one(&f, SL_KIND_PEER, "alice", text);
	sl_store_chain(f.s, 2, before);
	snprintf(text, sizeof(text), "{'interface': 'wg1', 'public_key': '%s'}", key_of(1, key));
	t = begin(&f);
	must_put(&f, t, SL_KIND_PEER, "alice", text);
	must_put(&f, t, SL_KIND_ROLE, "gone", "{'id': 9}"); /* comes and goes */
	assert_int_equal(sl_store_del(t, SL_KIND_ROLE, "gone", ANY, &f.e), 0);
	assert_int_equal(must_commit(&f, t), 3);
	assert_int_equal(sl_store_log_read(f.s, 3, keep_row, &row, &f.e), 0);
	ops = json_object_get(row, "ops");
	assert_int_equal(json_array_size(ops), 1);
	want = json_pack("{s:s,s:s,s:s,s:i,s:s,s:s,s:{s:s,s:s}}", "op", "put", "kind", "peer", "id",
			 "alice", "rev", 2, "scope", "wg1", "was", "wg0", "obj", "interface", "wg1",
			 "public_key", key);
	assert_true(json_equal(json_array_get(ops, 0), want));
	json_decref(want);
	assert_int_equal(json_integer_value(json_object_get(row, "prev")), 2);
	assert_int_equal(json_integer_value(json_object_get(row, "seq")), 3);
	assert_string_equal(json_string_value(json_object_get(row, "ts")), "2027-01-15T08:00:00Z");
	assert_string_equal(json_string_value(json_object_get(row, "actor")), "uid:0");
	/* the chain, by its definition */
	sl_store_chain(f.s, 3, chain);
	assert_string_equal(json_string_value(json_object_get(row, "chain")), chain);
	json_object_del(row, "chain");
	assert_int_equal(sl_chain_next(before, row), 0);
	assert_string_equal(before, chain);
	json_decref(row);
	fixture_end(&f);
}

static void
test_diff(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	json_t *diff, *want;

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{'mtu': 1400}");
	t = begin(&f);
	must_put(&f, t, SL_KIND_INTERFACE, "wg0", "{'mtu': 1500}");
	must_put(&f, t, SL_KIND_INTERFACE, "wg1", "{}");
	diff = sl_store_diff(t);
	want = quoted("[{'op': 'put', 'kind': 'interface', 'id': 'wg0', 'obj': {'mtu': 1500}, "
		      "'was': {'mtu': 1400}}, {'op': 'put', 'kind': 'interface', 'id': 'wg1', "
		      "'obj': {}}]");
	assert_true(json_equal(diff, want));
	json_decref(diff);
	json_decref(want);
	sl_store_abort(t);
	assert_int_equal(sl_store_get(f.s, SL_KIND_INTERFACE, "wg1", NULL, NULL), -ENOENT);
	fixture_end(&f);
}

/** Another handle, as another process has one: sees what is committed, waits for its turn. */
static void
test_two_handles(void **state)
{
	struct fixture f, g = {.now = NOW};
	struct sl_store_txn *t;

	fixture_begin(&f, SL_STORE_PRIMARY);
	memcpy(g.path, f.path, sizeof(g.path));
	fixture_open(&g);
	sl_store_set_patience(g.s, 10);
	t = begin(&f);
	must_put(&f, t, SL_KIND_INTERFACE, "wg0", "{}");
	assert_int_equal(sl_store_get(g.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), -ENOENT);
	assert_null(sl_store_begin(g.s, "uid:0", "test", &g.e));
	assert_string_equal(g.e.reason, "store_busy");
	assert_null(sl_store_begin(f.s, "uid:0", "test", &f.e));
	must_commit(&f, t);
	assert_int_equal(sl_store_head(g.s), 1);
	assert_int_equal(sl_store_get(g.s, SL_KIND_INTERFACE, "wg0", NULL, NULL), 0);
	put_one(&g, SL_KIND_INTERFACE, "wg1", "{}");
	assert_int_equal(sl_store_head(f.s), 2);
	sl_store_close(g.s);
	fixture_end(&f);
}

/** Five peers with an address and an allocation at gw2. */
static void
give_addresses(struct fixture *f)
{
	char key[SL_KEY_B64_LEN + 1], text[400], id[40];
	struct sl_store_txn *t = begin(f);

	for (unsigned i = 1; i <= 5; i++) {
		snprintf(text, sizeof(text),
			 "{'interface': 'wg0', 'public_key': '%s', 'addresses': {'gw1': "
			 "['10.50.0.%u/32'], 'gw2': ['10.51.0.%u/32']}}",
			 key_of(i, key), i, i);
		snprintf(id, sizeof(id), "p%u", i);
		must_put(f, t, SL_KIND_PEER, id, text);
		snprintf(text, sizeof(text), "{'peer': '%s'}", id);
		snprintf(id, sizeof(id), "gw2:wg0:10.51.0.%u", i);
		must_put(f, t, SL_KIND_ALLOCATION, id, text);
	}
	must_commit(f, t);
}

/** What goes with a gateway may go in several transactions: the end is the same. */
static void
test_dependents(void **state)
{
	static const enum sl_kind peers = SL_KIND_PEER;
	struct fixture whole, parts;
	struct sl_hash_sum a, b;
	struct sl_store_txn *t;
	int n, all = 0;

	fixture_begin(&whole, SL_STORE_PRIMARY);
	fixture_begin(&parts, SL_STORE_PRIMARY);
	setup_gateway(&whole);
	setup_gateway(&parts);
	give_addresses(&whole);
	give_addresses(&parts);
	del_one(&whole, SL_KIND_GATEWAY, "gw2");
	t = begin(&parts);
	assert_int_equal(sl_store_del_dependents(t, SL_KIND_GATEWAY, "gw2", &peers, 2, &parts.e),
			 2);
	assert_int_equal(must_commit(&parts, t), sl_store_head(whole.s));
	do {
		t = begin(&parts);
		n = sl_store_del_dependents(t, SL_KIND_GATEWAY, "gw2", NULL, 3, &parts.e);
		assert_in_range(n, 0, 3);
		must_commit(&parts, t);
		all += n;
		must_verify(&parts);
	} while (n == 3);
	assert_int_equal(all, 5 + 5 - 2);
	sl_store_sum(whole.s, &a);
	sl_store_sum(parts.s, &b);
	assert_false(sl_hash_equal(&a, &b)); /* its record is there */
	del_one(&parts, SL_KIND_GATEWAY, "gw2");
	sl_store_sum(parts.s, &b);
	assert_true(sl_hash_equal(&a, &b));
	fixture_end(&whole);
	fixture_end(&parts);
}

struct seen {
	unsigned n, stop;
	char last[SL_OBJ_ID];
};

static bool
see(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct seen *s = ctx;

	assert_true(strcmp(id, s->last) > 0 || k != SL_KIND_INTERFACE);
	assert_int_equal(strlen(text), len);
	snprintf(s->last, sizeof(s->last), "%s", id);
	return ++s->n != s->stop;
}

static void
test_walk_and_snapshot(void **state)
{
	struct fixture f;
	struct seen seen = {0};
	struct sl_store_snap *snap;
	struct sl_epoch epoch;
	char chain[SL_CHAIN_STR], id[16];
	uint64_t seq;
	struct sl_store_txn *t;
	int n;

	fixture_begin(&f, SL_STORE_PRIMARY);
	t = begin(&f);
	for (unsigned i = 0; i < 10; i++) {
		snprintf(id, sizeof(id), "wg%u", i);
		must_put(&f, t, SL_KIND_INTERFACE, id, "{}");
	}
	must_commit(&f, t);
	assert_int_equal(sl_store_walk(f.s, SL_KIND_INTERFACE, "wg3", see, &seen, &f.e), 0);
	assert_int_equal(seen.n, 6);
	seen = (struct seen){.stop = 2};
	assert_int_equal(sl_store_walk(f.s, SL_KIND_INTERFACE, "", see, &seen, &f.e), 0);
	assert_string_equal(seen.last, "wg1");
	snap = sl_store_snap_open(f.s, &f.e);
	assert_non_null(snap);
	seen = (struct seen){0};
	assert_int_equal(sl_store_snap_next(snap, 4, see, &seen), 4);
	/* what others do meanwhile is not of that moment */
	del_one(&f, SL_KIND_INTERFACE, "wg9");
	put_one(&f, SL_KIND_INTERFACE, "wg99", "{}");
	while ((n = sl_store_snap_next(snap, 4, see, &seen)) > 0)
		;
	assert_int_equal(n, 0);
	assert_int_equal(seen.n, 10);
	assert_string_equal(seen.last, "wg9");
	sl_store_snap_pos(snap, &epoch, &seq, chain);
	assert_int_equal(seq, 1);
	assert_int_equal(epoch.number, 1);
	sl_store_snap_close(snap);
	fixture_end(&f);
}

/** No field takes a private key, and what was refused is not in the file. */
static void
test_planted_key(void **state)
{
	static const char canary[] = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
	static const char *const where[] = {"private_key", "preshared_key", "psk", "PrivateKey",
					    "secret_key"};
	struct fixture f;
	struct sl_store_txn *t;
	char peer[PEER_TEXT], more[128], cmd[200];

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(where); i++) {
		t = begin(&f);
		snprintf(more, sizeof(more), "'%s': '%s'", where[i], canary);
		assert_true(put(&f, t, SL_KIND_PEER, "alice", peer_text(i, more, peer)) < 0);
		assert_null(strstr(f.e.message, canary));
		must_put(&f, t, SL_KIND_PEER, "alice", peer_text(i, "", peer));
		must_commit(&f, t);
	}
	snprintf(cmd, sizeof(cmd), "! grep -q -F '%s' %s/*", canary, f.dir);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "grep -q -F '\"id\":\"alice\"' %s/*", f.dir); /* it looks */
	assert_int_equal(system(cmd), 0);
	fixture_end(&f);
}

/** Nobody makes a peer that has ended; one that is there may be ended, and put as it is. */
static void
test_ended_peer(void **state)
{
	static const char now[] = "'expires_at': '2027-01-15T08:00:00Z'";
	static const char later[] = "'expires_at': '2027-01-15T08:00:01Z'";
	struct fixture f;
	struct sl_store_txn *t;
	char peer[PEER_TEXT];

	fixture_begin(&f, SL_STORE_PRIMARY);
	put_one(&f, SL_KIND_INTERFACE, "wg0", "{}");
	t = begin(&f);
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "a", peer_text(1, now, peer)), -EINVAL,
		    "expires_past");
	assert_string_equal(f.e.path, "/expires_at");
	must_put(&f, t, SL_KIND_PEER, "a", peer_text(1, later, peer));
	must_commit(&f, t);
	f.now += UINT64_C(5000000000);
	t = begin(&f);
	must_put(&f, t, SL_KIND_PEER, "a", peer_text(1, later, peer)); /* as it is */
	must_put(&f, t, SL_KIND_PEER, "a", peer_text(2, later, peer));
	must_put(&f, t, SL_KIND_PEER, "a", peer_text(2, now, peer));
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "b", peer_text(3, later, peer)), -EINVAL,
		    "expires_past");
	must_commit(&f, t);
	del_one(&f, SL_KIND_PEER, "a");
	t = begin(&f);
	expect_fail(&f, put(&f, t, SL_KIND_PEER, "a", peer_text(2, later, peer)), -EINVAL,
		    "expires_past");
	sl_store_abort(t);
	must_verify(&f);
	fixture_end(&f);
}

static bool
is_canonical(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	json_t *row = parse(text);
	size_t n;
	char *canon = sl_canon(row, &n);

	assert_non_null(canon);
	assert_string_equal(text, canon);
	assert_int_equal(len, n);
	*(unsigned *)ctx += (unsigned)json_array_size(json_object_get(row, "ops"));
	free(canon);
	json_decref(row);
	return true;
}

/** Rows are written piece by piece: they are what the canonical form of the whole is, and the chain
 * is that of the whole. */
static void
test_row_text(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	char peer[PEER_TEXT], other[PEER_TEXT];
	unsigned ops = 0;

	fixture_begin(&f, SL_STORE_PRIMARY);
	t = sl_store_begin(f.s, "token:\xc3\xa9", "a \"comment\" \\ with \x01, \t and \xe2\x82\xac",
			   &f.e);
	assert_non_null(t);
	must_put(&f, t, SL_KIND_INTERFACE, "wg0", "{}");
	must_put(&f, t, SL_KIND_INTERFACE, "wg1", "{}");
	must_put(&f, t, SL_KIND_PEER, "a", peer_text(1, "'description': '\xc3\xa9 \\\\ x'", peer));
	must_put(&f, t, SL_KIND_PEER, "b", peer_text(2, "", peer));
	must_commit(&f, t);
	t = begin(&f);
	snprintf(other, sizeof(other), "%s", peer_text(1, "", peer));
	memcpy(strstr(other, "wg0"), "wg1", 3); /* it leaves a scope */
	must_put(&f, t, SL_KIND_PEER, "a", other);
	must_put(&f, t, SL_KIND_ROLE, "staff", "{'id': 1}"); /* comes and goes */
	assert_int_equal(sl_store_del(t, SL_KIND_ROLE, "staff", ANY, &f.e), 0);
	assert_int_equal(sl_store_del(t, SL_KIND_PEER, "b", ANY, &f.e), 0);
	must_commit(&f, t);
	assert_int_equal(sl_store_log_walk(f.s, 1, is_canonical, &ops, &f.e), 0);
	assert_int_equal(ops, 6);
	must_verify(&f);
	t = sl_store_begin(f.s, "uid:0", "no \xff text", &f.e);
	must_put(&f, t, SL_KIND_INTERFACE, "wg2", "{}");
	expect_fail(&f, sl_store_commit(t, NULL, &f.e), -ENOMEM, "no_memory");
	assert_int_equal(sl_store_head(f.s), 2);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get),	    cmocka_unit_test(test_revs),
		cmocka_unit_test(test_references),  cmocka_unit_test(test_unique),
		cmocka_unit_test(test_overlap),	    cmocka_unit_test(test_cascade),
		cmocka_unit_test(test_log_row),	    cmocka_unit_test(test_diff),
		cmocka_unit_test(test_two_handles), cmocka_unit_test(test_walk_and_snapshot),
		cmocka_unit_test(test_planted_key), cmocka_unit_test(test_dependents),
		cmocka_unit_test(test_ended_peer),  cmocka_unit_test(test_row_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
