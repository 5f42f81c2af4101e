/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>

#include "sl_env.h"
#include "sl_neigh.h"

#define ATT 3
static const uint8_t mac_a[6] = {2, 0, 0, 0, 0, 0xa}, mac_b[6] = {2, 0, 0, 0, 0, 0xb};

/** The world around the table: a clock, counters of effects, marks of traffic. */
struct world {
	struct sl_neigh_table *t;
	uint64_t now_ns;
	unsigned multicast, unicast, changed, removed;
	uint8_t probed_mac[6];
	uint32_t next_nh;
	uint64_t used_ns[8192]; /* by nh */
	struct sl_ip removed_ip;
};

static struct world w;

static void
on_probe(void *ctx, const struct sl_neigh *n, bool unicast)
{
	struct world *x = ctx;

	if (unicast)
		x->unicast++;
	else
		x->multicast++;
	memcpy(x->probed_mac, n->mac, 6);
}

static void
on_changed(void *ctx, struct sl_neigh *n)
{
	struct world *x = ctx;

	x->changed++;
	if (n->nh == 0)
		n->nh = ++x->next_nh;
}

static void
on_removed(void *ctx, struct sl_neigh *n)
{
	struct world *x = ctx;

	assert_int_not_equal(n->nh, 0); /* whatever was announced is withdrawn */
	x->removed++;
	x->removed_ip = n->ip;
}

static uint64_t
last_used(void *ctx, const struct sl_neigh *n)
{
	struct world *x = ctx;

	return x->used_ns[n->nh];
}

static int
start_with(unsigned max)
{
	struct sl_neigh_ops ops = {.probe = on_probe,
				   .changed = on_changed,
				   .removed = on_removed,
				   .last_used_ns = last_used,
				   .ctx = &w};

	memset(&w, 0, sizeof(w));
	w.now_ns = 1000 * SL_NS_PER_S;
	w.t = sl_neigh_new(max, &ops);
	return w.t == NULL;
}

static int
setup(void **state)
{
	return start_with(16);
}

static int
teardown(void **state)
{
	sl_neigh_free(w.t);
	return 0;
}

static struct sl_ip
host(unsigned i)
{
	uint8_t b[4] = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};

	return sl_ip_v4(b);
}

/** Let time pass in steps of 100 ms. */
static void
pass_ms(unsigned ms)
{
	for (unsigned i = 0; i < ms; i += 100) {
		w.now_ns += 100 * SL_NS_PER_MS;
		sl_neigh_tick(w.t, w.now_ns);
	}
}

static struct sl_neigh *
want(unsigned i, bool pin)
{
	struct sl_ip ip = host(i);

	return sl_neigh_want(w.t, ATT, &ip, pin, w.now_ns);
}

static void
seen(unsigned i, const uint8_t mac[6], bool solicited, bool override, bool create)
{
	struct sl_ip ip = host(i);

	sl_neigh_seen(w.t, ATT, &ip, mac, solicited, override, create, w.now_ns);
}

static struct sl_neigh *
find(unsigned i)
{
	struct sl_ip ip = host(i);

	return sl_neigh_find(w.t, ATT, &ip);
}

static void
traffic(unsigned i)
{
	w.used_ns[find(i)->nh] = w.now_ns;
}

/** A neighbour that answered just now. */
static struct sl_neigh *
reachable(unsigned i)
{
	struct sl_neigh *n = want(i, false);

	seen(i, mac_a, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	return n;
}

/* --- resolution ----------------------------------------------------------------------------- */

static void
resolves(void **state)
{
	struct sl_neigh *n = want(1, false);

	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(w.multicast, 1);
	assert_int_equal(w.changed, 1);
	assert_int_equal(n->nh, 1);
	want(1, false); /* more packets: no more probes */
	assert_int_equal(w.multicast, 1);
	pass_ms(500);
	seen(1, mac_a, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	assert_memory_equal(n->mac, mac_a, 6);
	assert_int_equal(n->confirmed_ns, w.now_ns);
	assert_int_equal(w.changed, 2);
	assert_int_equal(w.unicast, 0);
}

static void
fails_after_three_probes(void **state)
{
	struct sl_neigh *n = want(1, false);

	pass_ms(900);
	assert_int_equal(w.multicast, 1);
	pass_ms(100);
	assert_int_equal(w.multicast, 2);
	pass_ms(1000);
	assert_int_equal(w.multicast, 3);
	pass_ms(900);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	assert_int_equal(w.multicast, 3);
	assert_int_equal(w.unicast, 0);
	assert_int_equal(w.changed, 2);
	assert_int_equal(w.removed, 0);
	pass_ms(19900); /* packets fail fast for 20 s */
	assert_non_null(find(1));
	pass_ms(100);
	assert_null(find(1));
	assert_int_equal(w.removed, 1);
	assert_int_equal(w.multicast, 3);
	assert_int_equal(sl_neigh_count(w.t), 0);
}

static void
a_failed_one_is_resolved_again_when_wanted(void **state)
{
	struct sl_neigh *n = want(1, false);

	pass_ms(3000);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	w.now_ns += 999 * SL_NS_PER_MS;
	want(1, false); /* too early */
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	assert_int_equal(w.multicast, 3);
	w.now_ns += SL_NS_PER_MS;
	want(1, false);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(w.multicast, 4);
	pass_ms(3000);
	assert_int_equal(w.multicast, 6);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
}

static void
a_pinned_one_is_never_given_up(void **state)
{
	struct sl_neigh *n = want(1, true);

	pass_ms(3000);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	pass_ms(19900);
	assert_int_equal(w.multicast, 3);
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(w.multicast, 4);
	pass_ms(10 * 23000); /* ten more rounds of 3 + 20 s */
	assert_int_equal(w.multicast, 4 + 30);
	assert_int_equal(w.removed, 0);
	seen(1, mac_a, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	want(1, false); /* does not unpin */
	assert_true(n->pinned);
	n->pinned = false;
	pass_ms(700 * 1000);
	assert_null(find(1));
}

static void
a_failed_one_with_traffic_is_resolved_after_the_hold(void **state)
{
	struct sl_neigh *n = want(1, false);

	pass_ms(10000);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	traffic(1);
	pass_ms(13000);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
}

static void
a_failed_one_with_traffic_is_probed(void **state)
{
	struct sl_neigh *n = want(1, false);

	pass_ms(3000);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	pass_ms(4000); /* nobody wants it */
	assert_int_equal(w.multicast, 3);
	traffic(1);
	pass_ms(100);
	assert_int_equal(w.multicast, 4);
	pass_ms(4000); /* nobody again */
	assert_int_equal(w.multicast, 4);
	for (unsigned i = 0; i < 40; i++) { /* every 2 s, however many packets there are */
		traffic(1);
		pass_ms(100);
	}
	assert_int_equal(w.multicast, 6);
	assert_int_equal(n->state, SL_NEIGH_FAILED); /* they fail fast meanwhile */
	seen(1, mac_b, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
}

static void
a_late_answer_revives_a_failed_one(void **state)
{
	struct sl_neigh *n = want(1, false);

	pass_ms(3500);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	seen(1, mac_b, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	assert_memory_equal(n->mac, mac_b, 6);
}

/* --- reachability ---------------------------------------------------------------------------- */

static void
goes_stale_and_is_forgotten_without_traffic(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(29900);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_STALE);
	assert_memory_equal(n->mac, mac_a, 6);
	pass_ms(599 * 1000);
	assert_non_null(find(1));
	pass_ms(2000);
	assert_null(find(1));
	assert_int_equal(w.removed, 1);
	assert_int_equal(w.unicast, 0); /* nobody was bothered */
}

static void
traffic_leads_through_delay_to_probe(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(20000);
	traffic(1); /* while reachable: does not count */
	pass_ms(11000);
	assert_int_equal(n->state, SL_NEIGH_STALE);
	traffic(1);
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_DELAY);
	pass_ms(4900);
	assert_int_equal(n->state, SL_NEIGH_DELAY);
	assert_int_equal(w.unicast, 0);
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_PROBE);
	assert_int_equal(w.unicast, 1);
	assert_memory_equal(w.probed_mac, mac_a, 6);
	pass_ms(1000);
	assert_int_equal(w.unicast, 2);
	seen(1, mac_a, true, true, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	pass_ms(5000);
	assert_int_equal(w.unicast, 2);
}

static void
want_wakes_a_stale_one(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(30000);
	assert_int_equal(n->state, SL_NEIGH_STALE);
	want(1, false);
	assert_int_equal(n->state, SL_NEIGH_DELAY);
}

static void
a_hint_during_delay_saves_the_probes(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(30000);
	want(1, false);
	pass_ms(3000);
	seen(1, mac_a, true, false, false);
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	pass_ms(20000);
	assert_int_equal(w.unicast, 0);
}

static void
a_silent_one_is_resolved_anew_then_fails(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(30000);
	want(1, false);
	pass_ms(5000);
	assert_int_equal(n->state, SL_NEIGH_PROBE);
	pass_ms(2900);
	assert_int_equal(w.unicast, 3);
	assert_int_equal(w.multicast, 1); /* of the first resolution */
	pass_ms(100);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(w.unicast, 3);
	assert_int_equal(w.multicast, 2);
	pass_ms(3000);
	assert_int_equal(n->state, SL_NEIGH_FAILED);
	assert_int_equal(w.multicast, 4);
}

/** The host got a new card: the multicast round finds it. */
static void
a_changed_mac_is_found_by_the_multicast_round(void **state)
{
	struct sl_neigh *n = reachable(1);

	pass_ms(30000);
	want(1, false);
	pass_ms(8000);
	assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
	seen(1, mac_b, true, false, false); /* no old MAC to defend */
	assert_int_equal(n->state, SL_NEIGH_REACHABLE);
	assert_memory_equal(n->mac, mac_b, 6);
}

/* --- the table of RFC 4861 appendix C, for what was seen -------------------------------------- */

struct rule {
	enum sl_neigh_state from;
	bool solicited, override, create, same_mac;
	enum sl_neigh_state to;
	bool takes_mac;
};

/** Bring neighbour 1 into a state, with mac_a where it has one. */
static struct sl_neigh *
bring_to(enum sl_neigh_state s)
{
	struct sl_neigh *n;

	sl_neigh_free(w.t);
	start_with(16);
	if (s == SL_NEIGH_INCOMPLETE)
		return want(1, false);
	n = reachable(1);
	if (s != SL_NEIGH_REACHABLE)
		pass_ms(30000);
	if (s == SL_NEIGH_DELAY || s == SL_NEIGH_PROBE)
		want(1, false);
	if (s == SL_NEIGH_PROBE)
		pass_ms(5000);
	assert_int_equal(n->state, s);
	return n;
}

#define I SL_NEIGH_INCOMPLETE
#define R SL_NEIGH_REACHABLE
#define S SL_NEIGH_STALE
#define D SL_NEIGH_DELAY
#define P SL_NEIGH_PROBE

static void
observations_follow_the_rfc(void **state)
{
	static const struct rule rules[] = {
		/* from  solicited override create same  to  takes */
		/* NA, INCOMPLETE: S decides, O does not matter */
		{I, true, false, false, false, R, true},
		{I, true, true, false, false, R, true},
		{I, false, false, false, false, S, true},
		{I, false, true, false, false, S, true},
		/* NS to us */
		{I, false, false, true, false, S, true},
		/* NA, S=1 O=0, same MAC: reachable */
		{R, true, false, false, true, R, false},
		{S, true, false, false, true, R, false},
		{D, true, false, false, true, R, false},
		{P, true, false, false, true, R, false},
		/* NA, S=1 O=0, another MAC: REACHABLE becomes STALE, the others stay */
		{R, true, false, false, false, S, false},
		{S, true, false, false, false, S, false},
		{D, true, false, false, false, D, false},
		{P, true, false, false, false, P, false},
		/* NA, S=1 O=1: taken and reachable */
		{R, true, true, false, false, R, true},
		{S, true, true, false, false, R, true},
		{D, true, true, false, false, R, true},
		{P, true, true, false, false, R, true},
		{P, true, true, false, true, R, false},
		/* NA, S=0 O=0, same MAC: nothing */
		{R, false, false, false, true, R, false},
		{S, false, false, false, true, S, false},
		{D, false, false, false, true, D, false},
		{P, false, false, false, true, P, false},
		/* NA, S=0 O=0, another MAC: as with S=1 */
		{R, false, false, false, false, S, false},
		{S, false, false, false, false, S, false},
		{D, false, false, false, false, D, false},
		{P, false, false, false, false, P, false},
		/* NA, S=0 O=1, same MAC: nothing */
		{R, false, true, false, true, R, false},
		{D, false, true, false, true, D, false},
		{P, false, true, false, true, P, false},
		/* NA, S=0 O=1, another MAC: taken, STALE */
		{R, false, true, false, false, S, true},
		{S, false, true, false, false, S, true},
		{D, false, true, false, false, S, true},
		{P, false, true, false, false, S, true},
		/* NS, RS: same MAC nothing, another MAC taken, STALE */
		{R, false, false, true, true, R, false},
		{D, false, false, true, true, D, false},
		{P, false, false, true, true, P, false},
		{R, false, false, true, false, S, true},
		{S, false, false, true, false, S, true},
		{D, false, false, true, false, S, true},
		{P, false, false, true, false, S, true},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(rules); i++) {
		const struct rule *r = &rules[i];
		struct sl_neigh *n = bring_to(r->from);
		const uint8_t *mac = r->same_mac ? mac_a : mac_b;

		seen(1, mac, r->solicited, r->override, r->create);
		if (n->state != r->to)
			fail_msg("rule %u: %s, not %s", i, sl_neigh_state_text(n->state),
				 sl_neigh_state_text(r->to));
		assert_memory_equal(n->mac, r->takes_mac ? mac_b : mac_a, 6);
	}
}

static void
strangers_are_learned_from_requests_alone(void **state)
{
	seen(1, mac_a, true, true, false);
	assert_null(find(1));
	seen(1, mac_a, false, false, true);
	assert_int_equal(find(1)->state, SL_NEIGH_STALE);
	assert_memory_equal(find(1)->mac, mac_a, 6);
	assert_int_equal(w.changed, 1);
	assert_int_equal(w.multicast + w.unicast, 0);
}

static void
group_macs_are_never_taken(void **state)
{
	static const uint8_t bad[3][6] = {{0},
					  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
					  {0x33, 0x33, 0, 0, 0, 1}};
	struct sl_neigh *n = want(1, false);
	struct sl_ip none = {0};

	for (unsigned i = 0; i < 3; i++) {
		seen(1, bad[i], true, true, false);
		assert_int_equal(n->state, SL_NEIGH_INCOMPLETE);
		seen(2, bad[i], false, false, true);
		assert_null(find(2));
	}
	sl_neigh_seen(w.t, ATT, &none, mac_a, false, false, true, w.now_ns);
	assert_int_equal(sl_neigh_count(w.t), 1);
}

static void
attachments_and_families_are_apart(void **state)
{
	static const uint8_t v6[16] = {10, 0, 0, 1};
	struct sl_ip four = host(1), six = sl_ip_v6(v6);
	struct sl_neigh *a = sl_neigh_want(w.t, 1, &four, false, w.now_ns);
	struct sl_neigh *b = sl_neigh_want(w.t, 2, &four, false, w.now_ns);
	struct sl_neigh *c = sl_neigh_want(w.t, 1, &six, false, w.now_ns);

	assert_true(a != b && a != c && b != c);
	sl_neigh_seen(w.t, 2, &four, mac_b, true, true, false, w.now_ns);
	assert_int_equal(a->state, SL_NEIGH_INCOMPLETE);
	assert_int_equal(b->state, SL_NEIGH_REACHABLE);
	assert_int_equal(c->state, SL_NEIGH_INCOMPLETE);
	assert_ptr_equal(sl_neigh_find(w.t, 1, &six), c);
}

/* --- static entries and limits ------------------------------------------------------------------
 */

static void
static_entries_stay(void **state)
{
	struct sl_ip ip = host(1);
	struct sl_neigh *n;

	assert_int_equal(sl_neigh_set_static(w.t, ATT, &ip, mac_a, w.now_ns), 0);
	n = find(1);
	assert_int_equal(n->state, SL_NEIGH_STATIC);
	seen(1, mac_b, true, true, false);
	seen(1, mac_b, false, true, true);
	want(1, false);
	traffic(1);
	pass_ms(3600 * 1000);
	assert_int_equal(n->state, SL_NEIGH_STATIC);
	assert_memory_equal(n->mac, mac_a, 6);
	assert_int_equal(w.multicast + w.unicast, 0);
	assert_int_equal(sl_neigh_set_static(w.t, ATT, &ip, mac_b, w.now_ns), 0);
	assert_memory_equal(n->mac, mac_b, 6);
	assert_int_equal(sl_neigh_del(w.t, ATT, &ip), 0);
	assert_int_equal(w.removed, 1);
	assert_int_equal(sl_neigh_del(w.t, ATT, &ip), -ENOENT);
}

static void
a_learned_one_can_become_static(void **state)
{
	struct sl_neigh *n = want(1, false);
	struct sl_ip ip = host(1);

	assert_int_equal(sl_neigh_set_static(w.t, ATT, &ip, mac_a, w.now_ns), 0);
	assert_ptr_equal(find(1), n);
	pass_ms(60000);
	assert_int_equal(n->state, SL_NEIGH_STATIC);
	assert_int_equal(w.multicast, 1);
}

static void
the_least_recently_used_makes_room(void **state)
{
	for (unsigned i = 0; i < 16; i++) {
		reachable(i);
		w.now_ns += SL_NS_PER_MS;
	}
	want(0, false); /* used last */
	traffic(1);
	w.now_ns += SL_NS_PER_MS;
	sl_neigh_tick(w.t, w.now_ns); /* takes note of the traffic */
	assert_non_null(want(100, false));
	assert_int_equal(w.removed, 1);
	assert_null(find(2));
	assert_non_null(find(0));
	assert_non_null(find(1));
	assert_int_equal(sl_neigh_count(w.t), 16);
}

static void
pinned_and_static_ones_never_make_room(void **state)
{
	for (unsigned i = 0; i < 15; i++) {
		struct sl_ip ip = host(i);

		if (i % 2 == 0)
			assert_non_null(want(i, true));
		else
			assert_int_equal(sl_neigh_set_static(w.t, ATT, &ip, mac_a, w.now_ns), 0);
	}
	want(15, false);
	want(16, true); /* 15 goes */
	assert_null(find(15));
	assert_null(want(17, true));
	seen(18, mac_a, false, false, true);
	assert_null(find(18));
	assert_int_equal(sl_neigh_set_static(w.t, ATT, &(struct sl_ip){.family = 4}, mac_a,
					     w.now_ns),
			 -ENOSPC);
	assert_int_equal(w.removed, 1);
}

/** Someone scans the connected network through us: good neighbours stay. */
static void
a_scan_does_not_push_out_good_neighbours(void **state)
{
	for (unsigned i = 0; i < 6; i++)
		reachable(i);
	w.now_ns += SL_NS_PER_S;
	for (unsigned i = 1000; i < 5000; i++) {
		assert_non_null(want(i, false));
		if (i % 7 == 0)
			pass_ms(100);
	}
	for (unsigned i = 0; i < 6; i++)
		assert_non_null(find(i));
	assert_int_equal(sl_neigh_count(w.t), 16);
}

static void
count_one(void *ctx, const struct sl_neigh *n)
{
	++*(unsigned *)ctx;
}

static void
walk_shows_all(void **state)
{
	unsigned n = 0;

	for (unsigned i = 0; i < 10; i++)
		want(i, false);
	sl_neigh_walk(w.t, count_one, &n);
	assert_int_equal(n, 10);
	assert_string_equal(sl_neigh_state_text(SL_NEIGH_STATIC), "static");
	assert_string_equal(sl_neigh_state_text((enum sl_neigh_state)99), "invalid");
	sl_neigh_free(NULL);
}

/* --- a random life ------------------------------------------------------------------------------
 */

/** What must hold of every entry at any time. */
static void
check_entry(void *ctx, const struct sl_neigh *n)
{
	static const uint8_t zero[6];
	bool has_mac = memcmp(n->mac, zero, 6) != 0;

	++*(unsigned *)ctx;
	assert_int_not_equal(n->nh, 0);
	assert_ptr_equal(sl_neigh_find(w.t, n->att, &n->ip), n);
	assert_true(n->since_ns <= w.now_ns);
	assert_in_range(n->probes, 0, 3);
	if (n->state != SL_NEIGH_INCOMPLETE && n->state != SL_NEIGH_FAILED)
		assert_true(has_mac);
	if (n->state != SL_NEIGH_STATIC && n->state != SL_NEIGH_STALE)
		assert_true(n->deadline_ns + 100 * SL_NS_PER_MS >= w.now_ns);
}

static void
random_life(void **state)
{
	uint64_t r = 88172645463325252ULL;
	unsigned made;

	for (unsigned step = 0; step < 100000; step++) {
		unsigned i, n = 0;

		r ^= r << 13;
		r ^= r >> 7;
		r ^= r << 17;
		i = (unsigned)(r >> 40) % 24;
		switch (r % 8) {
		case 0:
		case 1:
			want(i, false);
			break;
		case 2:
			if (want(i, (r >> 20) % 16 == 0) != NULL && (r >> 30) % 4 == 0)
				find(i)->pinned = false;
			break;
		case 3:
			seen(i, r >> 33 & 1 ? mac_a : mac_b, r >> 34 & 1, r >> 35 & 1, false);
			break;
		case 4:
			seen(i, r >> 33 & 1 ? mac_a : mac_b, false, false, true);
			break;
		case 5:
			if (find(i) != NULL)
				traffic(i);
			break;
		case 6:
			if ((r >> 20) % 64 == 0 && find(i) != NULL) {
				struct sl_ip ip = host(i);

				sl_neigh_del(w.t, ATT, &ip);
			}
			break;
		default:
			pass_ms(100 + (unsigned)(r >> 50) % 3000);
			sl_neigh_walk(w.t, check_entry, &n);
			assert_int_equal(n, sl_neigh_count(w.t));
			assert_true(n <= 16);
		}
		if (w.next_nh > 8000) { /* marks of traffic are kept by number */
			sl_neigh_free(w.t);
			start_with(16);
		}
	}
	made = w.next_nh;
	assert_int_equal(made - w.removed, sl_neigh_count(w.t)); /* announced = withdrawn + there */
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(resolves),
		T(fails_after_three_probes),
		T(a_failed_one_is_resolved_again_when_wanted),
		T(a_pinned_one_is_never_given_up),
		T(a_failed_one_with_traffic_is_resolved_after_the_hold),
		T(a_failed_one_with_traffic_is_probed),
		T(a_late_answer_revives_a_failed_one),
		T(goes_stale_and_is_forgotten_without_traffic),
		T(traffic_leads_through_delay_to_probe),
		T(want_wakes_a_stale_one),
		T(a_hint_during_delay_saves_the_probes),
		T(a_silent_one_is_resolved_anew_then_fails),
		T(a_changed_mac_is_found_by_the_multicast_round),
		T(observations_follow_the_rfc),
		T(strangers_are_learned_from_requests_alone),
		T(group_macs_are_never_taken),
		T(attachments_and_families_are_apart),
		T(static_entries_stay),
		T(a_learned_one_can_become_static),
		T(the_least_recently_used_makes_room),
		T(pinned_and_static_ones_never_make_room),
		T(a_scan_does_not_push_out_good_neighbours),
		T(walk_shows_all),
		T(random_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
