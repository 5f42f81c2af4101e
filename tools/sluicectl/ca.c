/* SPDX-License-Identifier: BSD-3-Clause */
/* sluicectl ca: certificates of the components, made on this machine; no server is asked. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sl_ca.h"
#include "sluicectl.h"

#define HOSTS_MAX 16

struct ca_options {
	const char *kind, *name, *hosts[HOSTS_MAX], *csr, *out, *key;
	unsigned n_hosts, days;
};

static void
usage(FILE *f)
{
	fputs("Usage: sluicectl ca init DIR [--name NAME] [--days N]\n"
	      "       sluicectl ca issue DIR --kind KIND --name NAME [--host NAME|ADDRESS]... "
	      "[--csr FILE]\n"
	      "                          [--out PREFIX] [--days N]\n"
	      "       sluicectl ca renew DIR CERT [--new-key FILE] [--days N]\n"
	      "       sluicectl ca list DIR\n"
	      "\n"
	      "A small certificate authority for gateways, control planes and operators. DIR holds "
	      "ca.pem (give it\n"
	      "to every component), ca.key (keep it off the servers) and issued.jsonl.\n"
	      "  KIND    control, gateway, operator or agent\n"
	      "  --host  what clients dial: for control, and for a gateway with remote control\n"
	      "  --csr   sign the request of a node, whose key never leaves it; else PREFIX.key is "
	      "made\n"
	      "  --out   PREFIX.pem and PREFIX.key (default: NAME)\n"
	      "  --days  365 for a node, 3650 for the authority\n",
	      f);
}

static int
wrong(struct sl_error *e, const char *what)
{
	sl_fail(e, -EINVAL, "usage", "", "%s", what);
	sl_hint(e, "sluicectl ca --help");
	return EXIT_USAGE;
}

static int
parse_days(const char *text, unsigned *out, struct sl_error *e)
{
	char *end;
	unsigned long v = strtoul(text, &end, 10);

	if (*end || end == text || v == 0 || v > 36500)
		return wrong(e, "--days takes 1 to 36500");
	*out = (unsigned)v;
	return 0;
}

static int
parse(int argc, char **argv, struct ca_options *o, struct sl_error *e)
{
	static const struct option longs[] = {
		{"kind", required_argument, NULL, 'k'},	   {"name", required_argument, NULL, 'n'},
		{"host", required_argument, NULL, 'H'},	   {"csr", required_argument, NULL, 'c'},
		{"out", required_argument, NULL, 'o'},	   {"days", required_argument, NULL, 'd'},
		{"new-key", required_argument, NULL, 'K'}, {NULL, 0, NULL, 0},
	};
	int opt, rc = 0;

	optind = 0; /* the options before the command were another list */
	while (rc == 0 && (opt = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (opt) {
		case 'k':
			o->kind = optarg;
			break;
		case 'n':
			o->name = optarg;
			break;
		case 'H':
			if (o->n_hosts == HOSTS_MAX)
				return wrong(e, "at most 16 --host");
			o->hosts[o->n_hosts++] = optarg;
			break;
		case 'c':
			o->csr = optarg;
			break;
		case 'o':
			o->out = optarg;
			break;
		case 'd':
			rc = parse_days(optarg, &o->days, e);
			break;
		case 'K':
			o->key = optarg;
			break;
		default:
			return wrong(e, "an option that ca does not know");
		}
	}
	return rc;
}

static int
carry_issue(const char *dir, const struct ca_options *o, struct sl_error *e)
{
	struct sl_ca_want w = {.name = o->name,
			       .hosts = o->hosts,
			       .n_hosts = o->n_hosts,
			       .days = o->days,
			       .csr_file = o->csr};
	char cert[4096], key[4096];
	const char *out = o->out ? o->out : o->name;

	if (!o->kind || !o->name)
		return wrong(e, "ca issue wants --kind and --name");
	if (sl_ca_kind_parse(o->kind, &w.kind))
		return wrong(e, "--kind is control, gateway, operator or agent");
	snprintf(cert, sizeof(cert), "%s.pem", out);
	snprintf(key, sizeof(key), "%s.key", out);
	if (!o->csr && access(key, F_OK) == 0) {
		sl_fail(e, -EEXIST, "exists", "", "%.200s is there already", key);
		sl_hint(e, "name another --out, or renew the certificate");
		return EXIT_CONFLICT;
	}
	w.cert_out = cert;
	w.key_out = o->csr ? NULL : key;
	if (sl_ca_issue(dir, &w, e))
		return e->err == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED;
	printf("%s%s%s\n", cert, o->csr ? "" : "\n", o->csr ? "" : key);
	return EXIT_OK;
}

static int
carry_list(const char *dir, bool json, struct sl_error *e)
{
	json_t *list, *row;
	size_t i;

	if (sl_ca_list(dir, &list, e))
		return EXIT_NOT_FOUND;
	if (json)
		answer_json(list);
	else
		printf("%-24s %-9s %-20s %s\n", "name", "kind", "until", "serial");
	json_array_foreach (list, i, row) {
		const char *name = "", *kind = "", *until = "", *serial = "";

		json_unpack(row, "{s?s, s?s, s?s, s?s}", "name", &name, "kind", &kind, "not_after",
			    &until, "serial", &serial);
		if (!json)
			printf("%-24s %-9s %-20s %s\n", name, kind, until, serial);
	}
	json_decref(list);
	return EXIT_OK;
}

static int
carry_renew(const char *dir, const char *cert, const struct ca_options *o, struct sl_error *e)
{
	if (sl_ca_renew(dir, cert, o->key, o->days, e))
		return e->err == -ENOENT ? EXIT_NOT_FOUND : EXIT_FAILED;
	puts(cert);
	return EXIT_OK;
}

int
ca_command(int argc, char **argv, bool json, struct sl_error *e)
{
	struct ca_options o = {0};
	const char *what = argc > 1 ? argv[1] : "";
	int rc;

	if (argc < 2 || strcmp(what, "--help") == 0 || strcmp(what, "-h") == 0) {
		usage(argc < 2 ? stderr : stdout);
		return argc < 2 ? EXIT_USAGE : EXIT_OK;
	}
	rc = parse(argc - 1, argv + 1, &o, e);
	argv += 1 + optind;
	argc -= 1 + optind;
	if (rc)
		return rc;
	if (argc < 1)
		return wrong(e, "the directory of the authority is missing");
	if (strcmp(what, "init") == 0 && argc == 1) {
		rc = sl_ca_init(argv[0], o.name ? o.name : "sluice", o.days ? o.days : SL_CA_DAYS,
				e);
		if (rc == 0)
			printf("%s/ca.pem\n", argv[0]);
		return rc == 0 ? EXIT_OK : rc == -EEXIST ? EXIT_CONFLICT : EXIT_FAILED;
	}
	if (strcmp(what, "issue") == 0 && argc == 1)
		return carry_issue(argv[0], &o, e);
	if (strcmp(what, "list") == 0 && argc == 1)
		return carry_list(argv[0], json, e);
	if (strcmp(what, "renew") == 0 && argc == 2)
		return carry_renew(argv[0], argv[1], &o, e);
	return wrong(e, "ca takes init, issue, renew or list");
}
