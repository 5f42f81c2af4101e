/* SPDX-License-Identifier: BSD-3-Clause */
#include "pol_tx.h"

#include "flow_int.h"

struct fx *
pol_begin(struct pol *p)
{
	struct fx *x = fx_new(1);

	x->w->logging = true;
	x->root->authz.logging = true;
	x->root->authz.deflt = SL_MODE_ENFORCE;
	pol_init(p);
	return x;
}

void
pol_end(struct pol *p, struct fx *x)
{
	sl_flow_purge(x->w);
	pol_law(x->w);
	fx_free(x);
	pol_free(p);
}

static bool
forwarded(struct fx *x, enum sl_node node, struct rte_mbuf *m, unsigned port)
{
	fx_run(x, node, m);
	m = fx_frame(x, port);
	rte_pktmbuf_free(m);
	return m != NULL;
}

bool
pol_from_tunnel(struct fx *x, struct rte_mbuf *m)
{
	return forwarded(x, SL_NODE_AUTHZ, m, 1);
}

bool
pol_from_inside(struct fx *x, struct rte_mbuf *m)
{
	return forwarded(x, SL_NODE_INSIDE, m, 0);
}

void
pol_dropped(struct fx *x, enum sl_drop reason, uint64_t n)
{
	assert_int_equal(fx_drops(x, reason), n);
	fx_quiet(x);
}
