/* SPDX-License-Identifier: BSD-3-Clause */
#include "sink.h"

#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "sl_env.h"
#include "sl_log.h"

#define QUEUE_MAX 65536U
#define FLUSH_MS 1000
#define FLUSH_PCT 80
#define NICE 5
#define BACKOFF_MS 250
#define TELL_NS (30 * SL_NS_PER_S)
#define BACKOFF_MAX_MS 30000

void
sl_drain_thread_setup(const char *name, const unsigned *cpus, unsigned n_cpus)
{
	cpu_set_t set;
	sigset_t all;
	unsigned i;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_NAME, name);
	setpriority(PRIO_PROCESS, (id_t)gettid(), NICE);
	CPU_ZERO(&set);
	for (i = 0; i < n_cpus; i++)
		if (cpus[i] < CPU_SETSIZE)
			CPU_SET(cpus[i], &set);
	if (n_cpus > 0)
		sched_setaffinity(0, sizeof(set), &set);
}

uint64_t
sl_sink_backoff_ns(unsigned tries)
{
	struct sl_rng rng = sl_rng_system();
	uint64_t ms = (uint64_t)BACKOFF_MS << SL_MIN(tries, 10U);
	uint32_t r;

	ms = SL_MIN(ms, (uint64_t)BACKOFF_MAX_MS);
	sl_rng_fill(&rng, &r, sizeof(r));
	return (ms / 2 + r % (ms / 2 + 1)) * SL_NS_PER_MS;
}

static const char *
state_text(enum sl_sink_state s)
{
	static const char *const text[] = {"idle", "connecting", "up", "down"};

	return text[s];
}

/** A fall is logged once in half a minute at most, a rise only after a fall that was. */
static bool
should_tell(struct sl_sink *s, enum sl_sink_state state, uint64_t now_ns)
{
	if (state == SL_SINK_DOWN) {
		if (s->told || (s->told_ns != 0 && now_ns - s->told_ns < TELL_NS))
			return false;
		s->told = true;
		s->told_ns = now_ns;
		return true;
	}
	if (state != SL_SINK_UP || !s->told)
		return false;
	s->told = false;
	return true;
}

void
sl_sink_set(struct sl_sink *s, enum sl_sink_state state, const char *fmt, ...)
{
	char why[sizeof(s->last_error)] = "";
	bool tell;
	va_list ap;

	if (fmt != NULL) {
		va_start(ap, fmt);
		vsnprintf(why, sizeof(why), fmt, ap);
		va_end(ap);
	}
	pthread_mutex_lock(&s->q.lock);
	tell = should_tell(s, state, sl_clock_mono_ns());
	if (state == SL_SINK_DOWN) {
		s->errors++;
		memcpy(s->last_error, why, sizeof(why));
	}
	s->state = state;
	pthread_mutex_unlock(&s->q.lock);
	if (tell && state == SL_SINK_DOWN)
		sl_log(SL_LOG_WARN, "audit", "sink %s (%s) is down: %s", s->conf.name, s->target,
		       why);
	else if (tell)
		sl_log(SL_LOG_NOTICE, "audit", "sink %s (%s) is up", s->conf.name, s->target);
}

static int
copy_strings(struct sl_sink *s, const struct sl_sink_conf *c)
{
	const char *const *from[] = {&c->name,	   &c->path, &c->host,	&c->ca_file,  &c->cert_file,
				     &c->key_file, &c->url,  &c->index, &c->auth_file};
	const char **to[] = {&s->conf.name,    &s->conf.path,	   &s->conf.host,
			     &s->conf.ca_file, &s->conf.cert_file, &s->conf.key_file,
			     &s->conf.url,     &s->conf.index,	   &s->conf.auth_file};
	unsigned i;

	s->conf = *c;
	for (i = 0; i < SL_ARRAY_SIZE(to); i++)
		*to[i] = NULL;
	for (i = 0; i < SL_ARRAY_SIZE(to); i++) {
		if (*from[i] == NULL)
			continue;
		*to[i] = strdup(*from[i]);
		if (*to[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void
free_strings(struct sl_sink_conf *c)
{
	const char *all[] = {c->name,	  c->path, c->host,  c->ca_file,  c->cert_file,
			     c->key_file, c->url,  c->index, c->auth_file};
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(all); i++)
		free((void *)(uintptr_t)all[i]);
}

static struct sl_sink *
make(enum sl_sink_kind kind, const struct sl_sink_env *env)
{
	switch (kind) {
	case SL_SINK_FILE:
		return sl_sink_file_new(env);
	case SL_SINK_SYSLOG_UDP:
		return sl_sink_udp_new(env);
	case SL_SINK_HTTP:
		return sl_sink_http_new(env);
	default:
		return sl_sink_stream_new(env);
	}
}

static int
open_it(struct sl_sink *s, struct sl_error *e)
{
	switch (s->conf.kind) {
	case SL_SINK_FILE:
		return sl_sink_file_open(s, e);
	case SL_SINK_SYSLOG_UDP:
		return sl_sink_udp_open(s, e);
	case SL_SINK_HTTP:
		return sl_sink_http_open(s, e);
	default:
		return sl_sink_stream_open(s, e);
	}
}

struct sl_sink *
sl_sink_new(const struct sl_sink_conf *c, const struct sl_sink_env *env, struct sl_error *e)
{
	struct sl_sink *s;
	int rc;

	if (env->lockstep && c->kind != SL_SINK_FILE) {
		sl_fail(e, -EINVAL, "sink_invalid", "", "in lockstep only file sinks are possible");
		return NULL;
	}
	s = make(c->kind, env);
	if (s == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for a sink");
		return NULL;
	}
	s->env = env;
	rc = copy_strings(s, c);
	s->conf.queue_max = c->queue_max > 0 ? c->queue_max : QUEUE_MAX;
	s->conf.flush_pct = c->flush_pct > 0 ? c->flush_pct : FLUSH_PCT;
	s->flush_ns = (c->flush_ms > 0 ? c->flush_ms : FLUSH_MS) * SL_NS_PER_MS;
	if (rc == 0)
		rc = sl_queue_init(&s->q, s->conf.queue_max);
	if (rc != 0) {
		sl_fail(e, rc, "no_memory", "", "no memory for a sink");
		free_strings(&s->conf);
		free(s);
		return NULL;
	}
	if (open_it(s, e) != 0) {
		sl_sink_free(s);
		return NULL;
	}
	return s;
}

void
sl_sink_free(struct sl_sink *s)
{
	if (s == NULL)
		return;
	free_strings(&s->conf);
	s->ops->free(s); /* what it holds goes back to the queue's counts */
}

json_t *
sl_sink_status(struct sl_sink *s)
{
	struct sl_queue_counts c;
	char error[sizeof(s->last_error)];
	enum sl_sink_state state;
	uint64_t errors, dropped = 0;
	struct sl_seal_chain chain;
	json_t *drops = json_array(), *o;
	unsigned i;

	pthread_mutex_lock(&s->q.lock);
	c = s->q.c;
	c.queued = s->q.n + s->q.held;
	state = s->state;
	errors = s->errors;
	memcpy(error, s->last_error, sizeof(error));
	chain = s->chain;
	pthread_mutex_unlock(&s->q.lock);
	for (i = 0; i < SL_DROPPED_MAX; i++) {
		dropped += c.dropped[i];
		if (c.dropped[i] > 0)
			json_array_append_new(drops,
					      json_pack("{s:s, s:I}", "reason", sl_dropped_text(i),
							"records", (json_int_t)c.dropped[i]));
	}
	o = json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:I}", "name", s->conf.name,
		      "target", s->target, "state", state_text(state), "drained",
		      (json_int_t)c.drained, "acked", (json_int_t)c.acked, "queued",
		      (json_int_t)c.queued, "dropped", (json_int_t)dropped, "queue_max",
		      (json_int_t)s->q.max, "drops", drops, "errors", (json_int_t)errors);
	if (o != NULL && chain.n > 0)
		json_object_update_new(o, sl_seal_place_json(&chain));
	if (o != NULL && error[0] != '\0')
		json_object_set_new(o, "last_error", json_string(error));
	return o;
}
