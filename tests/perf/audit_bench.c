/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Records a second of the audit drain: making the JSON line, with and without a Community ID, and
 * from the ring into a file.
 *
 *	audit_bench [DIRECTORY]		(default /tmp; /dev/shm leaves the disk out)
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "drain_int.h"

#define RECORDS 200000
#define SLOTS 2048

static uint64_t
clock_ns(void *ctx)
{
	(void)ctx;
	return sl_clock_mono_ns();
}

static uint64_t
wall_ns(void *ctx)
{
	(void)ctx;
	return sl_clock_wall_ns();
}

static struct sl_rec
record(unsigned i)
{
	return (struct sl_rec){.mono_ns = sl_clock_mono_ns(),
			       .src = {10, 7, (uint8_t)(i >> 8), (uint8_t)i},
			       .dst = {10, 20, 0, 10},
			       .sport = (uint16_t)(1024 + i % 60000),
			       .dport = 5432,
			       .iface = 1,
			       .proto = 6,
			       .version = 4,
			       .type = i % 3 == 0 ? SL_REC_END : SL_REC_DENY,
			       .flags = SL_RF_FROM_TUNNEL | SL_RF_ENFORCED,
			       .stage = 1,
			       .peer_id = 81,
			       .generation = 7,
			       .count = 1,
			       .bytes = {1000, 2000}};
}

static const struct sl_polset *
policy(void)
{
	static struct sl_polset_rule rule = {.id = 101};
	static struct sl_polset_zone zone = {.id = 1, .name = "internal"};
	static struct sl_polset_name target = {0, "db1"}, role = {3, "engineer"};
	static struct sl_polset s = {.generation = 7,
				     .version = 57,
				     .n_rules = 1,
				     .rules = &rule,
				     .n_zones = 1,
				     .zones = &zone,
				     .n_targets = 1,
				     .targets = &target,
				     .n_roles = 1,
				     .roles = &role};

	return &s;
}

static void
report(const char *what, uint64_t ns, uint64_t bytes)
{
	printf("%-34s %8.0f records/s  %5.0f ns each  %4.0f bytes\n", what,
	       RECORDS * 1e9 / (double)ns, (double)ns / RECORDS, (double)bytes / RECORDS);
}

static void
format(const char *what, uint8_t proto)
{
	static const struct sl_pubkey key = {{1}};
	struct sl_names *names = sl_names_new();
	struct sl_format f;
	uint64_t bytes = 0, begin;

	if (names == NULL || sl_format_init(&f, "gw-tyo-1", "0.1.0", "0123456789abcdef") != 0)
		exit(1);
	sl_names_policy_add(names, sl_names_policy_new(names, policy()));
	sl_names_iface_set(names, 1, "wg0");
	sl_names_peer_set(names, 81, 1, "alice-laptop", &key, 0);
	begin = sl_clock_mono_ns();
	for (unsigned i = 0; i < RECORDS; i++) {
		struct sl_rec r = record(i);
		struct sl_line *l;

		r.proto = proto;
		l = sl_format_record(&f, names, &r, sl_clock_wall_ns(), i);
		bytes += l != NULL ? l->len : 0;
		sl_line_unref(l);
	}
	report(what, sl_clock_mono_ns() - begin, bytes);
	sl_format_fini(&f);
	sl_names_free(names);
}

static uint64_t
acked(struct sl_drain *d)
{
	json_t *s = sl_drain_status(d);
	uint64_t n = (uint64_t)json_integer_value(
		json_object_get(json_array_get(json_object_get(s, "sinks"), 0), "acked"));

	json_decref(s);
	return n;
}

/** Ring, drain and file, on one thread. */
static void
whole(const char *dir)
{
	struct sl_rec_ring *ring = aligned_alloc(SL_CACHE_LINE, sl_rec_ring_size(SLOTS));
	char path[300];
	struct sl_sink_conf sink = {.kind = SL_SINK_FILE, .name = "file", .path = path};
	struct sl_drain_conf c = {.ring = {ring},
				  .n_rings = 1,
				  .sinks = &sink,
				  .n_sinks = 1,
				  .observer = "gw-tyo-1",
				  .version = "0.1.0",
				  .boot_id = "0123456789abcdef",
				  .mono_ns = clock_ns,
				  .wall_ns = wall_ns,
				  .lockstep = true};
	struct sl_error e;
	struct sl_drain *d;
	uint64_t begin;

	snprintf(path, sizeof(path), "%.200s/audit-bench.%d", dir, (int)getpid());
	if (ring == NULL)
		exit(1);
	memset(ring, 0, sl_rec_ring_size(SLOTS));
	sl_rec_ring_init(ring, SLOTS);
	d = sl_drain_new(&c, &e);
	if (d == NULL) {
		fprintf(stderr, "audit_bench: %s\n", e.message);
		exit(1);
	}
	sl_drain_policy(d, policy());
	begin = sl_clock_mono_ns();
	for (unsigned i = 0; i < RECORDS; i++) {
		struct sl_rec r = record(i), *slot = sl_rec_begin(ring);
		size_t skip = offsetof(struct sl_rec, mono_ns);

		memcpy((char *)slot + skip, (const char *)&r + skip, sizeof(r) - skip);
		sl_rec_commit(ring, slot);
		if (i % (SLOTS / 4) == 0)
			sl_drain_poll(d);
	}
	sl_drain_poll(d);
	report("ring to file", sl_clock_mono_ns() - begin, 0);
	if (acked(d) < RECORDS)
		printf("only %llu were written\n", (unsigned long long)acked(d));
	sl_drain_free(d);
	unlink(path);
	free(ring);
}

int
main(int argc, char **argv)
{
	format("JSON line", 6);
	format("without Community ID", 132);
	whole(argc > 1 ? argv[1] : "/tmp");
	return 0;
}
