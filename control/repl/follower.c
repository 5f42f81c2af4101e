/* SPDX-License-Identifier: BSD-3-Clause */
/* A subscriber whose state is a store, with a publisher behind it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "pub_int.h"
#include "sl_follower.h"
#include "sl_log.h"
#include "sub_int.h"

/** A call of a subscriber that waits for the source. */
struct relay {
	struct relay *next, **pprev;
	struct sl_rpc_later *later;
	char method[24];
};

struct sl_follower {
	struct sl_follower_conf conf;
	struct sl_sub *sub;
	struct relay *relays;
};

/* --- the store follows ------------------------------------------------------------------------ */

static void
op_position(void *ctx, struct sl_position *out)
{
	struct sl_follower *f = ctx;
	struct sl_store *store = f->conf.publisher->conf.store; /* what is committed */

	memset(out, 0, sizeof(*out));
	sl_store_epoch(store, &out->epoch);
	out->seq = sl_store_head(store);
	if (sl_store_chain(store, out->seq, out->chain) < 0)
		out->chain[0] = '\0';
	sl_store_sum(store, &out->sum);
}

static int
op_epoch(void *ctx, const struct sl_epoch *epoch, struct sl_error *e)
{
	struct sl_follower *f = ctx;
	struct sl_epoch ours;

	sl_store_epoch(f->conf.store, &ours);
	if (epoch->number > ours.number || sl_store_head(f->conf.store) == 0)
		return 0;
	if (f->conf.confirmed && f->conf.confirmed(f->conf.ctx, epoch))
		return 0;
	sl_fail(e, -EPERM, "epoch_refused", "",
		"the source is in epoch %" PRIu64 " (%s), we are in %" PRIu64 " (%s)",
		epoch->number, epoch->id, ours.number, ours.id);
	sl_hint(e, "if the source is right, confirm its epoch here");
	return -EPERM;
}

static int
op_begin(void *ctx, const struct sl_epoch *epoch, uint64_t seq, const char *reason,
	 struct sl_error *e)
{
	struct sl_follower *f = ctx;
	int rc = sl_store_load_begin(f->conf.store, epoch, seq, sub_snapshot_chain(f->sub), e);

	if (rc == 0)
		sl_sub_done(f->sub, 0, NULL, NULL);
	return rc;
}

static int
op_part(void *ctx, json_t *objects, struct sl_error *e)
{
	struct sl_follower *f = ctx;
	int rc = sl_store_load_part(f->conf.store, objects, e);

	if (rc == 0)
		sl_sub_done(f->sub, 0, NULL, NULL);
	return rc;
}

static int
op_end(void *ctx, uint64_t count, const struct sl_hash_sum *sum, const char *chain,
       struct sl_error *e)
{
	struct sl_follower *f = ctx;
	int rc = sl_store_load_end(f->conf.store, count, sum, e);

	if (rc)
		return rc;
	f->conf.publisher->broken =
		true; /* other objects: loaded anew, now or with the next poll */
	if (sl_publisher_reload(f->conf.publisher, e))
		sl_log(SL_LOG_ERR, "repl", "the snapshot cannot be published yet: %s", e->message);
	sl_sub_done(f->sub, 0, NULL, NULL);
	return 0;
}

static void
op_abort(void *ctx)
{
	struct sl_follower *f = ctx;

	sl_store_load_abort(f->conf.store);
}

static int
op_txn(void *ctx, json_t *txn, struct sl_error *e)
{
	struct sl_follower *f = ctx;
	int rc = sl_store_follow(f->conf.store, txn, e);

	if (rc == -EINVAL) /* not what the source's own log says: the same row would come again */
		sl_sub_resync(f->sub, "chain");
	if (rc)
		return rc;
	sl_publisher_kick(f->conf.publisher);
	sl_sub_done(f->sub, 0, NULL, NULL);
	return 0;
}

static bool
op_heartbeat(void *ctx, uint64_t head, uint64_t scope_seq, const struct sl_hash_sum *sum,
	     uint64_t now_ns)
{
	struct sl_follower *f = ctx;
	struct sl_position pos;

	op_position(f, &pos);
	return pos.seq != scope_seq || sl_hash_equal(&pos.sum, sum);
}

/* --- what subscribers say --------------------------------------------------------------------- */

static void
relay_end(struct relay *r, int rc, json_t *result, const struct sl_error *e)
{
	*r->pprev = r->next;
	if (r->next)
		r->next->pprev = r->pprev;
	sl_rpc_answer(r->later, rc, rc ? NULL : json_incref(result), e);
	free(r);
}

static int
unreachable(const char *method, struct sl_error *e)
{
	if (strcmp(method, "log.push") == 0)
		return sl_fail(e, -EBUSY, "busy", "", "the primary cannot be reached: later");
	sl_fail(e, -EHOSTUNREACH, "primary_unreachable", "",
		"this data store follows, and cannot reach its source");
	sl_hint(e, "it is tried again; see that the primary runs");
	return -EHOSTUNREACH;
}

static void
on_answer(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct relay *r = ctx;
	struct sl_error gone;

	if (rc == -EPIPE) { /* the connection went before the answer came */
		rc = unreachable(r->method, &gone);
		e = &gone;
	}
	relay_end(r, rc, result, e);
}

/** A call whose answer the subscriber waits for. */
static int
relay(struct sl_follower *f, const struct sl_rpc_caller *caller, const char *method, json_t *params,
      struct sl_error *e)
{
	struct relay *r = calloc(1, sizeof(*r));
	int rc;

	if (!r) {
		json_decref(params);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	r->later = sl_rpc_later(caller);
	if (!r->later) {
		free(r);
		json_decref(params);
		return unreachable(method, e);
	}
	snprintf(r->method, sizeof(r->method), "%s", method);
	r->next = f->relays;
	if (r->next)
		r->next->pprev = &r->next;
	r->pprev = &f->relays;
	f->relays = r;
	rc = sl_sub_call(f->sub, method, params, on_answer, r);
	if (rc) {
		unreachable(method, e);
		relay_end(r, e->err, NULL, e);
	}
	return SL_RPC_LATER;
}

int
sl_follower_upstream(struct sl_follower *f, const struct sl_rpc_caller *caller, const char *method,
		     const char *node, json_t *params, json_t **result, struct sl_error *e)
{
	json_t *p = json_copy(params);

	if (!p || json_object_set_new(p, "node", json_string(node))) {
		json_decref(p);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	if (strcmp(method, "gateway.register") == 0 || strcmp(method, "log.push") == 0)
		return relay(f, caller, method, p, e);
	sl_sub_call(f->sub, method, p, NULL, NULL); /* else it is lost, and that is right */
	return 0;
}

static bool
tell_again(void *ctx, const struct sl_subscriber_info *i)
{
	struct sl_follower *f = ctx;
	struct sl_epoch epoch;
	json_t *p;

	sl_store_epoch(f->conf.store, &epoch);
	if (!i->acked_seq)
		return true;
	p = json_pack("{s:s, s:o, s:I, s:I, s:b}", "node", i->node, "epoch",
		      wire_epoch_json(&epoch), "seq", (json_int_t)i->acked_seq, "serving_seq",
		      (json_int_t)i->serving_seq, "overlay", (int)i->overlay);
	sl_sub_call(f->sub, "repl.ack", p, NULL, NULL);
	return true;
}

static void
learn_primary(struct sl_follower *f)
{
	struct sl_sub_info info;
	const char *known = sl_store_primary(f->conf.store);
	struct sl_error e;

	sl_sub_info(f->sub, &info);
	if (info.primary[0] && (!known || strcmp(known, info.primary) != 0) &&
	    sl_store_set_primary(f->conf.store, info.primary, &e))
		sl_log(SL_LOG_WARN, "repl", "the primary's address is not kept: %s", e.message);
}

static void
op_state(void *ctx, bool up, unsigned source, const struct sl_error *e)
{
	struct sl_follower *f = ctx;
	struct sl_error gone;

	if (up) {
		learn_primary(f);
		sl_publisher_walk(f->conf.publisher, tell_again, f);
	}
	while (!up && f->relays) {
		unreachable(f->relays->method, &gone);
		relay_end(f->relays, gone.err, NULL, &gone);
	}
	if (f->conf.state)
		f->conf.state(f->conf.ctx, up, source, e);
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct sl_sub_ops ops = {
	.position = op_position,
	.epoch = op_epoch,
	.snapshot_begin = op_begin,
	.snapshot_part = op_part,
	.snapshot_end = op_end,
	.snapshot_abort = op_abort,
	.txn = op_txn,
	.heartbeat = op_heartbeat,
	.state = op_state,
};

struct sl_follower *
sl_follower_new(const struct sl_follower_conf *c, struct sl_error *e)
{
	struct sl_follower *f = calloc(1, sizeof(*f));
	struct sl_sub_conf sub = {.base = c->base,
				  .dns = c->dns,
				  .sources = c->sources,
				  .n_sources = c->n_sources,
				  .tls = c->tls,
				  .token = c->token,
				  .node = c->node,
				  .follower = true,
				  .program = c->program,
				  .schemas = c->schemas,
				  .ops = &ops,
				  .ctx = f};

	if (!f) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	f->conf = *c;
	f->sub = sl_sub_new(&sub, e);
	if (!f->sub) {
		free(f);
		return NULL;
	}
	return f;
}

void
sl_follower_free(struct sl_follower *f)
{
	struct sl_error gone;

	if (!f)
		return;
	while (f->relays) {
		unreachable(f->relays->method, &gone);
		relay_end(f->relays, gone.err, NULL, &gone);
	}
	sl_sub_free(f->sub);
	free(f);
}

void
sl_follower_info(const struct sl_follower *f, struct sl_sub_info *out)
{
	sl_sub_info(f->sub, out);
}

int
sl_follower_set_token(struct sl_follower *f, const char *token)
{
	return sl_sub_set_token(f->sub, token);
}

void
sl_follower_resync(struct sl_follower *f)
{
	sl_sub_resync(f->sub, "resync");
}
