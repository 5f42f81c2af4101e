/* SPDX-License-Identifier: BSD-3-Clause */
/* The thread beside the loop that parses long lines and writes long answers: one of its own, for
 * the policy's helper may be at work for seconds. */
#include <stdlib.h>

#include "gw.h"
#include "gw_helper.h"
#include "rpc_int.h"

struct job {
	struct gw_task task;
	struct job *next;
	struct sl_rpc_work *w;
};

struct ctl_work {
	struct gw_helper *helper; /* made when it is first needed: after the change of user */
	struct job *first, **last;
};

static void
run(struct gw_task *t)
{
	struct job *j = SL_CONTAINER_OF(t, struct job, task);

	j->w->run(j->w);
}

static struct ctl_work *
work_of(struct sl_ctl *ctl)
{
	const struct sl_gw_conf *c = &ctl->gw->conf;
	struct ctl_work *all = ctl->work;
	struct sl_error e;

	if (!all) {
		all = ctl->work = calloc(1, sizeof(*all));
		if (!all)
			return NULL;
		all->last = &all->first;
	}
	if (!all->helper)
		all->helper = gw_helper_new(c->helper_cpus, c->n_helper_cpus, &e);
	return all->helper ? all : NULL;
}

bool
ctl_work_give(struct sl_ctl *ctl, struct sl_rpc_work *w)
{
	struct ctl_work *all = ctl->gw->conf.lockstep ? NULL : work_of(ctl);
	struct job *j = all ? calloc(1, sizeof(*j)) : NULL;

	if (!j)
		return false;
	j->w = w;
	j->task.run = run;
	*all->last = j;
	all->last = &j->next;
	gw_helper_give(all->helper, &j->task);
	return true;
}

static bool
give(void *ctx, struct sl_rpc_work *w)
{
	return ctl_work_give(ctx, w);
}

/** The oldest one. */
static void
finish(struct ctl_work *all)
{
	struct job *j = all->first;
	struct sl_rpc_work *w = j->w;

	all->first = j->next;
	if (!all->first)
		all->last = &all->first;
	free(j);
	w->done(w);
}

void
ctl_work_begin(struct sl_ctl *ctl, struct sl_rpc *rpc)
{
	if (!ctl->gw->conf.lockstep)
		sl_rpc_set_helper(rpc, give, ctl);
}

void
ctl_work_poll(struct sl_ctl *ctl)
{
	struct ctl_work *all = ctl->work;

	/* one a turn: what comes of it takes its time too */
	if (all && all->first && gw_task_done(&all->first->task))
		finish(all);
}

void
ctl_work_free(struct sl_ctl *ctl)
{
	struct ctl_work *all = ctl->work;

	if (!all)
		return;
	gw_helper_free(all->helper);
	all->helper = NULL;
	while (all->first)
		finish(all);
	free(all);
	ctl->work = NULL;
}
