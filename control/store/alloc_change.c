/* SPDX-License-Identifier: BSD-3-Clause */
/* What a gateway's interface gave addresses by, its index and its client_pool, stays while they are
 * in use: clients and agents have them in their files. */
#include <stdio.h>

#include "alloc_int.h"

struct change {
	const char *gi;			     /* "GATEWAY:INTERFACE:" */
	const json_t *own;		     /* its addresses, of which agents' networks are */
	const json_t *old_pools, *new_pools; /* NULL: as they were */
	bool index;			     /* another one */
	unsigned n_agents, n_clients;
	char agents[SL_IP_STR], clients[SL_IP_STR]; /* the first of each */
};

static bool
in_pools(const json_t *pools, const struct sl_ip *ip)
{
	struct sl_prefix x;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)pools, i, v)
		if (sl_prefix_parse(json_string_value(v), &x) == 0 && sl_prefix_contains(&x, ip))
			return true;
	return false;
}

static bool
is_own(const json_t *own, const struct sl_ip *ip)
{
	struct sl_prefix x;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)own, i, v)
		if (sl_prefix_parse(json_string_value(v), &x) == 0 && sl_ip_equal(&x.ip, ip))
			return true;
	return false;
}

static void
count(unsigned *n, char first[SL_IP_STR], const struct sl_ip *ip)
{
	if ((*n)++ == 0)
		sl_ip_str(ip, first);
}

static bool
each(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct change *c = ctx;
	struct sl_ip ip;

	if (strncmp(id, c->gi, strlen(c->gi)) != 0)
		return false;
	if (sl_ip_parse(id + strlen(c->gi), &ip) != 0)
		return true;
	if (is_own(c->own, &ip)) {
		if (c->index)
			count(&c->n_agents, c->agents, &ip);
	} else if (in_pools(c->old_pools, &ip) && !in_pools(c->new_pools, &ip)) {
		count(&c->n_clients, c->clients, &ip);
	}
	return true;
}

static int
refuse(const struct change *c, struct sl_error *e)
{
	if (c->n_agents > 0) {
		sl_fail(e, -EBUSY, "index_in_use", "/index",
			"%u addresses in networks of agents were given by the present index, as %s",
			c->n_agents, c->agents);
		sl_hint(e, "delete this gateway's interface and make it with the new index: "
			   "agents get new files");
	} else if (c->n_clients > 0) {
		sl_fail(e, -EBUSY, "pool_in_use", "/client_pool",
			"%u clients have addresses of what would leave the pool, as %s",
			c->n_clients, c->clients);
		sl_hint(e, "keep the old prefix beside the new one, or first delete the "
			   "allocations under it");
	}
	return c->n_agents + c->n_clients > 0 ? -EBUSY : 0;
}

int
alloc_check_change(struct sl_store *s, const char *id, const char *was_text, const json_t *is,
		   struct sl_error *e)
{
	json_t *was = json_loads(was_text, 0, NULL);
	const json_t *k = json_object_get(was, "index");
	char gi[SL_OBJ_ID + 1];
	struct change c = {.gi = gi,
			   .own = json_object_get(was, "addresses"),
			   .old_pools = json_object_get(was, "client_pool"),
			   .new_pools = json_object_get(is, "client_pool"),
			   .index = k != NULL && !json_equal((json_t *)(uintptr_t)k,
							     json_object_get(is, "index"))};
	int rc = 0;

	snprintf(gi, sizeof(gi), "%.159s:", id);
	if (c.index ||
	    !json_equal((json_t *)(uintptr_t)c.old_pools, (json_t *)(uintptr_t)c.new_pools)) {
		rc = sl_store_walk(s, SL_KIND_ALLOCATION, gi, each, &c, e);
		rc = rc < 0 ? rc : refuse(&c, e);
	}
	json_decref(was);
	return rc;
}
