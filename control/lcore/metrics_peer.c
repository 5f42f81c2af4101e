/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers by state, and the series of each of the first ones. A removal puts the last peer of an
 * interface into the gap, so a peer may be missed once, but none is told twice.
 */
#include <sodium.h>
#include <stdlib.h>

#include "metrics_int.h"
#include "rpc_int.h"
#include "sl_prom.h"

#define STEP 64
#define LABEL_BYTES 6

enum { STATES, RX, TX, HANDSHAKE, INFO };

static const struct {
	const char *name, *type, *help;
} families[] = {
	[STATES] = {"sluice_peers", "gauge", "peers by the state of their session"},
	[RX] = {"sluice_peer_receive_bytes_total", "counter",
		"bytes from the peer, as WireGuard counts them"},
	[TX] = {"sluice_peer_transmit_bytes_total", "counter",
		"bytes to the peer, as WireGuard counts them"},
	[HANDSHAKE] = {"sluice_peer_last_handshake_timestamp_seconds", "gauge",
		       "when the last handshake ended; 0: there was none"},
	[INFO] = {"sluice_peer_info", "gauge", "the name of a peer"},
};

static bool
is_wanted(const struct metrics_peers *p, unsigned family)
{
	const struct sl_config_metrics *c = &p->ctl->config->metrics;

	return family == STATES || (c->peers && (family != INFO || c->peer_names));
}

static void
add_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	struct metrics_peers *p = ctx;

	snprintf(p->iface[p->n_ifaces++], sizeof(p->iface[0]), "%s", i->name);
}

int
metrics_peers_begin(struct metrics_peers *p, struct sl_ctl *ctl)
{
	*p = (struct metrics_peers){.ctl = ctl, .iface = calloc(SL_IFACE_MAX, sizeof(*p->iface))};
	if (p->iface == NULL)
		return -ENOMEM;
	sl_gw_iface_walk(ctl->gw, add_iface, p);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(p->family); i++) {
		if (!is_wanted(p, i))
			continue;
		if (metrics_text_open(&p->family[i]) != 0)
			return -ENOMEM;
		sl_prom_head(p->family[i].f, families[i].name, families[i].type, families[i].help);
	}
	return 0;
}

/** Short, the same after a restart and on every gateway, and no way back to the key. */
static void
label_of(const struct sl_pubkey *key, char out[2 * LABEL_BYTES + 1])
{
	static const uint8_t context[] = "sluice metrics peer";
	uint8_t hash[crypto_generichash_BYTES_MIN];

	crypto_generichash(hash, sizeof(hash), key->b, sizeof(key->b), context,
			   sizeof(context) - 1);
	sodium_bin2hex(out, 2 * LABEL_BYTES + 1, hash, LABEL_BYTES);
}

static void
show(struct metrics_peers *p, const struct sl_gw_peer_info *i)
{
	char peer[2 * LABEL_BYTES + 1];

	label_of(&i->public_key, peer);
	sl_prom_uint(p->family[RX].f, families[RX].name, i->rx_bytes, "interface", i->iface, "peer",
		     peer, NULL);
	sl_prom_uint(p->family[TX].f, families[TX].name, i->tx_bytes, "interface", i->iface, "peer",
		     peer, NULL);
	sl_prom_uint(p->family[HANDSHAKE].f, families[HANDSHAKE].name,
		     i->last_handshake_wall_ns / SL_NS_PER_S, "interface", i->iface, "peer", peer,
		     NULL);
	if (p->family[INFO].f != NULL)
		sl_prom_uint(p->family[INFO].f, families[INFO].name, 1, "interface", i->iface,
			     "peer", peer, "name", i->name, NULL);
}

static bool
each_peer(void *ctx, const struct sl_gw_peer_info *i)
{
	struct metrics_peers *p = ctx;

	p->state[(unsigned)i->state < SL_ARRAY_SIZE(p->state) ? i->state : SL_HS_ERROR]++;
	if (!p->ctl->config->metrics.peers || p->shown == p->ctl->config->metrics.peer_limit) {
		p->omitted++;
	} else {
		p->shown++;
		show(p, i);
	}
	return --p->room > 0;
}

static void
end_iface(struct metrics_peers *p)
{
	for (unsigned s = 0; s < SL_ARRAY_SIZE(p->state); s++) {
		sl_prom_uint(p->family[STATES].f, families[STATES].name, p->state[s], "interface",
			     p->iface[p->at], "state", ctl_state_text(s), NULL);
		p->state[s] = 0;
	}
	p->after = 0;
	p->at++;
}

bool
metrics_peers_step(struct metrics_peers *p)
{
	if (p->at == p->n_ifaces)
		return true;
	p->room = STEP;
	sl_gw_peer_walk(p->ctl->gw, p->iface[p->at], p->after, each_peer, p);
	p->after += STEP - p->room;
	if (p->room > 0)
		end_iface(p);
	return p->at == p->n_ifaces;
}

int
metrics_peers_move(struct metrics_peers *p, struct evbuffer *to)
{
	FILE *last = p->family[STATES].f;
	int rc = 0;

	sl_prom_single(last, "sluice_metrics_peers_omitted", "gauge",
		       "peers without series of their own", p->omitted);
	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(p->family); i++)
		if (p->family[i].f != NULL)
			rc = metrics_text_move(&p->family[i], to);
	return rc;
}

void
metrics_peers_clear(struct metrics_peers *p)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(p->family); i++)
		metrics_text_clear(&p->family[i]);
	free(p->iface);
	*p = (struct metrics_peers){0};
}
