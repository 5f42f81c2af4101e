/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets to their owners, a burst per owner: a ring costs 260 cycles a packet in bursts of 32 and
 * 1,330 one by one. */
#include "pipeline_int.h"

/* Take the packets for `to` out of the vector, in order. */
static unsigned
gather(const struct sl_worker *w, const struct sl_vec *in, unsigned to, struct rte_mbuf **m)
{
	unsigned i, n = 0;

	for (i = 0; i < in->n; i++)
		if (w->steer_to[i] == to)
			m[n++] = in->m[i];
	return n;
}

static void
hand_over(struct sl_worker *w, unsigned to, struct rte_mbuf **m, unsigned n, struct sl_vec *drop)
{
	struct rte_ring *r = to < SL_WORKER_MAX ? w->steer_out[to] : NULL;
	unsigned sent = 0;

	if (r != NULL)
		sent = rte_ring_sp_enqueue_burst(r, (void **)m, n, NULL);
	w->delta.lcore.steered_packets += sent;
	for (; sent < n; sent++)
		sl_vec_drop(drop, m[sent], SL_DROP_STEER_FULL);
}

void
sl_stage_steer(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct rte_mbuf *m[SL_VEC_MAX];
	uint8_t to[UINT8_MAX + 1];
	uint64_t seen[(UINT8_MAX + 1) / 64] = {0};
	unsigned i, n_to = 0;

	for (i = 0; i < in->n; i++) {
		uint8_t t = w->steer_to[i];

		if (seen[t / 64] >> (t % 64) & 1)
			continue;
		seen[t / 64] |= UINT64_C(1) << (t % 64);
		to[n_to++] = t;
	}
	for (i = 0; i < n_to; i++)
		hand_over(w, to[i], m, gather(w, in, to[i], m), &out[SL_NODE_DROP]);
	in->n = 0;
}
