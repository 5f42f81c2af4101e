/* SPDX-License-Identifier: BSD-3-Clause */
/* Transactions as messages. */
#include "events.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "sl_trail.h"

#define RETRY_MS 3000

/* who may call the operation may see the kind */
static const char *const shown_by[SL_KIND_N] = {
	[SL_KIND_INTERFACE] = "getInterface",
	[SL_KIND_GATEWAY] = "getGateway",
	[SL_KIND_GATEWAY_INTERFACE] = "getGatewayInterface",
	[SL_KIND_PEER] = "getPeer",
	[SL_KIND_POLICY] = "getPolicy",
	[SL_KIND_ZONE] = "listZones",
	[SL_KIND_TARGET] = "getTarget",
	[SL_KIND_ROLE] = "getRole",
	[SL_KIND_RULE] = "getRule",
	[SL_KIND_ROLE_MAP] = "getRoleMap",
	[SL_KIND_PROVIDER] = "getProvider",
	[SL_KIND_CRL] = "getRevocation",
	[SL_KIND_POLICY_TEXT] = "getPolicyVersion",
	[SL_KIND_TOKEN] = "getToken",
	[SL_KIND_ALLOCATION] = "listAllocations",
	[SL_KIND_POOL] = "getPool",
	[SL_KIND_MIGRATION] = "getMigration",
	[SL_KIND_SETTING] = "getSetting",
};

int
events_kind_of(const char *op_id)
{
	for (int k = 0; k < SL_KIND_N; k++)
		if (shown_by[k] != NULL && strcmp(shown_by[k], op_id) == 0)
			return k;
	return -1;
}

/* --- where it goes on ------------------------------------------------------------------------- */

static bool
number(const char **at, uint64_t *out)
{
	size_t n = strspn(*at, "0123456789");

	*out = strtoull(*at, NULL, 10);
	*at += n;
	return n > 0 && n < 17;
}

int
events_resume(struct events_reader *r, const char *id, struct sl_error *e)
{
	const char *at = id;
	bool fits;

	if (id == NULL || id[0] == '\0')
		return 0;
	fits = number(&at, &r->seq);
	if (fits && *at == '.') {
		at++;
		fits = number(&at, &r->epoch) && r->epoch > 0;
	}
	r->resumes = true;
	return fits && *at == '\0' ? 0
				   : sl_fail(e, -EINVAL, "header_invalid", "Last-Event-ID",
					     "the id of an event as it was told: SEQ.EPOCH");
}

/** Why the log does not say what follows; NULL: it does. */
static const char *
lost(const struct events_reader *r, const struct sl_epoch *epoch, uint64_t oldest, uint64_t head)
{
	if (r->epoch != 0 && r->epoch != epoch->number)
		return "epoch_changed";
	if (r->seq > head)
		return "seq_ahead";
	return r->seq + 1 < oldest ? "compacted" : NULL;
}

static void
begin_at_head(FILE *f, struct events_reader *r, const char *event, const char *why, uint64_t head)
{
	fprintf(f,
		"id: %" PRIu64 ".%" PRIu64 "\nevent: %s\ndata: {\"seq\":%" PRIu64
		",\"epoch\":%" PRIu64,
		head, r->epoch, event, head, r->epoch);
	if (why != NULL)
		fprintf(f, ",\"why\":\"%s\"", why);
	fputs("}\n\n", f);
	r->seq = head;
	r->op = 0;
}

/* --- transactions ----------------------------------------------------------------------------- */

void
events_log_clear(struct events_log *g)
{
	json_decref(g->txn);
	*g = (struct events_log){0};
}

struct reading {
	struct events_log *g;
	struct events_reader *r;
	FILE *f;
	size_t bytes;
	int rc;
};

/** What nobody is told is taken out of it. */
static int
load(struct events_log *g, uint64_t seq, const char *chain, const char *text, size_t len)
{
	events_log_clear(g);
	g->txn = json_loadb(text, len, 0, NULL);
	if (g->txn == NULL)
		return -EBADMSG;
	sl_trail_clean(json_object_get(g->txn, "ops"));
	g->seq = seq;
	snprintf(g->chain, sizeof(g->chain), "%s", chain);
	return 0;
}

static bool
is_shown(const struct events_reader *r, const json_t *op)
{
	enum sl_kind k;

	return sl_kind_parse(sl_json_text(op, "kind"), &k) == 0 && (r->kinds & 1u << k) != 0;
}

static size_t
next_shown(const struct events_reader *r, const json_t *ops, size_t at)
{
	while (at < json_array_size(ops) && !is_shown(r, json_array_get(ops, at)))
		at++;
	return at;
}

static int
put_op(FILE *f, const json_t *txn, uint64_t seq, const json_t *op)
{
	static const char *const members[] = {"op", "kind", "id", "rev", "obj"};
	json_t *o = json_pack("{s:I, s:s}", "seq", (json_int_t)seq, "at", sl_json_text(txn, "ts"));
	int rc;

	for (unsigned i = 0; o != NULL && i < SL_ARRAY_SIZE(members); i++) {
		json_t *v = json_object_get(op, members[i]);

		if (v != NULL)
			json_object_set(o, members[i], v);
	}
	fputs("event: change\ndata: ", f);
	/* terminals that show it as it comes obey no character of a description */
	rc = o == NULL ? -1 : json_dumpf(o, f, JSON_COMPACT | JSON_ENSURE_ASCII);
	fputs("\n\n", f);
	json_decref(o);
	return rc == 0 ? 0 : -ENOMEM;
}

/** The transaction that is loaded. @return false: there is enough for now, or it went wrong */
static bool
put_loaded(struct reading *w)
{
	const json_t *ops = json_object_get(w->g->txn, "ops");
	struct events_reader *r = w->r;
	size_t at = next_shown(r, ops, r->op);

	while (w->rc == 0 && at < json_array_size(ops) && ftello(w->f) < (off_t)w->bytes) {
		size_t next = next_shown(r, ops, at + 1);

		if (next == json_array_size(ops))
			fprintf(w->f, "id: %" PRIu64 ".%" PRIu64 "\n", w->g->seq, r->epoch);
		w->rc = put_op(w->f, w->g->txn, w->g->seq, json_array_get(ops, at));
		r->op = at = next;
	}
	if (w->rc != 0 || at < json_array_size(ops))
		return false;
	r->seq = w->g->seq;
	r->op = 0;
	return ftello(w->f) < (off_t)w->bytes;
}

static bool
put_txn(void *ctx, uint64_t seq, const char *chain, const char *text, size_t len)
{
	struct reading *w = ctx;

	w->rc = load(w->g, seq, chain, text, len);
	return w->rc == 0 && put_loaded(w);
}

/** A large one is told in many pieces, and to many: it is not read for each of them. */
static bool
put_again(struct reading *w, struct sl_store *s)
{
	char chain[SL_CHAIN_STR];

	return w->g->seq != w->r->seq + 1 || sl_store_chain(s, w->g->seq, chain) != 0 ||
	       strcmp(chain, w->g->chain) != 0 || put_loaded(w);
}

static int
read_log(struct events_log *g, struct sl_store *s, struct events_reader *r, size_t bytes, FILE *f,
	 struct sl_error *e)
{
	struct reading w = {.g = g, .r = r, .f = f, .bytes = bytes};
	uint64_t head = sl_store_head(s), oldest = sl_store_oldest(s);
	struct sl_epoch epoch;
	const char *why;
	uint64_t told;
	int rc;

	sl_store_epoch(s, &epoch);
	if (!r->begun)
		fprintf(f, "retry: %d\n\n", RETRY_MS);
	why = r->begun || r->resumes ? lost(r, &epoch, oldest, head) : NULL;
	if (!r->begun && !r->resumes) {
		r->epoch = epoch.number;
		begin_at_head(f, r, "start", NULL, head);
	} else if (why != NULL) {
		r->epoch = epoch.number;
		begin_at_head(f, r, "reset", why, head);
	}
	r->epoch = epoch.number;
	r->begun = true;
	if (r->seq >= head)
		return 0;
	told = r->seq;
	rc = 0;
	if (put_again(&w, s))
		rc = sl_store_log_walk(s, r->seq + 1, put_txn, &w, e);
	if (w.rc != 0)
		return sl_fail(e, w.rc, w.rc == -ENOMEM ? "no_memory" : "store_corrupt", "",
			       "seq %" PRIu64 " of the log cannot be told", r->seq + 1);
	if (ftello(f) == 0 && r->seq > told) /* nothing of it is for this one, but where it is */
		fprintf(f, "id: %" PRIu64 ".%" PRIu64 "\n\n", r->seq, r->epoch);
	return SL_MIN(rc, 0);
}

int
events_read(struct events_log *g, struct sl_store *s, struct events_reader *r, size_t bytes,
	    char **text, size_t *len, struct sl_error *e)
{
	FILE *f = open_memstream(text, len);
	int rc;

	if (f == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for events");
	rc = read_log(g, s, r, bytes, f, e);
	if (fclose(f) != 0 && rc == 0)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for events");
	if (rc == 0)
		return 0;
	free(*text);
	*text = NULL;
	return rc;
}
