/* SPDX-License-Identifier: BSD-3-Clause */
#include "allow_cert.h"

#include <stdio.h>
#include <stdlib.h>

#define MAX 64

struct entry {
	char name[96];
	uint16_t roles;
};

struct sl_allow_cert {
	unsigned n;
	struct entry e[MAX];
};

static int
invalid(struct sl_error *e, const char *entry, const char *why)
{
	sl_fail(e, -EINVAL, "allow_cert_invalid", "--allow-cert", "\"%.80s\": %s", entry, why);
	sl_hint(e, "NAME=ROLE,ROLE;NAME=ROLE, as in \"alice=admin;prometheus=viewer\"");
	return -EINVAL;
}

static int
add(struct sl_allow_cert *a, char *entry, struct sl_error *e)
{
	char *roles = strchr(entry, '='), *word, *rest;
	struct entry *x = &a->e[a->n];
	enum sl_service_role r;

	if (roles == NULL || roles == entry)
		return invalid(e, entry, "not NAME=ROLE");
	if (a->n == MAX)
		return invalid(e, entry, "too many entries");
	*roles++ = '\0';
	if ((size_t)snprintf(x->name, sizeof(x->name), "%s", entry) >= sizeof(x->name))
		return invalid(e, entry, "the name is too long");
	for (word = strtok_r(roles, ", ", &rest); word; word = strtok_r(NULL, ", ", &rest)) {
		if (sl_service_role_parse(word, &r) != 0)
			return invalid(e, word, "no service role");
		x->roles |= (uint16_t)SL_SR_BIT(r);
	}
	if (x->roles == 0)
		return invalid(e, entry, "no role");
	a->n++;
	return 0;
}

struct sl_allow_cert *
sl_allow_cert_new(const char *text, struct sl_error *e)
{
	struct sl_allow_cert *a = calloc(1, sizeof(*a));
	char *copy = strdup(text != NULL ? text : ""), *entry, *rest;
	int rc = a != NULL && copy != NULL ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");

	if (rc == 0) {
		for (entry = strtok_r(copy, "; ", &rest); entry && rc == 0;
		     entry = strtok_r(NULL, "; ", &rest))
			rc = add(a, entry, e);
	}
	free(copy);
	if (rc == 0)
		return a;
	free(a);
	return NULL;
}

void
sl_allow_cert_free(struct sl_allow_cert *a)
{
	free(a);
}

/** What a component's own name makes it: another control server follows. */
static uint16_t
component(const char *kind)
{
	static const struct {
		const char *kind;
		enum sl_service_role role;
	} known[] = {{"control", SL_SR_FOLLOWER},
		     {"gateway", SL_SR_GATEWAY},
		     {"agent", SL_SR_AGENT}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(known); i++) {
		if (strcmp(known[i].kind, kind) == 0)
			return (uint16_t)SL_SR_BIT(known[i].role);
	}
	return 0;
}

static bool
is_person(const struct sl_tls_id *id)
{
	return id->kind[0] == '\0' || strcmp(id->kind, "operator") == 0;
}

/** A plain name is a person's: the certificate of a gateway of that name does not get its roles,
 * and a person's that looks like KIND/NAME is none.
 */
static bool
matches(const struct entry *x, const struct sl_tls_id *id)
{
	char uri[96];

	snprintf(uri, sizeof(uri), "%s/%s", id->kind, id->name);
	if (id->kind[0] != '\0' && strcmp(x->name, uri) == 0)
		return true;
	return is_person(id) && id->cn[0] != '\0' && strchr(id->cn, '/') == NULL &&
	       strcmp(x->name, id->cn) == 0;
}

int
sl_allow_cert_find(const struct sl_allow_cert *a, const struct sl_tls_id *id,
		   struct sl_principal *out)
{
	const char *name = id->name[0] != '\0' ? id->name : id->cn;

	*out = (struct sl_principal){0};
	for (unsigned i = 0; i < a->n && out->roles == 0; i++) {
		if (matches(&a->e[i], id))
			out->roles = a->e[i].roles;
	}
	if (out->roles == 0)
		out->roles = component(id->kind);
	if (out->roles == 0 || strlen(name) >= sizeof(out->bound))
		return -EACCES;
	snprintf(out->name, sizeof(out->name), "cert:%s%s%.63s", is_person(id) ? "" : id->kind,
		 is_person(id) ? "" : "/", name);
	snprintf(out->bound, sizeof(out->bound), "%.63s", name);
	return 0;
}
