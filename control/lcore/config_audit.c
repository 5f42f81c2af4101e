/* SPDX-License-Identifier: BSD-3-Clause */
/* The group `audit` of the configuration file: sinks and the rings before them. */
#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_int.h"

#define RING_KIB 256
#define ROTATE_MB 100
#define KEEP 5
#define PORT_SYSLOG 514
#define PORT_SYSLOG_TLS 6514

/** A copy, NULL without the setting. @return 0 or -ENOMEM */
static int
text_of(const config_setting_t *s, const char *name, const char **out)
{
	const char *v = NULL;

	if (!config_setting_lookup_string(s, name, &v) || v[0] == 0)
		return 0;
	*out = strdup(v);
	return *out ? 0 : -ENOMEM;
}

static unsigned
number_of(const config_setting_t *s, const char *name, unsigned deflt)
{
	int v = (int)deflt;

	config_setting_lookup_int(s, name, &v);
	return (unsigned)v;
}

/* --- the kinds -------------------------------------------------------------------------------- */

#define COMMON                                                                                     \
	{"type", KEY_STRING, 0, 0}, {"name", KEY_STRING, 0, 0}, {"queue", KEY_INT, 16, 1 << 20},   \
		{"flush_ms", KEY_INT, 10, 60000},                                                  \
	{                                                                                          \
		"flush_pct", KEY_INT, 1, 100                                                       \
	}
#define TLS                                                                                        \
	{"ca_file", KEY_STRING, 0, 0}, {"cert_file", KEY_STRING, 0, 0},                            \
	{                                                                                          \
		"key_file", KEY_STRING, 0, 0                                                       \
	}

static const struct key file_keys[] = {COMMON,
				       {"path", KEY_STRING, 0, 0},
				       {"rotate_mb", KEY_INT, 0, 1 << 20},
				       {"keep", KEY_INT, 1, 1000}};
static const struct key syslog_keys[] = {COMMON,
					 TLS,
					 {"transport", KEY_STRING, 0, 0},
					 {"host", KEY_STRING, 0, 0},
					 {"port", KEY_INT, 1, 65535},
					 {"facility", KEY_STRING, 0, 0}};
static const struct key http_keys[] = {COMMON,
				       TLS,
				       {"url", KEY_STRING, 0, 0},
				       {"index", KEY_STRING, 0, 0},
				       {"auth_file", KEY_STRING, 0, 0}};

static int
load_file(struct sl_config *c, const config_setting_t *s, struct sl_sink_conf *k,
	  struct sl_error *e)
{
	int rc = text_of(s, "path", &k->path);

	k->kind = SL_SINK_FILE;
	k->rotate_bytes = (uint64_t)number_of(s, "rotate_mb", ROTATE_MB) * 1000000;
	k->keep = number_of(s, "keep", KEEP);
	if (rc == 0 && (!k->path || k->path[0] != '/'))
		return sl_config_fail_setting(c, s, e, "path_relative", "/audit/sinks/path",
					      "a file sink needs an absolute path");
	return rc;
}

/** Names of RFC 5424, without those of the kernel and of the syslog itself. */
static int
facility_of(const char *text)
{
	static const char *const names[] = {"user", "mail", "daemon", "auth", NULL,
					    "lpr",  "news", "uucp",   "cron", "authpriv"};

	for (unsigned i = 0; text && i < SL_ARRAY_SIZE(names); i++)
		if (names[i] && strcmp(text, names[i]) == 0)
			return (int)i + 1;
	if (text && strncmp(text, "local", 5) == 0 && text[5] >= '0' && text[5] <= '7' && !text[6])
		return 16 + text[5] - '0';
	return text ? -1 : 0;
}

static int
load_syslog(struct sl_config *c, const config_setting_t *s, struct sl_sink_conf *k,
	    struct sl_error *e)
{
	const char *transport = "udp", *facility = NULL;
	int rc = text_of(s, "host", &k->host), f;

	config_setting_lookup_string(s, "transport", &transport);
	config_setting_lookup_string(s, "facility", &facility);
	if (strcmp(transport, "udp") == 0)
		k->kind = SL_SINK_SYSLOG_UDP;
	else if (strcmp(transport, "tcp") == 0)
		k->kind = SL_SINK_SYSLOG_TCP;
	else if (strcmp(transport, "tls") == 0)
		k->kind = SL_SINK_SYSLOG_TLS;
	else
		return sl_config_fail_setting(c, s, e, "enum_invalid", "/audit/sinks/transport",
					      "use udp, tcp or tls");
	f = facility_of(facility);
	if (f < 0)
		return sl_config_fail_setting(
			c, s, e, "enum_invalid", "/audit/sinks/facility",
			"use local0 to local7, user, daemon, auth or authpriv");
	k->facility = (unsigned)f;
	k->port =
		(uint16_t)number_of(s, "port",
				    k->kind == SL_SINK_SYSLOG_TLS ? PORT_SYSLOG_TLS : PORT_SYSLOG);
	if (rc == 0 && !k->host)
		return sl_config_fail_setting(c, s, e, "param_missing", "/audit/sinks/host",
					      "a syslog sink needs a host");
	return rc;
}

static int
load_http(struct sl_config *c, const config_setting_t *s, struct sl_sink_conf *k,
	  struct sl_error *e)
{
	int rc = text_of(s, "url", &k->url);

	k->kind = SL_SINK_HTTP;
	rc = rc ? rc : text_of(s, "index", &k->index);
	rc = rc ? rc : text_of(s, "auth_file", &k->auth_file);
	if (rc == 0 && (!k->url || !k->index))
		return sl_config_fail_setting(c, s, e, "param_missing", "/audit/sinks/url",
					      "an http sink needs url and index");
	return rc;
}

static const struct sink_type {
	const char *name;
	const struct key *keys;
	unsigned n_keys;
	int (*load)(struct sl_config *c, const config_setting_t *s, struct sl_sink_conf *k,
		    struct sl_error *e);
} types[] = {
	{"file", file_keys, SL_ARRAY_SIZE(file_keys), load_file},
	{"syslog", syslog_keys, SL_ARRAY_SIZE(syslog_keys), load_syslog},
	{"http", http_keys, SL_ARRAY_SIZE(http_keys), load_http},
};

/* --- what they have in common ----------------------------------------------------------------- */

static bool
name_ok(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && !strchr("_.-", s[i]))
			return false;
	return n >= 1 && n <= 31;
}

/** Given, or "TYPE-PLACE". */
static int
load_name(struct sl_config *c, const config_setting_t *s, const char *type, unsigned place,
	  struct sl_sink_conf *k, struct sl_error *e)
{
	char name[48];
	int rc = text_of(s, "name", &k->name);

	if (rc == 0 && !k->name) {
		snprintf(name, sizeof(name), "%s-%u", type, place);
		k->name = strdup(name);
		rc = k->name ? 0 : -ENOMEM;
	}
	if (rc)
		return rc;
	if (!name_ok(k->name))
		return sl_config_fail_setting(c, s, e, "name_invalid", "/audit/sinks/name",
					      "1 to 31 letters, digits, '_', '.', '-'");
	for (unsigned i = 0; i < place; i++)
		if (strcmp(c->audit.sinks[i].name, k->name) == 0)
			return sl_config_fail_setting(c, s, e, "name_in_use", "/audit/sinks/name",
						      "two sinks have this name");
	return 0;
}

static int
load_sink(struct sl_config *c, const config_setting_t *s, unsigned place, struct sl_error *e)
{
	struct sl_sink_conf *k = &c->audit.sinks[place];
	const struct sink_type *t = NULL;
	const char *type = "";
	int rc;

	c->audit.line[place] = config_setting_source_line(s);
	if (!config_setting_is_group(s))
		return sl_config_fail_setting(c, s, e, "param_type", "/audit/sinks",
					      "a sink is a group { }");
	config_setting_lookup_string(s, "type", &type);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(types) && !t; i++)
		if (strcmp(types[i].name, type) == 0)
			t = &types[i];
	if (!t)
		return sl_config_fail_setting(c, s, e, "enum_invalid", "/audit/sinks/type",
					      "use type = \"file\", \"syslog\" or \"http\"");
	rc = sl_config_check_keys(c, s, "/audit/sinks", t->keys, t->n_keys, e);
	k->queue_max = number_of(s, "queue", 0);
	k->flush_ms = number_of(s, "flush_ms", 0);
	k->flush_pct = number_of(s, "flush_pct", 0);
	rc = rc ? rc : load_name(c, s, type, place, k, e);
	rc = rc ? rc : text_of(s, "ca_file", &k->ca_file);
	rc = rc ? rc : text_of(s, "cert_file", &k->cert_file);
	rc = rc ? rc : text_of(s, "key_file", &k->key_file);
	return rc ? rc : t->load(c, s, k, e);
}

int
sl_config_load_audit(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	static const struct key keys[] = {{"sinks", KEY_LIST, 0, 0},
					  {"ring_kib", KEY_INT, 16, 65536}};
	const config_setting_t *list = s ? config_setting_get_member(s, "sinks") : NULL;
	int rc = sl_config_check_keys(c, s, "/audit", keys, SL_ARRAY_SIZE(keys), e);
	int n = list ? config_setting_length(list) : 0;

	c->audit.ring_kib = s ? number_of(s, "ring_kib", RING_KIB) : RING_KIB;
	if (rc)
		return rc;
	if (c->audit.ring_kib & (c->audit.ring_kib - 1))
		return sl_config_fail_setting(c, s, e, "param_range", "/audit/ring_kib",
					      "use a power of two");
	if (n > SL_CONFIG_SINKS)
		return sl_config_fail_setting(c, list, e, "param_range", "/audit/sinks",
					      "at most 16 sinks");
	if (n == 0)
		return 0;
	c->audit.sinks = calloc((size_t)n, sizeof(c->audit.sinks[0]));
	if (!c->audit.sinks)
		return -ENOMEM;
	for (int i = 0; rc == 0 && i < n; i++) {
		c->audit.n_sinks = (unsigned)i + 1;
		rc = load_sink(c, config_setting_get_elem(list, (unsigned)i), (unsigned)i, e);
	}
	return rc;
}

/* --- what they lead to ------------------------------------------------------------------------ */

/** @return the port of "HOST[:PORT]", 0: none, -1: this is neither */
static long
port_of(const char *host, size_t n)
{
	const char *end = memchr(host, ']', n), *colon;
	char *rest;
	long port;

	colon = memchr(end ? end : host, ':', n - (size_t)((end ? end : host) - host));
	if (!colon)
		return 0;
	port = strtol(colon + 1, &rest, 10);
	return colon == host || rest != host + n || port < 1 || port > UINT16_MAX ? -1 : port;
}

static bool
url_ok(const char *url)
{
	static const char *const scheme[] = {"http://", "https://"};

	for (unsigned i = 0; i < SL_ARRAY_SIZE(scheme); i++) {
		const char *host = url + strlen(scheme[i]);
		size_t n;

		if (strncmp(url, scheme[i], strlen(scheme[i])) != 0)
			continue;
		n = strcspn(host, "/?#");
		return n > 0 && !memchr(host, '@', n) && port_of(host, n) >= 0;
	}
	return false;
}

static int
check_file(const struct sl_config *c, unsigned at, const char *key, const char *file,
	   struct sl_error *e)
{
	char path[48];
	int err;

	if (!file || access(file, R_OK) == 0)
		return 0;
	err = errno;
	snprintf(path, sizeof(path), "/audit/sinks/%u/%s", at, key);
	sl_config_fail(c, c->audit.line[at], e, -err, "sink_file", path, "%s: %.200s: %s", key,
		       file, strerror(err));
	sl_hint(e, "the gateway must be able to read it");
	return -err;
}

/** The directory of a file that records go to. */
static int
check_place(const struct sl_config *c, unsigned at, struct sl_error *e)
{
	const char *file = c->audit.sinks[at].path, *slash = strrchr(file, '/');
	char dir[PATH_MAX], path[48];
	struct stat st;

	snprintf(dir, sizeof(dir), "%.*s", slash > file ? (int)(slash - file) : 1, file);
	if (stat(dir, &st) == 0 && S_ISDIR(st.st_mode))
		return 0;
	snprintf(path, sizeof(path), "/audit/sinks/%u/path", at);
	sl_config_fail(c, c->audit.line[at], e, -ENOENT, "sink_file", path,
		       "%.200s is no directory", dir);
	sl_hint(e, "make it, writable for the gateway's user");
	return -ENOENT;
}

int
sl_config_check_audit(const struct sl_config *c, struct sl_error *e)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < c->audit.n_sinks && !c->keyless; i++) {
		const struct sl_sink_conf *k = &c->audit.sinks[i];

		if (k->kind == SL_SINK_HTTP && !url_ok(k->url)) {
			rc = sl_config_fail(c, c->audit.line[i], e, -EINVAL, "sink_invalid",
					    "/audit/sinks/url",
					    "an http sink needs a URL as https://host:9200/_bulk");
			sl_hint(e, "http or https, no user and password (use auth_file)");
		}
		rc = rc ? rc : check_file(c, i, "ca_file", k->ca_file, e);
		rc = rc ? rc : check_file(c, i, "cert_file", k->cert_file, e);
		rc = rc ? rc : check_file(c, i, "key_file", k->key_file, e);
		rc = rc ? rc : check_file(c, i, "auth_file", k->auth_file, e);
		rc = rc || k->kind != SL_SINK_FILE ? rc : check_place(c, i, e);
	}
	return rc;
}

void
sl_config_audit_clear(struct sl_config_audit *a)
{
	for (unsigned i = 0; i < a->n_sinks; i++) {
		struct sl_sink_conf *k = &a->sinks[i];
		const char *all[] = {k->name,	  k->path, k->host,  k->ca_file,  k->cert_file,
				     k->key_file, k->url,  k->index, k->auth_file};

		for (unsigned j = 0; j < SL_ARRAY_SIZE(all); j++)
			free((void *)(uintptr_t)all[j]);
	}
	free(a->sinks);
	*a = (struct sl_config_audit){0};
}
