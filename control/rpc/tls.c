/* SPDX-License-Identifier: BSD-3-Clause */
/* Contexts and connections of TLS 1.3. */
#include "sl_tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_addr.h"
#include "tls_int.h"

#define ALPN_MAX 64

struct sl_tls {
	SSL_CTX *ctx;
	char *cert_file, *key_file, *ca_file, *alpn;
	bool server, require_cert;
};

static int
refuse(struct sl_error *e, const char *path, const char *reason, const char *file)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	sl_fail(e, -EINVAL, reason, path, "%s: %s", file, why ? why : "not usable");
	ERR_clear_error();
	return -EINVAL;
}

static int
check_file(const char *file, const char *path, bool secret, struct sl_error *e)
{
	struct stat st;
	int rc;

	if (stat(file, &st) || access(file, R_OK)) {
		rc = -errno;
		return sl_fail(e, rc, "file", path, "%s: %s", file, strerror(-rc));
	}
	if (secret && (st.st_mode & 0177)) {
		sl_fail(e, -EINVAL, "key_mode", path, "%s has mode %04o; others may read the key",
			file, (unsigned)st.st_mode & 07777);
		sl_hint(e, "chmod 0600 %s", file);
		return -EINVAL;
	}
	return 0;
}

static int
load_own(const struct sl_tls *t, SSL_CTX *ctx, struct sl_error *e)
{
	int rc;

	if (!t->cert_file && !t->key_file && !t->server)
		return 0;
	if (!t->cert_file || !t->key_file)
		return sl_fail(e, -EINVAL, t->cert_file ? "key_invalid" : "cert_invalid",
			       t->cert_file ? "/key_file" : "/cert_file",
			       "a certificate needs both cert_file and key_file");
	rc = check_file(t->cert_file, "/cert_file", false, e);
	rc = rc ? rc : check_file(t->key_file, "/key_file", true, e);
	if (rc)
		return rc;
	if (SSL_CTX_use_certificate_chain_file(ctx, t->cert_file) != 1)
		return refuse(e, "/cert_file", "cert_invalid", t->cert_file);
	if (SSL_CTX_use_PrivateKey_file(ctx, t->key_file, SSL_FILETYPE_PEM) != 1) {
		if (ERR_GET_REASON(ERR_peek_last_error()) == X509_R_KEY_VALUES_MISMATCH)
			return refuse(e, "/key_file", "key_mismatch", t->key_file);
		return refuse(e, "/key_file", "key_invalid", t->key_file);
	}
	if (SSL_CTX_check_private_key(ctx) != 1)
		return refuse(e, "/key_file", "key_mismatch", t->key_file);
	return 0;
}

/** Whoever looks for it while the SSL ends finds it, or nothing. */
static void
free_expired(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	CRYPTO_set_ex_data(ad, idx, NULL);
	free(ptr);
}

static int
expired_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_expired);
	return index;
}

const struct sl_tls_id *
tls_expired(const SSL *ssl)
{
	return ssl ? SSL_get_ex_data(ssl, expired_index()) : NULL;
}

/** The library looks at a certificate's time after its signature: the name is what was signed. */
static void
note_expired(SSL *ssl, X509_STORE_CTX *x)
{
	struct sl_tls_id *id = calloc(1, sizeof(*id));

	if (id && tls_id_of(X509_STORE_CTX_get_current_cert(x), id) == 0 &&
	    SSL_set_ex_data(ssl, expired_index(), id) == 1)
		return;
	free(id);
}

/** Beyond what the library asks of a chain: a client's leaf must say that it is one. */
static int
on_verify(int ok, X509_STORE_CTX *x)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(x, SSL_get_ex_data_X509_STORE_CTX_idx());

	if (!ok && X509_STORE_CTX_get_error(x) == X509_V_ERR_CERT_HAS_EXPIRED &&
	    X509_STORE_CTX_get_error_depth(x) == 0 && SSL_is_server(ssl) && !tls_expired(ssl))
		note_expired(ssl, x);
	if (ok && X509_STORE_CTX_get_error_depth(x) == 0 && SSL_is_server(ssl) &&
	    !tls_is_client(X509_STORE_CTX_get_current_cert(x))) {
		X509_STORE_CTX_set_error(x, X509_V_ERR_INVALID_PURPOSE);
		return 0;
	}
	return ok;
}

static int
load_ca(const struct sl_tls *t, SSL_CTX *ctx, struct sl_error *e)
{
	int mode = SSL_VERIFY_PEER | (t->require_cert ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), rc;

	if (t->server && !t->ca_file) {
		if (t->require_cert)
			return sl_fail(e, -EINVAL, "ca_invalid", "/ca_file",
				       "require_cert needs the ca_file that signs the clients");
		SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
		return 0;
	}
	SSL_CTX_set_verify(ctx, mode, on_verify);
	if (!t->ca_file)
		return SSL_CTX_set_default_verify_paths(ctx) == 1
			       ? 0
			       : refuse(e, "/ca_file", "ca_invalid", "the system's certificates");
	rc = check_file(t->ca_file, "/ca_file", false, e);
	if (rc)
		return rc;
	if (SSL_CTX_load_verify_file(ctx, t->ca_file) != 1)
		return refuse(e, "/ca_file", "ca_invalid", t->ca_file);
	if (t->server)
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(t->ca_file));
	return 0;
}

/* --- ALPN: kept with the context, which open connections may keep longer than its owner does ----
 */

static void
free_alpn(void *parent, void *ptr, CRYPTO_EX_DATA *ad, int idx, long argl, void *argp)
{
	free(ptr);
}

static int
alpn_index(void)
{
	static int index = -1;

	if (index < 0)
		index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_alpn);
	return index;
}

static const char *
alpn_of(const SSL *ssl)
{
	return SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), alpn_index());
}

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
	    unsigned in_len, void *arg)
{
	const char *want = arg;
	size_t len = strlen(want);

	for (unsigned i = 0; i < in_len; i += in[i] + 1u) {
		if (in[i] == len && i + 1 + len <= in_len && memcmp(in + i + 1, want, len) == 0) {
			*out = in + i + 1;
			*out_len = (unsigned char)len;
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/** A client that offers none is for another service. */
static int
need_alpn(SSL *ssl, int *alert, void *arg)
{
	const unsigned char *ext;
	size_t len;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_application_layer_protocol_negotiation, &ext,
				      &len) == 1)
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_NO_APPLICATION_PROTOCOL;
	return SSL_CLIENT_HELLO_ERROR;
}

static bool
set_alpn(const struct sl_tls *t, SSL_CTX *ctx)
{
	unsigned char wire[ALPN_MAX + 1];
	char *kept = t->alpn ? strdup(t->alpn) : NULL;
	size_t len = kept ? strlen(kept) : 0;

	if (!t->alpn)
		return true;
	if (!kept || len > ALPN_MAX || SSL_CTX_set_ex_data(ctx, alpn_index(), kept) != 1) {
		free(kept);
		return false;
	}
	if (t->server) {
		SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, kept);
		SSL_CTX_set_client_hello_cb(ctx, need_alpn, NULL);
		return true;
	}
	wire[0] = (unsigned char)len;
	memcpy(wire + 1, kept, len);
	return SSL_CTX_set_alpn_protos(ctx, wire, (unsigned)len + 1) == 0;
}

/* --- contexts --------------------------------------------------------------------------------- */

static bool
harden(SSL_CTX *ctx)
{
	SSL_CTX_set_security_level(ctx, 2);
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_NO_RENEGOTIATION | SSL_OP_CLEANSE_PLAINTEXT |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS);
	return SSL_CTX_set_num_tickets(ctx, 0) == 1 &&
	       SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) == 1 &&
	       SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION) == 1;
}

static SSL_CTX *
make_ctx(const struct sl_tls *t, struct sl_error *e)
{
	SSL_CTX *ctx = SSL_CTX_new(t->server ? TLS_server_method() : TLS_client_method());

	ERR_clear_error();
	if (!ctx || !harden(ctx) || !set_alpn(t, ctx)) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for TLS");
		SSL_CTX_free(ctx);
		return NULL;
	}
	if (load_own(t, ctx, e) || load_ca(t, ctx, e)) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static struct sl_tls *
tls_new(const struct sl_tls_conf *c, bool server, struct sl_error *e)
{
	struct sl_tls *t = calloc(1, sizeof(*t));

	if (t) {
		t->server = server;
		t->require_cert = c->require_cert;
		t->cert_file = c->cert_file ? strdup(c->cert_file) : NULL;
		t->key_file = c->key_file ? strdup(c->key_file) : NULL;
		t->ca_file = c->ca_file ? strdup(c->ca_file) : NULL;
		t->alpn = c->alpn ? strdup(c->alpn) : NULL;
	}
	if (!t || !t->cert_file != !c->cert_file || !t->key_file != !c->key_file ||
	    !t->ca_file != !c->ca_file || !t->alpn != !c->alpn)
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for TLS");
	else
		t->ctx = make_ctx(t, e);
	if (t && t->ctx)
		return t;
	sl_tls_free(t);
	return NULL;
}

struct sl_tls *
sl_tls_server_new(const struct sl_tls_conf *c, struct sl_error *e)
{
	return tls_new(c, true, e);
}

struct sl_tls *
sl_tls_client_new(const struct sl_tls_conf *c, struct sl_error *e)
{
	return tls_new(c, false, e);
}

void
sl_tls_free(struct sl_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t->cert_file);
	free(t->key_file);
	free(t->ca_file);
	free(t->alpn);
	free(t);
}

int
sl_tls_reload(struct sl_tls *t, struct sl_error *e)
{
	struct sl_error why = {0};
	SSL_CTX *ctx = make_ctx(t, &why);

	if (!ctx) {
		if (e)
			*e = why;
		return why.err;
	}
	SSL_CTX_free(t->ctx);
	t->ctx = ctx;
	return 0;
}

int64_t
sl_tls_not_after(const struct sl_tls *t)
{
	X509 *own = SSL_CTX_get0_certificate(t->ctx);

	return own ? tls_not_after(own) : 0;
}

/* --- connections ------------------------------------------------------------------------------ */

/** @return NULL without memory; a failing libevent has freed the SSL */
static struct bufferevent *
wrap(struct event_base *base, int fd, SSL *ssl, enum bufferevent_ssl_state state)
{
	/* deferred: else a write could call back, and free, within bufferevent_write() */
	struct bufferevent *bev =
		bufferevent_openssl_socket_new(base, fd, ssl, state,
					       BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);

	if (bev)
		bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
	return bev;
}

struct bufferevent *
sl_tls_accept(struct sl_tls *t, struct event_base *base, int fd)
{
	SSL *ssl = SSL_new(t->ctx);
	struct bufferevent *bev;
	int on = 1;

	ERR_clear_error();
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	bev = ssl ? wrap(base, fd, ssl, BUFFEREVENT_SSL_ACCEPTING) : NULL;
	if (!bev)
		close(fd);
	return bev;
}

static bool
set_host(SSL *ssl, const char *host)
{
	struct sl_ip ip;

	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS |
				       X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (sl_ip_parse(host, &ip) == 0)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
	return SSL_set_tlsext_host_name(ssl, host) == 1 && SSL_set1_host(ssl, host) == 1;
}

struct bufferevent *
sl_tls_connect(struct sl_tls *t, struct event_base *base, const char *host)
{
	SSL *ssl = SSL_new(t->ctx);

	ERR_clear_error();
	if (!ssl || !host[0] || !set_host(ssl, host)) {
		SSL_free(ssl);
		return NULL;
	}
	return wrap(base, -1, ssl, BUFFEREVENT_SSL_CONNECTING);
}

bool
sl_tls_agreed(struct bufferevent *bev)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	const char *want = ssl ? alpn_of(ssl) : NULL;
	const unsigned char *got;
	unsigned len;

	if (!ssl || !SSL_is_init_finished(ssl))
		return false;
	SSL_get0_alpn_selected(ssl, &got, &len);
	return !want || (len == strlen(want) && memcmp(got, want, len) == 0);
}

void
sl_tls_bye(struct bufferevent *bev)
{
	struct evbuffer *out = bufferevent_get_output(bev);
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	struct evbuffer_iovec v;

	if (!ssl || !SSL_is_init_finished(ssl))
		return;
	ERR_clear_error();
	evbuffer_unfreeze(out, 1);
	while (evbuffer_peek(out, -1, NULL, &v, 1) > 0 && v.iov_len > 0) {
		int n = SSL_write(ssl, v.iov_base, (int)SL_MIN(v.iov_len, (size_t)16384));

		if (n <= 0)
			break;
		evbuffer_drain(out, (size_t)n);
	}
	SSL_shutdown(ssl);
	ERR_clear_error();
}

int
sl_tls_peer(struct bufferevent *bev, struct sl_tls_id *out)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	X509 *leaf;

	memset(out, 0, sizeof(*out));
	if (!ssl || !SSL_is_init_finished(ssl) || SSL_get_verify_result(ssl) != X509_V_OK)
		return -EACCES;
	leaf = SSL_get0_peer_certificate(ssl);
	if (!leaf)
		return -ENOENT;
	if (SSL_get_verify_mode(ssl) == SSL_VERIFY_NONE ||
	    (SSL_is_server(ssl) && !tls_is_client(leaf)))
		return -EACCES;
	return tls_id_of(leaf, out);
}

const char *
sl_tls_why(struct bufferevent *bev, char *buf, size_t room)
{
	SSL *ssl = bufferevent_openssl_get_ssl(bev);
	long verify = ssl ? SSL_get_verify_result(ssl) : X509_V_OK;
	unsigned long code = bufferevent_get_openssl_error(bev);
	const char *text = code ? ERR_reason_error_string(code) : NULL;

	if (verify != X509_V_OK)
		text = X509_verify_cert_error_string(verify);
	snprintf(buf, room, "%s", text ? text : "");
	ERR_clear_error();
	return buf;
}
