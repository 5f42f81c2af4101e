/* SPDX-License-Identifier: BSD-3-Clause */
/* What happens to a flow and why: the verdict of the published tables, and the trace of the same
 * rules by plain scans. */
#include <stdlib.h>

#include "gw_policy.h"

static struct gw_iface *
find_iface(struct sl_gw *gw, const char *name, struct sl_error *e)
{
	struct gw_iface *only = NULL;
	unsigned i;

	if (name != NULL)
		return gw_iface_of(gw, name, e);
	for (i = 1; i < gw->n_ifaces; i++) {
		if (gw->iface[i] == NULL)
			continue;
		if (only != NULL) {
			sl_fail(e, -EINVAL, "interface_missing", "/interface",
				"there are several interfaces");
			sl_hint(e, "name one: interface.list shows them");
			return NULL;
		}
		only = gw->iface[i];
	}
	if (only == NULL)
		sl_fail(e, -ENOENT, "interface_unknown", "/interface", "there is no interface");
	return only;
}

static struct gw_peer *
owner_of(struct sl_gw *gw, const struct gw_iface *f, const struct sl_ip *ip)
{
	uint32_t id = sl_lpm_lookup(&f->table[GW_T_PEERS][gw_fam(ip)], ip->b);
	struct sl_peer *p = id != SL_LPM_NONE ? sl_peer_get(gw->dp->peers, id) : NULL;

	return p != NULL ? p->ctl_priv : NULL;
}

static int
find_peer(struct sl_gw *gw, const struct gw_iface *f, const struct sl_gw_question *q,
	  struct gw_peer **out, struct sl_error *e)
{
	const struct sl_ip *tunnel = q->from_inside ? &q->dst : &q->src;
	struct sl_pubkey key;
	int rc;

	*out = NULL;
	if (q->peer == NULL) {
		if (tunnel->family != 0)
			*out = owner_of(gw, f, tunnel);
		return 0;
	}
	rc = sl_gw_peer_lookup(gw, f->name, q->peer, &key, e);
	if (rc == 0)
		*out = gw_peer_find(gw, f, &key);
	return rc;
}

/* An address of the peer in the family of the other end. */
static void
first_address(const struct gw_peer *p, uint8_t family, struct sl_ip *out)
{
	unsigned i;

	for (i = 0; p != NULL && i < p->n_allowed; i++) {
		if (p->allowed[i].ip.family == family) {
			*out = p->allowed[i].ip;
			return;
		}
	}
}

static int
find_addresses(const struct gw_peer *p, const struct sl_gw_question *q, struct sl_ip *src,
	       struct sl_ip *dst, struct sl_error *e)
{
	bool of_roles = q->n_roles > 0; /* they have none */

	*src = q->src;
	*dst = q->dst;
	if (q->from_inside && dst->family == 0 && src->family != 0)
		first_address(p, src->family, dst);
	if (!q->from_inside && src->family == 0 && dst->family != 0)
		first_address(p, dst->family, src);
	/* which address of the peer is meant is known by the destination: that is asked first */
	if (src->family == 0 && (q->from_inside || (!of_roles && dst->family != 0))) {
		sl_fail(e, -EINVAL, "address_missing", "/src", "no source address is given");
		sl_hint(e, "give src, or a peer that has an address of this family");
		return -EINVAL;
	}
	if (dst->family == 0 && (!q->from_inside || !of_roles)) {
		sl_fail(e, -EINVAL, "address_missing", "/dst", "no destination is given");
		sl_hint(e, "give dst");
		return -EINVAL;
	}
	if (src->family == dst->family || src->family == 0 || dst->family == 0)
		return 0;
	return sl_fail(e, -EINVAL, "family_mismatch", "/dst",
		       "source and destination are of different IP versions");
}

/* --- the trace ----------------------------------------------------------------------------------
 */

static bool
masked_equal(const uint8_t *addr, uint64_t hi, uint64_t lo, uint64_t mask_hi, uint64_t mask_lo,
	     uint8_t version)
{
	if (version == 4)
		return ((sl_load_be32(addr) ^ lo) & mask_lo) == 0;
	return ((sl_load_be64(addr) ^ hi) & mask_hi) == 0 &&
	       ((sl_load_be64(addr + 8) ^ lo) & mask_lo) == 0;
}

/* What does not match; the later in this order, the nearer came the rule. */
static unsigned
miss_of(const struct sl_polset_entry *n, const struct sl_polset_flow *f, const char **what)
{
	static const char *const text[] = {"the interface", "the destination", "the source",
					   "the protocol",  "the port",	       "nothing"};
	unsigned at = 5;

	if (n->iface != 0 && n->iface != f->iface)
		at = 0;
	else if (!masked_equal(f->dst, n->dst_hi, n->dst_lo, n->dst_mask_hi, n->dst_mask_lo,
			       f->version))
		at = 1;
	else if (!masked_equal(f->src, n->src_hi, n->src_lo, n->src_mask_hi, n->src_mask_lo,
			       f->version))
		at = 2;
	else if (n->proto != SL_POL_PROTO_ANY && n->proto != f->proto)
		at = 3;
	else if (f->dport < n->dport_lo || f->dport > n->dport_hi || f->sport < n->sport_lo ||
		 f->sport > n->sport_hi)
		at = 4;
	*what = text[at];
	return at;
}

static void
nearest(const struct sl_polset *s, const struct sl_polset_flow *f, struct sl_gw_explained_role *r)
{
	unsigned fam = f->version == 6, group = SL_POL_GROUP(r->t.role, r->t.mirrored), best = 0,
		 at;
	const char *what;
	uint32_t i;

	r->rule = SL_POL_NONE;
	for (i = s->group_first[fam][group]; i < s->group_first[fam][group + 1]; i++) {
		at = miss_of(&s->entries[fam][i], f, &what);
		if (r->miss != NULL && at <= best)
			continue;
		best = at;
		r->miss = what;
		r->rule = s->entries[fam][i].rule;
	}
}

static void
fill_roles(struct sl_gw_explanation *x, const struct sl_trace_role *trace, unsigned n,
	   unsigned n_src)
{
	const struct sl_polset *s = x->view->set;
	const struct sl_polset_flow *f = &x->flow.f;
	unsigned i;

	for (i = 0; i < n; i++) {
		struct sl_gw_explained_role *r = &x->roles[i];

		r->t = trace[i];
		r->through_peer = i >= n_src;
		if (r->t.entry != SL_POL_NONE) {
			r->allow = s->entries[f->version == 6][r->t.entry].allow;
			r->rule = s->entries[f->version == 6][r->t.entry].rule;
		} else {
			nearest(s, f, r);
		}
	}
	x->n_roles = n;
}

static unsigned
known_roles(const struct sl_polset *s, const struct sl_class *c)
{
	unsigned i, n = 0;

	for (i = 0; c != NULL && i < c->n; i++)
		n += c->role[i].role < s->n_roles;
	return n;
}

static int
trace(struct sl_gw_explanation *x, uint32_t tick, struct sl_error *e)
{
	const struct sl_policy_view *v = x->view;
	struct sl_polset_query q = {.flow = x->flow.f,
				    .from_inside = x->flow.from_inside,
				    .tick = tick};
	struct sl_polset_answer a;
	struct sl_trace_role *t;
	unsigned n, max;

	q.src_class = sl_identity_prefix(v->who, q.flow.iface, q.flow.version, q.flow.src);
	q.peer_class = sl_identity_peer(v->who, x->flow.peer_id);
	max = known_roles(v->set, q.src_class) + known_roles(v->set, q.peer_class);
	t = calloc(max + 1, sizeof(*t));
	x->roles = calloc(max + 1, sizeof(*x->roles));
	if (t == NULL || x->roles == NULL) {
		free(t);
		return gw_no_memory(e);
	}
	sl_polset_eval(v->set, &q, &a, t, max, &n);
	fill_roles(x, t, n, known_roles(v->set, q.src_class));
	free(t);
	x->disagree = a.allow != x->judgement.allow || a.why != x->judgement.why ||
		      a.rule != x->judgement.rule || a.zone != x->judgement.zone ||
		      a.target != x->judgement.target;
	if (x->disagree)
		sl_log(SL_LOG_ERR, "policy",
		       "explain: the tables say %d (%u, rule %u), the scans %d (%u, rule %u)",
		       x->judgement.allow, x->judgement.why, x->judgement.rule, a.allow, a.why,
		       a.rule);
	return 0;
}

/* --- the whole ----------------------------------------------------------------------------------
 */

static void
look_at_peer(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p,
	     struct sl_gw_explanation *x)
{
	const struct sl_ip *own = x->flow.from_inside ? &x->dst : &x->src;
	const struct sl_ip *other = x->flow.from_inside ? &x->src : &x->dst;

	x->peer = p != NULL ? p->p->name : NULL;
	x->flow.peer_id = p != NULL ? p->p->id : SL_PEER_MAX;
	x->spoofed = p != NULL && owner_of(gw, f, own) != p;
	x->disabled = p != NULL && !p->enabled;
	x->expired = p != NULL && p->expires_wall_ns != 0 && p->expires_wall_ns <= gw_wall_ns(gw);
	x->isolated = f->isolation && owner_of(gw, f, other) != NULL;
}

int
sl_gw_explain(struct sl_gw *gw, const struct sl_gw_question *q, struct sl_gw_explanation *out,
	      struct sl_error *e)
{
	struct gw_iface *f = find_iface(gw, q->iface, e);
	uint32_t tick = sl_tick_of(gw_mono_ns(gw));
	struct sl_judgement judgement[1];
	struct sl_judge_flow flow[1];
	struct gw_peer *p;
	int rc;

	*out = (struct sl_gw_explanation){.view = sl_gw_policy_view(gw)};
	if (f == NULL)
		return e->err;
	rc = find_peer(gw, f, q, &p, e);
	if (rc == 0)
		rc = find_addresses(p, q, &out->src, &out->dst, e);
	if (rc != 0)
		return rc;
	out->iface = f->name;
	out->flow = (struct sl_judge_flow){.f = {.version = out->src.family,
						 .proto = q->proto,
						 .iface = f->id,
						 .src = out->src.b,
						 .dst = out->dst.b,
						 .sport = q->sport,
						 .dport = q->dport},
					   .from_inside = q->from_inside};
	look_at_peer(gw, f, p, out);
	out->mode = sl_gw_mode_of(gw, q->from_inside ? &out->src : &out->dst);
	out->panic = gw->mode.view.panic;
	flow[0] = out->flow;
	sl_judge(out->view, tick, flow, judgement, 1);
	out->judgement = judgement[0];
	return out->view->set != NULL && out->view->who != NULL ? trace(out, tick, e) : 0;
}

/* --- of a policy that is not in force ------------------------------------------------------------
 */

/** Enter who it is. @param f NULL: no interface is named */
static int
enter_subject(struct sl_gw *gw, const struct gw_iface *f, const struct sl_identity *who,
	      const struct sl_gw_question *q, struct sl_simulated *out, struct sl_error *e)
{
	struct gw_peer *p = NULL;
	int rc = q->n_roles == 0 ? find_peer(gw, f, q, &p, e) : 0;

	if (rc == 0)
		rc = find_addresses(p, q, &out->src, &out->dst, e);
	if (rc != 0)
		return rc;
	out->q.flow.version = SL_MAX(out->src.family, out->dst.family);
	if (q->n_roles == 0)
		out->q.peer_class = sl_identity_peer(who, p != NULL ? p->p->id : SL_PEER_MAX);
	if (q->n_roles == 0 || q->from_inside)
		out->q.src_class =
			sl_identity_prefix(who, out->q.flow.iface, out->q.flow.version, out->src.b);
	return q->n_roles > 0 ? sl_simulated_roles(out, q->roles, q->n_roles, "/roles", e) : 0;
}

int
sl_gw_simulate(const struct sl_gw_candidate *c, const struct sl_gw_question *q,
	       struct sl_simulated *out, struct sl_error *e)
{
	const struct sl_identity *who;
	struct sl_gw *gw = gw_candidate_tables(c, &out->set, &who);
	bool any_iface = q->n_roles > 0 && q->iface == NULL;
	struct gw_iface *f = any_iface ? NULL : find_iface(gw, q->iface, e);
	int rc;

	if (f == NULL && !any_iface)
		return e->err;
	out->q = (struct sl_polset_query){.flow = {.iface = f != NULL ? f->id : 0,
						   .proto = q->proto,
						   .src = out->src.b,
						   .dst = out->dst.b,
						   .sport = q->sport,
						   .dport = q->dport},
					  .from_inside = q->from_inside,
					  .tick = sl_tick_of(gw_mono_ns(gw))};
	rc = enter_subject(gw, f, who, q, out, e);
	if (rc == 0)
		sl_simulated_judge(out);
	return rc;
}
