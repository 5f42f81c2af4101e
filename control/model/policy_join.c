/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects as a policy document. Whatever order they come in, the same ones make the same document:
 * names are sorted, rules by role and id. */
#include <stdlib.h>

#include "sl_policy_objects.h"
#include "sl_json.h"

enum part { ZONES, TARGETS, ROLES, RULES, PARTS };

struct sl_policy_join {
	json_int_t version;
	json_t *part[PARTS]; /* objects by id */
};

struct sl_policy_join *
sl_policy_join_new(void)
{
	struct sl_policy_join *j = calloc(1, sizeof(*j));

	if (j == NULL)
		return NULL;
	for (unsigned i = 0; i < PARTS; i++) {
		j->part[i] = json_object();
		if (j->part[i] == NULL) {
			sl_policy_join_free(j);
			return NULL;
		}
	}
	return j;
}

void
sl_policy_join_free(struct sl_policy_join *j)
{
	if (j == NULL)
		return;
	for (unsigned i = 0; i < PARTS; i++)
		json_decref(j->part[i]);
	free(j);
}

int
sl_policy_join_add(struct sl_policy_join *j, enum sl_kind k, const char *id, json_t *body)
{
	enum part p;

	switch (k) {
	case SL_KIND_POLICY:
		j->version = json_integer_value(json_object_get(body, "version"));
		return 0;
	case SL_KIND_ZONE:
		p = ZONES;
		break;
	case SL_KIND_TARGET:
		p = TARGETS;
		break;
	case SL_KIND_ROLE:
		p = ROLES;
		break;
	case SL_KIND_RULE:
		p = RULES;
		break;
	default:
		return 0;
	}
	return json_object_set(j->part[p], id, body) == 0 ? 0 : -ENOMEM;
}

/* --- the document ----------------------------------------------------------------------------- */

struct named {
	const char *id;
	json_t *body;
};

static int
cmp_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->id, ((const struct named *)b)->id);
}

static json_int_t
rule_id(const struct named *r)
{
	return json_integer_value(json_object_get(r->body, "id"));
}

static const char *
rule_role(const struct named *r)
{
	return sl_json_text(r->body, "role");
}

static int
cmp_rule(const void *a, const void *b)
{
	int d = strcmp(rule_role(a), rule_role(b));

	if (d != 0)
		return d;
	return rule_id(a) < rule_id(b) ? -1 : rule_id(a) > rule_id(b);
}

static struct named *
sorted(json_t *part, int (*cmp)(const void *, const void *))
{
	struct named *list = calloc(json_object_size(part) + 1, sizeof(*list));
	const char *id;
	size_t n = 0;
	json_t *v;

	if (list == NULL)
		return NULL;
	json_object_foreach (part, id, v)
		list[n++] = (struct named){id, v};
	qsort(list, n, sizeof(*list), cmp);
	return list;
}

/** An object by names, or the array of rules. */
static json_t *
emit(json_t *part, bool rules)
{
	struct named *list = sorted(part, rules ? cmp_rule : cmp_name);
	json_t *o = rules ? json_array() : json_object();
	bool ok = list != NULL && o != NULL;

	for (size_t i = 0; ok && i < json_object_size(part); i++)
		ok = (rules ? json_array_append(o, list[i].body)
			    : json_object_set(o, list[i].id, list[i].body)) == 0;
	free(list);
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

json_t *
sl_policy_join_done(struct sl_policy_join *j)
{
	json_t *zones = emit(j->part[ZONES], false), *targets = emit(j->part[TARGETS], false);
	json_t *roles = emit(j->part[ROLES], false), *rules = emit(j->part[RULES], true);

	return json_pack("{s:I, s:o, s:o, s:o, s:o}", "version", j->version, "zones", zones,
			 "targets", targets, "roles", roles, "rules", rules);
}
