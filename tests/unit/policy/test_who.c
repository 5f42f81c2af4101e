/* SPDX-License-Identifier: BSD-3-Clause */
/* Who has which roles: by hand, and random changes beside a plain list, old versions included. */
#include "../alloc_limit.h"
#include "policy_test.h"

#define MEMBERS_MAX 400
#define VERSIONS 6
#define PUBLICATIONS 400
#define CHANGES 12
#define QUERIES 60
#define IFACES 5
#define PEERS 5

/** The oracle: a list of members, at most one for a holder and role. */
struct list {
	struct sl_who_member m[MEMBERS_MAX];
	unsigned n;
};

static uint64_t seed;

static unsigned
pick(unsigned n)
{
	return (unsigned)(next_random(&seed) >> 8) % n;
}

static bool
same_holder(const struct sl_who_member *a, const struct sl_who_member *b)
{
	if (a->is_peer || b->is_peer)
		return a->is_peer && b->is_peer && a->peer_id == b->peer_id;
	return a->iface == b->iface && sl_prefix_equal(&a->prefix, &b->prefix);
}

static int
list_find(const struct list *l, const struct sl_who_member *m)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (same_holder(&l->m[i], m) && l->m[i].role.role == m->role.role)
			return (int)i;
	}
	return -1;
}

static void
list_add(struct list *l, const struct sl_who_member *m)
{
	int at = list_find(l, m);

	if (at < 0) {
		assert_true(l->n < MEMBERS_MAX);
		at = (int)l->n++;
	}
	l->m[at] = *m;
}

static bool
list_del(struct list *l, const struct sl_who_member *m)
{
	int at = list_find(l, m);

	if (at < 0)
		return false;
	l->m[at] = l->m[--l->n];
	return true;
}

/** Roles found by the oracle, by number. */
struct found {
	bool has[16];
	struct sl_class_role role[16];
	unsigned n;
};

/* The longer lasting counts; of equal ones that of the interface itself. */
static void
found_add(struct found *f, const struct sl_who_member *m)
{
	struct sl_class_role *r = &f->role[m->role.role];
	uint64_t new_end = m->role.expires_tick ? m->role.expires_tick : UINT64_MAX;
	uint64_t old_end = r->expires_tick ? r->expires_tick : UINT64_MAX;

	if (f->has[m->role.role] && (new_end < old_end || (new_end == old_end && m->iface == 0)))
		return;
	f->n += !f->has[m->role.role];
	f->has[m->role.role] = true;
	*r = m->role;
}

static void
list_prefix(const struct list *l, unsigned iface, const struct sl_ip *ip, struct found *f)
{
	int best = -1;

	for (unsigned i = 0; i < l->n; i++) {
		const struct sl_who_member *m = &l->m[i];

		if (!m->is_peer && (m->iface == 0 || m->iface == iface) &&
		    sl_prefix_contains(&m->prefix, ip))
			best = SL_MAX(best, m->prefix.len);
	}
	*f = (struct found){0};
	for (unsigned i = 0; i < l->n; i++) {
		const struct sl_who_member *m = &l->m[i];

		if (!m->is_peer && (m->iface == 0 || m->iface == iface) && m->prefix.len == best &&
		    sl_prefix_contains(&m->prefix, ip))
			found_add(f, m);
	}
}

static void
list_peer(const struct list *l, uint32_t peer_id, struct found *f)
{
	*f = (struct found){0};
	for (unsigned i = 0; i < l->n; i++) {
		if (l->m[i].is_peer && l->m[i].peer_id == peer_id)
			found_add(f, &l->m[i]);
	}
}

static void
class_is(const struct sl_class *c, const struct found *f)
{
	unsigned k = 0;

	assert_int_equal(c != NULL, f->n > 0);
	if (c == NULL)
		return;
	assert_int_equal(c->n, f->n);
	assert_int_not_equal(c->stamp, 0);
	for (unsigned role = 0; role < 16; role++) {
		if (f->has[role])
			assert_memory_equal(&c->role[k++], &f->role[role], sizeof(c->role[0]));
	}
}

/** A version with what the list was then. */
struct kept {
	const struct sl_identity *id;
	struct sl_who_garbage *garbage; /* freed when this version dies */
	struct list list;
};

static void
check(const struct kept *v, unsigned queries)
{
	struct found f;
	struct sl_ip ip;

	for (unsigned i = 0; i < queries; i++) {
		unsigned iface = pick(IFACES + 3);

		ip = random_ip(pick(3) ? 4 : 6, &seed);
		list_prefix(&v->list, iface, &ip, &f);
		class_is(sl_identity_prefix(v->id, iface, ip.family, ip.b), &f);
	}
	for (uint32_t id = 0; id <= PEERS; id++) {
		list_peer(&v->list, id * 0x01000001, &f);
		class_is(sl_identity_peer(v->id, id * 0x01000001), &f);
	}
}

static void
check_interned(const struct sl_identity *id)
{
	for (uint32_t i = 0; i < id->n_classes; i++) {
		const struct sl_class *a = id->classes[i];

		for (uint32_t k = 0; a != NULL && k < i; k++) {
			const struct sl_class *b = id->classes[k];

			if (b != NULL && a->stamp == b->stamp)
				fail_msg("two classes of stamp %u", a->stamp);
		}
		assert_true(a == NULL || a->at == i);
	}
}

static struct sl_who_member
random_member(void)
{
	struct sl_who_member m = {.role = {.role = (uint16_t)pick(6),
					   .source = (uint8_t)pick(3),
					   .expires_tick = pick(3) * 100}};

	if (pick(4) == 0) {
		m.is_peer = true;
		m.peer_id = pick(PEERS) * 0x01000001;
		return m;
	}
	m.iface = (uint16_t)pick(IFACES);
	m.prefix = random_prefix(&seed);
	return m;
}

static int
random_change(struct sl_who_builder *b, struct list *l)
{
	struct sl_who_member m = random_member();
	int rc;

	if (pick(2) == 0 || l->n > MEMBERS_MAX - 10) {
		if (l->n > 0 && pick(4) > 0)
			m = l->m[pick(l->n)];
		rc = sl_who_del(b, &m);
		if (rc == 0)
			assert_true(list_del(l, &m));
		else if (rc == -ENOENT)
			assert_int_equal(list_find(l, &m), -1);
	} else {
		rc = sl_who_add(b, &m);
		if (rc == 0)
			list_add(l, &m);
	}
	return rc;
}

static void
publish(struct sl_who_builder *b, const struct list *l, struct kept *next, struct kept *prev)
{
	static uint64_t generation;

	next->id = sl_who_publish(b, ++generation, prev != NULL ? &prev->garbage : &next->garbage);
	assert_non_null(next->id);
	assert_true(next->id->generation == generation);
	next->list = *l;
	if (prev == NULL)
		assert_null(next->garbage);
	next->garbage = NULL;
}

/* Take all members out: no class may be left with a reference. */
static void
empty_out(struct sl_who_builder *b, struct list *l, struct kept *last)
{
	struct sl_who_garbage *g;
	const struct sl_identity *id;

	while (l->n > 0) {
		assert_int_equal(sl_who_del(b, &l->m[l->n - 1]), 0);
		l->n--;
	}
	id = sl_who_publish(b, 1, &last->garbage);
	assert_non_null(id);
	sl_who_garbage_free(last->garbage);
	last->garbage = NULL;
	for (uint32_t i = 0; i < id->n_classes; i++)
		assert_null(id->classes[i]);
	for (unsigned i = 0; i < id->n_ifaces; i++)
		assert_int_equal(id->who[i].prefix[0].count + id->who[i].prefix[1].count, 0);
	assert_int_equal(id->peers.count, 0);
	id = sl_who_publish(b, 2, &g);
	assert_non_null(id);
	sl_who_free(b);
	sl_who_garbage_free(g);
}

/* All versions that are not freed yet answer as at their time. */
static void
test_random(void **state)
{
	static struct kept v[VERSIONS];
	static struct list l;
	struct sl_who_builder *b = sl_who_new();

	seed = getenv("SL_SEED") != NULL ? strtoull(getenv("SL_SEED"), NULL, 0) : 11;
	print_message("SL_SEED=%llu\n", (unsigned long long)seed);
	assert_non_null(b);
	for (unsigned i = 0; i < PUBLICATIONS; i++) {
		struct kept *now = &v[i % VERSIONS];
		struct kept *prev = i > 0 ? &v[(i - 1) % VERSIONS] : NULL;

		if (i >= VERSIONS)
			sl_who_garbage_free(now->garbage); /* the oldest one dies */
		now->garbage = NULL;
		for (unsigned k = pick(CHANGES); k > 0; k--)
			random_change(b, &l);
		if (i == 50)
			assert_int_equal(sl_who_ifaces(b, IFACES + 2), 0);
		publish(b, &l, now, prev);
		check_interned(now->id);
		for (unsigned k = 0; k < SL_MIN(i + 1, VERSIONS); k++)
			check(&v[k], QUERIES);
	}
	for (unsigned k = 0; k < VERSIONS - 1; k++)
		sl_who_garbage_free(v[(PUBLICATIONS + k) % VERSIONS].garbage);
	empty_out(b, &l, &v[(PUBLICATIONS - 1) % VERSIONS]);
}

/* Every allocation of every change fails once: the list then is the old one, for all tables. */
static void
test_no_memory(void **state)
{
	static struct kept v[2];
	static struct list l;
	struct sl_who_builder *b;
	const struct sl_identity *id;
	struct sl_who_garbage *g;
	unsigned failed = 0, at = 0;
	uint64_t before;
	int rc;

	for (int room = 0; room < 5; room++) {
		allocations_left = room;
		b = sl_who_new();
		allocations_left = -1;
		if (b != NULL)
			break;
	}
	assert_non_null(b);
	publish(b, &l, &v[0], NULL);
	for (unsigned i = 0; i < 300; i++) {
		before = seed;
		rc = -ENOMEM;
		for (int room = 0; rc == -ENOMEM; room++) {
			seed = before;
			allocations_left = room;
			rc = random_change(b, &l);
			if (rc == -ENOMEM && room % 2 == 0)
				assert_null(sl_who_publish(b, 1, &g)); /* has nothing either */
			allocations_left = -1;
			if (rc != -ENOMEM)
				break;
			failed++;
			check(&v[at], 3);
			publish(b, &l, &v[!at], &v[at]);
			check(&v[at], 3);
			sl_who_garbage_free(v[at].garbage);
			at = !at;
			check(&v[at], 20);
			assert_true(room < 300);
		}
	}
	assert_true(failed > 500);
	for (int room = 0; room < 2; room++) {
		allocations_left = room;
		id = sl_who_publish(b, 2, &g);
		allocations_left = -1;
		assert_null(id);
		assert_null(g);
		check(&v[at], QUERIES);
	}
	empty_out(b, &l, &v[at]);
}

static struct sl_who_member
prefix_member(const char *text, uint16_t iface, uint16_t role)
{
	struct sl_who_member m = {.iface = iface, .role = {.role = role}};

	assert_int_equal(sl_prefix_parse(text, &m.prefix), 0);
	return m;
}

/* The first prefix of an interface copies the table of "*": half a copy leaves nothing behind. */
static void
test_no_memory_to_copy(void **state)
{
	static struct kept v;
	static struct list l;
	struct sl_who_builder *b = sl_who_new();
	struct sl_who_member m = prefix_member("10.0.0.0/8", 3, 7);
	int rc = -ENOMEM, room = 0;

	for (unsigned i = 0; i < 60; i++) {
		m = prefix_member("10.0.0.0/8", 0, (uint16_t)(i % 6));
		m.prefix.len = (uint8_t)(8 + i % 20);
		list_add(&l, &m);
		assert_int_equal(sl_who_add(b, &m), 0);
	}
	publish(b, &l, &v, NULL);
	m = prefix_member("10.0.0.0/8", 3, 7);
	for (; rc == -ENOMEM; room++) {
		allocations_left = room;
		rc = sl_who_add(b, &m);
		allocations_left = -1;
		check(&v, 3);
	}
	assert_int_equal(rc, 0);
	assert_true(room > 20);
	list_add(&l, &m);
	v.id = sl_who_publish(b, 2, &v.garbage);
	sl_who_garbage_free(v.garbage);
	v.list = l;
	check(&v, QUERIES);
	empty_out(b, &l, &v);
}

static const struct sl_class *
class_of(const struct sl_identity *id, unsigned iface, const char *text)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(text, &ip), 0);
	return sl_identity_prefix(id, iface, ip.family, ip.b);
}

/* The most specific prefix replaces shorter ones; equal ones of "*" and the interface unite. */
static void
test_over_star(void **state)
{
	struct sl_who_builder *b = sl_who_new();
	struct sl_who_member star = prefix_member("10.1.0.0/16", 0, 1);
	struct sl_who_member own = prefix_member("10.1.0.0/16", 2, 0);
	struct sl_who_member longer = prefix_member("10.1.1.0/24", 2, 5);
	const struct sl_identity *id;
	struct sl_who_garbage *g;
	const struct sl_class *c;

	assert_int_equal(sl_who_add(b, &star), 0);
	id = sl_who_publish(b, 1, &g);
	assert_null(g);
	c = class_of(id, 9, "10.1.1.1");
	assert_int_equal(c->n, 1);
	assert_int_equal(c->role[0].role, 1);
	assert_ptr_equal(class_of(id, 2, "10.1.1.1"), c);
	assert_null(class_of(id, 2, "10.2.1.1"));
	assert_int_equal(sl_who_add(b, &own), 0);
	assert_int_equal(sl_who_add(b, &longer), 0);
	id = sl_who_publish(b, 2, &g);
	sl_who_garbage_free(g);
	assert_ptr_equal(class_of(id, 1, "10.1.1.1"), c);
	assert_ptr_equal(class_of(id, 3, "10.1.1.1"), c);
	c = class_of(id, 2, "10.1.2.1");
	assert_int_equal(c->n, 2);
	assert_int_equal(c->role[0].role, 0);
	assert_int_equal(c->role[1].role, 1);
	c = class_of(id, 2, "10.1.1.1");
	assert_int_equal(c->n, 1);
	assert_int_equal(c->role[0].role, 5);
	assert_int_equal(sl_who_del(b, &longer), 0);
	assert_int_equal(sl_who_del(b, &longer), -ENOENT);
	assert_int_equal(sl_who_del(b, &star), 0);
	id = sl_who_publish(b, 3, &g);
	sl_who_garbage_free(g);
	assert_null(class_of(id, 1, "10.1.1.1"));
	c = class_of(id, 2, "10.1.1.1");
	assert_int_equal(c->n, 1);
	assert_int_equal(c->role[0].role, 0);
	sl_who_free(b);
}

/* A class keeps its stamp as long as a version has it, and gets a new one when it comes again. */
static void
test_stamps(void **state)
{
	struct sl_who_builder *b = sl_who_new(), *other = sl_who_new();
	struct sl_who_member m = prefix_member("10.1.0.0/16", 0, 1), n = m;
	const struct sl_identity *id;
	struct sl_who_garbage *g;
	const struct sl_class *c;
	uint32_t stamp;

	assert_int_equal(sl_who_add(b, &m), 0);
	id = sl_who_publish(b, 1, &g);
	c = class_of(id, 1, "10.1.1.1");
	stamp = c->stamp;
	n.role.role = 2; /* away and back before a publication */
	assert_int_equal(sl_who_add(b, &n), 0);
	assert_int_equal(sl_who_del(b, &n), 0);
	assert_int_equal(sl_who_del(b, &m), 0);
	assert_int_equal(sl_who_add(b, &m), 0);
	id = sl_who_publish(b, 2, &g);
	sl_who_garbage_free(g);
	assert_ptr_equal(class_of(id, 1, "10.1.1.1"), c);
	assert_int_equal(sl_who_del(b, &m), 0);
	id = sl_who_publish(b, 3, &g);
	assert_null(class_of(id, 1, "10.1.1.1"));
	assert_int_equal(c->stamp, stamp); /* not yet freed, and its place not used again */
	assert_int_equal(sl_who_add(b, &n), 0);
	assert_ptr_equal(id->classes[c->at], c);
	sl_who_garbage_free(g);
	id = sl_who_publish(b, 4, &g);
	sl_who_garbage_free(g);
	assert_int_equal(sl_who_add(b, &m), 0);
	id = sl_who_publish(b, 5, &g);
	sl_who_garbage_free(g);
	assert_int_equal(class_of(id, 1, "10.1.1.1")->n, 2);
	assert_int_not_equal(class_of(id, 1, "10.1.1.1")->stamp, stamp);
	assert_int_equal(sl_who_add(other, &m), 0); /* another builder has other stamps */
	c = class_of(sl_who_publish(other, 1, &g), 1, "10.1.1.1");
	assert_true(c->stamp > class_of(id, 1, "10.1.1.1")->stamp);
	sl_who_free(b);
	sl_who_free(other);
}

/* The places of what is gone are used again: a thousand changes keep the table small. */
static void
test_places(void **state)
{
	struct sl_who_builder *b = sl_who_new();
	struct sl_who_member m = prefix_member("10.1.0.0/16", 1, 1);
	const struct sl_identity *id = NULL;
	struct sl_who_garbage *g;

	for (unsigned i = 1; i < 1000; i++) {
		m.role.expires_tick = i;
		assert_int_equal(sl_who_add(b, &m), 0);
		id = sl_who_publish(b, i, &g);
		sl_who_garbage_free(g);
		assert_int_equal(class_of(id, 1, "10.1.0.1")->role[0].expires_tick, i);
	}
	assert_true(id->n_classes <= 2);
	sl_who_free(b);
}

static void
test_limits(void **state)
{
	struct sl_who_builder *b = sl_who_new();
	struct sl_who_member m = {.is_peer = true, .peer_id = UINT32_MAX};
	const struct sl_identity *id;
	struct sl_who_garbage *g;
	const struct sl_class *c;

	for (unsigned i = SL_CLASS_ROLES_MAX; i > 0; i--) {
		m.role.role = (uint16_t)(3 * i);
		assert_int_equal(sl_who_add(b, &m), 0);
	}
	m.role.role = 1;
	assert_int_equal(sl_who_add(b, &m), -ENOSPC);
	m.role.role = 3; /* one that is there can still be replaced */
	m.role.expires_tick = 5;
	assert_int_equal(sl_who_add(b, &m), 0);
	id = sl_who_publish(b, 1, &g);
	c = sl_identity_peer(id, UINT32_MAX);
	assert_int_equal(c->n, SL_CLASS_ROLES_MAX);
	for (unsigned i = 0; i < c->n; i++)
		assert_int_equal(c->role[i].role, 3 * (i + 1));
	assert_int_equal(c->role[0].expires_tick, 5);
	assert_null(sl_identity_peer(id, 0));
	/* together they would be too many: the second one is refused, the first one stays */
	m = prefix_member("10.0.0.0/8", 1, 0);
	for (unsigned i = 0; i < SL_CLASS_ROLES_MAX; i++) {
		m.role.role = (uint16_t)i;
		assert_int_equal(sl_who_add(b, &m), 0);
	}
	m = prefix_member("10.0.0.0/8", 0, SL_CLASS_ROLES_MAX);
	assert_int_equal(sl_who_add(b, &m), -ENOSPC);
	m.role.role = 0;
	assert_int_equal(sl_who_add(b, &m), 0);
	id = sl_who_publish(b, 2, &g);
	sl_who_garbage_free(g);
	assert_int_equal(class_of(id, 1, "10.0.0.1")->n, SL_CLASS_ROLES_MAX);
	assert_int_equal(class_of(id, 2, "10.0.0.1")->n, 1);
	sl_who_free(b);
}

static void
test_bad_members(void **state)
{
	struct sl_who_builder *b = sl_who_new();
	struct sl_who_member m = prefix_member("10.0.0.0/8", 0, 0);

	m.prefix.len = 33;
	assert_int_equal(sl_who_add(b, &m), -EINVAL);
	assert_int_equal(sl_who_del(b, &m), -ENOENT);
	m.prefix.len = 32;
	m.prefix.ip.family = 0;
	assert_int_equal(sl_who_add(b, &m), -EINVAL);
	m = prefix_member("10.0.0.0/8", UINT16_MAX, 0);
	assert_int_equal(sl_who_add(b, &m), -EINVAL);
	assert_int_equal(sl_who_ifaces(b, UINT16_MAX + 1), -EINVAL);
	sl_who_free(b);
	sl_who_free(NULL);
	sl_who_garbage_free(NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_over_star),   cmocka_unit_test(test_stamps),
		cmocka_unit_test(test_places),	    cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bad_members), cmocka_unit_test(test_random),
		cmocka_unit_test(test_no_memory),   cmocka_unit_test(test_no_memory_to_copy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
