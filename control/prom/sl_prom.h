/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Metrics in Prometheus' text format (version 0.0.4): one head a family, then its samples. Values
 * of labels and help texts are escaped here and nowhere else. Errors of the file stay in it:
 * whoever opened it asks ferror() or fclose().
 */
#ifndef SL_PROM_H
#define SL_PROM_H

#include <stdint.h>
#include <stdio.h>

#define SL_PROM_TYPE "text/plain; version=0.0.4; charset=utf-8"

/** @param type "counter", "gauge" or "histogram", whose samples are _bucket, _sum and _count */
void sl_prom_head(FILE *f, const char *name, const char *type, const char *help);
/** A sample. What follows are names and values of labels, `const char *`, and a NULL. */
void sl_prom_uint(FILE *f, const char *name, uint64_t v, ...) __attribute__((sentinel));
/** The same with six decimals. */
void sl_prom_real(FILE *f, const char *name, double v, ...) __attribute__((sentinel));
/** A family of one sample without labels. */
void sl_prom_single(FILE *f, const char *name, const char *type, const char *help, uint64_t v);

#define SL_PROM_CLASSES 8

/** Upper bounds of the classes, in nanoseconds: 1 ms to 5 s. */
extern const uint64_t sl_prom_class_ns[SL_PROM_CLASSES];

/** How long things took. One writer; zeroed at the begin. */
struct sl_prom_times {
	uint64_t n[SL_PROM_CLASSES + 1]; /* of at most so long; the last: longer */
	uint64_t all, sum_ns;
};

void sl_prom_time(struct sl_prom_times *t, uint64_t ns);
/** The samples of a histogram in seconds. @param label NULL: none */
void sl_prom_times(FILE *f, const char *name, const struct sl_prom_times *t, const char *label,
		   const char *value);

/** The commit that the program was built from, as git describes it, or "unknown". */
extern const char sl_prom_commit[];

#endif
