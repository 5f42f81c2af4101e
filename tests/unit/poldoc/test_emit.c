/* SPDX-License-Identifier: BSD-3-Clause */
/* From text to model to text to model: nothing may be lost or added on the way. */
#include "poldoc_test.h"

static const char all_fields[] =
	"{'version':57,"
	"'zones':{'vpn':{'id':1,'type':'vpn','networks':['10.7.0.0/16','fd00:7::/64@wg0'],"
	"'default_policy':'deny'},'in':{'id':2,'type':'internal','networks':['10.0.0.0/8'],"
	"'default_policy':'allow'},'out':{'id':9,'type':'external','networks':['0.0.0.0/0'],"
	"'default_policy':'deny'}},"
	"'targets':{'db':{'addresses':['10.20.0.10/32','10.20.0.11/32@wg1'],'description':'a "
	"\xc3\xa4','withdrawn':true}},"
	"'roles':{'e':{'id':3,'description':'d','members':['peer:alice','peer:bob@wg0',"
	"'peer:c@d.com@*','10.7.1.0/24@wg0','10.20.0.0/24@*',{'prefix':'10.7.0.9/32@wg0',"
	"'expires':'2028-01-01T00:00:01Z','source':{'type':'idp','provider':'corp','user':'a'}},"
	"{'peer':'g','interface':'wg0','source':{'type':'dynamic','reason':'x'}},"
	"{'peer':'h','source':{'type':'static','file':'y'}}]},'c':{'members':[]}},"
	"'rules':[{'id':101,'role':'e','src':['10.7.0.2/32','fd00::/8'],'to':['db','10.20.1.0/24',"
	"'10.9.0.0/16@wg1','*'],'protocol':'tcp','ports':[5432,'8000-8010'],'action':'allow',"
	"'priority':7,'bidirectional':true,'log':false,'enabled':false,"
	"'not_before':'2027-06-01T00:00:00Z','expires':'2029-01-01T12:13:14Z','description':'r'},"
	"{'id':102,'role':'e','to':['db'],'protocol':47,'action':'deny','log':'sample:1/10'},"
	"{'id':1,'role':'c','to':['*'],'protocol':'any','action':'deny'}],"
	"'tests':[{'from':{'inside':'10.20.0.10','port':53,'interface':'wg0'},'to':{'roles':['e'],"
	"'address':'10.7.0.9'},'protocol':'udp','port':9,'expect':'deny'},"
	"{'name':'n','from':{'peer':'alice'},'to':'db','protocol':'tcp','port':5432,"
	"'expect':'allow','rule':'e/101'},{'from':{'roles':['e','c'],'address':'fd00::1',"
	"'interface':'wg0'},'to':'10.20.0.10','protocol':'icmp','expect':'deny'}]}";

static json_t *
emitted(const struct sl_policy *p)
{
	json_t *v = sl_policy_doc_emit(p);

	assert_non_null(v);
	return v;
}

/** What is emitted, parsed and emitted again is the same. */
static void
round_trip(const struct sl_policy *p)
{
	json_t *first = emitted(p), *second;
	char *text = json_dumps(first, 0);
	struct sl_policy *again = NULL;
	struct sl_error e = {0};

	if (sl_policy_doc_parse(text, strlen(text), &again, &e) < 0)
		fail_msg("%s %s: %s", e.reason, e.path, e.message);
	second = emitted(again);
	assert_true(json_equal(first, second));
	json_decref(first);
	json_decref(second);
	sl_policy_free(again);
	free(text);
}

/** The document above is written in the canonical form, so it comes back word for word. */
static void
test_all_fields(void **state)
{
	struct sl_policy *p;
	struct sl_error e;
	json_t *v, *want;
	char text[sizeof(all_fields)];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = all_fields[i] == '\'' ? '"' : all_fields[i];
	assert_int_equal(parse_text(all_fields, &p, &e), 0);
	v = emitted(p);
	want = json_loads(text, 0, NULL);
	assert_non_null(want);
	assert_true(json_equal(v, want));
	json_decref(v);
	json_decref(want);
	assert_int_equal(sl_policy_check(p, NULL, NOW, &e), 0);
	round_trip(p); /* now with ids for all roles */
	sl_policy_free(p);
}

static void
test_example(void **state)
{
	struct sl_policy *p;
	struct sl_error e = {0};
	size_t len;
	char *text = read_doc(EXAMPLE, &len);

	if (sl_policy_doc_parse(text, len, &p, &e) < 0)
		fail_msg("%s %s: %s", e.reason, e.path, e.message);
	round_trip(p);
	sl_policy_free(p);
	p = sl_policy_new();
	round_trip(p);
	sl_policy_free(p);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_all_fields),
		cmocka_unit_test(test_example),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
