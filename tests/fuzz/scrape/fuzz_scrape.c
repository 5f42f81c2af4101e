/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The head of a scraper's request, as a stranger sends it: a judgement is one of the known ones,
 * the metrics are only for GET /metrics, and what was judged stays judged when more comes.
 */
#include <stdlib.h>

#include "../require.h"
#include "metrics_http.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* exact memory: what is read behind it is found */
	char *copy = malloc(size > 0 ? size : 1);
	unsigned before = 0, now = 0;

	memcpy(copy, data, size);
	for (size_t len = size > 32 ? size - 32 : 0; len <= size; len++) {
		now = sl_scrape_judge(copy, len);
		require(now == 0 || now == 200 || now == 400 || now == 404 || now == 405 ||
			now == 431);
		require(now != 200 || memcmp(copy, "GET /metrics", 12) == 0);
		require(before == 0 || now == before || len > SL_SCRAPE_HEAD_MAX);
		require(now != 0 || len < SL_SCRAPE_HEAD_MAX);
		before = now;
	}
	free(copy);
	return 0;
}
