/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The gateway of tx_fixture.h under a policy of pol_fixture.h: it enforces and keeps
 * records.
 */
#ifndef POL_TX_H
#define POL_TX_H

#include "pol_fixture.h"
#include "tx_fixture.h"

/** One worker; no document yet. */
struct fx *pol_begin(struct pol *p);
/** Ends its flows; the law of sl_record.h holds. */
void pol_end(struct pol *p, struct fx *x);
/** A packet out of a tunnel. @return whether it was forwarded to the inside */
bool pol_from_tunnel(struct fx *x, struct rte_mbuf *m);
/** A packet from the inside. @return whether it was sealed and sent */
bool pol_from_inside(struct fx *x, struct rte_mbuf *m);
/** So many were dropped for the reason, and nothing else happened. */
void pol_dropped(struct fx *x, enum sl_drop reason, uint64_t n);

#endif
