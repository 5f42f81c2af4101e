/* SPDX-License-Identifier: BSD-3-Clause */
/* audit verify: are the admin records of a gateway's files, or the rows of the control plane's
 * audit, all there and as they were written? */
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_json.h"
#include "sl_seal.h"
#include "sl_secret.h"
#include "sl_text.h"

#define KEYS_MAX 16
#define FILES_MAX 1024
#define PAGE 1000

struct job {
	uint8_t key[KEYS_MAX][32];
	unsigned n_keys;
	const char *kept[KEYS_MAX];
	unsigned n_kept;
	const char *files[FILES_MAX];
	unsigned n_files;
	bool json;
	struct sl_seal_check *v;
};

static int
usage(struct sl_error *e, const char *what, const char *arg)
{
	sl_fail(e, -EINVAL, "usage", "", "audit verify: %s%.100s", what, arg);
	sl_hint(e, "sluicectl audit verify FILE... [--key FILE|BASE64]... [--kept FILE]...");
	return EXIT_USAGE;
}

/** "--key X" and "--key=X". @return the value; NULL: another option, or none */
static const char *
value_of(const char *name, int argc, char **argv, int *i)
{
	size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0)
		return NULL;
	if (argv[*i][n] == '=')
		return argv[*i] + n + 1;
	return argv[*i][n] == '\0' && *i + 1 < argc ? argv[++*i] : NULL;
}

static int
parse(struct job *j, int argc, char **argv, struct sl_error *e)
{
	const char *value;

	for (int i = 0; i < argc; i++) {
		if ((value = value_of("--key", argc, argv, &i)) != NULL) {
			if (j->n_keys == KEYS_MAX)
				return usage(e, "too many keys", "");
			if (sl_seal_key_public(value, j->key[j->n_keys++], e) != 0)
				return EXIT_USAGE;
		} else if ((value = value_of("--kept", argc, argv, &i)) != NULL) {
			if (j->n_kept == KEYS_MAX)
				return usage(e, "too many files of checkpoints", "");
			j->kept[j->n_kept++] = value;
		} else if (strncmp(argv[i], "--", 2) == 0) {
			return usage(e, "what is ", argv[i]);
		} else if (j->n_files == FILES_MAX) {
			return usage(e, "too many files", "");
		} else {
			j->files[j->n_files++] = argv[i];
		}
	}
	return 0;
}

/* --- checkpoints of elsewhere ----------------------------------------------------------------- */

/** @return is there anything but white space? */
static bool
has_more(FILE *f)
{
	int c;

	while ((c = getc(f)) != EOF && isspace(c))
		;
	return ungetc(c, f) != EOF;
}

/** JSON objects, one after the other. Nothing else, which would hide those behind it. */
static int
read_kept(struct job *j, const char *file, struct sl_error *e)
{
	FILE *f = fopen(file, "re");
	unsigned n = 0;
	json_t *o;
	int rc = 0;

	if (!f)
		return sl_fail(e, -errno, "file", "", "%.200s: %s", file, strerror(errno));
	for (; rc == 0 && has_more(f); n++) {
		o = json_loadf(f, JSON_DISABLE_EOF_CHECK, NULL);
		rc = sl_seal_check_keep(j->v, o);
		json_decref(o);
	}
	if (ferror(f))
		rc = -EIO;
	fclose(f);
	if (rc == 0 && n > 0)
		return 0;
	if (rc == -ENOMEM)
		return sl_fail(e, rc, "no_memory", "", "no memory to verify");
	sl_fail(e, -EINVAL, "kept_invalid", "", "%.200s: no. %u in it is no checkpoint", file,
		n > 0 ? n : 1);
	sl_hint(e, "nothing but audit-seal records of another sink, or what `sluicectl -j "
		   "--control URL audit key` prints");
	return -EINVAL;
}

static int
begin(struct job *j, bool numbered, bool part, struct sl_error *e)
{
	struct sl_seal_check_conf c = {.keys = j->key,
				       .n_keys = j->n_keys,
				       .numbered = numbered,
				       .part = part};
	int rc = 0;

	j->v = sl_seal_check_new(&c);
	if (!j->v)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to verify");
	for (unsigned i = 0; rc == 0 && i < j->n_kept; i++)
		rc = read_kept(j, j->kept[i], e);
	return rc;
}

/* --- files ------------------------------------------------------------------------------------ */

struct source {
	const char *name;
	FILE *f;
	/* of its first record in a chain */
	char id[SL_SEAL_ID_STR], at[40];
	uint64_t n;
};

static int
line_error(const struct source *s, unsigned long line, const char *what, struct sl_error *e)
{
	return sl_fail(e, -EBADMSG, "audit_broken", "", "%.200s:%lu: %s", s->name, line, what);
}

/** Of the control plane's audit, as audit export writes it. */
static bool
is_row(const json_t *o)
{
	return json_is_integer(json_object_get(o, "n")) && !json_object_get(o, "event") &&
	       !json_object_get(o, "sluice");
}

/** Records of flows are in no chain; theirs are those of control and of the drain on itself. */
static bool
is_admin(const json_t *o)
{
	const char *set = sl_json_text(json_object_get(o, "event"), "dataset");
	struct sl_seal_view w;

	sl_seal_view(o, &w);
	return w.chain != NULL || is_row(o) || strcmp(set, "sluice.control") == 0 ||
	       strcmp(set, "sluice.audit") == 0;
}

/** Each admin record of a file. @param fn returns 1 to stop. @return what it gave */
static int
each_record(struct source *s,
	    int (*fn)(void *ctx, struct source *s, unsigned long line, json_t *o,
		      struct sl_error *e),
	    void *ctx, struct sl_error *e)
{
	char *text = NULL;
	size_t room = 0;
	unsigned long line = 0;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = getline(&text, &room, s->f)) > 0) {
		json_t *o;

		line++;
		if (text[n - 1] != '\n') {
			rc = line_error(s, line, "the line is cut", e);
			break;
		}
		o = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
		if (!json_is_object(o))
			rc = line_error(s, line, "the line is no record", e);
		else if (is_admin(o))
			rc = fn(ctx, s, line, o, e);
		json_decref(o);
	}
	free(text);
	if (rc == 0 && ferror(s->f))
		rc = sl_fail(e, -EIO, "file", "", "%.200s: %s", s->name, strerror(errno));
	return rc;
}

static int
first_of(void *ctx, struct source *s, unsigned long line, json_t *o, struct sl_error *e)
{
	struct sl_seal_view w;

	sl_seal_view(o, &w);
	if (!w.chain)
		return 0;
	snprintf(s->id, sizeof(s->id), "%s", sl_json_text(w.seal, "id"));
	snprintf(s->at, sizeof(s->at), "%s", sl_json_text(o, is_row(o) ? "at" : "@timestamp"));
	s->n = w.n;
	return 1;
}

static int
check_one(void *ctx, struct source *s, unsigned long line, json_t *o, struct sl_error *e)
{
	struct job *j = ctx;
	char place[256];

	/* the first one says what these files hold */
	if (!j->v && begin(j, is_row(o), true, e) != 0)
		return -EINVAL;
	snprintf(place, sizeof(place), "%.200s:%lu", s->name, line);
	return sl_seal_check_record(j->v, place, o, e);
}

/** The order in which they were written: by number, and chains by the time of their begin. */
static int
compare(const void *a, const void *b)
{
	const struct source *x = a, *y = b;

	if (strcmp(x->id, y->id) == 0 || strcmp(x->at, y->at) == 0)
		return x->n < y->n ? -1 : x->n > y->n;
	return strcmp(x->at, y->at);
}

static int
open_files(struct job *j, struct source *s, struct sl_error *e)
{
	for (unsigned i = 0; i < j->n_files; i++) {
		bool in = strcmp(j->files[i], "-") == 0;
		int rc;

		s[i] = (struct source){.name = in ? "standard input" : j->files[i],
				       .f = in ? stdin : fopen(j->files[i], "re")};
		if (!s[i].f)
			return sl_fail(e, -errno, "file", "", "%.200s: %s", j->files[i],
				       strerror(errno));
		if (j->n_files == 1) /* it cannot be in the wrong place */
			return 0;
		rc = each_record(&s[i], first_of, NULL, e);
		if (rc < 0)
			return rc;
		if (fseek(s[i].f, 0, SEEK_SET) != 0)
			return sl_fail(e, -errno, "file", "", "%.200s: %s: give it alone",
				       s[i].name, strerror(errno));
	}
	qsort(s, j->n_files, sizeof(*s), compare);
	return 0;
}

static int
check_files(struct job *j, struct sl_error *e)
{
	struct source *s = calloc(j->n_files, sizeof(*s));
	int rc = s ? open_files(j, s, e) : -ENOMEM;

	for (unsigned i = 0; rc == 0 && i < j->n_files; i++)
		rc = each_record(&s[i], check_one, j, e);
	for (unsigned i = 0; s && i < j->n_files; i++)
		if (s[i].f && s[i].f != stdin) /* which may be named twice */
			fclose(s[i].f);
	free(s);
	return rc;
}

/* --- rows ------------------------------------------------------------------------------------- */

static int
check_rows(struct job *j, const json_t *items, struct sl_error *e)
{
	char place[32];
	json_t *row;
	size_t i;
	int rc = 0;

	json_array_foreach (items, i, row) {
		snprintf(place, sizeof(place), "row %" JSON_INTEGER_FORMAT,
			 json_integer_value(json_object_get(row, "n")));
		rc = sl_seal_check_record(j->v, place, row, e);
		if (rc != 0)
			break;
	}
	return rc;
}

/** @return an exit code: a file that cannot be read tells nothing of its records */
static int
exit_of(int rc, const struct sl_error *e)
{
	if (rc == 0)
		return 0;
	return strcmp(e->reason, "file") == 0 ? EXIT_USAGE : EXIT_FAILED;
}

/** @return an exit code */
static int
check_control(struct job *j, struct rest *r, struct sl_error *e)
{
	char path[80], next[32] = "0";
	struct rest_call c = {.method = "GET", .path = "/audit/key"};
	struct rest_answer a = {0};
	int rc = rest_call(r, &c, &a, e); /* a follower says who has the audit */

	rest_answer_free(&a);
	c.path = path;
	while (rc == 0 && next[0]) {
		snprintf(path, sizeof(path), "/audit?limit=%u&after=%s", PAGE, next);
		rc = rest_call(r, &c, &a, e);
		if (rc == 0 && check_rows(j, json_object_get(a.json, "items"), e) != 0)
			rc = EXIT_FAILED;
		snprintf(next, sizeof(next), "%s", sl_json_text(a.json, "next"));
		rest_answer_free(&a);
	}
	return rc;
}

/* --- what is found ---------------------------------------------------------------------------- */

static void
print(const struct job *j, const struct sl_seal_report *r)
{
	char key[SL_SEAL_KEY_STR];

	sl_key_to_base64(r->key, key);
	printf("whole: records %" PRIu64 " to %" PRIu64 ", %" PRIu64 " of them signed\n", r->first,
	       r->last, r->seals);
	fputs("last signed: ", stdout);
	sl_text_put(stdout, r->at);
	fputs(" (", stdout);
	sl_text_put(stdout, r->why);
	printf("); %" PRIu64 " after that are in the chain, not signed\n", r->unsigned_n);
	printf("key: %s%s\n", key,
	       j->n_keys > 0 ? "" : ", which the records name themselves: compare it with --key");
	if (r->first > 1)
		printf("what was before record %" PRIu64 " is not here\n", r->first);
	if (r->chains > 1)
		printf("chains: %" PRIu64 ", one behind the other\n", r->chains);
	sl_seal_print_doubt(r, stdout);
	if (r->kept + r->kept_before > 0)
		printf("checkpoints that were kept: %" PRIu64 " are here, %" PRIu64
		       " are older than these records\n",
		       r->kept, r->kept_before);
}

static void
print_json(const struct sl_seal_report *r, const struct sl_error *e)
{
	char key[SL_SEAL_KEY_STR];
	json_t *o = json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I}", "ok", e->err == 0,
			      "records", (json_int_t)r->records, "first", (json_int_t)r->first,
			      "seals", (json_int_t)r->seals, "unsigned", (json_int_t)r->unsigned_n,
			      "chains", (json_int_t)r->chains, "signed_at", r->at, "kept",
			      (json_int_t)r->kept, "kept_before", (json_int_t)r->kept_before);

	sl_seal_json_doubt(r, o);
	sl_key_to_base64(r->key, key);
	json_object_set_new(o, "key", json_string(key));
	if (r->records > 0)
		json_object_update_new(o, sl_seal_place_json(&r->head));
	if (e->err != 0)
		json_object_set_new(o, "error", answer_error(e));
	answer_json(o);
	json_decref(o);
}

/** @return an exit code */
static int
finish(struct job *j, int rc, struct sl_error *e)
{
	struct sl_seal_report r = {0};
	struct sl_error end = {0};

	if (j->v) {
		int at_end = sl_seal_check_end(j->v, &r, &end);

		if (rc == 0 && at_end != 0) {
			*e = end;
			rc = EXIT_FAILED;
		}
	}
	sl_seal_check_free(j->v);
	if (j->json)
		print_json(&r, e);
	else if (rc == 0)
		print(j, &r);
	return rc == 0 && sl_seal_doubt(&r) ? EXIT_NOT_VOUCHED : rc;
}

bool
audit_names_files(int argc, char **argv)
{
	struct job j = {.json = false};
	struct sl_error e;

	return parse(&j, argc, argv, &e) == 0 && j.n_files > 0;
}

int
audit_files_command(int argc, char **argv, bool json, struct sl_error *e)
{
	struct job j = {.json = json};
	int rc = parse(&j, argc, argv, e);

	if (rc == 0 && j.n_files == 0)
		rc = usage(e, "name the files", "");
	if (rc != 0)
		return rc;
	rc = exit_of(check_files(&j, e), e);
	if (rc == 0 && !j.v && begin(&j, false, true, e) != 0) /* they hold nothing */
		rc = EXIT_FAILED;
	return finish(&j, rc, e);
}

int
audit_rows_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct job j = {.json = json};
	int rc = parse(&j, argc, argv, e);

	if (rc != 0)
		return rc;
	rc = exit_of(begin(&j, true, false, e), e);
	rc = rc ? rc : check_control(&j, r, e);
	return finish(&j, rc, e);
}
