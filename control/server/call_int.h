/* SPDX-License-Identifier: BSD-3-Clause */
/* Between rest.c, request.c and call.c. */
#ifndef SL_REST_CALL_INT_H
#define SL_REST_CALL_INT_H

#include "call.h"

/** Read a request up to its body: who asks for what, and may. @return 0 or a negative errno with
 * `e`
 */
int request_read(struct sl_call *c, struct bufferevent *bev, bool noted, struct sl_error *e);
/** The rest, on whichever thread: the body and its conditions. @return as request_read() */
int request_body(struct sl_call *c, struct sl_error *e);
/** Do what is asked, here or on a thread. @return 0, SL_CALL_LATER, or a negative errno with `e` */
int stage_begin(struct sl_call *c, struct sl_error *e);
/** The next part of one of before the restart. */
void stage_resume(struct sl_call *c);
/** It was refused to the role: note that, then answer so. @return rc or SL_CALL_LATER */
int stage_refused(struct sl_call *c, int rc, struct sl_error *e);
/** Tell subscribers what it changed so far. */
void call_publish(struct sl_call *c);
void call_free(struct sl_call *c);

#endif
