/* SPDX-License-Identifier: BSD-3-Clause */
#include "scan.h"

#include <errno.h>
#include <stdlib.h>

#include <immintrin.h>

#include "acl_int.h"

#define LANES SL_SCAN_LANES
#define ROW SL_SCAN_ROW
#define ROW_WORDS SL_SCAN_ROW_WORDS
#define LINE_WORDS (SL_CACHE_LINE / sizeof(uint32_t))

/*
 * A group begins with the destination ports of all its entries, which tell most of them apart, a
 * row on each line. What else they say is looked at only where a port fits, and stands there twice:
 *
 *	one by one	on as few lines as can be, for the one or two that are left most of the
 *			time: value and mask of (interface, protocol), of each word of the source
 *			and of the destination; lowest source port, and how far the range goes
 *	in blocks	of eight, for more: the same as vectors of 32-bit lanes, of the ports as
 *			vectors of 16-bit lanes
 */
static inline unsigned
single_words(unsigned words)
{
	return words == 1 ? LINE_WORDS / 2 : 2 * LINE_WORDS;
}

/** Of all entries of a group, up to the end of a line. */
static inline size_t
singles_words(uint32_t n, unsigned words)
{
	return ((size_t)n * single_words(words) + LINE_WORDS - 1) / LINE_WORDS * LINE_WORDS;
}

static inline unsigned
block_words(unsigned words)
{
	return (2 + 4 * words + 2) * LANES;
}

/** Words of an address and their masks, `step` apart. */
static void
address_fill(uint32_t *b, unsigned step, unsigned words, uint64_t hi, uint64_t lo, uint64_t mask_hi,
	     uint64_t mask_lo)
{
	const uint32_t v[4] = {(uint32_t)(hi >> 32), (uint32_t)hi, (uint32_t)(lo >> 32),
			       (uint32_t)lo};
	const uint32_t m[4] = {(uint32_t)(mask_hi >> 32), (uint32_t)mask_hi,
			       (uint32_t)(mask_lo >> 32), (uint32_t)mask_lo};

	for (unsigned i = 4 - words; i < 4; i++, b += 2 * step) {
		b[0] = v[i];
		b[step] = m[i];
	}
}

/** All but the ports. @return where they go */
static uint32_t *
words_fill(uint32_t *b, unsigned step, unsigned words, const struct sl_polset_entry *e)
{
	bool any = e->proto == SL_POL_PROTO_ANY;

	b[0] = (uint32_t)e->iface << 16 | (any ? 0 : e->proto);
	b[step] = (e->iface != 0 ? 0xffff0000 : 0) | (any ? 0 : 0xff);
	b += 2 * step;
	address_fill(b, step, words, e->src_hi, e->src_lo, e->src_mask_hi, e->src_mask_lo);
	b += 2 * words * step;
	address_fill(b, step, words, e->dst_hi, e->dst_lo, e->dst_mask_hi, e->dst_mask_lo);
	return b + 2 * words * step;
}

static void
single_fill(uint32_t *b, unsigned words, const struct sl_polset_entry *e)
{
	*words_fill(b, 1, words, e) =
		(uint32_t)(uint16_t)(e->sport_hi - e->sport_lo) << 16 | e->sport_lo;
}

static void
lane_fill(uint32_t *b, unsigned lane, unsigned words, const struct sl_polset_entry *e)
{
	uint16_t *sport = (uint16_t *)(words_fill(b + lane, LANES, words, e) - lane);

	sport[lane] = e->sport_lo;
	sport[LANES + lane] = (uint16_t)(e->sport_hi - e->sport_lo);
}

static void
dport_fill(uint32_t *rows, unsigned i, const struct sl_polset_entry *e)
{
	uint16_t *row = (uint16_t *)(rows + i / ROW * ROW_WORDS);

	row[i % ROW] = e->dport_lo;
	row[ROW + i % ROW] = (uint16_t)(e->dport_hi - e->dport_lo);
}

/** @return words in all */
static size_t
plan(struct sl_scan *t, const uint32_t *first, unsigned words, unsigned max)
{
	size_t at = 0;

	for (uint32_t g = 0; g < t->n_groups; g++) {
		uint32_t n = first[g + 1] - first[g];

		t->group[g] = (struct sl_scan_group){.first = first[g],
						     .at = (uint32_t)at,
						     .large = n > max};
		if (n > max)
			continue;
		t->group[g].n = (uint16_t)n;
		at += sl_scan_rows(n) * ROW_WORDS + singles_words(n, words) +
		      (size_t)(n + LANES - 1) / LANES * block_words(words);
	}
	return at;
}

static void
fill_group(uint32_t *rows, const struct sl_polset_entry *e, uint32_t n, unsigned words)
{
	uint32_t *singles = rows + sl_scan_rows(n) * ROW_WORDS;
	uint32_t *b = singles + singles_words(n, words);
	unsigned size = block_words(words);

	for (uint32_t i = 0; i < n; i++) {
		dport_fill(rows, i, &e[i]);
		single_fill(singles + i * single_words(words), words, &e[i]);
		lane_fill(b + i / LANES * size, i % LANES, words, &e[i]);
	}
}

int
sl_scan_build(struct sl_scan *t, const struct sl_polset *s, unsigned v6, unsigned max)
{
	unsigned words = v6 ? 4 : 1;

	t->n_groups = s->n_groups;
	t->group = calloc(s->n_groups + 1UL, sizeof(*t->group));
	if (t->group == NULL)
		return -ENOMEM;
	t->bytes = plan(t, s->group_first[v6], words, max) * sizeof(*t->lanes);
	t->lanes = aligned_alloc(SL_CACHE_LINE, t->bytes + SL_CACHE_LINE);
	if (t->lanes == NULL)
		return -ENOMEM;
	memset(t->lanes, 0, t->bytes);
	for (uint32_t g = 0; g < s->n_groups; g++)
		fill_group(t->lanes + t->group[g].at, &s->entries[v6][t->group[g].first],
			   t->group[g].n, words);
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

/** One bit for each lane whose range holds the port. */
__attribute__((target("avx2"), always_inline)) static inline unsigned
sport_fits(const uint32_t *b, uint16_t port)
{
	__m128i above =
		_mm_sub_epi16(_mm_set1_epi16((short)port), _mm_load_si128((const __m128i *)b));
	__m128i range = _mm_load_si128((const __m128i *)(b + LANES / 2));
	__m128i in = _mm_cmpeq_epi16(_mm_min_epu16(above, range), above);

	return (unsigned)_mm_movemask_epi8(_mm_packs_epi16(in, in)) & 0xff;
}

/** A bit for each entry whose destination ports fit. */
__attribute__((target("avx2"), always_inline)) static inline uint64_t
ports_fit(const struct sl_scan *t, const struct sl_scan_group *g, uint16_t dport)
{
	const uint32_t *row = t->lanes + g->at;
	__m256i port = _mm256_set1_epi16((short)dport);
	uint64_t fit = 0;

	for (unsigned i = 0; i < g->n; i += ROW, row += ROW_WORDS) {
		__m256i above = _mm256_sub_epi16(port, _mm256_load_si256((const __m256i *)row));
		__m256i range = _mm256_load_si256((const __m256i *)(row + LANES));
		__m256i in = _mm256_cmpeq_epi16(_mm256_min_epu16(above, range), above);
		__m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(in),
						_mm256_extracti128_si256(in, 1));

		fit |= (uint64_t)(unsigned)_mm_movemask_epi8(bytes) << i;
	}
	return g->n < 64 ? fit & ((UINT64_C(1) << g->n) - 1) : fit;
}

static inline const uint32_t *
singles_of(const struct sl_scan *t, const struct sl_scan_group *g)
{
	return t->lanes + g->at + sl_scan_rows(g->n) * ROW_WORDS;
}

/** Two at most. */
static inline bool
are_few(uint64_t fit)
{
	fit &= fit - 1;
	return (fit & (fit - 1)) == 0;
}

/** What a key says beside its group and its destination port, in the order of the entries. */
struct subject {
	uint32_t word[9]; /* (interface, protocol), source, destination */
	uint16_t sport;
};

static inline void
subject_of(struct subject *s, const struct sl_acl_key *k, unsigned words)
{
	s->word[0] = (uint32_t)sl_load_be16(k->b + SL_KEY_IFACE) << 16 | k->b[SL_KEY_PROTO];
	for (unsigned w = 0; w < 2 * words; w++)
		s->word[1 + w] = sl_load_be32(k->b + SL_KEY_SRC + 4 * w);
	s->sport = sl_load_be16(k->b + SL_KEY_SRC + 8 * words);
}

static inline uint32_t
scan_singles(const struct sl_scan *t, const struct sl_scan_group *g, const struct subject *s,
	     uint64_t fit, unsigned words)
{
	for (; fit != 0; fit &= fit - 1) {
		unsigned i = (unsigned)__builtin_ctzll(fit);
		const uint32_t *e = singles_of(t, g) + i * single_words(words);
		uint32_t bad = 0, sport = e[2 + 4 * words];

		for (unsigned w = 0; w < 1 + 2 * words; w++)
			bad |= (s->word[w] ^ e[2 * w]) & e[2 * w + 1];
		if (bad == 0 && (uint16_t)(s->sport - sport) <= sport >> 16)
			return g->first + i;
	}
	return SL_POL_NONE;
}

__attribute__((target("avx2"), always_inline)) static inline uint32_t
scan_blocks(const struct sl_scan *t, const struct sl_scan_group *g, const struct subject *s,
	    uint64_t fit, unsigned words)
{
	const uint32_t *blocks = singles_of(t, g) + singles_words(g->n, words);

	while (fit != 0) {
		unsigned i = (unsigned)__builtin_ctzll(fit) / LANES;
		const uint32_t *at = blocks + i * block_words(words);
		__m256i bad = _mm256_setzero_si256();
		unsigned hit;

		for (unsigned w = 0; w < 1 + 2 * words; w++, at += 2 * LANES)
			bad = _mm256_or_si256(bad, differ(at, s->word[w]));
		bad = _mm256_cmpeq_epi32(bad, _mm256_setzero_si256());
		hit = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(bad)) &
		      sport_fits(at, s->sport) & (unsigned)(fit >> i * LANES);
		if (hit != 0)
			return g->first + i * LANES + (unsigned)__builtin_ctz(hit);
		fit &= ~(UINT64_C(0xff) << i * LANES);
	}
	return SL_POL_NONE;
}

__attribute__((target("avx2"), always_inline)) static inline uint32_t
scan(const struct sl_scan *t, const struct sl_scan_group *g, const struct sl_acl_key *k,
     uint64_t fit, unsigned words)
{
	struct subject s;

	subject_of(&s, k, words);
	return are_few(fit) ? scan_singles(t, g, &s, fit, words)
			    : scan_blocks(t, g, &s, fit, words);
}

/** Bring into the cache what is read first of these entries. */
static inline void
fetch(const struct sl_scan *t, const struct sl_scan_group *g, uint64_t fit, unsigned words)
{
	unsigned i = (unsigned)__builtin_ctzll(fit | 1ULL << 63), size = single_words(words);
	const uint32_t *b = singles_of(t, g) + i * size;

	if (fit == 0)
		return;
	if (!are_few(fit)) {
		size = block_words(words);
		b = singles_of(t, g) + singles_words(g->n, words) + i / LANES * size;
	}
	for (i = 0; i < size; i += LINE_WORDS)
		sl_prefetch(b + i);
}

/* Two steps, each for all keys, so that their memory accesses overlap. */
__attribute__((target("avx2"), always_inline)) static inline unsigned
classify(const struct sl_scan *t, const struct sl_acl_key key[], uint32_t out[], unsigned n,
	 uint8_t left[], unsigned words)
{
	const struct sl_scan_group *g[SL_ACL_BURST];
	unsigned n_left = 0, mine = 0;
	uint64_t fit[SL_ACL_BURST];
	uint8_t at[SL_ACL_BURST];

	for (unsigned i = 0; i < n; i++) {
		unsigned group = sl_load_be16(key[i].b + SL_KEY_GROUP);

		if (sl_unlikely(group >= t->n_groups || t->group[group].large)) {
			left[n_left++] = (uint8_t)i;
			continue;
		}
		g[mine] = &t->group[group];
		fit[mine] =
			ports_fit(t, g[mine], sl_load_be16(key[i].b + SL_KEY_SRC + 8 * words + 2));
		fetch(t, g[mine], fit[mine], words);
		at[mine++] = (uint8_t)i;
	}
	for (unsigned i = 0; i < mine; i++)
		out[at[i]] = scan(t, g[i], &key[at[i]], fit[i], words);
	return n_left;
}

__attribute__((target("avx2"))) unsigned
sl_scan_classify_v4(const struct sl_scan *t, const struct sl_acl_key key[], uint32_t out[],
		    unsigned n, uint8_t left[])
{
	return classify(t, key, out, n, left, 1);
}

__attribute__((target("avx2"))) unsigned
sl_scan_classify_v6(const struct sl_scan *t, const struct sl_acl_key key[], uint32_t out[],
		    unsigned n, uint8_t left[])
{
	return classify(t, key, out, n, left, 4);
}
