/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_port.h"

#include <stdio.h>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "device.h"

/* control alone: our ethdev owner, and which kernel interface each port of ours sits on */
static struct rte_eth_dev_owner owner = {.name = "sluice"};
static char port_iface[RTE_MAX_ETHPORTS][64];

static bool
is_owned(uint16_t id)
{
	struct rte_eth_dev_owner o = {0};

	return rte_eth_dev_owner_get(id, &o) == 0 && o.id != RTE_ETH_DEV_NO_OWNER;
}

static int
take_ownership(uint16_t id, const struct sl_port_conf *c, struct sl_error *e)
{
	int err = 0;

	if (owner.id == RTE_ETH_DEV_NO_OWNER)
		err = rte_eth_dev_owner_new(&owner.id);
	if (err == 0)
		err = rte_eth_dev_owner_set(id, &owner);
	if (err != 0)
		return sl_fail(e, -EBUSY, "device_busy", "/device",
			       "device \"%s\" is in use by another part of the program", c->device);
	return 0;
}

static int
busy(const struct sl_port_conf *c, const char *why, const char *what, struct sl_error *e)
{
	sl_fail(e, -EBUSY, "device_busy", "/device", "device \"%s\" is taken: %s%s", c->device, why,
		what);
	sl_hint(e, "a device belongs to one port; for a second one of the same driver choose "
		   "another number at the end of its name");
	return -EBUSY;
}

/** A device that was there before us. */
static int
adopt(const struct sl_port_conf *c, const struct device *d, uint16_t id, struct sl_error *e)
{
	if (is_owned(id))
		return busy(c, "another port uses ", d->name, e);
	if (strchr(c->device, ',') != NULL)
		return busy(c, "it exists already, with other arguments; name it without any: ",
			    d->name, e);
	return take_ownership(id, c, e);
}

static int
check_iface_free(const struct sl_port_conf *c, const struct device *d, struct sl_error *e)
{
	uint16_t id;

	if (d->iface[0] == '\0')
		return 0;
	for (id = 0; id < RTE_MAX_ETHPORTS; id++) {
		if (strcmp(port_iface[id], d->iface) == 0)
			return busy(c, "another port uses the interface ", d->iface, e);
	}
	return 0;
}

static int
missing_pci(const struct sl_port_conf *c, const struct device *d, struct sl_error *e)
{
	char driver[64];

	if (!device_pci_driver(d->name, driver, sizeof(driver))) {
		sl_fail(e, -ENODEV, "device_missing", "/device", "there is no PCI device %s",
			d->name);
		sl_hint(e, "\"dpdk-devbind.py --status-dev net\" lists the network devices");
		return -ENODEV;
	}
	sl_fail(e, -ENODEV, "device_missing", "/device",
		"PCI device %s cannot be used: it is bound to %s%s", d->name,
		driver[0] != '\0' ? "the kernel driver " : "no driver", driver);
	sl_hint(e, "%s", d->profile->hint);
	return -ENODEV;
}

static int
probe_failed(const struct sl_port_conf *c, const struct device *d, int err, struct sl_error *e)
{
	if (d->kind == DEVICE_PCI)
		return missing_pci(c, d, e);
	if (err == -EEXIST)
		return busy(c, "a device of this name exists: ", d->name, e);
	sl_fail(e, -EINVAL, "device_invalid", "/device",
		"DPDK cannot create \"%s\": %s (its log says more)", c->device, rte_strerror(-err));
	sl_hint(e, "%s",
		d->profile->driver[0] != '\0' && d->profile->hint != NULL
			? d->profile->hint
			: "device names begin with the name of a DPDK driver, e.g. net_af_packet0");
	return -EINVAL;
}

/** Ethdev of a device just probed: by name, else the first of the bus device. */
static int
find_probed(const char *name, uint16_t *out)
{
	struct rte_eth_dev_info info;
	uint16_t id;

	if (rte_eth_dev_get_port_by_name(name, out) == 0)
		return 0;
	RTE_ETH_FOREACH_DEV (id) {
		if (rte_eth_dev_info_get(id, &info) == 0 && info.device != NULL &&
		    strcmp(rte_dev_name(info.device), name) == 0) {
			*out = id;
			return 0;
		}
	}
	return -ENODEV;
}

static const char *
bus_of(const struct device *d)
{
	return d->kind == DEVICE_PCI ? "pci" : "vdev";
}

static int
probe(const struct sl_port_conf *c, struct device *d, struct sl_port *p, struct sl_error *e)
{
	int err;

	if (d->kind == DEVICE_NAMED) {
		sl_fail(e, -ENODEV, "device_missing", "/device", "there is no device \"%s\"",
			c->device);
		sl_hint(e, "give a PCI address (0000:03:00.0) or a virtual device "
			   "(net_af_packet0,iface=eth0)");
		return -ENODEV;
	}
	err = device_check(c, d, e);
	if (err == 0)
		err = check_iface_free(c, d, e);
	if (err != 0)
		return err;
	err = rte_eal_hotplug_add(bus_of(d), d->name, d->args);
	if (err != 0)
		return probe_failed(c, d, err, e);
	if (find_probed(d->name, &p->ethdev) != 0) {
		rte_eal_hotplug_remove(bus_of(d), d->name);
		return probe_failed(c, d, -ENODEV, e);
	}
	err = take_ownership(p->ethdev, c, e);
	if (err != 0) {
		rte_eal_hotplug_remove(bus_of(d), d->name);
		return err;
	}
	p->vdev_created = true;
	snprintf(port_iface[p->ethdev], sizeof(port_iface[0]), "%s", d->iface);
	return 0;
}

/** How many queues the port will have. */
static void
choose_queues(const struct sl_port_conf *c, const struct port_profile *f, struct sl_port *p)
{
	p->rxq = (uint16_t)SL_MIN(SL_MAX(c->rxq, 1U), p->max_rxq);
	p->txq = (uint16_t)SL_MIN(SL_MAX(c->txq, 1U), p->max_txq);
	/* a tap has as many queues as are set up, all others as many as they were made with */
	if ((f->flags & PORT_ALL_RXQ) != 0 && strcmp(f->driver, "net_tap") != 0)
		p->rxq = p->max_rxq;
	if ((f->flags & PORT_QUEUE_PAIRS) != 0)
		p->txq = SL_MIN(p->rxq, p->max_txq);
}

static int
read_device(const struct sl_port_conf *c, struct sl_port *p, struct sl_error *e)
{
	struct rte_eth_dev_info info;
	struct rte_ether_addr mac;
	const struct port_profile *f;
	int err;

	err = rte_eth_dev_info_get(p->ethdev, &info);
	if (err == 0)
		err = rte_eth_macaddr_get(p->ethdev, &mac);
	if (err != 0)
		return sl_fail(e, err, "device_failed", "/device",
			       "device \"%s\" does not answer: %s", c->device, rte_strerror(-err));
	f = port_profile_find(info.driver_name);
	snprintf(p->driver, sizeof(p->driver), "%s", info.driver_name);
	memcpy(p->mac, mac.addr_bytes, sizeof(p->mac));
	p->max_rxq = info.max_rx_queues;
	p->max_txq = info.max_tx_queues;
	p->socket = rte_eth_dev_socket_id(p->ethdev);
	p->mtu = device_mtu(c);
	choose_queues(c, f, p);
	if (f->max_mtu != 0 && p->mtu > f->max_mtu) {
		sl_fail(e, -EINVAL, "mtu_too_large", "/mtu", "MTU %u: %s goes up to %u", p->mtu,
			f->driver, f->max_mtu);
		sl_hint(e, "set MTU %u, or use another driver for this port", f->max_mtu);
		return -EINVAL;
	}
	return 0;
}

int
sl_port_attach(const struct sl_port_conf *c, struct sl_port *p, struct sl_error *e)
{
	struct device d;
	uint16_t id;
	int err;

	memset(p, 0, sizeof(*p));
	p->ethdev = RTE_MAX_ETHPORTS;
	snprintf(p->name, sizeof(p->name), "%s", c->name != NULL ? c->name : "");
	err = device_parse(c, &d, e);
	if (err != 0)
		return err;
	snprintf(p->device, sizeof(p->device), "%s", c->device);
	if (rte_eth_dev_get_port_by_name(d.name, &id) == 0) {
		err = adopt(c, &d, id, e);
		if (err == 0)
			p->ethdev = id;
	} else {
		err = probe(c, &d, p, e);
	}
	if (err != 0)
		return err;
	err = read_device(c, p, e);
	if (err != 0)
		sl_port_close(p);
	return err;
}

void
sl_port_close(struct sl_port *p)
{
	struct rte_eth_dev_info info;
	uint16_t id = p->ethdev;

	if (p->device[0] == '\0' || id >= RTE_MAX_ETHPORTS || !rte_eth_dev_is_valid_port(id))
		return;
	if (p->started)
		rte_eth_dev_stop(id);
	p->started = false;
	port_iface[id][0] = '\0';
	if (!p->vdev_created || rte_eth_dev_info_get(id, &info) != 0 || info.device == NULL ||
	    rte_dev_remove(info.device) != 0)
		rte_eth_dev_owner_unset(id, owner.id);
	p->vdev_created = false;
	p->ethdev = RTE_MAX_ETHPORTS;
}
