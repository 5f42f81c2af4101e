/* SPDX-License-Identifier: BSD-3-Clause */
#include "rest_count.h"

#include <errno.h>
#include <stdlib.h>

#include "sl_rest_ops.h"
#include "operation.h"
#include "sl_base.h"

/** The last stands for every other. */
static const int statuses[] = {200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 411, 412,
			       413, 414, 415, 421, 422, 428, 429, 431, 500, 501, 503, 505, 0};
#define STATUSES SL_ARRAY_SIZE(statuses)

int
rest_counts_init(struct rest_counts *c)
{
	c->answers = calloc((sl_rest_n_ops + 1) * STATUSES, sizeof(*c->answers));
	return c->answers != NULL ? 0 : -ENOMEM;
}

void
rest_counts_clear(struct rest_counts *c)
{
	free(c->answers);
	c->answers = NULL;
}

void
rest_counts_answer(struct rest_counts *c, const struct sl_rest_op *op, int status, uint64_t ns)
{
	size_t at = op != NULL ? (size_t)(op - sl_rest_ops) : sl_rest_n_ops;
	unsigned s = 0;

	while (s < STATUSES - 1 && statuses[s] != status)
		s++;
	c->answers[at * STATUSES + s]++;
	if (ns > 0)
		sl_prom_time(&c->times, ns);
}

static void
put_answers(FILE *f, const struct rest_counts *c)
{
	static const char name[] = "sluice_control_http_requests_total";
	char code[12];

	sl_prom_head(f, name, "counter", "answers of the REST API");
	for (size_t i = 0; i <= sl_rest_n_ops; i++) {
		for (unsigned s = 0; s < STATUSES; s++) {
			uint64_t n = c->answers[i * STATUSES + s];

			if (n == 0)
				continue;
			snprintf(code, sizeof(code), "%d", statuses[s]);
			sl_prom_uint(f, name, n, "operation",
				     i < sl_rest_n_ops ? sl_rest_ops[i].id : "none", "code",
				     statuses[s] != 0 ? code : "other", NULL);
		}
	}
}

static void
put_logins(FILE *f, const struct rest_counts *c)
{
	static const char *const methods[] = {"none", "token", "certificate"};
	static const char *const results[] = {"ok", "refused", "delayed"};
	static const char name[] = "sluice_control_login_total";

	_Static_assert(SL_ARRAY_SIZE(methods) == REST_LOGIN_N, "a text each");
	_Static_assert(SL_ARRAY_SIZE(results) == REST_RESULT_N, "a text each");
	sl_prom_head(f, name, "counter", "logins of the REST API: each request is one");
	for (unsigned m = 0; m < REST_LOGIN_N; m++)
		for (unsigned r = 0; r < REST_RESULT_N; r++)
			sl_prom_uint(f, name, c->logins[m][r], "method", methods[m], "result",
				     results[r], NULL);
}

void
rest_counts_put(FILE *f, const struct rest_counts *c)
{
	put_answers(f, c);
	sl_prom_head(f, "sluice_control_http_request_seconds", "histogram",
		     "from the head of a request to its answer");
	sl_prom_times(f, "sluice_control_http_request_seconds", &c->times, NULL, NULL);
	put_logins(f, c);
}
