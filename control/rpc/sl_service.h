/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Service roles: what a component or an operator may ask of sluiced and sluice-control. Never mixed
 * with the network roles of policy.
 *
 * Every operation, of JSON-RPC or REST, carries the set of roles that may call it (from its
 * schema); this is the one place that decides, below every transport, and what is not allowed is
 * denied.
 */
#ifndef SL_SERVICE_H
#define SL_SERVICE_H

#include "sl_base.h"

enum sl_service_role {
	SL_SR_ADMIN,
	SL_SR_OPERATOR,
	SL_SR_APPROVER,
	SL_SR_AUDITOR,
	SL_SR_VIEWER,
	SL_SR_FOLLOWER,
	SL_SR_GATEWAY,
	SL_SR_AGENT,
	SL_SR_PEER,
	SL_SR_N
};

#define SL_SR_BIT(r) (1u << (r))
#define SL_SR_ALL (SL_SR_BIT(SL_SR_N) - 1)
#define SL_PRINCIPAL_NAME 96
#define SL_BOUND_NAME 64

/** Who speaks: found from the socket, the certificate or the token, never from a message. */
struct sl_principal {
	char name[SL_PRINCIPAL_NAME]; /* "uid:0", "token:ab1…", "cert:gateway/gw-1"; for records */
	uint16_t roles;		      /* SL_SR_BIT() */
	char bound[SL_BOUND_NAME]; /* the gateway, follower, agent or peer it speaks for, or "" */
};

/** Who needs no login: the console, the configuration file; admin. */
extern const struct sl_principal sl_service_local;

/** Peers and agents, and nothing else? */
static inline bool
sl_service_peers_alone(uint16_t roles)
{
	return roles != 0 && (roles & ~(SL_SR_BIT(SL_SR_PEER) | SL_SR_BIT(SL_SR_AGENT))) == 0;
}

/** "admin" ... @return NULL for no role */
const char *sl_service_role_name(enum sl_service_role r);
/** @return 0 or -EINVAL */
int sl_service_role_parse(const char *name, enum sl_service_role *out);
/**
 * The roles that may, from a schema: names with blanks between; viewer, operator and admin stand
 * for themselves and what is above (viewer: also auditor, approver, operator, admin; operator: also
 * admin). "any": whoever is authenticated; "open": even who is not.
 * @return 0 or -EINVAL (a word that is none)
 */
int sl_service_roles_parse(const char *words, uint16_t *out, bool *open);
/** May it? Nobody (NULL) and an empty set are denied. */
bool sl_service_may(const struct sl_principal *who, uint16_t allowed);
/** Does `who` hold every role that it would give away, or one above it? A token makes none stronger
 * than itself. Above all is admin, above viewer are auditor, approver and operator; an operator,
 * who makes peers, may let a peer speak for itself. */
bool sl_service_may_grant(const struct sl_principal *who, uint16_t roles);

#endif
