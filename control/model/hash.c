/* SPDX-License-Identifier: BSD-3-Clause */
/* Hashes of objects, their sum, the chain of transactions. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "sl_object.h"
#include "sl_secret.h"

#define PREFIX "b2b:"

static_assert(SL_HASH_LEN == crypto_generichash_BYTES, "BLAKE2b-256");
static_assert(SL_HASH_STR == sizeof(PREFIX) + 2 * SL_HASH_LEN, "b2b: and hex digits");

/** A part with its length (64 bits, little endian) before it, so that no part runs into another. */
static void
feed(crypto_generichash_state *s, const char *part, size_t len)
{
	uint8_t n[8];

	for (unsigned i = 0; i < sizeof(n); i++)
		n[i] = (uint8_t)((uint64_t)len >> 8 * i);
	crypto_generichash_update(s, n, sizeof(n));
	crypto_generichash_update(s, (const uint8_t *)part, len);
}

void
sl_object_hash(enum sl_kind k, const char *id, const char *canon, size_t len,
	       uint8_t out[SL_HASH_LEN])
{
	const char *kind = sl_kind_name(k);
	crypto_generichash_state s;

	crypto_generichash_init(&s, NULL, 0, SL_HASH_LEN);
	feed(&s, kind, strlen(kind));
	feed(&s, id, strlen(id));
	feed(&s, canon, len);
	crypto_generichash_final(&s, out, SL_HASH_LEN);
}

/* --- sums ------------------------------------------------------------------------------------- */

void
sl_hash_add(struct sl_hash_sum *s, const uint8_t h[SL_HASH_LEN])
{
	unsigned __int128 carry = 0;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(s->w); i++) {
		carry += (unsigned __int128)s->w[i] + sl_load_le64(h + 8 * i);
		s->w[i] = (uint64_t)carry;
		carry >>= 64;
	}
}

void
sl_hash_sub(struct sl_hash_sum *s, const uint8_t h[SL_HASH_LEN])
{
	unsigned borrow = 0;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(s->w); i++) {
		unsigned __int128 d = (unsigned __int128)s->w[i] - sl_load_le64(h + 8 * i) - borrow;

		s->w[i] = (uint64_t)d;
		borrow = (d >> 64) != 0;
	}
}

static const char *
hash_text(const uint8_t h[SL_HASH_LEN], char out[SL_HASH_STR])
{
	memcpy(out, PREFIX, strlen(PREFIX));
	sl_key_to_hex(h, out + strlen(PREFIX));
	return out;
}

const char *
sl_hash_str(const struct sl_hash_sum *s, char out[SL_HASH_STR])
{
	uint8_t b[SL_HASH_LEN];

	for (unsigned i = 0; i < sizeof(b); i++)
		b[i] = (uint8_t)(s->w[i / 8] >> i % 8 * 8);
	return hash_text(b, out);
}

int
sl_hash_parse(const char *text, struct sl_hash_sum *out)
{
	uint8_t b[SL_HASH_LEN];

	memset(out, 0, sizeof(*out));
	if (strncmp(text, PREFIX, strlen(PREFIX)) != 0 ||
	    sl_key_from_hex(text + strlen(PREFIX), b) < 0)
		return -EINVAL;
	sl_hash_add(out, b);
	return 0;
}

bool
sl_hash_equal(const struct sl_hash_sum *a, const struct sl_hash_sum *b)
{
	return memcmp(a->w, b->w, sizeof(a->w)) == 0;
}

/* --- the chain -------------------------------------------------------------------------------- */

/** A new object with some of the fields of another. */
static json_t *
pick(const json_t *from, const char *const names[], unsigned n)
{
	json_t *o = json_object();

	for (unsigned i = 0; o != NULL && i < n; i++) {
		json_t *v = json_object_get(from, names[i]);

		if (v != NULL && json_object_set(o, names[i], v) < 0) {
			json_decref(o);
			o = NULL;
		}
	}
	return o;
}

static json_t *
chained(const json_t *txn)
{
	static const char *const heads[] = {"prev",  "seq",   "ts",
					    "actor", "cause", "policy_version"};
	static const char *const op[] = {"op", "kind", "id", "rev", "obj"};
	json_t *o = pick(txn, heads, SL_ARRAY_SIZE(heads)), *ops = json_array(), *v;
	bool ok = o != NULL && ops != NULL;
	size_t i;

	json_array_foreach (json_object_get(txn, "ops"), i, v)
		ok = ok && json_array_append_new(ops, pick(v, op, SL_ARRAY_SIZE(op))) == 0;
	ok = json_object_set_new(o, "ops", ops) == 0 && ok;
	if (ok)
		return o;
	json_decref(o);
	return NULL;
}

int
sl_chain_next_text(char chain[SL_CHAIN_STR], const char *text, size_t len)
{
	crypto_generichash_state s;
	struct sl_hash_sum was;
	uint8_t h[SL_HASH_LEN];

	if (chain[0] != '\0' && sl_hash_parse(chain, &was) < 0)
		return -EINVAL;
	crypto_generichash_init(&s, NULL, 0, SL_HASH_LEN);
	feed(&s, chain, strlen(chain));
	feed(&s, text, len);
	crypto_generichash_final(&s, h, SL_HASH_LEN);
	hash_text(h, chain);
	return 0;
}

int
sl_chain_next(char chain[SL_CHAIN_STR], const json_t *txn)
{
	json_t *o = chained(txn);
	size_t len = 0;
	char *text = o != NULL ? sl_canon(o, &len) : NULL;
	int rc = text != NULL ? sl_chain_next_text(chain, text, len) : -EINVAL;

	json_decref(o);
	free(text);
	return rc;
}
