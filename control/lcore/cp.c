/* SPDX-License-Identifier: BSD-3-Clause */
/* The gateway under a control plane: its life and its turns. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

#define TOMBS_HINT 16384

/* --- helpers -------------------------------------------------------------------------------- */

void
cp_give(struct sl_cp *cp, struct gw_task *t, void (*run)(struct gw_task *t))
{
	struct sl_error e;

	t->run = run;
	gw_policy_need_helper(cp->gw, &e); /* without a thread it runs here */
	gw_helper_give(cp->gw->policy->helper, t);
}

uint64_t
cp_key(const struct sl_cp *cp, enum sl_kind k, const char *id)
{
	uint8_t in[SL_OBJ_ID + 1];
	size_t n = strnlen(id, SL_OBJ_ID);

	in[0] = (uint8_t)k;
	memcpy(in + 1, id, n);
	return sl_siphash(cp->gw->hash_key, in, n + 1);
}

void
cp_event(struct sl_cp *cp, const char *action, const char *outcome, json_t *fields)
{
	char *text = fields != NULL ? json_dumps(fields, JSON_COMPACT) : NULL;

	sl_log(strcmp(outcome, "failure") == 0 ? SL_LOG_WARN : SL_LOG_NOTICE, "control",
	       "%s %.400s", action, text != NULL ? text : "");
	free(text);
	sl_gw_event(cp->gw, action, outcome, fields);
}

/* --- life --------------------------------------------------------------------------------------
 */

static int
copy_conf(struct sl_cp *cp, const struct sl_cp_conf *c, struct sl_error *e)
{
	cp->gw = c->gw;
	cp->base = c->base;
	cp->config = c->config;
	cp->evidence = c->evidence;
	cp->state_dir = c->state_dir != NULL ? strdup(c->state_dir) : NULL;
	snprintf(cp->boot_id, sizeof(cp->boot_id), "%s", c->boot_id);
	cp->r = sl_replica_new();
	cp->objects_max = SL_REPL_GATEWAY_OBJECTS;
	TAILQ_INIT(&cp->items);
	TAILQ_INIT(&cp->kept);
	TAILQ_INIT(&cp->peers);
	TAILQ_INIT(&cp->overlaps);
	TAILQ_INIT(&cp->tombs);
	if (cp->r == NULL || (c->state_dir != NULL && cp->state_dir == NULL) ||
	    gw_hash_init(&cp->items_by_id, c->gw->conf.peers_max) != 0 ||
	    gw_hash_init(&cp->tombs_by_id, TOMBS_HINT) != 0 ||
	    gw_hash_init(&cp->peers_by_name, c->gw->conf.peers_max) != 0)
		return gw_no_memory(e);
	return 0;
}

struct sl_cp *
cp_new_bare(const struct sl_cp_conf *c, struct sl_error *e)
{
	struct sl_cp *cp = calloc(1, sizeof(*cp));

	if (cp == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	if (copy_conf(cp, c, e) != 0 || cp_geo_init(cp, e) != 0 ||
	    (c->evidence != NULL && cp_log_init(cp, c->evidence) != 0)) {
		sl_cp_free(cp);
		return NULL;
	}
	cp->state = c->state;
	cp->state_ctx = c->state_ctx;
	cp->booting = true;
	cp->hash_ok = true;
	cp->heard_ns = gw_mono_ns(cp->gw);
	cp->boot_until_ns = cp->heard_ns + (uint64_t)c->config->boot_wait_s * SL_NS_PER_S;
	cp->providers_due = true; /* the grace time is to be known */
	sl_gw_set_managed(cp->gw, c->config->interfaces, c->config->n_interfaces);
	return cp;
}

void
sl_cp_free(struct sl_cp *cp)
{
	if (cp == NULL)
		return;
	if (cp->hang_up != NULL)
		cp->hang_up(cp);
	if (cp->r != NULL && cp->state_dir != NULL) {
		cp_tomb_save(cp);
		cp_cache_save(cp);
	}
	if (cp->join != NULL && cp->phase == CP_JOIN && !gw_task_done(&cp->join->task))
		gw_helper_wait(cp->gw->policy->helper, &cp->join->task);
	cp_policy_free(cp);
	if (cp->load != NULL)
		cp->load->cp = NULL;
	if (cp->reading != NULL && !gw_task_done(&cp->reading->task))
		gw_helper_wait(cp->gw->policy->helper, &cp->reading->task);
	cp_cache_free(cp);
	cp_work_clear(cp);
	cp_peer_clear(cp);
	cp_tomb_free(cp);
	cp_log_free(cp);
	cp_report_free(cp);
	cp_geo_free(cp);
	json_decref(cp->ignored);
	json_decref(cp->held);
	json_decref(cp->part);
	sl_replica_free(cp->r);
	sl_replica_free(cp->shadow);
	sl_replica_free(cp->diff_from);
	sl_replica_free(cp->diff_old);
	gw_hash_free(&cp->items_by_id);
	gw_hash_free(&cp->tombs_by_id);
	gw_hash_free(&cp->peers_by_name);
	free(cp->state_dir);
	free(cp);
}

/* --- turns --------------------------------------------------------------------------------------
 */

/* Until a source or the cache serves. */
static void
boot(struct sl_cp *cp)
{
	uint64_t now = gw_mono_ns(cp->gw);

	if (!cp->began) { /* not before: the program may have changed its user */
		cp->began = true;
		cp_tomb_load(cp);
		cp_cache_read(cp);
	}
	if (!cp->cache_read) {
		if (!cp_cache_ready(cp))
			return;
		cp->cache_read = true;
		if (cp->dial != NULL)
			cp->dial(cp); /* it asks for what the cache does not have */
	}
	if (!cp->booting)
		return;
	if (cp->unserved && !cp->cache_hole && cp->confirm_ns != 0 && now >= cp->confirm_ns) {
		cp->booting = false; /* the source goes on where the cache ends */
		cp_serve(cp);
	} else if (cp->unserved && !cp->cache_barred && now >= cp->boot_until_ns &&
		   cp->shadow == NULL) {
		cp->booting = false;
		cp->stale_config = true;
		cp_event(cp, "stale_config", "failure",
			 json_pack("{s:I, s:I}", "epoch", (json_int_t)cp->epoch.number, "seq",
				   (json_int_t)cp->seq));
		cp_serve(cp);
	}
}

static bool
turn(struct sl_cp *cp)
{
	bool any = cp_step(cp);

	any |= cp_part_step(cp);
	any |= cp_held_poll(cp);
	any |= cp_cache_poll(cp);
	any |= cp_report_poll(cp);
	return any;
}

bool
sl_cp_poll(struct sl_cp *cp)
{
	uint64_t begin = sl_clock_mono_ns(), took;
	bool any = false;

	cp->until_ns = begin + CP_SLICE_NS;
	boot(cp);
	if (cp->poll_link != NULL && cp->cache_read)
		cp->poll_link(cp);
	cp_stale_poll(cp);
	any |= cp_peer_poll(cp);
	any |= cp_log_poll(cp);
	while (turn(cp)) {
		any = true;
		if (sl_clock_mono_ns() >= cp->until_ns)
			break;
	}
	cp_tomb_poll(cp);
	cp_source_poll(cp);
	took = sl_clock_mono_ns() - begin;
	cp->busy_ns += any ? took : 0;
	cp->busy_max_ns = SL_MAX(cp->busy_max_ns, took);
	return any;
}

void
sl_cp_resync(struct sl_cp *cp)
{
	cp->psk_look_ns = 0;
	if (cp->resync != NULL)
		cp->resync(cp);
}
