/* SPDX-License-Identifier: BSD-3-Clause */
/* policy.*, role.*: what handlers add to the gateway model: parts, pages, who may, answers that
 * come later, explanations. */
#include <sys/stat.h>
#include <arpa/inet.h>
#include <pcap/pcap.h>
#include <time.h>
#include <unistd.h>

#include "rpc_fixture.h"
#include "sl_gw_policy.h"

static struct rx r;

static const char doc[] =
	"{\"version\":4, // what may be reached\n"
	"\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":[\"10.20.0.0/24\"]}},"
	"\"targets\":{\"db\":{\"addresses\":[\"10.20.0.10/32\"]}},"
	"\"roles\":{\"eng\":{\"members\":[\"peer:alice\"]},\"idle\":{}},"
	"\"rules\":[{\"id\":5,\"role\":\"eng\",\"to\":[\"db\"],\"protocol\":\"tcp\",\"ports\":[22],"
	"\"action\":\"allow\"},{\"id\":6,\"role\":\"eng\",\"to\":[\"*\"],\"protocol\":\"udp\","
	"\"action\":\"deny\",\"enabled\":false}]}";

static int
setup(void **state)
{
	rx_init(&r);
	return 0;
}

static int
teardown(void **state)
{
	rx_fini(&r);
	return 0;
}

static char *
params_with(const char *name, const char *value, const char *more)
{
	json_t *p = json_loads(more, 0, NULL);
	char *text;

	assert_non_null(p);
	json_object_set_new(p, name, json_string(value));
	text = json_dumps(p, 0);
	json_decref(p);
	return text;
}

static json_t *
call_with(const char *method, const char *name, const char *value, const char *more)
{
	char *text = params_with(name, value, more);
	json_t *result = rx_call(&r, method, text);

	free(text);
	return result;
}

static void
refused_with(const char *method, const char *name, const char *value, const char *more, int err,
	     const char *reason, const char *path)
{
	char *text = params_with(name, value, more);

	rx_refused_at(&r, method, text, err, reason, path, __FILE__, __LINE__);
	free(text);
}

static const char *
text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "(none)";
}

static json_int_t
number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static void
test_load(void **state)
{
	json_t *v = call_with("policy.load", "text", doc, "{}");
	char *said;

	assert_int_equal(number(v, "version"), 4);
	assert_int_equal(number(v, "rules"), 2);
	assert_true(number(v, "generation") > 0);
	json_decref(v);
	assert_non_null(strstr(r.log, "audit: policy.load by uid:0"));
	v = rx_call(&r, "policy.status", NULL);
	assert_int_equal(number(v, "version"), 4);
	assert_string_equal(text(v, "origin"), "rpc");
	json_decref(v);
	refused_with("policy.load", "file", "/nonexistent", "{}", -ENOENT, "file", "/file");
	v = rx_call(&r, "policy.status", NULL);
	assert_non_null(strstr(text(v, "last_error"), "/nonexistent"));
	json_decref(v);
	refused_with("policy.load", "text", "{", "{}", -EINVAL, "json_syntax", "");
	refused_with("policy.load", "text", doc, "{\"file\":\"/x\"}", -EINVAL, "param_conflict",
		     "");
	refused_with("policy.load", "text", doc, "{\"if_version\":3}", -EBUSY, "version_mismatch",
		     "/if_version");
	refused_with("policy.load", "file", "x", "{}", -EINVAL, "path_relative", "/file");
	v = rx_call(&r, "policy.status", NULL);
	assert_int_equal(number(v, "version"), 4);
	assert_non_null(strstr(text(v, "last_error"), "json_syntax"));
	json_decref(v);
	v = rx_call(&r, "sys.health", NULL);
	said = json_dumps(json_object_get(v, "problems"), 0);
	assert_non_null(strstr(said, "the last policy was refused"));
	free(said);
	json_decref(v);
	v = call_with("policy.validate", "text", "{\"version\":9}", "{}");
	assert_true(json_is_true(json_object_get(v, "dry_run")));
	assert_null(json_object_get(v, "generation"));
	json_decref(v);
	v = rx_call(&r, "policy.test", NULL);
	assert_int_equal(number(v, "version"), 4);
	json_decref(v);
}

static void
test_parts(void **state)
{
	size_t half = strlen(doc) / 2;
	char first[sizeof(doc)], id[40], more[120];
	json_t *v;

	snprintf(first, sizeof(first), "%.*s", (int)half, doc);
	v = call_with("policy.load", "text", first, "{\"part\":0}");
	snprintf(id, sizeof(id), "%s", text(v, "upload"));
	assert_int_equal(strlen(id), 32);
	assert_int_equal(number(v, "received"), half);
	json_decref(v);
	snprintf(more, sizeof(more), "{\"part\":2,\"last\":true,\"upload\":\"%s\"}", id);
	refused_with("policy.load", "text", doc + half, more, -EINVAL, "part_order", "/part");
	snprintf(more, sizeof(more), "{\"part\":1,\"last\":true,\"upload\":\"%s\"}", id);
	v = call_with("policy.load", "text", doc + half, more);
	assert_int_equal(number(v, "version"), 4);
	json_decref(v);
	refused_with("policy.load", "text", doc + half, more, -ENOENT, "upload_unknown", "/upload");
	/* four at a time; who stands still for two minutes is forgotten */
	for (unsigned i = 0; i < 4; i++)
		json_decref(call_with("policy.load", "text", "{", "{\"part\":0}"));
	refused_with("policy.load", "text", "{", "{\"part\":0}", -EBUSY, "limit_uploads", "");
	r.fx.now_ns += 121 * S;
	json_decref(call_with("policy.load", "text", "{", "{\"part\":0}"));
}

/* Files are read by the gateway, which may more than its caller. */
static void
test_who_may(void **state)
{
	static const struct sl_rpc_caller someone = {SL_RPC_VIA_UNIX, "uid:1000",
						     &sl_service_local};
	json_t *p = json_pack("{s:s}", "file", "/etc/hostname"), *v;

	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "policy.load", p, &v, &r.e), -EPERM);
	assert_string_equal(r.e.reason, "local_only_setting");
	if (geteuid() == 0) {
		assert_int_equal(sl_rpc_call(r.rpc, &someone, "policy.load", p, &v, &r.e), -EPERM);
		assert_string_equal(r.e.reason, "not_permitted");
	}
	json_decref(p);
	p = json_pack("{s:s}", "text", doc); /* but a document may come from afar */
	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "policy.load", p, &v, &r.e), 0);
	json_decref(v);
	json_decref(p);
}

static void
test_show(void **state)
{
	json_t *v, *rules;
	char *all;

	json_decref(call_with("policy.load", "text", doc, "{}"));
	v = rx_call(&r, "policy.show", "{\"limit\":1}");
	rx_is(json_object_get(v, "rules"),
	      "[{\"rule\":\"eng/"
	      "5\",\"action\":\"allow\",\"priority\":128,\"src\":[],\"to\":[\"db\"],"
	      "\"protocol\":\"tcp\",\"ports\":[\"22\"],\"flags\":[\"log\"]}]");
	assert_int_equal(number(v, "next"), 1);
	json_decref(v);
	v = rx_call(&r, "policy.show", "{\"after\":1}");
	rules = json_object_get(v, "rules");
	rx_is(json_object_get(json_array_get(rules, 0), "flags"), "[\"log\",\"off\"]");
	rx_is(json_object_get(json_array_get(rules, 0), "to"), "[\"*\"]");
	assert_null(json_object_get(v, "next"));
	json_decref(v);
	v = rx_call(&r, "policy.show", "{\"part\":\"text\"}");
	assert_string_equal(json_string_value(json_array_get(json_object_get(v, "text"), 0)), doc);
	json_decref(v);
	v = rx_call(&r, "policy.show", "{\"part\":\"document\"}");
	all = strdup(json_string_value(json_array_get(json_object_get(v, "text"), 0)));
	json_decref(v);
	assert_null(strstr(all, "what may be reached"));
	json_decref(call_with("policy.load", "text", all, "{}")); /* it is a document itself */
	free(all);
	rx_refused_at(&r, "policy.show", "{\"role\":\"no\"}", -ENOENT, "role_unknown", "/role",
		      __FILE__, __LINE__);
	v = rx_call(&r, "policy.lint", NULL);
	assert_true(json_array_size(json_object_get(v, "lints")) > 0); /* idle has nobody */
	json_decref(v);
}

/* What the control plane gives is told too, last, also of a role that is not there yet. */
static void
test_given_by_control(void **state)
{
	struct sl_pol_member m = {.peer = "alice", .place.iface = "wg0"};
	json_t *v;

	json_decref(call_with("policy.load", "text", doc, "{}"));
	assert_int_equal(sl_gw_fed_put(r.fx.gw, "eng", &m, false, &r.e), 0);
	assert_int_equal(sl_gw_fed_put(r.fx.gw, "none", &m, false, &r.e), 0);
	v = rx_call(&r, "role.members", "{\"role\":\"eng\"}");
	rx_is(json_object_get(v, "members"),
	      "[{\"role\":\"eng\",\"member\":\"peer:alice\",\"source\":\"static\",\"state\":"
	      "\"active\",\"active\":true,\"beside\":false,\"control\":false},{\"role\":\"eng\","
	      "\"member\":\"peer:alice@wg0\","
	      "\"source\":\"static\",\"state\":\"active\",\"active\":true,\"beside\":false,"
	      "\"control\":true}]");
	json_decref(v);
	v = rx_call(&r, "role.members", NULL);
	rx_is(json_array_get(json_object_get(v, "members"),
			     json_array_size(json_object_get(v, "members")) - 1),
	      "{\"role\":\"none\",\"member\":\"peer:alice@wg0\",\"source\":\"static\","
	      "\"state\":\"pending\",\"active\":false,\"beside\":false,\"control\":true}");
	json_decref(v);
}

static void
test_roles(void **state)
{
	json_t *v;

	json_decref(call_with("policy.load", "text", doc, "{}"));
	rx_do(&r, "role.member.add",
	      "{\"role\":\"eng\",\"prefix\":\"10.7.3.0/24\",\"interface\":\"wg0\","
	      "\"expires\":\"2030-01-01T00:00:00Z\",\"provider\":\"corp\",\"user\":\"u1\"}");
	v = rx_call(&r, "role.members", "{\"role\":\"eng\"}");
	rx_is(json_object_get(v, "members"),
	      "[{\"role\":\"eng\",\"member\":\"peer:alice\",\"source\":\"static\",\"state\":"
	      "\"active\",\"active\":true,\"beside\":false,\"control\":false},{\"role\":\"eng\","
	      "\"member\":\"10.7.3.0/"
	      "24@wg0\",\"source\":\"idp\","
	      "\"provider\":\"corp\",\"detail\":\"u1\",\"expires\":\"2030-01-01T00:00:00Z\","
	      "\"state\":\"active\",\"active\":true,\"beside\":true,\"control\":false}]");
	json_decref(v);
	v = rx_call(&r, "role.list", NULL);
	assert_int_equal(number(json_array_get(json_object_get(v, "roles"), 0), "members_beside"),
			 1);
	assert_int_equal(number(json_array_get(json_object_get(v, "roles"), 0), "rules"), 2);
	json_decref(v);
	rx_refused_at(&r, "role.member.add", "{\"role\":\"eng\"}", -EINVAL, "param_conflict", "",
		      __FILE__, __LINE__);
	rx_refused_at(&r, "role.member.add",
		      "{\"role\":\"eng\",\"peer\":\"alice\",\"expires\":\"soon\"}", -EINVAL,
		      "time_invalid", "/expires", __FILE__, __LINE__);
	rx_refused_at(&r, "role.member.add",
		      "{\"role\":\"eng\",\"peer\":\"alice\",\"expires\":\"2001-01-01\"}", -EINVAL,
		      "expired", "/expires", __FILE__, __LINE__);
	rx_refused_at(&r, "role.member.add", "{\"role\":\"eng\",\"peer\":\"alice\",\"user\":\"u\"}",
		      -EINVAL, "param_missing", "/provider", __FILE__, __LINE__);
	rx_do(&r, "role.member.remove",
	      "{\"role\":\"eng\",\"prefix\":\"10.7.3.0/24\",\"interface\":\"wg0\"}");
	rx_refused_at(&r, "role.member.remove",
		      "{\"role\":\"eng\",\"prefix\":\"10.7.3.0/24\",\"interface\":\"wg0\"}",
		      -ENOENT, "not_found", "/prefix", __FILE__, __LINE__);
}

/* When their time comes members are named, all of them, in records of 64 at most. */
static void
test_members_expire(void **state)
{
	static const char with_zoe[] =
		"{\"version\":4,\"roles\":{\"eng\":{\"members\":[\"peer:alice\","
		"{\"peer\":\"zoe\",\"expires\":\"2030-01-01T00:00:00Z\"}]}}}";
	unsigned named = 0, of_zoe = 0;
	json_t *v, *record, *member;
	char params[160];
	size_t i, k;

	json_decref(call_with("policy.load", "text", with_zoe, "{}"));
	v = rx_call(&r, "role.members", "{\"role\":\"eng\"}");
	assert_string_equal(text(json_array_get(json_object_get(v, "members"), 0), "state"),
			    "active");
	assert_string_equal(text(json_array_get(json_object_get(v, "members"), 1), "state"),
			    "pending");
	json_decref(v);
	for (i = 0; i < 70; i++) {
		snprintf(params, sizeof(params),
			 "{\"role\":\"eng\",\"prefix\":\"10.9.%zu.0/24\",\"interface\":\"wg0\","
			 "\"expires\":\"2030-01-01T00:00:00Z\"}",
			 i);
		rx_do(&r, "role.member.add", params);
	}
	r.fx.wall_ns = 1893456001 * S; /* 2030-01-01T00:00:01Z */
	rx_pass(&r, 4);
	sl_drain_poll(r.drain);
	v = rx_call(&r, "audit.recent", "{\"action\":\"members_expired\"}");
	json_array_foreach (json_object_get(v, "records"), i, record) {
		record = json_object_get(record, "sluice");
		assert_int_equal(number(record, "count"),
				 json_array_size(json_object_get(record, "members")));
		assert_in_range(number(record, "count"), 1, 64);
		named += (unsigned)number(record, "count");
		json_array_foreach (json_object_get(record, "members"), k, member) {
			assert_string_equal(text(member, "role"), "eng");
			assert_string_equal(text(member, "state"), "expired");
			of_zoe += strcmp(text(member, "member"), "peer:zoe") == 0;
		}
	}
	assert_int_equal(named, 71);
	assert_int_equal(of_zoe, 1);
	json_decref(v);
	v = rx_call(&r, "audit.recent", "{\"action\":\"member_removed\"}");
	assert_int_not_equal(json_array_size(json_object_get(v, "records")), 0);
	json_array_foreach (json_object_get(v, "records"), i, record) {
		record = json_object_get(record, "sluice");
		assert_string_equal(text(record, "role"), "eng");
		assert_memory_equal(text(record, "holder"), "10.9.", 5);
		assert_string_equal(text(record, "interface"), "wg0");
		assert_string_equal(text(record, "why"), "expired");
	}
	json_decref(v);
	v = rx_call(&r, "role.members", "{\"role\":\"eng\"}");
	rx_is(json_array_get(json_object_get(v, "members"), 1),
	      "{\"role\":\"eng\",\"member\":\"peer:zoe\",\"source\":\"static\",\"state\":"
	      "\"expired\","
	      "\"expires\":\"2030-01-01T00:00:00Z\",\"active\":false,\"beside\":false,"
	      "\"control\":false}");
	json_decref(v);
}

/* --- explain --------------------------------------------------------------------------------- */

static void
explained(const char *params, const char *verdict, const char *effective, const char *why,
	  const char *because)
{
	json_t *v = rx_call(&r, "policy.explain", params);
	json_t *role = json_array_get(json_object_get(v, "roles"), 0);

	if (strcmp(text(v, "verdict"), verdict) || strcmp(text(v, "effective"), effective) ||
	    strcmp(text(v, "why"), why) || (because && !strstr(text(role, "because"), because)))
		fail_msg("%s: %s %s %s, %s", params, text(v, "verdict"), text(v, "effective"),
			 text(v, "why"), text(role, "because"));
	json_decref(v);
}

static void
test_explain(void **state)
{
	explained("{\"peer\":\"alice\",\"dst\":\"10.20.0.10\",\"dport\":22}", "deny", "forwarded",
		  "no_role", NULL);
	json_decref(call_with("policy.load", "text", doc, "{}"));
	explained("{\"peer\":\"alice\",\"dst\":\"10.20.0.10\",\"dport\":22}", "allow", "forwarded",
		  "rule", "rule 5 matches with priority 128");
	explained("{\"src\":\"10.7.0.2\",\"dst\":\"10.20.0.10\",\"dport\":23}", "deny", "forwarded",
		  "zone_default", "nearest is rule 5, but for the port");
	rx_do(&r, "authz.mode.set", "{\"default\":\"enforce\",\"force\":true}");
	explained("{\"src\":\"10.7.0.2\",\"dst\":\"10.20.0.11\",\"dport\":22}", "deny", "dropped",
		  "zone_default", "but for the destination");
	explained("{\"src\":\"10.7.0.2\",\"dst\":\"10.20.0.10\",\"protocol\":\"udp\",\"dport\":22}",
		  "deny", "dropped", "zone_default", "but for the protocol");
	/* no peer's address: dropped whatever the policy says */
	explained("{\"src\":\"10.7.0.99\",\"dst\":\"10.20.0.10\"}", "deny", "dropped", "no_role",
		  NULL);
	explained("{\"from\":\"inside\",\"src\":\"10.20.0.10\",\"dst\":\"10.7.0.2\",\"sport\":22}",
		  "deny", "dropped", "no_role", "no bidirectional rule");
	rx_refused_at(&r, "policy.explain", "{\"peer\":\"alice\",\"protocol\":\"x\"}", -EINVAL,
		      "enum_invalid", "/protocol", __FILE__, __LINE__);
	rx_refused_at(&r, "policy.explain", "{\"peer\":\"alice\"}", -EINVAL, "address_missing",
		      "/dst", __FILE__, __LINE__);
}

static void
write_capture(const char *file, int link, unsigned before, unsigned cut)
{
	uint8_t p[14 + 40] = {0}, *ip = p + before;
	pcap_t *cap = pcap_open_dead(link, 65535);
	pcap_dumper_t *d = pcap_dump_open(cap, file);
	struct pcap_pkthdr h = {.caplen = before + 40 - cut, .len = before + 40};
	static const uint8_t head[] = {0x45, 0, 0, 40, 0,  0,  0, 0,  64,   6,	  0, 0,
				       10,   7, 0, 2,  10, 20, 0, 10, 0x9c, 0x40, 0, 22};

	assert_non_null(d);
	if (before)
		memcpy(p + 12, "\x08\x00", 2);
	memcpy(ip, head, sizeof(head));
	ip[32] = 0x50;
	pcap_dump((u_char *)d, &h, p);
	pcap_dump_close(d);
	pcap_close(cap);
}

/* --- simulate -------------------------------------------------------------------------------- */

/** @param want "VERDICT WHY VERSION" and the votes of the trace */
static void
simulated(const char *document, const char *params, const char *want)
{
	json_t *v = document ? call_with("policy.simulate", "text", document, params)
			     : rx_call(&r, "policy.simulate", params);
	char said[256];
	json_t *role;
	size_t i, n;

	n = (size_t)snprintf(said, sizeof(said), "%s %s %lld", text(v, "verdict"), text(v, "why"),
			     (long long)number(v, "policy_version"));
	json_array_foreach (json_object_get(v, "trace"), i, role)
		n += (size_t)snprintf(said + n, sizeof(said) - n, " %s:%s:%s", text(role, "role"),
				      text(role, "through"), text(role, "vote"));
	if (strcmp(said, want) != 0)
		fail_msg("%s: %s, wanted %s", params, said, want);
	json_decref(v);
}

#define TO_DB "\"dst\":\"10.20.0.10\",\"dport\":22}"
#define REFUSED(params, err, reason, path)                                                         \
	rx_refused_at(&r, "policy.simulate", params, err, reason, path, __FILE__, __LINE__)

static void
test_simulate(void **state)
{
	static const char ending[] =
		"{\"version\":9,\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":"
		"[\"10.20.0.0/24\"]}},\"roles\":{\"eng\":{\"members\":[{\"peer\":\"alice\","
		"\"expires\":\"2099-01-01\"}]}},\"rules\":[{\"id\":5,\"role\":\"eng\",\"to\":"
		"[\"10.20.0.10/32\"],\"protocol\":\"tcp\",\"action\":\"allow\",\"not_before\":"
		"\"2098-01-01\"}]}";

	REFUSED("{\"peer\":\"alice\"," TO_DB, -ENOENT, "not_found", "");
	simulated(doc, "{\"peer\":\"alice\"," TO_DB, "allow rule 0 eng:peer:allow");
	json_decref(call_with("policy.load", "text", doc, "{}"));
	/* in force, and by whom: a peer, an address of it, roles, nobody */
	simulated(NULL, "{\"peer\":\"alice\"," TO_DB, "allow rule 4 eng:peer:allow");
	simulated(NULL, "{\"src\":\"10.7.0.2\"," TO_DB, "allow rule 4 eng:peer:allow");
	simulated(NULL, "{\"roles\":[\"idle\",\"eng\"]," TO_DB,
		  "allow rule 4 eng:source:allow idle:source:none");
	simulated(NULL, "{\"roles\":[\"idle\"]," TO_DB, "deny zone_default 4 idle:source:none");
	simulated(NULL, "{\"src\":\"10.7.0.99\"," TO_DB, "deny no_role 4");
	simulated(NULL, "{\"from\":\"inside\",\"roles\":[\"eng\"],\"src\":\"10.20.0.10\"}",
		  "deny no_role 4 eng:peer:none");
	/* a rule that begins, a member that ends */
	simulated(ending, "{\"peer\":\"alice\"," TO_DB, "deny zone_default 0 eng:peer:none");
	simulated(ending, "{\"at\":\"2098-06-01\",\"peer\":\"alice\"," TO_DB,
		  "allow rule 0 eng:peer:allow");
	simulated(ending, "{\"at\":\"2099-06-01\",\"peer\":\"alice\"," TO_DB, "deny no_role 0");
	/* nothing of that is in force */
	explained("{\"peer\":\"alice\"," TO_DB, "allow", "forwarded", "rule", NULL);
	REFUSED("{\"at\":\"soon\",\"peer\":\"alice\"," TO_DB, -EINVAL, "time_invalid", "/at");
	REFUSED("{\"roles\":[\"eng\"],\"peer\":\"alice\"," TO_DB, -EINVAL, "param_unexpected",
		"/roles");
	REFUSED("{\"roles\":[\"eng\",\"x\"]," TO_DB, -EINVAL, "role_unknown", "/roles/1");
	REFUSED("{\"roles\":[\"eng\"]}", -EINVAL, "address_missing", "/dst");
	REFUSED("{\"peer\":\"alice\",\"protocol\":\"any\"," TO_DB, -EINVAL, "enum_invalid",
		"/protocol");
	REFUSED("{\"peer\":\"carol\"," TO_DB, -ENOENT, "not_found", "/peer");
	refused_with("policy.simulate", "text", "{\"version\":", "{}", -EINVAL, "json_syntax", "");
}

static void
test_explain_capture(void **state)
{
	char file[] = "/tmp/sl-explain-XXXXXX", params[120];
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	close(fd);
	json_decref(call_with("policy.load", "text", doc, "{}"));
	snprintf(params, sizeof(params), "{\"pcap\":\"%s\"}", file);
	write_capture(file, DLT_RAW, 0, 0);
	explained(params, "allow", "forwarded", "rule", "rule 5");
	write_capture(file, DLT_EN10MB, 14, 6); /* cut by its snapshot length */
	explained(params, "allow", "forwarded", "rule", "rule 5");
	snprintf(params, sizeof(params), "{\"pcap\":\"%s\",\"packet\":2}", file);
	rx_refused_at(&r, "policy.explain", params, -EINVAL, "pcap_invalid", "/packet", __FILE__,
		      __LINE__);
	snprintf(params, sizeof(params), "{\"pcap\":\"%s\"}", file);
	write_capture(file, DLT_USB_LINUX, 0, 0);
	rx_refused_at(&r, "policy.explain", params, -EINVAL, "pcap_invalid", "/pcap", __FILE__,
		      __LINE__);
	unlink(file);
}

/* --- answers that come later --------------------------------------------------------------------
 */

static char *answer;

static void
line_done(void *ctx, char *text_)
{
	answer = text_;
}

/* A capture is read beside the loop, and nothing else than a file is. */
static void
test_explain_beside(void **state)
{
	char file[] = "/tmp/sl-explain-XXXXXX", fifo[] = "/tmp/sl-explain-fifo-XXXXXX", line[300];
	struct timespec ts = {.tv_nsec = 1000000};
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	close(fd);
	write_capture(file, DLT_RAW, 0, 0);
	json_decref(call_with("policy.load", "text", doc, "{}"));
	snprintf(line, sizeof(line),
		 "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.explain\",\"params\":"
		 "{\"pcap\":\"%s\"}}",
		 file);
	answer = NULL;
	assert_non_null(sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), line_done, NULL));
	assert_null(answer);
	for (unsigned i = 0; i < 20000 && !answer; i++) {
		sl_ctl_poll(&r.ctl);
		nanosleep(&ts, NULL);
	}
	assert_non_null(answer);
	assert_non_null(strstr(answer, "\"verdict\":\"allow\""));
	free(answer);
	unlink(file);
	assert_non_null(mkdtemp(fifo));
	snprintf(line, sizeof(line), "{\"pcap\":\"%s\"}", fifo);
	rx_refused_at(&r, "policy.explain", line, -EINVAL, "pcap_invalid", "/pcap", __FILE__,
		      __LINE__);
	rmdir(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0); /* nobody will ever write to it */
	rx_refused_at(&r, "policy.explain", line, -EINVAL, "pcap_invalid", "/pcap", __FILE__,
		      __LINE__);
	assert_non_null(strstr(r.e.message, "is no file"));
	unlink(fifo);
}

static void
test_later(void **state)
{
	struct timespec ts = {.tv_nsec = 1000000};
	char *params = params_with("text", doc, "{}"), line[4096];
	json_t *v, *list, *record,
		*in_force = json_pack("{s:i, s:i}", "version", 4, "generation", 1);
	int ok = 0;

	snprintf(line, sizeof(line),
		 "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.load\",\"params\":%s},"
		 "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"policy.load\",\"params\":%s}]",
		 params, params);
	free(params);
	answer = NULL;
	assert_non_null(sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), line_done, NULL));
	assert_null(answer);
	for (unsigned i = 0; i < 20000 && !answer; i++) {
		sl_gw_poll(r.fx.gw);
		nanosleep(&ts, NULL);
	}
	assert_non_null(answer);
	assert_non_null(strstr(answer, "\"id\":1,\"result\":{\"version\":4"));
	assert_non_null(strstr(answer, "policy_busy"));
	free(answer);
	/* the record comes with the answer, and does not hold the document */
	sl_drain_poll(r.drain);
	v = rx_call(&r, "audit.recent", "{\"action\":\"policy-load\"}");
	list = json_object_get(v, "records");
	assert_int_equal(json_array_size(list), 2);
	for (unsigned i = 0; i < 2; i++) {
		record = json_object_get(json_array_get(list, i), "sluice");
		ok += json_equal(json_object_get(record, "after"), in_force);
		assert_string_equal(text(record, "principal"), "uid:0");
		assert_true(strncmp(text(json_object_get(record, "params"), "text"), "(", 1) == 0);
	}
	assert_int_equal(ok, 1);
	json_decref(in_force);
	json_decref(v);
}

static void
test_clear(void **state)
{
	json_t *v;

	json_decref(call_with("policy.load", "text", doc, "{}"));
	rx_do(&r, "authz.mode.set", "{\"default\":\"enforce\",\"force\":true}");
	rx_refused(&r, "policy.clear", "{}", -EPERM, "mode_enforced", "/force");
	rx_refused(&r, "policy.clear", "{\"force\":true,\"if_version\":3}", -EBUSY,
		   "version_mismatch", "/if_version");
	v = rx_call(&r, "policy.clear", "{\"force\":true,\"if_version\":4}");
	assert_int_equal(number(v, "version"), 4);
	json_decref(v);
	assert_non_null(strstr(r.log, "audit: policy.clear by uid:0 failed: mode_enforced"));
	assert_non_null(strstr(r.log, "policy_cleared: {\"version\":4}"));
	v = rx_call(&r, "policy.status", NULL);
	assert_true(json_is_false(json_object_get(v, "loaded")));
	assert_int_equal(number(v, "version"), 0);
	assert_string_equal(text(v, "origin"), "");
	json_decref(v);
	v = rx_call(&r, "role.list", NULL);
	assert_int_equal(json_array_size(json_object_get(v, "roles")), 0);
	json_decref(v);
	v = rx_call(&r, "policy.clear", NULL);
	assert_int_equal(number(v, "version"), 0);
	json_decref(v);
}

/* While a load is at work nothing is cleared. */
static void
test_clear_later(void **state)
{
	struct timespec ts = {.tv_nsec = 1000000};
	char *params = params_with("text", doc, "{}"), line[4096];
	static const char clear[] = "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"policy.clear\","
				    "\"params\":{\"force\":true}}";

	snprintf(line, sizeof(line),
		 "[{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"policy.load\",\"params\":%s},%s]",
		 params, clear);
	free(params);
	for (unsigned round = 0; round < 2; round++) {
		answer = NULL;
		sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), line_done, NULL);
		for (unsigned i = 0; i < 20000 && !answer; i++) {
			sl_gw_poll(r.fx.gw);
			nanosleep(&ts, NULL);
		}
		assert_non_null(answer);
		assert_non_null(strstr(answer, round ? "\"id\":2,\"result\":{\"version\":4}"
						     : "policy_busy"));
		free(answer);
		snprintf(line, sizeof(line), "%s", clear);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_load),		T(test_parts),		T(test_who_may),
		T(test_show),		T(test_roles),		T(test_given_by_control),
		T(test_explain),	T(test_simulate),	T(test_explain_capture),
		T(test_later),		T(test_clear),		T(test_clear_later),
		T(test_explain_beside), T(test_members_expire),
	};

	fx_start("test_rpc_policy");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
