/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: made, checked, ended. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_secret.h"
#include "sl_token.h"
#include "store_int.h"

#define PREFIX "slt_"
#define ID_LEN (SL_TOKEN_ID - 1)
#define SECRET_LEN 43 /* of 62 letters: 256 bits */
#define USED_EVERY_S 60

static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void
random_text(char *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		out[i] = letters[randombytes_uniform(sizeof(letters) - 1)];
}

/** Of what only its holder knows, and of the id beside it. */
static void
hash_of(const struct sl_pepper *p, const char *id, const char *secret, uint8_t out[32])
{
	crypto_generichash_state st;

	crypto_generichash_init(&st, p->key, sizeof(p->key), 32);
	crypto_generichash_update(&st, (const uint8_t *)id, ID_LEN);
	crypto_generichash_update(&st, (const uint8_t *)secret, SECRET_LEN);
	crypto_generichash_final(&st, out, 32);
	sl_wipe(&st, sizeof(st));
}

/* --- make ------------------------------------------------------------------------------------- */

static json_t *
role_names(uint16_t roles)
{
	json_t *list = json_array();

	for (unsigned r = 0; r < SL_SR_N; r++)
		if (roles & SL_SR_BIT(r))
			json_array_append_new(list, json_string(sl_service_role_name(
							    (enum sl_service_role)r)));
	return list;
}

static void
set_text(json_t *o, const char *name, const char *text)
{
	if (text != NULL && text[0] != '\0')
		json_object_set_new(o, name, json_string(text));
}

static int
check_wish(const struct sl_principal *creator, uint16_t roles, const char *bound,
	   const char *source, struct sl_error *e)
{
	const uint16_t speak_for = SL_SR_BIT(SL_SR_FOLLOWER) | SL_SR_BIT(SL_SR_GATEWAY) |
				   SL_SR_BIT(SL_SR_AGENT) | SL_SR_BIT(SL_SR_PEER);
	struct sl_prefix p;

	if (roles == 0 || (roles & ~SL_SR_ALL) != 0)
		return sl_fail(e, -EINVAL, "roles_missing", "/roles", "a token has a role");
	if (creator != NULL && !sl_service_may_grant(creator, roles)) {
		sl_fail(e, -EPERM, "token_too_strong", "/roles",
			"a token makes none that may more than itself");
		sl_hint(e, "ask an admin");
		return -EPERM;
	}
	if ((roles & speak_for) != 0 && (bound == NULL || bound[0] == '\0')) {
		sl_fail(e, -EINVAL, "bound_missing", "/bound",
			"a token of this role speaks for somebody");
		sl_hint(e, "name the gateway, follower, agent or peer");
		return -EINVAL;
	}
	if (source != NULL && source[0] != '\0' &&
	    (sl_prefix_parse(source, &p) < 0 || sl_prefix_mask(&p)))
		return sl_fail(e, -EINVAL, "source_invalid", "/source",
			       "\"%.60s\" is no prefix without bits behind its length", source);
	return 0;
}

int
sl_token_make(const struct sl_pepper *p, const struct sl_principal *creator, uint16_t roles,
	      const char *bound, uint64_t expires_wall_ns, const char *source_cidr,
	      const char *description, char id[SL_TOKEN_ID], char text[SL_TOKEN_TEXT],
	      json_t **body, struct sl_error *e)
{
	char secret[SECRET_LEN + 1] = "", hex[SL_KEY_HEX_LEN + 1], time[SL_TIME_STR];
	uint8_t hash[32];
	json_t *o;
	int rc = check_wish(creator, roles, bound, source_cidr, e);

	if (rc < 0)
		return rc;
	o = json_object();
	if (o == NULL)
		return store_no_memory(e);
	memset(id, 0, SL_TOKEN_ID);
	random_text(id, ID_LEN);
	random_text(secret, SECRET_LEN);
	hash_of(p, id, secret, hash);
	sl_key_to_hex(hash, hex);
	snprintf(text, SL_TOKEN_TEXT, PREFIX "%s_%s", id, secret);
	sl_wipe(secret, sizeof(secret));
	set_text(o, "hash", hex);
	json_object_set_new(o, "roles", role_names(roles));
	set_text(o, "bound", bound);
	if (expires_wall_ns != 0) /* whole seconds: it is read by people */
		set_text(o, "expires_at",
			 sl_time_str(expires_wall_ns - expires_wall_ns % 1000000000, time));
	set_text(o, "source", source_cidr);
	set_text(o, "description", description);
	set_text(o, "created_by", creator != NULL ? creator->name : "command line");
	*body = o;
	return 0;
}

/* --- check ------------------------------------------------------------------------------------ */

/** Split the text. @return false: no token has this form */
static bool
parse(const char *text, char id[SL_TOKEN_ID], char secret[SECRET_LEN + 1])
{
	const size_t at = strlen(PREFIX), len = at + ID_LEN + 1 + SECRET_LEN;

	memset(id, 0, SL_TOKEN_ID);
	memset(secret, 0, SECRET_LEN + 1);
	if (strnlen(text, len + 1) != len || strncmp(text, PREFIX, at) != 0 ||
	    text[at + ID_LEN] != '_')
		return false;
	memcpy(id, text + at, ID_LEN);
	memcpy(secret, text + at + ID_LEN + 1, SECRET_LEN);
	return strspn(id, letters) == ID_LEN && strspn(secret, letters) == SECRET_LEN;
}

static bool
in_time(const json_t *body, uint64_t now_wall_ns)
{
	const char *at = json_string_value(json_object_get(body, "expires_at"));
	uint64_t end;

	return at == NULL || (sl_time_parse(at, &end) == 0 && now_wall_ns < end);
}

/** 0: never */
static int64_t
until_s(const json_t *body)
{
	const char *at = json_string_value(json_object_get(body, "expires_at"));
	uint64_t end;

	return at != NULL && sl_time_parse(at, &end) == 0 ? (int64_t)(end / 1000000000) : 0;
}

int64_t
sl_token_until(struct sl_store *s, const char *id)
{
	json_t *body = NULL;
	int64_t end = 0;

	if (sl_store_get(s, SL_KIND_TOKEN, id, NULL, &body) == 0)
		end = until_s(body);
	json_decref(body);
	return end;
}

struct endings {
	int64_t now_s, soon_s;
	struct sl_token_endings *out;
};

static bool
note_end(void *ctx, enum sl_kind k, const char *id, uint64_t rev, const char *text, size_t len)
{
	json_t *body = json_loadb(text, len, 0, NULL), *v;
	struct endings *x = ctx;
	int64_t end = until_s(body);
	enum sl_service_role r;
	size_t i;

	if (end > x->now_s) {
		x->out->soon += end < x->soon_s;
		json_array_foreach (json_object_get(body, "roles"), i, v) {
			if (sl_service_role_parse(json_string_value(v), &r) == 0 &&
			    (x->out->next_s[r] == 0 || end < x->out->next_s[r]))
				x->out->next_s[r] = end;
		}
	}
	json_decref(body);
	return true;
}

void
sl_token_endings(struct sl_store *s, int64_t now_s, int64_t soon_s, struct sl_token_endings *out)
{
	struct endings x = {.now_s = now_s, .soon_s = soon_s, .out = out};

	memset(out, 0, sizeof(*out));
	sl_store_walk(s, SL_KIND_TOKEN, "", note_end, &x, NULL);
}

/** A socket for both families tells an IPv4 address as ::ffff:192.0.2.1. */
static struct sl_ip
unmapped(const struct sl_ip *ip)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	return ip->family == 6 && memcmp(ip->b, mapped, sizeof(mapped)) == 0 ? sl_ip_v4(ip->b + 12)
									     : *ip;
}

static bool
from_there(const json_t *body, const struct sl_ip *from)
{
	const char *text = json_string_value(json_object_get(body, "source"));
	struct sl_prefix p;
	struct sl_ip ip;

	if (text == NULL)
		return true;
	if (from == NULL || sl_prefix_parse(text, &p) < 0)
		return false;
	ip = unmapped(from);
	return sl_prefix_contains(&p, &ip);
}

static bool
revoked(struct sl_store *s, const char *id)
{
	char crl[SL_OBJ_ID];

	snprintf(crl, sizeof(crl), "token:%s", id);
	return sl_store_revoked(s, crl);
}

uint64_t
sl_token_last_used(struct sl_store *s, const char *id)
{
	const json_t *noted = json_object_get(s->uses, id);
	sqlite3_stmt *st;
	uint64_t at = 0;

	if (noted != NULL)
		return (uint64_t)json_integer_value(noted);
	st = store_stmt(s, ST_TOKEN_LAST);
	if (st == NULL)
		return 0;
	store_bind_text(st, 1, id);
	if (sqlite3_step(st) == SQLITE_ROW)
		at = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return at;
}

/** At most once a minute. To write it is another thread's. */
static void
note_use(struct sl_store *s, const char *id, uint64_t now_s)
{
	uint64_t last = sl_token_last_used(s, id);

	if (s->mode != SL_STORE_WRITE || (now_s >= last && now_s - last < USED_EVERY_S))
		return;
	if (s->uses == NULL)
		s->uses = json_object();
	json_object_set_new(s->uses, id, json_integer((json_int_t)now_s));
}

json_t *
sl_token_uses(struct sl_store *s)
{
	json_t *uses = s->uses;

	s->uses = NULL;
	return uses;
}

static int
write_use(struct sl_store *s, const char *id, json_int_t wall_s, struct sl_error *e)
{
	sqlite3_stmt *st = store_stmt(s, ST_TOKEN_USED);

	if (st != NULL) {
		store_bind_text(st, 1, id);
		sqlite3_bind_int64(st, 2, wall_s);
	}
	return store_run(s, st, e);
}

int
sl_token_write_uses(struct sl_store *s, json_t *uses, struct sl_error *e)
{
	const char *id;
	json_t *v;
	int rc;

	if (json_object_size(uses) == 0)
		return 0;
	if (s->txn != NULL || s->load != NULL)
		return sl_fail(e, -EBUSY, "store_busy", "", "a transaction of this handle is open");
	rc = store_do(s, ST_BEGIN, e);
	if (rc < 0)
		return rc;
	json_object_foreach (uses, id, v)
		rc = rc == 0 ? write_use(s, id, json_integer_value(v), e) : rc;
	if (rc == 0)
		rc = store_do(s, ST_COMMIT, e);
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	return rc;
}

static void
fill(const char *id, const json_t *body, struct sl_principal *out)
{
	const char *bound = json_string_value(json_object_get(body, "bound"));
	enum sl_service_role r;
	json_t *v;
	size_t i;

	*out = (struct sl_principal){0};
	snprintf(out->name, sizeof(out->name), "token:%s", id);
	snprintf(out->bound, sizeof(out->bound), "%s", bound != NULL ? bound : "");
	json_array_foreach (json_object_get(body, "roles"), i, v) {
		if (json_is_string(v) && sl_service_role_parse(json_string_value(v), &r) == 0)
			out->roles |= SL_SR_BIT(r);
	}
}

/** Is it the text of a token that is there? Time does not depend on the secret. */
static bool
known(struct sl_store *s, const struct sl_pepper *p, const char *text, char id[SL_TOKEN_ID],
      json_t **body)
{
	char secret[SECRET_LEN + 1];
	uint8_t is[32], kept[32] = {0};
	bool ok = parse(text, id, secret);
	const char *hex;

	hash_of(p, id, secret, is);
	sl_wipe(secret, sizeof(secret));
	if (ok)
		ok = sl_store_get(s, SL_KIND_TOKEN, id, NULL, body) == 0;
	hex = json_string_value(json_object_get(*body, "hash"));
	ok &= hex != NULL && sl_key_from_hex(hex, kept) == 0;
	ok &= sl_ct_equal(is, kept, sizeof(is));
	sl_wipe(is, sizeof(is));
	return ok;
}

int
sl_token_check(struct sl_store *s, const struct sl_pepper *p, const char *text,
	       const struct sl_ip *from, uint64_t now_wall_ns, struct sl_principal *out)
{
	char id[SL_TOKEN_ID];
	json_t *body = NULL;
	bool ok = known(s, p, text, id, &body) && in_time(body, now_wall_ns) &&
		  from_there(body, from) && !revoked(s, id);

	if (ok) {
		fill(id, body, out);
		note_use(s, id, now_wall_ns / 1000000000);
	}
	json_decref(body);
	return ok ? 0 : -EACCES;
}

bool
sl_token_of_peer(struct sl_store *s, const struct sl_pepper *p, const char *text)
{
	struct sl_principal who = {0};
	char id[SL_TOKEN_ID];
	json_t *body = NULL;

	if (known(s, p, text, id, &body))
		fill(id, body, &who);
	json_decref(body);
	return sl_service_peers_alone(who.roles);
}

int
sl_token_revoke(struct sl_store_txn *t, const char *id, struct sl_error *e)
{
	return sl_store_del(t, SL_KIND_TOKEN, id, SL_REV_ANY, e);
}

bool
sl_token_still(struct sl_store *s, const struct sl_principal *who, const struct sl_ip *from,
	       uint64_t now_wall_ns)
{
	const char *id = who->name + strlen("token:");
	struct sl_principal now;
	json_t *body = NULL;
	bool ok;

	if (strncmp(who->name, "token:", strlen("token:")) != 0 ||
	    sl_store_get(s, SL_KIND_TOKEN, id, NULL, &body) != 0)
		return false;
	fill(id, body, &now);
	ok = now.roles == who->roles && strcmp(now.bound, who->bound) == 0 &&
	     in_time(body, now_wall_ns) && from_there(body, from) && !revoked(s, id);
	json_decref(body);
	return ok;
}
