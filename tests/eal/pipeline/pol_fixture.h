/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A policy for the pipeline tests: documents are compiled as control does it and published in a
 * root between two polls. Members: "peer:peerN" is the peer of id N, "PREFIX@wgN" a prefix of
 * interface N, "PREFIX@*" one that no tunnel owns.
 */
#ifndef POL_FIXTURE_H
#define POL_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sl_pipeline.h"

#define POL_MEMBERS 64
#define POL_WALL_NS (UINT64_C(1700000000) * SL_NS_PER_S) /* when its monotonic clock was 0 */

struct pol {
	struct sl_policy_view view;
	struct sl_polset *set;
	struct sl_acl *acl;
	struct sl_who_builder *who;
	uint64_t policy_gen, who_gen;
	struct sl_who_member member[POL_MEMBERS];
	unsigned n_members;
};

void pol_init(struct pol *p);
void pol_free(struct pol *p);
/** Compile a document (with ' in place of ") and publish it with its members. */
void pol_load(struct pol *p, struct sl_root *r, const char *text);
/** Roles of a peer by their names: add or take away, until a tick. */
void pol_grant(struct pol *p, struct sl_root *r, unsigned peer, const char *role, uint32_t expires);
/** One that is served past its expiry, as its provider does not answer. */
void pol_grant_stale(struct pol *p, struct sl_root *r, unsigned peer, const char *role);
void pol_revoke(struct pol *p, struct sl_root *r, unsigned peer, const char *role);

/** All records in a ring, oldest first; counts what was lost. */
unsigned pol_records(struct sl_worker *w, struct sl_rec *out, unsigned max, uint64_t *lost);
/** How many of them are of a type. */
unsigned pol_count(const struct sl_rec *r, unsigned n, enum sl_rec_type t);
/** The only record of a type in a ring; takes all. Fails if there is none or more than one. */
struct sl_rec pol_one(struct sl_worker *w, enum sl_rec_type t);
/** The law of sl_record.h holds now, for each type; takes all records. */
void pol_law(struct sl_worker *w);
uint64_t pol_seen(const struct sl_worker *w, enum sl_rec_type t);

#endif
