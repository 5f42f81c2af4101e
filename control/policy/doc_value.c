/* SPDX-License-Identifier: BSD-3-Clause */
/* Places, shapes and values of a document, whatever they mean. */
#include <stdio.h>
#include <stdlib.h>

#include "doc_int.h"

int
doc_no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the policy");
}

/* --- shapes ------------------------------------------------------------------------------------
 */

static int
unknown_field(struct doc *d, const char *key, const struct doc_field *f, size_t n)
{
	size_t was = sl_json_key(&d->at, key), len = 0;
	char known[160] = "";

	sl_json_fail(&d->at, "field_unknown", "there is no field \"%.63s\" here", key);
	sl_json_up(&d->at, was);
	for (size_t i = 0; i < n; i++)
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "",
					f[i].name);
	sl_hint(d->at.e, "known are %s", known);
	return -EINVAL;
}

int
doc_object(struct doc *d, json_t *v, const struct doc_field *f, size_t n, void *out)
{
	const char *key;
	json_t *value;
	size_t i, was;
	int rc;

	if (!json_is_object(v))
		return sl_json_wrong_type(&d->at, "an object", v);
	json_object_foreach (v, key, value) {
		for (i = 0; i < n && strcmp(f[i].name, key) != 0; i++)
			;
		if (i == n)
			return unknown_field(d, key, f, n);
		was = sl_json_key(&d->at, key);
		rc = f[i].read(d, value, (char *)out + f[i].offset);
		if (rc < 0)
			return rc;
		sl_json_up(&d->at, was);
	}
	for (i = 0; i < n; i++) {
		if (f[i].required && json_object_get(v, f[i].name) == NULL)
			return sl_json_fail_at(&d->at, f[i].name, "field_missing",
					       "\"%s\" is missing", f[i].name);
	}
	return 0;
}

/** Room for what is listed, so that the model can be freed whatever happens. */
static int
room(struct doc *d, size_t count, size_t size, void *array, char **out)
{
	if (count == 0)
		return 0;
	*out = calloc(count, size);
	if (*out == NULL)
		return doc_no_memory(d->at.e);
	memcpy(array, out, sizeof(*out));
	return 0;
}

int
doc_list(struct doc *d, json_t *v, size_t size, doc_fn fn, void *array, unsigned *n)
{
	char *a = NULL;
	json_t *item;
	size_t i, was;
	int rc;

	if (!json_is_array(v))
		return sl_json_wrong_type(&d->at, "an array", v);
	rc = room(d, json_array_size(v), size, array, &a);
	if (rc < 0)
		return rc;
	json_array_foreach (v, i, item) {
		was = sl_json_index(&d->at, i);
		*n = (unsigned)i + 1;
		rc = fn(d, item, a + i * size);
		if (rc < 0)
			return rc;
		sl_json_up(&d->at, was);
	}
	return 0;
}

int
doc_map(struct doc *d, json_t *v, size_t size, doc_fn fn, void *array, unsigned *n)
{
	char *a = NULL;
	const char *key;
	json_t *item;
	size_t was;
	int rc;

	if (!json_is_object(v))
		return sl_json_wrong_type(&d->at, "an object", v);
	rc = room(d, json_object_size(v), size, array, &a);
	if (rc < 0)
		return rc;
	json_object_foreach (v, key, item) {
		was = sl_json_key(&d->at, key);
		d->name = key;
		rc = fn(d, item, a + (*n)++ * size);
		if (rc < 0)
			return rc;
		sl_json_up(&d->at, was);
	}
	return 0;
}

/* --- values ------------------------------------------------------------------------------------
 */

int
doc_int(struct doc *d, json_t *v, int64_t min, int64_t max, const char *reason, int64_t *out)
{
	if (!json_is_integer(v))
		return sl_json_wrong_type(&d->at, "an integer", v);
	*out = json_integer_value(v);
	if (*out >= min && *out <= max)
		return 0;
	return sl_json_fail(&d->at, reason, "%lld is not within %lld to %lld", (long long)*out,
			    (long long)min, (long long)max);
}

int
doc_string(struct doc *d, json_t *v, size_t max, const char **out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	*out = json_string_value(v);
	if (strlen(*out) <= max)
		return 0;
	return sl_json_fail(&d->at, "field_range", "the text is longer than %zu bytes", max);
}

int
doc_word(struct doc *d, json_t *v, const char *const words[], unsigned n, unsigned *out)
{
	size_t len = 0;
	char known[100] = "";
	const char *s;

	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	s = json_string_value(v);
	for (unsigned i = 0; i < n; i++) {
		*out = i;
		if (strcmp(s, words[i]) == 0)
			return 0;
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "",
					words[i]);
	}
	sl_json_fail(&d->at, "enum_invalid", "\"%.40s\" is none of the words for this", s);
	sl_hint(d->at.e, "known are %s", known);
	return -EINVAL;
}

int
doc_name_text(struct doc *d, const char *text, char out[SL_POL_NAME])
{
	size_t n = strlen(text);

	if (n == 0 || n >= SL_POL_NAME)
		return sl_json_fail(&d->at, "name_invalid", "a name has 1 to %d characters",
				    SL_POL_NAME - 1);
	memcpy(out, text, n + 1);
	return 0;
}

int
doc_iface_text(struct doc *d, const char *text, char out[SL_POL_IFACE])
{
	size_t n = strlen(text);

	if (n == 0 || n >= SL_POL_IFACE)
		return sl_json_fail(&d->at, "interface_invalid",
				    "an interface's name has 1 to %d characters", SL_POL_IFACE - 1);
	if (strcmp(text, "*") == 0)
		n = 0;
	memcpy(out, text, n);
	out[n] = '\0';
	return 0;
}

int
doc_place_text(struct doc *d, const char *text, struct sl_pol_place *out, bool *had_iface)
{
	const char *at = strrchr(text, '@');
	size_t n = at != NULL ? (size_t)(at - text) : strlen(text);
	char prefix[SL_PREFIX_STR];

	*had_iface = at != NULL;
	if (n < sizeof(prefix)) {
		memcpy(prefix, text, n);
		prefix[n] = '\0';
	}
	if (n >= sizeof(prefix) || sl_prefix_parse(prefix, &out->prefix) < 0) {
		sl_json_fail(&d->at, "prefix_invalid", "\"%.60s\" is no prefix", text);
		sl_hint(d->at.e,
			"write ADDRESS/LENGTH with length 0-32 (IPv4) or 0-128 (IPv6), and "
			"@INTERFACE behind it for one interface");
		return -EINVAL;
	}
	return at != NULL ? doc_iface_text(d, at + 1, out->iface) : 0;
}

int
doc_read_name(struct doc *d, json_t *v, void *out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	return doc_name_text(d, json_string_value(v), out);
}

int
doc_read_iface(struct doc *d, json_t *v, void *out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	return doc_iface_text(d, json_string_value(v), out);
}

int
doc_read_text(struct doc *d, json_t *v, void *out)
{
	const char *s = NULL;
	char *copy;
	int rc = doc_string(d, v, DOC_TEXT_MAX, &s);

	if (rc < 0)
		return rc;
	copy = strdup(s);
	if (copy == NULL)
		return doc_no_memory(d->at.e);
	memcpy(out, &copy, sizeof(copy));
	return 0;
}

int
doc_read_bool(struct doc *d, json_t *v, void *out)
{
	if (!json_is_boolean(v))
		return sl_json_wrong_type(&d->at, "true or false", v);
	*(bool *)out = json_is_true(v);
	return 0;
}

int
doc_read_time(struct doc *d, json_t *v, void *out)
{
	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	if (sl_time_parse(json_string_value(v), out) == 0)
		return 0;
	sl_json_fail(&d->at, "time_invalid", "\"%.40s\" is no time", json_string_value(v));
	sl_hint(d->at.e, "write a date (2027-01-31) or a time in UTC (2027-01-31T12:00:00Z)");
	return -EINVAL;
}

int
doc_read_action(struct doc *d, json_t *v, void *out)
{
	static const char *const words[] = {"deny", "allow"};
	unsigned at = 0;
	int rc = doc_word(d, v, words, SL_ARRAY_SIZE(words), &at);

	*(bool *)out = at == 1;
	return rc;
}

int
doc_read_prefix(struct doc *d, json_t *v, void *out)
{
	struct sl_pol_place place = {0};
	bool had_iface;
	int rc;

	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	rc = doc_place_text(d, json_string_value(v), &place, &had_iface);
	if (rc == 0 && had_iface) {
		sl_json_fail(&d->at, "prefix_invalid", "no interface can be named here");
		sl_hint(d->at.e,
			"leave away what follows the @: sources are of the role's members");
		return -EINVAL;
	}
	*(struct sl_prefix *)out = place.prefix;
	return rc;
}

int
doc_read_place(struct doc *d, json_t *v, void *out)
{
	bool had_iface;

	if (!json_is_string(v))
		return sl_json_wrong_type(&d->at, "a string", v);
	return doc_place_text(d, json_string_value(v), out, &had_iface);
}

int
doc_read_proto(struct doc *d, json_t *v, void *out)
{
	int64_t n = 0;
	int rc;

	if (json_is_integer(v)) {
		rc = doc_int(d, v, 0, 255, "field_range", &n);
	} else if (json_is_string(v)) {
		n = sl_proto_parse(json_string_value(v));
		rc = n >= 0 ? 0
			    : sl_json_fail(
				      &d->at, "enum_invalid",
				      "\"%.40s\" is none of tcp, udp, icmp, icmpv6, any, 0-255",
				      json_string_value(v));
	} else {
		rc = sl_json_wrong_type(&d->at, "a string or an integer", v);
	}
	*(uint16_t *)out = (uint16_t)n;
	return rc;
}
