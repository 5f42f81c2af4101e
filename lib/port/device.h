/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The operator's device text: its parts, and what can be said of it before DPDK is asked.
 */
#ifndef SL_PORT_DEVICE_H
#define SL_PORT_DEVICE_H

#include "profiles.h"
#include "sl_port.h"

enum device_kind {
	DEVICE_NAMED, /* only an existing device can have this name */
	DEVICE_VDEV,
	DEVICE_PCI,
};

struct device {
	enum device_kind kind;
	char name[64];	/* vdev name or normalised PCI address */
	char args[160]; /* behind the first comma, the queues argument added */
	char iface[64]; /* first kernel interface among the arguments */
	const struct port_profile *profile;
};

/**
 * Take the text apart and check it: interfaces exist and have the MTU, needed arguments are there,
 * af_packet's frames are large enough.
 * @return 0 or an error as sl_port_attach()
 */
int device_parse(const struct sl_port_conf *c, struct device *d, struct sl_error *e);
/** Those checks that only matter when the device is to be created. */
int device_check(const struct sl_port_conf *c, struct device *d, struct sl_error *e);
/** Text of argument `key`. @return false if it is not given. */
bool device_arg(const char *args, const char *key, char *out, size_t n);
/** Kernel driver that holds a PCI device, "" when none; false when there is no such device. */
bool device_pci_driver(const char *address, char *out, size_t n);
/** IP MTU that the port is to have. */
uint16_t device_mtu(const struct sl_port_conf *c);

#endif
