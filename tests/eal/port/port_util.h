/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the port tests share: a pool, an opened port, bursts with patience. */
#ifndef PORT_UTIL_H
#define PORT_UTIL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>

#include "sl_pkt.h"
#include "sl_port.h"

extern struct rte_mempool *pool;  /* buffers of 2 KiB */
extern struct rte_mempool *jumbo; /* buffers of 12 KiB */
extern bool have_netns;		  /* this process has a network namespace of its own */

int run_error_tests(void);
int run_kernel_tests(void);

struct port_case {
	struct sl_port_conf c;
	struct sl_port p;
	struct sl_error e;
};

/** Attach and start, or fail the test with the reason. */
static inline void
open_port(struct port_case *t, struct rte_mempool *mp)
{
	if (sl_port_attach(&t->c, &t->p, &t->e) != 0 || sl_port_start(&t->c, &t->p, mp, &t->e) != 0)
		fail_msg("%s: %s", t->e.reason, t->e.message);
	assert_true(t->p.started);
}

/** One frame of `len` bytes: the payload counts up from `first`. */
static inline struct rte_mbuf *
make_frame(struct rte_mempool *mp, unsigned len, uint8_t first)
{
	static const uint8_t eth[14] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,
					0,    0,    0,	  0,	9,    0x88, 0xb5};
	struct rte_mbuf *m = rte_pktmbuf_alloc(mp);
	uint8_t *p;

	if (m == NULL) {
		fail();
		return NULL;
	}
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)len);
	if (p == NULL) {
		fail();
		return NULL;
	}
	memcpy(p, eth, sizeof(eth));
	for (unsigned i = sizeof(eth); i < len; i++)
		p[i] = (uint8_t)(first + i);
	return m;
}

/** Is this a frame of make_frame()? (The kernel sends frames of its own.) */
static inline bool
is_frame(const struct rte_mbuf *m, unsigned len, uint8_t first)
{
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *);

	if (m->pkt_len != len || m->data_len != len || p[12] != 0x88 || p[13] != 0xb5)
		return false;
	for (unsigned i = 14; i < len; i++) {
		if (p[i] != (uint8_t)(first + i))
			return false;
	}
	return true;
}

/** Poll all queues for a frame of make_frame() for up to 2 s. */
static inline bool
wait_frame(const struct sl_port *p, unsigned len, uint8_t first)
{
	struct rte_mbuf *m[32];
	bool found = false;

	for (unsigned ms = 0; ms < 2000 && !found; ms++) {
		for (uint16_t q = 0; q < p->rxq; q++) {
			uint16_t n = rte_eth_rx_burst(p->ethdev, q, m, 32);

			for (uint16_t i = 0; i < n; i++)
				found = found || is_frame(m[i], len, first);
			rte_pktmbuf_free_bulk(m, n);
		}
		if (!found)
			rte_delay_us_sleep(1000);
	}
	return found;
}

#endif
