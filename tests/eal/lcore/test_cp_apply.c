/* SPDX-License-Identifier: BSD-3-Clause */
/* Snapshots and transactions of a control plane, as the gateway carries them out. */
#include "cp_fixture.h"
#include "sl_drain.h"

#include <sys/stat.h>
#include <unistd.h>

static json_int_t
acked_int(const char *field)
{
	return json_integer_value(json_object_get(cx.ack, field));
}

/* --- what is put is served ----------------------------------------------------------------------
 */

static void
test_snapshot(void **state)
{
	struct sl_gw_peer_info i;
	struct sl_gw_iface_info w;
	struct sl_gw_policy_info p;

	cx_snapshot(10, CX_BASE);
	cx_acked();
	assert_int_equal(acked_int("serving_seq"), 10);
	assert_int_equal(acked_int("generation"), sl_gw_generation(cx.f->gw));
	assert_null(json_object_get(cx.ack, "ignored"));
	assert_true(cx_peer("alice", &i));
	assert_int_equal(i.n_allowed, 1); /* that of this gateway */
	assert_true(cx_peer("bob", &i));
	assert_true(cx_allows(1, "10.7.0.2", 22));
	assert_false(cx_allows(2, "10.7.0.3", 22));
	assert_true(sl_gw_iface_find(cx.f->gw, "wg0", &w));
	assert_int_equal(w.mtu, 1400);
	sl_gw_policy_info(cx.f->gw, &p);
	assert_int_equal(p.version, 5);
	assert_string_equal(p.origin, "control");
}

/* A second snapshot is a difference: hs hears of nobody whose object is the same. */
static void
test_snapshot_is_a_difference(void **state)
{
	unsigned before;

	cx_snapshot(10, CX_BASE);
	before = cx.f->n_cmd;
	cx_snapshot(11, CX_BASE);
	cx_acked();
	assert_int_equal(cx.f->n_cmd, before);
	cx_snapshot(12, CX_IFACE CX_POLICY CX_ALICE
		    "{'kind':'peer','id':'bob','rev':5,'obj':{'interface':'wg0','public_key':'%2',"
		    "'allowed_ips':['10.7.0.3/32'],'keepalive_s':25}}");
	cx_acked();
	assert_int_equal(cx.f->n_cmd, before + 1);
	assert_int_equal(fx_last(cx.f, SL_HS_PEER_SET)->keepalive_s, 25);
	cx_snapshot(13, CX_IFACE CX_POLICY CX_BOB);
	assert_false(cx_has_peer("alice"));
	assert_int_equal(fx_count(cx.f, SL_HS_PEER_KICK), 0);
}

static void
test_transactions(void **state)
{
	struct sl_gw_peer_info i;

	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
		   "'public_key':'%3','allowed_ips':['10.7.0.4/32'],'roles':['guest']}}");
	cx_acked();
	assert_int_equal(acked_int("serving_seq"), 11);
	assert_true(cx_allows(3, "10.7.0.4", 80));
	assert_false(cx_allows(3, "10.7.0.4", 22));
	cx_txn(12,
	       "{'op':'put','kind':'role_map','id':'eng:peer:carol','rev':1,'obj':{'role':'eng',"
	       "'member':'peer:carol','interface':'wg0','source':{'type':'dynamic','reason':"
	       "'r'}}}");
	cx_acked();
	assert_true(cx_allows(3, "10.7.0.4", 22));
	cx_txn(14, "{'op':'del','kind':'role_map','id':'eng:peer:carol','rev':2},"
		   "{'op':'put','kind':'peer','id':'carol','rev':2,'obj':{'interface':'wg0',"
		   "'public_key':'%3','allowed_ips':['10.7.0.5/32'],'enabled':false}}");
	assert_false(cx_allows(3, "10.7.0.5", 22));
	assert_false(cx_allows(3, "10.7.0.5", 80));
	assert_true(cx_peer("carol", &i));
	assert_false(i.enabled);
	assert_true(i.allowed[0].ip.b[3] == 5);
	cx_txn(15, "{'op':'del','kind':'peer','id':'carol','rev':3}");
	assert_false(cx_has_peer("carol"));
	assert_int_equal(cx.cp->n_peers, 2);
}

/* Policy and mappings of one transaction come into force by one root. */
static void
test_policy_with_mappings(void **state)
{
	uint64_t generation;

	cx_snapshot(10, CX_BASE
		    ",{'kind':'role_map','id':'guest:peer:bob','rev':1,'obj':{'role':'guest',"
		    "'member':'peer:bob','interface':'wg0','source':{'type':'dynamic','reason':"
		    "'r'}}}");
	assert_true(cx_allows(2, "10.7.0.3", 80));
	generation = sl_gw_generation(cx.f->gw);
	cx_txn(11, "{'op':'put','kind':'policy','id':'policy','rev':2,'obj':{'version':6}},"
		   "{'op':'put','kind':'role','id':'ops','rev':1,'obj':{'id':3}},"
		   "{'op':'put','kind':'rule','id':'ops/1','rev':1,'obj':{'id':1,'role':'ops','to':"
		   "['db1'],'protocol':'tcp','ports':[443],'action':'allow'}},"
		   "{'op':'del','kind':'role_map','id':'guest:peer:bob','rev':2},"
		   "{'op':'put','kind':'role_map','id':'ops:peer:bob','rev':1,'obj':{'role':'ops',"
		   "'member':'peer:bob','interface':'wg0','source':{'type':'dynamic','reason':"
		   "'r'}}}");
	cx_acked();
	assert_int_equal(sl_gw_generation(cx.f->gw), generation + 1);
	assert_true(cx_allows(2, "10.7.0.3", 443));
	assert_false(cx_allows(2, "10.7.0.3", 80));
}

static char told[256];

static void
listen_log(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	if (strcmp(topic, "policy") == 0)
		snprintf(told, sizeof(told), "%s", text);
}

/* The stream's ids hold: where one was another role's here, what was seen of that one is the new
 * one's, and the log says so; each comes back with the id that the stream gives it. */
static void
test_role_ids(void **state)
{
	const struct sl_gw *gw = cx.f->gw;

	cx_snapshot(10, CX_BASE);
	sl_log_set_sink(listen_log, NULL);
	told[0] = '\0';
	cx_txn(11, "{'op':'put','kind':'policy','id':'policy','rev':2,'obj':{'version':6}},"
		   "{'op':'del','kind':'rule','id':'guest/1','rev':2},"
		   "{'op':'del','kind':'role','id':'guest','rev':2}");
	cx_acked();
	assert_string_equal(sl_gw_role_name(gw, 2), "guest");
	assert_string_equal(told, "");
	cx_txn(12, "{'op':'put','kind':'policy','id':'policy','rev':3,'obj':{'version':7}},"
		   "{'op':'put','kind':'role','id':'ops','rev':1,'obj':{'id':2}}");
	cx_acked();
	assert_string_equal(sl_gw_role_name(gw, 2), "ops");
	assert_string_equal(told, "id 2 was role guest's and is ops's now: flows and evidence of "
				  "before are shown as the new one's");
	told[0] = '\0';
	cx_txn(13, "{'op':'put','kind':'policy','id':'policy','rev':4,'obj':{'version':8}},"
		   "{'op':'put','kind':'role','id':'guest','rev':3,'obj':{'id':3}}");
	cx_acked();
	assert_string_equal(sl_gw_role_name(gw, 2), "ops");
	assert_string_equal(sl_gw_role_name(gw, 3), "guest");
	assert_string_equal(told, "");
}

/* Keys and addresses may change hands within one transaction. */
static void
test_swaps(void **state)
{
	struct sl_gw_peer_info i;
	struct sl_pubkey one = fx_key(1), two = fx_key(2);

	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'alice','rev':5,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32']}},"
		   "{'op':'put','kind':'peer','id':'bob','rev':5,'obj':{'interface':'wg0',"
		   "'public_key':'%1','allowed_ips':['10.7.0.2/32']}}");
	cx_acked();
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &one, &i), 0);
	assert_string_equal(i.name, "bob");
	assert_int_equal(i.allowed[0].ip.b[3], 2);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &two, &i), 0);
	assert_string_equal(i.name, "alice");
	assert_int_equal(i.allowed[0].ip.b[3], 3);
	assert_int_equal(cx.cp->n_peers, 2);
}

static void
test_expires(void **state)
{
	char op[400];

	cx_snapshot(10, CX_BASE);
	snprintf(op, sizeof(op),
		 "{'op':'put','kind':'peer','id':'alice','rev':5,'obj':{'interface':'wg0',"
		 "'public_key':'%%1','allowed_ips':['10.7.0.2/32'],'expires_at':'%s'}}",
		 px_at(cx.f->wall_ns + 10 * S));
	cx_txn(11, op);
	cx_acked();
	{
		struct sl_gw_peer_info i;

		assert_true(cx_peer("alice", &i));
		assert_true(i.expires_wall_ns == cx.f->wall_ns + 10 * S);
	}
}

/* --- what is refused ----------------------------------------------------------------------------
 */

#define BAD_POLICY                                                                                 \
	"{'op':'put','kind':'policy','id':'policy','rev':2,'obj':{'version':6}},"                  \
	"{'op':'put','kind':'rule','id':'nobody/1','rev':1,'obj':{'id':1,'role':'nobody','to':"    \
	"['db1'],'protocol':'tcp','action':'allow'}},"

static void
test_refused_policy(void **state)
{
	cx_snapshot(10, CX_BASE ",{'kind':'role_map','id':'guest:peer:bob','rev':1,'obj':{'role':"
				"'guest','member':'peer:bob','interface':'wg0','source':{'type':"
				"'dynamic','reason':'r'}}}");
	cx_txn(11,
	       BAD_POLICY "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
			  "'public_key':'%3','allowed_ips':['10.7.0.4/32']}}");
	assert_int_equal(cx.rc < 0, 1);
	assert_string_equal(cx.e.reason, "role_unknown");
	assert_int_equal(acked_int("serving_seq"), 10);
	assert_true(json_is_true(json_object_get(cx.ack, "overlay")));
	assert_int_equal(cx.cp->seq, 11); /* folded in */
	assert_true(cx_allows(1, "10.7.0.2", 22));
	assert_false(cx_has_peer("carol"));
	/* revocations of later transactions do not wait */
	cx_txn(12, "{'op':'del','kind':'role_map','id':'guest:peer:bob','rev':2}");
	assert_true(cx.rc < 0);
	assert_false(cx_allows(2, "10.7.0.3", 80));
	cx_txn(13, "{'op':'del','kind':'rule','id':'eng/1','rev':2}");
	assert_false(cx_allows(1, "10.7.0.2", 22));
	assert_int_equal(acked_int("serving_seq"), 10);
	cx_txn(14, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	assert_false(cx_has_peer("bob"));
	cx_txn(15, "{'op':'put','kind':'peer','id':'alice','rev':5,'obj':{'interface':'wg0',"
		   "'public_key':'%1','addresses':{'gw-1':['10.7.0.2/32']},'enabled':false}}");
	{
		struct sl_gw_peer_info i;

		assert_true(cx_peer("alice", &i));
		assert_false(i.enabled);
	}
	/* the policy is mended: all that waited is granted */
	cx_txn(16, "{'op':'put','kind':'role','id':'nobody','rev':1,'obj':{'id':9}},"
		   "{'op':'put','kind':'rule','id':'eng/1','rev':3,'obj':{'id':1,'role':'eng','to':"
		   "['db1'],'protocol':'tcp','action':'allow'}},"
		   "{'op':'put','kind':'peer','id':'alice','rev':6,'obj':{'interface':'wg0',"
		   "'public_key':'%1','addresses':{'gw-1':['10.7.0.2/32']},'roles':['eng']}}");
	cx_acked();
	assert_int_equal(acked_int("serving_seq"), 16);
	assert_true(json_is_false(json_object_get(cx.ack, "overlay")));
	assert_true(cx_has_peer("carol"));
	assert_true(cx_allows(1, "10.7.0.2", 22));
}

/* Ends that come nearer count while a policy is refused; those that move away wait. */
static void
test_refused_expiries(void **state)
{
	static const char map[] =
		"{'op':'put','kind':'role_map','id':'guest:peer:bob','rev':1,'obj':{'role':'guest',"
		"'member':'peer:bob','interface':'wg0','expires_at':'%s','source':{'type':"
		"'dynamic','reason':'r'}}}";
	static const char peer[] =
		"{'op':'put','kind':'peer','id':'alice','rev':9,'obj':{'interface':'wg0',"
		"'public_key':'%%1','addresses':{'gw-1':['10.7.0.2/32']},'roles':['eng'],"
		"'expires_at':'%s'}}";
	uint64_t now = cx.f->wall_ns;
	struct sl_gw_peer_info i;
	char op[500];

	cx_snapshot(10, CX_BASE);
	snprintf(op, sizeof(op), map, px_at(now + 1000 * S));
	cx_txn(11, op);
	cx_acked();
	cx_txn(12, BAD_POLICY);
	snprintf(op, sizeof(op), map, px_at(now + 2000 * S));
	cx_txn(13, op);
	snprintf(op, sizeof(op), map, px_at(now + 20 * S));
	cx_txn(14, op);
	snprintf(op, sizeof(op), peer, px_at(now + 30 * S));
	cx_txn(15, op);
	assert_true(cx.rc < 0);
	assert_true(cx_peer("alice", &i));
	assert_true(i.expires_wall_ns == now + 30 * S);
	snprintf(op, sizeof(op), peer, px_at(now + 3000 * S));
	cx_txn(16, op);
	assert_true(cx_peer("alice", &i));
	assert_true(i.expires_wall_ns == now + 30 * S);
	assert_true(cx_allows(2, "10.7.0.3", 80));
	cx_advance(21);
	assert_false(cx_allows(2, "10.7.0.3", 80));
	cx_txn(17, "{'op':'del','kind':'rule','id':'nobody/1','rev':2}");
	cx_acked();
	assert_true(cx_peer("alice", &i));
	assert_true(i.expires_wall_ns == now + 3000 * S);
}

static struct cp_text
text_of(enum sl_kind k, const char *id, const char *body)
{
	json_t *v = cx_json(body);
	struct cp_text t = {.kind = k, .id = strdup(id), .text = json_dumps(v, 0)};

	t.len = strlen(t.text);
	json_decref(v);
	return t;
}

/* What is left of a document without what others revoke. */
static void
test_reduce(void **state)
{
	json_t *doc = cx_json(
		"{'roles':{'a':{'members':['peer:x','10.7.0.0/"
		"24@wg0',{'peer':'y','interface':'wg0',"
		"'expires':'2030-01-01T00:00:00Z'},'peer:z']},'gone':{'members':['peer:x']}},"
		"'rules':[{'id':1,'role':'a','action':'allow','to':['*']},"
		"{'id':2,'role':'a','action':'allow'},{'id':3,'role':'a','action':'allow'},"
		"{'id':4,'role':'a','action':'deny'},{'id':5,'role':'a','action':'allow'},"
		"{'id':6,'role':'a','action':'allow','expires':'2029-01-01T00:00:00Z'}]}");
	json_t *want = cx_json(
		"{'roles':{'a':{'members':['peer:x',{'peer':'y','interface':'wg0','expires':"
		"'2028-01-01T00:00:00Z'},{'peer':'z','expires':'2027-01-01T00:00:00Z'}]},'gone':{"
		"'members':[]}},'rules':[{'id':1,'role':'a','action':'allow','to':['*'],'expires':"
		"'2031-01-01T00:00:00Z'},{'id':4,'role':'a','action':'deny'},{'id':6,'role':'a',"
		"'action':'allow','expires':'2029-01-01T00:00:00Z'}]}");
	struct cp_text v[] = {
		text_of(SL_KIND_ROLE, "a",
			"{'members':['peer:x',{'peer':'y','interface':'wg0','expires':"
			"'2028-01-01T00:00:00Z'},{'peer':'z','expires':'2027-01-01T00:00:00Z'},"
			"'peer:new']}"),
		text_of(SL_KIND_RULE, "a/1",
			"{'id':1,'role':'a','action':'allow','to':['db'],'expires':"
			"'2031-01-01T00:00:00Z'}"),
		text_of(SL_KIND_RULE, "a/2", "{'id':2,'role':'a','action':'deny'}"),
		text_of(SL_KIND_RULE, "a/3",
			"{'id':3,'role':'a','action':'allow','enabled':false}"),
		text_of(SL_KIND_RULE, "a/6",
			"{'id':6,'role':'a','action':'allow','expires':'2033-01-01T00:00:00Z'}"),
		text_of(SL_KIND_RULE, "a/7", "{'id':7,'role':'a','action':'allow'}"),
	};
	json_t *left = cp_policy_reduce(doc, v, SL_ARRAY_SIZE(v));

	if (!json_equal(left, want))
		fail_msg("%s", json_dumps(left, JSON_INDENT(1)));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(v); i++) {
		free(v[i].id);
		free(v[i].text);
	}
	json_decref(left);
	json_decref(want);
	json_decref(doc);
}

/* The program ends while a policy is being compiled: its answer finds nobody. */
static void
test_ends_in_a_load(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx.cp->load = calloc(1, sizeof(struct cp_load));
	cx.cp->load->cp = cx.cp;
	{
		struct cp_load *l = cx.cp->load;

		cx_stop();
		assert_null(l->cp);
		free(l);
	}
	cx_start();
}

/* Without an earlier generation nobody is let in. */
static void
test_refused_first(void **state)
{
	cx_snapshot(10, CX_IFACE CX_ALICE CX_BOB
		    ",{'kind':'policy','id':'policy','rev':2,'obj':{'version':6}},"
		    "{'kind':'rule','id':'nobody/1','rev':1,'obj':{'id':1,'role':'nobody','to':"
		    "['*'],'protocol':'tcp','action':'allow'}}");
	assert_string_equal(cx.e.reason, "role_unknown");
	assert_int_equal(acked_int("serving_seq"), 0);
	assert_false(cx_has_peer("alice"));
	assert_int_equal(cx.cp->n_peers, 0);
	cx_txn(11, "{'op':'del','kind':'rule','id':'nobody/1','rev':2}");
	cx_acked();
	assert_true(cx_has_peer("alice"));
}

/* A field that we do not know may restrict: the object is not carried out. */
static void
test_unknown_field(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
		   "'public_key':'%3','allowed_ips':['10.7.0.4/32'],'only_on_monday':true}}");
	cx_refused("field_unknown", "peer/carol/only_on_monday");
	assert_false(cx_has_peer("carol"));
	/* a revocation goes on, a grant waits */
	cx_txn(12, "{'op':'del','kind':'peer','id':'bob','rev':9},"
		   "{'op':'put','kind':'peer','id':'dave','rev':1,'obj':{'interface':'wg0',"
		   "'public_key':'%4','allowed_ips':['10.7.0.9/32']}}");
	cx_refused("field_unknown", "peer/carol/only_on_monday");
	assert_false(cx_has_peer("bob"));
	assert_false(cx_has_peer("dave"));
	cx_txn(13, "{'op':'del','kind':'peer','id':'carol','rev':2}");
	cx_acked();
	assert_true(cx_has_peer("dave"));
	/* elsewhere it is kept and told */
	cx_txn(14, "{'op':'put','kind':'interface','id':'wg0','rev':2,'obj':{'listen_port':51820,"
		   "'colour':'red'}}");
	cx_acked();
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(cx.ack, "ignored"), 0)),
			    "interface/wg0/colour");
	cx_txn(15, "{'op':'put','kind':'target','id':'late','rev':1,'obj':{'addresses':"
		   "['10.20.9.9/32'],'colour':'red'}}");
	cx_acked();
	assert_int_equal(acked_int("serving_seq"), 15);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(cx.ack, "ignored"), 0)),
			    "target/late/colour");
}

/* What only the gateway itself may set is taken out, told, and not applied. */
static void
test_forbidden(void **state)
{
	struct sl_gw_mode mode;
	json_t *ignored;

	assert_int_equal(sl_gw_mode_set_default(cx.f->gw, SL_MODE_ENFORCE, &cx.f->e), 0);
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'roles':['guest'],"
		   "'preshared_key':'x','authz_mode':'observe'}},"
		   "{'op':'put','kind':'authz_mode','id':'default','rev':1,'obj':{'mode':"
		   "'observe'}}");
	cx_acked();
	ignored = json_object_get(cx.ack, "ignored");
	assert_int_equal(json_array_size(ignored), 3);
	assert_string_equal(json_string_value(json_array_get(ignored, 0)), "authz_mode/default");
	assert_true(cx_allows(2, "10.7.0.3", 80)); /* the rest of it */
	sl_gw_mode_get(cx.f->gw, &mode);
	assert_int_equal(mode.deflt, SL_MODE_ENFORCE);
}

static unsigned
count_forbidden(json_int_t *unnamed)
{
	const json_t *o, *n;
	unsigned each = 0;
	size_t i;

	*unnamed = 0;
	json_array_foreach (cx.f->gw->early, i, o) {
		if (strcmp(json_string_value(json_object_get(o, "action")), "local-only-refused"))
			continue;
		o = json_object_get(o, "fields");
		n = json_object_get(o, "count");
		*unnamed += json_integer_value(n);
		each += n == NULL;
		assert_true(json_string_length(json_object_get(o, "kind")) < SL_OBJ_ID);
	}
	json_array_clear(cx.f->gw->early);
	return each;
}

/* However many of them one change has, and however long their names are: records of others are
 * not drowned. */
static void
test_forbidden_flood(void **state)
{
	char kind[4000], *ops = NULL;
	json_int_t unnamed;
	size_t len;
	FILE *f;

	cx_snapshot(10, CX_BASE);
	count_forbidden(&unnamed);
	memset(kind, 'x', sizeof(kind) - 1);
	kind[sizeof(kind) - 1] = '\0';
	f = open_memstream(&ops, &len);
	for (unsigned i = 0; i < 100; i++)
		fprintf(f, "{'op':'put','kind':'%s','id':'k%u','rev':1,'obj':{}},", kind, i);
	fputs("{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
	      "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'preshared_key':'x'}}",
	      f);
	fclose(f);
	cx_txn(11, ops);
	free(ops);
	cx_acked();
	assert_int_equal(count_forbidden(&unnamed), CP_FORBIDDEN_MAX);
	assert_int_equal(unnamed, 101 - CP_FORBIDDEN_MAX);
	/* and the next change has room for its own */
	cx_txn(12, "{'op':'put','kind':'authz_mode','id':'default','rev':1,'obj':{}}");
	assert_int_equal(count_forbidden(&unnamed), 1);
	assert_int_equal(unnamed, 0);
}

/* A limit of this gateway: told, the rest goes on, tried again. */
static void
test_limit(void **state)
{
	char ops[400];

	cx_snapshot(10, CX_BASE);
	cx.f->gw->conf.peers_max = 2;
	snprintf(ops, sizeof(ops),
		 "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
		 "'public_key':'%%3','allowed_ips':['10.7.0.4/32']}}");
	cx_txn(11, ops);
	cx_refused("limit_peers", "peer/carol");
	cx_txn(12, "{'op':'del','kind':'peer','id':'bob','rev':9}");
	cx_acked();
	assert_true(cx_has_peer("carol"));
}

/* --- keys ---------------------------------------------------------------------------------------
 */

static void
rotate_from(unsigned seq, unsigned old, unsigned new, uint64_t until)
{
	char op[500];

	snprintf(op, sizeof(op),
		 "{'op':'put','kind':'peer','id':'alice','rev':7,'obj':{'interface':'wg0',"
		 "'public_key':'%%%u','old_key':'%%%u','old_key_until':'%s','addresses':{'gw-1':"
		 "['10.7.0.2/32']},'roles':['eng']}}",
		 new, old, px_at(until));
	cx_txn(seq, op);
	cx_acked();
}

static void
rotate(unsigned seq, uint64_t until)
{
	rotate_from(seq, 1, 5, until);
}

/* How many addresses a key of wg0 has; -ENOENT: it may not shake hands. */
static int
allowed_of(unsigned key)
{
	struct sl_pubkey k = fx_key(key);
	struct sl_gw_peer_info i;
	int rc = sl_gw_peer_info(cx.f->gw, "wg0", &k, &i);

	return rc != 0 ? rc : (int)i.n_allowed;
}

static void
test_old_key(void **state)
{
	struct sl_pubkey old = fx_key(1), new = fx_key(5);
	struct sl_gw_peer_info i;

	cx_snapshot(10, CX_BASE);
	rotate(11, cx.f->wall_ns + 300 * S);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &old, &i), 0);
	assert_string_equal(i.name, "alice");
	assert_int_equal(i.n_allowed, 1);
	assert_true(cx_allows(1, "10.7.0.2", 22));
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &new, &i), 0);
	assert_int_equal(i.n_allowed, 0);
	cx_advance(10);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &old, &i), 0);
	cx_handshake(5);
	cx_turns(10);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &old, &i), -ENOENT);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &new, &i), 0);
	assert_string_equal(i.name, "alice");
	assert_int_equal(i.n_allowed, 1);
	assert_true(cx_allows(5, "10.7.0.2", 22));
}

static void
test_old_key_ends(void **state)
{
	struct sl_pubkey old = fx_key(1), new = fx_key(5);
	struct sl_gw_peer_info i;

	cx_snapshot(10, CX_BASE);
	rotate(11, cx.f->wall_ns + 30 * S);
	cx_advance(29);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &old, &i), 0);
	cx_advance(2);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &old, &i), -ENOENT);
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &new, &i), 0);
	assert_int_equal(i.n_allowed, 1);
	/* no overlap asked for: at once */
	cx_txn(12, "{'op':'put','kind':'peer','id':'alice','rev':8,'obj':{'interface':'wg0',"
		   "'public_key':'%6','allowed_ips':['10.7.0.2/32']}}");
	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &new, &i), -ENOENT);
}

/* Key 6 follows key 5 before anybody shook hands with that one: 5 is the old one now, 1 is gone. */
static void
test_key_changes_twice(void **state)
{
	cx_snapshot(10, CX_BASE);
	rotate(11, cx.f->wall_ns + 30 * S);
	assert_int_equal(allowed_of(1), 1);
	rotate_from(12, 5, 6, cx.f->wall_ns + 300 * S);
	assert_int_equal(allowed_of(1), -ENOENT);
	assert_int_equal(allowed_of(5), 1);
	assert_int_equal(allowed_of(6), 0);
	cx_advance(60); /* the end of the first overlap means nothing */
	assert_int_equal(allowed_of(5), 1);
	assert_true(cx_allows(5, "10.7.0.2", 22));
	cx_handshake(6);
	cx_turns(10);
	assert_int_equal(allowed_of(5), -ENOENT);
	assert_int_equal(allowed_of(6), 1);
}

/* A key that replaces all others at once leaves none that waits. */
static void
test_key_cuts_overlap(void **state)
{
	cx_snapshot(10, CX_BASE);
	rotate(11, cx.f->wall_ns + 300 * S);
	assert_int_equal(allowed_of(5), 0);
	cx_txn(12, "{'op':'put','kind':'peer','id':'alice','rev':8,'obj':{'interface':'wg0',"
		   "'public_key':'%6','allowed_ips':['10.7.0.2/32']}}");
	cx_acked();
	assert_int_equal(allowed_of(1), -ENOENT);
	assert_int_equal(allowed_of(5), -ENOENT);
	assert_int_equal(allowed_of(6), 1);
	cx_advance(301);
	assert_int_equal(allowed_of(6), 1);
}

static void
test_psk(void **state)
{
	char path[128], text[SL_KEY_B64_LEN + 1];
	struct sl_secret sk = fx_secret(77);
	struct sl_gw_peer_info i;
	FILE *o;

	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'psk_ref':'bob-psk'}}");
	cx_acked();
	assert_true(cx_peer("bob", &i));
	assert_false(i.enabled);
	assert_int_equal(cx.cp->n_psk_missing, 1);
	snprintf(path, sizeof(path), "%s/psk", px_state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/psk/bob-psk", px_state_dir);
	o = fopen(path, "w");
	sl_key_to_base64(sk.b, text);
	fprintf(o, "%s\n", text);
	fclose(o);
	chmod(path, 0600);
	cx_advance(11);
	assert_true(cx_peer("bob", &i));
	assert_true(i.enabled);
	assert_true(i.has_psk);
	assert_int_equal(cx.cp->n_psk_missing, 0);
	unlink(path);
	snprintf(path, sizeof(path), "%s/psk", px_state_dir);
	rmdir(path);
}

static uint64_t
mono(void *ctx)
{
	return gw_mono_ns(ctx);
}

static uint64_t
wall(void *ctx)
{
	return gw_wall_ns(ctx);
}

/* More come than the gateway keeps before it has one. */
static struct sl_drain *
make_drain(void)
{
	const struct sl_drain_conf c = {.observer = "test",
					.version = "0",
					.boot_id = "00112233445566778899aabbccddeeff",
					.mono_ns = mono,
					.wall_ns = wall,
					.clock_ctx = cx.f->gw,
					.lockstep = true};
	struct sl_drain *d = sl_drain_new(&c, &cx.f->e);

	assert_non_null(d);
	sl_gw_set_drain(cx.f->gw, d);
	return d;
}

/** Of all until now. */
static unsigned
count_psk_missing(struct sl_drain *d, json_int_t *unnamed)
{
	const json_t *o, *n;
	unsigned each = 0;
	json_t *all;
	size_t i;

	sl_drain_poll(d);
	all = sl_drain_recent(d, SL_DRAIN_RECENT, "psk_missing");
	*unnamed = 0;
	json_array_foreach (all, i, o) {
		n = json_object_get(json_object_get(o, "sluice"), "count");
		*unnamed += json_integer_value(n);
		each += n == NULL;
	}
	json_decref(all);
	return each;
}

static void
put_without_psk(FILE *f, unsigned i)
{
	struct sl_secret k = fx_secret(0);
	char key[SL_KEY_B64_LEN + 1];

	memcpy(k.b, &i, sizeof(i));
	sl_key_to_base64(k.b, key);
	fprintf(f,
		"{'op':'put','kind':'peer','id':'p%u','rev':1,'obj':{'interface':'wg0',"
		"'public_key':'%s','allowed_ips':['10.8.%u.%u/32'],'psk_ref':'none'}}",
		i, key, i / 256, i % 256);
}

static int
setup_many(void **state)
{
	return cx_setup_large(state, 1024);
}

/* The first configuration of a gateway whose keys are not there yet. */
static void
test_psk_flood(void **state)
{
	enum { N = CP_PSK_MISSING_MAX + 100 };
	char *ops = NULL;
	json_int_t unnamed;
	struct sl_drain *d;
	size_t len;
	FILE *f;

	cx_snapshot(10, CX_BASE);
	d = make_drain();
	f = open_memstream(&ops, &len);
	for (unsigned i = 0; i < N; i++) {
		put_without_psk(f, i);
		fputs(i + 1 < N ? "," : "", f);
	}
	fclose(f);
	cx_txn(11, ops);
	free(ops);
	cx_acked();
	assert_int_equal(cx.cp->n_psk_missing, N);
	assert_int_equal(count_psk_missing(d, &unnamed), CP_PSK_MISSING_MAX);
	assert_int_equal(unnamed, N - CP_PSK_MISSING_MAX);
	/* what is looked for again is not told again, and the next change has room for its own */
	cx_advance(11);
	cx_txn(12, "{'op':'put','kind':'peer','id':'bob','rev':9,'obj':{'interface':'wg0',"
		   "'public_key':'%2','allowed_ips':['10.7.0.3/32'],'psk_ref':'none'}}");
	cx_acked();
	assert_int_equal(count_psk_missing(d, &unnamed), CP_PSK_MISSING_MAX + 1);
	assert_int_equal(unnamed, N - CP_PSK_MISSING_MAX);
	sl_gw_set_drain(cx.f->gw, NULL);
	sl_drain_free(d);
}

/* --- others may not ------------------------------------------------------------------------------
 */

static void
test_managed(void **state)
{
	fx_refused(cx.f, sl_gw_check_managed(cx.f->gw, "wg0", &cx.f->e), -EBUSY,
		   "managed_by_control", "/interface");
	fx_refused(cx.f, sl_gw_check_managed(cx.f->gw, NULL, &cx.f->e), -EBUSY,
		   "managed_by_control", "");
	assert_int_equal(sl_gw_check_managed(cx.f->gw, "wg1", &cx.f->e), 0);
}

/* A peer of an interface that is not ours to serve is left out, and told. */
static void
test_other_interface(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx_txn(11, "{'op':'put','kind':'peer','id':'zoe','rev':1,'obj':{'interface':'wg7',"
		   "'public_key':'%3','allowed_ips':['10.7.0.4/32']}}");
	cx_acked();
	assert_int_equal(cx.cp->n_peers, 2);
	assert_string_equal(json_string_value(
				    json_array_get(json_object_get(cx.ack, "ignored"), 0)),
			    "peer/zoe/");
}

static void
test_drift(void **state)
{
	struct sl_hash_sum sum = {{1}};

	cx_snapshot(10, CX_BASE);
	assert_false(cp_sub_ops.heartbeat(cx.cp, 10, 10, &sum, cx.f->wall_ns));
	assert_false(cx.cp->hash_ok);
	assert_true(cp_sub_ops.heartbeat(cx.cp, 12, 12, &sum, cx.f->wall_ns)); /* behind */
	sl_replica_sum(cx.cp->r, &sum);
	assert_true(cp_sub_ops.heartbeat(cx.cp, 10, 10, &sum, cx.f->wall_ns));
	assert_true(cx.cp->hash_ok);
}

static void
test_bad_snapshot(void **state)
{
	struct sl_hash_sum sum = {{1}};

	cx_snapshot(10, CX_BASE);
	assert_int_equal(cp_sub_ops.snapshot_begin(cx.cp, &cx.epoch, 11, "test", &cx.f->e), 0);
	fx_refused(cx.f, cp_sub_ops.snapshot_end(cx.cp, 0, &sum, "", &cx.f->e), -EBADMSG,
		   "hash_mismatch", "");
	cp_sub_ops.snapshot_abort(cx.cp);
	assert_true(cx_has_peer("alice"));
	assert_int_equal(cx.cp->seq, 10);
}

static void
refused_txn(uint64_t seq, const char *ops, const char *code)
{
	char text[700];
	json_t *t;

	snprintf(text, sizeof(text), "{'seq':%llu,'prev':%llu,'chain':'b2b:01','ops':[%s]}",
		 (unsigned long long)seq, (unsigned long long)seq - 1, ops);
	t = cx_json(text);
	assert_int_equal(cp_sub_ops.txn(cx.cp, t, &cx.f->e), -EBADMSG);
	assert_string_equal(cx.f->e.reason, code);
	json_decref(t);
}

/* One that cannot be read leaves nothing of the operations before it. */
static void
test_all_of_a_transaction(void **state)
{
	static const char *const bad[][2] = {
		{"{'op':'put','kind':'peer','id':'dave'}", "op_invalid"},
		{"{'op':'put','kind':'peer','id':'a\\tb','obj':{}}", "op_invalid"},
		{"{'op':'turn','kind':'peer','id':'dave','obj':{}}", "op_invalid"},
		{"{'op':'put','kind':'peer','id':'dave','rev':1,'obj':{'interface':7}}",
		 "object_invalid"},
	};
	struct sl_hash_sum before, after;

	cx_snapshot(10, CX_BASE);
	sl_replica_sum(cx.cp->r, &before);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		char ops[600];

		snprintf(ops, sizeof(ops),
			 "{'op':'del','kind':'peer','id':'alice','rev':9},"
			 "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
			 "'public_key':'%%3','allowed_ips':['10.7.0.4/32']}},%s",
			 bad[i][0]);
		refused_txn(11, ops, bad[i][1]);
		sl_replica_sum(cx.cp->r, &after);
		assert_memory_equal(&after, &before, sizeof(after));
		assert_int_equal(cx.cp->seq, 10);
		assert_true(cx_has_peer("alice"));
		assert_false(cx_has_peer("carol"));
		assert_int_equal(cx.cp->n_tombs, 0);
	}
	/* the stream goes on behind it */
	cx_txn(11, "{'op':'del','kind':'peer','id':'alice','rev':9}");
	cx_acked();
	assert_false(cx_has_peer("alice"));
	assert_int_equal(cx.cp->n_tombs, 1);
}

static unsigned resyncs;

static void
count_resync(struct sl_cp *cp)
{
	(void)cp;
	resyncs++;
}

/* However small each transaction is: what is there has a bound; what is taken away always fits. */
static void
test_endless_transactions(void **state)
{
	cx_snapshot(10, CX_BASE);
	cx.cp->resync = count_resync;
	cx.cp->objects_max = sl_replica_count(cx.cp->r);
	refused_txn(11,
		    "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
		    "'public_key':'%3','allowed_ips':['10.7.0.4/32']}}",
		    "too_large");
	assert_int_equal(resyncs, 1);
	assert_int_equal(cx.f->e.retry_after_ms, SL_REPL_TOO_LARGE_MS);
	assert_false(cx_has_peer("carol"));
	assert_true(cx_has_peer("alice"));
	cx_txn(11, "{'op':'del','kind':'peer','id':'alice','rev':9}");
	cx_acked();
	cx_txn(12, "{'op':'put','kind':'peer','id':'carol','rev':1,'obj':{'interface':'wg0',"
		   "'public_key':'%3','allowed_ips':['10.7.0.4/32']}}");
	cx_acked();
	assert_true(cx_has_peer("carol"));
	assert_int_equal(resyncs, 1);
}

#define T(name) cmocka_unit_test_setup_teardown(test_##name, cx_setup, cx_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		T(snapshot),
		T(snapshot_is_a_difference),
		T(transactions),
		T(policy_with_mappings),
		T(role_ids),
		T(swaps),
		T(expires),
		T(refused_policy),
		T(refused_expiries),
		T(reduce),
		T(ends_in_a_load),
		T(refused_first),
		T(unknown_field),
		T(forbidden),
		T(forbidden_flood),
		T(limit),
		T(old_key),
		T(old_key_ends),
		T(key_changes_twice),
		T(key_cuts_overlap),
		cmocka_unit_test_setup_teardown(test_psk, cx_setup_state, cx_teardown),
		cmocka_unit_test_setup_teardown(test_psk_flood, setup_many, cx_teardown),
		T(managed),
		T(other_interface),
		T(drift),
		T(bad_snapshot),
		T(all_of_a_transaction),
		T(endless_transactions),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
