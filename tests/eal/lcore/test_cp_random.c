/* SPDX-License-Identifier: BSD-3-Clause */
/* Random transactions, snapshots, refusals, epochs and crashes. After each the gateway serves what
 * one serves that begins with nothing and gets the same objects as one snapshot: whatever way led
 * there. SL_SEED repeats a run, SL_ROUNDS makes it longer. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "cp_fixture.h"

#define PEERS 12
#define KEYS 16
#define ROLES 3
#define RULES 3

static uint64_t rng;

static unsigned
below(unsigned n)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (unsigned)(rng >> 20) % n;
}

static bool
chance(unsigned percent)
{
	return below(100) < percent;
}

/* --- what the control plane has ------------------------------------------------------------------
 */

static json_t *objects; /* {"KIND/ID": {kind, id, rev, obj}} */
static uint64_t seq, rev;

static json_t *
key_text(unsigned n)
{
	struct sl_pubkey pk = fx_key(n + 1);
	char text[SL_KEY_B64_LEN + 1];

	sl_key_to_base64(pk.b, text);
	return json_string(text);
}

static bool
key_is_taken(const char *id, const json_t *key)
{
	const char *name;
	json_t *o;

	json_object_foreach (objects, name, o)
		if (strcmp(name, id) != 0 &&
		    json_equal(json_object_get(json_object_get(o, "obj"), "public_key"), key))
			return true;
	return false;
}

/* One that no other peer has. */
static json_t *
free_key(const char *id)
{
	json_t *key = key_text(below(KEYS));

	while (key_is_taken(id, key)) {
		json_decref(key);
		key = key_text(below(KEYS));
	}
	return key;
}

static void
put_time(json_t *o, const char *field)
{
	if (chance(40))
		json_object_set_new(o, field, json_sprintf("20%u-01-01T00:00:00Z", 60 + below(30)));
}

static const char *const role_name[ROLES] = {"eng", "guest", "ops"};

static json_t *
some_roles(void)
{
	json_t *v = json_array();

	for (unsigned i = 0; i < ROLES; i++)
		if (chance(40))
			json_array_append_new(v, json_string(role_name[i]));
	return v;
}

static json_t *
peer(unsigned n)
{
	char id[32];
	json_t *o;

	snprintf(id, sizeof(id), "peer/p-%u", n);
	o = json_pack("{s:s, s:o, s:[o], s:b, s:i, s:o}", "interface", "wg0", "public_key",
		      free_key(id), "allowed_ips", json_sprintf("10.7.0.%u/32", n + 2), "enabled",
		      (int)chance(80), "keepalive_s", (int)below(4), "roles", some_roles());
	put_time(o, "expires_at");
	if (chance(2)) /* it may restrict: no gateway of this version takes it */
		json_object_set_new(o, "only_on", json_string("monday"));
	return o;
}

static json_t *
rule(const char *role, unsigned id)
{
	json_t *o =
		json_pack("{s:i, s:s, s:[s], s:s, s:[i], s:s, s:i}", "id", (int)id, "role", role,
			  "to", "db1", "protocol", "tcp", "ports", (int)(22 + below(3)), "action",
			  chance(60) ? "allow" : "deny", "priority", (int)(100 + below(2)));

	put_time(o, "expires");
	if (chance(20))
		json_object_set_new(o, "enabled", json_false());
	if (chance(4))
		json_object_set_new(o, "only_on", json_string("monday"));
	return o;
}

static void
member_of(unsigned n, char out[64])
{
	if (n < 8)
		snprintf(out, 64, "peer:p-%u", n);
	else
		snprintf(out, 64, "10.7.0.%u/30@wg0", 4 * (n - 7));
}

static json_t *
role_map(const char *role, const char *member)
{
	json_t *o = json_pack("{s:s, s:s, s:s, s:{s:s, s:s}}", "role", role, "member", member,
			      "interface", "wg0", "source", "type", "dynamic", "reason", "test");

	put_time(o, "expires_at");
	return o;
}

/* --- transactions ------------------------------------------------------------------------------
 */

static void
name_of(const char *kind, const char *id, char out[128])
{
	snprintf(out, 128, "%s/%s", kind, id);
}

static void
put(json_t *ops, const char *kind, const char *id, json_t *body)
{
	json_t *o = json_pack("{s:s, s:s, s:I, s:o}", "kind", kind, "id", id, "rev",
			      (json_int_t)++rev, "obj", body);
	char name[128];

	name_of(kind, id, name);
	assert_non_null(o);
	json_object_set_new(objects, name, o);
	if (ops != NULL) {
		o = json_copy(o);
		json_object_set_new(o, "op", json_string("put"));
		json_object_set_new(ops, name, o); /* of two with one name the last */
	}
}

static void
del(json_t *ops, const char *kind, const char *id)
{
	char name[128];

	name_of(kind, id, name);
	if (json_object_get(objects, name) == NULL || json_object_get(ops, name) != NULL)
		return;
	json_object_del(objects, name);
	json_object_set_new(ops, name,
			    json_pack("{s:s, s:s, s:s, s:I}", "op", "del", "kind", kind, "id", id,
				      "rev", (json_int_t)++rev));
}

static void
one_role_map(json_t *ops)
{
	const char *role = role_name[below(ROLES)];
	char member[64], id[128];

	member_of(below(11), member);
	snprintf(id, sizeof(id), "%s:%s", role, member);
	if (chance(60))
		put(ops, "role_map", id, role_map(role, member));
	else
		del(ops, "role_map", id);
}

static void
one_rule(json_t *ops)
{
	const char *role = role_name[below(ROLES)];
	unsigned n = 1 + below(RULES);
	char id[32];

	snprintf(id, sizeof(id), "%s/%u", role, n);
	if (chance(65))
		put(ops, "rule", id, rule(role, n));
	else
		del(ops, "rule", id);
}

static void
one_role(json_t *ops)
{
	unsigned r = below(ROLES);
	json_t *members = json_array();
	char member[64];

	for (unsigned i = 0; i < 11; i++) {
		member_of(i, member);
		if (chance(15))
			json_array_append_new(members, json_string(member));
	}
	put(ops, "role", role_name[r],
	    json_pack("{s:i, s:o}", "id", (int)r + 1, "members", members));
}

static void
one_op(json_t *ops)
{
	unsigned n = below(PEERS), what = below(100);
	char id[32];

	snprintf(id, sizeof(id), "p-%u", n);
	if (what < 35)
		put(ops, "peer", id, peer(n));
	else if (what < 55)
		del(ops, "peer", id);
	else if (what < 70)
		one_role_map(ops);
	else if (what < 85)
		one_rule(ops);
	else if (what < 92)
		one_role(ops);
	else if (what < 96)
		put(ops, "target", "db1",
		    json_pack("{s:[s]}", "addresses",
			      chance(80) ? "10.20.0.10/32" : "10.20.0.11/32"));
	else
		put(ops, "interface", "wg0",
		    json_pack("{s:i, s:i}", "listen_port", 51820, "mtu", (int)(1380 + below(3))));
}

static char *
values(json_t *o)
{
	json_t *list = json_array(), *v;
	const char *k;
	char *text, *inner;

	json_object_foreach (o, k, v)
		json_array_append(list, v);
	text = json_dumps(list, JSON_COMPACT);
	inner = strndup(text + 1, strlen(text) - 2);
	free(text);
	json_decref(list);
	return inner;
}

static void
transaction(void)
{
	json_t *ops = json_object();
	char *text;

	for (unsigned i = 1 + below(4); i > 0; i--)
		one_op(ops);
	text = values(ops);
	cx_txn(++seq, text);
	free(text);
	json_decref(ops);
}

static void
snapshot(void)
{
	char *text = values(objects);

	cx_snapshot(++seq, text);
	free(text);
}

static void
begin(void)
{
	rev = 0;
	seq = 1;
	cx.epoch = (struct sl_epoch){.number = 1, .id = CX_EPOCH1};
	json_object_clear(objects);
	put(NULL, "policy", "policy", json_pack("{s:i}", "version", 5));
	put(NULL, "zone", "in",
	    json_pack("{s:i, s:s, s:[s]}", "id", 1, "type", "internal", "networks",
		      "10.20.0.0/24"));
	put(NULL, "target", "db1", json_pack("{s:[s]}", "addresses", "10.20.0.10/32"));
	for (unsigned i = 0; i < ROLES; i++)
		put(NULL, "role", role_name[i], json_pack("{s:i}", "id", (int)i + 1));
	put(NULL, "interface", "wg0", json_pack("{s:i}", "listen_port", 51820));
	put(NULL, "gateway", "gw-1", json_pack("{s:[s]}", "interfaces", "wg0"));
	snapshot();
}

/* After a restore everything has a higher revision here, so that nothing of it is blocked. */
static void
new_epoch(void)
{
	const char *name;
	json_t *o;

	cx.epoch.number++;
	snprintf(cx.epoch.id, sizeof(cx.epoch.id), "%032x", (unsigned)cx.epoch.number);
	rev = sl_epoch_rev_base(cx.epoch.number);
	json_object_foreach (objects, name, o)
		json_object_set_new(o, "rev", json_integer((json_int_t)++rev));
	seq = below(3) + 1;
	snapshot();
}

/* --- what the gateway serves
 * ----------------------------------------------------------------------
 */

struct line {
	char text[256];
};
static struct line members[256];
static unsigned n_members;

static bool
add_member(void *ctx, const char *role, const struct sl_pol_member *m, enum sl_gw_giver giver)
{
	char prefix[SL_PREFIX_STR] = "";

	(void)ctx;
	if (m->peer[0] == '\0')
		sl_prefix_str(&m->place.prefix, prefix);
	assert_true(n_members < SL_ARRAY_SIZE(members));
	snprintf(members[n_members++].text, sizeof(members[0].text), "%s %s%s@%s %d %llu %d", role,
		 m->peer, prefix, m->place.iface, (int)m->source, (unsigned long long)m->expires_ns,
		 (int)giver);
	return true;
}

static int
by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

static json_t *
dump_peer(unsigned n)
{
	struct sl_gw_peer_info i;
	json_t *o, *allowed, *verdicts = json_array();
	char name[32], key[SL_KEY_B64_LEN + 1], text[SL_PREFIX_STR], src[32];
	unsigned k;

	snprintf(name, sizeof(name), "p-%u", n);
	if (!cx_peer(name, &i)) {
		json_decref(verdicts);
		return json_null();
	}
	allowed = json_array();
	for (k = 0; k < i.n_allowed; k++)
		json_array_append_new(allowed, json_string(sl_prefix_str(&i.allowed[k], text)));
	sl_key_to_base64(i.public_key.b, key);
	o = json_pack("{s:s, s:b, s:i, s:I, s:o}", "key", key, "enabled", (int)i.enabled,
		      "keepalive", (int)i.keepalive_s, "expires", (json_int_t)i.expires_wall_ns,
		      "allowed", allowed);
	for (k = 0; k < KEYS && memcmp(fx_key(k + 1).b, i.public_key.b, SL_KEY_LEN) != 0;)
		k++;
	snprintf(src, sizeof(src), "10.7.0.%u", n + 2);
	for (uint16_t port = 22; port < 25; port++)
		json_array_append_new(verdicts, json_boolean(cx_allows(k + 1, src, port)));
	json_object_set_new(o, "verdicts", verdicts);
	return o;
}

static json_t *
dump(void)
{
	json_t *o = json_object(), *all = json_array();
	struct sl_gw_iface_info f;
	char name[32];
	const char *text;
	size_t len = 0;

	for (unsigned i = 0; i < PEERS; i++) {
		snprintf(name, sizeof(name), "p-%u", i);
		json_object_set_new(o, name, dump_peer(i));
	}
	n_members = 0;
	sl_gw_member_walk(cx.f->gw, add_member, NULL);
	qsort(members, n_members, sizeof(members[0]), by_text);
	for (unsigned i = 0; i < n_members; i++)
		json_array_append_new(all, json_string(members[i].text));
	json_object_set_new(o, "members", all);
	text = sl_gw_policy_text(cx.f->gw, &len);
	json_object_set_new(o, "policy", text != NULL ? json_stringn(text, len) : json_null());
	assert_true(sl_gw_iface_find(cx.f->gw, "wg0", &f));
	json_object_set_new(o, "mtu", json_integer(f.mtu));
	return o;
}

static void
must_equal(const json_t *want, const json_t *got, const char *what)
{
	char *a, *b;

	if (json_equal(want, got))
		return;
	a = json_dumps(want, JSON_INDENT(1) | JSON_SORT_KEYS);
	b = json_dumps(got, JSON_INDENT(1) | JSON_SORT_KEYS);
	fail_msg("%s: %s\n--- instead of\n%s", what, b, a);
}

/* --- runs --------------------------------------------------------------------------------------
 */

/* It dies after an acknowledgement and finds no source: nothing has changed. */
static void
crash(void)
{
	json_t *before = dump(), *after;

	cx.cp->cache_due = cx.cp->cache_due && chance(50);
	cx_restart();
	cx.f->now_ns += 4 * S;
	cx.f->wall_ns += 4 * S;
	cx_turns(100000);
	assert_true(cx.cp->stale_config);
	after = dump();
	must_equal(before, after, "after a crash");
	json_decref(before);
	json_decref(after);
}

/* Another gateway, which knows nothing yet. */
static void
compare_with_new(void)
{
	static const char *const files[] = {"control-cache", "control-journal", "control-revoked"};
	json_t *before = dump(), *after;
	char path[256];

	cx_stop();
	for (unsigned i = 0; i < SL_ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "%s/%s", px_state_dir, files[i]);
		unlink(path);
	}
	cx_start();
	cx_restart();
	assert_int_equal(cx.cp->epoch.number, 0);
	snapshot();
	after = dump();
	must_equal(after, before, "by the way that it took");
	json_decref(before);
	json_decref(after);
}

static void
step(void)
{
	unsigned what = below(100);

	if (what < 84)
		transaction();
	else if (what < 92)
		snapshot();
	else if (what < 95)
		new_epoch();
	else if (!cp_refuses(cx.cp))
		crash();
	cx.f->now_ns += below(3) * S / 2;
	cx.f->wall_ns = cx.f->wall_ns + 1;
	cx_turns(100000);
}

static void
test_random(void **state)
{
	unsigned rounds = getenv("SL_ROUNDS") != NULL ? (unsigned)atoi(getenv("SL_ROUNDS")) : 12;
	unsigned compared = 0, refused = 0;

	(void)state;
	objects = json_object();
	begin();
	for (unsigned r = 0; r < rounds; r++) {
		for (unsigned i = 0; i < 25; i++) {
			step();
			refused += cp_refuses(cx.cp);
		}
		if (!cp_refuses(cx.cp)) {
			compare_with_new();
			compared++;
		}
	}
	printf("%u steps, %u of them refused, %u comparisons\n", rounds * 25, refused, compared);
	assert_true(compared > 0);
	json_decref(objects);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_random, cx_setup_state, cx_teardown),
	};

	(void)argc;
	rng = getenv("SL_SEED") != NULL ? strtoull(getenv("SL_SEED"), NULL, 10)
					: (uint64_t)time(NULL) * 2654435761U + (unsigned)getpid();
	printf("SL_SEED=%llu\n", (unsigned long long)rng);
	rng |= 1;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
