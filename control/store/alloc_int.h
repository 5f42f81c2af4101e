/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the two plans of addresses share. */
#ifndef SL_STORE_ALLOC_INT_H
#define SL_STORE_ALLOC_INT_H

#include "sl_alloc.h"
#include "store_int.h"

typedef unsigned __int128 alloc_int128;

alloc_int128 alloc_value(const struct sl_ip *ip);
struct sl_ip alloc_ip(uint8_t family, alloc_int128 v);
/** Ids of the gateway_interfaces of an interface, in order. NULL with an error. */
json_t *alloc_gateways(struct sl_store *s, const char *iface, struct sl_error *e);
/** Networks of the plan of agents that hold a peer of the interface as the plan gives it: {NETWORK:
 * PEER} into `out`. */
int alloc_agents(struct sl_store *s, const char *iface, json_t *out, struct sl_error *e);
/** Has a gateway an index there, so that agents get networks in which it has an address? */
bool alloc_has_index(struct sl_store *s, const char *iface, struct sl_error *e);
/** Ids of the allocations of a peer, as names of `out`. */
int alloc_kept(struct sl_store *s, const char *peer, json_t *out, struct sl_error *e);
/**
 * An allocation that its peer's addresses do not say goes. Where it is a gateway's address in an
 * agent's network, it goes with the last peer of that network only: it stays while the peer has an
 * address there (`stays`), and then becomes another's who has one; with the last, the gateway
 * loses the address.
 */
int alloc_release(struct sl_store_txn *t, const char *id, const char *peer, bool stays,
		  struct sl_error *e);
/** A gateway_interface is put anew. @return 0; -EBUSY index_in_use, pool_in_use: what it gave
 * addresses by would change under them */
int alloc_check_change(struct sl_store *s, const char *id, const char *was, const json_t *is,
		       struct sl_error *e);
/** Before a peer is deleted: its allocations go or become another's. */
int alloc_leave(struct sl_store_txn *t, const char *peer, struct sl_error *e);

#endif
