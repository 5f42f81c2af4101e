/* SPDX-License-Identifier: BSD-3-Clause */
/* Requests by libcurl; problems (RFC 9457) become errors with reason, path and remedy. */
#include "rest.h"

#include <ctype.h>
#include <curl/curl.h>
#include <openssl/x509_vfy.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_secret.h"
#include "sl_json.h"

#define ANSWER_MAX (256u * 1024 * 1024)
#define TOKEN_MAX 200
#define CONNECT_S 10
#define TOTAL_S 120
#define SILENT_S 60
#define TRIES 5
#define WAIT_MAX_S 10

struct rest {
	CURL *curl;
	char base[300];
	char token[TOKEN_MAX + 24]; /* "Authorization: Bearer ..." */
	char why[CURL_ERROR_SIZE];
};

struct sink {
	char *text;
	size_t len;
	struct rest_answer *answer;
	CURL *curl;
	FILE *to; /* NULL: it is kept */
};

/** Does it go there as it comes? What is refused is kept, and told. */
static bool
passes(const struct sink *s)
{
	long status = 0;

	curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &status);
	return s->to && status == 200;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	struct sink *s = arg;
	size_t add = size * n;
	char *grown;

	if (passes(s))
		return fwrite(data, 1, add, s->to);
	if (s->len + add > ANSWER_MAX)
		return 0;
	grown = realloc(s->text, s->len + add + 1);
	if (!grown)
		return 0;
	memcpy(grown + s->len, data, add);
	s->text = grown;
	s->len += add;
	grown[s->len] = 0;
	return add;
}

/** Keep a header's value where it is the one. */
static void
take_value(const char *line, size_t len, const char *name, char *out, size_t room)
{
	size_t n = strlen(name);

	if (len <= n || strncasecmp(line, name, n) != 0 || line[n] != ':')
		return;
	for (n++; n < len && isspace((unsigned char)line[n]); n++)
		;
	while (len > n && isspace((unsigned char)line[len - 1]))
		len--;
	snprintf(out, room, "%.*s", (int)(len - n), line + n);
}

static size_t
take_header(char *line, size_t size, size_t n, void *arg)
{
	struct rest_answer *a = ((struct sink *)arg)->answer;

	take_value(line, size * n, "etag", a->etag, sizeof(a->etag));
	take_value(line, size * n, "x-sluice-seq", a->seq, sizeof(a->seq));
	take_value(line, size * n, "retry-after", a->retry, sizeof(a->retry));
	take_value(line, size * n, "content-type", a->type, sizeof(a->type));
	return size * n;
}

static int
read_token(struct rest *r, const char *file, struct sl_error *e)
{
	char text[TOKEN_MAX + 2] = {0};
	struct stat st;
	FILE *f = fopen(file, "re");
	size_t n;

	if (!f || fstat(fileno(f), &st)) {
		sl_fail(e, -errno, "token_file", "", "%.200s: %s", file, strerror(errno));
		sl_hint(e, "name the file of a token with --token-file or SLUICE_TOKEN_FILE; "
			   "sluice-control token create prints one");
		if (f)
			fclose(f);
		return -EINVAL;
	}
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[strcspn(text, " \t\r\n")] = 0;
	if (st.st_mode & 077) {
		sl_fail(e, -EPERM, "token_file", "", "%.200s: others may read this token", file);
		sl_hint(e, "chmod 600 %.180s", file);
	} else if (n == 0 || n > TOKEN_MAX || strncmp(text, "slt_", 4) != 0) {
		sl_fail(e, -EINVAL, "token_file", "", "%.200s holds no token", file);
		sl_hint(e, "one line: slt_...");
	} else {
		snprintf(r->token, sizeof(r->token), "Authorization: Bearer %s", text);
	}
	sl_wipe(text, sizeof(text));
	return r->token[0] ? 0 : -EINVAL;
}

/** https anywhere, http on this host alone. */
static int
check_url(const char *url, struct sl_error *e)
{
	static const char *const open[] = {"https://", "http://127.0.0.1:", "http://[::1]:",
					   "http://localhost:"};
	const char *rest;

	for (unsigned i = 0; i < SL_ARRAY_SIZE(open); i++)
		if (strncmp(url, open[i], strlen(open[i])) == 0) {
			rest = strchr(url + strlen(open[i]), '/');
			if (strlen(url) < 256 && (!rest || !rest[1]))
				return 0;
		}
	sl_fail(e, -EINVAL, "usage", "", "\"%.100s\" is no address of a control plane", url);
	sl_hint(e, "https://HOST:7443");
	return -EINVAL;
}

static void
set_files(struct rest *r, const struct rest_conf *c)
{
	curl_easy_setopt(r->curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_3);
	curl_easy_setopt(r->curl, CURLOPT_PROTOCOLS_STR, "http,https");
	if (c->ca_file) {
		curl_easy_setopt(r->curl, CURLOPT_CAINFO, c->ca_file);
		curl_easy_setopt(r->curl, CURLOPT_CAPATH, NULL);
	}
	if (c->cert_file)
		curl_easy_setopt(r->curl, CURLOPT_SSLCERT, c->cert_file);
	if (c->cert_file)
		curl_easy_setopt(r->curl, CURLOPT_SSLKEY, c->key_file ? c->key_file : c->cert_file);
	curl_easy_setopt(r->curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_S);
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, (long)TOTAL_S);
	curl_easy_setopt(r->curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(r->curl, CURLOPT_PROXY, "");
	curl_easy_setopt(r->curl, CURLOPT_ERRORBUFFER, r->why);
	curl_easy_setopt(r->curl, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(r->curl, CURLOPT_HEADERFUNCTION, take_header);
	curl_easy_setopt(r->curl, CURLOPT_USERAGENT, "sluicectl/" SL_VERSION);
}

struct rest *
rest_open(const struct rest_conf *c, struct sl_error *e)
{
	struct rest *r;

	if (check_url(c->url, e))
		return NULL;
	r = calloc(1, sizeof(*r));
	if (r && curl_global_init(CURL_GLOBAL_DEFAULT) == 0)
		r->curl = curl_easy_init();
	if (!r || !r->curl || sodium_init() < 0) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
		rest_close(r);
		return NULL;
	}
	snprintf(r->base, sizeof(r->base), "%.*s/api/v1",
		 (int)(strlen(c->url) - (c->url[strlen(c->url) - 1] == '/')), c->url);
	set_files(r, c);
	if (c->token_file && read_token(r, c->token_file, e)) {
		rest_close(r);
		return NULL;
	}
	return r;
}

void
rest_close(struct rest *r)
{
	if (!r)
		return;
	if (r->curl)
		curl_easy_cleanup(r->curl);
	sl_wipe(r, sizeof(*r));
	free(r);
}

char *
rest_escape(struct rest *r, const char *text)
{
	return curl_easy_escape(r->curl, text, 0);
}

void
rest_answer_free(struct rest_answer *a)
{
	json_decref(a->json);
	if (a->text)
		sl_wipe(a->text, strlen(a->text));
	free(a->text);
	memset(a, 0, sizeof(*a));
}

static struct curl_slist *
headers(struct rest *r, const struct rest_call *c)
{
	struct curl_slist *h = NULL;
	char line[128], hex[33];
	unsigned char b[16];

	h = curl_slist_append(h, "Accept: application/json, application/problem+json, text/plain");
	h = curl_slist_append(h, "Expect:");
	if (c->body || c->text)
		h = curl_slist_append(h, "Content-Type: application/json");
	if (r->token[0])
		h = curl_slist_append(h, r->token);
	if (c->if_match) {
		snprintf(line, sizeof(line), "%s: %s",
			 c->if_match[0] ? "If-Match" : "If-None-Match",
			 c->if_match[0] ? c->if_match : "*");
		h = curl_slist_append(h, line);
	}
	if (c->once) {
		randombytes_buf(b, sizeof(b));
		snprintf(line, sizeof(line), "Idempotency-Key: %s",
			 sodium_bin2hex(hex, sizeof(hex), b, sizeof(b)));
		h = curl_slist_append(h, line);
	}
	return h;
}

/** As a gateway's error of that kind has it: what a body names and is not there is not found, too,
 * and no room is no conflict. */
static int
status_of(long status, const char *reason)
{
	if (status == 404 || strcmp(reason, "not_found") == 0 ||
	    strcmp(reason, "reference_unknown") == 0)
		return EXIT_NOT_FOUND;
	if (strcmp(reason, "pool_exhausted") == 0 || strcmp(reason, "store_full") == 0)
		return EXIT_FAILED;
	return status == 409 || status == 412 ? EXIT_CONFLICT : EXIT_FAILED;
}

/** application/problem+json as an error of ours. */
static int
problem(long status, const json_t *p, struct sl_error *e)
{
	const json_t *first = json_array_get(json_object_get(p, "errors"), 0);
	const char *reason = sl_json_text(first, "reason"), *type = sl_json_text(p, "type");
	const char *colon = strrchr(type, ':'), *hint = sl_json_text(first, "hint");
	const char *detail = sl_json_text(p, "detail"), *title = sl_json_text(p, "title");

	sl_fail(e, -EIO,
		reason[0] ? reason
		: colon	  ? colon + 1
			  : "http",
		sl_json_text(first, "path"), "%s",
		detail[0]  ? detail
		: title[0] ? title
			   : "the control plane refused");
	hint = hint[0] ? hint : sl_json_text(p, "hint");
	if (hint[0])
		sl_hint(e, "%s", hint);
	else if (status == 401)
		sl_hint(e, "--token-file FILE, or --cert and --key");
	return status_of(status, e->reason);
}

/** What to do about a certificate that is not believed. */
static void
hint_certificate(struct rest *r, struct sl_error *e)
{
	long why = X509_V_OK;

	curl_easy_getinfo(r->curl, CURLINFO_SSL_VERIFYRESULT, &why);
	if (why == X509_V_ERR_CERT_HAS_EXPIRED)
		sl_hint(e, "renew it where it was issued (sluicectl ca renew), then SIGHUP; or is "
			   "the clock of this host wrong?");
	else if (why == X509_V_ERR_CERT_NOT_YET_VALID)
		sl_hint(e, "is the clock of this host wrong?");
	else if (why == X509_V_OK || why == X509_V_ERR_UNSPECIFIED) /* good, of another host */
		sl_hint(e, "dial it by a name or address that its certificate has: those of "
			   "--host when it was issued");
	else
		sl_hint(e, "--ca FILE names the authority that signed the control plane's "
			   "certificate");
}

static int
perform(struct rest *r, const struct rest_call *c, const char *url, const char *send,
	struct sink *sink, long *status, struct sl_error *e)
{
	struct curl_slist *h = headers(r, c);
	CURLcode rc;

	curl_easy_setopt(r->curl, CURLOPT_URL, url);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, c->method);
	curl_easy_setopt(r->curl, CURLOPT_HTTPHEADER, h);
	curl_easy_setopt(r->curl, CURLOPT_WRITEDATA, sink);
	curl_easy_setopt(r->curl, CURLOPT_HEADERDATA, sink);
	curl_easy_setopt(r->curl, CURLOPT_POSTFIELDS, send);
	/* what goes on for long is given up where nothing comes */
	curl_easy_setopt(r->curl, CURLOPT_TIMEOUT, c->to ? 0L : (long)TOTAL_S);
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_LIMIT, c->to ? 1L : 0L);
	curl_easy_setopt(r->curl, CURLOPT_LOW_SPEED_TIME, c->to ? (long)SILENT_S : 0L);
	if (!send)
		curl_easy_setopt(r->curl, CURLOPT_HTTPGET, 1L);
	curl_easy_setopt(r->curl, CURLOPT_CUSTOMREQUEST, c->method);
	r->why[0] = 0;
	rc = curl_easy_perform(r->curl);
	curl_slist_free_all(h);
	if (rc == CURLE_OK) {
		curl_easy_getinfo(r->curl, CURLINFO_RESPONSE_CODE, status);
		return 0;
	}
	sl_fail(e, -EIO, "unreachable", "", "%.100s: %.150s", r->base,
		r->why[0] ? r->why : curl_easy_strerror(rc));
	if (rc == CURLE_SSL_CACERT_BADFILE || rc == CURLE_SSL_CERTPROBLEM) {
		snprintf(e->reason, sizeof(e->reason), "file");
		sl_hint(e, "--ca, --cert and --key name PEM files that this user can read");
		return EXIT_USAGE;
	}
	if (rc == CURLE_PEER_FAILED_VERIFICATION)
		hint_certificate(r, e);
	else
		sl_hint(e, "is sluice-control running there? --control or SLUICE_CONTROL names "
			   "the address of its REST API");
	return EXIT_UNREACHABLE;
}

/** One request; *status is that of the answer. */
static int
call_once(struct rest *r, const struct rest_call *c, const char *url, const char *send,
	  struct rest_answer *a, long *status, struct sl_error *e)
{
	struct sink sink = {.answer = a, .curl = r->curl, .to = c->to};
	int rc;

	memset(a, 0, sizeof(*a));
	rc = perform(r, c, url, send, &sink, status, e);
	a->text = sink.text;
	if (rc == 0 && sink.text && strncmp(a->type, "text/", 5) != 0)
		a->json = json_loadb(sink.text, sink.len, JSON_REJECT_DUPLICATES, NULL);
	return rc;
}

/** Too many at once: wait as long as we are told, not for ever. */
static bool
may_try_again(const struct rest_answer *a, long status, unsigned tries)
{
	long wait_s = strtol(a->retry, NULL, 10);

	if (status != 429 || tries >= TRIES || wait_s > WAIT_MAX_S)
		return false;
	sleep(wait_s > 0 ? (unsigned)wait_s : 1);
	return true;
}

int
rest_call(struct rest *r, const struct rest_call *c, struct rest_answer *a, struct sl_error *e)
{
	char url[2048], *dump = c->body ? json_dumps(c->body, JSON_COMPACT) : NULL;
	long status = 0;
	int rc;

	snprintf(url, sizeof(url), "%s%s", r->base, c->path);
	rc = call_once(r, c, url, c->text ? c->text : dump, a, &status, e);
	for (unsigned tries = 1; rc == 0 && may_try_again(a, status, tries); tries++) {
		rest_answer_free(a);
		rc = call_once(r, c, url, c->text ? c->text : dump, a, &status, e);
	}
	free(dump);
	if (rc || (status >= 200 && status < 300))
		return rc;
	if (!a->json)
		sl_fail(e, -EIO, "http", "", "the answer has status %ld and is no problem report",
			status);
	rc = a->json ? problem(status, a->json, e) : EXIT_FAILED;
	e->retry_after_ms = (uint32_t)SL_MIN(strtoul(a->retry, NULL, 10), 86400ul) * 1000;
	if (status == 401 && !r->token[0])
		sl_hint(e, "--token-file or SLUICE_TOKEN_FILE names the file of a token, --cert "
			   "and --key a client certificate");
	return rc;
}
