/* SPDX-License-Identifier: BSD-3-Clause */
/* port.* */
#include "rpc_int.h"

struct walk {
	struct sl_ctl *ctl;
	const char *only; /* NULL: all */
	const struct ctl_span *span;
	json_t *list;
};

/** Packets to the gateway itself whose checksum was wrong, on all ports. */
static uint64_t
wrong_checksums(const struct sl_ctl *ctl, const struct ctl_point *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < ctl->dp->n_lcores; i++)
		n += p->lcore[i].drops[SL_DROP_L4_CHECKSUM];
	return n;
}

/** Does the far end of this port lie in a kernel that may leave checksums to be filled in? */
static bool
is_kernel_port(const char *driver)
{
	static const char *const kernel[] = {"net_af_packet", "net_af_xdp", "net_tap", "net_pcap",
					     "virtio"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(kernel); i++)
		if (strstr(driver, kernel[i]))
			return true;
	return false;
}

static void warn(json_t *list, const char *fmt, ...) SL_PRINTF(2, 3);

static void
warn(json_t *list, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	json_array_append_new(list, json_vsprintf(fmt, ap));
	va_end(ap);
}

static json_t *
warnings(const struct walk *w, const struct sl_gw_port_view *v, const struct sl_port_link *link)
{
	const struct sl_port_stats *s = &w->span->now->port[v->number];
	uint64_t wrong = wrong_checksums(w->ctl, w->span->now);
	json_t *list = json_array();

	if (!link->up)
		warn(list, "no link");
	if (v->port->rxq > 1 && !v->port->rss_udp)
		warn(list, "receive queues are not chosen by UDP ports: packets change lcores");
	if (s->rx_missed)
		warn(list, "%llu packets were lost because a receive queue was full",
		     (unsigned long long)s->rx_missed);
	if (s->rx_nombuf)
		warn(list, "%llu times there was no packet buffer: raise system.mbufs",
		     (unsigned long long)s->rx_nombuf);
	if (wrong && is_kernel_port(v->port->driver))
		warn(list,
		     "%llu packets to the gateway had a wrong checksum: a kernel at the other end "
		     "may leave checksums to its device (there: ethtool -K DEVICE tx off)",
		     (unsigned long long)wrong);
	return list;
}

static json_t *
addresses(const struct sl_gw_port_view *v)
{
	json_t *list = json_array();
	char text[SL_PREFIX_STR];

	for (unsigned i = 0; i < v->n_addr; i++) {
		json_t *o = json_pack("{s:s}", "prefix", sl_prefix_str(&v->addr[i].prefix, text));

		ctl_set_vlan(o, v->addr[i].vlan);
		json_array_append_new(list, o);
	}
	return list;
}

static void
add_port(void *ctx, const struct sl_gw_port_view *v)
{
	const struct sl_port *port = v->port;
	struct walk *w = ctx;
	struct sl_port_link link;
	json_t *o;

	sl_port_link(port, &link);
	o = json_pack("{s:s, s:i, s:s, s:s, s:o, s:i, s:i, s:i, s:s, s:o, s:b, s:b, s:b, s:o}",
		      "name", port->name, "number", (int)v->number, "device", port->device,
		      "driver", port->driver, "mac", ctl_mac(port->mac), "mtu", (int)port->mtu,
		      "rx_queues", (int)port->rxq, "tx_queues", (int)port->txq, "link",
		      link.up ? "up" : "down", "addresses", addresses(v), "rss_udp",
		      (int)port->rss_udp, "rx_checksum", (int)port->rx_csum, "tx_checksum",
		      (int)(port->tx_csum_ip && port->tx_csum_udp), "warnings",
		      warnings(w, v, &link));
	if (link.up && link.mbps && link.mbps != UINT32_MAX)
		json_object_set_new(o, "mbps", json_integer(link.mbps));
	json_array_append_new(w->list, o);
}

int
sl_rpc_h_port_list(void *user, const struct sl_rpc_caller *caller, const void *p, json_t **result,
		   struct sl_error *e)
{
	struct walk w = {.ctl = user};
	struct ctl_span span;
	int rc = ctl_rates(user, &span, e);

	(void)caller;
	(void)p;
	if (rc)
		return rc;
	w.span = &span;
	w.list = json_array();
	sl_gw_port_walk(w.ctl->gw, add_port, &w);
	return ctl_answer(result, json_pack("{s:o}", "ports", w.list));
}

static void
add_stats(void *ctx, const struct sl_gw_port_view *v)
{
	struct walk *w = ctx;
	const struct sl_port_stats *a = &w->span->before->port[v->number];
	const struct sl_port_stats *b = &w->span->now->port[v->number];
	double s = w->span->seconds;

	if (w->only && strcmp(w->only, v->port->name) != 0)
		return;
	json_array_append_new(
		w->list,
		json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			  "name", v->port->name, "rx_packets", (json_int_t)b->rx_packets,
			  "rx_bytes", (json_int_t)b->rx_bytes, "tx_packets",
			  (json_int_t)b->tx_packets, "tx_bytes", (json_int_t)b->tx_bytes,
			  "rx_missed", (json_int_t)b->rx_missed, "rx_errors",
			  (json_int_t)b->rx_errors, "rx_nombuf", (json_int_t)b->rx_nombuf,
			  "tx_errors", (json_int_t)b->tx_errors, "rx_pps",
			  (json_int_t)ctl_rate(a->rx_packets, b->rx_packets, s), "tx_pps",
			  (json_int_t)ctl_rate(a->tx_packets, b->tx_packets, s), "rx_bps",
			  (json_int_t)ctl_rate(a->rx_bytes, b->rx_bytes, s / 8), "tx_bps",
			  (json_int_t)ctl_rate(a->tx_bytes, b->tx_bytes, s / 8)));
}

int
sl_rpc_h_port_stats(void *user, const struct sl_rpc_caller *caller,
		    const struct sl_rpc_port_stats *p, json_t **result, struct sl_error *e)
{
	struct walk w = {.ctl = user, .only = p->has_port ? p->port : NULL};
	struct ctl_span span;
	int rc = ctl_rates(user, &span, e);

	(void)caller;
	if (rc)
		return rc;
	w.span = &span;
	w.list = json_array();
	sl_gw_port_walk(w.ctl->gw, add_stats, &w);
	if (w.only && json_array_size(w.list) == 0) {
		json_decref(w.list);
		sl_fail(e, -ENOENT, "port_unknown", "/port", "no port \"%.31s\"", p->port);
		sl_hint(e, "port.list names them");
		return -ENOENT;
	}
	return ctl_answer(result, json_pack("{s:I, s:o}", "interval_ms",
					    (json_int_t)(span.seconds * 1e3), "ports", w.list));
}
