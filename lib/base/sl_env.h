/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the outside world gives to code that must be repeatable: randomness and time.
 *
 * Protocol modules never read a clock nor a random source; callers pass times as numbers and an
 * sl_rng for bytes. In lockstep replay both are deterministic.
 */
#ifndef SL_ENV_H
#define SL_ENV_H

#include "sl_base.h"

#define SL_NS_PER_MS UINT64_C(1000000)
#define SL_NS_PER_S UINT64_C(1000000000)
#define SL_TICK_NS (100 * SL_NS_PER_MS) /* the coarse tick that data lcores publish */

/** A source of random bytes; one stream per purpose (index, ephemeral, cookie, jitter). */
struct sl_rng {
	void (*fill)(void *ctx, void *out, size_t n);
	void *ctx;
};

static inline void
sl_rng_fill(const struct sl_rng *rng, void *out, size_t n)
{
	rng->fill(rng->ctx, out, n);
}

/** The operating system's generator (libsodium). */
struct sl_rng sl_rng_system(void);

/** Deterministic stream for tests and lockstep: ChaCha20 keyed by (seed, stream name). */
struct sl_rng_seeded {
	uint8_t key[32];
	uint64_t pos;
};
struct sl_rng sl_rng_seeded_init(struct sl_rng_seeded *state, uint64_t seed, const char *stream);

/** Monotonic nanoseconds of the host since an arbitrary point. */
uint64_t sl_clock_mono_ns(void);
/** Wall-clock nanoseconds since 1970 (may step). */
uint64_t sl_clock_wall_ns(void);

/** Coarse tick of a monotonic time; never 0, so 0 can mean "never". Wraps after 13 years. */
static inline uint32_t
sl_tick_of(uint64_t mono_ns)
{
	uint32_t t = (uint32_t)(mono_ns / SL_TICK_NS);

	return t + 1 ? t + 1 : 1;
}

/** @return true if a tick is reached; ticks wrap. */
static inline bool
sl_tick_reached(uint32_t now, uint32_t deadline)
{
	return (int32_t)(now - deadline) >= 0;
}

#endif
