/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The chain of the admin records in a file sink's file (sl_seal.h): those of control and of the
 * drain on itself; records of flows are in none. Each is signed. The chain goes on over rotation
 * and restart: each file's first record is a seal, which others get too, and where the chain stands
 * is kept in the state directory. The writer's thread alone, which may block.
 */
#ifndef SL_FILE_CHAIN_H
#define SL_FILE_CHAIN_H

#include <limits.h>

#include "queue.h"
#include "sl_seal.h"

struct sl_sink_env;

struct file_chain {
	const struct sl_sink_env *env;
	const char *path;	 /* of the sink */
	char place[PATH_MAX];	 /* file of the state directory */
	struct sl_seal_chain at; /* of the last record that stands in a file */
	bool found;		 /* `at` is known */
	bool begin;		 /* the file at hand wants a seal first */
	const char *why;	 /* that it has: start, continue, found */
	uint64_t unsealed_from;	 /* from there to `at` they are not signed: the first seal tells */
	uint64_t since_seal;	 /* records after the last one that is a seal and nothing else */
	uint64_t since_ns;	 /* the first of them, monotonic */
};

void file_chain_init(struct file_chain *c, const struct sl_sink_env *env, const char *path);
/** Are records chained here at all? */
bool file_chain_on(const struct file_chain *c);
/**
 * Before the first write: where did the chain end?
 * @param[out] whole bytes of the file that are whole lines: what a crash left behind them is none
 */
void file_chain_find(struct file_chain *c, uint64_t *whole);
/** A record with its chain and signature behind `at`, which goes on. @return NULL without memory */
struct sl_line *file_chain_link(const struct file_chain *c, struct sl_seal_chain *at,
				const struct sl_line *l);
/** The same of a seal that is made here. */
struct sl_line *file_chain_seal(const struct file_chain *c, struct sl_seal_chain *at,
				const char *why);
/** Records up to `at` stand in the file, n of them, or a seal. */
void file_chain_wrote(struct file_chain *c, const struct sl_seal_chain *at, unsigned n, bool seal);
/** Records have had no seal that others get, too, for so long that they should. */
bool file_chain_due(const struct file_chain *c);

#endif
