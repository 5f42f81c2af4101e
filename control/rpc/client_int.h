/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of the client. */
#ifndef SL_RPC_CLIENT_INT_H
#define SL_RPC_CLIENT_INT_H

#include <event2/bufferevent.h>
#include <event2/dns.h>

#include "sl_addr.h"
#include "sl_rpc_client.h"

#define CLIENT_ADDRESSES 8

enum client_state { CLIENT_DIALLING, CLIENT_LOGIN, CLIENT_UP, CLIENT_DOWN };

struct waiting;
struct lookup;

struct sl_rpc_client {
	struct sl_rpc_client_conf conf; /* defaults filled in; its strings are below */
	char *host, *token, *name;
	enum client_state state;
	struct lookup *lookup; /* a name that is being resolved */
	struct sl_endpoint address[CLIENT_ADDRESSES];
	unsigned n_addresses, at; /* the one that is dialled */
	struct bufferevent *bev;
	struct event *kick;  /* dial, from the loop */
	struct event *timer; /* the login is due; silence */
	struct waiting *waiting, **waiting_end;
	json_int_t last_id;
	size_t scanned;
	struct sl_rpc_line_size line; /* that was read last */
	uint64_t heard_ns, sent_ns;
	bool paused, pinging;
	unsigned depth; /* callbacks that we are in */
	bool freed;
};

/* --- client.c --------------------------------------------------------------------------------- */

/** The end, told once. The client may be gone afterwards. */
void client_down(struct sl_rpc_client *c, const struct sl_error *why);
void client_fail(struct sl_rpc_client *c, int err, const char *reason, const char *what);
/** TCP, and TLS, stand: log in. */
void client_connected(struct sl_rpc_client *c);
void client_callbacks(struct sl_rpc_client *c);

/* --- client_dial.c ---------------------------------------------------------------------------- */

/** Can this be dialled? @return 0, -EINVAL with not_loopback or address_invalid */
int client_check(const struct sl_rpc_client_conf *conf, struct sl_error *e);
void client_dial(struct sl_rpc_client *c);
/** The connection did not come about: the next address, or the end. */
void client_dial_failed(struct sl_rpc_client *c);
/** Let go of the connection and of the lookup. */
void client_hang_up(struct sl_rpc_client *c);

#endif
