/* SPDX-License-Identifier: BSD-3-Clause */
/* Country and network of a peer's outer address, from databases in MaxMind's format that the test
 * writes: 203.0.113.0/24 is in JP and AS 64500. */
#include "cp_fixture.h"

#include <unistd.h>

#define BITS 24

static const uint8_t net[3] = {203, 0, 113};
static char country[64], asn[64];

static void
put24(FILE *o, unsigned v)
{
	fputc((int)(v >> 16), o);
	fputc((int)(v >> 8 & 255), o);
	fputc((int)(v & 255), o);
}

/* Control byte of a type and a size, as the format has it. */
static void
put_type(FILE *o, unsigned type, unsigned size)
{
	if (type > 7) {
		fputc((int)size, o);
		fputc((int)type - 7, o);
	} else {
		fputc((int)(type << 5 | size), o);
	}
}

static void
put_text(FILE *o, const char *s)
{
	put_type(o, 2, (unsigned)strlen(s));
	fputs(s, o);
}

static void
put_number(FILE *o, const char *name, unsigned type, unsigned v)
{
	put_text(o, name);
	put_type(o, type, 4);
	fputc(0, o);
	put24(o, v);
}

static void
put_u16(FILE *o, const char *name, unsigned v)
{
	put_text(o, name);
	put_type(o, 5, 2);
	fputc((int)(v >> 8), o);
	fputc((int)(v & 255), o);
}

/* A tree of one branch, then the data, then what describes both. */
static void
write_db(const char *path, bool is_asn)
{
	FILE *o = fopen(path, "w");
	unsigned i, bit;

	assert_non_null(o);
	for (i = 0; i < BITS; i++) {
		bit = net[i / 8] >> (7 - i % 8) & 1;
		for (unsigned side = 0; side < 2; side++)
			put24(o, side != bit ? BITS : i + 1 < BITS ? i + 1 : BITS + 16);
	}
	for (i = 0; i < 16; i++)
		fputc(0, o);
	put_type(o, 7, 1);
	if (is_asn) {
		put_number(o, "autonomous_system_number", 6, 64500);
	} else {
		put_text(o, "country");
		put_type(o, 7, 1);
		put_text(o, "iso_code");
		put_text(o, "JP");
	}
	fputs("\xab\xcd\xefMaxMind.com", o);
	put_type(o, 7, 9);
	put_number(o, "node_count", 6, BITS);
	put_u16(o, "record_size", 24);
	put_u16(o, "ip_version", 4);
	put_text(o, "database_type");
	put_text(o, "Test");
	put_text(o, "languages");
	put_type(o, 11, 0);
	put_u16(o, "binary_format_major_version", 2);
	put_u16(o, "binary_format_minor_version", 0);
	put_number(o, "build_epoch", 9, 1);
	put_text(o, "description");
	put_type(o, 7, 0);
	fclose(o);
}

static json_t *
look_up(const char *ip)
{
	struct sl_ip a = fx_ip(ip);
	json_t *o = json_object();

	cp_geo_add(cx.cp, &a, o);
	return o;
}

static void
test_lookup(void **state)
{
	json_t *o;

	cx_stop();
	write_db(country, false);
	write_db(asn, true);
	cx.config.country_db = country;
	cx.config.asn_db = asn;
	cx_start();
	o = look_up("203.0.113.77");
	assert_string_equal(json_string_value(json_object_get(o, "country")), "JP");
	assert_int_equal(json_integer_value(json_object_get(o, "asn")), 64500);
	assert_int_equal(json_object_size(o), 2);
	json_decref(o);
	o = look_up("203.0.114.77");
	assert_int_equal(json_object_size(o), 0);
	json_decref(o);
	o = look_up("2001:db8::1");
	assert_int_equal(json_object_size(o), 0);
	json_decref(o);
}

/* The report has them, and not the address. */
static void
test_reported(void **state)
{
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = fx_key(1),
				    .fields = SL_PF_ENDPOINT,
				    .endpoint = {fx_ip("203.0.113.77"), 5555}};
	struct sl_gw_peer_info i;
	struct sl_peer *p;
	json_t *peer, *call;
	char *text;

	test_lookup(state);
	cx_snapshot(10, CX_BASE);
	assert_int_equal(sl_gw_peer_set(cx.f->gw, &s, &cx.f->e), 0);
	assert_true(cx_peer("alice", &i));
	p = sl_peer_get(cx.f->dp->peers, i.id);
	atomic_store_explicit(&p->rx_bytes, 100, memory_order_relaxed);
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_turns(100);
	call = json_array_get(cx.calls, json_array_size(cx.calls) - 1);
	assert_string_equal(json_string_value(json_object_get(call, "method")), "stats.report");
	peer = json_array_get(json_object_get(json_object_get(call, "params"), "peers"), 0);
	assert_string_equal(json_string_value(json_object_get(peer, "country")), "JP");
	assert_int_equal(json_integer_value(json_object_get(peer, "asn")), 64500);
	text = json_dumps(cx.calls, 0);
	assert_null(strstr(text, "203.0."));
	free(text);
}

static void
test_no_database(void **state)
{
	struct sl_cp_conf c = {.gw = cx.f->gw, .config = &cx.config, .boot_id = "b"};
	FILE *o = fopen(country, "w");

	fputs("nonsense", o);
	fclose(o);
	cx_stop();
	cx.config.country_db = country;
	assert_null(cp_new_bare(&c, &cx.f->e));
	fx_refused(cx.f, cx.f->e.err, -EINVAL, "geo_invalid", "/control_plane/country_db");
	cx.config.country_db = NULL;
	cx_start();
}

static int
setup(void **state)
{
	snprintf(country, sizeof(country), "/tmp/sl-test-country-%ld", (long)getpid());
	snprintf(asn, sizeof(asn), "/tmp/sl-test-asn-%ld", (long)getpid());
	return cx_setup(state);
}

static int
teardown(void **state)
{
	unlink(country);
	unlink(asn);
	return cx_teardown(state);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lookup, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reported, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_database, setup, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
