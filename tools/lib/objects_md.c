/* SPDX-License-Identifier: BSD-3-Clause */
/* Prints docs/objects.md from the table of kinds (control/model/kinds.c), which it is linked with
 * and nothing else; see tools/gen-docs. */
#include <stdio.h>

#include "model_int.h"

static const char head[] =
	"# Objects of the control plane\n"
	"\n"
	"What the control plane knows is a set of objects. Each has a kind, an id that is unique "
	"in "
	"its kind, a revision and a body, a JSON\n"
	"object. Data stores keep them, the replication stream carries them, gateways are built "
	"from "
	"them. This page is generated from\n"
	"`control/model/kinds.c` by `tools/gen-docs`.\n"
	"\n"
	"- **Scope** says who is sent an object. Data stores that follow another one are sent "
	"everything. A gateway is sent its own record, what\n"
	"  it has of its own, all of the interfaces that its record names, and what goes to every "
	"gateway.\n"
	"- **Strict** kinds grant something, so a field that a reader does not know is an error: "
	"to "
	"ignore a restriction would widen access. In\n"
	"  the other kinds an older reader keeps and ignores it. Who writes an object is told of "
	"unknown fields in every kind.\n"
	"- **No secrets.** A field that is called private key, preshared key, PSK, secret, "
	"password "
	"or passphrase, however it is spelled and at\n"
	"  any depth, is refused (`secret_field`). `authz_mode`, `mode`, `logging_enabled` and "
	"`log_required` are "
	"refused too (`local_only_setting`): a gateway\n"
	"  decides them itself, so nobody can turn enforcement off from here. Keys of tokens are "
	"kept "
	"as hashes.\n"
	"- A field that is not needed is left out; `null` is no value. Times are RFC 3339 in UTC. "
	"Prefixes have no bits behind their length.\n"
	"- An error names the place as a JSON pointer inside the body, and mostly the remedy.\n"
	"- **Schema.** Fields and kinds that came later say since which schema; all others are of "
	"the first. A gateway that reads an earlier one is\n"
	"  sent objects without them; where such a field restricts what the object gives, it is "
	"not sent the object ([replication.md](replication.md#schemas)).\n"
	"\n"
	"## Canonical form and hash\n"
	"\n"
	"Equal states have equal sums of hashes; each heartbeat carries the sum of what a gateway "
	"was sent. The canonical form of a body is UTF-8\n"
	"with sorted keys, without spaces, and with whole numbers only. In Python:\n"
	"\n"
	"```python\n"
	"def part(b):\n"
	"    return len(b).to_bytes(8, \"little\") + b\n"
	"\n"
	"def object_hash(kind, id, body):\n"
	"    canon = json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(\",\", "
	"\":\"))\n"
	"    parts = part(kind.encode()) + part(id.encode()) + part(canon.encode())\n"
	"    return hashlib.blake2b(parts, digest_size=32).digest()\n"
	"\n"
	"def state_hash(objects):\n"
	"    total = sum(int.from_bytes(object_hash(*o), \"little\") for o in objects) % 2**256\n"
	"    return \"b2b:\" + total.to_bytes(32, \"little\").hex()\n"
	"```\n"
	"\n"
	"The sum shows drift; it does not prove who made the state.\n"
	"\n"
	"## Kinds\n"
	"\n"
	"| kind | id | goes to | strict |\n"
	"|---|---|---|---|\n";

static const char *
scope_text(const struct model_kind *k)
{
	static const char *const text[] = {
		[SL_SCOPE_INTERFACE] = "gateways that serve the interface",
		[SL_SCOPE_GATEWAY] = "the gateway",
		[SL_SCOPE_GATEWAYS] = "every gateway",
		[SL_SCOPE_STORES] = "data stores alone",
	};

	return text[k->scope];
}

static const char *
type_text(enum model_type t)
{
	static const char *const text[] = {
		[MODEL_TEXT] = "text",
		[MODEL_DOCUMENT] = "text",
		[MODEL_BOOL] = "true, false",
		[MODEL_INT] = "number",
		[MODEL_WORD] = "word",
		[MODEL_NODE] = "node name",
		[MODEL_NAME] = "name",
		[MODEL_INTERFACE] = "interface name",
		[MODEL_KEY] = "public key",
		[MODEL_HASH] = "64 hex digits",
		[MODEL_TIME] = "time",
		[MODEL_PREFIX] = "prefix",
		[MODEL_ADDRESS] = "address/length",
		[MODEL_ENDPOINT] = "address:port",
		[MODEL_HOST_PORT] = "host:port",
		[MODEL_LIST] = "array",
		[MODEL_PREFIXES] = "object of arrays of prefixes",
		[MODEL_OBJECT] = "object",
		[MODEL_MEMBER] = "member",
		[MODEL_FREE] = "any JSON",
		[MODEL_FREE_LIST] = "array",
		[MODEL_FREE_OBJECT] = "object",
	};

	return text[t];
}

static void
print_words(const char *const *words)
{
	for (unsigned i = 0; words[i] != NULL; i++)
		printf("%s`%s`", i > 0 ? ", " : "", words[i]);
}

static void
print_type(const struct model_field *f)
{
	if (f->type == MODEL_WORD) {
		print_words(f->words);
	} else if (f->type == MODEL_INT) {
		printf("%lld to %lld", (long long)f->min, (long long)f->max);
	} else if (f->type == MODEL_LIST && f->item == MODEL_WORD) {
		printf("array of ");
		print_words(f->words);
	} else if (f->type == MODEL_LIST) {
		printf("array of %s", type_text(f->item));
		if (f->max > 0)
			printf(", %lld to %lld", (long long)f->min, (long long)f->max);
	} else if (f->type == MODEL_TEXT || f->type == MODEL_DOCUMENT) {
		printf("text, %lld to %lld bytes", (long long)f->min, (long long)f->max);
	} else {
		printf("%s", type_text(f->type));
	}
}

static void
print_fields(const struct model_field *f, const char *under)
{
	char below[40];

	for (; f->name != NULL; f++) {
		printf("| `%s%s` | ", under, f->name);
		print_type(f);
		printf(" | %s | %s", f->required ? "yes" : "", f->doc);
		if (f->since > 1)
			printf(" (since schema %u%s)", f->since,
			       f->restricts ? "; withheld from who reads an earlier one" : "");
		if (f->text_since > 1)
			printf(" (texts since schema %u; who reads an earlier one is sent the "
			       "object without them)",
			       f->text_since);
		printf(" |\n");
		snprintf(below, sizeof(below), "%s.", f->name);
		if (f->type == MODEL_OBJECT)
			print_fields(f->fields, below);
	}
}

static void
print_kind(const struct model_kind *k)
{
	printf("\n### %s\n\n%s Id: %s.\n", k->name, k->doc, k->id_doc);
	if (k->policy)
		printf("Its fields are those of [policy.md](policy.md).\n");
	printf("\n| field | type | needed | meaning |\n|---|---|---|---|\n");
	print_fields(k->fields, "");
	printf("\n`%s`:\n\n```json\n%s\n```\n", k->example_id, k->example);
}

int
main(void)
{
	const struct model_kind *k;

	fputs(head, stdout);
	for (unsigned i = 0; (k = model_kind(i)) != NULL; i++)
		printf("| [%s](#%s) | %s | %s | %s |\n", k->name, k->name, k->id_doc, scope_text(k),
		       k->strict ? "yes" : "");
	for (unsigned i = 0; (k = model_kind(i)) != NULL; i++)
		print_kind(k);
	return 0;
}
