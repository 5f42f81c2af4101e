/* SPDX-License-Identifier: BSD-3-Clause */
/* Targets that were withdrawn: nothing passes in any mode, peers are told so, flows under way end,
 * and all is recorded as other denials are. */
#include "pol_tx.h"

#include "flow_int.h"

#define TCP_ACK 0x10
#define BURST 100 /* answers that go out at once */

/* db and net are withdrawn; web is inside net, new has the address of old, which is withdrawn */
#define BASE                                                                                       \
	"{'version': 1, 'zones': {}, 'targets': {"                                                 \
	" 'db': {'addresses': ['10.0.0.10/32', 'fd00:a::10/128'], 'withdrawn': %s},"               \
	" 'net': {'addresses': ['10.9.0.0/16'], 'withdrawn': true},"                               \
	" 'web': {'addresses': ['10.9.0.80/32']},"                                                 \
	" 'old': {'addresses': ['10.9.0.90/32'], 'withdrawn': true},"                              \
	" 'new': {'addresses': ['10.9.0.90/32']},"                                                 \
	" 'other': {'addresses': ['10.9.0.70/32@wg2'], 'withdrawn': false}},"                      \
	" 'roles': {'user': {'members': ['peer:peer1']}},"                                         \
	" 'rules': [{'id': 1, 'role': 'user', 'to': ['*'], 'protocol': 'any',"                     \
	"            'action': 'allow', 'bidirectional': true}]}"

static struct fx *x;
static struct pol pol;

static void
load(bool withdrawn)
{
	char text[2048];

	snprintf(text, sizeof(text), BASE, withdrawn ? "true" : "false");
	pol_load(&pol, x->root, text);
}

static int
setup(void **state)
{
	x = pol_begin(&pol);
	load(true);
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
static const struct fx_spec down = {.src = "10.0.0.10",
				    .dst = "10.7.0.2",
				    .sport = 6000,
				    .dport = 5000};

static void
observe(void)
{
	x->root->authz.deflt = SL_MODE_OBSERVE;
}

/** What RFC 1812 5.2.7.1 and RFC 4443 3.1 ask of the answer to peer 1. */
static void
check_answer(const struct fx_sealed *s, const uint8_t *orig, unsigned orig_len)
{
	bool v4 = orig[0] >> 4 == 4;
	const uint8_t *p = s->plain;
	struct sl_ip own = fx_ip(v4 ? "10.7.0.1" : "fd00:7::1");
	unsigned hdr = v4 ? 20 : 40, len = v4 ? sl_load_be16(p + 2) : 40u + sl_load_be16(p + 4);

	assert_int_equal(p[0] >> 4, orig[0] >> 4);
	assert_memory_equal(p + (v4 ? 12 : 8), own.b, v4 ? 4 : 16);
	assert_memory_equal(p + (v4 ? 16 : 24), orig + (v4 ? 12 : 8), v4 ? 4 : 16);
	assert_int_equal(v4 ? p[9] : p[6], v4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6);
	assert_int_equal(p[hdr], v4 ? 3 : 1);
	assert_int_equal(p[hdr + 1], v4 ? 13 : 1);
	assert_int_equal(sl_load_be32(p + hdr + 4), 0);
	assert_int_equal(len, hdr + 8 + orig_len);
	assert_memory_equal(p + hdr + 8, orig, orig_len);
	assert_true(fx_l4_csum_ok(p, len));
}

/** From peer 1: dropped, and answered. */
static void
refused(const struct fx_spec *spec)
{
	struct rte_mbuf *m = fx_tunnel(x, spec, 1);
	unsigned len = m->data_len;
	struct fx_sealed s;
	uint8_t orig[2048];

	memcpy(orig, rte_pktmbuf_mtod(m, uint8_t *), len);
	fx_run(x, SL_NODE_AUTHZ, m);
	m = fx_frame(x, 0);
	assert_non_null(m);
	fx_open(x, m, 1, &s);
	check_answer(&s, orig, len);
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
}

static bool
send_up(const struct fx_spec *s)
{
	return pol_from_tunnel(x, fx_tunnel(x, s, 1));
}

static bool
send_down(const struct fx_spec *s)
{
	return pol_from_inside(x, fx_inside(x, s, 1));
}

/* --- who is told ------------------------------------------------------------------------- */

static void
in_every_mode(void **state)
{
	struct sl_rec r;

	refused(&up);
	refused(&up6);
	pol_law(x->w);
	observe();
	load(true);
	refused(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 6001});
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.reason, SL_RR_WITHDRAWN);
	assert_int_equal(r.target, 0);
	assert_int_equal(r.rule, SL_POL_NONE);
	assert_true((r.flags & (SL_RF_ENFORCED | SL_RF_ALLOW)) == SL_RF_ENFORCED);
	x->root->authz.panic_observe = true;
	refused(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 6002});
	refused(&(struct fx_spec){
		.src = "10.7.0.2", .dst = "10.0.0.10", .proto = SL_PROTO_ICMP, .icmp_type = 8});
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 0);
}

/** No role, no matter. */
static void
of_anybody(void **state)
{
	pol_revoke(&pol, x->root, 1, "user");
	refused(&up);
}

/** The most specific target decides; of equal addresses the one that is not withdrawn. */
static void
overlaps(void **state)
{
	refused(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.9.0.1"});
	assert_true(send_up(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.9.0.80"}));
	assert_true(send_up(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.9.0.90"}));
	/* that of another interface says nothing here */
	refused(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.9.0.70"});
}

/** What is no error's to answer is dropped all the same. */
static void
untold(void **state)
{
	observe();
	assert_false(send_up(&(struct fx_spec){
		.src = "10.7.0.2", .dst = "10.0.0.10", .proto = SL_PROTO_ICMP, .icmp_type = 3}));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	/* a later fragment, the first of which was not seen */
	assert_false(send_up(
		&(struct fx_spec){.src = "10.7.0.2", .dst = "10.0.0.10", .frag_off = 1480}));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), 2);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 0);
}

static void
rate_limit(void **state)
{
	unsigned i, answers = 0;
	struct rte_mbuf *m;

	for (i = 0; i < 10 * BURST; i++) {
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &up, 1));
		m = fx_frame(x, 0);
		answers += m != NULL;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(answers, BURST);
	assert_int_equal(fx_drops(x, SL_DROP_RATE_LOCAL), 9 * BURST);
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 10 * BURST);
	fx_time(x, x->w->now_ns + 10 * SL_NS_PER_MS); /* 1,000 a second */
	for (i = 0; i < 20; i++) {
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &up, 1));
		m = fx_frame(x, 0);
		answers += m != NULL;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(answers, BURST + 10);
	fx_drops(x, SL_DROP_RATE_LOCAL);
	fx_drops(x, SL_DROP_TARGET_WITHDRAWN);
}

/* --- the other direction ----------------------------------------------------------------- */

/** The target is off the tunnel's path, whoever begins. Servers are not told. */
static void
from_inside(void **state)
{
	struct fx_spec tcp = {.src = "10.0.0.10",
			      .dst = "10.7.0.2",
			      .proto = SL_PROTO_TCP,
			      .tcp_flags = TCP_ACK,
			      .sport = 443};
	struct fx_spec tcp_up = {.src = "10.7.0.2",
				 .dst = "10.0.0.10",
				 .proto = SL_PROTO_TCP,
				 .tcp_flags = TCP_ACK,
				 .sport = 7000,
				 .dport = 443};
	struct sl_rec r;

	observe();
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.reason, SL_RR_WITHDRAWN);
	assert_int_equal(r.target, 0);
	/* TCP of which the begin was not seen is no answer to anything here */
	assert_false(send_down(&tcp));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	refused(&tcp_up);
	refused(&up); /* and the peer's own packets of the flow that the server tried */
	assert_true(send_down(&(struct fx_spec){.src = "10.0.0.20", .dst = "10.7.0.2"}));
}

/** Flows end with their next packet, in whichever direction and mode, and begin anew later. */
static void
ends_flows(bool observed, bool by_reply)
{
	struct sl_rec end;

	load(false);
	if (observed)
		observe();
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	load(true);
	if (by_reply) {
		assert_false(send_down(&down));
		pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	}
	refused(&up);
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	end = pol_one(x->w, SL_REC_END);
	assert_int_equal(end.reason, SL_RR_REVOKED);
	assert_int_equal(end.packets[0], 1);
	assert_int_equal(end.packets[1], 1);
	load(false);
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 2);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 0);
	sl_flow_purge(x->w);
	pol_law(x->w);
}

static void
flows_by_initiator(void **state)
{
	ends_flows(false, false);
}

static void
flows_by_reply(void **state)
{
	ends_flows(false, true);
}

static void
flows_observed(void **state)
{
	ends_flows(true, true);
}

/** A flow that policy denies and observe lets pass: cut, and let pass again. */
static void
would_denied(void **state)
{
	load(false);
	pol_revoke(&pol, x->root, 1, "user");
	observe();
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 1);
	load(true);
	pol_revoke(&pol, x->root, 1, "user");
	refused(&up);
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 1);
	load(false);
	pol_revoke(&pol, x->root, 1, "user");
	assert_true(send_up(&up));
	assert_true(send_down(&down));
}

/** Between peers the target is the receiver; what it begins itself is its own matter. */
static void
between_peers(void **state)
{
	x->f1->isolation = false;
	pol_load(&pol, x->root,
		 "{'version': 1, 'zones': {}, 'targets': {'site': {'addresses': ['10.7.0.3/32'],"
		 " 'withdrawn': true}}, 'roles': {'user': {'members': ['peer:peer1', "
		 "'peer:peer2']}}, 'rules': [{'id': 1, 'role': 'user', 'to': ['*'], 'protocol': "
		 "'any', 'action': 'allow'}]}");
	refused(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.7.0.3"});
	refused(&(struct fx_spec){.src = "10.7.0.2",
				  .dst = "10.7.0.3",
				  .proto = SL_PROTO_TCP,
				  .tcp_flags = TCP_ACK,
				  .dport = 443});
	fx_run(x, SL_NODE_AUTHZ,
	       fx_tunnel(x, &(struct fx_spec){.src = "10.7.0.3", .dst = "10.7.0.2", .sport = 9},
			 2));
	rte_pktmbuf_free(fx_frame(x, 0));
	pol_dropped(x, SL_DROP_TARGET_WITHDRAWN, 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(in_every_mode),	  CASE(of_anybody),
		CASE(overlaps),		  CASE(untold),
		CASE(rate_limit),	  CASE(from_inside),
		CASE(flows_by_initiator), CASE(flows_by_reply),
		CASE(flows_observed),	  CASE(would_denied),
		CASE(between_peers),
	};

	eal_start("test_policy_withdrawn");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
