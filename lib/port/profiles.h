/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the port module knows of each driver beyond what ethdev says. Facts, not code.
 */
#ifndef SL_PORT_PROFILES_H
#define SL_PORT_PROFILES_H

#include "sl_base.h"

enum port_flags {
	/* the other side spreads packets over all queues that exist: all must be read */
	PORT_ALL_RXQ = 1,
	/* rx and tx queues come in pairs */
	PORT_QUEUE_PAIRS = 2,
	/* flows are spread by ports, UDP included, though ethdev announces no RSS */
	PORT_SPREADS = 4,
	/* do not ask for L4 checksum offload at reception */
	PORT_NO_RX_L4 = 8,
	/* the MTU is the kernel interface's business; what ethdev announces is too low */
	PORT_KERNEL_MTU = 16,
	/* delivers long frames in several buffers without the SCATTER offload */
	PORT_CHAINS = 32,
};

struct port_profile {
	const char *driver; /* start of the driver's name and of the vdev's */
	uint16_t rx_desc, tx_desc;
	uint16_t max_mtu; /* 0: what ethdev says */
	uint32_t flags;
	const char *ring_args;	/* device arguments added where the operator gives none of them;
				   each begins with a comma */
	const char *queues_arg; /* device argument with the number of queues; NULL: none */
	const char *iface_args; /* device arguments that name a kernel interface, comma before and
				   after each */
	const char *needed_arg; /* device argument without which the driver fails */
	const char *hint;	/* remedy when probing fails */
};

/** Profile of a driver or vdev name; the general one when there is none of its own. */
const struct port_profile *port_profile_find(const char *name);

#endif
