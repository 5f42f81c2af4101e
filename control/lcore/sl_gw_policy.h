/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The gateway's policy: which document is in force, who has which role here, and how a new one
 * becomes the published one. Part of the gateway model (sl_gw.h); one thread, but for the helper
 * thread that compiles.
 *
 * A load: parse and check on control's thread, compile, self-test and run the document's tests on
 * the helper, then publish {rules, identity} with one root. A failure leaves everything as it was.
 * Rules that begin or end, members and peers change by themselves: rule times by a new compile of
 * the same document, members by an incremental change of the identity, at most 1 s late.
 */
#ifndef SL_GW_POLICY_H
#define SL_GW_POLICY_H

#include "sl_gw.h"
#include "sl_judge.h"
#include "sl_policy_doc.h"

struct sl_gw_policy_info {
	bool loaded, compiling;
	uint32_t version;
	uint64_t generation, identity_generation;
	uint64_t loaded_wall_ns;	 /* when it was published */
	uint64_t compile_ns, publish_ns; /* of the last load: on the helper; from submit to store */
	const char *origin;		 /* "file", "rpc", "state" */
	struct sl_policy_use use;
	uint32_t entries4, entries6;
	size_t acl_bytes;
	char last_error[320]; /* of the last failed load, "" none */
	uint64_t next_change_ns;
};

/** @param rc 0: published; else `e` says why not */
typedef void (*sl_gw_policy_done)(void *ctx, int rc, const struct sl_error *e);

struct sl_gw_policy_load {
	const char *text;
	size_t len;
	const char *origin;
	bool run_tests;	     /* not at boot */
	bool dry_run;	     /* all but publishing */
	bool keep;	     /* write it to the state directory: it is what the next start loads */
	uint32_t if_version; /* not 0: refuse (-EBUSY version_mismatch) unless this one is in force
			      */
	sl_gw_policy_done done;
	void *ctx;
};
/**
 * @return 0: `done` will be called from sl_gw_poll() (in lockstep before the return); else an error
 * of parse or check, or -EBUSY policy_busy (a load is being compiled)
 */
int sl_gw_policy_load(struct sl_gw *gw, const struct sl_gw_policy_load *l, struct sl_error *e);
void sl_gw_policy_info(struct sl_gw *gw, struct sl_gw_policy_info *out);
/** The model in force, NULL: none. Valid until the next sl_gw_poll(). */
const struct sl_policy *sl_gw_policy(struct sl_gw *gw);
/** Its text as it was given, comments included. */
const char *sl_gw_policy_text(struct sl_gw *gw, size_t *len);
/** What the data lcores judge by (from the published root). */
const struct sl_policy_view *sl_gw_policy_view(struct sl_gw *gw);

/** A member outside the document (identity provider, API): kept in the state directory, survives
 * loads whose document still has the role. Errors: role_unknown /role, peer_unknown, prefix_...,
 * expired /expires, limit_prefixes. */
int sl_gw_member_add(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		     struct sl_error *e);
int sl_gw_member_del(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		     struct sl_error *e);
void sl_gw_member_walk(struct sl_gw *gw,
		       bool (*fn)(void *ctx, const char *role, const struct sl_pol_member *m,
				  bool dynamic),
		       void *ctx);

/** A policy that is not in force, compiled for questions: this gateway's peers and interfaces,
 * the candidate's rules and members. */
struct sl_gw_candidate;
struct sl_gw_candidate *sl_gw_candidate_new(struct sl_gw *gw, const char *text, size_t len,
					    bool run_tests, struct sl_error *e);
void sl_gw_candidate_free(struct sl_gw_candidate *c);
const struct sl_policy *sl_gw_candidate_policy(const struct sl_gw_candidate *c);
/** By plain scans, same semantics as sl_judge(). */
void sl_gw_candidate_judge(const struct sl_gw_candidate *c, const struct sl_judge_flow *f,
			   struct sl_judgement *out);

/** logging_enabled: local as the modes are; fsynced before it returns. */
int sl_gw_logging_set(struct sl_gw *gw, bool on, struct sl_error *e);
bool sl_gw_logging(struct sl_gw *gw);

#endif
