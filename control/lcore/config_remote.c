/* SPDX-License-Identifier: BSD-3-Clause */
/* The group `control.tls` of the configuration file. */
#include <stdlib.h>

#include "config_int.h"
#include "sl_remote.h"

#define AT "/control/tls"
#define ALLOW_MAX 256

/** A copy; NULL without the setting or where it is "". @return 0 or -ENOMEM */
static int
text_of(const config_setting_t *s, const char *name, char **out)
{
	const char *v = NULL;

	if (!config_setting_lookup_string(s, name, &v) || v[0] == 0)
		return 0;
	*out = strdup(v);
	return *out ? 0 : -ENOMEM;
}

static int
path_of(struct sl_config *c, const config_setting_t *s, const char *name, const char *at,
	char **out, struct sl_error *e)
{
	int rc = text_of(s, name, out);

	if (rc == 0 && *out && **out != '/')
		return sl_config_fail_setting(c, config_setting_get_member(s, name), e,
					      "path_relative", at,
					      "an absolute path, it begins with /");
	return rc;
}

static int
load_allow(struct sl_config *c, const config_setting_t *s, struct sl_remote_allow *a,
	   struct sl_error *e)
{
	static const struct key keys[] = {{"cn", KEY_STRING, 0, 0},
					  {"uri", KEY_STRING, 0, 0},
					  {"role", KEY_STRING, 0, 0}};
	enum sl_service_role r = SL_SR_N;
	const char *role = "";
	int rc = sl_config_check_keys(c, s, AT "/allow", keys, SL_ARRAY_SIZE(keys), e);

	if (rc)
		return rc;
	rc = text_of(s, "cn", &a->cn);
	rc = rc ? rc : text_of(s, "uri", &a->uri);
	if (rc)
		return rc;
	if (!a->cn == !a->uri)
		return sl_config_fail_setting(c, s, e, "param_missing", AT "/allow",
					      "exactly one of cn and uri names the certificate");
	if (a->uri && strncmp(a->uri, "sluice://", 9) != 0)
		return sl_config_fail_setting(c, s, e, "param_range", AT "/allow/uri",
					      "it is sluice://KIND/NAME");
	config_setting_lookup_string(s, "role", &role);
	if (sl_remote_role_parse(role, &r))
		return sl_config_fail_setting(c, s, e, "enum_invalid", AT "/allow/role",
					      "use viewer, auditor, approver, operator or admin");
	a->role = r;
	return 0;
}

static int
load_allows(struct sl_config *c, const config_setting_t *list, struct sl_error *e)
{
	struct sl_remote_conf *r = &c->remote;
	int n = list ? config_setting_length(list) : 0, rc = 0;

	if (n > ALLOW_MAX)
		return sl_config_fail_setting(c, list, e, "param_range", AT "/allow",
					      "at most 256 certificates");
	if (n == 0)
		return 0;
	r->allow = calloc((size_t)n, sizeof(*r->allow));
	if (!r->allow)
		return -ENOMEM;
	for (int i = 0; rc == 0 && i < n; i++) {
		const config_setting_t *s = config_setting_get_elem(list, (unsigned)i);

		r->n_allow++;
		rc = config_setting_is_group(s)
			     ? load_allow(c, s, &r->allow[i], e)
			     : sl_config_fail_setting(c, s, e, "param_type", AT "/allow",
						      "a list of groups { }");
	}
	return rc;
}

/** Is there a way in, and does it hold together? */
static int
check(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	const struct sl_remote_conf *r = &c->remote;

	if (!r->cert_file || !r->key_file)
		return sl_config_fail_setting(c, s, e, "param_missing", AT "/cert_file",
					      "the listener needs cert_file and key_file");
	if (!r->tokens_file && !r->n_allow)
		return sl_config_fail_setting(
			c, s, e, "param_missing", AT "/allow",
			"nobody could log in; name certificates in allow, or a tokens_file");
	if ((r->n_allow || r->require_cert) && !r->ca_file)
		return sl_config_fail_setting(
			c, s, e, "param_missing", AT "/ca_file",
			"certificates of clients need the ca_file that signs them");
	return 0;
}

int
sl_config_load_remote(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	static const struct key keys[] = {
		{"listen", KEY_STRING, 0, 0},	   {"cert_file", KEY_STRING, 0, 0},
		{"key_file", KEY_STRING, 0, 0},	   {"ca_file", KEY_STRING, 0, 0},
		{"require_cert", KEY_BOOL, 0, 0},  {"allow", KEY_LIST, 0, 0},
		{"tokens_file", KEY_STRING, 0, 0},
	};
	struct sl_remote_conf *r = &c->remote;
	const char *listen = "";
	int rc, require = 0;

	if (!s)
		return 0;
	rc = sl_config_check_keys(c, s, AT, keys, SL_ARRAY_SIZE(keys), e);
	if (rc)
		return rc;
	r->line = config_setting_source_line(s);
	config_setting_lookup_string(s, "listen", &listen);
	config_setting_lookup_bool(s, "require_cert", &require);
	r->require_cert = require;
	r->on = listen[0] != 0;
	if (r->on && sl_endpoint_parse(listen, &r->listen))
		return sl_config_fail_setting(c, s, e, "endpoint_invalid", AT "/listen",
					      "ADDRESS:PORT, for example 0.0.0.0:7480");
	rc = path_of(c, s, "cert_file", AT "/cert_file", &r->cert_file, e);
	rc = rc ? rc : path_of(c, s, "key_file", AT "/key_file", &r->key_file, e);
	rc = rc ? rc : path_of(c, s, "ca_file", AT "/ca_file", &r->ca_file, e);
	rc = rc ? rc : path_of(c, s, "tokens_file", AT "/tokens_file", &r->tokens_file, e);
	rc = rc ? rc : load_allows(c, config_setting_get_member(s, "allow"), e);
	return rc == 0 && r->on ? check(c, s, e) : rc;
}
