/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Diagnostics of the control side. Never called on a data lcore, never given a secret.
 */
#ifndef SL_LOG_H
#define SL_LOG_H

#include "sl_base.h"

enum sl_log_level { SL_LOG_ERR, SL_LOG_WARN, SL_LOG_NOTICE, SL_LOG_INFO, SL_LOG_DEBUG };

/** Where lines go; the default writes "sluiced: topic: text" to standard error. */
typedef void (*sl_log_sink)(void *ctx, enum sl_log_level level, const char *topic,
			    const char *text);

void sl_log_set_sink(sl_log_sink sink, void *ctx);
void sl_log_set_level(enum sl_log_level level);
enum sl_log_level sl_log_get_level(void);
/** Read "err", "warn", "notice", "info" or "debug". @return 0 or -EINVAL. */
int sl_log_level_parse(const char *s, enum sl_log_level *out);
void sl_log(enum sl_log_level level, const char *topic, const char *fmt, ...) SL_PRINTF(3, 4);

#endif
