/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Bodies against the schemas of openapi.json: type, properties, required, additionalProperties,
 * items, enum, anyOf, minimum, maximum, minLength, maxLength, minItems, maxItems, $ref. What these
 * words cannot say, the object's own check says.
 */
#ifndef SL_REST_BODY_SCHEMA_H
#define SL_REST_BODY_SCHEMA_H

#include <jansson.h>

#include "sl_error.h"

/**
 * @param page the whole document; @param name of components/schemas
 * @return 0, -EINVAL with the path in the body: field_type, field_unknown, field_missing,
 * field_range, enum_invalid
 */
int sl_body_check(const json_t *page, const char *name, const json_t *body, struct sl_error *e);

#endif
