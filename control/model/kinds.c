/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds: their fields, whom they go to, what an id looks like. docs/objects.md is made of this
 * table. */
#include "model_int.h"

#include "sl_policy_doc.h"

#define DESCRIPTION                                                                                \
	{                                                                                          \
		"description", MODEL_TEXT, .max = 1024, .doc = "for people"                        \
	}
#define END                                                                                        \
	{                                                                                          \
		NULL                                                                               \
	}

static const struct model_field interface_fields[] = {
	{"listen_port", MODEL_INT, .min = 1, .max = 65535, .doc = "UDP port; not 443"},
	{"mtu", MODEL_INT, .min = 1280, .max = 9000,
	 .doc = "bytes inside the tunnel; default 1420"},
	{"isolation", MODEL_BOOL, .doc = "drop tunnel to tunnel traffic; default true"},
	{"mss_clamp", MODEL_BOOL, .doc = "default true"},
	{"snat", MODEL_BOOL, .doc = "must be false: translation of sources is not there yet"},
	DESCRIPTION,
	END,
};

static const struct model_field gateway_fields[] = {
	{"interfaces", MODEL_LIST, true, 0, 1024, .item = MODEL_INTERFACE,
	 .doc = "which interfaces it serves: what it is sent follows from it"},
	{"enabled", MODEL_BOOL, .doc = "default true; false: decommissioned, it is sent nothing"},
	{"region", MODEL_TEXT, .max = 64, .doc = "where it stands, for people"},
	DESCRIPTION,
	END,
};

static const struct model_field gateway_interface_fields[] = {
	{"gateway", MODEL_NODE, true, .doc = "as in the id"},
	{"interface", MODEL_INTERFACE, true, .doc = "as in the id"},
	{"public_key", MODEL_KEY, .doc = "told by the gateway when it registers"},
	{"endpoint", MODEL_HOST_PORT, .doc = "where peers reach it: ADDRESS:PORT or NAME:PORT"},
	{"index", MODEL_INT, .min = 1, .max = 254,
	 .doc = "number of the gateway among those of the interface"},
	{"addresses", MODEL_LIST, .max = 300, .item = MODEL_ADDRESS,
	 .doc = "its own addresses, with the length of their network"},
	{"client_pool", MODEL_LIST, .max = 64, .item = MODEL_PREFIX,
	 .doc = "where clients' addresses at this gateway come from"},
	{"listen_port", MODEL_INT, .min = 1, .max = 65535,
	 .doc = "UDP port, if another than the interface's; not 443"},
	DESCRIPTION,
	END,
};

static const struct model_field peer_fields[] = {
	{"interface", MODEL_INTERFACE, true, .doc = "the interface it belongs to"},
	{"public_key", MODEL_KEY, true, .doc = "base64"},
	{"allowed_ips", MODEL_LIST, .max = 1024, .item = MODEL_PREFIX,
	 .doc = "its prefixes at every gateway"},
	{"addresses", MODEL_PREFIXES, .max = 256,
	 .doc = "its prefixes at one gateway: {GATEWAY: [PREFIX]}, beside allowed_ips"},
	{"roles", MODEL_LIST, .max = 1024, .item = MODEL_NAME, .doc = "network roles it has"},
	{"keepalive_s", MODEL_INT, .min = 0, .max = 65535, .doc = "persistent keepalive; 0: off"},
	{"enabled", MODEL_BOOL, .doc = "default true; false: suspended"},
	{"expires_at", MODEL_TIME, .doc = "from then on it is as if it were not there"},
	{"psk_ref", MODEL_NAME, .doc = "name of the preshared key that the gateway itself holds"},
	{"subject", MODEL_TEXT, .min = 1, .max = 255, .doc = "whose it is"},
	{"old_key", MODEL_KEY, .doc = "its key before the present one"},
	{"old_key_until", MODEL_TIME, .doc = "the old key works until then"},
	{"subnet_router", MODEL_BOOL,
	 .doc = "an agent that routes for its whole network; default false"},
	{"endpoint", MODEL_ENDPOINT,
	 .doc = "where the gateway finds it, if it does not call first"},
	DESCRIPTION,
	END,
};

static const struct model_field policy_fields[] = {
	{"version", MODEL_INT, true, 0, UINT32_MAX, .doc = "grows with every document"},
	END,
};

static const char *const zone_types[] = {"internal", "vpn", "external", NULL};
static const char *const actions[] = {"allow", "deny", NULL};

static const struct model_field zone_fields[] = {
	{"id", MODEL_INT, true, 1, SL_POL_ID_MAX, .doc = "differs from all other zones'"},
	{"type", MODEL_WORD, .words = zone_types, .doc = "default external"},
	{"networks", MODEL_LIST, true, .item = MODEL_PREFIX, .doc = "PREFIX or PREFIX@INTERFACE"},
	{"default_policy", MODEL_WORD, .words = actions, .doc = "default deny"},
	END,
};

static const struct model_field target_fields[] = {
	{"addresses", MODEL_LIST, true, .item = MODEL_PREFIX, .doc = "PREFIX or PREFIX@INTERFACE"},
	DESCRIPTION,
	/* does not restrict who may reach what: a gateway that does not know it judges as before */
	{"withdrawn", MODEL_BOOL,
	 .doc = "true: the ledger has withdrawn it, tunnels do not lead there; set by the ledger "
		"alone, else left out",
	 .since = 2},
	END,
};

static const char *const when_down[] = {"serve", "deny", NULL};

static const struct model_field role_fields[] = {
	{"id", MODEL_INT, .min = 1, .max = SL_POL_ID_MAX, .doc = "differs from all other roles'"},
	DESCRIPTION,
	{"on_idp_down", MODEL_WORD, .words = when_down,
	 .doc = "members from a silent provider past their expiry: serve them on or not"},
	{"members", MODEL_LIST, .item = MODEL_MEMBER, .doc = "its static members"},
	END,
};

static const struct model_field rule_fields[] = {
	{"id", MODEL_INT, true, 1, SL_POL_ID_MAX, .doc = "as in the object's id"},
	{"role", MODEL_NAME, true, .doc = "as in the object's id"},
	{"src", MODEL_LIST, .item = MODEL_PREFIX, .doc = "only these sources"},
	{"to", MODEL_LIST, true, .item = MODEL_TEXT, .doc = "target names, prefixes, *"},
	{"protocol", MODEL_FREE, true, .doc = "tcp, udp, icmp, icmpv6, any or a number"},
	{"ports", MODEL_FREE, .doc = "list of numbers and FIRST-LAST, or any"},
	{"action", MODEL_WORD, true, .words = actions, .doc = "its vote"},
	{"priority", MODEL_INT, .min = 0, .max = 255, .doc = "lower goes first; default 128"},
	{"bidirectional", MODEL_BOOL, .doc = "also mirrored; default false"},
	/* without it: all is recorded */
	{"log", MODEL_FREE,
	 .doc = "are its flows recorded? true, false or sample:1/N; default true", .text_since = 2},
	{"enabled", MODEL_BOOL, .doc = "default true"},
	{"not_before", MODEL_TIME, .doc = "it does not hold before"},
	{"expires", MODEL_TIME, .doc = "it does not hold from then on"},
	DESCRIPTION,
	END,
};

static const char *const sources[] = {"idp", "dynamic", NULL};

static const struct model_field source_fields[] = {
	{"type", MODEL_WORD, true, .words = sources, .doc = "idp or dynamic"},
	{"provider", MODEL_NAME, .doc = "which identity provider says so; with idp, then needed"},
	{"user", MODEL_TEXT, .max = 1024, .doc = "of whom it says so; with idp, then needed"},
	{"reason", MODEL_TEXT, .max = 1024, .doc = "why; with dynamic, then needed"},
	END,
};

static const struct model_field role_map_fields[] = {
	{"role", MODEL_NAME, true, .doc = "as in the id"},
	{"member", MODEL_MEMBER, true,
	 .doc = "as in the id: PREFIX@INTERFACE, PREFIX@*, peer:NAME or peer:NAME@INTERFACE"},
	{"interface", MODEL_TEXT, true, .max = 15,
	 .doc = "the interface of the member; * with PREFIX@*, for sources that no tunnel owns"},
	{"expires_at", MODEL_TIME,
	 .doc = "from then on it is as if it were not there, unless the "
		"provider is down and the role serves on"},
	{"source", MODEL_OBJECT, true, .fields = source_fields, .doc = "where it comes from"},
	END,
};

static const char *const provider_states[] = {"up", "down", NULL};

static const struct model_field provider_fields[] = {
	{"state", MODEL_WORD, true, .words = provider_states, .doc = "does it answer?"},
	{"since", MODEL_TIME, .doc = "the state holds since then"},
	END,
};

static const struct model_field crl_fields[] = {
	{"until", MODEL_TIME, .doc = "when what is revoked would have ended by itself"},
	{"reason", MODEL_TEXT, .max = 255, .doc = "for people"},
	END,
};

static const struct model_field policy_text_fields[] = {
	{"text", MODEL_DOCUMENT, true, 1, SL_POLICY_DOC_MAX,
	 .doc = "the document with its comments"},
	{"actor", MODEL_TEXT, .max = 255, .doc = "who put it"},
	{"comment", MODEL_TEXT, .max = 1024, .doc = "why"},
	{"at", MODEL_TIME, .doc = "when"},
	END,
};

static const char *const service_roles[] = {"admin",	"operator", "approver", "auditor", "viewer",
					    "follower", "gateway",  "agent",	"peer",	   NULL};

static const struct model_field token_fields[] = {
	{"hash", MODEL_HASH, true,
	 .doc = "keyed hash of what only its holder knows, 64 hex digits"},
	{"roles", MODEL_LIST, true, 1, 16, .words = service_roles, .item = MODEL_WORD,
	 .doc = "service roles"},
	{"bound", MODEL_NODE, .doc = "the gateway, follower, agent or peer it speaks for"},
	{"expires_at", MODEL_TIME, .doc = "none: never"},
	{"source", MODEL_PREFIX, .doc = "it is taken from there alone"},
	{"created_at", MODEL_TIME, .doc = "when it was made"},
	{"created_by", MODEL_TEXT, .max = 255, .doc = "who made it"},
	DESCRIPTION,
	END,
};

static const struct model_field allocation_fields[] = {
	{"peer", MODEL_NODE, true, .doc = "who has the address"},
	END,
};

static const struct model_field pool_fields[] = {
	{"prefixes", MODEL_LIST, true, 1, 256, .item = MODEL_PREFIX, .doc = "what it gives from"},
	{"prefix_len", MODEL_INT, true, 1, 128, .doc = "length of what it gives"},
	{"reserved", MODEL_LIST, .max = 256, .item = MODEL_PREFIX, .doc = "what it never gives"},
	DESCRIPTION,
	END,
};

static const char *const target_states[] = {"vpn", "pilot", "observed", "enforced", "done", NULL};

static const struct model_field migration_fields[] = {
	{"phase", MODEL_INT, .min = 0, .max = 5, .doc = "of the deployment: 0, 1 or 5"},
	{"major", MODEL_LIST, .max = 1024, .item = MODEL_NAME,
	 .doc = "of the deployment: the targets that count"},
	{"state", MODEL_WORD, .words = target_states, .doc = "of a target"},
	{"since", MODEL_TIME, .doc = "of a target: the state holds since then"},
	{"distribute", MODEL_LIST, .max = 1024, .item = MODEL_TEXT,
	 .doc = "of a target: who gets the route"},
	{"baseline", MODEL_FREE_OBJECT, .doc = "of a target: how it was before it was observed"},
	{"history", MODEL_FREE_LIST, .doc = "of a target: what it went through"},
	END,
};

static const struct model_field setting_fields[] = {
	{"value", MODEL_FREE, true, .doc = "whatever the setting takes"},
	END,
};

#define KEY "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="
#define HEX64 "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct model_kind kinds[SL_KIND_N] = {
	[SL_KIND_INTERFACE] =
		{"interface", SL_SCOPE_INTERFACE, .fields = interface_fields,
		 .id = model_id_interface, .also = model_also_interface,
		 .doc = "A WireGuard interface, the same on all gateways that serve it.",
		 .id_doc = "its name: 1 to 15 characters of A-Z a-z 0-9 _ . -", .example_id = "wg0",
		 .example = "{\"listen_port\": 51820, \"mtu\": 1420, \"isolation\": true}"},
	[SL_KIND_GATEWAY] =
		{"gateway", SL_SCOPE_GATEWAY, .fields = gateway_fields, .id = model_id_node,
		 .doc = "A gateway and what it serves.",
		 .id_doc = "its name: 1 to 63 characters of a-z 0-9 -, no - at either end",
		 .example_id = "gw-tyo-1",
		 .example = "{\"interfaces\": [\"wg0\"], \"region\": \"Tokyo\"}"},
	[SL_KIND_GATEWAY_INTERFACE] =
		{"gateway_interface", SL_SCOPE_GATEWAY, .fields = gateway_interface_fields,
		 .id = model_id_gateway_interface, .also = model_also_gateway_interface,
		 .doc = "What an interface has at one gateway alone.",
		 .id_doc = "GATEWAY:INTERFACE", .example_id = "gw-tyo-1:wg0",
		 .example =
			 "{\"gateway\": \"gw-tyo-1\", \"interface\": \"wg0\", \"public_key\": "
			 "\"" KEY "\", \"endpoint\": \"vpn.example.com:51820\", \"index\": 1, "
			 "\"addresses\": [\"10.7.0.1/24\"], \"client_pool\": [\"10.7.0.0/24\"]}"},
	[SL_KIND_PEER] =
		{"peer", SL_SCOPE_INTERFACE, true, .fields = peer_fields, .id = model_id_node,
		 .also = model_also_peer,
		 .doc = "Somebody who may connect to an interface, at all gateways that serve it.",
		 .id_doc = "its name: 1 to 63 characters of a-z 0-9 -, no - at either end",
		 .example_id = "alice",
		 .example = "{\"interface\": \"wg0\", \"public_key\": \"" KEY
			    "\", \"addresses\": {\"gw-tyo-1\": [\"10.7.0.2/32\"]}, \"roles\": "
			    "[\"staff\"], \"expires_at\": \"2027-01-31T00:00:00Z\"}"},
	[SL_KIND_POLICY] = {"policy", SL_SCOPE_GATEWAYS, .fields = policy_fields,
			    .id = model_id_policy,
			    .doc = "The version of the policy document; zones, targets, roles and "
				   "rules are its "
				   "parts.",
			    .id_doc = "always \"policy\"", .example_id = "policy",
			    .example = "{\"version\": 58}"},
	[SL_KIND_ZONE] = {"zone", SL_SCOPE_GATEWAYS, false, true, .fields = zone_fields,
			  .id = model_id_name,
			  .doc = "A zone of the policy document, or agent-networks, which the "
				 "control plane makes of the networks that agents have.",
			  .id_doc = "its name", .example_id = "office",
			  .example = "{\"id\": 2, \"type\": \"internal\", \"networks\": "
				     "[\"192.168.1.0/24\"]}"},
	[SL_KIND_TARGET] = {"target", SL_SCOPE_GATEWAYS, false, true, .fields = target_fields,
			    .id = model_id_name, .doc = "A target of the policy document.",
			    .id_doc = "its name", .example_id = "db",
			    .example = "{\"addresses\": [\"10.20.0.10/32\"]}"},
	[SL_KIND_ROLE] =
		{"role", SL_SCOPE_GATEWAYS, true, true, .fields = role_fields, .id = model_id_name,
		 .doc = "A network role of the policy document with its static members.",
		 .id_doc = "its name", .example_id = "staff",
		 .example = "{\"id\": 1, \"members\": [\"peer:alice\", \"10.7.1.0/24@wg0\"]}"},
	[SL_KIND_RULE] =
		{"rule", SL_SCOPE_GATEWAYS, true, true, .fields = rule_fields, .id = model_id_rule,
		 .also = model_also_rule, .doc = "A rule of the policy document.",
		 .id_doc = "ROLE/ID", .example_id = "staff/1",
		 .example = "{\"id\": 1, \"role\": \"staff\", \"to\": [\"db\"], \"protocol\": "
			    "\"tcp\", \"ports\": [5432], \"action\": \"allow\"}"},
	[SL_KIND_ROLE_MAP] =
		{"role_map", SL_SCOPE_INTERFACE, true, .fields = role_map_fields,
		 .id = model_id_role_map, .also = model_also_role_map,
		 .doc = "Somebody has a role beyond the document: an identity provider or "
			"a person says so. One that names the interface * goes to every "
			"gateway. REST shows its `state` beside these fields: `active`, or "
			"`expired` by its `expires_at` and the server's clock. Whether a "
			"gateway has it in force, has not met its peer yet (`pending`) or "
			"serves it on while its provider is down (`stale`), that gateway "
			"tells: `role.members`.",
		 .id_doc = "ROLE:MEMBER", .example_id = "staff:peer:alice",
		 .example = "{\"role\": \"staff\", \"member\": \"peer:alice\", \"interface\": "
			    "\"wg0\", \"expires_at\": \"2027-01-31T17:00:00Z\", \"source\": "
			    "{\"type\": \"idp\", \"provider\": \"corp\", \"user\": \"u-17\"}}"},
	[SL_KIND_PROVIDER] = {"provider", SL_SCOPE_GATEWAYS, .fields = provider_fields,
			      .id = model_id_name, .doc = "Does an identity provider answer?",
			      .id_doc = "its name", .example_id = "corp",
			      .example =
				      "{\"state\": \"down\", \"since\": \"2026-11-20T09:00:00Z\"}"},
	[SL_KIND_CRL] =
		{"crl", SL_SCOPE_GATEWAYS, .fields = crl_fields, .id = model_id_crl,
		 .doc = "A revoked certificate or token.",
		 .id_doc = "cert:SERIAL (lower-case hex, two digits a byte) or token:ID",
		 .example_id = "cert:1f09c3",
		 .example = "{\"until\": \"2027-06-01T00:00:00Z\", \"reason\": \"laptop lost\"}"},
	[SL_KIND_POLICY_TEXT] =
		{"policy_text", SL_SCOPE_STORES, .fields = policy_text_fields,
		 .id = model_id_version, .doc = "A policy document as it was put.",
		 .id_doc = "its version", .example_id = "58",
		 .example =
			 "{\"text\": \"{\\\"version\\\": 58}\", \"actor\": \"token:0a1B2c3D4e\"}"},
	[SL_KIND_TOKEN] = {"token", SL_SCOPE_STORES, .fields = token_fields, .id = model_id_token,
			   .doc = "A token of the control plane's interfaces.",
			   .id_doc = "10 characters of A-Z a-z 0-9", .example_id = "0a1B2c3D4e",
			   .example = "{\"hash\": \"" HEX64 "\", \"roles\": [\"operator\"]}"},
	[SL_KIND_ALLOCATION] = {"allocation", SL_SCOPE_STORES, .fields = allocation_fields,
				.id = model_id_allocation,
				.doc = "An address that is given to a peer.",
				.id_doc = "GATEWAY:INTERFACE:ADDRESS",
				.example_id = "gw-tyo-1:wg0:10.7.0.2",
				.example = "{\"peer\": \"alice\"}"},
	[SL_KIND_POOL] = {"pool", SL_SCOPE_STORES, .fields = pool_fields, .id = model_id_name,
			  .also = model_also_pool, .doc = "Where prefixes are given from.",
			  .id_doc = "its name", .example_id = "agents",
			  .example = "{\"prefixes\": [\"10.16.0.0/12\"], \"prefix_len\": 24}"},
	[SL_KIND_MIGRATION] =
		{"migration", SL_SCOPE_STORES, .fields = migration_fields, .id = model_id_migration,
		 .also = model_also_migration,
		 .doc = "How far the move from the former VPN is: of the deployment, of a target.",
		 .id_doc = "deployment or target:NAME", .example_id = "target:db",
		 .example = "{\"state\": \"pilot\", \"since\": \"2026-11-20T09:00:00Z\"}"},
	[SL_KIND_SETTING] = {"setting", SL_SCOPE_STORES, .fields = setting_fields,
			     .id = model_id_setting,
			     .doc = "A setting of the control plane. REST shows its `default` and "
				    "whether it is `set` beside these fields.",
			     .id_doc = "its name: 1 to 63 characters of a-z 0-9 _, a letter first",
			     .example_id = "flow_days", .example = "{\"value\": 90}"},
};

const struct model_kind *
model_kind(enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N ? &kinds[k] : NULL;
}

const struct model_field *
model_field(const struct model_field *fields, const char *name)
{
	for (; fields->name != NULL; fields++) {
		if (strcmp(fields->name, name) == 0)
			return fields;
	}
	return NULL;
}

const char *
model_json_type(enum model_type t)
{
	switch (t) {
	case MODEL_BOOL:
		return "boolean";
	case MODEL_INT:
		return "integer";
	case MODEL_LIST:
	case MODEL_FREE_LIST:
		return "array";
	case MODEL_PREFIXES:
	case MODEL_OBJECT:
	case MODEL_FREE_OBJECT:
		return "object";
	case MODEL_FREE:
		return "any";
	default:
		return "string";
	}
}

const char *
sl_kind_name(enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N ? kinds[k].name : "";
}

int
sl_kind_parse(const char *name, enum sl_kind *out)
{
	for (unsigned k = 0; k < SL_KIND_N; k++) {
		if (strcmp(kinds[k].name, name) != 0)
			continue;
		*out = (enum sl_kind)k;
		return 0;
	}
	return -EINVAL;
}

enum sl_scope
sl_kind_scope(enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N ? kinds[k].scope : SL_SCOPE_STORES;
}

bool
sl_kind_is_strict(enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N && kinds[k].strict;
}

bool
sl_kind_is_policy(enum sl_kind k)
{
	return (unsigned)k < SL_KIND_N && kinds[k].policy;
}

void
sl_kind_fields(enum sl_kind k,
	       void (*fn)(void *ctx, const char *name, const char *type, bool required), void *ctx)
{
	if ((unsigned)k >= SL_KIND_N)
		return;
	for (const struct model_field *f = kinds[k].fields; f->name != NULL; f++)
		fn(ctx, f->name, model_json_type(f->type), f->required);
}
