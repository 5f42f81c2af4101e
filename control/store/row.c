/* SPDX-License-Identifier: BSD-3-Clause */
/* The row of the log that a transaction leaves, as canonical text. What is put has its text already
 * and may be much: nothing of it goes through JSON values again. */
#include <stdio.h>
#include <stdlib.h>

#include "store_int.h"

struct text {
	char *p;
	size_t len, cap;
	bool failed; /* no memory, or what is no text */
};

static void
add(struct text *o, const char *s, size_t n)
{
	size_t cap = SL_MAX(o->cap, (size_t)4096);
	char *p;

	while (o->len + n + 1 > cap)
		cap *= 2;
	if (!o->failed && cap > o->cap) {
		p = realloc(o->p, cap);
		o->failed = p == NULL;
		o->p = p != NULL ? p : o->p;
		o->cap = cap;
	}
	if (o->failed)
		return;
	memcpy(o->p + o->len, s, n);
	o->len += n;
	o->p[o->len] = '\0';
}

static void
add_text(struct text *o, const char *s)
{
	add(o, s, strlen(s));
}

static void
add_number(struct text *o, const char *member, uint64_t v)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, v);
	add_text(o, member);
	add_text(o, number);
}

/** Most are names of ours, in which nothing is escaped. */
static bool
is_plain(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s < 0x20 || (unsigned char)*s >= 0x7f || *s == '"' ||
		    *s == '\\')
			return false;
	return true;
}

static void
add_string(struct text *o, const char *member, const char *s)
{
	json_t *v = is_plain(s) ? NULL : json_string(s);
	char *text = v != NULL ? sl_canon(v, NULL) : NULL;

	add_text(o, member);
	if (text != NULL) {
		add_text(o, text);
	} else if (is_plain(s)) {
		add(o, "\"", 1);
		add_text(o, s);
		add(o, "\"", 1);
	} else {
		o->failed = true;
	}
	free(text);
	json_decref(v);
}

static bool
has_scope(enum sl_kind k)
{
	return sl_kind_scope(k) == SL_SCOPE_INTERFACE || sl_kind_scope(k) == SL_SCOPE_GATEWAY;
}

static void
was_scope(const struct store_op *op, char out[SL_OBJ_SCOPE])
{
	json_t *body = has_scope(op->kind) ? json_loads(op->was, 0, NULL) : NULL;

	if (body == NULL || sl_object_scope(op->kind, op->id, body, out) < 0)
		out[0] = '\0';
	json_decref(body);
}

/** To whom it concerns, which the chain does not cover. */
static void
add_scopes(struct text *o, const struct store_op *op)
{
	char is[SL_OBJ_SCOPE] = "", was[SL_OBJ_SCOPE] = "";

	if (op->was != NULL)
		was_scope(op, was);
	if (op->body != NULL)
		sl_object_scope(op->kind, op->id, op->body, is);
	add_string(o, ",\"scope\":", op->body != NULL ? is : was);
	if (op->body != NULL && op->was != NULL && strcmp(is, was) != 0)
		add_string(o, ",\"was\":", was);
}

static void
add_op(struct text *o, const struct store_op *op, bool scopes)
{
	add_string(o, "{\"id\":", op->id);
	add_string(o, ",\"kind\":", sl_kind_name(op->kind));
	if (op->body != NULL) {
		add_text(o, ",\"obj\":");
		add(o, op->text, op->len);
	}
	add_text(o, op->body != NULL ? ",\"op\":\"put\"" : ",\"op\":\"del\"");
	add_number(o, ",\"rev\":", op->rev);
	if (scopes)
		add_scopes(o, op);
	add(o, "}", 1);
}

static void
add_ops(struct text *o, const struct sl_store_txn *t, bool scopes)
{
	const char *between = "";

	add_text(o, ",\"ops\":[");
	for (size_t i = 0; i < t->n_ops; i++) {
		if (!store_op_is_change(&t->ops[i]))
			continue;
		add_text(o, between);
		add_op(o, &t->ops[i], scopes);
		between = ",";
	}
	add(o, "]", 1);
}

char *
store_row_text(const struct sl_store_txn *t, bool scopes, size_t *len)
{
	struct text o = {0};
	json_t *policy = NULL;
	char ts[SL_TIME_STR];

	add_string(&o, "{\"actor\":", t->actor);
	add_string(&o, ",\"cause\":", t->cause);
	add_ops(&o, t, scopes);
	if (t->policy && sl_store_get(t->s, SL_KIND_POLICY, "policy", NULL, &policy) == 0)
		add_number(&o, ",\"policy_version\":",
			   (uint64_t)json_integer_value(json_object_get(policy, "version")));
	json_decref(policy);
	add_number(&o, ",\"prev\":", t->state.head);
	add_number(&o, ",\"seq\":", t->state.head + 1);
	add_string(&o, ",\"ts\":", sl_time_str(t->wall_ns, ts));
	add(&o, "}", 1);
	*len = o.len;
	if (!o.failed)
		return o.p;
	free(o.p);
	return NULL;
}
