/* SPDX-License-Identifier: BSD-3-Clause */
/* Address plans: the networks of agents at three gateways, and clients' addresses, as written down
 * by hand. */
#include "sl_alloc.h"
#include "store_test.h"

static void
setup(struct fixture *f, unsigned gateways)
{
	struct sl_store_txn *t;
	char id[16], text[200];

	fixture_begin(f, SL_STORE_PRIMARY);
	t = begin(f);
	must_put(f, t, SL_KIND_INTERFACE, "wg0", "{}");
	for (unsigned k = 1; k <= gateways; k++) {
		snprintf(id, sizeof(id), "gw%u", k);
		must_put(f, t, SL_KIND_GATEWAY, id, "{'interfaces': ['wg0']}");
		snprintf(id, sizeof(id), "gw%u:wg0", k);
		snprintf(text, sizeof(text), "{'gateway': 'gw%u', 'interface': 'wg0', 'index': %u}",
			 k, k);
		must_put(f, t, SL_KIND_GATEWAY_INTERFACE, id, text);
	}
	must_commit(f, t);
}

/** As the server does: network, peer, gateways' addresses, one transaction. */
static int
add_agent(struct fixture *f, struct sl_store_txn *t, const char *name, unsigned n,
	  struct sl_prefix *net)
{
	char text[PEER_TEXT], key[SL_KEY_B64_LEN + 1], prefix[SL_PREFIX_STR];
	bool vpn;
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_alloc_agent(t, SL_ALLOC_AGENTS, "wg0", net, &vpn, &f->e);
	if (rc < 0)
		return rc;
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['%s']}", key_of(n, key),
		 sl_prefix_str(net, prefix));
	must_put(f, t, SL_KIND_PEER, name, text);
	return sl_alloc_gateways(t, "wg0", net, name, &f->e);
}

static void
must_have(struct fixture *f, const char *gateway, const char *want)
{
	json_t *body = NULL, *list = quoted(want);

	assert_int_equal(sl_store_get(f->s, SL_KIND_GATEWAY_INTERFACE, gateway, NULL, &body), 0);
	if (!json_equal(json_object_get(body, "addresses"), list))
		fail_msg("%s has %s, not %s", gateway,
			 json_dumps(json_object_get(body, "addresses"), 0), want);
	json_decref(body);
	json_decref(list);
}

/** Agents A, B and C at gateways 1, 2 and 3: .100 and .1 to .3 of 10.1.0.0/24, 10.2.0.0/24,
 * 10.3.0.0/24. */
static void
test_default_plan(void **state)
{
	static const char *const names[] = {"a", "b", "c"};
	static const char *const nets[] = {"10.1.0.0/24", "10.2.0.0/24", "10.3.0.0/24"};
	static const char *const agents[] = {"10.1.0.100", "10.2.0.100", "10.3.0.100"};
	struct fixture f;
	struct sl_store_txn *t;
	struct sl_prefix net;
	struct sl_ip ip;
	char text[SL_PREFIX_STR];

	setup(&f, 3);
	for (unsigned i = 0; i < 3; i++) {
		t = begin(&f);
		assert_int_equal(add_agent(&f, t, names[i], i, &net), 0);
		must_commit(&f, t);
		assert_string_equal(sl_prefix_str(&net, text), nets[i]);
		assert_int_equal(sl_alloc_host(&net, SL_ALLOC_AGENT_HOST, &ip, &f.e), 0);
		assert_string_equal(sl_ip_str(&ip, text), agents[i]);
	}
	must_have(&f, "gw1:wg0", "['10.1.0.1/24', '10.2.0.1/24', '10.3.0.1/24']");
	must_have(&f, "gw2:wg0", "['10.1.0.2/24', '10.2.0.2/24', '10.3.0.2/24']");
	must_have(&f, "gw3:wg0", "['10.1.0.3/24', '10.2.0.3/24', '10.3.0.3/24']");
	/* B goes; its network is the next one's */
	del_one(&f, SL_KIND_PEER, "b");
	must_have(&f, "gw2:wg0", "['10.1.0.2/24', '10.3.0.2/24']");
	assert_int_equal(sl_store_get(f.s, SL_KIND_ALLOCATION, "gw2:wg0:10.2.0.2", NULL, NULL),
			 -ENOENT);
	t = begin(&f);
	assert_int_equal(add_agent(&f, t, "d", 9, &net), 0);
	must_commit(&f, t);
	assert_string_equal(sl_prefix_str(&net, text), "10.2.0.0/24");
	must_have(&f, "gw2:wg0", "['10.1.0.2/24', '10.3.0.2/24', '10.2.0.2/24']");
	must_verify(&f);
	fixture_end(&f);
}

/** A peer beside others: by hand in an agent's network. */
static void
put_peer(struct fixture *f, const char *name, unsigned n, const char *allowed)
{
	char text[PEER_TEXT], key[SL_KEY_B64_LEN + 1];
	struct sl_store_txn *t = begin(f);

	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['%s']}", key_of(n, key),
		 allowed);
	must_put(f, t, SL_KIND_PEER, name, text);
	assert_int_equal(sl_alloc_keep(t, name, &f->e), 0);
	must_commit(f, t);
}

static void
must_be_for(struct fixture *f, const char *id, const char *peer)
{
	json_t *body = NULL;

	assert_int_equal(sl_store_get(f->s, SL_KIND_ALLOCATION, id, NULL, &body), 0);
	assert_string_equal(json_string_value(json_object_get(body, "peer")), peer);
	json_decref(body);
}

/** The gateways' addresses go with the last peer of a network, and only those that it brought. */
static void
test_last_of_network(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	struct sl_prefix net;

	setup(&f, 2);
	put_one(&f, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0",
		"{'gateway': 'gw1', 'interface': 'wg0', 'index': 1, "
		"'addresses': ['10.7.0.1/24', '10.9.0.1/24']}");
	t = begin(&f);
	assert_int_equal(add_agent(&f, t, "a", 1, &net), 0);
	must_commit(&f, t);
	must_be_for(&f, "gw1:wg0:10.1.0.1", "a");
	put_peer(&f, "b", 2, "10.1.0.101/32");
	put_peer(&f, "c", 3, "10.7.0.5/32");
	put_peer(&f, "a", 1, "10.1.0.102/32"); /* another address there: nothing changes */
	must_be_for(&f, "gw2:wg0:10.1.0.2", "a");
	del_one(&f, SL_KIND_PEER, "a"); /* b is left */
	must_be_for(&f, "gw1:wg0:10.1.0.1", "b");
	must_have(&f, "gw1:wg0", "['10.7.0.1/24', '10.9.0.1/24', '10.1.0.1/24']");
	put_peer(&f, "b", 2, "10.9.0.3/32"); /* it leaves */
	must_have(&f, "gw1:wg0", "['10.7.0.1/24', '10.9.0.1/24']");
	must_have(&f, "gw2:wg0", "[]");
	assert_int_equal(sl_store_get(f.s, SL_KIND_ALLOCATION, "gw1:wg0:10.1.0.1", NULL, NULL),
			 -ENOENT);
	del_one(&f, SL_KIND_PEER, "b"); /* nobody was given 10.9.0.1 for it */
	must_have(&f, "gw1:wg0", "['10.7.0.1/24', '10.9.0.1/24']");
	/* a gateway goes before the agent does */
	t = begin(&f);
	assert_int_equal(add_agent(&f, t, "a", 1, &net), 0);
	must_commit(&f, t);
	del_one(&f, SL_KIND_GATEWAY, "gw2");
	del_one(&f, SL_KIND_PEER, "a");
	must_have(&f, "gw1:wg0", "['10.7.0.1/24', '10.9.0.1/24']");
	must_verify(&f);
	fixture_end(&f);
}

static void
fill(struct fixture *f, unsigned from, unsigned to, const char *last)
{
	struct sl_store_txn *t = begin(f);
	struct sl_prefix net = {0};
	char name[16], text[SL_PREFIX_STR];

	for (unsigned n = from; n <= to; n++) {
		snprintf(name, sizeof(name), "agent-%u", n);
		if (add_agent(f, t, name, n, &net) < 0)
			fail_msg("agent %u: %s", n, f->e.message);
	}
	must_commit(f, t);
	assert_string_equal(sl_prefix_str(&net, text), last);
}

static void
put_wide_pool(struct fixture *f)
{
	json_t *list = json_array(), *body;
	struct sl_store_txn *t = begin(f);
	char text[32];

	for (unsigned n = 1; n <= 254; n++) {
		snprintf(text, sizeof(text), "10.%u.0.0/16", n);
		json_array_append_new(list, json_string(text));
	}
	body = json_pack("{s:o, s:i, s:[s]}", "prefixes", list, "prefix_len", 24, "reserved",
			 "10.2.1.0/24");
	assert_int_equal(sl_store_put(t, SL_KIND_POOL, "agents", SL_REV_ANY, body, &f->e), 0);
	must_commit(f, t);
	json_decref(body);
}

/** 254 agents fit; the next one is told, and goes on with the wider pool where it began. */
static void
test_exhausted(void **state)
{
	struct fixture f;
	struct sl_prefix net;
	struct sl_store_txn *t;

	setup(&f, 1);
	fill(&f, 1, 254, "10.254.0.0/24");
	t = begin(&f);
	expect_fail(&f, add_agent(&f, t, "agent-255", 255, &net), -ENOSPC, "pool_exhausted");
	assert_non_null(strstr(f.e.message, "254"));
	assert_non_null(strstr(f.e.hint, "10.1.1.0/24"));
	sl_store_abort(t);
	put_wide_pool(&f);
	fill(&f, 255, 255, "10.1.1.0/24");
	fill(&f, 256, 256, "10.3.1.0/24"); /* 10.2.1.0/24 is reserved */
	must_verify(&f);
	fixture_end(&f);
}

static void
test_host(void **state)
{
	struct sl_prefix net;
	struct sl_error e;
	struct sl_ip ip;
	char text[SL_IP_STR];

	sl_prefix_parse("10.1.0.0/25", &net);
	assert_int_equal(sl_alloc_host(&net, 126, &ip, &e), 0);
	assert_string_equal(sl_ip_str(&ip, text), "10.1.0.126");
	assert_int_equal(sl_alloc_host(&net, 127, &ip, &e), -EINVAL);
	assert_int_equal(sl_alloc_host(&net, 0, &ip, &e), -EINVAL);
	sl_prefix_parse("fd00::ff00/120", &net);
	assert_int_equal(sl_alloc_host(&net, 255, &ip, &e), 0);
	assert_string_equal(sl_ip_str(&ip, text), "fd00::ffff");
	assert_int_equal(sl_alloc_host(&net, 256, &ip, &e), -EINVAL);
	sl_prefix_parse("10.1.0.9/32", &net);
	assert_int_equal(sl_alloc_host(&net, 1, &ip, &e), -EINVAL);
}

static void
set_pool(struct fixture *f, const char *id, unsigned k, const char *more)
{
	char text[300];

	snprintf(text, sizeof(text), "{'gateway': 'gw%u', 'interface': 'wg0', 'index': %u, %s}", k,
		 k, more);
	put_one(f, SL_KIND_GATEWAY_INTERFACE, id, text);
}

static int
add_client(struct fixture *f, const char *name, unsigned n, const char *want)
{
	struct sl_store_txn *t = begin(f);
	json_t *addresses = json_object(), *body, *expect;
	char key[SL_KEY_B64_LEN + 1];
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_alloc_client(t, "wg0", addresses, &f->e);
	if (rc < 0) {
		json_decref(addresses);
		sl_store_abort(t);
		return rc;
	}
	expect = quoted(want);
	if (!json_equal(addresses, expect))
		fail_msg("%s has %s, not %s", name, json_dumps(addresses, 0), want);
	json_decref(expect);
	body = json_pack("{s:s, s:s, s:o}", "interface", "wg0", "public_key", key_of(n, key),
			 "addresses", addresses);
	assert_int_equal(sl_store_put(t, SL_KIND_PEER, name, SL_REV_NONE, body, &f->e), 0);
	assert_int_equal(sl_alloc_keep(t, name, &f->e), 0);
	json_decref(body);
	must_commit(f, t);
	return 0;
}

static void
test_clients(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	json_t *body = NULL;

	setup(&f, 3);
	set_pool(&f, "gw1:wg0", 1,
		 "'client_pool': ['10.71.0.0/29'], 'addresses': ['10.71.0.1/29']");
	set_pool(&f, "gw2:wg0", 2, "'client_pool': ['10.72.0.0/24', 'fd00:72::/64']");
	assert_int_equal(add_client(&f, "p1", 1,
				    "{'gw1': ['10.71.0.2/32'], 'gw2': "
				    "['10.72.0.1/32']}"),
			 0);
	assert_int_equal(add_client(&f, "p2", 2,
				    "{'gw1': ['10.71.0.3/32'], 'gw2': "
				    "['10.72.0.2/32']}"),
			 0);
	/* what was given back rests */
	del_one(&f, SL_KIND_PEER, "p1");
	assert_int_equal(sl_store_get(f.s, SL_KIND_ALLOCATION, "gw1:wg0:10.71.0.2", NULL, NULL),
			 -ENOENT);
	assert_int_equal(add_client(&f, "p3", 3,
				    "{'gw1': ['10.71.0.4/32'], 'gw2': "
				    "['10.72.0.3/32']}"),
			 0);
	/* somebody's network in the pool */
	put_one(&f, SL_KIND_PEER, "site",
		"{'interface': 'wg0', 'public_key': "
		"'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQA=', "
		"'allowed_ips': ['10.71.0.5/32', '10.72.0.0/28']}");
	assert_int_equal(add_client(&f, "p4", 4,
				    "{'gw1': ['10.71.0.6/32'], 'gw2': "
				    "['10.72.0.16/32']}"),
			 0);
	assert_int_equal(add_client(&f, "p5", 5,
				    "{'gw1': ['10.71.0.2/32'], 'gw2': "
				    "['10.72.0.17/32']}"),
			 0);
	expect_fail(&f, add_client(&f, "p6", 6, "{}"), -ENOSPC, "pool_exhausted");
	assert_string_equal(f.e.path, "/gateway_interface/gw1:wg0/client_pool");
	set_pool(&f, "gw1:wg0", 1,
		 "'client_pool': ['10.71.0.0/29', 'fd00:71::/64'], 'addresses': "
		 "['10.71.0.1/29']");
	assert_int_equal(add_client(&f, "p6", 6,
				    "{'gw1': ['fd00:71::1/128'], 'gw2': "
				    "['10.72.0.18/32']}"),
			 0);
	/* a gateway that comes later: only what is missing; what is taken away is free again */
	set_pool(&f, "gw3:wg0", 3, "'client_pool': ['10.73.0.0/24']");
	sl_store_get(f.s, SL_KIND_PEER, "p6", NULL, &body);
	json_object_del(json_object_get(body, "addresses"), "gw1");
	t = begin(&f);
	assert_int_equal(sl_store_put(t, SL_KIND_PEER, "p6", SL_REV_ANY, body, &f.e), 0);
	assert_int_equal(sl_alloc_keep(t, "p6", &f.e), 0);
	assert_int_equal(sl_store_txn_get(t, SL_KIND_ALLOCATION, "gw1:wg0:fd00:71::1", NULL, NULL),
			 -ENOENT);
	assert_int_equal(sl_alloc_client(t, "wg0", json_object_get(body, "addresses"), &f.e), 0);
	{
		json_t *want = quoted("{'gw1': ['fd00:71::1/128'], 'gw2': ['10.72.0.18/32'], "
				      "'gw3': ['10.73.0.1/32']}");

		assert_true(json_equal(json_object_get(body, "addresses"), want));
		json_decref(want);
	}
	sl_store_abort(t);
	json_decref(body);
	must_verify(&f);
	fixture_end(&f);
}

/** Agents that were made before any gateway: the first one with an index gets its address in their
 * networks, and in no others. */
static void
test_late_gateway(void **state)
{
	struct sl_store_txn *t;
	json_t *body = NULL;
	struct fixture f;

	setup(&f, 0);
	put_peer(&f, "a", 1, "10.1.0.100/32");
	put_one(&f, SL_KIND_PEER, "r",
		"{'interface': 'wg0', 'subnet_router': true, 'allowed_ips': ['10.2.0.0/24'], "
		"'public_key': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAQA='}");
	put_peer(&f, "site", 3, "10.3.0.0/24");	   /* no router of the plan */
	put_peer(&f, "other", 4, "10.4.0.7/32");   /* no agent's number */
	put_peer(&f, "crowd", 5, "10.5.0.100/32"); /* not alone there */
	put_peer(&f, "crowd2", 6, "10.5.0.1/32");
	put_peer(&f, "far", 7, "172.16.0.100/32"); /* not in the plan */
	t = begin(&f);
	must_put(&f, t, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0']}");
	must_put(&f, t, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0",
		 "{'gateway': 'gw1', 'interface': 'wg0'}");
	assert_int_equal(sl_alloc_join(t, "gw1:wg0", &f.e), 0);
	must_commit(&f, t);
	assert_int_equal(sl_store_get(f.s, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0", NULL, &body), 0);
	assert_null(json_object_get(body, "addresses"));
	json_decref(body);
	t = begin(&f);
	must_put(&f, t, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0",
		 "{'gateway': 'gw1', 'interface': 'wg0', 'index': 9}");
	assert_int_equal(sl_alloc_join(t, "gw1:wg0", &f.e), 0);
	must_commit(&f, t);
	must_have(&f, "gw1:wg0", "['10.1.0.9/24', '10.2.0.9/24']");
	must_be_for(&f, "gw1:wg0:10.1.0.9", "a");
	del_one(&f, SL_KIND_PEER, "a");
	must_have(&f, "gw1:wg0", "['10.2.0.9/24']");
	must_verify(&f);
	fixture_end(&f);
}

static void
try_pool(struct fixture *f, const char *gi, unsigned k, const char *more, const char *reason)
{
	struct sl_store_txn *t = begin(f);
	char text[300];

	snprintf(text, sizeof(text), "{'gateway': 'gw1', 'interface': 'wg0', 'index': %u%s}", k,
		 more);
	if (reason != NULL)
		expect_fail(f, put(f, t, SL_KIND_GATEWAY_INTERFACE, gi, text), -EBUSY, reason);
	else
		must_put(f, t, SL_KIND_GATEWAY_INTERFACE, gi, text);
	sl_store_abort(t);
}

/** What addresses were given by does not change under those who have them. */
static void
test_renumber(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	struct sl_prefix net;

	setup(&f, 1);
	try_pool(&f, "gw1:wg0", 4, "", NULL); /* nobody has one yet */
	t = begin(&f);
	assert_int_equal(add_agent(&f, t, "a", 1, &net), 0);
	must_commit(&f, t);
	try_pool(&f, "gw1:wg0", 4, ", 'addresses': ['10.1.0.1/24']", "index_in_use");
	assert_string_equal(f.e.path, "/index");
	assert_non_null(strstr(f.e.message, "10.1.0.1"));
	try_pool(&f, "gw1:wg0", 1, ", 'endpoint': '192.0.2.1:51820'", NULL);
	del_one(&f, SL_KIND_PEER, "a");
	try_pool(&f, "gw1:wg0", 4, "", NULL);

	set_pool(&f, "gw1:wg0", 1, "'client_pool': ['10.71.0.0/29', '10.72.0.0/29']");
	assert_int_equal(add_client(&f, "p1", 1, "{'gw1': ['10.71.0.1/32']}"), 0);
	try_pool(&f, "gw1:wg0", 1, ", 'client_pool': ['10.72.0.0/29']", "pool_in_use");
	assert_string_equal(f.e.path, "/client_pool");
	assert_non_null(strstr(f.e.message, "10.71.0.1"));
	try_pool(&f, "gw1:wg0", 1, "", "pool_in_use");
	try_pool(&f, "gw1:wg0", 1, ", 'client_pool': ['10.71.0.0/24']", NULL);
	try_pool(&f, "gw1:wg0", 1, ", 'client_pool': ['10.71.0.0/29']", NULL); /* nobody of 10.72 */
	try_pool(&f, "gw1:wg0", 4, ", 'client_pool': ['10.71.0.0/29']",
		 NULL); /* clients have no index */
	del_one(&f, SL_KIND_PEER, "p1");
	try_pool(&f, "gw1:wg0", 1, "", NULL);
	must_verify(&f);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_plan), cmocka_unit_test(test_last_of_network),
		cmocka_unit_test(test_exhausted),    cmocka_unit_test(test_host),
		cmocka_unit_test(test_clients),	     cmocka_unit_test(test_late_gateway),
		cmocka_unit_test(test_renumber),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
