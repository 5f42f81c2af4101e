/* SPDX-License-Identifier: BSD-3-Clause */
/** @file The settings of the control plane: which there are, what they may be, what holds without
 * them. docs/control-plane.md lists them. */
#ifndef SL_CONTROL_SETTINGS_H
#define SL_CONTROL_SETTINGS_H

#include "sl_store.h"

/** May it be set so? @return 0; -EINVAL setting_unknown (the hint lists all), setting_type,
 * setting_range */
int sl_setting_check(const char *name, const json_t *value, struct sl_error *e);
/** An integer as it is set, else its default. The name must be one of the list. */
int64_t sl_setting_get(struct sl_store *s, const char *name);

#endif
