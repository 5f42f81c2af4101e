/* SPDX-License-Identifier: BSD-3-Clause */
/* Each rule of the one validator, broken on purpose: reason, path, the value in the message; and
 * nothing changes. */
#include "gw_fixture.h"

static struct fx fx;

static int
setup(void **state)
{
	fx_init(&fx);
	fx_open(&fx);
	*state = &fx;
	return 0;
}

static int
teardown(void **state)
{
	fx_fini(*state);
	return 0;
}

static int
setup_two_ports(void **state)
{
	setup(state);
	fx_ports(*state);
	fx_iface(*state, "wg0", 51820);
	return 0;
}

#define IFACE(...) sl_gw_iface_set(f->gw, &(struct sl_gw_iface_spec){__VA_ARGS__}, &f->e)
#define PEER(...)                                                                                  \
	sl_gw_peer_set(f->gw, &(struct sl_gw_peer_spec){.iface = "wg0", __VA_ARGS__}, &f->e)
#define ROUTE(...) sl_gw_route_add(f->gw, &(struct sl_gw_route_spec){__VA_ARGS__}, &f->e)

static void
test_iface_names(void **state)
{
	static const char *const bad[] = {"",	 "0123456789abcdef", "a/b", "..", ".",
					  "a b", "w\xc3\xa9"};
	struct fx *f = *state;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(bad); i++)
		fx_refused(f, IFACE(.name = bad[i]), -EINVAL, "name_invalid", "/name");
	fx_refused(f, IFACE(.name = NULL), -EINVAL, "name_invalid", "/name");
	assert_int_equal(IFACE(.name = "wg-A_1.0123456"), 0);
}

static void
test_listen_ports(void **state)
{
	struct fx *f = *state;
	struct sl_gw_iface_info i;

	fx_refused(f, IFACE(.name = "wg1", .fields = SL_IF_LISTEN_PORT, .listen_port = 443),
		   -EINVAL, "port_443", "/listen_port");
	fx_refused(f, IFACE(.name = "wg1", .fields = SL_IF_LISTEN_PORT, .listen_port = 51820),
		   -EADDRINUSE, "port_in_use", "/listen_port");
	assert_non_null(strstr(f->e.message, "wg0"));
	assert_false(sl_gw_iface_find(f->gw, "wg1", NULL));
	/* 0 chooses a free one; the own one is no conflict */
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_LISTEN_PORT), 0);
	assert_true(sl_gw_iface_find(f->gw, "wg1", &i));
	assert_int_equal(i.listen_port, 51821);
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_LISTEN_PORT, .listen_port = 51821),
			 0);
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_LISTEN_PORT, .listen_port = 30000),
			 0);
	assert_int_equal(IFACE(.name = "wg2", .fields = SL_IF_LISTEN_PORT, .listen_port = 51821),
			 0);
}

static void
test_iface_values(void **state)
{
	struct fx *f = *state;
	struct sl_secret zero = {{0}};

	fx_refused(f, IFACE(.name = "wg0", .fields = SL_IF_MTU, .mtu = 1279), -ERANGE, "mtu_range",
		   "/mtu");
	fx_refused(f, IFACE(.name = "wg0", .fields = SL_IF_MTU, .mtu = 9001), -ERANGE, "mtu_range",
		   "/mtu");
	fx_refused(f, IFACE(.name = "wg0", .fields = SL_IF_UDP_CSUM, .udp_csum = 3), -EINVAL,
		   "udp_csum_invalid", "/outer_udp_checksum");
	fx_refused(f,
		   IFACE(.name = "wg0", .fields = SL_IF_KEY, .key_source = SL_KEY_FILE,
			 .key = &zero),
		   -EINVAL, "key_invalid", "/private_key");
	fx_refused(f, IFACE(.name = "wg0", .fields = SL_IF_KEY, .key_source = SL_KEY_UAPI), -EINVAL,
		   "key_invalid", "/private_key");
}

static void
test_iface_addresses(void **state)
{
	struct fx *f = *state;
	static struct sl_prefix many[SL_IFACE_ADDRS + 1];
	struct sl_prefix multicast[] = {fx_prefix("10.1.0.1/24"), fx_prefix("224.0.0.1/24")};
	struct sl_prefix twice[] = {fx_prefix("10.1.0.1/24"), fx_prefix("10.1.0.1/16")};
	struct sl_prefix good[] = {fx_prefix("10.1.0.1/24"), fx_prefix("fd01::1/64")};
	unsigned i;

	fx_refused(f,
		   IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = multicast,
			 .n_addresses = 2),
		   -EINVAL, "address_invalid", "/addresses/1");
	fx_refused(f,
		   IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = twice,
			 .n_addresses = 2),
		   -EEXIST, "address_in_use", "/addresses/1");
	for (i = 0; i < SL_ARRAY_SIZE(many); i++) {
		many[i] = fx_prefix("10.1.0.1/24");
		sl_store_be16(many[i].ip.b + 2, (uint16_t)(i + 1));
	}
	fx_refused(f,
		   IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = many,
			 .n_addresses = SL_IFACE_ADDRS + 1),
		   -ENOSPC, "limit_addresses", "/addresses");
	assert_int_equal(IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = many,
			       .n_addresses = SL_IFACE_ADDRS),
			 0);
	assert_int_equal(IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = good,
			       .n_addresses = 2),
			 0);
	/* another interface with the same inside */
	fx_iface(f, "wg1", 51821);
	fx_refused(f,
		   IFACE(.name = "wg1", .fields = SL_IF_ADDRESSES, .addresses = good + 1,
			 .n_addresses = 1),
		   -EEXIST, "address_in_use", "/addresses/0");
	/* and with an inside of its own: the same address is fine (D36) */
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_ADDRESSES | SL_IF_INSIDE,
			       .inside_port = "lan", .inside_vlan = 7, .addresses = good,
			       .n_addresses = 2),
			 0);
}

static void
test_inside(void **state)
{
	struct fx *f = *state;
	struct sl_prefix bits = fx_prefix("10.20.0.1/24"), good = fx_prefix("10.20.0.0/16");

	fx_refused(f, IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "nope"), -ENOENT,
		   "port_unknown", "/inside/port");
	fx_refused(f,
		   IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "lan",
			 .inside_vlan = 4095),
		   -EINVAL, "vlan_invalid", "/inside/port");
	fx_refused(f,
		   IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_prefixes = &good,
			 .n_inside_prefixes = 1),
		   -EINVAL, "inside_port_missing", "/inside/port");
	fx_refused(f,
		   IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "lan",
			 .inside_prefixes = &bits, .n_inside_prefixes = 1),
		   -EINVAL, "inside_host_bits", "/inside/prefixes/0");
	assert_non_null(strstr(f->e.hint, "10.20.0.0/24"));
	/* the wan carries the default route: an inside there needs prefixes (D35) */
	assert_int_equal(ROUTE(.prefix = fx_prefix("0.0.0.0/0"), .via = fx_ip("192.0.2.254")), 0);
	fx_refused(f, IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "wan"), -EINVAL,
		   "inside_required", "/inside/prefixes");
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "wan",
			       .inside_prefixes = &good, .n_inside_prefixes = 1),
			 0);
	/* and the other way about: the route comes after the inside */
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.99.0.0/16"), .via = fx_ip("10.20.0.254")),
		   -EINVAL, "inside_required", "/port");
	assert_int_equal(ROUTE(.prefix = fx_prefix("10.99.0.0/16"), .via = fx_ip("10.20.0.254"),
			       .iface = "wg0"),
			 0);
}

static void
test_one_armed(void **state)
{
	struct fx *f = *state;
	struct sl_gw_addr a = {0, fx_prefix("10.0.0.5/24")};
	struct sl_prefix good = fx_prefix("10.0.0.0/16");

	f->wan = (struct sl_port){.name = "eth", .mtu = 1500, .mac = {2, 0, 0, 0, 0, 1}};
	assert_int_equal(sl_gw_port_add(f->gw, 0, &f->wan, &a, 1, &f->e), 0);
	fx_refused(f, IFACE(.name = "wg0", .fields = SL_IF_INSIDE, .inside_port = "eth"), -EINVAL,
		   "inside_required", "/inside/prefixes");
	assert_non_null(strstr(f->e.message, "only port"));
	assert_int_equal(IFACE(.name = "wg0", .fields = SL_IF_INSIDE, .inside_port = "eth",
			       .inside_prefixes = &good, .n_inside_prefixes = 1),
			 0);
}

static void
test_ports(void **state)
{
	struct fx *f = *state;
	struct sl_port p = {.name = "lan", .mtu = 1500, .mac = {2}};
	struct sl_gw_addr bad[] = {{0, fx_prefix("10.1.0.1/24")}, {0, fx_prefix("10.1.0.1/8")}};
	struct sl_gw_addr multi = {0, fx_prefix("ff02::1/64")}, vlan = {4095, bad[0].prefix};

	fx_refused(f, sl_gw_port_add(f->gw, 1, &p, NULL, 0, &f->e), -EEXIST, "port_in_use", "");
	fx_refused(f, sl_gw_port_add(f->gw, 5, &p, NULL, 0, &f->e), -EEXIST, "name_in_use",
		   "/name");
	fx_refused(f, sl_gw_port_add(f->gw, SL_PORT_MAX, &p, NULL, 0, &f->e), -ENOSPC,
		   "limit_ports", "");
	snprintf(p.name, sizeof(p.name), "new");
	fx_refused(f, sl_gw_port_add(f->gw, 5, &p, bad, 2, &f->e), -EEXIST, "address_in_use",
		   "/addresses/1");
	fx_refused(f, sl_gw_port_add(f->gw, 5, &p, &multi, 1, &f->e), -EINVAL, "address_invalid",
		   "/addresses/0");
	fx_refused(f, sl_gw_port_add(f->gw, 5, &p, &vlan, 1, &f->e), -EINVAL, "vlan_invalid",
		   "/addresses/0");
}

static void
test_peer_keys_and_names(void **state)
{
	struct fx *f = *state;
	struct sl_pubkey none = {{0}}, found;
	struct sl_gw_peer_info info;
	char b64[SL_KEY_B64_LEN + 1];

	fx_refused(f,
		   sl_gw_peer_set(f->gw,
				  &(struct sl_gw_peer_spec){.iface = "nope",
							    .public_key = fx_key(1)},
				  &f->e),
		   -ENOENT, "interface_unknown", "/interface");
	fx_refused(f, PEER(.public_key = none), -EINVAL, "key_invalid", "/public_key");
	fx_refused(f, PEER(.public_key = fx_key(9000 + 51820)), -EINVAL, "peer_is_self",
		   "/public_key");
	fx_refused(f, PEER(.public_key = fx_key(1), .fields = SL_PF_NAME, .name = ""), -EINVAL,
		   "name_invalid", "/name");
	fx_refused(f, PEER(.public_key = fx_key(1), .fields = SL_PF_NAME, .name = "a b"), -EINVAL,
		   "name_invalid", "/name");
	sl_key_to_base64(fx_key(7).b, b64);
	fx_refused(f, PEER(.public_key = fx_key(1), .fields = SL_PF_NAME, .name = b64), -EINVAL,
		   "name_invalid", "/name");
	assert_int_equal(PEER(.public_key = fx_key(1), .fields = SL_PF_NAME, .name = "alice"), 0);
	fx_refused(f, PEER(.public_key = fx_key(2), .fields = SL_PF_NAME, .name = "alice"), -EEXIST,
		   "name_in_use", "/name");
	fx_refused(f, PEER(.public_key = fx_key(1), .create_only = true), -EEXIST, "exists",
		   "/public_key");
	/* the default name, and finding by either */
	assert_int_equal(PEER(.public_key = fx_key(2)), 0);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &(struct sl_pubkey){{0}}, &info), -ENOENT);
	found = fx_key(2);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &found, &info), 0);
	sl_key_to_base64(fx_key(2).b, b64);
	assert_memory_equal(info.name, b64, 8);
	assert_int_equal(strlen(info.name), 8);
	assert_int_equal(sl_gw_peer_lookup(f->gw, "wg0", "alice", &found, &f->e), 0);
	assert_memory_equal(found.b, fx_key(1).b, 32);
	assert_int_equal(sl_gw_peer_lookup(f->gw, "wg0", b64, &found, &f->e), 0);
	assert_memory_equal(found.b, fx_key(2).b, 32);
	fx_refused(f, sl_gw_peer_lookup(f->gw, "wg0", "bob", &found, &f->e), -ENOENT, "not_found",
		   "/peer");
	/* a rename frees the old name */
	assert_int_equal(PEER(.public_key = fx_key(1), .fields = SL_PF_NAME, .name = "eve"), 0);
	assert_int_equal(PEER(.public_key = fx_key(2), .fields = SL_PF_NAME, .name = "alice"), 0);
}

static void
test_peer_endpoint_and_limit(void **state)
{
	struct fx *f = *state;
	struct sl_endpoint multi = {fx_ip("239.1.1.1"), 1000}, no_port = {fx_ip("192.0.2.9"), 0};
	unsigned i;

	fx_refused(f, PEER(.public_key = fx_key(1), .fields = SL_PF_ENDPOINT, .endpoint = multi),
		   -EINVAL, "endpoint_invalid", "/endpoint");
	fx_refused(f, PEER(.public_key = fx_key(1), .fields = SL_PF_ENDPOINT, .endpoint = no_port),
		   -EINVAL, "endpoint_invalid", "/endpoint");
	assert_int_equal(PEER(.public_key = fx_key(1), .update_only = true), 0);
	assert_int_equal(sl_gw_peers_free(f->gw), 1000);
	for (i = 0; i < 1000; i++)
		assert_int_equal(PEER(.public_key = fx_key(i + 1)), 0);
	fx_refused(f, PEER(.public_key = fx_key(5000)), -ENOSPC, "limit_peers", "");
	assert_int_equal(PEER(.public_key = fx_key(5)), 0);
	fx_turn(f);
}

static void
test_allowed(void **state)
{
	struct fx *f = *state;
	struct sl_prefix bits = fx_prefix("10.7.0.9/24"), p = fx_prefix("10.7.0.0/24");
	struct sl_prefix two[] = {fx_prefix("10.8.0.0/24"), p};

	fx_refused(f,
		   PEER(.public_key = fx_key(1), .fields = SL_PF_ALLOWED_IPS, .allowed = &bits,
			.n_allowed = 1),
		   -EINVAL, "allowed_host_bits", "/allowed_ips/0");
	assert_non_null(strstr(f->e.message, "10.7.0.9/24"));
	assert_non_null(strstr(f->e.hint, "10.7.0.0/24"));
	fx_refused(f,
		   PEER(.public_key = fx_key(1), .fields = SL_PF_ALLOWED_IPS | SL_PF_ALLOWED_ADD,
			.allowed = &p, .n_allowed = 1),
		   -EINVAL, "allowed_fields", "/allowed_ips");
	assert_int_equal(PEER(.public_key = fx_key(1), .fields = SL_PF_ALLOWED_IPS | SL_PF_NAME,
			      .name = "first", .allowed = &p, .n_allowed = 1),
			 0);
	fx_refused(f,
		   PEER(.public_key = fx_key(2), .fields = SL_PF_ALLOWED_IPS | SL_PF_NAME,
			.name = "second", .allowed = two, .n_allowed = 2, .strict_allowed = true),
		   -EEXIST, "allowed_conflict", "/allowed_ips/1");
	assert_non_null(strstr(f->e.message, "\"first\""));
	assert_non_null(strstr(f->e.message, "\"second\""));
	assert_non_null(strstr(f->e.message, "10.7.0.0/24"));
}

static void
test_shared_inside(void **state)
{
	struct fx *f = *state;
	struct sl_prefix wide = fx_prefix("10.0.0.0/8"), same = fx_prefix("10.7.3.0/24");
	struct sl_prefix inside = fx_prefix("10.7.3.77/32"), own = fx_prefix("10.9.0.1/24");
	struct sl_prefix around = fx_prefix("10.9.0.0/24"), free_one = fx_prefix("10.8.0.0/24");
	struct sl_prefix *bad[] = {&wide, &same, &inside, &around};
	unsigned i;
	int rc;

	fx_iface(f, "wg1", 51821);
	fx_peer(f, "wg0", 1, "10.7.3.0/24");
	assert_int_equal(IFACE(.name = "wg0", .fields = SL_IF_ADDRESSES, .addresses = &own,
			       .n_addresses = 1),
			 0);
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		rc = sl_gw_peer_set(f->gw,
				    &(struct sl_gw_peer_spec){.iface = "wg1",
							      .public_key = fx_key(2),
							      .fields = SL_PF_ALLOWED_IPS,
							      .allowed = bad[i],
							      .n_allowed = 1},
				    &f->e);
		fx_refused(f, rc, -EEXIST, "inside_overlap", "/allowed_ips/0");
		assert_non_null(strstr(f->e.message, "/interfaces/wg0"));
	}
	fx_peer(f, "wg1", 2, "10.8.0.0/24");
	/* the same overlap brought about by an inside that moves */
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "lan",
			       .inside_vlan = 7),
			 0);
	fx_peer(f, "wg1", 2, "10.7.3.0/25");
	fx_refused(f, IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "lan"), -EEXIST,
		   "inside_overlap", "/inside/port");
	fx_peer(f, "wg1", 2, "10.8.0.0/24");
	assert_int_equal(IFACE(.name = "wg1", .fields = SL_IF_INSIDE, .inside_port = "lan"), 0);
	(void)free_one;
}

static void
test_routes(void **state)
{
	struct fx *f = *state;

	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.1/16"), .via = fx_ip("192.0.2.254")),
		   -EINVAL, "route_host_bits", "/prefix");
	assert_non_null(strstr(f->e.hint, "10.40.0.0/16"));
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16")), -EINVAL, "route_incomplete",
		   "/via");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .via = fx_ip("203.0.113.1")),
		   -EINVAL, "via_unreachable", "/via");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .via = fx_ip("2001:db8::2")),
		   -EINVAL, "via_invalid", "/via");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .via = fx_ip("192.0.2.1")),
		   -EINVAL, "via_own", "/via");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .port = "nope"), -ENOENT,
		   "port_unknown", "/port");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .port = "lan", .vlan = 9), -ENOENT,
		   "vlan_unknown", "/vlan");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .port = "wan", .iface = "nope"),
		   -ENOENT, "interface_unknown", "/interface");
	fx_refused(f, ROUTE(.prefix = fx_prefix("10.40.0.0/16"), .port = "wan", .iface = "wg0"),
		   -EINVAL, "route_not_inside", "/port");
	fx_refused(f, ROUTE(.prefix = fx_prefix("::/0"), .via = fx_ip("fe80::1")), -EINVAL,
		   "via_unreachable", "/via");
	assert_int_equal(ROUTE(.prefix = fx_prefix("::/0"), .via = fx_ip("fe80::1"), .port = "wan"),
			 0);
	fx_refused(f, sl_gw_route_del(f->gw, &(struct sl_prefix){.ip.family = 4}, NULL, &f->e),
		   -ENOENT, "not_found", "/prefix");
}

static void
test_neighbours(void **state)
{
	struct fx *f = *state;
	struct sl_ip ip = fx_ip("10.20.0.9"), own = fx_ip("10.20.0.1"), multi = fx_ip("224.0.0.1");
	static const uint8_t mac[6] = {2, 0, 0, 0, 9, 9}, group[6] = {1}, zero[6];

	fx_refused(f, sl_gw_neigh_set(f->gw, "nope", 0, &ip, mac, &f->e), -ENOENT, "port_unknown",
		   "/port");
	fx_refused(f, sl_gw_neigh_set(f->gw, "lan", 8, &ip, mac, &f->e), -ENOENT, "vlan_unknown",
		   "/vlan");
	fx_refused(f, sl_gw_neigh_set(f->gw, "lan", 0, &own, mac, &f->e), -EINVAL,
		   "address_invalid", "/ip");
	fx_refused(f, sl_gw_neigh_set(f->gw, "lan", 0, &multi, mac, &f->e), -EINVAL,
		   "address_invalid", "/ip");
	fx_refused(f, sl_gw_neigh_set(f->gw, "lan", 0, &ip, group, &f->e), -EINVAL, "mac_invalid",
		   "/mac");
	fx_refused(f, sl_gw_neigh_set(f->gw, "lan", 0, &ip, zero, &f->e), -EINVAL, "mac_invalid",
		   "/mac");
	fx_refused(f, sl_gw_neigh_del(f->gw, "lan", 0, &ip, &f->e), -ENOENT, "not_found", "/ip");
	assert_int_equal(sl_gw_neigh_set(f->gw, "lan", 0, &ip, mac, &f->e), 0);
	assert_int_equal(sl_gw_neigh_del(f->gw, "lan", 0, &ip, &f->e), 0);
}

static void
test_modes(void **state)
{
	struct fx *f = *state;
	struct sl_prefix bits = fx_prefix("10.0.0.1/8"), p = fx_prefix("10.0.0.0/8");

	fx_refused(f, sl_gw_mode_set_prefix(f->gw, &bits, SL_MODE_ENFORCE, false, &f->e), -EINVAL,
		   "prefix_host_bits", "/prefixes/0");
	fx_refused(f, sl_gw_mode_set_prefix(f->gw, &p, SL_MODE_ENFORCE, true, &f->e), -ENOENT,
		   "not_found", "/prefixes/0");
	fx_refused(f, sl_gw_mode_set_prefix(f->gw, &p, 7, false, &f->e), -EINVAL, "mode_invalid",
		   "/mode");
	fx_refused(f, sl_gw_mode_set_default(f->gw, 7, &f->e), -EINVAL, "mode_invalid", "/default");
}

/* A refused change publishes nothing and tells hs nothing. */
static void
test_nothing_changes(void **state)
{
	struct fx *f = *state;
	struct sl_prefix two[] = {fx_prefix("10.7.0.0/24"), fx_prefix("10.7.1.1/24")};
	uint64_t generation;
	unsigned n;

	fx_turn(f);
	generation = sl_gw_generation(f->gw);
	n = f->n_cmd;
	assert_int_not_equal(PEER(.public_key = fx_key(1), .fields = SL_PF_ALLOWED_IPS,
				  .allowed = two, .n_allowed = 2),
			     0);
	assert_int_not_equal(IFACE(.name = "wg0", .fields = SL_IF_MTU | SL_IF_LISTEN_PORT,
				   .listen_port = 1000, .mtu = 1),
			     0);
	fx_turn(f);
	assert_int_equal(sl_gw_generation(f->gw), generation);
	assert_int_equal(f->n_cmd, n);
	assert_int_equal(fx_view(f, "wg0")->listen_port, 51820);
	assert_int_equal(sl_gw_peers_free(f->gw), 1000);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_iface_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_listen_ports, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_iface_values, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_iface_addresses, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_inside, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_one_armed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ports, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_peer_keys_and_names, setup_two_ports,
						teardown),
		cmocka_unit_test_setup_teardown(test_peer_endpoint_and_limit, setup_two_ports,
						teardown),
		cmocka_unit_test_setup_teardown(test_allowed, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_shared_inside, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_routes, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_neighbours, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup_two_ports, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_changes, setup_two_ports, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
