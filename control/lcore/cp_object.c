/* SPDX-License-Identifier: BSD-3-Clause */
/* What counts of an object that was received: fields that no control plane may set are taken out
 * and told; what this version does not understand is an error where ignoring it could widen
 * access. */
#include <stdio.h>

#include "cp.h"
#include "sl_json.h"

bool
cp_manages(const struct sl_cp *cp, const char *iface)
{
	unsigned i;

	for (i = 0; i < cp->config->n_interfaces; i++)
		if (strcmp(cp->config->interfaces[i], iface) == 0)
			return true;
	return false;
}

bool
cp_object_there(struct sl_cp *cp, enum sl_kind k, const char *id)
{
	struct sl_replica_obj o;

	return sl_replica_get(cp->r, k, id, &o) && !cp_tomb_blocks(cp, &o);
}

/** Names are the sender's: no longer than an id, which may cut a letter. */
static json_t *
sent_name(const char *name)
{
	char text[SL_OBJ_ID * 2];

	snprintf(text, sizeof(text), "%.*s", SL_OBJ_ID - 1, name);
	return sl_json_clean(text);
}

/* A source that sends many must not drown the records of others, nor hold up the loop. */
void
cp_forbidden(struct sl_cp *cp, const char *kind, const char *id, const char *path)
{
	json_t *o;

	if (cp->n_forbidden++ >= CP_FORBIDDEN_MAX)
		return;
	o = json_pack("{s:s, s:o, s:s}", "reason", "local_only_setting", "kind", sent_name(kind),
		      "id", id);
	if (path != NULL)
		json_object_set_new(o, "path", json_string(path));
	cp_event(cp, "local-only-refused", "failure", o);
}

void
cp_forbidden_end(struct sl_cp *cp)
{
	if (cp->n_forbidden > CP_FORBIDDEN_MAX)
		cp_event(cp, "local-only-refused", "failure",
			 json_pack("{s:s, s:I}", "reason", "local_only_setting", "count",
				   (json_int_t)cp->n_forbidden - CP_FORBIDDEN_MAX));
	cp->n_forbidden = 0;
}

/* Whoever sends this must not have it: somebody tries to read keys or to open a gateway. */
static void
strip(struct sl_cp *cp, enum sl_kind k, const char *id, json_t *body)
{
	json_t *paths = json_array(), *path;
	size_t i;

	sl_object_strip(k, body, paths);
	if (!cp->telling)
		json_array_clear(paths);
	json_array_foreach (paths, i, path) {
		cp_ignore(cp, k, id, json_string_value(path));
		cp_forbidden(cp, sl_kind_name(k), id, json_string_value(path));
	}
	json_decref(paths);
}

static void
note_unknown(struct sl_cp *cp, enum sl_kind k, const char *id, const json_t *unknown)
{
	json_t *path;
	size_t i;

	if (!cp->telling)
		return;
	json_array_foreach (unknown, i, path)
		cp_ignore(cp, k, id, json_string_value(path));
}

json_t *
cp_object(struct sl_cp *cp, enum sl_kind k, const char *id, struct sl_error *e)
{
	bool strict = sl_kind_is_strict(k);
	struct sl_replica_obj o;
	json_t *body, *unknown;
	int rc;

	e->err = 0;
	if (!sl_replica_get(cp->r, k, id, &o) || cp_tomb_blocks(cp, &o))
		return NULL;
	body = json_loadb(o.text, o.len, 0, NULL);
	unknown = strict ? NULL : json_array();
	if (body == NULL || (!strict && unknown == NULL)) {
		json_decref(body);
		sl_fail(e, -ENOMEM, "no_memory", "", "out of memory");
		return NULL;
	}
	strip(cp, k, id, body);
	rc = sl_object_check(k, id, body, unknown, e);
	note_unknown(cp, k, id, unknown);
	json_decref(unknown);
	if (rc == 0)
		return body;
	json_decref(body);
	return NULL;
}
