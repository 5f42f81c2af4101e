/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The policy document as objects and back. A document (docs/policy.md) is owned whole: its zones,
 * target names and addresses, roles with static members, rules and tests come and go together.
 */
#ifndef SL_POLICY_OBJECTS_H
#define SL_POLICY_OBJECTS_H

#include "sl_object.h"

/**
 * Split a parsed document, which is known to be valid.
 * @param[out] out new array of {kind, id, obj}: policy {version}, zones, targets, roles, rules
 * @return 0 or -ENOMEM
 */
int sl_policy_split(json_t *doc, uint32_t version, json_t **out, struct sl_error *e);

/** Collects objects into a document. */
struct sl_policy_join;
struct sl_policy_join *sl_policy_join_new(void);
/** Any order; other kinds than policy, zone, target, role, rule are passed over. */
int sl_policy_join_add(struct sl_policy_join *j, enum sl_kind k, const char *id, json_t *body);
/** @return the document (without tests), NULL without memory */
json_t *sl_policy_join_done(struct sl_policy_join *j);
void sl_policy_join_free(struct sl_policy_join *j);

#endif
