/* SPDX-License-Identifier: BSD-3-Clause */
/* What the silence of the control plane means: after a minute nothing is known of identity
 * providers any more; after control_stale_after the gateway does what on_control_stale says.
 * Silence is counted on the monotonic clock from the last time that a source was heard. */
#include <stdlib.h>

#include "cp.h"

#define SESSION_NS (180 * SL_NS_PER_S) /* a session lives so long without a handshake */
#define LOOK_NS (1 * SL_NS_PER_S)
#define LOOK_BATCH 256

static uint64_t
silence_ns(const struct sl_cp *cp)
{
	return gw_mono_ns(cp->gw) - cp->heard_ns;
}

uint64_t
cp_heard_wall_ns(const struct sl_cp *cp)
{
	uint64_t age = gw_mono_ns(cp->gw) - cp->heard_ns, now = gw_wall_ns(cp->gw);

	return cp->heard_ns != 0 && age < now ? now - age : 0;
}

void
cp_stale_heard(struct sl_cp *cp)
{
	cp->heard_ns = gw_mono_ns(cp->gw);
}

bool
cp_stale_allows(const struct sl_cp *cp, const char *iface, const struct sl_pubkey *key)
{
	struct sl_gw_peer_info i;

	if (!cp->stale || cp->config->on_stale == SL_STALE_SERVE)
		return true;
	if (cp->config->on_stale == SL_STALE_DENY || sl_gw_peer_info(cp->gw, iface, key, &i) != 0 ||
	    i.last_handshake_wall_ns == 0)
		return false;
	return i.last_handshake_wall_ns + SESSION_NS > gw_wall_ns(cp->gw);
}

/* --- identity providers -------------------------------------------------------------------------
 */

static unsigned
count_down(struct sl_cp *cp, struct sl_gw_provider *v, json_t *bodies, unsigned max)
{
	struct sl_replica_cursor c = {0};
	struct sl_replica_obj o;
	const char *since, *state;
	struct sl_error e;
	unsigned n = 0;
	json_t *body;

	while (n < max && sl_replica_next(cp->r, SL_KIND_PROVIDER, &c, &o)) {
		body = cp_object(cp, SL_KIND_PROVIDER, o.id, &e);
		state = json_string_value(json_object_get(body, "state"));
		since = json_string_value(json_object_get(body, "since"));
		if (state != NULL && strcmp(state, "down") == 0) {
			v[n].name = o.id;
			v[n].since_wall_ns = 0;
			if (since == NULL || sl_time_parse(since, &v[n].since_wall_ns) != 0)
				v[n].since_wall_ns = 1; /* for ever, as far as we know */
			n++;
		}
		json_array_append_new(bodies, body);
	}
	return n;
}

static void
tell_providers(struct sl_cp *cp)
{
	unsigned max = (unsigned)sl_replica_count_kind(cp->r, SL_KIND_PROVIDER), n;
	struct sl_gw_provider *v = calloc(max + 1, sizeof(*v));
	uint64_t wall = gw_wall_ns(cp->gw), since = 0;
	json_t *bodies = json_array();

	if (cp->silent)
		since = wall > silence_ns(cp) ? wall - silence_ns(cp) : 1;
	if (v != NULL && bodies != NULL) {
		n = count_down(cp, v, bodies, max);
		cp->providers_due = sl_gw_providers_set(cp->gw, v, n, since,
							(uint64_t)cp->config->idp_grace_h * 3600 *
								SL_NS_PER_S) != 0;
	}
	json_decref(bodies);
	free(v);
}

/* --- peers that may not connect ---------------------------------------------------------------
 */

static void
shut_one(struct sl_cp *cp, struct cp_peer *p)
{
	struct sl_gw_peer_spec s = {.iface = p->iface,
				    .public_key = p->key,
				    .fields = SL_PF_ENABLED,
				    .update_only = true};
	struct sl_error e;

	if (p->shut || cp_stale_allows(cp, p->iface, &p->key))
		return;
	p->shut = sl_gw_peer_set(cp->gw, &s, &e) == 0;
}

static void
shut_some(struct sl_cp *cp)
{
	unsigned n;

	if (cp->shut_next == NULL) {
		if (gw_mono_ns(cp->gw) - cp->shut_look_ns < LOOK_NS)
			return;
		cp->shut_look_ns = gw_mono_ns(cp->gw);
		cp->shut_next = TAILQ_FIRST(&cp->peers);
	}
	sl_gw_begin(cp->gw);
	for (n = 0; n < LOOK_BATCH && cp->shut_next != NULL; n++) {
		struct cp_peer *p = cp->shut_next;

		cp->shut_next = TAILQ_NEXT(p, at);
		shut_one(cp, p);
	}
	sl_gw_commit(cp->gw);
}

static void
open_again(struct sl_cp *cp)
{
	struct cp_peer *p;

	cp->shut_next = NULL;
	TAILQ_FOREACH (p, &cp->peers, at)
		if (p->shut)
			cp_work_add(cp, SL_KIND_PEER, p->name);
	cp_round(cp);
}

/* --- turns --------------------------------------------------------------------------------------
 */

static void
change_stale(struct sl_cp *cp, bool stale)
{
	static const char *const text[] = {"serve", "deny-new", "deny"};

	cp->stale = stale;
	cp_event(cp, stale ? "control_stale" : "control_fresh", stale ? "failure" : "success",
		 json_pack("{s:I, s:s}", "silent_s", (json_int_t)(silence_ns(cp) / SL_NS_PER_S),
			   "on_control_stale", text[cp->config->on_stale]));
	if (!stale)
		open_again(cp);
}

static void
change_silent(struct sl_cp *cp, bool silent)
{
	cp->silent = silent;
	cp->providers_due = true;
	cp_event(cp, silent ? "control_silent" : "control_heard", silent ? "failure" : "success",
		 json_pack("{s:I}", "silent_s", (json_int_t)(silence_ns(cp) / SL_NS_PER_S)));
}

void
cp_stale_poll(struct sl_cp *cp)
{
	uint64_t age = silence_ns(cp);
	uint64_t stale_ns = (uint64_t)cp->config->control_stale_after_h * 3600 * SL_NS_PER_S;
	bool silent = age > CP_SILENT_NS, stale = age > stale_ns;

	if (silent != cp->silent)
		change_silent(cp, silent);
	if (stale != cp->stale)
		change_stale(cp, stale);
	if (cp->providers_due)
		tell_providers(cp);
	if (cp->stale && cp->config->on_stale != SL_STALE_SERVE)
		shut_some(cp);
}
