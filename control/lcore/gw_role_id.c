/* SPDX-License-Identifier: BSD-3-Clause */
/* By which ids roles are known: flows, evidence and records hold an id, whatever policy comes. The
 * list is a file of the state directory too, for evidence outlives a restart. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define ROLES_FILE "roles.json"
#define ROLES_VERSION 1
#define ROLES_FILE_MAX (1u << 20)
#define KNOWN_MAX (2 * SL_POL_ROLES * SL_POL_GROW_MAX) /* those in force, and former ones */
#define RETRY_NS (1 * SL_NS_PER_S)

/** A copy of the list on its way to the file. */
struct gw_role_write {
	struct gw_task task;
	const char *dir;
	struct sl_pol_role_id *v;
	unsigned n;
	int rc;
	struct sl_error e;
};

static struct sl_pol_role_id *
copy_of(const struct sl_pol_role_id *v, unsigned n)
{
	struct sl_pol_role_id *out = calloc(n + 1, sizeof(*out));

	if (out != NULL && n > 0)
		memcpy(out, v, n * sizeof(*v));
	return out;
}

const char *
sl_gw_role_name(const struct sl_gw *gw, uint32_t id)
{
	const struct gw_role_ids *k = &gw->policy->role_ids;

	for (unsigned i = 0; i < k->n; i++)
		if (k->v[i].id == id)
			return k->v[i].name;
	return NULL;
}

/* --- in a job ---------------------------------------------------------------------------------
 */

int
gw_job_know_roles(const struct sl_gw *gw, struct gw_job *j)
{
	const struct gw_role_ids *k = &gw->policy->role_ids;

	j->role_ids = copy_of(k->v, k->n);
	j->n_role_ids = k->n;
	return j->role_ids != NULL ? 0 : -ENOMEM;
}

/** The control plane or the document says so: it wins, and what was seen before is the new one's.
 */
static void
note_renamed(struct gw_job *j, const struct sl_pol_role_id *was)
{
	const struct sl_policy *p = j->doc->policy;

	for (unsigned i = 0; i < p->n_roles; i++) {
		if (p->roles[i].id != was->id || strcmp(p->roles[i].name, was->name) == 0)
			continue;
		if (j->renamed.n++ > 0)
			continue;
		j->renamed.id = was->id;
		snprintf(j->renamed.was, sizeof(j->renamed.was), "%s", was->name);
		snprintf(j->renamed.is, sizeof(j->renamed.is), "%s", p->roles[i].name);
	}
}

int
gw_job_learn_roles(struct gw_job *j)
{
	struct sl_pol_role_id *v;
	unsigned n;

	if (sl_policy_role_ids(j->doc->policy, j->role_ids, j->n_role_ids, KNOWN_MAX, &v, &n) != 0)
		return gw_no_memory(&j->e);
	for (unsigned i = 0; i < j->n_role_ids; i++)
		note_renamed(j, &j->role_ids[i]);
	j->new_role_ids =
		n != j->n_role_ids || (n > 0 && memcmp(v, j->role_ids, n * sizeof(*v)) != 0);
	free(j->role_ids);
	j->role_ids = v;
	j->n_role_ids = n;
	return 0;
}

void
gw_role_ids_take(struct sl_gw *gw, struct gw_job *j)
{
	struct gw_role_ids *k = &gw->policy->role_ids;

	if (j->renamed.n > 0)
		sl_log(SL_LOG_WARN, "policy",
		       "id %u was role %s's and is %s's now%s: flows and evidence of before are "
		       "shown as the new one's",
		       j->renamed.id, j->renamed.was, j->renamed.is,
		       j->renamed.n > 1 ? ", others likewise" : "");
	free(k->v);
	k->v = j->role_ids;
	k->n = j->n_role_ids;
	k->stale |= j->new_role_ids;
	j->role_ids = NULL;
}

/* --- the file -----------------------------------------------------------------------------------
 */

static int
write_list(const char *dir, const struct sl_pol_role_id *v, unsigned n, struct sl_error *e)
{
	json_t *roles = json_object(), *root;
	char *text;
	int rc;

	for (unsigned i = 0; i < n; i++)
		json_object_set_new(roles, v[i].name, json_integer(v[i].id));
	root = json_pack("{si,so}", "version", ROLES_VERSION, "roles", roles);
	text = root != NULL ? json_dumps(root, JSON_INDENT(1)) : NULL;
	json_decref(root);
	if (text == NULL)
		return gw_no_memory(e);
	rc = gw_file_write(dir, ROLES_FILE, text, strlen(text), e);
	free(text);
	return rc;
}

static void
write_task(struct gw_task *t)
{
	struct gw_role_write *w = SL_CONTAINER_OF(t, struct gw_role_write, task);

	w->rc = write_list(w->dir, w->v, w->n, &w->e);
}

static void
begin_write(struct sl_gw *gw)
{
	struct gw_role_ids *k = &gw->policy->role_ids;
	struct gw_role_write *w = calloc(1, sizeof(*w));

	if (w != NULL)
		w->v = copy_of(k->v, k->n);
	if (w == NULL || w->v == NULL) {
		free(w);
		return; /* in the next turn */
	}
	w->n = k->n;
	w->dir = gw->state_dir;
	w->task.run = write_task;
	k->stale = false;
	k->write = w;
	gw_helper_give(gw->policy->helper, &w->task);
}

static void
end_write(struct sl_gw *gw)
{
	struct gw_role_ids *k = &gw->policy->role_ids;
	struct gw_role_write *w = k->write;

	k->write = NULL;
	if (w->rc != 0) {
		if (k->retry_ns == 0) /* once, until it works again */
			sl_log(SL_LOG_ERR, "policy",
			       "after a restart evidence may name another role: %s", w->e.message);
		k->stale = true;
	}
	k->retry_ns = w->rc != 0 ? gw_mono_ns(gw) + RETRY_NS : 0;
	free(w->v);
	free(w);
}

void
gw_role_ids_poll(struct sl_gw *gw)
{
	struct gw_role_ids *k = &gw->policy->role_ids;

	if (k->write != NULL && gw_task_done(&k->write->task))
		end_write(gw);
	if (k->stale && k->write == NULL && gw->state_dir != NULL && gw_mono_ns(gw) >= k->retry_ns)
		begin_write(gw);
}

void
gw_role_ids_stop(struct sl_gw *gw)
{
	struct gw_role_ids *k = &gw->policy->role_ids;
	struct sl_error e;

	if (k->write != NULL)
		end_write(gw);
	if (k->stale && gw->state_dir != NULL && write_list(gw->state_dir, k->v, k->n, &e) != 0)
		sl_log(SL_LOG_ERR, "policy", "%s", e.message);
	k->stale = false;
}

void
gw_role_ids_free(struct sl_gw *gw)
{
	free(gw->policy->role_ids.v);
}

/* A number that stands twice would give two roles one id. */
static bool
decode(struct gw_role_ids *k, const json_t *roles)
{
	const char *name;
	json_t *id;

	k->v = calloc(KNOWN_MAX, sizeof(*k->v));
	if (k->v == NULL || json_object_size(roles) > KNOWN_MAX)
		return false;
	json_object_foreach ((json_t *)(uintptr_t)roles, name, id) {
		json_int_t n = json_integer_value(id);

		if (n < 1 || n > SL_POL_ID_MAX || strlen(name) >= sizeof(k->v->name))
			return false;
		for (unsigned i = 0; i < k->n; i++)
			if (k->v[i].id == n)
				return false;
		snprintf(k->v[k->n].name, sizeof(k->v->name), "%s", name);
		k->v[k->n++].id = (uint32_t)n;
	}
	return true;
}

void
gw_role_ids_load(struct sl_gw *gw)
{
	struct gw_role_ids *k = &gw->policy->role_ids;
	struct sl_error e = {0};
	json_t *root, *roles;
	int version, rc;
	char *text;
	size_t len;

	if (gw->state_dir == NULL)
		return;
	rc = gw_file_read(gw->state_dir, ROLES_FILE, ROLES_FILE_MAX, &text, &len, &e);
	if (rc == -ENOENT)
		return;
	root = rc == 0 ? json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL) : NULL;
	if (rc == 0)
		free(text);
	if (root == NULL ||
	    json_unpack(root, "{si,so!}", "version", &version, "roles", &roles) != 0 ||
	    version != ROLES_VERSION || !json_is_object(roles) || !decode(k, roles)) {
		k->n = 0;
		sl_log(SL_LOG_WARN, "policy",
		       "%s/%s cannot be used (%s): roles without an id are numbered anew, so "
		       "evidence "
		       "of before may name another one; the next change of roles writes the file",
		       gw->state_dir, ROLES_FILE, e.message[0] != '\0' ? e.message : "its content");
	}
	json_decref(root);
}
