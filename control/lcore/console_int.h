/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside the console: the commands are a table of syntaxes, turned into rte_cmdline's
 * tokens. */
#ifndef SL_CONSOLE_INT_H
#define SL_CONSOLE_INT_H

#include <cmdline.h>
#include <cmdline_parse.h>
#include <cmdline_parse_string.h>
#include <event2/buffer.h>
#include <event2/event.h>
#include <jansson.h>
#include <termios.h>

#include "sl_ctl.h"

#define CONSOLE_WORDS 8
#define CONSOLE_LINE_MAX 8192

/** What a line held, by place of the word; rest is what "..." of the syntax took. */
struct console_args {
	cmdline_fixed_string_t w[CONSOLE_WORDS];
	cmdline_multi_string_t rest;
};

/**
 * One command. Words of the syntax are literal, a#b (one of them), <kind> (an argument; <port>,
 * <interface> and <peer> complete) or "..." (the rest of the line).
 */
struct console_command {
	const char *syntax, *help;
	void (*run)(struct sl_console *c, const struct console_args *a);
	bool always; /* also while another one waits */
};

extern const struct console_command console_commands[];
extern const unsigned console_n_commands;

struct console_grammar; /* console_tokens.c */
struct console_step;	/* console_call.c */
struct console_view;

struct sl_console {
	struct sl_rpc *rpc;
	int in, out;
	bool out_own; /* out was opened here */
	bool tty;     /* both ends are one: prompt, editing, completion */
	bool quitting;
	bool lost;		  /* of what was to be written: said when the reader is back */
	struct evbuffer *pending; /* that the reader has not taken yet */
	struct event *out_event;
	struct termios saved;
	struct event *event;
	struct console_grammar *grammar;
	struct cmdline *cl;
	char line[CONSOLE_LINE_MAX]; /* of a pipe: what has come of the line */
	size_t n_line;
	bool overlong;
	/* what the command asks; while it waits, or the reader does not take it, nothing is read */
	struct console_step *steps;
	struct sl_rpc_line *waits;
	struct console_view *view;
	bool refused; /* the command that runs */
	bool held;    /* nothing is read */
	bool ended;   /* the input did: it quits when the answer has come */
	char *rest;   /* of a pipe: what came behind it */
	size_t n_rest;
	void (*on_quit)(void *ctx);
	void *ctx;
};

/** Made of console_commands[]. @return NULL without memory */
struct console_grammar *console_grammar_new(struct sl_console *c);
void console_grammar_free(struct console_grammar *g);
cmdline_parse_ctx_t *console_grammar_ctx(struct console_grammar *g);

/* --- console_out.c -----------------------------------------------------------------------------
 */

void console_write(struct sl_console *c, const char *text);
void console_printf(struct sl_console *c, const char *fmt, ...) SL_PRINTF(2, 3);
void console_error(struct sl_console *c, const struct sl_error *e);
/** Does something wait for its reader? */
bool console_pending(const struct sl_console *c);
int console_out_begin(struct sl_console *c, struct event_base *base);
void console_out_end(struct sl_console *c);

/* --- console.c ---------------------------------------------------------------------------------
 */

void console_quit(struct sl_console *c);
/** Read nothing while a command or its output waits. */
void console_hold(struct sl_console *c);
/** Read again, if nothing waits any more. */
void console_resume(struct sl_console *c);

/* --- console_call.c ----------------------------------------------------------------------------
 */

/** Carry a command out. */
void console_run(struct sl_console *c, const struct console_command *k,
		 const struct console_args *a);
/** Does a command wait for an answer? */
bool console_waits(const struct sl_console *c);
void console_calls_end(struct sl_console *c);
/** Call a method that is answered at once. @param params given away. @return the result, or NULL
 * after telling the error */
json_t *console_ask(struct sl_console *c, const char *method, json_t *params);
/** As console_ask(), but silent about errors (completion). */
json_t *console_try(struct sl_console *c, const char *method, json_t *params);
/** Of a command that runs: call a method and show its result, long lists page by page, after those
 * that it asked for before, if they succeed. */
void console_show(struct sl_console *c, const char *method, json_t *params);

#endif
