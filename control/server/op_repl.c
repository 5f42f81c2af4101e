/* SPDX-License-Identifier: BSD-3-Clause */
/* Replication: where the log stands, who follows, "has everybody got it?". */
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "repl_view.h"
#include "sl_replica.h"

/* --- position --------------------------------------------------------------------------------- */

static json_t *
source(struct sl_call *c)
{
	struct sl_sub_info i = {0};
	char at[160] = "";
	json_t *o;

	if (c->rest->c.source == NULL || !c->rest->c.source(c->rest->c.ctx, &i, at))
		return NULL;
	o = json_pack("{s:b, s:s, s:I, s:I, s:I, s:s}", "up", i.up, "at", at, "head",
		      (json_int_t)i.head, "snapshots", (json_int_t)i.snapshots, "txns",
		      (json_int_t)i.txns, "error", i.last_error);
	if (o != NULL && i.refused.number != 0)
		json_object_set_new(o, "refused_epoch", sl_epoch_json(&i.refused));
	return o;
}

int
sl_op_get_replication(struct sl_call *c, struct sl_error *e)
{
	struct sl_store *s = c->store;
	bool follower = sl_store_role(s) == SL_STORE_FOLLOWER;
	const char *primary = sl_store_primary(s);
	struct sl_hash_sum sum;
	struct sl_epoch epoch;
	char hash[SL_HASH_STR];
	json_t *o, *src = source(c);

	sl_store_epoch(s, &epoch);
	sl_store_sum(s, &sum);
	o = json_pack("{s:s, s:s, s:o, s:I, s:I, s:s, s:o}", "role",
		      follower ? "follower" : "primary", "name", c->rest->name, "epoch",
		      sl_epoch_json(&epoch), "seq", (json_int_t)sl_store_head(s), "oldest",
		      (json_int_t)sl_store_oldest(s), "hash", sl_hash_str(&sum, hash),
		      "subscribers", repl_view_all(c->rest->c.publisher));
	if (o != NULL && c->rest->c.publisher != NULL)
		json_object_set_new(o, "objects",
				    json_integer((json_int_t)sl_replica_count(
					    sl_publisher_replica(c->rest->c.publisher))));
	if (o != NULL && src != NULL)
		json_object_set(o, "source", src);
	json_decref(src);
	if (o != NULL && follower && primary != NULL && primary[0] != '\0')
		json_object_set_new(o, "primary", json_string(primary));
	return sl_call_answer(c, 200, o, e);
}

/* --- wait ------------------------------------------------------------------------------------- */

#define NAMES_MAX 256

static void
waited(void *ctx, bool all, json_t *missing)
{
	struct sl_call *c = ctx;
	struct sl_error e = {0};
	json_t *o = json_pack("{s:I, s:b, s:O}", "seq", (json_int_t)c->q_int[SL_Q_SEQ], "all", all,
			      "missing", missing);

	c->pending = NULL;
	if (o == NULL) /* without a list: nobody is missing */
		o = json_pack("{s:I, s:b, s:[]}", "seq", (json_int_t)c->q_int[SL_Q_SEQ], "all", all,
			      "missing");
	sl_call_finish(c, sl_call_answer(c, 200, o, &e), &e);
}

static void
cancel(struct sl_call *c)
{
	sl_publisher_wait_cancel(c->pending);
}

/** "a,b" in place. @return how many, -1: too many */
static int
cut(char *text, const char *names[NAMES_MAX])
{
	char *rest = NULL;
	int n = 0;

	for (char *s = strtok_r(text, ",", &rest); s; s = strtok_r(NULL, ",", &rest)) {
		if (n == NAMES_MAX)
			return -1;
		names[n++] = s;
	}
	return n;
}

static int
check_names(struct sl_call *c, const char *const *names, int n, struct sl_error *e)
{
	for (int i = 0; i < n; i++) {
		if (sl_store_get(c->store, SL_KIND_GATEWAY, names[i], NULL, NULL) != 0)
			return sl_call_not_found("gateway", names[i], e);
	}
	return 0;
}

int
sl_op_wait_applied(struct sl_call *c, struct sl_error *e)
{
	const char *list = c->q[SL_Q_GATEWAYS] != NULL ? c->q[SL_Q_GATEWAYS] : "all";
	unsigned ms = 1000 * (c->q[SL_Q_TIMEOUT] != NULL ? (unsigned)c->q_int[SL_Q_TIMEOUT] : 10);
	const char *names[NAMES_MAX];
	char *copy;
	int n = 0, rc = 0;

	if (c->rest->c.publisher == NULL)
		return sl_fail(e, -EAGAIN, "behind", "", "this server has no gateways");
	copy = strdup(list);
	if (copy == NULL)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the wait");
	if (strcmp(list, "all") != 0)
		n = cut(copy, names);
	if (n < 0)
		rc = sl_fail(e, -EINVAL, "param_invalid", "?gateways", "at most %d names",
			     NAMES_MAX);
	else
		rc = check_names(c, names, n, e);
	if (rc == 0) {
		c->cancel = cancel;
		c->pending = sl_publisher_wait(c->rest->c.publisher, (uint64_t)c->q_int[SL_Q_SEQ],
					       n > 0 ? names : NULL, (unsigned)n, ms, waited, c);
		rc = c->pending != NULL
			     ? SL_CALL_LATER
			     : sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the wait");
	}
	free(copy);
	return rc;
}
