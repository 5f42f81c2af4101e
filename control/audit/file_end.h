/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Where the chain in an audit file ends, read from the file's end. Whoever may write to the file
 * could append to it while nothing ran: what counts is the last record that our key signed. Only
 * the newest FILE_END_BYTES are looked at, and FILE_END_RECORDS records in them.
 */
#ifndef SL_FILE_END_H
#define SL_FILE_END_H

#include "sl_seal.h"

#define FILE_END_BYTES (64ULL << 20)
#define FILE_END_RECORDS 20000

struct file_end {
	uint64_t whole;		   /* bytes that are whole lines; UINT64_MAX: not known */
	bool all;		   /* it was looked at to its begin, or to what is ours */
	bool chained;		   /* a record with a chain was seen, whoever wrote it */
	struct sl_seal_chain ours; /* the last record that our key signed; n is 0: none was found */
	struct sl_seal_chain at;   /* the last one that fits behind it, signed or not */
	bool passes;		   /* `kept` is one of those behind it */
};

/**
 * @param fd of a regular file that is open for reading; any contents
 * @param kept a place of the chain that was noted; NULL: none
 */
void file_end_read(int fd, const struct sl_seal_key *key, const struct sl_seal_chain *kept,
		   struct file_end *out);

#endif
