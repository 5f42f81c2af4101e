/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Counters of the data path: per lcore, one writer each, read by control at any time.
 *
 * The writing lcore counts into its private `struct sl_stats_delta` with plain additions and calls
 * sl_stats_flush() once per burst, which adds the touched counters to its `struct sl_stats_lcore`
 * by relaxed atomic stores. Control takes snapshots by relaxed loads: every counter is exact,
 * counters of one snapshot may lie up to a burst apart. Nothing is ever reset; rates come from two
 * snapshots.
 */
#ifndef SL_STATS_H
#define SL_STATS_H

#include "sl_base.h"
#include "sl_drop.h"

enum sl_stats_stage {
	SL_STATS_RX_EARLY,     /* reception to classification */
	SL_STATS_POST_DECRYPT, /* opened tunnel packets: source, policy, forwarding */
	SL_STATS_PRE_ENCRYPT,  /* packets towards a tunnel: policy, forwarding, sealing */
	SL_STATS_STAGES
};

/* clang-format off */
#define SL_STATS_STAGE_LIST(X) \
	X(total,		"packets that entered the stage") \
	X(passed,		"packets that left it forwards") \
	X(dropped,		"packets that ended in it") \
	X(policy_hits,		"packets judged from the flow table") \
	X(policy_misses,	"packets that needed a classification") \
	X(decrypt_success,	"packets opened") \
	X(decrypt_failure,	"packets whose authentication failed") \
	X(latency_sum_ns,	"sum of the time in the stage") \
	X(latency_count,	"packets in that sum")

#define SL_STATS_LCORE_LIST(X) \
	X(rx_packets,		"packets received from ports") \
	X(rx_bytes,		"bytes received from ports") \
	X(tx_packets,		"packets given to ports") \
	X(tx_bytes,		"bytes given to ports") \
	X(steered_packets,	"packets handed to another lcore") \
	X(flow_full,		"packets judged without room for a flow") \
	X(mss_clamped,		"TCP SYNs whose MSS was lowered") \
	X(flow_handover_lost,	"flows lost when a peer moved to another worker") \
	X(polls,		"rounds of the loop") \
	X(busy_polls,		"rounds that found work") \
	X(busy_cycles,		"TSC cycles of rounds that found work") \
	X(total_cycles,		"TSC cycles of the loop, sleep included") \
	X(latency_sum_ns,	"sum of what is in the histogram")
/* clang-format on */

struct sl_stats_stage_counts {
#define X(name, text) uint64_t name;
	SL_STATS_STAGE_LIST(X)
#undef X
};

struct sl_stats_lcore_counts {
#define X(name, text) uint64_t name;
	SL_STATS_LCORE_LIST(X)
#undef X
};

/* Log-linear histogram: 16 buckets per power of two, exact below 16, up to 2^40 - 1 (18 minutes
 * in nanoseconds); larger values count in the last bucket. */
#define SL_HIST_SUB_BITS 4
#define SL_HIST_MAX_BITS 40
#define SL_HIST_BUCKETS ((SL_HIST_MAX_BITS - SL_HIST_SUB_BITS + 1) << SL_HIST_SUB_BITS)

struct sl_hist {
	uint64_t n[SL_HIST_BUCKETS];
};

/** Shared counters of one lcore. */
struct sl_stats_lcore {
	struct sl_stats_lcore_counts lcore;		     /* w: owner, r: control */
	struct sl_stats_stage_counts stage[SL_STATS_STAGES]; /* w: owner, r: control */
	uint64_t drops[SL_DROP_MAX];			     /* w: owner, r: control */
	/* w: owner, r: data lcores and hs; of the last second */
	uint32_t busy_ppm;
	uint32_t main_peer; /* id + 1 of the peer with more than half of the packets, or 0 */
	struct sl_hist latency SL_ALIGNED(SL_CACHE_LINE); /* w: owner, r: control; ns */
} SL_ALIGNED(SL_CACHE_LINE);

#define SL_STATS_DROP_WORDS ((SL_DROP_MAX + 63) / 64)

/** Private counts of the current burst; all zero after a flush. */
struct sl_stats_delta {
	struct sl_stats_lcore_counts lcore;
	struct sl_stats_stage_counts stage[SL_STATS_STAGES];
	uint64_t drop_mask[SL_STATS_DROP_WORDS]; /* reasons with a count */
	uint32_t drops[SL_DROP_MAX];
} SL_ALIGNED(SL_CACHE_LINE);

/** A copy in one thread's hands: of one lcore or the sum of several. */
struct sl_stats_snap {
	uint64_t time_ns; /* monotonic; set by the caller */
	struct sl_stats_lcore_counts lcore;
	struct sl_stats_stage_counts stage[SL_STATS_STAGES];
	uint64_t drops[SL_DROP_MAX];
	struct sl_hist latency;
};

struct sl_stats_latency {
	uint64_t count;
	uint64_t avg_ns;
	uint64_t p50_ns;
	uint64_t p95_ns;
	uint64_t p99_ns;
};

/** What happened between two snapshots, per second. */
struct sl_stats_rates {
	double seconds;
	double rx_pps, rx_bps, tx_pps, tx_bps; /* packets and bits */
	double drop_pps;		       /* without SL_DROP_LOCAL_CONSUMED */
	double utilization_pct;		       /* busy cycles of total cycles */
	double stage_pps[SL_STATS_STAGES];
	double drops_pps[SL_DROP_MAX];
	struct sl_stats_latency latency; /* of the packets between the two */
};

/** Count n packets that end under a reason. */
static inline void
sl_stats_drop(struct sl_stats_delta *d, enum sl_drop reason, uint32_t n)
{
	d->drops[reason] += n;
	d->drop_mask[reason / 64] |= (uint64_t)(n != 0) << (reason % 64);
}

/** Single writer's addition to a word that others read. */
static inline void
sl_stats_add(uint64_t *word, uint64_t n)
{
	__atomic_store_n(word, *word + n, __ATOMIC_RELAXED);
}

/** Bucket of a value. */
static inline unsigned
sl_hist_bucket(uint64_t value)
{
	unsigned msb;

	if (value < 1 << SL_HIST_SUB_BITS)
		return (unsigned)value;
	if (value >> SL_HIST_MAX_BITS)
		return SL_HIST_BUCKETS - 1;
	msb = 63 - (unsigned)__builtin_clzll(value);
	return ((msb - SL_HIST_SUB_BITS) << SL_HIST_SUB_BITS) +
	       (unsigned)(value >> (msb - SL_HIST_SUB_BITS));
}

/** Owner: count n occurrences of a value. */
static inline void
sl_hist_record(struct sl_hist *h, uint64_t value, uint64_t n)
{
	sl_stats_add(&h->n[sl_hist_bucket(value)], n);
}

/** Owner, once per burst: a latency of n packets, into the stage's sum and the histogram. */
static inline void
sl_stats_latency(struct sl_stats_lcore *s, struct sl_stats_delta *d, enum sl_stats_stage stage,
		 uint64_t ns, uint64_t n)
{
	d->stage[stage].latency_sum_ns += ns * n;
	d->stage[stage].latency_count += n;
	d->lcore.latency_sum_ns += ns * n;
	sl_hist_record(&s->latency, ns, n);
}

/** Owner, once per burst: add the delta to the shared counters and clear it. */
void sl_stats_flush(struct sl_stats_lcore *s, struct sl_stats_delta *d);

/** Control: copy one lcore's counters. time_ns becomes 0. */
void sl_stats_read(const struct sl_stats_lcore *s, struct sl_stats_snap *out);

/** sum += add. time_ns: the later of both. */
void sl_stats_sum(struct sl_stats_snap *sum, const struct sl_stats_snap *add);

/** All of it between two snapshots of the same lcores; 0 seconds give rates of 0. */
void sl_stats_rates(const struct sl_stats_snap *before, const struct sl_stats_snap *after,
		    struct sl_stats_rates *out);

/** Busy cycles of total cycles since the start, 0-100. */
double sl_stats_utilization_pct(const struct sl_stats_snap *s);

/** Average (from the stages' sums) and percentiles (from the histogram) since the start. */
void sl_stats_latency_of(const struct sl_stats_snap *s, struct sl_stats_latency *out);

/** "rx_early", "post_decrypt" or "pre_encrypt". */
const char *sl_stats_stage_text(unsigned stage);

/** to += from. */
void sl_hist_merge(struct sl_hist *to, const struct sl_hist *from);

/** Number of recorded values. */
uint64_t sl_hist_count(const struct sl_hist *h);

/** Number of recorded values below a bound. @param bound a whole number of sixteenths of a power of
 * two, so that no bucket lies on both sides of it */
uint64_t sl_hist_below(const struct sl_hist *h, uint64_t bound);

/**
 * The value below or at which a share of the records lies (nearest rank).
 * @param per_million 500,000 is the median
 * @return within 1/16 of the true value; 0 if empty
 */
uint64_t sl_hist_quantile(const struct sl_hist *h, unsigned per_million);

#endif
