/* SPDX-License-Identifier: BSD-3-Clause */
/* What well-formed requests become, however the connection cuts them. */
#include "collect.h"

#include <malloc.h>
#include <stdlib.h>

#define SECRET KEY_C
#define SECRET_BYTE 0xc3

char seen[65536];
static size_t used;
static unsigned leaks;

void __real_free(void *p);
void __wrap_free(void *p);

/* No block is given back with a part of the secret in it, as bytes or as text. */
void
__wrap_free(void *p)
{
	size_t n = p ? malloc_usable_size(p) : 0, run = 0;

	leaks += n && memmem(p, n, "c3c3c3c3", 8) != NULL;
	for (size_t i = 0; i < n; i++) {
		run = ((uint8_t *)p)[i] == SECRET_BYTE ? run + 1 : 0;
		leaks += run == 4;
	}
	__real_free(p);
}

static void say(const char *fmt, ...) SL_PRINTF(1, 2);

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	used += (size_t)vsnprintf(seen + used, sizeof(seen) - used, fmt, ap);
	va_end(ap);
	assert_true(used < sizeof(seen));
}

static void
on_get(void *ctx)
{
	say("get;");
}

static void
say_peer(const struct sl_uapi_peer *p)
{
	char text[SL_ENDPOINT_STR];

	say(" peer=%02x", p->public_key.b[31]);
	if (p->remove)
		say(" remove");
	if (p->update_only)
		say(" update");
	if (p->has_preshared_key)
		say(" psk=%02x", p->preshared_key.b[31]);
	if (p->has_endpoint)
		say(" at=%s", sl_endpoint_str(&p->endpoint, text));
	if (p->has_keepalive)
		say(" keep=%u", p->keepalive_s);
	if (p->replace_allowed_ips)
		say(" replace");
	for (unsigned i = 0; i < p->n_allowed; i++)
		say(" +%s", sl_prefix_str(&p->allowed[i], text));
	for (unsigned i = 0; i < p->n_removed; i++)
		say(" -%s", sl_prefix_str(&p->removed[i], text));
}

static void
on_set(void *ctx, const struct sl_uapi_set *s)
{
	say("set");
	if (s->has_private_key)
		say(" key=%02x", s->private_key.b[31]);
	if (s->has_listen_port)
		say(" port=%u", s->listen_port);
	if (s->has_fwmark)
		say(" mark=%u", s->fwmark);
	if (s->replace_peers)
		say(" replace");
	for (unsigned i = 0; i < s->n_peers; i++)
		say_peer(&s->peers[i]);
	say(";");
}

static void
on_fail(void *ctx, enum sl_uapi_op op, int err, unsigned line, const char *why)
{
	assert_non_null(why);
	say("%s error %d line %u;", op == SL_UAPI_GET ? "get" : "set", err, line);
}

const struct sl_uapi_handler collect = {.get = on_get, .set = on_set, .fail = on_fail};

void
collect_reset(void)
{
	used = 0;
	seen[0] = '\0';
}

int
parse_text(const char *text, size_t piece)
{
	struct sl_uapi *u = sl_uapi_new(&collect, 0);
	size_t n = strlen(text);
	int err = 0;

	assert_non_null(u);
	collect_reset();
	for (size_t at = 0; at < n && !err; at += piece) {
		/* an exact copy, so that reading behind it is noticed */
		size_t len = SL_MIN(piece, n - at);
		char *copy = malloc(len);

		assert_non_null(copy);
		memcpy(copy, text + at, len);
		err = sl_uapi_feed(u, copy, len);
		sl_wipe(copy, len);
		free(copy);
	}
	sl_uapi_free(u);
	return err;
}

static void
test_get(void **state)
{
	assert_parsed("get=1\n\n", "get;");
	assert_parsed("\n\nget=1\n\nget=1\n\n\nset=1\n\n", "get;get;set;");
	assert_parsed("get=1\n", "");
	assert_parsed("", "");
}

static void
test_device(void **state)
{
	assert_parsed("set=1\nprivate_key=" KEY_A "\nlisten_port=51820\nfwmark=4294967295\n"
		      "replace_peers=true\n\n",
		      "set key=a1 port=51820 mark=4294967295 replace;");
	assert_parsed("set=1\nprivate_key=" KEY_0 "\nlisten_port=0\nfwmark=0\n\n",
		      "set key=00 port=0 mark=0;");
	assert_parsed("set=1\nlisten_port=1\nlisten_port=2\n\n", "set port=2;");
	assert_parsed("set=1\nlisten_port=65535\n\nset=1\n\n", "set port=65535;set;");
}

static void
test_peers(void **state)
{
	assert_parsed("set=1\npublic_key=" KEY_A "\nremove=true\npublic_key=" KEY_B
		      "\nupdate_only=true\npreshared_key=" KEY_C
		      "\nendpoint=192.0.2.1:51820\npersistent_keepalive_interval=25\n"
		      "replace_allowed_ips=true\nallowed_ip=10.7.0.2/32\nallowed_ip=fd00::/64\n"
		      "protocol_version=1\npublic_key=" KEY_C "\nendpoint=[2001:db8::1]:1\n"
		      "persistent_keepalive_interval=0\npublic_key=" KEY_A "\npreshared_key=" KEY_0
		      "\n\n",
		      "set peer=a1 remove peer=b2 update psk=c3 at=192.0.2.1:51820 keep=25 replace "
		      "+10.7.0.2/32 +fd00::/64 peer=c3 at=[2001:db8::1]:1 keep=0 peer=a1 psk=00;");
	/* upper case hex */
	assert_parsed("set=1\npublic_key=" K("B2") "\n\n", "set peer=b2;");
}

static void
test_allowed_ips(void **state)
{
	/* host bits go; order stays; a replacement drops what stood before it */
	assert_parsed("set=1\npublic_key=" KEY_A "\nallowed_ip=10.1.2.3/8\nallowed_ip=0.0.0.0/0\n"
		      "allowed_ip=::/0\n\n",
		      "set peer=a1 +10.0.0.0/8 +0.0.0.0/0 +::/0;");
	assert_parsed("set=1\npublic_key=" KEY_A "\nallowed_ip=10.0.0.0/8\nallowed_ip=-11.0.0.0/8\n"
		      "replace_allowed_ips=true\nallowed_ip=12.0.0.0/8\n\n",
		      "set peer=a1 replace +12.0.0.0/8;");
	/* removals: the last line for a prefix counts */
	assert_parsed("set=1\npublic_key=" KEY_A "\nallowed_ip=9.0.0.0/8\nallowed_ip=-8.0.0.0/8\n"
		      "allowed_ip=-fd00::1/64\nallowed_ip=7.0.0.0/8\nallowed_ip=-9.1.1.1/8\n"
		      "allowed_ip=8.0.0.0/8\nallowed_ip=8.0.0.0/9\n\n",
		      "set peer=a1 +7.0.0.0/8 +8.0.0.0/8 +8.0.0.0/9 -fd00::/64 -9.0.0.0/8;");
	/* and belong to one peer only */
	assert_parsed("set=1\npublic_key=" KEY_A "\nallowed_ip=-9.0.0.0/8\npublic_key=" KEY_B
		      "\nallowed_ip=9.0.0.0/8\nallowed_ip=9.0.0.0/8\n\n",
		      "set peer=a1 -9.0.0.0/8 peer=b2 +9.0.0.0/8 +9.0.0.0/8;");
}

/* Random lines for 40 prefixes against a table of the last word on each. */
static void
test_last_line_counts(void **state)
{
	static char text[65536];
	uint32_t seed = 1;

	for (unsigned round = 0; round < 200; round++) {
		int last[40] = {0}, got[40] = {0};
		size_t n = (size_t)sprintf(text, "set=1\npublic_key=" KEY_A "\n");
		char *p;

		for (unsigned i = 0; i < 300; i++) {
			unsigned k;

			seed = seed * 1664525u + 1013904223u;
			k = (seed >> 16) % 40;
			last[k] = seed >> 31 ? 1 : -1;
			n += (size_t)sprintf(text + n, "allowed_ip=%s%s%u/%u\n",
					     last[k] > 0 ? "" : "-",
					     k % 2 ? "10.0.0." : "fd00::", k / 2, k % 2 ? 32 : 128);
		}
		strcpy(text + n, "\n");
		assert_int_equal(parse_text(text, 1000), 0);
		for (p = seen; (p = strpbrk(p, "+-")); p++) {
			bool v4 = strncmp(p + 1, "10.", 3) == 0;
			unsigned k = v4 ? (unsigned)atoi(p + 8) * 2 + 1
					: (unsigned)strtol(p + 7, NULL, 16);

			/* fd00::10 is hexadecimal: its digits were written as decimal */
			if (!v4)
				k = (k / 16 * 10 + k % 16) * 2;
			assert_int_equal(got[k], 0);
			got[k] = *p == '+' ? 1 : -1;
		}
		assert_memory_equal(got, last, sizeof(got));
	}
}

static unsigned count_allowed;

static void
count_set(void *ctx, const struct sl_uapi_set *s)
{
	count_allowed = s->n_peers ? s->peers[s->n_peers - 1].n_allowed : 0;
	assert_int_equal(s->peers[0].allowed[65535].ip.b[3], 255);
}

/* 130,560 allowed IPs of one peer in a request. */
static void
test_many_allowed_ips(void **state)
{
	struct sl_uapi_handler h = collect;
	struct sl_uapi *u;
	char line[64];

	h.set = count_set;
	u = sl_uapi_new(&h, 0);
	sl_uapi_feed(u, "set=1\npublic_key=" KEY_A "\n", 6 + 11 + 64 + 1);
	for (unsigned i = 0; i < 255 * 256 * 2; i++) {
		int n = sprintf(line, "allowed_ip=10.%u.%u.%u/32\n", i >> 16, i >> 8 & 255,
				i & 255);

		assert_int_equal(sl_uapi_feed(u, line, (size_t)n), 0);
	}
	assert_int_equal(sl_uapi_feed(u, "\n", 1), 0);
	assert_int_equal(count_allowed, 255 * 256 * 2);
	sl_uapi_free(u);
}

static void
test_secrets_are_wiped(void **state)
{
	static char text[16384];
	size_t n = (size_t)sprintf(text, "set=1\nprivate_key=" SECRET "\n");
	volatile uint8_t *probe;

	for (unsigned i = 0; i < 50; i++) /* the array of peers grows several times */
		n += (size_t)sprintf(text + n, "public_key=" KEY_A "\npreshared_key=" SECRET "\n");
	leaks = 0;
	assert_int_equal(parse_text(text, 4096), 0); /* cut off: freed half-read */
	assert_string_equal(seen, "");
	strcpy(text + n, "nonsense\n\n");
	assert_int_equal(parse_text(text, 4096), 0); /* refused */
	strcpy(text + n, "\n");
	assert_int_equal(parse_text(text, 4096), 0);
	assert_int_equal(strncmp(seen, "set key=c3 peer=a1 psk=c3", 25), 0);
	assert_int_equal(leaks, 0);
	/* the check itself works */
	probe = malloc(64);
	assert_non_null((void *)probe);
	for (unsigned i = 0; i < 64; i++)
		probe[i] = SECRET_BYTE;
	__wrap_free((void *)probe);
	assert_true(leaks > 0);
}

static const struct CMUnitTest parse_tests[] = {
	cmocka_unit_test(test_get),
	cmocka_unit_test(test_device),
	cmocka_unit_test(test_peers),
	cmocka_unit_test(test_allowed_ips),
	cmocka_unit_test(test_last_line_counts),
	cmocka_unit_test(test_many_allowed_ips),
	cmocka_unit_test(test_secrets_are_wiped),
};

int
main(void)
{
	return _cmocka_run_group_tests("parse", parse_tests, SL_ARRAY_SIZE(parse_tests), NULL,
				       NULL) +
	       _cmocka_run_group_tests("refuse", refuse_tests, n_refuse_tests, NULL, NULL);
}
