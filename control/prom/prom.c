/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_prom.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>

/** A quotation mark is only escaped in the value of a label. */
static void
put_text(FILE *f, const char *s, bool label)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			fputs("\\n", f);
			continue;
		}
		if (*s == '\\' || (label && *s == '"'))
			putc('\\', f);
		putc(*s, f);
	}
}

void
sl_prom_head(FILE *f, const char *name, const char *type, const char *help)
{
	fprintf(f, "# HELP %s ", name);
	put_text(f, help, false);
	fprintf(f, "\n# TYPE %s %s\n", name, type);
}

static void
put_name(FILE *f, const char *name, va_list ap)
{
	const char *label;
	char before = '{';

	fputs(name, f);
	while ((label = va_arg(ap, const char *)) != NULL) {
		putc(before, f);
		fputs(label, f);
		fputs("=\"", f);
		put_text(f, va_arg(ap, const char *), true);
		putc('"', f);
		before = ',';
	}
	if (before == ',')
		putc('}', f);
}

void
sl_prom_uint(FILE *f, const char *name, uint64_t v, ...)
{
	va_list ap;

	va_start(ap, v);
	put_name(f, name, ap);
	va_end(ap);
	fprintf(f, " %" PRIu64 "\n", v);
}

void
sl_prom_real(FILE *f, const char *name, double v, ...)
{
	va_list ap;

	va_start(ap, v);
	put_name(f, name, ap);
	va_end(ap);
	fprintf(f, " %.6f\n", v);
}

void
sl_prom_single(FILE *f, const char *name, const char *type, const char *help, uint64_t v)
{
	sl_prom_head(f, name, type, help);
	sl_prom_uint(f, name, v, NULL);
}
