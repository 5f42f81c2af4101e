/* SPDX-License-Identifier: BSD-3-Clause */
/* flow.list and flow.count: what the tables of two workers, played by the test, hold; names and
 * verdicts as they are now, filters, pages, and askers that go or workers that are silent. */
#include "rpc_fixture.h"
#include "sl_gw_policy.h"

#define POLICY                                                                                     \
	"{\\\"version\\\":7,\\\"zones\\\":{\\\"in\\\":{\\\"id\\\":1,\\\"type\\\":"                 \
	"\\\"internal\\\",\\\"networks\\\":[\\\"10.20.0.0/24\\\"]}},\\\"targets\\\":{\\\"db\\\":"  \
	"{\\\"addresses\\\":[\\\"10.20.0.10/32\\\"]},\\\"web\\\":{\\\"addresses\\\":"              \
	"[\\\"10.20.0.11/32\\\",\\\"10.20.0.12/32\\\"]}},\\\"roles\\\":{\\\"engineer\\\":"         \
	"{\\\"id\\\":3,\\\"members\\\":[\\\"peer:alice\\\"]},\\\"guest\\\":{\\\"id\\\":4}},"       \
	"\\\"rules\\\":[{\\\"id\\\":1,\\\"role\\\":\\\"engineer\\\",\\\"to\\\":[\\\"db\\\"],"      \
	"\\\"protocol\\\":\\\"tcp\\\",\\\"ports\\\":[443],\\\"action\\\":\\\"allow\\\"},"          \
	"{\\\"id\\\":2,\\\"role\\\":\\\"engineer\\\",\\\"to\\\":[\\\"10.20.0.0/24\\\"],"           \
	"\\\"protocol\\\":\\\"tcp\\\",\\\"ports\\\":[23],\\\"action\\\":\\\"deny\\\"}]}"
#define TURNS_MAX 100000

static struct rx r;
static char *answered_text;
static bool deaf; /* the workers do not turn */

static int
setup(void **state)
{
	rx_init_lockstep(&r);
	rx_do(&r, "interface.set",
	      "{\"interface\":\"wg1\",\"listen_port\":51900,\"key_store\":\"memory\","
	      "\"addresses\":[\"10.9.0.1/24\"]}");
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" BOB "\",\"name\":\"bob\","
	      "\"allowed_ips\":[\"10.7.0.3/32\"]}");
	rx_do(&r, "peer.set",
	      "{\"interface\":\"wg1\",\"public_key\":\"" ALICE "\",\"name\":\"alice\","
	      "\"allowed_ips\":[\"10.9.0.2/32\"]}");
	rx_do(&r, "policy.load", "{\"text\":\"" POLICY "\"}");
	fx_turn(&r.fx);
	deaf = false;
	return 0;
}

static int
teardown(void **state)
{
	free(answered_text);
	answered_text = NULL;
	rx_fini(&r);
	return 0;
}

/* --- flows ----------------------------------------------------------------------------------- */

struct spec {
	unsigned worker;
	const char *iface, *peer, *src, *dst;
	uint8_t proto;
	uint16_t sport, dport;
	bool from_inside;
};

static uint32_t
peer_id(const char *iface, const char *name)
{
	struct sl_gw_peer_info info;
	struct sl_pubkey key;

	assert_int_equal(sl_gw_peer_lookup(r.fx.gw, iface, name, &key, &r.e), 0);
	assert_int_equal(sl_gw_peer_info(r.fx.gw, iface, &key, &info), 0);
	return info.id;
}

/** As a worker enters it: judged by what is published. */
static struct sl_flow *
put(const struct spec *s)
{
	struct sl_flow_table *t = r.fx.dp->worker[s->worker]->flows;
	const struct sl_policy_view *v = sl_gw_policy_view(r.fx.gw);
	struct sl_ip src = fx_ip(s->src), dst = fx_ip(s->dst);
	uint32_t tick = sl_tick_of(r.fx.now_ns);
	struct sl_judge_flow j = {.f = {.version = src.family,
					.proto = s->proto,
					.iface = fx_view(&r.fx, s->iface)->id,
					.src = src.b,
					.dst = dst.b,
					.sport = s->sport,
					.dport = s->dport},
				  .from_inside = s->from_inside,
				  .peer_id = peer_id(s->iface, s->peer)};
	struct sl_judgement a;
	struct sl_flow_key k;
	struct sl_flow *f;
	bool b = sl_flow_key_make(&k, src.family, s->proto, j.f.iface, src.b, dst.b, s->sport,
				  s->dport);

	sl_judge(v, tick, &j, &a, 1);
	f = sl_flow_add(t, &k, sl_flow_hash(t, &k), tick, NULL, NULL);
	assert_non_null(f);
	f->flags = (uint8_t)((b ? SL_FLOW_INIT_B : 0) | (a.allow ? SL_FLOW_ALLOW : 0) |
			     (s->from_inside ? 0 : SL_FLOW_FROM_TUNNEL));
	f->note = SL_FLOW_OBSERVED;
	f->policy_gen = v->set != NULL ? (uint32_t)v->set->generation : 0;
	f->who_gen = v->who != NULL ? (uint32_t)v->who->generation : 0;
	f->deadline_tick = a.deadline_tick;
	f->why = a.why;
	f->rule = a.rule;
	f->role = a.role;
	f->zone = a.zone;
	f->target = a.target;
	f->src_stamp = a.src_stamp;
	f->peer_stamp = a.peer_stamp;
	f->rule_id = a.rule != SL_POL_NONE ? v->set->rules[a.rule].id : 0;
	f->role_id = v->set != NULL && a.role < v->set->n_roles ? v->set->roles[a.role].id : 0;
	f->peer_id = j.peer_id;
	f->start_ns = r.fx.now_ns;
	f->packets[0] = 3;
	f->bytes[0] = 300;
	f->packets[1] = 2;
	f->bytes[1] = 2000;
	return f;
}

static const struct spec db = {0, "wg0", "alice", "10.7.0.2", "10.20.0.10", 6, 40000, 443};
static const struct spec telnet = {0, "wg0", "alice", "10.7.0.2", "10.20.0.11", 6, 40001, 23};
static const struct spec ping = {1, "wg0", "bob", "10.7.0.3", "10.20.0.10", 1, 77, 0};
static const struct spec from_db = {1, "wg0", "bob", "10.20.0.12", "10.7.0.3", 17, 53, 5353, true};
static const struct spec wg1 = {1, "wg1", "alice", "10.9.0.2", "10.20.0.11", 17, 1000, 2000};

static void
put_all(void)
{
	put(&db)->tcp = SL_FLOW_TCP_EST;
	put(&telnet)->flags |= SL_FLOW_MIDSTREAM;
	put(&ping);
	put(&from_db);
	put(&wg1);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void
answered(void *ctx, char *text)
{
	free(answered_text);
	answered_text = text;
}

static void
turn(void)
{
	sl_ctl_poll(&r.ctl);
	for (unsigned i = 0; i < r.fx.dp->n_workers && !deaf; i++) {
		struct sl_worker *w = r.fx.dp->worker[i];

		if (sl_flow_view_lent(w->view))
			sl_flow_view_step(w->view, w->flows, sl_tick_of(r.fx.now_ns), r.fx.now_ns);
	}
}

static struct sl_rpc_line *
start(const char *method, const char *params)
{
	char *line = NULL;
	struct sl_rpc_line *l;

	assert_true(asprintf(&line,
			     "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"%s\",\"params\":%s}",
			     method, params) > 0);
	free(answered_text);
	answered_text = NULL;
	l = sl_rpc_line_start(r.rpc, &rx_unix, line, strlen(line), answered, NULL);
	free(line);
	return l;
}

/** @return the answer: result and error */
static json_t *
ask(const char *method, const char *params)
{
	json_t *o;

	start(method, params);
	for (unsigned i = 0; answered_text == NULL && i < TURNS_MAX; i++)
		turn();
	assert_non_null(answered_text);
	o = json_loads(answered_text, 0, NULL);
	assert_non_null(o);
	return o;
}

/** The flows of one answer. */
static json_t *
list(const char *params)
{
	json_t *o = ask("flow.list", params), *flows;

	flows = json_incref(json_object_get(json_object_get(o, "result"), "flows"));
	if (flows == NULL)
		fail_msg("%s: %s", params, json_dumps(o, 0));
	json_decref(o);
	return flows;
}

static const char *
text(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s != NULL ? s : "(none)";
}

static json_int_t
number(const json_t *o, const char *name)
{
	if (!json_is_integer(json_object_get(o, name)))
		fail_msg("no %s in %s", name, json_dumps(o, 0));
	return json_integer_value(json_object_get(o, name));
}

/** The list has exactly the flows of these destinations and ports, in any order. */
static void
has(const char *params, unsigned n, ...)
{
	json_t *flows = list(params), *row;
	unsigned found = 0;
	va_list ap;
	size_t i;

	va_start(ap, n);
	for (unsigned k = 0; k < n; k++) {
		const struct spec *s = va_arg(ap, const struct spec *);

		json_array_foreach (flows, i, row)
			found += strcmp(text(row, "src"), s->src) == 0 &&
				 strcmp(text(row, "dst"), s->dst) == 0 &&
				 (s->proto == 1 || number(row, "sport") == s->sport);
	}
	va_end(ap);
	if (found != n || json_array_size(flows) != n)
		fail_msg("%s: %s", params, json_dumps(flows, 0));
	json_decref(flows);
}

static void
refused(const char *params, const char *reason, const char *path)
{
	json_t *o = ask("flow.list", params), *data;

	data = json_object_get(json_object_get(o, "error"), "data");
	if (strcmp(text(data, "reason"), reason) != 0 || strcmp(text(data, "path"), path) != 0)
		fail_msg("%s: %s", params, json_dumps(o, 0));
	json_decref(o);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void
test_fields(void **state)
{
	json_t *flows;

	put(&db)->tcp = SL_FLOW_TCP_EST;
	r.fx.now_ns += 3 * S / 2;
	flows = list("{}");
	assert_int_equal(json_array_size(flows), 1);
	json_object_del(json_array_get(flows, 0), "generation");
	rx_is(json_array_get(flows, 0),
	      "{\"interface\":\"wg0\",\"peer\":\"alice\",\"worker\":0,\"from\":\"tunnel\","
	      "\"src\":\"10.7.0.2\",\"dst\":\"10.20.0.10\",\"protocol\":\"tcp\",\"sport\":40000,"
	      "\"port\":443,\"state\":\"established\",\"verdict\":\"allow\",\"mode\":\"observe\","
	      "\"why\":\"rule\",\"role\":\"engineer\",\"rule\":\"engineer/1\",\"zone\":\"in\","
	      "\"target\":\"db\",\"midstream\":false,\"outdated\":false,\"age_ms\":1500,"
	      "\"idle_ms\":1500,\"expires_ms\":7438500,\"packets\":3,\"bytes\":300,"
	      "\"reply_packets\":2,\"reply_bytes\":2000}");
	json_decref(flows);
}

static void
test_filters(void **state)
{
	put_all();
	has("{}", 5, &db, &telnet, &ping, &from_db, &wg1);
	has("{\"interface\":\"wg0\"}", 4, &db, &telnet, &ping, &from_db);
	has("{\"interface\":\"wg1\"}", 1, &wg1);
	has("{\"peer\":\"alice\"}", 3, &db, &telnet, &wg1);
	has("{\"peer\":\"alice\",\"interface\":\"wg0\"}", 2, &db, &telnet);
	has("{\"peer\":\"" BOB "\"}", 2, &ping, &from_db);
	has("{\"target\":\"web\"}", 2, &telnet, &wg1);
	has("{\"target\":\"10.20.0.10\"}", 2, &db, &ping);
	has("{\"target\":\"10.7.0.0/24\"}", 1, &from_db);
	has("{\"src\":\"10.7.0.2/32\"}", 2, &db, &telnet);
	has("{\"src\":\"10.20.0.0/24\"}", 1, &from_db);
	has("{\"src\":\"fd00::/8\"}", 0);
	has("{\"role\":\"engineer\"}", 3, &db, &telnet, &wg1);
	has("{\"role\":\"guest\"}", 0);
	has("{\"rule\":\"engineer/2\"}", 1, &telnet);
	has("{\"verdict\":\"allow\"}", 1, &db);
	has("{\"verdict\":\"would_deny\"}", 4, &telnet, &ping, &from_db, &wg1);
	has("{\"verdict\":\"deny\"}", 0);
	has("{\"verdict\":\"would_deny\",\"peer\":\"alice\",\"target\":\"web\",\"src\":"
	    "\"10.9.0.0/24\"}",
	    1, &wg1);
}

static void
test_refused(void **state)
{
	refused("{\"interface\":\"wg7\"}", "interface_unknown", "/interface");
	refused("{\"peer\":\"carol\"}", "peer_unknown", "/peer");
	refused("{\"peer\":\"bob\",\"interface\":\"wg1\"}", "peer_unknown", "/peer");
	refused("{\"target\":\"nowhere\"}", "target_unknown", "/target");
	refused("{\"target\":\"10.20.0.1/24\"}", "prefix_host_bits", "/target");
	refused("{\"src\":\"10.20.0.1/24\"}", "prefix_host_bits", "/src");
	refused("{\"src\":\"nowhere\"}", "prefix_invalid", "/src");
	refused("{\"role\":\"nobody\"}", "role_unknown", "/role");
	refused("{\"rule\":\"engineer\"}", "rule_invalid", "/rule");
	refused("{\"rule\":\"engineer/\"}", "rule_invalid", "/rule");
	refused("{\"rule\":\"engineer/0\"}", "rule_invalid", "/rule");
	refused("{\"rule\":\"engineer/1x\"}", "rule_invalid", "/rule");
	refused("{\"rule\":\"engineer/99999999999\"}", "rule_invalid", "/rule");
	refused("{\"rule\":\"engineer/3\"}", "rule_unknown", "/rule");
	refused("{\"rule\":\"guest/1\"}", "rule_unknown", "/rule");
	refused("{\"verdict\":\"maybe\"}", "enum_invalid", "/verdict");
	refused("{\"limit\":0}", "param_range", "/limit");
	refused("{\"limit\":1001}", "param_range", "/limit");
	refused("{\"after\":-1}", "param_range", "/after");
	refused("{\"port\":443}", "param_unknown", "/port");
	/* who does not wait cannot be answered */
	rx_refused(&r, "flow.list", "{}", -EBUSY, "cannot_wait", "");
	/* a cursor from nowhere ends the list */
	put_all();
	has("{\"after\":9007199254740991}", 0);
	has("{\"after\":4294967296}", 3, &ping, &from_db, &wg1);
}

/* Modes are those of the answer, whatever held when the last packet came. */
static void
test_modes(void **state)
{
	put_all();
	rx_do(&r, "authz.mode.set", "{\"targets\":[\"web\"],\"mode\":\"enforce\",\"force\":true}");
	has("{\"verdict\":\"deny\"}", 3, &telnet, &wg1, &from_db); /* the last one by its source */
	has("{\"verdict\":\"would_deny\"}", 1, &ping);
	rx_do(&r, "authz.mode.set", "{\"panic\":\"observe\"}");
	has("{\"verdict\":\"would_deny\"}", 4, &telnet, &ping, &from_db, &wg1);
}

static void
test_count(void **state)
{
	json_t *o, *c;

	put_all();
	rx_do(&r, "authz.mode.set", "{\"targets\":[\"web\"],\"mode\":\"enforce\",\"force\":true}");
	o = ask("flow.count", "{}");
	rx_is(json_object_get(o, "result"),
	      "{\"flows\":5,\"allow\":1,\"would_deny\":1,\"deny\":3,\"midstream\":1,\"outdated\":0,"
	      "\"packets\":25,\"bytes\":11500,\"workers\":[{\"worker\":0,\"flows\":2,\"max\":65536}"
	      ","
	      "{\"worker\":1,\"flows\":3,\"max\":65536}]}");
	json_decref(o);
	o = ask("flow.count", "{\"peer\":\"alice\",\"interface\":\"wg0\"}");
	c = json_object_get(o, "result");
	assert_int_equal(number(c, "flows"), 2);
	assert_int_equal(number(c, "allow"), 1);
	assert_int_equal(number(json_array_get(json_object_get(c, "workers"), 1), "flows"), 3);
	json_decref(o);
}

static void
is_outdated(const char *dst, bool want)
{
	char params[64];
	json_t *flows, *row;
	size_t i;

	snprintf(params, sizeof(params), "{\"target\":\"%s\",\"interface\":\"wg0\"}", dst);
	flows = list(params);
	assert_true(json_array_size(flows) > 0);
	json_array_foreach (flows, i, row)
		assert_true(json_is_true(json_object_get(row, "outdated")) == want);
	json_decref(flows);
}

/* Judged by rules or roles that are no more. */
static void
test_outdated(void **state)
{
	json_t *flows, *row;

	put(&db);
	put(&from_db);
	is_outdated("10.20.0.10", false);
	/* somebody else's role changes nothing; one's own does */
	rx_do(&r, "role.member.add", "{\"role\":\"guest\",\"peer\":\"bob\"}");
	fx_turn(&r.fx);
	is_outdated("10.20.0.10", false);
	is_outdated("10.7.0.3", true);
	/* new rules: names by what is still there */
	rx_do(&r, "policy.load",
	      "{\"text\":\"{\\\"version\\\":8,\\\"zones\\\":{},\\\"roles\\\":{\\\"a\\\":"
	      "{\\\"id\\\":1},\\\"engineer\\\":{\\\"id\\\":3}}}\"}");
	fx_turn(&r.fx);
	flows = list("{\"peer\":\"alice\"}");
	row = json_array_get(flows, 0);
	assert_true(json_is_true(json_object_get(row, "outdated")));
	assert_string_equal(text(row, "rule"), "engineer/1");
	assert_null(json_object_get(row, "target"));
	assert_null(json_object_get(row, "zone"));
	json_decref(flows);
	rx_do(&r, "policy.clear", "{\"force\":true}");
	fx_turn(&r.fx);
	flows = list("{}");
	assert_int_equal(json_array_size(flows), 2);
	assert_string_equal(text(json_array_get(flows, 0), "role"), "engineer"); /* as it was */
	json_decref(flows);
}

static void
role_is(const char *want)
{
	json_t *flows = list("{\"peer\":\"alice\"}");

	assert_int_equal(json_array_size(flows), 1);
	assert_string_equal(text(json_array_get(flows, 0), "role"), want);
	assert_true(json_is_true(json_object_get(json_array_get(flows, 0), "outdated")));
	json_decref(flows);
}

/* A flow names the role that it was judged by, wherever documents put it later. */
static void
test_roles_without_ids(void **state)
{
	rx_do(&r, "policy.load",
	      "{\"text\":\"{\\\"roles\\\":{\\\"staff\\\":{\\\"members\\\":"
	      "[\\\"peer:alice\\\"]},\\\"guest\\\":{}}}\"}");
	fx_turn(&r.fx);
	put(&db);
	rx_do(&r, "policy.load",
	      "{\"text\":\"{\\\"roles\\\":{\\\"admin\\\":{},\\\"staff\\\":{}}}\"}");
	fx_turn(&r.fx);
	role_is("staff");
	/* it went, and another came: not under its id */
	rx_do(&r, "policy.load", "{\"text\":\"{\\\"roles\\\":{\\\"visitor\\\":{}}}\"}");
	fx_turn(&r.fx);
	role_is("staff");
}

/* Many flows come in pages, each once, and other answers come between its slices. */
static void
test_pages(void **state)
{
	static unsigned char seen[2][3000];
	struct spec s = db;
	unsigned n = 0, pages = 0;
	json_int_t next = 0;

	for (unsigned w = 0; w < 2; w++)
		for (unsigned i = 0; i < 3000; i++) {
			s.worker = w;
			s.dst = w == 0 ? "10.20.0.10" : "10.20.0.11";
			s.sport = (uint16_t)(1000 + i);
			put(&s);
		}
	do {
		char params[64];
		json_t *o, *result, *row;
		size_t i;

		snprintf(params, sizeof(params), "{\"limit\":700,\"after\":%lld}", (long long)next);
		o = ask("flow.list", params);
		result = json_object_get(o, "result");
		json_array_foreach (json_object_get(result, "flows"), i, row) {
			seen[number(row, "worker")][number(row, "sport") - 1000]++;
			n++;
		}
		assert_true(i <= 700);
		next = json_integer_value(json_object_get(result, "next"));
		pages++;
		json_decref(o);
	} while (next);
	assert_int_equal(n, 6000);
	assert_int_equal(pages, 9);
	for (unsigned i = 0; i < 6000; i++)
		assert_int_equal(seen[i / 3000][i % 3000], 1);
	/* one page alone that is just full has no next one with nothing on it to lose */
	has("{\"target\":\"10.20.0.12\"}", 0);
}

/* The asker goes, or the worker is silent: the next question is answered all the same. */
static void
test_gone(void **state)
{
	struct sl_rpc_line *l;

	put_all();
	deaf = true;
	l = start("flow.list", "{}");
	turn();
	turn();
	sl_rpc_line_cancel(l);
	turn();
	deaf = false;
	has("{\"interface\":\"wg1\"}", 1, &wg1); /* not the rows that the first one asked for */
	deaf = true;
	start("flow.list", "{}");
	turn();
	r.fx.now_ns += 4 * S;
	turn();
	assert_null(answered_text);
	r.fx.now_ns += S;
	turn();
	assert_non_null(answered_text);
	assert_non_null(strstr(answered_text, "worker_silent"));
	deaf = false;
	has("{\"verdict\":\"allow\"}", 1, &db);
}

/* A worker that had nothing to show was not silent. */
static void
test_nothing_to_show(void **state)
{
	start("flow.count", "{}");
	turn();
	deaf = true;
	r.fx.now_ns += 4 * S;
	turn(); /* the first one's empty window came; the second one has its own now */
	r.fx.now_ns += 4 * S;
	turn();
	assert_null(answered_text);
	deaf = false;
	turn();
	turn();
	assert_non_null(answered_text);
	assert_non_null(strstr(answered_text, "\"result\""));
}

/* So many may wait; the end of the gateway answers them. */
static void
test_queue(void **state)
{
	deaf = true;
	for (unsigned i = 0; i < 8; i++)
		assert_non_null(start("flow.count", "{}"));
	assert_null(start("flow.count", "{}"));
	assert_non_null(strstr(answered_text, "\"busy\""));
	for (unsigned i = 0; i < 3; i++)
		turn();
	sl_ctl_clear(&r.ctl);
	assert_non_null(strstr(answered_text, "\"ending\""));
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_fields, setup, teardown),
		cmocka_unit_test_setup_teardown(test_filters, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_count, setup, teardown),
		cmocka_unit_test_setup_teardown(test_outdated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_roles_without_ids, setup, teardown),
		cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_to_show, setup, teardown),
		cmocka_unit_test_setup_teardown(test_queue, setup, teardown),
	};

	fx_start("test_rpc_flow");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
