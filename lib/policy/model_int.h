/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the model share. One call, one thread; nothing outlives it. */
#ifndef SL_POLICY_MODEL_INT_H
#define SL_POLICY_MODEL_INT_H

#include "sl_policy.h"

/** Something of the model, with its place in the document: object, and item in it. */
struct pol_ref {
	const void *p;
	uint32_t at, sub;
};

typedef int (*pol_cmp)(const void *a, const void *b);

struct pol_check {
	struct sl_policy *p;
	uint64_t now_ns; /* 0: times in the past are no error */
	struct sl_policy_use cap;
	struct sl_error *e;
	char path[sizeof(((struct sl_error *)0)->path)];
	struct pol_ref *roles, *targets; /* sorted by name */
	struct pol_ref *scratch;	 /* room for the longest list of the model */
};

/** Make the JSON pointer of an error. @return c->path */
const char *pol_at(struct pol_check *c, const char *fmt, ...) SL_PRINTF(2, 3);
/** no_memory. */
int pol_no_memory(struct sl_error *e);

/**
 * Sort by `cmp` and then by place. @return the ref that stands first in the document among those
 * that equal an earlier one, with the earlier one just before it; NULL: all differ
 */
const struct pol_ref *pol_sort(struct pol_ref *r, size_t n, pol_cmp cmp);
/** @return place of the object with this name in sorted refs, UINT32_MAX: none */
uint32_t pol_find(const struct pol_ref *r, size_t n, const char *name);
/** For pol_sort(), qsort() and bsearch(): names, ids (uint32_t). */
int pol_cmp_name(const void *a, const void *b);
int pol_cmp_id(const void *a, const void *b);
int pol_cmp_place(const struct sl_pol_place *a, const struct sl_pol_place *b);

/** Name of a zone, target or role. */
bool pol_name_ok(const char *name);
/** name_invalid, with the path built by pol_at() before. */
int pol_check_name(struct pol_check *c, const char *name, const char *path);
/** prefix_invalid, prefix_host_bits. */
int pol_check_prefix(struct pol_check *c, const struct sl_prefix *x, const char *path);
/** And interface_invalid. */
int pol_check_place(struct pol_check *c, const struct sl_pol_place *x, const char *path);
/** An interface's name; "" is any. */
int pol_check_iface(struct pol_check *c, const char *iface, const char *path);
/** A name that the gateway gives to peers. */
int pol_check_peer(struct pol_check *c, const char *peer, const char *path);
/** expired. */
int pol_check_expires(struct pol_check *c, uint64_t expires_ns, const char *path);

int pol_check_rules(struct pol_check *c);
int pol_check_tests(struct pol_check *c);

/** Has a rule destinations, and sources, of a family (4 or 6)? */
bool pol_to_has(const struct sl_policy *p, const struct sl_pol_rule *r, uint8_t family);
bool pol_src_has(const struct sl_pol_rule *r, uint8_t family);

/* --- lints ------------------------------------------------------------------------------------ */

struct pol_linter {
	const struct sl_policy *p;
	uint64_t now_ns;
	sl_policy_lint_fn fn;
	void *ctx;
};

void pol_lint(struct pol_linter *l, const char *code, const char *path, const char *fmt, ...)
	SL_PRINTF(4, 5);
/** Off, or never in force again. */
bool pol_rule_ended(const struct sl_pol_rule *r, uint64_t now_ns);
/** rule_shadowed, shadow_unchecked. */
void pol_lint_shadow(struct pol_linter *l);

#endif
