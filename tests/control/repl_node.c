/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A data store with its publisher, and a follower where sources are given: what replication needs
 * of a server, steered by lines on standard input. Tokens are "ROLE:NODE" (a test's, nothing else).
 *
 *   repl_node serve STORE PORT CERT KEY CA NODE [SOURCE_PORT ...]
 *   repl_node init STORE primary|follower
 *   repl_node restore STORE BACKUP
 *   repl_node promote STORE
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../unit/repl/role_login.h"
#include "lines.h"
#include "sl_env.h"
#include "sl_follower.h"
#include "sl_log.h"
#include "sl_rpc_server.h"
#include "sl_schema.h"
#include "store_int.h"

struct node {
	struct event_base *base;
	struct sl_store *store, *writer;
	struct sl_rpc *rpc;
	struct sl_rpc_server *server;
	struct sl_publisher *pub;
	struct sl_follower *follower;
	struct sl_tls *tls, *client_tls;
	int64_t clock_offset_s;
	struct event *probe; /* each millisecond: CPU time since the last */
	uint64_t probe_ns, late_ns;
	char die_at[16]; /* killed between the steps of the next transaction */
	uint64_t wait_from_ns;
};

static int
die(const struct sl_error *e, const char *what)
{
	fprintf(stderr, "repl_node: %s: %s %s %s\n", what, e->reason, e->path, e->message);
	return 1;
}

static void
log_line(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	fprintf(stderr, "%.3f %s: %s: %s\n", (double)sl_clock_mono_ns() / 1e9, (const char *)ctx,
		topic, text);
}

static uint64_t
wall(void *ctx)
{
	struct node *n = ctx;

	return sl_clock_wall_ns() + (uint64_t)(n->clock_offset_s * (int64_t)SL_NS_PER_S);
}

static void
step(void *ctx, const char *at)
{
	struct node *n = ctx;

	if (n->die_at[0] && strcmp(n->die_at, at) == 0)
		kill(getpid(), SIGKILL);
}

/** The loop was held for so long by one callback: CPU time, for others use this machine too. */
static void
on_probe(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval ms = {.tv_usec = 1000};
	struct node *n = arg;
	struct timespec ts;
	uint64_t now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	now = (uint64_t)ts.tv_sec * SL_NS_PER_S + (uint64_t)ts.tv_nsec;

	if (n->probe_ns && now - n->probe_ns > n->late_ns)
		n->late_ns = now - n->probe_ns;
	n->probe_ns = now;
	evtimer_add(n->probe, &ms);
}

/* --- commands --------------------------------------------------------------------------------- */

static json_t *
error_json(const struct sl_error *e)
{
	return json_pack("{s:s, s:s, s:s}", "error", e->reason, "path", e->path, "message",
			 e->message);
}

static int
one_op(struct sl_store_txn *t, const json_t *op, struct sl_error *e)
{
	const char *id = json_string_value(json_object_get(op, "id"));
	json_t *obj = json_object_get(op, "obj");
	enum sl_kind k;

	if (sl_kind_parse(json_string_value(json_object_get(op, "kind")), &k))
		return sl_fail(e, -EINVAL, "kind", "", "no kind");
	return obj ? sl_store_put(t, k, id, SL_REV_ANY, obj, e)
		   : sl_store_del(t, k, id, SL_REV_ANY, e);
}

static json_t *
do_commit(struct node *n, const json_t *cmd)
{
	struct sl_error e = {0};
	struct sl_store_txn *t = sl_store_begin(n->writer, "test", "test", &e);
	struct sl_epoch epoch;
	const json_t *op;
	uint64_t seq = 0;
	size_t i;
	int rc = 0;

	if (!t)
		return error_json(&e);
	json_array_foreach (json_object_get(cmd, "ops"), i, op)
		rc = rc ? rc : one_op(t, op, &e);
	if (rc) {
		sl_store_abort(t);
		return error_json(&e);
	}
	if (sl_store_commit(t, &seq, &e))
		return error_json(&e);
	if (!json_is_true(json_object_get(cmd, "silent"))) /* as if another process did it */
		sl_publisher_kick(n->pub);
	sl_store_epoch(n->writer, &epoch);
	return json_pack("{s:I, s:s}", "seq", (json_int_t)seq, "epoch", epoch.id);
}

static json_t *
do_state(struct node *n)
{
	struct sl_epoch epoch;
	struct sl_hash_sum sum;
	char text[SL_HASH_STR];

	sl_store_epoch(n->store, &epoch);
	sl_store_sum(n->store, &sum);
	return json_pack("{s:o, s:I, s:s, s:I}", "epoch", sl_epoch_json(&epoch), "head",
			 (json_int_t)sl_store_head(n->store), "sum", sl_hash_str(&sum, text),
			 "oldest", (json_int_t)sl_store_oldest(n->store));
}

static bool
add_row(void *ctx, const struct sl_subscriber_info *i)
{
	json_array_append_new(ctx,
			      json_pack("{s:s, s:s, s:b, s:I, s:I, s:s, s:b, s:I}", "node", i->node,
					"via", i->via, "connected", (int)i->connected, "acked",
					(json_int_t)i->acked_seq, "sent", (json_int_t)i->sent_seq,
					"nack", i->nack_code, "hash_ok", (int)i->hash_ok,
					"snapshots", (json_int_t)i->snapshots));
	return true;
}

static json_t *
do_table(struct node *n)
{
	json_t *rows = json_array();

	sl_publisher_walk(n->pub, add_row, rows);
	return json_pack("{s:o}", "table", rows);
}

static void
on_waited(void *ctx, bool all, json_t *missing)
{
	struct node *n = ctx;

	lines_say(json_pack("{s:b, s:O, s:I}", "all", (int)all, "missing", missing, "us",
			    (json_int_t)((sl_clock_mono_ns() - n->wait_from_ns) / 1000)));
}

/** Commit, and tell when every gateway has acked: the time between is what matters. */
static json_t *
do_commit_wait(struct node *n, const json_t *cmd)
{
	json_t *o;

	n->wait_from_ns = sl_clock_mono_ns();
	o = do_commit(n, cmd);
	if (!json_object_get(o, "seq"))
		return o;
	sl_publisher_wait(n->pub, (uint64_t)json_integer_value(json_object_get(o, "seq")), NULL, 0,
			  10000, on_waited, n);
	json_decref(o);
	return NULL;
}

static json_t *
do_compact(struct node *n, const json_t *cmd)
{
	struct sl_error e;
	int64_t rows = sl_store_compact(n->store, 0,
					(uint64_t)json_integer_value(json_object_get(cmd, "rows")),
					sl_publisher_keep_from(n->pub), &e);

	return rows < 0 ? error_json(&e) : json_pack("{s:I}", "rows", (json_int_t)rows);
}

static json_t *
do_memory(void)
{
	json_t *o = json_object();
	char line[160], name[40];
	FILE *f = fopen("/proc/self/status", "r");
	long kb;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%39[^:]: %ld kB", name, &kb) == 2)
			json_object_set_new(o, name, json_integer(kb));
	}
	if (f)
		fclose(f);
	return o;
}

static void
on_command(void *ctx, json_t *cmd)
{
	const char *what = json_string_value(json_object_get(cmd, "do"));
	struct node *n = ctx;
	json_t *o = NULL;

	if (strcmp(what, "commit") == 0)
		o = do_commit(n, cmd);
	else if (strcmp(what, "commit_wait") == 0)
		o = do_commit_wait(n, cmd);
	else if (strcmp(what, "state") == 0)
		o = do_state(n);
	else if (strcmp(what, "table") == 0)
		o = do_table(n);
	else if (strcmp(what, "compact") == 0)
		o = do_compact(n, cmd);
	else if (strcmp(what, "memory") == 0)
		o = do_memory();
	else if (strcmp(what, "late") ==
		 0) { /* since it was asked last; the first time starts it */
		if (!n->probe) {
			n->probe = evtimer_new(n->base, on_probe, n);
			on_probe(-1, 0, n);
		}
		o = json_pack("{s:I}", "us", (json_int_t)(n->late_ns / 1000));
		n->late_ns = 0;
	} else if (strcmp(what, "clock") == 0)
		n->clock_offset_s = json_integer_value(json_object_get(cmd, "offset_s"));
	else if (strcmp(what, "die_at") == 0)
		snprintf(n->die_at, sizeof(n->die_at), "%s",
			 json_string_value(json_object_get(cmd, "step")));
	else if (strcmp(what, "backup") == 0) {
		struct sl_error e;
		const char *to = json_string_value(json_object_get(cmd, "to"));

		o = sl_store_backup(n->store->path, to, &e) ? error_json(&e) : do_state(n);
	}
	if (o)
		lines_say(o);
}

/* --- serving ---------------------------------------------------------------------------------- */

static void
on_rewound(void *ctx, const char *node, uint64_t its, uint64_t ours)
{
	struct node *n = ctx;
	struct sl_epoch epoch;

	sl_store_epoch(n->store, &epoch);
	lines_say(json_pack("{s:s, s:I, s:I, s:o}", "rewound", node, "its", (json_int_t)its, "ours",
			    (json_int_t)ours, "epoch", sl_epoch_json(&epoch)));
}

static int
on_upstream(void *ctx, const struct sl_rpc_caller *caller, const char *method, const char *node,
	    json_t *params, json_t **result, struct sl_error *e)
{
	struct node *n = ctx;

	return n->follower
		       ? sl_follower_upstream(n->follower, caller, method, node, params, result, e)
		       : 0;
}

static int
listen_at(struct node *n, const char *port, char **files, struct sl_error *e)
{
	struct sl_tls_conf tls = {.cert_file = files[0],
				  .key_file = files[1],
				  .alpn = SL_REPL_ALPN};
	struct sl_rpc_auth auth = {.token = role_login};
	struct sl_rpc_limits limits = {.connections = 512,
				       .per_source = 512,
				       .queue_max = (size_t)64 * 1024 * 1024};
	struct sl_endpoint at;
	char text[40];

	snprintf(text, sizeof(text), "127.0.0.1:%s", port);
	n->tls = sl_tls_server_new(&tls, e);
	if (!n->tls || sl_endpoint_parse(text, &at))
		return -EINVAL;
	n->rpc = sl_rpc_new(&sl_control_schema, n);
	sl_publisher_bind(n->pub, n->rpc);
	sl_rpc_set_state(n->rpc, SL_RPC_RUNNING);
	n->server = sl_rpc_server_new(n->base, n->rpc);
	return sl_rpc_server_tls(n->server, &at, n->tls, &auth, &limits, e);
}

static int
follow(struct node *n, const char *name, const char *ca, char **ports, int n_ports,
       struct sl_error *e)
{
	struct sl_tls_conf tls = {.ca_file = ca, .alpn = SL_REPL_ALPN};
	struct sl_sub_source sources[8] = {0};
	char token[80];
	struct sl_follower_conf c = {.base = n->base,
				     .store = n->writer,
				     .publisher = n->pub,
				     .sources = sources,
				     .n_sources = (unsigned)n_ports,
				     .token = token,
				     .node = name,
				     .program = "repl_node"};

	snprintf(token, sizeof(token), "follower:%s", name);
	for (int i = 0; i < n_ports && i < 8; i++) {
		snprintf(sources[i].host, sizeof(sources[i].host), "127.0.0.1");
		sources[i].port = (uint16_t)atoi(ports[i]);
	}
	n->client_tls = sl_tls_client_new(&tls, e);
	c.tls = n->client_tls;
	n->follower = n->client_tls ? sl_follower_new(&c, e) : NULL;
	return n->follower ? 0 : -EINVAL;
}

static int
serve(int argc, char **argv)
{
	struct node n = {0};
	struct sl_publisher_conf c = {.rewound = on_rewound,
				      .upstream = on_upstream,
				      .heartbeat_s = 2};
	struct sl_error e = {0};

	sl_log_set_sink(log_line, argv[7]);
	sl_log_set_level(SL_LOG_INFO);
	n.base = event_base_new();
	n.store = sl_store_open(argv[2], SL_STORE_WRITE, &e);
	n.writer = sl_store_open(argv[2], SL_STORE_WRITE, &e);
	if (!n.store || !n.writer)
		return die(&e, "open");
	sl_store_set_clock(n.writer, wall, &n);
	n.writer->step = step;
	n.writer->step_ctx = &n;
	c.base = n.base;
	c.store = n.store;
	c.writer = sl_tasks_new(n.base, "writer", &e);
	c.writer_store = sl_store_open(argv[2], SL_STORE_WRITE, &e);
	if (!c.writer || !c.writer_store)
		return die(&e, "writer");
	c.ctx = &n;
	c.heartbeat_s = getenv("HEARTBEAT_S") ? (unsigned)atoi(getenv("HEARTBEAT_S")) : 2;
	n.pub = sl_publisher_new(&c, &e);
	if (!n.pub)
		return die(&e, "publish");
	if (listen_at(&n, argv[3], argv + 4, &e))
		return die(&e, "listen");
	if (argc > 8 && follow(&n, argv[7], argv[6], argv + 8, argc - 8, &e))
		return die(&e, "follow");
	lines_start(n.base, on_command, &n);
	lines_say(json_pack("{s:s}", "ready", argv[7]));
	event_base_dispatch(n.base);
	lines_stop();
	if (n.probe)
		event_free(n.probe);
	sl_tasks_free(c.writer);
	sl_follower_free(n.follower);
	sl_rpc_server_free(n.server);
	sl_publisher_free(n.pub);
	sl_rpc_free(n.rpc);
	sl_store_close(c.writer_store);
	sl_store_close(n.store);
	sl_store_close(n.writer);
	sl_tls_free(n.tls);
	sl_tls_free(n.client_tls);
	event_base_free(n.base);
	return 0;
}

int
main(int argc, char **argv)
{
	struct sl_error e = {0};
	struct sl_store *s;

	if (argc >= 8 && strcmp(argv[1], "serve") == 0)
		return serve(argc, argv);
	if (argc == 4 && strcmp(argv[1], "init") == 0)
		return sl_store_init(argv[2],
				     strcmp(argv[3], "primary") == 0 ? SL_STORE_PRIMARY
								     : SL_STORE_FOLLOWER,
				     &e)
			       ? die(&e, "init")
			       : 0;
	if (argc == 4 && strcmp(argv[1], "restore") == 0)
		return sl_store_restore(argv[2], argv[3], NULL, &e) ? die(&e, "restore") : 0;
	if (argc == 3 && strcmp(argv[1], "promote") == 0) {
		s = sl_store_open(argv[2], SL_STORE_WRITE, &e);
		return !s || sl_store_promote(s, &e) ? die(&e, "promote") : 0;
	}
	fprintf(stderr, "repl_node: see the head of its source\n");
	return 2;
}
