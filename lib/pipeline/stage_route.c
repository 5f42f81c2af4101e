/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of the gateway itself for the inside of an interface. */
#include "send_int.h"

void
sl_stage_route(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	const struct sl_iface_view *f;
	struct sl_meta *meta;
	unsigned i;

	for (i = 0; i < in->n; i++) {
		meta = sl_meta(in->m[i]);
		f = sl_pkt_iface(w, in->m[i]);
		meta->flags |= SL_PKT_LOCAL_ORIGIN;
		meta->nh = f == NULL ? SL_NH_ID_NONE
				     : sl_lpm_lookup(sl_iface_routes(f, meta->version),
						     sl_pkt_dst(in->m[i]));
		if (meta->nh == SL_NH_ID_NONE)
			sl_vec_drop(&out[SL_NODE_DROP], in->m[i], SL_DROP_NO_ROUTE);
		else
			sl_vec_add(&out[SL_NODE_REWRITE], in->m[i]);
	}
	in->n = 0;
}
