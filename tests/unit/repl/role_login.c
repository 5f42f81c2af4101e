/* SPDX-License-Identifier: BSD-3-Clause */
#include "role_login.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int
role_login(void *ctx, const char *token, const struct sl_ip *from, struct sl_rpc_login *out)
{
	const char *colon = strchr(token, ':');
	enum sl_service_role role;
	char name[16];

	if (!colon || (size_t)(colon - token) >= sizeof(name))
		return -EACCES;
	snprintf(name, (size_t)(colon - token) + 1, "%s", token);
	if (sl_service_role_parse(name, &role))
		return -EACCES;
	memset(out, 0, sizeof(*out));
	out->who.roles = SL_SR_BIT(role);
	snprintf(out->who.name, sizeof(out->who.name), "token:%s", colon + 1);
	snprintf(out->who.bound, sizeof(out->who.bound), "%s", colon + 1);
	return 0;
}
