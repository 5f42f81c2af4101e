/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Peers by state, and series of those with most traffic since the gateway's start: so which ones
 * have series changes seldom. All are looked at first, then those that were picked are told. A
 * removal puts the last peer of an interface into the gap, so a peer may be missed once, but none
 * is told twice.
 */
#include <sodium.h>
#include <stdlib.h>

#include "metrics_int.h"
#include "rpc_int.h"
#include "sl_prom.h"

#define STEP 64
#define TELL_STEP 16 /* they have a good deal of text */
#define LABEL_BYTES 6
#define ALLOWED_MAX 64 /* prefixes in a label */

enum { STATES, RX, TX, HANDSHAKE, INFO, FLAVOR_SENT, FLAVOR_RECEIVED, FLAVOR_HANDSHAKE };

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
	/* as MindFlavor's prometheus_wireguard_exporter has them */
	[FLAVOR_SENT] = {"wireguard_sent_bytes_total", "counter", "Bytes sent to the peer"},
	[FLAVOR_RECEIVED] = {"wireguard_received_bytes_total", "counter",
			     "Bytes received from the peer"},
	[FLAVOR_HANDSHAKE] = {"wireguard_latest_handshake_seconds", "gauge",
			      "UNIX timestamp seconds of the last handshake"},
};
_Static_assert(SL_ARRAY_SIZE(families) == METRICS_PEER_FAMILIES, "a text each");

static bool
is_wanted(const struct metrics_peers *p, unsigned family)
{
	const struct sl_config_metrics *c = &p->ctl->config->metrics;

	if (family == STATES)
		return true;
	if (family >= FLAVOR_SENT)
		return c->mindflavor;
	return c->peers && (family != INFO || c->peer_names);
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
	if (metrics_top_init(&p->top,
			     ctl->config->metrics.peers ? ctl->config->metrics.peer_limit : 0) != 0)
		return -ENOMEM;
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
tell(struct metrics_peers *p, unsigned family, uint64_t v, const char *iface, const char *peer)
{
	sl_prom_uint(p->family[family].f, families[family].name, v, "interface", iface, "peer",
		     peer, NULL);
}

#define ALLOWED_STR (ALLOWED_MAX * SL_PREFIX_STR + sizeof("..."))

/** Comma between them; "..." behind the first ones of very many. */
static void
allowed_text(const struct sl_gw_peer_info *i, char out[ALLOWED_STR])
{
	unsigned shown = SL_MIN(i->n_allowed, (unsigned)ALLOWED_MAX);
	char prefix[SL_PREFIX_STR];
	size_t n = 0;

	out[0] = '\0';
	for (unsigned k = 0; k < shown; k++)
		n += (size_t)snprintf(out + n, ALLOWED_STR - n, "%s%s", k > 0 ? "," : "",
				      sl_prefix_str(&i->allowed[k], prefix));
	if (shown < i->n_allowed)
		snprintf(out + n, ALLOWED_STR - n, "...");
}

static void
tell_flavor(struct metrics_peers *p, const struct sl_gw_peer_info *i)
{
	const uint64_t v[] = {i->tx_bytes, i->rx_bytes, i->last_handshake_wall_ns / SL_NS_PER_S};
	char key[SL_KEY_B64_LEN + 1], allowed[ALLOWED_STR];

	sl_key_to_base64(i->public_key.b, key);
	allowed_text(i, allowed);
	for (unsigned k = 0; k < SL_ARRAY_SIZE(v); k++)
		sl_prom_uint(p->family[FLAVOR_SENT + k].f, families[FLAVOR_SENT + k].name, v[k],
			     "interface", i->iface, "public_key", key, "allowed_ips", allowed,
			     "friendly_name", i->name, NULL);
}

static void
tell_peer(struct metrics_peers *p, const struct sl_gw_peer_info *i)
{
	char peer[2 * LABEL_BYTES + 1];

	label_of(&i->public_key, peer);
	tell(p, RX, i->rx_bytes, i->iface, peer);
	tell(p, TX, i->tx_bytes, i->iface, peer);
	tell(p, HANDSHAKE, i->last_handshake_wall_ns / SL_NS_PER_S, i->iface, peer);
	if (p->family[INFO].f != NULL)
		sl_prom_uint(p->family[INFO].f, families[INFO].name, 1, "interface", i->iface,
			     "peer", peer, "name", i->name, NULL);
	if (p->family[FLAVOR_SENT].f != NULL)
		tell_flavor(p, i);
}

static bool
each_peer(void *ctx, const struct sl_gw_peer_info *i)
{
	struct metrics_peers *p = ctx;
	const struct metrics_pick pick = {.bytes = i->rx_bytes + i->tx_bytes,
					  .iface = p->at,
					  .key = i->public_key};

	p->state[(unsigned)i->state < SL_ARRAY_SIZE(p->state) ? i->state : SL_HS_ERROR]++;
	p->seen++;
	metrics_top_offer(&p->top, &pick);
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

static void
look(struct metrics_peers *p)
{
	p->room = STEP;
	sl_gw_peer_walk(p->ctl->gw, p->iface[p->at], p->after, each_peer, p);
	p->after += STEP - p->room;
	if (p->room > 0)
		end_iface(p);
}

bool
metrics_peers_step(struct metrics_peers *p)
{
	struct sl_gw_peer_info i;

	if (p->at < p->n_ifaces) {
		look(p);
		return false;
	}
	for (unsigned k = 0; k < TELL_STEP && p->told < p->top.n; k++) {
		const struct metrics_pick *t = &p->top.v[p->told++];

		if (sl_gw_peer_info(p->ctl->gw, p->iface[t->iface], &t->key, &i) == 0)
			tell_peer(p, &i);
	}
	for (unsigned k = 0; k < SL_ARRAY_SIZE(p->family); k++)
		p->failed |= p->family[k].f != NULL && metrics_text_cut(&p->family[k]) != 0;
	return p->failed || p->told == p->top.n;
}

int
metrics_peers_move(struct metrics_peers *p, struct evbuffer *to)
{
	FILE *last = p->family[STATES].f;
	int rc = 0;

	if (p->failed)
		return -ENOMEM;
	sl_prom_single(last, "sluice_metrics_peers_omitted", "gauge",
		       "peers without series of their own", p->seen - p->top.n);
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
	metrics_top_clear(&p->top);
	free(p->iface);
	*p = (struct metrics_peers){0};
}
