/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_memory.h>

#include "sl_mbox.h"

#define ENTRIES_MAX (1u << 20)
#define CHUNK_MSGS 64

struct sl_mbox_retry_chunk {
	struct sl_mbox_retry_chunk *next;
	unsigned first; /* of the messages not sent yet */
	unsigned end;
	uint8_t msgs[]; /* CHUNK_MSGS of them */
};

static struct rte_ring *
spsc_ring(const char *name, unsigned entries, unsigned element, int socket)
{
	struct rte_ring *r;

	if (entries == 0 || entries > ENTRIES_MAX || element == 0 || element % 4 != 0 ||
	    element > SL_MBOX_MSG_MAX) {
		errno = EINVAL;
		return NULL;
	}
	r = rte_ring_create_elem(name, element, entries, socket,
				 RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
	if (r == NULL)
		errno = rte_errno;
	return r;
}

struct rte_ring *
sl_mbox_ring_new(const char *name, unsigned entries, int socket)
{
	return spsc_ring(name, entries, sizeof(void *), socket);
}

struct sl_mbox *
sl_mbox_new(const char *name, unsigned entries, unsigned msg_size)
{
	struct sl_mbox *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->ring = spsc_ring(name, entries, msg_size, SOCKET_ID_ANY);
	if (m->ring == NULL) {
		free(m);
		return NULL;
	}
	m->msg_size = msg_size;
	return m;
}

void
sl_mbox_free(struct sl_mbox *m)
{
	if (m == NULL)
		return;
	rte_ring_free(m->ring);
	free(m);
}

/* A chunk at the end of the list with room for a message. */
static struct sl_mbox_retry_chunk *
retry_room(struct sl_mbox_retry *r, unsigned msg_size)
{
	struct sl_mbox_retry_chunk *c = r->tail;

	if (c != NULL && c->end < CHUNK_MSGS)
		return c;
	c = malloc(sizeof(*c) + (size_t)CHUNK_MSGS * msg_size);
	if (c == NULL)
		return NULL;
	c->next = NULL;
	c->first = 0;
	c->end = 0;
	if (r->tail != NULL)
		r->tail->next = c;
	else
		r->head = c;
	r->tail = c;
	return c;
}

int
sl_mbox_send(struct sl_mbox *m, struct sl_mbox_retry *r, const void *msg)
{
	struct sl_mbox_retry_chunk *c;

	if (sl_mbox_retry_flush(m, r) == 0 && sl_mbox_put(m, msg))
		return 0;
	c = retry_room(r, m->msg_size);
	if (c == NULL)
		return -ENOMEM;
	memcpy(c->msgs + (size_t)c->end * m->msg_size, msg, m->msg_size);
	c->end++;
	r->waiting++;
	r->delayed++;
	return 0;
}

static void
retry_pop_chunk(struct sl_mbox_retry *r)
{
	struct sl_mbox_retry_chunk *c = r->head;

	r->head = c->next;
	if (r->head == NULL)
		r->tail = NULL;
	free(c);
}

unsigned
sl_mbox_retry_flush(struct sl_mbox *m, struct sl_mbox_retry *r)
{
	struct sl_mbox_retry_chunk *c;
	unsigned n, sent;

	while ((c = r->head) != NULL) {
		n = c->end - c->first;
		sent = rte_ring_sp_enqueue_burst_elem(m->ring,
						      c->msgs + (size_t)c->first * m->msg_size,
						      m->msg_size, n, NULL);
		c->first += sent;
		r->waiting -= sent;
		if (sent < n)
			break;
		retry_pop_chunk(r);
	}
	return r->waiting;
}

void
sl_mbox_retry_free(struct sl_mbox_retry *r)
{
	while (r->head != NULL)
		retry_pop_chunk(r);
	*r = (struct sl_mbox_retry){0};
}
