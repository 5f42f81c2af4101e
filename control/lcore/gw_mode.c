/* SPDX-License-Identifier: BSD-3-Clause */
/* The authz mode and whether records are written are local state (D6): a small file, replaced as a
 * whole and synced before a change is answered. Where it exists it goes before the configuration
 * file. A change that waits for its confirmation stands there with what was before, so that it is
 * taken back whatever happens to the process. */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"
#include "sl_gw_policy.h"

#define MODE_FILE "authz-mode.json"
#define MODE_FILE_MAX (8U << 20)
#define AGAIN_NS SL_NS_PER_S
#define TOLD_MAX 64 /* prefixes that the trail of a way back names */

/* --- saving and publishing -----------------------------------------------------------------------
 */

static int
save(struct sl_gw *gw, const struct sl_gw_mode *m, const struct sl_gw_mode *before,
     const struct gw_log *log, struct sl_error *e)
{
	char *text;
	int rc;

	if (gw->state_dir == NULL)
		return 0;
	text = gw_mode_encode(m, before, log);
	if (text == NULL)
		return gw_no_memory(e);
	rc = gw_file_write(gw->state_dir, MODE_FILE, text, strlen(text), e);
	free(text);
	return rc;
}

static void
publish(struct sl_gw *gw)
{
	sl_gw_begin(gw);
	gw->dirty = true;
	sl_gw_commit(gw);
}

static unsigned
find_prefix(const struct sl_gw_mode_prefix *list, unsigned n, const struct sl_prefix *p)
{
	unsigned i;

	for (i = 0; i < n; i++) {
		if (sl_prefix_equal(&list[i].prefix, p))
			break;
	}
	return i;
}

/* Make the tables hold `to` instead of `from`; the lists are in the same order but for what was
 * added and removed. @return 0 or -ENOMEM: then call it the other way */
static int
set_tables(struct sl_gw *gw, struct sl_lpm table[2], const struct sl_gw_mode *from,
	   const struct sl_gw_mode *to)
{
	unsigned i, j = 0;
	int rc = 0;

	for (i = 0; i < from->n_prefixes && rc == 0; i++) {
		const struct sl_prefix *p = &from->prefixes[i].prefix;

		if (j < to->n_prefixes && sl_prefix_equal(&to->prefixes[j].prefix, p)) {
			j++;
			continue;
		}
		if (find_prefix(to->prefixes, to->n_prefixes, p) < to->n_prefixes)
			continue;
		rc = gw_lpm_del(gw, table, p);
		rc = rc == -ENOENT ? 0 : rc;
	}
	for (i = 0; i < to->n_prefixes && rc == 0; i++) {
		const struct sl_gw_mode_prefix *p = &to->prefixes[i];

		if (gw_lpm_get(table, &p->prefix) != (uint32_t)p->mode)
			rc = gw_lpm_set(gw, table, &p->prefix, p->mode);
	}
	return rc;
}

/* --- the next state ------------------------------------------------------------------------------
 */

static int
check_change(const struct sl_gw_mode_change *c, struct sl_error *e)
{
	char path[32];
	unsigned i;
	int rc;

	if (c->has_default && c->deflt != SL_MODE_OBSERVE && c->deflt != SL_MODE_ENFORCE)
		return sl_fail(e, -EINVAL, "mode_invalid", "/default", "not a mode");
	for (i = 0; i < c->n_prefixes; i++) {
		const struct sl_gw_mode_prefix *p = &c->prefixes[i];

		snprintf(path, sizeof(path), "/prefixes/%u", i);
		rc = gw_prefix_check(&p->prefix, "prefix", path, e);
		if (rc != 0)
			return rc;
		if (!c->remove && p->mode != SL_MODE_OBSERVE && p->mode != SL_MODE_ENFORCE)
			return sl_fail(e, -EINVAL, "mode_invalid", "/mode", "not a mode");
	}
	return 0;
}

/* One prefix of a change into a list with room. @return 0 or -ENOENT */
static int
put_prefix(struct sl_gw_mode_prefix *list, unsigned *n, const struct sl_gw_mode_prefix *p,
	   bool remove)
{
	unsigned at = find_prefix(list, *n, &p->prefix);

	if (remove && at == *n)
		return -ENOENT;
	if (remove) {
		memmove(&list[at], &list[at + 1], (*n - at - 1) * sizeof(*list));
		--*n;
		return 0;
	}
	list[at] = *p;
	*n = SL_MAX(*n, at + 1);
	return 0;
}

/* A copy of `from` with the change. @param must what is to be removed must be there */
static int
apply(const struct sl_gw_mode *from, const struct sl_gw_mode_change *c, bool must,
      struct gw_mode_state *to, struct sl_error *e)
{
	char text[SL_PREFIX_STR], path[32];
	unsigned i, n = from->n_prefixes;

	to->view = *from;
	to->prefixes = calloc(n + c->n_prefixes + 1, sizeof(*to->prefixes));
	if (to->prefixes == NULL)
		return gw_no_memory(e);
	if (n > 0)
		memcpy(to->prefixes, from->prefixes, n * sizeof(*to->prefixes));
	for (i = 0; i < c->n_prefixes; i++) {
		if (put_prefix(to->prefixes, &n, &c->prefixes[i], c->remove) == 0 || !must)
			continue;
		free(to->prefixes);
		to->prefixes = NULL;
		snprintf(path, sizeof(path), "/prefixes/%u", i);
		return sl_fail(e, -ENOENT, "not_found", path, "%s has no mode of its own",
			       sl_prefix_str(&c->prefixes[i].prefix, text));
	}
	if (n > GW_MODE_PREFIXES_MAX) {
		free(to->prefixes);
		to->prefixes = NULL;
		return gw_limit_mode_prefixes(e);
	}
	to->view.prefixes = to->prefixes;
	to->view.n_prefixes = n;
	if (c->has_default)
		to->view.deflt = c->deflt;
	if (c->has_panic)
		to->view.panic = c->panic;
	return 0;
}

static bool
enforces(const struct sl_gw_mode *m)
{
	bool any = m->deflt == SL_MODE_ENFORCE;
	unsigned i;

	for (i = 0; i < m->n_prefixes && !any; i++)
		any = m->prefixes[i].mode == SL_MODE_ENFORCE;
	return any && !m->panic;
}

/** Of a mode that enforces: does the change make it enforce more? */
static bool
raises(const struct sl_gw_mode *from, const struct sl_gw_mode_change *c)
{
	bool more = (c->has_default && c->deflt == SL_MODE_ENFORCE && from->deflt != c->deflt) ||
		    (c->has_panic && !c->panic && from->panic);
	unsigned i, at;

	for (i = 0; i < c->n_prefixes && !more; i++) {
		at = find_prefix(from->prefixes, from->n_prefixes, &c->prefixes[i].prefix);
		if (at < from->n_prefixes && from->prefixes[at].mode == SL_MODE_ENFORCE)
			continue;
		more = c->remove || c->prefixes[i].mode == SL_MODE_ENFORCE;
	}
	return more;
}

/** apply() of a change that somebody asks for. */
static int
apply_asked(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct gw_mode_state *to,
	    struct sl_error *e)
{
	int rc = apply(&gw->mode.view, c, true, to, e);

	if (rc != 0 || !enforces(&to->view) || !raises(&gw->mode.view, c))
		return rc;
	rc = sl_gw_clock_check(gw, c->has_default ? "/default" : "", e);
	if (rc != 0) {
		free(to->prefixes);
		to->prefixes = NULL;
	}
	return rc;
}

int
sl_gw_mode_preview(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct sl_gw_mode *out,
		   struct sl_error *e)
{
	struct gw_mode_state to;
	int rc = check_change(c, e);

	if (rc == 0)
		rc = apply_asked(gw, c, &to, e);
	if (rc == 0)
		*out = to.view;
	return rc;
}

/* --- changes -------------------------------------------------------------------------------------
 */

/* Put a state in force: the file first, then the tables, so that what an answer promised is on the
 * disk. Takes to->prefixes and, with a pending change, before->prefixes. */
static int
enter(struct sl_gw *gw, const struct gw_mode_state *to, const struct gw_mode_state *before,
      struct sl_error *e)
{
	struct gw_mode *m = &gw->mode;
	struct sl_gw_mode old = m->view;
	int rc;

	sl_gw_begin(gw);
	rc = set_tables(gw, m->table, &old, &to->view) == 0 ? 0 : gw_no_memory(e);
	if (rc == 0)
		rc = save(gw, &to->view, before != NULL ? &before->view : NULL, &m->log, e);
	if (rc != 0) {
		set_tables(gw, m->table, &to->view, &old);
	} else {
		free(m->prefixes);
		free(m->before.prefixes);
		m->view = to->view;
		m->prefixes = to->prefixes;
		m->before = before != NULL ? *before : (struct gw_mode_state){0};
		publish(gw);
	}
	sl_gw_commit(gw);
	return rc;
}

static void
new_pending(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct sl_gw_mode *view)
{
	uint8_t id[4];

	sl_rng_fill(&gw->conf.rng, id, sizeof(id));
	snprintf(view->pending.id, sizeof(view->pending.id), "c-%02x%02x%02x%02x", id[0], id[1],
		 id[2], id[3]);
	view->pending.revert_wall_ns = gw_wall_ns(gw) + c->confirm_s * SL_NS_PER_S;
}

int
sl_gw_mode_change(struct sl_gw *gw, const struct sl_gw_mode_change *c, struct sl_error *e)
{
	struct gw_mode *m = &gw->mode;
	bool pending = m->view.pending.id[0] != '\0';
	struct gw_mode_state to, before = {0};
	int rc = check_change(c, e);

	if (rc == 0 && c->confirm_s > 0 && pending) {
		sl_fail(e, -EBUSY, "confirm_pending", "/confirm_within_s",
			"change %s waits for its confirmation", m->view.pending.id);
		sl_hint(e, "sluicectl mode confirm %s", m->view.pending.id);
		return -EBUSY;
	}
	if (rc == 0)
		rc = apply_asked(gw, c, &to, e);
	if (rc != 0)
		return rc;
	if (c->confirm_s > 0) { /* what is now comes back */
		rc = apply(&m->view, &(struct sl_gw_mode_change){0}, false, &before, e);
		new_pending(gw, c, &to.view);
	} else if (pending) { /* this change stays when the other one goes */
		rc = apply(&m->before.view, c, false, &before, e);
	}
	if (rc == 0)
		rc = enter(gw, &to, before.prefixes != NULL ? &before : NULL, e);
	if (rc != 0) {
		free(to.prefixes);
		free(before.prefixes);
		return rc;
	}
	if (c->confirm_s > 0) {
		m->revert_ns = gw_mono_ns(gw) + c->confirm_s * SL_NS_PER_S;
		snprintf(m->who, sizeof(m->who), "%s", c->principal != NULL ? c->principal : "");
	}
	return 0;
}

int
sl_gw_mode_confirm(struct sl_gw *gw, const char *id, struct sl_error *e)
{
	struct gw_mode *m = &gw->mode;
	struct sl_gw_mode to = m->view;
	int rc;

	if (to.pending.id[0] == '\0' || strcmp(to.pending.id, id) != 0) {
		sl_fail(e, -ENOENT, "confirm_unknown", "/confirm_id",
			"no change \"%.16s\" waits for its confirmation", id);
		sl_hint(e, "authz.mode.get shows what holds now");
		return -ENOENT;
	}
	to.pending = (struct sl_gw_mode_pending){0};
	rc = save(gw, &to, NULL, &m->log, e);
	if (rc != 0)
		return rc;
	m->view.pending = to.pending;
	free(m->before.prefixes);
	m->before = (struct gw_mode_state){0};
	return 0;
}

int
sl_gw_mode_set_default(struct sl_gw *gw, enum sl_authz_mode m, struct sl_error *e)
{
	struct sl_gw_mode_change c = {.has_default = true, .deflt = m};

	return sl_gw_mode_change(gw, &c, e);
}

int
sl_gw_mode_set_panic(struct sl_gw *gw, bool on, struct sl_error *e)
{
	struct sl_gw_mode_change c = {.has_panic = true, .panic = on};

	return sl_gw_mode_change(gw, &c, e);
}

int
sl_gw_mode_set_prefix(struct sl_gw *gw, const struct sl_prefix *p, enum sl_authz_mode m,
		      bool remove, struct sl_error *e)
{
	struct sl_gw_mode_prefix mp = {.prefix = *p, .mode = m};
	struct sl_gw_mode_change c = {.prefixes = &mp, .n_prefixes = 1, .remove = remove};

	return sl_gw_mode_change(gw, &c, e);
}

enum sl_authz_mode
sl_gw_mode_of(struct sl_gw *gw, const struct sl_ip *ip)
{
	uint32_t m = sl_lpm_lookup(&gw->mode.table[gw_fam(ip)], ip->b);

	if (gw->mode.view.panic)
		return SL_MODE_OBSERVE;
	return m == SL_LPM_NONE ? gw->mode.view.deflt : (enum sl_authz_mode)m;
}

void
sl_gw_mode_get(struct sl_gw *gw, struct sl_gw_mode *out)
{
	*out = gw->mode.view;
}

bool
sl_gw_mode_from_state(struct sl_gw *gw)
{
	return gw->mode.from_state;
}

/* --- logging -------------------------------------------------------------------------------------
 */

static int
save_log(struct sl_gw *gw, const struct gw_log *log, struct sl_error *e)
{
	const struct gw_mode *m = &gw->mode;

	return save(gw, &m->view, m->view.pending.id[0] != '\0' ? &m->before.view : NULL, log, e);
}

int
sl_gw_logging_set(struct sl_gw *gw, bool on, struct sl_error *e)
{
	struct gw_log log = gw->mode.log;
	int rc;

	log.quiet = !on;
	rc = save_log(gw, &log, e);
	if (rc != 0)
		return rc;
	gw->mode.log.quiet = !on;
	publish(gw);
	return 0;
}

bool
sl_gw_logging(struct sl_gw *gw)
{
	return !gw->mode.log.quiet;
}

int
sl_gw_log_required_set(struct sl_gw *gw, const struct sl_gw_mode_prefix *list, unsigned n,
		       struct sl_error *e)
{
	struct gw_log *log = &gw->mode.log, to = *log;
	struct sl_gw_mode_change c = {.prefixes = list, .n_prefixes = n};
	struct sl_gw_mode from = {.prefixes = log->required, .n_prefixes = log->n_required};
	struct gw_mode_state next;
	int rc = check_change(&c, e);

	if (rc == 0 && n > GW_LOG_REQUIRED_MAX)
		rc = sl_fail(e, -ENOSPC, "limit_prefixes", "/targets",
			     "%u prefixes, at most %u may require their records", n,
			     GW_LOG_REQUIRED_MAX);
	if (rc == 0)
		rc = apply(&(struct sl_gw_mode){0}, &c, false, &next, e);
	if (rc != 0)
		return rc;
	to.required = next.prefixes;
	to.n_required = next.view.n_prefixes;
	sl_gw_begin(gw);
	rc = set_tables(gw, log->table, &from, &next.view) == 0 ? 0 : gw_no_memory(e);
	if (rc == 0)
		rc = save_log(gw, &to, e);
	if (rc != 0) {
		set_tables(gw, log->table, &next.view, &from);
		free(next.prefixes);
	} else {
		free(log->required);
		log->required = next.prefixes;
		log->n_required = next.view.n_prefixes;
		publish(gw);
	}
	sl_gw_commit(gw);
	return rc;
}

const struct sl_gw_mode_prefix *
sl_gw_log_required(struct sl_gw *gw, unsigned *n)
{
	*n = gw->mode.log.n_required;
	return gw->mode.log.required;
}

/* --- taking back ---------------------------------------------------------------------------------
 */

static const char *
mode_or_default(const struct sl_gw_mode_prefix *p)
{
	return p != NULL ? gw_mode_text(p->mode) : "default";
}

/** What a prefix was and will be; NULL: not named, the default holds. */
static void
add_change(json_t *changes, const struct sl_gw_mode_prefix *now,
	   const struct sl_gw_mode_prefix *then)
{
	char text[SL_PREFIX_STR];

	if (now != NULL && then != NULL && now->mode == then->mode)
		return;
	sl_prefix_str(now != NULL ? &now->prefix : &then->prefix, text);
	if (json_array_size(changes) < TOLD_MAX)
		json_array_append_new(changes, json_pack("{s:s, s:s, s:s}", "prefix", text, "old",
							 mode_or_default(now), "new",
							 mode_or_default(then)));
}

/** The first prefixes whose mode changes; a change adds behind the others, so that the lists are in
 * the same order. */
static json_t *
changes_of(const struct sl_gw_mode *now, const struct sl_gw_mode *then)
{
	const struct sl_gw_mode_prefix *a = now->prefixes, *b = then->prefixes;
	json_t *changes = json_array();
	unsigned i = 0, j;

	for (j = 0; j < then->n_prefixes; j++) {
		bool both = i < now->n_prefixes && sl_prefix_equal(&a[i].prefix, &b[j].prefix);

		add_change(changes, both ? &a[i] : NULL, &b[j]);
		i += both;
	}
	for (; i < now->n_prefixes; i++)
		add_change(changes, &a[i], NULL);
	return changes;
}

static const char *
text_of(const json_t *change, const char *key)
{
	return json_string_value(json_object_get(change, key));
}

/** @param now its list of prefixes may be gone already; @param changes taken over */
static void
tell(struct sl_gw *gw, const struct sl_gw_mode *now, const struct sl_gw_mode *then, json_t *changes,
     const char *why)
{
	const char *who = gw->mode.who;
	json_t *c;
	size_t i;

	sl_log(SL_LOG_NOTICE, "audit",
	       "authz.mode.revert of %s%s%s, %s: default: %s -> %s, panic: %s -> %s, prefixes: "
	       "%u -> %u",
	       now->pending.id, who[0] != '\0' ? " by " : "", who, why, gw_mode_text(now->deflt),
	       gw_mode_text(then->deflt), now->panic ? "observe" : "off",
	       then->panic ? "observe" : "off", now->n_prefixes, then->n_prefixes);
	json_array_foreach (changes, i, c)
		sl_log(SL_LOG_NOTICE, "audit", "authz.mode.revert of %s: prefix %s: %s -> %s",
		       now->pending.id, text_of(c, "prefix"), text_of(c, "old"), text_of(c, "new"));
	sl_gw_event(gw, "authz-mode-reverted", "success",
		    json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:o*}", "confirm_id", now->pending.id,
			      "why", why, "old", gw_mode_text(now->deflt), "new",
			      gw_mode_text(then->deflt), "prefixes_old", (int)now->n_prefixes,
			      "prefixes_new", (int)then->n_prefixes, "changes", changes));
}

unsigned
gw_mode_poll(struct sl_gw *gw)
{
	struct gw_mode *m = &gw->mode;
	struct gw_mode_state to = m->before;
	struct sl_gw_mode was = m->view;
	struct sl_error e = {0};
	json_t *changes;

	if (was.pending.id[0] == '\0' || gw_mono_ns(gw) < m->revert_ns)
		return 0;
	changes = changes_of(&was, &to.view);
	m->before = (struct gw_mode_state){0};
	if (enter(gw, &to, NULL, &e) != 0) {
		/* what was promised still holds: the start would take it back too */
		sl_log(SL_LOG_ERR, "authz", "mode change %s cannot be taken back yet: %s",
		       was.pending.id, e.message);
		m->before = to;
		m->revert_ns = gw_mono_ns(gw) + AGAIN_NS;
		json_decref(changes);
		return 0;
	}
	tell(gw, &was, &to.view, changes, "not confirmed in time");
	return 1;
}

/* A change that waited when the process ended is taken back (D6). */
static int
take_back(struct sl_gw *gw, struct gw_mode_state *now, struct gw_mode_state *before,
	  struct sl_error *e)
{
	int rc;

	if (now->view.pending.id[0] == '\0')
		return 0;
	rc = save(gw, &before->view, NULL, &gw->mode.log, e);
	if (rc != 0)
		return rc;
	tell(gw, &now->view, &before->view, changes_of(&now->view, &before->view),
	     "the gateway ended before it was confirmed");
	free(now->prefixes);
	*now = *before;
	*before = (struct gw_mode_state){0};
	return 0;
}

int
gw_mode_load(struct sl_gw *gw, struct sl_error *e)
{
	struct gw_mode_state now = {0}, before = {0};
	struct gw_mode *m = &gw->mode;
	char *text;
	size_t len;
	unsigned i;
	int rc;

	if (gw->state_dir == NULL)
		return 0;
	rc = gw_dir_make(gw->state_dir, e);
	if (rc != 0)
		return rc;
	rc = gw_file_read(gw->state_dir, MODE_FILE, MODE_FILE_MAX, &text, &len, e);
	if (rc == -ENOENT)
		return 0;
	if (rc != 0)
		return rc;
	rc = gw_mode_decode(text, len, &now, &before, &m->log);
	free(text);
	if (rc != 0) {
		sl_fail(e, rc, "state_invalid", "", "%s/%s is no authz mode state of this version",
			gw->state_dir, MODE_FILE);
		sl_hint(e, "restore it from a backup; if it is removed, the modes of the "
			   "configuration file hold");
	}
	if (rc == 0)
		rc = take_back(gw, &now, &before, e);
	if (rc == 0 && enforces(&now.view))
		rc = sl_gw_clock_check(gw, "", e);
	for (i = 0; rc == 0 && i < now.view.n_prefixes; i++)
		rc = gw_lpm_set(gw, m->table, &now.prefixes[i].prefix, now.prefixes[i].mode) == 0
			     ? 0
			     : gw_no_memory(e);
	for (i = 0; rc == 0 && i < m->log.n_required; i++)
		rc = gw_lpm_set(gw, m->log.table, &m->log.required[i].prefix, SL_MODE_OBSERVE) == 0
			     ? 0
			     : gw_no_memory(e);
	free(before.prefixes);
	m->prefixes = now.prefixes; /* freed with the gateway */
	m->view = now.view;
	m->from_state = rc == 0;
	return rc;
}

void
gw_mode_free(struct sl_gw *gw)
{
	free(gw->mode.log.required);
	free(gw->mode.prefixes);
	free(gw->mode.before.prefixes);
}
