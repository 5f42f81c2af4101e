/* SPDX-License-Identifier: BSD-3-Clause */
/* The handshake core against the published vector of the pattern. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "../unhex.h"
#include "noise_core.h"
#include "vector_ikpsk2.h"

#define PAYLOAD_MAX 64

struct side {
	struct sl_noise_sym sym;
	struct sl_noise_pair st, eph;
	struct sl_secret psk;
};

static void
side_init(struct side *s, const char *st, const char *eph)
{
	struct sl_secret k;
	uint8_t prologue[32];
	struct sl_pubkey responder;
	size_t n = unhex(V_PROLOGUE, prologue);

	unhex(st, k.b);
	sl_noise_core_pair(&s->st, &k);
	unhex(eph, k.b);
	sl_noise_core_pair(&s->eph, &k);
	unhex(V_PSK, s->psk.b);
	unhex(V_STATIC_R_PUB, responder.b);
	sl_noise_core_start(&s->sym, prologue, n, &responder);
}

/* Message 1: made by the initiator, compared, read by the responder. */
static void
first(struct side *i, struct side *r)
{
	uint8_t want[256], got[256], payload[PAYLOAD_MAX], plain[PAYLOAD_MAX], ss[32];
	size_t len = unhex(v_messages[0].message, want), n = unhex(v_messages[0].payload, payload);
	struct sl_pubkey seen;

	assert_int_equal(sl_x25519(ss, &i->st.sk, &r->st.pk), 0);
	assert_int_equal(sl_noise_core_write1(&i->sym, &i->eph, &i->st.pk, &r->st.pk, ss, payload,
					      n, got + 32, got + 80),
			 0);
	memcpy(got, i->eph.pk.b, 32);
	assert_int_equal(len, 32 + 48 + n + 16);
	assert_memory_equal(got, want, len);

	assert_int_equal(sl_noise_core_read1_static(&r->sym, &r->st.sk, &i->eph.pk, want + 32,
						    &seen),
			 0);
	assert_memory_equal(seen.b, i->st.pk.b, 32);
	assert_int_equal(sl_noise_core_read1_payload(&r->sym, ss, want + 80, n + 16, plain), 0);
	assert_memory_equal(plain, payload, n);
}

/* Message 2: the other way round. */
static void
second(struct side *i, struct side *r)
{
	uint8_t want[256], got[256], payload[PAYLOAD_MAX], plain[PAYLOAD_MAX];
	size_t len = unhex(v_messages[1].message, want), n = unhex(v_messages[1].payload, payload);

	assert_int_equal(sl_noise_core_write2(&r->sym, &r->eph, &i->eph.pk, &i->st.pk, &r->psk,
					      payload, n, got + 32),
			 0);
	memcpy(got, r->eph.pk.b, 32);
	assert_int_equal(len, 32 + n + 16);
	assert_memory_equal(got, want, len);
	assert_int_equal(sl_noise_core_read2(&i->sym, &i->eph.sk, &i->st.sk, &r->eph.pk, &i->psk,
					     want + 32, n + 16, plain),
			 0);
	assert_memory_equal(plain, payload, n);
}

static void
test_published_vector(void **state)
{
	struct side i, r;
	struct sl_secret key[2];
	uint64_t counter[2] = {0, 0};
	unsigned m;

	side_init(&i, V_STATIC_I, V_EPH_I);
	side_init(&r, V_STATIC_R, V_EPH_R);
	assert_hex(r.st.pk.b, V_STATIC_R_PUB);
	first(&i, &r);
	assert_memory_equal(&i.sym, &r.sym, sizeof(i.sym));
	second(&i, &r);
	assert_hex(i.sym.h, V_HASH);
	assert_memory_equal(&i.sym, &r.sym, sizeof(i.sym));

	sl_noise_core_split(&i.sym, &key[0], &key[1]);
	for (m = 2; m < SL_ARRAY_SIZE(v_messages); m++) {
		uint8_t payload[PAYLOAD_MAX], got[PAYLOAD_MAX + 16], want[PAYLOAD_MAX + 16];
		size_t n = unhex(v_messages[m].payload, payload);

		sl_chapoly_seal(got, payload, n, NULL, 0, counter[m % 2]++, key[m % 2].b);
		assert_int_equal(unhex(v_messages[m].message, want), n + 16);
		assert_memory_equal(got, want, n + 16);
	}
}

/* A refused message leaves the symmetric state as it was. */
static void
test_state_kept_on_error(void **state)
{
	struct side i, r;
	struct sl_noise_sym before;
	struct sl_pubkey seen;
	const struct sl_pubkey zero = {{0}};
	uint8_t msg[256], plain[PAYLOAD_MAX], ss[32] = {1};

	side_init(&i, V_STATIC_I, V_EPH_I);
	side_init(&r, V_STATIC_R, V_EPH_R);
	unhex(v_messages[0].message, msg);
	before = r.sym;
	msg[40] ^= 1;
	assert_int_equal(sl_noise_core_read1_static(&r.sym, &r.st.sk, &i.eph.pk, msg + 32, &seen),
			 -EBADMSG);
	msg[40] ^= 1;
	assert_int_equal(sl_noise_core_read1_static(&r.sym, &r.st.sk, &zero, msg + 32, &seen),
			 -EKEYREJECTED);
	assert_memory_equal(&before, &r.sym, sizeof(before));
	assert_int_equal(sl_noise_core_read1_static(&r.sym, &r.st.sk, &i.eph.pk, msg + 32, &seen),
			 0);
	before = r.sym;
	assert_int_equal(sl_noise_core_read1_payload(&r.sym, ss, msg + 80, 32, plain), -EBADMSG);
	assert_int_equal(sl_noise_core_read1_payload(&r.sym, ss, msg + 80, 15, plain), -EBADMSG);
	assert_memory_equal(&before, &r.sym, sizeof(before));
	assert_int_equal(sl_noise_core_write2(&r.sym, &r.eph, &zero, &i.st.pk, &r.psk, NULL, 0,
					      msg),
			 -EKEYREJECTED);
	assert_int_equal(sl_noise_core_write2(&r.sym, &r.eph, &i.eph.pk, &zero, &r.psk, NULL, 0,
					      msg),
			 -EKEYREJECTED);
	assert_int_equal(sl_noise_core_read2(&r.sym, &r.eph.sk, &r.st.sk, &zero, &r.psk, msg, 16,
					     plain),
			 -EKEYREJECTED);
	assert_int_equal(sl_noise_core_write1(&r.sym, &r.eph, &r.st.pk, &zero, ss, NULL, 0, msg,
					      msg + 48),
			 -EKEYREJECTED);
	assert_memory_equal(&before, &r.sym, sizeof(before));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_published_vector),
		cmocka_unit_test(test_state_kept_on_error),
	};

	if (sl_crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
