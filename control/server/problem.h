/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Errors as HTTP tells them: status and problem+json (RFC 9457). */
#ifndef SL_REST_PROBLEM_H
#define SL_REST_PROBLEM_H

#include <jansson.h>

#include "sl_error.h"

/** By the reason, else by the errno. */
int problem_status(int rc, const struct sl_error *e);
const char *problem_title(int status);
/** @param instance path of the request; @param primary where to write, NULL
 * @return NULL without memory */
json_t *problem_json(int status, const struct sl_error *e, const char *instance,
		     const char *request_id, const char *primary);

#endif
