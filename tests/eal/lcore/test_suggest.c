/* SPDX-License-Identifier: BSD-3-Clause */
/* Suggestions, as properties over random policies and random evidence: whatever a candidate newly
 * allows was seen; nothing is newly denied; what was seen and is denied for want of a rule passes
 * under the candidate. All of a small universe is judged, by sl_judge() and by plain scans. */
#include <stdarg.h>
#include <time.h>
#include <unistd.h>

#include "evidence_int.h"
#include "evidence_suggest.h"
#include "gw_fixture.h"
#include "sl_env.h"
#include "sl_gw_policy.h"
#include "sl_policy_doc.h"

#define ROWS 4096
#define PEERS 4
#define HOSTS 6
#define IFACES 2
#define SEEN 4096

static struct fx fx;
static struct sl_agg agg;
static void *mem[2];
static struct sl_evidence *ev;
static uint64_t seed;

static const uint16_t ports[] = {22, 80, 81, 82, 443, 8080};
static const uint8_t protos[] = {6, 17, 1, 47};

/** One flow as rules see it: everything but the source port. */
struct tuple {
	uint8_t iface, peer, host, net; /* net: which address of the peer; 1: IPv6 */
	uint8_t proto;
	uint16_t port;
	bool from_inside;
};
static struct tuple seen[SEEN];
static unsigned n_seen;

static uint32_t
rnd(uint32_t n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
	return (uint32_t)(seed >> 33) % n;
}

/* --- the gateway ----------------------------------------------------------------------------- */

static void
add_peer(unsigned iface, unsigned i)
{
	static const char *const names[] = {"alice", "bob", "carol", "d+ve/=="};
	char text[3][32], ifname[8];
	struct sl_prefix p[3];
	struct sl_gw_peer_spec s = {.iface = ifname,
				    .public_key = fx_key(10 * iface + i),
				    .fields = SL_PF_NAME | SL_PF_ALLOWED_IPS,
				    .name = names[i],
				    .allowed = p,
				    .n_allowed = 3};

	snprintf(ifname, sizeof(ifname), "wg%u", iface);
	snprintf(text[0], sizeof(text[0]), "10.77.0.%u/32", i + 2);
	snprintf(text[1], sizeof(text[1]), "fd77::%u/128", i + 2);
	snprintf(text[2], sizeof(text[2]), "10.78.%u.0/24", i);
	for (unsigned k = 0; k < 3; k++)
		p[k] = fx_prefix(text[k]);
	if (sl_gw_peer_set(fx.gw, &s, &fx.e) != 0)
		fail_msg("%s %s", fx.e.reason, fx.e.message);
}

static void
add_iface(unsigned n)
{
	struct sl_secret sk = fx_secret(9000 + n);
	char name[8];
	struct sl_gw_iface_spec s = {.name = name,
				     .fields = SL_IF_LISTEN_PORT | SL_IF_KEY | SL_IF_INSIDE,
				     .listen_port = (uint16_t)(51820 + n),
				     .key_source = SL_KEY_FILE,
				     .key_file = "/nowhere/key",
				     .key = &sk,
				     .inside_port = "lan",
				     .inside_vlan = n > 0 ? 7 : 0};

	snprintf(name, sizeof(name), "wg%u", n);
	if (sl_gw_iface_set(fx.gw, &s, &fx.e) != 0)
		fail_msg("%s %s", fx.e.reason, fx.e.message);
}

static void
begin(unsigned ifaces)
{
	static const uint64_t key[2] = {1, 2};
	struct sl_evidence_conf c = {.agg = {&agg}, .n_agg = 1, .lockstep = true};

	fx_init(&fx);
	fx.conf.lockstep = true;
	fx_open(&fx);
	fx_ports(&fx);
	for (unsigned i = 0; i < ifaces; i++) {
		add_iface(i);
		for (unsigned k = 0; k < PEERS; k++)
			add_peer(i, k);
	}
	fx_turn(&fx);
	for (unsigned k = 0; k < 2; k++) {
		mem[k] = aligned_alloc(64, sl_agg_table_size(ROWS));
		memset(mem[k], 0, sl_agg_table_size(ROWS));
	}
	sl_agg_init(&agg, mem[0], mem[1], ROWS, key);
	c.gw = fx.gw;
	ev = sl_evidence_new(&c, &fx.e);
	assert_non_null(ev);
	n_seen = 0;
}

static void
end(void)
{
	sl_evidence_free(ev);
	free(mem[0]);
	free(mem[1]);
	fx_fini(&fx);
}

static int loaded_rc;

static void
loaded(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	(void)ctx;
	(void)r;
	loaded_rc = rc;
	if (rc != 0)
		fx.e = *e;
}

static int
load(const char *text)
{
	struct sl_gw_policy_load l = {.text = text,
				      .len = strlen(text),
				      .origin = "rpc",
				      .run_tests = true,
				      .wait = true,
				      .done = loaded};
	int rc = sl_gw_policy_load(fx.gw, &l, &fx.e);

	fx_turn(&fx);
	return rc != 0 ? rc : loaded_rc;
}

/* --- random policies -------------------------------------------------------------------------- */

static const char *
pick(unsigned n, ...)
{
	unsigned k = rnd(n);
	const char *s = "";
	va_list ap;

	va_start(ap, n);
	for (unsigned i = 0; i <= k; i++)
		s = va_arg(ap, const char *);
	va_end(ap);
	return s;
}

static json_t *
some_members(void)
{
	json_t *list = json_array();
	char text[64];

	for (unsigned i = rnd(4); i > 0; i--) {
		switch (rnd(5)) {
		case 0:
			snprintf(text, sizeof(text), "peer:%s", pick(3, "alice", "bob", "carol"));
			break;
		case 1:
			snprintf(text, sizeof(text), "peer:%s@wg%u",
				 pick(3, "alice", "bob", "carol"), rnd(2));
			break;
		case 2:
			snprintf(text, sizeof(text), "10.77.0.%u/32@wg%u", 2 + rnd(PEERS), rnd(2));
			break;
		case 3:
			snprintf(text, sizeof(text), "%s@wg%u",
				 pick(4, "10.77.0.0/30", "fd77::/64", "10.78.0.0/16",
				      "10.78.1.0/24"),
				 rnd(2));
			break;
		default:
			snprintf(text, sizeof(text), "%s@*",
				 pick(3, "10.20.0.1/32", "10.20.0.0/29", "fd20::/64"));
		}
		for (size_t k = 0; k < json_array_size(list); k++)
			if (strcmp(json_string_value(json_array_get(list, k)), text) == 0)
				json_array_remove(list, k--);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static json_t *
some_rule(unsigned id)
{
	const char *proto = pick(5, "any", "tcp", "tcp", "udp", "icmp");
	char role[8];
	json_t *r, *p;

	snprintf(role, sizeof(role), "r%u", rnd(4));
	r = json_pack("{si,ss,ss,ss}", "id", (int)id, "role", role, "protocol", proto, "action",
		      rnd(3) ? "allow" : "deny");
	json_object_set_new(r, "to",
			    json_pack("[s]", pick(7, "t0", "t1", "t2", "10.20.0.4/32", "*",
						  "10.20.0.5/32@wg1", "10.77.0.3/32")));
	if (rnd(4) == 0)
		json_object_set_new(r, "src",
				    json_pack("[s]", pick(2, "10.77.0.2/32", "10.77.0.0/29")));
	if (strcmp(proto, "tcp") == 0 || strcmp(proto, "udp") == 0) {
		p = rnd(2) ? json_pack("[i]", (int)ports[rnd(SL_ARRAY_SIZE(ports))])
			   : json_pack("[s]", "80-81");
		json_object_set_new(r, "ports", p);
	}
	json_object_set_new(r, "priority", json_integer(rnd(3) ? 128 : 60 + rnd(190)));
	json_object_set_new(r, "bidirectional", json_boolean(rnd(4) == 0));
	return r;
}

static char *
some_policy(void)
{
	json_t *doc = json_pack("{si,s:{s:{si,ss,s[s],ss},s:{si,ss,s[ss],ss}},"
				"s:{s:{s[s]},s:{s[ss]},s:{s[s]}}}",
				"version", 1, "zones", "vpn", "id", 1, "type", "vpn", "networks",
				"10.77.0.0/16", "default_policy", rnd(4) ? "deny" : "allow", "in",
				"id", 2, "type", "internal", "networks", "10.20.0.0/30",
				"fd20::/64", "default_policy", rnd(3) ? "deny" : "allow", "targets",
				"t0", "addresses", "10.20.0.1/32", "t1", "addresses",
				"10.20.0.2/32", "10.20.0.3/32", "t2", "addresses", "10.20.0.0/29");
	json_t *roles = json_object(), *rules = json_array();
	char name[8];
	char *text;

	for (unsigned i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "r%u", i);
		json_object_set_new(roles, name, json_pack("{so}", "members", some_members()));
	}
	for (unsigned i = rnd(12); i > 0; i--)
		json_array_append_new(rules, some_rule(i));
	json_object_set_new(doc, "roles", roles);
	json_object_set_new(doc, "rules", rules);
	text = json_dumps(doc, JSON_INDENT(1));
	json_decref(doc);
	return text;
}

/* --- the universe ----------------------------------------------------------------------------- */

static void
peer_address(const struct tuple *t, uint8_t out[16])
{
	memset(out, 0, 16);
	if (t->net == 1)
		memcpy(out, (uint8_t[16]){0xfd, 0x77, [15] = (uint8_t)(2 + t->peer)}, 16);
	else if (t->net == 0)
		memcpy(out, (uint8_t[4]){10, 77, 0, (uint8_t)(2 + t->peer)}, 4);
	else
		memcpy(out, (uint8_t[4]){10, 78, t->peer, 9}, 4);
}

static void
host_address(const struct tuple *t, uint8_t out[16])
{
	memset(out, 0, 16);
	if (t->net == 1)
		memcpy(out, (uint8_t[16]){0xfd, 0x20, [15] = (uint8_t)(1 + t->host)}, 16);
	else
		memcpy(out, (uint8_t[4]){10, 20, 0, (uint8_t)(1 + t->host)}, 4);
}

static uint8_t
proto_of(const struct tuple *t)
{
	return t->proto == 1 && t->net == 1 ? 58 : t->proto;
}

static uint16_t
iface_id(unsigned n)
{
	struct sl_gw_iface_info i;
	char name[8];

	snprintf(name, sizeof(name), "wg%u", n);
	assert_true(sl_gw_iface_find(fx.gw, name, &i));
	return i.id;
}

static uint32_t
peer_id(unsigned iface, unsigned peer)
{
	struct sl_pubkey key = fx_key(10 * iface + peer);
	struct sl_gw_peer_info info;
	char name[8];

	snprintf(name, sizeof(name), "wg%u", iface);
	assert_int_equal(sl_gw_peer_info(fx.gw, name, &key, &info), 0);
	return info.id;
}

static void
judge_flow(const struct tuple *t, uint8_t addr[2][16], struct sl_judge_flow *f)
{
	bool has_ports = t->proto == 6 || t->proto == 17;

	peer_address(t, addr[0]);
	host_address(t, addr[1]);
	*f = (struct sl_judge_flow){.from_inside = t->from_inside,
				    .peer_id = peer_id(t->iface, t->peer)};
	f->f.version = t->net == 1 ? 6 : 4;
	f->f.proto = proto_of(t);
	f->f.iface = iface_id(t->iface);
	f->f.src = addr[t->from_inside];
	f->f.dst = addr[!t->from_inside];
	f->f.sport = has_ports ? EV_SPORT_ANY : 0;
	f->f.dport = has_ports ? t->port : 0;
}

static bool
next_tuple(struct tuple *t, unsigned ifaces)
{
	static unsigned at_proto, at_port;

	if (t->iface == 0xff) {
		*t = (struct tuple){.proto = protos[0], .port = ports[0]};
		at_proto = at_port = 0;
		return true;
	}
	if ((t->from_inside = !t->from_inside))
		return true;
	if ((t->proto == 6 || t->proto == 17) && ++at_port < SL_ARRAY_SIZE(ports)) {
		t->port = ports[at_port];
		return true;
	}
	at_port = 0;
	at_proto = (at_proto + 1) % SL_ARRAY_SIZE(protos);
	t->proto = protos[at_proto];
	t->port = t->proto == 6 || t->proto == 17 ? ports[0] : 0;
	if (at_proto != 0)
		return true;
	t->net = (t->net + 1) % 3;
	if (t->net != 0)
		return true;
	t->host = (t->host + 1) % HOSTS;
	if (t->host != 0)
		return true;
	t->peer = (t->peer + 1) % PEERS;
	if (t->peer != 0)
		return true;
	return ++t->iface < ifaces;
}

static bool
was_seen(const struct tuple *t)
{
	for (unsigned i = 0; i < n_seen; i++)
		if (memcmp(&seen[i], t, sizeof(*t)) == 0)
			return true;
	return false;
}

static void
see(const struct tuple *t, unsigned flags)
{
	struct sl_agg_key k = {.peer_id = peer_id(t->iface, t->peer),
			       .dport = t->port,
			       .iface = iface_id(t->iface),
			       .proto = proto_of(t),
			       .version = t->net == 1 ? 6 : 4,
			       .flags = (uint8_t)(flags |
						  (t->from_inside ? 0 : SL_AGG_FROM_TUNNEL))};

	peer_address(t, t->from_inside ? k.dst : k.src);
	host_address(t, t->from_inside ? k.src : k.dst);
	if (t->from_inside && rnd(3) == 0 && t->port != 0)
		k.sport = 53;
	sl_agg_add(&agg, &k, 0, 0, SL_WHY_NO_ROLE, 1 + rnd(3), 2, 200, fx.now_ns);
	if (!(flags & SL_AGG_MIDSTREAM) && n_seen < SEEN)
		seen[n_seen++] = *t;
}

static void
some_evidence(unsigned ifaces)
{
	struct tuple t;

	for (unsigned i = 3 + rnd(60); i > 0; i--) {
		memset(&t, 0, sizeof(t));
		t.iface = (uint8_t)rnd(ifaces);
		t.peer = (uint8_t)rnd(PEERS);
		t.host = (uint8_t)rnd(HOSTS);
		t.net = (uint8_t)rnd(3);
		t.proto = protos[rnd(SL_ARRAY_SIZE(protos))];
		t.port = t.proto == 6 || t.proto == 17 ? ports[rnd(SL_ARRAY_SIZE(ports))] : 0;
		t.from_inside = rnd(4) == 0;
		see(&t, rnd(10) == 0 ? SL_AGG_MIDSTREAM : 0);
		for (unsigned k = rnd(3); k > 0 && t.port;
		     k--) { /* neighbours, so that lists form */
			t.port = ports[rnd(SL_ARRAY_SIZE(ports))];
			see(&t, 0);
			t.host = (uint8_t)rnd(HOSTS);
		}
	}
	for (unsigned i = 0; i < 4; i++) {
		fx.now_ns += S;
		fx.wall_ns += S;
		sl_agg_poll(&agg);
		sl_evidence_poll(ev);
	}
}

/* --- the properties ----------------------------------------------------------------------------
 */

static struct ev_scan *
scan(const struct sl_gw_candidate *c)
{
	struct ev_filter f = {.window_s = 3600};
	struct ev_scan *s = ev_scan_new(ev, &f, c);

	assert_non_null(s);
	while (!ev_scan_step(s, 7)) /* in small steps */
		;
	assert_false(ev_scan_failed(s));
	return s;
}

static json_t *
suggest(struct ev_scan *s)
{
	struct ev_suggest_conf c = {
		.gw = fx.gw, .ev = ev, .scan = s, .min_flows = 1, .rules_cap = 32};
	struct ev_flow *row[SEEN];
	struct ev_suggest *u;
	unsigned n, k = 0;
	struct ev_flow *f = ev_scan_flows(s, &n);
	json_t *o;

	c.document = sl_gw_policy_canonical(fx.gw, &c.document_len);
	for (unsigned i = 0; i < n; i++)
		if (ev_flow_denied(&f[i]))
			row[k++] = &f[i];
	u = ev_suggest_new(&c, row, k, &fx.e);
	assert_non_null(u);
	while (!ev_suggest_step(u, 3)) /* in small steps */
		;
	o = ev_suggest_result(u, &fx.e);
	assert_non_null(o);
	ev_suggest_free(u);
	return o;
}

static bool
left_out_for(const json_t *o, const char *reason)
{
	json_t *v;
	size_t i;

	json_array_foreach (json_object_get(o, "left_out"), i, v)
		if (strcmp(json_string_value(json_object_get(v, "reason")), reason) == 0)
			return true;
	return false;
}

struct tally {
	unsigned policies, rules, newly_allowed, closed;
};

/** Both documents, whole: a message of a failed test is cut. */
static void
dump(const char *before, const char *after)
{
	fprintf(stderr, "%s\n%s\n", before, after);
}

/** The whole universe under both. */
static void
compare(const struct sl_gw_candidate *c, const char *before, const char *after, unsigned ifaces,
	struct tally *tally)
{
	struct tuple t = {.iface = 0xff};

	while (next_tuple(&t, ifaces)) {
		uint32_t tick = sl_tick_of(fx.now_ns);
		uint8_t addr[2][16];
		struct sl_judgement now, then;
		struct sl_judge_flow f;

		judge_flow(&t, addr, &f);
		sl_judge(sl_gw_policy_view(fx.gw), tick, &f, &now, 1);
		sl_gw_candidate_judge(c, &f, &then);
		if ((now.allow && !then.allow) || (!now.allow && then.allow && !was_seen(&t)))
			dump(before, after);
		if (now.allow && !then.allow)
			fail_msg(
				"newly denied: wg%u peer %u net %u host %u proto %u port %u inside "
				"%d",
				t.iface, t.peer, t.net, t.host, t.proto, t.port, t.from_inside);
		if (!now.allow && then.allow && !was_seen(&t))
			fail_msg("never seen, newly allowed: wg%u peer %u net %u host %u proto %u "
				 "port %u inside %d",
				 t.iface, t.peer, t.net, t.host, t.proto, t.port, t.from_inside);
		tally->newly_allowed += !now.allow && then.allow;
	}
}

/** Under the candidate only what it left out on purpose is denied. */
static void
nothing_denied(struct ev_scan *s, bool by_candidate, const json_t *o, const char *after)
{
	bool limit = left_out_for(o, "limit_rules"), zone = left_out_for(o, "zone_default_allow");
	unsigned n;
	struct ev_flow *f = ev_scan_flows(s, &n);

	for (unsigned i = 0; i < n; i++) {
		bool inside = !(f[i].flags & SL_AGG_FROM_TUNNEL);
		bool allow = by_candidate ? f[i].cand_allow : f[i].allow;

		if (by_candidate && f[i].allow)
			assert_true(f[i].cand_allow); /* 0 newly denied, midstream too */
		if (!f[i].here || f[i].flags & SL_AGG_MIDSTREAM || allow)
			continue;
		if (limit || (zone && inside) ||
		    (by_candidate ? f[i].cand_why : f[i].why) == SL_WHY_RULE)
			continue;
		fail_msg("seen, and denied by the candidate: proto %u port %u dst %u.%u.%u.%u\n%s",
			 f[i].proto, f[i].dport, f[i].dst[0], f[i].dst[1], f[i].dst[2], f[i].dst[3],
			 after);
	}
}

static void
one(unsigned ifaces, struct tally *tally)
{
	char *before = some_policy();
	struct sl_gw_candidate *c;
	struct ev_scan *s;
	const char *after;
	json_t *o;

	begin(ifaces);
	if (rnd(10) != 0 && load(before) != 0) { /* one in ten: no policy at all */
		free(before);
		end();
		return;
	}
	tally->policies++;
	some_evidence(ifaces);
	s = scan(NULL);
	o = suggest(s);
	ev_scan_free(s);
	tally->rules += (unsigned)json_array_size(json_object_get(o, "rules"));
	after = json_string_value(json_object_get(o, "candidate"));
	tally->closed += strstr(after, "nothing else in zones") != NULL;
	c = sl_gw_candidate_new(fx.gw, after, strlen(after), true, &fx.e);
	if (c == NULL) {
		dump(before, after);
		fail_msg("%s at %s: %s", fx.e.reason, fx.e.path, fx.e.message);
	}
	compare(c, before, after, ifaces, tally);
	s = scan(c);
	nothing_denied(s, true, o, after);
	ev_scan_free(s);
	sl_gw_candidate_free(c);
	if (load(after) != 0)
		fail_msg("%s at %s: %s\n%s", fx.e.reason, fx.e.path, fx.e.message, after);
	s = scan(NULL);
	nothing_denied(s, false, o, after);
	ev_scan_free(s);
	json_decref(o);
	free(before);
	end();
}

static void
test_properties(void **state)
{
	const char *given = getenv("SL_SEED");
	struct tally t = {0};
	unsigned rounds = 60;

	(void)state;
	seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
	print_message("seed %llu\n", (unsigned long long)seed);
	if (getenv("SL_ROUNDS") != NULL)
		rounds = (unsigned)strtoul(getenv("SL_ROUNDS"), NULL, 0);
	for (unsigned i = 0; i < rounds; i++)
		one(1 + i % IFACES, &t);
	print_message("%u policies, %u rules, %u tuples newly allowed, %u zones closed\n",
		      t.policies, t.rules, t.newly_allowed, t.closed);
	assert_true(t.policies > rounds / 2);
	assert_true(t.rules > t.policies);
	assert_true(t.newly_allowed > t.policies);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_properties),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
