/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy document in the place of another: what differs is written, and its text is kept. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_policy_agents.h"
#include "store_int.h"

#define TEXTS_KEPT 50

/* --- what differs ----------------------------------------------------------------------------- */

/** What is there of a part. */
struct standing {
	bool same;
	uint64_t rev;
	char *text; /* NULL: it is not there, or is the same */
};

/** What the document has no more. */
struct gone {
	enum sl_kind kind;
	char *id;
	uint64_t rev;
	char *text;
};

struct difference {
	struct sl_store_txn *t;
	const struct sl_store_split *split;
	struct standing *standing; /* of each part; targets are looked at as they are put */
	struct gone *gone;
	size_t n_gone, cap_gone;
	bool no_memory;
};

static bool
add_gone(struct difference *d, enum sl_kind k, const char *id, uint64_t rev, const char *text)
{
	size_t cap = d->cap_gone > 0 ? 2 * d->cap_gone : 64;
	struct gone *g = d->gone;

	if (d->n_gone == d->cap_gone) {
		g = realloc(g, cap * sizeof(*g));
		if (g == NULL)
			return false;
		d->gone = g;
		d->cap_gone = cap;
	}
	g += d->n_gone++;
	*g = (struct gone){k, strdup(id), rev, strdup(text)};
	return g->id != NULL && g->text != NULL;
}

static bool
compare_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct difference *d = ctx;
	const struct store_part *p = store_split_part(d->split, k, id);
	struct standing *is = p != NULL ? &d->standing[p - d->split->parts] : NULL;

	if (k == SL_KIND_ZONE && strcmp(id, SL_POL_AGENT_ZONE) == 0) /* beside the document's own */
		return true;
	if (p == NULL) {
		d->no_memory |= !add_gone(d, k, id, rev, text);
		return !d->no_memory;
	}
	if (k == SL_KIND_TARGET)
		return true;
	is->rev = rev;
	is->same = p->len == len && memcmp(p->text, text, len) == 0 &&
		   !store_txn_confirms(d->t, k, rev);
	is->text = is->same ? NULL : strdup(text);
	d->no_memory |= !is->same && is->text == NULL;
	return !d->no_memory;
}

/** One walk over what is there: a row costs less than the questions about it. */
static int
compare(struct difference *d, struct sl_error *e)
{
	int rc = 0;

	d->standing = calloc(d->split->n + 1, sizeof(*d->standing));
	if (d->standing == NULL)
		return store_no_memory(e);
	for (unsigned i = 0; rc == 0 && i < STORE_POLICY_KINDS; i++)
		rc = sl_store_walk(d->t->s, store_policy_kinds[i], "", compare_row, d, e);
	return rc == 0 && d->no_memory ? store_no_memory(e) : rc;
}

static void
difference_free(struct difference *d)
{
	for (size_t i = 0; d->standing != NULL && i < d->split->n; i++)
		free(d->standing[i].text);
	for (size_t i = 0; i < d->n_gone; i++) {
		free(d->gone[i].id);
		free(d->gone[i].text);
	}
	free(d->standing);
	free(d->gone);
}

/* --- what follows ----------------------------------------------------------------------------- */

/** Nobody refers to a rule. */
static int
drop(struct difference *d, struct gone *g, struct sl_error *e)
{
	char *text = g->text;
	int rc;

	if (g->kind == SL_KIND_RULE) {
		g->text = NULL;
		return store_del_rule(d->t, g->id, g->rev, text, e);
	}
	rc = store_del_unnamed(d->t, g->kind, g->id, e);
	if (rc == -EBUSY)
		sl_error_under(e, "/%ss/%s", sl_kind_name(g->kind), g->id);
	return rc;
}

static int
drop_kind(struct difference *d, enum sl_kind k, struct sl_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->n_gone; i++)
		if (d->gone[i].kind == k)
			rc = drop(d, &d->gone[i], e);
	return rc;
}

/** Of a target's body the ledger has its say. */
static int
put_one(struct difference *d, const struct store_part *p, struct sl_error *e)
{
	struct standing *is = &d->standing[p - d->split->parts];
	char *text = is->text;

	if (is->same)
		return 0;
	is->text = NULL;
	if (p->kind == SL_KIND_TARGET || p->kind == SL_KIND_POLICY)
		return store_put_checked(d->t, p->kind, p->id, SL_REV_ANY, p->body, e);
	return store_put_part(d->t, p, is->rev, text, e);
}

static int
put_kind(struct difference *d, enum sl_kind k, struct sl_error *e)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < d->split->n; i++) {
		const struct store_part *p = &d->split->parts[i];

		if (p->kind == k)
			rc = put_one(d, p, e);
		if (rc < 0)
			sl_error_under(e, "/%ss/%s", sl_kind_name(k), p->id);
	}
	return rc;
}

/** Rules that are no more go first, for they refer to others; then what others refer to comes,
 * then rules, then goes what nobody may refer to any more. */
static int
apply(struct sl_store_txn *t, const struct sl_store_split *split, struct sl_error *e)
{
	static const enum sl_kind come[] = {SL_KIND_ZONE, SL_KIND_TARGET, SL_KIND_ROLE,
					    SL_KIND_RULE, SL_KIND_POLICY};
	struct difference d = {.t = t, .split = split};
	int rc = compare(&d, e);

	if (rc == 0)
		rc = drop_kind(&d, SL_KIND_RULE, e);
	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(come); i++)
		rc = put_kind(&d, come[i], e);
	for (unsigned i = 1; rc == 0 && i < STORE_POLICY_KINDS; i++)
		rc = drop_kind(&d, store_policy_kinds[i], e);
	difference_free(&d);
	return rc;
}

/* --- the document ----------------------------------------------------------------------------- */

static int
put_text(struct sl_store_txn *t, uint32_t version, const char *text, struct sl_error *e)
{
	char id[16], at[SL_TIME_STR];
	json_t *body;
	int rc;

	if (version > TEXTS_KEPT) {
		snprintf(id, sizeof(id), "%u", version - TEXTS_KEPT);
		rc = sl_store_del(t, SL_KIND_POLICY_TEXT, id, SL_REV_ANY, e);
		if (rc < 0 && rc != -ENOENT)
			return rc;
	}
	snprintf(id, sizeof(id), "%u", version);
	body = json_pack("{s:s, s:s, s:s, s:s}", "text", text, "actor", t->actor, "comment",
			 t->cause, "at", sl_time_str(t->wall_ns, at));
	if (body == NULL)
		return sl_fail(e, -EINVAL, "json_syntax", "", "the document is no UTF-8");
	rc = sl_store_put(t, SL_KIND_POLICY_TEXT, id, SL_REV_ANY, body, e);
	json_decref(body);
	return rc;
}

int
sl_store_put_policy(struct sl_store_txn *t, json_t *doc, const struct sl_store_split *split,
		    const char *text, uint64_t if_version, uint32_t *version, struct sl_error *e)
{
	uint32_t was = sl_store_policy_version(t->s);
	int rc;

	if (if_version != SL_REV_ANY && if_version != was) {
		sl_fail(e, -ESTALE, "version_mismatch", "/version",
			"the document in force is version %u, not %" PRIu64, was, if_version);
		sl_hint(e, "somebody changed it: read it again");
		return -ESTALE;
	}
	if (split == NULL || split->was != was) {
		sl_store_split_free(t->split);
		split = t->split = sl_store_split_new(t->s, doc, e);
	}
	rc = split != NULL ? apply(t, split, e) : e->err;
	if (rc == 0)
		rc = put_text(t, was + 1, text, e);
	if (rc < 0)
		return rc;
	t->policy_checked = true;
	t->model = split->model;
	*version = was + 1;
	return 0;
}
