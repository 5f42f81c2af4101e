/* SPDX-License-Identifier: BSD-3-Clause */
/* What the policy document made, read only. */
#include <stdio.h>

#include "page.h"

int
sl_op_list_zones(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_ZONE, NULL, NULL, e);
}

int
sl_op_list_targets(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_TARGET, NULL, NULL, e);
}

int
sl_op_get_target(struct sl_call *c, struct sl_error *e)
{
	return page_one(c, 200, SL_KIND_TARGET, c->arg[0], "target", NULL, e);
}

int
sl_op_list_roles(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_ROLE, NULL, NULL, e);
}

int
sl_op_get_role(struct sl_call *c, struct sl_error *e)
{
	return page_one(c, 200, SL_KIND_ROLE, c->arg[0], "role", NULL, e);
}

int
sl_op_list_rules(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_RULE, NULL, NULL, e);
}

int
sl_op_get_rule(struct sl_call *c, struct sl_error *e)
{
	char id[SL_OBJ_ID];

	if (snprintf(id, sizeof(id), "%s/%s", c->arg[0], c->arg[1]) >= (int)sizeof(id))
		return sl_call_not_found("rule", c->arg[0], e);
	return page_one(c, 200, SL_KIND_RULE, id, "rule", NULL, e);
}
