/* SPDX-License-Identifier: BSD-3-Clause */
/* What the subscriber asks of the gateway: where it stands, snapshots, transactions, heartbeats.
 * Here they are folded into the replica; a round then makes the gateway so. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"
#include "sl_text.h"

#define PART_BATCH 16
#define CONFIRM_NS (SL_NS_PER_S / 5)

static void
position(void *ctx, struct sl_position *out)
{
	struct sl_cp *cp = ctx;

	*out = (struct sl_position){.epoch = cp->epoch, .seq = cp->seq, .schema = cp->schema};
	memcpy(out->chain, cp->chain, sizeof(out->chain));
	sl_replica_sum(cp->r, &out->sum);
}

/* --- epochs ------------------------------------------------------------------------------------
 */

static int
refuse_epoch(struct sl_cp *cp, const struct sl_epoch *epoch, const char *reason, const char *text,
	     struct sl_error *e)
{
	bool known = sl_epoch_same(&cp->refused, epoch);

	sl_fail(e, -EPERM, reason, "/epoch", "epoch %llu (%.8s...) %s",
		(unsigned long long)epoch->number, epoch->id, text);
	sl_hint(e, "if that is meant: sluicectl control.epoch.accept id=%s", epoch->id);
	cp->refused = *epoch;
	if (!known)
		cp_event(cp, "epoch_refused", "failure",
			 json_pack("{s:s, s:I, s:s, s:I}", "reason", reason, "epoch",
				   (json_int_t)epoch->number, "id", epoch->id, "ours",
				   (json_int_t)cp->seen.number));
	return -EPERM;
}

static int
epoch(void *ctx, const struct sl_epoch *epoch, struct sl_error *e)
{
	struct sl_cp *cp = ctx;

	if (sl_epoch_same(&cp->accepted, epoch))
		return 0;
	if (epoch->number < cp->seen.number)
		return refuse_epoch(cp, epoch, "epoch_lower", "is older than the one we know", e);
	if (epoch->number == cp->seen.number && strcmp(epoch->id, cp->seen.id) != 0)
		return refuse_epoch(cp, epoch, "epoch_diverged",
				    "has the number of the one we know, and another id", e);
	if (epoch->number != cp->seen.number && strcmp(epoch->id, cp->seen.id) == 0)
		return refuse_epoch(cp, epoch, "epoch_diverged",
				    "has the id of the one we know, and another number", e);
	return 0;
}

int
sl_cp_epoch_accept(struct sl_cp *cp, const char *id, struct sl_error *e)
{
	if (cp->refused.number == 0 || strcmp(cp->refused.id, id) != 0) {
		sl_fail(e, -ENOENT, "epoch_unknown", "/id", "no source was refused for epoch %.33s",
			id);
		sl_hint(e, "control.status tells the refused one");
		return -ENOENT;
	}
	cp->accepted = cp->refused;
	cp->refused = (struct sl_epoch){0};
	cp_tomb_accepted(cp);
	cp_event(cp, "epoch_accepted", "success", json_pack("{s:s}", "id", id));
	sl_cp_resync(cp);
	return 0;
}

static void
enter_epoch(struct sl_cp *cp, const struct sl_epoch *epoch)
{
	bool accepted = cp->accepted.number != 0;

	if (cp->epoch.number != 0 && !sl_epoch_same(&cp->epoch, epoch))
		cp_event(cp, "epoch_changed", "success",
			 json_pack("{s:I, s:I, s:s}", "from", (json_int_t)cp->epoch.number, "to",
				   (json_int_t)epoch->number, "id", epoch->id));
	cp->epoch = *epoch;
	cp->accepted = (struct sl_epoch){0};
	if (sl_epoch_same(&cp->seen, epoch) && !accepted)
		return;
	cp->seen = *epoch;
	cp_tomb_epoch(cp);
}

/* --- serving what was received -------------------------------------------------------------------
 */

/* Compare with what was received before (NULL: nothing), then serve. */
static int
compare_with(struct sl_cp *cp, struct sl_replica *before)
{
	bool all = cp->unserved || before == NULL; /* and what is gone of it */
	struct sl_replica *none = all ? sl_replica_new() : NULL;

	if (all && none == NULL) {
		sl_replica_free(before);
		return -ENOMEM;
	}
	cp->diff = (struct sl_replica_diff){0};
	cp->diff_from = before != NULL ? before : none;
	cp->diff_old = before != NULL ? none : NULL;
	cp->unserved = false;
	cp->begin_ns = sl_clock_mono_ns();
	cp->phase = CP_DIFF;
	return 0;
}

void
cp_serve(struct sl_cp *cp)
{
	if (cp->unserved && cp->phase == CP_IDLE)
		compare_with(cp, NULL);
	else
		cp_round(cp);
}

void
cp_link_fresh(struct sl_cp *cp)
{
	cp->booting = false;
	cp->stale_config = false;
	cp_stale_heard(cp);
}

/* --- snapshots ---------------------------------------------------------------------------------
 */

static int
snapshot_begin(void *ctx, const struct sl_epoch *epoch, uint64_t seq, const char *reason,
	       struct sl_error *e)
{
	struct sl_cp *cp = ctx;

	(void)reason;
	sl_replica_free(cp->shadow);
	cp->shadow = sl_replica_new();
	if (cp->shadow == NULL)
		return gw_no_memory(e);
	cp->shadow_epoch = *epoch;
	cp->shadow_seq = seq;
	cp->confirm_ns = 0; /* what the cache has is not what the source has */
	cp_stale_heard(cp);
	cp->done(cp, 0, NULL, NULL);
	return 0;
}

bool
cp_is_id(const char *id)
{
	return id != NULL && strlen(id) < SL_OBJ_ID && sl_text_is_plain(id);
}

static int
put_one(struct sl_cp *cp, const json_t *o, struct sl_error *e)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *id = json_string_value(json_object_get(o, "id"));
	const json_t *rev = json_object_get(o, "rev"), *body = json_object_get(o, "obj");
	enum sl_kind k;
	int rc;

	if (kind == NULL || !cp_is_id(id) || !json_is_object(body) || !json_is_integer(rev))
		return sl_fail(e, -EBADMSG, "object_invalid", "/objects",
			       "an object has kind, id, rev and obj");
	if (sl_kind_parse(kind, &k) != 0)
		return 0; /* of a later version, for others */
	rc = sl_replica_put(cp->shadow, k, id, (uint64_t)json_integer_value(rev), body);
	return rc == 0 ? 0
	       : rc == -ENOMEM
		       ? gw_no_memory(e)
		       : sl_fail(e, -EBADMSG, "object_invalid", "/objects", "%s/%.100s", kind, id);
}

static int
snapshot_part(void *ctx, json_t *objects, struct sl_error *e)
{
	struct sl_cp *cp = ctx;

	if (cp->shadow == NULL || !json_is_array(objects) || cp->part != NULL)
		return sl_fail(e, -EBADMSG, "snapshot_invalid", "/objects", "no list of objects");
	cp->part = json_incref(objects);
	cp->part_at = 0;
	cp_stale_heard(cp);
	return 0;
}

static void
end_part(struct sl_cp *cp, int rc, const struct sl_error *e)
{
	json_decref(cp->part);
	cp->part = NULL;
	cp->done(cp, rc, NULL, e);
}

/* Beside whatever round is under way: the shadow is nobody else's. */
bool
cp_part_step(struct sl_cp *cp)
{
	struct sl_error e = {0};
	unsigned n;
	int rc = 0;

	if (cp->part == NULL)
		return false;
	for (n = 0; n < PART_BATCH && rc == 0 && cp->part_at < json_array_size(cp->part); n++)
		rc = put_one(cp, json_array_get(cp->part, cp->part_at++), &e);
	if (rc != 0 || cp->part_at >= json_array_size(cp->part))
		end_part(cp, rc, &e);
	return true;
}

static void
take_shadow(struct sl_cp *cp)
{
	struct sl_replica *before = cp->r;
	bool same_epoch = sl_epoch_same(&cp->epoch, &cp->shadow_epoch);

	cp->r = cp->shadow;
	cp->shadow = NULL;
	enter_epoch(cp, &cp->shadow_epoch);
	cp->seq = cp->shadow_seq;
	memcpy(cp->chain, cp->shadow_chain, sizeof(cp->chain));
	cp->shadow_resumes = same_epoch;
	cp->in_op = true;
	cp->cache_now = cp_cache_is_on(cp);
	cp->cache_hole = false;
	cp_link_fresh(cp);
	if (compare_with(cp, before) != 0)
		cp_round(cp); /* without memory for a list: what is known is served */
	cp_cache_touch(cp);
}

static int
snapshot_end(void *ctx, uint64_t count, const struct sl_hash_sum *sum, const char *chain,
	     struct sl_error *e)
{
	struct sl_cp *cp = ctx;
	struct sl_hash_sum have;

	if (cp->shadow == NULL)
		return sl_fail(e, -EBADMSG, "snapshot_invalid", "", "no snapshot has begun");
	sl_replica_sum(cp->shadow, &have);
	if (sl_replica_count(cp->shadow) != count || memcmp(&have, sum, sizeof(have)) != 0)
		return sl_fail(e, -EBADMSG, "hash_mismatch", "",
			       "%zu objects came of %llu, or not the same ones",
			       sl_replica_count(cp->shadow), (unsigned long long)count);
	snprintf(cp->shadow_chain, sizeof(cp->shadow_chain), "%s", chain != NULL ? chain : "");
	cp->hash_ok = true;
	if (cp->copying || cp->phase != CP_IDLE)
		cp->held = json_true();
	else
		take_shadow(cp);
	return 0;
}

static void
snapshot_abort(void *ctx)
{
	struct sl_cp *cp = ctx;

	sl_replica_free(cp->shadow);
	cp->shadow = NULL;
	json_decref(cp->part);
	cp->part = NULL;
}

static void
schema(void *ctx, unsigned schema)
{
	struct sl_cp *cp = ctx;

	if (cp->schema != schema)
		cp_cache_touch(cp);
	cp->schema = schema;
}

/* --- transactions ------------------------------------------------------------------------------
 */

static int
txn(void *ctx, json_t *txn, struct sl_error *e)
{
	struct sl_cp *cp = ctx;

	if (cp->cache_hole)
		return sl_fail(e, -EBADMSG, "journal_hole", "",
			       "a snapshot was asked for: what came before is not all known");
	if (!cp->copying && cp->phase == CP_IDLE)
		return cp_txn_take(cp, txn, e);
	cp->held = json_incref(txn);
	return 0;
}

bool
cp_held_poll(struct sl_cp *cp)
{
	json_t *held = cp->held;
	struct sl_error e = {0};
	int rc;

	if (held == NULL || cp->copying || cp->phase != CP_IDLE)
		return false;
	cp->held = NULL;
	if (json_is_true(held)) {
		take_shadow(cp);
		return true;
	}
	rc = cp_txn_take(cp, held, &e);
	json_decref(held);
	if (rc != 0)
		cp->done(cp, rc, NULL, &e);
	return true;
}

/* --- the rest ----------------------------------------------------------------------------------
 */

static bool
heartbeat(void *ctx, uint64_t head, uint64_t scope_seq, const struct sl_hash_sum *sum,
	  uint64_t now_ns)
{
	struct sl_cp *cp = ctx;
	struct sl_hash_sum have;
	uint64_t wall = gw_wall_ns(cp->gw);

	cp->head = head;
	cp->skew_ms = (int64_t)(now_ns - wall) / (int64_t)SL_NS_PER_MS;
	cp_stale_heard(cp);
	cp_tomb_age(cp, now_ns);
	if (cp->held != NULL || scope_seq != cp->seq)
		return true;
	sl_replica_sum(cp->r, &have);
	cp->hash_ok = memcmp(&have, sum, sizeof(have)) == 0;
	if (!cp->hash_ok)
		cp_event(cp, "hash_mismatch", "failure",
			 json_pack("{s:I}", "seq", (json_int_t)cp->seq));
	return cp->hash_ok;
}

static void
state(void *ctx, bool up, unsigned source, const struct sl_error *e)
{
	struct sl_cp *cp = ctx;

	if (cp->place_of != NULL)
		source = cp->place_of(cp, source);
	if (up != cp->up)
		cp_event(cp, up ? "control_connected" : "control_lost", up ? "success" : "failure",
			 json_pack("{s:s, s:s}", "source",
				   source < cp->config->n_sources ? cp->config->sources[source].host
								  : "",
				   "reason", e != NULL ? e->reason : ""));
	cp->up = up;
	cp->source = source;
	if (!up) {
		if (e != NULL)
			cp->last_error = *e;
		return;
	}
	cp->last_error.err = 0;
	cp->refused = (struct sl_epoch){0};
	cp_stale_heard(cp);
	cp->confirm_ns = gw_mono_ns(cp->gw) + CONFIRM_NS;
	cp->registered = false;
}

const struct sl_sub_ops cp_sub_ops = {
	.position = position,
	.epoch = epoch,
	.snapshot_begin = snapshot_begin,
	.snapshot_part = snapshot_part,
	.snapshot_end = snapshot_end,
	.snapshot_abort = snapshot_abort,
	.txn = txn,
	.heartbeat = heartbeat,
	.schema = schema,
	.state = state,
};
