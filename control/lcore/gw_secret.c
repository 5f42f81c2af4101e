/* SPDX-License-Identifier: BSD-3-Clause */
/* Guarded memory in chunks: sodium_malloc() puts guard pages around each and asks for mlock() and
 * MADV_DONTDUMP; the lock is asked for once more because its result is not told. */
#include <stdlib.h>
#include <sys/mman.h>

#include <sodium.h>

#include "gw.h"

#define CHUNK_KEYS 2048 /* 64 KiB */

struct gw_secret_chunk {
	struct gw_secret_chunk *next;
	struct sl_secret *keys;
};

static int
chunk_add(struct gw_secrets *s, struct sl_error *e)
{
	struct gw_secret_chunk *c = calloc(1, sizeof(*c));
	size_t size = CHUNK_KEYS * sizeof(struct sl_secret);
	unsigned i;

	if (c == NULL)
		return gw_no_memory(e);
	c->keys = sodium_malloc(size);
	if (c->keys == NULL) {
		free(c);
		return gw_no_memory(e);
	}
	if (mlock(c->keys, size) != 0 && !s->allow_unlocked) {
		sodium_free(c->keys);
		free(c);
		sl_fail(e, -ENOMEM, "keys_unlocked", "",
			"the memory for keys cannot be locked (%zu bytes)", size);
		sl_hint(e, "raise the limit \"memlock\" (ulimit -l), or set allow_unlocked_keys");
		return -ENOMEM;
	}
	sl_wipe(c->keys, size);
	for (i = CHUNK_KEYS; i-- > 0;) {
		memcpy(c->keys[i].b, &s->free, sizeof(s->free));
		s->free = &c->keys[i];
	}
	c->next = s->chunks;
	s->chunks = c;
	return 0;
}

int
gw_secrets_init(struct gw_secrets *s, bool allow_unlocked, struct sl_error *e)
{
	*s = (struct gw_secrets){.allow_unlocked = allow_unlocked};
	return chunk_add(s, e);
}

void
gw_secrets_free(struct gw_secrets *s)
{
	struct gw_secret_chunk *c = s->chunks, *next;

	for (; c != NULL; c = next) {
		next = c->next;
		sodium_free(c->keys); /* wipes */
		free(c);
	}
	*s = (struct gw_secrets){0};
}

struct sl_secret *
gw_secret_new(struct gw_secrets *s, struct sl_error *e)
{
	struct sl_secret *k;

	if (s->free == NULL && chunk_add(s, e) != 0)
		return NULL;
	k = s->free;
	memcpy(&s->free, k->b, sizeof(s->free));
	sl_wipe(k, sizeof(*k));
	return k;
}

void
gw_secret_free(struct gw_secrets *s, struct sl_secret *k)
{
	if (k == NULL)
		return;
	sl_wipe(k, sizeof(*k));
	memcpy(k->b, &s->free, sizeof(s->free));
	s->free = k;
}
