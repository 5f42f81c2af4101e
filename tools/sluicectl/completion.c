/* SPDX-License-Identifier: BSD-3-Clause */
/* Completion for bash: of a gateway's commands and methods, made from the schema and the table of
 * verbs, and of the control plane's, made from its operations. */
#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_schema_gateway.h"
#include "sluicectl.h"

/** A command that asks no gateway, and what may follow. */
static const struct local {
	const char *first, *second, *list;
} locals[] = {{"audit", "verify", "--key --kept"},
	      {"ca", "init", ""},
	      {"ca", "issue", ""},
	      {"ca", "renew", ""},
	      {"ca", "list", ""},
	      {"token", "new", "--role --days"}};

/** Words of a table: those of verbs, or of the control plane's. */
typedef const char *(*words_fn)(unsigned i);

static const char *
gateway_words(unsigned i)
{
	return i < n_verbs ? verbs[i].words : NULL;
}

static const char *
control_words(unsigned i)
{
	return i < n_control_verbs ? control_verbs[i].words : NULL;
}

/* --- a gateway's ---------------------------------------------------------------------------- */

static void
complete_fields(const struct sl_schema_field *fields, unsigned n, const char *prefix)
{
	for (unsigned i = 0; i < n; i++) {
		const struct sl_schema_field *f = &fields[i];
		char name[80];

		snprintf(name, sizeof(name), "%s%s", prefix, f->name);
		if (f->type == SL_T_OBJECT) {
			strncat(name, ".", sizeof(name) - strlen(name) - 1);
			complete_fields(f->fields, f->n_fields, name);
			continue;
		}
		if (f->type != SL_T_ENUM && f->type != SL_T_BOOLEAN) {
			printf(" %s=", name);
			continue;
		}
		for (unsigned v = 0; f->type == SL_T_ENUM && f->values[v]; v++)
			printf(" %s=%s", name, f->values[v]);
		if (f->type == SL_T_BOOLEAN)
			printf(" %s=yes %s=no", name, name);
	}
}

static void
complete_method(const char *words, const struct sl_schema_method *m)
{
	printf("\t\"%s\") list=\"", words);
	complete_fields(m->params, m->n_params, "");
	puts("\" ;;");
}

static void
complete_verb(unsigned i)
{
	complete_method(verbs[i].words,
			sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, verbs[i].method));
}

/* --- the control plane's -------------------------------------------------------------------- */

/** Options that a line of help names: "[--out FILE]", "KEY|--new-key". */
static void
complete_options(const char *syntax)
{
	const char *at = syntax;

	while ((at = strstr(at, "--")) != NULL) {
		size_t n = strspn(at, "-abcdefghijklmnopqrstuvwxyz");

		printf(" %.*s", (int)n, at);
		at += n;
	}
}

static void
complete_op(const char *words, const struct op *op, const char *syntax)
{
	printf("\t\"%s\") list=\"", words);
	complete_options(syntax);
	for (unsigned i = 0; i < op->n_fields; i++) {
		const char *name = op->fields[i].name;

		if (op->fields[i].type == OP_FLAG)
			printf(" %s=yes %s=no", name, name);
		else
			printf(" %s=", name);
	}
	puts(op->if_match ? " if-version=\" ;;" : "\" ;;");
}

static void
complete_command(unsigned i)
{
	complete_op(control_verbs[i].words, op_find(control_verbs[i].op), control_verbs[i].syntax);
}

/* --- both ----------------------------------------------------------------------------------- */

/** Second words of the local commands. */
static void
complete_local(const char *first, size_t n)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(locals); i++)
		if (strlen(locals[i].first) == n && strncmp(locals[i].first, first, n) == 0)
			printf(" %s", locals[i].second);
}

/** A word that no verb begins with. */
static void
complete_first(const char *word)
{
	printf("\t\"%s\") list=\"", word);
	complete_local(word, strlen(word));
	puts("\" ;;");
}

/** First words of a table, each once. */
static void
first_words(words_fn words)
{
	for (unsigned i = 0; words(i); i++) {
		size_t n = strcspn(words(i), " ");
		unsigned j = 0;

		while (j < i &&
		       (strncmp(words(j), words(i), n) != 0 || strcspn(words(j), " ") != n))
			j++;
		if (j == i)
			printf(" %.*s", (int)n, words(i));
	}
}

/** Second words of those that begin with the first word of line i; told once. */
static void
second_words(words_fn words, unsigned i, bool local)
{
	size_t n = strcspn(words(i), " ");

	for (unsigned j = 0; j < i; j++)
		if (strchr(words(j), ' ') && strncmp(words(j), words(i), n + 1) == 0)
			return;
	printf("\t\"%.*s\") list=\"", (int)n, words(i));
	for (unsigned j = 0; words(j); j++)
		if (strncmp(words(j), words(i), n) == 0 && words(j)[n] == ' ')
			printf(" %s", words(j) + n + 1);
	if (local)
		complete_local(words(i), n);
	puts("\" ;;");
}

/** One word, and no command of two begins with it. */
static bool
is_single(words_fn words, unsigned i)
{
	size_t n = strlen(words(i));

	for (unsigned j = 0; words(j); j++)
		if (j != i && strncmp(words(j), words(i), n) == 0 && words(j)[n] == ' ')
			return false;
	return strchr(words(i), ' ') == NULL;
}

static void
gateway_cases(void)
{
	puts("\tcase \"${words[0]}\" in");
	fputs("\t\"\") list=\"-s --tcp --tls --instance --control -j -w help ca token", stdout);
	first_words(gateway_words);
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		printf(" %s", sl_schema_gateway[i].name);
	puts("\" ;;");
	for (unsigned i = 0; i < n_verbs; i++)
		if (strchr(verbs[i].words, ' '))
			second_words(gateway_words, i, true);
		else if (is_single(gateway_words, i))
			complete_verb(i);
	complete_first("ca");
	complete_first("token");
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		complete_method(sl_schema_gateway[i].name, &sl_schema_gateway[i]);
	puts("\tesac\n"
	     "\tcase \"${words[0]} ${words[1]}\" in");
	for (unsigned i = 0; i < n_verbs; i++)
		if (strchr(verbs[i].words, ' '))
			complete_verb(i);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(locals); i++)
		printf("\t\"%s %s\") list=\"%s\" ;;\n", locals[i].first, locals[i].second,
		       locals[i].list);
	puts("\tesac");
}

static void
control_cases(void)
{
	puts("\tcase \"${words[0]}\" in");
	fputs("\t\"\") list=\"--control --ca --token-file --cert --key -j help ca", stdout);
	first_words(control_words);
	for (unsigned i = 0; i < n_ops; i++)
		printf(" %s", ops[i].id);
	puts("\" ;;");
	for (unsigned i = 0; i < n_control_verbs; i++)
		if (strchr(control_verbs[i].words, ' '))
			second_words(control_words, i, false);
		else if (is_single(control_words, i))
			complete_command(i);
	complete_first("ca");
	for (unsigned i = 0; i < n_ops; i++)
		complete_op(ops[i].id, &ops[i], "");
	puts("\tesac\n"
	     "\tcase \"${words[0]} ${words[1]}\" in");
	for (unsigned i = 0; i < n_control_verbs; i++)
		if (strchr(control_verbs[i].words, ' '))
			complete_command(i);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(locals); i++)
		if (strcmp(locals[i].first, "ca") == 0)
			printf("\t\"ca %s\") list=\"%s\" ;;\n", locals[i].second, locals[i].list);
	puts("\tesac");
}

void
help_completion(void)
{
	puts("# bash completion for sluicectl\n"
	     "_sluicectl() {\n"
	     "\tlocal cur=${COMP_LINE:0:COMP_POINT} list= w words=() control=$SLUICE_CONTROL\n"
	     "\tcur=${cur##* }\n"
	     "\tfor w in ${COMP_LINE:0:COMP_POINT}; do words+=(\"$w\"); done\n"
	     "\t[ -n \"$cur\" ] && unset 'words[-1]'\n"
	     "\twords=(\"${words[@]:1}\")\n"
	     "\twhile [ \"${#words[@]}\" -gt 0 ]; do\n"
	     "\t\tcase \"${words[0]}\" in\n"
	     "\t\t-s | --socket | --tcp | --instance | --tls) control= "
	     "words=(\"${words[@]:2}\") ;;\n"
	     "\t\t--control) control=1 words=(\"${words[@]:2}\") ;;\n"
	     "\t\t--ca | --cert | --key | --token-file) words=(\"${words[@]:2}\") ;;\n"
	     "\t\t-*) words=(\"${words[@]:1}\") ;;\n"
	     "\t\t*) break ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tif [ -n \"$control\" ]; then");
	control_cases();
	puts("\telse");
	gateway_cases();
	puts("\tfi\n"
	     "\tCOMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n"
	     "\t[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
	     "\t# bash cuts words at '='; give back what is behind it\n"
	     "\tcase \"$cur\" in *=*) COMPREPLY=(\"${COMPREPLY[@]#\"${cur%\"${cur##*=}\"}\"}\") ;; "
	     "esac\n"
	     "}\n"
	     "complete -o default -F _sluicectl sluicectl");
}
