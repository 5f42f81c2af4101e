/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * One record as one line of JSON in ECS fields (docs/audit.md). No tree is built: text is appended
 * to a buffer. One formatter a thread.
 */
#ifndef SL_DRAIN_FORMAT_H
#define SL_DRAIN_FORMAT_H

#include <jansson.h>

#include "community.h"
#include "names.h"
#include "out.h"
#include "queue.h"
#include "sl_record.h"

#define SL_FORMAT_LINE 16384  /* longer than any line of records */
#define SL_FORMAT_ID 96	      /* text of an event.id */
#define SL_FORMAT_STAMP 27    /* "2026-11-20T09:14:03.221417Z" */
#define SL_FORMAT_STAMP_AT 15 /* where it begins in each line */

struct sl_format {
	char observer[768];	   /* JSON members of the observer, without its closing brace */
	char prefix[SL_FORMAT_ID]; /* of event.id: "NAME/BOOT/" */
	uint64_t cached_s;	   /* of cached[] */
	char cached[24];	   /* "2026-11-20T09:14:03." */
	struct sl_community *community;
};

/** @return 0 or -ENOMEM */
int sl_format_init(struct sl_format *f, const char *observer, const char *version,
		   const char *boot_id);
void sl_format_fini(struct sl_format *f);
void sl_format_time(struct sl_format *f, struct sl_out *o, uint64_t wall_ns);

/**
 * @param names locked by the caller; @param wall_ns the wall clock at r->mono_ns
 * @return a new line, NULL without memory
 */
struct sl_line *sl_format_record(struct sl_format *f, const struct sl_names *names,
				 const struct sl_rec *r, uint64_t wall_ns, uint64_t seq);

/** The drain on itself, or control: `fields` is merged over the common members; borrowed. */
struct sl_format_event {
	const char *action, *outcome, *dataset, *kind;
	const char *category, *type; /* one word each */
	unsigned severity;
	json_t *fields;
};
struct sl_line *sl_format_event(struct sl_format *f, const struct sl_format_event *ev,
				uint64_t wall_ns, uint64_t seq);

/** RFC 5424 severities. */
enum { SL_SEV_ERR = 3, SL_SEV_WARNING = 4, SL_SEV_NOTICE = 5, SL_SEV_INFO = 6 };

#endif
