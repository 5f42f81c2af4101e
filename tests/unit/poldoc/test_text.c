/* SPDX-License-Identifier: BSD-3-Clause */
/* Times, protocols, comments. */
#include "poldoc_test.h"

#include <time.h>

static void
test_time(void **state)
{
	static const char *const bad[] = {"",
					  "2027",
					  "2027-1-1",
					  "2027-13-01",
					  "2027-00-01",
					  "2027-04-31",
					  "2027-02-29",
					  "1900-01-01",
					  "1970-01-01",
					  "2501-01-01",
					  "2027-01-01T",
					  "2027-01-01T00:00Z",
					  "2027-01-01T24:00:00Z",
					  "2027-01-01T00:60:00Z",
					  "2027-01-01T00:00:60Z",
					  "2027-01-01T00:00:00",
					  "2027-01-01T00:00:00z",
					  "2027-01-01T00:00:00+01:00",
					  "2027-01-01T00:00:00Zx",
					  "2027-01-01T00:00:00.Z",
					  "2027-01-01T00:00:00.1",
					  "2027-01-01T00:00:00.1234567890Z",
					  "2027-01-01T00:00:00,5Z",
					  "1970-01-01T00:00:00.0009Z",
					  "2027-01-01 00:00:00Z",
					  "x027-01-01"};
	uint64_t ns = 0;
	char buf[32];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		if (sl_time_parse(bad[i], &ns) == 0)
			fail_msg("accepted: %s", bad[i]);
	}
	assert_int_equal(sl_time_parse("2027-01-15T08:00:00Z", &ns), 0);
	assert_int_equal(ns, NOW);
	assert_int_equal(sl_time_parse("2027-01-15T08:00:00.1Z", &ns), 0);
	assert_int_equal(ns, NOW + 100000000);
	assert_string_equal(sl_time_str(ns, buf), "2027-01-15T08:00:00.100Z");
	assert_int_equal(sl_time_parse("2027-01-15T08:00:00.004999999Z", &ns), 0);
	assert_int_equal(ns, NOW + 4000000);
	assert_string_equal(sl_time_str(ns, buf), "2027-01-15T08:00:00.004Z");
	assert_int_equal(sl_time_parse("2028-02-29", &ns), 0);
	assert_string_equal(sl_time_str(ns, buf), "2028-02-29T00:00:00Z");
	assert_string_equal(sl_time_str(UINT64_MAX, buf), "2554-07-21T23:34:33.709Z");
	assert_int_equal(sl_time_parse("2500-12-31T23:59:59Z", &ns), 0);
}

/** The C library agrees about some hundred thousand times. */
static void
test_time_oracle(void **state)
{
	char buf[32], want[32];
	uint64_t ns = 0;

	for (uint64_t s = 1; s < UINT64_C(16756761599); s += 86399 * 3 + 17) {
		time_t t = (time_t)s;
		struct tm tm;

		gmtime_r(&t, &tm);
		strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%SZ", &tm);
		assert_string_equal(sl_time_str(s * 1000000000, buf), want);
		assert_int_equal(sl_time_parse(want, &ns), 0);
		assert_int_equal(ns, s * 1000000000);
	}
}

static void
test_proto(void **state)
{
	char buf[8];

	assert_int_equal(sl_proto_parse("tcp"), 6);
	assert_int_equal(sl_proto_parse("udp"), 17);
	assert_int_equal(sl_proto_parse("icmp"), 1);
	assert_int_equal(sl_proto_parse("icmpv6"), 58);
	assert_int_equal(sl_proto_parse("any"), SL_POL_PROTO_ANY);
	assert_int_equal(sl_proto_parse("0"), 0);
	assert_int_equal(sl_proto_parse("255"), 255);
	assert_int_equal(sl_proto_parse("256"), -1);
	assert_int_equal(sl_proto_parse("06"), -1);
	assert_int_equal(sl_proto_parse(""), -1);
	assert_int_equal(sl_proto_parse("-1"), -1);
	assert_int_equal(sl_proto_parse("TCP"), -1);
	for (unsigned i = 0; i <= SL_POL_PROTO_ANY; i++)
		assert_int_equal(sl_proto_parse(sl_proto_str(i, buf)), i);
}

static void
test_comments(void **state)
{
	static const char *const same[] = {
		"\xef\xbb\xbf// c\n{'targets':{'t':{'addresses':['10.0.0.1']}}}",
		"// c\n{'targets':{'t':{'addresses':['10.0.0.1']}}}",
		"{'targets':{'t':{'addresses':['10.0.0.1',],},},}",
		"{/**/'targets'/*/ */:{'t':{'addresses':[/* ] */'10.0.0.1' // ,\n, /* x */ ]}}}//",
		"{'targets':{'t':{'addresses':['10.0.0.1'/***/]}}} // 'end",
		"\r\n{'targets':\r\n{'t':{'addresses':['10.0.0.1'\t, ]}}}",
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(same); i++) {
		struct sl_policy *p = good(same[i]);

		assert_int_equal(p->n_targets, 1);
		assert_int_equal(p->targets[0].n_addrs, 1);
		sl_policy_free(p);
	}
}

/** Inside strings nothing is a comment. */
static void
test_strings(void **state)
{
	static const char *const texts[] = {"a // b", "a /* b", "a ,] b", "*/ a", "a\\/\\/b"};
	static const char *const values[] = {"a // b", "a /* b", "a ,] b", "*/ a", "a//b"};
	char text[160];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(texts); i++) {
		struct sl_policy *p;

		snprintf(text, sizeof(text),
			 "{'targets':{'t':{'addresses':['10.0.0.1'],'description':'%s'}}}",
			 texts[i]);
		p = good(text);
		assert_string_equal(p->targets[0].desc, values[i]);
		sl_policy_free(p);
	}
	{
		struct sl_policy *p = good("{'targets':{'t':{'addresses':['10.0.0.1'],"
					   "'description':'a\\\\'}}} // '");

		assert_string_equal(p->targets[0].desc, "a\\");
		sl_policy_free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_time),	cmocka_unit_test(test_time_oracle),
		cmocka_unit_test(test_proto),	cmocka_unit_test(test_comments),
		cmocka_unit_test(test_strings),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
