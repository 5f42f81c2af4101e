/* SPDX-License-Identifier: BSD-3-Clause */
/* What handlers add to the gateway model: paths, pages, rates, modes with their trail, secrets. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpc_fixture.h"
#include "sl_rpc_server.h"

static struct rx r;

static int
setup(void **state)
{
	rx_init(&r);
	return 0;
}

static int
teardown(void **state)
{
	rx_fini(&r);
	return 0;
}

static const char *
text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "(none)";
}

static json_int_t
number(const json_t *o, const char *name)
{
	assert_true(json_is_integer(json_object_get(o, name)));
	return json_integer_value(json_object_get(o, name));
}

/* --- interfaces and peers ------------------------------------------------------------------- */

static void
test_interface(void **state)
{
	json_t *i;

	rx_do(&r, "interface.set",
	      "{\"interface\":\"wg1\",\"listen_port\":7000,\"mtu\":1300,\"isolation\":false,"
	      "\"mss_clamp\":false,\"outer_udp_checksum\":\"full\",\"addresses\":[\"10.9.0.1/24\"],"
	      "\"inside\":{\"port\":\"lan\",\"vlan\":7,\"prefixes\":[\"10.7.0.0/24\"]}}");
	i = rx_call(&r, "interface.get", "{\"interface\":\"wg1\"}");
	json_object_del(i, "id");
	rx_is(i, "{\"name\":\"wg1\",\"listen_port\":7000,\"key_source\":\"none\",\"addresses\":"
		 "[\"10.9.0.1/24\"],\"inside\":{\"port\":\"lan\",\"vlan\":7,\"prefixes\":"
		 "[\"10.7.0.0/24\"]},\"isolation\":false,\"mtu\":1300,\"mss_clamp\":false,"
		 "\"outer_udp_checksum\":\"full\",\"replay_window\":8128,\"peers\":0}");
	json_decref(i);
	/* what is not named stays */
	rx_do(&r, "interface.set", "{\"interface\":\"wg1\",\"mtu\":1420}");
	i = rx_call(&r, "interface.get", "{\"interface\":\"wg1\"}");
	assert_int_equal(number(i, "mtu"), 1420);
	assert_int_equal(number(i, "listen_port"), 7000);
	assert_true(json_is_false(json_object_get(i, "isolation")));
	json_decref(i);
	/* "" takes the inside away */
	rx_do(&r, "interface.set", "{\"interface\":\"wg1\",\"inside\":{\"port\":\"\"}}");
	i = rx_call(&r, "interface.get", "{\"interface\":\"wg1\"}");
	assert_null(json_object_get(i, "inside"));
	json_decref(i);
	/* a free port is found */
	i = rx_call(&r, "interface.set", "{\"interface\":\"wg2\",\"key_store\":\"memory\"}");
	assert_int_equal(number(i, "listen_port"), 51821);
	assert_int_equal(strlen(text(i, "public_key")), 44);
	json_decref(i);
	rx_do(&r, "interface.remove", "{\"interface\":\"wg1\"}");
	rx_refused(&r, "interface.get", "{\"interface\":\"wg1\"}", -ENOENT, "not_found",
		   "/interface");
}

static void
test_interface_errors(void **state)
{
	rx_refused(&r, "interface.set", "{\"interface\":\"a b\"}", -EINVAL, "name_invalid",
		   "/interface");
	rx_refused(&r, "interface.set", "{\"interface\":\"wg1\",\"listen_port\":443}", -EINVAL,
		   "port_443", "/listen_port");
	rx_refused(&r, "interface.set", "{\"interface\":\"wg1\",\"listen_port\":51820}",
		   -EADDRINUSE, "port_in_use", "/listen_port");
	rx_refused(&r, "interface.set", "{\"interface\":\"wg1\",\"inside\":{\"port\":\"dmz\"}}",
		   -ENOENT, "port_unknown", "/inside/port");
	rx_refused(&r, "interface.set",
		   "{\"interface\":\"wg1\",\"addresses\":[\"10.9.0.1/24\",\"0.0.0.0/0\"]}", -EINVAL,
		   "address_invalid", "/addresses/1");
	rx_refused(&r, "interface.set",
		   "{\"interface\":\"wg1\",\"private_key_file\":\"/"
		   "nonexistent\",\"key_store\":\"memory\"}",
		   -EINVAL, "param_conflict", "/key_store");
	rx_refused(&r, "interface.set",
		   "{\"interface\":\"wg1\",\"private_key_file\":\"/nonexistent\"}", -ENOENT,
		   "key_file", "/private_key_file");
	rx_refused(&r, "interface.set",
		   "{\"interface\":\"wg1\",\"private_key_file\":\"/dev/null\"}", -EINVAL,
		   "key_invalid", "/private_key_file");
	rx_refused(&r, "interface.get", "{\"interface\":\"wg1\"}", -ENOENT, "not_found",
		   "/interface");
	rx_refused(&r, "interface.remove", "{\"interface\":\"wg1\"}", -ENOENT, "not_found",
		   "/interface");
}

/* Peers, settings and policy of an interface that a control plane manages; the rest stays here. */
static void
test_managed(void **state)
{
	static char *names[] = {(char *)(uintptr_t) "wg0"};
	const char *method;
	json_t *o, *call;
	size_t i;

	sl_gw_set_managed(r.fx.gw, names, 1);
	rx_refused(&r, "peer.add", "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\"}", -EBUSY,
		   "managed_by_control", "/interface");
	rx_refused(&r, "peer.set",
		   "{\"interface\":\"wg0\",\"public_key\":\"" ALICE "\",\"enabled\":false}", -EBUSY,
		   "managed_by_control", "/interface");
	rx_refused(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"alice\"}", -EBUSY,
		   "managed_by_control", "/interface");
	rx_refused(&r, "interface.set", "{\"interface\":\"wg0\",\"mtu\":1300}", -EBUSY,
		   "managed_by_control", "/interface");
	rx_refused(&r, "interface.remove", "{\"interface\":\"wg0\"}", -EBUSY, "managed_by_control",
		   "/interface");
	rx_refused(&r, "policy.load", "{\"text\":\"{}\"}", -EBUSY, "managed_by_control", "");
	rx_refused(&r, "policy.clear", "{\"force\":true}", -EBUSY, "managed_by_control", "");
	rx_refused(&r, "role.member.add", "{\"role\":\"eng\",\"peer\":\"alice\"}", -EBUSY,
		   "managed_by_control", "");
	rx_do(&r, "interface.set", "{\"interface\":\"wg0\",\"listen_port\":51821}");
	rx_do(&r, "peer.kick", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	rx_do(&r, "authz.mode.set", "{\"default\":\"observe\"}");
	rx_do(&r, "policy.load", "{\"text\":\"{}\",\"dry_run\":true}");
	o = rx_call(&r, "control.status", "{}");
	rx_is(o, "{\"managed\":false}");
	json_decref(o);
	rx_refused(&r, "control.resync", "{}", -EBUSY, "not_managed", "");
	/* what is saved can be loaded: only what is ours to say */
	o = rx_call(&r, "config.show", NULL);
	json_array_foreach (json_object_get(o, "calls"), i, call) {
		method = json_string_value(json_object_get(call, "method"));
		assert_string_not_equal(method, "peer.set");
		if (strcmp(method, "interface.set") == 0)
			assert_null(json_object_get(json_object_get(call, "params"), "mtu"));
	}
	json_decref(o);
}

static void
test_peer(void **state)
{
	json_t *p;

	rx_do(&r, "peer.add",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"name\":\"bob\",\"allowed_ips\":"
	      "[\"10.7.0.3/32\"],\"endpoint\":\"203.0.113.9:1\",\"persistent_keepalive\":25,"
	      "\"expires\":1800000000}");
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	rx_is(p,
	      "{\"interface\":\"wg0\",\"name\":\"bob\",\"public_key\":\"" BOB "\",\"enabled\":true,"
	      "\"allowed_ips\":[\"10.7.0.3/32\"],\"endpoint\":\"203.0.113.9:1\","
	      "\"persistent_keepalive\":25,\"preshared_key\":false,\"expires\":1800000000,"
	      "\"state\":\"init\",\"rx_bytes\":0,\"tx_bytes\":0,\"rx_packets\":0,\"tx_packets\":0,"
	      "\"handshakes\":0,\"auth_failures\":0,\"replays\":0,\"worker\":0}");
	json_decref(p);
	rx_refused(&r, "peer.add", "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\"}", -EEXIST,
		   "exists", "/public_key");
	/* only what is named changes, and the peer is found by its key too */
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"enabled\":false,"
	      "\"endpoint\":\"\",\"expires\":0}");
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"" BOB "\"}");
	assert_true(json_is_false(json_object_get(p, "enabled")));
	assert_null(json_object_get(p, "expires"));
	assert_int_equal(number(p, "persistent_keepalive"), 25);
	rx_is(json_object_get(p, "allowed_ips"), "[\"10.7.0.3/32\"]");
	json_decref(p);
	/* the live endpoint is hs's to forget */
	fx_turn(&r.fx);
	assert_true(fx_last(&r.fx, SL_HS_PEER_SET)->fields & SL_HS_F_ENDPOINT);
	assert_int_equal(fx_last(&r.fx, SL_HS_PEER_SET)->outer.dst.family, 0);
	p = rx_call(&r, "config.show", NULL);
	assert_null(json_object_get(json_object_get(json_array_get(json_object_get(p, "calls"), 3),
						    "params"),
				    "endpoint"));
	json_decref(p);
	rx_do(&r, "peer.kick", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	rx_do(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	rx_refused(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"bob\"}", -ENOENT,
		   "not_found", "/peer");
	rx_refused(&r, "peer.kick", "{\"interface\":\"wg0\",\"peer\":\"" BOB "\"}", -ENOENT,
		   "not_found", "/peer");
	rx_refused(&r, "peer.get", "{\"interface\":\"wg7\",\"peer\":\"bob\"}", -ENOENT,
		   "interface_unknown", "/interface");
	rx_refused(&r, "peer.list", "{\"interface\":\"wg7\"}", -ENOENT, "interface_unknown",
		   "/interface");
	rx_refused(&r, "session.list", "{\"interface\":\"wg7\"}", -ENOENT, "interface_unknown",
		   "/interface");
}

/* A prefix of another peer moves only when that is said. */
static void
test_move(void **state)
{
	json_t *p;

	rx_refused(&r, "peer.add",
		   "{\"interface\":\"wg0\",\"public_key\":\"" BOB
		   "\",\"allowed_ips\":[\"10.7.0.9/32\","
		   "\"10.7.0.2/32\"]}",
		   -EEXIST, "allowed_conflict", "/allowed_ips/1");
	rx_refused(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"" BOB "\"}", -ENOENT,
		   "not_found", "/peer");
	rx_do(&r, "peer.add",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"allowed_ips\":[\"10.7.0.2/32\"],"
	      "\"move\":true}");
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	rx_is(json_object_get(p, "allowed_ips"), "[\"fd00:7::2/128\"]");
	json_decref(p);
}

static void
write_file(const char *path, const char *content)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(content, f);
	fclose(f);
	chmod(path, 0600);
}

static void
test_psk(void **state)
{
	char file[] = "/tmp/sl-psk-XXXXXX", params[300];
	int fd = mkstemp(file);
	json_t *p;
	char *dump;

	assert_true(fd >= 0);
	close(fd);
	write_file(file, ALICE "\n");
	snprintf(params, sizeof(params),
		 "{\"interface\":\"wg0\",\"public_key\":\"" ALICE
		 "\",\"preshared_key_file\":\"%s\"}",
		 file);
	rx_do(&r, "peer.set", params);
	fx_turn(&r.fx);
	assert_int_equal(fx_last(&r.fx, SL_HS_PEER_SET)->key.b[0], 0xc5); /* "xT..." */
	p = rx_call(&r, "peer.get", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	assert_true(json_is_true(json_object_get(p, "preshared_key")));
	json_decref(p);
	write_file(file, "not a key\n");
	rx_refused(&r, "peer.set", params, -EINVAL, "key_invalid", "/preshared_key_file");
	assert_null(strstr(r.e.message, "not a key"));
	/* "" takes it away */
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" ALICE "\",\"preshared_key_file\":\"\"}");
	p = rx_call(&r, "peer.list", NULL);
	dump = json_dumps(p, 0);
	assert_non_null(strstr(dump, "\"preshared_key\": false"));
	free(dump);
	json_decref(p);
	unlink(file);
}

/* Outer addresses are for the answer alone (C18), keys for no one. */
static void
test_log(void **state)
{
	rx_do(&r, "peer.add",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB
	      "\",\"endpoint\":\"203.0.113.9:1234\"}");
	rx_try(&r, "peer.add",
	       "{\"interface\":\"wg0\",\"public_key\":\"" BOB
	       "\",\"endpoint\":\"203.0.113.9:1234\"}");
	rx_do(&r, "peer.kick", "{\"interface\":\"wg0\",\"peer\":\"" BOB "\"}");
	assert_null(strstr(r.log, "203.0.113.9"));
}

/* --- pages ---------------------------------------------------------------------------------- */

static void
add_peers(unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		char params[200], key[SL_KEY_B64_LEN + 1];
		struct sl_pubkey k = fx_key(i + 10);

		sl_key_to_base64(k.b, key);
		snprintf(params, sizeof(params),
			 "{\"interface\":\"wg0\",\"public_key\":\"%s\",\"name\":\"p%u\",\"allowed_"
			 "ips\":[\"10.7.%u.%u/32\"]}",
			 key, i, 1 + i / 200, i % 200);
		rx_do(&r, "peer.add", params);
		fx_turn(&r.fx);
	}
}

/** Walk a list by pages of `limit`; each name once. @return how many */
static unsigned
walk(const char *method, const char *list, const char *key, unsigned limit, unsigned *pages)
{
	char params[100] = "";
	json_t *seen = json_object(), *result, *row;
	unsigned n = 0;
	size_t i;

	*pages = 0;
	snprintf(params, sizeof(params), limit ? "{\"limit\":%u}" : "{}", limit);
	for (;;) {
		result = rx_call(&r, method, params);
		assert_true(json_array_size(json_object_get(result, list)) <=
			    (limit ? limit : 256));
		json_array_foreach (json_object_get(result, list), i, row) {
			assert_null(json_object_get(seen, text(row, key)));
			json_object_set_new(seen, text(row, key), json_true());
			n++;
		}
		++*pages;
		assert_true(*pages < 100);
		if (!json_object_get(result, "next"))
			break;
		snprintf(params, sizeof(params),
			 limit ? "{\"after\":%lld,\"limit\":%u}" : "{\"after\":%lld}",
			 (long long)number(result, "next"), limit);
		json_decref(result);
	}
	json_decref(result);
	json_decref(seen);
	return n;
}

static void
test_pages(void **state)
{
	unsigned pages;

	add_peers(299);
	rx_do(&r, "interface.set", "{\"interface\":\"wg1\",\"key_store\":\"memory\"}");
	rx_do(&r, "peer.add",
	      "{\"interface\":\"wg1\",\"public_key\":\"" BOB "\",\"name\":\"bob\"}");
	assert_int_equal(walk("peer.list", "peers", "name", 0, &pages), 301);
	assert_int_equal(pages, 2);
	assert_int_equal(walk("peer.list", "peers", "name", 7, &pages), 301);
	assert_int_equal(pages, 43);
	assert_int_equal(walk("peer.list", "peers", "name", 301, &pages), 301);
	assert_int_equal(pages, 1);
	/* nobody has a session; the pages still end */
	assert_int_equal(walk("session.list", "sessions", "peer", 10, &pages), 0);
	for (unsigned i = 0; i < 20; i++) {
		char params[80];

		snprintf(params, sizeof(params),
			 "{\"prefix\":\"10.50.%u.0/24\",\"via\":\"10.20.0.254\"}", i);
		rx_do(&r, "route.add", params);
		snprintf(params, sizeof(params),
			 "{\"prefixes\":[\"10.50.%u.0/24\"],\"mode\":\"enforce\",\"force\":true}",
			 i);
		rx_do(&r, "authz.mode.set", params);
		snprintf(params, sizeof(params),
			 "{\"port\":\"lan\",\"ip\":\"10.20.0.%u\",\"mac\":\"02:00:00:00:00:77\"}",
			 10 + i);
		rx_do(&r, "neighbour.set", params);
	}
	assert_int_equal(walk("route.list", "routes", "prefix", 6, &pages), 25);
	assert_int_equal(pages, 5);
	assert_true(walk("neighbour.list", "neighbours", "ip", 6, &pages) >= 20);
	assert_int_equal(walk("authz.mode.get", "prefixes", "prefix", 10, &pages), 20);
	assert_int_equal(pages, 2);
}

static void
test_routes(void **state)
{
	json_t *list, *row;
	bool found = false;
	size_t i;

	rx_do(&r, "route.add",
	      "{\"prefix\":\"10.40.0.0/16\",\"via\":\"10.20.0.254\",\"interface\":\"wg0\"}");
	rx_do(&r, "route.add", "{\"prefix\":\"10.41.0.0/16\",\"blackhole\":true}");
	list = rx_call(&r, "route.list", NULL);
	json_array_foreach (json_object_get(list, "routes"), i, row) {
		if (strcmp(text(row, "prefix"), "10.40.0.0/16") == 0) {
			rx_is(row, "{\"prefix\":\"10.40.0.0/"
				   "16\",\"via\":\"10.20.0.254\",\"port\":\"lan\","
				   "\"interface\":\"wg0\",\"kind\":\"static\"}");
			found = true;
		}
		if (strcmp(text(row, "prefix"), "10.41.0.0/16") == 0)
			rx_is(row, "{\"prefix\":\"10.41.0.0/16\",\"kind\":\"blackhole\"}");
	}
	assert_true(found);
	json_decref(list);
	rx_refused(&r, "route.add", "{\"prefix\":\"10.42.0.0/16\",\"via\":\"172.16.0.1\"}",
		   -ENETUNREACH, "via_unreachable", "/via");
	rx_refused(&r, "route.add", "{\"prefix\":\"10.42.1.0/16\",\"via\":\"10.20.0.254\"}",
		   -EINVAL, "route_host_bits", "/prefix");
	rx_do(&r, "route.remove", "{\"prefix\":\"10.40.0.0/16\",\"interface\":\"wg0\"}");
	rx_refused(&r, "route.remove", "{\"prefix\":\"10.40.0.0/16\",\"interface\":\"wg0\"}",
		   -ENOENT, "not_found", "/prefix");
	rx_refused(&r, "neighbour.remove", "{\"port\":\"lan\",\"ip\":\"10.20.0.99\"}", -ENOENT,
		   "not_found", "/ip");
	rx_refused(&r, "neighbour.set",
		   "{\"port\":\"x\",\"ip\":\"10.20.0.99\",\"mac\":\"02:00:00:00:00:01\"}", -ENOENT,
		   "port_unknown", "/port");
}

/* --- statistics ----------------------------------------------------------------------------- */

static struct sl_stats_lcore *
counters(unsigned worker)
{
	return r.fx.dp->worker[worker]->stats;
}

static void
test_rates(void **state)
{
	json_t *s, *rx;

	/* since the start: 10 s */
	r.fx.now_ns += 10 * S;
	counters(0)->lcore.rx_packets = 1000;
	counters(1)->lcore.rx_packets = 500;
	counters(1)->lcore.rx_bytes = 15000;
	counters(0)->drops[SL_DROP_TTL] = 30;
	counters(0)->drops[SL_DROP_LOCAL_CONSUMED] = 7;
	s = rx_call(&r, "stats.get", NULL);
	rx = json_object_get(s, "rx");
	assert_int_equal(number(s, "interval_ms"), 10000);
	assert_int_equal(number(rx, "packets"), 1500);
	assert_int_equal(number(rx, "pps"), 150);
	assert_int_equal(number(rx, "bytes"), 15000);
	assert_int_equal(number(rx, "bps"), 12000);
	rx_is(json_object_get(s, "dropped"), "{\"packets\":30,\"pps\":3}");
	json_decref(s);
	/* the next second alone */
	r.fx.now_ns += S;
	counters(0)->lcore.rx_packets += 200;
	s = rx_call(&r, "stats.get", NULL);
	assert_int_equal(number(s, "interval_ms"), 1000);
	assert_int_equal(number(json_object_get(s, "rx"), "pps"), 200);
	json_decref(s);
	/* who asks again at once does not spoil it for the others: not less than half a second */
	for (unsigned i = 0; i < 10; i++) {
		r.fx.now_ns += S / 100;
		counters(0)->lcore.rx_packets += 2;
		s = rx_call(&r, "stats.get", NULL);
		assert_true(number(s, "interval_ms") >= 500);
		assert_in_range(number(json_object_get(s, "rx"), "pps"), 195, 205);
		json_decref(s);
	}
	r.fx.now_ns += S * 9 / 10;
	counters(0)->lcore.rx_packets += 180;
	s = rx_call(&r, "stats.get", NULL);
	assert_int_equal(number(s, "interval_ms"), 1000);
	assert_int_equal(number(json_object_get(s, "rx"), "pps"), 200);
	json_decref(s);
}

static void
test_drops(void **state)
{
	json_t *d;

	r.fx.now_ns += 2 * S;
	d = rx_call(&r, "drops.get", NULL);
	rx_is(json_object_get(d, "drops"), "[]");
	json_decref(d);
	r.fx.now_ns += 2 * S;
	counters(0)->drops[SL_DROP_TTL] = 30;
	counters(2)->drops[SL_DROP_TTL] = 10;
	counters(0)->drops[SL_DROP_LOCAL_CONSUMED] = 8;
	d = rx_call(&r, "drops.get", NULL);
	assert_int_equal(number(d, "total"), 40);
	assert_int_equal(json_array_size(json_object_get(d, "drops")), 2);
	json_object_del(json_array_get(json_object_get(d, "drops"), 0), "why");
	rx_is(json_array_get(json_object_get(d, "drops"), 0),
	      "{\"reason\":\"ttl\",\"packets\":40,\"pps\":20}");
	json_decref(d);
	d = rx_call(&r, "drops.get", "{\"all\":true}");
	assert_int_equal(json_array_size(json_object_get(d, "drops")), SL_DROP_MAX - 1);
	json_decref(d);
}

static void
test_lcores(void **state)
{
	json_t *l, *list;

	r.fx.now_ns += 2 * S;
	counters(0)->lcore.busy_cycles = 250;
	counters(0)->lcore.total_cycles = 1000;
	counters(2)->lcore.rx_packets = 20;
	l = rx_call(&r, "sys.lcores", NULL);
	list = json_object_get(l, "lcores");
	assert_int_equal(json_array_size(list), 5); /* control, hs, io, 2 workers */
	assert_string_equal(text(json_array_get(list, 0), "role"), "control");
	assert_null(json_object_get(json_array_get(list, 0), "busy_pct"));
	assert_string_equal(text(json_array_get(list, 1), "role"), "hs");
	assert_string_equal(text(json_array_get(list, 2), "role"), "io");
	assert_int_equal(number(json_array_get(list, 2), "rx_packets"), 20);
	assert_int_equal(number(json_array_get(list, 2), "rx_pps"), 10);
	assert_string_equal(text(json_array_get(list, 3), "role"), "worker");
	assert_true(json_real_value(json_object_get(json_array_get(list, 3), "busy_pct")) == 25.0);
	json_decref(l);
}

static void
test_ports(void **state)
{
	json_t *p, *port;

	p = rx_call(&r, "port.list", NULL);
	port = json_array_get(json_object_get(p, "ports"), 1);
	assert_string_equal(text(port, "name"), "lan");
	assert_string_equal(text(port, "mac"), "02:00:00:00:00:02");
	assert_string_equal(text(port, "link"), "down");
	rx_is(json_object_get(port, "addresses"),
	      "[{\"prefix\":\"10.20.0.1/24\"},{\"prefix\":\"fd20::1/64\"},"
	      "{\"prefix\":\"10.7.0.1/24\",\"vlan\":7}]");
	rx_is(json_object_get(port, "warnings"), "[\"no link\"]");
	json_decref(p);
	/* suspected partial checksums, on ports of the kernel only (D41) */
	counters(1)->drops[SL_DROP_L4_CHECKSUM] = 12;
	snprintf(r.fx.lan.driver, sizeof(r.fx.lan.driver), "net_af_packet");
	p = rx_call(&r, "port.list", NULL);
	port = json_array_get(json_object_get(p, "ports"), 0);
	assert_int_equal(json_array_size(json_object_get(port, "warnings")), 1);
	port = json_array_get(json_object_get(p, "ports"), 1);
	assert_int_equal(json_array_size(json_object_get(port, "warnings")), 2);
	assert_non_null(
		strstr(json_string_value(json_array_get(json_object_get(port, "warnings"), 1)),
		       "ethtool -K DEVICE tx off"));
	json_decref(p);
	p = rx_call(&r, "port.stats", "{\"port\":\"lan\"}");
	assert_int_equal(json_array_size(json_object_get(p, "ports")), 1);
	json_decref(p);
	rx_refused(&r, "port.stats", "{\"port\":\"dmz\"}", -ENOENT, "port_unknown", "/port");
}

static void
test_health(void **state)
{
	json_t *h;
	char *dump;

	r.fx.now_ns += 90 * S;
	rx_do(&r, "interface.set", "{\"interface\":\"wg1\"}");
	h = rx_call(&r, "sys.health", NULL);
	assert_int_equal(number(h, "uptime_s"), 90);
	assert_true(json_is_false(json_object_get(h, "ok")));
	dump = json_dumps(json_object_get(h, "problems"), 0);
	assert_non_null(strstr(dump, "no hugepages"));
	assert_non_null(strstr(dump, "port wan has no link"));
	assert_non_null(strstr(dump, "interface wg1 has no private key"));
	assert_non_null(strstr(dump, "interface wg1 has no inside"));
	assert_null(strstr(dump, "wg0"));
	free(dump);
	json_decref(h);
}

/* --- modes ---------------------------------------------------------------------------------- */

static void
test_mode(void **state)
{
	json_t *m;

	m = rx_call(&r, "authz.mode.set",
		    "{\"default\":\"enforce\",\"comment\":\"after\\nreview\",\"force\":true}");
	rx_is(json_object_get(m, "previous"),
	      "{\"default\":\"observe\",\"panic\":\"off\",\"prefixes\":[],\"from_state\":false}");
	assert_int_equal(number(m, "generation"), (json_int_t)sl_gw_generation(r.fx.gw));
	json_decref(m);
	rx_do(&r, "authz.mode.set",
	      "{\"prefixes\":[\"10.20.0.10/32\",\"fd20::/64\"],\"mode\":\"observe\"}");
	rx_do(&r, "authz.mode.set", "{\"panic\":\"observe\"}");
	m = rx_call(&r, "authz.mode.get", NULL);
	rx_is(m, "{\"default\":\"enforce\",\"panic\":\"observe\",\"prefixes\":[{\"prefix\":\"10.20."
		 "0.10/32\","
		 "\"mode\":\"observe\"},{\"prefix\":\"fd20::/"
		 "64\",\"mode\":\"observe\"}],\"from_state\":false}");
	json_decref(m);
	rx_do(&r, "authz.mode.set",
	      "{\"prefixes\":[\"10.20.0.10/32\"],\"mode\":\"default\",\"force\":true}");
	rx_do(&r, "authz.mode.set", "{\"panic\":\"off\"}");
	assert_string_equal(
		r.log,
		"2 audit: authz.mode.set by uid:0: default: observe -> enforce, forced: 0 flows "
		"would "
		"be denied, 0 of 86400 s covered (after?review)\n"
		"2 audit: authz.mode.set by uid:0: prefix 10.20.0.10/32: default -> observe\n"
		"2 audit: authz.mode.set by uid:0: prefix fd20::/64: default -> observe\n"
		"2 audit: authz.mode.set by uid:0: panic: off -> observe\n"
		"2 audit: authz.mode.set by uid:0: prefix 10.20.0.10/32: observe -> default, "
		"forced: "
		"0 flows would be denied, 0 of 86400 s covered\n"
		"2 audit: authz.mode.set by uid:0: panic: observe -> off\n");
}

static void
test_mode_errors(void **state)
{
	json_t *result, *params = json_pack("{s:s}", "default", "enforce");

	rx_refused(&r, "authz.mode.set", "{}", -EINVAL, "param_conflict", "");
	rx_refused(&r, "authz.mode.set", "{\"default\":\"observe\",\"panic\":\"off\"}", -EINVAL,
		   "param_conflict", "");
	rx_refused(&r, "authz.mode.set", "{\"prefixes\":[\"10.0.0.0/8\"]}", -EINVAL,
		   "param_missing", "/mode");
	rx_refused(&r, "authz.mode.set", "{\"mode\":\"observe\",\"default\":\"observe\"}", -EINVAL,
		   "param_conflict", "/mode");
	rx_refused(&r, "authz.mode.set",
		   "{\"prefixes\":[\"10.0.0.0/8\",\"10.0.0.1/8\"],\"mode\":\"enforce\"}", -EINVAL,
		   "prefix_host_bits", "/prefixes/1");
	assert_string_equal(r.e.hint, "10.0.0.0/8");
	rx_refused(&r, "authz.mode.set", "{\"prefixes\":[\"10.0.0.0/8\"],\"mode\":\"default\"}",
		   -ENOENT, "not_found", "/prefixes/0");
	assert_string_equal(r.log, "");
	/* never from afar (D6) */
	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "authz.mode.set", params, &result, &r.e),
			 -EPERM);
	assert_string_equal(r.e.reason, "local_only_setting");
	json_decref(params);
	result = rx_call(&r, "authz.mode.get", NULL);
	assert_string_equal(text(result, "default"), "observe");
	json_decref(result);
}

/* What was set at run time is kept and goes before the file (D6). */
static void
test_mode_kept(void **state)
{
	char dir[] = "/tmp/sl-mode-XXXXXX", file[64];
	json_t *result, *params = json_pack("{s:s}", "default", "observe");
	static struct rx k;

	assert_non_null(mkdtemp(dir));
	fx_init(&k.fx);
	k.fx.conf.state_dir = dir;
	rx_open(&k);
	rx_do(&k, "authz.mode.set", "{\"default\":\"enforce\",\"force\":true}");
	rx_close(&k);
	rx_open(&k);
	assert_int_equal(sl_rpc_call(k.rpc, &rx_config, "authz.mode.set", params, &result, &k.e),
			 0);
	json_decref(result);
	assert_string_equal(k.log, "");
	result = rx_call(&k, "authz.mode.get", NULL);
	assert_string_equal(text(result, "default"), "enforce");
	assert_true(json_is_true(json_object_get(result, "from_state")));
	json_decref(result);
	/* a person may */
	assert_int_equal(sl_rpc_call(k.rpc, &rx_unix, "authz.mode.set", params, &result, &k.e), 0);
	json_decref(result);
	json_decref(params);
	rx_fini(&k);
	for (unsigned i = 0; i < 3; i++) {
		static const char *const names[] = {"authz-mode.json", "evidence",
						    "evidence-times"};

		snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
		unlink(file);
	}
	rmdir(dir);
}

/* --- the rest ------------------------------------------------------------------------------- */

static void
test_system(void **state)
{
	json_t *v;

	v = rx_call(&r, "rpc.hello", NULL);
	assert_string_equal(text(v, "boot_id"), "00112233445566778899aabbccddeeff");
	assert_string_equal(text(v, "schema"), sl_schema_gateway_version);
	json_decref(v);
	v = rx_call(&r, "rpc.methods", NULL);
	assert_int_equal(json_array_size(json_object_get(v, "methods")), sl_schema_gateway_n);
	json_decref(v);
	v = rx_call(&r, "sys.mem", NULL);
	assert_int_equal(number(v, "mbufs_total"), 1023);
	json_decref(v);
	v = rx_call(&r, "sys.log_level.set", "{\"level\":\"debug\"}");
	assert_string_equal(text(v, "previous"), "info");
	assert_int_equal(sl_log_get_level(), SL_LOG_DEBUG);
	json_decref(v);
	sl_log_set_level(SL_LOG_INFO);
	rx_do(&r, "sys.shutdown", NULL);
	assert_true(r.quit);
	assert_non_null(strstr(r.log, "audit: sys.shutdown by uid:0"));
}

/** The newest record of an action; all its members are in `sluice`. */
static json_t *
recorded(const char *action, const char *outcome)
{
	char params[64];
	json_t *v, *record, *event;

	sl_drain_poll(r.drain);
	snprintf(params, sizeof(params), "{\"action\":\"%s\",\"limit\":1}", action);
	v = rx_call(&r, "audit.recent", params);
	record = json_incref(json_array_get(json_object_get(v, "records"), 0));
	json_decref(v);
	assert_non_null(record);
	event = json_object_get(record, "event");
	assert_string_equal(text(event, "action"), action);
	assert_string_equal(text(event, "outcome"), outcome);
	assert_string_equal(text(event, "dataset"), "sluice.control");
	v = json_incref(json_object_get(record, "sluice"));
	json_decref(record);
	return v;
}

/* Every change leaves a record: who, what, how it was and how it is. */
static void
test_trail(void **state)
{
	json_t *v;

	rx_do(&r, "peer.add",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"name\":\"bob\",\"allowed_ips\":"
	      "[\"10.7.0.3/32\"],\"endpoint\":\"203.0.113.9:1\"}");
	v = recorded("peer-add", "success");
	rx_is(v,
	      "{\"method\":\"peer.add\",\"principal\":\"uid:0\",\"params\":{\"interface\":\"wg0\","
	      "\"public_key\":\"" BOB "\",\"name\":\"bob\",\"allowed_ips\":[\"10.7.0.3/32\"],"
	      "\"endpoint\":\"(not recorded)\"},\"after\":{\"name\":\"bob\",\"public_key\":\"" BOB
	      "\",\"enabled\":true,\"allowed_ips\":[\"10.7.0.3/32\"],\"persistent_keepalive\":0,"
	      "\"preshared_key\":false}}");
	json_decref(v);
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB
	      "\",\"enabled\":false,\"name\":\"bob\"}");
	v = recorded("peer-set", "success");
	rx_is(json_object_get(v, "before"), "{\"enabled\":true}");
	rx_is(json_object_get(v, "after"), "{\"enabled\":false}");
	json_decref(v);
	rx_do(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"bob\"}");
	v = recorded("peer-remove", "success");
	assert_string_equal(text(json_object_get(v, "before"), "public_key"), BOB);
	assert_null(json_object_get(v, "after"));
	json_decref(v);
	rx_refused(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"bob\"}", -ENOENT,
		   "not_found", "/peer");
	v = recorded("peer-remove", "failure");
	rx_is(v, "{\"method\":\"peer.remove\",\"principal\":\"uid:0\",\"params\":{\"interface\":"
		 "\"wg0\","
		 "\"peer\":\"bob\"},\"reason\":\"not_found\"}");
	json_decref(v);
	rx_do(&r, "interface.set", "{\"interface\":\"wg0\",\"mtu\":1400}");
	v = recorded("interface-set", "success");
	rx_is(json_object_get(v, "before"), "{\"mtu\":1420}");
	rx_is(json_object_get(v, "after"), "{\"mtu\":1400}");
	json_decref(v);
	rx_do(&r, "route.add", "{\"prefix\":\"10.9.0.0/16\",\"blackhole\":true}");
	v = recorded("route-add", "success");
	rx_is(json_object_get(v, "params"), "{\"prefix\":\"10.9.0.0/16\",\"blackhole\":true}");
	json_decref(v);
}

/* A long list is told by its size, and a file's calls leave no records of their own. */
static void
test_trail_short(void **state)
{
	json_t *v, *p, *list = json_array(), *result;

	for (unsigned i = 0; i < 65; i++)
		json_array_append_new(list, json_sprintf("10.8.%u.0/24", i));
	p = json_pack("{s:s, s:s, s:o}", "interface", "wg0", "public_key", BOB, "allowed_ips",
		      list);
	assert_int_equal(sl_rpc_call(r.rpc, &rx_config, "peer.set", p, &result, &r.e), 0);
	json_decref(result);
	v = rx_call(&r, "audit.recent", "{\"action\":\"peer-set\"}");
	assert_int_equal(json_array_size(json_object_get(v, "records")), 0);
	json_decref(v);
	json_object_set_new(p, "persistent_keepalive", json_integer(25));
	assert_int_equal(sl_rpc_call(r.rpc, &rx_unix, "peer.set", p, &result, &r.e), 0);
	json_decref(result);
	json_decref(p);
	v = recorded("peer-set", "success");
	assert_string_equal(text(json_object_get(v, "params"), "allowed_ips"), "(65 items)");
	rx_is(json_object_get(v, "before"), "{\"persistent_keepalive\":0}");
	json_decref(v);
}

static int
one_token(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	if (strcmp(token, "slt_good") != 0)
		return -EACCES;
	out->who = (struct sl_principal){.name = "token:good", .roles = SL_SR_BIT(SL_SR_VIEWER)};
	return 0;
}

/** A listener with a login, in clear. @param[out] base its loop */
static struct sl_rpc_server *
open_listener(struct event_base **base, struct sockaddr_in *sa)
{
	struct sl_endpoint at = {.ip = {.family = 4, .b = {127, 0, 0, 1}}};
	const struct sl_rpc_auth auth = {.token = one_token};
	struct sl_rpc_server *server;
	socklen_t len = sizeof(*sa);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	*sa = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_int_equal(bind(fd, (struct sockaddr *)sa, sizeof(*sa)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)sa, &len), 0);
	close(fd);
	at.port = ntohs(sa->sin_port);
	*base = event_base_new();
	server = sl_rpc_server_new(*base, r.rpc);
	assert_int_equal(sl_ctl_watch_logins(&r.ctl, server), 0);
	if (sl_rpc_server_tls(server, &at, NULL, &auth, NULL, &r.e) != 0)
		fail_msg("%s", r.e.message);
	return server;
}

/** Log in with this token, and wait for the answer. */
static void
log_in(struct event_base *base, const struct sockaddr_in *sa, const char *token)
{
	char line[160], answer[512];
	int n, fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (const struct sockaddr *)sa, sizeof(*sa)), 0);
	n = snprintf(
		line, sizeof(line),
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"auth.login\",\"params\":{\"token\":"
		"\"%s\",\"client\":\"slt_good\"}}\n",
		token);
	assert_int_equal(send(fd, line, (size_t)n, 0), n);
	for (unsigned i = 0; i < 2000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (recv(fd, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			break;
		usleep(1000);
		assert_true(i < 1999);
	}
	close(fd);
	event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Logins are records of the gateway's own: each that succeeds; refused ones by their number. */
static void
test_trail_logins(void **state)
{
	struct sl_rpc_server *server;
	struct event_base *base;
	struct sockaddr_in sa;
	json_t *v, *event;

	server = open_listener(&base, &sa);
	log_in(base, &sa, "slt_good");
	v = recorded("user-login", "success");
	rx_is(v, "{\"principal\":\"token:good\",\"roles\":[\"viewer\"],\"from\":\"127.0.0.1\"}");
	json_decref(v);
	for (unsigned i = 0; i < 3; i++)
		log_in(base, &sa, "slt_bad");
	json_decref(recorded("user-login", "success")); /* refused ones come together */
	sl_rpc_server_tell_refused(server);
	v = recorded("user-login", "failure");
	rx_is(v, "{\"from\":\"127.0.0.1\",\"count\":3}");
	json_decref(v);
	v = rx_call(&r, "audit.recent", "{\"action\":\"user-login\"}");
	assert_int_equal(json_array_size(json_object_get(v, "records")), 2);
	for (unsigned i = 0; i < 2; i++) {
		event = json_object_get(json_array_get(json_object_get(v, "records"), i), "event");
		rx_is(json_object_get(event, "category"), "[\"authentication\"]");
		rx_is(json_object_get(event, "type"), i == 0 ? "[\"start\"]" : "[\"denied\"]");
	}
	json_decref(v);
	sl_rpc_server_free(server);
	event_base_free(base);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_interface),
		T(test_interface_errors),
		T(test_managed),
		T(test_peer),
		T(test_move),
		T(test_psk),
		T(test_log),
		T(test_pages),
		T(test_routes),
		T(test_rates),
		T(test_drops),
		T(test_lcores),
		T(test_ports),
		T(test_health),
		T(test_mode),
		T(test_mode_errors),
		cmocka_unit_test(test_mode_kept),
		T(test_system),
		T(test_trail),
		T(test_trail_short),
		T(test_trail_logins),
	};

	fx_start("test_rpc_handlers");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
