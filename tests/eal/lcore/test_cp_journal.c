/* SPDX-License-Identifier: BSD-3-Clause */
/* What the gateway acknowledged since its boot cache was written, after it died: whole, cut off,
 * harmed. */
#include "cp_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void
four_transactions(void)
{
	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	cx_txn(11, CX_PUT_BOB(5, ",'enabled':false"));
	cx_txn(12, CX_PUT_BOB(6, ",'enabled':false,'keepalive_s':7"));
	cx_txn(14, "{'op':'del','kind':'peer','id':'alice','rev':9}");
	cx_acked();
	cx_txn(15, CX_PUT_BOB(7, ",'enabled':false,'keepalive_s':8"));
	cx_acked();
	cx_die();
}

static void
serve_from_cache(void)
{
	cx_later(4);
	cx_turns(1000);
	assert_true(cx.cp->stale_config);
}

static off_t
size_of(const char *name)
{
	struct stat st;
	char path[128];

	cx_state_path(name, path);
	return stat(path, &st) == 0 ? st.st_size : -1;
}

/* What was acknowledged is known after a crash: a suspension, a deletion, whatever it was. */
static void
test_journal(void **state)
{
	struct sl_gw_peer_info i;

	four_transactions();
	assert_true(size_of("control-journal") > 0);
	cx_restart();
	assert_int_equal(cx.cp->seq, 15);
	serve_from_cache();
	assert_true(cx_peer("bob", &i));
	assert_false(i.enabled);
	assert_int_equal(i.keepalive_s, 8);
	assert_false(cx_has_peer("alice"));
	/* it goes on where it was, and the next cache holds it all */
	cx_txn(16, CX_PUT_BOB(8, ""));
	cx_later(1);
	cx_turns(1000);
	assert_int_equal(size_of("control-journal"), 0);
	cx_restart();
	assert_int_equal(cx.cp->seq, 16);
}

static bool
revoked_has(const char *id)
{
	char path[128], line[256], end[64];
	bool found = false;
	FILE *f;

	cx_state_path("control-revoked", path);
	snprintf(end, sizeof(end), " %s\n", id);
	f = fopen(path, "r");
	while (f != NULL && fgets(line, sizeof(line), f) != NULL)
		found |= line[0] == '+' && strstr(line, end) != NULL;
	if (f != NULL)
		fclose(f);
	return found;
}

/* Whenever the gateway dies: the disk knows of a deletion before it knows that the peer is gone. */
static void
test_journal_behind_deletions(void **state)
{
	json_t *t = json_pack("{s:I, s:I, s:s, s:[{s:s, s:s, s:s, s:i}]}", "seq", (json_int_t)12,
			      "prev", (json_int_t)11, "chain", "b2b:01", "ops", "op", "del", "kind",
			      "peer", "id", "bob", "rev", 9);
	off_t before;

	cx_snapshot(10, CX_BASE);
	cx_txn(11, CX_PUT_BOB(8, "")); /* the journal begins */
	before = size_of("control-journal");
	assert_true(before > 0);
	assert_int_equal(cp_sub_ops.txn(cx.cp, t, &cx.f->e), 0);
	json_decref(t);
	for (unsigned i = 0; i < 500 && size_of("control-journal") == before; i++) {
		usleep(20000); /* for the helper */
		assert_true(size_of("control-journal") == before || revoked_has("bob"));
		sl_cp_poll(cx.cp);
	}
	assert_true(size_of("control-journal") > before);
	assert_true(revoked_has("bob"));
}

/* A snapshot is acknowledged when it is in the cache: what it revokes is not forgotten either. */
static void
test_snapshot_is_kept(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_die();
	cx_restart();
	assert_int_equal(cx.cp->seq, 10);
	cx_snapshot(20, CX_IFACE CX_POLICY CX_ALICE);
	cx_die();
	cx_restart();
	assert_int_equal(cx.cp->seq, 20);
	serve_from_cache();
	assert_true(cx_has_peer("alice"));
	assert_false(cx_has_peer("bob"));
}

/* Cut off in the middle of the last record, which was not acknowledged then. */
static void
test_journal_cut(void **state)
{
	struct sl_gw_peer_info i;
	char path[128];

	four_transactions();
	cx_state_path("control-journal", path);
	assert_int_equal(truncate(path, size_of("control-journal") - 3), 0);
	cx_restart();
	assert_int_equal(cx.cp->seq, 14);
	serve_from_cache();
	assert_true(cx_peer("bob", &i));
	assert_int_equal(i.keepalive_s, 7);
	assert_false(cx_has_peer("alice"));
	/* what comes after that is not added behind the piece */
	cx_txn(15, CX_PUT_BOB(7, ",'enabled':false,'keepalive_s':9"));
	cx_acked();
	cx_die();
	cx_restart();
	assert_int_equal(cx.cp->seq, 15);
}

/* What was acknowledged is not all there: it knows where it was, and waits for all of it. */
static void
serves_nobody(void)
{
	json_t *t = cx_json("{'seq':99,'prev':15,'chain':'b2b:99','ops':[]}");

	assert_true(cx.cp->cache_hole);
	cx_later(4);
	cx_turns(1000);
	assert_false(cx.cp->stale_config);
	cp_sub_ops.state(cx.cp, true, 0, NULL);
	cx_later(4);
	cx_turns(1000);
	assert_int_equal(cx.cp->n_peers, 0);
	assert_non_null(strstr(cx.cp->cache_error, "control-journal"));
	fx_refused(cx.f, cp_sub_ops.txn(cx.cp, t, &cx.f->e), -EBADMSG, "journal_hole", "");
	json_decref(t);
}

static void
mended_by_snapshot(uint64_t seq)
{
	cx_snapshot(seq, CX_IFACE CX_POLICY CX_BOB);
	cx_acked();
	assert_true(cx_has_peer("bob"));
	assert_int_equal(size_of("control-journal"), 0);
	cx_txn(seq + 1, CX_PUT_BOB(8, ""));
	cx_acked();
	cx_die();
	cx_restart();
	assert_false(cx.cp->cache_hole);
	assert_int_equal(cx.cp->seq, seq + 1);
}

/* As after a disk that was full for one transaction: 14 is missing, 15 is there. */
static void
test_journal_gap(void **state)
{
	char path[128], text[16384];
	off_t begin, end;
	ssize_t rest;
	int fd;

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	cx_txn(11, CX_PUT_BOB(5, ",'enabled':false"));
	cx_acked();
	begin = size_of("control-journal");
	cx_txn(14, CX_PUT_BOB(6, ""));
	cx_acked();
	end = size_of("control-journal");
	cx_txn(15, CX_PUT_BOB(7, ""));
	cx_acked();
	cx_die();
	cx_state_path("control-journal", path);
	fd = open(path, O_RDWR);
	rest = pread(fd, text, sizeof(text), end);
	assert_true(rest > 0);
	assert_int_equal(pwrite(fd, text, (size_t)rest, begin), rest);
	assert_int_equal(ftruncate(fd, begin + rest), 0);
	close(fd);
	cx_restart();
	assert_int_equal(cx.cp->seq, 15);
	serves_nobody();
	mended_by_snapshot(15);
}

static unsigned dirs_synced;

/* In place of libc's. */
int
fsync(int fd)
{
	struct stat st;

	dirs_synced += fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
	return (int)syscall(SYS_fsync, fd);
}

/* A file that is new is in its directory before anything in it is acknowledged. */
static void
test_journal_is_new(void **state)
{
	unsigned before;

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	assert_int_equal(size_of("control-journal"), -1);
	before = dirs_synced;
	cx_txn(11, CX_PUT_BOB(5, ""));
	cx_acked();
	assert_int_equal(dirs_synced, before + 1);
	cx_txn(12, CX_PUT_BOB(6, ""));
	cx_acked();
	assert_int_equal(dirs_synced, before + 1);
}

static void
flip(const char *name, off_t at)
{
	char path[128];
	uint8_t b;
	int fd;

	cx_state_path(name, path);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, &b, 1, at), 1);
	b ^= 4;
	assert_int_equal(pwrite(fd, &b, 1, at), 1);
	close(fd);
}

/* One record is harmed: what is behind it is not lost, nobody is served by half of it, and who was
 * deleted stays so. */
static void
test_journal_changed(void **state)
{
	four_transactions();
	flip("control-journal", 60);
	cx_restart();
	assert_int_equal(cx.cp->seq, 15);
	assert_false(sl_replica_get(cx.cp->r, SL_KIND_PEER, "alice", &(struct sl_replica_obj){0}));
	serves_nobody();
	cx_restart();
	serves_nobody(); /* another start makes nothing of it good */
	mended_by_snapshot(20);
	cx_restore_backup(2, CX_BASE);
	assert_true(cx_has_peer("bob"));
	assert_false(cx_has_peer("alice"));
}

/* Wherever it is harmed: in the length, the mark, the nonce, the text or the tag of any record. */
static void
test_journal_changed_anywhere(void **state)
{
	static const off_t in_record[] = {0, 2, 4, 7, 8, 27, 28, 70, -1};
	off_t at[5] = {0};

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	for (unsigned i = 0; i < 4; i++) {
		cx_txn(11 + i, CX_PUT_BOB(5, ",'keepalive_s':7"));
		cx_acked();
		at[i + 1] = size_of("control-journal");
	}
	cx_die();
	for (unsigned r = 0; r < 4; r++) {
		for (unsigned k = 0; k < SL_ARRAY_SIZE(in_record); k++) {
			off_t where = in_record[k] < 0 ? at[r + 1] - 1 : at[r] + in_record[k];

			flip("control-journal", where);
			cx_restart();
			assert_true(cx.cp->cache_hole);
			assert_int_equal(cx.cp->seq, r == 3 ? 13 : 14);
			flip("control-journal", where);
		}
	}
	cx_restart();
	assert_false(cx.cp->cache_hole);
	assert_int_equal(cx.cp->seq, 14);
}

/* A machine that lost its power: what the disk had no time for is zeros. Nothing was acknowledged
 * of it. */
static void
test_journal_zeros(void **state)
{
	static const char zeros[100];
	char path[128];
	off_t end;
	int fd;

	four_transactions();
	cx_state_path("control-journal", path);
	end = size_of("control-journal");
	fd = open(path, O_RDWR);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), end), sizeof(zeros));
	cx_restart();
	assert_false(cx.cp->cache_hole);
	assert_int_equal(cx.cp->seq, 15);
	assert_int_equal(size_of("control-journal"), end);
	assert_int_equal(pwrite(fd, zeros, 40, end - 40), 40);
	cx_restart();
	assert_false(cx.cp->cache_hole);
	assert_int_equal(cx.cp->seq, 14);
	close(fd);
}

/* What is harmed is in the cache already: nothing is missing. */
static void
test_journal_changed_before_cache(void **state)
{
	char path[128], text[16384];
	ssize_t len;
	int fd;

	four_transactions();
	cx_state_path("control-journal", path);
	fd = open(path, O_RDWR);
	len = pread(fd, text, sizeof(text), 0);
	cx_txn(16, CX_PUT_BOB(8, ""));
	cx_acked();
	cp_cache_touch(cx.cp);
	cx_later(1);
	cx_turns(1000);
	assert_int_equal(size_of("control-journal"), 0);
	text[60] ^= 4;
	assert_int_equal(pwrite(fd, text, (size_t)len, 0), len);
	close(fd);
	cx_restart();
	assert_false(cx.cp->cache_hole);
	assert_int_equal(cx.cp->seq, 16);
	serve_from_cache();
}

/* Nothing can be written: it goes on, says so, and makes up for it when there is room. */
static void
test_no_room(void **state)
{
	json_t *problems = json_array();
	char journal[128], revoked[128];

	cx_snapshot(10, CX_BASE);
	cx_later(1);
	cx_turns(1000);
	cx_state_path("control-journal", journal);
	cx_state_path("control-revoked", revoked);
	unlink(journal);
	unlink(revoked);
	assert_int_equal(mkdir(journal, 0700), 0);
	assert_int_equal(mkdir(revoked, 0700), 0);
	cx_txn(11, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	cx_acked();
	cx_txn(12, "{'op':'del','kind':'peer','id':'alice','rev':9}");
	cx_acked();
	assert_true(cx.cp->cache_error[0] != '\0');
	sl_cp_problems(cx.cp, problems);
	assert_true(json_array_size(problems) >= 2);
	json_decref(problems);
	assert_int_equal(rmdir(journal), 0);
	assert_int_equal(rmdir(revoked), 0);
	cx_later(2);
	cx_turns(1000);
	assert_int_equal(cx.cp->cache_error[0], '\0');
	cx_restart();
	assert_int_equal(cx.cp->seq, 12);
	assert_int_equal(cx.cp->n_tombs, 2);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, cx_setup_state, cx_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(journal),	     T(journal_behind_deletions),
		T(snapshot_is_kept), T(journal_cut),
		T(journal_gap),	     T(journal_is_new),
		T(journal_changed),  T(journal_changed_anywhere),
		T(journal_zeros),    T(journal_changed_before_cache),
		T(no_room),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
