/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the store: whose they are, how they are made, copied and opened. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_file.h"
#include "store_int.h"

#define COPY_PAGES 512 /* a step of a copy: 2 MiB, then writers have their turn */

int
store_file_check(const char *path, struct sl_error *e)
{
	struct stat st;

	if (lstat(path, &st) < 0) {
		int err = errno;

		if (err == ENOENT)
			return -ENOENT;
		return sl_fail(e, -EIO, "store_io", "", "%.200s: %s", path, strerror(err));
	}
	/* a restore that is cut short leaves a second name: that is no fault */
	if (!S_ISREG(st.st_mode) || (st.st_uid != geteuid() && st.st_uid != 0)) {
		sl_fail(e, -EPERM, "file_foreign", "",
			"%.200s is no plain file of the user that runs this", path);
		sl_hint(e, "no symbolic link; its owner must be the user of sluice-control");
		return -EPERM;
	}
	if ((st.st_mode & 077) != 0) {
		sl_fail(e, -EPERM, "file_mode", "", "%.200s: others may use it (mode %03o)", path,
			(unsigned)st.st_mode & 0777);
		sl_hint(e, "chmod 600 %.150s", path);
		return -EPERM;
	}
	return 0;
}

int
store_file_check_there(const char *path, struct sl_error *e)
{
	int rc = store_file_check(path, e);

	if (rc != -ENOENT)
		return rc;
	sl_fail(e, -ENOENT, "store_missing", "", "%.200s is not there", path);
	sl_hint(e, "a data store is made by sluice-control init; --state-dir names another place");
	return -ENOENT;
}

int
store_file_make(const char *path, struct sl_error *e)
{
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600), err = errno;

	if (fd >= 0) {
		/* not left to a mask that takes more away than we want */
		if (fchmod(fd, 0600) < 0)
			err = errno;
		else
			err = 0;
		close(fd);
		return err == 0 ? 0
				: sl_fail(e, -EIO, "store_io", "", "%.200s: %s", path,
					  strerror(err));
	}
	if (err == EEXIST)
		return sl_fail(e, -EEXIST, "file_exists", "", "%.200s is there already", path);
	sl_fail(e, -err, "store_io", "", "%.200s: %s", path, strerror(err));
	if (err == ENOENT)
		sl_hint(e, "the directory must be there");
	return -err;
}

int
store_file_sync(const char *path, struct sl_error *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = fd >= 0 && fsync(fd) == 0 ? 0 : -errno;

	if (fd >= 0)
		close(fd);
	if (rc == 0)
		rc = sl_file_sync_parent(path);
	if (rc < 0)
		return sl_fail(e, rc, "store_io", "", "%.200s: %s", path, strerror(-rc));
	return 0;
}

int
store_connect(const char *path, int flags, sqlite3 **out, struct sl_error *e)
{
	int rc = sqlite3_open_v2(path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
				 NULL);

	if (rc == SQLITE_OK) {
		sqlite3_busy_timeout(*out, STORE_BUSY_MS);
		sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		sqlite3_db_config(*out, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		/* Litestream copies the WAL: it is not ours to end */
		sqlite3_db_config(*out, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
		rc = sqlite3_exec(*out, "PRAGMA synchronous = FULL; PRAGMA cell_size_check = ON",
				  NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK)
		return 0;
	rc = store_sql_error(*out, rc, path, e);
	sqlite3_close(*out);
	*out = NULL;
	return rc;
}

static int
copy_steps(sqlite3 *from, sqlite3 *to, struct sl_error *e)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	bool own = sqlite3_txn_state(from, NULL) == SQLITE_TXN_NONE;
	int rc;

	if (b == NULL)
		return store_sql_error(to, sqlite3_errcode(to), "backup", e);
	/* one moment of it: else each commit of others begins the copy anew */
	if (own)
		sqlite3_exec(from, "BEGIN; SELECT count(*) FROM sqlite_schema", NULL, NULL, NULL);
	do {
		rc = sqlite3_backup_step(b, COPY_PAGES);
		if (rc == SQLITE_BUSY || rc == SQLITE_LOCKED)
			sqlite3_sleep(20);
	} while (rc == SQLITE_OK || rc == SQLITE_BUSY || rc == SQLITE_LOCKED);
	sqlite3_backup_finish(b);
	if (own)
		sqlite3_exec(from, "ROLLBACK", NULL, NULL, NULL);
	return rc == SQLITE_DONE ? 0 : store_sql_error(to, rc, "backup", e);
}

int
store_copy(sqlite3 *from, const char *to, struct sl_error *e)
{
	sqlite3 *db = NULL;
	int rc = store_file_make(to, e);

	if (rc < 0)
		return rc;
	rc = store_connect(to, SQLITE_OPEN_READWRITE, &db, e);
	if (rc == 0)
		rc = copy_steps(from, db, e);
	if (rc == 0) /* one file, without a WAL beside it */
		rc = store_exec(db, "PRAGMA journal_mode = DELETE", e);
	sqlite3_close(db);
	if (rc == 0)
		rc = store_file_sync(to, e);
	if (rc < 0)
		unlink(to);
	return rc;
}
