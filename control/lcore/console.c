/* SPDX-License-Identifier: BSD-3-Clause */
/* The console: a terminal (editing by rte_cmdline) or a pipe (one command a line) on the control
 * loop. It never waits for its reader longer than a moment: the loop has other work. */
#include "console_int.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "table.h"
#include "sl_json.h"

#define PROMPT "sluice> "
#define WRITE_WAIT_MS 500 /* a reader that takes nothing for so long loses the rest */
#define PAGES_MAX 16

static const struct sl_rpc_caller caller = {.via = SL_RPC_VIA_CONSOLE,
					    .principal = "console",
					    .who = &sl_service_local};

static void go_on(struct sl_console *c);

/* --- output --------------------------------------------------------------------------------- */

void
console_write(struct sl_console *c, const char *text)
{
	size_t n = strlen(text);

	while (n) {
		ssize_t r = write(c->out, text, n);
		struct pollfd p = {.fd = c->out, .events = POLLOUT};

		if (r > 0) {
			c->stuck = false;
			text += r;
			n -= (size_t)r;
		} else if (r < 0 && errno == EINTR) {
			continue;
		} else if (r == 0 || errno != EAGAIN || c->stuck ||
			   poll(&p, 1, WRITE_WAIT_MS) <= 0) {
			c->stuck = true; /* once only: what follows is lost at once */
			return;
		}
	}
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

/* --- calls ---------------------------------------------------------------------------------- */

static json_t *
ask(struct sl_console *c, const char *method, json_t *params, struct sl_error *e)
{
	json_t *result;
	int rc = sl_rpc_call(c->rpc, &caller, method, params, &result, e);

	json_decref(params);
	return rc ? NULL : result;
}

json_t *
console_try(struct sl_console *c, const char *method, json_t *params)
{
	struct sl_error e;

	return ask(c, method, params, &e);
}

json_t *
console_ask(struct sl_console *c, const char *method, json_t *params)
{
	struct sl_error e;
	json_t *result = ask(c, method, params, &e);

	if (!result)
		console_error(c, &e);
	return result;
}

void
console_show(struct sl_console *c, const char *method, json_t *params)
{
	json_int_t next = 0;

	for (unsigned page = 0; page < PAGES_MAX && (page == 0 || next); page++) {
		json_t *p = json_copy(params), *result;
		char *text;

		if (next)
			json_object_set_new(p, "after", json_integer(next));
		result = console_ask(c, method, p);
		if (!result) {
			next = 0;
			break;
		}
		next = json_integer_value(json_object_get(result, "next"));
		text = sl_view_text(method, result);
		console_write(c, text ? text : "error: no memory\n");
		free(text);
		json_decref(result);
	}
	json_decref(params);
	if (next)
		console_write(c, "there are more: sluicectl shows them all\n");
}

static void
show_answer(struct sl_console *c, const json_t *answer)
{
	const json_t *result = json_object_get(answer, "result");
	const json_t *error = json_object_get(answer, "error"), *data;
	struct sl_error e = {0};
	char *text;

	if (result) {
		text = sl_view_text(c->method, result);
		console_write(c, text ? text : "error: no memory\n");
		free(text);
		return;
	}
	data = json_object_get(error, "data");
	sl_fail(&e, -EINVAL, sl_json_text(data, "reason"), sl_json_text(data, "path"), "%s",
		sl_json_text(error, "message"));
	sl_hint(&e, "%s", sl_json_text(data, "hint"));
	console_error(c, &e);
}

static void
answered(void *ctx, char *text)
{
	struct sl_console *c = ctx;
	json_t *answer = text ? json_loads(text, 0, NULL) : NULL;

	free(text);
	show_answer(c, answer);
	json_decref(answer);
	if (c->waits)
		go_on(c);
}

void
console_start(struct sl_console *c, const char *method, json_t *params)
{
	json_t *call = json_pack("{s:s, s:i, s:s, s:o}", "jsonrpc", "2.0", "id", 1, "method",
				 method, "params", params);
	char *line = call ? json_dumps(call, JSON_COMPACT) : NULL;

	json_decref(call);
	if (c->waits || !line) { /* lines that a terminal sent at once are not held */
		console_write(c, line ? "error: the command before is still under way (busy)\n"
				      : "error: no memory\n");
		free(line);
		return;
	}
	c->method = method;
	c->waits = sl_rpc_line_start(c->rpc, &caller, line, strlen(line), answered, c);
	free(line);
	if (c->waits)
		event_del(c->event);
}

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
		if (c->waits) {
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
		if (c->waits)
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
	    !c->waits) /* a file: always ready, so in turns of the loop */
		event_active(c->event, 0, 0);
}

/** The command that waited is done: with what came behind it, then with what comes. */
static void
go_on(struct sl_console *c)
{
	char *rest = c->rest;
	size_t n = c->n_rest;

	c->waits = NULL;
	c->rest = NULL;
	c->n_rest = 0;
	if (c->tty)
		console_write(c, PROMPT);
	if (rest)
		feed_pipe(c, rest, n);
	free(rest);
	if (c->quitting || c->waits)
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
	if (c->waits)
		sl_rpc_line_cancel(c->waits);
	free(c->rest);
	if (c->event)
		event_free(c->event);
	if (c->cl)
		cmdline_free(c->cl);
	console_grammar_free(c->grammar);
	if (c->tty) {
		tcsetattr(c->in, TCSANOW, &c->saved);
		console_write(c, "\n");
	}
	if (c->out_own)
		close(c->out);
	free(c);
}
