/* SPDX-License-Identifier: BSD-3-Clause */
/* Facts for the ledger, and what follows from modes by itself. */
#include "migration.h"

#include <stdio.h>
#include <stdlib.h>

#include "evidence.h"
#include "sl_log.h"
#include "sl_trail.h"
#include "sl_json.h"

#define DAY_S 86400

/* --- entries ---------------------------------------------------------------------------------- */

json_t *
migration_entry(struct sl_store *s, const char *target, uint64_t *rev)
{
	char id[SL_OBJ_ID];
	json_t *body = NULL;

	*rev = 0;
	snprintf(id, sizeof(id), "target:%s", target);
	if (sl_store_get(s, SL_KIND_MIGRATION, id, rev, &body) == 0)
		return body;
	if (sl_store_get(s, SL_KIND_TARGET, target, NULL, NULL) != 0)
		return NULL;
	return json_pack("{s:s}", "state", "vpn");
}

json_t *
migration_deployment(struct sl_store *s, uint64_t *rev)
{
	json_t *body = NULL;

	*rev = 0;
	if (sl_store_get(s, SL_KIND_MIGRATION, "deployment", rev, &body) == 0)
		return body;
	return json_pack("{s:i}", "phase", 0);
}

json_t *
migration_prefixes(struct sl_store *s, const char *target)
{
	json_t *body = NULL, *list = json_array(), *v;
	char text[64], canon[SL_PREFIX_STR];
	struct sl_prefix p;
	size_t i;

	if (sl_store_get(s, SL_KIND_TARGET, target, NULL, &body) != 0)
		return list;
	json_array_foreach (json_object_get(body, "addresses"), i, v) {
		const char *place = json_string_value(v);

		snprintf(text, sizeof(text), "%.*s", (int)strcspn(place, "@"), place);
		if (sl_prefix_parse(text, &p) == 0)
			json_array_append_new(list, json_string(sl_prefix_str(&p, canon)));
	}
	json_decref(body);
	return list;
}

/** Who gets it: "*", peer:NAME, role:NAME; without a list everybody. */
bool
migration_distributes(const json_t *entry, const char *peer, const json_t *peer_body)
{
	const json_t *list = json_object_get(entry, "distribute");
	json_t *v, *role;
	size_t i, k;

	if (!sl_ledger_is_wg(sl_ledger_state(entry)))
		return false;
	if (!json_is_array(list))
		return true;
	json_array_foreach ((json_t *)list, i, v) {
		const char *who = json_string_value(v);

		if (strcmp(who, "*") == 0 ||
		    (strncmp(who, "peer:", 5) == 0 && strcmp(who + 5, peer) == 0))
			return true;
		if (strncmp(who, "role:", 5) != 0)
			continue;
		json_array_foreach (json_object_get(peer_body, "roles"), k, role)
			if (strcmp(json_string_value(role), who + 5) == 0)
				return true;
	}
	return false;
}

/* --- gateways --------------------------------------------------------------------------------- */

static bool
is_enforce(const json_t *v)
{
	const char *s = json_string_value(v);

	return s != NULL && strcmp(s, "enforce") == 0;
}

/** Is all of a prefix judged in enforce? The longest mode prefix around it decides, and none inside
 * it says otherwise. */
static bool
enforces_prefix(const json_t *mode, const struct sl_prefix *p)
{
	bool enforce = is_enforce(json_object_get(mode, "default"));
	const char *key;
	int longest = -1;
	json_t *v;

	json_object_foreach (json_object_get(mode, "prefixes"), key, v) {
		struct sl_prefix m;

		if (sl_prefix_parse(key, &m) != 0 || !sl_prefix_overlaps(&m, p))
			continue;
		if (m.len > p->len && !is_enforce(v))
			return false;
		if (m.len <= p->len && (int)m.len > longest) {
			longest = m.len;
			enforce = is_enforce(v);
		}
	}
	return enforce;
}

static bool
enforces_all(const json_t *mode, const json_t *prefixes)
{
	struct sl_prefix p;
	json_t *v;
	size_t i;

	if (json_array_size(prefixes) == 0 || json_is_true(json_object_get(mode, "panic")))
		return false;
	json_array_foreach ((json_t *)prefixes, i, v)
		if (sl_prefix_parse(json_string_value(v), &p) != 0 || !enforces_prefix(mode, &p))
			return false;
	return true;
}

static bool
observes_all(const json_t *mode)
{
	const char *key;
	json_t *v;

	if (mode == NULL)
		return false;
	if (json_is_true(json_object_get(mode, "panic")))
		return true;
	json_object_foreach (json_object_get(mode, "prefixes"), key, v)
		if (is_enforce(v))
			return false;
	return !is_enforce(json_object_get(mode, "default"));
}

struct gather {
	struct sl_store *s;
	struct sl_reports *r;
	struct sl_collector *c;
	struct migration_facts *out;
	const json_t *prefixes;
	int64_t now_s;
};

struct keys {
	bool key, endpoint;
	const char *gateway;
	unsigned n;
};

static bool
each_gateway_interface(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text,
		       size_t len)
{
	struct keys *keys = ctx;
	json_t *gi = json_loadb(text, len, 0, NULL);

	if (strcmp(sl_json_text(gi, "gateway"), keys->gateway) == 0) {
		keys->n++;
		keys->key &= sl_json_text(gi, "public_key")[0] != '\0';
		keys->endpoint &= sl_json_text(gi, "endpoint")[0] != '\0';
	}
	json_decref(gi);
	return true;
}

static bool
each_gateway(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct gather *g = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);
	struct keys keys = {.key = true, .endpoint = true, .gateway = id};
	struct sl_gateway_state state;
	struct sl_ledger_gateway *gw;
	const json_t *mode;
	bool off = json_is_false(json_object_get(body, "enabled"));

	json_decref(body);
	if (off || g->out->f.n_gateways == MIGRATION_GATEWAYS)
		return true;
	sl_store_walk(g->s, SL_KIND_GATEWAY_INTERFACE, "", each_gateway_interface, &keys, NULL);
	sl_collector_gateway(g->c, id, &state);
	mode = json_object_get(state.state, "mode");
	json_array_append_new(g->out->names, json_string(id));
	gw = &g->out->gateway[g->out->f.n_gateways++];
	*gw = (struct sl_ledger_gateway){
		.name = json_string_value(
			json_array_get(g->out->names, json_array_size(g->out->names) - 1)),
		.registered = keys.n > 0 && keys.key,
		.endpoint = keys.n > 0 && keys.endpoint,
		.logging = json_is_true(json_object_get(state.state, "logging")),
		.mode_told = mode != NULL,
		.observe_all = observes_all(mode),
		.target_enforced = enforces_all(mode, g->prefixes),
		.push_age_s = state.push_s != 0 ? SL_MAX(g->now_s - state.push_s, 0) : -1,
	};
	json_decref(state.state);
	return true;
}

/** @param o of repl_view_all() */
static void
take_subscriber(struct migration_facts *out, const json_t *o)
{
	bool connected = json_is_true(json_object_get(o, "connected"));
	json_int_t schema = json_integer_value(json_object_get(o, "schema"));

	for (unsigned k = 0; k < out->f.n_gateways; k++) {
		if (strcmp(out->gateway[k].name, sl_json_text(o, "gateway")) != 0)
			continue;
		out->gateway[k].connected = connected;
		out->is_older[k] = connected && schema != 0 && schema < MIGRATION_SCHEMA;
	}
}

/* --- distribution ----------------------------------------------------------------------------- */

struct count {
	const json_t *entry;
	bool roles; /* bodies must be looked into */
	unsigned n;
};

static bool
names_roles(const json_t *list)
{
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v)
		if (strncmp(json_string_value(v), "role:", 5) == 0)
			return true;
	return false;
}

static bool
each_peer(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct count *count = ctx;
	json_t *peer = count->roles ? json_loadb(text, len, 0, NULL) : NULL;

	count->n += migration_distributes(count->entry, id, peer);
	json_decref(peer);
	return true;
}

/** Peers that would have the route if the target went through the tunnel. */
static unsigned
count_anew(struct sl_store *s, const json_t *entry)
{
	json_t *as_pilot = json_copy((json_t *)entry);
	struct count count = {.entry = as_pilot,
			      .roles = names_roles(json_object_get(entry, "distribute"))};

	json_object_set_new(as_pilot, "state", json_string("pilot"));
	sl_store_walk(s, SL_KIND_PEER, "", each_peer, &count, NULL);
	json_decref(as_pilot);
	return count.n;
}

/** Most targets go to the same ones: counted once until something changes. */
static unsigned
count_peers(struct sl_reports *r, const json_t *entry)
{
	json_t *memo = sl_reports_memo(r), *n;
	json_t *list = json_object_get(entry, "distribute");
	char *key = json_is_array(list) ? json_dumps(list, JSON_COMPACT) : strdup("*");

	n = key != NULL ? json_object_get(memo, key) : NULL;
	if (key != NULL && n == NULL) {
		n = json_integer(count_anew(r->store, entry));
		json_object_set_new(memo, key, n);
	}
	free(key);
	return (unsigned)json_integer_value(n);
}

static bool
each_entry(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	unsigned *wg = ctx;
	json_t *entry = json_loadb(text, len, 0, NULL);

	*wg += strncmp(id, "target:", 7) == 0 && sl_ledger_is_wg(sl_ledger_state(entry));
	json_decref(entry);
	return true;
}

static void
count_major(struct sl_store *s, struct sl_ledger_facts *f)
{
	uint64_t rev;
	json_t *deployment = migration_deployment(s, &rev), *v, *entry;
	size_t i;

	json_array_foreach (json_object_get(deployment, "major"), i, v) {
		entry = migration_entry(s, json_string_value(v), &rev);
		f->major++;
		f->major_done += entry != NULL && sl_ledger_state(entry) == SL_LEDGER_DONE;
		json_decref(entry);
	}
	json_decref(deployment);
}

/* --- evidence and trends ---------------------------------------------------------------------- */

static int
ask_evidence(struct gather *g, struct sl_error *e)
{
	struct sl_ledger_facts *f = &g->out->f;
	struct evidence_sum sum;
	json_t *gaps, *gap;
	size_t i;
	int rc = evidence_count(g->r, g->prefixes, g->now_s - f->window_s, &sum, e);

	if (rc != 0)
		return rc;
	f->flows = sum.flows;
	f->would_deny = sum.denied;
	gaps = sl_flows_gaps(g->r->flows, g->out->names, g->now_s - f->window_s, g->now_s, e);
	f->covered_s = json_array_size(gaps) > 0 ? f->window_s : 0;
	json_array_foreach (gaps, i, gap) {
		/* rows come every few seconds: what is not there yet is no gap */
		int64_t covered = json_integer_value(json_object_get(gap, "covered_s")) + 60;

		f->covered_s = SL_MIN(f->covered_s, covered);
		f->lost += (uint64_t)(json_integer_value(json_object_get(gap, "lost_rows")) +
				      json_integer_value(json_object_get(gap, "lost_flows")));
	}
	json_decref(gaps);
	return 0;
}

static int
ask_trend(struct gather *g, const char *target, const json_t *entry, struct sl_error *e)
{
	struct migration_facts *out = g->out;
	bool has_baseline = sl_trend_parse(json_object_get(entry, "baseline"), &out->baseline) == 0;
	/* before it enters observed: the day before; then: the last hour */
	int64_t window = has_baseline ? 3600 : DAY_S;
	int rc = sl_trend_mean(g->r->trend, NULL, target, g->now_s - window, g->now_s + 1,
			       &out->now, e);

	if (rc == 0 && out->now.samples > 0)
		out->f.now = &out->now;
	if (has_baseline)
		out->f.baseline = &out->baseline;
	return rc;
}

int
migration_facts(struct sl_reports *r, struct sl_collector *c, const json_t *connected,
		const char *target, bool judge, struct migration_facts *out, struct sl_error *e)
{
	struct sl_store *s = r->store;
	json_t *prefixes = target != NULL ? migration_prefixes(s, target) : json_array(), *entry;
	struct gather g = {.s = s,
			   .r = r,
			   .c = c,
			   .out = out,
			   .prefixes = prefixes,
			   .now_s = sl_collector_now_s()};
	json_t *subscriber;
	unsigned wg = 0;
	uint64_t rev;
	size_t i;
	int rc;

	memset(out, 0, sizeof(*out));
	out->names = json_array();
	out->f.gateway = out->gateway;
	out->f.window_s = MIGRATION_WINDOW_S;
	rc = sl_store_walk(s, SL_KIND_GATEWAY, "", each_gateway, &g, e);
	json_array_foreach ((json_t *)connected, i, subscriber) {
		take_subscriber(out, subscriber);
	}
	sl_store_walk(s, SL_KIND_MIGRATION, "", each_entry, &wg, NULL);
	out->f.distributed = wg;
	count_major(s, &out->f);
	entry = target != NULL ? migration_entry(s, target, &rev) : NULL;
	if (rc == 0 && entry != NULL) {
		out->f.in_policy = sl_store_get(s, SL_KIND_TARGET, target, NULL, NULL) == 0;
		if (judge)
			out->f.peers = count_peers(r, entry);
		rc = ask_trend(&g, target, entry, e);
		if (rc == 0 && judge)
			rc = ask_evidence(&g, e);
	}
	json_decref(entry);
	json_decref(prefixes);
	return rc;
}

void
migration_facts_free(struct migration_facts *f)
{
	json_decref(f->names);
}

/* --- following -------------------------------------------------------------------------------- */

struct follow {
	struct sl_reports *r;
	struct sl_collector *c;
	json_t *moved; /* target -> entry */
};

static bool
each_to_follow(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	       size_t len)
{
	struct follow *f = ctx;
	struct migration_facts *facts = calloc(1, sizeof(*facts));
	char now[SL_TIME_STR];
	struct sl_error e;
	json_t *entry;

	if (facts == NULL || strncmp(id, "target:", 7) != 0) {
		free(facts);
		return true;
	}
	entry = json_loadb(text, len, 0, NULL);
	if (migration_facts(f->r, f->c, NULL, id + 7, false, facts, &e) == 0 &&
	    sl_ledger_derive(entry, &facts->f,
			     sl_time_str((uint64_t)sl_collector_now_s() * 1000000000, now)))
		json_object_set(f->moved, id, entry);
	json_decref(entry);
	migration_facts_free(facts);
	free(facts);
	return true;
}

void
migration_follow(struct sl_reports *r, struct sl_collector *c, const struct sl_seal_key *key)
{
	static const struct sl_trail_row row = {.actor = "gateways",
						.source = "-",
						.operation = "modes",
						.path = "-",
						.request_id = "-",
						.outcome = "done"};
	struct follow f = {.r = r, .c = c, .moved = json_object()};
	struct sl_error e = {0};
	struct sl_store_txn *t;
	const char *id;
	json_t *entry;
	uint64_t seq;
	int rc = sl_store_walk(r->store, SL_KIND_MIGRATION, "", each_to_follow, &f, &e);

	if (rc == 0 && json_object_size(f.moved) > 0) {
		t = sl_store_begin(r->store, "gateways", "modes", &e);
		rc = t != NULL ? 0 : e.err;
		json_object_foreach (f.moved, id, entry) {
			if (rc == 0)
				rc = sl_store_put(t, SL_KIND_MIGRATION, id, SL_REV_ANY, entry, &e);
		}
		if (rc == 0)
			rc = sl_trail_change(r->store, key, t, &row, &e);
		if (t != NULL && rc == 0)
			rc = sl_store_commit(t, &seq, &e);
		else if (t != NULL)
			sl_store_abort(t);
	}
	if (rc != 0)
		sl_log(SL_LOG_WARN, "ledger", "the ledger does not follow the modes: %s",
		       e.message);
	json_decref(f.moved);
}
