/* SPDX-License-Identifier: BSD-3-Clause */
#include "flow_live.h"

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_policy_doc.h"

static const char *const verdict_text[] = {"allow", "would_deny", "deny"};

static bool
init_b(const struct sl_flow *f)
{
	return (f->flags & SL_FLOW_INIT_B) != 0;
}

static struct sl_ip
address(const struct sl_flow *f, bool b)
{
	const uint8_t *a = b ? f->key.b : f->key.a;

	return f->key.version == 4 ? sl_ip_v4(a) : sl_ip_v6(a);
}

static bool
has_ports(const struct sl_flow *f)
{
	return f->key.proto == 6 || f->key.proto == 17;
}

/** By its place where that means something, else by its number, which stays the role's. */
static const char *
role_of(struct sl_ctl *ctl, const struct flow_live *l)
{
	const struct sl_flow *f = l->f;

	if (!l->same_rules)
		return sl_gw_role_name(ctl->gw, f->role_id);
	return l->set && f->role < l->set->n_roles ? l->set->roles[f->role].name : NULL;
}

void
flow_live_look(struct sl_ctl *ctl, const struct flow_walk *w, const struct sl_flow *f,
	       struct flow_live *l)
{
	const struct sl_polset *set = sl_gw_policy_view(ctl->gw)->set;
	bool b = init_b(f), from_tunnel = (f->flags & SL_FLOW_FROM_TUNNEL) != 0;

	*l = (struct flow_live){.f = f,
				.view = flow_walk_view(w),
				.set = set,
				.same_rules =
					f->policy_gen == (set ? (uint32_t)set->generation : 0),
				.src = address(f, b),
				.dst = address(f, !b),
				.sport = b ? f->key.pb : f->key.pa,
				.dport = b ? f->key.pa : f->key.pb};
	l->role = role_of(ctl, l);
	l->mode = sl_gw_mode_of(ctl->gw, from_tunnel ? &l->dst : &l->src);
	l->verdict = f->flags & SL_FLOW_ALLOW	  ? FLOW_ALLOW
		     : f->why == SL_WHY_WITHDRAWN ? FLOW_DENY /* whatever the mode */
		     : l->mode == SL_MODE_OBSERVE ? FLOW_WOULD_DENY
						  : FLOW_DENY;
}

bool
flow_live_outdated(struct sl_ctl *ctl, const struct flow_live *l)
{
	const struct sl_policy_view *v = sl_gw_policy_view(ctl->gw);
	const struct sl_flow *f = l->f;
	struct sl_judge_flow j = {.f = {.version = f->key.version,
					.proto = f->key.proto,
					.iface = f->key.iface,
					.src = l->src.b,
					.dst = l->dst.b},
				  .from_inside = (f->flags & SL_FLOW_FROM_TUNNEL) == 0,
				  .peer_id = f->peer_id};

	if (!l->same_rules ||
	    (f->deadline_tick && sl_tick_reached(l->view->tick, f->deadline_tick)))
		return true;
	return f->who_gen != (v->who ? (uint32_t)v->who->generation : 0) &&
	       !sl_judge_same_who(v, &j, f->src_stamp, f->peer_stamp);
}

/** What TCP has come to; NULL: another protocol. */
static const char *
state_text(const struct sl_flow *f)
{
	static const char *const text[] = {"new", "replied", "established", "established"};

	if (f->key.proto != 6)
		return NULL;
	if (f->tcp & SL_FLOW_TCP_RST)
		return "closed";
	if (f->tcp & SL_FLOW_TCP_FIN_I && f->tcp & SL_FLOW_TCP_FIN_R)
		return "closed";
	if (f->tcp & (SL_FLOW_TCP_FIN_I | SL_FLOW_TCP_FIN_R))
		return "closing";
	return text[f->tcp & SL_FLOW_TCP_STATE];
}

static json_int_t
ticks_ms(uint32_t ticks)
{
	return (json_int_t)((uint64_t)SL_MAX((int32_t)ticks, 0) * (SL_TICK_NS / SL_NS_PER_MS));
}

/** Who speaks with whom. */
static json_t *
tuple_json(struct sl_ctl *ctl, unsigned worker, const struct flow_live *l)
{
	const struct sl_flow *f = l->f;
	const struct sl_iface_view *iface =
		sl_root_iface(atomic_load_explicit(&ctl->dp->root, memory_order_relaxed),
			      f->key.iface);
	const struct sl_peer *peer = sl_peer_get(ctl->dp->peers, f->peer_id);
	char proto[8];

	return json_pack("{s:s*, s:s*, s:i, s:s, s:o, s:o*, s:o, s:o*, s:s, s:s*}", "interface",
			 iface ? iface->name : NULL, "peer", peer ? peer->name : NULL, "worker",
			 (int)worker, "from", f->flags & SL_FLOW_FROM_TUNNEL ? "tunnel" : "inside",
			 "src", ctl_ip(&l->src), "sport",
			 has_ports(f) ? json_integer(l->sport) : NULL, "dst", ctl_ip(&l->dst),
			 "port", has_ports(f) ? json_integer(l->dport) : NULL, "protocol",
			 sl_proto_str(f->key.proto, proto), "state", state_text(f));
}

/** What policy says of it. */
static void
set_verdict(json_t *o, struct sl_ctl *ctl, const struct flow_live *l)
{
	const struct sl_polset *s = l->same_rules ? l->set : NULL;
	const struct sl_flow *f = l->f;
	json_t *rule = l->role && f->why == SL_WHY_RULE ? json_sprintf("%s/%u", l->role, f->rule_id)
							: NULL;
	json_t *v = json_pack("{s:s, s:s, s:s, s:s*, s:o*, s:s*, s:s*, s:b, s:b, s:I}", "verdict",
			      verdict_text[l->verdict], "mode",
			      l->mode == SL_MODE_OBSERVE ? "observe" : "enforce", "why",
			      sl_why_text(f->why), "role", l->role, "rule", rule, "zone",
			      s && f->zone < s->n_zones ? s->zones[f->zone].name : NULL, "target",
			      s && f->target < s->n_targets ? s->targets[f->target].name : NULL,
			      "midstream", (f->flags & SL_FLOW_MIDSTREAM) != 0, "outdated",
			      flow_live_outdated(ctl, l), "generation", (json_int_t)f->policy_gen);

	json_object_update(o, v);
	json_decref(v);
}

static void
set_counts(json_t *o, const struct flow_live *l)
{
	const struct sl_flow *f = l->f;
	uint32_t tick = l->view->tick, idle = tick - f->last_tick;
	json_t *deadline =
		f->deadline_tick ? json_integer(ticks_ms(f->deadline_tick - tick)) : NULL;
	json_t *c =
		json_pack("{s:I, s:I, s:I, s:o*, s:I, s:I, s:I, s:I}", "age_ms",
			  (json_int_t)((l->view->now_ns - f->start_ns) / SL_NS_PER_MS), "idle_ms",
			  ticks_ms(idle), "expires_ms", ticks_ms(sl_flow_idle(f) - idle),
			  "deadline_ms", deadline, "packets", (json_int_t)f->packets[0], "bytes",
			  (json_int_t)f->bytes[0], "reply_packets", (json_int_t)f->packets[1],
			  "reply_bytes", (json_int_t)f->bytes[1]);

	json_object_update(o, c);
	json_decref(c);
}

json_t *
flow_live_json(struct sl_ctl *ctl, unsigned worker, const struct flow_live *l)
{
	json_t *o = tuple_json(ctl, worker, l);

	if (!o)
		return NULL;
	set_verdict(o, ctl, l);
	set_counts(o, l);
	return o;
}
