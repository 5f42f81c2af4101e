/* SPDX-License-Identifier: BSD-3-Clause */
#include "fixture.h"

#include <rte_malloc.h>

#include "sl_crypto.h"

#define START_NS (1000 * S)
#define WALL_NS (UINT64_C(1700000000) * S)
#define POOL 4096

static struct rte_mempool *pool; /* one for all tests of a program */
static struct sl_endpoint gateway4, gateway6;

static uint64_t
wall(void *ctx)
{
	return ((struct fx *)ctx)->wall_ns;
}

static void
make_worker(struct fx *fx, unsigned id)
{
	struct sl_worker *w = rte_zmalloc(NULL, sizeof(*w), SL_CACHE_LINE);
	char name[28];
	unsigned i;

	assert_non_null(w);
	w->dp = &fx->dp;
	w->id = id;
	w->owner = true;
	snprintf(name, sizeof(name), "inj%u", id);
	w->inject[0] = sl_mbox_ring_new(name, 2048, -1);
	for (i = 0; i < SL_HS_LANES; i++) {
		snprintf(name, sizeof(name), "lane%u%u", id, i);
		w->hs_lane[i] = sl_mbox_ring_new(name, 2048, -1);
	}
	snprintf(name, sizeof(name), "from%u", id);
	w->from_hs = sl_mbox_new(name, 64, sizeof(struct sl_wk_msg));
	snprintf(name, sizeof(name), "to%u", id);
	w->to_hs = sl_mbox_new(name, 64, sizeof(struct sl_wk_ack));
	w->stats = rte_zmalloc(NULL, sizeof(*w->stats), SL_CACHE_LINE);
	assert_non_null(w->stats);
	fx->worker[id] = w;
	fx->dp.worker[id] = w;
	assert_int_equal(sl_rcu_register(fx->dp.rcu, id), 0);
	sl_rcu_online(fx->dp.rcu, id);
}

static void
free_ring(struct rte_ring *r)
{
	struct rte_mbuf *m;

	while (rte_ring_sc_dequeue(r, (void **)&m) == 0)
		rte_pktmbuf_free(m);
	rte_ring_free(r);
}

static void
free_worker(struct sl_worker *w)
{
	unsigned i;

	free_ring(w->inject[0]);
	for (i = 0; i < SL_HS_LANES; i++)
		free_ring(w->hs_lane[i]);
	sl_mbox_free(w->from_hs);
	sl_mbox_free(w->to_hs);
	rte_free(w->stats);
	rte_free(w);
}

struct fx *
fx_new(const struct fx_opts *o)
{
	struct fx *fx = calloc(1, sizeof(*fx));
	struct sl_session_conf sc = {.owners = o->workers,
				     .slots_per_owner = 1 << 16,
				     .allow_unlocked = true};
	struct sl_hs_conf c = {.rekey_jitter_max_ms = o->jitter_ms, .allow_unlocked = true};
	struct sl_error e = {0};
	unsigned i;

	assert_non_null(fx);
	assert_int_equal(sl_endpoint_parse("203.0.113.1:51820", &gateway4), 0);
	assert_int_equal(sl_endpoint_parse("[2001:db8::1]:51820", &gateway6), 0);
	if (pool == NULL)
		pool = sl_pkt_pool_new("hs-test", POOL, 512, -1);
	assert_non_null(pool);
	fx->now_ns = START_NS;
	fx->wall_ns = WALL_NS;
	sc.rng = sl_rng_seeded_init(&fx->rng[0], 1, "perm");
	fx->dp.sessions = sl_session_new(&sc, &e);
	assert_non_null(fx->dp.sessions);
	fx->dp.peers = sl_peer_table_new();
	fx->dp.rcu = sl_rcu_new(8);
	fx->dp.pool = pool;
	fx->dp.n_workers = o->workers;
	fx->dp.n_lcores = o->workers;
	for (i = 0; i < o->workers; i++)
		make_worker(fx, i);
	fx->dp.hs_records = rte_zmalloc(NULL, sl_rec_ring_size(FX_RECS), SL_CACHE_LINE);
	fx->dp.hs_buckets = rte_zmalloc(NULL, sizeof(*fx->dp.hs_buckets), SL_CACHE_LINE);
	assert_non_null(fx->dp.hs_records);
	assert_non_null(fx->dp.hs_buckets);
	sl_rec_ring_init(fx->dp.hs_records, FX_RECS);
	sl_rec_buckets_init(fx->dp.hs_buckets, 1000);
	fx->root.authz.logging = true;
	atomic_store(&fx->dp.root, &fx->root);
	fx->cmd = sl_mbox_new("cmd", 16384, sizeof(struct sl_hs_cmd *));
	fx->note = sl_mbox_new("note", 64, sizeof(struct sl_hs_note));
	c.dp = &fx->dp;
	c.from_control = fx->cmd;
	c.to_control = fx->note;
	c.rng_index = sl_rng_seeded_init(&fx->rng[1], 1, "index");
	c.rng_ephemeral = sl_rng_seeded_init(&fx->rng[2], 1, "ephemeral");
	c.rng_cookie = sl_rng_seeded_init(&fx->rng[3], 1, "cookie");
	c.rng_jitter = sl_rng_seeded_init(&fx->rng[4], 1, "jitter");
	fx->far_rng = sl_rng_seeded_init(&fx->rng[5], 1, "far");
	c.wall_ns = wall;
	c.wall_ctx = fx;
	c.handshakes_per_s = o->handshakes_per_s != 0 ? o->handshakes_per_s : 1000;
	fx->hs = sl_hs_new(&c, &e);
	assert_non_null(fx->hs);
	return fx;
}

void
fx_free(struct fx *fx)
{
	unsigned i;

	for (i = 0; i < fx->dp.n_workers; i++) {
		sl_rcu_offline(fx->dp.rcu, i);
		sl_rcu_unregister(fx->dp.rcu, i);
	}
	sl_hs_free(fx->hs);
	for (i = 0; i < fx->dp.n_workers; i++)
		free_worker(fx->worker[i]);
	sl_mbox_free(fx->cmd);
	sl_mbox_free(fx->note);
	sl_session_free(fx->dp.sessions);
	sl_rcu_free(fx->dp.rcu);
	sl_peer_table_free(fx->dp.peers);
	rte_free(fx->dp.hs_records);
	rte_free(fx->dp.hs_buckets);
	assert_int_equal(rte_mempool_avail_count(pool), POOL);
	sl_wipe(fx, sizeof(*fx));
	free(fx);
}

/* --- the played workers -------------------------------------------------------------------- */

static void
take_path(struct sl_peer *p, const struct sl_wk_msg *msg)
{
	struct sl_peer_path path = {.outer = msg->outer};

	if (msg->outer.src.family != 0 || msg->force_path)
		sl_peer_path_write(p, &path);
}

static void
forget(struct sl_peer *p, uint32_t index)
{
	struct sl_keypair *kp = atomic_load(&p->current);

	if (kp != NULL && (index == 0 || kp->local_index == index))
		atomic_store(&p->current, NULL);
}

static void
home_does(struct fx *fx, struct sl_peer *p, const struct sl_wk_msg *msg)
{
	struct sl_keypair *kp;

	switch (msg->type) {
	case SL_WK_INSTALL:
		kp = sl_session_lookup(fx->dp.sessions, msg->index);
		assert_non_null(kp);
		atomic_store(&p->unacked_tx, 0);
		if (kp->initiator) {
			atomic_store(&p->current, kp);
			atomic_store(&p->tick_any_tx, sl_tick_of(fx->now_ns));
		}
		break;
	case SL_WK_KEEPALIVE:
		atomic_store(&p->tick_any_tx, sl_tick_of(fx->now_ns));
		atomic_store(&p->unanswered_rx, 0);
		break;
	case SL_WK_RETIRE:
		assert_null(sl_session_lookup(fx->dp.sessions, msg->index));
		forget(p, msg->index);
		break;
	case SL_WK_PATH:
		take_path(p, msg);
		break;
	case SL_WK_PEER_GONE:
		forget(p, 0);
		break;
	case SL_WK_REHOME_OUT:
		atomic_store(&p->home, msg->home);
		break;
	}
}

static void
worker_takes(struct fx *fx, struct sl_worker *w, const struct sl_wk_msg *msg)
{
	static const uint8_t ack_of[] = {[SL_WK_RETIRE] = SL_ACK_RETIRED,
					 [SL_WK_PEER_GONE] = SL_ACK_PEER_GONE,
					 [SL_WK_REHOME_OUT] = SL_ACK_REHOMED};
	struct sl_wk_ack ack = {.peer_id = msg->peer_id, .index = msg->index, .worker = w->id};
	struct sl_peer *p = sl_peer_get(fx->dp.peers, msg->peer_id);

	assert_true(fx->n_log < FX_LOG);
	fx->log[fx->n_log++] = (struct fx_msg){w->id, fx->now_ns, *msg};
	assert_non_null(p);
	if (atomic_load(&p->home) == w->id)
		home_does(fx, p, msg);
	else
		assert_int_equal(msg->type, SL_WK_RETIRE); /* all else is for the home */
	if (msg->type != SL_WK_RETIRE && msg->type != SL_WK_PEER_GONE &&
	    msg->type != SL_WK_REHOME_OUT)
		return;
	ack.type = ack_of[msg->type];
	if (!fx->hold_acks) {
		assert_true(sl_mbox_put(w->to_hs, &ack));
	} else {
		assert_true(fx->n_held < SL_ARRAY_SIZE(fx->held));
		fx->held[fx->n_held++] = ack;
	}
}

void
fx_release_acks(struct fx *fx)
{
	unsigned i;

	fx->hold_acks = false;
	for (i = 0; i < fx->n_held; i++)
		assert_true(sl_mbox_put(fx->worker[fx->held[i].worker]->to_hs, &fx->held[i]));
	fx->n_held = 0;
}

static unsigned
worker_round(struct fx *fx, struct sl_worker *w)
{
	struct sl_wk_msg msg[16];
	unsigned n, i;

	n = sl_mbox_get(w->from_hs, msg, 16);
	for (i = 0; i < n; i++)
		worker_takes(fx, w, &msg[i]);
	if (!fx->hold_grace)
		sl_rcu_quiescent(fx->dp.rcu, w->id);
	return n;
}

unsigned
fx_round(struct fx *fx)
{
	unsigned n, i, got;

	n = sl_hs_poll(fx->hs, fx->now_ns);
	for (i = 0; i < fx->dp.n_workers; i++)
		n += worker_round(fx, fx->worker[i]);
	while ((got = sl_mbox_get(fx->note, &fx->notes[fx->n_notes], 1)) != 0)
		fx->n_notes = (fx->n_notes + 1) % SL_ARRAY_SIZE(fx->notes);
	return n;
}

void
fx_settle(struct fx *fx)
{
	unsigned idle = 0, rounds = 0;

	while (idle < 3 && rounds++ < 10000)
		idle = fx_round(fx) == 0 ? idle + 1 : 0;
	assert_true(idle >= 3);
}

void
fx_advance(struct fx *fx, uint64_t ns)
{
	uint64_t end = fx->now_ns + ns, next;

	while (fx->now_ns < end) {
		next = SL_MAX(sl_hs_next_ns(fx->hs), fx->now_ns + MS);
		next = SL_MIN(next, end);
		fx->wall_ns += next - fx->now_ns;
		fx->now_ns = next;
		fx_settle(fx);
	}
}

/* --- control ------------------------------------------------------------------------------- */

struct sl_hs_cmd *
fx_cmd(struct fx *fx, enum sl_hs_cmd_type type)
{
	struct sl_hs_cmd *cmd = sl_hs_cmd_new(type);

	assert_non_null(cmd);
	cmd->iface_id = FX_IFACE;
	cmd->listen_port = FX_PORT;
	return cmd;
}

void
fx_send(struct fx *fx, struct sl_hs_cmd *cmd)
{
	assert_true(sl_mbox_put(fx->cmd, &cmd));
}

static void
secret_of_seed(struct sl_secret *s, uint64_t seed)
{
	struct sl_rng_seeded state;
	struct sl_rng rng = sl_rng_seeded_init(&state, seed, "static key");

	sl_rng_fill(&rng, s->b, sizeof(s->b));
	sl_wipe(&state, sizeof(state));
}

void
fx_iface(struct fx *fx, uint16_t id, uint64_t seed)
{
	struct sl_hs_cmd *cmd = fx_cmd(fx, SL_HS_IFACE_SET);

	cmd->iface_id = id;
	cmd->fields = SL_HS_F_KEY;
	if (seed != 0)
		secret_of_seed(&cmd->key, seed);
	if (id == FX_IFACE)
		sl_noise_local_set(&fx->gw, &cmd->key);
	fx_send(fx, cmd);
	fx_settle(fx);
}

struct fx *
fx_begin(unsigned workers)
{
	struct fx_opts o = {.workers = workers};
	struct fx *fx = fx_new(&o);

	fx_iface(fx, FX_IFACE, 1);
	return fx;
}

/* --- far sides ----------------------------------------------------------------------------- */

void
far_init(struct fx *fx, struct far *f, uint64_t seed, const char *endpoint)
{
	struct sl_secret sk;

	memset(f, 0, sizeof(*f));
	secret_of_seed(&sk, seed);
	sl_noise_local_set(&f->local, &sk);
	sl_wipe(&sk, sizeof(sk));
	sl_noise_peer_init(&f->noise, &fx->gw.pk, NULL);
	sl_cookie_maker_init(&f->maker, &fx->gw.pk);
	sl_cookie_checker_init(&f->checker, &f->local.pk);
	assert_int_equal(sl_endpoint_parse(endpoint, &f->ep), 0);
	f->wall_ns = fx->wall_ns;
}

struct sl_hs_cmd *
far_add_cmd(struct fx *fx, struct far *f, bool endpoint, bool initiate)
{
	struct sl_hs_cmd *cmd = fx_cmd(fx, SL_HS_PEER_ADD);

	if (endpoint) {
		cmd->fields |= SL_HS_F_ENDPOINT;
		cmd->outer.dst = f->ep.ip;
		cmd->outer.dport = f->ep.port;
		cmd->outer.sport = FX_PORT;
	}
	cmd->initiate = initiate;
	return cmd;
}

void
far_add(struct fx *fx, struct far *f, struct sl_hs_cmd *cmd)
{
	static uint32_t next_id;
	struct sl_peer *p = sl_peer_alloc(fx->dp.n_workers);

	assert_non_null(p);
	p->id = next_id++ % 100000;
	p->iface_id = cmd->iface_id;
	p->key = f->local.pk;
	atomic_store(&p->enabled, 1);
	f->peer = p;
	atomic_store(&fx->dp.peers->slot[p->id], p);
	cmd->peer = p;
	fx_send(fx, cmd);
	fx_settle(fx);
}

void
far_gone(struct fx *fx, struct far *f)
{
	struct sl_hs_cmd *cmd = fx_cmd(fx, SL_HS_PEER_DEL);
	unsigned before = fx_notes(fx, SL_NOTE_PEER_DELETED);

	cmd->peer = f->peer;
	fx_send(fx, cmd);
	fx_settle(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), before + 1);
	atomic_store(&fx->dp.peers->slot[f->peer->id], NULL);
	far_free(f);
}

void
far_free(struct far *f)
{
	sl_peer_free(f->peer);
	sl_wipe(f, sizeof(*f));
}

void
far_initiation(struct fx *fx, struct far *f, struct sl_msg_initiation *m)
{
	uint8_t ts[SL_TAI64N_LEN];
	struct sl_secret eph;

	f->index++;
	sl_tai64n(ts, f->wall_ns + (fx->wall_ns - WALL_NS));
	sl_rng_fill(&fx->far_rng, eph.b, sizeof(eph.b));
	assert_int_equal(sl_noise_create_initiation(&f->local, &f->noise, f->index, &eph, ts, m),
			 0);
	sl_wipe(&eph, sizeof(eph));
	sl_cookie_mac(&f->maker, m, sizeof(*m), fx->now_ns);
}

void
far_send(struct fx *fx, struct far *f, unsigned worker, unsigned lane, const void *msg,
	 unsigned len)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
	const struct sl_endpoint *gw = f->ep.ip.family == 4 ? &gateway4 : &gateway6;
	struct sl_outer o = {.src = f->ep.ip,
			     .sport = f->ep.port,
			     .dst = gw->ip,
			     .dport = gw->port};
	unsigned hdr = sl_outer_len(f->ep.ip.family);
	struct sl_meta *meta;
	uint8_t *p;

	assert_non_null(m);
	p = (uint8_t *)rte_pktmbuf_append(m, (uint16_t)(hdr + len));
	assert_non_null(p);
	sl_outer_write(p, &o, 0, (uint16_t)len);
	memcpy(p + hdr, msg, len);
	meta = sl_meta(m);
	memset(meta, 0, sizeof(*meta));
	meta->iface_id = f->peer != NULL ? f->peer->iface_id : FX_IFACE;
	meta->l4_off = (uint16_t)(hdr - SL_UDP_HDR);
	meta->counter = fx->now_ns;
	assert_int_equal(rte_ring_sp_enqueue(fx->worker[worker]->hs_lane[lane], m), 0);
}

void
far_initiate(struct fx *fx, struct far *f, unsigned worker)
{
	struct sl_msg_initiation m;

	far_initiation(fx, f, &m);
	far_send(fx, f, worker, 2, &m, sizeof(m));
	fx_settle(fx);
}

bool
far_take_response(struct fx *fx, struct far *f, unsigned worker)
{
	struct fx_out out = fx_take(fx, worker);

	if (!out.any || out.len != sizeof(out.resp))
		return false;
	assert_true(sl_ip_equal(&out.outer.dst, &f->ep.ip));
	assert_int_equal(out.outer.dport, f->ep.port);
	assert_int_not_equal(sl_cookie_check(&f->checker, out.msg, out.len,
					     &(struct sl_endpoint){.ip = out.outer.src,
								   .port = out.outer.sport},
					     fx->now_ns, &fx->far_rng),
			     SL_MAC_BAD);
	if (sl_noise_consume_response(&f->local, &f->noise, &out.resp) != 0)
		return false;
	assert_int_equal(sl_noise_begin(&f->noise, &f->keys), 0);
	return true;
}

int
far_answer(struct fx *fx, struct far *f, const struct sl_msg_initiation *init,
	   struct sl_msg_response *out)
{
	struct sl_noise_rx rx;
	struct sl_secret eph;
	int err;

	err = sl_noise_consume_initiation(&f->local, init, &rx);
	if (err == 0)
		err = sl_noise_accept_initiation(&f->local, &f->noise, init, &rx);
	sl_noise_rx_clear(&rx);
	if (err != 0)
		return err;
	sl_rng_fill(&fx->far_rng, eph.b, sizeof(eph.b));
	err = sl_noise_create_response(&f->local, &f->noise, ++f->index, &eph, out);
	sl_wipe(&eph, sizeof(eph));
	if (err == 0)
		err = sl_noise_begin(&f->noise, &f->keys);
	sl_cookie_mac(&f->maker, out, sizeof(*out), fx->now_ns);
	return err;
}

void
fx_confirm(struct fx *fx, struct far *f)
{
	struct sl_keypair *kp = far_kp(fx, f);

	assert_non_null(kp);
	atomic_store(&kp->confirmed, 1);
	atomic_store(&f->peer->current, kp);
	atomic_store(&f->peer->tick_any_rx, sl_tick_of(fx->now_ns));
	fx_raise(fx, f, SL_PEER_EV_CONFIRMED, true);
	fx_settle(fx);
}

void
far_session(struct fx *fx, struct far *f, unsigned worker)
{
	far_initiate(fx, f, worker);
	assert_true(far_take_response(fx, f, worker));
	fx_confirm(fx, f);
	far_check_keys(fx, f);
	assert_int_equal(far_state(f), SL_HS_ESTABLISHED);
}

void
far_session_back(struct fx *fx, struct far *f, unsigned home)
{
	struct fx_out out = fx_take(fx, home);
	struct sl_msg_response resp;

	assert_true(out.any);
	assert_int_equal(out.len, sizeof(out.init));
	assert_int_equal(far_answer(fx, f, &out.init, &resp), 0);
	far_send(fx, f, home, 0, &resp, sizeof(resp));
	fx_settle(fx);
	far_check_keys(fx, f);
	assert_int_equal(far_state(f), SL_HS_ESTABLISHED);
}

/* --- what came out ------------------------------------------------------------------------- */

struct fx_out
fx_take(struct fx *fx, unsigned worker)
{
	struct fx_out out = {0};
	struct sl_ip_info info = {0};
	struct rte_mbuf *m;
	const uint8_t *p;
	unsigned hdr;

	if (rte_ring_sc_dequeue(fx->worker[worker]->inject[0], (void **)&m) != 0)
		return out;
	p = rte_pktmbuf_mtod(m, const uint8_t *);
	out.any = true;
	assert_int_equal(sl_meta(m)->next, SL_NEXT_OUTER);
	info.version = p[0] >> 4;
	info.proto = SL_PROTO_UDP;
	hdr = sl_outer_len(info.version);
	out.len = rte_pktmbuf_data_len(m) - hdr;
	assert_in_range(out.len, 1, sizeof(out.msg));
	memcpy(out.msg, p + hdr, out.len);
	info.src = p + (info.version == 4 ? 12 : 8);
	info.dst = info.src + (info.version == 4 ? 4 : 16);
	out.outer.src = info.version == 4 ? sl_ip_v4(info.src) : sl_ip_v6(info.src);
	out.outer.dst = info.version == 4 ? sl_ip_v4(info.dst) : sl_ip_v6(info.dst);
	out.outer.sport = sl_load_be16(p + hdr - 8);
	out.outer.dport = sl_load_be16(p + hdr - 6);
	info.l4_off = (uint16_t)(hdr - 8);
	info.total_len = (uint16_t)(hdr + out.len);
	assert_true(sl_l4_csum_ok(p, &info));
	assert_true(sl_load_be16(p + hdr - 2) != 0); /* filled */
	if (info.version == 4) {
		assert_int_equal(p[1], 0x88);
		assert_int_equal(sl_csum_finish(sl_csum_add(p, 20, 0)), 0);
	} else {
		assert_int_equal(sl_load_be16(p) >> 4 & 0xff, 0x88);
	}
	rte_pktmbuf_free(m);
	return out;
}

void
fx_none(struct fx *fx)
{
	unsigned i;

	for (i = 0; i < fx->dp.n_workers; i++)
		assert_int_equal(rte_ring_count(fx->worker[i]->inject[0]), 0);
}

struct sl_keypair *
far_kp(struct fx *fx, const struct far *f)
{
	return sl_session_lookup(fx->dp.sessions, f->keys.remote_index);
}

void
far_check_keys(struct fx *fx, const struct far *f)
{
	struct sl_keypair *kp = far_kp(fx, f);

	assert_non_null(kp);
	assert_ptr_equal(kp->peer, f->peer);
	assert_int_equal(kp->remote_index, f->keys.local_index);
	assert_int_equal(kp->iface_id, f->peer->iface_id);
	assert_int_equal(kp->initiator, !f->keys.initiator);
	assert_memory_equal(kp->recv_key, f->keys.send.b, 32);
	assert_memory_equal(kp->send_key, f->keys.recv.b, 32);
}

uint64_t
fx_drops(const struct fx *fx, enum sl_drop why)
{
	return atomic_load(&sl_hs_stats(fx->hs)->drops[why]);
}

unsigned
fx_count(const struct fx *fx, int worker, enum sl_wk_type type, unsigned from)
{
	unsigned i, n = 0;

	for (i = from; i < fx->n_log; i++)
		n += fx->log[i].msg.type == type &&
		     (worker < 0 || fx->log[i].worker == (unsigned)worker);
	return n;
}

const struct fx_msg *
fx_last(const struct fx *fx, enum sl_wk_type type)
{
	unsigned i;

	for (i = fx->n_log; i-- > 0;)
		if (fx->log[i].msg.type == type)
			return &fx->log[i];
	return NULL;
}

unsigned
fx_notes(const struct fx *fx, enum sl_hs_note_type type)
{
	unsigned i, n = 0;

	for (i = 0; i < fx->n_notes; i++)
		n += fx->notes[i].type == type;
	return n;
}

unsigned
fx_recs(struct fx *fx, struct sl_rec *out)
{
	uint64_t lost;

	return sl_rec_take(fx->dp.hs_records, out, FX_RECS, &lost);
}

struct sl_session_stats
fx_slots(const struct fx *fx)
{
	struct sl_session_stats s;

	sl_session_stats(fx->dp.sessions, &s);
	return s;
}

enum sl_hs_state
far_state(const struct far *f)
{
	struct sl_hs_peer_view v;

	sl_hs_peer_view(f->peer, &v);
	return v.state;
}

void
fx_raise(struct fx *fx, struct far *f, unsigned event, bool hint)
{
	struct sl_wk_ack ack = {.type = SL_ACK_HINT, .peer_id = f->peer->id};

	atomic_fetch_or(&f->peer->events, event);
	if (hint)
		assert_true(sl_mbox_put(fx->worker[atomic_load(&f->peer->home)]->to_hs, &ack));
}
