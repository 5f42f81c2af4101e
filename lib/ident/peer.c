/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_peer.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "sl_latch.h"

_Static_assert(offsetof(struct sl_peer, tick_data_rx) == SL_CACHE_LINE, "line 1");
_Static_assert(offsetof(struct sl_peer, path_seq) == 2 * SL_CACHE_LINE, "line 2");
_Static_assert(offsetof(struct sl_peer, path_odd) == 3 * SL_CACHE_LINE, "line 3");
_Static_assert(offsetof(struct sl_peer, way) == 4 * SL_CACHE_LINE, "line 4");
_Static_assert(offsetof(struct sl_peer_way, hdr) + 28 <= SL_CACHE_LINE, "IPv4 and UDP: one line");
_Static_assert(offsetof(struct sl_peer, path) % 4 == 0, "latched by words");
_Static_assert(sizeof(struct sl_peer_tx) == SL_CACHE_LINE, "one line a worker");

struct sl_peer_table *
sl_peer_table_new(void)
{
	void *t = mmap(NULL, sizeof(struct sl_peer_table), PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return t == MAP_FAILED ? NULL : t;
}

void
sl_peer_table_free(struct sl_peer_table *t)
{
	if (t != NULL)
		munmap(t, sizeof(*t));
}

struct sl_peer *
sl_peer_alloc(unsigned workers)
{
	size_t size = sizeof(struct sl_peer) + workers * sizeof(struct sl_peer_tx);
	struct sl_peer *p = aligned_alloc(SL_CACHE_LINE, size);

	if (p == NULL)
		return NULL;
	memset(p, 0, size);
	p->n_tx = workers;
	return p;
}

void
sl_peer_free(struct sl_peer *p)
{
	free(p);
}

void
sl_peer_path_write(struct sl_peer *p, const struct sl_peer_path *path)
{
	sl_latch_write(&p->path_seq, &p->path, &p->path_odd, path, sizeof(*path));
	p->way.root_generation = 0;
}

void
sl_peer_path_read(const struct sl_peer *p, struct sl_peer_path *out)
{
	sl_latch_read(&p->path_seq, &p->path, &p->path_odd, out, sizeof(*out));
}

void
sl_peer_tx_sum(const struct sl_peer *p, uint64_t *packets, uint64_t *bytes)
{
	unsigned i;

	*packets = 0;
	*bytes = 0;
	for (i = 0; i < p->n_tx; i++) {
		*packets += atomic_load_explicit(&p->tx[i].packets, memory_order_relaxed);
		*bytes += atomic_load_explicit(&p->tx[i].bytes, memory_order_relaxed);
	}
}
