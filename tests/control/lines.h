/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Commands as lines of JSON on standard input, for the programs of these tests. */
#ifndef SL_TEST_LINES_H
#define SL_TEST_LINES_H

#include <event2/event.h>
#include <jansson.h>

/** `fn` is called for each line; at the end of input the loop ends. */
void lines_start(struct event_base *base, void (*fn)(void *ctx, json_t *cmd), void *ctx);
void lines_stop(void);
/** One line on standard output, at once. Taken over. */
void lines_say(json_t *o);

#endif
