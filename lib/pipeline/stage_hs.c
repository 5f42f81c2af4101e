/* SPDX-License-Identifier: BSD-3-Clause */
/* Handshake messages to hs, a burst per lane. */
#include "pipeline_int.h"

void
sl_stage_hs(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct rte_mbuf *m[SL_HS_LANES][SL_VEC_MAX];
	unsigned lane, i, sent, n[SL_HS_LANES] = {0};

	/* all of them before the first ring: what is in one is hs's, which writes to it and frees
	 * it */
	for (i = 0; i < in->n; i++) {
		lane = sl_meta_lane(sl_meta(in->m[i]));
		m[lane][n[lane]++] = in->m[i];
	}
	for (lane = 0; lane < SL_HS_LANES; lane++) {
		if (n[lane] == 0)
			continue;
		sent = rte_ring_sp_enqueue_burst(w->hs_lane[lane], (void **)m[lane], n[lane], NULL);
		for (i = sent; i < n[lane]; i++)
			sl_vec_drop(&out[SL_NODE_DROP], m[lane][i], SL_DROP_HS_LANE_FULL);
	}
	in->n = 0;
}
