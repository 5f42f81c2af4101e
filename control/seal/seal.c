/* SPDX-License-Identifier: BSD-3-Clause */
/* One record after the other: numbers, chain, seals. */
#include "sl_seal.h"

#include <sodium.h>
#include <stdlib.h>

#include "sl_json.h"
#include "sl_object.h"

#define CONTEXT "sluice audit seal 1\n"

const struct sl_seal_say sl_seal_record = {.why = "record"};

_Static_assert(crypto_generichash_BYTES == SL_SEAL_HASH, "BLAKE2b-256");

void
sl_seal_chain_name(struct sl_seal_chain *c)
{
	uint8_t id[(SL_SEAL_ID_STR - 1) / 2];

	randombytes_buf(id, sizeof(id));
	sodium_bin2hex(c->id, sizeof(c->id), id, sizeof(id));
}

void
sl_seal_hash_text(const uint8_t h[SL_SEAL_HASH], char out[SL_SEAL_HASH_STR])
{
	sodium_bin2hex(out, SL_SEAL_HASH_STR, h, SL_SEAL_HASH);
}

bool
sl_seal_hash_parse(const char *text, uint8_t out[SL_SEAL_HASH])
{
	size_t n = 0;

	return text != NULL && strlen(text) == SL_SEAL_HASH_STR - 1 &&
	       sodium_hex2bin(out, SL_SEAL_HASH, text, SL_SEAL_HASH_STR - 1, NULL, &n, NULL) == 0 &&
	       n == SL_SEAL_HASH;
}

/** Where the members of the chain stand, and what its number is called there. */
static json_t *
holder(const json_t *record, const char **number)
{
	json_t *in = json_object_get(record, "sluice");

	*number = json_is_object(in) ? "chain_n" : "n";
	return json_is_object(in) ? in : (json_t *)record;
}

void
sl_seal_view(const json_t *record, struct sl_seal_view *out)
{
	const char *number;
	const json_t *in = holder(record, &number);
	json_int_t n = json_integer_value(json_object_get(in, number));

	*out = (struct sl_seal_view){.n = n > 0 ? (uint64_t)n : 0,
				     .chain = json_string_value(json_object_get(in, "chain")),
				     .signature =
					     json_string_value(json_object_get(in, "signature")),
				     .seal = json_object_get(in, "seal")};
}

/** What the chain covers, as a copy of its own down to where members are left out. */
static json_t *
covered(const json_t *record)
{
	json_t *out = json_copy((json_t *)record), *in;
	const char *number;

	if (out != NULL && holder(record, &number) != record) {
		in = json_copy(json_object_get(record, "sluice"));
		if (json_object_set_new(out, "sluice", in) != 0) {
			json_decref(out);
			return NULL;
		}
	}
	if (out != NULL) {
		in = holder(out, &number);
		json_object_del(in, "chain");
		json_object_del(in, "signature");
	}
	return out;
}

int
sl_seal_next(const uint8_t prev[SL_SEAL_HASH], const json_t *record, uint8_t out[SL_SEAL_HASH])
{
	json_t *o = covered(record);
	crypto_generichash_state s;
	size_t len = 0;
	char *text;

	if (o == NULL)
		return -ENOMEM;
	text = sl_canon(o, &len);
	json_decref(o);
	if (text == NULL)
		return -EINVAL;
	crypto_generichash_init(&s, NULL, 0, SL_SEAL_HASH);
	crypto_generichash_update(&s, prev, SL_SEAL_HASH);
	crypto_generichash_update(&s, (const unsigned char *)text, len);
	crypto_generichash_final(&s, out, SL_SEAL_HASH);
	free(text);
	return 0;
}

static void
message(const uint8_t hash[SL_SEAL_HASH], uint8_t out[sizeof(CONTEXT) - 1 + SL_SEAL_HASH])
{
	memcpy(out, CONTEXT, sizeof(CONTEXT) - 1);
	memcpy(out + sizeof(CONTEXT) - 1, hash, SL_SEAL_HASH);
}

bool
sl_seal_signed(const uint8_t hash[SL_SEAL_HASH], const char *signature, const uint8_t key[32])
{
	uint8_t text[sizeof(CONTEXT) - 1 + SL_SEAL_HASH], sig[crypto_sign_BYTES];
	size_t n = 0;

	message(hash, text);
	return signature != NULL &&
	       sodium_base642bin(sig, sizeof(sig), signature, strlen(signature), NULL, &n, NULL,
				 sodium_base64_VARIANT_ORIGINAL) == 0 &&
	       n == sizeof(sig) && crypto_sign_verify_detached(sig, text, sizeof(text), key) == 0;
}

bool
sl_seal_follows(struct sl_seal_chain *at, const json_t *record)
{
	uint8_t hash[SL_SEAL_HASH], told[SL_SEAL_HASH];
	struct sl_seal_view w;

	sl_seal_view(record, &w);
	if (w.n != at->n + 1 || !sl_seal_hash_parse(w.chain, told) ||
	    sl_seal_next(at->hash, record, hash) != 0 || memcmp(hash, told, sizeof(hash)) != 0)
		return false;
	at->n = w.n;
	memcpy(at->hash, hash, sizeof(hash));
	return true;
}

bool
sl_seal_ours(const json_t *record, const struct sl_seal_key *key, struct sl_seal_chain *at)
{
	struct sl_seal_chain c = {.n = 0};
	struct sl_seal_view w;
	const char *id;

	sl_seal_view(record, &w);
	id = sl_json_text(w.seal, "id");
	if (w.n == 0 || strcmp(sl_json_text(w.seal, "key"), key->text) != 0 ||
	    strlen(id) != SL_SEAL_ID_STR - 1 ||
	    !sl_seal_hash_parse(sl_json_text(w.seal, "prev"), c.hash))
		return false;
	c.n = w.n - 1;
	memcpy(c.id, id, sizeof(c.id));
	if (!sl_seal_follows(&c, record) || !sl_seal_signed(c.hash, w.signature, key->public))
		return false;
	*at = c;
	return true;
}

static int
add_range(json_t *o, const char *name, uint64_t from, uint64_t to)
{
	if (from == 0)
		return 0;
	return json_object_set_new(o, name,
				   json_pack("{s:I, s:I}", "from", (json_int_t)from, "to",
					     (json_int_t)to));
}

static json_t *
seal_json(const struct sl_seal_chain *c, const struct sl_seal_say *say,
	  const struct sl_seal_key *key)
{
	char prev[SL_SEAL_HASH_STR];
	json_t *o;

	sl_seal_hash_text(c->hash, prev);
	o = json_pack("{s:s, s:s, s:s, s:s}", "why", say->why, "id", c->id, "prev", prev, "key",
		      key->text);
	if (o == NULL)
		return NULL;
	if ((say->begin > 0 &&
	     json_object_set_new(o, "begin", json_integer((json_int_t)say->begin)) != 0) ||
	    add_range(o, "unsealed", say->unsealed_from, say->unsealed_to) != 0 ||
	    add_range(o, "loose", say->loose_from, say->to) != 0 ||
	    (say->again && json_object_set_new(o, "again", json_true()) != 0) ||
	    (say->each && json_object_set_new(o, "each", json_true()) != 0)) {
		json_decref(o);
		return NULL;
	}
	return o;
}

static int
sign(json_t *in, const uint8_t hash[SL_SEAL_HASH], const struct sl_seal_key *key)
{
	uint8_t text[sizeof(CONTEXT) - 1 + SL_SEAL_HASH], sig[crypto_sign_BYTES];
	char b64[sodium_base64_ENCODED_LEN(crypto_sign_BYTES, sodium_base64_VARIANT_ORIGINAL)];

	message(hash, text);
	crypto_sign_detached(sig, NULL, text, sizeof(text), key->secret);
	sodium_bin2base64(b64, sizeof(b64), sig, sizeof(sig), sodium_base64_VARIANT_ORIGINAL);
	return json_object_set_new(in, "signature", json_string(b64));
}

int
sl_seal_add(struct sl_seal_chain *c, json_t *record, const struct sl_seal_say *say,
	    const struct sl_seal_key *key)
{
	char text[SL_SEAL_HASH_STR];
	uint8_t hash[SL_SEAL_HASH];
	const char *number;
	json_t *in = holder(record, &number);
	int rc;

	if (json_object_set_new(in, number, json_integer((json_int_t)c->n + 1)) != 0 ||
	    (say != NULL && json_object_set_new(in, "seal", seal_json(c, say, key)) != 0))
		return -ENOMEM;
	rc = sl_seal_next(c->hash, record, hash);
	if (rc != 0)
		return rc;
	sl_seal_hash_text(hash, text);
	if (json_object_set_new(in, "chain", json_string(text)) != 0 ||
	    (say != NULL && sign(in, hash, key) != 0))
		return -ENOMEM;
	c->n++;
	memcpy(c->hash, hash, sizeof(hash));
	return 0;
}
