/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control status and export. */
#include <stdlib.h>
#include <sys/stat.h>

#include "control.h"

const char control_status_usage[] =
	"Usage: sluice-control status [--json] [--state-dir DIR]\n"
	"\n"
	"Where the data store stands and what it holds. Gateways' state is asked of the server.\n";

const char control_export_usage[] =
	"Usage: sluice-control export [--with-tokens] [--state-dir DIR]\n"
	"\n"
	"Prints all objects of one moment as lines of JSON: {\"epoch\", \"seq\"} first, then\n"
	"{\"kind\", \"id\", \"rev\", \"obj\"}. Tokens (hashes) are left out unless asked for.\n";

/* --- status ----------------------------------------------------------------------------------- */

static json_t *
counts(struct sl_store *s)
{
	json_t *o = json_object();
	uint64_t n;

	for (unsigned k = 0; k < SL_KIND_N; k++) {
		n = sl_store_count(s, (enum sl_kind)k);
		if (n > 0)
			json_object_set_new(o, sl_kind_name((enum sl_kind)k),
					    json_integer((json_int_t)n));
	}
	return o;
}

static json_t *
collect(struct sl_store *s, const struct control_paths *p)
{
	struct sl_hash_sum sum;
	struct sl_epoch epoch;
	struct stat st = {0};
	char hash[SL_HASH_STR];

	sl_store_epoch(s, &epoch);
	sl_store_sum(s, &sum);
	stat(p->store, &st);
	return json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:s, s:I, s:o}", "store", p->store, "role",
			 sl_store_role(s) == SL_STORE_PRIMARY ? "primary" : "follower", "epoch",
			 sl_epoch_json(&epoch), "head", (json_int_t)sl_store_head(s), "oldest",
			 (json_int_t)sl_store_oldest(s), "hash", sl_hash_str(&sum, hash), "primary",
			 sl_store_primary(s), "bytes", (json_int_t)st.st_size, "objects",
			 counts(s));
}

static json_int_t
number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void
print_status(const json_t *o)
{
	const json_t *epoch = json_object_get(o, "epoch");
	const char *primary = json_string_value(json_object_get(o, "primary"));
	const char *kind;
	json_t *n;

	printf("store    %s (%" JSON_INTEGER_FORMAT " bytes)\n",
	       json_string_value(json_object_get(o, "store")), number(o, "bytes"));
	printf("role     %s\n", json_string_value(json_object_get(o, "role")));
	if (primary[0] != '\0')
		printf("primary  %s\n", primary);
	printf("epoch    %" JSON_INTEGER_FORMAT " (%s)\n", number(epoch, "number"),
	       json_string_value(json_object_get(epoch, "id")));
	printf("seq      %" JSON_INTEGER_FORMAT " (log from %" JSON_INTEGER_FORMAT ")\n",
	       number(o, "head"), number(o, "oldest"));
	printf("hash     %s\n", json_string_value(json_object_get(o, "hash")));
	json_object_foreach (json_object_get(o, "objects"), kind, n)
		printf("  %-18s %" JSON_INTEGER_FORMAT "\n", kind, json_integer_value(n));
}

int
control_status(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {0};
	struct control_paths p;
	struct sl_store *s;
	json_t *status;
	char **words;
	int rc = control_simple_options(c, argc, argv, 0, 0, &o, &words);

	if (rc >= 0)
		return rc;
	s = control_open(o.state_dir, SL_STORE_READ, &p);
	if (s == NULL)
		return 1;
	status = collect(s, &p);
	sl_store_close(s);
	if (o.json) {
		json_dumpf(status, stdout, JSON_INDENT(2));
		putchar('\n');
	} else {
		print_status(status);
	}
	json_decref(status);
	return 0;
}

/* --- export ----------------------------------------------------------------------------------- */

static bool
export_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	const bool *with_tokens = ctx;
	json_t *name;

	if (k == SL_KIND_TOKEN && !*with_tokens)
		return true;
	name = json_string(id);
	printf("{\"kind\":\"%s\",\"id\":", sl_kind_name(k));
	json_dumpf(name, stdout, JSON_ENCODE_ANY);
	printf(",\"rev\":%" PRIu64 ",\"obj\":%.*s}\n", rev, (int)len, text);
	json_decref(name);
	return true;
}

static int
export_all(struct sl_store *s, bool with_tokens)
{
	struct sl_error e = {0};
	struct sl_store_snap *snap = sl_store_snap_open(s, &e);
	struct sl_epoch epoch;
	char chain[SL_CHAIN_STR];
	uint64_t seq;
	json_t *v;
	int n;

	if (snap == NULL)
		return control_fail(&e);
	sl_store_snap_pos(snap, &epoch, &seq, chain);
	v = json_pack("{s:o, s:I}", "epoch", sl_epoch_json(&epoch), "seq", (json_int_t)seq);
	json_dumpf(v, stdout, JSON_COMPACT);
	putchar('\n');
	json_decref(v);
	while ((n = sl_store_snap_next(snap, 1000, export_row, &with_tokens)) > 0)
		;
	sl_store_snap_close(snap);
	if (n < 0 || fflush(stdout) != 0) {
		fputs("sluice-control: the export is not complete\n", stderr);
		return 1;
	}
	return 0;
}

int
control_export(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {.flag_name = "with-tokens"};
	struct control_paths p;
	struct sl_store *s;
	char **words;
	int rc = control_simple_options(c, argc, argv, 0, 0, &o, &words);

	if (rc >= 0)
		return rc;
	s = control_open(o.state_dir, SL_STORE_READ, &p);
	if (s == NULL)
		return 1;
	rc = export_all(s, o.flag);
	sl_store_close(s);
	return rc;
}
