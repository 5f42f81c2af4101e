/* SPDX-License-Identifier: BSD-3-Clause */
/* From a path to its operation. */
#include "sl_rest_int.h"
#include "sl_rest_ops.h"

#define PREFIX_SEGS 2 /* /api/v1 */

/** Does a template fit? Its {parts} are given out. */
static bool
fits(const char *path, const struct sl_target *t, const char *arg[2])
{
	unsigned n_arg = 0, seg = PREFIX_SEGS;

	while (*path == '/') {
		size_t len = strcspn(++path, "/");

		if (seg == t->n_segs)
			return false;
		if (*path == '{')
			arg[n_arg++] = t->seg[seg];
		else if (strlen(t->seg[seg]) != len || memcmp(path, t->seg[seg], len) != 0)
			return false;
		path += len;
		seg++;
	}
	return seg == t->n_segs;
}

const struct sl_rest_op *
sl_rest_route(const struct sl_target *t, enum sl_rest_method m, const char *arg[2],
	      unsigned *allowed)
{
	*allowed = 0;
	arg[0] = arg[1] = NULL;
	if (t->n_segs <= PREFIX_SEGS || strcmp(t->seg[0], "api") != 0 ||
	    strcmp(t->seg[1], "v1") != 0)
		return NULL;
	for (unsigned i = 0; i < sl_rest_n_ops; i++) {
		const struct sl_rest_op *op = &sl_rest_ops[i];

		if (!fits(op->path, t, arg))
			continue;
		if (op->method == m)
			return op;
		*allowed |= 1u << op->method;
	}
	return NULL;
}
