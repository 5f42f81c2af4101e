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

#endif
