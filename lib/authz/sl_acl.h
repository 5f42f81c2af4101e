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
 * rte_acl prefers the higher number and reserves userdata 0: the priority of an entry is its
 * distance from the end of the list (the first one that matches wins, as in the plain scan, and no
 * two are equal), its userdata its place + 1.
 *
 * Groups of few entries are also held side by side in vectors and scanned, which beats rte_acl
 * there (scan.h); the larger ones are left to rte_acl, which holds all.
 */
#ifndef SL_ACL_H
#define SL_ACL_H

#include "sl_polset.h"

#define SL_ACL_BURST 64 /* keys of one call */

struct sl_acl;

/** A packed key as rte_acl reads it; fill with sl_acl_key(). */
struct sl_acl_key {
	uint8_t b[48];
};

/**
 * @param prefix of the contexts' names, unique per gateway in the process
 * @return NULL with an error: acl_build (rte_acl refuses, with its errno), acl_exists, acl_selftest
 * (classifier and plain scan differ on a sample of the entries' corners), no_memory
 */
struct sl_acl *sl_acl_build(const struct sl_polset *s, const char *prefix, struct sl_error *e);
void sl_acl_free(struct sl_acl *a); /* NULL allowed */

/** Memory that it takes: rte_acl's as the growth of the EAL heap while it was built. */
size_t sl_acl_bytes(const struct sl_acl *a);

void sl_acl_key(struct sl_acl_key *k, unsigned group, const struct sl_polset_flow *f);

/**
 * First matching entry of each key, all of one IP version.
 * @param out place in entries[version == 6], or SL_POL_NONE; @param n at most SL_ACL_BURST
 */
void sl_acl_classify(const struct sl_acl *a, uint8_t version, const struct sl_acl_key key[],
		     uint32_t out[], unsigned n);

/** The same by rte_acl alone: the oracle of what sl_acl_classify() may do faster. */
void sl_acl_classify_tries(const struct sl_acl *a, uint8_t version, const struct sl_acl_key key[],
			   uint32_t out[], unsigned n);

#endif
