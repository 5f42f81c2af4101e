/* SPDX-License-Identifier: BSD-3-Clause */
/* Tokens: only the right secret, in time, from the right place, and not after it was revoked. */
#include <sodium.h>

#include "sl_token.h"
#include "store_test.h"

struct made {
	char id[SL_TOKEN_ID], text[SL_TOKEN_TEXT];
};

static const struct sl_pepper pepper = {{1, 2, 3}}, other = {{1, 2, 4}};

static int
make(struct fixture *f, uint16_t roles, const char *bound, uint64_t expires, const char *source,
     struct made *m)
{
	json_t *body = NULL;
	struct sl_store_txn *t;
	int rc;

	f->e = (struct sl_error){0};
	rc = sl_token_make(&pepper, NULL, roles, bound, expires, source, "test", m->id, m->text,
			   &body, &f->e);
	if (rc < 0)
		return rc;
	t = begin(f);
	if (sl_store_put(t, SL_KIND_TOKEN, m->id, SL_REV_NONE, body, &f->e) < 0)
		fail_msg("%s at %s: %s", f->e.reason, f->e.path, f->e.message);
	must_commit(f, t);
	json_decref(body);
	return 0;
}

static int
check(struct fixture *f, const char *text, const char *from, struct sl_principal *who)
{
	struct sl_ip ip = {0};

	if (from != NULL)
		assert_int_equal(sl_ip_parse(from, &ip), 0);
	return sl_token_check(f->s, &pepper, text, from != NULL ? &ip : NULL, f->now, who);
}

/** Would it be taken again as `who`? */
static bool
still(struct fixture *f, const struct sl_principal *who, const char *from)
{
	struct sl_ip ip = {0};

	if (from != NULL)
		assert_int_equal(sl_ip_parse(from, &ip), 0);
	return sl_token_still(f->s, who, from != NULL ? &ip : NULL, f->now);
}

static void
test_check(void **state)
{
	struct fixture f;
	struct sl_principal who;
	struct made m;
	char text[SL_TOKEN_TEXT + 1], want[32];

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(make(&f, SL_SR_BIT(SL_SR_GATEWAY), "gw1", 0, NULL, &m), 0);
	assert_int_equal(strlen(m.text), 4 + 10 + 1 + 43);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	snprintf(want, sizeof(want), "token:%s", m.id);
	assert_string_equal(who.name, want);
	assert_int_equal(who.roles, SL_SR_BIT(SL_SR_GATEWAY));
	assert_string_equal(who.bound, "gw1");
	/* one other letter anywhere */
	for (size_t i = 0; i < strlen(m.text); i++) {
		snprintf(text, sizeof(text), "%s", m.text);
		text[i] = text[i] == 'x' ? 'y' : 'x';
		assert_int_equal(check(&f, text, NULL, &who), -EACCES);
	}
	snprintf(text, sizeof(text), "%sx", m.text);
	assert_int_equal(check(&f, text, NULL, &who), -EACCES);
	snprintf(text, sizeof(text), "%.*s", (int)strlen(m.text) - 1, m.text);
	assert_int_equal(check(&f, text, NULL, &who), -EACCES);
	assert_int_equal(check(&f, "", NULL, &who), -EACCES);
	assert_int_equal(sl_token_check(f.s, &other, m.text, NULL, f.now, &who), -EACCES);
	fixture_end(&f);
}

static void
test_limits(void **state)
{
	struct fixture f;
	struct sl_principal who, more;
	struct made m;
	struct sl_store_txn *t;

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(make(&f, SL_SR_BIT(SL_SR_VIEWER), NULL, NOW + UINT64_C(3600000000000),
			      "10.1.0.0/16", &m),
			 0);
	assert_int_equal(check(&f, m.text, "10.1.2.3", &who), 0);
	assert_int_equal(check(&f, m.text, "10.2.2.3", &who), -EACCES);
	assert_int_equal(check(&f, m.text, "::ffff:10.1.2.3", &who), 0);
	assert_int_equal(check(&f, m.text, "::ffff:10.2.2.3", &who), -EACCES);
	assert_int_equal(check(&f, m.text, "fd00::1", &who), -EACCES);
	assert_int_equal(check(&f, m.text, NULL, &who), -EACCES);
	f.now = NOW + UINT64_C(3599000000000);
	assert_int_equal(check(&f, m.text, "10.1.2.3", &who), 0);
	assert_true(still(&f, &who, "10.1.2.3"));
	assert_false(still(&f, &who, "10.2.2.3"));
	more = who;
	more.roles |= SL_SR_BIT(SL_SR_ADMIN);
	assert_false(still(&f, &more, "10.1.2.3"));
	more = who;
	more.bound[0] = 'x';
	assert_false(still(&f, &more, "10.1.2.3"));
	f.now = NOW + UINT64_C(3600000000000);
	assert_int_equal(check(&f, m.text, "10.1.2.3", &who), -EACCES);
	assert_false(still(&f, &who, "10.1.2.3"));
	/* a revocation list ends it too, where the object is still there */
	assert_int_equal(make(&f, SL_SR_BIT(SL_SR_VIEWER), NULL, 0, NULL, &m), 0);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_true(still(&f, &who, NULL));
	{
		char crl[32];

		snprintf(crl, sizeof(crl), "token:%s", m.id);
		put_one(&f, SL_KIND_CRL, crl, "{'reason': 'lost'}");
		assert_int_equal(check(&f, m.text, NULL, &who), -EACCES);
		assert_false(still(&f, &who, NULL));
		/* for good: the entry may go, what it said stays */
		del_one(&f, SL_KIND_CRL, crl);
		assert_int_equal(check(&f, m.text, NULL, &who), -EACCES);
		assert_int_equal(make(&f, SL_SR_BIT(SL_SR_VIEWER), NULL, 0, NULL, &m), 0);
		assert_int_equal(check(&f, m.text, NULL, &who), 0);
		snprintf(crl, sizeof(crl), "token:%s", m.id);
		t = begin(&f);
		assert_int_equal(sl_token_revoke(t, m.id, &f.e), 0);
		must_commit(&f, t);
		assert_int_equal(check(&f, m.text, NULL, &who), -EACCES);
		assert_false(still(&f, &who, NULL));
		assert_int_equal(sl_store_get(f.s, SL_KIND_CRL, crl, NULL, NULL), 0);
	}
	fixture_end(&f);
}

static void
test_wishes(void **state)
{
	struct sl_principal operator= {.name = "token:x", .roles = SL_SR_BIT(SL_SR_OPERATOR)};
	struct fixture f;
	struct made m;
	json_t *body = NULL;

	fixture_begin(&f, SL_STORE_PRIMARY);
	expect_fail(&f, make(&f, 0, NULL, 0, NULL, &m), -EINVAL, "roles_missing");
	expect_fail(&f, make(&f, SL_SR_BIT(SL_SR_PEER), NULL, 0, NULL, &m), -EINVAL,
		    "bound_missing");
	expect_fail(&f, make(&f, SL_SR_BIT(SL_SR_ADMIN), NULL, 0, "10.1.2.3/16", &m), -EINVAL,
		    "source_invalid");
	assert_int_equal(sl_token_make(&pepper, &operator, SL_SR_BIT(SL_SR_ADMIN), NULL, 0, NULL,
				       NULL, m.id, m.text, &body, &f.e),
			 -EPERM);
	assert_string_equal(f.e.reason, "token_too_strong");
	fixture_end(&f);
}

/** The secret is not in the files; last use is, once a minute, and not in the log. */
static void
test_kept(void **state)
{
	struct fixture f;
	struct sl_principal who;
	struct made m;
	char cmd[200];
	json_t *uses;
	uint64_t head;

	fixture_begin(&f, SL_STORE_PRIMARY);
	assert_int_equal(make(&f, SL_SR_BIT(SL_SR_ADMIN), NULL, 0, NULL, &m), 0);
	snprintf(cmd, sizeof(cmd), "! grep -q -F '%s' %s/*", m.text + 15, f.dir);
	assert_int_equal(system(cmd), 0);
	snprintf(cmd, sizeof(cmd), "grep -q -F '%s' %s/*", m.id, f.dir);
	assert_int_equal(system(cmd), 0);
	head = sl_store_head(f.s);
	assert_int_equal(sl_token_last_used(f.s, m.id), 0);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_int_equal(sl_token_last_used(f.s, m.id), NOW / 1000000000);
	f.now = NOW + UINT64_C(59000000000);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_int_equal(sl_token_last_used(f.s, m.id), NOW / 1000000000);
	f.now = NOW + UINT64_C(60000000000);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_int_equal(sl_token_last_used(f.s, m.id), f.now / 1000000000);
	/* another handle knows it when it is written, and once is enough */
	uses = sl_token_uses(f.s);
	assert_int_equal(json_object_size(uses), 1);
	assert_null(sl_token_uses(f.s));
	assert_int_equal(sl_token_last_used(f.s, m.id), 0);
	assert_int_equal(sl_token_write_uses(f.s, uses, &f.e), 0);
	json_decref(uses);
	f.now += UINT64_C(59000000000);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_null(sl_token_uses(f.s));
	sl_store_close(f.s);
	fixture_open(&f);
	assert_int_equal(sl_token_last_used(f.s, m.id), (NOW + UINT64_C(60000000000)) / 1000000000);
	/* a use that is never written ends with its handle */
	f.now += UINT64_C(60000000000);
	assert_int_equal(check(&f, m.text, NULL, &who), 0);
	assert_int_equal(sl_store_head(f.s), head);
	fixture_end(&f);
}

static void
test_pepper(void **state)
{
	struct fixture f;
	struct sl_pepper a, b;
	char file[128];
	FILE *out;

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(file, sizeof(file), "%s/pepper", f.dir);
	expect_fail(&f, sl_pepper_load(file, false, &a, &f.e), -ENOENT, "file");
	assert_int_equal(sl_pepper_load(file, true, &a, &f.e), 0);
	assert_int_equal(sl_pepper_load(file, true, &b, &f.e), 0);
	assert_memory_equal(&a, &b, sizeof(a));
	assert_false(sl_ct_is_zero(&a, sizeof(a)));
	assert_int_equal(chmod(file, 0640), 0);
	expect_fail(&f, sl_pepper_load(file, true, &b, &f.e), -EPERM, "file_mode");
	assert_true(sl_ct_is_zero(&b, sizeof(b)));
	assert_int_equal(chmod(file, 0600), 0);
	out = fopen(file, "w");
	fputs("short\n", out);
	fclose(out);
	expect_fail(&f, sl_pepper_load(file, true, &b, &f.e), -EINVAL, "pepper_invalid");
	fixture_end(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),  cmocka_unit_test(test_limits),
		cmocka_unit_test(test_wishes), cmocka_unit_test(test_kept),
		cmocka_unit_test(test_pepper),
	};

	return sodium_init() < 0 ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
