/* SPDX-License-Identifier: BSD-3-Clause */
/* The document as a whole, and its zones, targets and roles. */
#include <stdlib.h>

#include "doc_int.h"

static int
read_version(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 0, UINT32_MAX, "field_range", &n);

	*(uint32_t *)out = (uint32_t)n;
	return rc;
}

/** @return field_range for an empty list */
static int
not_empty(struct doc *d, unsigned n)
{
	return n > 0 ? 0 : sl_json_fail(&d->at, "field_range", "the list is empty");
}

/* --- zones ------------------------------------------------------------------------------------ */

static int
read_zone_id(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 1, SL_POL_ID_MAX, "field_range", &n);

	*(uint32_t *)out = (uint32_t)n;
	return rc;
}

static int
read_zone_type(struct doc *d, json_t *v, void *out)
{
	static const char *const words[] = {"internal", "vpn", "external"};
	unsigned at = 0;
	int rc = doc_word(d, v, words, SL_ARRAY_SIZE(words), &at);

	*(enum sl_pol_zone_type *)out = (enum sl_pol_zone_type)at;
	return rc;
}

static int
read_nets(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_zone *z = out;
	int rc = doc_list(d, v, sizeof(*z->nets), doc_read_place, &z->nets, &z->n_nets);

	return rc < 0 ? rc : not_empty(d, z->n_nets);
}

static int
read_zone(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"id", read_zone_id, offsetof(struct sl_pol_zone, id), true},
		{"type", read_zone_type, offsetof(struct sl_pol_zone, type), false},
		{"networks", read_nets, 0, true},
		{"default_policy", doc_read_action, offsetof(struct sl_pol_zone, allow), false},
	};
	struct sl_pol_zone *z = out;
	int rc = doc_name_text(d, d->name, z->name);

	z->type = SL_ZONE_EXTERNAL;
	return rc < 0 ? rc : doc_object(d, v, fields, SL_ARRAY_SIZE(fields), z);
}

static int
read_zones(struct doc *d, json_t *v, void *out)
{
	struct sl_policy *p = out;

	return doc_map(d, v, sizeof(*p->zones), read_zone, &p->zones, &p->n_zones);
}

/* --- targets ---------------------------------------------------------------------------------- */

static int
read_addrs(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_target *t = out;

	return doc_list(d, v, sizeof(*t->addrs), doc_read_place, &t->addrs, &t->n_addrs);
}

static int
read_target(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"addresses", read_addrs, 0, true},
		{"description", doc_read_text, offsetof(struct sl_pol_target, desc), false},
		{"withdrawn", doc_read_bool, offsetof(struct sl_pol_target, withdrawn), false},
	};
	struct sl_pol_target *t = out;
	int rc = doc_name_text(d, d->name, t->name);

	return rc < 0 ? rc : doc_object(d, v, fields, SL_ARRAY_SIZE(fields), t);
}

static int
read_targets(struct doc *d, json_t *v, void *out)
{
	struct sl_policy *p = out;

	return doc_map(d, v, sizeof(*p->targets), read_target, &p->targets, &p->n_targets);
}

/* --- roles ------------------------------------------------------------------------------------ */

static int
read_role_id(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 1, SL_POL_ID_MAX, "role_id_invalid", &n);

	*(uint32_t *)out = (uint32_t)n;
	return rc;
}

static int
read_members(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_role *r = out;

	return doc_list(d, v, sizeof(*r->members), doc_read_member, &r->members, &r->n_members);
}

static int
read_idp_down(struct doc *d, json_t *v, void *out)
{
	static const char *const words[] = {"serve", "deny"};
	unsigned at = 0;
	int rc = doc_word(d, v, words, SL_ARRAY_SIZE(words), &at);

	*(enum sl_pol_idp_down *)out = (enum sl_pol_idp_down)at;
	return rc;
}

static int
read_role(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"id", read_role_id, offsetof(struct sl_pol_role, id), false},
		{"description", doc_read_text, offsetof(struct sl_pol_role, desc), false},
		{"on_idp_down", read_idp_down, offsetof(struct sl_pol_role, on_idp_down), false},
		{"members", read_members, 0, false},
	};
	struct sl_pol_role *r = out;
	int rc = doc_name_text(d, d->name, r->name);

	return rc < 0 ? rc : doc_object(d, v, fields, SL_ARRAY_SIZE(fields), r);
}

static int
read_roles(struct doc *d, json_t *v, void *out)
{
	struct sl_policy *p = out;

	return doc_map(d, v, sizeof(*p->roles), read_role, &p->roles, &p->n_roles);
}

/* --- all -------------------------------------------------------------------------------------- */

static json_t *
load(const char *text, size_t len, struct sl_error *e)
{
	json_error_t je;
	json_t *v = NULL;
	char *copy;

	if (len > SL_POLICY_DOC_MAX) {
		sl_fail(e, -EFBIG, "json_too_large", "", "the document is larger than %u bytes",
			SL_POLICY_DOC_MAX);
		return NULL;
	}
	copy = malloc(len + 1);
	if (copy == NULL) {
		doc_no_memory(e);
		return NULL;
	}
	memcpy(copy, text, len);
	if (sl_policy_doc_clean(copy, len, e) == 0) {
		v = json_loadb(copy, len, JSON_REJECT_DUPLICATES, &je);
		if (v == NULL)
			sl_fail(e,
				json_error_code(&je) == json_error_out_of_memory ? -ENOMEM
										 : -EINVAL,
				json_error_code(&je) == json_error_out_of_memory ? "no_memory"
										 : "json_syntax",
				"", "line %d column %d: %s", je.line, je.column, je.text);
	}
	free(copy);
	return v;
}

int
sl_policy_doc_parse(const char *text, size_t len, struct sl_policy **out, struct sl_error *e)
{
	static const struct doc_field fields[] = {
		{"version", read_version, offsetof(struct sl_policy, version), false},
		{"zones", read_zones, 0, false},
		{"targets", read_targets, 0, false},
		{"roles", read_roles, 0, false},
		{"rules", doc_read_rules, 0, false},
		{"tests", doc_read_tests, 0, false},
	};
	struct sl_error own = {0};
	struct doc d = {.at.e = e != NULL ? e : &own};
	struct sl_policy *p;
	json_t *v;
	int rc;

	v = load(text, len, d.at.e);
	if (v == NULL)
		return d.at.e->err;
	p = sl_policy_new();
	rc = p != NULL ? doc_object(&d, v, fields, SL_ARRAY_SIZE(fields), p)
		       : doc_no_memory(d.at.e);
	json_decref(v);
	if (rc < 0) {
		sl_policy_free(p);
		return rc;
	}
	*out = p;
	return 0;
}
