/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A policy document judged beside the gateways: checked, compiled, with the members that the store
 * holds, for tests of documents and for "would this be allowed?". The verdict function is the one
 * of the data path (lib/policy).
 */
#ifndef SL_REST_JUDGE_H
#define SL_REST_JUDGE_H

#include "sl_policy_doc.h"
#include "sl_simulated.h"
#include "sl_store.h"

#define JUDGE_IDP_GRACE_H 24

struct judge;

/**
 * @param text the document; @param wall_ns what holds then
 * @param was_in_force rules that have ended by then are no error
 * @return NULL with an error of the document, or no_memory, limit_entries
 */
struct judge *judge_new(struct sl_store *s, const char *text, size_t len, uint64_t wall_ns,
			bool was_in_force, struct sl_error *e);
/** The same document, at the same time, beside what a store holds now: the document is not read
 * anew. @param s another handle, perhaps, of the thread that goes on with it
 * @return 0 or a negative errno with `e`; then it may only be freed */
int judge_anew(struct judge *j, struct sl_store *s, struct sl_error *e);
void judge_free(struct judge *j); /* NULL allowed */
/** How long a mapping of a provider that is down outlives its expiry, before the first flow; 0:
 * without end. Default: what gateways have, JUDGE_IDP_GRACE_H. */
void judge_idp_grace(struct judge *j, unsigned hours);
const struct sl_policy *judge_policy(const struct judge *j);
const struct sl_polset *judge_set(const struct judge *j);
/** The document as it was, with comments gone and no number chosen. New reference. */
json_t *judge_doc(const struct judge *j);

/** Run the document's tests. @return 0; -EINVAL test_failed at /tests/N */
int judge_test(struct judge *j, unsigned *n_run, struct sl_error *e);

/**
 * Whose flow it is: a peer of the store, just these roles, or neither: the peer that has the
 * address at the tunnel's end, if one has it.
 */
struct judge_subject {
	const char *peer;
	const json_t *roles; /* array of names */
	const char *iface;   /* "" that of the peer, or the only one */
	struct sl_ip from;   /* source; family 0: the peer's own, of a flow from the tunnel */
	bool from_inside;    /* the flow begins inside, towards the peer */
};
/** @param dst family 0: the peer's own, of a flow from inside
 * @param out zeroed; free `made`. @return 0; -ENOENT not_found; -EINVAL role_unknown,
 * interface_unknown, interface_missing, family_mismatch */
int judge_flow(struct judge *j, const struct judge_subject *who, const struct sl_ip *dst,
	       unsigned proto, uint16_t sport, uint16_t dport, struct sl_simulated *out,
	       struct sl_error *e);

#endif
