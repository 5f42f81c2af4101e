/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions from reports: what opens, prolongs and ends them, across gateways, restarts and silence;
 * and a model that knows every data packet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_sessions.h"

#define T0 1800000000

static sqlite3 *db;
static struct sl_sessions *s;

static int
setup(void **state)
{
	struct sl_error e;

	(void)state;
	assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
	s = sl_sessions_new(db, &e);
	return s ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	sl_sessions_free(s);
	sqlite3_close(db);
	return 0;
}

static void
report(const char *gateway, const char *boot, int64_t now, uint64_t rx, uint64_t tx,
       int64_t data_age, int64_t shake_age)
{
	struct sl_peer_stat p = {.peer = "alice",
				 .rx = rx,
				 .tx = tx,
				 .data_age_s = data_age,
				 .handshake_age_s = shake_age,
				 .country = "JP",
				 .asn = 2516};
	struct sl_error e;

	assert_int_equal(sl_sessions_report(s, gateway, boot, &p, 1, now, &e), 0);
}

struct seen {
	unsigned n;
	struct sl_session v[1000];
	char gateways[128];
};

static bool
note(void *ctx, const struct sl_session *v)
{
	struct seen *all = ctx;

	if (all->n == 0)
		snprintf(all->gateways, sizeof(all->gateways), "%s", v->gateways);
	all->v[all->n++] = *v;
	return all->n < 1000;
}

static struct seen *
sessions(int64_t now)
{
	static struct seen all;
	struct sl_session_filter f = {0};
	struct sl_error e;

	all.n = 0;
	assert_int_equal(sl_sessions_walk(s, &f, now, note, &all, &e), 0);
	return &all;
}

static void
tick(int64_t now)
{
	struct sl_error e;

	assert_true(sl_sessions_tick(s, now, &e) >= 0);
}

static void
opens_and_ends(void **state)
{
	struct seen *all;

	(void)state;
	report("gw1", "b1", T0, 100, 200, 2, 5);
	report("gw1", "b1", T0 + 10, 150, 200, 1, 15);
	tick(T0 + 10);
	all = sessions(T0 + 10);
	assert_int_equal(all->n, 1);
	assert_int_equal(all->v[0].state, SL_SESSION_OPEN);
	assert_int_equal(all->v[0].started_s, T0 - 2);
	assert_int_equal(all->v[0].last_s, T0 + 9);
	assert_int_equal(all->v[0].rx, 150);
	assert_int_equal(all->v[0].asn, 2516);
	tick(T0 + 9 + 599);
	assert_int_equal(sl_sessions_open(s), 1);
	tick(T0 + 9 + 600);
	all = sessions(T0 + 700);
	assert_int_equal(all->v[0].state, SL_SESSION_CLOSED);
	assert_int_equal(all->v[0].ended_s, T0 + 9);
	/* data again: another session */
	report("gw1", "b1", T0 + 1000, 151, 200, 0, 15);
	assert_int_equal(sessions(T0 + 1000)->n, 2);
}

static void
handshakes_do_not_count(void **state)
{
	(void)state;
	for (int i = 0; i < 200; i++) /* keepalives keep handshakes young for ever */
		report("gw1", "b1", T0 + 10 * i, 0, 0, -1, i % 12 * 10);
	assert_int_equal(sessions(T0 + 2000)->n, 0);
	report("gw1", "b1", T0 + 2000, 10, 10, 0, 0);
	for (int i = 1; i < 100; i++) {
		report("gw1", "b1", T0 + 2000 + 10 * i, 10, 10, 10 * i + i % 3, i % 12 * 10);
		tick(T0 + 2000 + 10 * i);
	}
	assert_int_equal(sessions(T0 + 3000)->n, 1);
	assert_int_equal(sessions(T0 + 3000)->v[0].state, SL_SESSION_CLOSED);
	assert_int_equal(sl_sessions_open(s), 0);
}

static void
across_gateways(void **state)
{
	struct seen *all;

	(void)state;
	report("gw1", "b1", T0, 100, 0, 0, 0);
	report("gw2", "c1", T0 + 300, 50, 0, 0, 0);
	report("gw2", "c1", T0 + 700, 60, 0, 0, 0); /* gw1 alone would have ended by now */
	tick(T0 + 700);
	all = sessions(T0 + 700);
	assert_int_equal(all->n, 1);
	assert_string_equal(all->gateways, "gw1,gw2");
	assert_int_equal(all->v[0].rx, 160);
	/* a gateway that starts anew counts from zero */
	report("gw1", "b2", T0 + 800, 7, 0, 0, 0);
	assert_int_equal(sessions(T0 + 800)->v[0].rx, 167);
	/* counters that fall without a new boot are not believed to be a difference */
	report("gw1", "b2", T0 + 810, 3, 0, 0, 0);
	assert_int_equal(sessions(T0 + 810)->v[0].rx, 170);
}

static void
silence(void **state)
{
	struct sl_error e;

	(void)state;
	report("gw1", "b1", T0, 100, 0, 0, 0);
	assert_int_equal(sessions(T0 + 59)->v[0].state, SL_SESSION_OPEN);
	assert_int_equal(sessions(T0 + 60)->v[0].state, SL_SESSION_UNKNOWN);
	assert_int_equal(sl_sessions_report(s, "gw1", "b1", NULL, 0, T0 + 70, &e),
			 0); /* nothing changed */
	assert_int_equal(sessions(T0 + 70)->v[0].state, SL_SESSION_OPEN);
	tick(T0 + 601);
	assert_int_equal(sessions(T0 + 601)->v[0].state, SL_SESSION_CLOSED);
	assert_int_equal(sessions(T0 + 601)->v[0].ended_s, T0);
	/* a report that comes very late, of data long past, opens nothing */
	report("gw2", "b1", T0 + 5000, 9, 0, 900, 0);
	assert_int_equal(sessions(T0 + 5000)->n, 1);
}

static bool
sum(void *ctx, int64_t hour, uint64_t rx, uint64_t tx)
{
	uint64_t *n = ctx;

	assert_int_equal(hour % 3600, 0);
	n[0] += rx;
	n[1] += tx;
	n[2]++;
	return true;
}

static void
usage_and_seen(void **state)
{
	int64_t data, shake;
	uint64_t n[3] = {0};
	struct sl_error e;

	(void)state;
	for (int i = 0; i < 10; i++)
		report("gw1", "b1", T0 + 1800 * i, 100u * (unsigned)(i + 1), 7, 0, 1);
	assert_int_equal(sl_sessions_usage(s, "alice", T0, T0 + 86400, sum, n, &e), 0);
	assert_int_equal(n[0], 1000);
	assert_int_equal(n[1], 7);
	assert_in_range(n[2], 5, 6);
	assert_int_equal(sl_sessions_seen(s, "alice", &data, &shake), 0);
	assert_int_equal(data, T0 + 16200);
	assert_int_equal(shake, T0 + 16199);
	assert_int_equal(sl_sessions_seen(s, "bob", &data, &shake), -ENOENT);
	tick(T0 + 100000);
	assert_true(sl_sessions_prune(s, T0 + 90000, &e) > 0);
	assert_int_equal(sessions(T0 + 100000)->n, 0);
}

/** Data packets at random seconds at two gateways, reports every 10 s; the model knows each second.
 */
static void
model(void **state)
{
	unsigned seed = 20261126;
	static int64_t packets[2000];
	int64_t last[2] = {0, 0};
	uint64_t rx[2] = {0, 0};
	unsigned n = 0, want = 0;
	struct seen *all;

	(void)state;
	for (int64_t t = 0, next = 5; t < 60000; t++) {
		if (t == next) {
			unsigned g = rand_r(&seed) % 2;

			packets[n++] = T0 + t;
			last[g] = T0 + t;
			rx[g]++;
			/* gaps around the limit, and far from it; never nearer to it than reports
			 * round */
			next += rand_r(&seed) % 3 ? 1 + rand_r(&seed) % 590
						  : 640 + rand_r(&seed) % 2000;
		}
		for (unsigned g = 0; g < 2; g++)
			if (t % 10 == (int64_t)g * 3)
				report(g ? "gw2" : "gw1", "b", T0 + t, rx[g], 0,
				       last[g] ? T0 + t - last[g] : -1, 3);
		if (t % 5 == 0)
			tick(T0 + t);
	}
	tick(T0 + 70000);
	for (unsigned i = 0; i < n; i++)
		want += i == 0 || packets[i] - packets[i - 1] >= 600;
	all = sessions(T0 + 70000);
	assert_int_equal(all->n, want);
	for (unsigned i = 0, k = all->n; i < n; i++) { /* newest first */
		if (i == 0 || packets[i] - packets[i - 1] >= 600)
			k--;
		assert_in_range(packets[i], all->v[k].started_s, all->v[k].ended_s);
	}
	assert_int_equal(all->v[0].ended_s, packets[n - 1]);
}

/** Of a peer at one gateway: what that one told last, and how old the news is. */
static void
by_gateway(void **state)
{
	struct sl_peer_at at;
	struct sl_error e;

	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_false(at.told);
	assert_int_equal(at.gateway_s, 0);
	report("gw1", "b1", T0, 100, 200, 5, 9);
	report("gw2", "b2", T0 + 1, 7, 0, -1, 3);
	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_true(at.told);
	assert_int_equal(at.rx, 100);
	assert_int_equal(at.tx, 200);
	assert_int_equal(at.data_s, T0 - 5);
	assert_int_equal(at.handshake_s, T0 - 9);
	assert_int_equal(at.gateway_s, T0);
	assert_int_equal(sl_sessions_at(s, "gw2", "alice", &at, &e), 0);
	assert_int_equal(at.rx, 7);
	assert_int_equal(at.data_s, 0);
	assert_int_equal(at.handshake_s, T0 - 2);
	report("gw1", "b1", T0 + 10, 150, 200, 0, 18); /* the same handshake, to the second or so */
	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_int_equal(at.handshake_s, T0 - 9);
	report("gw1", "b1", T0 + 130, 160, 200, 0, 1);
	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_int_equal(at.handshake_s, T0 + 129);
	report("gw1", "b9", T0 + 140, 1, 2, 0, -1); /* it began anew: no handshake yet */
	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_int_equal(at.rx, 1);
	assert_int_equal(at.handshake_s, T0 + 129);
	assert_int_equal(sl_sessions_at(s, "gw1", "bob", &at, &e), 0);
	assert_false(at.told);
	assert_int_equal(at.gateway_s, T0 + 140);
	assert_int_equal(sl_sessions_forget(s, "alice", &e), 0);
	assert_int_equal(sl_sessions_at(s, "gw1", "alice", &at, &e), 0);
	assert_false(at.told);
	assert_int_equal(at.handshake_s, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(opens_and_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(handshakes_do_not_count, setup, teardown),
		cmocka_unit_test_setup_teardown(across_gateways, setup, teardown),
		cmocka_unit_test_setup_teardown(silence, setup, teardown),
		cmocka_unit_test_setup_teardown(usage_and_seen, setup, teardown),
		cmocka_unit_test_setup_teardown(by_gateway, setup, teardown),
		cmocka_unit_test_setup_teardown(model, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
