/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Parts of control/ca: certificates, files. */
#ifndef SL_CA_INT_H
#define SL_CA_INT_H

#include <openssl/evp.h>
#include <openssl/x509v3.h>

#include "sl_ca.h"

/** The authority, opened. */
struct ca {
	X509 *cert;
	EVP_PKEY *key;
};

int ca_open(const char *dir, struct ca *ca, struct sl_error *e);
void ca_close(struct ca *ca);
/** OpenSSL refused something that should go: memory or its configuration. */
int ca_crypto_failed(struct sl_error *e, const char *what);

/* --- ca_cert.c ------------------------------------------------------------------------------ */

EVP_PKEY *ca_key_new(void);
/** Version, serial, subject CN, times from now, public key. NULL: no memory. */
X509 *ca_cert_new(const char *cn, unsigned days, EVP_PKEY *pub);
/** @return 0 or -EINVAL (a value that OpenSSL does not take) */
int ca_cert_ext(X509 *cert, X509 *issuer, int nid, const char *value);
/** Names and addresses of a SAN, beside the identity: "URI:sluice://…,DNS:…,IP:…", malloc'ed. */
char *ca_san_text(const char *kind, const char *name, const char *const *hosts, unsigned n,
		  struct sl_error *e);
/** Identity and hosts out of a SAN. hosts: array of text. -EINVAL: none of ours. */
int ca_san_read(X509 *cert, enum sl_ca_kind *kind, char name[64], json_t **hosts);
/** Hex of the serial number. */
void ca_serial_text(const X509 *cert, char out[48]);

/* --- ca_file.c ------------------------------------------------------------------------------ */

/** Write a file of this mode whole: beside it, fsync, rename. */
int ca_file_write(const char *path, const char *text, size_t len, unsigned mode,
		  struct sl_error *e);
int ca_cert_write(const char *path, X509 *cert, struct sl_error *e);
int ca_key_write(const char *path, EVP_PKEY *key, struct sl_error *e);
X509 *ca_cert_read(const char *path, struct sl_error *e);
EVP_PKEY *ca_key_read(const char *path, struct sl_error *e);
X509_REQ *ca_csr_read(const char *path, struct sl_error *e);
/** One line at the end of DIR/issued.jsonl, fsynced. */
int ca_record(const char *dir, const json_t *row, struct sl_error *e);

#endif
