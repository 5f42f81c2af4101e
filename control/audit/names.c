/* SPDX-License-Identifier: BSD-3-Clause */
#include "names.h"

#include <errno.h>
#include <stdlib.h>

struct sl_names *
sl_names_new(void)
{
	struct sl_names *n = calloc(1, sizeof(*n));

	if (n != NULL)
		n->gone_last = &n->gone_first;
	return n;
}

void
sl_names_free(struct sl_names *n)
{
	unsigned i, j;

	if (n == NULL)
		return;
	for (i = 0; i < SL_NAMES_GENERATIONS; i++)
		sl_names_policy_free(n->policy[i]);
	for (i = 0; i < SL_ARRAY_SIZE(n->page); i++) {
		for (j = 0; n->page[i] != NULL && j < 1024; j++)
			free(n->page[i][j]);
		free(n->page[i]);
	}
	free(n);
}

static void *
copy(const void *from, size_t n, size_t size)
{
	void *to = calloc(n > 0 ? n : 1, size);

	if (to != NULL && n > 0)
		memcpy(to, from, n * size);
	return to;
}

struct sl_names_policy *
sl_names_policy_new(const struct sl_polset *s)
{
	struct sl_names_policy *p = calloc(1, sizeof(*p));
	unsigned i;

	if (p == NULL)
		return NULL;
	p->generation = s->generation;
	p->version = s->version;
	p->n_rules = s->n_rules;
	p->n_roles = s->n_roles;
	p->n_targets = s->n_targets;
	p->n_zones = s->n_zones;
	p->rules = calloc(s->n_rules + 1, sizeof(p->rules[0]));
	p->zones = calloc(s->n_zones + 1U, sizeof(p->zones[0]));
	p->roles = copy(s->roles, s->n_roles, sizeof(p->roles[0]));
	p->targets = copy(s->targets, s->n_targets, sizeof(p->targets[0]));
	if (p->rules == NULL || p->zones == NULL || p->roles == NULL || p->targets == NULL) {
		sl_names_policy_free(p);
		return NULL;
	}
	for (i = 0; i < s->n_rules; i++)
		p->rules[i] =
			(struct sl_names_rule){s->rules[i].id, s->rules[i].role, s->rules[i].log};
	for (i = 0; i < s->n_zones; i++) {
		p->zones[i].type = s->zones[i].type;
		memcpy(p->zones[i].name, s->zones[i].name, SL_POL_NAME);
	}
	return p;
}

void
sl_names_policy_free(struct sl_names_policy *p)
{
	if (p == NULL)
		return;
	free(p->rules);
	free(p->roles);
	free(p->targets);
	free(p->zones);
	free(p);
}

struct sl_names_policy *
sl_names_policy_add(struct sl_names *n, struct sl_names_policy *p)
{
	struct sl_names_policy *out = n->policy[SL_NAMES_GENERATIONS - 1];

	memmove(&n->policy[1], &n->policy[0], sizeof(n->policy) - sizeof(n->policy[0]));
	n->policy[0] = p;
	return out;
}

const struct sl_names_policy *
sl_names_policy_find(const struct sl_names *n, uint32_t generation)
{
	unsigned i;

	for (i = 0; i < SL_NAMES_GENERATIONS && n->policy[i] != NULL; i++)
		if ((uint32_t)n->policy[i]->generation == generation)
			return n->policy[i];
	return NULL;
}

int
sl_names_iface_set(struct sl_names *n, uint16_t id, const char *name)
{
	size_t len = strlen(name);

	if (id >= SL_NAMES_IFACES || len >= SL_POL_IFACE)
		return -EINVAL;
	memcpy(n->iface[id], name, len + 1);
	return 0;
}

const char *
sl_names_iface(const struct sl_names *n, uint16_t id)
{
	return id < SL_NAMES_IFACES ? n->iface[id] : "";
}

static struct sl_names_peer **
place(const struct sl_names *n, uint32_t id)
{
	struct sl_names_peer **page = id < SL_NAMES_PEERS ? n->page[id / 1024] : NULL;

	return page != NULL ? &page[id % 1024] : NULL;
}

const struct sl_names_peer *
sl_names_peer(const struct sl_names *n, uint32_t id)
{
	struct sl_names_peer **p = place(n, id);

	return p != NULL ? *p : NULL;
}

static void
peer_gone(struct sl_names *n, struct sl_names_peer *p, uint64_t now_ns)
{
	if (p == NULL || p->gone)
		return;
	p->gone = true;
	p->gone_ns = now_ns;
	p->next_gone = NULL;
	*n->gone_last = p;
	n->gone_last = &p->next_gone;
}

/** An id in use again: off the list of those that go. */
static void
peer_back(struct sl_names *n, struct sl_names_peer *p)
{
	struct sl_names_peer **at;

	for (at = &n->gone_first; *at != p; at = &(*at)->next_gone)
		;
	*at = p->next_gone;
	if (n->gone_last == &p->next_gone)
		n->gone_last = at;
	p->gone = false;
}

int
sl_names_peer_set(struct sl_names *n, uint32_t id, uint16_t iface, const char *name,
		  const struct sl_pubkey *key, uint64_t now_ns)
{
	struct sl_names_peer **at, *p;
	size_t len;

	sl_names_tidy(n, now_ns);
	if (id >= SL_NAMES_PEERS)
		return -EINVAL;
	at = place(n, id);
	if (name == NULL) {
		peer_gone(n, at != NULL ? *at : NULL, now_ns);
		return 0;
	}
	if (at == NULL) {
		n->page[id / 1024] = calloc(1024, sizeof(struct sl_names_peer *));
		at = place(n, id);
	}
	if (at == NULL)
		return -ENOMEM;
	if (*at == NULL)
		*at = calloc(1, sizeof(**at));
	p = *at;
	if (p == NULL)
		return -ENOMEM;
	if (p->gone)
		peer_back(n, p);
	p->id = id;
	p->iface = iface;
	len = strnlen(name, sizeof(p->name) - 1);
	memcpy(p->name, name, len);
	p->name[len] = '\0';
	p->key[0] = '\0';
	if (key != NULL)
		sl_key_to_base64(key->b, p->key);
	return 0;
}

void
sl_names_tidy(struct sl_names *n, uint64_t now_ns)
{
	struct sl_names_peer *p;

	while ((p = n->gone_first) != NULL && now_ns >= p->gone_ns + SL_NAMES_KEPT_NS) {
		n->gone_first = p->next_gone;
		if (n->gone_first == NULL)
			n->gone_last = &n->gone_first;
		*place(n, p->id) = NULL;
		free(p);
	}
}
