/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Heads of requests: just enough to decide, before a body is read, how much of one is taken, and
 * the values of headers that say who calls. Pure; bytes come from outside.
 */
#ifndef SL_REST_HEAD_H
#define SL_REST_HEAD_H

#include "sl_base.h"
#include "sl_error.h"

#define SL_HEAD_MAX 16384 /* bytes of a request line and headers */

/** Length of a head with its blank line, 0: not yet complete. */
size_t sl_head_len(const char *data, size_t len);
/**
 * The first line of a head. @param method at least 8 bytes; @param target `room` bytes
 * @return 0, -EINVAL (no request line), -E2BIG (target)
 */
int sl_head_line(const char *head, size_t len, char method[8], char *target, size_t room);
/**
 * The value of a header, without blanks around it.
 * @return its length; -ENOENT; -EEXIST it stands twice; -E2BIG; -EINVAL it holds a zero byte
 */
int sl_head_get(const char *head, size_t len, const char *name, char *out, size_t room);

/**
 * May this head be read on? One request of HTTP/1.0 or 1.1, well-formed to the letter (RFC 9112: no
 * folded lines, no blanks before a colon, one length), whose body, if any, has a length.
 * @param len of a whole head, or of a part that holds its first line: then that alone is looked at
 * @return 0; -EINVAL request_invalid, method_unknown, version_unknown, length_required
 */
int sl_head_check(const char *head, size_t len, struct sl_error *e);

#define SL_CREDENTIAL_MAX 128
/**
 * The credential of an Authorization header as sl_token_check() takes it: "Bearer slt_…" as it is,
 * "Basic …" with user (token id) and password (secret) as slt_USER_PASSWORD.
 * @return 0, -EINVAL auth_invalid
 */
int sl_head_credential(const char *value, char out[SL_CREDENTIAL_MAX], struct sl_error *e);

/** The name in a Host header: without port, brackets and a last dot, in lower case.
 * @return 0, -EINVAL */
int sl_head_host(const char *value, char *out, size_t room);

/** An entity tag `"123"`, weak or strong, or `*` (then *any). @return 0, -EINVAL */
int sl_head_etag(const char *value, uint64_t *rev, bool *any);

#endif
