/* SPDX-License-Identifier: BSD-3-Clause */
/* The tests of the document in force, without anybody asking: once after a start, since none is run
 * before it serves (neither time nor a peer that is gone may keep a gateway from starting), and
 * once a day, since what they are about ends and goes. They run beside the loop, on a candidate of
 * the same text; what fails is told, and changes nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

#define DAY_NS (86400 * SL_NS_PER_S)

void
gw_doc_tests_at_start(struct sl_gw *gw)
{
	struct gw_doc_tests *t = &gw->policy->tests;

	t->doc = gw->policy->doc;
	t->next_ns = gw_mono_ns(gw);
}

void
gw_doc_tests_result(struct sl_gw *gw, const struct sl_error *e)
{
	struct gw_doc_tests *t = &gw->policy->tests;

	if (e == NULL)
		t->failed[0] = '\0';
	else if (strcmp(e->reason, "test_failed") == 0)
		snprintf(t->failed, sizeof(t->failed), "%.40s: %.180s", e->path, e->message);
}

static void
tell(struct sl_gw *gw, const struct sl_error *e)
{
	if (strcmp(e->reason, "test_failed") != 0) {
		sl_log(SL_LOG_WARN, "policy", "the tests of the policy were not run: %s%s%s (%s)",
		       e->path, e->path[0] != '\0' ? ": " : "", e->message, e->reason);
		return;
	}
	sl_log(SL_LOG_WARN, "policy",
	       "the policy in force serves, but not all of its tests hold: %s: %s; what it says "
	       "may have ended meanwhile: look at it with sluicectl policy.test and policy.lint",
	       e->path, e->message);
	sl_gw_event(gw, "policy_test_failed", "failure",
		    json_pack("{s:s, s:s, s:I}", "path", e->path, "message", e->message, "version",
			      (json_int_t)gw->policy->doc->policy->version));
}

static void
begin(struct sl_gw *gw, struct gw_doc_tests *t)
{
	const struct sl_gw_policy_load l = {.again = true, .run_tests = true, .lenient = true};
	struct sl_error e = {0};

	t->next_ns = gw_mono_ns(gw) + DAY_NS;
	t->candidate = sl_gw_candidate_begin(gw, &l, &e);
	if (t->candidate == NULL)
		tell(gw, &e);
}

static void
step(struct sl_gw *gw, struct gw_doc_tests *t)
{
	const struct sl_error *e;

	if (!sl_gw_candidate_step(t->candidate))
		return;
	e = sl_gw_candidate_error(t->candidate);
	gw_doc_tests_result(gw, e);
	if (e != NULL)
		tell(gw, e);
	sl_gw_candidate_free(t->candidate);
	t->candidate = NULL;
}

void
gw_doc_tests_poll(struct sl_gw *gw)
{
	struct gw_doc_tests *t = &gw->policy->tests;
	const struct gw_doc *doc = gw->policy->doc;

	if (t->doc != doc) { /* another one is in force, which passed its tests */
		gw_doc_tests_stop(gw);
		*t = (struct gw_doc_tests){.doc = doc, .next_ns = gw_mono_ns(gw) + DAY_NS};
	}
	if (doc == NULL || doc->policy->n_tests == 0)
		return;
	if (t->candidate != NULL)
		step(gw, t);
	else if (gw_mono_ns(gw) >= t->next_ns)
		begin(gw, t);
}

void
gw_doc_tests_stop(struct sl_gw *gw)
{
	struct gw_doc_tests *t = &gw->policy->tests;

	sl_gw_candidate_free(t->candidate);
	t->candidate = NULL;
}
