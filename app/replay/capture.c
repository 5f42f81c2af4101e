/* SPDX-License-Identifier: BSD-3-Clause */
/* Captures: from the link layer to the IP packet. */
#include <stdio.h>
#include <unistd.h>

#include "replay.h"

#define VLAN_TAGS_MAX 4
#define ETHERTYPE_QINQ_OLD 0x9100
#define SLL_HDR 16
#define SLL2_HDR 20
#define NULL_HDR 4

const char *
replay_skip_text(enum replay_skip s)
{
	static const char *const text[REPLAY_SKIPS] = {"",	  "not_ip",    "truncated",
						       "no_peer", "no_inside", "too_big"};

	return text[s];
}

static bool
link_known(int link)
{
	return link == DLT_EN10MB || link == DLT_RAW || link == DLT_IPV4 || link == DLT_IPV6 ||
	       link == DLT_LINUX_SLL || link == DLT_LINUX_SLL2 || link == DLT_NULL ||
	       link == DLT_LOOP;
}

int
replay_capture_open(struct replay_capture *c, const char *path, struct sl_error *e)
{
	char text[PCAP_ERRBUF_SIZE] = "";

	if (access(path, R_OK) && strcmp(path, "-") != 0)
		return sl_fail(e, -errno, "pcap_file", "/pcap", "%.200s: %s", path,
			       strerror(errno));
	c->p = pcap_open_offline_with_tstamp_precision(path, PCAP_TSTAMP_PRECISION_NANO, text);
	if (!c->p) {
		sl_fail(e, -EINVAL, "pcap_invalid", "/pcap", "%.200s: %.100s", path, text);
		sl_hint(e, "a pcap or pcapng file, as tcpdump -w writes it");
		return -EINVAL;
	}
	c->link = pcap_datalink(c->p);
	if (link_known(c->link))
		return 0;
	sl_fail(e, -EINVAL, "pcap_link", "/pcap", "%.200s: link type %s is not known here", path,
		pcap_datalink_val_to_name(c->link) ? pcap_datalink_val_to_name(c->link) : "?");
	sl_hint(e, "Ethernet, raw IP, Linux cooked and BSD loopback captures can be replayed");
	replay_capture_close(c);
	return -EINVAL;
}

void
replay_capture_close(struct replay_capture *c)
{
	if (c->p)
		pcap_close(c->p);
	c->p = NULL;
}

/** Bytes of a header with an EtherType at `at`, VLAN tags included. @return 0: no IP behind it */
static uint32_t
ethertype_hdr(const uint8_t *p, uint32_t len, uint32_t at, uint32_t hdr)
{
	for (unsigned tags = 0; hdr <= len; tags++) {
		uint16_t type = sl_load_be16(p + at);

		if (type == SL_ETHERTYPE_IP4 || type == SL_ETHERTYPE_IP6)
			return hdr;
		if ((type != SL_ETHERTYPE_VLAN && type != SL_ETHERTYPE_QINQ &&
		     type != ETHERTYPE_QINQ_OLD) ||
		    tags == VLAN_TAGS_MAX)
			return 0;
		at = hdr + 2;
		hdr += SL_VLAN_HDR;
	}
	return 0;
}

/** @return offset of the IP header, or more than len where there is none */
static uint32_t
ip_offset(int link, const uint8_t *p, uint32_t len)
{
	uint32_t hdr = 0;

	switch (link) {
	case DLT_EN10MB:
		hdr = ethertype_hdr(p, len, SL_ETH_HDR - 2, SL_ETH_HDR);
		return hdr ? hdr : UINT32_MAX;
	case DLT_LINUX_SLL:
		hdr = ethertype_hdr(p, len, SLL_HDR - 2, SLL_HDR);
		return hdr ? hdr : UINT32_MAX;
	case DLT_LINUX_SLL2:
		if (len < SLL2_HDR)
			return UINT32_MAX;
		hdr = sl_load_be16(p);
		return hdr == SL_ETHERTYPE_IP4 || hdr == SL_ETHERTYPE_IP6 ? SLL2_HDR : UINT32_MAX;
	case DLT_NULL:
	case DLT_LOOP:
		return NULL_HDR;
	default:
		return 0;
	}
}

/** Addresses, length and, where the headers are right, the rest. */
static enum replay_skip
take_ip(struct replay_packet *p, const uint8_t *ip, uint32_t have, bool cut)
{
	uint8_t version = have ? ip[0] >> 4 : 0;
	uint32_t hdr = version == 4 ? SL_IP4_HDR : SL_IP6_HDR;

	if (version != 4 && version != 6)
		return REPLAY_NOT_IP;
	if (have < hdr)
		return cut ? REPLAY_TRUNCATED : REPLAY_NOT_IP;
	p->data = ip;
	p->len = version == 4 ? sl_load_be16(ip + 2) : SL_IP6_HDR + sl_load_be16(ip + 4);
	p->parsed = sl_ip_parse_packet(ip, have, false, &p->ip) == SL_DROP_NONE;
	if (!p->parsed)
		p->ip = (struct sl_ip_info){.version = version,
					    .proto = version == 4 ? ip[9] : ip[6],
					    .src = ip + (version == 4 ? 12 : 8),
					    .dst = ip + (version == 4 ? 16 : 24)};
	if (p->len > have)
		return REPLAY_TRUNCATED;
	return p->len < hdr || p->len > REPLAY_PACKET_MAX ? REPLAY_NOT_IP : REPLAY_PLAYED;
}

int
replay_capture_next(struct replay_capture *c, struct replay_packet *p, struct sl_error *e)
{
	struct pcap_pkthdr *h;
	const u_char *bytes;
	uint32_t off;
	int rc = pcap_next_ex(c->p, &h, &bytes);

	if (rc == PCAP_ERROR_BREAK)
		return 0;
	if (rc != 1)
		return sl_fail(e, -EINVAL, "pcap_invalid", "/pcap", "after packet %llu: %.150s",
			       (unsigned long long)c->n, pcap_geterr(c->p));
	*p = (struct replay_packet){.n = ++c->n};
	if (h->ts.tv_sec > 0)
		p->ts_ns = (uint64_t)h->ts.tv_sec * SL_NS_PER_S + (uint64_t)h->ts.tv_usec;
	off = ip_offset(c->link, bytes, h->caplen);
	p->skip = off >= h->caplen ? h->caplen < h->len ? REPLAY_TRUNCATED : REPLAY_NOT_IP
				   : take_ip(p, bytes + off, h->caplen - off, h->caplen < h->len);
	return 1;
}
