/* SPDX-License-Identifier: BSD-3-Clause */
#include "leaving_mark.h"

#include <stdlib.h>

#include "leaving.h"
#include "sl_json.h"
#include "sl_log.h"

#define NAME "decommissions"
#define TEXT_MAX 4096 /* of a text in an object */

static int
no_memory(struct sl_error *e)
{
	return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for what leaves");
}

/** The marks of all others. New reference, NULL: no memory. */
static json_t *
others(const json_t *body, const char *gateway)
{
	json_t *list = json_array(), *row;
	size_t i;

	json_array_foreach (json_object_get(body, "value"), i, row) {
		if (strcmp(sl_json_text(row, "gateway"), gateway) != 0 &&
		    json_array_append(list, row) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

/** @param rows taken over, NULL: no memory */
static int
put(struct sl_store_txn *t, json_t *rows, struct sl_error *e)
{
	bool none = json_array_size(rows) == 0;
	json_t *body = rows != NULL ? json_pack("{s:o}", "value", rows) : NULL;
	int rc;

	if (body == NULL)
		rc = no_memory(e);
	else if (none)
		rc = sl_store_del(t, SL_KIND_SETTING, NAME, SL_REV_ANY, e);
	else
		rc = sl_store_put(t, SL_KIND_SETTING, NAME, SL_REV_ANY, body, e);
	json_decref(body);
	return rc == -ENOENT ? 0 : rc;
}

/** As it came. What is too long for that only has much white space: it goes without, and a promoted
 * one does not know the request by its Idempotency-Key. */
static json_t *
body_of(const struct sl_call *c)
{
	char *text;
	json_t *out;

	if (c->text_len <= TEXT_MAX)
		return json_stringn(c->text, c->text_len);
	text = json_dumps(c->body, JSON_COMPACT);
	out = json_string(text);
	free(text);
	return out;
}

int
leaving_mark(struct sl_call *c, struct sl_store_txn *t, uint64_t rev, struct sl_error *e)
{
	json_t *was = NULL, *rows, *row;
	int rc;

	(void)sl_store_txn_get(t, SL_KIND_SETTING, NAME, NULL, &was);
	rows = others(was, c->arg[0]);
	row = json_pack("{s:s, s:I, s:s, s:s, s:o, s:s*, s:s}", "gateway", c->arg[0], "rev",
			(json_int_t)rev, "request", c->id, "uri", c->uri, "body", body_of(c), "key",
			c->key, "actor", c->who.name);
	if (rows != NULL && json_array_append_new(rows, row) != 0) {
		json_decref(rows);
		rows = NULL;
	}
	rc = put(t, rows, e);
	json_decref(was);
	return rc;
}

int
leaving_unmark(struct sl_store_txn *t, const char *gateway, struct sl_error *e)
{
	json_t *was = NULL;
	int rc;

	if (sl_store_txn_get(t, SL_KIND_SETTING, NAME, NULL, &was) != 0)
		return 0;
	rc = put(t, others(was, gateway), e);
	json_decref(was);
	return rc;
}

/* --- of another data store -------------------------------------------------------------------- */

enum mark {
	MARK_OVER,    /* its record is not the one that was shut */
	MARK_NO_SUCH, /* it does not ask for that */
	MARK_GOES_ON, /* this data store works on it */
	MARK_ADOPT,   /* this data store knows nothing of it */
};

static bool
asks_for_it(const json_t *row)
{
	const char *arg[2];
	struct sl_target t;
	struct sl_error e;

	return sl_target_parse(sl_json_text(row, "uri"), &t, &e) == 0 &&
	       leaving_op(&t, sl_json_text(row, "gateway"), arg) != NULL;
}

static int
look_at(struct sl_store *s, const json_t *row, enum mark *out, struct sl_error *e)
{
	const char *gateway = sl_json_text(row, "gateway");
	uint64_t shut = (uint64_t)json_integer_value(json_object_get(row, "rev")), rev = 0;
	struct leaving l;
	int rc = sl_store_get(s, SL_KIND_GATEWAY, gateway, &rev, NULL);

	*out = MARK_OVER;
	if (rc != 0 && rc != -ENOENT)
		return sl_fail(e, rc, "store_io", "", "gateway \"%.63s\" cannot be read", gateway);
	if (!asks_for_it(row))
		*out = MARK_NO_SUCH;
	if (*out == MARK_NO_SUCH || rc == -ENOENT || rev != shut)
		return 0;
	rc = leaving_get(s, gateway, &l, e);
	json_decref(l.gone);
	if (rc == -ENOENT || (rc == 0 && l.rev != shut))
		*out = MARK_ADOPT;
	else if (rc == 0 && !l.done)
		*out = MARK_GOES_ON;
	return rc == -ENOENT ? 0 : rc;
}

static int
adopt(struct sl_store *s, const json_t *row, json_t *stale, struct sl_error *e)
{
	const char *gateway = sl_json_text(row, "gateway");
	enum mark is;
	int rc = look_at(s, row, &is, e);

	if (rc != 0 || is == MARK_GOES_ON)
		return rc;
	if (is == MARK_ADOPT) {
		sl_log(SL_LOG_NOTICE, "rest", "gateway %s was being taken out by %s", gateway,
		       sl_json_text(row, "actor"));
		return leaving_enter(s, row, e);
	}
	sl_log(SL_LOG_WARN, "rest", "that gateway %s was being taken out by %s is dropped: %s",
	       gateway, sl_json_text(row, "actor"),
	       is == MARK_OVER ? "it is gone, or was changed or made anew since"
			       : "the request is another one");
	return json_array_append_new(stale, json_string(gateway)) == 0 ? 0 : no_memory(e);
}

static int
unmark_all(struct sl_store *s, const json_t *gateways, struct sl_error *e)
{
	struct sl_store_txn *t = sl_store_begin(s, "rest", "decommissions that are none", e);
	int rc = t != NULL ? 0 : e->err;
	json_t *gateway;
	size_t i;

	json_array_foreach ((json_t *)(uintptr_t)gateways, i, gateway) {
		if (rc == 0)
			rc = leaving_unmark(t, json_string_value(gateway), e);
	}
	if (rc == 0)
		return sl_store_commit(t, NULL, e);
	sl_store_abort(t);
	return rc;
}

int
leaving_adopt(struct sl_store *s, struct sl_error *e)
{
	json_t *body = NULL, *stale = json_array(), *row;
	size_t i;
	int rc = sl_store_get(s, SL_KIND_SETTING, NAME, NULL, &body);

	if (rc != 0 && rc != -ENOENT)
		sl_fail(e, rc, "store_io", "", "setting %s cannot be read", NAME);
	json_array_foreach (json_object_get(body, "value"), i, row) {
		if (rc == 0)
			rc = adopt(s, row, stale, e);
	}
	if (rc == 0 && json_array_size(stale) > 0)
		rc = unmark_all(s, stale, e);
	json_decref(stale);
	json_decref(body);
	return rc == -ENOENT ? 0 : rc;
}
