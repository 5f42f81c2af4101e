/* SPDX-License-Identifier: BSD-3-Clause */
/* Why a snapshot is sent, as both ends count it: a closed set, whatever text comes. */
#include "sl_repl.h"

static const char *const names[SL_SNAP_REASONS] = {
	[SL_SNAP_NEW] = "new",
	[SL_SNAP_COMPACTED] = "compacted",
	[SL_SNAP_EPOCH_CHANGED] = "epoch_changed",
	[SL_SNAP_SEQ_AHEAD] = "seq_ahead",
	[SL_SNAP_DIVERGED] = "diverged",
	[SL_SNAP_SCOPE_CHANGED] = "scope_changed",
	[SL_SNAP_HASH_MISMATCH] = "hash_mismatch",
	[SL_SNAP_SCHEMA] = "schema",
	[SL_SNAP_RESYNC] = "resync",
	[SL_SNAP_OTHER] = "other",
};

const char *
sl_snap_reason_name(enum sl_snap_reason r)
{
	return names[r];
}

enum sl_snap_reason
sl_snap_reason_of(const char *text)
{
	for (unsigned r = 0; r < SL_SNAP_OTHER; r++) {
		if (strcmp(text, names[r]) == 0)
			return (enum sl_snap_reason)r;
	}
	return SL_SNAP_OTHER;
}
