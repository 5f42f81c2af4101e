/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the metrics: the families, by what they are made of. */
#ifndef SL_METRICS_INT_H
#define SL_METRICS_INT_H

#include <stdio.h>

#include "sl_metrics.h"
#include "sl_policy.h"

/** A text that grows. */
struct metrics_text {
	FILE *f; /* NULL: closed */
	char *data;
	size_t len;
};

int metrics_text_open(struct metrics_text *t);
/** Into a buffer, without a copy; closed and empty afterwards. @return 0 or -ENOMEM */
int metrics_text_move(struct metrics_text *t, struct evbuffer *to);
void metrics_text_clear(struct metrics_text *t);

/** metrics_gateway.c: the program, ports, lcores, handshakes, packets. @return 0 or -ENOMEM */
int metrics_gateway(FILE *f, struct sl_ctl *ctl);
/** metrics_policy.c: decisions, modes, the policy, records, evidence, the control plane. */
void metrics_policy(FILE *f, struct sl_ctl *ctl);

/** One walk over the peers of all interfaces (metrics_peer.c). */
struct metrics_peers {
	struct sl_ctl *ctl;
	char (*iface)[SL_POL_IFACE];
	unsigned n_ifaces, at; /* at: the interface at hand */
	uint32_t after;	       /* peers of it that were counted */
	uint64_t state[5];     /* of it, by enum sl_hs_state */
	unsigned room, shown;  /* in this step; in all */
	uint64_t omitted;
	struct metrics_text family[5];
};

/** @return 0 or -ENOMEM; metrics_peers_clear() in any case */
int metrics_peers_begin(struct metrics_peers *p, struct sl_ctl *ctl);
/** Go on with up to 64 peers. @return true when it is done */
bool metrics_peers_step(struct metrics_peers *p);
/** @return 0 or -ENOMEM */
int metrics_peers_move(struct metrics_peers *p, struct evbuffer *to);
void metrics_peers_clear(struct metrics_peers *p);

#endif
