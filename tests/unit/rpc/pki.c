/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <dirent.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include "pki.h"

char pki_dir[64];

void
pki_open(void)
{
	snprintf(pki_dir, sizeof(pki_dir), "/tmp/sl-tls-test-XXXXXX");
	assert_non_null(mkdtemp(pki_dir));
}

void
pki_close(void)
{
	DIR *d = opendir(pki_dir);
	struct dirent *f;
	char path[400];

	while (d && (f = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", pki_dir, f->d_name);
		unlink(path);
	}
	closedir(d);
	assert_int_equal(rmdir(pki_dir), 0);
}

const char *
pki_file(const char *name, const char *ext)
{
	static char path[64][160];
	static unsigned at;

	at = (at + 1) % 64;
	snprintf(path[at], sizeof(path[at]), "%s/%s.%s", pki_dir, name, ext);
	return path[at];
}

static void
extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static X509 *
blank(const char *cn, const char *cn2, long from_s, long to_s, EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);
	long serial;

	X509_set_version(cert, 2);
	assert_int_equal(RAND_bytes((unsigned char *)&serial, sizeof(serial)), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial & 0x7fffffff);
	X509_gmtime_adj(X509_getm_notBefore(cert), from_s);
	X509_gmtime_adj(X509_getm_notAfter(cert), to_s);
	if (cn)
		X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					   (const unsigned char *)cn, -1, -1, 0);
	if (cn2)
		X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8,
					   (const unsigned char *)cn2, -1, -1, 0);
	X509_set_pubkey(cert, key);
	return cert;
}

static void
write_cert(const char *name, const char *mode, X509 *cert)
{
	FILE *f = fopen(pki_file(name, "crt"), mode);

	assert_non_null(f);
	assert_int_equal(PEM_write_X509(f, cert), 1);
	fclose(f);
}

struct pki_ca
pki_ca(const char *name)
{
	struct pki_ca ca = {.key = EVP_EC_gen("P-256")};

	ca.cert = blank(name, NULL, -3600, 3600, ca.key);
	X509_set_issuer_name(ca.cert, X509_get_subject_name(ca.cert));
	extend(ca.cert, ca.cert, NID_basic_constraints, "critical,CA:TRUE");
	extend(ca.cert, ca.cert, NID_key_usage, "critical,keyCertSign,cRLSign");
	extend(ca.cert, ca.cert, NID_subject_key_identifier, "hash");
	assert_true(X509_sign(ca.cert, ca.key, EVP_sha256()) > 0);
	write_cert(name, "w", ca.cert);
	return ca;
}

void
pki_ca_free(struct pki_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

static void
append_cert(const char *name, const char *of)
{
	FILE *f = fopen(pki_file(of, "crt"), "r");
	X509 *other = PEM_read_X509(f, NULL, NULL, NULL);

	fclose(f);
	write_cert(name, "a", other);
	X509_free(other);
}

void
pki_issue(const char *name, struct pki_want w)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = blank(w.cn, w.cn2, w.from_s || w.to_s ? w.from_s : -3600,
			   w.from_s || w.to_s ? w.to_s : 3600, key);
	X509 *issuer = w.by ? w.by->cert : cert;
	FILE *f;

	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	extend(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
	extend(cert, issuer, NID_key_usage, "critical,digitalSignature");
	if (w.eku)
		extend(cert, issuer, NID_ext_key_usage, w.eku);
	if (w.san)
		extend(cert, issuer, NID_subject_alt_name, w.san);
	assert_true(X509_sign(cert, w.by ? w.by->key : key, EVP_sha256()) > 0);
	write_cert(name, "w", cert);
	if (w.and_the_cert_of)
		append_cert(name, w.and_the_cert_of);
	f = fopen(pki_file(name, "key"), "w");
	assert_int_equal(fchmod(fileno(f), 0600), 0);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(f);
	X509_free(cert);
	EVP_PKEY_free(key);
}
