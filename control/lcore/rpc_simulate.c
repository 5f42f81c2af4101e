/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.simulate: the document that is meant is compiled on the helper, as a candidate, and the
 * flow judged by it; one question after the other. */
#include <stdlib.h>

#include "rpc_int.h"
#include "rpc_queue.h"
#include "sl_gw_policy.h"

#define QUEUE_MAX 8

struct simulation {
	struct ctl_asked asked;
	struct sl_gw_question flow;   /* its names are the caller's, valid until the answer */
	struct sl_gw_policy_load doc; /* until the candidate has it */
	uint64_t wall_ns;
	struct sl_gw_candidate *cand;
};

struct ctl_simulations {
	struct ctl_queue queue;
};

static int
no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to judge the policy");
}

static void
simulation_free(struct simulation *s)
{
	sl_gw_candidate_free(s->cand);
	free(s->doc.given);
	free(s);
}

static void
cancel(struct ctl_asked *asked, const struct sl_error *e)
{
	sl_rpc_answer(asked->later, e->err, NULL, e);
	simulation_free((struct simulation *)asked);
}

/* --- the question ----------------------------------------------------------------------------- */

static int
read_flow(const struct sl_rpc_policy_simulate *p, struct sl_gw_question *q, struct sl_error *e)
{
	*q = (struct sl_gw_question){.iface = p->interface,
				     .peer = p->peer,
				     .roles = p->roles.v,
				     .n_roles = p->roles.n,
				     .src = p->src,
				     .dst = p->dst,
				     .sport = (uint16_t)p->sport,
				     .dport = (uint16_t)p->dport,
				     .from_inside = p->from == 1};
	if (p->has_peer && p->has_roles) {
		sl_fail(e, -EINVAL, "param_unexpected", "/roles",
			"the subject is a peer, or has just these roles, not both");
		sl_hint(e, "leave out peer or roles");
		return -EINVAL;
	}
	return ctl_packet_proto(p->has_protocol, p->protocol, q, e);
}

static int
read_time(const struct sl_rpc_policy_simulate *p, uint64_t *wall_ns, struct sl_error *e)
{
	if (!p->has_at || sl_time_parse(p->at, wall_ns) == 0)
		return 0;
	sl_fail(e, -EINVAL, "time_invalid", "/at", "\"%.40s\" is no time", p->at);
	sl_hint(e, "2027-01-31T12:00:00Z");
	return -EINVAL;
}

/* --- the answer ------------------------------------------------------------------------------- */

static int
judge(const struct simulation *s, json_t **result, struct sl_error *e)
{
	uint64_t version = s->doc.again ? sl_gw_candidate_policy(s->cand)->version : 0;
	struct sl_simulated *x = calloc(1, sizeof(*x));
	int rc;

	if (!x)
		return no_memory(e);
	rc = sl_gw_simulate(s->cand, &s->flow, x, e);
	if (rc == 0)
		rc = ctl_answer(result, sl_simulated_json(x, version, s->wall_ns));
	free(x->made);
	free(x);
	return rc;
}

/** @return 0, or why there is no candidate */
static int
begin(struct sl_ctl *ctl, struct simulation *s, struct sl_error *e)
{
	if (s->doc.again && !sl_gw_policy(ctl->gw)) {
		sl_fail(e, -ENOENT, "not_found", "", "no policy is in force");
		sl_hint(e, "load one, or send the document that is meant");
		return -ENOENT;
	}
	s->cand = sl_gw_candidate_begin(ctl->gw, &s->doc, e);
	if (!s->cand)
		return e->err;
	s->doc.given = NULL;
	return 0;
}

/** Compiled, or not to be compiled. @return as a handler */
static int
finish(const struct simulation *s, json_t **result, struct sl_error *e)
{
	const struct sl_error *failed = sl_gw_candidate_error(s->cand);

	if (!failed)
		return judge(s, result, e);
	*e = *failed;
	return e->err;
}

void
ctl_simulations_poll(struct sl_ctl *ctl)
{
	struct ctl_simulations *all = ctl->simulations;
	struct sl_error e = {0};
	json_t *result = NULL;
	struct simulation *s;
	int rc = 0;

	if (all)
		ctl_queue_drop_unwanted(&all->queue, cancel);
	s = all ? (struct simulation *)all->queue.first : NULL;
	if (!s)
		return;
	if (!s->cand)
		rc = begin(ctl, s, &e);
	if (rc == 0 && !sl_gw_candidate_step(s->cand))
		return;
	if (rc == 0)
		rc = finish(s, &result, &e);
	ctl_queue_take(&all->queue);
	sl_rpc_answer(s->asked.later, rc, result, &e);
	simulation_free(s);
}

void
ctl_simulations_free(struct sl_ctl *ctl)
{
	struct ctl_simulations *all = ctl->simulations;

	if (all)
		ctl_queue_end(&all->queue, cancel);
	free(all);
	ctl->simulations = NULL;
}

/* --- the method ------------------------------------------------------------------------------- */

static int
room(struct sl_ctl *ctl, struct sl_error *e)
{
	struct ctl_simulations *all = ctl->simulations;

	if (!all)
		all = ctl->simulations = calloc(1, sizeof(*all));
	if (!all)
		return no_memory(e);
	ctl_queue_drop_unwanted(&all->queue, cancel);
	if (all->queue.n < QUEUE_MAX)
		return 0;
	sl_fail(e, -EBUSY, "busy", "", "%u simulations are under way", QUEUE_MAX);
	return -EBUSY;
}

/** Takes `s` over. @return as a handler */
static int
ask(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct simulation *s, json_t **result,
    struct sl_error *e)
{
	int rc = room(ctl, e);

	if (rc == 0)
		s->asked.later = sl_rpc_later(caller);
	if (s->asked.later) {
		ctl_queue_add(&((struct ctl_simulations *)ctl->simulations)->queue, &s->asked);
		return SL_RPC_LATER;
	}
	if (rc == 0)
		rc = begin(ctl, s, e);
	if (rc == 0) {
		sl_gw_candidate_wait(s->cand);
		rc = finish(s, result, e);
	}
	simulation_free(s);
	return rc;
}

int
sl_rpc_h_policy_simulate(void *user, const struct sl_rpc_caller *caller,
			 const struct sl_rpc_policy_simulate *p, json_t **result,
			 struct sl_error *e)
{
	bool sent = p->has_text || p->has_file || p->has_part;
	struct ctl_source source = CTL_SOURCE_OF(p);
	struct sl_gw_policy_load doc = {.again = !sent, .lenient = !sent || p->has_at};
	struct sl_ctl *ctl = user;
	struct sl_gw_question flow;
	uint64_t wall_ns = sl_gw_wall_ns(ctl->gw);
	struct simulation *s;
	int rc = read_flow(p, &flow, e);

	if (rc == 0)
		rc = read_time(p, &wall_ns, e);
	if (rc == 0 && sent)
		rc = ctl_take_document(ctl, caller, &source, &doc, result, e);
	if (rc)
		return rc < 0 ? rc : 0;
	s = calloc(1, sizeof(*s));
	if (!s) {
		free(doc.given);
		return no_memory(e);
	}
	doc.at_wall_ns = wall_ns;
	*s = (struct simulation){.flow = flow, .doc = doc, .wall_ns = wall_ns};
	return ask(ctl, caller, s, result, e);
}
