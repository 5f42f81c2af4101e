/* SPDX-License-Identifier: BSD-3-Clause */
/* Whole frames to ports: collected per port, sent in bursts. */
#include "send_int.h"

#include <rte_ethdev.h>

#define TX_TRIES 4 /* a full queue is asked again so often */

/** @return frames taken */
static unsigned
send_queue(const struct sl_txport *t)
{
	unsigned n = 0, tries;

	for (tries = 0; tries < TX_TRIES && n < t->n; tries++)
		n += rte_eth_tx_burst(t->ethdev, t->queue, (struct rte_mbuf **)&t->buf[n],
				      (uint16_t)(t->n - n));
	return n;
}

/** The lcore at the other end of the ring counts them when it sends them. */
static unsigned
send_ring(const struct sl_txport *t)
{
	unsigned i;

	for (i = 0; i < t->n; i++)
		sl_meta(t->buf[i])->next = SL_NEXT_L2;
	return rte_ring_sp_enqueue_burst(t->via, (void *const *)t->buf, t->n, NULL);
}

static void
flush(struct sl_worker *w, struct sl_txport *t)
{
	unsigned i, sent;
	uint64_t bytes = 0;

	for (i = 0; i < t->n; i++)
		bytes += t->buf[i]->pkt_len;
	sent = t->via != NULL ? send_ring(t) : send_queue(t);
	for (i = sent; i < t->n; i++) {
		bytes -= t->buf[i]->pkt_len;
		sl_vec_drop(&w->v[SL_NODE_DROP], t->buf[i], SL_DROP_TX_FULL);
	}
	if (t->via == NULL) {
		w->delta.lcore.tx_packets += sent;
		w->delta.lcore.tx_bytes += bytes;
	}
	t->n = 0;
}

void
sl_tx_flush(struct sl_worker *w)
{
	unsigned i;

	for (i = 0; i < SL_PORT_MAX; i++)
		if (w->tx[i].n != 0)
			flush(w, &w->tx[i]);
}

void
sl_stage_tx(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct sl_txport *t;
	unsigned i, port;

	for (i = 0; i < in->n; i++) {
		port = sl_meta(in->m[i])->port;
		if (port >= SL_PORT_MAX || !w->tx[port].present) {
			sl_vec_drop(&out[SL_NODE_DROP], in->m[i], SL_DROP_PORT_DOWN);
			continue;
		}
		t = &w->tx[port];
		t->buf[t->n++] = in->m[i];
		if (t->n == SL_ARRAY_SIZE(t->buf))
			flush(w, t);
	}
	in->n = 0;
}
