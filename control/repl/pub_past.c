/* SPDX-License-Identifier: BSD-3-Clause */
/* A large row of the log for one who was away: parsed on the helper, its ops as text that the
 * subscriber reads. Which of them it gets is the loop's to say, for it knows the scopes. */
#include <stdlib.h>

#include "pub_int.h"

char *
pub_past_put(const struct sl_publisher *p, enum pub_view view, enum sl_kind k, const char *id,
	     uint64_t rev, const json_t *body)
{
	struct pub_seen seen = {.there = true};
	char *text, *out = NULL;

	if (view == PUB_OLDER && pub_see_body(p, k, id, body, &seen))
		return NULL;
	if (!seen.there)
		return pub_op_text(k, id, rev, NULL, 0, true);
	text = seen.own ? seen.made : json_dumps(body, JSON_COMPACT);
	if (text)
		out = pub_op_text(k, id, rev, text, strlen(text), false);
	free(text);
	return out;
}

static char *
text_of(const struct pub_past *r, const json_t *o)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *what = json_string_value(json_object_get(o, "op"));
	enum sl_kind k;

	if (r->all)
		return json_dumps(o, JSON_COMPACT);
	if (!id || !kind || !what || sl_kind_parse(kind, &k) < 0 || strcmp(what, "put") != 0)
		return NULL;
	return pub_past_put(r->p, r->view, k, id,
			    (uint64_t)json_integer_value(json_object_get(o, "rev")),
			    json_object_get(o, "obj"));
}

/* --- the helper ------------------------------------------------------------------------------- */

static void
make_run(struct sl_task *t)
{
	struct pub_past *r = SL_CONTAINER_OF(t, struct pub_past, task);

	r->txn = json_loadb(r->row, r->len, 0, NULL);
	r->n = (unsigned)json_array_size(json_object_get(r->txn, "ops"));
	r->made = calloc(r->n + 1, sizeof(*r->made));
	r->texts = calloc(r->n + 1, sizeof(*r->texts));
	r->failed |= !r->txn || !r->made || !r->texts ||
		     json_object_set_new(r->txn, "chain", json_string(r->chain)) < 0;
	for (unsigned i = 0; !r->failed && !r->scan && i < r->n; i++)
		r->made[i] = text_of(r, json_array_get(json_object_get(r->txn, "ops"), i));
}

/** On the helper, and again at the end where the loop was not told of that. */
static void
clear(struct pub_past *r)
{
	for (unsigned i = 0; r->made && i < r->n; i++)
		free(r->made[i]);
	for (unsigned i = 0; i < r->n_texts; i++)
		free(r->texts[i]);
	free(r->made);
	free(r->texts);
	free(r->row);
	json_decref(r->txn);
	r->made = r->texts = NULL;
	r->n_texts = 0;
	r->row = NULL;
	r->txn = NULL;
}

static void
clear_run(struct sl_task *t)
{
	clear(SL_CONTAINER_OF(t, struct pub_past, task));
}

/* --- the loop --------------------------------------------------------------------------------- */

static void
clear_done(struct sl_task *t)
{
	struct pub_past *r = SL_CONTAINER_OF(t, struct pub_past, task);

	TAILQ_REMOVE(&r->p->past, r, link);
	free(r);
}

static void
leave(struct pub_past *r)
{
	r->task.run = clear_run;
	r->task.done = clear_done;
	sl_tasks_give(r->p->helper, &r->task);
}

static void
make_done(struct sl_task *t)
{
	struct pub_past *r = SL_CONTAINER_OF(t, struct pub_past, task);

	r->ready = true;
	if (r->s)
		pub_wake(r->p);
	else
		leave(r);
}

int
pub_past_begin(struct pub_stream *s, uint64_t seq, const char *chain, const char *text, size_t len)
{
	struct pub_past *r = calloc(1, sizeof(*r));

	if (r)
		r->row = malloc(len);
	if (!r || !r->row || strlen(chain) >= sizeof(r->chain)) {
		if (r)
			free(r->row);
		free(r);
		return -ENOMEM;
	}
	memcpy(r->row, text, len);
	memcpy(r->chain, chain, strlen(chain) + 1);
	r->len = len;
	r->p = s->p;
	r->s = s;
	r->seq = seq;
	r->all = s->scope.all;
	r->view = s->view;
	r->scan = s->phase == PUB_SCAN;
	r->task = (struct sl_task){.run = make_run, .done = make_done};
	s->past = r;
	TAILQ_INSERT_TAIL(&s->p->past, r, link);
	sl_tasks_give(s->p->helper, &r->task);
	return 0;
}

void
pub_past_drop(struct pub_stream *s)
{
	struct pub_past *r = s->past;

	if (!r)
		return;
	s->past = NULL;
	r->s = NULL;
	if (r->ready && s->p->helper)
		leave(r);
}

void
pub_pasts_free(struct sl_publisher *p)
{
	struct pub_past *r;

	while ((r = TAILQ_FIRST(&p->past))) {
		TAILQ_REMOVE(&p->past, r, link);
		clear(r);
		free(r);
	}
}
