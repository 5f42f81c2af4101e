/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * No private or preshared key is taken, wherever in a body it stands: as a field's name, or as a
 * line of a WireGuard file inside a string or a comment. Pure.
 */
#ifndef SL_REST_SECRET_FIELD_H
#define SL_REST_SECRET_FIELD_H

#include <jansson.h>

#include "sl_error.h"

/** @return 0, -EPERM secret_field with the path (never the value) */
int sl_secret_field_check(const json_t *v, struct sl_error *e);
/** Text that is no plain JSON: `PrivateKey = …` and "private_key": … in it.
 * @return 0, -EPERM secret_field */
int sl_secret_text_check(const char *text, size_t len, struct sl_error *e);

#endif
