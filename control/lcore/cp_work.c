/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of objects that the gateway may not be equal to, and the rounds that take it. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

#define BATCH 16 /* objects between two looks at the clock */

/* --- the list ----------------------------------------------------------------------------------
 */

static struct cp_item *
find(const struct sl_cp *cp, enum sl_kind k, const char *id)
{
	struct gw_link *l = gw_hash_find(&cp->items_by_id, cp_key(cp, k, id));
	struct cp_item *i;

	for (; l != NULL; l = gw_hash_next(l)) {
		i = SL_CONTAINER_OF(l, struct cp_item, link);
		if (i->kind == k && strcmp(i->id, id) == 0)
			return i;
	}
	return NULL;
}

static void
set_bad(struct sl_cp *cp, struct cp_item *i, const struct sl_error *e)
{
	cp->n_bad -= i->bad != NULL;
	free(i->bad);
	i->bad = e != NULL ? malloc(sizeof(*e)) : NULL;
	if (i->bad != NULL)
		*i->bad = *e;
	cp->n_bad += i->bad != NULL;
}

static void
drop(struct sl_cp *cp, struct cp_item *i)
{
	set_bad(cp, i, NULL);
	gw_hash_del(&cp->items_by_id, &i->link);
	cp->n_items--;
	free(i);
}

static bool
in_round(const struct sl_cp *cp)
{
	return cp->phase > CP_CHECK;
}

int
cp_work_add(struct sl_cp *cp, enum sl_kind k, const char *id)
{
	struct cp_item *i = find(cp, k, id);
	size_t n = strlen(id) + 1;

	if (i == NULL) {
		i = calloc(1, sizeof(*i) + n);
		if (i == NULL)
			return -ENOMEM;
		i->kind = k;
		memcpy(i->id, id, n);
		gw_hash_add(&cp->items_by_id, &i->link, cp_key(cp, k, id));
		TAILQ_INSERT_TAIL(&cp->items, i, at);
		cp->n_items++;
	}
	i->checked = false;
	cp->policy_due |= sl_kind_is_policy(k) || k == SL_KIND_POLICY;
	cp->round_due |= in_round(cp);
	return 0;
}

void
cp_work_clear(struct sl_cp *cp)
{
	struct cp_item *i;

	TAILQ_CONCAT(&cp->items, &cp->kept, at);
	while ((i = TAILQ_FIRST(&cp->items)) != NULL) {
		TAILQ_REMOVE(&cp->items, i, at);
		drop(cp, i);
	}
}

bool
cp_refuses(const struct sl_cp *cp)
{
	return cp->n_bad > 0 || cp->refusal.err != 0;
}

uint64_t
cp_serving_seq(const struct sl_cp *cp)
{
	return cp->serving_epoch == cp->epoch.number ? cp->serving_seq : 0;
}

void
cp_ignore(struct sl_cp *cp, enum sl_kind k, const char *id, const char *field)
{
	if (cp->ignored == NULL)
		cp->ignored = json_array();
	if (json_array_size(cp->ignored) < CP_IGNORED_MAX)
		json_array_append_new(cp->ignored, json_sprintf("%s/%s%s%s", sl_kind_name(k), id,
								field[0] == '/' ? "" : "/", field));
}

/* --- phases over the items ----------------------------------------------------------------------
 */

/** @return true if the item is done with */
typedef bool (*item_fn)(struct sl_cp *cp, struct cp_item *i);

static bool
in_time(const struct sl_cp *cp, unsigned n)
{
	return n % BATCH != 0 || n == 0 || sl_clock_mono_ns() < cp->until_ns;
}

/* @return true when the last one has been looked at */
static bool
walk(struct sl_cp *cp, item_fn fn)
{
	struct cp_item *i;
	unsigned n;

	sl_gw_begin(cp->gw); /* one root for all of a turn */
	for (n = 0; in_time(cp, n) && (i = TAILQ_FIRST(&cp->items)) != NULL; n++) {
		TAILQ_REMOVE(&cp->items, i, at);
		if (fn(cp, i))
			drop(cp, i);
		else
			TAILQ_INSERT_TAIL(&cp->kept, i, at);
	}
	sl_gw_commit(cp->gw);
	if (!TAILQ_EMPTY(&cp->items))
		return false;
	TAILQ_CONCAT(&cp->items, &cp->kept, at);
	return true;
}

static bool
check(struct sl_cp *cp, struct cp_item *i)
{
	struct sl_error e = {0};
	json_t *body;

	if (i->checked)
		return false;
	cp->telling = true;
	body = cp_object(cp, i->kind, i->id, &e);
	cp->telling = false;
	set_bad(cp, i, body == NULL && e.err != 0 ? &e : NULL);
	json_decref(body);
	i->checked = true;
	i->passed = false;
	return false;
}

/* Those that came in the middle of a round, and those that nobody can read, wait. */
static bool
waits(const struct cp_item *i)
{
	return !i->checked || i->bad != NULL;
}

static bool
revoke(struct sl_cp *cp, struct cp_item *i)
{
	struct sl_error e;

	if (!waits(i) && i->kind == SL_KIND_PEER && cp_peer_find(cp, i->id) != NULL)
		cp_peer_apply(cp, i->id, CP_ONLY_CUT, &e);
	return false;
}

/* It is well-formed but cannot be carried out here and now (a limit): tried again in the next
 * round. */
static void
fails(struct sl_cp *cp, struct cp_item *i, const struct sl_error *e)
{
	set_bad(cp, i, e);
	i->checked = false;
}

static bool
stage(struct sl_cp *cp, struct cp_item *i)
{
	struct sl_error e = {0};

	if (waits(i) || i->kind != SL_KIND_ROLE_MAP)
		return false;
	if (cp_member_apply(cp, i->id, true, CP_WHOLE, &e) == 0)
		i->passed = true;
	else
		fails(cp, i, &e);
	return false;
}

static bool
deny(struct sl_cp *cp, struct cp_item *i)
{
	struct sl_error e;

	i->passed = false;
	if (waits(i))
		return false;
	if (i->kind == SL_KIND_PEER)
		cp_peer_apply(cp, i->id, CP_ONLY_LESS, &e);
	else if (i->kind == SL_KIND_ROLE_MAP)
		cp_member_apply(cp, i->id, false, CP_ONLY_LESS, &e);
	else if (i->kind == SL_KIND_PROVIDER)
		cp->providers_due = true;
	return false;
}

static bool
grant(struct sl_cp *cp, struct cp_item *i)
{
	struct sl_error e = {0};
	int rc = 0;

	if (waits(i))
		return false;
	if (i->passed) /* with the policy */
		return true;
	if (i->kind == SL_KIND_PEER)
		rc = cp_peer_apply(cp, i->id, CP_WHOLE, &e);
	else if (i->kind == SL_KIND_ROLE_MAP)
		rc = cp_member_apply(cp, i->id, false, CP_WHOLE, &e);
	else if (i->kind == SL_KIND_INTERFACE || i->kind == SL_KIND_GATEWAY_INTERFACE)
		rc = cp_iface_apply(cp, i->kind, i->id, &e);
	else if (i->kind == SL_KIND_PROVIDER)
		cp->providers_due = true;
	if (rc != 0)
		fails(cp, i, &e);
	return rc == 0;
}

/* --- comparing ------------------------------------------------------------------------------- */

/* Does our own record ask for it? Else it is not here for that alone, and may well exist. */
static bool
in_scope(const struct sl_cp *cp, const struct sl_replica_obj *o)
{
	json_t *record = sl_replica_body(cp->r, SL_KIND_GATEWAY, cp->config->name), *item;
	bool found = record != NULL && !json_is_false(json_object_get(record, "enabled"));
	bool of_iface = o->scope[0] != '\0' && strcmp(o->scope, "*") != 0;
	size_t i;

	if (found && of_iface) {
		found = false;
		json_array_foreach (json_object_get(record, "interfaces"), i, item)
			found |= strcmp(json_string_value(item), o->scope) == 0;
	}
	json_decref(record);
	return found;
}

static void
changed(void *ctx, const struct sl_replica_obj *was, const struct sl_replica_obj *is)
{
	struct sl_cp *cp = ctx;
	const struct sl_replica_obj *o = is != NULL ? is : was;

	if (is == NULL && cp->shadow_resumes && in_scope(cp, was))
		/* it may have changed before it was deleted: all revisions of this epoch */
		cp_tomb_add(cp, was, sl_epoch_rev_base(cp->epoch.number + 1), cp->seq);
	else if (is != NULL && cp->shadow_resumes)
		cp_tomb_clear(cp, is->kind, is->id, is->rev, cp->seq);
	if (cp_work_add(cp, o->kind, o->id) != 0)
		sl_log(SL_LOG_ERR, "control", "no memory for %s %s", sl_kind_name(o->kind), o->id);
}

struct old_replica {
	struct gw_task task;
	struct sl_replica *r;
};

static void
free_task(struct gw_task *t)
{
	struct old_replica *o = SL_CONTAINER_OF(t, struct old_replica, task);

	sl_replica_free(o->r);
	free(o);
}

/* A large one takes its time: the helper's. */
static void
let_go(struct sl_cp *cp, struct sl_replica *r)
{
	struct old_replica *o = calloc(1, sizeof(*o));

	if (o == NULL) {
		sl_replica_free(r);
		return;
	}
	o->r = r;
	o->task.detached = true;
	cp_give(cp, &o->task, free_task);
}

static bool
compare(struct sl_cp *cp)
{
	if (!sl_replica_diff_step(&cp->diff, cp->diff_from, cp->r, 4 * BATCH, changed, cp))
		return false;
	let_go(cp, cp->diff_from);
	cp->diff_from = cp->diff_old;
	cp->diff_old = NULL;
	cp->diff = (struct sl_replica_diff){0};
	cp->shadow_resumes = false;
	return cp->diff_from == NULL;
}

/* --- the policy --------------------------------------------------------------------------------
 */

static void
loaded(struct sl_cp *cp, int rc, const struct sl_error *e)
{
	if (rc == -ECANCELED) /* the gateway ends */
		return;
	if (cp->overlay_load) {
		if (rc != 0)
			sl_log(SL_LOG_ERR, "control",
			       "what is left of the policy cannot be loaded: %s (%s)", e->message,
			       e->reason);
		cp->phase = CP_END;
		return;
	}
	if (rc != 0) {
		cp->refusal = *e;
		sl_gw_fed_cancel(cp->gw);
		cp->phase = CP_DENY;
		return;
	}
	cp->refusal.err = 0;
	cp->policy_due = false;
	cp->policy_loaded = true;
	cp->phase = CP_GRANT;
}

static void
on_loaded(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	struct cp_load *l = ctx;

	(void)r;
	if (l->cp != NULL) {
		l->cp->load = NULL;
		loaded(l->cp, rc, e);
	}
	free(l);
}

static int
give_to_gateway(struct sl_cp *cp, struct sl_error *e)
{
	struct cp_load *c = calloc(1, sizeof(*c));
	struct sl_gw_policy_load l = {.text = cp->join->out,
				      .len = cp->join->out_len,
				      .origin = "control",
				      .lenient = true,
				      .staged = !cp->overlay_load,
				      .done = on_loaded,
				      .ctx = c};
	int rc;

	if (c == NULL)
		return gw_no_memory(e);
	c->cp = cp;
	cp->load = c;
	rc = sl_gw_policy_load(cp->gw, &l, e);
	if (rc != 0) {
		cp->load = NULL;
		free(c);
	}
	return rc;
}

static void
load(struct sl_cp *cp)
{
	struct cp_join *j = cp->join;
	struct sl_error e = {0};
	int rc;

	cp->phase = CP_LOAD; /* in lockstep the answer comes from within the call */
	if (j->rc != 0) {
		loaded(cp, j->rc, &j->e);
	} else if (j->out == NULL) {
		cp->phase = CP_END; /* nothing is revoked */
	} else {
		rc = give_to_gateway(cp, &e);
		if (rc == -EBUSY)
			cp->phase = CP_JOIN; /* a recompilation is at work: in a later turn */
		else if (rc != 0)
			loaded(cp, rc, &e);
	}
	if (cp->phase != CP_JOIN)
		cp_policy_free(cp);
}

static void
begin_policy(struct sl_cp *cp, bool overlay)
{
	struct sl_error e;

	cp->overlay_load = overlay;
	if (cp_policy_begin(cp, overlay)) {
		cp->phase = CP_COLLECT;
		return;
	}
	sl_fail(&e, -ENOMEM, "no_memory", "", "out of memory");
	loaded(cp, -ENOMEM, &e);
}

/* --- rounds ------------------------------------------------------------------------------------
 */

static void
phase_after_check(struct sl_cp *cp)
{
	if (cp->n_bad > 0)
		cp->phase = CP_DENY;
	else
		cp->phase = CP_REVOKE;
}

/* What goes into repl.ack, or, where something is refused, into repl.nack. */
static json_t *
ack_json(struct sl_cp *cp, bool refused)
{
	json_t *o = json_pack("{s:I, s:b}", "serving_seq", (json_int_t)cp_serving_seq(cp),
			      "overlay", (int)cp->overlay);
	struct sl_hash_sum sum;
	char hash[SL_HASH_STR];

	if (refused || o == NULL)
		return o;
	sl_replica_sum(cp->r, &sum);
	json_object_set_new(o, "generation", json_integer((json_int_t)sl_gw_generation(cp->gw)));
	json_object_set_new(o, "hash", json_string(sl_hash_str(&sum, hash)));
	json_object_set_new(o, "applied_us",
			    json_integer((json_int_t)((sl_clock_mono_ns() - cp->begin_ns) / 1000)));
	if (cp->ignored != NULL)
		json_object_set(o, "ignored", cp->ignored);
	return o;
}

/* What changed without a transaction, as a start from the cache or a file that came. */
static void
tell_source(struct sl_cp *cp, const struct sl_error *e, json_t *o)
{
	if (o == NULL || !cp->up || cp->call == NULL) {
		json_decref(o);
		return;
	}
	json_object_set_new(o, "epoch",
			    json_pack("{s:I, s:s}", "number", (json_int_t)cp->epoch.number, "id",
				      cp->epoch.id));
	json_object_set_new(o, "seq", json_integer((json_int_t)cp->seq));
	if (e->err != 0) {
		json_object_set_new(o, "code", json_string(e->reason));
		json_object_set_new(o, "path", json_string(e->path));
		json_object_set_new(o, "message", json_string(e->message));
	}
	cp->call(cp, e->err != 0 ? "repl.nack" : "repl.ack", o, NULL);
}

static void
first_fault(struct sl_cp *cp, struct sl_error *e)
{
	struct cp_item *i;
	char path[sizeof(e->path)];

	TAILQ_FOREACH (i, &cp->items, at) {
		if (i->bad == NULL)
			continue;
		*e = *i->bad;
		snprintf(path, sizeof(path), "%s/%.90s%.50s", sl_kind_name(i->kind), i->id,
			 e->path);
		memcpy(e->path, path, sizeof(path));
		return;
	}
	*e = cp->refusal;
}

static void
tell(struct sl_cp *cp, const struct sl_error *e)
{
	if (e->err != 0 && strcmp(cp->last_nack, e->reason) != 0)
		cp_event(cp, "control_refused", "failure",
			 json_pack("{s:s, s:s, s:s, s:I, s:I}", "reason", e->reason, "path",
				   e->path, "message", e->message, "seq", (json_int_t)cp->seq,
				   "serving_seq", (json_int_t)cp->serving_seq));
	else if (e->err == 0 && cp->last_nack[0] != '\0')
		cp_event(cp, "control_accepted", "success",
			 json_pack("{s:I}", "seq", (json_int_t)cp->seq));
	snprintf(cp->last_nack, sizeof(cp->last_nack), "%s", e->err != 0 ? e->reason : "");
}

static void
end_round(struct sl_cp *cp)
{
	bool in_op = cp->in_op, was_bad = cp->last_nack[0] != '\0';
	struct sl_error e = {0};
	json_t *o;

	cp->phase = CP_IDLE;
	cp->in_op = false;
	if (cp_refuses(cp)) {
		first_fault(cp, &e);
	} else {
		cp->serving_epoch = cp->epoch.number;
		cp->serving_seq = cp->seq;
	}
	cp->overlay = e.err != 0 && cp->seq != cp_serving_seq(cp);
	tell(cp, &e);
	cp_forbidden_end(cp);
	cp_psk_missing_end(cp);
	o = ack_json(cp, e.err != 0);
	json_decref(cp->ignored);
	cp->ignored = NULL;
	if (in_op)
		cp->done(cp, e.err, o, &e);
	else if (e.err != 0 || was_bad)
		tell_source(cp, &e, o);
	else
		json_decref(o);
}

/* What is acknowledged is known after a crash too. */
static bool
durable(struct sl_cp *cp)
{
	bool tombs = cp_tomb_poll(cp), journal = cp_journal_done(cp);

	return tombs && journal && !cp->cache_now;
}

void
cp_round(struct sl_cp *cp)
{
	if (cp->phase != CP_IDLE) {
		cp->round_due = true;
		return;
	}
	cp->round_due = false;
	cp->begin_ns = sl_clock_mono_ns();
	cp->phase = CP_CHECK;
}

/* Phases that wait for somebody else. */
static bool
step_policy(struct sl_cp *cp)
{
	if (cp->phase == CP_COLLECT) {
		if (cp_policy_collect(cp, BATCH))
			cp->phase = CP_JOIN;
		return true;
	}
	if (cp->phase == CP_LOAD || !gw_task_done(&cp->join->task))
		return false;
	load(cp);
	return cp->phase != CP_JOIN;
}

static void
after_deny(struct sl_cp *cp)
{
	if (cp->policy_due && cp->policy_loaded)
		begin_policy(cp, true);
	else
		cp->phase = CP_END;
}

bool
cp_step(struct sl_cp *cp)
{
	switch (cp->phase) {
	case CP_IDLE:
		if (!cp->round_due)
			return false;
		cp_round(cp);
		return true;
	case CP_DIFF:
		if (compare(cp))
			cp->phase = CP_CHECK;
		return true;
	case CP_CHECK:
		if (walk(cp, check))
			phase_after_check(cp);
		return true;
	case CP_REVOKE:
		if (walk(cp, revoke)) /* also makes room for what comes */
			cp->phase = cp->policy_due ? CP_STAGE : CP_GRANT;
		return true;
	case CP_STAGE:
		if (!walk(cp, stage))
			return true;
		if (cp->n_bad == 0) {
			begin_policy(cp, false);
			return true;
		}
		sl_gw_fed_cancel(cp->gw);
		cp->phase = CP_DENY;
		return true;
	case CP_DENY:
		if (walk(cp, deny))
			after_deny(cp);
		return true;
	case CP_GRANT:
		if (walk(cp, grant))
			cp->phase = CP_END;
		return true;
	case CP_END:
		if (cp->in_op && !durable(cp))
			return false;
		end_round(cp);
		return true;
	default:
		return step_policy(cp);
	}
}
