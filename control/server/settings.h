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
/** Name of the setting at place i, in the order of strcmp(); NULL behind the last. */
const char *sl_setting_name(unsigned i);
bool sl_setting_known(const char *name);
/** {"name", "rev", "value": what holds, "default", "set": whether the stored one does}. Rows that
 * the server keeps for itself have no default.
 * @param stored borrowed; NULL: there is none. @return NULL without memory */
json_t *sl_setting_show(const char *name, uint64_t rev, json_t *stored);

#endif
