/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Address plans, inside the transaction that uses what they give.
 *
 * Agents: one network each, the same at every gateway; .100 is the agent, .k gateway number k. The
 * default pool gives 10.1.0.0/24, 10.2.0.0/24, ... 10.254.0.0/24. A pool object named "agents"
 * replaces it; pools give breadth first, so that 10.1.0.0/16 ... 10.254.0.0/16 with prefix_len 24
 * begin as the default one does and go on with 10.1.1.0/24, 10.2.1.0/24, ...
 *
 * Stock clients: one address per gateway, of the client_pool of its gateway_interface, kept as
 * allocation objects. An address comes after the highest one given, so that one that was given back
 * rests until the pool has been through.
 */
#ifndef SL_ALLOC_H
#define SL_ALLOC_H

#include "sl_store.h"

#define SL_ALLOC_AGENTS "agents"
#define SL_ALLOC_AGENT_HOST 100

/**
 * The next network for an agent: no peer of the interface has an address in it, the pool does not
 * reserve it, and it does not lie in an internal zone that names part of the pool.
 * sl_alloc_gateways() then puts it into the zone of agents' networks, out of a wider internal one.
 * @param[out] in_vpn it lies in a zone of type vpn then, or will with the first policy; set with 0
 * @return 0; -ENOSPC pool_exhausted (hint: the next level); -EINVAL pool_in_internal_zone,
 * pool_unknown (another name than "agents", and no such pool)
 */
int sl_alloc_agent(struct sl_store_txn *t, const char *pool, const char *iface,
		   struct sl_prefix *out, bool *in_vpn, struct sl_error *e);
/** Host number k of a network. @return -EINVAL host_outside: the network has no such address */
int sl_alloc_host(const struct sl_prefix *net, unsigned k, struct sl_ip *out, struct sl_error *e);
/**
 * After the agent was put: every gateway_interface of the interface that has an index gets its
 * address in the agent's network (index k: .k). An allocation object of the peer says so; with the
 * last peer of the network the addresses go.
 * @return 0; -EINVAL host_outside: the network has no such address
 */
int sl_alloc_gateways(struct sl_store_txn *t, const char *iface, const struct sl_prefix *net,
		      const char *peer, struct sl_error *e);

/**
 * After a gateway_interface was put: one with an index gets its address in every network of an
 * agent in which another gateway of the interface has one; the first one with an index in every
 * network of the plan in which one peer alone is, as the plan gives it: .100, or all of it with
 * subnet_router.
 * @param id "GATEWAY:INTERFACE". @return as sl_alloc_gateways()
 */
int sl_alloc_join(struct sl_store_txn *t, const char *id, struct sl_error *e);

/**
 * An address at each gateway of the interface that has a client_pool. The peer itself is put by the
 * caller, then sl_alloc_keep().
 * @param addresses object {GATEWAY: [PREFIX]} of the peer; gateways that are in it stay as they are
 * @return 0; -ENOSPC pool_exhausted at /gateway_interface/ID/client_pool
 */
int sl_alloc_client(struct sl_store_txn *t, const char *iface, json_t *addresses,
		    struct sl_error *e);
/** After the peer was put: its allocation objects say what its addresses say, and those of gateways
 * in its network. */
int sl_alloc_keep(struct sl_store_txn *t, const char *peer, struct sl_error *e);

#endif
