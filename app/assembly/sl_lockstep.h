/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A whole gateway on one thread: ports are pairs of rings, the clock is a number, randomness comes
 * from a seed. Nothing happens but in sl_lockstep_run().
 *
 * The configuration names its ports' devices by sl_lockstep_device(). One in a process, main
 * thread.
 */
#ifndef SL_LOCKSTEP_H
#define SL_LOCKSTEP_H

#include "sl_assembly.h"
#include "sl_ctl.h"

#define SL_LOCKSTEP_QUEUES 4
#define SL_LOCKSTEP_START_NS (1000 * SL_NS_PER_S) /* of the monotonic clock */

struct sl_lockstep_conf {
	unsigned n_queues; /* of each port; 0: what the lcores of the configuration receive by */
	uint64_t seed;
	uint64_t wall_ns;	/* wall clock at the start */
	bool keep_records;	/* as in struct sl_assembly_env */
	const char *const *eal; /* more EAL arguments, NULL-terminated, or NULL */
};

struct sl_lockstep {
	struct sl_assembly a;
	struct sl_ctl ctl;
	struct sl_rpc *rpc;
	struct rte_ring *rx[SL_PORT_MAX][SL_LOCKSTEP_QUEUES], *tx[SL_PORT_MAX][SL_LOCKSTEP_QUEUES];
	unsigned n_ports, n_queues;
	uint64_t now_ns;       /* monotonic: the caller lets it go on */
	uint64_t wall_base_ns; /* wall clock at SL_LOCKSTEP_START_NS: may be stepped */
};

/** Device of port number n: "net_ring_lockN". */
void sl_lockstep_device(unsigned n, char *out, size_t room);
/** EAL, gateway, ports, and the calls of the configuration, which stays the caller's. On an error
 * sl_lockstep_stop() cleans up. */
int sl_lockstep_start(struct sl_lockstep *l, struct sl_config *c, const struct sl_lockstep_conf *lc,
		      struct sl_error *e);
void sl_lockstep_stop(struct sl_lockstep *l);

uint64_t sl_lockstep_wall_ns(const struct sl_lockstep *l);
/** Poll everything at the present time until it is idle. */
void sl_lockstep_run(struct sl_lockstep *l);
/**
 * A frame arrives, in buffers of at most `seg` bytes each. @return 0, -ENOMEM, -ENOBUFS (the queue
 * is full), -EINVAL
 */
int sl_lockstep_rx(struct sl_lockstep *l, unsigned port, unsigned queue, const void *frame,
		   unsigned len, unsigned seg);
/** The next frame that the gateway sent, by port and queue; the caller frees it. NULL: none. */
struct rte_mbuf *sl_lockstep_tx(struct sl_lockstep *l, unsigned *port, unsigned *queue);

#endif
