/* SPDX-License-Identifier: BSD-3-Clause */
/* Buckets of objects that go to the same gateways, with their sums; a gateway's scope is a set of
 * them, so that its sum costs nothing per gateway. */
#include <stdio.h>
#include <stdlib.h>

#include "pub_int.h"

#define OP_ROOM 64 /* of an op beside its body */

static unsigned
bucket_place(enum sl_scope scope, const char *name)
{
	unsigned h = 2166136261u ^ scope;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h % PUB_BUCKETS;
}

struct pub_bucket *
pub_bucket(struct sl_publisher *p, enum sl_scope scope, const char *name)
{
	struct pub_bucket **at = &p->buckets[bucket_place(scope, name)], *b;

	for (b = *at; b; b = b->next) {
		if (b->scope == scope && strcmp(b->name, name) == 0)
			return b;
	}
	b = calloc(1, sizeof(*b));
	if (!b)
		return NULL;
	b->scope = scope;
	snprintf(b->name, sizeof(b->name), "%s", name);
	b->next = *at;
	*at = b;
	return b;
}

struct pub_bucket *
pub_bucket_of(struct sl_publisher *p, enum sl_kind k, const char *scope)
{
	return pub_bucket(p, sl_kind_scope(k), scope);
}

void
pub_buckets_free(struct sl_publisher *p)
{
	for (unsigned i = 0; i < PUB_BUCKETS; i++) {
		while (p->buckets[i]) {
			struct pub_bucket *b = p->buckets[i];

			p->buckets[i] = b->next;
			free(b);
		}
	}
}

void
pub_bucket_add(struct pub_bucket *b, const struct sl_replica_obj *o, const struct pub_seen *older)
{
	sl_hash_add(&b->sum[PUB_STORED], o->hash);
	b->count[PUB_STORED]++;
	b->bytes += o->len + OP_ROOM;
	if (!older->there)
		return;
	sl_hash_add(&b->sum[PUB_OLDER], older->own ? older->hash : o->hash);
	b->count[PUB_OLDER]++;
}

void
pub_bucket_sub(struct pub_bucket *b, const struct sl_replica_obj *o, const struct pub_seen *older)
{
	sl_hash_sub(&b->sum[PUB_STORED], o->hash);
	b->count[PUB_STORED]--;
	b->bytes -= o->len + OP_ROOM;
	if (!older->there)
		return;
	sl_hash_sub(&b->sum[PUB_OLDER], older->own ? older->hash : o->hash);
	b->count[PUB_OLDER]--;
}

static int
add_bucket(struct pub_scope *s, struct pub_bucket *b)
{
	if (!s->has || !b)
		return -ENOMEM;
	if (!pub_scope_has(s, b))
		s->has[s->n++] = b;
	return 0;
}

/** The bucket of each interface that the record names. */
static int
read_interfaces(struct sl_publisher *p, struct pub_scope *s, const json_t *record)
{
	json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(record, "interfaces"), i, item) {
		const char *name = json_string_value(item);

		if (name && strlen(name) < SL_OBJ_SCOPE && !rc)
			rc = add_bucket(s, pub_bucket(p, SL_SCOPE_INTERFACE, name));
	}
	return rc;
}

int
pub_scope_read(struct sl_publisher *p, struct pub_scope *s)
{
	json_t *record = sl_replica_body(p->replica, SL_KIND_GATEWAY, s->node);
	size_t n = json_array_size(json_object_get(record, "interfaces"));
	struct pub_bucket **was = s->has;
	unsigned n_was = s->n;
	int rc;

	s->has = calloc(n + 3, sizeof(struct pub_bucket *));
	s->n = 0;
	rc = add_bucket(s, pub_bucket(p, SL_SCOPE_GATEWAY, s->node));
	if (record && !json_is_false(json_object_get(record, "enabled"))) {
		rc = rc ? rc : add_bucket(s, pub_bucket(p, SL_SCOPE_GATEWAYS, ""));
		rc = rc ? rc : add_bucket(s, pub_bucket(p, SL_SCOPE_INTERFACE, "*"));
		rc = rc ? rc : read_interfaces(p, s, record);
	}
	json_decref(record);
	if (rc) { /* as it was */
		free(s->has);
		s->has = was;
		s->n = n_was;
		return rc;
	}
	free(was);
	return 0;
}

void
pub_scope_free(struct pub_scope *s)
{
	free(s->has);
	s->has = NULL;
	s->n = 0;
}

bool
pub_scope_has(const struct pub_scope *s, const struct pub_bucket *b)
{
	if (s->all)
		return true;
	for (unsigned i = 0; i < s->n; i++) {
		if (s->has[i] == b)
			return true;
	}
	return false;
}

void
pub_scope_sum(const struct sl_publisher *p, const struct pub_scope *s, enum pub_view view,
	      struct sl_hash_sum *sum, uint64_t *count)
{
	memset(sum, 0, sizeof(*sum));
	*count = 0;
	if (s->all) {
		sl_replica_sum(p->replica, sum);
		*count = sl_replica_count(p->replica);
		return;
	}
	for (unsigned i = 0; i < s->n; i++) {
		uint8_t h[SL_HASH_LEN];

		for (unsigned j = 0; j < SL_HASH_LEN; j++)
			h[j] = (uint8_t)(s->has[i]->sum[view].w[j / 8] >> j % 8 * 8);
		sl_hash_add(sum, h);
		*count += s->has[i]->count[view];
	}
}

uint64_t
pub_scope_seq(struct sl_publisher *p, const char *gateway)
{
	struct pub_scope s = {0};
	uint64_t seq = 0;

	snprintf(s.node, sizeof(s.node), "%s", gateway);
	if (pub_scope_read(p, &s))
		return UINT64_MAX;
	for (unsigned i = 0; i < s.n; i++)
		seq = SL_MAX(seq, s.has[i]->seq);
	pub_scope_free(&s);
	return seq;
}
