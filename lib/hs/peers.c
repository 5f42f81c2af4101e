/* SPDX-License-Identifier: BSD-3-Clause */
/* Interfaces and peers as control commands them, and the way from a public key to a peer. */
#include "hs_priv.h"
#include "sl_crypto.h"
#include "sl_log.h"

/* --- public key -> peer, per interface ----------------------------------------------------- */

/** Keyed, so that nobody can choose public keys that collide. */
static uint64_t
hash_of(const struct sl_hs *hs, uint16_t iface_id, const struct sl_pubkey *key)
{
	uint8_t in[sizeof(iface_id) + sizeof(*key)];

	memcpy(in, &iface_id, sizeof(iface_id));
	memcpy(in + sizeof(iface_id), key, sizeof(*key));
	return sl_siphash(hs->hash_key, in, sizeof(in));
}

struct hs_peer *
hs_peer_by_key(struct sl_hs *hs, uint16_t iface_id, const struct sl_pubkey *key)
{
	uint64_t hash = hash_of(hs, iface_id, key);
	struct hs_peer *hp;

	for (hp = hs->bucket[hash % HS_BUCKETS]; hp != NULL; hp = hp->hash_next)
		if (hp->hash == hash && hp->iface_id == iface_id &&
		    memcmp(hp->p->key.b, key->b, sizeof(key->b)) == 0)
			return hp;
	return NULL;
}

static void
hash_add(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_peer **head;

	hp->hash = hash_of(hs, hp->iface_id, &hp->p->key);
	head = &hs->bucket[hp->hash % HS_BUCKETS];
	hp->hash_next = *head;
	*head = hp;
}

static void
hash_del(struct sl_hs *hs, struct hs_peer *hp)
{
	struct hs_peer **at = &hs->bucket[hp->hash % HS_BUCKETS];

	while (*at != hp)
		at = &(*at)->hash_next;
	*at = hp->hash_next;
}

/* --- keys of interfaces -------------------------------------------------------------------- */

bool
hs_peer_usable(const struct sl_hs *hs, const struct hs_peer *hp)
{
	const struct sl_peer *p = hp->p;
	uint32_t expires = atomic_load_explicit(&p->expires_tick, memory_order_relaxed);

	return atomic_load_explicit(&p->enabled, memory_order_relaxed) &&
	       !atomic_load_explicit(&p->gone, memory_order_relaxed) &&
	       (expires == 0 || hs->tick < expires) && !hp->self && !hp->deleting &&
	       hp->iface_id < SL_IFACE_MAX && hs->iface[hp->iface_id].present &&
	       !hs->iface[hp->iface_id].leaving;
}

static void
set_self(struct sl_hs *hs, struct hs_peer *hp)
{
	const struct sl_noise_local *l = &hs->ident[hp->iface_id].local;

	hp->key_epoch = hs->iface[hp->iface_id].key_epoch;
	hp->self = l->has_key && memcmp(l->pk.b, hp->p->key.b, sizeof(l->pk.b)) == 0;
}

void
hs_peer_sync_key(struct sl_hs *hs, struct hs_peer *hp)
{
	if (hp->key_epoch == hs->iface[hp->iface_id].key_epoch)
		return;
	set_self(hs, hp);
	hs_sessions_wipe(hs, hp, SL_RR_KEY_CHANGED);
	sl_noise_peer_rekey_local(&hp->noise);
	hp->bad_key = false;
	hs_peer_look(hs, hp);
}

/** After a change of an interface's key: all peers, a part in each turn. */
unsigned
hs_key_walk(struct sl_hs *hs)
{
	unsigned n = 0;

	if (!hs->key_walking)
		return 0;
	for (; n < HS_SWEEP_MAX && hs->key_walk < hs->pool.used; n++, hs->key_walk++)
		if (hs->pool.base[hs->key_walk].p != NULL)
			hs_peer_sync_key(hs, &hs->pool.base[hs->key_walk]);
	hs->key_walking = hs->key_walk < hs->pool.used;
	return n;
}

static void
key_changed(struct sl_hs *hs, struct hs_iface *ifc)
{
	ifc->key_epoch++;
	hs->key_walking = true;
	hs->key_walk = 0;
}

static void
iface_key_set(struct sl_hs *hs, uint16_t id, const struct sl_secret *sk)
{
	struct hs_ident *ident = &hs->ident[id];
	struct sl_pubkey before = ident->local.pk;
	bool had = ident->local.has_key;

	sl_noise_local_set(&ident->local, sk);
	if (had == ident->local.has_key &&
	    (!had || memcmp(before.b, ident->local.pk.b, sizeof(before.b)) == 0))
		return;
	sl_cookie_checker_clear(&ident->checker);
	if (ident->local.has_key)
		sl_cookie_checker_init(&ident->checker, &ident->local.pk);
	key_changed(hs, &hs->iface[id]);
}

static void
iface_set(struct sl_hs *hs, const struct sl_hs_cmd *cmd)
{
	struct hs_iface *ifc = &hs->iface[cmd->iface_id];

	ifc->present = true;
	ifc->leaving = false;
	ifc->listen_port = cmd->listen_port;
	if (cmd->fields & SL_HS_F_KEY)
		iface_key_set(hs, cmd->iface_id, &cmd->key);
}

/** Report a removed interface once its last peer is gone. */
static void
iface_del_try(struct sl_hs *hs, uint16_t id)
{
	struct hs_iface *ifc = &hs->iface[id];
	struct sl_hs_note note = {.type = SL_NOTE_IFACE_DELETED,
				  .peer_id = SL_PEER_ID_NONE,
				  .iface_id = id};

	if (!ifc->leaving || ifc->n_peers != 0)
		return;
	ifc->leaving = false;
	ifc->present = false;
	hs_note_send(hs, &note);
}

static void
iface_del(struct sl_hs *hs, uint16_t id)
{
	struct hs_iface *ifc = &hs->iface[id];

	sl_noise_local_clear(&hs->ident[id].local);
	sl_cookie_checker_clear(&hs->ident[id].checker);
	ifc->leaving = true;
	key_changed(hs, ifc);
	iface_del_try(hs, id);
}

/* --- peers --------------------------------------------------------------------------------- */

/** An operator or control wants a handshake: now, or 5 s after the last initiation. */
static void
want_now(struct hs_peer *hp)
{
	struct sl_timers *t = &hp->timers;

	if (t->in_handshake)
		return;
	t->want_handshake = true;
	t->gave_up = false;
	t->handshake_due_ns =
		t->initiation_ns == 0 ? 0 : t->initiation_ns + SL_WG_REKEY_TIMEOUT_S * SL_NS_PER_S;
}

static void
apply(struct sl_hs *hs, struct hs_peer *hp, const struct sl_hs_cmd *cmd)
{
	if (cmd->fields & SL_HS_F_PSK)
		hp->noise.psk = cmd->key;
	if ((cmd->fields & SL_HS_F_LAST_TS) && sl_tai64n_cmp(cmd->last_ts, hp->noise.last_ts) > 0)
		memcpy(hp->noise.last_ts, cmd->last_ts, SL_TAI64N_LEN);
	if (cmd->fields & SL_HS_F_KEEPALIVE)
		hp->timers.persistent_s = cmd->keepalive_s;
	if (cmd->fields & SL_HS_F_ENDPOINT)
		hs_path_set(hs, hp, &cmd->outer, true);
	if (cmd->initiate)
		want_now(hp);
}

static struct hs_peer *
peer_new(struct sl_hs *hs, struct sl_peer *p)
{
	struct hs_peer *hp = hs_pool_get(&hs->pool);

	if (hp == NULL)
		return NULL;
	hp->p = p;
	hp->id = p->id;
	hp->iface_id = p->iface_id;
	hp->lane = SL_WORKER_MAX;
	sl_noise_peer_init(&hp->noise, &p->key, NULL);
	sl_cookie_maker_init(&hp->maker, &p->key);
	set_self(hs, hp);
	hash_add(hs, hp);
	hs->by_id[hp->id] = hp;
	hs_home_init(hs, hp);
	hs->n_peers++;
	hs->iface[hp->iface_id].n_peers++;
	return hp;
}

static void
peer_add(struct sl_hs *hs, const struct sl_hs_cmd *cmd)
{
	struct sl_peer *p = cmd->peer;
	struct hs_peer *hp;

	if (p->id >= SL_PEER_MAX || p->iface_id >= SL_IFACE_MAX || hs->by_id[p->id] != NULL) {
		sl_log(SL_LOG_ERR, "hs", "peer %u cannot be added", p->id);
		return;
	}
	hp = peer_new(hs, p);
	if (hp == NULL) {
		sl_log(SL_LOG_ERR, "hs", "no room for peer %u", p->id);
		return;
	}
	apply(hs, hp,
	      cmd); /* before it moves: packets may be there already and want its endpoint */
	hs_home_balance(hs, hp);
	hs_peer_look(hs, hp);
	__atomic_store_n(&p->hs_priv, hp, __ATOMIC_RELEASE);
	hs_peer_events(hs, hp); /* packets may have come before us */
}

static void
peer_set(struct sl_hs *hs, struct hs_peer *hp, const struct sl_hs_cmd *cmd)
{
	apply(hs, hp, cmd);
	if (!hs_peer_usable(hs, hp))
		hs_sessions_wipe(hs, hp, SL_RR_REVOKED);
	hs_peer_look(hs, hp);
}

void
hs_peer_gone_send(struct sl_hs *hs, struct hs_peer *hp)
{
	if (!hp->deleting || hp->gone_sent || hp->rehoming)
		return;
	hp->gone_sent = true;
	hs_tell_home(hs, hp, SL_WK_PEER_GONE, 0);
}

static void
peer_del(struct sl_hs *hs, struct hs_peer *hp)
{
	if (hp->deleting)
		return;
	hs_sessions_wipe(hs, hp, SL_RR_PEER_GONE);
	hp->deleting = true;
	hash_del(hs, hp);
	sl_wheel_cancel(&hs->wheel, &hp->timer);
	sl_noise_peer_clear(&hp->noise);
	sl_cookie_maker_clear(&hp->maker);
	hs_peer_gone_send(hs, hp);
}

void
hs_peer_delete_try(struct sl_hs *hs, struct hs_peer *hp)
{
	uint16_t iface_id = hp->iface_id;
	unsigned i;

	if (!hp->deleting || !hp->gone)
		return;
	for (i = 0; i < HS_KP_MAX; i++)
		if (hp->kp[i].role != HS_KP_NONE)
			return;
	__atomic_store_n(&hp->p->hs_priv, NULL, __ATOMIC_RELEASE);
	hs->by_id[hp->id] = NULL;
	hs->homes[hp->home]--;
	hs->n_peers--;
	hs->iface[iface_id].n_peers--;
	hs_note(hs, hp, SL_NOTE_PEER_DELETED, false, 0);
	hs_pool_put(&hs->pool, hp);
	iface_del_try(hs, iface_id);
}

/** A deletion is always answered, even of a peer that could not be added. */
static void
unknown_peer(struct sl_hs *hs, const struct sl_hs_cmd *cmd)
{
	struct sl_hs_note note = {.type = SL_NOTE_PEER_DELETED,
				  .peer_id = cmd->peer->id,
				  .iface_id = cmd->peer->iface_id,
				  .peer = cmd->peer};

	if (cmd->type == SL_HS_PEER_DEL)
		hs_note_send(hs, &note);
}

static void
peer_command(struct sl_hs *hs, const struct sl_hs_cmd *cmd)
{
	struct hs_peer *hp = hs_peer_of(hs, cmd->peer->id);

	if (cmd->type == SL_HS_PEER_ADD) {
		peer_add(hs, cmd);
		return;
	}
	if (hp == NULL || hp->p != cmd->peer) {
		unknown_peer(hs, cmd);
		return;
	}
	if (hp->deleting)
		return;
	switch (cmd->type) {
	case SL_HS_PEER_SET:
		peer_set(hs, hp, cmd);
		break;
	case SL_HS_PEER_DEL:
		peer_del(hs, hp);
		break;
	case SL_HS_PEER_KICK:
		hs_sessions_wipe(hs, hp, SL_RR_KICKED);
		hs_peer_look(hs, hp);
		break;
	case SL_HS_PEER_INITIATE:
		want_now(hp);
		hs_peer_look(hs, hp);
		break;
	}
}

static void
command(struct sl_hs *hs, const struct sl_hs_cmd *cmd)
{
	switch (cmd->type) {
	case SL_HS_IFACE_SET:
		if (cmd->iface_id < SL_IFACE_MAX)
			iface_set(hs, cmd);
		break;
	case SL_HS_IFACE_DEL:
		if (cmd->iface_id < SL_IFACE_MAX)
			iface_del(hs, cmd->iface_id);
		break;
	default:
		if (cmd->peer != NULL)
			peer_command(hs, cmd);
		break;
	}
}

unsigned
hs_commands_run(struct sl_hs *hs)
{
	struct sl_hs_cmd *cmd[HS_CMD_MAX];
	unsigned n = sl_mbox_get(hs->conf.from_control, cmd, HS_CMD_MAX), i;

	for (i = 0; i < n; i++) {
		command(hs, cmd[i]);
		sl_hs_cmd_free(cmd[i]);
	}
	return n;
}
