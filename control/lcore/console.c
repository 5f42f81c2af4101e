/* SPDX-License-Identifier: BSD-3-Clause */
/* The console: a terminal (editing by rte_cmdline) or a pipe (one command a line) on the control
 * loop. It waits neither for answers nor for its reader: the loop has other work. */
#include "console_int.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROMPT "sluice> "

void
console_quit(struct sl_console *c)
{
	if (c->quitting)
		return;
	c->quitting = true;
	event_del(c->event); /* an ended input would be ready for ever */
	if (c->tty)
		cmdline_quit(c->cl);
	c->on_quit(c->ctx);
}

/* --- input ---------------------------------------------------------------------------------- */

/** A whole line of a pipe, its newline included. */
static void
run_line(struct sl_console *c, const char *line)
{
	struct sl_error e = {0};
	int rc = cmdline_parse(c->cl, line);

	if (rc >= 0)
		return;
	sl_fail(&e, -EINVAL, rc == CMDLINE_PARSE_NOMATCH ? "command_unknown" : "usage", "",
		rc == CMDLINE_PARSE_AMBIGUOUS ? "\"%.*s\" may mean several commands"
		: rc == CMDLINE_PARSE_NOMATCH ? "no command \"%.*s\""
					      : "\"%.*s\" lacks or has wrong arguments",
		(int)SL_MIN(strcspn(line, "\r\n"), (size_t)60), line);
	sl_hint(&e, "help");
	console_error(c, &e);
}

/** What stands behind a command that waits. */
static void
hold(struct sl_console *c, const char *data, size_t n)
{
	c->rest = malloc(n);
	if (!c->rest) {
		console_write(c, "error: no memory for the lines that follow\n");
		return;
	}
	memcpy(c->rest, data, n);
	c->n_rest = n;
}

static void
feed_pipe(struct sl_console *c, const char *data, size_t n)
{
	for (size_t i = 0; i < n && !c->quitting; i++) {
		if (c->held) {
			hold(c, data + i, n - i);
			return;
		}
		c->overlong |= c->n_line + 2 > sizeof(c->line);
		if (!c->overlong)
			c->line[c->n_line++] = data[i];
		if (data[i] != '\n')
			continue;
		c->line[c->n_line] = 0;
		if (c->overlong)
			console_write(c, "error: the line is too long (usage)\n");
		else
			run_line(c, c->line);
		c->n_line = 0;
		c->overlong = false;
	}
}

static void
on_input(evutil_socket_t fd, short what, void *arg)
{
	struct sl_console *c = arg;
	char data[4096];
	ssize_t n = read(c->in, data, sizeof(data));

	(void)fd;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		if (!c->tty && c->n_line) /* a last line without its end */
			feed_pipe(c, "\n", 1);
		if (c->held)
			c->ended = true;
		else
			console_quit(c);
		return;
	}
	if (!c->tty)
		feed_pipe(c, data, (size_t)n);
	else if (cmdline_in(c->cl, data, (int)n) < 0)
		console_quit(c); /* ^D */
	if (what == 0 && !c->quitting &&
	    !c->held) /* a file: always ready, so in turns of the loop */
		event_active(c->event, 0, 0);
}

void
console_hold(struct sl_console *c)
{
	if (c->held || c->quitting || (!console_waits(c) && !console_pending(c)))
		return;
	c->held = true;
	event_del(c->event);
}

/** What came behind a command that is done, then what comes. */
void
console_resume(struct sl_console *c)
{
	char *rest = c->rest;
	size_t n = c->n_rest;

	if (!c->held || c->quitting || console_waits(c) || console_pending(c))
		return;
	c->held = false;
	c->rest = NULL;
	c->n_rest = 0;
	if (c->tty)
		console_write(c, PROMPT);
	if (rest)
		feed_pipe(c, rest, n);
	free(rest);
	if (c->quitting || c->held)
		return;
	if (c->ended) {
		console_quit(c);
		return;
	}
	if (event_get_events(c->event) & EV_READ)
		event_add(c->event, NULL);
	else
		event_active(c->event, 0, 0);
}

/* --- life ----------------------------------------------------------------------------------- */

/**
 * A description of our own where that can be had, so that O_NONBLOCK is not the shell's too: a
 * reader that stops (^S) must not stop the gateway.
 */
static int
open_output(int fd, bool *own)
{
	char path[40];
	struct stat st;
	int out = -1;

	*own = false;
	if (isatty(fd) || (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		out = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	*own = out >= 0;
	return out >= 0 ? out : fd;
}

/** Files and /dev/null cannot be waited for. */
static bool
always_ready(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && !isatty(fd)));
}

static int
start_input(struct sl_console *c, struct event_base *base)
{
	bool ready = always_ready(c->in);

	c->event =
		event_new(base, ready ? -1 : c->in, ready ? 0 : EV_READ | EV_PERSIST, on_input, c);
	if (!c->event)
		return -ENOMEM;
	if (ready)
		event_active(c->event, 0, 0);
	return ready || event_add(c->event, NULL) == 0 ? 0 : -EIO;
}

/** Keys one by one; ^C stays a signal. */
static int
raw_mode(struct sl_console *c)
{
	struct termios t;

	if (tcgetattr(c->in, &c->saved)) {
		c->tty = false;
		return 0;
	}
	t = c->saved;
	t.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	return tcsetattr(c->in, TCSANOW, &t) ? -errno : 0;
}

struct sl_console *
sl_console_new(struct event_base *base, struct sl_rpc *rpc, int in_fd, int out_fd,
	       void (*on_quit)(void *ctx), void *ctx, struct sl_error *e)
{
	struct sl_console *c = calloc(1, sizeof(*c));
	int rc = 0;

	if (!c)
		goto no_memory;
	c->rpc = rpc;
	c->in = in_fd;
	c->on_quit = on_quit;
	c->ctx = ctx;
	c->tty = isatty(in_fd) && isatty(out_fd);
	c->out = open_output(out_fd, &c->out_own);
	if (c->tty)
		rc = raw_mode(c);
	if (rc == 0)
		rc = console_out_begin(c, base);
	c->grammar = console_grammar_new(c);
	if (c->grammar && rc == 0)
		c->cl = cmdline_new(console_grammar_ctx(c->grammar), PROMPT, -1,
				    c->tty ? c->out : -1);
	if (c->cl)
		rc = start_input(c, base);
	if (c->cl && rc == 0)
		return c;
no_memory:
	sl_console_free(c);
	sl_fail(e, rc ? rc : -ENOMEM, "console", "", "the console cannot start: %s",
		strerror(rc ? -rc : ENOMEM));
	return NULL;
}

void
sl_console_free(struct sl_console *c)
{
	if (!c)
		return;
	console_calls_end(c);
	free(c->rest);
	if (c->event)
		event_free(c->event);
	if (c->cl)
		cmdline_free(c->cl);
	console_grammar_free(c->grammar);
	if (c->tty)
		tcsetattr(c->in, TCSANOW, &c->saved);
	console_out_end(c);
	if (c->out_own)
		close(c->out);
	free(c);
}
