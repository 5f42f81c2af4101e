/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_port.h"

#include <stdio.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "device.h"

#define ETH_BYTES 14
#define VLAN_BYTES 4
#define FRAME_EXTRA_DEFAULT 18 /* Ethernet header and CRC, where the driver does not say */

#define RX_CSUM_L4 (RTE_ETH_RX_OFFLOAD_UDP_CKSUM | RTE_ETH_RX_OFFLOAD_TCP_CKSUM)
#define RX_CSUM (RTE_ETH_RX_OFFLOAD_IPV4_CKSUM | RX_CSUM_L4)
#define TX_CSUM                                                                                    \
	(RTE_ETH_TX_OFFLOAD_IPV4_CKSUM | RTE_ETH_TX_OFFLOAD_UDP_CKSUM |                            \
	 RTE_ETH_TX_OFFLOAD_TCP_CKSUM)
#define RSS_UDP (RTE_ETH_RSS_NONFRAG_IPV4_UDP | RTE_ETH_RSS_NONFRAG_IPV6_UDP)
#define RSS_WANTED (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_TCP)

/** What one start works on. */
struct start {
	const struct sl_port_conf *c;
	struct sl_port *p;
	struct rte_mempool *pool;
	const struct port_profile *f;
	struct rte_eth_dev_info info;
	struct rte_eth_conf conf;
	uint16_t rx_desc, tx_desc;
	struct sl_error *e;
};

static int
failed(struct start *s, int err, const char *step)
{
	sl_fail(s->e, err, "device_failed", "/device", "device \"%s\" refuses %s: %s", s->p->device,
		step, rte_strerror(-err));
	return err;
}

/** Largest MTU that ethdev lets us set. */
static uint32_t
mtu_limit(const struct rte_eth_dev_info *i)
{
	uint32_t extra = FRAME_EXTRA_DEFAULT, limit = i->max_mtu;

	if (i->max_mtu != UINT16_MAX && i->max_rx_pktlen > i->max_mtu)
		extra = i->max_rx_pktlen - i->max_mtu;
	if (i->max_rx_pktlen != 0 && i->max_rx_pktlen < limit + extra)
		limit = i->max_rx_pktlen - extra;
	return limit;
}

static int
plan_mtu(struct start *s)
{
	uint32_t limit = mtu_limit(&s->info), mtu = device_mtu(s->c);

	s->p->mtu = (uint16_t)mtu;
	if (mtu > limit && (s->f->flags & PORT_KERNEL_MTU) == 0) {
		sl_fail(s->e, -EINVAL, "mtu_too_large", "/mtu",
			"MTU %u: device \"%s\" goes up to %u", mtu, s->p->device, limit);
		sl_hint(s->e, "set MTU %u or lower for this port", limit);
		return -EINVAL;
	}
	s->conf.rxmode.mtu = SL_MIN(mtu, limit);
	return 0;
}

/** Frames longer than a buffer: several buffers where the driver can, else an error. */
static int
plan_scatter(struct start *s)
{
	uint32_t frame = s->p->mtu + ETH_BYTES + (s->c->vlan ? VLAN_BYTES : 0);
	uint32_t room = rte_pktmbuf_data_room_size(s->pool) - RTE_PKTMBUF_HEADROOM;

	s->p->scatter = frame > room;
	if (!s->p->scatter || (s->f->flags & PORT_CHAINS) != 0)
		return 0;
	if ((s->info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) == 0) {
		sl_fail(s->e, -EINVAL, "mtu_too_large", "/mtu",
			"MTU %u needs packet buffers of %u bytes on %s, and they have %u",
			s->p->mtu, frame, s->p->driver, room);
		sl_hint(s->e, "make the packet buffers larger, or set MTU %u",
			room - (frame - s->p->mtu));
		return -EINVAL;
	}
	s->conf.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
	return 0;
}

/** Ask for those offloads that the device has and the data path uses; VLAN tags stay in the frame.
 */
static void
plan_offloads(struct start *s)
{
	uint64_t rx = RX_CSUM, tx = TX_CSUM | RTE_ETH_TX_OFFLOAD_MULTI_SEGS;

	if ((s->f->flags & PORT_NO_RX_L4) != 0)
		rx &= ~RX_CSUM_L4;
	rx &= s->info.rx_offload_capa;
	tx &= s->info.tx_offload_capa;
	s->conf.rxmode.offloads |= rx;
	s->conf.txmode.offloads |= tx;
	s->p->rx_csum = (rx & RX_CSUM) == RX_CSUM;
	s->p->tx_csum_ip = (tx & RTE_ETH_TX_OFFLOAD_IPV4_CKSUM) != 0;
	s->p->tx_csum_udp = (tx & RTE_ETH_TX_OFFLOAD_UDP_CKSUM) != 0;
}

static void
plan_rss(struct start *s)
{
	uint64_t hf = RSS_WANTED & s->info.flow_type_rss_offloads;

	s->p->rss = s->p->rss_udp = false;
	if (s->p->rxq <= 1)
		return;
	if ((s->f->flags & PORT_SPREADS) != 0)
		s->p->rss = s->p->rss_udp = true;
	if (hf == 0)
		return;
	s->conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
	s->conf.rx_adv_conf.rss_conf.rss_hf = hf;
	s->p->rss = true;
	s->p->rss_udp = s->p->rss_udp || (hf & RSS_UDP) != 0;
}

static int
configure(struct start *s)
{
	struct sl_port *p = s->p;
	int err;

	err = rte_eth_dev_configure(p->ethdev, p->rxq, p->txq, &s->conf);
	if (err != 0) {
		failed(s, err, "its configuration");
		sl_hint(s->e, "%u rx and %u tx queues were asked for, it has up to %u and %u",
			p->rxq, p->txq, p->max_rxq, p->max_txq);
		return err;
	}
	s->rx_desc =
		s->c->rx_desc != 0 ? (uint16_t)SL_MIN(s->c->rx_desc, UINT16_MAX) : s->f->rx_desc;
	s->tx_desc =
		s->c->tx_desc != 0 ? (uint16_t)SL_MIN(s->c->tx_desc, UINT16_MAX) : s->f->tx_desc;
	err = rte_eth_dev_adjust_nb_rx_tx_desc(p->ethdev, &s->rx_desc, &s->tx_desc);
	return err != 0 ? failed(s, err, "its number of descriptors") : 0;
}

static int
set_up_queues(struct start *s)
{
	struct rte_eth_rxconf rx = s->info.default_rxconf;
	struct rte_eth_txconf tx = s->info.default_txconf;
	struct sl_port *p = s->p;
	uint16_t q;
	int err;

	rx.offloads = s->conf.rxmode.offloads;
	tx.offloads = s->conf.txmode.offloads;
	rx.rx_drop_en = p->rxq > 1; /* a worker that is held up must not stop the others */
	for (q = 0; q < p->rxq; q++) {
		err = rte_eth_rx_queue_setup(p->ethdev, q, s->rx_desc, (unsigned)p->socket, &rx,
					     s->pool);
		if (err != 0) {
			failed(s, err, "an rx queue");
			sl_hint(s->e,
				"packet buffers hold %u bytes, %u are in the pool: a driver "
				"wants room for its largest frame and a buffer a descriptor",
				rte_pktmbuf_data_room_size(s->pool) - RTE_PKTMBUF_HEADROOM,
				s->pool->size);
			return err;
		}
	}
	for (q = 0; q < p->txq; q++) {
		err = rte_eth_tx_queue_setup(p->ethdev, q, s->tx_desc, (unsigned)p->socket, &tx);
		if (err != 0)
			return failed(s, err, "a tx queue");
	}
	return 0;
}

/** Best effort: a device that cannot filter receives everything anyway. */
static void
open_filters(struct start *s)
{
	uint16_t id = s->p->ethdev;

	/* ND comes to 33:33:... groups that nobody joins for us */
	rte_eth_allmulticast_enable(id);
	if (s->c->promisc)
		rte_eth_promiscuous_enable(id);
	else
		rte_eth_promiscuous_disable(id);
}

int
sl_port_start(const struct sl_port_conf *c, struct sl_port *p, struct rte_mempool *pool,
	      struct sl_error *e)
{
	struct start s = {.c = c, .p = p, .pool = pool, .e = e};
	int err;

	err = rte_eth_dev_info_get(p->ethdev, &s.info);
	if (err != 0)
		return failed(&s, err, "an answer");
	s.f = port_profile_find(p->driver);
	plan_offloads(&s);
	plan_rss(&s);
	err = plan_mtu(&s);
	if (err == 0)
		err = plan_scatter(&s);
	if (err == 0)
		err = configure(&s);
	if (err == 0)
		err = set_up_queues(&s);
	if (err != 0)
		return err;
	err = rte_eth_dev_start(p->ethdev);
	if (err != 0)
		return failed(&s, err, "to start");
	p->started = true;
	open_filters(&s);
	return 0;
}

void
sl_port_link(const struct sl_port *p, struct sl_port_link *out)
{
	struct rte_eth_link l = {0};

	memset(out, 0, sizeof(*out));
	if (rte_eth_link_get_nowait(p->ethdev, &l) != 0)
		return;
	out->up = l.link_status == RTE_ETH_LINK_UP;
	out->mbps = l.link_speed == RTE_ETH_SPEED_NUM_UNKNOWN ? 0 : l.link_speed;
	out->full_duplex = l.link_duplex == RTE_ETH_LINK_FULL_DUPLEX;
}

void
sl_port_stats(const struct sl_port *p, struct sl_port_stats *out)
{
	struct rte_eth_stats st = {0};

	memset(out, 0, sizeof(*out));
	if (rte_eth_stats_get(p->ethdev, &st) != 0)
		return;
	out->rx_packets = st.ipackets;
	out->rx_bytes = st.ibytes;
	out->tx_packets = st.opackets;
	out->tx_bytes = st.obytes;
	out->rx_missed = st.imissed;
	out->rx_errors = st.ierrors;
	out->rx_nombuf = st.rx_nombuf;
	out->tx_errors = st.oerrors;
}
