/* SPDX-License-Identifier: BSD-3-Clause */
/*
 *	role n		every hundredth client by its address, and 32 rules: UDP to one port of one
 *			/24 of 10.30.0.0/16 each
 *	role 0		the servers 10.30.0.0/16, too: they may begin flows to clients
 */
#include "policy.h"

#include <stdio.h>
#include <stdlib.h>

#include "peers.h"

#define SERVERS UINT32_C(0x0a1e0000) /* 10.30.0.0/16 */
#define CLIENTS UINT32_C(0x64400000) /* 100.64.0.0/10 */
#define PORT_BASE 2000

struct bench_policy {
	struct sl_policy *model;
	struct sl_polset *set;
	struct sl_acl *acl;
	struct sl_who_builder *who;
	struct sl_who_member *member; /* [POLICY_PREFIXES] */
	struct sl_policy_view view;
};

/** Where the k-th rule of a role leads to. */
static uint32_t
rule_net(unsigned role, unsigned k)
{
	return SERVERS | (role * 7 + k * 37) % 256 << 8;
}

static uint16_t
rule_port(unsigned role, unsigned k)
{
	return (uint16_t)(PORT_BASE + role * POLICY_RULES + k);
}

static struct sl_prefix
prefix(uint32_t addr, uint8_t len)
{
	struct sl_prefix p = {.len = len};
	uint8_t b[4];

	sl_store_be32(b, addr);
	p.ip = sl_ip_v4(b);
	return p;
}

static bool
make_rule(struct sl_pol_rule *r, unsigned role, unsigned k)
{
	bool down = role == 0 && k == 0;

	r->id = k + 1;
	snprintf(r->role, sizeof(r->role), "r%u", role);
	r->to = calloc(1, sizeof(*r->to));
	r->ports = calloc(1, sizeof(*r->ports));
	if (!r->to || !r->ports)
		return false;
	r->n_to = 1;
	r->to->place.prefix = down ? prefix(CLIENTS, 10) : prefix(rule_net(role, k), 24);
	r->proto = SL_PROTO_UDP;
	r->n_ports = !down;
	r->ports->lo = r->ports->hi = rule_port(role, k);
	r->allow = true;
	r->priority = SL_POL_PRIORITY;
	r->log = 1;
	r->enabled = true;
	return true;
}

static int
make_model(struct bench_policy *p, struct sl_error *e)
{
	struct sl_policy *m = p->model = sl_policy_new();
	unsigned i, k;

	if (!m)
		return -ENOMEM;
	m->roles = calloc(POLICY_ROLES, sizeof(*m->roles));
	m->rules = calloc(POLICY_ROLES * POLICY_RULES, sizeof(*m->rules));
	if (!m->roles || !m->rules)
		return -ENOMEM;
	m->version = 1;
	for (i = 0; i < POLICY_ROLES; i++) {
		snprintf(m->roles[i].name, sizeof(m->roles[i].name), "r%u", i);
		m->n_roles++;
		for (k = 0; k < POLICY_RULES; k++)
			if (!make_rule(&m->rules[m->n_rules++], i, k))
				return -ENOMEM;
	}
	return sl_policy_check(m, NULL, sl_clock_wall_ns(), e);
}

static int
make_members(struct bench_policy *p)
{
	struct sl_who_garbage *old = NULL;
	struct sl_who_member *m;
	unsigned i;
	int rc;

	p->who = sl_who_new();
	p->member = calloc(POLICY_PREFIXES, sizeof(*p->member));
	if (!p->who || !p->member || sl_who_ifaces(p->who, 2))
		return -ENOMEM;
	for (i = 0; i < POLICY_PREFIXES; i++) {
		m = &p->member[i];
		m->iface = 1;
		m->prefix = prefix(PEERS_INNER_BASE + 1 + i, 32);
		m->role.role = (uint16_t)(i % POLICY_ROLES);
		if (i == POLICY_PREFIXES - 1) { /* the servers, which no tunnel owns */
			m->iface = 0;
			m->prefix = prefix(SERVERS, 16);
			m->role.role = 0;
		}
		rc = sl_who_add(p->who, m);
		if (rc)
			return rc;
	}
	p->view.who = sl_who_publish(p->who, 1, &old);
	sl_who_garbage_free(old);
	return p->view.who ? 0 : -ENOMEM;
}

struct bench_policy *
bench_policy_new(struct sl_error *e)
{
	struct sl_polset_env env = {.generation = 1, .wall_ns = sl_clock_wall_ns()};
	struct bench_policy *p = calloc(1, sizeof(*p));
	int rc;

	if (!p) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for a policy");
		return NULL;
	}
	rc = make_model(p, e);
	rc = rc ? rc : make_members(p);
	if (rc == 0)
		p->set = sl_polset_compile(p->model, &env, e);
	if (p->set)
		p->acl = sl_acl_build(p->set, "bench", e);
	if (p->acl) {
		p->view.set = p->set;
		p->view.acl = p->acl;
		return p;
	}
	if (!e->err)
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for a policy");
	bench_policy_free(p);
	return NULL;
}

void
bench_policy_free(struct bench_policy *p)
{
	struct sl_who_garbage *old = NULL;
	unsigned i;

	if (!p)
		return;
	sl_acl_free(p->acl);
	sl_polset_free(p->set);
	sl_policy_free(p->model);
	for (i = 0; p->view.who && i < POLICY_PREFIXES; i++)
		sl_who_del(p->who, &p->member[i]);
	if (p->view.who && sl_who_publish(p->who, 2, &old))
		sl_who_garbage_free(old);
	sl_who_free(p->who);
	free(p->member);
	free(p);
}

void
bench_policy_use(struct bench_policy *p, struct bench_world *b, enum bench_policy_mode mode,
		 bool logging)
{
	struct sl_authz_view *a = &b->root.authz;

	a->policy = p && mode != BENCH_POLICY_OFF ? p->view : (struct sl_policy_view){0};
	a->deflt = mode != BENCH_POLICY_OFF ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
	a->logging = logging;
}

void
bench_flow_any(struct bench_world *b, struct bench_flow *f)
{
	unsigned k, role;

	f->client = bench_dice(b, b->n_peers);
	role = f->client % POLICY_ROLES;
	k = 1 + bench_dice(b, POLICY_RULES - 1);
	f->server = rule_net(role, k) | bench_dice(b, 256);
	f->server_port = rule_port(role, k);
	f->client_port = (uint16_t)(1024 + b->serial++ % 64000);
}
