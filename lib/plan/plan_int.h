/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Shared by the parts of the planner.
 */
#ifndef SL_PLAN_INT_H
#define SL_PLAN_INT_H

#include "sl_plan.h"

/** Add a warning; beyond the room for them they are left out. */
void plan_warn(struct sl_plan *p, const char *fmt, ...) SL_PRINTF(2, 3);

/** Assign the queues of every port; the lcores are there. */
int plan_queues(const struct sl_plan_input *in, struct sl_plan *p, struct sl_error *err);

#endif
