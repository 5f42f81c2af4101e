/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_util.h"

/** Attaching must fail so, with a remedy. */
static void
refuse(const char *device, uint16_t mtu, int err, const char *reason, const char *text)
{
	struct port_case t = {
		.c = {.name = "wan", .device = device, .rxq = 1, .txq = 1, .mtu = mtu}};
	uint16_t ports = rte_eth_dev_count_avail();

	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), err);
	assert_int_equal(t.e.err, err);
	assert_string_equal(t.e.reason, reason);
	if (strstr(t.e.message, text) == NULL && strstr(t.e.hint, text) == NULL)
		fail_msg("no \"%s\" in \"%s\" / \"%s\"", text, t.e.message, t.e.hint);
	assert_int_equal(t.e.path[0], '/');
	assert_int_equal(rte_eth_dev_count_avail(), ports);
	sl_port_close(&t.p); /* nothing to close */
}

static void
missing_devices(void **state)
{
	refuse("lan0", 0, -ENODEV, "device_missing", "no device \"lan0\"");
	refuse("0000:ff:1f.7", 0, -ENODEV, "device_missing", "no PCI device 0000:ff:1f.7");
	refuse("ff:1f.7", 0, -ENODEV, "device_missing", "no PCI device 0000:ff:1f.7");
	refuse("net_af_packet0,iface=nosuch0", 0, -ENODEV, "device_missing",
	       "no network interface \"nosuch0\"");
	refuse("net_af_xdp0,iface=nosuch0", 0, -ENODEV, "device_missing",
	       "no network interface \"nosuch0\"");
	refuse("net_pcap0,iface=nosuch0", 0, -ENODEV, "device_missing",
	       "no network interface \"nosuch0\"");
	refuse("net_af_packet0,iface=a-name-that-is-too-long", 0, -ENODEV, "device_missing",
	       "no network interface");
}

static void
invalid_devices(void **state)
{
	char text[200];

	refuse("", 0, -EINVAL, "device_invalid", "no name");
	refuse(NULL, 0, -EINVAL, "device_invalid", "no name");
	refuse(",iface=lo", 0, -EINVAL, "device_invalid", "no name");
	refuse("net_af_packet0", 0, -EINVAL, "device_invalid", "lacks the argument iface=");
	refuse("net_virtio_user0", 0, -EINVAL, "device_invalid", "lacks the argument path=");
	refuse("net_nosuchdriver0", 0, -EINVAL, "device_invalid", "name of a DPDK driver");
	refuse("net_null0,colour=red", 0, -EINVAL, "device_invalid", "known arguments: size");
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	refuse(text, 0, -EINVAL, "device_invalid", "too long");
	memcpy(text, "net_null0,", 10);
	refuse(text, 0, -EINVAL, "device_invalid", "too long");
}

static void
a_device_belongs_to_one_port(void **state)
{
	struct port_case t = {.c = {.name = "a", .device = "net_null0", .rxq = 1, .txq = 1}};

	open_port(&t, pool);
	refuse("net_null0", 0, -EBUSY, "device_busy", "another port uses net_null0");
	refuse("net_null0,size=100", 0, -EBUSY, "device_busy", "another number");
	sl_port_close(&t.p);
	open_port(&t, pool); /* free again */
	sl_port_close(&t.p);
}

static void
a_device_of_others_is_not_made_anew(void **state)
{
	struct port_case t = {.c = {.name = "a", .device = "net_null7", .rxq = 1, .txq = 1}};

	assert_int_equal(rte_eal_hotplug_add("vdev", "net_null7", "size=100"), 0);
	refuse("net_null7,size=200", 0, -EBUSY, "device_busy", "with other arguments");
	open_port(&t, pool);
	assert_false(t.p.vdev_created);
	sl_port_close(&t.p);
	assert_int_equal(rte_eth_dev_count_avail(), 1); /* left to its owner */
	assert_int_equal(rte_eal_hotplug_remove("vdev", "net_null7"), 0);
}

static void
buffers_must_hold_a_frame(void **state)
{
	struct port_case t = {
		.c = {.name = "a", .device = "net_null0", .rxq = 1, .txq = 1, .mtu = 2034}};

	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), 0);
	assert_int_equal(sl_port_start(&t.c, &t.p, pool, &t.e), 0); /* 2,048 with its header */
	sl_port_close(&t.p);
	t.c.vlan = true; /* 4 more */
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), 0);
	assert_int_equal(sl_port_start(&t.c, &t.p, pool, &t.e), -EINVAL);
	assert_string_equal(t.e.reason, "mtu_too_large");
	assert_non_null(strstr(t.e.message, "2052"));
	assert_non_null(strstr(t.e.hint, "MTU 2030"));
	assert_false(t.p.started);
	t.c.mtu = 2030; /* a failed start may be repeated */
	assert_int_equal(sl_port_start(&t.c, &t.p, pool, &t.e), 0);
	sl_port_close(&t.p);
}

static void
closing_what_was_never_opened(void **state)
{
	struct port_case t = {.c = {.name = "a", .device = "net_null0", .rxq = 1, .txq = 1}};
	struct sl_port zero = {0};

	open_port(&t, pool);
	sl_port_close(&zero); /* must not take ethdev 0 with it */
	assert_true(rte_eth_dev_is_valid_port(t.p.ethdev));
	sl_port_close(&t.p);
}

int
run_error_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(missing_devices),
		cmocka_unit_test(invalid_devices),
		cmocka_unit_test(a_device_belongs_to_one_port),
		cmocka_unit_test(a_device_of_others_is_not_made_anew),
		cmocka_unit_test(buffers_must_hold_a_frame),
		cmocka_unit_test(closing_what_was_never_opened),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
