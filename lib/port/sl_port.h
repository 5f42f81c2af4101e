/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Ports: open, configure and close DPDK ethernet devices of every kind through one door.
 *
 * Control only; data lcores use the ethdev ids and queue numbers that come out of it. A device that
 * is attached here has an ethdev owner, so that it is not attached twice.
 */
#ifndef SL_PORT_H
#define SL_PORT_H

#include <rte_mempool.h>

#include "sl_base.h"
#include "sl_error.h"

struct sl_port_conf {
	const char *name;   /* operator's name, e.g. "wan" */
	const char *device; /* PCI address with or without arguments, name of a device already
			       probed, or a vdev string "net_af_packet0,iface=eth0" */
	unsigned rxq, txq;  /* wanted queues; the port takes what the device can */
	unsigned rx_desc, tx_desc; /* 0: driver profile's default */
	uint16_t mtu;		   /* IP MTU, 0: 1500 */
	bool promisc;
	bool vlan; /* tagged frames are expected */
};

/** What a device can do and what was set up. */
struct sl_port {
	char name[32];
	char driver[32];
	char device[128];
	uint16_t ethdev;
	uint16_t rxq, txq;
	uint16_t max_rxq, max_txq;
	uint16_t mtu;
	uint8_t mac[6];
	int socket;
	bool vdev_created;	      /* probed by attach (vdev or PCI): removed again at close */
	bool rss, rss_udp;	      /* flows are spread over the rx queues; by UDP ports too */
	bool rx_csum;		      /* IPv4 and L4 checksum flags are delivered */
	bool tx_csum_ip, tx_csum_udp; /* tx offloads on */
	bool scatter;		      /* frames may come in several mbufs */
	bool started;
};

/**
 * Attach the device (hotplug for vdevs and PCI), read its capabilities; queues are not set up yet.
 * p->rxq and p->txq become what the port will have. They may be more than wanted, where an unread
 * rx queue would lose packets (af_packet with qpairs=2), or fewer; txq never exceeds rxq on devices
 * whose queues come in pairs. The caller may lower them before sl_port_start().
 * @return 0, or an error at "/device" or "/mtu" that says the remedy: -ENODEV device_missing,
 * -EINVAL device_invalid or mtu_too_large, -EBUSY device_busy
 */
int sl_port_attach(const struct sl_port_conf *c, struct sl_port *p, struct sl_error *e);
/**
 * Configure queues, offloads, RSS and MTU, and start. `rxq`/`txq` of p say how many queues.
 * @return 0, or an error: -EINVAL device_invalid or mtu_too_large, else the driver's with
 * device_failed. The port then stays attached and may be started again or closed.
 */
int sl_port_start(const struct sl_port_conf *c, struct sl_port *p, struct rte_mempool *pool,
		  struct sl_error *e);
/** Stop; remove the device if attach created it, else leave it to its owner. Any state. */
void sl_port_close(struct sl_port *p);

struct sl_port_link {
	bool up;
	uint32_t mbps; /* 0: unknown */
	bool full_duplex;
};
void sl_port_link(const struct sl_port *p, struct sl_port_link *out);

struct sl_port_stats {
	uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes;
	uint64_t rx_missed, rx_errors, rx_nombuf, tx_errors;
};
void sl_port_stats(const struct sl_port *p, struct sl_port_stats *out);

#endif
