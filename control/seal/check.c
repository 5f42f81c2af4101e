/* SPDX-License-Identifier: BSD-3-Clause */
/* Does a record fit behind the one before? */
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_int.h"
#include "sl_json.h"

int
check_bad(struct sl_error *e, const char *place, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	return sl_fail(e, -EBADMSG, "audit_broken", "", "%.150s: %s", place, text);
}

/** What does not fit, but hides nothing of what is behind it. */
static void SL_PRINTF(3, 4) found(struct sl_seal_check *v, const char *place, const char *fmt, ...)
{
	char text[240];
	va_list ap;

	if (v->n_found++ > 0)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	check_bad(&v->found, place, "%s", text);
}

struct sl_seal_check *
sl_seal_check_new(const struct sl_seal_check_conf *c)
{
	struct sl_seal_check *v = calloc(1, sizeof(*v));

	if (v == NULL)
		return NULL;
	v->numbered = c->numbered;
	v->part = c->part;
	v->first_key = c->n_keys == 0;
	v->keys = calloc(c->n_keys + 1, sizeof(*v->keys));
	if (v->keys == NULL) {
		free(v);
		return NULL;
	}
	v->n_keys = c->n_keys;
	if (c->n_keys > 0)
		memcpy(v->keys, c->keys, c->n_keys * sizeof(*v->keys));
	return v;
}

void
sl_seal_check_free(struct sl_seal_check *v)
{
	if (v == NULL)
		return;
	free(v->keys);
	free(v->kept);
	free(v);
}

/* --- seals ------------------------------------------------------------------------------------ */

static bool
known_key(struct sl_seal_check *v, const uint8_t key[32])
{
	for (unsigned i = 0; i < v->n_keys; i++)
		if (memcmp(v->keys[i], key, 32) == 0)
			return true;
	if (v->n_keys > 0)
		return false;
	memcpy(v->keys[0], key, 32); /* room for it was made */
	v->n_keys = 1;
	return true;
}

/** Its key, and that it signed `hash`. */
static int
check_signature(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w,
		const uint8_t hash[SL_SEAL_HASH], struct sl_error *e)
{
	const char *text = sl_json_text(w->seal, "key");
	struct sl_error none;
	uint8_t key[32];

	if (w->signature == NULL)
		return check_bad(e, place, "the seal has no signature");
	if (strlen(text) != SL_SEAL_KEY_STR - 1 || sl_seal_key_public(text, key, &none) != 0)
		return check_bad(e, place, "the seal names no key");
	if (!known_key(v, key)) {
		check_bad(e, place,
			  v->first_key ? "the seal is of another key than those before it: %s"
				       : "the seal is of a foreign key: %s",
			  text);
		if (e != NULL)
			sl_hint(e, "if that key is right (the node's was lost and made anew), name "
				   "each with --key");
		return -EBADMSG;
	}
	if (!sl_seal_signed(hash, w->signature, key))
		return check_bad(e, place, "the signature of the seal is wrong");
	memcpy(v->r.key, key, sizeof(key));
	return 0;
}

/** Where a seal says that it stands; another chain may begin with it. */
static int
check_stand(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w,
	    uint64_t expect, struct sl_error *e)
{
	static const uint8_t zero[SL_SEAL_HASH];
	const char *id = sl_json_text(w->seal, "id");
	struct sl_seal_chain *at = &v->r.head;
	uint8_t prev[SL_SEAL_HASH];
	bool same, next;

	if (strlen(id) != SL_SEAL_ID_STR - 1 ||
	    !sl_seal_hash_parse(sl_json_text(w->seal, "prev"), prev))
		return check_bad(e, place, "the seal does not say where it stands");
	same = strcmp(at->id, id) == 0;
	next = w->n == expect && memcmp(prev, at->hash, sizeof(prev)) == 0;
	if (!v->begun || (!same && !next && !v->numbered && w->n == 1 &&
			  memcmp(prev, zero, sizeof(prev)) == 0)) {
		if (v->begun && v->r.ends++ == 0)
			snprintf(v->r.ended_at, sizeof(v->r.ended_at), "%s", place);
		memcpy(at->hash, prev, sizeof(prev));
		at->n = w->n - 1;
	} else if (w->n == expect && !next) {
		return check_bad(e, place,
				 "the seal continues another record than the one before it");
	}
	if (!v->begun || !same) {
		v->r.chains++;
		v->each = false;
	}
	memcpy(at->id, id, sizeof(at->id));
	return 0;
}

/** A range of records that a seal tells of. */
struct range {
	uint64_t from, to; /* 0: it tells of none */
};

static struct range
range_of(const struct sl_seal_view *w, const char *name)
{
	const json_t *o = json_object_get(w->seal, name);

	return (struct range){(uint64_t)json_integer_value(json_object_get(o, "from")),
			      (uint64_t)json_integer_value(json_object_get(o, "to"))};
}

/** Records behind the last seal that this one found unsigned. Another chain's seal vouches for
 * none. */
static int
check_unsealed(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w,
	       struct sl_error *e)
{
	bool same = strcmp(v->r.head.id, sl_json_text(w->seal, "id")) == 0;
	struct range told = range_of(w, "unsealed");
	uint64_t first = v->r.head.n - v->r.unsigned_n + 1;

	if (!v->begun)
		return 0;
	if (told.from > 0 && (v->r.unsigned_n == 0 || told.from != first))
		return check_bad(e, place,
				 "the seal tells of other unsigned records (%" PRIu64 " to %" PRIu64
				 ") than there are",
				 told.from, told.to);
	if (told.from > 0 || !same)
		v->r.unsealed += v->r.unsigned_n;
	return 0;
}

/** Whoever signs each record, or has said that it ends, writes none that is not signed. */
static void
check_unsigned(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w)
{
	if (w->seal != NULL || !v->begun)
		return;
	if (v->each)
		found(v, place,
		      "record %" PRIu64
		      " is not signed, as those before it are: it was appended without the key, "
		      "or by an older program",
		      w->n);
	else if (v->stopped && !v->numbered)
		found(v, place,
		      "record %" PRIu64
		      " stands unsigned behind the seal of a clean end: it was appended without "
		      "the key",
		      w->n);
}

/** Rows without a chain, which a seal must tell of. Only before a chain began nobody took it away.
 */
static int
check_loose(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w,
	    struct sl_error *e)
{
	struct range told = range_of(w, "loose");
	bool again = json_is_true(json_object_get(w->seal, "again"));

	if (!v->begun && told.from > 0 && told.from == v->first_n)
		v->begin_told = true;
	if (again && v->loose_from == 0)
		found(v, place,
		      "a chain begins, though this node had signed before: all rows "
		      "before it are missing");
	if (v->loose_from == 0)
		return 0;
	if (told.from != v->loose_from || told.to != v->loose_to || w->n != told.to + 1)
		return check_bad(e, v->loose_at, "record %" PRIu64 " has no chain", v->loose_from);
	if (v->begun || again)
		found(v, v->loose_at,
		      "records %" PRIu64 " to %" PRIu64
		      " have no chain, though there was one: it was taken away, or an older "
		      "program wrote them",
		      told.from, told.to);
	v->r.loose += told.to - told.from + 1;
	v->r.head.n = told.to;
	v->loose_from = v->loose_to = 0;
	return 0;
}

/* --- records ---------------------------------------------------------------------------------- */

static int
check_number(struct sl_seal_check *v, const char *place, uint64_t n, uint64_t expect,
	     struct sl_error *e)
{
	if (n == expect)
		return 0;
	if (n < expect)
		return check_bad(e, place,
				 "record %" PRIu64 " is not in its place: %" PRIu64
				 " should follow",
				 n, expect);
	if (v->r.unsigned_n == 0 && v->r.seals > 0)
		return check_bad(e, place,
				 "records %" PRIu64 " to %" PRIu64
				 " are missing: all after the checkpoint of %s",
				 expect, n - 1, v->r.at);
	return check_bad(e, place, "records %" PRIu64 " to %" PRIu64 " are missing", expect, n - 1);
}

static int
no_chain(struct sl_seal_check *v, const char *place, const struct sl_seal_view *w,
	 struct sl_error *e)
{
	uint64_t before = v->loose_to > 0 ? v->loose_to : v->r.head.n;

	if (!v->numbered && v->begun)
		return check_bad(e, place, "the record has no chain");
	if (!v->numbered) {
		v->r.loose++;
		return 0;
	}
	if (w->n == 0)
		return check_bad(e, place, "the record has no number");
	if (before > 0 && w->n != before + 1)
		return check_number(v, place, w->n, before + 1, e);
	if (v->loose_from == 0) {
		v->loose_from = w->n;
		snprintf(v->loose_at, sizeof(v->loose_at), "%s", place);
	}
	v->loose_to = w->n;
	return 0;
}

static void
told_begin(struct sl_seal_check *v, const struct sl_seal_view *w)
{
	json_int_t begin = json_integer_value(json_object_get(w->seal, "begin"));

	if (begin > 0 && (uint64_t)begin == v->first_n)
		v->begin_told = true;
}

/** All that holds: go on behind it. */
static void
take(struct sl_seal_check *v, const json_t *record, const struct sl_seal_view *w,
     const uint8_t hash[SL_SEAL_HASH])
{
	const char *at = sl_json_text(record, "@timestamp");

	if (!v->begun)
		v->r.first = w->n;
	v->begun = true;
	v->r.last = v->r.head.n = w->n;
	memcpy(v->r.head.hash, hash, SL_SEAL_HASH);
	v->r.records++;
	v->r.unsigned_n++;
	v->stopped = false;
	if (w->seal == NULL)
		return;
	v->r.seals++;
	v->r.unsigned_n = 0;
	snprintf(v->r.at, sizeof(v->r.at), "%s", at[0] != '\0' ? at : sl_json_text(record, "at"));
	snprintf(v->r.why, sizeof(v->r.why), "%.15s", sl_json_text(w->seal, "why"));
	v->each |=
		strcmp(v->r.why, "record") == 0 || json_is_true(json_object_get(w->seal, "each"));
	v->stopped = strcmp(v->r.why, "stop") == 0;
	v->r.blind += strcmp(v->r.why, "found") == 0;
	told_begin(v, w);
}

static int
check_fits(struct sl_seal_check *v, const char *place, const json_t *record,
	   const struct sl_seal_view *w, uint8_t hash[SL_SEAL_HASH], struct sl_error *e)
{
	uint8_t told[SL_SEAL_HASH];
	int rc;

	if (!sl_seal_hash_parse(w->chain, told))
		return check_bad(e, place, "the record's chain is no hash");
	rc = check_number(v, place, w->n, v->r.head.n + 1, e);
	if (rc != 0)
		return rc;
	rc = sl_seal_next(v->r.head.hash, record, hash);
	if (rc == -ENOMEM)
		return sl_fail(e, rc, "no_memory", "", "no memory to verify");
	if (rc != 0 || sodium_memcmp(told, hash, sizeof(told)) != 0)
		return check_bad(e, place,
				 "record %" PRIu64 " does not fit its chain: it was changed", w->n);
	if (w->seal == NULL && w->signature != NULL)
		return check_bad(e, place, "a signature without a seal");
	return w->seal != NULL ? check_signature(v, place, w, hash, e) : 0;
}

/** It has a chain, and perhaps a seal. */
static int
check_chained(struct sl_seal_check *v, const char *place, const json_t *record,
	      const struct sl_seal_view *w, struct sl_error *e)
{
	uint8_t hash[SL_SEAL_HASH];
	int rc = 0;

	if (w->n == 0)
		return check_bad(e, place, "the record has no number");
	if (w->seal == NULL && !v->begun && v->loose_from == 0)
		return check_bad(e, place,
				 "the chain begins with record %" PRIu64
				 ", which is no seal: what was before it is missing",
				 w->n);
	if (w->seal != NULL)
		rc = check_unsealed(v, place, w, e);
	if (rc == 0 && v->numbered)
		rc = check_loose(v, place, w, e);
	if (rc == 0 && w->seal != NULL)
		rc = check_stand(v, place, w, v->r.head.n + 1, e);
	if (rc == 0)
		rc = check_fits(v, place, record, w, hash, e);
	if (rc != 0)
		return rc;
	check_unsigned(v, place, w);
	take(v, record, w, hash);
	return check_kept_record(v, place, e);
}

/** What was found first is told. */
static int
first_found(const struct sl_seal_check *v, int rc, struct sl_error *e)
{
	if (v->n_found == 0 || (rc != 0 && rc != -EBADMSG))
		return rc;
	if (e != NULL)
		*e = v->found;
	return -EBADMSG;
}

int
sl_seal_check_record(struct sl_seal_check *v, const char *place, const json_t *record,
		     struct sl_error *e)
{
	struct sl_seal_view w;
	int rc;

	sl_seal_view(record, &w);
	if (v->first_n == 0) {
		v->first_n = w.n;
		snprintf(v->begin_at, sizeof(v->begin_at), "%s", place);
	}
	rc = w.chain == NULL ? no_chain(v, place, &w, e) : check_chained(v, place, record, &w, e);
	return rc == 0 ? 0 : first_found(v, rc, e);
}

int
sl_seal_check_end(struct sl_seal_check *v, struct sl_seal_report *out, struct sl_error *e)
{
	int rc = 0;

	if (v->loose_from > 0)
		rc = check_bad(e, v->loose_at, "record %" PRIu64 " has no chain", v->loose_from);
	else if (v->r.records == 0)
		rc = sl_fail(e, -EBADMSG, "audit_no_chain", "", "no record of a chain is in it");
	else if (v->numbered && !v->part && v->first_n > 1 && !v->begin_told)
		rc = check_bad(e, v->begin_at,
			       "records before %" PRIu64
			       " are missing, and no seal says that they were removed",
			       v->first_n);
	if (rc == 0)
		rc = check_kept_end(v, e);
	*out = v->r;
	return first_found(v, rc, e);
}
