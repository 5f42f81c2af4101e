/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that are written to stay: what is left after success and after each failure. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "sl_file.h"

static char dir[] = "/tmp/sl-file-XXXXXX";
static char synced[8]; /* what was synced, in order: f a file, d a directory */
static int fail_at;    /* the sync that fails; 0: none */

/* In place of the system's, to see the order and to let one fail. */
int
fsync(int fd)
{
	struct stat st;
	size_t n = strlen(synced);

	assert_int_equal(fstat(fd, &st), 0);
	assert_true(n + 1 < sizeof(synced));
	synced[n] = S_ISDIR(st.st_mode) ? 'd' : 'f';
	if (fail_at != (int)n + 1)
		return 0;
	errno = EIO;
	return -1;
}

static const char *
in_dir(const char *name)
{
	static char path[2][sizeof(dir) + 32];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", dir, name);
	return path[turn];
}

static void
holds(const char *name, const char *wanted)
{
	char got[64] = "";
	FILE *f = fopen(in_dir(name), "r");

	if (wanted == NULL) {
		assert_null(f);
		return;
	}
	assert_non_null(f);
	got[fread(got, 1, sizeof(got) - 1, f)] = '\0';
	fclose(f);
	assert_string_equal(got, wanted);
}

static int
begin(void **state)
{
	(void)state;
	memset(synced, 0, sizeof(synced));
	fail_at = 0;
	unlink(in_dir("f"));
	unlink(in_dir("f.new"));
	return 0;
}

static void
test_write(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(sl_file_write(dir, "f", "one", 3), 0);
	holds("f", "one");
	assert_string_equal(synced, "fd"); /* the text before its name counts, then the name */
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(sl_file_write(dir, "f", "", 0), 0);
	holds("f", "");
	holds("f.new", NULL);
}

static void
test_sync_fails(void **state)
{
	(void)state;
	assert_int_equal(sl_file_write(dir, "f", "old", 3), 0);
	memset(synced, 0, sizeof(synced));
	fail_at = 1;
	assert_int_equal(sl_file_write(dir, "f", "new", 3), -EIO);
	holds("f", "old");
	holds("f.new", NULL);
	memset(synced, 0, sizeof(synced));
	fail_at = 2;
	assert_int_equal(sl_file_write(dir, "f", "new", 3), -EIO);
	holds("f", "new"); /* whole, but the caller knows that it may not stay */
}

static void
test_stage(void **state)
{
	(void)state;
	assert_int_equal(sl_file_write(dir, "f", "old", 3), 0);
	assert_int_equal(sl_file_stage(dir, "f", "new", 3), 0);
	holds("f", "old");
	holds("f.new", "new");
}

static void
test_link(void **state)
{
	(void)state;
	assert_int_equal(symlink(in_dir("elsewhere"), in_dir("f.new")), 0);
	assert_int_equal(sl_file_write(dir, "f", "x", 1), 0);
	holds("f", "x");
	holds("elsewhere", NULL);
}

/** A write that was cut short left a file: its mode, and its other names, are not the new one's. */
static void
test_left(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(sl_file_stage(dir, "f", "left", 4), 0);
	assert_int_equal(chmod(in_dir("f.new"), 0444), 0);
	assert_int_equal(link(in_dir("f.new"), in_dir("other")), 0);
	assert_int_equal(sl_file_write(dir, "f", "x", 1), 0);
	holds("f", "x");
	holds("other", "left");
	assert_int_equal(stat(in_dir("f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(unlink(in_dir("other")), 0);
}

static void
test_rename_fails(void **state)
{
	(void)state;
	assert_int_equal(mkdir(in_dir("f"), 0700), 0);
	assert_int_equal(sl_file_write(dir, "f", "x", 1), -EISDIR);
	holds("f.new", NULL);
	assert_int_equal(rmdir(in_dir("f")), 0);
}

static void
test_places(void **state)
{
	char longer[5000];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(sl_file_write(dir, longer, "x", 1), -ENAMETOOLONG);
	assert_int_equal(sl_file_sync_parent(longer), -ENAMETOOLONG);
	assert_int_equal(sl_file_write("/tmp/sl-file-none", "f", "x", 1), -ENOENT);
	assert_int_equal(sl_file_sync_dir("/dev/null"), -ENOTDIR);
	assert_int_equal(sl_file_sync_dir("/tmp/sl-file-none"), -ENOENT);
	assert_int_equal(sl_file_sync_parent(in_dir("f")), 0);
	assert_string_equal(synced, "d");
}

static void
test_put(void **state)
{
	int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(sl_file_put(fd, "x", 1), -ENOSPC);
	assert_string_equal(synced, "");
	close(fd);
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
remove_dir(void **state)
{
	begin(state);
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_write, begin),
		cmocka_unit_test_setup(test_sync_fails, begin),
		cmocka_unit_test_setup(test_stage, begin),
		cmocka_unit_test_setup(test_link, begin),
		cmocka_unit_test_setup(test_left, begin),
		cmocka_unit_test_setup(test_rename_fails, begin),
		cmocka_unit_test_setup(test_places, begin),
		cmocka_unit_test_setup(test_put, begin),
	};

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
