/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "sl_text.h"

#define LINE_MAX_BYTES 1024

static const char *const level_names[] = {"err", "warn", "notice", "info", "debug"};

/** One write(2) a line, so that lines of several threads do not mix. */
static void
stderr_sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	char line[LINE_MAX_BYTES + 64];
	int n = snprintf(line, sizeof(line), "sluiced: %s: %s\n", topic, text);
	ssize_t r;

	if (n < 0)
		return;
	if ((size_t)n >= sizeof(line)) {
		n = sizeof(line) - 1;
		line[n - 1] = '\n';
	}
	do
		r = write(STDERR_FILENO, line, (size_t)n);
	while (r < 0 && errno == EINTR);
}

static sl_log_sink log_sink = stderr_sink;
static void *log_ctx;
static enum sl_log_level log_level = SL_LOG_NOTICE;

void
sl_log_set_sink(sl_log_sink sink, void *ctx)
{
	log_sink = sink == NULL ? stderr_sink : sink;
	log_ctx = ctx;
}

void
sl_log_set_level(enum sl_log_level level)
{
	__atomic_store_n(&log_level, level, __ATOMIC_RELAXED);
}

enum sl_log_level
sl_log_get_level(void)
{
	return __atomic_load_n(&log_level, __ATOMIC_RELAXED);
}

int
sl_log_level_parse(const char *s, enum sl_log_level *out)
{
	unsigned i;

	for (i = 0; i < SL_ARRAY_SIZE(level_names); i++) {
		if (strcmp(s, level_names[i]) == 0) {
			*out = (enum sl_log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

void
sl_log(enum sl_log_level level, const char *topic, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	if (level > sl_log_get_level())
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	/* a log line stays one line, whatever an outsider put into a name */
	log_sink(log_ctx, level, topic, sl_text_plain(text));
}
