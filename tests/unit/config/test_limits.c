/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that hold more than a gateway has room for: told as it would, with the line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_int.h"

static char dir[] = "/tmp/sl-config-XXXXXX";
static char file[64];
static struct sl_error e;

static int
load(const char *text)
{
	struct sl_config *c = NULL;
	FILE *f = fopen(file, "w");
	int rc;

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	rc = sl_config_load(file, &c, &e);
	sl_config_free(c);
	return rc;
}

/** A port with n VLANs, or n interfaces with the same inside; all on lines of their own. */
static char *
many(unsigned n_vlans, unsigned n_ifaces)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fputs("ports = ( { name = \"wan\"; device = \"net_null0\"; vlans = (", f);
	for (unsigned i = 1; i <= n_vlans; i++)
		fprintf(f, "%s\n{ id = %u; addresses = [ \"10.1.%u.1/24\" ]; }", i > 1 ? "," : "",
			i, i);
	fputs("); } );\ninterfaces = (", f);
	for (unsigned i = 1; i <= n_ifaces; i++)
		fprintf(f,
			"%s\n{ name = \"wg%u\"; listen_port = %u; inside = { port = \"wan\"; "
			"vlan = 1; prefixes = [ \"10.1.1.0/24\" ]; }; }",
			i > 1 ? "," : "", i, 2000 + i);
	fputs(");\n", f);
	fclose(f);
	return text;
}

static void
expect_many(unsigned n_vlans, unsigned n_ifaces, unsigned line, const char *reason)
{
	char *text = many(n_vlans, n_ifaces), want[32];
	int rc = load(text);

	free(text);
	snprintf(want, sizeof(want), "sluice.conf:%u: ", line);
	if (!reason && rc)
		fail_msg("%s", e.message);
	if (!reason)
		return;
	assert_int_equal(rc, -ENOSPC);
	assert_string_equal(e.reason, reason);
	assert_non_null(strstr(e.message, want));
}

static void
test_places(void **state)
{
	expect_many(64, 64, 0, NULL);
	expect_many(65, 0, 1, "limit_attachments");
	expect_many(1, 65, 68, "limit_inside");
	assert_int_equal(load("ports = (\n{ name = \"wan\"; device = \"net_null0\"; addresses = [ "
			      "\"192.0.2.1/24\", \"192.0.2.1/25\" ]; } );\n"),
			 -EEXIST);
	assert_string_equal(e.reason, "address_in_use");
	assert_non_null(strstr(e.message, "sluice.conf:2: port \"wan\": 192.0.2.1/25"));
}

/** n calls of a method, each on its own line; the last one is as the first one if `twin`. */
static int
check_calls(const char *method, unsigned n, bool twin)
{
	struct sl_config conf = {.path = file, .n_calls = n};
	int rc;

	conf.calls = calloc(n, sizeof(*conf.calls));
	assert_non_null(conf.calls);
	for (unsigned i = 0; i < n; i++) {
		unsigned k = twin && i == n - 1 ? 0 : i;
		char prefix[32];

		snprintf(prefix, sizeof(prefix), "10.%u.%u.%u/32", k >> 16, k >> 8 & 255, k & 255);
		conf.calls[i].method = method;
		conf.calls[i].line = i + 1;
		conf.calls[i].params = strcmp(method, "route.add") == 0
					       ? json_pack("{s:s}", "prefix", prefix)
				       : strcmp(method, "authz.mode.set") == 0
					       ? json_pack("{s:[s]}", "prefixes", prefix)
					       : NULL;
	}
	memset(&e, 0, sizeof(e));
	rc = sl_config_check_limits(&conf, &e);
	for (unsigned i = 0; i < n; i++)
		json_decref(conf.calls[i].params);
	free(conf.calls);
	return rc;
}

static void
test_limits(void **state)
{
	static const struct {
		const char *method, *reason;
		unsigned max;
		bool replaces;
	} of[] = {
		{"interface.set", "limit_interfaces", 4095, false},
		{"peer.set", "limit_peers", 131072, false},
		{"route.add", "limit_routes", 65536, true},
		{"authz.mode.set", "limit_prefixes", 10000, true},
	};
	char want[32];

	for (size_t i = 0; i < SL_ARRAY_SIZE(of); i++) {
		snprintf(want, sizeof(want), "sluice.conf:%u: ", of[i].max + 1);
		assert_int_equal(check_calls(of[i].method, of[i].max, false), 0);
		assert_int_equal(check_calls(of[i].method, of[i].max + 1, false), -ENOSPC);
		assert_string_equal(e.reason, of[i].reason);
		assert_non_null(strstr(e.message, want));
		if (of[i].replaces)
			assert_int_equal(check_calls(of[i].method, of[i].max + 1, true), 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_limits),
	};
	int rc;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(file, sizeof(file), "%s/sluice.conf", dir);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	rmdir(dir);
	return rc;
}
