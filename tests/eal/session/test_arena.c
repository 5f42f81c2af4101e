/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session_util.h"
#include "sl_peer.h"

#define MASK UINT64_C(0x5a5aa5a55a5aa5a5)
#define PEER_BYTES_MAX 4096

#if defined(__has_feature)
#define HAS(x) __has_feature(x)
#else
#define HAS(x) 0
#endif
#if defined(__SANITIZE_THREAD__) || HAS(thread_sanitizer)
#define TSAN 1 /* keeps copies of what was stored */
#else
#define TSAN 0
#endif
#if TSAN || defined(__SANITIZE_ADDRESS__) || HAS(address_sanitizer)
#define SANITIZED 1 /* mlock() is taken away, memory is larger */
#else
#define SANITIZED 0
#endif

static void
skip_if(bool no_use)
{
	if (no_use)
		skip();
}

/** A key that is nowhere in memory but where the table put it: kept here under a mask. */
struct masked_key {
	uint64_t w[4];
};

static struct masked_key
random_key(struct sl_secret *s)
{
	struct masked_key m;
	uint64_t w;

	sl_rng_fill(&(struct sl_rng){.fill = sl_rng_system().fill}, s->b, sizeof(s->b));
	for (unsigned i = 0; i < 4; i++) {
		memcpy(&w, s->b + 8 * i, sizeof(w));
		m.w[i] = w ^ MASK;
	}
	sl_wipe(&w, sizeof(w));
	return m;
}

__attribute__((no_sanitize("address", "thread"))) static unsigned
count_words(const uint8_t *p, const uint8_t *end, const struct masked_key *m)
{
	unsigned hits = 0;

	for (; p < end; p += 8) {
		uint64_t w = *(const volatile uint64_t *)p ^ MASK;

		hits += w == m->w[0] || w == m->w[1] || w == m->w[2] || w == m->w[3];
	}
	return hits;
}

/** 8-byte pieces of the key in the writable memory of this process. */
static unsigned
search_memory(const struct masked_key *m)
{
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], perm[8];
	unsigned hits = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perm) != 3 || perm[0] != 'r' ||
		    perm[1] != 'w' || to - from > 512UL << 20)
			continue;
		hits += count_words((const uint8_t *)from, (const uint8_t *)to, m);
	}
	fclose(f);
	return hits;
}

static void
no_key_byte_is_left_after_release(void **state)
{
	struct sl_session_table *t = table_seeded(1, 64, false, 1);
	struct sl_noise_keys k = {0};
	struct masked_key send = random_key(&k.send), recv = random_key(&k.recv);
	struct sl_keypair *kp;
	uint64_t *window;
	uint32_t index;

	skip_if(TSAN);
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	kp = sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S);
	sl_wipe(&k, sizeof(k));
	assert_int_equal(search_memory(&send), 4); /* the search can find it */
	assert_int_equal(search_memory(&recv), 4);
	memset(kp->replay, 0xff, sizeof(*kp->replay));
	window = (uint64_t *)kp->replay;

	sl_session_unpublish(t, kp);
	sl_session_release(t, kp);
	assert_int_equal(search_memory(&send), 0);
	assert_int_equal(search_memory(&recv), 0);
	for (unsigned i = 1; i < sizeof(struct sl_replay) / 8; i++)
		assert_int_equal(window[i], 0);

	/* the next keypair gets the same memory and an empty window */
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	kp = sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S);
	assert_ptr_equal(kp->replay, window);
	assert_int_equal(kp->replay->next, 0);
	assert_int_equal(kp->send_counter, 0);
	sl_session_free(t);
}

static void
no_key_byte_is_left_after_free(void **state)
{
	struct sl_session_table *t = table_seeded(1, 64, false, 1);
	struct sl_noise_keys k = {0};
	struct masked_key send = random_key(&k.send);
	uint32_t index;

	skip_if(TSAN);
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	assert_non_null(sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S));
	sl_wipe(&k, sizeof(k));
	assert_int_equal(search_memory(&send), 4);
	sl_session_free(t);
	assert_int_equal(search_memory(&send), 0);
}

/** Text of the VmFlags line of the mapping that holds p. */
static void
vm_flags(const void *p, char *out, size_t n)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long from, to, at = (unsigned long)p;
	bool mine = false;
	char line[512];

	assert_non_null(f);
	out[0] = '\0';
	while (fgets(line, sizeof(line), f) != NULL) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			mine = from <= at && at < to;
		if (mine && strncmp(line, "VmFlags:", 8) == 0)
			snprintf(out, n, "%s", line);
	}
	fclose(f);
}

static void
keys_stay_out_of_dumps_swap_and_children(void **state)
{
	struct sl_session_table *t = table_seeded(1, 64, false, 1);
	struct sl_noise_keys k = {.send.b = {1, 2, 3}};
	struct sl_session_stats st;
	struct sl_keypair *kp;
	char flags[512];
	uint32_t index;
	int status;
	pid_t pid;

	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	kp = sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S);
	vm_flags(kp, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd")); /* MADV_DONTDUMP */
	assert_non_null(strstr(flags, " wf")); /* MADV_WIPEONFORK */
	sl_session_stats(t, &st);
	if (st.arena_locked_bytes != 0 && !SANITIZED)
		assert_non_null(strstr(flags, " lo")); /* locked */
	vm_flags(kp->replay, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(sl_ct_is_zero(kp, sizeof(*kp)) ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(kp->send_key[2], 3);
	sl_session_free(t);
}

/** Uses hugepages where the machine has some, and goes on without. */
static void
hugepages_are_tried(void **state)
{
	struct sl_session_conf c = {.owners = 1,
				    .slots_per_owner = 64,
				    .hugepages = true,
				    .allow_unlocked = true,
				    .rng = sl_rng_system()};
	struct sl_session_stats st;
	struct sl_error e = {0};
	struct sl_session_table *t = sl_session_new(&c, &e);
	struct sl_noise_keys k = {0};
	struct sl_keypair *kp;
	char flags[512];
	uint32_t index;

	assert_non_null(t);
	sl_session_stats(t, &st);
	print_message("arena: %llu bytes, hugepages: %s\n", (unsigned long long)st.arena_bytes,
		      st.hugepages ? "yes" : "no (none free)");
	assert_int_equal(sl_session_reserve(t, 0, 1, &index), 0);
	kp = sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S);
	vm_flags(kp, flags, sizeof(flags));
	assert_non_null(strstr(flags, " dd"));
	assert_true((strstr(flags, " ht") != NULL) == st.hugepages);
	if (st.hugepages) {
		assert_int_equal(st.arena_locked_bytes, st.arena_bytes);
		assert_non_null(strstr(flags, " dc")); /* MADV_DONTFORK */
	}
	sl_session_free(t);
}

/** In a child without the right to lock: 0 when all is as it should be. */
static int
child_without_locking(void)
{
	struct rlimit none = {0, 0};
	struct sl_session_conf c = {.owners = 1, .slots_per_owner = 64, .rng = sl_rng_system()};
	struct sl_session_table *t;
	struct sl_session_stats st;
	struct sl_error e = {0};

	if (setrlimit(RLIMIT_MEMLOCK, &none) != 0)
		return 10;
	if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 11;
	if (sl_session_new(&c, &e) != NULL)
		return 12;
	if (strcmp(e.reason, "key_memory_unlocked") != 0 || e.err >= 0 ||
	    strstr(e.hint, "allow_unlocked_keys") == NULL)
		return 13;
	c.allow_unlocked = true;
	t = sl_session_new(&c, &e);
	if (t == NULL)
		return 14;
	sl_session_stats(t, &st);
	if (st.arena_locked_bytes != 0 || st.arena_bytes == 0)
		return 15;
	sl_session_free(t);
	return 0;
}

static void
unlocked_keys_need_consent(void **state)
{
	int status;
	pid_t pid;

	skip_if(SANITIZED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_without_locking());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/** In a child whose limit ends the arena's growth after the start. */
static int
child_with_a_small_limit(void)
{
	struct rlimit small = {1 << 20, 1 << 20};
	struct sl_session_conf c = {.owners = 1, .slots_per_owner = 9999, .rng = sl_rng_system()};
	struct sl_noise_keys k = {0};
	struct sl_session_table *t;
	struct sl_session_stats st;
	struct sl_error e = {0};
	struct sl_keypair *kp, *last = NULL;
	uint32_t index, n;

	if (setrlimit(RLIMIT_MEMLOCK, &small) != 0)
		return 10;
	if (getuid() == 0 && setresuid(65534, 65534, 65534) != 0)
		return 11;
	t = sl_session_new(&c, &e);
	if (t == NULL)
		return 12;
	for (n = 0; n < 9999; n++) {
		if (sl_session_reserve(t, 0, n, &index) != 0)
			return 13;
		kp = sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S);
		if (kp == NULL)
			break;
		last = kp;
	}
	sl_session_stats(t, &st);
	if (n < 100 || n == 9999 || st.pending != 0 || st.live != n)
		return 14;
	if (sl_session_owner(t, index, NULL) != -1)
		return 15;
	sl_session_release(t, last); /* one that ends makes room for one */
	if (sl_session_reserve(t, 0, n, &index) != 0 ||
	    sl_session_publish(t, index, NULL, 1, &k, SL_NS_PER_S) == NULL)
		return 16;
	sl_session_free(t);
	return 0;
}

static void
an_arena_that_cannot_grow_frees_the_index(void **state)
{
	int status;
	pid_t pid;

	skip_if(SANITIZED);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(child_with_a_small_limit());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static uint64_t
resident_bytes(void)
{
	unsigned long size, rss;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &size, &rss), 2);
	fclose(f);
	return (uint64_t)rss * 4096;
}

/** Peers with two keypairs and two more slots each: previous, current, next and a handshake. */
static void
measure(unsigned peers)
{
	uint64_t before = resident_bytes(), after;
	struct sl_session_table *t = table_seeded(2, 1U << 19, false, 1);
	struct sl_peer **p = calloc(peers, sizeof(*p));
	struct sl_noise_keys k = {0};
	struct sl_session_stats st;
	uint32_t index;

	for (unsigned i = 0; i < peers; i++) {
		p[i] = sl_peer_alloc(2);
		assert_non_null(p[i]);
		for (unsigned j = 0; j < 4; j++) {
			assert_int_equal(sl_session_reserve(t, i % 2, i, &index), 0);
			if (j < 2)
				assert_non_null(
					sl_session_publish(t, index, p[i], 1, &k, SL_NS_PER_S));
		}
	}
	after = resident_bytes();
	sl_session_stats(t, &st);
	print_message("%7u peers: %5llu bytes resident each, of them %5llu of arena\n", peers,
		      (unsigned long long)((after - before) / peers),
		      (unsigned long long)(st.arena_bytes / peers));
	assert_true(after - before <= (uint64_t)peers * PEER_BYTES_MAX);
	assert_true(after - before >= (uint64_t)peers * 2 * sizeof(struct sl_keypair));
	for (unsigned i = 0; i < peers; i++)
		sl_peer_free(p[i]);
	free(p);
	sl_session_free(t);
}

static void
peers_stay_small(void **state)
{
	skip_if(SANITIZED);
	measure(1000);
	measure(10000);
	measure(100000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_key_byte_is_left_after_release),
		cmocka_unit_test(no_key_byte_is_left_after_free),
		cmocka_unit_test(keys_stay_out_of_dumps_swap_and_children),
		cmocka_unit_test(hugepages_are_tried),
		cmocka_unit_test(unlocked_keys_need_consent),
		cmocka_unit_test(an_arena_that_cannot_grow_frees_the_index),
		cmocka_unit_test(peers_stay_small),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
