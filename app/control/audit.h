/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the command line changes is in the audit too, and signed at once. */
#ifndef CONTROL_AUDIT_H
#define CONTROL_AUDIT_H

#include "control.h"
#include "sl_trail.h"

struct control_audit {
	struct sl_store *s;
	struct sl_seal_key key;
};

/** @param s a primary's, to be written; no transaction is open. @return 0 or negative errno */
int control_audit_open(struct control_audit *a, struct sl_store *s, const struct control_paths *p,
		       enum sl_trail_since since, struct sl_error *e);
void control_audit_close(struct control_audit *a);
/** End a transaction, in either case. Its row, signed, is a part of it. @param operation "token
 * create" */
int control_audit_commit(struct control_audit *a, struct sl_store_txn *t, const char *operation,
			 struct sl_error *e);
/** What changes no object. @param path what it was about, "-": nothing */
int control_audit_note(struct control_audit *a, const char *operation, const char *path,
		       struct sl_error *e);

#endif
