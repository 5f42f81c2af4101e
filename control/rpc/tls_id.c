/* SPDX-License-Identifier: BSD-3-Clause */
/* What a certificate says of its holder. The caller has seen to it that it is verified. */
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "tls_int.h"

#define SCHEME "sluice://"

bool
tls_is_client(X509 *cert)
{
	return (X509_get_extension_flags(cert) & EXFLAG_XKUSAGE) &&
	       (X509_get_extended_key_usage(cert) & XKU_SSL_CLIENT);
}

int64_t
tls_not_after(const X509 *cert)
{
	ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
	int days = 0, seconds = 0;

	if (epoch)
		ASN1_TIME_diff(&days, &seconds, epoch, X509_get0_notAfter(cert));
	ASN1_TIME_free(epoch);
	return (int64_t)days * 86400 + seconds;
}

/** Printable ASCII alone: what looks like another name is none. */
static bool
copy_plain(char *out, size_t room, const unsigned char *s, int len)
{
	if (len <= 0 || (size_t)len >= room)
		return false;
	for (int i = 0; i < len; i++) {
		if (s[i] < 0x20 || s[i] > 0x7e)
			return false;
	}
	memcpy(out, s, (size_t)len);
	out[len] = 0;
	return true;
}

static void
read_cn(X509 *cert, struct sl_tls_id *out)
{
	X509_NAME *subject = X509_get_subject_name(cert);
	int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1), len;
	unsigned char *text = NULL;

	if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
		return;
	len = ASN1_STRING_to_UTF8(&text,
				  X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	if (len > 0 && !copy_plain(out->cn, sizeof(out->cn), text, len))
		out->cn[0] = 0;
	if (len >= 0)
		OPENSSL_free(text);
}

static bool
is_word(const char *s, size_t len, size_t max, bool dash)
{
	for (size_t i = 0; i < len; i++) {
		bool plain = (s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9');

		if (!plain && !(dash && s[i] == '-' && i > 0 && i + 1 < len))
			return false;
	}
	return len > 0 && len <= max;
}

/** @return false for one of ours that is malformed or the second */
static bool
read_uri(const ASN1_STRING *uri, struct sl_tls_id *out)
{
	const char *s = (const char *)ASN1_STRING_get0_data(uri), *slash;
	size_t len = (size_t)ASN1_STRING_length(uri), kind;

	if (len < sizeof(SCHEME) - 1 || memcmp(s, SCHEME, sizeof(SCHEME) - 1) != 0)
		return true;
	s += sizeof(SCHEME) - 1;
	len -= sizeof(SCHEME) - 1;
	slash = memchr(s, '/', len);
	kind = slash ? (size_t)(slash - s) : 0;
	if (out->kind[0] || !is_word(s, kind, sizeof(out->kind) - 1, false) ||
	    !is_word(slash + 1, len - kind - 1, sizeof(out->name) - 1, true))
		return false;
	memcpy(out->kind, s, kind);
	memcpy(out->name, slash + 1, len - kind - 1);
	return true;
}

static bool
read_san(X509 *cert, struct sl_tls_id *out)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool ok = true;

	for (int i = 0; ok && names && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_URI)
			ok = read_uri(n->d.uniformResourceIdentifier, out);
	}
	GENERAL_NAMES_free(names);
	return ok;
}

static bool
read_serial(X509 *cert, struct sl_tls_id *out)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
	const unsigned char *b = ASN1_STRING_get0_data(serial);
	int n = ASN1_STRING_length(serial);

	if (n <= 0 || (size_t)n * 2 >= sizeof(out->serial))
		return false;
	for (int i = 0; i < n; i++)
		snprintf(out->serial + 2 * i, 3, "%02x", b[i]);
	return true;
}

int
tls_id_of(X509 *cert, struct sl_tls_id *out)
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	memset(out, 0, sizeof(*out));
	if (X509_digest(cert, EVP_sha256(), sum, &n) != 1 || n != 32 || !read_serial(cert, out) ||
	    !read_san(cert, out)) {
		memset(out, 0, sizeof(*out));
		return -EACCES;
	}
	for (unsigned i = 0; i < n; i++)
		snprintf(out->fingerprint + 2 * i, 3, "%02x", sum[i]);
	read_cn(cert, out);
	out->not_after_s = tls_not_after(cert);
	return 0;
}
