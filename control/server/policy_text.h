/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Texts of policy documents as the store keeps them. */
#ifndef SL_REST_POLICY_TEXT_H
#define SL_REST_POLICY_TEXT_H

#include <jansson.h>

#include "sl_store.h"

/** @param[out] body new reference that holds `text`. @return 0, -ENOENT not_found */
int policy_text(struct sl_store *s, uint64_t version, json_t **body, const char **text,
		struct sl_error *e);
/** A version in a path. @return 0, -ENOENT not_found */
int policy_version_arg(const char *arg, uint64_t *out, struct sl_error *e);

#endif
