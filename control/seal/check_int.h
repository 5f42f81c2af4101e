/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What a verification remembers. */
#ifndef SL_SEAL_CHECK_INT_H
#define SL_SEAL_CHECK_INT_H

#include "sl_seal.h"

#define CHECK_PLACE 160

/** A checkpoint of elsewhere. */
struct check_kept {
	struct sl_seal_chain at;
	uint64_t first, last; /* records of its chain that came; 0: none */
	bool found;
};

struct sl_seal_check {
	uint8_t (*keys)[32];
	unsigned n_keys;
	bool numbered, part;
	bool begun;
	bool first_key; /* none was told: the first seal's is believed */
	struct sl_seal_report r;
	uint64_t first_n; /* of all rows, with those that have no chain */
	bool begin_told;  /* a seal says why it is the first */
	char begin_at[CHECK_PLACE];
	uint64_t loose_from, loose_to; /* without a chain, no seal told of them yet */
	char loose_at[CHECK_PLACE];
	bool each;	       /* from here on each record of this chain is signed */
	bool stopped;	       /* the last one is the seal of an end */
	struct sl_error found; /* the first that does not fit, behind which it could go on */
	unsigned n_found;
	struct check_kept *kept;
	unsigned n_kept;
};

int check_bad(struct sl_error *e, const char *place, const char *fmt, ...) SL_PRINTF(3, 4);
/** This record is in its place. */
int check_kept_record(struct sl_seal_check *v, const char *place, struct sl_error *e);
int check_kept_end(struct sl_seal_check *v, struct sl_error *e);

#endif
