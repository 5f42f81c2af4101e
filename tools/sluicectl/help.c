/* SPDX-License-Identifier: BSD-3-Clause */
/* Help and completion, made from the schema and the table of verbs. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_schema_gateway.h"
#include "sluicectl.h"

void
help_all(void)
{
	char left[80];

	puts("Usage: sluicectl [-s SOCKET | --tcp HOST:PORT | --tls HOST:PORT ...] [-j] COMMAND\n"
	     "       sluicectl [...] METHOD [KEY=VALUE...]\n"
	     "       sluicectl help [COMMAND | METHOD]\n"
	     "\n"
	     "  -s, --socket PATH    unix socket (default /run/sluice/NAME/mgmt.sock, or "
	     "SLUICE_SOCKET)\n"
	     "      --instance NAME  name of the gateway on this host (default \"default\")\n"
	     "      --tcp HOST:PORT  loopback TCP, where the gateway serves it\n"
	     "      --tls HOST:PORT  a gateway's remote control, with\n"
	     "        --ca FILE        the authority that signed its certificate (default: the "
	     "system's)\n"
	     "        --cert F --key F our certificate, or\n"
	     "        --token-file F   our token, in the first line of a file\n"
	     "      --control URL    the control plane instead of a gateway: sluicectl --control "
	     "URL help\n"
	     "  -j, --json           the answer as JSON\n"
	     "  -V, --version        version of sluicectl\n"
	     "  -h, --help           this text\n"
	     "\n"
	     "Commands:");
	for (unsigned i = 0; i < n_verbs; i++) {
		snprintf(left, sizeof(left), "%s %s", verbs[i].words, verbs[i].syntax);
		printf("  %-44s %s\n", left, verbs[i].help);
	}
	printf("  %-44s %s\n", "ca init|issue|renew|list ...",
	       "certificates (no gateway is asked)");
	printf("  %-44s %s\n", "token new FILE --role ROLE [--days N]",
	       "a token of a gateway's own file (no gateway is asked)");
	printf("  %-44s %s\n", "audit verify FILE... [--key F|KEY] [--kept F]",
	       "are the admin records of files whole? (no gateway is asked)");
	puts("\nMethods (docs/rpc.md):");
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		printf("  %-20s %s\n", sl_schema_gateway[i].name, sl_schema_gateway[i].summary);
	puts("\nExit status: 0 done, 1 error, 2 wrong usage, 3 audit verify: whole, but "
	     "not all vouched for, 4 no gateway there, 5 not found, "
	     "6 exists already.");
}

static void
print_type(const struct sl_schema_field *f)
{
	static const char *const text[] = {
		[SL_T_STRING] = "text",	   [SL_T_INTEGER] = "number",
		[SL_T_BOOLEAN] = "yes|no", [SL_T_ENUM] = "",
		[SL_T_KEY] = "key",	   [SL_T_IP] = "address",
		[SL_T_PREFIX] = "prefix",  [SL_T_ENDPOINT] = "address:port",
		[SL_T_MAC] = "MAC",	   [SL_T_ARRAY] = "list of ",
		[SL_T_OBJECT] = "JSON",	   [SL_T_NUMBER] = "number",
	};

	fputs(text[f->type], stdout);
	if (f->type == SL_T_ARRAY)
		print_type(&f->fields[0]);
	for (unsigned i = 0; f->type == SL_T_ENUM && f->values[i]; i++)
		printf("%s%s", i ? "|" : "", f->values[i]);
}

static void
print_fields(const struct sl_schema_field *fields, unsigned n, const char *prefix)
{
	for (unsigned i = 0; i < n; i++) {
		const struct sl_schema_field *f = &fields[i];
		char name[80];

		snprintf(name, sizeof(name), "%s%s", prefix, f->name);
		if (f->type == SL_T_OBJECT) {
			strncat(name, ".", sizeof(name) - strlen(name) - 1);
			print_fields(f->fields, f->n_fields, name);
			continue;
		}
		printf("  %s=", name);
		print_type(f);
		printf("\n      %s%s%s\n", f->doc, f->required ? " (required)" : "",
		       f->local_only ? " (not over TCP)" : "");
	}
}

static void
help_method(const struct sl_schema_method *m)
{
	printf("%s\n  %s\n  Role %s%s%s.\n", m->name, m->summary, m->role,
	       m->local_only ? "; not over TCP" : "",
	       m->states & SL_RPC_STARTUP ? "" : "; not while the gateway starts");
	if (m->n_params)
		puts("\nParameters:");
	print_fields(m->params, m->n_params, "");
}

int
help_about(int argc, char **argv)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, argv[0]);
	bool found = false;
	struct sl_error e;
	char words[80];

	if (m) {
		help_method(m);
		return EXIT_OK;
	}
	snprintf(words, sizeof(words), "%s%s%s", argv[0], argc > 1 ? " " : "",
		 argc > 1 ? argv[1] : "");
	for (unsigned i = 0; i < n_verbs; i++) {
		size_t n = strlen(words);

		if (strncmp(verbs[i].words, words, n) != 0 ||
		    (verbs[i].words[n] && verbs[i].words[n] != ' '))
			continue;
		printf("%ssluicectl %s %s\n  %s\n\nCalls ", found ? "\n" : "", verbs[i].words,
		       verbs[i].syntax, verbs[i].help);
		help_method(
			sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, verbs[i].method));
		found = true;
	}
	if (found)
		return EXIT_OK;
	request_unknown(argc, argv, &e);
	tell_error(&e);
	return EXIT_USAGE;
}

/* --- completion ----------------------------------------------------------------------------- */

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

/** Commands that ask no gateway, and what may follow. */
static const struct local {
	const char *first, *second, *list;
} locals[] = {{"audit", "verify", "--key --kept"},
	      {"ca", "init", ""},
	      {"ca", "issue", ""},
	      {"ca", "renew", ""},
	      {"ca", "list", ""},
	      {"token", "new", "--role --days"}};

/** Second words of the local commands. */
static void
complete_local(const char *first, size_t n)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(locals); i++)
		if (strlen(locals[i].first) == n && strncmp(locals[i].first, first, n) == 0)
			printf(" %s", locals[i].second);
}

/** Second words of the verbs that begin with the first word of verb i; told once. */
static void
complete_second(unsigned i)
{
	size_t n = strcspn(verbs[i].words, " ");

	for (unsigned j = 0; j < i; j++)
		if (strncmp(verbs[j].words, verbs[i].words, n + 1) == 0)
			return;
	printf("\t\"%.*s\") list=\"", (int)n, verbs[i].words);
	for (unsigned j = 0; j < n_verbs; j++)
		if (strncmp(verbs[j].words, verbs[i].words, n) == 0 && verbs[j].words[n] == ' ')
			printf(" %s", verbs[j].words + n + 1);
	complete_local(verbs[i].words, n);
	puts("\" ;;");
}

/** A word that no verb begins with. */
static void
complete_first(const char *word)
{
	printf("\t\"%s\") list=\"", word);
	complete_local(word, strlen(word));
	puts("\" ;;");
}

void
help_completion(void)
{
	puts("# bash completion for sluicectl\n"
	     "_sluicectl() {\n"
	     "\tlocal cur=${COMP_LINE:0:COMP_POINT} list= w words=()\n"
	     "\tcur=${cur##* }\n"
	     "\tfor w in ${COMP_LINE:0:COMP_POINT}; do words+=(\"$w\"); done\n"
	     "\t[ -n \"$cur\" ] && unset 'words[-1]'\n"
	     "\twords=(\"${words[@]:1}\")\n"
	     "\twhile [ \"${#words[@]}\" -gt 0 ]; do\n"
	     "\t\tcase \"${words[0]}\" in\n"
	     "\t\t-s | --socket | --tcp | --instance | --tls | --ca | --cert | --key | "
	     "--token-file) words=(\"${words[@]:2}\") ;;\n"
	     "\t\t-*) words=(\"${words[@]:1}\") ;;\n"
	     "\t\t*) break ;;\n"
	     "\t\tesac\n"
	     "\tdone\n"
	     "\tcase \"${words[0]}\" in");
	fputs("\t\"\") list=\"-s --tcp --tls --instance -j help ca token", stdout);
	for (unsigned i = 0; i < n_verbs; i++) {
		size_t n = strcspn(verbs[i].words, " ");

		if (i == 0 || strncmp(verbs[i - 1].words, verbs[i].words, n + 1) != 0)
			printf(" %.*s", (int)n, verbs[i].words);
	}
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		printf(" %s", sl_schema_gateway[i].name);
	puts("\" ;;");
	for (unsigned i = 0; i < n_verbs; i++)
		if (strchr(verbs[i].words, ' '))
			complete_second(i);
	complete_first("ca");
	complete_first("token");
	for (unsigned i = 0; i < sl_schema_gateway_n; i++)
		complete_method(sl_schema_gateway[i].name, &sl_schema_gateway[i]);
	puts("\tesac\n"
	     "\tcase \"${words[0]} ${words[1]}\" in");
	for (unsigned i = 0; i < n_verbs; i++)
		if (strchr(verbs[i].words, ' '))
			complete_method(verbs[i].words,
					sl_schema_find(sl_schema_gateway, sl_schema_gateway_n,
						       verbs[i].method));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(locals); i++)
		printf("\t\"%s %s\") list=\"%s\" ;;\n", locals[i].first, locals[i].second,
		       locals[i].list);
	puts("\tesac\n"
	     "\tCOMPREPLY=($(compgen -W \"$list\" -- \"$cur\"))\n"
	     "\t[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace\n"
	     "\t# bash cuts words at '='; give back what is behind it\n"
	     "\tcase \"$cur\" in *=*) COMPREPLY=(\"${COMPREPLY[@]#\"${cur%\"${cur##*=}\"}\"}\") ;; "
	     "esac\n"
	     "}\n"
	     "complete -o default -F _sluicectl sluicectl");
}
