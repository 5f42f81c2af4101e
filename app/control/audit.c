/* SPDX-License-Identifier: BSD-3-Clause */
/* The audit beside the server: rows of what the command line changes; its key; is it whole? */
#include <getopt.h>
#include <stdlib.h>

#include "audit.h"

#define KEYS_MAX 8

const char control_audit_usage[] =
	"Usage: sluice-control audit key [--state-dir DIR]\n"
	"       sluice-control audit verify [--key FILE|BASE64]... [--json] [--state-dir DIR]\n"
	"\n"
	"key prints the public key that signs the audit of this node: keep it elsewhere. verify "
	"looks\n"
	"whether the rows are all there and as they were written, with that key, or with the one "
	"of\n"
	"this state directory; status 0: yes, 1: no, 3: yes, but some are not vouched for. "
	"Neither makes\n"
	"a key. `sluicectl --control URL audit verify` does the same from afar.\n";

int
control_audit_open(struct control_audit *a, struct sl_store *s, const struct control_paths *p,
		   enum sl_trail_since since, struct sl_error *e)
{
	a->s = s;
	return sl_trail_begin(s, p->dir, since, &a->key, e);
}

void
control_audit_close(struct control_audit *a)
{
	sl_seal_key_wipe(&a->key);
}

static struct sl_trail_row
row_of(const char *operation, const char *path, char actor[32])
{
	return (struct sl_trail_row){.actor = control_actor(actor),
				     .source = "local",
				     .operation = operation,
				     .path = path,
				     .request_id = "-",
				     .outcome = "done"};
}

int
control_audit_commit(struct control_audit *a, struct sl_store_txn *t, const char *operation,
		     struct sl_error *e)
{
	char actor[32];
	struct sl_trail_row row = row_of(operation, "-", actor);
	int rc = sl_trail_change(a->s, &a->key, t, &row, e);

	if (rc == 0)
		return sl_store_commit(t, NULL, e);
	sl_store_abort(t);
	return rc;
}

int
control_audit_note(struct control_audit *a, const char *operation, const char *path,
		   struct sl_error *e)
{
	char actor[32];
	struct sl_trail_row row = row_of(operation, path, actor);
	int rc;

	row.diff = json_array();
	rc = row.diff != NULL ? sl_trail_note(a->s, &a->key, &row, e)
			      : sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the audit");
	json_decref(row.diff);
	return rc;
}

/* --- the command ------------------------------------------------------------------------------ */

struct wish {
	const char *state_dir;
	bool json;
	uint8_t key[KEYS_MAX][32];
	unsigned n_keys;
};

/** @return -1 go on, else the exit status */
static int
options(const struct control_command *c, int argc, char **argv, struct wish *w)
{
	static const struct option longs[] = {{"state-dir", required_argument, NULL, 'S'},
					      {"key", required_argument, NULL, 'k'},
					      {"json", no_argument, NULL, 'j'},
					      {"help", no_argument, NULL, 'h'},
					      {NULL, 0, NULL, 0}};
	struct sl_error e = {0};
	int opt;

	while ((opt = getopt_long(argc, argv, "jh", longs, NULL)) != -1) {
		if (opt == 'h') {
			fputs(c->usage, stdout);
			return 0;
		}
		if (opt == 'S')
			w->state_dir = optarg;
		else if (opt == 'j')
			w->json = true;
		else if (opt != 'k' || w->n_keys == KEYS_MAX)
			return control_misuse(c);
		else if (sl_seal_key_public(optarg, w->key[w->n_keys++], &e) != 0)
			return control_fail(&e);
	}
	return -1;
}

static void
print(const struct sl_seal_report *r, bool json)
{
	char hash[SL_SEAL_HASH_STR];
	json_t *o;

	if (!json) {
		printf("whole: rows %" PRIu64 " to %" PRIu64 ", %" PRIu64
		       " of them signed, the last at %s; %" PRIu64 " after that\n",
		       r->first, r->last, r->seals, r->at, r->unsigned_n);
		sl_seal_print_doubt(r, stdout);
		return;
	}
	sl_seal_hash_text(r->head.hash, hash);
	o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:s, s:s}", "ok", 1, "records",
		      (json_int_t)r->records, "first", (json_int_t)r->first, "seals",
		      (json_int_t)r->seals, "unsigned", (json_int_t)r->unsigned_n, "signed_at",
		      r->at, "loose", (json_int_t)r->loose, "chain_n", (json_int_t)r->last,
		      "chain_id", r->head.id, "chain", hash);
	sl_seal_json_doubt(r, o);
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static int
verify(struct wish *w)
{
	struct control_paths p;
	struct sl_store *s = control_open(w->state_dir, SL_STORE_READ, &p);
	struct sl_seal_check_conf c = {.keys = w->key, .numbered = true};
	struct sl_seal_report r;
	struct sl_seal_check *v;
	struct sl_seal_key own;
	struct sl_error e = {0};
	int rc = 0;

	if (s == NULL)
		return 1;
	if (w->n_keys == 0) {
		rc = sl_trail_key(p.dir, &own, &e);
		memcpy(w->key[w->n_keys++], own.public, sizeof(own.public));
		sl_seal_key_wipe(&own);
	}
	c.n_keys = w->n_keys;
	v = sl_seal_check_new(&c);
	if (rc == 0)
		rc = v != NULL ? sl_trail_verify(s, v, &r, &e) : -ENOMEM;
	sl_seal_check_free(v);
	sl_store_close(s);
	if (rc != 0)
		return control_fail(&e);
	print(&r, w->json);
	return sl_seal_doubt(&r) ? SL_SEAL_EXIT_DOUBT : 0;
}

static int
show_key(const struct wish *w)
{
	struct control_paths p;
	struct sl_seal_key key;
	struct sl_error e = {0};
	int rc = control_paths_of(w->state_dir, &p, &e);

	if (rc == 0)
		rc = control_state_check(&p, false, &e);
	if (rc == 0)
		rc = sl_trail_key(p.dir, &key, &e);
	if (rc != 0)
		return control_fail(&e);
	puts(key.text);
	sl_seal_key_wipe(&key);
	return 0;
}

int
control_audit(const struct control_command *c, int argc, char **argv)
{
	struct wish w = {0};
	int rc = options(c, argc, argv, &w);
	const char *word = rc < 0 && argc - optind == 1 ? argv[optind] : "";

	if (rc >= 0)
		return rc;
	if (strcmp(word, "verify") == 0)
		return verify(&w);
	if (strcmp(word, "key") == 0)
		return show_key(&w);
	return control_misuse_of(c, "key or verify", word);
}
