/* SPDX-License-Identifier: BSD-3-Clause */
/* A target's mark `withdrawn` is the ledger's word: it follows the target's entry in the same
 * transaction, whoever puts which of them. Gateways are sent targets, and never the ledger. */
#include <stdio.h>
#include <stdlib.h>

#include "sl_json.h"
#include "store_int.h"

#define ENTRY "target:"

/** A target that never went through tunnels has no entry, or one (who is to get it) without a step:
 * it was not withdrawn. */
static bool
is_withdrawn(const json_t *entry)
{
	return strcmp(sl_json_text(entry, "state"), "vpn") == 0 &&
	       json_object_get(entry, "since") != NULL;
}

static int
says(struct sl_store *s, const char *target, bool *withdrawn, struct sl_error *e)
{
	char id[SL_OBJ_ID];
	json_t *entry = NULL;
	int rc;

	snprintf(id, sizeof(id), ENTRY "%.100s", target);
	rc = sl_store_get(s, SL_KIND_MIGRATION, id, NULL, &entry);
	*withdrawn = is_withdrawn(entry);
	json_decref(entry);
	if (rc == 0 || rc == -ENOENT)
		return 0;
	return sl_fail(e, rc, "store_io", "", "the ledger cannot be read");
}

int
store_withdrawn_mark(struct sl_store *s, const char *target, const json_t *body, json_t **out,
		     struct sl_error *e)
{
	bool withdrawn;
	int rc = says(s, target, &withdrawn, e);

	*out = NULL;
	if (rc < 0)
		return rc;
	*out = json_copy((json_t *)(uintptr_t)body);
	if (withdrawn)
		rc = json_object_set_new(*out, "withdrawn", json_true());
	else
		json_object_del(*out, "withdrawn");
	if (*out != NULL && rc == 0)
		return 0;
	json_decref(*out);
	return store_no_memory(e);
}

/** Put a target as it is: the put looks at the ledger. */
static int
put_again(struct sl_store_txn *t, const char *target, struct sl_error *e)
{
	json_t *body = NULL;
	int rc = sl_store_get(t->s, SL_KIND_TARGET, target, NULL, &body);

	if (rc == -ENOENT)
		return 0;
	if (rc < 0)
		return sl_fail(e, rc, "store_io", "", "target \"%.100s\" cannot be read", target);
	rc = sl_store_put(t, SL_KIND_TARGET, target, SL_REV_ANY, body, e);
	json_decref(body);
	return rc;
}

int
store_withdrawn_follow(struct sl_store_txn *t, const char *entry, struct sl_error *e)
{
	if (strncmp(entry, ENTRY, strlen(ENTRY)) != 0)
		return 0;
	return put_again(t, entry + strlen(ENTRY), e);
}

/* --- stores from before ----------------------------------------------------------------------- */

static bool
each_target(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	return json_array_append_new(ctx, json_string(id)) == 0;
}

int
sl_store_mark_withdrawn(struct sl_store *s, struct sl_error *e)
{
	struct sl_store_txn *t = sl_store_begin(s, "ledger", "withdrawn", e);
	json_t *names = json_array(), *name;
	size_t i;
	int rc = t != NULL ? 0 : e->err;

	if (rc == 0)
		rc = sl_store_txn_walk(t, SL_KIND_TARGET, "", each_target, names, e);
	json_array_foreach (names, i, name) {
		if (rc == 0)
			rc = put_again(t, json_string_value(name), e);
	}
	json_decref(names);
	if (rc == 0)
		return sl_store_commit(t, NULL, e);
	sl_store_abort(t);
	return rc;
}
