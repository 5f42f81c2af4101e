/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_lcore.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "replay.h"
#include "sl_aead.h"
#include "sl_crypto.h"
#include "sl_log.h"

#define ANY_SIZE_MTU 9000
#define WARM_UP_NS SL_NS_PER_S /* before the first packet: what a gateway says at its start */

static int
choose_lcores(struct replay *r, struct sl_error *e)
{
	struct sl_config *c = r->config;
	unsigned n = 1 + r->o.workers + r->o.io;
	cpu_set_t set;
	unsigned cpu = 0;

	CPU_ZERO(&set);
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		while (cpu < CPU_SETSIZE - 1 && !CPU_ISSET(cpu, &set))
			cpu++;
	free(c->cpus);
	c->cpus = calloc(n, sizeof(*c->cpus));
	if (!c->cpus)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	for (unsigned i = 0; i < n; i++) /* one thread does all of it: any CPU will do for each */
		c->cpus[i] = cpu;
	c->n_cpus = n;
	c->workers = r->o.workers;
	c->io = r->o.io;
	snprintf(c->instance, sizeof(c->instance), "replay-%d", (int)getpid());
	return 0;
}

static int
load_config(struct replay *r, struct sl_error *e)
{
	struct sl_config_detach d = {.peer_key = replay_peers_key,
				     .ctx = &r->peers,
				     .device = sl_lockstep_device,
				     .mtu = r->o.any_size ? ANY_SIZE_MTU : 0};
	int rc = sl_config_load_keyless(r->o.config, &r->config, e);

	if (rc == 0)
		rc = sl_config_detach(r->config, &d, e);
	if (rc == 0 && r->o.policy) {
		r->config->policy_line = 0; /* the command line has it */
		free(r->config->policy_file);
		r->config->policy_file = strdup(r->o.policy);
		if (!r->config->policy_file)
			rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	return rc ? rc : choose_lcores(r, e);
}

static int
find_only(struct replay *r, struct sl_error *e)
{
	if (r->o.iface && !replay_iface_of(r, r->o.iface))
		return sl_fail(e, -ENOENT, "interface_unknown", "/interface",
			       "there is no interface \"%.40s\" in %.150s", r->o.iface,
			       r->o.config);
	if (!r->o.peer)
		return 0;
	for (unsigned i = 0; i < r->peers.n; i++) {
		struct replay_peer *p = &r->peers.v[i];

		if (strcmp(p->name, r->o.peer) || (r->o.iface && strcmp(p->iface, r->o.iface)))
			continue;
		if (r->only)
			return sl_fail(e, -EEXIST, "peer_ambiguous", "/peer",
				       "there is a peer \"%.40s\" in %s and in %s: name one with "
				       "--interface",
				       p->name, r->only->iface, p->iface);
		r->only = p;
	}
	return r->only ? 0
		       : sl_fail(e, -ENOENT, "peer_unknown", "/peer",
				 "there is no peer \"%.40s\" in %.150s", r->o.peer, r->o.config);
}

/** Modes of the command line go before those of the file. */
static int
set_modes(struct replay *r, struct sl_error *e)
{
	struct sl_gw_mode m;
	int rc;

	if (r->o.mode < 0)
		return 0;
	rc = sl_gw_mode_set_default(r->l.a.gw, (enum sl_authz_mode)r->o.mode, e);
	for (sl_gw_mode_get(r->l.a.gw, &m); rc == 0 && m.n_prefixes;
	     sl_gw_mode_get(r->l.a.gw, &m)) {
		struct sl_prefix p = m.prefixes[0].prefix;

		rc = sl_gw_mode_set_prefix(r->l.a.gw, &p, SL_MODE_OBSERVE, true, e);
	}
	return rc;
}

static int
start(struct replay *r, const struct replay_packet *first, struct sl_error *e)
{
	uint64_t wall_ns = r->o.at_ns ? r->o.at_ns : first->ts_ns;
	struct sl_lockstep_conf lc = {.seed = r->o.seed,
				      .keep_records = true,
				      .wall_ns = wall_ns > WARM_UP_NS ? wall_ns - WARM_UP_NS : 0};
	int rc = sl_lockstep_start(&r->l, r->config, &lc, e);

	rc = rc ? rc : set_modes(r, e);
	rc = rc ? rc : replay_net_init(r, e);
	rc = rc ? rc : replay_peers_match(r, e);
	rc = rc ? rc : find_only(r, e);
	if (rc)
		return rc;
	r->aead = sl_aead_new(SL_AEAD_IPSEC_MB);
	if (!r->aead)
		r->aead = sl_aead_new(SL_AEAD_SODIUM);
	if (!r->aead)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the cipher");
	r->first_ts_ns = first->ts_ns;
	replay_net_advance(r, r->l.now_ns + WARM_UP_NS);
	r->start_ns = r->l.now_ns;
	return 0;
}

/** Whose AllowedIPs hold an address: the longest prefix of all interfaces, the first of equals. */
static struct replay_peer *
owner(struct replay *r, const uint8_t *addr, uint8_t version)
{
	const struct sl_root *root = atomic_load_explicit(&r->l.a.dp->root, memory_order_acquire);
	struct replay_peer *best = NULL;
	unsigned best_len = 0;

	for (unsigned i = 0; i < r->n_ifaces; i++) {
		const struct sl_iface_view *f = sl_root_iface(root, r->iface[i].id);
		unsigned len = 0;
		uint32_t id;

		if (!f || (r->o.iface && strcmp(f->name, r->o.iface)))
			continue;
		id = sl_lpm_match(version == 4 ? &f->peers4 : &f->peers6, addr, &len);
		if (id >= r->peers.n_ids || !r->peers.by_id[id] || (best && len <= best_len))
			continue;
		best = &r->peers.v[r->peers.by_id[id] - 1];
		best_len = len;
	}
	return best;
}

static bool
from_inside(const struct replay *r, const struct replay_iface *f, const struct sl_ip_info *ip)
{
	const struct sl_root *root = atomic_load_explicit(&r->l.a.dp->root, memory_order_acquire);
	const struct sl_iface_view *v = sl_root_iface(root, f->id);

	return v && sl_lpm_match(ip->version == 4 ? &v->inside4 : &v->inside6, ip->src, NULL) !=
			    SL_LPM_NONE;
}

/** Who sends it, or whom it is for. @return NULL: nobody; *dst: the peer that is to get it */
static struct replay_peer *
choose(struct replay *r, const struct replay_packet *p, bool *inside, struct replay_peer **dst)
{
	struct replay_peer *src = owner(r, p->ip.src, p->ip.version);

	*dst = owner(r, p->ip.dst, p->ip.version);
	if (!r->only)
		*inside = !src;
	else
		*inside = src != r->only &&
			  (*dst == r->only ||
			   from_inside(r, replay_iface_of(r, r->only->iface), &p->ip));
	if (*inside)
		return *dst ? *dst : r->only;
	return r->only ? r->only : src;
}

static enum replay_skip
fits(const struct replay_iface *f, const struct replay_packet *p, bool inside)
{
	if (inside && !f->has_inside)
		return REPLAY_NO_INSIDE;
	return p->len > (inside ? f->inside_mtu : f->mtu) ? REPLAY_TOO_BIG : REPLAY_PLAYED;
}

static int
play(struct replay *r, struct replay_packet *p, struct sl_error *e)
{
	struct replay_verdict v = {0};
	struct replay_peer *peer = NULL, *dst = NULL;
	struct replay_before before;
	struct replay_iface *f;
	bool inside = false;
	int rc;

	if (p->skip == REPLAY_PLAYED) {
		peer = choose(r, p, &inside, &dst);
		f = peer ? replay_iface_of(r, peer->iface) : NULL;
		p->skip = f ? fits(f, p, inside) : REPLAY_NO_PEER;
	}
	if (p->skip == REPLAY_PLAYED) {
		rc = replay_peer_connect(r, peer, e);
		if (rc == 0 && dst)
			rc = replay_peer_connect(r, dst, e);
		if (rc)
			return rc;
		r->now = p;
		r->matched = 0;
		r->sent = 0;
		replay_verdict_before(r, f->id, &before);
		rc = inside ? replay_net_inside(r, f, p)
			    : replay_peer_send(r, peer, p->data, p->len);
		if (rc)
			return sl_fail(e, rc, "no_buffer", "", "packet %llu: no buffer for it",
				       (unsigned long long)p->n);
		replay_net_run(r);
		replay_verdict_after(r, f->id, inside, &before, &v);
		r->now = NULL;
	}
	replay_report_packet(r->report, p, peer, inside, &v);
	return 0;
}

static int
play_all(struct replay *r, struct replay_capture *c, struct sl_error *e)
{
	struct replay_packet p;
	bool started = false;
	int rc;

	while ((rc = replay_capture_next(c, &p, e)) > 0) {
		if (!started && (rc = start(r, &p, e)))
			return rc;
		started = true;
		if (p.ts_ns > r->first_ts_ns)
			replay_net_advance(r, r->start_ns + p.ts_ns - r->first_ts_ns);
		rc = play(r, &p, e);
		if (rc)
			return rc;
	}
	if (rc == 0 && !started)
		rc = sl_fail(e, -ENODATA, "pcap_empty", "/pcap", "%.200s: there is no packet in it",
			     r->o.pcap);
	return rc ? rc : replay_report_end(r->report, e);
}

int
main(int argc, char **argv)
{
	static struct replay r;
	struct replay_capture c = {0};
	struct sl_error e = {0};
	int rc = replay_options_parse(argc, argv, &r.o);

	if (rc)
		return rc == 1 ? 0 : rc;
	sl_log_set_level(SL_LOG_ERR);
	rc = sl_crypto_init();
	replay_peers_init(&r.peers, r.o.seed);
	rc = rc ? rc : load_config(&r, &e);
	rc = rc ? rc : replay_capture_open(&c, r.o.pcap, &e);
	if (rc == 0) {
		r.report = replay_report_new(&r.o, &e);
		rc = r.report ? play_all(&r, &c, &e) : e.err;
	}
	if (rc) {
		fprintf(stderr, "sluice-replay: %s (%s)\n",
			e.message[0] ? e.message : strerror(-rc), e.reason);
		if (e.hint[0])
			fprintf(stderr, "  %s\n", e.hint);
	}
	if (rc && r.report)
		replay_report_discard(r.report);
	replay_report_free(r.report);
	replay_capture_close(&c);
	if (r.l.a.eal_up)
		sl_lockstep_stop(&r.l);
	replay_peers_free(&r.peers);
	sl_aead_free(r.aead);
	free(r.iface);
	sl_config_free(r.config);
	return rc ? 1 : 0;
}
