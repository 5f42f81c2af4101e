/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the two implementations of lib/aead offer to aead.c. Private to the module.
 */
#ifndef SL_AEAD_IMPL_H
#define SL_AEAD_IMPL_H

#include "sl_aead.h"

#define AEAD_NAME_MAX 64

/** First member of each implementation's own structure. */
struct sl_aead {
	void (*seal)(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n);
	void (*open)(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n);
	void (*free)(struct sl_aead *a);
	char name[AEAD_NAME_MAX];
};

/** @return an instance or NULL (no memory, or the library refuses this CPU or fails its self
 * test). */
struct sl_aead *aead_ipsec_mb_new(void);
/** @return an instance or NULL (no memory). */
struct sl_aead *aead_sodium_new(void);

#endif
