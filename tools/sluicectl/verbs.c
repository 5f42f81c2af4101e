/* SPDX-License-Identifier: BSD-3-Clause */
/* Words for people, each of which stands for one method. */
#include "args.h"

#include <stdio.h>
#include <stdlib.h>

#include "control.h"
#include "sl_schema_gateway.h"
#include "sluicectl.h"

#define MODE_GET "authz.mode.get"
#define DOCUMENT_MAX (64U << 20) /* SL_POLICY_DOC_MAX: a gateway takes none that is larger */

/* clang-format off */
const struct verb verbs[] = {
	{"health", "sys.health", {0}, NULL, NULL, NULL, NULL, "", "what is wrong"},
	{"interfaces", "interface.list", {0}, NULL, NULL, NULL, NULL, "", "VPN networks"},
	{"interface show", "interface.get", {"interface"}, NULL, NULL, NULL, NULL, "NAME", "one of them"},
	{"interface set", "interface.set", {"interface"}, NULL, NULL, NULL, NULL, "NAME [KEY=VALUE...]", "create or change one"},
	{"interface remove", "interface.remove", {"interface"}, NULL, NULL, NULL, NULL, "NAME", "remove one with its peers"},
	{"peers", "peer.list", {"interface"}, NULL, NULL, NULL, NULL, "[INTERFACE]", "peers, their traffic and handshakes"},
	{"peer show", "peer.get", {"interface", "peer"}, NULL, NULL, NULL, NULL, "INTERFACE PEER", "one of them"},
	{"peer add", "peer.add", {"interface", "public_key"}, NULL, NULL, NULL, NULL, "INTERFACE KEY [KEY=VALUE...]", "create one: allowed-ips=10.7.0.3/32 name=bob"},
	{"peer set", "peer.set", {"interface", "public_key"}, NULL, NULL, NULL, NULL, "INTERFACE KEY [KEY=VALUE...]", "create or change one"},
	{"peer remove", "peer.remove", {"interface", "peer"}, NULL, NULL, NULL, NULL, "INTERFACE PEER", "remove one"},
	{"peer kick", "peer.kick", {"interface", "peer"}, NULL, NULL, NULL, NULL, "INTERFACE PEER", "forget its session"},
	{"sessions", "session.list", {"interface"}, NULL, NULL, NULL, NULL, "[INTERFACE]", "keypairs of peers"},
	{"ports", "port.list", {0}, NULL, NULL, NULL, NULL, "", "devices, links, addresses"},
	{"ports stats", "port.stats", {"port"}, NULL, NULL, NULL, NULL, "[PORT]", "their packets and rates"},
	{"routes", "route.list", {0}, NULL, NULL, NULL, NULL, "", "connected and static"},
	{"route add", "route.add", {"prefix"}, NULL, NULL, NULL, NULL, "PREFIX [KEY=VALUE...]", "add one: via=10.20.0.254"},
	{"route remove", "route.remove", {"prefix"}, NULL, NULL, NULL, NULL, "PREFIX [interface=NAME]", "remove one"},
	{"neighbours", "neighbour.list", {0}, NULL, NULL, NULL, NULL, "", "ARP and ND"},
	{"neighbour set", "neighbour.set", {"port", "ip", "mac"}, NULL, NULL, NULL, NULL, "PORT IP MAC", "add a static one"},
	{"neighbour remove", "neighbour.remove", {"port", "ip"}, NULL, NULL, NULL, NULL, "PORT IP", "remove one"},
	{"stats", "stats.get", {0}, NULL, NULL, NULL, NULL, "", "counters, rates, latency, handshakes"},
	{"drops", "drops.get", {0}, NULL, NULL, NULL, NULL, "[all=yes]", "why packets ended"},
	{"lcores", "sys.lcores", {0}, NULL, NULL, NULL, NULL, "", "logical cores and how busy they are"},
	{"memory", "sys.mem", {0}, NULL, NULL, NULL, NULL, "", "packet buffers and key memory"},
	{"version", "sys.version", {0}, NULL, NULL, NULL, NULL, "", "of the gateway and its libraries"},
	{"mode", MODE_GET, {0}, NULL, NULL, NULL, NULL, "", "authz modes"},
	{"mode observe", "authz.mode.set", {0}, "targets", "mode=observe", "default=observe", MODE_GET, "[PREFIX|TARGET...]", "forward and count: all, or these destinations"},
	{"mode enforce", "authz.mode.set", {0}, "targets", "mode=enforce", "default=enforce", MODE_GET, "[PREFIX|TARGET...] [force=yes] [window=S] [confirm-within=S]", "only what policy allows"},
	{"mode default", "authz.mode.set", {0}, "targets", "mode=default", "mode=default", MODE_GET, "PREFIX|TARGET... [force=yes]", "these have no mode of their own any more"},
	{"mode confirm", "authz.mode.confirm", {"confirm_id"}, NULL, NULL, NULL, MODE_GET, "ID", "keep a change that would be taken back"},
	{"mode panic", "authz.mode.set", {"panic"}, NULL, NULL, NULL, MODE_GET, "on|off", "on: observe everything"},
	{"policy status", "policy.status", {0}, NULL, NULL, NULL, NULL, "", "which policy is in force, and its limits"},
	{"policy load", "policy.load", {"text"}, NULL, NULL, NULL, NULL, "FILE [--dry-run]", "put a document into force", true},
	{"policy clear", "policy.clear", {0}, NULL, NULL, NULL, "policy.status", "[force=yes] [if-version=N]", "take it out of force: what is enforced is denied"},
	{"policy validate", "policy.validate", {"text"}, NULL, NULL, NULL, NULL, "FILE", "check, compile and test one without that", true},
	{"policy show", "policy.show", {"part"}, NULL, NULL, NULL, NULL, "[rules|text|document] [role=NAME]", "rules, or the document"},
	{"policy lint", "policy.lint", {0}, NULL, "unmatched=yes", NULL, NULL, "", "what is likely a mistake"},
	{"policy test", "policy.test", {0}, NULL, NULL, NULL, NULL, "", "run the tests of the document"},
	{"policy explain", "policy.explain", {"peer", "dst", "dport"}, NULL, NULL, NULL, NULL, "PEER DST [PORT] [KEY=VALUE...]", "what happens to a flow, and why"},
	{"policy simulate", "policy.simulate", {"text"}, NULL, NULL, NULL, NULL, "[FILE] peer=NAME|roles=ROLE,... dst=ADDRESS [dport=PORT] [at=TIME] [KEY=VALUE...]", "would this be allowed, by that document or the one in force", true},
	{"roles", "role.list", {0}, NULL, NULL, NULL, NULL, "", "roles of the policy"},
	{"role members", "role.members", {"role"}, NULL, NULL, NULL, NULL, "[ROLE]", "who has them"},
	{"role add", "role.member.add", {"role"}, NULL, NULL, NULL, NULL, "ROLE peer=NAME|prefix=PREFIX [KEY=VALUE...]", "give one, beside the document"},
	{"role remove", "role.member.remove", {"role"}, NULL, NULL, NULL, NULL, "ROLE peer=NAME|prefix=PREFIX [interface=NAME]", "take that back"},
	{"targets", "target.list", {0}, NULL, NULL, NULL, NULL, "", "named addresses of the policy"},
	{"zones", "zone.list", {0}, NULL, NULL, NULL, NULL, "", "zones of the policy"},
	{"audit", "audit.status", {0}, NULL, NULL, NULL, NULL, "", "records of decisions: counts and sinks"},
	{"audit recent", "audit.recent", {"limit", "action"}, NULL, NULL, NULL, NULL, "[N] [ACTION]", "the last of them"},
	{"config show", "config.show", {0}, NULL, NULL, NULL, NULL, "", "the configuration as calls"},
	{"config save", "config.save", {"file"}, NULL, NULL, NULL, NULL, "FILE", "write it on the gateway's host"},
	{"config load", "config.load", {"file"}, NULL, NULL, NULL, NULL, "FILE", "carry a written one out"},
	{"would-deny", "policy.would_deny", {"target"}, NULL, NULL, NULL, NULL, "[TARGET|PREFIX] [window=S]", "observed flows that policy would deny"},
	{"policy replay", "policy.replay", {"text"}, NULL, NULL, NULL, NULL, "FILE [window=S]", "what a candidate would change for observed flows", true},
	{"policy suggest", "policy.suggest", {"target"}, NULL, NULL, NULL, NULL, "[TARGET|PREFIX] [window=S] [min-flows=N] [--candidate]", "rules for observed flows that would be denied; --candidate: the document", false, "candidate"},
	{"evidence", "evidence.status", {0}, NULL, NULL, NULL, NULL, "", "what is kept of observed flows"},
	{"evidence list", "evidence.list", {"target"}, NULL, NULL, NULL, NULL, "[TARGET|PREFIX] [peer=NAME] [window=S]", "observed flows"},
	{"evidence clear", "evidence.clear", {0}, NULL, NULL, NULL, NULL, "", "forget them"},
	{"flow list", "flow.list", {"peer"}, NULL, NULL, NULL, NULL, "[PEER] [target=TARGET|PREFIX] [src=PREFIX] [verdict=allow|would_deny|deny] [role=NAME] [rule=ROLE/ID] [interface=NAME]", "live flows"},
	{"flow count", "flow.count", {"peer"}, NULL, NULL, NULL, NULL, "[PEER] [KEY=VALUE...]", "how many there are, by verdict"},
	{"log on", "log.enabled.set", {0}, NULL, "enabled=yes", NULL, NULL, "", "write records of flows"},
	{"log off", "log.enabled.set", {0}, NULL, "enabled=no", NULL, NULL, "", "write none"},
	{"log required", "log.required.get", {0}, NULL, NULL, NULL, NULL, "", "targets that nobody reaches while records are lost"},
	{"log require", "log.required.set", {0}, "targets", NULL, NULL, "log.required.get", "PREFIX|TARGET...", "deny these while records are lost, and no others"},
	{"log require-none", "log.required.set", {0}, NULL, "targets=", NULL, "log.required.get", "", "deny none for that"},
	{"log status", "log.enabled.get", {0}, NULL, NULL, NULL, NULL, "", "whether records are written"},
	{"log", "sys.log_level.set", {"level"}, NULL, NULL, NULL, NULL, "LEVEL", "err, warn, notice, info or debug"},
	{"shutdown", "sys.shutdown", {0}, NULL, NULL, NULL, NULL, "", "end the gateway"},
};
/* clang-format on */
const unsigned n_verbs = SL_ARRAY_SIZE(verbs);

int
words_match(const char *words, int argc, char **argv)
{
	const char *space = strchr(words, ' ');
	size_t n = space ? (size_t)(space - words) : strlen(words);

	if (argc < 1 || strlen(argv[0]) != n || strncmp(argv[0], words, n) != 0)
		return 0;
	if (!space)
		return 1;
	return argc >= 2 && strcmp(argv[1], space + 1) == 0 ? 2 : 0;
}

static const struct verb *
find_verb(int argc, char **argv, int *taken)
{
	const struct verb *best = NULL;

	*taken = 0;
	for (unsigned i = 0; i < n_verbs; i++) {
		int n = words_match(verbs[i].words, argc, argv);

		if (n > *taken) {
			best = &verbs[i];
			*taken = n;
		}
	}
	return best;
}

/** NAME=... of a parameter; a key, which ends with '=', is none. */
static bool
is_assignment(const struct sl_schema_method *m, const char *arg)
{
	size_t n = strcspn(arg, "=.");

	for (unsigned i = 0; arg[n] && i < m->n_params; i++) {
		const char *name = m->params[i].name;
		size_t k = 0;

		while (k < n && name[k] && (name[k] == arg[k] || (name[k] == '_' && arg[k] == '-')))
			k++;
		if (k == n && !name[k])
			return true;
	}
	return false;
}

/** "window=60" for window_s: seconds go without saying. @return the text to be parsed */
static const char *
with_unit(const struct sl_schema_method *m, const char *arg, char *buf, size_t size)
{
	size_t n = strcspn(arg, "=");

	if (!arg[n] || is_assignment(m, arg))
		return arg;
	snprintf(buf, size, "%.*s_s%s", (int)n, arg, arg + n);
	return is_assignment(m, buf) ? buf : arg;
}

/** What a file of the operator's machine holds. */
static int
set_from_file(struct request *r, const char *name, const char *path, struct sl_error *e)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char *text = NULL;
	size_t size;
	FILE *to = f ? open_memstream(&text, &size) : NULL;
	char buf[65536];
	json_t *value;
	size_t n, total = 0;
	int rc;

	if (!f || !to) {
		sl_fail(e, -EINVAL, "file", "", "%.200s: %s", path, strerror(errno));
		if (f && f != stdin)
			fclose(f);
		return -EINVAL;
	}
	while (total <= DOCUMENT_MAX && (n = fread(buf, 1, sizeof(buf), f)) > 0) {
		fwrite(buf, 1, n, to);
		total += n;
	}
	fclose(to);
	rc = ferror(f) ? sl_fail(e, -EINVAL, "file", "", "%.200s: %s", path, strerror(errno)) : 0;
	if (rc == 0 && size == 0)
		rc = sl_fail(e, -EINVAL, "file", "", "%.200s is empty", path);
	if (rc == 0 && total > DOCUMENT_MAX)
		rc = sl_fail(e, -EINVAL, "file", "", "%.200s is larger than %u MiB", path,
			     DOCUMENT_MAX >> 20);
	if (f != stdin)
		fclose(f);
	if (rc) {
		free(text);
		return rc;
	}
	value = json_stringn(text, size);
	free(text);
	if (!value) {
		sl_fail(e, -EINVAL, "not_utf8", "", "%.200s is no text in UTF-8", path);
		return -EINVAL;
	}
	return json_object_set_new(r->params, name, value);
}

/** KEY=VALUE, or an option: --dry-run is dry_run=yes. */
static int
set_pair(struct request *r, const char *arg, struct sl_error *e)
{
	char text[256];

	if (strncmp(arg, "--", 2) != 0)
		return sl_args_parse(r->params, r->method,
				     with_unit(r->method, arg, text, sizeof(text)), e);
	snprintf(text, sizeof(text), "%s%s", arg + 2, strchr(arg, '=') ? "" : "=yes");
	return sl_args_parse(r->params, r->method, text, e);
}

/** KEY=VALUE or an option, no value by position. */
static bool
is_pair(const struct sl_schema_method *m, const char *arg)
{
	char text[256];

	return strncmp(arg, "--", 2) == 0 ||
	       is_assignment(m, with_unit(m, arg, text, sizeof(text)));
}

static int
add_item(struct request *r, const char *name, const char *value)
{
	json_t *list = json_object_get(r->params, name);

	if (!list) {
		list = json_array();
		json_object_set_new(r->params, name, list);
	}
	return json_array_append_new(list, json_string(value));
}

/** Words by position, then KEY=VALUE, and items of one list. */
static int
verb_args(struct request *r, const struct verb *v, int argc, char **argv, struct sl_error *e)
{
	const char *fixed;
	int i = 0, rc = 0;

	for (; rc == 0 && i < argc && i < VERB_ARGS && v->args[i] && !is_pair(r->method, argv[i]);
	     i++) {
		const char *value = argv[i];

		/* the panic switch is said as on and off */
		if (strcmp(v->args[i], "panic") == 0 && strcmp(value, "on") == 0)
			value = "observe";
		rc = v->file && i == 0 ? set_from_file(r, v->args[i], value, e)
				       : sl_args_set(r->params, r->method, v->args[i], value, e);
	}
	for (; rc == 0 && i < argc; i++) {
		if (v->only && strncmp(argv[i], "--", 2) == 0 && strcmp(argv[i] + 2, v->only) == 0)
			r->only = v->only;
		else if (v->rest && !is_pair(r->method, argv[i]))
			rc = add_item(r, v->rest, argv[i]);
		else
			rc = set_pair(r, argv[i], e);
	}
	fixed = v->alone && !json_object_get(r->params, v->rest) ? v->alone : v->fixed;
	if (rc == 0 && fixed)
		rc = sl_args_parse(r->params, r->method, fixed, e);
	return rc;
}

static int
check_required(const struct request *r, struct sl_error *e)
{
	if (r->needs_file && !json_object_get(r->params, "text") &&
	    !json_object_get(r->params, "file"))
		return sl_fail(e, -EINVAL, "param_missing", "", "%s needs a file", r->method->name);
	for (unsigned i = 0; i < r->method->n_params; i++) {
		const struct sl_schema_field *f = &r->method->params[i];

		if (!f->required || json_object_get(r->params, f->name))
			continue;
		sl_fail(e, -EINVAL, "param_missing", "", "%s needs %s=...: %s", r->method->name,
			f->name, f->doc);
		sl_hint(e, "sluicectl help %s", r->method->name);
		return -EINVAL;
	}
	return 0;
}

int
request_unknown(int argc, char **argv, struct sl_error *e)
{
	struct near n = {0};
	int taken;

	for (unsigned i = 0; i < n_verbs; i++)
		near_add(&n, verbs[i].words, argv[0]);
	near_fail(&n, argc, argv, "method", "sluicectl help", e);
	find_verb(argc, argv, &taken);
	if (control_knows(argc, argv) > taken)
		sl_hint(e, "that is asked of a control plane: --control URL, or SLUICE_CONTROL");
	return -EINVAL;
}

/** A word that nothing takes: a command of this family that there is not, or one word too many. */
static void
word_unknown(const struct verb *v, int taken, int argc, char **argv, struct sl_error *e)
{
	size_t n = strlen(argv[0]);

	for (unsigned i = 0; taken == 1 && i < n_verbs; i++) {
		if (strncmp(verbs[i].words, argv[0], n) == 0 && verbs[i].words[n] == ' ') {
			request_unknown(argc, argv, e);
			return;
		}
	}
	sl_hint(e, "sluicectl %s %s", v->words, v->syntax);
}

bool
request_knows(int argc, char **argv)
{
	int taken;

	return sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, argv[0]) ||
	       find_verb(argc, argv, &taken);
}

int
request_parse(struct request *r, int argc, char **argv, struct sl_error *e)
{
	const struct verb *v;
	int taken = 0, rc = 0;

	memset(r, 0, sizeof(*r));
	r->method = sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, argv[0]);
	v = r->method ? NULL : find_verb(argc, argv, &taken);
	if (v) {
		r->method = sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, v->method);
		r->then = v->then;
		r->file = v->file;
		r->needs_file = v->file && v->syntax[0] != '[';
	}
	if (!r->method)
		return request_unknown(argc, argv, e);
	r->params = json_object();
	if (v)
		rc = verb_args(r, v, argc - taken, argv + taken, e);
	if (v && rc && strcmp(e->reason, "usage") == 0)
		word_unknown(v, taken, argc, argv, e);
	for (int i = 1; !v && rc == 0 && i < argc; i++)
		rc = sl_args_parse(r->params, r->method, argv[i], e);
	return rc ? rc : check_required(r, e);
}
