/* SPDX-License-Identifier: BSD-3-Clause */
/* From denied flows to rules. An item is at first one (subject, source, destination, service) and
 * is merged with its like in three passes: same source and destination, all ports; same destination
 * and ports, all sources; same sources and ports, all destinations. So each rule is a product of
 * which every element was seen. */
#include <stdio.h>
#include <stdlib.h>

#include "evidence_int.h"
#include "evidence_suggest.h"
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

/* "A,B": none of the texts holds a comma. @return 0 or -ENOMEM */
static int
join(char **to, const char *more)
{
	char *text = NULL;

	if (asprintf(&text, "%s,%s", *to, more) < 0)
		return -ENOMEM;
	free(*to);
	*to = text;
	return 0;
}

static int
cmp_u32(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

/* Evidence of b to that of a. */
static int
absorb(struct sg_item *a, const struct sg_item *b)
{
	uint32_t *who = realloc(a->who, (a->n_who + b->n_who) * sizeof(*who));
	unsigned i, n = 0;

	if (who == NULL)
		return -ENOMEM;
	memcpy(who + a->n_who, b->who, b->n_who * sizeof(*who));
	qsort(who, a->n_who + b->n_who, sizeof(*who), cmp_u32);
	for (i = 0; i < a->n_who + b->n_who; i++)
		if (n == 0 || who[n - 1] != who[i])
			who[n++] = who[i];
	a->who = who;
	a->n_who = n;
	a->flows += b->flows;
	a->first_ns = SL_MIN(a->first_ns, b->first_ns);
	a->last_ns = SL_MAX(a->last_ns, b->last_ns);
	return 0;
}

/* Consecutive ports become a range. */
static int
join_port(struct sg_item *a, unsigned port)
{
	char text[16];
	char *last;

	if (port == a->port)
		return 0; /* other source ports of the same service */
	if (port == a->port + 1U) {
		last = strrchr(a->ports, ',');
		last = last != NULL ? last + 1 : a->ports;
		last[strcspn(last, "-")] = '\0'; /* the begin of the range stays */
		snprintf(text, sizeof(text), "-%u", port);
		last = NULL;
		if (asprintf(&last, "%s%s", a->ports, text) < 0)
			return -ENOMEM;
		free(a->ports);
		a->ports = last;
	} else {
		snprintf(text, sizeof(text), "%u", port);
		if (join(&a->ports, text) != 0)
			return -ENOMEM;
	}
	a->port = (uint16_t)port;
	return 0;
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

static int
merge(struct sg *s, enum pass pass)
{
	static int (*const cmp[])(const void *, const void *) = {cmp_ports, cmp_src, cmp_dst};
	unsigned i, n = 0;
	int rc = 0;

	if (s->n > 1)
		qsort(s->item, s->n, sizeof(*s->item), cmp[pass]);
	for (i = 0; i < s->n; i++) {
		struct sg_item *it = &s->item[i], *last = n > 0 ? &s->item[n - 1] : NULL;

		if (last == NULL || rc != 0 || !alike(pass, last, it)) {
			s->item[n++] = *it;
			continue;
		}
		if (pass == BY_PORT && it->ports[0] != '\0')
			rc = join_port(last, it->port);
		else if (pass == BY_SRC)
			rc = join(&last->src, it->src);
		else if (pass == BY_DST)
			rc = join(&last->dst, it->dst);
		if (rc == 0)
			rc = absorb(last, it);
		item_free(it);
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

/* Place of the role for the rule of a flow, a new one if need be. @return -ENOMEM, or SG_NONE */
static int
role_of(struct sg *s, const struct ev_flow *f)
{
	const struct sl_root *root =
		atomic_load_explicit(&s->c->gw->dp->root, memory_order_acquire);
	const struct sl_policy_view *v = &root->authz.policy;
	const struct sl_class_role *best = NULL;

	best_role(source_class(v, f), s->c->policy, &best);
	if (f->flags & SL_AGG_FROM_TUNNEL && v->who != NULL)
		best_role(sl_identity_peer(v->who, f->peer_id), s->c->policy, &best);
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
		     dst && s->many_ifaces ? ev_flow_iface(s->c->ev, f) : "") < 0)
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

	if (f->why == SL_WHY_RULE || f->why == SL_WHY_MAP_ERROR) {
		sg_leave(s, f, "denied_by_rule");
		return 0;
	}
	if (f->proto == (f->version == 4 ? 58 : 1)) { /* no rule speaks of the other's ICMP */
		sg_leave(s, f, "protocol");
		return 0;
	}
	if (ev_flow_count(f) < s->c->min_flows) {
		sg_leave(s, f, "few");
		return 0;
	}
	role = role_of(s, f);
	if (role == SG_NONE) {
		sg_leave(s, f, "zone_default_allow");
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

json_t *
ev_suggest(const struct ev_suggest_conf *c, struct ev_flow *const *flows, unsigned n)
{
	struct sg s = {.c = c, .left_out = json_array()};
	unsigned i, ifaces = 0;
	json_t *out = NULL;
	int rc = 0;

	sl_gw_iface_walk(c->gw, count_iface, &ifaces);
	s.many_ifaces = ifaces > 1;
	s.item = calloc(n + 1, sizeof(*s.item));
	if (s.item == NULL || s.left_out == NULL || sg_begin(&s) != 0)
		rc = -ENOMEM;
	for (i = 0; i < n && rc == 0; i++)
		rc = take(&s, flows[i]);
	if (rc == 0)
		rc = merge(&s, BY_PORT);
	if (rc == 0)
		rc = merge(&s, BY_SRC);
	if (rc == 0)
		rc = merge(&s, BY_DST);
	if (rc == 0)
		out = sg_document(&s);
	for (i = 0; i < s.n; i++)
		item_free(&s.item[i]);
	free(s.item);
	sg_end(&s);
	return out;
}
