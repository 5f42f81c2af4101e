/* SPDX-License-Identifier: BSD-3-Clause */
/* Fragmentation of IPv4 (RFC 791 3.2), by copying: fragments are linear and have their own room
 * for headers and padding. */
#include "send_int.h"

#define IP4_MF 0x2000
#define IP4_OFFSET_MASK 0x1fff
#define IP4_OPT_END 0
#define IP4_OPT_NOP 1
#define IP4_OPT_COPIED 0x80

static void
set_header(uint8_t *ip, unsigned hdr_len, uint16_t total_len, unsigned offset, bool more)
{
	uint16_t csum;

	ip[0] = (uint8_t)(0x40 | hdr_len / 4);
	sl_store_be16(ip + 2, total_len);
	sl_store_be16(ip + 6, (uint16_t)((more ? IP4_MF : 0) | (offset / 8 & IP4_OFFSET_MASK)));
	memset(ip + 10, 0, 2);
	csum = sl_csum_finish(sl_csum_add(ip, hdr_len, 0));
	memcpy(ip + 10, &csum, sizeof(csum));
}

/** Header of the fragments behind the first: only options with the copied bit. @return length */
static unsigned
later_header(const uint8_t *ip, unsigned hdr_len, uint8_t out[60])
{
	unsigned at = SL_IP4_HDR, n = SL_IP4_HDR, len;

	memcpy(out, ip, SL_IP4_HDR);
	while (at < hdr_len && ip[at] != IP4_OPT_END) {
		if (ip[at] == IP4_OPT_NOP) {
			at++;
			continue;
		}
		len = at + 1 < hdr_len ? ip[at + 1] : 0;
		if (len < 2 || at + len > hdr_len)
			break;
		if (ip[at] & IP4_OPT_COPIED) {
			memcpy(out + n, ip + at, len);
			n += len;
		}
		at += len;
	}
	while (n % 4 != 0)
		out[n++] = IP4_OPT_END;
	return n;
}

static void
set_meta(struct rte_mbuf *m, unsigned hdr_len, uint16_t total_len, unsigned offset, bool more)
{
	struct sl_meta *meta = sl_meta(m);

	meta->total_len = total_len;
	meta->frag_off = (uint16_t)offset;
	meta->l4_off = (uint16_t)hdr_len;
	meta->flags |= SL_PKT_FRAG;
	if (more)
		meta->flags |= SL_PKT_MORE_FRAGS;
	else
		meta->flags &= (uint8_t)~SL_PKT_MORE_FRAGS;
	if (offset != 0) {
		meta->sport = 0;
		meta->dport = 0;
	}
	m->data_len = total_len;
	m->pkt_len = total_len;
}

/** Piece of the payload at `from` as a fragment in an empty mbuf. */
static void
fill(struct rte_mbuf *f, struct rte_mbuf *m, const uint8_t *hdr, unsigned hdr_len,
     const uint8_t *from, unsigned len, unsigned offset, bool more)
{
	uint8_t *ip = rte_pktmbuf_mtod(f, uint8_t *);

	*sl_meta(f) = *sl_meta(m);
	memcpy(ip, hdr, hdr_len);
	memcpy(ip + hdr_len, from, len);
	set_header(ip, hdr_len, (uint16_t)(hdr_len + len), offset, more);
	set_meta(f, hdr_len, (uint16_t)(hdr_len + len), offset, more);
}

unsigned
sl_frag4(struct sl_worker *w, struct rte_mbuf *m, uint16_t mtu, struct rte_mbuf *frag[SL_FRAG_MAX])
{
	struct sl_meta *meta = sl_meta(m);
	uint8_t *ip = rte_pktmbuf_mtod(m, uint8_t *), later[60];
	unsigned hdr_len = (ip[0] & 15) * 4, later_len, size, total, n, i, at;
	bool more = (meta->flags & SL_PKT_MORE_FRAGS) != 0;
	unsigned offset = meta->frag_off;

	size = mtu > hdr_len ? (mtu - hdr_len) & ~7U : 0;
	total = meta->total_len - hdr_len;
	if (size == 0 || total > size * SL_FRAG_MAX || offset + total > UINT16_MAX) {
		meta->drop = SL_DROP_MTU;
		return 0;
	}
	n = (total + size - 1) / size; /* off the fast path */
	if (n > sl_graph_room(w) || rte_pktmbuf_alloc_bulk(w->pool, frag + 1, n - 1) != 0) {
		meta->drop = SL_DROP_NO_MBUF;
		return 0;
	}
	frag[0] = m;
	later_len = later_header(ip, hdr_len, later);
	for (i = 1, at = size; i < n; i++, at += size)
		fill(frag[i], m, later, later_len, ip + hdr_len + at, SL_MIN(size, total - at),
		     offset + at, more || i + 1 < n);
	if (n > 1) {
		set_header(ip, hdr_len, (uint16_t)(hdr_len + size), offset, true);
		set_meta(m, hdr_len, (uint16_t)(hdr_len + size), offset, true);
	}
	return n;
}
