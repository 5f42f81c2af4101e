/* SPDX-License-Identifier: BSD-3-Clause */
#include "impl.h"

struct sl_aead *
sl_aead_new(enum sl_aead_impl impl)
{
	switch (impl) {
	case SL_AEAD_IPSEC_MB:
		return aead_ipsec_mb_new();
	case SL_AEAD_SODIUM:
		return aead_sodium_new();
	}
	return NULL;
}

void
sl_aead_free(struct sl_aead *a)
{
	if (a != NULL)
		a->free(a);
}

const char *
sl_aead_name(const struct sl_aead *a)
{
	return a->name;
}

void
sl_aead_seal(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	a->seal(a, jobs, n);
}

void
sl_aead_open(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	a->open(a, jobs, n);
}
