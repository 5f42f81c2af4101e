/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * The drain: a thread that takes records of all data lcores and of the handshake lcore, makes one
 * JSON object of each (ECS fields, docs/audit.md) and gives it to every sink: JSON-lines file,
 * syslog, HTTP bulk. Polls each 100 ms or as soon as a ring is a quarter full. A sink that is down,
 * slow or full never holds back the rings or another sink: each has its bounded queue, counts, and
 * drops by name.
 *
 * Names (rules, roles, targets, zones, peers, interfaces) are handed over by control beforehand, by
 * policy generation; the drain keeps the last generations. Control's own events go the same way.
 * All functions are control's unless said otherwise; they take a short lock, which the drain never
 * holds while it writes.
 */
#ifndef SL_DRAIN_H
#define SL_DRAIN_H

#include <jansson.h>

#include "sl_polset.h"
#include "sl_prom.h"
#include "sl_record.h"
#include "sl_secret.h"

#define SL_DRAIN_LCORES 33
#define SL_DRAIN_RECENT 1024 /* last records kept for audit.recent */

enum sl_sink_kind {
	SL_SINK_FILE,
	SL_SINK_SYSLOG_UDP,
	SL_SINK_SYSLOG_TCP,
	SL_SINK_SYSLOG_TLS,
	SL_SINK_HTTP
};

struct sl_sink_conf {
	enum sl_sink_kind kind;
	const char *name;      /* for statistics; unique */
	const char *path;      /* FILE */
	uint64_t rotate_bytes; /* FILE: 0 never; else NAME.1 ... NAME.keep */
	unsigned keep;
	const char *host; /* SYSLOG, HTTP: address or name (resolved off the loop) */
	uint16_t port;
	unsigned facility;			    /* SYSLOG: 1-23; 0: local0 */
	const char *ca_file, *cert_file, *key_file; /* TLS */
	const char *url;			    /* HTTP: http(s)://host:port/path of _bulk */
	const char *index;			    /* HTTP: data stream or index name */
	const char *auth_file; /* HTTP: file with the value of the Authorization header */
	unsigned queue_max;    /* records; 0: 65,536 */
	unsigned flush_ms;     /* 0: 1,000 */
	unsigned flush_pct;    /* of queue_max; 0: 80 */
};

struct sl_drain_conf {
	struct sl_rec_ring *ring[SL_DRAIN_LCORES];
	unsigned n_rings;
	bool hs_ring; /* the last one is the handshake lcore's */
	const struct sl_sink_conf *sinks;
	unsigned n_sinks;
	const char *observer; /* name of the gateway */
	const char *version;
	const char *boot_id;
	const char *user;     /* the process will change to: owns new files; NULL: as they come */
	const unsigned *cpus; /* where helper threads may run; control's own is not for them */
	unsigned n_cpus;      /* 0: as their creator */
	uint64_t (*mono_ns)(void *ctx);
	uint64_t (*wall_ns)(void *ctx);
	void *clock_ctx;
	const char *state_dir; /* holds the key that signs admin records in files, made if it is not
				  there, and where their chain stands; NULL: they are not chained */
	_Atomic bool *losing;  /* true while records are being lost (drain_loss.c), also without a
				  sink  that would notice; NULL: nobody asks */
	bool lockstep;	       /* no thread: sl_drain_poll() does the work; file sinks only */
};

struct sl_drain;

/** Opens files (errors: as of sl_seal_key_load(), sink_file with its path, sink_invalid), starts
 * the thread. */
struct sl_drain *sl_drain_new(const struct sl_drain_conf *conf, struct sl_error *e);
/** Takes what is there, gives sinks up to 1 s, ends. The lcores have stopped. NULL allowed. */
void sl_drain_free(struct sl_drain *d);
/** Lockstep: one turn. @return records taken */
unsigned sl_drain_poll(struct sl_drain *d);
/** SIGHUP: reopen files. */
void sl_drain_reopen(struct sl_drain *d);

/** Names of a generation, before it is published. */
int sl_drain_policy(struct sl_drain *d, const struct sl_polset *s);
int sl_drain_iface(struct sl_drain *d, uint16_t id, const char *name);
/** @param name NULL: forget (its records may still come: the name is kept for a minute) */
int sl_drain_peer(struct sl_drain *d, uint32_t id, uint16_t iface, const char *name,
		  const struct sl_pubkey *key);

/** An event of control (mode changes, policy loads, ...): `fields` is merged into the object;
 * steals the reference. Kept apart from the limits of records. */
void sl_drain_event(struct sl_drain *d, const char *action, const char *outcome, json_t *fields);

/** Sinks and lcores with all counters of the accounting equations; new reference. */
json_t *sl_drain_status(struct sl_drain *d);
/** @return whether any of its sinks notices what is lost on its way; true if nobody asks (`losing`)
 */
bool sl_drain_keeps(const struct sl_drain *d);
/** Names of the reasons under which sinks drop, in their order; NULL behind the last one. */
const char *sl_drain_drop_reason(unsigned i);
/** How long the deliveries of a sink took. @return its name; NULL behind the last one */
const char *sl_drain_pushes(struct sl_drain *d, unsigned sink, struct sl_prom_times *out);
/** The last records, newest last, at most `limit`, those whose event.action begins with `action`
 * (NULL: all). */
json_t *sl_drain_recent(struct sl_drain *d, unsigned limit, const char *action);

#endif
