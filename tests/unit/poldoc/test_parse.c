/* SPDX-License-Identifier: BSD-3-Clause */
/* What a document may say and what not: each refusal by its reason and place. */
#include "poldoc_test.h"

#define ZONE(body) "{'zones':{'z':{" body "}}}"
#define TARGET(body) "{'targets':{'t':{" body "}}}"
#define MEMBER(m) "{'roles':{'r':{'members':[" m "]}}}"
#define RULE(more) RULES("{'id':1,'role':'r','to':['*'],'protocol':'tcp','action':'allow'" more "}")
#define RULES(r) "{'targets':{'t':{'addresses':['10.0.0.1']}},'roles':{'r':{}},'rules':[" r "]}"
#define TEST(t)                                                                                    \
	"{'targets':{'t':{'addresses':['10.0.0.1']}},'roles':{'r':{}},'rules':[{'id':1,'role':'r'" \
	","                                                                                        \
	"'to':['*'],'protocol':'tcp','action':'allow'}],'tests':[" t "]}"

struct refusal {
	const char *text, *reason, *path;
};

static const struct refusal shapes[] = {
	{"", "json_syntax", ""},
	{"{", "json_syntax", ""},
	{"{} {}", "json_syntax", ""},
	{"{'version':1,'version':2}", "json_syntax", ""},
	{"{'zones':{'a':{'id':1},'a':{'id':2}}}", "json_syntax", ""},
	{"{'version':1,,}", "json_syntax", ""},
	{"{'rules':[,]}", "json_syntax", ""},
	{"{'version':}", "json_syntax", ""},
	{"{'version':1} /* no end", "json_syntax", ""},
	{"{'version':1} /", "json_syntax", ""},
	{"{'version':01}", "json_syntax", ""},
	{"{'version':99999999999999999999}", "json_syntax", ""},
	{"[]", "field_type", ""},
	{"{'versions':1}", "field_unknown", "/versions"},
	{"{'a/b~':1}", "field_unknown", "/a~1b~0"},
	{"{'version':'1'}", "field_type", "/version"},
	{"{'version':1.0}", "field_type", "/version"},
	{"{'version':-1}", "field_range", "/version"},
	{"{'version':4294967296}", "field_range", "/version"},
	{"{'zones':[]}", "field_type", "/zones"},
	{"{'rules':{}}", "field_type", "/rules"},
	{"{'rules':null}", "field_type", "/rules"},
	{"{'tests':[1]}", "field_type", "/tests/0"},
};

static const struct refusal places[] = {
	{ZONE("'networks':['10.0.0.0/8']"), "field_missing", "/zones/z/id"},
	{ZONE("'id':1"), "field_missing", "/zones/z/networks"},
	{ZONE("'id':0,'networks':['10.0.0.0/8']"), "field_range", "/zones/z/id"},
	{ZONE("'id':2147483648,'networks':['10.0.0.0/8']"), "field_range", "/zones/z/id"},
	{ZONE("'id':1,'networks':[]"), "field_range", "/zones/z/networks"},
	{ZONE("'id':1,'networks':['10.0.0.0/33']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['fd00::/129']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/-1']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/08']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0/8']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['']"), "prefix_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':[7]"), "field_type", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.1/8']"), "prefix_host_bits", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/8@']"), "interface_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/8@a b']"), "interface_invalid", "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/8@abcdefghijklmnop']"), "interface_invalid",
	 "/zones/z/networks/0"},
	{ZONE("'id':1,'networks':['10.0.0.0/8'],'type':'dmz'"), "enum_invalid", "/zones/z/type"},
	{ZONE("'id':1,'networks':['10.0.0.0/8'],'default_policy':'drop'"), "enum_invalid",
	 "/zones/z/default_policy"},
	{ZONE("'id':1,'networks':['10.0.0.0/8'],'default_policy':true"), "field_type",
	 "/zones/z/default_policy"},
	{ZONE("'id':1,'networks':['10.0.0.0/8','10.0.0.0/8@*']"), "zone_overlap",
	 "/zones/z/networks/1"},
	{"{'zones':{'a':{'id':1,'networks':['10.0.0.0/8']},'b':{'id':2,'networks':['10.0.0.0/"
	 "8']}}}",
	 "zone_overlap", "/zones/b/networks/0"},
	{"{'zones':{'a':{'id':1,'networks':['10.0.0.0/8']},'b':{'id':1,'networks':['10.1.0.0/"
	 "16']}}}",
	 "zone_id_duplicate", "/zones/b/id"},
	{"{'zones':{'':{'id':1,'networks':['10.0.0.0/8']}}}", "name_invalid", "/zones/"},
	{"{'zones':{'a b':{'id':1,'networks':['10.0.0.0/8']}}}", "name_invalid", "/zones/a b"},
	{TARGET(""), "field_missing", "/targets/t/addresses"},
	{TARGET("'addresses':[]"), "target_empty", "/targets/t/addresses"},
	{TARGET("'addresses':['db']"), "prefix_invalid", "/targets/t/addresses/0"},
	{TARGET("'addresses':['10.0.0.1/31']"), "prefix_host_bits", "/targets/t/addresses/0"},
	{TARGET("'addresses':['10.0.0.1'],'description':1"), "field_type",
	 "/targets/t/description"},
	{TARGET("'addresses':['10.0.0.1'],'withdrawn':1"), "field_type", "/targets/t/withdrawn"},
	{TARGET("'addresses':['10.0.0.1'],'mode':'observe'"), "field_unknown", "/targets/t/mode"},
	{"{'targets':{'10.0.0.1':{'addresses':['10.0.0.1']}}}", "name_invalid",
	 "/targets/10.0.0.1"},
};

static const struct refusal members[] = {
	{MEMBER("1"), "field_type", "/roles/r/members/0"},
	{MEMBER("'alice'"), "member_invalid", "/roles/r/members/0"},
	{MEMBER("'idp:corp/group:eng'"), "member_invalid", "/roles/r/members/0"},
	{MEMBER("'10.0.0.0/33@wg0'"), "prefix_invalid", "/roles/r/members/0"},
	{MEMBER("'peer:'"), "name_invalid", "/roles/r/members/0"},
	{MEMBER("'peer:a b'"), "name_invalid", "/roles/r/members/0"},
	{MEMBER("'peer:a@'"), "interface_invalid", "/roles/r/members/0"},
	{MEMBER("'10.0.0.0/8'"), "member_invalid", "/roles/r/members/0"},
	{MEMBER("'10.0.0.0/8@wg/0'"), "interface_invalid", "/roles/r/members/0"},
	{MEMBER("'10.0.0.1/8@wg0'"), "prefix_host_bits", "/roles/r/members/0"},
	{MEMBER("'10.0.0.0/8@wg0','10.0.0.0/8@wg0'"), "member_duplicate", "/roles/r/members/1"},
	{MEMBER("'peer:a','peer:a'"), "member_duplicate", "/roles/r/members/1"},
	{MEMBER("'peer:a',{'peer':'a','expires':'2030-01-01'}"), "member_duplicate",
	 "/roles/r/members/1"},
	{MEMBER("{}"), "member_invalid", "/roles/r/members/0"},
	{MEMBER("{'peer':'a','prefix':'10.0.0.0/8@wg0'}"), "member_invalid", "/roles/r/members/0"},
	{MEMBER("{'prefix':'10.0.0.0/8'}"), "member_invalid", "/roles/r/members/0/prefix"},
	{MEMBER("{'prefix':'10.0.0.0/8@wg0','interface':'wg0'}"), "member_invalid",
	 "/roles/r/members/0"},
	{MEMBER("{'peer':'a','expires':'tomorrow'}"), "time_invalid", "/roles/r/members/0/expires"},
	{MEMBER("{'peer':'a','expires':0}"), "field_type", "/roles/r/members/0/expires"},
	{MEMBER("{'peer':'a','expires':'2027-01-15T08:00:00Z'}"), "expired",
	 "/roles/r/members/0/expires"},
	{MEMBER("{'peer':'a','source':'idp'}"), "field_type", "/roles/r/members/0/source"},
	{MEMBER("{'peer':'a','source':{}}"), "field_missing", "/roles/r/members/0/source/type"},
	{MEMBER("{'peer':'a','source':{'type':'ldap'}}"), "enum_invalid",
	 "/roles/r/members/0/source/type"},
	{MEMBER("{'peer':'a','source':{'type':'idp','provider':'c'}}"), "field_missing",
	 "/roles/r/members/0/source/user"},
	{MEMBER("{'peer':'a','source':{'type':'idp','user':'c'}}"), "field_missing",
	 "/roles/r/members/0/source/provider"},
	{MEMBER("{'peer':'a','source':{'type':'static','user':'c'}}"), "field_unknown",
	 "/roles/r/members/0/source/user"},
	{MEMBER("{'peer':'a','source':{'type':'dynamic'}}"), "field_missing",
	 "/roles/r/members/0/source/reason"},
	{"{'roles':{'r':{'id':0}}}", "role_id_invalid", "/roles/r/id"},
	{"{'roles':{'r':{'id':2147483648}}}", "role_id_invalid", "/roles/r/id"},
	{"{'roles':{'r':{'id':1},'s':{'id':1}}}", "role_id_duplicate", "/roles/s/id"},
	{"{'roles':{'r/s':{}}}", "name_invalid", "/roles/r/s"},
};

static const struct refusal rules[] = {
	{RULES("{}"), "field_missing", "/rules/0/id"},
	{RULES("{'id':1,'to':['*'],'protocol':'tcp','action':'allow'}"), "field_missing",
	 "/rules/0/role"},
	{RULES("{'id':1,'role':'r','protocol':'tcp','action':'allow'}"), "field_missing",
	 "/rules/0/to"},
	{RULES("{'id':1,'role':'r','to':['*'],'action':'allow'}"), "field_missing",
	 "/rules/0/protocol"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':'tcp'}"), "field_missing",
	 "/rules/0/action"},
	{RULES("{'id':0,'role':'r','to':['*'],'protocol':'tcp','action':'deny'}"),
	 "rule_id_invalid", "/rules/0/id"},
	{RULES("{'id':2147483648,'role':'r','to':['*'],'protocol':'tcp','action':'deny'}"),
	 "rule_id_invalid", "/rules/0/id"},
	{RULES("{'id':1,'role':'s','to':['*'],'protocol':'tcp','action':'deny'}"), "role_unknown",
	 "/rules/0/role"},
	{RULES("{'id':1,'role':'r','to':[],'protocol':'tcp','action':'deny'}"), "target_empty",
	 "/rules/0/to"},
	{RULES("{'id':1,'role':'r','to':'*','protocol':'tcp','action':'deny'}"), "field_type",
	 "/rules/0/to"},
	{RULES("{'id':1,'role':'r','to':['t','u'],'protocol':'tcp','action':'deny'}"),
	 "target_unknown", "/rules/0/to/1"},
	{RULES("{'id':1,'role':'r','to':['10.0.0.300'],'protocol':'tcp','action':'deny'}"),
	 "prefix_invalid", "/rules/0/to/0"},
	{RULES("{'id':1,'role':'r','to':['10.0.0.1/24'],'protocol':'tcp','action':'deny'}"),
	 "prefix_host_bits", "/rules/0/to/0"},
	{RULES("{'id':1,'role':'r','to':['t@wg0'],'protocol':'tcp','action':'deny'}"),
	 "prefix_invalid", "/rules/0/to/0"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':'sctp','action':'deny'}"), "enum_invalid",
	 "/rules/0/protocol"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':256,'action':'deny'}"), "field_range",
	 "/rules/0/protocol"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':true,'action':'deny'}"), "field_type",
	 "/rules/0/protocol"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':'tcp','action':'reject'}"), "enum_invalid",
	 "/rules/0/action"},
	{RULES("{'id':1,'role':'r','to':['*'],'protocol':'any','ports':[1],'action':'deny'}"),
	 "ports_need_tcp_or_udp", "/rules/0/ports"},
	{RULES("{'id':1,'role':'r','to':['t'],'protocol':'icmpv6','action':'deny'}"),
	 "family_mismatch", "/rules/0/protocol"},
	{RULES("{'id':1,'role':'r','to':['t'],'src':['::/0'],'protocol':6,'action':'deny'}"),
	 "family_mismatch", "/rules/0/src"},
	{RULE("},{'id':1,'role':'r','to':['t'],'protocol':'udp','action':'deny'"),
	 "rule_id_duplicate", "/rules/1/id"},
	{RULE(",'src':[]"), "field_range", "/rules/0/src"},
	{RULE(",'src':['10.7.0.1/24']"), "prefix_host_bits", "/rules/0/src/0"},
	{RULE(",'src':['10.7.0.1@wg0']"), "prefix_invalid", "/rules/0/src/0"},
	{RULE(",'ports':[]"), "ports_invalid", "/rules/0/ports"},
	{RULE(",'ports':443"), "field_type", "/rules/0/ports"},
	{RULE(",'ports':'443'"), "field_type", "/rules/0/ports"},
	{RULE(",'ports':[0]"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':[65536]"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':[-1]"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':[null]"), "field_type", "/rules/0/ports/0"},
	{RULE(",'ports':['443']"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':['0-9']"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':['1-65536']"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':['1-2-3']"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':['1 - 2']"), "ports_invalid", "/rules/0/ports/0"},
	{RULE(",'ports':[1,'9-8']"), "ports_inverted", "/rules/0/ports/1"},
	{RULE(",'priority':256"), "field_range", "/rules/0/priority"},
	{RULE(",'priority':-1"), "field_range", "/rules/0/priority"},
	{RULE(",'bidirectional':1"), "field_type", "/rules/0/bidirectional"},
	{RULE(",'log':1"), "field_type", "/rules/0/log"},
	{RULE(",'log':'yes'"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:1/0'"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:1/1000001'"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:1/4294967297'"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:2/10'"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:1/10 '"), "log_invalid", "/rules/0/log"},
	{RULE(",'log':'sample:1/'"), "log_invalid", "/rules/0/log"},
	{RULE(",'enabled':null"), "field_type", "/rules/0/enabled"},
	{RULE(",'flags':8"), "field_unknown", "/rules/0/flags"}, /* reserved bits */
	{RULE(",'expires':'2027-01-15'"), "expired", "/rules/0/expires"},
	{RULE(",'expires':'2027-02-29'"), "time_invalid", "/rules/0/expires"},
	{RULE(",'not_before':'2028-01-01','expires':'2028-01-01'"), "time_range",
	 "/rules/0/not_before"},
};

static const struct refusal tests[] = {
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':'icmp'}"), "field_missing",
	 "/tests/0/expect"},
	{TEST("{'to':'t','protocol':'icmp','expect':'allow'}"), "field_missing", "/tests/0/from"},
	{TEST("{'from':{},'to':'t','protocol':'icmp','expect':'allow'}"), "field_missing",
	 "/tests/0/from"},
	{TEST("{'from':{'roles':[]},'to':'t','protocol':'icmp','expect':'allow'}"), "field_range",
	 "/tests/0/from/roles"},
	{TEST("{'from':{'roles':['r'],'peer':'a'},'to':'t','protocol':'icmp','expect':'deny'}"),
	 "member_invalid", "/tests/0/from"},
	{TEST("{'from':{'address':'10.0.0.0/8'},'to':'t','protocol':'icmp','expect':'deny'}"),
	 "ip_invalid", "/tests/0/from/address"},
	{TEST("{'from':{'inside':'10.0.0.1'},'to':'t','protocol':'icmp','expect':'deny'}"),
	 "member_invalid", "/tests/0/to"},
	{TEST("{'from':{'peer':'a'},'to':{'peer':'b'},'protocol':'icmp','expect':'deny'}"),
	 "member_invalid", "/tests/0/to"},
	{TEST("{'from':{'inside':'10.0.0.1'},'to':{'address':'10.7.0.1'},'protocol':'icmp',"
	      "'expect':'deny'}"),
	 "field_missing", "/tests/0/to"},
	{TEST("{'from':{'inside':'10.0.0.1'},'to':{'peer':'a','roles':['r']},'protocol':'icmp',"
	      "'expect':'deny'}"),
	 "member_invalid", "/tests/0/to"},
	{TEST("{'from':{'inside':'10.0.0.1','peer':'a'},'to':{'peer':'b'},'protocol':'icmp',"
	      "'expect':'deny'}"),
	 "field_unknown", "/tests/0/from/peer"},
	{TEST("{'from':{'inside':'10.0.0.1','port':5},'to':{'peer':'b'},'protocol':'icmp',"
	      "'expect':'deny'}"),
	 "ports_need_tcp_or_udp", "/tests/0/from/port"},
	{TEST("{'from':{'inside':'10.0.0.1'},'to':{'roles':['s']},'protocol':'icmp',"
	      "'expect':'deny'}"),
	 "role_unknown", "/tests/0/to/roles/0"},
	{TEST("{'from':{'roles':['r']},'to':'10.0.0.0/8','protocol':'icmp','expect':'deny'}"),
	 "ip_invalid", "/tests/0/to"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':'any','expect':'deny'}"), "enum_invalid",
	 "/tests/0/protocol"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':'tcp','expect':'deny'}"),
	 "field_missing", "/tests/0/port"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':'tcp','port':0,'expect':'deny'}"),
	 "field_range", "/tests/0/port"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':1,'port':1,'expect':'deny'}"),
	 "ports_need_tcp_or_udp", "/tests/0/port"},
	{TEST("{'from':{'roles':['s']},'to':'t','protocol':'icmp','expect':'deny'}"),
	 "role_unknown", "/tests/0/from/roles/0"},
	{TEST("{'from':{'roles':['r']},'to':'u','protocol':'icmp','expect':'deny'}"),
	 "target_unknown", "/tests/0/to"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':1,'expect':'deny','rule':'r'}"),
	 "field_range", "/tests/0/rule"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':1,'expect':'deny','rule':'r/01'}"),
	 "field_range", "/tests/0/rule"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':1,'expect':'deny','rule':'r/2'}"),
	 "rule_unknown", "/tests/0/rule"},
	{TEST("{'from':{'roles':['r']},'to':'t','protocol':1,'expect':'deny','rule':'s/1'}"),
	 "role_unknown", "/tests/0/rule"},
};

/** Each reason is in docs/policy.md. */
static void
is_documented(const char *reason)
{
	char word[64];
	size_t len;
	char *page = read_doc(REFERENCE, &len);

	snprintf(word, sizeof(word), "`%s`", reason);
	if (strstr(page, word) == NULL)
		fail_msg("%s is not in docs/policy.md", reason);
	free(page);
}

/** What is wrong may also be said so that the remedy is plain: "256 is not within 0 to 255". */
static void
has_remedy(const struct sl_error *e, const char *text)
{
	static const char *const plain[] = {"json_syntax",	"field_missing",
					    "field_type",	"field_range",
					    "enum_invalid",	"ports_inverted",
					    "role_id_invalid",	"ip_invalid",
					    "rule_id_invalid",	"name_invalid",
					    "interface_invalid"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(plain); i++)
		if (strcmp(e->reason, plain[i]) == 0)
			return;
	if (e->hint[0] == '\0')
		fail_msg("%s\n%s without a hint: %s", text, e->reason, e->message);
}

static void
refuse(const struct refusal *r, size_t n)
{
	struct sl_policy *p;
	struct sl_error e;

	for (size_t i = 0; i < n; i++) {
		if (load_text(r[i].text, &p, &e) == 0)
			fail_msg("accepted: %s", r[i].text);
		if (strcmp(e.reason, r[i].reason) != 0 || strcmp(e.path, r[i].path) != 0)
			fail_msg("%s\n%s %s: %s", r[i].text, e.reason, e.path, e.message);
		assert_true(e.message[0] != '\0');
		has_remedy(&e, r[i].text);
		is_documented(e.reason);
		sl_policy_free(p);
	}
}
#define REFUSE(table) refuse(table, SL_ARRAY_SIZE(table))

static void
test_shapes(void **state)
{
	REFUSE(shapes);
}

static void
test_places(void **state)
{
	REFUSE(places);
}

static void
test_members(void **state)
{
	REFUSE(members);
}

static void
test_rules(void **state)
{
	REFUSE(rules);
}

static void
test_tests(void **state)
{
	REFUSE(tests);
}

static void
test_defaults(void **state)
{
	struct sl_policy *p = good("{}");

	assert_int_equal(p->n_zones + p->n_targets + p->n_roles + p->n_rules + p->n_tests, 0);
	sl_policy_free(p);
	p = good(ZONE("'id':7,'networks':['10.0.0.0/8','::/0@wg0']"));
	assert_int_equal(p->zones[0].type, SL_ZONE_EXTERNAL);
	assert_false(p->zones[0].allow);
	assert_string_equal(p->zones[0].nets[1].iface, "wg0");
	sl_policy_free(p);
	p = good(RULE(""));
	assert_int_equal(p->rules[0].priority, 128);
	assert_true(p->rules[0].enabled && p->rules[0].allow);
	assert_int_equal(p->rules[0].log, 1);
	assert_true(p->rules[0].to[0].any);
	assert_int_equal(p->rules[0].n_src + p->rules[0].n_ports, 0);
	assert_int_equal(p->roles[0].id, 1);
	sl_policy_free(p);
	p = good(RULE(",'ports':'any','priority':0,'log':false,'enabled':false"));
	assert_int_equal(p->rules[0].priority + p->rules[0].n_ports, 0);
	assert_false(p->rules[0].enabled || p->rules[0].log);
	sl_policy_free(p);
	p = good(RULE(",'log':'sample:1/1000000'"));
	assert_int_equal(p->rules[0].log, 1000000);
	sl_policy_free(p);
	p = good(RULE(",'ports':[1,65535,'8-9'],'expires':'2027-01-15T08:00:01Z'"));
	assert_int_equal(p->rules[0].n_ports, 3);
	assert_int_equal(p->rules[0].ports[1].lo, 65535);
	assert_int_equal(p->rules[0].ports[2].hi, 9);
	assert_int_equal(p->rules[0].expires_ns, NOW + 1000000000);
	sl_policy_free(p);
}

static void
test_member_forms(void **state)
{
	struct sl_policy *p = good(MEMBER("'peer:a','peer:b@wg0','peer:c@d.com@*','10.1.0.0/16@*',"
					  "{'peer':'e@f','interface':'wg1'},{'prefix':'::1@wg0'}"));
	const struct sl_pol_member *m = p->roles[0].members;

	assert_string_equal(m[0].peer, "a");
	assert_string_equal(m[0].place.iface, "");
	assert_string_equal(m[1].peer, "b");
	assert_string_equal(m[1].place.iface, "wg0");
	assert_string_equal(m[2].peer, "c@d.com");
	assert_string_equal(m[2].place.iface, "");
	assert_string_equal(m[3].peer, "");
	assert_string_equal(m[3].place.iface, "");
	assert_int_equal(m[3].place.prefix.len, 16);
	assert_string_equal(m[4].peer, "e@f");
	assert_string_equal(m[4].place.iface, "wg1");
	assert_int_equal(m[5].place.prefix.len, 128);
	sl_policy_free(p);
	p = good(MEMBER("{'peer':'a','source':{'type':'idp','provider':'corp','user':'a@b'}},"
			"{'peer':'b','source':{'user':'c','type':'idp','provider':'corp'}},"
			"{'peer':'c','source':{'type':'static','file':'f'}},"
			"{'peer':'d','source':{'type':'dynamic','reason':'on call'}}"));
	m = p->roles[0].members;
	assert_int_equal(m[0].source, SL_SOURCE_IDP);
	assert_string_equal(m[0].provider, "corp");
	assert_string_equal(m[0].detail, "a@b");
	assert_int_equal(m[1].source, SL_SOURCE_IDP);
	assert_int_equal(m[2].source, SL_SOURCE_STATIC);
	assert_string_equal(m[3].detail, "on call");
	sl_policy_free(p);
}

static void
test_hints(void **state)
{
	struct sl_policy *p;
	struct sl_error e;

	assert_true(load_text(TARGET("'addresses':['10.20.0.10/24']"), &p, &e) < 0);
	assert_non_null(strstr(e.hint, "10.20.0.0/24"));
	assert_non_null(strstr(e.hint, "10.20.0.10/32"));
	sl_policy_free(p);
	assert_true(load_text(TARGET("'address':[]"), &p, &e) < 0);
	assert_non_null(strstr(e.hint, "addresses"));
	assert_true(load_text("{\n  'version': 1\n  'zones': {}\n}", &p, &e) < 0);
	assert_non_null(strstr(e.message, "line 3 column 9"));
	assert_true(load_text("{\n  'version': 1, // one\n /* a\n b */ x", &p, &e) < 0);
	assert_non_null(strstr(e.message, "line 4 column 7"));
	assert_true(load_text("{\n /* a\n", &p, &e) < 0);
	assert_non_null(strstr(e.message, "line 2 column 2"));
}

/** A document of n roles, each with so many rules and members. */
static char *
many(unsigned n_roles, unsigned n_rules, unsigned n_members)
{
	char *s, *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	fprintf(f, "{'roles':{");
	for (unsigned i = 0; i < n_roles; i++) {
		fprintf(f, "'r%u':{'members':[", i);
		for (unsigned k = 0; k < n_members; k++)
			fprintf(f, "'10.%u.%u.%u@wg0',", i, k >> 8, k & 255);
		fprintf(f, "]},");
	}
	fprintf(f, "},'rules':[");
	for (unsigned i = 0; i < n_roles * n_rules; i++)
		fprintf(f,
			"{'id':%u,'role':'r%u','to':['10.0.0.0/8'],'protocol':'tcp','ports':[%u],"
			"'action':'allow'},",
			i + 1, i % n_roles, i % 60000 + 1);
	fprintf(f, "]}");
	fclose(f);
	for (s = text; *s != '\0'; s++)
		*s = *s == '\'' ? '"' : *s;
	return text;
}

static int
load_many(unsigned n_roles, unsigned n_rules, unsigned n_members, struct sl_error *e)
{
	char *text = many(n_roles, n_rules, n_members);
	struct sl_policy *p = NULL;
	int rc = load_text(text, &p, e);

	sl_policy_free(p);
	free(text);
	return rc;
}

static void
test_limits(void **state)
{
	struct sl_error e;

	assert_int_equal(load_many(1, 32, 1, &e), 0);
	assert_int_equal(load_many(1, 33, 1, &e), -ENOSPC);
	assert_string_equal(e.reason, "limit_rules");
	assert_string_equal(e.path, "/rules/32");
	assert_int_equal(load_many(800, 1, 0, &e), 0);
	assert_int_equal(load_many(801, 1, 0, &e), -ENOSPC);
	assert_string_equal(e.reason, "limit_roles");
	assert_string_equal(e.path, "/roles");
	assert_int_equal(load_many(8, 1, 10000, &e), 0);
	assert_int_equal(load_many(9, 1, 9000, &e), -ENOSPC);
	assert_string_equal(e.reason, "limit_prefixes");
	assert_string_equal(e.path, "/roles/r8/members/8000");
	assert_int_equal(load_many(200, 32, 400, &e), 0); /* all at once */
}

static void
test_too_large(void **state)
{
	struct sl_policy *p = NULL;
	struct sl_error e = {0};
	size_t n = (2U << 20) + 100;
	char *text = malloc(n);

	memset(text, ' ', n);
	assert_int_equal(sl_policy_doc_parse(text, SL_POLICY_DOC_MAX + (size_t)1, &p, &e), -EFBIG);
	assert_string_equal(e.reason, "json_too_large");
	memset(&e, 0, sizeof(e));
	for (size_t i = 0; i < n; i += 2)
		memcpy(text + i, "1,", 2);
	text[0] = '[';
	assert_int_equal(sl_policy_doc_parse(text, n, &p, &e), -EFBIG);
	assert_string_equal(e.reason, "json_too_large");
	free(text);
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_shapes),	     cmocka_unit_test(test_places),
		cmocka_unit_test(test_members),	     cmocka_unit_test(test_rules),
		cmocka_unit_test(test_tests),	     cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_member_forms), cmocka_unit_test(test_hints),
		cmocka_unit_test(test_limits),	     cmocka_unit_test(test_too_large),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
