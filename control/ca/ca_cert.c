/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates by OpenSSL: what is the same for the authority and for nodes. */
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "ca_int.h"
#include "sl_addr.h"

#define URI_PREFIX "sluice://"
#define SKEW_S 300 /* clocks of nodes may be behind */

EVP_PKEY *
ca_key_new(void)
{
	return EVP_EC_gen("P-256");
}

/** 128 random bits, positive. */
static int
set_serial(X509 *cert)
{
	unsigned char b[16];
	BIGNUM *bn = NULL;
	int ok = 0;

	if (RAND_bytes(b, sizeof(b)) == 1) {
		b[0] = (b[0] & 0x7f) | 0x40;
		bn = BN_bin2bn(b, sizeof(b), NULL);
		ok = bn && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert));
	}
	BN_free(bn);
	return ok;
}

X509 *
ca_cert_new(const char *cn, unsigned days, EVP_PKEY *pub)
{
	X509 *cert = X509_new();
	X509_NAME *subject = cert ? X509_get_subject_name(cert) : NULL;

	if (subject && X509_set_version(cert, X509_VERSION_3) && set_serial(cert) &&
	    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
				       -1, 0) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -SKEW_S) &&
	    X509_time_adj_ex(X509_getm_notAfter(cert), (int)days, 0, NULL) &&
	    X509_set_pubkey(cert, pub))
		return cert;
	X509_free(cert);
	return NULL;
}

int
ca_cert_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;
	int ok;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = ext && X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	return ok ? 0 : -EINVAL;
}

/** A DNS name as it may stand in a SAN: letters, digits, '-', '.'; a '*' first is refused. */
static bool
is_dns_name(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n < 254 && s[0] != '-' && s[0] != '.' && s[n - 1] != '.' &&
	       !strstr(s, "..") &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.") == n;
}

char *
ca_san_text(const char *kind, const char *name, const char *const *hosts, unsigned n,
	    struct sl_error *e)
{
	struct sl_ip ip;
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	fprintf(f, "URI:" URI_PREFIX "%s/%s", kind, name);
	for (unsigned i = 0; i < n; i++) {
		bool is_ip = sl_ip_parse(hosts[i], &ip) == 0;

		if (!is_ip && !is_dns_name(hosts[i])) {
			sl_fail(e, -EINVAL, "host_invalid", "",
				"\"%.100s\" is neither a host name nor an address", hosts[i]);
			fclose(f);
			free(text);
			return NULL;
		}
		fprintf(f, ",%s:%s", is_ip ? "IP" : "DNS", hosts[i]);
	}
	if (fclose(f)) {
		free(text);
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		return NULL;
	}
	return text;
}

/** sluice://KIND/NAME */
static int
read_uri(const ASN1_STRING *s, enum sl_ca_kind *kind, char name[64])
{
	const char *text = (const char *)ASN1_STRING_get0_data(s);
	size_t len = (size_t)ASN1_STRING_length(s), n = strlen(URI_PREFIX);
	char word[16] = {0};
	const char *slash;

	if (len <= n || memchr(text, 0, len) || memcmp(text, URI_PREFIX, n) != 0)
		return -EINVAL;
	slash = memchr(text + n, '/', len - n);
	if (!slash || (size_t)(slash - text) - n >= sizeof(word) ||
	    len - (size_t)(slash + 1 - text) >= 64)
		return -EINVAL;
	memcpy(word, text + n, (size_t)(slash - text) - n);
	memcpy(name, slash + 1, len - (size_t)(slash + 1 - text));
	name[len - (size_t)(slash + 1 - text)] = 0;
	return sl_ca_kind_parse(word, kind);
}

static json_t *
read_host(const GENERAL_NAME *g)
{
	const ASN1_STRING *s = g->d.ia5;
	const uint8_t *b = ASN1_STRING_get0_data(s);
	char text[SL_IP_STR];
	struct sl_ip ip;

	if (g->type == GEN_DNS)
		return json_stringn((const char *)b, (size_t)ASN1_STRING_length(s));
	if (g->type != GEN_IPADD)
		return NULL;
	ip = ASN1_STRING_length(s) == 4 ? sl_ip_v4(b) : sl_ip_v6(b);
	return json_string(sl_ip_str(&ip, text));
}

int
ca_san_read(X509 *cert, enum sl_ca_kind *kind, char name[64], json_t **hosts)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int rc = -EINVAL;
	json_t *host;

	*hosts = json_array();
	for (int i = 0; names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);

		if (g->type == GEN_URI && read_uri(g->d.uniformResourceIdentifier, kind, name) == 0)
			rc = 0;
		host = read_host(g);
		if (host)
			json_array_append_new(*hosts, host);
	}
	GENERAL_NAMES_free(names);
	if (rc) {
		json_decref(*hosts);
		*hosts = NULL;
	}
	return rc;
}

void
ca_serial_text(const X509 *cert, char out[48])
{
	BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = bn ? BN_bn2hex(bn) : NULL;

	snprintf(out, 48, "%s", hex ? hex : "");
	for (char *p = out; *p; p++)
		if (*p >= 'A' && *p <= 'F')
			*p += 'a' - 'A';
	OPENSSL_free(hex);
	BN_free(bn);
}
