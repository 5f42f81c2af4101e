/* SPDX-License-Identifier: BSD-3-Clause */
/* From what was seen to what is enforced: would_deny, suggest, replay, modes with their evidence.
 */
#include "rpc_fixture.h"

#define POLICY                                                                                     \
	"{\\\"version\\\":7,\\\"zones\\\":{\\\"in\\\":{\\\"id\\\":1,\\\"type\\\":"                 \
	"\\\"internal\\\","                                                                        \
	"\\\"networks\\\":[\\\"10.20.0.0/"                                                         \
	"24\\\"]}},\\\"targets\\\":{\\\"db\\\":{\\\"addresses\\\":"                                \
	"[\\\"10.20.0.10/32\\\"]},\\\"web\\\":{\\\"addresses\\\":[\\\"10.20.0.11/32\\\","          \
	"\\\"10.20.0.12/32\\\"]}},\\\"roles\\\":{\\\"engineer\\\":{\\\"members\\\":"               \
	"[\\\"peer:alice\\\"]}},\\\"rules\\\":[{\\\"id\\\":1,\\\"role\\\":\\\"engineer\\\","       \
	"\\\"to\\\":[\\\"db\\\"],\\\"protocol\\\":\\\"tcp\\\",\\\"ports\\\":[443],\\\"action\\\":" \
	"\\\"allow\\\"},{\\\"id\\\":2,\\\"role\\\":\\\"engineer\\\",\\\"to\\\":[\\\"10.20.0.0/"    \
	"24\\\"],"                                                                                 \
	"\\\"protocol\\\":\\\"tcp\\\",\\\"ports\\\":[23],\\\"action\\\":\\\"deny\\\"}]}"

static struct rx r;

static int
setup(void **state)
{
	rx_init_lockstep(&r);
	rx_do(&r, "policy.load", "{\"text\":\"" POLICY "\"}");
	fx_turn(&r.fx);
	r.log[0] = 0;
	return 0;
}

static int
teardown(void **state)
{
	rx_fini(&r);
	return 0;
}

static json_int_t
number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static const char *
text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

/* Method with params; member must be `want`. */
static void
is(const char *method, const char *params, const char *member, json_int_t want)
{
	json_t *o = rx_call(&r, method, params);
	char *dump = json_dumps(o, 0);

	if (number(o, member) != want)
		fail_msg("%s %s: %s is not %lld: %s", method, params, member, (long long)want,
			 dump);
	free(dump);
	json_decref(o);
}

static void
test_would_deny(void **state)
{
	json_t *o, *row;

	rx_see(&r, "10.20.0.10", 443, 5);
	rx_see(&r, "10.20.0.10", 5432, 3);
	rx_see(&r, "10.20.0.11", 23, 2);
	o = rx_call(&r, "policy.would_deny", "{\"target\":\"db\",\"window_s\":10}");
	assert_int_equal(number(o, "flows"), 3);
	assert_int_equal(number(o, "peers"), 1);
	assert_true(json_is_false(json_object_get(o, "ready")));
	assert_int_equal(number(json_object_get(o, "coverage"), "covered_s"), 10);
	row = json_array_get(json_object_get(o, "rows"), 0);
	assert_string_equal(text(row, "peer"), "alice");
	assert_string_equal(text(row, "dst"), "10.20.0.10");
	assert_string_equal(text(row, "why"), "zone_default");
	assert_int_equal(number(row, "port"), 5432);
	assert_null(json_object_get(row, "rule"));
	json_decref(o);
	is("policy.would_deny", "{}", "flows", 5);
	is("policy.would_deny", "{\"target\":\"10.20.0.11\"}", "flows", 2);
	is("policy.would_deny", "{\"target\":\"web\"}", "flows", 2);
	is("policy.would_deny", "{\"prefixes\":[\"10.20.0.0/24\"]}", "flows", 5);
	is("policy.would_deny", "{\"prefixes\":[\"10.30.0.0/24\"]}", "flows", 0);
	is("policy.would_deny", "{\"window_s\":1}", "flows", 0);
	o = rx_call(&r, "policy.would_deny", "{\"target\":\"web\"}");
	row = json_array_get(json_object_get(o, "rows"), 0);
	assert_string_equal(text(row, "rule"), "engineer/2");
	json_decref(o);
	rx_refused(&r, "policy.would_deny", "{\"target\":\"nowhere\"}", -ENOENT, "target_unknown",
		   "/target");
	rx_refused(&r, "policy.would_deny", "{\"target\":\"db\",\"prefixes\":[\"10.0.0.0/8\"]}",
		   -EINVAL, "param_conflict", "");
	/* the peer goes, and with it the question */
	rx_do(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	fx_turn(&r.fx);
	is("policy.would_deny", "{}", "flows", 0);
	is("policy.would_deny", "{}", "gone_flows", 10);
}

static void
test_pages(void **state)
{
	json_int_t next = 0;
	unsigned n = 0, last = 0;

	for (unsigned i = 0; i < 25; i++)
		rx_see(&r, "10.20.0.10", (uint16_t)(1000 + i), 1);
	do {
		char params[64];
		json_t *o, *row;
		size_t i;

		snprintf(params, sizeof(params), "{\"limit\":10,\"after\":%lld}", (long long)next);
		o = rx_call(&r, "policy.would_deny", params);
		assert_int_equal(number(o, "rows_total"), 25); /* of one answer, whatever comes */
		json_array_foreach (json_object_get(o, "rows"), i, row) {
			assert_true((unsigned)number(row, "port") > last);
			last = (unsigned)number(row, "port");
			n++;
		}
		next = number(o, "next");
		json_decref(o);
		rx_see(&r, "10.20.0.10", (uint16_t)(2000 + n), 1);
	} while (next);
	assert_int_equal(n, 25);
}

/* The whole way: seen, suggested, replayed, loaded, enforced. */
static void
test_walk(void **state)
{
	json_t *o, *p, *params;

	rx_pass(&r, 7200);
	rx_see(&r, "10.20.0.10", 443, 5);
	rx_see(&r, "10.20.0.10", 5432, 3);
	rx_see(&r, "10.20.0.11", 80, 2);
	rx_see(&r, "10.20.0.12", 80, 2);
	rx_refused(&r, "authz.mode.set",
		   "{\"targets\":[\"db\"],\"mode\":\"enforce\",\"window_s\":3600}", -EBUSY,
		   "would_deny", "");
	assert_string_equal(r.e.hint, "see them: sluicectl would-deny db; all the same: sluicectl "
				      "mode enforce db force=yes");
	o = rx_call(&r, "policy.suggest", "{\"window_s\":3600}");
	rx_is(json_object_get(o, "left_out"), "[]");
	assert_int_equal(json_array_size(json_object_get(o, "rules")), 2);
	p = json_array_get(json_object_get(o, "rules"), 0);
	rx_is(json_object_get(p, "to"), "[\"db\"]");
	rx_is(json_object_get(p, "src"), "[\"10.7.0.2/32\"]");
	rx_is(json_object_get(p, "ports"), "[\"5432\"]");
	assert_int_equal(number(p, "id"), 3);
	p = json_array_get(json_object_get(o, "rules"), 1);
	rx_is(json_object_get(p, "to"), "[\"web\"]"); /* all of it was seen */
	assert_int_equal(number(json_object_get(p, "evidence"), "flows"), 4);
	params = json_pack("{s:O, s:i}", "text", json_object_get(o, "candidate"), "window_s", 3600);
	assert_int_equal(sl_rpc_call(r.rpc, &rx_unix, "policy.replay", params, &p, &r.e), 0);
	rx_is(json_object_get(p, "newly_denied"), "{\"flows\":0,\"peers\":0,\"rows\":0}");
	rx_is(json_object_get(p, "newly_allowed"), "{\"flows\":7,\"peers\":1,\"rows\":3}");
	assert_int_equal(number(p, "unchanged_flows"), 5);
	assert_int_equal(number(p, "version"), 8);
	json_decref(p);
	json_object_del(params, "window_s");
	assert_int_equal(sl_rpc_call(r.rpc, &rx_unix, "policy.load", params, &p, &r.e), 0);
	json_decref(p);
	json_decref(params);
	json_decref(o);
	fx_turn(&r.fx);
	is("policy.would_deny", "{\"window_s\":3600}", "flows", 0);
	/* the other way round: what a poorer document takes away */
	o = rx_call(&r, "policy.replay", "{\"text\":\"" POLICY "\",\"window_s\":3600}");
	assert_int_equal(number(json_object_get(o, "newly_denied"), "flows"), 7);
	assert_string_equal(text(json_array_get(json_object_get(o, "rows"), 0), "change"),
			    "newly_denied");
	json_decref(o);
	o = rx_call(&r, "authz.mode.set",
		    "{\"targets\":[\"db\",\"web\"],\"mode\":\"enforce\",\"window_s\":3600}");
	assert_int_equal(number(o, "would_deny"), 0);
	assert_int_equal(number(o, "covered_s"), 3600);
	assert_int_equal(number(o, "window_s"), 3600);
	json_decref(o);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_int_equal(json_array_size(json_object_get(o, "prefixes")), 3);
	assert_string_equal(text(json_array_get(json_object_get(o, "prefixes"), 2), "target"),
			    "web");
	json_decref(o);
}

/* What is asked of the evidence is what changes: nothing for what is enforced, or lowered. */
static void
test_gate(void **state)
{
	rx_see(&r, "10.20.0.10", 5432, 3);
	rx_see(&r, "10.20.0.11", 5432, 1);
	rx_refused(&r, "authz.mode.set", "{\"prefixes\":[\"10.30.0.0/24\"],\"mode\":\"enforce\"}",
		   -EBUSY, "not_covered", "");
	rx_refused(&r, "authz.mode.set", "{\"default\":\"enforce\"}", -EBUSY, "would_deny", "");
	assert_non_null(strstr(r.e.message, "would deny 4 flows"));
	assert_non_null(strstr(r.e.hint, "sluicectl mode enforce force=yes"));
	rx_do(&r, "authz.mode.set",
	      "{\"prefixes\":[\"10.20.0.10/32\"],\"mode\":\"enforce\",\"force\":true}");
	assert_non_null(strstr(r.log, "prefix 10.20.0.10/32: default -> enforce, forced: 3 flows "
				      "would be denied"));
	/* again: nothing changes */
	rx_do(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.10/32\"],\"mode\":\"enforce\"}");
	rx_refused(&r, "authz.mode.set", "{\"default\":\"enforce\"}", -EBUSY, "would_deny", "");
	assert_non_null(strstr(r.e.message, "would deny 1 flows"));
	rx_do(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.11/32\"],\"mode\":\"observe\"}");
	rx_refused(&r, "authz.mode.set", "{\"default\":\"enforce\"}", -EBUSY, "not_covered", "");
	/* a network whose first address has a mode of its own */
	rx_do(&r, "authz.mode.set",
	      "{\"prefixes\":[\"10.20.0.0/32\"],\"mode\":\"enforce\",\"force\":true}");
	rx_refused(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.0/24\"],\"mode\":\"enforce\"}",
		   -EBUSY, "not_covered", "");
	rx_do(&r, "authz.mode.set", "{\"default\":\"enforce\",\"force\":true}");
	/* to give up a prefix that observes is to enforce */
	rx_refused(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.11/32\"],\"mode\":\"default\"}",
		   -EBUSY, "would_deny", "");
	rx_do(&r, "authz.mode.set", "{\"prefixes\":[\"10.20.0.10/32\"],\"mode\":\"default\"}");
	rx_do(&r, "authz.mode.set", "{\"panic\":\"observe\"}");
	rx_do(&r, "authz.mode.set", "{\"panic\":\"off\"}");
	rx_do(&r, "authz.mode.set", "{\"default\":\"observe\"}");
	rx_refused(&r, "authz.mode.set", "{\"targets\":[\"nowhere\"],\"mode\":\"enforce\"}",
		   -ENOENT, "target_unknown", "/targets/0");
	rx_refused(&r, "authz.mode.set",
		   "{\"targets\":[\"db\"],\"prefixes\":[\"10.0.0.0/8\"],\"mode\":\"enforce\"}",
		   -EINVAL, "param_conflict", "");
}

static void
lose_flows(void)
{
	for (unsigned i = 0; i < 1024; i++) {
		struct sl_agg_key k = {.dst = {10, 20, (uint8_t)(i >> 8), (uint8_t)i},
				       .version = 4,
				       .peer_id = 99999};

		sl_agg_add(&r.agg, &k, 0, 0, SL_WHY_NO_ROLE, 1, 1, 1, r.fx.now_ns);
	}
	rx_pass(&r, 4);
}

/* Lost flows are told, and forbid as well. */
static void
test_lost(void **state)
{
	rx_pass(&r, 7200);
	lose_flows();
	rx_refused(&r, "authz.mode.set", "{\"default\":\"enforce\",\"window_s\":3600}", -EBUSY,
		   "not_covered", "");
	assert_non_null(strstr(r.e.message, "1024 flows were lost"));
}

static void
test_confirm(void **state)
{
	json_t *o = rx_call(&r, "authz.mode.set",
			    "{\"targets\":[\"db\"],\"mode\":\"enforce\",\"force\":true,"
			    "\"confirm_within_s\":60}");
	json_t *p = json_pack("{s:O}", "confirm_id", json_object_get(o, "confirm_id"));
	json_int_t at = number(o, "revert_at");

	assert_int_equal(at, r.fx.wall_ns / S + 60);
	json_decref(o);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_int_equal(number(json_object_get(o, "pending"), "revert_at"), at);
	json_decref(o);
	rx_pass(&r, 61);
	assert_non_null(strstr(r.log, "authz.mode.revert of c-"));
	assert_non_null(strstr(r.log, "enforce -> default"));
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_null(json_object_get(o, "pending"));
	rx_is(json_object_get(o, "prefixes"), "[]");
	json_decref(o);
	assert_int_equal(sl_rpc_call(r.rpc, &rx_unix, "authz.mode.confirm", p, &o, &r.e), -ENOENT);
	json_decref(p);
	o = rx_call(&r, "authz.mode.set",
		    "{\"default\":\"enforce\",\"force\":true,"
		    "\"confirm_within_s\":60}");
	p = json_pack("{s:O}", "confirm_id", json_object_get(o, "confirm_id"));
	json_decref(o);
	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "authz.mode.confirm", p, &o, &r.e), -EPERM);
	assert_int_equal(sl_rpc_call(r.rpc, &rx_unix, "authz.mode.confirm", p, &o, &r.e), 0);
	json_decref(o);
	json_decref(p);
	rx_pass(&r, 61);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_string_equal(text(o, "default"), "enforce");
	json_decref(o);
}

/* A target that changes moves no mode, and is told. */
static void
test_drift(void **state)
{
	json_t *o;
	char *dump;

	rx_do(&r, "authz.mode.set", "{\"targets\":[\"web\"],\"mode\":\"enforce\",\"force\":true}");
	o = rx_call(&r, "sys.health", NULL);
	dump = json_dumps(o, 0);
	assert_null(strstr(dump, "mode_prefix_drift"));
	free(dump);
	json_decref(o);
	rx_do(&r, "policy.load",
	      "{\"text\":\"{\\\"version\\\":8,\\\"targets\\\":{\\\"web\\\":{\\\"addresses\\\":"
	      "[\\\"10.20.0.11/32\\\"]}}}\"}");
	fx_turn(&r.fx);
	o = rx_call(&r, "sys.health", NULL);
	dump = json_dumps(o, 0);
	assert_non_null(strstr(dump, "mode_prefix_drift: target web has changed"));
	free(dump);
	json_decref(o);
	o = rx_call(&r, "authz.mode.get", NULL);
	assert_int_equal(json_array_size(json_object_get(o, "prefixes")), 2);
	json_decref(o);
}

static void
test_logging(void **state)
{
	json_t *o, *p = json_pack("{s:b}", "enabled", 0);

	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "log.enabled.set", p, &o, &r.e), -EPERM);
	assert_non_null(strstr(r.log, "log.enabled.set by tcp:loopback refused: "
				      "local_only_setting"));
	json_decref(p);
	rx_do(&r, "log.enabled.set", "{\"enabled\":false}");
	assert_non_null(strstr(r.log, "audit: log.enabled.set by uid:0: on -> off"));
	o = rx_call(&r, "log.enabled.get", NULL);
	assert_true(json_is_false(json_object_get(o, "enabled")));
	json_decref(o);
}

static void
required_is(unsigned n, const char *why)
{
	json_t *o = rx_call(&r, "log.required.get", NULL);

	assert_int_equal(json_array_size(json_object_get(o, "prefixes")), n);
	assert_int_equal(json_is_true(json_object_get(o, "losing")), why != NULL);
	if (why)
		assert_non_null(strstr(text(o, "why"), why));
	json_decref(o);
}

static bool
is_ill(const char *how)
{
	json_t *o = rx_call(&r, "sys.health", NULL);
	char *dump = json_dumps(o, 0);
	bool ill = strstr(dump, how) != NULL;

	free(dump);
	json_decref(o);
	return ill;
}

static void
test_required(void **state)
{
	json_t *o, *p = json_pack("{s:[]}", "targets");
	static const struct sl_rpc_caller config = {.via = SL_RPC_VIA_CONFIG,
						    .principal = "config",
						    .who = &sl_service_local};

	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "log.required.set", p, &o, &r.e), -EPERM);
	assert_string_equal(r.e.reason, "local_only_setting");
	required_is(0, NULL);
	rx_refused(&r, "log.required.set", "{\"targets\":[\"nowhere\"]}", -ENOENT, "target_unknown",
		   "/targets/0");
	rx_do(&r, "log.required.set", "{\"targets\":[\"db\",\"10.30.0.0/16\"]}");
	assert_non_null(strstr(r.log, "log.required.set by uid:0: 0 -> 2 prefixes"));
	required_is(2, NULL);
	assert_false(is_ill("log_required"));
	rx_refused(&r, "log.enabled.set", "{\"enabled\":false}", -EBUSY, "log_required",
		   "/enabled");
	/* what was set here goes before the file */
	assert_int_equal(sl_rpc_call(r.rpc, &config, "log.required.set", p, &o, &r.e), 0);
	required_is(2, NULL);
	json_decref(p);
	atomic_store(&r.fx.dp->losing_records, true);
	required_is(2, "records are being lost");
	assert_true(is_ill("log_required: records are being lost"));
	atomic_store(&r.fx.dp->losing_records, false);
	rx_do(&r, "policy.load",
	      "{\"text\":\"{\\\"version\\\":8,\\\"targets\\\":{\\\"db\\\":{\\\"addresses\\\":"
	      "[\\\"10.20.0.77/32\\\"]}}}\"}");
	fx_turn(&r.fx);
	assert_true(is_ill("log_required_drift: target db has changed"));
	rx_do(&r, "log.required.set", "{\"targets\":[]}");
	required_is(0, NULL);
	assert_false(is_ill("log_required"));
	rx_do(&r, "log.enabled.set", "{\"enabled\":false}");
	rx_refused(&r, "log.required.set", "{\"targets\":[\"db\"]}", -EINVAL, "log_required",
		   "/targets");
	required_is(0, "logging is off");
	assert_false(is_ill("log_required"));
}

/* Every change, and what was refused, in the audit records. */
static void
test_audit(void **state)
{
	json_t *o, *p = json_pack("{s:b}", "enabled", 0);
	char *all = NULL;
	size_t n;
	FILE *f;

	assert_int_equal(sl_rpc_call(r.rpc, &rx_tcp, "log.enabled.set", p, &o, &r.e), -EPERM);
	json_decref(p);
	rx_do(&r, "log.required.set", "{\"targets\":[\"10.30.0.0/16\"]}");
	rx_do(&r, "log.required.set", "{\"targets\":[]}");
	rx_do(&r, "log.enabled.set", "{\"enabled\":false}");
	rx_do(&r, "authz.mode.set",
	      "{\"default\":\"enforce\",\"force\":true,\"confirm_within_s\":10}");
	rx_pass(&r, 12);
	rx_do(&r, "evidence.clear", "{}");
	for (unsigned i = 0; i < 20; i++) {
		r.fx.now_ns += S;
		sl_drain_poll(r.drain);
	}
	f = fopen(r.audit_file, "r");
	assert_non_null(f);
	n = 0;
	assert_true(getdelim(&all, &n, '\0', f) > 0);
	fclose(f);
	assert_non_null(strstr(all, "\"action\":\"local-only-refused\""));
	assert_non_null(strstr(all, "\"action\":\"logging-set\""));
	assert_non_null(strstr(all, "\"action\":\"log-required-set\""));
	assert_non_null(strstr(all,
			       "\"prefixes_old\":1,\"prefixes_new\":0,\"old\":[\"10.30.0.0/16\"],"
			       "\"new\":[]"));
	assert_non_null(strstr(all, "\"action\":\"authz-mode-set\""));
	assert_non_null(strstr(all, "\"action\":\"authz-mode-reverted\""));
	assert_non_null(strstr(all, "\"action\":\"evidence-cleared\""));
	assert_non_null(strstr(all, "\"principal\":\"uid:0\""));
	free(all);
}

static void
test_store(void **state)
{
	json_t *o;

	rx_see(&r, "10.20.0.10", 443, 5);
	rx_see(&r, "10.20.0.10", 5432, 3);
	o = rx_call(&r, "evidence.list", "{\"peer\":\"alice\",\"target\":\"db\"}");
	assert_int_equal(number(o, "rows_total"), 2);
	assert_string_equal(text(json_array_get(json_object_get(o, "rows"), 0), "now"), "allow");
	assert_string_equal(text(json_array_get(json_object_get(o, "rows"), 1), "now"), "deny");
	json_decref(o);
	is("evidence.list", "{\"peer\":\"nobody\"}", "rows_total", 0);
	is("evidence.status", "{}", "rows", 2);
	is("evidence.clear", "{}", "rows", 2);
	is("evidence.status", "{}", "rows", 0);
	is("policy.would_deny", "{}", "flows", 0);
}

static unsigned n_answers;

static void
line_done(void *ctx, char *answer)
{
	n_answers++;
	assert_null(strstr(answer, "error"));
	free(answer);
}

static struct sl_rpc_line *
ask_later(void)
{
	static const char line[] = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
				   "\"policy.would_deny\",\"params\":{}}";

	return sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), line_done, NULL);
}

/* Questions whose askers have gone leave room for others. */
static void
test_gone(void **state)
{
	struct sl_rpc_line *gone[8];

	rx_see(&r, "10.20.0.10", 80, 1);
	n_answers = 0;
	for (unsigned i = 0; i < 8; i++) {
		gone[i] = ask_later();
		assert_non_null(gone[i]);
	}
	rx_refused(&r, "policy.would_deny", "{}", -EBUSY, "busy", "");
	for (unsigned i = 0; i < 8; i++)
		sl_rpc_line_cancel(gone[i]);
	assert_non_null(ask_later());
	sl_ctl_poll(&r.ctl);
	sl_ctl_poll(&r.ctl);
	assert_int_equal(n_answers, 1);
}

/* --- rules that decided nothing --------------------------------------------------------------- */

#define MONTH (30 * 86400)
/* rules 1 and 2 as above; a disabled one, one that began a day ago, one that no flow meets */
#define RULES                                                                                      \
	"{\"version\":7,\"zones\":{\"in\":{\"id\":1,\"type\":\"internal\",\"networks\":"           \
	"[\"10.20.0.0/24\"]}},\"roles\":{\"engineer\":{\"members\":[\"peer:alice\"]},"             \
	"\"guest\":{\"members\":[\"peer:alice\"]}},\"rules\":["                                    \
	"{\"id\":1,\"role\":\"engineer\",\"to\":[\"10.20.0.10/32\"],\"protocol\":\"tcp\","         \
	"\"ports\":[443],\"action\":\"allow\"},"                                                   \
	"{\"id\":2,\"role\":\"guest\",\"to\":[\"10.20.0.0/24\"],\"protocol\":\"tcp\","             \
	"\"ports\":[23],\"action\":\"deny\"},"                                                     \
	"{\"id\":2,\"role\":\"engineer\",\"to\":[\"10.20.0.12/32\"],\"protocol\":\"tcp\","         \
	"\"ports\":[23],\"action\":\"allow\"},"                                                    \
	"{\"id\":3,\"role\":\"engineer\",\"to\":[\"10.20.0.13/32\"],\"protocol\":\"tcp\","         \
	"\"ports\":[80],\"action\":\"allow\",\"enabled\":false},"                                  \
	"{\"id\":4,\"role\":\"engineer\",\"to\":[\"10.20.0.14/32\"],\"protocol\":\"tcp\","         \
	"\"ports\":[80],\"action\":\"allow\",\"not_before\":\"%s\"},"                              \
	"{\"id\":5,\"role\":\"engineer\",\"to\":[\"10.20.0.15/32\"],\"protocol\":\"tcp\","         \
	"\"ports\":[80],\"action\":\"allow\"%s}]}"

/* The document above; rule 4 begins so many seconds from now, rule 5 has this as well. */
static void
load_rules(int64_t begins_s, const char *more)
{
	char begin[32], doc[4096];
	json_t *o, *p;

	sl_time_str(r.fx.wall_ns + (uint64_t)(begins_s * (int64_t)S), begin);
	snprintf(doc, sizeof(doc), RULES, begin, more);
	p = json_pack("{s:s}", "text", doc);
	if (sl_rpc_call(r.rpc, &rx_unix, "policy.load", p, &o, &r.e) != 0)
		fail_msg("%s at %s", r.e.message, r.e.path);
	json_decref(p);
	json_decref(o);
	fx_turn(&r.fx);
}

/* Ask for the rules that decided nothing: `want` are their texts up to the first blank. */
static void
unmatched(const char *want)
{
	json_t *o = rx_call(&r, "policy.lint", "{\"unmatched\":true}"), *lint;
	char got[256] = "";
	json_int_t n = 0;
	size_t i;

	assert_true(json_is_true(json_object_get(json_object_get(o, "unmatched"), "known")));
	json_array_foreach (json_object_get(o, "lints"), i, lint) {
		if (strcmp(text(lint, "code"), "rule_never_matched") != 0)
			continue;
		snprintf(got + strlen(got), sizeof(got) - strlen(got), "%s%.*s=%s",
			 n > 0 ? " " : "", (int)strcspn(text(lint, "text"), " "),
			 text(lint, "text"), text(lint, "path"));
		n++;
	}
	assert_string_equal(got, want);
	assert_int_equal(number(json_object_get(o, "unmatched"), "rules"), n);
	json_decref(o);
}

/* Nothing can be said, for this reason; no rule is named. */
static void
untold(const char *reason, const char *part)
{
	json_t *o = rx_call(&r, "policy.lint", "{\"unmatched\":true}"), *lint;
	json_t *u = json_object_get(o, "unmatched");
	size_t i;

	assert_true(json_is_false(json_object_get(u, "known")));
	assert_null(json_object_get(u, "rules"));
	assert_string_equal(text(u, "reason"), reason);
	if (strstr(text(u, "text"), part) == NULL)
		fail_msg("%s", text(u, "text"));
	json_array_foreach (json_object_get(o, "lints"), i, lint)
		assert_string_not_equal(text(lint, "code"), "rule_never_matched");
	json_decref(o);
}

static void
test_unmatched(void **state)
{
	json_t *o;

	load_rules(-86400, "");
	untold("not_covered", "covers 0.0 of the last 30 days");
	rx_see(&r, "10.20.0.10", 443, 1);
	rx_pass(&r, MONTH - 10 * 86400);
	untold("not_covered", "covers 20.0 of the last 30 days");
	rx_see(&r, "10.20.0.12", 23, 1); /* one role allows, the other denies: that decides */
	rx_pass(&r, 10 * 86400 - 60);
	/* rule 4 began 31 days ago */
	unmatched("engineer/2=/rules/2 engineer/4=/rules/4 engineer/5=/rules/5");
	load_rules(-86400, "");
	unmatched("engineer/2=/rules/2 engineer/5=/rules/5");
	o = rx_call(&r, "policy.lint", NULL); /* not asked: not told */
	assert_null(json_object_get(o, "unmatched"));
	json_decref(o);
	rx_see(&r, "10.20.0.15", 80, 1);
	unmatched("engineer/2=/rules/2");
	/* what is older than 30 days is no match */
	rx_pass(&r, 86400);
	unmatched("engineer/1=/rules/0 engineer/2=/rules/2");
	rx_do(&r, "evidence.clear", "{}");
	untold("not_covered", "covers 0.0 of the last 30 days");
}

/* Times: a rule that has ended, one that has not begun. */
static void
test_unmatched_times(void **state)
{
	char more[64], end[32];

	rx_pass(&r, MONTH + 60);
	sl_time_str(r.fx.wall_ns + 3600 * S, end);
	snprintf(more, sizeof(more), ",\"expires\":\"%s\"", end);
	load_rules(86400, more);
	unmatched("engineer/1=/rules/0 guest/2=/rules/1 engineer/2=/rules/2 engineer/5=/rules/5");
	rx_pass(&r, 7200);
	unmatched("engineer/1=/rules/0 guest/2=/rules/1 engineer/2=/rules/2");
}

/* A row as a data lcore makes it, that these ids decided. */
static void
decided(uint32_t role_id, uint32_t rule_id, uint8_t flags, uint16_t port)
{
	struct sl_agg_key k = {.src = {10, 7, 0, 2},
			       .dst = {10, 30, 0, 1},
			       .dport = port,
			       .iface = 1,
			       .proto = 6,
			       .version = 4,
			       .flags = SL_AGG_FROM_TUNNEL | flags};
	struct sl_gw_peer_info info;
	struct sl_pubkey key;

	assert_int_equal(sl_gw_peer_lookup(r.fx.gw, "wg0", "alice", &key, &r.e), 0);
	assert_int_equal(sl_gw_peer_info(r.fx.gw, "wg0", &key, &info), 0);
	k.peer_id = info.id;
	sl_agg_add(&r.agg, &k, rule_id, role_id, SL_WHY_RULE, 1, 1, 1, r.fx.now_ns);
	rx_pass(&r, 4);
}

/* What decided when it was seen counts: who had a role may have lost it, or be gone. */
static void
test_unmatched_then(void **state)
{
	const struct sl_policy *p;

	load_rules(-86400, "");
	p = sl_gw_policy(r.fx.gw);
	rx_pass(&r, MONTH + 60);
	decided(p->roles[p->rules[0].role_at].id, 1, 0, 80);
	decided(p->roles[p->rules[2].role_at].id, 2, SL_AGG_MIDSTREAM, 81);
	unmatched("guest/2=/rules/1 engineer/4=/rules/4 engineer/5=/rules/5");
	rx_see(&r, "10.20.0.12", 23, 1);
	unmatched("engineer/4=/rules/4 engineer/5=/rules/5");
	/* with the peer goes what its flows would be judged as, not what decided them */
	rx_do(&r, "peer.remove", "{\"interface\":\"wg0\",\"peer\":\"alice\"}");
	fx_turn(&r.fx);
	unmatched("guest/2=/rules/1 engineer/4=/rules/4 engineer/5=/rules/5");
}

static void
test_unmatched_lost(void **state)
{
	load_rules(-86400, "");
	rx_pass(&r, MONTH + 60);
	lose_flows();
	untold("flows_lost", "1024 flows of the last 30 days were not kept");
}

/* Pages are of one answer. */
static void
test_unmatched_pages(void **state)
{
	json_t *o;

	load_rules(-86400, "");
	rx_pass(&r, MONTH + 60);
	o = rx_call(&r, "policy.lint", "{\"unmatched\":true}");
	assert_int_equal(number(json_object_get(o, "unmatched"), "rules"), 5);
	json_decref(o);
	rx_see(&r, "10.20.0.10", 443, 1);
	o = rx_call(&r, "policy.lint", "{\"unmatched\":true,\"after\":1,\"limit\":1}");
	assert_int_equal(number(json_object_get(o, "unmatched"), "rules"), 5);
	assert_int_equal(json_array_size(json_object_get(o, "lints")), 1);
	assert_int_equal(number(o, "next"), 2);
	json_decref(o);
	rx_pass(&r, 61);
	o = rx_call(&r, "policy.lint", "{\"unmatched\":true,\"after\":1,\"limit\":1}");
	assert_int_equal(number(json_object_get(o, "unmatched"), "rules"), 4);
	json_decref(o);
}

int
main(int argc, char **argv)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_would_deny),
		T(test_pages),
		T(test_walk),
		T(test_gate),
		T(test_lost),
		T(test_confirm),
		T(test_drift),
		T(test_logging),
		T(test_required),
		T(test_store),
		T(test_audit),
		T(test_gone),
		T(test_unmatched),
		T(test_unmatched_times),
		T(test_unmatched_then),
		T(test_unmatched_lost),
		T(test_unmatched_pages),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
