/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * A `set` request while its lines come in. Internal to lib/uapi.
 */
#ifndef SL_UAPI_REQUEST_H
#define SL_UAPI_REQUEST_H

#include "sl_uapi.h"

/* One allowed_ip line of the present peer. */
struct sl_uapi_change {
	struct sl_prefix prefix;
	uint32_t seq;
	bool remove;
};

struct sl_uapi_request {
	struct sl_uapi_set set;
	unsigned cap_peers;
	struct sl_uapi_change *changes; /* of the last peer; reused for the next */
	uint32_t n_changes, cap_changes;
	bool removes; /* one of them is a removal */
};

/** Take "key=value". @return 0, -EINVAL, -ENOMEM; *why is set on error. */
int sl_uapi_request_line(struct sl_uapi_request *r, const char *key, const char *value,
			 const char **why);
/** The last line came: close the last peer. @return 0 or -ENOMEM. */
int sl_uapi_request_end(struct sl_uapi_request *r);
/** Wipe and free all; the request is empty again. */
void sl_uapi_request_clear(struct sl_uapi_request *r);

#endif
