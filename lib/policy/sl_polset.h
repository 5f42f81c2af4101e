/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A compiled policy: what of a model holds at one time, as immutable flat tables. No DPDK.
 *
 * Roles are numbered densely by their place in the model. Each rule becomes entries, one for each
 * combination of source prefix, destination prefix and port range, IPv4 and IPv6 apart, sorted by
 * (group, priority, deny first, rule): so the first entry of a group that matches is that role's
 * vote. A role has two groups: its rules as written, and its bidirectional rules mirrored
 * (addresses swapped, ports on the source side), which count only for flows that begin inside.
 *
 * lib/authz builds rte_acl contexts from the same entries; each is the other's oracle.
 */
#ifndef SL_POLSET_H
#define SL_POLSET_H

#include "sl_lpm.h"
#include "sl_policy.h"

#define SL_POL_NONE UINT32_MAX	 /* no rule, no entry */
#define SL_POL_NONE16 UINT16_MAX /* no role, zone, target */
#define SL_POL_GROUP(role, mirrored) ((uint16_t)((role) << 1 | (mirrored)))

struct sl_polset_rule {
	uint32_t id;
	uint16_t role; /* dense */
	uint8_t priority;
	bool allow, bidirectional;
	uint32_t log;	   /* as in the model: 0 none, 1 all, N one in N */
	uint32_t log_last; /* the last of 2^32 flow numbers that are recorded, unless log is 0 */
	uint32_t expires_tick; /* 0: never, or so far away that ticks would wrap */
	uint32_t role_id;      /* of the document */
};

/** Addresses in host order: IPv4 in lo. */
struct sl_polset_entry {
	uint64_t src_hi, src_lo, src_mask_hi, src_mask_lo;
	uint64_t dst_hi, dst_lo, dst_mask_hi, dst_mask_lo;
	uint8_t src_len, dst_len;
	uint16_t group; /* SL_POL_GROUP() */
	uint16_t iface; /* id; 0: any */
	uint16_t proto; /* SL_POL_PROTO_ANY */
	uint16_t sport_lo, sport_hi, dport_lo, dport_hi;
	uint32_t rule; /* place in rules[] */
	uint8_t priority;
	bool allow;
};

/** What an entry says: which rule, and if that allows. */
#define SL_POL_VOTE(rule, allow) ((uint32_t)(rule) << 1 | (uint32_t)(allow))

struct sl_polset_zone {
	uint32_t id;
	uint8_t type; /* enum sl_pol_zone_type */
	bool allow;
	char name[SL_POL_NAME];
};

struct sl_polset_name {
	uint32_t id; /* of a role; 0 for targets */
	char name[SL_POL_NAME];
};

/**
 * Destination -> zone and target (places in zones[] and targets[]) as seen by one interface. Of
 * equal prefixes those of targets that are not withdrawn go first, then the interface's own before
 * that of all interfaces, then the first one counts.
 */
struct sl_polset_where {
	struct sl_lpm zone[2], target[2]; /* IPv4, IPv6 */
};

struct sl_polset {
	uint64_t generation; /* of this compilation; never 0 */
	uint32_t version;    /* of the document */
	uint32_t n_rules;
	struct sl_polset_rule *rules;
	uint32_t n_entries[2];
	struct sl_polset_entry *entries[2]; /* IPv4, IPv6 */
	uint32_t *vote[2];		    /* SL_POL_VOTE() of each entry, close together */
	uint32_t n_groups;		    /* 2 * roles */
	uint32_t *group_first[2];	    /* [n_groups + 1]: entries of a group */
	uint16_t n_zones, n_targets, n_roles;
	struct sl_polset_zone *zones;
	struct sl_polset_name *targets, *roles;
	uint8_t *withdrawn;		/* [n_targets]: is it? NULL: none is */
	uint16_t n_where;		/* highest interface id + 1 that has one of its own */
	struct sl_polset_where **where; /* NULL: `common` */
	struct sl_polset_where common;	/* where of all other interfaces */
	uint64_t next_change_ns;	/* wall clock: compile anew then; 0: never */
	uint32_t first_end_tick;	/* the first end of its allow rules; 0: none ends */
	bool ends;			/* some rule does */
};

/** What the model's names and times mean at this gateway. */
struct sl_polset_env {
	uint64_t generation;
	uint64_t wall_ns;	  /* rules outside [not_before, expires) are left out */
	uint64_t wall_to_mono_ns; /* mono = wall - this; for expires_tick */
	/** Id of an interface by its name, 0: not here (its rules then match nothing). */
	uint16_t (*iface_id)(void *ctx, const char *name);
	void *ctx;
};

/**
 * Compile a checked model. Any thread. All rules keep their place in rules[]; entries have those
 * that hold now. Protocols are numbers: ICMP (1) and ICMPv6 (58) match only themselves, whatever
 * the IP version. @return NULL with an error: limit_entries (more than 2^24 entries, 32,767 roles
 * or 65,534 zones or targets), no_memory
 */
struct sl_polset *sl_polset_compile(const struct sl_policy *p, const struct sl_polset_env *env,
				    struct sl_error *e);
void sl_polset_free(struct sl_polset *s); /* NULL allowed */

static inline const struct sl_polset_where *
sl_polset_where(const struct sl_polset *s, unsigned iface)
{
	return iface < s->n_where && s->where[iface] != NULL ? s->where[iface] : &s->common;
}

/** A new flow as a rule sees it. */
struct sl_polset_flow {
	uint8_t version; /* 4 or 6 */
	uint8_t proto;
	uint16_t iface;
	const uint8_t *src, *dst; /* network order */
	uint16_t sport, dport;	  /* 0 where the protocol has none */
};

/**
 * The withdrawn target that a flow would reach, SL_POL_NONE16: none. The target is at the end that
 * is not the tunnel's: of a flow that begins inside its source; between peers the receiver. What
 * decides is the most specific target there.
 */
static inline uint16_t
sl_polset_withdrawn(const struct sl_polset *s, const struct sl_polset_flow *f, bool from_inside)
{
	const struct sl_polset_where *w = sl_polset_where(s, f->iface);
	uint32_t at;

	if (sl_likely(s->withdrawn == NULL)) /* few deployments move targets back */
		return SL_POL_NONE16;
	at = sl_lpm_lookup(&w->target[f->version == 6], from_inside ? f->src : f->dst);
	return at < s->n_targets && s->withdrawn[at] ? (uint16_t)at : SL_POL_NONE16;
}

/** First entry of a group that matches, or SL_POL_NONE: the plain scan. */
uint32_t sl_polset_scan(const struct sl_polset *s, unsigned group, const struct sl_polset_flow *f);

/** Does this entry, of the flow's IP version, match? For traces of explain. */
bool sl_polset_match(const struct sl_polset_entry *e, const struct sl_polset_flow *f);

/** An address of an entry as a flow holds it: 4 or 16 bytes in network order. */
static inline void
sl_polset_address(uint8_t *to, bool v6, uint64_t hi, uint64_t lo)
{
	if (!v6) {
		sl_store_be32(to, (uint32_t)lo);
		return;
	}
	sl_store_be64(to, hi);
	sl_store_be64(to + 8, lo);
}

/* --- who: role classes ---------------------------------------------------------------------------
 *
 * A class is one distinct list of (role, expiry, how), interned by the one writer of an identity.
 * Tables lead from a source prefix and from a peer id to a class; both are persistent tries, so a
 * change copies a path and never touches the rules. The array of classes is shared by the versions:
 * readers on other threads take from it only places that a table of their version holds. */

#define SL_CLASS_ROLES_MAX 1024

struct sl_class_role {
	uint16_t role;
	uint8_t source;	       /* enum sl_pol_source */
	uint8_t stale;	       /* served past its expiry because its provider is down */
	uint32_t expires_tick; /* 0: never */
};

struct sl_class {
	uint32_t stamp; /* unique among all classes ever made, never 0 */
	uint32_t refs;	/* w: writer */
	uint32_t at;	/* place in sl_identity.classes */
	uint16_t n;
	struct sl_class_role role[]; /* ascending by role */
};

struct sl_who {
	struct sl_lpm prefix[2]; /* source prefix -> class place */
};

/** One immutable version. */
struct sl_identity {
	uint64_t generation;
	uint32_t n_classes;
	const struct sl_class *const *classes; /* NULL holes */
	uint16_t n_ifaces;
	const struct sl_who *who; /* [n_ifaces] by interface id: own entries over those of "*" */
	struct sl_who any;	  /* interfaces beyond n_ifaces */
	struct sl_lpm peers;	  /* peer id (4 bytes, network order) -> class place */
};

static inline const struct sl_class *
sl_identity_class(const struct sl_identity *i, uint32_t at)
{
	return at < i->n_classes ? i->classes[at] : NULL;
}

/** Place of the class of the most specific prefix with a role, SL_LPM_NONE: none. */
static inline uint32_t
sl_identity_prefix_at(const struct sl_identity *i, unsigned iface, uint8_t version,
		      const uint8_t *src)
{
	const struct sl_who *w = iface < i->n_ifaces ? &i->who[iface] : &i->any;

	return sl_lpm_lookup(&w->prefix[version == 6], src);
}

static inline uint32_t
sl_identity_peer_at(const struct sl_identity *i, uint32_t peer_id)
{
	uint8_t key[4];

	sl_store_be32(key, peer_id);
	return sl_lpm_lookup4(&i->peers, key);
}

/** Class of the most specific prefix with a role, NULL: none. */
static inline const struct sl_class *
sl_identity_prefix(const struct sl_identity *i, unsigned iface, uint8_t version, const uint8_t *src)
{
	return sl_identity_class(i, sl_identity_prefix_at(i, iface, version, src));
}

static inline const struct sl_class *
sl_identity_peer(const struct sl_identity *i, uint32_t peer_id)
{
	return sl_identity_class(i, sl_identity_peer_at(i, peer_id));
}

struct sl_who_builder;

/**
 * The writer's side: which roles each prefix and peer has, by role and expiry; keeps the tries and
 * classes and makes versions. One thread. It knows no time: who adds a member takes it out when it
 * ends. Stamps are unique in the process, so a gateway may start a new builder for a new policy.
 *
 * The table of an interface: its own prefixes and those of "*"; where both have the same prefix,
 * the roles of both, and of one role in both the mapping that lasts longer. An interface without
 * prefixes of its own shares the table of "*"; its first one copies that.
 */
struct sl_who_builder *sl_who_new(void); /* NULL without memory */
/** With the present version, which nobody reads any more. Garbage may be freed later. */
void sl_who_free(struct sl_who_builder *b); /* NULL allowed */

struct sl_who_member {
	uint16_t iface; /* 0: "*" */
	bool is_peer;
	uint32_t peer_id;
	struct sl_prefix prefix;
	struct sl_class_role role;
};
/**
 * Add or replace (same holder and role). After an error everything is as before.
 * @return 0, -EINVAL (no prefix), -ENOMEM, -ENOSPC (roles of one holder)
 */
int sl_who_add(struct sl_who_builder *b, const struct sl_who_member *m);
/** Of the role only its number counts. @return 0, -ENOENT, -ENOMEM (it still has the role) */
int sl_who_del(struct sl_who_builder *b, const struct sl_who_member *m);
/** Does a prefix that is entered for "*" overlap this one? Host bits are ignored. */
bool sl_who_any_overlaps(const struct sl_who_builder *b, const struct sl_prefix *p);
/**
 * Make room for interface ids below n, so that each has a table of its own; sl_who_add() does it
 * by itself. @return 0, -EINVAL (more than 65,535), -ENOMEM
 */
int sl_who_ifaces(struct sl_who_builder *b, unsigned n);

/** What an old version alone refers to; freed after a grace period. */
struct sl_who_garbage;
/**
 * A new version of the present state. The caller publishes it and frees `old` (garbage of the
 * version before; NULL at the first) after its readers have left: sl_who_garbage_free(), in the
 * order of the versions, on the builder's thread.
 * @return NULL without memory (the former version stays valid; *old is NULL)
 */
const struct sl_identity *sl_who_publish(struct sl_who_builder *b, uint64_t generation,
					 struct sl_who_garbage **old);
void sl_who_garbage_free(struct sl_who_garbage *g); /* NULL allowed */

/* --- reference evaluation --------------------------------------------------------------------- */

/** One considered entry of a trace. */
struct sl_trace_role {
	uint16_t role;
	bool mirrored, expired;
	uint32_t entry; /* SL_POL_NONE: no vote */
};

struct sl_polset_query {
	struct sl_polset_flow flow;
	bool from_inside; /* the flow begins inside: D3 (b) */
	bool any_way;	  /* what roles and rules say, whichever way the target is reached */
	const struct sl_class *src_class;  /* of the inner source; NULL: none */
	const struct sl_class *peer_class; /* of the tunnel peer; NULL: none */
	uint32_t tick; /* roles and allow rules whose end is reached do not count; 0: all do */
};

struct sl_polset_answer {
	bool allow;
	uint8_t why;	       /* enum sl_why */
	uint32_t rule, entry;  /* SL_POL_NONE unless why is RULE */
	uint16_t zone, target; /* of the destination, SL_POL_NONE16: none; why is WITHDRAWN: the
				  target that is */
};

/**
 * The verdict by plain scans. From a tunnel the roles of both classes vote by their rules; from
 * inside those of src_class by their rules and those of peer_class by their mirrored rules, which
 * alone do not make the subject one with a role unless one of them votes.
 * @param trace room for `max` roles, may be NULL; @param n_trace how many were filled
 */
void sl_polset_eval(const struct sl_polset *s, const struct sl_polset_query *q,
		    struct sl_polset_answer *out, struct sl_trace_role *trace, unsigned max,
		    unsigned *n_trace);

#endif
