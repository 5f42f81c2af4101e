/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The file of a gateway's tokens (0600). A line is a token: its id, the BLAKE2b-256 of its text in
 * hex, its role, and when it ends (2027-01-31T00:00:00Z, or - for never); # begins a comment. The
 * text slt_ID_SECRET itself, 10 and 43 characters of 0-9 A-Z a-z, is shown once when it is made: a
 * secret of 256 random bits needs no slow hash. Blocks for disk.
 */
#ifndef SL_REMOTE_TOKENS_H
#define SL_REMOTE_TOKENS_H

#include "sl_error.h"
#include "sl_service.h"

#define SL_REMOTE_TOKEN_ID 10
#define SL_REMOTE_TOKEN_TEXT (4 + SL_REMOTE_TOKEN_ID + 1 + 43)

struct sl_remote_tokens;

/** @return 0, or an error at /tokens_file: file, key_mode (others may read it), tokens_invalid
 * (with the line), tokens_many, no_memory */
int sl_remote_tokens_load(const char *file, struct sl_remote_tokens **out, struct sl_error *e);
void sl_remote_tokens_free(struct sl_remote_tokens *t); /* NULL allowed */
/**
 * Whose token is it? Time does not depend on the secret.
 * @param[out] who name "token:ID" and its role; @param[out] until_s 0: for ever
 * @return 0 or -EACCES
 */
int sl_remote_tokens_check(const struct sl_remote_tokens *t, const char *text, int64_t now_s,
			   struct sl_principal *who, int64_t *until_s);
/** Is the token of "token:ID" still there, with these roles, and not at its end? */
bool sl_remote_tokens_hold(const struct sl_remote_tokens *t, const struct sl_principal *who,
			   int64_t now_s);

/**
 * Make a token and append it to the file, which is made where there is none.
 * @param until_s 0: for ever
 * @param[out] text to be shown once; the caller wipes it
 * @return 0, or an error: file, key_mode
 */
int sl_remote_tokens_make(const char *file, enum sl_service_role role, int64_t until_s,
			  char text[SL_REMOTE_TOKEN_TEXT + 1], struct sl_error *e);

#endif
