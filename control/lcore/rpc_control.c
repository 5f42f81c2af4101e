/* SPDX-License-Identifier: BSD-3-Clause */
/* control.*: the link to the control plane. */
#include <stdlib.h>

#include "rpc_int.h"
#include "sl_cp.h"

static int
need_cp(struct sl_ctl *ctl, struct sl_error *e)
{
	if (ctl->cp)
		return 0;
	sl_fail(e, -EBUSY, "not_managed", "", "this gateway has no control plane");
	sl_hint(e, "the group control_plane of its configuration names one");
	return -EBUSY;
}

int
sl_rpc_h_control_status(void *user, const struct sl_rpc_caller *caller, const void *p,
			json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *o = ctl->cp ? sl_cp_status(ctl->cp) : json_object();

	(void)caller;
	(void)p;
	(void)e;
	if (o)
		json_object_set_new(o, "managed", json_boolean(ctl->cp != NULL));
	return ctl_answer(result, o);
}

int
sl_rpc_h_control_resync(void *user, const struct sl_rpc_caller *caller, const void *p,
			json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	int rc = need_cp(ctl, e);

	(void)p;
	(void)result;
	if (rc)
		return rc;
	sl_cp_resync(ctl->cp);
	ctl_event(ctl, caller, "control_resync", json_object());
	return 0;
}

/* --- accepting an epoch -------------------------------------------------------------------------
 */

/** Somebody who is answered when a restart would not forget it. */
struct accepted {
	struct accepted *next;
	struct sl_rpc_later *later;
};

static void
answer_accepted(struct sl_ctl *ctl, int rc, const struct sl_error *e)
{
	struct accepted *a, *next;

	for (a = ctl->accepted; a; a = next) {
		next = a->next;
		sl_rpc_answer(a->later, rc, NULL, e);
		free(a);
	}
	ctl->accepted = NULL;
}

void
ctl_accepted_poll(struct sl_ctl *ctl)
{
	struct sl_error e = {0};
	int rc;

	if (!ctl->accepted)
		return;
	rc = sl_cp_saved(ctl->cp, &e);
	if (rc < 0)
		sl_hint(&e, "it is accepted until sluiced ends: make room, then see that "
			    "control.status has the epoch before a restart");
	if (rc <= 0)
		answer_accepted(ctl, rc, &e);
}

/** @return SL_RPC_LATER, or 0: who asks waits for the return, and for no disk */
static int
accepted_later(struct sl_ctl *ctl, const struct sl_rpc_caller *caller)
{
	struct sl_rpc_later *later = sl_rpc_later(caller);
	struct accepted *a = later ? calloc(1, sizeof(*a)) : NULL;

	if (!later)
		return 0;
	if (!a) {
		sl_rpc_answer(later, 0, NULL, NULL);
		return SL_RPC_LATER;
	}
	a->later = later;
	a->next = ctl->accepted;
	ctl->accepted = a;
	return SL_RPC_LATER;
}

int
sl_rpc_h_control_epoch_accept(void *user, const struct sl_rpc_caller *caller,
			      const struct sl_rpc_control_epoch_accept *p, json_t **result,
			      struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	int rc = need_cp(ctl, e);

	(void)result;
	rc = rc ? rc : sl_cp_epoch_accept(ctl->cp, p->id, e);
	if (rc)
		return rc;
	ctl_event(ctl, caller, "control_epoch_accept", json_pack("{s:s}", "id", p->id));
	return accepted_later(ctl, caller);
}

int
sl_rpc_h_control_tombstones(void *user, const struct sl_rpc_caller *caller,
			    const struct sl_rpc_control_tombstones *p, json_t **result,
			    struct sl_error *e)
{
	unsigned after = p->has_after ? (unsigned)p->after : 0;
	unsigned limit = p->has_limit ? (unsigned)p->limit : CTL_PAGE, total;
	struct sl_ctl *ctl = user;
	int rc = need_cp(ctl, e);
	json_t *list;

	(void)caller;
	if (rc)
		return rc;
	list = json_array();
	total = sl_cp_tombstones(ctl->cp, after, limit, list);
	*result = json_pack("{s:o, s:I}", "tombstones", list, "total", (json_int_t)total);
	if (*result && total > after && total - after > limit)
		json_object_set_new(*result, "next", json_integer((json_int_t)after + limit));
	return *result ? 0 : -ENOMEM;
}

int
sl_rpc_h_control_tombstone_confirm(void *user, const struct sl_rpc_caller *caller,
				   const struct sl_rpc_control_tombstone_confirm *p,
				   json_t **result, struct sl_error *e)
{
	static const char *const kind[] = {"peer", "role_map", "rule"};
	struct sl_ctl *ctl = user;
	int rc = need_cp(ctl, e);

	(void)result;
	rc = rc ? rc : sl_cp_tombstone_confirm(ctl->cp, kind[p->kind], p->id, e);
	if (rc == 0)
		ctl_event(ctl, caller, "control_tombstone_confirm",
			  json_pack("{s:s, s:s}", "kind", kind[p->kind], "id", p->id));
	return rc;
}

/* --- for stats.report -------------------------------------------------------------------------
 */

static json_t *
modes(struct sl_ctl *ctl)
{
	static const char *const text[] = {"observe", "enforce"};
	json_t *prefixes = json_object();
	struct sl_gw_mode m;
	char prefix[SL_PREFIX_STR];

	sl_gw_mode_get(ctl->gw, &m);
	for (unsigned i = 0; i < m.n_prefixes; i++)
		json_object_set_new(prefixes, sl_prefix_str(&m.prefixes[i].prefix, prefix),
				    json_string(text[m.prefixes[i].mode == SL_MODE_ENFORCE]));
	return json_pack("{s:s, s:b, s:o}", "default", text[m.deflt == SL_MODE_ENFORCE], "panic",
			 (int)m.panic, "prefixes", prefixes);
}

static json_t *
drops(const struct sl_stats_snap *now)
{
	json_t *o = json_object();

	for (unsigned i = 1; i < SL_DROP_MAX; i++)
		if (now->drops[i])
			json_object_set_new(o, sl_drop_text(i),
					    json_integer((json_int_t)now->drops[i]));
	return o;
}

static json_t *
records(struct sl_ctl *ctl)
{
	json_t *status = ctl->drain ? sl_drain_status(ctl->drain) : NULL, *lcore, *type, *o;
	json_int_t lost = json_integer_value(json_object_get(status, "events_lost"));
	json_int_t suppressed = 0;
	size_t i, k;

	json_array_foreach (json_object_get(status, "lcores"), i, lcore) {
		json_array_foreach (json_object_get(lcore, "types"), k, type) {
			lost += json_integer_value(json_object_get(type, "overwritten"));
			suppressed += json_integer_value(json_object_get(type, "suppressed"));
		}
	}
	o = json_pack("{s:I, s:I}", "lost", lost, "suppressed", suppressed);
	json_decref(status);
	return o;
}

json_t *
ctl_control_state(void *user)
{
	static struct sl_stats_snap before, now; /* too large for the stack */
	struct sl_ctl *ctl = user;
	struct sl_stats_rates r;
	struct ctl_span span;
	struct sl_error e;
	json_t *o =
		json_pack("{s:o, s:I, s:o}", "mode", modes(ctl), "uptime_s",
			  (json_int_t)(ctl_uptime_ns(ctl) / SL_NS_PER_S), "audit", records(ctl));

	if (!o || ctl_rates(ctl, &span, &e) != 0)
		return o ? o : json_object();
	ctl_point_sum(ctl, span.before, &before);
	ctl_point_sum(ctl, span.now, &now);
	sl_stats_rates(&before, &now, &r);
	json_object_set_new(o, "drops", drops(&now));
	json_object_set_new(o, "packets", json_integer((json_int_t)now.lcore.rx_packets));
	json_object_set_new(o, "latency_ns",
			    json_pack("{s:I, s:I, s:I}", "p50", (json_int_t)r.latency.p50_ns, "p95",
				      (json_int_t)r.latency.p95_ns, "p99",
				      (json_int_t)r.latency.p99_ns));
	return o;
}

/* --- life --------------------------------------------------------------------------------------
 */

int
sl_ctl_begin_control(struct sl_ctl *ctl, struct event_base *base, struct sl_error *e)
{
	struct sl_cp_conf c = {.gw = ctl->gw,
			       .base = base,
			       .config = ctl->config->cp,
			       .state_dir = ctl->config->state_dir,
			       .boot_id = ctl->boot_id,
			       .evidence = ctl->evidence,
			       .state = ctl_control_state,
			       .state_ctx = ctl};

	if (!c.config)
		return 0;
	ctl->cp = sl_cp_new(&c, e);
	return ctl->cp ? 0 : e->err;
}

void
sl_ctl_end_control(struct sl_ctl *ctl)
{
	struct sl_error e;

	sl_fail(&e, -ECANCELED, "ending", "", "sluiced ends: the epoch may be accepted, or not");
	answer_accepted(ctl, e.err, &e);
	sl_cp_free(ctl->cp);
	ctl->cp = NULL;
}
