/* SPDX-License-Identifier: BSD-3-Clause */
/* authz.mode.*: local state (D6); each change leaves a line with what was and what is, and who.
 * What raises enforcement asks the evidence first (D10). */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "evidence_query.h"
#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_json.h"
#include "sl_log.h"
#include "sl_lpm.h"

#define WINDOW_S EV_DAY_S

static const char *
mode_text(enum sl_authz_mode m)
{
	return m == SL_MODE_ENFORCE ? "enforce" : "observe";
}

static json_t *
prefix_json(const struct sl_gw_mode_prefix *p)
{
	char text[SL_PREFIX_STR];
	json_t *o = json_pack("{s:s, s:s}", "prefix", sl_prefix_str(&p->prefix, text), "mode",
			      mode_text(p->mode));

	if (o && p->target[0])
		json_object_set_new(o, "target", json_string(p->target));
	return o;
}

static json_t *
pending_json(const struct sl_gw_mode_pending *p)
{
	return json_pack("{s:s, s:I}", "confirm_id", p->id, "revert_at",
			 (json_int_t)(p->revert_wall_ns / SL_NS_PER_S));
}

static json_t *
mode_json(struct sl_ctl *ctl, uint64_t after, unsigned limit)
{
	json_t *list = json_array(), *o;
	struct sl_gw_mode mode;
	uint64_t i;

	sl_gw_mode_get(ctl->gw, &mode);
	for (i = after; i < mode.n_prefixes && i - after < limit; i++)
		json_array_append_new(list, prefix_json(&mode.prefixes[i]));
	o = json_pack("{s:s, s:s, s:o, s:b}", "default", mode_text(mode.deflt), "panic",
		      mode.panic ? "observe" : "off", "prefixes", list, "from_state",
		      (int)sl_gw_mode_from_state(ctl->gw));
	if (o && mode.pending.id[0])
		json_object_set_new(o, "pending", pending_json(&mode.pending));
	if (o && i < mode.n_prefixes)
		json_object_set_new(o, "next", json_integer((json_int_t)i));
	return o;
}

int
sl_rpc_h_authz_mode_get(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_authz_mode_get *p, json_t **result, struct sl_error *e)
{
	(void)caller;
	(void)e;
	return ctl_answer(result, mode_json(user, (uint64_t)p->after,
					    p->has_limit ? (unsigned)p->limit : CTL_PAGE));
}

/* --- what is to change -----------------------------------------------------------------------
 */

/** Exactly one of them, and `mode` with prefixes and targets. */
static int
check(const struct sl_rpc_authz_mode_set *p, struct sl_error *e)
{
	if (p->has_default + p->has_prefixes + p->has_targets + p->has_panic != 1) {
		sl_fail(e, -EINVAL, "param_conflict", "",
			"exactly one of default, prefixes, targets and panic is set at a time");
		sl_hint(e,
			"{\"default\": \"observe\"}, {\"prefixes\": [...], \"mode\": \"enforce\"} "
			"or {\"panic\": \"observe\"}");
		return -EINVAL;
	}
	if ((p->has_prefixes || p->has_targets) && !p->has_mode)
		return sl_fail(e, -EINVAL, "param_missing", "/mode",
			       "prefixes need a mode: observe, enforce or default");
	if (p->has_mode && !p->has_prefixes && !p->has_targets) {
		sl_fail(e, -EINVAL, "param_conflict", "/mode", "mode is that of prefixes");
		sl_hint(e, "the mode of everything else is the parameter default");
		return -EINVAL;
	}
	for (unsigned i = 0; i < p->prefixes.n; i++) {
		struct sl_prefix q = ((const struct sl_prefix *)p->prefixes.v)[i];
		char path[32], text[SL_PREFIX_STR];

		if (!sl_prefix_mask(&q))
			continue;
		snprintf(path, sizeof(path), "/prefixes/%u", i);
		sl_fail(e, -EINVAL, "prefix_host_bits", path,
			"bits behind the prefix length are set");
		sl_hint(e, "%s", sl_prefix_str(&q, text));
		return -EINVAL;
	}
	return 0;
}

/** The change that parameters ask for. @param list prefixes of it, to be freed */
static int
change_of(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	  const struct sl_rpc_authz_mode_set *p, struct sl_gw_mode_change *c,
	  struct sl_gw_mode_prefix **list, struct sl_error *e)
{
	const struct sl_prefix *prefix = p->prefixes.v;
	const char *const *target = p->targets.v;
	char path[32];
	unsigned i, n = 0;
	int rc = 0;

	*c = (struct sl_gw_mode_change){.has_default = p->has_default,
					.has_panic = p->has_panic,
					.deflt = p->default_ ? SL_MODE_ENFORCE : SL_MODE_OBSERVE,
					.panic = p->panic == 1,
					.remove = p->has_mode && p->mode == 2,
					.confirm_s = (unsigned)p->confirm_within_s,
					.principal = caller->principal};
	for (i = 0; i < p->targets.n && rc == 0; i++) {
		snprintf(path, sizeof(path), "/targets/%u", i);
		rc = ctl_resolve(ctl, target[i], path, list, &n, e);
	}
	if (p->has_prefixes)
		*list = calloc(p->prefixes.n, sizeof(**list));
	if (p->has_prefixes && !*list)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	for (i = 0; i < p->prefixes.n; i++)
		(*list)[n++].prefix = prefix[i];
	for (i = 0; i < n; i++)
		(*list)[i].mode = p->mode == 1 ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
	c->prefixes = *list;
	c->n_prefixes = n;
	return rc;
}

/* --- evidence ------------------------------------------------------------------------------------
 */

/** Modes before and after, to tell which addresses are to be enforced that were not. */
struct raise {
	struct sl_lpm before[2], after[2];
	enum sl_authz_mode deflt_before, deflt_after;
};

static void
raise_free(struct raise *r)
{
	for (unsigned i = 0; i < 2; i++) {
		sl_lpm_free(&r->before[i]);
		sl_lpm_free(&r->after[i]);
	}
}

static int
fill(struct sl_lpm pair[2], const struct sl_gw_mode *m)
{
	struct sl_lpm_garbage g = {0};
	int rc = 0;

	sl_lpm_init(&pair[0], 32);
	sl_lpm_init(&pair[1], 128);
	for (unsigned i = 0; i < m->n_prefixes && rc == 0; i++) {
		const struct sl_prefix *p = &m->prefixes[i].prefix;
		struct sl_lpm *t = &pair[p->ip.family == 6];

		rc = sl_lpm_set(t, t, p->ip.b, p->len, m->prefixes[i].mode, &g);
	}
	sl_lpm_garbage_free(&g);
	return rc;
}

static enum sl_authz_mode
mode_at(const struct sl_lpm pair[2], enum sl_authz_mode deflt, const struct sl_ip *ip)
{
	uint32_t v = sl_lpm_lookup(&pair[ip->family == 6], ip->b);

	return v == SL_LPM_NONE ? deflt : (enum sl_authz_mode)v;
}

static bool
is_raised(void *ctx, const struct sl_ip *far)
{
	const struct raise *r = ctx;

	return mode_at(r->before, r->deflt_before, far) == SL_MODE_OBSERVE &&
	       mode_at(r->after, r->deflt_after, far) == SL_MODE_ENFORCE;
}

/** Mode of what lies in a prefix and in no longer one. */
static enum sl_authz_mode
mode_of(const struct sl_gw_mode *m, const struct sl_prefix *p)
{
	enum sl_authz_mode mode = m->deflt;
	int len = -1;

	for (unsigned i = 0; i < m->n_prefixes; i++) {
		const struct sl_prefix *q = &m->prefixes[i].prefix;

		if (q->len > p->len || q->len <= len || !sl_prefix_contains(q, &p->ip))
			continue;
		len = q->len;
		mode = m->prefixes[i].mode;
	}
	return mode;
}

/** Does the change enforce anything that is observed now (but for the panic switch)? */
static bool
raises(const struct sl_gw_mode *before, const struct sl_gw_mode *after,
       const struct sl_gw_mode_change *c)
{
	bool any = before->deflt == SL_MODE_OBSERVE && after->deflt == SL_MODE_ENFORCE;

	for (unsigned i = 0; i < c->n_prefixes; i++) {
		const struct sl_prefix *p = &c->prefixes[i].prefix;

		any |= mode_of(before, p) == SL_MODE_OBSERVE &&
		       mode_of(after, p) == SL_MODE_ENFORCE;
	}
	return any;
}

struct evidence {
	bool asked, ready;
	uint64_t denied;
	struct sl_coverage cov;
};

/** Does a change raise enforcement, and of which addresses? */
static int
weigh(struct sl_ctl *ctl, const struct sl_gw_mode_change *c, struct raise *r, bool *raised,
      struct sl_error *e)
{
	struct sl_gw_mode before, after;
	int rc = sl_gw_mode_preview(ctl->gw, c, &after, e);

	if (rc)
		return rc;
	sl_gw_mode_get(ctl->gw, &before);
	r->deflt_before = before.deflt;
	r->deflt_after = after.deflt;
	rc = fill(r->before, &before);
	if (rc == 0)
		rc = fill(r->after, &after);
	*raised = rc == 0 && raises(&before, &after, c);
	free((void *)(uintptr_t)after.prefixes);
	return rc ? sl_fail(e, rc, "no_memory", "", "no memory") : 0;
}

/** What the caller said, as sluicectl would be told. */
static void
command(const struct sl_rpc_authz_mode_set *p, char *text, size_t size)
{
	char prefix[SL_PREFIX_STR];
	const char *what = "";

	if (p->has_targets)
		what = ((const char *const *)p->targets.v)[0];
	else if (p->has_prefixes)
		what = sl_prefix_str(p->prefixes.v, prefix);
	snprintf(text, size, "%s%s%s%s", p->has_mode && p->mode == 2 ? "default" : "enforce",
		 what[0] ? " " : "", what, p->prefixes.n + p->targets.n > 1 ? " ..." : "");
}

static int
refuse(const struct sl_rpc_authz_mode_set *p, const struct evidence *ev, struct sl_error *e)
{
	char what[96];

	command(p, what, sizeof(what));
	sl_fail(e, -EBUSY, ev->denied ? "would_deny" : "not_covered", "",
		"the policy in force would deny %llu flows seen in the last %llu s; evidence "
		"covers "
		"%llu s of it, %llu flows were lost",
		(unsigned long long)ev->denied, (unsigned long long)ev->cov.window_s,
		(unsigned long long)ev->cov.covered_s, (unsigned long long)ev->cov.lost);
	if (ev->denied)
		sl_hint(e,
			"see them: sluicectl would-deny%s; all the same: sluicectl mode %s "
			"force=yes",
			strchr(what, ' ') && !strstr(what, "...") ? strchr(what, ' ') : "", what);
	else
		sl_hint(e, "wait, ask less (window=SECONDS), or: sluicectl mode %s force=yes",
			what);
	return -EBUSY;
}

static void
put_evidence(json_t *o, const struct evidence *ev)
{
	if (!ev->asked)
		return;
	json_object_set_new(o, "would_deny", json_integer((json_int_t)ev->denied));
	json_object_set_new(o, "window_s", json_integer((json_int_t)ev->cov.window_s));
	json_object_set_new(o, "covered_s", json_integer((json_int_t)ev->cov.covered_s));
	json_object_set_new(o, "lost", json_integer((json_int_t)ev->cov.lost));
	if (ev->cov.newest_gap_wall_s)
		json_object_set_new(o, "newest_gap",
				    json_integer((json_int_t)ev->cov.newest_gap_wall_s));
}

/* --- the trail -----------------------------------------------------------------------------------
 */

/** One audit line and record; control characters of the comment cannot make another line. */
static void
audit(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const struct sl_rpc_authz_mode_set *p,
      const struct evidence *ev, const char *what, const char *old, const char *new)
{
	char comment[260] = "", forced[96] = "";
	bool by_force = ev->asked && !ev->ready && caller->via != SL_RPC_VIA_CONFIG;
	size_t n = 0;
	json_t *o;

	if (caller->via == SL_RPC_VIA_CONFIG && strcmp(old, new) == 0)
		return; /* the file says what holds anyway */
	for (const char *c = p->has_comment ? p->comment : ""; *c && n < sizeof(comment) - 1; c++)
		comment[n++] = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
	if (by_force)
		snprintf(forced, sizeof(forced),
			 ", forced: %llu flows would be denied, %llu of %llu s covered",
			 (unsigned long long)ev->denied, (unsigned long long)ev->cov.covered_s,
			 (unsigned long long)ev->cov.window_s);
	sl_log(SL_LOG_NOTICE, "audit", "authz.mode.set by %s: %s: %s -> %s%s%s%s%s",
	       caller->principal, what, old, new, forced, n ? " (" : "", comment, n ? ")" : "");
	o = json_pack("{s:s, s:s, s:s, s:b}", "what", what, "old", old, "new", new, "forced",
		      (int)by_force);
	if (o && n)
		json_object_set_new(o, "comment", json_string(comment));
	put_evidence(o, ev);
	ctl_event(ctl, caller, "authz-mode-set", o);
}

static const char *
prefix_mode(const struct sl_gw_mode *m, const struct sl_prefix *p)
{
	for (unsigned i = 0; i < m->n_prefixes; i++)
		if (sl_prefix_equal(&m->prefixes[i].prefix, p))
			return mode_text(m->prefixes[i].mode);
	return "default";
}

/** What a change will alter, told once it is done: the old texts are gone by then. */
struct trail {
	unsigned n;
	const char **old;
	enum sl_authz_mode deflt;
	bool panic;
};

static int
trail_begin(struct sl_ctl *ctl, const struct sl_gw_mode_change *c, struct trail *t)
{
	struct sl_gw_mode m;

	sl_gw_mode_get(ctl->gw, &m);
	*t = (struct trail){.n = c->n_prefixes, .deflt = m.deflt, .panic = m.panic};
	t->old = calloc(c->n_prefixes + 1, sizeof(*t->old));
	for (unsigned i = 0; t->old && i < c->n_prefixes; i++)
		t->old[i] = prefix_mode(&m, &c->prefixes[i].prefix);
	return t->old ? 0 : -ENOMEM;
}

static void
trail_end(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	  const struct sl_rpc_authz_mode_set *p, const struct sl_gw_mode_change *c,
	  const struct evidence *ev, const struct trail *t)
{
	char what[SL_PREFIX_STR + 96], text[SL_PREFIX_STR];

	if (c->has_default)
		audit(ctl, caller, p, ev, "default", mode_text(t->deflt), mode_text(c->deflt));
	if (c->has_panic)
		audit(ctl, caller, p, ev, "panic", t->panic ? "observe" : "off",
		      c->panic ? "observe" : "off");
	for (unsigned i = 0; i < t->n; i++) {
		const struct sl_gw_mode_prefix *m = &c->prefixes[i];

		snprintf(what, sizeof(what), "prefix %s%s%s%s", sl_prefix_str(&m->prefix, text),
			 m->target[0] ? " (target " : "", m->target, m->target[0] ? ")" : "");
		audit(ctl, caller, p, ev, what, t->old[i],
		      c->remove ? "default" : mode_text(m->mode));
	}
}

/* --- methods -------------------------------------------------------------------------------------
 */

static json_t *
changed_json(struct sl_ctl *ctl, const struct sl_rpc_authz_mode_set *p, const struct evidence *ev,
	     json_t *previous)
{
	json_t *o = json_pack("{s:o, s:I}", "previous", previous, "generation",
			      (json_int_t)sl_gw_generation(ctl->gw));
	struct sl_gw_mode mode;

	put_evidence(o, ev);
	sl_gw_mode_get(ctl->gw, &mode);
	if (o && p->has_confirm_within_s) {
		json_t *pending = pending_json(&mode.pending);

		json_object_update(o, pending);
		json_decref(pending);
	}
	return o;
}

/** Change the modes, unless what the evidence says forbids it. */
static int
carry_out(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	  const struct sl_rpc_authz_mode_set *p, const struct evidence *ev, json_t **result,
	  struct sl_error *e)
{
	struct sl_gw_mode_prefix *list = NULL;
	json_t *previous = mode_json(ctl, 0, CTL_PAGE);
	struct sl_gw_mode_change c;
	struct trail t = {0};
	int rc = change_of(ctl, caller, p, &c, &list, e);

	/* the file of a first start says what shall be, not what is safe now */
	if (rc == 0 && ev->asked && !ev->ready && !p->force && caller->via != SL_RPC_VIA_CONFIG)
		rc = refuse(p, ev, e);
	if (rc == 0 && trail_begin(ctl, &c, &t))
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (rc == 0)
		rc = sl_gw_mode_change(ctl->gw, &c, e);
	if (rc == 0)
		trail_end(ctl, caller, p, &c, ev, &t);
	free(t.old);
	free(list);
	if (rc == 0)
		return ctl_answer(result, changed_json(ctl, p, ev, previous));
	json_decref(previous);
	return rc;
}

/** A change that waits for the evidence. */
struct setting {
	struct sl_ctl *ctl;
	struct sl_rpc_later *later;
	const struct sl_rpc_authz_mode_set *p;
	struct sl_rpc_caller caller;
	char principal[64];
	struct raise raise;
	json_t *modes; /* as they were, and the policy that resolved targets */
	uint64_t generation;
};

static uint64_t
policy_generation(struct sl_ctl *ctl)
{
	const struct sl_policy_view *v = sl_gw_policy_view(ctl->gw);

	return v->set ? v->set->generation : 0;
}

static void
setting_free(struct setting *s)
{
	raise_free(&s->raise);
	json_decref(s->modes);
	free(s);
}

/** What the evidence was asked about is what changes now. */
static int
still_same(struct setting *s, struct sl_error *e)
{
	json_t *now = mode_json(s->ctl, 0, UINT_MAX);
	bool same = now && json_equal(now, s->modes) && policy_generation(s->ctl) == s->generation;

	json_decref(now);
	if (same)
		return 0;
	sl_fail(e, -EBUSY, "mode_busy", "",
		"modes or the policy changed while the evidence was read");
	sl_hint(e, "look at them (authz.mode.get) and ask again");
	return -EBUSY;
}

static void
weighed(void *ctx, int rc, const struct sl_error *why, const struct ctl_ready *r)
{
	struct setting *s = ctx;
	struct evidence ev = {.asked = true};
	struct sl_error e = {0};
	json_t *result = NULL;

	if (rc)
		e = *why;
	else
		rc = still_same(s, &e);
	if (rc == 0) {
		ev.ready = r->ready;
		ev.denied = r->denied;
		ev.cov = r->cov;
		rc = carry_out(s->ctl, &s->caller, s->p, &ev, &result, &e);
	}
	sl_rpc_answer(s->later, rc, result, &e);
	setting_free(s);
}

/** @param raise taken over. @return SL_RPC_LATER, or an error */
static int
set_later(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, struct sl_rpc_later *later,
	  const struct sl_rpc_authz_mode_set *p, uint64_t window_s, struct raise *raise,
	  struct sl_error *e)
{
	struct setting *s = calloc(1, sizeof(*s));
	struct ev_filter f = {.window_s = window_s, .takes = is_raised};
	int rc;

	if (!s) {
		raise_free(raise);
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		sl_rpc_answer(later, rc, NULL, e);
		return SL_RPC_LATER;
	}
	s->ctl = ctl;
	s->later = later;
	s->p = p;
	s->caller.via = caller->via;
	s->caller.principal = s->principal;
	snprintf(s->principal, sizeof(s->principal), "%s", caller->principal);
	s->raise = *raise;
	s->modes = mode_json(ctl, 0, UINT_MAX);
	s->generation = policy_generation(ctl);
	f.ctx = &s->raise;
	rc = ctl_ask_ready(ctl, later, &f, weighed, s, e);
	if (rc) {
		sl_rpc_answer(later, rc, NULL, e);
		setting_free(s);
	}
	return SL_RPC_LATER;
}

int
sl_rpc_h_authz_mode_set(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_authz_mode_set *p, json_t **result, struct sl_error *e)
{
	uint64_t window_s = p->has_window_s ? (uint64_t)p->window_s : WINDOW_S;
	struct evidence ev = {.cov.window_s = window_s};
	struct sl_gw_mode_prefix *list = NULL;
	struct sl_rpc_later *later = NULL;
	struct sl_gw_mode_change c;
	struct raise raise = {0};
	struct sl_ctl *ctl = user;
	int rc = check(p, e);

	if (rc)
		return rc;
	/* what was kept goes before the file, so that a restart never lowers enforcement */
	if (caller->via == SL_RPC_VIA_CONFIG && sl_gw_mode_from_state(ctl->gw))
		return ctl_answer(result, changed_json(ctl, p, &ev, mode_json(ctl, 0, CTL_PAGE)));
	rc = change_of(ctl, caller, p, &c, &list, e);
	if (rc == 0)
		rc = weigh(ctl, &c, &raise, &ev.asked, e);
	free(list);
	if (rc == 0 && ev.asked && ctl->evidence) {
		struct ev_filter f = {.window_s = window_s, .takes = is_raised, .ctx = &raise};

		later = sl_rpc_later(caller);
		if (later)
			return set_later(ctl, caller, later, p, window_s, &raise, e);
		ev.ready = ev_ready(ctl->evidence, &f, &ev.denied, &ev.cov);
	}
	raise_free(&raise);
	return rc ? rc : carry_out(ctl, caller, p, &ev, result, e);
}

int
sl_rpc_h_authz_mode_confirm(void *user, const struct sl_rpc_caller *caller,
			    const struct sl_rpc_authz_mode_confirm *p, json_t **result,
			    struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	int rc = sl_gw_mode_confirm(ctl->gw, p->confirm_id, e);

	(void)result;
	if (rc)
		return rc;
	sl_log(SL_LOG_NOTICE, "audit", "authz.mode.confirm by %s: %s", caller->principal,
	       p->confirm_id);
	ctl_event(ctl, caller, "authz-mode-confirmed",
		  json_pack("{s:s}", "confirm_id", p->confirm_id));
	return 0;
}

/* --- targets that moved -------------------------------------------------------------------------
 */

static bool
mode_has(const struct sl_gw_mode *m, const struct sl_prefix *p)
{
	for (unsigned i = 0; i < m->n_prefixes; i++)
		if (sl_prefix_equal(&m->prefixes[i].prefix, p))
			return true;
	return false;
}

/** Does a target still mean the prefixes that carry its name? */
static bool
drifted(const struct sl_gw_mode *m, const struct sl_pol_target *t, const char *name)
{
	for (unsigned i = 0; t && i < t->n_addrs; i++)
		if (!mode_has(m, &t->addrs[i].prefix))
			return true;
	for (unsigned i = 0; i < m->n_prefixes; i++) {
		bool there = false;

		if (strcmp(m->prefixes[i].target, name) != 0)
			continue;
		for (unsigned k = 0; t && k < t->n_addrs; k++)
			there |= sl_prefix_equal(&t->addrs[k].prefix, &m->prefixes[i].prefix);
		if (!there)
			return true;
	}
	return false;
}

const char *
ctl_target_moved(struct sl_ctl *ctl, const struct sl_gw_mode *m, unsigned i)
{
	const struct sl_policy *p = sl_gw_policy(ctl->gw);
	const char *name = m->prefixes[i].target;
	const struct sl_pol_target *t = NULL;

	/* prefixes of one target stand together */
	if (!name[0] || (i > 0 && strcmp(name, m->prefixes[i - 1].target) == 0))
		return NULL;
	for (unsigned k = 0; p && k < p->n_targets; k++)
		if (strcmp(p->targets[k].name, name) == 0)
			t = &p->targets[k];
	if (!drifted(m, t, name))
		return NULL;
	return t ? "has changed" : "is gone";
}

void
ctl_mode_drift(struct sl_ctl *ctl, json_t *problems)
{
	struct sl_gw_mode m;
	const char *how;

	sl_gw_mode_get(ctl->gw, &m);
	for (unsigned i = 0; i < m.n_prefixes; i++) {
		const char *name = m.prefixes[i].target;

		how = ctl_target_moved(ctl, &m, i);
		if (how)
			sl_json_say(problems,
				    "mode_prefix_drift: target %s %s since its mode was set, and "
				    "its mode has not moved; sluicectl mode %s %s sets it anew",
				    name, how, mode_text(m.prefixes[i].mode), name);
	}
}
