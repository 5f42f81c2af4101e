/* SPDX-License-Identifier: BSD-3-Clause */
/* The state as a reader of the schema before sees it: objects without what it does not know, some
 * not at all, with a sum of their own. Data stores are sent the log as it is: its chain covers each
 * row, so no other form of it can be theirs. */
#include <stdlib.h>

#include "pub_int.h"

/** Canonical text and hash of a body that is sent in another form. */
static int
make(enum sl_kind k, const char *id, const json_t *body, struct pub_seen *out)
{
	out->made = sl_canon(body, &out->len);
	if (!out->made)
		return -ENOMEM;
	out->text = out->made;
	out->own = true;
	sl_object_hash(k, id, out->made, out->len, out->hash);
	return 0;
}

int
pub_see_body(const struct sl_publisher *p, enum sl_kind k, const char *id, const json_t *body,
	     struct pub_seen *out)
{
	json_t *older = NULL;
	int rc = 0;

	*out = (struct pub_seen){.there = true};
	if (!sl_kind_is_newer(k, p->conf.schemas.newest - 1))
		return 0;
	switch (sl_object_older(k, body, p->conf.schemas.newest - 1, &older)) {
	case SL_OLDER_SAME:
		break;
	case SL_OLDER_CHANGED:
		rc = make(k, id, older, out);
		break;
	case SL_OLDER_WITHHELD:
		out->there = false;
		break;
	case SL_OLDER_NO_MEMORY:
		rc = -ENOMEM;
		break;
	}
	json_decref(older);
	return rc;
}

int
pub_see_text(const struct sl_publisher *p, enum sl_kind k, const char *id, const char *text,
	     size_t len, struct pub_seen *out)
{
	json_t *body;
	int rc;

	*out = (struct pub_seen){.there = true};
	if (sl_kind_is_newer(k, p->conf.schemas.newest - 1)) {
		body = json_loadb(text, len, 0, NULL);
		rc = body ? pub_see_body(p, k, id, body, out) : -ENOMEM;
		json_decref(body);
		if (rc)
			return rc;
	}
	if (!out->own) {
		out->text = text;
		out->len = len;
	}
	return 0;
}

void
pub_seen_free(struct pub_seen *s)
{
	free(s->made);
	*s = (struct pub_seen){0};
}

enum pub_view
pub_view_of(const struct sl_publisher *p, const struct pub_ask *a)
{
	return !a->all && a->schema < p->conf.schemas.newest ? PUB_OLDER : PUB_STORED;
}
