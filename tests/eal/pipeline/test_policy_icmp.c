/* SPDX-License-Identifier: BSD-3-Clause */
/* What has no ports of its own: echo, ICMP errors about flows, fragments, under enforce. */
#include "pol_tx.h"

#include "flow_int.h"

#define DOC                                                                                        \
	"{'version': 1, 'zones': {}, 'targets': {}, 'roles': {'user': {'members': "                \
	"['peer:peer1']}},"                                                                        \
	" 'rules': [{'id': 1, 'role': 'user', 'to': ['10.0.0.10/32', 'fd00:a::10/128'],"           \
	"            'protocol': 'udp', 'ports': [6000], 'action': 'allow'}%s]}"
#define ICMP                                                                                       \
	",{'id': 2, 'role': 'user', 'to': ['10.0.0.10/32'], 'protocol': 'icmp', 'action': "        \
	"'allow'}"

static struct fx *x;
static struct pol pol;

static void
load(const char *more)
{
	char text[1024];

	snprintf(text, sizeof(text), DOC, more);
	pol_load(&pol, x->root, text);
}

static int
setup(void **state)
{
	x = pol_begin(&pol);
	load("");
	return 0;
}

static int
teardown(void **state)
{
	pol_end(&pol, x);
	return 0;
}

static const struct fx_spec up = {.src = "10.7.0.2", .dst = "10.0.0.10"};
static const struct fx_spec up6 = {.src = "fd00:7::2", .dst = "fd00:a::10"};

/* --- echo -------------------------------------------------------------------------------- */

static struct rte_mbuf *
echo(bool tunnel, bool request, uint16_t id)
{
	struct fx_spec s = {.src = tunnel ? "10.7.0.2" : "10.0.0.10",
			    .dst = tunnel ? "10.0.0.10" : "10.7.0.2",
			    .proto = SL_PROTO_ICMP,
			    .icmp_type = request ? 8 : 0};
	struct rte_mbuf *m = tunnel ? fx_tunnel(x, &s, 1) : fx_inside(x, &s, 1);

	sl_store_be16(rte_pktmbuf_mtod_offset(m, uint8_t *, 24), id);
	return m;
}

static void
echo_by_rule(void **state)
{
	assert_false(pol_from_tunnel(x, echo(true, true, 7))); /* a rule for UDP is none for ICMP */
	pol_dropped(x, SL_DROP_DENIED, 1);
	load(ICMP);
	assert_true(pol_from_tunnel(x, echo(true, true, 7)));
	assert_true(pol_from_inside(x, echo(false, false, 7)));
	assert_false(pol_from_inside(x, echo(false, false, 8))); /* nobody asked */
	assert_false(pol_from_inside(x, echo(false, true, 7)));	 /* the server's own question */
	pol_dropped(x, SL_DROP_NO_ROLE, 2);
	assert_int_equal(sl_flow_count(x->w->flows), 3);
}

/* --- errors ------------------------------------------------------------------------------ */

/* An error about `about`, with this type, cut after n bytes of the quote. */
static struct rte_mbuf *
error(bool tunnel, const char *src, const char *dst, struct rte_mbuf *about, uint8_t type,
      unsigned n)
{
	bool v4 = sl_meta(about)->version == 4;
	struct fx_spec s = {.src = src,
			    .dst = dst,
			    .proto = v4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6,
			    .icmp_type = type,
			    .len = (uint16_t)((v4 ? 28 : 48) + n)};
	struct rte_mbuf *m = tunnel ? fx_tunnel(x, &s, 1) : fx_inside(x, &s, 1);

	memcpy(rte_pktmbuf_mtod_offset(m, uint8_t *, v4 ? 28 : 48),
	       rte_pktmbuf_mtod(about, uint8_t *), n);
	rte_pktmbuf_free(about);
	return m;
}

static void
errors_of_a_flow(void **state)
{
	static const uint8_t types[] = {3, 4, 11, 12};
	unsigned i;

	assert_true(pol_from_tunnel(x, fx_tunnel(x, &up, 1)));
	for (i = 0; i < SL_ARRAY_SIZE(types); i++) /* the server, or a router before it */
		assert_true(
			pol_from_inside(x, error(false, i ? "10.0.0.10" : "10.0.77.1", "10.7.0.2",
						 fx_tunnel(x, &up, 1), types[i], 28)));
	assert_int_equal(sl_flow_count(x->w->flows), 1);
	/* a redirect, half a header, another flow, another receiver: judged as packets */
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.2", fx_tunnel(x, &up, 1),
					      5, 28)));
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.2", fx_tunnel(x, &up, 1),
					      3, 27)));
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.2",
					      fx_tunnel(x,
							&(struct fx_spec){.src = "10.7.0.2",
									  .dst = "10.0.0.10",
									  .dport = 7},
							1),
					      3, 28)));
	pol_dropped(x, SL_DROP_NO_ROLE, 3);
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.3", fx_tunnel(x, &up, 1),
					      3, 28)));
	fx_drops(x, SL_DROP_NO_ROLE);
	/* not one that the flow has sent: the quoted way is the other one */
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.2",
					      fx_inside(x,
							&(struct fx_spec){.src = "10.0.0.10",
									  .dst = "10.7.0.2",
									  .sport = 6000,
									  .dport = 5000},
							1),
					      3, 28)));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

/* The peer answers with an error: only about what came to it. */
static void
errors_from_the_tunnel(void **state)
{
	struct fx_spec down = {.src = "10.0.0.10", .dst = "10.7.0.2", .sport = 6000, .dport = 5000};

	assert_true(pol_from_tunnel(x, fx_tunnel(x, &up, 1)));
	assert_false(pol_from_tunnel(x, error(true, "10.7.0.2", "10.0.0.10", fx_inside(x, &down, 1),
					      3, 28)));
	pol_dropped(x, SL_DROP_DENIED, 1); /* no reply was seen yet */
	assert_true(pol_from_inside(x, fx_inside(x, &down, 1)));
	assert_true(pol_from_tunnel(x, error(true, "10.7.0.2", "10.0.0.10", fx_inside(x, &down, 1),
					     3, 28)));
}

static void
errors_v6(void **state)
{
	assert_true(pol_from_tunnel(x, fx_tunnel(x, &up6, 1)));
	assert_true(pol_from_inside(x, error(false, "fd00:a::10", "fd00:7::2",
					     fx_tunnel(x, &up6, 1), 2, 48)));
	assert_false(pol_from_inside(x, error(false, "fd00:a::10", "fd00:7::2",
					      fx_tunnel(x, &up6, 1), 128, 48)));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

/* With the flow goes its error. */
static void
errors_of_a_revoked_flow(void **state)
{
	assert_true(pol_from_tunnel(x, fx_tunnel(x, &up, 1)));
	pol_revoke(&pol, x->root, 1, "user");
	assert_false(pol_from_inside(x, error(false, "10.0.0.10", "10.7.0.2", fx_tunnel(x, &up, 1),
					      3, 28)));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	assert_int_equal(pol_one(x->w, SL_REC_END).reason, SL_RR_REVOKED);
}

/* Any bytes in a quote: judged, never a crash; most of them as a packet without a flow. */
static void
errors_of_any_bytes(void **state)
{
	struct fx_spec s = {.src = "10.0.0.10",
			    .dst = "10.7.0.2",
			    .proto = SL_PROTO_ICMP,
			    .icmp_type = 3};
	uint64_t dice = 88172645463325252ULL;
	struct rte_mbuf *m;
	unsigned i, k;
	uint8_t *p;

	for (i = 0; i < 20000; i++) {
		s.len = (uint16_t)(28 + i % 90);
		m = fx_inside(x, &s, 1);
		p = rte_pktmbuf_mtod(m, uint8_t *);
		for (k = 28; k < s.len; k++) {
			dice ^= dice << 13;
			dice ^= dice >> 7;
			dice ^= dice << 17;
			p[k] = (uint8_t)dice;
		}
		if (s.len > 28)
			p[28] = i & 1 ? 0x45 : 0x60 | (p[28] & 15);
		assert_false(pol_from_inside(x, m));
	}
	pol_dropped(x, SL_DROP_NO_ROLE, 20000);
}

/* --- fragments --------------------------------------------------------------------------- */

/* As a fragment of a UDP packet; the first one shows its ports. */
static struct rte_mbuf *
fragment(uint16_t id, uint16_t off, bool more, uint16_t dport)
{
	struct fx_spec s = up;
	struct rte_mbuf *m;
	struct sl_meta *meta;

	s.dport = dport;
	m = fx_tunnel(x, &s, 1);
	meta = sl_meta(m);
	meta->frag_id = id;
	meta->frag_off = off;
	meta->flags |= SL_PKT_FRAG | (more ? SL_PKT_MORE_FRAGS : 0);
	if (off != 0) {
		meta->sport = 0;
		meta->dport = 0;
	}
	return m;
}

static void
fragments(void **state)
{
	struct sl_rec r;

	assert_false(pol_from_tunnel(x, fragment(1, 80, true, 6000))); /* before the first one */
	pol_dropped(x, SL_DROP_FRAG_ORPHAN, 1);
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.reason, SL_RR_FRAG_ORPHAN);
	assert_int_equal(r.count, 1);
	assert_true(pol_from_tunnel(x, fragment(1, 0, true, 6000)));
	assert_true(pol_from_tunnel(x, fragment(1, 80, true, 0)));
	assert_true(pol_from_tunnel(x, fragment(1, 160, false, 0)));
	assert_false(pol_from_tunnel(x, fragment(2, 80, true, 0)));
	pol_dropped(x, SL_DROP_FRAG_ORPHAN, 1);
	assert_false(pol_from_tunnel(x, fragment(3, 0, true, 7)));
	assert_false(pol_from_tunnel(x, fragment(3, 80, false, 0)));
	pol_dropped(x, SL_DROP_DENIED, 2);
	assert_int_equal(sl_flow_count(x->w->flows), 2); /* all of a packet are of one flow */
	fx_time(x, x->w->now_ns + 29 * SL_NS_PER_S);
	assert_true(pol_from_tunnel(x, fragment(1, 240, false, 0)));
	fx_time(x, x->w->now_ns + SL_NS_PER_S);
	assert_false(pol_from_tunnel(x, fragment(1, 240, false, 0)));
	pol_dropped(x, SL_DROP_FRAG_ORPHAN, 1);
	/* observe forwards and records */
	x->root->authz.deflt = SL_MODE_OBSERVE;
	pol_law(x->w);
	assert_true(pol_from_tunnel(x, fragment(9, 80, true, 0)));
	r = pol_one(x->w, SL_REC_WOULD_DENY);
	assert_int_equal(r.reason, SL_RR_FRAG_ORPHAN);
}

/* A fragment does not outlive its flow's right. */
static void
fragments_of_a_revoked_flow(void **state)
{
	assert_true(pol_from_tunnel(x, fragment(1, 0, true, 6000)));
	pol_revoke(&pol, x->root, 1, "user");
	assert_false(pol_from_tunnel(x, fragment(1, 80, false, 0)));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

/* Many more packets in pieces than are remembered: the newest are. */
static void
fragments_are_bounded(void **state)
{
	unsigned i, passed = 0;

	for (i = 0; i < 20000; i++)
		assert_true(pol_from_tunnel(x, fragment((uint16_t)i, 0, true, 6000)));
	for (i = 0; i < 20000; i++)
		passed += pol_from_tunnel(x, fragment((uint16_t)i, 80, false, 0));
	assert_in_range(passed, 900, 1024);
	pol_dropped(x, SL_DROP_FRAG_ORPHAN, 20000 - passed);
	assert_true(pol_from_tunnel(x, fragment(19999, 160, false, 0)));
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(echo_by_rule),
		CASE(errors_of_a_flow),
		CASE(errors_from_the_tunnel),
		CASE(errors_v6),
		CASE(errors_of_a_revoked_flow),
		CASE(errors_of_any_bytes),
		CASE(fragments),
		CASE(fragments_of_a_revoked_flow),
		CASE(fragments_are_bounded),
	};

	eal_start("test_policy_icmp");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
