/* SPDX-License-Identifier: BSD-3-Clause */
/* The replica, loaded from the store: at the start, and where the store was replaced (a snapshot of
 * the source, a restore, a new epoch), then on the helper, beside the one that is there. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

/** What is loaded, as much of a publisher as holds a state; afterwards what was there before. */
struct pub_load {
	struct sl_task task;
	struct sl_publisher *p, made;
	int rc;
	struct sl_error e;
};

struct rows {
	struct sl_replica *replica;
	int rc;
};

static bool
load_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct rows *l = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);

	l->rc = body ? sl_replica_put(l->replica, k, id, rev, body) : -ENOMEM;
	json_decref(body);
	return l->rc == 0;
}

static int
load_buckets(struct sl_publisher *p)
{
	for (int k = 0; k < SL_KIND_N; k++) {
		struct sl_replica_cursor c = {0};
		struct sl_replica_obj o;

		while (sl_replica_next(p->replica, (enum sl_kind)k, &c, &o)) {
			struct pub_bucket *b = pub_bucket_of(p, o.kind, o.scope);
			struct pub_seen older;

			if (!b || pub_see_text(p, o.kind, o.id, o.text, o.len, &older))
				return -ENOMEM;
			pub_bucket_add(b, &o, &older);
			pub_seen_free(&older);
		}
	}
	return 0;
}

static int
load_rows(struct sl_publisher *p, struct sl_store_snap *snap, struct sl_error *e)
{
	struct rows l = {.replica = sl_replica_new()};
	int n = -ENOMEM;

	p->replica = l.replica;
	while (l.replica && (n = sl_store_snap_next(snap, 1024, load_row, &l)) > 0 && l.rc == 0)
		;
	if (n < 0 || l.rc)
		return sl_fail(e, n < 0 ? n : l.rc, "store_io", "", "the store cannot be loaded");
	if (load_buckets(p))
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	sl_store_snap_pos(snap, &p->epoch, &p->seq, p->chain);
	p->load_seq = p->seq;
	return 0;
}

/** Into a publisher that holds nothing. */
static int
load(struct sl_publisher *p, struct sl_error *e)
{
	struct sl_store_snap *snap = sl_store_snap_open(p->conf.store, e);
	int rc = snap ? load_rows(p, snap, e) : e->err;

	if (snap)
		sl_store_snap_close(snap);
	return rc;
}

static void
unload(struct sl_publisher *p)
{
	sl_replica_free(p->replica);
	pub_buckets_free(p);
	p->replica = NULL;
}

int
pub_load_now(struct sl_publisher *p, struct sl_error *e)
{
	return load(p, e);
}

/* --- beside what is there --------------------------------------------------------------------- */

static void
load_run(struct sl_task *t)
{
	struct pub_load *l = SL_CONTAINER_OF(t, struct pub_load, task);

	l->rc = load(&l->made, &l->e);
}

static void
unload_run(struct sl_task *t)
{
	unload(&SL_CONTAINER_OF(t, struct pub_load, task)->made);
}

static void
unload_done(struct sl_task *t)
{
	struct pub_load *l = SL_CONTAINER_OF(t, struct pub_load, task);

	struct sl_publisher *p = l->p;

	p->unloading = NULL;
	free(l);
	if (p->broken) /* somebody waits for it */
		pub_wake(p);
}

/** Change over; what was there is left to be freed. */
static void
change_over(struct sl_publisher *p, struct sl_publisher *made)
{
	struct sl_publisher was = *p;

	p->replica = made->replica;
	memcpy(p->buckets, made->buckets, sizeof(p->buckets));
	p->epoch = made->epoch;
	p->seq = made->seq;
	p->load_seq = made->load_seq;
	memcpy(p->chain, made->chain, sizeof(p->chain));
	p->broken = false;
	made->replica = was.replica;
	memcpy(made->buckets, was.buckets, sizeof(made->buckets));
	pub_anew(p, &was.epoch);
}

static void
load_done(struct sl_task *t)
{
	struct pub_load *l = SL_CONTAINER_OF(t, struct pub_load, task);
	struct sl_publisher *p = l->p;

	p->loading = NULL;
	if (l->rc) { /* the former state is no longer the store's: again with the next poll */
		p->broken = true;
		sl_log(SL_LOG_ERR, "repl", "the store cannot be loaded: %s", l->e.message);
	} else if (!p->load_again) {
		change_over(p, &l->made);
	}
	p->broken |= p->load_again;
	p->load_again = false;
	p->unloading = l;
	t->run = unload_run;
	t->done = unload_done;
	sl_tasks_give(p->helper, t);
	pub_wake(p);
}

int
pub_load_begin(struct sl_publisher *p, struct sl_error *e)
{
	struct pub_load *l;

	if (p->loading) {
		p->load_again = true;
		return 0;
	}
	if (p->unloading) /* in a moment: there are never three of them */
		return 0;
	l = calloc(1, sizeof(*l));
	if (!l)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	pub_feed_drop(p);
	l->p = p;
	l->made.conf = p->conf;
	l->task.run = load_run;
	l->task.done = load_done;
	p->loading = l;
	sl_tasks_give(p->helper, &l->task);
	return 0;
}

void
pub_load_free(struct pub_load *l)
{
	if (!l)
		return;
	unload(&l->made);
	free(l);
}
