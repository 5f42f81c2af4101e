/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "gw.h"
#include "gw_policy.h"

#define NOTES_MAX 256 /* of hs in one turn */
#define EARLY_MAX 64  /* events that wait for the drain */
#define WALL_CHECK_NS (SL_NS_PER_S)
#define WALL_STEP_NS (60 * SL_NS_PER_S) /* D19 */

int
gw_no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "out of memory");
}

/* --- commands that wait for the publication
 * ------------------------------------------------------- */

int
gw_cmd_room(struct sl_gw *gw, unsigned n, struct sl_error *e)
{
	struct sl_hs_cmd **grown;
	unsigned cap = SL_MAX(gw->cap_cmd, 64U);

	if (gw->n_cmd + n <= gw->cap_cmd)
		return 0;
	while (cap < gw->n_cmd + n)
		cap *= 2;
	grown = realloc(gw->cmd, cap * sizeof(*grown));
	if (grown == NULL)
		return gw_no_memory(e);
	gw->cmd = grown;
	gw->cap_cmd = cap;
	return 0;
}

void
gw_cmd_add(struct sl_gw *gw, struct sl_hs_cmd *cmd)
{
	gw->cmd[gw->n_cmd++] = cmd;
}

static void
send_waiting(struct sl_gw *gw)
{
	unsigned i;

	for (i = 0; i < gw->n_cmd; i++) {
		if (sl_mbox_send(gw->conf.to_hs, &gw->retry, &gw->cmd[i]) != 0)
			break; /* no memory to keep it waiting there: it waits here */
	}
	gw->n_cmd -= i;
	memmove(gw->cmd, gw->cmd + i, gw->n_cmd * sizeof(*gw->cmd));
	if (gw->n_cmd == 0 && gw->cap_cmd > 4096) {
		free(gw->cmd);
		gw->cmd = NULL;
		gw->cap_cmd = 0;
	}
}

void
sl_gw_begin(struct sl_gw *gw)
{
	gw->depth++;
}

void
sl_gw_commit(struct sl_gw *gw)
{
	bool failed_before = gw->publish_failed;

	if (--gw->depth > 0)
		return;
	if (gw_publish(gw) != 0) {
		if (!failed_before)
			sl_log(SL_LOG_ERR, "publish", "out of memory; will be tried again");
		return;
	}
	if (gw->n_cmd > 0)
		send_waiting(gw);
}

/* --- life ----------------------------------------------------------------------------------------
 */

static int
copy_text(char **to, const char *from, struct sl_error *e)
{
	*to = from != NULL ? strdup(from) : NULL;
	return from == NULL || *to != NULL ? 0 : gw_no_memory(e);
}

static int
init_tables(struct sl_gw *gw, struct sl_error *e)
{
	unsigned peers = gw->conf.peers_max;
	unsigned i;

	for (i = 0; i < 2; i++) {
		sl_lpm_init(&gw->underlay[i], i == 0 ? 32 : 128);
		sl_lpm_init(&gw->mode.table[i], i == 0 ? 32 : 128);
		sl_lpm_init(&gw->mode.log.table[i], i == 0 ? 32 : 128);
	}
	gw->free_id = calloc(SL_PEER_MAX, sizeof(*gw->free_id));
	if (gw->free_id == NULL || gw_hash_init(&gw->ifaces_by_name, 4096) != 0 ||
	    gw_hash_init(&gw->peers_by_key, peers) != 0 ||
	    gw_hash_init(&gw->peers_by_name, peers) != 0 || gw_hash_init(&gw->routes, 16384) != 0)
		return gw_no_memory(e);
	gw->blackhole = sl_nh_alloc(gw->dp->nhs);
	gw->nowhere = sl_nh_alloc(gw->dp->nhs);
	if (gw->blackhole == 0 || gw->nowhere == 0)
		return sl_fail(e, -ENOSPC, "limit_next_hops", "", "the table of next hops is full");
	sl_nh_write(gw->dp->nhs, gw->blackhole, SL_NH_BLACKHOLE, SL_NH_USABLE, NULL, NULL, NULL);
	sl_nh_write(gw->dp->nhs, gw->nowhere, SL_NH_UNREACHABLE, SL_NH_USABLE, NULL, NULL, NULL);
	return gw_neigh_init(gw, e);
}

static int
init(struct sl_gw *gw, struct sl_error *e)
{
	int rc = sl_crypto_init();

	if (rc != 0)
		return sl_fail(e, rc, "crypto", "", "libsodium does not start");
	sl_rng_fill(&gw->conf.rng, gw->hash_key, sizeof(gw->hash_key));
	rc = copy_text(&gw->instance, gw->conf.instance, e);
	if (rc == 0)
		rc = copy_text(&gw->state_dir, gw->conf.state_dir, e);
	if (rc == 0)
		rc = copy_text(&gw->run_dir, gw->conf.run_dir, e);
	if (rc == 0)
		rc = gw_secrets_init(&gw->secrets, gw->conf.allow_unlocked_keys, e);
	if (rc == 0)
		rc = init_tables(gw, e);
	if (rc == 0)
		rc = gw_mode_load(gw, e);
	if (rc == 0)
		rc = gw_policy_init(gw, e);
	if (rc != 0)
		return rc;
	gw_run_load(gw);
	gw->wall_offset_ns = gw_wall_ns(gw) - gw_mono_ns(gw);
	gw->dirty = true;
	return gw_publish(gw) == 0 ? 0 : gw_no_memory(e);
}

static void
warn_of_clock(struct sl_gw *gw)
{
	struct sl_error e = {0};

	if (sl_gw_clock_check(gw, "", &e) != 0)
		sl_log(SL_LOG_WARN, "clock", "%s", e.message);
}

struct sl_gw *
sl_gw_new(const struct sl_gw_conf *conf, struct sl_error *e)
{
	struct sl_gw *gw = calloc(1, sizeof(*gw));

	if (gw == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	gw->conf = *conf;
	gw->dp = conf->dp;
	if (gw->conf.peers_max == 0)
		gw->conf.peers_max = SL_GW_PEERS;
	gw->conf.peers_max = SL_MIN(gw->conf.peers_max, SL_PEER_MAX);
	if (init(gw, e) == 0) {
		warn_of_clock(gw);
		return gw;
	}
	sl_gw_free(gw);
	return NULL;
}

static void
free_peers(struct sl_gw *gw)
{
	struct sl_peer *p;
	uint32_t id;

	for (id = 0; id < gw->next_id; id++) {
		p = sl_peer_get(gw->dp->peers, id);
		if (p == NULL)
			continue;
		atomic_store_explicit(&gw->dp->peers->slot[id], NULL, memory_order_release);
		gw_peer_free(gw, p->ctl_priv);
	}
}

static void
free_tables(struct sl_gw *gw)
{
	unsigned i;

	gw_publish_free(gw);
	for (i = 0; i < gw->n_ifaces; i++) {
		if (gw->iface[i] == NULL)
			continue;
		gw_obj_free(gw->iface[i]->view);
		gw_iface_free(gw, gw->iface[i]);
	}
	for (i = 0; i < 2; i++) {
		sl_lpm_free(&gw->underlay[i]);
		sl_lpm_free(&gw->mode.table[i]);
		sl_lpm_free(&gw->mode.log.table[i]);
	}
	gw_routes_free(gw);
	if (gw->neigh != NULL)
		gw_neigh_free(gw);
	gw_ports_free(gw);
	sl_nh_free(gw->dp->nhs, gw->blackhole);
	sl_nh_free(gw->dp->nhs, gw->nowhere);
	gw_hash_free(&gw->ifaces_by_name);
	gw_hash_free(&gw->peers_by_key);
	gw_hash_free(&gw->peers_by_name);
	gw_hash_free(&gw->routes);
}

/* hs is gone: what it has not taken is taken out of the mailbox here. */
static void
free_commands(struct sl_gw *gw)
{
	struct sl_hs_cmd *cmd;

	while (gw->n_cmd > 0)
		sl_hs_cmd_free(gw->cmd[--gw->n_cmd]);
	free(gw->cmd);
	do {
		while (sl_mbox_get(gw->conf.to_hs, &cmd, 1) != 0)
			sl_hs_cmd_free(cmd);
		sl_mbox_retry_flush(gw->conf.to_hs, &gw->retry);
	} while (sl_mbox_count(gw->conf.to_hs) > 0);
	sl_mbox_retry_free(&gw->retry);
}

void
sl_gw_stop(struct sl_gw *gw)
{
	gw_run_save(gw);
	gw_policy_stop(gw);
	gw->conf.hs = NULL;
}

void
sl_gw_free(struct sl_gw *gw)
{
	if (gw == NULL)
		return;
	if (sl_rcu_drain(gw->conf.reclaim) != 0) {
		sl_log(SL_LOG_ERR, "gateway", "a lcore still runs; nothing is freed");
		return;
	}
	free_commands(gw);
	free_peers(gw);
	free_tables(gw);
	gw_policy_free(gw);
	gw_mode_free(gw);
	gw_run_free(gw);
	gw_secrets_free(&gw->secrets);
	json_decref(gw->early);
	free(gw->free_id);
	free(gw->instance);
	free(gw->state_dir);
	free(gw->run_dir);
	free(gw);
}

/* --- turns
 * ----------------------------------------------------------------------------------------- */

static void
take_note(struct sl_gw *gw, const struct sl_hs_note *n)
{
	const struct sl_peer *p;

	switch (n->type) {
	case SL_NOTE_PEER_DELETED:
		gw_peer_deleted(gw, n->peer);
		return;
	case SL_NOTE_IFACE_DELETED:
		if (n->iface_id < SL_IFACE_MAX)
			gw->iface_rest[n->iface_id].hs = false;
		return;
	case SL_NOTE_SESSION:
	case SL_NOTE_GAVE_UP:
	case SL_NOTE_ZEROED:
		break;
	default:
		return;
	}
	p = sl_peer_get(gw->dp->peers, n->peer_id);
	if (p != NULL)
		sl_log(SL_LOG_DEBUG, "peer", "%s: %s", p->name,
		       n->type == SL_NOTE_SESSION   ? "session established"
		       : n->type == SL_NOTE_GAVE_UP ? "no answer for 90 s"
						    : "keys wiped after 540 s");
}

static unsigned
take_notes(struct sl_gw *gw)
{
	struct sl_hs_note note[16];
	unsigned i, n, done = 0;

	do {
		n = sl_mbox_get(gw->conf.from_hs, note, SL_ARRAY_SIZE(note));
		for (i = 0; i < n; i++)
			take_note(gw, &note[i]);
		done += n;
	} while (n == SL_ARRAY_SIZE(note) && done < NOTES_MAX);
	return done;
}

/* Expiries are kept on the monotonic clock; a step of the wall clock moves them. */
static void
check_wall(struct sl_gw *gw)
{
	uint64_t mono = gw_mono_ns(gw), offset;
	int64_t step;

	if (mono - gw->wall_check_ns < WALL_CHECK_NS)
		return;
	gw->wall_check_ns = mono;
	offset = gw_wall_ns(gw) - mono;
	step = (int64_t)(offset - gw->wall_offset_ns);
	if (step < (int64_t)WALL_STEP_NS && step > -(int64_t)WALL_STEP_NS)
		return;
	gw->wall_offset_ns = offset;
	sl_log(SL_LOG_WARN, "clock", "the wall clock stepped by %lld s; expiries are moved",
	       (long long)(step / (int64_t)SL_NS_PER_S));
	sl_gw_event(gw, "clock_stepped", "failure",
		    json_pack("{s:I}", "seconds", (json_int_t)(step / (int64_t)SL_NS_PER_S)));
	gw_peers_expiry(gw);
	gw_policy_wall_step(gw);
}

unsigned
sl_gw_poll(struct sl_gw *gw)
{
	unsigned done;

	sl_gw_begin(gw);
	done = take_notes(gw);
	done += gw_neigh_poll(gw);
	done += gw_mode_poll(gw);
	gw_route_mend(gw);
	sl_gw_commit(gw);
	if (gw->retry.waiting > 0)
		sl_mbox_retry_flush(gw->conf.to_hs, &gw->retry);
	check_wall(gw);
	done += gw_policy_poll(gw);
	done += sl_rcu_poll(gw->conf.reclaim);
	return done + gw_run_poll(gw);
}

struct sl_dp *
sl_gw_dp(struct sl_gw *gw)
{
	return gw->dp;
}

void
sl_gw_event(struct sl_gw *gw, const char *action, const char *outcome, json_t *fields)
{
	if (gw->drain != NULL) {
		sl_drain_event(gw->drain, action, outcome, json_pack("{s:o*}", "sluice", fields));
		return;
	}
	if (gw->early == NULL)
		gw->early = json_array();
	if (json_array_size(gw->early) < EARLY_MAX)
		json_array_append_new(gw->early, json_pack("{s:s, s:s, s:o*}", "action", action,
							   "outcome", outcome, "fields", fields));
	else
		json_decref(fields);
}

void
sl_gw_set_drain(struct sl_gw *gw, struct sl_drain *d)
{
	json_t *early = gw->early, *ev;
	size_t i;

	gw->drain = d;
	gw->early = NULL;
	json_array_foreach (early, i, ev)
		sl_gw_event(gw, json_string_value(json_object_get(ev, "action")),
			    json_string_value(json_object_get(ev, "outcome")),
			    json_incref(json_object_get(ev, "fields")));
	json_decref(early);
}

void
sl_gw_set_managed(struct sl_gw *gw, char *const *names, unsigned n)
{
	gw->managed = names;
	gw->n_managed = n;
	if (n > 0)
		gw_dyn_free(gw); /* members of a time without control plane; their file stays */
}

int
sl_gw_check_managed(struct sl_gw *gw, const char *iface, struct sl_error *e)
{
	unsigned i;

	for (i = 0; i < gw->n_managed; i++)
		if (iface == NULL || strcmp(gw->managed[i], iface) == 0)
			break;
	if (i == gw->n_managed)
		return 0;
	sl_fail(e, -EBUSY, "managed_by_control", iface != NULL ? "/interface" : "",
		"%s%s come from this gateway's control plane",
		iface != NULL ? "peers and settings of " : "policy and roles",
		iface != NULL ? iface : "");
	sl_hint(e, "change it there: sluicectl --control");
	return -EBUSY;
}

uint64_t
sl_gw_generation(const struct sl_gw *gw)
{
	return gw->generation;
}
