/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts of the policy document, checked by its own parser: an object is wrapped into a document of
 * its own, and what it refers to is taken to be there. */
#include <stdlib.h>

#include "model_int.h"
#include "sl_policy_doc.h"

/** An error's place inside the document becomes one inside the body. */
static void
move_path(struct sl_error *e, const char *root, const char *otherwise)
{
	size_t n = strlen(root);
	bool under = strncmp(e->path, root, n) == 0 && (e->path[n] == '/' || e->path[n] == '\0');
	char rest[sizeof(e->path)];

	if (e->path[0] == '\0')
		return;
	memcpy(rest, e->path, sizeof(rest));
	snprintf(e->path, sizeof(e->path), "%s", under ? rest + n : otherwise);
}

/** The roles and targets that a lone rule refers to: of both families, so that they fit. */
static int
add_names(struct sl_policy *p)
{
	static const struct sl_pol_place any[2] = {{.prefix.ip.family = 4},
						   {.prefix.ip.family = 6}};
	const struct sl_pol_rule *r = &p->rules[0];
	struct sl_pol_target *t;

	p->roles = calloc(1, sizeof(*p->roles));
	p->targets = calloc(r->n_to + 1, sizeof(*p->targets));
	if (p->roles == NULL || p->targets == NULL)
		return -ENOMEM;
	p->n_roles = 1;
	memcpy(p->roles[0].name, r->role, sizeof(r->role));
	for (unsigned i = 0, k; i < r->n_to; i++) {
		const char *name = r->to[i].target;

		for (k = 0; k < p->n_targets && strcmp(p->targets[k].name, name) != 0; k++)
			;
		if (name[0] == '\0' || k < p->n_targets)
			continue;
		t = &p->targets[p->n_targets++];
		memcpy(t->name, name, sizeof(t->name));
		t->addrs = malloc(sizeof(any));
		if (t->addrs == NULL)
			return -ENOMEM;
		memcpy(t->addrs, any, sizeof(any));
		t->n_addrs = SL_ARRAY_SIZE(any);
	}
	return 0;
}

/** @param doc taken over */
static int
check_document(json_t *doc, struct sl_error *e)
{
	struct sl_policy *p = NULL;
	char *text = doc != NULL ? json_dumps(doc, JSON_COMPACT) : NULL;
	int rc;

	json_decref(doc);
	if (text == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the check");
	rc = sl_policy_doc_parse(text, strlen(text), &p, e);
	free(text);
	if (rc < 0)
		return rc;
	rc = p->n_rules == 1 ? add_names(p) : 0;
	rc = rc == 0 ? sl_policy_check(p, NULL, 0, e)
		     : sl_fail(e, rc, "no_memory", "", "no memory for the check");
	sl_policy_free(p);
	return rc;
}

int
model_check_policy(struct model_check *c, enum sl_kind k, const char *id, json_t *body)
{
	static const char *const part[] = {
		[SL_KIND_ZONE] = "zones", [SL_KIND_TARGET] = "targets", [SL_KIND_ROLE] = "roles"};
	char root[SL_OBJ_ID + 16];
	int rc;

	if (k == SL_KIND_RULE) {
		snprintf(root, sizeof(root), "/rules/0");
		rc = check_document(json_pack("{s:[O]}", "rules", body), c->at.e);
	} else {
		snprintf(root, sizeof(root), "/%s/%s", part[k], id);
		rc = check_document(json_pack("{s:{s:O}}", part[k], id, body), c->at.e);
	}
	if (rc == 0 || rc == -ENOMEM)
		return rc;
	/* elsewhere are the names that a rule refers to */
	move_path(c->at.e, root, strncmp(c->at.e->path, "/roles", 6) == 0 ? "/role" : "/to");
	return c->at.e->err = -EINVAL;
}

/** The object form of a member, which can say all of it. */
static json_t *
as_member(json_t *body)
{
	const char *member = sl_json_text(body, "member"), *end = strrchr(member, '@');
	json_t *o = json_object();

	if (strncmp(member, "peer:", 5) != 0) {
		json_object_set(o, "prefix", json_object_get(body, "member"));
	} else {
		end = end != NULL ? end : member + strlen(member);
		json_object_set_new(o, "peer",
				    json_stringn(member + 5, (size_t)(end - member - 5)));
		json_object_set(o, "interface", json_object_get(body, "interface"));
	}
	if (json_object_get(body, "expires_at") != NULL)
		json_object_set(o, "expires", json_object_get(body, "expires_at"));
	json_object_set(o, "source", json_object_get(body, "source"));
	return o;
}

int
model_check_member(struct model_check *c, json_t *body)
{
	static const struct {
		const char *there, *here;
	} places[] = {{"/prefix", "/member"},
		      {"/peer", "/member"},
		      {"/interface", "/interface"},
		      {"/expires", "/expires_at"},
		      {"/source", "/source"}};
	char root[SL_OBJ_ID + 32], rest[sizeof(c->at.e->path)];
	const char *role = sl_json_text(body, "role");
	int rc = check_document(json_pack("{s:{s:{s:[o]}}}", "roles", role, "members",
					  as_member(body)),
				c->at.e);

	if (rc == 0 || rc == -ENOMEM)
		return rc;
	snprintf(root, sizeof(root), "/roles/%s/members/0", role);
	move_path(c->at.e, root, "/role");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(places); i++) {
		size_t n = strlen(places[i].there);

		if (strncmp(c->at.e->path, places[i].there, n) != 0)
			continue;
		memcpy(rest, c->at.e->path, sizeof(rest));
		snprintf(c->at.e->path, sizeof(c->at.e->path), "%s%s", places[i].here, rest + n);
		break;
	}
	if (c->at.e->path[0] == '\0') /* the model knows members as a whole */
		memcpy(c->at.e->path, "/member", 8);
	return c->at.e->err = -EINVAL;
}
