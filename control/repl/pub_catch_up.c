/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows of the log for one who was away, until it stands where the feed is. */
#include <stdlib.h>

#include "pub_int.h"
#include "sl_log.h"

struct catch_up {
	struct pub_stream *s;
	uint64_t end_ns;
};

static bool
has_named(struct pub_stream *s, enum sl_kind k, const char *scope)
{
	struct pub_bucket *b = pub_bucket_of(s->p, k, scope ? scope : "");

	return b && pub_scope_has(&s->scope, b);
}

static char *
take(char **made)
{
	char *text = *made;

	*made = NULL;
	return text;
}

/** The text of a past op for this scope; NULL: nothing of it is. @param made on the helper, is
 * taken; NULL: it was not */
static char *
past_op(struct pub_stream *s, const json_t *o, char **made, bool *failed)
{
	const char *scope = json_string_value(json_object_get(o, "scope"));
	const char *was = json_string_value(json_object_get(o, "was"));
	const char *id = json_string_value(json_object_get(o, "id"));
	const char *kind = json_string_value(json_object_get(o, "kind"));
	const char *what = json_string_value(json_object_get(o, "op"));
	uint64_t rev = (uint64_t)json_integer_value(json_object_get(o, "rev"));
	const json_t *body = json_object_get(o, "obj");
	char *out;
	enum sl_kind k;

	if (s->scope.all) {
		out = made ? take(made) : json_dumps(o, JSON_COMPACT);
		*failed |= !out;
		return out;
	}
	if (!id || !kind || !what || sl_kind_parse(kind, &k) < 0) {
		*failed = true;
		return NULL;
	}
	if (has_named(s, k, scope)) {
		if (strcmp(what, "put") != 0)
			out = pub_op_text(k, id, rev, NULL, 0, false);
		else
			out = made ? take(made) : pub_past_put(s->p, s->view, k, id, rev, body);
	} else if (was && has_named(s, k, was)) {
		out = pub_op_text(k, id, rev, NULL, 0, true);
	} else {
		return NULL;
	}
	*failed |= !out;
	return out;
}

static void
past_send(struct pub_stream *s, uint64_t seq, json_t *txn, char *const *texts, unsigned n,
	  bool failed)
{
	struct pub_lines lines = {0};

	if (!failed && (n || s->scope.all))
		failed = pub_lines_make(&lines, s->p, txn, texts, n) != 0;
	s->at = seq;
	if (failed)
		pub_stream_drop(s, "internal", "a row of the log cannot be sent");
	else if (lines.n)
		pub_stream_txn(s, &lines, seq);
	pub_lines_free(&lines);
}

static bool
past_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct catch_up *c = ctx;
	struct pub_stream *s = c->s;
	json_t *ops = json_object_get(txn, "ops");
	bool failed = seq != s->at + 1;
	char **texts;
	unsigned n = 0;

	texts = calloc(json_array_size(ops) + 1, sizeof(*texts));
	for (size_t i = 0; texts && i < json_array_size(ops); i++) {
		texts[n] = past_op(s, json_array_get(ops, i), NULL, &failed);
		n += texts[n] != NULL;
	}
	past_send(s, seq, txn, texts, n, failed || !texts);
	for (unsigned i = 0; i < n; i++)
		free(texts[i]);
	free(texts);
	return s->phase == PUB_CATCH_UP && sl_rpc_conn_queued(s->conn) <= PUB_QUEUE_LOW &&
	       sl_clock_mono_ns() < c->end_ns;
}

/** Looks for a change of the gateway's own record. */
static bool
scan_row(void *ctx, uint64_t seq, json_t *txn)
{
	struct catch_up *c = ctx;
	struct pub_stream *s = c->s;
	const json_t *o;
	size_t i;

	s->scan_at = seq;
	json_array_foreach (json_object_get(txn, "ops"), i, o) {
		const char *kind = json_string_value(json_object_get(o, "kind"));
		const char *id = json_string_value(json_object_get(o, "id"));

		if (kind && id && strcmp(kind, sl_kind_name(SL_KIND_GATEWAY)) == 0 &&
		    strcmp(id, s->node) == 0) {
			pub_stream_snapshot(s, "scope_changed");
			return false;
		}
	}
	return sl_clock_mono_ns() < c->end_ns;
}

/** A row as it is stored: a large one is the helper's first. */
static bool
each_row(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	struct catch_up *c = ctx;
	struct pub_stream *s = c->s;
	bool scan = s->phase == PUB_SCAN, more;
	json_t *txn;

	if (seq > (scan ? s->p->load_seq : s->p->seq))
		return false;
	if (len > PUB_ROW_BYTES && pub_past_begin(s, seq, chain, text, len) == 0)
		return false;
	txn = json_loadb(text, len, 0, NULL);
	if (!txn || json_object_set_new(txn, "chain", json_string(chain)) < 0) {
		json_decref(txn);
		pub_stream_drop(s, "internal", "a row of the log is no JSON");
		return false;
	}
	more = scan ? scan_row(c, seq, txn) : past_row(c, seq, txn);
	json_decref(txn);
	return more;
}

/** The row that was made ready, a slice of its ops at a time. @return true: it is done */
static bool
past_ready(struct catch_up *c)
{
	struct pub_stream *s = c->s;
	struct pub_past *r = s->past;
	const json_t *ops = json_object_get(r->txn, "ops");

	if (r->scan && !r->failed) {
		scan_row(c, r->seq, r->txn);
		pub_past_drop(s);
		return true;
	}
	for (; !r->failed && r->i < r->n; r->i++) {
		r->texts[r->n_texts] =
			past_op(s, json_array_get(ops, r->i), &r->made[r->i], &r->failed);
		r->n_texts += r->texts[r->n_texts] != NULL;
		if (r->i % 64 == 63 && sl_clock_mono_ns() >= c->end_ns) {
			r->i++;
			return false;
		}
	}
	s->past = NULL; /* whatever becomes of the stream now */
	past_send(s, r->seq, r->txn, r->texts, r->n_texts, r->failed || r->seq != s->at + 1);
	s->past = r;
	pub_past_drop(s);
	return true;
}

/** Did its scope change after the row that it has seen last? */
static bool
scope_changed(struct pub_stream *s)
{
	struct pub_bucket *b;

	if (s->scope.all)
		return false;
	b = pub_bucket(s->p, SL_SCOPE_GATEWAY, s->node);
	return b && b->record_seq > s->at;
}

bool
pub_log_pump(struct pub_stream *s, uint64_t end_ns)
{
	struct catch_up c = {.s = s, .end_ns = end_ns};
	bool scan = s->phase == PUB_SCAN;
	uint64_t to = scan ? s->p->load_seq : s->p->seq, from = scan ? s->scan_at : s->at;
	struct sl_error e;
	int rc = 0;

	if (scope_changed(s)) {
		pub_stream_snapshot(s, "scope_changed");
		return true;
	}
	if (s->past && !s->past->ready)
		return false;
	if (s->past) {
		if (!past_ready(&c))
			return true;
	} else if (from < to) {
		rc = sl_store_log_walk(s->p->conf.store, from + 1, each_row, &c, &e);
	}
	if (s->phase == PUB_DROPPED || s->phase == PUB_WAIT)
		return s->phase == PUB_WAIT;
	if (s->past)
		return false;
	if (rc < 0) {
		pub_stream_drop(s, e.reason, e.message);
		return false;
	}
	if (from < to && (scan ? s->scan_at : s->at) == from) { /* compacted meanwhile */
		pub_stream_snapshot(s, "compacted");
		return true;
	}
	if ((scan ? s->scan_at : s->at) < to)
		return scan || sl_rpc_conn_queued(s->conn) <= PUB_QUEUE_LOW;
	s->phase = scan ? PUB_CATCH_UP : PUB_LIVE;
	if (!scan) {
		pub_stream_beat(s);
		pub_waits_check(s->p);
	}
	return scan;
}

void
pub_stream_resume(struct pub_stream *s, uint64_t seq)
{
	s->sent_seq = s->at = s->scan_at = seq;
	s->phase = s->scope.all || seq >= s->p->load_seq ? PUB_CATCH_UP : PUB_SCAN;
	pub_wake(s->p);
}
