/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The gateway's policy: which document is in force, who has which role here, and how a new one
 * becomes the published one. Part of the gateway model (sl_gw.h); one thread, but for the helper
 * thread that compiles.
 *
 * A load: parse, check, compile, self-test on the helper; look up the peers of members on control's
 * thread in slices; run the document's tests (which know the document's own members) and write the
 * text beside the state file on the helper; when nothing else can fail put it in the place of the
 * state file and publish {rules, identity} with one root; sync the directory on the helper, and
 * answer. A failure leaves everything as it was, on the disk too.
 * Rules that begin or end, members and peers change by themselves: rule times by a new compile of
 * the same document, members by an incremental change of the identity, at most 1 s late.
 */
#ifndef SL_GW_POLICY_H
#define SL_GW_POLICY_H

#include "sl_gw.h"
#include "sl_judge.h"
#include "sl_policy_doc.h"
#include "sl_simulated.h"

struct sl_gw_policy_info {
	bool loaded, compiling;
	uint32_t version;
	uint64_t generation, identity_generation;
	uint64_t loaded_wall_ns;	 /* when it was published */
	uint64_t compile_ns, publish_ns; /* of the last load: on the helper; from submit to store */
	const char *origin;		 /* "file", "rpc", "state" */
	struct sl_policy_use use;	 /* caps: of the present capacity, which grows by itself */
	unsigned prefixes_max, roles_max; /* where it ends */
	unsigned dynamic;		  /* members beside the document */
	unsigned tests;
	uint32_t entries4, entries6;
	size_t acl_bytes;
	char last_error[320];	/* of the last failed load, "" none */
	char broken[320];	/* what the last run left and is not in force, "" */
	char tests_failed[224]; /* of the policy in force, when they were last run, "" none */
	uint64_t next_change_ns;
};

/** Loads that were refused, by the reason of the error. */
struct sl_gw_refusals {
	char reason[40];
	uint64_t n;
};

/** What a load or dry run found. Valid in the call. */
struct sl_gw_policy_result {
	const struct sl_policy *policy;
	const struct sl_polset *set;
	uint64_t generation; /* published; of a dry run: 0 */
	uint64_t compile_ns, publish_ns;
	unsigned tests; /* run */
	unsigned n_lints;
	json_t *lints; /* {code, path, text}, the first 1,000; borrowed */
};

/** @param rc 0: published (of a dry run: it could be), with `r`; else `e` says why not */
typedef void (*sl_gw_policy_done)(void *ctx, int rc, const struct sl_error *e,
				  const struct sl_gw_policy_result *r);

struct sl_gw_policy_load {
	/* the document, as one of these four */
	const char *text; /* copied */
	char *given;	  /* malloc'ed, zero at its end: taken over if the load begins */
	const char *file; /* read on the helper, with the errors of sl_gw_policy_read() */
	size_t len;	  /* of text or given */
	bool again;	  /* the one in force, which must be there; copied on the helper */
	const char *origin;
	bool run_tests;	     /* not at boot */
	bool lenient;	     /* what is over is no error */
	uint64_t at_wall_ns; /* of a candidate: what holds then; 0: now */
	bool dry_run;	     /* all but publishing */
	bool keep;	     /* write it to the state directory: it is what the next start loads */
	bool staged;	     /* together with the members that wait for it (sl_gw_fed_put()) */
	bool wait;	     /* `done` is called before the return */
	uint32_t if_version; /* not 0: refuse (-EBUSY version_mismatch) unless this one is in force
			      */
	sl_gw_policy_done done;
	void *ctx;
};
/**
 * @return 0: `done` will be called, with errors of parse, check, compilation and tests too, from
 * sl_gw_poll() (in lockstep before the return); else -EBUSY policy_busy (a load is at work) or
 * version_mismatch, -ENOMEM
 */
int sl_gw_policy_load(struct sl_gw *gw, const struct sl_gw_policy_load *l, struct sl_error *e);
struct sl_gw_policy_clear {
	bool force; /* although a mode enforces: all that is enforced is denied then */
	bool wait;  /* `done` is called before the return */
	uint32_t if_version;
	sl_gw_policy_done done; /* with 0 and no result, when it lasts */
	void *ctx;
};
/**
 * No policy is in force any more, as before the first load: nobody has a role, members beside the
 * document are forgotten, the kept document is removed. Also where none is in force: what a broken
 * one left is removed.
 * @return 0: it is in force, and `done` will be called; else -EBUSY policy_busy (a load, a
 * recompilation or a change of members is at work), version_mismatch; -EPERM mode_enforced (a mode
 * enforces, and no force); -EIO state_write, -ENOMEM: nothing changed
 */
int sl_gw_policy_clear(struct sl_gw *gw, const struct sl_gw_policy_clear *c, struct sl_error *e);
/**
 * At a start, after interfaces and peers: load what the state directory kept, else `file` (may be
 * NULL). Tests are not run, and what is over is no error. A kept document that cannot be loaded
 * does not end the start: without a policy nobody has a role, so what is enforced is denied, and
 * sl_gw_policy_info() tells why. @return an error of `file`
 */
int sl_gw_policy_boot(struct sl_gw *gw, const char *file, struct sl_error *e);
/** Read a document; zero at its end, to be freed. Errors at /file: file, file_invalid. */
int sl_gw_policy_read(const char *file, char **text, size_t *len, struct sl_error *e);
void sl_gw_policy_info(struct sl_gw *gw, struct sl_gw_policy_info *out);
/** Loads that were refused since the start. @return NULL from the first `i` on that is no reason */
const struct sl_gw_refusals *sl_gw_policy_refusals(const struct sl_gw *gw, unsigned i);
/** The model in force, NULL: none. Valid until the next sl_gw_poll(). */
const struct sl_policy *sl_gw_policy(struct sl_gw *gw);
/** Name of the role that has an id, or had it in a former policy; NULL: none. Valid until the next
 * sl_gw_poll(). */
const char *sl_gw_role_name(const struct sl_gw *gw, uint32_t id);
/** Its text as it was given, comments included. */
const char *sl_gw_policy_text(struct sl_gw *gw, size_t *len);
/** Its text without comments, in the order of the model. */
const char *sl_gw_policy_canonical(struct sl_gw *gw, size_t *len);
/** {code, path, text} of each, the first 1,000; borrowed; NULL: no policy. */
json_t *sl_gw_policy_lints(struct sl_gw *gw, unsigned *n);
/** What the data lcores judge by (from the published root). */
const struct sl_policy_view *sl_gw_policy_view(struct sl_gw *gw);

/** A member outside the document (identity provider, API): kept in the state directory, survives
 * loads whose document still has the role. Errors: role_unknown /role, peer_unknown, prefix_...,
 * expired /expires, limit_prefixes. */
int sl_gw_member_add(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		     struct sl_error *e);
int sl_gw_member_del(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		     struct sl_error *e);
typedef void (*sl_gw_member_done)(void *ctx, int rc, const struct sl_error *e);
/**
 * Add or remove, the file written on the helper: one write for all that wait. In force once it is
 * on the disk, and then `done` is called, from sl_gw_poll() (in lockstep before the return). A
 * failed write leaves what was. The two above wait for it.
 * @return 0, or an error that is known at once: `done` is not called
 */
int sl_gw_member_change(struct sl_gw *gw, bool add, const char *role, const struct sl_pol_member *m,
			sl_gw_member_done done, void *ctx, struct sl_error *e);
enum sl_gw_giver {
	SL_GIVER_DOCUMENT,
	SL_GIVER_CALL,	  /* role.member.add */
	SL_GIVER_CONTROL, /* the control plane: a peer's own object, or a role mapping */
};
/** Visit who has a role: by the document and by calls in the order of its roles, then what the
 * control plane gives, of roles that the document may not have. Ends where `fn` answers false. */
void sl_gw_member_walk(struct sl_gw *gw,
		       bool (*fn)(void *ctx, const char *role, const struct sl_pol_member *m,
				  enum sl_gw_giver giver),
		       void *ctx);

/** How many of a role are beside the document. */
unsigned sl_gw_members_beside(struct sl_gw *gw, const char *role);
/** Is the peer or interface that a member names here? */
bool sl_gw_member_here(struct sl_gw *gw, const struct sl_pol_member *m);
enum sl_gw_member_state {
	SL_MEMBER_ACTIVE,
	SL_MEMBER_STALE,   /* past its expiry, served on because its identity provider is down */
	SL_MEMBER_PENDING, /* its peer, interface or role is not here */
	SL_MEMBER_EXPIRED
};
enum sl_gw_member_state sl_gw_member_state(struct sl_gw *gw, const char *role,
					   const struct sl_pol_member *m);
const char *sl_gw_member_state_text(enum sl_gw_member_state s);
/** peer:NAME, peer:NAME@INTERFACE, PREFIX@INTERFACE or PREFIX@*. @return NULL without memory */
json_t *sl_gw_member_text(const struct sl_pol_member *m);
uint64_t sl_gw_wall_ns(struct sl_gw *gw);

/* --- what a control plane gives ------------------------------------------------------------------
 */

/**
 * A member from the control plane: in memory only, beside those of the document and of
 * sl_gw_member_add(). Its role and peer may come later. An equal one changes nothing.
 * @param staged in force with the next load that is `staged`, by the same root; until then what was
 * @return 0; limit_prefixes, any_interface_is_tunnel /member; no_memory
 */
int sl_gw_fed_put(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool staged,
		  struct sl_error *e);
/** Role, holder and whether its source is static name it. @return 0, -ENOENT, -ENOMEM */
int sl_gw_fed_del(struct sl_gw *gw, const char *role, const struct sl_pol_member *m, bool staged);
/** There will be no such load: what was staged is forgotten. */
void sl_gw_fed_cancel(struct sl_gw *gw);
/** The one in force, without its detail. */
bool sl_gw_fed_find(struct sl_gw *gw, const char *role, const struct sl_pol_member *m,
		    struct sl_pol_member *out);
unsigned sl_gw_fed_count(struct sl_gw *gw);

struct sl_gw_provider {
	const char *name;
	uint64_t since_wall_ns;
};
/**
 * The identity providers that do not answer. Members from them that expire after `since` are served
 * on, marked as stale, unless their role ends with its members' expiry (on_idp_down: deny).
 * @param all_since_wall_ns not 0: nothing is known of any provider since then
 * @param grace_ns how long after the expiry; 0: without end
 * @return 0 or -ENOMEM
 */
int sl_gw_providers_set(struct sl_gw *gw, const struct sl_gw_provider *down, unsigned n,
			uint64_t all_since_wall_ns, uint64_t grace_ns);

/* --- explaining ---------------------------------------------------------------------------------
 */

struct sl_gw_question {
	const char *iface; /* NULL: the only one */
	const char *peer;  /* name or key; NULL: whose AllowedIPs hold the tunnel's address */
	struct sl_ip src;  /* family 0: first address of the peer */
	struct sl_ip dst;
	uint8_t proto;
	uint16_t sport, dport; /* 0 unless TCP or UDP */
	bool from_inside;
	const char *const *roles; /* of a candidate: somebody with just these instead of a peer */
	unsigned n_roles;
};

struct sl_gw_explained_role {
	struct sl_trace_role t;
	bool through_peer; /* else through the source's prefix */
	bool allow;
	uint32_t rule;	  /* place in set->rules; of a vote, or of the rule that came nearest */
	const char *miss; /* no vote: what of that rule does not match; NULL: there is no rule */
};

/** Valid until the next sl_gw_poll(). */
struct sl_gw_explanation {
	const struct sl_policy_view *view;
	struct sl_judge_flow flow; /* addresses point into src and dst */
	struct sl_ip src, dst;
	const char *iface, *peer; /* peer NULL: nobody has the address */
	bool spoofed;		  /* the source is not the peer's */
	bool expired, disabled;	  /* the peer may not pass at all */
	bool isolated;		  /* both are peers and the interface keeps them apart */
	struct sl_judgement judgement;
	bool disagree; /* tables and plain scans give different verdicts: a fault of the gateway */
	enum sl_authz_mode mode;
	bool panic;
	unsigned n_roles;
	struct sl_gw_explained_role *roles; /* to be freed */
};

/** By sl_judge() on the published tables, and by sl_polset_eval() for the trace. Errors:
 * interface_unknown, interface_missing /interface; not_found /peer; family_mismatch /dst;
 * address_missing /src or /dst. */
int sl_gw_explain(struct sl_gw *gw, const struct sl_gw_question *q, struct sl_gw_explanation *out,
		  struct sl_error *e);

/**
 * A policy that is not in force, compiled for questions: this gateway's peers and interfaces,
 * the candidate's rules and members. It compiles on the helper while steps are taken.
 * @param l the document (with `again` the one in force, which must be there), run_tests, lenient
 * and at_wall_ns; nothing else of it counts
 * @return NULL: no_memory, thread
 */
struct sl_gw_candidate;
struct sl_gw_candidate *sl_gw_candidate_begin(struct sl_gw *gw, const struct sl_gw_policy_load *l,
					      struct sl_error *e);
/** Go on; as long as it is used, once a turn: it follows peers. @return true: it is compiled, or
 * has failed */
bool sl_gw_candidate_step(struct sl_gw_candidate *c);
/** Take steps until it is compiled or has failed. */
void sl_gw_candidate_wait(struct sl_gw_candidate *c);
/** Of parse, check, compilation and tests; NULL: none yet. */
const struct sl_error *sl_gw_candidate_error(const struct sl_gw_candidate *c);
/** Begin and wait. @return NULL with any of these errors */
struct sl_gw_candidate *sl_gw_candidate_new(struct sl_gw *gw, const char *text, size_t len,
					    bool run_tests, struct sl_error *e);
/** Before the gateway; NULL allowed. */
void sl_gw_candidate_free(struct sl_gw_candidate *c);
/** Of one that is compiled. */
const struct sl_policy *sl_gw_candidate_policy(const struct sl_gw_candidate *c);
/** By plain scans, same semantics as sl_judge(). */
void sl_gw_candidate_judge(const struct sl_gw_candidate *c, const struct sl_judge_flow *f,
			   struct sl_judgement *out);

/**
 * What a candidate that is compiled says of a flow: by the peers and interfaces of this gateway,
 * whatever the modes are, and whether the peer may pass at all. With roles the tunnel's end needs
 * no address, and the interface may be left out.
 * @param out zeroed; free out->made. @return 0; errors as of sl_gw_explain(), role_unknown /roles/N
 */
int sl_gw_simulate(const struct sl_gw_candidate *c, const struct sl_gw_question *q,
		   struct sl_simulated *out, struct sl_error *e);

/** logging_enabled: local as the modes are; fsynced before it returns. */
int sl_gw_logging_set(struct sl_gw *gw, bool on, struct sl_error *e);
bool sl_gw_logging(struct sl_gw *gw);
/**
 * The targets that nobody reaches while records are being lost (local as well): these prefixes in
 * place of those before; their modes mean nothing. fsynced before it returns. Errors: those of
 * sl_gw_mode_change().
 */
int sl_gw_log_required_set(struct sl_gw *gw, const struct sl_gw_mode_prefix *list, unsigned n,
			   struct sl_error *e);
/** @return the list, NULL: never set; until the next change */
const struct sl_gw_mode_prefix *sl_gw_log_required(struct sl_gw *gw, unsigned *n);

#endif
