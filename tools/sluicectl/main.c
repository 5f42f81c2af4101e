/* SPDX-License-Identifier: BSD-3-Clause */
/* sluicectl: steer a gateway, or the control plane of many, from the command line. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control.h"
#include "sluicectl.h"
#include "table.h"
#include "sl_json.h"
#include "sl_text.h"

#define PART_BYTES (384 * 1024) /* a line has at most 1 MiB, quotes and line ends take two */

struct options {
	const char *socket, *tcp, *instance, *control;
	struct remote_conf tls;
	bool json, wide;
	char path[128];
};

/** Much of it is the other side's text. */
static void
tell(const char *before, const char *text, const char *after)
{
	fputs(before, stderr);
	sl_text_put(stderr, text);
	fputs(after, stderr);
}

void
tell_error(const struct sl_error *e)
{
	tell("sluicectl: error: ", e->message, "");
	if (e->reason[0] && strcmp(e->reason, "usage") != 0)
		tell(" (", e->reason, ")");
	if (e->path[0])
		tell(" at ", e->path, "");
	fputc('\n', stderr);
	if (e->hint[0])
		tell("sluicectl: remedy: ", e->hint, "\n");
}

/** The list of a result that has pages. */
static json_t *
list_of(json_t *result)
{
	const char *key;
	json_t *item;

	json_object_foreach (result, key, item) {
		if (json_is_array(item))
			return item;
	}
	return NULL;
}

/** Call; where the answer is one page of many and no page was asked for, get the others too. */
static int
call_all(struct client *c, const char *method, json_t *params, json_t **result, struct sl_error *e)
{
	bool one = json_object_get(params, "limit") || json_object_get(params, "after");
	int rc = client_call(c, method, params, result, e);
	json_t *next, *more, *p;

	while (rc == 0 && !one && (next = json_object_get(*result, "next")) != NULL) {
		p = json_copy(params);
		json_object_set(p, "after", next);
		rc = client_call(c, method, p, &more, e);
		json_decref(p);
		if (rc)
			break;
		json_array_extend(list_of(*result), list_of(more));
		json_object_del(*result, "next");
		if (json_object_get(more, "next"))
			json_object_set(*result, "next", json_object_get(more, "next"));
		json_decref(more);
	}
	return rc;
}

/** End of a part that begins at `from`: no character is cut. */
static size_t
part_end(const char *text, size_t len, size_t from)
{
	size_t to = SL_MIN(len, from + PART_BYTES);

	while (to < len && to > from && (text[to] & 0xc0) == 0x80)
		to--;
	return to;
}

/** A text that is too long for one line goes in parts; the last one is answered. */
static int
call_parts(struct client *c, const struct request *r, json_t **result, struct sl_error *e)
{
	const char *text = json_string_value(json_object_get(r->params, "text"));
	size_t len = text ? strlen(text) : 0, at = 0, to;
	json_t *params, *upload = NULL;
	json_int_t part = 0;
	int rc = 0;

	if (len <= PART_BYTES)
		return call_all(c, r->method->name, r->params, result, e);
	for (; rc == 0 && at < len; at = to, part++) {
		to = part_end(text, len, at);
		params = json_copy(r->params);
		json_object_set_new(params, "text", json_stringn(text + at, to - at));
		json_object_set_new(params, "part", json_integer(part));
		if (upload)
			json_object_set(params, "upload", upload);
		if (to == len)
			json_object_set_new(params, "last", json_true());
		rc = client_call(c, r->method->name, params, result, e);
		json_decref(params);
		if (rc || to == len)
			break;
		if (!upload)
			upload = json_incref(json_object_get(*result, "upload"));
		json_decref(*result);
		*result = NULL;
	}
	json_decref(upload);
	return rc;
}

static int
show(const struct options *o, const char *method, json_t *result)
{
	char *text;

	if (o->json)
		return answer_json(result);
	text = sl_view_text(method, result, o->wide);
	if (!text)
		return EXIT_FAILED;
	fputs(text, stdout);
	free(text);
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

static int
show_only(const json_t *result, const char *name)
{
	fputs(sl_json_text(result, name), stdout);
	fputc('\n', stdout);
	return fflush(stdout) ? EXIT_FAILED : EXIT_OK;
}

static int
carry_out(const struct options *o, const struct request *r, struct sl_error *e)
{
	json_t *result = NULL, *empty;
	const char *method = r->method->name;
	int rc = EXIT_FAILED;
	struct client *c = client_open(o->socket, o->tcp, &o->tls, &rc, e);

	if (!c)
		return rc;
	rc = r->file ? call_parts(c, r, &result, e) : call_all(c, method, r->params, &result, e);
	if (rc == 0 && r->then && !o->json) {
		if (strcmp(method, "authz.mode.set") == 0)
			show(o, method, result); /* the evidence, and what to confirm */
		json_decref(result);
		method = r->then;
		empty = json_object();
		rc = call_all(c, method, empty, &result, e);
		json_decref(empty);
	}
	client_close(c);
	if (rc == 0 && r->only)
		rc = show_only(result, r->only);
	else if (rc == 0)
		rc = show(o, method, result);
	json_decref(result);
	return rc;
}

static int
parse_options(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"socket", required_argument, NULL, 's'},
		{"tcp", required_argument, NULL, 't'},
		{"tls", required_argument, NULL, 'T'},
		{"control", required_argument, NULL, 'u'},
		{"ca", required_argument, NULL, 'A'},
		{"cert", required_argument, NULL, 'C'},
		{"key", required_argument, NULL, 'K'},
		{"token-file", required_argument, NULL, 'F'},
		{"instance", required_argument, NULL, 'i'},
		{"json", no_argument, NULL, 'j'},
		{"wide", no_argument, NULL, 'w'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	int opt;

	while ((opt = getopt_long(argc, argv, "+s:jwhV", longs, NULL)) != -1) {
		switch (opt) {
		case 's':
			o->socket = optarg;
			break;
		case 't':
			o->tcp = optarg;
			break;
		case 'T':
			o->tls.at = optarg;
			break;
		case 'u':
			o->control = optarg;
			break;
		case 'A':
			o->tls.ca_file = optarg;
			break;
		case 'C':
			o->tls.cert_file = optarg;
			break;
		case 'K':
			o->tls.key_file = optarg;
			break;
		case 'F':
			o->tls.token_file = optarg;
			break;
		case 'i':
			o->instance = optarg;
			break;
		case 'j':
			o->json = true;
			break;
		case 'w':
			o->wide = true;
			break;
		case 'h':
			o->control ? control_help() : help_all();
			exit(EXIT_OK);
		case 'V':
			printf("sluicectl %s\n", SL_VERSION);
			exit(EXIT_OK);
		default:
			fputs("Try: sluicectl --help\n", stderr);
			return -EINVAL;
		}
	}
	return 0;
}

/** The ways in that are given must be one. */
static int
check_ways(const struct options *o, struct sl_error *e)
{
	const struct remote_conf *t = &o->tls;

	if (!!t->at + !!o->tcp + !!o->control + (o->socket || o->instance) > 1)
		return sl_fail(e, -EINVAL, "usage", "",
			       "--control, --tls, --tcp and a socket exclude each other");
	if (!t->at && !o->control && (t->ca_file || t->cert_file || t->key_file || t->token_file))
		return sl_fail(
			e, -EINVAL, "usage", "",
			"--ca, --cert, --key and --token-file belong to --tls and --control");
	if (o->control && o->wide) {
		sl_fail(e, -EINVAL, "usage", "", "--wide is for the tables of a gateway");
		sl_hint(e, "--json shows all that a control plane answers");
		return -EINVAL;
	}
	return 0;
}

/** Which socket: the option, the instance's, the environment's, the default instance's. */
static int
choose_socket(struct options *o, struct sl_error *e)
{
	if (!o->socket && !o->instance)
		o->socket = getenv("SLUICE_SOCKET");
	if (o->socket && o->socket[0])
		return 0;
	if (!o->instance)
		o->instance = "default";
	if (!o->instance[0] || strchr(o->instance, '/') || strlen(o->instance) > 31) {
		sl_fail(e, -EINVAL, "usage", "", "\"%.40s\" cannot be the name of an instance",
			o->instance);
		return -EINVAL;
	}
	snprintf(o->path, sizeof(o->path), "/run/sluice/%s/mgmt.sock", o->instance);
	o->socket = o->path;
	return 0;
}

/** The control plane that the environment names, unless an option names another way. */
static void
choose_control(struct options *o)
{
	if (!o->control && !o->socket && !o->instance && !o->tcp && !o->tls.at)
		o->control = getenv("SLUICE_CONTROL");
	if (o->control && !o->control[0])
		o->control = NULL;
	if (o->control && !o->tls.token_file && !o->tls.cert_file)
		o->tls.token_file = getenv("SLUICE_TOKEN_FILE");
	if (o->control && !o->tls.ca_file)
		o->tls.ca_file = getenv("SLUICE_CA_FILE");
}

static int
ask_control(const struct options *o, int argc, char **argv, struct sl_error *e)
{
	struct rest_conf c = {.url = o->control,
			      .ca_file = o->tls.ca_file,
			      .cert_file = o->tls.cert_file,
			      .key_file = o->tls.key_file,
			      .token_file = o->tls.token_file};

	return check_ways(o, e) ? EXIT_USAGE : control_command(&c, argc, argv, o->json, e);
}

int
main(int argc, char **argv)
{
	struct options o = {0};
	struct request r = {0};
	struct sl_error e = {0};
	int rc;

	if (parse_options(argc, argv, &o))
		return EXIT_USAGE;
	argc -= optind;
	argv += optind;
	choose_control(&o);
	if (o.control && (argc == 0 || (argc == 1 && strcmp(argv[0], "help") == 0))) {
		control_help();
		return argc ? EXIT_OK : EXIT_USAGE;
	}
	if (o.control && strcmp(argv[0], "help") == 0)
		return control_help_about(argc - 1, argv + 1);
	if (argc == 0 || (argc == 1 && strcmp(argv[0], "help") == 0)) {
		help_all();
		return argc ? EXIT_OK : EXIT_USAGE;
	}
	if (strcmp(argv[0], "help") == 0)
		return help_about(argc - 1, argv + 1);
	if (strcmp(argv[0], "completion") == 0) {
		help_completion();
		return EXIT_OK;
	}
	if (strcmp(argv[0], "ca") == 0)
		rc = ca_command(argc, argv, o.json, &e);
	else if (words_match("audit verify", argc, argv) == 2 &&
		 (!o.control || audit_names_files(argc - 2, argv + 2)))
		rc = audit_files_command(argc - 2, argv + 2, o.json, &e);
	else if (o.control)
		rc = ask_control(&o, argc, argv, &e);
	else if (strcmp(argv[0], "token") == 0)
		rc = token_command(argc, argv, &e);
	else if (check_ways(&o, &e) || choose_socket(&o, &e) || request_parse(&r, argc, argv, &e))
		rc = EXIT_USAGE;
	else
		rc = carry_out(&o, &r, &e);
	if (rc && e.err)
		tell_error(&e);
	if (rc && e.err && o.json)
		answer_failed(&e);
	json_decref(r.params);
	return rc;
}
