/* SPDX-License-Identifier: BSD-3-Clause */
/* Objects in memory with their sum. */
#include <sodium.h>
#include <stdlib.h>

#include "replica_int.h"

#define MALLOC_HEAD 8 /* what glibc keeps beside a block */

struct sl_replica {
	struct replica_set set[SL_KIND_N];
	struct sl_hash_sum sum;
	size_t count, bytes; /* of the objects */
	uint8_t seed[crypto_shorthash_KEYBYTES];
};

struct sl_replica *
sl_replica_new(void)
{
	struct sl_replica *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	for (unsigned k = 0; k < SL_KIND_N; k++)
		replica_set_init(&r->set[k]);
	crypto_shorthash_keygen(r->seed);
	return r;
}

void
sl_replica_free(struct sl_replica *r)
{
	if (r == NULL)
		return;
	for (unsigned k = 0; k < SL_KIND_N; k++)
		replica_set_free(&r->set[k]);
	free(r);
}

/** Outsiders may have a say in ids: the hash is keyed. */
static uint32_t
key_of(const struct sl_replica *r, const char *id)
{
	uint8_t h[crypto_shorthash_BYTES];

	crypto_shorthash(h, (const uint8_t *)id, strlen(id), r->seed);
	return sl_load_le32(h);
}

static uint32_t
find(const struct sl_replica *r, enum sl_kind k, const char *id)
{
	return (unsigned)k < SL_KIND_N ? replica_set_find(&r->set[k], key_of(r, id), id)
				       : REPLICA_NONE;
}

static size_t
obj_bytes(const struct replica_obj *o)
{
	return MALLOC_HEAD + sizeof(*o) + o->len + o->id_len + strlen(replica_scope(o)) + 3;
}

/** @return NULL without memory */
static struct replica_obj *
make(const struct sl_replica *r, const char *id, const char *scope, uint64_t rev, const char *text,
     size_t len)
{
	size_t n_id = strlen(id), n_scope = strlen(scope);
	struct replica_obj *o = malloc(sizeof(*o) + len + n_id + n_scope + 3);

	if (o == NULL)
		return NULL;
	o->rev = rev;
	o->key = key_of(r, id);
	o->len = (uint32_t)len;
	o->id_len = (uint8_t)n_id;
	memcpy(o->text, text, len + 1);
	memcpy(o->text + len + 1, id, n_id + 1);
	memcpy(o->text + len + n_id + 2, scope, n_scope + 1);
	return o;
}

/** The object is all made; nothing can fail any more. */
static void
enter(struct sl_replica *r, enum sl_kind k, struct replica_obj *o)
{
	struct replica_set *s = &r->set[k];
	struct replica_obj *was;

	was = replica_set_put(s, replica_set_find(s, o->key, replica_id(o)), o);
	sl_hash_add(&r->sum, o->hash);
	r->bytes += obj_bytes(o);
	r->count++;
	if (was == NULL)
		return;
	sl_hash_sub(&r->sum, was->hash);
	r->bytes -= obj_bytes(was);
	r->count--;
	free(was);
}

int
sl_replica_make(const struct sl_replica *r, enum sl_kind k, const char *id, uint64_t rev,
		const json_t *body, struct replica_obj **out)
{
	char scope[SL_OBJ_SCOPE];
	size_t len = 0;
	char *text;

	*out = NULL;
	if (id[0] == '\0' || strlen(id) >= SL_OBJ_ID || !json_is_object(body) ||
	    sl_object_scope(k, id, body, scope) < 0)
		return -EINVAL;
	text = sl_canon(body, &len);
	if (text == NULL || len >= UINT32_MAX) {
		free(text);
		return -EINVAL;
	}
	*out = make(r, id, scope, rev, text, len);
	free(text);
	if (*out == NULL)
		return -ENOMEM;
	sl_object_hash(k, id, (*out)->text, len, (*out)->hash);
	return 0;
}

int
sl_replica_enter(struct sl_replica *r, enum sl_kind k, struct replica_obj *o)
{
	if (replica_set_reserve(&r->set[k]) != 0)
		return -ENOMEM;
	enter(r, k, o);
	return 0;
}

int
sl_replica_put(struct sl_replica *r, enum sl_kind k, const char *id, uint64_t rev,
	       const json_t *body)
{
	struct replica_obj *o;
	int rc = sl_replica_make(r, k, id, rev, body, &o);

	if (rc == 0)
		rc = sl_replica_enter(r, k, o);
	if (rc < 0)
		free(o);
	return rc;
}

int
sl_replica_del(struct sl_replica *r, enum sl_kind k, const char *id)
{
	uint32_t slot = find(r, k, id);
	struct replica_obj *o;

	if (slot == REPLICA_NONE)
		return -ENOENT;
	o = replica_set_take(&r->set[k], slot);
	sl_hash_sub(&r->sum, o->hash);
	r->bytes -= obj_bytes(o);
	r->count--;
	free(o);
	return 0;
}

void
sl_replica_show(enum sl_kind k, const struct replica_obj *o, struct sl_replica_obj *out)
{
	*out = (struct sl_replica_obj){
		.kind = k,
		.id = replica_id(o),
		.rev = o->rev,
		.text = o->text,
		.len = o->len,
		.hash = o->hash,
		.scope = replica_scope(o),
	};
}

bool
sl_replica_get(const struct sl_replica *r, enum sl_kind k, const char *id,
	       struct sl_replica_obj *out)
{
	uint32_t slot = find(r, k, id);

	if (slot == REPLICA_NONE)
		return false;
	sl_replica_show(k, replica_set_at(&r->set[k], slot), out);
	return true;
}

json_t *
sl_replica_body(const struct sl_replica *r, enum sl_kind k, const char *id)
{
	struct sl_replica_obj o;

	return sl_replica_get(r, k, id, &o) ? json_loadb(o.text, o.len, JSON_ALLOW_NUL, NULL)
					    : NULL;
}

size_t
sl_replica_count(const struct sl_replica *r)
{
	return r->count;
}

size_t
sl_replica_count_kind(const struct sl_replica *r, enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N ? r->set[k].count : 0;
}

void
sl_replica_sum(const struct sl_replica *r, struct sl_hash_sum *out)
{
	*out = r->sum;
}

size_t
sl_replica_bytes(const struct sl_replica *r)
{
	size_t n = sizeof(*r) + r->bytes;

	for (unsigned k = 0; k < SL_KIND_N; k++)
		n += replica_set_bytes(&r->set[k]);
	return n;
}

bool
sl_replica_next(const struct sl_replica *r, enum sl_kind k, struct sl_replica_cursor *c,
		struct sl_replica_obj *out)
{
	const struct replica_set *s = &r->set[(unsigned)k < SL_KIND_N ? k : 0];
	const struct replica_obj *o;

	if ((unsigned)k >= SL_KIND_N)
		return false;
	while (c->at < s->n_slots) {
		o = replica_set_at(s, (uint32_t)c->at++);
		if (o == NULL)
			continue;
		sl_replica_show(k, o, out);
		return true;
	}
	return false;
}
