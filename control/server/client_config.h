/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Configurations of stock WireGuard clients, one for each gateway, without a private key. */
#ifndef SL_REST_CLIENT_CONFIG_H
#define SL_REST_CLIENT_CONFIG_H

#include <jansson.h>

#include "sl_store.h"

/**
 * @param gateway only of this one, NULL: all enabled ones that serve the peer's interface
 * @param[out] out new array of {gateway, interface, addresses, endpoint, public_key, allowed_ips,
 * text}
 * @param[out] text of an agent, which has one file for all gateways; NULL: a stock client
 * @return 0; -EIO, -ENOMEM
 */
int client_configs(struct sl_store *s, const char *name, const json_t *peer, const char *gateway,
		   json_t **out, json_t **text, struct sl_error *e);
/**
 * What a client sends into its tunnel: the addresses of the policy's targets; where a migration is
 * under way only of those whose way is the tunnel already and that are distributed to this peer.
 * New array of prefixes.
 */
json_t *client_routes(struct sl_store *s, const char *name, const json_t *peer, struct sl_error *e);

#endif
