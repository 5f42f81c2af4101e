/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The data store with many peers: all of them in one transaction, then one change among them, all
 * of them read as a snapshot, a backup, a verification, and the size of the file.
 *
 *	store_bench [PEERS [DIR]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sl_store.h"

static struct sl_error e;

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "store_bench: %s: %s: %s\n", what, e.reason, e.message);
	exit(1);
}

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

static json_t *
peer(unsigned i, unsigned keepalive)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
	char key[45] = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=";

	for (unsigned k = 0; k < 4; k++)
		key[k] = digits[i >> 5 * k & 31];
	return json_pack("{s:s, s:s, s:{s:[o]}, s:[s], s:i, s:s, s:s}", "interface", "wg0",
			 "public_key", key, "addresses", "gw1",
			 json_sprintf("10.%u.%u.%u/32", 16 + (i >> 16), i >> 8 & 255, i & 255),
			 "roles", "staff", "keepalive_s", (int)keepalive, "expires_at",
			 "2027-01-31T00:00:00Z", "subject", "https://idp.example.com u-17");
}

static void
put(struct sl_store_txn *t, enum sl_kind k, const char *id, json_t *body)
{
	must(sl_store_put(t, k, id, SL_REV_ANY, body, &e) == 0, id);
	json_decref(body);
}

static void
fill(struct sl_store *s, unsigned n)
{
	double t0 = now_s(), c0 = cpu_s();
	struct sl_store_txn *t = sl_store_begin(s, "uid:0", "bench", &e);
	char id[24];

	must(t != NULL, "begin");
	put(t, SL_KIND_INTERFACE, "wg0", json_object());
	put(t, SL_KIND_GATEWAY, "gw1", json_pack("{s:[s]}", "interfaces", "wg0"));
	put(t, SL_KIND_ROLE, "staff", json_pack("{s:i}", "id", 1));
	for (unsigned i = 0; i < n; i++) {
		snprintf(id, sizeof(id), "peer-%06u", i);
		put(t, SL_KIND_PEER, id, peer(i, 25));
	}
	printf("%-32s %8.2f s (processor %.2f)\n", "puts", now_s() - t0, cpu_s() - c0);
	must(sl_store_commit(t, NULL, &e) == 0, "commit");
	printf("%-32s %8.2f s (processor %.2f)\n", "and commit, one transaction", now_s() - t0,
	       cpu_s() - c0);
}

static void
change_one(struct sl_store *s, unsigned i, unsigned keepalive)
{
	struct sl_store_txn *t = sl_store_begin(s, "uid:0", "bench", &e);
	char id[24];

	must(t != NULL, "begin");
	snprintf(id, sizeof(id), "peer-%06u", i);
	put(t, SL_KIND_PEER, id, peer(i, keepalive));
	must(sl_store_commit(t, NULL, &e) == 0, "commit");
}

/** The first one after so many also moves them from the WAL to the file. */
static void
change(struct sl_store *s, unsigned n)
{
	double t0 = now_s(), c0, worst = 0, one;

	change_one(s, 0, 27);
	printf("%-32s %8.2f ms\n", "the first change after it", (now_s() - t0) * 1e3);
	t0 = now_s();
	c0 = cpu_s();
	for (unsigned i = 0; i < 100; i++) {
		one = now_s();
		change_one(s, i * (n / 100), 26);
		one = now_s() - one;
		worst = one > worst ? one : worst;
	}
	printf("%-32s %8.2f ms, at most %.2f (processor %.2f)\n", "one change, committed",
	       (now_s() - t0) * 10, worst * 1e3, (cpu_s() - c0) * 10);
}

static bool
row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	*(size_t *)ctx += len;
	return true;
}

static void
read_all(struct sl_store *s)
{
	double t0 = now_s();
	struct sl_store_snap *p = sl_store_snap_open(s, &e);
	size_t bytes = 0;
	int n, rows = 0;

	must(p != NULL, "snapshot");
	while ((n = sl_store_snap_next(p, 256, row, &bytes)) > 0)
		rows += n;
	must(n == 0, "snapshot");
	sl_store_snap_close(p);
	printf("%-32s %8.3f s, %d rows, %.1f MB\n", "snapshot read", now_s() - t0, rows,
	       (double)bytes / 1e6);
}

static void
files(const char *path, const char *copy)
{
	struct sl_store_report r;
	double t0 = now_s();
	struct stat st;

	must(sl_store_backup(path, copy, &e) == 0, "backup");
	printf("%-32s %8.2f s\n", "backup", now_s() - t0);
	must(stat(copy, &st) == 0, "stat");
	printf("%-32s %8.1f MB\n", "its size", (double)st.st_size / 1e6);
	t0 = now_s();
	must(sl_store_verify(path, &r, &e) == 0, "verify");
	printf("%-32s %8.2f s\n", "verify", now_s() - t0);
}

int
main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 100000;
	char dir[256], path[300], copy[300], cmd[300];
	struct rusage use;
	struct sl_store *s;

	snprintf(dir, sizeof(dir), "%.200s/sl-store-XXXXXX", argc > 2 ? argv[2] : "/tmp");
	must(n >= 100 && mkdtemp(dir) != NULL, "directory");
	snprintf(path, sizeof(path), "%s/store.db", dir);
	snprintf(copy, sizeof(copy), "%s/backup.db", dir);
	must(sl_store_init(path, SL_STORE_PRIMARY, &e) == 0, "init");
	s = sl_store_open(path, SL_STORE_WRITE, &e);
	must(s != NULL, "open");
	fill(s, n);
	change(s, n);
	read_all(s);
	files(path, copy);
	sl_store_close(s);
	getrusage(RUSAGE_SELF, &use);
	printf("%-32s %8.1f MB\n", "most memory", (double)use.ru_maxrss / 1e3);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	return system(cmd) == 0 ? 0 : 1;
}
