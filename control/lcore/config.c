/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: sections, defaults, and the list of calls. */
#include <ctype.h>
#include <grp.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "config_int.h"
#include "sl_gw_policy.h"
#include "sl_log.h"
#include "sl_rpc.h"
#include "sl_rpc_server.h"

#define DEPTH_MAX 16

struct loader {
	struct sl_config *c;
	config_t cfg;
	struct sl_error *e;
	bool state_dir_set, run_dir_set, socket_set;
};

static const char *const type_text[] = {"a string", "an integer", "true or false", "a list",
					"a group { }"};
static const char *const type_example[] = {"name = \"text\";", "name = 2;", "name = true;",
					   "name = [ \"one\", \"two\" ];",
					   "name = { key = value; };"};

static bool
type_matches(const config_setting_t *s, enum key_type t)
{
	int have = config_setting_type(s);

	switch (t) {
	case KEY_STRING:
		return have == CONFIG_TYPE_STRING;
	case KEY_INT:
		return have == CONFIG_TYPE_INT || have == CONFIG_TYPE_INT64;
	case KEY_BOOL:
		return have == CONFIG_TYPE_BOOL;
	case KEY_LIST:
		return have == CONFIG_TYPE_LIST || have == CONFIG_TYPE_ARRAY;
	default:
		return have == CONFIG_TYPE_GROUP;
	}
}

static int
check_value(struct loader *l, const config_setting_t *s, const struct key *k, const char *at)
{
	unsigned line = config_setting_source_line(s);
	long long v;

	if (!type_matches(s, k->type)) {
		sl_config_fail(l->c, line, l->e, -EINVAL, "param_type", at, "%s must be %s", at + 1,
			       type_text[k->type]);
		sl_hint(l->e, "write it as: %s", type_example[k->type]);
		return -EINVAL;
	}
	if (k->type != KEY_INT)
		return 0;
	v = config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s)
						      : config_setting_get_int64(s);
	if (v >= k->min && v <= k->max)
		return 0;
	sl_config_fail(l->c, line, l->e, -EINVAL, "param_range", at,
		       "%s is %lld, allowed are %lld to %lld", at + 1, v, k->min, k->max);
	sl_hint(l->e, "choose a value between them, or leave the line out for the default");
	return -EINVAL;
}

/** Every member of a group must be known and of its type. */
static int
check_keys(struct loader *l, const config_setting_t *group, const char *path,
	   const struct key *keys, unsigned n)
{
	char at[160], all[200] = "";
	size_t len = 0;

	for (int i = 0; group && i < config_setting_length(group); i++) {
		const config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
		const struct key *k = NULL;
		int rc;

		for (unsigned j = 0; j < n && !k; j++)
			if (strcmp(keys[j].name, config_setting_name(s)) == 0)
				k = &keys[j];
		snprintf(at, sizeof(at), "%s/%s", path, config_setting_name(s));
		if (!k) {
			for (unsigned j = 0; j < n && len < sizeof(all); j++)
				len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s",
							j ? ", " : "", keys[j].name);
			sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
				       "param_unknown", at, "unknown setting \"%s\"", at + 1);
			sl_hint(l->e, "known are: %s", all);
			return -EINVAL;
		}
		rc = check_value(l, s, k, at);
		if (rc)
			return rc;
	}
	return 0;
}

int
sl_config_check_keys(struct sl_config *c, const config_setting_t *group, const char *path,
		     const struct key *keys, unsigned n, struct sl_error *e)
{
	struct loader l = {.c = c, .e = e};

	return check_keys(&l, group, path, keys, n);
}

static const char *
get_string(const config_setting_t *g, const char *name, const char *deflt)
{
	const char *v = deflt;

	if (g)
		config_setting_lookup_string(g, name, &v);
	return v;
}

static long long
get_int(const config_setting_t *g, const char *name, long long deflt)
{
	const config_setting_t *s = g ? config_setting_get_member(g, name) : NULL;

	if (!s)
		return deflt;
	return config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s)
							 : config_setting_get_int64(s);
}

static bool
get_bool(const config_setting_t *g, const char *name, bool deflt)
{
	int v = deflt;

	if (g)
		config_setting_lookup_bool(g, name, &v);
	return v;
}

static unsigned
line_of(const config_setting_t *g, const char *name)
{
	const config_setting_t *s = g ? config_setting_get_member(g, name) : NULL;

	return s ? config_setting_source_line(s) : 0;
}

static bool
name_valid(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_.-", s[i]))
			return false;
	return n >= 1 && n <= max && s[0] != '.' && s[0] != '-';
}

static int
replace(char **field, const char *fmt, const char *arg)
{
	char *v;

	if (asprintf(&v, fmt, arg) < 0)
		return -ENOMEM;
	free(*field);
	*field = v;
	return 0;
}

/** Paths that the file does not set follow the instance's name. */
static int
default_paths(struct sl_config *c, bool state, bool run, bool sock)
{
	int rc = 0;

	if (!state)
		rc = rc ? rc : replace(&c->state_dir, "/var/lib/sluice/%s", c->instance);
	if (!run)
		rc = rc ? rc : replace(&c->run_dir, "/run/sluice/%s", c->instance);
	if (!sock)
		rc = rc ? rc : replace(&c->rpc_socket, "%s/mgmt.sock", c->run_dir);
	return rc;
}

int
sl_config_set_instance(struct sl_config *c, const char *instance, struct sl_error *e)
{
	char old_state[64], old_run[64], old_sock[80];

	if (!name_valid(instance, sizeof(c->instance) - 1)) {
		sl_fail(e, -EINVAL, "instance_invalid", "/instance",
			"\"%.40s\" cannot be the name of an instance", instance);
		sl_hint(e, "1 to 31 letters, digits, '_', '.', '-'");
		return -EINVAL;
	}
	snprintf(old_state, sizeof(old_state), "/var/lib/sluice/%s", c->instance);
	snprintf(old_run, sizeof(old_run), "/run/sluice/%s", c->instance);
	snprintf(old_sock, sizeof(old_sock), "/run/sluice/%s/mgmt.sock", c->instance);
	snprintf(c->instance, sizeof(c->instance), "%s", instance);
	return default_paths(c, strcmp(c->state_dir, old_state) != 0,
			     strcmp(c->run_dir, old_run) != 0,
			     strcmp(c->rpc_socket, old_sock) != 0);
}

static int
load_cpus(struct loader *l, const config_setting_t *sys)
{
	const config_setting_t *s = sys ? config_setting_get_member(sys, "cpus") : NULL;
	int n = s ? config_setting_length(s) : 0;

	if (n == 0)
		return 0;
	l->c->cpus = calloc((size_t)n, sizeof(unsigned));
	if (!l->c->cpus)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		int v = config_setting_get_int_elem(s, i);

		if (config_setting_type(config_setting_get_elem(s, (unsigned)i)) !=
			    CONFIG_TYPE_INT ||
		    v < 0 || v >= SL_PLAN_CPUS_MAX)
			return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
					      "param_type", "/system/cpus",
					      "system/cpus must be a list of CPU numbers");
		l->c->cpus[l->c->n_cpus++] = (unsigned)v;
	}
	return 0;
}

static int
load_path(struct loader *l, const config_setting_t *g, const char *name, const char *at,
	  char **field)
{
	const char *text = get_string(g, name, "");

	if (text[0] != '/') {
		sl_config_fail(l->c, line_of(g, name), l->e, -EINVAL, "path_relative", at,
			       "%s is \"%.100s\", not an absolute path", at + 1, text);
		sl_hint(l->e, "begin it with /");
		return -EINVAL;
	}
	return replace(field, "%s", text);
}

static int
load_system(struct loader *l, const config_setting_t *sys)
{
	static const struct key keys[] = {
		{"workers", KEY_INT, 0, 64},	 {"io", KEY_INT, 0, 64},
		{"cpus", KEY_LIST, 0, 0},	 {"idle", KEY_STRING, 0, 0},
		{"hugepages", KEY_STRING, 0, 0}, {"memory_mb", KEY_INT, 0, 1 << 20},
		{"mbufs", KEY_INT, 0, 1 << 24},	 {"state_dir", KEY_STRING, 0, 0},
		{"run_dir", KEY_STRING, 0, 0},	 {"allow_unlocked_keys", KEY_BOOL, 0, 0},
		{"user", KEY_STRING, 0, 0},
	};
	static const char *const huge[] = {"auto", "require", "off"};
	struct sl_config *c = l->c;
	const char *text;
	int rc = check_keys(l, sys, "/system", keys, SL_ARRAY_SIZE(keys));

	if (rc)
		return rc;
	c->workers = (unsigned)get_int(sys, "workers", 0);
	c->io = (unsigned)get_int(sys, "io", 0);
	c->memory_mb = (unsigned)get_int(sys, "memory_mb", 0);
	c->mbufs = (unsigned)get_int(sys, "mbufs", 0);
	c->allow_unlocked_keys = get_bool(sys, "allow_unlocked_keys", false);
	text = get_string(sys, "idle", "auto");
	if (sl_plan_idle_parse(text, &c->idle))
		return sl_config_fail(c, line_of(sys, "idle"), l->e, -EINVAL, "enum_invalid",
				      "/system/idle",
				      "idle is \"%s\"; use auto, spin, pause or sleep", text);
	text = get_string(sys, "hugepages", "auto");
	for (c->hugepages = SL_HUGE_AUTO; c->hugepages <= SL_HUGE_OFF; c->hugepages++)
		if (strcmp(text, huge[c->hugepages]) == 0)
			break;
	if (c->hugepages > SL_HUGE_OFF)
		return sl_config_fail(c, line_of(sys, "hugepages"), l->e, -EINVAL, "enum_invalid",
				      "/system/hugepages",
				      "hugepages is \"%s\"; use auto, require or off", text);
	text = get_string(sys, "user", "");
	if (text[0] && !(c->user = strdup(text)))
		return -ENOMEM;
	l->state_dir_set = line_of(sys, "state_dir") != 0;
	l->run_dir_set = line_of(sys, "run_dir") != 0;
	if (l->state_dir_set)
		rc = load_path(l, sys, "state_dir", "/system/state_dir", &c->state_dir);
	if (rc == 0 && l->run_dir_set)
		rc = load_path(l, sys, "run_dir", "/system/run_dir", &c->run_dir);
	return rc ? rc : load_cpus(l, sys);
}

static int
load_control(struct loader *l, const config_setting_t *ctl)
{
	static const struct key keys[] = {
		{"socket", KEY_STRING, 0, 0}, {"socket_group", KEY_STRING, 0, 0},
		{"tcp", KEY_STRING, 0, 0},    {"insecure_tcp", KEY_BOOL, 0, 0},
		{"uapi", KEY_BOOL, 0, 0},     {"tls", KEY_GROUP, 0, 0},
	};
	struct sl_config *c = l->c;
	const char *text;
	int rc = check_keys(l, ctl, "/control", keys, SL_ARRAY_SIZE(keys));

	if (rc)
		return rc;
	c->uapi = get_bool(ctl, "uapi", true);
	c->insecure_tcp = get_bool(ctl, "insecure_tcp", false);
	text = get_string(ctl, "socket_group", "");
	if (text[0] && !(c->rpc_socket_group = strdup(text)))
		return -ENOMEM;
	text = get_string(ctl, "tcp", "");
	if (text[0] && sl_endpoint_parse(text, &c->rpc_tcp))
		return sl_config_fail(c, line_of(ctl, "tcp"), l->e, -EINVAL, "endpoint_invalid",
				      "/control/tcp", "control/tcp: \"%s\" is not ADDRESS:PORT",
				      text);
	c->has_rpc_tcp = text[0] != 0;
	if (c->has_rpc_tcp && !c->insecure_tcp) {
		sl_config_fail(c, line_of(ctl, "tcp"), l->e, -EINVAL, "insecure_tcp",
			       "/control/tcp",
			       "control/tcp is not encrypted and needs insecure_tcp = true");
		sl_hint(l->e,
			"use the unix socket, or set insecure_tcp = true on a machine of your own");
		return -EINVAL;
	}
	if (c->has_rpc_tcp && !sl_rpc_is_loopback(&c->rpc_tcp.ip)) {
		sl_config_fail(c, line_of(ctl, "tcp"), l->e, -EINVAL, "not_loopback",
			       "/control/tcp", "control/tcp: %s is not a loopback address", text);
		sl_hint(l->e, "127.0.0.1:7480; without encryption nothing else is served");
		return -EINVAL;
	}
	if (ctl)
		rc = sl_config_load_remote(c, config_setting_get_member(ctl, "tls"), l->e);
	if (rc)
		return rc;
	l->socket_set = line_of(ctl, "socket") != 0;
	return l->socket_set ? load_path(l, ctl, "socket", "/control/socket", &c->rpc_socket) : 0;
}

static int
load_addresses(struct loader *l, const config_setting_t *list, uint16_t vlan,
	       struct sl_config_port *p)
{
	for (int i = 0; list && i < config_setting_length(list); i++) {
		const char *text = config_setting_get_string_elem(list, i);
		struct sl_gw_addr *grown = realloc(p->addr, (p->n_addr + 1) * sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		p->addr = grown;
		p->addr[p->n_addr].vlan = vlan;
		if (!text || sl_prefix_parse(text, &p->addr[p->n_addr].prefix))
			return sl_config_fail(
				l->c, config_setting_source_line(list), l->e, -EINVAL,
				"prefix_invalid", "/ports/addresses",
				"\"%s\" is not an address with its prefix length, as 198.18.5.2/24",
				text ? text : "(not a string)");
		p->n_addr++;
	}
	return 0;
}

static int
load_vlans(struct loader *l, const config_setting_t *list, struct sl_config_port *p)
{
	static const struct key keys[] = {{"id", KEY_INT, 1, 4094}, {"addresses", KEY_LIST, 0, 0}};

	for (int i = 0; list && i < config_setting_length(list); i++) {
		const config_setting_t *v = config_setting_get_elem(list, (unsigned)i);
		int rc = config_setting_is_group(v) ? check_keys(l, v, "/ports/vlans", keys, 2)
						    : -EINVAL;

		if (rc == 0 && line_of(v, "id") == 0)
			rc = -EINVAL;
		if (rc && !l->e->err)
			return sl_config_fail(l->c, config_setting_source_line(v), l->e, -EINVAL,
					      "param_missing", "/ports/vlans",
					      "a VLAN is a group { id = N; addresses = [ ... ]; }");
		if (rc == 0)
			rc = load_addresses(l, config_setting_get_member(v, "addresses"),
					    (uint16_t)get_int(v, "id", 0), p);
		if (rc)
			return rc;
		p->port.vlan = true;
	}
	return 0;
}

static int
load_port(struct loader *l, const config_setting_t *s, struct sl_config_port *p)
{
	static const struct key keys[] = {
		{"name", KEY_STRING, 0, 0},
		{"device", KEY_STRING, 0, 0},
		{"addresses", KEY_LIST, 0, 0},
		{"vlans", KEY_LIST, 0, 0},
		{"mtu", KEY_INT, 1280, 9216},
		{"rx_queues", KEY_INT, 0, 128},
		{"tx_queues", KEY_INT, 0, 128},
		{"rx_descriptors", KEY_INT, 0, 32768},
		{"tx_descriptors", KEY_INT, 0, 32768},
		{"promiscuous", KEY_BOOL, 0, 0},
	};
	unsigned line = config_setting_source_line(s);
	int rc;

	p->line = line;
	if (!config_setting_is_group(s))
		return sl_config_fail(l->c, line, l->e, -EINVAL, "param_type", "/ports",
				      "a port is a group { }");
	rc = check_keys(l, s, "/ports", keys, SL_ARRAY_SIZE(keys));
	if (rc)
		return rc;
	if (!name_valid(get_string(s, "name", ""), 31))
		return sl_config_fail(
			l->c, line, l->e, -EINVAL, "param_missing", "/ports/name",
			"a port needs a name of 1 to 31 letters, digits, '_', '.', '-'");
	if (!get_string(s, "device", "")[0])
		return sl_config_fail(l->c, line, l->e, -EINVAL, "param_missing", "/ports/device",
				      "port \"%s\" needs a device, as \"0000:3b:00.1\" or "
				      "\"net_af_packet0,iface=eth0\"",
				      get_string(s, "name", ""));
	p->port.name = strdup(get_string(s, "name", ""));
	p->port.device = strdup(get_string(s, "device", ""));
	if (!p->port.name || !p->port.device)
		return -ENOMEM;
	p->port.mtu = (uint16_t)get_int(s, "mtu", 1500);
	p->port.rxq = (unsigned)get_int(s, "rx_queues", 0);
	p->port.txq = (unsigned)get_int(s, "tx_queues", 0);
	p->port.rx_desc = (unsigned)get_int(s, "rx_descriptors", 0);
	p->port.tx_desc = (unsigned)get_int(s, "tx_descriptors", 0);
	p->port.promisc = get_bool(s, "promiscuous", false);
	rc = load_addresses(l, config_setting_get_member(s, "addresses"), 0, p);
	return rc ? rc : load_vlans(l, config_setting_get_member(s, "vlans"), p);
}

static int
load_ports(struct loader *l, const config_setting_t *list)
{
	int n = list ? config_setting_length(list) : 0, rc = 0;

	if (n == 0) {
		sl_config_fail(l->c, 0, l->e, -EINVAL, "no_ports", "/ports",
			       "the gateway has no port");
		sl_hint(l->e, "ports = ( { name = \"wan\"; device = \"net_af_packet0,iface=eth0\"; "
			      "... } );");
		return -EINVAL;
	}
	if (n > SL_PORT_MAX)
		return sl_config_fail(l->c, config_setting_source_line(list), l->e, -EINVAL,
				      "param_range", "/ports", "%d ports, at most %d", n,
				      SL_PORT_MAX);
	l->c->ports = calloc((size_t)n, sizeof(l->c->ports[0]));
	if (!l->c->ports)
		return -ENOMEM;
	for (int i = 0; rc == 0 && i < n; i++) {
		l->c->n_ports = (unsigned)i + 1;
		rc = load_port(l, config_setting_get_elem(list, (unsigned)i), &l->c->ports[i]);
	}
	return rc;
}

/** A new call whose params are made from a setting (NULL: empty object). */
static struct sl_config_call *
add_call(struct loader *l, const char *method, const config_setting_t *s)
{
	struct sl_config *c = l->c;
	struct sl_config_call *grown, *call;

	if ((c->n_calls & (c->n_calls - 1)) == 0) {
		grown = realloc(c->calls, SL_MAX(c->n_calls * 2, 8U) * sizeof(*grown));
		if (!grown)
			return NULL;
		c->calls = grown;
	}
	call = &c->calls[c->n_calls];
	memset(call, 0, sizeof(*call));
	call->method = method;
	call->line = s ? config_setting_source_line(s) : 0;
	call->params = s ? sl_config_to_json(call, s, "") : json_object();
	c->n_calls += call->params != NULL;
	return call->params ? call : NULL;
}

/** The name of the interface comes from where the group stands. */
static int
belongs_to_interface(struct loader *l, const config_setting_t *s)
{
	sl_config_fail(l->c, line_of(s, "interface"), l->e, -EINVAL, "param_unknown", "/interface",
		       "unknown setting \"interface\"");
	sl_hint(l->e, "an interface has a name, and its peers stand in it");
	return -EINVAL;
}

/** List of groups, each of which is the parameters of one call. */
static int
load_calls(struct loader *l, const config_setting_t *list, const char *path, const char *method)
{
	for (int i = 0; list && i < config_setting_length(list); i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		if (!config_setting_is_group(s))
			return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
					      "param_type", path, "an entry of %s is a group { }",
					      path + 1);
		if (config_setting_get_member(s, "interface") && strcmp(method, "peer.set") == 0)
			return belongs_to_interface(l, s);
		if (!add_call(l, method, s))
			return -ENOMEM;
	}
	return 0;
}

static int
load_peers(struct loader *l, const config_setting_t *peers, const char *iface)
{
	unsigned first = l->c->n_calls;
	int rc;

	if (peers && config_setting_type(peers) != CONFIG_TYPE_LIST)
		return sl_config_fail(l->c, config_setting_source_line(peers), l->e, -EINVAL,
				      "param_type", "/interfaces/peers",
				      "peers must be a list ( { }, ... )");
	rc = load_calls(l, peers, "/interfaces/peers", "peer.set");
	for (unsigned i = first; rc == 0 && i < l->c->n_calls; i++)
		rc = json_object_set_new(l->c->calls[i].params, "interface", json_string(iface))
			     ? -ENOMEM
			     : 0;
	return rc;
}

static int
load_interface(struct loader *l, const config_setting_t *s)
{
	const char *name = get_string(s, "name", "");
	struct sl_config_call *call;

	if (!config_setting_is_group(s) || !name[0])
		return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
				      "param_missing", "/interfaces/name",
				      "an interface is a group { } with a name");
	if (!name_valid(name, 15))
		return sl_config_fail(
			l->c, line_of(s, "name"), l->e, -EINVAL, "name_invalid", "/interfaces/name",
			"an interface has a name of 1 to 15 letters, digits, '_', '.', '-'");
	if (config_setting_get_member(s, "interface"))
		return belongs_to_interface(l, s);
	call = add_call(l, "interface.set", s);
	if (!call || json_object_set_new(call->params, "interface", json_string(name)))
		return -ENOMEM;
	json_object_del(call->params, "name");
	json_object_del(call->params, "peers");
	if (!json_object_get(call->params, "listen_port"))
		json_object_set_new(call->params, "listen_port", json_integer(51820));
	return load_peers(l, config_setting_get_member(s, "peers"), name);
}

static int
load_interfaces(struct loader *l, const config_setting_t *list)
{
	int rc = 0;

	for (int i = 0; rc == 0 && list && i < config_setting_length(list); i++)
		rc = load_interface(l, config_setting_get_elem(list, (unsigned)i));
	return rc;
}

static int
load_log_required(struct loader *l, const config_setting_t *list)
{
	struct sl_config_call *call;
	json_t *targets;

	if (!list)
		return 0;
	call = add_call(l, "log.required.set", NULL);
	targets = json_array();
	if (!call || json_object_set_new(call->params, "targets", targets))
		return -ENOMEM;
	call->line = config_setting_source_line(list);
	for (int i = 0; i < config_setting_length(list); i++) {
		const char *prefix = config_setting_get_string_elem(list, i);
		struct sl_prefix p;

		/* no target: there may be no policy yet */
		if (!prefix || sl_prefix_parse(prefix, &p) != 0 || sl_prefix_mask(&p)) {
			sl_config_fail(l->c, call->line, l->e, -EINVAL, "prefix_invalid",
				       "/authz/log_required", "\"%.60s\" is no prefix",
				       prefix ? prefix : "");
			sl_hint(l->e,
				"write it as \"10.20.0.0/16\"; targets by their names are set "
				"at run time: sluicectl log require");
			return -EINVAL;
		}
		if (json_array_append_new(targets, json_string(prefix)))
			return -ENOMEM;
	}
	return 0;
}

static int
load_authz(struct loader *l, const config_setting_t *s)
{
	static const struct key keys[] = {{"mode", KEY_STRING, 0, 0},
					  {"prefixes", KEY_LIST, 0, 0},
					  {"log_required", KEY_LIST, 0, 0}};
	static const struct key pkeys[] = {{"prefix", KEY_STRING, 0, 0},
					   {"mode", KEY_STRING, 0, 0}};
	const config_setting_t *list = s ? config_setting_get_member(s, "prefixes") : NULL;
	int rc = check_keys(l, s, "/authz", keys, SL_ARRAY_SIZE(keys));
	struct sl_config_call *call;

	if (rc || !s)
		return rc;
	call = add_call(l, "authz.mode.set", NULL);
	if (!call || json_object_set_new(call->params, "default",
					 json_string(get_string(s, "mode", "observe"))))
		return -ENOMEM;
	call->line = line_of(s, "mode") ? line_of(s, "mode") : config_setting_source_line(s);
	for (int i = 0; list && i < config_setting_length(list); i++) {
		const config_setting_t *p = config_setting_get_elem(list, (unsigned)i);

		rc = config_setting_is_group(p) ? check_keys(l, p, "/authz/prefixes", pkeys, 2)
						: -EINVAL;
		if (rc)
			return l->e->err ? rc
					 : sl_config_fail(
						   l->c, config_setting_source_line(p), l->e, rc,
						   "param_type", "/authz/prefixes",
						   "an entry is { prefix = ...; mode = ...; }");
		call = add_call(l, "authz.mode.set", NULL);
		if (!call)
			return -ENOMEM;
		call->line = config_setting_source_line(p);
		if (json_object_set_new(call->params, "prefixes",
					json_pack("[s]", get_string(p, "prefix", ""))) ||
		    json_object_set_new(call->params, "mode",
					json_string(get_string(p, "mode", "observe"))))
			return -ENOMEM;
	}
	return load_log_required(l, config_setting_get_member(s, "log_required"));
}

static int
load_policy(struct loader *l, const config_setting_t *s)
{
	static const struct key keys[] = {
		{"file", KEY_STRING, 0, 0},
		{"rules_per_role", KEY_INT, 1, SL_POL_RULES_MAX},
		{"prefixes", KEY_INT, 16, 100000},
		{"flows_max", KEY_INT, 1024, 1 << 24},
	};
	struct sl_config *c = l->c;
	int rc = check_keys(l, s, "/policy", keys, SL_ARRAY_SIZE(keys));

	if (rc)
		return rc;
	c->policy_rules = (unsigned)get_int(s, "rules_per_role", 0);
	c->policy_prefixes = (unsigned)get_int(s, "prefixes", 0);
	c->policy_flows = (unsigned)get_int(s, "flows_max", 0);
	c->policy_line = line_of(s, "file");
	if (!get_string(s, "file", "")[0])
		return 0;
	return load_path(l, s, "file", "/policy/file", &c->policy_file);
}

static bool
is_utf8(const char *text)
{
	json_t *v = json_string(text);

	json_decref(v);
	return v != NULL;
}

/** One file, so that FILE:LINE is always true; no deeper than anything here goes; text and numbers
 * that JSON has as well. */
static int
check_tree(struct loader *l, const config_setting_t *s, unsigned depth)
{
	const char *file = config_setting_source_file(s);
	int rc = 0;

	if (file) {
		sl_config_fail(l->c, 0, l->e, -EINVAL, "include", "", "@include is not possible");
		sl_hint(l->e, "the configuration is one file");
		return -EINVAL;
	}
	if (depth > DEPTH_MAX)
		return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL, "syntax",
				      "", "more than %d levels", DEPTH_MAX);
	if (config_setting_type(s) == CONFIG_TYPE_STRING && !is_utf8(config_setting_get_string(s)))
		return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
				      "not_utf8", "", "a text that is not UTF-8");
	if (config_setting_type(s) == CONFIG_TYPE_FLOAT && !isfinite(config_setting_get_float(s)))
		return sl_config_fail(l->c, config_setting_source_line(s), l->e, -EINVAL,
				      "number_too_large", "", "a number that is too large");
	for (int i = 0; rc == 0 && config_setting_is_aggregate(s) && i < config_setting_length(s);
	     i++)
		rc = check_tree(l, config_setting_get_elem(s, (unsigned)i), depth + 1);
	return rc;
}

static int
load_all(struct loader *l)
{
	static const struct key keys[] = {
		{"instance", KEY_STRING, 0, 0}, {"system", KEY_GROUP, 0, 0},
		{"control", KEY_GROUP, 0, 0},	{"log", KEY_GROUP, 0, 0},
		{"ports", KEY_LIST, 0, 0},	{"routes", KEY_LIST, 0, 0},
		{"neighbours", KEY_LIST, 0, 0}, {"interfaces", KEY_LIST, 0, 0},
		{"authz", KEY_GROUP, 0, 0},	{"policy", KEY_GROUP, 0, 0},
		{"audit", KEY_GROUP, 0, 0},	{"control_plane", KEY_GROUP, 0, 0},
		{"metrics", KEY_GROUP, 0, 0},
	};
	const config_setting_t *root = config_root_setting(&l->cfg);
	const char *instance = get_string(root, "instance", "default");
	int rc = check_tree(l, root, 0);

	rc = rc ? rc : check_keys(l, root, "", keys, SL_ARRAY_SIZE(keys));
	if (rc)
		return rc;
	if (!name_valid(instance, sizeof(l->c->instance) - 1))
		return sl_config_fail(l->c, line_of(root, "instance"), l->e, -EINVAL,
				      "instance_invalid", "/instance",
				      "instance must be 1 to 31 letters, digits, '_', '.', '-'");
	snprintf(l->c->instance, sizeof(l->c->instance), "%s", instance);
	rc = load_system(l, config_setting_get_member(root, "system"));
	rc = rc ? rc : load_control(l, config_setting_get_member(root, "control"));
	rc = rc ? rc : default_paths(l->c, l->state_dir_set, l->run_dir_set, l->socket_set);
	rc = rc ? rc : load_ports(l, config_setting_get_member(root, "ports"));
	if (rc == 0 && config_setting_get_member(root, "log"))
		rc = add_call(l, "sys.log_level.set", config_setting_get_member(root, "log"))
			     ? 0
			     : -ENOMEM;
	rc = rc ? rc : load_policy(l, config_setting_get_member(root, "policy"));
	rc = rc ? rc : sl_config_load_audit(l->c, config_setting_get_member(root, "audit"), l->e);
	rc = rc ? rc
		: sl_config_load_metrics(l->c, config_setting_get_member(root, "metrics"), l->e);
	rc = rc ? rc
		: sl_config_load_cp(l->c, config_setting_get_member(root, "control_plane"), l->e);
	rc = rc ? rc : load_interfaces(l, config_setting_get_member(root, "interfaces"));
	rc = rc ? rc
		: load_calls(l, config_setting_get_member(root, "routes"), "/routes", "route.add");
	rc = rc ? rc
		: load_calls(l, config_setting_get_member(root, "neighbours"), "/neighbours",
			     "neighbour.set");
	return rc ? rc : load_authz(l, config_setting_get_member(root, "authz"));
}

static int
load_file(const char *path, bool keyless, struct sl_config **out, struct sl_error *e)
{
	struct loader l = {.e = e};
	char *text = NULL;
	int rc = -ENOMEM;

	memset(e, 0, sizeof(*e));
	l.c = calloc(1, sizeof(*l.c));
	if (!l.c || !(l.c->path = strdup(path)))
		goto out;
	l.c->keyless = keyless;
	config_init(&l.cfg);
	rc = sl_config_text(l.c, &text, e);
	if (rc == 0 && !config_read_string(&l.cfg, text)) {
		rc = sl_config_fail(l.c, (unsigned)config_error_line(&l.cfg), e, -EINVAL, "syntax",
				    "", "%s", config_error_text(&l.cfg));
		sl_hint(e, "name = value; with a semicolon behind it, lists in ( ), groups in { }");
	}
	rc = rc ? rc : load_all(&l);
	rc = rc ? rc : sl_config_check(l.c, e);
	config_destroy(&l.cfg);
	free(text);
out:
	if (rc && !e->err)
		sl_fail(e, rc, "no_memory", "", "no memory for the configuration");
	if (rc) {
		sl_config_free(l.c);
		l.c = NULL;
	}
	*out = l.c;
	return rc;
}

int
sl_config_load(const char *path, struct sl_config **out, struct sl_error *e)
{
	return load_file(path, false, out, e);
}

int
sl_config_load_keyless(const char *path, struct sl_config **out, struct sl_error *e)
{
	return load_file(path, true, out, e);
}

void
sl_config_free(struct sl_config *c)
{
	if (!c)
		return;
	for (unsigned i = 0; i < c->n_calls; i++)
		sl_config_call_clear(&c->calls[i]);
	for (unsigned i = 0; i < c->n_ports; i++) {
		free((void *)(uintptr_t)c->ports[i].port.name);
		free((void *)(uintptr_t)c->ports[i].port.device);
		free(c->ports[i].addr);
	}
	sl_config_audit_clear(&c->audit);
	sl_config_cp_free(c->cp);
	free(c->calls);
	free(c->ports);
	free(c->cpus);
	free(c->state_dir);
	free(c->run_dir);
	free(c->user);
	free(c->rpc_socket);
	free(c->rpc_socket_group);
	sl_remote_conf_clear(&c->remote);
	free(c->policy_file);
	free(c->path);
	free(c);
}

int
sl_config_apply(struct sl_config *c, struct sl_gw *gw, struct sl_rpc *rpc, struct sl_error *e)
{
	static const struct sl_rpc_caller caller = {.via = SL_RPC_VIA_CONFIG,
						    .principal = "config",
						    .who = &sl_service_local};
	struct sl_error inner;
	int rc = 0;

	e->err = 0;
	sl_gw_begin(gw);
	for (unsigned i = 0; rc == 0 && i < c->n_calls; i++) {
		json_t *result = NULL;

		rc = sl_rpc_call(rpc, &caller, c->calls[i].method, c->calls[i].params, &result,
				 &inner);
		json_decref(result);
		if (rc) {
			sl_config_fail(c, sl_config_line_of(&c->calls[i], inner.path), e, rc,
				       inner.reason, inner.path, "%.240s", inner.message);
			if (inner.hint[0])
				sl_hint(e, "%s", inner.hint);
		}
	}
	if (rc == 0 && c->cp == NULL) /* else it comes from there */
		rc = sl_gw_policy_boot(gw, c->policy_file, &inner);
	if (rc && !e->err)
		sl_config_policy_fail(c, e, &inner);
	sl_gw_commit(gw);
	return rc;
}
