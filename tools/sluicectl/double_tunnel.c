/* SPDX-License-Identifier: BSD-3-Clause */
/* migration check: does the way from this machine to a gateway lead through another tunnel? The
 * kernel is asked by connecting a datagram socket, which sends nothing: the address that it takes
 * says through which device. */
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control.h"

#define VPN_MAX 16

struct check {
	const char *vpn[VPN_MAX];
	unsigned n_vpn, tunnels;
	bool json;
	json_t *rows;
};

static int
take_args(struct check *x, int argc, char **argv, struct sl_error *e)
{
	for (int i = 0; i < argc; i++) {
		const char *name = strncmp(argv[i], "--vpn=", 6) == 0		   ? argv[i] + 6
				   : strcmp(argv[i], "--vpn") == 0 && i + 1 < argc ? argv[++i]
										   : NULL;

		if (!name || x->n_vpn == VPN_MAX) {
			sl_fail(e, -EINVAL, "usage", "",
				"migration check takes --vpn DEVICE, up to 16 times");
			return EXIT_USAGE;
		}
		x->vpn[x->n_vpn++] = name;
	}
	return 0;
}

/** The source address that the kernel would use. @return 0 or a negative errno */
static int
source_for(const char *endpoint, struct sockaddr_storage *out)
{
	char host[256];
	const char *colon = strrchr(endpoint, ':');
	struct addrinfo hints = {.ai_socktype = SOCK_DGRAM}, *list;
	socklen_t len = sizeof(*out);
	size_t n = colon ? (size_t)(colon - endpoint) : 0;
	int fd, rc;

	if (n == 0 || n >= sizeof(host))
		return -EINVAL;
	if (endpoint[0] == '[' && endpoint[n - 1] == ']') {
		endpoint++;
		n -= 2;
	}
	snprintf(host, sizeof(host), "%.*s", (int)n, endpoint);
	if (getaddrinfo(host, colon + 1, &hints, &list))
		return -EHOSTUNREACH;
	fd = socket(list->ai_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	rc = fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) ||
			     getsockname(fd, (struct sockaddr *)out, &len)
		     ? -errno
		     : 0;
	if (fd >= 0)
		close(fd);
	freeaddrinfo(list);
	return rc;
}

static bool
same_address(const struct sockaddr *a, const struct sockaddr_storage *b)
{
	if (!a || a->sa_family != b->ss_family)
		return false;
	if (a->sa_family == AF_INET)
		return ((const struct sockaddr_in *)a)->sin_addr.s_addr ==
		       ((const struct sockaddr_in *)b)->sin_addr.s_addr;
	return a->sa_family == AF_INET6 &&
	       memcmp(&((const struct sockaddr_in6 *)a)->sin6_addr,
		      &((const struct sockaddr_in6 *)b)->sin6_addr, 16) == 0;
}

static bool
device_of(const struct sockaddr_storage *source, char name[IF_NAMESIZE])
{
	struct ifaddrs *all, *i;
	bool found = false;

	if (getifaddrs(&all))
		return false;
	for (i = all; i && !found; i = i->ifa_next)
		if (same_address(i->ifa_addr, source)) {
			snprintf(name, IF_NAMESIZE, "%s", i->ifa_name);
			found = true;
		}
	freeifaddrs(all);
	return found;
}

/** tun and tap devices, WireGuard, PPP, and what the operator named. */
static bool
is_tunnel(const struct check *x, const char *device)
{
	char path[128], line[128];
	bool yes = false;
	FILE *f;

	for (unsigned i = 0; i < x->n_vpn; i++)
		if (strcmp(x->vpn[i], device) == 0)
			return true;
	snprintf(path, sizeof(path), "/sys/class/net/%s/tun_flags", device);
	if (access(path, F_OK) == 0)
		return true;
	snprintf(path, sizeof(path), "/sys/class/net/%s/uevent", device);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		yes |= strcmp(line, "DEVTYPE=wireguard\n") == 0 ||
		       strcmp(line, "DEVTYPE=ppp\n") == 0;
	if (f)
		fclose(f);
	return yes;
}

static void
check_one(struct check *x, const char *gateway, const char *endpoint)
{
	struct sockaddr_storage source;
	char device[IF_NAMESIZE] = "";
	int rc = source_for(endpoint, &source);
	bool tunnel = rc == 0 && device_of(&source, device) && is_tunnel(x, device);
	const char *verdict = rc ? "unreachable" : tunnel ? "double_tunnel" : "ok";

	x->tunnels += tunnel;
	json_array_append_new(x->rows,
			      json_pack("{s:s, s:s, s:s, s:s}", "gateway", gateway, "endpoint",
					endpoint, "device", device, "verdict", verdict));
	if (!x->json)
		printf("%-20s %-40s %-16s %s\n", gateway, endpoint, device[0] ? device : "-",
		       verdict);
}

int
double_tunnel_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct check x = {.json = json, .rows = json_array()};
	struct control_request q = {0};
	struct rest_answer a = {0};
	json_t *row;
	size_t i;
	int rc = take_args(&x, argc, argv, e);

	if (rc == 0)
		rc = control_parse(&q, op_find("listGatewayInterfaces"), NULL, 0, NULL, e)
			     ? EXIT_USAGE
			     : control_ask(r, &q, &a, e);
	json_array_foreach (json_object_get(a.json, "items"), i, row) {
		const char *endpoint = json_string_value(json_object_get(row, "endpoint"));

		if (rc == 0 && endpoint)
			check_one(&x, json_string_value(json_object_get(row, "gateway")), endpoint);
	}
	if (rc == 0 && json)
		answer_json(x.rows);
	if (rc == 0 && x.tunnels) {
		sl_fail(e, -EINVAL, "double_tunnel", "",
			"the way to %u gateways leads through another tunnel", x.tunnels);
		sl_hint(e, "route their endpoints past it, outside of the old VPN");
		rc = EXIT_FAILED;
	}
	json_decref(x.rows);
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}
