/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sl_addr.h"

static struct sl_prefix
prefix(const char *s)
{
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(s, &p), 0);
	return p;
}

static struct sl_ip
ip(const char *s)
{
	struct sl_ip a;

	assert_int_equal(sl_ip_parse(s, &a), 0);
	return a;
}

static void
ip_text(void **state)
{
	/* in, out: the canonical forms are those of RFC 5952 */
	static const char *const good[][2] = {
		{"0.0.0.0", "0.0.0.0"},
		{"255.255.255.255", "255.255.255.255"},
		{"10.7.0.2", "10.7.0.2"},
		{"::", "::"},
		{"::1", "::1"},
		{"2001:DB8::A", "2001:db8::a"},
		{"2001:0db8:0000:0000:0001:0000:0000:0001", "2001:db8::1:0:0:1"},
		{"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"},
		{"::ffff:192.0.2.128", "::ffff:192.0.2.128"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
	};
	static const char *const bad[] = {
		"",	     " ",
		"1.2.3",     "1.2.3.4.5",
		"1.2.3.256", "01.2.3.4",
		"1.2.3.4 ",  " 1.2.3.4",
		"0x1.2.3.4", "1.2.3.-4",
		"1..2.3",    ":",
		":::",	     "1::2::3",
		"12345::",   "fe80::1%1",
		"[::1]",     "1:2:3:4:5:6:7",
		"g::",	     "1.2.3.4/8",
		"::1/128",   "1:2:3:4:5:6:7:8:9",
		"::1.2.3",
	};
	char buf[SL_IP_STR];
	struct sl_ip a;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(good); i++) {
		assert_int_equal(sl_ip_parse(good[i][0], &a), 0);
		assert_string_equal(sl_ip_str(&a, buf), good[i][1]);
	}
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(sl_ip_parse(bad[i], &a), -EINVAL);
	memset(&a, 0, sizeof(a));
	assert_string_equal(sl_ip_str(&a, buf), "none");
}

static void
prefix_text(void **state)
{
	static const char *const good[][2] = {
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"10.0.0.1/8", "10.0.0.1/8"},
		{"10.0.0.1", "10.0.0.1/32"},
		{"::/0", "::/0"},
		{"2001:db8::1", "2001:db8::1/128"},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128"},
	};
	static const char *const bad[] = {
		"",
		"/",
		"/8",
		"10.0.0.0/",
		"10.0.0.0/33",
		"::/129",
		"::/1000",
		"10.0.0.0/-1",
		"10.0.0.0/+8",
		"10.0.0.0/08",
		"10.0.0.0/8 ",
		"10.0.0/8",
		"::1/64/64",
		"10.0.0.0/a",
		"10.0.0.0/4294967304",
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/1",
	};
	char buf[SL_PREFIX_STR];
	struct sl_prefix p;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(good); i++) {
		p = prefix(good[i][0]);
		assert_string_equal(sl_prefix_str(&p, buf), good[i][1]);
	}
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(sl_prefix_parse(bad[i], &p), -EINVAL);
}

static void
endpoint_text(void **state)
{
	static const char *const good[] = {
		"1.2.3.4:51820",
		"[2001:db8::1]:1",
		"[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	};
	static const char *const bad[] = {
		"",	      "1.2.3.4",       "1.2.3.4:",
		"1.2.3.4:0",  "1.2.3.4:65536", "1.2.3.4:-1",
		"1.2.3.4:+1", "1.2.3.4:01",    "1.2.3.4: 1",
		"1.2.3.4:1 ", "::1:51820",     "[::1]",
		"[::1]:",     "[1.2.3.4]:1",   "[::1:1",
		"::1]:1",     "[]:1",	       "[:1",
		":1",	      "[[::1]]:1",     "localhost:51820",
		"[::1]x:1",
	};
	char buf[SL_ENDPOINT_STR];
	struct sl_endpoint e;
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(good); i++) {
		assert_int_equal(sl_endpoint_parse(good[i], &e), 0);
		assert_string_equal(sl_endpoint_str(&e, buf), good[i]);
	}
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_int_equal(sl_endpoint_parse(bad[i], &e), -EINVAL);
}

/** Bit i of an address, the naive way. */
static int
bit(const struct sl_ip *a, unsigned i)
{
	return a->b[i / 8] >> (7 - i % 8) & 1;
}

static bool
naive_contains(const struct sl_prefix *p, const struct sl_ip *a)
{
	unsigned i;

	if (p->ip.family != a->family)
		return false;
	for (i = 0; i < p->len; i++) {
		if (bit(&p->ip, i) != bit(a, i))
			return false;
	}
	return true;
}

/** Random prefix that is often close to `near`. */
static struct sl_prefix
random_prefix(const struct sl_ip *near)
{
	struct sl_prefix p = {.ip = *near};
	unsigned bits = 8 * sl_ip_bytes(near), i, n = (unsigned)rand() % 3;

	for (i = 0; i < n; i++) {
		unsigned at = (unsigned)rand() % bits;

		p.ip.b[at / 8] ^= (uint8_t)(1 << at % 8);
	}
	p.len = (uint8_t)((unsigned)rand() % (bits + 1));
	return p;
}

static void
prefix_oracle(void **state)
{
	struct sl_ip base = {0};
	struct sl_prefix a, b, m;
	bool host, any;
	unsigned i, k, bits;

	srand(42);
	for (i = 0; i < 100000; i++) {
		base.family = i & 1 ? 4 : 6;
		bits = base.family == 4 ? 32 : 128;
		a = random_prefix(&base);
		b = random_prefix(&base);
		assert_int_equal(sl_prefix_contains(&a, &b.ip), naive_contains(&a, &b.ip));
		assert_int_equal(sl_prefix_overlaps(&a, &b),
				 naive_contains(&a, &b.ip)
					 ? a.len <= b.len || naive_contains(&b, &a.ip)
					 : naive_contains(&b, &a.ip) && b.len <= a.len);
		m = a;
		any = sl_prefix_mask(&m);
		host = false;
		for (k = 0; k < bits; k++) {
			host |= k >= a.len && bit(&a.ip, k);
			assert_int_equal(bit(&m.ip, k), k < a.len ? bit(&a.ip, k) : 0);
		}
		assert_int_equal(any, host);
		assert_true(sl_prefix_contains(&m, &a.ip));
	}
}

static void
compare(void **state)
{
	struct sl_ip v4 = ip("10.0.0.1"), v4b = ip("10.0.0.2"), v6 = ip("::1"), none = {0};
	struct sl_prefix p = prefix("10.0.0.0/8"), q = prefix("10.0.0.0/9"), any6 = prefix("::/0");

	assert_int_equal(sl_ip_cmp(&v4, &v4b), -1);
	assert_int_equal(sl_ip_cmp(&v4b, &v4), 1);
	assert_int_equal(sl_ip_cmp(&v4, &v4), 0);
	assert_int_equal(sl_ip_cmp(&v4b, &v6), -1);
	assert_int_equal(sl_ip_cmp(&v6, &v4b), 1);
	assert_true(sl_ip_equal(&v4, &v4));
	assert_false(sl_ip_equal(&v4, &v4b));
	assert_false(sl_ip_equal(&v4, &v6));
	assert_true(sl_prefix_equal(&p, &p));
	assert_false(sl_prefix_equal(&p, &q));
	assert_true(sl_prefix_overlaps(&p, &q));
	assert_false(sl_prefix_contains(&any6, &v4));
	assert_true(sl_prefix_contains(&any6, &v6));
	assert_false(sl_prefix_contains(&(struct sl_prefix){0}, &none));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ip_text),	 cmocka_unit_test(prefix_text),
		cmocka_unit_test(endpoint_text), cmocka_unit_test(prefix_oracle),
		cmocka_unit_test(compare),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
