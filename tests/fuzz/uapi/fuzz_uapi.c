/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Bytes of a configuration socket. The first two bytes choose the pieces in which the rest is fed
 * and the limit of a request. What the parser makes of it may not depend on the pieces, must be
 * well-formed, and written as a request again must parse to the same.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "../require.h"
#include "sl_uapi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Canonical text of all that the handlers were given. */
struct text {
	size_t len, room;
	char *p;
	unsigned requests, refused;
};

static void say(struct text *t, const char *fmt, ...) SL_PRINTF(2, 3);

static void
say(struct text *t, const char *fmt, ...)
{
	va_list ap;

	if (t->room - t->len < 256) {
		t->room = t->room * 2 + 1024;
		t->p = realloc(t->p, t->room);
		require(t->p != NULL);
	}
	va_start(ap, fmt);
	t->len += (size_t)vsnprintf(t->p + t->len, t->room - t->len, fmt, ap);
	va_end(ap);
	require(t->len < t->room);
}

static void
say_key(struct text *t, const char *name, const uint8_t key[SL_KEY_LEN])
{
	char hex[SL_KEY_HEX_LEN + 1];

	sl_key_to_hex(key, hex);
	say(t, "%s=%s\n", name, hex);
}

static void
say_prefixes(struct text *t, const char *sign, const struct sl_prefix *p, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct sl_prefix masked = p[i];
		char buf[SL_PREFIX_STR];

		require(p[i].ip.family == 4 || p[i].ip.family == 6);
		require(p[i].len <= 8 * sl_ip_bytes(&p[i].ip));
		require(!sl_prefix_mask(&masked));
		say(t, "allowed_ip=%s%s\n", sign, sl_prefix_str(&p[i], buf));
	}
}

static void
say_peer(struct text *t, const struct sl_uapi_peer *p)
{
	char buf[SL_ENDPOINT_STR];

	say_key(t, "public_key", p->public_key.b);
	if (p->remove)
		say(t, "remove=true\n");
	if (p->update_only)
		say(t, "update_only=true\n");
	if (p->has_preshared_key)
		say_key(t, "preshared_key", p->preshared_key.b);
	if (p->has_endpoint)
		say(t, "endpoint=%s\n", sl_endpoint_str(&p->endpoint, buf));
	if (p->has_keepalive)
		say(t, "persistent_keepalive_interval=%u\n", p->keepalive_s);
	if (p->replace_allowed_ips)
		say(t, "replace_allowed_ips=true\n");
	say_prefixes(t, "", p->allowed, p->n_allowed);
	say_prefixes(t, "-", p->removed, p->n_removed);
	for (unsigned i = 0; i < p->n_removed && i < 50; i++) {
		for (unsigned j = 0; j < p->n_allowed; j++)
			require(!sl_prefix_equal(&p->removed[i], &p->allowed[j]));
	}
}

static void
on_get(void *ctx)
{
	struct text *t = ctx;

	t->requests++;
	say(t, "get=1\n\n");
}

static void
on_set(void *ctx, const struct sl_uapi_set *s)
{
	struct text *t = ctx;

	t->requests++;
	say(t, "set=1\n");
	if (s->has_private_key)
		say_key(t, "private_key", s->private_key.b);
	if (s->has_listen_port)
		say(t, "listen_port=%u\n", s->listen_port);
	if (s->has_fwmark)
		say(t, "fwmark=%u\n", s->fwmark);
	if (s->replace_peers)
		say(t, "replace_peers=true\n");
	for (unsigned i = 0; i < s->n_peers; i++)
		say_peer(t, &s->peers[i]);
	say(t, "\n");
}

static void
on_fail(void *ctx, enum sl_uapi_op op, int err, unsigned line, const char *why)
{
	struct text *t = ctx;

	require(err == -EPROTO || err == -EINVAL || err == -EMSGSIZE);
	require(op == SL_UAPI_GET || op == SL_UAPI_SET);
	require(line > 0 && why);
	t->requests++;
	t->refused++;
}

static struct text
parse(const char *p, size_t size, size_t piece, size_t limit)
{
	struct text t = {0};
	struct sl_uapi_handler h = {.get = on_get, .set = on_set, .fail = on_fail, .ctx = &t};
	struct sl_uapi *u = sl_uapi_new(&h, limit);

	require(u != NULL);
	say(&t, "%s", "");
	for (size_t at = 0; at < size; at += piece) {
		size_t n = SL_MIN(piece, size - at);
		char *exact = malloc(n);

		require(exact != NULL);
		memcpy(exact, p + at, n);
		(void)sl_uapi_feed(u, exact, n);
		free(exact);
	}
	sl_uapi_free(u);
	return t;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct text a, b, again;
	size_t limit;

	if (size < 2)
		return 0;
	limit = data[1] == 0 ? 0 : data[1] * 16u;
	a = parse((const char *)data + 2, size - 2, size, limit);
	b = parse((const char *)data + 2, size - 2, 1 + data[0], limit);
	require(a.len == b.len && memcmp(a.p, b.p, a.len) == 0);
	require(a.requests == b.requests && a.refused == b.refused);
	again = parse(a.p, a.len, a.len + 1, 0);
	require(again.len == a.len && memcmp(again.p, a.p, a.len) == 0);
	require(again.refused == 0 && again.requests == a.requests - a.refused);
	free(a.p);
	free(b.p);
	free(again.p);
	return 0;
}
