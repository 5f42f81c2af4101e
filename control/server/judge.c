/* SPDX-License-Identifier: BSD-3-Clause */
#include "judge.h"
#include "sl_json.h"
#include "sl_policy_agents.h"

#include <stdio.h>
#include <stdlib.h>

struct judge {
	struct sl_store *s;
	uint64_t wall_ns;
	struct sl_policy *p;
	struct sl_polset *set;
	json_t *doc;
	json_t *ifaces; /* name -> id */
	json_t *peers;	/* name -> {id, and its body} */
	struct sl_who_builder *who;
	const struct sl_identity *id; /* NULL: to be made anew */
	uint64_t idp_grace_ns;	      /* 0: without end */
	bool has_maps;		      /* role maps of prefixes are entered */
	int rc;			      /* of a walk */
};

static int
no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to judge the policy");
}

/* --- interfaces ------------------------------------------------------------------------------- */

static bool
each_interface(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text,
	       size_t len)
{
	struct judge *j = ctx;

	json_object_set_new(j->ifaces, id,
			    json_integer((json_int_t)json_object_size(j->ifaces) + 1));
	return json_object_size(j->ifaces) < UINT16_MAX - 1;
}

static uint16_t
iface_id(void *ctx, const char *name)
{
	struct judge *j = ctx;

	return (uint16_t)json_integer_value(json_object_get(j->ifaces, name));
}

/* --- members ---------------------------------------------------------------------------------- */

static int
role_at(const struct judge *j, const char *name)
{
	for (unsigned i = 0; i < j->p->n_roles; i++) {
		if (strcmp(j->p->roles[i].name, name) == 0)
			return (int)i;
	}
	return -1;
}

/** A prefix has a role in one interface ("*": sources that no tunnel owns). */
static int
add_prefix(struct judge *j, const struct sl_pol_place *place, unsigned role, uint8_t source)
{
	struct sl_who_member m = {.prefix = place->prefix,
				  .role = {.role = (uint16_t)role, .source = source}};

	if (place->iface[0] != '\0') {
		m.iface = iface_id(j, place->iface);
		if (m.iface == 0)
			return 0; /* no gateway has it */
	}
	return sl_who_add(j->who, &m);
}

static int
add_document_members(struct judge *j)
{
	int rc = 0;

	for (unsigned r = 0; r < j->p->n_roles; r++) {
		const struct sl_pol_role *role = &j->p->roles[r];

		for (unsigned i = 0; i < role->n_members && rc == 0; i++) {
			const struct sl_pol_member *m = &role->members[i];

			if (m->peer[0] == '\0' &&
			    (m->expires_ns == 0 || m->expires_ns > j->wall_ns))
				rc = add_prefix(j, &m->place, r, m->source);
		}
	}
	return rc;
}

/** Was the provider down by then, and has it been since? */
static bool
provider_was_down(struct judge *j, const char *name, uint64_t then_ns)
{
	json_t *body = NULL;
	uint64_t since;
	bool down = sl_store_get(j->s, SL_KIND_PROVIDER, name, NULL, &body) == 0 &&
		    strcmp(sl_json_text(body, "state"), "down") == 0;

	if (down && sl_time_parse(sl_json_text(body, "since"), &since) == 0)
		down = since <= then_ns;
	json_decref(body);
	return down;
}

/** Does a role map hold now? One whose provider was silent when it expired goes on for the grace,
 * unless its role ends then. */
static bool
holds(struct judge *j, const json_t *map, unsigned role)
{
	const json_t *source = json_object_get(map, "source");
	const char *expires = sl_json_text(map, "expires_at");
	uint64_t until;

	if (expires[0] == '\0' || sl_time_parse(expires, &until) != 0 || until > j->wall_ns)
		return true;
	if (j->p->roles[role].on_idp_down == SL_IDP_DENY ||
	    strcmp(sl_json_text(source, "type"), "idp") != 0 ||
	    !provider_was_down(j, sl_json_text(source, "provider"), until))
		return false;
	return j->idp_grace_ns == 0 || until + j->idp_grace_ns > j->wall_ns;
}

static bool
each_role_map(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct judge *j = ctx;
	json_t *map = json_loadb(text, len, 0, NULL);
	const char *member = sl_json_text(map, "member"), *at = strrchr(member, '@');
	int role = role_at(j, sl_json_text(map, "role"));
	struct sl_pol_place place = {0};
	char prefix[64];

	snprintf(prefix, sizeof(prefix), "%.*s", at ? (int)(at - member) : 63, member);
	if (role >= 0 && strncmp(member, "peer:", 5) != 0 &&
	    sl_prefix_parse(prefix, &place.prefix) == 0 && holds(j, map, (unsigned)role)) {
		if (at != NULL && strcmp(at + 1, "*") != 0)
			snprintf(place.iface, sizeof(place.iface), "%s", at + 1);
		j->rc = add_prefix(j, &place, (unsigned)role, SL_SOURCE_DYNAMIC);
	}
	json_decref(map);
	return j->rc == 0;
}

/* --- peers ------------------------------------------------------------------------------------ */

struct peer_roles {
	struct judge *j;
	const char *name, *iface;
	uint32_t id;
};

static int
add_peer_role(const struct peer_roles *w, int role)
{
	struct sl_who_member m = {.is_peer = true, .peer_id = w->id};

	if (role < 0)
		return 0;
	m.role.role = (uint16_t)role;
	return sl_who_add(w->j->who, &m);
}

static bool
each_peer_map(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct peer_roles *w = ctx;
	json_t *map = json_loadb(text, len, 0, NULL);
	const char *member = sl_json_text(map, "member"), *at = strrchr(member, '@');
	size_t n = at != NULL ? (size_t)(at - member) : strlen(member);
	int role = role_at(w->j, sl_json_text(map, "role"));

	if (role >= 0 && n == 5 + strlen(w->name) && strncmp(member, "peer:", 5) == 0 &&
	    strncmp(member + 5, w->name, n - 5) == 0 &&
	    (at == NULL || strcmp(at + 1, w->iface) == 0) && holds(w->j, map, (unsigned)role))
		w->j->rc = add_peer_role(w, role);
	json_decref(map);
	return w->j->rc == 0;
}

static int
add_peer_roles(struct peer_roles *w, const json_t *peer)
{
	json_t *v;
	size_t i;
	int rc = 0;

	json_array_foreach (json_object_get(peer, "roles"), i, v) {
		if (rc == 0)
			rc = add_peer_role(w, role_at(w->j, json_string_value(v)));
	}
	for (unsigned r = 0; r < w->j->p->n_roles; r++) {
		const struct sl_pol_role *role = &w->j->p->roles[r];

		for (unsigned m = 0; m < role->n_members && rc == 0; m++) {
			const struct sl_pol_member *x = &role->members[m];

			if (strcmp(x->peer, w->name) == 0 &&
			    (x->place.iface[0] == '\0' || strcmp(x->place.iface, w->iface) == 0) &&
			    (x->expires_ns == 0 || x->expires_ns > w->j->wall_ns))
				rc = add_peer_role(w, (int)r);
		}
	}
	if (rc == 0 && sl_store_walk(w->j->s, SL_KIND_ROLE_MAP, "", each_peer_map, w, NULL) == 0)
		rc = w->j->rc;
	return rc;
}

/** A peer of the store, with its roles entered. @return borrowed; NULL: there is none */
static const json_t *
peer_of(struct judge *j, const char *name)
{
	json_t *known = json_object_get(j->peers, name), *body = NULL;
	struct peer_roles w = {.j = j, .name = name};

	if (known != NULL)
		return known;
	if (sl_store_get(j->s, SL_KIND_PEER, name, NULL, &body) != 0)
		return NULL;
	w.id = (uint32_t)json_object_size(j->peers) + 1;
	w.iface = sl_json_text(body, "interface");
	j->rc = add_peer_roles(&w, body);
	json_object_set_new(body, "#", json_integer((json_int_t)w.id));
	json_object_set_new(j->peers, name, body);
	j->id = NULL;
	return body;
}

static const struct sl_identity *
identity(struct judge *j)
{
	struct sl_who_garbage *old = NULL;

	if (!j->has_maps) {
		if (sl_store_walk(j->s, SL_KIND_ROLE_MAP, "", each_role_map, j, NULL) != 0 ||
		    j->rc != 0)
			return NULL;
		j->has_maps = true;
		j->id = NULL;
	}
	if (j->id == NULL) {
		j->id = sl_who_publish(j->who, 1, &old);
		sl_who_garbage_free(old);
	}
	return j->id;
}

static bool
first_of(const json_t *list, uint8_t version, struct sl_ip *out)
{
	struct sl_prefix p;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)list, i, v) {
		if (sl_prefix_parse(json_string_value(v), &p) == 0 && p.ip.family == version) {
			*out = p.ip;
			return true;
		}
	}
	return false;
}

/** The peer's first address of a family: at its first gateway that has one, as that has it. */
static bool
address_of(const json_t *peer, uint8_t version, struct sl_ip *out)
{
	const char *gateway;
	json_t *list;

	json_object_foreach (json_object_get(peer, "addresses"), gateway, list) {
		if (first_of(list, version, out))
			return true;
	}
	return first_of(json_object_get(peer, "allowed_ips"), version, out);
}

/* --- tests of the document -------------------------------------------------------------------- */

struct testing {
	struct judge *j;
	struct sl_ip src; /* that a query points to */
};

static bool
test_peer(void *ctx, const char *name, struct sl_polset_query *q)
{
	struct testing *t = ctx;
	const json_t *peer = peer_of(t->j, name);
	const struct sl_identity *id;

	if (peer == NULL)
		return false;
	id = identity(t->j);
	q->flow.iface = iface_id(t->j, sl_json_text(peer, "interface"));
	q->flow.src = NULL;
	if (id == NULL)
		return true;
	q->peer_class =
		sl_identity_peer(id, (uint32_t)json_integer_value(json_object_get(peer, "#")));
	if (address_of(peer, q->flow.version, &t->src)) {
		q->flow.src = t->src.b;
		q->src_class = sl_identity_prefix(id, q->flow.iface, q->flow.version, t->src.b);
	}
	return true;
}

static const struct sl_class *
test_source(void *ctx, uint16_t iface, const struct sl_ip *ip)
{
	struct testing *t = ctx;
	const struct sl_identity *id = identity(t->j);

	return id != NULL ? sl_identity_prefix(id, iface, ip->family, ip->b) : NULL;
}

static uint16_t
test_iface(void *ctx, const char *name)
{
	struct testing *t = ctx;

	return iface_id(t->j, name);
}

int
judge_test(struct judge *j, unsigned *n_run, struct sl_error *e)
{
	struct testing t = {.j = j};
	struct sl_policy_test_env env = {.peer = test_peer,
					 .source = test_source,
					 .iface = test_iface,
					 .ctx = &t,
					 .now_ns = j->wall_ns};
	int rc = sl_policy_doc_test(j->p, j->set, &env, n_run, e);

	return j->rc != 0 ? no_memory(e) : rc;
}

/* --- one flow --------------------------------------------------------------------------------- */

static int
by_roles(const json_t *names, struct sl_simulated *x, struct sl_error *e)
{
	const char **list = calloc(json_array_size(names) + 1, sizeof(*list));
	json_t *v;
	size_t i;
	int rc;

	if (list == NULL)
		return no_memory(e);
	json_array_foreach ((json_t *)names, i, v)
		list[i] = json_string_value(v);
	rc = sl_simulated_roles(x, list, json_array_size(names), "/subject/roles", e);
	free(list);
	return rc;
}

/** The peer's roles, and an address of it where none is given. */
static int
by_peer(struct judge *j, const char *name, struct sl_simulated *x, struct sl_error *e)
{
	const json_t *peer = peer_of(j, name);
	const struct sl_identity *id = peer != NULL ? identity(j) : NULL;
	struct sl_ip *own = x->q.from_inside ? &x->dst : &x->src;
	const char *iface;

	if (peer == NULL)
		return sl_fail(e, -ENOENT, "not_found", "/subject/peer",
			       "there is no peer \"%.63s\"", name);
	if (id == NULL || j->rc != 0)
		return no_memory(e);
	iface = sl_json_text(peer, "interface");
	if (x->q.flow.iface != 0 && x->q.flow.iface != iface_id(j, iface))
		return sl_fail(e, -ENOENT, "not_found", "/subject/interface",
			       "peer \"%.63s\" is one of interface %.15s", name, iface);
	x->q.flow.iface = iface_id(j, iface);
	x->q.peer_class =
		sl_identity_peer(id, (uint32_t)json_integer_value(json_object_get(peer, "#")));
	if (own->family == 0 && !address_of(peer, x->q.flow.version, own))
		return sl_fail(e, -EINVAL, "family_mismatch", x->q.from_inside ? "/src" : "/dst",
			       "the peer has no address of this IP version");
	return 0;
}

/** Whose the tunnel's address is, if anybody's. */
static int
by_address(struct judge *j, const struct judge_subject *who, struct sl_simulated *x,
	   struct sl_error *e)
{
	const struct sl_ip *own = x->q.from_inside ? &x->dst : &x->src;
	const char *iface = who->iface;
	char peer[SL_OBJ_ID];

	if (own->family == 0)
		return sl_fail(e, -EINVAL, "field_missing", "/subject",
			       "a peer, roles or an address must be named");
	if (iface[0] == '\0' && json_object_size(j->ifaces) == 1) {
		iface = json_object_iter_key(json_object_iter(j->ifaces));
		x->q.flow.iface = iface_id(j, iface);
	}
	if (iface[0] == '\0') {
		sl_fail(e, -EINVAL, "interface_missing", "/subject/interface",
			"there are several interfaces");
		sl_hint(e, "name the one in which the address lies");
		return -EINVAL;
	}
	return sl_store_peer_at(j->s, iface, own, peer) == 0 ? by_peer(j, peer, x, e) : 0;
}

static int
find_subject(struct judge *j, const struct judge_subject *who, struct sl_simulated *x,
	     struct sl_error *e)
{
	const struct sl_identity *id;
	int rc;

	if (who->iface[0] != '\0') {
		x->q.flow.iface = iface_id(j, who->iface);
		if (x->q.flow.iface == 0)
			return sl_fail(e, -EINVAL, "interface_unknown", "/subject/interface",
				       "there is no interface \"%.15s\"", who->iface);
	}
	if (who->peer != NULL)
		rc = by_peer(j, who->peer, x, e);
	else if (who->roles != NULL)
		rc = by_roles(who->roles, x, e);
	else
		rc = by_address(j, who, x, e);
	if (rc != 0 || (who->peer == NULL && who->roles != NULL && !who->from_inside))
		return rc;
	id = identity(j);
	if (id == NULL)
		return no_memory(e);
	x->q.src_class = sl_identity_prefix(id, x->q.flow.iface, x->q.flow.version, x->src.b);
	return 0;
}

int
judge_flow(struct judge *j, const struct judge_subject *who, const struct sl_ip *dst,
	   unsigned proto, uint16_t sport, uint16_t dport, struct sl_simulated *out,
	   struct sl_error *e)
{
	int rc;

	out->set = j->set;
	out->src = who->from;
	out->dst = *dst;
	out->q.from_inside = who->from_inside;
	out->q.flow = (struct sl_polset_flow){.version = dst->family != 0 ? dst->family
									  : who->from.family,
					      .proto = (uint8_t)proto,
					      .src = out->src.b,
					      .dst = out->dst.b,
					      .sport = sport,
					      .dport = dport};
	if (who->from.family != 0 && dst->family != 0 && who->from.family != dst->family)
		return sl_fail(e, -EINVAL, "family_mismatch", "/subject/address",
			       "source and destination are of different IP versions");
	rc = find_subject(j, who, out, e);
	if (rc != 0)
		return rc;
	sl_simulated_judge(out);
	return 0;
}

/* --- making one ------------------------------------------------------------------------------- */

/** Those of the store, by name, with numbers of our own. */
static int
read_interfaces(struct judge *j, struct sl_error *e)
{
	j->ifaces = json_object();
	if (j->ifaces == NULL)
		return no_memory(e);
	return sl_store_walk(j->s, SL_KIND_INTERFACE, "", each_interface, j, e) == 0 ? 0 : e->err;
}

static int
compile(struct judge *j, struct sl_error *e)
{
	struct sl_polset_env env = {.generation = 1,
				    .wall_ns = j->wall_ns,
				    .iface_id = iface_id,
				    .ctx = j};

	j->set = sl_polset_compile(j->p, &env, e);
	return j->set != NULL ? 0 : e->err;
}

/** Peers and role maps of the store come in as they are asked for. */
static int
enter_members(struct judge *j, struct sl_error *e)
{
	int rc;

	j->who = sl_who_new();
	if (j->who == NULL || sl_who_ifaces(j->who, (unsigned)json_object_size(j->ifaces) + 1) != 0)
		return no_memory(e);
	rc = add_document_members(j);
	return rc == 0 && j->rc == 0 ? 0 : no_memory(e);
}

static bool
is_withdrawn(struct judge *j, const char *target)
{
	json_t *body = NULL;
	bool withdrawn = sl_store_get(j->s, SL_KIND_TARGET, target, NULL, &body) == 0 &&
			 json_is_true(json_object_get(body, "withdrawn"));

	json_decref(body);
	return withdrawn;
}

/** @return does the ledger say the same as before? */
static bool
read_ledger(struct judge *j)
{
	bool same = true, withdrawn;

	for (unsigned i = 0; i < j->p->n_targets; i++) {
		withdrawn = is_withdrawn(j, j->p->targets[i].name);
		same &= withdrawn == j->p->targets[i].withdrawn;
		j->p->targets[i].withdrawn = withdrawn;
	}
	return same;
}

/** Whether a target is withdrawn is the ledger's word: a document has none. */
static int
ask_ledger(struct judge *j, struct sl_error *e)
{
	for (unsigned i = 0; i < j->p->n_targets; i++) {
		struct sl_pol_target *t = &j->p->targets[i];
		char path[SL_POL_NAME + 32];

		if (t->withdrawn) {
			snprintf(path, sizeof(path), "/targets/%s/withdrawn", t->name);
			sl_fail(e, -EINVAL, "ledger_owned", path,
				"the migration ledger alone withdraws a target");
			sl_hint(e, "leave the field out; sluicectl migration withdraw %s", t->name);
			return -EINVAL;
		}
	}
	read_ledger(j);
	return 0;
}

static int
read_document(struct judge *j, const char *text, size_t len, bool was_in_force, struct sl_error *e)
{
	int rc = sl_policy_doc_parse(text, len, &j->p, e);

	if (rc != 0)
		return rc;
	j->doc = sl_policy_doc_emit(j->p);
	j->peers = json_object();
	if (j->doc == NULL || j->peers == NULL)
		return no_memory(e);
	rc = ask_ledger(j, e);
	if (rc == 0)
		rc = sl_policy_check(j->p, NULL, was_in_force ? 0 : j->wall_ns, e);
	return rc == 0 ? sl_store_add_agents(j->s, j->p, e) : rc;
}

struct judge *
judge_new(struct sl_store *s, const char *text, size_t len, uint64_t wall_ns, bool was_in_force,
	  struct sl_error *e)
{
	struct judge *j = calloc(1, sizeof(*j));

	if (j == NULL) {
		no_memory(e);
		return NULL;
	}
	j->s = s;
	j->wall_ns = wall_ns;
	judge_idp_grace(j, JUDGE_IDP_GRACE_H);
	if (read_document(j, text, len, was_in_force, e) == 0 && read_interfaces(j, e) == 0 &&
	    compile(j, e) == 0 && enter_members(j, e) == 0)
		return j;
	judge_free(j);
	return NULL;
}

/** The zone of agents' networks, which stands behind those of the document; NULL: there is none */
static struct sl_pol_zone *
agent_zone(const struct sl_policy *p)
{
	struct sl_pol_zone *z = p->n_zones > 0 ? &p->zones[p->n_zones - 1] : NULL;

	return z != NULL && strcmp(z->name, SL_POL_AGENT_ZONE) == 0 ? z : NULL;
}

static bool
same_networks(const struct sl_pol_zone *a, const struct sl_pol_zone *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	for (unsigned i = 0; i < a->n_nets && a->n_nets == b->n_nets; i++)
		if (!sl_prefix_equal(&a->nets[i].prefix, &b->nets[i].prefix) ||
		    strcmp(a->nets[i].iface, b->nets[i].iface) != 0)
			return false;
	return a->n_nets == b->n_nets;
}

/** It follows the agents of the store. @param[out] same as it was */
static int
read_agents(struct judge *j, bool *same, struct sl_error *e)
{
	struct sl_pol_zone *there = agent_zone(j->p), was = {0};
	int rc;

	if (there != NULL) {
		was = *there;
		j->p->n_zones--;
	}
	rc = sl_store_add_agents(j->s, j->p, e);
	*same = rc == 0 && same_networks(there != NULL ? &was : NULL, agent_zone(j->p));
	free(was.nets);
	return rc;
}

int
judge_anew(struct judge *j, struct sl_store *s, struct sl_error *e)
{
	json_t *was = j->ifaces;
	bool same, same_agents = true;
	int rc;

	j->s = s;
	j->rc = 0;
	j->has_maps = false;
	j->id = NULL;
	json_object_clear(j->peers);
	sl_who_free(j->who);
	j->who = NULL;
	same = read_ledger(j);
	rc = read_interfaces(j, e);
	same = same && rc == 0 && json_equal(was, j->ifaces);
	json_decref(was);
	if (rc == 0)
		rc = read_agents(j, &same_agents, e);
	same = same && same_agents;
	if (rc == 0 && !same) {
		sl_polset_free(j->set);
		rc = compile(j, e);
	}
	return rc == 0 ? enter_members(j, e) : rc;
}

void
judge_idp_grace(struct judge *j, unsigned hours)
{
	j->idp_grace_ns = (uint64_t)hours * 3600 * 1000000000;
}

void
judge_free(struct judge *j)
{
	if (j == NULL)
		return;
	sl_who_free(j->who);
	sl_polset_free(j->set);
	sl_policy_free(j->p);
	json_decref(j->doc);
	json_decref(j->ifaces);
	json_decref(j->peers);
	free(j);
}

const struct sl_policy *
judge_policy(const struct judge *j)
{
	return j->p;
}

const struct sl_polset *
judge_set(const struct judge *j)
{
	return j->set;
}

json_t *
judge_doc(const struct judge *j)
{
	return json_incref(j->doc);
}
