/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_tls_failed.h"

#include <event2/bufferevent_ssl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>

#include "sl_env.h"
#include "sl_log.h"
#include "tls_int.h"

const char *
sl_tls_failure_name(enum sl_tls_failure f)
{
	static const char *const names[] = {[SL_TLS_EXPIRED] = "expired",
					    [SL_TLS_CERTIFICATE] = "certificate",
					    [SL_TLS_CLIENT] = "client",
					    [SL_TLS_PROTOCOL] = "protocol",
					    [SL_TLS_SILENT] = "silent"};

	_Static_assert(SL_ARRAY_SIZE(names) == SL_TLS_FAILURES, "a name each");
	return names[f];
}

/** @param code of the library, 0: none. RFC 8446, 6: an alert of the client has a code above that
 * of its own errors. */
static enum sl_tls_failure
failure_of(long verify, unsigned long code)
{
	if (verify == X509_V_ERR_CERT_HAS_EXPIRED)
		return SL_TLS_EXPIRED;
	if (verify != X509_V_OK)
		return SL_TLS_CERTIFICATE;
	if (code == 0)
		return SL_TLS_SILENT;
	return ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET ? SL_TLS_CLIENT : SL_TLS_PROTOCOL;
}

static bool
may_tell(struct sl_tls_failures *f)
{
	uint64_t now = sl_clock_mono_ns();

	if (f->told_ns != 0 && now - f->told_ns < SL_NS_PER_S) {
		f->untold++;
		return false;
	}
	f->told_ns = now;
	return true;
}

/** Of one that has ended the signature was good: which one it is. */
static const char *
whose(const SSL *ssl, char *out, size_t room)
{
	const struct sl_tls_id *id = tls_expired(ssl);

	out[0] = '\0';
	if (id != NULL)
		snprintf(out, room, ": cert:%s of %s %s", id->serial,
			 id->kind[0] != '\0' ? id->kind : "name",
			 id->kind[0] != '\0' ? id->name : id->cn);
	return out;
}

static bool
is_agent(const SSL *ssl)
{
	const struct sl_tls_id *id = tls_expired(ssl);

	return id != NULL && strcmp(id->kind, "agent") == 0;
}

void
sl_tls_failed(struct sl_tls_failures *f, struct bufferevent *bev, const struct sl_ip *from,
	      const char *topic)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	long verify = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
	unsigned long code = bufferevent_get_openssl_error(bev);
	enum sl_tls_failure how = failure_of(verify, code);
	const char *why = verify != X509_V_OK ? X509_verify_cert_error_string(verify)
					      : ERR_reason_error_string(code);
	char text[SL_IP_STR], more[48] = "", id[160];

	f->n[how]++;
	ERR_clear_error();
	if (how == SL_TLS_SILENT || !may_tell(f))
		return;
	if (f->untold > 0)
		snprintf(more, sizeof(more), " (%" PRIu64 " more since the last one)", f->untold);
	f->untold = 0;
	sl_log(SL_LOG_NOTICE, topic, "handshake with tls:%s failed: %s%s%s",
	       is_agent(ssl) ? "a peer" : sl_ip_str(from, text), why != NULL ? why : "no reason",
	       whose(ssl, id, sizeof(id)), more);
}
