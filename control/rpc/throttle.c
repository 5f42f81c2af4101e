/* SPDX-License-Identifier: BSD-3-Clause */
#include "throttle.h"

#define NS_PER_MS 1000000ULL
#define WAIT_MAX_LOG2 8 /* 256 s */

struct sl_ip
throttle_source_of(const struct sl_ip *ip)
{
	struct sl_prefix p = {.ip = *ip, .len = ip->family == 6 ? 64 : 32};

	sl_prefix_mask(&p);
	return p.ip;
}

static const struct throttle_source *
find(const struct throttle *t, const struct sl_ip *ip, uint64_t now_ns)
{
	struct sl_ip key = throttle_source_of(ip);

	for (unsigned i = 0; i < THROTTLE_SOURCES; i++) {
		const struct throttle_source *s = &t->source[i];

		if (s->ip.family && sl_ip_equal(&s->ip, &key) &&
		    now_ns - s->last_ns < THROTTLE_FORGET_NS)
			return s;
	}
	return NULL;
}

uint32_t
throttle_wait_ms(const struct throttle *t, const struct sl_ip *ip, uint64_t now_ns)
{
	const struct throttle_source *s = find(t, ip, now_ns);

	if (!s || now_ns >= s->until_ns)
		return 0;
	return (uint32_t)((s->until_ns - now_ns) / NS_PER_MS + 1);
}

static struct throttle_source *
oldest(struct throttle *t)
{
	struct throttle_source *o = &t->source[0];

	for (unsigned i = 0; i < THROTTLE_SOURCES && o->ip.family; i++) {
		struct throttle_source *s = &t->source[i];

		if (!s->ip.family || s->last_ns < o->last_ns)
			o = s;
	}
	return o;
}

void
throttle_refused(struct throttle *t, const struct sl_ip *ip, uint64_t now_ns)
{
	struct throttle_source *s = (struct throttle_source *)find(t, ip, now_ns);
	struct sl_ip key = throttle_source_of(ip);
	unsigned over;

	if (!s) {
		for (unsigned i = 0; i < THROTTLE_SOURCES && !s; i++) {
			if (t->source[i].ip.family && sl_ip_equal(&t->source[i].ip, &key))
				s = &t->source[i];
		}
		s = s ? s : oldest(t);
		*s = (struct throttle_source){.ip = key};
	}
	s->last_ns = now_ns;
	s->refusals++;
	if (s->refusals < THROTTLE_FREE)
		return;
	over = SL_MIN(s->refusals - THROTTLE_FREE, (unsigned)WAIT_MAX_LOG2);
	s->until_ns = now_ns + (1000ULL << over) * NS_PER_MS;
}
