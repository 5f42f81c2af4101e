/* SPDX-License-Identifier: BSD-3-Clause */
/* Random transactions against a naive model: plain arrays that are searched from end to end. What
 * is refused, why, what is there, its rev, its tombstone, and a follower that gets the rows. */
#include <time.h>

#include "../next_random.h"
#include "sl_log.h"
#include "store_test.h"

#define IFACES 3
#define ROLES 3
#define PEERS 10
#define VALUES 6 /* keys and prefixes: few, so that they collide */

struct thing {
	bool there;
	uint64_t rev, dead;  /* dead: rev of its tombstone */
	unsigned a, b, c, d; /* peer: interface, key, prefix, role (ROLES: none). map: interface */
};

struct model {
	struct thing ifaces[IFACES], roles[ROLES], peers[PEERS], maps[ROLES][PEERS];
	uint64_t head;
};

struct run {
	struct fixture f;
	struct model m, before;
	bool touched;		  /* changed at all in this transaction */
	uint64_t random, revs_at; /* revs as they were at begin are in `before` */
	unsigned ok, refused;
};

static unsigned
pick(struct run *r, unsigned n)
{
	return (unsigned)(next_random(&r->random) % n);
}

/* --- the naive model -------------------------------------------------------------------------- */

/** A change of this transaction: one rev more than before it, whatever happens inside. */
static void
change(struct thing *t, const struct thing *was)
{
	uint64_t base = was->rev > was->dead ? was->rev : was->dead;

	t->rev = base + 1;
}

static void
bury(struct thing *t, const struct thing *was, bool leaves)
{
	if (!was->there) { /* a thing of this transaction alone leaves nothing */
		*t = *was;
		return;
	}
	t->there = false;
	t->rev = 0;
	if (leaves)
		t->dead = was->rev;
}

static const char *
model_put_peer(struct run *r, unsigned i, struct thing want)
{
	struct model *m = &r->m;

	if (m->peers[i].there && m->peers[i].a == want.a && m->peers[i].b == want.b &&
	    m->peers[i].c == want.c && m->peers[i].d == want.d)
		return "";
	if (!m->ifaces[want.a].there || (want.d < ROLES && !m->roles[want.d].there))
		return "reference_unknown";
	for (unsigned k = 0; k < PEERS; k++)
		if (k != i && m->peers[k].there && m->peers[k].a == want.a &&
		    m->peers[k].b == want.b)
			return "key_taken";
	for (unsigned k = 0; k < PEERS; k++)
		if (k != i && m->peers[k].there && m->peers[k].a == want.a &&
		    m->peers[k].c == want.c)
			return "prefix_taken";
	want.there = true;
	want.dead = m->peers[i].dead;
	m->peers[i] = want;
	change(&m->peers[i], &r->before.peers[i]);
	return "";
}

static const char *
model_del_peer(struct run *r, unsigned i)
{
	if (!r->m.peers[i].there)
		return "not_found";
	for (unsigned k = 0; k < ROLES; k++)
		if (r->m.maps[k][i].there)
			bury(&r->m.maps[k][i], &r->before.maps[k][i], true);
	bury(&r->m.peers[i], &r->before.peers[i], true);
	return "";
}

static const char *
model_put_map(struct run *r, unsigned role, unsigned peer, unsigned iface)
{
	struct thing *t = &r->m.maps[role][peer];

	if (t->there && t->a == iface)
		return "";
	if (!r->m.roles[role].there || !r->m.ifaces[iface].there || !r->m.peers[peer].there)
		return "reference_unknown";
	t->there = true;
	t->a = iface;
	change(t, &r->before.maps[role][peer]);
	return "";
}

static const char *
model_del_map(struct run *r, unsigned role, unsigned peer)
{
	if (!r->m.maps[role][peer].there)
		return "not_found";
	bury(&r->m.maps[role][peer], &r->before.maps[role][peer], true);
	return "";
}

static bool
is_used(const struct model *m, bool role, unsigned i)
{
	for (unsigned p = 0; p < PEERS; p++) {
		if (m->peers[p].there && (role ? m->peers[p].d : m->peers[p].a) == i)
			return true;
		for (unsigned k = 0; k < ROLES; k++)
			if (m->maps[k][p].there && (role ? k : m->maps[k][p].a) == i)
				return true;
	}
	return false;
}

static const char *
model_del(struct run *r, bool role, unsigned i)
{
	struct thing *t = role ? &r->m.roles[i] : &r->m.ifaces[i];

	if (!t->there)
		return "not_found";
	if (is_used(&r->m, role, i))
		return "referenced";
	bury(t, role ? &r->before.roles[i] : &r->before.ifaces[i], false);
	return "";
}

static const char *
model_put(struct run *r, bool role, unsigned i, unsigned value)
{
	struct thing *t = role ? &r->m.roles[i] : &r->m.ifaces[i];

	if (t->there && t->b == value)
		return "";
	t->there = true;
	t->b = value;
	change(t, role ? &r->before.roles[i] : &r->before.ifaces[i]);
	return "";
}

/* --- the same to the store -------------------------------------------------------------------- */

static void
peer_body(struct thing t, char out[PEER_TEXT])
{
	char key[SL_KEY_B64_LEN + 1], role[24] = "";

	if (t.d < ROLES)
		snprintf(role, sizeof(role), ", 'roles': ['r%u']", t.d % ROLES);
	snprintf(out, PEER_TEXT,
		 "{'interface': 'wg%u', 'public_key': '%s', 'allowed_ips': ['10.0.0.%u/32']%s}",
		 t.a, key_of(t.b, key), t.c, role);
}

static int
one_op(struct run *r, struct sl_store_txn *t, const char **want)
{
	unsigned i = pick(r, PEERS), role = pick(r, ROLES), iface = pick(r, IFACES);
	struct thing peer = {.a = iface,
			     .b = pick(r, VALUES),
			     .c = pick(r, VALUES),
			     .d = pick(r, ROLES + 1)};
	char id[64], text[PEER_TEXT];

	snprintf(id, sizeof(id), "p%u", i);
	switch (pick(r, 10)) {
	default:
		*want = model_put_peer(r, i, peer);
		peer_body(peer, text);
		return put(&r->f, t, SL_KIND_PEER, id, text);
	case 0:
		*want = model_del_peer(r, i);
		return sl_store_del(t, SL_KIND_PEER, id, SL_REV_ANY, &r->f.e);
	case 1:
	case 2:
		*want = model_put_map(r, role, i, iface);
		snprintf(id, sizeof(id), "r%u:peer:p%u", role, i);
		snprintf(text, sizeof(text),
			 "{'role': 'r%u', 'member': 'peer:p%u', 'interface': 'wg%u', 'source': "
			 "{'type': 'dynamic', 'reason': 'x'}}",
			 role, i, iface);
		return put(&r->f, t, SL_KIND_ROLE_MAP, id, text);
	case 3:
		*want = model_del_map(r, role, i);
		snprintf(id, sizeof(id), "r%u:peer:p%u", role, i);
		return sl_store_del(t, SL_KIND_ROLE_MAP, id, SL_REV_ANY, &r->f.e);
	case 4:
		*want = model_del(r, i % 2, iface);
		snprintf(id, sizeof(id), "%s%u", i % 2 ? "r" : "wg", iface);
		return sl_store_del(t, i % 2 ? SL_KIND_ROLE : SL_KIND_INTERFACE, id, SL_REV_ANY,
				    &r->f.e);
	case 5:
		*want = model_put(r, false, iface, 1400 + peer.b);
		snprintf(id, sizeof(id), "wg%u", iface);
		snprintf(text, sizeof(text), "{'mtu': %u}", 1400 + peer.b);
		return put(&r->f, t, SL_KIND_INTERFACE, id, text);
	case 6:
		*want = model_put(r, true, role, peer.b);
		snprintf(id, sizeof(id), "r%u", role);
		snprintf(text, sizeof(text), "{'id': %u, 'description': '%u'}", role + 1, peer.b);
		return put(&r->f, t, SL_KIND_ROLE, id, text);
	}
}

/** Nothing but a put and a del of something new, or a change and back, may lie between. */
static bool
differs(const struct model *a, const struct model *b)
{
	return memcmp(a, b, sizeof(*a)) != 0;
}

static void
one_txn(struct run *r)
{
	struct sl_store_txn *t = begin(&r->f);
	unsigned n = 1 + pick(r, 6);
	const char *want;
	uint64_t seq;
	int rc;

	r->before = r->m;
	for (unsigned i = 0; i < n; i++) {
		r->f.e = (struct sl_error){0};
		rc = one_op(r, t, &want);
		if (rc == 0 ? want[0] != '\0' : strcmp(want, r->f.e.reason) != 0)
			fail_msg("store says \"%s\", the model \"%s\"", r->f.e.reason, want);
		*(rc == 0 ? &r->ok : &r->refused) += 1;
	}
	if (pick(r, 5) == 0) {
		sl_store_abort(t);
		r->m = r->before;
		return;
	}
	seq = must_commit(&r->f, t);
	if (differs(&r->m, &r->before))
		r->m.head++;
	assert_int_equal(seq, r->m.head);
}

/* --- compared --------------------------------------------------------------------------------- */

static void
compare_one(struct run *r, enum sl_kind k, const char *id, const struct thing *t, const char *text)
{
	json_t *body = NULL, *want;
	uint64_t rev = 0;
	int rc = sl_store_get(r->f.s, k, id, &rev, &body);

	if ((rc == 0) != t->there)
		fail_msg("%s %s is%s there", sl_kind_name(k), id, rc == 0 ? "" : " not");
	if (rc == 0) {
		want = quoted(text);
		assert_true(json_equal(body, want));
		assert_int_equal(rev, t->rev);
		json_decref(want);
		json_decref(body);
	}
	assert_int_equal(store_tombstone_rev(r->f.s, k, id), t->there ? 0 : t->dead);
}

static void
compare(struct run *r)
{
	char id[64], text[PEER_TEXT];

	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		peer_body(r->m.peers[i], text);
		compare_one(r, SL_KIND_PEER, id, &r->m.peers[i], text);
		for (unsigned k = 0; k < ROLES; k++) {
			snprintf(id, sizeof(id), "r%u:peer:p%u", k, i);
			snprintf(text, sizeof(text),
				 "{'role': 'r%u', 'member': 'peer:p%u', 'interface': 'wg%u', "
				 "'source': {'type': 'dynamic', 'reason': 'x'}}",
				 k, i, r->m.maps[k][i].a);
			compare_one(r, SL_KIND_ROLE_MAP, id, &r->m.maps[k][i], text);
		}
	}
	for (unsigned i = 0; i < IFACES; i++) {
		snprintf(id, sizeof(id), "wg%u", i);
		snprintf(text, sizeof(text), "{'mtu': %u}", r->m.ifaces[i].b);
		compare_one(r, SL_KIND_INTERFACE, id, &r->m.ifaces[i], text);
	}
	assert_int_equal(sl_store_head(r->f.s), r->m.head);
}

static bool
feed(void *ctx, uint64_t seq, json_t *txn)
{
	struct fixture *to = ctx;

	if (sl_store_follow(to->s, txn, &to->e) < 0)
		fail_msg("follow %" PRIu64 ": %s: %s", seq, to->e.reason, to->e.message);
	return true;
}

static void
test_model(void **state)
{
	const char *text = getenv("SL_SEED");
	struct sl_hash_sum a, b, zero = {0};
	struct sl_epoch epoch;
	struct fixture follower;
	struct run r = {.random = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL)};

	printf("SL_SEED=%" PRIu64 "\n", r.random);
	fixture_begin(&r.f, SL_STORE_PRIMARY);
	fixture_begin(&follower, SL_STORE_FOLLOWER);
	for (unsigned i = 0; i < 1200; i++) {
		one_txn(&r);
		if (i % 10 == 0)
			compare(&r);
		if (pick(&r, 100) == 0) {
			sl_store_close(r.f.s);
			fixture_open(&r.f);
		}
	}
	compare(&r);
	must_verify(&r.f);
	printf("%u changes, %u refused, seq %" PRIu64 "\n", r.ok, r.refused, r.m.head);
	assert_true(r.ok > 500 && r.refused > 500);
	/* who gets all rows stands where the primary does */
	sl_store_epoch(r.f.s, &epoch);
	assert_int_equal(sl_store_load_begin(follower.s, &epoch, 0, "", &follower.e), 0);
	assert_int_equal(sl_store_load_end(follower.s, 0, &zero, &follower.e), 0);
	assert_int_equal(sl_store_log_read(r.f.s, 1, feed, &follower, &r.f.e), 0);
	must_verify(&follower);
	sl_store_sum(r.f.s, &a);
	sl_store_sum(follower.s, &b);
	assert_memory_equal(&a, &b, sizeof(a));
	fixture_end(&follower);
	fixture_end(&r.f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_model)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
