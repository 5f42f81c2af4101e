/* SPDX-License-Identifier: BSD-3-Clause */
#include "failed.h"

#include <stdlib.h>

#include "refused.h"
#include "sl_log.h"
#include "sl_rest_int.h"
#include "sl_trail.h"

struct failed {
	struct sl_rest *r;
	struct event *timer;
	struct refused now, told; /* told: the writer's, while it writes */
	bool writing;
	struct sl_task task;
};

static void
write_row(const struct failed *f, const struct refused_source *from, json_t *none)
{
	struct sl_trail_row row = {.actor = "-",
				   .source = from->name,
				   .operation = "login",
				   .path = "-",
				   .request_id = "-",
				   .outcome = "refused",
				   .count = from->n,
				   .diff = none};
	struct sl_error e = {0};

	if (sl_trail_note(f->r->writer_store, f->r->c.seal_key, &row, &e) != 0)
		sl_log(SL_LOG_WARN, "rest", "%llu refused logins from %s are in no audit: %s",
		       (unsigned long long)from->n, from->name, e.message);
}

static void
run(struct sl_task *t)
{
	struct failed *f = SL_CONTAINER_OF(t, struct failed, task);
	json_t *none = json_array();

	for (unsigned i = 0; none != NULL && i < f->told.n; i++)
		write_row(f, &f->told.source[i], none);
	json_decref(none);
}

static void
wait_more(struct failed *f)
{
	struct timeval tv = {.tv_sec = refused_wait_s(f->told.n)};

	if (!event_pending(f->timer, EV_TIMEOUT, NULL))
		event_add(f->timer, &tv);
}

static void
done(struct sl_task *t)
{
	struct failed *f = SL_CONTAINER_OF(t, struct failed, task);

	f->writing = false;
	if (f->now.n > 0) /* what came while it was written */
		wait_more(f);
}

static void
take(struct failed *f)
{
	f->told = f->now;
	f->now.n = 0;
	f->task = (struct sl_task){.run = run, .done = done};
}

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	struct failed *f = arg;

	(void)fd;
	(void)what;
	if (f->writing || f->now.n == 0)
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

void
failed_login(struct failed *f, const struct sl_ip *from)
{
	if (f == NULL)
		return;
	refused_count(&f->now, from);
	if (!f->writing)
		wait_more(f);
}
