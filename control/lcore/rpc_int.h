/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the RPC handlers of the gateway: small helpers, rates, and what several of them
 * show. */
#ifndef SL_RPC_INT_H
#define SL_RPC_INT_H

#include "sl_ctl.h"
#include "sl_policy.h"
#include "sl_schema_gateway.h"
#include "sl_stats.h"

#define CTL_PAGE 256 /* objects in one answer, unless the caller asks for less or more (D43) */

/** Hand a result over. @return 0, or -ENOMEM when it could not be made */
static inline int
ctl_answer(json_t **result, json_t *made)
{
	*result = made;
	return made ? 0 : -ENOMEM;
}

/** One page of a list that is walked from its begin. */
struct ctl_page {
	uint64_t after; /* objects to leave out */
	unsigned limit;
	uint64_t seen;
	json_t *list;
	bool more; /* there are objects behind the page */
};

void ctl_page_init(struct ctl_page *p, bool has_after, int64_t after, bool has_limit,
		   int64_t limit);
/** Is the object at hand on the page? Counts it. */
bool ctl_page_takes(struct ctl_page *p);
/** {NAME: list} with `next` unless it is the last page. */
int ctl_page_answer(struct ctl_page *p, const char *name, json_t **result);

json_t *ctl_prefixes(const struct sl_prefix *p, unsigned n);
json_t *ctl_ip(const struct sl_ip *ip);
json_t *ctl_key(const struct sl_pubkey *key);
json_t *ctl_endpoint(const struct sl_endpoint *ep);
json_t *ctl_mac(const uint8_t mac[6]);
/** Add `vlan` unless the traffic is untagged. */
void ctl_set_vlan(json_t *o, uint16_t vlan);

/** Peer states as text: init, handshake, established, expired, error. */
const char *ctl_state_text(enum sl_hs_state state);
const char *ctl_udp_csum_text(unsigned csum);

/** How an interface is configured. */
json_t *ctl_iface_settings(const struct sl_gw_iface_info *i);
#define CTL_RECORD_ITEMS 64 /* of a list in an audit record; a longer one is told by its size */
/** How a peer is configured, for records: without its endpoint, which is never kept. */
json_t *ctl_peer_settings(const struct sl_gw_peer_info *i);
/** Let every change leave an audit record (rpc_trail.c). */
void ctl_trail_begin(struct sl_rpc *rpc);

/* --- rates (rpc_rates.c) -----------------------------------------------------------------------
 */

/** Everything that counts, at one time. */
struct ctl_point {
	uint64_t mono_ns;
	struct sl_stats_snap lcore[SL_WORKER_MAX]; /* by worker number */
	uint64_t hs_busy, hs_total;
	uint64_t hs_drops[SL_DROP_MAX];
	struct sl_port_stats port[SL_PORT_MAX]; /* by port number */
};

/** What was before, and what is: at least half a second apart, but for the very first. */
struct ctl_span {
	const struct ctl_point *before, *now;
	double seconds; /* more than 0 */
};

/**
 * Count now. Callers do not disturb each other: whoever asks, the earlier of the last two points
 * that are half a second old is what rates are taken from. @return 0 or -ENOMEM with `e` filled
 */
int ctl_rates(struct sl_ctl *ctl, struct ctl_span *out, struct sl_error *e);
/** Sum of all data lcores and of hs's drops. */
void ctl_point_sum(const struct sl_ctl *ctl, const struct ctl_point *p, struct sl_stats_snap *out);
int64_t ctl_rate(uint64_t before, uint64_t now, double seconds);
/** Nanoseconds since sl_ctl_register(). */
uint64_t ctl_uptime_ns(struct sl_ctl *ctl);
int ctl_rates_init(struct sl_ctl *ctl);

/* --- policy --------------------------------------------------------------------------------------
 */

void ctl_uploads_free(struct sl_ctl *ctl);
/** Where the text of a document comes from: parameters that several methods have. */
struct ctl_source {
	const char *text, *file, *upload;
	bool has_text, has_file, has_part, last;
	int64_t part;
};
/** The parameters that they share. */
#define CTL_SOURCE_OF(p)                                                                           \
	{                                                                                          \
		.text = (p)->text, .file = (p)->file, .upload = (p)->upload,                       \
		.has_text = (p)->has_text, .has_file = (p)->has_file, .has_part = (p)->has_part,   \
		.last = (p)->last, .part = (p)->part                                               \
	}
struct sl_gw_policy_load;
/** Fill in `given`, to be freed unless a load takes it over, or `file`. @return 0; 1: it is not
 * whole yet, `result` says so; or an error */
int ctl_take_document(struct sl_ctl *ctl, const struct sl_rpc_caller *caller,
		      const struct ctl_source *s, struct sl_gw_policy_load *out, json_t **result,
		      struct sl_error *e);
struct sl_gw_question;
/** Fill in the protocol; ports are those of TCP and UDP alone. -EINVAL enum_invalid /protocol. */
int ctl_packet_proto(bool has, const char *text, struct sl_gw_question *q, struct sl_error *e);
/** Go on with simulations of a policy (rpc_simulate.c). */
void ctl_simulations_poll(struct sl_ctl *ctl);
void ctl_simulations_free(struct sl_ctl *ctl);
/** Forget the lints that are kept for further pages (rpc_lint.c). */
void ctl_lints_free(struct sl_ctl *ctl);
/** RFC 3339. */
json_t *ctl_time(uint64_t wall_ns);
/** PREFIX or PREFIX@INTERFACE. */
json_t *ctl_place(const struct sl_pol_place *p);
/** 0, or -ENOENT role_unknown /role. */
int ctl_role_check(struct sl_ctl *ctl, const char *name, struct sl_error *e);

/* --- evidence and modes (rpc_evidence.c, rpc_authz.c, rpc_log.c)
 * ----------------------------------------
 */

/** Add the prefixes of a target, or a prefix itself, to a malloc'ed list. -ENOENT target_unknown.
 */
int ctl_resolve(struct sl_ctl *ctl, const char *name, const char *path,
		struct sl_gw_mode_prefix **list, unsigned *n, struct sl_error *e);
json_t *ctl_coverage(const struct sl_coverage *c);
/** What sl_evidence_ready() would say. */
struct ctl_ready {
	bool ready;
	uint64_t denied;
	struct sl_coverage cov;
};
struct ev_filter;
/** @param rc not 0: `e` says why there is no answer (as the gateway ends, or nobody listens) */
typedef void (*ctl_ready_fn)(void *ctx, int rc, const struct sl_error *e,
			     const struct ctl_ready *r);
/**
 * Ask in slices, before other questions. @param later whose asker wants to know it; `done` answers
 * it. @return 0: `done` will be called; or an error
 */
int ctl_ask_ready(struct sl_ctl *ctl, struct sl_rpc_later *later, const struct ev_filter *f,
		  ctl_ready_fn done, void *ctx, struct sl_error *e);
/** A question to the evidence that another file answers, in the slices of the others. */
struct ctl_sliced {
	/** About `budget` judgements. @return true: it is done, or has failed as `e` says */
	bool (*step)(void *ctx, unsigned budget, struct sl_error *e);
	/** Answers, and frees `ctx`. @param e its err is not 0: why there is no answer (as the
	 * gateway ends, or nobody listens) */
	void (*done)(void *ctx, const struct sl_error *e);
	void *ctx;
};
/** Behind the other questions. @return 0: `done` will be called; or an error */
int ctl_ask_sliced(struct sl_ctl *ctl, struct sl_rpc_later *later, const struct ctl_sliced *s,
		   struct sl_error *e);
/** Go on with questions that are answered later. */
void ctl_questions_poll(struct sl_ctl *ctl);
/** Answer those who accepted an epoch, once that is on disk. */
void ctl_accepted_poll(struct sl_ctl *ctl);
void ctl_questions_free(struct sl_ctl *ctl);
/** Let long lines and answers be read and written beside the loop. */
void ctl_work_begin(struct sl_ctl *ctl, struct sl_rpc *rpc);
/** Do something else there. @return false: not possible, `done` will not be called */
bool ctl_work_give(struct sl_ctl *ctl, struct sl_rpc_work *w);
/** Go on with what is read or written. */
void ctl_work_poll(struct sl_ctl *ctl);
/** Whoever still waits is answered without a word. */
void ctl_work_free(struct sl_ctl *ctl);
/** Go on with questions about flows. */
void ctl_flows_poll(struct sl_ctl *ctl);
void ctl_flows_free(struct sl_ctl *ctl);
/** A change that somebody made, for the audit records. Steals `fields`. */
void ctl_event(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const char *action,
	       json_t *fields);
/** Does the target that prefix i of a list is of still mean what the list has of it? @return how it
 * has moved; NULL: it does, or another prefix tells */
const char *ctl_target_moved(struct sl_ctl *ctl, const struct sl_gw_mode *m, unsigned i);
/** Sentences about mode prefixes whose target has changed since. */
void ctl_mode_drift(struct sl_ctl *ctl, json_t *problems);
/** @return why records are not kept now; NULL: they are */
const char *ctl_log_unkept(struct sl_ctl *ctl);
/** The same of log.required, and why its targets are denied, if they are. */
void ctl_log_problems(struct sl_ctl *ctl, json_t *problems);

/* --- control plane (rpc_control.c) ---------------------------------------------------------------
 */

/** What stats.report tells of the gateway beyond its peers; `user` is the struct sl_ctl. */
json_t *ctl_control_state(void *user);

/* --- shared by show and save (rpc_config_calls.c) ------------------------------------------------
 */

struct ctl_calls {
	json_t *calls;
	unsigned limit;
	uint64_t next; /* 0: this was the last page */
};

/**
 * Calls that rebuild the state from cursor `after` on, at most `limit` of them; c->calls is a new
 * array.
 * @param left_out array to which sentences are added about what no call can rebuild; may be NULL
 */
int ctl_calls(struct sl_ctl *ctl, uint64_t after, unsigned limit, struct ctl_calls *c,
	      json_t *left_out);

#endif
