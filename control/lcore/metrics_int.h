/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the metrics: the families, by what they are made of. */
#ifndef SL_METRICS_INT_H
#define SL_METRICS_INT_H

#include <stdio.h>

#include "metrics_top.h"
#include "sl_metrics.h"
#include "sl_policy.h"

/** A text that grows, in pieces: memory is taken and given back bit by bit. */
struct metrics_text {
	FILE *f; /* of the last piece; NULL: closed */
	char *data;
	size_t len;
	struct evbuffer *full; /* the pieces before it */
};

int metrics_text_open(struct metrics_text *t);
/** Now and then: begin another piece if this one is large. @return 0; -ENOMEM: it is closed */
int metrics_text_cut(struct metrics_text *t);
/** Into a buffer, without a copy; closed and empty afterwards. @return 0 or -ENOMEM */
int metrics_text_move(struct metrics_text *t, struct evbuffer *to);
void metrics_text_clear(struct metrics_text *t);

/** metrics_gateway.c: the program, ports, lcores, handshakes, packets. @return 0 or -ENOMEM */
int metrics_gateway(FILE *f, struct sl_ctl *ctl);
struct ctl_point;
struct sl_stats_snap;
/** metrics_dataplane.c: latency, flows, rings, buffers. @param sum of all data lcores */
void metrics_dataplane(FILE *f, const struct sl_ctl *ctl, const struct ctl_point *now,
		       const struct sl_stats_snap *sum);
/** metrics_policy.c: decisions, modes, the policy, records, evidence, the control plane. */
void metrics_policy(FILE *f, struct sl_ctl *ctl);

/** The rules of the policy (metrics_rule.c). */
#define METRICS_RULE_FAMILIES 2
struct metrics_rules {
	struct sl_ctl *ctl;
	uint64_t generation; /* of the rules that are being told */
	unsigned at, anew;   /* the next one; how often it began anew */
	unsigned omitted;
	bool done, failed; /* failed: there was no memory */
	struct metrics_text family[METRICS_RULE_FAMILIES];
};

/** @return 0 or -ENOMEM; metrics_rules_clear() in any case */
int metrics_rules_begin(struct metrics_rules *r, struct sl_ctl *ctl);
/** Go on with up to 128 rules. @return true when it is done */
bool metrics_rules_step(struct metrics_rules *r);
/** @return 0 or -ENOMEM */
int metrics_rules_move(struct metrics_rules *r, struct evbuffer *to);
void metrics_rules_clear(struct metrics_rules *r);

/** One walk over the peers of all interfaces, and what is told of some (metrics_peer.c). */
#define METRICS_PEER_FAMILIES 8
struct metrics_peers {
	struct sl_ctl *ctl;
	char (*iface)[SL_POL_IFACE];
	unsigned n_ifaces, at;	/* at: the interface at hand */
	uint32_t after;		/* peers of it that were counted */
	uint64_t state[5];	/* of it, by enum sl_hs_state */
	unsigned room, seen;	/* in this step; in all */
	struct metrics_top top; /* those that have series ... */
	unsigned told;		/* ... and how many of them have been told */
	bool failed;		/* there was no memory */
	struct metrics_text family[METRICS_PEER_FAMILIES];
};

/** @return 0 or -ENOMEM; metrics_peers_clear() in any case */
int metrics_peers_begin(struct metrics_peers *p, struct sl_ctl *ctl);
/** Go on with some peers. @return true when it is done */
bool metrics_peers_step(struct metrics_peers *p);
/** @return 0 or -ENOMEM */
int metrics_peers_move(struct metrics_peers *p, struct evbuffer *to);
void metrics_peers_clear(struct metrics_peers *p);

#endif
