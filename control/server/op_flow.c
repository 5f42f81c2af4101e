/* SPDX-License-Identifier: BSD-3-Clause */
/* Flows as gateways told of them. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include "call.h"
#include "collector.h"
#include "evidence.h"

#define LIMIT 100
#define SCAN 50000 /* rows that one page looks at: others wait meanwhile */
#define DAY_S 86400

/* --- the cursor: base64 of the row's key, as JSON ----------------------------------------------
 */

static json_t *
cursor_json(const struct sl_flows_key *k)
{
	char b64[1601];
	json_t *o = json_pack("[I, s, s, s, s, s, I, I, I, I]", (json_int_t)k->day, k->gateway,
			      k->interface, k->peer, k->src, k->dst, (json_int_t)k->proto,
			      (json_int_t)k->port, (json_int_t)k->inside, (json_int_t)k->midstream);
	char *text = json_dumps(o, JSON_COMPACT);
	json_t *out = NULL;

	if (text != NULL &&
	    sodium_base64_encoded_len(strlen(text), sodium_base64_VARIANT_URLSAFE_NO_PADDING) <=
		    sizeof(b64)) {
		sodium_bin2base64(b64, sizeof(b64), (const unsigned char *)text, strlen(text),
				  sodium_base64_VARIANT_URLSAFE_NO_PADDING);
		out = json_string(b64);
	}
	free(text);
	json_decref(o);
	return out;
}

static bool
copy(char *to, size_t room, const char *from)
{
	return snprintf(to, room, "%s", from) < (int)room;
}

static bool
cursor_read(const char *text, struct sl_flows_key *k)
{
	const char *gateway, *interface, *peer, *src, *dst;
	json_int_t day, proto, port, inside, midstream;
	unsigned char plain[1200];
	json_t *o = NULL;
	size_t n;
	bool ok;

	if (sodium_base642bin(plain, sizeof(plain), text, strlen(text), NULL, &n, NULL,
			      sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0)
		o = json_loadb((const char *)plain, n, 0, NULL);
	ok = json_unpack(o, "[I, s, s, s, s, s, I, I, I, I!]", &day, &gateway, &interface, &peer,
			 &src, &dst, &proto, &port, &inside, &midstream) == 0 &&
	     copy(k->gateway, sizeof(k->gateway), gateway) &&
	     copy(k->interface, sizeof(k->interface), interface) &&
	     copy(k->peer, sizeof(k->peer), peer) && copy(k->src, sizeof(k->src), src) &&
	     copy(k->dst, sizeof(k->dst), dst);
	if (ok) {
		k->day = day;
		k->proto = proto;
		k->port = port;
		k->inside = inside;
		k->midstream = midstream;
	}
	json_decref(o);
	return ok;
}

/* --- what is asked for ------------------------------------------------------------------------ */

static int
invalid(struct sl_error *e, const char *name, const char *why)
{
	return sl_fail(e, -EINVAL, "param_invalid", name, "%s", why);
}

static int
read_verdict(const char *text, const char *name, enum sl_flows_verdict *out, struct sl_error *e)
{
	*out = SL_FLOWS_ANY;
	if (text == NULL)
		return 0;
	*out = strcmp(text, "allow") == 0 ? SL_FLOWS_ALLOWED : SL_FLOWS_DENIED;
	return *out == SL_FLOWS_ALLOWED || strcmp(text, "deny") == 0
		       ? 0
		       : invalid(e, name, "allow or deny");
}

static int
read_time(const char *text, const char *name, int64_t *s, struct sl_error *e)
{
	uint64_t ns;

	if (text == NULL)
		return 0;
	if (sl_time_parse(text, &ns) != 0)
		return invalid(e, name, "a time such as 2026-11-20T17:00:00Z");
	*s = (int64_t)(ns / 1000000000);
	return 0;
}

static int
read_question(struct sl_call *c, struct sl_flows_page *q, struct sl_flows_key *after,
	      struct sl_error *e)
{
	int64_t now = sl_collector_now_s();
	int rc;

	*q = (struct sl_flows_page){.of = {.since_s = now - DAY_S,
					   .peer = c->q[SL_Q_PEER],
					   .gateway = c->q[SL_Q_GATEWAY]},
				    .until_s = INT64_MAX,
				    .scan = SCAN};
	rc = read_time(c->q[SL_Q_SINCE], "?since", &q->of.since_s, e);
	if (rc == 0)
		rc = read_time(c->q[SL_Q_UNTIL], "?until", &q->until_s, e);
	if (rc == 0)
		rc = read_verdict(c->q[SL_Q_VERDICT], "?verdict", &q->verdict, e);
	if (rc == 0)
		rc = read_verdict(c->q[SL_Q_WOULD], "?would", &q->would, e);
	if (rc != 0 || c->q[SL_Q_AFTER] == NULL)
		return rc;
	q->after = after;
	return cursor_read(c->q[SL_Q_AFTER], after)
		       ? 0
		       : invalid(e, "?after", "`next` of the page before");
}

/* --- the answer ------------------------------------------------------------------------------- */

struct listing {
	json_t *items;
	size_t limit;
	bool failed;
};

static void
set_text(json_t *o, const char *name, const char *text)
{
	if (o != NULL && text[0] != '\0')
		json_object_set_new(o, name, json_string(text));
}

static json_t *
flow_json(const struct sl_flow_row *r)
{
	char src[SL_IP_STR], dst[SL_IP_STR], first[SL_TIME_STR], last[SL_TIME_STR];
	json_t *o =
		json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:I, s:I, s:I, s:s, s:s}",
			  "gateway", r->gateway, "interface", r->interface, "from",
			  r->from_inside ? "inside" : "tunnel", "src", sl_ip_str(&r->src, src),
			  "dst", sl_ip_str(&r->dst, dst), "protocol", r->proto, "port", r->port,
			  "verdict", r->allowed ? "allow" : "deny", "would",
			  r->would ? "allow" : "deny", "flows", (json_int_t)r->flows, "packets",
			  (json_int_t)r->packets, "bytes", (json_int_t)r->bytes, "first",
			  sl_time_str((uint64_t)r->first_s * 1000000000, first), "last",
			  sl_time_str((uint64_t)r->last_s * 1000000000, last));

	set_text(o, "peer", r->peer);
	set_text(o, "role", r->role);
	set_text(o, "rule", r->rule);
	set_text(o, "reason", r->reason);
	if (o != NULL && r->midstream)
		json_object_set_new(o, "midstream", json_true());
	return o;
}

static bool
each_flow(void *ctx, const struct sl_flow_row *r)
{
	struct listing *l = ctx;

	if (json_array_size(l->items) == l->limit || l->failed)
		return false;
	l->failed = json_array_append_new(l->items, flow_json(r)) != 0;
	return true;
}

/** The items, where they go on, and with the first page what is missing. */
static int
answer(struct sl_call *c, const struct sl_flows_page *q, json_t *items,
       const struct sl_flows_key *last, bool more, struct sl_error *e)
{
	json_t *o = json_pack("{s:O}", "items", items), *gaps;

	if (more)
		json_object_set_new(o, "next", cursor_json(last));
	if (q->after == NULL) {
		gaps = evidence_gaps(c->reports, q->of.since_s, e);
		if (gaps == NULL) {
			json_decref(o);
			return e->err;
		}
		json_object_set_new(o, "gaps", gaps);
	}
	return sl_call_answer(c, 200, o, e);
}

int
sl_op_list_flows(struct sl_call *c, struct sl_error *e)
{
	struct listing l = {.limit = LIMIT};
	struct sl_prefix to[EVIDENCE_PREFIXES];
	struct sl_flows_key after, last;
	struct sl_flows_page q;
	json_t *prefixes = NULL;
	bool more;
	int rc;

	if (c->reports == NULL)
		return sl_call_not_primary(c, "what gateways report", e);
	rc = read_question(c, &q, &after, e);
	if (rc == 0)
		rc = evidence_where(c->store, c->q[SL_Q_TARGET], &prefixes, e);
	if (rc != 0)
		return rc;
	q.of.to = to;
	q.of.n_to = evidence_prefixes(prefixes, to);
	json_decref(prefixes);
	if (c->q[SL_Q_LIMIT] != NULL)
		l.limit = (size_t)c->q_int[SL_Q_LIMIT];
	l.items = json_array();
	rc = sl_flows_page(c->reports->flows, &q, each_flow, &l, &last, &more, e);
	if (rc == 0 && l.failed)
		rc = sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the answer");
	if (rc == 0)
		rc = answer(c, &q, l.items, &last, more, e);
	json_decref(l.items);
	return rc;
}
