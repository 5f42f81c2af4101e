/* SPDX-License-Identifier: BSD-3-Clause */
/* Members that a control plane gives: at once and together with a policy; those of an identity
 * provider that does not answer. Verdicts are asked of the published tables. */
#include "policy_fixture.h"

#define RULES                                                                                      \
	"\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\",\"action\":"  \
	"\"allow\"},{\"id\":1,\"role\":\"guest\",\"to\":[\"db1\"],\"protocol\":\"tcp\",\"ports\":" \
	"[80],\"action\":\"allow\"}]}"
#define TWO "{\"version\":1," ZONES "\"roles\":{\"eng\":{},\"guest\":{}}," RULES
#define STRICT                                                                                     \
	"{\"version\":2," ZONES "\"roles\":{\"eng\":{\"on_idp_down\":\"deny\"},\"guest\":{}}"      \
	"," RULES

static struct sl_pol_member
idp(const char *peer, uint64_t expires_ns)
{
	struct sl_pol_member m = px_member(peer, NULL, "", expires_ns);

	m.source = SL_SOURCE_IDP;
	snprintf(m.provider, sizeof(m.provider), "corp");
	return m;
}

static void
put(struct fx *f, const char *role, const struct sl_pol_member *m, bool staged)
{
	if (sl_gw_fed_put(f->gw, role, m, staged, &f->e) != 0)
		fail_msg("%s: %s", f->e.reason, f->e.message);
}

static bool
eng(struct fx *f)
{
	return px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 22);
}

static bool
guest(struct fx *f)
{
	return px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 80);
}

static bool
is_stale(struct fx *f)
{
	return (px_judge(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 22).flags & SL_JUDGE_STALE) != 0;
}

static void
begin(struct fx *f, const char *doc)
{
	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	px_load(f, doc);
}

/* --- at once -------------------------------------------------------------------------------------
 */

static void
test_put_and_del(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", 0), net;
	uint64_t generation;

	begin(f, TWO);
	assert_false(eng(f));
	put(f, "eng", &m, false);
	assert_true(eng(f));
	generation = sl_gw_generation(f->gw);
	put(f, "eng", &m, false); /* the same: nothing happens */
	assert_int_equal(sl_gw_generation(f->gw), generation);
	assert_int_equal(sl_gw_fed_count(f->gw), 1);
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &m, false), 0);
	assert_false(eng(f));
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &m, false), -ENOENT);
	net = px_member(NULL, "10.7.0.0/24", "wg0", 0);
	put(f, "eng", &net, false);
	assert_true(eng(f));
	m = px_member(NULL, "10.7.0.0/16", "", 0);
	fx_refused(f, sl_gw_fed_put(f->gw, "eng", &m, false, &f->e), -EINVAL,
		   "any_interface_is_tunnel", "/member");
}

/* Beside an equal member that role.member.add gave: each goes for itself. */
static void
test_beside(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", 0);

	begin(f, TWO);
	put(f, "eng", &m, false);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &m, &f->e), 0);
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &m, false), 0);
	assert_true(eng(f));
	put(f, "eng", &m, false);
	assert_int_equal(sl_gw_member_del(f->gw, "eng", &m, &f->e), 0);
	assert_true(eng(f));
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &m, false), 0);
	assert_false(eng(f));
}

/* The peer's own object and a mapping of it may give the same role: each goes for itself too. */
static void
test_two_origins(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member own = px_member("alice", NULL, "", 0), map = own;

	own.source = SL_SOURCE_STATIC;
	begin(f, TWO);
	put(f, "eng", &own, false);
	put(f, "eng", &map, false);
	assert_int_equal(sl_gw_fed_count(f->gw), 2);
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &own, false), 0);
	assert_true(eng(f));
	assert_int_equal(sl_gw_fed_del(f->gw, "eng", &map, false), 0);
	assert_false(eng(f));
}

/* Roles and peers may come after their member; what a load knows of members holds after it. */
static void
test_order(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", 0);

	put(f, "eng", &m, false);
	px_load(f, TWO);
	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	assert_true(eng(f));
	px_load(f, "{\"version\":3}");
	assert_false(eng(f));
	px_load(f, TWO);
	assert_true(eng(f));
}

static void
test_expires(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", f->wall_ns + 10 * S);

	begin(f, TWO);
	put(f, "eng", &m, false);
	px_advance(f, 9);
	assert_true(eng(f));
	m.expires_ns = f->wall_ns + 4 * S;
	put(f, "eng", &m, false);
	px_advance(f, 3);
	assert_true(eng(f));
	px_advance(f, 2);
	assert_false(eng(f));
	m.expires_ns = 0;
	put(f, "eng", &m, false);
	assert_true(eng(f));
}

/* --- together with a policy ----------------------------------------------------------------------
 */

static void
load_staged(struct fx *f, const char *text)
{
	struct sl_gw_policy_load with = {.staged = true};

	assert_int_equal(px_submit(f, text, &with), 0);
}

static void
test_staged(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", 0);
	uint64_t generation;

	begin(f, TWO);
	put(f, "guest", &m, false);
	assert_true(guest(f));
	put(f, "eng", &m, true);
	assert_int_equal(sl_gw_fed_del(f->gw, "guest", &m, true), 0);
	sl_gw_poll(f->gw);
	assert_false(eng(f));
	assert_true(guest(f));
	generation = sl_gw_generation(f->gw);
	load_staged(f, STRICT);
	assert_int_equal(px_last_rc, 0);
	assert_int_equal(sl_gw_generation(f->gw), generation + 1); /* one root for all of it */
	assert_true(eng(f));
	assert_int_equal(sl_gw_fed_count(f->gw), 1);
	assert_int_equal(sl_gw_fed_del(f->gw, "guest", &m, false), -ENOENT);
}

static void
test_cancel(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = px_member("alice", NULL, "", 0), longer = m, is;

	begin(f, TWO);
	m.expires_ns = f->wall_ns + 100 * S;
	put(f, "guest", &m, false);
	put(f, "eng", &longer, true);
	put(f, "guest", &longer, true); /* replaces */
	load_staged(f, "{\"version\":9,\"rules\":[{\"id\":1,\"role\":\"no\"}]}");
	assert_true(px_last_rc != 0);
	assert_true(guest(f));
	sl_gw_fed_cancel(f->gw);
	assert_false(eng(f));
	assert_true(guest(f));
	assert_int_equal(sl_gw_fed_count(f->gw), 1);
	assert_true(sl_gw_fed_find(f->gw, "guest", &longer, &is));
	assert_true(is.expires_ns == m.expires_ns);
	assert_false(sl_gw_fed_find(f->gw, "eng", &longer, &is));
	px_load(f, TWO);
	assert_false(eng(f));
	assert_true(guest(f));
}

/* Changes while the helper compiles: many, so that the members are entered in several turns. */
static void
test_changes_meanwhile(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m, a = px_member("alice", NULL, "", 0);
	char prefix[32];
	unsigned i, turns = 0;

	f->conf.lockstep = false;
	fx_close(f); /* lockstep is of the gateway: start it anew, with its helper */
	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	i = px_n_done;
	load_staged(f, TWO);
	while (px_n_done == i)
		sl_gw_poll(f->gw);
	for (i = 0; i < 3000; i++) {
		snprintf(prefix, sizeof(prefix), "10.%u.%u.0/24", 100 + i / 250, i % 250);
		m = px_member(NULL, prefix, "wg0", 0);
		put(f, "guest", &m, false);
	}
	put(f, "eng", &a, true);
	i = px_n_done;
	load_staged(f, STRICT);
	while (px_n_done == i) {
		sl_gw_poll(f->gw);
		snprintf(prefix, sizeof(prefix), "10.%u.%u.0/24", 100 + turns / 250 % 12,
			 turns % 250);
		m = px_member(NULL, prefix, "wg0", 0);
		sl_gw_fed_del(f->gw, "guest", &m, false);
		if (turns % 3 == 0)
			put(f, "guest", &m, false);
		turns++;
	}
	assert_int_equal(px_last_rc, 0);
	assert_true(eng(f));
	for (i = 0; i < 3000; i++) {
		bool there = i >= turns || i % 3 == 0;

		snprintf(prefix, sizeof(prefix), "10.%u.%u.9", 100 + i / 250, i % 250);
		if (turns <= 3000 && px_allows(f, "wg0", 0, prefix, "10.20.0.10", 80) != there)
			fail_msg("%s after %u turns", prefix, turns);
	}
}

/* --- identity providers --------------------------------------------------------------------------
 */

static void
down(struct fx *f, uint64_t since, uint64_t grace_s)
{
	struct sl_gw_provider p = {"corp", since};

	assert_int_equal(sl_gw_providers_set(f->gw, &p, since != 0, 0, grace_s * S), 0);
	sl_gw_poll(f->gw);
}

/* Down before the member expires: served for the grace time, marked. */
static void
test_served_stale(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = idp("alice", f->wall_ns + 10 * S);

	begin(f, TWO);
	put(f, "eng", &m, false);
	down(f, f->wall_ns, 100);
	assert_true(eng(f));
	assert_false(is_stale(f));
	px_advance(f, 11);
	assert_true(eng(f));
	assert_true(is_stale(f));
	px_advance(f, 97);
	assert_true(eng(f));
	px_advance(f, 4);
	assert_false(eng(f));
}

/* It answers again and did not renew: over at once. */
static void
test_up_again(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = idp("alice", f->wall_ns + 10 * S);

	begin(f, TWO);
	put(f, "eng", &m, false);
	down(f, f->wall_ns, 0); /* without end */
	px_advance(f, 3600);
	assert_true(is_stale(f));
	down(f, 0, 0);
	assert_false(eng(f));
	m.expires_ns = f->wall_ns + 100 * S;
	put(f, "eng", &m, false);
	assert_true(eng(f));
	assert_false(is_stale(f));
}

/* It went down after the member had expired: that is no reason to serve it. */
static void
test_down_later(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = idp("alice", f->wall_ns + 10 * S);

	begin(f, TWO);
	put(f, "eng", &m, false);
	px_advance(f, 11);
	assert_false(eng(f));
	down(f, f->wall_ns, 100);
	px_advance(f, 2);
	assert_false(eng(f));
	/* nor does another provider's fault */
	m = idp("alice", f->wall_ns + 10 * S);
	snprintf(m.provider, sizeof(m.provider), "other");
	put(f, "eng", &m, false);
	px_advance(f, 11);
	assert_false(eng(f));
}

static void
test_role_denies(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member m = idp("alice", f->wall_ns + 10 * S);

	begin(f, STRICT);
	put(f, "eng", &m, false);
	put(f, "guest", &m, false);
	down(f, f->wall_ns, 100);
	px_advance(f, 11);
	assert_false(eng(f));
	assert_true(guest(f));
}

/* Nothing is known of any provider; other members end on time. */
static void
test_all_down(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member a = idp("alice", f->wall_ns + 10 * S);
	struct sl_pol_member b = px_member("alice", NULL, "", f->wall_ns + 10 * S);

	begin(f, TWO);
	put(f, "eng", &a, false);
	put(f, "guest", &b, false);
	assert_int_equal(sl_gw_providers_set(f->gw, NULL, 0, f->wall_ns, 100 * S), 0);
	px_advance(f, 11);
	assert_true(is_stale(f));
	assert_int_equal(px_judge(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 80).role, 0); /* eng */
	/* a load in between keeps it */
	px_load(f, TWO);
	assert_true(is_stale(f));
	assert_int_equal(sl_gw_providers_set(f->gw, NULL, 0, 0, 100 * S), 0);
	sl_gw_poll(f->gw);
	assert_false(eng(f));
}

/* A member of the document itself. */
static void
test_of_document(void **state)
{
	struct fx *f = *state;
	char text[1024];

	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	snprintf(text, sizeof(text),
		 "{\"version\":1," ZONES "\"roles\":{\"eng\":{\"members\":[{\"peer\":\"alice\","
		 "\"expires\":\"%s\",\"source\":{\"type\":\"idp\",\"provider\":\"corp\",\"user\":"
		 "\"u\"}}]},\"guest\":{}}," RULES,
		 px_at(f->wall_ns + 10 * S));
	px_load(f, text);
	down(f, f->wall_ns, 100);
	px_advance(f, 11);
	assert_true(is_stale(f));
	px_advance(f, 100);
	assert_false(eng(f));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_and_del, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_beside, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_two_origins, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_order, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_expires, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_staged, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_cancel, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_changes_meanwhile, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_served_stale, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_up_again, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_down_later, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_role_denies, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_all_down, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_of_document, px_setup, px_teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
