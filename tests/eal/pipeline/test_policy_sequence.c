/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Random sequences of packets, policies, roles, modes and time against a naive model of flows: what
 * is forwarded, what is dropped and why, and how many of both are told. The model keeps one state
 * a tuple and judges by walking all rules; it shares nothing with the code but the document.
 *
 * SL_SEED=N runs one seed alone.
 */
#include "pol_tx.h"

#include <stdlib.h>

#include "flow_int.h"

#define SEEDS 30
#define STEPS 3000
#define ROLES 3 /* of peer 1, of peer 2, of the server 10.0.0.10 */
#define RULES 4
#define SERVERS 3
#define TICK_S 10

enum { UDP, TCP };
enum { NONE, NO_ROLE, DENIED };

static const char *const server[SERVERS] = {"10.0.0.10", "10.9.0.1", "10.9.0.2"};
static const char *const peer_addr[3] = {NULL, "10.7.0.2", "10.7.0.3"};

struct rule {
	unsigned to;	/* 0-2 servers, 3-4 peers 1 and 2, 5 any */
	unsigned proto; /* UDP, TCP, 2 any */
	unsigned port;	/* 0 any, or 50 + n, 1000 + n */
	bool allow, bidir, enabled;
	unsigned priority;
};

/** One tuple: peer, server, protocol and both ports. */
struct state {
	bool live, from_peer, observed, midstream, answered, established, allow;
	uint32_t last;
};

static struct {
	struct rule rule[ROLES][RULES];
	bool zone_allow;
	bool has[3][2]; /* peer has role 0, 1 */
	uint32_t until[3][2];
	struct state state[3][SERVERS][2][2][2];
	uint64_t denied, would, packets;
} model;

static struct fx *x;
static struct pol pol;
static uint64_t dice;

static unsigned
chance(unsigned n)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((dice >> 33) % n);
}

/* --- the model --------------------------------------------------------------------------- */

struct packet {
	unsigned peer, server, proto, pport, sport; /* ports: 0 or 1 */
	bool up, syn;
};

static unsigned
peer_port(const struct packet *p)
{
	return 1000 + p->pport;
}

static unsigned
server_port(const struct packet *p)
{
	return 50 + p->sport;
}

static bool
rule_is_for(const struct rule *r, const struct packet *p, bool to_server, bool port_of_server)
{
	unsigned port = port_of_server ? server_port(p) : peer_port(p);

	if (!r->enabled || (r->proto != 2 && r->proto != p->proto))
		return false;
	if (r->to != 5 && r->to != (to_server ? p->server : 2 + p->peer))
		return false;
	return r->port == 0 || r->port == port;
}

/* The vote of one role. @return 0 none, 1 allow, 2 deny */
static unsigned
vote(unsigned role, const struct packet *p, bool up, bool mirrored)
{
	unsigned i, best = 256, result = 0;

	for (i = 0; i < RULES; i++) {
		const struct rule *r = &model.rule[role][i];

		/* mirrored: a peer's rule to a server, seen from the server */
		if (mirrored ? !r->bidir || !rule_is_for(r, p, true, true)
			     : !rule_is_for(r, p, up, up))
			continue;
		if (r->priority > best)
			continue;
		if (r->priority < best || !r->allow)
			result = r->allow ? 1 : 2;
		best = r->priority;
	}
	return result;
}

static unsigned
judge(const struct packet *p, bool up, uint32_t tick)
{
	bool any_allow = false, any_deny = false, has_role = false;
	unsigned role, v;

	for (role = 0; role < ROLES; role++) {
		bool of_peer =
			role < 2 && model.has[p->peer][role] &&
			(model.until[p->peer][role] == 0 || tick < model.until[p->peer][role]);
		bool of_server = role == 2 && p->server == 0;

		if (!(up ? of_peer : of_peer || of_server))
			continue;
		v = vote(role, p, up, !up && of_peer);
		has_role |= up || of_server || v != 0;
		any_allow |= v == 1;
		any_deny |= v == 2;
	}
	if (!has_role)
		return NO_ROLE;
	if (any_deny)
		return DENIED;
	/* the zone holds the servers alone */
	return any_allow || (up && model.zone_allow) ? NONE : DENIED;
}

static uint32_t
idle(const struct state *s, unsigned proto)
{
	if (!s->allow && !s->observed)
		return 10 * TICK_S;
	if (proto == UDP)
		return 60 * TICK_S;
	return s->established ? 7440 * TICK_S : 300 * TICK_S;
}

static void
start(struct state *s, const struct packet *p, uint32_t tick)
{
	*s = (struct state){.live = true, .from_peer = p->up};
	s->midstream = p->proto == TCP && !p->syn;
	s->allow = judge(p, p->up, tick) == NONE;
	if (!s->allow && s->midstream && judge(p, !p->up, tick) == NONE) {
		s->allow = true;
		s->from_peer = !p->up;
	}
}

/* @return NONE if it is forwarded, else why not */
static unsigned
expect(const struct packet *p, uint32_t tick, bool enforce)
{
	struct state *s = &model.state[p->peer][p->server][p->proto][p->pport][p->sport];
	unsigned why;

	model.packets++;
	if (s->live && tick - s->last >= idle(s, p->proto))
		s->live = false;
	if (s->midstream && p->syn && p->up != s->from_peer) /* no answer, but a begin */
		s->live = false;
	if (!s->live)
		start(s, p, tick);
	why = judge(p, s->from_peer, tick);
	s->allow = why == NONE;
	if (why != NONE && enforce && p->up != s->from_peer && judge(p, p->up, tick) == NONE) {
		start(s, p, tick);
		why = NONE;
	}
	/* the other side's SYN, or any packet of it where the begin was missed; then an ACK */
	if (p->up != s->from_peer && (s->midstream || p->syn))
		s->answered = true;
	if (s->answered && (s->midstream || (p->up == s->from_peer && !p->syn)))
		s->established = true;
	s->last = tick;
	s->observed = !enforce;
	if (why == NONE)
		return NONE;
	*(enforce ? &model.denied : &model.would) += 1;
	return enforce ? why : NONE;
}

/* --- the world --------------------------------------------------------------------------- */

static void
new_rules(void)
{
	static const unsigned ports[] = {0, 0, 50, 51, 1000, 1001};
	unsigned role, i;

	model.zone_allow = chance(4) == 0;
	for (role = 0; role < ROLES; role++)
		for (i = 0; i < RULES; i++) {
			struct rule *r = &model.rule[role][i];

			r->proto = chance(3);
			r->port = r->proto == 2 ? 0 : ports[chance(SL_ARRAY_SIZE(ports))];
			r->to = chance(6);
			r->allow = chance(3) != 0;
			r->bidir = chance(3) == 0;
			r->enabled = chance(4) != 0;
			r->priority = chance(3);
		}
}

static void
load(void)
{
	static const char *const proto[] = {"udp", "tcp", "any"};
	static char text[8192];
	const char *to;
	unsigned role, i;
	int n;

	n = snprintf(text, sizeof(text),
		     "{'version': 1, 'targets': {}, 'zones': {'z': {'id': 1, 'type': 'internal',"
		     " 'networks': ['10.0.0.0/16', '10.9.0.0/16'], 'default_policy': '%s'}},"
		     " 'roles': {'r0': {'members': []}, 'r1': {'members': []},"
		     " 'r2': {'members': ['10.0.0.10/32@*']}}, 'rules': [",
		     model.zone_allow ? "allow" : "deny");
	for (role = 0; role < ROLES; role++)
		for (i = 0; i < RULES; i++) {
			const struct rule *r = &model.rule[role][i];
			char port[32] = "";

			to = r->to < SERVERS ? server[r->to]
			     : r->to == 5    ? "*"
					     : peer_addr[r->to - 2];
			if (r->port != 0)
				snprintf(port, sizeof(port), " 'ports': [%u],", r->port);
			n += snprintf(
				text + n, sizeof(text) - (size_t)n,
				"%s{'id': %u, 'role': 'r%u', 'to': ['%s%s'], 'protocol': '%s',%s"
				" 'action': '%s', 'priority': %u, 'bidirectional': %s,"
				" 'enabled': %s}",
				role + i == 0 ? "" : ",", i + 1, role, to, r->to == 5 ? "" : "/32",
				proto[r->proto], port, r->allow ? "allow" : "deny", r->priority,
				r->bidir ? "true" : "false", r->enabled ? "true" : "false");
		}
	snprintf(text + n, sizeof(text) - (size_t)n, "]}");
	pol_load(&pol, x->root, text);
	for (i = 1; i <= 2; i++) /* the document names no peers: those of before */
		for (role = 0; role < 2; role++)
			if (model.has[i][role])
				pol_grant(&pol, x->root, i, role ? "r1" : "r0",
					  model.until[i][role]);
}

static void
change_role(void)
{
	unsigned peer = 1 + chance(2), role = chance(2);
	const char *name = role ? "r1" : "r0";
	bool *has = &model.has[peer][role];

	if (*has)
		pol_revoke(&pol, x->root, peer, name);
	*has = !*has;
	model.until[peer][role] = chance(2) ? 0 : x->w->tick + 1 + chance(300);
	if (*has)
		pol_grant(&pol, x->root, peer, name, model.until[peer][role]);
}

static struct rte_mbuf *
packet(const struct packet *p)
{
	struct fx_spec s = {.src = p->up ? peer_addr[p->peer] : server[p->server],
			    .dst = p->up ? server[p->server] : peer_addr[p->peer],
			    .proto = p->proto == TCP ? SL_PROTO_TCP : SL_PROTO_UDP,
			    .tcp_flags = p->syn ? 0x02 : 0x10};
	struct rte_mbuf *m = p->up ? fx_tunnel(x, &s, p->peer) : fx_inside(x, &s, p->peer);
	uint8_t *l4 = rte_pktmbuf_mtod_offset(m, uint8_t *, 20);
	uint16_t from = (uint16_t)(p->up ? peer_port(p) : server_port(p));
	uint16_t to = (uint16_t)(p->up ? server_port(p) : peer_port(p));

	sl_store_be16(l4, from);
	sl_store_be16(l4 + 2, to);
	sl_meta(m)->sport = from;
	sl_meta(m)->dport = to;
	return m;
}

static struct packet
any_packet(bool up)
{
	return (struct packet){.peer = 1 + chance(2),
			       .server = chance(SERVERS),
			       .proto = chance(2),
			       .pport = chance(2),
			       .sport = chance(2),
			       .up = up,
			       .syn = chance(2) != 0};
}

static unsigned
frames(unsigned port)
{
	struct rte_mbuf *m;
	unsigned n = 0;

	while ((m = fx_frame(x, port)) != NULL) {
		rte_pktmbuf_free(m);
		n++;
	}
	return n;
}

/* A burst, those from tunnels first. */
static void
send_burst(unsigned seed, unsigned step)
{
	unsigned up = chance(6), down = up == 0 ? 1 : chance(6), i;
	bool enforce = x->root->authz.deflt == SL_MODE_ENFORCE;
	unsigned want[3] = {0}, got[3], passed[2] = {0};

	for (i = 0; i < up + down; i++) {
		struct packet p = any_packet(i < up);
		unsigned why = expect(&p, x->w->tick, enforce);

		want[why]++;
		passed[p.up] += why == NONE;
		sl_vec_add(&x->w->v[p.up ? SL_NODE_AUTHZ : SL_NODE_INSIDE], packet(&p));
	}
	sl_worker_run(x->w);
	for (i = 0; i < 2; i++)
		assert_int_equal(frames(i), passed[i]);
	got[NO_ROLE] = (unsigned)fx_drops(x, SL_DROP_NO_ROLE);
	got[DENIED] = (unsigned)fx_drops(x, SL_DROP_DENIED);
	if (got[NO_ROLE] != want[NO_ROLE] || got[DENIED] != want[DENIED])
		fail_msg("seed %u step %u: no_role %u, not %u; denied %u, not %u", seed, step,
			 got[NO_ROLE], want[NO_ROLE], got[DENIED], want[DENIED]);
}

static void
pass_time(uint32_t ticks)
{
	fx_time(x, x->w->now_ns + ticks * SL_TICK_NS);
	x->kp[1]->birth_ns = x->kp[2]->birth_ns = x->w->now_ns; /* keys stay young */
	if (chance(2) != 0)
		sl_flow_tick(x->w);
}

static void
run(unsigned seed)
{
	const struct sl_stats_stage_counts *row;
	uint64_t looked = 0;
	unsigned i, k;

	dice = seed;
	memset(&model, 0, sizeof(model));
	x = pol_begin(&pol);
	x->f1->inside_any = true;
	new_rules();
	load();
	for (i = 0; i < STEPS; i++) {
		switch (chance(200)) {
		case 0:
			new_rules();
			load();
			break;
		case 1 ... 6:
			change_role();
			break;
		case 7 ... 9:
			x->root->authz.deflt = 1 - x->root->authz.deflt;
			break;
		case 10:
			pass_time(100 + chance(4000));
			break;
		case 11 ... 60:
			pass_time(chance(30));
			break;
		default:
			send_burst(seed, i);
			break;
		}
	}
	sl_flow_purge(x->w);
	assert_int_equal(pol_seen(x->w, SL_REC_DENY), model.denied);
	assert_int_equal(pol_seen(x->w, SL_REC_WOULD_DENY), model.would);
	sl_stats_flush(x->w->stats, &x->w->delta);
	for (k = 0; k < SL_STATS_STAGES; k++) {
		row = &x->w->stats->stage[k];
		looked += row->policy_hits + row->policy_misses;
	}
	assert_int_equal(looked, model.packets);
	pol_end(&pol, x);
}

static void
sequences(void **state)
{
	const char *one = getenv("SL_SEED");
	unsigned seed;

	if (one != NULL) {
		run((unsigned)atoi(one));
		return;
	}
	for (seed = 1; seed <= SEEDS; seed++)
		run(seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(sequences)};

	eal_start("test_policy_sequence");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
