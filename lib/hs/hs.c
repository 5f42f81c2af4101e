/* SPDX-License-Identifier: BSD-3-Clause */
/* Begin, end and the turn of the handshake plane. */
#include "sl_hs.h"

#include <stdlib.h>
#include <sys/mman.h>

#include <rte_cycles.h>

#include "hs_priv.h"
#include "sl_crypto.h"
#include "sl_log.h"

#define RATELIMIT_MAX 65536
#define STACK_BYTES 16384 /* deeper than any handshake goes; 0.3 us a turn with work */
#define BY_ID_BYTES (SL_PEER_MAX * sizeof(struct hs_peer *))

/* --- messages out -------------------------------------------------------------------------- */

void
hs_tell_worker(struct sl_hs *hs, unsigned worker, const struct sl_wk_msg *msg)
{
	if (sl_mbox_send(hs->dp->worker[worker]->from_hs, &hs->to_worker[worker], msg) != 0)
		sl_log(SL_LOG_ERR, "hs", "no memory for a message to worker %u", worker);
}

void
hs_tell_home(struct sl_hs *hs, struct hs_peer *hp, enum sl_wk_type type, uint32_t index)
{
	struct sl_wk_msg msg = {.type = type, .peer_id = hp->id, .index = index};

	hs_tell_worker(hs, hp->home, &msg);
}

void
hs_note_send(struct sl_hs *hs, const struct sl_hs_note *note)
{
	if (sl_mbox_send(hs->conf.to_control, &hs->to_control, note) != 0)
		sl_log(SL_LOG_ERR, "hs", "no memory for a note to control");
}

void
hs_note(struct sl_hs *hs, struct hs_peer *hp, enum sl_hs_note_type type, bool initiator,
	uint32_t index)
{
	struct sl_hs_note note = {.type = type,
				  .peer_id = hp->id,
				  .iface_id = hp->iface_id,
				  .initiator = initiator,
				  .index = index,
				  .peer = hp->p};

	hs_note_send(hs, &note);
}

struct sl_hs_cmd *
sl_hs_cmd_new(enum sl_hs_cmd_type type)
{
	struct sl_hs_cmd *cmd = calloc(1, sizeof(*cmd));

	if (cmd != NULL)
		cmd->type = type;
	return cmd;
}

void
sl_hs_cmd_free(struct sl_hs_cmd *cmd)
{
	if (cmd == NULL)
		return;
	sl_wipe(cmd, sizeof(*cmd));
	free(cmd);
}

/* --- begin and end ------------------------------------------------------------------------- */

static int
allocate(struct sl_hs *hs, struct sl_error *e)
{
	void *by_id = mmap(NULL, BY_ID_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int err;

	if (by_id != MAP_FAILED)
		hs->by_id = by_id;
	hs->bucket = calloc(HS_BUCKETS, sizeof(hs->bucket[0]));
	hs->rcu = sl_rcu_queue_new(hs->dp->rcu);
	hs->ratelimit = sl_ratelimit_new(RATELIMIT_MAX, hs->hash_key);
	if (!hs->by_id || !hs->bucket || !hs->rcu || !hs->ratelimit)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the handshake plane");
	err = hs_pool_init(&hs->pool, SL_PEER_MAX, hs->conf.allow_unlocked, e);
	if (err != 0)
		return err;
	hs->ident = hs_idents_new(hs->conf.allow_unlocked, e);
	return hs->ident != NULL ? 0 : -ENOMEM;
}

struct sl_hs *
sl_hs_new(const struct sl_hs_conf *conf, struct sl_error *e)
{
	struct sl_hs *hs = calloc(1, sizeof(*hs));

	if (hs == NULL || sl_crypto_init() != 0) {
		sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the handshake plane");
		free(hs);
		return NULL;
	}
	hs->conf = *conf;
	hs->dp = conf->dp;
	hs->init_tail = &hs->init_head;
	sl_rng_fill(&conf->rng_index, hs->hash_key, sizeof(hs->hash_key));
	if (allocate(hs, e) != 0) {
		sl_hs_free(hs);
		return NULL;
	}
	return hs;
}

/** Nobody uses the keypairs of a peer any more: end them at once. */
static void
end_peer(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_kp *r;
	unsigned i;

	hs_pending_drop(hs, hp);
	for (i = 0; i < HS_KP_MAX; i++) {
		r = &hp->kp[i];
		if (r->role == HS_KP_NONE || r->role == HS_KP_GRACE)
			continue;
		if (r->role != HS_KP_RETIRING)
			sl_session_unpublish(hs->dp->sessions, r->kp);
		sl_session_release(hs->dp->sessions, r->kp);
	}
	__atomic_store_n(&hp->p->hs_priv, NULL, __ATOMIC_RELEASE);
}

static void
end_all(struct sl_hs *hs)
{
	struct sl_hs_cmd *cmd;
	unsigned i;

	hs_queues_free(hs);
	if (hs->rcu != NULL)
		sl_rcu_drain(hs->rcu);
	for (i = 0; i < hs->pool.used; i++)
		if (hs->pool.base[i].p != NULL)
			end_peer(hs, &hs->pool.base[i]);
	while (sl_mbox_get(hs->conf.from_control, &cmd, 1) != 0)
		sl_hs_cmd_free(cmd);
	for (i = 0; i < SL_WORKER_MAX; i++)
		sl_mbox_retry_free(&hs->to_worker[i]);
	sl_mbox_retry_free(&hs->to_control);
}

void
sl_hs_free(struct sl_hs *hs)
{
	if (hs == NULL)
		return;
	end_all(hs);
	sl_ratelimit_free(hs->ratelimit);
	sl_rcu_queue_free(hs->rcu);
	hs_idents_free(hs->ident);
	hs_pool_fini(&hs->pool);
	free(hs->bucket);
	if (hs->by_id != NULL)
		munmap(hs->by_id, BY_ID_BYTES);
	sl_wipe(hs, sizeof(*hs));
	free(hs);
}

/* --- the turn ------------------------------------------------------------------------------ */

static void
answer(struct sl_hs *hs, const struct sl_wk_ack *ack)
{
	struct hs_peer *hp = hs_peer_of(hs, ack->peer_id);

	if (hp == NULL)
		return; /* a hint that came late */
	switch (ack->type) {
	case SL_ACK_HINT:
		hs_peer_events(hs, hp);
		break;
	case SL_ACK_RETIRED:
		hs_kp_on_retired(hs, hp, ack->index);
		break;
	case SL_ACK_PEER_GONE:
		hp->gone = hp->gone_sent;
		hs_peer_delete_try(hs, hp);
		break;
	case SL_ACK_REHOMED:
		hs_rehome_done(hs, hp);
		break;
	}
}

static unsigned
answers_run(struct sl_hs *hs)
{
	struct sl_wk_ack ack[HS_ACK_MAX];
	unsigned worker, n, i, done = 0;

	for (worker = 0; worker < hs->dp->n_lcores; worker++) {
		n = sl_mbox_get(hs->dp->worker[worker]->to_hs, ack, HS_ACK_MAX);
		for (i = 0; i < n; i++)
			answer(hs, &ack[i]);
		done += n;
	}
	return done;
}

/** @return messages that still wait */
static unsigned
retries_run(struct sl_hs *hs)
{
	unsigned i, n = 0;

	for (i = 0; i < hs->dp->n_lcores; i++)
		if (hs->to_worker[i].waiting != 0)
			n += sl_mbox_retry_flush(hs->dp->worker[i]->from_hs, &hs->to_worker[i]);
	if (hs->to_control.waiting != 0)
		n += sl_mbox_retry_flush(hs->conf.to_control, &hs->to_control);
	return n;
}

static unsigned
turn(struct sl_hs *hs)
{
	unsigned done = 0;

	retries_run(hs);
	done += hs_commands_run(hs);
	done += answers_run(hs);
	done += hs_intake(hs);
	done += hs_serve(hs);
	done += hs_timers_run(hs);
	done += hs_initiations_run(hs);
	done += hs_key_walk(hs);
	done += hs_sweep(hs);
	done += sl_rcu_poll(hs->rcu);
	hs_home_measure(hs);
	if (done != 0)
		sl_wipe_stack(STACK_BYTES); /* libb2 and libsodium leave keys behind */
	return done;
}

unsigned
sl_hs_poll(struct sl_hs *hs, uint64_t now_ns)
{
	uint64_t start = rte_rdtsc(), end;
	unsigned done;

	hs->now_ns = now_ns;
	hs->tick = sl_tick_of(now_ns);
	if (hs->poll_tsc == 0)
		sl_wheel_init(&hs->wheel, now_ns);
	done = turn(hs);
	end = rte_rdtsc();
	if (done != 0)
		hs_count(&hs->stats.busy_cycles, end - start);
	if (hs->poll_tsc != 0)
		hs_count(&hs->stats.total_cycles, end - hs->poll_tsc);
	hs->poll_tsc = end;
	return done;
}

static bool
waiting(const struct sl_hs *hs)
{
	unsigned i, n = hs->to_control.waiting + sl_rcu_pending(hs->rcu);

	for (i = 0; i < hs->dp->n_lcores; i++)
		n += hs->to_worker[i].waiting;
	for (i = 0; i < HS_CLASSES; i++)
		n += hs->queue[i].n;
	return n != 0 || hs->sweeping || hs->key_walking;
}

uint64_t
sl_hs_next_ns(const struct sl_hs *hs)
{
	uint64_t next;

	if (waiting(hs))
		return hs->now_ns;
	next = sl_wheel_next_ns(&hs->wheel);
	if (hs->n_peers != 0)
		next = SL_MIN(next, hs->sweep_ns);
	if (hs->init_head != NULL)
		next = SL_MIN(next, hs->pace_ns);
	return SL_MAX(next, hs->now_ns);
}
