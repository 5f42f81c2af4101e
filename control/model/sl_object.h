/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Objects of the control plane: kinds, their fields, their scope, canonical JSON and hash. Shared
 * by the store, the replication stream and the gateway. No SQLite, no sockets, no clock.
 *
 * An object is (kind, id, rev, body): the body is a JSON object whose fields the kind's table
 * names. Bodies hold public keys, addresses and policy; there is no field for a private or
 * preshared key, an authz mode or logging_enabled in any kind.
 */
#ifndef SL_OBJECT_H
#define SL_OBJECT_H

#include <jansson.h>

#include "sl_addr.h"
#include "sl_error.h"

enum sl_kind {
	SL_KIND_INTERFACE,	   /* id: its name */
	SL_KIND_GATEWAY,	   /* id: its name. {interfaces[], enabled, description} */
	SL_KIND_GATEWAY_INTERFACE, /* "GATEWAY:INTERFACE" {gateway, interface, public_key, endpoint,
				      index, addresses[], client_pool[]} */
	SL_KIND_PEER,	  /* its name. {interface, public_key, allowed_ips[], addresses{GATEWAY:
			     [prefix]}, roles[], keepalive_s, enabled, expires_at, psk_ref, subject,
			     old_key, old_key_until, description} */
	SL_KIND_POLICY,	  /* "policy": {version}: changes with every document */
	SL_KIND_ZONE,	  /* of the document: name */
	SL_KIND_TARGET,	  /* name */
	SL_KIND_ROLE,	  /* name, with its static members */
	SL_KIND_RULE,	  /* "ROLE/ID" */
	SL_KIND_ROLE_MAP, /* "ROLE:MEMBER", MEMBER as the policy document writes it
			     (10.7.0.2/32@wg0, peer:alice). {role, member, interface, expires_at,
			     source{type idp|dynamic, provider, user, reason}} */
	SL_KIND_PROVIDER, /* name: {state up|down, since} */
	SL_KIND_CRL,	  /* "cert:SERIAL" (lower-case hex, two digits a byte) or "token:ID":
			     {until, reason} */
	/* what only data stores hold */
	SL_KIND_POLICY_TEXT, /* "VERSION": {text, actor, comment} */
	SL_KIND_TOKEN, /* 10 characters: {hash, roles[], bound, expires_at, source, description} */
	SL_KIND_ALLOCATION, /* "GATEWAY:INTERFACE:ADDRESS": {peer} */
	SL_KIND_POOL,	    /* name: {prefixes[], prefix_len, reserved} */
	SL_KIND_MIGRATION,  /* "deployment" {phase, major[]} or "target:NAME" {state, since,
			       distribute[],  baseline, history[]} */
	SL_KIND_SETTING,    /* name: {value}: retention, session_idle_s, ... */
	SL_KIND_N
};

/** To whom an object goes. Data stores (scope "all") hold every kind. */
enum sl_scope {
	SL_SCOPE_INTERFACE, /* gateways that serve the interface */
	SL_SCOPE_GATEWAY,   /* the one gateway */
	SL_SCOPE_GATEWAYS,  /* every gateway */
	SL_SCOPE_STORES,    /* data stores alone */
};

#define SL_OBJ_ID 160
#define SL_OBJ_SCOPE 64

const char *sl_kind_name(enum sl_kind k);
/** @return 0 or -EINVAL */
int sl_kind_parse(const char *name, enum sl_kind *out);
enum sl_scope sl_kind_scope(enum sl_kind k);
/** rule, role, role_map, peer: a field that the reader does not know must not be ignored, for
 * ignoring a restriction widens access. */
bool sl_kind_is_strict(enum sl_kind k);
/** Is it a part of the policy document (zone, target, role, rule)? */
bool sl_kind_is_policy(enum sl_kind k);

/**
 * Check one object by itself: the id's form, each field's type and range, that the id says what the
 * body says. References to others are checked where the store is.
 * @param unknown NULL: an unknown field is an error (REST); else each one's path is appended to the
 * array and ignored, but in strict kinds it is an error always
 * @return 0, or -EINVAL with the path inside the body ("/allowed_ips/0") and a reason:
 * kind_unknown, id_invalid, id_mismatch, field_unknown, field_missing, field_type, field_range,
 * name_invalid, interface_invalid, key_invalid, prefix_invalid, prefix_host_bits, endpoint_invalid,
 * time_invalid, enum_invalid, text_invalid, value_duplicate, not_supported, and those of
 * sl_policy_doc_parse() and sl_policy_check(); -ENOMEM no_memory;
 * -EPERM local_only_setting (authz_mode, logging_enabled, log_required), secret_field (private_key,
 * preshared_key, psk and what looks like one)
 */
int sl_object_check(enum sl_kind k, const char *id, json_t *body, json_t *unknown,
		    struct sl_error *e);
/** Take out fields that no object may have (those for which sl_object_check() says -EPERM), at any
 * depth; each one's path inside the body is appended to `paths`. */
void sl_object_strip(enum sl_kind k, json_t *body, json_t *paths);
/** The interface or gateway that the scope names, "" for the other scopes. A role_map of a prefix
 * that no tunnel owns has "*": every gateway. 0 or -EINVAL. */
int sl_object_scope(enum sl_kind k, const char *id, const json_t *body, char out[SL_OBJ_SCOPE]);

/* --- versions of objects -----------------------------------------------------------------------
 *
 * A schema brings fields and kinds; each says in its table since which. Who reads an earlier one is
 * sent objects without what it does not know. A field that restricts what its object gives is no
 * such thing: there the object itself is withheld. */

#define SL_MODEL_SCHEMA 2	 /* of this program's tables */
#define SL_MODEL_SCHEMA_OLDEST 1 /* that is served and read too: the one before */

enum sl_older {
	SL_OLDER_SAME,
	SL_OLDER_CHANGED,  /* without the fields that came later */
	SL_OLDER_WITHHELD, /* a later kind, or with a later field that restricts it */
	SL_OLDER_NO_MEMORY,
};
/** @param[out] out CHANGED: the body as a reader of `schema` is sent it, new reference; else NULL
 */
enum sl_older sl_object_older(enum sl_kind k, const json_t *body, unsigned schema, json_t **out);
/** Take out fields of the body that the kind's table does not name: of a later schema, in a kind
 * that is not strict. */
void sl_object_drop_unknown(enum sl_kind k, json_t *body);
/** May a body of this kind be another to a reader of `schema`? */
bool sl_kind_is_newer(enum sl_kind k, unsigned schema);

/** Fields of a kind for documentation and the drift test of the OpenAPI page: walks name, JSON
 * type, required. */
void sl_kind_fields(enum sl_kind k,
		    void (*fn)(void *ctx, const char *name, const char *type, bool required),
		    void *ctx);

/** RFC 3339 UTC "2026-11-20T17:00:00Z", also with a fraction, of which milliseconds count; a date
 * alone is its begin. Those of control/policy. @return 0 or -EINVAL */
int sl_time_parse(const char *text, uint64_t *wall_ns);
#define SL_TIME_STR 32
const char *sl_time_str(uint64_t wall_ns, char out[SL_TIME_STR]);

/**
 * Canonical JSON: UTF-8, keys sorted by their bytes, no spaces, integers only; what Python's
 * json.dumps(v, sort_keys=True, ensure_ascii=False, separators=(",", ":")) writes.
 * @return malloc'ed text with a zero behind it; NULL without memory, with a fraction, or deeper
 * than 64
 */
char *sl_canon(const json_t *v, size_t *len);

#define SL_HASH_LEN 32
/** BLAKE2b-256 over kind, id and canonical body, each with its length (64 bits, little endian)
 * before it. */
void sl_object_hash(enum sl_kind k, const char *id, const char *canon, size_t len,
		    uint8_t out[SL_HASH_LEN]);
/** Sum of hashes mod 2^256: the order of changes leaves no trace. A drift check, no authenticator.
 */
struct sl_hash_sum {
	uint64_t w[4]; /* little endian words */
};
void sl_hash_add(struct sl_hash_sum *s, const uint8_t h[SL_HASH_LEN]);
void sl_hash_sub(struct sl_hash_sum *s, const uint8_t h[SL_HASH_LEN]);
#define SL_HASH_STR 69 /* "b2b:" and 64 hex digits */
const char *sl_hash_str(const struct sl_hash_sum *s, char out[SL_HASH_STR]);
/** @return 0 or -EINVAL, then *out is zero */
int sl_hash_parse(const char *text, struct sl_hash_sum *out);
bool sl_hash_equal(const struct sl_hash_sum *a, const struct sl_hash_sum *b);

/** State identity: (epoch, seq). */
struct sl_epoch {
	uint64_t number;
	char id[33];	    /* 32 hex digits, random; "" none */
	char parent_id[33]; /* "" none */
	uint64_t parent_seq;
};
/** Where the revisions of an epoch begin: above those of all epochs with a lower number, and below
 * 2^53, which is as far as a number of JSON reaches. */
uint64_t sl_epoch_rev_base(uint64_t number);
/** Is `theirs` one that may follow `ours`: of a higher number, and of an id of its own? */
bool sl_epoch_later(const struct sl_epoch *ours, const struct sl_epoch *theirs);
/** The same number and the same id: one without the other names no epoch. */
bool sl_epoch_same(const struct sl_epoch *a, const struct sl_epoch *b);
/** {number, id, parent_id, parent_seq} */
json_t *sl_epoch_json(const struct sl_epoch *e);
int sl_epoch_parse(const json_t *v, struct sl_epoch *out);

#define SL_CHAIN_STR 69
/**
 * chain' = BLAKE2b-256(chain, canonical txn), each with its length before it. Of the transaction
 * count prev, seq, ts, actor, cause, policy_version and of each op op, kind, id, rev, obj: not what
 * the log or the wire adds (chain, scope, sub).
 * @param chain in and out: "b2b:…" text, "" at the start
 * @return 0 or -EINVAL (no chain, no canonical form), then `chain` is as before
 */
int sl_chain_next(char chain[SL_CHAIN_STR], const json_t *txn);
/** The same from canonical text that holds no more than what counts. */
int sl_chain_next_text(char chain[SL_CHAIN_STR], const char *text, size_t len);

#endif
