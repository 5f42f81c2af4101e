/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Inside of the evidence store (sl_evidence.h): rows in one array with a hash over their keys,
 * names of peers apart, the time that is covered, the files. Control's thread; the helper writes
 * buffers that nobody else touches.
 */
#ifndef SL_EVIDENCE_INT_H
#define SL_EVIDENCE_INT_H

#include "gw.h"
#include "gw_helper.h"
#include "rule_count.h"
#include "sl_evidence.h"

#define EV_NONE UINT32_MAX
#define EV_HOUR_NS (3600 * SL_NS_PER_S)
#define EV_SPANS 1024 /* runs that are remembered */
#define EV_LOST (SL_EVIDENCE_KEEP_S / 3600 + 2)

/** First 48 bytes: the key; in this order in the file too. */
struct ev_row {
	uint8_t src[16], dst[16];
	uint32_t who;  /* place in who[] */
	uint32_t hour; /* wall clock */
	uint16_t sport, dport;
	uint8_t proto, version; /* version 0: a free row */
	uint8_t flags;		/* enum sl_agg_flags */
	uint8_t pad;
	uint32_t rule_id, role_id; /* the last that decided */
	uint64_t flows, packets, bytes;
	uint64_t first_ns, last_ns; /* wall clock */
	uint32_t next;		    /* of the same bucket, or free */
};
#define EV_KEY_LEN 48
_Static_assert(offsetof(struct ev_row, rule_id) == EV_KEY_LEN, "the key stands in front");

/** A peer as it was called when it was seen; ids are of this run only. */
struct ev_who {
	char iface[16], peer[64];
	uint32_t refs;	     /* rows */
	uint32_t next;	     /* of the same bucket, or free */
	uint32_t id;	     /* SL_PEER_MAX: not seen in this run */
	uint64_t key_digest; /* of that id's public key, in memory only */
};

/** A time in which a gateway counted, wall clock. */
struct ev_span {
	uint64_t begin_ns, end_ns;
};

struct ev_lost {
	uint32_t hour;
	uint64_t flows;
};

enum ev_save { EV_IDLE, EV_COPY, EV_WRITE };
/** Making room in a full store. */
enum ev_room { EV_ROOM_IDLE, EV_ROOM_GATHER, EV_ROOM_LIMIT, EV_ROOM_DROP };

/** What a helper thread writes: both files, whole. */
struct ev_job {
	struct gw_task task;
	const char *dir;
	char *rows, *times; /* malloc'ed */
	size_t n_rows, n_times;
	struct sl_error e;
	int rc;
};

struct sl_evidence {
	struct sl_gw *gw;
	struct sl_agg *agg[SL_WORKER_MAX];
	uint64_t merged_ns[SL_WORKER_MAX]; /* wall: nothing before this is still in a table */
	uint64_t turned_ns[SL_WORKER_MAX]; /* mono */
	uint32_t at[SL_WORKER_MAX];	   /* next row of the resting table */
	unsigned n_agg;
	char *dir;
	uint64_t changes; /* counts every change of a row: results are made of one state */

	struct ev_row *row;
	uint32_t *bucket, mask, max, used, n_slots, free;
	enum ev_room room;
	uint32_t room_at, room_n; /* next slot; rows that were looked at */
	uint32_t room_equal;	  /* how many of those at the limit go */
	uint64_t room_limit_ns;
	uint64_t *last; /* [max] what was looked at */

	struct ev_who *who;
	uint32_t *who_bucket, who_mask, n_who, cap_who, free_who;
	uint32_t *by_id, n_by_id; /* peer id -> who */

	struct ev_span span[EV_SPANS];
	unsigned n_spans;
	struct ev_lost lost[EV_LOST];
	unsigned n_lost;
	uint32_t sweep;
	uint64_t swept_ns;
	uint32_t n_seen; /* names with rows */
	/* of all rows, wall clock; the oldest of what went since the last sweep may still count */
	uint64_t newest_ns, oldest_ns, sweep_oldest_ns;

	enum ev_save save;
	uint64_t saved_changes, saved_ns; /* of the last save that began: mono */
	uint64_t written_ns;		  /* mono, of the last one that succeeded; 0: none */
	uint64_t serial;		  /* of the rows file */
	uint64_t copy_end_ns;		  /* what was covered when the copy began */
	uint32_t copied;
	struct ev_job job;
	struct gw_helper *helper; /* NULL: written where it is due */
	void (*tap)(void *ctx, const struct sl_evidence_row *r, uint64_t lost_flows);
	void *tap_ctx;
	bool warned;
	bool save_due;		       /* a save must begin, whatever the time */
	void (*clear_done)(void *ctx); /* NULL: nobody waits for a clearing */
	void *clear_ctx;
	unsigned scans; /* under way: places of names must not move */
	struct rule_counts *rules;
};

/* --- evidence.c ---------------------------------------------------------------------------------
 */

static inline uint64_t
ev_now(const struct sl_evidence *ev)
{
	return gw_wall_ns(ev->gw);
}

/** Add to the row of this key; makes room where there is none. @return 0 or -ENOMEM */
int ev_row_add(struct sl_evidence *ev, const struct ev_row *r);
void ev_row_drop(struct sl_evidence *ev, uint32_t at);
/** @return its place, EV_NONE without memory */
uint32_t ev_who_get(struct sl_evidence *ev, const char *iface, const char *peer);
/** Where this peer is now. @return false: it is not here any more */
bool ev_who_here(struct sl_evidence *ev, uint32_t who, uint16_t *iface_id, uint32_t *peer_id);
/** Forget rows, times and losses. */
void ev_drop_all(struct sl_evidence *ev);

/* --- evidence_cover.c --------------------------------------------------------------------------
 */

void ev_lost_add(struct sl_evidence *ev, uint32_t hour, uint64_t flows);
/** The gateway counts from now on. */
void ev_span_begin(struct sl_evidence *ev, uint64_t now_ns);
/** It has counted until then. */
void ev_span_end(struct sl_evidence *ev, uint64_t end_ns);
/** Forget what is older than the evidence is kept. */
void ev_cover_prune(struct sl_evidence *ev, uint64_t now_ns);

/* --- evidence_file.c ----------------------------------------------------------------------------
 */

void ev_load(struct sl_evidence *ev);
/** A step of saving. @return things done */
unsigned ev_save_poll(struct sl_evidence *ev);
/** What is being copied is outdated; save anew as soon as can be, in steps. */
void ev_save_again(struct sl_evidence *ev);
/** Save now, and wait for it. */
void ev_save_now(struct sl_evidence *ev);

#endif
