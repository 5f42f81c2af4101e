/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes up: who we are, once a connection; statistics of peers that had traffic, every few
 * seconds. Ages instead of times, a country instead of an address. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

#define CALL_PEERS 500 /* of one report */
#define BATCH 64
#define RETRY_NS (5 * SL_NS_PER_S)

struct cp_report {
	struct cp_rtt *rtt;
	struct cp_peer *next;
	bool walking, full, registering;
	json_t *peers, *blocked; /* blocked: "KIND/ID", NULL: not looked at yet */
	unsigned n_blocked;
	uint64_t due_ns, register_ns;
};

/* --- registration ------------------------------------------------------------------------------
 */

static json_t *
iface_json(const struct sl_gw_iface_info *i)
{
	json_t *list = json_array();
	char text[SL_PREFIX_STR], key[SL_KEY_B64_LEN + 1];
	unsigned k;

	for (k = 0; k < i->n_addresses; k++)
		json_array_append_new(list, json_string(sl_prefix_str(&i->addresses[k], text)));
	sl_key_to_base64(i->public_key.b, key);
	return json_pack("{s:s, s:s, s:i, s:s, s:o}", "interface", i->name, "public_key", key,
			 "listen_port", (int)i->listen_port, "key_store",
			 i->key_source == SL_KEY_MEMORY ? "memory" : "file", "addresses", list);
}

static void
registered(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct sl_cp *cp = ctx;
	struct cp_report *r = cp->report;

	(void)result;
	r->registering = false;
	cp->registered = rc == 0;
	r->register_ns = gw_mono_ns(cp->gw) + RETRY_NS;
	if (rc != 0)
		sl_log(SL_LOG_WARN, "control", "not registered: %s (%s)", e->message, e->reason);
}

static bool
register_now(struct sl_cp *cp)
{
	struct cp_report *r = cp->report;
	struct sl_gw_iface_info info;
	json_t *list = json_array();
	char now[SL_TIME_STR];
	unsigned i;
	r->registering = true;
	r->register_ns = gw_mono_ns(cp->gw) + RETRY_NS;
	for (i = 0; i < cp->config->n_interfaces; i++)
		if (sl_gw_iface_find(cp->gw, cp->config->interfaces[i], &info) && info.has_key)
			json_array_append_new(list, iface_json(&info));
	if (cp->call(cp, "gateway.register",
		     json_pack("{s:s, s:s, s:o, s:s, s:o}", "boot", cp->boot_id, "version",
			       SL_VERSION, "schema",
			       sl_repl_schema_list(
				       sl_repl_schemas_or_ours((struct sl_repl_schemas){0})),
			       "now", sl_time_str(gw_wall_ns(cp->gw), now), "interfaces", list),
		     registered) != 0)
		r->registering = false;
	return true;
}

/* --- statistics ---------------------------------------------------------------------------------
 */

static json_t *
age_s(uint64_t age_ms)
{
	return age_ms == UINT64_MAX ? json_null() : json_integer((json_int_t)(age_ms / 1000));
}

static uint64_t
handshake_age_ms(struct sl_cp *cp, const struct sl_gw_peer_info *i)
{
	uint64_t now = gw_wall_ns(cp->gw);

	if (i->last_handshake_wall_ns == 0)
		return UINT64_MAX;
	return now > i->last_handshake_wall_ns ? (now - i->last_handshake_wall_ns) / SL_NS_PER_MS
					       : 0;
}

static void
add_peer(struct sl_cp *cp, struct cp_peer *p)
{
	struct cp_report *r = cp->report;
	struct sl_gw_peer_info i;
	json_t *o;

	if (sl_gw_peer_info(cp->gw, p->iface, &p->key, &i) != 0)
		return;
	if (i.data_rx_bytes == p->rx && i.data_tx_bytes == p->tx &&
	    (!r->full || i.last_data_rx_age_ms == UINT64_MAX))
		return;
	p->rx = i.data_rx_bytes;
	p->tx = i.data_tx_bytes;
	o = json_pack("{s:s, s:I, s:I, s:o, s:o}", "id", p->name, "data_rx", (json_int_t)p->rx,
		      "data_tx", (json_int_t)p->tx, "data_age_s", age_s(i.last_data_rx_age_ms),
		      "handshake_age_s", age_s(handshake_age_ms(cp, &i)));
	if (o != NULL && i.has_endpoint)
		cp_geo_add(cp, &i.endpoint.ip, o);
	json_array_append_new(r->peers, o);
}

static json_t *
state_json(struct sl_cp *cp)
{
	json_t *o = cp->state != NULL ? cp->state(cp->state_ctx) : json_object();
	struct sl_gw_policy_info i;

	sl_gw_policy_info(cp->gw, &i);
	json_object_set_new(o, "tcp_rtt_ms",
			    cp_rtt_json(cp->report->rtt, sl_gw_dp(cp->gw),
					sl_gw_policy_view(cp->gw)));
	json_object_set_new(o, "seq", json_integer((json_int_t)cp->seq));
	json_object_set_new(o, "serving_seq", json_integer((json_int_t)cp_serving_seq(cp)));
	json_object_set_new(o, "generation", json_integer((json_int_t)sl_gw_generation(cp->gw)));
	json_object_set_new(o, "policy_version", json_integer(i.version));
	json_object_set_new(o, "stale", json_boolean(cp->stale || cp->stale_config));
	json_object_set_new(o, "logging", json_boolean(sl_gw_logging(cp->gw)));
	if (cp->n_blocked > 0)
		json_object_set_new(o, "blocked",
				    json_pack("{s:i, s:O}", "count", (int)cp->n_blocked, "objects",
					      cp->report->blocked));
	return o;
}

static void
send_report(struct sl_cp *cp, bool last)
{
	struct cp_report *r = cp->report;
	char now[SL_TIME_STR];
	json_t *params;

	params = json_pack("{s:s, s:s, s:b, s:o}", "boot", cp->boot_id, "now",
			   sl_time_str(gw_wall_ns(cp->gw), now), "full", (int)r->full, "peers",
			   r->peers);
	r->peers = json_array();
	if (params != NULL && last)
		json_object_set_new(params, "state", state_json(cp));
	if (params != NULL && cp->call(cp, "stats.report", params, NULL) != 0)
		r->full = true; /* what it held was not told */
	else if (last)
		r->full = false;
}

/* @return false: some are still to be looked at */
static bool
look_at_blocked(struct sl_cp *cp)
{
	struct cp_report *r = cp->report;

	if (r->blocked == NULL) {
		r->blocked = json_array();
		r->n_blocked = 0;
		cp_tomb_look(cp);
	}
	if (cp_tomb_look_on(cp, &r->n_blocked, r->blocked))
		return false;
	cp->n_blocked = r->n_blocked;
	return true;
}

static void
walk(struct sl_cp *cp)
{
	struct cp_report *r = cp->report;
	unsigned n;

	for (n = 0; n < BATCH && r->next != NULL; n++) {
		add_peer(cp, r->next);
		r->next = TAILQ_NEXT(r->next, at);
	}
	if (r->next == NULL) {
		if (!look_at_blocked(cp))
			return;
		r->walking = false;
		send_report(cp, true);
	} else if (json_array_size(r->peers) >= CALL_PEERS) {
		send_report(cp, false);
	}
}

bool
cp_report_poll(struct sl_cp *cp)
{
	struct cp_report *r = cp->report;
	uint64_t now = gw_mono_ns(cp->gw);

	if (r == NULL) {
		r = cp->report = calloc(1, sizeof(*r));
		if (r == NULL)
			return false;
		r->peers = json_array();
		r->rtt = cp_rtt_new();
	}
	if (!cp->up) {
		r->walking = r->registering = cp->registered = false;
		r->full = true;
		r->register_ns = r->due_ns = 0;
		return false;
	}
	if (!cp->registered && !r->registering && now >= r->register_ns)
		return register_now(cp);
	if (r->walking) {
		walk(cp);
		return true;
	}
	if (!cp->registered || now < r->due_ns)
		return false;
	r->due_ns = now + (uint64_t)cp->config->stats_s * SL_NS_PER_S;
	r->next = TAILQ_FIRST(&cp->peers);
	json_decref(r->blocked);
	r->blocked = NULL;
	r->walking = true;
	return true;
}

void
cp_report_forget(struct sl_cp *cp, const struct cp_peer *p)
{
	if (cp->report != NULL && cp->report->next == p)
		cp->report->next = TAILQ_NEXT(p, at);
}

void
cp_report_free(struct sl_cp *cp)
{
	if (cp->report != NULL) {
		json_decref(cp->report->peers);
		json_decref(cp->report->blocked);
		cp_rtt_free(cp->report->rtt);
	}
	free(cp->report);
	cp->report = NULL;
}
