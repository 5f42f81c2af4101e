/* SPDX-License-Identifier: BSD-3-Clause */
#include "impl.h"

#include <stdio.h>
#include <stdlib.h>

#include <sodium.h>

#define NONCE_LEN crypto_aead_chacha20poly1305_ietf_NPUBBYTES

static void
seal_all(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	uint8_t nonce[NONCE_LEN] = {0};
	struct sl_aead_job *j;

	for (j = jobs; j < jobs + n; j++) {
		sl_store_le64(nonce + 4, j->counter);
		crypto_aead_chacha20poly1305_ietf_encrypt_detached(j->data, j->data + j->len, NULL,
								   j->data, j->len, NULL, 0, NULL,
								   nonce, j->key);
	}
}

static void
open_all(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	uint8_t nonce[NONCE_LEN] = {0};
	struct sl_aead_job *j;

	for (j = jobs; j < jobs + n; j++) {
		sl_store_le64(nonce + 4, j->counter);
		j->ok = crypto_aead_chacha20poly1305_ietf_decrypt_detached(j->data, NULL, j->data,
									   j->len, j->data + j->len,
									   NULL, 0, nonce,
									   j->key) == 0;
	}
}

static void
free_instance(struct sl_aead *a)
{
	free(a);
}

struct sl_aead *
aead_sodium_new(void)
{
	struct sl_aead *a;

	if (sodium_init() < 0)
		return NULL;
	a = calloc(1, sizeof(*a));
	if (a == NULL)
		return NULL;
	a->seal = seal_all;
	a->open = open_all;
	a->free = free_instance;
	snprintf(a->name, sizeof(a->name), "libsodium %s", sodium_version_string());
	return a;
}
