/* SPDX-License-Identifier: BSD-3-Clause */
/* The tests of the policy that a gateway started with. None is run before it serves: neither time
 * nor a peer that is gone may keep it from starting. They run once it does, beside the loop, on a
 * candidate of the same file; what fails is told, and changes nothing. */
#include <stdio.h>
#include <stdlib.h>

#include "gw_policy.h"

static void
end(struct gw_boot_tests *b)
{
	sl_gw_candidate_free(b->candidate);
	free(b->file);
	*b = (struct gw_boot_tests){0};
}

void
gw_boot_tests_plan(struct sl_gw *gw, const char *file)
{
	struct gw_policy *p = gw->policy;

	if (p->doc == NULL || p->doc->policy->n_tests == 0)
		return;
	p->boot.file = strdup(file);
	p->boot.doc = p->doc;
}

static void
begin(struct sl_gw *gw, struct gw_boot_tests *b)
{
	const struct sl_gw_policy_load l = {.file = b->file, .run_tests = true, .lenient = true};
	struct sl_error e;

	b->candidate = sl_gw_candidate_begin(gw, &l, &e);
	if (b->candidate != NULL)
		return;
	sl_log(SL_LOG_WARN, "policy", "the tests of the policy were not run: %s (%s)", e.message,
	       e.reason);
	end(b);
}

static void
tell(const struct sl_error *e)
{
	if (strcmp(e->reason, "test_failed") == 0)
		sl_log(SL_LOG_WARN, "policy",
		       "the policy of this start serves, but not all of its tests hold: %s: %s; "
		       "what it says may have ended meanwhile: look at it with sluicectl "
		       "policy.test and policy.lint",
		       e->path, e->message);
	else
		sl_log(SL_LOG_WARN, "policy", "the tests of the policy were not run: %s%s%s (%s)",
		       e->path, e->path[0] != '\0' ? ": " : "", e->message, e->reason);
}

void
gw_boot_tests_poll(struct sl_gw *gw)
{
	struct gw_boot_tests *b = &gw->policy->boot;
	const struct sl_error *e;

	if (b->file == NULL)
		return;
	if (b->doc != gw->policy->doc) { /* another one is in force, which passed its tests */
		end(b);
		return;
	}
	if (b->candidate == NULL) {
		begin(gw, b);
		return;
	}
	if (!sl_gw_candidate_step(b->candidate))
		return;
	e = sl_gw_candidate_error(b->candidate);
	if (e != NULL)
		tell(e);
	end(b);
}

void
gw_boot_tests_stop(struct sl_gw *gw)
{
	end(&gw->policy->boot);
}
