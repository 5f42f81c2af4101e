/* SPDX-License-Identifier: BSD-3-Clause */
/* The stream at the subscriber: a strict state machine. What does not fit ends the connection, and
 * the next subscription tells where we stand; nothing is guessed. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"
#include "sl_json.h"
#include "sub_int.h"

static void
desync(struct sl_sub *s, const char *what)
{
	struct sl_error e;

	sl_fail(&e, -EPROTO, "desync", "", "%s", what);
	sl_log(SL_LOG_NOTICE, "repl", "desync with source %u at seq %" PRIu64 ": %s", s->source,
	       s->seq, what);
	sub_fail(s, &e);
}

static uint64_t
number(const json_t *o, const char *name)
{
	json_int_t v = json_integer_value(json_object_get(o, name));

	return v > 0 ? (uint64_t)v : 0;
}

static bool
epoch_is(const json_t *o, const struct sl_epoch *e)
{
	uint64_t n;
	char id[33];

	return wire_epoch(json_object_get(o, "epoch"), &n, id) == 0 && n == e->number &&
	       strcmp(id, e->id) == 0;
}

/* --- what we tell ----------------------------------------------------------------------------- */

static void
tell(struct sl_sub *s, const char *method, json_t *params)
{
	if (s->client)
		sl_rpc_client_call(s->client, method, params, NULL, NULL);
	else
		json_decref(params);
}

/** @param more what the owner adds; taken over */
static void
ack(struct sl_sub *s, uint64_t seq, json_t *more)
{
	json_t *o = json_pack("{s:o, s:I}", "epoch", wire_epoch_json(&s->epoch), "seq",
			      (json_int_t)seq);
	struct sl_position pos = {0};
	char hash[SL_HASH_STR];

	s->conf.ops->position(s->conf.ctx, &pos);
	if (pos.seq == s->seq)
		json_object_set_new(o, "hash", json_string(sl_hash_str(&pos.sum, hash)));
	s->nacked = more && json_object_get(more, "serving_seq") &&
		    number(more, "serving_seq") < s->seq;
	json_object_update(o, more);
	json_decref(more);
	s->acked = seq;
	tell(s, "repl.ack", o);
}

static void
nack(struct sl_sub *s, uint64_t seq, const struct sl_error *e, json_t *more)
{
	json_t *o = json_pack("{s:o, s:I, s:s, s:s, s:s}", "epoch", wire_epoch_json(&s->epoch),
			      "seq", (json_int_t)seq, "code", e->reason[0] ? e->reason : "failed",
			      "path", e->path, "message", e->message);

	json_object_update(o, more);
	json_decref(more);
	s->nacked = true;
	tell(s, "repl.nack", o);
}

/** More of something than anybody has: not taken, and not again at once. */
static void
too_large(struct sl_sub *s, uint64_t seq, const struct sl_error *e)
{
	sl_log(SL_LOG_WARN, "repl", "source %s port %u: %s", s->sources[s->source].host,
	       s->sources[s->source].port, e->message);
	nack(s, seq, e, NULL);
	sub_fail_soon(s, e);
}

/* --- subscribing ------------------------------------------------------------------------------ */

static void
snapshot_drop(struct sl_sub *s)
{
	if (s->snap_open)
		s->conf.ops->snapshot_abort(s->conf.ctx);
	s->snap_open = false;
}

/** Of a transaction whose parts have not all come. */
static void
gather_drop(struct sl_sub *s)
{
	json_decref(s->gather);
	s->gather = NULL;
}

void
sub_reset(struct sl_sub *s)
{
	while (s->first) {
		struct sub_note *n = s->first;

		s->first = n->next;
		json_decref(n->params);
		free(n);
	}
	s->last = &s->first;
	s->sub[0] = '\0';
	s->ask_due = false;
	s->part = 0;
	s->came = (struct sub_came){0};
	gather_drop(s);
	if (s->op == SUB_OP_NONE) /* else when the owner is done */
		snapshot_drop(s);
	evtimer_del(s->step);
}

static void
resumed(struct sl_sub *s, const json_t *r)
{
	if (!epoch_is(r, &s->epoch)) {
		desync(s, "resumed in another epoch than ours");
		return;
	}
	s->phase = SUB_LIVE;
	s->wait_ms = SUB_WAIT_MIN_MS;
	s->prev = SL_MAX(s->seq, s->head);
	if (!s->nacked)
		ack(s, SL_MAX(s->seq, s->head), NULL);
}

/** May the source's epoch be taken? */
static bool
epoch_taken(struct sl_sub *s, const struct sl_epoch *epoch)
{
	struct sl_error e = {0};

	if (sl_epoch_same(&s->epoch, epoch))
		return true;
	if (s->conf.ops->epoch(s->conf.ctx, epoch, &e) == 0)
		return true;
	if (!e.err)
		sl_fail(&e, -EPERM, "epoch_refused", "", "epoch %" PRIu64 " is refused",
			epoch->number);
	if (!sl_epoch_same(&s->info.refused, epoch)) /* once */
		sl_log(SL_LOG_WARN, "repl", "source %s port %u: %s%s%s", s->sources[s->source].host,
		       s->sources[s->source].port, e.message, e.hint[0] ? "; " : "", e.hint);
	s->info.refused = *epoch;
	sub_fail(s, &e);
	return false;
}

/** The source has less than we. In an epoch before ours that is for the owner to judge: a store
 * that has not heard of ours yet is not taken, one that somebody has confirmed is, as if we had
 * nothing. */
static void
behind(struct sl_sub *s, const json_t *r)
{
	struct sl_epoch epoch;
	struct sl_error e;

	if (!s->anew && sl_epoch_parse(json_object_get(r, "epoch"), &epoch) == 0 &&
	    epoch.number < s->epoch.number) {
		if (!epoch_taken(s, &epoch))
			return;
		s->anew = true;
		sub_ask(s);
		return;
	}
	sl_fail(&e, -EAGAIN, "source_behind", "",
		"source %u has less than we have (%s, its head is %" PRIu64 ")", s->source,
		sl_json_text(r, "reason"), number(r, "head"));
	sub_fail(s, &e);
}

static void
on_subscribed(void *ctx, int rc, json_t *r, const struct sl_error *why)
{
	struct sl_sub *s = ctx;
	const char *mode = sl_json_text(r, "mode"), *name = sl_json_text(r, "sub");
	struct sl_epoch epoch;
	struct sl_error e;

	if (rc) {
		sub_fail(s, why);
		return;
	}
	if (number(r, "schema") < s->conf.schemas.oldest ||
	    number(r, "schema") > s->conf.schemas.newest) {
		sl_fail(&e, -EPROTO, "schema_unsupported", "/schema",
			"source %u sends schema %" PRIu64 " of objects, which was not asked for",
			s->source, number(r, "schema"));
		sub_fail(s, &e);
		return;
	}
	if (strcmp(mode, "behind") == 0) {
		behind(s, r);
		return;
	}
	if (strlen(name) >= sizeof(s->sub) || sl_epoch_parse(json_object_get(r, "epoch"), &epoch)) {
		desync(s, "the answer to repl.subscribe cannot be read");
		return;
	}
	memcpy(s->sub, name, strlen(name) + 1);
	s->info.head = number(r, "head");
	snprintf(s->info.primary, sizeof(s->info.primary), "%s", sl_json_text(r, "primary"));
	s->schema = (unsigned)number(r, "schema");
	if (strcmp(mode, "resume") == 0 && s->held != s->schema && !s->conf.follower &&
	    !s->want[0]) { /* what we have is written otherwise than what would follow */
		sl_sub_resync(s, "schema");
		return;
	}
	if (strcmp(mode, "resume") == 0) {
		resumed(s, r);
	} else {
		if (!epoch_taken(s, &epoch))
			return;
		s->phase = SUB_SNAPSHOT;
	}
	if (s->phase != SUB_IDLE && !s->up)
		sub_up(s);
}

/** Where we stand: the owner's word, and what heartbeats told since. */
static void
stand(struct sl_sub *s)
{
	struct sl_position pos = {0};

	s->conf.ops->position(s->conf.ctx, &pos);
	if (s->known && sl_epoch_same(&pos.epoch, &s->epoch) && pos.seq == s->seq)
		return;
	s->epoch = pos.epoch;
	s->seq = pos.seq;
	memcpy(s->chain, pos.chain, sizeof(s->chain));
	s->head = s->acked = 0;
	s->held = SL_MAX(pos.schema, 1u);
	s->known = true;
}

void
sub_ask(struct sl_sub *s)
{
	struct sl_position pos = {0};
	char hash[SL_HASH_STR];
	json_t *q;

	s->ask_due = s->op != SUB_OP_NONE;
	if (s->ask_due)
		return;
	sub_reset(s);
	stand(s);
	q = json_pack("{s:s, s:s, s:o}", "node", s->node, "scope",
		      s->conf.follower ? "all" : "gateway", "schema",
		      sl_repl_schema_list(s->conf.schemas));
	if (s->epoch.number && !s->anew) {
		bool ahead = s->head > s->seq;

		s->conf.ops->position(s->conf.ctx, &pos);
		json_object_set_new(q, "epoch", wire_epoch_json(&s->epoch));
		json_object_set_new(q, "seq", json_integer((json_int_t)(ahead ? s->head : s->seq)));
		json_object_set_new(q, "chain", json_string(ahead ? s->head_chain : s->chain));
		json_object_set_new(q, "hash", json_string(sl_hash_str(&pos.sum, hash)));
	}
	if (s->want[0]) {
		json_object_set_new(q, "want", json_string("snapshot"));
		json_object_set_new(q, "why", json_string(s->want));
	}
	s->phase = SUB_ASK;
	if (sl_rpc_client_call(s->client, "repl.subscribe", q, on_subscribed, s))
		desync(s, "repl.subscribe cannot be sent");
}

/* --- what the owner does ---------------------------------------------------------------------- */

static void finish(struct sl_sub *s, enum sub_op op, int rc, json_t *more,
		   const struct sl_error *e);

/** An op has returned: 0, then it is done or will be; or it has failed. */
static void
begun(struct sl_sub *s, enum sub_op op, int rc, const struct sl_error *e)
{
	if (rc >= 0 || s->op != op)
		return;
	s->op = SUB_OP_NONE;
	finish(s, op, rc, NULL, e);
}

static void
op_part(struct sl_sub *s)
{
	struct sl_error e = {0};

	s->op = SUB_OP_PART;
	begun(s, SUB_OP_PART,
	      s->conf.ops->snapshot_part(s->conf.ctx, json_object_get(s->msg, "objects"), &e), &e);
}

static void
op_begin(struct sl_sub *s)
{
	struct sl_error e = {0};

	s->op = SUB_OP_BEGIN;
	s->snap_reason = sl_snap_reason_of(sl_json_text(s->msg, "reason"));
	begun(s, SUB_OP_BEGIN,
	      s->conf.ops->snapshot_begin(s->conf.ctx, &s->msg_epoch, s->msg_seq,
					  sl_json_text(s->msg, "reason"), &e),
	      &e);
}

static void
op_end(struct sl_sub *s)
{
	const char *chain = sl_json_text(s->msg, "chain");
	struct sl_hash_sum sum;
	struct sl_error e = {0};

	if (sl_hash_parse(sl_json_text(s->msg, "hash"), &sum) || strlen(chain) >= SL_CHAIN_STR) {
		desync(s, "the end of a snapshot cannot be read");
		return;
	}
	s->op = SUB_OP_END;
	begun(s, SUB_OP_END,
	      s->conf.ops->snapshot_end(s->conf.ctx, number(s->msg, "count"), &sum, chain, &e), &e);
}

static void
op_txn(struct sl_sub *s)
{
	struct sl_error e = {0};

	s->op = SUB_OP_TXN;
	begun(s, SUB_OP_TXN, s->conf.ops->txn(s->conf.ctx, s->msg, &e), &e);
}

/** Received, whether it serves or not: the stream goes on after it. */
static void
advance(struct sl_sub *s, enum sub_op op)
{
	s->epoch = s->msg_epoch;
	s->seq = s->prev = s->msg_seq;
	snprintf(s->chain, sizeof(s->chain), "%s", sl_json_text(s->msg, "chain"));
	s->head = 0;
	s->part = 0;
	s->known = true;
	if (op == SUB_OP_TXN) {
		s->info.txns++;
		return;
	}
	s->info.snapshots++;
	s->info.snapshots_by[s->snap_reason]++;
	s->held = s->schema;
	if (s->conf.ops->schema)
		s->conf.ops->schema(s->conf.ctx, s->held);
	s->snap_open = false;
	s->anew = false;
	s->want[0] = '\0';
	s->phase = SUB_LIVE;
	s->wait_ms = SUB_WAIT_MIN_MS;
}

static void
op_failed(struct sl_sub *s, enum sub_op op, int rc, json_t *more, const struct sl_error *e)
{
	struct sl_position pos = {0};
	bool folded;

	s->conf.ops->position(s->conf.ctx, &pos);
	folded = rc != -EPROTO && rc != -EBADMSG && (op == SUB_OP_TXN || op == SUB_OP_END) &&
		 pos.seq == s->msg_seq && sl_epoch_same(&pos.epoch, &s->msg_epoch);
	if (folded)
		advance(s, op);
	nack(s, s->msg_seq, e, more);
	if (folded)
		return;
	if (rc == -EBADMSG) /* not again at once */
		s->wait_ms = SUB_WAIT_MAX_MS;
	sub_fail_soon(s, e);
}

static void
finish(struct sl_sub *s, enum sub_op op, int rc, json_t *more, const struct sl_error *e)
{
	bool last;

	if (!s->client || s->phase < SUB_ASK || !s->msg) { /* the connection has gone meanwhile */
		json_decref(more);
		if (op == SUB_OP_BEGIN && rc == 0)
			s->snap_open = true;
		if (op == SUB_OP_END)
			s->snap_open = false;
		snapshot_drop(s);
		return;
	}
	if (rc < 0) {
		op_failed(s, op, rc, more, e);
		return;
	}
	last = json_is_true(json_object_get(s->msg, "last"));
	switch (op) {
	case SUB_OP_BEGIN:
		s->snap_open = true;
		op_part(s);
		break;
	case SUB_OP_PART:
		if (last)
			op_end(s);
		break;
	case SUB_OP_END:
	case SUB_OP_TXN:
		advance(s, op);
		ack(s, s->seq, more);
		more = NULL;
		break;
	default:
		break;
	}
	json_decref(more);
}

void
sl_sub_done(struct sl_sub *s, int rc, json_t *more, const struct sl_error *e)
{
	static const struct timeval now = {0};
	static const struct sl_error none = {.reason = "failed"};
	enum sub_op op = s->op;

	s->op = SUB_OP_NONE;
	finish(s, op, rc, more, e ? e : &none);
	if (s->op == SUB_OP_NONE && !s->running)
		evtimer_add(s->step, &now);
}

/* --- what comes ------------------------------------------------------------------------------- */

static void
take_msg(struct sl_sub *s, json_t *msg)
{
	json_incref(msg);
	json_decref(s->msg);
	s->msg = msg;
}

const char *
sub_snapshot_chain(const struct sl_sub *s)
{
	return sl_json_text(s->msg, "chain");
}

static void
on_snapshot(struct sl_sub *s, json_t *p, size_t bytes)
{
	bool first = s->phase == SUB_SNAPSHOT || s->phase == SUB_LIVE;
	uint64_t seq = number(p, "seq");
	struct sl_epoch epoch;
	struct sl_error e = {0};

	if (!json_is_array(json_object_get(p, "objects")) ||
	    sl_epoch_parse(json_object_get(p, "epoch"), &epoch) ||
	    number(p, "part") != (first ? 1 : s->part + 1) ||
	    (!first && (seq != s->msg_seq || !sl_epoch_same(&epoch, &s->msg_epoch)))) {
		desync(s, "a part of a snapshot does not fit");
		return;
	}
	if (first && !epoch_taken(s, &epoch))
		return;
	if (first && sl_epoch_same(&epoch, &s->epoch) && seq < SL_MAX(s->seq, s->head)) {
		desync(s, "a snapshot of the same epoch would go back");
		return;
	}
	if (first) {
		snapshot_drop(s);
		gather_drop(s);
		s->came = (struct sub_came){0};
	}
	if (sub_came_add(&s->came, sub_snapshot_bounds(s->conf.follower), bytes,
			 json_array_size(json_object_get(p, "objects")), &e)) {
		too_large(s, seq, &e);
		return;
	}
	s->part = (unsigned)number(p, "part");
	s->phase = SUB_PARTS;
	s->msg_seq = seq;
	s->msg_epoch = epoch;
	take_msg(s, p);
	if (first)
		op_begin(s);
	else
		op_part(s);
}

/** Parts of a transaction are put together. @return the whole, NULL: more must come, or none of it
 * is taken */
static json_t *
whole_txn(struct sl_sub *s, json_t *p, struct sl_rpc_line_size size)
{
	uint64_t part = number(p, "part");
	json_t *ops = json_object_get(p, "ops"), *whole;
	struct sl_error e = {0};

	if (!json_is_array(ops) || (part ? part != s->part + 1 : s->gather != NULL)) {
		desync(s, "a part of a transaction does not fit");
		return NULL;
	}
	if (part <= 1)
		s->came = (struct sub_came){0};
	if (sub_came_add(&s->came, sub_txn_bounds(), size.bytes, size.values, &e)) {
		too_large(s, number(p, "seq"), &e);
		return NULL;
	}
	if (!part)
		return json_incref(p);
	if (part == 1) {
		s->gather = json_incref(p);
	} else if (number(p, "seq") != number(s->gather, "seq") ||
		   json_array_extend(json_object_get(s->gather, "ops"), ops)) {
		desync(s, "parts of two transactions are mixed");
		return NULL;
	}
	s->part = (unsigned)part;
	if (!json_is_true(json_object_get(p, "last")))
		return NULL;
	whole = s->gather;
	s->gather = NULL;
	s->part = 0;
	json_object_del(whole, "part");
	json_object_del(whole, "last");
	return whole;
}

static void
on_txn(struct sl_sub *s, json_t *part, struct sl_rpc_line_size size)
{
	json_t *p;
	uint64_t seq;

	if (s->phase != SUB_LIVE || !epoch_is(part, &s->epoch)) {
		desync(s, "a transaction of another epoch, or before the snapshot's end");
		return;
	}
	p = whole_txn(s, part, size);
	if (!p)
		return;
	seq = number(p, "seq");
	if (seq == s->seq && strcmp(sl_json_text(p, "chain"), s->chain) == 0) {
		json_decref(p); /* once more */
		return;
	}
	if (seq <= SL_MAX(s->seq, s->head) || number(p, "prev") != s->prev) {
		json_decref(p);
		desync(s, "a transaction does not follow the last one");
		return;
	}
	json_object_del(p, "sub");
	s->msg_seq = seq;
	s->msg_epoch = s->epoch;
	take_msg(s, p);
	json_decref(p);
	op_txn(s);
}

static void
mismatch(struct sl_sub *s)
{
	uint64_t now = sl_clock_mono_ns();
	struct sl_error e;

	if (!s->mismatch_mono_ns || now - s->mismatch_mono_ns > SUB_MISMATCH_S * SL_NS_PER_S) {
		s->mismatch_mono_ns = now;
		sl_log(SL_LOG_WARN, "repl",
		       "our state is not the source's at seq %" PRIu64 ": a snapshot is asked for",
		       s->seq);
		sl_sub_resync(s, "hash_mismatch");
		return;
	}
	if (s->mismatch_told)
		return;
	s->mismatch_told = true;
	sl_fail(&e, -EBADMSG, "hash_mismatch", "",
		"our state is not the source's, and a snapshot within the last 10 minutes did not "
		"mend it");
	sub_note_error(s, &e);
	sl_log(SL_LOG_ERR, "repl", "%s", e.message);
	nack(s, s->seq, &e, NULL);
}

static void
on_heartbeat(struct sl_sub *s, json_t *p)
{
	uint64_t head = number(p, "head"), scope_seq = number(p, "scope_seq"), now_ns;
	struct sl_hash_sum sum;

	s->info.heartbeats++;
	s->info.head = head;
	s->info.last_heartbeat_mono_ns = sl_clock_mono_ns();
	if (s->phase != SUB_LIVE || !json_object_get(p, "scope_seq"))
		return; /* it lives, and that is all */
	if (!epoch_is(p, &s->epoch) || scope_seq != s->prev ||
	    sl_hash_parse(sl_json_text(p, "hash"), &sum) ||
	    sl_time_parse(sl_json_text(p, "now"), &now_ns) ||
	    strlen(sl_json_text(p, "chain")) >= SL_CHAIN_STR) {
		desync(s, "a heartbeat does not fit what was received");
		return;
	}
	/* the owner knows its last transaction, not a head that we subscribed at */
	if (!s->conf.ops->heartbeat(s->conf.ctx, head, s->seq, &sum, now_ns)) {
		mismatch(s);
		return;
	}
	s->mismatch_told = false;
	s->head = SL_MAX(head, s->seq);
	snprintf(s->head_chain, sizeof(s->head_chain), "%s", sl_json_text(p, "chain"));
	if (s->head > s->acked && !s->nacked)
		ack(s, s->head, NULL);
}

static void
handle(struct sl_sub *s, const struct sub_note *n)
{
	if (strcmp(sl_json_text(n->params, "sub"), s->sub) != 0 || s->phase < SUB_SNAPSHOT)
		return; /* of a subscription that has ended */
	if (strcmp(n->method, "repl.snapshot") == 0)
		on_snapshot(s, n->params, n->size.bytes);
	else if (strcmp(n->method, "repl.txn") == 0)
		on_txn(s, n->params, n->size);
	else if (strcmp(n->method, "repl.heartbeat") == 0)
		on_heartbeat(s, n->params);
}

void
sub_run(struct sl_sub *s)
{
	if (s->running)
		return;
	s->running = true;
	while (s->op == SUB_OP_NONE && s->first) {
		struct sub_note *n = s->first;

		s->first = n->next;
		if (!s->first)
			s->last = &s->first;
		handle(s, n);
		json_decref(n->params);
		free(n);
	}
	s->running = false;
	if (s->ask_due && s->op == SUB_OP_NONE && s->client)
		sub_ask(s);
	if (s->client)
		sl_rpc_client_pause(s->client, s->op != SUB_OP_NONE);
}

void
sub_notify(struct sl_sub *s, const char *method, json_t *params, struct sl_rpc_line_size size)
{
	struct sub_note *n = params ? calloc(1, sizeof(*n)) : NULL;

	if (!n) {
		if (params)
			desync(s, "no memory");
		return;
	}
	snprintf(n->method, sizeof(n->method), "%s", method);
	n->params = json_incref(params);
	n->size = size;
	*s->last = n;
	s->last = &n->next;
	if (s->op == SUB_OP_NONE)
		sub_run(s);
}
