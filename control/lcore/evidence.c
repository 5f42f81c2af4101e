/* SPDX-License-Identifier: BSD-3-Clause */
/* The store: rows by key, merged from the resting tables of the data lcores in slices. Where it is
 * full the rows that were seen longest ago go, a batch at a time and in slices, and count as lost;
 * what is new waits in the resting tables meanwhile. */
#include <stdlib.h>

#include "evidence_int.h"

#define TURN_NS SL_NS_PER_S
#define SLICE 2048	 /* rows of a table, or of the store, in one turn */
#define ROOM_SLICE 16384 /* rows looked at in one turn to make room */
#define EVICT_SHARE 64	 /* one in so many rows goes at a time */
#define SWEEP_NS (600 * SL_NS_PER_S)
#define WHO_MIN 64

/* --- names ---------------------------------------------------------------------------------------
 */

static void
name_copy(char *to, size_t size, const char *name)
{
	size_t n = strnlen(name, size - 1);

	memcpy(to, name, n);
	memset(to + n, 0, size - n);
}

static uint64_t
who_hash(const struct sl_evidence *ev, const char *iface, const char *peer)
{
	char text[16 + 64];

	name_copy(text, 16, iface);
	name_copy(text + 16, 64, peer);
	return sl_siphash(ev->gw->hash_key, text, sizeof(text));
}

static void
who_link(struct sl_evidence *ev, uint32_t at)
{
	struct ev_who *w = &ev->who[at];
	uint32_t *b = &ev->who_bucket[who_hash(ev, w->iface, w->peer) & ev->who_mask];

	w->next = *b;
	*b = at;
}

static int
who_grow(struct sl_evidence *ev)
{
	uint32_t cap = ev->cap_who > 0 ? 2 * ev->cap_who : WHO_MIN, i;
	struct ev_who *who = realloc(ev->who, cap * sizeof(*who));
	uint32_t *bucket;

	if (who == NULL)
		return -ENOMEM;
	ev->who = who;
	bucket = malloc(2 * cap * sizeof(*bucket));
	if (bucket == NULL)
		return -ENOMEM;
	free(ev->who_bucket);
	ev->who_bucket = bucket;
	ev->who_mask = 2 * cap - 1;
	ev->cap_who = cap;
	for (i = 0; i < 2 * cap; i++)
		bucket[i] = EV_NONE;
	for (i = 0; i < ev->n_who; i++)
		if (ev->who[i].iface[0] != '\0')
			who_link(ev, i);
	return 0;
}

/* Names that no row has any more make room, unless somebody holds their places. */
static void
who_reclaim(struct sl_evidence *ev)
{
	uint32_t i;

	if (ev->save == EV_COPY || ev->scans > 0)
		return;
	for (i = 0; i < ev->who_mask + 1 && ev->cap_who > 0; i++)
		ev->who_bucket[i] = EV_NONE;
	ev->free_who = EV_NONE;
	for (i = 0; i < ev->n_who; i++) {
		struct ev_who *w = &ev->who[i];

		if (w->refs > 0) {
			who_link(ev, i);
			continue;
		}
		memset(w, 0, sizeof(*w));
		w->id = SL_PEER_MAX; /* nobody's: 0 is a peer */
		w->next = ev->free_who;
		ev->free_who = i;
	}
}

uint32_t
ev_who_get(struct sl_evidence *ev, const char *iface, const char *peer)
{
	uint32_t at = EV_NONE;
	struct ev_who *w;

	if (ev->cap_who > 0)
		at = ev->who_bucket[who_hash(ev, iface, peer) & ev->who_mask];
	for (; at != EV_NONE; at = ev->who[at].next)
		if (strcmp(ev->who[at].iface, iface) == 0 && strcmp(ev->who[at].peer, peer) == 0)
			return at;
	if (ev->free_who == EV_NONE && ev->n_who == ev->cap_who && who_grow(ev) != 0)
		return EV_NONE;
	at = ev->free_who;
	if (at != EV_NONE)
		ev->free_who = ev->who[at].next;
	else
		at = ev->n_who++;
	w = &ev->who[at];
	memset(w, 0, sizeof(*w));
	name_copy(w->iface, sizeof(w->iface), iface);
	name_copy(w->peer, sizeof(w->peer), peer);
	w->id = SL_PEER_MAX;
	who_link(ev, at);
	return at;
}

static uint64_t
key_digest(const struct sl_evidence *ev, const struct sl_peer *p)
{
	return sl_siphash(ev->gw->hash_key, p->key.b, sizeof(p->key.b));
}

bool
ev_who_here(struct sl_evidence *ev, uint32_t who, uint16_t *iface_id, uint32_t *peer_id)
{
	const struct ev_who *w = &ev->who[who];
	struct gw_iface *f = gw_iface_by_name(ev->gw, w->iface);
	struct gw_peer *p = f != NULL ? gw_peer_by_name(ev->gw, f, w->peer) : NULL;
	struct sl_peer *renamed;

	if (f == NULL)
		return false;
	renamed = p == NULL ? sl_peer_get(ev->gw->dp->peers, w->id) : NULL;
	if (renamed != NULL && key_digest(ev, renamed) == w->key_digest)
		p = renamed->ctl_priv;
	if (p == NULL || p->iface != f)
		return false;
	*iface_id = f->id;
	*peer_id = p->p->id;
	return true;
}

/* The name of a peer that a table speaks of. @return EV_NONE: nobody knows it, or no memory */
static uint32_t
who_of_id(struct sl_evidence *ev, uint32_t id, uint16_t iface_id)
{
	struct sl_peer *p = sl_peer_get(ev->gw->dp->peers, id);
	struct gw_iface *f = gw_iface_by_id(ev->gw, iface_id);
	uint32_t at = id < ev->n_by_id ? ev->by_id[id] : EV_NONE, *by_id, n;

	if (p == NULL || f == NULL) /* gone since: what it was called is known if it was seen */
		return at != EV_NONE && ev->who[at].id == id ? at : EV_NONE;
	if (at != EV_NONE && strcmp(ev->who[at].peer, p->name) == 0 &&
	    strcmp(ev->who[at].iface, f->name) == 0)
		return at;
	if (id >= ev->n_by_id) {
		n = SL_MAX(2 * ev->n_by_id, (id | 1023) + 1);
		by_id = realloc(ev->by_id, n * sizeof(*by_id));
		if (by_id == NULL)
			return EV_NONE;
		memset(by_id + ev->n_by_id, 0xff, (n - ev->n_by_id) * sizeof(*by_id));
		ev->by_id = by_id;
		ev->n_by_id = n;
	}
	at = ev_who_get(ev, f->name, p->name);
	if (at == EV_NONE)
		return at;
	ev->by_id[id] = at;
	ev->who[at].id = id;
	ev->who[at].key_digest = key_digest(ev, p);
	return at;
}

/* --- rows ----------------------------------------------------------------------------------------
 */

static uint32_t *
bucket_of(struct sl_evidence *ev, const struct ev_row *r)
{
	return &ev->bucket[sl_siphash(ev->gw->hash_key, r, EV_KEY_LEN) & ev->mask];
}

void
ev_row_drop(struct sl_evidence *ev, uint32_t at)
{
	struct ev_row *r = &ev->row[at];
	uint32_t *link = bucket_of(ev, r);

	while (*link != at)
		link = &ev->row[*link].next;
	*link = r->next;
	ev->n_seen -= --ev->who[r->who].refs == 0;
	memset(r, 0, sizeof(*r));
	r->next = ev->free;
	ev->free = at;
	ev->used--;
	ev->changes++;
}

/* The k-th smallest, k from 0. */
static uint64_t
kth(uint64_t *v, uint32_t n, uint32_t k)
{
	uint32_t lo = 0, hi = n - 1;

	while (lo < hi) {
		uint64_t pivot = v[lo + (hi - lo) / 2], t;
		uint32_t i = lo - 1, j = hi + 1;

		for (;;) {
			do
				i++;
			while (v[i] < pivot);
			do
				j--;
			while (v[j] > pivot);
			if (i >= j)
				break;
			t = v[i];
			v[i] = v[j];
			v[j] = t;
		}
		if (k <= j)
			hi = j;
		else
			lo = j + 1;
	}
	return v[k];
}

static void
room_gather(struct sl_evidence *ev, uint32_t end)
{
	for (; ev->room_at < end; ev->room_at++)
		if (ev->row[ev->room_at].version != 0)
			ev->last[ev->room_n++] = ev->row[ev->room_at].last_ns;
}

/* How old a row is that goes, and how many of the newest of those. */
static void
room_limit(struct sl_evidence *ev)
{
	uint32_t k = SL_MIN(SL_MAX(ev->max / EVICT_SHARE, 1U), ev->room_n), i;

	ev->room_limit_ns = kth(ev->last, ev->room_n, k - 1);
	ev->room_equal = k;
	for (i = 0; i < ev->room_n; i++)
		ev->room_equal -= ev->last[i] < ev->room_limit_ns;
}

static void
room_drop(struct sl_evidence *ev, uint32_t end)
{
	for (; ev->room_at < end; ev->room_at++) {
		const struct ev_row *r = &ev->row[ev->room_at];

		if (r->version == 0 || r->last_ns > ev->room_limit_ns)
			continue;
		if (r->last_ns == ev->room_limit_ns && ev->room_equal == 0)
			continue;
		ev->room_equal -= r->last_ns == ev->room_limit_ns;
		ev_lost_add(ev, r->hour, SL_MAX(r->flows, 1U));
		ev_row_drop(ev, ev->room_at);
	}
}

/* A step of making room: look at all rows, find the limit, drop what is older. */
static void
room_step(struct sl_evidence *ev, uint32_t budget)
{
	uint32_t end = (uint32_t)SL_MIN((uint64_t)ev->room_at + budget, ev->n_slots);

	switch (ev->room) {
	case EV_ROOM_GATHER:
		room_gather(ev, end);
		if (ev->room_at == ev->n_slots)
			ev->room = ev->room_n > 0 ? EV_ROOM_LIMIT : EV_ROOM_IDLE;
		return;
	case EV_ROOM_LIMIT:
		room_limit(ev);
		ev->room_at = 0;
		ev->room = EV_ROOM_DROP;
		return;
	case EV_ROOM_DROP:
		room_drop(ev, end);
		if (ev->room_at == ev->n_slots)
			ev->room = EV_ROOM_IDLE;
		return;
	default:
		return;
	}
}

static void
room_begin(struct sl_evidence *ev)
{
	if (ev->room != EV_ROOM_IDLE)
		return;
	ev->room = EV_ROOM_GATHER;
	ev->room_at = ev->room_n = 0;
}

/* All of it at once, where nobody waits: at a start and at the end. */
static void
evict(struct sl_evidence *ev)
{
	while (ev->used == ev->max) {
		room_begin(ev);
		while (ev->room != EV_ROOM_IDLE)
			room_step(ev, UINT32_MAX);
	}
}

static struct ev_row *
find_row(struct sl_evidence *ev, const struct ev_row *r)
{
	uint32_t at = *bucket_of(ev, r);

	while (at != EV_NONE && memcmp(&ev->row[at], r, EV_KEY_LEN) != 0)
		at = ev->row[at].next;
	return at != EV_NONE ? &ev->row[at] : NULL;
}

int
ev_row_add(struct sl_evidence *ev, const struct ev_row *r)
{
	struct ev_row *o = find_row(ev, r);
	uint32_t at, *b;

	ev->changes++;
	ev->newest_ns = SL_MAX(ev->newest_ns, r->last_ns);
	ev->oldest_ns = SL_MIN(ev->oldest_ns, r->first_ns);
	ev->sweep_oldest_ns = SL_MIN(ev->sweep_oldest_ns, r->first_ns);
	if (o != NULL) {
		o->flows += r->flows;
		o->packets += r->packets;
		o->bytes += r->bytes;
		o->first_ns = SL_MIN(o->first_ns, r->first_ns);
		if (r->last_ns >= o->last_ns) {
			o->last_ns = r->last_ns;
			o->rule_id = r->rule_id;
			o->role_id = r->role_id;
		}
		return 0;
	}
	ev->n_seen += ev->who[r->who].refs++ == 0; /* before rows go, so that the name stays */
	if (ev->used == ev->max)
		evict(ev);
	at = ev->free;
	if (at != EV_NONE)
		ev->free = ev->row[at].next;
	else
		at = ev->n_slots++;
	o = &ev->row[at];
	*o = *r;
	b = bucket_of(ev, o);
	o->next = *b;
	*b = at;
	ev->used++;
	return 0;
}

static void
show(struct sl_evidence *ev, const struct sl_agg_row *a, const struct ev_row *r)
{
	struct sl_evidence_row out = {.key = a->key,
				      .hour = r->hour,
				      .flows = r->flows,
				      .packets = r->packets,
				      .bytes = r->bytes,
				      .first_wall_ns = r->first_ns,
				      .last_wall_ns = r->last_ns,
				      .rule_id = r->rule_id,
				      .role_id = r->role_id,
				      .why = a->why};

	if (ev->tap == NULL)
		return;
	memcpy(out.peer, ev->who[r->who].peer, sizeof(out.peer));
	ev->tap(ev->tap_ctx, &out, 0);
}

void
sl_evidence_tap(struct sl_evidence *ev,
		void (*fn)(void *ctx, const struct sl_evidence_row *r, uint64_t lost_flows),
		void *ctx)
{
	ev->tap = fn;
	ev->tap_ctx = ctx;
}

/* @return false: it waits until there is room */
static bool
merge_row(struct sl_evidence *ev, const struct sl_agg_row *a, uint64_t offset_ns, bool last)
{
	struct ev_row r = {.sport = a->key.sport,
			   .dport = a->key.dport,
			   .proto = a->key.proto,
			   .version = a->key.version,
			   .flags = a->key.flags,
			   .rule_id = a->rule_id,
			   .role_id = a->role_id,
			   .flows = a->flows,
			   .packets = a->packets,
			   .bytes = a->bytes,
			   .first_ns = a->first_ns + offset_ns,
			   .last_ns = a->last_ns + offset_ns};

	memcpy(r.src, a->key.src, 16);
	memcpy(r.dst, a->key.dst, 16);
	r.hour = (uint32_t)(r.last_ns / EV_HOUR_NS);
	r.who = who_of_id(ev, a->key.peer_id, a->key.iface);
	if (r.who == EV_NONE || (r.version != 4 && r.version != 6)) {
		ev_lost_add(ev, r.hour, SL_MAX(a->flows, 1U));
		if (ev->tap != NULL)
			ev->tap(ev->tap_ctx, NULL, SL_MAX(a->flows, 1U));
		return true;
	}
	if (ev->used == ev->max && !last && find_row(ev, &r) == NULL) {
		room_begin(ev);
		return false;
	}
	show(ev, a, &r);
	ev_row_add(ev, &r);
	return true;
}

/* --- collecting ----------------------------------------------------------------------------------
 */

/* @return rows merged; *more: the budget or the room ended before the table */
static unsigned
merge_table(struct sl_evidence *ev, unsigned i, struct sl_agg_table *t, unsigned budget, bool last,
	    bool *more)
{
	uint64_t offset = gw_wall_ns(ev->gw) - gw_mono_ns(ev->gw);
	uint32_t end = SL_MIN((uint64_t)ev->at[i] + budget, t->used);
	struct sl_agg_row row;
	unsigned n = 0;

	if (ev->at[i] < end)
		rule_counts_sync(ev->rules);
	for (; ev->at[i] < end; ev->at[i]++) {
		sl_agg_row_get(t, ev->at[i], &row);
		if (!merge_row(ev, &row, offset, last))
			break;
		rule_counts_add(ev->rules, row.role_id, row.rule_id, row.flows, row.packets);
		n++;
	}
	*more = ev->at[i] < t->used;
	if (!*more && t->lost > 0) {
		ev_lost_add(ev, (uint32_t)(ev_now(ev) / EV_HOUR_NS), t->lost);
		if (ev->tap != NULL)
			ev->tap(ev->tap_ctx, NULL, t->lost);
	}
	return n;
}

static unsigned
collect(struct sl_evidence *ev, unsigned budget, bool last)
{
	uint64_t now = gw_mono_ns(ev->gw), end = UINT64_MAX;
	unsigned i, n = 0;

	for (i = 0; i < ev->n_agg; i++) {
		struct sl_agg_table *t = sl_agg_resting(ev->agg[i]);
		bool more = false;

		/* what rested at the turn before this one ends with the second that passed */
		if (t != NULL && (ev->at[i] > 0 || last || now - ev->turned_ns[i] >= TURN_NS)) {
			n += merge_table(ev, i, t, budget, last, &more);
			if (!more) {
				ev->at[i] = 0;
				ev->merged_ns[i] = gw_wall_ns(ev->gw) - (now - ev->turned_ns[i]);
				ev->turned_ns[i] = now;
				sl_agg_turn(ev->agg[i]);
			}
		}
		end = SL_MIN(end, ev->merged_ns[i]);
	}
	if (ev->n_agg > 0)
		ev_span_end(ev, end);
	return n;
}

/* What is older than 30 days goes, a slice a turn. */
static void
sweep(struct sl_evidence *ev)
{
	uint64_t now = ev_now(ev), oldest = now - SL_EVIDENCE_KEEP_S * SL_NS_PER_S;
	uint32_t end = SL_MIN(ev->sweep + SLICE, ev->n_slots);

	if (ev->sweep == 0 && gw_mono_ns(ev->gw) - ev->swept_ns < SWEEP_NS)
		return;
	if (ev->sweep == 0)
		ev->sweep_oldest_ns = UINT64_MAX;
	for (; ev->sweep < end; ev->sweep++) {
		const struct ev_row *r = &ev->row[ev->sweep];

		if (r->version != 0 && r->last_ns < oldest)
			ev_row_drop(ev, ev->sweep);
		else if (r->version != 0)
			ev->sweep_oldest_ns = SL_MIN(ev->sweep_oldest_ns, r->first_ns);
	}
	if (ev->sweep < ev->n_slots)
		return;
	ev->oldest_ns = ev->sweep_oldest_ns;
	ev->sweep = 0;
	ev->swept_ns = gw_mono_ns(ev->gw);
	ev_cover_prune(ev, now);
	who_reclaim(ev);
}

unsigned
sl_evidence_poll(struct sl_evidence *ev)
{
	unsigned n = collect(ev, SLICE, false);

	n += ev->room != EV_ROOM_IDLE;
	room_step(ev, ROOM_SLICE);
	sweep(ev);
	ev_save_poll(ev);
	return n;
}

/* --- life ----------------------------------------------------------------------------------------
 */

static int
init(struct sl_evidence *ev, const struct sl_evidence_conf *c)
{
	uint32_t size = 16, i;

	ev->max = c->rows_max > 0 ? c->rows_max : SL_EVIDENCE_ROWS;
	while (size < ev->max)
		size *= 2;
	ev->mask = size - 1;
	ev->row = calloc(ev->max, sizeof(*ev->row)); /* touched as it fills */
	ev->last = malloc(ev->max * sizeof(*ev->last));
	ev->bucket = malloc(size * sizeof(*ev->bucket));
	ev->dir = c->state_dir != NULL ? strdup(c->state_dir) : NULL;
	ev->rules = rule_counts_new(ev->gw);
	if (ev->rules == NULL || ev->row == NULL || ev->last == NULL || ev->bucket == NULL ||
	    (c->state_dir != NULL && ev->dir == NULL))
		return -ENOMEM;
	for (i = 0; i < size; i++)
		ev->bucket[i] = EV_NONE;
	ev->free = ev->free_who = EV_NONE;
	ev->oldest_ns = ev->sweep_oldest_ns = UINT64_MAX;
	return 0;
}

static void
release(struct sl_evidence *ev)
{
	gw_helper_free(ev->helper);
	rule_counts_free(ev->rules);
	free(ev->job.rows);
	free(ev->row);
	free(ev->last);
	free(ev->bucket);
	free(ev->who);
	free(ev->who_bucket);
	free(ev->by_id);
	free(ev->dir);
	free(ev);
}

struct sl_evidence *
sl_evidence_new(const struct sl_evidence_conf *c, struct sl_error *e)
{
	struct sl_evidence *ev = calloc(1, sizeof(*ev));
	unsigned i;

	if (ev == NULL || c->n_agg > SL_WORKER_MAX) {
		free(ev);
		gw_no_memory(e);
		return NULL;
	}
	ev->gw = c->gw;
	ev->n_agg = c->n_agg;
	if (init(ev, c) != 0) {
		gw_no_memory(e);
		release(ev);
		return NULL;
	}
	if (ev->dir != NULL) {
		ev_load(ev);
		ev->helper =
			c->lockstep ? NULL : gw_helper_new(c->helper_cpus, c->n_helper_cpus, e);
		if (ev->helper == NULL && !c->lockstep) {
			release(ev);
			return NULL;
		}
	}
	for (i = 0; i < c->n_agg; i++) {
		ev->agg[i] = c->agg[i];
		ev->turned_ns[i] = gw_mono_ns(ev->gw);
		ev->merged_ns[i] = ev_now(ev);
	}
	if (ev->n_agg > 0)
		ev_span_begin(ev, ev_now(ev));
	ev->saved_ns = ev->swept_ns = gw_mono_ns(ev->gw);
	return ev;
}

void
sl_evidence_free(struct sl_evidence *ev)
{
	unsigned i, round;

	if (ev == NULL)
		return;
	/* both sides of each table; its worker has ended, so its part is ours */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ev->n_agg; i++)
			sl_agg_poll(ev->agg[i]);
		collect(ev, UINT32_MAX, true);
	}
	if (ev->n_agg > 0)
		ev_span_end(ev, ev_now(ev));
	if (ev->dir != NULL)
		ev_save_now(ev);
	release(ev);
}

static void
forget_times(struct sl_evidence *ev)
{
	ev->n_spans = ev->n_lost = 0;
	ev->newest_ns = 0;
	ev->oldest_ns = ev->sweep_oldest_ns = UINT64_MAX;
}

void
ev_drop_all(struct sl_evidence *ev)
{
	uint32_t i;

	for (i = 0; i < ev->n_slots; i++)
		if (ev->row[i].version != 0)
			ev_row_drop(ev, i);
	forget_times(ev);
}

/* What was in the arrays: freed on the helper. */
struct ev_old {
	struct gw_task task;
	struct ev_row *row;
	uint32_t *bucket;
};

static void
free_old(struct gw_task *t)
{
	struct ev_old *o = SL_CONTAINER_OF(t, struct ev_old, task);

	free(o->row);
	free(o->bucket);
	free(o);
}

/* Fresh arrays in place of those with rows. */
static int
forget(struct sl_evidence *ev)
{
	struct ev_row *row = calloc(ev->max, sizeof(*row));
	size_t size = ((size_t)ev->mask + 1) * sizeof(*ev->bucket);
	struct ev_old *old = malloc(sizeof(*old));
	uint32_t *bucket = malloc(size), i;

	if (row == NULL || old == NULL || bucket == NULL) {
		free(row);
		free(old);
		free(bucket);
		return -ENOMEM;
	}
	memset(bucket, 0xff, size); /* EV_NONE */
	*old = (struct ev_old){.task = {.run = free_old, .detached = true},
			       .row = ev->row,
			       .bucket = ev->bucket};
	gw_helper_give(ev->helper, &old->task);
	ev->row = row;
	ev->bucket = bucket;
	ev->n_slots = ev->used = ev->n_seen = ev->sweep = 0;
	ev->free = EV_NONE;
	ev->room = EV_ROOM_IDLE;
	for (i = 0; i < ev->n_who; i++)
		ev->who[i].refs = 0;
	ev->changes++;
	forget_times(ev);
	return 0;
}

int
sl_evidence_clear(struct sl_evidence *ev, void (*done)(void *ctx), void *ctx, struct sl_error *e)
{
	unsigned i;

	if (ev->clear_done != NULL)
		return sl_fail(e, -EBUSY, "evidence_busy", "", "it is being cleared already");
	if (forget(ev) != 0)
		return gw_no_memory(e);
	for (i = 0; i < ev->n_agg; i++)
		ev->merged_ns[i] = ev_now(ev);
	if (ev->n_agg > 0)
		ev_span_begin(ev, ev_now(ev));
	if (ev->dir == NULL) {
		if (done != NULL)
			done(ctx);
		return 0;
	}
	ev->clear_done = done;
	ev->clear_ctx = ctx;
	ev_save_again(ev);
	if (done == NULL)
		ev_save_now(ev);
	return 0;
}

unsigned
sl_evidence_rules(struct sl_evidence *ev, uint64_t *generation, unsigned *omitted)
{
	rule_counts_sync(ev->rules);
	return rule_counts_n(ev->rules, generation, omitted);
}

void
sl_evidence_rule(const struct sl_evidence *ev, unsigned i, uint64_t *flows, uint64_t *packets)
{
	rule_counts_get(ev->rules, i, flows, packets);
}

unsigned
sl_evidence_rows(const struct sl_evidence *ev)
{
	return ev->used;
}
