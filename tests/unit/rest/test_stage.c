/* SPDX-License-Identifier: BSD-3-Clause */
/* A request's way over the threads: here each of them is done with its task before the loop goes
 * on, which is as early as it can be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "call_int.h"

static struct sl_rest rest;
static struct sl_call call;
static struct sl_task *ran; /* what the loop is to be told of */
static unsigned given;
static unsigned answers, handled;
static int rc_of_handler, answer;
static bool revoked;

/* --- what is around it ------------------------------------------------------------------------ */

void __wrap_sl_tasks_give(struct sl_tasks *w, struct sl_task *t);
int __wrap_request_body(struct sl_call *c, struct sl_error *e);
void __wrap_sl_call_finish(struct sl_call *c, int rc, const struct sl_error *e);
int __wrap_kept_find(struct sl_call *c, bool *hit, struct sl_error *e);
void __wrap_kept_store(struct sl_call *c);
bool __wrap_sl_rest_login_still(struct sl_rest *r, struct bufferevent *bev,
				const struct sl_principal *who, const struct sl_ip *from);

void
__wrap_sl_tasks_give(struct sl_tasks *w, struct sl_task *t)
{
	given++;
	t->run(t);
	ran = t;
}

int
__wrap_request_body(struct sl_call *c, struct sl_error *e)
{
	return 0;
}

void
__wrap_sl_call_finish(struct sl_call *c, int rc, const struct sl_error *e)
{
	answers++;
	answer = rc;
}

int
__wrap_kept_find(struct sl_call *c, bool *hit, struct sl_error *e)
{
	*hit = false;
	return 0;
}

void
__wrap_kept_store(struct sl_call *c)
{
}

bool
__wrap_sl_rest_login_still(struct sl_rest *r, struct bufferevent *bev,
			   const struct sl_principal *who, const struct sl_ip *from)
{
	return !revoked;
}

static int
handler(struct sl_call *c, struct sl_error *e)
{
	handled++;
	return rc_of_handler;
}

/* --- the tests -------------------------------------------------------------------------------- */

static const struct sl_rest_op op = {.id = "change",
				     .method = SL_METHOD_PUT,
				     .runs = SL_RUNS_WRITER,
				     .handler = handler};

static int
set_up(void **state)
{
	rest = (struct sl_rest){.writer = (struct sl_tasks *)&rest,
				.helper = (struct sl_tasks *)&call};
	call = (struct sl_call){.rest = &rest,
				.op = &op,
				.req = evhttp_request_new(NULL, NULL),
				.text_len = 1 << 20,
				.begun_ns = sl_rest_mono_ns(),
				.who = {.name = "token:test"}};
	revoked = false;
	given = answers = handled = 0;
	return call.req != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	evhttp_request_free(call.req);
	return 0;
}

/** Until nothing more is on its way. */
static void
tell_the_loop(void)
{
	struct sl_task *t;

	while ((t = ran) != NULL) {
		ran = NULL;
		t->done(t);
	}
}

static void
test_large_body(void **state)
{
	static const int results[] = {0, -ENOENT, -EINVAL};
	struct sl_error e = {0};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(results); i++) {
		rc_of_handler = results[i];
		call.body_read = false;
		answers = given = handled = 0;
		assert_int_equal(stage_begin(&call, &e), SL_CALL_LATER);
		tell_the_loop();
		assert_int_equal(given, 2); /* to be read, to be done */
		assert_int_equal(handled, 1);
		assert_int_equal(answers, 1);
		assert_int_equal(answer, results[i]);
	}
}

static void
test_revoked(void **state)
{
	struct sl_error e = {0};

	assert_int_equal(stage_begin(&call, &e), SL_CALL_LATER);
	assert_int_equal(given, 1);
	revoked = true;
	tell_the_loop();
	assert_int_equal(given, 1); /* not to the writer */
	assert_int_equal(handled, 0);
	assert_int_equal(answers, 1);
	assert_int_equal(answer, -EACCES);
	assert_string_equal(call.e.reason, "login_ended");
}

/** What a helper makes ready for the writer: not where the login ended meanwhile. */
static void
test_from_helper(void **state)
{
	static const struct sl_rest_op prepared = {.id = "large",
						   .method = SL_METHOD_PUT,
						   .runs = SL_RUNS_HELPER,
						   .handler = handler};
	struct sl_error e = {0};

	for (unsigned i = 0; i < 2; i++) {
		call.op = &prepared;
		call.part = given = handled = 0;
		rc_of_handler = SL_CALL_WRITER;
		assert_int_equal(stage_begin(&call, &e), SL_CALL_LATER);
		assert_int_equal(handled, 1);
		rc_of_handler = 0;
		revoked = i == 1;
		tell_the_loop();
		assert_int_equal(handled, revoked ? 1 : 2);
		assert_int_equal(answer, revoked ? -EACCES : 0);
	}
}

/** The same request again, while the first is on its way: it waits for that one's answer. */
static void
test_twin(void **state)
{
	struct sl_call first = {.begun = true, .key = "k", .who = {.name = "token:test"}};
	struct sl_error e = {0};

	rest.c.base = event_base_new();
	TAILQ_INIT(&rest.waiting);
	TAILQ_INSERT_TAIL(&rest.waiting, &first, link);
	TAILQ_INSERT_TAIL(&rest.waiting, &call, link);
	call.key = "k";
	rc_of_handler = 0;
	assert_int_equal(stage_begin(&call, &e), SL_CALL_LATER);
	assert_int_equal(given, 0);
	event_base_loop(rest.c.base, EVLOOP_ONCE); /* still there */
	assert_int_equal(given, 0);
	TAILQ_REMOVE(&rest.waiting, &first, link);
	event_base_loop(rest.c.base, EVLOOP_ONCE);
	tell_the_loop();
	assert_int_equal(handled, 1);
	event_free(call.timer);
	event_base_free(rest.c.base);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_large_body, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_revoked, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_from_helper, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_twin, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
