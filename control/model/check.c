/* SPDX-License-Identifier: BSD-3-Clause */
/* The check of one object. */
#include <stdio.h>

#include "model_int.h"

int
model_wrong_type(struct model_check *c, const char *want, const json_t *v)
{
	sl_json_wrong_type(&c->at, want, v);
	if (json_is_null(v))
		sl_hint(c->at.e, "leave the field out instead");
	return -EINVAL;
}

/* --- fields ----------------------------------------------------------------------------------- */

/** At the field. */
static int
unknown_field(struct model_check *c, const struct model_field *fields, const char *key, json_t *v)
{
	char known[200] = "";
	size_t len = 0;

	if (c->unknown != NULL) {
		json_array_append_new(c->unknown, json_string(c->at.path));
		return model_check_free(c, v);
	}
	sl_json_fail(&c->at, "field_unknown", "there is no field \"%.63s\" here", key);
	for (; fields->name != NULL && len < sizeof(known); fields++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s",
					len > 0 ? ", " : "", fields->name);
	sl_hint(c->at.e, "known are %s", known);
	return -EINVAL;
}

int
model_check_fields(struct model_check *c, const struct model_field *fields, json_t *v)
{
	const struct model_field *f;
	const char *key;
	json_t *value;
	size_t was;
	int rc;

	if (!json_is_object(v))
		return model_wrong_type(c, "an object", v);
	json_object_foreach (v, key, value) {
		f = model_field(fields, key);
		was = sl_json_key(&c->at, key);
		rc = f != NULL ? model_check_value(c, f, f->type, value)
			       : unknown_field(c, fields, key, value);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	for (f = fields; f->name != NULL; f++) {
		if (f->required && json_object_get(v, f->name) == NULL)
			return sl_json_fail_at(&c->at, f->name, "field_missing",
					       "\"%s\" is missing", f->name);
	}
	return 0;
}

/** Parts of the document: the table knows their fields, the parser what may stand in them. */
static int
check_policy(struct model_check *c, enum sl_kind k, const char *id, json_t *body)
{
	const struct model_kind *kind = model_kind(k);
	json_t *known, *value;
	const char *key;
	size_t was;
	int rc = 0;

	if (!json_is_object(body))
		return model_wrong_type(c, "an object", body);
	known = json_object();
	json_object_foreach (body, key, value) {
		was = sl_json_key(&c->at, key);
		if (model_field(kind->fields, key) == NULL)
			rc = unknown_field(c, kind->fields, key, value);
		else if (json_object_set(known, key, value) < 0)
			rc = sl_fail(c->at.e, -ENOMEM, "no_memory", "", "no memory for the check");
		if (rc < 0)
			break;
		sl_json_up(&c->at, was);
	}
	if (rc == 0)
		rc = model_check_policy(c, k, id, known);
	json_decref(known);
	return rc;
}

int
sl_object_check(enum sl_kind k, const char *id, json_t *body, json_t *unknown, struct sl_error *e)
{
	const struct model_kind *kind = model_kind(k);
	struct sl_error own = {0};
	struct model_check c = {.at.e = e != NULL ? e : &own, .unknown = unknown};
	int rc;

	if (kind == NULL)
		return sl_fail(c.at.e, -EINVAL, "kind_unknown", "", "there is no kind %u",
			       (unsigned)k);
	if (kind->strict)
		c.unknown = NULL;
	rc = kind->id(&c, id);
	if (rc == 0)
		rc = model_check_forbidden(&c, kind, body);
	if (rc == 0)
		rc = kind->policy ? check_policy(&c, k, id, body)
				  : model_check_fields(&c, kind->fields, body);
	if (rc == 0 && kind->also != NULL)
		rc = kind->also(&c, id, body);
	return rc;
}

int
sl_object_scope(enum sl_kind k, const char *id, const json_t *body, char out[SL_OBJ_SCOPE])
{
	const char *s = "";
	size_t n;

	switch (k) {
	case SL_KIND_INTERFACE:
	case SL_KIND_GATEWAY:
		s = id;
		break;
	case SL_KIND_GATEWAY_INTERFACE:
		s = sl_json_text(body, "gateway");
		break;
	case SL_KIND_PEER:
	case SL_KIND_ROLE_MAP:
		s = sl_json_text(body, "interface");
		break;
	default:
		out[0] = '\0';
		return (unsigned)k < SL_KIND_N ? 0 : -EINVAL;
	}
	n = strlen(s);
	if (n == 0 || n >= SL_OBJ_SCOPE)
		return -EINVAL;
	memcpy(out, s, n + 1);
	return 0;
}
