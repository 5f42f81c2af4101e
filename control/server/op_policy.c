/* SPDX-License-Identifier: BSD-3-Clause */
/* The policy document: read, replaced, checked, its versions. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "judge.h"
#include "page.h"
#include "policy_text.h"
#include "sl_json.h"

int
policy_text(struct sl_store *s, uint64_t version, json_t **body, const char **text,
	    struct sl_error *e)
{
	char id[24];

	snprintf(id, sizeof(id), "%" PRIu64, version);
	*body = NULL;
	if (version == 0)
		return sl_fail(e, -ENOENT, "not_found", "",
			       "there is no policy yet: nobody may reach anything");
	if (sl_store_get(s, SL_KIND_POLICY_TEXT, id, NULL, body) != 0)
		return sl_call_not_found("policy version", id, e);
	*text = json_string_value(json_object_get(*body, "text"));
	return 0;
}

int
policy_version_arg(const char *arg, uint64_t *out, struct sl_error *e)
{
	char *end;

	*out = strtoull(arg, &end, 10);
	if (arg[0] >= '1' && arg[0] <= '9' && *end == '\0' && strlen(arg) <= 10)
		return 0;
	return sl_call_not_found("policy version", arg, e);
}

/* --- lints ------------------------------------------------------------------------------------ */

static void
add_lint(void *ctx, const char *code, const char *path, const char *text)
{
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:s}", "code", code, "path", path, "text",
					     text));
}

/** sl_policy_peer_fn of a store. */
static bool
has_peer(void *store, const struct sl_pol_member *m)
{
	const char *iface = m->place.iface;
	json_t *body = NULL;
	bool there = sl_store_get(store, SL_KIND_PEER, m->peer, NULL, &body) == 0;

	if (there && iface[0] != '\0')
		there = strcmp(sl_json_text(body, "interface"), iface) == 0;
	json_decref(body);
	return there;
}

static json_t *
lints(struct sl_store *s, const struct judge *j)
{
	uint64_t now = sl_rest_wall_ns();
	json_t *list = json_array();

	sl_policy_lint(judge_policy(j), now, add_lint, list);
	sl_policy_lint_peers(judge_policy(j), now, has_peer, s, add_lint, list);
	return list;
}

/* --- reading ---------------------------------------------------------------------------------- */

static int
answer_document(struct sl_call *c, uint64_t version, struct sl_error *e)
{
	json_t *body = NULL;
	struct sl_policy *p = NULL;
	const char *text;
	int rc = policy_text(c->store, version, &body, &text, e);

	if (rc != 0)
		return rc;
	c->etag = version;
	if (c->q_int[SL_Q_RAW]) {
		c->status = 200;
		c->out_type = "text/plain; charset=utf-8";
		c->out_text = strdup(text);
		c->out_len = c->out_text != NULL ? strlen(c->out_text) : 0;
	} else {
		rc = sl_policy_doc_parse(text, strlen(text), &p, e);
		if (rc == 0) {
			p->version = (uint32_t)version; /* whatever the text says */
			rc = sl_call_answer(c, 200, sl_policy_doc_emit(p), e);
		}
		sl_policy_free(p);
	}
	json_decref(body);
	return rc;
}

int
sl_op_get_policy(struct sl_call *c, struct sl_error *e)
{
	return answer_document(c, sl_store_policy_version(c->store), e);
}

int
sl_op_get_policy_version(struct sl_call *c, struct sl_error *e)
{
	uint64_t version;
	int rc = policy_version_arg(c->arg[0], &version, e);

	return rc != 0 ? rc : answer_document(c, version, e);
}

struct versions {
	json_t *list; /* newest first */
	uint64_t current, before;
	unsigned limit;
};

static json_t *
show_version(uint64_t version, uint64_t current, const json_t *body)
{
	static const char *const copied[] = {"actor", "comment", "at"};
	json_t *o = json_pack("{s:I, s:I, s:b}", "version", (json_int_t)version, "bytes",
			      (json_int_t)json_string_length(json_object_get(body, "text")),
			      "current", version == current);

	for (unsigned i = 0; i < SL_ARRAY_SIZE(copied); i++) {
		json_t *v = json_object_get(body, copied[i]);

		if (v != NULL)
			json_object_set(o, copied[i], v);
	}
	return o;
}

/** The store gives them as text: 10 before 9. */
static bool
each_version(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct versions *v = ctx;
	uint64_t version = strtoull(id, NULL, 10);
	json_t *body;
	size_t at = 0;

	if (version >= v->before)
		return true;
	while (at < json_array_size(v->list) &&
	       (uint64_t)json_integer_value(
		       json_object_get(json_array_get(v->list, at), "version")) > version)
		at++;
	body = json_loadb(text, len, 0, NULL);
	json_array_insert_new(v->list, at, show_version(version, v->current, body));
	json_decref(body);
	return true;
}

int
sl_op_list_policy_versions(struct sl_call *c, struct sl_error *e)
{
	struct versions v = {.list = json_array(),
			     .current = sl_store_policy_version(c->store),
			     .before = UINT64_MAX,
			     .limit = c->q[SL_Q_LIMIT] ? (unsigned)c->q_int[SL_Q_LIMIT] : 100};
	char next[24];
	json_t *o;
	int rc = 0;

	if (c->q[SL_Q_AFTER] != NULL)
		rc = policy_version_arg(c->q[SL_Q_AFTER], &v.before, e);
	if (rc == 0)
		rc = sl_store_walk(c->store, SL_KIND_POLICY_TEXT, "", each_version, &v, e);
	o = rc == 0 ? json_pack("{s:O}", "items", v.list) : NULL;
	if (o != NULL && json_array_size(v.list) > v.limit) {
		while (json_array_size(v.list) > v.limit)
			json_array_remove(v.list, json_array_size(v.list) - 1);
		snprintf(next, sizeof(next), "%" JSON_INTEGER_FORMAT,
			 json_integer_value(
				 json_object_get(json_array_get(v.list, v.limit - 1), "version")));
		json_object_set_new(o, "next", json_string(next));
	}
	json_decref(v.list);
	return rc == 0 ? sl_call_answer(c, 200, o, e) : rc;
}

/* --- changing --------------------------------------------------------------------------------- */

static uint64_t
version_wanted(const struct sl_call *c)
{
	uint64_t want = sl_call_if_rev(c);

	return want == SL_REV_NONE ? 0 : want;
}

/** A document on its way: judged and split beside the thread that changes the store, then put by
 * that. */
struct coming {
	struct sl_task task; /* frees it, for it is large */
	char *text;
	struct judge *j;
	struct sl_store_split *split;
	json_t *lints;
	uint64_t seq; /* that it was judged at, or later */
	unsigned tests;
};

static void
coming_run(struct sl_task *t)
{
	struct coming *d = SL_CONTAINER_OF(t, struct coming, task);

	judge_free(d->j);
	sl_store_split_free(d->split);
	json_decref(d->lints);
	free(d->text);
}

static void
coming_done(struct sl_task *t)
{
	free(SL_CONTAINER_OF(t, struct coming, task));
}

/** @param text taken over, NULL: no memory. @return SL_CALL_WRITER */
static int
prepare(struct sl_call *c, char *text, struct sl_error *e)
{
	struct coming *d = calloc(1, sizeof(*d));
	json_t *doc;
	int rc;

	if (d == NULL || text == NULL) {
		free(text);
		free(d);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the document");
	}
	d->text = text;
	d->seq = sl_store_head(c->store);
	d->task = (struct sl_task){.run = coming_run, .done = coming_done};
	c->pending = d;
	c->after = &d->task;
	d->j = judge_new(c->store, text, strlen(text), sl_rest_wall_ns(), false, e);
	rc = d->j != NULL ? judge_test(d->j, &d->tests, e) : e->err;
	if (rc == 0) {
		doc = judge_doc(d->j);
		d->lints = lints(c->store, d->j);
		d->split = sl_store_split_new(c->store, doc, e);
		json_decref(doc);
		rc = d->split != NULL ? SL_CALL_WRITER : e->err;
	}
	return rc;
}

/** Its tests ask for peers and roles of the store: what was changed since they have not seen. */
static int
test_again(struct sl_call *c, struct coming *d, struct sl_error *e)
{
	int rc;

	if (d->tests == 0 || sl_store_head(c->store) == d->seq)
		return 0;
	rc = judge_anew(d->j, c->store, e);
	return rc == 0 ? judge_test(d->j, &d->tests, e) : rc;
}

static int
put(struct sl_call *c, uint64_t if_version, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	struct coming *d = c->pending;
	json_t *doc = judge_doc(d->j);
	uint32_t version = 0;
	int rc = t != NULL ? 0 : e->err;

	if (rc == 0) {
		rc = test_again(c, d, e);
		if (rc == 0)
			rc = sl_store_put_policy(t, doc, d->split, d->text, if_version, &version,
						 e);
		rc = change_end(c, t, rc, e);
	}
	json_decref(doc);
	if (rc == 0 && !c->done) {
		c->etag = version;
		rc = sl_call_answer(c, 200,
				    json_pack("{s:I, s:O, s:I}", "version", (json_int_t)version,
					      "lints", d->lints, "tests_run", (json_int_t)d->tests),
				    e);
	}
	return rc;
}

int
sl_op_put_policy(struct sl_call *c, struct sl_error *e)
{
	if (c->part > 0)
		return put(c, version_wanted(c), e);
	if (memchr(c->text, 0, c->text_len) != NULL)
		return sl_fail(e, -EINVAL, "json_syntax", "", "the document holds a zero byte");
	return prepare(c, strndup(c->text, c->text_len), e);
}

int
sl_op_rollback_policy(struct sl_call *c, struct sl_error *e)
{
	json_t *body = NULL;
	const char *text;
	uint64_t version;
	int rc;

	if (c->part > 0)
		return put(c, SL_REV_ANY, e);
	rc = policy_version_arg(c->arg[0], &version, e);
	if (rc == 0)
		rc = policy_text(c->store, version, &body, &text, e);
	if (rc == 0)
		rc = prepare(c, strdup(text), e);
	json_decref(body);
	return rc;
}

/* --- checking --------------------------------------------------------------------------------- */

int
sl_op_validate_policy(struct sl_call *c, struct sl_error *e)
{
	struct judge *j = judge_new(c->store, c->text, c->text_len, sl_rest_wall_ns(), false, e);
	unsigned tests = 0;
	int rc = j != NULL ? judge_test(j, &tests, e) : e->err;

	if (rc == 0)
		rc = sl_store_policy_fits(c->store, judge_policy(j), e);
	if (rc == 0)
		rc = sl_call_answer(c, 200,
				    json_pack("{s:b, s:o, s:I}", "ok", 1, "lints",
					      lints(c->store, j), "tests_run", (json_int_t)tests),
				    e);
	judge_free(j);
	return rc;
}

int
sl_op_test_policy(struct sl_call *c, struct sl_error *e)
{
	uint64_t version = sl_store_policy_version(c->store);
	struct judge *j = NULL;
	struct sl_error why = {0};
	json_t *body = NULL, *o;
	const char *text;
	unsigned tests = 0;
	int rc = policy_text(c->store, version, &body, &text, e), failed;

	if (rc == 0) {
		j = judge_new(c->store, text, strlen(text), sl_rest_wall_ns(), true, e);
		rc = j != NULL ? 0 : e->err;
	}
	if (rc == 0) {
		failed = judge_test(j, &tests, &why);
		o = json_pack("{s:b, s:I}", "ok", failed == 0, "tests_run", (json_int_t)tests);
		if (o != NULL && failed != 0)
			json_object_set_new(o, "failed",
					    json_pack("{s:s, s:s, s:s}", "path", why.path, "reason",
						      why.reason, "message", why.message));
		rc = sl_call_answer(c, 200, o, e);
	}
	judge_free(j);
	json_decref(body);
	return rc;
}
