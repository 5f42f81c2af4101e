/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_crypto.h"

#include <errno.h>

#include <sodium.h>

void
sl_x25519_clamp(struct sl_secret *sk)
{
	sk->b[0] &= 248;
	sk->b[31] &= 127;
	sk->b[31] |= 64;
}

void
sl_x25519_public(struct sl_pubkey *pk, const struct sl_secret *sk)
{
	crypto_scalarmult_curve25519_base(pk->b, sk->b);
}

int
sl_x25519(uint8_t out[32], const struct sl_secret *sk, const struct sl_pubkey *pk)
{
	/* out may lie on sk or pk: work on the side, then copy */
	uint8_t q[32];
	int rc = crypto_scalarmult_curve25519(q, sk->b, pk->b);

	if (rc != 0 || sl_ct_is_zero(q, sizeof(q))) {
		sl_wipe(q, sizeof(q));
		sl_wipe(out, 32);
		return -EINVAL;
	}
	memcpy(out, q, sizeof(q));
	sl_wipe(q, sizeof(q));
	return 0;
}
