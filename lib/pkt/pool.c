/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_pkt.h"

#include <rte_errno.h>

#define CACHE_MBUFS 256

_Static_assert(CACHE_MBUFS <= RTE_MEMPOOL_CACHE_MAX_SIZE, "the mempool allows such a cache");
_Static_assert(SL_HEADROOM == RTE_PKTMBUF_HEADROOM, "the PMDs leave this much room");

struct rte_mempool *
sl_pkt_pool_new(const char *name, unsigned n, unsigned data_room, int socket)
{
	/* a cache may hold half as much again before it flushes; a small pool must not vanish in it
	 */
	unsigned cache = SL_MIN(CACHE_MBUFS, n / 4);

	if (data_room <= SL_HEADROOM || data_room > UINT16_MAX) {
		rte_errno = EINVAL;
		return NULL;
	}
	return rte_pktmbuf_pool_create_by_ops(name, n, cache, sizeof(struct sl_meta),
					      (uint16_t)data_room, socket, "ring_mt_rts");
}
