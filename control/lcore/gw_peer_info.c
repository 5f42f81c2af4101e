/* SPDX-License-Identifier: BSD-3-Clause */
#include "gw.h"

void
gw_peer_endpoint(const struct gw_peer *p, struct sl_endpoint *out)
{
	struct sl_peer_path path;

	sl_peer_path_read(p->p, &path);
	*out = (struct sl_endpoint){.ip = path.outer.dst, .port = path.outer.dport};
	if (out->ip.family == 0) /* the home has not heard of it yet */
		*out = p->learned.ip.family != 0 ? p->learned : p->endpoint;
}

static uint64_t
age_ms(uint32_t now_tick, uint32_t tick)
{
	if (tick == 0)
		return UINT64_MAX;
	return (uint64_t)SL_MAX((int32_t)(now_tick - tick), 0) * (SL_TICK_NS / SL_NS_PER_MS);
}

/* The keypair may be retired while we look; its memory stays, so the worst is a stale answer. */
static void
keypair_info(const struct sl_peer *p, uint64_t now_ns, struct sl_gw_peer_info *out)
{
	const struct sl_keypair *kp = atomic_load_explicit(&p->current, memory_order_acquire);

	out->key_age_ms = UINT64_MAX;
	if (kp == NULL || kp->peer_id != p->id)
		return;
	out->local_index = kp->local_index;
	out->remote_index = kp->remote_index;
	out->key_initiator = kp->initiator;
	if (kp->birth_ns <= now_ns)
		out->key_age_ms = (now_ns - kp->birth_ns) / SL_NS_PER_MS;
}

#define LOAD(x) atomic_load_explicit(&(x), memory_order_relaxed)

static void
peer_info(struct sl_gw *gw, const struct gw_peer *g, struct sl_gw_peer_info *out)
{
	const struct sl_peer *p = g->p;
	uint64_t now_ns = gw_mono_ns(gw);
	uint32_t now = sl_tick_of(now_ns);
	struct sl_hs_peer_view hs = {0};

	if (gw->conf.hs != NULL)
		sl_hs_peer_view(p, &hs);
	*out = (struct sl_gw_peer_info){
		.iface = g->iface->name,
		.name = p->name,
		.id = p->id,
		.public_key = p->key,
		.has_psk = g->psk != NULL,
		.psk_file = g->psk_file,
		.configured = g->endpoint,
		.enabled = g->enabled,
		.keepalive_s = g->keepalive_s,
		.allowed = g->allowed,
		.n_allowed = g->n_allowed,
		.rx_packets = LOAD(p->rx_packets),
		.rx_bytes = LOAD(p->rx_bytes) + LOAD(p->hs_rx_bytes),
		.last_handshake_wall_ns = LOAD(p->last_handshake_wall_ns),
		.last_data_rx_age_ms = age_ms(now, LOAD(p->tick_data_rx)),
		.last_data_tx_age_ms = age_ms(now, LOAD(p->tick_data_tx)),
		.handshakes = LOAD(p->handshakes),
		.auth_failures = LOAD(p->auth_failures),
		.replays = LOAD(p->replays),
		.expires_wall_ns = g->expires_wall_ns,
		.home = LOAD(p->home),
		.state = hs.state,
	};
	sl_peer_tx_sum(p, &out->tx_packets, &out->tx_bytes);
	out->data_rx_bytes = LOAD(p->rx_bytes);
	out->data_tx_bytes = out->tx_bytes;
	out->tx_bytes += LOAD(p->hs_tx_bytes);
	gw_peer_endpoint(g, &out->endpoint);
	out->has_endpoint = out->endpoint.ip.family != 0;
	keypair_info(p, now_ns, out);
}

void
sl_gw_peer_walk(struct sl_gw *gw, const char *iface, uint32_t after,
		bool (*fn)(void *ctx, const struct sl_gw_peer_info *p), void *ctx)
{
	struct sl_gw_peer_info info;
	unsigned i, k;

	for (i = 1; i < gw->n_ifaces; i++) {
		struct gw_iface *f = gw->iface[i];

		if (f == NULL || (iface != NULL && strcmp(f->name, iface) != 0))
			continue;
		for (k = SL_MIN(after, f->n_peers); k < f->n_peers; k++) {
			peer_info(gw, f->peer[k], &info);
			if (!fn(ctx, &info))
				return;
		}
		after -= SL_MIN(after, f->n_peers);
	}
}

static struct gw_peer *
find(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key)
{
	struct gw_iface *f = gw_iface_by_name(gw, iface);

	return f != NULL ? gw_peer_find(gw, f, key) : NULL;
}

int
sl_gw_peer_info(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		struct sl_gw_peer_info *out)
{
	struct gw_peer *p = find(gw, iface, key);

	if (p == NULL)
		return -ENOENT;
	peer_info(gw, p, out);
	return 0;
}

bool
sl_gw_peer_psk(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
	       struct sl_secret *out)
{
	struct gw_peer *p = find(gw, iface, key);

	if (p == NULL || p->psk == NULL)
		return false;
	*out = *p->psk;
	return true;
}
