/* SPDX-License-Identifier: BSD-3-Clause */
/* How long targets took to answer since the last report, from the workers' histograms. */
#include <stdlib.h>

#include "cp.h"
#include "sl_gw_policy.h"
#include "sl_rtt.h"

struct cp_rtt {
	uint64_t generation;			       /* of the policy that `told` is of */
	uint64_t told[SL_RTT_TARGETS][SL_RTT_BUCKETS]; /* what reports have said already */
};

struct cp_rtt *
cp_rtt_new(void)
{
	return calloc(1, sizeof(struct cp_rtt));
}

void
cp_rtt_free(struct cp_rtt *r)
{
	free(r);
}

/** Counts of all workers that came since the last report. */
static uint64_t
take(struct cp_rtt *r, const struct sl_dp *dp, unsigned target, uint64_t out[SL_RTT_BUCKETS])
{
	uint64_t all[SL_RTT_BUCKETS] = {0};

	for (unsigned i = 0; i < dp->n_workers; i++)
		sl_rtt_merge(all, dp->worker[i]->rtt, r->generation, target);
	for (unsigned b = 0; b < SL_RTT_BUCKETS; b++) {
		out[b] = all[b] >= r->told[target][b] ? all[b] - r->told[target][b] : 0;
		r->told[target][b] = all[b];
	}
	return sl_rtt_count(out);
}

json_t *
cp_rtt_json(struct cp_rtt *r, const struct sl_dp *dp, const struct sl_policy_view *v)
{
	json_t *o = json_object();
	uint64_t n[SL_RTT_BUCKETS], count;

	if (r == NULL || v == NULL || v->set == NULL)
		return o;
	if (r->generation != v->set->generation) {
		memset(r, 0, sizeof(*r));
		r->generation = v->set->generation;
	}
	for (unsigned t = 0; t < v->set->n_targets && t < SL_RTT_TARGETS; t++) {
		count = take(r, dp, t, n);
		if (count == 0)
			continue;
		json_object_set_new(o, v->set->targets[t].name,
				    json_pack("{s:f, s:f, s:f, s:I}", "p50",
					      (double)sl_rtt_quantile(n, 500000) / 1000, "p95",
					      (double)sl_rtt_quantile(n, 950000) / 1000, "p99",
					      (double)sl_rtt_quantile(n, 990000) / 1000, "n",
					      (json_int_t)count));
	}
	return o;
}
