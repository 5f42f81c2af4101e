/* SPDX-License-Identifier: BSD-3-Clause */
/* What the console says. What its reader does not take at once waits, and no command is read
 * meanwhile; of a reader that takes nothing for long the rest is lost, and he is told. */
#include "console_int.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define PENDING_MAX (16UL * 1024 * 1024)
#define LAST_WAIT_MS 500 /* for the reader, when the gateway ends */

/** @return bytes that were taken */
static size_t
write_some(struct sl_console *c, const char *text, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t r = write(c->out, text + done, n - done);

		if (r > 0)
			done += (size_t)r;
		else if (r == 0 || errno == EAGAIN)
			break;
		else if (errno != EINTR)
			return n; /* nobody will ever take it */
	}
	return done;
}

static void
keep(struct sl_console *c, const char *text, size_t n)
{
	size_t room = PENDING_MAX - evbuffer_get_length(c->pending);

	if (c->lost)
		return;
	c->lost = n > room || evbuffer_add(c->pending, text, n);
	if (n > room)
		evbuffer_add(c->pending, text, room);
	event_add(c->out_event, NULL);
	console_hold(c);
}

void
console_write(struct sl_console *c, const char *text)
{
	size_t n = strlen(text), done = 0;

	if (!console_pending(c))
		done = write_some(c, text, n);
	if (done < n)
		keep(c, text + done, n - done);
}

void
console_printf(struct sl_console *c, const char *fmt, ...)
{
	char *text;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	console_write(c, text);
	free(text);
}

void
console_error(struct sl_console *c, const struct sl_error *e)
{
	console_printf(c, "error: %s (%s)%s%s%s%s\n", e->message, e->reason,
		       e->path[0] ? " at " : "", e->path, e->hint[0] ? "; remedy: " : "", e->hint);
}

bool
console_pending(const struct sl_console *c)
{
	return evbuffer_get_length(c->pending) > 0;
}

/** The reader takes something again. */
static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct sl_console *c = arg;

	(void)what;
	if (evbuffer_write(c->pending, fd) < 0 && errno != EAGAIN && errno != EINTR)
		evbuffer_drain(c->pending, evbuffer_get_length(c->pending));
	if (console_pending(c)) {
		event_add(c->out_event, NULL);
		return;
	}
	if (c->lost) {
		c->lost = false;
		console_write(c, "\n(some output was not taken in time and is lost)\n");
	}
	console_resume(c);
}

int
console_out_begin(struct sl_console *c, struct event_base *base)
{
	c->pending = evbuffer_new();
	c->out_event = event_new(base, c->out, EV_WRITE, on_writable, c);
	return c->pending && c->out_event ? 0 : -ENOMEM;
}

void
console_out_end(struct sl_console *c)
{
	struct pollfd p = {.fd = c->out, .events = POLLOUT};

	if (c->pending && c->out_event) {
		c->quitting = true; /* nothing is read any more */
		if (c->tty)
			console_write(c, "\n");
		while (console_pending(c) && poll(&p, 1, LAST_WAIT_MS) > 0 &&
		       evbuffer_write(c->pending, c->out) > 0)
			;
		event_free(c->out_event);
	}
	if (c->pending)
		evbuffer_free(c->pending);
}
