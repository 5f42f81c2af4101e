/* SPDX-License-Identifier: BSD-3-Clause */
/* The ledger of the migration: where each target is, what closes the next step, steps and
 * withdrawal. */
#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "migration.h"
#include "repl_view.h"
#include "sl_json.h"

/** Who is connected only the loop knows; all else is a thread's. */
static int
leave_loop(struct sl_call *c, int where, struct sl_error *e)
{
	if (c->rest->c.collector == NULL)
		return sl_call_not_primary(c, "the ledger's facts", e);
	c->connected = repl_view_all(c->rest->c.publisher);
	return c->connected != NULL ? where : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
}

static struct migration_facts *
facts_new(struct sl_call *c, const char *target, bool judge_flows, struct sl_error *e)
{
	struct migration_facts *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	if (migration_facts(c->reports, c->rest->c.collector, c->connected, target, judge_flows, f,
			    e) == 0)
		return f;
	migration_facts_free(f);
	free(f);
	return NULL;
}

static void
facts_free(struct migration_facts *f)
{
	if (f != NULL)
		migration_facts_free(f);
	free(f);
}

/* --- what it looks like ----------------------------------------------------------------------- */

static enum sl_ledger_state
next_of(enum sl_ledger_state s)
{
	switch (s) {
	case SL_LEDGER_VPN:
		return SL_LEDGER_PILOT;
	case SL_LEDGER_PILOT:
		return SL_LEDGER_OBSERVED;
	case SL_LEDGER_OBSERVED:
		return SL_LEDGER_ENFORCED;
	default:
		return SL_LEDGER_DONE;
	}
}

/** Gateways that let through what still comes to a withdrawn target. */
static void
set_older(json_t *o, const struct migration_facts *f)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < f->f.n_gateways; i++)
		if (f->is_older[i])
			json_array_append_new(list, json_string(f->gateway[i].name));
	if (json_array_size(list) > 0)
		json_object_set(o, "older_gateways", list);
	json_decref(list);
}

static json_t *
target_json(struct sl_call *c, const char *name, const json_t *entry,
	    const struct migration_facts *f, struct sl_error *e)
{
	enum sl_ledger_state s = sl_ledger_state(entry), next = next_of(s);
	struct sl_gate gate[SL_GATES_MAX];
	unsigned n = s == SL_LEDGER_DONE ? 0 : sl_ledger_gates(next, &f->f, gate);
	json_t *prefixes = migration_prefixes(c->store, name), *stale = NULL;
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:i}", "target", name, "state", sl_ledger_state_name(s),
			  "path", sl_ledger_is_wg(s) ? "wg" : "vpn", "peers", (int)f->f.peers);

	if (s == SL_LEDGER_VPN)
		stale = sl_collector_issued_with(c->store, prefixes, e);
	if (o != NULL && n > 0) {
		json_object_set_new(o, "next_state", json_string(sl_ledger_state_name(next)));
		json_object_set_new(o, "gates", sl_gates_json(gate, n));
	}
	/* stock clients keep what they were given until somebody gives them the new one */
	if (o != NULL && json_array_size(stale) > 0)
		json_object_set(o, "stale_configs", stale);
	if (o != NULL && s == SL_LEDGER_VPN && json_object_get(entry, "since") != NULL)
		set_older(o, f);
	if (o != NULL)
		json_object_update_missing(o, (json_t *)entry);
	json_decref(stale);
	json_decref(prefixes);
	return o;
}

struct listing {
	struct sl_call *c;
	json_t *items;
	struct sl_error *e;
	int rc;
};

static bool
each_target(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct listing *l = ctx;
	json_t *entry = migration_entry(l->c->store, id, &rev);
	struct migration_facts *f = facts_new(l->c, id, true, l->e);

	if (f == NULL || entry == NULL)
		l->rc = l->e->err != 0 ? l->e->err : -ENOMEM;
	else
		json_array_append_new(l->items, target_json(l->c, id, entry, f, l->e));
	facts_free(f);
	json_decref(entry);
	return l->rc == 0;
}

static int
show_all(struct sl_call *c, struct sl_error *e)
{
	struct listing l = {.c = c, .items = json_array(), .e = e};
	struct sl_gate gate[SL_GATES_MAX];
	struct migration_facts *f;
	json_t *deployment, *o;
	uint64_t rev;
	unsigned n, next;
	int rc;

	rc = sl_store_walk(c->store, SL_KIND_TARGET, "", each_target, &l, e);
	rc = rc != 0 ? rc : l.rc;
	f = rc == 0 ? facts_new(c, NULL, false, e) : NULL;
	if (f == NULL) {
		json_decref(l.items);
		return rc != 0 ? rc : e->err;
	}
	deployment = migration_deployment(c->store, &rev);
	next = json_integer_value(json_object_get(deployment, "phase")) == SL_PHASE_NONE
		       ? SL_PHASE_BASE
		       : SL_PHASE_COMPLETE;
	n = sl_ledger_phase_gates(next, &f->f, gate);
	o = json_pack("{s:O, s:i, s:o, s:o}", "phase", json_object_get(deployment, "phase"),
		      "next_phase", (int)next, "gates", sl_gates_json(gate, n), "targets", l.items);
	if (o != NULL && json_object_get(deployment, "major") != NULL)
		json_object_set(o, "major", json_object_get(deployment, "major"));
	json_decref(deployment);
	facts_free(f);
	return sl_call_answer(c, 200, o, e);
}

int
sl_op_get_migration(struct sl_call *c, struct sl_error *e)
{
	return c->part == 0 ? leave_loop(c, SL_CALL_HELPER, e) : show_all(c, e);
}

static int
show_target(struct sl_call *c, struct sl_error *e)
{
	struct migration_facts *f;
	json_t *entry;
	uint64_t rev;
	int rc;

	entry = migration_entry(c->store, c->arg[0], &rev);
	if (entry == NULL)
		return sl_call_not_found("target", c->arg[0], e);
	f = facts_new(c, c->arg[0], true, e);
	rc = f == NULL ? e->err : sl_call_answer(c, 200, target_json(c, c->arg[0], entry, f, e), e);
	facts_free(f);
	json_decref(entry);
	return rc;
}

int
sl_op_get_migration_target(struct sl_call *c, struct sl_error *e)
{
	return c->part == 0 ? leave_loop(c, SL_CALL_HELPER, e) : show_target(c, e);
}

/* --- steps ------------------------------------------------------------------------------------ */

static int
put_entry(struct sl_call *c, const char *id, uint64_t rev, json_t *entry, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);

	if (t == NULL)
		return e->err;
	return change_end(c, t, sl_store_put(t, SL_KIND_MIGRATION, id, rev, entry, e), e);
}

/** Change an entry, then show it. */
static int
change_target(struct sl_call *c,
	      int (*fn)(struct sl_call *c, json_t *entry, const struct migration_facts *f,
			const char *now, struct sl_error *e),
	      bool judge_flows, struct sl_error *e)
{
	char id[SL_OBJ_ID], now[SL_TIME_STR];
	struct migration_facts *f = NULL;
	json_t *entry;
	uint64_t rev;
	int rc;

	if (c->part == 0)
		return leave_loop(c, SL_CALL_WRITER, e);
	entry = migration_entry(c->store, c->arg[0], &rev);
	if (entry == NULL)
		return sl_call_not_found("target", c->arg[0], e);
	f = facts_new(c, c->arg[0], judge_flows, e);
	snprintf(id, sizeof(id), "target:%s", c->arg[0]);
	sl_time_str((uint64_t)sl_collector_now_s() * 1000000000, now);
	rc = f == NULL ? e->err : fn(c, entry, f, now, e);
	rc = rc != 0 ? rc : put_entry(c, id, rev, entry, e);
	json_decref(entry);
	facts_free(f);
	return rc != 0 || c->done ? rc : show_target(c, e);
}

static int
advance(struct sl_call *c, json_t *entry, const struct migration_facts *f, const char *now,
	struct sl_error *e)
{
	enum sl_ledger_state to;

	if (sl_ledger_state_parse(sl_json_text(c->body, "to"), &to) != 0)
		return sl_fail(e, -EINVAL, "enum_invalid", "/to", "pilot, observed or done");
	return sl_ledger_move(entry, to, &f->f, json_is_true(json_object_get(c->body, "force")),
			      c->who.name, sl_json_text(c->body, "comment"), now, e);
}

int
sl_op_advance_migration(struct sl_call *c, struct sl_error *e)
{
	return change_target(c, advance, true, e);
}

static int
withdraw(struct sl_call *c, json_t *entry, const struct migration_facts *f, const char *now,
	 struct sl_error *e)
{
	if (sl_ledger_withdraw(entry, c->who.name, sl_json_text(c->body, "comment"), now) == 0)
		return 0;
	return sl_fail(e, -EEXIST, "is_vpn", "", "the target goes the old way already");
}

int
sl_op_withdraw_migration(struct sl_call *c, struct sl_error *e)
{
	return change_target(c, withdraw, false, e);
}

static int
check_distribute(struct sl_call *c, const json_t *list, struct sl_error *e)
{
	char path[40];
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v) {
		const char *who = json_string_value(v);

		snprintf(path, sizeof(path), "/distribute/%zu", i);
		if (strcmp(who, "*") == 0)
			continue;
		if (strncmp(who, "peer:", 5) == 0 || strncmp(who, "role:", 5) == 0) {
			if (sl_store_get(c->store, who[0] == 'p' ? SL_KIND_PEER : SL_KIND_ROLE,
					 who + 5, NULL, NULL) == 0)
				continue;
			return sl_fail(e, -EINVAL, "not_found", path, "there is no %s", who);
		}
		return sl_fail(e, -EINVAL, "enum_invalid", path, "*, peer:NAME or role:NAME");
	}
	return 0;
}

static int
distribute(struct sl_call *c, json_t *entry, const struct migration_facts *f, const char *now,
	   struct sl_error *e)
{
	json_t *list = json_object_get(c->body, "distribute");
	int rc = check_distribute(c, list, e);

	return rc != 0 ? rc : json_object_set(entry, "distribute", list);
}

int
sl_op_put_migration_distribution(struct sl_call *c, struct sl_error *e)
{
	return change_target(c, distribute, false, e);
}

int
sl_op_put_migration_deployment(struct sl_call *c, struct sl_error *e)
{
	json_int_t phase = json_integer_value(json_object_get(c->body, "phase"));
	const json_t *major = json_object_get(c->body, "major");
	struct sl_gate gate[SL_GATES_MAX];
	struct migration_facts *f;
	json_t *entry;
	uint64_t rev;
	unsigned n;
	int rc;

	if (c->part == 0)
		return leave_loop(c, SL_CALL_WRITER, e);
	f = facts_new(c, NULL, false, e);
	if (f == NULL)
		return e->err;
	n = sl_ledger_phase_gates((unsigned)phase, &f->f, gate);
	rc = 0;
	for (unsigned i = 0; i < n && rc == 0; i++)
		if (!gate[i].ok && !json_is_true(json_object_get(c->body, "force"))) {
			rc = sl_fail(e, -EBUSY, "gate_closed", "/phase", "%s: %s", gate[i].name,
				     gate[i].detail);
			sl_hint(e, "mend it, or force=true if you know better");
		}
	facts_free(f);
	if (rc != 0)
		return rc;
	entry = migration_deployment(c->store, &rev);
	json_object_set_new(entry, "phase", json_integer(phase));
	if (major != NULL)
		json_object_set(entry, "major", (json_t *)major);
	rc = put_entry(c, "deployment", rev, entry, e);
	json_decref(entry);
	return rc != 0 || c->done ? rc : show_all(c, e);
}
