/* SPDX-License-Identifier: BSD-3-Clause */
/* Which ids roles have and had. Flows, evidence and records hold an id: a name that comes back gets
 * its own again, and a new one none that went lately. Those that went are the setting
 * `former_roles`, the last one at its end, so that followers and backups have them. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "store_int.h"

#define NAME "former_roles"
#define FORMER_MAX (SL_POL_ROLES * SL_POL_GROW_MAX) /* as many as there may be in force */

static uint32_t
id_of(const json_t *body)
{
	json_int_t id = json_integer_value(json_object_get(body, "id"));

	return id >= 1 && id <= SL_POL_ID_MAX ? (uint32_t)id : 0;
}

/** Array of {name, id}, a copy. */
static int
former(struct sl_store *s, json_t **out, struct sl_error *e)
{
	json_t *body = NULL, *list;
	int rc = sl_store_get(s, SL_KIND_SETTING, NAME, NULL, &body);

	*out = NULL;
	if (rc != 0 && rc != -ENOENT)
		return sl_fail(e, rc, "store_io", "", "setting %s cannot be read", NAME);
	list = json_object_get(body, "value");
	*out = json_is_array(list) ? json_copy(list) : json_array();
	json_decref(body);
	return *out != NULL ? 0 : store_no_memory(e);
}

/* --- for a document --------------------------------------------------------------------------- */

struct known {
	struct sl_pol_role_id *v;
	size_t n, room;
	json_t *names;
};

/** A name stands for the role that is there, else for the one that went last; its other ids are
 * given to nobody. */
static bool
add_known(struct known *k, const char *name, uint32_t id)
{
	bool first = json_object_get(k->names, name) == NULL;

	if (id == 0)
		return true;
	/* a role that came since they were counted: the document is split anew then */
	if (k->n == k->room || json_object_set_new(k->names, name, json_true()) != 0)
		return false;
	snprintf(k->v[k->n].name, sizeof(k->v->name), "%s", first ? name : "");
	k->v[k->n++].id = id;
	return true;
}

static bool
known_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL);
	bool more = add_known(ctx, id, id_of(body));

	json_decref(body);
	return more;
}

int
store_keep_role_ids(struct sl_store *s, struct sl_policy *p, struct sl_error *e)
{
	struct known k = {.names = json_object()};
	json_t *gone, *row;
	int rc = former(s, &gone, e);

	if (rc != 0) {
		json_decref(k.names);
		return rc;
	}
	k.room = sl_store_count(s, SL_KIND_ROLE) + json_array_size(gone);
	k.v = calloc(k.room + 1, sizeof(*k.v));
	rc = k.v != NULL && k.names != NULL ? sl_store_walk(s, SL_KIND_ROLE, "", known_row, &k, e)
					    : store_no_memory(e);
	for (size_t i = json_array_size(gone); rc == 0 && i-- > 0;) {
		row = json_array_get(gone, i);
		add_known(&k, sl_json_text(row, "name"), id_of(row));
	}
	if (rc == 0)
		rc = sl_policy_keep_role_ids(p, k.v, (unsigned)k.n, e);
	json_decref(k.names);
	json_decref(gone);
	free(k.v);
	return rc;
}

/* --- what goes -------------------------------------------------------------------------------- */

/** Is the id new to the set? Then it is in it. */
static bool
enter(json_t *ids, uint32_t id)
{
	char key[16];

	snprintf(key, sizeof(key), "%u", id);
	return json_object_get(ids, key) == NULL && json_object_set_new(ids, key, json_true()) == 0;
}

/** Each id once, of the first that has it; none that is used. */
static void
append_unused(json_t *list, const json_t *rows, json_t *used)
{
	json_t *row;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)rows, i, row) {
		uint32_t id = id_of(row);

		if (id != 0 && enter(used, id))
			json_array_append(list, row);
	}
}

/** Put what went, as far as it is another list than before.
 * @param gone array of {name, id}; @param used set of ids that roles have now */
static int
put_former(struct sl_store_txn *t, const json_t *gone, json_t *used, struct sl_error *e)
{
	json_t *was, *list = json_array(), *body;
	int rc = former(t->s, &was, e);

	if (rc == 0) {
		append_unused(list, was, used);
		append_unused(list, gone, used);
	}
	while (json_array_size(list) > FORMER_MAX)
		json_array_remove(list, 0);
	if (rc != 0 || json_equal(was, list)) {
		json_decref(list);
		json_decref(was);
		return rc;
	}
	body = json_pack("{s:o}", "value", list);
	rc = body != NULL ? sl_store_put(t, SL_KIND_SETTING, NAME, SL_REV_ANY, body, e)
			  : store_no_memory(e);
	json_decref(body);
	json_decref(was);
	return rc;
}

int
store_note_role_ids(struct sl_store_txn *t, struct sl_error *e)
{
	json_t *used = json_object(), *gone = json_array();
	int rc = used != NULL && gone != NULL ? 0 : store_no_memory(e);

	for (size_t i = 0; i < t->n_ops; i++) {
		const struct store_op *op = &t->ops[i];
		json_t *was;

		if (op->kind != SL_KIND_ROLE)
			continue;
		was = op->was != NULL ? json_loads(op->was, 0, NULL) : NULL;
		if (id_of(op->body) != 0)
			enter(used, id_of(op->body));
		if (id_of(was) != id_of(op->body))
			json_array_append_new(gone, json_pack("{s:s, s:I}", "name", op->id, "id",
							      (json_int_t)id_of(was)));
		json_decref(was);
	}
	if (rc == 0)
		rc = put_former(t, gone, used, e);
	json_decref(gone);
	json_decref(used);
	return rc;
}

/* --- over a restore --------------------------------------------------------------------------- */

json_t *
store_role_ids_of(struct sl_store *s, const char *schema)
{
	static const char form[] =
		"SELECT json_extract(j.value, '$.name'), json_extract(j.value, '$.id') FROM "
		"%s.object o, json_each(o.body, '$.value') j WHERE o.kind = 'setting' AND o.id = "
		"'" NAME "' UNION ALL SELECT id, json_extract(body, '$.id') FROM %s.object WHERE "
		"kind = 'role'";
	json_t *list = json_array();
	sqlite3_stmt *q = NULL;
	char sql[512];

	snprintf(sql, sizeof(sql), form, schema, schema);
	if (sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) != SQLITE_OK)
		return list;
	while (sqlite3_step(q) == SQLITE_ROW)
		json_array_append_new(list, json_pack("{s:s*, s:I}", "name",
						      (const char *)sqlite3_column_text(q, 0), "id",
						      (json_int_t)sqlite3_column_int64(q, 1)));
	sqlite3_finalize(q);
	return list;
}

static bool
use_row(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL);

	enter(ctx, id_of(body));
	json_decref(body);
	return true;
}

int
store_inherit_role_ids(struct sl_store *s, const json_t *rows, struct sl_error *e)
{
	struct sl_store_txn *t = sl_store_begin(s, "restore", "ids of roles since the backup", e);
	json_t *used = json_object();
	int rc = t == NULL	? e->err
		 : used != NULL ? sl_store_walk(s, SL_KIND_ROLE, "", use_row, used, e)
				: store_no_memory(e);

	if (rc == 0)
		rc = put_former(t, rows, used, e);
	json_decref(used);
	if (rc == 0)
		return sl_store_commit(t, NULL, e);
	sl_store_abort(t);
	return rc;
}
