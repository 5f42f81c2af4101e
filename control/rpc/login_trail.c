/* SPDX-License-Identifier: BSD-3-Clause */
/* Logins are told to who keeps an audit: each that succeeds, refused ones by source and number. */
#include "conn_int.h"

static void
on_time(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	sl_rpc_server_tell_refused(arg);
}

int
sl_rpc_server_on_login(struct sl_rpc_server *s, const struct sl_rpc_logins *to)
{
	s->logins.to = *to;
	s->logins.timer = evtimer_new(s->base, on_time, s);
	return s->logins.timer ? 0 : -ENOMEM;
}

void
sl_rpc_server_tell_refused(struct sl_rpc_server *s)
{
	struct login_trail *t = &s->logins;

	if (!t->timer || t->refused.n == 0)
		return;
	event_del(t->timer);
	for (unsigned i = 0; i < t->refused.n; i++)
		t->to.refused(t->to.ctx, t->refused.source[i].name, t->refused.source[i].n);
	t->told = t->refused.n;
	t->refused.n = 0;
}

void
rpc_tell_login(struct sl_rpc_conn *c)
{
	const struct login_trail *t = &c->from->server->logins;

	if (t->timer)
		t->to.in(t->to.ctx, c);
}

/** A certificate of an agent is on the machine of a peer: where peers are is told nowhere. */
static bool
is_agent(const struct sl_rpc_conn *c)
{
	return c->has_id && strcmp(c->id.kind, "agent") == 0;
}

void
rpc_login_refused(struct sl_rpc_conn *c)
{
	struct login_trail *t = &c->from->server->logins;
	struct timeval tv = {.tv_sec = refused_wait_s(t->told)};

	c->from->server->stats.logins_refused++;
	if (!t->timer)
		return;
	refused_count(&t->refused, is_agent(c) ? NULL : &c->ip);
	if (!event_pending(t->timer, EV_TIMEOUT, NULL))
		event_add(t->timer, &tv);
}
