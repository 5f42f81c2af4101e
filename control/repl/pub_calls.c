/* SPDX-License-Identifier: BSD-3-Clause */
/* The methods of the stream: repl.*, and what comes upstream on the same connection. */
#include <stdio.h>

#include "pub_int.h"
#include "sl_log.h"
#include "sl_rate.h"
#include "sl_schema_control.h"

/* --- who speaks of whom ----------------------------------------------------------------------- */

static bool
speaks_as(const struct sl_rpc_caller *c, enum sl_service_role r)
{
	return c->who && (c->who->roles & SL_SR_BIT(r));
}

/** The node that a call is about: the caller itself, or, by a follower, one behind it. */
static int
node_of(const struct sl_rpc_caller *c, const char *node, const char **out, const char **via,
	struct sl_error *e)
{
	*via = "";
	if (!c->who || !c->who->bound[0])
		return sl_fail(e, -EPERM, "not_bound", "",
			       "the credential names no gateway or follower");
	if (!node || strcmp(node, c->who->bound) == 0) {
		*out = c->who->bound;
		return 0;
	}
	if (!speaks_as(c, SL_SR_FOLLOWER))
		return sl_fail(e, -EPERM, "node_foreign", "/node",
			       "%s does not speak for another node", c->who->bound);
	*out = node;
	*via = c->who->bound;
	return 0;
}

/* --- repl.subscribe --------------------------------------------------------------------------- */

static int
check_subscriber(const struct sl_rpc_caller *c, const struct sl_rpc_repl_subscribe *q, bool all,
		 struct sl_error *e)
{
	if (!c->conn)
		return sl_fail(e, -EINVAL, "not_a_stream", "", "there is no connection to send on");
	if (!c->who || strcmp(c->who->bound, q->node) != 0) {
		sl_fail(e, -EPERM, "node_foreign", "/node",
			"the credential is not that of node \"%s\"", q->node);
		sl_hint(e, "make one that is bound to it, or say the name that it is bound to");
		return -EPERM;
	}
	if (!speaks_as(c, all ? SL_SR_FOLLOWER : SL_SR_GATEWAY))
		return sl_fail(e, -EPERM, "scope_forbidden", "/scope", "scope \"%s\" needs role %s",
			       all ? "all" : "gateway", all ? "follower" : "gateway");
	return 0;
}

/** One that connects again and again would keep the others from their states. */
static int
check_often(struct sl_publisher *p, const char *node, struct sl_error *e)
{
	uint64_t wait_ns = sl_rate_take_ns(p->asks, node, sl_clock_mono_ns());

	if (!wait_ns)
		return 0;
	sl_fail(e, -EBUSY, "rate_limited", "", "%.63s subscribes too often", node);
	e->retry_after_ms = (uint32_t)(wait_ns / SL_NS_PER_MS) + 1;
	sl_hint(e, "it tries again by itself, in %u ms or later", e->retry_after_ms);
	return -EBUSY;
}

static int
pick_schema(const struct sl_publisher *p, const struct sl_rpc_repl_subscribe *q, struct pub_ask *a,
	    struct sl_error *e)
{
	a->schema = sl_repl_schema_pick(q->node, q->schema.v, q->schema.n, p->conf.schemas, e);
	if (a->schema != 0)
		return 0;
	sl_log(SL_LOG_WARN, "repl", "schema_unsupported: %s; %s", e->message, e->hint);
	return -EINVAL;
}

static int
read_ask(const struct sl_rpc_repl_subscribe *q, struct pub_ask *a, struct sl_error *e)
{
	a->node = q->node;
	a->all = q->scope == 1;
	a->seq = q->has_seq ? (uint64_t)q->seq : 0;
	a->chain = q->has_chain ? q->chain : NULL;
	a->want = q->has_want && q->want == 1;
	a->why = q->has_why ? q->why : NULL;
	a->has_epoch = q->has_epoch && q->epoch && !json_is_null(q->epoch);
	if (a->has_epoch && wire_epoch(q->epoch, &a->number, a->id) < 0)
		return sl_fail(e, -EINVAL, "epoch_invalid", "/epoch",
			       "an epoch is {number, id of 32 characters}");
	return 0;
}

static json_t *
subscribed(const struct sl_publisher *p, const struct pub_stream *s, const struct pub_ask *a,
	   enum pub_mode mode, const char *reason)
{
	const char *primary = sl_store_role(p->conf.store) == SL_STORE_PRIMARY
				      ? p->conf.url
				      : sl_store_primary(p->conf.store);
	json_t *r = json_pack("{s:s, s:i, s:s, s:s, s:o, s:I, s:I, s:i}", "sub", s ? s->name : "",
			      "schema", (int)a->schema, "mode",
			      mode == PUB_RESUME   ? "resume"
			      : mode == PUB_BEHIND ? "behind"
						   : "snapshot",
			      "reason", mode == PUB_RESUME ? "" : reason, "epoch",
			      sl_epoch_json(&p->epoch), "from",
			      (json_int_t)(mode == PUB_RESUME ? a->seq + 1 : p->seq + 1), "head",
			      (json_int_t)p->seq, "heartbeat_s", (int)p->conf.heartbeat_s);

	if (r && primary && primary[0])
		json_object_set_new(r, "primary", json_string(primary));
	return r;
}

static int
busy(struct sl_error *e)
{
	return sl_fail(e, -EBUSY, "busy", "", "the state is being loaded: in a moment");
}

static int
h_subscribe(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	    struct sl_error *e)
{
	const struct sl_rpc_repl_subscribe *q = params;
	struct sl_publisher *p = user;
	struct pub_ask a = {0};
	struct pub_stream *s = NULL;
	const char *reason = "";
	enum pub_mode mode;
	bool all;
	int rc = read_ask(q, &a, e);

	rc = rc ? rc : check_subscriber(caller, q, a.all, e);
	rc = rc ? rc : check_often(p, q->node, e);
	rc = rc ? rc : pick_schema(p, q, &a, e);
	if (rc)
		return rc;
	rc = pub_refresh(p, PUB_SLICE_NS, &all, e);
	if (rc == 0 && (p->loading || p->broken))
		rc = busy(e);
	if (rc)
		return rc;
	if (!p->epoch.number) /* a follower that has nothing yet */
		return sl_fail(e, -EAGAIN, "source_empty", "", "nothing was received here yet");
	mode = pub_decide(p, &a, &reason);
	if (mode == PUB_REWOUND && a.seq > p->seq && a.seq <= sl_store_head(p->conf.store))
		return busy(e);
	if (mode == PUB_REWOUND)
		return pub_rewind_begin(p, &a, reason, e);
	reason = pub_rewind_reason(p, a.node, reason);
	if (mode != PUB_BEHIND) {
		s = pub_stream_new(p, caller, a.node, a.all);
		if (!s)
			return sl_fail(e, -ENOBUFS, "subscribers_max", "", "too many subscribers");
		s->view = pub_view_of(p, &a);
		s->row->i.schema = a.schema;
		if (mode == PUB_RESUME) {
			s->row->i.acked_seq = s->row->i.serving_seq = a.seq;
			pub_stream_resume(s, a.seq);
		} else {
			pub_stream_snapshot(s, reason);
			sl_rate_charge(p->asks, a.node, PUB_SNAPSHOT_COST - 1);
		}
	}
	sl_log(SL_LOG_INFO, "repl", "%s subscribes at %llu: %s%s%s", a.node,
	       (unsigned long long)a.seq,
	       mode == PUB_RESUME   ? "resume"
	       : mode == PUB_BEHIND ? "behind"
				    : "snapshot",
	       mode == PUB_RESUME ? "" : ", ", mode == PUB_RESUME ? "" : reason);
	*result = subscribed(p, s, &a, mode, reason);
	return *result ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

/* --- upstream --------------------------------------------------------------------------------- */

/** Note that a node behind a follower lives. Of one that is connected here a follower tells nothing
 * that counts: it is out of date, or wrong. @return its row; NULL: the table is full, or that */
static struct pub_row *
heard(struct sl_publisher *p, const char *node, const char *via)
{
	struct pub_row *r;

	if (via[0] && pub_row_is_here(p, node))
		return NULL;
	r = pub_row_get(p, node, via);
	if (r && via[0])
		r->heard_mono_ns = sl_clock_mono_ns();
	return r;
}

/** Hand a call on. `params` is taken over. */
static int
upstream(struct sl_publisher *p, const struct sl_rpc_caller *caller, const char *method,
	 const char *node, json_t *params, json_t **result, struct sl_error *e)
{
	int rc = 0;

	if (!params)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	if (p->conf.upstream)
		rc = p->conf.upstream(p->conf.ctx, caller, method, node, params, result, e);
	json_decref(params);
	return rc;
}

/** Of an epoch that is over: nothing can be learnt from it. */
static bool
is_past(const struct sl_publisher *p, bool has, const json_t *epoch)
{
	uint64_t number;
	char id[33];

	return has && epoch &&
	       (wire_epoch(epoch, &number, id) < 0 || number != p->epoch.number ||
		strcmp(id, p->epoch.id) != 0);
}

/** Is its sum the one of what it should have? Comparable where nothing is on the way to it. */
static void
note_hash(struct sl_publisher *p, struct pub_row *r, const char *hash)
{
	struct pub_scope named = {0}, *scope = r->stream ? &r->stream->scope : &named;
	struct sl_replica_obj record;
	char ours[SL_HASH_STR];
	struct sl_hash_sum sum;
	uint64_t count;

	if (p->loading || (r->stream && r->stream->owed))
		return;
	if (r->stream ? r->stream->phase != PUB_LIVE || r->i.acked_seq < r->stream->sent_seq
		      : r->i.acked_seq < SL_MAX(pub_scope_seq(p, r->node), p->load_seq) ||
				!sl_replica_get(p->replica, SL_KIND_GATEWAY, r->node, &record))
		return;
	snprintf(named.node, sizeof(named.node), "%s", r->node);
	if (!r->stream && pub_scope_read(p, &named))
		return;
	r->i.hash_ok = false;
	for (unsigned view = 0; view < PUB_VIEWS; view++) {
		/* which one a node has that is behind a follower, only the follower knows */
		if (r->stream && view != r->stream->view)
			continue;
		pub_scope_sum(p, scope, view, &sum, &count);
		r->i.hash_ok |= strcmp(sl_hash_str(&sum, ours), hash) == 0;
	}
	pub_scope_free(&named);
}

static void
note_skew(struct pub_row *r, bool has, const char *now)
{
	uint64_t ours = sl_clock_wall_ns(), its;

	if (has && sl_time_parse(now, &its) == 0)
		r->i.clock_skew_ms_abs = (its > ours ? its - ours : ours - its) / SL_NS_PER_MS;
}

static void
set_if(json_t *o, const char *name, bool has, json_t *value)
{
	if (has)
		json_object_set_new(o, name, value);
	else
		json_decref(value);
}

static json_t *
ack_json(const struct sl_rpc_repl_ack *q)
{
	json_t *o = json_pack("{s:I}", "seq", (json_int_t)q->seq);
	json_t *ignored = json_array();

	for (unsigned i = 0; q->has_ignored && i < q->ignored.n; i++)
		json_array_append_new(ignored, json_string(((const char *const *)q->ignored.v)[i]));
	set_if(o, "epoch", q->has_epoch, q->has_epoch ? json_incref(q->epoch) : NULL);
	set_if(o, "serving_seq", q->has_serving_seq, json_integer(q->serving_seq));
	set_if(o, "overlay", q->has_overlay, json_boolean(q->overlay));
	set_if(o, "generation", q->has_generation, json_integer(q->generation));
	set_if(o, "applied_us", q->has_applied_us, json_integer(q->applied_us));
	set_if(o, "hash", q->has_hash, q->has_hash ? json_string(q->hash) : NULL);
	set_if(o, "ignored", q->has_ignored, ignored);
	return o;
}

static int
h_ack(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	const struct sl_rpc_repl_ack *q = params;
	struct sl_publisher *p = user;
	const char *node, *via;
	struct pub_row *r;
	int rc = node_of(caller, q->has_node ? q->node : NULL, &node, &via, e);

	if (rc)
		return rc;
	r = heard(p, node, via);
	if (r && !is_past(p, q->has_epoch, q->epoch)) {
		r->i.acked_seq = (uint64_t)q->seq;
		r->i.serving_seq = (uint64_t)(q->has_serving_seq ? q->serving_seq : q->seq);
		r->i.overlay = q->has_overlay && q->overlay;
		r->i.last_ack_wall_ns = sl_clock_wall_ns();
		if (r->i.serving_seq >= r->i.acked_seq)
			r->i.nack_code[0] = r->i.nack_path[0] = r->i.nack_message[0] = '\0';
		if (q->has_hash)
			note_hash(p, r, q->hash);
		pub_waits_check(p);
	}
	return upstream(p, caller, "repl.ack", node, ack_json(q), result, e);
}

/** As much as has room, in whole characters: half of one would be no JSON. */
static void
copy_text(char *out, size_t room, const char *text)
{
	size_t n = strlen(text);

	if (n >= room)
		for (n = room - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80; n--)
			;
	memcpy(out, text, n);
	out[n] = '\0';
}

static json_t *
nack_json(const struct sl_rpc_repl_nack *q)
{
	json_t *o = json_pack("{s:I, s:s}", "seq", (json_int_t)q->seq, "code", q->code);

	set_if(o, "epoch", q->has_epoch, q->has_epoch ? json_incref(q->epoch) : NULL);
	set_if(o, "path", q->has_path, q->has_path ? json_string(q->path) : NULL);
	set_if(o, "message", q->has_message, q->has_message ? json_string(q->message) : NULL);
	set_if(o, "serving_seq", q->has_serving_seq, json_integer(q->serving_seq));
	set_if(o, "overlay", q->has_overlay, json_boolean(q->overlay));
	return o;
}

static int
h_nack(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
       struct sl_error *e)
{
	const struct sl_rpc_repl_nack *q = params;
	struct sl_publisher *p = user;
	const char *node, *via;
	struct pub_row *r;
	int rc = node_of(caller, q->has_node ? q->node : NULL, &node, &via, e);

	if (rc)
		return rc;
	r = heard(p, node, via);
	if (r && !is_past(p, q->has_epoch, q->epoch)) {
		copy_text(r->i.nack_code, sizeof(r->i.nack_code), q->code);
		copy_text(r->i.nack_path, sizeof(r->i.nack_path), q->has_path ? q->path : "");
		copy_text(r->i.nack_message, sizeof(r->i.nack_message),
			  q->has_message ? q->message : "");
		if (q->has_serving_seq)
			r->i.serving_seq = (uint64_t)q->serving_seq;
		r->i.overlay = q->has_overlay && q->overlay;
		r->i.last_ack_wall_ns = sl_clock_wall_ns();
		if (strcmp(q->code, "hash_mismatch") == 0)
			r->i.hash_ok = false;
		pub_waits_check(p);
	}
	return upstream(p, caller, "repl.nack", node, nack_json(q), result, e);
}

/** What a gateway behind a data store reads: there nobody agreed with it here. */
static void
note_schema(const struct sl_publisher *p, struct pub_row *r,
	    const struct sl_rpc_gateway_register *q)
{
	struct sl_error e;

	if (q->has_schema)
		r->i.schema =
			sl_repl_schema_pick(r->node, q->schema.v, q->schema.n, p->conf.schemas, &e);
}

static int
h_register(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	   struct sl_error *e)
{
	const struct sl_rpc_gateway_register *q = params;
	struct sl_publisher *p = user;
	const char *node, *via;
	struct pub_row *r;
	json_t *o, *schema = json_array();
	int rc = node_of(caller, q->has_node ? q->node : NULL, &node, &via, e);

	for (unsigned i = 0; q->has_schema && i < q->schema.n; i++)
		json_array_append_new(schema, json_integer(((const int64_t *)q->schema.v)[i]));
	o = json_pack("{s:s, s:s, s:O}", "boot", q->boot, "version", q->version, "interfaces",
		      q->interfaces);
	set_if(o, "schema", q->has_schema, schema);
	set_if(o, "now", q->has_now, q->has_now ? json_string(q->now) : NULL);
	if (rc) {
		json_decref(o);
		return rc;
	}
	r = heard(p, node, via);
	if (r)
		note_skew(r, q->has_now, q->now);
	if (r && via[0])
		note_schema(p, r, q);
	return upstream(p, caller, "gateway.register", node, o, result, e);
}

static int
h_stats(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
	struct sl_error *e)
{
	const struct sl_rpc_stats_report *q = params;
	struct sl_publisher *p = user;
	const char *node, *via;
	struct pub_row *r;
	json_t *o;
	int rc = node_of(caller, q->has_node ? q->node : NULL, &node, &via, e);

	if (rc)
		return rc;
	r = heard(p, node, via);
	if (r)
		note_skew(r, q->has_now, q->now);
	o = json_pack("{s:s, s:O}", "boot", q->boot, "peers", q->peers);
	set_if(o, "now", q->has_now, q->has_now ? json_string(q->now) : NULL);
	set_if(o, "full", q->has_full, json_boolean(q->full));
	set_if(o, "state", q->has_state, q->has_state ? json_incref(q->state) : NULL);
	return upstream(p, caller, "stats.report", node, o, result, e);
}

static int
h_log(void *user, const struct sl_rpc_caller *caller, const void *params, json_t **result,
      struct sl_error *e)
{
	const struct sl_rpc_log_push *q = params;
	struct sl_publisher *p = user;
	const char *node, *via;
	json_t *o;
	int rc = node_of(caller, q->has_node ? q->node : NULL, &node, &via, e);

	if (rc)
		return rc;
	heard(p, node, via);
	o = json_pack("{s:s, s:I, s:O}", "boot", q->boot, "first", (json_int_t)q->first, "rows",
		      q->rows);
	set_if(o, "lost_before", q->has_lost_before, json_integer(q->lost_before));
	set_if(o, "lost_flows", q->has_lost_flows, json_integer(q->lost_flows));
	set_if(o, "from", q->has_from, q->has_from ? json_string(q->from) : NULL);
	set_if(o, "to", q->has_to, q->has_to ? json_string(q->to) : NULL);
	return upstream(p, caller, "log.push", node, o, result, e);
}

int
sl_publisher_bind(struct sl_publisher *p, struct sl_rpc *rpc)
{
	int rc = sl_rpc_bind_to(rpc, "repl.subscribe", h_subscribe, p);

	rc = rc ? rc : sl_rpc_bind_to(rpc, "repl.ack", h_ack, p);
	rc = rc ? rc : sl_rpc_bind_to(rpc, "repl.nack", h_nack, p);
	rc = rc ? rc : sl_rpc_bind_to(rpc, "gateway.register", h_register, p);
	rc = rc ? rc : sl_rpc_bind_to(rpc, "stats.report", h_stats, p);
	return rc ? rc : sl_rpc_bind_to(rpc, "log.push", h_log, p);
}
