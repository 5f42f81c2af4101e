/* SPDX-License-Identifier: BSD-3-Clause */
/* How much a gateway's gaps and coverage may take: both are whatever it says. */
#include <string.h>

#include "db.h"
#include "flows_int.h"

/* clang-format off */
static const struct bound {
	const char *count;
	const char *fold; /* NULL: what is dropped counts no more */
	const char *drop;
	int64_t max, at_once;
} bounds[] = {
	/* the oldest are lost in the next one: at a later time, so that no window shows less than it should */
	[FLOWS_GAP] = {
		.count = "SELECT count(*) FROM flow_gap WHERE gateway = ?1",
		.fold = "UPDATE flow_gap SET (rows, flows) = (SELECT min(sum(rows), 1 << 50), min(sum(flows), 1 << 50) FROM"
			" (SELECT rows, flows FROM flow_gap WHERE gateway = ?1 ORDER BY at, rowid LIMIT ?2 + 1))"
			" WHERE rowid = (SELECT rowid FROM flow_gap WHERE gateway = ?1 ORDER BY at, rowid LIMIT 1 OFFSET ?2)",
		.drop = "DELETE FROM flow_gap WHERE rowid IN (SELECT rowid FROM flow_gap WHERE gateway = ?1 ORDER BY at, rowid LIMIT ?2)",
		.max = FLOWS_GAPS_MAX, .at_once = FLOWS_GAPS_MAX / 8,
	},
	/* the oldest times were not covered then */
	[FLOWS_COVER] = {
		.count = "SELECT count(*) FROM flow_cover WHERE gateway = ?1",
		.drop = "DELETE FROM flow_cover WHERE gateway = ?1 AND since IN"
			" (SELECT since FROM flow_cover WHERE gateway = ?1 ORDER BY since LIMIT ?2)",
		.max = FLOWS_COVERS_MAX, .at_once = FLOWS_COVERS_MAX / 8,
	},
};
/* clang-format on */

static int
count(struct sl_flows *f, const struct bound *b, const char *gateway, int64_t *n,
      struct sl_error *e)
{
	sqlite3_stmt *st = db_prepare(f->db, b->count, e);
	int rc = st ? db_run(st, "t", gateway) : -EIO;

	if (rc == 1)
		*n = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return SL_MIN(rc, 0);
}

static int
trim(struct sl_flows *f, const struct bound *b, const char *gateway, struct sl_error *e)
{
	const char *const sql[] = {b->fold, b->drop};
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(sql); i++) {
		sqlite3_stmt *st;

		if (!sql[i])
			continue;
		st = db_prepare(f->db, sql[i], e);
		rc = st ? db_run(st, "ti", gateway, b->at_once) : -EIO;
		sqlite3_finalize(st);
	}
	return rc;
}

int
flows_bound(struct sl_flows *f, enum flows_table which, const char *gateway, struct sl_error *e)
{
	const struct bound *b = &bounds[which];
	json_t *known = json_object_get(f->counted[which], gateway);
	int64_t n = json_integer_value(known) + 1; /* another may have come */
	int rc = 0;

	if (!known || n > b->max)
		rc = count(f, b, gateway, &n, e);
	if (rc == 0 && n > b->max) {
		rc = trim(f, b, gateway, e);
		n -= b->at_once;
	}
	if (rc == 0 && json_object_set_new(f->counted[which], gateway, json_integer(n)) != 0)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	return rc;
}

void
flows_bound_forget(struct sl_flows *f)
{
	for (unsigned i = 0; i < FLOWS_TABLES; i++)
		json_object_clear(f->counted[i]);
}
