/* SPDX-License-Identifier: BSD-3-Clause */
/* Flow aggregates on their way to the control plane: numbered, so that each counts once, in a
 * bounded buffer; what did not fit is told as lost. Which time they cover is told beside them, also
 * where nobody sent anything: no flows, and no word, are not the same. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

#define ROWS 16384
#define CALL_ROWS 500
#define FLUSH_NS (1 * SL_NS_PER_S)
#define RETRY_NS (5 * SL_NS_PER_S)
#define LAG_NS (3 * SL_NS_PER_S) /* a flow is a row so late at the most */

struct cp_log {
	struct sl_evidence *ev;
	struct sl_evidence_row *v; /* [ROWS] a ring: number n at n % ROWS */
	uint64_t first, end;	   /* numbers of those that wait */
	uint64_t lost;		   /* rows before `first` that were dropped and not told yet */
	uint64_t lost_all;
	uint64_t lost_flows; /* that no row held, not told yet */
	unsigned sent;	     /* rows of the call under way */
	uint64_t sent_lost, sent_lost_flows;
	bool calling;
	uint64_t due_ns, idle_due_ns;	    /* idle: to tell that there was nothing */
	uint64_t covered_ns, sent_cover_ns; /* monotonic: all flows before it are told */
};

static void
tap(void *ctx, const struct sl_evidence_row *r, uint64_t lost_flows)
{
	struct cp_log *l = ((struct sl_cp *)ctx)->log;

	l->lost_flows += lost_flows;
	if (r == NULL)
		return;
	if (l->end - l->first == ROWS) {
		l->first++;
		l->lost++;
		l->lost_all++;
	}
	l->v[l->end++ % ROWS] = *r;
}

int
cp_log_init(struct sl_cp *cp, struct sl_evidence *ev)
{
	struct cp_log *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return -ENOMEM;
	l->v = calloc(ROWS, sizeof(*l->v));
	if (l->v == NULL) {
		free(l);
		return -ENOMEM;
	}
	l->ev = ev;
	l->covered_ns = gw_mono_ns(cp->gw);
	l->idle_due_ns = l->covered_ns + (uint64_t)cp->config->stats_s * SL_NS_PER_S;
	cp->log = l;
	sl_evidence_tap(ev, tap, cp);
	return 0;
}

void
cp_log_free(struct sl_cp *cp)
{
	if (cp->log == NULL)
		return;
	sl_evidence_tap(cp->log->ev, NULL, NULL);
	free(cp->log->v);
	free(cp->log);
	cp->log = NULL;
}

void
cp_log_info(const struct sl_cp *cp, unsigned *waiting, uint64_t *lost)
{
	*waiting = cp->log != NULL ? (unsigned)(cp->log->end - cp->log->first) : 0;
	*lost = cp->log != NULL ? cp->log->lost_all : 0;
}

/* --- sending ------------------------------------------------------------------------------------
 */

static json_t *
row_json(struct sl_cp *cp, const struct sl_evidence_row *r)
{
	const char *name = sl_gw_role_name(cp->gw, r->role_id), *role = name != NULL ? name : "";
	bool allow = (r->key.flags & SL_AGG_ALLOW) != 0, six = r->key.version == 6;
	bool enforced = (r->key.flags & SL_AGG_ENFORCED) != 0;
	bool tunnel = (r->key.flags & SL_AGG_FROM_TUNNEL) != 0;
	struct sl_ip src = six ? sl_ip_v6(r->key.src) : sl_ip_v4(r->key.src);
	struct sl_ip dst = six ? sl_ip_v6(r->key.dst) : sl_ip_v4(r->key.dst);
	char a[SL_IP_STR], b[SL_IP_STR], t1[SL_TIME_STR], t2[SL_TIME_STR], rule[80] = "";
	const struct gw_iface *f = gw_iface_by_id(cp->gw, r->key.iface);

	if (r->rule_id != 0)
		snprintf(rule, sizeof(rule), "%s/%u", role, r->rule_id);
	return json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, "
			 "s:I, s:s, s:s, s:b}",
			 "interface", f != NULL ? f->name : "", "peer", r->peer, "src",
			 sl_ip_str(&src, a), "dst", sl_ip_str(&dst, b), "protocol",
			 (int)r->key.proto, "port", (int)r->key.dport, "from",
			 tunnel ? "tunnel" : "inside", "verdict",
			 allow || !enforced ? "allow" : "deny", "would", allow ? "allow" : "deny",
			 "role", role, "rule", rule, "reason", sl_why_text(r->why), "flows",
			 (json_int_t)r->flows, "packets", (json_int_t)r->packets, "bytes",
			 (json_int_t)r->bytes, "first", sl_time_str(r->first_wall_ns, t1), "last",
			 sl_time_str(r->last_wall_ns, t2), "midstream",
			 (int)((r->key.flags & SL_AGG_MIDSTREAM) != 0));
}

/* What was dropped while the call was under way may have been a part of it. */
static void
acked(void *ctx, int rc, json_t *result, const struct sl_error *e)
{
	struct sl_cp *cp = ctx;
	struct cp_log *l = cp->log;
	const json_t *n = json_object_get(result, "acked");
	uint64_t next = (uint64_t)json_integer_value(n) + 1;

	l->calling = false;
	l->due_ns = gw_mono_ns(cp->gw) + (rc == 0 ? FLUSH_NS : RETRY_NS);
	if (rc != 0) {
		if (e->retry_after_ms > 0)
			l->due_ns = gw_mono_ns(cp->gw) + e->retry_after_ms * SL_NS_PER_MS;
		sl_log(SL_LOG_INFO, "control", "log.push: %s (%s)", e->message, e->reason);
		return;
	}
	l->lost -= l->sent_lost;
	l->lost_flows -= l->sent_lost_flows;
	l->covered_ns = l->sent_cover_ns;
	if (next > l->first && next <= l->end)
		l->first = next;
	if (l->end - l->first >= CALL_ROWS)
		l->due_ns = 0;
}

/** The time since the last word, if these rows are all that there is of it. Its length is that of
 * the monotonic clock: a step of the wall clock covers nothing. */
static void
put_cover(struct sl_cp *cp, json_t *params, unsigned n)
{
	struct cp_log *l = cp->log;
	uint64_t wall = gw_wall_ns(cp->gw) - LAG_NS, to = gw_mono_ns(cp->gw);
	char text[SL_TIME_STR];

	l->sent_cover_ns = l->covered_ns;
	if (n < l->end - l->first || to <= l->covered_ns + LAG_NS)
		return;
	to -= LAG_NS;
	json_object_set_new(params, "from",
			    json_string(sl_time_str(wall - (to - l->covered_ns), text)));
	json_object_set_new(params, "to", json_string(sl_time_str(wall, text)));
	l->sent_cover_ns = to;
}

static void
push(struct sl_cp *cp)
{
	struct cp_log *l = cp->log;
	unsigned n = (unsigned)SL_MIN(l->end - l->first, (uint64_t)CALL_ROWS), i;
	json_t *rows = json_array(), *params;

	for (i = 0; i < n; i++)
		json_array_append_new(rows, row_json(cp, &l->v[(l->first + i) % ROWS]));
	params = json_pack("{s:s, s:I, s:I, s:I, s:o}", "boot", cp->boot_id, "first",
			   (json_int_t)l->first, "lost_before", (json_int_t)l->lost, "lost_flows",
			   (json_int_t)l->lost_flows, "rows", rows);
	if (params != NULL)
		put_cover(cp, params, n);
	l->sent = n;
	l->sent_lost = l->lost;
	l->sent_lost_flows = l->lost_flows;
	l->due_ns = gw_mono_ns(cp->gw) + RETRY_NS;
	l->idle_due_ns = gw_mono_ns(cp->gw) + (uint64_t)cp->config->stats_s * SL_NS_PER_S;
	l->calling = true;
	if (params == NULL || cp->call(cp, "log.push", params, acked) != 0)
		l->calling = false;
}

bool
cp_log_poll(struct sl_cp *cp)
{
	struct cp_log *l = cp->log;

	if (l == NULL)
		return false;
	if (!cp->up) {
		l->calling = false;
		l->due_ns = 0;
		return false;
	}
	if (!cp->registered || l->calling || gw_mono_ns(cp->gw) < l->due_ns)
		return false;
	if (l->end == l->first && gw_mono_ns(cp->gw) < l->idle_due_ns)
		return false;
	push(cp);
	return true;
}
