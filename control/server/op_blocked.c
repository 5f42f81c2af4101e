/* SPDX-License-Identifier: BSD-3-Clause */
/* What a restore brought back although it was deleted since: gateways block it until somebody puts
 * it anew. Known from our own tombstones, and from what gateways report. */
#include <stdio.h>
#include <stdlib.h>

#include "change.h"
#include "collector.h"
#include "sl_json.h"

#define ITEMS_MAX 1000 /* of an answer, and of a transaction */

struct gather {
	struct sl_call *c;
	json_t *items; /* "KIND/ID" -> what is shown of it */
	json_t *gateways;
	uint64_t put_since; /* revisions above were put in the present epoch: nobody blocks them */
	bool more;
};

/** @return the item, NULL: there are enough. Borrowed */
static json_t *
item(struct gather *g, enum sl_kind k, const char *id, uint64_t rev)
{
	char name[SL_OBJ_ID + 32];
	json_t *o;

	snprintf(name, sizeof(name), "%s/%s", sl_kind_name(k), id);
	o = json_object_get(g->items, name);
	if (o != NULL)
		return o;
	if (json_object_size(g->items) >= ITEMS_MAX) {
		g->more = true;
		return NULL;
	}
	o = json_pack("{s:s, s:s, s:s, s:I, s:[]}", "object", name, "kind", sl_kind_name(k), "id",
		      id, "rev", (json_int_t)rev, "gateways");
	json_object_set_new(g->items, name, o);
	return o;
}

static bool
each_known(void *ctx, const struct sl_tombstone *t)
{
	struct gather *g = ctx;
	json_t *o = item(g, t->kind, t->id, t->rev);
	char at[SL_TIME_STR];

	if (o != NULL)
		json_object_set_new(o, "deleted_at", json_string(sl_time_str(t->wall_ns, at)));
	return o != NULL;
}

/** A gateway's word: what it names must be here, and of a revision that can be blocked. */
static void
take_named(struct gather *g, const char *gateway, const char *name)
{
	const char *id = name != NULL ? strchr(name, '/') : NULL;
	char kind[32];
	enum sl_kind k;
	uint64_t rev;
	json_t *o;

	if (id == NULL ||
	    snprintf(kind, sizeof(kind), "%.*s", (int)(id - name), name) >= (int)sizeof(kind) ||
	    strlen(id + 1) >= SL_OBJ_ID || sl_kind_parse(kind, &k) != 0 ||
	    (k != SL_KIND_PEER && k != SL_KIND_ROLE_MAP && k != SL_KIND_RULE) ||
	    sl_store_get(g->c->store, k, id + 1, &rev, NULL) != 0 || rev > g->put_since)
		return;
	o = item(g, k, id + 1, rev);
	if (o != NULL)
		json_array_append_new(json_object_get(o, "gateways"), json_string(gateway));
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct gather *g = ctx;
	struct sl_gateway_state s;
	json_t *blocked, *names, *v;
	size_t i;

	if (!sl_collector_gateway(g->c->rest->c.collector, id, &s))
		return true;
	blocked = json_object_get(s.state, "blocked");
	names = json_object_get(blocked, "objects");
	if (sl_blocked_count(s.state) > 0)
		json_object_set_new(g->gateways, id, json_integer(sl_blocked_count(s.state)));
	g->more |= sl_blocked_count(s.state) > (json_int_t)json_array_size(names);
	json_array_foreach (names, i, v) {
		if (i < ITEMS_MAX)
			take_named(g, id, json_string_value(v));
	}
	json_decref(s.state);
	return true;
}

/** @return 0 or a negative errno with `e`; gather_free() in any case */
static int
gather(struct sl_call *c, struct gather *g, struct sl_error *e)
{
	struct sl_epoch epoch;
	int rc;

	sl_store_epoch(c->store, &epoch);
	*g = (struct gather){.c = c,
			     .items = json_object(),
			     .gateways = json_object(),
			     .put_since = sl_epoch_rev_base(epoch.number)};
	if (g->items == NULL || g->gateways == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	rc = sl_store_blocked(c->store, each_known, g, e);
	if (rc == 0 && c->rest->c.collector != NULL)
		rc = sl_store_walk(c->store, SL_KIND_GATEWAY, "", each_gateway, g, e);
	return rc;
}

static void
gather_free(struct gather *g)
{
	json_decref(g->items);
	json_decref(g->gateways);
}

int
sl_op_list_blocked(struct sl_call *c, struct sl_error *e)
{
	json_t *list = json_array(), *o;
	struct gather g;
	const char *name;
	int rc = gather(c, &g, e);

	json_object_foreach (g.items, name, o)
		json_array_append(list, o);
	if (rc == 0)
		rc = sl_call_answer(c, 200,
				    json_pack("{s:O, s:O, s:b}", "items", list, "gateways",
					      g.gateways, "more", (int)g.more),
				    e);
	json_decref(list);
	gather_free(&g);
	return rc;
}

/* --- confirming ------------------------------------------------------------------------------- */

/** What was blocked since the caller looked is let in only by who says that he means that. */
static int
check_choice(const json_t *wanted, bool all, struct sl_error *e)
{
	if (all == (wanted == NULL))
		return 0;
	sl_fail(e, -EINVAL, "objects_or_all", "/objects", "%s",
		all ? "either some are named, or all are meant" : "it does not say which of them");
	sl_hint(e, "name those that GET /blocked showed; \"all\": true (sluicectl: --all) takes "
		   "whatever is blocked by now");
	return -EINVAL;
}

/** Those that the body names, or all. */
static int
choose(struct sl_call *c, struct gather *g, struct sl_error *e)
{
	json_t *wanted = json_object_get(c->body, "objects"), *chosen, *v;
	bool all = json_is_true(json_object_get(c->body, "all"));
	int rc = check_choice(wanted, all, e);
	char path[40];
	size_t i;

	if (rc != 0 || all)
		return rc;
	chosen = json_object();
	json_array_foreach (wanted, i, v) {
		const char *name = json_string_value(v);

		if (json_object_get(g->items, name) == NULL) {
			json_decref(chosen);
			snprintf(path, sizeof(path), "/objects/%zu", i);
			sl_fail(e, -EINVAL, "not_blocked", path, "nobody blocks \"%.150s\"", name);
			sl_hint(e, "GET /blocked lists what is blocked, as KIND/ID");
			return -EINVAL;
		}
		json_object_set(chosen, name, json_object_get(g->items, name));
	}
	json_decref(g->items);
	g->items = chosen;
	return 0;
}

/** As it is: with its new revision no tombstone blocks it. */
static int
put_anew(struct sl_store_txn *t, const json_t *o, struct sl_error *e)
{
	const char *id = sl_json_text(o, "id");
	json_t *body = NULL;
	enum sl_kind k;
	int rc = sl_kind_parse(sl_json_text(o, "kind"), &k);

	if (rc == 0)
		rc = sl_store_txn_get(t, k, id, NULL, &body);
	if (rc == 0)
		rc = sl_store_put(t, k, id, SL_REV_ANY, body, e);
	else
		rc = sl_fail(e, rc, "store_io", "", "%.150s cannot be read",
			     sl_json_text(o, "object"));
	json_decref(body);
	return rc;
}

static int
put_all(struct sl_call *c, struct gather *g, struct sl_error *e)
{
	struct sl_store_txn *t;
	const char *name;
	json_t *o;
	int rc = 0;

	if (json_object_size(g->items) == 0)
		return 0;
	t = change_begin(c, e);
	if (t == NULL)
		return e->err;
	sl_store_txn_confirms(t);
	json_object_foreach (g->items, name, o) {
		if (rc == 0)
			rc = put_anew(t, o, e);
	}
	return change_end(c, t, rc, e);
}

int
sl_op_confirm_blocked(struct sl_call *c, struct sl_error *e)
{
	json_t *names = json_array(), *o;
	struct gather g;
	const char *name;
	int rc = gather(c, &g, e);

	if (rc == 0)
		rc = choose(c, &g, e);
	if (rc == 0)
		rc = put_all(c, &g, e);
	json_object_foreach (g.items, name, o)
		json_array_append_new(names, json_string(name));
	if (rc == 0 && !c->done)
		rc = sl_call_answer(c, 200,
				    json_pack("{s:O, s:b, s:I}", "confirmed", names, "more",
					      (int)g.more, "seq",
					      (json_int_t)sl_store_head(c->store)),
				    e);
	json_decref(names);
	gather_free(&g);
	return rc;
}
