/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A gateway model with real tables and mailboxes, a virtual clock, and hs and the workers played by
 * the test: commands for hs are logged and answered, frames of control are taken from the ring.
 */
#ifndef SL_TEST_GW_FIXTURE_H
#define SL_TEST_GW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "eal_main.h"
#include "sl_crypto.h"
#include "sl_gw.h"

#define FX_LOG 512
#define S SL_NS_PER_S

struct fx_cmd {
	uint32_t type, fields;
	uint16_t iface_id, listen_port, keepalive_s, initiate;
	struct sl_peer *peer;
	struct sl_secret key;
	struct sl_outer outer;
	uint8_t last_ts[SL_TAI64N_LEN];
};

struct fx {
	struct sl_gw *gw;
	struct sl_gw_conf conf;
	struct sl_dp *dp;
	struct sl_rcu *rcu;
	struct rte_mempool *pool;
	struct sl_mbox *to_hs, *from_hs;
	struct sl_rng_seeded rng;
	uint64_t now_ns, wall_ns;
	struct fx_cmd cmd[FX_LOG]; /* the first of them */
	unsigned n_cmd;		   /* all, those past the log too */
	bool hold_notes;	   /* hs does not answer */
	struct sl_hs_note held[FX_LOG];
	unsigned n_held;
	struct sl_port wan, lan;
	struct sl_error e;
};

/** Start EAL and everything around the gateway, once a program. */
void fx_start(const char *program);
/** A fresh gateway. state_dir, run_dir and peers_max of f->conf may be set before fx_open(). */
void fx_init(struct fx *f);
void fx_open(struct fx *f);
/** Stop and free the gateway, keep the rest: fx_open() starts it again. */
void fx_close(struct fx *f);
void fx_fini(struct fx *f);
/** Two ports: wan 192.0.2.1/24 and 2001:db8::1/64, lan 10.20.0.1/24, fd20::1/64 and VLAN 7. */
void fx_ports(struct fx *f);
/** Poll, let hs take and answer its commands, poll. */
void fx_turn(struct fx *f);
/** Let hs answer what it held back. */
void fx_release(struct fx *f);
/** The last command of a type, or fail. */
struct fx_cmd *fx_last(struct fx *f, enum sl_hs_cmd_type type);
/** How many commands of a type were seen. */
unsigned fx_count(const struct fx *f, enum sl_hs_cmd_type type);
/** Next frame that control sends, copied; 0 when there is none. */
unsigned fx_frame(struct fx *f, uint8_t *out, unsigned size, struct sl_meta *meta);
/** An event of worker w. */
void fx_event(struct fx *f, unsigned w, const struct sl_ctl_event *ev);

const struct sl_root *fx_root(struct fx *f);
const struct sl_iface_view *fx_view(struct fx *f, const char *iface);
struct sl_ip fx_ip(const char *s);
struct sl_prefix fx_prefix(const char *s);
/** Key number n of the test; the private key of fx_key(n) is fx_secret(n). */
struct sl_pubkey fx_key(unsigned n);
struct sl_secret fx_secret(unsigned n);
/** Make an interface with a key and an inside on the lan. */
void fx_iface(struct fx *f, const char *name, uint16_t port);
/** Make or change a peer with one prefix. */
void fx_peer(struct fx *f, const char *iface, unsigned n, const char *prefix);
/** Value of an address in a pair of tables. */
uint32_t fx_lookup(const struct sl_lpm *v4, const struct sl_lpm *v6, const char *ip);
/** The call failed with this errno, reason and path. */
void fx_refused_at(const struct fx *f, int rc, int err, const char *reason, const char *path,
		   const char *file, int line);
#define fx_refused(f, rc, err, reason, path)                                                       \
	fx_refused_at(f, rc, err, reason, path, __FILE__, __LINE__)

#endif
