/* SPDX-License-Identifier: BSD-3-Clause */
/* A data store for a fuzz target. */
#ifndef SL_FUZZ_STORE_H
#define SL_FUZZ_STORE_H

#include "sl_store.h"

/** A new store of this role, open for writing, in memory where that can be; it goes with the
 * process. */
struct sl_store *fuzz_store_new(enum sl_store_role role);

#endif
