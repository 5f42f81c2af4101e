/* SPDX-License-Identifier: BSD-3-Clause */
/* The chain of admin records in a file sink's files: over rotation, restart, crashes and full
 * disks, and that what others do to the files is found. Flows are in no chain. */
#include "drain_test.h"
#include "file_end.h"

#include <fcntl.h>
#include <unistd.h>
#include <signal.h>
#include <sodium.h>
#include <sys/resource.h>
#include <sys/stat.h>

static struct tdrain t;
static char path[100], before[100];
static struct sl_sink_conf conf;
static struct sl_seal_report r;
static unsigned n_plain;

static int
open_all(void **state)
{
	td_init(&t, 256, true);
	snprintf(path, sizeof(path), "%s/audit.json", t.dir);
	snprintf(before, sizeof(before), "%s/audit.json.1", t.dir);
	conf = (struct sl_sink_conf){.kind = SL_SINK_FILE, .name = "file", .path = path};
	t.conf.state_dir = t.dir;
	return 0;
}

static int
open_threads(void **state)
{
	open_all(state);
	t.conf.lockstep = false;
	return 0;
}

static int
close_all(void **state)
{
	td_fini(&t);
	return 0;
}

static void
end(void)
{
	sl_drain_free(t.d);
	t.d = NULL;
}

static void
events(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		sl_drain_event(t.d, "authz-mode-set", "success",
			       json_pack("{s:{s:i, s:f}}", "sluice", "i", (int)i, "share", 0.5));
	if (t.conf.lockstep)
		sl_drain_poll(t.d);
}

/** The files' admin records by the library. @param second NULL: one file */
static int
verify(const char *first, const char *second)
{
	const char *files[] = {first, second};
	struct sl_seal_check *v = sl_seal_check_new(&(struct sl_seal_check_conf){0});
	char *text, *line, *next, place[32];
	int rc = 0, n = 0;

	t.e = (struct sl_error){0};
	n_plain = 0;
	for (unsigned i = 0; i < 2 && files[i] != NULL; i++) {
		text = td_read(files[i]);
		for (line = text; rc == 0 && *line != '\0'; line = next) {
			json_t *o;

			next = strchr(line, '\n') + 1;
			o = json_loadb(line, (size_t)(next - line), 0, NULL);
			snprintf(place, sizeof(place), "%d", ++n);
			n_plain += strcmp(td_text(o, "event.action"), "audit-seal") == 0;
			if (strcmp(td_text(o, "event.dataset"), "sluice.flow") != 0)
				rc = sl_seal_check_record(v, place, o, &t.e);
			else
				assert_null(td_get(o, "sluice.chain"));
			json_decref(o);
		}
		free(text);
	}
	if (rc == 0)
		rc = sl_seal_check_end(v, &r, &t.e);
	sl_seal_check_free(v);
	return rc;
}

/** @param plain how many of the records are seals and nothing else: all are signed */
static void
whole(const char *first, const char *second, unsigned records, unsigned plain)
{
	if (verify(first, second) != 0)
		fail_msg("%s", t.e.message);
	assert_int_equal(r.records, records);
	assert_int_equal(r.seals, records);
	assert_int_equal(n_plain, plain);
	assert_false(sl_seal_doubt(&r));
}

static void
test_mixed(void **state)
{
	json_t *s;

	td_start(&t, &conf, 1);
	td_puts(&t, SL_REC_DENY, 5);
	sl_drain_poll(t.d);
	assert_int_equal(verify(path, NULL), -EBADMSG); /* flows alone */
	events(3);
	td_puts(&t, SL_REC_DENY, 5);
	events(2);
	whole(path, NULL, 6, 1); /* with the first seal */
	assert_string_equal(r.why, "record");
	assert_int_equal(td_lines(path), 16);
	assert_int_equal(td_sink(&t, "file", "acked"), 16);
	td_equation(&t);
	s = sl_drain_status(t.d);
	assert_int_equal(strlen(td_text(s, "seal_key")), 44);
	json_decref(s);
	end();
	whole(path, NULL, 7, 2);
	assert_string_equal(r.why, "stop");
	assert_int_equal(r.unsigned_n, 0);
}

/** A file of a program that knew no chain. */
static void
test_older(void **state)
{
	t.conf.state_dir = NULL;
	td_start(&t, &conf, 1);
	events(3);
	end();
	t.conf.state_dir = t.dir;
	td_start(&t, &conf, 1);
	events(1);
	whole(path, NULL, 2, 1);
	assert_int_equal(r.loose, 3);
}

static void
test_minute(void **state)
{
	td_start(&t, &conf, 1);
	events(1);
	t.mono += 59 * SL_NS_PER_S;
	sl_drain_poll(t.d);
	whole(path, NULL, 2, 1);
	t.mono += 2 * SL_NS_PER_S;
	sl_drain_poll(t.d);
	whole(path, NULL, 3, 2);
	assert_string_equal(r.why, "checkpoint");
	t.mono += 3600 * SL_NS_PER_S;
	sl_drain_poll(t.d); /* nothing new */
	whole(path, NULL, 3, 2);
}

static void
forget(void)
{
	char cmd[200];

	snprintf(cmd, sizeof(cmd), "rm -f %s/audit-*.json", t.dir);
	assert_int_equal(system(cmd), 0);
}

static void
forget_key(void)
{
	char file[120];

	snprintf(file, sizeof(file), "%s/audit.key", t.dir);
	assert_int_equal(unlink(file), 0);
}

static void
test_restart(void **state)
{
	td_start(&t, &conf, 1);
	events(3);
	end();
	td_start(&t, &conf, 1);
	for (unsigned i = 0; i < 6; i++) { /* flows behind the last one, more than a block */
		td_puts(&t, SL_REC_DENY, 100);
		sl_drain_poll(t.d);
	}
	end();
	td_start(&t, &conf, 1);
	events(2);
	whole(path, NULL, 8, 3);
	end();
	/* without the place that was noted the file itself says where it ended */
	for (unsigned i = 0; i < 2; i++) {
		forget();
		if (i == 1) /* and the one before, if it is the first since a rotation */
			assert_int_equal(rename(path, before), 0);
		td_start(&t, &conf, 1);
		events(1);
		end();
	}
	assert_int_equal(verify(before, path), 0);
	assert_int_equal(r.records, 15);
	assert_int_equal(n_plain, 8);
	assert_int_equal(r.chains, 1);
	assert_int_equal(r.blind, 2); /* and that it knew no better */
}

static void
test_rotate(void **state)
{
	conf.rotate_bytes = 5000;
	conf.keep = 1;
	td_start(&t, &conf, 1);
	for (unsigned i = 0; i < 12; i++)
		events(1);
	assert_int_equal(access(before, F_OK), 0);
	if (verify(before, path) != 0)
		fail_msg("%s", t.e.message);
	assert_true(r.records >= 8);
	assert_int_equal(verify(path, NULL), 0); /* each file begins with a seal */
	assert_int_equal(verify(before, NULL), 0);
	assert_int_equal(r.unsigned_n, 0); /* and what is rotated ends with one */
	/* logrotate's way */
	conf.rotate_bytes = 0;
	assert_int_equal(rename(path, before), 0);
	sl_drain_reopen(t.d);
	events(2);
	if (verify(before, path) != 0)
		fail_msg("%s", t.e.message);
	assert_int_equal(verify(path, NULL), 0);
	assert_int_equal(r.records, 3);
	/* and copytruncate */
	assert_int_equal(truncate(path, 0), 0);
	events(1);
	whole(path, NULL, 2, 1);
}

static void
cut_tail(unsigned lines)
{
	char *text = td_read(path), *nl;

	while (lines-- > 0) {
		nl = strrchr(text, '\n');
		*nl = '\0';
	}
	nl = strrchr(text, '\n');
	nl[1] = '\0';
	td_write(path, text);
	free(text);
}

static void
test_cut(void **state)
{
	td_start(&t, &conf, 1);
	events(5);
	end();
	cut_tail(3); /* while nothing runs: the place that was noted tells */
	whole(path, NULL, 4, 1);
	td_start(&t, &conf, 1);
	events(1);
	assert_int_equal(verify(path, NULL), -EBADMSG);
	assert_non_null(strstr(t.e.message, "5: records 5 to 7 are missing"));
}

static void
test_crash(void **state)
{
	FILE *f;

	td_start(&t, &conf, 1);
	events(2);
	end();
	f = fopen(path, "a");
	fputs("{\"@timestamp\":\"20", f); /* what was left of a line */
	fclose(f);
	td_start(&t, &conf, 1);
	td_puts(&t, SL_REC_DENY, 1);
	sl_drain_poll(t.d);
	events(1);
	whole(path, NULL, 6, 3);
	assert_int_equal(td_lines(path), 7);
}

static void
append(const char *text)
{
	FILE *f = fopen(path, "a");

	fputs(text, f);
	fclose(f);
}

/** Records that fit behind the last one, as anybody can make them. */
static void
append_forged(unsigned n, const char *action)
{
	for (unsigned i = 0; i < n; i++) {
		json_t *o =
			json_pack("{s:s, s:{s:s, s:s}, s:{}}", "@timestamp", "2026-01-01T00:00:00Z",
				  "event", "dataset", "sluice.control", "action", action, "sluice");
		char *text;

		verify(path, NULL); /* whatever it says, it tells where the chain is */
		assert_int_equal(sl_seal_add(&r.head, o, NULL, NULL), 0);
		text = json_dumps(o, JSON_COMPACT);
		append(text);
		append("\n");
		free(text);
		json_decref(o);
	}
}

/** What somebody without the key appended is covered by no seal but one that says so. */
static void
test_appended(void **state)
{
	td_start(&t, &conf, 1);
	events(2);
	end();
	append_forged(2, "logging-set");
	assert_int_equal(verify(path, NULL), -EBADMSG);
	assert_non_null(strstr(t.e.message, "5: record 5 is not signed"));
	td_start(&t, &conf, 1);
	events(1);
	assert_int_equal(verify(path, NULL), -EBADMSG); /* and it stays so */
	assert_non_null(strstr(t.e.message, "5: record 5 is not signed"));
	assert_int_equal(r.unsealed, 2);
	assert_int_equal(r.last, 8);
	end();
	/* what does not fit is not gone on from */
	append("{\"event\":{\"dataset\":\"sluice.control\"},\"sluice\":{\"chain_n\":10,"
	       "\"chain\":\"00\"}}\n");
	td_start(&t, &conf, 1);
	events(1);
	assert_int_equal(verify(path, NULL), -EBADMSG);
}

/** A file whose chain signs once a minute, as programs of before left it when they were killed. */
static void
older_file(unsigned records)
{
	struct sl_seal_key key;
	char file[120];
	struct sl_seal_say say = {.why = "start"};
	struct sl_seal_chain at = {.n = 0};
	json_t *o = json_pack("{s:s, s:{s:s}, s:{}}", "@timestamp", "2026-01-01T00:00:00Z", "event",
			      "dataset", "sluice.audit", "sluice");
	char *text;

	snprintf(file, sizeof(file), "%s/audit.key", t.dir);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &key, &t.e), 0);
	sl_seal_chain_name(&at);
	assert_int_equal(sl_seal_add(&at, o, &say, &key), 0);
	text = json_dumps(o, JSON_COMPACT);
	append(text);
	append("\n");
	free(text);
	json_decref(o);
	append_forged(records, "authz-mode-set");
}

static void
test_killed(void **state)
{
	older_file(3);
	assert_int_equal(verify(path, NULL), 0);
	assert_int_equal(r.unsigned_n, 3);
	td_start(&t, &conf, 1);
	events(1);
	if (verify(path, NULL) != 0)
		fail_msg("%s", t.e.message);
	assert_int_equal(r.records, 6);
	assert_int_equal(r.unsealed, 3);
	assert_int_equal(r.blind, 1); /* there was no note either */
	assert_true(sl_seal_doubt(&r));
}

/** Without a note nobody knows whether the end was cut off, and a start says so. */
static void
test_no_note(void **state)
{
	td_start(&t, &conf, 1);
	events(2);
	end();
	forget();
	td_start(&t, &conf, 1);
	events(1);
	assert_int_equal(verify(path, NULL), 0);
	assert_int_equal(r.blind, 1);
	end();
	/* all that the file has is of somebody else: another chain begins, and is told */
	forget();
	td_write(path, "");
	older_file(1);
	forget_key();
	td_start(&t, &conf, 1);
	events(1);
	assert_int_equal(verify(path, NULL), -EBADMSG); /* two keys */
}

/** Of a file that never ends only the newest is read. */
static void
test_bounded(void **state)
{
	static char line[1 << 20];
	struct file_end end_of;
	struct sl_seal_key key;
	char file[120];
	int fd;

	older_file(0);
	memset(line, 'x', sizeof(line) - 2);
	line[sizeof(line) - 2] = '\n';
	for (unsigned i = 0; i < (FILE_END_BYTES >> 20) + 1; i++)
		append(line);
	snprintf(file, sizeof(file), "%s/audit.key", t.dir);
	assert_int_equal(sl_seal_key_read(file, &key, &t.e), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	file_end_read(fd, &key, NULL, &end_of);
	close(fd);
	assert_false(end_of.all);
	assert_int_equal(end_of.ours.n, 0);
	assert_true(end_of.whole != UINT64_MAX);
}

/** What the disk had no room for is not in the chain. */
static void
test_full(void **state)
{
	struct rlimit was, l;
	uint64_t acked;

	signal(SIGXFSZ, SIG_IGN);
	td_start(&t, &conf, 1);
	getrlimit(RLIMIT_FSIZE, &was);
	l = was;
	l.rlim_cur = 20000;
	setrlimit(RLIMIT_FSIZE, &l);
	events(60);
	setrlimit(RLIMIT_FSIZE, &was);
	acked = td_sink(&t, "file", "acked");
	assert_true(acked > 5 && acked < 60);
	assert_int_equal(td_lines(path), acked);
	td_equation(&t);
	events(3);
	whole(path, NULL, (unsigned)acked + 3, 1);
}

/** Seals go where files do not: there they are kept. */
static void
test_elsewhere(void **state)
{
	struct sl_sink_conf c[2] = {conf, conf};
	char other[120];
	json_t *list;

	snprintf(other, sizeof(other), "%s/other.json", t.dir);
	c[1].name = "other";
	c[1].path = other;
	td_start(&t, c, 2);
	events(2);
	sl_drain_poll(t.d);
	list = sl_drain_recent(t.d, 100, "audit-seal");
	assert_int_equal(json_array_size(list), 2);
	assert_int_equal(strlen(td_text(json_array_get(list, 0), "sluice.signature")), 88);
	json_decref(list);
	whole(path, NULL, 3, 1);
	whole(other, NULL, 3, 1);
}

/** What waits for a drain that gets no turn is bounded: more would be lost, and counted. */
static void
wait_drained(uint64_t n)
{
	for (unsigned i = 0; i < 20000 && td_sink(&t, "file", "drained") < n; i++)
		usleep(500);
}

static void
test_threads(void **state)
{
	td_start(&t, &conf, 1);
	for (unsigned i = 0; i < 50; i++) {
		events(20);
		td_puts(&t, SL_REC_DENY, 20);
		wait_drained(40 * i);
	}
	td_wait(&t, "file", "acked", 2001);
	end();
	whole(path, NULL, 1002, 2);
}

static void
test_key(void **state)
{
	char file[120];

	snprintf(file, sizeof(file), "%s/audit.key", t.dir);
	td_write(file, "no key\n");
	assert_int_equal(chmod(file, 0600), 0);
	t.conf.sinks = &conf;
	t.conf.n_sinks = 1;
	assert_null(sl_drain_new(&t.conf, &t.e));
	assert_string_equal(t.e.reason, "seal_key_invalid");
	t.conf.n_sinks = 0; /* who writes no file needs none */
	t.d = sl_drain_new(&t.conf, &t.e);
	assert_non_null(t.d);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mixed, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_older, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_minute, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_restart, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_rotate, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_cut, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_crash, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_appended, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_killed, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_no_note, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_bounded, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_full, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_elsewhere, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_threads, open_threads, close_all),
		cmocka_unit_test_setup_teardown(test_key, open_all, close_all),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
