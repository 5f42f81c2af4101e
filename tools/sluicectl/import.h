/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Peers out of files of other tools: a wg-quick configuration, a table. */
#ifndef SLUICECTL_IMPORT_H
#define SLUICECTL_IMPORT_H

#include <jansson.h>

#include "sl_error.h"

/**
 * Read the peers of a server's wg0.conf. A peer's name comes from a comment above or inside its
 * section ("# alice", "# Name = alice", "### Client alice"), else it is peer-N. Private and
 * preshared keys are never taken over: *secrets counts preshared keys that the gateways need by
 * themselves.
 * @return array of {name, public_key, allowed_ips[], keepalive_s?, endpoint?, psk_ref?, line}, or
 * NULL with "FILE:LINE: ..." in the error
 */
json_t *import_wg_conf(const char *file, unsigned *secrets, struct sl_error *e);

/**
 * Read a table: the first line names its columns, of which name, public_key and allowed_ips are
 * needed; roles, keepalive_s, expires_at, description, enabled may be there. Lists have blanks or
 * ';' between their items; "..." quotes. (RFC 4180)
 */
json_t *import_csv(const char *file, struct sl_error *e);

#endif
