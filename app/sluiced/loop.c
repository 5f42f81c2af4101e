/* SPDX-License-Identifier: BSD-3-Clause */
/* The control lcore's event loop: RPC, UAPI, console, housekeeping, signals. */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_cp.h"
#include "sl_ctl.h"
#include "sl_log.h"
#include "sl_metrics.h"
#include "sl_remote.h"
#include "sl_rpc_server.h"
#include "sl_schema.h"
#include "sl_uapi_server.h"
#include "sluiced.h"

#define POLL_US 2000

struct loop {
	struct event_base *base;
	struct sl_assembly *a;
	struct sl_rpc *rpc;
	struct sl_rpc_server *server;
	struct sl_remote *remote;
	struct sl_uapi_server *uapi;
	struct sl_console *console;
	struct sl_ctl ctl;
	struct sl_turns turns;
	struct event *timer, *term, *intr, *hup;
};

static void
on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct loop *l = arg;

	(void)fd;
	(void)what;
	sl_gw_poll(l->a->gw);
	sl_ctl_poll(&l->ctl);
	sl_uapi_server_sync(l->uapi);
}

static void
quit(void *arg)
{
	struct loop *l = arg;

	event_base_loopbreak(l->base);
}

static void
on_signal(evutil_socket_t sig, short what, void *arg)
{
	(void)what;
	sl_log(SL_LOG_NOTICE, "stop", "signal %d: ending", (int)sig);
	quit(arg);
}

static void
on_hup(evutil_socket_t sig, short what, void *arg)
{
	struct loop *l = arg;

	(void)sig;
	(void)what;
	sl_log(SL_LOG_NOTICE, "audit",
	       "SIGHUP: audit files are opened again%s; the configuration is read at a start alone",
	       l->remote || l->ctl.cp ? ", certificates and tokens read again" : "");
	sl_drain_reopen(l->a->drain);
	if (l->remote)
		sl_remote_reload(l->remote);
	if (l->ctl.cp)
		sl_cp_reload(l->ctl.cp);
}

static int
open_doors(struct loop *l, struct sl_config *c, const struct sluiced_options *o, struct sl_error *e)
{
	int rc;

	l->server = sl_rpc_server_new(l->base, l->rpc);
	if (!l->server || sl_ctl_watch_logins(&l->ctl, l->server) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the RPC server");
	rc = sl_rpc_server_unix(l->server, c->rpc_socket, c->rpc_socket_group, e);
	if (rc == 0 && c->has_rpc_tcp)
		rc = sl_rpc_server_tcp(l->server, &c->rpc_tcp, e);
	if (rc == 0 && c->remote.on) {
		l->remote = sl_remote_new(l->server, &c->remote, e);
		rc = l->remote ? 0 : e->err;
		l->ctl.remote = l->remote;
	}
	if (rc == 0 && c->metrics.on) {
		l->ctl.metrics = sl_metrics_new(&l->ctl, l->base);
		rc = l->ctl.metrics ? 0 : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	}
	if (rc == 0 && c->uapi) {
		l->uapi = sl_uapi_server_new(l->base, l->a->gw, e);
		rc = l->uapi ? 0 : e->err;
	}
	if (rc == 0 && o->interactive) {
		l->console =
			sl_console_new(l->base, l->rpc, STDIN_FILENO, STDOUT_FILENO, quit, l, e);
		rc = l->console ? 0 : e->err;
	}
	return rc;
}

static int
add_events(struct loop *l, struct sl_error *e)
{
	struct timeval tv = {.tv_usec = POLL_US};

	l->timer = event_new(l->base, -1, EV_PERSIST, on_timer, l);
	l->term = evsignal_new(l->base, SIGTERM, on_signal, l);
	l->intr = evsignal_new(l->base, SIGINT, on_signal, l);
	l->hup = evsignal_new(l->base, SIGHUP, on_hup, l);
	if (!l->timer || !l->term || !l->intr || !l->hup || event_add(l->timer, &tv) ||
	    event_add(l->term, NULL) || event_add(l->intr, NULL) || event_add(l->hup, NULL))
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the event loop");
	return 0;
}

static void
fill_ctl(struct loop *l, struct sl_config *c)
{
	l->ctl = (struct sl_ctl){.gw = l->a->gw,
				 .dp = l->a->dp,
				 .hs = l->a->hs,
				 .evidence = l->a->evidence,
				 .plan = &l->a->plan,
				 .config = c,
				 .drain = l->a->drain,
				 .start_wall_ns = sl_clock_wall_ns(),
				 .mono_ns = l->a->env.mono_ns,
				 .clock_ctx = l->a->env.ctx,
				 .hugepages = l->a->hugepages,
				 .turns = &l->turns,
				 .quit = quit,
				 .quit_ctx = l};
	memcpy(l->ctl.boot_id, l->a->boot_id, sizeof(l->ctl.boot_id));
}

static void
close_doors(struct loop *l)
{
	sl_console_free(l->console);
	sl_metrics_free(l->ctl.metrics);
	sl_uapi_server_free(l->uapi);
	sl_rpc_server_free(l->server);
	sl_remote_free(l->remote);
	sl_rpc_free(l->rpc);
	sl_ctl_clear(&l->ctl);
	for (unsigned i = 0; i < 4; i++) {
		struct event *ev = i == 0 ? l->timer : i == 1 ? l->term : i == 2 ? l->intr : l->hup;

		if (ev)
			event_free(ev);
	}
	if (l->base)
		event_base_free(l->base);
}

int
sluiced_loop(struct sl_assembly *a, struct sl_config *c, const struct sluiced_options *o,
	     struct sl_error *e)
{
	struct loop l = {.a = a};
	int rc = -ENOMEM;

	l.base = event_base_new();
	l.rpc = sl_rpc_new(&sl_gateway_schema, &l.ctl);
	if (!l.base || !l.rpc) {
		sl_fail(e, rc, "no_memory", "", "no memory for the control loop");
		goto out;
	}
	fill_ctl(&l, c);
	rc = sl_ctl_register(l.rpc);
	if (rc) {
		sl_fail(e, rc, "internal", "", "RPC handlers do not match the schema");
		goto out;
	}
	sl_rpc_set_state(l.rpc, SL_RPC_STARTUP);
	rc = sl_config_apply(c, a->gw, l.rpc, e);
	if (rc == 0)
		rc = open_doors(&l, c, o, e);
	if (rc == 0)
		rc = add_events(&l, e);
	if (rc == 0)
		rc = sl_ctl_begin_control(&l.ctl, l.base, e);
	if (rc == 0)
		rc = sluiced_privileges_drop(c->user, e);
	if (rc == 0)
		rc = sl_assembly_launch(a, e);
	if (rc)
		goto out;
	sl_rpc_set_state(l.rpc, SL_RPC_RUNNING);
	sl_log(SL_LOG_NOTICE, "start", "gateway \"%s\" is ready: %u worker%s, %u port%s, RPC at %s",
	       c->instance, a->plan.n_workers, a->plan.n_workers == 1 ? "" : "s", a->n_ports,
	       a->n_ports == 1 ? "" : "s", c->rpc_socket);
	sl_turns_dispatch(l.base, &l.turns);
	sl_rpc_server_tell_refused(l.server);
	sl_ctl_end_control(&l.ctl);
	sl_assembly_stop(a);
	rc = 0;
out:
	sl_ctl_end_control(&l.ctl);
	close_doors(&l);
	return rc;
}
