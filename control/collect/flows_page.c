/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows as they are kept, a page at a time. */
#include <stdio.h>

#include "db.h"
#include "flows_int.h"

#define DAY_S 86400

/* the newest day first, by its index */
/* clang-format off */
static const char sql[] =
	"SELECT gateway, interface, peer, src, dst, proto, port, inside, midstream, day, allowed, would, role, rule, reason,"
	" flows, packets, bytes, first, last FROM flow WHERE day >= ?1"
	" AND (day, gateway, interface, peer, src, dst, proto, port, inside, midstream) < (?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)"
	" ORDER BY day DESC, gateway DESC, interface DESC, peer DESC, src DESC, dst DESC, proto DESC, port DESC, inside DESC,"
	" midstream DESC LIMIT ?12";
/* clang-format on */

/** Names are the statement's until its next step. */
static void
row_of(sqlite3_stmt *st, struct sl_flow_row *r)
{
	*r = (struct sl_flow_row){
		.gateway = db_text(st, 0),
		.interface = db_text(st, 1),
		.peer = db_text(st, 2),
		.proto = (uint8_t)sqlite3_column_int(st, 5),
		.port = (uint16_t)sqlite3_column_int(st, 6),
		.from_inside = sqlite3_column_int(st, 7),
		.midstream = sqlite3_column_int(st, 8),
		.allowed = sqlite3_column_int(st, 10),
		.would = sqlite3_column_int(st, 11),
		.role = db_text(st, 12),
		.rule = db_text(st, 13),
		.reason = db_text(st, 14),
		.flows = (uint64_t)sqlite3_column_int64(st, 15),
		.packets = (uint64_t)sqlite3_column_int64(st, 16),
		.bytes = (uint64_t)sqlite3_column_int64(st, 17),
		.first_s = sqlite3_column_int64(st, 18),
		.last_s = sqlite3_column_int64(st, 19),
	};
	sl_ip_parse(db_text(st, 3), &r->src);
	sl_ip_parse(db_text(st, 4), &r->dst);
}

static void
key_of(sqlite3_stmt *st, const struct sl_flow_row *r, struct sl_flows_key *k)
{
	*k = (struct sl_flows_key){.day = sqlite3_column_int64(st, 9),
				   .proto = r->proto,
				   .port = r->port,
				   .inside = r->from_inside,
				   .midstream = r->midstream};
	snprintf(k->gateway, sizeof(k->gateway), "%s", r->gateway);
	snprintf(k->interface, sizeof(k->interface), "%s", r->interface);
	snprintf(k->peer, sizeof(k->peer), "%s", r->peer);
	snprintf(k->src, sizeof(k->src), "%s", db_text(st, 3));
	snprintf(k->dst, sizeof(k->dst), "%s", db_text(st, 4));
}

static bool
is_verdict(enum sl_flows_verdict wanted, bool allowed)
{
	return wanted == SL_FLOWS_ANY || (wanted == SL_FLOWS_ALLOWED) == allowed;
}

static bool
is_wanted(const struct sl_flows_page *q, const struct sl_flow_row *r)
{
	return r->last_s >= q->of.since_s && r->last_s <= q->until_s &&
	       is_verdict(q->verdict, r->allowed) && is_verdict(q->would, r->would) &&
	       (!q->of.peer || strcmp(q->of.peer, r->peer) == 0) &&
	       (!q->of.gateway || strcmp(q->of.gateway, r->gateway) == 0) &&
	       flows_lies_in(&q->of, r);
}

static int
begin(sqlite3_stmt *st, const struct sl_flows_page *q)
{
	struct sl_flows_key from = {.day = q->until_s / DAY_S + 1};

	if (q->after && q->after->day <= from.day)
		from = *q->after;
	return db_run(st,
		      "iittttt"
		      "iiii"
		      "i",
		      q->of.since_s / DAY_S, from.day, from.gateway, from.interface, from.peer,
		      from.src, from.dst, from.proto, from.port, from.inside, from.midstream,
		      (int64_t)q->scan + 1);
}

int
sl_flows_page(struct sl_flows *f, const struct sl_flows_page *q,
	      bool (*fn)(void *ctx, const struct sl_flow_row *r), void *ctx,
	      struct sl_flows_key *last, bool *more, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(f->db, sql, e);
	struct sl_flow_row r;
	unsigned n = 0;
	int rc;

	*more = false;
	if (!st)
		return -EIO;
	rc = begin(st, q);
	while (rc == 1) {
		row_of(st, &r);
		*more = n++ == q->scan || (is_wanted(q, &r) && !fn(ctx, &r));
		if (*more)
			break;
		key_of(st, &r, last);
		rc = sqlite3_step(st);
		rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
	}
	if (rc < 0)
		db_failed(f->db, e);
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}
