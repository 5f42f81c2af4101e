/* SPDX-License-Identifier: BSD-3-Clause */
#include "pol_fixture.h"

#include <stdio.h>
#include <stdlib.h>

#include "sl_policy_doc.h"

static uint16_t
iface_id(void *ctx, const char *name)
{
	return (uint16_t)(strncmp(name, "wg", 2) == 0 ? atoi(name + 2) : 0);
}

void
pol_init(struct pol *p)
{
	memset(p, 0, sizeof(*p));
	p->who = sl_who_new();
	assert_non_null(p->who);
	assert_int_equal(sl_who_ifaces(p->who, 4), 0);
}

static void
publish_who(struct pol *p)
{
	struct sl_who_garbage *old = NULL;

	p->view.who = sl_who_publish(p->who, ++p->who_gen, &old);
	assert_non_null(p->view.who);
	sl_who_garbage_free(old);
}

static void
remove_members(struct pol *p)
{
	unsigned i;

	for (i = 0; i < p->n_members; i++)
		assert_int_equal(sl_who_del(p->who, &p->member[i]), 0);
	p->n_members = 0;
}

void
pol_free(struct pol *p)
{
	sl_acl_free(p->acl);
	sl_polset_free(p->set);
	remove_members(p);
	publish_who(p);
	sl_who_free(p->who);
}

static void
add_member(struct pol *p, const struct sl_pol_member *m, uint16_t role)
{
	struct sl_who_member *to = &p->member[p->n_members++];

	assert_true(p->n_members <= POL_MEMBERS);
	memset(to, 0, sizeof(*to));
	to->role.role = role;
	if (m->peer[0] != 0) {
		to->is_peer = true;
		to->peer_id = (uint32_t)atoi(m->peer + strlen("peer"));
	} else {
		to->prefix = m->place.prefix;
		to->iface = iface_id(NULL, m->place.iface);
	}
	assert_int_equal(sl_who_add(p->who, to), 0);
}

static struct sl_policy *
parse(const char *text)
{
	char *json = strdup(text), *c;
	struct sl_policy *model = NULL;
	struct sl_error e = {0};

	for (c = json; *c != 0; c++)
		if (*c == '\'')
			*c = '"';
	if (sl_policy_doc_parse(json, strlen(json), &model, &e) != 0 ||
	    sl_policy_check(model, NULL, POL_WALL_NS, &e) != 0)
		fail_msg("%s: %s", e.path, e.message);
	free(json);
	return model;
}

void
pol_load(struct pol *p, struct sl_root *r, const char *text)
{
	static unsigned serial;
	struct sl_polset_env env = {.generation = ++p->policy_gen,
				    .wall_ns = POL_WALL_NS,
				    .wall_to_mono_ns = POL_WALL_NS,
				    .iface_id = iface_id};
	struct sl_policy *model = parse(text);
	struct sl_error e = {0};
	struct sl_polset *set = sl_polset_compile(model, &env, &e);
	struct sl_acl *acl;
	char name[16];
	unsigned i, k;

	snprintf(name, sizeof(name), "t%u", serial++);
	acl = set != NULL ? sl_acl_build(set, name, &e) : NULL;
	if (acl == NULL)
		fail_msg("%s", e.message);
	sl_acl_free(p->acl);
	sl_polset_free(p->set);
	remove_members(p);
	for (i = 0; i < model->n_roles; i++)
		for (k = 0; k < model->roles[i].n_members; k++)
			add_member(p, &model->roles[i].members[k], (uint16_t)i);
	sl_policy_free(model);
	p->set = set;
	p->acl = acl;
	p->view.set = set;
	p->view.acl = acl;
	publish_who(p);
	r->authz.policy = p->view;
}

static uint16_t
role_of(const struct pol *p, const char *name)
{
	unsigned i;

	for (i = 0; i < p->set->n_roles; i++)
		if (strcmp(p->set->roles[i].name, name) == 0)
			return (uint16_t)i;
	fail_msg("no role %s", name);
	return 0;
}

static void
grant(struct pol *p, struct sl_root *r, unsigned peer, const char *role, uint32_t expires,
      bool stale)
{
	struct sl_who_member *to = &p->member[p->n_members++];

	assert_true(p->n_members <= POL_MEMBERS);
	memset(to, 0, sizeof(*to));
	to->is_peer = true;
	to->peer_id = peer;
	to->role.role = role_of(p, role);
	to->role.expires_tick = expires;
	to->role.stale = stale;
	assert_int_equal(sl_who_add(p->who, to), 0);
	publish_who(p);
	r->authz.policy = p->view;
}

void
pol_grant(struct pol *p, struct sl_root *r, unsigned peer, const char *role, uint32_t expires)
{
	grant(p, r, peer, role, expires, false);
}

void
pol_grant_stale(struct pol *p, struct sl_root *r, unsigned peer, const char *role)
{
	grant(p, r, peer, role, 0, true);
}

void
pol_revoke(struct pol *p, struct sl_root *r, unsigned peer, const char *role)
{
	uint16_t number = role_of(p, role);
	unsigned i;

	for (i = 0; i < p->n_members; i++)
		if (p->member[i].is_peer && p->member[i].peer_id == peer &&
		    p->member[i].role.role == number)
			break;
	assert_true(i < p->n_members);
	assert_int_equal(sl_who_del(p->who, &p->member[i]), 0);
	p->member[i] = p->member[--p->n_members];
	publish_who(p);
	r->authz.policy = p->view;
}

/* --- records ----------------------------------------------------------------------------- */

unsigned
pol_records(struct sl_worker *w, struct sl_rec *out, unsigned max, uint64_t *lost)
{
	uint64_t some;
	unsigned n = 0, got;

	*lost = 0;
	do {
		got = sl_rec_take(w->records, out + n, max - n, &some);
		n += got;
		*lost += some;
	} while (got != 0 && n < max);
	return n;
}

unsigned
pol_count(const struct sl_rec *r, unsigned n, enum sl_rec_type t)
{
	unsigned i, found = 0;

	for (i = 0; i < n; i++)
		found += r[i].type == t;
	return found;
}

struct sl_rec
pol_one(struct sl_worker *w, enum sl_rec_type t)
{
	static struct sl_rec r[4096];
	uint64_t lost;
	unsigned i, n = pol_records(w, r, SL_ARRAY_SIZE(r), &lost);

	if (pol_count(r, n, t) != 1)
		for (i = 0; i < n; i++)
			print_message("%s %s count %u\n", sl_rec_type_text(r[i].type),
				      sl_rec_reason_text(r[i].reason), r[i].count);
	assert_int_equal(pol_count(r, n, t), 1);
	for (i = 0; r[i].type != t; i++)
		;
	return r[i];
}

void
pol_law(struct sl_worker *w)
{
	static struct sl_rec r[4096];
	struct sl_rec_counts *c = &w->records->counts;
	uint64_t lost;
	unsigned t;

	while (pol_records(w, r, SL_ARRAY_SIZE(r), &lost) != 0)
		;
	assert_true(sl_rec_settle(w->records));
	for (t = 0; t < SL_REC_TYPES; t++) {
		assert_int_equal(c->seen[t],
				 c->recorded[t] + c->suppressed[t] + c->not_selected[t]);
		assert_int_equal(c->recorded[t], w->records->taken[t] + w->records->overwritten[t]);
	}
}

uint64_t
pol_seen(const struct sl_worker *w, enum sl_rec_type t)
{
	return atomic_load(&w->records->counts.seen[t]);
}
