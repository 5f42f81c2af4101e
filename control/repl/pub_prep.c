/* SPDX-License-Identifier: BSD-3-Clause */
/* A row of the log, made ready for the feed: parsed, its objects with canonical text and hash, its
 * ops as text. That is most of what a row costs, and needs nothing of the publisher: a large row is
 * made ready on the helper. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

struct pub_prep *
pub_prep_new(struct sl_publisher *p, uint64_t seq, const char *chain)
{
	struct pub_prep *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->p = p;
	r->replica = p->replica;
	r->seq = seq;
	r->failed = strlen(chain) >= sizeof(r->chain);
	if (!r->failed)
		memcpy(r->chain, chain, strlen(chain) + 1);
	return r;
}

static bool
make_put(struct pub_prep *r, struct pub_ready *op, const json_t *body, bool text)
{
	struct sl_replica_obj is;

	if (sl_replica_make(r->replica, op->kind, op->id, op->rev, body, &op->obj) ||
	    pub_see_body(r->p, op->kind, op->id, body, &op->older))
		return false;
	if (!text)
		return true;
	sl_replica_show(op->kind, op->obj, &is);
	op->text = pub_op_text(op->kind, op->id, op->rev, is.text, is.len, false);
	return op->text != NULL;
}

static bool
make_op(struct pub_prep *r, struct pub_ready *op, const json_t *o, bool raw, bool text)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *what = json_string_value(json_object_get(o, "op"));

	op->id = json_string_value(json_object_get(o, "id"));
	op->rev = (uint64_t)json_integer_value(json_object_get(o, "rev"));
	if (!kind || !op->id || !what || sl_kind_parse(kind, &op->kind) < 0) {
		sl_log(SL_LOG_ERR, "repl", "transaction %llu: an op of an unknown kind",
		       (unsigned long long)r->seq);
		return false;
	}
	op->put = strcmp(what, "put") == 0;
	op->raw = raw ? json_dumps(o, JSON_COMPACT) : NULL;
	if (raw && !op->raw)
		return false;
	return !op->put || make_put(r, op, json_object_get(o, "obj"), text);
}

void
pub_prep_make(struct pub_prep *r, const char *text, size_t len, bool raw, bool texts)
{
	json_t *ops;

	r->txn = json_loadb(text, len, 0, NULL);
	ops = json_object_get(r->txn, "ops");
	r->ops = calloc(json_array_size(ops) + 1, sizeof(*r->ops));
	r->failed |= !r->txn || !r->ops ||
		     json_object_set_new(r->txn, "chain", json_string(r->chain)) < 0;
	for (size_t i = 0; !r->failed && i < json_array_size(ops); i++, r->n++)
		r->failed = !make_op(r, &r->ops[i], json_array_get(ops, i), raw, texts);
}

static void
make_run(struct sl_task *t)
{
	struct pub_prep *r = SL_CONTAINER_OF(t, struct pub_prep, task);

	pub_prep_make(r, r->row, r->len, true, true);
}

int
pub_prep_give(struct pub_prep *r, const char *text, size_t len, void (*done)(struct sl_task *t))
{
	r->row = malloc(len);
	if (!r->row)
		return -ENOMEM;
	memcpy(r->row, text, len);
	r->len = len;
	r->task.run = make_run;
	r->task.done = done;
	sl_tasks_give(r->p->helper, &r->task);
	return 0;
}

static void
clear(struct pub_prep *r)
{
	for (unsigned i = 0; r->ops && i <= r->n; i++) { /* the last one may have failed half way */
		free(r->ops[i].obj);
		free(r->ops[i].raw);
		free(r->ops[i].text);
		pub_seen_free(&r->ops[i].older);
	}
	free(r->ops);
	free(r->row);
	json_decref(r->txn);
	r->ops = NULL;
	r->row = NULL;
	r->txn = NULL;
}

static void
clear_run(struct sl_task *t)
{
	clear(SL_CONTAINER_OF(t, struct pub_prep, task));
}

static void
clear_done(struct sl_task *t)
{
	struct pub_prep *r = SL_CONTAINER_OF(t, struct pub_prep, task);
	struct pub_prep **at = &r->p->freed;

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	free(r);
}

void
pub_prep_free_now(struct pub_prep *r)
{
	if (!r)
		return;
	clear(r);
	free(r);
}

void
pub_prep_free(struct pub_prep *r)
{
	if (!r || !r->row || !r->p->helper) {
		pub_prep_free_now(r);
		return;
	}
	r->next = r->p->freed;
	r->p->freed = r;
	r->task.run = clear_run;
	r->task.done = clear_done;
	sl_tasks_give(r->p->helper, &r->task);
}
