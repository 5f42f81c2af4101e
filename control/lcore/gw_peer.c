/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"
#include "gw_policy.h"

#define DEFAULT_NAME_LEN 8
#define ID_REST 1024 /* ids that rest before one of them is used again */

/* --- parts of a change ---------------------------------------------------------------------------
 */

/* The tick at which a wall-clock time comes; 0 never. */
static uint32_t
expiry_tick(struct sl_gw *gw, uint64_t wall_ns)
{
	uint64_t now = gw_wall_ns(gw), mono = gw_mono_ns(gw), left;

	if (wall_ns == 0)
		return 0;
	left = wall_ns > now ? wall_ns - now : 0;
	left = SL_MIN(left, (uint64_t)INT32_MAX * SL_TICK_NS);
	return sl_tick_of(mono + left);
}

static void
set_expiry(struct sl_gw *gw, struct gw_peer *p, uint64_t wall_ns)
{
	p->expires_wall_ns = wall_ns;
	atomic_store_explicit(&p->p->expires_tick, expiry_tick(gw, wall_ns), memory_order_relaxed);
}

void
gw_peers_expiry(struct sl_gw *gw)
{
	unsigned i, k;

	for (i = 1; i < gw->n_ifaces; i++) {
		for (k = 0; gw->iface[i] != NULL && k < gw->iface[i]->n_peers; k++) {
			struct gw_peer *p = gw->iface[i]->peer[k];

			if (p->expires_wall_ns != 0)
				set_expiry(gw, p, p->expires_wall_ns);
		}
	}
}

static void
default_name(struct sl_gw *gw, const struct gw_iface *f, const struct sl_pubkey *key,
	     char out[SL_KEY_B64_LEN + 1])
{
	char text[SL_KEY_B64_LEN + 1];
	unsigned n = DEFAULT_NAME_LEN;

	sl_key_to_base64(key->b, text);
	do
		snprintf(out, SL_KEY_B64_LEN + 1, "%.*s", (int)n++, text);
	while (n < SL_KEY_B64_LEN && gw_peer_by_name(gw, f, out) != NULL);
}

/* What a PSK needs, made before anything changes. */
struct psk_room {
	struct sl_secret *slot;
	char *file;
};

static void
psk_room_drop(struct sl_gw *gw, struct psk_room *room)
{
	gw_secret_free(&gw->secrets, room->slot);
	free(room->file);
}

static int
psk_room_make(struct sl_gw *gw, const struct gw_peer *p, const struct sl_gw_peer_spec *s,
	      struct psk_room *room, struct sl_error *e)
{
	*room = (struct psk_room){0};
	if (!(s->fields & SL_PF_PSK) || s->psk == NULL || sl_ct_is_zero(s->psk->b, SL_KEY_LEN))
		return 0;
	if (p == NULL || p->psk == NULL) {
		room->slot = gw_secret_new(&gw->secrets, e);
		if (room->slot == NULL)
			return -ENOMEM;
	}
	if (s->psk_file != NULL) {
		room->file = strdup(s->psk_file);
		if (room->file == NULL) {
			psk_room_drop(gw, room);
			return gw_no_memory(e);
		}
	}
	return 0;
}

/* Keep a PSK (or forget it) and put it into the command. The same key by another way keeps the file
 * that it had. */
static void
set_psk(struct sl_gw *gw, struct gw_peer *p, const struct sl_secret *psk, struct psk_room *room,
	struct sl_hs_cmd *cmd)
{
	bool none = psk == NULL || sl_ct_is_zero(psk->b, SL_KEY_LEN);
	bool same = none ? p->psk == NULL
			 : p->psk != NULL && sl_ct_equal(p->psk->b, psk->b, SL_KEY_LEN);

	if (none || !same || room->file != NULL) {
		free(p->psk_file);
		p->psk_file = room->file;
		room->file = NULL;
	}
	if (same)
		return;
	if (none) {
		gw_secret_free(&gw->secrets, p->psk);
		p->psk = NULL;
	} else {
		if (p->psk == NULL) {
			p->psk = room->slot;
			room->slot = NULL;
		}
		*p->psk = *psk;
		cmd->key = *psk;
	}
	cmd->fields |= SL_HS_F_PSK;
}

static void
cmd_endpoint(struct sl_hs_cmd *cmd, const struct sl_endpoint *ep)
{
	cmd->fields |= SL_HS_F_ENDPOINT;
	cmd->outer.dst = ep->ip;
	cmd->outer.dport = ep->port;
}

/* What goes to hs; `p` takes it over. @return true if hs has to know */
static bool
set_dynamic(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
	    struct psk_room *room, struct sl_hs_cmd *cmd)
{
	bool tell_hs;

	if (s->fields & SL_PF_PSK)
		set_psk(gw, p, s->psk, room, cmd);
	if (s->fields & SL_PF_ENDPOINT) {
		p->endpoint = s->endpoint;
		p->learned = (struct sl_endpoint){0};
		cmd_endpoint(cmd, &s->endpoint);
	}
	if (s->fields & SL_PF_KEEPALIVE && p->keepalive_s != s->keepalive_s) {
		p->keepalive_s = s->keepalive_s;
		cmd->keepalive_s = s->keepalive_s;
		cmd->fields |= SL_HS_F_KEEPALIVE;
	}
	tell_hs = cmd->fields != 0;
	if (s->fields & SL_PF_ENABLED && p->enabled != s->enabled) {
		p->enabled = s->enabled;
		atomic_store_explicit(&p->p->enabled, s->enabled, memory_order_relaxed);
		tell_hs = true;
	}
	if (s->fields & SL_PF_EXPIRES)
		set_expiry(gw, p, s->expires_wall_ns);
	return tell_hs;
}

/* --- ids ---------------------------------------------------------------------------------------
 */

/* A packet on its way between workers names its peer by number: a number that became another peer's
 * at once could lead it there. */
static bool
id_is_fresh(const struct sl_gw *gw)
{
	return gw->next_id < SL_PEER_MAX && gw->n_free_id < ID_REST;
}

static uint32_t
id_next(const struct sl_gw *gw)
{
	return id_is_fresh(gw) ? gw->next_id : gw->free_id[gw->first_free_id];
}

static void
id_take(struct sl_gw *gw)
{
	if (id_is_fresh(gw)) {
		gw->next_id++;
		return;
	}
	gw->first_free_id = (gw->first_free_id + 1) % SL_PEER_MAX;
	gw->n_free_id--;
}

static void
id_put(struct sl_gw *gw, uint32_t id)
{
	gw->free_id[(gw->first_free_id + gw->n_free_id++) % SL_PEER_MAX] = id;
}

/* --- creating ----------------------------------------------------------------------------------
 */

static int
iface_room(struct gw_iface *f)
{
	unsigned cap = f->cap_peers != 0 ? f->cap_peers * 2 : 8;
	struct gw_peer **grown;

	if (f->n_peers < f->cap_peers)
		return 0;
	grown = realloc(f->peer, cap * sizeof(struct gw_peer *));
	if (grown == NULL)
		return -ENOMEM;
	f->peer = grown;
	f->cap_peers = cap;
	return 0;
}

static struct gw_peer *
peer_new(struct sl_gw *gw, struct gw_iface *f, const struct sl_pubkey *key, struct sl_error *e)
{
	struct gw_peer *p = calloc(1, sizeof(*p));
	struct sl_peer *dp = sl_peer_alloc(gw->dp->n_lcores);

	if (p == NULL || dp == NULL || iface_room(f) != 0) {
		sl_peer_free(dp);
		free(p);
		gw_no_memory(e);
		return NULL;
	}
	p->p = dp;
	p->gw = gw;
	p->iface = f;
	p->iface_id = f->id;
	p->enabled = true;
	dp->id = id_next(gw);
	dp->iface_id = f->id;
	dp->key = *key;
	dp->ctl_priv = p;
	atomic_store_explicit(&dp->enabled, 1, memory_order_relaxed);
	return p;
}

void
gw_peer_free(struct sl_gw *gw, struct gw_peer *p)
{
	gw_secret_free(&gw->secrets, p->psk);
	free(p->allowed);
	free(p->psk_file);
	sl_peer_free(p->p);
	free(p);
}

static void
peer_enter(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s)
{
	struct gw_iface *f = p->iface;
	char name[SL_KEY_B64_LEN + 1];

	id_take(gw);
	gw->n_peers++;
	p->at = f->n_peers;
	f->peer[f->n_peers++] = p;
	gw_peer_index(gw, p);
	if (!(s->fields & SL_PF_NAME)) {
		default_name(gw, f, &p->p->key, name);
		gw_peer_set_name(gw, p, name);
	}
	atomic_store_explicit(&gw->dp->peers->slot[p->p->id], p->p, memory_order_release);
}

static void
peer_unenter(struct sl_gw *gw, struct gw_peer *p)
{
	struct gw_iface *f = p->iface;

	gw_peer_unindex(gw, p);
	f->peer[p->at] = f->peer[--f->n_peers];
	f->peer[p->at]->at = p->at;
	gw->n_peers--;
}

/* A former run of the gateway may know where the peer was and which timestamp it had sent. */
static void
use_former(struct sl_gw *gw, struct gw_peer *p, struct sl_hs_cmd *cmd)
{
	struct gw_run_peer r;

	if (!gw_run_take(gw, p->iface->name, &p->p->key, &r))
		return;
	memcpy(cmd->last_ts, r.last_ts, SL_TAI64N_LEN);
	memcpy(p->last_ts, r.last_ts, SL_TAI64N_LEN);
	cmd->fields |= SL_HS_F_LAST_TS;
	/* An endpoint that the operator changed since goes before the learned one. */
	if (r.learned.ip.family != 0 && sl_ip_equal(&r.configured.ip, &p->endpoint.ip) &&
	    r.configured.port == p->endpoint.port) {
		p->learned = r.learned;
		cmd_endpoint(cmd, &r.learned);
		cmd->initiate = 1;
	}
}

/* Nobody knows the peer yet: packets that come before hs has told its home find the endpoint. */
static void
set_first_path(struct gw_peer *p, const struct sl_hs_cmd *cmd)
{
	struct sl_peer_path path = {.outer = cmd->outer};

	if (cmd->fields & SL_HS_F_ENDPOINT)
		sl_peer_path_write(p->p, &path);
}

/* A peer that was never published: its id goes straight back. */
static void
peer_undo(struct sl_gw *gw, struct gw_peer *p)
{
	peer_unenter(gw, p);
	atomic_store_explicit(&gw->dp->peers->slot[p->p->id], NULL, memory_order_release);
	id_put(gw, p->p->id);
	gw_peer_free(gw, p);
}

static int
peer_create(struct sl_gw *gw, struct gw_iface *f, const struct sl_gw_peer_spec *s,
	    struct psk_room *room, struct sl_hs_cmd *cmd, struct sl_error *e)
{
	struct gw_peer *p = peer_new(gw, f, &s->public_key, e);
	int rc;

	if (p == NULL)
		return -ENOMEM;
	peer_enter(gw, p, s);
	if (s->fields & SL_PF_NAME)
		gw_peer_set_name(gw, p, s->name);
	rc = gw_allowed_apply(gw, p, s, e);
	if (rc != 0) {
		peer_undo(gw, p);
		return rc;
	}
	set_dynamic(gw, p, s, room, cmd);
	cmd->type = SL_HS_PEER_ADD;
	cmd->iface_id = f->id;
	cmd->peer = p->p;
	cmd->initiate = s->initiate && s->fields & SL_PF_ENDPOINT && s->endpoint.ip.family != 0;
	use_former(gw, p, cmd);
	set_first_path(p, cmd);
	gw_cmd_add(gw, cmd);
	gw_policy_peer(gw, p, true);
	return 0;
}

static int
peer_change(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
	    struct psk_room *room, struct sl_hs_cmd *cmd, struct sl_error *e)
{
	int rc = gw_allowed_apply(gw, p, s, e);

	if (rc != 0)
		return rc;
	if (s->fields & SL_PF_NAME && strcmp(p->p->name, s->name) != 0) {
		gw_policy_peer(gw, p, false);
		gw_peer_set_name(gw, p, s->name);
		gw_policy_peer(gw, p, true);
	}
	if (set_dynamic(gw, p, s, room, cmd)) {
		cmd->iface_id = p->iface_id;
		cmd->peer = p->p;
		gw_cmd_add(gw, cmd);
	} else {
		sl_hs_cmd_free(cmd);
	}
	return 0;
}

int
sl_gw_peer_set(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e)
{
	struct gw_iface *f = gw_iface_of(gw, s->iface, e);
	struct psk_room room;
	struct sl_hs_cmd *cmd;
	struct gw_peer *p;
	int rc;

	if (f == NULL)
		return -ENOENT;
	p = gw_peer_find(gw, f, &s->public_key);
	if (p == NULL && s->update_only)
		return 0;
	rc = gw_peer_check(gw, s, f, p, e);
	if (rc == 0)
		rc = gw_cmd_room(gw, 1, e);
	if (rc != 0)
		return rc;
	rc = psk_room_make(gw, p, s, &room, e);
	if (rc != 0)
		return rc;
	cmd = sl_hs_cmd_new(SL_HS_PEER_SET);
	if (cmd == NULL)
		rc = gw_no_memory(e);
	sl_gw_begin(gw);
	if (rc == 0) {
		rc = p != NULL ? peer_change(gw, p, s, &room, cmd, e)
			       : peer_create(gw, f, s, &room, cmd, e);
		if (rc != 0)
			sl_hs_cmd_free(cmd);
	}
	sl_gw_commit(gw);
	psk_room_drop(gw, &room);
	return rc;
}

/* --- removing -----------------------------------------------------------------------------------
 */

void
gw_peer_leave(struct sl_gw *gw, struct gw_peer *p, struct sl_hs_cmd *cmd)
{
	gw_run_forget(gw, p->iface->name, &p->p->key);
	gw_policy_peer(gw, p, false);
	peer_unenter(gw, p);
	p->iface = NULL;
	gw->iface_rest[p->iface_id].dying++;
	gw->n_dying++;
	atomic_store_explicit(&p->p->gone, 1, memory_order_release);
	cmd->iface_id = p->iface_id;
	cmd->peer = p->p;
	gw_cmd_add(gw, cmd);
	gw->dirty = true;
}

int
gw_peer_remove(struct sl_gw *gw, struct gw_peer *p, struct sl_error *e)
{
	struct sl_hs_cmd *cmd = sl_hs_cmd_new(SL_HS_PEER_DEL);
	int rc;

	if (cmd == NULL)
		return gw_no_memory(e);
	rc = gw_allowed_clear(gw, p, e);
	if (rc != 0) {
		sl_hs_cmd_free(cmd);
		return rc;
	}
	gw_peer_leave(gw, p, cmd);
	return 0;
}

static void
peer_reclaim(void *ctx, void *obj)
{
	struct sl_gw *gw = ctx;
	struct gw_peer *p = obj;

	id_put(gw, p->p->id);
	gw->iface_rest[p->iface_id].dying--;
	gw->n_dying--;
	gw_peer_free(gw, p);
}

void
gw_peer_deleted(struct sl_gw *gw, struct sl_peer *dp)
{
	struct gw_peer *p = dp->ctl_priv;

	atomic_store_explicit(&gw->dp->peers->slot[dp->id], NULL, memory_order_release);
	sl_rcu_defer_head(gw->conf.reclaim, &p->rcu, peer_reclaim, gw, p);
}

int
sl_gw_peer_del(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key, struct sl_error *e)
{
	struct gw_peer *p = gw_peer_of(gw, iface, key, e);
	int rc;

	if (p == NULL)
		return -ENOENT;
	rc = gw_cmd_room(gw, 1, e);
	if (rc != 0)
		return rc;
	sl_gw_begin(gw);
	rc = gw_peer_remove(gw, p, e);
	sl_gw_commit(gw);
	return rc;
}

int
sl_gw_peer_kick(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
		struct sl_error *e)
{
	struct gw_peer *p = gw_peer_of(gw, iface, key, e);
	struct sl_hs_cmd *cmd;

	if (p == NULL)
		return -ENOENT;
	if (gw_cmd_room(gw, 1, e) != 0)
		return -ENOMEM;
	cmd = sl_hs_cmd_new(SL_HS_PEER_KICK);
	if (cmd == NULL)
		return gw_no_memory(e);
	cmd->iface_id = p->iface_id;
	cmd->peer = p->p;
	sl_gw_begin(gw);
	gw_cmd_add(gw, cmd);
	sl_gw_commit(gw);
	return 0;
}
