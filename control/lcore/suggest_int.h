/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside of the suggestions (evidence_suggest.h): merging is one half, the document the
 * other. */
#ifndef SL_SUGGEST_INT_H
#define SL_SUGGEST_INT_H

#include "evidence_suggest.h"

#define SG_NONE (-1000) /* no role can be given without opening more than was seen */
#define SG_FULL (-1001) /* a policy has no room for more roles */

/** A rule in the making; lists have commas. */
struct sg_item {
	int role; /* place in the policy's roles, behind them those that are new */
	uint8_t version, proto;
	uint16_t port; /* the last one */
	char *src, *dst, *ports;
	char iface[16]; /* of the first flow */
	uint32_t *who;	/* distinct peers */
	unsigned n_who;
	uint64_t flows, first_ns, last_ns;
};

/** A role for somebody who has none. */
struct sg_role {
	char name[SL_POL_NAME];
	uint32_t who;	  /* from a tunnel */
	bool inside;	  /* or a host inside */
	struct sl_ip src; /* its address */
	json_t *members;
	json_t *known;	    /* texts that are in the lists already */
	json_t *sources[2]; /* prefixes by IP version, for the rule that closes allowing zones */
};

struct sg {
	struct ev_suggest_conf c;
	struct sl_policy *policy; /* that of the document, NULL: none */
	struct sg_item *item;
	unsigned n;
	bool many_ifaces;
	bool zone_allows; /* some zone's default is allow */
	struct sg_role *role;
	unsigned n_roles, cap_roles;
	json_t *left_out; /* {reason, flows, peer, src, dst, protocol, port, rule} */
};

void sg_begin(struct sg *s);
void sg_end(struct sg *s);
/** Place of the new role of this flow's subject, SG_NONE, SG_FULL or -ENOMEM. */
int sg_new_role(struct sg *s, const struct ev_flow *f);
void sg_leave(struct sg *s, const struct ev_flow *f, const char *reason);
/** The answer: rules, tests, left_out, candidate. */
json_t *sg_document(struct sg *s);

#endif
