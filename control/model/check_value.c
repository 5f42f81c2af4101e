/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of fields, by their type. */
#include <ctype.h>

#include "model_int.h"
#include "sl_secret.h"

#define FREE_DEPTH 8
#define FREE_VALUES 8192
#define FREE_TEXT 4096
#define WHOLE_MAX (INT64_C(1) << 53)
#define HOST_MAX 253

/* --- names ------------------------------------------------------------------------------------ */

static bool
all_of(const char *s, const char *more, bool upper)
{
	for (; *s != '\0'; s++) {
		if (!(*s >= '0' && *s <= '9') && !(*s >= 'a' && *s <= 'z') &&
		    !(upper && *s >= 'A' && *s <= 'Z') && strchr(more, *s) == NULL)
			return false;
	}
	return true;
}

bool
model_is_node(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 63 && s[0] != '-' && s[n - 1] != '-' && all_of(s, "-", false);
}

bool
model_is_name(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 63 && strchr("_.-", s[0]) == NULL && all_of(s, "_.-", true);
}

bool
model_is_interface(const char *s)
{
	size_t n = strlen(s);

	return n >= 1 && n <= 15 && strcmp(s, ".") != 0 && strcmp(s, "..") != 0 &&
	       all_of(s, "_.-", true);
}

static int
check_name(struct model_check *c, enum model_type t, const char *s)
{
	bool ok = t == MODEL_NODE	 ? model_is_node(s)
		  : t == MODEL_INTERFACE ? model_is_interface(s)
					 : model_is_name(s);

	if (ok)
		return 0;
	sl_json_fail(&c->at, t == MODEL_INTERFACE ? "interface_invalid" : "name_invalid",
		     "\"%.70s\" is no name for this", s);
	sl_hint(c->at.e,
		t == MODEL_NODE	       ? "use 1 to 63 characters of a-z 0-9 -, without - at an end"
		: t == MODEL_INTERFACE ? "use 1 to 15 characters of A-Z a-z 0-9 _ . -"
				       : "use 1 to 63 characters of A-Z a-z 0-9 _ . -, a letter or "
					 "digit first");
	return -EINVAL;
}

/* --- keys, times, addresses ------------------------------------------------------------------- */

static int
check_key(struct model_check *c, const char *s)
{
	uint8_t key[SL_KEY_LEN];
	bool ok = sl_key_from_base64(s, key) == 0 && !sl_ct_is_zero(key, sizeof(key));

	if (ok)
		return 0;
	sl_json_fail(&c->at, "key_invalid", "this is no public key");
	sl_hint(c->at.e, "44 characters of base64, as `wg pubkey` prints");
	return -EINVAL;
}

static int
check_hash(struct model_check *c, const char *s)
{
	if (strlen(s) == SL_KEY_HEX_LEN && strspn(s, "0123456789abcdef") == SL_KEY_HEX_LEN)
		return 0;
	return sl_json_fail(&c->at, "hash_invalid", "this is not 64 lower-case hex digits");
}

static int
check_time(struct model_check *c, const char *s)
{
	uint64_t ns;

	if (sl_time_parse(s, &ns) == 0)
		return 0;
	sl_json_fail(&c->at, "time_invalid", "\"%.40s\" is no time", s);
	sl_hint(c->at.e, "write a time in UTC: 2027-01-31T12:00:00Z");
	return -EINVAL;
}

static int
check_prefix(struct model_check *c, enum model_type t, const char *s)
{
	char text[SL_PREFIX_STR];
	struct sl_prefix p;

	if (sl_prefix_parse(s, &p) < 0) {
		sl_json_fail(&c->at, "prefix_invalid", "\"%.60s\" is no prefix", s);
		sl_hint(c->at.e, "write ADDRESS/LENGTH with length 0-32 (IPv4) or 0-128 (IPv6)");
		return -EINVAL;
	}
	if (t == MODEL_ADDRESS || !sl_prefix_mask(&p))
		return 0;
	sl_json_fail(&c->at, "prefix_host_bits", "\"%.60s\" has bits behind its length", s);
	sl_hint(c->at.e, "write %s", sl_prefix_str(&p, text));
	return -EINVAL;
}

static int
check_ip(struct model_check *c, const char *s)
{
	struct sl_ip ip;

	if (sl_ip_parse(s, &ip) == 0)
		return 0;
	return sl_json_fail(&c->at, "ip_invalid", "\"%.60s\" is no address", s);
}

/** NAME:PORT, NAME as in the DNS (RFC 1123). */
static bool
is_name_port(const char *s)
{
	const char *colon = strrchr(s, ':'), *label = s, *dot;
	char port[] = "127.0.0.1:12345", part[64];
	struct sl_endpoint e;
	size_t n = colon != NULL ? (size_t)(colon - s) : 0;

	if (n == 0 || n > HOST_MAX || strlen(colon) > 6 || strspn(s, "0123456789.") >= n)
		return false;
	memcpy(port + 9, colon, strlen(colon) + 1);
	if (sl_endpoint_parse(port, &e) < 0)
		return false;
	for (; label <= colon; label = dot + 1) {
		dot = memchr(label, '.', (size_t)(colon - label));
		dot = dot != NULL ? dot : colon;
		if (dot == label || (size_t)(dot - label) >= sizeof(part))
			return false;
		memcpy(part, label, (size_t)(dot - label));
		part[dot - label] = '\0';
		for (char *p = part; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		if (!model_is_node(part))
			return false;
	}
	return true;
}

static int
check_endpoint(struct model_check *c, enum model_type t, const char *s)
{
	struct sl_endpoint e;

	if (sl_endpoint_parse(s, &e) == 0 || (t == MODEL_HOST_PORT && is_name_port(s)))
		return 0;
	sl_json_fail(&c->at, "endpoint_invalid", "\"%.80s\" is no endpoint", s);
	sl_hint(c->at.e, t == MODEL_HOST_PORT ? "write ADDRESS:PORT, [ADDRESS6]:PORT or NAME:PORT"
					      : "write ADDRESS:PORT or [ADDRESS6]:PORT");
	return -EINVAL;
}

/* --- texts, numbers --------------------------------------------------------------------------- */

static int
check_text(struct model_check *c, const struct model_field *f, enum model_type t, const char *s,
	   size_t n)
{
	size_t max = f->type == t && f->max > 0 ? (size_t)f->max : 1024;

	if (n > max)
		return sl_json_fail(&c->at, "field_range", "the text is longer than %zu bytes",
				    max);
	if (f->type == t && n < (size_t)f->min)
		return sl_json_fail(&c->at, "field_range", "the text is empty");
	for (size_t i = 0; i < n; i++) {
		if (s[i] == '\0' || (t == MODEL_TEXT && iscntrl((unsigned char)s[i])))
			return sl_json_fail(&c->at, "text_invalid",
					    "control characters cannot stand in this text");
	}
	return 0;
}

static int
check_word(struct model_check *c, const char *const *words, const char *s)
{
	char known[140] = "";
	size_t len = 0;

	for (unsigned i = 0; words[i] != NULL; i++) {
		if (strcmp(words[i], s) == 0)
			return 0;
		len += (size_t)snprintf(known + len, sizeof(known) - len, "%s%s", i > 0 ? ", " : "",
					words[i]);
	}
	sl_json_fail(&c->at, "enum_invalid", "\"%.40s\" is none of the words for this", s);
	sl_hint(c->at.e, "known are %s", known);
	return -EINVAL;
}

static int
check_int(struct model_check *c, const struct model_field *f, const json_t *v)
{
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v))
		return model_wrong_type(c, "an integer", v);
	if (n >= f->min && n <= f->max)
		return 0;
	return sl_json_fail(&c->at, "field_range", "%lld is not within %lld to %lld", (long long)n,
			    (long long)f->min, (long long)f->max);
}

static int
check_string(struct model_check *c, const struct model_field *f, enum model_type t, const json_t *v)
{
	const char *s = json_string_value(v);

	if (!json_is_string(v))
		return model_wrong_type(c, "a string", v);
	if (t != MODEL_TEXT && t != MODEL_DOCUMENT && strlen(s) != json_string_length(v))
		return sl_json_fail(&c->at, "text_invalid", "a zero byte stands in this text");
	switch (t) {
	case MODEL_NODE:
	case MODEL_NAME:
	case MODEL_INTERFACE:
		return check_name(c, t, s);
	case MODEL_WORD:
		return check_word(c, f->words, s);
	case MODEL_KEY:
		return check_key(c, s);
	case MODEL_HASH:
		return check_hash(c, s);
	case MODEL_TIME:
		return check_time(c, s);
	case MODEL_IP:
		return check_ip(c, s);
	case MODEL_PREFIX:
	case MODEL_ADDRESS:
		return check_prefix(c, t, s);
	case MODEL_ENDPOINT:
	case MODEL_HOST_PORT:
		return check_endpoint(c, t, s);
	default:
		return check_text(c, f, t, s, json_string_length(v));
	}
}

/* --- lists, objects --------------------------------------------------------------------------- */

static bool
same(enum model_type t, const json_t *a, const json_t *b)
{
	struct sl_prefix x, y;

	if (t != MODEL_PREFIX && t != MODEL_ADDRESS)
		return json_equal(a, b) != 0;
	return sl_prefix_parse(json_string_value(a), &x) == 0 &&
	       sl_prefix_parse(json_string_value(b), &y) == 0 && sl_prefix_equal(&x, &y);
}

static int
check_list(struct model_check *c, const struct model_field *f, enum model_type item, json_t *v)
{
	size_t i, was;
	json_t *x;
	int rc;

	if (!json_is_array(v))
		return model_wrong_type(c, "an array", v);
	if (json_array_size(v) > (size_t)f->max || json_array_size(v) < (size_t)f->min)
		return sl_json_fail(&c->at, "field_range", "%zu values, %lld to %lld are possible",
				    json_array_size(v), (long long)f->min, (long long)f->max);
	json_array_foreach (v, i, x) {
		was = sl_json_index(&c->at, i);
		rc = model_check_value(c, f, item, x);
		for (size_t k = 0; rc == 0 && k < i; k++) {
			if (same(item, x, json_array_get(v, k)))
				rc = sl_json_fail(&c->at, "value_duplicate",
						  "this stands in the list already, at place %zu",
						  k);
		}
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	return 0;
}

/** {GATEWAY: [PREFIX]} */
static int
check_prefixes(struct model_check *c, const struct model_field *f, json_t *v)
{
	const char *key;
	json_t *list;
	size_t was;
	int rc;

	if (!json_is_object(v))
		return model_wrong_type(c, "an object", v);
	if (json_object_size(v) > (size_t)f->max)
		return sl_json_fail(&c->at, "field_range", "more than %lld gateways",
				    (long long)f->max);
	json_object_foreach (v, key, list) {
		was = sl_json_key(&c->at, key);
		rc = check_name(c, MODEL_NODE, key);
		if (rc == 0)
			rc = check_list(c, f, MODEL_PREFIX, list);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	return 0;
}

static int
check_free(struct model_check *c, json_t *v, unsigned depth, unsigned *n)
{
	const char *key;
	json_t *x;
	size_t i, was;
	int rc = 0;

	if (depth == 0 || ++*n > FREE_VALUES)
		return sl_json_fail(&c->at, "field_range", "deeper than %d, or more than %d values",
				    FREE_DEPTH, FREE_VALUES);
	if (json_is_real(v))
		return model_wrong_type(c, "a whole number", v);
	if (json_is_integer(v) &&
	    (json_integer_value(v) > WHOLE_MAX || json_integer_value(v) < -WHOLE_MAX))
		return sl_json_fail(&c->at, "field_range", "a number beyond 2^53");
	if (json_is_string(v) && json_string_length(v) > FREE_TEXT)
		return sl_json_fail(&c->at, "field_range", "the text is longer than %d bytes",
				    FREE_TEXT);
	json_object_foreach (v, key, x) {
		was = sl_json_key(&c->at, key);
		rc = check_free(c, x, depth - 1, n);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	json_array_foreach (v, i, x) {
		was = sl_json_index(&c->at, i);
		rc = check_free(c, x, depth - 1, n);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	return 0;
}

int
model_check_free(struct model_check *c, json_t *v)
{
	unsigned n = 0;

	return check_free(c, v, FREE_DEPTH, &n);
}

int
model_check_value(struct model_check *c, const struct model_field *f, enum model_type t, json_t *v)
{
	switch (t) {
	case MODEL_BOOL:
		return json_is_boolean(v) ? 0 : model_wrong_type(c, "true or false", v);
	case MODEL_INT:
		return check_int(c, f, v);
	case MODEL_LIST:
		return check_list(c, f, f->item, v);
	case MODEL_PREFIXES:
		return check_prefixes(c, f, v);
	case MODEL_OBJECT:
		return model_check_fields(c, f->fields, v);
	case MODEL_FREE_LIST:
		return json_is_array(v) ? model_check_free(c, v)
					: model_wrong_type(c, "an array", v);
	case MODEL_FREE_OBJECT:
		return json_is_object(v) ? model_check_free(c, v)
					 : model_wrong_type(c, "an object", v);
	case MODEL_FREE:
		return model_check_free(c, v);
	case MODEL_MEMBER: /* by the parser of documents */
		return json_is_string(v) ? 0 : model_wrong_type(c, "a string", v);
	default:
		return check_string(c, f, t, v);
	}
}
