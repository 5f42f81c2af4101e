/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects as a reader of an earlier schema is sent them, and what an earlier reader leaves of them.
 */
#include "model_int.h"

static bool
is_newer(const struct model_field *f, unsigned schema)
{
	return f->since > schema;
}

static bool
has_newer_value(const struct model_field *f, const json_t *v, unsigned schema)
{
	return is_newer(f, schema) || (f->text_since > schema && json_is_string(v));
}

/** Does a field of the table, at any depth, exist only since a later schema? */
static bool
has_newer(const struct model_field *fields, unsigned schema)
{
	for (const struct model_field *f = fields; f->name != NULL; f++) {
		if (is_newer(f, schema) || f->text_since > schema ||
		    (f->type == MODEL_OBJECT && has_newer(f->fields, schema)))
			return true;
	}
	return false;
}

/** Take out what is newer. @return false if the whole may not be sent */
static bool
drop_newer(const struct model_field *fields, unsigned schema, json_t *v, bool *changed)
{
	for (const struct model_field *f = fields; f->name != NULL; f++) {
		json_t *x = json_object_get(v, f->name);

		if (x == NULL)
			continue;
		if (is_newer(f, schema) && f->restricts)
			return false;
		if (has_newer_value(f, x, schema)) {
			*changed = true;
			json_object_del(v, f->name);
		} else if (f->type == MODEL_OBJECT && !drop_newer(f->fields, schema, x, changed)) {
			return false;
		}
	}
	return true;
}

enum sl_older
model_older(const struct model_kind *kind, const json_t *body, unsigned schema, json_t **out)
{
	bool changed = false;

	*out = NULL;
	if (kind->since > schema)
		return SL_OLDER_WITHHELD;
	if (!has_newer(kind->fields, schema))
		return SL_OLDER_SAME;
	*out = json_deep_copy(body);
	if (*out == NULL)
		return SL_OLDER_NO_MEMORY;
	if (!drop_newer(kind->fields, schema, *out, &changed)) {
		json_decref(*out);
		*out = NULL;
		return SL_OLDER_WITHHELD;
	}
	if (changed)
		return SL_OLDER_CHANGED;
	json_decref(*out);
	*out = NULL;
	return SL_OLDER_SAME;
}

enum sl_older
sl_object_older(enum sl_kind k, const json_t *body, unsigned schema, json_t **out)
{
	return model_older(model_kind(k), body, schema, out);
}

bool
sl_kind_is_newer(enum sl_kind k, unsigned schema)
{
	const struct model_kind *kind = model_kind(k);

	return kind->since > schema || has_newer(kind->fields, schema);
}

void
sl_object_drop_unknown(enum sl_kind k, json_t *body)
{
	const struct model_kind *kind = model_kind(k);
	const char *key;
	void *next;
	json_t *v;

	json_object_foreach_safe(body, next, key, v)
	{
		if (model_field(kind->fields, key) == NULL)
			json_object_del(body, key);
	}
}
