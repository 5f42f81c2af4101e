/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Parameters as people type them (key=value) into JSON, typed by the schema. Shared by the console
 * and sluicectl. Pure; any thread.
 */
#ifndef SL_ARGS_H
#define SL_ARGS_H

#include "sl_schema.h"

/**
 * Add one parameter. '-' in a key stands for '_', "inside.port" is the member of an object,
 * "inside" itself takes JSON. Lists have commas between their items, or are JSON; an empty text is
 * an empty list. true, yes, on, 1 and false, no, off, 0 are booleans. Texts stay as they are: what
 * they mean is the gateway's to judge.
 * @param params object to add to
 * @return 0; -EINVAL param_unknown, param_type, param_twice
 */
int sl_args_set(json_t *params, const struct sl_schema_method *m, const char *key,
		const char *value, struct sl_error *e);

/** sl_args_set() of "key=value". -EINVAL usage: no '='. */
int sl_args_parse(json_t *params, const struct sl_schema_method *m, const char *text,
		  struct sl_error *e);

#endif
