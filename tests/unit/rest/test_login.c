/* SPDX-License-Identifier: BSD-3-Clause */
/* A login of before, asked for again after a wait: whatever would refuse it now ends it. The
 * certificate of a connection is the test's own. */
#include "store_test.h"

#include "sl_rest_int.h"

static struct sl_rest rest;
static struct fixture f;
static struct sl_pepper pepper;
static struct sl_ip here, there;

int __wrap_sl_tls_peer(struct bufferevent *bev, struct sl_tls_id *out);

int
__wrap_sl_tls_peer(struct bufferevent *bev, struct sl_tls_id *out)
{
	*out = (struct sl_tls_id){.cn = "alice", .serial = "0a1b"};
	return 0;
}

static int
set_up(void **state)
{
	struct sl_error e;
	char path[120];

	fixture_begin(&f, SL_STORE_PRIMARY);
	snprintf(path, sizeof(path), "%s/pepper", f.dir);
	assert_int_equal(sl_pepper_load(path, true, &pepper, &e), 0);
	assert_int_equal(sl_ip_parse("192.0.2.1", &here), 0);
	assert_int_equal(sl_ip_parse("198.51.100.1", &there), 0);
	rest = (struct sl_rest){.c = {.store = f.s, .pepper = &pepper}};
	return 0;
}

static int
tear_down(void **state)
{
	fixture_end(&f);
	return 0;
}

/** A token for `here` that ends at `until`, logged in. */
static void
log_in(uint64_t until, char id[SL_TOKEN_ID], struct sl_principal *out)
{
	char text[SL_TOKEN_TEXT];
	struct sl_store_txn *t;
	json_t *body;

	assert_int_equal(sl_token_make(&pepper, NULL, SL_SR_BIT(SL_SR_OPERATOR), NULL, until,
				       "192.0.2.0/24", "test", id, text, &body, &f.e),
			 0);
	t = begin(&f);
	assert_int_equal(sl_store_put(t, SL_KIND_TOKEN, id, SL_REV_NONE, body, &f.e), 0);
	must_commit(&f, t);
	json_decref(body);
	assert_int_equal(sl_token_check(f.s, &pepper, text, &here,
					until != 0 ? until - 1000000000 : sl_rest_wall_ns(), out),
			 0);
}

static void
test_token(void **state)
{
	struct sl_principal who, brief;
	char id[SL_TOKEN_ID], other[SL_TOKEN_ID];

	log_in(0, id, &who);
	log_in(sl_rest_wall_ns() + 50000000, other, &brief);
	assert_true(sl_rest_login_still(&rest, NULL, &who, &here));
	assert_false(sl_rest_login_still(&rest, NULL, &who, &there));
	while (sl_rest_login_still(&rest, NULL, &brief, &here)) /* it ends by itself */
		usleep(10000);
	assert_true(sl_rest_login_still(&rest, NULL, &who, &here));
	del_one(&f, SL_KIND_TOKEN, id);
	assert_false(sl_rest_login_still(&rest, NULL, &who, &here));
}

/** By the name that it has now. */
static bool
still(const char *allow, const struct sl_principal *who)
{
	struct sl_allow_cert *certs = sl_allow_cert_new(allow, &f.e);
	bool yes;

	assert_non_null(certs);
	rest.c.certs = certs;
	yes = sl_rest_login_still(&rest, (struct bufferevent *)&rest, who, &here);
	sl_allow_cert_free(certs);
	return yes;
}

static void
test_certificate(void **state)
{
	struct sl_allow_cert *certs = sl_allow_cert_new("alice=operator", &f.e);
	struct sl_principal who = {0};
	struct sl_error e;

	assert_non_null(certs);
	rest.c.certs = certs;
	assert_int_equal(sl_rest_login(&rest, (struct bufferevent *)&rest, NULL, &here, false, &who,
				       &e),
			 0);
	sl_allow_cert_free(certs);
	assert_true(still("alice=operator", &who));
	assert_false(sl_rest_login_still(&rest, NULL, &who, &here)); /* the client has gone */
	assert_false(still("alice=viewer", &who));
	assert_false(still("bob=operator", &who));
	put_one(&f, SL_KIND_CRL, "cert:0a1b", "{}");
	assert_false(still("alice=operator", &who));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_certificate, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
