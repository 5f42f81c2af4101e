/* SPDX-License-Identifier: BSD-3-Clause */
/* Names, prefixes, times and twins: what every part of a document is checked for. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "model_int.h"

const char *
pol_at(struct pol_check *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(c->path, sizeof(c->path), fmt, ap);
	va_end(ap);
	return c->path;
}

int
pol_no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory to check the policy");
}

static int
cmp_ref(const void *a, const void *b, void *ctx)
{
	const struct pol_ref *x = a, *y = b;
	int d = (*(pol_cmp *)ctx)(x->p, y->p);

	if (d != 0)
		return d;
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->sub < y->sub ? -1 : x->sub > y->sub;
}

const struct pol_ref *
pol_sort(struct pol_ref *r, size_t n, pol_cmp cmp)
{
	const struct pol_ref *first = NULL;

	qsort_r(r, n, sizeof(*r), cmp_ref, &cmp);
	for (size_t i = 1; i < n; i++) {
		if (cmp(r[i - 1].p, r[i].p) != 0)
			continue;
		if (first == NULL || r[i].at < first->at ||
		    (r[i].at == first->at && r[i].sub < first->sub))
			first = &r[i];
	}
	return first;
}

uint32_t
pol_find(const struct pol_ref *r, size_t n, const char *name)
{
	size_t lo = 0, hi = n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int d = strcmp(name, r[mid].p);

		if (d == 0)
			return r[mid].at;
		if (d < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return UINT32_MAX;
}

int
pol_cmp_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

int
pol_cmp_id(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int
pol_cmp_place(const struct sl_pol_place *a, const struct sl_pol_place *b)
{
	int d = sl_ip_cmp(&a->prefix.ip, &b->prefix.ip);

	if (d != 0)
		return d;
	if (a->prefix.len != b->prefix.len)
		return a->prefix.len < b->prefix.len ? -1 : 1;
	return strcmp(a->iface, b->iface);
}

bool
pol_name_ok(const char *name)
{
	struct sl_ip ip;
	size_t n = strnlen(name, SL_POL_NAME);

	if (n == 0 || n == SL_POL_NAME || !isalnum((unsigned char)name[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)name[i]) && strchr("_.-", name[i]) == NULL)
			return false;
	}
	return sl_ip_parse(name, &ip) < 0; /* where either may stand, it would be the address */
}

int
pol_check_name(struct pol_check *c, const char *name, const char *path)
{
	if (pol_name_ok(name))
		return 0;
	sl_fail(c->e, -EINVAL, "name_invalid", path, "\"%.63s\" is no name", name);
	sl_hint(c->e,
		"use 1 to %d characters of A-Z a-z 0-9 _ . - that begin with a letter or "
		"digit and are no address",
		SL_POL_NAME - 1);
	return -EINVAL;
}

int
pol_check_prefix(struct pol_check *c, const struct sl_prefix *x, const char *path)
{
	char is[SL_PREFIX_STR], should[SL_PREFIX_STR];
	struct sl_prefix p = *x;
	unsigned bits = 8 * sl_ip_bytes(&x->ip);

	if (bits == 0 || x->len > bits)
		return sl_fail(c->e, -EINVAL, "prefix_invalid", path,
			       "a prefix is an IPv4 address with length 0-32 or an IPv6 address "
			       "with length 0-128");
	if (!sl_prefix_mask(&p))
		return 0;
	sl_fail(c->e, -EINVAL, "prefix_host_bits", path, "%s has bits set beyond its length",
		sl_prefix_str(x, is));
	sl_hint(c->e, "write %s, or %s/%u for the one address", sl_prefix_str(&p, should),
		sl_ip_str(&x->ip, is), bits);
	return -EINVAL;
}

int
pol_check_iface(struct pol_check *c, const char *iface, const char *path)
{
	size_t n = strnlen(iface, SL_POL_IFACE);
	bool ok = n < SL_POL_IFACE && strcmp(iface, ".") != 0 && strcmp(iface, "..") != 0;

	for (size_t i = 0; ok && i < n; i++)
		ok = isalnum((unsigned char)iface[i]) || strchr("_.-", iface[i]) != NULL;
	if (ok)
		return 0;
	sl_fail(c->e, -EINVAL, "interface_invalid", path, "\"%.15s\" cannot name an interface",
		iface);
	sl_hint(c->e, "use 1 to %d characters of A-Z a-z 0-9 _ . -", SL_POL_IFACE - 1);
	return -EINVAL;
}

int
pol_check_place(struct pol_check *c, const struct sl_pol_place *x, const char *path)
{
	int rc = pol_check_prefix(c, &x->prefix, path);

	return rc < 0 ? rc : pol_check_iface(c, x->iface, path);
}

int
pol_check_peer(struct pol_check *c, const char *peer, const char *path)
{
	size_t n = strnlen(peer, SL_POL_NAME);
	bool ok = n >= 1 && n < SL_POL_NAME;

	for (size_t i = 0; ok && i < n; i++)
		ok = peer[i] > ' ' && peer[i] < 0x7f && strchr("\"'\\", peer[i]) == NULL;
	if (ok)
		return 0;
	sl_fail(c->e, -EINVAL, "name_invalid", path, "no peer has such a name");
	sl_hint(c->e,
		"a peer's name is 1 to %d visible ASCII characters without quotes and "
		"backslash",
		SL_POL_NAME - 1);
	return -EINVAL;
}

int
pol_check_expires(struct pol_check *c, uint64_t expires_ns, const char *path)
{
	if (expires_ns == 0 || c->now_ns == 0 || expires_ns > c->now_ns)
		return 0;
	sl_fail(c->e, -EINVAL, "expired", path, "the time of expiry has passed");
	sl_hint(c->e, "take the entry away, or give a time in the future");
	return -EINVAL;
}
