/* SPDX-License-Identifier: BSD-3-Clause */
/* Chain and seals: whatever is done to records that were written is found, at the place where it
 * was done; the key's file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "sl_seal.h"

#define N 12 /* records; 1, 5 and 9 are seals */

static char dir[64], file[100];
static struct sl_seal_key key, other;
static json_t *rows;
static struct sl_error e;

static void
add(struct sl_seal_chain *c, bool inside, const struct sl_seal_say *say)
{
	json_t *r =
		inside ? json_pack("{s:s, s:{s:i}}", "@timestamp", "2026-01-01T00:00:00Z", "sluice",
				   "x", (int)c->n)
		       : json_pack("{s:s, s:s}", "at", "2026-01-01T00:00:00Z", "text", "\u00e9");

	assert_int_equal(sl_seal_add(c, r, say, &key), 0);
	json_array_append_new(rows, r);
}

/** As a program of before wrote, which signed once a minute. */
static void
fill_on(bool inside, struct sl_seal_chain *c)
{
	static const struct sl_seal_say start = {.why = "start"}, point = {.why = "checkpoint"};

	json_decref(rows);
	rows = json_array();
	*c = (struct sl_seal_chain){.n = 0};
	sl_seal_chain_name(c);
	for (unsigned i = 0; i < N; i++)
		add(c, inside, i == 0 ? &start : i % 4 == 0 ? &point : NULL);
}

static void
fill(bool inside)
{
	struct sl_seal_chain c;

	fill_on(inside, &c);
}

static int
setup(void **state)
{
	snprintf(dir, sizeof(dir), "/tmp/sl-seal-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/key", dir);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &key, &e), 0);
	snprintf(file, sizeof(file), "%s/other", dir);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &other, &e), 0);
	return 0;
}

static int
teardown(void **state)
{
	static const char *const names[] = {"key", "other", "place", "fresh"};

	json_decref(rows);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", dir, names[i]);
		unlink(file);
	}
	return rmdir(dir);
}

/** @param kept NULL: none. @return 0, or what is found */
static int
verify(bool numbered, const struct sl_seal_key *with, const json_t *kept, struct sl_seal_report *r)
{
	struct sl_seal_check_conf c = {.numbered = numbered};
	struct sl_seal_check *v;
	char place[32];
	size_t i;
	json_t *row;
	int rc = 0;

	if (with != NULL) {
		c.keys = &with->public;
		c.n_keys = 1;
	}
	v = sl_seal_check_new(&c);
	assert_non_null(v);
	e = (struct sl_error){0};
	if (kept != NULL)
		assert_int_equal(sl_seal_check_keep(v, kept), 0);
	json_array_foreach (rows, i, row) {
		snprintf(place, sizeof(place), "f:%zu", i + 1);
		rc = sl_seal_check_record(v, place, row, &e);
		if (rc != 0)
			break;
	}
	if (rc == 0)
		rc = sl_seal_check_end(v, r, &e);
	sl_seal_check_free(v);
	return rc;
}

static void
found(bool numbered, const char *where, const char *what)
{
	struct sl_seal_report r;

	assert_int_equal(verify(numbered, &key, NULL, &r), -EBADMSG);
	if (strncmp(e.message, where, strlen(where)) != 0 || strstr(e.message, what) == NULL)
		fail_msg("wanted %s ... %s, got: %s", where, what, e.message);
}

static json_t *
member(size_t i)
{
	json_t *row = json_array_get(rows, i), *in = json_object_get(row, "sluice");

	return in != NULL ? in : row;
}

static void
test_whole(void **state)
{
	struct sl_seal_report r;

	for (int inside = 0; inside < 2; inside++) {
		fill(inside);
		assert_int_equal(verify(!inside, &key, NULL, &r), 0);
		assert_int_equal(r.records, N);
		assert_int_equal(r.seals, 3);
		assert_int_equal(r.unsigned_n, 3);
		assert_int_equal(r.first, 1);
		assert_int_equal(r.last, N);
		assert_int_equal(r.chains, 1);
		assert_string_equal(r.at, "2026-01-01T00:00:00Z");
		assert_int_equal(verify(!inside, NULL, NULL, &r), 0);
		assert_memory_equal(r.key, key.public, 32);
	}
}

/** The chain as the documentation has it, written a second time: the record's text is known. */
static void
test_by_hand(void **state)
{
	static const char text[] = "{\"a\":\"\xc3\xa9\",\"sluice\":{\"b\":1,\"chain_n\":1}}";
	json_t *o = json_loads("{\"sluice\":{\"b\":1},\"a\":\"\\u00e9\"}", 0, NULL);
	struct sl_seal_chain c = {.n = 0};
	uint8_t in[32 + sizeof(text)] = {0}, h[32];
	char hex[65];

	assert_int_equal(sl_seal_add(&c, o, NULL, NULL), 0);
	memcpy(in + 32, text, sizeof(text) - 1);
	crypto_generichash(h, 32, in, 32 + sizeof(text) - 1, NULL, 0);
	sodium_bin2hex(hex, sizeof(hex), h, 32);
	assert_string_equal(json_string_value(
				    json_object_get(json_object_get(o, "sluice"), "chain")),
			    hex);
	json_decref(o);
}

static void
test_changed(void **state)
{
	char where[16];

	for (size_t i = 0; i < N; i++) {
		fill(true);
		json_object_set_new(member(i), "x", json_string("changed"));
		snprintf(where, sizeof(where), "f:%zu: ", i + 1);
		found(false, where, "was changed");
		fill(false);
		json_object_set_new(member(i), "more", json_true());
		found(true, where, "was changed");
	}
}

static void
test_removed(void **state)
{
	struct sl_seal_report r;
	char where[16];

	for (size_t i = 1; i < N - 1; i++) {
		fill(true);
		json_array_remove(rows, i);
		snprintf(where, sizeof(where), "f:%zu: ", i + 1);
		found(false, where, "missing");
	}
	fill(true);
	json_array_remove(rows, 0);
	found(false, "f:1: ", "no seal");
	/* a file that begins with a seal may be the second of two; rows may not */
	while (json_integer_value(json_object_get(member(0), "chain_n")) < 5)
		json_array_remove(rows, 0);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(r.first, 5);
	fill(false);
	for (int i = 0; i < 4; i++)
		json_array_remove(rows, 0);
	found(true, "f:1: ", "no seal says that they were removed");
}

static void
test_moved(void **state)
{
	json_t *row;

	fill(true);
	row = json_incref(json_array_get(rows, 6));
	json_array_remove(rows, 6);
	json_array_insert_new(rows, 7, row); /* swapped */
	found(false, "f:7: ", "missing");
	fill(true);
	json_array_insert(rows, 3, json_array_get(rows, 2)); /* twice */
	found(false, "f:4: ", "not in its place");
	fill(true);
	json_array_insert_new(rows, 3, json_pack("{s:{s:i}}", "sluice", "x", 1));
	found(false, "f:4: ", "no chain");
	fill(false);
	json_array_insert_new(rows, 3, json_pack("{s:i}", "n", 4));
	found(true, "f:4: ", "record 4 has no chain");
}

/** Whoever has no key can make a chain, but no seal. */
static void
test_forged(void **state)
{
	struct sl_seal_key right = key;
	struct sl_seal_report r;

	fill(true);
	json_object_del(member(4), "signature");
	found(false, "f:5: ", "no signature");
	fill(true);
	json_object_set(member(4), "signature", json_object_get(member(8), "signature"));
	found(false, "f:5: ", "signature of the seal is wrong");
	key = other;
	fill(true);
	key = right;
	found(false, "f:1: ", "foreign key");
	assert_int_equal(verify(false, &other, NULL, &r), 0);
	fill(true);
	json_object_set_new(member(3), "signature", json_string("AAAA"));
	found(false, "f:4: ", "without a seal");
}

static void
test_kept(void **state)
{
	json_t *kept, *place;
	struct sl_seal_chain c;
	struct sl_seal_report r;

	fill(true);
	kept = json_deep_copy(json_array_get(rows, 8));
	assert_int_equal(verify(false, &key, kept, &r), 0);
	assert_int_equal(r.kept, 1);
	json_array_remove(rows, N - 1);
	assert_int_equal(verify(false, &key, kept, &r), 0); /* what is unsigned may be cut */
	while (json_array_size(rows) > 6)
		json_array_remove(rows, json_array_size(rows) - 1);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(verify(false, &key, kept, &r), -EBADMSG);
	assert_non_null(strstr(e.message, "the end is missing"));
	fill(true); /* all anew, with the right key */
	assert_int_equal(verify(false, &key, kept, &r), -EBADMSG);
	assert_non_null(strstr(e.message, "is not here"));
	/* the place that a writer notes is as good as a seal */
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	snprintf(file, sizeof(file), "%s/place", dir);
	assert_int_equal(sl_seal_place_read(file, &c), -ENOENT);
	assert_int_equal(sl_seal_place_write(file, UINT32_MAX, UINT32_MAX, &r.head), 0);
	assert_int_equal(sl_seal_place_read(file, &c), 0);
	assert_int_equal(c.n, N);
	place = sl_seal_place_json(&c);
	assert_int_equal(verify(false, &key, place, &r), 0);
	json_array_remove(rows, N - 1);
	assert_int_equal(verify(false, &key, place, &r), -EBADMSG);
	json_decref(place);
	json_decref(kept);
}

/** Rows of before the chain, rows of a program without it, rows that were removed: told by seals.
 */
static void
test_numbered(void **state)
{
	struct sl_seal_say start = {.why = "start", .loose_from = 1, .to = 2};
	struct sl_seal_say again = {.why = "start", .loose_from = 5, .to = 6};
	struct sl_seal_say pruned = {.why = "pruned", .begin = 7};
	struct sl_seal_chain c = {.n = 2}, kept = {.n = 6};
	struct sl_seal_report r;
	json_t *place;

	json_decref(rows);
	rows = json_pack("[{s:i}, {s:i}]", "n", 1, "n", 2);
	sl_seal_chain_name(&c);
	add(&c, false, &start);
	add(&c, false, NULL);
	for (c.n = 4; c.n < 6; c.n++)
		json_array_append_new(rows, json_pack("{s:i}", "n", (int)c.n + 1));
	found(true, "f:5: ", "record 5 has no chain");
	assert_int_equal(verify(true, &key, NULL, &r), -EBADMSG);
	json_array_remove(rows, 5);
	json_array_remove(rows, 4);
	assert_int_equal(verify(true, &key, NULL, &r), 0);
	assert_int_equal(r.records, 2);
	assert_int_equal(r.loose, 2);
	assert_false(sl_seal_doubt(&r));
	snprintf(kept.id, sizeof(kept.id), "%s", c.id);
	kept.n = 2;
	place = sl_seal_place_json(&kept);
	assert_int_equal(verify(true, &key, place, &r), 0);
	assert_int_equal(r.kept_before, 1);
	json_decref(place);
	for (c.n = 4; c.n < 6; c.n++)
		json_array_append_new(rows, json_pack("{s:i}", "n", (int)c.n + 1));
	/* a chain was taken away, and a start has it said that there was none */
	add(&c, false, &again);
	add(&c, false, NULL);
	found(true, "f:5: ", "records 5 to 6 have no chain, though there was one");
	verify(true, &key, NULL, &r);
	assert_int_equal(r.records, 4); /* what is behind is looked at all the same */
	assert_int_equal(r.loose, 4);
	json_array_remove(rows, 5);
	found(true, "f:5: ", "has no chain");
	while (json_array_size(rows) > 2)
		json_array_remove(rows, 0);
	found(true, "f:1: ", "no seal says");
	add(&c, false, &pruned);
	assert_int_equal(verify(true, &key, NULL, &r), 0);
	assert_int_equal(r.first, 7);
	json_array_remove(rows, 0);
	found(true, "f:1: ", "missing");
}

/** What each record is signed in, none can be appended to without the key; nor behind a clean end.
 */
static void
test_appended(void **state)
{
	static const struct sl_seal_say start = {.why = "start"}, stop = {.why = "stop"};
	struct sl_seal_chain c = {.n = 0};
	struct sl_seal_report r;

	json_decref(rows);
	rows = json_array();
	sl_seal_chain_name(&c);
	add(&c, true, &start);
	add(&c, true, &sl_seal_record);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(r.seals, 2);
	add(&c, true, NULL); /* it fits the chain */
	found(false, "f:3: ", "record 3 is not signed");
	add(&c, true, &stop); /* a program of before signs it; that is told still */
	found(false, "f:3: ", "record 3 is not signed");

	fill_on(true, &c);
	add(&c, true, &stop);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	add(&c, true, NULL);
	found(false, "f:14: ", "behind the seal of a clean end");

	/* of a part of a file that begins with a seal, too */
	json_array_clear(rows);
	add(&c, true, &(struct sl_seal_say){.why = "continue", .each = true});
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	add(&c, true, NULL);
	found(false, "f:2: ", "is not signed");
}

/** Records that stood unsigned at a start are covered, and told; of others a seal must not tell. */
static void
test_unsealed(void **state)
{
	struct sl_seal_say again = {.why = "continue", .unsealed_from = N - 2, .unsealed_to = N};
	struct sl_seal_chain c = {.n = 0};
	struct sl_seal_report r;

	fill_on(true, &c);
	add(&c, true, &again);
	add(&c, true, &sl_seal_record);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(r.unsealed, 3);
	assert_true(sl_seal_doubt(&r));
	assert_int_equal(r.unsigned_n, 0);
	json_object_set_new(member(N - 1), "x", json_string("changed"));
	found(false, "f:12: ", "was changed"); /* from then on it is as it was found */
	fill_on(true, &c);
	again.unsealed_from = N - 1;
	add(&c, true, &again);
	found(false, "f:13: ", "other unsigned records");
}

/** A chain of the same key, of another file for one, hides a cut end. */
static void
test_another_chain(void **state)
{
	static const struct sl_seal_say start = {.why = "start"}, blind = {.why = "found"};
	struct sl_seal_chain c = {.n = 0}, other_one = {.n = 0};
	struct sl_seal_report r;

	fill_on(true, &c);
	while (json_array_size(rows) > 5)
		json_array_remove(rows, 5);
	sl_seal_chain_name(&other_one);
	add(&other_one, true, &start);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(r.chains, 2);
	assert_int_equal(r.ends, 1);
	assert_string_equal(r.ended_at, "f:6");
	assert_true(sl_seal_doubt(&r));
	/* a start that had no note goes on behind what it found */
	fill_on(true, &c);
	add(&c, true, &blind);
	assert_int_equal(verify(false, &key, NULL, &r), 0);
	assert_int_equal(r.blind, 1);
	assert_true(sl_seal_doubt(&r));
}

/** All chains were taken away, or all rows: the key is older than the chain. */
static void
test_again(void **state)
{
	struct sl_seal_say start = {.why = "start", .loose_from = 1, .to = 2, .again = true};
	struct sl_seal_chain c = {.n = 2};

	json_decref(rows);
	rows = json_pack("[{s:i}, {s:i}]", "n", 1, "n", 2);
	sl_seal_chain_name(&c);
	add(&c, false, &start);
	found(true, "f:1: ", "though there was one");
	json_array_clear(rows);
	c.n = 0;
	memset(c.hash, 0, sizeof(c.hash));
	start.loose_from = start.to = 0;
	add(&c, false, &start);
	found(true, "f:1: ", "this node had signed before");
}

static void
test_ours(void **state)
{
	struct sl_seal_chain c = {.n = 0}, at;
	json_t *row;

	fill_on(true, &c);
	assert_true(sl_seal_ours(json_array_get(rows, 8), &key, &at));
	assert_int_equal(at.n, 9);
	assert_string_equal(at.id, c.id);
	assert_false(sl_seal_ours(json_array_get(rows, 8), &other, &at));
	assert_false(sl_seal_ours(json_array_get(rows, 9), &key, &at));
	assert_false(sl_seal_ours(NULL, &key, &at));
	assert_false(sl_seal_follows(&at, json_array_get(rows, 10)));
	assert_true(sl_seal_follows(&at, json_array_get(rows, 9)));
	assert_int_equal(at.n, 10);
	assert_false(sl_seal_follows(&at, json_array_get(rows, 9)));
	/* a copy with another number, or another text, was not signed by anybody */
	row = json_deep_copy(json_array_get(rows, 8));
	json_object_set_new(json_object_get(row, "sluice"), "chain_n", json_integer(13));
	assert_false(sl_seal_ours(row, &key, &at));
	json_decref(row);
}

/** Who only reads makes no key. */
static void
test_key_read(void **state)
{
	struct sl_seal_key k;

	snprintf(file, sizeof(file), "%s/none", dir);
	assert_int_equal(sl_seal_key_read(file, &k, &e), -ENOENT);
	assert_int_equal(access(file, F_OK), -1);
	snprintf(file, sizeof(file), "%s/key", dir);
	assert_int_equal(sl_seal_key_read(file, &k, &e), 0);
	assert_string_equal(k.text, key.text);
	assert_false(k.made);
	sl_seal_key_wipe(&k);
}

static void
test_key_file(void **state)
{
	struct sl_seal_key k;
	uint8_t public[32];
	struct stat st;
	FILE *f;

	snprintf(file, sizeof(file), "%s/key", dir);
	assert_int_equal(stat(file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &k, &e), 0);
	assert_memory_equal(k.secret, key.secret, sizeof(k.secret));
	assert_int_equal(sl_seal_key_public(k.text, public, &e), 0);
	assert_memory_equal(public, key.public, 32);
	chmod(file, 0640);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &k, &e), -EPERM);
	chmod(file, 0600);
	snprintf(file, sizeof(file), "%s/place", dir);
	f = fopen(file, "w");
	fprintf(f, "%s\n", key.text);
	fclose(f);
	assert_int_equal(sl_seal_key_public(file, public, &e), 0);
	assert_memory_equal(public, key.public, 32);
	chmod(file, 0600);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &k, &e), -EINVAL);
	assert_non_null(strstr(e.hint, "move it away"));
	assert_int_equal(sl_seal_key_public("/tmp", public, &e), -EINVAL);
	sl_seal_key_wipe(&k);
}

/** What happens in the directory is watched: under its name the key is whole from the begin. */
static void
test_key_made_at_once(void **state)
{
	char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), named = 0, left = 0;
	const struct inotify_event *ev;
	struct sl_seal_key k;
	ssize_t n;

	assert_true(fd >= 0);
	assert_true(inotify_add_watch(fd, dir, IN_CREATE | IN_MODIFY | IN_DELETE) >= 0);
	snprintf(file, sizeof(file), "%s/fresh", dir);
	assert_int_equal(sl_seal_key_load(file, UINT32_MAX, UINT32_MAX, &k, &e), 0);
	n = read(fd, buf, sizeof(buf));
	assert_true(n > 0);
	for (const char *at = buf; at < buf + n; at += sizeof(*ev) + ev->len) {
		ev = (const void *)at;
		left += (ev->mask & IN_CREATE) ? 1 : (ev->mask & IN_DELETE) ? -1 : 0;
		if (strcmp(ev->name, "fresh") != 0)
			continue;
		assert_int_equal(ev->mask, IN_CREATE);
		named++;
	}
	assert_int_equal(named, 1);
	assert_int_equal(left, 1); /* nothing else stays */
	close(fd);
	sl_seal_key_wipe(&k);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),	      cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_changed),	      cmocka_unit_test(test_removed),
		cmocka_unit_test(test_moved),	      cmocka_unit_test(test_forged),
		cmocka_unit_test(test_kept),	      cmocka_unit_test(test_numbered),
		cmocka_unit_test(test_appended),      cmocka_unit_test(test_unsealed),
		cmocka_unit_test(test_another_chain), cmocka_unit_test(test_again),
		cmocka_unit_test(test_ours),	      cmocka_unit_test(test_key_read),
		cmocka_unit_test(test_key_file),      cmocka_unit_test(test_key_made_at_once),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
