/* SPDX-License-Identifier: BSD-3-Clause */
/* Quotes of ICMP errors, cut at each length: bytes written by hand, in buffers of their size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "exact.h"

#define ADDR4                                                                                      \
	"0a070002"                                                                                 \
	"0a000009"
#define ADDR6                                                                                      \
	"fd000007000000000000000000000002"                                                         \
	"fd00000a000000000000000000000009"
#define UDP                                                                                        \
	"1388"                                                                                     \
	"1770"                                                                                     \
	"0040"                                                                                     \
	"0000"

/* At each length below `need` it says no, from there on what the packet holds. */
static void
each_length(const char *hex, size_t need, uint8_t proto, uint16_t sport, uint16_t dport)
{
	struct exact all = exact_hex(hex);
	struct sl_ip_info q;
	size_t n;

	for (n = 1; n <= all.len; n++) {
		struct exact e = exact_copy(all.p, n);
		bool ok = sl_ip_parse_quote(e.p, e.len, &q);

		assert_int_equal(ok, n >= need);
		if (ok) {
			assert_int_equal(q.version, all.p[0] >> 4);
			assert_int_equal(q.proto, proto);
			assert_int_equal(q.sport, sport);
			assert_int_equal(q.dport, dport);
			assert_int_equal(q.l4_off, need - 8);
			assert_int_equal(q.src - e.p, q.version == 4 ? 12 : 8);
			assert_int_equal(q.dst - e.p, q.version == 4 ? 16 : 24);
		}
		free(e.p);
	}
	free(all.p);
}

static void
never(const char *hex)
{
	each_length(hex, SIZE_MAX, 0, 0, 0);
}

static void
ipv4(void **state)
{
	/* total length of the packet that was sent, not of the quote; a checksum that is wrong */
	each_length("450005dc"
		    "00004000"
		    "3f11ffff" ADDR4 UDP "aabb",
		    28, 17, 5000, 6000);
	each_length("460005dc"
		    "00004000"
		    "3f06ffff" ADDR4 "01010101" UDP,
		    32, 6, 5000, 6000);
	each_length("45000054"
		    "00000000"
		    "4001ffff" ADDR4 "0800ffff00070001",
		    28, 1, 0, 0);
	each_length("450005dc"
		    "00002000"
		    "3f11ffff" ADDR4 UDP,
		    28, 17, 5000, 6000); /* first */
	never("450005dc"
	      "00000001"
	      "3f11ffff" ADDR4 UDP); /* later fragment */
	never("440005dc"
	      "00004000"
	      "3f11ffff" ADDR4 UDP);
	never("550005dc"
	      "00004000"
	      "3f11ffff" ADDR4 UDP);
	never("4f0005dc"
	      "00004000"
	      "3f11ffff" ADDR4 UDP);
}

static void
ipv6(void **state)
{
	each_length("60000000"
		    "05001140" ADDR6 UDP "aa",
		    48, 17, 5000, 6000);
	each_length("60000000"
		    "05003c40" ADDR6 "1100000000000000" UDP,
		    56, 17, 5000, 6000);
	each_length("60000000"
		    "05002c40" ADDR6 "0600000100000007" UDP,
		    56, 6, 5000, 6000);
	each_length("60000000"
		    "05000040" ADDR6 "2c01000000000000"
		    "0000000000000000"
		    "3a00000100000007"
		    "8000ffff00070001",
		    72, 58, 0, 0);
	never("60000000"
	      "05002c40" ADDR6 "1100000900000007" UDP); /* later fragment */
	never("60000000"
	      "05003c40" ADDR6 "11ff000000000000" UDP); /* longer than the quote */
	never("60000000"
	      "05003c40" ADDR6 "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "3c00000000000000"
	      "1100000000000000" UDP);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(ipv4), cmocka_unit_test(ipv6)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
