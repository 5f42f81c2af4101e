/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A table under test with its garbage, prefixes as text, and a naive list as the oracle.
 */
#ifndef LPM_TEST_H
#define LPM_TEST_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "../next_random.h"
#include "sl_addr.h"
#include "sl_lpm.h"

/** Both families, edited through one list that is freed at once: there are no readers. */
struct tables {
	struct sl_lpm v4;
	struct sl_lpm v6;
	struct sl_lpm_garbage g;
};

static inline void
tables_init(struct tables *t)
{
	*t = (struct tables){0};
	sl_lpm_init(&t->v4, 32);
	sl_lpm_init(&t->v6, 128);
}

static inline void
tables_free(struct tables *t)
{
	sl_lpm_garbage_free(&t->g);
	sl_lpm_free(&t->v4);
	sl_lpm_free(&t->v6);
}

static inline struct sl_lpm *
table_of(struct tables *t, const struct sl_ip *ip)
{
	return ip->family == 4 ? &t->v4 : &t->v6;
}

static inline int
set_text(struct tables *t, const char *text, uint32_t value)
{
	struct sl_prefix p;
	struct sl_lpm *table;

	assert_int_equal(sl_prefix_parse(text, &p), 0);
	table = table_of(t, &p.ip);
	return sl_lpm_set(table, table, p.ip.b, p.len, value, &t->g);
}

static inline int
del_text(struct tables *t, const char *text)
{
	struct sl_prefix p;
	struct sl_lpm *table;

	assert_int_equal(sl_prefix_parse(text, &p), 0);
	table = table_of(t, &p.ip);
	return sl_lpm_del(table, table, p.ip.b, p.len, &t->g);
}

static inline uint32_t
lookup_text(struct tables *t, const char *text)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(text, &ip), 0);
	return sl_lpm_lookup(table_of(t, &ip), ip.b);
}

struct naive_entry {
	uint8_t addr[16];
	unsigned len;
	uint32_t value;
};

/** Unordered list of prefixes. */
struct naive {
	struct naive_entry *e;
	unsigned n;
	unsigned room;
};

static inline bool
naive_covers(const uint8_t *a, const uint8_t *b, unsigned len)
{
	for (unsigned i = 0; i < len; i++) {
		if ((a[i / 8] ^ b[i / 8]) & 0x80 >> i % 8)
			return false;
	}
	return true;
}

static inline struct naive_entry *
naive_find(const struct naive *l, const uint8_t *addr, unsigned len)
{
	for (unsigned i = 0; i < l->n; i++) {
		if (l->e[i].len == len && naive_covers(l->e[i].addr, addr, len))
			return &l->e[i];
	}
	return NULL;
}

static inline void
naive_set(struct naive *l, const uint8_t *addr, unsigned bytes, unsigned len, uint32_t value)
{
	struct naive_entry *e = naive_find(l, addr, len);

	if (e == NULL) {
		if (l->n == l->room) {
			l->room = l->room ? 2 * l->room : 64;
			l->e = realloc(l->e, l->room * sizeof(*l->e));
			assert_non_null(l->e);
		}
		e = &l->e[l->n++];
		memset(e, 0, sizeof(*e));
	}
	memcpy(e->addr, addr, bytes);
	e->len = len;
	e->value = value;
}

static inline bool
naive_del(struct naive *l, const uint8_t *addr, unsigned len)
{
	struct naive_entry *e = naive_find(l, addr, len);

	if (e == NULL)
		return false;
	*e = l->e[--l->n];
	return true;
}

static inline const struct naive_entry *
naive_lookup(const struct naive *l, const uint8_t *addr)
{
	const struct naive_entry *best = NULL;

	for (unsigned i = 0; i < l->n; i++) {
		if (best != NULL && l->e[i].len <= best->len)
			continue;
		if (naive_covers(l->e[i].addr, addr, l->e[i].len))
			best = &l->e[i];
	}
	return best;
}

#endif
