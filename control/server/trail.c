/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit, written: rows, their chain, seals. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sl_env.h"
#include "sl_log.h"
#include "trail_int.h"

#define DIFF_MAX (256 << 10) /* bytes of a diff that is kept with its bodies */
#define PATH_ROOM 600

static int
key_file(const char *state_dir, char file[PATH_ROOM], struct sl_error *e)
{
	if (snprintf(file, PATH_ROOM, "%s/audit.key", state_dir) < PATH_ROOM)
		return 0;
	return sl_fail(e, -ENAMETOOLONG, "path_too_long", "",
		       "the state directory's name is too long");
}

int
sl_trail_key(const char *state_dir, struct sl_seal_key *out, struct sl_error *e)
{
	char file[PATH_ROOM];
	int rc = key_file(state_dir, file, e);

	return rc == 0 ? sl_seal_key_read(file, out, e) : rc;
}

/* --- what is kept of a change ----------------------------------------------------------------- */

static void
clean_body(const char *kind, json_t *body)
{
	if (body == NULL)
		return;
	if (strcmp(kind, "token") == 0)
		json_object_del(body, "hash");
	if (strcmp(kind, "policy_text") == 0)
		json_object_del(body, "text");
}

void
sl_trail_clean(json_t *diff)
{
	json_t *op;
	size_t i;

	json_array_foreach (diff, i, op) {
		const char *kind = json_string_value(json_object_get(op, "kind"));

		clean_body(kind != NULL ? kind : "", json_object_get(op, "obj"));
		clean_body(kind != NULL ? kind : "", json_object_get(op, "was"));
	}
}

/** Of a large change: which objects, without what they hold (the log has that). */
static void
names_alone(json_t *diff)
{
	json_t *op;
	size_t i;

	json_array_foreach (diff, i, op) {
		json_object_del(op, "obj");
		json_object_del(op, "was");
	}
}

static char *
diff_text(json_t *diff)
{
	char *text = json_dumps(diff, JSON_COMPACT);

	if (text == NULL || strlen(text) <= DIFF_MAX)
		return text;
	free(text);
	names_alone(diff);
	return json_dumps(diff, JSON_COMPACT);
}

/* --- rows ------------------------------------------------------------------------------------- */

static void
bind_member(sqlite3_stmt *st, int at, const json_t *o, const char *name)
{
	sqlite3_bind_text(st, at, json_string_value(json_object_get(o, name)), -1, SQLITE_STATIC);
}

/** @param o the row as it is told, with its place in the chain; @param diff, seal as text */
static int
insert(struct sl_store *s, uint64_t at_ns, const json_t *o, const char *diff, const char *seal,
       struct sl_error *e)
{
	static const char *const texts[] = {"actor", "source",	   "operation",
					    "path",  "request_id", "outcome"};
	const json_t *seq = json_object_get(o, "seq"), *count = json_object_get(o, "count");
	sqlite3_stmt *st = NULL;
	int rc;

	sqlite3_prepare_v2(sl_store_db(s),
			   "INSERT INTO rest_audit(" TRAIL_COLUMNS
			   ") VALUES(?1, ?2, ?3, ?4, ?5, ?6, "
			   "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
			   -1, &st, NULL);
	sqlite3_bind_int64(st, 1, json_integer_value(json_object_get(o, "n")));
	sqlite3_bind_int64(st, 2, (sqlite3_int64)at_ns);
	for (int i = 0; i < (int)SL_ARRAY_SIZE(texts); i++)
		bind_member(st, 3 + i, o, texts[i]);
	if (seq != NULL)
		sqlite3_bind_int64(st, 9, json_integer_value(seq));
	sqlite3_bind_text(st, 10, diff, -1, SQLITE_STATIC);
	bind_member(st, 11, o, "chain");
	sqlite3_bind_text(st, 12, seal, -1, SQLITE_STATIC);
	bind_member(st, 13, o, "signature");
	if (count != NULL)
		sqlite3_bind_int64(st, 14, json_integer_value(count));
	rc = sqlite3_step(st) == SQLITE_DONE ? 0 : trail_error(s, "written", e);
	sqlite3_finalize(st);
	return rc;
}

static json_t *
record(const struct sl_trail_row *row, uint64_t at_ns)
{
	char at[SL_TIME_STR];
	json_t *o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:O}", "at",
			      sl_time_str(at_ns, at), "actor", row->actor, "source", row->source,
			      "operation", row->operation, "path", row->path, "request_id",
			      row->request_id, "outcome", row->outcome, "diff", row->diff);

	if (o != NULL && row->seq > 0)
		json_object_set_new(o, "seq", json_integer((json_int_t)row->seq));
	if (o != NULL && row->count > 0)
		json_object_set_new(o, "count", json_integer((json_int_t)row->count));
	return o;
}

/** Behind `c`, which goes on. @param say, key of its seal: each row has one */
static int
put(struct sl_store *s, struct sl_seal_chain *c, const struct sl_trail_row *row,
    const struct sl_seal_say *say, const struct sl_seal_key *key, struct sl_error *e)
{
	uint64_t at_ns = sl_clock_wall_ns();
	char *diff = diff_text(row->diff), *seal = NULL;
	json_t *o = diff != NULL ? record(row, at_ns) : NULL;
	int rc = o != NULL ? sl_seal_add(c, o, say, key) : -ENOMEM;

	if (rc == 0) {
		seal = json_dumps(json_object_get(o, "seal"), JSON_COMPACT);
		rc = seal != NULL ? 0 : -ENOMEM;
	}
	if (rc == 0)
		rc = insert(s, at_ns, o, diff, seal, e);
	else
		sl_fail(e, rc, rc == -ENOMEM ? "no_memory" : "internal", "",
			"the row of the audit cannot be made");
	free(diff);
	free(seal);
	json_decref(o);
	return rc;
}

static int
put_seal(struct sl_store *s, struct sl_seal_chain *c, const struct sl_seal_say *say,
	 const struct sl_seal_key *key, struct sl_error *e)
{
	char operation[32];
	json_t *none = json_array();
	struct sl_seal_say all = *say;
	struct sl_trail_row row = {.actor = "sluice-control",
				   .source = "-",
				   .operation = operation,
				   .path = "-",
				   .request_id = "-",
				   .outcome = "done",
				   .diff = none};
	int rc;

	all.each = true;
	snprintf(operation, sizeof(operation), "audit-%s", say->why);
	rc = none != NULL ? put(s, c, &row, &all, key, e)
			  : sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	json_decref(none);
	return rc;
}

/** Where the next row goes. What nobody vouches for is told first. */
static int
go_on(struct sl_store *s, const struct sl_seal_key *key, struct sl_seal_chain *at,
      struct sl_error *e)
{
	struct trail_end last;
	int rc = trail_end(s, key, &last, e);

	*at = last.at;
	if (rc != 0 || last.ours)
		return rc;
	if (last.at.n > 0)
		sl_log(SL_LOG_WARN, "audit",
		       "row %" PRIu64 " of the audit, the newest, is not signed by this node; "
		       "what stands unsigned is told by the next row, and by audit verify",
		       last.at.n);
	return put_seal(s, at, &last.say, key, e);
}

int
sl_trail_add(struct sl_store *s, const struct sl_seal_key *key, const struct sl_trail_row *row,
	     struct sl_error *e)
{
	struct sl_seal_chain at;
	int rc = go_on(s, key, &at, e);

	return rc == 0 ? put(s, &at, row, &sl_seal_record, key, e) : rc;
}

int
sl_trail_change(struct sl_store *s, const struct sl_seal_key *key, struct sl_store_txn *t,
		const struct sl_trail_row *row, struct sl_error *e)
{
	json_t *shared = sl_store_diff(t),
	       *diff = json_deep_copy(shared); /* bodies are the store's */
	struct sl_trail_row full = *row;
	int rc = 0;

	json_decref(shared);
	if (diff == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	sl_trail_clean(diff);
	full.diff = diff;
	full.seq = sl_store_head(s) + 1; /* what the commit will make of it */
	if (json_array_size(diff) > 0)
		rc = sl_trail_add(s, key, &full, e);
	json_decref(diff);
	return rc;
}

/* --- in a transaction of its own -------------------------------------------------------------- */

static int
begin(struct sl_store *s, struct sl_error *e)
{
	return sqlite3_exec(sl_store_db(s), "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : trail_error(s, "written", e);
}

static int
end(struct sl_store *s, int rc, struct sl_error *e)
{
	if (rc == 0 && sqlite3_exec(sl_store_db(s), "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		rc = trail_error(s, "written", e);
	if (rc != 0)
		sqlite3_exec(sl_store_db(s), "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int
sl_trail_note(struct sl_store *s, const struct sl_seal_key *key, const struct sl_trail_row *row,
	      struct sl_error *e)
{
	int rc = begin(s, e);

	return rc == 0 ? end(s, sl_trail_add(s, key, row, e), e) : rc;
}

/* --- pruning ---------------------------------------------------------------------------------- */

static int64_t
number(struct sl_store *s, const char *sql, uint64_t arg, struct sl_error *e)
{
	sqlite3_stmt *st = NULL;
	int64_t n = 0;

	sqlite3_prepare_v2(sl_store_db(s), sql, -1, &st, NULL);
	sqlite3_bind_int64(st, 1, (sqlite3_int64)arg);
	switch (sqlite3_step(st)) {
	case SQLITE_ROW:
		n = sqlite3_column_int64(st, 0);
		break;
	case SQLITE_DONE:
		n = sqlite3_changes(sl_store_db(s));
		break;
	default:
		n = trail_error(s, "tidied", e);
	}
	sqlite3_finalize(st);
	return n;
}

/** The last seal that lets the newest `keep` rows stay; 0: nothing is before it. */
static int64_t
prune_to(struct sl_store *s, uint64_t keep, struct sl_error *e)
{
	int64_t first = number(s, "SELECT min(n) FROM rest_audit", 0, e), to;

	if (first < 0)
		return first;
	to = number(s,
		    "SELECT max(n) FROM rest_audit WHERE seal IS NOT NULL AND n <= (SELECT max(n) "
		    "FROM rest_audit) - ?1",
		    keep, e);
	/* each time leaves a row itself: not for one or two */
	return to > first + 1 + (int64_t)(keep / 100) ? to : SL_MIN(to, (int64_t)0);
}

int64_t
sl_trail_prune(struct sl_store *s, const struct sl_seal_key *key, uint64_t keep, struct sl_error *e)
{
	struct sl_seal_say say = {.why = "pruned"};
	int64_t to = prune_to(s, keep, e), n = 0;
	struct sl_seal_chain at;
	int rc;

	if (to <= 0)
		return to;
	say.begin = (uint64_t)to;
	rc = begin(s, e);
	if (rc != 0)
		return rc;
	rc = go_on(s, key, &at, e);
	if (rc == 0)
		rc = put_seal(s, &at, &say, key, e);
	if (rc == 0) {
		n = number(s, "DELETE FROM rest_audit WHERE n < ?1", (uint64_t)to, e);
		rc = n < 0 ? (int)n : 0;
	}
	rc = end(s, rc, e);
	return rc == 0 ? n : rc;
}

/* --- the table -------------------------------------------------------------------------------- */

/** Columns that stores of before do not have. Programs of before name theirs, and write on. */
static int
add_columns(struct sl_store *s, struct sl_error *e)
{
	static const struct {
		const char *has, *add;
	} steps[] = {{"SELECT count(*) FROM pragma_table_info('rest_audit') WHERE name = 'chain'",
		      "ALTER TABLE rest_audit ADD COLUMN chain TEXT;"
		      "ALTER TABLE rest_audit ADD COLUMN seal TEXT;"
		      "ALTER TABLE rest_audit ADD COLUMN signature TEXT;"
		      "CREATE INDEX rest_audit_seal ON rest_audit(n) WHERE seal IS NOT NULL;"},
		     {"SELECT count(*) FROM pragma_table_info('rest_audit') WHERE name = 'count'",
		      "ALTER TABLE rest_audit ADD COLUMN count INTEGER;"}};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(steps); i++) {
		int64_t n = number(s, steps[i].has, 0, e);

		if (n < 0)
			return (int)n;
		if (n == 0 &&
		    sqlite3_exec(sl_store_db(s), steps[i].add, NULL, NULL, NULL) != SQLITE_OK)
			return trail_error(s, "written", e);
	}
	return 0;
}

static int
open_table(struct sl_store *s, struct sl_error *e)
{
	static const char table[] =
		"CREATE TABLE IF NOT EXISTS rest_audit(n INTEGER PRIMARY KEY AUTOINCREMENT, at "
		"INTEGER NOT NULL, actor TEXT NOT NULL, source TEXT NOT NULL, operation TEXT NOT "
		"NULL, path TEXT NOT NULL, request_id TEXT NOT NULL, outcome TEXT NOT NULL, seq "
		"INTEGER, diff TEXT NOT NULL)";
	int rc = sl_store_table(s, table, e);

	if (rc == 0)
		rc = begin(s, e);
	if (rc != 0)
		return rc;
	rc = add_columns(s, e);
	return rc == 0 ? 0 : end(s, rc, e);
}

/** Behind open_table(). */
static int
start(struct sl_store *s, const struct sl_seal_key *key, enum sl_trail_since since,
      struct sl_error *e)
{
	struct sl_seal_chain at;
	struct trail_end last;
	int rc;

	if (since == SL_TRAIL_ITS_OWN)
		return go_on(s, key, &at, e);
	rc = trail_end(s, key, &last, e);
	last.say.again = false; /* backup and follower may have no rows of a key that is older */
	if (since == SL_TRAIL_RESTORED) {
		last.say.why = "restore";
		sl_seal_chain_name(&last.at);
	}
	return rc == 0 ? put_seal(s, &last.at, &last.say, key, e) : rc;
}

int
sl_trail_open(struct sl_store *s, const struct sl_seal_key *key, struct sl_error *e)
{
	int rc = open_table(s, e);

	return rc == 0 ? end(s, start(s, key, SL_TRAIL_ITS_OWN, e), e) : rc;
}

int
sl_trail_restored(struct sl_store *s, const struct sl_seal_key *key, struct sl_error *e)
{
	int rc = open_table(s, e);

	return rc == 0 ? end(s, start(s, key, SL_TRAIL_RESTORED, e), e) : rc;
}

/** The key is made, and taken back if nothing can be signed with it, while nobody else writes: one
 * that is there and has signed nothing would tell of rows that are gone. */
int
sl_trail_begin(struct sl_store *s, const char *state_dir, enum sl_trail_since since,
	       struct sl_seal_key *out, struct sl_error *e)
{
	char file[PATH_ROOM];
	int rc = key_file(state_dir, file, e);

	if (rc == 0)
		rc = open_table(s, e);
	if (rc != 0)
		return rc;
	rc = sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, out, e);
	if (rc == 0)
		rc = start(s, out, since, e);
	if (rc != 0 && out->made)
		unlink(file);
	return end(s, rc, e);
}
