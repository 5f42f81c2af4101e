/* SPDX-License-Identifier: BSD-3-Clause */
/* Suggested rules multiply out to exactly the flows that were seen, random sets of them included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_flow_suggest.h"

static struct sl_suggest_flow
flow(const char *role, const char *peer, const char *src, const char *dst, unsigned proto,
     unsigned port)
{
	struct sl_suggest_flow f = {.role = role,
				    .peer = peer,
				    .interface = "wg0",
				    .proto = (uint8_t)proto,
				    .port = (uint16_t)port,
				    .flows = 2};

	assert_int_equal(sl_ip_parse(src, &f.src), 0);
	assert_int_equal(sl_ip_parse(dst, &f.dst), 0);
	return f;
}

/** What a rule allows, one by one, into a set; nothing twice. */
static void
expand(const json_t *rule, json_t *set)
{
	size_t i, k, p, n_ports = json_array_size(json_object_get(rule, "ports"));
	json_t *src, *dst;
	char key[256];

	json_array_foreach (json_object_get(rule, "src"), i, src)
		json_array_foreach (json_object_get(rule, "to"), k, dst)
			for (p = 0; p < SL_MAX(n_ports, (size_t)1); p++) {
				snprintf(key, sizeof(key), "%s %s %s %s %d",
					 json_string_value(json_object_get(rule, "role")),
					 json_string_value(src), json_string_value(dst),
					 json_string_value(json_object_get(rule, "protocol")),
					 n_ports ? (int)json_integer_value(json_array_get(
							   json_object_get(rule, "ports"), p))
						 : 0);
				assert_null(json_object_get(set, key));
				json_object_set_new(set, key, json_true());
			}
}

static void
exact(void **state)
{
	static const char *const roles[] = {"eng", "ops"};
	unsigned seed = 20261126;

	(void)state;
	for (unsigned round = 0; round < 300; round++) {
		struct sl_suggest *s = sl_suggest_new(NULL, 1024, 0);
		json_t *want = json_object(), *got = json_object(), *out, *row;
		unsigned n = 1 + rand_r(&seed) % 60;
		size_t i;

		for (unsigned k = 0; k < n; k++) {
			char src[32], dst[32], key[256];
			unsigned proto = rand_r(&seed) % 4 ? 6 : 1,
				 port = proto == 6 ? 1 + rand_r(&seed) % 4 : 0;
			const char *role = roles[rand_r(&seed) % 2];
			struct sl_suggest_flow f;

			snprintf(src, sizeof(src), "10.7.0.%u", rand_r(&seed) % 4);
			snprintf(dst, sizeof(dst), "10.20.0.%u", rand_r(&seed) % 4);
			f = flow(role, "alice", src, dst, proto, port);
			assert_int_equal(sl_suggest_add(s, &f), 0);
			snprintf(key, sizeof(key), "%s %s %s %s %u", role, src, dst,
				 proto == 6 ? "tcp" : "icmp", port);
			json_object_set_new(want, key, json_true());
		}
		out = sl_suggest_done(s);
		assert_non_null(out);
		json_array_foreach (json_object_get(out, "rules"), i, row)
			expand(json_object_get(row, "rule"), got);
		if (!json_equal(want, got))
			fail_msg("round %u: %s", round, json_dumps(out, JSON_INDENT(1)));
		assert_int_equal(json_array_size(json_object_get(out, "tests")),
				 json_array_size(json_object_get(out, "rules")));
		json_decref(out);
		json_decref(want);
		json_decref(got);
		sl_suggest_free(s);
	}
}

/** A full product is one rule; with one flow less it is not. */
static void
merges(void **state)
{
	(void)state;
	for (unsigned less = 0; less < 2; less++) {
		struct sl_suggest *s = sl_suggest_new(NULL, 32, 0);
		json_t *out;

		for (unsigned k = less; k < 3 * 4 * 5; k++) {
			char src[32], dst[32];
			struct sl_suggest_flow f;

			snprintf(src, sizeof(src), "10.7.0.%u", k % 3);
			snprintf(dst, sizeof(dst), "10.20.0.%u", k / 3 % 4);
			f = flow("eng", "alice", src, dst, 17, 1 + k / 12);
			sl_suggest_add(s, &f);
		}
		out = sl_suggest_done(s);
		if (less)
			assert_in_range(json_array_size(json_object_get(out, "rules")), 2, 4);
		else
			assert_int_equal(json_array_size(json_object_get(out, "rules")), 1);
		json_decref(out);
		sl_suggest_free(s);
	}
}

static void
document(void **state)
{
	json_t *doc = json_loads(
		       "{\"version\": 7, \"zones\": {\"s\": {\"type\": \"internal\", \"networks\": "
		       "[\"10.20.0.0/16\"]}}, \"roles\": {\"eng\": {\"members\": "
		       "[\"peer:alice\"]}}, \"rules\": [{\"id\": 41, \"role\": \"eng\", \"to\": "
		       "[\"10.20.0.9\"], \"protocol\": \"tcp\", \"ports\": [1], \"action\": "
		       "\"allow\"}]}",
		       0, NULL),
	       *copy = json_deep_copy(doc), *out, *cand, *left;
	struct sl_suggest *s = sl_suggest_new(doc, 2, 2);
	struct sl_suggest_flow f = flow("eng", "alice", "10.7.0.2", "10.20.0.10", 6, 443),
			       g = flow("", "bob", "10.7.0.3", "10.20.0.10", 6, 443),
			       few = flow("eng", "alice", "10.7.0.2", "10.20.0.11", 6, 443),
			       more = flow("eng", "alice", "10.7.0.2", "10.20.0.12", 17, 53),
			       inside = flow("eng", "alice", "10.20.0.10", "10.7.0.2", 6, 22);
	const char *reasons = NULL;

	(void)state;
	few.flows = 1;
	inside.from_inside = true;
	sl_suggest_add(s, &f);
	sl_suggest_add(s, &g);
	sl_suggest_add(s, &few);
	sl_suggest_add(s, &more);
	sl_suggest_add(s, &inside);
	out = sl_suggest_done(s);
	cand = json_object_get(out, "candidate");
	assert_true(json_equal(doc, copy));
	assert_int_equal(json_array_size(json_object_get(out, "rules")), 2);
	/* the role had one rule and may have two */
	assert_int_equal(json_array_size(json_object_get(cand, "rules")), 3);
	assert_int_equal(json_integer_value(
				 json_object_get(json_array_get(json_object_get(cand, "rules"), 1),
						 "id")),
			 42);
	assert_string_equal(json_string_value(json_array_get(
				    json_object_get(json_object_get(json_object_get(cand, "roles"),
								    "observed-bob"),
						    "members"),
				    0)),
			    "peer:bob@wg0");
	left = json_object_get(out, "left_out");
	assert_int_equal(json_array_size(left), 3);
	reasons = json_string_value(json_object_get(json_array_get(left, 0), "reason"));
	assert_string_equal(reasons, "few");
	json_decref(out);
	json_decref(doc);
	json_decref(copy);
	sl_suggest_free(s);
}

/** Where a zone allows by default, whoever has no role would gain all of it with his first role. */
static void
allowing_zone(void **state)
{
	json_t *doc = json_loads("{\"zones\": {\"s\": {\"type\": \"internal\", \"default_policy\": "
				 "\"allow\"}}}",
				 0, NULL),
	       *out;
	struct sl_suggest *s = sl_suggest_new(doc, 32, 0);
	struct sl_suggest_flow g = flow("", "bob", "10.7.0.3", "10.20.0.10", 6, 443);

	(void)state;
	sl_suggest_add(s, &g);
	out = sl_suggest_done(s);
	assert_int_equal(json_array_size(json_object_get(out, "rules")), 0);
	assert_string_equal(json_string_value(json_object_get(
				    json_array_get(json_object_get(out, "left_out"), 0), "reason")),
			    "zone_allows");
	json_decref(out);
	json_decref(doc);
	sl_suggest_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(exact), cmocka_unit_test(merges),
					   cmocka_unit_test(document),
					   cmocka_unit_test(allowing_zone)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
