/* SPDX-License-Identifier: BSD-3-Clause */
/* The JSON of each type of record, names by generation, and that whatever comes is valid JSON. */
#include "drain_test.h"

#include <arpa/inet.h>

static struct sl_format f;
static struct sl_names *names;
static const struct sl_pubkey key = {{1, 2, 3}};
static struct sl_line *last;

static int
open_all(void **state)
{
	assert_int_equal(sl_format_init(&f, "gw-tyo-1", "0.1.0", T_BOOT), 0);
	names = sl_names_new();
	assert_non_null(names);
	sl_names_policy_add(names, sl_names_policy_new(names, td_policy(1844, 57)));
	sl_names_iface_set(names, 1, "wg0");
	sl_names_peer_set(names, 81, 1, "alice-laptop", &key, 0);
	return 0;
}

static int
close_all(void **state)
{
	sl_names_free(names);
	sl_format_fini(&f);
	sl_line_unref(last);
	last = NULL;
	return 0;
}

static json_t *
format(const struct sl_rec *r)
{
	json_error_t e;
	json_t *o;

	sl_line_unref(last);
	last = sl_format_record(&f, names, r, T_WALL, 88041);
	assert_non_null(last);
	assert_int_equal(last->text[last->len - 1], '\n');
	assert_int_equal(strlen(last->text), last->len);
	assert_null(memchr(last->text, '\n', last->len - 1));
	o = json_loadb(last->text, last->len, JSON_REJECT_DUPLICATES, &e);
	if (!json_is_object(o))
		fail_msg("%s at %d of %s", e.text, e.position, last->text);
	return o;
}

static void
is(const json_t *o, const char *path, const char *json)
{
	json_t *want = json_loads(json, JSON_DECODE_ANY, NULL);
	const json_t *have = td_get(o, path);

	assert_non_null(want);
	if (have == NULL || !json_equal(have, want)) {
		char *text = have ? json_dumps(have, JSON_ENCODE_ANY) : NULL;

		fail_msg("%s is %s, not %s", path, text ? text : "absent", json);
	}
	json_decref(want);
}

static void
absent(const json_t *o, const char *path)
{
	if (td_get(o, path) != NULL)
		fail_msg("%s is there", path);
}

/* The whole line, as documented. */
static void
test_golden(void **state)
{
	struct sl_rec r = td_record(SL_REC_DENY);
	static const char want[] =
		"{\"@timestamp\":\"2025-11-20T09:14:03.221417Z\",\"ecs\":{\"version\":\"9.3.0\"},"
		"\"event\":{\"kind\":\"event\",\"category\":[\"network\"],"
		"\"type\":[\"connection\",\"denied\"],\"action\":\"policy-deny\","
		"\"outcome\":\"failure\",\"dataset\":\"sluice.flow\","
		"\"id\":\"gw-tyo-1/9b1f0011/88041\",\"sequence\":88041,\"reason\":\"rule\"},"
		"\"observer\":{\"name\":\"gw-tyo-1\",\"type\":\"firewall\",\"vendor\":\"sluice\","
		"\"product\":\"sluiced\",\"version\":\"0.1.0\","
		"\"ingress\":{\"interface\":{\"name\":\"wg0\"}},"
		"\"egress\":{\"zone\":\"internal\"}},"
		"\"source\":{\"ip\":\"10.7.0.2\",\"port\":51544},"
		"\"destination\":{\"ip\":\"10.20.0.10\",\"port\":5432},"
		"\"network\":{\"transport\":\"tcp\",\"iana_number\":\"6\",\"type\":\"ipv4\","
		"\"direction\":\"inbound\","
		"\"community_id\":\"1:tJIh2HaLwiW9HownBfdB8ZuWMIE=\"},"
		"\"rule\":{\"id\":\"102\",\"name\":\"contractor/102\","
		"\"ruleset\":\"role:contractor\",\"version\":\"57\"},"
		"\"sluice\":{\"event_type\":\"PolicyViolation\","
		"\"peer\":{\"id\":81,\"name\":\"alice-laptop\","
		"\"public_key\":\"AQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\","
		"\"interface\":\"wg0\"},\"role\":{\"id\":7,\"name\":\"contractor\"},"
		"\"target\":{\"name\":\"db1\"},\"zone\":\"internal\","
		"\"authz\":{\"mode\":\"enforce\",\"verdict\":\"deny\",\"would\":\"deny\","
		"\"stale\":false,\"multi_role\":true,\"cached\":false,\"midstream\":false,"
		"\"no_target\":false},\"sample\":10,\"policy\":{\"generation\":1844,"
		"\"version\":57},\"hook\":\"post_decrypt\",\"count\":3}}\n";

	r.rule = r.role = 1;
	r.flags |= SL_RF_ENFORCED | SL_RF_MULTI_ROLE;
	r.count = 3;
	json_decref(format(&r));
	assert_string_equal(last->text, want);
	assert_int_equal(last->severity, SL_SEV_WARNING);
	assert_string_equal(last->action, "policy-deny");
	assert_int_equal(last->seq, 88041);
}

static void
test_allow_and_would(void **state)
{
	struct sl_rec r = td_record(SL_REC_ALLOW);
	json_t *o;

	r.flags |= SL_RF_ALLOW | SL_RF_CACHED;
	o = format(&r);
	is(o, "event.action", "\"policy-allow\"");
	is(o, "event.type", "[\"connection\",\"start\",\"allowed\"]");
	is(o, "event.outcome", "\"success\"");
	is(o, "sluice.event_type", "\"PolicyAllow\"");
	is(o, "sluice.authz.mode", "\"observe\"");
	is(o, "sluice.authz.verdict", "\"allow\"");
	is(o, "sluice.authz.would", "\"allow\"");
	is(o, "sluice.authz.cached", "true");
	json_decref(o);

	r = td_record(SL_REC_WOULD_DENY);
	r.rule = SL_POL_NONE;
	r.reason = SL_RR_ZONE_DEFAULT;
	r.target = SL_POL_NONE16;
	r.flags |= SL_RF_NO_TARGET | SL_RF_MIDSTREAM;
	o = format(&r);
	is(o, "event.action", "\"policy-would-deny\"");
	is(o, "event.type", "[\"connection\",\"allowed\"]");
	is(o, "event.outcome", "\"success\"");
	is(o, "event.reason", "\"zone_default\"");
	is(o, "sluice.event_type", "\"PolicyViolation\"");
	is(o, "sluice.authz.verdict", "\"allow\"");
	is(o, "sluice.authz.would", "\"deny\"");
	is(o, "sluice.authz.midstream", "true");
	is(o, "sluice.authz.no_target", "true");
	is(o, "rule",
	   "{\"id\":\"0\",\"name\":\"zone-default\",\"ruleset\":\"zone:internal\","
	   "\"version\":\"57\"}");
	absent(o, "sluice.target");
	json_decref(o);
}

static void
test_reasons(void **state)
{
	struct sl_rec r = td_record(SL_REC_DENY);
	json_t *o;

	r.reason = SL_RR_NO_ROLE;
	r.rule = SL_POL_NONE;
	r.role = r.target = r.zone = SL_POL_NONE16;
	r.flags |= SL_RF_ENFORCED;
	o = format(&r);
	is(o, "sluice.event_type", "\"NoRoleFound\"");
	is(o, "event.reason", "\"no_role\"");
	is(o, "rule", "{\"id\":\"0\",\"name\":\"no-role\",\"version\":\"57\"}");
	absent(o, "sluice.role");
	absent(o, "sluice.zone");
	absent(o, "observer.egress");
	json_decref(o);
	r.reason = SL_RR_MAP_ERROR;
	o = format(&r);
	is(o, "sluice.event_type", "\"MapLookupError\"");
	is(o, "rule.name", "\"default-deny\"");
	json_decref(o);
	r.reason = SL_RR_WITHDRAWN;
	o = format(&r);
	is(o, "event.reason", "\"withdrawn\"");
	is(o, "rule.name", "\"target-withdrawn\"");
	json_decref(o);
	r = td_record(SL_REC_STALE);
	r.flags |= SL_RF_STALE | SL_RF_ALLOW;
	o = format(&r);
	is(o, "sluice.event_type", "\"StalePolicy\"");
	is(o, "sluice.authz.stale", "true");
	json_decref(o);
	r = td_record(SL_REC_FLOW_FULL);
	o = format(&r);
	is(o, "event.action", "\"flow-table-full\"");
	json_decref(o);
}

static void
test_end(void **state)
{
	struct sl_rec r = td_record(SL_REC_END);
	json_t *o;

	r.reason = SL_RR_CLOSED;
	r.flags |= SL_RF_ALLOW;
	r.duration_ms = 62500;
	r.packets[0] = 3;
	r.packets[1] = UINT32_MAX;
	r.bytes[0] = 180;
	r.bytes[1] = UINT64_C(1) << 40;
	o = format(&r);
	is(o, "event.action", "\"flow-end\"");
	is(o, "event.type", "[\"connection\",\"end\"]");
	is(o, "event.start", "\"2025-11-20T09:13:00.721417Z\"");
	is(o, "event.end", "\"2025-11-20T09:14:03.221417Z\"");
	is(o, "event.duration", "62500000000");
	is(o, "event.reason", "\"closed\"");
	is(o, "source.packets", "3");
	is(o, "source.bytes", "180");
	is(o, "destination.packets", "4294967295");
	is(o, "destination.bytes", "1099511627776");
	is(o, "network.packets", "4294967298");
	is(o, "network.bytes", "1099511627956");
	is(o, "sluice.event_type", "\"FlowEnd\"");
	json_decref(o);
	r.reason = SL_RR_REVOKED;
	o = format(&r);
	is(o, "event.reason", "\"revoked\"");
	is(o, "event.type", "[\"connection\",\"end\",\"denied\"]");
	is(o, "event.outcome", "\"failure\"");
	json_decref(o);
}

/* Nothing of the outside is known or told. */
static void
test_wireguard(void **state)
{
	struct sl_rec r = {.mono_ns = T_MONO,
			   .iface = 1,
			   .peer_id = 81,
			   .type = SL_REC_REPLAY,
			   .stage = 1,
			   .count = 2,
			   .role = SL_POL_NONE16,
			   .zone = SL_POL_NONE16,
			   .target = SL_POL_NONE16,
			   .rule = SL_POL_NONE};
	json_t *o = format(&r);

	is(o, "event.action", "\"wg-replay\"");
	is(o, "event.category", "[\"network\",\"intrusion_detection\"]");
	is(o, "event.dataset", "\"sluice.wireguard\"");
	is(o, "sluice.event_type", "\"Replay\"");
	is(o, "sluice.peer.name", "\"alice-laptop\"");
	is(o, "sluice.count", "2");
	absent(o, "source");
	absent(o, "destination");
	absent(o, "network");
	absent(o, "sluice.authz");
	absent(o, "rule");
	json_decref(o);
	r.type = SL_REC_DECRYPT;
	r.iface = 77; /* not known */
	r.peer_id = 82;
	o = format(&r);
	is(o, "event.action", "\"wg-decrypt-failure\"");
	is(o, "sluice.peer", "{\"id\":82}");
	json_decref(o);
}

/* A session: who, when, how it ended; where the peer is is not told. */
static void
test_session(void **state)
{
	struct sl_rec r = {.mono_ns = T_MONO,
			   .iface = 1,
			   .peer_id = 81,
			   .type = SL_REC_SESSION_OPEN,
			   .flags = SL_RF_FROM_TUNNEL,
			   .count = 1,
			   .role = SL_POL_NONE16,
			   .zone = SL_POL_NONE16,
			   .target = SL_POL_NONE16,
			   .rule = SL_POL_NONE};
	static const char *const gone[] = {"source", "destination", "rule", "sluice.authz",
					   "sluice.hook"};
	json_t *o = format(&r);

	is(o, "event.action", "\"wg-session-open\"");
	is(o, "event.category", "[\"network\",\"session\"]");
	is(o, "event.type", "[\"start\"]");
	is(o, "event.outcome", "\"success\"");
	is(o, "event.dataset", "\"sluice.wireguard\"");
	is(o, "network", "{\"direction\":\"inbound\"}");
	is(o, "sluice.event_type", "\"SessionOpen\"");
	is(o, "sluice.peer.name", "\"alice-laptop\"");
	is(o, "sluice.count", "1");
	absent(o, "event.reason");
	absent(o, "event.duration");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(gone); i++)
		absent(o, gone[i]);
	json_decref(o);
	r.type = SL_REC_SESSION_REKEY;
	r.flags = 0;
	o = format(&r);
	is(o, "event.action", "\"wg-session-rekey\"");
	is(o, "event.type", "[\"info\"]");
	is(o, "network", "{\"direction\":\"outbound\"}");
	is(o, "sluice.event_type", "\"SessionRekey\"");
	json_decref(o);
	r.type = SL_REC_SESSION_CLOSE;
	r.reason = SL_RR_EXPIRED;
	r.bytes[0] = 100 * 86400 * SL_NS_PER_S; /* longer than milliseconds in 32 bits */
	o = format(&r);
	is(o, "event.action", "\"wg-session-close\"");
	is(o, "event.type", "[\"end\"]");
	is(o, "event.outcome", "\"success\"");
	is(o, "event.reason", "\"expired\"");
	is(o, "event.duration", "8640000000000000");
	is(o, "sluice.event_type", "\"SessionClose\"");
	absent(o, "network");
	for (unsigned i = 0; i < SL_ARRAY_SIZE(gone); i++)
		absent(o, gone[i]);
	json_decref(o);
}

static void
test_v6_outbound(void **state)
{
	struct sl_rec r = td_record(SL_REC_ALLOW);
	json_t *o;

	inet_pton(AF_INET6, "fd00:20::10", r.src);
	inet_pton(AF_INET6, "fd00:7::2", r.dst);
	r.version = 6;
	r.flags = SL_RF_ALLOW | SL_RF_ENFORCED;
	r.proto = 58;
	r.sport = r.dport = 4711;
	r.zone = 1;
	r.stage = 2;
	o = format(&r);
	is(o, "source", "{\"ip\":\"fd00:20::10\"}");
	is(o, "destination", "{\"ip\":\"fd00:7::2\"}");
	is(o, "network.type", "\"ipv6\"");
	is(o, "network.transport", "\"ipv6-icmp\"");
	is(o, "network.direction", "\"outbound\"");
	is(o, "observer.egress", "{\"zone\":\"vpn\",\"interface\":{\"name\":\"wg0\"}}");
	absent(o, "observer.ingress");
	is(o, "sluice.hook", "\"pre_encrypt\"");
	json_decref(o);
	r.sport = r.dport = 0; /* an ICMP of which the record does not know the type */
	r.proto = 1;
	o = format(&r);
	absent(o, "network.community_id");
	json_decref(o);
	r.proto = 200;
	o = format(&r);
	absent(o, "network.transport");
	is(o, "network.iana_number", "\"200\"");
	json_decref(o);
}

/** As the drain does. @return how many fell out */
static unsigned
enter_policy(const struct sl_polset *s)
{
	struct sl_names_policy *p = sl_names_policy_new(names, s), *old;
	unsigned n = 0;

	assert_non_null(p);
	while ((old = sl_names_policy_old(names)) != NULL) {
		sl_names_policy_free(names, old);
		n++;
	}
	sl_names_policy_add(names, p);
	return n;
}

/* A record is named by the policy under which it was written; 1,024 of them are kept, and what is
 * the same in them is there once. */
static void
test_generations(void **state)
{
	struct sl_rec r = td_record(SL_REC_DENY);
	size_t bytes = names->bytes;
	json_t *o;

	for (unsigned g = 1845; g < 1844 + SL_NAMES_GENERATIONS; g++)
		assert_int_equal(enter_policy(td_policy(g, g - 1700)), 0);
	assert_int_equal(names->bytes, bytes);
	o = format(&r);
	is(o, "sluice.policy", "{\"generation\":1844,\"version\":57}");
	json_decref(o);
	r.generation = 1859;
	o = format(&r);
	is(o, "sluice.policy.version", "159");
	json_decref(o);
	assert_int_equal(enter_policy(td_policy((UINT64_C(7) << 32) + 4860, 160)), 1);
	r.generation = 4860; /* the low half */
	o = format(&r);
	is(o, "sluice.policy", "{\"generation\":30064775932,\"version\":160}");
	json_decref(o);
	r.generation = 1844; /* fell out: the numbers are all that is left */
	o = format(&r);
	is(o, "sluice.policy", "{\"generation\":1844}");
	absent(o, "rule");
	absent(o, "sluice.role");
	json_decref(o);
	r.generation = 0;
	o = format(&r);
	absent(o, "sluice.policy");
	json_decref(o);
}

/** A policy of so many rules, whose ids begin with another number. */
static const struct sl_polset *
large_policy(struct sl_polset_rule *rules, unsigned n, unsigned generation, unsigned first)
{
	static struct sl_polset s;

	s = *td_policy(generation, generation);
	for (unsigned i = 0; i < n; i++)
		rules[i] = (struct sl_polset_rule){.id = first + i};
	s.rules = rules;
	s.n_rules = n;
	return &s;
}

/** Of large ones, all of which differ, as many are kept as the memory allows, but 16; two that take
 * turns are there once each. */
static void
test_large_generations(void **state)
{
	enum { RULES = 64000 };
	struct sl_polset_rule *rules = calloc(RULES, sizeof(*rules));
	unsigned g, gone = 0;

	for (g = 1; g <= 40; g++)
		gone += enter_policy(large_policy(rules, RULES, g, g * 100000));
	assert_int_equal(gone, 41 - SL_NAMES_GENERATIONS_MIN); /* and the one of the set-up */
	assert_non_null(sl_names_policy_find(names, 25));
	assert_null(sl_names_policy_find(names, 24));
	assert_int_equal(sl_names_policy_find(names, 25)->rules[7].id, 2500007);
	for (; g <= 240; g++)
		gone = enter_policy(large_policy(rules, 3200, g, g * 100000));
	assert_true(names->bytes <= SL_NAMES_BYTES + 3200 * sizeof(struct sl_names_rule));
	assert_true(names->n_policies > 150);
	for (; g <= 1500; g++)
		gone = enter_policy(large_policy(rules, 3200, g, g % 2));
	assert_int_equal(names->n_policies, SL_NAMES_GENERATIONS);
	assert_int_equal(gone, 1);
	assert_int_equal(sl_names_policy_find(names, 1001)->rules[0].id, 1);
	assert_int_equal(sl_names_policy_find(names, 1002)->rules[0].id, 0);
	assert_ptr_equal(sl_names_policy_find(names, 1001)->rules,
			 sl_names_policy_find(names, 1499)->rules);
	assert_true(names->bytes < 3 * 3200 * sizeof(struct sl_names_rule));
	free(rules);
}

static void
test_peers(void **state)
{
	const struct sl_names_peer *p;

	assert_int_equal(sl_names_peer_set(names, 81, 1, NULL, NULL, 100 * SL_NS_PER_S), 0);
	sl_names_tidy(names, 159 * SL_NS_PER_S);
	assert_non_null(sl_names_peer(names, 81));
	/* the id comes back in time */
	assert_int_equal(sl_names_peer_set(names, 81, 2, "bob", NULL, 159 * SL_NS_PER_S), 0);
	sl_names_tidy(names, 300 * SL_NS_PER_S);
	p = sl_names_peer(names, 81);
	assert_string_equal(p->name, "bob");
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(sl_names_peer_set(names, i, 1, "x", &key, 0), 0);
	for (unsigned i = 0; i < 3000; i++)
		assert_int_equal(sl_names_peer_set(names, i, 1, NULL, NULL,
						   (400 + i) * SL_NS_PER_S),
				 0);
	for (unsigned i = 1; i < 3000; i += 2) { /* from the middle of the list of those gone */
		if (sl_names_peer(names, i) != NULL)
			assert_int_equal(sl_names_peer_set(names, i, 1, "y", &key,
							   3399 * SL_NS_PER_S),
					 0);
	}
	assert_null(sl_names_peer(names, 2800)); /* at 3,399 s, the time of the last one */
	assert_null(sl_names_peer(names, 2938));
	assert_non_null(sl_names_peer(names, 2940));
	assert_non_null(sl_names_peer(names, 2941));
	sl_names_tidy(names, 9000 * SL_NS_PER_S);
	assert_null(sl_names_peer(names, 2940));
	assert_non_null(sl_names_peer(names, 2941));
	assert_non_null(sl_names_peer(names, 2999));
	assert_int_equal(sl_names_peer_set(names, SL_NAMES_PEERS, 1, "z", &key, 0), -EINVAL);
	assert_int_equal(sl_names_peer_set(names, 5, 1, NULL, NULL, 0), 0);
	assert_int_equal(sl_names_iface_set(names, 4096, "wg9"), -EINVAL);
	assert_int_equal(sl_names_iface_set(names, 4, "0123456789abcdef"), -EINVAL);
}

static void
test_escapes(void **state)
{
	static const struct {
		const char *in, *out;
	} t[] = {{"plain", "\"plain\""},
		 {"a\"b\\c", "\"a\\\"b\\\\c\""},
		 {"\n\t\r\x01\x1f\x7f", "\"\\n\\t\\u000d\\u0001\\u001f\\u007f\""},
		 {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80",
		  "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\""},
		 {"a\xff"
		  "b",
		  "\"a\\ufffdb\""},
		 {"\xc0\x80", "\"\\ufffd\\ufffd\""},		/* overlong */
		 {"\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\""}, /* surrogate */
		 {"\xe2\x82", "\"\\ufffd\\ufffd\""},		/* cut */
		 {"\xf4\x90\x80\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\""}};
	char buf[128];

	for (unsigned i = 0; i < SL_ARRAY_SIZE(t); i++) {
		struct sl_out o = {buf, buf + sizeof(buf), false};

		out_strz(&o, t[i].in);
		*o.p = '\0';
		assert_string_equal(buf, t[i].out);
	}
	for (unsigned room = 0; room < 8; room++) { /* never beyond its end */
		struct sl_out o = {buf, buf + room, false};

		out_strz(&o, "abcdefgh");
		out_u64(&o, UINT64_MAX);
		assert_true(o.p <= o.end && o.full);
	}
}

/* Any bytes in a record give a line of JSON. */
static void
test_random(void **state)
{
	struct sl_rec r;

	srandom(20251120);
	sl_names_peer_set(names, 7, 1, "q\"\\\x01\xff", &key, 0);
	for (unsigned i = 0; i < 50000; i++) {
		for (unsigned j = 0; j < sizeof(r); j++)
			((uint8_t *)&r)[j] = (uint8_t)random();
		if (i % 2) {
			r.type %= SL_REC_TYPES;
			r.reason %= SL_RR_MAX;
			r.version = random() % 2 ? 4 : 6;
			r.generation = random() % 2 ? 1844 : r.generation;
			r.rule %= 3;
			r.role %= 3;
			r.zone %= 3;
			r.target %= 3;
			r.peer_id = random() % 2 ? 7 : 81;
			r.proto = random() % 2 ? 6 : r.proto;
		}
		json_decref(format(&r));
	}
}

static void
community(unsigned version, uint8_t proto, const char *src, const char *dst, uint16_t sport,
	  uint16_t dport, const char *seed0, const char *seed1)
{
	struct sl_community *c = sl_community_new();
	int af = version == 4 ? AF_INET : AF_INET6;
	uint8_t a[16], b[16];
	char id[SL_COMMUNITY_LEN + 1] = "";

	assert_non_null(c);
	assert_int_equal(inet_pton(af, src, a), 1);
	assert_int_equal(inet_pton(af, dst, b), 1);
	assert_true(sl_community_id(c, 0, version, proto, a, b, true, sport, dport, id));
	assert_string_equal(id, seed0);
	assert_true(sl_community_id(c, 0, version, proto, b, a, true, dport, sport, id));
	assert_string_equal(id, seed0);
	if (seed1 != NULL) {
		assert_true(sl_community_id(c, 1, version, proto, a, b, true, sport, dport, id));
		assert_string_equal(id, seed1);
	}
	sl_community_free(c);
}

/* Published examples of the specification. */
static void
test_community(void **state)
{
	community(4, 6, "128.232.110.120", "66.35.250.204", 34855, 80,
		  "1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
	community(4, 6, "10.0.0.1", "10.0.0.2", 10, 11569,
		  "1:SXBGMX1lBOwhhoDrZynfROxnhnM=", "1:HmBRGR+fUyXF4t8WEtal7Y0gEAo=");
	community(4, 17, "192.168.1.52", "8.8.8.8", 54585, 53,
		  "1:d/FP5EW3wiY1vCndhwleRRKHowQ=", "1:Q9We8WO3piVF8yEQBNJF4uiSVrI=");
	community(4, 1, "192.168.0.89", "192.168.0.1", 8, 0,
		  "1:X0snYXpgwiv9TZtqg64sgzUn6Dk=", "1:03g6IloqVBdcZlPyX8r0hgoE7kA=");
	community(4, 132, "192.168.170.8", "192.168.170.56", 7, 80,
		  "1:jQgCxbku+pNGw8WPbEc/TS/uTpQ=", NULL);
	community(6, 6, "2001:470:e5bf:dead:4957:2174:e82c:4887", "2607:f8b0:400c:c03::1a", 63943,
		  25, "1:/qFaeAR+gFe1KYjMzVDsMv+wgU4=", NULL);
}

/* An echo flow of a record gives what the standard gives for its packets. */
static void
test_community_echo(void **state)
{
	struct sl_rec r = td_record(SL_REC_ALLOW);
	json_t *o;

	inet_pton(AF_INET, "192.168.0.89", r.src);
	inet_pton(AF_INET, "192.168.0.1", r.dst);
	r.proto = 1;
	r.sport = r.dport = 777;
	o = format(&r);
	is(o, "network.community_id", "\"1:X0snYXpgwiv9TZtqg64sgzUn6Dk=\"");
	absent(o, "source.port");
	json_decref(o);
}

static void
test_event(void **state)
{
	struct sl_format_event ev = {.action = "mode-change",
				     .outcome = "success",
				     .dataset = "sluice.control",
				     .kind = "event",
				     .category = "configuration",
				     .type = "change",
				     .severity = SL_SEV_NOTICE};
	json_t *o;

	ev.fields = json_pack("{s:{s:[s]}, s:{s:s}, s:{s:s}}", "event", "category", "iam", "user",
			      "name", "uid:0", "sluice", "old", "observe\n");
	sl_line_unref(last);
	last = sl_format_event(&f, &ev, T_WALL, 5);
	json_decref(ev.fields);
	assert_non_null(last);
	assert_memory_equal(last->text, "{\"@timestamp\":\"2025-11-20T09:14:03.221417Z\"", 43);
	assert_int_equal(SL_FORMAT_STAMP_AT, 15);
	assert_ptr_equal(strchr(last->text, '\n'), last->text + last->len - 1);
	o = json_loads(last->text, 0, NULL);
	is(o, "event.category", "[\"iam\"]");
	is(o, "event.action", "\"mode-change\"");
	is(o, "event.id", "\"gw-tyo-1/9b1f0011/5\"");
	is(o, "observer.vendor", "\"sluice\"");
	is(o, "user.name", "\"uid:0\"");
	is(o, "sluice.old", "\"observe\\n\"");
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_allow_and_would, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_reasons, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_end, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_wireguard, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_session, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_v6_outbound, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_generations, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_large_generations, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_peers, open_all, close_all),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test_setup_teardown(test_random, open_all, close_all),
		cmocka_unit_test(test_community),
		cmocka_unit_test_setup_teardown(test_community_echo, open_all, close_all),
		cmocka_unit_test_setup_teardown(test_event, open_all, close_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
