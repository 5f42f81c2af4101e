/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the gateway is asked on an attachment: ARP, ND and echo are answered in the same buffer,
 * within a rate (D39). What is learned about neighbours goes to control, which alone writes them.
 */
#include "pipeline_int.h"

#define ICMP_ECHO_REQUEST 8
#define ICMP6_ECHO_REQUEST 128

static const uint8_t all_nodes_mac[6] = {0x33, 0x33, 0, 0, 0, 1};

/* One frame; data of `m` at its Ethernet header. */
struct frame {
	struct rte_mbuf *m;
	const struct sl_att *att;
	unsigned l2_len;
	uint8_t *eth;
	uint8_t *l3;
};

static bool
frame_open(struct sl_worker *w, struct rte_mbuf *m, struct frame *f)
{
	f->m = m;
	f->att = sl_root_att(w->root, sl_meta(m)->att);
	f->eth = rte_pktmbuf_mtod(m, uint8_t *);
	f->l2_len = sl_load_be16(f->eth + 12) == SL_ETHERTYPE_VLAN ? SL_L2_MAX : SL_ETH_HDR;
	f->l3 = f->eth + f->l2_len;
	return f->att != NULL;
}

static void
consume(struct frame *f, struct sl_vec out[], enum sl_drop why)
{
	sl_vec_drop(&out[SL_NODE_DROP], f->m, why);
}

/* Send the frame back with `l3_len` bytes behind a new Ethernet header; a tag that the NIC took off
 * is put on again. */
static void
send_back(struct frame *f, const uint8_t *to, uint16_t type, unsigned l3_len, struct sl_vec out[])
{
	const unsigned l2_len = f->att->vlan != 0 ? SL_L2_MAX : SL_ETH_HDR;
	struct rte_mbuf *m = f->m;
	struct sl_meta *meta = sl_meta(m);
	uint8_t *eth = f->l3 - l2_len;
	uint8_t dst[6];

	if (eth < (uint8_t *)m->buf_addr) {
		consume(f, out, SL_DROP_HEADROOM);
		return;
	}
	memcpy(dst, to, 6); /* `to` may lie in the header that is written now */
	memcpy(eth, dst, 6);
	memcpy(eth + 6, f->att->mac, 6);
	if (f->att->vlan != 0) {
		sl_store_be16(eth + 12, SL_ETHERTYPE_VLAN);
		sl_store_be16(eth + 14, f->att->vlan);
	}
	sl_store_be16(f->l3 - 2, type);
	m->data_off = (uint16_t)(eth - (uint8_t *)m->buf_addr);
	m->data_len = (uint16_t)(l2_len + l3_len);
	m->pkt_len = m->data_len;
	meta->port = f->att->port;
	meta->next = SL_NEXT_L2;
	meta->flags |= SL_PKT_LOCAL_ORIGIN;
	sl_vec_add(&out[SL_NODE_TX], m);
}

/* --- neighbours -------------------------------------------------------------------------- */

/* @return true if a neighbour may have this address: on a connected network, and not ours */
static bool
is_neighbour(const struct sl_att *att, const struct sl_ip *ip)
{
	unsigned i;

	if (sl_att_owns(att, ip->family, ip->b))
		return false;
	if (ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80)
		return true;
	for (i = 0; i < att->n_addrs; i++)
		if (sl_prefix_contains(&att->addr[i], ip))
			return true;
	return false;
}

static void
tell_seen(struct sl_worker *w, const struct frame *f, const struct sl_neigh_msg *msg, bool for_us)
{
	struct sl_ctl_event ev = {.type = SL_EV_NEIGH_SEEN,
				  .solicited = msg->solicited,
				  .override = msg->override || msg->request,
				  .request = for_us && msg->request,
				  .att = f->att->id,
				  .ip = msg->sender};

	if (msg->dad || !is_neighbour(f->att, &msg->sender))
		return;
	memcpy(ev.mac, msg->has_mac ? msg->mac : f->eth + 6, 6);
	sl_worker_tell(w, &ev);
}

static void
on_arp(struct sl_worker *w, struct frame *f, struct sl_vec out[])
{
	struct sl_neigh_msg msg;

	if (!sl_arp_parse(f->l3, f->m->data_len - f->l2_len, &msg)) {
		consume(f, out, SL_DROP_IP_HEADER);
	} else if (!msg.reply && !sl_att_owns(f->att, 4, msg.target.b) &&
		   !sl_ip_equal(&msg.sender, &msg.target)) {
		consume(f, out, SL_DROP_L2_NOT_MINE); /* of others for others: not counted */
	} else if (!sl_worker_may_neigh(w, f->att->port)) {
		consume(f, out, SL_DROP_RATE_LOCAL);
	} else if (msg.reply) {
		tell_seen(w, f, &msg, false);
		consume(f, out, SL_DROP_LOCAL_CONSUMED);
	} else if (!sl_att_owns(f->att, 4, msg.target.b)) {
		/* an announcement (RFC 5227) renews what control knows already */
		tell_seen(w, f, &msg, false);
		consume(f, out, SL_DROP_L2_NOT_MINE);
	} else {
		tell_seen(w, f, &msg, true);
		sl_arp_write(f->l3, true, f->att->mac, msg.target.b, msg.mac, msg.sender.b);
		send_back(f, msg.mac, SL_ETHERTYPE_ARP, SL_ARP_LEN, out);
	}
}

static bool
owns6(const struct sl_att *att, const struct sl_ip *ip)
{
	uint8_t link_local[16];

	sl_ip6_link_local(att->mac, link_local);
	return sl_att_owns(att, 6, ip->b) || memcmp(ip->b, link_local, 16) == 0;
}

static void
advertise(struct frame *f, const struct sl_neigh_msg *msg, struct sl_vec out[])
{
	const unsigned room = f->m->buf_len - f->m->data_off - f->l2_len;
	const uint8_t *to = all_nodes_mac;
	unsigned len;

	if (room < SL_NS_LEN) {
		consume(f, out, SL_DROP_HEADROOM);
		return;
	}
	if (!msg->dad)
		to = msg->has_mac ? msg->mac : f->eth + 6;
	len = sl_nd_write(f->l3, true, f->att->mac, msg->target.b, msg->dad ? NULL : msg->sender.b,
			  msg->target.b, !msg->dad);
	send_back(f, to, SL_ETHERTYPE_IP6, len, out);
}

static void
on_nd(struct sl_worker *w, struct frame *f, const struct sl_ip_info *info, struct sl_vec out[])
{
	struct sl_neigh_msg msg;

	if (!sl_nd_parse(f->l3, f->m->data_len - f->l2_len, info, &msg)) {
		consume(f, out, SL_DROP_IP_HEADER);
	} else if (!msg.reply && !owns6(f->att, &msg.target)) {
		consume(f, out, SL_DROP_L2_NOT_MINE);
	} else if (!sl_worker_may_neigh(w, f->att->port)) {
		consume(f, out, SL_DROP_RATE_LOCAL);
	} else if (msg.reply) {
		tell_seen(w, f, &msg, false);
		consume(f, out, SL_DROP_LOCAL_CONSUMED);
	} else {
		tell_seen(w, f, &msg, true);
		advertise(f, &msg, out);
	}
}

/* --- ICMP -------------------------------------------------------------------------------- */

static void
on_echo(struct sl_worker *w, struct frame *f, const struct sl_ip_info *info, struct sl_vec out[])
{
	if (!sl_worker_may_echo(w, f->att->port))
		consume(f, out, SL_DROP_RATE_LOCAL);
	else if (!sl_icmp_echo_reply(f->l3, info))
		consume(f, out, SL_DROP_L4_CHECKSUM);
	else
		send_back(f, f->eth + 6, info->version == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6,
			  info->total_len, out);
}

static void
on_icmp(struct sl_worker *w, struct frame *f, const struct sl_ip_info *info, struct sl_vec out[])
{
	const uint8_t type = f->l3[info->l4_off];

	if (type == (info->version == 4 ? ICMP_ECHO_REQUEST : ICMP6_ECHO_REQUEST))
		on_echo(w, f, info, out);
	else if (info->version == 6 && (type == 135 || type == 136))
		on_nd(w, f, info, out);
	else
		consume(f, out, SL_DROP_LOCAL_CONSUMED);
}

static void
on_ip(struct sl_worker *w, struct frame *f, struct sl_vec out[])
{
	const struct sl_meta *meta = sl_meta(f->m);
	struct sl_ip_info info;
	bool icmp;

	/* parsed once already, by CLASSIFY; meta is of the IP header, data of the frame */
	f->m->data_off = (uint16_t)(f->m->data_off + f->l2_len);
	sl_meta_to_ip(f->m, &info);
	f->m->data_off = (uint16_t)(f->m->data_off - f->l2_len);
	icmp = meta->proto == (meta->version == 4 ? SL_PROTO_ICMP : SL_PROTO_ICMP6);
	if (meta->flags & SL_PKT_FRAG)
		consume(f, out, SL_DROP_FRAG_OUTER);
	else if (icmp)
		on_icmp(w, f, &info, out);
	else
		consume(f, out, SL_DROP_NO_LISTENER);
}

void
sl_stage_host(struct sl_worker *w, struct sl_vec *in, struct sl_vec out[])
{
	struct frame f;
	unsigned i;

	for (i = 0; i < in->n; i++) {
		if (!frame_open(w, in->m[i], &f))
			consume(&f, out, SL_DROP_L2_VLAN);
		else if (sl_load_be16(f.l3 - 2) == SL_ETHERTYPE_ARP)
			on_arp(w, &f, out);
		else
			on_ip(w, &f, out);
	}
	in->n = 0;
}
