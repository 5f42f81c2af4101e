/* SPDX-License-Identifier: BSD-3-Clause */
/* Versions of objects on the wire: who reads which, and which one is sent. */
#include "sl_repl.h"

struct sl_repl_schemas
sl_repl_schemas_or_ours(struct sl_repl_schemas s)
{
	return s.newest != 0 ? s
			     : (struct sl_repl_schemas){SL_MODEL_SCHEMA_OLDEST, SL_MODEL_SCHEMA};
}

json_t *
sl_repl_schema_list(struct sl_repl_schemas s)
{
	json_t *list = json_array();

	for (unsigned v = s.oldest; v <= s.newest; v++)
		json_array_append_new(list, json_integer(v));
	return list;
}

unsigned
sl_repl_schema_pick(const char *node, const int64_t *theirs, unsigned n,
		    struct sl_repl_schemas ours, struct sl_error *e)
{
	int64_t best = 0, low = INT64_MAX, high = 0;

	for (unsigned i = 0; i < n; i++) {
		low = SL_MIN(low, theirs[i]);
		high = SL_MAX(high, theirs[i]);
		if (theirs[i] >= ours.oldest && theirs[i] <= ours.newest)
			best = SL_MAX(best, theirs[i]);
	}
	if (best != 0)
		return (unsigned)best;
	sl_fail(e, -EINVAL, "schema_unsupported", "/schema",
		"%.63s reads schema %lld to %lld of objects, here %u to %u are sent", node,
		(long long)(n != 0 ? low : 0), (long long)high, ours.oldest, ours.newest);
	if (high < (int64_t)ours.oldest)
		sl_hint(e, "update %.63s: the control plane is more than one version ahead", node);
	else
		sl_hint(e, "update this control plane: it goes before followers and gateways");
	return 0;
}
