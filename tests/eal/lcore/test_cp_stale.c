/* SPDX-License-Identifier: BSD-3-Clause */
/* What fails open and what fails closed: the rows of the table in docs/control-plane.md that a
 * gateway decides; and what it reports. */
#include "cp_fixture.h"
#include "sl_gw_policy.h"

#define HOUR 3600

static void
heartbeat(void)
{
	struct sl_hash_sum sum;

	sl_replica_sum(cx.cp->r, &sum);
	assert_true(cp_sub_ops.heartbeat(cx.cp, cx.cp->seq, cx.cp->seq, &sum, cx.f->wall_ns));
}

static void
begin(void)
{
	cx_snapshot(10, CX_BASE);
	cx_acked();
	heartbeat();
}

/* Time goes on, a source is heard or not. */
static void
pass(unsigned seconds, bool heard)
{
	for (unsigned i = 0; i < seconds; i += 5) {
		cx_advance(SL_MIN(5U, seconds - i));
		if (heard)
			heartbeat();
	}
	cx_turns(100);
}

static void
leap(unsigned seconds)
{
	cx.f->now_ns += seconds * S;
	cx.f->wall_ns += seconds * S;
	cx_advance(2);
}

static bool
enabled(const char *name)
{
	struct sl_gw_peer_info i;

	return cx_peer(name, &i) && i.enabled;
}

static void
map_bob(unsigned seq, const char *source, uint64_t expires_ns)
{
	char op[400];

	snprintf(op, sizeof(op),
		 "{'op':'put','kind':'role_map','id':'guest:peer:bob','rev':1,'obj':{'role':"
		 "'guest','member':'peer:bob','interface':'wg0','expires_at':'%s','source':%s}}",
		 px_at(expires_ns), source);
	cx_txn(seq, op);
	cx_acked();
}

#define IDP "{'type':'idp','provider':'corp','user':'u'}"
#define DYNAMIC "{'type':'dynamic','reason':'r'}"

static bool
bob_is_guest(void)
{
	return cx_allows(2, "10.7.0.3", 80);
}

static bool
bob_is_stale(void)
{
	return (px_judge(cx.f, "wg0", 2, "10.7.0.3", "10.20.0.10", 80).flags & SL_JUDGE_STALE) != 0;
}

static bool
find_state(void *ctx, const char *role, const struct sl_pol_member *m, enum sl_gw_giver giver)
{
	if (giver == SL_GIVER_CONTROL && strcmp(m->peer, "bob") == 0)
		*(const char **)ctx =
			sl_gw_member_state_text(sl_gw_member_state(cx.f->gw, role, m));
	return true;
}

/** As role.members shows it. */
static const char *
bob_state(void)
{
	const char *state = "(none)";

	sl_gw_member_walk(cx.f->gw, find_state, &state);
	return state;
}

/* --- the control plane is silent -----------------------------------------------------------------
 */

/* Who is known goes on connecting; nobody is denied anything for the silence alone. */
static void
test_silence_serves(void **state)
{
	begin();
	leap(23 * HOUR);
	assert_true(cx.cp->silent);
	assert_false(cx.cp->stale);
	leap(2 * HOUR);
	assert_true(cx.cp->stale);
	assert_true(enabled("alice"));
	assert_true(enabled("bob"));
	assert_true(cx_allows(1, "10.7.0.2", 22));
	heartbeat();
	cx_turns(100);
	assert_false(cx.cp->stale);
	assert_false(cx.cp->silent);
}

/* What ends, ends: peers and mappings expire without a control plane. */
static void
test_silence_expires(void **state)
{
	begin();
	map_bob(11, DYNAMIC, cx.f->wall_ns + 100 * S);
	assert_true(bob_is_guest());
	pass(99, false);
	assert_true(bob_is_guest());
	pass(2, false);
	assert_true(cx.cp->silent);
	assert_false(bob_is_guest());
}

/* deny-new: who has a session keeps it, nobody else gets in. */
static void
test_deny_new(void **state)
{
	cx.config.on_stale = SL_STALE_DENY_NEW;
	begin();
	leap(25 * HOUR);
	cx_handshake(1);
	assert_false(enabled("bob"));
	cx_txn(11, "{'op':'put','kind':'peer','id':'alice','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%1','allowed_ips':['10.7.0.2/32'],'roles':['eng']}}");
	pass(2, false);
	assert_true(enabled("alice")); /* heard again */
	assert_true(enabled("bob"));
	cx_handshake(1);
	cx.f->now_ns += 25 * HOUR * S; /* the wall clock stands: the session is fresh */
	pass(4, false);
	assert_true(cx.cp->stale);
	assert_true(enabled("alice"));
	assert_false(enabled("bob"));
	pass(200, false); /* it ended */
	assert_false(enabled("alice"));
	heartbeat();
	cx_turns(100);
	assert_true(enabled("alice"));
	assert_true(enabled("bob"));
}

static void
test_deny(void **state)
{
	cx.config.on_stale = SL_STALE_DENY;
	begin();
	cx_handshake(1);
	cx.f->now_ns += 25 * HOUR * S;
	pass(4, false);
	assert_false(enabled("alice"));
	assert_false(enabled("bob"));
	heartbeat();
	cx_turns(100);
	assert_true(enabled("alice"));
}

/* A peer that is suspended stays so when the silence ends. */
static void
test_suspended_stays(void **state)
{
	cx.config.on_stale = SL_STALE_DENY;
	begin();
	cx_txn(11, "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'enabled':false}}");
	leap(25 * HOUR);
	heartbeat();
	cx_turns(100);
	assert_true(enabled("alice"));
	assert_false(enabled("bob"));
}

/* --- restart without a control plane -------------------------------------------------------------
 */

static void
test_restart_cache(void **state)
{
	begin();
	cx_restart();
	leap(4);
	assert_true(enabled("alice"));
	assert_true(cx.cp->stale_config);
}

/* Silence goes on where it was: a restart is no news of the control plane. */
static void
test_restart_keeps_silence(void **state)
{
	cx.config.on_stale = SL_STALE_DENY;
	begin();
	leap(23 * HOUR);
	cx_stop();
	cx_start();
	cx_restart();
	leap(4);
	assert_true(enabled("alice"));
	leap(2 * HOUR);
	assert_true(cx.cp->stale);
	assert_false(enabled("alice"));
}

static void
test_restart_closed(void **state)
{
	begin();
	cx.config.boot_cache = false;
	cx_restart();
	leap(4);
	assert_int_equal(cx.cp->n_peers, 0);
	{
		json_t *list = json_array();

		sl_cp_problems(cx.cp, list);
		assert_true(json_array_size(list) > 0);
		json_decref(list);
	}
}

/* --- identity providers --------------------------------------------------------------------------
 */

static void
provider(unsigned seq, bool down, uint64_t since)
{
	char op[200];

	snprintf(op, sizeof(op),
		 "{'op':'put','kind':'provider','id':'corp','rev':1,'obj':{'state':'%s','since':"
		 "'%s'}}",
		 down ? "down" : "up", px_at(since));
	cx_txn(seq, op);
	cx_acked();
	cx_turns(100);
}

static void
test_idp_down(void **state)
{
	begin();
	map_bob(11, IDP, cx.f->wall_ns + 100 * S);
	provider(12, true, cx.f->wall_ns);
	pass(99, true);
	assert_false(bob_is_stale());
	assert_string_equal(bob_state(), "active");
	pass(3, true);
	assert_true(bob_is_guest());
	assert_true(bob_is_stale());
	assert_string_equal(bob_state(), "stale");
	/* an answer counts at once: not renewed */
	provider(13, false, cx.f->wall_ns);
	assert_false(bob_is_guest());
	assert_string_equal(bob_state(), "expired");
}

static void
test_idp_grace(void **state)
{
	cx.config.idp_grace_h = 1;
	begin();
	map_bob(11, IDP, cx.f->wall_ns + 100 * S);
	provider(12, true, cx.f->wall_ns);
	pass(102, true);
	assert_true(bob_is_stale());
	cx.f->now_ns += (HOUR - 10) * S;
	cx.f->wall_ns += (HOUR - 10) * S;
	heartbeat();
	cx_advance(2);
	assert_true(bob_is_stale());
	pass(15, true);
	assert_false(bob_is_guest());
}

/* Up: a mapping that is not renewed ends on time. */
static void
test_idp_up(void **state)
{
	begin();
	provider(11, false, cx.f->wall_ns);
	map_bob(12, IDP, cx.f->wall_ns + 100 * S);
	pass(99, true);
	assert_true(bob_is_guest());
	pass(3, true);
	assert_false(bob_is_guest());
}

/* A minute of silence: nothing is known of any provider. */
static void
test_idp_unknown(void **state)
{
	begin();
	map_bob(11, IDP, cx.f->wall_ns + 100 * S);
	pass(102, false);
	assert_true(bob_is_guest());
	assert_true(bob_is_stale());
	heartbeat();
	cx_turns(100);
	assert_false(bob_is_guest());
}

static void
test_idp_role_denies(void **state)
{
	begin();
	cx_txn(11, "{'op':'put','kind':'policy','id':'policy','rev':2,'obj':{'version':6}},"
		   "{'op':'put','kind':'role','id':'guest','rev':2,'obj':{'id':2,'on_idp_down':"
		   "'deny'}}");
	cx_acked();
	map_bob(12, IDP, cx.f->wall_ns + 100 * S);
	provider(13, true, cx.f->wall_ns);
	pass(99, true);
	assert_true(bob_is_guest());
	pass(3, true);
	assert_false(bob_is_guest());
}

/* Disabled at the provider: an answer, which the control plane carries out, stale or not. */
static void
test_idp_says_no(void **state)
{
	begin();
	map_bob(11, IDP, cx.f->wall_ns + 100 * S);
	provider(12, true, cx.f->wall_ns);
	pass(102, true);
	assert_true(bob_is_stale());
	cx_txn(13, "{'op':'del','kind':'role_map','id':'guest:peer:bob','rev':2}");
	assert_false(bob_is_guest());
}

/* --- policy -------------------------------------------------------------------------------------
 */

/* A role that nobody knows: no access, and no error. */
static void
test_unknown_role(void **state)
{
	begin();
	cx_txn(11, "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'roles':['nobody']}}");
	cx_acked();
	assert_int_equal(px_judge(cx.f, "wg0", 2, "10.7.0.3", "10.20.0.10", 80).why,
			 SL_WHY_NO_ROLE);
}

/* --- clocks --------------------------------------------------------------------------------------
 */

/* The wall clock steps: what ends on it is counted anew, silence is not. */
static void
test_wall_step(void **state)
{
	begin();
	map_bob(11, DYNAMIC, cx.f->wall_ns + 1000 * S);
	cx.f->wall_ns += 900 * S;
	cx_advance(2);
	assert_false(cx.cp->silent);
	assert_true(bob_is_guest());
	pass(99, true);
	assert_false(bob_is_guest());
}

/* --- what goes up --------------------------------------------------------------------------------
 */

static json_t *
call(unsigned i, const char *method)
{
	json_t *c = json_array_get(cx.calls, i);

	assert_non_null(c);
	assert_string_equal(json_string_value(json_object_get(c, "method")), method);
	return json_object_get(c, "params");
}

static void
traffic(unsigned key, unsigned bytes)
{
	struct sl_pubkey pk = fx_key(key);
	struct sl_gw_peer_info i;
	struct sl_peer *p;

	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &pk, &i), 0);
	p = sl_peer_get(cx.f->dp->peers, i.id);
	atomic_fetch_add_explicit(&p->rx_bytes, bytes, memory_order_relaxed);
	atomic_store_explicit(&p->tick_data_rx, sl_tick_of(cx.f->now_ns), memory_order_relaxed);
}

static void
test_report(void **state)
{
	json_t *p, *iface, *peer;
	char *text;

	begin();
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_turns(100);
	p = call(0, "gateway.register");
	assert_string_equal(json_string_value(json_object_get(p, "boot")), "b00t");
	iface = json_array_get(json_object_get(p, "interfaces"), 0);
	assert_string_equal(json_string_value(json_object_get(iface, "interface")), "wg0");
	assert_int_equal(json_string_length(json_object_get(iface, "public_key")), 44);
	p = call(1, "stats.report");
	assert_true(json_is_true(json_object_get(p, "full")));
	assert_int_equal(json_array_size(json_object_get(p, "peers")), 0);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(p, "state"), "seq")),
			 10);
	/* only who had traffic, ages, no address */
	traffic(1, 1000);
	{
		struct sl_pubkey pk = fx_key(1);
		struct sl_gw_peer_spec s = {.iface = "wg0",
					    .public_key = pk,
					    .fields = SL_PF_ENDPOINT,
					    .endpoint = {fx_ip("203.0.113.77"), 5555}};

		assert_int_equal(sl_gw_peer_set(cx.f->gw, &s, &cx.f->e), 0);
	}
	pass(10, true);
	p = call(2, "stats.report");
	assert_false(json_is_true(json_object_get(p, "full")));
	assert_int_equal(json_array_size(json_object_get(p, "peers")), 1);
	peer = json_array_get(json_object_get(p, "peers"), 0);
	assert_string_equal(json_string_value(json_object_get(peer, "id")), "alice");
	assert_int_equal(json_integer_value(json_object_get(peer, "data_rx")), 1000);
	assert_true(json_integer_value(json_object_get(peer, "data_age_s")) <= 10);
	assert_true(json_is_null(json_object_get(peer, "handshake_age_s")));
	text = json_dumps(cx.calls, 0);
	assert_null(strstr(text, "203.0.113"));
	free(text);
	pass(10, true);
	assert_int_equal(json_array_size(json_object_get(call(3, "stats.report"), "peers")), 0);
}

/* Keys that live in memory alone: not ready until they are told. */
static void
test_key_unpublished(void **state)
{
	struct sl_gw_iface_spec s = {.name = "wg0",
				     .fields = SL_IF_KEY,
				     .key_source = SL_KEY_MEMORY};
	json_t *list = json_array();

	assert_int_equal(sl_gw_iface_set(cx.f->gw, &s, &cx.f->e), 0);
	begin();
	cx.call_answer = -EBUSY;
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_turns(100);
	sl_cp_problems(cx.cp, list);
	assert_non_null(strstr(json_string_value(json_array_get(list, 0)), "key_unpublished"));
	cx.call_answer = 0;
	pass(6, true);
	json_array_clear(list);
	sl_cp_problems(cx.cp, list);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

static void
test_status(void **state)
{
	json_t *o;

	begin();
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_turns(100);
	o = sl_cp_status(cx.cp);
	assert_true(json_is_true(json_object_get(o, "connected")));
	assert_string_equal(json_string_value(json_object_get(o, "source")), "cp.example.net:7444");
	assert_int_equal(json_integer_value(json_object_get(o, "seq")), 10);
	assert_int_equal(json_integer_value(json_object_get(o, "lag")), 0);
	assert_false(json_is_true(json_object_get(o, "refuses")));
	json_decref(o);
	cx_txn(11, "{'op':'put','kind':'peer','id':'zoe','rev':1,'obj':{'interface':'wg0',"
		   "'public_key':'%3','moon':1}}");
	o = sl_cp_status(cx.cp);
	assert_true(json_is_true(json_object_get(o, "refuses")));
	assert_string_equal(json_string_value(
				    json_object_get(json_object_get(o, "refused"), "code")),
			    "field_unknown");
	json_decref(o);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, cx_setup, cx_teardown)
#define TS(name) cmocka_unit_test_setup_teardown(test_##name, cx_setup_state, cx_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(silence_serves),
		T(silence_expires),
		T(deny_new),
		T(deny),
		T(suspended_stays),
		TS(restart_cache),
		TS(restart_keeps_silence),
		TS(restart_closed),
		T(idp_down),
		T(idp_grace),
		T(idp_up),
		T(idp_unknown),
		T(idp_role_denies),
		T(idp_says_no),
		T(unknown_role),
		T(wall_step),
		T(report),
		T(key_unpublished),
		T(status),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
