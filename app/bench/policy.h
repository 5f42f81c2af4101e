/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The policy of the benchmark: 10,000 prefixes in 100 roles with 32 rules each, and flows that it
 * allows.
 */
#ifndef SL_BENCH_POLICY_H
#define SL_BENCH_POLICY_H

#include "bench.h"

#define POLICY_PREFIXES 10000
#define POLICY_ROLES 100
#define POLICY_RULES 32
#define POLICY_FLOWS 16384 /* that are known where all packets hit */

/** UDP between a client and a server on the inside. */
struct bench_flow {
	uint32_t client; /* number of the peer */
	uint32_t server; /* IPv4 */
	uint16_t client_port, server_port;
};

struct bench_policy;

struct bench_policy *bench_policy_new(struct sl_error *e);
void bench_policy_free(struct bench_policy *p);
/** Put it into force, or none. */
void bench_policy_use(struct bench_policy *p, struct bench_world *b, enum bench_policy_mode mode,
		      bool logging);
/** A random flow that the policy allows; no other of the last 60,000 has its ports. */
void bench_flow_any(struct bench_world *b, struct bench_flow *f);

#endif
