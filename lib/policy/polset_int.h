/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the compiled policy: what its source files share.
 */
#ifndef POLSET_INT_H
#define POLSET_INT_H

#include "sl_polset.h"

/** Fill common and where[]. @return 0, -ENOMEM (sl_polset_free() cleans up) */
int polset_where_make(struct sl_polset *s, const struct sl_policy *p,
		      const struct sl_polset_env *env);
void polset_where_free(struct sl_polset *s);

#endif
