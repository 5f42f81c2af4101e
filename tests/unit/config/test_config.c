/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: the documented example, defaults, and what is told of every mistake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config_int.h"
#include "sl_crypto.h"
#include "sl_log.h"
#include "sl_schema.h"

#define KEY_A "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
#define KEY_B "HIgo9xNzJMWLKASShiTqIybxZ0U3wGLiUeJ1PKf8ykw="

#define PORT "ports = ( { name = \"wan\"; device = \"net_null0\"; } );\n"

/* one network, and one that two VLANs of a port have */
#define ONE                                                                                        \
	"ports = ( { name = \"wan\"; device = \"net_null0\"; addresses = [ \"192.0.2.1/24\" ]; } " \
	");\n"
#define NET                                                                                        \
	"ports = ( { name = \"wan\"; device = \"net_null0\"; addresses = [ \"192.0.2.1/24\" ]; "   \
	"}, { "                                                                                    \
	"name = \"lan\"; device = \"net_null1\"; addresses = [ \"10.20.0.1/24\" ]; vlans = ( { "   \
	"id = "                                                                                    \
	"5; addresses = [ \"10.20.0.2/24\" ]; } ); } );\n"
#define INSIDE(members) "interfaces = ( { name = \"wg0\";\n inside = { " members " }; } );\n"

static char dir[] = "/tmp/sl-config-XXXXXX";
static char file[64], key[64];
static struct sl_config *c;
static struct sl_error e;
static char warnings[2048];

static void
sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	size_t n = strlen(warnings);

	snprintf(warnings + n, sizeof(warnings) - n, "%s: %s\n", topic, text);
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	chmod(path, 0600);
}

static int
load(const char *text)
{
	sl_config_free(c);
	c = NULL;
	memset(&e, 0, sizeof(e));
	put(file, text);
	return sl_config_load(file, &c, &e);
}

static int
clean(void **state)
{
	sl_config_free(c);
	c = NULL;
	warnings[0] = 0;
	return 0;
}

/** All of a file, %s of it replaced by the key file of the test. */
static char *
example(void)
{
	static const char from[] = "/etc/sluice/wg0.key", logs[] = "/var/log/sluice/";
	char *text = calloc(1, 65536), *out = calloc(1, 65536), *at;
	FILE *f = fopen(EXAMPLE, "r");

	assert_non_null(f);
	assert_true(fread(text, 1, 65000, f) > 1000);
	fclose(f);
	at = strstr(text, logs); /* a directory that is not on every machine */
	assert_non_null(at);
	memmove(at + 1, at + strlen(logs), strlen(at + strlen(logs)) + 1);
	at = strstr(text, from);
	assert_non_null(at);
	snprintf(out, 65536, "%.*s%s%s", (int)(at - text), text, key, at + strlen(from));
	free(text);
	return out;
}

static const struct sl_config_call *
call(unsigned i, const char *method)
{
	assert_true(i < c->n_calls);
	assert_string_equal(c->calls[i].method, method);
	return &c->calls[i];
}

static void
params_are(const struct sl_config_call *k, const char *want)
{
	json_t *w = json_loads(want, 0, NULL);
	char *got = json_dumps(k->params, JSON_SORT_KEYS);

	if (!json_equal(k->params, w))
		fail_msg("%s: %s, wanted %s", k->method, got, want);
	free(got);
	json_decref(w);
}

static void
test_control_plane(void **state)
{
	assert_int_equal(load(PORT
			      "interfaces = ( { name = \"wg0\"; } );\ncontrol_plane = { name = "
			      "\"gw-1\"; sources = ( { host = \"cp.example.net\"; }, { host = "
			      "\"192.0.2.1\"; port = 9; } ); token_file = \"/etc/passwd\"; "
			      "interfaces = [ \"wg0\" ]; };\n"),
			 0);
	assert_string_equal(c->cp->name, "gw-1");
	assert_int_equal(c->cp->n_sources, 2);
	assert_int_equal(c->cp->sources[0].port, 7444);
	assert_int_equal(c->cp->sources[1].port, 9);
	assert_string_equal(c->cp->interfaces[0], "wg0");
	assert_true(c->cp->boot_cache);
	assert_int_equal(c->cp->boot_wait_s, 3);
	assert_int_equal(c->cp->cache_max_age_h, 168);
	assert_int_equal(c->cp->idp_grace_h, 24);
	assert_int_equal(c->cp->control_stale_after_h, 24);
	assert_int_equal(c->cp->on_stale, SL_STALE_SERVE);
	assert_int_equal(c->cp->stats_s, 10);
	assert_int_equal(load(PORT), 0);
	assert_null(c->cp);
}

static void
test_example(void **state)
{
	char *text = example();
	char want[1024];

	if (load(text))
		fail_msg("%s", e.message);
	free(text);
	assert_string_equal(c->instance, "default");
	assert_int_equal(c->n_ports, 2);
	assert_string_equal(c->ports[0].port.name, "wan");
	assert_string_equal(c->ports[0].port.device, "net_af_packet0,iface=wan0");
	assert_true(c->ports[0].port.vlan && !c->ports[1].port.vlan);
	assert_int_equal(c->ports[0].n_addr, 3);
	assert_int_equal(c->ports[0].addr[0].vlan, 0);
	assert_int_equal(c->ports[0].addr[2].vlan, 100);
	assert_int_equal(c->ports[0].addr[1].prefix.len, 64);
	assert_int_equal(c->ports[0].port.mtu, 1500);
	assert_true(c->uapi && !c->has_rpc_tcp && !c->insecure_tcp && !c->allow_unlocked_keys);
	assert_null(c->user);
	assert_null(c->rpc_socket_group);
	assert_true(!c->remote.on && !c->remote.require_cert && !c->remote.tokens_file);
	assert_int_equal(c->remote.n_allow, 2);
	assert_string_equal(c->remote.allow[0].cn, "ops-laptop");
	assert_int_equal(c->remote.allow[0].role, SL_SR_OPERATOR);
	assert_string_equal(c->remote.allow[1].uri, "sluice://operator/alice");
	assert_int_equal(c->remote.allow[1].role, SL_SR_ADMIN);
	params_are(call(0, "sys.log_level.set"), "{\"level\":\"info\"}");
	snprintf(want, sizeof(want),
		 "{\"interface\":\"wg0\",\"listen_port\":51820,\"private_key_file\":\"%s\","
		 "\"addresses\":[\"10.7.0.1/24\",\"fd00:7::1/64\"],\"inside\":{\"port\":\"lan\","
		 "\"vlan\":0,\"prefixes\":[\"10.20.0.0/24\",\"10.30.0.0/16\",\"fd00:20::/64\"]},"
		 "\"isolation\":true,\"mtu\":1420,\"mss_clamp\":true,\"outer_udp_checksum\":"
		 "\"zero\"}",
		 key);
	params_are(call(1, "interface.set"), want);
	params_are(call(2, "peer.set"),
		   "{\"interface\":\"wg0\",\"name\":\"alice\",\"public_key\":\"" KEY_A
		   "\",\"allowed_ips\":[\"10.7.0.2/32\",\"fd00:7::2/128\"],"
		   "\"persistent_keepalive\":0,\"enabled\":true}");
	call(3, "route.add");
	params_are(call(4, "route.add"),
		   "{\"prefix\":\"10.30.0.0/16\",\"via\":\"10.20.0.254\",\"interface\":\"wg0\"}");
	params_are(call(5, "neighbour.set"),
		   "{\"port\":\"lan\",\"ip\":\"10.20.0.77\",\"mac\":\"02:00:00:00:00:77\"}");
	params_are(call(6, "authz.mode.set"), "{\"default\":\"observe\"}");
	params_are(call(7, "authz.mode.set"),
		   "{\"prefixes\":[\"10.20.0.10/32\"],\"mode\":\"observe\"}");
	assert_int_equal(c->n_calls, 8);
	assert_int_equal(c->audit.n_sinks, 1);
	assert_string_equal(c->audit.sinks[0].path, "/audit.json");
	assert_int_equal(c->audit.ring_kib, 256);
	assert_string_equal(warnings, "");
}

static void
test_metrics(void **state)
{
	char text[SL_ENDPOINT_STR];

	assert_int_equal(load(PORT), 0);
	assert_false(c->metrics.on);
	assert_int_equal(load(PORT "metrics = { };\n"), 0);
	assert_true(c->metrics.on && c->metrics.peers && !c->metrics.peer_names);
	assert_int_equal(c->metrics.peer_limit, 5000);
	assert_false(c->metrics.mindflavor);
	assert_string_equal(sl_endpoint_str(&c->metrics.listen, text), "127.0.0.1:9586");
	assert_int_equal(load(PORT "metrics = { listen = \"[::1]:9000\"; peers = false; "
				   "peer_limit = 7; peer_names = true; };\n"),
			 0);
	assert_true(c->metrics.on && !c->metrics.peers && c->metrics.peer_names);
	assert_int_equal(c->metrics.peer_limit, 7);
	assert_string_equal(sl_endpoint_str(&c->metrics.listen, text), "[::1]:9000");
	assert_int_equal(load(PORT "metrics = { compat = \"mindflavor\"; };\n"), 0);
	assert_true(c->metrics.mindflavor && c->metrics.peers);
}

static void
test_audit(void **state)
{
	const struct sl_sink_conf *s;
	char text[1024];

	snprintf(text, sizeof(text),
		 PORT "audit = { ring_kib = 1024; sinks = (\n"
		      "{ type = \"file\"; path = \"/a\"; rotate_mb = 0; queue = 100; },\n"
		      "{ type = \"syslog\"; host = \"h\"; name = \"logs\"; },\n"
		      "{ type = \"syslog\"; transport = \"tls\"; host = \"h\"; facility = "
		      "\"local7\"; ca_file = \"%s\"; },\n"
		      "{ type = \"http\"; url = \"https://es\"; index = \"i\"; auth_file = \"%s\"; "
		      "flush_ms = 200; flush_pct = 50; } ); };\n",
		 key, key);
	if (load(text))
		fail_msg("%s", e.message);
	assert_int_equal(c->audit.ring_kib, 1024);
	assert_int_equal(c->audit.n_sinks, 4);
	s = c->audit.sinks;
	assert_int_equal(s[0].kind, SL_SINK_FILE);
	assert_string_equal(s[0].name, "file-0");
	assert_int_equal(s[0].rotate_bytes, 0);
	assert_int_equal(s[0].keep, 5);
	assert_int_equal(s[0].queue_max, 100);
	assert_int_equal(s[1].kind, SL_SINK_SYSLOG_UDP);
	assert_string_equal(s[1].name, "logs");
	assert_int_equal(s[1].port, 514);
	assert_int_equal(s[1].facility, 0);
	assert_int_equal(s[2].kind, SL_SINK_SYSLOG_TLS);
	assert_int_equal(s[2].port, 6514);
	assert_int_equal(s[2].facility, 23);
	assert_string_equal(s[2].ca_file, key);
	assert_int_equal(s[3].kind, SL_SINK_HTTP);
	assert_string_equal(s[3].url, "https://es");
	assert_string_equal(s[3].auth_file, key);
	assert_int_equal(s[3].flush_ms, 200);
	assert_int_equal(s[3].flush_pct, 50);
}

/* What a sink names is looked at with the file, not when the gateway starts alone. */
static void
test_audit_places(void **state)
{
	static const struct {
		const char *sink, *reason, *path;
	} bad[] = {
		{"type=\"http\";index=\"i\";url=\"ftp://x\";", "sink_invalid", "/audit/sinks/url"},
		{"type=\"http\";index=\"i\";url=\"http://x:99999/\";", "sink_invalid",
		 "/audit/sinks/url"},
		{"type=\"http\";index=\"i\";url=\"https://u:p@x/\";", "sink_invalid",
		 "/audit/sinks/url"},
		{"type=\"http\";index=\"i\";url=\"https:///_bulk\";", "sink_invalid",
		 "/audit/sinks/url"},
		{"type=\"http\";index=\"i\";url=\"https://x/\";auth_file=\"/nope\";", "sink_file",
		 "/audit/sinks/0/auth_file"},
		{"type=\"syslog\";host=\"h\";transport=\"tls\";ca_file=\"/nope\";", "sink_file",
		 "/audit/sinks/0/ca_file"},
		{"type=\"file\";path=\"/nope/x.json\";", "sink_file", "/audit/sinks/0/path"},
	};
	char text[512];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text), "%saudit = { sinks = (\n{ %s } ); };\n", PORT,
			 bad[i].sink);
		assert_true(load(text) < 0);
		if (strcmp(e.reason, bad[i].reason) != 0 || strcmp(e.path, bad[i].path) != 0)
			fail_msg("%s: %s at %s", bad[i].sink, e.reason, e.path);
		assert_non_null(strstr(e.message, "sluice.conf:"));
		assert_true(e.hint[0] != 0);
	}
	snprintf(text, sizeof(text),
		 "%saudit = { sinks = ( { type=\"http\";index=\"i\";url=\"http://[::1]:9200\"; } "
		 "); };\n",
		 PORT);
	if (load(text))
		fail_msg("%s", e.message);
}

/* The key goes into the calls by the name of its file only. */
static void
test_no_secret(void **state)
{
	char *text = example(), *dump;

	assert_int_equal(load(text), 0);
	free(text);
	for (unsigned i = 0; i < c->n_calls; i++) {
		dump = json_dumps(c->calls[i].params, 0);
		assert_null(strstr(dump, KEY_B));
		free(dump);
	}
}

static void
test_defaults(void **state)
{
	if (load(PORT))
		fail_msg("%s", e.message);
	assert_string_equal(c->instance, "default");
	assert_int_equal(c->workers, 0);
	assert_int_equal(c->io, 0);
	assert_int_equal(c->n_cpus, 0);
	assert_int_equal(c->idle, SL_PLAN_IDLE_AUTO);
	assert_int_equal(c->hugepages, SL_HUGE_AUTO);
	assert_string_equal(c->state_dir, "/var/lib/sluice/default");
	assert_string_equal(c->run_dir, "/run/sluice/default");
	assert_string_equal(c->rpc_socket, "/run/sluice/default/mgmt.sock");
	assert_true(c->uapi);
	assert_int_equal(c->ports[0].port.mtu, 1500);
	assert_int_equal(c->n_calls, 0);
	assert_int_equal(c->audit.n_sinks, 0);
	assert_int_equal(c->audit.ring_kib, 256);
}

static void
test_values(void **state)
{
	if (load(PORT "instance = \"two\";\n"
		      "system = { workers = 3; io = 1; cpus = [ 0, 2, 4 ]; idle = \"spin\"; "
		      "hugepages = \"off\";\n"
		      "  memory_mb = 512; mbufs = 8192; state_dir = \"/a\"; run_dir = \"/b\"; user "
		      "= \"sluice\";\n"
		      "  allow_unlocked_keys = true; };\n"
		      "control = { tcp = \"[::1]:7480\"; insecure_tcp = true; socket_group = "
		      "\"adm\"; uapi = false; };\n"))
		fail_msg("%s", e.message);
	assert_int_equal(c->workers, 3);
	assert_int_equal(c->io, 1);
	assert_int_equal(c->n_cpus, 3);
	assert_int_equal(c->cpus[2], 4);
	assert_int_equal(c->idle, SL_PLAN_IDLE_SPIN);
	assert_int_equal(c->hugepages, SL_HUGE_OFF);
	assert_int_equal(c->memory_mb, 512);
	assert_int_equal(c->mbufs, 8192);
	assert_string_equal(c->state_dir, "/a");
	assert_string_equal(c->run_dir, "/b");
	assert_string_equal(c->rpc_socket, "/b/mgmt.sock");
	assert_string_equal(c->user, "sluice");
	assert_true(c->allow_unlocked_keys && c->has_rpc_tcp && !c->uapi);
	assert_int_equal(c->rpc_tcp.port, 7480);
	assert_string_equal(c->rpc_socket_group, "adm");
}

/* --instance: what the file did not set follows the name. */
static void
test_instance(void **state)
{
	assert_int_equal(load(PORT), 0);
	assert_int_equal(sl_config_set_instance(c, "two", &e), 0);
	assert_string_equal(c->instance, "two");
	assert_string_equal(c->state_dir, "/var/lib/sluice/two");
	assert_string_equal(c->run_dir, "/run/sluice/two");
	assert_string_equal(c->rpc_socket, "/run/sluice/two/mgmt.sock");
	assert_int_equal(load(PORT "system = { state_dir = \"/a\"; };\n"), 0);
	assert_int_equal(sl_config_set_instance(c, "two", &e), 0);
	assert_string_equal(c->state_dir, "/a");
	assert_string_equal(c->rpc_socket, "/run/sluice/two/mgmt.sock");
	assert_int_equal(sl_config_set_instance(c, "../x", &e), -EINVAL);
	assert_string_equal(e.reason, "instance_invalid");
	assert_int_equal(sl_config_set_instance(c, "", &e), -EINVAL);
	assert_int_equal(sl_config_set_instance(c, "12345678901234567890123456789012", &e),
			 -EINVAL);
}

/* --- mistakes ------------------------------------------------------------------------------- */

#define IFACE(rest)                                                                                \
	"interfaces = (\n { name = \"wg0\";\n" rest " } );\n" /* rest begins in line 4 */

struct bad {
	const char *text;
	unsigned line; /* 0: the file as a whole */
	const char *reason, *says, *hint;
};

#define CP(name, sources, auth, rest)                                                              \
	PORT "interfaces = ( {\n name = \"wg0\"; } );\ncontrol_plane = {\n" name "\n" sources      \
	     "\n" auth "\n" rest "\n};\n"
#define NAME "name = \"gw-1\";"
#define SOURCES "sources = ( { host = \"cp.example.net\"; } );"
#define TOKEN "token_file = \"/etc/passwd\";"
#define WG0 "interfaces = [ \"wg0\" ];"

static const struct bad bad[] = {
	/* remote control */
	{PORT "control = { tls = {\n port = 1; }; };\n", 3, "param_unknown", "control/tls/port",
	 "listen"},
	{PORT "control = { tls = {\n listen = \"here\"; }; };\n", 2, "endpoint_invalid",
	 "ADDRESS:PORT", ""},
	{PORT "control = { tls = {\n listen = \"127.0.0.1:1\"; }; };\n", 2, "param_missing",
	 "cert_file and key_file", ""},
	{PORT "control = { tls = {\n listen = \"127.0.0.1:1\"; cert_file = \"/c\";\n key_file = "
	      "\"/k\"; }; };\n",
	 2, "param_missing", "nobody could log in", ""},
	{PORT "control = { tls = {\n listen = \"127.0.0.1:1\"; cert_file = \"/c\";\n key_file = "
	      "\"/k\"; allow = ( { cn = \"x\"; role = \"viewer\"; } ); }; };\n",
	 2, "param_missing", "ca_file", ""},
	{PORT "control = { tls = {\n cert_file = \"c.pem\"; }; };\n", 3, "path_relative",
	 "cert_file", ""},
	{PORT "control = { tls = {\n allow = (\n { role = \"viewer\"; } ); }; };\n", 4,
	 "param_missing", "exactly one of cn and uri", ""},
	{PORT
	 "control = { tls = {\n allow = (\n { cn = \"x\"; uri = \"sluice://a/b\"; } ); }; };\n",
	 4, "param_missing", "exactly one of cn and uri", ""},
	{PORT "control = { tls = {\n allow = (\n { uri = \"https://a\"; } ); }; };\n", 4,
	 "param_range", "sluice://KIND/NAME", ""},
	{PORT "control = { tls = {\n allow = (\n { cn = \"x\"; role = \"gateway\"; } ); }; };\n", 4,
	 "enum_invalid", "use viewer", ""},
	{PORT "control = { tls = {\n allow = (\n { cn = \"x\"; } ); }; };\n", 4, "enum_invalid",
	 "use viewer", ""},
	{PORT "control = { tls = {\n allow = ( \"x\" ); }; };\n", 3, "param_type", "groups", ""},
	/* syntax and types */
	{PORT "system = { workers = ; };\n", 2, "syntax", "", "semicolon"},
	{PORT "system = { workers = 1; };\nsystem = { };\n", 3, "syntax", "", ""},
	{PORT "sistem = { };\n", 2, "param_unknown", "sistem", "known are"},
	{PORT "system = {\n worker = 1; };\n", 3, "param_unknown", "system/worker", "workers"},
	{PORT "system = {\n workers = \"1\"; };\n", 3, "param_type", "an integer", ""},
	{PORT "system = {\n workers = 1.5; };\n", 3, "param_type", "an integer", ""},
	{PORT "system = {\n workers = 65; };\n", 3, "param_range", "0 to 64", ""},
	{PORT "system = {\n workers = -1; };\n", 3, "param_range", "0 to 64", ""},
	{PORT "system = {\n mbufs = 5000000000L; };\n", 3, "param_range", "mbufs", ""},
	{PORT "system = {\n cpus = [ \"a\" ]; };\n", 3, "param_type", "CPU numbers", ""},
	{PORT "system = {\n cpus = [ -1 ]; };\n", 3, "param_type", "CPU numbers", ""},
	{PORT "system = {\n idle = \"doze\"; };\n", 3, "enum_invalid", "doze", ""},
	{PORT "system = {\n hugepages = \"yes\"; };\n", 3, "enum_invalid", "yes", ""},
	{PORT "system = {\n run_dir = \"run\"; };\n", 3, "path_relative", "run", "begin it"},
	{PORT "system = 1;\n", 2, "param_type", "a group", ""},
	{PORT "instance = \"a b\";\n", 2, "instance_invalid", "letters", ""},
	{PORT "@include \"/dev/null\"\nlog = { level = \"loud\"; };\n", 3, "enum_invalid", "loud",
	 "notice"},
	{PORT "log = { levl = \"info\"; };\n", 2, "param_unknown", "levl", "level"},
	{PORT "routes = ((((((((((((((((((1))))))))))))))))));\n", 2, "syntax", "levels", ""},
	/* where packets go */
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; via = \"10.20.0.77\"; } );\n", 3,
	 "via_ambiguous", "several", "name the port"},
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; via = \"224.0.0.1\"; port = \"lan\"; } );\n",
	 3, "via_invalid", "224.0.0.1", ""},
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; via = \"fd00::1\"; port = \"lan\"; } );\n",
	 3, "via_invalid", "fd00::1", ""},
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; via = \"10.20.0.1\"; port = \"lan\"; } );\n",
	 3, "via_own", "10.20.0.1", ""},
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; } );\n", 3, "route_incomplete", "next hop",
	 ""},
	{NET "routes = (\n { prefix = \"10.9.0.0/16\"; port = \"lan\";\n vlan = 9; } );\n", 4,
	 "vlan_unknown", "VLAN 9", ""},
	{NET INSIDE("port = \"lan\"; prefixes = [ \"10.20.0.0/24\" ];") "routes = (\n { prefix = "
									"\"10.9.0.0/16\"; "
									"interface = \"wg0\"; port "
									"= \"wan\"; } );\n",
	 5, "route_not_inside", "wg0", "underlay"},
	{NET INSIDE("port = \"lan\";") "routes = (\n { prefix = \"10.9.0.0/16\"; port = \"lan\"; "
				       "via = \"10.20.0.77\"; } );\n",
	 5, "inside_required", "outer traffic", "interface"},
	{NET "interfaces = ( { name = \"wg0\"; } );\nroutes = (\n { prefix = \"10.9.0.0/16\"; "
	     "interface = \"wg0\"; via = \"10.20.0.77\"; } );\n",
	 4, "via_unreachable", "10.20.0.77", ""},
	{ONE INSIDE("port = \"wan\";"), 3, "inside_required", "only port", "prefixes"},
	{NET
	 "neighbours = (\n { port = \"lan\"; ip = \"10.20.0.7\"; mac = \"01:00:5e:00:00:01\"; } "
	 ");\n",
	 3, "mac_invalid", "unicast", ""},
	{NET
	 "neighbours = (\n { port = \"lan\"; ip = \"10.20.0.1\"; mac = \"02:00:00:00:00:01\"; } "
	 ");\n",
	 3, "address_invalid", "10.20.0.1", ""},
	{NET "neighbours = (\n { port = \"lan\"; vlan = 8; ip = \"10.20.0.7\"; mac = "
	     "\"02:00:00:00:00:01\"; } );\n",
	 3, "vlan_unknown", "VLAN 8", ""},
	{PORT "interfaces = ( { name = \"wg0\"; peers = (\n { public_key = \"" KEY_A
	      "\"; endpoint = \"224.0.0.1:5\"; } ); } );\n",
	 3, "endpoint_invalid", "224.0.0.1", "unicast"},
	/* control plane */
	{CP("name = \"GW\";", SOURCES, TOKEN, WG0), 5, "name_invalid", "name", "a-z"},
	{CP("", SOURCES, TOKEN, WG0), 4, "name_invalid", "name", ""},
	{CP(NAME, "", TOKEN, WG0), 4, "param_missing", "sources", "host"},
	{CP(NAME, "sources = ( { port = 1; } );", TOKEN, WG0), 6, "param_missing", "host", ""},
	{CP(NAME, "sources = ( { host = \"a\"; port = 0; } );", TOKEN, WG0), 6, "param_range",
	 "port", ""},
	{CP(NAME, "insecure = true; sources = ( { host = \"192.0.2.1\"; } );", TOKEN, WG0), 6,
	 "not_loopback", "encryption", "ca_file"},
	{CP(NAME, SOURCES, "", WG0), 4, "param_missing", "token", "cert_file"},
	{CP(NAME, SOURCES, "cert_file = \"/etc/passwd\";", WG0), 7, "param_missing", "key_file",
	 ""},
	{CP(NAME, SOURCES,
	    "cert_file = \"/etc/passwd\"; key_file = \"/etc/passwd\"; token_file = "
	    "\"/etc/passwd\";",
	    WG0),
	 7, "param_conflict", "one login", "leave out"},
	{CP(NAME, SOURCES, "token_file = \"token\";", WG0), 7, "path_relative", "token_file",
	 "begin it"},
	{CP(NAME, SOURCES, "token_file = \"/nonexistent\";", WG0), 7, "file", "token_file", ""},
	{CP(NAME, SOURCES, TOKEN, ""), 4, "param_missing", "interfaces", "wg0"},
	{CP(NAME, SOURCES, TOKEN, "interfaces = [ \"wg1\" ];"), 4, "interface_unknown", "wg1",
	 "interfaces"},
	{CP(NAME, SOURCES, TOKEN, WG0 " on_control_stale = \"maybe\";"), 8, "enum_invalid",
	 "on_control_stale", "deny-new"},
	{CP(NAME, SOURCES, TOKEN, WG0 " boot_wait_s = 61;"), 8, "param_range", "0 to 60", ""},
	{CP(NAME, SOURCES, TOKEN, WG0) "policy = { file = \"/etc/passwd\"; };\n", 10,
	 "managed_by_control", "policy file", "import"},
	{PORT "interfaces = ( { name = \"wg0\"; peers = (\n { public_key = \"" KEY_A
	      "\"; } ); } );\ncontrol_plane = { " NAME SOURCES TOKEN WG0 " };\n",
	 3, "managed_by_control", "wg0", "import"},
	/* control */
	{PORT "control = {\n tcp = \"127.0.0.1:7480\"; };\n", 3, "insecure_tcp", "not encrypted",
	 "unix socket"},
	{PORT "control = {\n tcp = \"0.0.0.0:7480\"; insecure_tcp = true; };\n", 3, "not_loopback",
	 "0.0.0.0", "127.0.0.1"},
	{PORT "control = {\n tcp = \"localhost\"; insecure_tcp = true; };\n", 3, "endpoint_invalid",
	 "ADDRESS:PORT", ""},
	{PORT "control = {\n socket = \"s\"; };\n", 3, "path_relative", "control/socket", ""},
	/* ports */
	{"log = { level = \"info\"; };\n", 0, "no_ports", "no port", "ports ="},
	{"ports = ( );\n", 0, "no_ports", "no port", ""},
	{"ports = ( 1 );\n", 1, "param_type", "a group", ""},
	{"ports = ( {\n device = \"net_null0\"; } );\n", 1, "param_missing", "name", ""},
	{"ports = ( {\n name = \"wan\"; } );\n", 1, "param_missing", "device", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\";\n mtu = 100; } );\n", 2,
	 "param_range", "1280", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\";\n queues = 2; } );\n", 2,
	 "param_unknown", "queues", "rx_queues"},
	{"ports = ( { name = \"wan\"; device = \"net_null0\";\n addresses = [ \"10.0.0.1/33\" ]; } "
	 ");\n",
	 2, "prefix_invalid", "10.0.0.1/33", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\";\n vlans = ( { addresses = [ ]; } ); "
	 "} );\n",
	 2, "param_missing", "id", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\";\n vlans = ( { id = 4095; } ); } );\n",
	 2, "param_range", "4094", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\"; },\n { name = \"wan\"; device = "
	 "\"net_null1\"; } );\n",
	 2, "name_in_use", "line 1", ""},
	{"ports = ( { name = \"wan\"; device = \"net_null0\"; },\n { name = \"lan\"; device = "
	 "\"net_null0\"; } );\n",
	 2, "device_in_use", "line 1", "VLAN"},
	/* interfaces */
	{PORT "interfaces = ( {\n listen_port = 1; } );\n", 2, "param_missing", "name", ""},
	{PORT IFACE("listen_prt = 1;"), 4, "param_unknown", "listen_prt", "listen_port"},
	{PORT IFACE("listen_port = 70000;"), 4, "param_range", "65535", ""},
	{PORT IFACE("listen_port = 443;"), 4, "port_443", "443", "another"},
	{PORT IFACE("mtu = 100;"), 4, "param_range", "mtu", ""},
	{PORT IFACE("isolation = 1;"), 4, "param_type", "true or false", ""},
	{PORT IFACE("addresses = [ \"10.0.0.1/24\",\n \"x\" ];"), 5, "prefix_invalid", "\"x\"",
	 "for example"},
	{PORT IFACE("inside = {\n port = \"dmz\"; };"), 5, "port_unknown", "dmz", "ports"},
	{PORT IFACE("inside = {\n vlan = 1; };"), 4, "param_missing", "port", ""},
	{PORT IFACE("key_store = \"disk\";"), 4, "enum_invalid", "disk", "memory"},
	{PORT IFACE("private_key = \"" KEY_B "\";"), 4, "param_unknown", "private_key",
	 "private_key_file"},
	{PORT IFACE("private_key_file = \"/nonexistent/wg0.key\";"), 4, "key_file",
	 "/nonexistent/wg0.key", "wg genkey"},
	{PORT IFACE("private_key_file = \"/dev/null\";"), 4, "key_invalid", "/dev/null",
	 "44 characters"},
	{PORT IFACE("private_key_file = \"/tmp\";"), 4, "key_invalid", "/tmp", ""},
	{PORT IFACE("interface = \"x\";"), 4, "param_unknown", "interface", ""},
	{PORT "interfaces = ( { name = \"wg0\"; listen_port = 1; },\n { name = \"wg0\"; "
	      "listen_port = 2; } );\n",
	 3, "name_in_use", "line 2", ""},
	{PORT "interfaces = ( { name = \"wg0\"; listen_port = 7; },\n { name = \"wg1\";\n "
	      "listen_port = 7; } );\n",
	 4, "port_in_use", "line 2", "own UDP port"},
	{PORT "interfaces = ( { name = \"wg0\"; },\n { name = \"wg1\"; } );\n", 3, "port_in_use",
	 "51820", ""},
	{PORT "interfaces = (\n { name = \"a b\"; } );\n", 3, "name_invalid", "letters", ""},
	{PORT "interfaces = (\n { name = \"\xe7g0\"; } );\n", 3, "not_utf8", "UTF-8", ""},
	{PORT "interfaces = (\n { name = \"wg0\"; listen_port = 1e999; } );\n", 3,
	 "number_too_large", "too large", ""},
	/* audit */
	{PORT "audit = {\n ring_kib = 100; };\n", 2, "param_range", "power of two", ""},
	{PORT "audit = {\n ring_kib = 8; };\n", 3, "param_range", "16 to 65536", ""},
	{PORT "audit = {\n sinks = ( 1 ); };\n", 3, "param_type", "a group", ""},
	{PORT "audit = {\n sinks = ( { type = \"fax\"; } ); };\n", 3, "enum_invalid", "syslog", ""},
	{PORT "metrics = {\n listen = \"localhost\"; };\n", 3, "endpoint_invalid",
	 "metrics/listen: ADDRESS:PORT", ""},
	{PORT "metrics = {\n peers = \"on\"; };\n", 3, "param_type", "metrics/peers", "true"},
	{PORT "metrics = {\n peer_limit = 0; };\n", 3, "param_range", "metrics/peer_limit", ""},
	{PORT "metrics = {\n compat = \"wgeasy\"; };\n", 3, "enum_invalid",
	 "metrics/compat: \"mindflavor\"", ""},
	{PORT "metrics = {\n peers = false;\n compat = \"mindflavor\"; };\n", 4,
	 "compat_needs_peers", "peers = false", ""},
	{PORT "metrics = {\n port = 9586; };\n", 3, "param_unknown", "metrics/port", "listen"},
	{PORT "audit = {\n sinks = ( { type = \"file\"; } ); };\n", 3, "path_relative",
	 "absolute path", ""},
	{PORT "audit = {\n sinks = ( { type = \"file\"; path = \"/a\"; host = \"h\"; } ); };\n", 3,
	 "param_unknown", "host", "rotate_mb"},
	{PORT "audit = { sinks = (\n { type = \"file\"; path = \"/a\"; name = \"x\"; },\n { type = "
	      "\"file\"; path = \"/b\"; name = \"x\"; } ); };\n",
	 4, "name_in_use", "two sinks", ""},
	{PORT "audit = {\n sinks = ( { type = \"file\"; path = \"/a\"; name = \"a b\"; } ); };\n",
	 3, "name_invalid", "letters", ""},
	{PORT "audit = {\n sinks = ( { type = \"syslog\"; } ); };\n", 3, "param_missing", "host",
	 ""},
	{PORT "audit = {\n sinks = ( { type = \"syslog\"; host = \"h\"; transport = \"sctp\"; } ); "
	      "};\n",
	 3, "enum_invalid", "udp, tcp or tls", ""},
	{PORT "audit = {\n sinks = ( { type = \"syslog\"; host = \"h\"; facility = \"kern\"; } ); "
	      "};\n",
	 3, "enum_invalid", "local0", ""},
	{PORT "audit = {\n sinks = ( { type = \"http\"; url = \"http://h\"; } ); };\n", 3,
	 "param_missing", "url and index", ""},
	{PORT "audit = {\n sinks = ( { type = \"file\"; path = \"/a\";\n queue = 1; } ); };\n", 4,
	 "param_range", "16 to", ""},
	/* peers */
	{PORT IFACE("peers = ( { public_key = \"short\"; } );"), 4, "key_invalid", "public key",
	 "wg pubkey"},
	{PORT IFACE("peers = ( { name = \"a\"; } );"), 4, "param_missing", "public_key", ""},
	{PORT IFACE("peers = [ ];"), 4, "param_type", "list", ""},
	{PORT IFACE("peers = ( 1 );"), 4, "param_type", "group", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A
		    "\";\n preshared_key_file = \"/nonexistent/psk\"; } );"),
	 5, "key_file", "psk", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A "\";\n endpoint = \"host:1\"; } );"), 5,
	 "endpoint_invalid", "host:1", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A "\"; },\n { public_key = \"" KEY_A
		    "\"; } );"),
	 5, "peer_twice", "line 4", ""},
	{PORT IFACE("peers = ( { name = \"a\"; public_key = \"" KEY_A
		    "\"; },\n { name = \"a\"; public_key = \"" KEY_B "\"; } );"),
	 5, "name_in_use", "line 4", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A
		    "\"; allowed_ips = [ \"10.7.0.2/32\" ]; },\n { public_key = \"" KEY_B
		    "\";\n allowed_ips = [ \"10.7.0.3/32\",\n \"10.7.0.2\" ]; } );"),
	 7, "allowed_conflict", "line 4", "longer"},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A
		    "\"; allowed_ips = [ \"fd00:0::/64\" ]; },\n { public_key = \"" KEY_B
		    "\"; allowed_ips = [ \"fd00::/64\" ]; } );"),
	 5, "allowed_conflict", "fd00::/64", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A
		    "\"; allowed_ips = [ \"10.0.0.0/33\" ]; } );"),
	 4, "prefix_invalid", "10.0.0.0/33", ""},
	{PORT IFACE("peers = ( { public_key = \"" KEY_A "\"; interface = \"wg1\"; } );"), 4,
	 "param_unknown", "interface", ""},
	/* routes, neighbours, modes */
	{PORT "routes = ( { prefix = \"10.0.0.0/8\"; via = \"x\"; } );\n", 2, "ip_invalid", "\"x\"",
	 ""},
	{PORT "routes = ( { via = \"10.0.0.1\"; } );\n", 2, "param_missing", "prefix", ""},
	{PORT
	 "routes = ( { prefix = \"10.0.0.0/8\";\n interface = \"wg7\"; via = \"10.0.0.1\"; } );\n",
	 3, "interface_unknown", "wg7", ""},
	{PORT "routes = ( { prefix = \"10.0.0.0/8\";\n port = \"x\"; } );\n", 3, "port_unknown",
	 "\"x\"", ""},
	{PORT "neighbours = ( { port = \"wan\"; ip = \"10.0.0.1\";\n mac = \"1:2\"; } );\n", 3,
	 "mac_invalid", "1:2", ""},
	{PORT "neighbours = ( 5 );\n", 2, "param_type", "group", ""},
	{PORT "authz = {\n mode = \"off\"; };\n", 3, "enum_invalid", "off", "enforce"},
	{PORT "authz = {\n panic = true; };\n", 3, "param_unknown", "panic", ""},
	{PORT "authz = { mode = \"observe\";\n prefixes = ( { prefix = \"x\"; mode = \"observe\"; "
	      "} ); };\n",
	 3, "prefix_invalid", "\"x\"", ""},
	{PORT "authz = { mode = \"observe\";\n log_required = [ \"db\" ]; };\n", 3,
	 "prefix_invalid", "\"db\"", "10.20.0.0/16"},
	{PORT "authz = { mode = \"observe\";\n log_required = [ \"10.0.0.1/8\" ]; };\n", 3,
	 "prefix_invalid", "10.0.0.1/8", "at run time"},
	{PORT "authz = { mode = \"observe\";\n log_required = [ 1 ]; };\n", 3, "prefix_invalid",
	 "no prefix", ""},
	{PORT "authz = { mode = \"observe\";\n prefixes = ( 1 ); };\n", 3, "param_type", "entry",
	 ""},
};

static void
test_mistakes(void **state)
{
	char place[96];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		const struct bad *b = &bad[i];
		int rc = load(b->text);

		if (b->line)
			snprintf(place, sizeof(place), "%s:%u: ", file, b->line);
		else
			snprintf(place, sizeof(place), "%s: ", file);
		if (rc >= 0 || rc != e.err || c || strcmp(e.reason, b->reason) ||
		    strncmp(e.message, place, strlen(place)) || !strstr(e.message, b->says) ||
		    !strstr(e.hint, b->hint))
			fail_msg("%s\n%d %s: %s [%s] (%s)\nwanted line %u %s \"%s\" (%s)", b->text,
				 rc, e.reason, e.message, e.path, e.hint, b->line, b->reason,
				 b->says, b->hint);
		assert_null(strstr(e.message, KEY_B));
	}
}

static void
test_files(void **state)
{
	char link[80];

	assert_int_equal(sl_config_load("/nonexistent/sluice.conf", &c, &e), -ENOENT);
	assert_string_equal(e.reason, "file");
	assert_non_null(strstr(e.message, "/nonexistent/sluice.conf"));
	assert_non_null(strstr(e.hint, "-c FILE"));
	assert_null(c);
	assert_true(sl_config_load("/tmp", &c, &e) < 0);
	assert_true(sl_config_load("/dev/null", &c, &e) < 0);
	assert_string_equal(e.reason, "no_ports");
	/* a part of the file in another one: lines would lie */
	snprintf(link, sizeof(link), "%s/part.conf", dir);
	put(link, "log = { level = \"info\"; };\n");
	{
		char text[256];

		snprintf(text, sizeof(text), PORT "@include \"%s\"\n", link);
		assert_int_equal(load(text), -EINVAL);
	}
	assert_string_equal(e.reason, "include");
	unlink(link);
}

/** A peer with the key of its own interface; and what the gateway takes is not refused. */
static void
test_hops(void **state)
{
	char text[1024], pub[SL_KEY_B64_LEN + 1];
	struct sl_secret own;
	struct sl_pubkey p;

	assert_int_equal(sl_key_from_base64(KEY_B, own.b), 0);
	sl_x25519_public(&p, &own);
	sl_key_to_base64(p.b, pub);
	snprintf(text, sizeof(text),
		 PORT "interfaces = ( { name = \"wg0\"; private_key_file = \"%s\"; peers = (\n"
		      "{ public_key = \"" KEY_A "\"; },\n{ public_key = \"%s\"; } ); } );\n",
		 key, pub);
	assert_int_equal(load(text), -EINVAL);
	assert_string_equal(e.reason, "peer_is_self");
	assert_non_null(strstr(e.message, "sluice.conf:4: "));
	if (load(NET INSIDE(
		    "port = \"lan\";") "routes = ( { prefix = \"0.0.0.0/0\"; via = "
				       "\"192.0.2.254\"; }, { prefix = \"10.9.0.0/16\"; via = "
				       "\"10.20.0.77\"; interface = \"wg0\"; }, { prefix = "
				       "\"10.8.0.0/16\"; blackhole = true; } );\nneighbours = ( { "
				       "port "
				       "= \"lan\"; vlan = 5; ip = \"10.20.0.7\"; mac = "
				       "\"02:00:00:00:00:01\"; } );\n"))
		fail_msg("%s", e.message);
	if (load(ONE INSIDE("port = \"wan\"; vlan = 7;") "routes = ( { prefix = \"10.9.0.0/16\"; "
							 "port = \"wan\"; vlan = 7; interface = "
							 "\"wg0\"; } );\n"))
		fail_msg("%s", e.message);
}

/** A file of these bytes. */
static int
load_bytes(const char *text, size_t n)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
	sl_config_free(c);
	c = NULL;
	return sl_config_load(file, &c, &e);
}

/** Refused as no text in UTF-8, in this line and with a remedy. */
static void
not_text(const char *bytes, size_t n, unsigned line, const char *says)
{
	char want[128];

	assert_int_equal(load_bytes(bytes, n), -EINVAL);
	assert_string_equal(e.reason, "not_utf8");
	snprintf(want, sizeof(want), "%s:%u: %s", file, line, says);
	assert_string_equal(e.message, want);
	assert_non_null(strstr(e.hint, "iconv"));
}

static void
test_encodings(void **state)
{
	static const char little[] = "\xff\xfep\0o\0", big[] = "\xfe\xff\0p\0o",
			  bare[] = "p\0o\0r\0", bare_big[] = "\0p\0o", zero[] = "#\n" PORT "#\0\n";

	assert_int_equal(load("\xef\xbb\xbf" PORT), 0); /* lines are those of the file */
	assert_int_equal(load("\xef\xbb\xbf# a\r\n" PORT "x\r\n"), -EINVAL);
	assert_non_null(strstr(e.message, ":4: syntax error"));
	assert_int_equal(load("\xef\xbb\xbf"), -EINVAL);
	assert_string_equal(e.reason, "no_ports");
	not_text(little, sizeof(little) - 1, 1, "this is UTF-16");
	not_text(big, sizeof(big) - 1, 1, "this is UTF-16");
	not_text(bare, sizeof(bare) - 1, 1, "this is UTF-16");
	not_text(bare_big, sizeof(bare_big) - 1, 1, "this is UTF-16");
	not_text(zero, sizeof(zero) - 1, 3, "a byte that is zero: this is no text");
}

/** As `sluiced -c <(program)` gives it. */
static void
test_pipe(void **state)
{
	char path[32];
	int fd[2];

	assert_int_equal(pipe(fd), 0);
	assert_int_equal(write(fd[1], PORT, strlen(PORT)), strlen(PORT));
	close(fd[1]);
	snprintf(path, sizeof(path), "/dev/fd/%d", fd[0]);
	assert_int_equal(sl_config_load(path, &c, &e), 0);
	close(fd[0]);
}

static void
test_key_mode(void **state)
{
	char text[256];

	snprintf(text, sizeof(text),
		 PORT "interfaces = ( { name = \"wg0\"; private_key_file = \"%s\"; } );\n", key);
	assert_int_equal(load(text), 0);
	assert_string_equal(warnings, "");
	chmod(key, 0644);
	assert_int_equal(load(text), 0);
	assert_non_null(strstr(warnings, "chmod 600"));
	assert_null(strstr(warnings, KEY_B));
	chmod(key, 0600);
}

/* The policy that the file names is checked with it. */
static void
test_policy(void **state)
{
	static const char ports[] = "ports = ( { name = \"p\"; device = \"net_null0\"; } );\n";
	char doc[80], text[512];

	snprintf(doc, sizeof(doc), "%s/policy.json", dir);
	snprintf(text, sizeof(text),
		 "%spolicy = {\n  rules_per_role = 40;\n  prefixes = 500;\n  flows_max = 2048;\n"
		 "  file = \"%s\";\n};\n",
		 ports, doc);
	put(doc, "{\"version\": 3, // a comment\n}");
	if (load(text))
		fail_msg("%s", e.message);
	assert_string_equal(c->policy_file, doc);
	assert_int_equal(c->policy_rules, 40);
	assert_int_equal(c->policy_prefixes, 500);
	assert_int_equal(c->policy_flows, 2048);
	/* a rule that has ended since: the gateway starts all the same */
	put(doc,
	    "{\"version\": 3, \"roles\": {\"r\": {}}, \"rules\": [{\"id\": 1, \"role\": \"r\", "
	    "\"to\": [\"*\"], \"protocol\": \"tcp\", \"action\": \"allow\", "
	    "\"expires\": \"2020-01-01\"}]}");
	if (load(text))
		fail_msg("%s", e.message);
	put(doc, "{\"version\": 3, \"rules\": [{\"id\": 1, \"role\": \"no\", \"to\": [\"*\"], "
		 "\"protocol\": \"tcp\", \"action\": \"allow\"}]}");
	assert_true(load(text) < 0);
	assert_string_equal(e.reason, "role_unknown");
	assert_non_null(strstr(e.message, "sluice.conf:6: "));
	assert_non_null(strstr(e.message, "policy.json: /rules/0/role: "));
	unlink(doc);
	assert_int_equal(load(text), -ENOENT);
	snprintf(text, sizeof(text), "%s:6: %s: No such file or directory", file, doc);
	assert_string_equal(e.message, text);
	snprintf(text, sizeof(text), "%spolicy = { file = \"policy.json\"; };\n", ports);
	assert_int_equal(load(text), -EINVAL);
	assert_string_equal(e.reason, "path_relative");
	snprintf(text, sizeof(text), "%spolicy = { rules_per_role = 1025; };\n", ports);
	assert_int_equal(load(text), -EINVAL);
	assert_string_equal(e.reason, "param_range");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_example, clean),
		cmocka_unit_test_teardown(test_control_plane, clean),
		cmocka_unit_test_teardown(test_no_secret, clean),
		cmocka_unit_test_teardown(test_metrics, clean),
		cmocka_unit_test_teardown(test_audit, clean),
		cmocka_unit_test_teardown(test_audit_places, clean),
		cmocka_unit_test_teardown(test_defaults, clean),
		cmocka_unit_test_teardown(test_values, clean),
		cmocka_unit_test_teardown(test_instance, clean),
		cmocka_unit_test_teardown(test_mistakes, clean),
		cmocka_unit_test_teardown(test_files, clean),
		cmocka_unit_test_teardown(test_hops, clean),
		cmocka_unit_test_teardown(test_encodings, clean),
		cmocka_unit_test_teardown(test_pipe, clean),
		cmocka_unit_test_teardown(test_key_mode, clean),
		cmocka_unit_test_teardown(test_policy, clean),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	snprintf(file, sizeof(file), "%s/sluice.conf", dir);
	snprintf(key, sizeof(key), "%s/wg0.key", dir);
	put(key, KEY_B "\n");
	sl_log_set_sink(sink, NULL);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(file);
	unlink(key);
	rmdir(dir);
	return rc;
}
