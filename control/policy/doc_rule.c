/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules of a document. */
#include "doc_int.h"

static int
read_id(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 1, SL_POL_ID_MAX, "rule_id_invalid", &n);

	*(uint32_t *)out = (uint32_t)n;
	return rc;
}

static int
read_priority(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc = doc_int(d, v, 0, UINT8_MAX, "field_range", &n);

	*(uint8_t *)out = (uint8_t)n;
	return rc;
}

static int
read_src(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_rule *r = out;
	int rc = doc_list(d, v, sizeof(*r->src), doc_read_prefix, &r->src, &r->n_src);

	if (rc == 0 && r->n_src == 0) {
		rc = sl_json_fail(&d->at, "field_range", "the list is empty");
		sl_hint(d->at.e, "leave src out for any source of the role");
	}
	return rc;
}

/** Could this be meant as an address? Then it is a wrong one. */
static bool
looks_like_place(const char *s)
{
	return strpbrk(s, "/:@") != NULL ||
	       (s[0] != '\0' && strspn(s, "0123456789.") == strlen(s) && strchr(s, '.') != NULL);
}

static int
read_to_item(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_to *t = out;
	bool had_iface;
	const char *s;

	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	s = json_string_value(v);
	if (strcmp(s, "*") == 0) {
		t->any = true;
		return 0;
	}
	if (looks_like_place(s))
		return doc_place_text(d, s, &t->place, &had_iface);
	return doc_name_text(d, s, t->target);
}

static int
read_to(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_rule *r = out;

	return doc_list(d, v, sizeof(*r->to), read_to_item, &r->to, &r->n_to);
}

/* --- ports ------------------------------------------------------------------------------------ */

/** 1 to `max`, below 10^7, without sign, space or leading zero; ends at `end`. @return 0 if it is
 * none */
static unsigned
whole_number(const char *s, char end, unsigned max, const char **rest)
{
	unsigned v = 0, n = 0;

	for (; s[n] >= '0' && s[n] <= '9' && n < 8; n++)
		v = v * 10 + (unsigned)(s[n] - '0');
	*rest = s + n;
	return n > 0 && s[0] != '0' && v <= max && s[n] == end ? v : 0;
}

static uint16_t
port_number(const char *s, char end, const char **rest)
{
	return (uint16_t)whole_number(s, end, UINT16_MAX, rest);
}

static int
read_port(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_ports *p = out;
	const char *s;
	json_int_t n;

	if (json_is_string(v)) {
		s = json_string_value(v);
		p->lo = port_number(s, '-', &s);
		p->hi = p->lo != 0 ? port_number(s + 1, '\0', &s) : 0;
	} else if (json_is_integer(v)) {
		n = json_integer_value(v);
		p->lo = p->hi = n > 0 && n <= UINT16_MAX ? (uint16_t)n : 0;
	} else {
		return sl_json_wrong_type(&d->at, "an integer or a string", v);
	}
	if (p->lo != 0 && p->hi != 0)
		return 0;
	sl_json_fail(&d->at, "ports_invalid", "this is no port and no range of ports");
	sl_hint(d->at.e, "write a number 1-65535 or \"FIRST-LAST\"; leave ports out for any");
	return -EINVAL;
}

static int
read_ports(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_rule *r = out;
	int rc;

	if (json_is_string(v) && strcmp(json_string_value(v), "any") == 0)
		return 0;
	if (!json_is_array(v))
		return sl_json_wrong_type(&d->at, "an array or \"any\"", v);
	rc = doc_list(d, v, sizeof(*r->ports), read_port, &r->ports, &r->n_ports);
	if (rc == 0 && r->n_ports == 0) {
		rc = sl_json_fail(&d->at, "ports_invalid", "the list is empty");
		sl_hint(d->at.e, "leave ports out, or write \"any\"");
	}
	return rc;
}

/* --- log ---------------------------------------------------------------------------------------
 */

static int
read_log(struct doc *d, json_t *v, void *out)
{
	static const char sample[] = "sample:1/";
	const char *s = json_string_value(v), *rest;
	uint32_t *log = out;

	if (json_is_boolean(v)) {
		*log = json_is_true(v);
		return 0;
	}
	if (s == NULL)
		return sl_json_wrong_type(&d->at, "true, false or \"sample:1/N\"", v);
	if (strncmp(s, sample, sizeof(sample) - 1) == 0)
		*log = whole_number(s + sizeof(sample) - 1, '\0', SL_POL_SAMPLE_MAX, &rest);
	else
		*log = 0;
	if (*log != 0)
		return 0;
	sl_json_fail(&d->at, "log_invalid", "\"%.32s\" does not say what is recorded", s);
	sl_hint(d->at.e, "write true, false, or \"sample:1/N\" for one flow in N, N from 1 to %u",
		SL_POL_SAMPLE_MAX);
	return -EINVAL;
}

/* --- rules ------------------------------------------------------------------------------------ */

#define AT(member) offsetof(struct sl_pol_rule, member)

static int
read_rule(struct doc *d, json_t *v, void *out)
{
	static const struct doc_field fields[] = {
		{"id", read_id, AT(id), true},
		{"role", doc_read_name, AT(role), true},
		{"src", read_src, 0, false},
		{"to", read_to, 0, true},
		{"protocol", doc_read_proto, AT(proto), true},
		{"ports", read_ports, 0, false},
		{"action", doc_read_action, AT(allow), true},
		{"priority", read_priority, AT(priority), false},
		{"bidirectional", doc_read_bool, AT(bidirectional), false},
		{"log", read_log, AT(log), false},
		{"enabled", doc_read_bool, AT(enabled), false},
		{"not_before", doc_read_time, AT(not_before_ns), false},
		{"expires", doc_read_time, AT(expires_ns), false},
		{"description", doc_read_text, AT(desc), false},
	};
	struct sl_pol_rule *r = out;

	r->priority = SL_POL_PRIORITY;
	r->enabled = true;
	r->log = 1;
	return doc_object(d, v, fields, SL_ARRAY_SIZE(fields), r);
}

int
doc_read_rules(struct doc *d, json_t *v, void *out)
{
	struct sl_policy *p = out;

	return doc_list(d, v, sizeof(*p->rules), read_rule, &p->rules, &p->n_rules);
}
