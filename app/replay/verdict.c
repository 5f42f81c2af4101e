/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the gateway thought of a packet: its counters of drops, the entry that the packet's flow has
 * in the flow tables, or where it has none the record that was written.
 */
#include "replay.h"
#include "sl_record.h"

#define ICMP_HDR 8
#define TAKE 32

static uint64_t
drops_of(const struct replay *r, unsigned reason)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < r->l.a.dp->n_lcores; i++)
		n += r->l.a.dp->worker[i]->stats->drops[reason];
	return n;
}

/** The identifier of echo is the port of the side that asks. */
static void
echo_ports(struct sl_ip_info *ip, const uint8_t *icmp)
{
	uint8_t request = ip->version == 4 ? 8 : 128, reply = ip->version == 4 ? 0 : 129;

	ip->sport = icmp[0] == request ? sl_load_be16(icmp + 4) : 0;
	ip->dport = icmp[0] == reply ? sl_load_be16(icmp + 4) : 0;
}

static bool
is_icmp(const struct sl_ip_info *ip)
{
	return ip->proto == (ip->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6);
}

/** The tuple of the flow that a packet is of: an ICMP error is of the one that it quotes. */
static bool
flow_tuple(const struct replay_packet *p, struct sl_ip_info *ip)
{
	const uint8_t *icmp = p->data + p->ip.l4_off;

	*ip = p->ip;
	if (!p->parsed || ip->frag_off || (is_icmp(ip) && p->len < ip->l4_off + (uint32_t)ICMP_HDR))
		return false;
	if (!is_icmp(ip))
		return true;
	if (sl_ip_parse_quote(icmp + ICMP_HDR, p->len - ip->l4_off - ICMP_HDR, ip) &&
	    ip->version == p->ip.version &&
	    (p->ip.version == 4 ? icmp[0] == 3 || icmp[0] == 4 || icmp[0] == 11 || icmp[0] == 12
				: icmp[0] >= 1 && icmp[0] <= 4)) {
		if (is_icmp(ip))
			echo_ports(ip, icmp + ICMP_HDR + ip->l4_off);
		return true;
	}
	*ip = p->ip;
	echo_ports(ip, icmp);
	return true;
}

static const struct sl_flow *
find_flow(const struct replay *r, uint16_t iface)
{
	const struct sl_flow *best = NULL;
	struct sl_flow_key k;
	struct sl_ip_info ip;

	if (!flow_tuple(r->now, &ip))
		return NULL;
	sl_flow_key_make(&k, ip.version, ip.proto, iface, ip.src, ip.dst, ip.sport, ip.dport);
	for (unsigned i = 0; i < r->l.a.dp->n_workers; i++) {
		struct sl_flow_table *t = r->l.a.dp->worker[i]->flows;
		const struct sl_flow *f = sl_flow_find(t, &k, sl_flow_hash(t, &k));

		/* of two between peers the one at the sender's home was judged */
		if (f && (!best || best->flags & SL_FLOW_QUIET))
			best = f;
	}
	return best;
}

static const struct sl_root *
root_of(const struct replay *r)
{
	return atomic_load_explicit(&r->l.a.dp->root, memory_order_acquire);
}

static enum sl_authz_mode
mode_of(const struct replay *r, const uint8_t *addr, uint8_t version)
{
	const struct sl_authz_view *a = &root_of(r)->authz;
	uint32_t m;

	if (a->panic_observe)
		return SL_MODE_OBSERVE;
	m = sl_lpm_match(version == 4 ? &a->mode4 : &a->mode6, addr, NULL);
	return m == SL_LPM_NONE ? a->deflt : (enum sl_authz_mode)m;
}

static void
name_parts(const struct replay *r, struct replay_judgement *j, uint32_t rule, uint16_t role,
	   uint16_t target, uint16_t zone)
{
	const struct sl_polset *set = root_of(r)->authz.policy.set;

	if (!set)
		return;
	j->generation = set->generation;
	if (rule < set->n_rules) {
		j->rule = set->rules[rule].id;
		j->rule_role = set->roles[set->rules[rule].role].name;
	}
	if (role < set->n_roles)
		j->role = set->roles[role].name;
	if (target < set->n_targets)
		j->target = set->targets[target].name;
	if (zone < set->n_zones)
		j->zone = set->zones[zone].name;
}

/** Empty the rings of records. @return the last one of a verdict, or false */
static bool
take_records(const struct replay *r, struct sl_rec *last)
{
	struct sl_rec out[TAKE];
	bool any = false;
	uint64_t lost;
	unsigned n;

	for (unsigned i = 0; i < r->l.a.dp->n_workers; i++)
		while ((n = sl_rec_take(r->l.a.dp->worker[i]->records, out, TAKE, &lost)))
			for (unsigned k = 0; k < n; k++)
				if (out[k].type <= SL_REC_DENY) {
					memcpy(last, &out[k], sizeof(*last));
					any = true;
				}
	return any;
}

void
replay_verdict_before(struct replay *r, uint16_t iface, struct replay_before *b)
{
	struct sl_rec old;

	for (unsigned i = 0; i < SL_DROP_MAX; i++)
		b->drops[i] = drops_of(r, i);
	b->has_flow = find_flow(r, iface) != NULL;
	take_records(r, &old);
}

static void
judgement(struct replay *r, uint16_t iface, bool from_inside, struct replay_verdict *v, bool had)
{
	const struct sl_flow *f = find_flow(r, iface);
	const struct sl_ip_info *ip = &r->now->ip;
	struct sl_rec rec;
	bool recorded = take_records(r, &rec);

	v->j.mode = mode_of(r, from_inside ? ip->src : ip->dst, ip->version);
	if (f) {
		v->new_flow = !had;
		v->j.known = true;
		v->j.allow = (f->flags & SL_FLOW_ALLOW) != 0;
		v->j.why = sl_rec_reason_text(f->why); /* begin with those of enum sl_why */
		name_parts(r, &v->j, f->rule, f->role, f->target, f->zone);
	} else if (recorded) {
		v->j.known = true;
		v->j.allow = (rec.flags & SL_RF_ALLOW) != 0;
		v->j.why = sl_rec_reason_text(rec.reason);
		name_parts(r, &v->j, rec.rule, rec.role, rec.target, rec.zone);
	}
}
_Static_assert((unsigned)SL_RR_RULE == SL_WHY_RULE &&
		       (unsigned)SL_RR_ZONE_DEFAULT == SL_WHY_ZONE_DEFAULT &&
		       (unsigned)SL_RR_NO_ROLE == SL_WHY_NO_ROLE &&
		       (unsigned)SL_RR_MAP_ERROR == SL_WHY_MAP_ERROR &&
		       (unsigned)SL_RR_WITHDRAWN == SL_WHY_WITHDRAWN,
	       "reasons of records begin with why");

void
replay_verdict_after(struct replay *r, uint16_t iface, bool from_inside,
		     const struct replay_before *b, struct replay_verdict *v)
{
	*v = (struct replay_verdict){.forwarded = r->matched != 0};
	for (unsigned i = 1; i < SL_DROP_MAX && !v->forwarded; i++) {
		if (drops_of(r, i) == b->drops[i])
			continue;
		if (i == SL_DROP_LOCAL_CONSUMED)
			v->local = true;
		else if (!v->reason)
			v->reason = sl_drop_text(i);
	}
	/* an own address that answers sends the packet back itself */
	v->local = !v->forwarded && !v->reason && (v->local || r->sent != 0);
	judgement(r, iface, from_inside, v, b->has_flow);
}
