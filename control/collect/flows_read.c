/* SPDX-License-Identifier: BSD-3-Clause */
/* What is asked of the flow aggregates: rows, gaps, and what is dropped. */
#include <stdio.h>
#include <stdlib.h>

#include "db.h"
#include "flows_int.h"

#define DAY_S 86400

bool
flows_lies_in(const struct sl_flows_filter *q, const struct sl_flow_row *r)
{
	const struct sl_ip *far = r->from_inside ? &r->src : &r->dst;

	for (unsigned i = 0; i < q->n_to; i++)
		if (sl_prefix_contains(&q->to[i], far))
			return true;
	return q->n_to == 0;
}

/** A row and the room for its names, which do not outlive a step of the statement. */
struct held {
	struct sl_flow_row row;
	char gateway[64], interface[16], peer[64], role[64], rule[84], reason[44];
	bool full;
};

static void
hold(char *to, size_t room, sqlite3_stmt *st, int col)
{
	snprintf(to, room, "%s", db_text(st, col));
}

/** What was decided: the newest row of equal ones says. */
static void
take_decision(struct held *h, sqlite3_stmt *st)
{
	h->row.allowed = sqlite3_column_int(st, 9);
	h->row.would = sqlite3_column_int(st, 10);
	hold(h->role, sizeof(h->role), st, 11);
	hold(h->rule, sizeof(h->rule), st, 12);
	hold(h->reason, sizeof(h->reason), st, 13);
}

static void
take_first(struct held *h, sqlite3_stmt *st)
{
	h->row = (struct sl_flow_row){.gateway = h->gateway,
				      .interface = h->interface,
				      .peer = h->peer,
				      .role = h->role,
				      .rule = h->rule,
				      .reason = h->reason,
				      .proto = (uint8_t)sqlite3_column_int(st, 5),
				      .port = (uint16_t)sqlite3_column_int(st, 6),
				      .from_inside = sqlite3_column_int(st, 7),
				      .midstream = sqlite3_column_int(st, 8),
				      .first_s = INT64_MAX};
	hold(h->gateway, sizeof(h->gateway), st, 0);
	hold(h->interface, sizeof(h->interface), st, 1);
	hold(h->peer, sizeof(h->peer), st, 2);
	sl_ip_parse(db_text(st, 3), &h->row.src);
	sl_ip_parse(db_text(st, 4), &h->row.dst);
	h->full = true;
}

static void
add(struct held *h, sqlite3_stmt *st)
{
	take_decision(h, st);
	h->row.flows += (uint64_t)sqlite3_column_int64(st, 14);
	h->row.packets += (uint64_t)sqlite3_column_int64(st, 15);
	h->row.bytes += (uint64_t)sqlite3_column_int64(st, 16);
	h->row.first_s = SL_MIN(h->row.first_s, sqlite3_column_int64(st, 17));
	h->row.last_s = SL_MAX(h->row.last_s, sqlite3_column_int64(st, 18));
}

/** Is the statement's row that of another day of the one held? */
static bool
is_same(const struct held *h, sqlite3_stmt *st)
{
	struct sl_ip src, dst;

	return h->full && h->row.proto == sqlite3_column_int(st, 5) &&
	       h->row.port == sqlite3_column_int(st, 6) &&
	       h->row.from_inside == sqlite3_column_int(st, 7) &&
	       h->row.midstream == sqlite3_column_int(st, 8) &&
	       strcmp(h->gateway, db_text(st, 0)) == 0 &&
	       strcmp(h->interface, db_text(st, 1)) == 0 && strcmp(h->peer, db_text(st, 2)) == 0 &&
	       sl_ip_parse(db_text(st, 3), &src) == 0 && sl_ip_equal(&src, &h->row.src) &&
	       sl_ip_parse(db_text(st, 4), &dst) == 0 && sl_ip_equal(&dst, &h->row.dst);
}

int
sl_flows_walk(struct sl_flows *f, const struct sl_flows_filter *q,
	      bool (*fn)(void *ctx, const struct sl_flow_row *r), void *ctx, struct sl_error *e)
{
	sqlite3_stmt *st =
		db_prepare(f->db,
			   "SELECT gateway, interface, peer, src, dst, proto, port, inside, "
			   "midstream, allowed,"
			   " would, role, rule, reason, flows, packets, bytes, first, last"
			   " FROM flow WHERE day >= ?1 AND last >= ?2 AND (?3 IS NULL OR peer = ?3)"
			   " AND (?4 IS NULL OR gateway = ?4)"
			   " ORDER BY peer, dst, proto, port, src, gateway, interface, inside, "
			   "midstream, last",
			   e);
	struct held h = {0};
	bool more = true;
	int rc;

	if (!st)
		return -EIO;
	rc = db_run(st, "iitt", q->since_s / DAY_S, q->since_s, q->peer, q->gateway);
	while (rc == 1 && more) {
		if (!is_same(&h, st)) {
			if (h.full && flows_lies_in(q, &h.row))
				more = fn(ctx, &h.row);
			take_first(&h, st);
		}
		add(&h, st);
		rc = sqlite3_step(st);
		rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
	}
	if (rc < 0)
		db_failed(f->db, e);
	else if (h.full && more && flows_lies_in(q, &h.row))
		fn(ctx, &h.row);
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

/* --- gaps ----------------------------------------------------------------------------------- */

struct cover {
	int64_t covered_s, newest_gap_s, until_s;
	int64_t lost_rows, lost_flows;
};

/** Intervals of one gateway in the window, in order of their begin; they may overlap. */
static int
covered(struct sl_flows *f, const char *gateway, int64_t since_s, int64_t now_s, struct cover *c,
	struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(f->db,
				      "SELECT since, until FROM flow_cover WHERE gateway = ?1 AND "
				      "until >= ?2 ORDER BY since",
				      e);
	int64_t at = since_s;
	int rc;

	if (!st)
		return -EIO;
	for (rc = db_run(st, "ti", gateway, since_s); rc == 1;
	     rc = sqlite3_step(st) == SQLITE_ROW) {
		int64_t from = SL_MAX(sqlite3_column_int64(st, 0), at);
		int64_t to = SL_MIN(sqlite3_column_int64(st, 1), now_s);

		if (to <= at)
			continue;
		if (from > at)
			c->newest_gap_s = from;
		c->covered_s += to - from;
		at = to;
	}
	sqlite3_finalize(st);
	c->until_s = at;
	return SL_MIN(rc, 0);
}

static int
lost(struct sl_flows *f, const char *gateway, int64_t since_s, struct cover *c, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(f->db,
				      "SELECT sum(rows), sum(flows), max(at) FROM flow_gap WHERE "
				      "gateway = ?1 AND at >= ?2",
				      e);
	int rc = st ? db_run(st, "ti", gateway, since_s) : -EIO;

	if (rc == 1) {
		c->lost_rows = sqlite3_column_int64(st, 0);
		c->lost_flows = sqlite3_column_int64(st, 1);
		c->newest_gap_s = SL_MAX(c->newest_gap_s, sqlite3_column_int64(st, 2));
	}
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

json_t *
sl_flows_gaps(struct sl_flows *f, const json_t *gateways, int64_t since_s, int64_t now_s,
	      struct sl_error *e)
{
	json_t *out = json_array(), *name;
	size_t i;

	json_array_foreach (gateways, i, name) {
		const char *gw = json_string_value(name);
		struct cover c = {0};

		if (!gw)
			continue;
		if (covered(f, gw, since_s, now_s, &c, e) || lost(f, gw, since_s, &c, e)) {
			json_decref(out);
			return NULL;
		}
		json_array_append_new(out, json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "gateway",
						     gw, "covered_s", (json_int_t)c.covered_s,
						     "newest_gap_s", (json_int_t)c.newest_gap_s,
						     "lost_rows", (json_int_t)c.lost_rows,
						     "lost_flows", (json_int_t)c.lost_flows,
						     "silent_s", (json_int_t)(now_s - c.until_s)));
	}
	return out;
}

int64_t
sl_flows_prune(struct sl_flows *f, int64_t before_s, struct sl_error *e)
{
	static const char *const sql[] = {"DELETE FROM flow WHERE day < ?1 / 86400",
					  "DELETE FROM flow_gap WHERE at < ?1",
					  "DELETE FROM flow_cover WHERE until < ?1",
					  "DELETE FROM flow_next WHERE last < ?1"};
	int64_t rows = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(sql); i++) {
		sqlite3_stmt *st = db_prepare(f->db, sql[i], e);

		rc = st ? db_run(st, "i", before_s) : -EIO;
		rows += rc == 0 && i == 0 ? sqlite3_changes(f->db) : 0;
		sqlite3_finalize(st);
	}
	return rc ? db_failed(f->db, e) : rows;
}
