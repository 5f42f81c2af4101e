/* SPDX-License-Identifier: BSD-3-Clause */
/* The zone of agents' networks: it comes, follows and goes with agents, gateways and the document,
 * in their transactions, and is nobody else's. */
#include "sl_alloc.h"
#include "sl_policy_agents.h"
#include "store_test.h"

static const char wide[] =
	"{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': ['10.0.0.0/8'],"
	"                  'default_policy': 'allow'}},"
	" 'roles': {'staff': {'members': ['peer:alice']}}}";

static int
try_gateway(struct fixture *f, unsigned k, const char *ifaces, const char *iface, unsigned index)
{
	struct sl_store_txn *t = begin(f);
	char id[16], text[200];

	snprintf(id, sizeof(id), "gw%u", k);
	snprintf(text, sizeof(text), "{'interfaces': [%s]}", ifaces);
	must_put(f, t, SL_KIND_GATEWAY, id, text);
	snprintf(id, sizeof(id), "gw%u:%s", k, iface);
	snprintf(text, sizeof(text), "{'gateway': 'gw%u', 'interface': '%s'%s%.0u}", k, iface,
		 index > 0 ? ", 'index': " : "", index);
	must_put(f, t, SL_KIND_GATEWAY_INTERFACE, id, text);
	assert_int_equal(sl_alloc_join(t, id, &f->e), 0);
	f->e = (struct sl_error){0};
	return sl_store_commit(t, NULL, &f->e);
}

static void
gateway(struct fixture *f, unsigned k, const char *ifaces, const char *iface, unsigned index)
{
	assert_int_equal(try_gateway(f, k, ifaces, iface, index), 0);
}

/** As the server does. */
static int
add_agent(struct fixture *f, const char *name, unsigned n, const char *iface)
{
	char text[PEER_TEXT], key[SL_KEY_B64_LEN + 1], own[SL_IP_STR];
	struct sl_store_txn *t = begin(f);
	struct sl_prefix net;
	struct sl_ip ip;
	bool vpn = false;
	int rc = sl_alloc_agent(t, SL_ALLOC_AGENTS, iface, &net, &vpn, &f->e);

	if (rc < 0) {
		sl_store_abort(t);
		return rc;
	}
	assert_int_equal(sl_alloc_host(&net, SL_ALLOC_AGENT_HOST, &ip, &f->e), 0);
	snprintf(text, sizeof(text),
		 "{'interface': '%s', 'public_key': '%s', 'allowed_ips': ['%s/32']}", iface,
		 key_of(n, key), sl_ip_str(&ip, own));
	must_put(f, t, SL_KIND_PEER, name, text);
	assert_int_equal(sl_alloc_gateways(t, iface, &net, name, &f->e), 0);
	must_commit(f, t);
	return vpn;
}

static int
put_doc(struct fixture *f, const char *text)
{
	struct sl_store_txn *t = begin(f);
	json_t *doc = quoted(text);
	uint32_t version;
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_store_put_policy(t, doc, NULL, text, SL_REV_ANY, &version, &f->e);
	json_decref(doc);
	if (rc == 0)
		return sl_store_commit(t, NULL, &f->e);
	sl_store_abort(t);
	return rc;
}

static void
must_put_doc(struct fixture *f, const char *text)
{
	if (put_doc(f, text) != 0)
		fail_msg("%s at %s: %s", f->e.reason, f->e.path, f->e.message);
}

/** The zone's networks, as text; "" where there is none. And all of it is a sound document. */
static void
must_lie(struct fixture *f, const char *want)
{
	json_t *body = NULL, *v;
	struct sl_policy *p;
	char got[400] = "";
	size_t i, n;

	if (sl_store_get(f->s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, NULL, &body) == 0) {
		assert_string_equal(json_string_value(json_object_get(body, "type")), "vpn");
		assert_string_equal(json_string_value(json_object_get(body, "default_policy")),
				    "deny");
		json_array_foreach (json_object_get(body, "networks"), i, v) {
			n = strlen(got);
			snprintf(got + n, sizeof(got) - n, "%s%s", i > 0 ? " " : "",
				 json_string_value(v));
		}
		assert_string_not_equal(got, "");
	}
	json_decref(body);
	assert_string_equal(got, want);
	assert_int_equal(store_policy_model(f->s, &p, &f->e), 0);
	sl_policy_free(p);
	must_verify(f);
}

static void
setup(struct fixture *f)
{
	fixture_begin(f, SL_STORE_PRIMARY);
	put_one(f, SL_KIND_INTERFACE, "wg0", "{}");
	put_one(f, SL_KIND_INTERFACE, "wg1", "{}");
	gateway(f, 1, "'wg0'", "wg0", 1);
}

static void
test_come_and_go(void **state)
{
	struct fixture f;
	json_t *body = NULL;
	uint64_t head;

	setup(&f);
	assert_true(add_agent(&f, "a", 1, "wg0"));
	must_lie(&f, ""); /* no document: nobody reaches anything */
	must_put_doc(&f, wide);
	must_lie(&f, "10.1.0.0/24@wg0");
	assert_true(add_agent(&f, "b", 2, "wg0"));
	must_lie(&f, "10.1.0.0/24@wg0 10.2.0.0/24@wg0");
	/* the author's document is what it was, and put again it changes nothing of this */
	assert_int_equal(sl_store_get(f.s, SL_KIND_POLICY_TEXT, "1", NULL, &body), 0);
	assert_string_equal(json_string_value(json_object_get(body, "text")), wide);
	json_decref(body);
	must_put_doc(&f, wide);
	must_lie(&f, "10.1.0.0/24@wg0 10.2.0.0/24@wg0");
	assert_int_equal(sl_store_count(f.s, SL_KIND_ZONE), 2);
	/* what changes nothing makes no row */
	head = sl_store_head(f.s);
	assert_int_equal(sl_store_place_agents(f.s, &f.e), 0);
	assert_int_equal(sl_store_head(f.s), head);
	del_one(&f, SL_KIND_PEER, "a");
	must_lie(&f, "10.2.0.0/24@wg0");
	/* another gateway has it too: the last one that goes takes it along */
	gateway(&f, 2, "'wg0'", "wg0", 2);
	del_one(&f, SL_KIND_GATEWAY_INTERFACE, "gw1:wg0");
	must_lie(&f, "10.2.0.0/24@wg0");
	del_one(&f, SL_KIND_GATEWAY_INTERFACE, "gw2:wg0");
	must_lie(&f, "");
	gateway(&f, 2, "'wg0'", "wg0", 2);
	must_lie(&f, "10.2.0.0/24@wg0");
	del_one(&f, SL_KIND_PEER, "b");
	must_lie(&f, "");
	fixture_end(&f);
}

/** Zones of the document: a wide internal one, vpn, one that names an agent's network itself. */
static void
test_documents(void **state)
{
	static const char doc[] = "{'zones': {'in': {'id': 2147483647, 'type': 'internal', "
				  "'networks': [%s]}%s}}";
	struct fixture f;
	char text[300];

	setup(&f);
	must_put_doc(&f, wide);
	add_agent(&f, "a", 1, "wg0");
	/* one that names part of the pool is internal but for the agent */
	snprintf(text, sizeof(text), doc, "'10.1.0.0/16'", "");
	must_put_doc(&f, text);
	must_lie(&f, "10.1.0.0/24@wg0");
	snprintf(text, sizeof(text), doc, "'10.1.0.0/24'", "");
	must_put_doc(&f, text);
	must_lie(&f, "10.1.0.0/24@wg0");
	/* some of it, or just it: refused, and nothing has changed */
	snprintf(text, sizeof(text), doc, "'10.1.0.64/26'", "");
	expect_fail(&f, put_doc(&f, text), -EINVAL, "pool_in_internal_zone");
	assert_string_equal(f.e.path, "/zones/in/networks");
	snprintf(text, sizeof(text), doc, "'10.1.0.0/24@wg0'", "");
	expect_fail(&f, put_doc(&f, text), -EINVAL, "pool_in_internal_zone");
	must_lie(&f, "10.1.0.0/24@wg0");
	snprintf(text, sizeof(text), doc, "'10.1.0.64/26@wg1'", "");
	must_put_doc(&f, text);
	/* of type vpn already: as its author says */
	snprintf(text, sizeof(text), doc, "'10.0.0.0/8'",
		 ", 'vpn': {'id': 2, 'type': 'vpn', 'networks': ['10.0.0.0/9']}");
	must_put_doc(&f, text);
	must_lie(&f, "");
	snprintf(text, sizeof(text), doc, "'10.0.0.0/16'",
		 ", 'out': {'id': 2, 'networks': ['0.0.0.0/0'], 'default_policy': 'allow'}");
	must_put_doc(&f, text);
	must_lie(&f, "10.1.0.0/24@wg0");
	/* the name is taken */
	expect_fail(&f,
		    put_doc(&f, "{'zones': {'agent-networks': {'id': 1, 'networks': "
				"['10.1.0.0/24']}}}"),
		    -EINVAL, "zone_reserved");
	must_lie(&f, "10.1.0.0/24@wg0");
	/* one that was there before has not to be mended by whoever changes something else */
	assert_int_equal(store_exec(f.s->db,
				    "UPDATE object SET body = replace(body, '10.0.0.0/16', "
				    "'10.1.0.64/26') WHERE kind = 'zone'",
				    &f.e),
			 0);
	assert_int_equal(sl_store_place_agents(f.s, &f.e), 0);
	put_one(&f, SL_KIND_SETTING, "separate_interfaces", "{'value': false}");
	fixture_end(&f);
}

/** What gives networks: an internal zone that holds the whole pool is wide, another names servers.
 */
static void
test_pool(void **state)
{
	struct fixture f;

	setup(&f);
	must_put_doc(&f, "{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': "
			 "['10.0.0.0/8', '10.2.0.0/16']}}}");
	assert_true(add_agent(&f, "a", 1, "wg0"));
	must_lie(&f, "10.1.0.0/24@wg0");
	expect_fail(&f, add_agent(&f, "b", 2, "wg0"), -EINVAL, "pool_in_internal_zone");
	put_one(&f, SL_KIND_POOL, "agents",
		"{'prefixes': ['10.16.0.0/12'], 'prefix_len': 24}"); /* all of it in 10.0.0.0/8 */
	assert_true(add_agent(&f, "b", 2, "wg0"));
	must_lie(&f, "10.1.0.0/24@wg0 10.16.0.0/24@wg0");
	/* no gateway has an index: nothing tells an agent from another peer */
	expect_fail(&f, add_agent(&f, "c", 3, "wg1"), -EINVAL, "pool_in_internal_zone");
	fixture_end(&f);
}

/** A handmade peer with an address such as agents have is none. */
static void
test_handmade(void **state)
{
	char text[PEER_TEXT], key[SL_KEY_B64_LEN + 1];
	struct fixture f;

	setup(&f);
	snprintf(text, sizeof(text),
		 "{'interface': 'wg0', 'public_key': '%s', 'allowed_ips': ['10.5.0.100/32']}",
		 key_of(9, key));
	put_one(&f, SL_KIND_PEER, "handmade", text);
	must_put_doc(&f, wide);
	must_lie(&f, "");
	must_put_doc(&f, "{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': "
			 "['10.5.0.100/32']}}}");
	must_lie(&f, "");
	fixture_end(&f);
}

/** From another interface of a gateway the network is seen too, unless they are separate ones. */
static void
test_beside(void **state)
{
	struct fixture f;

	setup(&f);
	must_put_doc(&f, wide);
	add_agent(&f, "a", 1, "wg0");
	put_one(&f, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0', 'wg1']}");
	must_lie(&f, "10.1.0.0/24@wg0 10.1.0.0/24@wg1");
	put_one(&f, SL_KIND_SETTING, "separate_interfaces", "{'value': true}");
	must_lie(&f, "10.1.0.0/24@wg0");
	gateway(&f, 3, "'wg1'", "wg1", 3);
	add_agent(&f, "b", 2, "wg1");
	must_lie(&f, "10.1.0.0/24@wg0 10.1.0.0/24@wg1");
	del_one(&f, SL_KIND_SETTING, "separate_interfaces");
	must_lie(&f, "10.1.0.0/24@wg0 10.1.0.0/24@wg1");
	del_one(&f, SL_KIND_PEER, "a");
	put_one(&f, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0']}");
	must_lie(&f, "10.1.0.0/24@wg1");
	fixture_end(&f);
}

/** Agents that were there before a gateway could give them addresses are what the document says, as
 * any peer: nothing marks them, and whoever makes one is told. What is internal by it gets no
 * address of a gateway, be it by the first index or by an interface that is served beside theirs.
 */
static void
test_placed_later(void **state)
{
	struct sl_store_txn *t;
	struct fixture f;

	setup(&f);
	assert_false(add_agent(&f, "b", 2, "wg1"));
	must_put_doc(&f, wide);
	must_lie(&f, "");
	gateway(&f, 2, "'wg1'", "wg1", 2);
	must_lie(&f, "10.1.0.0/24@wg1");
	del_one(&f, SL_KIND_GATEWAY, "gw2");
	must_lie(&f, "");
	must_put_doc(&f, "{'zones': {'in': {'id': 1, 'type': 'internal', 'networks': "
			 "['10.1.0.64/26@wg1']}}}");
	expect_fail(&f, try_gateway(&f, 2, "'wg1'", "wg1", 2), -EINVAL, "pool_in_internal_zone");
	must_lie(&f, "");
	gateway(&f, 3, "'wg1'", "wg1", 0);
	del_one(&f, SL_KIND_PEER, "b");
	assert_true(add_agent(&f, "a", 1, "wg0"));
	expect_fail(&f, try_gateway(&f, 1, "'wg0', 'wg1'", "wg0", 1), -EINVAL,
		    "pool_in_internal_zone");
	put_one(&f, SL_KIND_SETTING, "separate_interfaces", "{'value': true}");
	put_one(&f, SL_KIND_GATEWAY, "gw1", "{'interfaces': ['wg0', 'wg1']}");
	t = begin(&f);
	assert_int_equal(sl_store_del(t, SL_KIND_SETTING, "separate_interfaces", SL_REV_ANY, &f.e),
			 0);
	expect_fail(&f, sl_store_commit(t, NULL, &f.e), -EINVAL, "pool_in_internal_zone");
	must_lie(&f, "10.1.0.0/24@wg0");
	/* what nobody's place changes goes on */
	put_one(&f, SL_KIND_GATEWAY, "gw1",
		"{'interfaces': ['wg0', 'wg1'], 'description': 'Osaka'}");
	fixture_end(&f);
}

/** A document of before may have given that name to a zone of its own: nothing of it is lost. */
static void
test_name_taken(void **state)
{
	static const char its[] =
		"{'text': '{\\\"zones\\\": {\\\"agent-networks\\\": {\\\"id\\\": 7}}}', "
		"'actor': 'uid:0'}";
	struct fixture f;
	uint64_t rev, now;

	setup(&f);
	must_put_doc(&f, wide);
	add_agent(&f, "a", 1, "wg0");
	assert_int_equal(sl_store_place_agents(f.s, &f.e), 0);
	put_one(&f, SL_KIND_POLICY_TEXT, "1", its);
	assert_int_equal(sl_store_get(f.s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, &rev, NULL), 0);
	expect_fail(&f, sl_store_place_agents(f.s, &f.e), -EINVAL, "zone_reserved");
	assert_string_equal(f.e.path, "/zones/agent-networks");
	assert_non_null(strstr(f.e.hint, "another name"));
	assert_int_equal(sl_store_get(f.s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, &now, NULL), 0);
	assert_int_equal(now, rev);
	/* as the author does what the remedy says */
	must_put_doc(&f, wide);
	assert_int_equal(sl_store_place_agents(f.s, &f.e), 0);
	fixture_end(&f);
}

/** A store from before, and one that was changed by an earlier program. */
static void
test_before(void **state)
{
	struct fixture f;
	uint64_t rev;

	setup(&f);
	must_put_doc(&f, wide);
	add_agent(&f, "a", 1, "wg0");
	del_one(&f, SL_KIND_ZONE, SL_POL_AGENT_ZONE); /* its deletion puts it again */
	must_lie(&f, "10.1.0.0/24@wg0");
	put_one(&f, SL_KIND_ZONE, SL_POL_AGENT_ZONE,
		"{'id': 7, 'type': 'internal', 'networks': ['0.0.0.0/0'], 'default_policy': "
		"'allow'}");
	must_lie(&f, "10.1.0.0/24@wg0");
	assert_int_equal(store_exec(f.s->db, "DELETE FROM object WHERE id = 'agent-networks'",
				    &f.e),
			 0);
	assert_int_equal(sl_store_get(f.s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, &rev, NULL), -ENOENT);
	assert_int_equal(sl_store_place_agents(f.s, &f.e), 0);
	assert_int_equal(sl_store_get(f.s, SL_KIND_ZONE, SL_POL_AGENT_ZONE, &rev, NULL), 0);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_come_and_go),  cmocka_unit_test(test_documents),
		cmocka_unit_test(test_pool),	     cmocka_unit_test(test_handmade),
		cmocka_unit_test(test_beside),	     cmocka_unit_test(test_before),
		cmocka_unit_test(test_placed_later), cmocka_unit_test(test_name_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
