/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * "Would this be allowed?": one flow judged by the plain scans of a compiled document, and the
 * answer as JSON. What the gateway's RPC and the control plane's REST say alike; who the subject is
 * each finds out by itself.
 */
#ifndef SL_SIMULATED_H
#define SL_SIMULATED_H

#include "sl_policy_doc.h"

struct sl_simulated {
	const struct sl_polset *set;
	struct sl_polset_query q; /* its addresses point into src and dst */
	struct sl_polset_answer a;
	struct sl_ip src, dst; /* family 0: not known */
	struct sl_trace_role trace[SL_CLASS_ROLES_MAX];
	unsigned n_trace;
	struct sl_class *made; /* of roles that were named; to be freed */
};

/**
 * Somebody with just these roles, at the tunnel's end: makes x->made and enters it in the query.
 * @param x with set and q.from_inside; @param path of the list of names
 * @return 0; -EINVAL role_unknown at PATH/N; -ENOMEM no_memory
 */
int sl_simulated_roles(struct sl_simulated *x, const char *const *names, size_t n, const char *path,
		       struct sl_error *e);
/** Judge it: fills in `a` and the trace. */
void sl_simulated_judge(struct sl_simulated *x);
/**
 * {verdict, why, policy_version, at, trace, and what there is of rule, zone, target, src, dst}.
 * @param version of the document; 0: one that was sent. @return NULL without memory
 */
json_t *sl_simulated_json(const struct sl_simulated *x, uint64_t version, uint64_t wall_ns);

#endif
