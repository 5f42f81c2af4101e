/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "owner.h"

static void
position(void *ctx, struct sl_position *out)
{
	struct owner *o = ctx;

	*out = o->pos;
	sl_replica_sum(o->replica, &out->sum);
	out->sum.w[0] ^= o->false_sum;
}

static int
epoch(void *ctx, const struct sl_epoch *e, struct sl_error *err)
{
	struct owner *o = ctx;

	if (sl_epoch_later(&o->pos.epoch, e) || o->any_epoch)
		return 0;
	return sl_fail(err, -EPERM, "epoch_refused", "", "epoch %llu after %llu",
		       (unsigned long long)e->number, (unsigned long long)o->pos.epoch.number);
}

static void
done(struct owner *o)
{
	if (o->defer)
		o->waiting = true;
	else
		sl_sub_done(o->sub, 0, NULL, NULL);
}

void
owner_go(struct owner *o)
{
	o->waiting = false;
	sl_sub_done(o->sub, 0, NULL, NULL);
}

static int
snapshot_begin(void *ctx, const struct sl_epoch *e, uint64_t seq, const char *reason,
	       struct sl_error *err)
{
	struct owner *o = ctx;

	o->broken += o->shadow != NULL || o->waiting;
	o->broken += strcmp(e->id, o->pos.epoch.id) == 0 && seq < o->pos.seq;
	o->broken += e->number < o->pos.epoch.number && !o->any_epoch;
	o->broken += e->number == o->pos.epoch.number && strcmp(e->id, o->pos.epoch.id) != 0 &&
		     !o->any_epoch;
	o->shadow = sl_replica_new();
	memset(&o->shadow_pos, 0, sizeof(o->shadow_pos));
	o->shadow_pos.epoch = *e;
	o->shadow_pos.seq = seq;
	snprintf(o->reason, sizeof(o->reason), "%s", reason);
	done(o);
	return 0;
}

static int
apply(struct owner *o, struct sl_replica *r, const json_t *op, bool put)
{
	const char *id = json_string_value(json_object_get(op, "id"));
	const char *kind = json_string_value(json_object_get(op, "kind"));
	enum sl_kind k;
	int rc;

	if (!id || !kind || sl_kind_parse(kind, &k))
		return -EINVAL;
	if (!put)
		return sl_replica_del(r, k, id);
	rc = sl_replica_put(r, k, id, (uint64_t)json_integer_value(json_object_get(op, "rev")),
			    json_object_get(op, "obj"));
	o->wrong += rc != 0;
	return rc;
}

static int
snapshot_part(void *ctx, json_t *objects, struct sl_error *err)
{
	struct owner *o = ctx;
	const json_t *v;
	size_t i;

	o->parts++;
	o->broken += !o->shadow || o->waiting;
	json_array_foreach (objects, i, v)
		apply(o, o->shadow, v, true);
	done(o);
	return 0;
}

static void
abort_snapshot(void *ctx)
{
	struct owner *o = ctx;

	o->aborts++;
	sl_replica_free(o->shadow);
	o->shadow = NULL;
}

static int
snapshot_end(void *ctx, uint64_t count, const struct sl_hash_sum *sum, const char *chain,
	     struct sl_error *err)
{
	struct owner *o = ctx;
	struct sl_hash_sum ours;

	o->broken += !o->shadow || o->waiting;
	sl_replica_sum(o->shadow, &ours);
	if (count != sl_replica_count(o->shadow) || memcmp(&ours, sum, sizeof(ours)) != 0)
		return sl_fail(err, -EBADMSG, "hash_mismatch", "", "the snapshot is not whole");
	sl_replica_free(o->replica);
	o->replica = o->shadow;
	o->shadow = NULL;
	o->pos = o->shadow_pos;
	snprintf(o->pos.chain, sizeof(o->pos.chain), "%s", chain);
	o->snapshots++;
	o->false_sum = false;
	if (o->state)
		o->state(o, o->reason);
	done(o);
	return 0;
}

static int
txn(void *ctx, json_t *t, struct sl_error *err)
{
	struct owner *o = ctx;
	const char *chain = json_string_value(json_object_get(t, "chain"));
	uint64_t seq = (uint64_t)json_integer_value(json_object_get(t, "seq"));
	const json_t *op;
	size_t i;

	o->broken += o->shadow || o->waiting || seq <= o->pos.seq;
	json_array_foreach (json_object_get(t, "ops"), i, op) {
		const char *what = json_string_value(json_object_get(op, "op"));

		o->wrong += apply(o, o->replica, op, what && strcmp(what, "put") == 0) != 0;
	}
	o->pos.seq = seq;
	snprintf(o->pos.chain, sizeof(o->pos.chain), "%s", chain ? chain : "");
	o->txns++;
	if (o->state)
		o->state(o, "txn");
	if (o->refuse_txn.err) {
		*err = o->refuse_txn;
		return err->err;
	}
	done(o);
	return 0;
}

static bool
heartbeat(void *ctx, uint64_t head, uint64_t scope_seq, const struct sl_hash_sum *sum,
	  uint64_t now_ns)
{
	struct owner *o = ctx;
	struct sl_position pos;

	o->heartbeats++;
	o->head = head;
	position(o, &pos);
	o->broken += scope_seq != pos.seq;
	return memcmp(&pos.sum, sum, sizeof(*sum)) == 0;
}

static void
schema(void *ctx, unsigned schema)
{
	struct owner *o = ctx;

	o->pos.schema = schema;
}

static void
state(void *ctx, bool up, unsigned source, const struct sl_error *e)
{
	struct owner *o = ctx;

	o->broken += o->up == up;
	o->up = up;
	if (up)
		o->ups++;
	else
		o->downs++;
	if (e)
		snprintf(o->down_reason, sizeof(o->down_reason), "%s", e->reason);
}

const struct sl_sub_ops owner_ops = {
	.position = position,
	.epoch = epoch,
	.snapshot_begin = snapshot_begin,
	.snapshot_part = snapshot_part,
	.snapshot_end = snapshot_end,
	.snapshot_abort = abort_snapshot,
	.txn = txn,
	.heartbeat = heartbeat,
	.schema = schema,
	.state = state,
};

void
owner_init(struct owner *o)
{
	memset(o, 0, sizeof(*o));
	o->replica = sl_replica_new();
}

void
owner_free(struct owner *o)
{
	sl_replica_free(o->replica);
	sl_replica_free(o->shadow);
	o->replica = o->shadow = NULL;
}
