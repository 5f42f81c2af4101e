/* SPDX-License-Identifier: BSD-3-Clause */
/* Role mappings: ROLE:MEMBER says both, so that one that is gone needs no memory of its body. */
#include <stdio.h>

#include "cp.h"

#define PEER "peer:"

static int
copy(char *to, size_t room, const char *from, size_t n)
{
	if (n == 0 || n >= room)
		return -EINVAL;
	memcpy(to, from, n);
	to[n] = '\0';
	return 0;
}

static int
parse_iface(const char *text, bool *any, char out[SL_POL_IFACE])
{
	*any = strcmp(text, "*") == 0;
	return *any ? 0 : copy(out, SL_POL_IFACE, text, strlen(text));
}

int
cp_member_parse(const char *text, struct sl_pol_member *out)
{
	const char *at = strrchr(text, '@');
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);
	char prefix[SL_PREFIX_STR];
	bool any;

	*out = (struct sl_pol_member){.source = SL_SOURCE_DYNAMIC};
	if (at != NULL && parse_iface(at + 1, &any, out->place.iface) != 0)
		return -EINVAL;
	if (strncmp(text, PEER, sizeof(PEER) - 1) == 0)
		return copy(out->peer, sizeof(out->peer), text + sizeof(PEER) - 1,
			    n - (sizeof(PEER) - 1));
	if (at == NULL || copy(prefix, sizeof(prefix), text, n) != 0 ||
	    sl_prefix_parse(prefix, &out->place.prefix) != 0 || sl_prefix_mask(&out->place.prefix))
		return -EINVAL;
	return 0;
}

/* @return the length of the role's name in front of the member, 0: the id is none */
static int
parse_id(const char *id, char role[SL_POL_NAME], struct sl_pol_member *m, struct sl_error *e)
{
	const char *colon = strchr(id, ':');

	if (colon != NULL && copy(role, SL_POL_NAME, id, (size_t)(colon - id)) == 0 &&
	    cp_member_parse(colon + 1, m) == 0)
		return 0;
	return sl_fail(e, -EINVAL, "id_invalid", "", "\"%.100s\" is not ROLE:MEMBER", id);
}

static void
read_body(const json_t *body, struct sl_pol_member *m)
{
	const char *expires = json_string_value(json_object_get(body, "expires_at"));
	const json_t *source = json_object_get(body, "source");
	const char *type = json_string_value(json_object_get(source, "type"));
	const char *provider = json_string_value(json_object_get(source, "provider"));

	if (expires != NULL)
		sl_time_parse(expires, &m->expires_ns);
	if (type != NULL && strcmp(type, "idp") == 0)
		m->source = SL_SOURCE_IDP;
	snprintf(m->provider, sizeof(m->provider), "%s", provider != NULL ? provider : "");
}

/* Only what ends sooner than it does now. */
static int
shorten(struct sl_cp *cp, const char *role, const struct sl_pol_member *m, struct sl_error *e)
{
	struct sl_pol_member now;

	if (!sl_gw_fed_find(cp->gw, role, m, &now) || m->expires_ns == 0 ||
	    (now.expires_ns != 0 && now.expires_ns <= m->expires_ns))
		return 0;
	now.expires_ns = m->expires_ns;
	return sl_gw_fed_put(cp->gw, role, &now, false, e);
}

int
cp_member_apply(struct sl_cp *cp, const char *id, bool staged, enum cp_how how, struct sl_error *e)
{
	struct sl_pol_member m;
	char role[SL_POL_NAME];
	int rc = parse_id(id, role, &m, e);
	json_t *body;

	if (rc != 0)
		return rc;
	body = cp_object(cp, SL_KIND_ROLE_MAP, id, e);
	if (body == NULL && e->err != 0)
		return e->err;
	if (body == NULL) {
		rc = sl_gw_fed_del(cp->gw, role, &m, staged);
		return rc == -ENOMEM ? gw_no_memory(e) : 0;
	}
	read_body(body, &m);
	json_decref(body);
	if (how != CP_WHOLE)
		return shorten(cp, role, &m, e);
	return sl_gw_fed_put(cp->gw, role, &m, staged, e);
}
