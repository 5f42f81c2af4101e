/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The flows of a peer that gets another home (D4, D26). The old home takes them out of its table,
 * writes them into packet buffers, marks the peer, hands the buffers over by ring, and only then
 * stores the new home. The new home takes what is in its rings once a tick, and at once when a
 * marked peer sends a packet of no flow. So no packet of the peer is judged without its flows.
 *
 * Entries go as they are, with counters, times and what is held back: no record says that they
 * ended. What finds no buffer or no room in the ring ends here (evicted) and is counted; its next
 * packet is judged as one of a flow whose begin was not seen.
 *
 * What leads from fragments to these flows goes before them; it stays as well, for fragments that
 * are still on their way here and are handed on.
 *
 * Between peers an entry may be needed at both homes: it goes with the peer that the judgement
 * names, and a quiet copy stays or goes for the other one.
 */
#include "flow_int.h"

#define MBUFS_MAX 512 /* as many as a ring takes */

enum kind { FLOWS, FRAGS };

struct head {
	uint32_t peer_id;
	uint16_t n;
	uint16_t kind;
};

/** Buffers on their way to one worker. */
struct parcel {
	struct sl_worker *w;
	struct sl_peer *p;
	unsigned n;
	bool full; /* no buffer is left */
	struct rte_mbuf *m[MBUFS_MAX];
};

static struct head *
head_of(struct rte_mbuf *m)
{
	return rte_pktmbuf_mtod(m, struct head *);
}

static size_t
size_of(unsigned kind)
{
	return kind == FLOWS ? sizeof(struct sl_flow) : sizeof(struct sl_frag);
}

static uint8_t *
entry_at(struct rte_mbuf *m, uint32_t i)
{
	return rte_pktmbuf_mtod(m, uint8_t *) + sizeof(struct head) + i * size_of(head_of(m)->kind);
}

/* --- out --------------------------------------------------------------------------------- */

static bool
open_buffer(struct parcel *c, enum kind kind)
{
	struct rte_mbuf *m;

	if (c->n == MBUFS_MAX || c->full)
		return false;
	m = rte_pktmbuf_alloc(c->w->pool);
	if (m == NULL || rte_pktmbuf_tailroom(m) < sizeof(struct head) + sizeof(struct sl_flow)) {
		rte_pktmbuf_free(m);
		c->full = true;
		return false;
	}
	*head_of(m) = (struct head){.peer_id = c->p->id, .kind = (uint16_t)kind};
	c->m[c->n++] = m;
	return true;
}

static bool
has_room(const struct parcel *c, enum kind kind)
{
	struct rte_mbuf *m;

	if (c->n == 0)
		return false;
	m = c->m[c->n - 1];
	return head_of(m)->kind == kind &&
	       entry_at(m, head_of(m)->n + 1) <= (uint8_t *)m->buf_addr + m->buf_len;
}

static bool
pack(struct parcel *c, enum kind kind, const void *entry)
{
	struct rte_mbuf *m;

	if (!has_room(c, kind) && !open_buffer(c, kind))
		return false;
	m = c->m[c->n - 1];
	memcpy(entry_at(m, head_of(m)->n), entry, size_of(kind));
	head_of(m)->n++;
	return true;
}

/** An entry that cannot go. */
static void
lose(struct sl_worker *w, struct sl_flow *f)
{
	w->delta.lcore.flow_handover_lost++;
	sl_note_end(w, f, SL_RR_EVICTED);
}

/** What a copy is to be for the other peer: known here, counted there. */
static void
make_quiet(struct sl_flow *f)
{
	f->flags |= SL_FLOW_QUIET | SL_FLOW_ALLOW_NOTED;
	f->folded_packets = f->packets[0] + f->packets[1];
	f->folded_bytes = f->bytes[0] + f->bytes[1];
	f->unnoted = 0;
}

/** The entry of a peer that leaves; side says which of its ends the peer is. */
static void
send_entry(struct parcel *c, struct sl_flow *f, enum sl_flow_side side)
{
	enum sl_flow_side other = 1 - side;
	struct sl_flow copy;

	if ((f->flags & SL_FLOW_QUIET) != 0) /* what was dropped here is known here alone */
		sl_note_denied(c->w, f);
	copy = *f;
	sl_flow_unlink(c->w, f, side);
	if (side == SL_FLOW_OTHER)
		make_quiet(&copy);
	if (!pack(c, FLOWS, &copy))
		lose(c->w, &copy);
	if (f->listed[other] == 0)
		sl_flow_del(c->w->flows, f);
	else if (side == SL_FLOW_MAIN)
		make_quiet(f);
}

static void
lose_buffer(struct sl_worker *w, struct rte_mbuf *m)
{
	struct sl_flow f;
	uint32_t i;

	for (i = 0; head_of(m)->kind == FLOWS && i < head_of(m)->n; i++) {
		memcpy(&f, entry_at(m, i), sizeof(f));
		lose(w, &f);
	}
	rte_pktmbuf_free(m);
}

/** Fragments of flows that the peer has a part in. What finds no buffer is not found there. */
static void
send_frags(struct parcel *c)
{
	struct sl_flow_table *t = c->w->flows;
	const struct sl_frag *g;
	const struct sl_flow *f;
	unsigned k;

	for (k = 0; k < SL_FRAG_PLACES; k++) {
		g = sl_frag_get(c->w, k);
		f = g != NULL ? sl_flow_find(t, &g->flow, sl_flow_hash(t, &g->flow)) : NULL;
		if (f != NULL && (f->listed[SL_FLOW_MAIN] == c->p->id + 1 ||
				  f->listed[SL_FLOW_OTHER] == c->p->id + 1))
			(void)pack(c, FRAGS, g);
	}
}

void
sl_flow_export(struct sl_worker *w, struct sl_peer *p, unsigned to)
{
	struct rte_ring *ring = to < SL_WORKER_MAX ? w->flow_out[to] : NULL;
	struct parcel c = {.w = w, .p = p};
	unsigned sent = 0;
	uint32_t link;

	if (to == w->id)
		return;
	sl_flow_import(w);
	if (p->flow_head != 0)
		send_frags(&c);
	while (p->flow_head != 0) {
		link = p->flow_head - 1;
		send_entry(&c, sl_flow_get(w->flows, link / 2), link & 1);
	}
	p->flows_came = 1; /* before the other worker can see the buffers */
	if (ring != NULL && c.n > 0)
		sent = rte_ring_sp_enqueue_burst(ring, (void **)c.m, c.n, NULL);
	for (; sent < c.n; sent++)
		lose_buffer(w, c.m[sent]);
}

/* --- in ---------------------------------------------------------------------------------- */

/** All but what binds it to its table. */
static void
take_over(struct sl_flow *f, const struct sl_flow *from)
{
	struct sl_flow own = *f;

	*f = *from;
	f->hash = own.hash;
	f->used = own.used;
	f->agg_hash = 0;
	memcpy(f->listed, own.listed, sizeof(f->listed));
	memcpy(f->next, own.next, sizeof(f->next));
	memcpy(f->prev, own.prev, sizeof(f->prev));
}

/* Both were counted: the other one began when this worker had not yet got this one. */
static void
merge(struct sl_worker *w, struct sl_flow *f, struct sl_flow *from)
{
	unsigned i;

	sl_note_denied(w, from);
	for (i = 0; i < 2; i++) {
		f->packets[i] += from->packets[i];
		f->bytes[i] += from->bytes[i];
	}
	f->folded_packets += from->folded_packets;
	f->folded_bytes += from->folded_bytes;
	f->start_ns = SL_MIN(f->start_ns, from->start_ns);
}

static void
receive(struct sl_worker *w, struct sl_flow *from, const struct sl_peer *p)
{
	uint32_t hash = sl_flow_hash(w->flows, &from->key);
	struct sl_flow *f = sl_flow_find(w->flows, &from->key, hash);
	bool quiet = (from->flags & SL_FLOW_QUIET) != 0;

	if (f == NULL) {
		f = ((from->flags & SL_FLOW_ALLOW) != 0 ? sl_flow_add
							: sl_flow_add_denied)(w->flows, &from->key,
									      hash, w->tick,
									      sl_flow_evicted, w);
		if (f == NULL) {
			lose(w, from);
			return;
		}
		take_over(f, from);
	} else if (!quiet && (f->flags & SL_FLOW_QUIET) != 0) {
		sl_note_denied(w, f);
		take_over(f, from);
	} else if (!quiet) {
		merge(w, f, from);
	}
	sl_flow_link_peers(w, f, p);
}

static void
unpack(struct sl_worker *w, struct rte_mbuf *m)
{
	const struct sl_peer *p = sl_peer_get(w->dp->peers, head_of(m)->peer_id);
	struct sl_flow f;
	struct sl_frag g;
	uint32_t i;

	for (i = 0; i < head_of(m)->n; i++) {
		if (head_of(m)->kind == FRAGS) {
			memcpy(&g, entry_at(m, i), sizeof(g));
			sl_frag_take(w, &g);
			continue;
		}
		memcpy(&f, entry_at(m, i), sizeof(f));
		receive(w, &f, p);
	}
	rte_pktmbuf_free(m);
}

void
sl_flow_import(struct sl_worker *w)
{
	struct rte_mbuf *m;
	unsigned i;

	for (i = 0; i < w->dp->n_workers; i++)
		while (w->flow_in[i] != NULL &&
		       rte_ring_sc_dequeue(w->flow_in[i], (void **)&m) == 0)
			unpack(w, m);
}
