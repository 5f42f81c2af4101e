/* SPDX-License-Identifier: BSD-3-Clause */
/* Parameters: from JSON to the structs of the schema. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_schema.h"
#include "sl_json.h"

#define PATH_MAX_LEN 160

struct sl_schema_arena {
	struct sl_schema_arena *next;
	uint64_t data[]; /* aligned for every item type */
};

struct decoder {
	const struct sl_rpc_caller *caller;
	struct sl_schema_arena **arena;
	struct sl_error *e;
};

static void *
arena_alloc(struct sl_schema_arena **arena, size_t n)
{
	struct sl_schema_arena *a = calloc(1, sizeof(*a) + n);

	if (!a)
		return NULL;
	a->next = *arena;
	*arena = a;
	return a->data;
}

void
sl_schema_free(struct sl_schema_arena *arena)
{
	while (arena) {
		struct sl_schema_arena *next = arena->next;

		free(arena);
		arena = next;
	}
}

static int
wrong_type(struct decoder *d, const char *path, const char *want, const json_t *v)
{
	return sl_fail(d->e, -EINVAL, "param_type", path, "%s must be %s, not %s",
		       path[0] ? path + 1 : "params", want, sl_json_type_text(v));
}

static int
decode_string(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
	      const char **out)
{
	size_t len;

	if (!json_is_string(v))
		return wrong_type(d, path, "a string", v);
	len = json_string_length(v);
	if (strlen(json_string_value(v)) != len)
		return sl_fail(d->e, -EINVAL, "param_range", path, "%s has a zero byte", path + 1);
	if ((int64_t)len < f->min || (int64_t)len > f->max)
		return sl_fail(d->e, -EINVAL, "param_range", path,
			       "%s has %zu characters, allowed are %lld to %lld", path + 1, len,
			       (long long)f->min, (long long)f->max);
	*out = json_string_value(v);
	return 0;
}

static int
decode_integer(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
	       int64_t *out)
{
	if (!json_is_integer(v))
		return wrong_type(d, path, "an integer", v);
	*out = json_integer_value(v);
	if (*out < f->min || *out > f->max)
		return sl_fail(d->e, -EINVAL, "param_range", path,
			       "%s is %lld, allowed are %lld to %lld", path + 1, (long long)*out,
			       (long long)f->min, (long long)f->max);
	return 0;
}

static int
decode_enum(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
	    int *out)
{
	char all[160] = "";
	size_t n = 0;

	if (!json_is_string(v))
		return wrong_type(d, path, "a string", v);
	for (int i = 0; f->values[i]; i++) {
		if (strcmp(f->values[i], json_string_value(v)) == 0) {
			*out = i;
			return 0;
		}
		if (n < sizeof(all))
			n += (size_t)snprintf(all + n, sizeof(all) - n, "%s\"%s\"", i ? ", " : "",
					      f->values[i]);
	}
	sl_fail(d->e, -EINVAL, "enum_invalid", path, "%s is \"%.40s\"", path + 1,
		json_string_value(v));
	sl_hint(d->e, "one of %s", all);
	return -EINVAL;
}

static int
hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c | 0x20) : NULL;

	return at && (c <= '9' || (c | 0x20) >= 'a') ? (int)(at - digits) : -1;
}

/** Exactly "aa:bb:cc:dd:ee:ff". */
static int
parse_mac(const char *s, uint8_t mac[6])
{
	if (strlen(s) != 17)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++) {
		int hi = hex_digit(s[3 * i]), lo = hex_digit(s[3 * i + 1]);

		if (hi < 0 || lo < 0 || (i < 5 && s[3 * i + 2] != ':'))
			return -EINVAL;
		mac[i] = (uint8_t)(hi << 4 | lo);
	}
	return 0;
}

/** The types that are a string of a certain form. */
static int
decode_text_form(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
		 void *out)
{
	const char *s, *what, *reason, *hint;
	int rc;

	if (!json_is_string(v))
		return wrong_type(d, path, "a string", v);
	s = json_string_value(v);
	switch (f->type) {
	case SL_T_KEY:
		rc = sl_key_from_base64(s, ((struct sl_pubkey *)out)->b);
		what = "a public key", reason = "key_invalid",
		hint = "44 characters of base64, as `wg pubkey` prints";
		break;
	case SL_T_IP:
		rc = sl_ip_parse(s, out);
		what = "an address", reason = "ip_invalid",
		hint = "IPv4 or IPv6, for example 10.20.0.1 or fd00::1";
		break;
	case SL_T_PREFIX:
		rc = sl_prefix_parse(s, out);
		what = "a prefix", reason = "prefix_invalid",
		hint = "for example 10.20.0.0/16 or fd00::/64";
		break;
	case SL_T_ENDPOINT:
		rc = s[0] ? sl_endpoint_parse(s, out) : 0;
		what = "an endpoint", reason = "endpoint_invalid",
		hint = "ADDRESS:PORT, for example 203.0.113.9:51820 or [2001:db8::1]:51820";
		break;
	default:
		rc = parse_mac(s, out);
		what = "a MAC address", reason = "mac_invalid", hint = "aa:bb:cc:dd:ee:ff";
		break;
	}
	if (rc == 0)
		return 0;
	/* a mistyped key may be a private one: its text is not repeated */
	if (f->type == SL_T_KEY)
		sl_fail(d->e, -EINVAL, reason, path, "%s is not %s", path + 1, what);
	else
		sl_fail(d->e, -EINVAL, reason, path, "%s: \"%.60s\" is not %s", path + 1, s, what);
	sl_hint(d->e, "%s", hint);
	return -EINVAL;
}

static int decode_object(struct decoder *d, const struct sl_schema_field *fields, unsigned n,
			 const char *path, json_t *v, uint8_t *base);

static int decode_value(struct decoder *d, const struct sl_schema_field *f, const char *path,
			json_t *v, void *out, uint8_t *base);

static int
decode_array(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
	     struct sl_schema_array *out)
{
	size_t n = json_array_size(v);
	char item_path[PATH_MAX_LEN + 16];
	int rc;

	if (!json_is_array(v))
		return wrong_type(d, path, "an array", v);
	if ((int64_t)n < f->min || (int64_t)n > f->max)
		return sl_fail(d->e, -EINVAL, "param_range", path,
			       "%s has %zu items, allowed are %lld to %lld", path + 1, n,
			       (long long)f->min, (long long)f->max);
	out->v = arena_alloc(d->arena, SL_MAX(n, (size_t)1) * f->size);
	if (!out->v)
		return sl_fail(d->e, -ENOMEM, "no_memory", path, "no memory");
	out->n = (unsigned)n;
	for (size_t i = 0; i < n; i++) {
		snprintf(item_path, sizeof(item_path), "%s/%zu", path, i);
		rc = decode_value(d, f->fields, item_path, json_array_get(v, i),
				  (uint8_t *)out->v + i * f->size, NULL);
		if (rc)
			return rc;
	}
	return 0;
}

/** @param base start of the parameter struct, for members of objects */
static int
decode_value(struct decoder *d, const struct sl_schema_field *f, const char *path, json_t *v,
	     void *out, uint8_t *base)
{
	switch (f->type) {
	case SL_T_STRING:
		return decode_string(d, f, path, v, out);
	case SL_T_INTEGER:
		return decode_integer(d, f, path, v, out);
	case SL_T_BOOLEAN:
		if (!json_is_boolean(v))
			return wrong_type(d, path, "true or false", v);
		*(bool *)out = json_is_true(v);
		return 0;
	case SL_T_ENUM:
		return decode_enum(d, f, path, v, out);
	case SL_T_ARRAY:
		return decode_array(d, f, path, v, out);
	case SL_T_OBJECT:
		return decode_object(d, f->fields, f->n_fields, path, v, base);
	case SL_T_JSON:
		*(json_t **)out = v;
		return 0;
	default:
		return decode_text_form(d, f, path, v, out);
	}
}

static const struct sl_schema_field *
find_field(const struct sl_schema_field *fields, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

static int
check_unknown(struct decoder *d, const struct sl_schema_field *fields, unsigned n, const char *path,
	      json_t *v)
{
	char all[180] = "", at[PATH_MAX_LEN];
	const char *key;
	json_t *item;
	size_t len = 0;

	json_object_foreach (v, key, item) {
		if (find_field(fields, n, key))
			continue;
		for (unsigned i = 0; i < n && len < sizeof(all); i++)
			len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", i ? ", " : "",
						fields[i].name);
		snprintf(at, sizeof(at), "%s", path);
		sl_json_down(at, sizeof(at), key);
		sl_fail(d->e, -EINVAL, "param_unknown", at, "unknown parameter \"%.40s\"", key);
		if (n)
			sl_hint(d->e, "known are: %s", all);
		return -EINVAL;
	}
	return 0;
}

static int
decode_object(struct decoder *d, const struct sl_schema_field *fields, unsigned n, const char *path,
	      json_t *v, uint8_t *base)
{
	char at[PATH_MAX_LEN];
	int rc;

	if (!json_is_object(v))
		return wrong_type(d, path, "an object", v);
	rc = check_unknown(d, fields, n, path, v);
	for (unsigned i = 0; rc == 0 && i < n; i++) {
		const struct sl_schema_field *f = &fields[i];
		json_t *item = json_object_get(v, f->name);

		snprintf(at, sizeof(at), "%s/%s", path, f->name);
		if (!item && f->required)
			return sl_fail(d->e, -EINVAL, "param_missing", at,
				       "parameter \"%s\" is missing", f->name);
		if (!item)
			continue;
		if (f->local_only && d->caller->via == SL_RPC_VIA_TCP)
			return sl_fail(d->e, -EPERM, "local_only_setting", at,
				       "%s is accepted on the unix socket only", f->name);
		*(bool *)(base + f->has_offset) = true;
		rc = decode_value(d, f, at, item, base + f->offset, base);
	}
	return rc;
}

int
sl_schema_decode(const struct sl_schema_method *m, json_t *params,
		 const struct sl_rpc_caller *caller, void *out, struct sl_schema_arena **arena,
		 struct sl_error *e)
{
	struct decoder d = {.caller = caller, .arena = arena, .e = e};
	json_t *empty = NULL;
	int rc;

	if (m->params_size)
		memset(out, 0, m->params_size);
	if (!params)
		params = empty = json_object();
	rc = decode_object(&d, m->params, m->n_params, "", params, out);
	json_decref(empty);
	return rc;
}

const struct sl_schema_method *
sl_schema_find(const struct sl_schema_method *m, unsigned n, const char *name)
{
	unsigned lo = 0, hi = n;

	while (lo < hi) {
		unsigned mid = (lo + hi) / 2;
		int c = strcmp(name, m[mid].name);

		if (c == 0)
			return &m[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
