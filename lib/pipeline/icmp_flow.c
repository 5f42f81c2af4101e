/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Keys of what is not a whole packet with ports: echo, ICMP errors, fragments (D8).
 *
 * An ICMP error passes with the flow whose packet it quotes, if it comes from where that packet
 * went and goes to where it came from. All other ICMP is judged by rules.
 */
#include "flow_int.h"

#define ICMP_HDR 8
#define ICMP_ID_OFF 4
#define TCP_HDR 20

enum { ECHO_NONE, ECHO_REQUEST, ECHO_REPLY };

static unsigned
echo_of(uint8_t proto, uint8_t type)
{
	if (proto == SL_PROTO_ICMP)
		return type == 8 ? ECHO_REQUEST : type == 0 ? ECHO_REPLY : ECHO_NONE;
	return type == 128 ? ECHO_REQUEST : type == 129 ? ECHO_REPLY : ECHO_NONE;
}

/** Unreachable, source quench, time exceeded, parameter problem; IPv6: too big, too. A redirect is
 * for a router's neighbour, never for a tunnel. */
static bool
is_error(uint8_t proto, uint8_t type)
{
	if (proto == SL_PROTO_ICMP)
		return type == 3 || type == 4 || type == 11 || type == 12;
	return type >= 1 && type <= 4;
}

static bool
is_icmp(const struct sl_meta *meta)
{
	return meta->proto == (meta->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6);
}

/** The identifier of echo is the port of the side that asks. */
static void
echo_ports(uint8_t proto, const uint8_t *icmp, uint16_t *sport, uint16_t *dport)
{
	unsigned echo = echo_of(proto, icmp[0]);

	*sport = echo == ECHO_REQUEST ? sl_load_be16(icmp + ICMP_ID_OFF) : 0;
	*dport = echo == ECHO_REPLY ? sl_load_be16(icmp + ICMP_ID_OFF) : 0;
}

static void
own_key(struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const uint8_t *l4 = rte_pktmbuf_mtod(a->m[i], const uint8_t *) + meta->l4_off;
	uint16_t sport = meta->sport, dport = meta->dport;

	if (is_icmp(meta))
		echo_ports(meta->proto, l4, &sport, &dport);
	a->side[i] = sl_flow_key_make(&a->key[i], meta->version, meta->proto, meta->iface_id,
				      sl_pkt_src(a->m[i]), sl_pkt_dst(a->m[i]), sport, dport);
}

/* Does the error come from where the quoted packet went, and go to where it came from? */
static bool
is_way_back(const struct sl_authz *a, unsigned i, const struct sl_ip_info *q)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const struct sl_iface_view *f = sl_pkt_iface(a->w, a->m[i]);
	uint32_t peer;

	if (f == NULL || memcmp(q->src, sl_pkt_dst(a->m[i]), q->version == 4 ? 4 : 16) != 0)
		return false;
	peer = sl_iface_peer(f, q->version, q->dst);
	if ((meta->flags & SL_PKT_FROM_TUNNEL) != 0 && a->kind[i] != SL_AUTHZ_QUIET)
		return peer == meta->peer_id;
	return (peer == SL_PEER_ID_NONE) == (a->kind[i] != SL_AUTHZ_QUIET);
}

static bool
quoted_key(struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);
	const uint8_t *icmp = rte_pktmbuf_mtod(a->m[i], const uint8_t *) + meta->l4_off;
	struct sl_ip_info q;

	if (!is_error(meta->proto, icmp[0]) ||
	    !sl_ip_parse_quote(icmp + ICMP_HDR, meta->total_len - meta->l4_off - ICMP_HDR, &q) ||
	    q.version != meta->version || !is_way_back(a, i, &q))
		return false;
	if (q.proto == (q.version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6))
		echo_ports(q.proto, icmp + ICMP_HDR + q.l4_off, &q.sport, &q.dport);
	a->side[i] = sl_flow_key_make(&a->key[i], q.version, q.proto, meta->iface_id, q.src, q.dst,
				      q.sport, q.dport);
	return true;
}

void
sl_authz_plain(struct sl_authz *a, unsigned i)
{
	a->kind[i] = SL_AUTHZ_FLOW;
	own_key(a, i);
	a->hash[i] = sl_flow_hash(a->w->flows, &a->key[i]);
}

/** It would write over the flags that the first one was judged by (RFC 1858 3, RFC 3128). */
static bool
hides_tcp(const struct sl_meta *meta)
{
	return meta->proto == SL_PROTO_TCP && meta->frag_off < TCP_HDR;
}

/** A later fragment: as its first one. */
static void
later_fragment(struct sl_authz *a, unsigned i)
{
	if (a->kind[i] == SL_AUTHZ_QUIET) /* its way is made by the first one */
		a->kind[i] = SL_AUTHZ_OWN;
	else if (hides_tcp(sl_meta(a->m[i])) || !sl_frag_find(a, i))
		a->kind[i] = SL_AUTHZ_ORPHAN;
}

void
sl_authz_special(struct sl_authz *a, unsigned i)
{
	const struct sl_meta *meta = sl_meta(a->m[i]);

	memset(&a->key[i], 0, sizeof(a->key[i])); /* no flow has this key */
	a->side[i] = 0;
	if ((meta->flags & SL_PKT_LOCAL_ORIGIN) != 0) {
		a->kind[i] = SL_AUTHZ_OWN;
	} else if (meta->frag_off != 0) {
		later_fragment(a, i);
	} else if ((meta->flags & SL_PKT_FRAG) != 0) {
		own_key(a, i);
		sl_frag_put(a, i);
	} else if (is_icmp(meta) && quoted_key(a, i)) {
		/* between peers both ends hold the flow: nothing to make way for */
		a->kind[i] = a->kind[i] == SL_AUTHZ_QUIET ? SL_AUTHZ_OWN : SL_AUTHZ_ERROR;
	} else {
		own_key(a, i);
	}
}
