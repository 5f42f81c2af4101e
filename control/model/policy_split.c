/* SPDX-License-Identifier: BSD-3-Clause */
/* A policy document as objects. */
#include <stdlib.h>

#include "sl_policy.h"
#include "sl_policy_objects.h"

struct split {
	json_t *out;
	bool ok;
};

/** @param obj taken over */
static void
add(struct split *s, enum sl_kind k, const char *id, json_t *obj)
{
	json_t *o = json_pack("{s:s, s:s, s:o}", "kind", sl_kind_name(k), "id", id, "obj", obj);

	s->ok &= json_array_append_new(s->out, o) == 0;
}

static void
add_map(struct split *s, enum sl_kind k, json_t *map)
{
	const char *name;
	json_t *v;

	json_object_foreach (map, name, v)
		add(s, k, name, json_incref(v));
}

/* --- roles: their ids are fixed here, for objects have no order ------------------------------- */

static int
cmp_id(const void *a, const void *b)
{
	json_int_t x = *(const json_int_t *)a, y = *(const json_int_t *)b;

	return x < y ? -1 : x > y;
}

/** The lowest ids that are not used, in the order of the document, as sl_policy_check() gives them.
 */
static void
add_roles(struct split *s, json_t *roles)
{
	json_int_t *used = calloc(json_object_size(roles) + 1, sizeof(*used)), next = 1;
	size_t n = 0, at = 0;
	const char *name;
	json_t *v, *copy;

	s->ok &= used != NULL;
	if (used == NULL)
		return;
	json_object_foreach (roles, name, v) {
		if (json_object_get(v, "id") != NULL)
			used[n++] = json_integer_value(json_object_get(v, "id"));
	}
	qsort(used, n, sizeof(*used), cmp_id);
	json_object_foreach (roles, name, v) {
		copy = json_copy(v);
		if (json_object_get(v, "id") == NULL) {
			for (; at < n && used[at] <= next; at++)
				next += used[at] == next;
			s->ok &= json_object_set_new(copy, "id", json_integer(next++)) == 0;
		}
		add(s, SL_KIND_ROLE, name, copy);
	}
	free(used);
}

static void
add_rules(struct split *s, json_t *rules)
{
	char id[SL_OBJ_ID];
	const char *role;
	json_t *v;
	size_t i;

	json_array_foreach (rules, i, v) {
		role = json_string_value(json_object_get(v, "role"));
		snprintf(id, sizeof(id), "%.63s/%lld", role != NULL ? role : "",
			 (long long)json_integer_value(json_object_get(v, "id")));
		add(s, SL_KIND_RULE, id, json_incref(v));
	}
}

int
sl_policy_split(json_t *doc, uint32_t version, json_t **out, struct sl_error *e)
{
	struct split s = {.out = json_array()};

	s.ok = s.out != NULL;
	add(&s, SL_KIND_POLICY, "policy", json_pack("{s:I}", "version", (json_int_t)version));
	add_map(&s, SL_KIND_ZONE, json_object_get(doc, "zones"));
	add_map(&s, SL_KIND_TARGET, json_object_get(doc, "targets"));
	add_roles(&s, json_object_get(doc, "roles"));
	add_rules(&s, json_object_get(doc, "rules"));
	if (s.ok) {
		*out = s.out;
		return 0;
	}
	json_decref(s.out);
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the parts of the policy");
}
