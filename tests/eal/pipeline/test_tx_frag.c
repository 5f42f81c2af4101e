/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragments: each fits, all are well-formed, and together they are the packet again. */
#include "tx_fixture.h"

#include "send_int.h"

struct whole {
	uint8_t bytes[66000]; /* payload */
	uint8_t seen[66000];
	unsigned end; /* of the last fragment, 0 unknown */
	unsigned pieces;
};

static int
setup(void **state)
{
	*state = fx_new(1);
	return 0;
}

static int
teardown(void **state)
{
	fx_free(*state);
	return 0;
}

/** Naive reassembly (RFC 791): every byte exactly once. */
static void
put(struct whole *w, const uint8_t *ip, unsigned mtu)
{
	unsigned hdr = (ip[0] & 15) * 4U, len = sl_load_be16(ip + 2) - hdr, i;
	unsigned word = sl_load_be16(ip + 6), off = (word & 0x1fff) * 8;

	assert_true(len + hdr <= mtu);
	assert_true(fx_ip_csum_ok(ip));
	assert_int_equal(word & 0x4000, 0);
	if (word & 0x2000)
		assert_int_equal(len % 8, 0);
	else
		w->end = off + len;
	for (i = 0; i < len; i++) {
		assert_int_equal(w->seen[off + i], 0);
		w->seen[off + i] = 1;
		w->bytes[off + i] = ip[hdr + i];
	}
	w->pieces++;
}

static void
expect_whole(const struct whole *w, const uint8_t *ip, unsigned len)
{
	unsigned hdr = (ip[0] & 15) * 4U, i;

	assert_int_equal(w->end, len - hdr);
	for (i = 0; i < len - hdr; i++)
		assert_int_equal(w->seen[i], 1);
	assert_memory_equal(w->bytes, ip + hdr, len - hdr);
}

static void
sealed_fragments(void **state)
{
	static const uint16_t mtus[] = {1420, 1280, 576}, lens[] = {1421, 1422, 2840, 2841, 8000};
	struct fx *x = *state;
	static struct whole w;
	struct fx_sealed s;
	struct rte_mbuf *m;
	uint8_t orig[9000];
	unsigned i, k;

	for (i = 0; i < SL_ARRAY_SIZE(mtus); i++) {
		for (k = 0; k < SL_ARRAY_SIZE(lens); k++) {
			struct fx_spec spec = {.src = "10.0.0.10",
					       .dst = "10.7.0.2",
					       .len = lens[k]};

			x->f1->mtu = mtus[i];
			memset(&w, 0, sizeof(w));
			m = fx_inside(x, &spec, 1);
			memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), lens[k]);
			fx_run(x, SL_NODE_INSIDE, m);
			while ((m = fx_frame(x, 0)) != NULL) {
				fx_open(x, m, 1, &s);
				assert_true(s.len <= mtus[i]);
				assert_int_equal(s.plain[8], 63);
				assert_int_equal(sl_load_be16(s.plain + 4), 0x1234);
				put(&w, s.plain, mtus[i]);
			}
			expect_whole(&w, orig, lens[k]);
			assert_true(w.pieces > 1);
			fx_quiet(x);
		}
	}
}

static void
forwarded_fragments(void **state)
{
	struct fx *x = *state;
	static struct whole w;
	struct fx_spec spec = {.src = "10.7.0.2", .dst = "10.70.0.1"};
	struct rte_mbuf *m;
	uint8_t orig[9000];
	unsigned len;

	for (len = 590; len < 1420; len += 7) {
		spec.len = (uint16_t)len;
		memset(&w, 0, sizeof(w));
		m = fx_tunnel(x, &spec, 1);
		memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), len);
		fx_run(x, SL_NODE_AUTHZ, m);
		while ((m = fx_frame(x, 1)) != NULL) {
			put(&w, rte_pktmbuf_mtod(m, uint8_t *) + SL_L2_MAX, 600);
			rte_pktmbuf_free(m);
		}
		expect_whole(&w, orig, len);
		assert_int_equal(w.pieces, len <= 600 ? 1 : (len - 20 + 575) / 576);
	}
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].passed, (1420 - 590 + 6) / 7);
}

/** A fragment is cut again: offsets add up, the last piece keeps "more fragments". */
static void
fragment_of_a_fragment(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.7.0.2",
			       .dst = "10.70.0.1",
			       .len = 20 + 1200,
			       .frag_off = 800};
	unsigned at = 800, word;
	struct rte_mbuf *m;
	const uint8_t *ip;

	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &spec, 1));
	while ((m = fx_frame(x, 1)) != NULL) {
		ip = rte_pktmbuf_mtod(m, uint8_t *) + SL_L2_MAX;
		word = sl_load_be16(ip + 6);
		assert_int_equal((word & 0x1fff) * 8, at);
		assert_int_equal(word & 0x2000, 0x2000);
		assert_true(fx_ip_csum_ok(ip));
		at += sl_load_be16(ip + 2) - 20;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(at, 800 + 1200);
}

/** RFC 791: only options with the copied bit go into the later fragments. */
static void
options(void **state)
{
	static const uint8_t opt[16] = {7,    7, 4, 0, 0, 0, 0, /* record route: first only */
					1,			/* no operation */
					0x94, 4, 0, 0,		/* router alert: in all */
					1,    0, 0, 0};
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.7.0.2",
			       .dst = "10.70.0.1",
			       .len = 1300,
			       .options = opt,
			       .options_len = sizeof(opt)};
	static struct whole w;
	struct rte_mbuf *m = fx_tunnel(x, &spec, 1);
	uint8_t orig[2000];
	const uint8_t *ip;
	unsigned n = 0;

	memset(&w, 0, sizeof(w));
	memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), 1300);
	fx_run(x, SL_NODE_AUTHZ, m);
	while ((m = fx_frame(x, 1)) != NULL) {
		ip = rte_pktmbuf_mtod(m, uint8_t *) + SL_L2_MAX;
		if (n++ == 0) {
			assert_int_equal(ip[0], 0x49);
			assert_memory_equal(ip + 20, opt, sizeof(opt));
		} else {
			assert_int_equal(ip[0], 0x46);
			assert_memory_equal(ip + 20, opt + 8, 4);
		}
		put(&w, ip, 600);
		rte_pktmbuf_free(m);
	}
	expect_whole(&w, orig, 1300);
}

static void
meta_describes_each_fragment(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.0.0.10", .dst = "10.7.0.2", .len = 3000};
	struct rte_mbuf *m = fx_inside(x, &spec, 1), *frag[SL_FRAG_MAX];
	struct sl_meta want;
	struct sl_ip_info info;
	unsigned i, n;

	n = sl_frag4(x->w, m, 1000, frag);
	assert_int_equal(n, 4);
	for (i = 0; i < n; i++) {
		assert_int_equal(sl_ip_parse_packet(rte_pktmbuf_mtod(frag[i], uint8_t *),
						    frag[i]->data_len, true, &info),
				 SL_DROP_NONE);
		want = *sl_meta(m);
		sl_meta_from_ip(&want, &info);
		if (i > 0) {
			want.sport = 0;
			want.dport = 0;
		}
		assert_memory_equal(sl_meta(frag[i]), &want, sizeof(want));
		assert_true(rte_pktmbuf_headroom(frag[i]) >= SL_HEADROOM);
	}
	rte_pktmbuf_free_bulk(frag, n);
}

static void
impossible_fragments(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.0.0.10", .dst = "10.7.0.2", .len = 9000};
	struct rte_mbuf *m, *frag[SL_FRAG_MAX], **all;
	uint8_t orig[9000];
	unsigned n;

	m = fx_inside(x, &spec, 1);
	memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), 9000);
	assert_int_equal(sl_frag4(x->w, m, 27, frag), 0); /* no room for 8 bytes */
	assert_int_equal(sl_meta(m)->drop, SL_DROP_MTU);
	assert_int_equal(sl_frag4(x->w, m, 296, frag), 0); /* 33 fragments */
	assert_int_equal(sl_meta(m)->drop, SL_DROP_MTU);
	n = rte_mempool_avail_count(x->pool);
	all = calloc(n, sizeof(all[0]));
	assert_int_equal(rte_pktmbuf_alloc_bulk(x->pool, all, n - 2), 0);
	assert_int_equal(sl_frag4(x->w, m, 1420, frag), 0);
	assert_int_equal(sl_meta(m)->drop, SL_DROP_NO_MBUF);
	rte_pktmbuf_free_bulk(all, n - 2);
	free(all);
	assert_memory_equal(rte_pktmbuf_mtod(m, uint8_t *), orig, 9000); /* unchanged */
	rte_pktmbuf_free(m);
	/* through the stages: dropped under the reason, not lost */
	x->f1->mtu = 200;
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &spec, 1));
	assert_int_equal(fx_drops(x, SL_DROP_MTU), 1);
}

/** 32 packets of 32 fragments each do not fit the vectors: some drop, nothing overflows. */
static void
more_than_the_graph_holds(void **state)
{
	struct fx *x = *state;
	struct fx_spec spec = {.src = "10.0.0.10", .dst = "10.7.0.2", .len = 9000};
	unsigned i, frames = 0, drops;
	struct rte_mbuf *m;

	x->f1->mtu = 310;
	for (i = 0; i < SL_BURST; i++)
		sl_vec_add(&x->w->v[SL_NODE_ENCAP], fx_inside(x, &spec, 1));
	sl_worker_run(x->w);
	while ((m = fx_frame(x, 0)) != NULL) {
		frames++;
		rte_pktmbuf_free(m);
	}
	drops = (unsigned)fx_drops(x, SL_DROP_NO_MBUF);
	assert_true(drops > 0 && drops < SL_BURST);
	assert_int_equal(frames, (SL_BURST - drops) * 32);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(sealed_fragments),
		T(forwarded_fragments),
		T(fragment_of_a_fragment),
		T(options),
		T(meta_describes_each_fragment),
		T(impossible_fragments),
		T(more_than_the_graph_holds),
	};

	eal_start("test_tx_frag");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
