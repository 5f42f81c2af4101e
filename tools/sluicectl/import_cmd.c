/* SPDX-License-Identifier: BSD-3-Clause */
/* import: first everything is asked as a dry run, then made; what is there already and equal is
 * left. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "import.h"
#include "sl_addr.h"
#include "sl_json.h"

struct import {
	const char *file, *interface;
	bool dry_run, csv, json;
	unsigned made, equal, refused, secrets;
};

static int
take_args(struct import *im, int argc, char **argv, struct sl_error *e)
{
	const char *dot;

	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "interface=", 10) == 0)
			im->interface = argv[i] + 10;
		else if (strcmp(argv[i], "--dry-run") == 0)
			im->dry_run = true;
		else if (!im->file)
			im->file = argv[i];
		else
			return sl_fail(e, -EINVAL, "usage", "", "import takes no \"%.60s\"",
				       argv[i]);
	}
	if (!im->file || !im->interface) {
		sl_fail(e, -EINVAL, "usage", "", "import wants FILE and interface=NAME");
		sl_hint(e, "sluicectl --control URL import wg0.conf interface=wg0 --dry-run");
		return -EINVAL;
	}
	dot = strrchr(im->file, '.');
	im->csv = dot && strcasecmp(dot, ".csv") == 0;
	return 0;
}

static int
ask(struct rest *r, const json_t *body, bool dry_run, struct sl_error *e)
{
	struct rest_call c = {.method = "POST",
			      .path = dry_run ? "/peers?dry_run=true" : "/peers",
			      .body = body,
			      .once = !dry_run};
	struct rest_answer a;
	int rc = rest_call(r, &c, &a, e);

	rest_answer_free(&a);
	return rc;
}

/** Is the peer there with these values? */
static bool
is_there(struct rest *r, const json_t *body)
{
	char path[128];
	struct rest_call c = {.method = "GET", .path = path};
	struct sl_error e = {0};
	struct rest_answer a;
	bool same;
	const char *key;
	json_t *v;

	snprintf(path, sizeof(path), "/peers/%.80s",
		 json_string_value(json_object_get(body, "name")));
	same = rest_call(r, &c, &a, &e) == 0;
	json_object_foreach ((json_t *)body, key, v)
		same = same && json_equal(json_object_get(a.json, key), v);
	rest_answer_free(&a);
	return same;
}

/** A dry run says what would be called how: names come from comments. */
static void
tell(const struct import *im, const json_t *row, bool equal)
{
	json_t *list = json_object_get(row, "allowed_ips"), *v;
	size_t i;

	printf("%6d  %-24s  %-5s  ", (int)json_integer_value(json_object_get(row, "line")),
	       sl_json_text(row, "name"), equal ? "there" : "new");
	json_array_foreach (list, i, v)
		printf("%s%s", i ? "," : "", json_string_value(v));
	putchar('\n');
}

/** @return 0, or an exit code after the line that tells what is wrong with it */
static int
one(struct rest *r, struct import *im, const json_t *row, bool dry_run)
{
	json_t *body = json_copy((json_t *)row);
	struct sl_error e = {0};
	bool equal;
	int rc;

	json_object_del(body, "line");
	json_object_set_new(body, "interface", json_string(im->interface));
	rc = ask(r, body, dry_run, &e);
	equal = rc == EXIT_CONFLICT && is_there(r, body);
	if (equal) {
		im->equal += dry_run;
		rc = 0;
	} else if (rc == 0) {
		im->made += !dry_run;
	} else {
		fprintf(stderr, "sluicectl: %s:%d: %s: %s (%s)%s%s\n", im->file,
			(int)json_integer_value(json_object_get(row, "line")),
			json_string_value(json_object_get(row, "name")), e.message, e.reason,
			e.path[0] ? " at " : "", e.path);
		im->refused++;
	}
	if (rc == 0 && im->dry_run && !im->json)
		tell(im, row, equal);
	json_decref(body);
	return rc;
}

/* --- inside the file: a dry run asks for each peer alone
 * ------------------------------------------ */

/** @return the line that has the value already, 0: none, and it is this line's now */
static int
taken(json_t *seen, const char *what, const char *value, int line)
{
	char key[160];
	const json_t *was;

	snprintf(key, sizeof(key), "%s %s", what, value);
	was = json_object_get(seen, key);
	if (was)
		return (int)json_integer_value(was);
	json_object_set_new(seen, key, json_integer(line));
	return 0;
}

static unsigned
tell_twice(const struct import *im, const json_t *row, const char *what, const char *value,
	   json_t *seen)
{
	int line = (int)json_integer_value(json_object_get(row, "line"));
	int was = taken(seen, what, value, line);

	if (!was || was == line)
		return 0;
	fprintf(stderr, "sluicectl: %s:%d: %s: %s %s is that of line %d too (twice)\n", im->file,
		line, json_string_value(json_object_get(row, "name")), what, value, was);
	return 1;
}

/** Names, keys and prefixes that two peers of the file have. @return how many */
static unsigned
twice(const struct import *im, const json_t *rows)
{
	json_t *seen = json_object(), *row, *v;
	char text[SL_PREFIX_STR];
	struct sl_prefix p;
	unsigned n = 0;
	size_t i, k;

	json_array_foreach ((json_t *)rows, i, row) {
		n += tell_twice(im, row, "name", sl_json_text(row, "name"), seen);
		n += tell_twice(im, row, "public key", sl_json_text(row, "public_key"), seen);
		json_array_foreach (json_object_get(row, "allowed_ips"), k, v)
			if (sl_prefix_parse(json_string_value(v), &p) == 0)
				n += tell_twice(im, row, "prefix", sl_prefix_str(&p, text), seen);
	}
	json_decref(seen);
	return n;
}

static int
all(struct rest *r, struct import *im, json_t *rows, bool dry_run)
{
	json_t *row;
	size_t i;
	int rc = 0, worst = 0;

	json_array_foreach (rows, i, row) {
		rc = one(r, im, row, dry_run);
		if (rc == EXIT_UNREACHABLE)
			return rc;
		worst = rc ? rc : worst;
	}
	return worst;
}

static void
report(const struct import *im, size_t n)
{
	json_t *o =
		im->json ? json_pack("{s:I, s:I, s:I, s:I, s:I, s:b}", "peers", (json_int_t)n,
				     "made", (json_int_t)im->made, "equal", (json_int_t)im->equal,
				     "refused", (json_int_t)im->refused, "preshared_keys",
				     (json_int_t)im->secrets, "dry_run", im->dry_run)
			 : NULL;

	if (o) {
		answer_json(o);
		json_decref(o);
		return;
	}
	printf("%zu peers in %s: %u made, %u were there, %u refused%s\n", n, im->file, im->made,
	       im->equal, im->refused, im->dry_run ? " (dry run)" : "");
	if (im->secrets)
		printf("%u have a preshared key. It was not sent: put each into the gateway's "
		       "state "
		       "directory, as psk/NAME (docs/control-plane.md).\n",
		       im->secrets);
}

int
import_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct import im = {.json = json};
	json_t *rows;
	int rc;

	if (take_args(&im, argc, argv, e))
		return EXIT_USAGE;
	rows = im.csv ? import_csv(im.file, e) : import_wg_conf(im.file, &im.secrets, e);
	if (!rows)
		return strcmp(e->reason, "file") == 0 ? EXIT_USAGE : EXIT_FAILED;
	im.refused = twice(&im, rows);
	rc = im.refused ? EXIT_CONFLICT : all(r, &im, rows, true);
	if (rc == 0 && !im.dry_run)
		rc = all(r, &im, rows, false);
	else if (rc && rc != EXIT_UNREACHABLE)
		fputs("sluicectl: nothing was made: mend the lines above and import again\n",
		      stderr);
	report(&im, json_array_size(rows));
	json_decref(rows);
	return rc;
}

int
routes_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct control_request q = {0};
	struct rest_answer a = {0};
	json_t *row, *pool;
	size_t i, k;
	int rc;

	(void)argv;
	if (argc) {
		sl_fail(e, -EINVAL, "usage", "", "routes takes no arguments");
		return EXIT_USAGE;
	}
	rc = control_parse(&q, op_find("listGatewayInterfaces"), NULL, 0, NULL, e)
		     ? EXIT_USAGE
		     : control_ask(r, &q, &a, e);
	if (rc == 0 && json)
		answer_json(json_object_get(a.json, "items"));
	else if (rc == 0)
		printf("# on the routers of the private servers: what belongs to whose clients "
		       "goes back there\n");
	json_array_foreach (json_object_get(a.json, "items"), i, row)
		json_array_foreach (json_object_get(row, "client_pool"), k, pool)
			if (rc == 0 && !json)
				printf("ip route add %s via INSIDE-ADDRESS-OF-%s   # %s\n",
				       json_string_value(pool),
				       json_string_value(json_object_get(row, "gateway")),
				       json_string_value(json_object_get(row, "interface")));
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}
