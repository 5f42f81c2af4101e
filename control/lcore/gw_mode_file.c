/* SPDX-License-Identifier: BSD-3-Clause */
/* The state file of the modes: JSON with a version. Version 1 had neither targets nor logging nor a
 * pending change; it is still read. */
#include <stdlib.h>

#include "gw.h"

#define VERSION 2

const char *
gw_mode_text(enum sl_authz_mode m)
{
	return m == SL_MODE_ENFORCE ? "enforce" : "observe";
}

static int
mode_parse(const char *s, enum sl_authz_mode *m)
{
	*m = s != NULL && strcmp(s, "enforce") == 0 ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
	return s != NULL && strcmp(s, gw_mode_text(*m)) == 0 ? 0 : -EINVAL;
}

/* --- out -----------------------------------------------------------------------------------------
 */

static json_t *
required_json(const struct gw_log *log)
{
	json_t *list = json_array(), *o;
	char text[SL_PREFIX_STR];

	for (unsigned i = 0; i < log->n_required; i++) {
		const struct sl_gw_mode_prefix *p = &log->required[i];

		o = json_pack("{ss}", "prefix", sl_prefix_str(&p->prefix, text));
		if (p->target[0] != '\0')
			json_object_set_new(o, "target", json_string(p->target));
		json_array_append_new(list, o);
	}
	return list;
}

static json_t *
state_json(const struct sl_gw_mode *m)
{
	json_t *list = json_array(), *o;
	char text[SL_PREFIX_STR];
	unsigned i;

	for (i = 0; i < m->n_prefixes; i++) {
		const struct sl_gw_mode_prefix *p = &m->prefixes[i];

		o = json_pack("{ss,ss}", "prefix", sl_prefix_str(&p->prefix, text), "mode",
			      gw_mode_text(p->mode));
		if (p->target[0] != '\0')
			json_object_set_new(o, "target", json_string(p->target));
		json_array_append_new(list, o);
	}
	return json_pack("{ss,sb,so}", "default", gw_mode_text(m->deflt), "panic", (int)m->panic,
			 "prefixes", list);
}

char *
gw_mode_encode(const struct sl_gw_mode *m, const struct sl_gw_mode *before,
	       const struct gw_log *log)
{
	json_t *root = state_json(m), *pending = NULL;
	char *out = NULL;

	if (before != NULL)
		pending = json_pack("{ss,so}", "id", m->pending.id, "before", state_json(before));
	if (root != NULL && (before == NULL || pending != NULL)) {
		json_object_set_new(root, "version", json_integer(VERSION));
		json_object_set_new(root, "logging", json_boolean(!log->quiet));
		if (log->required !=
		    NULL) /* also none: the file of the configuration may say more */
			json_object_set_new(root, "log_required", required_json(log));
		if (pending != NULL)
			json_object_set(root, "pending", pending);
		out = json_dumps(root, JSON_INDENT(1));
	}
	json_decref(pending);
	json_decref(root);
	return out;
}

/* --- in ------------------------------------------------------------------------------------------
 */

static int
prefix_parse(const json_t *o, struct sl_gw_mode_prefix *p)
{
	const char *prefix, *mode, *target = "";

	if (json_unpack((json_t *)(uintptr_t)o, "{ss,ss,s?s!}", "prefix", &prefix, "mode", &mode,
			"target", &target) != 0 ||
	    sl_prefix_parse(prefix, &p->prefix) != 0 || sl_prefix_mask(&p->prefix) ||
	    mode_parse(mode, &p->mode) != 0 || strlen(target) >= sizeof(p->target))
		return -EINVAL;
	memcpy(p->target, target, strlen(target) + 1);
	return 0;
}

static int
prefixes_parse(const json_t *list, struct gw_mode_state *s)
{
	size_t i, n = json_array_size(list);

	if (!json_is_array(list) || n > GW_MODE_PREFIXES_MAX)
		return -EINVAL;
	s->prefixes = calloc(n + 1, sizeof(*s->prefixes));
	if (s->prefixes == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		if (prefix_parse(json_array_get(list, i), &s->prefixes[i]) != 0)
			return -EINVAL;
	}
	s->view.prefixes = s->prefixes;
	s->view.n_prefixes = (unsigned)n;
	return 0;
}

/* The members of a state; others of the object are the caller's. */
static int
state_parse(json_t *o, struct gw_mode_state *s)
{
	const char *deflt;
	json_t *list;
	int panic;

	if (json_unpack(o, "{ss,sb,so}", "default", &deflt, "panic", &panic, "prefixes", &list) !=
		    0 ||
	    mode_parse(deflt, &s->view.deflt) != 0)
		return -EINVAL;
	s->view.panic = panic;
	return prefixes_parse(list, s);
}

static int
pending_parse(json_t *o, struct gw_mode_state *m, struct gw_mode_state *before)
{
	const char *id;
	json_t *state;

	if (o == NULL)
		return 0;
	if (json_unpack(o, "{ss,so!}", "id", &id, "before", &state) != 0 || id[0] == '\0' ||
	    strlen(id) >= sizeof(m->view.pending.id) || json_object_size(state) != 3)
		return -EINVAL;
	memcpy(m->view.pending.id, id, strlen(id) + 1);
	return state_parse(state, before);
}

static int
required_parse(const json_t *list, struct gw_log *log)
{
	size_t i, n = json_array_size(list);

	if (list == NULL)
		return 0;
	if (!json_is_array(list) || n > GW_LOG_REQUIRED_MAX)
		return -EINVAL;
	log->required = calloc(n + 1, sizeof(*log->required));
	if (log->required == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		struct sl_gw_mode_prefix *p = &log->required[i];
		const char *prefix, *target = "";

		if (json_unpack(json_array_get(list, i), "{ss,s?s!}", "prefix", &prefix, "target",
				&target) != 0 ||
		    sl_prefix_parse(prefix, &p->prefix) != 0 || sl_prefix_mask(&p->prefix) ||
		    strlen(target) >= sizeof(p->target))
			return -EINVAL;
		memcpy(p->target, target, strlen(target) + 1);
	}
	log->n_required = (unsigned)n;
	return 0;
}

int
gw_mode_decode(const char *text, size_t len, struct gw_mode_state *m, struct gw_mode_state *before,
	       struct gw_log *log)
{
	json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL), *pending, *required;
	json_t *logging = json_object_get(root, "logging");
	json_int_t version = json_integer_value(json_object_get(root, "version"));
	size_t members = version == 1 ? 4 : 5;
	int rc = -EINVAL;

	pending = version == VERSION ? json_object_get(root, "pending") : NULL;
	required = version == VERSION ? json_object_get(root, "log_required") : NULL;
	if ((version == 1 || (version == VERSION && json_is_boolean(logging))) &&
	    json_object_size(root) == members + (pending != NULL) + (required != NULL))
		rc = state_parse(root, m);
	if (rc == 0)
		rc = pending_parse(pending, m, before);
	if (rc == 0)
		rc = required_parse(required, log);
	log->quiet = version == VERSION && !json_is_true(logging);
	json_decref(root);
	return rc;
}
