/* SPDX-License-Identifier: BSD-3-Clause */
/* One `set` request: everything is checked, then everything is done, between one begin and one
 * commit. */
#include <stdlib.h>

#include "sl_crypto.h"
#include "uapi_int.h"

#define RECORD_ITEMS 64 /* of a list in an audit record */

struct request {
	struct sl_gw *gw;
	const char *iface;
	const struct sl_uapi_set *set;
	struct sl_error *e;
	bool has_own; /* the interface will have a key: `own` is its public half */
	struct sl_pubkey own;
};

static bool
removes_key(const struct sl_uapi_set *set)
{
	return sl_ct_is_zero(&set->private_key, sizeof(set->private_key));
}

/* @return false when the request says nothing of the interface itself */
static bool
iface_spec(const struct request *r, struct sl_gw_iface_spec *s)
{
	const struct sl_uapi_set *set = r->set;

	*s = (struct sl_gw_iface_spec){.name = r->iface};
	if (set->has_listen_port) {
		s->fields |= SL_IF_LISTEN_PORT;
		s->listen_port = set->listen_port;
	}
	if (set->has_fwmark) {
		s->fields |= SL_IF_FWMARK;
		s->fwmark = set->fwmark;
	}
	if (set->has_private_key) {
		s->fields |= SL_IF_KEY;
		s->key_source = removes_key(set) ? SL_KEY_NONE : SL_KEY_UAPI;
		s->key = &set->private_key;
	}
	return s->fields != 0;
}

static void
own_key(struct request *r, const struct sl_gw_iface_info *info)
{
	struct sl_secret sk;

	r->has_own = info->has_key;
	r->own = info->public_key;
	if (!r->set->has_private_key)
		return;
	r->has_own = !removes_key(r->set);
	if (!r->has_own)
		return;
	sk = r->set->private_key;
	sl_x25519_clamp(&sk);
	sl_x25519_public(&r->own, &sk);
	sl_wipe(&sk, sizeof(sk));
}

/* WireGuard passes over the interface's own key without a word. */
static bool
is_self(const struct request *r, const struct sl_uapi_peer *p)
{
	return r->has_own && memcmp(r->own.b, p->public_key.b, SL_KEY_LEN) == 0;
}

static void
peer_spec(const struct request *r, const struct sl_uapi_peer *p, struct sl_gw_peer_spec *s)
{
	bool whole = r->set->replace_peers; /* what is not said goes back to the default */

	*s = (struct sl_gw_peer_spec){.iface = r->iface,
				      .public_key = p->public_key,
				      .update_only = p->update_only,
				      .psk = &p->preshared_key,
				      .endpoint = p->endpoint,
				      .keepalive_s = p->keepalive_s,
				      .allowed = p->allowed,
				      .n_allowed = p->n_allowed};
	if (p->has_preshared_key || whole)
		s->fields |= SL_PF_PSK;
	if (p->has_keepalive || whole)
		s->fields |= SL_PF_KEEPALIVE;
	if (p->has_endpoint)
		s->fields |= SL_PF_ENDPOINT;
	if (p->replace_allowed_ips || whole)
		s->fields |= SL_PF_ALLOWED_IPS;
	else if (p->n_allowed > 0)
		s->fields |= SL_PF_ALLOWED_ADD;
}

/* --- checks --------------------------------------------------------------------------------------
 */

static int
check_room(const struct request *r, unsigned n_peers)
{
	unsigned i, n = 0, room = sl_gw_peers_free(r->gw);
	struct sl_gw_peer_info info;

	if (r->set->replace_peers)
		room += n_peers;
	for (i = 0; i < r->set->n_peers; i++) {
		const struct sl_uapi_peer *p = &r->set->peers[i];

		if (p->remove || p->update_only || is_self(r, p))
			continue;
		n += r->set->replace_peers ||
		     sl_gw_peer_info(r->gw, r->iface, &p->public_key, &info) != 0;
	}
	if (n <= room)
		return 0;
	return sl_fail(r->e, -ENOSPC, "limit_peers", "",
		       "%u new peers, but there is room for %u only", n, room);
}

static int
check_peers(const struct request *r)
{
	struct sl_gw_peer_spec s;
	struct sl_error e;
	unsigned i;
	int rc;

	for (i = 0; i < r->set->n_peers; i++) {
		const struct sl_uapi_peer *p = &r->set->peers[i];

		if (p->remove || is_self(r, p))
			continue;
		peer_spec(r, p, &s);
		rc = sl_gw_peer_check(r->gw, &s, &e);
		if (rc != 0 && strcmp(e.reason, "limit_peers") != 0) {
			*r->e = e;
			return rc;
		}
	}
	return 0;
}

/* --- carrying out
 * ---------------------------------------------------------------------------------- */

static int
key_cmp(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct sl_pubkey));
}

struct sweep {
	const struct sl_pubkey *keep;
	unsigned n_keep;
	struct sl_pubkey *drop;
	unsigned n_drop;
};

static bool
sweep_peer(void *ctx, const struct sl_gw_peer_info *p)
{
	struct sweep *s = ctx;

	if (bsearch(&p->public_key, s->keep, s->n_keep, sizeof(*s->keep), key_cmp) == NULL)
		s->drop[s->n_drop++] = p->public_key;
	return true;
}

static int
drop_others(const struct request *r, unsigned n_peers)
{
	struct sl_pubkey *keep = calloc(r->set->n_peers + 1, sizeof(*keep));
	struct sweep s = {.keep = keep, .drop = calloc(n_peers + 1, sizeof(*keep))};
	unsigned i;
	int rc = 0;

	if (keep == NULL || s.drop == NULL) {
		rc = sl_fail(r->e, -ENOMEM, "no_memory", "", "out of memory");
		goto out;
	}
	for (i = 0; i < r->set->n_peers; i++) {
		if (!r->set->peers[i].remove)
			keep[s.n_keep++] = r->set->peers[i].public_key;
	}
	qsort(keep, s.n_keep, sizeof(*keep), key_cmp);
	sl_gw_peer_walk(r->gw, r->iface, 0, sweep_peer, &s);
	for (i = 0; rc == 0 && i < s.n_drop; i++)
		rc = sl_gw_peer_del(r->gw, r->iface, &s.drop[i], r->e);
out:
	free(keep);
	free(s.drop);
	return rc;
}

static int
apply_peer(const struct request *r, const struct sl_uapi_peer *p)
{
	struct sl_gw_peer_spec s;
	int rc;

	if (p->remove) {
		rc = sl_gw_peer_del(r->gw, r->iface, &p->public_key, r->e);
		return rc == -ENOENT ? 0 : rc;
	}
	if (is_self(r, p))
		return 0;
	peer_spec(r, p, &s);
	rc = sl_gw_peer_set(r->gw, &s, r->e);
	if (rc != 0 || p->n_removed == 0)
		return rc;
	s.fields = SL_PF_ALLOWED_DEL;
	s.allowed = p->removed;
	s.n_allowed = p->n_removed;
	s.update_only = true;
	return sl_gw_peer_set(r->gw, &s, r->e);
}

/* --- the record ------------------------------------------------------------------------------- */

static json_t *
key_json(const struct sl_pubkey *key)
{
	char text[SL_KEY_B64_LEN + 1];

	sl_key_to_base64(key->b, text);
	return json_string(text);
}

static json_t *
allowed_json(const struct sl_uapi_peer *p)
{
	json_t *list;
	char text[SL_PREFIX_STR];

	if (p->n_allowed > RECORD_ITEMS)
		return json_sprintf("(%u items)", p->n_allowed);
	list = json_array();
	for (unsigned i = 0; i < p->n_allowed; i++)
		json_array_append_new(list, json_string(sl_prefix_str(&p->allowed[i], text)));
	return list;
}

static json_t *
peer_json(const struct sl_uapi_peer *p)
{
	json_t *o = json_pack("{s:o}", "public_key", key_json(&p->public_key));

	if (p->remove) {
		json_object_set_new(o, "removed", json_true());
		return o;
	}
	if (p->n_allowed > 0 || p->replace_allowed_ips)
		json_object_set_new(o, "allowed_ips", allowed_json(p));
	if (p->has_preshared_key)
		json_object_set_new(o, "preshared_key", json_true());
	return o;
}

/** Who may open the socket may do all of it: there is no other name to tell. Keys of others are
 * public, secret ones and endpoints stay out. */
static void
record(const struct request *r, int rc)
{
	const struct sl_uapi_set *set = r->set;
	json_t *o = json_pack("{s:s, s:s, s:s, s:i}", "method", "wg set", "principal", "wg",
			      "interface", r->iface, "peers_total", (int)set->n_peers);
	json_t *list = json_array();

	for (unsigned i = 0; i < set->n_peers && i < RECORD_ITEMS; i++)
		json_array_append_new(list, peer_json(&set->peers[i]));
	json_object_set_new(o, "peers", list);
	if (set->has_private_key)
		json_object_set_new(o, "private_key", json_true());
	if (set->has_listen_port)
		json_object_set_new(o, "listen_port", json_integer(set->listen_port));
	if (set->replace_peers)
		json_object_set_new(o, "replace_peers", json_true());
	if (rc != 0)
		json_object_set_new(o, "reason", json_string(r->e->reason));
	sl_gw_event(r->gw, "wg-set", rc == 0 ? "success" : "failure", o);
}

int
uapi_apply(struct sl_gw *gw, const char *iface, const struct sl_uapi_set *set, struct sl_error *e)
{
	struct request r = {.gw = gw, .iface = iface, .set = set, .e = e};
	struct sl_gw_iface_spec spec;
	struct sl_gw_iface_info info;
	unsigned i;
	int rc = 0;

	if (!sl_gw_iface_find(gw, iface, &info))
		return sl_fail(e, -ENODEV, "not_found", "", "no interface \"%s\"", iface);
	if (set->n_peers > 0 || set->replace_peers)
		rc = sl_gw_check_managed(gw, iface, e);
	if (rc != 0)
		return rc;
	own_key(&r, &info);
	if (iface_spec(&r, &spec))
		rc = sl_gw_iface_check(gw, &spec, e);
	if (rc == 0)
		rc = check_room(&r, info.n_peers);
	if (rc == 0)
		rc = check_peers(&r);
	if (rc != 0)
		return rc;
	sl_gw_begin(gw);
	if (spec.fields != 0)
		rc = sl_gw_iface_set(gw, &spec, e);
	if (rc == 0 && set->replace_peers)
		rc = drop_others(&r, info.n_peers);
	for (i = 0; rc == 0 && i < set->n_peers; i++)
		rc = apply_peer(&r, &set->peers[i]);
	sl_gw_commit(gw);
	record(&r, rc);
	return rc;
}
