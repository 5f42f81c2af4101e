/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers by key and by name, and what is checked before one is created or changed. */
#include <stdio.h>

#include "gw.h"

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

struct gw_peer *
gw_peer_by_name(struct sl_gw *gw, const struct gw_iface *f, const char *name)
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

void
gw_peer_index(struct sl_gw *gw, struct gw_peer *p)
{
	gw_hash_add(&gw->peers_by_key, &p->by_key, key_hash(gw, p->iface_id, &p->p->key));
}

void
gw_peer_set_name(struct sl_gw *gw, struct gw_peer *p, const char *name)
{
	if (p->p->name[0] != '\0')
		gw_hash_del(&gw->peers_by_name, &p->by_name);
	snprintf(p->p->name, sizeof(p->p->name), "%s", name);
	gw_hash_add(&gw->peers_by_name, &p->by_name, name_hash(gw, p->iface_id, name));
	if (gw->drain != NULL)
		sl_drain_peer(gw->drain, p->p->id, p->iface_id, p->p->name, &p->p->key);
}

void
gw_peer_unindex(struct sl_gw *gw, struct gw_peer *p)
{
	gw_hash_del(&gw->peers_by_key, &p->by_key);
	gw_hash_del(&gw->peers_by_name, &p->by_name);
	if (gw->drain != NULL)
		sl_drain_peer(gw->drain, p->p->id, p->iface_id, NULL, NULL);
}

struct gw_iface *
gw_iface_of(struct sl_gw *gw, const char *name, struct sl_error *e)
{
	struct gw_iface *f = name != NULL ? gw_iface_by_name(gw, name) : NULL;

	if (f == NULL) {
		sl_fail(e, -ENOENT, "interface_unknown", "/interface", "no interface \"%.32s\"",
			name != NULL ? name : "");
		sl_hint(e, "create the interface first");
	}
	return f;
}

struct gw_peer *
gw_peer_of(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key, struct sl_error *e)
{
	struct gw_iface *f = gw_iface_of(gw, iface, e);
	struct gw_peer *p = f != NULL ? gw_peer_find(gw, f, key) : NULL;
	char text[SL_KEY_B64_LEN + 1];

	if (f != NULL && p == NULL) {
		sl_key_to_base64(key->b, text);
		sl_fail(e, -ENOENT, "not_found", "/public_key", "%s has no peer %s", f->name, text);
	}
	return p;
}

int
sl_gw_peer_lookup(struct sl_gw *gw, const char *iface, const char *name_or_key,
		  struct sl_pubkey *out, struct sl_error *e)
{
	struct gw_iface *f = gw_iface_of(gw, iface, e);
	struct gw_peer *p = NULL;
	struct sl_pubkey key;

	if (f == NULL)
		return -ENOENT;
	if (sl_key_from_base64(name_or_key, key.b) == 0)
		p = gw_peer_find(gw, f, &key);
	else if (strlen(name_or_key) <= GW_PEER_NAME_MAX)
		p = gw_peer_by_name(gw, f, name_or_key);
	if (p == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/peer",
			       "%s has no peer with the name or key \"%.64s\"", f->name,
			       name_or_key);
	*out = p->p->key;
	return 0;
}

/* --- checks ----------------------------------------------------------------------------------- */

static int
check_name(struct sl_gw *gw, const struct gw_iface *f, const struct gw_peer *p, const char *name,
	   struct sl_error *e)
{
	struct gw_peer *other;
	int rc = gw_peer_name_check(name, e);

	if (rc != 0)
		return rc;
	other = gw_peer_by_name(gw, f, name);
	if (other != NULL && other != p)
		return sl_fail(e, -EEXIST, "name_in_use", "/name",
			       "another peer of %s has the name \"%s\"", f->name, name);
	return 0;
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
	int rc = gw_public_key_check(&s->public_key, e);

	if (rc != 0)
		return rc;
	if (f->key_source != SL_KEY_NONE &&
	    memcmp(f->public_key.b, s->public_key.b, SL_KEY_LEN) == 0)
		return gw_peer_is_self(f->name, e);
	return sl_gw_peers_free(gw) == 0 ? gw_limit_peers(gw->conf.peers_max, e) : 0;
}

int
gw_peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct gw_iface *f,
	      struct gw_peer *p, struct sl_error *e)
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
		rc = gw_endpoint_check(&s->endpoint, e);
	return rc == 0 ? gw_allowed_check(gw, f, p, s, e) : rc;
}

int
sl_gw_peer_check(struct sl_gw *gw, const struct sl_gw_peer_spec *s, struct sl_error *e)
{
	struct gw_iface *f = gw_iface_of(gw, s->iface, e);
	struct gw_peer *p;

	if (f == NULL)
		return -ENOENT;
	p = gw_peer_find(gw, f, &s->public_key);
	return p == NULL && s->update_only ? 0 : gw_peer_check(gw, s, f, p, e);
}
