/* SPDX-License-Identifier: BSD-3-Clause */
/* The authority: init, issue, renew, list. */
#include "sl_ca.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ca_int.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define PATH_ROOM 4096

static const struct {
	const char *name, *usage;
} kinds[SL_CA_KIND_N] = {
	[SL_CA_CONTROL] = {"control", "serverAuth,clientAuth"},
	[SL_CA_GATEWAY] = {"gateway", "serverAuth,clientAuth"},
	[SL_CA_OPERATOR] = {"operator", "clientAuth"},
	[SL_CA_AGENT] = {"agent", "clientAuth"},
};

const char *
sl_ca_kind_name(enum sl_ca_kind k)
{
	return kinds[k].name;
}

int
sl_ca_kind_parse(const char *name, enum sl_ca_kind *out)
{
	for (unsigned k = 0; k < SL_CA_KIND_N; k++)
		if (strcmp(kinds[k].name, name) == 0) {
			*out = k;
			return 0;
		}
	return -EINVAL;
}

int
ca_crypto_failed(struct sl_error *e, const char *what)
{
	return sl_fail(e, -ENOMEM, "crypto", "", "OpenSSL refused %s", what);
}

static int
check_name(const char *name, struct sl_error *e)
{
	size_t n = strlen(name);

	if (n > 0 && n < 64 && strspn(name, NAME_CHARS) == n && name[0] != '-' &&
	    name[n - 1] != '-')
		return 0;
	sl_fail(e, -EINVAL, "name_invalid", "", "\"%.80s\" cannot be a name", name);
	sl_hint(e, "up to 63 of a-z, 0-9 and '-', neither first nor last a '-'");
	return -EINVAL;
}

static int
check_days(unsigned days, struct sl_error *e)
{
	if (days >= 1 && days <= 36500)
		return 0;
	return sl_fail(e, -EINVAL, "days_range", "", "days must be 1 to 36500");
}

static void
in_dir(char *out, const char *dir, const char *file)
{
	snprintf(out, PATH_ROOM, "%s/%s", dir, file);
}

/* --- the authority itself ------------------------------------------------------------------- */

static X509 *
self_signed(const char *name, unsigned days, EVP_PKEY *key)
{
	X509 *cert = ca_cert_new(name, days, key);

	if (cert && X509_set_issuer_name(cert, X509_get_subject_name(cert)) &&
	    ca_cert_ext(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") == 0 &&
	    ca_cert_ext(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") == 0 &&
	    ca_cert_ext(cert, cert, NID_subject_key_identifier, "hash") == 0 &&
	    X509_sign(cert, key, EVP_sha256()))
		return cert;
	X509_free(cert);
	return NULL;
}

int
sl_ca_init(const char *dir, const char *name, unsigned days, struct sl_error *e)
{
	char cert_path[PATH_ROOM], key_path[PATH_ROOM];
	X509 *cert = NULL;
	EVP_PKEY *key;
	int rc = check_days(days, e);

	if (rc)
		return rc;
	if (!name[0] || strlen(name) > 63)
		return sl_fail(e, -EINVAL, "name_invalid", "", "a name has 1 to 63 characters");
	in_dir(cert_path, dir, "ca.pem");
	in_dir(key_path, dir, "ca.key");
	if (access(cert_path, F_OK) == 0 || access(key_path, F_OK) == 0) {
		sl_fail(e, -EEXIST, "ca_exists", "", "%.200s holds an authority already", dir);
		sl_hint(e, "use it, or name another directory");
		return -EEXIST;
	}
	if (mkdir(dir, 0700) && errno != EEXIST)
		return sl_fail(e, -errno, "file", "", "%.200s: %s", dir, strerror(errno));
	key = ca_key_new();
	if (key)
		cert = self_signed(name, days, key);
	rc = cert ? ca_key_write(key_path, key, e) : ca_crypto_failed(e, "to make the authority");
	rc = rc ? rc : ca_cert_write(cert_path, cert, e);
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}

int
ca_open(const char *dir, struct ca *ca, struct sl_error *e)
{
	char path[PATH_ROOM];

	memset(ca, 0, sizeof(*ca));
	in_dir(path, dir, "ca.pem");
	if (access(path, F_OK)) {
		sl_fail(e, -ENOENT, "ca_missing", "", "%.200s holds no authority", dir);
		sl_hint(e, "sluicectl ca init %.150s", dir);
		return -ENOENT;
	}
	ca->cert = ca_cert_read(path, e);
	in_dir(path, dir, "ca.key");
	ca->key = ca->cert ? ca_key_read(path, e) : NULL;
	if (ca->key && X509_check_private_key(ca->cert, ca->key) == 1)
		return 0;
	if (ca->key)
		sl_fail(e, -EINVAL, "key_mismatch", "", "ca.key and ca.pem in %.200s are no pair",
			dir);
	ca_close(ca);
	return e->err;
}

void
ca_close(struct ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
}

/* --- nodes ---------------------------------------------------------------------------------- */

/** Identity of a certificate to be signed. */
struct node {
	enum sl_ca_kind kind;
	const char *name;
	const char *const *hosts;
	unsigned n_hosts, days;
};

static X509 *
sign_node(const struct ca *ca, const struct node *n, EVP_PKEY *pub, struct sl_error *e)
{
	char *san = ca_san_text(kinds[n->kind].name, n->name, n->hosts, n->n_hosts, e);
	X509 *cert = san ? ca_cert_new(n->name, n->days, pub) : NULL;
	bool ok = cert && X509_set_issuer_name(cert, X509_get_subject_name(ca->cert)) &&
		  ca_cert_ext(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE") == 0 &&
		  ca_cert_ext(cert, ca->cert, NID_key_usage, "critical,digitalSignature") == 0 &&
		  ca_cert_ext(cert, ca->cert, NID_ext_key_usage, kinds[n->kind].usage) == 0 &&
		  ca_cert_ext(cert, ca->cert, NID_authority_key_identifier, "keyid:always") == 0 &&
		  ca_cert_ext(cert, ca->cert, NID_subject_alt_name, san) == 0 &&
		  X509_sign(cert, ca->key, EVP_sha256());

	if (san && !ok)
		ca_crypto_failed(e, "to sign the certificate");
	free(san);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

static json_t *
hosts_json(const struct node *n)
{
	json_t *a = json_array();

	for (unsigned i = 0; i < n->n_hosts; i++)
		json_array_append_new(a, json_string(n->hosts[i]));
	return a;
}

static int
record(const char *dir, const X509 *cert, const struct node *n, struct sl_error *e)
{
	char serial[48], when[24];
	struct tm tm;
	json_t *row;
	int rc;

	ca_serial_text(cert, serial);
	if (!ASN1_TIME_to_tm(X509_get0_notAfter(cert), &tm))
		return ca_crypto_failed(e, "a time");
	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	row = json_pack("{s:s, s:s, s:s, s:s, s:o}", "serial", serial, "kind", kinds[n->kind].name,
			"name", n->name, "not_after", when, "hosts", hosts_json(n));
	rc = row ? ca_record(dir, row, e) : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	json_decref(row);
	return rc;
}

/** Sign, note it, write it. What is noted was perhaps not written; never the other way round. */
static int
issue(const char *dir, const struct ca *ca, const struct node *n, EVP_PKEY *pub,
      const char *cert_out, struct sl_error *e)
{
	X509 *cert = sign_node(ca, n, pub, e);
	int rc = cert ? record(dir, cert, n, e) : e->err;

	rc = rc ? rc : ca_cert_write(cert_out, cert, e);
	X509_free(cert);
	return rc;
}

/** The public key of a request, which proves that its sender holds the private one. */
static EVP_PKEY *
csr_key(const char *file, struct sl_error *e)
{
	X509_REQ *csr = ca_csr_read(file, e);
	EVP_PKEY *key = csr ? X509_REQ_get_pubkey(csr) : NULL;

	if (csr && (!key || X509_REQ_verify(csr, key) != 1)) {
		sl_fail(e, -EINVAL, "csr_invalid", "",
			"%.200s: the request is not signed by its key", file);
		EVP_PKEY_free(key);
		key = NULL;
	}
	X509_REQ_free(csr);
	return key;
}

int
sl_ca_issue(const char *dir, const struct sl_ca_want *w, struct sl_error *e)
{
	struct node n = {w->kind, w->name, w->hosts, w->n_hosts,
			 w->days ? w->days : SL_CA_NODE_DAYS};
	EVP_PKEY *key = NULL;
	struct sl_error local;
	struct ca ca;
	int rc;

	e = e ? e : &local;
	*e = (struct sl_error){0};
	rc = check_name(w->name, e);
	rc = rc ? rc : check_days(n.days, e);
	rc = rc ? rc : ca_open(dir, &ca, e);
	if (rc)
		return rc;
	if (w->csr_file)
		key = csr_key(w->csr_file, e);
	else if (!(key = ca_key_new()))
		ca_crypto_failed(e, "to make a key");
	rc = key ? 0 : e->err;
	if (rc == 0 && !w->csr_file)
		rc = ca_key_write(w->key_out, key, e);
	rc = rc ? rc : issue(dir, &ca, &n, key, w->cert_out, e);
	EVP_PKEY_free(key);
	ca_close(&ca);
	return rc;
}

/** Signed by us, for somebody? */
static int
check_ours(const struct ca *ca, X509 *cert, const char *file, struct sl_error *e)
{
	if (X509_verify(cert, ca->key) == 1)
		return 0;
	sl_fail(e, -EPERM, "cert_foreign", "", "%.200s was not signed by this authority", file);
	sl_hint(e, "sluicectl ca issue makes a new one");
	return -EPERM;
}

static int
renew(const char *dir, const struct ca *ca, X509 *old, const char *cert_file, EVP_PKEY *key,
      unsigned days, struct sl_error *e)
{
	struct node n = {.days = days ? days : SL_CA_NODE_DAYS};
	const char **hosts;
	char name[64];
	json_t *list;
	int rc = check_days(n.days, e);

	if (rc == 0 && ca_san_read(old, &n.kind, name, &list))
		rc = sl_fail(e, -EINVAL, "cert_invalid", "", "%.200s names no sluice:// identity",
			     cert_file);
	if (rc)
		return rc;
	hosts = calloc(json_array_size(list) + 1, sizeof(*hosts));
	for (size_t i = 0; hosts && i < json_array_size(list); i++)
		hosts[n.n_hosts++] = json_string_value(json_array_get(list, i));
	n.name = name;
	n.hosts = hosts;
	rc = hosts ? issue(dir, ca, &n, key, cert_file, e)
		   : sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	free(hosts);
	json_decref(list);
	return rc;
}

static EVP_PKEY *
renewed_key(X509 *old, const char *key_file, struct sl_error *e)
{
	EVP_PKEY *key;

	if (!key_file)
		return X509_get_pubkey(old);
	key = ca_key_new();
	if (!key)
		ca_crypto_failed(e, "to make a key");
	else if (ca_key_write(key_file, key, e) == 0)
		return key;
	EVP_PKEY_free(key);
	return NULL;
}

int
sl_ca_renew(const char *dir, const char *cert_file, const char *key_file, unsigned days,
	    struct sl_error *e)
{
	struct sl_error local;
	EVP_PKEY *key = NULL;
	struct ca ca;
	X509 *old;
	int rc;

	e = e ? e : &local;
	*e = (struct sl_error){0};
	rc = ca_open(dir, &ca, e);
	if (rc)
		return rc;
	old = ca_cert_read(cert_file, e);
	rc = old ? check_ours(&ca, old, cert_file, e) : e->err;
	if (rc == 0) {
		key = renewed_key(old, key_file, e);
		rc = key ? renew(dir, &ca, old, cert_file, key, days, e) : e->err;
	}
	EVP_PKEY_free(key);
	X509_free(old);
	ca_close(&ca);
	return rc;
}

int
sl_ca_list(const char *dir, json_t **out, struct sl_error *e)
{
	char path[PATH_ROOM], *line = NULL;
	size_t room = 0;
	ssize_t n;
	FILE *f;

	in_dir(path, dir, "ca.pem");
	if (access(path, F_OK)) {
		sl_fail(e, -ENOENT, "ca_missing", "", "%.200s holds no authority", dir);
		sl_hint(e, "sluicectl ca init %.150s", dir);
		return -ENOENT;
	}
	*out = json_array();
	in_dir(path, dir, "issued.jsonl");
	f = fopen(path, "re");
	while (f && (n = getline(&line, &room, f)) > 0) {
		json_t *row = json_loadb(line, (size_t)n, 0, NULL);

		if (row)
			json_array_append_new(*out, row);
	}
	free(line);
	if (f)
		fclose(f);
	return 0;
}
