/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the gateway's policy (sl_gw_policy.h): the document in force, its compiled tables, who
 * has which role here, and the job that makes new ones.
 *
 * Control's thread owns everything, but for a job in one of its two phases on the helper.
 */
#ifndef SL_GW_POLICY_INT_H
#define SL_GW_POLICY_INT_H

#include "gw.h"
#include "gw_helper.h"
#include "sl_gw_policy.h"

#define GW_LINTS_MAX 1000
#define GW_REFUSALS_MAX 64 /* reasons that are counted apart; the last one is "other" */

/** A document: as text and as a model. */
struct gw_doc {
	struct gw_task task; /* to free it */
	char *text;
	size_t len;
	char *canonical; /* one line, without comments */
	size_t canonical_len;
	struct sl_policy *policy;
	json_t *lints; /* at most GW_LINTS_MAX objects */
	unsigned n_lints;
	unsigned n_prefixes;
	bool names_ifaces; /* its rules, targets or zones do */
};

/** What data lcores judge by, of one compilation. */
struct gw_rules {
	struct gw_later later;
	struct gw_task task;
	struct sl_polset *set;
	struct sl_acl *acl; /* NULL in a candidate */
};

/* --- who has which role (gw_who.c) ------------------------------------------------------------ */

struct gw_member {
	struct gw_link link; /* by holder */
	const struct sl_pol_member *m;
	uint64_t until_ns; /* when it ends, as far as is known now; 0: never */
	unsigned at;	   /* place in gw_who.dyn[] */
	uint16_t role;	   /* place in the model */
	bool dynamic;	   /* `m` belongs to it */
	bool fed;	   /* dynamic: of the control plane */
	bool over;	   /* its time is over */
	bool barred;	   /* for "*", and a tunnel owns a part of it: gives nothing */
	bool stale;	   /* past its expiry, served because its provider is down */
	bool met;	   /* names a peer that is, or was, here */
};

/** An identity provider that does not answer. */
struct gw_idp_down {
	char name[SL_POL_NAME];
	uint64_t since_ns; /* wall clock */
};

/** What is known of identity providers. A member past its expiry is served on while its provider is
 * down, if it was down already when the member expired: who expired while it answered was not
 * renewed. */
struct gw_idp {
	uint64_t all_since_ns; /* nobody tells us any more; 0: somebody does */
	struct gw_idp_down *down;
	unsigned n_down;
	uint64_t grace_ns; /* how long after the expiry; 0: without end */
};

/** Members by holder, and the builder of versions. */
struct gw_who {
	struct gw_later later;
	struct gw_task task;
	struct sl_who_builder *b;
	struct gw_hash holders;
	uint8_t key[16];
	struct gw_member *doc;
	unsigned n_doc;
	struct gw_member **dyn;
	unsigned n_dyn, cap_dyn;
	bool *strict;		 /* [roles]: ends with its expiry, whatever the provider does */
	uint64_t next_expiry_ns; /* wall clock; 0: none */
	unsigned scan;		 /* members looked at in this turn of expiries */
	uint64_t scan_next_ns;
	bool scan_all; /* providers came or went: those that are over are looked at too */
	bool dirty;    /* a version is to be made */
};

/** Clocks of a moment, and who answers in it. */
struct gw_when {
	uint64_t wall_ns, wall_to_mono_ns;
	const struct gw_idp *idp; /* NULL: all providers do (the helper does not look) */
};

/** Id of an interface by name, 0: none; of a snapshot or of the gateway itself. */
typedef uint16_t (*gw_iface_id_fn)(void *ctx, const char *name);

/**
 * Members of a checked document with the prefixes entered; peers come later. Any thread.
 * @param beside how many more members are to come
 * @return NULL: e tells; reasons limit_roles, no_memory
 */
struct gw_who *gw_who_new(const struct sl_policy *p, const uint8_t key[16], unsigned n_ifaces,
			  unsigned beside, const struct gw_when *when, gw_iface_id_fn iface_id,
			  void *ctx, struct sl_error *e);
/** What an error of entering a member means. @return rc */
int gw_who_fail(struct sl_error *e, int rc, const char *path);
void gw_who_free(struct gw_who *w);
/** Enter or take out a peer's roles. @return 0 or a negative errno */
int gw_who_peer(struct gw_who *w, const struct gw_when *when, uint32_t id, const char *iface,
		const char *name, bool there);
/** Enter or take out the prefixes of an interface. */
int gw_who_iface(struct gw_who *w, const struct gw_when *when, uint16_t id, const char *iface,
		 bool there);
/** Enter a member beside the document; copied. */
int gw_who_dyn_add(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, uint16_t role,
		   const struct sl_pol_member *m, bool fed);
/** @return 0, -ENOENT */
int gw_who_dyn_del(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when, uint16_t role,
		   const struct sl_pol_member *m, bool fed);
/** Providers came or went: look at every member again, bit by bit. */
void gw_who_rescan(struct gw_who *w);
/** A member for "*" of which the tunnel of an interface owns a part gives nothing. @return 0 or a
 * negative errno */
int gw_who_bar(struct gw_who *w, const struct gw_when *when, struct gw_member *m,
	       const struct gw_iface *f);
/** Has a peer come that a member of the document names? sl_policy_peer_fn of a struct gw_who. */
bool gw_who_met(void *ctx, const struct sl_pol_member *of);
/** Take out members whose time is over, some of them. @param[out] turned role, member and state of
 * each whose state is another now: expired, stale, or active again
 * @return how many changed; in some of them only the time that is to come */
unsigned gw_who_expire(struct sl_gw *gw, struct gw_who *w, const struct gw_when *when,
		       json_t *turned);
/** An interface whose AllowedIPs overlap a prefix that is given for "*", NULL: none. */
const struct gw_iface *gw_any_overlaps(struct sl_gw *gw, const struct sl_prefix *p);
/** Does a prefix overlap one that a member in force has for "*"? No tunnel may own it then. */
bool gw_any_member(const struct sl_gw *gw, const struct sl_prefix *p);
/** Same holder, whatever the role. */
bool gw_same_holder(const struct sl_pol_member *a, const struct sl_pol_member *b);

/* --- members beside the document (gw_who_dyn.c) ----------------------------------------------- */

/** Does not change once it is made: the helper reads it. */
struct gw_dyn {
	char role[SL_POL_NAME];
	struct sl_pol_member m;
	unsigned refs; /* control's: of the list, and of a write */
};

/** A change that waits for its file. */
struct gw_dyn_call {
	struct gw_dyn_call *next;
	bool add;
	struct gw_dyn *d;
	sl_gw_member_done done;
	void *ctx;
	int rc;
	struct sl_error e;
};

/** The list with the changes of some calls, while the helper writes it. */
struct gw_dyn_write {
	struct gw_task task;
	struct gw_dyn_call *calls;
	struct gw_dyn **v;
	unsigned n;
	const char *dir;
	int rc;
	struct sl_error e;
};

/** Is it a prefix for "*" of which a tunnel owns a part? It gives nothing then. */
bool gw_dyn_is_tunnels(struct sl_gw *gw, const struct gw_dyn *d);
/** Read the state file. A broken one is told and put aside. */
void gw_dyn_load(struct sl_gw *gw);
void gw_dyn_free(struct sl_gw *gw);
/** Put in force what was written, write what waits. */
void gw_dyn_poll(struct sl_gw *gw);
/** The helper has ended: answers what waits. */
void gw_dyn_stop(struct sl_gw *gw);
/** Forget all: without a policy nobody has a role. */
void gw_dyn_clear(struct sl_gw *gw);
/** Forget those that are over, and after a load those without a role or for a tunnel's sources;
 * writes the file if any. */
void gw_dyn_prune(struct sl_gw *gw);

/* --- members of the control plane (gw_fed.c) ---------------------------------------------------
 */

struct gw_job;

enum gw_fed_state {
	GW_FED_HERE,
	GW_FED_COMING,	/* with the next staged load */
	GW_FED_LEAVING, /* the same */
};

struct gw_fed {
	struct gw_link link; /* by role and holder */
	unsigned at;	     /* place in the list */
	enum gw_fed_state state;
	char role[SL_POL_NAME];
	struct sl_pol_member m;
};

struct gw_fed_list {
	struct gw_hash by_key;
	struct gw_fed **v;
	unsigned n, cap, n_prefixes, n_staged;
};

/** Is it among the members that a job makes? */
bool gw_fed_counts(const struct gw_fed *f, const struct gw_job *j);
/** A staged load is in force: what was to come is here, what was to leave is gone. */
void gw_fed_settle(struct sl_gw *gw);
void gw_fed_free(struct sl_gw *gw);

/* --- jobs (gw_compile.c) ---------------------------------------------------------------------- */

enum gw_job_kind {
	GW_JOB_LOAD,  /* a new document */
	GW_JOB_RULES, /* the same one at another time or with other interfaces */
	GW_JOB_ALL,   /* and its members anew: the clock stepped */
	GW_JOB_CLEAR, /* none is in force any more: SYNC alone is left to do */
};

enum gw_phase {
	GW_BUILD,   /* helper: parse, check, compile */
	GW_RESOLVE, /* control: peers, in slices */
	GW_TEST,    /* helper: tests of the document; the state file beside the old one */
	GW_FINISH,  /* control: what changed meanwhile; state file into its place; publish */
	GW_SYNC,    /* helper: the state directory; then the load is answered */
};

/** A peer that came or went while the helper had the members. */
struct gw_touch {
	uint32_t id;
	bool there;
	char iface[SL_POL_IFACE];
	char name[SL_POL_NAME];
};

/** What a test of the document needs to know of a peer. */
struct gw_test_peer {
	char name[SL_POL_NAME];
	bool known;
	uint32_t id;
	uint16_t iface;
	struct sl_ip address[2]; /* IPv4, IPv6; family 0: none */
};

struct gw_iface_name {
	char name[SL_POL_IFACE];
	uint16_t id;
};

struct gw_job {
	struct gw_task task;
	enum gw_job_kind kind;
	enum gw_phase phase;
	struct sl_gw_policy_load load;
	struct gw_doc *doc; /* LOAD: its own */
	char *file;	    /* that it is to be read from; NULL: the text is there */
	const char *again;  /* to be copied; of a document that the helper frees, behind this job */
	struct gw_rules *tables;
	struct gw_who *who;
	bool no_acl;			 /* a candidate */
	struct sl_pol_role_id *role_ids; /* LOAD: those known before, then those known with it */
	unsigned n_role_ids;
	bool new_role_ids;
	struct gw_role_renamed {
		uint32_t id; /* 0: none */
		char was[SL_POL_NAME], is[SL_POL_NAME];
		unsigned n;
	} renamed;		    /* ids that stand for other names now: the first, how many */
	char (*marks)[SL_POL_NAME]; /* targets that are withdrawn, whatever its document says */
	unsigned n_marks;
	struct sl_pol_place *agents; /* networks of agents, the same */
	unsigned n_agents;
	struct sl_policy_limits limits;
	struct gw_when when;
	uint64_t generation;
	uint8_t key[16];
	char acl_prefix[12];
	char *state_dir; /* not NULL: keep the text there */
	bool staged;	 /* it lies there beside what is in force */
	struct gw_iface_name *ifaces;
	unsigned n_ifaces, n_iface_ids, n_beside;
	uint64_t iface_epoch;
	uint64_t allowed_epoch; /* when "*" was looked at */
	unsigned reruns;
	uint32_t next_peer; /* RESOLVE: id */
	unsigned next_any;  /* RESOLVE: member of the document */
	unsigned next_dyn;  /* FINISH */
	unsigned next_fed;  /* the same */
	struct gw_test_peer *test_peers;
	unsigned n_test_peers;
	struct gw_touch *touch;
	unsigned n_touch, cap_touch;
	unsigned n_tests; /* run */
	uint64_t begin_ns, compile_ns;
	int rc;
	struct sl_error e;
};

/** A job with what the helper needs of the gateway. @return NULL without memory */
struct gw_job *gw_job_new(struct sl_gw *gw, enum gw_job_kind kind);
/** Take the document of a load. @return false without memory: nothing was taken over */
bool gw_job_take_document(struct sl_gw *gw, struct gw_job *j, const struct sl_gw_policy_load *l);
/** Take a fresh look at interfaces and clocks. @return 0, -ENOMEM */
int gw_job_snapshot(struct sl_gw *gw, struct gw_job *j);
void gw_job_free(struct gw_job *j);
/** Under a control plane: what its ledger withdrew is so in a candidate too, and networks of agents
 * are a zone of their own. @return 0, -ENOMEM */
int gw_job_mark(struct sl_gw *gw, struct gw_job *j);
/** Which ids roles have: take what is known. @return 0, -ENOMEM */
int gw_job_know_roles(const struct sl_gw *gw, struct gw_job *j);
/** And what is known once the checked document is in force. @return 0, -ENOMEM with the job's
 * error */
int gw_job_learn_roles(struct gw_job *j);
/** The two parts of the helper; rc and e of the job tell how it went. */
void gw_job_build(struct gw_task *t);
void gw_job_test(struct gw_task *t);
/** The last part of the helper: what was published lasts. */
void gw_job_sync(struct gw_task *t);
/** The staged text becomes what the next start loads. @return 0, -EIO with the job's error */
int gw_job_keep(struct gw_job *j);
/** What the next start would load is no more; lasts after gw_job_sync(). @return 0, -EIO */
int gw_job_forget_kept(struct sl_gw *gw, struct sl_error *e);
/** What a run that ended in the middle of a load left is not in force. */
void gw_job_forget_staged(struct sl_gw *gw);
/** Enter peers, at most `budget`. @return true when all are in */
bool gw_job_resolve(struct sl_gw *gw, struct gw_job *j, unsigned budget);
/** A peer came or goes while the job is at work. */
void gw_job_touch(struct gw_job *j, const struct gw_peer *p, bool there);
/** Catch up with what changed meanwhile. @return true when nothing is left */
bool gw_job_catch_up(struct sl_gw *gw, struct gw_job *j, unsigned budget);
void gw_doc_free(struct gw_doc *d);
void gw_rules_free(struct gw_rules *t);

/* --- ids of roles (gw_role_id.c) ----------------------------------------------------------------
 */

struct gw_role_write;

/** By which ids roles are known: those in force in their order, then former ones, the latest first.
 */
struct gw_role_ids {
	struct sl_pol_role_id *v;
	unsigned n;
	bool stale;		     /* the file is to be written */
	uint64_t retry_ns;	     /* after a failed write, not before; 0: the last one worked */
	struct gw_role_write *write; /* at work */
};

/** The job's document is in force. */
void gw_role_ids_take(struct sl_gw *gw, struct gw_job *j);
/** Read the state file. A broken one is told, and not used. */
void gw_role_ids_load(struct sl_gw *gw);
/** Write what changed, on the helper. */
void gw_role_ids_poll(struct sl_gw *gw);
/** The helper has ended: writes what waits. */
void gw_role_ids_stop(struct sl_gw *gw);
void gw_role_ids_free(struct sl_gw *gw);

/* --- the whole (gw_policy.c) ------------------------------------------------------------------ */

/** gw_doc_tests.c */
struct gw_doc_tests {
	const struct gw_doc *doc;	   /* whose they are; for comparison alone */
	uint64_t next_ns;		   /* when they begin */
	struct sl_gw_candidate *candidate; /* NULL: none is run */
	char failed[224];		   /* by the last run, "" none */
};

struct gw_policy {
	struct gw_helper *helper; /* NULL: none yet, or lockstep */
	struct gw_doc *doc;	  /* NULL: no policy */
	struct gw_rules *tables;
	struct gw_who *who;
	struct sl_policy_view view; /* for the next root */
	uint64_t generation;	    /* handed out last */
	uint64_t identity_generation;
	struct gw_job *job;	/* at work */
	struct gw_job *waiting; /* a load behind a recompilation */
	struct sl_gw_candidate *candidates;
	bool rules_due, all_due;
	uint64_t retry_ns; /* after a failed recompilation, not before */
	uint64_t iface_epoch;
	uint64_t allowed_epoch; /* AllowedIPs were added */
	struct gw_dyn **dyn;
	unsigned n_dyn, cap_dyn, n_dyn_prefixes;
	bool dyn_stale;		    /* the file is to be written again */
	uint64_t dyn_retry_ns;	    /* after a failed write, not before */
	struct gw_dyn_call *calls;  /* waiting */
	struct gw_dyn_write *write; /* at work, with its calls */
	struct gw_fed_list fed;
	struct gw_role_ids role_ids;
	struct gw_idp idp;
	unsigned cap_prefixes, cap_roles; /* present capacity */
	uint64_t capacity_ns;
	uint64_t loaded_wall_ns, compile_ns, publish_ns;
	char acl_prefix[12]; /* unlike that of any other gateway of the process */
	char origin[16];
	char last_error[320];
	struct sl_gw_refusals refusals[GW_REFUSALS_MAX];
	char broken[320]; /* why the state of the last run is not in force, "" */
	struct gw_doc_tests tests;
};

/** Reads the members that were given beside the document. @return 0 or -ENOMEM */
int gw_policy_init(struct sl_gw *gw, struct sl_error *e);
/** Lcores have stopped or never ran; ends the helper. */
void gw_policy_stop(struct sl_gw *gw);
void gw_policy_free(struct sl_gw *gw);
unsigned gw_policy_poll(struct sl_gw *gw);
/** Make the helper thread unless it is there (lockstep: none). */
int gw_policy_need_helper(struct sl_gw *gw, struct sl_error *e);
void gw_policy_wall_step(struct sl_gw *gw);
/** A peer came (named and indexed) or goes (still so). */
void gw_policy_peer(struct sl_gw *gw, const struct gw_peer *p, bool there);
/** What is in force was read at a start: its tests are run when the loop turns. */
void gw_doc_tests_at_start(struct sl_gw *gw);
/** They were run. @param e NULL: all hold */
void gw_doc_tests_result(struct sl_gw *gw, const struct sl_error *e);
void gw_doc_tests_poll(struct sl_gw *gw);
void gw_doc_tests_stop(struct sl_gw *gw);
/** What a compiled one is judged by. */
struct sl_gw *gw_candidate_tables(const struct sl_gw_candidate *c, const struct sl_polset **set,
				  const struct sl_identity **who);
/** The same for candidates (gw_candidate.c). */
void gw_candidates_peer(struct sl_gw *gw, const struct gw_peer *p, bool there);
void gw_policy_iface(struct sl_gw *gw, const struct gw_iface *f, bool there);
/** Make a version of the identity if it changed, before a root is stored. @return 0, -ENOMEM */
int gw_who_publish(struct sl_gw *gw);
void gw_policy_when(struct sl_gw *gw, struct gw_when *out);
void gw_policy_limits(struct sl_gw *gw, struct sl_policy_limits *out);
/** Prefix members of the document and beside it. */
unsigned gw_policy_prefixes(const struct sl_gw *gw);
/** Place of a role in the model in force, -1: none. */
int gw_policy_role(const struct sl_policy *p, const char *name);
/** Write an event into the audit log and the log. Steals `fields`. */
void gw_policy_event(struct sl_gw *gw, const char *action, const char *outcome, json_t *fields);

#endif
