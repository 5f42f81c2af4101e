/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_util.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETHERTYPE_TEST 0x88b5

const char *__lsan_default_suppressions(void);

/** libxdp keeps 80 bytes of each af_xdp device. */
const char *
__lsan_default_suppressions(void)
{
	return "leak:xsk_umem__create";
}

/** A veth pair in this process's own network namespace; it ends with the process. */
static int
make_veth(void **state)
{
	if (!have_netns)
		return 0;
	have_netns = system("ip link add dut0 type veth peer name gen0 && "
			    "ip link set dut0 up && ip link set gen0 up && "
			    "sysctl -qw net.ipv6.conf.all.disable_ipv6=1") == 0;
	return 0;
}

static void
need_veth(void)
{
	if (!have_netns)
		skip();
}

static int
packet_socket(const char *iface)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET, .sll_protocol = htons(ETHERTYPE_TEST)};
	struct timeval tv = {.tv_sec = 2};
	int fd = socket(AF_PACKET, SOCK_RAW, htons(ETHERTYPE_TEST));

	assert_true(fd >= 0);
	a.sll_ifindex = (int)if_nametoindex(iface);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return fd;
}

/** A frame each way between the port and the kernel end. */
static void
pass_frames(struct port_case *t, struct rte_mempool *mp, const char *iface, unsigned len)
{
	struct rte_mbuf *m = make_frame(mp, len, 5);
	int fd = packet_socket(iface);
	uint8_t back[16384];

	assert_int_equal(send(fd, rte_pktmbuf_mtod(m, void *), len, 0), len);
	assert_true(wait_frame(&t->p, len, 5));
	assert_int_equal(rte_eth_tx_burst(t->p.ethdev, 0, &m, 1), 1);
	assert_int_equal(recv(fd, back, sizeof(back), 0), len);
	assert_int_equal(back[len - 1], (uint8_t)(5 + len - 1));
	close(fd);
}

static void
af_packet(void **state)
{
	struct port_case t = {
		.c = {.name = "wan", .device = "net_af_packet0,iface=dut0", .rxq = 1, .txq = 3}};
	struct sl_port_stats st;
	struct sl_port_link l;

	need_veth();
	open_port(&t, pool);
	assert_int_equal(t.p.rxq, 1);
	assert_int_equal(t.p.txq, 1); /* pairs */
	assert_false(t.p.rss);
	assert_false(t.p.rx_csum);
	assert_false(t.p.tx_csum_udp);
	pass_frames(&t, pool, "gen0", 60);
	pass_frames(&t, pool, "gen0", 1514);
	sl_port_link(&t.p, &l);
	assert_true(l.up);
	sl_port_stats(&t.p, &st);
	assert_true(st.tx_packets >= 2);
	assert_true(st.rx_bytes >= 1574);
	sl_port_close(&t.p);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
}

/* What arrives while nobody polls waits in the ring, unless the operator wants a short one. */
static void
af_packet_rings_are_long(void **state)
{
	struct port_case t = {
		.c = {.name = "wan", .device = "net_af_packet0,iface=dut0", .rxq = 1, .txq = 1}};
	struct rte_mbuf *got[32];
	uint8_t frame[100];

	need_veth();
	memset(frame, 0xff, sizeof(frame));
	frame[12] = ETHERTYPE_TEST >> 8;
	frame[13] = ETHERTYPE_TEST & 0xff;
	for (unsigned k = 0; k < 2; k++) {
		unsigned total = 0, n;
		int fd;

		open_port(&t, pool);
		fd = packet_socket("gen0");
		for (unsigned i = 0; i < 3000; i++)
			assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
		close(fd);
		while ((n = rte_eth_rx_burst(t.p.ethdev, 0, got, 32)) > 0) {
			total += n;
			rte_pktmbuf_free_bulk(got, (uint16_t)n);
		}
		sl_port_close(&t.p);
		if (k == 0)
			assert_in_range(total, 3000, 3100);
		else
			assert_in_range(total, 1, 1024);
		t.c.device = "net_af_packet0,iface=dut0,framecnt=1024";
	}
}

static void
af_packet_with_two_queues(void **state)
{
	struct port_case t = {
		.c = {.name = "wan", .device = "net_af_packet0,iface=dut0", .rxq = 2, .txq = 2}};

	need_veth();
	open_port(&t, pool);
	assert_int_equal(t.p.rxq, 2);
	assert_int_equal(t.p.txq, 2);
	assert_true(t.p.rss);
	assert_true(t.p.rss_udp);
	pass_frames(&t, pool, "gen0", 100);
	sl_port_close(&t.p);

	/* one queue is wanted, but the operator gave two: both must be read */
	t.c.device = "net_af_packet0,iface=dut0,qpairs=2";
	t.c.rxq = 1;
	open_port(&t, pool);
	assert_int_equal(t.p.rxq, 2);
	sl_port_close(&t.p);
}

static void
af_packet_keeps_vlan_tags(void **state)
{
	static const uint8_t tag[4] = {0x81, 0x00, 0x00, 0x2a};
	struct port_case t = {.c = {.name = "wan",
				    .device = "net_af_packet0,iface=dut0",
				    .rxq = 1,
				    .txq = 1,
				    .vlan = true}};
	struct rte_mbuf *m = make_frame(pool, 200, 1), *got[32];
	uint8_t frame[204];
	bool found = false;
	int fd;

	need_veth();
	memcpy(frame, rte_pktmbuf_mtod(m, void *), 12);
	memcpy(frame + 12, tag, 4);
	memcpy(frame + 16, rte_pktmbuf_mtod_offset(m, void *, 12), 188);
	rte_pktmbuf_free(m);
	open_port(&t, pool);
	fd = packet_socket("gen0");
	assert_int_equal(send(fd, frame, sizeof(frame), 0), sizeof(frame));
	for (unsigned ms = 0; ms < 2000 && !found; ms++) {
		uint16_t n = rte_eth_rx_burst(t.p.ethdev, 0, got, 32);

		for (uint16_t i = 0; i < n; i++)
			found = found || (got[i]->pkt_len == sizeof(frame) &&
					  memcmp(rte_pktmbuf_mtod(got[i], void *), frame,
						 sizeof(frame)) == 0);
		rte_pktmbuf_free_bulk(got, n);
		if (n == 0)
			rte_delay_us_sleep(1000);
	}
	assert_true(found);
	close(fd);
	sl_port_close(&t.p);
}

static void
jumbo_frames_need_larger_slots(void **state)
{
	struct port_case t = {.c = {.name = "wan",
				    .device = "net_af_packet0,iface=dut0",
				    .rxq = 1,
				    .txq = 1,
				    .mtu = 9000}};

	need_veth();
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), -EINVAL);
	assert_string_equal(t.e.reason, "mtu_too_large");
	assert_non_null(strstr(t.e.hint, "ip link set dut0 mtu 9000"));
	assert_int_equal(system("ip link set dut0 mtu 9000 && ip link set gen0 mtu 9000"), 0);
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), -EINVAL);
	assert_string_equal(t.e.reason, "mtu_too_large");
	assert_non_null(strstr(t.e.hint, "framesz=10240,blocksz=40960,framecnt=512"));
	t.c.device = "net_af_packet0,iface=dut0,framesz=10240,blocksz=40960,framecnt=512";
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), 0);
	assert_int_equal(sl_port_start(&t.c, &t.p, pool, &t.e), -EINVAL); /* small buffers */
	assert_string_equal(t.e.reason, "mtu_too_large");
	assert_int_equal(sl_port_start(&t.c, &t.p, jumbo, &t.e), 0);
	assert_int_equal(t.p.mtu, 9000);
	pass_frames(&t, jumbo, "gen0", 9014);
	sl_port_close(&t.p);
	assert_int_equal(system("ip link set dut0 mtu 1500 && ip link set gen0 mtu 1500"), 0);
}

/** MTU 1,968 is the last one that fits the default slots: frames of 1,982 bytes. */
static void
largest_frame_of_the_default_slots(void **state)
{
	struct port_case t = {.c = {.name = "wan",
				    .device = "net_af_packet0,iface=dut0",
				    .rxq = 1,
				    .txq = 1,
				    .mtu = 1968}};

	struct rte_mbuf *m = make_frame(pool, 1983, 7);
	int fd;

	need_veth();
	assert_int_equal(system("ip link set dut0 mtu 2000 && ip link set gen0 mtu 2000"), 0);
	open_port(&t, pool);
	pass_frames(&t, pool, "gen0", 1982);
	fd = packet_socket("gen0"); /* the check is not too strict either */
	assert_int_equal(send(fd, rte_pktmbuf_mtod(m, void *), 1983, 0), 1983);
	assert_false(wait_frame(&t.p, 1983, 7));
	close(fd);
	rte_pktmbuf_free(m);
	sl_port_close(&t.p);
	t.c.mtu = 1969;
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), -EINVAL);
	assert_non_null(strstr(t.e.hint, "framesz=4096,blocksz=16384"));
	assert_int_equal(system("ip link set dut0 mtu 1500 && ip link set gen0 mtu 1500"), 0);
}

static void
an_interface_belongs_to_one_port(void **state)
{
	struct port_case a = {
		.c = {.name = "a", .device = "net_af_packet0,iface=dut0", .rxq = 1, .txq = 1}};
	struct port_case b = {
		.c = {.name = "b", .device = "net_af_packet1,iface=dut0", .rxq = 1, .txq = 1}};

	need_veth();
	open_port(&a, pool);
	assert_int_equal(sl_port_attach(&b.c, &b.p, &b.e), -EBUSY);
	assert_string_equal(b.e.reason, "device_busy");
	assert_non_null(strstr(b.e.message, "interface dut0"));
	b.c.device = "net_af_packet0,iface=gen0";
	assert_int_equal(sl_port_attach(&b.c, &b.p, &b.e), -EBUSY);
	b.c.device = "net_af_packet1,iface=gen0";
	open_port(&b, pool);
	sl_port_close(&a.p);
	sl_port_close(&b.p);
	b.c.device = "net_af_packet1,iface=dut0"; /* free again */
	open_port(&b, pool);
	sl_port_close(&b.p);
}

static void
tap(void **state)
{
	struct port_case t = {
		.c = {.name = "lan", .device = "net_tap0,iface=dtap0", .rxq = 2, .txq = 4}};

	need_veth();
	if (access("/dev/net/tun", R_OK | W_OK) != 0)
		skip();
	open_port(&t, pool);
	assert_int_equal(t.p.rxq, 2);
	assert_int_equal(t.p.txq, 2);
	assert_true(if_nametoindex("dtap0") != 0);
	assert_int_equal(system("ip link set dtap0 up"), 0);
	pass_frames(&t, pool, "dtap0", 300);
	sl_port_close(&t.p);
	assert_int_equal(if_nametoindex("dtap0"), 0); /* gone with the port */
}

static void
af_xdp(void **state)
{
	struct port_case t = {
		.c = {.name = "wan", .device = "net_af_xdp0,iface=dut0", .rxq = 2, .txq = 2}};

	need_veth();
	if (sl_port_attach(&t.c, &t.p, &t.e) != 0) {
		print_message("af_xdp: %s\n", t.e.message);
		skip();
	}
	assert_int_equal(t.p.rxq, 1); /* veth has one */
	assert_int_equal(t.p.txq, 1);
	if (sl_port_start(&t.c, &t.p, pool, &t.e) != 0) {
		print_message("af_xdp: %s\n", t.e.message);
		sl_port_close(&t.p);
		skip();
	}
	pass_frames(&t, pool, "gen0", 60);
	pass_frames(&t, pool, "gen0", 1514);
	sl_port_close(&t.p);
	t.c.mtu = 1501;
	assert_int_equal(system("ip link set dut0 mtu 2000"), 0);
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), -EINVAL);
	assert_string_equal(t.e.reason, "mtu_too_large");
	assert_int_equal(rte_eth_dev_count_avail(), 0);
	assert_int_equal(system("ip link set dut0 mtu 1500"), 0);
}

int
run_kernel_tests(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(af_packet),
		cmocka_unit_test(af_packet_rings_are_long),
		cmocka_unit_test(af_packet_with_two_queues),
		cmocka_unit_test(af_packet_keeps_vlan_tags),
		cmocka_unit_test(jumbo_frames_need_larger_slots),
		cmocka_unit_test(largest_frame_of_the_default_slots),
		cmocka_unit_test(an_interface_belongs_to_one_port),
		cmocka_unit_test(tap),
		cmocka_unit_test(af_xdp),
	};

	return cmocka_run_group_tests(tests, make_veth, NULL);
}
