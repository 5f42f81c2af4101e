/* SPDX-License-Identifier: BSD-3-Clause */
/* The WireGuard peers: keys made here, handshakes as initiator, transport. */
#include <stdio.h>
#include <stdlib.h>

#include "replay.h"
#include "sl_aead.h"
#include "sl_crypto.h"

#define FRESH_NS (100 * SL_NS_PER_S) /* a session is not used for longer */
#define TRIES 20
#define RETRY_NS (50 * SL_NS_PER_MS)
#define FIRST_UDP_PORT 10000

void
replay_peers_init(struct replay_peers *ps, uint64_t seed)
{
	*ps = (struct replay_peers){0};
	ps->rng = sl_rng_seeded_init(&ps->stream, seed, "replay peers");
}

void
replay_peers_key(void *peers, const char *iface, const char *name, struct sl_pubkey *out)
{
	struct replay_peers *ps = peers;
	struct sl_secret sk;
	struct replay_peer *p;

	sl_rng_fill(&ps->rng, &sk, sizeof(sk));
	if (ps->n == ps->room) {
		unsigned room = ps->room ? ps->room * 2 : 64;
		struct replay_peer *grown = realloc(ps->v, room * sizeof(*grown));

		if (!grown) { /* replay_peers_match() will miss it */
			sl_x25519_clamp(&sk);
			sl_x25519_public(out, &sk);
			return;
		}
		ps->v = grown;
		ps->room = room;
	}
	p = &ps->v[ps->n++];
	memset(p, 0, sizeof(*p));
	snprintf(p->iface, sizeof(p->iface), "%s", iface);
	snprintf(p->name, sizeof(p->name), "%s", name);
	sl_noise_local_set(&p->local, &sk);
	sl_wipe(&sk, sizeof(sk));
	*out = p->local.pk;
}

/** Where its datagrams come from; more peers than ports share them. */
static void
place(struct replay *r, struct replay_peer *p, unsigned n, uint16_t listen_port)
{
	p->outer = (struct sl_outer){
		.src = r->outer_far,
		.dst = r->outer_ip,
		.sport = (uint16_t)(FIRST_UDP_PORT + n % (UINT16_MAX - FIRST_UDP_PORT)),
		.dport = listen_port,
	};
}

struct match {
	struct replay *r;
	unsigned n;
	int rc;
};

static bool
match_one(void *ctx, const struct sl_gw_peer_info *i)
{
	struct match *m = ctx;
	struct replay_peers *ps = &m->r->peers;
	struct replay_iface *f = replay_iface_of(m->r, i->iface);
	unsigned at = m->n;

	/* the gateway has them in the order of the file */
	while (at < ps->n && memcmp(&ps->v[at].local.pk, &i->public_key, sizeof(i->public_key)))
		at++;
	if (at == ps->n || !f) {
		m->rc = -ENOMEM;
		return false;
	}
	m->n = at + 1;
	if (i->id >= ps->n_ids) {
		unsigned n = SL_MAX(i->id + 1, ps->n_ids * 2);
		uint32_t *grown = realloc(ps->by_id, n * sizeof(*grown));

		if (!grown) {
			m->rc = -ENOMEM;
			return false;
		}
		memset(grown + ps->n_ids, 0, (n - ps->n_ids) * sizeof(*grown));
		ps->by_id = grown;
		ps->n_ids = n;
	}
	ps->by_id[i->id] = at + 1;
	place(m->r, &ps->v[at], at, f->listen_port);
	return true;
}

int
replay_peers_match(struct replay *r, struct sl_error *e)
{
	struct match m = {.r = r};

	for (unsigned i = 0; i < r->n_ifaces && m.rc == 0; i++)
		sl_gw_peer_walk(r->l.a.gw, r->iface[i].name, 0, match_one, &m);
	return m.rc ? sl_fail(e, m.rc, "no_memory", "", "no memory for the peers") : 0;
}

void
replay_peers_free(struct replay_peers *ps)
{
	for (unsigned i = 0; i < ps->n; i++) {
		struct replay_peer *p = &ps->v[i];

		if (p->noise) {
			sl_noise_peer_clear(p->noise);
			free(p->noise);
		}
		sl_noise_local_clear(&p->local);
		sl_cookie_maker_clear(&p->mac);
	}
	if (ps->v)
		sl_wipe(ps->v, ps->n * sizeof(*ps->v));
	free(ps->v);
	free(ps->by_id);
	*ps = (struct replay_peers){0};
}

static int
initiate(struct replay *r, struct replay_peer *p)
{
	const struct replay_iface *f = replay_iface_of(r, p->iface);
	struct sl_msg_initiation m;
	uint8_t ts[SL_TAI64N_LEN];
	struct sl_secret eph;
	uint32_t index;
	int rc;

	if (!p->noise) {
		p->noise = calloc(1, sizeof(*p->noise));
		if (!p->noise)
			return -ENOMEM;
		sl_noise_peer_init(p->noise, &f->key, NULL);
		sl_cookie_maker_init(&p->mac, &f->key);
	}
	sl_rng_fill(&r->peers.rng, &eph, sizeof(eph));
	sl_tai64n(ts, sl_lockstep_wall_ns(&r->l));
	/* the index says whose it is: replay_peer_at() */
	index = (uint32_t)(p - r->peers.v + 1) << 8 | (++p->serial & 0xff);
	rc = sl_noise_create_initiation(&p->local, p->noise, index, &eph, ts, &m);
	sl_wipe(&eph, sizeof(eph));
	if (rc)
		return rc;
	sl_cookie_mac(&p->mac, &m, sizeof(m), r->l.now_ns);
	return replay_net_outer(r, p, &m, sizeof(m));
}

/** Keys of a finished handshake; the old session still opens what is on its way. */
static void
session_begin(struct replay *r, struct replay_peer *p, const struct sl_noise_keys *k)
{
	p->previous = p->current;
	p->current = (struct replay_session){.live = true,
					     .ours = k->local_index,
					     .theirs = k->remote_index,
					     .born_ns = r->l.now_ns};
	memcpy(p->current.send.b, &k->send, sizeof(p->current.send.b));
	memcpy(p->current.recv.b, &k->recv, sizeof(p->current.recv.b));
}

static void
on_response(struct replay *r, struct replay_peer *p, const uint8_t *msg)
{
	struct sl_msg_response m;
	struct sl_noise_keys k;

	memcpy(&m, msg, sizeof(m));
	if (p != r->shaking || sl_noise_consume_response(&p->local, p->noise, &m) ||
	    sl_noise_begin(p->noise, &k))
		return;
	session_begin(r, p, &k);
	sl_wipe(&k, sizeof(k));
	r->answered = true;
}

static void
on_data(struct replay *r, struct replay_peer *p, uint8_t *msg, uint32_t len)
{
	uint32_t index = sl_load_le32(msg + 4), text = len - SL_WIRE_DATA_MIN;
	struct replay_session *s = p->current.live && index == p->current.ours	   ? &p->current
				   : p->previous.live && index == p->previous.ours ? &p->previous
										   : NULL;
	struct sl_aead_job job = {.counter = sl_load_le64(msg + 8),
				  .data = msg + SL_WIRE_DATA_HDR,
				  .len = text};
	struct sl_ip_info ip;

	if (!s)
		return;
	job.key = s->recv.b;
	sl_aead_open(r->aead, &job, 1);
	if (!job.ok || text == 0)
		return;
	if (sl_ip_parse_packet(job.data, text, false, &ip) == SL_DROP_NONE)
		text = ip.total_len;
	if (r->now) {
		const struct sl_ip_info *in = &r->now->ip;
		size_t n = in->version == 4 ? 4 : 16;

		r->sent++;
		r->matched += in->version == job.data[0] >> 4 && memcmp(ip.src, in->src, n) == 0 &&
			      memcmp(ip.dst, in->dst, n) == 0;
		replay_report_out(r->report, r->now->ts_ns, job.data, text);
	}
}

struct replay_peer *
replay_peer_at(struct replay *r, uint32_t index)
{
	uint32_t at = index >> 8;

	return at >= 1 && at <= r->peers.n ? &r->peers.v[at - 1] : NULL;
}

void
replay_peer_receive(struct replay *r, struct replay_peer *p, uint8_t *msg, uint32_t len)
{
	switch (sl_wire_classify(msg, len, NULL)) {
	case SL_WIRE_RESPONSE:
		on_response(r, p, msg);
		break;
	case SL_WIRE_DATA:
		on_data(r, p, msg, len);
		break;
	default: /* it begins handshakes itself when it misses an answer; ours come in time */
		break;
	}
}

int
replay_peer_send(struct replay *r, struct replay_peer *p, const uint8_t *packet, uint32_t len)
{
	static uint8_t msg[SL_WIRE_DATA_HDR + REPLAY_PACKET_MAX + SL_WIRE_PAD + SL_AEAD_TAG];
	const struct replay_iface *f = replay_iface_of(r, p->iface);
	uint32_t padded = sl_wire_padded(len, f->mtu);
	struct sl_aead_job job = {.key = p->current.send.b,
				  .counter = p->current.counter,
				  .data = msg + SL_WIRE_DATA_HDR,
				  .len = padded};

	sl_store_le32(msg, SL_WIRE_DATA);
	sl_store_le32(msg + 4, p->current.theirs);
	sl_store_le64(msg + 8, p->current.counter++);
	if (len)
		memcpy(job.data, packet, len);
	memset(job.data + len, 0, padded - len);
	sl_aead_seal(r->aead, &job, 1);
	return replay_net_outer(r, p, msg, SL_WIRE_DATA_HDR + padded + SL_AEAD_TAG);
}

int
replay_peer_connect(struct replay *r, struct replay_peer *p, struct sl_error *e)
{
	const struct replay_packet *now = r->now;
	int rc = 0;

	if (p->current.live && r->l.now_ns - p->current.born_ns < FRESH_NS)
		return 0;
	r->now = NULL; /* nothing of what follows is the packet's */
	r->shaking = p;
	r->answered = false;
	for (unsigned i = 0; rc == 0 && !r->answered && i < TRIES; i++) {
		if (i)
			replay_net_advance(r, r->l.now_ns + RETRY_NS);
		rc = initiate(r, p);
		replay_net_run(r);
	}
	r->shaking = NULL;
	if (rc == 0 && r->answered)
		rc = replay_peer_send(r, p, NULL, 0); /* confirms the keys */
	replay_net_run(r);
	r->now = now;
	if (rc == 0 && r->answered)
		return 0;
	sl_fail(e, rc ? rc : -ETIMEDOUT, "handshake_failed", "/interfaces",
		"peer %s of %s: the gateway did not answer the handshake", p->name, p->iface);
	sl_hint(e, "has the configuration a port address that peers reach it by?");
	return e->err;
}

struct replay_iface *
replay_iface_of(struct replay *r, const char *name)
{
	for (unsigned i = 0; i < r->n_ifaces; i++)
		if (strcmp(r->iface[i].name, name) == 0)
			return &r->iface[i];
	return NULL;
}
