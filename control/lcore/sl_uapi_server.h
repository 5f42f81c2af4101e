/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The sockets of WireGuard's userspace configuration protocol: /var/run/wireguard/NAME.sock for
 * each interface, so that `wg show`, `set`, `setconf`, `addconf`, `syncconf` and `showconf` work
 * (D46).
 *
 * On the libevent loop of control. A socket belongs to root alone (0600); at most 32 connections,
 * each closed after 30 s without progress. A `set` is checked as a whole and applied as one change.
 * A peer that `setconf` names again keeps its session and endpoint; what the file does not say of
 * it goes back to the default.
 */
#ifndef SL_UAPI_SERVER_H
#define SL_UAPI_SERVER_H

#include <event2/event.h>

#include "sl_error.h"
#include "sl_gw.h"

#define SL_UAPI_DIR "/var/run/wireguard"

struct sl_uapi_server;

/**
 * Make the directory and the sockets of the interfaces that exist. A socket that another program
 * serves is left to it, with a warning.
 * @return NULL with an error: uapi_dir, no_memory
 */
struct sl_uapi_server *sl_uapi_server_new(struct event_base *base, struct sl_gw *gw,
					  struct sl_error *e);
/** Follow the set of interfaces; call in each turn of the loop. NULL allowed. */
void sl_uapi_server_sync(struct sl_uapi_server *s);
/** Closes connections and removes the sockets. NULL allowed. */
void sl_uapi_server_free(struct sl_uapi_server *s);

#endif
