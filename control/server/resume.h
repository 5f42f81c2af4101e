/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Requests of many transactions that were not done to their end go on by themselves. */
#ifndef SL_REST_RESUME_H
#define SL_REST_RESUME_H

#include "sl_rest_int.h"

/** Go on with what nobody works on: when the server has begun, and where one has failed in its
 * middle, a few seconds later. */
void resume_now(struct sl_rest *r);
void resume_later(struct sl_rest *r);

#endif
