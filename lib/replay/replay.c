/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_replay.h"

#include "sl_wire.h"

#define WORDS (SL_REPLAY_BITS / 64)

/*
 * The bit of a counter is at counter mod 8,192. A word is cleared when the window enters it; the
 * word of the greatest counter may hold that counter alone, so what is sure to be remembered are
 * the 127 words before it: counters up to 8,128 behind the greatest.
 */

static inline bool
is_marked(const struct sl_replay *r, uint64_t counter)
{
	return r->bitmap[counter / 64 % WORDS] >> (counter % 64) & 1;
}

bool
sl_replay_check(const struct sl_replay *r, uint64_t counter)
{
	if (sl_unlikely(counter >= SL_WG_REJECT_AFTER_MESSAGES)) /* the keypair's last packets */
		return false;
	if (sl_likely(counter >= r->next)) /* mostly in order */
		return true;
	return r->next - 1 - counter <= SL_REPLAY_WINDOW && !is_marked(r, counter);
}

bool
sl_replay_commit(struct sl_replay *r, uint64_t counter)
{
	uint64_t word, last;

	if (sl_unlikely(!sl_replay_check(r, counter))) /* a replay that came twice in one burst */
		return false;
	if (sl_likely(counter >= r->next)) {
		word = counter / 64;
		last = r->next == 0 ? 0 : (r->next - 1) / 64;
		if (word - last > WORDS)
			last = word - WORDS;
		while (last < word)
			r->bitmap[++last % WORDS] = 0;
		r->next = counter + 1;
	}
	r->bitmap[counter / 64 % WORDS] |= UINT64_C(1) << (counter % 64);
	return true;
}
