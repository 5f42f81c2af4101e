/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The HTTP of a scraper: GET /metrics in clear, one request a connection, no more than 16
 * connections, 10 s each, heads of 4 KiB. Nothing of a head but its first line is looked at. It
 * knows nothing of the gateway.
 */
#ifndef SL_METRICS_HTTP_H
#define SL_METRICS_HTTP_H

#include <event2/buffer.h>
#include <event2/event.h>

#include "sl_addr.h"
#include "sl_error.h"

#define SL_SCRAPE_HEAD_MAX 4096
#define SL_SCRAPE_CONNS 16

struct sl_scrape;

/**
 * Listen.
 * @param ask called for each request: sl_scrape_answer() is to follow, now or later
 * @return NULL with an error: socket (it cannot be bound), no_memory
 */
struct sl_scrape *sl_scrape_new(struct event_base *base, const struct sl_endpoint *at,
				void (*ask)(void *ctx), void *ctx, struct sl_error *e);
/** Answer everybody who waits. @param text shared, not consumed; NULL: 503, there is none */
void sl_scrape_answer(struct sl_scrape *s, struct evbuffer *text);
/** NULL allowed. */
void sl_scrape_free(struct sl_scrape *s);

/**
 * Look at what came of a head (metrics_head.c).
 * @return 0: not whole yet; the status of the answer: 200 (GET /metrics), 400 (no HTTP), 404
 * (another path), 405 (another method), 431 (too large)
 */
unsigned sl_scrape_judge(const char *head, size_t len);

#endif
