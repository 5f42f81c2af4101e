/* SPDX-License-Identifier: BSD-3-Clause */
/* What a fuzz target asserts: the text says where and what, as nothing but the output may be left
 * of a run. */
#ifndef SL_FUZZ_REQUIRE_H
#define SL_FUZZ_REQUIRE_H

#include <stdio.h>
#include <stdlib.h>

/** End the run as a crash with this input unless ok holds. */
#define require(ok)                                                                                \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #ok);           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/** The same, of what tells in the struct sl_error e why it failed. */
#define require_ok(ok, e)                                                                          \
	do {                                                                                       \
		if (!(ok)) {                                                                       \
			fprintf(stderr, "%s:%d: not so: %s: %s: %s\n", __FILE__, __LINE__, #ok,    \
				(e).reason, (e).message);                                          \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

#endif
