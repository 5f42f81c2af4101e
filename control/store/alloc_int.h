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

#endif
