/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_record.h"

const char *
sl_rec_type_text(unsigned type)
{
	static const char *const text[SL_REC_TYPES] = {
		[SL_REC_ALLOW] = "allow",
		[SL_REC_WOULD_DENY] = "would_deny",
		[SL_REC_DENY] = "deny",
		[SL_REC_END] = "end",
		[SL_REC_DECRYPT] = "decryption_failure",
		[SL_REC_REPLAY] = "replay",
		[SL_REC_STALE] = "stale_policy",
		[SL_REC_FLOW_FULL] = "flow_full",
		[SL_REC_SESSION_OPEN] = "wg_session_open",
		[SL_REC_SESSION_REKEY] = "wg_session_rekey",
		[SL_REC_SESSION_CLOSE] = "wg_session_close",
	};

	return type < SL_REC_TYPES ? text[type] : "unknown";
}

const char *
sl_rec_reason_text(unsigned reason)
{
	static const char *const text[SL_RR_MAX] = {
		[SL_RR_RULE] = "rule",		 [SL_RR_ZONE_DEFAULT] = "zone_default",
		[SL_RR_NO_ROLE] = "no_role",	 [SL_RR_MAP_ERROR] = "map_error",
		[SL_RR_WITHDRAWN] = "withdrawn", [SL_RR_FRAG_ORPHAN] = "frag_orphan",
		[SL_RR_LOG_LOST] = "log_lost",	 [SL_RR_IDLE] = "idle",
		[SL_RR_CLOSED] = "closed",	 [SL_RR_REVOKED] = "revoked",
		[SL_RR_EVICTED] = "evicted",	 [SL_RR_PEER_GONE] = "peer_gone",
		[SL_RR_SHUTDOWN] = "shutdown",	 [SL_RR_EXPIRED] = "expired",
		[SL_RR_KICKED] = "kicked",	 [SL_RR_KEY_CHANGED] = "key_changed",
	};

	return reason < SL_RR_MAX ? text[reason] : "unknown";
}
