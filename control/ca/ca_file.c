/* SPDX-License-Identifier: BSD-3-Clause */
/* Files of the authority: PEM in and out, whole or not at all. */
#include <fcntl.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca_int.h"
#include "sl_file.h"
#include "sl_secret.h"

static int
file_failed(struct sl_error *e, const char *path)
{
	int err = errno ? errno : EIO;

	return sl_fail(e, -err, "file", "", "%.200s: %s", path, strerror(err));
}

int
ca_file_write(const char *path, const char *text, size_t len, unsigned mode, struct sl_error *e)
{
	char tmp[4096];
	int fd, rc;

	if (snprintf(tmp, sizeof(tmp), "%s.new", path) >= (int)sizeof(tmp))
		return sl_fail(e, -ENAMETOOLONG, "file", "", "%.100s...: too long", path);
	unlink(tmp);
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return file_failed(e, tmp);
	rc = sl_file_put(fd, text, len);
	if (rc == 0 && fchmod(fd, mode))
		rc = -errno;
	close(fd);
	if (rc == 0)
		rc = rename(tmp, path) ? -errno : sl_file_sync_parent(path);
	if (rc) {
		unlink(tmp);
		errno = -rc;
		return file_failed(e, path);
	}
	return 0;
}

/** What a memory BIO holds goes to a file; the BIO is wiped and freed. */
static int
bio_to_file(BIO *bio, const char *path, unsigned mode, struct sl_error *e)
{
	char *text = NULL;
	long len = BIO_get_mem_data(bio, &text);
	int rc = ca_file_write(path, text, (size_t)len, mode, e);

	sl_wipe(text, (size_t)len);
	BIO_free(bio);
	return rc;
}

int
ca_cert_write(const char *path, X509 *cert, struct sl_error *e)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_X509(bio, cert)) {
		BIO_free(bio);
		return ca_crypto_failed(e, "writing a certificate");
	}
	return bio_to_file(bio, path, 0644, e);
}

int
ca_key_write(const char *path, EVP_PKEY *key, struct sl_error *e)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (!bio || !PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL)) {
		BIO_free(bio);
		return ca_crypto_failed(e, "writing a key");
	}
	return bio_to_file(bio, path, 0600, e);
}

/** @param what for the message when OpenSSL does not find it */
static void *
read_pem(const char *path, const char *reason, const char *what, void *(*read)(FILE *f),
	 struct sl_error *e)
{
	FILE *f = fopen(path, "re");
	void *v;

	if (!f) {
		file_failed(e, path);
		return NULL;
	}
	v = read(f);
	fclose(f);
	if (!v) {
		sl_fail(e, -EINVAL, reason, "", "%.200s holds no %s", path, what);
		sl_hint(e, "PEM is expected, \"-----BEGIN ...\"");
	}
	return v;
}

static void *
read_cert(FILE *f)
{
	return PEM_read_X509(f, NULL, NULL, NULL);
}

static void *
read_key(FILE *f)
{
	static char none[] = ""; /* never ask at the terminal */

	return PEM_read_PrivateKey(f, NULL, NULL, none);
}

static void *
read_csr(FILE *f)
{
	return PEM_read_X509_REQ(f, NULL, NULL, NULL);
}

X509 *
ca_cert_read(const char *path, struct sl_error *e)
{
	return read_pem(path, "cert_invalid", "certificate", read_cert, e);
}

EVP_PKEY *
ca_key_read(const char *path, struct sl_error *e)
{
	return read_pem(path, "key_invalid", "private key without a pass phrase", read_key, e);
}

X509_REQ *
ca_csr_read(const char *path, struct sl_error *e)
{
	return read_pem(path, "csr_invalid", "certificate request", read_csr, e);
}

int
ca_record(const char *dir, const json_t *row, struct sl_error *e)
{
	char path[4096], *text = json_dumps(row, JSON_COMPACT | JSON_SORT_KEYS), *line = NULL;
	int len = text ? asprintf(&line, "%s\n", text) : -1;
	int fd, rc;

	free(text);
	if (len < 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	snprintf(path, sizeof(path), "%s/issued.jsonl", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0) {
		free(line);
		return file_failed(e, path);
	}
	rc = sl_file_put(fd, line, (size_t)len);
	close(fd);
	free(line);
	if (rc) {
		errno = -rc;
		return file_failed(e, path);
	}
	return 0;
}
