/* SPDX-License-Identifier: BSD-3-Clause */
/* The rows as they are, and how many. */
#include <stdlib.h>

#include "evidence_int.h"
#include "evidence_query.h"

static int
row_cmp(const void *a, const void *b, void *ctx)
{
	const struct sl_evidence *ev = ctx;

	return memcmp(&ev->row[*(const uint32_t *)a], &ev->row[*(const uint32_t *)b], EV_KEY_LEN);
}

void
sl_evidence_walk(struct sl_evidence *ev, uint64_t window_s,
		 bool (*fn)(void *ctx, const struct sl_evidence_row *r), void *ctx)
{
	uint64_t now = ev_now(ev), window = window_s * SL_NS_PER_S;
	uint64_t from = now > window ? now - window : 0;
	uint32_t *at = malloc((ev->used + 1) * sizeof(*at)), n = 0, i;
	bool more = at != NULL;

	for (i = 0; more && i < ev->n_slots; i++)
		if (ev->row[i].version != 0 && ev->row[i].last_ns >= from)
			at[n++] = i;
	if (n > 0)
		qsort_r(at, n, sizeof(*at), row_cmp, ev);
	for (i = 0; more && i < n; i++) {
		const struct ev_row *r = &ev->row[at[i]];
		struct sl_evidence_row out = {.hour = r->hour,
					      .flows = r->flows,
					      .packets = r->packets,
					      .bytes = r->bytes,
					      .first_wall_ns = r->first_ns,
					      .last_wall_ns = r->last_ns,
					      .rule_id = r->rule_id,
					      .role_id = r->role_id};

		memcpy(out.key.src, r->src, 16);
		memcpy(out.key.dst, r->dst, 16);
		out.key.sport = r->sport;
		out.key.dport = r->dport;
		out.key.proto = r->proto;
		out.key.version = r->version;
		out.key.flags = r->flags;
		out.key.peer_id = SL_PEER_MAX;
		ev_who_here(ev, r->who, &out.key.iface, &out.key.peer_id);
		memcpy(out.peer, ev->who[r->who].peer, sizeof(out.peer));
		more = fn(ctx, &out);
	}
	free(at);
}

/* Kept as rows come and go: a look at each of them would hold up the loop. */
void
ev_status(struct sl_evidence *ev, struct ev_status *out)
{
	*out = (struct ev_status){.rows = ev->used,
				  .rows_max = ev->max,
				  .peers = ev->n_seen,
				  .lcores = ev->n_agg,
				  .kept = ev->dir != NULL,
				  .save_failed = ev->warned,
				  .saved_age_s = UINT64_MAX};
	if (ev->used > 0) {
		out->oldest_ns = ev->oldest_ns;
		out->newest_ns = ev->newest_ns;
	}
	if (ev->written_ns > 0)
		out->saved_age_s = (gw_mono_ns(ev->gw) - ev->written_ns) / SL_NS_PER_S;
}
