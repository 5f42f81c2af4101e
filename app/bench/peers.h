/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Peers of the benchmark's gateway and the far ends of their sessions.
 */
#ifndef SL_BENCH_PEERS_H
#define SL_BENCH_PEERS_H

#include "bench.h"

#define PEERS_LISTEN_PORT 51820
#define PEERS_INNER_BASE UINT32_C(0x64400001)	 /* 100.64.0.1, the gateway's own */
#define PEERS_ENDPOINT_BASE UINT32_C(0xc6120000) /* 198.18.0.0 */
#define PEERS_ENDPOINT_PORT 51820

/** Endpoint of client i as its packets carry it. */
struct sl_outer bench_peer_outer(const struct bench_world *b, unsigned i);
/** All peers with AllowedIPs, endpoint and a confirmed session. @return 0 or -errno */
int bench_peers_make(struct bench_world *b);
void bench_peers_free(struct bench_world *b);

#endif
