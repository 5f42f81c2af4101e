/* SPDX-License-Identifier: BSD-3-Clause */
/* Pushes of gateways: each row counts once, whatever is sent again; what is lost is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_flows.h"

#define T0 1800000000 /* 2027-01-15T08:00:00Z */

static sqlite3 *db;
static struct sl_flows *f;

static int
setup(void **state)
{
	struct sl_error e;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	f = sl_flows_new(db, &e);
	return f ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	sl_flows_free(f);
	sqlite3_close(db);
	return 0;
}

static json_t *
row(const char *peer, const char *dst, int port, int flows, const char *last, const char *would)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:i, s:i, s:i, s:s, s:s, "
			 "s:s, s:s, s:s}",
			 "interface", "wg0", "peer", peer, "src", "10.7.0.2", "dst", dst,
			 "protocol", 6, "port", port, "from", "tunnel", "verdict", "allow", "would",
			 would, "flows", flows, "packets", 10 * flows, "bytes", 1000 * flows,
			 "first", "2027-01-15T08:00:00Z", "last", last, "role", "eng", "rule",
			 strcmp(would, "allow") == 0 ? "eng/1" : "", "reason",
			 strcmp(would, "allow") == 0 ? "rule" : "no_rule");
}

static int
push(uint64_t first, uint64_t lost_before, json_t *rows, uint64_t *acked)
{
	struct sl_flows_push p = {.gateway = "gw1",
				  .boot = "b1",
				  .first = first,
				  .lost_before = lost_before,
				  .from_s = T0 + (int64_t)first * 10,
				  .to_s = T0 + (int64_t)first * 10 + 10,
				  .rows = rows};
	struct sl_error e = {0};
	int rc = sl_flows_push(f, &p, T0 + 100, acked, &e);

	json_decref(rows);
	return rc;
}

struct seen {
	unsigned n;
	uint64_t flows, bytes;
	bool would;
	char rule[80];
	int64_t first, last;
};

static bool
note(void *ctx, const struct sl_flow_row *r)
{
	struct seen *s = ctx;

	s->n++;
	s->flows += r->flows;
	s->bytes += r->bytes;
	s->would = r->would;
	s->first = r->first_s;
	s->last = r->last_s;
	snprintf(s->rule, sizeof(s->rule), "%s", r->rule);
	return true;
}

static struct seen
all(const struct sl_flows_filter *q)
{
	static const struct sl_flows_filter any;
	struct seen s = {0};
	struct sl_error e;

	assert_int_equal(sl_flows_walk(f, q ? q : &any, note, &s, &e), 0);
	return s;
}

static void
counts_once(void **state)
{
	uint64_t acked;
	json_t *rows =
		json_pack("[o, o]",
			  row("alice", "10.20.0.10", 443, 3, "2027-01-15T08:01:00Z", "deny"),
			  row("alice", "10.20.0.10", 22, 1, "2027-01-15T08:01:00Z", "allow"));
	json_t *again = json_deep_copy(rows);
	struct seen s;

	(void)state;
	assert_int_equal(push(0, 0, rows, &acked), 0);
	assert_int_equal(acked, 1);
	assert_int_equal(push(0, 0, again, &acked), 0); /* the answer was lost, all is sent again */
	assert_int_equal(acked, 1);
	/* one that is known and one that is new; of the next day, with another verdict */
	rows = json_pack("[o, o]",
			 row("alice", "10.20.0.10", 22, 1, "2027-01-15T08:01:00Z", "allow"),
			 row("alice", "10.20.0.10", 443, 5, "2027-01-16T08:01:00Z", "allow"));
	assert_int_equal(push(1, 0, rows, &acked), 0);
	assert_int_equal(acked, 2);
	s = all(NULL);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.flows, 9);
	assert_int_equal(s.bytes, 9000);
	/* sorted by port: 443 is the last; the newest row says what was decided */
	assert_true(s.would);
	assert_string_equal(s.rule, "eng/1");
	assert_int_equal(s.first, T0);
	assert_int_equal(s.last, T0 + 86400 + 60);
}

struct page {
	unsigned n, room;
	unsigned port[8];
	bool would[8];
};

static bool
put(void *ctx, const struct sl_flow_row *r)
{
	struct page *p = ctx;

	if (p->n == p->room)
		return false;
	p->would[p->n] = r->would;
	p->port[p->n++] = r->port;
	return true;
}

static struct page
page(struct sl_flows_page q, unsigned room, struct sl_flows_key *last, bool *more)
{
	struct page p = {.room = room};
	struct sl_error e;

	q.scan = q.scan ? q.scan : 1000;
	q.until_s = q.until_s ? q.until_s : INT64_MAX;
	assert_int_equal(sl_flows_page(f, &q, put, &p, last, more, &e), 0);
	return p;
}

/** Each row once, the newest day first, whatever a page holds or looks at. */
static void
pages(void **state)
{
	struct sl_flows_key last = {0}, after;
	struct page p;
	uint64_t acked;
	bool more;
	json_t *rows = json_pack("[o, o, o, o]",
				 row("alice", "10.20.0.10", 1, 1, "2027-01-15T08:01:00Z", "deny"),
				 row("bob", "10.20.0.10", 2, 1, "2027-01-15T08:01:00Z", "allow"),
				 row("bob", "10.20.0.10", 2, 1, "2027-01-16T08:01:00Z", "deny"),
				 row("alice", "10.20.0.11", 4, 1, "2027-01-17T08:01:00Z", "allow"));

	(void)state;
	p = page((struct sl_flows_page){.of = {0}}, 8, &last, &more);
	assert_int_equal(p.n, 0);
	assert_false(more);
	assert_int_equal(push(0, 0, rows, &acked), 0);
	p = page((struct sl_flows_page){.of = {0}}, 8, &last, &more);
	assert_int_equal(p.n, 4);
	assert_int_equal(p.port[0], 4);
	assert_int_equal(p.port[1], 2);
	assert_false(p.would[1]); /* each day has its own verdict */
	assert_true(p.would[2]);
	assert_int_equal(p.port[3], 1);
	assert_false(more);
	p = page((struct sl_flows_page){.of = {0}}, 3, &last, &more);
	assert_true(more);
	after = last;
	p = page((struct sl_flows_page){.after = &after}, 3, &last, &more);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.port[0], 1);
	assert_false(more);
	/* a page that looks at two rows, neither of which is wanted, goes on behind them */
	p = page((struct sl_flows_page){.of.peer = "alice", .scan = 2}, 8, &last, &more);
	assert_int_equal(p.n, 1);
	assert_true(more);
	after = last;
	p = page((struct sl_flows_page){.of.peer = "alice", .scan = 1, .after = &after}, 8, &last,
		 &more);
	assert_int_equal(p.n, 0);
	assert_true(more);
	after = last;
	p = page((struct sl_flows_page){.of.peer = "alice", .scan = 1, .after = &after}, 8, &last,
		 &more);
	assert_int_equal(p.n, 1);
	assert_false(more);
	p = page((struct sl_flows_page){.would = SL_FLOWS_DENIED}, 8, &last, &more);
	assert_int_equal(p.n, 2);
	p = page((struct sl_flows_page){.verdict = SL_FLOWS_DENIED}, 8, &last, &more);
	assert_int_equal(p.n, 0);
	p = page((struct sl_flows_page){.of.since_s = T0 + 86400 + 60, .until_s = T0 + 86400 + 60},
		 8, &last, &more);
	assert_int_equal(p.n, 1);
	p = page((struct sl_flows_page){.of.since_s = T0 + 86400 + 61}, 8, &last, &more);
	assert_int_equal(p.n, 1);
	assert_int_equal(p.port[0], 4);
	p = page((struct sl_flows_page){.until_s = T0 + 86400 + 59}, 8, &last, &more);
	assert_int_equal(p.n, 2);
}

/** The cursor leads into the index: a page costs what it looks at, however many rows there are. */
static void
pages_by_index(void **state)
{
	uint64_t acked;
	char dst[32];
	json_t *rows = json_array();
	struct sl_flows_key last, after = {0};
	unsigned n = 0;
	bool more = true;

	(void)state;
	for (int i = 0; i < 3000; i++) {
		snprintf(dst, sizeof(dst), "10.20.%d.%d", i / 250, i % 250);
		json_array_append_new(rows,
				      row("alice", dst, 1, 1, "2027-01-15T08:01:00Z", "deny"));
	}
	assert_int_equal(push(0, 0, rows, &acked), 0);
	sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_HIT, &(int){0}, &(int){0}, 1);
	for (bool first = true; more; first = false) {
		struct page p = page((struct sl_flows_page){.after = first ? NULL : &after}, 8,
				     &last, &more);
		int hits, top;

		n += p.n;
		after = last;
		sqlite3_db_status(db, SQLITE_DBSTATUS_CACHE_HIT, &hits, &top, 1);
		assert_in_range(hits, 0, 60); /* the table has some 100 pages */
	}
	assert_int_equal(n, 3000);
}

static void
filters(void **state)
{
	struct sl_prefix p;
	struct sl_flows_filter q = {.to = &p, .n_to = 1};
	uint64_t acked;

	(void)state;
	assert_int_equal(
		push(0, 0,
		     json_pack("[o, o, o]",
			       row("alice", "10.20.0.10", 443, 3, "2027-01-15T08:01:00Z", "deny"),
			       row("bob", "10.20.1.10", 443, 1, "2027-01-15T08:01:00Z", "deny"),
			       row("bob", "10.20.1.11", 443, 1, "2027-01-15T09:01:00Z", "deny")),
		     &acked),
		0);
	assert_int_equal(sl_prefix_parse("10.20.1.0/24", &p), 0);
	assert_int_equal(all(&q).n, 2);
	q.since_s = T0 + 1800;
	assert_int_equal(all(&q).n, 1);
	assert_int_equal(all(&(struct sl_flows_filter){.peer = "alice"}).n, 1);
	assert_int_equal(all(&(struct sl_flows_filter){.gateway = "gw2"}).n, 0);
}

static json_int_t
gap(const char *what, int64_t now)
{
	json_t *names = json_pack("[s, s]", "gw1", "gw9"), *g;
	struct sl_error e;
	json_int_t v;

	g = sl_flows_gaps(f, names, T0, now, &e);
	assert_non_null(g);
	assert_int_equal(json_array_size(g), 2); /* one that never told anything is told too */
	assert_int_equal(json_integer_value(json_object_get(json_array_get(g, 1), "covered_s")), 0);
	v = json_integer_value(json_object_get(json_array_get(g, 0), what));
	json_decref(g);
	json_decref(names);
	return v;
}

static void
gaps(void **state)
{
	uint64_t acked;

	(void)state;
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(push(i, 0,
				      json_pack("[o]", row("alice", "10.20.0.10", 443, 1,
							   "2027-01-15T08:01:00Z", "deny")),
				      &acked),
				 0);
	assert_int_equal(gap("covered_s", T0 + 40), 30);
	assert_int_equal(gap("lost_rows", T0 + 40), 0);
	assert_int_equal(gap("silent_s", T0 + 40), 10);
	/* rows 3 and 4 never came, whatever the gateway thinks */
	assert_int_equal(push(5, 0,
			      json_pack("[o]", row("alice", "10.20.0.10", 443, 1,
						   "2027-01-15T08:01:00Z", "deny")),
			      &acked),
			 0);
	assert_int_equal(gap("lost_rows", T0 + 60), 2);
	assert_int_equal(gap("covered_s", T0 + 60), 40);
	assert_int_equal(gap("newest_gap_s", T0 + 60), T0 + 50);
	/* the gateway had to drop 100 */
	assert_int_equal(push(106, 100,
			      json_pack("[o]", row("alice", "10.20.0.10", 443, 1,
						   "2027-01-15T08:01:00Z", "deny")),
			      &acked),
			 0);
	assert_int_equal(gap("lost_rows", T0 + 60), 102);
	assert_int_equal(acked, 106);
}

static void
refuses(void **state)
{
	static const char *const bad[][2] = {
		{"src", "10.7.0"},
		{"dst", "fd00::1"},
		{"first", "yesterday"},
		{"last", "2026-01-15T08:00:00Z"},
		{"peer", "a-name-that-is-longer-than-sixty-three-characters-in-a-row-0123456789"}};
	uint64_t acked;

	(void)state;
	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		json_t *good = row("alice", "10.20.0.10", 443, 1, "2027-01-15T08:01:00Z", "deny"),
		       *one = json_deep_copy(good);
		struct sl_flows_push p = {.gateway = "gw1",
					  .boot = "b1",
					  .rows = json_pack("[o, o]", good, one)};
		struct sl_error e = {0};

		json_object_set_new(one, bad[i][0], json_string(bad[i][1]));
		assert_int_equal(sl_flows_push(f, &p, T0, &acked, &e), -EINVAL);
		assert_string_equal(e.path, "/rows/1");
		json_decref(p.rows);
	}
	assert_int_equal(all(NULL).n, 0); /* not even the good row before it */
}

static void
forgets(void **state)
{
	struct sl_error e;
	uint64_t acked;

	(void)state;
	push(0, 0,
	     json_pack("[o, o]", row("alice", "10.20.0.10", 443, 1, "2027-01-15T08:01:00Z", "deny"),
		       row("alice", "10.20.0.10", 443, 1, "2027-01-17T08:01:00Z", "deny")),
	     &acked);
	assert_int_equal(sl_flows_prune(f, T0 + 86400, &e), 1);
	assert_int_equal(all(NULL).n, 1);
}

/** The table has a bound: the oldest day goes, and is told as lost. */
static void
bounded(void **state)
{
	uint64_t acked, n = 0;

	(void)state;
	sl_flows_set_max(f, 100);
	for (int day = 15; day < 18; day++)
		for (int i = 0; i < 40; i++) {
			char last[32];

			snprintf(last, sizeof(last), "2027-01-%dT08:01:00Z", day);
			assert_int_equal(push(n++, 0,
					      json_pack("[o]",
							row("alice", "10.20.0.10",
							    1000 + 100 * day + i, 1, last, "deny")),
					      &acked),
					 0);
		}
	assert_int_equal(all(NULL).n, 80); /* of 120: the first day went when the 101st came */
	assert_int_equal(gap("lost_rows", T0 + 100), 40);
	/* one push that would not fit beside anything: what was there goes */
	sl_flows_set_max(f, 3);
	assert_int_equal(push(n, 0,
			      json_pack("[o]", row("alice", "10.20.0.10", 1, 1,
						   "2027-01-18T08:01:00Z", "deny")),
			      &acked),
			 0);
	assert_int_equal(all(NULL).n, 1);
}

static int64_t
count_of(const char *sql)
{
	sqlite3_stmt *st;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return n;
}

static int
push_of(const char *gateway, uint64_t first, uint64_t lost, int64_t from_s)
{
	struct sl_flows_push p = {.gateway = gateway,
				  .boot = "b1",
				  .first = first,
				  .lost_before = lost,
				  .from_s = from_s,
				  .to_s = from_s + 1,
				  .rows = json_pack("[o]", row("alice", "10.20.0.10", 443, 1,
							       "2027-01-15T08:01:00Z", "deny"))};
	struct sl_error e = {0};
	uint64_t acked;
	int rc = sl_flows_push(f, &p, T0 + 100, &acked, &e);

	json_decref(p.rows);
	return rc;
}

/** Gaps and covered times are what a gateway says: a bounded number of each is kept. What is
 * folded is lost at a later time than it was, never at none.
 */
static void
bounded_words(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_int_equal(push_of("gw2", 0, 7, T0), 0);
	for (; n < 25000; n++)
		assert_int_equal(push_of("gw1", n, n < 5000 ? 3 : 0, T0 + (int64_t)n * 10), 0);
	assert_in_range(count_of("SELECT count(*) FROM flow_gap WHERE gateway = 'gw1'"), 870, 1000);
	assert_int_equal(count_of("SELECT sum(rows) FROM flow_gap WHERE gateway = 'gw1'"), 15000);
	assert_int_equal(gap("lost_rows", T0 + 250000), 15000);
	/* in the window of the last 500 gaps there are no fewer */
	assert_int_equal(count_of("SELECT sum(rows) FROM flow_gap WHERE gateway = 'gw1' AND at >= "
				  "1800045000"),
			 1500);
	assert_in_range(count_of("SELECT count(*) FROM flow_cover WHERE gateway = 'gw1'"), 17400,
			20000);
	assert_int_equal(count_of("SELECT max(until) FROM flow_cover WHERE gateway = 'gw1'"),
			 T0 + 249990 + 1);
	/* another's are its own; a number without end does not make sums fail */
	assert_int_equal(count_of("SELECT sum(rows) FROM flow_gap WHERE gateway = 'gw2'"), 7);
	for (uint64_t i = 0; i < 2500; i++)
		assert_int_equal(push_of("gw1", n++, (uint64_t)1 << 53, T0 + 300000), 0);
	assert_true(gap("lost_rows", T0 + 300000) > 1LL << 50);
}

/** A push of n rows of a gateway, on ports from `port` on, each of them of so many flows. */
static int
push_rows(const char *gateway, uint64_t first, int n, int port, json_int_t flows, const char *last)
{
	struct sl_flows_push p = {.gateway = gateway,
				  .boot = "b1",
				  .first = first,
				  .rows = json_array()};
	struct sl_error e = {0};
	uint64_t acked;
	int rc;

	for (int i = 0; i < n; i++) {
		json_t *r = row("alice", "10.20.0.10", port + i, 1, last, "deny");

		json_object_set_new(r, "flows", json_integer(flows));
		json_array_append_new(p.rows, r);
	}
	rc = sl_flows_push(f, &p, T0 + 100, &acked, &e);
	json_decref(p.rows);
	return rc;
}

/** One gateway that tells too much takes nothing away from what others told, whatever days it
 * names. */
static void
bounded_for_each(void **state)
{
	char last[32];

	(void)state;
	sl_flows_set_max(f, 1000);
	assert_int_equal(push_rows("gw2", 0, 200, 1000, 1, "2027-01-15T08:01:00Z"), 0);
	for (int i = 0; i < 50; i++) {
		snprintf(last, sizeof(last), "%d-01-16T08:01:00Z", i % 2 ? 9000 : 2027);
		assert_int_equal(push_rows("gw1", (uint64_t)i * 100, 100, 1000 + i * 100, 1, last),
				 0);
	}
	assert_int_equal(all(&(struct sl_flows_filter){.gateway = "gw2"}).n, 200);
	assert_in_range(all(&(struct sl_flows_filter){.gateway = "gw1"}).n, 100, 800);
	assert_true(gap("lost_rows", T0 + 100) >= 4200);
	/* days of a row each: many go at once, for the table is counted each time */
	for (int i = 0; i < 1000; i++) {
		snprintf(last, sizeof(last), "%d-03-01T08:01:00Z", 3000 + i);
		assert_int_equal(push_rows("gw1", 10000 + (uint64_t)i, 1, 1, 1, last), 0);
		if (count_of("SELECT count(*) FROM flow") <= 1000 - 1000 / 16)
			return;
	}
	fail_msg("the table stays full");
}

/** Numbers without end make no sum fail, and none wrap. */
static void
endless_numbers(void **state)
{
	const json_int_t most = (json_int_t)1 << 53; /* on the wire */

	(void)state;
	sl_flows_set_max(f, 2100);
	assert_int_equal(push_rows("gw2", 0, 1, 1, 100, "2027-01-15T08:01:00Z"), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(push_rows("gw1", (uint64_t)i * 512, 512, 1000 + i * 512, most,
					   "2027-01-15T08:01:00Z"),
				 0);
	assert_true(all(NULL).flows > 1ULL << 50);
	/* the same rows again and again */
	for (int i = 4; i < 1100; i++)
		assert_int_equal(push_rows("gw1", (uint64_t)i * 512, 1, 1000, INT64_MAX,
					   "2027-01-15T08:01:00Z"),
				 0);
	assert_true(all(NULL).flows < 1ULL << 52);
	/* and when they go */
	assert_int_equal(push_rows("gw1", 1100 * 512, 100, 9000, most, "2027-01-16T08:01:00Z"), 0);
	assert_int_equal(all(&(struct sl_flows_filter){.gateway = "gw2"}).flows, 100);
	assert_true(gap("lost_flows", T0 + 100) > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(bounded_for_each, setup, teardown),
		cmocka_unit_test_setup_teardown(endless_numbers, setup, teardown),
		cmocka_unit_test_setup_teardown(pages, setup, teardown),
		cmocka_unit_test_setup_teardown(pages_by_index, setup, teardown),
		cmocka_unit_test_setup_teardown(counts_once, setup, teardown),
		cmocka_unit_test_setup_teardown(filters, setup, teardown),
		cmocka_unit_test_setup_teardown(gaps, setup, teardown),
		cmocka_unit_test_setup_teardown(refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(bounded_words, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
