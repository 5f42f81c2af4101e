/* SPDX-License-Identifier: BSD-3-Clause */
/* Read and check all, compare all, stage all; only then the first file is replaced. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "backup_int.h"
#include "gw.h"

struct restore {
	const struct sl_config *c;
	const char *file;
	bool force;
	char *text; /* the backup */
	size_t len;
	json_t *head;
	struct backup_list now; /* what the configuration wants, and what is there */
	struct backup_plan {
		const struct backup_item *item; /* NULL: not in this backup */
		const char *data;
		size_t len;
		const char *what; /* will become of it */
	} * plan;		  /* one for each of `now` */
};

static int
broken(const struct restore *r, const char *why, struct sl_error *e)
{
	sl_fail(e, -EBADMSG, "backup_broken", "", "%.300s: %s", r->file, why);
	sl_hint(e, "nothing was changed; take another backup");
	return -EBADMSG;
}

/* --- the file ----------------------------------------------------------------------------------
 */

static int
read_backup(struct restore *r, struct sl_error *e)
{
	char dir[BACKUP_PATH], base[BACKUP_PATH];
	uint8_t sum[BACKUP_SUM];
	size_t magic = strlen(BACKUP_MAGIC);
	int rc = backup_split(r->file, dir, base, e);

	if (rc == 0)
		rc = gw_file_read(dir, base, SIZE_MAX, &r->text, &r->len, e);
	if (rc == -ENOENT) {
		sl_fail(e, rc, "file", "", "%.300s: %s", r->file, strerror(ENOENT));
		sl_hint(e, "name a file that sluiced --backup wrote");
	}
	if (rc != 0)
		return rc;
	if (r->len < magic + BACKUP_SUM || memcmp(r->text, BACKUP_MAGIC, magic) != 0)
		return broken(r, "is not a backup of a gateway of this version", e);
	r->len -= BACKUP_SUM;
	crypto_generichash(sum, sizeof(sum), (uint8_t *)r->text, r->len, NULL, 0);
	if (sodium_memcmp(sum, r->text + r->len, sizeof(sum)) != 0)
		return broken(r, "its sum is wrong: it was cut short or changed", e);
	return 0;
}

static int
read_head(struct restore *r, size_t *body, struct sl_error *e)
{
	char *begin = r->text + strlen(BACKUP_MAGIC);
	char *end = memchr(begin, '\n', r->len - strlen(BACKUP_MAGIC));

	if (end == NULL)
		return broken(r, "it has no list of files", e);
	r->head = json_loadb(begin, (size_t)(end - begin), JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_array(json_object_get(r->head, "files")) ||
	    !json_is_string(json_object_get(r->head, "instance")))
		return broken(r, "its list of files cannot be read", e);
	*body = (size_t)(end + 1 - r->text);
	return 0;
}

/* --- which file goes where ----------------------------------------------------------------------
 */

static int
mismatch(const struct restore *r, const char *name, struct sl_error *e)
{
	sl_fail(e, -EINVAL, "backup_mismatch", "",
		"%.200s holds %.150s, for which %.200s has no file", r->file, name, r->c->path);
	sl_hint(e, "restore with the configuration that the gateway had at the backup");
	return -EINVAL;
}

/** Preshared keys of a control plane's peers are in no configuration: the backup names them. */
static int
list_wanted(struct restore *r, struct sl_error *e)
{
	json_t *f;
	size_t i;
	int rc = backup_list_make(r->c, &r->now, e);

	json_array_foreach (json_object_get(r->head, "files"), i, f) {
		const char *name = json_string_value(json_object_get(f, "name"));

		if (rc != 0)
			return rc;
		if (name == NULL)
			return broken(r, "a file without a name", e);
		if (backup_list_find(&r->now, name) != NULL)
			continue;
		if (strncmp(name, "state/psk/", 10) != 0)
			return mismatch(r, name, e);
		rc = backup_list_add_psk(r->c, &r->now, name + 10, e);
		if (rc == -EINVAL)
			return broken(r, "a file with a name that cannot be", e);
	}
	for (i = 0; i < r->now.n; i++)
		r->now.v[i].must = false;
	return rc;
}

static int
take_files(struct restore *r, size_t at, struct sl_error *e)
{
	json_t *f;
	size_t i;

	r->plan = calloc(r->now.n, sizeof(*r->plan));
	if (r->plan == NULL)
		return gw_no_memory(e);
	json_array_foreach (json_object_get(r->head, "files"), i, f) {
		const char *name = json_string_value(json_object_get(f, "name"));
		json_int_t len = json_integer_value(json_object_get(f, "bytes"));
		struct backup_item *item = backup_list_find(&r->now, name);
		struct backup_plan *p = &r->plan[item - r->now.v];

		if (len < 0 || (size_t)len > r->len - at || p->item != NULL)
			return broken(r, "its list of files does not fit what it holds", e);
		*p = (struct backup_plan){.item = item, .data = r->text + at, .len = (size_t)len};
		at += (size_t)len;
	}
	return at == r->len ? 0 : broken(r, "it holds more than its list of files says", e);
}

static int
check_modes(const struct restore *r, struct sl_error *e)
{
	const struct backup_item *i = backup_list_find(&r->now, BACKUP_MODES);
	const struct backup_plan *p = &r->plan[i - r->now.v];
	struct gw_mode_state modes = {0}, before = {0};
	struct gw_log log = {0};
	int rc = 0;

	if (p->item != NULL)
		rc = gw_mode_decode(p->data, p->len, &modes, &before, &log);
	free(modes.prefixes);
	free(before.prefixes);
	free(log.required);
	return rc == 0 ? 0 : broken(r, BACKUP_MODES " in it holds no modes", e);
}

/* --- what will become of each -------------------------------------------------------------------
 */

static const char *
decide(const struct backup_plan *p, const struct backup_item *there)
{
	if (p->item == NULL && !there->there)
		return NULL;
	if (there->there && p->item != NULL && there->len == p->len &&
	    sodium_memcmp(there->data, p->data, p->len) == 0)
		return "as it was";
	if (there->there && strcmp(there->name, BACKUP_REVOKED) == 0)
		return "kept: what was revoked stays revoked";
	if (p->item == NULL)
		return strncmp(there->name, "state/", 6) == 0 ? "removed"
							      : "kept: not in the backup";
	return there->there ? "replaced" : "restored";
}

static int
decide_all(struct restore *r, struct sl_error *e)
{
	const char *instance = json_string_value(json_object_get(r->head, "instance"));
	int rc = backup_list_read(&r->now, e);

	if (rc == 0 && !r->force && strcmp(instance, r->c->instance) != 0) {
		sl_fail(e, -EINVAL, "backup_foreign", "/instance",
			"%.300s is of instance \"%.31s\", this is \"%s\"", r->file, instance,
			r->c->instance);
		sl_hint(e, "--force, if this gateway is to take the other's place");
		return -EINVAL;
	}
	for (unsigned i = 0; rc == 0 && i < r->now.n; i++) {
		const struct backup_item *there = &r->now.v[i];
		const char *what = r->plan[i].what = decide(&r->plan[i], there);

		if (r->force || what == NULL ||
		    (strcmp(what, "replaced") != 0 && strcmp(what, "removed") != 0))
			continue;
		sl_fail(e, -EEXIST, "state_present", "",
			"%.200s/%.100s is there and differs from the backup", there->dir,
			there->base);
		sl_hint(e, "--force, to replace what is there with the backup");
		return -EEXIST;
	}
	return rc;
}

/* --- doing it ----------------------------------------------------------------------------------
 */

static bool
writes(const struct backup_plan *p)
{
	return p->item != NULL &&
	       (strcmp(p->what, "restored") == 0 || strcmp(p->what, "replaced") == 0);
}

/** The gateway may run as another user, who owns the state directory. */
static int
give_file(const struct restore *r, const struct backup_item *i, struct sl_error *e)
{
	char path[3 * BACKUP_PATH];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s.new", i->dir, i->base);
	if (chmod(path, i->mode) == 0 && (!i->in_state || (stat(r->c->state_dir, &st) == 0 &&
							   chown(path, st.st_uid, st.st_gid) == 0)))
		return 0;
	return sl_fail(e, -errno, "state_write", "", "%.500s: %s", path, strerror(errno));
}

static int
psk_dir(const struct restore *r, const struct backup_item *i, struct sl_error *e)
{
	struct stat st;
	int rc;

	if (strncmp(i->name, "state/psk/", 10) != 0)
		return 0;
	rc = gw_dir_make(i->dir, e);
	if (rc == 0 &&
	    (stat(r->c->state_dir, &st) != 0 || chown(i->dir, st.st_uid, st.st_gid) != 0))
		rc = sl_fail(e, -errno, "state_write", "", "%.400s: %s", i->dir, strerror(errno));
	return rc;
}

static int
stage_all(const struct restore *r, unsigned *n, struct sl_error *e)
{
	int rc = 0;

	for (*n = 0; rc == 0 && *n < r->now.n; ++*n) {
		const struct backup_plan *p = &r->plan[*n];
		const struct backup_item *i = &r->now.v[*n];

		if (!writes(p))
			continue;
		rc = psk_dir(r, i, e);
		if (rc == 0)
			rc = gw_file_stage(i->dir, i->base, p->data, p->len, e);
		if (rc == 0)
			rc = give_file(r, i, e);
	}
	return rc;
}

static int
replace_all(const struct restore *r, struct sl_error *e)
{
	char path[2 * BACKUP_PATH];
	int rc = 0;

	for (unsigned n = 0; rc == 0 && n < r->now.n; n++) {
		const struct backup_item *i = &r->now.v[n];

		snprintf(path, sizeof(path), "%s/%s", i->dir, i->base);
		if (writes(&r->plan[n]))
			rc = gw_file_replace(i->dir, i->base, e);
		else if (r->plan[n].what == NULL || strcmp(r->plan[n].what, "removed") != 0)
			continue;
		else if (unlink(path) != 0)
			rc = sl_fail(e, -errno, "state_write", "", "%s: %s", path, strerror(errno));
		if (rc == 0)
			rc = gw_file_sync_dir(i->dir, e);
	}
	return rc;
}

static int
carry_out(struct restore *r, struct sl_error *e)
{
	size_t body = 0;
	unsigned staged = 0;
	int rc = read_backup(r, e);

	rc = rc == 0 ? read_head(r, &body, e) : rc;
	rc = rc == 0 ? list_wanted(r, e) : rc;
	rc = rc == 0 ? take_files(r, body, e) : rc;
	rc = rc == 0 ? check_modes(r, e) : rc;
	rc = rc == 0 ? decide_all(r, e) : rc;
	if (rc != 0)
		return rc;
	rc = stage_all(r, &staged, e);
	if (rc == 0)
		return replace_all(r, e);
	for (unsigned i = 0; i < staged; i++)
		if (writes(&r->plan[i]))
			gw_file_unstage(r->now.v[i].dir, r->now.v[i].base);
	return rc;
}

int
sl_backup_restore(const struct sl_config *c, const char *file, bool force,
		  const struct sl_backup_tell *tell, struct sl_error *e)
{
	struct restore r = {.c = c, .file = file, .force = force};
	int rc = carry_out(&r, e);

	for (unsigned i = 0; rc == 0 && i < r.now.n; i++)
		if (r.plan[i].what != NULL)
			tell->file(tell->ctx, r.now.v[i].name, r.plan[i].what);
	if (r.text != NULL)
		sl_wipe(r.text, r.len);
	free(r.text);
	free(r.plan);
	json_decref(r.head);
	backup_list_clear(&r.now);
	return rc;
}
