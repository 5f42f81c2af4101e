/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_queue.h"

#include <errno.h>

void
ctl_queue_add(struct ctl_queue *all, struct ctl_asked *q)
{
	struct ctl_asked **end = &all->first;

	while (*end != NULL)
		end = &(*end)->next;
	q->next = NULL;
	*end = q;
	all->n++;
}

void
ctl_queue_push(struct ctl_queue *all, struct ctl_asked *q)
{
	q->next = all->first;
	all->first = q;
	all->n++;
}

struct ctl_asked *
ctl_queue_take(struct ctl_queue *all)
{
	struct ctl_asked *q = all->first;

	all->first = q->next;
	all->n--;
	return q;
}

void
ctl_queue_drop_unwanted(struct ctl_queue *all, ctl_cancel_fn cancel)
{
	struct ctl_asked **at = &all->first, *q;
	struct sl_error e;

	sl_fail(&e, -ECANCELED, "cancelled", "", "nobody listens");
	while ((q = *at) != NULL) {
		if (sl_rpc_wanted(q->later)) {
			at = &q->next;
			continue;
		}
		*at = q->next;
		all->n--;
		cancel(q, &e);
	}
}

void
ctl_queue_end(struct ctl_queue *all, ctl_cancel_fn cancel)
{
	struct sl_error e;

	sl_fail(&e, -ECANCELED, "ending", "", "the gateway ends");
	while (all->first != NULL)
		cancel(ctl_queue_take(all), &e);
}
