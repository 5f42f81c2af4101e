/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include "gw.h"

int
gw_prefix_cmp(const void *a, const void *b)
{
	const struct sl_prefix *x = a, *y = b;
	int c = sl_ip_cmp(&x->ip, &y->ip);

	return c != 0 ? c : (x->len > y->len) - (x->len < y->len);
}

int
gw_prefix_sorted(const struct sl_prefix *p, unsigned n, struct sl_prefix **out, unsigned *n_out)
{
	unsigned i, k = 0;
	struct sl_prefix *s;

	*out = NULL;
	*n_out = 0;
	if (n == 0)
		return 0;
	s = malloc(n * sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	memcpy(s, p, n * sizeof(*s));
	qsort(s, n, sizeof(*s), gw_prefix_cmp);
	for (i = 0; i < n; i++) {
		if (k == 0 || gw_prefix_cmp(&s[k - 1], &s[i]) != 0)
			s[k++] = s[i];
	}
	*out = s;
	*n_out = k;
	return 0;
}

int
gw_lpm_set(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *p, uint32_t value)
{
	struct sl_lpm *t = &pair[gw_fam(&p->ip)];

	return sl_lpm_set(t, t, p->ip.b, p->len, value, &gw->garbage);
}

int
gw_lpm_del(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *p)
{
	struct sl_lpm *t = &pair[gw_fam(&p->ip)];

	return sl_lpm_del(t, t, p->ip.b, p->len, &gw->garbage);
}

uint32_t
gw_lpm_get(const struct sl_lpm pair[2], const struct sl_prefix *p)
{
	return sl_lpm_get(&pair[gw_fam(&p->ip)], p->ip.b, p->len);
}

int
gw_lpm_replace(struct sl_gw *gw, struct sl_lpm pair[2], const struct sl_prefix *from,
	       unsigned n_from, const struct sl_prefix *to, unsigned n_to, uint32_t v)
{
	unsigned i = 0, k = 0;
	int c, rc = 0;

	while (rc == 0 && (i < n_from || k < n_to)) {
		if (i == n_from)
			c = 1;
		else if (k == n_to)
			c = -1;
		else
			c = gw_prefix_cmp(&from[i], &to[k]);
		if (c < 0)
			rc = gw_lpm_del(gw, pair, &from[i++]);
		else if (c > 0)
			rc = gw_lpm_set(gw, pair, &to[k++], v);
		else
			i++, k++;
		if (rc == -ENOENT)
			rc = 0;
	}
	return rc;
}
