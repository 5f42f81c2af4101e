/* SPDX-License-Identifier: BSD-3-Clause */
/* Changes leave a trail: who asked for what, how it was before, and what it came to. */
#include <stdio.h>
#include <stdlib.h>

#include "dispatch_int.h"
#include "sl_rpc_server.h"

void
sl_rpc_set_trail(struct sl_rpc *r, const struct sl_rpc_trail *t)
{
	r->trail = t;
}

struct sl_rpc_change *
rpc_change_begin(const struct sl_rpc *r, const struct sl_schema_method *m,
		 const struct sl_rpc_caller *caller, json_t *params)
{
	struct sl_rpc_change *c;

	if (!r->trail || !m->record || caller->via == SL_RPC_VIA_CONFIG)
		return NULL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->method = m->name;
	snprintf(c->principal, sizeof(c->principal), "%s", caller->principal);
	if (caller->conn)
		c->from = *sl_rpc_conn_from(caller->conn);
	c->params = json_incref(params);
	c->before = r->trail->before(r->user, m->name, params);
	return c;
}

void
rpc_change_end(const struct sl_rpc *r, struct sl_rpc_change *c, int rc, const struct sl_error *e)
{
	if (!c)
		return;
	if (r)
		r->trail->done(r->user, c, rc, e);
	json_decref(c->params);
	json_decref(c->before);
	free(c);
}
