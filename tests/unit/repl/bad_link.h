/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A bad link between a subscriber and its source, in the test's event loop: lines of the source are
 * lost, come twice, change places with the next one, or the connection ends in their middle.
 * Answers to calls are only delayed or cut, since whoever asks waits for them.
 */
#ifndef SL_TEST_BAD_LINK_H
#define SL_TEST_BAD_LINK_H

#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/queue.h>

struct bad_link;

struct bad_conn {
	LIST_ENTRY(bad_conn) next;
	struct bad_link *link;
	struct bufferevent *near, *far; /* the subscriber, the source */
	char *held;			/* a line that goes after the next one */
};

struct bad_link {
	struct event_base *base;
	struct evconnlistener *listener;
	uint16_t port, to;  /* where it listens, where it leads */
	unsigned per_mille; /* so many of 1,000 lines meet each fault; 0: a good link */
	unsigned seed;
	LIST_HEAD(, bad_conn) conns;
	unsigned lines, lost, twice, swapped, cut;
};

void bad_link_open(struct bad_link *l, struct event_base *base, uint16_t to, unsigned seed);
/** All connections end. */
void bad_link_cut(struct bad_link *l);
void bad_link_close(struct bad_link *l);

#endif
