/* SPDX-License-Identifier: BSD-3-Clause */
/* What is refused, with which errno, at which line, and that the connection goes on. */
#include "collect.h"

#include <stdlib.h>

static void
test_bad_lines(void **state)
{
	static const struct {
		const char *lines;
		int err;
		unsigned line;
	} v[] = {
		{"set=1\nlisten_port\n", EPROTO, 2},
		{"set=1\n \n", EPROTO, 2},
		{"nonsense\n", EPROTO, 1},
		{"put=1\n", EINVAL, 1},
		{"=\n", EINVAL, 1},
		{"set=2\n", EINVAL, 1},
		{"set=\n", EINVAL, 1},
		{"set=1\nset=1\n", EINVAL, 2},
		{"set=1\ncolour=blue\n", EINVAL, 2},
		{"set=1\n=1\n", EINVAL, 2},
		{"set=1\nListen_port=1\n", EINVAL, 2},
		{"set=1\nlisten_port =1\n", EINVAL, 2},
		{"set=1\nlisten_port= 1\n", EINVAL, 2},
		{"set=1\nlisten_port=\n", EINVAL, 2},
		{"set=1\nlisten_port=-1\n", EINVAL, 2},
		{"set=1\nlisten_port=+1\n", EINVAL, 2},
		{"set=1\nlisten_port=65536\n", EINVAL, 2},
		{"set=1\nlisten_port=18446744073709551617\n", EINVAL, 2},
		{"set=1\nlisten_port=0x10\n", EINVAL, 2},
		{"set=1\nlisten_port=1\r\n", EINVAL, 2},
		{"set=1\nfwmark=4294967296\n", EINVAL, 2},
		{"set=1\nreplace_peers=false\n", EINVAL, 2},
		{"set=1\nreplace_peers=1\n", EINVAL, 2},
		{"set=1\nprivate_key=" K("a1") "0\n", EINVAL, 2},
		{"set=1\nprivate_key=a1\n", EINVAL, 2},
		{"set=1\nprivate_key=yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n", EINVAL, 2},
		{"set=1\npublic_key=" K("g1") "\n", EINVAL, 2},
		/* keys of a peer before a peer, keys of the device behind it */
		{"set=1\nremove=true\n", EINVAL, 2},
		{"set=1\nallowed_ip=10.0.0.0/8\n", EINVAL, 2},
		{"set=1\npublic_key=" KEY_A "\nlisten_port=1\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nreplace_peers=true\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nremove=yes\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nupdate_only=\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\npreshared_key=00\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nendpoint=192.0.2.1\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nendpoint=host.example:1\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nendpoint=2001:db8::1:51820\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nendpoint=[fe80::1%eth0]:1\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\npersistent_keepalive_interval=65536\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\npersistent_keepalive_interval=off\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nreplace_allowed_ips=no\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.1\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.1/33\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nallowed_ip=--10.0.0.1/8\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nallowed_ip=::/129\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nallowed_ip=\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nprotocol_version=2\n", EINVAL, 3},
		{"set=1\npublic_key=" KEY_A "\nrx_bytes=2\n", EINVAL, 3},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(v); i++) {
		char text[512], want[128];

		/* the first error counts; nothing of the request is applied; the next one is */
		sprintf(text, "%sanother error\n\nset=1\nlisten_port=7\n\n", v[i].lines);
		sprintf(want, "set error %d line %u;set port=7;", -v[i].err, v[i].line);
		for (size_t piece = 1; piece < 200; piece += 50) {
			assert_int_equal(parse_text(text, piece), 0);
			assert_string_equal(seen, want);
		}
	}
	assert_parsed("get=1\nlisten_port=1\n\nget=1\n\n", "get error -22 line 2;get;");
	assert_parsed("get=2\n\n", "get error -22 line 1;");
}

static void
test_zero_byte(void **state)
{
	static const char text[] = "set=1\nlisten_port=1\0002\n\n", early[] = "s\0et=1\n\n";
	struct sl_uapi *u = sl_uapi_new(&collect, 0);

	collect_reset();
	assert_int_equal(sl_uapi_feed(u, text, sizeof(text) - 1), 0);
	assert_int_equal(sl_uapi_feed(u, early, sizeof(early) - 1), 0);
	assert_string_equal(seen, "set error -71 line 2;set error -71 line 1;");
	sl_uapi_free(u);
	sl_uapi_free(NULL);
}

/* A line of `len` bytes: "fwmark=0...01". */
static void
long_line(struct sl_uapi *u, size_t len)
{
	char line[2000];

	memset(line, '0', sizeof(line));
	memcpy(line, "fwmark=", 7);
	memcpy(line + len - 1, "1\n\n", 3);
	assert_int_equal(sl_uapi_feed(u, "set=1\n", 6), 0);
	assert_int_equal(sl_uapi_feed(u, line, len / 2), 0);
	assert_int_equal(sl_uapi_feed(u, line + len / 2, len + 2 - len / 2), 0);
}

static void
test_line_length(void **state)
{
	struct sl_uapi *u = sl_uapi_new(&collect, 0);

	collect_reset();
	long_line(u, SL_UAPI_LINE_MAX);
	long_line(u, SL_UAPI_LINE_MAX + 1);
	long_line(u, SL_UAPI_LINE_MAX + 2);
	long_line(u, 1900);
	long_line(u, 100);
	assert_string_equal(seen, "set mark=1;set error -71 line 2;set error -71 line 2;"
				  "set error -71 line 2;set mark=1;");
	sl_uapi_free(u);
}

static void
test_request_size(void **state)
{
	static const char text[] = "set=1\nlisten_port=10000\n\n"; /* 25 bytes */
	size_t n = sizeof(text) - 1;
	struct sl_uapi *u = sl_uapi_new(&collect, n);

	collect_reset();
	for (unsigned i = 0; i < 3; i++) /* the limit is on each request */
		assert_int_equal(sl_uapi_feed(u, text, n), 0);
	assert_string_equal(seen, "set port=10000;set port=10000;set port=10000;");
	sl_uapi_free(u);

	u = sl_uapi_new(&collect, n - 1);
	collect_reset();
	assert_int_equal(sl_uapi_feed(u, text, n - 1), 0);
	assert_int_equal(sl_uapi_feed(u, text + n - 1, 1), -EMSGSIZE);
	assert_int_equal(sl_uapi_feed(u, "get=1\n\n", 7), -EMSGSIZE); /* and that was it */
	assert_string_equal(seen, "set error -90 line 3;");
	sl_uapi_free(u);

	u = sl_uapi_new(&collect, 1000); /* one endless line */
	collect_reset();
	for (unsigned i = 0; i < 40; i++)
		assert_int_equal(sl_uapi_feed(u, text + 6, 17),
				 0 - (i * 17 + 17 > 1000) * EMSGSIZE);
	sl_uapi_free(u);
	u = sl_uapi_new(&collect, 100); /* refused already: still counted */
	collect_reset();
	assert_int_equal(sl_uapi_feed(u, "x\n", 2), 0);
	for (unsigned i = 0; i < 49; i++)
		assert_int_equal(sl_uapi_feed(u, "y\n", 2), 0);
	assert_string_equal(seen, "");
	assert_int_equal(sl_uapi_feed(u, "y\n", 2), -EMSGSIZE);
	assert_string_equal(seen, "set error -90 line 51;");
	sl_uapi_free(u);
}

const struct CMUnitTest refuse_tests[] = {
	cmocka_unit_test(test_bad_lines),
	cmocka_unit_test(test_zero_byte),
	cmocka_unit_test(test_line_length),
	cmocka_unit_test(test_request_size),
};
const unsigned n_refuse_tests = SL_ARRAY_SIZE(refuse_tests);
