/* SPDX-License-Identifier: BSD-3-Clause */
/* Crypto-routing cases: which peer owns an address, as WireGuard's AllowedIPs define it. */
#include "lpm_test.h"

enum { A = 1, B, C, D, E, F, G, H };

static void
test_longest_wins(void **state)
{
	struct tables t;

	tables_init(&t);
	set_text(&t, "192.168.4.0/24", A);
	set_text(&t, "192.168.4.4/32", B);
	set_text(&t, "192.168.0.0/16", C);
	set_text(&t, "192.95.5.64/27", D);
	set_text(&t, "192.95.5.65/27", C); /* the same prefix: it moves */
	set_text(&t, "0.0.0.0/0", E);
	set_text(&t, "64.15.112.0/20", G);
	set_text(&t, "64.15.123.211/25", H); /* .128/25 */
	set_text(&t, "10.0.0.0/25", A);
	set_text(&t, "10.0.0.128/25", B);
	set_text(&t, "10.1.0.0/30", A);
	set_text(&t, "10.1.0.4/30", B);
	set_text(&t, "10.1.0.8/29", C);
	set_text(&t, "10.1.0.16/29", D);
	assert_int_equal(t.v4.count, 13);

	assert_int_equal(lookup_text(&t, "192.168.4.20"), A);
	assert_int_equal(lookup_text(&t, "192.168.4.0"), A);
	assert_int_equal(lookup_text(&t, "192.168.4.4"), B);
	assert_int_equal(lookup_text(&t, "192.168.200.182"), C);
	assert_int_equal(lookup_text(&t, "192.95.5.68"), C);
	assert_int_equal(lookup_text(&t, "192.95.5.96"), E);
	assert_int_equal(lookup_text(&t, "64.15.116.26"), G);
	assert_int_equal(lookup_text(&t, "64.15.123.127"), G);
	assert_int_equal(lookup_text(&t, "64.15.123.128"), H);
	assert_int_equal(lookup_text(&t, "64.15.123.255"), H);
	assert_int_equal(lookup_text(&t, "64.15.124.0"), G);
	assert_int_equal(lookup_text(&t, "10.0.0.52"), A);
	assert_int_equal(lookup_text(&t, "10.0.0.220"), B);
	assert_int_equal(lookup_text(&t, "10.1.0.2"), A);
	assert_int_equal(lookup_text(&t, "10.1.0.6"), B);
	assert_int_equal(lookup_text(&t, "10.1.0.10"), C);
	assert_int_equal(lookup_text(&t, "10.1.0.20"), D);
	assert_int_equal(lookup_text(&t, "10.1.0.24"), E);
	assert_int_equal(lookup_text(&t, "255.255.255.255"), E);
	assert_int_equal(lookup_text(&t, "::1"), SL_LPM_NONE);
	tables_free(&t);
}

static void
test_v6_nested(void **state)
{
	struct tables t;

	tables_init(&t);
	set_text(&t, "::/0", E);
	set_text(&t, "2607:5300:6006:6b00::/128", A);
	set_text(&t, "2607:5300:6006:6b00::c05f:543/128", B);
	set_text(&t, "2404:6800::/32", F);
	set_text(&t, "2404:6800:4004:800:dead:beef:dead:beef/64", G);
	set_text(&t, "2404:6800:4004:806:dead:beef:dead:beef/128", C);
	set_text(&t, "2444:6800:40e4:800:deae:beef:def:beef/98", D);

	assert_int_equal(lookup_text(&t, "2607:5300:6006:6b00::"), A);
	assert_int_equal(lookup_text(&t, "2607:5300:6006:6b00::c05f:543"), B);
	assert_int_equal(lookup_text(&t, "2607:5300:6006:6b00::c02e:1ee"), E);
	assert_int_equal(lookup_text(&t, "2404:6800:4004:806::1006"), F);
	assert_int_equal(lookup_text(&t, "2404:6800:4004:806:dead:beef:dead:beef"), C);
	assert_int_equal(lookup_text(&t, "2404:6800:4004:800:1::"), G);
	assert_int_equal(lookup_text(&t, "2444:6800:40e4:800:deae:beef:0:1"), D);
	assert_int_equal(lookup_text(&t, "2444:6800:40e4:800:deae:beef:3fff:ffff"), D);
	assert_int_equal(lookup_text(&t, "2444:6800:40e4:800:deae:beef:4000:0"), E);
	assert_int_equal(lookup_text(&t, "1.2.3.4"), SL_LPM_NONE);
	tables_free(&t);
}

static void
test_remove_all(void **state)
{
	static const char *const all[] = {"1.0.0.0/32",	   "64.0.0.0/32",  "128.0.0.0/32",
					  "192.0.0.0/32",  "255.0.0.0/32", "192.168.0.0/16",
					  "192.168.0.0/24"};
	struct tables t;

	tables_init(&t);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(all); i++)
		assert_int_equal(set_text(&t, all[i], A), 0);
	assert_int_equal(lookup_text(&t, "192.168.0.1"), A);
	assert_int_equal(lookup_text(&t, "192.168.1.1"), A);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(all); i++) {
		assert_int_equal(del_text(&t, all[i]), 0);
		assert_int_equal(del_text(&t, all[i]), -ENOENT);
	}
	assert_int_equal(t.v4.count, 0);
	assert_null(t.v4.root);
	assert_int_equal(lookup_text(&t, "1.0.0.0"), SL_LPM_NONE);
	assert_int_equal(lookup_text(&t, "192.168.0.1"), SL_LPM_NONE);
	tables_free(&t);
}

/* 128 addresses of which each leaves the common way at another bit: the deepest trie there is. */
static void
test_one_bit_each(void **state)
{
	struct tables t;
	uint8_t addr[16];

	tables_init(&t);
	for (unsigned i = 0; i < 128; i++) {
		memset(addr, 0, sizeof(addr));
		addr[i / 8] = (uint8_t)(0x80 >> i % 8);
		assert_int_equal(sl_lpm_set(&t.v6, &t.v6, addr, 128, i + 1, &t.g), 0);
	}
	for (unsigned i = 0; i < 128; i++) {
		memset(addr, 0, sizeof(addr));
		addr[i / 8] = (uint8_t)(0x80 >> i % 8);
		assert_int_equal(sl_lpm_lookup(&t.v6, addr), i + 1);
		addr[15] ^= 1;
		assert_int_equal(sl_lpm_lookup(&t.v6, addr), SL_LPM_NONE);
	}
	for (unsigned i = 0; i < 128; i++) {
		memset(addr, 0, sizeof(addr));
		addr[i / 8] = (uint8_t)(0x80 >> i % 8);
		assert_int_equal(sl_lpm_del(&t.v6, &t.v6, addr, 128, &t.g), 0);
		assert_int_equal(sl_lpm_lookup(&t.v6, addr), SL_LPM_NONE);
	}
	assert_null(t.v6.root);
	tables_free(&t);
}

struct listing {
	char text[16][SL_PREFIX_STR];
	unsigned n;
	unsigned bits;
	unsigned stop_after;
};

static int
list_one(void *ctx, const uint8_t *addr, unsigned len, uint32_t value)
{
	struct listing *l = ctx;
	struct sl_prefix p = {.ip = l->bits == 32 ? sl_ip_v4(addr) : sl_ip_v6(addr),
			      .len = (uint8_t)len};

	sl_prefix_str(&p, l->text[l->n]);
	l->n++;
	return l->n == l->stop_after ? 77 : 0;
}

static void
test_listing(void **state)
{
	struct tables t;
	struct listing l4 = {.bits = 32}, l6 = {.bits = 128}, cut = {.bits = 32, .stop_after = 2};

	tables_init(&t);
	set_text(&t, "192.168.4.4/32", A);
	set_text(&t, "192.168.4.0/24", A);
	set_text(&t, "10.128.1.1/9", A);
	set_text(&t, "0.0.0.0/0", A);
	set_text(&t, "255.255.255.255/32", A);
	set_text(&t, "26:5300:6006:6b00:0:c05f:f43:abcd/83", A);
	set_text(&t, "26:5300:6006:6b00::/21", A);
	assert_int_equal(sl_lpm_walk(&t.v4, list_one, &l4), 0);
	assert_int_equal(sl_lpm_walk(&t.v6, list_one, &l6), 0);
	assert_int_equal(l4.n, 5);
	assert_string_equal(l4.text[0], "0.0.0.0/0");
	assert_string_equal(l4.text[1], "10.128.0.0/9");
	assert_string_equal(l4.text[2], "192.168.4.0/24");
	assert_string_equal(l4.text[3], "192.168.4.4/32");
	assert_string_equal(l4.text[4], "255.255.255.255/32");
	assert_int_equal(l6.n, 2);
	assert_string_equal(l6.text[0], "26:5000::/21");
	assert_string_equal(l6.text[1], "26:5300:6006:6b00:0:c000::/83");
	assert_int_equal(sl_lpm_walk(&t.v4, list_one, &cut), 77);
	assert_int_equal(cut.n, 2);
	tables_free(&t);
}

static void
test_exact_and_match(void **state)
{
	struct tables t;
	struct sl_ip ip;
	unsigned len = 99;

	tables_init(&t);
	set_text(&t, "10.0.0.0/8", A);
	set_text(&t, "10.0.0.0/9", B);
	assert_int_equal(sl_ip_parse("10.1.2.3", &ip), 0);
	assert_int_equal(sl_lpm_get(&t.v4, ip.b, 8), A);
	assert_int_equal(sl_lpm_get(&t.v4, ip.b, 9), B);
	assert_int_equal(sl_lpm_get(&t.v4, ip.b, 7), SL_LPM_NONE);
	assert_int_equal(sl_lpm_get(&t.v4, ip.b, 10), SL_LPM_NONE);
	assert_int_equal(sl_lpm_get(&t.v4, ip.b, 33), SL_LPM_NONE);
	assert_int_equal(sl_lpm_match(&t.v4, ip.b, &len), B);
	assert_int_equal(len, 9);
	assert_int_equal(sl_ip_parse("10.200.2.3", &ip), 0);
	assert_int_equal(sl_lpm_match(&t.v4, ip.b, &len), A);
	assert_int_equal(len, 8);
	assert_int_equal(sl_lpm_match(&t.v4, ip.b, NULL), A);
	assert_int_equal(sl_ip_parse("11.0.0.1", &ip), 0);
	assert_int_equal(sl_lpm_match(&t.v4, ip.b, &len), SL_LPM_NONE);
	assert_int_equal(sl_lpm_set(&t.v4, &t.v4, ip.b, 33, A, &t.g), -EINVAL);
	assert_int_equal(sl_lpm_set(&t.v4, &t.v4, ip.b, 32, SL_LPM_NONE, &t.g), -EINVAL);
	assert_int_equal(sl_lpm_del(&t.v4, &t.v4, ip.b, 33, &t.g), -EINVAL);
	tables_free(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_longest_wins), cmocka_unit_test(test_v6_nested),
		cmocka_unit_test(test_remove_all),   cmocka_unit_test(test_one_bit_each),
		cmocka_unit_test(test_listing),	     cmocka_unit_test(test_exact_and_match),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
