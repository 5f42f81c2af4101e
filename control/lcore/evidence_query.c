/* SPDX-License-Identifier: BSD-3-Clause */
/* From rows to flows to verdicts. Each step looks at a bounded number of rows or flows, so that
 * control's loop goes on; rows that come or go meanwhile may or may not be in the answer. */
#include <stdlib.h>

#include "evidence_int.h"
#include "evidence_query.h"
#include "sl_env.h"

#define JUDGE 32      /* flows judged together */
#define FOLD_SHARE 16 /* rows that cost as much as a judgement */

enum phase { FOLD, JUDGE_ALL, DONE };

struct ev_scan {
	struct sl_evidence *ev;
	struct ev_filter f;
	struct sl_prefix *to;
	char *peer, *iface;
	const struct sl_gw_candidate *cand;
	struct sl_coverage cover;
	uint64_t from_ns;
	enum phase phase;
	bool failed;
	uint32_t at;
	struct ev_flow *flow;
	uint32_t n, cap;
	uint32_t *bucket, mask;
	uint64_t generation; /* of the rules that judged */
	struct sl_polset_name *roles;
	unsigned n_roles;
};

/* --- flows ---------------------------------------------------------------------------------------
 */

static void
ip_of(struct sl_ip *out, uint8_t version, const uint8_t *b)
{
	*out = version == 4 ? sl_ip_v4(b) : sl_ip_v6(b);
}

void
ev_flow_ip(const struct ev_flow *f, bool dst, struct sl_ip *out)
{
	ip_of(out, f->version, dst ? f->dst : f->src);
}

void
ev_flow_far(const struct ev_flow *f, struct sl_ip *out)
{
	ev_flow_ip(f, f->flags & SL_AGG_FROM_TUNNEL, out);
}

const char *
ev_flow_peer(const struct sl_evidence *ev, const struct ev_flow *f)
{
	return ev->who[f->who].peer;
}

const char *
ev_flow_iface(const struct sl_evidence *ev, const struct ev_flow *f)
{
	return ev->who[f->who].iface;
}

/* --- folding -------------------------------------------------------------------------------------
 */

/* Room for as many flows as there are rows now: memory that is not touched costs nothing, and to
 * enter many flows anew would take long. */
static int
grow(struct ev_scan *s)
{
	uint32_t cap = s->cap > 0 ? 2 * s->cap : 256, i;
	struct ev_flow *flow;
	uint32_t *bucket;

	while (cap < s->ev->used)
		cap *= 2;
	flow = realloc(s->flow, cap * sizeof(*flow));
	if (flow == NULL)
		return -ENOMEM;
	s->flow = flow;
	bucket = realloc(s->bucket, 2 * cap * sizeof(*bucket));
	if (bucket == NULL)
		return -ENOMEM;
	s->bucket = bucket;
	s->cap = cap;
	s->mask = 2 * cap - 1;
	memset(bucket, 0xff, 2 * cap * sizeof(*bucket));
	for (i = 0; i < s->n; i++) {
		uint32_t *b =
			&bucket[sl_siphash(s->ev->gw->hash_key, &flow[i], EV_FLOW_KEY) & s->mask];

		flow[i].next = *b;
		*b = i;
	}
	return 0;
}

static bool
takes(const struct ev_scan *s, const struct ev_row *r)
{
	const struct ev_who *w = &s->ev->who[r->who];
	struct sl_ip far;
	unsigned i;

	if (r->version == 0 || r->last_ns < s->from_ns)
		return false;
	if ((s->peer != NULL && strcmp(w->peer, s->peer) != 0) ||
	    (s->iface != NULL && strcmp(w->iface, s->iface) != 0))
		return false;
	ip_of(&far, r->version, r->flags & SL_AGG_FROM_TUNNEL ? r->dst : r->src);
	for (i = 0; i < s->f.n_to; i++)
		if (sl_prefix_contains(&s->to[i], &far))
			break;
	if (s->f.n_to > 0 && i == s->f.n_to)
		return false;
	return s->f.takes == NULL || s->f.takes(s->f.ctx, &far);
}

static struct ev_flow *
flow_of(struct ev_scan *s, const struct ev_row *r)
{
	struct ev_flow k = {.who = r->who,
			    .sport = r->sport,
			    .dport = r->dport,
			    .proto = r->proto,
			    .version = r->version,
			    .flags = r->flags & (SL_AGG_FROM_TUNNEL | SL_AGG_MIDSTREAM)};
	uint32_t *b, at;

	memcpy(k.src, r->src, 16);
	memcpy(k.dst, r->dst, 16);
	if (s->n == s->cap && grow(s) != 0)
		return NULL;
	b = &s->bucket[sl_siphash(s->ev->gw->hash_key, &k, EV_FLOW_KEY) & s->mask];
	for (at = *b; at != EV_NONE; at = s->flow[at].next)
		if (memcmp(&s->flow[at], &k, EV_FLOW_KEY) == 0)
			return &s->flow[at];
	k.first_ns = UINT64_MAX;
	k.next = *b;
	*b = s->n;
	s->flow[s->n] = k;
	return &s->flow[s->n++];
}

static bool
fold(struct ev_scan *s, unsigned budget)
{
	struct sl_evidence *ev = s->ev;
	uint32_t end = (uint32_t)SL_MIN((uint64_t)s->at + budget, ev->n_slots);

	for (; s->at < end; s->at++) {
		const struct ev_row *r = &ev->row[s->at];
		struct ev_flow *f;

		if (!takes(s, r))
			continue;
		f = flow_of(s, r);
		if (f == NULL) {
			s->failed = true;
			return true;
		}
		f->flows += r->flows;
		f->packets += r->packets;
		f->bytes += r->bytes;
		f->first_ns = SL_MIN(f->first_ns, r->first_ns);
		if (r->last_ns < f->last_ns)
			continue;
		f->last_ns = r->last_ns;
		f->was_allowed = r->flags & SL_AGG_ALLOW;
		f->was_enforced = r->flags & SL_AGG_ENFORCED;
		f->rule_id = r->rule_id;
		f->role_id = r->role_id;
	}
	return s->at >= ev->n_slots;
}

/* --- judging -------------------------------------------------------------------------------------
 */

void
ev_flow_judge(const struct ev_flow *f, struct sl_judge_flow *out)
{
	bool ports = f->proto == 6 || f->proto == 17;

	*out = (struct sl_judge_flow){.from_inside = !(f->flags & SL_AGG_FROM_TUNNEL),
				      .peer_id = f->peer_id};
	out->f.iface = f->iface_id;
	out->f.version = f->version;
	out->f.proto = f->proto;
	out->f.src = f->src;
	out->f.dst = f->dst;
	out->f.sport = !ports ? 0 : f->sport != 0 ? f->sport : EV_SPORT_ANY;
	out->f.dport = ports ? f->dport : 0;
}

/* Another policy than the one that judged so far: its names, and from the begin. */
static int
begin_judging(struct ev_scan *s, const struct sl_polset *set)
{
	uint64_t generation = set != NULL ? set->generation : 0;

	if (s->generation == generation + 1)
		return 0;
	free(s->roles);
	s->n_roles = set != NULL ? set->n_roles : 0;
	s->roles = malloc((s->n_roles + 1) * sizeof(*s->roles));
	if (s->roles == NULL)
		return -ENOMEM;
	if (s->n_roles > 0)
		memcpy(s->roles, set->roles, s->n_roles * sizeof(*s->roles));
	s->generation = generation + 1;
	s->at = 0;
	return 0;
}

static void
judge_some(struct ev_scan *s, const struct sl_policy_view *v, uint32_t tick, unsigned n)
{
	struct sl_judge_flow in[JUDGE];
	struct sl_judgement out[JUDGE];
	unsigned i;

	for (i = 0; i < n; i++) {
		struct ev_flow *f = &s->flow[s->at + i];

		f->here = ev_who_here(s->ev, f->who, &f->iface_id, &f->peer_id);
		ev_flow_judge(f, &in[i]);
	}
	sl_judge(v, tick, in, out, n);
	for (i = 0; i < n; i++) {
		struct ev_flow *f = &s->flow[s->at + i];

		f->allow = out[i].allow;
		f->why = out[i].why;
		f->role = out[i].role;
		f->rule = out[i].rule != SL_POL_NONE ? v->set->rules[out[i].rule].id : 0;
		if (s->cand == NULL)
			continue;
		sl_gw_candidate_judge(s->cand, &in[i], &out[i]);
		f->cand_allow = out[i].allow;
		f->cand_why = out[i].why;
		f->cand_role = out[i].role;
	}
}

static bool
judge(struct ev_scan *s, unsigned budget)
{
	struct sl_gw *gw = s->ev->gw;
	const struct sl_root *root = atomic_load_explicit(&gw->dp->root, memory_order_acquire);
	uint32_t tick = sl_tick_of(gw_mono_ns(gw)), end;
	unsigned n;

	if (begin_judging(s, root->authz.policy.set) != 0) {
		s->failed = true;
		return true;
	}
	end = (uint32_t)SL_MIN((uint64_t)s->at + budget, s->n);
	for (; s->at < end; s->at += n) {
		n = SL_MIN(end - s->at, JUDGE);
		judge_some(s, &root->authz.policy, tick, n);
	}
	return s->at >= s->n;
}

/* --- scans ---------------------------------------------------------------------------------------
 */

struct ev_scan *
ev_scan_new(struct sl_evidence *ev, const struct ev_filter *f, const struct sl_gw_candidate *c)
{
	struct ev_scan *s = calloc(1, sizeof(*s));
	uint64_t now = ev_now(ev), window = f->window_s * SL_NS_PER_S;

	if (s == NULL)
		return NULL;
	s->ev = ev;
	s->f = *f;
	s->cand = c;
	s->from_ns = now > window ? now - window : 0;
	s->to = malloc((f->n_to + 1) * sizeof(*s->to));
	s->peer = f->peer != NULL ? strdup(f->peer) : NULL;
	s->iface = f->iface != NULL ? strdup(f->iface) : NULL;
	ev->scans++;
	if (s->to == NULL || (f->peer != NULL && s->peer == NULL) ||
	    (f->iface != NULL && s->iface == NULL)) {
		ev_scan_free(s);
		return NULL;
	}
	if (f->n_to > 0)
		memcpy(s->to, f->to, f->n_to * sizeof(*s->to));
	sl_evidence_coverage(ev, f->window_s, &s->cover);
	return s;
}

void
ev_scan_free(struct ev_scan *s)
{
	if (s == NULL)
		return;
	s->ev->scans--;
	free(s->to);
	free(s->peer);
	free(s->iface);
	free(s->flow);
	free(s->bucket);
	free(s->roles);
	free(s);
}

bool
ev_scan_step(struct ev_scan *s, unsigned budget)
{
	if (s->phase == FOLD && fold(s, budget * FOLD_SHARE)) {
		s->phase = s->failed ? DONE : JUDGE_ALL;
		s->at = 0;
		return s->failed;
	}
	if (s->phase == JUDGE_ALL && judge(s, budget))
		s->phase = DONE;
	return s->phase == DONE;
}

bool
ev_scan_failed(const struct ev_scan *s)
{
	return s->failed;
}

const char *
ev_scan_role(const struct ev_scan *s, uint16_t role)
{
	return role < s->n_roles ? s->roles[role].name : "";
}

uint64_t
ev_scan_generation(const struct ev_scan *s)
{
	return s->generation - 1;
}

struct ev_flow *
ev_scan_flows(struct ev_scan *s, unsigned *n)
{
	*n = s->n;
	return s->flow;
}

const struct sl_coverage *
ev_scan_coverage(const struct ev_scan *s)
{
	return &s->cover;
}

int
ev_flow_cmp(const void *a, const void *b, void *ctx)
{
	const struct ev_flow *x = *(const struct ev_flow *const *)a;
	const struct ev_flow *y = *(const struct ev_flow *const *)b;
	const struct sl_evidence *ev = ctx;
	int c = strcmp(ev->who[x->who].iface, ev->who[y->who].iface);

	if (c == 0)
		c = strcmp(ev->who[x->who].peer, ev->who[y->who].peer);
	if (c == 0)
		c = (y->flags & SL_AGG_FROM_TUNNEL) - (x->flags & SL_AGG_FROM_TUNNEL);
	if (c == 0)
		c = x->version - y->version;
	if (c == 0)
		c = memcmp(x->dst, y->dst, 16);
	if (c == 0)
		c = x->proto - y->proto;
	if (c == 0)
		c = x->dport - y->dport;
	if (c == 0)
		c = memcmp(x->src, y->src, 16);
	if (c == 0)
		c = x->sport - y->sport;
	return c != 0 ? c : x->flags - y->flags;
}

/* --- ready --------------------------------------------------------------------------------------
 */

bool
sl_evidence_ready(struct sl_evidence *ev, const struct sl_prefix *to, unsigned n, uint64_t window_s,
		  uint64_t *denied, struct sl_coverage *cov)
{
	struct ev_filter f = {.window_s = window_s, .to = to, .n_to = n};

	return ev_ready(ev, &f, denied, cov);
}

bool
ev_ready(struct sl_evidence *ev, const struct ev_filter *f, uint64_t *denied,
	 struct sl_coverage *cov)
{
	struct ev_scan *s = ev_scan_new(ev, f, NULL);
	struct ev_flow *flow;
	unsigned i, n;
	bool known;

	*denied = 0;
	*cov = (struct sl_coverage){.window_s = f->window_s};
	if (s == NULL)
		return false;
	while (!ev_scan_step(s, EV_ALL))
		;
	known = !s->failed;
	*cov = s->cover;
	flow = ev_scan_flows(s, &n);
	for (i = 0; known && i < n; i++)
		if (ev_flow_denied(&flow[i]))
			*denied += ev_flow_count(&flow[i]);
	ev_scan_free(s);
	return known && *denied == 0 && cov->covered_s >= cov->window_s && cov->lost == 0;
}
