/* SPDX-License-Identifier: BSD-3-Clause */
/* When records are being lost, and when no longer. */
#include "drain_test.h"

#include <fcntl.h>
#include <signal.h>

static struct tdrain t;
static char path[100], small[100];
static _Atomic bool losing;

static int
begin(bool lockstep)
{
	td_init(&t, 256, lockstep);
	atomic_store(&losing, false);
	t.conf.losing = &losing;
	snprintf(path, sizeof(path), "%s/audit.json", t.dir);
	snprintf(small, sizeof(small), "%s/small", t.dir);
	signal(SIGXFSZ, SIG_IGN);
	return 0;
}

static int
open_all(void **state)
{
	return begin(true);
}

static int
open_threads(void **state)
{
	return begin(false);
}

static int
close_all(void **state)
{
	td_limit_files(RLIM_INFINITY);
	td_fini(&t);
	return 0;
}

static struct sl_sink_conf
file_conf(const char *file)
{
	return (struct sl_sink_conf){.kind = SL_SINK_FILE, .name = file, .path = file};
}

/** Some time later, and once more for what the sinks did of it. */
static bool
after(unsigned s)
{
	t.mono += s * SL_NS_PER_S;
	t.wall += s * SL_NS_PER_S;
	sl_drain_poll(t.d);
	sl_drain_poll(t.d);
	return atomic_load(&losing);
}

static void
fill(const char *file, size_t bytes)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	while (bytes-- > 0)
		fputc('\n', f);
	fclose(f);
}

/* Under traffic: each record is a try. */
static void
test_full(void **state)
{
	struct sl_sink_conf c = file_conf(path);

	td_start(&t, &c, 1);
	assert_true(sl_drain_keeps(t.d));
	td_puts(&t, SL_REC_DENY, 10);
	assert_false(after(0));
	td_limit_files(100);
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(0));
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(6)); /* it goes on */
	td_limit_files(RLIM_INFINITY);
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(4)); /* not so soon */
	assert_false(after(2));
	assert_false(after(60));
}

/* Nobody sends: what tells of the losses is the try. */
static void
test_idle(void **state)
{
	struct sl_sink_conf c = file_conf(path);

	td_start(&t, &c, 1);
	td_limit_files(100);
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(0));
	for (unsigned i = 0; i < 20; i++)
		assert_true(after(11));
	td_limit_files(RLIM_INFINITY);
	assert_true(after(1)); /* no record came */
	assert_false(after(11) && after(6));
	assert_int_equal(td_lines(path), 1); /* the summary alone */
}

/* One that takes it all is enough. */
static void
test_two(void **state)
{
	struct sl_sink_conf c[2] = {file_conf(path), file_conf(small)};

	fill(small, 40000);
	td_start(&t, c, 2);
	td_limit_files(40000);
	td_puts(&t, SL_REC_DENY, 10);
	assert_false(after(0));
	assert_int_equal(td_dropped(&t, small, "no_space"), 10);
	td_limit_files(100);
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(0));
	td_limit_files(40000); /* there is room in the first one again */
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(after(1));
	assert_false(after(5));
}

/* Before any sink. */
static void
test_ring(void **state)
{
	struct sl_sink_conf c = file_conf(path);

	td_start(&t, &c, 1);
	td_puts(&t, SL_REC_DENY, 256);
	assert_false(after(0));
	td_puts(&t, SL_REC_DENY, 300);
	assert_true(after(0));
	assert_true(after(4));
	assert_false(after(1));
}

/* More events at once than are kept for a turn. */
static void
test_events(void **state)
{
	struct sl_sink_conf c = file_conf(path);

	td_start(&t, &c, 1);
	for (unsigned i = 0; i < DRAIN_PENDING; i++)
		sl_drain_event(t.d, "x", "success", NULL);
	assert_false(after(0));
	for (unsigned i = 0; i <= DRAIN_PENDING; i++)
		sl_drain_event(t.d, "x", "success", NULL);
	assert_true(after(0));
	assert_false(after(5));
}

static void
test_none(void **state)
{
	td_start(&t, NULL, 0);
	assert_false(sl_drain_keeps(t.d));
	assert_true(after(0));
	assert_true(after(60));
}

/* Replay and tests without the question. */
static void
test_nobody_asks(void **state)
{
	t.conf.losing = NULL;
	td_start(&t, NULL, 0);
	assert_true(sl_drain_keeps(t.d));
	assert_false(after(0));
}

static bool
becomes(bool want)
{
	for (unsigned ms = 0; ms < 10000 && atomic_load(&losing) != want; ms += 5)
		usleep(5000);
	return atomic_load(&losing) == want;
}

/* A datagram that nobody takes is no error. */
static void
test_udp(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_UDP,
				 .name = "udp",
				 .host = "127.0.0.1",
				 .port = 9};

	td_start(&t, &c, 1);
	assert_false(sl_drain_keeps(t.d));
	assert_true(becomes(true));
}

/* A receiver that is away loses nothing as long as its queue has room. */
static void
test_away(void **state)
{
	struct sl_sink_conf c = {.kind = SL_SINK_SYSLOG_TCP,
				 .name = "tcp",
				 .host = "127.0.0.1",
				 .port = 9,
				 .queue_max = 100};

	td_start(&t, &c, 1);
	assert_true(sl_drain_keeps(t.d));
	td_puts(&t, SL_REC_DENY, 100);
	td_wait(&t, "tcp", "queued", 100);
	td_wait_state(&t, "tcp", "down");
	assert_false(atomic_load(&losing));
	td_puts(&t, SL_REC_DENY, 1);
	assert_true(becomes(true));
}

int
main(void)
{
#define T(t, open) cmocka_unit_test_setup_teardown(t, open, close_all)
	const struct CMUnitTest tests[] = {
		T(test_full, open_all),	       T(test_idle, open_all),
		T(test_two, open_all),	       T(test_ring, open_all),
		T(test_events, open_all),      T(test_none, open_all),
		T(test_nobody_asks, open_all), T(test_udp, open_threads),
		T(test_away, open_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
