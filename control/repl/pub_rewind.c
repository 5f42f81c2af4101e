/* SPDX-License-Identifier: BSD-3-Clause */
/* A subscriber has what we lost: a new epoch says so to everybody. The thread that changes the
 * store begins it; until then nobody is told anything but `busy`. */
#include <stdio.h>

#include "pub_int.h"
#include "sl_log.h"

static bool
is_within(uint64_t then_ns, uint64_t now_ns, uint64_t seconds)
{
	return then_ns && now_ns - then_ns < seconds * SL_NS_PER_S;
}

/** One that says so again and again has lost its mind, or wants all others to be busy. */
static int
check_limit(struct sl_publisher *p, const char *node, struct sl_error *e)
{
	struct pub_row *row = pub_row_get(p, node, "");
	uint64_t now = sl_clock_mono_ns();

	if (!is_within(p->rewind_mono_ns, now, PUB_REWIND_S) &&
	    !(row && is_within(row->rewind_mono_ns, now, PUB_REWIND_NODE_S)))
		return 0;
	sl_fail(e, -EBUSY, "rewind_limit", "/seq",
		"%s is ahead of the log again, so soon after a new epoch", node);
	sl_hint(e, "it tries again by itself");
	return -EBUSY;
}

static void
rewind_run(struct sl_task *t)
{
	struct pub_rewind *r = SL_CONTAINER_OF(t, struct pub_rewind, task);

	r->rc = sl_store_new_epoch(r->store, r->reason, &r->e);
}

static void
rewind_done(struct sl_task *t)
{
	struct sl_publisher *p = SL_CONTAINER_OF(t, struct sl_publisher, rewind.task);
	struct pub_rewind *r = &p->rewind;
	struct pub_row *row = pub_row_get(p, r->node, "");

	r->running = false;
	if (r->rc) {
		r->reason = NULL;
		sl_log(SL_LOG_ERR, "repl", "%s has what is lost here, and no new epoch begins: %s",
		       r->node, r->e.message);
		return;
	}
	p->rewind_mono_ns = sl_clock_mono_ns();
	if (row)
		row->rewind_mono_ns = p->rewind_mono_ns;
	sl_log(SL_LOG_WARN, "repl",
	       "%s had seq %llu, the log ends at %llu (%s): a new epoch begins", r->node,
	       (unsigned long long)r->its_seq, (unsigned long long)r->our_seq, r->reason);
	if (p->conf.rewound)
		p->conf.rewound(p->conf.ctx, r->node, r->its_seq, r->our_seq);
	pub_wake(p);
}

int
pub_rewind_begin(struct sl_publisher *p, const struct pub_ask *a, const char *reason,
		 struct sl_error *e)
{
	struct pub_rewind *r = &p->rewind;
	int rc = r->running ? 0 : check_limit(p, a->node, e);

	if (rc)
		return rc;
	if (!r->running) {
		*r = (struct pub_rewind){.task = {.run = rewind_run, .done = rewind_done},
					 .store = p->conf.writer_store,
					 .reason = reason,
					 .its_seq = a->seq,
					 .our_seq = p->seq,
					 .running = true};
		snprintf(r->node, sizeof(r->node), "%s", a->node);
		sl_tasks_give(p->conf.writer, &r->task);
	}
	return sl_fail(e, -EBUSY, "busy", "", "a new epoch begins: in a moment");
}

const char *
pub_rewind_reason(struct sl_publisher *p, const char *node, const char *reason)
{
	const char *why = p->rewind.reason;

	if (!why || strcmp(reason, "epoch_changed") != 0 || strcmp(p->rewind.node, node) != 0)
		return reason;
	p->rewind.reason = NULL;
	return why;
}
