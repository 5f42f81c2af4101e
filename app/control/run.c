/* SPDX-License-Identifier: BSD-3-Clause */
/* The server: store, replication, REST, on one event loop. */
#include <event2/dns.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "accepted_epoch.h"
#include "access.h"
#include "run.h"
#include "settings.h"
#include "sl_env.h"
#include "sl_follower.h"
#include "sl_log.h"
#include "sl_rest.h"
#include "sl_rpc_server.h"
#include "sl_schema_control.h"
#include "sl_secret.h"
#include "sl_tasks.h"
#include "sl_turns.h"
#include "sl_tls_alarm.h"
#include "sl_trail.h"
#include "token_uses.h"
#include "upstream.h"
#include "wipe_alloc.h"

#define COMPACT_S 3600
#define RECHECK_S 60 /* of what ends by itself */
#define DAY_S 86400
#define ALARM_S 60
#define CHECKPOINT_S 5
#define USES_S 5
#define PATIENCE_MS 25 /* of the loop for the store */

struct run {
	const struct run_options *o;
	struct event_base *base;
	struct sl_store *store;
	struct sl_store *read; /* the loop's: of a follower a handle of its own, for another thread
				  writes what comes from the source */
	struct sl_tasks *writer; /* of the store; NULL: a follower */
	struct sl_store *writer_store;
	struct sl_seal_key seal_key; /* signs the audit; of a follower none */
	struct token_uses uses;
	struct sl_tasks *upkeep;
	struct sl_store *upkeep_store;
	struct sl_task compact, checkpoint;
	uint64_t keep_from; /* of the log, while it is compacted */
	bool compacting, checkpointing;
	struct sl_pepper pepper;
	struct control_paths paths;
	int lock;
	struct sl_tls *rest_tls, *repl_tls, *dial_tls;
	struct sl_allow_cert *certs;
	struct access access;
	struct sl_tls_alarm alarm;
	unsigned seconds;
	struct sl_publisher *publisher;
	struct upstream *upstream; /* NULL: a follower */
	struct sl_rpc *rpc;
	struct sl_rpc_server *server;
	struct sl_rest *rest;
	struct evdns_base *dns;
	struct sl_follower *follower;
	char token[160];
	struct event *ev[5];
	struct sl_turns turns;
	uint64_t checked_seq; /* head of the store when logins were last looked at again */
	int64_t checked_s;
};

/* --- the source's token ---------------------------------------------------------------------- */

static int
read_token(struct run *r, struct sl_error *e)
{
	char token[sizeof(r->token)] = "";
	FILE *f;
	struct stat st;

	if (r->o->token_file == NULL)
		return 0;
	f = fopen(r->o->token_file, "re");
	if (f == NULL || fstat(fileno(f), &st) != 0 || fgets(token, sizeof(token), f) == NULL) {
		sl_fail(e, -EIO, "file", "--token-file", "%.200s: %s", r->o->token_file,
			f == NULL ? strerror(errno) : "it holds no token");
		if (f != NULL)
			fclose(f);
		return -EIO;
	}
	fclose(f);
	token[strcspn(token, " \r\n")] = '\0';
	if ((st.st_mode & 077) == 0) {
		memcpy(r->token, token, sizeof(token));
		sl_wipe(token, sizeof(token));
		return 0;
	}
	sl_wipe(token, sizeof(token));
	sl_fail(e, -EPERM, "file_mode", "--token-file", "%.200s: others may read it",
		r->o->token_file);
	sl_hint(e, "chmod 0600 %.150s", r->o->token_file);
	return -EPERM;
}

static int
set_token(struct run *r)
{
	return sl_follower_set_token(r->follower, r->token[0] != '\0' ? r->token : NULL);
}

/* --- events ----------------------------------------------------------------------------------- */

static void
on_end(evutil_socket_t sig, short what, void *arg)
{
	struct run *r = arg;

	sl_log(SL_LOG_NOTICE, "stop", "signal %d: ending", (int)sig);
	event_base_loopbreak(r->base);
}

static void
look_at_certificate(struct run *r)
{
	sl_tls_alarm_look(&r->alarm, sl_tls_not_after(r->rest_tls),
			  r->o->cert ? r->o->cert : r->paths.tls_cert, (int64_t)time(NULL));
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct run *r = arg;
	struct sl_tls *const tls[] = {r->rest_tls, r->repl_tls, r->dial_tls};
	struct sl_error e = {0};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(tls); i++) {
		if (tls[i] == NULL || sl_tls_reload(tls[i], &e) == 0)
			continue;
		sl_log(SL_LOG_ERR, "tls", "SIGHUP: %s [%s]; the former certificate stays",
		       e.message, e.reason);
		return;
	}
	look_at_certificate(r);
	if (r->follower != NULL && (read_token(r, &e) != 0 || set_token(r) != 0)) {
		sl_log(SL_LOG_ERR, "tls", "SIGHUP: %s [%s]; the former token stays", e.message,
		       e.reason);
		return;
	}
	sl_log(SL_LOG_NOTICE, "tls", "SIGHUP: certificates%s are read anew",
	       r->follower != NULL ? " and token" : "");
}

/** Old rows may be many: not the loop deletes them. */
static void
compact_run(struct sl_task *t)
{
	struct run *r = SL_CONTAINER_OF(t, struct run, compact);
	struct sl_error e = {0};
	int64_t n = sl_store_compact(r->upkeep_store,
				     (uint64_t)sl_setting_get(r->upkeep_store, "log_days") * DAY_S,
				     (uint64_t)sl_setting_get(r->upkeep_store, "log_rows"),
				     r->keep_from, &e);

	if (n < 0)
		sl_log(SL_LOG_WARN, "store", "the log is not compacted: %s", e.message);
	else if (n > 0)
		sl_log(SL_LOG_INFO, "store", "%lld rows of the log are old and dropped",
		       (long long)n);
}

static void
checkpoint_run(struct sl_task *t)
{
	sl_store_checkpoint(SL_CONTAINER_OF(t, struct run, checkpoint)->upkeep_store);
}

static void
compact_done(struct sl_task *t)
{
	SL_CONTAINER_OF(t, struct run, compact)->compacting = false;
}

static void
checkpoint_done(struct sl_task *t)
{
	SL_CONTAINER_OF(t, struct run, checkpoint)->checkpointing = false;
}

static void
on_compact(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	if (r->compacting)
		return;
	r->compacting = true;
	r->keep_from = sl_publisher_keep_from(r->publisher);
	r->compact = (struct sl_task){.run = compact_run, .done = compact_done};
	sl_tasks_give(r->upkeep, &r->compact);
}

/** What the loop has committed. */
static void
checkpoint(struct run *r)
{
	if (r->checkpointing)
		return;
	r->checkpointing = true;
	r->checkpoint = (struct sl_task){.run = checkpoint_run, .done = checkpoint_done};
	sl_tasks_give(r->upkeep, &r->checkpoint);
}

static int
open_upkeep(struct run *r, struct sl_error *e)
{
	r->upkeep_store = sl_store_open_again(r->store, SL_STORE_WRITE, e);
	if (r->upkeep_store != NULL)
		r->upkeep = sl_tasks_new(r->base, "upkeep", e);
	return r->upkeep != NULL ? 0 : e->err;
}

/** The audit, and who writes. One after the other: who would change the store at the same time
 * would wait for its lock. */
static int
open_writer(struct run *r, struct sl_error *e)
{
	int rc = sl_trail_begin(r->store, r->paths.dir, SL_TRAIL_ITS_OWN, &r->seal_key, e);

	if (rc != 0)
		return rc;
	r->writer_store = sl_store_open_again(r->store, SL_STORE_WRITE, e);
	if (r->writer_store != NULL)
		r->writer = sl_tasks_new(r->base, "writer", e);
	r->uses = (struct token_uses){.store = r->store,
				      .writer = r->writer,
				      .writer_store = r->writer_store};
	return r->writer != NULL ? 0 : e->err;
}

/** What was revoked or has ended since ends the connections that it let in. */
static void
recheck_logins(struct run *r)
{
	int64_t now_s = (int64_t)(sl_clock_wall_ns() / SL_NS_PER_S);
	uint64_t head = sl_store_head(r->read);

	if (head == r->checked_seq && now_s - r->checked_s < RECHECK_S && now_s >= r->checked_s)
		return;
	r->checked_seq = head;
	r->checked_s = now_s;
	sl_rpc_server_recheck(r->server);
}

static void
on_second(evutil_socket_t fd, short what, void *arg)
{
	struct run *r = arg;

	if (r->upstream != NULL)
		upstream_tick(r->upstream);
	recheck_logins(r);
	if (r->seconds % CHECKPOINT_S == 0)
		checkpoint(r);
	if (r->seconds % USES_S == USES_S - 1)
		token_uses_write(&r->uses);
	if (r->seconds++ % ALARM_S == 0)
		look_at_certificate(r);
}

static void
on_rewound(void *ctx, const char *node, uint64_t its_seq, uint64_t our_seq)
{
	sl_log(SL_LOG_WARN, "repl",
	       "datastore_rewound: %s has seq %llu of our epoch, we only %llu; a new epoch was "
	       "made",
	       node, (unsigned long long)its_seq, (unsigned long long)our_seq);
}

static int
add_events(struct run *r, struct sl_error *e)
{
	struct timeval hour = {.tv_sec = COMPACT_S}, second = {.tv_sec = 1};

	r->ev[0] = evsignal_new(r->base, SIGTERM, on_end, r);
	r->ev[1] = evsignal_new(r->base, SIGINT, on_end, r);
	r->ev[2] = evsignal_new(r->base, SIGHUP, on_hup, r);
	r->ev[3] = event_new(r->base, -1, EV_PERSIST, on_compact, r);
	r->ev[4] = event_new(r->base, -1, EV_PERSIST, on_second, r);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(r->ev); i++) {
		if (r->ev[i] == NULL || event_add(r->ev[i], i == 3   ? &hour
							    : i == 4 ? &second
								     : NULL) != 0)
			return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the event loop");
	}
	return 0;
}

/* --- opening ---------------------------------------------------------------------------------- */

static int
open_store(struct run *r, struct sl_error *e)
{
	const struct control_paths *p = &r->paths;
	bool follower;
	int rc = control_paths_of(r->o->state_dir, &r->paths, e);

	if (rc == 0)
		rc = control_state_check(p, false, e);
	if (rc != 0)
		return rc;
	r->lock = control_lock(p, e);
	if (r->lock < 0)
		return r->lock;
	r->store = sl_store_open(p->store, SL_STORE_WRITE, e);
	if (r->store == NULL)
		return e->err;
	follower = sl_store_role(r->store) == SL_STORE_FOLLOWER;
	if (follower != r->o->follower) {
		sl_fail(e, -EINVAL, "mode_mismatch", "--mode", "%.300s is the store of a %s",
			p->store, follower ? "follower" : "primary");
		sl_hint(e, follower ? "start it with --mode follower, or make it the primary: "
				      "sluice-control promote"
				    : "a follower's begins with: sluice-control init --follower");
		return -EINVAL;
	}
	if (!follower &&
	    (sl_store_mark_withdrawn(r->store, e) != 0 || sl_store_place_agents(r->store, e) != 0))
		return e->err;
	r->read = follower ? sl_store_open(p->store, SL_STORE_READ, e) : r->store;
	return r->read != NULL ? sl_pepper_load(p->pepper, false, &r->pepper, e) : e->err;
}

static int
open_tls(struct run *r, struct sl_error *e)
{
	struct sl_tls_conf c = {.cert_file = r->o->cert ? r->o->cert : r->paths.tls_cert,
				.key_file = r->o->key ? r->o->key : r->paths.tls_key,
				.ca_file = r->o->ca ? r->o->ca : r->paths.tls_ca};

	r->rest_tls = sl_tls_server_new(&c, e);
	c.alpn = SL_REPL_ALPN;
	if (r->rest_tls != NULL)
		r->repl_tls = sl_tls_server_new(&c, e);
	/* a certificate is a login too, and a connection has one login */
	if (r->o->token_file != NULL)
		c.cert_file = c.key_file = NULL;
	if (r->repl_tls != NULL && r->o->follower)
		r->dial_tls = sl_tls_client_new(&c, e);
	if (r->repl_tls == NULL || (r->o->follower && r->dial_tls == NULL)) {
		if (strcmp(e->reason, "file") == 0 && e->hint[0] == '\0')
			sl_hint(e, "sluicectl ca issue makes certificates; --cert, --key and --ca "
				   "name them");
		return e->err;
	}
	r->certs = sl_allow_cert_new(r->o->allow_cert, e);
	return r->certs != NULL ? 0 : e->err;
}

static void
on_source(void *ctx, bool up, unsigned source, const struct sl_error *e)
{
	struct run *r = ctx;
	const struct sl_sub_source *s = &r->o->source[source < r->o->n_sources ? source : 0];

	if (up)
		sl_log(SL_LOG_NOTICE, "follow", "subscribed at %s port %u", s->host, s->port);
	else
		sl_log(SL_LOG_WARN, "follow", "%s port %u: %s", s->host, s->port,
		       e != NULL ? e->message : "the connection ended");
}

/** Asked when an epoch is refused: the file is read each time, for the command writes it beside us.
 */
static bool
is_confirmed(void *ctx, const struct sl_epoch *epoch)
{
	struct run *r = ctx;
	struct accepted_epoch a;
	struct sl_epoch ours;

	sl_store_epoch(r->read, &ours);
	if (!accepted_epoch_read(&r->paths, &a) || strcmp(a.id, epoch->id) != 0 ||
	    strcmp(a.from, ours.id) != 0)
		return false;
	sl_log(SL_LOG_NOTICE, "follow",
	       "epoch %llu (%s) is taken after epoch %llu (%s): accepted by %s at %s",
	       (unsigned long long)epoch->number, epoch->id, (unsigned long long)ours.number,
	       ours.id, a.by, a.at);
	return true;
}

static bool
source_info(void *ctx, struct sl_sub_info *info, char at[160])
{
	struct run *r = ctx;
	const struct sl_sub_source *s;

	sl_follower_info(r->follower, info);
	s = &r->o->source[info->source < r->o->n_sources ? info->source : 0];
	snprintf(at, 160, "%s:%u", s->host, s->port);
	return true;
}

static int
open_follower(struct run *r, struct sl_error *e)
{
	struct sl_follower_conf c = {.base = r->base,
				     .store = r->store,
				     .publisher = r->publisher,
				     .sources = r->o->source,
				     .n_sources = r->o->n_sources,
				     .tls = r->dial_tls,
				     .node = r->o->name,
				     .program = "sluice-control/" SL_VERSION,
				     .confirmed = is_confirmed,
				     .state = on_source,
				     .ctx = r};
	int rc;

	if (!r->o->follower)
		return 0;
	rc = read_token(r, e);
	if (rc != 0)
		return rc;
	c.token = r->token[0] != '\0' ? r->token : NULL;
	r->dns = evdns_base_new(r->base, EVDNS_BASE_INITIALIZE_NAMESERVERS |
						 EVDNS_BASE_DISABLE_WHEN_INACTIVE);
	c.dns = r->dns;
	r->follower = sl_follower_new(&c, e);
	return r->follower != NULL ? 0 : e->err;
}

static void
on_refused(void *ctx, const struct sl_ip *from)
{
	struct run *r = ctx;

	if (r->rest != NULL)
		sl_rest_login_failed(r->rest, from);
}

/** What subscribers tell: here it ends, or it goes on to the source. */
static int
on_upstream(void *ctx, const struct sl_rpc_caller *caller, const char *method, const char *node,
	    json_t *params, json_t **result, struct sl_error *e)
{
	struct run *r = ctx;

	if (r->follower != NULL)
		return sl_follower_upstream(r->follower, caller, method, node, params, result, e);
	return upstream_call(r->upstream, caller, method, node, params, e);
}

static int
open_repl(struct run *r, struct sl_error *e)
{
	struct sl_publisher_conf p = {.base = r->base,
				      .store = r->read,
				      .writer = r->writer,
				      .writer_store = r->writer_store,
				      .url = r->o->public_url,
				      .heartbeat_s = r->o->heartbeat_s,
				      .rewound = on_rewound,
				      .upstream = on_upstream,
				      .ctx = r};
	struct sl_rpc_auth auth = {.token = access_token,
				   .certificate = access_certificate,
				   .still = access_still,
				   .ctx = &r->access};
	/* a follower speaks for all who are behind it; each of them has its own rates */
	struct sl_rpc_limits limits = {.connections = 2048,
				       .per_source = 64,
				       .per_second = 2000,
				       .burst = 4000};
	int rc;

	if (!r->o->follower) {
		r->upstream = upstream_new(r->writer, r->writer_store, &r->seal_key, e);
		if (r->upstream == NULL)
			return e->err;
	}
	r->publisher = sl_publisher_new(&p, e);
	if (r->publisher == NULL)
		return e->err;
	r->access = (struct access){r->read, &r->pepper, r->certs, on_refused, r};
	r->rpc = sl_rpc_new(&sl_control_schema, r);
	if (r->rpc == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for replication");
	rc = sl_publisher_bind(r->publisher, r->rpc);
	if (rc != 0)
		return sl_fail(e, rc, "internal", "", "handlers do not match the schema");
	sl_rpc_set_state(r->rpc, SL_RPC_RUNNING);
	r->server = sl_rpc_server_new(r->base, r->rpc);
	if (r->server == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for replication");
	return sl_rpc_server_tls(r->server, &r->o->repl, r->repl_tls, &auth, &limits, e);
}

static int
open_rest(struct run *r, struct sl_error *e)
{
	struct sl_rest_conf c = {.base = r->base,
				 .store = r->read,
				 .pepper = &r->pepper,
				 .publisher = r->publisher,
				 .writer = r->writer,
				 .writer_store = r->writer_store,
				 .seal_key = r->o->follower ? NULL : &r->seal_key,
				 .collector = r->upstream ? upstream_collector(r->upstream) : NULL,
				 .tls = r->rest_tls,
				 .certs = r->certs,
				 .at = r->o->rest,
				 .name = r->o->name,
				 .state_dir = r->paths.dir,
				 .public_url = r->o->public_url,
				 .turns = &r->turns,
				 .stream = r->server,
				 .source = r->follower ? source_info : NULL,
				 .ctx = r};

	r->rest = sl_rest_new(&c, e);
	return r->rest != NULL ? 0 : e->err;
}

static int
open_all(struct run *r, struct sl_error *e)
{
	int rc = open_store(r, e);

	if (rc == 0)
		rc = open_tls(r, e);
	r->base = rc == 0 ? event_base_new() : NULL;
	if (rc == 0 && r->base == NULL)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the event loop");
	if (rc == 0 && !r->o->follower)
		rc = open_writer(r, e);
	if (rc == 0)
		rc = open_repl(r, e);
	if (rc == 0)
		rc = open_follower(r, e);
	if (rc == 0)
		rc = open_rest(r, e);
	if (rc == 0)
		rc = open_upkeep(r, e);
	/* a moment, for what its own threads write; others are not waited for */
	if (rc == 0) {
		sl_store_set_patience(r->read, PATIENCE_MS);
		sl_store_leave_checkpoints(r->read);
	}
	return rc == 0 ? add_events(r, e) : rc;
}

static void
close_all(struct run *r)
{
	sl_tasks_free(r->upkeep);
	sl_tasks_free(r->writer);
	token_uses_end(&r->uses);
	sl_rest_free(r->rest);
	upstream_free(r->upstream);
	sl_rpc_server_free(r->server);
	sl_follower_free(r->follower);
	sl_publisher_free(r->publisher);
	sl_rpc_free(r->rpc);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(r->ev); i++) {
		if (r->ev[i] != NULL)
			event_free(r->ev[i]);
	}
	if (r->dns != NULL)
		evdns_base_free(r->dns, 0);
	if (r->base != NULL)
		event_base_free(r->base);
	sl_allow_cert_free(r->certs);
	sl_tls_free(r->rest_tls);
	sl_tls_free(r->repl_tls);
	sl_tls_free(r->dial_tls);
	sl_store_close(r->upkeep_store);
	sl_store_close(r->writer_store);
	if (r->read != r->store)
		sl_store_close(r->read);
	sl_store_close(r->store);
	if (r->lock >= 0)
		close(r->lock);
	sl_seal_key_wipe(&r->seal_key);
	sl_wipe(&r->pepper, sizeof(r->pepper));
	sl_wipe(r->token, sizeof(r->token));
}

/* --- the program ------------------------------------------------------------------------------ */

/** No memory of ours in a dump. */
static void
limit_process(void)
{
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
}

int
control_run(const struct control_command *c, int argc, char **argv)
{
	struct run_options o;
	struct run r = {.o = &o, .lock = -1};
	struct sl_error e = {0};
	char rest[SL_ENDPOINT_STR], repl[SL_ENDPOINT_STR];
	int rc = run_options_parse(c, argc, argv, &o);

	if (rc >= 0)
		return rc;
	wipe_alloc_init();
	limit_process();
	rc = open_all(&r, &e);
	if (rc == 0) {
		o.rest.port = sl_rest_port(r.rest);
		sl_log(SL_LOG_NOTICE, "start",
		       "%s \"%s\" is ready: REST at https://%s/api/v1, replication at %s",
		       o.follower ? "follower" : "primary", o.name, sl_endpoint_str(&o.rest, rest),
		       sl_endpoint_str(&o.repl, repl));
		sl_turns_dispatch(r.base, &r.turns);
	}
	close_all(&r);
	return rc == 0 ? EXIT_SUCCESS : control_fail(&e);
}
