/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The policy model: zones, targets, roles with members, rules, tests; its validation, lints and
 * reference evaluation. No DPDK, no JSON, no clock: wall times are passed in.
 *
 * One writer fills a model (the document parser in control/policy), sl_policy_check() validates it
 * as a whole; after that it is read-only and may be shared by threads. Everything that decides uses
 * sl_votes_decide(): the data path, explain, lints, tests, replay.
 *
 * Verdict: (1) among all enabled, in-time rules of a role that match, the lowest priority number
 * gives that role's vote, at equal priority DENY; (2) any DENY vote denies, else any ALLOW vote
 * allows, else the default policy of the destination's zone (no zone: deny); (3) a role without a
 * matching rule casts no vote; (4) a subject without any role is denied, whatever the zone says.
 */
#ifndef SL_POLICY_H
#define SL_POLICY_H

#include "sl_addr.h"
#include "sl_base.h"
#include "sl_error.h"

#define SL_POL_NAME 64	/* names with their zero: [A-Za-z0-9][A-Za-z0-9_.-]{0,62} */
#define SL_POL_IFACE 16 /* interface name with its zero; "" = any interface */
#define SL_POL_ID_MAX INT32_MAX
#define SL_POL_PREFIXES 10000 /* prefix members that always fit */
#define SL_POL_ROLES 100      /* roles that always fit */
#define SL_POL_GROW_MAX 8     /* both grow to so many times their start */
#define SL_POL_RULES 32	      /* rules of a role as written; configurable up to ... */
#define SL_POL_RULES_MAX 1024
#define SL_POL_PRIORITY 128 /* of a rule that names none */
#define SL_POL_PROTO_ANY 256
#define SL_POL_SAMPLE_MAX 1000000 /* of sample:1/N */

enum sl_pol_zone_type { SL_ZONE_INTERNAL, SL_ZONE_VPN, SL_ZONE_EXTERNAL };
enum sl_pol_source { SL_SOURCE_STATIC, SL_SOURCE_IDP, SL_SOURCE_DYNAMIC };

/** A prefix, in one interface or in all of them. */
struct sl_pol_place {
	struct sl_prefix prefix; /* no host bits */
	char iface[SL_POL_IFACE];
};

struct sl_pol_zone {
	uint32_t id;
	char name[SL_POL_NAME];
	enum sl_pol_zone_type type;
	bool allow; /* default_policy */
	struct sl_pol_place *nets;
	unsigned n_nets;
};

struct sl_pol_target {
	char name[SL_POL_NAME];
	char *desc; /* may be NULL */
	struct sl_pol_place *addrs;
	unsigned n_addrs;
	bool withdrawn; /* reached another way than through tunnels; rules say nothing about that */
};

/** Who has a role: a prefix of one interface ("*": inside sources that no tunnel owns), or a peer.
 */
struct sl_pol_member {
	char peer[SL_POL_NAME];	   /* "": a prefix */
	struct sl_pol_place place; /* of a peer: only iface, "" = the name in any interface */
	uint64_t expires_ns;	   /* wall clock, 0 = never */
	enum sl_pol_source source;
	char provider[SL_POL_NAME]; /* IDP */
	char *detail;		    /* IDP user, config file or reason; may be NULL */
};

/** Members from an identity provider that does not answer, past their expiry. */
enum sl_pol_idp_down { SL_IDP_SERVE, SL_IDP_DENY };

struct sl_pol_role {
	uint32_t id; /* unique, 1..SL_POL_ID_MAX; 0 at entry: chosen by sl_policy_check() */
	char name[SL_POL_NAME];
	char *desc;
	enum sl_pol_idp_down on_idp_down;
	struct sl_pol_member *members;
	unsigned n_members;
};

/** By which id a role is known. */
struct sl_pol_role_id {
	char name[SL_POL_NAME];
	uint32_t id;
};

struct sl_pol_ports {
	uint16_t lo, hi;
};

/** One entry of a rule's `to`. */
struct sl_pol_to {
	char target[SL_POL_NAME];  /* "": a place */
	struct sl_pol_place place; /* "*" is written as 0.0.0.0/0 and ::/0 with any = true */
	bool any;
	unsigned target_at; /* filled by sl_policy_check() */
};

struct sl_pol_rule {
	uint32_t id; /* unique inside its role; written ROLE/ID */
	char role[SL_POL_NAME];
	unsigned role_at;      /* filled by sl_policy_check() */
	struct sl_prefix *src; /* none: any source of the role */
	unsigned n_src;
	struct sl_pol_to *to;
	unsigned n_to;
	uint16_t proto;		    /* 0-255 or SL_POL_PROTO_ANY */
	struct sl_pol_ports *ports; /* none: any */
	unsigned n_ports;
	bool allow;
	uint8_t priority;
	bool bidirectional;
	uint32_t log; /* records of one flow in so many; 1: of all, 0: of none */
	bool enabled;
	uint64_t not_before_ns, expires_ns; /* wall clock, 0: none */
	char *desc;
};

/** A test of the document: what must hold. */
struct sl_pol_test {
	char *name;
	char peer[SL_POL_NAME];	    /* from a peer (its roles and its address, see from) ... */
	char (*roles)[SL_POL_NAME]; /* ... or a subject with just these roles ... */
	unsigned n_roles;
	struct sl_ip from; /* ... or an address; family 0: not given */
	/* not family 0: the flow begins at this host inside, and goes to the peer or roles above */
	struct sl_ip inside;
	uint16_t sport; /* of the host inside, 0: none in particular */
	char iface[SL_POL_IFACE];
	char to_target[SL_POL_NAME]; /* every address of the target (each prefix's first and last)
				      */
	struct sl_ip to;
	uint16_t proto;
	uint16_t port;
	bool expect_allow;
	char rule_role[SL_POL_NAME]; /* "": any rule may decide */
	uint32_t rule_id;
};

struct sl_policy {
	uint32_t version; /* policy_version of the document */
	struct sl_pol_zone *zones;
	unsigned n_zones;
	struct sl_pol_target *targets;
	unsigned n_targets;
	struct sl_pol_role *roles;
	unsigned n_roles;
	struct sl_pol_rule *rules;
	unsigned n_rules;
	struct sl_pol_test *tests;
	unsigned n_tests;
};

struct sl_policy_limits {
	unsigned prefixes, roles, rules_per_role; /* 0: the defaults, at their largest growth */
};

/** All zero: an empty policy, under which nobody has a role. */
struct sl_policy *sl_policy_new(void);
void sl_policy_free(struct sl_policy *p); /* NULL allowed */

/**
 * Validate the whole model and fill its cross references. The first fault is told with its JSON
 * pointer in the document (/zones/NAME/networks/N, /targets/NAME/addresses/N,
 * /roles/NAME/members/N, /rules/N/...). Reasons: name_invalid, zone_id_duplicate, zone_overlap,
 * prefix_invalid, prefix_host_bits (hint: the corrected value), interface_invalid, target_empty,
 * role_id_invalid, role_id_duplicate, member_duplicate, expired, time_range, role_unknown,
 * target_unknown, rule_unknown, rule_id_invalid, rule_id_duplicate, protocol_invalid,
 * ports_inverted, ports_need_tcp_or_udp, family_mismatch, limit_prefixes, limit_roles, limit_rules,
 * no_memory. any_interface_is_tunnel ("*" with a prefix that a tunnel owns) only a gateway can
 * tell.
 * @param now_ns wall clock: an expires in the past is an error; 0: it is none (at boot)
 * @return 0 or a negative errno with `e`
 */
int sl_policy_check(struct sl_policy *p, const struct sl_policy_limits *limits, uint64_t now_ns,
		    struct sl_error *e);

/**
 * Roles that name no id get the one they are known by, and new names the lowest ones that none of
 * the document and none of the known has. A written id wins: the role that is known by it, if it
 * writes none itself, is given another. Before sl_policy_check(), which looks for twins.
 * @param known names and ids that differ, `n` of them
 * @return 0, -ENOMEM no_memory
 */
int sl_policy_keep_role_ids(struct sl_policy *p, const struct sl_pol_role_id *known, unsigned n,
			    struct sl_error *e);
/**
 * What is known after a checked model came into force: its roles, in their order, then those of
 * `known` of which it has neither the name nor the id, until there are `max`; to be freed.
 * @return 0, -ENOMEM
 */
int sl_policy_role_ids(const struct sl_policy *p, const struct sl_pol_role_id *known, unsigned n,
		       unsigned max, struct sl_pol_role_id **out, unsigned *n_out);

/** How full the limits are, for the capacity warning at 80 %. */
struct sl_policy_use {
	unsigned prefixes, prefixes_cap, roles, roles_cap, rules_max, rules_cap;
};
void sl_policy_use(const struct sl_policy *p, const struct sl_policy_limits *limits,
		   struct sl_policy_use *out);

/** A lint: code (rule_shadowed, allow_any_any, role_without_members, role_without_rules,
 * zone_default_allow, bidir_opens_peer, ports_ignored, target_unused; shadow_unchecked where there
 * are too many rules to look at all), place and sentence. */
typedef void (*sl_policy_lint_fn)(void *ctx, const char *code, const char *path, const char *text);
/** Warnings of a checked model. @param now_ns rules and members that have ended are passed over */
void sl_policy_lint(const struct sl_policy *p, uint64_t now_ns, sl_policy_lint_fn fn, void *ctx);

/** Is there the peer that a member names? */
typedef bool (*sl_policy_peer_fn)(void *ctx, const struct sl_pol_member *m);
/** Warnings (peer_unknown) of members of a checked model that name peers which are not there: only
 * who has peers can tell. @param now_ns members that have ended are passed over */
void sl_policy_lint_peers(const struct sl_policy *p, uint64_t now_ns, sl_policy_peer_fn known,
			  void *known_ctx, sl_policy_lint_fn fn, void *ctx);

/** The earliest time after now at which a rule begins or ends, 0: none. */
uint64_t sl_policy_next_change(const struct sl_policy *p, uint64_t now_ns);

/* --- the one verdict function ------------------------------------------------------------------
 */

/** Votes of a subject's roles. All zero: no role, no vote. */
struct sl_votes {
	bool has_role; /* the subject has a role of its own (or a bidirectional rule voted) */
	bool any_deny, any_allow;
	uint32_t deny, allow; /* what decides: the first one noted */
};

/** Note the vote of one role; `ref` is whatever the caller calls the rule. */
static inline void
sl_votes_add(struct sl_votes *v, bool allow, uint32_t ref)
{
	if (allow && !v->any_allow)
		v->allow = ref;
	if (!allow && !v->any_deny)
		v->deny = ref;
	v->any_allow |= allow;
	v->any_deny |= !allow;
	v->has_role = true;
}

enum sl_why {
	SL_WHY_RULE,	     /* a rule decides */
	SL_WHY_ZONE_DEFAULT, /* no vote: the destination's zone */
	SL_WHY_NO_ROLE,	     /* the subject has no role */
	SL_WHY_MAP_ERROR,    /* the tables do not hold what they refer to: deny */
	SL_WHY_WITHDRAWN,    /* its target is reached another way: deny, in every mode */
};
/** rule, zone_default, no_role, map_error, withdrawn. */
const char *sl_why_text(unsigned why);

/** @param zone_allow default policy of the destination's zone; false where it lies in none */
static inline bool
sl_votes_decide(const struct sl_votes *v, bool zone_allow, enum sl_why *why)
{
	*why = v->any_deny || v->any_allow ? SL_WHY_RULE
	       : v->has_role		   ? SL_WHY_ZONE_DEFAULT
					   : SL_WHY_NO_ROLE;
	if (v->any_deny || !v->has_role)
		return false;
	return v->any_allow || zone_allow;
}

#endif
