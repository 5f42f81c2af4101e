/* SPDX-License-Identifier: BSD-3-Clause */
/* Run a document's tests on its compiled form. */
#include <stdio.h>
#include <stdlib.h>

#include "doc_int.h"

struct run {
	const struct sl_policy *p;
	const struct sl_polset *s;
	const struct sl_policy_test_env *env;
	struct sl_error *e;
	unsigned at;		/* the test */
	unsigned n_tried;	/* its destinations so far */
	struct sl_class *class; /* room for all roles: a subject that no table knows */
};

static const struct sl_pol_test *
test_of(const struct run *r)
{
	return &r->p->tests[r->at];
}

static uint16_t
iface_id(const struct run *r, const char *name)
{
	return name[0] != '\0' && r->env->iface != NULL ? r->env->iface(r->env->ctx, name) : 0;
}

/* --- subjects --------------------------------------------------------------------------------- */

/** Does a test's peer have a role by the members of the document? */
static bool
is_member(const struct run *r, const struct sl_pol_role *role)
{
	const struct sl_pol_test *t = test_of(r);

	for (unsigned i = 0; i < role->n_members; i++) {
		const struct sl_pol_member *m = &role->members[i];

		if (m->peer[0] == '\0' || strcmp(m->peer, t->peer) != 0)
			continue;
		if (m->place.iface[0] != '\0' && t->iface[0] != '\0' &&
		    strcmp(m->place.iface, t->iface) != 0)
			continue;
		if (m->expires_ns == 0 || m->expires_ns > r->env->now_ns)
			return true;
	}
	return false;
}

static bool
is_named(const struct run *r, const struct sl_pol_role *role)
{
	const struct sl_pol_test *t = test_of(r);

	for (unsigned i = 0; i < t->n_roles; i++) {
		if (strcmp(t->roles[i], role->name) == 0)
			return true;
	}
	return false;
}

static const struct sl_class *
make_class(struct run *r, bool (*has)(const struct run *r, const struct sl_pol_role *role))
{
	r->class->n = 0;
	for (unsigned i = 0; i < r->p->n_roles; i++) {
		if (has(r, &r->p->roles[i]))
			r->class->role[r->class->n++] = (struct sl_class_role){.role = (uint16_t)i};
	}
	return r->class->n > 0 ? r->class : NULL;
}

/** Classes, interface and source for a flow of one family. @return false: none of that family */
static bool
subject(struct run *r, struct sl_polset_query *q)
{
	static const uint8_t unspecified[16];
	const struct sl_policy_test_env *env = r->env;
	const struct sl_pol_test *t = test_of(r);

	if (t->from.family != 0 && t->from.family != q->flow.version)
		return false;
	q->flow.src = unspecified;
	q->flow.iface = iface_id(r, t->iface);
	if (t->peer[0] != '\0' && env->peer != NULL && env->peer(env->ctx, t->peer, q)) {
		if (t->from.family == 0)
			return q->flow.src != NULL;
	} else if (t->peer[0] != '\0') {
		q->peer_class = make_class(r, is_member);
	} else if (t->n_roles > 0) {
		q->src_class = make_class(r, is_named);
	}
	if (t->from.family == 0)
		return true;
	q->flow.src = t->from.b;
	if (t->n_roles == 0)
		q->src_class =
			env->source != NULL ? env->source(env->ctx, q->flow.iface, &t->from) : NULL;
	return true;
}

/* --- outcomes --------------------------------------------------------------------------------- */

static bool
as_expected(const struct run *r, const struct sl_polset_answer *a)
{
	const struct sl_pol_test *t = test_of(r);
	const struct sl_polset_rule *rule;

	if (a->allow != t->expect_allow)
		return false;
	if (t->rule_role[0] == '\0')
		return true;
	if (a->why != SL_WHY_RULE)
		return false;
	rule = &r->s->rules[a->rule];
	return rule->id == t->rule_id && strcmp(r->s->roles[rule->role].name, t->rule_role) == 0;
}

static void
why_text(const struct run *r, const struct sl_polset_answer *a, char *buf, size_t size)
{
	const struct sl_polset_rule *rule;

	switch (a->why) {
	case SL_WHY_RULE:
		rule = &r->s->rules[a->rule];
		snprintf(buf, size, "by %s/%u", r->s->roles[rule->role].name, rule->id);
		break;
	case SL_WHY_NO_ROLE:
		snprintf(buf, size, "as the subject has no role");
		break;
	case SL_WHY_ZONE_DEFAULT:
		if (a->zone == SL_POL_NONE16)
			snprintf(buf, size, "as no rule matches and it lies in no zone");
		else
			snprintf(buf, size, "by the default of zone %s", r->s->zones[a->zone].name);
		break;
	default:
		snprintf(buf, size, "as a table is broken");
	}
}

/** 'test "NAME"', or 'the test' where it has none: the path tells which one. */
static const char *
test_text(const struct sl_pol_test *t, char *buf, size_t size)
{
	if (t->name == NULL || t->name[0] == '\0')
		return "the test";
	snprintf(buf, size, "test \"%.60s\"", t->name);
	return buf;
}

static int
failed(struct run *r, const struct sl_ip *dst, const struct sl_polset_answer *a)
{
	const struct sl_pol_test *t = test_of(r);
	char path[32], to[SL_IP_STR], why[128], by[SL_POL_NAME + 32] = "", name[72];

	snprintf(path, sizeof(path), "/tests/%u", r->at);
	why_text(r, a, why, sizeof(why));
	if (t->rule_role[0] != '\0')
		snprintf(by, sizeof(by), " by %s/%u", t->rule_role, t->rule_id);
	sl_fail(r->e, -EINVAL, "test_failed", path, "%s expects %s%s, but %s is %s %s",
		test_text(t, name, sizeof(name)), t->expect_allow ? "allow" : "deny", by,
		sl_ip_str(dst, to), a->allow ? "allowed" : "denied", why);
	sl_hint(r->e, "change the rules, or what the test expects");
	return -EINVAL;
}

/* --- destinations ----------------------------------------------------------------------------- */

/** @param iface that the destination belongs to, "" any */
static int
try_one(struct run *r, const struct sl_ip *dst, const char *iface)
{
	const struct sl_pol_test *t = test_of(r);
	struct sl_polset_query q = {.flow = {.version = dst->family}, .any_way = true};
	struct sl_polset_answer a;
	uint16_t id = iface_id(r, iface);

	if (!subject(r, &q))
		return 0;
	if (q.flow.iface == 0)
		q.flow.iface = id;
	if (id != 0 && q.flow.iface != id)
		return 0;
	q.flow.version = dst->family;
	q.flow.dst = dst->b;
	q.flow.proto = (uint8_t)t->proto;
	q.flow.dport = t->port;
	sl_polset_eval(r->s, &q, &a, NULL, 0, NULL);
	r->n_tried++;
	return as_expected(r, &a) ? 0 : failed(r, dst, &a);
}

/** A flow that begins inside: the server's own roles count, and those of the peer, mirrored. */
static int
try_inside(struct run *r)
{
	const struct sl_pol_test *t = test_of(r);
	struct sl_polset_query q = {.flow = {.version = t->inside.family},
				    .from_inside = true,
				    .any_way = true};
	struct sl_ip dst = {.family = t->inside.family};
	struct sl_polset_answer a;

	if (!subject(r, &q))
		return 0;
	if (t->n_roles > 0)
		q.peer_class = q.src_class;
	q.src_class = r->env->source != NULL ? r->env->source(r->env->ctx, q.flow.iface, &t->inside)
					     : NULL;
	memcpy(dst.b, q.flow.src, sl_ip_bytes(&dst));
	q.flow.src = t->inside.b;
	q.flow.dst = dst.b;
	q.flow.proto = (uint8_t)t->proto;
	q.flow.sport = t->sport;
	q.flow.dport = t->port;
	sl_polset_eval(r->s, &q, &a, NULL, 0, NULL);
	r->n_tried++;
	return as_expected(r, &a) ? 0 : failed(r, &dst, &a);
}

static struct sl_ip
last_of(const struct sl_prefix *p)
{
	struct sl_ip ip = p->ip;

	for (unsigned i = p->len; i < 8 * sl_ip_bytes(&ip); i++)
		ip.b[i / 8] |= (uint8_t)(0x80 >> i % 8);
	return ip;
}

static int
try_target(struct run *r)
{
	const struct sl_pol_test *t = test_of(r);
	const struct sl_pol_target *target = NULL;
	int rc = 0;

	for (unsigned i = 0; i < r->p->n_targets && target == NULL; i++) {
		if (strcmp(r->p->targets[i].name, t->to_target) == 0)
			target = &r->p->targets[i];
	}
	for (unsigned i = 0; target != NULL && rc == 0 && i < target->n_addrs; i++) {
		const struct sl_pol_place *a = &target->addrs[i];
		struct sl_ip last = last_of(&a->prefix);

		rc = try_one(r, &a->prefix.ip, a->iface);
		if (rc == 0 && !sl_ip_equal(&last, &a->prefix.ip))
			rc = try_one(r, &last, a->iface);
	}
	return rc;
}

static int
run_test(struct run *r)
{
	const struct sl_pol_test *t = test_of(r);
	char path[32], name[72];
	int rc;

	r->n_tried = 0;
	if (t->inside.family != 0)
		rc = try_inside(r);
	else
		rc = t->to_target[0] != '\0' ? try_target(r) : try_one(r, &t->to, "");
	if (rc < 0 || r->n_tried > 0)
		return rc;
	snprintf(path, sizeof(path), "/tests/%u", r->at);
	sl_fail(r->e, -EINVAL, "test_failed", path,
		"%s has no destination of its source's family and interface",
		test_text(t, name, sizeof(name)));
	sl_hint(r->e, "give \"from\" an address of the family of \"to\", or another \"to\"");
	return -EINVAL;
}

int
sl_policy_doc_test(const struct sl_policy *p, const struct sl_polset *s,
		   const struct sl_policy_test_env *env, unsigned *n_run, struct sl_error *e)
{
	struct run r = {.p = p, .s = s, .env = env, .e = e};
	int rc = 0;

	r.class = calloc(1, sizeof(*r.class) + p->n_roles * sizeof(r.class->role[0]));
	if (r.class == NULL)
		return doc_no_memory(e);
	while (rc == 0 && r.at < p->n_tests) {
		rc = run_test(&r);
		r.at++;
	}
	if (n_run != NULL)
		*n_run = r.at;
	free(r.class);
	return rc;
}
