/* SPDX-License-Identifier: BSD-3-Clause */
/* Replies, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "sl_uapi.h"

#define K(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c

static char out[4096];
static size_t used;

static void
collect(void *ctx, const void *data, size_t len)
{
	assert_true(used + len < sizeof(out));
	memcpy(out + used, data, len);
	used += len;
	out[used] = '\0';
}

static const struct sl_uapi_sink sink = {.write = collect};

static int
fresh(void **state)
{
	used = 0;
	out[0] = '\0';
	return 0;
}

static void
test_device(void **state)
{
	struct sl_secret key;

	memset(key.b, 0x5a, sizeof(key.b));
	sl_uapi_write_device(&sink, &key, 51820, 4294967295u);
	assert_string_equal(out, "private_key=" K("5a") "\nlisten_port=51820\nfwmark=4294967295\n");
	fresh(NULL);
	memset(key.b, 0, sizeof(key.b));
	sl_uapi_write_device(&sink, &key, 1, 0);
	sl_uapi_write_device(&sink, NULL, 0, 0);
	assert_string_equal(out, "listen_port=1\n");
}

static void
test_peer(void **state)
{
	struct sl_endpoint at = {.ip = {.family = 6, .b = {0x20, 1, 0x0d, 0xb8, [15] = 1}},
				 .port = 65535};
	struct sl_prefix allowed[2] = {{.ip = {.family = 4, .b = {10, 7, 0, 2}}, .len = 32},
				       {.ip = {.family = 6}, .len = 0}};
	struct sl_uapi_peer_info p = {.endpoint = &at,
				      .last_handshake_wall_ns = UINT64_C(1700000000000000042),
				      .rx_bytes = UINT64_MAX,
				      .tx_bytes = 7,
				      .keepalive_s = 25,
				      .allowed = allowed,
				      .n_allowed = 2};
	struct sl_secret psk;

	memset(p.public_key.b, 0xbc, 32);
	memset(psk.b, 0x11, 32);
	p.preshared_key = &psk;
	sl_uapi_write_peer(&sink, &p);
	assert_string_equal(
		out,
		"public_key=" K("bc") "\npreshared_key=" K(
			"11") "\n"
			      "protocol_version=1\nendpoint=[2001:db8::1]:65535\n"
			      "last_handshake_time_sec=1700000000\nlast_handshake_time_nsec=42\n"
			      "tx_bytes=7\nrx_bytes=18446744073709551615\n"
			      "persistent_keepalive_interval=25\n"
			      "allowed_ip=10.7.0.2/32\nallowed_ip=::/0\n");
}

static void
test_peer_that_never_spoke(void **state)
{
	struct sl_uapi_peer_info p = {.n_allowed = 0};

	sl_uapi_write_peer(&sink, &p);
	assert_string_equal(out,
			    "public_key=" K("00") "\npreshared_key=" K(
				    "00") "\n"
					  "protocol_version=1\nlast_handshake_time_sec=0\n"
					  "last_handshake_time_nsec=0\ntx_bytes=0\nrx_bytes=0\n"
					  "persistent_keepalive_interval=0\n");
}

static void
test_end(void **state)
{
	sl_uapi_write_end(&sink, SL_UAPI_GET, 0);
	sl_uapi_write_end(&sink, SL_UAPI_SET, 0);
	sl_uapi_write_end(&sink, SL_UAPI_GET, -EINVAL);
	sl_uapi_write_end(&sink, SL_UAPI_SET, -EPROTO);
	assert_string_equal(out, "errno=0\n\nerrno=0\n\nerrno=22\n\nerrno=-71\n\n");
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		CASE(test_device),
		CASE(test_peer),
		CASE(test_peer_that_never_spoke),
		CASE(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
