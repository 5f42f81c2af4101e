/* SPDX-License-Identifier: BSD-3-Clause */
/* Fields that no object may have, at any depth: keys that only a node may know, and what a gateway
 * alone decides about itself. A control plane in wrong hands can then neither collect keys nor turn
 * enforcement or logging off. */
#include <ctype.h>

#include "model_int.h"

#define NAME_MAX_LEN 64

/** Lower case, without what people put between words. */
static void
plain(const char *name, char out[NAME_MAX_LEN])
{
	size_t n = 0;

	for (; *name != '\0' && n < NAME_MAX_LEN - 1; name++) {
		if (isalnum((unsigned char)*name))
			out[n++] = (char)tolower((unsigned char)*name);
	}
	out[n] = '\0';
}

static bool
is_secret(const char *p)
{
	static const char *const parts[] = {"privatekey", "privkey",  "presharedkey",
					    "secret",	  "password", "passphrase"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(parts); i++) {
		if (strstr(p, parts[i]) != NULL)
			return true;
	}
	return strcmp(p, "psk") == 0;
}

static bool
is_local(const char *p)
{
	static const char *const names[] = {"authzmode", "loggingenabled", "mode", "logenabled",
					    "logrequired"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(names); i++) {
		if (strcmp(p, names[i]) == 0)
			return true;
	}
	return false;
}

int
model_check_forbidden_name(struct model_check *c, const char *name)
{
	char p[NAME_MAX_LEN];

	plain(name, p);
	if (is_secret(p)) {
		sl_fail(c->at.e, -EPERM, "secret_field", c->at.path,
			"\"%.40s\": the control plane holds no private or preshared key", name);
		sl_hint(c->at.e,
			"keys stay where they were made; psk_ref names one that the gateway "
			"holds");
		return -EPERM;
	}
	if (is_local(p)) {
		sl_fail(c->at.e, -EPERM, "local_only_setting", c->at.path,
			"\"%.40s\" is set at the gateway itself, never from here", name);
		sl_hint(c->at.e, "run sluicectl at the gateway");
		return -EPERM;
	}
	return 0;
}

/** Names of gateways are keys too. */
static bool
keys_are_names(const struct model_field *fields, const char *key)
{
	const struct model_field *f = fields != NULL ? model_field(fields, key) : NULL;

	return f != NULL && f->type == MODEL_PREFIXES;
}

static int
walk(struct model_check *c, const struct model_field *fields, json_t *v)
{
	const char *key;
	json_t *x;
	size_t i, was;
	int rc;

	json_object_foreach (v, key, x) {
		was = sl_json_key(&c->at, key);
		rc = model_check_forbidden_name(c, key);
		if (rc == 0 && !keys_are_names(fields, key))
			rc = walk(c, NULL, x);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	json_array_foreach (v, i, x) {
		was = sl_json_index(&c->at, i);
		rc = walk(c, NULL, x);
		if (rc < 0)
			return rc;
		sl_json_up(&c->at, was);
	}
	return 0;
}

int
model_check_forbidden(struct model_check *c, const struct model_kind *k, json_t *body)
{
	return walk(c, k->fields, body);
}

/* --- taking them out -------------------------------------------------------------------------- */

static void
strip(struct model_check *c, const struct model_field *fields, json_t *v, json_t *paths)
{
	const char *key;
	json_t *x;
	void *next;
	size_t i, was;

	json_object_foreach_safe(v, next, key, x)
	{
		was = sl_json_key(&c->at, key);
		if (model_check_forbidden_name(c, key) < 0) {
			json_array_append_new(paths, json_string(c->at.path));
			json_object_del(v, key);
		} else if (!keys_are_names(fields, key)) {
			strip(c, NULL, x, paths);
		}
		sl_json_up(&c->at, was);
	}
	json_array_foreach (v, i, x) {
		was = sl_json_index(&c->at, i);
		strip(c, NULL, x, paths);
		sl_json_up(&c->at, was);
	}
}

void
sl_object_strip(enum sl_kind k, json_t *body, json_t *paths)
{
	const struct model_kind *kind = model_kind(k);
	struct sl_error e = {0};
	struct model_check c = {.at.e = &e};

	strip(&c, kind != NULL ? kind->fields : NULL, body, paths);
}
