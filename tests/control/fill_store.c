/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fills a store with peers that have an address, with its allocation, at each of some gateways of
 * interface wg0: what thousands of calls of the REST API would make. With FROM: more of them, where
 * interface and gateways are there.
 *
 *	fill_store STORE PEERS GATEWAYS [FROM]
 */
#include <stdio.h>
#include <stdlib.h>

#include "sl_store.h"

#define AT_ONCE 1000

static struct sl_error e;

static void
must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "fill_store: %s: %s %s %s\n", what, e.reason, e.path, e.message);
	exit(1);
}

static void
put(struct sl_store_txn *t, enum sl_kind k, const char *id, json_t *body)
{
	must(sl_store_put(t, k, id, SL_REV_ANY, body, &e) == 0, id);
	json_decref(body);
}

static void
frame(struct sl_store_txn *t, unsigned gateways)
{
	char name[32], id[40];

	put(t, SL_KIND_INTERFACE, "wg0", json_object());
	for (unsigned g = 1; g <= gateways; g++) {
		snprintf(name, sizeof(name), "gw-%u", g);
		snprintf(id, sizeof(id), "%s:wg0", name);
		put(t, SL_KIND_GATEWAY, name, json_pack("{s:[s]}", "interfaces", "wg0"));
		put(t, SL_KIND_GATEWAY_INTERFACE, id,
		    json_pack("{s:s, s:s, s:i}", "gateway", name, "interface", "wg0", "index",
			      (int)g));
	}
}

static void
peer(struct sl_store_txn *t, unsigned n, unsigned gateways)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef";
	char key[45] = "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw=", id[24], at[64];
	json_t *addresses = json_object();

	for (unsigned k = 0; k < 4; k++)
		key[k] = digits[n >> 5 * k & 31];
	for (unsigned g = 1; g <= gateways; g++) {
		snprintf(id, sizeof(id), "gw-%u", g);
		json_object_set_new(addresses, id,
				    json_pack("[o]",
					      json_sprintf("10.%u.%u.%u/32", 32 * g + (n >> 16),
							   n >> 8 & 255, n & 255)));
	}
	snprintf(id, sizeof(id), "peer-%06u", n);
	put(t, SL_KIND_PEER, id,
	    json_pack("{s:s, s:s, s:o, s:i}", "interface", "wg0", "public_key", key, "addresses",
		      addresses, "keepalive_s", 25));
	for (unsigned g = 1; g <= gateways; g++) {
		snprintf(at, sizeof(at), "gw-%u:wg0:10.%u.%u.%u", g, 32 * g + (n >> 16),
			 n >> 8 & 255, n & 255);
		put(t, SL_KIND_ALLOCATION, at, json_pack("{s:s}", "peer", id));
	}
}

int
main(int argc, char **argv)
{
	unsigned peers = argc >= 4 ? (unsigned)atoi(argv[2]) : 0;
	unsigned gateways = argc >= 4 ? (unsigned)atoi(argv[3]) : 0;
	unsigned from = argc == 5 ? (unsigned)atoi(argv[4]) : 0;
	struct sl_store_txn *t;
	struct sl_store *s;

	if (gateways < 1 || gateways > 7) {
		fprintf(stderr, "usage: fill_store STORE PEERS GATEWAYS [FROM]\n");
		return 2;
	}
	s = sl_store_open(argv[1], SL_STORE_WRITE, &e);
	must(s != NULL, "open");
	for (unsigned n = 0; n < peers; n += AT_ONCE) {
		t = sl_store_begin(s, "test", "fill", &e);
		must(t != NULL, "begin");
		if (n + from == 0)
			frame(t, gateways);
		for (unsigned i = n; i < n + AT_ONCE && i < peers; i++)
			peer(t, from + i, gateways);
		must(sl_store_commit(t, NULL, &e) == 0, "commit");
	}
	sl_store_close(s);
	return 0;
}
