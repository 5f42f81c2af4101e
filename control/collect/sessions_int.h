/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Inside of the sessions: statements. */
#ifndef SL_SESSIONS_INT_H
#define SL_SESSIONS_INT_H

#include "sl_sessions.h"

enum {
	SQL_COUNTER,
	SQL_SET_COUNTER,
	SQL_SEEN,
	SQL_USAGE,
	SQL_OPEN,
	SQL_END_ONE,
	SQL_BEGIN,
	SQL_PROLONG,
	SQL_GATEWAY,
	SQL_END,
	SQL_COUNT,
	SQL_GET_SEEN,
	SQL_KNOW,
	SQL_GET_KNOWN,
	SQL_NEXT_KNOWN,
	SQL_GET_GATEWAY,
	SQL_HANDSHAKE,
	SQL_GET_AT,
	SQL_N
};

struct sl_sessions {
	sqlite3 *db;
	sqlite3_stmt *st[SQL_N];
	uint32_t idle_s;
};

#endif
