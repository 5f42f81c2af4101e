/* SPDX-License-Identifier: BSD-3-Clause */
/* What was seen on the gateways, for people: whose flows, by which protocol, and which rules are
 * suggested for them. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_json.h"
#include "sl_policy_doc.h"

#define NS_PER_S UINT64_C(1000000000)

static const char *const flow_keys[] = {"gateway", "peer", "from", "src",   "dst", "protocol",
					"port",	   "why",  "rule", "flows", NULL};
static const char *const seen_keys[] = {"gateway", "peer",  "src",   "dst",  "protocol", "port",
					"verdict", "would", "flows", "last", NULL};
static const char *const gap_keys[] = {"gateway",    "covered_s", "newest_gap", "lost_rows",
				       "lost_flows", "silent_s",  NULL};
static const char *const rule_keys[] = {"role",	    "id",    "src",   "to",
					"protocol", "ports", "flows", NULL};

/** A member of a row, or of its rule, as people read it. New reference, NULL: it is not there. */
static json_t *
value_of(const json_t *row, const char *key)
{
	json_t *v = json_object_get(row, key);
	char text[32];

	if (strcmp(key, "newest_gap") == 0) {
		v = json_object_get(row, "newest_gap_s");
		if (json_integer_value(v) <= 0)
			return NULL;
		return json_string(sl_time_str((uint64_t)json_integer_value(v) * NS_PER_S, text));
	}
	if (!v)
		v = json_object_get(json_object_get(row, "rule"), key);
	if (strcmp(key, "protocol") == 0 && json_is_integer(v))
		return json_string(sl_proto_str((unsigned)json_integer_value(v), text));
	return json_incref(v);
}

/** These members of rows, in this order, in the place of the list. */
static void
choose(json_t *o, const char *name, const char *const keys[])
{
	const json_t *rows = json_object_get(o, name);
	json_t *chosen, *row, *to;
	size_t i;

	if (!json_is_array(rows))
		return;
	chosen = json_array();
	json_array_foreach ((json_t *)rows, i, row) {
		to = json_object();
		for (unsigned k = 0; keys[k]; k++)
			json_object_set_new(to, keys[k], value_of(row, keys[k]));
		json_array_append_new(chosen, to);
	}
	json_object_set_new(o, name, chosen);
}

/** {flows, rows}: the number stays, and the rows are a list of their own. */
static void
spread(json_t *o, const char *name, const char *list)
{
	json_t *part = json_incref(json_object_get(o, name));

	json_object_set(o, name, json_object_get(part, "flows"));
	if (json_array_size(json_object_get(part, "rows"))) {
		json_object_set(o, list, json_object_get(part, "rows"));
		choose(o, list, flow_keys);
	}
	json_decref(part);
}

/** Ask, and show all as it is, or for people what they can read. */
static int
ask(struct rest *r, const struct control_request *q, bool json, const char *alone,
    void (*for_people)(json_t *o), struct sl_error *e)
{
	struct rest_answer a = {0};
	int rc = control_ask(r, q, &a, e);

	if (rc == 0 && alone) {
		answer_json(json_object_get(a.json, alone));
	} else if (rc == 0) {
		if (!json) {
			for_people(a.json);
			choose(a.json, "gaps", gap_keys);
		}
		rc = control_tell(&a, json);
	}
	rest_answer_free(&a);
	return rc;
}

static void
denied_for_people(json_t *o)
{
	choose(o, "rows", flow_keys);
}

int
would_deny_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "would-deny", .args = {"target"}};
	struct control_request q;
	int rc = control_parse(&q, op_find("getWouldDeny"), &v, argc, argv, e) ? EXIT_USAGE : 0;

	rc = rc ? rc : ask(r, &q, json, NULL, denied_for_people, e);
	control_request_free(&q);
	return rc;
}

static void
seen_for_people(json_t *o)
{
	choose(o, "items", seen_keys);
	json_object_set(o, "rows", json_object_get(o, "items"));
	json_object_del(o, "items");
}

int
flows_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "flows", .args = {"peer"}};
	struct control_request q;
	int rc = control_parse(&q, op_find("listFlows"), &v, argc, argv, e) ? EXIT_USAGE : 0;

	rc = rc ? rc : ask(r, &q, json, NULL, seen_for_people, e);
	control_request_free(&q);
	return rc;
}

static void
suggested_for_people(json_t *o)
{
	json_object_del(o, "candidate");
	json_object_del(o, "tests"); /* of the candidate */
	choose(o, "rules", rule_keys);
}

/** --candidate: the document with the suggestions alone, for replay and put. */
int
suggest_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "policy suggest", .args = {"target"}};
	struct control_request q;
	bool alone = false;
	int n = 0, rc;

	for (int i = 0; i < argc; i++) {
		if (strcmp(argv[i], "--candidate") == 0)
			alone = true;
		else
			argv[n++] = argv[i];
	}
	rc = control_parse(&q, op_find("suggestPolicy"), &v, n, argv, e) ? EXIT_USAGE : 0;
	rc = rc ? rc : ask(r, &q, json, alone ? "candidate" : NULL, suggested_for_people, e);
	control_request_free(&q);
	return rc;
}

/** A policy document, with comments or without, as one line. @return NULL with an error */
static char *
policy_line(const char *path, struct sl_error *e)
{
	struct control_request file = {0};
	json_error_t why;
	json_t *doc = NULL;
	char *line = NULL;
	int rc = control_read_file(&file, path, e);

	rc = rc ? rc : sl_policy_doc_clean(file.text, strlen(file.text), e);
	if (rc == 0)
		doc = json_loads(file.text, JSON_REJECT_DUPLICATES, &why);
	if (doc)
		line = json_dumps(doc, JSON_COMPACT);
	else if (rc == 0)
		sl_fail(e, -EINVAL, "json_invalid", "", "%.200s:%d: %.100s", path, why.line,
			why.text);
	json_decref(doc);
	free(file.text);
	return line;
}

static void
changes_for_people(json_t *o)
{
	spread(o, "newly_denied", "denied");
	spread(o, "newly_allowed", "allowed");
}

/** The file is one field of the body here, not the body. */
int
replay_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct control_request q = {0};
	char *policy, *args[16];
	int n = 0, rc;

	if (argc < 1 || argc > 15) {
		sl_fail(e, -EINVAL, "usage", "", "policy replay wants FILE");
		return EXIT_USAGE;
	}
	policy = policy_line(argv[0], e);
	if (!policy || asprintf(&args[n++], "policy=%s", policy) < 0) {
		free(policy);
		return e->err == -EINVAL && strcmp(e->reason, "file") == 0 ? EXIT_USAGE
									   : EXIT_FAILED;
	}
	free(policy);
	for (int i = 1; i < argc; i++)
		args[n++] = argv[i];
	rc = control_parse(&q, op_find("replayPolicy"), NULL, n, args, e) ? EXIT_USAGE : 0;
	free(args[0]);
	rc = rc ? rc : ask(r, &q, json, NULL, changes_for_people, e);
	control_request_free(&q);
	return rc;
}
