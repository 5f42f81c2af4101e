/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Verdicts of sl_judge() on real tables, and of sl_polset_eval(), for an oracle at the other end of
 * a pipe (test_oracle.py).
 *
 *	I NAME                            an interface; ids count from 1
 *	P NAME INTERFACE                  a peer; ids count from 1
 *	D LOAD_S WALL_NS BYTES QUERIES    a document loaded at one time and in force at another;
 *					  then the document and one line a query:
 *	VERSION PROTO IFACE PEER INSIDE SPORT DPORT SRC DST    addresses in hexadecimal
 *
 * Answers one line a query: what sl_judge() says, then what sl_polset_eval() says; or one line
 * "E REASON PATH MESSAGE" for a document that is refused.
 */
#include <stdio.h>
#include <stdlib.h>

#include "eal_main.h"
#include "sl_env.h"
#include "sl_judge.h"
#include "sl_policy_doc.h"

#define NAMES_MAX 16
#define WALL_TO_MONO (UINT64_C(1700000000) * SL_NS_PER_S)

struct peer {
	char name[SL_POL_NAME];
	unsigned iface;
};

static char iface_name[NAMES_MAX][SL_POL_IFACE]; /* [1..] */
static unsigned n_ifaces;
static struct peer peers[NAMES_MAX]; /* [1..] */
static unsigned n_peers;

/** One document's tables. */
struct tables {
	struct sl_policy *model;
	struct sl_polset *set;
	struct sl_acl *acl;
	struct sl_who_builder *who;
	struct sl_policy_view v;
};

static void
die(const char *what)
{
	fprintf(stderr, "judge_driver: %s\n", what);
	exit(1);
}

static void *
must(void *p)
{
	if (p == NULL)
		die("no memory");
	return p;
}

static uint16_t
iface_id(void *ctx, const char *name)
{
	for (unsigned i = 1; i <= n_ifaces; i++) {
		if (strcmp(iface_name[i], name) == 0)
			return (uint16_t)i;
	}
	return 0;
}

/* --- who: what the members of a document mean here ---------------------------------------------
 */

static void
give(struct sl_who_builder *b, struct sl_who_member *w)
{
	if (sl_who_add(b, w) != 0)
		die("sl_who_add fails");
}

static void
give_peers(struct sl_who_builder *b, const struct sl_pol_member *m, struct sl_who_member *w)
{
	w->is_peer = true;
	for (unsigned i = 1; i <= n_peers; i++) {
		if (strcmp(m->peer, peers[i].name) != 0)
			continue;
		if (m->place.iface[0] != 0 && iface_id(NULL, m->place.iface) != peers[i].iface)
			continue;
		w->peer_id = i;
		give(b, w);
	}
}

static void
give_member(struct sl_who_builder *b, const struct sl_pol_member *m, uint16_t role,
	    uint64_t wall_ns)
{
	struct sl_who_member w = {.role.role = role, .role.source = (uint8_t)m->source};

	if (m->expires_ns != 0) {
		if (m->expires_ns <= wall_ns)
			return; /* ended: it was taken out */
		w.role.expires_tick = sl_tick_of(m->expires_ns - WALL_TO_MONO);
	}
	if (m->peer[0] != 0) {
		give_peers(b, m, &w);
		return;
	}
	w.prefix = m->place.prefix;
	if (m->place.iface[0] != 0) {
		w.iface = iface_id(NULL, m->place.iface);
		if (w.iface == 0)
			return; /* not at this gateway */
	}
	give(b, &w);
}

static void
make_who(struct tables *t, uint64_t wall_ns)
{
	struct sl_who_garbage *old = NULL;

	t->who = must(sl_who_new());
	if (sl_who_ifaces(t->who, n_ifaces + 1) != 0)
		die("no memory");
	for (unsigned i = 0; i < t->model->n_roles; i++) {
		const struct sl_pol_role *r = &t->model->roles[i];

		for (unsigned k = 0; k < r->n_members; k++)
			give_member(t->who, &r->members[k], (uint16_t)i, wall_ns);
	}
	t->v.who = sl_who_publish(t->who, 1, &old);
	if (t->v.who == NULL)
		die("no memory");
	sl_who_garbage_free(old);
}

static int
make_tables(struct tables *t, const char *text, size_t len, uint64_t load_ns, uint64_t wall_ns,
	    struct sl_error *e)
{
	static uint64_t generation;
	struct sl_polset_env env = {.generation = ++generation,
				    .wall_ns = wall_ns,
				    .wall_to_mono_ns = WALL_TO_MONO,
				    .iface_id = iface_id};
	int rc = sl_policy_doc_parse(text, len, &t->model, e);

	if (rc == 0)
		rc = sl_policy_check(t->model, NULL, load_ns, e);
	if (rc != 0)
		return rc;
	t->set = sl_polset_compile(t->model, &env, e);
	if (t->set == NULL)
		return e->err;
	t->acl = sl_acl_build(t->set, "oracle", e);
	if (t->acl == NULL)
		return e->err;
	make_who(t, wall_ns);
	t->v.set = t->set;
	t->v.acl = t->acl;
	return 0;
}

static void
free_tables(struct tables *t)
{
	sl_acl_free(t->acl);
	sl_polset_free(t->set);
	sl_who_free(t->who);
	sl_policy_free(t->model);
}

/* --- queries ------------------------------------------------------------------------------------
 */

struct query {
	uint8_t src[16], dst[16];
};

static void
unhex(const char *s, uint8_t *b, unsigned n)
{
	unsigned v;

	for (unsigned i = 0; i < n; i++) {
		if (sscanf(s + 2UL * i, "%2x", &v) != 1)
			die("bad address");
		b[i] = (uint8_t)v;
	}
}

static void
read_query(struct query *q, struct sl_judge_flow *fl)
{
	unsigned version, proto, iface, peer, inside, sport, dport;
	char src[40], dst[40];

	if (scanf("%u %u %u %u %u %u %u %39s %39s", &version, &proto, &iface, &peer, &inside,
		  &sport, &dport, src, dst) != 9)
		die("bad query");
	unhex(src, q->src, version == 6 ? 16 : 4);
	unhex(dst, q->dst, version == 6 ? 16 : 4);
	*fl = (struct sl_judge_flow){.f = {.version = (uint8_t)version,
					   .proto = (uint8_t)proto,
					   .iface = (uint16_t)iface,
					   .src = q->src,
					   .dst = q->dst,
					   .sport = (uint16_t)sport,
					   .dport = (uint16_t)dport},
				     .from_inside = inside != 0,
				     .peer_id = peer};
}

static void
print_answer(const struct sl_polset *s, bool allow, unsigned why, uint32_t rule, uint16_t zone,
	     uint16_t target)
{
	printf("%d %u %s %u %s %s ", allow, why,
	       rule == SL_POL_NONE ? "-" : s->roles[s->rules[rule].role].name,
	       rule == SL_POL_NONE ? 0 : s->rules[rule].id,
	       zone == SL_POL_NONE16 ? "-" : s->zones[zone].name,
	       target == SL_POL_NONE16 ? "-" : s->targets[target].name);
}

static void
answer(const struct tables *t, const struct sl_judge_flow *fl, const struct sl_judgement *j,
       uint32_t tick)
{
	const struct sl_identity *who = t->v.who;
	struct sl_polset_query q = {.flow = fl->f,
				    .from_inside = fl->from_inside,
				    .src_class = sl_identity_prefix(who, fl->f.iface, fl->f.version,
								    fl->f.src),
				    .peer_class = sl_identity_peer(who, fl->peer_id),
				    .tick = tick};
	struct sl_polset_answer a;

	sl_polset_eval(t->set, &q, &a, NULL, 0, NULL);
	print_answer(t->set, j->allow, j->why, j->rule, j->zone, j->target);
	printf("%s %u ", j->role == SL_POL_NONE16 ? "-" : t->set->roles[j->role].name, j->flags);
	print_answer(t->set, a.allow, a.why, a.rule, a.zone, a.target);
	printf("\n");
}

static void
serve(uint64_t load_s, uint64_t wall_ns, size_t len, unsigned n)
{
	struct query *q = must(calloc(n + 1UL, sizeof(*q)));
	struct sl_judge_flow *fl = must(calloc(n + 1UL, sizeof(*fl)));
	struct sl_judgement *j = must(calloc(n + 1UL, sizeof(*j)));
	uint32_t tick = sl_tick_of(wall_ns - WALL_TO_MONO);
	char *text = must(malloc(len + 1));
	struct tables t = {0};
	struct sl_error e = {0};

	if (fread(text, 1, len, stdin) != len)
		die("the document is cut short");
	text[len] = 0;
	for (unsigned i = 0; i < n; i++)
		read_query(&q[i], &fl[i]);
	if (make_tables(&t, text, len, load_s * SL_NS_PER_S, wall_ns, &e) != 0) {
		printf("E %s %s %s\n", e.reason, e.path, e.message);
	} else {
		sl_judge(&t.v, tick, fl, j, n);
		for (unsigned i = 0; i < n; i++)
			answer(&t, &fl[i], &j[i], tick);
	}
	fflush(stdout);
	free_tables(&t);
	free(text);
	free(j);
	free(fl);
	free(q);
}

static void
read_name(char *to, size_t size)
{
	char word[SL_POL_NAME];

	if (scanf("%63s", word) != 1 || strlen(word) >= size)
		die("bad name");
	snprintf(to, size, "%s", word);
}

int
main(int argc, char **argv)
{
	char verb[2], iface[SL_POL_IFACE];
	unsigned long long load_s, wall_ns;
	unsigned n;
	size_t len;

	eal_start(argv[0]);
	while (scanf("%1s", verb) == 1) {
		if (verb[0] == 'I' && n_ifaces + 1 < NAMES_MAX) {
			read_name(iface_name[++n_ifaces], SL_POL_IFACE);
		} else if (verb[0] == 'P' && n_peers + 1 < NAMES_MAX) {
			read_name(peers[++n_peers].name, SL_POL_NAME);
			read_name(iface, sizeof(iface));
			peers[n_peers].iface = iface_id(NULL, iface);
		} else if (verb[0] == 'D' &&
			   scanf("%llu %llu %zu %u\n", &load_s, &wall_ns, &len, &n) == 4) {
			serve(load_s, wall_ns, len, n);
		} else {
			die("bad line");
		}
	}
	return 0;
}
