/* SPDX-License-Identifier: BSD-3-Clause */
/* From the table of commands to rte_cmdline's instructions; names of ports, interfaces and peers
 * complete. */
#include <stdio.h>
#include <stdlib.h>

#include "console_int.h"

#define NAMES_MAX 256
#define WORD_MAX 40

enum kind { KIND_PORT, KIND_INTERFACE, KIND_PEER, KIND_TEXT };

/** An argument: begins with what rte_cmdline knows of a token. */
struct arg_token {
	struct cmdline_token_hdr hdr;
	struct sl_console *c;
	enum kind kind;
	char what[WORD_MAX]; /* for help */
	json_t *names;	     /* to complete with: asked for anew at each completion */
};

struct word_token {
	struct cmdline_token_string s;
	char text[WORD_MAX];
};

struct bound { /* what a callback gets */
	struct sl_console *c;
	const struct console_command *command;
};

struct console_grammar {
	cmdline_parse_inst_t **inst; /* NULL-terminated */
	struct bound *bound;
	struct arg_token *arg;
	struct word_token *word;
	unsigned n_arg, n_word;
};

static void
run(void *parsed, struct cmdline *cl, void *data)
{
	const struct bound *b = data;

	(void)cl;
	console_run(b->c, b->command, parsed);
}

/* --- arguments ------------------------------------------------------------------------------ */

static int
arg_parse(cmdline_parse_token_hdr_t *tk, const char *text, void *res, unsigned size)
{
	const struct arg_token *t = SL_CONTAINER_OF(tk, struct arg_token, hdr);
	unsigned n = 0;

	while (!cmdline_isendoftoken(text[n]))
		n++;
	if (n == 0 || n >= STR_TOKEN_SIZE)
		return -1;
	if (t->kind == KIND_PORT && ((n == 4 && strncmp(text, "info", n) == 0) ||
				     (n == 5 && strncmp(text, "stats", n) == 0)))
		return -1; /* `show port stats` asks for all, not for a port of that name */
	if (!res || size < n + 1)
		return res ? -1 : (int)n;
	memcpy(res, text, n);
	((char *)res)[n] = 0;
	return (int)n;
}

static void
add_names(json_t *names, const json_t *result, const char *list)
{
	json_t *row;
	size_t i;

	json_array_foreach (json_object_get(result, list), i, row) {
		if (json_array_size(names) < NAMES_MAX)
			json_array_append(names, json_object_get(row, "name"));
	}
}

static int
arg_names(cmdline_parse_token_hdr_t *tk)
{
	static const char *const method[] = {"port.list", "interface.list", "peer.list"};
	static const char *const list[] = {"ports", "interfaces", "peers"};
	struct arg_token *t = SL_CONTAINER_OF(tk, struct arg_token, hdr);
	json_t *result;

	json_decref(t->names);
	t->names = NULL;
	if (t->kind == KIND_TEXT)
		return 0;
	result = console_try(t->c, method[t->kind], NULL);
	t->names = json_array();
	add_names(t->names, result, list[t->kind]);
	json_decref(result);
	return (int)json_array_size(t->names);
}

static int
arg_name(cmdline_parse_token_hdr_t *tk, int i, char *out, unsigned size)
{
	const struct arg_token *t = SL_CONTAINER_OF(tk, struct arg_token, hdr);
	const char *name = json_string_value(json_array_get(t->names, (size_t)i));

	if (!name || strlen(name) >= size)
		return -1;
	snprintf(out, size, "%s", name);
	return 0;
}

static int
arg_help(cmdline_parse_token_hdr_t *tk, char *out, unsigned size)
{
	const struct arg_token *t = SL_CONTAINER_OF(tk, struct arg_token, hdr);

	snprintf(out, size, "%s", t->what);
	return 0;
}

static struct cmdline_token_ops arg_ops = {
	.parse = arg_parse,
	.complete_get_nb = arg_names,
	.complete_get_elt = arg_name,
	.get_help = arg_help,
};

/* --- building ------------------------------------------------------------------------------- */

static enum kind
kind_of(const char *word)
{
	if (strcmp(word, "<port>") == 0)
		return KIND_PORT;
	if (strcmp(word, "<interface>") == 0)
		return KIND_INTERFACE;
	return strcmp(word, "<peer>") == 0 ? KIND_PEER : KIND_TEXT;
}

static struct cmdline_token_hdr *
make_token(struct console_grammar *g, struct sl_console *c, const char *word, unsigned place)
{
	struct word_token *w;
	struct arg_token *t;

	if (word[0] == '<') {
		t = &g->arg[g->n_arg++];
		t->hdr.ops = &arg_ops;
		t->hdr.offset = (unsigned)(offsetof(struct console_args, w) +
					   place * sizeof(cmdline_fixed_string_t));
		t->c = c;
		t->kind = kind_of(word);
		snprintf(t->what, sizeof(t->what), "%s", word);
		return &t->hdr;
	}
	w = &g->word[g->n_word++];
	w->s.hdr.ops = &cmdline_token_string_ops;
	if (strcmp(word, "...") == 0) {
		w->s.hdr.offset = offsetof(struct console_args, rest);
		w->s.string_data.str = TOKEN_STRING_MULTI;
	} else {
		w->s.hdr.offset = (unsigned)(offsetof(struct console_args, w) +
					     place * sizeof(cmdline_fixed_string_t));
		snprintf(w->text, sizeof(w->text), "%s", word);
		w->s.string_data.str = w->text;
	}
	return &w->s.hdr;
}

static cmdline_parse_inst_t *
make_inst(struct console_grammar *g, struct bound *b)
{
	cmdline_parse_inst_t *inst =
		calloc(1, sizeof(*inst) + (CONSOLE_WORDS + 2) * sizeof(inst->tokens[0]));
	char words[160], *save = NULL;
	unsigned n = 0;

	if (!inst)
		return NULL;
	inst->f = run;
	inst->data = b;
	inst->help_str = b->command->help;
	snprintf(words, sizeof(words), "%s", b->command->syntax);
	for (char *w = strtok_r(words, " ", &save); w && n < CONSOLE_WORDS + 1;
	     w = strtok_r(NULL, " ", &save)) {
		inst->tokens[n] = make_token(g, b->c, w, SL_MIN(n, CONSOLE_WORDS - 1U));
		n++;
	}
	return inst;
}

struct console_grammar *
console_grammar_new(struct sl_console *c)
{
	struct console_grammar *g = calloc(1, sizeof(*g));
	unsigned n = console_n_commands;

	if (!g)
		return NULL;
	g->inst = calloc(n + 1, sizeof(cmdline_parse_inst_t *));
	g->bound = calloc(n, sizeof(g->bound[0]));
	g->arg = calloc(n * CONSOLE_WORDS, sizeof(g->arg[0]));
	g->word = calloc(n * (CONSOLE_WORDS + 1), sizeof(g->word[0]));
	for (unsigned i = 0; i < n; i++) {
		if (!g->inst || !g->bound || !g->arg || !g->word)
			break;
		g->bound[i] = (struct bound){.c = c, .command = &console_commands[i]};
		g->inst[i] = make_inst(g, &g->bound[i]);
		if (!g->inst[i])
			break;
	}
	if (g->inst && g->inst[n - 1])
		return g;
	console_grammar_free(g);
	return NULL;
}

void
console_grammar_free(struct console_grammar *g)
{
	if (!g)
		return;
	for (unsigned i = 0; g->inst && g->inst[i]; i++)
		free(g->inst[i]);
	for (unsigned i = 0; g->arg && i < g->n_arg; i++)
		json_decref(g->arg[i].names);
	free(g->inst);
	free(g->bound);
	free(g->arg);
	free(g->word);
	free(g);
}

cmdline_parse_ctx_t *
console_grammar_ctx(struct console_grammar *g)
{
	return g->inst;
}
