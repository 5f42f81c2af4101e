/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Questions to the evidence: rows are folded over hours into flows, and those are judged anew by
 * the policy in force and, if there is one, by a candidate. Control's thread; the work is cut into
 * steps.
 */
#ifndef SL_EVIDENCE_QUERY_H
#define SL_EVIDENCE_QUERY_H

#include "sl_evidence.h"

#define EV_DAY_S 86400
#define EV_ALL (1U << 24)  /* a budget for everything */
#define EV_SPORT_ANY 65535 /* for source ports that were folded into 0 */

/** Equal rows of all hours of the window. */
struct ev_flow {
	uint8_t src[16], dst[16]; /* of the initiator's direction */
	uint32_t who;
	uint16_t sport, dport;
	uint8_t proto, version;
	uint8_t flags; /* SL_AGG_FROM_TUNNEL, SL_AGG_MIDSTREAM */
	uint8_t pad;
	/* the key ends here */
	bool here;	  /* peer and interface still exist */
	bool was_allowed; /* by policy when it was last seen */
	bool was_enforced;
	bool allow; /* by the policy in force */
	bool cand_allow;
	uint8_t why, cand_why;	  /* enum sl_why */
	uint16_t role, cand_role; /* that decides, or the lowest of the subject; SL_POL_NONE16 */
	uint32_t rule;		  /* of `role`, by its id; 0: none */
	uint64_t flows, packets, bytes, first_ns, last_ns;
	uint32_t rule_id, role_id; /* what decided when it was last seen */
	uint16_t iface_id;
	uint32_t peer_id;
	uint32_t next;
};
#define EV_FLOW_KEY offsetof(struct ev_flow, here)

struct ev_filter {
	uint64_t window_s;
	const struct sl_prefix *to; /* the address that is not the peer's lies in one of these */
	unsigned n_to;		    /* 0: anywhere */
	const char *peer;	    /* NULL: all */
	const char *iface;	    /* NULL: all */
	/** Further: NULL: all. */
	bool (*takes)(void *ctx, const struct sl_ip *far);
	void *ctx;
};

/** A question under way. */
struct ev_scan;

/** @param c judged too, NULL: none; borrowed. @return NULL without memory */
struct ev_scan *ev_scan_new(struct sl_evidence *ev, const struct ev_filter *f,
			    const struct sl_gw_candidate *c);
void ev_scan_free(struct ev_scan *s);
/** Go on, about `budget` rows. @return true when it is done (or memory ran out: ev_scan_failed())
 */
bool ev_scan_step(struct ev_scan *s, unsigned budget);
bool ev_scan_failed(const struct ev_scan *s);
/** Name of a role as the policy in force had it when it judged; "" for SL_POL_NONE16. */
const char *ev_scan_role(const struct ev_scan *s, uint16_t role);
/** Of the policy that judged, 0: none. */
uint64_t ev_scan_generation(const struct ev_scan *s);
/** Of a scan that is done, in no order. */
struct ev_flow *ev_scan_flows(struct ev_scan *s, unsigned *n);
/** As it was when the scan began. */
const struct sl_coverage *ev_scan_coverage(const struct ev_scan *s);
/** Order of pointers to flows for qsort_r(): interface, peer, direction, destination, service,
 * source. @param ctx the store */
int ev_flow_cmp(const void *a, const void *b, void *ctx);
/** As sl_evidence_ready() with a filter. */
bool ev_ready(struct sl_evidence *ev, const struct ev_filter *f, uint64_t *denied,
	      struct sl_coverage *cov);

/** The policy in force would deny it; a flow seen from its middle tells nothing. */
static inline bool
ev_flow_denied(const struct ev_flow *f)
{
	return f->here && !(f->flags & SL_AGG_MIDSTREAM) && !f->allow;
}

static inline uint64_t
ev_flow_count(const struct ev_flow *f)
{
	return f->flows > 0 ? f->flows : 1; /* it began before the window */
}

/** As sl_judge() takes it. The addresses point into `f`. */
void ev_flow_judge(const struct ev_flow *f, struct sl_judge_flow *out);
/** The address that is not the peer's. */
void ev_flow_far(const struct ev_flow *f, struct sl_ip *out);
void ev_flow_ip(const struct ev_flow *f, bool dst, struct sl_ip *out);
const char *ev_flow_peer(const struct sl_evidence *ev, const struct ev_flow *f);
const char *ev_flow_iface(const struct sl_evidence *ev, const struct ev_flow *f);

/** Rows, names, memory: for the status. */
struct ev_status {
	unsigned rows, rows_max, peers, lcores;
	uint64_t oldest_ns, newest_ns; /* 0: none; the oldest may lag by a sweep (10 min) */
	uint64_t saved_age_s;	       /* UINT64_MAX: never */
	bool kept, save_failed;
};
void ev_status(struct sl_evidence *ev, struct ev_status *out);

#endif
