/* SPDX-License-Identifier: BSD-3-Clause */
/* A role keeps its id while documents that name none come and go: flows and records hold it. */
#include <stdlib.h>

#include "model_int.h"

static bool
has_id(const uint32_t *ids, size_t n, uint32_t id)
{
	return bsearch(&id, ids, n, sizeof(*ids), pol_cmp_id) != NULL;
}

/** Ids that the document writes, sorted. @return how many */
static size_t
written_ids(const struct sl_policy *p, uint32_t *ids)
{
	size_t n = 0;

	for (unsigned i = 0; i < p->n_roles; i++)
		if (p->roles[i].id != 0)
			ids[n++] = p->roles[i].id;
	qsort(ids, n, sizeof(*ids), pol_cmp_id);
	return n;
}

/** What is known, by name. */
static void
sort_known(struct pol_ref *refs, const struct sl_pol_role_id *known, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		refs[i] = (struct pol_ref){.p = known[i].name, .at = i};
	pol_sort(refs, n, pol_cmp_name);
}

/** The lowest ids that nobody has or had, in the order of the document. */
static void
give_new_ids(struct sl_policy *p, const uint32_t *taken, size_t n)
{
	uint32_t next = 1;
	size_t at = 0;

	for (unsigned i = 0; i < p->n_roles; i++) {
		if (p->roles[i].id != 0)
			continue;
		for (; at < n && taken[at] <= next; at++)
			next += taken[at] == next;
		if (next > SL_POL_ID_MAX)
			return; /* sl_policy_check() finds one that is free now */
		p->roles[i].id = next++;
	}
}

int
sl_policy_keep_role_ids(struct sl_policy *p, const struct sl_pol_role_id *known, unsigned n,
			struct sl_error *e)
{
	struct pol_ref *refs = calloc(n + 1, sizeof(*refs));
	uint32_t *ids = calloc(p->n_roles + n + 1, sizeof(*ids));
	size_t written;

	if (refs == NULL || ids == NULL) {
		free(refs);
		free(ids);
		return pol_no_memory(e);
	}
	sort_known(refs, known, n);
	written = written_ids(p, ids);
	for (unsigned i = 0; i < p->n_roles; i++) {
		struct sl_pol_role *r = &p->roles[i];
		uint32_t at = r->id == 0 ? pol_find(refs, n, r->name) : UINT32_MAX;

		if (at != UINT32_MAX && !has_id(ids, written, known[at].id))
			r->id = known[at].id;
	}
	for (unsigned i = 0; i < n; i++)
		ids[written + i] = known[i].id;
	qsort(ids, written + n, sizeof(*ids), pol_cmp_id);
	give_new_ids(p, ids, written + n);
	free(refs);
	free(ids);
	return 0;
}

int
sl_policy_role_ids(const struct sl_policy *p, const struct sl_pol_role_id *known, unsigned n,
		   unsigned max, struct sl_pol_role_id **out, unsigned *n_out)
{
	struct sl_pol_role_id *v = calloc(SL_MAX(max, p->n_roles) + 1, sizeof(*v));
	struct pol_ref *refs = calloc(p->n_roles + 1, sizeof(*refs));
	uint32_t *ids = calloc(p->n_roles + 1, sizeof(*ids));
	unsigned k = p->n_roles;
	size_t written;

	if (v == NULL || refs == NULL || ids == NULL) {
		free(v);
		free(refs);
		free(ids);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < k; i++) {
		memcpy(v[i].name, p->roles[i].name, sizeof(v[i].name));
		v[i].id = p->roles[i].id;
	}
	sort_known(refs, v, k);
	written = written_ids(p, ids);
	for (unsigned i = 0; i < n && k < max; i++)
		if (pol_find(refs, p->n_roles, known[i].name) == UINT32_MAX &&
		    !has_id(ids, written, known[i].id))
			v[k++] = known[i];
	free(refs);
	free(ids);
	*out = v;
	*n_out = k;
	return 0;
}
