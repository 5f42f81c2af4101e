/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A small certificate authority for the components of one installation: a directory with ca.pem,
 * ca.key (0600) and issued.jsonl, what it has signed. Keys are EC P-256; a node's certificate has
 * its identity in the subject's CN and in a SAN URI sluice://KIND/NAME, is not a CA, and lives for
 * a year by default. Files are written whole or not at all. Calls block for disk; command line
 * only.
 */
#ifndef SL_CA_H
#define SL_CA_H

#include <jansson.h>

#include "sl_error.h"

#define SL_CA_DAYS 3650
#define SL_CA_NODE_DAYS 365

/** What a certificate is for: decides on the extended key usage. */
enum sl_ca_kind {
	SL_CA_CONTROL,	/* sluice-control, primary or follower: server and client */
	SL_CA_GATEWAY,	/* server (remote control) and client */
	SL_CA_OPERATOR, /* client: people and programs that steer */
	SL_CA_AGENT,	/* client */
	SL_CA_KIND_N
};
/** "control", ... */
const char *sl_ca_kind_name(enum sl_ca_kind k);
/** @return 0 or -EINVAL */
int sl_ca_kind_parse(const char *name, enum sl_ca_kind *out);

/**
 * Make the authority.
 * @param name of its subject
 * @return 0; -EEXIST ca_exists; -EIO file; -EINVAL name_invalid, days_range; -ENOMEM crypto
 */
int sl_ca_init(const char *dir, const char *name, unsigned days, struct sl_error *e);

struct sl_ca_want {
	enum sl_ca_kind kind;
	const char *name;	  /* [a-z0-9]([a-z0-9-]{0,61}[a-z0-9])? */
	const char *const *hosts; /* names and addresses that a client dials */
	unsigned n_hosts;
	unsigned days;	      /* 0: SL_CA_NODE_DAYS */
	const char *csr_file; /* a request of the node, its key stays there; NULL: make a key */
	const char *cert_out; /* PEM; replaced */
	const char *key_out;  /* PEM, 0600, replaced; NULL with csr_file */
};
/**
 * Sign a certificate.
 * @return 0; -ENOENT ca_missing; -EINVAL name_invalid, host_invalid, days_range, csr_invalid,
 * ca_invalid, key_mismatch; -EIO file; -ENOMEM crypto
 */
int sl_ca_issue(const char *dir, const struct sl_ca_want *w, struct sl_error *e);
/**
 * A new certificate with the identity and hosts of an old one that this authority signed.
 * @param cert_file read, then replaced
 * @param key_file a new key is made and put here first (0600, replaced); NULL: the key stays
 * @return as sl_ca_issue(); -EPERM cert_foreign: it was not signed here
 */
int sl_ca_renew(const char *dir, const char *cert_file, const char *key_file, unsigned days,
		struct sl_error *e);
/** What was issued: array of {serial, kind, name, not_after, hosts}, oldest first. */
int sl_ca_list(const char *dir, json_t **out, struct sl_error *e);

#endif
