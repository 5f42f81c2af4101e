/* SPDX-License-Identifier: BSD-3-Clause */
/* mac1, mac2 and cookie replies: against independent vectors, then the life of secret and cookie.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "sl_cookie.h"
#include "sl_crypto.h"
#include "vectors.h"

#define S SL_NS_PER_S
#define T0 (77 * S)
#define MAC2 (sizeof(struct sl_msg_initiation) - 16)

static uint8_t counter;

static void
count_up(void *ctx, void *out, size_t n)
{
	for (uint8_t *p = out; n-- > 0; p++)
		*p = counter++;
}

static const struct sl_rng rng = {.fill = count_up};
static const struct sl_endpoint v4 = {.ip = {.family = 4, .b = {192, 0, 2, 77}}, .port = 51820};
static const struct sl_endpoint v6 = {.ip = {.family = 6,
					     .b = {0x20, 1, 0x0d, 0xb8, 0, 0, 0, 1, [15] = 0x99}},
				      .port = 443};

static struct sl_cookie_checker checker;
static struct sl_cookie_maker maker;
static uint8_t msg[sizeof(struct sl_msg_initiation)];

static int
fresh(void **state)
{
	struct sl_pubkey pk;

	counter = 0;
	memcpy(pk.b, v_public, sizeof(pk.b));
	sl_cookie_checker_init(&checker, &pk);
	sl_cookie_maker_init(&maker, &pk);
	memset(msg, 0xee, sizeof(msg));
	memcpy(msg, v_body, sizeof(v_body));
	return 0;
}

static enum sl_cookie_verdict
check(const struct sl_endpoint *src, uint64_t now)
{
	return sl_cookie_check(&checker, msg, sizeof(msg), src, now, &rng);
}

static void
reply_to(const struct sl_endpoint *src, uint64_t now, struct sl_msg_cookie *out)
{
	sl_cookie_reply(&checker, msg, sizeof(msg), V_SENDER, src, now, &rng, out);
}

/* One message, its cookie reply, and the next message with mac2. */
static void
round_trip(const struct sl_endpoint *src, uint64_t now)
{
	struct sl_msg_cookie reply;

	sl_cookie_mac(&maker, msg, sizeof(msg), now);
	reply_to(src, now, &reply);
	assert_int_equal(sl_cookie_consume(&maker, &reply, now), 0);
	sl_cookie_mac(&maker, msg, sizeof(msg), now);
}

static void
test_vectors(void **state)
{
	const struct {
		const struct sl_endpoint *src;
		const uint8_t *cookie, *mac2, *reply;
	} v[] = {{&v4, v_cookie_v4, v_mac2_v4, v_reply_v4},
		 {&v6, v_cookie_v6, v_mac2_v6, v_reply_v6}};
	static const uint8_t zero[16];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(v); i++) {
		struct sl_msg_cookie reply;

		fresh(NULL);
		sl_cookie_mac(&maker, msg, sizeof(msg), T0);
		assert_memory_equal(msg + sizeof(v_body), v_mac1, 16);
		assert_memory_equal(msg + MAC2, zero, 16);
		assert_int_equal(check(v[i].src, T0), SL_MAC1_OK);
		reply_to(v[i].src, T0, &reply);
		assert_memory_equal(&reply, v[i].reply, sizeof(reply));
		assert_int_equal(sl_cookie_consume(&maker, &reply, T0), 0);
		assert_memory_equal(maker.cookie, v[i].cookie, SL_COOKIE_LEN);
		sl_cookie_mac(&maker, msg, sizeof(msg), T0);
		assert_memory_equal(msg + MAC2, v[i].mac2, 16);
		assert_int_equal(check(v[i].src, T0), SL_MAC2_OK);
	}
}

static void
test_every_byte_counts(void **state)
{
	round_trip(&v4, T0);
	for (unsigned i = 0; i < sizeof(msg); i++) {
		msg[i] ^= 1u << i % 8;
		assert_int_equal(check(&v4, T0), i < MAC2 ? SL_MAC_BAD : SL_MAC1_OK);
		msg[i] ^= 1u << i % 8;
	}
	assert_int_equal(check(&v4, T0), SL_MAC2_OK);
	for (size_t len = 0; len < 32; len++)
		assert_int_equal(sl_cookie_check(&checker, msg, len, &v4, T0, &rng), SL_MAC_BAD);
	/* nothing but the two macs: its mac1 is right for the empty body */
	sl_cookie_mac(&maker, msg, 32, T0);
	assert_int_equal(sl_cookie_check(&checker, msg, 32, &v4, T0, &rng), SL_MAC2_OK);
}

static void
test_bound_to_address_and_port(void **state)
{
	struct sl_endpoint e = v4;

	round_trip(&v4, T0);
	e.port++;
	assert_int_equal(check(&e, T0), SL_MAC1_OK);
	e.port = (uint16_t)(v4.port << 8 | v4.port >> 8);
	assert_int_equal(check(&e, T0), SL_MAC1_OK);
	e = v4;
	e.ip.b[3]++;
	assert_int_equal(check(&e, T0), SL_MAC1_OK);
	e = v4;
	e.ip.b[9] = 1; /* not part of an IPv4 address */
	assert_int_equal(check(&e, T0), SL_MAC2_OK);
	round_trip(&v6, T0);
	e = v6;
	e.ip.b[15]++;
	assert_int_equal(check(&e, T0), SL_MAC1_OK);
	assert_int_equal(check(&v6, T0), SL_MAC2_OK);
}

static void
test_secret_rotates(void **state)
{
	struct sl_secret old;
	struct sl_msg_cookie reply;

	round_trip(&v4, T0);
	old = checker.secret;
	reply_to(&v4, T0 + 120 * S - 1, &reply);
	assert_memory_equal(&old, &checker.secret, sizeof(old));
	assert_int_equal(check(&v4, T0 + 120 * S - 1), SL_MAC2_OK);
	assert_int_equal(check(&v4, T0 + 120 * S), SL_MAC1_OK);
	assert_memory_not_equal(&old, &checker.secret, sizeof(old));
	fresh(NULL);
	round_trip(&v4, T0);
	reply_to(&v4, T0 + 120 * S, &reply);
	assert_memory_not_equal(&old, &checker.secret, sizeof(old));
	assert_int_equal(checker.secret_birth_ns, T0 + 120 * S);
	assert_int_equal(check(&v4, T0 + 120 * S), SL_MAC1_OK);
}

static void
test_cookie_ages(void **state)
{
	round_trip(&v4, T0);
	sl_cookie_mac(&maker, msg, sizeof(msg), T0 + 115 * S - 1);
	assert_int_equal(check(&v4, T0 + 115 * S - 1), SL_MAC2_OK);
	sl_cookie_mac(&maker, msg, sizeof(msg), T0 + 115 * S);
	assert_true(sl_ct_is_zero(msg + MAC2, 16));
	assert_false(maker.has_cookie);
	assert_true(sl_ct_is_zero(maker.cookie, SL_COOKIE_LEN));
	round_trip(&v4, T0 + 200 * S);
	assert_int_equal(check(&v4, T0 + 200 * S), SL_MAC2_OK);
}

static void
test_consume_refuses(void **state)
{
	struct sl_msg_cookie reply, bad;
	struct sl_cookie_maker before;

	sl_cookie_mac(&maker, msg, sizeof(msg), T0);
	reply_to(&v4, T0, &reply);
	before = maker;
	for (unsigned i = 0; i < sizeof(bad); i++) {
		if (i >= 4 && i < 8)
			continue; /* the receiver index is looked up by the caller */
		bad = reply;
		((uint8_t *)&bad)[i] ^= 1u << i % 8;
		assert_int_equal(sl_cookie_consume(&maker, &bad, T0), -EBADMSG);
		assert_memory_equal(&before, &maker, sizeof(before));
	}
	/* it answers that message only */
	msg[20] ^= 1;
	sl_cookie_mac(&maker, msg, sizeof(msg), T0);
	assert_int_equal(sl_cookie_consume(&maker, &reply, T0), -EBADMSG);
	msg[20] ^= 1;
	sl_cookie_mac(&maker, msg, sizeof(msg), T0);
	assert_int_equal(sl_cookie_consume(&maker, &reply, T0), 0);
	assert_int_equal(sl_cookie_consume(&maker, &reply, T0), -EINVAL); /* and once */
	fresh(NULL);
	assert_int_equal(sl_cookie_consume(&maker, &reply, T0), -EINVAL);
}

static void
test_clear(void **state)
{
	round_trip(&v4, T0);
	sl_cookie_checker_clear(&checker);
	sl_cookie_maker_clear(&maker);
	assert_true(sl_ct_is_zero(&checker, sizeof(checker)));
	assert_true(sl_ct_is_zero(&maker, sizeof(maker)));
}

int
main(void)
{
#define CASE(f) cmocka_unit_test_setup(f, fresh)
	const struct CMUnitTest tests[] = {
		CASE(test_vectors),
		CASE(test_every_byte_counts),
		CASE(test_bound_to_address_and_port),
		CASE(test_secret_rotates),
		CASE(test_cookie_ages),
		CASE(test_consume_refuses),
		CASE(test_clear),
	};

	if (sl_crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
