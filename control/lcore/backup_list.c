/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup_int.h"
#include "config_int.h"
#include "gw.h"

/* Learned endpoints (peers) and counts (evidence) are not among them. */
static const char *const state_files[] = {"authz-mode.json", "policy.json", "members.json",
					  "control-revoked", "control-cache.key"};

int
backup_split(const char *path, char dir[BACKUP_PATH], char base[BACKUP_PATH], struct sl_error *e)
{
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	if (strlen(path) >= BACKUP_PATH - 8)
		return sl_fail(e, -ENAMETOOLONG, "path_too_long", "", "%.100s... is too long",
			       path);
	snprintf(dir, BACKUP_PATH, "%.*s", slash == path ? 1 : (int)n, path);
	if (slash == NULL)
		snprintf(dir, BACKUP_PATH, ".");
	snprintf(base, BACKUP_PATH, "%s", slash != NULL ? slash + 1 : path);
	return 0;
}

static int
add(struct backup_list *l, const char *name, const char *path, mode_t mode, bool in_state,
    struct sl_error *e)
{
	struct backup_item *grown = l->v, *i;

	if (l->n == l->room) {
		l->room = 2 * l->room + 16;
		grown = realloc(l->v, l->room * sizeof(*l->v));
		if (grown == NULL)
			return gw_no_memory(e);
		l->v = grown;
	}
	i = &l->v[l->n];
	*i = (struct backup_item){.mode = mode, .in_state = in_state};
	snprintf(i->name, sizeof(i->name), "%s", name);
	l->n++;
	return backup_split(path, i->dir, i->base, e);
}

static int
add_in_state(const struct sl_config *c, struct backup_list *l, const char *rest, mode_t mode,
	     struct sl_error *e)
{
	char name[BACKUP_NAME], path[2 * BACKUP_PATH];

	snprintf(name, sizeof(name), "state/%s", rest);
	snprintf(path, sizeof(path), "%s/%s", c->state_dir, rest);
	return add(l, name, path, mode, true, e);
}

/* May be a link: the file that it leads to is kept, and replaced. */
static int
add_key_file(struct backup_list *l, const char *name, const char *path, struct sl_error *e)
{
	char *real = realpath(path, NULL);
	int rc = add(l, name, real != NULL ? real : path, 0600, false, e);

	free(real);
	if (rc == 0)
		l->v[l->n - 1].must = true;
	return rc;
}

/* Key files that calls of the configuration name. */
static int
add_key_files(const struct sl_config *c, struct backup_list *l, struct sl_error *e)
{
	char name[BACKUP_NAME];
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		json_t *p = c->calls[i].params;
		const char *iface = json_string_value(json_object_get(p, "interface"));
		const char *own = json_string_value(json_object_get(p, "name"));
		const char *peer =
			own != NULL ? own : json_string_value(json_object_get(p, "public_key"));
		const char *key = json_string_value(json_object_get(p, "private_key_file"));
		const char *psk = json_string_value(json_object_get(p, "preshared_key_file"));

		if (key == NULL && psk == NULL)
			continue;
		if (key != NULL)
			snprintf(name, sizeof(name), "key/%s", iface != NULL ? iface : "");
		else
			snprintf(name, sizeof(name), "psk/%s/%s", iface != NULL ? iface : "",
				 peer != NULL ? peer : "");
		rc = add_key_file(l, name, key != NULL ? key : psk, e);
	}
	return rc;
}

int
backup_list_add_psk(const struct sl_config *c, struct backup_list *l, const char *base,
		    struct sl_error *e)
{
	char rest[128];

	if (base[0] == '\0' || base[0] == '.' || strchr(base, '/') != NULL || strlen(base) > 100)
		return -EINVAL;
	snprintf(rest, sizeof(rest), "psk/%s", base);
	return add_in_state(c, l, rest, 0600, e);
}

/* Preshared keys of peers that a control plane names. */
static int
add_psk_dir(const struct sl_config *c, struct backup_list *l, struct sl_error *e)
{
	char path[2 * BACKUP_PATH];
	struct dirent *d;
	int rc = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/psk", c->state_dir);
	dir = opendir(path);
	while (dir != NULL && rc == 0 && (d = readdir(dir)) != NULL) {
		if (d->d_type == DT_REG || d->d_type == DT_UNKNOWN)
			rc = backup_list_add_psk(c, l, d->d_name, e);
		rc = rc == -EINVAL ? 0 : rc; /* "." and what no peer can name */
	}
	if (dir != NULL)
		closedir(dir);
	return rc;
}

int
backup_list_make(const struct sl_config *c, struct backup_list *l, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < SL_ARRAY_SIZE(state_files); i++)
		rc = add_in_state(c, l, state_files[i],
				  i + 1 < SL_ARRAY_SIZE(state_files) ? 0600 : 0400, e);
	if (rc == 0 && c->cp != NULL && c->cp->cache_key_file != NULL)
		rc = add(l, "cache-key", c->cp->cache_key_file, 0400, true, e);
	if (rc == 0)
		rc = add_key_files(c, l, e);
	return rc == 0 ? add_psk_dir(c, l, e) : rc;
}

struct backup_item *
backup_list_find(const struct backup_list *l, const char *name)
{
	for (unsigned i = 0; i < l->n; i++)
		if (strcmp(l->v[i].name, name) == 0)
			return &l->v[i];
	return NULL;
}

static void
drop_data(struct backup_item *i)
{
	if (i->data != NULL)
		sl_wipe(i->data, i->len);
	free(i->data);
	i->data = NULL;
	i->there = false;
}

void
backup_list_clear(struct backup_list *l)
{
	for (unsigned i = 0; i < l->n; i++)
		drop_data(&l->v[i]);
	free(l->v);
	*l = (struct backup_list){0};
}

static int
stat_item(const struct backup_item *i, struct stat *st)
{
	char path[2 * BACKUP_PATH];

	snprintf(path, sizeof(path), "%s/%s", i->dir, i->base);
	return stat(path, st);
}

int
backup_list_read(struct backup_list *l, struct sl_error *e)
{
	for (unsigned n = 0; n < l->n; n++) {
		struct backup_item *i = &l->v[n];
		int rc;

		drop_data(i);
		if (stat_item(i, &i->st) != 0) {
			rc = -errno;
			if (rc == -ENOENT && !i->must)
				continue;
			return sl_fail(e, rc, "key_file", "", "%s/%s of %s: %s", i->dir, i->base,
				       i->name, strerror(-rc));
		}
		rc = gw_file_read(i->dir, i->base, BACKUP_FILE_MAX, &i->data, &i->len, e);
		if (rc == -ENOENT) /* replaced at this moment */
			continue;
		if (rc != 0)
			return rc;
		i->there = true;
	}
	return 0;
}

bool
backup_list_same(const struct backup_list *l)
{
	struct stat st;

	for (unsigned n = 0; n < l->n; n++) {
		const struct backup_item *i = &l->v[n];
		bool there = stat_item(i, &st) == 0;

		if (there != i->there)
			return false;
		if (there && (st.st_ino != i->st.st_ino || st.st_dev != i->st.st_dev ||
			      st.st_size != i->st.st_size || (size_t)st.st_size != i->len ||
			      st.st_mtim.tv_sec != i->st.st_mtim.tv_sec ||
			      st.st_mtim.tv_nsec != i->st.st_mtim.tv_nsec))
			return false;
	}
	return true;
}
