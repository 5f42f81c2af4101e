/* SPDX-License-Identifier: BSD-3-Clause */
/* From denied flows to rules. An item is at first one (subject, source, destination, service) and
 * is merged with its like in three passes: same source and destination, all ports; same destination
 * and ports, all sources; same sources and ports, all destinations. So each rule is a product of
 * which every element was seen. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "evidence_int.h"
#include "evidence_suggest.h"
#include "gw_policy.h"
#include "suggest_int.h"

/* --- items ---------------------------------------------------------------------------------------
 */

static void
item_free(struct sg_item *it)
{
	free(it->src);
	free(it->dst);
	free(it->ports);
	free(it->who);
}

static int
cmp_text(const char *a, const char *b)
{
	return strcmp(a, b);
}

/* What every pass keeps apart. */
static int
cmp_head(const struct sg_item *a, const struct sg_item *b)
{
	int c = a->role - b->role;

	if (c == 0)
		c = a->version - b->version;
	return c != 0 ? c : a->proto - b->proto;
}

static int
cmp_ports(const void *x, const void *y)
{
	const struct sg_item *a = x, *b = y;
	int c = cmp_head(a, b);

	if (c == 0)
		c = cmp_text(a->src, b->src);
	if (c == 0)
		c = cmp_text(a->dst, b->dst);
	return c != 0 ? c : a->port - b->port;
}

static int
cmp_src(const void *x, const void *y)
{
	const struct sg_item *a = x, *b = y;
	int c = cmp_head(a, b);

	if (c == 0)
		c = cmp_text(a->dst, b->dst);
	if (c == 0)
		c = cmp_text(a->ports, b->ports);
	return c != 0 ? c : cmp_text(a->src, b->src);
}

static int
cmp_dst(const void *x, const void *y)
{
	const struct sg_item *a = x, *b = y;
	int c = cmp_head(a, b);

	if (c == 0)
		c = cmp_text(a->src, b->src);
	if (c == 0)
		c = cmp_text(a->ports, b->ports);
	return c != 0 ? c : cmp_text(a->dst, b->dst);
}

static int
cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Evidence of n items to that of the first. */
static int
absorb(struct sg_item *a, unsigned n)
{
	size_t all = 0, k = 0, i;
	uint32_t *who;

	for (i = 0; i < n; i++)
		all += a[i].n_who;
	who = malloc(all * sizeof(*who));
	if (who == NULL)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		memcpy(who + k, a[i].who, a[i].n_who * sizeof(*who));
		k += a[i].n_who;
	}
	qsort(who, all, sizeof(*who), cmp_u32);
	for (i = k = 0; i < all; i++)
		if (k == 0 || who[k - 1] != who[i])
			who[k++] = who[i];
	free(a->who);
	a->who = who;
	a->n_who = (unsigned)k;
	for (i = 1; i < n; i++) {
		a->flows += a[i].flows;
		a->first_ns = SL_MIN(a->first_ns, a[i].first_ns);
		a->last_ns = SL_MAX(a->last_ns, a[i].last_ns);
	}
	return 0;
}

/* Consecutive ports become a range; the same one is there again for other source ports. */
static void
write_ports(FILE *f, const struct sg_item *a, unsigned n)
{
	unsigned i = 0, first, last;

	while (i < n) {
		first = last = a[i].port;
		while (i < n && a[i].port - last <= 1U)
			last = a[i++].port;
		fprintf(f, "%s%u", ftell(f) > 0 ? "," : "", first);
		if (last > first)
			fprintf(f, "-%u", last);
	}
}

enum pass { BY_PORT, BY_SRC, BY_DST };

static bool
alike(enum pass pass, const struct sg_item *a, const struct sg_item *b)
{
	if (cmp_head(a, b) != 0)
		return false;
	if (pass != BY_SRC && strcmp(a->src, b->src) != 0)
		return false;
	if (pass != BY_DST && strcmp(a->dst, b->dst) != 0)
		return false;
	return pass == BY_PORT || strcmp(a->ports, b->ports) == 0;
}

/* The list that differs among n items alike: "A,B"; none of the texts holds a comma. */
static int
join(struct sg_item *a, unsigned n, enum pass pass)
{
	char **to = pass == BY_PORT ? &a->ports : pass == BY_SRC ? &a->src : &a->dst;
	char *text = NULL;
	size_t len;
	FILE *f;

	if (pass == BY_PORT && a->ports[0] == '\0')
		return 0;
	f = open_memstream(&text, &len);
	if (f == NULL)
		return -ENOMEM;
	if (pass == BY_PORT)
		write_ports(f, a, n);
	for (unsigned i = 0; pass != BY_PORT && i < n; i++)
		fprintf(f, "%s%s", i > 0 ? "," : "", pass == BY_SRC ? a[i].src : a[i].dst);
	if (fclose(f) != 0) {
		free(text);
		return -ENOMEM;
	}
	free(*to);
	*to = text;
	return 0;
}

static int
merge(struct sg *s, enum pass pass)
{
	static int (*const cmp[])(const void *, const void *) = {cmp_ports, cmp_src, cmp_dst};
	unsigned i, k, last, n = 0;
	int rc = 0;

	if (s->n > 1)
		qsort(s->item, s->n, sizeof(*s->item), cmp[pass]);
	for (i = 0; i < s->n; i = last) {
		struct sg_item *it = &s->item[i];

		for (last = i + 1; last < s->n && alike(pass, it, &s->item[last]); last++)
			;
		if (rc == 0 && last - i > 1)
			rc = join(it, last - i, pass);
		if (rc == 0 && last - i > 1)
			rc = absorb(it, last - i);
		for (k = i + 1; k < last; k++)
			item_free(&s->item[k]);
		s->item[n++] = *it;
	}
	s->n = n;
	return rc;
}

/* --- subjects ------------------------------------------------------------------------------------
 */

static const struct sl_class *
source_class(const struct sl_policy_view *v, const struct ev_flow *f)
{
	return v->who != NULL ? sl_identity_prefix(v->who, f->iface_id, f->version, f->src) : NULL;
}

/* A role of the class that goes on for ever, else one that ends, else none. */
static void
best_role(const struct sl_class *c, const struct sl_policy *p, const struct sl_class_role **best)
{
	unsigned i;

	for (i = 0; c != NULL && i < c->n; i++) {
		const struct sl_class_role *r = &c->role[i];

		if (p == NULL || r->role >= p->n_roles)
			continue;
		if (*best == NULL || ((*best)->expires_tick != 0 && r->expires_tick == 0))
			*best = r;
	}
}

/* Place of the role for the rule of a flow, a new one if need be. @return -ENOMEM, or SG_NONE or
 * SG_FULL */
static int
role_of(struct sg *s, const struct ev_flow *f)
{
	const struct sl_root *root = atomic_load_explicit(&s->c.gw->dp->root, memory_order_acquire);
	const struct sl_policy_view *v = &root->authz.policy;
	const struct sl_class_role *best = NULL;

	best_role(source_class(v, f), s->policy, &best);
	if (f->flags & SL_AGG_FROM_TUNNEL && v->who != NULL)
		best_role(sl_identity_peer(v->who, f->peer_id), s->policy, &best);
	if (best != NULL)
		return best->role;
	return sg_new_role(s, f);
}

/* --- in ------------------------------------------------------------------------------------------
 */

static char *
address_text(const struct sg *s, const struct ev_flow *f, bool dst)
{
	char text[SL_PREFIX_STR];
	struct sl_prefix p;
	char *out = NULL;

	ev_flow_ip(f, dst, &p.ip);
	p.len = f->version == 4 ? 32 : 128;
	sl_prefix_str(&p, text);
	if (asprintf(&out, "%s%s%s", text, dst && s->many_ifaces ? "@" : "",
		     dst && s->many_ifaces ? ev_flow_iface(s->c.ev, f) : "") < 0)
		return NULL;
	return out;
}

static int
add_item(struct sg *s, const struct ev_flow *f, int role)
{
	bool ports = f->proto == 6 || f->proto == 17;
	struct sg_item *it = &s->item[s->n];

	*it = (struct sg_item){.role = role,
			       .version = f->version,
			       .proto = f->proto,
			       .port = ports ? f->dport : 0,
			       .flows = ev_flow_count(f),
			       .first_ns = f->first_ns,
			       .last_ns = f->last_ns,
			       .n_who = 1};
	snprintf(it->iface, sizeof(it->iface), "%s", ev_flow_iface(s->c.ev, f));
	it->src = address_text(s, f, false);
	it->dst = address_text(s, f, true);
	it->who = malloc(sizeof(*it->who));
	if (!ports)
		it->ports = strdup("");
	else if (asprintf(&it->ports, "%u", f->dport) < 0)
		it->ports = NULL;
	s->n++;
	if (it->src == NULL || it->dst == NULL || it->ports == NULL || it->who == NULL)
		return -ENOMEM;
	it->who[0] = f->who;
	return 0;
}

static int
take(struct sg *s, const struct ev_flow *f)
{
	int role;

	if (f->why == SL_WHY_WITHDRAWN) {
		sg_leave(s, f, "withdrawn");
		return 0;
	}
	if (f->why == SL_WHY_RULE || f->why == SL_WHY_MAP_ERROR) {
		sg_leave(s, f, "denied_by_rule");
		return 0;
	}
	if (f->proto == (f->version == 4 ? 58 : 1)) { /* no rule speaks of the other's ICMP */
		sg_leave(s, f, "protocol");
		return 0;
	}
	if (ev_flow_count(f) < s->c.min_flows) {
		sg_leave(s, f, "few");
		return 0;
	}
	role = role_of(s, f);
	if (role == SG_NONE || role == SG_FULL) {
		sg_leave(s, f, role == SG_NONE ? "zone_default_allow" : "limit_roles");
		return 0;
	}
	return role < 0 ? role : add_item(s, f, role);
}

static void
count_iface(void *ctx, const struct sl_gw_iface_info *i)
{
	(void)i;
	++*(unsigned *)ctx;
}

/* --- stages --------------------------------------------------------------------------------------
 */

enum stage { READ, TAKE, MERGE, DONE };

struct ev_suggest {
	struct gw_task task;
	struct gw_task end; /* to free it */
	enum stage stage;
	struct sg s;
	char *document;
	struct ev_flow *const *flows;
	unsigned n_flows, taken;
	int rc;
	struct sl_error e;
	json_t *out;
};

static void
release(struct ev_suggest *u)
{
	for (unsigned i = 0; i < u->s.n; i++)
		item_free(&u->s.item[i]);
	free(u->s.item);
	sg_end(&u->s);
	sl_policy_free(u->s.policy);
	json_decref(u->out);
	free(u->document);
	free(u);
}

static void
release_task(struct gw_task *t)
{
	release(SL_CONTAINER_OF(t, struct ev_suggest, end));
}

void
ev_suggest_free(struct ev_suggest *u)
{
	if (u == NULL)
		return;
	u->end.run = release_task; /* behind what the helper may still do for it */
	u->end.detached = true;
	gw_helper_give(u->s.c.gw->policy->helper, &u->end);
}

/* On the helper: a model of our own, for that in force may go while we look. */
static void
read_task(struct gw_task *t)
{
	struct ev_suggest *u = SL_CONTAINER_OF(t, struct ev_suggest, task);

	if (u->document != NULL)
		u->rc = sl_policy_doc_parse(u->document, u->s.c.document_len, &u->s.policy, &u->e);
	if (u->rc == 0)
		sg_begin(&u->s);
}

static void
merge_task(struct gw_task *t)
{
	struct ev_suggest *u = SL_CONTAINER_OF(t, struct ev_suggest, task);

	for (enum pass pass = BY_PORT; pass <= BY_DST && u->rc == 0; pass++)
		u->rc = merge(&u->s, pass);
	if (u->rc == 0)
		u->out = sg_document(&u->s);
	if (u->out == NULL)
		u->rc = gw_no_memory(&u->e);
}

static void
give(struct ev_suggest *u, enum stage stage, void (*run)(struct gw_task *t))
{
	u->stage = stage;
	u->task.run = run;
	gw_helper_give(u->s.c.gw->policy->helper, &u->task);
}

struct ev_suggest *
ev_suggest_new(const struct ev_suggest_conf *c, struct ev_flow *const *flows, unsigned n,
	       struct sl_error *e)
{
	struct ev_suggest *u;
	unsigned ifaces = 0;

	if (gw_policy_need_helper(c->gw, e) != 0)
		return NULL;
	u = calloc(1, sizeof(*u));
	if (u == NULL) {
		gw_no_memory(e);
		return NULL;
	}
	u->s.c = *c;
	u->flows = flows;
	u->n_flows = n;
	u->s.left_out = json_array();
	u->s.item = calloc((size_t)n + 1, sizeof(*u->s.item));
	u->document = c->document != NULL ? malloc(c->document_len + 1) : NULL;
	if (u->s.left_out == NULL || u->s.item == NULL ||
	    (c->document != NULL && u->document == NULL)) {
		release(u);
		gw_no_memory(e);
		return NULL;
	}
	if (u->document != NULL)
		memcpy(u->document, c->document, c->document_len + 1);
	u->s.c.document = u->document;
	sl_gw_iface_walk(c->gw, count_iface, &ifaces);
	u->s.many_ifaces = ifaces > 1;
	give(u, READ, read_task);
	return u;
}

static bool
failed(struct ev_suggest *u, int rc)
{
	u->rc = rc;
	if (u->e.err == 0)
		gw_no_memory(&u->e);
	u->stage = DONE;
	return true;
}

/* The flows were judged by the policy of the scan, and the roles of the identity are places in it.
 */
static bool
moved(struct ev_suggest *u)
{
	const struct sl_root *root =
		atomic_load_explicit(&u->s.c.gw->dp->root, memory_order_acquire);
	const struct sl_polset *set = root->authz.policy.set;

	if (ev_scan_generation(u->s.c.scan) == (set != NULL ? set->generation : 0))
		return false;
	sl_fail(&u->e, -EBUSY, "policy_busy", "", "the policy changed while flows were judged");
	sl_hint(&u->e, "ask again");
	return true;
}

static bool
take_some(struct ev_suggest *u, unsigned budget)
{
	int rc = 0;

	if (moved(u))
		return failed(u, -EBUSY);
	for (; budget > 0 && rc == 0 && u->taken < u->n_flows; u->taken++, budget--)
		rc = take(&u->s, u->flows[u->taken]);
	if (rc != 0)
		return failed(u, rc);
	if (u->taken == u->n_flows)
		give(u, MERGE, merge_task);
	return false;
}

bool
ev_suggest_step(struct ev_suggest *u, unsigned budget)
{
	if (u->stage != TAKE && u->stage != DONE && !gw_task_done(&u->task))
		return false;
	if (u->stage == DONE)
		return true;
	if (u->rc != 0)
		return failed(u, u->rc);
	if (u->stage == READ)
		u->stage = TAKE;
	else if (u->stage == TAKE)
		return take_some(u, budget);
	else
		u->stage = DONE;
	return u->stage == DONE;
}

void
ev_suggest_wait(struct ev_suggest *u)
{
	do
		if (u->stage == READ || u->stage == MERGE)
			gw_helper_wait(u->s.c.gw->policy->helper, &u->task);
	while (!ev_suggest_step(u, UINT_MAX));
}

bool
ev_suggest_waits(const struct ev_suggest *u)
{
	return u->stage == READ || u->stage == MERGE;
}

json_t *
ev_suggest_result(struct ev_suggest *u, struct sl_error *e)
{
	json_t *out = u->out;

	if (u->rc != 0)
		*e = u->e;
	u->out = NULL;
	return out;
}
