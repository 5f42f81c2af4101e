/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the REST API counts for the metrics. The loop's alone. */
#ifndef SL_REST_COUNT_H
#define SL_REST_COUNT_H

#include <stdio.h>

#include "sl_prom.h"

struct sl_rest_op;

enum rest_login_method { REST_LOGIN_NONE, REST_LOGIN_TOKEN, REST_LOGIN_CERTIFICATE, REST_LOGIN_N };
enum rest_login_result { REST_LOGIN_OK, REST_LOGIN_REFUSED, REST_LOGIN_DELAYED, REST_RESULT_N };

struct rest_counts {
	uint64_t *answers; /* by operation, the last: none; and status */
	struct sl_prom_times times;
	uint64_t logins[REST_LOGIN_N][REST_RESULT_N];
};

/** @return 0 or -ENOMEM */
int rest_counts_init(struct rest_counts *c);
void rest_counts_clear(struct rest_counts *c);
/** An answer. @param op NULL: to no operation; @param ns since its request was there; 0: not known
 */
void rest_counts_answer(struct rest_counts *c, const struct sl_rest_op *op, int status,
			uint64_t ns);
/** Answers, their times, logins. */
void rest_counts_put(FILE *f, const struct rest_counts *c);

#endif
