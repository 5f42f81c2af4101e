/* SPDX-License-Identifier: BSD-3-Clause */
#include "page.h"

#define LIMIT 100
#define SCAN 1024 /* objects that one page looks at: others wait meanwhile */

struct listing {
	struct sl_call *c;
	page_filter filter;
	page_show show;
	page_name names;
	unsigned next; /* of the names */
	json_t *items;
	size_t limit, scanned;
	char last[SL_OBJ_ID];
	bool more, failed;
};

json_t *
page_object(const char *id, uint64_t rev, const json_t *body)
{
	json_t *o = json_pack("{s:s, s:I}", "name", id, "rev", (json_int_t)rev);

	if (o != NULL && json_object_update_missing(o, (json_t *)body) == 0)
		return o;
	json_decref(o);
	return NULL;
}

int
page_one(struct sl_call *c, int status, enum sl_kind k, const char *id, const char *what,
	 page_show show, struct sl_error *e)
{
	json_t *body = NULL;
	int rc = sl_store_get(c->store, k, id, &c->etag, &body);

	if (rc != 0)
		return sl_call_not_found(what, id, e);
	rc = sl_call_answer(c, status,
			    show != NULL ? show(c, id, c->etag, body)
					 : page_object(id, c->etag, body),
			    e);
	json_decref(body);
	return rc;
}

/** @return whether more may follow on this page */
static bool
add(struct listing *l, const char *id, uint64_t rev, json_t *body)
{
	bool wanted = l->filter == NULL || l->filter(l->c, id, body);
	json_t *item;

	if ((wanted && json_array_size(l->items) == l->limit) || l->scanned++ == SCAN) {
		l->more = true;
	} else if (wanted) {
		item = l->show != NULL ? l->show(l->c, id, rev, body) : page_object(id, rev, body);
		l->failed |= json_array_append_new(l->items, item) != 0;
	}
	if (!l->more)
		strncpy(l->last, id, sizeof(l->last) - 1);
	return !l->more && !l->failed;
}

/** The names after the last row and before the row `id` (NULL: there is none), which is not one of
 * them. @return as add() */
static bool
add_names(struct listing *l, const char *id)
{
	const char *name;
	int order;

	while (!l->more && !l->failed && l->names != NULL && (name = l->names(l->next)) != NULL) {
		order = id != NULL ? strcmp(name, id) : -1;
		if (order > 0)
			break;
		l->next++;
		if (order < 0 && strcmp(name, l->last) > 0)
			add(l, name, 0, NULL);
	}
	return !l->more && !l->failed;
}

static bool
each(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	struct listing *l = ctx;
	json_t *body = json_loadb(text, len, 0, NULL);
	bool on;

	l->failed |= body == NULL;
	on = add_names(l, id) && add(l, id, rev, body);
	json_decref(body);
	return on;
}

static int
answer_page(struct listing *l, enum sl_kind k, struct sl_error *e)
{
	struct sl_call *c = l->c;
	const char *after = c->q[SL_Q_AFTER] != NULL ? c->q[SL_Q_AFTER] : "";
	json_t *o;
	int rc;

	l->items = json_array();
	l->limit = c->q[SL_Q_LIMIT] != NULL ? (size_t)c->q_int[SL_Q_LIMIT] : LIMIT;
	strncpy(l->last, after, sizeof(l->last) - 1);
	rc = sl_store_walk(c->store, k, after, each, l, e);
	if (rc == 0)
		add_names(l, NULL);
	if (rc == 0 && l->failed)
		rc = sl_fail(e, -EIO, "store_corrupt", "", "an object of the store is unreadable");
	if (rc != 0) {
		json_decref(l->items);
		return rc;
	}
	o = json_pack("{s:o}", "items", l->items);
	if (o != NULL && l->more)
		json_object_set_new(o, "next", json_string(l->last));
	return sl_call_answer(c, 200, o, e);
}

int
page_list(struct sl_call *c, enum sl_kind k, page_filter filter, page_show show, struct sl_error *e)
{
	struct listing l = {.c = c, .filter = filter, .show = show};

	return answer_page(&l, k, e);
}

int
page_list_names(struct sl_call *c, enum sl_kind k, page_name names, page_show show,
		struct sl_error *e)
{
	struct listing l = {.c = c, .names = names, .show = show};

	return answer_page(&l, k, e);
}
