/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters of every type: good values arrive, bad ones are told with reason and path. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_schema_gateway.h"

#define KEY "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="

static const struct sl_rpc_caller local = {SL_RPC_VIA_UNIX, "uid:0", &sl_service_local};
static const struct sl_rpc_caller far = {SL_RPC_VIA_TCP, "tcp:loopback", &sl_service_local};

static struct sl_schema_arena *arena;
static struct sl_error err;
static json_t *params;

static int
decode(const struct sl_rpc_caller *caller, const char *method, const char *text, void *out)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);

	assert_non_null(m);
	params = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	if (text)
		assert_non_null(params);
	memset(&err, 0, sizeof(err));
	return sl_schema_decode(m, params, caller, out, &arena, &err);
}

static int
clean(void **state)
{
	sl_schema_free(arena);
	arena = NULL;
	json_decref(params);
	params = NULL;
	return 0;
}

/* --- values --------------------------------------------------------------------------------- */

static void
test_interface(void **state)
{
	struct sl_rpc_interface_set p;
	struct sl_prefix want;

	assert_int_equal(decode(&local, "interface.set",
				"{\"interface\":\"wg0\",\"listen_port\":0,\"key_store\":\"memory\","
				"\"addresses\":[\"10.7.0.1/"
				"24\",\"fd00::1\"],\"isolation\":false,\"mtu\":9000,"
				"\"inside\":{\"port\":\"lan\",\"vlan\":4094,\"prefixes\":[]},"
				"\"outer_udp_checksum\":\"full\"}",
				&p),
			 0);
	assert_string_equal(p.interface, "wg0");
	assert_true(p.has_listen_port && p.listen_port == 0);
	assert_true(p.has_key_store && p.key_store == 0);
	assert_false(p.has_private_key_file);
	assert_true(p.has_isolation && !p.isolation);
	assert_true(p.has_mtu && p.mtu == 9000);
	assert_false(p.has_mss_clamp);
	assert_true(p.has_outer_udp_checksum && p.outer_udp_checksum == 2);
	assert_true(p.has_inside && p.inside.has_port && p.inside.has_vlan);
	assert_string_equal(p.inside.port, "lan");
	assert_int_equal(p.inside.vlan, 4094);
	assert_true(p.inside.has_prefixes && p.inside.prefixes.n == 0);
	assert_int_equal(p.addresses.n, 2);
	/* host bits stay: they are the address */
	want = (struct sl_prefix){.ip = {.family = 4, .b = {10, 7, 0, 1}}, .len = 24};
	assert_true(sl_prefix_equal(&((struct sl_prefix *)p.addresses.v)[0], &want));
	want = (struct sl_prefix){.ip = {.family = 6, .b = {0xfd, [15] = 1}}, .len = 128};
	assert_true(sl_prefix_equal(&((struct sl_prefix *)p.addresses.v)[1], &want));
}

static void
test_peer(void **state)
{
	struct sl_rpc_peer_set p;
	char text[SL_KEY_B64_LEN + 1];

	assert_int_equal(
		decode(&local, "peer.set",
		       "{\"interface\":\"wg0\",\"public_key\":\"" KEY "\","
		       "\"endpoint\":\"[2001:db8::9]:65535\",\"persistent_keepalive\":65535,"
		       "\"move\":true,\"expires\":0}",
		       &p),
		0);
	sl_key_to_base64(p.public_key.b, text);
	assert_string_equal(text, KEY);
	assert_int_equal(p.endpoint.port, 65535);
	assert_int_equal(p.endpoint.ip.family, 6);
	assert_int_equal(p.endpoint.ip.b[15], 9);
	assert_int_equal(p.persistent_keepalive, 65535);
	assert_true(p.move && p.has_expires);
	clean(NULL);
	assert_int_equal(decode(&local, "peer.set",
				"{\"interface\":\"wg0\",\"public_key\":\"" KEY
				"\",\"endpoint\":\"\"}",
				&p),
			 0);
	assert_true(p.has_endpoint);
	assert_int_equal(p.endpoint.ip.family, 0);
}

static void
test_route_and_neighbour(void **state)
{
	static const uint8_t mac[6] = {0x02, 0xab, 0xcd, 0x00, 0x00, 0x77};
	struct sl_rpc_neighbour_set n;
	struct sl_rpc_route_add r;

	assert_int_equal(
		decode(&local, "route.add",
		       "{\"prefix\":\"0.0.0.0/0\",\"via\":\"198.18.5.1\",\"blackhole\":false}", &r),
		0);
	assert_int_equal(r.prefix.len, 0);
	assert_int_equal(r.via.family, 4);
	assert_int_equal(r.via.b[3], 1);
	assert_false(r.has_port || r.has_vlan || r.has_interface);
	clean(NULL);
	assert_int_equal(
		decode(&local, "neighbour.set",
		       "{\"port\":\"lan\",\"ip\":\"fe80::1\",\"mac\":\"02:Ab:cD:00:00:77\"}", &n),
		0);
	assert_memory_equal(n.mac, mac, 6);
}

static void
test_no_params(void **state)
{
	char none[8];

	assert_int_equal(decode(&local, "rpc.ping", NULL, none), 0);
	assert_int_equal(decode(&local, "rpc.ping", "{}", none), 0);
}

static void
test_long_array(void **state)
{
	struct sl_rpc_peer_set p;
	json_t *list = json_array(), *o;
	char prefix[32], *text;

	for (unsigned i = 0; i < 5000; i++) {
		snprintf(prefix, sizeof(prefix), "10.%u.%u.0/24", i >> 8, i & 255);
		json_array_append_new(list, json_string(prefix));
	}
	o = json_pack("{s:s, s:s, s:o}", "interface", "wg0", "public_key", KEY, "allowed_ips",
		      list);
	text = json_dumps(o, 0);
	json_decref(o);
	assert_int_equal(decode(&local, "peer.set", text, &p), 0);
	free(text);
	assert_int_equal(p.allowed_ips.n, 5000);
	assert_int_equal(((struct sl_prefix *)p.allowed_ips.v)[4999].ip.b[1], 4999 >> 8);
	assert_int_equal(((struct sl_prefix *)p.allowed_ips.v)[4999].ip.b[2], 4999 & 255);
}

/* --- errors --------------------------------------------------------------------------------- */

struct bad {
	const char *method, *params, *reason, *path;
};

#define WG "{\"interface\":\"wg0\","
#define PEER WG "\"public_key\":\"" KEY "\","
#define N63 "123456789012345678901234567890123456789012345678901234567890123"

static const struct bad bad[] = {
	{"rpc.ping", "{\"x\":1}", "param_unknown", "/x"},
	{"rpc.ping", "[]", "param_type", ""},
	{"rpc.ping", "null", "param_type", ""},
	{"interface.get", "{}", "param_missing", "/interface"},
	{"interface.get", "{\"interface\":7}", "param_type", "/interface"},
	{"interface.get", "{\"interface\":null}", "param_type", "/interface"},
	{"interface.get", "{\"interface\":\"1234567890123456\"}", "param_range", "/interface"},
	{"interface.set", WG "\"listen_port\":65536}", "param_range", "/listen_port"},
	{"interface.set", WG "\"listen_port\":-1}", "param_range", "/listen_port"},
	{"interface.set", WG "\"listen_port\":9223372036854775807}", "param_range", "/listen_port"},
	{"interface.set", WG "\"listen_port\":51820.0}", "param_type", "/listen_port"},
	{"interface.set", WG "\"listen_port\":\"51820\"}", "param_type", "/listen_port"},
	{"interface.set", WG "\"listen_port\":true}", "param_type", "/listen_port"},
	{"interface.set", WG "\"mtu\":1279}", "param_range", "/mtu"},
	{"interface.set", WG "\"mtu\":9001}", "param_range", "/mtu"},
	{"interface.set", WG "\"isolation\":1}", "param_type", "/isolation"},
	{"interface.set", WG "\"isolation\":\"yes\"}", "param_type", "/isolation"},
	{"interface.set", WG "\"key_store\":\"disk\"}", "enum_invalid", "/key_store"},
	{"interface.set", WG "\"key_store\":0}", "param_type", "/key_store"},
	{"interface.set", WG "\"private_key\":\"x\"}", "param_unknown", "/private_key"},
	{"interface.set", WG "\"addresses\":\"10.0.0.1/8\"}", "param_type", "/addresses"},
	{"interface.set", WG "\"addresses\":[\"10.0.0.1/8\",\"10.0.0.1/33\"]}", "prefix_invalid",
	 "/addresses/1"},
	{"interface.set", WG "\"addresses\":[\"10.0.0.1/8\",10]}", "param_type", "/addresses/1"},
	{"interface.set", WG "\"addresses\":[\"10.0.0.1/-1\"]}", "prefix_invalid", "/addresses/0"},
	{"interface.set", WG "\"addresses\":[\"\"]}", "prefix_invalid", "/addresses/0"},
	{"interface.set", WG "\"inside\":\"lan\"}", "param_type", "/inside"},
	{"interface.set", WG "\"inside\":{}}", "param_missing", "/inside/port"},
	{"interface.set", WG "\"inside\":{\"port\":\"lan\",\"vlan\":4095}}", "param_range",
	 "/inside/vlan"},
	{"interface.set", WG "\"inside\":{\"port\":\"lan\",\"prefixes\":[\"x\"]}}",
	 "prefix_invalid", "/inside/prefixes/0"},
	{"interface.set", WG "\"inside\":{\"port\":\"lan\",\"prefix\":[]}}", "param_unknown",
	 "/inside/prefix"},
	{"interface.set", WG "\"a/b~c\":1}", "param_unknown", "/a~1b~0c"},
	{"peer.set", WG "\"public_key\":\"short\"}", "key_invalid", "/public_key"},
	{"peer.set", WG "\"public_key\":\"\"}", "key_invalid", "/public_key"},
	{"peer.set", WG "\"public_key\":\"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg\"}",
	 "key_invalid", "/public_key"},
	{"peer.set", WG "\"public_key\":\"xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dh=\"}",
	 "key_invalid", "/public_key"},
	{"peer.set", PEER "\"endpoint\":\"203.0.113.9\"}", "endpoint_invalid", "/endpoint"},
	{"peer.set", PEER "\"endpoint\":\"203.0.113.9:0\"}", "endpoint_invalid", "/endpoint"},
	{"peer.set", PEER "\"endpoint\":\"example.org:1\"}", "endpoint_invalid", "/endpoint"},
	{"peer.set", PEER "\"persistent_keepalive\":65536}", "param_range",
	 "/persistent_keepalive"},
	{"peer.set", PEER "\"name\":\"" N63 "4\"}", "param_range", "/name"},
	{"peer.set", PEER "\"preshared_key\":\"" KEY "\"}", "param_unknown", "/preshared_key"},
	{"route.add", "{\"prefix\":\"10.0.0.0/8\",\"via\":\"10.0.0.256\"}", "ip_invalid", "/via"},
	{"route.add", "{\"prefix\":\"10.0.0.0/8\",\"via\":\"\"}", "ip_invalid", "/via"},
	{"route.add", "{\"prefix\":\"fd00::/129\"}", "prefix_invalid", "/prefix"},
	{"neighbour.set", "{\"port\":\"p\",\"ip\":\"10.0.0.1\",\"mac\":\"02:00:00:00:00\"}",
	 "mac_invalid", "/mac"},
	{"neighbour.set", "{\"port\":\"p\",\"ip\":\"10.0.0.1\",\"mac\":\"02-00-00-00-00-77\"}",
	 "mac_invalid", "/mac"},
	{"neighbour.set", "{\"port\":\"p\",\"ip\":\"10.0.0.1\",\"mac\":\"02:00:00:00:00:7g\"}",
	 "mac_invalid", "/mac"},
	{"neighbour.set", "{\"port\":\"p\",\"ip\":\"10.0.0.1\",\"mac\":\"-1:00:00:00:00:77\"}",
	 "mac_invalid", "/mac"},
	{"neighbour.set", "{\"port\":\"p\",\"ip\":\"10.0.0.1\",\"mac\":\" 2:00:00:00:00:77\"}",
	 "mac_invalid", "/mac"},
	{"authz.mode.set", "{\"prefixes\":[],\"mode\":\"observe\"}", "param_range", "/prefixes"},
	{"authz.mode.set", "{\"panic\":\"enforce\"}", "enum_invalid", "/panic"},
	{"authz.mode.set", "{\"panic\":\"Observe\"}", "enum_invalid", "/panic"},
};

static void
test_errors(void **state)
{
	union {
		struct sl_rpc_interface_set i;
		struct sl_rpc_peer_set p;
		struct sl_rpc_authz_mode_set m;
	} out;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		int rc = decode(&local, bad[i].method, bad[i].params, &out);

		if (rc != -EINVAL || err.err != -EINVAL || strcmp(err.reason, bad[i].reason) ||
		    strcmp(err.path, bad[i].path) || !err.message[0])
			fail_msg("%s %s: %d %s %s \"%s\", wanted %s %s", bad[i].method,
				 bad[i].params, rc, err.reason, err.path, err.message,
				 bad[i].reason, bad[i].path);
		clean(NULL);
	}
}

/* The remedy is told where there is one. */
static void
test_hints(void **state)
{
	struct sl_rpc_peer_set p;
	struct sl_rpc_authz_mode_set m;

	decode(&local, "peer.set", PEER "\"allowed_ip\":[]}", &p);
	assert_non_null(strstr(err.hint, "allowed_ips"));
	clean(NULL);
	decode(&local, "authz.mode.set", "{\"default\":\"off\"}", &m);
	assert_non_null(strstr(err.hint, "\"observe\", \"enforce\""));
	clean(NULL);
	decode(&local, "peer.set", WG "\"public_key\":\"secretsecret\"}", &p);
	assert_non_null(strstr(err.hint, "44 characters"));
	/* a mistyped key may be a private one */
	assert_null(strstr(err.message, "secret"));
}

static void
test_too_long_array(void **state)
{
	struct sl_rpc_interface_set p;
	char text[8192] = WG "\"addresses\":[";
	size_t n = strlen(text);

	for (unsigned i = 0; i < 301; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s\"10.0.0.1/8\"", i ? "," : "");
	snprintf(text + n, sizeof(text) - n, "]}");
	assert_int_equal(decode(&local, "interface.set", text, &p), -EINVAL);
	assert_string_equal(err.reason, "param_range");
	assert_string_equal(err.path, "/addresses");
}

/* What names files of the host or is local stays on the unix socket (D6). */
static void
test_local_only(void **state)
{
	static const char file[] = WG "\"private_key_file\":\"/etc/sluice/wg0.key\"}";
	static const char psk[] = PEER "\"preshared_key_file\":\"/etc/sluice/psk\"}";
	struct sl_rpc_interface_set i;
	struct sl_rpc_peer_set p;

	assert_int_equal(decode(&local, "interface.set", file, &i), 0);
	assert_string_equal(i.private_key_file, "/etc/sluice/wg0.key");
	clean(NULL);
	assert_int_equal(decode(&far, "interface.set", file, &i), -EPERM);
	assert_string_equal(err.reason, "local_only_setting");
	assert_string_equal(err.path, "/private_key_file");
	clean(NULL);
	assert_int_equal(decode(&far, "peer.set", psk, &p), -EPERM);
	assert_string_equal(err.reason, "local_only_setting");
	clean(NULL);
	assert_int_equal(decode(&far, "peer.set", PEER "\"enabled\":true}", &p), 0);
}

static void
test_find(void **state)
{
	for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
		const struct sl_schema_method *m = &sl_schema_gateway[i];

		assert_ptr_equal(sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, m->name),
				 m);
		if (i)
			assert_true(strcmp(m[-1].name, m->name) < 0);
	}
	assert_null(sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, ""));
	assert_null(sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, "peer"));
	assert_null(sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, "peer.set2"));
	assert_null(sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, "zzz"));
}

/* Every example of the schema is a valid request. */
static void
test_examples(void **state)
{
	for (unsigned i = 0; i < sl_schema_gateway_n; i++) {
		const struct sl_schema_method *m = &sl_schema_gateway[i];
		void *out = calloc(1, m->params_size + 1);

		assert_non_null(out);
		if (decode(&local, m->name, m->example, out))
			fail_msg("%s: %s at %s", m->name, err.message, err.path);
		free(out);
		clean(NULL);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_interface, clean),
		cmocka_unit_test_teardown(test_peer, clean),
		cmocka_unit_test_teardown(test_route_and_neighbour, clean),
		cmocka_unit_test_teardown(test_no_params, clean),
		cmocka_unit_test_teardown(test_long_array, clean),
		cmocka_unit_test_teardown(test_errors, clean),
		cmocka_unit_test_teardown(test_hints, clean),
		cmocka_unit_test_teardown(test_too_long_array, clean),
		cmocka_unit_test_teardown(test_local_only, clean),
		cmocka_unit_test_teardown(test_find, clean),
		cmocka_unit_test_teardown(test_examples, clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
