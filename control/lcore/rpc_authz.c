/* SPDX-License-Identifier: BSD-3-Clause */
/* authz.mode.*: local state (D6); each change leaves a line with what was and what is, and who. */
#include <stdio.h>

#include "rpc_int.h"
#include "sl_log.h"

static const char *
mode_text(enum sl_authz_mode m)
{
	return m == SL_MODE_ENFORCE ? "enforce" : "observe";
}

static json_t *
mode_json(struct sl_ctl *ctl, uint64_t after, unsigned limit)
{
	json_t *list = json_array(), *o;
	char text[SL_PREFIX_STR];
	struct sl_gw_mode mode;
	uint64_t i;

	sl_gw_mode_get(ctl->gw, &mode);
	for (i = after; i < mode.n_prefixes && i - after < limit; i++)
		json_array_append_new(list, json_pack("{s:s, s:s}", "prefix",
						      sl_prefix_str(&mode.prefixes[i].prefix, text),
						      "mode", mode_text(mode.prefixes[i].mode)));
	o = json_pack("{s:s, s:s, s:o, s:b}", "default", mode_text(mode.deflt), "panic",
		      mode.panic ? "observe" : "off", "prefixes", list, "from_state",
		      (int)sl_gw_mode_from_state(ctl->gw));
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

/** Exactly one of the three, and `mode` with the prefixes. */
static int
check(const struct sl_rpc_authz_mode_set *p, struct sl_error *e)
{
	if (p->has_default + p->has_prefixes + p->has_panic != 1) {
		sl_fail(e, -EINVAL, "param_conflict", "",
			"exactly one of default, prefixes and panic is set at a time");
		sl_hint(e,
			"{\"default\": \"observe\"}, {\"prefixes\": [...], \"mode\": \"enforce\"} "
			"or {\"panic\": \"observe\"}");
		return -EINVAL;
	}
	if (p->has_prefixes && !p->has_mode)
		return sl_fail(e, -EINVAL, "param_missing", "/mode",
			       "prefixes need a mode: observe, enforce or default");
	if (p->has_mode && !p->has_prefixes) {
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

/** One audit line; control characters of the comment cannot make another one. */
static void
audit(const struct sl_rpc_caller *caller, const struct sl_rpc_authz_mode_set *p, const char *what,
      const char *old, const char *new)
{
	char comment[260] = "";
	size_t n = 0;

	if (caller->via == SL_RPC_VIA_CONFIG && strcmp(old, new) == 0)
		return; /* the file says what holds anyway */
	for (const char *c = p->has_comment ? p->comment : ""; *c && n < sizeof(comment) - 1; c++)
		comment[n++] = (unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c;
	sl_log(SL_LOG_NOTICE, "audit", "authz.mode.set by %s: %s: %s -> %s%s%s%s",
	       caller->principal, what, old, new, n ? " (" : "", comment, n ? ")" : "");
}

static const char *
prefix_mode(struct sl_ctl *ctl, const struct sl_prefix *p)
{
	struct sl_gw_mode mode;

	sl_gw_mode_get(ctl->gw, &mode);
	for (unsigned i = 0; i < mode.n_prefixes; i++)
		if (sl_prefix_equal(&mode.prefixes[i].prefix, p))
			return mode_text(mode.prefixes[i].mode);
	return "default";
}

static int
set_prefixes(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
	     const struct sl_rpc_authz_mode_set *p, struct sl_error *e)
{
	static const char *const to[] = {"observe", "enforce", "default"};
	char what[SL_PREFIX_STR + 8], text[SL_PREFIX_STR], path[32];
	const struct sl_prefix *prefix = p->prefixes.v;

	for (unsigned i = 0; i < p->prefixes.n; i++) {
		const char *old = prefix_mode(ctl, &prefix[i]);
		int rc = sl_gw_mode_set_prefix(ctl->gw, &prefix[i],
					       p->mode == 1 ? SL_MODE_ENFORCE : SL_MODE_OBSERVE,
					       p->mode == 2, e);

		if (rc) {
			snprintf(path, sizeof(path), "/prefixes/%u", i);
			snprintf(e->path, sizeof(e->path), "%s", path);
			return rc;
		}
		snprintf(what, sizeof(what), "prefix %s", sl_prefix_str(&prefix[i], text));
		audit(caller, p, what, old, to[p->mode]);
	}
	return 0;
}

static int
set(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const struct sl_rpc_authz_mode_set *p,
    struct sl_error *e)
{
	struct sl_gw_mode old;
	int rc;

	sl_gw_mode_get(ctl->gw, &old);
	if (p->has_prefixes)
		return set_prefixes(ctl, caller, p, e);
	if (p->has_panic) {
		rc = sl_gw_mode_set_panic(ctl->gw, p->panic == 1, e);
		if (rc == 0)
			audit(caller, p, "panic", old.panic ? "observe" : "off",
			      p->panic ? "observe" : "off");
		return rc;
	}
	rc = sl_gw_mode_set_default(ctl->gw, p->default_ ? SL_MODE_ENFORCE : SL_MODE_OBSERVE, e);
	if (rc == 0)
		audit(caller, p, "default", mode_text(old.deflt),
		      p->default_ ? "enforce" : "observe");
	return rc;
}

int
sl_rpc_h_authz_mode_set(void *user, const struct sl_rpc_caller *caller,
			const struct sl_rpc_authz_mode_set *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *previous;
	int rc = check(p, e);

	if (rc)
		return rc;
	previous = mode_json(ctl, 0, CTL_PAGE);
	/* what was kept goes before the file, so that a restart never lowers enforcement */
	if (caller->via != SL_RPC_VIA_CONFIG || !sl_gw_mode_from_state(ctl->gw))
		rc = set(ctl, caller, p, e);
	if (rc) {
		json_decref(previous);
		return rc;
	}
	return ctl_answer(result, json_pack("{s:o, s:I}", "previous", previous, "generation",
					    (json_int_t)sl_gw_generation(ctl->gw)));
}
