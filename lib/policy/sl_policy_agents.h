/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Networks of agents against the zones of a document. A control plane gives each agent a network;
 * addresses in it are behind tunnels whatever a wider network of the document says. So it makes a
 * zone of its own for them, of type vpn and with the default policy deny: the smallest network
 * wins. An agent reaches no more through it, and nobody reaches an agent through it.
 */
#ifndef SL_POLICY_AGENTS_H
#define SL_POLICY_AGENTS_H

#include "sl_policy.h"

/** What the zone is called. No document for a control plane holds it. */
#define SL_POL_AGENT_ZONE "agent-networks"

/**
 * The document's zone of a whole prefix as an interface sees it: of the smallest network that holds
 * it, of equal ones the interface's own. The zone of agents' networks does not count.
 * @param iface "": networks of all interfaces alone
 * @param[out] net that network, may be NULL
 */
const struct sl_pol_zone *sl_policy_zone_of(const struct sl_policy *p, const char *iface,
					    const struct sl_prefix *x,
					    const struct sl_pol_place **net);
/** An internal zone that some of the prefix lies in even where all of it is given to another zone:
 * by a smaller network, or by the same of this interface. NULL: none */
const struct sl_pol_zone *sl_policy_internal_inside(const struct sl_policy *p, const char *iface,
						    const struct sl_prefix *x);
/**
 * The zone for networks of agents beside those of a checked document: each but those that lie in a
 * zone of type vpn already, or that another zone names itself. Without any it has no networks.
 * @param nets any order, some perhaps twice
 * @param[out] out its nets are to be freed; an id that no other zone has
 * @return 0, -ENOMEM
 */
int sl_policy_agent_zone(const struct sl_policy *p, const struct sl_pol_place *nets, unsigned n,
			 struct sl_pol_zone *out);
/** Add that zone to the model, unless it holds one of that name. @return 0, -ENOMEM */
int sl_policy_add_agents(struct sl_policy *p, const struct sl_pol_place *nets, unsigned n);
/** @return 0; -EINVAL zone_reserved: the document holds a zone of that name */
int sl_policy_no_agent_zone(const struct sl_policy *p, struct sl_error *e);
/** @return 0; -EINVAL pool_in_internal_zone: addresses in the network of an agent would be
 * internal */
int sl_policy_agents_fit(const struct sl_policy *p, const struct sl_pol_place *nets, unsigned n,
			 struct sl_error *e);

#endif
