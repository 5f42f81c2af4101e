/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * What the drain wants of a sink, and what sinks have in common. A sink lives on the drain's thread
 * and never blocks it: sockets belong to the drain's event base, files to a thread of the sink's
 * own.
 *
 * A receiver that cannot be reached, is busy or does not let us in makes records wait in the queue
 * until that is full. A file that cannot be written is tried again within the flush window
 * (flush_ms); then the records at hand are dropped under their reason.
 */
#ifndef SL_DRAIN_SINK_H
#define SL_DRAIN_SINK_H

#include <event2/event.h>
#include <jansson.h>

#include "queue.h"
#include "sl_drain.h"
#include "sl_seal.h"

struct evdns_base;
struct sl_drain;

enum sl_sink_state {
	SL_SINK_IDLE, /* not needed yet */
	SL_SINK_CONNECTING,
	SL_SINK_UP,
	SL_SINK_DOWN
};

/** What sinks need of their drain. */
struct sl_sink_env {
	struct event_base *base; /* NULL in lockstep */
	struct evdns_base *dns;
	const char *observer;
	const char *id_prefix; /* of event.id */
	const unsigned *cpus;
	unsigned n_cpus;
	uint32_t owner, group; /* of new files; UINT32_MAX: as they come */
	bool lockstep;
	struct sl_drain *drain;
	const struct sl_seal_key *seal_key; /* of admin records in files; NULL: no chain */
	const char *state_dir;
};

struct sl_sink;

struct sl_sink_ops {
	/** Each 10 ms, of the host's monotonic clock; drain's thread. */
	void (*turn)(struct sl_sink *s, uint64_t now_ns);
	/** SIGHUP; drain's thread. NULL: nothing to do. */
	void (*reopen)(struct sl_sink *s);
	/** No more records come: end what is of other threads until the deadline (monotonic).
	 * @return false: one did not end in time, and the sink must not be freed. NULL: it has none
	 */
	bool (*stop)(struct sl_sink *s, uint64_t deadline_ns);
	void (*free)(struct sl_sink *s);
};

struct sl_sink {
	const struct sl_sink_ops *ops;
	const struct sl_sink_env *env;
	struct sl_sink_conf conf; /* strings are copies */
	char target[320];	  /* for people */
	struct sl_queue q;
	uint64_t flush_ns;
	bool stopping; /* w: drain; send at once */
	/* under q.lock */
	enum sl_sink_state state;
	uint64_t errors;
	char last_error[200];
	uint64_t told_ns;	    /* when a fall was last logged */
	bool told;		    /* and nothing since */
	struct sl_seal_chain chain; /* of a file; n is 0: none, or nothing yet */
};

/** Make one by its kind. @return NULL with an error: sink_invalid, sink_file, sink_tls, no_memory
 */
struct sl_sink *sl_sink_new(const struct sl_sink_conf *c, const struct sl_sink_env *env,
			    struct sl_error *e);
/** Queue first; what is left of it is counted as dropped at shutdown. */
void sl_sink_free(struct sl_sink *s);
json_t *sl_sink_status(struct sl_sink *s);

/** Note a state; a change is logged. @param fmt why it is down, NULL else */
void sl_sink_set(struct sl_sink *s, enum sl_sink_state state, const char *fmt, ...) SL_PRINTF(3, 4);
/** How long to wait before the n-th try: 250 ms doubled up to 30 s, and half of it at random. */
uint64_t sl_sink_backoff_ns(unsigned tries);

/* one a kind; on error the common part is freed by the caller */
struct sl_sink *sl_sink_file_new(const struct sl_sink_env *env);
int sl_sink_file_open(struct sl_sink *s, struct sl_error *e);
struct sl_sink *sl_sink_udp_new(const struct sl_sink_env *env);
int sl_sink_udp_open(struct sl_sink *s, struct sl_error *e);
struct sl_sink *sl_sink_stream_new(const struct sl_sink_env *env);
int sl_sink_stream_open(struct sl_sink *s, struct sl_error *e);
struct sl_sink *sl_sink_http_new(const struct sl_sink_env *env);
int sl_sink_http_open(struct sl_sink *s, struct sl_error *e);

/** A helper thread: the process's CPUs rather than its creator's, low priority, no signals. */
void sl_drain_thread_setup(const char *name, const unsigned *cpus, unsigned n_cpus);

#endif
