/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: made (shown once), listed without their hashes, revoked. */
#include "change.h"
#include "page.h"
#include "sl_secret.h"
#include "sl_token.h"

#define DAYS_90_S (90ULL * 86400)

static json_t *
show(struct sl_call *c, const char *id, uint64_t rev, json_t *body)
{
	json_t *o = json_deep_copy(body);

	json_object_del(o, "hash");
	json_object_set_new(o, "id", json_string(id));
	json_object_set_new(o, "rev", json_integer((json_int_t)rev));
	return o;
}

int
sl_op_list_tokens(struct sl_call *c, struct sl_error *e)
{
	return page_list(c, SL_KIND_TOKEN, NULL, show, e);
}

int
sl_op_get_token(struct sl_call *c, struct sl_error *e)
{
	json_t *body = NULL;
	int rc = sl_store_get(c->store, SL_KIND_TOKEN, c->arg[0], &c->etag, &body);

	if (rc != 0)
		return sl_call_not_found("token", c->arg[0], e);
	rc = sl_call_answer(c, 200, show(c, c->arg[0], c->etag, body), e);
	json_decref(body);
	return rc;
}

static uint16_t
roles_of(const json_t *names)
{
	enum sl_service_role r;
	uint16_t roles = 0;
	json_t *v;
	size_t i;

	json_array_foreach ((json_t *)names, i, v) {
		if (sl_service_role_parse(json_string_value(v), &r) == 0)
			roles |= (uint16_t)SL_SR_BIT(r);
	}
	return roles;
}

/** A token may be made before those for whom it speaks; a name that was mistyped is not told by
 * anything else. @return list of sentences, NULL: none */
static json_t *
warnings(struct sl_call *c, const json_t *body)
{
	const char *bound = json_string_value(json_object_get(body, "bound"));
	uint16_t roles = roles_of(json_object_get(body, "roles"));
	const struct {
		uint16_t roles;
		enum sl_kind kind;
	} of[] = {{SL_SR_BIT(SL_SR_GATEWAY), SL_KIND_GATEWAY},
		  {SL_SR_BIT(SL_SR_PEER) | SL_SR_BIT(SL_SR_AGENT), SL_KIND_PEER}};
	json_t *list = NULL;

	for (unsigned i = 0; bound != NULL && i < SL_ARRAY_SIZE(of); i++) {
		if ((roles & of[i].roles) == 0 ||
		    sl_store_get(c->store, of[i].kind, bound, NULL, NULL) == 0)
			continue;
		if (list == NULL)
			list = json_array();
		json_array_append_new(list, json_sprintf("there is no %s \"%.63s\" yet: it is good "
							 "for nothing before",
							 sl_kind_name(of[i].kind), bound));
	}
	return list;
}

static int
answer_made(struct sl_call *c, const char *id, const char *text, const json_t *body,
	    struct sl_error *e)
{
	static const char *const copied[] = {"roles", "bound", "expires_at"};
	json_t *o = json_pack("{s:s, s:s, s:o*}", "id", id, "token", text, "warnings",
			      warnings(c, body));

	for (unsigned i = 0; i < SL_ARRAY_SIZE(copied); i++) {
		json_t *v = json_object_get(body, copied[i]);

		if (v != NULL)
			json_object_set(o, copied[i], v);
	}
	c->keep_secret = true;
	return sl_call_answer(c, 201, o, e);
}

static int
make(struct sl_call *c, char id[SL_TOKEN_ID], char text[SL_TOKEN_TEXT], json_t **body,
     struct sl_error *e)
{
	const json_t *ttl = json_object_get(c->body, "expires_in_s");
	uint64_t seconds = json_is_integer(ttl) ? (uint64_t)json_integer_value(ttl) : DAYS_90_S;

	return sl_token_make(c->rest->c.pepper, &c->who,
			     roles_of(json_object_get(c->body, "roles")),
			     json_string_value(json_object_get(c->body, "bound")),
			     sl_rest_wall_ns() + seconds * 1000000000,
			     json_string_value(json_object_get(c->body, "source")),
			     json_string_value(json_object_get(c->body, "description")), id, text,
			     body, e);
}

int
sl_op_create_token(struct sl_call *c, struct sl_error *e)
{
	char id[SL_TOKEN_ID], text[SL_TOKEN_TEXT];
	struct sl_store_txn *t = NULL;
	json_t *body = NULL;
	int rc = make(c, id, text, &body, e);

	if (rc == 0) {
		t = change_begin(c, e);
		rc = t != NULL ? sl_store_put(t, SL_KIND_TOKEN, id, SL_REV_NONE, body, e) : e->err;
	}
	if (t != NULL)
		rc = change_end(c, t, rc, e);
	if (rc == 0 && !c->done)
		rc = answer_made(c, id, text, body, e);
	sl_wipe(text, sizeof(text));
	json_decref(body);
	return rc;
}

int
sl_op_delete_token(struct sl_call *c, struct sl_error *e)
{
	struct sl_store_txn *t = change_begin(c, e);
	int rc;

	if (t == NULL)
		return e->err;
	rc = sl_store_del(t, SL_KIND_TOKEN, c->arg[0], sl_call_if_rev(c), e);
	rc = change_end(c, t, rc, e);
	if (rc == 0 && !c->done)
		c->status = 204;
	return rc;
}
