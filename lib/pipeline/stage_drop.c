/* SPDX-License-Identifier: BSD-3-Clause */
/* The end of packets: counted under their reason, freed in bulk. */
#include "pipeline_int.h"

/* Count against the row of the statistics that lost it. Reception counts its own losses. */
static void
count_row(struct sl_worker *w, const struct sl_meta *meta)
{
	struct sl_stats_stage_counts *row = w->delta.stage;

	if (meta->drop == SL_DROP_LOCAL_CONSUMED)
		return;
	if (meta->flags & SL_PKT_FROM_TUNNEL)
		row[SL_STATS_POST_DECRYPT].dropped++;
	else if (meta->peer_id != SL_PEER_ID_NONE || /* refused before or for want of a peer */
		 (meta->drop >= SL_DROP_NOT_INSIDE && meta->drop <= SL_DROP_NO_ROUTE))
		row[SL_STATS_PRE_ENCRYPT].dropped++;
}

void
sl_stage_drop(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	unsigned i;

	for (i = 0; i < in->n; i++) {
		const struct sl_meta *meta = sl_meta(in->m[i]);

		sl_stats_drop(&w->delta, meta->drop, 1);
		count_row(w, meta);
	}
	rte_pktmbuf_free_bulk(in->m, in->n);
	in->n = 0;
}
