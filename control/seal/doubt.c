/* SPDX-License-Identifier: BSD-3-Clause */
/* What is whole, but nobody vouches for: told with a status of its own, never in silence. */
#include <inttypes.h>

#include "sl_seal.h"

bool
sl_seal_doubt(const struct sl_seal_report *r)
{
	return r->unsealed > 0 || r->ends > 0 || r->blind > 0;
}

void
sl_seal_print_doubt(const struct sl_seal_report *r, FILE *to)
{
	if (r->loose > 0)
		fprintf(to,
			"not proved: %" PRIu64 " records that came without a chain, of a program "
			"that knew none\n",
			r->loose);
	if (r->unsealed > 0)
		fprintf(to,
			"not vouched for: %" PRIu64 " records that stood unsigned when their "
			"writer started: left by a crash of an older program, or appended\n",
			r->unsealed);
	if (r->ends > 0)
		fprintf(to,
			"not vouched for: the end of %" PRIu64 " chains: at %s another one begins "
			"that does not continue it; what was cut off before is not missed\n",
			r->ends, r->ended_at);
	if (r->blind > 0)
		fprintf(to,
			"not vouched for: %" PRIu64 " starts that had no note of where the chain "
			"stood; what was cut off before is not missed\n",
			r->blind);
}

void
sl_seal_json_doubt(const struct sl_seal_report *r, json_t *o)
{
	json_object_set_new(o, "vouched", json_boolean(!sl_seal_doubt(r)));
	json_object_set_new(o, "not_proved", json_integer((json_int_t)r->loose));
	json_object_set_new(o, "unsealed", json_integer((json_int_t)r->unsealed));
	json_object_set_new(o, "ends", json_integer((json_int_t)r->ends));
	json_object_set_new(o, "blind", json_integer((json_int_t)r->blind));
}
