/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking at the policy in force. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gw_policy.h"

void
sl_gw_policy_info(struct sl_gw *gw, struct sl_gw_policy_info *out)
{
	const struct gw_policy *p = gw->policy;
	struct sl_policy_limits l;

	gw_policy_limits(gw, &l);
	*out = (struct sl_gw_policy_info){
		.loaded = p->doc != NULL,
		.compiling = p->job != NULL,
		.identity_generation = p->identity_generation,
		.loaded_wall_ns = p->loaded_wall_ns,
		.compile_ns = p->compile_ns,
		.publish_ns = p->publish_ns,
		.origin = p->origin,
		.prefixes_max = l.prefixes,
		.roles_max = l.roles,
		.dynamic = p->n_dyn,
	};
	if (p->doc != NULL) {
		out->version = p->doc->policy->version;
		out->generation = p->tables->set->generation;
		out->tests = p->doc->policy->n_tests;
		sl_policy_use(p->doc->policy, &l, &out->use);
		out->entries4 = p->tables->set->n_entries[0];
		out->entries6 = p->tables->set->n_entries[1];
		out->acl_bytes = sl_acl_bytes(p->tables->acl);
		out->next_change_ns = p->tables->set->next_change_ns;
	}
	out->use.prefixes = gw_policy_prefixes(gw);
	out->use.prefixes_cap = p->cap_prefixes;
	out->use.roles_cap = p->cap_roles;
	out->use.rules_cap = l.rules_per_role;
	snprintf(out->last_error, sizeof(out->last_error), "%s", p->last_error);
	snprintf(out->broken, sizeof(out->broken), "%s", p->broken);
	snprintf(out->tests_failed, sizeof(out->tests_failed), "%s", p->tests.failed);
}

const struct sl_gw_refusals *
sl_gw_policy_refusals(const struct sl_gw *gw, unsigned i)
{
	const struct sl_gw_refusals *r = gw->policy->refusals;

	return i < GW_REFUSALS_MAX && r[i].n != 0 ? &r[i] : NULL;
}

uint64_t
sl_gw_wall_ns(struct sl_gw *gw)
{
	return gw_wall_ns(gw);
}

const struct sl_policy *
sl_gw_policy(struct sl_gw *gw)
{
	return gw->policy->doc != NULL ? gw->policy->doc->policy : NULL;
}

const char *
sl_gw_policy_text(struct sl_gw *gw, size_t *len)
{
	const struct gw_doc *d = gw->policy->doc;

	*len = d != NULL ? d->len : 0;
	return d != NULL ? d->text : NULL;
}

const char *
sl_gw_policy_canonical(struct sl_gw *gw, size_t *len)
{
	const struct gw_doc *d = gw->policy->doc;

	*len = d != NULL ? d->canonical_len : 0;
	return d != NULL ? d->canonical : NULL;
}

json_t *
sl_gw_policy_lints(struct sl_gw *gw, unsigned *n)
{
	const struct gw_doc *d = gw->policy->doc;

	*n = d != NULL ? d->n_lints : 0;
	return d != NULL ? d->lints : NULL;
}

const struct sl_policy_view *
sl_gw_policy_view(struct sl_gw *gw)
{
	const struct sl_root *r = atomic_load_explicit(&gw->dp->root, memory_order_relaxed);

	return &r->authz.policy;
}

int
sl_gw_policy_read(const char *file, char **text, size_t *len, struct sl_error *e)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = 0;
	struct stat st;
	ssize_t n;

	*text = NULL;
	*len = 0;
	if (fd < 0 || fstat(fd, &st) != 0) {
		rc = sl_fail(e, -errno, "file", "/file", "%.200s: %s", file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return rc;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)SL_POLICY_DOC_MAX)
		rc = sl_fail(e, -EINVAL, "file_invalid", "/file",
			     "%.200s is not a file of at most 64 MiB", file);
	else if ((*text = malloc((size_t)st.st_size + 1)) == NULL)
		rc = gw_no_memory(e);
	while (rc == 0 && *len < (size_t)st.st_size) {
		n = read(fd, *text + *len, (size_t)st.st_size - *len);
		if (n < 0)
			rc = sl_fail(e, -errno, "file", "/file", "%.200s: %s", file,
				     strerror(errno));
		if (n <= 0)
			break;
		*len += (size_t)n;
	}
	close(fd);
	if (rc == 0)
		(*text)[*len] = '\0';
	else
		free(*text);
	return rc;
}
