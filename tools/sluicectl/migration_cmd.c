/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger as a report. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_json.h"

static void
print_gates(const json_t *o, const char *indent)
{
	json_t *g;
	size_t i;

	json_array_foreach (json_object_get(o, "gates"), i, g)
		printf("%s%-4s %-20s %s\n", indent,
		       json_is_true(json_object_get(g, "ok")) ? "ok" : "--",
		       sl_json_text(g, "gate"), sl_json_text(g, "detail"));
}

static void
print_target(const json_t *t)
{
	json_t *v;
	size_t i;

	printf("\n%s: %s, path %s, %d peers%s%s\n", sl_json_text(t, "target"),
	       sl_json_text(t, "state"), sl_json_text(t, "path"),
	       (int)json_integer_value(json_object_get(t, "peers")),
	       sl_json_text(t, "since")[0] ? ", since " : "", sl_json_text(t, "since"));
	if (json_object_get(t, "next_state"))
		printf("  before %s:\n", sl_json_text(t, "next_state"));
	print_gates(t, "    ");
	if (strcmp(sl_json_text(t, "next_state"), "enforced") == 0)
		printf("  then, on each gateway: sluicectl mode enforce %s\n",
		       sl_json_text(t, "target"));
	json_array_foreach (json_object_get(t, "stale_configs"), i, v)
		printf("  still in the configuration of %s\n", json_string_value(v));
	json_array_foreach (json_object_get(t, "older_gateways"), i, v)
		printf("  %s is older and does not refuse what still goes there: update it\n",
		       json_string_value(v));
}

int
migration_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct control_request q = {0};
	struct rest_answer a = {0};
	json_t *t;
	size_t i;
	int rc = control_parse(&q, op_find("getMigration"), NULL, argc, argv, e)
			 ? EXIT_USAGE
			 : control_ask(r, &q, &a, e);

	if (rc == 0 && json) {
		rc = control_tell(&a, true);
	} else if (rc == 0) {
		printf("phase %d\n", (int)json_integer_value(json_object_get(a.json, "phase")));
		if (json_array_size(json_object_get(a.json, "gates")))
			printf("  before phase %d:\n",
			       (int)json_integer_value(json_object_get(a.json, "next_phase")));
		print_gates(a.json, "    ");
		json_array_foreach (json_object_get(a.json, "targets"), i, t)
			print_target(t);
	}
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

/** A gateway of the schema before lets through what policy allows: whoever withdraws hears so at
 * once, and what holds there too. */
static void
warn_older(const json_t *t)
{
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(t, "older_gateways"), i, v)
		fprintf(stderr,
			"sluicectl: %s is older and does not refuse what clients still send to %s: "
			"where nobody may get there, take the rules that allow it out of the "
			"policy until it is updated\n",
			json_string_value(v), sl_json_text(t, "target"));
}

int
withdraw_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	static const struct control_verb v = {.words = "migration withdraw", .args = {"name"}};
	struct control_request q = {0};
	struct rest_answer a = {0};
	int rc = control_parse(&q, op_find("withdrawMigration"), &v, argc, argv, e)
			 ? EXIT_USAGE
			 : control_ask(r, &q, &a, e);

	if (rc == 0)
		warn_older(a.json);
	if (rc == 0)
		rc = control_tell(&a, json);
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}
