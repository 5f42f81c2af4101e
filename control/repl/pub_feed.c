/* SPDX-License-Identifier: BSD-3-Clause */
/* The feed: rows of the log go into the replica and, as far as they are in scope, to those who
 * listen. What leaves or enters a scope with the gateway's own record becomes ops of that row. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

/** A row while it is fed. */
struct feed {
	struct sl_publisher *p;
	uint64_t until, end_ns;
	uint64_t seq;
	char **texts; /* of ops, all that were made */
	unsigned n_texts, cap_texts;
	char **raw; /* ops as the log has them, for data stores */
	unsigned n_raw;
	bool failed; /* no memory: the replica may be half way */
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
keep(struct feed *f, char *text)
{
	if (!text || !grow(&f->texts, f->n_texts, &f->cap_texts)) {
		free(text);
		f->failed = true;
		return NULL;
	}
	return f->texts[f->n_texts++] = text;
}

static void
give(struct feed *f, struct pub_stream *s, char *text)
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

/** The put's text in a view; one text where both are the same, so that equal lists are found. */
static char *
put_text(struct feed *f, struct pub_op *op, const struct sl_replica_obj *is,
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
give_all(struct feed *f, struct pub_op *op, const struct sl_replica_obj *is,
	 const struct pub_seen *older)
{
	PUB_EACH (s, f->p) {
		bool has = op->is[s->view] && listens(s) && pub_scope_has(&s->scope, op->to);
		bool had = op->was[s->view] && listens(s) && pub_scope_has(&s->scope, op->from);

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
give_object(struct feed *f, struct pub_stream *s, const struct sl_replica_obj *o, bool enter)
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
give_bucket(struct feed *f, struct pub_stream *s, const struct pub_bucket *b, bool enter)
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

/** What enters and leaves the scope of a stream, as ops; where it is more than an outbox holds, a
 * snapshot is due. */
static void
feed_scope(struct feed *f, struct pub_stream *s, const struct pub_scope *now)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < s->scope.n; i++)
		bytes += pub_scope_has(now, s->scope.has[i]) ? 0 : s->scope.has[i]->bytes;
	for (unsigned i = 0; i < now->n; i++)
		bytes += pub_scope_has(&s->scope, now->has[i]) ? 0 : now->has[i]->bytes;
	if (bytes > f->p->conf.outbox_max) {
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
feed_record(struct feed *f, const char *gateway)
{
	struct pub_bucket *b = pub_bucket(f->p, SL_SCOPE_GATEWAY, gateway);

	if (!b) {
		f->failed = true;
		return;
	}
	b->record_seq = f->seq;
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
feed_was(struct feed *f, struct pub_op *op)
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
	op->from->seq = f->seq;
	op->was[PUB_STORED] = true;
	op->was[PUB_OLDER] = older.there;
	pub_seen_free(&older);
	return 0;
}

/** Take an object out of, or put it into, the replica and its bucket. */
static int
feed_replica(struct feed *f, struct pub_op *op, const json_t *body, struct sl_replica_obj *is,
	     struct pub_seen *older)
{
	struct sl_replica *r = f->p->replica;
	int rc = feed_was(f, op);

	if (rc)
		return rc;
	if (!body)
		return op->from ? sl_replica_del(r, op->kind, op->id) : 0;
	rc = sl_replica_put(r, op->kind, op->id, op->rev, body);
	if (rc || !sl_replica_get(r, op->kind, op->id, is))
		return rc ? rc : -ENOENT;
	op->to = pub_bucket_of(f->p, op->kind, is->scope);
	rc = op->to ? pub_see_body(f->p, op->kind, op->id, body, older) : -ENOMEM;
	if (rc)
		return rc;
	pub_bucket_add(op->to, is, older);
	op->to->seq = f->seq;
	op->is[PUB_STORED] = true;
	op->is[PUB_OLDER] = older->there;
	return 0;
}

static void
feed_op(struct feed *f, const json_t *o)
{
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *what = json_string_value(json_object_get(o, "op"));
	const json_t *body = json_object_get(o, "obj");
	struct pub_op op = {.id = id,
			    .rev = (uint64_t)json_integer_value(json_object_get(o, "rev"))};
	struct sl_replica_obj is = {0};
	struct pub_seen older = {0};

	if (!kind || !id || !what || sl_kind_parse(kind, &op.kind) < 0) {
		sl_log(SL_LOG_ERR, "repl", "transaction %llu: an op of an unknown kind",
		       (unsigned long long)f->seq);
		f->failed = true;
		return;
	}
	if (feed_replica(f, &op, strcmp(what, "put") == 0 ? body : NULL, &is, &older))
		f->failed = true;
	else
		give_all(f, &op, &is, &older);
	pub_seen_free(&older);
	if (!f->failed && op.kind == SL_KIND_GATEWAY)
		feed_record(f, id);
}

static bool
same_ops(const struct pub_stream *a, const struct pub_stream *b)
{
	return a && a->n_ops == b->n_ops &&
	       memcmp(a->ops, b->ops, a->n_ops * sizeof(a->ops[0])) == 0;
}

/** Send the row to those who have a part in it; equal lists of ops become text once. */
static void
deliver(struct feed *f, json_t *txn)
{
	struct pub_lines lines = {0}, all = {0};
	const struct pub_stream *last = NULL;

	PUB_EACH (s, f->p) {
		if (s->phase != PUB_LIVE)
			continue;
		if (s->scope.all) {
			if (!all.n && pub_lines_make(&all, f->p, txn, f->raw, f->n_raw))
				pub_stream_drop(s, "no_memory", "no memory");
			else
				pub_stream_txn(s, &all, f->seq);
			continue;
		}
		if (!s->n_ops)
			continue;
		if (!same_ops(last, s)) {
			pub_lines_free(&lines);
			last = pub_lines_make(&lines, f->p, txn, s->ops, s->n_ops) ? NULL : s;
		}
		if (last)
			pub_stream_txn(s, &lines, f->seq);
		else
			pub_stream_drop(s, "no_memory", "no memory");
	}
	PUB_EACH (s, f->p)
		s->n_ops = 0;
	pub_lines_free(&lines);
	pub_lines_free(&all);
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

static void
feed_raw(struct feed *f, const json_t *ops)
{
	const json_t *o;
	size_t i;

	if (!wants_raw(f->p))
		return;
	f->raw = calloc(json_array_size(ops) + 1, sizeof(f->raw[0]));
	json_array_foreach (ops, i, o) {
		char *text = f->raw ? json_dumps(o, JSON_COMPACT) : NULL;

		if (!text) {
			f->failed = true;
			return;
		}
		f->raw[f->n_raw++] = text;
	}
}

static void
feed_clear(struct feed *f)
{
	for (unsigned i = 0; i < f->n_texts; i++)
		free(f->texts[i]);
	for (unsigned i = 0; i < f->n_raw; i++)
		free(f->raw[i]);
	free(f->texts);
	free(f->raw);
	f->texts = f->raw = NULL;
	f->n_texts = f->cap_texts = f->n_raw = 0;
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

/** Whose credentials changed logs in anew, which is where that is looked at. */
static void
feed_credentials(struct sl_publisher *p, const json_t *o)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	enum sl_kind k;

	if (sl_kind_parse(json_string_value(json_object_get(o, "kind")), &k) < 0 ||
	    (k != SL_KIND_TOKEN && k != SL_KIND_CRL))
		return;
	PUB_EACH (s, p) {
		if (is_credential(s, k, id))
			pub_stream_drop(s, "credential_changed", "log in again");
	}
}

static bool
feed_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct feed *f = ctx;
	struct sl_publisher *p = f->p;
	const char *chain = json_string_value(json_object_get(txn, "chain"));
	json_t *ops = json_object_get(txn, "ops"), *o;
	size_t i;

	if (seq > f->until)
		return false;
	f->seq = seq;
	f->failed = seq != p->seq + 1 || !chain || strlen(chain) >= sizeof(p->chain);
	if (!f->failed)
		feed_raw(f, ops);
	for (i = 0; !f->failed && i < json_array_size(ops); i++)
		feed_op(f, json_array_get(ops, i));
	if (f->failed) {
		p->broken = true;
		feed_clear(f);
		return false;
	}
	p->seq = seq;
	memcpy(p->chain, chain, strlen(chain) + 1);
	deliver(f, txn);
	feed_clear(f);
	json_array_foreach (ops, i, o)
		feed_credentials(p, o);
	return !f->end_ns || sl_clock_mono_ns() < f->end_ns;
}

bool
pub_feed(struct sl_publisher *p, uint64_t until, uint64_t budget_ns)
{
	struct feed f = {.p = p,
			 .until = until,
			 .end_ns = budget_ns ? sl_clock_mono_ns() + budget_ns : 0};
	uint64_t head = SL_MIN(sl_store_head(p->conf.store), until), was = p->seq;
	struct sl_error e;
	int rc;

	if (p->broken || p->seq >= head)
		return true;
	rc = sl_store_log_read(p->conf.store, p->seq + 1, feed_row, &f, &e);
	if (rc < 0) /* again with the next poll */
		sl_log(SL_LOG_ERR, "repl", "the log cannot be read: %s", e.message);
	else if (p->seq == was)
		p->broken = true; /* the rows are gone, or not what they should be */
	if (p->seq != was)
		pub_waits_check(p);
	return rc < 0 || p->broken || p->seq >= SL_MIN(sl_store_head(p->conf.store), until);
}

/* --- loading ---------------------------------------------------------------------------------- */

struct load {
	struct sl_replica *replica;
	int rc;
};

static bool
load_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct load *l = ctx;
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

int
pub_load(struct sl_publisher *p, struct sl_error *e)
{
	struct sl_store_snap *snap = sl_store_snap_open(p->conf.store, e);
	struct load l = {.replica = sl_replica_new()};
	int n = -ENOMEM;

	if (!snap || !l.replica) {
		sl_replica_free(l.replica);
		if (!snap)
			return e->err;
		sl_store_snap_close(snap);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	do {
		n = sl_store_snap_next(snap, 1024, load_row, &l);
	} while (n > 0 && l.rc == 0);
	if (n < 0 || l.rc) {
		sl_store_snap_close(snap);
		sl_replica_free(l.replica);
		return sl_fail(e, n < 0 ? n : l.rc, "store_io", "", "the store cannot be loaded");
	}
	sl_replica_free(p->replica);
	pub_buckets_free(p);
	p->replica = l.replica;
	sl_store_snap_pos(snap, &p->epoch, &p->seq, p->chain);
	p->load_seq = p->seq;
	p->broken = false;
	sl_store_snap_close(snap);
	if (load_buckets(p)) {
		p->broken = true;
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	return 0;
}
