/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The lockstep driver: a whole gateway on one thread with a virtual clock and seeded randomness,
 * driven over standard input and output by a test program (tests/replay/lockstep.py).
 *
 *	lockstep --config FILE [--queues N] [--seed N] [-- EAL options]
 *
 * The configuration names its ports' devices "net_ring_lock0", "net_ring_lock1"...
 * Commands, one a line:
 *
 *	rx PORT QUEUE HEX	a frame arrives
 *	seg BYTES PORT QUEUE HEX	the same, in a chain of buffers with so many bytes each
 *	run			poll until idle; answers lines "tx PORT QUEUE HEX"
 *	advance MS [STEP_MS]	let the clock go on in steps (10 ms), polling at each; answers lines
 *				"at NS" where frames follow, and tx
 *	until MS [STEP_MS]	the same, but stops at the first step that sent anything; answers
 *				"left MS" in the end
 *	call METHOD JSON	an RPC call; answers "result JSON" or "error JSON"
 *	now			answers "now NS"
 *	wall MS			the wall clock is set forward (or back: negative)
 *	arena HEX		answers "found N": how often these bytes stand in writable memory,
 *				behind "here ADDRESS MAPPING" for each
 *	quit
 *
 * Every command ends with a line "ok" or "bad TEXT".
 */
#include <getopt.h>
#include <rte_mbuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "sl_lockstep.h"
#include "sl_schema_gateway.h"

#define LINE_MAX_BYTES (1 << 20)
#define HUNT_MAX_BYTES (UINT64_C(1) << 31) /* larger mappings are reserved address space */
#define HUNT_PAGE 4096
#define START_WALL_NS (UINT64_C(1800000000) * SL_NS_PER_S)

/** Frames that the gateway sent since the last time. @return true if there were any */
static bool
print_tx(struct sl_lockstep *d, bool with_time)
{
	unsigned port, queue;
	struct rte_mbuf *m;
	bool any = false;

	while ((m = sl_lockstep_tx(d, &port, &queue))) {
		if (with_time && !any)
			printf("at %llu\n", (unsigned long long)d->now_ns);
		any = true;
		printf("tx %u %u ", port, queue);
		for (struct rte_mbuf *s = m; s; s = s->next)
			for (unsigned i = 0; i < s->data_len; i++)
				printf("%02x", rte_pktmbuf_mtod(s, uint8_t *)[i]);
		putchar('\n');
		rte_pktmbuf_free(m);
	}
	return any;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** @return bytes, or -1 */
static int
from_hex(const char *hex, uint8_t *out, size_t room)
{
	size_t n = 0;

	for (; hex_digit(hex[0]) >= 0 && hex_digit(hex[1]) >= 0 && n < room; hex += 2)
		out[n++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
	return *hex == 0 ? (int)n : -1;
}

static const char *
cmd_rx(struct sl_lockstep *d, const char *args, unsigned seg)
{
	static uint8_t frame[65536];
	unsigned port, queue;
	int at = 0, len, rc;

	if (sscanf(args, "%u %u %n", &port, &queue, &at) != 2)
		return "rx PORT QUEUE HEX";
	len = from_hex(args + at, frame, sizeof(frame));
	if (len < 0)
		return "bad hex";
	rc = sl_lockstep_rx(d, port, queue, frame, (unsigned)len, seg);
	return rc == 0	       ? NULL
	       : rc == -EINVAL ? "no such port or queue"
	       : rc == -ENOMEM ? "no buffer for it"
			       : "ring full";
}

static const char *
cmd_seg(struct sl_lockstep *d, const char *args)
{
	unsigned seg;
	int at = 0;

	if (sscanf(args, "%u %n", &seg, &at) != 1)
		return "seg BYTES PORT QUEUE HEX";
	return cmd_rx(d, args + at, seg);
}

static const char *
cmd_advance(struct sl_lockstep *d, const char *args, bool stop_at_tx)
{
	unsigned long long ms, step = 10;
	bool any = false;

	if (sscanf(args, "%llu %llu", &ms, &step) < 1 || step == 0)
		return "advance|until MS [STEP_MS]";
	while (ms && !(any && stop_at_tx)) {
		unsigned long long s = SL_MIN(ms, step);

		d->now_ns += s * SL_NS_PER_MS;
		ms -= s;
		sl_lockstep_run(d);
		any = print_tx(d, true);
	}
	if (stop_at_tx)
		printf("left %llu\n", ms);
	return NULL;
}

static const char *
cmd_call(struct sl_lockstep *d, char *args)
{
	static const struct sl_rpc_caller caller = {.via = SL_RPC_VIA_UNIX,
						    .principal = "lockstep",
						    .who = &sl_service_local};
	char *params = strchr(args, ' '), *text;
	json_t *p = NULL, *result = NULL;
	struct sl_error e;

	if (params) {
		*params++ = 0;
		p = json_loads(params, 0, NULL);
		if (!p)
			return "params are no JSON";
	}
	if (sl_rpc_call(d->rpc, &caller, args, p, &result, &e))
		result = json_pack("{s:s, s:s, s:s, s:s}", "reason", e.reason, "path", e.path,
				   "message", e.message, "hint", e.hint);
	text = json_dumps(result, JSON_COMPACT);
	printf("%s %s\n", e.err ? "error" : "result", text ? text : "{}");
	free(text);
	json_decref(result);
	json_decref(p);
	return NULL;
}

#ifdef __SANITIZE_ADDRESS__
/** Like memmem(), but reads also what the sanitizer guards. */
__attribute__((no_sanitize("address", "undefined"))) static const uint8_t *
search(const uint8_t *p, size_t n, const uint8_t *pattern, size_t len)
{
	const uint8_t *end = p + n;
	uint64_t first, here;
	size_t i;

	__builtin_memcpy(&first, pattern, sizeof(first));
	for (; p + len <= end; p++) {
		__builtin_memcpy(&here, p, sizeof(here));
		if (here != first)
			continue;
		for (i = sizeof(first); i < len && p[i] == pattern[i]; i++)
			;
		if (i == len)
			return p;
	}
	return NULL;
}
#else
#define search memmem
#endif

struct hunt {
	const uint8_t *pattern;
	size_t len;
	unsigned found;
};

static void
hunt_in(struct hunt *h, const uint8_t *p, const uint8_t *end, const char *mapping)
{
	while ((p = search(p, (size_t)(end - p), h->pattern, h->len))) {
		if (p != h->pattern) {
			printf("here %p %s", (const void *)p, mapping);
			h->found++;
		}
		p++;
	}
}

/** Only what is in memory: most of some mappings was never touched. */
static void
hunt_mapping(struct hunt *h, uintptr_t lo, uintptr_t hi, const char *mapping)
{
	static unsigned char there[HUNT_MAX_BYTES / HUNT_PAGE];
	size_t i, from, pages = (hi - lo) / HUNT_PAGE;

	if (mincore((void *)lo, hi - lo, there))
		return;
	for (i = 0; i < pages; i++) {
		for (from = i; i < pages && there[i] & 1; i++)
			;
		if (i != from)
			hunt_in(h, (const uint8_t *)lo + from * HUNT_PAGE,
				(const uint8_t *)lo + i * HUNT_PAGE, mapping);
	}
}

/** Count a byte string in every writable mapping of the process, but for the buffer that holds the
 * pattern itself. */
static const char *
cmd_arena(const char *args)
{
	static uint8_t pattern[64];
	int len = from_hex(args, pattern, sizeof(pattern));
	struct hunt h = {.pattern = pattern, .len = (size_t)len};
	FILE *maps = len < 16 ? NULL : fopen("/proc/self/maps", "re");
	unsigned long long lo, hi;
	char line[512];

	if (!maps)
		return "16 to 64 bytes of hex";
	while (fgets(line, sizeof(line), maps))
		if (sscanf(line, "%llx-%llx rw", &lo, &hi) == 2 && strstr(line, " rw") &&
		    !strstr(line, "[vvar") && !strstr(line, "anon_hugepage") &&
		    hi - lo <= HUNT_MAX_BYTES)
			hunt_mapping(&h, (uintptr_t)lo, (uintptr_t)hi, line);
	fclose(maps);
	printf("found %u\n", h.found);
	return NULL;
}

/** @return false at quit */
static bool
command(struct sl_lockstep *d, char *line)
{
	const char *bad = NULL;

	line[strcspn(line, "\n")] = 0;
	if (strncmp(line, "rx ", 3) == 0) {
		bad = cmd_rx(d, line + 3, UINT16_MAX);
	} else if (strncmp(line, "seg ", 4) == 0) {
		bad = cmd_seg(d, line + 4);
	} else if (strncmp(line, "wall ", 5) == 0) {
		d->wall_base_ns += (uint64_t)(strtoll(line + 5, NULL, 10) * (int64_t)SL_NS_PER_MS);
	} else if (strcmp(line, "run") == 0) {
		sl_lockstep_run(d);
		print_tx(d, false);
	} else if (strncmp(line, "advance ", 8) == 0) {
		bad = cmd_advance(d, line + 8, false);
	} else if (strncmp(line, "until ", 6) == 0) {
		bad = cmd_advance(d, line + 6, true);
	} else if (strncmp(line, "call ", 5) == 0) {
		bad = cmd_call(d, line + 5);
	} else if (strcmp(line, "now") == 0) {
		printf("now %llu\n", (unsigned long long)d->now_ns);
	} else if (strncmp(line, "arena ", 6) == 0) {
		bad = cmd_arena(line + 6);
		sl_wipe(line + 6, strlen(line + 6));
	} else if (strcmp(line, "quit") == 0) {
		return false;
	} else {
		bad = "unknown command";
	}
	if (bad)
		printf("bad %s\n", bad);
	else
		puts("ok");
	fflush(stdout);
	return true;
}

int
main(int argc, char **argv)
{
	static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
					      {"queues", required_argument, NULL, 'q'},
					      {"seed", required_argument, NULL, 's'},
					      {NULL, 0, NULL, 0}};
	static struct sl_lockstep d;
	struct sl_lockstep_conf lc = {.n_queues = 1, .seed = 1, .wall_ns = START_WALL_NS};
	const char *path = NULL, *eal[16] = {NULL};
	struct sl_config *c = NULL;
	struct sl_error e = {0};
	char *line = malloc(LINE_MAX_BYTES);
	int opt;

	while ((opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (opt == 'c')
			path = optarg;
		else if (opt == 'q')
			lc.n_queues = (unsigned)atoi(optarg);
		else if (opt == 's')
			lc.seed = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	for (unsigned i = 0; optind < argc && i < 15; i++)
		eal[i] = argv[optind++];
	lc.eal = eal;
	if (!path || !line || lc.n_queues < 1)
		return 2;
	if (sl_config_load(path, &c, &e) || sl_lockstep_start(&d, c, &lc, &e)) {
		fprintf(stderr, "lockstep: %s (%s) %s\n", e.message, e.reason, e.hint);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (fgets(line, LINE_MAX_BYTES, stdin) && command(&d, line))
		;
	sl_lockstep_stop(&d);
	sl_config_free(c);
	free(line);
	return 0;
}
