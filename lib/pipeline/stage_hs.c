/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshake messages to hs, a burst per lane. */
#include "pipeline_int.h"

void
sl_stage_hs(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct rte_mbuf *m[SL_VEC_MAX];
	unsigned lane, i, n, sent;

	for (lane = 0; lane < SL_HS_LANES; lane++) {
		for (i = 0, n = 0; i < in->n; i++)
			if (sl_meta_lane(sl_meta(in->m[i])) == lane)
				m[n++] = in->m[i];
		if (n == 0)
			continue;
		sent = rte_ring_sp_enqueue_burst(w->hs_lane[lane], (void **)m, n, NULL);
		for (i = sent; i < n; i++)
			sl_vec_drop(&out[SL_NODE_DROP], m[i], SL_DROP_HS_LANE_FULL);
	}
	in->n = 0;
}
