/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdio.h>

#include "bench.h"

/* What the data path is to reach: cycles against those of the bare cipher, many peers against
 * one. */
#define TARGET_LARGE 1.35
#define TARGET_LARGE_POLICY 1.45 /* of flow hits, receive */
#define TARGET_MISS 400		 /* cycles more than a hit */
#define TARGET_LOGGING 1.05
#define TARGET_SMALL 2.5
#define TARGET_PEERS 1.25

static const char *const stage_name[SL_NODE_MAX] = {
	[SL_NODE_CLASSIFY] = "classify", [SL_NODE_REASS] = "reass", [SL_NODE_HS] = "hs",
	[SL_NODE_HOST] = "host",	 [SL_NODE_OPEN] = "open",   [SL_NODE_INNER] = "inner",
	[SL_NODE_INSIDE] = "inside",	 [SL_NODE_AUTHZ] = "authz", [SL_NODE_FORWARD] = "forward",
	[SL_NODE_LOCAL] = "local",	 [SL_NODE_ICMP] = "icmp",   [SL_NODE_ROUTE] = "route",
	[SL_NODE_ENCAP] = "encap",	 [SL_NODE_SEAL] = "seal",   [SL_NODE_OUTER] = "outer",
	[SL_NODE_REWRITE] = "rewrite",	 [SL_NODE_TX] = "tx",	    [SL_NODE_STEER] = "steer",
	[SL_NODE_DROP] = "drop",
};

static const char *const policy_name[BENCH_POLICIES] = {"off", "hit", "miss"};

static const char *
path_name(enum bench_path p)
{
	return p == BENCH_RECEIVE ? "receive" : "send";
}

static double
target_of(const struct bench_case *c)
{
	if (c->mode == BENCH_POLICY_OFF)
		return c->inner_bytes == 64	? TARGET_SMALL
		       : c->inner_bytes == 1420 ? TARGET_LARGE
						: 0;
	return c->mode == BENCH_POLICY_HIT && c->inner_bytes == 1420 && c->path == BENCH_RECEIVE
		       ? TARGET_LARGE_POLICY
		       : 0;
}

/** The same case with the fewest peers. */
static const struct bench_case *
fewest_peers(const struct bench_case *all, unsigned n, const struct bench_case *c)
{
	const struct bench_case *best = c;
	unsigned i;

	for (i = 0; i < n; i++)
		if (all[i].path == c->path && all[i].inner_bytes == c->inner_bytes &&
		    all[i].mode == c->mode && all[i].logging == c->logging &&
		    all[i].world->n_peers < best->world->n_peers)
			best = &all[i];
	return best;
}

/** What both are judged by: both alike. @param full of which rounds */
static const struct bench_result *
judged(const struct bench_case *c, bool full)
{
	return full ? &c->full : &c->all;
}

static bool
both_full(const struct bench_case *a, const struct bench_case *b)
{
	return bench_case_by_full(a) && bench_case_by_full(b);
}

static void
print_verdict(bool reached, bool full)
{
	printf(" %s, %s\n", reached ? "reached" : "missed", full ? "full speed" : "all rounds");
}

static void
print_name(const struct bench_case *c)
{
	printf("%-8s %5u %6u %6s %3s", path_name(c->path), c->inner_bytes, c->world->n_peers,
	       policy_name[c->mode], c->logging ? "on" : "off");
}

static void
print_case(const struct bench_case *c)
{
	bool full = bench_case_by_full(c);
	double target = target_of(c);

	print_name(c);
	printf(" %8.0f %8.0f %7.2f %6u", c->all.aead, c->all.cycles, c->all.ratio, c->all.rounds);
	if (c->full.rounds != 0)
		printf(" %8.0f %8.0f %7.2f %6u", c->full.aead, c->full.cycles, c->full.ratio,
		       c->full.rounds);
	else
		printf(" %32s", "none");
	if (target > 0) {
		printf("   %4.2f", target);
		print_verdict(judged(c, full)->ratio <= target, full);
	} else {
		putchar('\n');
	}
}

static void
print_stages(const struct bench_case *c)
{
	unsigned i;

	print_name(c);
	printf("  rx %.0f", c->stage[BENCH_RX]);
	for (i = 0; i < SL_NODE_MAX; i++)
		if (c->seen[i])
			printf("  %s %.0f", stage_name[i], c->stage[i]);
	printf("  rest %.0f%s\n", c->stage[BENCH_REST], c->stages_full ? "  (full speed)" : "");
}

static void
print_peers(const struct bench_case *all, unsigned n)
{
	const struct bench_case *c, *one;
	double times;
	bool full;

	for (c = all; c < all + n; c++) {
		one = fewest_peers(all, n, c);
		if (one == c)
			continue;
		full = both_full(c, one);
		times = judged(c, full)->cycles / judged(one, full)->cycles;
		print_name(c);
		printf(" to %u: %.2f   %4.2f", one->world->n_peers, times, TARGET_PEERS);
		print_verdict(times <= TARGET_PEERS, full);
	}
}

/** The same case but for its policy mode or its logging. */
static const struct bench_case *
sibling(const struct bench_case *all, unsigned n, const struct bench_case *c,
	enum bench_policy_mode mode, bool logging)
{
	unsigned i;

	for (i = 0; i < n; i++)
		if (all[i].path == c->path && all[i].inner_bytes == c->inner_bytes &&
		    all[i].world == c->world && all[i].mode == mode && all[i].logging == logging)
			return &all[i];
	return NULL;
}

/** In cycles of one clock: the machine's may have been another one while the other case was
 * measured, and the cipher beside each tells which. */
static double
cycles_more(const struct bench_result *miss, const struct bench_result *hit)
{
	return (miss->ratio - hit->ratio) * (miss->aead + hit->aead) / 2;
}

static void
print_miss(const struct bench_case *miss, const struct bench_case *hit)
{
	bool full = both_full(miss, hit);
	double more = cycles_more(judged(miss, full), judged(hit, full));

	print_name(miss);
	printf(" more than a hit: %.0f cycles   %d", more, TARGET_MISS);
	print_verdict(more <= TARGET_MISS, full);
}

static void
print_logging(const struct bench_case *on, const struct bench_case *off)
{
	bool full = both_full(on, off);
	double times = judged(on, full)->ratio / judged(off, full)->ratio;

	print_name(on);
	printf(" with records to without: %.3f   %4.2f", times, TARGET_LOGGING);
	print_verdict(times <= TARGET_LOGGING, full);
}

static void
print_policy(const struct bench_case *all, unsigned n)
{
	const struct bench_case *c, *hit, *off;

	for (c = all; c < all + n; c++) {
		hit = sibling(all, n, c, BENCH_POLICY_HIT, c->logging);
		off = sibling(all, n, c, c->mode, false);
		if (c->mode == BENCH_POLICY_MISS && hit)
			print_miss(c, hit);
		if (c->logging && off)
			print_logging(c, off);
	}
}

void
bench_print(const struct bench_case *all, unsigned n, const struct bench_options *o)
{
	static const char *const outer[BENCH_OUTERS] = {"IPv4", "IPv6, UDP checksum in software",
							"IPv6, UDP checksum by the port"};
	unsigned i;

	if (n == 0)
		return;
	printf("cipher: %s; outer packets: %s; memory: %s; fastest probe: %.0f cycles\n\n",
	       sl_aead_name(all[0].world->aead), outer[o->outer],
	       o->no_huge ? "no hugepages" : "hugepages", (double)bench_speed_fastest());
	printf("cycles per packet (medians): of all rounds, and of those at the CPU's full "
	       "speed\n");
	printf("path     bytes  peers policy log   cipher     path   ratio rounds   cipher     path"
	       "   ratio rounds   target\n");
	for (i = 0; i < n; i++)
		print_case(&all[i]);
	printf("\nmany peers against few\n");
	print_peers(all, n);
	print_policy(all, n);
	printf("\ncycles per packet and stage; open and seal hold the cipher\n");
	for (i = 0; i < n; i++)
		print_stages(&all[i]);
}

/** JSON has no number for a median of nothing. */
static void
write_full(FILE *f, const struct bench_result *r)
{
	if (r->rounds == 0)
		fprintf(f, "\"full_speed\": null, ");
	else
		fprintf(f,
			"\"full_speed\": {\"rounds\": %u, \"cycles_per_packet\": %.1f, "
			"\"aead_cycles\": %.1f, \"ratio\": %.3f}, ",
			r->rounds, r->cycles, r->aead, r->ratio);
}

static void
write_case(FILE *f, const struct bench_case *c)
{
	static const char *const outer[BENCH_OUTERS] = {"", "ipv6", "ipv6-offload"};
	unsigned i;

	fprintf(f,
		"{\"path\": \"%s\", \"inner_bytes\": %u, \"peers\": %u, "
		"\"policy\": \"%s\", \"logging\": %s, \"rounds\": %u, "
		"\"cycles_per_packet\": %.1f, \"aead_cycles\": %.1f, \"ratio\": %.3f, ",
		path_name(c->path), c->inner_bytes, c->world->n_peers, policy_name[c->mode],
		c->logging ? "true" : "false", c->all.rounds, c->all.cycles, c->all.aead,
		c->all.ratio);
	write_full(f, &c->full);
	if (c->world->outer != BENCH_OUTER4)
		fprintf(f, "\"outer\": \"%s\", ", outer[c->world->outer]);
	fprintf(f, "\"stages\": {\"rx\": %.1f", c->stage[BENCH_RX]);
	for (i = 0; i < SL_NODE_MAX; i++)
		if (c->seen[i])
			fprintf(f, ", \"%s\": %.1f", stage_name[i], c->stage[i]);
	fprintf(f, ", \"rest\": %.1f}}", c->stage[BENCH_REST]);
}

int
bench_write_json(const char *path, const struct bench_case *c, unsigned n, struct sl_error *e)
{
	FILE *f = fopen(path, "we");
	unsigned i;
	int bad;

	if (!f)
		return sl_fail(e, -errno, "file_failed", path, "cannot write: %s", strerror(errno));
	fprintf(f, "{\"fastest_probe\": %.0f, \"results\": [\n", (double)bench_speed_fastest());
	for (i = 0; i < n; i++) {
		write_case(f, &c[i]);
		fprintf(f, i + 1 < n ? ",\n" : "\n");
	}
	fprintf(f, "]}\n");
	bad = ferror(f);
	if (fclose(f) != 0 || bad)
		return sl_fail(e, -EIO, "file_failed", path, "cannot write: %s", strerror(errno));
	return 0;
}
