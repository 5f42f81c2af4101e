/* SPDX-License-Identifier: BSD-3-Clause */
#include "profiles.h"

#define HINT_RAW                                                                                   \
	"it needs CAP_NET_RAW and CAP_NET_ADMIN; known arguments: iface, qpairs, blocksz, "        \
	"framesz, framecnt, qdisc_bypass"
#define HINT_XDP                                                                                   \
	"it needs CAP_NET_RAW, CAP_NET_ADMIN, CAP_IPC_LOCK and CAP_SYS_ADMIN; known arguments: "   \
	"iface, start_queue, queue_count, xdp_prog, busy_budget, force_copy"
#define HINT_PCI                                                                                   \
	"bind it to vfio-pci (dpdk-devbind.py -b vfio-pci ADDRESS), unless its driver shares the " \
	"device with the kernel as mlx5 does"

/* A driver comes before those whose names begin like it. Descriptors: 1,024 hold about 0.7 ms of
 * 64-byte frames at 1 Mpps, the time for which a scheduler may take a core away from a worker. */
static const struct port_profile profiles[] = {
	/* A packet socket on a kernel interface. The kernel hashes flows (ports included) over the
	 * sockets of its qpairs, so each must be read. The ring, not descriptors, sets the depth:
	 * the driver's 512 frames overflow while a worker sleeps or waits for its CPU (15,000
	 * retransmissions in 3 s of TCP at 1.3 Gbit/s, with 4,096 frames 14), at 16 MiB a queue
	 * pair. Announces 1,518 bytes and passes whatever fits framesz; the kernel joins IPv4
	 * fragments before it hashes, and what is larger than a frame then arrives cut. No offloads
	 * at all. */
	{
		.driver = "net_af_packet",
		.rx_desc = 256,
		.tx_desc = 256,
		.flags = PORT_ALL_RXQ | PORT_QUEUE_PAIRS | PORT_SPREADS | PORT_KERNEL_MTU,
		.ring_args = ",blocksz=65536,framecnt=4096",
		.queues_arg = "qpairs",
		.iface_args = ",iface,",
		.needed_arg = "iface",
		.hint = HINT_RAW,
	},
	/* One XDP socket a queue of the kernel interface. A frame must fit in one 2 KiB chunk with
	 * 256 bytes of headroom, a page holds two: 1,500 is what passes on every kernel. The
	 * number of queues is left alone: a veth refuses more than one. 2,048 descriptors are the
	 * kernel's own default and a power of two, which it demands. */
	{
		.driver = "net_af_xdp",
		.rx_desc = 2048,
		.tx_desc = 2048,
		.max_mtu = 1500,
		.flags = PORT_ALL_RXQ | PORT_QUEUE_PAIRS | PORT_SPREADS,
		.iface_args = ",iface,",
		.needed_arg = "iface",
		.hint = HINT_XDP,
	},
	/* A kernel tap. It insists on as many tx as rx queues, and the kernel's flow table spreads
	 * over them. Its checksum offloads are sums in software, as ours would be: taken. */
	{
		.driver = "net_tap",
		.rx_desc = 512,
		.tx_desc = 512,
		.flags = PORT_ALL_RXQ | PORT_QUEUE_PAIRS | PORT_SPREADS,
		.iface_args = ",remote,",
		.hint = "it needs CAP_NET_ADMIN and /dev/net/tun; known arguments: iface, mac, "
			"remote",
	},
	/* Two rings of descriptors in shared memory; size and number are agreed with the other side
	 * (rsize). Long packets come as chains. */
	{
		.driver = "net_memif",
		.rx_desc = 1024,
		.tx_desc = 1024,
		.flags = PORT_CHAINS,
		.hint = "known arguments: role=server|client, id, socket, socket-abstract=yes|no, "
			"bsize, "
			"rsize, mac, secret, zero-copy",
	},
	/* libpcap or files. Every rx_pcap is a queue of its own, and all of them are wanted. */
	{
		.driver = "net_pcap",
		.rx_desc = 512,
		.tx_desc = 512,
		.flags = PORT_ALL_RXQ | PORT_CHAINS,
		.iface_args = ",iface,rx_iface,rx_iface_in,tx_iface,",
		.hint = "known arguments: rx_pcap, tx_pcap, iface, rx_iface, rx_iface_in, "
			"tx_iface, "
			"infinite_rx=0|1",
	},
	/* Rings of mbufs in this process: what one side sends is what the other gets. */
	{
		.driver = "net_ring",
		.rx_desc = 512,
		.tx_desc = 512,
		.flags = PORT_CHAINS,
	},
	{
		.driver = "net_null",
		.rx_desc = 512,
		.tx_desc = 512,
		.hint = "known arguments: size, copy, no-rx",
	},
	/* The guest side of a vhost-user socket. Asking for L4 checksums at reception lets the
	 * other side send packets without one (VIRTIO_NET_F_GUEST_CSUM); forwarded, they are wrong
	 * on the wire. */
	{
		.driver = "net_virtio_user",
		.rx_desc = 1024,
		.tx_desc = 1024,
		.flags = PORT_NO_RX_L4,
		.queues_arg = "queues",
		.needed_arg = "path",
		.hint = "known arguments: path, mac, queues, queue_size, server, mrg_rxbuf, "
			"in_order, "
			"packed_vq, speed",
	},
	/* The same in a virtual machine. */
	{
		.driver = "net_virtio",
		.rx_desc = 1024,
		.tx_desc = 1024,
		.flags = PORT_NO_RX_L4,
		.hint = HINT_PCI,
	},
	/* The host side: without the offload the driver completes missing checksums itself. The
	 * guest uses every queue that exists. */
	{
		.driver = "net_vhost",
		.rx_desc = 1024,
		.tx_desc = 1024,
		.flags = PORT_NO_RX_L4 | PORT_ALL_RXQ | PORT_QUEUE_PAIRS,
		.queues_arg = "queues",
		.needed_arg = "iface",
		.hint = "iface is the path of the socket; known arguments: iface, queues, client, "
			"tso",
	},
	/* Amazon: with deep rings the receive side survives the pauses of a shared host. */
	{
		.driver = "net_ena",
		.rx_desc = 2048,
		.tx_desc = 1024,
		.hint = HINT_PCI,
	},
	/* VMware: the ring is limited to 4,096 and the hypervisor, not the wire, makes the bursts.
	 */
	{
		.driver = "net_vmxnet3",
		.rx_desc = 2048,
		.tx_desc = 1024,
		.hint = HINT_PCI,
	},
	/* Mellanox: deep rings keep its vector receive path fed; it stays bound to the kernel. */
	{
		.driver = "mlx5",
		.rx_desc = 2048,
		.tx_desc = 1024,
		.hint = "leave it bound to mlx5_core and install rdma-core",
	},
};

static const struct port_profile general = {
	.driver = "",
	.rx_desc = 1024,
	.tx_desc = 1024,
	.hint = HINT_PCI,
};

const struct port_profile *
port_profile_find(const char *name)
{
	unsigned i;

	/* the driver matches both names */
	if (strncmp(name, "virtio_user", strlen("virtio_user")) == 0)
		name = "net_virtio_user";
	for (i = 0; i < SL_ARRAY_SIZE(profiles); i++) {
		if (strncmp(name, profiles[i].driver, strlen(profiles[i].driver)) == 0)
			return &profiles[i];
	}
	return &general;
}
