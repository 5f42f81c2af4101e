/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "table.h"

static void
cell_is(const char *json, enum sl_cell format, const char *want)
{
	json_t *v = json ? json_loads(json, JSON_DECODE_ANY, NULL) : NULL;
	char *got = sl_cell_text(v, format, 1000000);

	assert_string_equal(got, want);
	free(got);
	json_decref(v);
}

static void
test_cells(void **state)
{
	cell_is(NULL, SL_CELL_TEXT, "-");
	cell_is("[]", SL_CELL_TEXT, "-");
	cell_is("\"a\"", SL_CELL_TEXT, "a");
	cell_is("\"\\u001b[31m\\n\"", SL_CELL_TEXT, "?[31m?");
	cell_is("\"\\u009b31m\\u007f\\u00e4\"", SL_CELL_TEXT, "?31m?\u00e4");
	cell_is("true", SL_CELL_TEXT, "yes");
	cell_is("[\"a\",\"b\"]", SL_CELL_TEXT, "a,b");
	cell_is("{\"port\":\"lan\",\"vlan\":7,\"prefixes\":[\"x\",\"y\"]}", SL_CELL_TEXT,
		"lan vlan 7 prefixes x,y");
	cell_is("{\"port\":\"lan\",\"prefixes\":[]}", SL_CELL_TEXT, "lan");
	cell_is("3.14159", SL_CELL_NUMBER, "3.1");
	cell_is("12345678901", SL_CELL_NUMBER, "12345678901");
	cell_is("0", SL_CELL_BYTES, "0 B");
	cell_is("1023", SL_CELL_BYTES, "1023 B");
	cell_is("1024", SL_CELL_BYTES, "1.00 KiB");
	cell_is("1572864", SL_CELL_BYTES, "1.50 MiB");
	cell_is("11811160064", SL_CELL_BYTES, "11.0 GiB");
	cell_is("999", SL_CELL_BPS, "999 bit/s");
	cell_is("2500000000", SL_CELL_BPS, "2.50 Gbit/s");
	cell_is("1500", SL_CELL_MS, "1.5 s");
	cell_is("90000", SL_CELL_MS, "1 min 30 s");
	cell_is("90061", SL_CELL_SECONDS, "1 d 1 h");
	cell_is("999988", SL_CELL_SINCE, "12 s ago");
	cell_is("996340", SL_CELL_SINCE, "1 h 1 min ago");
	cell_is("1000005", SL_CELL_SINCE, "0 s ago");
}

static void
test_columns(void **state)
{
	static const struct sl_table_column cols[] = {
		{"name", "peer", SL_CELL_TEXT},
		{"rx_bytes", NULL, SL_CELL_BYTES},
		{"gone", NULL, SL_CELL_TEXT},
		{0},
	};
	json_t *rows = json_loads("[{\"name\":\"alice\",\"rx_bytes\":100},"
				  "{\"name\":\"b\xc3\xa9\",\"rx_bytes\":2048,\"gone\":\"x\"}]",
				  0, NULL);
	char *got = sl_table_text(rows, cols, 0);

	assert_string_equal(got, "peer   rx bytes  gone\n"
				 "alice     100 B  -\n"
				 "b\xc3\xa9     2.00 KiB  x\n");
	free(got);
	/* without columns: the members as they appear */
	got = sl_table_text(rows, NULL, 0);
	assert_string_equal(got, "name   rx bytes  gone\n"
				 "alice       100  -\n"
				 "b\xc3\xa9         2048  x\n");
	free(got);
	json_decref(rows);
}

static void
view_is(const char *method, const char *json, const char *want)
{
	json_t *v = json_loads(json, 0, NULL);
	char *got = sl_view_text(method, v);

	assert_string_equal(got, want);
	free(got);
	json_decref(v);
}

static void
test_views(void **state)
{
	view_is("peer.remove", "{}", "ok\n");
	view_is("route.list", "{\"routes\":[]}", "no routes\n");
	view_is("audit.status", "{\"lcores\":[{\"lcore\":0,\"types\":[]}],\"sinks\":[]}",
		"nothing was judged yet\nno sinks\n\n");
	view_is("audit.status",
		"{\"records\":9,\"lcores\":[{\"lcore\":0,\"slots\":2048,\"types\":["
		"{\"type\":\"allow\",\"seen\":0,\"recorded\":0},"
		"{\"type\":\"deny\",\"seen\":7,\"recorded\":4,\"suppressed\":2,\"not_selected\":1,"
		"\"taken\":3,\"overwritten\":1,\"in_ring\":0}]}],"
		"\"sinks\":[{\"name\":\"h\",\"target\":\"u\",\"state\":\"down\",\"drained\":4,"
		"\"acked\":1,\"queued\":2,\"dropped\":1,\"drops\":[{\"reason\":\"rejected\","
		"\"records\":1}],\"last_error\":\"no\"}]}",
		"lcore  type  seen  recorded  suppressed  not selected  taken  overwritten  in "
		"ring\n"
		"    0  deny     7         4           2             1      3            1        "
		"0\n"
		"sink  target  state  drained  acked  queued  dropped  why                 last "
		"error\n"
		"h     u       down         4      1       2        1  rejected records 1  no\n"
		"\n"
		"records                         9\n");
	view_is("audit.recent",
		"{\"records\":[{\"@timestamp\":\"t\",\"event\":{\"action\":\"policy-deny\"},"
		"\"sluice\":{\"peer\":{\"name\":\"alice\"},\"count\":3}},"
		"{\"event\":\"x\",\"sluice\":{\"peer\":7}}]}",
		"time  event        peer   src  dst  protocol  port  target  why  rule  count\n"
		"t     policy-deny  alice  -    -    -            -  -       -    -         3\n"
		"-     -            -      -    -    -            -  -       -    -         -\n");
	view_is("route.list",
		"{\"routes\":[{\"prefix\":\"10.0.0.0/"
		"8\",\"via\":\"10.1.0.1\",\"port\":\"lan\",\"kind\":\"static\"}]}",
		"prefix      via       port  vlan  interface  kind\n"
		"10.0.0.0/8  10.1.0.1  lan      -  -          static\n");
	view_is("drops.get",
		"{\"drops\":[{\"reason\":\"ttl\",\"packets\":3,\"pps\":0,\"why\":\"x\"}],\"total\":"
		"3}",
		"reason  packets  pkt/s  why\n"
		"ttl           3      0  x\n"
		"\ntotal                           3\n");
	view_is("peer.get",
		"{\"name\":\"alice\",\"allowed_ips\":[\"10.7.0.2/32\"],\"rx_bytes\":2048}",
		"name                            alice\n"
		"allowed ips                     10.7.0.2/32\n"
		"rx bytes                        2.00 KiB\n");
	view_is("policy.lint", "{\"lints\":[],\"unmatched\":{\"known\":true,\"rules\":0}}",
		"no lints\n");
	view_is("policy.lint",
		"{\"lints\":[],\"unmatched\":{\"known\":false,\"reason\":\"not_covered\","
		"\"text\":\"too little\"}}",
		"no lints\n\ntoo little\n");
	view_is("authz.mode.get",
		"{\"default\":\"observe\",\"panic\":\"off\",\"prefixes\":[],\"from_state\":false}",
		"no prefixes\n"
		"\ndefault                         observe\n"
		"panic                           off\n"
		"from state                      no\n");
	view_is("sys.health", "{\"uptime_s\":61,\"a\":{\"b_ms\":1500,\"mbps\":10000}}",
		"uptime                          1 min 1 s\n"
		"a b                             1.5 s\n"
		"a mbps                          10000\n");
	view_is("config.show",
		"{\"calls\":[{\"method\":\"route.add\",\"params\":{\"prefix\":\"10.0.0.0/8\"}}]}",
		"route.add {\"prefix\": \"10.0.0.0/8\"}\n");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
