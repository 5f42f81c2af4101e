/* SPDX-License-Identifier: BSD-3-Clause */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>

#include <immintrin.h>

#include "acl_int.h"

#define LANES SL_SCAN_LANES
#define UNUSED_LANE 0xff00 /* bits of (interface, protocol) that no packet has */

/*
 * A block is a list of vectors of eight 32-bit lanes, a lane an entry: value and mask of
 * (interface, protocol), of each word of the source and of the destination; then 16-bit lanes:
 * lowest source ports and lowest destination ports, and how far the ranges go.
 */
static unsigned
block_words(unsigned words)
{
	return (2 + 4 * words + 2) * LANES;
}

static void
lane_address(uint32_t *b, unsigned lane, unsigned words, uint64_t hi, uint64_t lo, uint64_t mask_hi,
	     uint64_t mask_lo)
{
	const uint32_t v[4] = {(uint32_t)(hi >> 32), (uint32_t)hi, (uint32_t)(lo >> 32),
			       (uint32_t)lo};
	const uint32_t m[4] = {(uint32_t)(mask_hi >> 32), (uint32_t)mask_hi,
			       (uint32_t)(mask_lo >> 32), (uint32_t)mask_lo};

	for (unsigned i = 4 - words; i < 4; i++, b += 2 * LANES) {
		b[lane] = v[i];
		b[LANES + lane] = m[i];
	}
}

static void
lane_fill(uint32_t *b, unsigned lane, unsigned words, const struct sl_polset_entry *e)
{
	bool any = e->proto == SL_POL_PROTO_ANY;
	uint16_t *lo, *range;

	b[lane] = (uint32_t)e->iface << 16 | (any ? 0 : e->proto);
	b[LANES + lane] = (e->iface != 0 ? 0xffff0000 : 0) | (any ? 0 : 0xff);
	b += 2 * LANES;
	lane_address(b, lane, words, e->src_hi, e->src_lo, e->src_mask_hi, e->src_mask_lo);
	b += 2 * words * LANES;
	lane_address(b, lane, words, e->dst_hi, e->dst_lo, e->dst_mask_hi, e->dst_mask_lo);
	b += 2 * words * LANES;
	lo = (uint16_t *)b;
	range = (uint16_t *)(b + LANES);
	lo[lane] = e->sport_lo;
	lo[LANES + lane] = e->dport_lo;
	range[lane] = (uint16_t)(e->sport_hi - e->sport_lo);
	range[LANES + lane] = (uint16_t)(e->dport_hi - e->dport_lo);
}

static uint32_t
plan(struct sl_scan *t, const uint32_t *first, unsigned max)
{
	uint32_t blocks = 0;

	for (uint32_t g = 0; g < t->n_groups; g++) {
		uint32_t n = first[g + 1] - first[g];

		t->group[g] = (struct sl_scan_group){.first = first[g],
						     .block = blocks,
						     .large = n > max};
		if (n > max)
			continue;
		t->group[g].blocks = (n + LANES - 1) / LANES;
		blocks += t->group[g].blocks;
	}
	return blocks;
}

int
sl_scan_build(struct sl_scan *t, const struct sl_polset *s, unsigned v6, unsigned max)
{
	unsigned words = v6 ? 4 : 1, size = block_words(words);
	uint32_t blocks;

	t->n_groups = s->n_groups;
	t->group = calloc(s->n_groups + 1UL, sizeof(*t->group));
	if (t->group == NULL)
		return -ENOMEM;
	blocks = plan(t, s->group_first[v6], max);
	t->bytes = (size_t)blocks * size * sizeof(*t->lanes);
	t->lanes = aligned_alloc(SL_CACHE_LINE, t->bytes + SL_CACHE_LINE);
	if (t->lanes == NULL)
		return -ENOMEM;
	memset(t->lanes, 0, t->bytes);
	for (uint32_t g = 0; g < s->n_groups; g++) {
		uint32_t *b = t->lanes + (size_t)t->group[g].block * size;
		uint32_t n = s->group_first[v6][g + 1] - s->group_first[v6][g];

		for (uint32_t i = 0; i < t->group[g].blocks * LANES; i++) {
			uint32_t *to = b + (size_t)(i / LANES) * size;

			if (i < n)
				lane_fill(to, i % LANES, words,
					  &s->entries[v6][t->group[g].first + i]);
			else
				to[i % LANES] = to[LANES + i % LANES] = UNUSED_LANE;
		}
	}
	t->bytes += s->n_groups * sizeof(*t->group);
	return 0;
}

void
sl_scan_free(struct sl_scan *t)
{
	free(t->group);
	free(t->lanes);
	memset(t, 0, sizeof(*t));
}

/* Lanes of `b` (value, then mask) in which `v` differs. */
__attribute__((target("avx2"), always_inline)) static inline __m256i
differ(const uint32_t *b, uint32_t v)
{
	__m256i x =
		_mm256_xor_si256(_mm256_set1_epi32((int)v), _mm256_load_si256((const __m256i *)b));

	return _mm256_and_si256(x, _mm256_load_si256((const __m256i *)(b + LANES)));
}

/* One bit for each lane in which both ports lie in their ranges. */
__attribute__((target("avx2"), always_inline)) static inline unsigned
ports_fit(const uint32_t *b, __m256i ports)
{
	__m256i above = _mm256_sub_epi16(ports, _mm256_load_si256((const __m256i *)b));
	__m256i range = _mm256_load_si256((const __m256i *)(b + LANES));
	__m256i in = _mm256_cmpeq_epi16(_mm256_min_epu16(above, range), above);
	__m128i both = _mm_and_si128(_mm256_castsi256_si128(in), _mm256_extracti128_si256(in, 1));

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(both, both)) & 0xff;
}

__attribute__((target("avx2"), always_inline)) static inline uint32_t
scan(const struct sl_scan *t, const struct sl_scan_group *g, const struct sl_acl_key *k,
     unsigned words)
{
	const unsigned size = (2 + 4 * words + 2) * LANES;
	const uint32_t *b = t->lanes + (size_t)g->block * size;
	uint32_t who = (uint32_t)sl_load_be16(k->b + SL_KEY_IFACE) << 16 | k->b[SL_KEY_PROTO];
	const uint8_t *port = k->b + SL_KEY_SRC + 8 * words;
	__m256i ports = _mm256_set_m128i(_mm_set1_epi16((short)sl_load_be16(port + 2)),
					 _mm_set1_epi16((short)sl_load_be16(port)));

	for (uint32_t i = 0; i < g->blocks; i++, b += size) {
		const uint32_t *at = b + 2 * LANES;
		__m256i bad = differ(b, who);
		unsigned hit;

		for (unsigned w = 0; w < 2 * words; w++, at += 2 * LANES)
			bad = _mm256_or_si256(bad,
					      differ(at, sl_load_be32(k->b + SL_KEY_SRC + 4 * w)));
		bad = _mm256_cmpeq_epi32(bad, _mm256_setzero_si256());
		hit = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(bad)) & ports_fit(at, ports);
		if (hit != 0)
			return g->first + i * LANES + (unsigned)__builtin_ctz(hit);
	}
	return SL_POL_NONE;
}

__attribute__((target("avx2"))) uint32_t
sl_scan_v4(const struct sl_scan *t, const struct sl_scan_group *g, const struct sl_acl_key *k)
{
	return scan(t, g, k, 1);
}

__attribute__((target("avx2"))) uint32_t
sl_scan_v6(const struct sl_scan *t, const struct sl_scan_group *g, const struct sl_acl_key *k)
{
	return scan(t, g, k, 4);
}
