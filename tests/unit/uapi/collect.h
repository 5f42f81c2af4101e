/* SPDX-License-Identifier: BSD-3-Clause */
/* A handler that writes what it is given as text, so that tests compare strings. */
#ifndef TEST_UAPI_COLLECT_H
#define TEST_UAPI_COLLECT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "sl_uapi.h"

#define K(c) c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c c
#define KEY_A K("a1")
#define KEY_B K("b2")
#define KEY_C K("c3")
#define KEY_0 K("00")

/* What the handlers saw since collect_reset(), e.g. "set port=1 peer=a1 ;". */
extern char seen[65536];
extern const struct sl_uapi_handler collect;

void collect_reset(void);
/** Feed a whole text to a new parser in pieces of `piece` bytes; result in `seen`. */
int parse_text(const char *text, size_t piece);

#define assert_parsed(text, want)                                                                  \
	do {                                                                                       \
		for (size_t piece_ = 1; piece_ < 80; piece_ += 13) {                               \
			assert_int_equal(parse_text(text, piece_), 0);                             \
			assert_string_equal(seen, want);                                           \
		}                                                                                  \
		assert_int_equal(parse_text(text, sizeof(text)), 0);                               \
		assert_string_equal(seen, want);                                                   \
	} while (0)

extern const struct CMUnitTest refuse_tests[];
extern const unsigned n_refuse_tests;

#endif
