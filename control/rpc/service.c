/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_service.h"

#include <errno.h>

static const char *const names[SL_SR_N] = {
	[SL_SR_ADMIN] = "admin",     [SL_SR_OPERATOR] = "operator", [SL_SR_APPROVER] = "approver",
	[SL_SR_AUDITOR] = "auditor", [SL_SR_VIEWER] = "viewer",	    [SL_SR_FOLLOWER] = "follower",
	[SL_SR_GATEWAY] = "gateway", [SL_SR_AGENT] = "agent",	    [SL_SR_PEER] = "peer",
};

const struct sl_principal sl_service_local = {.name = "local", .roles = SL_SR_BIT(SL_SR_ADMIN)};

const char *
sl_service_role_name(enum sl_service_role r)
{
	return (unsigned)r < SL_SR_N ? names[r] : NULL;
}

static int
find(const char *name, size_t len, enum sl_service_role *out)
{
	for (unsigned i = 0; i < SL_SR_N; i++) {
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0) {
			*out = i;
			return 0;
		}
	}
	return -EINVAL;
}

int
sl_service_role_parse(const char *name, enum sl_service_role *out)
{
	return find(name, strlen(name), out);
}

/** A role of a schema, and those above it. */
static uint16_t
with_above(enum sl_service_role r)
{
	switch (r) {
	case SL_SR_VIEWER:
		return SL_SR_BIT(SL_SR_VIEWER) | SL_SR_BIT(SL_SR_AUDITOR) |
		       SL_SR_BIT(SL_SR_APPROVER) | SL_SR_BIT(SL_SR_OPERATOR) |
		       SL_SR_BIT(SL_SR_ADMIN);
	case SL_SR_OPERATOR:
		return SL_SR_BIT(SL_SR_OPERATOR) | SL_SR_BIT(SL_SR_ADMIN);
	default:
		return SL_SR_BIT(r);
	}
}

int
sl_service_roles_parse(const char *words, uint16_t *out, bool *open)
{
	uint16_t roles = 0;
	bool all = false;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");
		enum sl_service_role r;

		if (len == 4 && memcmp(words, "open", 4) == 0) {
			all = true;
			roles = SL_SR_ALL;
		} else if (len == 3 && memcmp(words, "any", 3) == 0) {
			roles = SL_SR_ALL;
		} else if (find(words, len, &r) == 0) {
			roles |= with_above(r);
		} else if (len > 0) {
			return -EINVAL;
		}
		words += len + (words[len] == ' ');
	}
	if (roles == 0)
		return -EINVAL;
	*out = roles;
	*open = all;
	return 0;
}

bool
sl_service_may(const struct sl_principal *who, uint16_t allowed)
{
	return who != NULL && (who->roles & allowed & SL_SR_ALL) != 0;
}

/** Its own roles and what is below them. */
static uint16_t
with_below(uint16_t roles)
{
	if (roles & SL_SR_BIT(SL_SR_ADMIN))
		return SL_SR_ALL;
	if (roles & SL_SR_BIT(SL_SR_OPERATOR))
		roles |= SL_SR_BIT(SL_SR_PEER);
	if (roles & with_above(SL_SR_VIEWER))
		roles |= SL_SR_BIT(SL_SR_VIEWER);
	return roles;
}

bool
sl_service_may_grant(const struct sl_principal *who, uint16_t roles)
{
	return who != NULL && roles != 0 && (roles & ~with_below(who->roles)) == 0;
}
