/* SPDX-License-Identifier: BSD-3-Clause */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "backup_int.h"
#include "gw.h"
#include "sl_file.h"

#define TRIES 20
#define TRY_US 50000

/** The gateway replaces its files one by one; all are taken again until none changed meanwhile. */
static int
read_at_once(const struct sl_config *c, struct backup_list *l, struct sl_error *e)
{
	int rc;

	for (unsigned i = 0; i < TRIES; i++) {
		backup_list_clear(l);
		rc = backup_list_make(c, l, e);
		if (rc == 0)
			rc = backup_list_read(l, e);
		if (rc != 0 || backup_list_same(l))
			return rc;
		usleep(TRY_US);
	}
	sl_fail(e, -EBUSY, "state_changes", "", "files of %s change all the time", c->state_dir);
	sl_hint(e, "run it again when nobody changes policy or modes");
	return -EBUSY;
}

static char *
header(const struct sl_config *c, const struct backup_list *l, unsigned *n_files, size_t *bytes)
{
	json_t *files = json_array(), *root;
	char now[24], *text = NULL;
	time_t t = time(NULL);
	struct tm tm;

	*n_files = 0;
	*bytes = 0;
	for (unsigned i = 0; i < l->n; i++) {
		if (!l->v[i].there)
			continue;
		json_array_append_new(files, json_pack("{s:s, s:I}", "name", l->v[i].name, "bytes",
						       (json_int_t)l->v[i].len));
		*bytes += l->v[i].len;
		++*n_files;
	}
	strftime(now, sizeof(now), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
	root = json_pack("{s:s, s:s, s:s, s:s, s:o}", "instance", c->instance, "gateway",
			 c->cp != NULL ? c->cp->name : "", "program", SL_VERSION, "written", now,
			 "files", files);
	if (root != NULL)
		text = json_dumps(root, JSON_COMPACT);
	json_decref(root);
	return text;
}

/** The whole of it; `len` bytes, malloc'ed. */
static char *
encode(const struct backup_list *l, const char *head, size_t bytes, size_t *len)
{
	size_t at = strlen(BACKUP_MAGIC), n = strlen(head);
	char *out = malloc(at + n + 1 + bytes + BACKUP_SUM);

	if (out == NULL)
		return NULL;
	memcpy(out, BACKUP_MAGIC, at);
	memcpy(out + at, head, n);
	at += n;
	out[at++] = '\n';
	for (unsigned i = 0; i < l->n; i++) {
		if (!l->v[i].there)
			continue;
		memcpy(out + at, l->v[i].data, l->v[i].len);
		at += l->v[i].len;
	}
	crypto_generichash((uint8_t *)out + at, BACKUP_SUM, (uint8_t *)out, at, NULL, 0);
	*len = at + BACKUP_SUM;
	return out;
}

/** A new file, and nothing but a new file. */
static int
write_new(const char *file, const char *text, size_t len, struct sl_error *e)
{
	char dir[BACKUP_PATH], base[BACKUP_PATH];
	int rc = backup_split(file, dir, base, e), fd;

	if (rc != 0)
		return rc;
	fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		rc = -errno;
		sl_fail(e, rc, rc == -EEXIST ? "exists" : "file", "", "%.300s: %s", file,
			rc == -EEXIST ? "is there already" : strerror(-rc));
		sl_hint(e, "name another file, in a directory that is there");
		return rc;
	}
	rc = sl_file_put(fd, text, len);
	if (rc < 0) {
		rc = sl_fail(e, -EIO, "file", "", "%.300s: %s", file, strerror(-rc));
		unlink(file);
	}
	close(fd);
	return rc == 0 ? gw_file_sync_dir(dir, e) : rc;
}

int
sl_backup_write(const struct sl_config *c, const char *file, const struct sl_backup_tell *tell,
		struct sl_error *e)
{
	struct backup_list l = {0};
	int rc = read_at_once(c, &l, e);
	char *head = NULL, *text = NULL;
	size_t bytes, len = 0;
	unsigned n = 0;

	if (rc == 0) {
		head = header(c, &l, &n, &bytes);
		text = head != NULL && n > 0 ? encode(&l, head, bytes, &len) : NULL;
	}
	if (rc == 0 && head != NULL && n == 0) {
		rc = sl_fail(e, -ENOENT, "backup_empty", "/system/state_dir",
			     "%s holds nothing to keep, and no key is in a file", c->state_dir);
		sl_hint(e, "is it this gateway's configuration (-c), and its --instance?");
	} else if (rc == 0) {
		rc = text != NULL ? write_new(file, text, len, e) : gw_no_memory(e);
	}
	for (unsigned i = 0; rc == 0 && i < l.n; i++)
		if (l.v[i].there)
			tell->file(tell->ctx, l.v[i].name, "saved");
	if (text != NULL)
		sl_wipe(text, len);
	free(text);
	free(head);
	backup_list_clear(&l);
	return rc;
}
