/* SPDX-License-Identifier: BSD-3-Clause */
/* The tests of a document: they pass where the policy does what they say, and only there. */
#include "poldoc_test.h"

static struct sl_error err;
static unsigned n_run;

static uint16_t
iface_id(void *ctx, const char *name)
{
	return strcmp(name, "wg0") == 0 ? 1 : strcmp(name, "wg1") == 0 ? 2 : 0;
}

/** alice is at wg0 with 10.7.0.2 and has the first role; 10.7.0.3 there has the second. */
static struct {
	struct sl_class c;
	struct sl_class_role room[1];
} class_a = {{.n = 1}, {{.role = 0}}}, class_b = {{.n = 1}, {{.role = 1}}};

static bool
find_peer(void *ctx, const char *name, struct sl_polset_query *q)
{
	static const uint8_t address[] = {10, 7, 0, 2};

	if (strcmp(name, "alice") != 0)
		return false;
	q->flow.iface = 1;
	q->flow.src = q->flow.version == 4 ? address : NULL;
	q->peer_class = &class_a.c;
	return true;
}

static const struct sl_class *
find_source(void *ctx, uint16_t iface, const struct sl_ip *ip)
{
	return iface == 1 && ip->family == 4 && ip->b[3] == 3 ? &class_b.c : NULL;
}

static int
run(const struct sl_policy *p, bool bare)
{
	struct sl_polset_env penv = {.generation = 1, .wall_ns = NOW, .iface_id = iface_id};
	struct sl_policy_test_env env = {.now_ns = NOW, .iface = iface_id};
	struct sl_polset *s = sl_polset_compile(p, &penv, &err);
	int rc;

	assert_non_null(s);
	if (!bare) {
		env.peer = find_peer;
		env.source = find_source;
	}
	memset(&err, 0, sizeof(err));
	n_run = 0;
	rc = sl_policy_doc_test(p, s, &env, &n_run, &err);
	assert_int_equal(rc, err.err);
	sl_polset_free(s);
	return rc;
}

static void
test_example(void **state)
{
	size_t len;
	char *text = read_doc(EXAMPLE, &len);
	struct sl_policy *p = NULL;

	if (sl_policy_doc_parse(text, len, &p, &err) < 0 || sl_policy_check(p, NULL, NOW, &err) < 0)
		fail_msg("%s %s: %s", err.reason, err.path, err.message);
	if (run(p, true) < 0)
		fail_msg("%s %s: %s", err.reason, err.path, err.message);
	assert_true(p->n_tests >= 5);
	assert_int_equal(n_run, p->n_tests);
	/* they ask for roles and rules, whichever way a target is reached */
	for (unsigned i = 0; i < p->n_targets; i++)
		p->targets[i].withdrawn = true;
	assert_int_equal(run(p, true), 0);
	/* each of them can fail */
	for (unsigned i = 0; i < p->n_tests; i++) {
		char path[32];

		p->tests[i].expect_allow = !p->tests[i].expect_allow;
		assert_int_equal(run(p, true), -EINVAL);
		assert_string_equal(err.reason, "test_failed");
		snprintf(path, sizeof(path), "/tests/%u", i);
		assert_string_equal(err.path, path);
		assert_int_equal(n_run, i + 1);
		p->tests[i].expect_allow = !p->tests[i].expect_allow;
	}
	sl_policy_free(p);
	free(text);
}

static void
no_lint(void *ctx, const char *code, const char *path, const char *text)
{
	fail_msg("%s %s: %s", code, path, text);
}

static void
test_example_lint(void **state)
{
	size_t len;
	char *text = read_doc(EXAMPLE, &len);
	struct sl_policy *p = NULL;

	assert_int_equal(sl_policy_doc_parse(text, len, &p, &err), 0);
	assert_int_equal(sl_policy_check(p, NULL, NOW, &err), 0);
	sl_policy_lint(p, NOW, no_lint, NULL);
	sl_policy_free(p);
	free(text);
}

/** The worked examples of the reference: sound, and their tests hold. */
static void
test_reference(void **state)
{
	static const char fence[] = "```json\n";
	size_t len;
	char *page = read_doc(REFERENCE, &len), *at = page, *end;
	struct sl_policy *p = NULL;
	unsigned n = 0;

	while ((at = strstr(at, fence)) != NULL) {
		at += strlen(fence);
		end = strstr(at, "```");
		assert_non_null(end);
		if (sl_policy_doc_parse(at, (size_t)(end - at), &p, &err) < 0 ||
		    sl_policy_check(p, NULL, NOW, &err) < 0 || run(p, true) < 0)
			fail_msg("%s %s: %s", err.reason, err.path, err.message);
		assert_true(n_run >= 3);
		sl_policy_free(p);
		at = end;
		n++;
	}
	assert_int_equal(n, 2);
	free(page);
}

/** A small policy with one test. @return its outcome */
static int
outcome(const char *test)
{
	static const char policy[] =
		"{'zones':{'z':{'id':1,'networks':['10.30.0.0/16'],'default_policy':'allow'}},"
		"'targets':{'net':{'addresses':['10.20.0.0/24','fd00:20::/64']},"
		"'one':{'addresses':['10.20.0.9/32@wg1']},'v6':{'addresses':['fd00:20::9']}},"
		"'roles':{'a':{'members':['peer:alice','peer:bob@wg1']},'b':{'members':["
		"{'peer':'carol','expires':'2027-01-16'}]},'c':{}},"
		"'rules':["
		"{'id':1,'role':'a','to':['10.20.0.0/"
		"24'],'protocol':'tcp','ports':[22],'action':'allow'},"
		"{'id':2,'role':'a','to':['10.20.0.255'],'protocol':'tcp','ports':[23],'action':'"
		"allow'},"
		"{'id':3,'role':'a','to':['v6'],'protocol':'any','action':'allow'},"
		"{'id':1,'role':'b','to':['net'],'protocol':'tcp','action':'deny'},"
		"{'id':4,'role':'a','to':['one'],'protocol':'udp','action':'allow'},"
		"{'id':5,'role':'a','src':['10.7.0.3'],'to':['*'],'protocol':47,'action':'allow'},"
		"{'id':6,'role':'a','to':['10.40.0.1'],'protocol':'udp','ports':[53],'action':"
		"'allow','bidirectional':true},"
		"{'id':2,'role':'b','to':['10.7.0.2'],'protocol':'tcp','ports':[9000],'action':"
		"'allow'}],"
		"'tests':[%s]}";
	char text[4096];
	struct sl_policy *p;
	int rc;

	snprintf(text, sizeof(text), policy, test);
	p = good(text);
	rc = run(p, false);
	sl_policy_free(p);
	return rc;
}

static void
passes(const char *test)
{
	if (outcome(test) < 0)
		fail_msg("%s\n%s", test, err.message);
}

static void
fails(const char *test, const char *says)
{
	assert_int_equal(outcome(test), -EINVAL);
	assert_string_equal(err.reason, "test_failed");
	if (strstr(err.message, says) == NULL)
		fail_msg("%s\n%s", test, err.message);
}

static void
test_peers(void **state)
{
	/* known: its own family alone, so fd00:20:: of the target is passed over */
	passes("{'from':{'peer':'alice'},'to':'net','protocol':'tcp','port':22,'expect':'allow'}");
	fails("{'from':{'peer':'alice'},'to':'v6','protocol':'tcp','port':22,'expect':'allow'}",
	      "the test has no destination of its source's family");
	/* every address of the target: only the last one may be reached at port 23 */
	fails("{'from':{'peer':'alice'},'to':'net','protocol':'tcp','port':23,'expect':'allow'}",
	      "10.20.0.0 is denied");
	fails("{'from':{'peer':'alice'},'to':'net','protocol':'tcp','port':23,'expect':'deny'}",
	      "10.20.0.255 is allowed by a/2");
	/* at wg0, so an address of wg1 is none of its destinations */
	fails("{'from':{'peer':'alice'},'to':'one','protocol':'udp','port':1,'expect':'deny'}",
	      "no destination");
	/* by the document alone */
	passes("{'from':{'peer':'bob'},'to':'10.20.0.1','protocol':'tcp','port':22,'expect':'allow'"
	       "}");
	passes("{'from':{'peer':'bob'},'to':'v6','protocol':'tcp','port':22,'expect':'allow'}");
	passes("{'from':{'peer':'bob','interface':'wg1'},'to':'one','protocol':'udp','port':1,"
	       "'expect':'allow','rule':'a/4'}");
	fails("{'from':{'peer':'bob','interface':'wg0'},'to':'10.20.0.1','protocol':'tcp','port':"
	      "22,"
	      "'expect':'allow'}",
	      "has no role");
	passes("{'from':{'peer':'carol'},'to':'10.20.0.1','protocol':'tcp','port':22,'expect':'"
	       "deny',"
	       "'rule':'b/1'}");
	fails("{'name':'who','from':{'peer':'dave'},'to':'10.20.0.1','protocol':'tcp','port':22,"
	      "'expect':'allow','rule':'a/1'}",
	      "test \"who\" expects allow by a/1, but 10.20.0.1 is denied as the subject has no "
	      "role");
}

static void
test_roles(void **state)
{
	passes("{'from':{'roles':['a']},'to':'10.20.0.1','protocol':'tcp','port':22,'expect':'"
	       "allow',"
	       "'rule':'a/1'}");
	passes("{'from':{'roles':['b','a']},'to':'10.20.0.1','protocol':'tcp','port':22,"
	       "'expect':'deny','rule':'b/1'}");
	fails("{'from':{'roles':['a']},'to':'10.20.0.1','protocol':'tcp','port':22,'expect':'allow'"
	      ","
	      "'rule':'a/2'}",
	      "expects allow by a/2, but 10.20.0.1 is allowed by a/1");
	/* no rule: the zone's default, or none */
	passes("{'from':{'roles':['c']},'to':'10.30.0.1','protocol':'tcp','port':22,'expect':'"
	       "allow'}");
	fails("{'from':{'roles':['c']},'to':'10.30.0.1','protocol':'tcp','port':22,'expect':'deny'"
	      "}",
	      "by the default of zone z");
	fails("{'from':{'roles':['c']},'to':'10.20.0.1','protocol':'tcp','port':22,'expect':'allow'"
	      "}",
	      "lies in no zone");
	/* a rule for one source */
	passes("{'from':{'roles':['a'],'address':'10.7.0.3'},'to':'10.1.1.1','protocol':47,"
	       "'expect':'allow'}");
	passes("{'from':{'roles':['a']},'to':'10.1.1.1','protocol':47,'expect':'deny'}");
}

static void
test_addresses(void **state)
{
	passes("{'from':{'address':'10.7.0.3','interface':'wg0'},'to':'10.20.0.1','protocol':'tcp',"
	       "'port':22,'expect':'deny','rule':'b/1'}");
	fails("{'from':{'address':'10.7.0.4','interface':'wg0'},'to':'10.20.0.1','protocol':'tcp',"
	      "'port':22,'expect':'allow'}",
	      "has no role");
	/* a peer, at another of its addresses: both votes */
	passes("{'from':{'peer':'alice','address':'10.7.0.3','interface':'wg0'},'to':'10.20.0.1',"
	       "'protocol':'tcp','port':22,'expect':'deny','rule':'b/1'}");
	passes("{'from':{'peer':'alice','address':'10.7.0.5','interface':'wg0'},'to':'10.20.0.1',"
	       "'protocol':'tcp','port':22,'expect':'allow'}");
}

/** Flows that begin inside: by the peer's bidirectional rules, and by the host's own roles. */
static void
test_inside(void **state)
{
	passes("{'from':{'inside':'10.40.0.1','port':53},'to':{'peer':'alice'},'protocol':'udp',"
	       "'port':4000,'expect':'allow','rule':'a/6'}");
	fails("{'from':{'inside':'10.40.0.1','port':53},'to':{'peer':'alice'},'protocol':'udp',"
	      "'port':4000,'expect':'deny'}",
	      "10.7.0.2 is allowed by a/6");
	fails("{'from':{'inside':'10.40.0.1','port':54},'to':{'peer':'alice'},'protocol':'udp',"
	      "'port':4000,'expect':'allow'}",
	      "10.7.0.2 is denied as the subject has no role");
	fails("{'from':{'inside':'10.40.0.2','port':53},'to':{'peer':'alice'},'protocol':'udp',"
	      "'port':4000,'expect':'allow'}",
	      "has no role");
	/* by the document alone, and somebody with a role */
	passes("{'from':{'inside':'10.40.0.1','port':53},'to':{'peer':'bob'},'protocol':'udp',"
	       "'port':1,'expect':'allow'}");
	passes("{'from':{'inside':'10.40.0.1','port':53},'to':{'roles':['a'],'address':"
	       "'10.7.0.9'},'protocol':'udp','port':1,'expect':'allow','rule':'a/6'}");
	passes("{'from':{'inside':'10.40.0.1','port':53},'to':{'roles':['b','c']},'protocol':"
	       "'udp','port':1,'expect':'deny'}");
	/* the host has a role of its own: at the peer's interface, or at one that is named */
	passes("{'from':{'inside':'10.50.0.3'},'to':{'peer':'alice'},'protocol':'tcp','port':9000,"
	       "'expect':'allow','rule':'b/2'}");
	passes("{'from':{'inside':'10.50.0.3','interface':'wg0'},'to':{'roles':['c'],'address':"
	       "'10.7.0.2'},'protocol':'tcp','port':9000,'expect':'allow','rule':'b/2'}");
	passes("{'from':{'inside':'10.50.0.3','interface':'wg1'},'to':{'roles':['c'],'address':"
	       "'10.7.0.2'},'protocol':'tcp','port':9000,'expect':'deny'}");
	/* a rule that is not bidirectional opens nothing */
	passes("{'from':{'inside':'10.20.0.1','port':22},'to':{'peer':'alice'},'protocol':'tcp',"
	       "'port':4000,'expect':'deny'}");
	fails("{'from':{'inside':'fd00:20::9'},'to':{'peer':'alice'},'protocol':'tcp','port':1,"
	      "'expect':'deny'}",
	      "no destination of its source's family");
}

int
main(void)
{
	const struct CMUnitTest all[] = {
		cmocka_unit_test(test_example),	  cmocka_unit_test(test_example_lint),
		cmocka_unit_test(test_reference), cmocka_unit_test(test_peers),
		cmocka_unit_test(test_roles),	  cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_inside),
	};

	return cmocka_run_group_tests(all, NULL, NULL);
}
