/* SPDX-License-Identifier: BSD-3-Clause */
/* log.enabled.*, log.required.*: whether records are written, and which targets nobody reaches
 * without; local state as modes are, and each change leaves a line and a record. */
#include <stdio.h>
#include <stdlib.h>

#include "rpc_int.h"
#include "sl_gw_policy.h"
#include "sl_json.h"
#include "sl_log.h"

#define TOLD_MAX 64 /* prefixes that the trail of a change names */

/* --- on and off --------------------------------------------------------------------------------
 */

int
sl_rpc_h_log_enabled_get(void *user, const struct sl_rpc_caller *caller, const void *p,
			 json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;

	(void)caller;
	(void)p;
	(void)e;
	return ctl_answer(result, json_pack("{s:b}", "enabled", (int)sl_gw_logging(ctl->gw)));
}

/** What is denied without records is not to be cut by the way. */
static int
check_off(struct sl_ctl *ctl, struct sl_error *e)
{
	unsigned n;

	sl_gw_log_required(ctl->gw, &n);
	if (n == 0)
		return 0;
	sl_fail(e, -EBUSY, "log_required", "/enabled",
		"%u prefix%s their records: without any, nobody would reach %s", n,
		n == 1 ? " requires" : "es require", n == 1 ? "it" : "them");
	sl_hint(e, "sluicectl log require-none lets go of them");
	return -EBUSY;
}

int
sl_rpc_h_log_enabled_set(void *user, const struct sl_rpc_caller *caller,
			 const struct sl_rpc_log_enabled_set *p, json_t **result,
			 struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	bool old = sl_gw_logging(ctl->gw);
	int rc = p->enabled ? 0 : check_off(ctl, e);

	if (rc == 0)
		rc = sl_gw_logging_set(ctl->gw, p->enabled, e);
	if (rc)
		return rc;
	sl_log(SL_LOG_NOTICE, "audit", "log.enabled.set by %s: %s -> %s", caller->principal,
	       old ? "on" : "off", p->enabled ? "on" : "off");
	ctl_event(ctl, caller, "logging-set",
		  json_pack("{s:s, s:s}", "old", old ? "on" : "off", "new",
			    p->enabled ? "on" : "off"));
	return ctl_answer(result, json_pack("{s:b}", "previous", (int)old));
}

/* --- targets that require them -----------------------------------------------------------------
 */

const char *
ctl_log_unkept(struct sl_ctl *ctl)
{
	if (!sl_gw_logging(ctl->gw))
		return "logging is off (sluicectl log on)";
	if (!ctl->drain || !sl_drain_keeps(ctl->drain))
		return "no audit sink notices what it loses (file, syslog over TCP or TLS, HTTP)";
	if (atomic_load_explicit(&ctl->dp->losing_records, memory_order_relaxed))
		return "records are being lost (sluicectl audit)";
	return NULL;
}

int
sl_rpc_h_log_required_get(void *user, const struct sl_rpc_caller *caller, const void *p,
			  json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const char *why = ctl_log_unkept(ctl);
	const struct sl_gw_mode_prefix *list;
	json_t *out = json_array(), *o;
	char text[SL_PREFIX_STR];
	unsigned n;

	(void)caller;
	(void)p;
	(void)e;
	list = sl_gw_log_required(ctl->gw, &n);
	for (unsigned i = 0; i < n; i++) {
		o = json_pack("{s:s}", "prefix", sl_prefix_str(&list[i].prefix, text));
		if (list[i].target[0])
			json_object_set_new(o, "target", json_string(list[i].target));
		json_array_append_new(out, o);
	}
	o = json_pack("{s:o, s:b}", "prefixes", out, "losing", why != NULL);
	if (why)
		json_object_set_new(o, "why", json_string(why));
	return ctl_answer(result, o);
}

/** At the start they may be asked for all the same: then they are denied, and health says why. */
static int
check_kept(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, unsigned n, struct sl_error *e)
{
	bool sinks = ctl->drain && sl_drain_keeps(ctl->drain);

	if (n == 0 || caller->via == SL_RPC_VIA_CONFIG || (sinks && sl_gw_logging(ctl->gw)))
		return 0;
	sl_fail(e, -EINVAL, "log_required", "/targets", "nobody would reach them: %s",
		ctl_log_unkept(ctl));
	if (!sinks)
		sl_hint(e, "give the gateway one in its configuration: audit, sinks");
	return -EINVAL;
}

static json_t *
told(const struct sl_gw_mode_prefix *list, unsigned n)
{
	json_t *out = json_array();
	char text[SL_PREFIX_STR];

	for (unsigned i = 0; i < n && i < TOLD_MAX; i++)
		json_array_append_new(out, json_string(sl_prefix_str(&list[i].prefix, text)));
	return out;
}

static void
tell(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, json_t *old, unsigned n_old)
{
	const struct sl_gw_mode_prefix *list;
	unsigned n;

	list = sl_gw_log_required(ctl->gw, &n);
	sl_log(SL_LOG_NOTICE, "audit", "log.required.set by %s: %u -> %u prefixes",
	       caller->principal, n_old, n);
	ctl_event(ctl, caller, "log-required-set",
		  json_pack("{s:i, s:i, s:o, s:o}", "prefixes_old", (int)n_old, "prefixes_new",
			    (int)n, "old", old, "new", told(list, n)));
}

int
sl_rpc_h_log_required_set(void *user, const struct sl_rpc_caller *caller,
			  const struct sl_rpc_log_required_set *p, json_t **result,
			  struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	const char *const *target = p->targets.v;
	const struct sl_gw_mode_prefix *before;
	struct sl_gw_mode_prefix *list = NULL;
	unsigned i, n_before, n = 0;
	char path[32];
	json_t *old;
	int rc;

	(void)result;
	before = sl_gw_log_required(ctl->gw, &n_before);
	if (caller->via == SL_RPC_VIA_CONFIG && before != NULL)
		return 0; /* as with modes: what was kept goes before the file */
	rc = check_kept(ctl, caller, p->targets.n, e);
	for (i = 0; i < p->targets.n && rc == 0; i++) {
		snprintf(path, sizeof(path), "/targets/%u", i);
		rc = ctl_resolve(ctl, target[i], path, &list, &n, e);
	}
	old = told(before, n_before);
	if (rc == 0)
		rc = sl_gw_log_required_set(ctl->gw, list, n, e);
	free(list);
	if (rc == 0)
		tell(ctl, caller, old, n_before);
	else
		json_decref(old);
	return rc;
}

void
ctl_log_problems(struct sl_ctl *ctl, json_t *problems)
{
	struct sl_gw_mode m = {0};
	const char *how = ctl_log_unkept(ctl);

	m.prefixes = sl_gw_log_required(ctl->gw, &m.n_prefixes);
	if (how && m.n_prefixes > 0)
		sl_json_say(problems,
			    "log_required: %s, so the %u prefixes that require their records are "
			    "denied where modes enforce",
			    how, m.n_prefixes);
	for (unsigned i = 0; i < m.n_prefixes; i++) {
		how = ctl_target_moved(ctl, &m, i);
		if (how)
			sl_json_say(problems,
				    "log_required_drift: target %s %s since its records were "
				    "required, and what is required has not moved; name all of "
				    "them again: sluicectl log require PREFIX|TARGET...",
				    m.prefixes[i].target, how);
	}
}
