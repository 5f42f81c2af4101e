/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit, given out: rows between two of them, as lines. */
#include <inttypes.h>
#include <stdlib.h>

#include "trail_int.h"

/** One number of the table, `otherwise` where it has none. @return 0 or as trail_error() */
static int
number(struct sl_store *s, const char *sql, int64_t arg, int64_t otherwise, int64_t *out,
       struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc;

	sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL);
	sqlite3_bind_int64(st, 1, arg);
	rc = sqlite3_step(st);
	*out = rc == SQLITE_ROW && sqlite3_column_type(st, 0) == SQLITE_INTEGER
		       ? sqlite3_column_int64(st, 0)
		       : otherwise;
	rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : trail_error(s, "read", e);
	sqlite3_finalize(st);
	return rc;
}

/** The first row of that time or later, by bisection: rows stand in the order in which they came.
 * @param[out] n behind `last`: there is none */
static int
row_at(struct sl_store *s, int64_t at_ns, int64_t first, int64_t last, int64_t *n,
       struct sl_error *e)
{
	int64_t end = last;
	int rc = 0;

	*n = first;
	while (rc == 0 && *n <= end) {
		int64_t mid = *n + (end - *n) / 2, at, there;

		rc = number(s, "SELECT n FROM rest_audit WHERE n >= ?1 ORDER BY n LIMIT 1", mid,
			    last, &there, e);
		if (rc == 0)
			rc = number(s, "SELECT at FROM rest_audit WHERE n = ?1", there, INT64_MAX,
				    &at, e);
		if (rc == 0 && at < at_ns)
			*n = there + 1;
		else
			end = mid - 1;
	}
	return rc;
}

static int
row_of(struct sl_store *s, const struct sl_trail_place *p, const struct sl_trail_range *all,
       int64_t *n, struct sl_error *e)
{
	*n = (int64_t)SL_MIN(p->value, (uint64_t)INT64_MAX);
	return p->is_time ? row_at(s, *n, all->next, all->last, n, e) : 0;
}

int
sl_trail_range(struct sl_store *s, const struct sl_trail_place *since,
	       const struct sl_trail_place *until, struct sl_trail_range *out, struct sl_error *e)
{
	struct sl_trail_range all = {.last = -1};
	int64_t n;
	int rc = number(s, "SELECT min(n) FROM rest_audit WHERE ?1 = 0", 0, 0, &all.next, e);

	if (rc == 0)
		rc = number(s, "SELECT max(n) FROM rest_audit WHERE ?1 = 0", 0, -1, &all.last, e);
	*out = all;
	if (rc == 0 && until != NULL) {
		rc = row_of(s, until, &all, &n, e);
		out->last = SL_MIN(all.last, n - until->is_time);
	}
	if (rc != 0 || since == NULL)
		return rc;
	rc = row_of(s, since, &all, &n, e);
	out->next = SL_MAX(all.next, n);
	if (rc != 0 || out->next > out->last)
		return rc;
	/* a chain is looked at from a seal on */
	n = out->next;
	return number(s,
		      "SELECT n FROM rest_audit WHERE seal IS NOT NULL AND n <= ?1 ORDER BY n DESC "
		      "LIMIT 1",
		      n, n, &out->next, e);
}

/** Rows before the next one were removed since. */
static int
check_pruned(struct sl_store *s, const struct sl_trail_range *r, struct sl_error *e)
{
	int64_t first;
	int rc = number(s, "SELECT min(n) FROM rest_audit WHERE ?1 = 0", 0, 0, &first, e);

	if (rc != 0 || !r->begun || first <= r->next)
		return rc;
	return sl_fail(e, -ESTALE, "audit_pruned", "",
		       "rows from %" PRId64 " on were removed meanwhile", r->next);
}

static int
add_line(FILE *f, sqlite3_stmt *st)
{
	json_t *row = trail_row_or_number(st);
	int rc = row == NULL || json_dumpf(row, f, JSON_COMPACT | JSON_ENSURE_ASCII) != 0 ||
		 fputc('\n', f) == EOF;

	json_decref(row);
	return rc ? -ENOMEM : 0;
}

static int
read_lines(struct sl_store *s, struct sl_trail_range *r, size_t bytes, FILE *f, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int rc = 0, step = SQLITE_ERROR;

	sqlite3_prepare_v2(sl_store_db(s),
			   "SELECT " TRAIL_COLUMNS
			   " FROM rest_audit WHERE n >= ?1 AND n <= ?2 ORDER BY n",
			   -1, &st, NULL);
	sqlite3_bind_int64(st, 1, r->next);
	sqlite3_bind_int64(st, 2, r->last);
	while (rc == 0 && ftello(f) < (off_t)bytes && (step = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t n = sqlite3_column_int64(st, 0);

		if (n > r->next)
			rc = check_pruned(s, r, e);
		if (rc == 0 && add_line(f, st) != 0)
			rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
		r->begun = true;
		r->end = n == INT64_MAX;
		r->next = r->end ? n : n + 1;
	}
	if (rc == 0 && step != SQLITE_ROW)
		rc = step == SQLITE_DONE ? 0 : trail_error(s, "read", e);
	r->end |= step == SQLITE_DONE;
	sqlite3_finalize(st);
	return rc;
}

int
sl_trail_lines(struct sl_store *s, struct sl_trail_range *r, size_t bytes, char **text, size_t *len,
	       struct sl_error *e)
{
	FILE *f = open_memstream(text, len);
	int rc;

	if (f == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	rc = read_lines(s, r, bytes, f, e);
	if (fclose(f) != 0 && rc == 0)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	if (rc == 0)
		return 0;
	free(*text);
	*text = NULL;
	return rc;
}
