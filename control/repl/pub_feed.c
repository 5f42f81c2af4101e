/* SPDX-License-Identifier: BSD-3-Clause */
/* The feed: rows of the log go into the replica and, as far as they are in scope, to those who
 * listen. What leaves or enters a scope with the gateway's own record becomes ops of that row. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

/** A row while it is fed, and until it was sent to all. */
struct pub_feed {
	struct sl_publisher *p;
	struct pub_prep *row;
	char **texts; /* of ops, those that the row has not */
	unsigned n_texts, cap_texts;
	/* of the op that was looked at last: who has it is known */
	const struct pub_bucket *from, *to;
	bool known;
	bool failed;		/* no memory: the replica may be half way */
	struct pub_lines all;	/* for data stores */
	struct pub_lines lines; /* for who has these ops */
	char **ops;
	unsigned n_ops;
};

static bool
grow(char ***v, unsigned n, unsigned *cap)
{
	char **more;

	if (n < *cap)
		return true;
	more = realloc(*v, (*cap ? 2 * (size_t)*cap : 16) * sizeof(**v));
	if (!more)
		return false;
	*v = more;
	*cap = *cap ? 2 * *cap : 16;
	return true;
}

/** Keep a text until the row is sent. @return it, NULL without memory */
static char *
keep(struct pub_feed *f, char *text)
{
	if (!text || !grow(&f->texts, f->n_texts, &f->cap_texts)) {
		free(text);
		f->failed = true;
		return NULL;
	}
	return f->texts[f->n_texts++] = text;
}

static void
give(struct pub_feed *f, struct pub_stream *s, char *text)
{
	if (!text || !grow(&s->ops, s->n_ops, &s->cap_ops)) {
		f->failed = true;
		return;
	}
	s->ops[s->n_ops++] = text;
}

static bool
listens(const struct pub_stream *s)
{
	return s->phase == PUB_LIVE && !s->scope.all;
}

/** Who has the op's object in scope, who had it? Those of one bucket have it all alike. */
static void
look(struct pub_feed *f, const struct pub_op *op)
{
	if (f->known && f->from == op->from && f->to == op->to)
		return;
	PUB_EACH (s, f->p) {
		s->has = op->to && listens(s) && pub_scope_has(&s->scope, op->to);
		s->had = op->from && listens(s) && pub_scope_has(&s->scope, op->from);
	}
	f->from = op->from;
	f->to = op->to;
	f->known = true;
}

/** The put's text in a view; one text where both are the same, so that equal lists are found. */
static char *
put_text(struct pub_feed *f, struct pub_op *op, const struct sl_replica_obj *is,
	 const struct pub_seen *older, enum pub_view view)
{
	bool own = view == PUB_OLDER && older->own;
	char **text = &op->put[own ? PUB_OLDER : PUB_STORED];

	if (!*text)
		*text = keep(f, pub_op_text(op->kind, op->id, op->rev, own ? older->text : is->text,
					    own ? older->len : is->len, false));
	return *text;
}

/** Give an op to those who have the object in scope, or had it. */
static void
give_all(struct pub_feed *f, struct pub_op *op, const struct sl_replica_obj *is,
	 const struct pub_seen *older)
{
	look(f, op);
	PUB_EACH (s, f->p) {
		bool has = s->has && op->is[s->view], had = s->had && op->was[s->view];

		if (!has && had && !op->del)
			op->del = keep(f, pub_op_text(op->kind, op->id, op->rev, NULL, 0, op->to));
		if (has)
			give(f, s, put_text(f, op, is, older, s->view));
		else if (had)
			give(f, s, op->del);
	}
}

/** An object enters the scope of a stream, or leaves it. */
static void
give_object(struct pub_feed *f, struct pub_stream *s, const struct sl_replica_obj *o, bool enter)
{
	struct pub_seen seen = {.there = true, .text = o->text, .len = o->len};

	if (s->view == PUB_OLDER && pub_see_text(f->p, o->kind, o->id, o->text, o->len, &seen))
		f->failed = true;
	if (seen.there)
		give(f, s,
		     keep(f, pub_op_text(o->kind, o->id, o->rev, enter ? seen.text : NULL, seen.len,
					 !enter)));
	pub_seen_free(&seen);
}

/** All objects of a bucket enter the scope of a stream, or leave it. */
static void
give_bucket(struct pub_feed *f, struct pub_stream *s, const struct pub_bucket *b, bool enter)
{
	for (int k = 0; k < SL_KIND_N; k++) {
		struct sl_replica_cursor c = {0};
		struct sl_replica_obj o;

		if (sl_kind_scope((enum sl_kind)k) != b->scope)
			continue;
		while (sl_replica_next(f->p->replica, (enum sl_kind)k, &c, &o)) {
			if (strcmp(o.scope, b->name) == 0)
				give_object(f, s, &o, enter);
		}
	}
}

/** What enters and leaves the scope of a stream, as ops; where it is much, a snapshot is due. */
static void
feed_scope(struct pub_feed *f, struct pub_stream *s, const struct pub_scope *now)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < s->scope.n; i++)
		bytes += pub_scope_has(now, s->scope.has[i]) ? 0 : s->scope.has[i]->bytes;
	for (unsigned i = 0; i < now->n; i++)
		bytes += pub_scope_has(&s->scope, now->has[i]) ? 0 : now->has[i]->bytes;
	if (bytes > SL_MIN(f->p->conf.outbox_max, PUB_SCOPE_BYTES)) {
		pub_stream_snapshot(s, "scope_changed");
		return;
	}
	for (unsigned i = 0; i < s->scope.n; i++) {
		if (!pub_scope_has(now, s->scope.has[i]))
			give_bucket(f, s, s->scope.has[i], false);
	}
	for (unsigned i = 0; i < now->n; i++) {
		if (!pub_scope_has(&s->scope, now->has[i]))
			give_bucket(f, s, now->has[i], true);
	}
}

/** The record of a gateway changed: its scope may be another. */
static void
feed_record(struct pub_feed *f, const char *gateway)
{
	struct pub_bucket *b = pub_bucket(f->p, SL_SCOPE_GATEWAY, gateway);

	if (!b) {
		f->failed = true;
		return;
	}
	b->record_seq = f->row->seq;
	f->known = false;
	PUB_EACH (s, f->p) {
		struct pub_scope now = {0};

		if (!listens(s) || strcmp(s->node, gateway) != 0)
			continue;
		memcpy(now.node, s->node, sizeof(now.node));
		if (pub_scope_read(f->p, &now)) {
			f->failed = true;
			return;
		}
		feed_scope(f, s, &now);
		pub_scope_free(&s->scope);
		s->scope = now;
	}
}

/** Take what was there out of its bucket. */
static int
feed_was(struct pub_feed *f, struct pub_op *op)
{
	struct sl_replica_obj was;
	struct pub_seen older;
	int rc;

	if (!sl_replica_get(f->p->replica, op->kind, op->id, &was))
		return 0;
	op->from = pub_bucket_of(f->p, op->kind, was.scope);
	rc = op->from ? pub_see_text(f->p, op->kind, op->id, was.text, was.len, &older) : -ENOMEM;
	if (rc)
		return rc;
	pub_bucket_sub(op->from, &was, &older);
	op->from->seq = f->row->seq;
	op->was[PUB_STORED] = true;
	op->was[PUB_OLDER] = older.there;
	pub_seen_free(&older);
	return 0;
}

/** Take an object out of, or put it into, the replica and its bucket. */
static int
feed_replica(struct pub_feed *f, struct pub_op *op, struct pub_ready *ready,
	     struct sl_replica_obj *is)
{
	struct sl_replica *r = f->p->replica;
	int rc = feed_was(f, op);

	if (rc)
		return rc;
	if (!ready->put)
		return op->from ? sl_replica_del(r, op->kind, op->id) : 0;
	sl_replica_show(op->kind, ready->obj, is);
	rc = sl_replica_enter(r, op->kind, ready->obj);
	if (rc)
		return rc;
	ready->obj = NULL;
	op->to = pub_bucket_of(f->p, op->kind, is->scope);
	if (!op->to)
		return -ENOMEM;
	pub_bucket_add(op->to, is, &ready->older);
	op->to->seq = f->row->seq;
	op->is[PUB_STORED] = true;
	op->is[PUB_OLDER] = ready->older.there;
	return 0;
}

static void
feed_op(struct pub_feed *f, struct pub_ready *ready)
{
	struct pub_op op = {.kind = ready->kind,
			    .id = ready->id,
			    .rev = ready->rev,
			    .put = {[PUB_STORED] = ready->text}};
	struct sl_replica_obj is = {0};

	if (feed_replica(f, &op, ready, &is)) {
		f->failed = true;
		return;
	}
	give_all(f, &op, &is, &ready->older);
	if (op.kind == SL_KIND_GATEWAY)
		feed_record(f, op.id);
}

/* --- sending ---------------------------------------------------------------------------------- */

/** The lines of ops; the same list, one after the other, becomes text once. */
static const struct pub_lines *
lines_of(struct pub_feed *f, const struct pub_stream *s)
{
	if (f->lines.n && f->n_ops == s->n_ops &&
	    memcmp(f->ops, s->ops, s->n_ops * sizeof(s->ops[0])) == 0)
		return &f->lines;
	pub_lines_free(&f->lines);
	free(f->ops);
	f->n_ops = s->n_ops;
	f->ops = malloc(s->n_ops * sizeof(s->ops[0]));
	if (!f->ops || pub_lines_make(&f->lines, f->p, f->row->txn, s->ops, s->n_ops))
		return NULL;
	memcpy(f->ops, s->ops, s->n_ops * sizeof(s->ops[0]));
	return &f->lines;
}

/** The ops as the log has them. */
static const struct pub_lines *
all_lines(struct pub_feed *f)
{
	struct pub_prep *r = f->row;
	char **raw;

	if (f->all.n)
		return &f->all;
	raw = calloc(r->n + 1, sizeof(*raw));
	for (unsigned i = 0; raw && i < r->n; i++) {
		struct pub_ready *op = &r->ops[i];

		if (!op->raw) /* nobody wanted it when the row was made ready */
			op->raw = json_dumps(json_array_get(json_object_get(r->txn, "ops"), i),
					     JSON_COMPACT);
		raw[i] = op->raw;
		if (!raw[i]) {
			free(raw);
			return NULL;
		}
	}
	if (raw && pub_lines_make(&f->all, f->p, r->txn, raw, r->n)) {
		free(raw);
		return NULL;
	}
	free(raw);
	return f->all.n ? &f->all : NULL;
}

static void
deliver_to(struct pub_feed *f, struct pub_stream *s)
{
	const struct pub_lines *l;

	s->owed = false;
	if (s->phase != PUB_LIVE) {
		s->n_ops = 0;
		return;
	}
	l = s->scope.all ? all_lines(f) : lines_of(f, s);
	s->n_ops = 0;
	if (l)
		pub_stream_txn(s, l, f->row->seq);
	else
		pub_stream_drop(s, "no_memory", "no memory");
}

/** Does a change of this object concern how somebody has logged in? */
static bool
is_credential(const struct pub_stream *s, enum sl_kind k, const char *id)
{
	const struct sl_tls_id *cert = sl_rpc_conn_id(s->conn);

	if (k == SL_KIND_TOKEN)
		return strncmp(s->principal, "token:", 6) == 0 && strcmp(s->principal + 6, id) == 0;
	if (strncmp(id, "cert:", 5) == 0)
		return cert != NULL && strcmp(cert->serial, id + 5) == 0;
	return strcmp(s->principal, id) == 0;
}

/** A token is made once and never changed. Its holder may be here before the row that made it. */
static bool
ends_logins(const struct pub_ready *op)
{
	return op->kind == SL_KIND_CRL || (op->kind == SL_KIND_TOKEN && !op->put);
}

/** Whose credentials changed logs in anew, which is where that is looked at. */
static void
feed_credentials(struct pub_feed *f)
{
	for (unsigned i = 0; i < f->row->n; i++) {
		const struct pub_ready *op = &f->row->ops[i];

		if (!ends_logins(op))
			continue;
		PUB_EACH (s, f->p) {
			if (is_credential(s, op->kind, op->id))
				pub_stream_drop(s, "credential_changed", "log in again");
		}
	}
}

static void
feed_free(struct pub_feed *f)
{
	PUB_EACH (s, f->p) {
		s->owed = false;
		s->n_ops = 0;
	}
	for (unsigned i = 0; i < f->n_texts; i++)
		free(f->texts[i]);
	free(f->texts);
	free(f->ops);
	pub_lines_free(&f->all);
	pub_lines_free(&f->lines);
	pub_prep_free(f->row);
	free(f);
}

void
pub_feed_drop(struct sl_publisher *p)
{
	if (p->feed)
		feed_free(p->feed);
	p->feed = NULL;
}

/** Send the row to those who have a part in it. @return false: not to all yet */
static bool
deliver(struct sl_publisher *p, uint64_t end_ns)
{
	struct pub_feed *f = p->feed;

	PUB_EACH (s, p) {
		if (!s->owed)
			continue;
		deliver_to(f, s);
		if (end_ns && sl_clock_mono_ns() >= end_ns)
			return false;
	}
	feed_credentials(f);
	pub_feed_drop(p);
	return true;
}

/* --- rows ------------------------------------------------------------------------------------- */

/** A row that is ready becomes the replica's, and is owed to whom it concerns. */
static void
feed_row(struct sl_publisher *p, struct pub_prep *r)
{
	struct pub_feed *f = calloc(1, sizeof(*f));

	if (!f) {
		p->broken = true;
		pub_prep_free(r);
		return;
	}
	f->p = p;
	f->row = r;
	f->failed = r->failed || r->seq != p->seq + 1;
	for (unsigned i = 0; !f->failed && i < r->n; i++)
		feed_op(f, &r->ops[i]);
	if (f->failed) {
		p->broken = true;
		feed_free(f);
		return;
	}
	p->seq = r->seq;
	memcpy(p->chain, r->chain, sizeof(p->chain));
	PUB_EACH (s, p)
		s->owed = s->phase == PUB_LIVE && (s->scope.all || s->n_ops);
	p->feed = f;
}

static void
row_ready(struct sl_task *t)
{
	struct pub_prep *r = SL_CONTAINER_OF(t, struct pub_prep, task);
	struct sl_publisher *p = r->p;

	p->prep = NULL;
	if (p->broken || p->loading) { /* made for a replica that goes */
		pub_prep_free(r);
		return;
	}
	feed_row(p, r);
	pub_waits_check(p);
	pub_wake(p);
}

static bool
wants_raw(const struct sl_publisher *p)
{
	PUB_EACH (s, p) {
		if (s->phase == PUB_LIVE && s->scope.all)
			return true;
	}
	return false;
}

struct reading {
	struct sl_publisher *p;
	uint64_t until, end_ns;
};

/** A row: fed and sent here and now, or given to the helper. */
static bool
read_row(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	struct reading *w = ctx;
	struct sl_publisher *p = w->p;
	struct pub_prep *r;

	if (seq > w->until)
		return false;
	r = pub_prep_new(p, seq, chain ? chain : "");
	if (r && len > PUB_ROW_BYTES && pub_prep_give(r, text, len, row_ready) == 0) {
		p->prep = r;
		return false;
	}
	if (r) {
		pub_prep_make(r, text, len, wants_raw(p), false);
		feed_row(p, r);
	}
	p->broken |= !r;
	if (p->broken || !deliver(p, w->end_ns))
		return false;
	return !w->end_ns || sl_clock_mono_ns() < w->end_ns;
}

/** What is there up to `until`? */
static uint64_t
goal(struct sl_publisher *p, uint64_t until)
{
	return SL_MIN(sl_store_head(p->conf.store), until);
}

bool
pub_feed(struct sl_publisher *p, uint64_t until, uint64_t budget_ns)
{
	uint64_t end_ns = budget_ns ? sl_clock_mono_ns() + budget_ns : 0, was = p->seq;
	struct reading w = {p, until, end_ns};
	struct sl_error e;
	int rc;

	if (p->feed && !deliver(p, end_ns))
		return false;
	if (p->broken || p->prep || p->loading || p->seq >= goal(p, until))
		return true;
	rc = sl_store_log_walk(p->conf.store, p->seq + 1, read_row, &w, &e);
	if (rc < 0) /* again with the next poll */
		sl_log(SL_LOG_ERR, "repl", "the log cannot be read: %s", e.message);
	else if (p->seq == was && !p->prep)
		p->broken = true; /* the rows are gone, or not what they should be */
	if (p->seq != was)
		pub_waits_check(p);
	return rc < 0 || p->broken || p->prep || (!p->feed && p->seq >= goal(p, until));
}
