/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_lockstep.h"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>
#include <stdio.h>

#include "sl_schema_gateway.h"

#define RING_SIZE 16384
#define TURNS_MAX 10000

static uint64_t
virtual_mono(void *ctx)
{
	return ((struct sl_lockstep *)ctx)->now_ns;
}

static uint64_t
virtual_wall(void *ctx)
{
	return sl_lockstep_wall_ns(ctx);
}

uint64_t
sl_lockstep_wall_ns(const struct sl_lockstep *l)
{
	return l->wall_base_ns + l->now_ns - SL_LOCKSTEP_START_NS;
}

void
sl_lockstep_device(unsigned n, char *out, size_t room)
{
	snprintf(out, room, "net_ring_lock%u", n);
}

static struct rte_ring *
ring_new(const char *way, unsigned p, unsigned q)
{
	char name[32];

	snprintf(name, sizeof(name), "lock-%s-%u-%u", way, p, q);
	return rte_ring_create(name, RING_SIZE, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
}

static int
make_ports(struct sl_lockstep *l)
{
	char name[32];

	for (unsigned p = 0; p < l->n_ports; p++) {
		for (unsigned q = 0; q < l->n_queues; q++) {
			l->rx[p][q] = ring_new("rx", p, q);
			l->tx[p][q] = ring_new("tx", p, q);
			if (!l->rx[p][q] || !l->tx[p][q])
				return -ENOMEM;
		}
		snprintf(name, sizeof(name), "lock%u", p);
		if (rte_eth_from_rings(name, l->rx[p], l->n_queues, l->tx[p], l->n_queues,
				       SOCKET_ID_ANY) < 0)
			return -EIO;
	}
	return 0;
}

void
sl_lockstep_run(struct sl_lockstep *l)
{
	unsigned idle = 0;

	for (unsigned i = 0; i < TURNS_MAX && idle < 3; i++)
		idle = sl_assembly_poll_all(&l->a) ? 0 : idle + 1;
}

/** Buffers of at most `seg` bytes each. @return NULL without memory or room */
static struct rte_mbuf *
make_frame(struct sl_lockstep *l, const uint8_t *frame, unsigned len, unsigned seg)
{
	struct rte_mbuf *head = NULL, *m;
	unsigned at = 0, n;
	char *data;

	do {
		n = SL_MIN(len - at, seg);
		m = rte_pktmbuf_alloc(l->a.pool);
		data = m ? rte_pktmbuf_append(m, (uint16_t)n) : NULL;
		if (!data || (head && rte_pktmbuf_chain(head, m))) {
			rte_pktmbuf_free(m);
			rte_pktmbuf_free(head);
			return NULL;
		}
		memcpy(data, frame + at, n);
		head = head ? head : m;
		at += n;
	} while (at < len);
	return head;
}

int
sl_lockstep_rx(struct sl_lockstep *l, unsigned port, unsigned queue, const void *frame,
	       unsigned len, unsigned seg)
{
	struct rte_mbuf *m;

	if (port >= l->n_ports || queue >= l->n_queues || seg == 0)
		return -EINVAL;
	m = make_frame(l, frame, len, seg);
	if (!m)
		return -ENOMEM;
	if (rte_ring_sp_enqueue(l->rx[port][queue], m)) {
		rte_pktmbuf_free(m);
		return -ENOBUFS;
	}
	return 0;
}

struct rte_mbuf *
sl_lockstep_tx(struct sl_lockstep *l, unsigned *port, unsigned *queue)
{
	struct rte_mbuf *m;

	for (*port = 0; *port < l->n_ports; ++*port)
		for (*queue = 0; *queue < l->n_queues; ++*queue)
			if (rte_ring_sc_dequeue(l->tx[*port][*queue], (void **)&m) == 0)
				return m;
	return NULL;
}

/** The control surface, and what the file wants, through it. */
static int
apply(struct sl_lockstep *l, struct sl_config *c, uint64_t wall_ns, struct sl_error *e)
{
	int rc;

	l->ctl = (struct sl_ctl){.gw = l->a.gw,
				 .dp = l->a.dp,
				 .hs = l->a.hs,
				 .evidence = l->a.evidence,
				 .plan = &l->a.plan,
				 .config = c,
				 .drain = l->a.drain,
				 .mono_ns = virtual_mono,
				 .clock_ctx = l,
				 .start_wall_ns = wall_ns,
				 .boot_id = "00000000000000000000000000000000"};
	l->rpc = sl_rpc_new(&sl_gateway_schema, &l->ctl);
	if (!l->rpc)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the dispatcher");
	rc = sl_ctl_register(l->rpc);
	if (rc)
		return sl_fail(e, rc, "no_memory", "", "no memory for the dispatcher");
	rc = sl_config_apply(c, l->a.gw, l->rpc, e);
	sl_rpc_set_state(l->rpc, SL_RPC_RUNNING);
	return rc;
}

int
sl_lockstep_start(struct sl_lockstep *l, struct sl_config *c, const struct sl_lockstep_conf *lc,
		  struct sl_error *e)
{
	int rc;

	l->now_ns = SL_LOCKSTEP_START_NS;
	l->wall_base_ns = lc->wall_ns;
	l->n_ports = c->n_ports;
	l->a.env = (struct sl_assembly_env){.lockstep = true,
					    .keep_records = lc->keep_records,
					    .seed = lc->seed,
					    .mono_ns = virtual_mono,
					    .wall_ns = virtual_wall,
					    .ctx = l};
	rc = sl_assembly_eal(&l->a, c, lc->eal, e);
	if (rc)
		return rc;
	l->n_queues = lc->n_queues     ? lc->n_queues
		      : l->a.plan.n_io ? l->a.plan.n_io
				       : l->a.plan.n_workers;
	if (l->n_queues > SL_LOCKSTEP_QUEUES)
		return sl_fail(e, -EINVAL, "too_many_queues", "/ports", "%u queues, at most %u",
			       l->n_queues, SL_LOCKSTEP_QUEUES);
	rc = make_ports(l);
	if (rc)
		return sl_fail(e, rc, "no_memory", "/ports", "no memory for the rings of ports");
	rc = sl_assembly_build(&l->a, e);
	rc = rc ? rc : apply(l, c, lc->wall_ns, e);
	for (unsigned i = 0; rc == 0 && i < l->a.dp->n_lcores; i++)
		sl_rcu_online(l->a.rcu, SL_RCU_WORKER(i));
	if (rc == 0)
		sl_rcu_online(l->a.rcu, SL_RCU_HS);
	return rc;
}

void
sl_lockstep_stop(struct sl_lockstep *l)
{
	for (unsigned i = 0; l->a.rcu && l->a.dp && i < l->a.dp->n_lcores; i++)
		sl_rcu_offline(l->a.rcu, SL_RCU_WORKER(i));
	if (l->a.rcu && l->a.dp)
		sl_rcu_offline(l->a.rcu, SL_RCU_HS);
	sl_rpc_free(l->rpc);
	sl_ctl_clear(&l->ctl);
	sl_assembly_free(&l->a);
	l->rpc = NULL;
}
