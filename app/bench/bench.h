/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * sluice-bench: cycles per packet of the bare cipher and of both ways through the data plane.
 *
 * One thread on one CPU does it all: it makes packets, lets one worker poll them from a ring to a
 * ring, and looks at what came out. Only the polls are timed. The cipher alone is measured beside
 * each batch with the same sizes and keys, so that a busy machine slows both and their ratio stays.
 */
#ifndef SL_BENCH_H
#define SL_BENCH_H

#include "sl_pipeline.h"

#define BENCH_BURSTS 8
#define BENCH_BATCH (BENCH_BURSTS * SL_BURST) /* packets of one round */
#define BENCH_LIST_MAX 8
#define BENCH_PEERS_MAX 10000
#define BENCH_INNER_MIN 28 /* IPv4 and UDP header */
#define BENCH_MTU 1420

/** Columns of a stage profile: the nodes, reception, all else. */
#define BENCH_RX SL_NODE_MAX
#define BENCH_REST (SL_NODE_MAX + 1)
#define BENCH_COLUMNS (SL_NODE_MAX + 2)
#define BENCH_PROBES (BENCH_BURSTS + 1) /* of the CPU's speed: before and after each burst */
#define BENCH_FULL_MIN 50   /* rounds at the CPU's full speed, for a target to be judged by them */
#define BENCH_PROFILES 8192 /* rounds kept */

enum bench_path { BENCH_RECEIVE, BENCH_SEND, BENCH_PATHS };

/** How the outer packet is made. */
enum bench_outer {
	BENCH_OUTER4,	      /* IPv4 without UDP checksum */
	BENCH_OUTER6,	      /* IPv6, UDP checksum summed here */
	BENCH_OUTER6_OFFLOAD, /* IPv6, UDP checksum left to the port */
	BENCH_OUTERS
};

/** What of a policy the packets meet. */
enum bench_policy_mode {
	BENCH_POLICY_OFF,  /* none is loaded, observe: a flow a peer */
	BENCH_POLICY_HIT,  /* enforce; packets of known flows */
	BENCH_POLICY_MISS, /* enforce; each packet begins a flow */
	BENCH_POLICIES
};

struct bench_options {
	const char *json;
	const char *cpu; /* NULL: the last one allowed */
	double seconds;
	double wait_full; /* seconds more, until all cases have BENCH_FULL_MIN */
	bool no_huge;
	bool path[BENCH_PATHS];
	enum bench_outer outer;
	unsigned n_sizes, n_peers;
	unsigned n_policies, n_logging;
	unsigned policy[BENCH_LIST_MAX]; /* enum bench_policy_mode */
	unsigned logging[BENCH_LIST_MAX];
	unsigned size[BENCH_LIST_MAX];
	unsigned peers[BENCH_LIST_MAX];
};

/** The far end of a peer's session. */
struct bench_client {
	uint8_t key[32 + SL_AEAD_KEY_PAD]; /* seals what the gateway receives */
	uint32_t index;			   /* the gateway's receiver index */
	uint32_t inner_be;		   /* its inner IPv4 address */
	uint64_t counter;
	/* not for each packet */
	uint8_t answer_key[32 + SL_AEAD_KEY_PAD] SL_ALIGNED(SL_CACHE_LINE);
} SL_ALIGNED(SL_CACHE_LINE);

struct bench_port {
	uint16_t ethdev;
	struct rte_ring *rx, *tx;
};

/** A gateway with one worker, an outside and an inside port, and n peers with live sessions. */
struct bench_world {
	unsigned n_peers;
	enum bench_outer outer;
	struct rte_mempool *pool;
	struct sl_rcu *rcu;
	struct sl_session_table *sessions;
	struct sl_dp *dp;
	struct sl_worker *w;
	struct bench_port port[2]; /* outside, inside */
	struct sl_peer **peer;	   /* [n_peers], id - 1 */
	struct sl_keypair **kp;
	struct bench_client *client;
	struct sl_aead *aead; /* of the far ends, and for the bare cipher */
	uint64_t dice;
	uint32_t serial;	 /* of ports of new flows */
	struct bench_flow *flow; /* [POLICY_FLOWS] that are known where all packets hit */
	/* what root points to */
	struct sl_root root;
	struct sl_att att[3];
	struct sl_iface_view iface;
	const struct sl_att *atts[3];
	const struct sl_iface_view *ifaces[2];
	uint16_t *udp_port;
	struct sl_lpm_garbage garbage;
};

/** Medians of rounds, in cycles per packet. */
struct bench_result {
	unsigned rounds;
	double cycles, aead, ratio;
};

/** One line of the result. */
struct bench_case {
	enum bench_path path;
	unsigned inner_bytes;
	struct bench_world *world;
	struct bench_policy *policy; /* NULL: none is measured */
	enum bench_policy_mode mode;
	bool logging;
	/* samples, one a round: cycles per packet */
	float *aead, *cycles, *ratio;
	float *probe; /* the mean of those beside the batch, of the slower one of the two */
	unsigned n, cap;
	float *profile;	      /* cycles per packet: [n_profile][BENCH_COLUMNS] */
	float *profile_probe; /* [n_profile] */
	unsigned n_profile;
	bool seen[SL_NODE_MAX]; /* stages that had packets */
	/* result */
	struct bench_result all, full; /* of all rounds; of those at the CPU's full speed */
	double stage[BENCH_COLUMNS];
	bool stages_full; /* of rounds at full speed, as there were enough */
};

/* --- world.c ---------------------------------------------------------------------------------- */

/** @return a gateway, or NULL with an error */
struct bench_world *bench_world_new(unsigned n_peers, enum bench_outer outer, bool hugepages,
				    struct rte_mempool *pool, struct sl_error *e);
void bench_world_free(struct bench_world *b);
/** Make all keypairs young again: they would expire in a long run. */
void bench_world_renew(struct bench_world *b);
/** What a control plane and hs would do between two polls. */
void bench_world_tidy(struct bench_world *b);

/* --- traffic.c -------------------------------------------------------------------------------- */

/** Packets of one round and the cipher's jobs for them. */
struct bench_batch {
	struct rte_mbuf *m[BENCH_BATCH];
	struct sl_aead_job job[BENCH_BATCH];
};

/** A number below n. */
unsigned bench_dice(struct bench_world *b, unsigned n);
/**
 * Frames as they arrive: from random peers, sealed; or from servers to random peers. `job` is
 * the bare cipher's work on the same bytes: open, or seal.
 * @return false when the pool is empty
 */
bool bench_batch_make(const struct bench_case *c, struct bench_batch *batch);
/** The first packets of known flows, BENCH_BATCH of them from `first` on, from their clients. */
bool bench_batch_begin(const struct bench_case *c, unsigned first, struct bench_batch *batch);
/** Is this what must leave? @return NULL, or what is wrong */
const char *bench_frame_check(const struct bench_case *c, const struct rte_mbuf *m);

/* --- measure.c -------------------------------------------------------------------------------- */

/** What reading the clock twice costs. */
uint64_t bench_clock_cost(void);
/** Its policy, logging and flows. Before a check, a run or a profile. */
int bench_case_prepare(struct bench_case *c, struct sl_error *e);
/** Whether all packets of a batch come out, with the bytes that they should have. */
int bench_case_check(struct bench_case *c, struct sl_error *e);
/** Measure for some time. */
int bench_case_run(struct bench_case *c, double seconds, struct sl_error *e);
/** The same packets with a clock around each stage. */
int bench_case_profile(struct bench_case *c, double seconds, struct sl_error *e);
/** @return how many rounds were at the CPU's full speed, as far as that is known by now */
unsigned bench_case_full(const struct bench_case *c);

/* --- result.c --------------------------------------------------------------------------------- */

/** Medians. When all cases are measured: only then is the full speed known. */
int bench_case_finish(struct bench_case *c, struct sl_error *e);
/** Are there rounds enough at full speed to judge by them? */
static inline bool
bench_case_by_full(const struct bench_case *c)
{
	return c->full.rounds >= BENCH_FULL_MIN;
}

/* --- speed.c ---------------------------------------------------------------------------------- */

/** Do a fixed piece of work. @return what it took */
float bench_speed_probe(void);
/** The mean of the probes beside a batch: the full speed is near the least one of the run. */
void bench_speed_note(float mean);
/** The least one that was noted. */
float bench_speed_fastest(void);
/** Did the CPU have its full speed? */
bool bench_speed_is_full(float mean);
/** Sleep until it has. @param end time-stamp counter @return false: it has not, until then */
bool bench_speed_wait(uint64_t end);

/* --- report.c --------------------------------------------------------------------------------- */

void bench_print(const struct bench_case *c, unsigned n, const struct bench_options *o);
/** @return 0 or -errno */
int bench_write_json(const char *path, const struct bench_case *c, unsigned n, struct sl_error *e);

/* --- options.c -------------------------------------------------------------------------------- */

/** @return 0; 1: nothing left to do; 2: wrong usage, a message is printed */
int bench_options_parse(int argc, char **argv, struct bench_options *o);

#endif
