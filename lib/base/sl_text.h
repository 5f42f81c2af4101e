/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Text from outside, where it becomes part of a line: of a log, a file, a terminal. Pure; any
 * thread.
 */
#ifndef SL_TEXT_H
#define SL_TEXT_H

#include <stdio.h>

#include "sl_base.h"

/** Bytes of the control character that stands first: below 0x20, 0x7f, or of U+0080 to U+009F,
 * which terminals obey too. @return 0: another character stands there, or the end */
static inline unsigned
sl_text_control(const char *s)
{
	unsigned char c = (unsigned char)s[0];

	if (c == 0xc2)
		return (unsigned char)s[1] >= 0x80 && (unsigned char)s[1] < 0xa0 ? 2 : 0;
	return c != 0 && (c < 0x20 || c == 0x7f);
}

static inline bool
sl_text_is_plain(const char *s)
{
	while (*s != '\0' && sl_text_control(s) == 0)
		s++;
	return *s == '\0';
}

/** Write a text; each control character as '?'. */
static inline void
sl_text_put(FILE *f, const char *s)
{
	for (unsigned n; *s != '\0'; s += n > 0 ? n : 1) {
		n = sl_text_control(s);
		putc(n > 0 ? '?' : *s, f);
	}
}

/** In place: each byte of a control character becomes '?'. @return s */
static inline char *
sl_text_plain(char *s)
{
	for (char *p = s; *p != '\0'; p++) {
		unsigned n = sl_text_control(p);

		if (n > 0)
			memset(p, '?', n);
	}
	return s;
}

#endif
