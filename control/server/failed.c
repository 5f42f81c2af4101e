/* SPDX-License-Identifier: BSD-3-Clause */
#include "failed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sl_log.h"
#include "sl_rest_int.h"
#include "sl_trail.h"

#define SOURCES 16
#define WAIT_S 60
#define ROW_S 10 /* each row that was written lets the next ones wait for so long */

struct counted {
	char source[SL_IP_STR + 4];
	uint64_t n;
};

struct failed {
	struct sl_rest *r;
	struct event *timer;
	struct counted now[SOURCES + 1],
		told[SOURCES + 1]; /* told: the writer's, while it writes */
	unsigned n_now, n_told;
	bool writing;
	struct sl_task task;
};

static void
write_row(const struct failed *f, const struct counted *c, json_t *none)
{
	struct sl_trail_row row = {.actor = "-",
				   .source = c->source,
				   .operation = "login",
				   .path = "-",
				   .request_id = "-",
				   .outcome = "refused",
				   .count = c->n,
				   .diff = none};
	struct sl_error e = {0};

	if (sl_trail_note(f->r->writer_store, f->r->c.seal_key, &row, &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%llu refused logins from %s are in no audit: %s",
		       (unsigned long long)c->n, c->source, e.message);
}

static void
run(struct sl_task *t)
{
	struct failed *f = SL_CONTAINER_OF(t, struct failed, task);
	json_t *none = json_array();

	for (unsigned i = 0; none != NULL && i < f->n_told; i++)
		write_row(f, &f->told[i], none);
	json_decref(none);
}

static void
wait_for(struct failed *f, unsigned seconds)
{
	struct timeval tv = {.tv_sec = seconds};

	if (!event_pending(f->timer, EV_TIMEOUT, NULL))
		event_add(f->timer, &tv);
}

static void
done(struct sl_task *t)
{
	struct failed *f = SL_CONTAINER_OF(t, struct failed, task);

	f->writing = false;
	if (f->n_now > 0) /* what came while it was written */
		wait_for(f, SL_MAX(WAIT_S, f->n_told * ROW_S));
}

static void
take(struct failed *f)
{
	memcpy(f->told, f->now, sizeof(f->told));
	f->n_told = f->n_now;
	f->n_now = 0;
	f->task = (struct sl_task){.run = run, .done = done};
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct failed *f = arg;

	(void)fd;
	(void)what;
	if (f->writing || f->n_now == 0)
		return;
	take(f);
	f->writing = true;
	sl_tasks_give(f->r->writer, &f->task);
}

struct failed *
failed_new(struct sl_rest *r, struct sl_error *e)
{
	struct failed *f = calloc(1, sizeof(*f));

	if (f != NULL)
		f->timer = event_new(r->c.base, -1, 0, on_time, f);
	if (f != NULL && f->timer != NULL) {
		f->r = r;
		return f;
	}
	free(f);
	sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the REST API");
	return NULL;
}

void
failed_free(struct failed *f)
{
	if (f == NULL)
		return;
	event_free(f->timer);
	take(f);
	run(&f->task);
	free(f);
}

/** Of a full table the last place is everybody else's. */
static struct counted *
place(struct failed *f, const char *source)
{
	struct counted *c;

	for (unsigned i = 0; i < f->n_now && i < SOURCES; i++)
		if (strcmp(f->now[i].source, source) == 0)
			return &f->now[i];
	if (f->n_now > SOURCES)
		return &f->now[SOURCES];
	c = &f->now[f->n_now++];
	c->n = 0;
	snprintf(c->source, sizeof(c->source), "%s", f->n_now > SOURCES ? "others" : source);
	return c;
}

void
failed_login(struct failed *f, const struct sl_ip *from)
{
	char source[SL_IP_STR + 4] = "-", text[SL_IP_STR];
	struct sl_ip ip;

	if (f == NULL)
		return;
	if (from != NULL) {
		ip = throttle_source_of(from);
		snprintf(source, sizeof(source), "%s%s", sl_ip_str(&ip, text),
			 ip.family == 6 ? "/64" : "");
	}
	place(f, source)->n++;
	if (!f->writing)
		wait_for(f, SL_MAX(WAIT_S, f->n_told * ROW_S));
}
