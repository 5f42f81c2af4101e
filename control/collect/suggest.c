/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows merged into rules: by ports, then by sources, then by destinations, each only where all
 * else is equal, so that a rule's lists multiply to what was seen and nothing more. */
#include "sl_flow_suggest.h"

#include <stdio.h>
#include <stdlib.h>

#define LEFT_MAX 256
#define ICMP 1
#define TCP 6
#define UDP 17
#define ICMPV6 58

struct sl_suggest {
	json_t *doc;	  /* our copy */
	json_t *items;	  /* key of all but ports -> item */
	json_t *left_out; /* array */
	json_t *roles;	  /* made: name -> members */
	unsigned rules_cap;
	uint64_t min_flows;
	bool zone_allows;
};

/* An item: {role, src: [], dst: [], proto, ports: [], flows, peer, interface} with sorted lists. */

struct sl_suggest *
sl_suggest_new(const json_t *doc, unsigned rules_cap, uint64_t min_flows)
{
	struct sl_suggest *s = calloc(1, sizeof(*s));
	const char *name;
	json_t *zone;

	if (!s)
		return NULL;
	s->doc = doc ? json_deep_copy(doc) : json_pack("{s:i}", "version", 1);
	s->items = json_object();
	s->left_out = json_array();
	s->roles = json_object();
	s->rules_cap = rules_cap;
	s->min_flows = min_flows;
	json_object_foreach (json_object_get(s->doc, "zones"), name, zone) {
		const char *p = json_string_value(json_object_get(zone, "default_policy"));

		s->zone_allows |= p && strcmp(p, "allow") == 0;
	}
	if (s->doc && s->items && s->left_out && s->roles)
		return s;
	sl_suggest_free(s);
	return NULL;
}

void
sl_suggest_free(struct sl_suggest *s)
{
	if (!s)
		return;
	json_decref(s->doc);
	json_decref(s->items);
	json_decref(s->left_out);
	json_decref(s->roles);
	free(s);
}

/* --- flows in ------------------------------------------------------------------------------- */

static bool
has_ports(json_int_t proto)
{
	return proto == TCP || proto == UDP;
}

static const char *
proto_text(json_int_t proto, char buf[8])
{
	switch (proto) {
	case ICMP:
		return "icmp";
	case TCP:
		return "tcp";
	case UDP:
		return "udp";
	case ICMPV6:
		return "icmpv6";
	default:
		snprintf(buf, 8, "%d", (int)proto);
		return buf;
	}
}

int
sl_suggest_leave(struct sl_suggest *s, const struct sl_suggest_flow *f, const char *reason)
{
	char src[SL_IP_STR], dst[SL_IP_STR], buf[8];

	if (json_array_size(s->left_out) >= LEFT_MAX)
		return 0;
	return json_array_append_new(s->left_out,
				     json_pack("{s:s, s:I, s:s, s:s, s:s, s:s, s:i}", "reason",
					       reason, "flows", (json_int_t)f->flows, "peer",
					       f->peer, "src", sl_ip_str(&f->src, src), "dst",
					       sl_ip_str(&f->dst, dst), "protocol",
					       proto_text(f->proto, buf), "port", (int)f->port))
		       ? -ENOMEM
		       : 0;
}

/** A role for a peer that has none: "observed-PEER". */
static const char *
role_for(struct sl_suggest *s, const struct sl_suggest_flow *f, char name[64])
{
	char member[96];

	if (f->role[0])
		return f->role;
	snprintf(name, 64, "observed-%.50s", f->peer);
	if (!json_object_get(json_object_get(s->doc, "roles"), name) &&
	    !json_object_get(s->roles, name)) {
		snprintf(member, sizeof(member), "peer:%.63s@%.15s", f->peer, f->interface);
		json_object_set_new(s->roles, name, json_pack("[s]", member));
	}
	return name;
}

/** Put a number into a sorted list of them. */
static int
put_port(json_t *list, int port)
{
	size_t i = 0;

	while (i < json_array_size(list) && json_integer_value(json_array_get(list, i)) < port)
		i++;
	if (i < json_array_size(list) && json_integer_value(json_array_get(list, i)) == port)
		return 0;
	return json_array_insert_new(list, i, json_integer(port));
}

int
sl_suggest_add(struct sl_suggest *s, const struct sl_suggest_flow *f)
{
	char src[SL_IP_STR], dst[SL_IP_STR], name[64], key[256];
	const char *role;
	json_t *item;

	if (f->flows < s->min_flows)
		return sl_suggest_leave(s, f, "few");
	if (f->from_inside || !f->peer[0])
		return sl_suggest_leave(s, f, "from_inside");
	if (!f->role[0] && s->zone_allows)
		return sl_suggest_leave(s, f, "zone_allows");
	role = role_for(s, f, name);
	sl_ip_str(&f->src, src);
	sl_ip_str(&f->dst, dst);
	snprintf(key, sizeof(key), "%s %s %s %u", role, src, dst, f->proto);
	item = json_object_get(s->items, key);
	if (!item) {
		item = json_pack("{s:s, s:[s], s:[s], s:i, s:[], s:i, s:s, s:s}", "role", role,
				 "src", src, "dst", dst, "proto", f->proto, "ports", "flows", 0,
				 "peer", f->peer, "interface", f->interface);
		if (!item || json_object_set_new(s->items, key, item))
			return -ENOMEM;
	}
	json_object_set_new(item, "flows",
			    json_integer(json_integer_value(json_object_get(item, "flows")) +
					 (json_int_t)f->flows));
	return has_ports(f->proto) ? put_port(json_object_get(item, "ports"), f->port) : 0;
}

/* --- merging -------------------------------------------------------------------------------- */

/** All of an item but one list, as a key. */
static char *
key_without(const json_t *item, const char *list)
{
	json_t *k = json_copy((json_t *)item);
	char *text;

	json_object_del(k, list);
	json_object_del(k, "flows");
	json_object_del(k, "peer");
	json_object_del(k, "interface");
	text = json_dumps(k, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(k);
	return text;
}

static int
text_cmp(const void *a, const void *b)
{
	return strcmp(json_string_value(*(json_t *const *)a),
		      json_string_value(*(json_t *const *)b));
}

/** So that equal lists have equal keys. */
static void
sort_texts(json_t *list)
{
	size_t n = json_array_size(list);
	json_t **v = calloc(n + 1, sizeof(*v));

	for (size_t i = 0; v && i < n; i++)
		v[i] = json_incref(json_array_get(list, i));
	if (v) {
		qsort(v, n, sizeof(*v), text_cmp);
		json_array_clear(list);
		for (size_t i = 0; i < n; i++)
			json_array_append_new(list, v[i]);
	}
	free(v);
}

/** Items that differ in this list alone become one. */
static json_t *
merge(json_t *items, const char *list)
{
	json_t *out = json_object(), *item, *there;
	const char *old;

	json_object_foreach (items, old, item) {
		char *key = key_without(item, list);

		there = key ? json_object_get(out, key) : NULL;
		if (there) {
			json_array_extend(json_object_get(there, list),
					  json_object_get(item, list));
			json_object_set_new(
				there, "flows",
				json_integer(json_integer_value(json_object_get(there, "flows")) +
					     json_integer_value(json_object_get(item, "flows"))));
		} else if (key) {
			json_object_set(out, key, item);
		}
		free(key);
	}
	json_object_foreach (out, old, item)
		sort_texts(json_object_get(item, list));
	json_decref(items);
	return out;
}

/* --- the document --------------------------------------------------------------------------- */

/** Rules of a role in the document, and the smallest id that is free. */
static unsigned
rules_of(const json_t *doc, const char *role, json_int_t *free_id)
{
	json_t *rule;
	unsigned n = 0;
	size_t i;

	*free_id = 1;
	json_array_foreach (json_object_get(doc, "rules"), i, rule) {
		const char *r = json_string_value(json_object_get(rule, "role"));
		json_int_t id = json_integer_value(json_object_get(rule, "id"));

		if (!r || strcmp(r, role) != 0)
			continue;
		n++;
		*free_id = SL_MAX(*free_id, id + 1);
	}
	return n;
}

static json_t *
list_in(json_t *doc, const char *name, json_t *(*make)(void))
{
	json_t *v = json_object_get(doc, name);

	if (!v) {
		v = make();
		json_object_set_new(doc, name, v);
	}
	return v;
}

static void
add_role(struct sl_suggest *s, const char *role)
{
	json_t *members = json_object_get(s->roles, role);

	if (members)
		json_object_set_new(list_in(s->doc, "roles", json_object), role,
				    json_pack("{s:O}", "members", members));
}

static json_t *
test_of(const json_t *item, const char *role, json_int_t id)
{
	const char *dst = json_string_value(json_array_get(json_object_get(item, "dst"), 0));
	const char *peer = json_string_value(json_object_get(item, "peer"));
	const json_t *port = json_array_get(json_object_get(item, "ports"), 0);
	char buf[8], rule[96];
	json_t *t;

	snprintf(rule, sizeof(rule), "%s/%lld", role, (long long)id);
	t = json_pack("{s:o, s:{s:s, s:O, s:O}, s:s, s:s, s:s, s:s}", "name",
		      json_sprintf("seen: %s to %s", peer, dst), "from", "peer", peer, "interface",
		      json_object_get(item, "interface"), "address",
		      json_array_get(json_object_get(item, "src"), 0), "to", dst, "protocol",
		      proto_text(json_integer_value(json_object_get(item, "proto")), buf), "expect",
		      "allow", "rule", rule);
	if (t && port)
		json_object_set(t, "port", (json_t *)port);
	return t;
}

static void
leave_item(struct sl_suggest *s, const json_t *item)
{
	struct sl_suggest_flow f = {
		.peer = json_string_value(json_object_get(item, "peer")),
		.proto = (uint8_t)json_integer_value(json_object_get(item, "proto")),
		.port = (uint16_t)json_integer_value(
			json_array_get(json_object_get(item, "ports"), 0)),
		.flows = (uint64_t)json_integer_value(json_object_get(item, "flows")),
	};

	sl_ip_parse(json_string_value(json_array_get(json_object_get(item, "src"), 0)), &f.src);
	sl_ip_parse(json_string_value(json_array_get(json_object_get(item, "dst"), 0)), &f.dst);
	sl_suggest_leave(s, &f, "limit_rules");
}

static void
add_item(struct sl_suggest *s, json_t *item, json_t *rules, json_t *tests)
{
	const char *role = json_string_value(json_object_get(item, "role"));
	json_int_t proto = json_integer_value(json_object_get(item, "proto")), id;
	json_t *ports = json_object_get(item, "ports"), *rule, *test;
	char buf[8];

	if (rules_of(s->doc, role, &id) >= s->rules_cap) {
		leave_item(s, item);
		return;
	}
	add_role(s, role);
	rule = json_pack("{s:I, s:s, s:O, s:O, s:s, s:s, s:s}", "id", id, "role", role, "src",
			 json_object_get(item, "src"), "to", json_object_get(item, "dst"),
			 "protocol", proto_text(proto, buf), "action", "allow", "description",
			 "suggested: seen");
	if (rule && json_array_size(ports))
		json_object_set(rule, "ports", ports);
	test = test_of(item, role, id);
	json_array_append(list_in(s->doc, "rules", json_array), rule);
	json_array_append(list_in(s->doc, "tests", json_array), test);
	json_array_append_new(tests, test);
	json_array_append_new(rules, json_pack("{s:s, s:o, s:O}", "role", role, "rule", rule,
					       "flows", json_object_get(item, "flows")));
}

json_t *
sl_suggest_done(struct sl_suggest *s)
{
	json_t *rules = json_array(), *tests = json_array(), *item;
	const char *key;

	s->items = merge(s->items, "src");
	s->items = merge(s->items, "dst");
	json_object_foreach (s->items, key, item)
		add_item(s, item, rules, tests);
	return json_pack("{s:o, s:o, s:O, s:O}", "rules", rules, "tests", tests, "left_out",
			 s->left_out, "candidate", s->doc);
}
