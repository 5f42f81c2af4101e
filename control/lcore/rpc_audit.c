/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.* */
#include "rpc_int.h"

#define RECENT 50

static int
no_drain(struct sl_error *e)
{
	return sl_fail(e, -ENOENT, "no_audit", "", "this gateway keeps no records");
}

int
sl_rpc_h_audit_status(void *user, const struct sl_rpc_caller *caller, const void *p,
		      json_t **result, struct sl_error *e)
{
	const struct sl_ctl *ctl = user;

	(void)caller;
	(void)p;
	return ctl->drain ? ctl_answer(result, sl_drain_status(ctl->drain)) : no_drain(e);
}

int
sl_rpc_h_audit_recent(void *user, const struct sl_rpc_caller *caller,
		      const struct sl_rpc_audit_recent *p, json_t **result, struct sl_error *e)
{
	const struct sl_ctl *ctl = user;
	unsigned limit = p->has_limit ? (unsigned)p->limit : RECENT;

	(void)caller;
	if (!ctl->drain)
		return no_drain(e);
	return ctl_answer(result, json_pack("{s:o}", "records",
					    sl_drain_recent(ctl->drain, limit,
							    p->has_action ? p->action : NULL)));
}
