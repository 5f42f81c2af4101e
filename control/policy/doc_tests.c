/* SPDX-License-Identifier: BSD-3-Clause */
/* Tests of a document: what they say. test_run.c runs them. */
#include "doc_int.h"

#define AT(member) offsetof(struct sl_pol_test, member)

static int
read_ip(struct doc *d, json_t *v, void *out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	if (sl_ip_parse(json_string_value(v), out) == 0)
		return 0;
	return sl_json_fail(&d->at, "ip_invalid", "\"%.60s\" is no address", json_string_value(v));
}

static int
read_roles(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_test *t = out;
	int rc = doc_list(d, v, sizeof(*t->roles), doc_read_name, &t->roles, &t->n_roles);

	return rc == 0 && t->n_roles == 0 ? sl_json_fail(&d->at, "field_range", "the list is empty")
					  : rc;
}

static int
read_port(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 1, UINT16_MAX, "field_range", &n);

	*(uint16_t *)out = (uint16_t)n;
	return rc;
}

/** A host inside, which begins a flow to a peer. */
static int
read_inside(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"inside", read_ip, AT(inside), true},
		{"port", read_port, AT(sport), false},
		{"interface", doc_read_iface, AT(iface), false},
	};

	return doc_object(d, v, fields, SL_ARRAY_SIZE(fields), out);
}

static int
either(struct doc *d)
{
	sl_json_fail(&d->at, "member_invalid", "both \"peer\" and \"roles\" stand here");
	sl_hint(d->at.e, "a test has either a peer, with the roles that it has, or roles alone");
	return -EINVAL;
}

/** The peer that such a flow goes to. */
static int
read_to_peer(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"peer", doc_read_name, AT(peer), false},
		{"roles", read_roles, 0, false},
		{"address", read_ip, AT(from), false},
	};
	struct sl_pol_test *t = out;
	int rc = doc_object(d, v, fields, SL_ARRAY_SIZE(fields), t);

	if (rc < 0)
		return rc;
	if (t->peer[0] != '\0' && t->n_roles > 0)
		return either(d);
	if (t->peer[0] == '\0' && t->n_roles == 0)
		return sl_json_fail(&d->at, "field_missing", "\"peer\" or \"roles\" is missing");
	return 0;
}

static int
read_from(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"peer", doc_read_name, AT(peer), false},
		{"roles", read_roles, 0, false},
		{"address", read_ip, AT(from), false},
		{"interface", doc_read_iface, AT(iface), false},
	};
	struct sl_pol_test *t = out;
	int rc;

	if (json_object_get(v, "inside") != NULL)
		return read_inside(d, v, out);
	rc = doc_object(d, v, fields, SL_ARRAY_SIZE(fields), t);
	if (rc < 0)
		return rc;
	if (t->peer[0] != '\0' && t->n_roles > 0)
		return either(d);
	if (t->peer[0] == '\0' && t->n_roles == 0 && t->from.family == 0)
		return sl_json_fail(&d->at, "field_missing",
				    "\"peer\", \"roles\" or \"address\" is missing");
	return 0;
}

static int
read_to(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_test *t = out;

	if (json_is_object(v))
		return read_to_peer(d, v, out);
	if (json_is_string(v) && sl_ip_parse(json_string_value(v), &t->to) == 0)
		return 0;
	if (json_is_string(v) && strpbrk(json_string_value(v), "/:@*") != NULL)
		return sl_json_fail(&d->at, "ip_invalid",
				    "\"%.60s\" is neither a target nor an address",
				    json_string_value(v));
	return doc_read_name(d, v, t->to_target);
}

/** 1 to SL_POL_ID_MAX, digits only. @return 0 if it is none */
static uint32_t
parse_id(const char *s)
{
	uint64_t v = 0;
	size_t n = strspn(s, "0123456789");

	if (n == 0 || n > 10 || s[n] != '\0' || s[0] == '0')
		return 0;
	for (; *s != '\0'; s++)
		v = v * 10 + (uint64_t)(*s - '0');
	return v <= SL_POL_ID_MAX ? (uint32_t)v : 0;
}

/** "ROLE/ID" */
static int
read_rule(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_test *t = out;
	const char *s, *slash;

	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	s = json_string_value(v);
	slash = strrchr(s, '/');
	t->rule_id = slash != NULL ? parse_id(slash + 1) : 0;
	if (t->rule_id != 0 && slash > s && slash - s < SL_POL_NAME) {
		memcpy(t->rule_role, s, (size_t)(slash - s));
		t->rule_role[slash - s] = '\0';
		return 0;
	}
	sl_json_fail(&d->at, "field_range", "\"%.60s\" names no rule", s);
	sl_hint(d->at.e, "write ROLE/ID, for example engineer/101");
	return -EINVAL;
}

static int
no_ports(struct doc *d, const struct sl_pol_test *t)
{
	sl_json_fail(&d->at, "ports_need_tcp_or_udp", "protocol %u has no ports", t->proto);
	sl_hint(d->at.e, "leave the port out, or give protocol tcp or udp");
	return -EINVAL;
}

/** A packet has one protocol, and TCP and UDP a port. */
static int
check_packet(struct doc *d, const struct sl_pol_test *t, bool has_port)
{
	bool needs = t->proto == 6 || t->proto == 17;
	size_t was = sl_json_key(&d->at, t->proto == SL_POL_PROTO_ANY ? "protocol" : "port");

	if (t->proto == SL_POL_PROTO_ANY)
		return sl_json_fail(&d->at, "enum_invalid", "a packet has one protocol");
	if (needs && !has_port)
		return sl_json_fail(&d->at, "field_missing", "\"port\" is missing");
	if (!needs && has_port)
		return no_ports(d, t);
	sl_json_up(&d->at, was);
	return 0;
}

/** One end is a peer's, the other one is not. */
static int
check_ends(struct doc *d, const struct sl_pol_test *t, bool to_peer)
{
	bool ports = t->proto == 6 || t->proto == 17;
	size_t was;

	if ((t->inside.family != 0) != to_peer) {
		was = sl_json_key(&d->at, "to");
		sl_json_fail(&d->at, "member_invalid",
			     to_peer ? "a flow to a peer begins inside"
				     : "a flow that begins inside goes to a peer");
		sl_hint(d->at.e, to_peer ? "\"from\": {\"inside\": ADDRESS}"
					 : "\"to\": {\"peer\": NAME} or {\"roles\": [...]}");
		return -EINVAL;
	}
	if (t->sport == 0 || ports)
		return 0;
	was = sl_json_key(&d->at, "from");
	sl_json_key(&d->at, "port");
	no_ports(d, t);
	sl_json_up(&d->at, was);
	return -EINVAL;
}

static int
read_test(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"name", doc_read_text, AT(name), false},
		{"from", read_from, 0, true},
		{"to", read_to, 0, true},
		{"protocol", doc_read_proto, AT(proto), true},
		{"port", read_port, AT(port), false},
		{"expect", doc_read_action, AT(expect_allow), true},
		{"rule", read_rule, 0, false},
	};
	int rc = doc_object(d, v, fields, SL_ARRAY_SIZE(fields), out);

	if (rc == 0)
		rc = check_ends(d, out, json_is_object(json_object_get(v, "to")));
	return rc < 0 ? rc : check_packet(d, out, json_object_get(v, "port") != NULL);
}

int
doc_read_tests(struct doc *d, json_t *v, void *out)
{
	struct sl_policy *p = out;

	return doc_list(d, v, sizeof(*p->tests), read_test, &p->tests, &p->n_tests);
}
