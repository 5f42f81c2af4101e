/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A server of the control schema over TLS and, for what needs no TLS, in clear; tokens and
 * certificates of a few principals. Clients share the thread. */
#ifndef TEST_LINK_FIXTURE_H
#define TEST_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pki.h"
#include "sl_env.h"
#include "sl_rpc_client.h"
#include "sl_rpc_server.h"
#include "sl_schema_control.h"

#define LX_GATEWAY "slt_gateway"   /* gateway gw-1 */
#define LX_FOLLOWER "slt_follower" /* follower f-1 */
#define LX_VIEWER "slt_viewer"
#define LX_BRIEF "slt_brief" /* gateway gw-1, for three seconds */

struct lx {
	struct event_base *base;
	struct sl_rpc *rpc;
	struct sl_rpc_server *server;
	struct sl_tls *tls, *client; /* client: no certificate */
	struct pki_ca ca;
	uint16_t port, clear; /* of TLS; in clear */
	/* what handlers saw */
	unsigned acks, subscribes;
	char who[96], bound[64];
	struct sl_rpc_conn *conn;
	struct sl_rpc_later *owed;
	const char *revoked; /* name of a principal that may no more */
	unsigned asked;	     /* how many were asked for again */
	char log[16384];
};

extern struct lx lx;

/** Start with these limits (NULL: defaults). @param tokens, certs what counts as a login */
void lx_open(const struct sl_rpc_limits *limits, bool tokens, bool certs);
void lx_close(void);
/** A port of loopback that is free now. */
uint16_t lx_free_port(void);
void lx_pump(void);
/** Run the loop until *flag, at most some seconds. @return *flag */
bool lx_until(const bool *flag, double seconds);
void lx_run(double seconds);
/** A client's context with that certificate of the CA. */
struct sl_tls *lx_client(const char *cert);
struct sl_rpc_server_stats lx_stats(void);

/* --- lines, by hand --------------------------------------------------------------------------- */

struct wire {
	struct bufferevent *bev;
	bool up, ended;
	char seen[65536];
};

/** Dial. @param tls NULL: in clear */
struct wire *wire_open(struct sl_tls *tls);
void wire_close(struct wire *w);
/** Send text and wait for one line. @return it, or "" at the end */
const char *wire_ask(struct wire *w, const char *text);
/** The reason in an answer, or "". */
const char *wire_reason(struct wire *w, const char *text);
bool wire_ended(struct wire *w);
/** {"jsonrpc":"2.0","id":1,"method":METHOD,"params":PARAMS}\n in a static buffer */
const char *call_of(const char *method, const char *params);
const char *login_of(const char *token);

#endif
