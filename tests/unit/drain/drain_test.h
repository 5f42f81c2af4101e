/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A drain with one ring, and what its tests look at. */
#ifndef DRAIN_TEST_H
#define DRAIN_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "drain_int.h"

#define T_WALL (UINT64_C(1763630043) * SL_NS_PER_S + 221417000) /* 2025-11-20T09:14:03.221417Z */
#define T_MONO (500 * SL_NS_PER_S)
#define T_BOOT "9b1f00112233445566778899aabbccdd"

struct tdrain {
	struct sl_rec_ring *ring;
	struct sl_drain_conf conf;
	struct sl_drain *d;
	uint64_t mono, wall; /* of lockstep */
	struct sl_error e;
	char dir[64];
};

/** A ring, a directory, a clock; nothing runs. */
void td_init(struct tdrain *t, unsigned slots, bool lockstep);
void td_start(struct tdrain *t, const struct sl_sink_conf *sinks, unsigned n);
/** Ends the drain; the directory goes. */
void td_fini(struct tdrain *t);

/** A small policy: zones internal, vpn; targets db1, web; roles engineer (3), contractor (7); rules
 * engineer/101, contractor/102. @param generation of it */
const struct sl_polset *td_policy(uint64_t generation, uint32_t version);
/** A record of a TCP flow from 10.7.0.2:51544 to 10.20.0.10:5432 of peer 81 on interface 1. */
struct sl_rec td_record(unsigned type);
void td_put(struct tdrain *t, const struct sl_rec *r);
/** n records of a kind. */
void td_puts(struct tdrain *t, unsigned type, unsigned n);

/** One counter of a sink's status: "drained", "acked", "queued", "dropped". */
uint64_t td_sink(struct tdrain *t, const char *sink, const char *counter);
/** Of one reason. */
uint64_t td_dropped(struct tdrain *t, const char *sink, const char *reason);
/** drained = acked + dropped + queued, of every sink. */
void td_equation(struct tdrain *t);
/** Until a counter has a value; fails after 10 s. */
void td_wait(struct tdrain *t, const char *sink, const char *counter, uint64_t value);
void td_wait_state(struct tdrain *t, const char *sink, const char *state);

/** Lines of a file, each of which must be JSON that ends in a newline. @return how many; -1: no
 * such file */
int td_lines(const char *path);
/** A file as text; the caller frees it. */
char *td_read(const char *path);
void td_write(const char *path, const char *text);
/** How long files of this process may grow, RLIM_INFINITY: any. */
void td_limit_files(rlim_t bytes);
/** A member by its path: "sluice.peer.name". */
const json_t *td_get(const json_t *o, const char *path);
const char *td_text(const json_t *o, const char *path);

/** A certificate for `names` ("DNS:...,IP:..."), signed by itself, into two files. */
void td_make_cert(const char *names, const char *cert, const char *key);

#endif
