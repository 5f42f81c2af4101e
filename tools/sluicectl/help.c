/* SPDX-License-Identifier: BSD-3-Clause */
/* Help, made from the schema and the table of verbs. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_schema_gateway.h"
#include "sluicectl.h"

void
help_all(void)
{
	char left[80];

	puts("Usage: sluicectl [-s SOCKET | --tcp HOST:PORT | --tls HOST:PORT ...] [-j | -w] "
	     "COMMAND\n"
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
	     "  -w, --wide           tables with all their columns\n"
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
	puts("\nExit status: 0 done, 1 refused, 2 wrong usage, 3 audit verify: whole, but "
	     "not all vouched for, 4 no answer, 5 not found, "
	     "6 conflict: exists already, in use, or changed meanwhile.");
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
