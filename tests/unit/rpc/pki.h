/* SPDX-License-Identifier: BSD-3-Clause */
/** @file A small certificate authority for tests: P-256, files in a directory of the test. */
#ifndef TEST_PKI_H
#define TEST_PKI_H

#include <openssl/x509v3.h>

struct pki_ca {
	X509 *cert;
	EVP_PKEY *key;
};

/** A certificate that is wanted; zero members are left out. */
struct pki_want {
	const char *cn, *cn2;	     /* cn2: a second one */
	const char *san;	     /* as in openssl.cnf: "URI:sluice://gateway/gw-1,DNS:x" */
	const char *eku;	     /* "clientAuth", "serverAuth" */
	long from_s, to_s;	     /* seconds from now; both 0: an hour ago to in an hour */
	const struct pki_ca *by;     /* NULL: signs itself */
	const char *and_the_cert_of; /* a name whose certificate is appended to the file */
};

extern char pki_dir[64];
/** Make the directory. */
void pki_open(void);
/** Remove it with what is in it. */
void pki_close(void);
/** "DIR/NAME.EXT", in one of 64 buffers. */
const char *pki_file(const char *name, const char *ext);
/** Make a CA and write NAME.crt. */
struct pki_ca pki_ca(const char *name);
void pki_ca_free(struct pki_ca *ca);
/** Write NAME.crt and NAME.key (0600). */
void pki_issue(const char *name, struct pki_want w);

#endif
