/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_env.h"

#include <time.h>

#include <sodium.h>

static void
system_fill(void *ctx, void *out, size_t n)
{
	randombytes_buf(out, n);
}

struct sl_rng
sl_rng_system(void)
{
	return (struct sl_rng){.fill = system_fill};
}

/** The bytes [pos, pos + n) of the stream; how callers cut their requests changes nothing. */
static void
seeded_fill(void *ctx, void *out, size_t n)
{
	static const uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	struct sl_rng_seeded *s = ctx;
	uint8_t block[64], *p = out;
	size_t skip, take;

	while (n > 0) {
		memset(block, 0, sizeof(block));
		crypto_stream_chacha20_xor_ic(block, block, sizeof(block), nonce, s->pos / 64,
					      s->key);
		skip = s->pos % 64;
		take = SL_MIN(n, sizeof(block) - skip);
		memcpy(p, block + skip, take);
		s->pos += take;
		p += take;
		n -= take;
	}
	sodium_memzero(block, sizeof(block));
}

struct sl_rng
sl_rng_seeded_init(struct sl_rng_seeded *state, uint64_t seed, const char *stream)
{
	crypto_generichash_state h;
	uint8_t le[8];

	sl_store_le64(le, seed);
	crypto_generichash_init(&h, NULL, 0, sizeof(state->key));
	crypto_generichash_update(&h, le, sizeof(le));
	crypto_generichash_update(&h, (const uint8_t *)stream, strlen(stream));
	crypto_generichash_final(&h, state->key, sizeof(state->key));
	state->pos = 0;
	return (struct sl_rng){.fill = seeded_fill, .ctx = state};
}

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts = {0};

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * SL_NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
sl_clock_mono_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t
sl_clock_wall_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}
