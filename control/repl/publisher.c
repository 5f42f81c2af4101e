/* SPDX-License-Identifier: BSD-3-Clause */
/* The publisher's life: it looks for new rows, lets streams take their turns, beats. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"
#include "sl_rate.h"

#define OUTBOX_MAX ((size_t)8 * 1024 * 1024)
#define SNAPSHOTS_MAX 8
#define SNAPSHOT_STALL_S 30 /* it holds a moment of the store, and a turn */

void
pub_wake(struct sl_publisher *p)
{
	static const struct timeval now = {0};

	if (!evtimer_pending(p->work, NULL))
		evtimer_add(p->work, &now);
}

void
sl_publisher_kick(struct sl_publisher *p)
{
	pub_wake(p);
}

/** Another process may have given the store a new epoch. */
static bool
epoch_changed(struct sl_publisher *p)
{
	struct sl_epoch epoch;

	sl_store_epoch(p->conf.store, &epoch);
	return !sl_epoch_same(&epoch, &p->epoch);
}

int
pub_refresh(struct sl_publisher *p, uint64_t budget_ns, bool *all, struct sl_error *e)
{
	*all = true;
	if (p->loading)
		return 0;
	if (epoch_changed(p) && sl_publisher_reload(p, e))
		return e->err;
	*all = pub_feed(p, UINT64_MAX, budget_ns);
	return p->broken ? sl_publisher_reload(p, e) : 0;
}

/** Streams in turn until the slice is over. @return true if more is to be done at once */
static bool
pump(struct sl_publisher *p, uint64_t end_ns)
{
	bool more = false;

	for (unsigned i = 0, n = p->n_streams; i < n; i++) {
		struct pub_stream *s = TAILQ_FIRST(&p->streams);

		TAILQ_REMOVE(&p->streams, s, link);
		TAILQ_INSERT_TAIL(&p->streams, s, link);
		more |= pub_stream_pump(s, end_ns);
		if (p->broken || sl_clock_mono_ns() >= end_ns)
			return true;
	}
	return more;
}

static void
on_work(evutil_socket_t fd, short what, void *arg)
{
	struct sl_publisher *p = arg;
	uint64_t end_ns = sl_clock_mono_ns() + PUB_SLICE_NS;
	struct sl_error e;
	bool all;

	if (pub_refresh(p, PUB_SLICE_NS, &all, &e)) {
		sl_log(SL_LOG_ERR, "repl", "the store cannot be loaded: %s", e.message);
		return; /* again with the next poll */
	}
	if (p->loading || p->broken)
		return; /* until another one is there */
	pub_waits_check(p);
	if (pump(p, end_ns) || !all)
		pub_wake(p);
}

static void
on_poll(evutil_socket_t fd, short what, void *arg)
{
	struct sl_publisher *p = arg;

	if (p->broken || epoch_changed(p) || sl_store_head(p->conf.store) != p->seq)
		pub_wake(p);
}

static void
on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct sl_publisher *p = arg;

	PUB_EACH (s, p)
		pub_stream_beat(s);
}

int
sl_publisher_reload(struct sl_publisher *p, struct sl_error *e)
{
	struct sl_epoch epoch, was = p->epoch;
	char chain[SL_CHAIN_STR] = "";

	sl_store_epoch(p->conf.store, &epoch);
	/* a new epoch of the same objects needs no loading */
	if (p->broken || p->loading || sl_store_head(p->conf.store) != p->seq ||
	    sl_store_chain(p->conf.store, p->seq, chain) || strcmp(chain, p->chain) != 0)
		return pub_load_begin(p, e);
	p->epoch = epoch;
	pub_anew(p, &was);
	return 0;
}

void
pub_anew(struct sl_publisher *p, const struct sl_epoch *was)
{
	pub_feed_drop(p);
	if (!sl_epoch_same(was, &p->epoch))
		pub_rows_forget(p);
	PUB_EACH (s, p) {
		pub_scope_free(&s->scope);
		pub_stream_snapshot(s, "epoch_changed");
	}
	pub_waits_check(p);
}

static int
start_timers(struct sl_publisher *p)
{
	struct timeval poll = {.tv_usec = PUB_POLL_MS * 1000};
	struct timeval beat = {.tv_sec = p->conf.heartbeat_s};

	p->work = evtimer_new(p->conf.base, on_work, p);
	p->poll = event_new(p->conf.base, -1, EV_PERSIST, on_poll, p);
	p->beat = event_new(p->conf.base, -1, EV_PERSIST, on_beat, p);
	if (!p->work || !p->poll || !p->beat || event_add(p->poll, &poll) ||
	    event_add(p->beat, &beat))
		return -ENOMEM;
	return 0;
}

struct sl_publisher *
sl_publisher_new(const struct sl_publisher_conf *c, struct sl_error *e)
{
	struct sl_publisher *p = calloc(1, sizeof(*p));

	if (!p) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	TAILQ_INIT(&p->streams);
	TAILQ_INIT(&p->past);
	p->conf = *c;
	p->conf.schemas = sl_repl_schemas_or_ours(c->schemas);
	/* one older form is kept, that of the schema before */
	p->conf.schemas.oldest = SL_MAX(p->conf.schemas.oldest, p->conf.schemas.newest - 1);
	p->conf.heartbeat_s = c->heartbeat_s ? c->heartbeat_s : SL_REPL_HEARTBEAT_S;
	p->conf.outbox_max = c->outbox_max ? c->outbox_max : OUTBOX_MAX;
	p->conf.snapshots_max = c->snapshots_max ? c->snapshots_max : SNAPSHOTS_MAX;
	p->conf.snapshot_stall_s = c->snapshot_stall_s ? c->snapshot_stall_s : SNAPSHOT_STALL_S;
	p->asks = sl_rate_new(PUB_ASKS_PER_S, PUB_ASKS_BURST, PUB_ASKS_NODES);
	if (!p->asks || start_timers(p)) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		sl_publisher_free(p);
		return NULL;
	}
	p->helper = sl_tasks_new(c->base, "repl-helper", e);
	if (!p->helper || pub_load_now(p, e)) {
		sl_publisher_free(p);
		return NULL;
	}
	return p;
}

static void
free_event(struct event *ev)
{
	if (ev)
		event_free(ev);
}

/** What the helper has not done. */
static void
end_tasks(struct sl_publisher *p)
{
	struct pub_prep *r;

	pub_feed_drop(p);
	pub_load_free(p->loading);
	pub_load_free(p->unloading);
	pub_prep_free_now(p->prep);
	pub_pasts_free(p);
	while ((r = p->freed)) {
		p->freed = r->next;
		pub_prep_free_now(r);
	}
}

void
sl_publisher_free(struct sl_publisher *p)
{
	if (!p)
		return;
	sl_tasks_free(p->helper);
	p->helper = NULL;
	pub_waits_free(p);
	while (!TAILQ_EMPTY(&p->streams))
		pub_stream_free(TAILQ_FIRST(&p->streams));
	pub_rows_free(p);
	end_tasks(p);
	sl_replica_free(p->replica);
	pub_buckets_free(p);
	sl_rate_free(p->asks);
	free_event(p->work);
	free_event(p->poll);
	free_event(p->beat);
	free(p);
}

uint64_t
sl_publisher_keep_from(const struct sl_publisher *p)
{
	uint64_t oldest = UINT64_MAX;

	PUB_EACH (s, p) {
		if (s->phase == PUB_SNAPSHOT)
			oldest = SL_MIN(oldest, s->snap_seq + 1);
		else if (s->phase == PUB_SCAN || s->phase == PUB_CATCH_UP)
			oldest = SL_MIN(oldest, s->at + 1);
	}
	return oldest;
}

const struct sl_replica *
sl_publisher_replica(const struct sl_publisher *p)
{
	return p->replica;
}
