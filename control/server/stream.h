/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Answers whose body comes by and by. A piece is made when the one before has left, so that each
 * costs the memory of one piece, however slowly its client reads; who takes nothing for a while, or
 * whose login has ended, is cut off. So many at a time, and so many of one principal. The loop's
 * alone.
 */
#ifndef SL_REST_STREAM_H
#define SL_REST_STREAM_H

#include "call.h"

#define STREAM_PIECE (64 << 10) /* bytes that a piece should have */

struct stream;

struct stream_ops {
	const char *type;   /* of the body */
	unsigned each, all; /* of this kind, at a time: of one principal, together */
	/** What was put has left: stream_put(), stream_end() or stream_cut(), now or later. */
	void (*more)(struct stream *s, void *ctx);
	/** It has ended: `s` is no more. */
	void (*gone)(void *ctx);
};

/** Answer a call with one, which begins with more(). @return 0, or `ctx` is the caller's: -EAGAIN
 * streams_busy, -EINVAL version_unknown (of HTTP), -ENOMEM */
int stream_answer(struct sl_call *c, const struct stream_ops *ops, void *ctx, struct sl_error *e);
/** The answer's headers are ready: go on. */
void stream_begin(struct stream *s, struct evhttp_request *req, int status, const char *title);
/** Once for each more(). @param text malloc'ed, taken over */
void stream_put(struct stream *s, char *text, size_t len);
/** Once for each more(), too: that was all of it. */
void stream_end(struct stream *s);
/** The client sees that it has not all. */
void stream_cut(struct stream *s);
/** Is it for the stream to speak, and does its login still hold? Else it is cut off. For those who
 * let a client wait. */
bool stream_may_go_on(struct stream *s);
/** It never began, or the server ends. */
void stream_free(struct stream *s);
void stream_free_all(struct sl_rest *r);

#endif
