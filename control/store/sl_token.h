/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Tokens: slt_<10-character id>_<43 characters of base62>, shown once; kept as BLAKE2b-256 keyed
 * with a pepper from a credential file. As HTTP Basic the user is the id, the password the secret.
 */
#ifndef SL_TOKEN_H
#define SL_TOKEN_H

#include "sl_object.h"
#include "sl_service.h"
#include "sl_store.h"

#define SL_TOKEN_ID 11 /* with the zero */
#define SL_TOKEN_TEXT 64

struct sl_pepper {
	uint8_t key[32];
};
/** Read, or make with `create` (0600) where there is none: 64 hex digits. Wipe it at the end.
 * @return 0; -ENOENT file; -EPERM file_foreign, file_mode; -EINVAL pepper_invalid; -EIO file */
int sl_pepper_load(const char *file, bool create, struct sl_pepper *out, struct sl_error *e);

/**
 * Make a token: text (to be shown once and wiped) and the body of its object.
 * @param creator who asks; NULL: the local command line
 * @param bound NULL or "": none; needed with follower, gateway, agent and peer
 * @param expires_wall_ns 0: never; @param source_cidr, description NULL or "": none
 * @return 0; -EPERM token_too_strong; -EINVAL roles_missing, bound_missing, source_invalid
 */
int sl_token_make(const struct sl_pepper *p, const struct sl_principal *creator, uint16_t roles,
		  const char *bound, uint64_t expires_wall_ns, const char *source_cidr,
		  const char *description, char id[SL_TOKEN_ID], char text[SL_TOKEN_TEXT],
		  json_t **body, struct sl_error *e);
/**
 * Who holds this token? Time does not depend on the secret. Revoked, expired and foreign sources
 * are refused. Its use is noted, at most once a minute, for sl_token_uses(): nothing is written.
 * @param from address of the caller; @return 0 or -EACCES
 */
int sl_token_check(struct sl_store *s, const struct sl_pepper *p, const char *text,
		   const struct sl_ip *from, uint64_t now_wall_ns, struct sl_principal *out);
/** Is it a token of a peer or an agent alone, whether or not it is still taken? Where those call
 * from is told nowhere. */
bool sl_token_of_peer(struct sl_store *s, const struct sl_pepper *p, const char *text);
/** When it ends, wall seconds; 0: never, or there is no such token. */
int64_t sl_token_until(struct sl_store *s, const char *id);
/** Of tokens that have not ended, wall seconds. */
struct sl_token_endings {
	unsigned soon;		 /* end before `soon_s` */
	int64_t next_s[SL_SR_N]; /* when the next one with that role ends; 0: none does */
};
void sl_token_endings(struct sl_store *s, int64_t now_s, int64_t soon_s,
		      struct sl_token_endings *out);
/** When it was last taken, wall seconds; 0: never, or not on this node. */
uint64_t sl_token_last_used(struct sl_store *s, const char *id);
/** What sl_token_check() noted of this handle since the last call, {ID: wall seconds}, a new
 * reference; NULL: nothing. What is then not written is noted again with the next use. */
json_t *sl_token_uses(struct sl_store *s);
/** Write it, in a transaction beside the log; with a handle of a thread that may wait for the disk.
 * @return 0, -EBUSY store_busy or as SQLite says */
int sl_token_write_uses(struct sl_store *s, json_t *uses, struct sl_error *e);
/** End it: the object goes, a crl object tells everybody. @return as sl_store_del() */
int sl_token_revoke(struct sl_store_txn *t, const char *id, struct sl_error *e);
/** Would the token of a principal of sl_token_check() still be taken, from there, for the same? */
bool sl_token_still(struct sl_store *s, const struct sl_principal *who, const struct sl_ip *from,
		    uint64_t now_wall_ns);

#endif
