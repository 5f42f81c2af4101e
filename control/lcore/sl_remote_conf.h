/* SPDX-License-Identifier: BSD-3-Clause */
/** @file What the configuration says of the gateway's remote control. */
#ifndef SL_REMOTE_CONF_H
#define SL_REMOTE_CONF_H

#include "sl_addr.h"

/** Who may come with a certificate; exactly one of cn and uri. */
struct sl_remote_allow {
	char *cn;      /* of its subject */
	char *uri;     /* sluice://KIND/NAME, a SAN */
	unsigned role; /* enum sl_service_role */
};

/** The group control.tls of the configuration; strings are its own. */
struct sl_remote_conf {
	bool on;
	struct sl_endpoint listen;
	char *cert_file, *key_file, *ca_file, *tokens_file; /* NULL: none */
	bool require_cert;
	struct sl_remote_allow *allow;
	unsigned n_allow;
	unsigned line;
};
void sl_remote_conf_clear(struct sl_remote_conf *c);

#endif
