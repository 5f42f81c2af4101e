/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The publisher's subscribers as REST shows them. */
#ifndef SL_REST_REPL_VIEW_H
#define SL_REST_REPL_VIEW_H

#include <jansson.h>

#include "sl_publisher.h"

/** @param p NULL: nobody is connected */
json_t *repl_view_node(const struct sl_publisher *p, const char *node);
json_t *repl_view_all(const struct sl_publisher *p);

#endif
