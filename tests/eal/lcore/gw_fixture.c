/* SPDX-License-Identifier: BSD-3-Clause */
#include "gw_fixture.h"

#include <arpa/inet.h>

#include "sl_log.h"

static struct rte_mempool *pool;
static unsigned made;

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	(void)ctx;
	(void)level;
	(void)topic;
	(void)text;
}

void
fx_start(const char *program)
{
	eal_start(program);
	assert_int_equal(sl_crypto_init(), 0);
	if (getenv("SL_TEST_LOG") == NULL)
		sl_log_set_sink(quiet, NULL);
	pool = sl_pkt_pool_new("fx", 1023, 2048, SOCKET_ID_ANY);
	assert_non_null(pool);
}

static uint64_t
mono(void *ctx)
{
	return ((struct fx *)ctx)->now_ns;
}

static uint64_t
wall(void *ctx)
{
	return ((struct fx *)ctx)->wall_ns;
}

void
fx_init(struct fx *f)
{
	static char name[16];
	struct sl_dp_conf dc = {
		.name = name, .n_workers = 2, .n_io = 1, .pool = pool, .pool_size = 1023};

	memset(f, 0, sizeof(*f));
	snprintf(name, sizeof(name), "fx%u", made++);
	f->pool = pool;
	f->now_ns = 1000 * S;
	f->wall_ns = UINT64_C(1700000000) * S;
	f->rcu = sl_rcu_new(4);
	assert_non_null(f->rcu);
	dc.rcu = f->rcu;
	dc.aead = SL_AEAD_SODIUM;
	f->dp = sl_dp_new(&dc, &f->e);
	if (f->dp == NULL)
		fail_msg("%s", f->e.message);
	f->to_hs = sl_mbox_new("fx-to-hs", 256, sizeof(struct sl_hs_cmd *));
	f->from_hs = sl_mbox_new("fx-from-hs", 256, sizeof(struct sl_hs_note));
	assert_non_null(f->to_hs);
	assert_non_null(f->from_hs);
	f->conf = (struct sl_gw_conf){.instance = "test",
				      .dp = f->dp,
				      .to_hs = f->to_hs,
				      .from_hs = f->from_hs,
				      .mono_ns = mono,
				      .wall_ns = wall,
				      .clock_ctx = f,
				      .rng = sl_rng_seeded_init(&f->rng, 1, "gw"),
				      .peers_max = 1000};
}

void
fx_open(struct fx *f)
{
	f->conf.reclaim = sl_rcu_queue_new(f->rcu);
	assert_non_null(f->conf.reclaim);
	f->gw = sl_gw_new(&f->conf, &f->e);
	if (f->gw == NULL)
		fail_msg("%s: %s", f->e.reason, f->e.message);
	assert_non_null(fx_root(f));
}

void
fx_close(struct fx *f)
{
	uint8_t frame[64];

	sl_gw_stop(f->gw);
	sl_gw_free(f->gw);
	f->gw = NULL;
	while (fx_frame(f, frame, sizeof(frame), NULL) > 0)
		;
	sl_rcu_queue_free(f->conf.reclaim);
	assert_null(fx_root(f));
	f->n_cmd = 0;
}

void
fx_fini(struct fx *f)
{
	if (f->gw != NULL)
		fx_close(f);
	sl_dp_free(f->dp);
	sl_mbox_free(f->to_hs);
	sl_mbox_free(f->from_hs);
	sl_rcu_free(f->rcu);
	assert_int_equal(rte_mempool_avail_count(pool), 1023);
}

void
fx_ports(struct fx *f)
{
	struct sl_gw_addr wan[] = {{0, fx_prefix("192.0.2.1/24")},
				   {0, fx_prefix("2001:db8::1/64")}};
	struct sl_gw_addr lan[] = {{0, fx_prefix("10.20.0.1/24")},
				   {0, fx_prefix("fd20::1/64")},
				   {7, fx_prefix("10.7.0.1/24")}};

	f->wan = (struct sl_port){.name = "wan", .mtu = 1500, .mac = {2, 0, 0, 0, 0, 1}};
	f->lan = (struct sl_port){.name = "lan", .mtu = 1500, .mac = {2, 0, 0, 0, 0, 2}};
	assert_int_equal(sl_gw_port_add(f->gw, 0, &f->wan, wan, 2, &f->e), 0);
	assert_int_equal(sl_gw_port_add(f->gw, 1, &f->lan, lan, 3, &f->e), 0);
}

static void
take_command(struct fx *f, struct sl_hs_cmd *c)
{
	struct sl_hs_note note = {.iface_id = c->iface_id, .peer = c->peer};

	if (f->n_cmd < FX_LOG)
		f->cmd[f->n_cmd] = (struct fx_cmd){.type = c->type,
						   .fields = c->fields,
						   .iface_id = c->iface_id,
						   .listen_port = c->listen_port,
						   .keepalive_s = c->keepalive_s,
						   .initiate = c->initiate,
						   .peer = c->peer,
						   .key = c->key,
						   .outer = c->outer};
	if (f->n_cmd < FX_LOG)
		memcpy(f->cmd[f->n_cmd].last_ts, c->last_ts, SL_TAI64N_LEN);
	f->n_cmd++;
	if (c->type == SL_HS_PEER_DEL || c->type == SL_HS_IFACE_DEL) {
		note.type =
			c->type == SL_HS_PEER_DEL ? SL_NOTE_PEER_DELETED : SL_NOTE_IFACE_DELETED;
		note.peer_id = c->peer != NULL ? c->peer->id : 0;
		if (f->hold_notes && f->n_held < FX_LOG)
			f->held[f->n_held++] = note;
		else
			assert_true(sl_mbox_put(f->from_hs, &note));
	}
	sl_hs_cmd_free(c);
}

void
fx_turn(struct fx *f)
{
	struct sl_hs_cmd *c[64];
	unsigned n, i;

	do {
		sl_gw_poll(f->gw);
		n = sl_mbox_get(f->to_hs, c, SL_ARRAY_SIZE(c));
		for (i = 0; i < n; i++)
			take_command(f, c[i]);
	} while (n > 0);
	sl_gw_poll(f->gw);
}

void
fx_release(struct fx *f)
{
	unsigned i;

	for (i = 0; i < f->n_held; i++)
		assert_true(sl_mbox_put(f->from_hs, &f->held[i]));
	f->n_held = 0;
	f->hold_notes = false;
}

struct fx_cmd *
fx_last(struct fx *f, enum sl_hs_cmd_type type)
{
	unsigned i;

	for (i = SL_MIN(f->n_cmd, FX_LOG); i-- > 0;) {
		if (f->cmd[i].type == type)
			return &f->cmd[i];
	}
	fail_msg("hs got no command of type %u", type);
	return NULL;
}

unsigned
fx_count(const struct fx *f, enum sl_hs_cmd_type type)
{
	unsigned i, n = 0;

	for (i = 0; i < SL_MIN(f->n_cmd, FX_LOG); i++)
		n += f->cmd[i].type == type;
	return n;
}

unsigned
fx_frame(struct fx *f, uint8_t *out, unsigned size, struct sl_meta *meta)
{
	struct rte_mbuf *m;
	unsigned n;

	if (rte_ring_sc_dequeue(f->dp->worker[0]->inject[1], (void **)&m) != 0)
		return 0;
	n = m->pkt_len;
	memcpy(out, rte_pktmbuf_mtod(m, void *), SL_MIN(n, size));
	if (meta != NULL)
		*meta = *sl_meta(m);
	rte_pktmbuf_free(m);
	return n;
}

void
fx_event(struct fx *f, unsigned w, const struct sl_ctl_event *ev)
{
	assert_true(sl_mbox_put(f->dp->worker[w]->to_ctl, ev));
}

const struct sl_root *
fx_root(struct fx *f)
{
	return atomic_load_explicit(&f->dp->root, memory_order_acquire);
}

const struct sl_iface_view *
fx_view(struct fx *f, const char *iface)
{
	struct sl_gw_iface_info info;

	assert_true(sl_gw_iface_find(f->gw, iface, &info));
	return sl_root_iface(fx_root(f), info.id);
}

struct sl_ip
fx_ip(const char *s)
{
	struct sl_ip ip;

	assert_int_equal(sl_ip_parse(s, &ip), 0);
	return ip;
}

struct sl_prefix
fx_prefix(const char *s)
{
	struct sl_prefix p;

	assert_int_equal(sl_prefix_parse(s, &p), 0);
	return p;
}

struct sl_secret
fx_secret(unsigned n)
{
	struct sl_secret sk;

	sl_blake2s(sk.b, 32, &n, sizeof(n), NULL, 0);
	sl_x25519_clamp(&sk);
	return sk;
}

struct sl_pubkey
fx_key(unsigned n)
{
	struct sl_secret sk = fx_secret(n);
	struct sl_pubkey pk;

	sl_x25519_public(&pk, &sk);
	return pk;
}

void
fx_iface(struct fx *f, const char *name, uint16_t port)
{
	struct sl_secret sk = fx_secret(9000 + port);
	struct sl_gw_iface_spec s = {.name = name,
				     .fields = SL_IF_LISTEN_PORT | SL_IF_KEY | SL_IF_INSIDE,
				     .listen_port = port,
				     .key_source = SL_KEY_FILE,
				     .key_file = "/nowhere/key",
				     .key = &sk,
				     .inside_port = "lan"};

	if (sl_gw_iface_set(f->gw, &s, &f->e) != 0)
		fail_msg("%s: %s", f->e.reason, f->e.message);
}

void
fx_peer(struct fx *f, const char *iface, unsigned n, const char *prefix)
{
	struct sl_prefix p = prefix != NULL ? fx_prefix(prefix) : (struct sl_prefix){0};
	struct sl_gw_peer_spec s = {.iface = iface,
				    .public_key = fx_key(n),
				    .fields = prefix != NULL ? SL_PF_ALLOWED_IPS : 0,
				    .allowed = &p,
				    .n_allowed = 1};

	if (sl_gw_peer_set(f->gw, &s, &f->e) != 0)
		fail_msg("%s: %s", f->e.reason, f->e.message);
}

uint32_t
fx_lookup(const struct sl_lpm *v4, const struct sl_lpm *v6, const char *ip)
{
	struct sl_ip a = fx_ip(ip);

	return sl_lpm_lookup(a.family == 4 ? v4 : v6, a.b);
}

void
fx_refused_at(const struct fx *f, int rc, int err, const char *reason, const char *path,
	      const char *file, int line)
{
	if (rc == err && strcmp(f->e.reason, reason) == 0 && strcmp(f->e.path, path) == 0 &&
	    f->e.message[0] != '\0')
		return;
	fail_msg("%s:%d: got %d %s at \"%s\" (%s)\nwant %d %s at \"%s\"", file, line, rc,
		 f->e.reason, f->e.path, f->e.message, err, reason, path);
}
