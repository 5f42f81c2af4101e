/* SPDX-License-Identifier: BSD-3-Clause */
/* What the evidence covers: the times in which a gateway counted, and what was lost by the hour. */
#include "evidence_int.h"

#define LAG_NS (10 * SL_NS_PER_S) /* tables are merged a second or two late */

void
ev_lost_add(struct sl_evidence *ev, uint32_t hour, uint64_t flows)
{
	unsigned i, oldest = 0;

	for (i = ev->n_lost; i-- > 0;) {
		if (ev->lost[i].hour == hour) {
			ev->lost[i].flows += flows;
			return;
		}
	}
	if (ev->n_lost < EV_LOST) {
		ev->lost[ev->n_lost++] = (struct ev_lost){hour, flows};
		return;
	}
	for (i = 1; i < ev->n_lost; i++)
		if (ev->lost[i].hour < ev->lost[oldest].hour)
			oldest = i;
	if (hour > ev->lost[oldest].hour)
		ev->lost[oldest] = (struct ev_lost){hour, flows};
	else
		ev->lost[oldest].flows += flows;
}

void
ev_span_begin(struct sl_evidence *ev, uint64_t now_ns)
{
	if (ev->n_spans == EV_SPANS)
		memmove(&ev->span[0], &ev->span[1], (--ev->n_spans) * sizeof(ev->span[0]));
	ev->span[ev->n_spans++] = (struct ev_span){now_ns, now_ns};
}

void
ev_span_end(struct sl_evidence *ev, uint64_t end_ns)
{
	struct ev_span *s = &ev->span[ev->n_spans - 1];

	if (end_ns > s->end_ns)
		s->end_ns = end_ns;
}

void
ev_cover_prune(struct sl_evidence *ev, uint64_t now_ns)
{
	uint64_t oldest = now_ns - SL_EVIDENCE_KEEP_S * SL_NS_PER_S;
	unsigned i, n = 0;

	for (i = 0; i < ev->n_spans; i++)
		if (ev->span[i].end_ns >= oldest || i + 1 == ev->n_spans)
			ev->span[n++] = ev->span[i];
	ev->n_spans = n;
	for (n = i = 0; i < ev->n_lost; i++)
		if ((ev->lost[i].hour + 1) * EV_HOUR_NS > oldest)
			ev->lost[n++] = ev->lost[i];
	ev->n_lost = n;
}

/* From the newest span to the oldest: what of the window is covered, and where the first hole is.
 * A span may lie before one that stands in front of it where the wall clock was set back. */
static uint64_t
covered(const struct sl_evidence *ev, uint64_t from, uint64_t now, uint64_t *gap_ns)
{
	uint64_t sum = 0, edge = now; /* all behind it is told already */
	unsigned i;

	*gap_ns = 0;
	for (i = ev->n_spans; i-- > 0 && edge > from;) {
		const struct ev_span *s = &ev->span[i];
		bool running = ev->n_agg > 0 && i + 1 == ev->n_spans;
		uint64_t end = SL_MIN(s->end_ns, edge), begin = SL_MAX(s->begin_ns, from);

		if (running && s->end_ns + LAG_NS >= now)
			end = now;
		if (begin >= edge)
			continue;
		if (end < edge && *gap_ns == 0)
			*gap_ns = edge;
		if (end > begin)
			sum += end - begin;
		edge = SL_MIN(edge, begin);
	}
	if (edge > from && *gap_ns == 0)
		*gap_ns = edge;
	return sum;
}

void
sl_evidence_coverage(struct sl_evidence *ev, uint64_t window_s, struct sl_coverage *out)
{
	uint64_t now = ev_now(ev), window = window_s * SL_NS_PER_S;
	uint64_t from = now > window ? now - window : 0, gap;
	unsigned i;

	*out = (struct sl_coverage){.window_s = window_s};
	out->covered_s = covered(ev, from, now, &gap) / SL_NS_PER_S;
	out->newest_gap_wall_s = gap / SL_NS_PER_S;
	for (i = 0; i < ev->n_lost; i++)
		if ((ev->lost[i].hour + 1) * EV_HOUR_NS > from)
			out->lost += ev->lost[i].flows;
}
