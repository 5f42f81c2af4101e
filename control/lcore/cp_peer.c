/* SPDX-License-Identifier: BSD-3-Clause */
/* Peers: what their objects say is made so by sl_gw_peer_set(), which touches nothing that is so
 * already. A peer's new key takes over when it first shakes hands, its old one serves until then.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"
#include "key_file.h"

#define PSK_LOOK_NS (10 * SL_NS_PER_S)

/** What an object says. */
struct want {
	char iface[SL_POL_IFACE];
	struct sl_pubkey key, old_key;
	bool has_old, enabled, has_psk;
	uint16_t keepalive_s;
	uint64_t expires_ns, old_until_ns;
	const char *psk_ref;
	struct sl_endpoint endpoint; /* family 0: none */
	struct sl_prefix *allowed;
	unsigned n_allowed;
	const json_t *roles;
	struct sl_secret psk;
};

struct cp_peer *
cp_peer_find(const struct sl_cp *cp, const char *name)
{
	struct gw_link *l = gw_hash_find(&cp->peers_by_name, cp_key(cp, SL_KIND_PEER, name));
	struct cp_peer *p;

	for (; l != NULL; l = gw_hash_next(l)) {
		p = SL_CONTAINER_OF(l, struct cp_peer, link);
		if (strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

/* --- reading -----------------------------------------------------------------------------------
 */

static uint64_t
time_of(const json_t *body, const char *field)
{
	const char *text = json_string_value(json_object_get(body, field));
	uint64_t ns = 0;

	return text != NULL && sl_time_parse(text, &ns) == 0 ? ns : 0;
}

static void
add_prefixes(struct want *w, const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		w->n_allowed +=
			sl_prefix_parse(json_string_value(item), &w->allowed[w->n_allowed]) == 0;
}

static int
read_want(struct sl_cp *cp, const json_t *body, struct want *w, struct sl_error *e)
{
	const json_t *mine = json_object_get(json_object_get(body, "addresses"), cp->config->name);
	const json_t *shared = json_object_get(body, "allowed_ips");
	const char *old = json_string_value(json_object_get(body, "old_key"));
	const char *endpoint = json_string_value(json_object_get(body, "endpoint"));

	*w = (struct want){.enabled = !json_is_false(json_object_get(body, "enabled")),
			   .keepalive_s = (uint16_t)json_integer_value(
				   json_object_get(body, "keepalive_s")),
			   .expires_ns = time_of(body, "expires_at"),
			   .old_until_ns = time_of(body, "old_key_until"),
			   .psk_ref = json_string_value(json_object_get(body, "psk_ref")),
			   .roles = json_object_get(body, "roles")};
	snprintf(w->iface, sizeof(w->iface), "%s",
		 json_string_value(json_object_get(body, "interface")));
	if (sl_key_from_base64(json_string_value(json_object_get(body, "public_key")), w->key.b))
		return sl_fail(e, -EINVAL, "key_invalid", "/public_key", "not a public key");
	w->has_old = old != NULL && w->old_until_ns > gw_wall_ns(cp->gw) &&
		     sl_key_from_base64(old, w->old_key.b) == 0;
	if (endpoint != NULL && sl_endpoint_parse(endpoint, &w->endpoint) != 0)
		return sl_fail(e, -EINVAL, "endpoint_invalid", "/endpoint", "not ADDRESS:PORT");
	w->allowed =
		calloc(json_array_size(mine) + json_array_size(shared) + 1, sizeof(*w->allowed));
	if (w->allowed == NULL)
		return gw_no_memory(e);
	add_prefixes(w, mine);
	add_prefixes(w, shared);
	return 0;
}

/* A preshared key is in a file of the gateway alone: STATE_DIR/psk/REF. */
static void
read_psk(struct sl_cp *cp, struct want *w)
{
	char path[4096];
	struct sl_error e;

	if (w->psk_ref == NULL || cp->state_dir == NULL || strchr(w->psk_ref, '/') != NULL)
		return;
	snprintf(path, sizeof(path), "%s/psk/%s", cp->state_dir, w->psk_ref);
	w->has_psk = sl_key_file_read(path, "/psk_ref", &w->psk, &e) == 0;
}

static void
free_want(struct want *w)
{
	sl_wipe(&w->psk, sizeof(w->psk));
	free(w->allowed);
}

/* --- roles -------------------------------------------------------------------------------------
 */

static struct sl_pol_member
holder(const struct cp_peer *p)
{
	struct sl_pol_member m = {.source = SL_SOURCE_STATIC};

	snprintf(m.peer, sizeof(m.peer), "%s", p->name);
	snprintf(m.place.iface, sizeof(m.place.iface), "%s", p->iface);
	return m;
}

static bool
names(const json_t *roles, const char *role)
{
	json_t *item;
	size_t i;

	json_array_foreach (roles, i, item)
		if (strcmp(json_string_value(item), role) == 0)
			return true;
	return false;
}

/* Take away what the list (NULL: empty) does not have. */
static void
drop_roles(struct sl_cp *cp, const struct cp_peer *p, const json_t *roles)
{
	struct sl_pol_member m = holder(p);
	const char *r;

	for (r = p->roles; r != NULL && *r != '\0'; r += strlen(r) + 1)
		if (!names(roles, r))
			sl_gw_fed_del(cp->gw, r, &m, false);
}

static int
set_roles(struct sl_cp *cp, struct cp_peer *p, const json_t *roles, struct sl_error *e)
{
	struct sl_pol_member m = holder(p);
	size_t i, n = 1, len;
	json_t *item;
	char *text = NULL, *to;
	int rc = 0;

	json_array_foreach (roles, i, item)
		n += json_string_length(item) + 1;
	if (n > 1) {
		to = text = calloc(1, n);
		if (text == NULL)
			return gw_no_memory(e);
		json_array_foreach (roles, i, item) {
			len = json_string_length(item) + 1;
			memcpy(to, json_string_value(item), len);
			to += len;
		}
	}
	drop_roles(cp, p, roles);
	free(p->roles);
	p->roles = text;
	json_array_foreach (roles, i, item)
		rc = rc != 0 ? rc : sl_gw_fed_put(cp->gw, json_string_value(item), &m, false, e);
	return rc;
}

/* --- coming and going --------------------------------------------------------------------------
 */

static struct cp_peer *
peer_new(struct sl_cp *cp, const char *name, const struct want *w)
{
	struct cp_peer *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	snprintf(p->name, sizeof(p->name), "%s", name);
	snprintf(p->iface, sizeof(p->iface), "%s", w->iface);
	gw_hash_add(&cp->peers_by_name, &p->link, cp_key(cp, SL_KIND_PEER, name));
	TAILQ_INSERT_TAIL(&cp->peers, p, at);
	cp->n_peers++;
	return p;
}

static void
end_overlap(struct sl_cp *cp, struct cp_peer *p)
{
	if (p->has_next)
		TAILQ_REMOVE(&cp->overlaps, p, in_overlap);
	p->has_next = false;
}

static void
set_psk_missing(struct sl_cp *cp, struct cp_peer *p, bool missing)
{
	if (p->psk_missing == missing)
		return;
	p->psk_missing = missing;
	cp->n_psk_missing += missing ? 1 : -1U;
	if (missing && cp->n_psk_lost++ < CP_PSK_MISSING_MAX)
		cp_event(cp, "psk_missing", "failure",
			 json_pack("{s:s, s:s}", "peer", p->name, "interface", p->iface));
}

void
cp_psk_missing_end(struct sl_cp *cp)
{
	if (cp->n_psk_lost > CP_PSK_MISSING_MAX)
		cp_event(cp, "psk_missing", "failure",
			 json_pack("{s:I}", "count",
				   (json_int_t)cp->n_psk_lost - CP_PSK_MISSING_MAX));
	cp->n_psk_lost = 0;
}

static void
peer_free(struct sl_cp *cp, struct cp_peer *p)
{
	end_overlap(cp, p);
	cp->n_psk_missing -= p->psk_missing;
	if (cp->shut_next == p)
		cp->shut_next = TAILQ_NEXT(p, at);
	cp_report_forget(cp, p);
	gw_hash_del(&cp->peers_by_name, &p->link);
	TAILQ_REMOVE(&cp->peers, p, at);
	cp->n_peers--;
	free(p->roles);
	free(p);
}

static int
del(struct sl_cp *cp, const char *iface, const struct sl_pubkey *key, struct sl_error *e)
{
	int rc = sl_gw_peer_del(cp->gw, iface, key, e);

	return rc == -ENOENT ? 0 : rc;
}

static int
remove_peer(struct sl_cp *cp, struct cp_peer *p, struct sl_error *e)
{
	int rc;

	sl_gw_begin(cp->gw);
	rc = del(cp, p->iface, &p->key, e);
	if (rc == 0 && p->has_next)
		rc = del(cp, p->iface, &p->next, e);
	if (rc == 0) {
		drop_roles(cp, p, NULL);
		peer_free(cp, p);
	}
	sl_gw_commit(cp->gw);
	return rc;
}

/* --- one key after another ---------------------------------------------------------------------
 */

static bool
same_key(const struct sl_pubkey *a, const struct sl_pubkey *b)
{
	return memcmp(a->b, b->b, SL_KEY_LEN) == 0;
}

static void
spec_of(struct sl_cp *cp, const struct cp_peer *p, const struct want *w, struct sl_gw_peer_spec *s)
{
	struct sl_gw_peer_info now;

	*s = (struct sl_gw_peer_spec){.iface = p->iface,
				      .public_key = p->key,
				      .fields = SL_PF_NAME | SL_PF_PSK | SL_PF_KEEPALIVE |
						SL_PF_ALLOWED_IPS | SL_PF_ENABLED | SL_PF_EXPIRES,
				      .name = p->name,
				      .psk = w->has_psk ? &w->psk : NULL,
				      .keepalive_s = w->keepalive_s,
				      .allowed = w->allowed,
				      .n_allowed = w->n_allowed,
				      .enabled = w->enabled && !p->psk_missing &&
						 cp_stale_allows(cp, p->iface, &p->key),
				      .expires_wall_ns = w->expires_ns};
	/* an endpoint that is told again would make the gateway forget where the peer is */
	if (sl_gw_peer_info(cp->gw, p->iface, &p->key, &now) != 0 ||
	    !sl_ip_equal(&now.configured.ip, &w->endpoint.ip) ||
	    now.configured.port != w->endpoint.port) {
		s->fields |= w->endpoint.ip.family != 0 || now.configured.ip.family != 0
				     ? SL_PF_ENDPOINT
				     : 0;
		s->endpoint = w->endpoint;
	}
}

/* The new key may shake hands; addresses and name come with its first success. */
static int
let_next_in(struct sl_cp *cp, struct cp_peer *p, const struct want *w, struct sl_error *e)
{
	struct sl_gw_peer_spec s = {.iface = p->iface,
				    .public_key = w->key,
				    .fields = SL_PF_PSK | SL_PF_KEEPALIVE | SL_PF_ENABLED |
					      SL_PF_EXPIRES,
				    .psk = w->has_psk ? &w->psk : NULL,
				    .keepalive_s = w->keepalive_s,
				    .enabled = w->enabled && !p->psk_missing,
				    .expires_wall_ns = w->expires_ns};
	int rc;

	if (p->has_next && !same_key(&p->next, &w->key)) {
		rc = del(cp, p->iface, &p->next, e);
		if (rc != 0)
			return rc;
		end_overlap(cp, p);
	}
	rc = sl_gw_peer_set(cp->gw, &s, e);
	if (rc != 0)
		return rc;
	if (!p->has_next)
		TAILQ_INSERT_TAIL(&cp->overlaps, p, in_overlap);
	p->has_next = true;
	p->next = w->key;
	p->old_until_ns = w->old_until_ns;
	return 0;
}

/* Which key serves: the one that does as long as it may, else the new one. */
static int
choose_key(struct sl_cp *cp, struct cp_peer *p, bool is_new, const struct want *w,
	   struct sl_error *e)
{
	int rc = 0;

	if (is_new) {
		p->key = w->has_old ? w->old_key : w->key;
		return 0;
	}
	if (same_key(&p->key, &w->key) || (w->has_old && same_key(&p->key, &w->old_key))) {
		if (same_key(&p->key, &w->key) && p->has_next) {
			rc = del(cp, p->iface, &p->next, e);
			end_overlap(cp, p);
		}
		return rc;
	}
	if (p->has_next && same_key(&p->next, &w->key))
		end_overlap(cp, p); /* it stays and takes over now */
	rc = del(cp, p->iface, &p->key, e);
	p->key = w->key;
	return rc;
}

/* Keys may change hands in one transaction: who has this one yet is made anew after us. */
static int
release_key(struct sl_cp *cp, const struct cp_peer *p, const struct sl_pubkey *key,
	    struct sl_error *e)
{
	struct sl_gw_peer_info now;
	struct cp_peer *other;
	char name[sizeof(p->name)];
	int rc;

	if (sl_gw_peer_info(cp->gw, p->iface, key, &now) != 0 || strcmp(now.name, p->name) == 0)
		return 0;
	other = cp_peer_find(cp, now.name);
	if (other == NULL || other == p)
		return 0;
	memcpy(name, other->name, sizeof(name));
	rc = remove_peer(cp, other, e);
	if (rc == 0 && cp_work_add(cp, SL_KIND_PEER, name) != 0)
		rc = gw_no_memory(e);
	return rc;
}

static int
make_whole(struct sl_cp *cp, struct cp_peer *p, bool is_new, struct want *w, struct sl_error *e)
{
	struct sl_gw_peer_spec s;
	int rc;

	read_psk(cp, w);
	set_psk_missing(cp, p, w->psk_ref != NULL && !w->has_psk);
	sl_gw_begin(cp->gw);
	rc = choose_key(cp, p, is_new, w, e);
	if (rc == 0)
		rc = release_key(cp, p, &w->key, e);
	if (rc == 0) {
		spec_of(cp, p, w, &s);
		p->shut = w->enabled && !p->psk_missing && !s.enabled;
		rc = sl_gw_peer_set(cp->gw, &s, e);
	}
	if (rc == 0 && !same_key(&p->key, &w->key))
		rc = let_next_in(cp, p, w, e);
	if (rc == 0)
		rc = set_roles(cp, p, w->roles, e);
	sl_gw_commit(cp->gw);
	if (rc != 0 && is_new)
		remove_peer(cp, p, &(struct sl_error){0});
	return rc;
}

/* Its new key shook hands, or the old one's time is over. */
static void
take_over(struct sl_cp *cp, struct cp_peer *p)
{
	struct sl_error e = {0};
	int rc;

	sl_gw_begin(cp->gw);
	rc = del(cp, p->iface, &p->key, &e);
	if (rc == 0) {
		p->key = p->next;
		end_overlap(cp, p);
		rc = cp_peer_apply(cp, p->name, CP_WHOLE, &e);
	}
	sl_gw_commit(cp->gw);
	if (rc != 0)
		cp_work_add(cp, SL_KIND_PEER, p->name);
	cp_event(cp, "peer_key_changed", rc == 0 ? "success" : "failure",
		 json_pack("{s:s, s:s}", "peer", p->name, "interface", p->iface));
}

/* --- less ---------------------------------------------------------------------------------------
 */

static bool
ends_sooner(uint64_t a, uint64_t b)
{
	return a != 0 && (b == 0 || a < b);
}

static int
make_less(struct sl_cp *cp, struct cp_peer *p, const struct want *w, enum cp_how how,
	  struct sl_error *e)
{
	struct sl_gw_peer_spec s = {.iface = p->iface, .public_key = p->key, .update_only = true};
	struct sl_gw_peer_info now;

	if (sl_gw_peer_info(cp->gw, p->iface, &p->key, &now) != 0)
		return 0;
	if (strcmp(p->iface, w->iface) != 0 ||
	    (!same_key(&p->key, &w->key) && !(w->has_old && same_key(&p->key, &w->old_key))))
		return remove_peer(cp, p, e); /* its key is worth nothing any more */
	if (how == CP_ONLY_LESS)
		drop_roles(cp, p, w->roles);
	if (!w->enabled && now.enabled)
		s.fields |= SL_PF_ENABLED;
	if (ends_sooner(w->expires_ns, now.expires_wall_ns)) {
		s.fields |= SL_PF_EXPIRES;
		s.expires_wall_ns = w->expires_ns;
	}
	return s.fields != 0 ? sl_gw_peer_set(cp->gw, &s, e) : 0;
}

int
cp_peer_apply(struct sl_cp *cp, const char *id, enum cp_how how, struct sl_error *e)
{
	struct cp_peer *p = cp_peer_find(cp, id);
	json_t *body = cp_object(cp, SL_KIND_PEER, id, e);
	bool is_new = p == NULL;
	struct want w;
	int rc;

	if (body == NULL)
		return e->err != 0 ? e->err : p != NULL ? remove_peer(cp, p, e) : 0;
	rc = read_want(cp, body, &w, e);
	if (rc == 0 && !cp_manages(cp, w.iface)) {
		cp_ignore(cp, SL_KIND_PEER, id, "");
		rc = p != NULL ? remove_peer(cp, p, e) : 0;
	} else if (rc == 0 && how != CP_WHOLE) {
		rc = p != NULL ? make_less(cp, p, &w, how, e) : 0;
	} else if (rc == 0) {
		if (p != NULL && strcmp(p->iface, w.iface) != 0) {
			rc = remove_peer(cp, p, e);
			is_new = true;
		}
		if (rc == 0 && is_new)
			p = peer_new(cp, id, &w);
		if (rc == 0)
			rc = p != NULL ? make_whole(cp, p, is_new, &w, e) : gw_no_memory(e);
	}
	free_want(&w);
	json_decref(body);
	return rc;
}

/* --- time ----------------------------------------------------------------------------------------
 */

static bool
shook_hands(struct sl_cp *cp, const struct cp_peer *p)
{
	struct sl_gw_peer_info i;

	return sl_gw_peer_info(cp->gw, p->iface, &p->next, &i) == 0 &&
	       i.last_handshake_wall_ns != 0;
}

static void
look_for_psks(struct sl_cp *cp)
{
	struct cp_peer *p;

	cp->psk_look_ns = gw_mono_ns(cp->gw);
	TAILQ_FOREACH (p, &cp->peers, at)
		if (p->psk_missing)
			cp_work_add(cp, SL_KIND_PEER, p->name);
	cp_round(cp);
}

bool
cp_peer_poll(struct sl_cp *cp)
{
	struct cp_peer *p, *next;
	bool any = false;

	for (p = TAILQ_FIRST(&cp->overlaps); p != NULL; p = next) {
		next = TAILQ_NEXT(p, in_overlap);
		if (p->old_until_ns > gw_wall_ns(cp->gw) && !shook_hands(cp, p))
			continue;
		take_over(cp, p);
		any = true;
	}
	if (cp->n_psk_missing > 0 && cp->phase == CP_IDLE &&
	    gw_mono_ns(cp->gw) - cp->psk_look_ns >= PSK_LOOK_NS)
		look_for_psks(cp);
	return any;
}

void
cp_peer_clear(struct sl_cp *cp)
{
	struct cp_peer *p;

	while ((p = TAILQ_FIRST(&cp->peers)) != NULL)
		peer_free(cp, p);
}
