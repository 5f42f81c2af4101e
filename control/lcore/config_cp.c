/* SPDX-License-Identifier: BSD-3-Clause */
/* The group `control_plane` of the configuration file. */
#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config_int.h"
#include "sl_json.h"

#define SOURCES_MAX 8
#define INTERFACES_MAX 64
#define PORT 7444

static const struct key keys[] = {
	{"name", KEY_STRING, 0, 0},
	{"sources", KEY_LIST, 0, 0},
	{"ca_file", KEY_STRING, 0, 0},
	{"cert_file", KEY_STRING, 0, 0},
	{"key_file", KEY_STRING, 0, 0},
	{"token_file", KEY_STRING, 0, 0},
	{"insecure", KEY_BOOL, 0, 0},
	{"interfaces", KEY_LIST, 0, 0},
	{"boot_cache", KEY_BOOL, 0, 0},
	{"boot_wait_s", KEY_INT, 0, 60},
	{"cache_max_age_h", KEY_INT, 1, 8760},
	{"cache_key_file", KEY_STRING, 0, 0},
	{"idp_grace_h", KEY_INT, 0, 8760},
	{"control_stale_after_h", KEY_INT, 1, 8760},
	{"on_control_stale", KEY_STRING, 0, 0},
	{"stats_s", KEY_INT, 1, 3600},
	{"country_db", KEY_STRING, 0, 0},
	{"asn_db", KEY_STRING, 0, 0},
};

static const config_setting_t *
member(const config_setting_t *s, const char *name)
{
	return config_setting_get_member(s, name);
}

static int
fail(struct sl_config *c, const config_setting_t *s, const char *name, struct sl_error *e,
     const char *reason, const char *text, const char *hint)
{
	const config_setting_t *m = member(s, name);
	char at[80];

	snprintf(at, sizeof(at), "/control_plane/%s", name);
	sl_config_fail(c, config_setting_source_line(m != NULL ? m : s), e, -EINVAL, reason, at,
		       "%s: %s", at + 1, text);
	sl_hint(e, "%s", hint);
	return -EINVAL;
}

static unsigned
number(const config_setting_t *s, const char *name, int deflt)
{
	config_setting_lookup_int(s, name, &deflt);
	return (unsigned)deflt;
}

static bool
truth(const config_setting_t *s, const char *name, bool deflt)
{
	int v = deflt;

	config_setting_lookup_bool(s, name, &v);
	return v;
}

/* As names of gateways are in the control plane. */
static bool
name_ok(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (!islower((unsigned char)s[i]) && !isdigit((unsigned char)s[i]) && s[i] != '-')
			return false;
	return n >= 1 && n <= 63 && s[0] != '-' && s[n - 1] != '-';
}

static bool
is_loopback(const char *host)
{
	struct sl_ip ip;

	if (strcmp(host, "localhost") == 0)
		return true;
	return sl_ip_parse(host, &ip) == 0 &&
	       (ip.family == 4 ? ip.b[0] == 127
			       : memcmp(ip.b, &in6addr_loopback, sizeof(in6addr_loopback)) == 0);
}

static int
load_file(struct sl_config *c, const config_setting_t *s, const char *name, char **out,
	  struct sl_error *e)
{
	const char *v = NULL;

	if (!config_setting_lookup_string(s, name, &v) || v[0] == '\0')
		return 0;
	if (v[0] != '/')
		return fail(c, s, name, e, "path_relative", "not an absolute path",
			    "begin it with /");
	*out = strdup(v);
	if (*out == NULL)
		return -ENOMEM;
	if (c->keyless || access(v, R_OK) == 0)
		return 0;
	/* the program makes this one by itself */
	if (strcmp(name, "cache_key_file") == 0 && errno == ENOENT)
		return 0;
	return fail(c, s, name, e, "file", strerror(errno),
		    "name a file that the gateway may read");
}

static int
load_files(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	struct sl_config_cp *p = c->cp;
	int rc = load_file(c, s, "ca_file", &p->ca_file, e);

	rc = rc != 0 ? rc : load_file(c, s, "cert_file", &p->cert_file, e);
	rc = rc != 0 ? rc : load_file(c, s, "key_file", &p->key_file, e);
	rc = rc != 0 ? rc : load_file(c, s, "token_file", &p->token_file, e);
	rc = rc != 0 ? rc : load_file(c, s, "cache_key_file", &p->cache_key_file, e);
	rc = rc != 0 ? rc : load_file(c, s, "country_db", &p->country_db, e);
	rc = rc != 0 ? rc : load_file(c, s, "asn_db", &p->asn_db, e);
	if (rc == 0 && (p->cert_file == NULL) != (p->key_file == NULL))
		rc = fail(c, s, "cert_file", e, "param_missing",
			  "cert_file and key_file belong together", "give both, or neither");
	if (rc == 0 && p->cert_file != NULL && p->token_file != NULL)
		rc = fail(c, s, "token_file", e, "param_conflict",
			  "a connection has one login: a certificate or a token",
			  "leave out cert_file and key_file, or token_file");
	if (rc == 0 && p->cert_file == NULL && p->token_file == NULL)
		rc = fail(c, s, "cert_file", e, "param_missing",
			  "the gateway has neither a certificate nor a token",
			  "cert_file and key_file (sluicectl ca issue), or token_file");
	return rc;
}

static int
load_source(struct sl_config *c, const config_setting_t *all, const config_setting_t *s,
	    struct sl_error *e)
{
	static const struct key source_keys[] = {{"host", KEY_STRING, 0, 0},
						 {"port", KEY_INT, 1, 65535}};
	struct sl_config_source *to = &c->cp->sources[c->cp->n_sources];
	const char *host = NULL;
	int rc;

	if (!config_setting_is_group(s))
		return fail(c, all, "sources", e, "param_type", "a source is a group",
			    "sources = ( { host = \"cp1.example.net\"; port = 7444; } );");
	rc = sl_config_check_keys(c, s, "/control_plane/sources", source_keys, 2, e);
	if (rc != 0)
		return rc;
	if (!config_setting_lookup_string(s, "host", &host) || host[0] == '\0' ||
	    strlen(host) >= sizeof(to->host))
		return fail(c, all, "sources", e, "param_missing",
			    "a source needs a host of at most 127 characters",
			    "host = \"cp1.example.net\";");
	if (c->cp->insecure && !is_loopback(host))
		return fail(c, all, "sources", e, "not_loopback",
			    "without encryption only this machine itself can be a source",
			    "remove insecure and give ca_file");
	snprintf(to->host, sizeof(to->host), "%s", host);
	to->port = (uint16_t)number(s, "port", PORT);
	c->cp->n_sources++;
	return 0;
}

static int
load_sources(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	const config_setting_t *list = member(s, "sources");
	int n = list != NULL ? config_setting_length(list) : 0, rc = 0;

	if (n < 1 || n > SOURCES_MAX)
		return fail(c, s, "sources", e, "param_missing", "1 to 8 sources are needed",
			    "sources = ( { host = \"cp1.example.net\"; port = 7444; } );");
	c->cp->sources = calloc((size_t)n, sizeof(*c->cp->sources));
	if (c->cp->sources == NULL)
		return -ENOMEM;
	for (int i = 0; rc == 0 && i < n; i++)
		rc = load_source(c, s, config_setting_get_elem(list, (unsigned)i), e);
	return rc;
}

static int
load_interfaces(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	const config_setting_t *list = member(s, "interfaces");
	int n = list != NULL ? config_setting_length(list) : 0;
	const char *name;

	if (n < 1 || n > INTERFACES_MAX)
		return fail(c, s, "interfaces", e, "param_missing",
			    "1 to 64 interfaces of this gateway are needed",
			    "interfaces = [ \"wg0\" ];");
	c->cp->interfaces = calloc((size_t)n, sizeof(char *));
	if (c->cp->interfaces == NULL)
		return -ENOMEM;
	for (int i = 0; i < n; i++) {
		name = config_setting_get_string_elem(list, i);
		if (name == NULL)
			return fail(c, s, "interfaces", e, "param_type", "a list of names",
				    "interfaces = [ \"wg0\" ];");
		c->cp->interfaces[i] = strdup(name);
		if (c->cp->interfaces[i] == NULL)
			return -ENOMEM;
		c->cp->n_interfaces++;
	}
	return 0;
}

static int
load_rest(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	static const char *const words[] = {"serve", "deny-new", "deny"};
	const char *name = "", *stale = "serve";
	struct sl_config_cp *p = c->cp;

	config_setting_lookup_string(s, "name", &name);
	config_setting_lookup_string(s, "on_control_stale", &stale);
	if (!name_ok(name))
		return fail(c, s, "name", e, "name_invalid",
			    "the gateway needs its name in the control plane",
			    "1 to 63 characters of a-z 0-9 -, no - at either end");
	p->name = strdup(name);
	if (p->name == NULL)
		return -ENOMEM;
	for (p->on_stale = SL_STALE_SERVE; p->on_stale <= SL_STALE_DENY; p->on_stale++)
		if (strcmp(stale, words[p->on_stale]) == 0)
			break;
	if (p->on_stale > SL_STALE_DENY)
		return fail(c, s, "on_control_stale", e, "enum_invalid", "unknown word",
			    "use serve, deny-new or deny");
	p->insecure = truth(s, "insecure", false);
	p->boot_cache = truth(s, "boot_cache", true);
	p->boot_wait_s = number(s, "boot_wait_s", 3);
	p->cache_max_age_h = number(s, "cache_max_age_h", 168);
	p->idp_grace_h = number(s, "idp_grace_h", 24);
	p->control_stale_after_h = number(s, "control_stale_after_h", 24);
	p->stats_s = number(s, "stats_s", 10);
	return 0;
}

int
sl_config_load_cp(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	int rc;

	if (s == NULL)
		return 0;
	rc = sl_config_check_keys(c, s, "/control_plane", keys, SL_ARRAY_SIZE(keys), e);
	if (rc != 0)
		return rc;
	c->cp = calloc(1, sizeof(*c->cp));
	if (c->cp == NULL)
		return -ENOMEM;
	c->cp->line = config_setting_source_line(s);
	rc = load_rest(c, s, e);
	rc = rc != 0 ? rc : load_sources(c, s, e);
	rc = rc != 0 ? rc : load_interfaces(c, s, e);
	return rc != 0 ? rc : load_files(c, s, e);
}

static bool
is_managed(const struct sl_config_cp *p, const char *name)
{
	for (unsigned i = 0; i < p->n_interfaces; i++)
		if (strcmp(p->interfaces[i], name) == 0)
			return true;
	return false;
}

static const char *
interface_of(const struct sl_config_call *call)
{
	return sl_json_text(call->params, "interface");
}

static bool
has_interface(const struct sl_config *c, const char *name)
{
	for (unsigned i = 0; i < c->n_calls; i++)
		if (strcmp(c->calls[i].method, "interface.set") == 0 &&
		    strcmp(interface_of(&c->calls[i]), name) == 0)
			return true;
	return false;
}

static int
managed_fail(const struct sl_config *c, unsigned line, const char *path, const char *what,
	     struct sl_error *e)
{
	sl_config_fail(c, line, e, -EINVAL, "managed_by_control", path,
		       "%s, but that comes from the control plane", what);
	sl_hint(e, "import it there and remove it here, or remove control_plane");
	return -EINVAL;
}

int
sl_config_check_cp(const struct sl_config *c, struct sl_error *e)
{
	const struct sl_config_cp *p = c->cp;
	char text[80];
	unsigned i;

	if (p == NULL)
		return 0;
	for (i = 0; i < p->n_interfaces; i++) {
		if (has_interface(c, p->interfaces[i]))
			continue;
		sl_config_fail(c, p->line, e, -ENOENT, "interface_unknown",
			       "/control_plane/interfaces", "there is no interface \"%.40s\"",
			       p->interfaces[i]);
		sl_hint(e, "its key, port and inside are in the list `interfaces`");
		return -ENOENT;
	}
	for (i = 0; i < c->n_calls; i++) {
		const struct sl_config_call *call = &c->calls[i];

		if (strcmp(call->method, "peer.set") != 0 || !is_managed(p, interface_of(call)))
			continue;
		snprintf(text, sizeof(text), "interface %s has a peer", interface_of(call));
		return managed_fail(c, call->line, "/interfaces/peers", text, e);
	}
	if (c->policy_file != NULL)
		return managed_fail(c, c->policy_line, "/policy/file", "there is a policy file", e);
	return 0;
}

void
sl_config_cp_free(struct sl_config_cp *p)
{
	if (p == NULL)
		return;
	for (unsigned i = 0; i < p->n_interfaces; i++)
		free(p->interfaces[i]);
	free(p->interfaces);
	free(p->sources);
	free(p->name);
	free(p->ca_file);
	free(p->cert_file);
	free(p->key_file);
	free(p->token_file);
	free(p->cache_key_file);
	free(p->country_db);
	free(p->asn_db);
	free(p);
}
