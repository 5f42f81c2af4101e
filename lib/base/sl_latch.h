/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A small value with one writer and many readers, kept twice so that no reader ever waits.
 *
 * The low bit of the sequence word says which of the two copies is valid: the writer changes one
 * while readers take the other (a latch; a plain seqlock would let a preempted writer make readers
 * spin). A reader repeats only when a whole write went by meanwhile.
 *
 * The words are C11 atomics: the release stores keep a new word from being seen before the sequence
 * word that announces it, and the acquire loads keep the second look at that word behind them. On
 * x86 both are plain moves. The value lies on 4 bytes and its size is a multiple of 4.
 */
#ifndef SL_LATCH_H
#define SL_LATCH_H

#include <stdatomic.h>

#include "sl_base.h"

static inline void
sl_latch_put_words(void *to, const void *from, size_t n)
{
	_Atomic uint32_t *w = (_Atomic uint32_t *)to;
	uint32_t v;
	size_t i;

	for (i = 0; i < n / sizeof(v); i++) {
		memcpy(&v, (const uint8_t *)from + i * sizeof(v), sizeof(v));
		atomic_store_explicit(&w[i], v, memory_order_release);
	}
}

/**
 * Write the value; one writer at a time.
 * @param even copy that is valid while *seq is even: the writer itself may read it at any time
 * @param odd  the other copy
 */
static inline void
sl_latch_write(_Atomic uint32_t *seq, void *even, void *odd, const void *value, size_t n)
{
	uint32_t s = atomic_load_explicit(seq, memory_order_relaxed);

	atomic_store_explicit(seq, s + 1, memory_order_release);
	sl_latch_put_words(even, value, n);
	atomic_store_explicit(seq, s + 2, memory_order_release);
	sl_latch_put_words(odd, value, n);
}

/** Consistent copy of the value. Any thread. */
static inline void
sl_latch_read(const _Atomic uint32_t *seq, const void *even, const void *odd, void *out, size_t n)
{
	const _Atomic uint32_t *w;
	uint32_t s, again, v;
	size_t i;

	again = atomic_load_explicit(seq, memory_order_acquire);
	do {
		s = again;
		w = (const _Atomic uint32_t *)((s & 1) != 0 ? odd : even);
		for (i = 0; i < n / sizeof(v); i++) {
			v = atomic_load_explicit(&w[i], memory_order_acquire);
			memcpy((uint8_t *)out + i * sizeof(v), &v, sizeof(v));
		}
		again = atomic_load_explicit(seq, memory_order_acquire);
	} while (sl_unlikely(again != s)); /* a write went by: rare, control or roaming */
}

#endif
