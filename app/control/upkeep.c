/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control backup, verify, restore, promote, compact. */
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

#include "audit.h"
#include "control.h"

const char control_backup_usage[] =
	"Usage: sluice-control backup FILE [--state-dir DIR]\n"
	"\n"
	"Copies the data store to a new file (mode 0600) while it is in use. It holds hashes of\n"
	"tokens, never their secrets; the pepper is not in it: keep a copy of that apart.\n";

const char control_verify_usage[] =
	"Usage: sluice-control verify [FILE] [--json] [--state-dir DIR]\n"
	"\n"
	"Is the data store whole, or the backup FILE? Checks the database's pages, the chain of "
	"the\n"
	"log and the sum of all objects.\n";

const char control_restore_usage[] =
	"Usage: sluice-control restore FILE [--keep-tokens] [--state-dir DIR]\n"
	"       sluice-control restore --verify FILE\n"
	"\n"
	"Verifies a backup and puts it in the place of the data store; what was there is kept as\n"
	"store.db.before-restore. A new epoch begins: gateways and followers notice and take a\n"
	"snapshot. What was deleted since the backup stays deleted on them until an admin puts it\n"
	"anew; it is listed, by \"sluicectl blocked\" too. The server must not run. --verify\n"
	"checks the backup and changes nothing.\n"
	"\n"
	"Where the store that is replaced is lost, or never had this backup, nobody knows which\n"
	"tokens were revoked since: those of agents and peers are revoked then (--keep-tokens\n"
	"keeps them); those of gateways, followers and people stay, to be looked through.\n";

const char control_promote_usage[] =
	"Usage: sluice-control promote [--force] [--state-dir DIR]\n"
	"\n"
	"Makes this follower the primary, with a new epoch. The server must not run; start it\n"
	"afterwards, and never start the former primary again: make it a follower with init.\n"
	"While something answers at the former primary's address, or that cannot be found out, it\n"
	"refuses, for there must not be two; --force goes on all the same.\n";

const char control_compact_usage[] =
	"Usage: sluice-control compact [--days N] [--rows N] [--state-dir DIR]\n"
	"\n"
	"Drops rows of the log that are older than N days (default 7) and not among the newest N\n"
	"(default 100000). Who asks for an older one takes a snapshot. The server does it by "
	"itself\n"
	"each hour.\n";

int
control_backup(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {0};
	struct control_paths p;
	struct sl_error e = {0};
	char **words;
	int rc = control_simple_options(c, argc, argv, 1, 1, &o, &words);

	if (rc >= 0)
		return rc;
	rc = control_paths_of(o.state_dir, &p, &e);
	if (rc == 0)
		rc = control_state_check(&p, false, &e);
	if (rc == 0)
		rc = sl_store_backup(p.store, words[0], &e);
	return rc < 0 ? control_fail(&e) : 0;
}

/* --- verify ----------------------------------------------------------------------------------- */

static void
print_unknown(const struct sl_store_restore *how)
{
	puts("what was deleted or revoked since the backup is not known: the store that was there "
	     "is lost, or never had the backup");
	if (how->keep_tokens)
		puts("tokens of agents and peers are kept: revoke again what was revoked since");
	else
		printf("%u tokens of agents and peers are revoked: their holders need new ones "
		       "(their tunnels go on)\n",
		       how->revoked);
	puts("tokens of gateways, followers and people are as in the backup: look through "
	     "\"sluice-control token list\", and revoke again what was revoked since");
}

#define BLOCKED_SHOWN 20

static void
print_blocked(const json_t *blocked)
{
	const json_t *v;
	size_t i, n = json_array_size(blocked);

	if (n == 0)
		return;
	printf("%zu objects of the backup were deleted since: they are back, and gateways that saw "
	       "it block them until they are put anew (\"sluicectl blocked\" lists, "
	       "\"sluicectl blocked confirm KIND/ID,...\" puts them)\n",
	       n);
	json_array_foreach ((json_t *)blocked, i, v) {
		if (i < BLOCKED_SHOWN)
			printf("  %s\n", json_string_value(v));
	}
	if (n > BLOCKED_SHOWN)
		printf("  and %zu more\n", n - BLOCKED_SHOWN);
}

/** @param how of a restore, and `blocked` what it brought back; NULL: only verified */
static void
print_report(const struct sl_store_report *r, const struct sl_store_restore *how,
	     const json_t *blocked, bool json)
{
	const char *role = r->role == SL_STORE_PRIMARY ? "primary" : "follower";
	json_t *o;

	if (!json) {
		printf("whole: %s, epoch %" PRIu64 ", seq %" PRIu64 ", %" PRIu64
		       " objects, %" PRIu64 " rows of the log\n",
		       role, r->epoch.number, r->head, r->objects, r->log_rows);
		if (how != NULL && how->unknown)
			print_unknown(how);
		print_blocked(blocked);
		return;
	}
	o = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "role", role, "epoch",
		      sl_epoch_json(&r->epoch), "head", (json_int_t)r->head, "oldest",
		      (json_int_t)r->oldest, "objects", (json_int_t)r->objects, "log_rows",
		      (json_int_t)r->log_rows);
	if (how != NULL) {
		json_object_set_new(o, "since_unknown", json_boolean(how->unknown));
		json_object_set_new(o, "tokens_revoked", json_integer(how->revoked));
		json_object_set(o, "blocked", (json_t *)blocked);
	}
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static int
verify(const char *path, bool json)
{
	struct sl_store_report r;
	struct sl_error e = {0};

	if (sl_store_verify(path, &r, &e) < 0)
		return control_fail(&e);
	print_report(&r, NULL, NULL, json);
	return 0;
}

int
control_verify(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {0};
	struct control_paths p;
	struct sl_error e = {0};
	char **words;
	int rc = control_simple_options(c, argc, argv, 0, 1, &o, &words);

	if (rc >= 0)
		return rc;
	if (words[0] != NULL)
		return verify(words[0], o.json);
	if (control_paths_of(o.state_dir, &p, &e) < 0 || control_state_check(&p, false, &e) < 0)
		return control_fail(&e);
	return verify(p.store, o.json);
}

/* --- restore and promote ---------------------------------------------------------------------- */

static int
note(struct sl_store *s, const struct control_paths *p, const char *operation, const char *path,
     enum sl_trail_since since, struct sl_error *e)
{
	struct control_audit audit = {0};
	int rc;

	if (sl_store_role(s) != SL_STORE_PRIMARY)
		return 0;
	rc = control_audit_open(&audit, s, p, since, e);
	if (rc == 0)
		rc = control_audit_note(&audit, operation, path, e);
	control_audit_close(&audit);
	return rc;
}

static bool
add_blocked(void *ctx, const struct sl_tombstone *t)
{
	char name[SL_OBJ_ID + 32];

	snprintf(name, sizeof(name), "%s/%s", sl_kind_name(t->kind), t->id);
	return json_array_append_new(ctx, json_string(name)) == 0;
}

/** @param[out] blocked "KIND/ID" of what came back although it was deleted */
static int
note_restore(const struct control_paths *p, const char *file, json_t *blocked, struct sl_error *e)
{
	struct sl_store *s = sl_store_open(p->store, SL_STORE_WRITE, e);
	int rc = s != NULL ? note(s, p, "restore", file, SL_TRAIL_RESTORED, e) : e->err;

	if (rc == 0)
		rc = sl_store_blocked(s, add_blocked, blocked, e);
	sl_store_close(s);
	return rc;
}

static int
restore(const struct control_simple *o, const char *file)
{
	struct sl_store_restore how = {.keep_tokens = o->flag2};
	struct control_paths p;
	struct sl_store_report r;
	struct sl_error e = {0};
	json_t *blocked = json_array();
	int rc = control_paths_of(o->state_dir, &p, &e), fd = -1;

	if (rc == 0)
		rc = control_state_check(&p, true, &e);
	if (rc == 0) {
		fd = control_lock(&p, &e);
		rc = fd < 0 ? fd : sl_store_restore(p.store, file, &how, &e);
	}
	if (rc == 0)
		rc = sl_store_verify(p.store, &r, &e);
	if (rc == 0)
		rc = note_restore(&p, file, blocked, &e);
	if (fd >= 0)
		close(fd);
	if (rc == 0)
		print_report(&r, &how, blocked, o->json);
	json_decref(blocked);
	return rc < 0 ? control_fail(&e) : 0;
}

int
control_restore(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {.flag_name = "verify", .flag2_name = "keep-tokens"};
	char **words;
	int rc = control_simple_options(c, argc, argv, 1, 1, &o, &words);

	if (rc >= 0)
		return rc;
	return o.flag ? verify(words[0], o.json) : restore(&o, words[0]);
}

/** Two primaries take changes that only one of them has in the end. */
static int
check_alone(struct sl_store *s, struct sl_error *e)
{
	const char *primary = sl_store_primary(s);
	int rc = sl_store_role(s) == SL_STORE_FOLLOWER && primary != NULL
			 ? control_answers(primary, e)
			 : 0;

	if (rc <= 0)
		return rc;
	sl_fail(e, -EBUSY, "primary_lives", "", "the primary answers at %.200s", primary);
	sl_hint(e, "stop it first; --force if what answers there is no primary any more");
	return -EBUSY;
}

int
control_promote(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {.flag_name = "force"};
	struct control_paths p;
	struct sl_error e = {0};
	struct sl_epoch epoch;
	struct sl_store *s;
	char **words;
	int rc = control_simple_options(c, argc, argv, 0, 0, &o, &words), fd;

	if (rc >= 0)
		return rc;
	s = control_open(o.state_dir, SL_STORE_WRITE, &p);
	if (s == NULL)
		return 1;
	fd = control_lock(&p, &e);
	rc = fd < 0 ? fd : o.flag ? 0 : check_alone(s, &e);
	if (rc == 0)
		rc = sl_store_promote(s, &e);
	if (rc == 0)
		rc = note(s, &p, "promote", "-", SL_TRAIL_PROMOTED, &e);
	if (rc == 0) {
		sl_store_epoch(s, &epoch);
		printf("this is the primary now: epoch %" PRIu64 ", seq %" PRIu64 "\n",
		       epoch.number, sl_store_head(s));
	}
	sl_store_close(s);
	if (fd >= 0)
		close(fd);
	return rc < 0 ? control_fail(&e) : 0;
}

/* --- compact ---------------------------------------------------------------------------------- */

int
control_compact(const struct control_command *c, int argc, char **argv)
{
	static const struct option longs[] = {{"state-dir", required_argument, NULL, 'S'},
					      {"days", required_argument, NULL, 'd'},
					      {"rows", required_argument, NULL, 'r'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	unsigned long long days = 7, rows = 100000;
	const char *state_dir = NULL;
	struct control_paths p;
	struct sl_error e = {0};
	struct sl_store *s;
	char *end = NULL;
	int64_t n;
	int opt, rc;

	while ((opt = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->usage, stdout);
			return 0;
		}
		if (opt == 'S')
			state_dir = optarg;
		else if (opt == 'd')
			days = strtoull(optarg, &end, 10);
		else if (opt == 'r')
			rows = strtoull(optarg, &end, 10);
		else
			return control_misuse(c);
		if ((opt == 'd' || opt == 'r') &&
		    (*end != '\0' || optarg[0] < '0' || optarg[0] > '9' || days > 36500))
			return control_misuse_of(c, "not a whole number that makes sense", optarg);
	}
	if (control_words(c, argc, argv, 0, 0) != 0)
		return 2;
	s = control_open(state_dir, SL_STORE_WRITE, &p);
	if (s == NULL)
		return 1;
	n = sl_store_compact(s, days * 86400, rows, UINT64_MAX, &e);
	if (n > 0 && (rc = note(s, &p, "compact", "-", SL_TRAIL_ITS_OWN, &e)) != 0)
		n = rc;
	sl_store_close(s);
	if (n < 0)
		return control_fail(&e);
	printf("%" PRId64 " rows dropped\n", n);
	return 0;
}
