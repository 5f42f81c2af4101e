/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Objects and lists of them as REST shows them: {"name", "rev", the object's fields}. */
#ifndef SL_REST_PAGE_H
#define SL_REST_PAGE_H

#include "call.h"

/** @param body borrowed. @return NULL without memory */
json_t *page_object(const char *id, uint64_t rev, const json_t *body);
/** May this row be shown? NULL: all. */
typedef bool (*page_filter)(struct sl_call *c, const char *id, const json_t *body);
/** How it looks. NULL: page_object() */
typedef json_t *(*page_show)(struct sl_call *c, const char *id, uint64_t rev, json_t *body);
/** Answer one object of the store, with its ETag. */
int page_one(struct sl_call *c, int status, enum sl_kind k, const char *id, const char *what,
	     page_show show, struct sl_error *e);
/** Answer a page of a kind: {"items": [...], "next": cursor}. */
int page_list(struct sl_call *c, enum sl_kind k, page_filter filter, page_show show,
	      struct sl_error *e);
/** The name at place i, in the order of strcmp(); NULL behind the last. */
typedef const char *(*page_name)(unsigned i);
/** As page_list(), and names that are there without a row: `show` gets rev 0 and no body. */
int page_list_names(struct sl_call *c, enum sl_kind k, page_name names, page_show show,
		    struct sl_error *e);

#endif
