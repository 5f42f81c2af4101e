/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A replica of peers in processor time: bytes of an object, nanoseconds to check, put, find and
 * delete one, the longest single put (tables grow in it), and to compare two replicas of which one
 * object in a hundred differs.
 *
 *	replica_bench [PEERS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "sl_env.h"
#include "sl_replica.h"

static json_t **bodies;
static unsigned n_peers = 100000, n_changed;

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "replica_bench: %s failed\n", what);
	exit(1);
}

/* Of this thread alone: what else runs on the machine does not count. */
static uint64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * SL_NS_PER_S + (uint64_t)t.tv_nsec;
}

static const char *
name(unsigned i)
{
	static char text[24];

	snprintf(text, sizeof(text), "peer-%06u", i);
	return text;
}

static json_t *
peer(unsigned i)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
	char key[45] = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

	for (unsigned k = 0; k < 4; k++)
		key[k] = digits[i >> 5 * k & 31];
	return json_pack("{s:s, s:s, s:{s:[o]}, s:[s, s], s:i, s:s, s:s}", "interface", "wg0",
			 "public_key", key, "addresses", "gw-tyo-1",
			 json_sprintf("10.%u.%u.%u/32", i >> 16, i >> 8 & 255, i & 255), "roles",
			 "staff", "vpn-users", "keepalive_s", 25, "expires_at",
			 "2027-01-31T00:00:00Z", "subject", "https://idp.example.com u-17");
}

static void
report(const char *what, uint64_t ns)
{
	printf("%-28s %8.0f ns\n", what, (double)ns / n_peers);
}

static struct sl_replica *
fill(bool print)
{
	struct sl_replica *r = sl_replica_new();
	uint64_t t, sum = 0, longest = 0;

	must(r != NULL, "sl_replica_new");
	for (unsigned i = 0; i < n_peers; i++) {
		t = cpu_ns();
		must(sl_replica_put(r, SL_KIND_PEER, name(i), i, bodies[i]) == 0, "put");
		t = cpu_ns() - t;
		sum += t;
		longest = SL_MAX(longest, t);
	}
	if (!print)
		return r;
	report("put", sum);
	printf("%-28s %8.0f us\n", "the longest put", (double)longest / 1e3);
	return r;
}

static void
on_change(void *ctx, const struct sl_replica_obj *was, const struct sl_replica_obj *is)
{
	n_changed++;
}

static void
compare(const struct sl_replica *a, struct sl_replica *b)
{
	struct sl_replica_diff d = {0};
	uint64_t t, sum = 0, longest = 0;
	bool done = false;

	for (unsigned i = 0; i < n_peers; i += 100) {
		json_object_set_new(bodies[i], "keepalive_s", json_integer(0));
		must(sl_replica_put(b, SL_KIND_PEER, name(i), 1, bodies[i]) == 0, "put");
	}
	while (!done) {
		t = cpu_ns();
		done = sl_replica_diff_step(&d, a, b, 1000, on_change, NULL);
		t = cpu_ns() - t;
		sum += t;
		longest = SL_MAX(longest, t);
	}
	must(n_changed == (n_peers + 99) / 100, "diff");
	report("compare, an object", sum);
	printf("%-28s %8.0f us\n", "the longest step of 1,000", (double)longest / 1e3);
}

int
main(int argc, char **argv)
{
	struct sl_replica *a, *b;
	struct sl_replica_obj o;
	struct sl_error e;
	uint64_t t;

	if (argc > 1)
		n_peers = (unsigned)strtoul(argv[1], NULL, 10);
	bodies = calloc(n_peers, sizeof(*bodies));
	must(n_peers > 0 && bodies != NULL, "memory");
	for (unsigned i = 0; i < n_peers; i++)
		bodies[i] = peer(i);
	t = cpu_ns();
	for (unsigned i = 0; i < n_peers; i++)
		must(sl_object_check(SL_KIND_PEER, name(i), bodies[i], NULL, &e) == 0, e.message);
	report("check", cpu_ns() - t);
	a = fill(true);
	b = fill(false);
	must(sl_replica_get(a, SL_KIND_PEER, name(0), &o), "get");
	printf("%-28s %8zu B, its text %zu B\n", "an object", sl_replica_bytes(a) / n_peers, o.len);
	t = cpu_ns();
	for (unsigned i = 0; i < n_peers; i++)
		must(sl_replica_get(a, SL_KIND_PEER, name(i), &o), "get");
	report("find", cpu_ns() - t);
	compare(a, b);
	t = cpu_ns();
	for (unsigned i = 0; i < n_peers; i++)
		must(sl_replica_del(a, SL_KIND_PEER, name(i)) == 0, "del");
	report("delete", cpu_ns() - t);
	sl_replica_free(a);
	sl_replica_free(b);
	for (unsigned i = 0; i < n_peers; i++)
		json_decref(bodies[i]);
	free(bodies);
	return 0;
}
