/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_session.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "arena.h"
#include "index.h"
#include "sl_secret.h"

#define SLOT_BITS SL_INDEX_SLOT_BITS
#define GEN_BITS SL_INDEX_GEN_BITS
#define GEN_MASK ((1U << GEN_BITS) - 1)
#define SLOTS_MAX (1U << SLOT_BITS)
#define REST_MIN 1024
#define NO_SLOT UINT32_MAX

_Static_assert(SL_INDEX_OWNER_BITS + SLOT_BITS + GEN_BITS == 32, "an index is 32 bits");
_Static_assert(offsetof(struct sl_keypair, recv_key) == SL_CACHE_LINE, "keys are lines 1 and 2");
_Static_assert(offsetof(struct sl_keypair, send_counter) == 3 * SL_CACHE_LINE, "line 3");
_Static_assert(offsetof(struct sl_keypair, key_pad) ==
		       offsetof(struct sl_keypair, send_key) + SL_KEY_LEN,
	       "both keys are followed by readable bytes");

/** Free slots of one lane (an owner, or everyone in flat mode), oldest first. hs alone. */
struct lane {
	uint32_t head, tail; /* chained by peer_id; NO_SLOT: empty */
	uint32_t resting, used;
};

struct sl_session_table {
	/* read by data lcores for each packet; constant but for `fresh` */
	struct sl_perm perm;
	struct sl_slot *slots SL_ALIGNED(SL_CACHE_LINE); /* [lanes][per_lane] */
	uint32_t per_lane;
	bool flat;
	/* slots below were used once; those above were never touched: a stray index causes no page
	 * fault. w: hs */
	_Atomic uint32_t fresh[SL_OWNER_MAX];

	/* hs alone, but for the counts */
	unsigned owners SL_ALIGNED(SL_CACHE_LINE);
	unsigned lanes;
	struct lane lane[SL_OWNER_MAX];
	struct sl_arena arena;
	_Atomic uint64_t live, pending, retired;
};

static size_t
slots_bytes(const struct sl_session_table *t)
{
	return (size_t)t->lanes * t->per_lane * sizeof(struct sl_slot);
}

static int
check_conf(const struct sl_session_conf *c, struct sl_error *e)
{
	if (c->owners < 1 || c->owners > SL_OWNER_MAX)
		return sl_fail(e, -EINVAL, "out_of_range", NULL, "%u workers: 1 to %u are possible",
			       c->owners, SL_OWNER_MAX);
	if (!c->flat && (c->slots_per_owner < 1 || c->slots_per_owner > SLOTS_MAX))
		return sl_fail(e, -EINVAL, "out_of_range", NULL,
			       "%u keypair slots a worker: 1 to %u are possible",
			       c->slots_per_owner, SLOTS_MAX);
	return 0;
}

/** Map the slots; the pages come when slots are used. */
static int
map_slots(struct sl_session_table *t, struct sl_error *e)
{
	unsigned i;

	t->slots = mmap(NULL, slots_bytes(t), PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (t->slots == MAP_FAILED) {
		t->slots = NULL;
		return sl_fail(e, -ENOMEM, "no_memory", NULL,
			       "no address space for %u x %u keypair slots", t->lanes, t->per_lane);
	}
	for (i = 0; i < t->lanes; i++)
		t->lane[i].head = t->lane[i].tail = NO_SLOT;
	return 0;
}

struct sl_session_table *
sl_session_new(const struct sl_session_conf *conf, struct sl_error *e)
{
	struct sl_session_table *t;

	if (check_conf(conf, e) != 0)
		return NULL;
	t = aligned_alloc(SL_CACHE_LINE, sizeof(*t));
	if (t == NULL) {
		sl_fail(e, -ENOMEM, "no_memory", NULL, "no memory for the keypair table");
		return NULL;
	}
	memset(t, 0, sizeof(*t));
	t->owners = conf->owners;
	t->flat = conf->flat;
	t->lanes = conf->flat ? 1 : conf->owners;
	t->per_lane = conf->flat ? SLOTS_MAX : conf->slots_per_owner;
	sl_arena_init(&t->arena, conf->hugepages, conf->allow_unlocked);
	if (map_slots(t, e) != 0)
		goto fail;
	if (sl_arena_reserve(&t->arena, SL_MAX(1U, conf->keypairs), e) != 0)
		goto fail;
	sl_rng_fill(&conf->rng, &t->perm, sizeof(t->perm));
	return t;
fail:
	sl_session_free(t);
	return NULL;
}

void
sl_session_free(struct sl_session_table *t)
{
	if (t == NULL)
		return;
	sl_arena_fini(&t->arena);
	if (t->slots != NULL)
		munmap(t->slots, slots_bytes(t));
	sl_wipe(&t->perm, sizeof(t->perm));
	free(t);
}

/* --- index --------------------------------------------------------------------------------- */

/** Inline: as a function's result the three words would be put together in memory, and waited for.
 */
static inline struct sl_index
decode(const struct sl_session_table *t, uint32_t index)
{
	uint32_t x = sl_perm_decode(&t->perm, index);

	return (struct sl_index){
		.owner = x >> (SLOT_BITS + GEN_BITS),
		.slot = x >> GEN_BITS & (SLOTS_MAX - 1),
		.generation = x & GEN_MASK,
	};
}

struct sl_index
sl_index_decode(const struct sl_session_table *t, uint32_t index)
{
	return decode(t, index);
}

uint32_t
sl_index_encode(const struct sl_session_table *t, struct sl_index i)
{
	uint32_t x = (i.owner & (SL_OWNER_MAX - 1)) << (SLOT_BITS + GEN_BITS) |
		     (i.slot & (SLOTS_MAX - 1)) << GEN_BITS | (i.generation & GEN_MASK);

	return sl_perm_encode(&t->perm, x);
}

/** Slot of a decoded index, NULL when it was never used. `fresh` is 0 for owners that are not. */
static inline struct sl_slot *
slot_at(const struct sl_session_table *t, struct sl_index i)
{
	if (i.slot >= atomic_load_explicit(&t->fresh[i.owner], memory_order_acquire))
		return NULL;
	return &t->slots[(size_t)i.owner * t->per_lane + i.slot];
}

/** Slot of an index if it is its present generation and in use, with its state. */
static struct sl_slot *
slot_in_use(const struct sl_session_table *t, uint32_t index, enum sl_slot_state *state)
{
	struct sl_index i = decode(t, index);
	struct sl_slot *s = slot_at(t, i);

	*state = SL_SLOT_FREE;
	if (s == NULL)
		return NULL;
	*state = atomic_load_explicit(&s->state, memory_order_acquire);
	if (*state != SL_SLOT_FREE &&
	    atomic_load_explicit(&s->generation, memory_order_relaxed) == i.generation)
		return s;
	*state = SL_SLOT_FREE;
	return NULL;
}

int
sl_session_owner(const struct sl_session_table *t, uint32_t index, enum sl_slot_state *state)
{
	enum sl_slot_state st;
	struct sl_slot *s = slot_in_use(t, index, &st);

	if (state != NULL)
		*state = st;
	if (st != SL_SLOT_HANDSHAKE && st != SL_SLOT_LIVE)
		return -1;
	return atomic_load_explicit(&s->owner, memory_order_relaxed);
}

const struct sl_slot *
sl_session_slot(const struct sl_session_table *t, uint32_t index)
{
	return slot_at(t, decode(t, index));
}

struct sl_keypair *
sl_session_lookup(const struct sl_session_table *t, uint32_t index)
{
	struct sl_keypair *kp = sl_slot_peek(sl_session_slot(t, index));

	return sl_keypair_is(kp, index) ? kp : NULL;
}

uint32_t
sl_session_peer(const struct sl_session_table *t, uint32_t index)
{
	enum sl_slot_state st;
	struct sl_slot *s = slot_in_use(t, index, &st);

	if (st != SL_SLOT_HANDSHAKE && st != SL_SLOT_LIVE)
		return SL_PEER_ID_NONE;
	return atomic_load_explicit(&s->peer_id, memory_order_relaxed);
}

/* --- slots: hs alone ----------------------------------------------------------------------- */

static void
set_state(struct sl_slot *s, enum sl_slot_state state)
{
	atomic_store_explicit(&s->state, (uint8_t)state, memory_order_release);
}

static void
count(_Atomic uint64_t *n, int64_t by)
{
	uint64_t v = atomic_load_explicit(n, memory_order_relaxed);

	atomic_store_explicit(n, v + (uint64_t)by, memory_order_relaxed);
}

/** Number of the slot to use next, NO_SLOT when all are in use. */
static uint32_t
take_slot(struct sl_session_table *t, uint32_t lane_no)
{
	struct lane *q = &t->lane[lane_no];
	struct sl_slot *base = &t->slots[(size_t)lane_no * t->per_lane];
	uint32_t fresh = atomic_load_explicit(&t->fresh[lane_no], memory_order_relaxed);
	uint32_t no = q->head;
	uint8_t gen;

	if (fresh < t->per_lane && q->resting < SL_MAX(REST_MIN, q->used)) {
		atomic_store_explicit(&t->fresh[lane_no], fresh + 1, memory_order_release);
		q->used++;
		return fresh;
	}
	if (no == NO_SLOT)
		return NO_SLOT;
	q->head = atomic_load_explicit(&base[no].peer_id, memory_order_relaxed);
	if (q->head == NO_SLOT)
		q->tail = NO_SLOT;
	q->resting--;
	q->used++;
	gen = atomic_load_explicit(&base[no].generation, memory_order_relaxed);
	atomic_store_explicit(&base[no].generation, (gen + 1) & GEN_MASK, memory_order_relaxed);
	return no;
}

static void
rest_slot(struct sl_session_table *t, struct sl_index i)
{
	struct lane *q = &t->lane[i.owner];
	struct sl_slot *base = &t->slots[(size_t)i.owner * t->per_lane];

	set_state(&base[i.slot], SL_SLOT_FREE);
	atomic_store_explicit(&base[i.slot].peer_id, NO_SLOT, memory_order_relaxed);
	if (q->tail == NO_SLOT)
		q->head = i.slot;
	else
		atomic_store_explicit(&base[q->tail].peer_id, i.slot, memory_order_relaxed);
	q->tail = i.slot;
	q->resting++;
	q->used--;
}

int
sl_session_reserve(struct sl_session_table *t, unsigned owner, uint32_t peer_id, uint32_t *index)
{
	struct sl_index i = {.owner = t->flat ? 0 : owner};
	struct sl_slot *s;

	if (owner >= t->owners)
		return -EINVAL;
	i.slot = take_slot(t, i.owner);
	if (i.slot == NO_SLOT)
		return -ENOSPC;
	s = &t->slots[(size_t)i.owner * t->per_lane + i.slot];
	i.generation = atomic_load_explicit(&s->generation, memory_order_relaxed);
	atomic_store_explicit(&s->peer_id, peer_id, memory_order_relaxed);
	atomic_store_explicit(&s->owner, (uint8_t)owner, memory_order_relaxed);
	set_state(s, SL_SLOT_HANDSHAKE);
	count(&t->pending, 1);
	*index = sl_index_encode(t, i);
	return 0;
}

void
sl_session_unreserve(struct sl_session_table *t, uint32_t index)
{
	enum sl_slot_state st;

	slot_in_use(t, index, &st);
	if (st != SL_SLOT_HANDSHAKE)
		return;
	rest_slot(t, decode(t, index));
	count(&t->pending, -1);
}

/** Everything that a packet needs to find before the keypair is seen. */
static void
fill_keypair(struct sl_keypair *kp, const struct sl_slot *s, uint32_t index, struct sl_peer *peer,
	     uint16_t iface_id, const struct sl_noise_keys *k, uint64_t now_ns)
{
	kp->peer = peer;
	kp->local_index = index;
	kp->remote_index = k->remote_index;
	kp->peer_id = atomic_load_explicit(&s->peer_id, memory_order_relaxed);
	kp->birth_tick = sl_tick_of(now_ns);
	kp->birth_ns = now_ns;
	kp->iface_id = iface_id;
	kp->owner = atomic_load_explicit(&s->owner, memory_order_relaxed);
	kp->initiator = k->initiator;
	atomic_store_explicit(&kp->confirmed, k->initiator, memory_order_relaxed);
	memcpy(kp->recv_key, k->recv.b, SL_KEY_LEN);
	memcpy(kp->send_key, k->send.b, SL_KEY_LEN);
}

struct sl_keypair *
sl_session_publish(struct sl_session_table *t, uint32_t index, struct sl_peer *peer,
		   uint16_t iface_id, const struct sl_noise_keys *k, uint64_t now_ns)
{
	enum sl_slot_state st;
	struct sl_slot *s = slot_in_use(t, index, &st);
	struct sl_keypair *kp;

	if (st != SL_SLOT_HANDSHAKE)
		return NULL;
	kp = sl_arena_get(&t->arena, SL_ARENA_KEYPAIR);
	if (kp == NULL)
		goto no_keypair;
	kp->replay = sl_arena_get(&t->arena, SL_ARENA_WINDOW);
	if (kp->replay == NULL)
		goto no_window;
	fill_keypair(kp, s, index, peer, iface_id, k, now_ns);
	atomic_store_explicit(&s->kp, kp, memory_order_release);
	set_state(s, SL_SLOT_LIVE);
	count(&t->pending, -1);
	count(&t->live, 1);
	return kp;
no_window:
	sl_arena_put(&t->arena, SL_ARENA_KEYPAIR, kp);
no_keypair:
	sl_session_unreserve(t, index);
	return NULL;
}

void
sl_session_unpublish(struct sl_session_table *t, struct sl_keypair *kp)
{
	enum sl_slot_state st;
	struct sl_slot *s = slot_in_use(t, kp->local_index, &st);

	if (st != SL_SLOT_LIVE)
		return;
	atomic_store_explicit(&s->kp, NULL, memory_order_release);
	set_state(s, SL_SLOT_RETIRED);
	count(&t->live, -1);
	count(&t->retired, 1);
}

void
sl_session_release(struct sl_session_table *t, struct sl_keypair *kp)
{
	struct sl_index i = decode(t, kp->local_index);

	sl_session_unpublish(t, kp);
	sl_arena_put(&t->arena, SL_ARENA_WINDOW, kp->replay);
	sl_arena_put(&t->arena, SL_ARENA_KEYPAIR, kp);
	rest_slot(t, i);
	count(&t->retired, -1);
}

void
sl_session_stats(const struct sl_session_table *t, struct sl_session_stats *out)
{
	const struct sl_arena *a = &t->arena;

	out->live = atomic_load_explicit(&t->live, memory_order_relaxed);
	out->pending = atomic_load_explicit(&t->pending, memory_order_relaxed);
	out->retired = atomic_load_explicit(&t->retired, memory_order_relaxed);
	out->arena_bytes = atomic_load_explicit(&a->bytes, memory_order_relaxed);
	out->arena_locked_bytes = atomic_load_explicit(&a->locked_bytes, memory_order_relaxed);
	out->hugepages =
		out->arena_bytes == atomic_load_explicit(&a->huge_bytes, memory_order_relaxed);
}
