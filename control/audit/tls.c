/* SPDX-License-Identifier: BSD-3-Clause */
#include "tls.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>

#include "sl_addr.h"

static int
refuse(struct sl_error *e, const char *path, const char *what)
{
	char text[160] = "";
	unsigned long code = ERR_get_error();

	if (code != 0)
		ERR_error_string_n(code, text, sizeof(text));
	ERR_clear_error();
	return sl_fail(e, -EINVAL, "sink_tls", path, "%s: %s", what, text);
}

static int
load(SSL_CTX *ctx, const struct sl_sink_conf *c, struct sl_error *e)
{
	if (c->ca_file != NULL) {
		if (SSL_CTX_load_verify_file(ctx, c->ca_file) != 1)
			return refuse(e, "/ca_file", c->ca_file);
	} else if (SSL_CTX_set_default_verify_paths(ctx) != 1) {
		return refuse(e, "/ca_file", "the system's certificate store");
	}
	if (c->cert_file == NULL && c->key_file == NULL)
		return 0;
	if (c->cert_file == NULL || c->key_file == NULL)
		return sl_fail(e, -EINVAL, "sink_tls", "/cert_file",
			       "a client certificate needs cert_file and key_file");
	if (SSL_CTX_use_certificate_chain_file(ctx, c->cert_file) != 1)
		return refuse(e, "/cert_file", c->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, c->key_file, SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_check_private_key(ctx) != 1)
		return refuse(e, "/key_file", c->key_file);
	return 0;
}

SSL_CTX *
sl_tls_new(const struct sl_sink_conf *c, struct sl_error *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for TLS");
		return NULL;
	}
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) != 1 || load(ctx, c, e) != 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static bool
set_name(SSL *ssl, const char *host)
{
	struct sl_ip ip;

	if (sl_ip_parse(host, &ip) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

struct bufferevent *
sl_tls_bufferevent(struct event_base *base, SSL_CTX *ctx, const char *host)
{
	SSL *ssl = SSL_new(ctx);
	struct bufferevent *bev = NULL;

	if (ssl != NULL && set_name(ssl, host))
		bev = bufferevent_openssl_socket_new(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING,
						     BEV_OPT_CLOSE_ON_FREE);
	if (bev == NULL)
		SSL_free(ssl);
	else
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

void
sl_tls_error(struct bufferevent *bev, char *buf, size_t size)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	long verify = ssl != NULL ? SSL_get_verify_result(ssl) : X509_V_OK;
	unsigned long code = bufferevent_get_openssl_error(bev);

	if (verify != X509_V_OK)
		snprintf(buf, size, "TLS: %s", X509_verify_cert_error_string(verify));
	else if (code != 0)
		snprintf(buf, size, "TLS: %s", ERR_reason_error_string(code));
	else
		snprintf(buf, size, "connection closed");
	ERR_clear_error();
}
