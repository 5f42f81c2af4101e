/* SPDX-License-Identifier: BSD-3-Clause */
/* The server behind sl_rest.h. */
#ifndef SL_REST_INT_H
#define SL_REST_INT_H

#include <jansson.h>
#include <sys/queue.h>

#include "sl_rest.h"
#include "sl_seal.h"
#include "sl_tasks.h"
#include "operation.h"
#include "rest_count.h"
#include "target.h"
#include "throttle.h"

struct door;
struct events;
struct sl_rate;
struct sl_call;
struct sl_reports;

TAILQ_HEAD(sl_call_list, sl_call);
TAILQ_HEAD(stream_list, stream);

struct sl_rest {
	struct sl_rest_conf c;
	char *name, *state_dir, *host; /* host: of public_url */
	struct door *door;
	struct sl_rate *rate;
	struct throttle throttle;
	json_t *page;		     /* openapi.json */
	uint16_t *roles;	     /* of each operation */
	bool *open;		     /* it needs no login */
	struct sl_call_list waiting; /* calls that are answered later */
	struct events *events;	     /* of whoever listens; NULL: nobody did yet */
	struct stream_list streams;  /* answers that go on */
	struct sl_rest_stats stats;
	struct rest_counts counts;
	struct sl_tasks *writer; /* of the store; NULL: a follower's */
	struct sl_tasks *helper;
	struct sl_store *writer_store, *helper_store;	    /* their handles */
	struct sl_reports *writer_reports, *helper_reports; /* the same; NULL: a follower's */
	uint64_t pruned_ns; /* kept answers and the audit were tidied then */
	bool tidying;
	struct sl_task tidy;
	struct event *resume;
	struct failed *failed; /* logins that were refused; NULL: a follower's */
};

uint64_t sl_rest_mono_ns(void);
uint64_t sl_rest_wall_ns(void);

/**
 * Who is it? By the Authorization header, else by the certificate. Failures cost the source time.
 * @param authorization NULL: none; @param count note a failure
 * @return 0; -EACCES unauthenticated, auth_invalid, token_refused, cert_refused; -EAGAIN
 * login_delayed
 */
int sl_rest_login(struct sl_rest *r, struct bufferevent *bev, const char *authorization,
		  const struct sl_ip *from, bool count, struct sl_principal *out,
		  struct sl_error *e);
/** Would a login of before be taken now, for the same? @param bev NULL: the client has gone */
bool sl_rest_login_still(struct sl_rest *r, struct bufferevent *bev, const struct sl_principal *who,
			 const struct sl_ip *from);
/** How long the source waits until it may try again. */
uint32_t sl_rest_login_wait_ms(const struct sl_rest *r, const struct sl_ip *from);

/**
 * Find the operation of a target.
 * @param[out] arg path parameters; @param[out] allowed methods of this path, bits by method
 * @return NULL: no path, or (allowed != 0) no such method
 */
const struct sl_rest_op *sl_rest_route(const struct sl_target *t, enum sl_rest_method m,
				       const char *arg[2], unsigned *allowed);

#endif
