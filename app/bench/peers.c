/* SPDX-License-Identifier: BSD-3-Clause */
#include "peers.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_secret.h"

static struct sl_ip
endpoint(const struct bench_world *b, uint32_t n, const char *ours, struct sl_ip *own)
{
	uint8_t v4[4], v6[16] = {0x20, 1, 0x0d, 0xb8, 0, 7};

	sl_ip_parse(ours, own);
	if (b->outer == BENCH_OUTER4) {
		sl_store_be32(v4, PEERS_ENDPOINT_BASE + n);
		return sl_ip_v4(v4);
	}
	sl_store_be32(v6 + 12, n + 1);
	return sl_ip_v6(v6);
}

struct sl_outer
bench_peer_outer(const struct bench_world *b, unsigned i)
{
	struct sl_outer o;

	memset(&o, 0, sizeof(o));
	o.dst = endpoint(b, i, b->outer == BENCH_OUTER4 ? "198.51.100.1" : "2001:db8:51::1",
			 &o.src);
	o.sport = PEERS_LISTEN_PORT;
	o.dport = PEERS_ENDPOINT_PORT;
	return o;
}

static int
make_session(struct bench_world *b, unsigned i)
{
	struct bench_client *c = &b->client[i];
	struct sl_noise_keys k = {.remote_index = i + 1};
	struct sl_keypair *kp = NULL;

	randombytes_buf(c->key, 32);
	randombytes_buf(c->answer_key, 32);
	memcpy(k.recv.b, c->key, 32);
	memcpy(k.send.b, c->answer_key, 32);
	if (sl_session_reserve(b->sessions, 0, i + 1, &k.local_index) == 0)
		kp = sl_session_publish(b->sessions, k.local_index, b->peer[i], 1, &k,
					sl_clock_mono_ns());
	sl_wipe(&k.send, sizeof(k.send));
	sl_wipe(&k.recv, sizeof(k.recv));
	if (!kp)
		return -ENOMEM;
	atomic_store(&kp->confirmed, 1);
	atomic_store(&b->peer[i]->current, kp);
	c->index = kp->local_index;
	b->kp[i] = kp;
	return 0;
}

static int
make_peer(struct bench_world *b, unsigned i)
{
	struct sl_peer *p = sl_peer_alloc(1);
	struct sl_peer_path path = {.outer = bench_peer_outer(b, i)};
	struct bench_client *c = &b->client[i];
	int rc;

	if (!p)
		return -ENOMEM;
	p->id = i + 1;
	p->iface_id = 1;
	snprintf(p->name, sizeof(p->name), "peer%u", i + 1);
	atomic_store(&p->enabled, 1);
	sl_peer_path_write(p, &path);
	b->peer[i] = p;
	atomic_store(&b->dp->peers->slot[p->id], p);
	sl_store_be32(&c->inner_be, PEERS_INNER_BASE + p->id);
	rc = sl_lpm_set(&b->iface.peers4, &b->iface.peers4, (const uint8_t *)&c->inner_be, 32,
			p->id, &b->garbage);
	return rc ? rc : make_session(b, i);
}

int
bench_peers_make(struct bench_world *b)
{
	unsigned i;
	int rc = 0;

	b->peer = calloc(b->n_peers, sizeof(*b->peer));
	b->kp = calloc(b->n_peers, sizeof(*b->kp));
	b->client = aligned_alloc(SL_CACHE_LINE, b->n_peers * sizeof(*b->client));
	if (!b->peer || !b->kp || !b->client)
		return -ENOMEM;
	memset(b->client, 0, b->n_peers * sizeof(*b->client));
	for (i = 0; i < b->n_peers && rc == 0; i++)
		rc = make_peer(b, i);
	return rc;
}

void
bench_peers_free(struct bench_world *b)
{
	unsigned i;

	for (i = 0; b->peer && i < b->n_peers; i++)
		if (b->peer[i])
			sl_peer_free(b->peer[i]);
	if (b->client)
		sl_wipe(b->client, b->n_peers * sizeof(*b->client));
	free(b->client);
	free(b->kp);
	free(b->peer);
}

void
bench_world_renew(struct bench_world *b)
{
	uint64_t now = sl_clock_mono_ns();
	unsigned i;

	for (i = 0; i < b->n_peers; i++)
		b->kp[i]->birth_ns = now;
}

void
bench_world_tidy(struct bench_world *b)
{
	struct sl_wk_ack ack[32];
	unsigned i, n;

	do {
		n = sl_mbox_get(b->w->to_hs, ack, SL_ARRAY_SIZE(ack));
		for (i = 0; i < n; i++)
			if (ack[i].peer_id >= 1 && ack[i].peer_id <= b->n_peers)
				atomic_exchange(&b->peer[ack[i].peer_id - 1]->events, 0);
	} while (n == SL_ARRAY_SIZE(ack));
}
