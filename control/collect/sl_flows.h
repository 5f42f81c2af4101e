/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Flow aggregates of all gateways: the evidence of the whole installation. Rows are folded by day;
 * each counts once, for a gateway numbers what it sends; what was lost on the way is kept as gaps,
 * so that no answer claims more than was seen. Inner addresses only.
 *
 * Tables of the data store, not of its log. One thread; calls block for disk. Wall-clock seconds.
 */
#ifndef SL_FLOWS_H
#define SL_FLOWS_H

#include <jansson.h>
#include <sqlite3.h>

#include "sl_addr.h"
#include "sl_error.h"

#define SL_FLOWS_DAYS 30
/* rows; beyond it the oldest days go: those of a gateway that has more than a quarter, else all
 * gateways' */
#define SL_FLOWS_MAX 1000000

struct sl_flows;

/** @return NULL with store_io or no_memory */
struct sl_flows *sl_flows_new(sqlite3 *db, struct sl_error *e);
void sl_flows_free(struct sl_flows *f); /* NULL allowed */
/** Rows to keep; 0: SL_FLOWS_MAX. */
void sl_flows_set_max(struct sl_flows *f, uint64_t rows);
/** Pushes of a transaction of the caller's were not committed: what was counted is counted anew. */
void sl_flows_forget(struct sl_flows *f);

/** A push as log.push of control.json has it. */
struct sl_flows_push {
	const char *gateway, *boot;
	uint64_t first;	      /* number of the first row */
	uint64_t lost_before; /* rows that were dropped before it */
	uint64_t lost_flows;  /* flows that no row holds */
	int64_t from_s, to_s; /* what these rows cover; 0: untold */
	json_t *rows;
};
/**
 * Take a push: all of it or nothing. Rows that came before are passed over.
 * @param[out] acked number of the last row that is kept
 * @return 0; -EINVAL with the path of the row (row_invalid, ...); -EIO
 */
int sl_flows_push(struct sl_flows *f, const struct sl_flows_push *p, int64_t now_s, uint64_t *acked,
		  struct sl_error *e);

/** Equal rows of the days of a window. */
struct sl_flow_row {
	const char *gateway, *interface, *peer; /* peer "": none */
	struct sl_ip src, dst;			/* of the initiator's direction */
	uint8_t proto;
	uint16_t port; /* of the destination */
	bool from_inside, midstream;
	bool allowed, would; /* what happened; what policy said, when it was last seen */
	const char *role, *rule, *reason;
	uint64_t flows, packets, bytes;
	int64_t first_s, last_s;
};
struct sl_flows_filter {
	int64_t since_s;
	const struct sl_prefix
		*to; /* the address that is not the peer's lies in one; NULL: anywhere */
	unsigned n_to;
	const char *peer, *gateway; /* NULL: all */
};
/** In the order of peer, destination, service. fn returns false to stop. */
int sl_flows_walk(struct sl_flows *f, const struct sl_flows_filter *q,
		  bool (*fn)(void *ctx, const struct sl_flow_row *r), void *ctx,
		  struct sl_error *e);

/** Names a row: it stays where it is however often it is added to. */
struct sl_flows_key {
	int64_t day; /* since 1970 */
	char gateway[64], interface[16], peer[64], src[SL_IP_STR], dst[SL_IP_STR];
	int64_t proto, port, inside, midstream;
};
enum sl_flows_verdict { SL_FLOWS_ANY, SL_FLOWS_ALLOWED, SL_FLOWS_DENIED };
struct sl_flows_page {
	struct sl_flows_filter of; /* seen for the last time at or after its since_s ... */
	int64_t until_s;	   /* ... and not after this */
	enum sl_flows_verdict verdict, would;
	const struct sl_flows_key *after; /* where the page before ended; NULL: the first */
	unsigned scan;			  /* look at so many rows at most */
};
/**
 * Rows as they are kept, one for each day; the newest day first. fn returns false where there is no
 * room for the row, which is then the first one of the next page.
 * @param[out] last where it ended; @param[out] more there may be rows behind that
 */
int sl_flows_page(struct sl_flows *f, const struct sl_flows_page *q,
		  bool (*fn)(void *ctx, const struct sl_flow_row *r), void *ctx,
		  struct sl_flows_key *last, bool *more, struct sl_error *e);

/** What is missing in a window, by gateway: array of {gateway, covered_s, newest_gap, lost_rows,
 * lost_flows, silent_s}. @param gateways names that should have told; array of text */
json_t *sl_flows_gaps(struct sl_flows *f, const json_t *gateways, int64_t since_s, int64_t now_s,
		      struct sl_error *e);
/** Drop days before. @return rows, or -EIO */
int64_t sl_flows_prune(struct sl_flows *f, int64_t before_s, struct sl_error *e);

#endif
