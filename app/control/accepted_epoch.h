/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What somebody has said here of an epoch that a follower would not take by itself: a file
 * of the state directory, which a running follower reads when it is refused next. */
#ifndef CONTROL_ACCEPTED_EPOCH_H
#define CONTROL_ACCEPTED_EPOCH_H

#include "control.h"

struct accepted_epoch {
	char id[33];	      /* may be taken ... */
	char from[33];	      /* ... as long as the store is in this one */
	char by[32];	      /* "uid:0" */
	char at[SL_TIME_STR]; /* when */
};

#define ACCEPTED_EPOCH_LINE (sizeof(struct accepted_epoch) + 8)

/** @return are these the 32 hex digits of an epoch? */
bool accepted_epoch_is_id(const char *text);
/** The text of the file, "ID FROM BY AT\n". @return false: that is not what was written */
bool accepted_epoch_parse(const char *text, struct accepted_epoch *out);
/** It is on the disk when this returns. @return 0; -EIO state_io */
int accepted_epoch_write(const struct control_paths *p, const struct accepted_epoch *a,
			 struct sl_error *e);
/** @return false: there is none, or it cannot be read */
bool accepted_epoch_read(const struct control_paths *p, struct accepted_epoch *out);

#endif
