/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * User sessions, found from when peers send data: gateways report bytes and ages, never an outer
 * address. A session is open while a data packet of the peer is younger than `idle_s` on any
 * gateway; handshakes and keepalives alone neither open nor prolong it. It ends at its last data
 * packet. Beside it: usage by the hour, and when a peer was last seen.
 *
 * Kept in tables of the data store (not in its log): on the primary, in its backup. One thread;
 * calls block for disk. Times are wall-clock seconds.
 */
#ifndef SL_SESSIONS_H
#define SL_SESSIONS_H

#include <jansson.h>
#include <sqlite3.h>

#include "sl_base.h"
#include "sl_error.h"

#define SL_SESSION_IDLE_S 600
#define SL_SESSION_SILENT_S                                                                        \
	60 /* a gateway that reports nothing for so long: its sessions are unknown */

struct sl_sessions;

/** @param db borrowed; tables are made. @return NULL with store_io or no_memory */
struct sl_sessions *sl_sessions_new(sqlite3 *db, struct sl_error *e);
void sl_sessions_free(struct sl_sessions *s); /* NULL allowed */
/** Seconds without data that end a session; 0: SL_SESSION_IDLE_S. */
void sl_sessions_set_idle(struct sl_sessions *s, uint32_t idle_s);

/** Of one peer on one gateway. */
struct sl_peer_stat {
	const char *peer;
	uint64_t rx, tx;		     /* data bytes since the gateway's boot */
	int64_t data_age_s, handshake_age_s; /* -1: never */
	const char *country;		     /* two letters, "" unknown */
	uint32_t asn;			     /* 0 unknown */
};
/**
 * Take a report: all of it or nothing.
 * @param boot counters of another boot begin at zero
 * @return 0 or -EIO
 */
int sl_sessions_report(struct sl_sessions *s, const char *gateway, const char *boot,
		       const struct sl_peer_stat *stat, unsigned n, int64_t now_s,
		       struct sl_error *e);
/** End what is over. Call every few seconds. @return sessions ended, or -EIO */
int sl_sessions_tick(struct sl_sessions *s, int64_t now_s, struct sl_error *e);

enum sl_session_state { SL_SESSION_OPEN, SL_SESSION_UNKNOWN, SL_SESSION_CLOSED };
const char *sl_session_state_name(enum sl_session_state s);

struct sl_session {
	int64_t id;
	const char *peer;
	int64_t started_s, last_s, ended_s; /* last: newest data; ended: 0 while it is open */
	uint64_t rx, tx;
	const char *gateways; /* names with commas between, in the order they were used */
	const char *country;  /* of its begin, "" */
	uint32_t asn;
	enum sl_session_state state;
};
struct sl_session_filter {
	const char *peer;  /* NULL: all */
	bool open;	   /* only those that have not ended */
	int64_t since_s;   /* that were there at or after; 0: all */
	int64_t before_id; /* newest first: continue below this id; 0: from the newest */
};
/** Newest first; fn returns false to stop. */
int sl_sessions_walk(struct sl_sessions *s, const struct sl_session_filter *f, int64_t now_s,
		     bool (*fn)(void *ctx, const struct sl_session *v), void *ctx,
		     struct sl_error *e);
uint64_t sl_sessions_open(struct sl_sessions *s);

/** Bytes of a peer by the hour, oldest first. @param peer NULL: of all together */
int sl_sessions_usage(struct sl_sessions *s, const char *peer, int64_t from_s, int64_t to_s,
		      bool (*fn)(void *ctx, int64_t hour_s, uint64_t rx, uint64_t tx), void *ctx,
		      struct sl_error *e);
/** When a peer last sent data and last shook hands, 0: never. @return 0 or -ENOENT */
int sl_sessions_seen(struct sl_sessions *s, const char *peer, int64_t *data_s,
		     int64_t *handshake_s);
/** A peer as one gateway told of it. */
struct sl_peer_at {
	bool told;	     /* it did; else the rest but `gateway_s` is 0 */
	uint64_t rx, tx;     /* data bytes since that gateway's start */
	int64_t data_s;	     /* newest data, 0: never */
	int64_t handshake_s; /* 0: never, or before this was kept */
	int64_t gateway_s;   /* when the gateway told anything for the last time, 0: never */
};
/** @return 0 or -EIO */
int sl_sessions_at(struct sl_sessions *s, const char *gateway, const char *peer,
		   struct sl_peer_at *out, struct sl_error *e);
/** There is a peer of this name, from now on if it was not known. Several in one transaction, all
 * or none. */
int sl_sessions_know(struct sl_sessions *s, const json_t *peers, int64_t now_s, struct sl_error *e);
/** Since when a peer is known, 0: it is not. */
int64_t sl_sessions_known(struct sl_sessions *s, const char *peer);
/** The next known name after `after`. @return false: none */
bool sl_sessions_next(struct sl_sessions *s, const char *after, char *out, size_t room);
/** Forget a peer that is gone; its sessions end, and stay with its usage until they are old. */
int sl_sessions_forget(struct sl_sessions *s, const char *peer, struct sl_error *e);
/** Drop sessions that ended and usage from before. @return rows, or -EIO */
int64_t sl_sessions_prune(struct sl_sessions *s, int64_t before_s, struct sl_error *e);

#endif
