/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows under a policy, packet by packet: both directions, modes, records, changes of policy,
 * identity and time, ends. */
#include "pol_tx.h"

#include <time.h>

#include "flow_int.h"

#define TCP(f) .proto = SL_PROTO_TCP, .tcp_flags = (f)
#define SYN 0x02
#define ACK 0x10
#define FIN 0x01

/* peer 1 may reach the server by UDP 6000 and TCP 443 and the net 10.9/16; peer 2 nothing */
#define BASE                                                                                       \
	"{'version': 1, 'zones': {}, 'targets': {},"                                               \
	" 'roles': {'user': {'members': ['peer:peer1']}, 'none': {'members': []}},"                \
	" 'rules': [{'id': 1, 'role': 'user', 'to': ['10.0.0.10/32'], 'protocol': 'udp',"          \
	"            'ports': [6000], 'action': 'allow'%s},"                                       \
	"           {'id': 2, 'role': 'user', 'to': ['10.0.0.10/32'], 'protocol': 'tcp',"          \
	"            'ports': [443], 'action': 'allow'},"                                          \
	"           {'id': 3, 'role': 'user', 'to': ['10.9.0.0/16'], 'protocol': 'any',"           \
	"            'action': 'allow'}]}"

static struct fx *x;
static struct pol pol;

static void
load(const char *more)
{
	char text[2048];

	snprintf(text, sizeof(text), BASE, more);
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

static void
later(uint64_t ns)
{
	fx_time(x, x->w->now_ns + ns);
	sl_flow_tick(x->w);
}

static const struct fx_spec up = {.src = "10.7.0.2", .dst = "10.0.0.10"};
static const struct fx_spec down = {.src = "10.0.0.10",
				    .dst = "10.7.0.2",
				    .sport = 6000,
				    .dport = 5000};

/** From peer 1; @return whether it was forwarded */
static bool
send_up(const struct fx_spec *s)
{
	return pol_from_tunnel(x, fx_tunnel(x, s, 1));
}

/** To peer 1 */
static bool
send_down(const struct fx_spec *s)
{
	return pol_from_inside(x, fx_inside(x, s, 1));
}

/* --- both directions --------------------------------------------------------------------- */

static void
replies_pass(void **state)
{
	struct sl_rec r;

	assert_false(send_down(&down)); /* nobody asked */
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	later(11 * SL_NS_PER_S); /* the denied entry is gone */
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	assert_true(send_up(&up));
	r = pol_one(x->w, SL_REC_ALLOW);
	assert_int_equal(r.rule, 0);
	assert_int_equal(r.generation, 1);
	assert_int_equal(r.peer_id, 1);
	assert_int_equal(r.sport, 5000);
	assert_int_equal(r.dport, 6000);
	assert_int_equal(r.flags,
			 SL_RF_FROM_TUNNEL | SL_RF_ALLOW | SL_RF_ENFORCED | SL_RF_NO_TARGET);
	later(63 * SL_NS_PER_S);
	r = pol_one(x->w, SL_REC_END);
	assert_int_equal(r.reason, SL_RR_IDLE);
	assert_int_equal(r.packets[0], 2);
	assert_int_equal(r.packets[1], 1);
	assert_int_equal(r.bytes[0], 200);
	assert_int_equal(r.bytes[1], 100);
	assert_int_equal(r.duration_ms, 63000);
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

/* The one who is denied does not keep the other one from beginning. */
static void
denied_binds_its_initiator(void **state)
{
	struct fx_spec u = {.src = "10.7.0.2", .dst = "10.9.0.1", .sport = 500, .dport = 500};
	struct fx_spec d = {.src = "10.0.0.10", .dst = "10.7.0.2", .sport = 6000, .dport = 5000};

	pol_load(&pol, x->root,
		 "{'version': 2, 'zones': {}, 'targets': {},"
		 " 'roles': {'server': {'members': ['10.0.0.0/24@*']}, 'peer': {'members': "
		 "['peer:peer1']}},"
		 " 'rules': [{'id': 1, 'role': 'server', 'to': ['10.7.0.2/32'], 'protocol': 'udp',"
		 "            'action': 'allow'}]}");
	assert_false(send_up(&up));
	assert_false(send_up(&u));
	assert_true(send_down(&d)); /* same tuple, begun by the server: its own right */
	assert_true(send_up(&up));  /* a reply now */
	pol_dropped(x, SL_DROP_DENIED, 2);
	/* under observe a reply is a reply */
	sl_flow_purge(x->w);
	x->root->authz.deflt = SL_MODE_OBSERVE;
	assert_true(send_up(&up));
	assert_true(send_down(&d));
	sl_flow_purge(x->w);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 2);
}

/** TCP of the server's port 443 to peer 1; the fixture's ports are 5000 and 443 either way. */
static struct rte_mbuf *
of_server(uint8_t flags)
{
	struct fx_spec s = {.src = "10.0.0.10", .dst = "10.7.0.2", TCP(flags)};
	struct rte_mbuf *m = fx_inside(x, &s, 1);
	uint8_t *p = rte_pktmbuf_mtod(m, uint8_t *) + 20;

	sl_store_be16(p, 443);
	sl_store_be16(p + 2, 5000);
	sl_meta(m)->sport = 443;
	sl_meta(m)->dport = 5000;
	return m;
}

static void
midstream(void **state)
{
	struct fx_spec ack_up = {.src = "10.7.0.2", .dst = "10.0.0.10", TCP(ACK)};
	struct fx_spec syn_up = {.src = "10.7.0.2", .dst = "10.0.0.10", TCP(SYN)};
	struct rte_mbuf *m;
	struct sl_rec r;

	fx_run(x, SL_NODE_INSIDE, of_server(ACK));
	m = fx_frame(x, 0);
	assert_non_null(m); /* as if the peer had begun */
	rte_pktmbuf_free(m);
	r = pol_one(x->w, SL_REC_ALLOW);
	assert_int_equal(r.flags & (SL_RF_MIDSTREAM | SL_RF_FROM_TUNNEL),
			 SL_RF_MIDSTREAM | SL_RF_FROM_TUNNEL);
	assert_int_equal(r.dport, 443);
	assert_true(send_up(&ack_up));
	sl_flow_purge(x->w);
	/* a SYN begins nothing that was not asked for, nor does UDP */
	fx_run(x, SL_NODE_INSIDE, of_server(SYN));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	assert_true(send_up(&syn_up));
	pol_law(x->w);
}

/* A connection that ended makes room for the next one on the same ports. */
static void
tcp_begins_anew(void **state)
{
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.0.0.10", TCP(SYN)};
	struct sl_rec r;

	assert_true(send_up(&s));
	s.tcp_flags = 0x04; /* RST */
	assert_true(send_up(&s));
	s.tcp_flags = SYN;
	assert_true(send_up(&s));
	r = pol_one(x->w, SL_REC_END);
	assert_int_equal(r.reason, SL_RR_CLOSED);
	assert_int_equal(r.packets[0], 2);
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 2);
	s.tcp_flags = ACK | FIN;
	assert_true(send_up(&s));
	later(13 * SL_NS_PER_S); /* not yet closed by the other side */
	assert_int_equal(sl_flow_count(x->w->flows), 1);
}

static uint64_t
answers(unsigned bucket)
{
	const struct sl_polset *set = x->root->authz.policy.set;
	uint64_t n[SL_RTT_BUCKETS] = {0};

	if (set == NULL || !sl_rtt_merge(n, x->w->rtt, set->generation, 0))
		return 0;
	return bucket < SL_RTT_BUCKETS ? n[bucket] : sl_rtt_count(n);
}

/* How long a target takes to answer a SYN out of a tunnel; a SYN that was sent twice tells nothing.
 */
static void
handshake_times(void **state)
{
	struct fx_spec syn = {
		.src = "10.7.0.2", .dst = "10.0.0.10", .sport = 5000, .dport = 443, TCP(SYN)};
	struct fx_spec reply = {
		.src = "10.0.0.10", .dst = "10.7.0.2", .sport = 443, .dport = 5000, TCP(SYN | ACK)};

	pol_load(&pol, x->root,
		 "{'version': 2, 'targets': {'srv': {'addresses': ['10.0.0.10']}},"
		 " 'roles': {'user': {'members': ['peer:peer1']}},"
		 " 'rules': [{'id': 1, 'role': 'user', 'to': ['srv'], 'protocol': 'tcp', 'action': "
		 "'allow'}]}");
	assert_true(send_up(&syn));
	later(3 * SL_NS_PER_MS);
	assert_int_equal(answers(SL_RTT_BUCKETS), 0);
	assert_true(send_down(&reply));
	assert_int_equal(answers(sl_rtt_bucket(3000)), 1);
	assert_true(send_down(&reply)); /* again: the first one counts */
	assert_int_equal(answers(SL_RTT_BUCKETS), 1);
	syn.sport = reply.dport = 5001;
	assert_true(send_up(&syn));
	later(SL_NS_PER_S);
	assert_true(send_up(&syn));
	assert_true(send_down(&reply));
	assert_int_equal(answers(SL_RTT_BUCKETS), 1);
}

/* --- modes ------------------------------------------------------------------------------- */

/* A bug of the original: one enforced target dropped packets to an observed one. */
static void
enforced_target_leaves_others(void **state)
{
	struct fx_spec other = {.src = "10.7.0.2", .dst = "10.0.0.11"};

	x->root->authz.deflt = SL_MODE_OBSERVE;
	fx_lpm(&x->root->authz.mode4, "10.0.0.10/32", SL_MODE_ENFORCE);
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &other, 1)); /* would be denied: waits for ARP */
	assert_int_equal(x->w->n_wait, 1);
	assert_false(send_up(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7}));
	pol_dropped(x, SL_DROP_DENIED, 1);
	assert_true(send_up(&up));
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 1);
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), 1);
}

/* Another one: enforce with an empty policy allowed all. */
static void
empty_policy_denies(void **state)
{
	x->root->authz.policy = (struct sl_policy_view){0};
	assert_false(send_up(&up));
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_NO_ROLE, 2);
	pol_load(&pol, x->root,
		 "{'version': 3, 'zones': {}, 'targets': {}, 'roles': {}, 'rules': []}");
	assert_false(send_up(&up));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	pol_law(x->w);
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 0);
}

/* The four combinations of mode and logging, and changes between them under traffic. */
static void
mode_and_logging(void **state)
{
	struct fx_spec bad = {.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7};
	struct sl_rec_counts *c = &x->w->records->counts;
	uint64_t good_sent = 0, forwarded = 0, denied = 0;
	unsigned round, i;

	for (round = 0; round < 40; round++) {
		bool enforce = round & 1, log = round / 2 & 1;
		uint64_t recorded = c->recorded[SL_REC_DENY] + c->recorded[SL_REC_WOULD_DENY];

		x->root->authz.deflt = enforce ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
		x->w->logging = log;
		for (i = 0; i < 5; i++) {
			assert_true(send_up(&up));
			good_sent++;
			assert_int_equal(send_up(&bad), !enforce);
			*(enforce ? &denied : &forwarded) += 1;
		}
		later(1200 * SL_NS_PER_MS);
		later(SL_NS_PER_S); /* what was held back is written */
		recorded = c->recorded[SL_REC_DENY] + c->recorded[SL_REC_WOULD_DENY] - recorded;
		assert_int_equal(recorded, log ? 5 : 0);
	}
	pol_dropped(x, SL_DROP_DENIED, denied);
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), denied);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), forwarded);
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 1);
	/* each time that enforce cut the would-be flow it ended */
	assert_int_equal(pol_seen(x->w, SL_REC_END), 20);
	pol_law(x->w);
}

/* A rule without `log` writes nothing; its packets are still counted. */
static void
rule_without_log(void **state)
{
	load(", 'log': false");
	assert_true(send_up(&up));
	sl_flow_purge(x->w);
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 1);
	assert_int_equal(x->w->records->counts.not_selected[SL_REC_ALLOW], 1);
	assert_int_equal(x->w->records->counts.not_selected[SL_REC_END], 1);
	assert_int_equal(x->w->records->head, 0);
}

/** Of each flow by its source port: records of a type. */
static void
by_port(unsigned n_of[SL_REC_TYPES][3000])
{
	static struct sl_rec r[4096];
	uint64_t lost;
	unsigned i, n = pol_records(x->w, r, SL_ARRAY_SIZE(r), &lost);

	memset(n_of, 0, SL_REC_TYPES * sizeof(n_of[0]));
	for (i = 0; i < n; i++)
		n_of[r[i].type][r[i].sport - 1000] += r[i].count;
}

static void
send_from(unsigned i, uint16_t dport)
{
	struct fx_spec s = {.src = "10.7.0.2",
			    .dst = "10.0.0.10",
			    .sport = (uint16_t)(1000 + i),
			    .dport = dport};

	send_up(&s);
	later(20 * SL_NS_PER_MS); /* below the rate of a role */
}

/** One flow in eight has its records, each of them: begin and end, or all its denies. What has none
 * is counted as not selected; the evidence has all. */
static void
rule_samples(void **state)
{
	static unsigned n_of[SL_REC_TYPES][3000];
	struct sl_rec_counts *c = &x->w->records->counts;
	unsigned i, began = 0, denied = 0;
	uint64_t rows = 0, flows = 0;
	struct sl_agg_row row;

	load(", 'log': 'sample:1/8'}, {'id': 9, 'role': 'user', 'to': ['10.0.0.10/32'],"
	     " 'protocol': 'udp', 'ports': [7], 'action': 'deny', 'log': 'sample:1/8'");
	for (i = 0; i < 800; i++) {
		send_from(i, 6000);
		send_from(i, 7);
		send_from(i, 7);
	}
	sl_flow_purge(x->w);
	by_port(n_of);
	for (i = 0; i < 800; i++) {
		assert_int_equal(n_of[SL_REC_ALLOW][i], n_of[SL_REC_END][i]);
		assert_true(n_of[SL_REC_DENY][i] == 0 || n_of[SL_REC_DENY][i] == 2);
		began += n_of[SL_REC_ALLOW][i];
		denied += n_of[SL_REC_DENY][i];
	}
	assert_in_range(began, 60, 140); /* 100, and four times its deviation */
	assert_in_range(denied, 120, 280);
	assert_int_equal(c->not_selected[SL_REC_ALLOW], 800 - began);
	assert_int_equal(c->not_selected[SL_REC_END], 800 - began);
	assert_int_equal(c->not_selected[SL_REC_DENY], 1600 - denied);
	assert_int_equal(c->suppressed[SL_REC_ALLOW] + c->suppressed[SL_REC_DENY], 0);
	for (i = 0; i < 2; i++) {
		struct sl_agg_table *t = x->w->agg->table[i];

		for (unsigned k = 0; t != NULL && k < t->used; k++, rows++) {
			sl_agg_row_get(t, k, &row);
			flows += row.flows;
		}
	}
	assert_int_equal(flows, 1600);
	pol_dropped(x, SL_DROP_DENIED, 1600);
}

/** Flows that are under way when their rule begins or ends to record: those whose begin was
 * recorded have an end, unless the rule wants none of them any more. */
static void
rule_changes_what_it_records(void **state)
{
	static const char *const log[] = {", 'log': false",	   "", ", 'log': 'sample:1/2'",
					  ", 'log': 'sample:1/2'", "", ", 'log': false"};
	static unsigned begin[SL_REC_TYPES][3000], end[SL_REC_TYPES][3000];
	unsigned i, k, ended;

	for (k = 0; k + 1 < SL_ARRAY_SIZE(log); k++) {
		load(log[k]);
		for (i = 0; i < 64; i++)
			send_from(i, 6000);
		by_port(begin);
		load(log[k + 1]);
		for (i = 0; i < 64; i++)
			send_from(i, 6000);
		sl_flow_purge(x->w);
		by_port(end);
		for (i = ended = 0; i < 64; i++) {
			assert_int_equal(end[SL_REC_ALLOW][i], 0);
			assert_true(end[SL_REC_END][i] <= begin[SL_REC_ALLOW][i]);
			ended += end[SL_REC_END][i];
			if (k != 4)
				assert_int_equal(end[SL_REC_END][i], begin[SL_REC_ALLOW][i]);
		}
		if (k == 0 || k == 4)
			assert_int_equal(ended, 0);
		else if (k == 1)
			assert_int_equal(ended, 64);
		else
			assert_in_range(ended, 12, 52);
	}
}

/* One record a flow and second. */
static void
denies_are_held_back(void **state)
{
	struct fx_spec bad = {.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7};
	struct sl_rec r;
	unsigned i;

	for (i = 0; i < 100; i++)
		assert_false(send_up(&bad));
	pol_dropped(x, SL_DROP_DENIED, 100);
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.count, 1);
	assert_int_equal(r.reason, SL_RR_ZONE_DEFAULT);
	assert_int_equal(r.role, 0);
	fx_time(x, x->w->now_ns + 1100 * SL_NS_PER_MS); /* no sweep: the packet itself */
	assert_false(send_up(&bad));
	fx_drops(x, SL_DROP_DENIED);
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.count, 100);
	assert_int_equal(r.flags & SL_RF_CACHED, SL_RF_CACHED);
	for (i = 0; i < 7; i++)
		assert_false(send_up(&bad));
	fx_drops(x, SL_DROP_DENIED);
	later(12 * SL_NS_PER_S); /* idle: ends, and tells */
	r = pol_one(x->w, SL_REC_DENY);
	assert_int_equal(r.count, 7);
	assert_int_equal(pol_seen(x->w, SL_REC_END), 0);
}

/* --- revocation -------------------------------------------------------------------------- */

static void
revoked(enum sl_drop reason)
{
	struct sl_rec end;

	assert_false(send_down(&down)); /* the other direction is judged as the initiator */
	pol_dropped(x, reason, 1);
	end = pol_one(x->w, SL_REC_END);
	assert_int_equal(end.reason, SL_RR_REVOKED);
	assert_int_equal(end.packets[0], 2);
	assert_int_equal(end.packets[1], 1);
	assert_false(send_up(&up));
	pol_dropped(x, reason, 1);
}

static void
exchange(void)
{
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	assert_true(send_up(&up));
}

static void
revoked_by_policy(void **state)
{
	exchange();
	load(", 'enabled': false");
	revoked(SL_DROP_DENIED);
	load("");
	assert_true(send_up(&up)); /* and given back */
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 2);
}

/* No policy is in force any more: as before the first one. */
static void
revoked_by_clearing(void **state)
{
	assert_true(send_up(&up));
	assert_true(send_down(&down));
	pol_law(x->w);
	x->root->authz.policy = (struct sl_policy_view){0};
	assert_false(send_up(&up));
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_NO_ROLE, 2);
	x->root->authz.deflt = SL_MODE_OBSERVE;
	assert_true(send_up(&up));
	x->root->authz.deflt = SL_MODE_ENFORCE;
	assert_false(send_up(&up));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	load("");
	assert_true(send_up(&up));
	assert_true(send_down(&down));
}

static void
revoked_by_identity(void **state)
{
	uint64_t misses;

	pol_grant(&pol, x->root, 1, "none", 0);
	exchange();
	misses = x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_misses;
	pol_grant(&pol, x->root, 2, "user", 0); /* not this one's */
	assert_true(send_up(&up));
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_misses, misses);
	pol_revoke(&pol, x->root, 1, "none"); /* its own: judged anew, same verdict */
	assert_true(send_up(&up));
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_misses, misses + 1);
	sl_flow_purge(x->w);
	pol_law(x->w);
	exchange();
	pol_revoke(&pol, x->root, 1, "user");
	revoked(SL_DROP_NO_ROLE);
}

static void
revoked_by_deadline(void **state)
{
	pol_revoke(&pol, x->root, 1, "user");
	pol_grant(&pol, x->root, 1, "user", x->w->tick + 50);
	exchange();
	later(4900 * SL_NS_PER_MS);
	assert_true(send_up(&up));
	later(200 * SL_NS_PER_MS); /* nobody published anything */
	assert_false(send_up(&up));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	assert_int_equal(pol_one(x->w, SL_REC_END).reason, SL_RR_REVOKED);
}

/** Rule 1 until 5 s from now. @param beside what else stands among the rules */
static void
load_ending(const char *beside)
{
	time_t end = (time_t)(POL_WALL_NS / SL_NS_PER_S + x->w->now_ns / SL_NS_PER_S + 5);
	char when[32], more[512];
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
	snprintf(more, sizeof(more), ", 'expires': '%s'%s", when, beside);
	load(more);
}

/** An allow rule ends for flows under way and for new ones, though the tables that hold it are
 * those of before: never late, and at most 100 ms early. */
static void
a_rule_ends_in_old_tables(void **state)
{
	struct fx_spec other = {.src = "10.7.0.2", .dst = "10.0.0.10", .sport = 5001};
	uint64_t end;

	load_ending("");
	end = (x->w->now_ns / SL_NS_PER_S + 5) * SL_NS_PER_S;
	exchange();
	fx_time(x, end - 101 * SL_NS_PER_MS);
	assert_true(send_up(&up));
	assert_true(send_up(&other));
	fx_time(x, end);
	assert_false(send_up(&up));
	other.sport = 5002;
	assert_false(send_up(&other));
	pol_dropped(x, SL_DROP_DENIED, 2);
	assert_int_equal(pol_one(x->w, SL_REC_END).reason, SL_RR_REVOKED);
	/* what another rule of the role gives goes on */
	load_ending("}, {'id': 9, 'role': 'user', 'to': ['10.0.0.0/24'], 'protocol': 'udp',"
		    " 'action': 'allow', 'priority': 200");
	end = (x->w->now_ns / SL_NS_PER_S + 5) * SL_NS_PER_S;
	later(11 * SL_NS_PER_S); /* the denied entries are gone, and the rule is over */
	assert_true(x->w->now_ns > end);
	exchange();
	sl_flow_purge(x->w);
	assert_int_equal(pol.set->rules[pol_one(x->w, SL_REC_ALLOW).rule].id, 9);
}

static void
revoked_under_observe(void **state)
{
	x->root->authz.deflt = SL_MODE_OBSERVE;
	exchange();
	load(", 'enabled': false");
	assert_true(send_down(&down));
	assert_true(send_up(&up));
	sl_flow_purge(x->w);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), 2);
	assert_int_equal(pol_seen(x->w, SL_REC_END), 2);
}

static void
peer_goes(void **state)
{
	struct sl_wk_msg msg = {.type = SL_WK_PEER_GONE, .peer_id = 1};
	struct fx_spec other = {.src = "10.7.0.2", .dst = "10.9.0.1"};
	struct sl_rec r[16];
	uint64_t lost;
	unsigned n;

	exchange();
	assert_true(send_up(&other));
	x->peer[1]->gone = 1;
	sl_home_message(x->w, &msg);
	assert_int_equal(sl_flow_count(x->w->flows), 0);
	n = pol_records(x->w, r, 16, &lost);
	assert_int_equal(pol_count(r, n, SL_REC_END), 2);
	assert_int_equal(r[n - 1].reason, SL_RR_PEER_GONE);
	assert_false(send_down(&down));
	pol_dropped(x, SL_DROP_PEER_DOWN, 1);
	assert_int_equal(sl_flow_count(x->w->flows), 0);
}

/* --- room -------------------------------------------------------------------------------- */

static void
table_full(void **state)
{
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.9.0.1"};
	struct fx_spec bad = {.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7};
	unsigned i, max = sl_flow_max(x->w->flows), share = max - max / 4;

	for (i = 0; i < share; i++) {
		s.sport = (uint16_t)(1 + i);
		assert_true(send_up(&s));
	}
	assert_int_equal(sl_flow_count(x->w->flows), share);
	assert_int_equal(x->peer[1]->n_flows, share);
	s.sport = 60000;
	assert_true(send_up(&s)); /* allowed, though nothing is kept of it */
	assert_int_equal(sl_flow_count(x->w->flows), share);
	assert_int_equal(x->w->stats->lcore.flow_full, 1);
	assert_int_equal(pol_seen(x->w, SL_REC_FLOW_FULL), 1);
	for (i = 0; i < max / 4; i++) { /* what is denied has no such bound: it makes way */
		bad.sport = (uint16_t)(1 + i);
		assert_false(send_up(&bad));
	}
	pol_dropped(x, SL_DROP_DENIED, max / 4);
	assert_int_equal(sl_flow_count(x->w->flows), max);
	for (i = 0; i < share; i++) { /* none was taken away */
		s.sport = (uint16_t)(1 + i);
		assert_true(send_up(&s));
	}
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), share);
	assert_int_equal(pol_seen(x->w, SL_REC_END), 0);
	assert_int_equal(x->w->stats->lcore.flow_full, 1);
	later(63 * SL_NS_PER_S);
	assert_int_equal(sl_flow_count(x->w->flows), 0);
	assert_int_equal(x->peer[1]->flow_head, 0);
	assert_int_equal(x->peer[1]->n_flows, 0);
}

/* A peer that fills the table leaves room for the others' requests, whose answers pass. */
static void
flood_leaves_room(void **state)
{
	struct fx_spec s = {.src = "10.7.0.2", .dst = "10.9.0.1"};
	struct fx_spec u = {.src = "10.7.0.3", .dst = "10.0.0.10"};
	struct fx_spec d = {.src = "10.0.0.10", .dst = "10.7.0.3", .sport = 6000, .dport = 5000};
	unsigned i, max = sl_flow_max(x->w->flows);

	pol_grant(&pol, x->root, 2, "user", 0);
	for (i = 0; i < 2 * max; i++) {
		s.sport = (uint16_t)(1 + i);
		assert_true(send_up(&s));
	}
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &u, 2));
	rte_pktmbuf_free(fx_frame(x, 1));
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &d, 2));
	rte_pktmbuf_free(fx_frame(x, 0));
	fx_quiet(x);
	assert_int_equal(x->peer[2]->n_flows, 1);
	/* the others fill the rest: then it is the flood that makes room */
	for (i = 1; sl_flow_count(x->w->flows) < max; i++) {
		u.sport = (uint16_t)(10000 + i);
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &u, 2));
		rte_pktmbuf_free(fx_frame(x, 1));
	}
	later(SL_NS_PER_S / 2);
	u.sport = 30000;
	d.dport = 30000;
	fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &u, 2));
	rte_pktmbuf_free(fx_frame(x, 1));
	fx_run(x, SL_NODE_INSIDE, fx_inside(x, &d, 2));
	rte_pktmbuf_free(fx_frame(x, 0));
	fx_quiet(x);
	assert_int_equal(x->peer[1]->n_flows + x->peer[2]->n_flows, max);
}

/* A peer that may do nothing pushes out no request of another one that is not answered yet. */
static void
denied_flood_takes_nothing(void **state)
{
	struct fx_spec bad = {.src = "10.7.0.3", .dst = "10.0.0.99"}, s = up, u = up;
	unsigned i, max = sl_flow_max(x->w->flows), share = max - max / 4;

	pol_grant(&pol, x->root, 2, "user", 0);
	for (i = 0; i < share; i++) { /* two peers' requests fill the table */
		s.sport = (uint16_t)(1 + i);
		assert_true(send_up(&s));
	}
	u.src = "10.7.0.3";
	for (; i < max; i++) {
		u.sport = (uint16_t)(1 + i);
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &u, 2));
		rte_pktmbuf_free(fx_frame(x, 1));
	}
	assert_int_equal(sl_flow_count(x->w->flows), max);
	later(SL_NS_PER_S / 2);
	for (i = 0; i < 4 * max; i++) {
		bad.sport = (uint16_t)(1 + i);
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &bad, 2));
	}
	pol_dropped(x, SL_DROP_DENIED, 4 * max);
	assert_int_equal(x->peer[1]->n_flows, share);
	assert_int_equal(pol_seen(x->w, SL_REC_END), 0);
}

/** Flows of the peer with answers, until there is room for no more of them. */
static void
fill_table(void)
{
	struct fx_spec s = up, back = down;
	unsigned i, max = sl_flow_max(x->w->flows);

	for (i = 0; i < max; i++) {
		s.sport = (uint16_t)(1 + i);
		back.dport = s.sport;
		assert_true(send_up(&s));
		if (x->w->stats->lcore.flow_full == 0)
			assert_true(send_down(&back));
	}
}

/* Without an entry the answer to one packet of a burst is none for one that differs. */
static void
full_table_judges_each(void **state)
{
	unsigned n = 0;
	struct rte_mbuf *m;

	fill_table();
	sl_vec_add(&x->w->v[SL_NODE_INSIDE], of_server(ACK)); /* as if the peer had begun */
	sl_vec_add(&x->w->v[SL_NODE_INSIDE], of_server(SYN)); /* begins: may not */
	sl_vec_add(&x->w->v[SL_NODE_INSIDE], of_server(ACK));
	sl_worker_run(x->w);
	for (; (m = fx_frame(x, 0)) != NULL; n++)
		rte_pktmbuf_free(m);
	assert_int_equal(n, 2);
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

#define SMALL 16 /* flows */
#define ROUNDS 8 /* of questions, see sl_authz_answer() */

/* Denied flows of one burst push each other out of the only place: each round settles the last of
 * them, until those that are left are judged by themselves. What the server sends on their ports
 * has another verdict, though it waited for the same answer. */
static void
no_end_of_rounds(void **state)
{
	static const char text[] =
		"{'version': 1, 'zones': {}, 'targets': {}, 'roles': {'user': {'members': "
		"['peer:peer1', 'peer:peer2']}, 'srv': {'members': ['10.0.0.10/32@*']}},"
		" 'rules': [{'id': 1, 'role': 'user', 'to': ['10.0.0.10/32'], 'protocol': 'udp',"
		"            'ports': [6000], 'action': 'allow'},"
		"           {'id': 2, 'role': 'srv', 'to': ['10.7.0.2/32'], 'protocol': 'udp',"
		"            'action': 'allow'}]}";
	const uint64_t key[2] = {1, 2};
	void *mem = aligned_alloc(SL_CACHE_LINE, sl_flow_table_size(SMALL));
	struct sl_flow_table *was = x->w->flows;
	struct fx_spec s = up, bad = {.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7};
	struct fx_spec own = {.src = "10.0.0.10", .dst = "10.7.0.2", .sport = 7};
	struct rte_mbuf *m;
	unsigned i, n = 0;

	memset(mem, 0, sl_flow_table_size(SMALL));
	x->w->flows = sl_flow_table_init(mem, SMALL, key);
	pol_load(&pol, x->root, text);
	for (i = 0; i < SMALL - 1; i++) { /* two peers share all but one place */
		s.src = i < SMALL * 3 / 4 ? "10.7.0.2" : "10.7.0.3";
		s.sport = (uint16_t)(5000 + i);
		fx_run(x, SL_NODE_AUTHZ, fx_tunnel(x, &s, i < SMALL * 3 / 4 ? 1 : 2));
		rte_pktmbuf_free(fx_frame(x, 1));
	}
	assert_int_equal(sl_flow_count(x->w->flows), SMALL - 1);
	for (i = 0; i < SMALL; i++) {
		bad.sport = (uint16_t)(100 + i);
		sl_vec_add(&x->w->v[SL_NODE_AUTHZ], fx_tunnel(x, &bad, 1));
	}
	for (i = 0; i < 4; i++) { /* on the ports of those that are settled last */
		own.dport = (uint16_t)(100 + i);
		sl_vec_add(&x->w->v[SL_NODE_INSIDE], fx_inside(x, &own, 1));
	}
	sl_worker_run(x->w);
	while ((m = fx_frame(x, 0)) != NULL) {
		n++;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, 4);
	assert_int_equal(x->w->stats->lcore.flow_full, SMALL - ROUNDS + 4);
	pol_dropped(x, SL_DROP_DENIED, SMALL);
	assert_int_equal(sl_flow_count(x->w->flows), SMALL);
	sl_flow_purge(x->w);
	x->peer[1]->flow_head = x->peer[2]->flow_head = 0;
	x->w->flows = was;
	free(mem);
}

/* Packets of one new flow in one burst are one flow. */
static void
burst_of_one_flow(void **state)
{
	struct fx_spec bad = {.src = "10.7.0.2", .dst = "10.0.0.10", .dport = 7};
	unsigned i, n = 0;
	struct rte_mbuf *m;

	for (i = 0; i < 30; i++)
		sl_vec_add(&x->w->v[SL_NODE_AUTHZ], fx_tunnel(x, i % 3 ? &up : &bad, 1));
	sl_worker_run(x->w);
	while ((m = fx_frame(x, 1)) != NULL) {
		n++;
		rte_pktmbuf_free(m);
	}
	assert_int_equal(n, 20);
	pol_dropped(x, SL_DROP_DENIED, 10);
	assert_int_equal(sl_flow_count(x->w->flows), 2);
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_misses, 2);
	assert_int_equal(x->w->stats->stage[SL_STATS_POST_DECRYPT].policy_hits, 28);
	assert_int_equal(pol_seen(x->w, SL_REC_ALLOW), 1);
}

/* A change of policy, and in the first burst after it the server begins on the ports of a
 * connection that has ended: the verdict on the peer's direction is none on the server's. */
static void
begins_amid_a_change(void **state)
{
	struct fx_spec peers = {.src = "10.7.0.2", .dst = "10.0.0.10", TCP(SYN)};

	assert_true(send_up(&peers));
	fx_run(x, SL_NODE_INSIDE, of_server(0x04)); /* RST */
	rte_pktmbuf_free(fx_frame(x, 0));
	load(", 'log': true");
	peers.tcp_flags = ACK;
	sl_vec_add(&x->w->v[SL_NODE_AUTHZ], fx_tunnel(x, &peers, 1));
	sl_vec_add(&x->w->v[SL_NODE_INSIDE], of_server(SYN));
	sl_worker_run(x->w);
	assert_null(fx_frame(x, 0));
	rte_pktmbuf_free(fx_frame(x, 1));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

/* A role past its expiry that is served on: the flow passes, and says on what. When the role ends
 * after all, or is renewed, its next packet is judged by that. */
static void
stale_role(void **state)
{
	struct sl_rec r[8];
	uint64_t lost;
	unsigned n;

	assert_true(send_up(&up));
	(void)pol_one(x->w, SL_REC_ALLOW);
	pol_revoke(&pol, x->root, 1, "user");
	pol_grant_stale(&pol, x->root, 1, "user");
	assert_true(send_up(&up)); /* a running flow */
	*r = pol_one(x->w, SL_REC_STALE);
	assert_int_equal(r->reason, SL_RR_RULE);
	assert_int_equal(r->rule, 0);
	assert_int_equal(r->peer_id, 1);
	assert_true((r->flags & (SL_RF_STALE | SL_RF_ALLOW)) == (SL_RF_STALE | SL_RF_ALLOW));
	assert_true(send_up(&up)); /* once a flow and verdict, not once a packet */
	assert_int_equal(pol_records(x->w, r, SL_ARRAY_SIZE(r), &lost), 0);
	assert_true(send_up(&(struct fx_spec){.src = "10.7.0.2", .dst = "10.9.0.1"})); /* new */
	n = pol_records(x->w, r, SL_ARRAY_SIZE(r), &lost);
	assert_int_equal(pol_count(r, n, SL_REC_STALE), 1);
	assert_int_equal(pol_count(r, n, SL_REC_ALLOW), 1);
	assert_int_equal(n, 2);
	assert_true((r[0].flags & r[1].flags & SL_RF_STALE) != 0);
	pol_revoke(&pol, x->root, 1, "user"); /* it answers again, and did not renew */
	assert_false(send_up(&up));
	pol_dropped(x, SL_DROP_NO_ROLE, 1);
	*r = pol_one(x->w, SL_REC_END);
	assert_int_equal(r->reason, SL_RR_REVOKED);
	pol_grant(&pol, x->root, 1, "user", 0);
	assert_true(send_up(&up));
	*r = pol_one(x->w, SL_REC_ALLOW);
	assert_int_equal(r->flags & SL_RF_STALE, 0);
	assert_int_equal(pol_seen(x->w, SL_REC_STALE), 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(replies_pass),
		CASE(denied_binds_its_initiator),
		CASE(midstream),
		CASE(tcp_begins_anew),
		CASE(handshake_times),
		CASE(enforced_target_leaves_others),
		CASE(empty_policy_denies),
		CASE(mode_and_logging),
		CASE(rule_without_log),
		CASE(rule_samples),
		CASE(rule_changes_what_it_records),
		CASE(denies_are_held_back),
		CASE(revoked_by_policy),
		CASE(revoked_by_clearing),
		CASE(revoked_by_identity),
		CASE(revoked_by_deadline),
		CASE(a_rule_ends_in_old_tables),
		CASE(revoked_under_observe),
		CASE(stale_role),
		CASE(peer_goes),
		CASE(table_full),
		CASE(flood_leaves_room),
		CASE(denied_flood_takes_nothing),
		CASE(full_table_judges_each),
		CASE(no_end_of_rounds),
		CASE(burst_of_one_flow),
		CASE(begins_amid_a_change),
	};

	eal_start("test_policy_flow");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
