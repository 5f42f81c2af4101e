/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside lib/authz. */
#ifndef SL_ACL_INT_H
#define SL_ACL_INT_H

#include <rte_acl.h>

#include "scan.h"

/** A key: protocol, three bytes unused, group, interface, source, destination, ports. */
enum { SL_KEY_PROTO = 0, SL_KEY_GROUP = 4, SL_KEY_IFACE = 6, SL_KEY_SRC = 8 };

struct sl_acl {
	struct rte_acl_ctx *ctx[2]; /* IPv4, IPv6; NULL: no entries */
	struct sl_scan scan[2];	    /* of the small groups; all zero: none on this CPU */
	size_t bytes;
};

/** Compare the tries with the plain scan. @return 0 or -EIO with acl_selftest */
int sl_acl_selftest(const struct sl_acl *a, const struct sl_polset *s, unsigned v6,
		    struct sl_error *e);

#endif
