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

static inline void
sl_key_fill(struct sl_acl_key *k, unsigned group, const struct sl_polset_flow *f)
{
	uint8_t *p = k->b + SL_KEY_SRC;

	sl_store_be32(k->b, (uint32_t)f->proto << 24);
	sl_store_be32(k->b + SL_KEY_GROUP, group << 16 | f->iface); /* as rte_acl reads them */
	if (f->version == 6) {
		memcpy(p, f->src, 16);
		memcpy(p + 16, f->dst, 16);
		p += 32;
	} else {
		memcpy(p, f->src, 4);
		memcpy(p + 4, f->dst, 4);
		p += 8;
	}
	sl_store_be32(p, (uint32_t)f->sport << 16 | f->dport);
}

/** A key of this group will be classified: bring into the cache what is read first. */
static inline void
sl_acl_prefetch(const struct sl_acl *a, unsigned v6, unsigned group)
{
	if (group < a->scan[v6].n_groups)
		sl_scan_prefetch(&a->scan[v6], group);
}

/** Compare the tries with the plain scan. @return 0 or -EIO with acl_selftest */
int sl_acl_selftest(const struct sl_acl *a, const struct sl_polset *s, unsigned v6,
		    struct sl_error *e);

#endif
