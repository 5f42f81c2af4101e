/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands for the control plane. */
#include "control.h"

#include <stdio.h>

#include "sl_json.h"

/* clang-format off */
const struct control_verb control_verbs[] = {
	{"peers", "listPeers", {"interface"}, NULL, "[INTERFACE]", "peers", false, NULL},
	{"peer show", "getPeer", {"name"}, NULL, "NAME", "one of them", false, NULL},
	{"peer stats", "getPeerStats", {"name"}, NULL, "NAME", "its handshakes and traffic, by gateway", false, NULL},
	{"peer add", "createPeer", {"name", "interface", "public_key"}, NULL, "NAME INTERFACE KEY|--new-key [KEY=VALUE...] [--out FILE] [--qr]", "create one; --new-key: make its keys here", false, newpeer_command},
	{"peer set", "patchPeer", {"name"}, NULL, "NAME KEY=VALUE... [if-version=N]", "change one", false, NULL},
	{"peer remove", "deletePeer", {"name"}, NULL, "NAME", "remove one; its flows end at once", false, NULL},
	{"peer suspend", "putPeerEnabled", {"name"}, "enabled=no", "NAME", "it may not pass until resumed", false, NULL},
	{"peer resume", "putPeerEnabled", {"name"}, "enabled=yes", "NAME", "it may pass again", false, NULL},
	{"peer key", "putPeerPublicKey", {"name", "public_key"}, NULL, "NAME KEY [overlap_s=N]", "replace its public key", false, NULL},
	{"peer config", "getPeerConfig", {"name"}, NULL, "NAME [gateway=NAME]", "the file that its client needs, but for its private key", false, peer_config_command},
	{"import", "createPeer", {0}, NULL, "FILE interface=NAME [--dry-run]", "peers of a wg0.conf or a CSV table", false, import_command},
	{"interfaces", "listInterfaces", {0}, NULL, "", "VPN networks", false, NULL},
	{"interface show", "getInterface", {"name"}, NULL, "NAME", "one of them", false, NULL},
	{"interface add", "createInterface", {"name"}, NULL, "NAME [KEY=VALUE...]", "create one", false, NULL},
	{"interface set", "patchInterface", {"name"}, NULL, "NAME KEY=VALUE...", "change one", false, NULL},
	{"interface remove", "deleteInterface", {"name"}, NULL, "NAME", "remove one", false, NULL},
	{"gateways", "listGateways", {0}, NULL, "", "gateways", false, NULL},
	{"gateway show", "getGateway", {"name"}, NULL, "NAME", "one of them", false, NULL},
	{"gateway add", "createGateway", {"name"}, NULL, "NAME interfaces=A,B", "create one", false, NULL},
	{"gateway set", "patchGateway", {"name"}, NULL, "NAME KEY=VALUE...", "change one", false, NULL},
	{"gateway remove", "deleteGateway", {"name"}, NULL, "NAME", "remove one", false, NULL},
	{"gateway status", "getGatewayStatus", {"name"}, NULL, "NAME", "what it serves, and how far it is behind", false, NULL},
	{"gateway decommission", "decommissionGateway", {"name"}, NULL, "NAME [reason=TEXT] [certificates=SERIAL,...] [--dry-run]", "revoke and remove it", false, NULL},
	{"endpoints", "listGatewayInterfaces", {"gateway"}, NULL, "[GATEWAY]", "interfaces of gateways: keys, endpoints, pools", false, NULL},
	{"endpoint show", "getGatewayInterface", {"name"}, NULL, "GATEWAY:INTERFACE", "one of them", false, NULL},
	{"endpoint add", "createGatewayInterface", {"name", "gateway", "interface"}, NULL, "GATEWAY:INTERFACE GATEWAY INTERFACE [KEY=VALUE...]", "create one: endpoint=198.51.100.1:51820", false, NULL},
	{"endpoint set", "patchGatewayInterface", {"name"}, NULL, "GATEWAY:INTERFACE KEY=VALUE...", "change one", false, NULL},
	{"endpoint remove", "deleteGatewayInterface", {"name"}, NULL, "GATEWAY:INTERFACE", "remove one", false, NULL},
	{"routes", "listGatewayInterfaces", {0}, NULL, "", "which pools the private servers' routers send to which gateway", false, routes_command},
	{"roles", "listRoles", {0}, NULL, "", "network roles of the policy", false, NULL},
	{"rules", "listRules", {0}, NULL, "", "rules of the policy", false, NULL},
	{"targets", "listTargets", {0}, NULL, "", "targets of the policy", false, NULL},
	{"zones", "listZones", {0}, NULL, "", "zones of the policy", false, NULL},
	{"role-maps", "listRoleMaps", {0}, NULL, "", "roles given beside the policy", false, NULL},
	{"role-map add", "createRoleMap", {0}, NULL, "ROLE MEMBER INTERFACE reason=TEXT [expires_at=TIME]", "give one: staff peer:alice wg0 reason=CHG-12", false, role_map_command},
	{"role-map remove", "deleteRoleMap", {"name"}, NULL, "ROLE:MEMBER", "take it back", false, NULL},
	{"providers", "listProviders", {0}, NULL, "", "identity providers", false, NULL},
	{"pools", "listPools", {0}, NULL, "", "address pools", false, NULL},
	{"pool add", "createPool", {"name", "prefixes", "prefix_len"}, NULL, "NAME PREFIXES LENGTH", "create one: agents 10.1.0.0/16,10.2.0.0/16 24", false, NULL},
	{"pool remove", "deletePool", {"name"}, NULL, "NAME", "remove one", false, NULL},
	{"allocations", "listAllocations", {0}, NULL, "", "addresses given out", false, NULL},
	{"allocation add", "createAllocation", {"peer"}, NULL, "PEER", "an address at each gateway where it has none", false, NULL},
	{"allocation remove", "deleteAllocation", {"name"}, NULL, "GATEWAY:INTERFACE:ADDRESS", "release one", false, NULL},
	{"policy show", "getPolicy", {0}, NULL, "[raw=yes]", "the document in force", false, NULL},
	{"policy put", "putPolicy", {0}, NULL, "FILE [comment=TEXT] [if-version=N] [--dry-run]", "put a document into force everywhere", true, NULL},
	{"policy validate", "validatePolicy", {0}, NULL, "FILE", "check one and run its tests, without that", true, NULL},
	{"policy test", "testPolicy", {0}, NULL, "", "run the tests of the document in force", false, NULL},
	{"policy simulate", "simulatePolicy", {0}, NULL, "FILE", "a question in JSON: {subject, dst, proto, dport}, or {subject, from: inside, src, ...}", true, NULL},
	{"policy versions", "listPolicyVersions", {0}, NULL, "", "documents that were in force", false, NULL},
	{"policy rollback", "rollbackPolicy", {"version"}, NULL, "VERSION", "put an older one into force", false, NULL},
	{"tokens", "listTokens", {0}, NULL, "", "tokens, never their secrets", false, NULL},
	{"token create", "createToken", {"roles"}, NULL, "ROLE[,ROLE] [bound=NAME] [expires-in-s=N]", "make one; it is shown once", false, NULL},
	{"token revoke", "deleteToken", {"id"}, NULL, "ID", "revoke one", false, NULL},
	{"revocations", "listRevocations", {0}, NULL, "", "certificates and tokens that were revoked", false, NULL},
	{"revoke", "putRevocation", {"name"}, NULL, "cert:SERIAL [reason=TEXT]", "end a certificate, for good", false, NULL},
	{"replication", "getReplication", {0}, NULL, "", "who follows, and how far", false, NULL},
	{"events", "streamEvents", {0}, NULL, "", "changes as they are made, until it is interrupted", false, NULL},
	{"wait", "waitApplied", {"seq", "gateways", "timeout"}, NULL, "SEQ [GATEWAYS] [TIMEOUT]", "until gateways have applied it", false, NULL},
	{"backup", "createBackup", {0}, NULL, "", "a backup in the server's state directory", false, NULL},
	{"blocked", "listBlocked", {0}, NULL, "", "what a restore brought back, and gateways block", false, NULL},
	{"blocked confirm", "confirmBlocked", {"objects"}, NULL, "KIND/ID,...|--all [--dry-run]", "put these anew, or whatever is blocked by now: it may come back", false, NULL},
	{"audit", "listAudit", {0}, NULL, "[actor=NAME]", "who changed what", false, NULL},
	{"audit key", "getAuditKey", {0}, NULL, "", "the key that signs the audit: keep it elsewhere", false, NULL},
	{"audit export", "exportAudit", {0}, NULL, "[--out FILE] [since=ROW|TIME] [until=ROW|TIME]", "rows as lines of JSON, which audit verify FILE checks", false, audit_export_command},
	{"audit verify", "listAudit", {0}, NULL, "[--key FILE|BASE64]... [--kept FILE]...", "are all rows there, and as they were written?", false, audit_rows_command},
	{"sessions", "listSessions", {"peer"}, NULL, "[PEER] [open=yes]", "user sessions", false, NULL},
	{"usage", "getPeerUsage", {"name"}, NULL, "PEER [days=N]", "its bytes by the hour", false, NULL},
	{"unused", "listUnusedPeers", {"days"}, NULL, "[DAYS]", "peers that nobody uses", false, NULL},
	{"flows", "listFlows", {"peer"}, NULL, "[PEER] [target=NAME|PREFIX] [gateway=NAME] [verdict=allow|deny] [would=allow|deny] [since=TIME] [until=TIME]", "flows that gateways told of; of the last 24 h", false, flows_command},
	{"would-deny", "getWouldDeny", {"target"}, NULL, "[TARGET|PREFIX] [window-s=N]", "flows on any gateway that policy would deny", false, would_deny_command},
	{"policy replay", "replayPolicy", {0}, NULL, "FILE [target=NAME] [window-s=N]", "what a candidate would change for observed flows", false, replay_command},
	{"policy suggest", "suggestPolicy", {"target"}, NULL, "[TARGET|PREFIX] [window-s=N] [min-flows=N] [--candidate]", "rules for observed flows that would be denied; --candidate: the document", false, suggest_command},
	{"migration status", "getMigration", {0}, NULL, "", "the move from the old VPN", false, migration_command},
	{"migration show", "getMigrationTarget", {"name"}, NULL, "TARGET", "one target of it", false, NULL},
	{"migration phase", "putMigrationDeployment", {"phase"}, NULL, "0|1|5 [major=A,B] [force=yes]", "enter a phase", false, NULL},
	{"migration advance", "advanceMigration", {"name", "to"}, NULL, "TARGET pilot|observed|done [force=yes]", "the next step of a target", false, NULL},
	{"migration withdraw", "withdrawMigration", {"name"}, NULL, "TARGET [comment=TEXT]", "back to the old VPN", false, withdraw_command},
	{"migration distribute", "putMigrationDistribution", {"name", "distribute"}, NULL, "TARGET *|peer:NAME,role:NAME", "who gets the route", false, NULL},
	{"migration check", "listGatewayInterfaces", {0}, NULL, "[--vpn DEVICE]", "no tunnel in a tunnel on the way from here?", false, double_tunnel_command},
	{"metrics", "getMetrics", {0}, NULL, "", "of the control plane", false, NULL},
	{"settings", "listSettings", {0}, NULL, "", "settings", false, NULL},
	{"setting set", "putSetting", {"name", "value"}, NULL, "NAME VALUE", "change one", false, NULL},
	{"setting reset", "deleteSetting", {"name"}, NULL, "NAME", "back to the default", false, NULL},
	{"version", "getVersion", {0}, NULL, "", "of the control plane", false, NULL},
	{"whoami", "getMe", {0}, NULL, "", "as whom you are logged in", false, NULL},
};
/* clang-format on */
const unsigned n_control_verbs = SL_ARRAY_SIZE(control_verbs);

static const struct control_verb *
verb_find(int argc, char **argv, int *taken)
{
	const struct control_verb *best = NULL;

	*taken = 0;
	for (unsigned i = 0; i < n_control_verbs; i++) {
		int n = words_match(control_verbs[i].words, argc, argv);

		if (n > *taken) {
			best = &control_verbs[i];
			*taken = n;
		}
	}
	return best;
}

/** A document is JSON for people, too: they put it back when they have changed it. */
static bool
is_document(const struct op *op)
{
	return strcmp(op->id, "getPolicy") == 0 || strcmp(op->id, "getPolicyVersion") == 0;
}

/** An answer that is shown while it comes. */
static bool
goes_on(const struct op *op)
{
	return strcmp(op->id, "streamEvents") == 0 || strcmp(op->id, "exportAudit") == 0;
}

/** A wait that ended too early is none for a script: it goes on after status 0. */
static int
waited(const struct op *op, const struct rest_answer *a, struct sl_error *e)
{
	const json_t *first = json_array_get(json_object_get(a->json, "missing"), 0);

	if (strcmp(op->id, "waitApplied") != 0 || json_is_true(json_object_get(a->json, "all")))
		return EXIT_OK;
	sl_fail(e, -ETIMEDOUT, "not_applied", "", "gateway \"%s\" has not applied it (%s)",
		sl_json_text(first, "gateway"), sl_json_text(first, "reason"));
	sl_hint(e,
		"sluicectl --control URL replication tells why; wait longer with timeout=SECONDS");
	return EXIT_FAILED;
}

static int
ask_and_show(struct rest *r, const struct op *op, const struct control_verb *v, int argc,
	     char **argv, bool json, struct sl_error *e)
{
	struct rest_answer a = {0};
	struct control_request q;
	int rc = control_parse(&q, op, v, argc, argv, e);

	if (goes_on(op)) {
		setvbuf(stdout, NULL, _IOLBF, 0);
		q.to = stdout;
	}
	if (rc == 0)
		rc = control_ask(r, &q, &a, e);
	else
		rc = EXIT_USAGE;
	if (rc == 0 && !q.to)
		rc = control_tell(&a, json || (a.json && is_document(op)));
	if (rc == 0)
		rc = waited(op, &a, e);
	rest_answer_free(&a);
	control_request_free(&q);
	return rc;
}

static void
unknown(int argc, char **argv, struct sl_error *e)
{
	struct near n = {0};

	for (unsigned i = 0; i < n_control_verbs; i++)
		near_add(&n, control_verbs[i].words, argv[0]);
	near_fail(&n, argc, argv, "operation", "sluicectl --control URL help", e);
	if (request_knows(argc, argv))
		sl_hint(e, "that is asked of a gateway: without SLUICE_CONTROL, or with -s, "
			   "--instance or --tls");
}

int
control_knows(int argc, char **argv)
{
	int taken;

	return verb_find(argc, argv, &taken) ? taken : op_find(argv[0]) != NULL;
}

int
control_command(const struct rest_conf *conf, int argc, char **argv, bool json, struct sl_error *e)
{
	int taken, rc;
	const struct control_verb *v = verb_find(argc, argv, &taken);
	const struct op *op = v ? op_find(v->op) : op_find(argv[0]);
	struct rest *r;

	taken = v ? taken : 1;
	if (!op) {
		unknown(argc, argv, e);
		return EXIT_USAGE;
	}
	r = rest_open(conf, e);
	if (!r)
		return EXIT_USAGE;
	rc = v && v->run ? v->run(r, argc - taken, argv + taken, json, e)
			 : ask_and_show(r, op, v, argc - taken, argv + taken, json, e);
	rest_close(r);
	return rc;
}

void
control_help(void)
{
	char left[120];

	puts("Usage: sluicectl --control URL [--ca FILE] [--token-file FILE | --cert FILE --key "
	     "FILE] [-j] COMMAND\n"
	     "       sluicectl --control URL OPERATION [KEY=VALUE...]\n"
	     "       sluicectl --control URL help [COMMAND | OPERATION]\n"
	     "\n"
	     "URL: https://HOST:7443, or SLUICE_CONTROL. A token may also be named by "
	     "SLUICE_TOKEN_FILE.\n"
	     "\nCommands:");
	for (unsigned i = 0; i < n_control_verbs; i++) {
		snprintf(left, sizeof(left), "%s %s", control_verbs[i].words,
			 control_verbs[i].syntax);
		printf("  %-48s %s\n", left, control_verbs[i].help);
	}
	puts("\nOperations (docs/rest.md):");
	for (unsigned i = 0; i < n_ops; i++)
		printf("  %-24s %s\n", ops[i].id, ops[i].summary);
	puts("\nExit status: 0 done, 1 refused, 2 wrong usage, 3 audit verify: whole, but "
	     "not all vouched for, 4 no answer, 5 not found, "
	     "6 conflict: exists already, in use, or changed meanwhile.");
}

static void
help_op(const struct op *op)
{
	printf("%s: %s %s\n  %s\n  Roles: %s.\n", op->id, op->method, op->path, op->summary,
	       op->roles);
	for (unsigned i = 0; i < op->n_fields; i++)
		printf("  %s=%s%s\n      %s\n", op->fields[i].name,
		       (const char *[]){"text", "number", "yes|no", "a,b,...",
					"JSON"}[op->fields[i].type],
		       op->fields[i].required ? " (required)" : "", op->fields[i].doc);
	if (op->if_match)
		puts("  if-version=number\n      only if that version of the policy, that rev of "
		     "the "
		     "peer is there still");
}

int
control_help_about(int argc, char **argv)
{
	int taken;
	const struct control_verb *v = verb_find(argc, argv, &taken);
	const struct op *op = op_find(v ? v->op : argv[0]);
	struct sl_error e;

	if (!op) {
		unknown(argc, argv, &e);
		tell_error(&e);
		return EXIT_USAGE;
	}
	if (v)
		printf("sluicectl --control URL %s %s\n  %s\n\nAsks ", v->words, v->syntax,
		       v->help);
	help_op(op);
	return EXIT_OK;
}
