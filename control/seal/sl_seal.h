/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tamper evidence of records: a chain over all of them, and seals, which are records that a key of
 * this node signs. Both writers (files of the gateway, the audit of sluice-control) and who
 *verifies use this alone. Any thread; files block.
 *
 * A record is a JSON object. What the chain adds stands in its member `sluice`, or in the record
 * itself where it has none:
 *
 *	chain_n (n)  its number, one more than the record's before
 *	chain        hex of BLAKE2b-256(chain before, as 32 bytes || canonical JSON of the record
 *	             without `chain` and `signature`); 32 zero bytes before the first record
 *	seal         of a seal: {why, id, prev, key, ...}: id names the chain, prev is the chain
 *	             before, key the public key
 *	signature    of a seal: base64 of Ed25519("sluice audit seal 1\n" || chain, as 32 bytes)
 *
 * Canonical JSON is sl_canon(): members sorted, nothing between them, integers alone. A seal proves
 * all records of its chain before it; it tells `prev`, so that a verifier can begin with it.
 *
 * Every record is signed as it is written (why: record), so that a crash leaves none that are not,
 * and who has no key can append none. Programs of before signed once a minute: what stood unsigned
 * behind their last seal at a start is told by a seal (`unsealed`), and not vouched for.
 */
#ifndef SL_SEAL_H
#define SL_SEAL_H

#include <jansson.h>
#include <stdio.h>

#include "sl_error.h"

#define SL_SEAL_HASH 32
#define SL_SEAL_HASH_STR 65
#define SL_SEAL_ID_STR 33
#define SL_SEAL_KEY_STR 45	/* base64 of a public key */
#define SL_SEAL_CHECKPOINT_S 60 /* what is new is signed after so long */

/* --- the key (key.c) -------------------------------------------------------------------------- */

/** Ed25519, of one node. */
struct sl_seal_key {
	bool made; /* there was none before */
	uint8_t public[32];
	uint8_t secret[64];
	char text[SL_SEAL_KEY_STR]; /* of the public one */
};

/**
 * Read the key; where there is none it is made, mode 0600.
 * @param owner, group of a new file; UINT32_MAX: as it comes
 * @return 0; -EPERM seal_key_mode others may read it, or it is no file of its own; -EINVAL
 * seal_key_invalid; -EIO, ... seal_key
 */
int sl_seal_key_load(const char *file, uint32_t owner, uint32_t group, struct sl_seal_key *out,
		     struct sl_error *e);
/** The same of a key that must be there. @return -ENOENT seal_key if it is not */
int sl_seal_key_read(const char *file, struct sl_seal_key *out, struct sl_error *e);
void sl_seal_key_wipe(struct sl_seal_key *k);
/** Understand a public key: base64, or the name of a file that holds it in one line.
 * @return 0; -EINVAL seal_key_invalid */
int sl_seal_key_public(const char *text, uint8_t out[32], struct sl_error *e);

/* --- writing (seal.c) ------------------------------------------------------------------------- */

/** Where a chain stands: its last record. */
struct sl_seal_chain {
	char id[SL_SEAL_ID_STR];
	uint64_t n; /* 0: it has none yet */
	uint8_t hash[SL_SEAL_HASH];
};

/** A chain with a name of its own that goes on behind record n; n and hash stay. */
void sl_seal_chain_name(struct sl_seal_chain *c);

/** What a seal says, beside the key and where it stands. */
struct sl_seal_say {
	const char *why; /* record, start, checkpoint, continue, found, stop, pruned, restore */
	uint64_t begin;	 /* pruned: records before this one were removed; 0: not told */
	/* these stood unsigned behind the last seal; 0: none */
	uint64_t unsealed_from, unsealed_to;
	uint64_t loose_from, to; /* these came without a chain, or do not fit it; 0: none */
	bool again;		 /* a chain begins, but the key is older: one was there */
	bool each;		 /* every record behind it is signed, too */
};
extern const struct sl_seal_say sl_seal_record; /* of what is signed as it is written */

/**
 * Give a record its place in the chain; `c` goes on.
 * @param say NULL: it is no seal; @param key of the seal
 * @return 0; -EINVAL it cannot be written canonically; -ENOMEM. Then `c` is as before.
 */
int sl_seal_add(struct sl_seal_chain *c, json_t *record, const struct sl_seal_say *say,
		const struct sl_seal_key *key);

/** What a record says of its place. */
struct sl_seal_view {
	uint64_t n;
	const char *chain;     /* NULL: it has none */
	const char *signature; /* NULL: none */
	const json_t *seal;    /* NULL: it is none */
};
void sl_seal_view(const json_t *record, struct sl_seal_view *out);
/** What the chain of a record must be after `prev`. @return 0; -EINVAL, -ENOMEM */
int sl_seal_next(const uint8_t prev[SL_SEAL_HASH], const json_t *record, uint8_t out[SL_SEAL_HASH]);
bool sl_seal_hash_parse(const char *text, uint8_t out[SL_SEAL_HASH]);
void sl_seal_hash_text(const uint8_t h[SL_SEAL_HASH], char out[SL_SEAL_HASH_STR]);
/** Did that key sign this record as it stands? @param[out] at where it stands in which chain */
bool sl_seal_ours(const json_t *record, const struct sl_seal_key *key, struct sl_seal_chain *at);
/** Does it follow `at`, which goes on then? Its signature, if any, is not looked at. */
bool sl_seal_follows(struct sl_seal_chain *at, const json_t *record);
/** @return is it that key's? */
bool sl_seal_signed(const uint8_t hash[SL_SEAL_HASH], const char *signature, const uint8_t key[32]);

/* --- where a writer was (place.c) ------------------------------------------------------------- */

/** {chain_id, chain_n, chain} in a file of one object, replaced as a whole.
 * @return 0; -ENOENT; -EINVAL; negative errno */
int sl_seal_place_read(const char *file, struct sl_seal_chain *out);
int sl_seal_place_write(const char *file, uint32_t owner, uint32_t group,
			const struct sl_seal_chain *c);
json_t *sl_seal_place_json(const struct sl_seal_chain *c);

/* --- verifying (check.c, kept.c) -------------------------------------------------------------- */

struct sl_seal_check;

struct sl_seal_check_conf {
	const uint8_t (*keys)[32]; /* whose seals are believed; none: the first one's */
	unsigned n_keys;
	bool numbered; /* rows of sluice-control: all have numbers; what has no chain, or is missing
			  at the begin, must be told by a seal */
	bool part;     /* of such rows: it may begin anywhere */
};

struct sl_seal_report {
	uint64_t records, seals, loose;	  /* chained; of which signed; admin records of before */
	uint64_t first, last, unsigned_n; /* numbers; how many after the last seal */
	uint64_t chains;		  /* that begin here */
	uint64_t unsealed;		  /* that stood unsigned at a start: not vouched for */
	uint64_t ends;	/* of chains behind which one begins that does not tell of them */
	uint64_t blind; /* starts that had no note of where the chain stood */
	uint64_t kept, kept_before; /* checkpoints that were found; that are older */
	char at[40];		    /* of the last seal */
	char why[16];		    /* of the last seal */
	char ended_at[80];	    /* where the chain begins behind the first of `ends` */
	struct sl_seal_chain head;
	uint8_t key[32];
};

/** @return NULL without memory */
struct sl_seal_check *sl_seal_check_new(const struct sl_seal_check_conf *c);
void sl_seal_check_free(struct sl_seal_check *v); /* NULL allowed */
/**
 * Remember what was kept elsewhere: a checkpoint as it was written, or {chain_id, chain_n, chain}.
 * @return 0; -EINVAL it is none
 */
int sl_seal_check_keep(struct sl_seal_check *v, const json_t *o);
/**
 * The next record, in their order.
 * @param place "audit.json:17", for messages
 * @return 0; -EBADMSG with what does not fit
 */
int sl_seal_check_record(struct sl_seal_check *v, const char *place, const json_t *record,
			 struct sl_error *e);
/** No more come. @return as above; `out` is filled in any case */
int sl_seal_check_end(struct sl_seal_check *v, struct sl_seal_report *out, struct sl_error *e);

/* exit status of programs: whole, but not all of it is vouched for */
#define SL_SEAL_EXIT_DOUBT 3
/** Is anything in it that nobody vouches for? */
bool sl_seal_doubt(const struct sl_seal_report *r);
/** A line for each such thing, and for what came without a chain. */
void sl_seal_print_doubt(const struct sl_seal_report *r, FILE *to);
/** The same numbers, as members of `o`. */
void sl_seal_json_doubt(const struct sl_seal_report *r, json_t *o);

#endif
