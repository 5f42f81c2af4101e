/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "fixture.h"
#include "role_login.h"
#include "sl_log.h"
#include "sl_schema.h"

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	if (getenv("SL_TEST_LOG"))
		fprintf(stderr, "%s: %s\n", topic, text);
}

struct event_base *
loop_new(void)
{
	sl_log_set_sink(quiet, NULL);
	return event_base_new();
}

void
loop_free(struct event_base *base)
{
	event_base_free(base);
}

void
turn(struct event_base *base, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	event_base_loopexit(base, &tv);
	event_base_dispatch(base);
}

/* --- a node ----------------------------------------------------------------------------------- */

static void
on_rewound(void *ctx, const char *node, uint64_t its, uint64_t ours)
{
	struct node *n = ctx;

	n->rewinds++;
}

static int
on_upstream(void *ctx, const struct sl_rpc_caller *caller, const char *method, const char *node,
	    json_t *params, json_t **result, struct sl_error *e)
{
	struct node *n = ctx;

	if (n->follower)
		return sl_follower_upstream(n->follower, caller, method, node, params, result, e);
	if (strncmp(method, "repl.", 5) == 0)
		return 0;
	n->calls++;
	snprintf(n->method, sizeof(n->method), "%s", method);
	snprintf(n->about, sizeof(n->about), "%s", node);
	json_decref(n->params);
	n->params = json_incref(params);
	if (strcmp(method, "log.push") == 0)
		*result = json_pack("{s:i}", "acked", 7);
	if (strcmp(method, "gateway.register") == 0)
		*result = json_pack("{s:i}", "seq", 9);
	return 0;
}

static uint16_t
free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_return_code(bind(fd, (struct sockaddr *)&a, sizeof(a)), errno);
	assert_return_code(getsockname(fd, (struct sockaddr *)&a, &len), errno);
	close(fd);
	return ntohs(a.sin_port);
}

static void
listen_at(struct node *n)
{
	struct sl_rpc_auth auth = {.token = role_login};
	struct sl_rpc_limits limits = {.connections = 256,
				       .per_source = 256,
				       .queue_max = (size_t)64 * 1024 * 1024};
	struct sl_endpoint at;
	struct sl_error e;
	char text[32];

	if (!n->port)
		n->port = free_port();
	snprintf(text, sizeof(text), "127.0.0.1:%u", n->port);
	assert_int_equal(sl_endpoint_parse(text, &at), 0);
	assert_int_equal(sl_rpc_server_tls(n->server, &at, NULL, &auth, &limits, &e), 0);
}

void
node_start(struct node *n)
{
	struct sl_error e;

	n->store = sl_store_open(n->path, SL_STORE_WRITE, &e);
	n->writer = sl_store_open(n->path, SL_STORE_WRITE, &e);
	n->tasks_store = sl_store_open(n->path, SL_STORE_WRITE, &e);
	n->tasks = sl_tasks_new(n->base, "writer", &e);
	assert_non_null(n->store);
	assert_non_null(n->writer);
	assert_non_null(n->tasks_store);
	assert_non_null(n->tasks);
	n->conf.base = n->base;
	n->conf.store = n->store;
	n->conf.writer = n->tasks;
	n->conf.writer_store = n->tasks_store;
	n->conf.rewound = on_rewound;
	n->conf.upstream = on_upstream;
	n->conf.ctx = n;
	n->conf.url = "https://primary.example:7443";
	n->pub = sl_publisher_new(&n->conf, &e);
	assert_non_null(n->pub);
	n->rpc = sl_rpc_new(&sl_control_schema, n);
	assert_int_equal(sl_publisher_bind(n->pub, n->rpc), 0);
	sl_rpc_set_state(n->rpc, SL_RPC_RUNNING);
	n->server = sl_rpc_server_new(n->base, n->rpc);
	listen_at(n);
}

void
node_stop(struct node *n)
{
	sl_follower_free(n->follower);
	n->follower = NULL;
	sl_tasks_free(n->tasks);
	sl_rpc_server_free(n->server);
	sl_publisher_free(n->pub);
	sl_rpc_free(n->rpc);
	sl_store_close(n->tasks_store);
	sl_store_close(n->store);
	sl_store_close(n->writer);
}

void
node_new(struct node *n, struct event_base *base, enum sl_store_role role)
{
	struct sl_publisher_conf conf = n->conf;
	struct sl_error e;

	memset(n, 0, sizeof(*n));
	n->conf = conf;
	n->base = base;
	snprintf(n->dir, sizeof(n->dir), "/tmp/sl-repl-XXXXXX");
	assert_non_null(mkdtemp(n->dir));
	snprintf(n->path, sizeof(n->path), "%s/store.db", n->dir);
	assert_int_equal(sl_store_init(n->path, role, &e), 0);
	node_start(n);
}

void
node_free(struct node *n)
{
	char cmd[160];

	node_stop(n);
	json_decref(n->params);
	snprintf(cmd, sizeof(cmd), "rm -rf %s", n->dir);
	assert_int_equal(system(cmd), 0);
}

static bool
is_confirmed(void *ctx, const struct sl_epoch *epoch)
{
	struct node *n = ctx;

	return n->confirmed && strcmp(n->confirmed, epoch->id) == 0;
}

void
node_follow(struct node *n, const char *name, uint16_t port)
{
	struct sl_sub_source source = {.host = "127.0.0.1", .port = port};
	char token[80];
	struct sl_follower_conf c = {.base = n->base,
				     .store = n->writer,
				     .publisher = n->pub,
				     .sources = &source,
				     .n_sources = 1,
				     .token = token,
				     .node = name,
				     .schemas = n->conf.schemas,
				     .confirmed = is_confirmed,
				     .ctx = n,
				     .program = "test"};
	struct sl_error e;

	snprintf(token, sizeof(token), "follower:%s", name);
	n->follower = sl_follower_new(&c, &e);
	assert_non_null(n->follower);
}

/* --- an owner --------------------------------------------------------------------------------- */

void
owner_dial(struct owner *o, struct event_base *base, const char *name, bool follower,
	   const uint16_t *ports, unsigned n_ports)
{
	struct sl_sub_source sources[4] = {0};
	char token[80];
	struct sl_sub_conf c = {.base = base,
				.sources = sources,
				.n_sources = n_ports,
				.token = token,
				.node = name,
				.follower = follower,
				.program = "test",
				.schemas = o->schemas,
				.ops = &owner_ops,
				.ctx = o};
	struct sl_error e;

	snprintf(token, sizeof(token), "%s:%s", follower ? "follower" : "gateway", name);
	for (unsigned i = 0; i < n_ports; i++) {
		snprintf(sources[i].host, sizeof(sources[i].host), "127.0.0.1");
		sources[i].port = ports[i];
	}
	o->up = false;
	o->sub = sl_sub_new(&c, &e);
	assert_non_null(o->sub);
}

void
owner_hang_up(struct owner *o)
{
	sl_sub_free(o->sub);
	o->sub = NULL;
	o->up = false;
}

static bool
in_list(const json_t *list, const char *name)
{
	const json_t *v;
	size_t i;

	json_array_foreach (list, i, v) {
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	}
	return false;
}

/** The rule of scopes once more, as the documentation says it. */
static bool
in_scope(const struct sl_replica_obj *o, const char *gateway, const json_t *record)
{
	bool enabled = record && !json_is_false(json_object_get(record, "enabled"));

	switch (sl_kind_scope(o->kind)) {
	case SL_SCOPE_GATEWAY:
		return strcmp(o->scope, gateway) == 0;
	case SL_SCOPE_GATEWAYS:
		return enabled;
	case SL_SCOPE_INTERFACE:
		return enabled && (strcmp(o->scope, "*") == 0 ||
				   in_list(json_object_get(record, "interfaces"), o->scope));
	default:
		return false;
	}
}

bool
owner_equals(const struct owner *o, const struct node *n, const char *gateway)
{
	const struct sl_replica *all = sl_publisher_replica(n->pub);
	json_t *record = gateway ? sl_replica_body(all, SL_KIND_GATEWAY, gateway) : NULL;
	struct sl_hash_sum stored, published;
	size_t count = 0;
	bool equal;

	sl_store_sum(n->store, &stored);
	sl_replica_sum(all, &published);
	equal = sl_hash_equal(&stored, &published);

	for (int k = 0; k < SL_KIND_N; k++) {
		struct sl_replica_cursor c = {0};
		struct sl_replica_obj a, b;

		while (sl_replica_next(all, (enum sl_kind)k, &c, &a)) {
			if (gateway && !in_scope(&a, gateway, record))
				continue;
			count++;
			equal &= sl_replica_get(o->replica, a.kind, a.id, &b) && a.rev == b.rev &&
				 a.len == b.len && memcmp(a.text, b.text, a.len) == 0;
		}
	}
	json_decref(record);
	return equal && count == sl_replica_count(o->replica);
}

/* --- changes ---------------------------------------------------------------------------------- */

static uint64_t
commit(struct node *n, struct sl_store_txn *t, int rc, struct sl_error *e)
{
	uint64_t seq = 0;

	if (rc)
		fail_msg("%s %s %s", e->reason, e->path, e->message);
	if (sl_store_commit(t, &seq, e))
		fail_msg("%s %s %s", e->reason, e->path, e->message);
	sl_publisher_kick(n->pub);
	return seq;
}

uint64_t
put(struct node *n, enum sl_kind k, const char *id, json_t *body)
{
	struct sl_error e = {0};
	struct sl_store_txn *t = sl_store_begin(n->store, "test", "test", &e);
	uint64_t seq;

	assert_non_null(t);
	seq = commit(n, t, sl_store_put(t, k, id, SL_REV_ANY, body, &e), &e);
	json_decref(body);
	return seq;
}

uint64_t
del(struct node *n, enum sl_kind k, const char *id)
{
	struct sl_error e = {0};
	struct sl_store_txn *t = sl_store_begin(n->store, "test", "test", &e);

	assert_non_null(t);
	return commit(n, t, sl_store_del(t, k, id, SL_REV_ANY, &e), &e);
}

json_t *
peer_body(unsigned i, const char *iface)
{
	uint8_t key[32] = {0x40, (uint8_t)i, (uint8_t)(i >> 8), (uint8_t)(i >> 16), 9};
	char text[64], ip[32];

	sodium_bin2base64(text, sizeof(text), key, sizeof(key), sodium_base64_VARIANT_ORIGINAL);
	snprintf(ip, sizeof(ip), "10.%u.%u.%u/32", 64 + i / 65536, i / 256 % 256, i % 256);
	return json_pack("{s:s, s:s, s:[s]}", "interface", iface, "public_key", text, "allowed_ips",
			 ip);
}

uint64_t
put_peer(struct node *n, unsigned i, const char *iface)
{
	char id[32];

	snprintf(id, sizeof(id), "p-%u", i);
	return put(n, SL_KIND_PEER, id, peer_body(i, iface));
}

uint64_t
put_gateway(struct node *n, const char *name, const char *const *ifaces, bool enabled)
{
	json_t *list = json_array();

	for (; *ifaces; ifaces++)
		json_array_append_new(list, json_string(*ifaces));
	return put(n, SL_KIND_GATEWAY, name,
		   json_pack("{s:o, s:b}", "interfaces", list, "enabled", (int)enabled));
}

void
fill(struct node *n)
{
	put(n, SL_KIND_INTERFACE, "wg0", json_pack("{s:i}", "listen_port", 51820));
	put(n, SL_KIND_INTERFACE, "wg1", json_pack("{s:i}", "listen_port", 51821));
	put_gateway(n, "gw-a", (const char *const[]){"wg0", NULL}, true);
	put_gateway(n, "gw-b", (const char *const[]){"wg0", "wg1", NULL}, true);
	for (unsigned i = 1; i <= 6; i++)
		put_peer(n, i, i % 3 ? "wg0" : "wg1");
	put(n, SL_KIND_PROVIDER, "corp", json_pack("{s:s}", "state", "up"));
	put(n, SL_KIND_SETTING, "log_days", json_pack("{s:i}", "value", 30));
}

/* --- what it tells of its subscribers -----------------------------------------------------------
 */

static bool
find_row(void *ctx, const struct sl_subscriber_info *i)
{
	struct find *f = ctx;

	if (strcmp(i->node, f->node) != 0)
		return true;
	f->i = *i;
	snprintf(f->via, sizeof(f->via), "%s", i->via);
	f->found = true;
	return false;
}

struct find
row_of(const struct node *n, const char *name)
{
	struct find f = {.node = name};

	sl_publisher_walk(n->pub, find_row, &f);
	return f;
}
