/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

#define SECONDS_MAX 600

static const char usage_text[] =
	"Usage: sluice-bench [--json FILE] [--seconds N] [--wait-full N] [--path P] [--size LIST]\n"
	"                    [--peers LIST] [--policy LIST] [--logging LIST] [--outer O] [--cpu "
	"N]\n"
	"                    [--no-huge]\n"
	"\n"
	"Cycles per packet of Sluice's receive and send path on one CPU, beside those of the bare\n"
	"cipher (ChaCha20-Poly1305 of intel-ipsec-mb) on the same packets.\n"
	"\n"
	"  --json FILE     write the results to a file, too\n"
	"  --seconds N     time for all measurements together (default 24)\n"
	"  --wait-full N   up to N seconds more, until each row has 50 rounds in which the CPU "
	"had\n"
	"                  its full speed (default 0); targets are judged by such rounds then\n"
	"  --path P        receive, send or both (default)\n"
	"  --size LIST     bytes of the inner IP packet, 28-1420 (default 64,512,1420)\n"
	"  --peers LIST    peers with live sessions, 1-10000 (default 1,1000)\n"
	"  --policy LIST   off (default): none is loaded, observe; hit, miss: 10,000 prefixes and\n"
	"                  3,200 rules, enforce, random sources and destinations; packets of "
	"known\n"
	"                  flows, or each one begins a flow\n"
	"  --logging LIST  on (default), off: are records written\n"
	"  --outer O       outer packets: ipv4 (default), ipv6 (UDP checksum in software) or\n"
	"                  ipv6-offload (UDP checksum left to the port)\n"
	"  --cpu N         CPU to run on (default: the last one)\n"
	"  --no-huge       do without hugepages\n"
	"  -h, --help      this text\n"
	"\n"
	"Exit status: 0 measured, whatever the numbers; 1 error; 2 wrong usage.\n";

static int
wrong(const char *option, const char *value, const char *must)
{
	fprintf(stderr, "sluice-bench: --%s %s: use %s\n", option, value, must);
	return 2;
}

/** Numbers with commas between them. @return how many, or 0 */
static unsigned
parse_list(const char *text, unsigned min, unsigned max, unsigned list[BENCH_LIST_MAX])
{
	unsigned n = 0;
	unsigned long v;
	char *end;

	for (; n < BENCH_LIST_MAX; text = end + 1) {
		if (*text < '0' || *text > '9')
			return 0;
		v = strtoul(text, &end, 10);
		if (v < min || v > max)
			return 0;
		list[n++] = (unsigned)v;
		if (*end == 0)
			return n;
		if (*end != ',')
			return 0;
	}
	return 0;
}

static int
parse_path(struct bench_options *o, const char *v)
{
	bool both = strcmp(v, "both") == 0;

	o->path[BENCH_RECEIVE] = both || strcmp(v, "receive") == 0;
	o->path[BENCH_SEND] = both || strcmp(v, "send") == 0;
	if (o->path[BENCH_RECEIVE] || o->path[BENCH_SEND])
		return 0;
	return wrong("path", v, "receive, send or both");
}

static int
parse_outer(struct bench_options *o, const char *v)
{
	static const char *const text[BENCH_OUTERS] = {"ipv4", "ipv6", "ipv6-offload"};
	unsigned i;

	for (i = 0; i < BENCH_OUTERS; i++) {
		if (strcmp(v, text[i]) == 0) {
			o->outer = i;
			return 0;
		}
	}
	return wrong("outer", v, "ipv4, ipv6 or ipv6-offload");
}

/** Words with commas between them. @return how many, or 0 */
static unsigned
parse_words(const char *v, const char *const word[], unsigned n_words,
	    unsigned list[BENCH_LIST_MAX])
{
	unsigned n = 0, k;
	size_t len;

	for (; n < BENCH_LIST_MAX; v += len + 1) {
		len = strcspn(v, ",");
		for (k = 0; k < n_words; k++)
			if (strlen(word[k]) == len && strncmp(v, word[k], len) == 0)
				break;
		if (k == n_words)
			return 0;
		list[n++] = k;
		if (v[len] == 0)
			return n;
	}
	return 0;
}

static int
parse_policy(struct bench_options *o, const char *v)
{
	static const char *const word[BENCH_POLICIES] = {"off", "hit", "miss"};

	o->n_policies = parse_words(v, word, BENCH_POLICIES, o->policy);
	return o->n_policies ? 0 : wrong("policy", v, "off, hit, miss, with commas between them");
}

static int
parse_logging(struct bench_options *o, const char *v)
{
	static const char *const word[] = {"off", "on"};

	o->n_logging = parse_words(v, word, SL_ARRAY_SIZE(word), o->logging);
	return o->n_logging ? 0 : wrong("logging", v, "on, off, or both with a comma between them");
}

static int
parse_seconds(double *seconds, const char *option, const char *v, bool may_be_none)
{
	char *end;

	*seconds = strtod(v, &end);
	if (end != v && *end == 0 && *seconds <= SECONDS_MAX &&
	    (*seconds > 0 || (may_be_none && *seconds == 0)))
		return 0;
	return wrong(option, v,
		     may_be_none ? "a number from 0 to 600" : "a number above 0, at most 600");
}

static int
parse_cpu(struct bench_options *o, const char *v)
{
	unsigned list[BENCH_LIST_MAX];

	o->cpu = v;
	return parse_list(v, 0, 1023, list) == 1 ? 0 : wrong("cpu", v, "the number of one CPU");
}

static int
parse_one(struct bench_options *o, int opt)
{
	switch (opt) {
	case 'j':
		o->json = optarg;
		return 0;
	case 's':
		return parse_seconds(&o->seconds, "seconds", optarg, false);
	case 'w':
		return parse_seconds(&o->wait_full, "wait-full", optarg, true);
	case 'p':
		return parse_path(o, optarg);
	case 'S':
		o->n_sizes = parse_list(optarg, BENCH_INNER_MIN, BENCH_MTU, o->size);
		return o->n_sizes ? 0 : wrong("size", optarg, "up to 8 numbers from 28 to 1420");
	case 'P':
		o->n_peers = parse_list(optarg, 1, BENCH_PEERS_MAX, o->peers);
		return o->n_peers ? 0 : wrong("peers", optarg, "up to 8 numbers from 1 to 10000");
	case 'o':
		return parse_outer(o, optarg);
	case 'y':
		return parse_policy(o, optarg);
	case 'l':
		return parse_logging(o, optarg);
	case 'c':
		return parse_cpu(o, optarg);
	case 'n':
		o->no_huge = true;
		return 0;
	case 'h':
		fputs(usage_text, stdout);
		return 1;
	default:
		fputs("Try: sluice-bench --help\n", stderr);
		return 2;
	}
}

int
bench_options_parse(int argc, char **argv, struct bench_options *o)
{
	static const struct option longs[] = {
		{"json", required_argument, NULL, 'j'},
		{"seconds", required_argument, NULL, 's'},
		{"path", required_argument, NULL, 'p'},
		{"size", required_argument, NULL, 'S'},
		{"wait-full", required_argument, NULL, 'w'},
		{"peers", required_argument, NULL, 'P'},
		{"outer", required_argument, NULL, 'o'},
		{"policy", required_argument, NULL, 'y'},
		{"logging", required_argument, NULL, 'l'},
		{"cpu", required_argument, NULL, 'c'},
		{"no-huge", no_argument, NULL, 'n'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt, rc = 0;

	*o = (struct bench_options){.seconds = 24,
				    .path = {true, true},
				    .n_sizes = 3,
				    .size = {64, 512, 1420},
				    .n_policies = 1,
				    .policy = {BENCH_POLICY_OFF},
				    .n_logging = 1,
				    .logging = {true},
				    .n_peers = 2,
				    .peers = {1, 1000}};
	while (rc == 0 && (opt = getopt_long(argc, argv, "h", longs, NULL)) != -1)
		rc = parse_one(o, opt);
	if (rc == 0 && optind < argc) {
		fprintf(stderr,
			"sluice-bench: unexpected argument \"%s\"; try: sluice-bench --help\n",
			argv[optind]);
		rc = 2;
	}
	return rc;
}
