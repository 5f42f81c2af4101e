/* SPDX-License-Identifier: BSD-3-Clause */
/* The commands of the console. Each is a thin caller of JSON-RPC methods. */
#include <stdio.h>
#include <stdlib.h>

#include "args.h"
#include "console_int.h"
#include "sl_schema_gateway.h"
#include "table.h"

/* --- show ----------------------------------------------------------------------------------- */

static bool
is_all(const char *name)
{
	return !name[0] || strcmp(name, "all") == 0;
}

/** One port as lines of its members. */
static void
show_one_port(struct sl_console *c, const char *name)
{
	json_t *result = console_ask(c, "port.list", NULL), *row;
	bool found = false;
	size_t i;

	json_array_foreach (json_object_get(result, "ports"), i, row) {
		char *text;

		if (strcmp(json_string_value(json_object_get(row, "name")), name) != 0)
			continue;
		text = sl_view_text("port", row, true);
		console_write(c, text ? text : "error: no memory\n");
		free(text);
		found = true;
	}
	if (result && !found)
		console_printf(c, "error: no port \"%.40s\" (port_unknown); remedy: show port\n",
			       name);
	json_decref(result);
}

static void
show_port_info(struct sl_console *c, const struct console_args *a)
{
	const char *name = strcmp(a->w[2], "info") == 0 ? a->w[3] : a->w[2];

	if (is_all(name))
		console_show(c, "port.list", json_object());
	else
		show_one_port(c, name);
}

static void
show_port_stats(struct sl_console *c, const struct console_args *a)
{
	console_show(c, "port.stats",
		     is_all(a->w[3]) ? json_object() : json_pack("{s:s}", "port", a->w[3]));
}

static void
show_interface(struct sl_console *c, const struct console_args *a)
{
	if (is_all(a->w[2]))
		console_show(c, "interface.list", json_object());
	else
		console_show(c, "interface.get", json_pack("{s:s}", "interface", a->w[2]));
}

/** The peer of that name or key in whichever interface has one. */
static void
show_peer(struct sl_console *c, const struct console_args *a)
{
	json_t *ifaces, *row, *peer;
	bool found = false;
	size_t i;

	if (is_all(a->w[2])) {
		console_show(c, "peer.list", json_object());
		return;
	}
	ifaces = console_ask(c, "interface.list", NULL);
	json_array_foreach (json_object_get(ifaces, "interfaces"), i, row) {
		char *text;

		peer = console_try(c, "peer.get",
				   json_pack("{s:O, s:s}", "interface",
					     json_object_get(row, "name"), "peer", a->w[2]));
		if (!peer)
			continue;
		text = sl_view_text("peer.get", peer, true);
		console_printf(c, "%s%s", found ? "\n" : "", text ? text : "");
		free(text);
		json_decref(peer);
		found = true;
	}
	json_decref(ifaces);
	if (!found)
		console_printf(c,
			       "error: no interface has a peer \"%.60s\" (not_found); remedy: "
			       "show peer all\n",
			       a->w[2]);
}

static void
show_simple(struct sl_console *c, const struct console_args *a)
{
	static const struct {
		const char *word, *method;
	} what[] = {
		{"lcore", "sys.lcores"},     {"session", "session.list"},
		{"route", "route.list"},     {"neigh", "neighbour.list"},
		{"drops", "drops.get"},	     {"stats", "stats.get"},
		{"mode", "authz.mode.get"},  {"config", "config.show"},
		{"health", "sys.health"},    {"policy", "policy.status"},
		{"rules", "policy.show"},    {"roles", "role.list"},
		{"members", "role.members"}, {"targets", "target.list"},
		{"zones", "zone.list"},	     {"evidence", "evidence.list"},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(what); i++)
		if (strcmp(a->w[1], what[i].word) == 0)
			console_show(c, what[i].method, json_object());
}

static void
show_word(struct sl_console *c, const struct console_args *a)
{
	console_show(c, strcmp(a->w[0], "mem") == 0 ? "sys.mem" : "sys.version", json_object());
}

/* --- peers ---------------------------------------------------------------------------------- */

/** The console's short words for parameters of peer.add and peer.set. */
static const char *
peer_parameter(const char *word)
{
	static const struct {
		const char *word, *param;
	} words[] = {
		{"allowed", "allowed_ips"},
		{"keepalive", "persistent_keepalive"},
		{"psk-file", "preshared_key_file"},
	};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(words); i++)
		if (strcmp(word, words[i].word) == 0)
			return words[i].param;
	return word;
}

/** "allowed 10.7.0.3/32,fd00::3/128 endpoint 203.0.113.9:51820 ..." */
static int
peer_words(json_t *params, const char *method, const char *rest, struct sl_error *e)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);
	char *copy = strdup(rest), *save = NULL;
	int rc = copy ? 0 : -ENOMEM;

	for (char *w = copy ? strtok_r(copy, " \t\r\n", &save) : NULL; w && rc == 0;
	     w = strtok_r(NULL, " \t\r\n", &save)) {
		char *value = strchr(w, '=');

		if (value) {
			rc = sl_args_parse(params, m, w, e);
			continue;
		}
		value = strtok_r(NULL, " \t\r\n", &save);
		if (value) {
			rc = sl_args_set(params, m, peer_parameter(w), value, e);
		} else {
			rc = sl_fail(e, -EINVAL, "usage", "", "\"%.40s\" needs a value", w);
			sl_hint(e, "peer add wg0 KEY allowed 10.7.0.3/32 keepalive 25");
		}
	}
	free(copy);
	return rc;
}

static void
peer_change(struct sl_console *c, const struct console_args *a)
{
	const char *method = strcmp(a->w[1], "add") == 0 ? "peer.add" : "peer.set";
	json_t *params = json_pack("{s:s, s:s}", "interface", a->w[2], "public_key", a->w[3]);
	struct sl_error e = {0};

	if (peer_words(params, method, a->rest, &e)) {
		console_error(c, &e);
		json_decref(params);
		return;
	}
	console_show(c, method, params);
}

static void
peer_end(struct sl_console *c, const struct console_args *a)
{
	console_show(c, strcmp(a->w[1], "del") == 0 ? "peer.remove" : "peer.kick",
		     json_pack("{s:s, s:s}", "interface", a->w[2], "peer", a->w[3]));
}

/* --- modes, configuration, the rest ---------------------------------------------------------- */

/** Set, then show what holds now. */
static void
set_mode(struct sl_console *c, json_t *params)
{
	console_show(c, "authz.mode.set", params);
	console_show(c, "authz.mode.get", json_object());
}

static void
mode_default(struct sl_console *c, const struct console_args *a)
{
	set_mode(c, json_pack("{s:s}", "default", a->w[1]));
}

static void
mode_prefix(struct sl_console *c, const struct console_args *a)
{
	set_mode(c, json_pack("{s:[s], s:s}", "targets", a->w[2], "mode", a->w[1]));
}

/** In spite of the evidence, which is told. */
static void
mode_force(struct sl_console *c, const struct console_args *a)
{
	if (a->w[2][0])
		set_mode(c, json_pack("{s:[s], s:s, s:b}", "targets", a->w[2], "mode", "enforce",
				      "force", 1));
	else
		set_mode(c, json_pack("{s:s, s:b}", "default", "enforce", "force", 1));
}

static void
mode_confirm(struct sl_console *c, const struct console_args *a)
{
	console_show(c, "authz.mode.confirm", json_pack("{s:s}", "confirm_id", a->w[2]));
}

static void
logging(struct sl_console *c, const struct console_args *a)
{
	console_show(c, "log.enabled.set",
		     json_pack("{s:b}", "enabled", strcmp(a->w[1], "on") == 0));
}

static void
mode_panic(struct sl_console *c, const struct console_args *a)
{
	set_mode(c, json_pack("{s:s}", "panic", strcmp(a->w[2], "on") == 0 ? "observe" : "off"));
}

static void
config_file(struct sl_console *c, const struct console_args *a)
{
	console_show(c, strcmp(a->w[1], "save") == 0 ? "config.save" : "config.load",
		     json_pack("{s:s}", "file", a->w[2]));
}

static void
policy_file(struct sl_console *c, const struct console_args *a)
{
	console_show(c, strcmp(a->w[1], "load") == 0 ? "policy.load" : "policy.validate",
		     json_pack("{s:s}", "file", a->w[2]));
}

static void
log_level(struct sl_console *c, const struct console_args *a)
{
	console_show(c, "sys.log_level.set", json_pack("{s:s}", "level", a->w[1]));
}

/** key=value... of a method. */
static void
call_with(struct sl_console *c, const char *method, const char *words)
{
	const struct sl_schema_method *m =
		sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);
	json_t *params = json_object();
	struct sl_error e = {0};
	char *copy = strdup(words), *save = NULL;
	int rc = copy ? 0 : -ENOMEM;

	for (char *w = copy && m ? strtok_r(copy, " \t\r\n", &save) : NULL; w && rc == 0;
	     w = strtok_r(NULL, " \t\r\n", &save))
		rc = sl_args_parse(params, m, w, &e);
	free(copy);
	if (rc) {
		console_error(c, &e);
		json_decref(params);
		return;
	}
	console_show(c, method, params);
}

/** call METHOD key=value... */
static void
call_method(struct sl_console *c, const struct console_args *a)
{
	call_with(c, a->w[1], a->rest);
}

static void
show_flow(struct sl_console *c, const struct console_args *a)
{
	call_with(c, "flow.list", a->rest);
}

static void
policy_clear(struct sl_console *c, const struct console_args *a)
{
	call_with(c, "policy.clear", a->rest);
}

static void
policy_explain(struct sl_console *c, const struct console_args *a)
{
	call_with(c, "policy.explain", a->rest);
}

static void
quit(struct sl_console *c, const struct console_args *a)
{
	(void)a;
	console_quit(c);
}

static void
help(struct sl_console *c, const struct console_args *a)
{
	(void)a;
	for (unsigned i = 0; i < console_n_commands; i++) {
		const struct console_command *k = &console_commands[i];

		if (k->help[0])
			console_printf(c, "%-48s %s\n", k->syntax, k->help);
	}
	console_write(c, "\nTAB completes, ? lists what may follow. Names of ports, interfaces and "
			 "peers complete too.\n");
}

/* clang-format off */
const struct console_command console_commands[] = {
	{"help", "this list", help, true},
	{"show port", "ports", show_port_info},
	{"show port <port>", "one port, or all", show_port_info},
	{"show port info", "ports", show_port_info},
	{"show port info <port>", "one port, or all", show_port_info},
	{"show port stats", "packets and rates of ports", show_port_stats},
	{"show port stats <port>", "packets and rates of one port, or all", show_port_stats},
	{"show lcore", "logical cores and how busy they are", show_simple},
	{"show interface", "interfaces", show_interface},
	{"show interface <interface>", "one interface, or all", show_interface},
	{"show peer", "peers", show_peer},
	{"show peer <peer>", "one peer by name or key, or all", show_peer},
	{"show session", "keypairs of peers", show_simple},
	{"show route", "routes", show_simple},
	{"show neigh", "neighbours", show_simple},
	{"show drops", "dropped packets by reason", show_simple},
	{"show stats", "counters and rates of the data plane", show_simple},
	{"show mode", "authz modes", show_simple},
	{"show evidence", "observed flows", show_simple},
	{"show flow", "live flows", show_flow},
	{"show flow ...", "some of them: peer=alice target=db verdict=would_deny", show_flow},
	{"show policy", "which policy is in force", show_simple},
	{"show rules", "its rules", show_simple},
	{"show roles", "its roles", show_simple},
	{"show members", "who has which role", show_simple},
	{"show targets", "its targets", show_simple},
	{"show zones", "its zones", show_simple},
	{"show config", "the configuration as calls", show_simple},
	{"show health", "what is wrong", show_simple},
	{"peer add#set <interface> <key>", "create a peer; create or change one", peer_change},
	{"peer add#set <interface> <key> ...", "with: name N allowed LIST endpoint E keepalive SECONDS psk-file F enabled yes|no", peer_change},
	{"peer del <interface> <peer>", "remove a peer", peer_end},
	{"peer kick <interface> <peer>", "forget its session", peer_end},
	{"mode observe#enforce", "set the default mode", mode_default},
	{"mode observe#enforce#default <prefix>", "set the mode of a destination; default: it has none", mode_prefix},
	{"mode force", "enforce by default, in spite of the evidence", mode_force},
	{"mode force <prefix>", "enforce a destination, in spite of the evidence", mode_force},
	{"mode confirm <id>", "keep a change that would be taken back", mode_confirm},
	{"mode panic on#off", "on: observe everything", mode_panic},
	{"policy load#validate <file>", "put a document into force; only check, compile and test it", policy_file},
	{"policy clear", "take the policy out of force", policy_clear},
	{"policy clear ...", "force=yes although a mode enforces", policy_clear},
	{"policy explain ...", "what happens to a flow: peer=alice dst=10.20.0.10 dport=443", policy_explain},
	{"config save#load <file>", "write the configuration; carry a written one out", config_file},
	{"log on#off", "write records of flows, or none", logging},
	{"log err#warn#notice#info#debug", "how much is told on standard error", log_level},
	{"call <method>", "any JSON-RPC method", call_method},
	{"call <method> ...", "with parameters, key=value", call_method},
	{"mem", "packet buffers and key memory", show_word},
	{"version", "versions", show_word},
	{"quit", "end the gateway", quit, true},
};
/* clang-format on */
const unsigned console_n_commands = SL_ARRAY_SIZE(console_commands);
