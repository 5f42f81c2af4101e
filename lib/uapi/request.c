/* SPDX-License-Identifier: BSD-3-Clause */
#include "request.h"

#include <errno.h>
#include <stdlib.h>

typedef int (*line_fn)(struct sl_uapi_request *r, const char *value);

/* Grow an array that may hold secrets: the old copy is wiped. */
static int
grow(void **array, unsigned *cap, unsigned used, size_t size)
{
	unsigned more = *cap ? *cap * 2 : 8;
	void *p;

	if (used < *cap)
		return 0;
	p = calloc(more, size);
	if (!p)
		return -ENOMEM;
	if (*array) {
		memcpy(p, *array, used * size);
		sl_wipe(*array, used * size);
		free(*array);
	}
	*array = p;
	*cap = more;
	return 0;
}

static int
parse_number(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t n = 0;

	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return -EINVAL;
		n = n * 10 + (uint64_t)(*s - '0');
		if (n > max)
			return -EINVAL;
	}
	*out = n;
	return 0;
}

static int
parse_true(const char *value, bool *flag)
{
	if (strcmp(value, "true") != 0)
		return -EINVAL;
	*flag = true;
	return 0;
}

/* Order by prefix, then by line. */
static int
by_prefix(const void *a, const void *b)
{
	const struct sl_uapi_change *x = a, *y = b;
	int d = sl_ip_cmp(&x->prefix.ip, &y->prefix.ip);

	if (d)
		return d;
	if (x->prefix.len != y->prefix.len)
		return x->prefix.len < y->prefix.len ? -1 : 1;
	return x->seq < y->seq ? -1 : 1;
}

static int
by_line(const void *a, const void *b)
{
	const struct sl_uapi_change *x = a, *y = b;

	return x->seq < y->seq ? -1 : 1;
}

/* Keep the last change of each prefix, in the order of the lines. */
static void
last_counts(struct sl_uapi_request *r)
{
	struct sl_uapi_change *c = r->changes;
	uint32_t i, n = 0;

	qsort(c, r->n_changes, sizeof(*c), by_prefix);
	for (i = 0; i < r->n_changes; i++) {
		if (i + 1 < r->n_changes && sl_prefix_equal(&c[i].prefix, &c[i + 1].prefix))
			continue;
		c[n++] = c[i];
	}
	r->n_changes = n;
	qsort(c, n, sizeof(*c), by_line);
}

/* Give the collected changes to the last peer. */
static int
close_peer(struct sl_uapi_request *r)
{
	struct sl_uapi_peer *p;
	struct sl_prefix *list;

	if (r->n_changes == 0)
		return 0;
	p = &r->set.peers[r->set.n_peers - 1];
	if (r->removes)
		last_counts(r);
	list = calloc(r->n_changes, sizeof(*list));
	if (!list)
		return -ENOMEM;
	p->allowed = list;
	for (uint32_t i = 0; i < r->n_changes; i++) {
		if (!r->changes[i].remove)
			list[p->n_allowed++] = r->changes[i].prefix;
	}
	p->removed = list + p->n_allowed;
	for (uint32_t i = 0; i < r->n_changes; i++) {
		if (r->changes[i].remove)
			p->removed[p->n_removed++] = r->changes[i].prefix;
	}
	r->n_changes = 0;
	r->removes = false;
	return 0;
}

static struct sl_uapi_peer *
peer(struct sl_uapi_request *r)
{
	return &r->set.peers[r->set.n_peers - 1];
}

/* --- keys of the device ---------------------------------------------------------------------- */

static int
set_private_key(struct sl_uapi_request *r, const char *value)
{
	r->set.has_private_key = true;
	return sl_key_from_hex(value, r->set.private_key.b);
}

static int
set_listen_port(struct sl_uapi_request *r, const char *value)
{
	uint64_t n;

	if (parse_number(value, UINT16_MAX, &n))
		return -EINVAL;
	r->set.has_listen_port = true;
	r->set.listen_port = (uint16_t)n;
	return 0;
}

static int
set_fwmark(struct sl_uapi_request *r, const char *value)
{
	uint64_t n;

	if (parse_number(value, UINT32_MAX, &n))
		return -EINVAL;
	r->set.has_fwmark = true;
	r->set.fwmark = (uint32_t)n;
	return 0;
}

static int
set_replace_peers(struct sl_uapi_request *r, const char *value)
{
	return parse_true(value, &r->set.replace_peers);
}

/* --- keys of a peer -------------------------------------------------------------------------- */

static int
set_public_key(struct sl_uapi_request *r, const char *value)
{
	struct sl_pubkey key;
	int err;

	if (sl_key_from_hex(value, key.b))
		return -EINVAL;
	err = close_peer(r);
	if (!err)
		err = grow((void **)&r->set.peers, &r->cap_peers, r->set.n_peers,
			   sizeof(*r->set.peers));
	if (err)
		return err;
	r->set.peers[r->set.n_peers++].public_key = key;
	return 0;
}

static int
set_remove(struct sl_uapi_request *r, const char *value)
{
	return parse_true(value, &peer(r)->remove);
}

static int
set_update_only(struct sl_uapi_request *r, const char *value)
{
	return parse_true(value, &peer(r)->update_only);
}

static int
set_preshared_key(struct sl_uapi_request *r, const char *value)
{
	peer(r)->has_preshared_key = true;
	return sl_key_from_hex(value, peer(r)->preshared_key.b);
}

static int
set_endpoint(struct sl_uapi_request *r, const char *value)
{
	peer(r)->has_endpoint = true;
	return sl_endpoint_parse(value, &peer(r)->endpoint);
}

static int
set_keepalive(struct sl_uapi_request *r, const char *value)
{
	uint64_t n;

	if (parse_number(value, UINT16_MAX, &n))
		return -EINVAL;
	peer(r)->has_keepalive = true;
	peer(r)->keepalive_s = (uint16_t)n;
	return 0;
}

/* What this request added before is replaced, too. */
static int
set_replace_allowed_ips(struct sl_uapi_request *r, const char *value)
{
	r->n_changes = 0;
	r->removes = false;
	return parse_true(value, &peer(r)->replace_allowed_ips);
}

static int
set_allowed_ip(struct sl_uapi_request *r, const char *value)
{
	struct sl_uapi_change c = {.seq = r->n_changes, .remove = *value == '-'};
	int err;

	if (!strchr(value, '/') || sl_prefix_parse(value + c.remove, &c.prefix))
		return -EINVAL;
	sl_prefix_mask(&c.prefix);
	err = grow((void **)&r->changes, &r->cap_changes, r->n_changes, sizeof(*r->changes));
	if (err)
		return err;
	r->changes[r->n_changes++] = c;
	r->removes |= c.remove;
	return 0;
}

static int
set_protocol_version(struct sl_uapi_request *r, const char *value)
{
	return strcmp(value, "1") == 0 ? 0 : -EINVAL;
}

/* ---------------------------------------------------------------------------------------------- */

static const struct {
	const char *key;
	bool of_peer;
	line_fn fn;
} keys[] = {
	{"private_key", false, set_private_key},
	{"listen_port", false, set_listen_port},
	{"fwmark", false, set_fwmark},
	{"replace_peers", false, set_replace_peers},
	{"remove", true, set_remove},
	{"update_only", true, set_update_only},
	{"preshared_key", true, set_preshared_key},
	{"endpoint", true, set_endpoint},
	{"persistent_keepalive_interval", true, set_keepalive},
	{"replace_allowed_ips", true, set_replace_allowed_ips},
	{"allowed_ip", true, set_allowed_ip},
	{"protocol_version", true, set_protocol_version},
};

static line_fn
find(const char *key, bool of_peer)
{
	if (strcmp(key, "public_key") == 0)
		return set_public_key; /* starts a peer in either place */
	for (unsigned i = 0; i < SL_ARRAY_SIZE(keys); i++) {
		if (keys[i].of_peer == of_peer && strcmp(key, keys[i].key) == 0)
			return keys[i].fn;
	}
	return NULL;
}

int
sl_uapi_request_line(struct sl_uapi_request *r, const char *key, const char *value,
		     const char **why)
{
	line_fn fn = find(key, r->set.n_peers > 0);
	int err;

	if (!fn) {
		*why = r->set.n_peers > 0 ? "unknown key of a peer"
					  : "unknown key of the interface";
		return -EINVAL;
	}
	err = fn(r, value);
	if (err)
		*why = err == -ENOMEM ? "out of memory" : "bad value";
	return err;
}

int
sl_uapi_request_end(struct sl_uapi_request *r)
{
	return close_peer(r);
}

void
sl_uapi_request_clear(struct sl_uapi_request *r)
{
	for (unsigned i = 0; i < r->set.n_peers; i++)
		free(r->set.peers[i].allowed); /* `removed` lies in the same block */
	if (r->set.peers)
		sl_wipe(r->set.peers, r->set.n_peers * sizeof(*r->set.peers));
	free(r->set.peers);
	free(r->changes);
	sl_wipe(r, sizeof(*r));
}
