/* SPDX-License-Identifier: BSD-3-Clause */
/* The file sink: whole lines only, rotation, reopening, a full disk; and the drain's own counts. */
#include "drain_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct tdrain t;
static char path[100];

static int
open_all(void **state)
{
	td_init(&t, 256, true);
	snprintf(path, sizeof(path), "%s/audit.json", t.dir);
	return 0;
}

static int
open_threads(void **state)
{
	td_init(&t, 4096, false);
	snprintf(path, sizeof(path), "%s/audit.json", t.dir);
	return 0;
}

static int
close_all(void **state)
{
	td_fini(&t);
	return 0;
}

static struct sl_sink_conf
file_conf(void)
{
	return (struct sl_sink_conf){.kind = SL_SINK_FILE, .name = "file", .path = path};
}

static const char *
numbered(unsigned n)
{
	static char text[120];

	snprintf(text, sizeof(text), "%s.%u", path, n);
	return text;
}

static void
test_lines(void **state)
{
	struct sl_sink_conf c = file_conf();
	struct stat st;
	json_t *list;

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 100);
	assert_int_equal(sl_drain_poll(t.d), 100);
	assert_int_equal(sl_drain_poll(t.d), 0);
	assert_int_equal(td_lines(path), 100);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
	sl_drain_event(t.d, "mode-change", "success", json_pack("{s:{s:s}}", "sluice", "x", "y"));
	td_puts(&t, SL_REC_ALLOW, 2);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(path), 103);
	assert_int_equal(td_sink(&t, "file", "acked"), 103);
	td_equation(&t);
	list = sl_drain_recent(t.d, 1000, "policy-allow");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(td_text(json_array_get(list, 1), "sluice.peer.name"), "alice-laptop");
	json_decref(list);
	list = sl_drain_recent(t.d, 3, NULL); /* newest last */
	assert_string_equal(td_text(json_array_get(list, 0), "event.action"), "mode-change");
	assert_string_equal(td_text(json_array_get(list, 2), "event.action"), "policy-allow");
	json_decref(list);
	td_puts(&t, SL_REC_DENY, 250);
	for (unsigned i = 0; i < 5; i++) {
		sl_drain_poll(t.d);
		td_puts(&t, SL_REC_DENY, 250);
	}
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 5000, NULL);
	assert_int_equal(json_array_size(list), SL_DRAIN_RECENT);
	json_decref(list);
}

static void
test_append(void **state)
{
	struct sl_sink_conf c = file_conf();

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 3);
	sl_drain_free(t.d); /* takes what is there */
	assert_int_equal(td_lines(path), 3);
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 4);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(path), 7);
}

static void
test_rotate(void **state)
{
	struct sl_sink_conf c = file_conf();
	struct stat st;
	int total = 0;

	c.rotate_bytes = 20000;
	c.keep = 3;
	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 10; i++) {
		td_puts(&t, SL_REC_DENY, 10); /* of some 10 kB */
		sl_drain_poll(t.d);
		assert_int_equal(stat(path, &st), 0);
		assert_true(st.st_size <= 20000);
	}
	assert_int_equal(td_sink(&t, "file", "acked"), 100);
	assert_int_equal(td_lines(numbered(4)), -1);
	for (unsigned i = 1; i <= 3; i++) {
		assert_true(td_lines(numbered(i)) >= 10);
		total += td_lines(numbered(i));
	}
	total += td_lines(path);
	assert_true(total >= 40 && total <= 80);
	/* one line is longer than the limit: a file of its own, no endless loop */
	td_equation(&t);
}

static void
test_rotate_fails(void **state)
{
	struct sl_sink_conf c = file_conf();

	c.rotate_bytes = 4000;
	c.keep = 1;
	assert_int_equal(mkdir(numbered(1), 0700), 0); /* no file can take this name */
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 50);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(path), 50); /* it goes on in the same one */
	assert_true(td_sink(&t, "file", "errors") >= 1);
	assert_int_equal(td_sink(&t, "file", "acked"), 50);
	rmdir(numbered(1));
}

static void
test_reopen(void **state)
{
	struct sl_sink_conf c = file_conf();
	char moved[120];

	snprintf(moved, sizeof(moved), "%s.moved", path);
	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 5);
	sl_drain_poll(t.d);
	assert_int_equal(rename(path, moved), 0);
	td_puts(&t, SL_REC_DENY, 5);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(moved), 10);
	sl_drain_reopen(t.d);
	td_puts(&t, SL_REC_DENY, 6);
	sl_drain_poll(t.d);
	td_puts(&t, SL_REC_DENY, 1);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(moved) + td_lines(path), 17);
	assert_true(td_lines(path) >= 1);
}

static void
test_full(void **state)
{
	struct sl_sink_conf c = file_conf();
	uint64_t acked;

	signal(SIGXFSZ, SIG_IGN);
	td_start(&t, &c, 1);
	td_limit_files(50000);
	td_puts(&t, SL_REC_DENY, 100);
	sl_drain_poll(t.d);
	td_limit_files(RLIM_INFINITY);
	acked = td_sink(&t, "file", "acked");
	assert_true(acked > 20 && acked < 80);
	assert_int_equal(td_lines(path), acked); /* no part of a line */
	assert_int_equal(td_dropped(&t, "file", "no_space"), 100 - acked);
	td_equation(&t);
	td_puts(&t, SL_REC_DENY, 10);
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(path), acked + 10);
	t.mono += 11 * SL_NS_PER_S; /* what was dropped is told */
	t.wall += 11 * SL_NS_PER_S;
	sl_drain_poll(t.d);
	assert_int_equal(td_lines(path), acked + 11);
}

/* The writer waits for room as long as the flush window, then gives up; nothing else waits. */
static void
test_full_thread(void **state)
{
	char other[120];
	struct sl_sink_conf c[2] = {file_conf(), {.kind = SL_SINK_FILE, .name = "small"}};
	struct rlimit l;

	c[1].path = other;
	c[1].flush_ms = 300;
	c[1].queue_max = 200;
	snprintf(other, sizeof(other), "%s/small", t.dir);
	getrlimit(RLIMIT_FSIZE, &l);
	td_start(&t, c, 2);
	/* the limit is the process's: both files grow against it, but the first starts empty later
	 */
	td_limit_files(60000);
	td_puts(&t, SL_REC_DENY, 1000);
	td_wait(&t, "small", "drained", 1000);
	td_wait(&t, "small", "queued", 0);
	td_limit_files(l.rlim_cur);
	assert_true(td_dropped(&t, "small", "no_space") > 0);
	assert_int_equal(td_sink(&t, "small", "acked"), td_lines(other));
	td_equation(&t);
	td_puts(&t, SL_REC_DENY, 10);
	td_wait(&t, "small", "drained", 1010);
	td_wait(&t, "small", "queued", 0);
	assert_int_equal(td_sink(&t, "small", "acked"), td_lines(other));
	td_wait(&t, "file", "queued", 0);
	assert_int_equal(td_sink(&t, "file", "acked"), td_lines(path));
}

/* Short of room for a while: nothing is lost. */
static void
test_full_short(void **state)
{
	struct sl_sink_conf c = file_conf();

	c.flush_ms = 20000;
	td_start(&t, &c, 1);
	td_limit_files(30000);
	td_puts(&t, SL_REC_DENY, 100);
	td_wait_state(&t, "file", "down");
	assert_true(td_sink(&t, "file", "queued") > 0);
	td_limit_files(RLIM_INFINITY);
	td_wait(&t, "file", "acked", 100);
	td_wait_state(&t, "file", "up");
	assert_int_equal(td_lines(path), 100);
	assert_int_equal(td_sink(&t, "file", "dropped"), 0);
}

static void
test_threads(void **state)
{
	struct sl_sink_conf c = file_conf();
	uint64_t taken = 0, overwritten = 0;

	td_start(&t, &c, 1);
	for (unsigned i = 0; i < 50; i++) {
		td_puts(&t, SL_REC_DENY, 1000);
		usleep(5000);
		td_equation(&t);
		if (i == 25)
			sl_drain_reopen(t.d);
	}
	for (unsigned i = 0; i < 2000 && taken + overwritten != 50000; i++) {
		usleep(5000);
		taken = atomic_load(&t.ring->taken[SL_REC_DENY]);
		overwritten = atomic_load(&t.ring->overwritten[SL_REC_DENY]);
	}
	assert_int_equal(taken + overwritten, 50000);
	td_wait(&t, "file", "queued", 0);
	assert_int_equal(td_lines(path), td_sink(&t, "file", "acked"));
	if (overwritten == 0)
		assert_int_equal(td_lines(path), 50000);
}

/* More than the ring holds: the gap is told at once, and exact; so are those suppressed. */
static void
test_lost(void **state)
{
	struct sl_sink_conf c = file_conf();
	json_t *list, *status;
	const json_t *x;

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 256 + 44);
	sl_rec_suppressed(t.ring, SL_REC_DENY, 1000);
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 1000, "audit-lost");
	assert_int_equal(json_array_size(list), 1);
	x = json_array_get(list, 0);
	assert_int_equal(json_integer_value(td_get(x, "sluice.lost")),
			 300 - atomic_load(&t.ring->taken[SL_REC_DENY]));
	assert_int_equal(json_integer_value(td_get(x, "sluice.lcore")), 0);
	assert_string_equal(td_text(x, "event.dataset"), "sluice.audit");
	json_decref(list);
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 1000, "audit-");
	assert_int_equal(json_array_size(list), 1);
	json_decref(list);
	t.mono += 10 * SL_NS_PER_S;
	sl_drain_poll(t.d);
	t.mono += 10 * SL_NS_PER_S; /* nothing new: no second summary */
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 1000, "audit-summary");
	assert_int_equal(json_array_size(list), 1);
	x = json_array_get(td_get(json_array_get(list, 0), "sluice.types"), 0);
	assert_string_equal(td_text(x, "type"), sl_rec_type_text(SL_REC_DENY));
	assert_int_equal(json_integer_value(td_get(x, "suppressed")), 1000);
	assert_int_equal(json_integer_value(td_get(x, "lost")),
			 300 - atomic_load(&t.ring->taken[SL_REC_DENY]));
	json_decref(list);
	status = sl_drain_status(t.d);
	x = json_array_get(json_object_get(json_array_get(json_object_get(status, "lcores"), 0),
					   "types"),
			   SL_REC_DENY);
	assert_int_equal(json_integer_value(td_get(x, "recorded")), 300);
	assert_int_equal(json_integer_value(td_get(x, "suppressed")), 1000);
	assert_int_equal(json_integer_value(td_get(x, "in_ring")), 0);
	assert_int_equal(json_integer_value(td_get(x, "taken")) +
				 json_integer_value(td_get(x, "overwritten")),
			 300);
	assert_int_equal(json_integer_value(td_get(status, "own")), 2);
	json_decref(status);
	assert_int_equal(td_lines(path), td_sink(&t, "file", "acked"));
}

/* The time of a record is when it was written, not when it was taken. */
static void
test_time(void **state)
{
	struct sl_sink_conf c = file_conf();
	struct sl_rec r = td_record(SL_REC_DENY);
	json_t *list;

	td_start(&t, &c, 1);
	t.mono += 2 * SL_NS_PER_S;
	t.wall += 2 * SL_NS_PER_S;
	r.mono_ns = T_MONO + 500 * SL_NS_PER_MS;
	td_put(&t, &r);
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 1, NULL);
	assert_string_equal(td_text(json_array_get(list, 0), "@timestamp"),
			    "2025-11-20T09:14:03.721417Z");
	json_decref(list);
}

static void
refused(const struct sl_sink_conf *c, const char *reason, const char *at)
{
	struct sl_error e;

	t.conf.sinks = c;
	t.conf.n_sinks = 1;
	assert_null(sl_drain_new(&t.conf, &e));
	assert_string_equal(e.reason, reason);
	assert_string_equal(e.path, at);
}

static void
test_refused(void **state)
{
	struct sl_sink_conf c = file_conf();

	c.path = "/nonexistent/dir/file";
	refused(&c, "sink_file", "/audit/sinks/0/path");
	c.path = "relative";
	refused(&c, "sink_invalid", "/audit/sinks/0/path");
	c.path = "/dev/null"; /* not a file that can be cut or renamed */
	refused(&c, "sink_file", "/audit/sinks/0/path");
	c.path = t.dir;
	refused(&c, "sink_file", "/audit/sinks/0/path");
	c.path = path;
	c.rotate_bytes = 1000;
	refused(&c, "sink_invalid", "/audit/sinks/0/keep");
	c.kind = SL_SINK_SYSLOG_UDP;
	refused(&c, "sink_invalid", "/audit/sinks/0");
	t.conf.lockstep = false;
	refused(&c, "sink_invalid", "/audit/sinks/0/host");
	c.kind = SL_SINK_HTTP;
	c.url = "ftp://x/";
	refused(&c, "sink_invalid", "/audit/sinks/0/url");
	c.url = "http://user:secret@x/";
	refused(&c, "sink_invalid", "/audit/sinks/0/url");
	c.url = "http://127.0.0.1:9200/_bulk";
	refused(&c, "sink_invalid", "/audit/sinks/0/index");
	c.index = "sluice";
	c.auth_file = "/nonexistent";
	refused(&c, "sink_auth", "/audit/sinks/0/auth_file");
	c.auth_file = NULL;
	c.url = "https://127.0.0.1/";
	c.ca_file = "/nonexistent";
	refused(&c, "sink_tls", "/audit/sinks/0/ca_file");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lines, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_append, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_rotate, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_rotate_fails, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_reopen, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_full, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_full_thread, open_threads, close_all),
		cmocka_unit_test_setup_teardown(test_full_short, open_threads, close_all),
		cmocka_unit_test_setup_teardown(test_threads, open_threads, close_all),
		cmocka_unit_test_setup_teardown(test_lost, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_time, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_refused, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
