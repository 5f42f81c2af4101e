/* SPDX-License-Identifier: BSD-3-Clause */
/* From objects to a document for the gateway: the whole of them, or, where that is refused, the one
 * in force without what they revoke. Objects are copied in slices, the rest is the helper's. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

static const enum sl_kind kinds[] = {SL_KIND_POLICY, SL_KIND_ZONE, SL_KIND_TARGET, SL_KIND_ROLE,
				     SL_KIND_RULE};

/* --- revocations --------------------------------------------------------------------------------
 */

/* RULE as ROLE/ID. */
static bool
rule_id(const json_t *rule, char out[SL_OBJ_ID])
{
	const char *role = json_string_value(json_object_get(rule, "role"));
	const json_t *id = json_object_get(rule, "id");

	if (role == NULL || !json_is_integer(id))
		return false;
	snprintf(out, SL_OBJ_ID, "%s/%lld", role, (long long)json_integer_value(id));
	return true;
}

/* Kind and id, for a table of what there is. */
static json_t *
table_of(const struct cp_text *v, unsigned n)
{
	json_t *t = json_object(), *body;
	char key[SL_OBJ_ID + 32];
	unsigned i;

	for (i = 0; t != NULL && i < n; i++) {
		body = json_loadb(v[i].text, v[i].len, 0, NULL);
		snprintf(key, sizeof(key), "%s/%s", sl_kind_name(v[i].kind), v[i].id);
		if (json_object_set_new(t, key, body) != 0) {
			json_decref(t);
			return NULL;
		}
	}
	return t;
}

static const json_t *
look_up(const json_t *table, enum sl_kind k, const char *id)
{
	char key[SL_OBJ_ID + 32];

	snprintf(key, sizeof(key), "%s/%s", sl_kind_name(k), id);
	return json_object_get(table, key);
}

static uint64_t
time_in(const json_t *o, const char *field)
{
	const char *text = json_string_value(json_object_get(o, field));
	uint64_t ns = 0;

	return text != NULL && sl_time_parse(text, &ns) == 0 ? ns : 0;
}

/* Take the earlier end of the two. */
static void
shorten(json_t *mine, const json_t *theirs, const char *field)
{
	uint64_t a = time_in(mine, field), b = time_in(theirs, field);

	if (b != 0 && (a == 0 || b < a))
		json_object_set(mine, field, json_object_get(theirs, field));
}

static bool
is_allow(const json_t *rule)
{
	const char *action = json_string_value(json_object_get(rule, "action"));

	return action != NULL && strcmp(action, "allow") == 0;
}

static void
reduce_rules(json_t *rules, const json_t *table)
{
	char id[SL_OBJ_ID];
	const json_t *now;
	json_t *rule;
	size_t i;

	for (i = json_array_size(rules); i-- > 0;) {
		rule = json_array_get(rules, i);
		if (!is_allow(rule) || !rule_id(rule, id))
			continue;
		now = look_up(table, SL_KIND_RULE, id);
		if (now == NULL || !is_allow(now) || json_is_false(json_object_get(now, "enabled")))
			json_array_remove(rules, i);
		else
			shorten(rule, now, "expires");
	}
}

/* A member without its time and source: who it is. */
static json_t *
who(const json_t *member)
{
	const char *peer = json_string_value(json_object_get(member, "peer"));
	const char *iface = json_string_value(json_object_get(member, "interface"));

	if (json_is_string(member))
		return json_string(json_string_value(member));
	if (peer == NULL)
		return json_incref(json_object_get(member, "prefix"));
	return json_sprintf(iface != NULL ? "peer:%s@%s" : "peer:%s", peer, iface);
}

static const json_t *
same_member(const json_t *list, const json_t *member)
{
	json_t *a = who(member), *b, *item;
	const json_t *found = NULL;
	size_t i;

	json_array_foreach (list, i, item) {
		b = who(item);
		if (json_equal(a, b))
			found = item;
		json_decref(b);
	}
	json_decref(a);
	return found;
}

static void
reduce_members(json_t *members, const json_t *now)
{
	const json_t *same;
	json_t *m;
	size_t i;

	for (i = json_array_size(members); i-- > 0;) {
		m = json_array_get(members, i);
		same = same_member(now, m);
		if (same == NULL)
			json_array_remove(members, i);
		else if (json_is_object(m))
			shorten(m, same, "expires");
		else if (json_is_object(same) && time_in(same, "expires") != 0)
			json_array_set(members, i, (json_t *)(uintptr_t)same);
	}
}

json_t *
cp_policy_reduce(json_t *serving, const struct cp_text *v, unsigned n)
{
	json_t *out = json_deep_copy(serving), *table = table_of(v, n), *role;
	const json_t *now;
	const char *name;

	if (out == NULL || table == NULL) {
		json_decref(out);
		json_decref(table);
		return NULL;
	}
	reduce_rules(json_object_get(out, "rules"), table);
	json_object_foreach (json_object_get(out, "roles"), name, role) {
		now = look_up(table, SL_KIND_ROLE, name);
		reduce_members(json_object_get(role, "members"), json_object_get(now, "members"));
	}
	json_object_del(out, "tests");
	json_decref(table);
	return out;
}

/* --- on the helper ------------------------------------------------------------------------------
 */

static json_t *
join_all(struct cp_join *j)
{
	struct sl_policy_join *p = sl_policy_join_new();
	json_t *body, *doc = NULL;
	unsigned i;
	int rc = p != NULL ? 0 : -ENOMEM;

	for (i = 0; rc == 0 && i < j->n; i++) {
		body = json_loadb(j->v[i].text, j->v[i].len, 0, NULL);
		sl_object_strip(j->v[i].kind, body, NULL);
		if (!sl_kind_is_strict(j->v[i].kind)) /* told when it was checked */
			sl_object_drop_unknown(j->v[i].kind, body);
		rc = body != NULL ? sl_policy_join_add(p, j->v[i].kind, j->v[i].id, body) : -ENOMEM;
		json_decref(body);
	}
	if (rc == 0)
		doc = sl_policy_join_done(p);
	sl_policy_join_free(p);
	return doc;
}

static json_t *
overlay(struct cp_join *j)
{
	json_t *serving = json_loads(j->serving, 0, NULL);
	json_t *left = serving != NULL ? cp_policy_reduce(serving, j->v, j->n) : NULL;

	if (left == NULL)
		j->rc = gw_no_memory(&j->e);
	else
		json_object_del(serving, "tests");
	if (left != NULL && json_equal(left, serving)) {
		json_decref(left);
		left = NULL;
	}
	json_decref(serving);
	return left;
}

static void
join_task(struct gw_task *t)
{
	struct cp_join *j = SL_CONTAINER_OF(t, struct cp_join, task);
	json_t *doc = j->serving != NULL ? overlay(j) : join_all(j);

	if (j->serving != NULL && doc == NULL)
		return;
	j->out = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
	json_decref(doc);
	if (j->out == NULL)
		j->rc = gw_no_memory(&j->e);
	else
		j->out_len = strlen(j->out);
}

/* --- collecting ----------------------------------------------------------------------------------
 */

bool
cp_policy_begin(struct sl_cp *cp, bool reduce)
{
	struct cp_join *j = calloc(1, sizeof(*j));
	const char *text;
	size_t len;

	if (j == NULL)
		return false;
	if (reduce) {
		text = sl_gw_policy_canonical(cp->gw, &len);
		j->serving = strdup(text != NULL ? text : "{}");
		if (j->serving == NULL) {
			free(j);
			return false;
		}
	}
	cp->join = j;
	return true;
}

static int
add(struct cp_join *j, const struct sl_replica_obj *o)
{
	unsigned cap = j->cap != 0 ? j->cap * 2 : 64;
	struct cp_text *grown, *t;

	if (j->n == j->cap) {
		grown = realloc(j->v, cap * sizeof(*grown));
		if (grown == NULL)
			return -ENOMEM;
		j->v = grown;
		j->cap = cap;
	}
	t = &j->v[j->n++];
	*t = (struct cp_text){.kind = o->kind,
			      .id = strdup(o->id),
			      .text = strndup(o->text, o->len),
			      .len = o->len};
	return t->id != NULL && t->text != NULL ? 0 : -ENOMEM;
}

bool
cp_policy_collect(struct sl_cp *cp, unsigned budget)
{
	struct cp_join *j = cp->join;
	struct sl_replica_obj o;

	for (; budget > 0 && j->rc == 0 && j->at < SL_ARRAY_SIZE(kinds); budget--) {
		if (!sl_replica_next(cp->r, kinds[j->at], &j->cursor, &o)) {
			j->cursor = (struct sl_replica_cursor){0};
			j->at++;
		} else if (!cp_tomb_blocks(cp, &o) && add(j, &o) != 0) {
			j->rc = gw_no_memory(&j->e);
		}
	}
	if (j->rc == 0 && j->at < SL_ARRAY_SIZE(kinds))
		return false;
	if (j->rc == 0)
		cp_give(cp, &j->task, join_task);
	else
		atomic_store_explicit(&j->task.done, true, memory_order_relaxed);
	return true;
}

void
cp_policy_free(struct sl_cp *cp)
{
	struct cp_join *j = cp->join;
	unsigned i;

	cp->join = NULL;
	if (j == NULL)
		return;
	for (i = 0; i < j->n; i++) {
		free(j->v[i].id);
		free(j->v[i].text);
	}
	free(j->v);
	free(j->serving);
	free(j->out);
	free(j);
}
