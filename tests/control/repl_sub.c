/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Subscribers that keep what they receive in a replica and print each state that they have:
 *
 *   repl_sub CA gateway|follower NODE[,NODE...] PORT ...
 *
 * {"node", "number", "epoch", "seq", "sum", "count", "why"} for each new state; "wrong" counts what
 * a subscriber must never be given. With QUIET=1 only the commands are answered; with SCHEMA=N it
 * reads that schema alone.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../unit/repl/owner.h"
#include "lines.h"
#include "sl_env.h"
#include "sl_log.h"

struct one {
	struct owner o;
	char name[64], token[80];
	uint64_t begun_ns, snapshot_ns;
};

static struct one *all;
static unsigned n_all;
static uint64_t started_ns;

static void
log_line(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	fprintf(stderr, "%.3f %s: %s: %s\n", (double)sl_clock_mono_ns() / 1e9, (const char *)ctx,
		topic, text);
}

static void
say_state(struct owner *o, const char *why)
{
	struct one *s = o->ctx;
	struct sl_hash_sum sum;
	char text[SL_HASH_STR];

	if (strcmp(why, "txn") != 0)
		s->snapshot_ns = sl_clock_mono_ns();
	if (getenv("QUIET"))
		return;
	sl_replica_sum(o->replica, &sum);
	lines_say(json_pack("{s:s, s:I, s:s, s:I, s:s, s:I, s:s, s:I}", "node", s->name, "number",
			    (json_int_t)o->pos.epoch.number, "epoch", o->pos.epoch.id, "seq",
			    (json_int_t)o->pos.seq, "sum", sl_hash_str(&sum, text), "count",
			    (json_int_t)sl_replica_count(o->replica), "why", why, "wrong",
			    (json_int_t)(o->wrong + o->broken)));
}

static json_t *
info(const struct one *s)
{
	struct sl_sub_info i;

	sl_sub_info(s->o.sub, &i);
	return json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:I, s:I}", "info",
			 s->name, "up", (int)i.up, "source", (json_int_t)i.source, "snapshots",
			 (json_int_t)i.snapshots, "txns", (json_int_t)i.txns, "connects",
			 (json_int_t)i.connects, "seq", (json_int_t)s->o.pos.seq, "wrong",
			 (json_int_t)(s->o.wrong + s->o.broken), "error", i.last_error, "count",
			 (json_int_t)sl_replica_count(s->o.replica), "bytes",
			 (json_int_t)sl_replica_bytes(s->o.replica), "snapshot_us",
			 (json_int_t)(s->snapshot_ns ? (int64_t)(s->snapshot_ns - started_ns) / 1000
						     : -1));
}

static void
on_command(void *ctx, json_t *cmd)
{
	const char *what = json_string_value(json_object_get(cmd, "do"));
	char line[160];
	json_t *o;
	FILE *f;

	for (unsigned i = 0; i < n_all; i++) {
		if (strcmp(what, "info") == 0)
			lines_say(info(&all[i]));
		else if (strcmp(what, "resync") == 0)
			sl_sub_resync(all[i].o.sub, "resync");
	}
	if (strcmp(what, "memory") != 0)
		return;
	o = json_object();
	f = fopen("/proc/self/status", "r");
	while (f && fgets(line, sizeof(line), f)) {
		char name[40];
		long kb;

		if (sscanf(line, "%39[^:]: %ld kB", name, &kb) == 2)
			json_object_set_new(o, name, json_integer(kb));
	}
	if (f)
		fclose(f);
	lines_say(o);
}

static bool
start(struct one *s, struct event_base *base, struct sl_tls *tls, bool follower,
      const struct sl_sub_source *sources, unsigned n)
{
	const char *schema = getenv("SCHEMA");
	unsigned n_schema = schema ? (unsigned)atoi(schema) : 0;
	struct sl_sub_conf c = {.base = base,
				.sources = sources,
				.n_sources = n,
				.tls = tls,
				.token = s->token,
				.node = s->name,
				.follower = follower,
				.program = "repl_sub",
				.schemas = {n_schema, n_schema},
				.ops = &owner_ops,
				.ctx = &s->o};
	struct sl_error e;

	owner_init(&s->o);
	s->o.state = say_state;
	s->o.ctx = s;
	snprintf(s->token, sizeof(s->token), "%s:%s", follower ? "follower" : "gateway", s->name);
	s->o.sub = sl_sub_new(&c, &e);
	return s->o.sub != NULL;
}

int
main(int argc, char **argv)
{
	struct event_base *base = event_base_new();
	struct sl_tls_conf tc = {.ca_file = argc > 1 ? argv[1] : NULL, .alpn = SL_REPL_ALPN};
	struct sl_sub_source sources[8] = {0};
	unsigned n = 0;
	struct sl_error e;
	struct sl_tls *tls;
	char *name, *rest;

	if (argc < 5)
		return 2;
	sl_log_set_sink(log_line, argv[3]);
	sl_log_set_level(SL_LOG_INFO);
	tls = sl_tls_client_new(&tc, &e);
	if (!tls) {
		fprintf(stderr, "repl_sub: %s\n", e.message);
		return 1;
	}
	for (; (int)n + 4 < argc && n < 8; n++) {
		snprintf(sources[n].host, sizeof(sources[n].host), "127.0.0.1");
		sources[n].port = (uint16_t)atoi(argv[n + 4]);
	}
	for (const char *c = argv[3]; c; c = strchr(c + 1, ','))
		n_all++;
	all = calloc(n_all, sizeof(*all));
	n_all = 0;
	started_ns = sl_clock_mono_ns();
	for (name = strtok_r(strdup(argv[3]), ",", &rest); name;
	     name = strtok_r(NULL, ",", &rest)) {
		snprintf(all[n_all].name, sizeof(all[n_all].name), "%s", name);
		if (!start(&all[n_all++], base, tls, strcmp(argv[2], "follower") == 0, sources, n))
			return 1;
	}
	lines_start(base, on_command, NULL);
	event_base_dispatch(base);
	lines_stop();
	for (unsigned i = 0; i < n_all; i++) {
		sl_sub_free(all[i].o.sub);
		owner_free(&all[i].o);
	}
	sl_tls_free(tls);
	event_base_free(base);
	return 0;
}
