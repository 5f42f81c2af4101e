/* SPDX-License-Identifier: BSD-3-Clause */
/* Members of a role: "PREFIX@INTERFACE", "peer:NAME", "peer:NAME@INTERFACE", or an object. */
#include "doc_int.h"

#define PEER "peer:"
#define ADDRESS "0123456789abcdefABCDEF.:"

static int
invalid(struct doc *d, const char *text)
{
	sl_json_fail(&d->at, "member_invalid", "%s", text);
	sl_hint(d->at.e,
		"write \"PREFIX@INTERFACE\", \"PREFIX@*\" for sources inside, \"peer:NAME\" "
		"or \"peer:NAME@INTERFACE\"");
	return -EINVAL;
}

static int
prefix_text(struct doc *d, const char *text, struct sl_pol_member *m)
{
	bool had_iface;
	int rc = doc_place_text(d, text, &m->place, &had_iface);

	if (rc == 0 && !had_iface)
		return invalid(d, "a prefix names the interface that it belongs to");
	return rc;
}

/** What follows the last '@' is the interface. */
static int
peer_text(struct doc *d, const char *text, struct sl_pol_member *m)
{
	const char *at = strrchr(text, '@');
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);

	if (n == 0 || n >= SL_POL_NAME)
		return sl_json_fail(&d->at, "name_invalid", "a peer's name has 1 to %d characters",
				    SL_POL_NAME - 1);
	memcpy(m->peer, text, n);
	m->peer[n] = '\0';
	return at != NULL ? doc_iface_text(d, at + 1, m->place.iface) : 0;
}

/* --- sources ---------------------------------------------------------------------------------- */

static int
read_type(struct doc *d, json_t *v, void *out)
{
	static const char *const words[] = {"static", "idp", "dynamic"};
	unsigned at = 0;
	int rc = doc_word(d, v, words, SL_ARRAY_SIZE(words), &at);

	*(enum sl_pol_source *)out = (enum sl_pol_source)at;
	return rc;
}

/** The fields that a source may have are those of its type. */
static int
read_source(struct doc *d, json_t *v, void *out)
{
	const struct doc_field type = {"type", read_type, offsetof(struct sl_pol_member, source),
				       true};
	const struct doc_field detail = {.read = doc_read_text,
					 .offset = offsetof(struct sl_pol_member, detail)};
	struct doc_field fields[3] = {type, detail};
	struct sl_pol_member *m = out;
	json_t *t = json_is_object(v) ? json_object_get(v, "type") : NULL;
	size_t n = 2, was;
	int rc;

	if (t == NULL) /* tells which of both is wrong */
		return doc_object(d, v, fields, 1, m);
	was = sl_json_key(&d->at, "type");
	rc = read_type(d, t, &m->source);
	if (rc < 0)
		return rc;
	sl_json_up(&d->at, was);
	fields[1].name = "file";
	if (m->source == SL_SOURCE_DYNAMIC) {
		fields[1].name = "reason";
		fields[1].required = true;
	} else if (m->source == SL_SOURCE_IDP) {
		fields[1].name = "user";
		fields[1].required = true;
		fields[n++] = (struct doc_field){"provider", doc_read_name,
						 offsetof(struct sl_pol_member, provider), true};
	}
	return doc_object(d, v, fields, n, m);
}

/* --- members ---------------------------------------------------------------------------------- */

static int
read_prefix(struct doc *d, json_t *v, void *out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	return prefix_text(d, json_string_value(v), out);
}

static int
read_object(struct doc *d, json_t *v, struct sl_pol_member *m)
{
	const struct doc_field who[] = {
		{"prefix", read_prefix, 0, false},
		{"peer", doc_read_name, offsetof(struct sl_pol_member, peer), false},
		{"interface", doc_read_iface, offsetof(struct sl_pol_member, place.iface), false},
		{"expires", doc_read_time, offsetof(struct sl_pol_member, expires_ns), false},
		{"source", read_source, 0, false},
	};
	int rc = doc_object(d, v, who, SL_ARRAY_SIZE(who), m);
	bool prefix = json_object_get(v, "prefix") != NULL;

	if (rc < 0)
		return rc;
	if (prefix == (json_object_get(v, "peer") != NULL))
		return invalid(d, "a member is either a prefix or a peer");
	if (prefix && json_object_get(v, "interface") != NULL)
		return invalid(d, "a prefix names its interface behind an @");
	return 0;
}

int
doc_read_member(struct doc *d, json_t *v, void *out)
{
	const char *s;

	if (json_is_object(v))
		return read_object(d, v, out);
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string or an object", v);
	s = json_string_value(v);
	if (strncmp(s, PEER, strlen(PEER)) == 0)
		return peer_text(d, s + strlen(PEER), out);
	if (strchr("/@", s[strspn(s, ADDRESS)]) == NULL)
		return invalid(d, "this is neither a prefix nor a peer");
	return prefix_text(d, s, out);
}
