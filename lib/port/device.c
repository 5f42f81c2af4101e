/* SPDX-License-Identifier: BSD-3-Clause */
#include "device.h"

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MTU_DEFAULT 1500
#define ETH_BYTES 14
#define VLAN_BYTES 4
/* net_af_packet: before the frame a slot of the ring holds TPACKET2_HDRLEN (52) and 16 bytes for
 * the link layer, aligned to 16, of which an Ethernet header takes the last 14; the kernel cuts
 * what does not fit */
#define RING_HDR_BYTES 66
#define RING_FRAME_DEFAULT 2048

uint16_t
device_mtu(const struct sl_port_conf *c)
{
	return c->mtu != 0 ? c->mtu : MTU_DEFAULT;
}

bool
device_arg(const char *args, const char *key, char *out, size_t n)
{
	size_t klen = strlen(key), len;
	const char *p = args;

	while (*p != '\0') {
		len = strcspn(p, ",");
		if (len > klen && p[klen] == '=' && strncmp(p, key, klen) == 0) {
			snprintf(out, n, "%.*s", (int)(len - klen - 1), p + klen + 1);
			return true;
		}
		p += len + (p[len] == ',');
	}
	return false;
}

/** "dddd:bb:dd.f" of a PCI address with or without domain. @return false if it is none. */
static bool
pci_normalise(const char *s, char *out, size_t n)
{
	unsigned domain = 0, bus, dev, fn;
	int end = -1;

	if (sscanf(s, "%4x:%2x:%2x.%1u%n", &domain, &bus, &dev, &fn, &end) != 4 || s[end] != '\0') {
		domain = 0;
		end = -1;
		if (sscanf(s, "%2x:%2x.%1u%n", &bus, &dev, &fn, &end) != 3 || s[end] != '\0')
			return false;
	}
	if (dev > 31 || fn > 7)
		return false;
	snprintf(out, n, "%04x:%02x:%02x.%u", domain, bus, dev, fn);
	return true;
}

static bool
is_vdev_name(const char *s)
{
	return strncmp(s, "net_", 4) == 0 || strncmp(s, "eth_", 4) == 0 ||
	       strncmp(s, "virtio_user", strlen("virtio_user")) == 0;
}

bool
device_pci_driver(const char *address, char *out, size_t n)
{
	char path[128], link[128];
	ssize_t len;
	char *base;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", address);
	if (access(path, F_OK) != 0)
		return false;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", address);
	len = readlink(path, link, sizeof(link) - 1);
	if (len > 0) {
		link[len] = '\0';
		base = strrchr(link, '/');
		snprintf(out, n, "%s", base != NULL ? base + 1 : link);
	}
	return true;
}

/* --- checks before the device is created ---------------------------------------------------- */

/** @return MTU of a kernel interface, 0 when it cannot be read. */
static unsigned
kernel_mtu(const char *iface)
{
	struct ifreq r = {0};
	unsigned mtu = 0;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return 0;
	memcpy(r.ifr_name, iface, SL_MIN(strlen(iface), sizeof(r.ifr_name) - 1));
	if (ioctl(fd, SIOCGIFMTU, &r) == 0)
		mtu = (unsigned)r.ifr_mtu;
	close(fd);
	return mtu;
}

static int
check_iface(const struct sl_port_conf *c, const char *key, const char *iface, struct sl_error *e)
{
	unsigned mtu;

	if (strlen(iface) >= IF_NAMESIZE || if_nametoindex(iface) == 0) {
		sl_fail(e, -ENODEV, "device_missing", "/device",
			"there is no network interface \"%s\" (%s=%s of %s)", iface, key, iface,
			c->device);
		sl_hint(e, "\"ip link\" lists the interfaces of this network namespace");
		return -ENODEV;
	}
	mtu = kernel_mtu(iface);
	if (mtu != 0 && mtu < device_mtu(c)) {
		sl_fail(e, -EINVAL, "mtu_too_large", "/mtu",
			"MTU %u is larger than that of the interface %s, which is %u",
			device_mtu(c), iface, mtu);
		sl_hint(e, "\"ip link set %s mtu %u\", or set a lower MTU for the port", iface,
			device_mtu(c));
		return -EINVAL;
	}
	return 0;
}

static int
check_ifaces(const struct sl_port_conf *c, struct device *d, struct sl_error *e)
{
	const char *p = d->profile->iface_args;
	char key[32], value[64];
	size_t len;
	int err;

	if (p == NULL)
		return 0;
	for (p++; *p != '\0'; p += len + 1) {
		len = strcspn(p, ",");
		snprintf(key, sizeof(key), "%.*s", (int)len, p);
		if (!device_arg(d->args, key, value, sizeof(value)))
			continue;
		err = check_iface(c, key, value, e);
		if (err != 0)
			return err;
		if (d->iface[0] == '\0')
			snprintf(d->iface, sizeof(d->iface), "%s", value);
	}
	return 0;
}

/** Frames that do not fit a slot of af_packet's ring are cut without a counter: refuse them. */
static int
check_ring_frame(const struct sl_port_conf *c, const struct device *d, struct sl_error *e)
{
	unsigned need = device_mtu(c) + ETH_BYTES + (c->vlan ? VLAN_BYTES : 0) + RING_HDR_BYTES;
	unsigned framesz = RING_FRAME_DEFAULT, want;
	char value[32];

	if (strcmp(d->profile->driver, "net_af_packet") != 0)
		return 0;
	if (device_arg(d->args, "framesz", value, sizeof(value)))
		framesz = (unsigned)strtoul(value, NULL, 0);
	if (framesz >= need)
		return 0;
	want = (need + 2047) / 2048 * 2048;
	sl_fail(e, -EINVAL, "mtu_too_large", "/device",
		"packets of MTU %u do not fit the frames of %s, which hold %u bytes less %u",
		device_mtu(c), d->name, framesz, RING_HDR_BYTES);
	sl_hint(e, "add framesz=%u,blocksz=%u,framecnt=512 to the device, or lower the MTU", want,
		4 * want);
	return -EINVAL;
}

int
device_check(const struct sl_port_conf *c, struct device *d, struct sl_error *e)
{
	const struct port_profile *f = d->profile;
	char value[160];
	int err;

	if (f->needed_arg != NULL && !device_arg(d->args, f->needed_arg, value, sizeof(value))) {
		sl_fail(e, -EINVAL, "device_invalid", "/device",
			"device \"%s\" lacks the argument %s=", c->device, f->needed_arg);
		sl_hint(e, "%s", f->hint);
		return -EINVAL;
	}
	err = check_ifaces(c, d, e);
	if (err == 0)
		err = check_ring_frame(c, d, e);
	return err;
}

/* --- the text ------------------------------------------------------------------------------- */

/** The driver's own rings are too short: lengthen them, unless the operator chose any. */
static void
add_ring_args(struct device *d)
{
	const char *p = d->profile->ring_args;
	size_t used = strlen(d->args), len;
	char key[32], value[32];

	if (p == NULL || device_arg(d->args, "framesz", value, sizeof(value)))
		return;
	for (; *p != '\0'; p += strcspn(p, ",")) {
		len = strcspn(++p, "=");
		snprintf(key, sizeof(key), "%.*s", (int)len, p);
		if (device_arg(d->args, key, value, sizeof(value)))
			return;
	}
	p = d->profile->ring_args + (used == 0);
	if (used + strlen(p) < sizeof(d->args))
		memcpy(d->args + used, p, strlen(p) + 1);
}

/** Ask for as many queues as are wanted, where the operator did not say. */
static void
add_queues_arg(const struct sl_port_conf *c, struct device *d)
{
	const char *key = d->profile->queues_arg;
	size_t used = strlen(d->args);
	char value[32];

	if (key == NULL || c->rxq <= 1 || device_arg(d->args, key, value, sizeof(value)))
		return;
	snprintf(d->args + used, sizeof(d->args) - used, "%s%s=%u", used > 0 ? "," : "", key,
		 c->rxq);
}

int
device_parse(const struct sl_port_conf *c, struct device *d, struct sl_error *e)
{
	const char *text = c->device != NULL ? c->device : "";
	size_t len = strcspn(text, ",");
	const char *args = text + len + (text[len] == ',');
	char pci[32];

	memset(d, 0, sizeof(*d));
	if (len == 0)
		return sl_fail(e, -EINVAL, "device_invalid", "/device", "the device has no name");
	if (len >= sizeof(d->name) || strlen(text) >= sizeof(((struct sl_port *)0)->device))
		return sl_fail(e, -EINVAL, "device_invalid", "/device",
			       "the device \"%.40s...\" is too long", text);
	snprintf(d->name, sizeof(d->name), "%.*s", (int)len, text);
	snprintf(d->args, sizeof(d->args), "%s", args);
	d->profile = port_profile_find(d->name);
	if (is_vdev_name(d->name)) {
		d->kind = DEVICE_VDEV;
		add_queues_arg(c, d);
		add_ring_args(d);
	} else if (pci_normalise(d->name, pci, sizeof(pci))) {
		d->kind = DEVICE_PCI;
		snprintf(d->name, sizeof(d->name), "%s", pci);
	}
	return 0;
}
