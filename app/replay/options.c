/* SPDX-License-Identifier: BSD-3-Clause */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "replay.h"

static const char usage_text[] =
	"Usage: sluice-replay --config FILE --pcap FILE [--out FILE] [--json FILE] [OPTIONS]\n"
	"\n"
	"Sends the packets of a capture through the gateway of a configuration and tells what\n"
	"became of each. Nothing is opened but these files: no port, key, socket or directory\n"
	"that the configuration names is touched, and root is not needed.\n"
	"\n"
	"      --config FILE     configuration of a gateway, as sluiced reads it\n"
	"      --pcap FILE       packets as they are inside tunnels and behind the gateway: pcap "
	"or\n"
	"                        pcapng, Ethernet (VLAN), raw IP, Linux cooked, BSD loopback\n"
	"      --out FILE        pcap of what left the gateway, opened (raw IP)\n"
	"      --json FILE       report: each packet and a summary; - is standard output\n"
	"      --peer NAME       all packets but those from inside come from this peer; default: "
	"the\n"
	"                        peer is found by AllowedIPs\n"
	"      --interface NAME  peers of this interface alone\n"
	"      --policy FILE     this policy instead of the configuration's\n"
	"      --enforce         enforce everywhere, whatever modes are configured\n"
	"      --observe         observe everywhere\n"
	"      --at TIME         wall clock at the first packet, 2027-01-31T08:00:00Z; default: "
	"the\n"
	"                        capture's\n"
	"      --any-size        MTU 9000 everywhere, for captures of hosts with segmentation "
	"offload\n"
	"      --workers N       worker lcores (1), --io N receive lcores (0)\n"
	"      --seed N          of keys and indexes (1); the same input gives the same output\n"
	"  -V, --version         version\n"
	"  -h, --help            this text\n"
	"\n"
	"Exit status: 0 done, whatever the verdicts are; 1 error; 2 wrong usage.\n";

static int
usage(const char *fmt, const char *arg)
{
	fputs("sluice-replay: ", stderr);
	fprintf(stderr, fmt, arg);
	fputs("; try: sluice-replay --help\n", stderr);
	return 2;
}

static int
number(const char *name, const char *text, unsigned long long max, unsigned long long *out)
{
	char *end;

	*out = strtoull(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && *out <= max)
		return 0;
	fprintf(stderr, "sluice-replay: %s %s: use a number from 0 to %llu\n", name, text, max);
	return 2;
}

static int
time_of(const char *text, uint64_t *ns)
{
	struct tm tm = {0};
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%SZ", &tm);
	time_t t = end && !*end ? timegm(&tm) : -1;

	if (t <= 0)
		return usage("--at %s: write it as 2027-01-31T08:00:00Z", text);
	*ns = (uint64_t)t * SL_NS_PER_S;
	return 0;
}

enum {
	OPT_CONFIG = 256,
	OPT_PCAP,
	OPT_OUT,
	OPT_JSON,
	OPT_PEER,
	OPT_IFACE,
	OPT_POLICY,
	OPT_ENFORCE,
	OPT_OBSERVE,
	OPT_AT,
	OPT_ANY,
	OPT_WORKERS,
	OPT_IO,
	OPT_SEED
};

static int
take(struct replay_options *o, int opt, const char *arg)
{
	unsigned long long v = 0;
	int rc = 0;

	switch (opt) {
	case OPT_CONFIG:
		o->config = arg;
		break;
	case OPT_PCAP:
		o->pcap = arg;
		break;
	case OPT_OUT:
		o->out = arg;
		break;
	case OPT_JSON:
		o->json = arg;
		break;
	case OPT_PEER:
		o->peer = arg;
		break;
	case OPT_IFACE:
		o->iface = arg;
		break;
	case OPT_POLICY:
		o->policy = arg;
		break;
	case OPT_ENFORCE:
	case OPT_OBSERVE:
		if (o->mode >= 0)
			return usage("%s", "--enforce and --observe exclude each other");
		o->mode = opt == OPT_ENFORCE ? SL_MODE_ENFORCE : SL_MODE_OBSERVE;
		break;
	case OPT_AT:
		return time_of(arg, &o->at_ns);
	case OPT_ANY:
		o->any_size = true;
		break;
	case OPT_WORKERS:
		rc = number("--workers", arg, SL_LOCKSTEP_QUEUES, &v);
		o->workers = (unsigned)v;
		break;
	case OPT_IO:
		rc = number("--io", arg, SL_LOCKSTEP_QUEUES, &v);
		o->io = (unsigned)v;
		break;
	case OPT_SEED:
		rc = number("--seed", arg, UINT64_MAX, &v);
		o->seed = v;
		break;
	case 'V':
		puts("sluice-replay " SL_VERSION);
		return 1;
	case 'h':
		fputs(usage_text, stdout);
		return 1;
	default:
		fputs("Try: sluice-replay --help\n", stderr);
		return 2;
	}
	return rc;
}

int
replay_options_parse(int argc, char **argv, struct replay_options *o)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, OPT_CONFIG},
		{"pcap", required_argument, NULL, OPT_PCAP},
		{"out", required_argument, NULL, OPT_OUT},
		{"json", required_argument, NULL, OPT_JSON},
		{"peer", required_argument, NULL, OPT_PEER},
		{"interface", required_argument, NULL, OPT_IFACE},
		{"policy", required_argument, NULL, OPT_POLICY},
		{"enforce", no_argument, NULL, OPT_ENFORCE},
		{"observe", no_argument, NULL, OPT_OBSERVE},
		{"at", required_argument, NULL, OPT_AT},
		{"any-size", no_argument, NULL, OPT_ANY},
		{"workers", required_argument, NULL, OPT_WORKERS},
		{"io", required_argument, NULL, OPT_IO},
		{"seed", required_argument, NULL, OPT_SEED},
		{"version", no_argument, NULL, 'V'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int opt, rc;

	*o = (struct replay_options){.seed = 1, .workers = 1, .mode = -1};
	while ((opt = getopt_long(argc, argv, "Vh", longs, NULL)) != -1) {
		rc = take(o, opt, optarg);
		if (rc)
			return rc;
	}
	if (optind < argc)
		return usage("unexpected argument \"%s\"", argv[optind]);
	if (!o->config)
		return usage("%s", "--config FILE is missing");
	if (!o->pcap)
		return usage("%s", "--pcap FILE is missing");
	if (o->workers == 0)
		return usage("%s", "--workers 0: there must be one");
	return 0;
}
