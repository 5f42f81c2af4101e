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

/** Something for the thread that writes the store. */
struct step {
	struct sl_task task;
	struct sl_follower *f;
	struct step *next, **pprev;
	void (*done)(struct step *s);
	json_t *json;
	struct sl_epoch epoch;
	uint64_t number;
	struct sl_hash_sum sum;
	char text[256]; /* a chain, an address */
	int rc;
	struct sl_error e;
};

struct sl_follower {
	struct sl_follower_conf conf;
	struct sl_tasks *writer;
	struct step *steps; /* that it has */
	struct sl_sub *sub;
	struct relay *relays;
};

/* --- the store follows ------------------------------------------------------------------------ */

/** What is committed: read on the loop, while the thread writes. */
static struct sl_store *
committed(const struct sl_follower *f)
{
	return f->conf.publisher->conf.store;
}

static void
op_position(void *ctx, struct sl_position *out)
{
	struct sl_follower *f = ctx;
	struct sl_store *store = committed(f);

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

	sl_store_epoch(committed(f), &ours);
	if (sl_epoch_later(&ours, epoch) || sl_store_head(committed(f)) == 0)
		return 0;
	if (f->conf.confirmed && f->conf.confirmed(f->conf.ctx, epoch))
		return 0;
	sl_fail(e, -EPERM, "epoch_refused", "",
		"the source is in epoch %" PRIu64 " (%s), we are in %" PRIu64 " (%s)",
		epoch->number, epoch->id, ours.number, ours.id);
	sl_hint(e,
		"if the source is right and this data store is not: sluice-control epoch accept "
		"%s",
		epoch->id);
	return -EPERM;
}

static void
step_free(struct step *s)
{
	*s->pprev = s->next;
	if (s->next)
		s->next->pprev = s->pprev;
	json_decref(s->json);
	free(s);
}

static void
step_done(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);
	struct sl_follower *f = s->f;
	struct sl_error e = s->e;
	int rc = s->rc;
	bool told = s->done != NULL;

	if (told)
		s->done(s);
	step_free(s);
	if (told)
		sl_sub_done(f->sub, rc, NULL, rc ? &e : NULL);
}

/** Something for the thread that writes. @param done what follows on the loop, before the
 * subscriber is told; NULL: it does not wait. @param json taken over. @return NULL without memory
 */
static struct step *
step_new(struct sl_follower *f, void (*run)(struct sl_task *t), void (*done)(struct step *s),
	 json_t *json)
{
	struct step *s = calloc(1, sizeof(*s));

	if (!s) {
		json_decref(json);
		return NULL;
	}
	s->f = f;
	s->json = json;
	s->done = done;
	s->task.run = run;
	s->task.done = step_done;
	s->next = f->steps;
	if (s->next)
		s->next->pprev = &s->next;
	s->pprev = &f->steps;
	f->steps = s;
	return s;
}

static int
give(struct sl_follower *f, struct step *s, struct sl_error *e)
{
	if (!s)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	sl_tasks_give(f->writer, &s->task);
	return 0;
}

static void
nothing(struct step *s)
{
}

static void
begin_run(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);

	s->rc = sl_store_load_begin(s->f->conf.store, &s->epoch, s->number, s->text, &s->e);
}

static int
op_begin(void *ctx, const struct sl_epoch *epoch, uint64_t seq, const char *reason,
	 struct sl_error *e)
{
	struct sl_follower *f = ctx;
	struct step *s = step_new(f, begin_run, nothing, NULL);

	if (s) {
		s->epoch = *epoch;
		s->number = seq;
		snprintf(s->text, sizeof(s->text), "%s", sub_snapshot_chain(f->sub));
	}
	return give(f, s, e);
}

static void
part_run(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);

	s->rc = sl_store_load_part(s->f->conf.store, s->json, &s->e);
}

static int
op_part(void *ctx, json_t *objects, struct sl_error *e)
{
	struct sl_follower *f = ctx;

	return give(f, step_new(f, part_run, nothing, json_incref(objects)), e);
}

static void
end_run(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);

	s->rc = sl_store_load_end(s->f->conf.store, s->number, &s->sum, &s->e);
}

static void
end_done(struct step *s)
{
	struct sl_publisher *p = s->f->conf.publisher;
	struct sl_error e;

	if (s->rc)
		return;
	p->broken = true; /* other objects: loaded anew, now or with the next poll */
	if (sl_publisher_reload(p, &e))
		sl_log(SL_LOG_ERR, "repl", "the snapshot cannot be published yet: %s", e.message);
}

static int
op_end(void *ctx, uint64_t count, const struct sl_hash_sum *sum, const char *chain,
       struct sl_error *e)
{
	struct sl_follower *f = ctx;
	struct step *s = step_new(f, end_run, end_done, NULL);

	if (s) {
		s->number = count;
		s->sum = *sum;
	}
	return give(f, s, e);
}

static void
abort_run(struct sl_task *t)
{
	sl_store_load_abort(SL_CONTAINER_OF(t, struct step, task)->f->conf.store);
}

static void
op_abort(void *ctx)
{
	struct sl_follower *f = ctx;
	struct sl_error e;

	if (give(f, step_new(f, abort_run, NULL, NULL), &e))
		sl_log(SL_LOG_ERR, "repl", "a snapshot that ended early is not put away: %s",
		       e.message);
}

static void
txn_run(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);

	s->rc = sl_store_follow(s->f->conf.store, s->json, &s->e);
}

static void
txn_done(struct step *s)
{
	if (s->rc ==
	    -EINVAL) /* not what the source's own log says: the same row would come again */
		sl_sub_resync(s->f->sub, "chain");
	if (s->rc == 0)
		sl_publisher_kick(s->f->conf.publisher);
}

static int
op_txn(void *ctx, json_t *txn, struct sl_error *e)
{
	struct sl_follower *f = ctx;

	return give(f, step_new(f, txn_run, txn_done, json_incref(txn)), e);
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

	sl_store_epoch(committed(f), &epoch);
	if (!i->acked_seq)
		return true;
	p = json_pack("{s:s, s:o, s:I, s:I, s:b}", "node", i->node, "epoch",
		      wire_epoch_json(&epoch), "seq", (json_int_t)i->acked_seq, "serving_seq",
		      (json_int_t)i->serving_seq, "overlay", (int)i->overlay);
	sl_sub_call(f->sub, "repl.ack", p, NULL, NULL);
	return true;
}

static void
primary_run(struct sl_task *t)
{
	struct step *s = SL_CONTAINER_OF(t, struct step, task);

	if (sl_store_set_primary(s->f->conf.store, s->text, &s->e))
		sl_log(SL_LOG_WARN, "repl", "the primary's address is not kept: %s", s->e.message);
}

static void
learn_primary(struct sl_follower *f)
{
	struct sl_sub_info info;
	const char *known = sl_store_primary(committed(f));
	struct step *s;
	struct sl_error e;

	sl_sub_info(f->sub, &info);
	if (!info.primary[0] || (known && strcmp(known, info.primary) == 0))
		return;
	s = step_new(f, primary_run, NULL, NULL);
	if (s)
		snprintf(s->text, sizeof(s->text), "%s", info.primary);
	give(f, s, &e);
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
	f->writer = sl_tasks_new(c->base, "repl-writer", e);
	if (f->writer)
		f->sub = sl_sub_new(&sub, e);
	if (!f->sub) {
		sl_follower_free(f);
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
	sl_tasks_free(f->writer); /* what it has begun is done whole, or not at all */
	while (f->steps)
		step_free(f->steps);
	sl_store_load_abort(f->conf.store);
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
