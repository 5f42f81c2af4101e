/* SPDX-License-Identifier: BSD-3-Clause */
/* Forms of ids. */
#include <stdio.h>

#include "model_int.h"
#include "sl_policy.h"

#define CERT "cert:"
#define TOKEN "token:"
#define TARGET "target:"
#define SERIAL_MAX 46 /* struct sl_tls_id; RFC 5280 section 4.1.2.2 has 40 at most */
#define TOKEN_LEN 10

static int
bad_id(struct model_check *c, const char *id, const char *form)
{
	sl_fail(c->at.e, -EINVAL, "id_invalid", "", "\"%.80s\" is no id for this kind", id);
	sl_hint(c->at.e, "%s", form);
	return -EINVAL;
}

/** The part up to a colon. @return what stands behind it, NULL: there is none, or no room */
static const char *
part(const char *s, char out[SL_OBJ_ID])
{
	const char *colon = strchr(s, ':');
	size_t n = colon != NULL ? (size_t)(colon - s) : 0;

	if (colon == NULL || n >= SL_OBJ_ID)
		return NULL;
	memcpy(out, s, n);
	out[n] = '\0';
	return colon + 1;
}

/** 1 to max, without sign or leading zero. */
static bool
is_number(const char *s, uint64_t max)
{
	uint64_t n = 0;

	if (s[0] < '1' || s[0] > '9' || strlen(s) > 10)
		return false;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + (uint64_t)(*s - '0');
	return *s == '\0' && n <= max;
}

static bool
is_token(const char *s)
{
	return strlen(s) == TOKEN_LEN && strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
						   "abcdefghijklmnopqrstuvwxyz") == TOKEN_LEN;
}

int
model_id_node(struct model_check *c, const char *id)
{
	return model_is_node(id) ? 0
				 : bad_id(c, id,
					  "use 1 to 63 characters of a-z 0-9 -, without - "
					  "at an end");
}

int
model_id_name(struct model_check *c, const char *id)
{
	return model_is_name(id) ? 0
				 : bad_id(c, id,
					  "use 1 to 63 characters of A-Z a-z 0-9 _ . -, a "
					  "letter or digit first");
}

int
model_id_interface(struct model_check *c, const char *id)
{
	return model_is_interface(id)
		       ? 0
		       : bad_id(c, id, "use 1 to 15 characters of A-Z a-z 0-9 _ . -");
}

int
model_id_policy(struct model_check *c, const char *id)
{
	return strcmp(id, "policy") == 0 ? 0 : bad_id(c, id, "there is one: \"policy\"");
}

int
model_id_version(struct model_check *c, const char *id)
{
	return strcmp(id, "0") == 0 || is_number(id, UINT32_MAX)
		       ? 0
		       : bad_id(c, id, "the document's version, a number");
}

int
model_id_rule(struct model_check *c, const char *id)
{
	const char *slash = strchr(id, '/');
	size_t n = slash != NULL ? (size_t)(slash - id) : 0;
	char role[SL_POL_NAME];

	if (n > 0 && n < sizeof(role)) {
		memcpy(role, id, n);
		role[n] = '\0';
		if (model_is_name(role) && is_number(slash + 1, SL_POL_ID_MAX))
			return 0;
	}
	return bad_id(c, id, "write ROLE/ID");
}

int
model_id_gateway_interface(struct model_check *c, const char *id)
{
	char gateway[SL_OBJ_ID];
	const char *iface = part(id, gateway);

	return iface != NULL && model_is_node(gateway) && model_is_interface(iface)
		       ? 0
		       : bad_id(c, id, "write GATEWAY:INTERFACE");
}

int
model_id_role_map(struct model_check *c, const char *id)
{
	char role[SL_OBJ_ID];
	const char *member = part(id, role);

	return member != NULL && model_is_name(role) && member[0] != '\0' && strlen(id) < SL_OBJ_ID
		       ? 0
		       : bad_id(c, id, "write ROLE:MEMBER, for example staff:peer:alice");
}

int
model_id_crl(struct model_check *c, const char *id)
{
	const char *s;
	size_t n;

	if (strncmp(id, TOKEN, strlen(TOKEN)) == 0 && is_token(id + strlen(TOKEN)))
		return 0;
	if (strncmp(id, CERT, strlen(CERT)) == 0) {
		s = id + strlen(CERT);
		n = strlen(s);
		/* one serial, one id: a second spelling would revoke nothing */
		if (n >= 2 && n % 2 == 0 && n <= SERIAL_MAX && strncmp(s, "00", 2) != 0 &&
		    strspn(s, "0123456789abcdef") == n)
			return 0;
	}
	return bad_id(c, id,
		      "write cert:SERIAL, lower-case hex with two digits a byte, or token:ID");
}

int
model_id_token(struct model_check *c, const char *id)
{
	return is_token(id) ? 0 : bad_id(c, id, "10 characters of A-Z a-z 0-9");
}

int
model_id_allocation(struct model_check *c, const char *id)
{
	char gateway[SL_OBJ_ID], iface[SL_OBJ_ID], text[SL_IP_STR];
	const char *rest = part(id, gateway), *address;
	struct sl_ip ip;

	address = rest != NULL ? part(rest, iface) : NULL;
	if (address == NULL || !model_is_node(gateway) || !model_is_interface(iface) ||
	    sl_ip_parse(address, &ip) < 0)
		return bad_id(c, id, "write GATEWAY:INTERFACE:ADDRESS");
	/* one address, one id */
	return strcmp(sl_ip_str(&ip, text), address) == 0
		       ? 0
		       : bad_id(c, id, "write the address in its usual form (RFC 5952)");
}

int
model_id_migration(struct model_check *c, const char *id)
{
	bool ok = strcmp(id, "deployment") == 0 ||
		  (strncmp(id, TARGET, strlen(TARGET)) == 0 && model_is_name(id + strlen(TARGET)));

	return ok ? 0 : bad_id(c, id, "write deployment or target:NAME");
}

int
model_id_setting(struct model_check *c, const char *id)
{
	size_t n = strlen(id);

	if (n < 1 || n > 63 || id[0] < 'a' || id[0] > 'z' ||
	    strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789_") != n)
		return bad_id(c, id, "use 1 to 63 characters of a-z 0-9 _, a letter first");
	return model_check_forbidden_name(c, id);
}
