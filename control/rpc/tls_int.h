/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of TLS. */
#ifndef SL_TLS_INT_H
#define SL_TLS_INT_H

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "sl_tls.h"

/** May it stand for a client? Its extended key usage says so in words; none at all is not enough.
 */
bool tls_is_client(X509 *cert);
/** Read an identity. @return 0 or -EACCES */
int tls_id_of(X509 *cert, struct sl_tls_id *out);
int64_t tls_not_after(const X509 *cert);

/** The client's certificate, where a handshake failed because it has ended: it is one of ours.
 * NULL: that was not why */
const struct sl_tls_id *tls_expired(const SSL *ssl);

#endif
