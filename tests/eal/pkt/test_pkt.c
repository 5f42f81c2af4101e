/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_errno.h>

#include "eal_main.h"
#include "sl_pkt.h"

static struct rte_mempool *pool;

static int
make_pool(void **state)
{
	pool = sl_pkt_pool_new("test_pkt", 1024, SL_HEADROOM + 2048, SOCKET_ID_ANY);
	return pool == NULL;
}

static void
pool_has_room_and_metadata(void **state)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);

	assert_non_null(m);
	assert_int_equal(rte_pktmbuf_headroom(m), SL_HEADROOM);
	assert_int_equal(rte_pktmbuf_tailroom(m), 2048);
	assert_int_equal(rte_pktmbuf_priv_size(pool), sizeof(struct sl_meta));
	assert_ptr_equal((uint8_t *)sl_meta(m), (uint8_t *)m + sizeof(*m));
	assert_int_equal((uintptr_t)sl_meta(m) % SL_CACHE_LINE, 0);
	assert_string_equal(rte_mempool_get_ops(pool->ops_index)->name, "ring_mt_rts");
	rte_pktmbuf_free(m);
}

static void
pool_gives_every_mbuf(void **state)
{
	static const unsigned sizes[] = {1, 3, 64, 1023, 4096};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(sizes); i++) {
		struct rte_mempool *p =
			sl_pkt_pool_new("test_size", sizes[i], SL_HEADROOM + 256, SOCKET_ID_ANY);
		struct rte_mbuf *m[4096];

		assert_non_null(p);
		assert_int_equal(rte_pktmbuf_alloc_bulk(p, m, sizes[i]), 0);
		assert_null(rte_pktmbuf_alloc(p));
		rte_pktmbuf_free_bulk(m, sizes[i]);
		assert_int_equal(rte_mempool_avail_count(p), sizes[i]);
		rte_mempool_free(p);
	}
}

static void
pool_refuses_nonsense(void **state)
{
	assert_null(sl_pkt_pool_new("test_bad", 64, SL_HEADROOM, SOCKET_ID_ANY));
	assert_int_equal(rte_errno, EINVAL);
	assert_null(sl_pkt_pool_new("test_bad", 64, 65536, SOCKET_ID_ANY));
	assert_int_equal(rte_errno, EINVAL);
	assert_null(sl_pkt_pool_new("test_pkt", 64, 2048, SOCKET_ID_ANY));
	assert_int_equal(rte_errno, EEXIST);
}

/** Put info through the metadata and back. */
static void
round_trip(const struct sl_ip_info *in, unsigned src_off, unsigned dst_off)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	struct sl_ip_info out;
	struct sl_meta *meta;

	if (m == NULL) {
		fail();
		return; /* for the compiler: cmocka's fail() is not declared noreturn */
	}
	meta = sl_meta(m);
	memset(meta, 0xa5, sizeof(*meta));
	memset(&out, 0x5a, sizeof(out));
	meta->flags = SL_PKT_IP_CSUM_OK | SL_PKT_FROM_TUNNEL | SL_PKT_DF | SL_PKT_FRAG |
		      SL_PKT_MORE_FRAGS;
	sl_meta_from_ip(meta, in);
	assert_int_equal(meta->flags & (SL_PKT_IP_CSUM_OK | SL_PKT_FROM_TUNNEL),
			 SL_PKT_IP_CSUM_OK | SL_PKT_FROM_TUNNEL);
	assert_int_equal((meta->flags & SL_PKT_FRAG) != 0, sl_ip_is_frag(in));
	assert_int_equal(meta->peer_id, 0xa5a5a5a5);
	sl_meta_to_ip(m, &out);
	assert_int_equal(out.version, in->version);
	assert_int_equal(out.proto, in->proto);
	assert_int_equal(out.tos, in->tos);
	assert_int_equal(out.ttl, in->ttl);
	assert_int_equal(out.l4_off, in->l4_off);
	assert_int_equal(out.total_len, in->total_len);
	assert_int_equal(out.frag_off, in->frag_off);
	assert_int_equal(out.more_frags, in->more_frags);
	assert_int_equal(out.dont_frag, in->dont_frag);
	assert_int_equal(out.frag_id, in->frag_id);
	assert_int_equal(out.sport, in->sport);
	assert_int_equal(out.dport, in->dport);
	assert_ptr_equal(out.src, rte_pktmbuf_mtod_offset(m, uint8_t *, src_off));
	assert_ptr_equal(out.dst, rte_pktmbuf_mtod_offset(m, uint8_t *, dst_off));
	rte_pktmbuf_free(m);
}

static void
meta_keeps_a_parse_result(void **state)
{
	struct sl_ip_info v4 = {.version = 4,
				.proto = 17,
				.tos = 0xb8,
				.ttl = 63,
				.l4_off = 24,
				.total_len = 1500,
				.dont_frag = true,
				.sport = 51820,
				.dport = 53};
	struct sl_ip_info first = {
		.version = 4, .proto = 6, .l4_off = 20, .more_frags = true, .frag_id = 0xabcd};
	struct sl_ip_info last = {.version = 6,
				  .proto = 58,
				  .l4_off = 48,
				  .total_len = 1280,
				  .frag_off = 65528,
				  .dont_frag = true,
				  .frag_id = 0xdeadbeef};

	round_trip(&v4, 12, 16);
	round_trip(&first, 12, 16);
	round_trip(&last, 8, 24);
}

static void
vector_keeps_order_and_reason(void **state)
{
	struct sl_vec v = {0};
	struct rte_mbuf *m[2];

	assert_int_equal(rte_pktmbuf_alloc_bulk(pool, m, 2), 0);
	sl_vec_add(&v, m[0]);
	sl_vec_drop(&v, m[1], SL_DROP_REPLAY);
	assert_int_equal(v.n, 2);
	assert_ptr_equal(v.m[0], m[0]);
	assert_ptr_equal(v.m[1], m[1]);
	assert_int_equal(sl_meta(m[1])->drop, SL_DROP_REPLAY);
	rte_pktmbuf_free_bulk(m, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_has_room_and_metadata),
		cmocka_unit_test(pool_gives_every_mbuf),
		cmocka_unit_test(pool_refuses_nonsense),
		cmocka_unit_test(meta_keeps_a_parse_result),
		cmocka_unit_test(vector_keeps_order_and_reason),
	};

	eal_start("test_pkt");
	return cmocka_run_group_tests(tests, make_pool, NULL);
}
