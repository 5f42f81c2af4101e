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
	char *got = sl_table_text(rows, cols, false, 0);

	assert_string_equal(got, "peer   rx bytes  gone\n"
				 "alice     100 B  -\n"
				 "b\xc3\xa9     2.00 KiB  x\n");
	free(got);
	/* without columns: the members as they appear */
	got = sl_table_text(rows, NULL, false, 0);
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
	char *got = sl_view_text(method, v, false);

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
		"time  event        peer   src  dst  proto  port  why  rule\n"
		"t     policy-deny  alice  -    -    -         -  -    -\n"
		"-     -            -      -    -    -         -  -    -\n");
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

/** Characters of the longest line. */
static size_t
widest(const char *text)
{
	size_t most = 0, n;

	for (; *text; text += n + (text[n] == '\n')) {
		n = strcspn(text, "\n");
		most = SL_MAX(most, n);
	}
	return most;
}

/** The default table fits; a wide one has the titles of `more` besides. */
static void
fits(const char *method, const char *member, const char *row, const char *more)
{
	json_t *v = json_pack("{s:[o]}", member, json_loads(row, 0, NULL));
	char *usual = sl_view_text(method, v, false), *wide = sl_view_text(method, v, true);
	char *words = strdup(more), *at = words, *title;

	assert_non_null(v);
	if (widest(usual) > 112)
		fail_msg("%s: %zu columns\n%s", method, widest(usual), usual);
	usual[strcspn(usual, "\n")] = 0; /* titles alone */
	wide[strcspn(wide, "\n")] = 0;
	while ((title = strsep(&at, ",")) != NULL) {
		if (strstr(usual, title) || !strstr(wide, title))
			fail_msg("%s: \"%s\" in %s\nor not in %s", method, title, usual, wide);
	}
	free(words);
	free(usual);
	free(wide);
	json_decref(v);
}

static void
test_wide(void **state)
{
	fits("peer.list", "peers",
	     "{\"interface\":\"wg0\",\"name\":\"alice\",\"endpoint\":\"198.18.55.12:48978\","
	     "\"allowed_ips\":[\"10.7.0.2/32\"],\"state\":\"established\",\"last_handshake\":0,"
	     "\"rx_bytes\":66000,\"tx_bytes\":66000,\"last_data_rx_ms\":61000,\"enabled\":true}",
	     "last data");
	fits("interface.list", "interfaces",
	     "{\"name\":\"wg0\",\"listen_port\":51820,"
	     "\"public_key\":\"HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=\",\"key_source\":"
	     "\"file\",\"addresses\":[\"10.7.0.1/24\",\"fd00:7::1/"
	     "64\"],\"inside\":{\"port\":\"lan\","
	     "\"prefixes\":[\"10.20.0.0/24\",\"fd00:20::/64\"]},\"mtu\":1420,\"isolation\":true,"
	     "\"peers\":10000}",
	     "inside,mtu");
	fits("port.list", "ports",
	     "{\"name\":\"wan\",\"device\":\"net_af_packet0,iface=wan0\",\"driver\":"
	     "\"net_af_packet\",\"mac\":\"52:d2:df:b2:18:75\",\"mtu\":1500,\"rx_queues\":1,"
	     "\"tx_queues\":1,\"link\":\"up\",\"mbps\":10000,\"addresses\":[\"198.18.5.2/24\","
	     "\"2001:db8:5::2/64\"]}",
	     "driver");
	fits("port.stats", "ports",
	     "{\"name\":\"wan\",\"rx_packets\":12345678901,\"rx_bytes\":1234567890123,"
	     "\"rx_pps\":1234567,\"rx_bps\":9870000000,\"tx_packets\":12345678901,"
	     "\"tx_bytes\":1234567890123,\"tx_pps\":1234567,\"tx_bps\":9870000000,\"rx_missed\":10,"
	     "\"rx_errors\":1,\"rx_nombuf\":1,\"tx_errors\":1}",
	     "rx packets,tx packets");
	fits("session.list", "sessions",
	     "{\"interface\":\"wg0\",\"peer\":\"alice-phone\",\"state\":\"established\","
	     "\"local_index\":3960275632,\"remote_index\":2336181019,\"age_ms\":100000,"
	     "\"initiator\":false,\"worker\":0,\"packets_encrypted\":1234567890,"
	     "\"packets_decrypted\":1234567890,\"replay_detected\":0,\"auth_failures\":0,"
	     "\"key_rotation_count\":1}",
	     "local index,remote index,worker,rotations");
	fits("sys.lcores", "lcores",
	     "{\"lcore\":12,\"cpu\":12,\"role\":\"control\",\"index\":0,\"busy_pct\":10.5,"
	     "\"rx_packets\":1234567890123,\"rx_pps\":1234567,\"tx_packets\":1234567890123,"
	     "\"tx_pps\":1234567,\"steered_packets\":1234567890,\"polls\":123456789012345}",
	     "polls");
	fits("policy.would_deny", "rows",
	     "{\"peer\":\"alice-phone\",\"from\":\"tunnel\",\"src\":\"10.7.0.2\",\"dst\":"
	     "\"10.20.0.10\",\"protocol\":\"tcp\",\"port\":5201,\"why\":\"zone_default\","
	     "\"rule\":\"engineer/17\",\"flows\":12345,\"bytes\":123456,\"last\":0}",
	     "from,bytes");
	fits("evidence.list", "rows",
	     "{\"interface\":\"wg0\",\"peer\":\"alice-phone\",\"from\":\"tunnel\",\"src\":"
	     "\"10.7.0.2\",\"dst\":\"10.20.0.10\",\"protocol\":\"tcp\",\"port\":5201,\"then\":"
	     "\"would_deny\",\"now\":\"allow\",\"flows\":12345,\"packets\":123456,\"bytes\":"
	     "123456,\"last\":0}",
	     "interface,from,packets");
	fits("flow.list", "flows",
	     "{\"peer\":\"alice\",\"from\":\"tunnel\",\"src\":\"fd00:7::2\",\"sport\":51724,"
	     "\"dst\":\"fd00:20::10\",\"port\":5201,\"protocol\":\"tcp\",\"state\":\"established\","
	     "\"verdict\":\"would_deny\",\"rule\":\"engineer/17\",\"why\":\"no_role\",\"target\":"
	     "\"db\",\"packets\":7,\"reply_packets\":5,\"bytes\":123456,\"reply_bytes\":123456,"
	     "\"age_ms\":100000,\"idle_ms\":8300,\"expires_ms\":100000}",
	     "from,sport,state,target,packets,replies,age,ends in");
	fits("audit.recent", "records",
	     "{\"@timestamp\":\"2026-01-02T03:04:05.678901Z\",\"event\":{\"action\":"
	     "\"policy-would-deny\",\"reason\":\"no_role\"},\"sluice\":{\"peer\":{\"name\":"
	     "\"alice\"},\"target\":{\"name\":\"db\"},\"count\":3},\"source\":{\"ip\":"
	     "\"fd00:7::2\"},\"destination\":{\"ip\":\"fd00:20::10\",\"port\":5201},"
	     "\"network\":{\"transport\":\"tcp\"},\"rule\":{\"name\":\"engineer/17\"}}",
	     "target,count");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cells),
		cmocka_unit_test(test_columns),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_wide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
