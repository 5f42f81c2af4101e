/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A flow of a worker's table as it is now: by the policy and the modes in force, with names.
 * Control's thread. */
#ifndef SL_FLOW_LIVE_H
#define SL_FLOW_LIVE_H

#include "flow_walk.h"
#include "sl_ctl.h"

enum flow_verdict { FLOW_ALLOW, FLOW_WOULD_DENY, FLOW_DENY, FLOW_VERDICTS };

struct flow_live {
	const struct sl_flow *f;
	const struct sl_flow_view *view; /* its clock */
	const struct sl_polset *set;	 /* NULL: no policy */
	bool same_rules;		 /* they judged it: its places are places in `set` */
	struct sl_ip src, dst;
	uint16_t sport, dport;
	const char *role; /* NULL: none, or it is no more */
	enum sl_authz_mode mode;
	enum flow_verdict verdict;
};

/** The row at hand of a walk. Valid as long as the row and the policy. */
void flow_live_look(struct sl_ctl *ctl, const struct flow_walk *w, const struct sl_flow *f,
		    struct flow_live *l);
/** Will its next packet be judged anew? */
bool flow_live_outdated(struct sl_ctl *ctl, const struct flow_live *l);
/** As flow.list answers it. @return NULL without memory */
json_t *flow_live_json(struct sl_ctl *ctl, unsigned worker, const struct flow_live *l);

#endif
