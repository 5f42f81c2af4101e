/* SPDX-License-Identifier: BSD-3-Clause */
/* kill -9 at each step and at random times: the store opens, is whole, and has all of a transaction
 * or nothing. A full disk: an error, and the old state serves. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "../next_random.h"
#include "sl_log.h"
#include "store_test.h"

#define PEERS 8

/** Every peer and the setting say the same number: whether a transaction is there as a whole can be
 * seen. */
static int
write_round(struct sl_store *s, unsigned n, uint64_t *seq)
{
	struct fixture f = {.s = s};
	struct sl_store_txn *t = begin(&f);
	char id[16], more[40], text[PEER_TEXT];

	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		snprintf(more, sizeof(more), "'keepalive_s': %u", n);
		must_put(&f, t, SL_KIND_PEER, id, peer_text(i, more, text));
	}
	/* one that comes and goes with each second round */
	if (n % 2 == 1)
		must_put(&f, t, SL_KIND_PEER, "odd", peer_text(99, "", text));
	else if (sl_store_del(t, SL_KIND_PEER, "odd", SL_REV_ANY, &f.e) < 0 && n > 0)
		return -1;
	snprintf(text, sizeof(text), "{'value': %u}", n);
	must_put(&f, t, SL_KIND_SETTING, "round", text);
	return sl_store_commit(t, seq, &f.e);
}

/** @return the round that the store holds */
static unsigned
read_round(struct fixture *f)
{
	unsigned n, k;
	json_t *body = NULL;
	char id[16];

	must_verify(f);
	assert_int_equal(sl_store_get(f->s, SL_KIND_SETTING, "round", NULL, &body), 0);
	n = (unsigned)json_integer_value(json_object_get(body, "value"));
	json_decref(body);
	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		assert_int_equal(sl_store_get(f->s, SL_KIND_PEER, id, NULL, &body), 0);
		k = (unsigned)json_integer_value(json_object_get(body, "keepalive_s"));
		json_decref(body);
		assert_int_equal(k, n);
	}
	assert_int_equal(sl_store_get(f->s, SL_KIND_PEER, "odd", NULL, NULL), n % 2 ? 0 : -ENOENT);
	return n;
}

static void
setup(struct fixture *f)
{
	fixture_begin(f, SL_STORE_PRIMARY);
	put_one(f, SL_KIND_INTERFACE, "wg0", "{}");
	assert_int_equal(write_round(f->s, 0, NULL), 0);
	assert_int_equal(read_round(f), 0);
}

struct trap {
	unsigned left;
};

static void
spring(void *ctx, const char *at)
{
	struct trap *t = ctx;

	if (t->left-- == 0)
		raise(SIGKILL);
}

/** @return true if the child came to its end alive */
static bool
child_ended(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status)) {
		assert_int_equal(WTERMSIG(status), SIGKILL);
		return false;
	}
	assert_int_equal(WEXITSTATUS(status), 0);
	return true;
}

static void
test_each_step(void **state)
{
	struct fixture f;
	struct trap trap;
	unsigned steps = 0, before, after;
	bool ended = false;
	pid_t pid;

	setup(&f);
	while (!ended) {
		before = read_round(&f);
		sl_store_close(f.s);
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			f.s = sl_store_open(f.path, SL_STORE_WRITE, &f.e);
			trap.left = steps;
			f.s->step = spring;
			f.s->step_ctx = &trap;
			_exit(write_round(f.s, before + 1, NULL) == 0 ? 0 : 1);
		}
		ended = child_ended(pid);
		fixture_open(&f);
		after = read_round(&f);
		assert_true(after == before || after == before + 1);
		/* after the commit it is there, before it it is not */
		if (ended)
			assert_int_equal(after, before + 1);
		steps++;
	}
	assert_true(steps > PEERS + 4);
	fixture_end(&f);
}

/* --- a follower ------------------------------------------------------------------------------- */

static bool
keep_row(void *ctx, uint64_t seq, json_t *txn)
{
	json_array_append(ctx, txn);
	return true;
}

static bool
keep_object(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_array_append_new(ctx, json_pack("{s:s, s:s, s:I, s:o}", "kind", sl_kind_name(k), "id",
					     id, "rev", (json_int_t)rev, "obj",
					     json_loadb(text, len, 0, NULL)));
	return true;
}

/** What a follower may be given: a row of the log, a snapshot, the promotion. */
struct gift {
	json_t *row, *objects;
	struct sl_epoch epoch;
	struct sl_hash_sum sum;
	uint64_t head;
	char chain[SL_CHAIN_STR];
};

static int
give_row(struct sl_store *s, const struct gift *g, struct sl_error *e)
{
	return sl_store_follow(s, g->row, e);
}

static int
give_snapshot(struct sl_store *s, const struct gift *g, struct sl_error *e)
{
	int rc = sl_store_load_begin(s, &g->epoch, g->head, g->chain, e);

	if (rc == 0)
		rc = sl_store_load_part(s, g->objects, e);
	return rc == 0 ? sl_store_load_end(s, json_array_size(g->objects), &g->sum, e) : rc;
}

static int
give_promotion(struct sl_store *s, const struct gift *g, struct sl_error *e)
{
	return sl_store_promote(s, e);
}

/** @return how many steps it has */
static unsigned
kill_follower(struct fixture *f,
	      int (*give)(struct sl_store *, const struct gift *, struct sl_error *),
	      const struct gift *g, uint64_t head_after)
{
	struct sl_epoch epoch;
	struct trap trap;
	unsigned steps = 0;
	bool ended = false;
	uint64_t head;
	pid_t pid;

	while (!ended) {
		head = sl_store_head(f->s);
		sl_store_close(f->s);
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			f->s = sl_store_open(f->path, SL_STORE_WRITE, &f->e);
			trap.left = steps;
			f->s->step = spring;
			f->s->step_ctx = &trap;
			_exit(give(f->s, g, &f->e) == 0 ? 0 : 1);
		}
		ended = child_ended(pid);
		fixture_open(f);
		read_round(f);
		sl_store_epoch(f->s, &epoch);
		assert_int_equal(sl_store_head(f->s), ended ? head_after : head);
		/* role and epoch change together */
		assert_int_equal(epoch.number > g->epoch.number,
				 sl_store_role(f->s) == SL_STORE_PRIMARY);
		steps++;
	}
	return steps;
}

static void
gather(struct fixture *p, struct gift *g)
{
	json_t *rows = json_array();
	struct sl_store_snap *snap = sl_store_snap_open(p->s, &p->e);

	json_decref(g->row);
	json_decref(g->objects);
	sl_store_log_read(p->s, sl_store_head(p->s), keep_row, rows, &p->e);
	g->row = json_incref(json_array_get(rows, 0));
	json_decref(rows);
	g->objects = json_array();
	while (sl_store_snap_next(snap, 100, keep_object, g->objects) > 0)
		;
	sl_store_snap_pos(snap, &g->epoch, &g->head, g->chain);
	sl_store_snap_close(snap);
	sl_store_sum(p->s, &g->sum);
}

static void
test_follower_steps(void **state)
{
	struct fixture p, f;
	struct gift g = {0};

	setup(&p);
	fixture_begin(&f, SL_STORE_FOLLOWER);
	gather(&p, &g);
	assert_int_equal(give_snapshot(f.s, &g, &f.e), 0);
	assert_int_equal(write_round(p.s, 1, NULL), 0);
	gather(&p, &g);
	assert_true(kill_follower(&f, give_row, &g, 3) > 1);
	assert_int_equal(read_round(&f), 1);
	assert_int_equal(write_round(p.s, 2, NULL), 0);
	assert_int_equal(write_round(p.s, 3, NULL), 0);
	gather(&p, &g);
	assert_true(kill_follower(&f, give_snapshot, &g, 5) > 1);
	assert_int_equal(read_round(&f), 3);
	assert_true(kill_follower(&f, give_promotion, &g, 5) > 1);
	assert_int_equal(sl_store_role(f.s), SL_STORE_PRIMARY);
	json_decref(g.row);
	json_decref(g.objects);
	fixture_end(&f);
	fixture_end(&p);
}

/* --- at any time ------------------------------------------------------------------------------ */

static uint64_t
seed(void)
{
	const char *text = getenv("SL_SEED");
	uint64_t s = text != NULL ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	printf("SL_SEED=%" PRIu64 "\n", s);
	return s;
}

static void
nap_us(uint64_t us)
{
	nanosleep(&(struct timespec){(time_t)(us / 1000000), (long)(us % 1000000) * 1000}, NULL);
}

static void
write_for_ever(const char *path, int fd)
{
	struct fixture f = {.now = NOW};
	uint64_t seq = 0;

	f.s = sl_store_open(path, SL_STORE_WRITE, &f.e);
	if (f.s == NULL)
		_exit(1);
	for (unsigned n = read_round(&f) + 1;; n++) {
		if (write_round(f.s, n % 60000, &seq) < 0 ||
		    write(fd, &seq, sizeof(seq)) != sizeof(seq))
			_exit(1);
	}
}

/** What was told to be committed is there, whenever the end comes. */
static void
test_random_times(void **state)
{
	uint64_t random = seed(), told, seq;
	struct fixture f;
	unsigned rounds = 0;
	int fd[2];
	pid_t pid;

	setup(&f);
	for (unsigned i = 0; i < 25; i++) {
		told = sl_store_head(f.s);
		sl_store_close(f.s);
		assert_int_equal(pipe(fd), 0);
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fd[0]);
			write_for_ever(f.path, fd[1]);
		}
		close(fd[1]);
		nap_us(30000 + next_random(&random) % 150000);
		kill(pid, SIGKILL);
		assert_false(child_ended(pid));
		for (; read(fd[0], &seq, sizeof(seq)) == sizeof(seq); told = seq)
			rounds++;
		close(fd[0]);
		fixture_open(&f);
		read_round(&f);
		assert_in_range(sl_store_head(f.s), told, told + 1);
	}
	printf("%u transactions under 25 kills\n", rounds);
	assert_true(rounds > 0);
	fixture_end(&f);
}

/** A restore that is cut short leaves the one store or the other. */
static void
test_restore_cut(void **state)
{
	uint64_t random = seed(), took_us;
	unsigned done = 0, cut = 0, n;
	struct timespec a, b;
	struct fixture f;
	char backup[128];
	pid_t pid;

	setup(&f);
	snprintf(backup, sizeof(backup), "%s/backup.db", f.dir);
	assert_int_equal(sl_store_backup(f.path, backup, &f.e), 0);
	sl_store_close(f.s);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(sl_store_restore(f.path, backup, NULL, &f.e), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	took_us = (uint64_t)((b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000);
	fixture_open(&f);
	for (unsigned i = 0; i < 30; i++) {
		assert_int_equal(write_round(f.s, 5, NULL), 0);
		sl_store_close(f.s);
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(sl_store_restore(f.path, backup, NULL, &f.e) == 0 ? 0 : 1);
		nap_us(next_random(&random) % (took_us * 3));
		kill(pid, SIGKILL);
		if (child_ended(pid))
			done++;
		else
			cut++;
		fixture_open(&f);
		n = read_round(&f);
		assert_true(n == 0 || n == 5);
	}
	printf("%u restores, %u cut short\n", done, cut);
	assert_int_equal(sl_store_role(f.s), SL_STORE_PRIMARY);
	fixture_end(&f);
}

/** Backups of one moment each, while another process commits without a pause. */
static void
test_backup_meanwhile(void **state)
{
	struct fixture f, copy;
	unsigned first = 0, last = 0;
	int fd[2];
	pid_t pid;

	setup(&f);
	copy = f;
	assert_int_equal(pipe(fd), 0);
	fflush(NULL);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		write_for_ever(f.path, fd[1]);
	for (unsigned i = 0; i < 6; i++) {
		nap_us(50000);
		snprintf(copy.path, sizeof(copy.path), "%s/backup-%u.db", f.dir, i);
		if (sl_store_backup(f.path, copy.path, &f.e) < 0)
			fail_msg("backup: %s: %s", f.e.reason, f.e.message);
		fixture_open(&copy);
		last = read_round(&copy);
		first = i == 0 ? last : first;
		sl_store_close(copy.s);
	}
	kill(pid, SIGKILL);
	assert_false(child_ended(pid));
	close(fd[0]);
	close(fd[1]);
	assert_true(last > first); /* it did commit meanwhile */
	read_round(&f);
	fixture_end(&f);
}

static void
limit_files(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes == 0 ? l.rlim_max : bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/** No file may grow further: the transaction fails with a reason, what was there serves, and goes
 * on once there is room. */
static void
test_no_room(void **state)
{
	struct fixture f;
	struct sl_store_txn *t;
	char id[16], text[PEER_TEXT], wal[112];
	struct stat st;
	int rc = 0;

	signal(SIGXFSZ, SIG_IGN);
	setup(&f);
	snprintf(wal, sizeof(wal), "%s-wal", f.path);
	assert_int_equal(stat(wal, &st), 0);
	limit_files((rlim_t)st.st_size + 8192);
	t = begin(&f);
	for (unsigned i = 100; i < 3000 && rc == 0; i++) {
		snprintf(id, sizeof(id), "p%u", i);
		rc = put(&f, t, SL_KIND_PEER, id, peer_text(i, "", text));
	}
	if (rc == 0)
		rc = sl_store_commit(t, NULL, &f.e);
	else
		sl_store_abort(t);
	limit_files(0);
	assert_true(rc == -EIO || rc == -ENOSPC);
	assert_true(f.e.hint[0] != '\0');
	assert_int_equal(read_round(&f), 0);
	assert_int_equal(sl_store_count(f.s, SL_KIND_PEER), PEERS);
	assert_int_equal(write_round(f.s, 1, NULL), 0);
	sl_store_close(f.s);
	fixture_open(&f);
	assert_int_equal(read_round(&f), 1);
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_step),	 cmocka_unit_test(test_follower_steps),
		cmocka_unit_test(test_random_times),	 cmocka_unit_test(test_restore_cut),
		cmocka_unit_test(test_backup_meanwhile), cmocka_unit_test(test_no_room),
	};

	sl_log_set_level(SL_LOG_ERR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
