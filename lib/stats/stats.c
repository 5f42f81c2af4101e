/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_stats.h"

/* The counter structs hold 64-bit words and nothing else, so they can be treated as arrays. */
#define WORDS(type) (sizeof(type) / sizeof(uint64_t))
#define STAGE_WORDS WORDS(struct sl_stats_stage_counts)
#define LCORE_WORDS WORDS(struct sl_stats_lcore_counts)

static void
words_flush(void *shared, void *delta, unsigned n)
{
	uint64_t *to = shared, *from = delta;

	for (unsigned i = 0; i < n; i++) {
		if (from[i] == 0)
			continue;
		sl_stats_add(&to[i], from[i]);
		from[i] = 0;
	}
}

static void
words_read(void *out, const void *shared, unsigned n)
{
	const uint64_t *from = shared;
	uint64_t *to = out;

	for (unsigned i = 0; i < n; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
}

static void
words_sum(void *sum, const void *add, unsigned n)
{
	const uint64_t *from = add;
	uint64_t *to = sum;

	for (unsigned i = 0; i < n; i++)
		to[i] += from[i];
}

void
sl_stats_flush(struct sl_stats_lcore *s, struct sl_stats_delta *d)
{
	words_flush(&s->lcore, &d->lcore, LCORE_WORDS);
	words_flush(s->stage, d->stage, SL_STATS_STAGES * STAGE_WORDS);
	for (unsigned w = 0; w < SL_STATS_DROP_WORDS; w++) {
		for (; d->drop_mask[w] != 0; d->drop_mask[w] &= d->drop_mask[w] - 1) {
			unsigned reason = w * 64 + (unsigned)__builtin_ctzll(d->drop_mask[w]);

			sl_stats_add(&s->drops[reason], d->drops[reason]);
			d->drops[reason] = 0;
		}
	}
}

void
sl_stats_read(const struct sl_stats_lcore *s, struct sl_stats_snap *out)
{
	out->time_ns = 0;
	words_read(&out->lcore, &s->lcore, LCORE_WORDS);
	words_read(out->stage, s->stage, SL_STATS_STAGES * STAGE_WORDS);
	words_read(out->drops, s->drops, SL_DROP_MAX);
	words_read(out->latency.n, s->latency.n, SL_HIST_BUCKETS);
}

void
sl_stats_sum(struct sl_stats_snap *sum, const struct sl_stats_snap *add)
{
	sum->time_ns = SL_MAX(sum->time_ns, add->time_ns);
	words_sum(&sum->lcore, &add->lcore, LCORE_WORDS);
	words_sum(sum->stage, add->stage, SL_STATS_STAGES * STAGE_WORDS);
	words_sum(sum->drops, add->drops, SL_DROP_MAX);
	sl_hist_merge(&sum->latency, &add->latency);
}

static double
share_pct(uint64_t part, uint64_t whole)
{
	return whole == 0 ? 0 : 100.0 * (double)SL_MIN(part, whole) / (double)whole;
}

double
sl_stats_utilization_pct(const struct sl_stats_snap *s)
{
	return share_pct(s->lcore.busy_cycles, s->lcore.total_cycles);
}

static void
latency_fill(struct sl_stats_latency *out, const struct sl_hist *h, uint64_t sum_ns, uint64_t count)
{
	out->count = count;
	out->avg_ns = count == 0 ? 0 : sum_ns / count;
	out->p50_ns = sl_hist_quantile(h, 500000);
	out->p95_ns = sl_hist_quantile(h, 950000);
	out->p99_ns = sl_hist_quantile(h, 990000);
}

void
sl_stats_latency_of(const struct sl_stats_snap *s, struct sl_stats_latency *out)
{
	uint64_t sum_ns = 0, count = 0;

	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		sum_ns += s->stage[i].latency_sum_ns;
		count += s->stage[i].latency_count;
	}
	latency_fill(out, &s->latency, sum_ns, count);
}

/* A counter that went backwards belongs to another start of the program: count from 0. */
static uint64_t
grown(uint64_t before, uint64_t after)
{
	return after >= before ? after - before : after;
}

static double
per_s(uint64_t before, uint64_t after, double seconds)
{
	return seconds > 0 ? (double)grown(before, after) / seconds : 0;
}

static void
latency_between(const struct sl_stats_snap *a, const struct sl_stats_snap *b,
		struct sl_stats_latency *out)
{
	uint64_t sum_ns = 0, count = 0;
	struct sl_hist h;

	for (unsigned i = 0; i < SL_STATS_STAGES; i++) {
		sum_ns += grown(a->stage[i].latency_sum_ns, b->stage[i].latency_sum_ns);
		count += grown(a->stage[i].latency_count, b->stage[i].latency_count);
	}
	for (unsigned i = 0; i < SL_HIST_BUCKETS; i++)
		h.n[i] = grown(a->latency.n[i], b->latency.n[i]);
	latency_fill(out, &h, sum_ns, count);
}

void
sl_stats_rates(const struct sl_stats_snap *before, const struct sl_stats_snap *after,
	       struct sl_stats_rates *out)
{
	const struct sl_stats_lcore_counts *a = &before->lcore, *b = &after->lcore;
	double s = 0;

	if (after->time_ns > before->time_ns)
		s = (double)(after->time_ns - before->time_ns) / 1e9;
	*out = (struct sl_stats_rates){.seconds = s};
	out->rx_pps = per_s(a->rx_packets, b->rx_packets, s);
	out->rx_bps = 8 * per_s(a->rx_bytes, b->rx_bytes, s);
	out->tx_pps = per_s(a->tx_packets, b->tx_packets, s);
	out->tx_bps = 8 * per_s(a->tx_bytes, b->tx_bytes, s);
	out->utilization_pct = share_pct(grown(a->busy_cycles, b->busy_cycles),
					 grown(a->total_cycles, b->total_cycles));
	for (unsigned i = 0; i < SL_STATS_STAGES; i++)
		out->stage_pps[i] = per_s(before->stage[i].total, after->stage[i].total, s);
	for (unsigned i = 0; i < SL_DROP_MAX; i++) {
		out->drops_pps[i] = per_s(before->drops[i], after->drops[i], s);
		if (i != SL_DROP_NONE && i != SL_DROP_LOCAL_CONSUMED)
			out->drop_pps += out->drops_pps[i];
	}
	latency_between(before, after, &out->latency);
}

const char *
sl_stats_stage_text(unsigned stage)
{
	static const char *const text[] = {"rx_early", "post_decrypt", "pre_encrypt"};

	return stage < SL_ARRAY_SIZE(text) ? text[stage] : "invalid";
}
