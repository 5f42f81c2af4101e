/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The migration ledger on the store: facts out of objects and reports, entries as objects.
 */
#ifndef SL_MIGRATION_H
#define SL_MIGRATION_H

#include "collector.h"
#include "sl_ledger.h"

#define MIGRATION_GATEWAYS 1024
#define MIGRATION_WINDOW_S 86400
#define MIGRATION_SCHEMA 2 /* of objects: the first that says to a gateway what is withdrawn */

/** Facts and the memory that they point to. */
struct migration_facts {
	struct sl_ledger_facts f;
	struct sl_ledger_gateway gateway[MIGRATION_GATEWAYS];
	struct sl_trend_mean baseline, now;
	json_t *names;			   /* of gateways */
	bool is_older[MIGRATION_GATEWAYS]; /* connected, and does not know withdrawn targets */
};

/**
 * Gather what is known about a target (NULL: the deployment alone).
 * @param connected as repl_view_all() has it, NULL: nobody; @param judge also count peers and ask
 * the evidence (slow)
 * @return 0 or a negative errno with `e`; migration_facts_free() in any case
 */
int migration_facts(struct sl_reports *r, struct sl_collector *c, const json_t *connected,
		    const char *target, bool judge, struct migration_facts *out,
		    struct sl_error *e);
void migration_facts_free(struct migration_facts *f);

/** The entry of a target; of one that has none: state vpn. New reference, NULL: no such target. */
json_t *migration_entry(struct sl_store *s, const char *target, uint64_t *rev);
json_t *migration_deployment(struct sl_store *s, uint64_t *rev);
/** Addresses of a target as prefixes, array of text. New reference. */
json_t *migration_prefixes(struct sl_store *s, const char *target);
/** Is the target reached through the tunnel, and does this peer get it? */
bool migration_distributes(const json_t *entry, const char *peer, const json_t *peer_body);
/** Let the entries follow what gateways enforce. */
void migration_follow(struct sl_reports *r, struct sl_collector *c, const struct sl_seal_key *key);

#endif
