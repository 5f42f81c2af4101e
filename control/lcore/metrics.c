/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_metrics.h"

#include <event2/buffer.h>
#include <stdlib.h>

#include "metrics_http.h"
#include "metrics_int.h"
#include "sl_json.h"
#include "sl_log.h"
#include "sl_rpc_server.h"

#define FRESH_NS SL_NS_PER_S
#define TURN_NS SL_NS_PER_MS
#define PIECE (64 << 10)
#define WASTE (1 << 20) /* of a former answer that is freed in a turn */
#define RETRY_S 1
#define RETRY_MAX_S 60

struct sl_metrics {
	struct sl_ctl *ctl;
	struct event_base *base;
	struct sl_scrape *door; /* NULL: it could not be opened yet */
	struct event *turn, *retry, *sweep;
	unsigned retry_s;	/* until the next try; 0: none was needed */
	struct evbuffer *text;	/* what was answered last; NULL: nothing yet */
	struct evbuffer *waste; /* what was answered before; NULL: it is gone */
	uint64_t made_ns;
	bool gathering;
	struct metrics_text head; /* all but rules and peers */
	struct metrics_rules rules;
	struct metrics_peers peers;
	char problem[320];
};

/* --- texts ------------------------------------------------------------------------------------ */

int
metrics_text_open(struct metrics_text *t)
{
	t->full = evbuffer_new();
	t->f = open_memstream(&t->data, &t->len);
	return t->f != NULL && t->full != NULL ? 0 : -ENOMEM;
}

static void
release(const void *data, size_t len, void *arg)
{
	(void)data;
	(void)len;
	free(arg);
}

/** The last piece to those before it. */
static int
close_piece(struct metrics_text *t)
{
	int rc = fclose(t->f);

	t->f = NULL;
	if (rc == 0 && t->len > 0) {
		rc = evbuffer_add_reference(t->full, t->data, t->len, release, t->data);
		t->data = rc == 0 ? NULL : t->data;
	}
	return rc == 0 ? 0 : -ENOMEM;
}

int
metrics_text_cut(struct metrics_text *t)
{
	if (fflush(t->f) == 0 && t->len < PIECE)
		return 0;
	if (close_piece(t) != 0)
		return -ENOMEM;
	free(t->data);
	t->data = NULL;
	t->f = open_memstream(&t->data, &t->len);
	return t->f != NULL ? 0 : -ENOMEM;
}

int
metrics_text_move(struct metrics_text *t, struct evbuffer *to)
{
	int rc = close_piece(t);

	return rc == 0 && evbuffer_add_buffer(to, t->full) == 0 ? 0 : -ENOMEM;
}

void
metrics_text_clear(struct metrics_text *t)
{
	if (t->f != NULL)
		fclose(t->f);
	free(t->data);
	if (t->full != NULL)
		evbuffer_free(t->full);
	*t = (struct metrics_text){0};
}

/* --- an answer -------------------------------------------------------------------------------- */

static uint64_t
now_ns(const struct sl_metrics *m)
{
	return m->ctl->mono_ns(m->ctl->clock_ctx);
}

static void
end(struct sl_metrics *m)
{
	metrics_text_clear(&m->head);
	metrics_rules_clear(&m->rules);
	metrics_peers_clear(&m->peers);
	m->gathering = false;
}

static void
on_sweep(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {0};
	struct sl_metrics *m = arg;

	(void)fd;
	(void)what;
	evbuffer_drain(m->waste, WASTE);
	if (evbuffer_get_length(m->waste) > 0) {
		event_add(m->sweep, &soon);
		return;
	}
	evbuffer_free(m->waste);
	m->waste = NULL;
}

/** The former answer, bit by bit: it may be large. Who still reads it has its pieces. */
static void
throw_away(struct sl_metrics *m)
{
	static const struct timeval soon = {0};

	if (m->text == NULL)
		return;
	if (m->waste != NULL)
		evbuffer_free(m->waste);
	m->waste = m->text;
	event_add(m->sweep, &soon);
}

static int
keep(struct sl_metrics *m)
{
	struct evbuffer *text = evbuffer_new();
	int rc = text != NULL ? metrics_text_move(&m->head, text) : -ENOMEM;

	rc = rc ? rc : metrics_rules_move(&m->rules, text);
	rc = rc ? rc : metrics_peers_move(&m->peers, text);
	if (rc != 0) {
		if (text != NULL)
			evbuffer_free(text);
		return rc;
	}
	throw_away(m);
	m->text = text;
	m->made_ns = now_ns(m);
	return 0;
}

static void
on_turn(evutil_socket_t fd, short what, void *arg)
{
	static const struct timeval soon = {0};
	struct sl_metrics *m = arg;
	uint64_t until = now_ns(m) + TURN_NS;
	bool done;

	(void)fd;
	(void)what;
	do
		done = metrics_rules_step(&m->rules) && metrics_peers_step(&m->peers);
	while (!done && now_ns(m) < until);
	if (!done) {
		event_add(m->turn, &soon);
		return;
	}
	sl_scrape_answer(m->door, keep(m) == 0 ? m->text : NULL);
	end(m);
}

static int
begin(struct sl_metrics *m)
{
	static const struct timeval soon = {0};
	int rc = metrics_text_open(&m->head);

	rc = rc ? rc : metrics_gateway(m->head.f, m->ctl);
	if (rc == 0) {
		metrics_policy(m->head.f, m->ctl);
		rc = metrics_rules_begin(&m->rules, m->ctl);
	}
	rc = rc ? rc : metrics_peers_begin(&m->peers, m->ctl);
	m->gathering = true;
	return rc ? rc : event_add(m->turn, &soon);
}

static void
on_ask(void *ctx)
{
	struct sl_metrics *m = ctx;

	if (m->gathering)
		return;
	if (m->text != NULL && now_ns(m) - m->made_ns < FRESH_NS) {
		sl_scrape_answer(m->door, m->text);
	} else if (begin(m) != 0) {
		sl_scrape_answer(m->door, NULL);
		end(m);
	}
}

/* --- begin and end ---------------------------------------------------------------------------- */

/** Said once; tried again, for as long as it takes. */
static void
cannot_listen(struct sl_metrics *m, const struct sl_error *e)
{
	struct timeval tv;

	snprintf(m->problem, sizeof(m->problem), "%s", e->message);
	if (m->retry_s == 0)
		sl_log(SL_LOG_WARN, "metrics",
		       "nobody can scrape: %s: %s; it is tried again, or: %s", e->path, e->message,
		       e->hint);
	m->retry_s = m->retry_s == 0 ? RETRY_S : SL_MIN(2 * m->retry_s, (unsigned)RETRY_MAX_S);
	tv = (struct timeval){.tv_sec = m->retry_s};
	event_add(m->retry, &tv);
}

static void
begin_to_listen(struct sl_metrics *m)
{
	const struct sl_endpoint *at = &m->ctl->config->metrics.listen;
	char text[SL_ENDPOINT_STR];
	struct sl_error e = {0};

	m->door = sl_scrape_new(m->base, at, on_ask, m, &e);
	if (m->door == NULL) {
		cannot_listen(m, &e);
		return;
	}
	m->problem[0] = '\0';
	sl_endpoint_str(at, text);
	if (!sl_rpc_is_loopback(&at->ip))
		sl_log(SL_LOG_WARN, "metrics",
		       "/metrics/listen: %s is not a loopback address: whoever reaches it reads "
		       "the metrics, without a login and in clear; let a firewall keep others out",
		       text);
	sl_log(SL_LOG_NOTICE, "metrics", "http://%s/metrics, without a login", text);
}

static void
on_retry(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	begin_to_listen(arg);
}

struct sl_metrics *
sl_metrics_new(struct sl_ctl *ctl, struct event_base *base)
{
	struct sl_metrics *m;

	if (!ctl->config->metrics.on)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL)
		return NULL;
	m->ctl = ctl;
	m->base = base;
	m->turn = evtimer_new(base, on_turn, m);
	m->retry = evtimer_new(base, on_retry, m);
	m->sweep = evtimer_new(base, on_sweep, m);
	if (m->turn == NULL || m->retry == NULL || m->sweep == NULL) {
		sl_metrics_free(m);
		return NULL;
	}
	begin_to_listen(m);
	return m;
}

void
sl_metrics_problems(const struct sl_metrics *m, json_t *problems)
{
	if (m != NULL && m->problem[0] != '\0')
		sl_json_say(problems, "nobody can scrape the metrics: %s", m->problem);
}

static void
free_event(struct event *ev)
{
	if (ev != NULL)
		event_free(ev);
}

void
sl_metrics_free(struct sl_metrics *m)
{
	if (m == NULL)
		return;
	sl_scrape_free(m->door);
	free_event(m->turn);
	free_event(m->retry);
	free_event(m->sweep);
	end(m);
	if (m->text != NULL)
		evbuffer_free(m->text);
	if (m->waste != NULL)
		evbuffer_free(m->waste);
	free(m);
}
