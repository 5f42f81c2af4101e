/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects that are refused, each with its reason and place. */
#include "model_test.h"

struct bad {
	enum sl_kind k;
	const char *id, *body, *reason, *path;
};

#define PEER "'interface': 'wg0', 'public_key': '" KEY "'"
#define RULE "'id': 1, 'role': 'staff', 'protocol': 'tcp', 'action': 'allow'"
#define IDP "'source': {'type': 'idp', 'provider': 'corp', 'user': 'u'}"
#define MAP "'role': 'staff', 'member': '10.7.0.2/32@wg0', 'interface': 'wg0'"
#define MAP_ID "staff:10.7.0.2/32@wg0"

static const struct bad bad[] = {
	/* ids */
	{SL_KIND_N, "x", "{}", "kind_unknown", ""},
	{SL_KIND_PEER, "", "{" PEER "}", "id_invalid", ""},
	{SL_KIND_PEER, "Alice", "{" PEER "}", "id_invalid", ""},
	{SL_KIND_PEER, "-a", "{" PEER "}", "id_invalid", ""},
	{SL_KIND_PEER, "a-", "{" PEER "}", "id_invalid", ""},
	{SL_KIND_PEER, "a_b", "{" PEER "}", "id_invalid", ""},
	{SL_KIND_PEER, "a123456789a123456789a123456789a123456789a123456789a123456789abcd",
	 "{" PEER "}", "id_invalid", ""},
	{SL_KIND_INTERFACE, "wg0/x", "{}", "id_invalid", ""},
	{SL_KIND_INTERFACE, "..", "{}", "id_invalid", ""},
	{SL_KIND_INTERFACE, "a234567890123456", "{}", "id_invalid", ""},
	{SL_KIND_GATEWAY_INTERFACE, "gw", "{'gateway': 'gw', 'interface': 'wg0'}", "id_invalid",
	 ""},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg1", "{'gateway': 'gw', 'interface': 'wg0'}",
	 "id_mismatch", "/interface"},
	{SL_KIND_GATEWAY_INTERFACE, "gv:wg0", "{'gateway': 'gw', 'interface': 'wg0'}",
	 "id_mismatch", "/gateway"},
	{SL_KIND_POLICY, "x", "{'version': 1}", "id_invalid", ""},
	{SL_KIND_RULE, "staff/01", "{" RULE ", 'to': ['*']}", "id_invalid", ""},
	{SL_KIND_RULE, "staff", "{" RULE ", 'to': ['*']}", "id_invalid", ""},
	{SL_KIND_RULE, "staff/2147483648", "{" RULE ", 'to': ['*']}", "id_invalid", ""},
	{SL_KIND_RULE, "staff/2", "{" RULE ", 'to': ['*']}", "id_mismatch", "/id"},
	{SL_KIND_RULE, "stuff/1", "{" RULE ", 'to': ['*']}", "id_mismatch", "/role"},
	{SL_KIND_CRL, "cert:", "{}", "id_invalid", ""},
	{SL_KIND_CRL, "cert:abc", "{}", "id_invalid", ""},
	{SL_KIND_CRL, "cert:00ab", "{}", "id_invalid", ""},
	{SL_KIND_CRL, "cert:0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d0a0b0c0d", "{}", "id_invalid",
	 ""},
	{SL_KIND_CRL, "cert:AB", "{}", "id_invalid", ""},
	{SL_KIND_CRL, "token:short", "{}", "id_invalid", ""},
	{SL_KIND_TOKEN, "0a1B2c3D4", "{}", "id_invalid", ""},
	{SL_KIND_TOKEN, "0a1B2c3D4_", "{}", "id_invalid", ""},
	{SL_KIND_ALLOCATION, "gw:wg0", "{'peer': 'a'}", "id_invalid", ""},
	{SL_KIND_ALLOCATION, "gw:wg0:10.0.0.1/32", "{'peer': 'a'}", "id_invalid", ""},
	{SL_KIND_ALLOCATION, "gw:wg0:FD00::1", "{'peer': 'a'}", "id_invalid", ""},
	{SL_KIND_MIGRATION, "target:", "{'state': 'vpn'}", "id_invalid", ""},
	{SL_KIND_POLICY_TEXT, "01", "{'text': 'x'}", "id_invalid", ""},
	{SL_KIND_POLICY_TEXT, "4294967296", "{'text': 'x'}", "id_invalid", ""},
	/* secrets and what is local */
	{SL_KIND_PEER, "a", "{" PEER ", 'private_key': 'x'}", "secret_field", "/private_key"},
	{SL_KIND_PEER, "a", "{" PEER ", 'privateKey': 'x'}", "secret_field", "/privateKey"},
	{SL_KIND_PEER, "a", "{" PEER ", 'preshared-key': 'x'}", "secret_field", "/preshared-key"},
	{SL_KIND_PEER, "a", "{" PEER ", 'PSK': 'x'}", "secret_field", "/PSK"},
	{SL_KIND_MIGRATION, "target:x",
	 "{'state': 'vpn', 'history': [{'a': {'client_secret': 1}}]}", "secret_field",
	 "/history/0/a/client_secret"},
	{SL_KIND_MIGRATION, "target:x", "{'state': 'vpn', 'baseline': {'mode': 'observe'}}",
	 "local_only_setting", "/baseline/mode"},
	{SL_KIND_ZONE, "z", "{'id': 1, 'networks': ['10.0.0.0/8'], 'authz_mode': 'observe'}",
	 "local_only_setting", "/authz_mode"},
	{SL_KIND_INTERFACE, "wg0", "{'logging_enabled': false}", "local_only_setting",
	 "/logging_enabled"},
	{SL_KIND_ZONE, "z", "{'id': 1, 'networks': ['10.0.0.0/8'], 'log_required': true}",
	 "local_only_setting", "/log_required"},
	{SL_KIND_SETTING, "log_required", "{'value': []}", "local_only_setting", ""},
	{SL_KIND_SETTING, "authz_mode", "{'value': 'observe'}", "local_only_setting", ""},
	{SL_KIND_SETTING, "logging_enabled", "{'value': false}", "local_only_setting", ""},
	{SL_KIND_SETTING, "hook_secret", "{'value': 'x'}", "secret_field", ""},
	/* shapes */
	{SL_KIND_PEER, "a", "[]", "field_type", ""},
	{SL_KIND_ZONE, "a", "[]", "field_type", ""},
	{SL_KIND_PEER, "a", "{" PEER ", 'rolls': []}", "field_unknown", "/rolls"},
	{SL_KIND_PEER, "a", "{" PEER ", 'roles': ['x', 'y', 'x']}", "value_duplicate", "/roles/2"},
	{SL_KIND_PEER, "a", "{" PEER ", 'roles': ['x y']}", "name_invalid", "/roles/0"},
	{SL_KIND_PEER, "a", "{" PEER ", 'keepalive_s': 65536}", "field_range", "/keepalive_s"},
	{SL_KIND_PEER, "a", "{" PEER ", 'keepalive_s': -1}", "field_range", "/keepalive_s"},
	{SL_KIND_PEER, "a", "{" PEER ", 'subject': ''}", "field_range", "/subject"},
	{SL_KIND_PEER, "a", "{" PEER ", 'description': 'a\\nb'}", "text_invalid", "/description"},
	{SL_KIND_PEER, "a", "{" PEER ", 'allowed_ips': ['10.7.0.1/24']}", "prefix_host_bits",
	 "/allowed_ips/0"},
	{SL_KIND_PEER, "a", "{" PEER ", 'allowed_ips': ['10.7.0.1', '10.7.0.1/32']}",
	 "value_duplicate", "/allowed_ips/1"},
	{SL_KIND_PEER, "a", "{" PEER ", 'allowed_ips': ['10.7.0.1/33']}", "prefix_invalid",
	 "/allowed_ips/0"},
	{SL_KIND_PEER, "a", "{" PEER ", 'addresses': {'GW': []}}", "name_invalid", "/addresses/GW"},
	{SL_KIND_PEER, "a", "{" PEER ", 'addresses': {'gw': ['x']}}", "prefix_invalid",
	 "/addresses/gw/0"},
	{SL_KIND_PEER, "a", "{" PEER ", 'addresses': ['x']}", "field_type", "/addresses"},
	{SL_KIND_PEER, "a", "{" PEER ", 'expires_at': '2026-13-01T00:00:00Z'}", "time_invalid",
	 "/expires_at"},
	{SL_KIND_PEER, "a", "{" PEER ", 'expires_at': null}", "field_type", "/expires_at"},
	{SL_KIND_PEER, "a", "{" PEER ", 'endpoint': 'vpn.example.com:1'}", "endpoint_invalid",
	 "/endpoint"},
	{SL_KIND_PEER, "a", "{" PEER ", 'old_key': '" KEY2 "'}", "field_missing", "/old_key_until"},
	{SL_KIND_PEER, "a", "{" PEER ", 'old_key_until': '2027-01-01'}", "field_missing",
	 "/old_key"},
	{SL_KIND_PEER, "a", "{" PEER ", 'old_key': '" KEY "', 'old_key_until': '2027-01-01'}",
	 "value_duplicate", "/old_key"},
	{SL_KIND_PEER, "a", "{'interface': '*', 'public_key': '" KEY "'}", "interface_invalid",
	 "/interface"},
	{SL_KIND_PEER, "a", "{'interface': 'wg0', 'public_key': 'x'}", "key_invalid",
	 "/public_key"},
	{SL_KIND_PEER, "a",
	 "{'interface': 'wg0', 'public_key': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='}",
	 "key_invalid", "/public_key"},
	{SL_KIND_INTERFACE, "wg0", "{'snat': true}", "not_supported", "/snat"},
	{SL_KIND_INTERFACE, "wg0", "{'listen_port': 443}", "port_443", "/listen_port"},
	{SL_KIND_INTERFACE, "wg0", "{'listen_port': 0}", "field_range", "/listen_port"},
	{SL_KIND_INTERFACE, "wg0", "{'mtu': 1279}", "field_range", "/mtu"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'endpoint': 'a..b:1'}", "endpoint_invalid",
	 "/endpoint"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'endpoint': 'a.b:0'}", "endpoint_invalid",
	 "/endpoint"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'endpoint': '1.2.3:80'}", "endpoint_invalid",
	 "/endpoint"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'listen_port': 443}", "port_443", "/listen_port"},
	{SL_KIND_GATEWAY, "gw", "{'interfaces': ['wg0', 'wg0']}", "value_duplicate",
	 "/interfaces/1"},
	{SL_KIND_PROVIDER, "corp", "{'state': 'off'}", "enum_invalid", "/state"},
	{SL_KIND_TOKEN, "0a1B2c3D4e", "{'hash': 'x', 'roles': ['admin']}", "hash_invalid", "/hash"},
	{SL_KIND_POOL, "p", "{'prefixes': ['10.0.0.0/8'], 'prefix_len': 7}", "field_range",
	 "/prefix_len"},
	{SL_KIND_POOL, "p", "{'prefixes': ['10.0.0.0/8'], 'prefix_len': 33}", "field_range",
	 "/prefix_len"},
	{SL_KIND_POOL, "p", "{'prefixes': [], 'prefix_len': 24}", "field_range", "/prefixes"},
	{SL_KIND_MIGRATION, "deployment", "{'state': 'vpn'}", "field_missing", "/phase"},
	{SL_KIND_MIGRATION, "deployment", "{'phase': 1, 'state': 'vpn'}", "field_unknown",
	 "/state"},
	{SL_KIND_MIGRATION, "target:x", "{'state': 'vpn', 'phase': 1}", "field_unknown", "/phase"},
	{SL_KIND_MIGRATION, "target:x", "{'state': 'vpn', 'baseline': {'a': 1.5}}", "field_type",
	 "/baseline/a"},
	{SL_KIND_SETTING, "x", "{'value': [[[[[[[[[1]]]]]]]]]}", "field_range",
	 "/value/0/0/0/0/0/0/0/0"},
	{SL_KIND_SETTING, "x", "{'value': 9007199254740993}", "field_range", "/value"},
	/* parts of the document */
	{SL_KIND_ZONE, "z", "{'id': 0, 'networks': ['10.0.0.0/8']}", "field_range", "/id"},
	{SL_KIND_ZONE, "z", "{'id': 1, 'networks': ['10.0.0.1/8']}", "prefix_host_bits",
	 "/networks/0"},
	{SL_KIND_ZONE, "z", "{'id': 1, 'networks': ['10.0.0.0/8', '10.0.0.0/8']}", "zone_overlap",
	 "/networks/1"},
	{SL_KIND_ZONE, "z", "{'id': 1, 'networks': ['10.0.0.0/8'], 'x': 1}", "field_unknown", "/x"},
	{SL_KIND_ZONE, "10.0.0.1", "{'id': 1, 'networks': ['10.0.0.0/8']}", "name_invalid", ""},
	{SL_KIND_TARGET, "t", "{'addresses': []}", "target_empty", "/addresses"},
	{SL_KIND_ROLE, "r", "{'members': ['10.0.0.0/8']}", "member_invalid", "/members/0"},
	{SL_KIND_ROLE, "r", "{'members': ['peer:a', 'peer:a']}", "member_duplicate", "/members/1"},
	{SL_KIND_ROLE, "r", "{'members': [{'peer': 'a', 'x': 1}]}", "field_unknown",
	 "/members/0/x"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['10.0.0.1/8']}", "prefix_host_bits", "/to/0"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': []}", "target_empty", "/to"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['*'], 'ports': ['9-8']}", "ports_inverted",
	 "/ports/0"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['10.0.0.0/8'], 'src': ['fd00::/8']}",
	 "family_mismatch", "/src"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['*'], 'limit': 1}", "field_unknown", "/limit"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['a b']}", "name_invalid", "/to"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['*'], 'log': 'sample:1/0'}", "log_invalid",
	 "/log"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['*'], 'log': 1}", "field_type", "/log"},
	/* role maps */
	{SL_KIND_ROLE_MAP, "staff", "{" MAP ", " IDP "}", "id_invalid", ""},
	{SL_KIND_ROLE_MAP, "stuff:10.7.0.2/32@wg0", "{" MAP ", " IDP "}", "id_mismatch", "/role"},
	{SL_KIND_ROLE_MAP, "staff:10.7.0.3/32@wg0", "{" MAP ", " IDP "}", "id_mismatch", "/member"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", 'source': {'type': 'idp', 'user': 'u'}}",
	 "field_missing", "/source/provider"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", 'source': {'type': 'idp', 'provider': 'u'}}",
	 "field_missing", "/source/user"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", 'source': {'type': 'dynamic'}}", "field_missing",
	 "/source/reason"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", 'source': {'type': 'static'}}", "enum_invalid",
	 "/source/type"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", " IDP ", 'only': 1}", "field_unknown", "/only"},
	{SL_KIND_ROLE_MAP, MAP_ID,
	 "{'role': 'staff', 'member': '10.7.0.2/32@wg0', 'interface': 'wg1', " IDP "}",
	 "interface_mismatch", "/interface"},
	{SL_KIND_ROLE_MAP, "staff:peer:a",
	 "{'role': 'staff', 'member': 'peer:a', 'interface': '*', " IDP "}", "interface_invalid",
	 "/interface"},
	{SL_KIND_ROLE_MAP, "staff:10.7.0.2/24@wg0",
	 "{'role': 'staff', 'member': '10.7.0.2/24@wg0', 'interface': 'wg0', " IDP "}",
	 "prefix_host_bits", "/member"},
	{SL_KIND_ROLE_MAP, "staff:10.7.0.2/32",
	 "{'role': 'staff', 'member': '10.7.0.2/32', 'interface': 'wg0', " IDP "}",
	 "member_invalid", "/member"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", " IDP ", 'expires_at': 'soon'}", "time_invalid",
	 "/expires_at"},
};

static void
test_bad(void **state)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		const struct bad *b = &bad[i];
		struct sl_error e = {0};
		json_t *body = json_of(b->body);
		int rc = sl_object_check(b->k, b->id, body, NULL, &e);
		bool forbidden = strcmp(b->reason, "secret_field") == 0 ||
				 strcmp(b->reason, "local_only_setting") == 0;

		if (rc != (forbidden ? -EPERM : -EINVAL) || e.err != rc ||
		    strcmp(e.reason, b->reason) != 0 || strcmp(e.path, b->path) != 0 ||
		    e.message[0] == '\0')
			fail_msg("%u %s %s: %d %s %s (%s)", i, b->id, b->body, rc, e.reason, e.path,
				 e.message);
		json_decref(body);
	}
}

static const struct bad good[] = {
	{SL_KIND_PEER, "a", "{" PEER "}"},
	{SL_KIND_PEER, "a",
	 "{" PEER ", 'addresses': {'secret': ['10.7.0.2/32'], 'mode': ['fd00::2/128']}, 'psk_ref': "
	 "'psk-1', 'endpoint': '[2001:db8::1]:51820', 'old_key': '" KEY2
	 "', 'old_key_until': '2027-01-01T00:00:00.5Z'}"},
	{SL_KIND_GATEWAY, "gw", "{'interfaces': []}"},
	{SL_KIND_INTERFACE, "wg0", "{'snat': false}"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'endpoint': 'VPN.Example.com:65535', 'addresses': "
	 "['10.7.0.1/24', 'fd00::1/64']}"},
	{SL_KIND_GATEWAY_INTERFACE, "gw:wg0",
	 "{'gateway': 'gw', 'interface': 'wg0', 'endpoint': '192.0.2.1:51820'}"},
	{SL_KIND_RULE, "staff/1", "{" RULE ", 'to': ['db', 'db', 'fd00::/8']}"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", " IDP "}"},
	{SL_KIND_ROLE_MAP, MAP_ID, "{" MAP ", 'source': {'type': 'dynamic', 'reason': 'x'}}"},
	{SL_KIND_ROLE_MAP, "staff:10.1.0.0/16@*",
	 "{'role': 'staff', 'member': '10.1.0.0/16@*', 'interface': '*', " IDP "}"},
	{SL_KIND_ROLE_MAP, "staff:peer:a@wg0",
	 "{'role': 'staff', 'member': 'peer:a@wg0', 'interface': 'wg0', " IDP "}"},
	{SL_KIND_ALLOCATION, "gw:wg0:fd00::1", "{'peer': 'a'}"},
	{SL_KIND_MIGRATION, "deployment", "{'phase': 0, 'major': ['db']}"},
	{SL_KIND_CRL, "token:0a1B2c3D4e", "{}"},
	{SL_KIND_CRL, "cert:0a", "{}"},
	{SL_KIND_POLICY_TEXT, "0", "{'text': 'a\\nb'}"},
};

static void
test_good(void **state)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(good); i++) {
		struct sl_error e = {0};
		json_t *body = json_of(good[i].body);

		if (sl_object_check(good[i].k, good[i].id, body, NULL, &e) < 0)
			fail_msg("%s: %s %s %s", good[i].body, e.reason, e.path, e.message);
		json_decref(body);
	}
}

/** An older reader keeps and ignores what it does not know, but for kinds that grant something. */
static void
test_unknown(void **state)
{
	json_t *body = json_of("{'mtu': 1420, 'new': {'a': [1]}, 'newer': 2}"),
	       *paths = json_array();
	struct sl_error e = {0};

	assert_int_equal(sl_object_check(SL_KIND_INTERFACE, "wg0", body, paths, &e), 0);
	assert_int_equal(json_array_size(paths), 2);
	assert_string_equal(json_string_value(json_array_get(paths, 0)), "/new");
	json_decref(body);

	json_array_clear(paths);
	body = json_of("{'id': 1, 'networks': ['10.0.0.0/8'], 'new': 1}");
	assert_int_equal(sl_object_check(SL_KIND_ZONE, "z", body, paths, &e), 0);
	assert_string_equal(json_string_value(json_array_get(paths, 0)), "/new");
	json_decref(body);

	json_array_clear(paths);
	body = json_of("{" PEER ", 'new': 1}");
	assert_int_equal(sl_object_check(SL_KIND_PEER, "a", body, paths, &e), -EINVAL);
	assert_string_equal(e.reason, "field_unknown");
	assert_int_equal(json_array_size(paths), 0);
	json_decref(body);

	/* it must have a canonical form, or nobody can keep it */
	body = json_of("{'new': 1.5}");
	assert_int_equal(sl_object_check(SL_KIND_INTERFACE, "wg0", body, paths, &e), -EINVAL);
	json_decref(body);
	json_decref(paths);
}

static void
test_strip(void **state)
{
	json_t *body = json_of("{" PEER ", 'addresses': {'mode': []}, 'x': [{'PrivateKey': 1, 'y': "
			       "{'psk': 1}}], 'authz_mode': 1, 'preshared_key': 2}");
	json_t *paths = json_array(), *want, *left;

	sl_object_strip(SL_KIND_PEER, body, paths);
	want = json_of("['/x/0/PrivateKey', '/x/0/y/psk', '/authz_mode', '/preshared_key']");
	left = json_of("{" PEER ", 'addresses': {'mode': []}, 'x': [{'y': {}}]}");
	assert_true(json_equal(paths, want));
	assert_true(json_equal(body, left));
	json_decref(body);
	json_decref(paths);
	json_decref(want);
	json_decref(left);
}

static void
test_scope(void **state)
{
	char scope[SL_OBJ_SCOPE];
	json_t *body = json_of("{'interface': 'wg0', 'gateway': 'gw'}"), *none = json_object();

	assert_int_equal(sl_object_scope(SL_KIND_PEER, "a", body, scope), 0);
	assert_string_equal(scope, "wg0");
	assert_int_equal(sl_object_scope(SL_KIND_GATEWAY_INTERFACE, "gw:wg0", body, scope), 0);
	assert_string_equal(scope, "gw");
	assert_int_equal(sl_object_scope(SL_KIND_INTERFACE, "wg1", none, scope), 0);
	assert_string_equal(scope, "wg1");
	assert_int_equal(sl_object_scope(SL_KIND_RULE, "a/1", none, scope), 0);
	assert_string_equal(scope, "");
	assert_int_equal(sl_object_scope(SL_KIND_PEER, "a", none, scope), -EINVAL);
	assert_int_equal(sl_object_scope(SL_KIND_N, "a", none, scope), -EINVAL);
	json_decref(body);
	json_decref(none);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bad),	cmocka_unit_test(test_good),
		cmocka_unit_test(test_unknown), cmocka_unit_test(test_strip),
		cmocka_unit_test(test_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
