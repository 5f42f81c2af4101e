/* SPDX-License-Identifier: BSD-3-Clause */
#include "acl_int.h"

#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_malloc.h>

/* Entries of a group up to which the scan beats rte_acl (tests/perf/acl_bench.c). */
#define SCAN_MAX_V4 64
#define SCAN_MAX_V6 40
_Static_assert(SCAN_MAX_V4 <= SL_SCAN_MAX && SCAN_MAX_V6 <= SL_SCAN_MAX, "a bit for each entry");

enum { FIELDS_V4 = 7, FIELDS_V6 = 13 };

_Static_assert(SL_KEY_SRC + 2 * 16 + 4 <= sizeof(struct sl_acl_key), "a key holds IPv6");
_Static_assert(RTE_ACL_MAX_PRIORITY >= 1 << 24, "each entry of a set has a priority of its own");

RTE_ACL_RULE_DEF(sl_acl_rule, FIELDS_V6);

static const enum rte_acl_classify_alg algs[] = {
	RTE_ACL_CLASSIFY_AVX512X32, RTE_ACL_CLASSIFY_AVX512X16, RTE_ACL_CLASSIFY_AVX2,
	RTE_ACL_CLASSIFY_SSE,	    RTE_ACL_CLASSIFY_NEON,	RTE_ACL_CLASSIFY_ALTIVEC,
	RTE_ACL_CLASSIFY_SCALAR,
};

static void
field_def(struct rte_acl_config *c, unsigned type, unsigned size, unsigned input, unsigned offset)
{
	struct rte_acl_field_def *d = &c->defs[c->num_fields];

	*d = (struct rte_acl_field_def){.type = (uint8_t)type,
					.size = (uint8_t)size,
					.field_index = (uint8_t)c->num_fields,
					.input_index = (uint8_t)input,
					.offset = offset};
	c->num_fields++;
}

/* The first input is one byte, every further one four (rte_acl.h). */
static void
layout(struct rte_acl_config *c, unsigned words)
{
	unsigned at = SL_KEY_SRC, input = 2;

	memset(c, 0, sizeof(*c));
	c->num_categories = 1;
	field_def(c, RTE_ACL_FIELD_TYPE_MASK, 1, 0, SL_KEY_PROTO);
	field_def(c, RTE_ACL_FIELD_TYPE_MASK, 2, 1, SL_KEY_GROUP);
	field_def(c, RTE_ACL_FIELD_TYPE_MASK, 2, 1, SL_KEY_IFACE);
	for (unsigned i = 0; i < 2 * words; i++, at += 4)
		field_def(c, RTE_ACL_FIELD_TYPE_MASK, 4, input++, at);
	field_def(c, RTE_ACL_FIELD_TYPE_RANGE, 2, input, at);
	field_def(c, RTE_ACL_FIELD_TYPE_RANGE, 2, input, at + 2);
}

static struct rte_acl_field *
mask16(struct rte_acl_field *f, uint16_t value, bool exact)
{
	f->value.u16 = exact ? value : 0;
	f->mask_range.u16 = exact ? 16 : 0;
	return f + 1;
}

static struct rte_acl_field *
range16(struct rte_acl_field *f, uint16_t lo, uint16_t hi)
{
	f->value.u16 = lo;
	f->mask_range.u16 = hi;
	return f + 1;
}

static struct rte_acl_field *
mask32(struct rte_acl_field *f, uint32_t value, unsigned len)
{
	f->value.u32 = value;
	f->mask_range.u32 = SL_MIN(len, 32);
	return f + 1;
}

static struct rte_acl_field *
address(struct rte_acl_field *f, unsigned words, uint64_t hi, uint64_t lo, unsigned len)
{
	const uint32_t v6[4] = {(uint32_t)(hi >> 32), (uint32_t)hi, (uint32_t)(lo >> 32),
				(uint32_t)lo};

	if (words == 1)
		return mask32(f, (uint32_t)lo, len);
	for (unsigned i = 0; i < 4; i++)
		f = mask32(f, v6[i], len > 32 * i ? len - 32 * i : 0);
	return f;
}

/*
 * rte_acl takes the highest priority; the first entry of a group that matches must win. So each
 * entry's priority is its own: ties never have to be broken, whatever tries rte_acl splits the
 * rules into.
 */
static void
rule_of(struct sl_acl_rule *r, const struct sl_polset_entry *e, uint32_t at, uint32_t n,
	unsigned words)
{
	struct rte_acl_field *f = r->field;
	bool any = e->proto == SL_POL_PROTO_ANY;

	memset(r, 0, sizeof(*r));
	r->data.category_mask = 1;
	r->data.priority = (int32_t)(n - at);
	r->data.userdata = at + 1;
	f->value.u8 = any ? 0 : (uint8_t)e->proto;
	f->mask_range.u8 = any ? 0 : 8;
	f = mask16(f + 1, e->group, true);
	f = mask16(f, e->iface, e->iface != 0);
	f = address(f, words, e->src_hi, e->src_lo, e->src_len);
	f = address(f, words, e->dst_hi, e->dst_lo, e->dst_len);
	f = range16(f, e->sport_lo, e->sport_hi);
	range16(f, e->dport_lo, e->dport_hi);
}

static int
fill(struct rte_acl_ctx *ctx, const struct sl_polset *s, unsigned v6, unsigned words)
{
	struct sl_acl_rule r;
	int rc;

	for (uint32_t i = 0; i < s->n_entries[v6]; i++) {
		rule_of(&r, &s->entries[v6][i], i, s->n_entries[v6], words);
		rc = rte_acl_add_rules(ctx, (struct rte_acl_rule *)&r, 1);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static size_t
heap_used(void)
{
	struct rte_malloc_socket_stats st;
	size_t sum = 0;

	for (unsigned i = 0; i < rte_socket_count(); i++) {
		if (rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &st) == 0)
			sum += st.heap_allocsz_bytes;
	}
	return sum;
}

static int
build_side(struct sl_acl *a, const struct sl_polset *s, const char *prefix, unsigned v6,
	   struct sl_error *e)
{
	struct rte_acl_config c;
	char name[RTE_ACL_NAMESIZE];
	struct rte_acl_param p = {.name = name,
				  .socket_id = SOCKET_ID_ANY,
				  .rule_size = RTE_ACL_RULE_SZ(v6 ? FIELDS_V6 : FIELDS_V4),
				  .max_rule_num = s->n_entries[v6]};
	unsigned words = v6 ? 4 : 1;
	int rc = snprintf(name, sizeof(name), "%s-%llu-%u", prefix,
			  (unsigned long long)s->generation, v6 ? 6 : 4);

	if (rc < 0 || rc >= (int)sizeof(name))
		return sl_fail(e, -ENAMETOOLONG, "acl_build", "", "the name %s is too long", name);
	if (rte_acl_find_existing(name) != NULL)
		return sl_fail(e, -EEXIST, "acl_exists", "", "a classifier %s exists", name);
	a->ctx[v6] = rte_acl_create(&p);
	if (a->ctx[v6] == NULL)
		return sl_fail(e, -rte_errno, "acl_build", "", "no classifier for %u entries: %s",
			       s->n_entries[v6], rte_strerror(rte_errno));
	layout(&c, words);
	rc = fill(a->ctx[v6], s, v6, words);
	if (rc == 0)
		rc = rte_acl_build(a->ctx[v6], &c);
	if (rc != 0)
		return sl_fail(e, rc, "acl_build", "", "rte_acl refuses %u IPv%u entries: %s",
			       s->n_entries[v6], v6 ? 6 : 4, rte_strerror(-rc));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(algs); i++) {
		if (rte_acl_set_ctx_classify(a->ctx[v6], algs[i]) == 0)
			break;
	}
	return 0;
}

static int
build_scan(struct sl_acl *a, const struct sl_polset *s, unsigned v6, struct sl_error *e)
{
	if (!__builtin_cpu_supports("avx2"))
		return 0;
	if (sl_scan_build(&a->scan[v6], s, v6, v6 ? SCAN_MAX_V6 : SCAN_MAX_V4) == 0)
		return 0;
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the small groups");
}

struct sl_acl *
sl_acl_build(const struct sl_polset *s, const char *prefix, struct sl_error *e)
{
	struct sl_acl *a = calloc(1, sizeof(*a));
	size_t before = heap_used(), after;

	if (a == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for a classifier");
		return NULL;
	}
	for (unsigned v6 = 0; v6 < 2; v6++) {
		if (s->n_entries[v6] == 0)
			continue;
		if (build_side(a, s, prefix, v6, e) != 0 || build_scan(a, s, v6, e) != 0 ||
		    sl_acl_selftest(a, s, v6, e) != 0) {
			sl_acl_free(a);
			return NULL;
		}
	}
	after = heap_used();
	a->bytes = sizeof(*a) + a->scan[0].bytes + a->scan[1].bytes;
	a->bytes += after > before ? after - before : 0;
	return a;
}

void
sl_acl_free(struct sl_acl *a)
{
	if (a == NULL)
		return;
	rte_acl_free(a->ctx[0]);
	rte_acl_free(a->ctx[1]);
	sl_scan_free(&a->scan[0]);
	sl_scan_free(&a->scan[1]);
	free(a);
}

size_t
sl_acl_bytes(const struct sl_acl *a)
{
	return a->bytes;
}

void
sl_acl_key(struct sl_acl_key *k, unsigned group, const struct sl_polset_flow *f)
{
	sl_key_fill(k, group, f);
}

/* Ask rte_acl for keys[i], and put each answer at its place. */
static void
ask_tries(const struct rte_acl_ctx *ctx, const uint8_t *key[], const uint8_t place[],
	  uint32_t out[], unsigned n)
{
	uint32_t found[SL_ACL_BURST] = {0};

	if (n > 0 && ctx != NULL)
		rte_acl_classify(ctx, key, found, n, 1);
	for (unsigned i = 0; i < n; i++)
		out[place[i]] = found[i] - 1; /* userdata; 0, nothing, becomes SL_POL_NONE */
}

void
sl_acl_classify_tries(const struct sl_acl *a, uint8_t version, const struct sl_acl_key key[],
		      uint32_t out[], unsigned n)
{
	const uint8_t *data[SL_ACL_BURST];
	uint8_t place[SL_ACL_BURST];

	for (unsigned i = 0; i < n; i++) {
		data[i] = key[i].b;
		place[i] = (uint8_t)i;
	}
	ask_tries(a->ctx[version == 6], data, place, out, n);
}

void
sl_acl_classify(const struct sl_acl *a, uint8_t version, const struct sl_acl_key key[],
		uint32_t out[], unsigned n)
{
	const unsigned v6 = version == 6;
	const struct sl_scan *t = &a->scan[v6];
	const uint8_t *data[SL_ACL_BURST];
	uint8_t left[SL_ACL_BURST];
	unsigned n_left;

	if (t->n_groups == 0) { /* this CPU cannot */
		sl_acl_classify_tries(a, version, key, out, n);
		return;
	}
	n_left = v6 ? sl_scan_classify_v6(t, key, out, n, left)
		    : sl_scan_classify_v4(t, key, out, n, left);
	if (n_left == 0)
		return;
	for (unsigned i = 0; i < n_left; i++)
		data[i] = key[left[i]].b;
	ask_tries(a->ctx[v6], data, left, out, n_left);
}
