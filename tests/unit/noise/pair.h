/* SPDX-License-Identifier: BSD-3-Clause */
/* An initiator and a responder in memory, with the keys of the fixed transcript. */
#ifndef TEST_NOISE_PAIR_H
#define TEST_NOISE_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "sl_crypto.h"
#include "sl_noise.h"
#include "transcript.h"

struct pair {
	struct sl_noise_local li, lr; /* who initiates, who responds */
	struct sl_noise_peer pi, pr;  /* the responder as seen by the initiator, and reverse */
	struct sl_msg_initiation m1;
	struct sl_msg_response m2;
};

static inline struct sl_secret
secret_of(const uint8_t b[32])
{
	struct sl_secret s;

	memcpy(s.b, b, sizeof(s.b));
	return s;
}

static inline void
pair_init(struct pair *x, const uint8_t psk_i[32], const uint8_t psk_r[32])
{
	struct sl_secret k = secret_of(t_static_i);

	memset(x, 0, sizeof(*x));
	sl_noise_local_set(&x->li, &k);
	k = secret_of(t_static_r);
	sl_noise_local_set(&x->lr, &k);
	k = secret_of(psk_i ? psk_i : t_psk);
	sl_noise_peer_init(&x->pi, &x->lr.pk, &k);
	k = secret_of(psk_r ? psk_r : t_psk);
	sl_noise_peer_init(&x->pr, &x->li.pk, &k);
}

static inline int
initiate(struct pair *x)
{
	struct sl_secret e = secret_of(t_eph_i);

	return sl_noise_create_initiation(&x->li, &x->pi, T_INDEX_I, &e, t_timestamp, &x->m1);
}

static inline int
receive_initiation(struct pair *x, const struct sl_msg_initiation *m)
{
	struct sl_noise_rx rx;
	int err = sl_noise_consume_initiation(&x->lr, m, &rx);

	if (!err)
		err = sl_noise_accept_initiation(&x->lr, &x->pr, m, &rx);
	sl_noise_rx_clear(&rx);
	return err;
}

static inline int
respond(struct pair *x)
{
	struct sl_secret e = secret_of(t_eph_r);

	return sl_noise_create_response(&x->lr, &x->pr, T_INDEX_R, &e, &x->m2);
}

extern const struct CMUnitTest edge_tests[];
extern const unsigned n_edge_tests;

#endif
