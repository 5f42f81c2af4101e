/* SPDX-License-Identifier: BSD-3-Clause */
/* The lock of an instance: held once, and not in a place or a file that somebody else controls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sluiced.h"

static char top[64], dir[80], file[96];
static struct sl_error e;

static int
setup(void **state)
{
	snprintf(top, sizeof(top), "/tmp/sl-test-lock-XXXXXX");
	assert_non_null(mkdtemp(top));
	snprintf(dir, sizeof(dir), "%s/run", top);
	snprintf(file, sizeof(file), "%s/.x.lock", dir);
	memset(&e, 0, sizeof(e));
	return 0;
}

static int
teardown(void **state)
{
	char other[96];

	snprintf(other, sizeof(other), "%s/other", top);
	unlink(file);
	unlink(other);
	unlink(dir);
	rmdir(dir);
	rmdir(other);
	rmdir(top);
	return 0;
}

static void
test_one_holder(void **state)
{
	char pid[96];
	int fd = sluiced_lock(dir, "x", &e), again;

	assert_true(fd >= 0);
	assert_true(sluiced_lock(dir, "x", &e) == -EEXIST);
	assert_string_equal(e.reason, "instance_running");
	snprintf(pid, sizeof(pid), "pid %d)", (int)getpid());
	assert_non_null(strstr(e.message, pid));
	again = sluiced_lock(dir, "y", &e);
	assert_true(again >= 0);
	close(again);
	snprintf(pid, sizeof(pid), "%s/.y.lock", dir);
	unlink(pid);
	close(fd);
	fd = sluiced_lock(dir, "x", &e); /* what an ended process left */
	assert_true(fd >= 0);
	close(fd);
}

static void
refused(const char *where)
{
	assert_true(sluiced_lock(where, "x", &e) < 0);
	assert_string_equal(e.reason, "lock_failed");
}

static void
test_directory_of_everybody(void **state)
{
	char other[96];

	assert_int_equal(mkdir(dir, 0755), 0);
	assert_int_equal(chmod(dir, 01777), 0);
	refused(dir);
	assert_int_equal(chmod(dir, 0775), 0);
	refused(dir);
	assert_int_equal(chmod(dir, 0755), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(dir, 65534, 65534), 0);
		refused(dir);
	}
	rmdir(dir);
	snprintf(other, sizeof(other), "%s/other", top);
	assert_int_equal(mkdir(other, 0755), 0);
	assert_int_equal(symlink(other, dir), 0);
	refused(dir);
}

/** A name that leads to another file must not cost that file its content. */
static void
test_other_file(void **state)
{
	char other[96], text[8] = "";
	int fd;

	assert_int_equal(mkdir(dir, 0755), 0);
	snprintf(other, sizeof(other), "%s/other", top);
	fd = open(other, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "keep", 4), 4);
	close(fd);
	assert_int_equal(symlink(other, file), 0);
	refused(dir);
	unlink(file);
	assert_int_equal(link(other, file), 0);
	refused(dir);
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	refused(dir);
	fd = open(other, O_RDONLY);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_string_equal(text, "keep");
	close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_one_holder, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_of_everybody, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_file, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
