/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_neigh.h"

#include <errno.h>
#include <stdlib.h>

#include "sl_env.h"

/* RFC 4861 section 10, with REACHABLE_TIME and the retransmission timer not randomised */
#define RETRANS_NS SL_NS_PER_S
#define PROBES_MAX 3 /* MAX_MULTICAST_SOLICIT, MAX_UNICAST_SOLICIT */
#define REACHABLE_NS (30 * SL_NS_PER_S)
#define DELAY_NS (5 * SL_NS_PER_S) /* DELAY_FIRST_PROBE_TIME */
#define STALE_IDLE_NS (600 * SL_NS_PER_S)
#define FAILED_HOLD_NS (20 * SL_NS_PER_S)
#define FAILED_RETRY_NS SL_NS_PER_S
#define FAILED_PROBE_NS (2 * SL_NS_PER_S)

struct sl_neigh_table {
	struct sl_neigh_ops ops;
	unsigned max, n, unresolved;
	struct sl_neigh *head; /* newest first */
	unsigned mask;
	struct sl_neigh *bucket[]; /* mask + 1 */
};

static const char *const state_text[] = {
	[SL_NEIGH_INCOMPLETE] = "incomplete", [SL_NEIGH_REACHABLE] = "reachable",
	[SL_NEIGH_STALE] = "stale",	      [SL_NEIGH_DELAY] = "delay",
	[SL_NEIGH_PROBE] = "probe",	      [SL_NEIGH_FAILED] = "failed",
	[SL_NEIGH_STATIC] = "static",
};

struct sl_neigh_table *
sl_neigh_new(unsigned max, const struct sl_neigh_ops *ops)
{
	struct sl_neigh_table *t;
	unsigned buckets = 16;

	while (buckets < max)
		buckets *= 2;
	t = calloc(1, sizeof(*t) + buckets * sizeof(t->bucket[0]));
	if (t == NULL)
		return NULL;
	t->ops = *ops;
	t->max = max;
	t->mask = buckets - 1;
	return t;
}

void
sl_neigh_free(struct sl_neigh_table *t)
{
	struct sl_neigh *n, *next;

	if (t == NULL)
		return;
	for (n = t->head; n != NULL; n = next) {
		next = n->next;
		free(n);
	}
	free(t);
}

static struct sl_neigh **
bucket_of(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip)
{
	uint64_t h = sl_load_le64(ip->b) ^ att;

	h = (h ^ h >> 29) * UINT64_C(0x9e3779b97f4a7c15);
	h ^= sl_load_le64(ip->b + 8);
	h = (h ^ h >> 32) * UINT64_C(0xbf58476d1ce4e5b9);
	return &t->bucket[(h >> 40) & t->mask];
}

struct sl_neigh *
sl_neigh_find(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip)
{
	struct sl_neigh *n;

	for (n = *bucket_of(t, att, ip); n != NULL; n = n->chain) {
		if (n->att == att && sl_ip_equal(&n->ip, ip))
			return n;
	}
	return NULL;
}

/* --- states --------------------------------------------------------------------------------- */

static bool
is_unresolved(enum sl_neigh_state s)
{
	return s == SL_NEIGH_INCOMPLETE || s == SL_NEIGH_FAILED;
}

static void
enter(struct sl_neigh_table *t, struct sl_neigh *n, enum sl_neigh_state state, uint64_t lasts_ns,
      uint64_t now_ns)
{
	t->unresolved -= is_unresolved(n->state);
	t->unresolved += is_unresolved(state);
	n->state = state;
	n->since_ns = now_ns;
	n->deadline_ns = now_ns + lasts_ns;
	n->probes = 0;
	n->probed_ns = now_ns;
	if (state == SL_NEIGH_REACHABLE)
		n->confirmed_ns = now_ns;
	t->ops.changed(t->ops.ctx, n);
}

static void
probe(struct sl_neigh_table *t, struct sl_neigh *n, uint64_t now_ns)
{
	n->probes++;
	n->deadline_ns = now_ns + RETRANS_NS;
	t->ops.probe(t->ops.ctx, n, n->state == SL_NEIGH_PROBE);
}

/** Start (or start again) to resolve. */
static void
resolve(struct sl_neigh_table *t, struct sl_neigh *n, uint64_t now_ns)
{
	enter(t, n, SL_NEIGH_INCOMPLETE, RETRANS_NS, now_ns);
	probe(t, n, now_ns);
}

/* --- entries -------------------------------------------------------------------------------- */

static void
drop(struct sl_neigh_table *t, struct sl_neigh *n)
{
	struct sl_neigh **p = bucket_of(t, n->att, &n->ip);

	t->ops.removed(t->ops.ctx, n);
	while (*p != n)
		p = &(*p)->chain;
	*p = n->chain;
	if (n->prev != NULL)
		n->prev->next = n->next;
	else
		t->head = n->next;
	if (n->next != NULL)
		n->next->prev = n->prev;
	t->unresolved -= is_unresolved(n->state);
	t->n--;
	free(n);
}

/** Least recently used entry that may go, NULL when there is none. */
static struct sl_neigh *
oldest(const struct sl_neigh_table *t, bool unresolved_only)
{
	struct sl_neigh *n, *found = NULL;

	for (n = t->head; n != NULL; n = n->next) {
		if (n->pinned || n->state == SL_NEIGH_STATIC ||
		    (unresolved_only && !is_unresolved(n->state)))
			continue;
		/* of equal ones the older: the list begins with the newest */
		if (found == NULL || n->used_ns <= found->used_ns)
			found = n;
	}
	return found;
}

/** @return true when there is room for one more entry, if need be where another one was. */
static bool
make_room(struct sl_neigh_table *t)
{
	struct sl_neigh *n = NULL;

	if (t->n < t->max)
		return true;
	if (t->unresolved > t->max / 2)
		n = oldest(t, true);
	if (n == NULL)
		n = oldest(t, false);
	if (n == NULL)
		return false;
	drop(t, n);
	return true;
}

/** A new entry without a state; the caller enters one at once. */
static struct sl_neigh *
add(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip, uint64_t now_ns)
{
	struct sl_neigh *n, **b;

	if (!make_room(t))
		return NULL;
	n = calloc(1, sizeof(*n));
	if (n == NULL)
		return NULL;
	n->att = att;
	n->ip = *ip;
	n->used_ns = now_ns;
	n->state = SL_NEIGH_STALE; /* counts as resolved until the first enter() */
	b = bucket_of(t, att, ip);
	n->chain = *b;
	*b = n;
	n->next = t->head;
	if (t->head != NULL)
		t->head->prev = n;
	t->head = n;
	t->n++;
	return n;
}

struct sl_neigh *
sl_neigh_want(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip, bool pin,
	      uint64_t now_ns)
{
	struct sl_neigh *n = sl_neigh_find(t, att, ip);

	if (n == NULL) {
		n = add(t, att, ip, now_ns);
		if (n == NULL)
			return NULL;
		n->pinned = pin;
		resolve(t, n, now_ns);
		return n;
	}
	n->pinned = n->pinned || pin;
	n->used_ns = now_ns;
	if (n->state == SL_NEIGH_STALE)
		enter(t, n, SL_NEIGH_DELAY, DELAY_NS, now_ns);
	else if (n->state == SL_NEIGH_FAILED && now_ns >= n->since_ns + FAILED_RETRY_NS)
		resolve(t, n, now_ns);
	return n;
}

/* --- observations --------------------------------------------------------------------------- */

static bool
is_station_mac(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return (mac[0] & 1) == 0 && memcmp(mac, zero, 6) != 0;
}

static void
set_stale(struct sl_neigh_table *t, struct sl_neigh *n, uint64_t now_ns)
{
	enter(t, n, SL_NEIGH_STALE, STALE_IDLE_NS, now_ns);
}

/** A request from the neighbour (RFC 4861 7.2.3): tells its MAC, proves nothing. */
static void
seen_request(struct sl_neigh_table *t, struct sl_neigh *n, const uint8_t mac[6], uint64_t now_ns)
{
	if (!is_unresolved(n->state) && memcmp(n->mac, mac, 6) == 0)
		return;
	memcpy(n->mac, mac, 6);
	set_stale(t, n, now_ns);
}

/** An advertisement (RFC 4861 7.2.5). */
static void
seen_advert(struct sl_neigh_table *t, struct sl_neigh *n, const uint8_t mac[6], bool solicited,
	    bool override, uint64_t now_ns)
{
	bool differs = memcmp(n->mac, mac, 6) != 0;

	if (!is_unresolved(n->state) && differs && !override) {
		if (n->state == SL_NEIGH_REACHABLE)
			set_stale(t, n, now_ns);
		return;
	}
	if (!solicited && !differs && !is_unresolved(n->state))
		return;
	memcpy(n->mac, mac, 6);
	if (solicited)
		enter(t, n, SL_NEIGH_REACHABLE, REACHABLE_NS, now_ns);
	else
		set_stale(t, n, now_ns);
}

void
sl_neigh_seen(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip, const uint8_t mac[6],
	      bool solicited, bool override, bool create, uint64_t now_ns)
{
	struct sl_neigh *n;

	if (!is_station_mac(mac) || ip->family == 0)
		return;
	n = sl_neigh_find(t, att, ip);
	if (n == NULL) {
		if (!create)
			return;
		n = add(t, att, ip, now_ns);
		if (n == NULL)
			return;
		memcpy(n->mac, mac, 6);
		set_stale(t, n, now_ns);
		return;
	}
	if (n->state == SL_NEIGH_STATIC)
		return;
	if (create)
		seen_request(t, n, mac, now_ns);
	else
		seen_advert(t, n, mac, solicited, override, now_ns);
}

int
sl_neigh_set_static(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip,
		    const uint8_t mac[6], uint64_t now_ns)
{
	struct sl_neigh *n = sl_neigh_find(t, att, ip);

	if (n == NULL)
		n = add(t, att, ip, now_ns);
	if (n == NULL)
		return -ENOSPC;
	memcpy(n->mac, mac, 6);
	enter(t, n, SL_NEIGH_STATIC, 0, now_ns);
	return 0;
}

int
sl_neigh_del(struct sl_neigh_table *t, uint16_t att, const struct sl_ip *ip)
{
	struct sl_neigh *n = sl_neigh_find(t, att, ip);

	if (n == NULL)
		return -ENOENT;
	drop(t, n);
	return 0;
}

/* --- time ----------------------------------------------------------------------------------- */

static void
refresh_used(struct sl_neigh_table *t, struct sl_neigh *n)
{
	uint64_t used;

	if (t->ops.last_used_ns == NULL)
		return;
	used = t->ops.last_used_ns(t->ops.ctx, n);
	n->used_ns = SL_MAX(n->used_ns, used);
}

/** The state has lasted its time. */
static void
expire(struct sl_neigh_table *t, struct sl_neigh *n, uint64_t now_ns)
{
	switch (n->state) {
	case SL_NEIGH_INCOMPLETE:
		if (n->probes < PROBES_MAX)
			probe(t, n, now_ns);
		else
			enter(t, n, SL_NEIGH_FAILED, FAILED_HOLD_NS, now_ns);
		break;
	case SL_NEIGH_REACHABLE:
		set_stale(t, n, now_ns);
		break;
	case SL_NEIGH_DELAY:
		enter(t, n, SL_NEIGH_PROBE, RETRANS_NS, now_ns);
		probe(t, n, now_ns);
		break;
	case SL_NEIGH_PROBE:
		if (n->probes < PROBES_MAX)
			probe(t, n, now_ns);
		else
			resolve(t, n, now_ns);
		break;
	case SL_NEIGH_FAILED:
		if (n->pinned || n->used_ns > n->since_ns)
			resolve(t, n, now_ns);
		else
			drop(t, n);
		break;
	case SL_NEIGH_STALE:
		if (!n->pinned)
			drop(t, n);
		break;
	case SL_NEIGH_STATIC:
		break;
	}
}

/** Packets still come: look whether the neighbour is back, without letting them wait. */
static void
probe_failed(struct sl_neigh_table *t, struct sl_neigh *n, uint64_t now_ns)
{
	if (n->used_ns <= n->probed_ns || now_ns < n->probed_ns + FAILED_PROBE_NS)
		return;
	n->probed_ns = now_ns;
	t->ops.probe(t->ops.ctx, n, false);
}

void
sl_neigh_tick(struct sl_neigh_table *t, uint64_t now_ns)
{
	struct sl_neigh *n, *next;

	for (n = t->head; n != NULL; n = next) {
		next = n->next;
		refresh_used(t, n);
		if (n->state == SL_NEIGH_STALE && n->used_ns > n->since_ns)
			enter(t, n, SL_NEIGH_DELAY, DELAY_NS, now_ns);
		else if (now_ns >= n->deadline_ns)
			expire(t, n, now_ns);
		else if (n->state == SL_NEIGH_FAILED)
			probe_failed(t, n, now_ns);
	}
}

unsigned
sl_neigh_count(const struct sl_neigh_table *t)
{
	return t->n;
}

void
sl_neigh_walk(struct sl_neigh_table *t, void (*fn)(void *ctx, const struct sl_neigh *n), void *ctx)
{
	struct sl_neigh *n, *next;

	for (n = t->head; n != NULL; n = next) {
		next = n->next;
		fn(ctx, n);
	}
}

const char *
sl_neigh_state_text(enum sl_neigh_state s)
{
	return (unsigned)s < SL_ARRAY_SIZE(state_text) ? state_text[s] : "invalid";
}
