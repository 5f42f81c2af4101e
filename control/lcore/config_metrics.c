/* SPDX-License-Identifier: BSD-3-Clause */
/* The group `metrics` of the configuration file. */
#include "config_int.h"

#define LISTEN "127.0.0.1:9586"
#define PEER_LIMIT 5000

int
sl_config_load_metrics(struct sl_config *c, const config_setting_t *s, struct sl_error *e)
{
	static const struct key keys[] = {
		{"listen", KEY_STRING, 0, 0},
		{"peers", KEY_BOOL, 0, 0},
		{"peer_limit", KEY_INT, 1, SL_PEER_MAX},
		{"peer_names", KEY_BOOL, 0, 0},
		{"compat", KEY_STRING, 0, 0},
	};
	int peers = true, names = false, limit = PEER_LIMIT, rc;
	struct sl_config_metrics *m = &c->metrics;
	const char *listen = LISTEN, *compat = NULL;

	if (!s)
		return 0;
	rc = sl_config_check_keys(c, s, "/metrics", keys, SL_ARRAY_SIZE(keys), e);
	if (rc)
		return rc;
	config_setting_lookup_string(s, "listen", &listen);
	config_setting_lookup_bool(s, "peers", &peers);
	config_setting_lookup_bool(s, "peer_names", &names);
	config_setting_lookup_int(s, "peer_limit", &limit);
	config_setting_lookup_string(s, "compat", &compat);
	*m = (struct sl_config_metrics){.on = true,
					.peers = peers,
					.peer_names = names,
					.mindflavor = compat != NULL,
					.peer_limit = (unsigned)limit};
	if (compat != NULL && strcmp(compat, "mindflavor") != 0)
		return sl_config_fail_setting(c, config_setting_get_member(s, "compat"), e,
					      "enum_invalid", "/metrics/compat",
					      "\"mindflavor\" is the one that is known");
	if (compat != NULL && !peers)
		return sl_config_fail_setting(c, config_setting_get_member(s, "compat"), e,
					      "compat_needs_peers", "/metrics/compat",
					      "its series are of peers: not with peers = false");
	if (sl_endpoint_parse(listen, &m->listen) == 0 && m->listen.port != 0)
		return 0;
	return sl_config_fail_setting(c, config_setting_get_member(s, "listen"), e,
				      "endpoint_invalid", "/metrics/listen",
				      "ADDRESS:PORT, for example " LISTEN);
}
