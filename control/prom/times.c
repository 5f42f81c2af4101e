/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_prom.h"

#define MS UINT64_C(1000000)

const uint64_t sl_prom_class_ns[SL_PROM_CLASSES] = {1 * MS,   5 * MS,	20 * MS,   50 * MS,
						    200 * MS, 500 * MS, 1000 * MS, 5000 * MS};

void
sl_prom_time(struct sl_prom_times *t, uint64_t ns)
{
	unsigned c = 0;

	while (c < SL_PROM_CLASSES && ns > sl_prom_class_ns[c])
		c++;
	t->n[c]++;
	t->all++;
	t->sum_ns += ns;
}

void
sl_prom_times(FILE *f, const char *name, const struct sl_prom_times *t, const char *label,
	      const char *value)
{
	char bucket[128], sum[128], count[128], le[24];
	uint64_t n = 0;

	snprintf(bucket, sizeof(bucket), "%s_bucket", name);
	snprintf(sum, sizeof(sum), "%s_sum", name);
	snprintf(count, sizeof(count), "%s_count", name);
	for (unsigned c = 0; c < SL_PROM_CLASSES; c++) {
		n += t->n[c];
		snprintf(le, sizeof(le), "%g", (double)sl_prom_class_ns[c] / 1e9);
		sl_prom_uint(f, bucket, n, "le", le, label, value, NULL);
	}
	sl_prom_uint(f, bucket, t->all, "le", "+Inf", label, value, NULL);
	sl_prom_real(f, sum, (double)t->sum_ns / 1e9, label, value, NULL);
	sl_prom_uint(f, count, t->all, label, value, NULL);
}
