/* SPDX-License-Identifier: BSD-3-Clause */
/* Pushes into rows, gaps and coverage. */
#include "sl_flows.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "db.h"
#include "flows_int.h"

#define DAY_S 86400

/* clang-format off */
static const char tables[] =
	"CREATE TABLE IF NOT EXISTS flow(day INTEGER, gateway TEXT, interface TEXT, peer TEXT, src TEXT, dst TEXT, proto INTEGER,"
	" port INTEGER, inside INTEGER, midstream INTEGER, allowed INTEGER NOT NULL, would INTEGER NOT NULL, role TEXT NOT NULL,"
	" rule TEXT NOT NULL, reason TEXT NOT NULL, flows INTEGER NOT NULL, packets INTEGER NOT NULL, bytes INTEGER NOT NULL,"
	" first INTEGER NOT NULL, last INTEGER NOT NULL,"
	" PRIMARY KEY(day, gateway, interface, peer, src, dst, proto, port, inside, midstream)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS flow_next(gateway TEXT, boot TEXT, next INTEGER NOT NULL, last INTEGER NOT NULL,"
	" PRIMARY KEY(gateway, boot)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS flow_gap(gateway TEXT, at INTEGER, rows INTEGER NOT NULL, flows INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS flow_gap_at ON flow_gap(gateway, at);"
	"CREATE TABLE IF NOT EXISTS flow_cover(gateway TEXT, since INTEGER, until INTEGER NOT NULL, PRIMARY KEY(gateway, since)) WITHOUT ROWID;";

static const char *const sql[FQ_N] = {
	[FQ_NEXT] = "SELECT next FROM flow_next WHERE gateway = ?1 AND boot = ?2",
	[FQ_OLD_BOOTS] = "DELETE FROM flow_next WHERE gateway = ?1 AND boot NOT IN"
		" (SELECT boot FROM flow_next WHERE gateway = ?1 ORDER BY boot = ?2 DESC, last DESC LIMIT 16)",
	[FQ_SET_NEXT] = "INSERT INTO flow_next VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET next = ?3, last = ?4",
	[FQ_FOLD] = "INSERT INTO flow VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)"
		" ON CONFLICT DO UPDATE SET flows = min(flows + ?16, 1 << 40), packets = min(packets + ?17, 1 << 40),"
		" bytes = min(bytes + ?18, 1 << 50), first = min(first, ?19),"
		" allowed = CASE WHEN ?20 >= last THEN ?11 ELSE allowed END, would = CASE WHEN ?20 >= last THEN ?12 ELSE would END,"
		" role = CASE WHEN ?20 >= last THEN ?13 ELSE role END, rule = CASE WHEN ?20 >= last THEN ?14 ELSE rule END,"
		" reason = CASE WHEN ?20 >= last THEN ?15 ELSE reason END, last = max(last, ?20)",
	[FQ_GAP] = "INSERT INTO flow_gap VALUES(?1, ?2, ?3, ?4)",
	[FQ_COVER] = "INSERT INTO flow_cover VALUES(?1, ?2, ?3) ON CONFLICT DO UPDATE SET until = max(until, ?3)",
};
/* clang-format on */

struct sl_flows *
sl_flows_new(sqlite3 *db, struct sl_error *e)
{
	struct sl_flows *f = calloc(1, sizeof(*f));
	int n = 0;

	if (!f) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	f->db = db;
	f->rows = UINT64_MAX; /* not counted yet */
	f->max = SL_FLOWS_MAX;
	for (unsigned i = 0; i < FLOWS_TABLES; i++)
		f->counted[i] = json_object();
	if (db_exec(db, tables, e) == 0)
		while (n < FQ_N && (f->st[n] = db_prepare(db, sql[n], e)) != NULL)
			n++;
	if (n == FQ_N)
		return f;
	sl_flows_free(f);
	return NULL;
}

void
sl_flows_free(struct sl_flows *f)
{
	if (!f)
		return;
	for (int i = 0; i < FQ_N; i++)
		sqlite3_finalize(f->st[i]);
	for (unsigned i = 0; i < FLOWS_TABLES; i++)
		json_decref(f->counted[i]);
	free(f);
}

/* --- rows ----------------------------------------------------------------------------------- */

/* of one row: sums of all of them stay numbers, whatever a gateway says */
#define COUNT_MAX (1LL << 40)
#define BYTES_MAX (1LL << 50)

/** RFC 3339 in UTC, seconds. */
static int
time_of(const char *text, int64_t *out)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (end && *end == '.')
		end += 1 + strspn(end + 1, "0123456789");
	if (!end || strcmp(end, "Z") != 0)
		return -EINVAL;
	*out = timegm(&tm);
	return 0;
}

struct row {
	const char *interface, *peer, *src, *dst, *role, *rule, *reason, *from, *verdict, *would;
	const char *first, *last;
	json_int_t proto, port, flows, packets, bytes;
	int midstream;
	struct sl_ip src_ip, dst_ip;
	int64_t first_s, last_s;
};

static int
row_read(json_t *o, unsigned at, struct row *r, struct sl_error *e)
{
	json_error_t why;
	char path[40];

	*r = (struct row){.peer = "", .role = "", .rule = "", .reason = ""};
	snprintf(path, sizeof(path), "/rows/%u", at);
	if (json_unpack_ex(o, &why, 0,
			   "{s:s, s?s, s:s, s:s, s:I, s?I, s:s, s:s, s:s, s?s, s?s, s?s, s:I, s:I, "
			   "s:I, s:s, s:s, s?b}",
			   "interface", &r->interface, "peer", &r->peer, "src", &r->src, "dst",
			   &r->dst, "protocol", &r->proto, "port", &r->port, "from", &r->from,
			   "verdict", &r->verdict, "would", &r->would, "role", &r->role, "rule",
			   &r->rule, "reason", &r->reason, "flows", &r->flows, "packets",
			   &r->packets, "bytes", &r->bytes, "first", &r->first, "last", &r->last,
			   "midstream", &r->midstream))
		return sl_fail(e, -EINVAL, "row_invalid", path, "%.200s", why.text);
	if (sl_ip_parse(r->src, &r->src_ip) || sl_ip_parse(r->dst, &r->dst_ip) ||
	    r->src_ip.family != r->dst_ip.family)
		return sl_fail(e, -EINVAL, "row_invalid", path,
			       "src and dst are addresses of one family");
	if (time_of(r->first, &r->first_s) || time_of(r->last, &r->last_s) ||
	    r->last_s < r->first_s)
		return sl_fail(e, -EINVAL, "row_invalid", path,
			       "first and last are times of RFC 3339 in UTC, in order");
	if (r->proto < 0 || r->proto > 255 || r->port < 0 || r->port > 65535 || r->flows < 0 ||
	    r->packets < 0 || r->bytes < 0 || strlen(r->interface) > 15 || strlen(r->peer) > 63 ||
	    strlen(r->role) > 63 || strlen(r->rule) > 80 || strlen(r->reason) > 40)
		return sl_fail(e, -EINVAL, "row_invalid", path, "a value is out of range");
	return 0;
}

static int
row_fold(struct sl_flows *f, const char *gateway, const struct row *r)
{
	char src[SL_IP_STR], dst[SL_IP_STR];

	return db_run(f->st[FQ_FOLD],
		      "ittttt"
		      "iiiiii"
		      "ttt"
		      "iiiii",
		      r->last_s / DAY_S, gateway, r->interface, r->peer, sl_ip_str(&r->src_ip, src),
		      sl_ip_str(&r->dst_ip, dst), (int64_t)r->proto, (int64_t)r->port,
		      (int64_t)(strcmp(r->from, "inside") == 0), (int64_t)r->midstream,
		      (int64_t)(strcmp(r->verdict, "allow") == 0),
		      (int64_t)(strcmp(r->would, "allow") == 0), r->role, r->rule, r->reason,
		      SL_MIN((int64_t)r->flows, (int64_t)COUNT_MAX),
		      SL_MIN((int64_t)r->packets, (int64_t)COUNT_MAX),
		      SL_MIN((int64_t)r->bytes, (int64_t)BYTES_MAX), r->first_s, r->last_s);
}

/* --- room ------------------------------------------------------------------------------------ */

void
sl_flows_set_max(struct sl_flows *f, uint64_t rows)
{
	f->max = rows ? rows : SL_FLOWS_MAX;
}

void
sl_flows_forget(struct sl_flows *f)
{
	f->rows = UINT64_MAX;
	flows_bound_forget(f);
}

/** @param[out] large the gateway that has more than a quarter of the room, "" none */
static int
count_rows(struct sl_flows *f, char large[64], struct sl_error *e)
{
	sqlite3_stmt *st =
		db_prepare(f->db, "SELECT gateway, count(*) FROM flow GROUP BY gateway", e);
	int rc = st ? db_run(st, "") : -EIO;

	f->rows = 0;
	large[0] = '\0';
	while (rc == 1) {
		uint64_t n = (uint64_t)sqlite3_column_int64(st, 1);

		f->rows += n;
		if (n > f->max / 4)
			snprintf(large, 64, "%s", db_text(st, 0));
		rc = sqlite3_step(st);
		rc = rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -EIO;
	}
	sqlite3_finalize(st);
	return rc;
}

/** The day up to which a sixteenth of the room goes: many days, where a day is next to nothing.
 * @param gateway whose; NULL: everybody's */
static int
last_to_drop(struct sl_flows *f, const char *gateway, int64_t *day, struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(f->db,
				      "SELECT day FROM flow WHERE ?1 IS NULL OR gateway = ?1 ORDER "
				      "BY day LIMIT 1 OFFSET ?2",
				      e);
	int rc = st ? db_run(st, "ti", gateway, (int64_t)(f->max / 16)) : -EIO;

	*day = rc == 1 ? sqlite3_column_int64(st, 0) : INT64_MAX;
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

/** Days go, and are told as a gap of their gateways: at the last of them, so that no window shows
 * less than it should. */
static int
drop_days(struct sl_flows *f, const char *gateway, int64_t now_s, struct sl_error *e)
{
	static const char *const sql_drop[] = {
		"INSERT INTO flow_gap SELECT gateway, min(max(day) * 86400 + 86399, ?2), count(*), "
		"min(sum(flows), 1 << 40) FROM flow WHERE day <= ?1 AND (?3 IS NULL OR gateway = "
		"?3) GROUP BY gateway",
		"DELETE FROM flow WHERE day <= ?1 AND (?3 IS NULL OR gateway = ?3) AND ?2 = ?2"};
	int64_t day;
	int rc = last_to_drop(f, gateway, &day, e);

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(sql_drop); i++) {
		sqlite3_stmt *st = db_prepare(f->db, sql_drop[i], e);

		rc = st ? db_run(st, "iit", day, now_s, gateway) : -EIO;
		sqlite3_finalize(st);
	}
	return rc;
}

/** The table is counted only when it may be full: so many rows may have come since. A gateway that
 * has much of it makes room by itself: what others told stays. */
static int
make_room(struct sl_flows *f, uint64_t coming, int64_t now_s, struct sl_error *e)
{
	char large[64];
	int rc = 0;

	if (f->rows <= f->max && f->rows + coming <= f->max) {
		f->rows += coming;
		return 0;
	}
	rc = count_rows(f, large, e);
	while (rc == 0 && f->rows > 0 && f->rows + coming > f->max) {
		rc = drop_days(f, large[0] ? large : NULL, now_s, e);
		rc = rc ? rc : count_rows(f, large, e);
	}
	f->rows += coming;
	return rc;
}

/* --- pushes --------------------------------------------------------------------------------- */

static int
next_number(struct sl_flows *f, const struct sl_flows_push *p, uint64_t *next)
{
	int rc = db_run(f->st[FQ_NEXT], "tt", p->gateway, p->boot);

	*next = 0;
	if (rc == 1)
		*next = (uint64_t)sqlite3_column_int64(f->st[FQ_NEXT], 0);
	sqlite3_reset(f->st[FQ_NEXT]);
	return SL_MIN(rc, 0);
}

/** Rows that never came are lost, whether the gateway knows it or not. */
static int
note_gap(struct sl_flows *f, const struct sl_flows_push *p, uint64_t next, int64_t now_s,
	 struct sl_error *e)
{
	uint64_t rows = p->first > next ? p->first - next : 0;
	int64_t at = p->from_s ? p->from_s : now_s;
	int rc;

	if (p->first + json_array_size(p->rows) <= next) /* all of it was here before */
		return 0;
	rows = SL_MAX(rows, p->lost_before);
	if (rows == 0 && p->lost_flows == 0)
		return 0;
	rc = db_run(f->st[FQ_GAP], "tiii", p->gateway, at,
		    SL_MIN((int64_t)rows, (int64_t)FLOWS_LOST_MAX),
		    SL_MIN((int64_t)p->lost_flows, (int64_t)FLOWS_LOST_MAX));
	return rc ? rc : flows_bound(f, FLOWS_GAP, p->gateway, e);
}

/** Join what is covered with what came right before it. */
static int
note_cover(struct sl_flows *f, const struct sl_flows_push *p, struct sl_error *e)
{
	sqlite3_stmt *st;
	int64_t since = p->from_s;
	int rc;

	if (!p->from_s || p->to_s < p->from_s)
		return 0;
	st = db_prepare(f->db,
			/* the newest few: older ones cannot be what came right before */
			"SELECT since FROM (SELECT since, until FROM flow_cover WHERE gateway = ?1 "
			"AND since <= ?2 ORDER BY since DESC LIMIT 16) WHERE until >= ?2 - 1 "
			"LIMIT 1",
			e);
	if (!st)
		return -EIO;
	rc = db_run(st, "ti", p->gateway, p->from_s);
	if (rc == 1)
		since = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	if (rc >= 0)
		rc = db_run(f->st[FQ_COVER], "tii", p->gateway, since, p->to_s);
	if (rc == 0 && since == p->from_s)
		rc = flows_bound(f, FLOWS_COVER, p->gateway, e);
	return rc;
}

static int
take(struct sl_flows *f, const struct sl_flows_push *p, uint64_t next, int64_t now_s,
     struct sl_error *e)
{
	struct row row;
	json_t *o;
	size_t i;
	int rc = note_gap(f, p, next, now_s, e);

	json_array_foreach (p->rows, i, o) {
		if (rc)
			return rc;
		rc = row_read(o, (unsigned)i, &row, e);
		if (rc == 0 && p->first + i >= next)
			rc = row_fold(f, p->gateway, &row);
	}
	rc = rc ? rc : note_cover(f, p, e);
	next = SL_MAX(next, p->first + json_array_size(p->rows));
	rc = rc ? rc
		: db_run(f->st[FQ_SET_NEXT], "ttii", p->gateway, p->boot, (int64_t)next, now_s);
	/* a boot is whatever a gateway says: the newest few are known */
	return rc ? rc : db_run(f->st[FQ_OLD_BOOTS], "tt", p->gateway, p->boot);
}

int
sl_flows_push(struct sl_flows *f, const struct sl_flows_push *p, int64_t now_s, uint64_t *acked,
	      struct sl_error *e)
{
	uint64_t next;
	bool mine;
	int rc = db_begin(f->db, &mine, e);

	if (rc)
		return rc;
	e->err = 0;
	rc = next_number(f, p, &next);
	rc = rc ? rc : make_room(f, json_array_size(p->rows), now_s, e);
	rc = rc ? rc : take(f, p, next, now_s, e);
	if (rc < 0 && !e->err)
		db_failed(f->db, e);
	*acked = SL_MAX(next, p->first + json_array_size(p->rows));
	*acked -= *acked > 0;
	rc = db_end(f->db, mine, rc, e);
	if (rc) /* what was dropped is there again */
		sl_flows_forget(f);
	return rc;
}
