/* SPDX-License-Identifier: BSD-3-Clause */
#include "port_util.h"

#include <sched.h>
#include <stdlib.h>

#include <rte_eth_ring.h>

#include "eal_main.h"

struct rte_mempool *pool, *jumbo;
bool have_netns;

static int
make_pools(void **state)
{
	pool = sl_pkt_pool_new("port", 8192, SL_HEADROOM + 2048, SOCKET_ID_ANY);
	jumbo = sl_pkt_pool_new("jumbo", 2048, SL_HEADROOM + 12288, SOCKET_ID_ANY);
	return pool == NULL || jumbo == NULL;
}

static void
null_device(void **state)
{
	struct port_case t = {.c = {.name = "wan", .device = "net_null0", .rxq = 4, .txq = 5}};
	struct rte_mbuf *m[SL_BURST];
	struct sl_port_stats st;
	struct sl_port_link l;

	open_port(&t, pool);
	assert_string_equal(t.p.name, "wan");
	assert_string_equal(t.p.driver, "net_null");
	assert_string_equal(t.p.device, "net_null0");
	assert_int_equal(t.p.rxq, 4);
	assert_int_equal(t.p.txq, 5);
	assert_int_equal(t.p.mtu, 1500);
	assert_true(t.p.vdev_created);
	assert_false(t.p.scatter);
	for (uint16_t q = 0; q < t.p.rxq; q++) {
		assert_int_equal(rte_eth_rx_burst(t.p.ethdev, q, m, SL_BURST), SL_BURST);
		assert_int_equal(rte_eth_tx_burst(t.p.ethdev, q, m, SL_BURST), SL_BURST);
	}
	sl_port_stats(&t.p, &st);
	assert_int_equal(st.rx_packets, 4 * SL_BURST);
	assert_int_equal(st.tx_packets, 4 * SL_BURST);
	sl_port_link(&t.p, &l);
	assert_true(l.up);
	assert_int_equal(l.mbps, 10000);
	assert_true(l.full_duplex);
	sl_port_close(&t.p);
	assert_false(t.p.started);
	assert_int_equal(rte_eth_dev_count_avail(), 0);
	sl_port_close(&t.p); /* twice does no harm */
}

static void
queues_are_limited_by_the_device(void **state)
{
	struct port_case t = {
		.c = {.name = "wan", .device = "net_null0", .rxq = 60000, .txq = 60000}};

	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), 0);
	assert_int_equal(t.p.rxq, t.p.max_rxq);
	assert_int_equal(t.p.txq, t.p.max_txq);
	t.p.rxq = t.p.txq = 2; /* the caller may want fewer */
	assert_int_equal(sl_port_start(&t.c, &t.p, pool, &t.e), 0);
	sl_port_close(&t.p);
	t.c.rxq = t.c.txq = 0;
	assert_int_equal(sl_port_attach(&t.c, &t.p, &t.e), 0);
	assert_int_equal(t.p.rxq, 1);
	assert_int_equal(t.p.txq, 1);
	sl_port_close(&t.p);
}

static void
rings_made_elsewhere_are_found_by_name(void **state)
{
	struct port_case t = {.c = {.name = "lan", .device = "net_ring_mine", .rxq = 2, .txq = 2}};
	struct rte_ring *r[2] = {rte_ring_create("r0", 64, SOCKET_ID_ANY,
						 RING_F_SP_ENQ | RING_F_SC_DEQ),
				 rte_ring_create("r1", 64, SOCKET_ID_ANY,
						 RING_F_SP_ENQ | RING_F_SC_DEQ)};
	struct rte_mbuf *m = make_frame(pool, 100, 3);
	int id = rte_eth_from_rings("mine", r, 2, r, 2, SOCKET_ID_ANY);
	struct sl_port_stats st;

	assert_true(id >= 0);
	open_port(&t, pool);
	assert_int_equal(t.p.ethdev, id);
	assert_int_equal(t.p.rxq, 2);
	assert_false(t.p.vdev_created);
	assert_int_equal(rte_eth_tx_burst(t.p.ethdev, 1, &m, 1), 1);
	assert_true(wait_frame(&t.p, 100, 3));
	sl_port_stats(&t.p, &st);
	assert_int_equal(st.tx_packets, 1);
	assert_int_equal(st.rx_packets, 1);
	sl_port_close(&t.p);

	/* it is still there and can be used again */
	open_port(&t, pool);
	sl_port_close(&t.p);
	assert_true(rte_eth_dev_is_valid_port((uint16_t)id));
	rte_eth_dev_close((uint16_t)id);
}

/** Headers of a little-endian microsecond pcap file. */
static void
pcap_write(const char *path, unsigned frames, unsigned len)
{
	static const uint32_t head[6] = {0xa1b2c3d4, 4 << 16 | 2, 0, 0, 65535, 1};
	struct rte_mbuf *m = make_frame(jumbo, len, 9);
	uint32_t rec[4] = {1, 0, len, len};
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	fwrite(head, sizeof(head), 1, f);
	for (unsigned i = 0; i < frames; i++) {
		fwrite(rec, sizeof(rec), 1, f);
		fwrite(rte_pktmbuf_mtod(m, void *), len, 1, f);
	}
	rte_pktmbuf_free(m);
	assert_int_equal(fclose(f), 0);
}

static long
file_bytes(const char *path)
{
	FILE *f = fopen(path, "rb");
	long n;

	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	n = ftell(f);
	fclose(f);
	return n;
}

static void
pcap_files(void **state)
{
	char in[] = "/tmp/sl-port-in-XXXXXX", out[] = "/tmp/sl-port-out-XXXXXX", device[100];
	struct port_case t = {.c = {.name = "cap", .device = device, .rxq = 1, .txq = 1}};
	struct rte_mbuf *m[8];
	uint16_t n = 0;

	close(mkstemp(in));
	close(mkstemp(out));
	pcap_write(in, 3, 200);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,tx_pcap=%s", in, out);
	open_port(&t, pool);
	for (unsigned i = 0; i < 10 && n < 3; i++)
		n += rte_eth_rx_burst(t.p.ethdev, 0, m + n, 8 - n);
	assert_int_equal(n, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_true(is_frame(m[i], 200, 9));
	assert_int_equal(rte_eth_tx_burst(t.p.ethdev, 0, m, 3), 3);
	sl_port_close(&t.p);
	assert_int_equal(file_bytes(out), 24 + 3 * (16 + 200));
	unlink(in);
	unlink(out);
}

static void
long_frames_come_in_chains_where_the_driver_can(void **state)
{
	char in[] = "/tmp/sl-port-in-XXXXXX", device[100];
	struct port_case t = {
		.c = {.name = "cap", .device = device, .rxq = 1, .txq = 1, .mtu = 9000}};
	struct rte_mbuf *m;

	close(mkstemp(in));
	pcap_write(in, 1, 9014);
	snprintf(device, sizeof(device), "net_pcap0,rx_pcap=%s,tx_pcap=/dev/null", in);
	open_port(&t, pool);
	assert_true(t.p.scatter);
	assert_int_equal(t.p.mtu, 9000);
	assert_int_equal(rte_eth_rx_burst(t.p.ethdev, 0, &m, 1), 1);
	assert_int_equal(m->pkt_len, 9014);
	assert_true(m->nb_segs > 1);
	rte_pktmbuf_free(m);
	sl_port_close(&t.p);

	open_port(&t, jumbo);
	assert_false(t.p.scatter);
	assert_int_equal(rte_eth_rx_burst(t.p.ethdev, 0, &m, 1), 1);
	assert_true(is_frame(m, 9014, 9));
	rte_pktmbuf_free(m);
	sl_port_close(&t.p);
	unlink(in);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(null_device),
		cmocka_unit_test(queues_are_limited_by_the_device),
		cmocka_unit_test(rings_made_elsewhere_are_found_by_name),
		cmocka_unit_test(pcap_files),
		cmocka_unit_test(long_frames_come_in_chains_where_the_driver_can),
	};
	int failed;

	have_netns = unshare(CLONE_NEWNET) == 0; /* before EAL starts its threads */
	eal_start("test_port");
	failed = cmocka_run_group_tests(tests, make_pools, NULL);
	failed += run_error_tests();
	failed += run_kernel_tests();
	return failed != 0;
}
