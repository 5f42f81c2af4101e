/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets of the outside world, made and read on the same core outside the time that counts. */
#include <sodium.h>

#include "peers.h"
#include "policy.h"

#define SERVER UINT32_C(0x0a140009) /* 10.20.0.9 */
#define CLIENT_PORT 40000
#define SERVER_PORT 4500
#define TTL 64

static const uint8_t own_mac[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
static const uint8_t next_mac[2][6] = {{2, 0xaa, 0, 0, 0, 9}, {2, 0xbb, 0, 0, 0, 9}};

static uint8_t
payload_byte(unsigned i)
{
	return (uint8_t)(i * 7 + (i >> 8));
}

static const uint8_t *
payload(void)
{
	static uint8_t text[BENCH_MTU];
	unsigned i;

	if (text[1] == 0)
		for (i = 0; i < sizeof(text); i++)
			text[i] = payload_byte(i);
	return text;
}

unsigned
bench_dice(struct bench_world *b, unsigned n)
{
	b->dice = b->dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)((b->dice >> 33) * n >> 31);
}

static void
pick(const struct bench_case *c, struct bench_flow *f)
{
	struct bench_world *b = c->world;

	if (c->mode == BENCH_POLICY_HIT)
		*f = b->flow[bench_dice(b, POLICY_FLOWS)];
	else if (c->mode == BENCH_POLICY_MISS)
		bench_flow_any(b, f);
	else
		*f = (struct bench_flow){.client = bench_dice(b, b->n_peers),
					 .server = SERVER,
					 .client_port = CLIENT_PORT,
					 .server_port = SERVER_PORT};
}

static void
write_eth(uint8_t *p, unsigned port, uint16_t type)
{
	memcpy(p, own_mac[port], 6);
	memcpy(p + 6, next_mac[port], 6);
	sl_store_be16(p + 12, type);
}

static void
write_csum4(uint8_t *ip)
{
	uint16_t csum;

	memset(ip + 10, 0, 2);
	csum = sl_csum_finish(sl_csum_add(ip, SL_IP4_HDR, 0));
	memcpy(ip + 10, &csum, sizeof(csum));
}

/** UDP over IPv4 between a client and a server, n bytes in all. */
static void
write_inner(uint8_t *p, const struct bench_client *c, const struct bench_flow *f,
	    enum bench_path path, unsigned n)
{
	bool from_client = path == BENCH_RECEIVE;

	memset(p, 0, BENCH_INNER_MIN);
	p[0] = 0x45;
	sl_store_be16(p + 2, (uint16_t)n);
	sl_store_be16(p + 6, 0x4000);
	p[8] = TTL;
	p[9] = 17;
	memcpy(p + (from_client ? 12 : 16), &c->inner_be, 4);
	sl_store_be32(p + (from_client ? 16 : 12), f->server);
	write_csum4(p);
	sl_store_be16(p + SL_IP4_HDR, from_client ? f->client_port : f->server_port);
	sl_store_be16(p + SL_IP4_HDR + 2, from_client ? f->server_port : f->client_port);
	sl_store_be16(p + SL_IP4_HDR + 4, (uint16_t)(n - SL_IP4_HDR));
	memcpy(p + BENCH_INNER_MIN, payload(), n - BENCH_INNER_MIN);
}

/** Headers from a client up to the text of its packet. @return where the text goes */
static uint8_t *
write_outer(const struct bench_world *b, uint8_t *p, unsigned i, unsigned text)
{
	struct bench_client *c = &b->client[i];
	struct sl_outer there = bench_peer_outer(b, i), o = there;

	o.src = there.dst;
	o.dst = there.src;
	o.sport = there.dport;
	o.dport = there.sport;
	write_eth(p, 0, o.dst.family == 4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6);
	p += SL_ETH_HDR;
	p += sl_outer_write(p, &o, 0, (uint16_t)(SL_WIRE_DATA_MIN + text));
	sl_store_le32(p, SL_WIRE_DATA);
	sl_store_le32(p + 4, c->index);
	sl_store_le64(p + 8, c->counter);
	return p + SL_WIRE_DATA_HDR;
}

/** What a client sends, not yet sealed. */
static void
make_received(struct bench_world *b, struct rte_mbuf *m, const struct bench_flow *flow,
	      unsigned inner, struct sl_aead_job *job)
{
	unsigned i = flow->client;
	unsigned text = sl_wire_padded(inner, BENCH_MTU);
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *p = write_outer(b, frame, i, text);
	struct bench_client *c = &b->client[i];

	write_inner(p, c, flow, BENCH_RECEIVE, inner);
	memset(p + inner, 0, text - inner);
	*job = (struct sl_aead_job){.key = c->key, .counter = c->counter++, .data = p, .len = text};
	m->data_len = (uint16_t)(p + text + SL_AEAD_TAG - frame);
}

/** What the server sends; the bare cipher works on it where the gateway will. */
static void
make_sent(struct bench_world *b, struct rte_mbuf *m, const struct bench_flow *flow, unsigned inner,
	  struct sl_aead_job *job)
{
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *p = frame + SL_ETH_HDR;
	struct bench_client *c = &b->client[flow->client];

	write_eth(frame, 1, SL_ETHERTYPE_IP4);
	write_inner(p, c, flow, BENCH_SEND, inner);
	*job = (struct sl_aead_job){.key = c->answer_key,
				    .counter = c->counter++,
				    .data = p,
				    .len = sl_wire_padded(inner, BENCH_MTU)};
	m->data_len = (uint16_t)(SL_ETH_HDR + inner);
}

/** @param flow of each packet, NULL: any */
static bool
make_batch(const struct bench_case *c, enum bench_path path, const struct bench_flow *flow,
	   struct bench_batch *batch)
{
	struct bench_world *b = c->world;
	struct bench_flow f;
	unsigned i;

	if (rte_pktmbuf_alloc_bulk(b->pool, batch->m, BENCH_BATCH) != 0)
		return false;
	for (i = 0; i < BENCH_BATCH; i++) {
		if (flow)
			f = flow[i];
		else
			pick(c, &f);
		if (path == BENCH_RECEIVE)
			make_received(b, batch->m[i], &f, c->inner_bytes, &batch->job[i]);
		else
			make_sent(b, batch->m[i], &f, c->inner_bytes, &batch->job[i]);
		batch->m[i]->pkt_len = batch->m[i]->data_len;
		if (path == BENCH_RECEIVE && i % SL_BURST == SL_BURST - 1)
			sl_aead_seal(b->aead, &batch->job[i + 1 - SL_BURST], SL_BURST);
	}
	return true;
}

bool
bench_batch_make(const struct bench_case *c, struct bench_batch *batch)
{
	return make_batch(c, c->path, NULL, batch);
}

bool
bench_batch_begin(const struct bench_case *c, unsigned first, struct bench_batch *batch)
{
	return make_batch(c, BENCH_RECEIVE, &c->world->flow[first], batch);
}

/* --- checks ----------------------------------------------------------------------------------- */

/** An inner packet after the gateway: one hop further, else as it was. */
static const char *
check_inner(const struct bench_case *c, const uint8_t *p, unsigned len)
{
	const struct bench_world *b = c->world;
	bool from_client = c->path == BENCH_RECEIVE;
	const unsigned inner = c->inner_bytes;
	uint8_t want[BENCH_MTU];
	struct bench_flow f;
	uint32_t who;

	if (len != inner)
		return "the length of an inner packet is wrong";
	who = sl_load_be32(p + (from_client ? 12 : 16)) - PEERS_INNER_BASE - 1;
	if (who >= b->n_peers)
		return "an inner address is none of a peer's";
	f.server = sl_load_be32(p + (from_client ? 16 : 12));
	f.client_port = sl_load_be16(p + SL_IP4_HDR + (from_client ? 0 : 2));
	f.server_port = sl_load_be16(p + SL_IP4_HDR + (from_client ? 2 : 0));
	if (c->mode == BENCH_POLICY_OFF &&
	    (f.server != SERVER || f.client_port != CLIENT_PORT || f.server_port != SERVER_PORT))
		return "the server or the ports of an inner packet are wrong";
	write_inner(want, &b->client[who], &f, c->path, inner);
	want[8] = TTL - 1;
	write_csum4(want);
	return memcmp(p, want, inner) == 0 ? NULL : "the bytes of an inner packet are wrong";
}

static bool
eth_is(const uint8_t *p, unsigned port, uint16_t type)
{
	return memcmp(p, next_mac[port], 6) == 0 && memcmp(p + 6, own_mac[port], 6) == 0 &&
	       sl_load_be16(p + 12) == type;
}

/** Outer IP and UDP. @return where the message begins, or NULL */
static const uint8_t *
check_outer(const struct bench_world *b, const uint8_t *p, unsigned len)
{
	bool verify = b->outer != BENCH_OUTER6_OFFLOAD;
	unsigned hdr = b->outer == BENCH_OUTER4 ? SL_IP4_HDR : SL_IP6_HDR;
	struct sl_ip_info info;

	if (sl_ip_parse_packet(p, len, true, &info) != SL_DROP_NONE || info.total_len != len ||
	    info.l4_off != hdr || info.proto != SL_PROTO_UDP || info.dport != PEERS_ENDPOINT_PORT ||
	    info.sport != PEERS_LISTEN_PORT || (verify && !sl_l4_csum_ok(p, &info)))
		return NULL;
	return p + hdr + SL_UDP_HDR;
}

static const char *
check_sealed(const struct bench_case *c, const uint8_t *p, unsigned len)
{
	const struct bench_world *b = c->world;
	const unsigned inner = c->inner_bytes;
	const unsigned text = sl_wire_padded(inner, BENCH_MTU);
	uint8_t nonce[12] = {0}, out[BENCH_MTU + 16];
	uint32_t who;

	if (len != SL_WIRE_DATA_MIN + text || sl_load_le32(p) != SL_WIRE_DATA)
		return "an outer packet is no data message of the right length";
	who = sl_load_le32(p + 4) - 1;
	if (who >= b->n_peers)
		return "a receiver index is none of a peer's";
	memcpy(nonce + 4, p + 8, 8);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(out, NULL, NULL, p + SL_WIRE_DATA_HDR,
						      text + SL_AEAD_TAG, NULL, 0, nonce,
						      b->client[who].answer_key) != 0)
		return "libsodium does not open a packet";
	return check_inner(c, out, inner);
}

const char *
bench_frame_check(const struct bench_case *c, const struct rte_mbuf *m)
{
	const struct bench_world *b = c->world;
	const uint8_t *p = rte_pktmbuf_mtod(m, const uint8_t *), *msg;
	unsigned len = m->data_len - SL_ETH_HDR;

	if (m->nb_segs != 1 || m->data_len < SL_ETH_HDR + BENCH_INNER_MIN)
		return "a frame is in pieces or too short";
	if (c->path == BENCH_RECEIVE)
		return eth_is(p, 1, SL_ETHERTYPE_IP4) ? check_inner(c, p + SL_ETH_HDR, len)
						      : "an Ethernet header is wrong";
	if (!eth_is(p, 0, b->outer == BENCH_OUTER4 ? SL_ETHERTYPE_IP4 : SL_ETHERTYPE_IP6))
		return "an Ethernet header is wrong";
	msg = check_outer(b, p + SL_ETH_HDR, len);
	if (!msg)
		return "an outer header is wrong";
	return check_sealed(c, msg, len - (unsigned)(msg - p - SL_ETH_HDR));
}
