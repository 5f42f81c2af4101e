/* SPDX-License-Identifier: BSD-3-Clause */
/* The subscriber dials: sources in order, then a pause with jitter that grows. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_log.h"
#include "sl_secret.h"
#include "sub_int.h"

static void
drop_client(struct sl_sub *s)
{
	if (s->client)
		sl_rpc_client_free(s->client);
	s->client = NULL;
}

static unsigned
jitter(unsigned ms)
{
	struct sl_rng rng = sl_rng_system();
	uint32_t r;

	sl_rng_fill(&rng, &r, sizeof(r));
	return ms / 2 + r % (ms / 2 + 1);
}

static void
schedule(struct sl_sub *s, unsigned ms)
{
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	s->phase = SUB_IDLE;
	evtimer_add(s->timer, &tv);
}

/** Not all at the same time, and not before a source wants us back. */
static void
rest_a_while(struct sl_sub *s)
{
	schedule(s, s->told_ms + jitter(s->wait_ms));
	s->told_ms = 0;
}

/** The next source at once; after the last one a pause. */
static void
next_source(struct sl_sub *s)
{
	if (s->source + 1 < s->conf.n_sources) {
		s->source++;
		schedule(s, 0);
		return;
	}
	s->source = 0;
	rest_a_while(s);
	s->wait_ms = SL_MIN(s->wait_ms * 2, SUB_WAIT_MAX_MS);
}

void
sub_note_error(struct sl_sub *s, const struct sl_error *e)
{
	snprintf(s->info.last_error, sizeof(s->info.last_error), "%.39s: %.110s", e->reason,
		 e->message);
}

void
sub_fail(struct sl_sub *s, const struct sl_error *e)
{
	bool was_up = s->up;
	unsigned source = s->source;
	uint64_t bit = 1ULL << source % 64;

	sub_note_error(s, e);
	/* the first failure of each, then quietly: it is tried for ever */
	sl_log(was_up || !(s->told & bit) ? SL_LOG_NOTICE : SL_LOG_INFO, "repl",
	       "source %s port %u: %s", s->sources[source].host, s->sources[source].port,
	       s->info.last_error);
	s->told |= bit;
	drop_client(s);
	sub_reset(s);
	s->anew = false;
	s->up = false;
	s->told_ms = SL_MAX(s->told_ms, SL_MIN(e->retry_after_ms, (uint32_t)SUB_TOLD_MAX_MS));
	if (was_up) { /* from the first source again */
		s->source = 0;
		rest_a_while(s);
	} else {
		next_source(s);
	}
	if (was_up)
		s->conf.ops->state(s->conf.ctx, false, source, e);
}

void
sub_fail_soon(struct sl_sub *s, const struct sl_error *e)
{
	sub_reset(s);
	s->ending = *e;
	schedule(s, SUB_ENDING_MS);
	s->phase = SUB_ENDING;
}

void
sub_up(struct sl_sub *s)
{
	s->up = true;
	s->told = 0;
	s->info.refused.number = 0;
	sl_log(SL_LOG_INFO, "repl", "subscribed at source %s port %u", s->sources[s->source].host,
	       s->sources[s->source].port);
	s->conf.ops->state(s->conf.ctx, true, s->source, NULL);
}

static void
on_up(void *ctx)
{
	struct sl_sub *s = ctx;

	s->info.connects++;
	sub_ask(s);
}

static void
on_notify(void *ctx, const char *method, json_t *params)
{
	const struct sl_sub *s = ctx;

	sub_notify(ctx, method, params, sl_rpc_client_line(s->client));
}

static void
on_down(void *ctx, const struct sl_error *e)
{
	sub_fail(ctx, e);
}

static void
dial(struct sl_sub *s)
{
	const struct sl_sub_source *at = &s->sources[s->source];
	struct sl_rpc_client_conf c = {.base = s->conf.base,
				       .dns = s->conf.dns,
				       .host = at->host,
				       .port = at->port,
				       .tls = s->conf.tls,
				       .token = s->token,
				       .name = s->program,
				       .line_max = SUB_LINE_MAX,
				       .up = on_up,
				       .notify = on_notify,
				       .down = on_down,
				       .ctx = s};
	struct sl_error e = {0};

	evtimer_del(s->timer);
	s->phase = SUB_DIAL;
	s->client = sl_rpc_client_new(&c, &e);
	if (!s->client)
		sub_fail(s, &e);
}

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct sl_sub *s = arg;

	if (s->phase == SUB_ENDING)
		sub_fail(s, &s->ending);
	else
		dial(s);
}

static void
on_step(evutil_socket_t fd, short what, void *arg)
{
	sub_run(arg);
}

static char *
copy(const char *s)
{
	return s ? strdup(s) : NULL;
}

static bool
copy_conf(struct sl_sub *s, const struct sl_sub_conf *c)
{
	s->conf = *c;
	s->conf.schemas = sl_repl_schemas_or_ours(c->schemas);
	s->sources = calloc(c->n_sources, sizeof(s->sources[0]));
	s->token = copy(c->token);
	s->node = copy(c->node);
	s->program = copy(c->program);
	if (!s->sources || (c->token && !s->token) || !s->node || !s->program)
		return false;
	memcpy(s->sources, c->sources, c->n_sources * sizeof(s->sources[0]));
	return true;
}

struct sl_sub *
sl_sub_new(const struct sl_sub_conf *c, struct sl_error *e)
{
	struct sl_sub *s = calloc(1, sizeof(*s));

	if (!c->n_sources) {
		free(s);
		sl_fail(e, -EINVAL, "no_source", "", "there is no source to dial");
		return NULL;
	}
	if (!s || !copy_conf(s, c)) {
		sl_sub_free(s);
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN);
	s->last = &s->first;
	s->wait_ms = SUB_WAIT_MIN_MS;
	s->timer = evtimer_new(c->base, on_timer, s);
	s->step = evtimer_new(c->base, on_step, s);
	if (!s->timer || !s->step) {
		sl_sub_free(s);
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	schedule(s, 0);
	return s;
}

static void
drop_token(struct sl_sub *s)
{
	if (s->token)
		sl_wipe(s->token, strlen(s->token));
	free(s->token);
}

int
sl_sub_set_token(struct sl_sub *s, const char *token)
{
	char *fresh = copy(token);

	if (token && !fresh)
		return -ENOMEM;
	drop_token(s);
	s->token = fresh;
	return 0;
}

void
sl_sub_free(struct sl_sub *s)
{
	if (!s)
		return;
	drop_client(s);
	if (s->timer)
		sub_reset(s);
	if (s->timer)
		event_free(s->timer);
	if (s->step)
		event_free(s->step);
	drop_token(s);
	json_decref(s->msg);
	free(s->node);
	free(s->program);
	free(s->sources);
	free(s);
}

void
sl_sub_resync(struct sl_sub *s, const char *reason)
{
	snprintf(s->want, sizeof(s->want), "%s", reason);
	if (s->phase == SUB_IDLE)
		schedule(s, 0);
	else if (s->phase >= SUB_ASK)
		sub_ask(s);
}

int
sl_sub_call(struct sl_sub *s, const char *method, json_t *params, sl_rpc_answered done, void *ctx)
{
	if (!s->client || !s->up) {
		json_decref(params);
		return -ENOTCONN;
	}
	return sl_rpc_client_call(s->client, method, params, done, ctx);
}

void
sl_sub_info(const struct sl_sub *s, struct sl_sub_info *out)
{
	*out = s->info;
	out->up = s->up;
	out->source = s->source;
}
