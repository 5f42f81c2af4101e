/* SPDX-License-Identifier: BSD-3-Clause */
/* Between rest.c, request.c and call.c. */
#ifndef SL_REST_CALL_INT_H
#define SL_REST_CALL_INT_H

#include "call.h"

/** Read a request: everything that must hold before its handler is asked. @return 0 or a negative
 * errno with `e` */
int request_read(struct sl_call *c, struct bufferevent *bev, bool noted, struct sl_error *e);
/** Answer and free. @param rc 0, or a negative errno with `e` */
void call_end(struct sl_call *c, int rc, const struct sl_error *e);
void call_free(struct sl_call *c);

#endif
