/* SPDX-License-Identifier: BSD-3-Clause */
#include "wipe_alloc.h"

#include <event2/event.h>
#include <jansson.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "sl_secret.h"

static void
wipe_free(void *p)
{
	if (p == NULL)
		return;
	sl_wipe(p, malloc_usable_size(p));
	free(p);
}

/** In place while it fits: realloc() itself would leave a copy behind. */
static void *
wipe_realloc(void *p, size_t n)
{
	size_t had = p != NULL ? malloc_usable_size(p) : 0;
	void *q;

	if (p != NULL && n == 0) {
		wipe_free(p);
		return NULL;
	}
	if (p != NULL && n <= had && n >= had / 2)
		return p;
	q = malloc(n);
	if (q == NULL)
		return NULL;
	if (p != NULL)
		memcpy(q, p, SL_MIN(n, had));
	wipe_free(p);
	return q;
}

static void *
crypto_malloc(size_t n, const char *file, int line)
{
	return n > 0 ? malloc(n) : NULL;
}

static void *
crypto_realloc(void *p, size_t n, const char *file, int line)
{
	return wipe_realloc(p, n);
}

static void
crypto_free(void *p, const char *file, int line)
{
	wipe_free(p);
}

void
wipe_alloc_init(void)
{
	CRYPTO_set_mem_functions(crypto_malloc, crypto_realloc, crypto_free);
	event_set_mem_functions(malloc, wipe_realloc, wipe_free);
	json_set_alloc_funcs(malloc, wipe_free);
}
