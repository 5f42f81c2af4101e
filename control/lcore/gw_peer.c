/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"

#define DEFAULT_NAME_LEN 8

static uint64_t
key_hash(const struct sl_gw *gw, uint16_t iface_id, const struct sl_pubkey *key)
{
	uint8_t in[2 + SL_KEY_LEN];

	sl_store_be16(in, iface_id);
	memcpy(in + 2, key->b, SL_KEY_LEN);
	return sl_siphash(gw->hash_key, in, sizeof(in));
}

static uint64_t
name_hash(const struct sl_gw *gw, uint16_t iface_id, const char *name)
{
	uint8_t in[2 + GW_PEER_NAME_MAX + 1];
	size_t n = strnlen(name, GW_PEER_NAME_MAX + 1);

	sl_store_be16(in, iface_id);
	memcpy(in + 2, name, n);
	return sl_siphash(gw->hash_key, in, 2 + n);
}

struct gw_peer *
gw_peer_find(struct sl_gw *gw, const struct gw_iface *f, const struct sl_pubkey *key)
{
	struct gw_link *l = gw_hash_find(&gw->peers_by_key, key_hash(gw, f->id, key));
	struct gw_peer *p;

	for (; l != NULL; l = gw_hash_next(l)) {
		p = SL_CONTAINER_OF(l, struct gw_peer, by_key);
		if (p->iface == f && memcmp(p->p->key.b, key->b, SL_KEY_LEN) == 0)
			return p;
	}
	return NULL;
}

static struct gw_peer *
find_name(struct sl_gw *gw, const struct gw_iface *f, const char *name)
{
	struct gw_link *l = gw_hash_find(&gw->peers_by_name, name_hash(gw, f->id, name));
	struct gw_peer *p;

	for (; l != NULL; l = gw_hash_next(l)) {
		p = SL_CONTAINER_OF(l, struct gw_peer, by_name);
		if (p->iface == f && strcmp(p->p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* --- checks ----------------------------------------------------------------------------------- */

static int
check_name(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p, const char *name,
	   struct sl_error *e)
{
	size_t i, n = name != NULL ? strlen(name) : 0;
	bool ok = n >= 1 && n <= GW_PEER_NAME_MAX;
	struct sl_pubkey key;
	struct gw_peer *other;

	for (i = 0; ok && i < n; i++)
		ok = name[i] > ' ' && name[i] < 0x7f && strchr("\"'\\", name[i]) == NULL;
	if (!ok || sl_key_from_base64(name, key.b) == 0) {
		sl_fail(e, -EINVAL, "name_invalid", "/name", "\"%.64s\" cannot name a peer",
			name != NULL ? name : "");
		sl_hint(e,
			"use 1 to %d visible ASCII characters without quotes and backslash, not "
			"a key",
			GW_PEER_NAME_MAX);
		return -EINVAL;
	}
	other = find_name(gw, f, name);
	if (other != NULL && other != p)
		return sl_fail(e, -EEXIST, "name_in_use", "/name",
			       "another peer of %s has the name \"%s\"", f->name, name);
	return 0;
}

static int
check_endpoint(const struct sl_endpoint *ep, struct sl_error *e)
{
	char text[SL_ENDPOINT_STR];

	if (ep->ip.family == 0 || (gw_ip_unicast(&ep->ip) && ep->port != 0))
		return 0;
	sl_fail(e, -EINVAL, "endpoint_invalid", "/endpoint", "%s is not the endpoint of a peer",
		sl_endpoint_str(ep, text));
	sl_hint(e, "an endpoint is a unicast address and a port from 1 to 65535");
	return -EINVAL;
}

unsigned
sl_gw_peers_free(const struct sl_gw *gw)
{
	unsigned by_id = gw->n_free_id + (SL_PEER_MAX - gw->next_id);

	return SL_MIN(gw->conf.peers_max - SL_MIN(gw->n_peers, gw->conf.peers_max), by_id);
}

static int
check_new(struct sl_gw *gw, const struct gw_iface *f, const struct sl_gw_peer_spec *s,
	  struct sl_error *e)
{
	if (sl_ct_is_zero(s->public_key.b, SL_KEY_LEN))
		return sl_fail(e, -EINVAL, "key_invalid", "/public_key",
			       "the public key is missing or zero");
	if (f->key_source != SL_KEY_NONE &&
	    memcmp(f->public_key.b, s->public_key.b, SL_KEY_LEN) == 0)
		return sl_fail(e, -EINVAL, "peer_is_self", "/public_key",
			       "this is the public key of %s itself", f->name);
	if (sl_gw_peers_free(gw) == 0) {
		sl_fail(e, -ENOSPC, "limit_peers", "", "the limit of %u peers is reached",
			gw->conf.peers_max);
		sl_hint(e, "raise peers_max");
		return -ENOSPC;
	}
	return 0;
}

static int
peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct gw_iface *f, struct gw_peer *p,
	   struct sl_error *e)
{
	char key[SL_KEY_B64_LEN + 1];
	int rc = 0;

	if (p != NULL && s->create_only) {
		sl_key_to_base64(s->public_key.b, key);
		return sl_fail(e, -EEXIST, "exists", "/public_key", "%s has the peer %s already",
			       f->name, key);
	}
	if (p == NULL)
		rc = check_new(gw, f, s, e);
	if (rc == 0 && s->fields & SL_PF_NAME)
		rc = check_name(gw, f, p, s->name, e);
	if (rc == 0 && s->fields & SL_PF_ENDPOINT)
		rc = check_endpoint(&s->endpoint, e);
	return rc == 0 ? gw_allowed_check(gw, f, p, s, e) : rc;
}

static struct gw_iface *
iface_of(struct sl_gw *gw, const char *name, struct sl_error *e)
{
	struct gw_iface *f = name != NULL ? gw_iface_by_name(gw, name) : NULL;

	if (f == NULL) {
		sl_fail(e, -ENOENT, "interface_unknown", "/interface", "no interface \"%.32s\"",
			name != NULL ? name : "");
		sl_hint(e, "create the interface first");
	}
	return f;
}

int
sl_gw_peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e)
{
	struct gw_iface *f = iface_of(gw, s->iface, e);
	struct gw_peer *p;

	if (f == NULL)
		return -ENOENT;
	p = gw_peer_find(gw, f, &s->public_key);
	return p == NULL && s->update_only ? 0 : peer_check(gw, s, f, p, e);
}

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
set_name(struct sl_gw *gw, struct gw_peer *p, const char *name)
{
	if (p->p->name[0] != '\0')
		gw_hash_del(&gw->peers_by_name, &p->by_name);
	snprintf(p->p->name, sizeof(p->p->name), "%s", name);
	gw_hash_add(&gw->peers_by_name, &p->by_name, name_hash(gw, p->iface_id, name));
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
	while (n < SL_KEY_B64_LEN && find_name(gw, f, out) != NULL);
}

/* Where the key is from; the same key by another way keeps the file that it had. */
static int
set_psk_file(struct gw_peer *p, const char *file, bool keep, struct sl_error *e)
{
	char *copy = file != NULL ? strdup(file) : NULL;

	if (file != NULL && copy == NULL)
		return gw_no_memory(e);
	if (file == NULL && keep)
		return 0;
	free(p->psk_file);
	p->psk_file = copy;
	return 0;
}

/* Keep a PSK (or forget it) and put it into the command. */
static int
set_psk(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s, struct sl_hs_cmd *cmd,
	struct sl_error *e)
{
	const struct sl_secret *psk = s->psk;
	bool none = psk == NULL || sl_ct_is_zero(psk->b, SL_KEY_LEN);
	bool same = none ? p->psk == NULL
			 : p->psk != NULL && sl_ct_equal(p->psk->b, psk->b, SL_KEY_LEN);

	if (set_psk_file(p, none ? NULL : s->psk_file, same && !none, e) != 0)
		return -ENOMEM;
	if (same)
		return 0;
	if (none) {
		gw_secret_free(&gw->secrets, p->psk);
		p->psk = NULL;
	} else {
		if (p->psk == NULL)
			p->psk = gw_secret_new(&gw->secrets, e);
		if (p->psk == NULL)
			return -ENOMEM;
		*p->psk = *psk;
		cmd->key = *psk;
	}
	cmd->fields |= SL_HS_F_PSK;
	return 0;
}

static void
cmd_endpoint(struct sl_hs_cmd *cmd, const struct sl_endpoint *ep)
{
	cmd->fields |= SL_HS_F_ENDPOINT;
	cmd->outer.dst = ep->ip;
	cmd->outer.dport = ep->port;
}

/* What goes to hs; `p` takes it over. @return 0 or -ENOMEM before anything changed but the PSK */
static int
set_dynamic(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
	    struct sl_hs_cmd *cmd, bool *tell_hs, struct sl_error *e)
{
	int rc = 0;

	if (s->fields & SL_PF_PSK)
		rc = set_psk(gw, p, s, cmd, e);
	if (rc != 0)
		return rc;
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
	*tell_hs = cmd->fields != 0;
	if (s->fields & SL_PF_ENABLED && p->enabled != s->enabled) {
		p->enabled = s->enabled;
		atomic_store_explicit(&p->p->enabled, s->enabled, memory_order_relaxed);
		*tell_hs = true;
	}
	if (s->fields & SL_PF_EXPIRES)
		set_expiry(gw, p, s->expires_wall_ns);
	return 0;
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
	dp->id = gw->n_free_id > 0 ? gw->free_id[gw->n_free_id - 1] : gw->next_id;
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

	if (gw->n_free_id > 0)
		gw->n_free_id--;
	else
		gw->next_id++;
	gw->n_peers++;
	p->at = f->n_peers;
	f->peer[f->n_peers++] = p;
	gw_hash_add(&gw->peers_by_key, &p->by_key, key_hash(gw, f->id, &p->p->key));
	if (!(s->fields & SL_PF_NAME)) {
		default_name(gw, f, &p->p->key, name);
		set_name(gw, p, name);
	}
	atomic_store_explicit(&gw->dp->peers->slot[p->p->id], p->p, memory_order_release);
}

static void
peer_unenter(struct sl_gw *gw, struct gw_peer *p)
{
	struct gw_iface *f = p->iface;

	gw_hash_del(&gw->peers_by_key, &p->by_key);
	gw_hash_del(&gw->peers_by_name, &p->by_name);
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

static int
peer_create(struct sl_gw *gw, struct gw_iface *f, const struct sl_gw_peer_spec *s,
	    struct sl_hs_cmd *cmd, struct sl_error *e)
{
	struct gw_peer *p = peer_new(gw, f, &s->public_key, e);
	bool tell_hs;
	int rc;

	if (p == NULL)
		return -ENOMEM;
	rc = set_dynamic(gw, p, s, cmd, &tell_hs, e);
	if (rc != 0) {
		gw_peer_free(gw, p);
		return rc;
	}
	peer_enter(gw, p, s);
	if (s->fields & SL_PF_NAME)
		set_name(gw, p, s->name);
	rc = gw_allowed_apply(gw, p, s, e);
	if (rc != 0) { /* never published: the id goes straight back */
		peer_unenter(gw, p);
		atomic_store_explicit(&gw->dp->peers->slot[p->p->id], NULL, memory_order_release);
		gw->free_id[gw->n_free_id++] = p->p->id;
		gw_peer_free(gw, p);
		return rc;
	}
	cmd->type = SL_HS_PEER_ADD;
	cmd->iface_id = f->id;
	cmd->peer = p->p;
	cmd->initiate = s->initiate && s->fields & SL_PF_ENDPOINT && s->endpoint.ip.family != 0;
	use_former(gw, p, cmd);
	gw_cmd_add(gw, cmd);
	return 0;
}

static int
peer_change(struct sl_gw *gw, struct gw_peer *p, const struct sl_gw_peer_spec *s,
	    struct sl_hs_cmd *cmd, struct sl_error *e)
{
	bool tell_hs = false;
	int rc = gw_allowed_apply(gw, p, s, e);

	if (rc == 0)
		rc = set_dynamic(gw, p, s, cmd, &tell_hs, e);
	if (rc != 0) {
		sl_hs_cmd_free(cmd);
		return rc;
	}
	if (s->fields & SL_PF_NAME && strcmp(p->p->name, s->name) != 0)
		set_name(gw, p, s->name);
	if (!tell_hs) {
		sl_hs_cmd_free(cmd);
		return 0;
	}
	cmd->iface_id = p->iface_id;
	cmd->peer = p->p;
	gw_cmd_add(gw, cmd);
	return 0;
}

int
sl_gw_peer_set(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e)
{
	struct gw_iface *f = iface_of(gw, s->iface, e);
	struct sl_hs_cmd *cmd;
	struct gw_peer *p;
	int rc;

	if (f == NULL)
		return -ENOENT;
	p = gw_peer_find(gw, f, &s->public_key);
	if (p == NULL && s->update_only)
		return 0;
	rc = peer_check(gw, s, f, p, e);
	if (rc == 0)
		rc = gw_cmd_room(gw, 1, e);
	if (rc != 0)
		return rc;
	cmd = sl_hs_cmd_new(SL_HS_PEER_SET);
	if (cmd == NULL)
		return gw_no_memory(e);
	sl_gw_begin(gw);
	if (p != NULL) {
		rc = peer_change(gw, p, s, cmd, e);
	} else {
		rc = peer_create(gw, f, s, cmd, e);
		if (rc != 0)
			sl_hs_cmd_free(cmd);
	}
	sl_gw_commit(gw);
	return rc;
}

/* --- removing -----------------------------------------------------------------------------------
 */

void
gw_peer_leave(struct sl_gw *gw, struct gw_peer *p, struct sl_hs_cmd *cmd)
{
	gw_run_forget(gw, p->iface->name, &p->p->key);
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

	gw->free_id[gw->n_free_id++] = p->p->id;
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

static struct gw_peer *
peer_of(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key, struct sl_error *e)
{
	struct gw_iface *f = iface_of(gw, iface, e);
	struct gw_peer *p = f != NULL ? gw_peer_find(gw, f, key) : NULL;
	char text[SL_KEY_B64_LEN + 1];

	if (f != NULL && p == NULL) {
		sl_key_to_base64(key->b, text);
		sl_fail(e, -ENOENT, "not_found", "/public_key", "%s has no peer %s", f->name, text);
	}
	return p;
}

int
sl_gw_peer_del(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key, struct sl_error *e)
{
	struct gw_peer *p = peer_of(gw, iface, key, e);
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
	struct gw_peer *p = peer_of(gw, iface, key, e);
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

int
sl_gw_peer_lookup(struct sl_gw *gw, const char *iface, const char *name_or_key,
		  struct sl_pubkey *out, struct sl_error *e)
{
	struct gw_iface *f = iface_of(gw, iface, e);
	struct gw_peer *p = NULL;
	struct sl_pubkey key;

	if (f == NULL)
		return -ENOENT;
	if (sl_key_from_base64(name_or_key, key.b) == 0)
		p = gw_peer_find(gw, f, &key);
	else if (strlen(name_or_key) <= GW_PEER_NAME_MAX)
		p = find_name(gw, f, name_or_key);
	if (p == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/peer",
			       "%s has no peer with the name or key \"%.64s\"", f->name,
			       name_or_key);
	*out = p->p->key;
	return 0;
}
