/* SPDX-License-Identifier: BSD-3-Clause */
/* flow.*: the live flows. Workers show their tables piece by piece, and what they show is looked at
 * in slices between which the loop goes on. Questions are answered one after the other. */
#include <stdlib.h>

#include "flow_live.h"
#include "rpc_int.h"
#include "rpc_queue.h"
#include "sl_gw_policy.h"

#define QUEUE_MAX 8
#define SLICE 16	 /* rows between two looks at the clock */
#define SLICE_NS 1000000 /* of one turn of the loop */
#define SILENT_NS (5 * SL_NS_PER_S)

/** Which flows. */
struct filter {
	uint16_t iface; /* 0: all */
	uint32_t *peer; /* ids; NULL: all */
	unsigned n_peers;
	struct sl_prefix *to; /* the destination's; NULL: anywhere */
	unsigned n_to;
	struct sl_prefix src; /* family 0: anywhere */
	const char *role;     /* NULL: all */
	const char *rule_role;
	uint32_t rule; /* of rule_role; 0: all */
	int verdict;   /* -1: all */
};

struct question {
	struct ctl_asked asked;
	struct filter f;
	char *rule; /* what f.rule_role points to */
	struct flow_walk walk;
	uint64_t heard_ns; /* when something last came */
	unsigned limit;
	json_t *list; /* NULL: they are counted */
	uint64_t n[FLOW_VERDICTS], midstream, outdated, packets, bytes;
};

struct ctl_flows {
	struct ctl_queue queue;
};

static void
question_free(struct question *q)
{
	json_decref(q->list);
	free(q->f.peer);
	free(q->f.to);
	free(q->rule);
	free(q);
}

/* --- which flows -------------------------------------------------------------------------------
 */

static bool
one_of(const struct sl_prefix *p, unsigned n, const struct sl_ip *ip)
{
	for (unsigned i = 0; i < n; i++)
		if (sl_prefix_contains(&p[i], ip))
			return true;
	return false;
}

static bool
is_peer(const struct filter *w, uint32_t id)
{
	for (unsigned i = 0; i < w->n_peers; i++)
		if (w->peer[i] == id)
			return true;
	return false;
}

static bool
takes(const struct filter *w, const struct flow_live *l)
{
	if (w->verdict >= 0 && (int)l->verdict != w->verdict)
		return false;
	if (w->peer && !is_peer(w, l->f->peer_id))
		return false;
	if (w->to && !one_of(w->to, w->n_to, &l->dst))
		return false;
	if (w->src.ip.family && !sl_prefix_contains(&w->src, &l->src))
		return false;
	if (w->role && (!l->role || strcmp(w->role, l->role) != 0))
		return false;
	return !w->rule || (l->f->why == SL_WHY_RULE && l->f->rule_id == w->rule && l->role &&
			    strcmp(w->rule_role, l->role) == 0);
}

static int
no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

/** What peers of that name there are, to be looked for in each interface. */
struct peers {
	struct sl_ctl *ctl;
	const char *name, *iface;
	struct filter *f;
	bool no_memory;
};

static void
add_peer(void *ctx, const struct sl_gw_iface_info *i)
{
	struct peers *p = ctx;
	struct sl_gw_peer_info info;
	struct sl_pubkey key;
	struct sl_error e;
	uint32_t *more;

	if (p->iface && strcmp(i->name, p->iface) != 0)
		return;
	if (sl_gw_peer_lookup(p->ctl->gw, i->name, p->name, &key, &e) ||
	    sl_gw_peer_info(p->ctl->gw, i->name, &key, &info))
		return;
	more = realloc(p->f->peer, (p->f->n_peers + 1) * sizeof(*more));
	p->no_memory |= !more;
	if (!more)
		return;
	p->f->peer = more;
	more[p->f->n_peers++] = info.id;
}

static int
filter_peers(struct sl_ctl *ctl, struct filter *f, const char *name, const char *iface,
	     struct sl_error *e)
{
	struct peers p = {.ctl = ctl, .name = name, .iface = iface, .f = f};

	sl_gw_iface_walk(ctl->gw, add_peer, &p);
	if (p.no_memory)
		return no_memory(e);
	if (f->n_peers > 0)
		return 0;
	sl_fail(e, -ENOENT, "peer_unknown", "/peer", "no %sinterface has a peer \"%.63s\"",
		iface ? "such " : "", name);
	sl_hint(e, "peer.list names them");
	return -ENOENT;
}

static int
filter_iface(struct sl_ctl *ctl, struct filter *f, const char *name, struct sl_error *e)
{
	struct sl_gw_iface_info i;

	if (sl_gw_iface_find(ctl->gw, name, &i)) {
		f->iface = i.id;
		return 0;
	}
	sl_fail(e, -ENOENT, "interface_unknown", "/interface", "no interface \"%.32s\"", name);
	sl_hint(e, "interface.list names them");
	return -ENOENT;
}

static int
filter_target(struct sl_ctl *ctl, struct filter *f, const char *target, struct sl_error *e)
{
	struct sl_gw_mode_prefix *list = NULL;
	int rc = ctl_resolve(ctl, target, "/target", &list, &f->n_to, e);

	if (rc == 0) {
		f->to = calloc(f->n_to + 1, sizeof(*f->to));
		rc = f->to ? 0 : no_memory(e);
	}
	for (unsigned i = 0; rc == 0 && i < f->n_to; i++)
		f->to[i] = list[i].prefix;
	free(list);
	return rc;
}

static int
filter_src(struct filter *f, const struct sl_prefix *src, struct sl_error *e)
{
	struct sl_prefix masked = *src;
	char text[SL_PREFIX_STR];

	f->src = *src;
	if (!sl_prefix_mask(&masked))
		return 0;
	sl_fail(e, -EINVAL, "prefix_host_bits", "/src", "bits behind the prefix length are set");
	sl_hint(e, "%s", sl_prefix_str(&masked, text));
	return -EINVAL;
}

/** ROLE/ID, and the policy in force has it. */
static int
filter_rule(struct sl_ctl *ctl, struct question *q, const char *name, struct sl_error *e)
{
	const struct sl_policy *p = sl_gw_policy(ctl->gw);
	char *slash, *end = NULL;
	unsigned long id;

	q->rule = strdup(name);
	if (!q->rule)
		return no_memory(e);
	slash = strrchr(q->rule, '/');
	id = slash && slash[1] >= '1' && slash[1] <= '9' ? strtoul(slash + 1, &end, 10) : 0;
	if (id == 0 || id > UINT32_MAX || *end) {
		sl_fail(e, -EINVAL, "rule_invalid", "/rule", "\"%.80s\" is no ROLE/ID", name);
		sl_hint(e, "as policy.show writes them: engineer/1");
		return -EINVAL;
	}
	*slash = 0;
	q->f.rule_role = q->rule;
	q->f.rule = (uint32_t)id;
	for (unsigned i = 0; p && i < p->n_rules; i++)
		if (p->rules[i].id == id && strcmp(p->rules[i].role, q->rule) == 0)
			return 0;
	sl_fail(e, -ENOENT, "rule_unknown", "/rule", "the policy in force has no rule \"%.80s\"",
		name);
	sl_hint(e, "policy.show names them");
	return -ENOENT;
}

static int
filter_fill(struct sl_ctl *ctl, struct question *q, const struct sl_rpc_flow_count *p,
	    struct sl_error *e)
{
	struct filter *f = &q->f;
	int rc = 0;

	f->verdict = p->has_verdict ? (int)p->verdict : -1;
	f->role = p->role;
	if (p->has_interface)
		rc = filter_iface(ctl, f, p->interface, e);
	if (rc == 0 && p->has_peer)
		rc = filter_peers(ctl, f, p->peer, p->interface, e);
	if (rc == 0 && p->has_target)
		rc = filter_target(ctl, f, p->target, e);
	if (rc == 0 && p->has_src)
		rc = filter_src(f, &p->src, e);
	if (rc == 0 && p->has_role)
		rc = ctl_role_check(ctl, p->role, e);
	if (rc == 0 && p->has_rule)
		rc = filter_rule(ctl, q, p->rule, e);
	return rc;
}

/* --- going on ----------------------------------------------------------------------------------
 */

static void
count(struct sl_ctl *ctl, struct question *q, const struct flow_live *l)
{
	q->n[l->verdict]++;
	q->midstream += (l->f->flags & SL_FLOW_MIDSTREAM) != 0;
	q->outdated += flow_live_outdated(ctl, l);
	q->packets += l->f->packets[0] + l->f->packets[1];
	q->bytes += l->f->bytes[0] + l->f->bytes[1];
}

/** @return true if the page is full */
static bool
take(struct sl_ctl *ctl, struct question *q, const struct sl_flow *row)
{
	struct flow_live l;

	flow_live_look(ctl, &q->walk, row, &l);
	if (!takes(&q->f, &l))
		return false;
	if (!q->list) {
		count(ctl, q, &l);
		return false;
	}
	json_array_append_new(q->list, flow_live_json(ctl, q->walk.worker, &l));
	return json_array_size(q->list) == q->limit;
}

static json_t *
count_json(const struct question *q)
{
	json_t *workers = json_array();

	for (unsigned i = 0; i < q->walk.dp->n_workers; i++)
		json_array_append_new(workers,
				      json_pack("{s:i, s:i, s:i}", "worker", (int)i, "flows",
						(int)q->walk.flows[i], "max", (int)q->walk.max[i]));
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o}", "flows",
			 (json_int_t)(q->n[FLOW_ALLOW] + q->n[FLOW_WOULD_DENY] + q->n[FLOW_DENY]),
			 "allow", (json_int_t)q->n[FLOW_ALLOW], "would_deny",
			 (json_int_t)q->n[FLOW_WOULD_DENY], "deny", (json_int_t)q->n[FLOW_DENY],
			 "midstream", (json_int_t)q->midstream, "outdated", (json_int_t)q->outdated,
			 "packets", (json_int_t)q->packets, "bytes", (json_int_t)q->bytes,
			 "workers", workers);
}

static void
answer(struct question *q, bool more)
{
	struct sl_error e = {0};
	json_t *o = q->list ? json_pack("{s:O}", "flows", q->list) : count_json(q);

	if (o && more)
		json_object_set_new(o, "next",
				    json_integer((json_int_t)flow_walk_cursor(&q->walk)));
	sl_rpc_answer(q->asked.later, o ? 0 : no_memory(&e), o, &e);
	question_free(q);
}

static void
cancel(struct ctl_asked *asked, const struct sl_error *e)
{
	sl_rpc_answer(asked->later, e->err, NULL, e);
	question_free((struct question *)asked);
}

/** A data lcore that does not turn has no time for packets either. */
static void
check_silence(struct ctl_flows *all, uint64_t now_ns)
{
	const struct question *q = (struct question *)all->queue.first;
	struct sl_error e;

	if (now_ns - q->heard_ns < SILENT_NS)
		return;
	sl_fail(&e, -EBUSY, "worker_silent", "", "worker %u has not answered for 5 s",
		q->walk.worker);
	sl_hint(&e, "sys.lcores shows what the lcores do");
	cancel(ctl_queue_take(&all->queue), &e);
}

void
ctl_flows_poll(struct sl_ctl *ctl)
{
	uint64_t begin = ctl->mono_ns(ctl->clock_ctx), now = begin;
	struct ctl_flows *all = ctl->flows;
	enum flow_step step = FLOW_ROW;
	const struct sl_flow *row;
	uint32_t windows;
	struct question *q;
	bool full = false;

	if (all)
		ctl_queue_drop_unwanted(&all->queue, cancel);
	q = all ? (struct question *)all->queue.first : NULL;
	if (!q)
		return;
	if (q->heard_ns == 0)
		q->heard_ns = now;
	windows = q->walk.windows;
	for (unsigned i = 0; step == FLOW_ROW && !full && now - begin < SLICE_NS; i++) {
		step = flow_walk_next(&q->walk, &row);
		if (step == FLOW_ROW)
			full = take(ctl, q, row);
		if (i % SLICE == SLICE - 1)
			now = ctl->mono_ns(ctl->clock_ctx);
		if (step == FLOW_ROW || q->walk.windows != windows)
			q->heard_ns = now;
	}
	if (full || step == FLOW_END)
		answer((struct question *)ctl_queue_take(&all->queue), full);
	else if (step == FLOW_WAITS)
		check_silence(all, now);
}

void
ctl_flows_free(struct sl_ctl *ctl)
{
	struct ctl_flows *all = ctl->flows;

	if (all)
		ctl_queue_end(&all->queue, cancel);
	free(all);
	ctl->flows = NULL;
}

/* --- methods -----------------------------------------------------------------------------------
 */

static int
room(struct sl_ctl *ctl, struct sl_error *e)
{
	struct ctl_flows *all = ctl->flows;

	if (!all)
		all = ctl->flows = calloc(1, sizeof(*all));
	if (!all)
		return no_memory(e);
	ctl_queue_drop_unwanted(&all->queue, cancel);
	if (all->queue.n < QUEUE_MAX)
		return 0;
	sl_fail(e, -EBUSY, "busy", "", "%u questions about flows are under way", QUEUE_MAX);
	return -EBUSY;
}

/** Takes `q` over. */
static int
ask(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct question *q, uint64_t after,
    struct sl_error *e)
{
	q->asked.later = sl_rpc_later(caller);
	if (!q->asked.later) {
		question_free(q);
		sl_fail(e, -EBUSY, "cannot_wait", "",
			"workers are asked, and this caller does not wait for them");
		sl_hint(e, "ask through a socket or the console");
		return -EBUSY;
	}
	flow_walk_begin(&q->walk, ctl->dp, after,
			q->f.n_peers == 1 ? q->f.peer[0] : SL_FLOW_ANY_PEER, q->f.iface);
	ctl_queue_add(&((struct ctl_flows *)ctl->flows)->queue, &q->asked);
	return SL_RPC_LATER;
}

static int
begin(struct sl_ctl *ctl, const struct sl_rpc_flow_count *p, struct question **out,
      struct sl_error *e)
{
	struct question *q;
	int rc = room(ctl, e);

	if (rc)
		return rc;
	q = calloc(1, sizeof(*q));
	if (!q)
		return no_memory(e);
	rc = filter_fill(ctl, q, p, e);
	if (rc) {
		question_free(q);
		return rc;
	}
	*out = q;
	return 0;
}

/* flow.list has the parameters of flow.count, then those of its pages */
_Static_assert(offsetof(struct sl_rpc_flow_list, has_verdict) ==
		       offsetof(struct sl_rpc_flow_count, has_verdict),
	       "same list");
_Static_assert(offsetof(struct sl_rpc_flow_list, has_rule) ==
		       offsetof(struct sl_rpc_flow_count, has_rule),
	       "same list");

int
sl_rpc_h_flow_list(void *user, const struct sl_rpc_caller *caller, const struct sl_rpc_flow_list *p,
		   json_t **result, struct sl_error *e)
{
	struct question *q = NULL;
	int rc = begin(user, (const struct sl_rpc_flow_count *)p, &q, e);

	(void)result;
	if (rc)
		return rc;
	q->list = json_array();
	q->limit = p->has_limit ? (unsigned)p->limit : CTL_PAGE;
	if (!q->list) {
		question_free(q);
		return no_memory(e);
	}
	return ask(user, caller, q, p->has_after ? (uint64_t)p->after : 0, e);
}

int
sl_rpc_h_flow_count(void *user, const struct sl_rpc_caller *caller,
		    const struct sl_rpc_flow_count *p, json_t **result, struct sl_error *e)
{
	struct question *q = NULL;
	int rc = begin(user, p, &q, e);

	(void)result;
	return rc ? rc : ask(user, caller, q, 0, e);
}
