/* SPDX-License-Identifier: BSD-3-Clause */
#include "reports.h"

#include <stdlib.h>

struct sl_reports *
sl_reports_new(struct sl_store *s, struct sl_error *e)
{
	struct sl_reports *r = calloc(1, sizeof(*r));

	if (r == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	r->store = s;
	r->sessions = sl_sessions_new(sl_store_db(s), e);
	r->flows = r->sessions != NULL ? sl_flows_new(sl_store_db(s), e) : NULL;
	r->trend = r->flows != NULL ? sl_trend_new(sl_store_db(s), e) : NULL;
	if (r->trend != NULL)
		return r;
	sl_reports_free(r);
	return NULL;
}

void
sl_reports_free(struct sl_reports *r)
{
	if (r == NULL)
		return;
	sl_trend_free(r->trend);
	sl_flows_free(r->flows);
	sl_sessions_free(r->sessions);
	json_decref(r->memo);
	free(r);
}

json_t *
sl_reports_memo(struct sl_reports *r)
{
	uint64_t seq = sl_store_head(r->store);

	if (r->memo == NULL || r->memo_seq != seq) {
		json_decref(r->memo);
		r->memo = json_object();
		r->memo_seq = seq;
	}
	return r->memo;
}
