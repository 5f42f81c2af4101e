/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The entries of a compiled policy as rte_acl contexts, one for IPv4 and one for IPv6.
 *
 * Immutable once built; built on any thread (a helper, never a data lcore), classified on any
 * lcore. An object exists only if its build succeeded: classifying a context whose build failed
 * crashes. rte_acl_create() with a name in use returns the *same* context, so every name contains
 * the generation, and a name that exists is an error.
 *
 * rte_acl prefers the higher number and reserves userdata 0: the priority of an entry is
 * ((255 - priority) << 1 | deny) + 1, its userdata the place of the entry + 1, and entries of equal
 * priority are added in descending order, so that the first one wins as in the plain scan.
 */
#ifndef SL_ACL_H
#define SL_ACL_H

#include "sl_polset.h"

struct sl_acl;

/** A packed key as rte_acl reads it; fill with sl_acl_key(). */
struct sl_acl_key {
	uint8_t b[48];
};

/**
 * @param prefix of the contexts' names, unique per gateway in the process
 * @return NULL with an error: acl_build (rte_acl refuses, with its errno), acl_exists, acl_selftest
 * (classify and plain scan differ on a sample of the entries' corners), no_memory
 */
struct sl_acl *sl_acl_build(const struct sl_polset *s, const char *prefix, struct sl_error *e);
void sl_acl_free(struct sl_acl *a); /* NULL allowed */

/** Bytes that both contexts take. */
size_t sl_acl_bytes(const struct sl_acl *a);

void sl_acl_key(struct sl_acl_key *k, unsigned group, const struct sl_polset_flow *f);

/**
 * First matching entry of each key, all of one IP version.
 * @param out place in entries[version == 6], or SL_POL_NONE; @param n at most 64
 */
void sl_acl_classify(const struct sl_acl *a, uint8_t version, const struct sl_acl_key key[],
		     uint32_t out[], unsigned n);

#endif
