/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_fixture.h"

#include <rte_log.h>

#define AGG_ROWS 1024

const struct sl_rpc_caller rx_unix = {SL_RPC_VIA_UNIX, "uid:0", &sl_service_local};
const struct sl_rpc_caller rx_tcp = {SL_RPC_VIA_TCP, "tcp:loopback", &sl_service_local};
const struct sl_rpc_caller rx_config = {SL_RPC_VIA_CONFIG, "config", &sl_service_local};

static void
sink(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	struct rx *r = ctx;
	size_t n = strlen(r->log);

	snprintf(r->log + n, sizeof(r->log) - n, "%d %s: %s\n", (int)level, topic, text);
}

static uint64_t
mono(void *ctx)
{
	return ((struct fx *)ctx)->now_ns;
}

static void
quit(void *ctx)
{
	((struct rx *)ctx)->quit = true;
}

static void
make_plan(struct sl_plan *plan)
{
	static const struct sl_plan_cpu cpu[] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}};
	struct sl_plan_input in = {.cpus = cpu, .n_cpus = 4, .wish = {.workers = 2, .io = 1}};

	assert_int_equal(sl_plan_make(&in, plan, NULL), 0);
}

static uint64_t
wall(void *ctx)
{
	return ((struct fx *)ctx)->wall_ns;
}

/** With two records in its file. */
static void
make_drain(struct rx *r)
{
	struct sl_sink_conf sink = {.kind = SL_SINK_FILE, .name = "file", .path = r->audit_file};
	struct sl_drain_conf c = {.n_rings = 1,
				  .sinks = &sink,
				  .n_sinks = 1,
				  .observer = "test",
				  .version = "0",
				  .boot_id = "00112233445566778899aabbccddeeff",
				  .mono_ns = mono,
				  .wall_ns = wall,
				  .clock_ctx = &r->fx,
				  .lockstep = true};
	struct sl_rec *rec;
	int fd;

	snprintf(r->audit_file, sizeof(r->audit_file), "/tmp/sl-rpc-audit-XXXXXX");
	fd = mkstemp(r->audit_file);
	assert_true(fd >= 0);
	close(fd);
	r->ring = aligned_alloc(SL_CACHE_LINE, sl_rec_ring_size(16));
	assert_non_null(r->ring);
	memset(r->ring, 0, sl_rec_ring_size(16));
	sl_rec_ring_init(r->ring, 16);
	c.ring[0] = r->ring;
	r->drain = sl_drain_new(&c, &r->e);
	if (!r->drain)
		fail_msg("%s", r->e.message);
	for (unsigned i = 0; i < 2; i++) {
		rec = sl_rec_begin(r->ring);
		rec->type = SL_REC_DENY;
		rec->version = 4;
		rec->count = 1;
		sl_rec_commit(r->ring, rec);
	}
	sl_drain_poll(r->drain);
}

static void
open_evidence(struct rx *r)
{
	static const uint64_t key[2] = {1, 2};
	struct sl_evidence_conf c = {.gw = r->fx.gw,
				     .agg = {&r->agg},
				     .n_agg = 1,
				     .state_dir = r->fx.conf.state_dir,
				     .lockstep = true};

	for (unsigned i = 0; i < 2; i++) {
		r->agg_table[i] = aligned_alloc(64, sl_agg_table_size(AGG_ROWS));
		memset(r->agg_table[i], 0, sl_agg_table_size(AGG_ROWS));
	}
	sl_agg_init(&r->agg, r->agg_table[0], r->agg_table[1], AGG_ROWS, key);
	r->evidence = sl_evidence_new(&c, &r->e);
	assert_non_null(r->evidence);
}

void
rx_pass(struct rx *r, unsigned seconds)
{
	for (unsigned i = 0; i < 4; i++) {
		r->fx.now_ns += i == 0 && seconds > 3 ? (seconds - 3) * S : S;
		r->fx.wall_ns += i == 0 && seconds > 3 ? (seconds - 3) * S : S;
		sl_agg_poll(&r->agg);
		sl_ctl_poll(&r->ctl);
		fx_turn(&r->fx);
	}
}

void
rx_see(struct rx *r, const char *dst, uint16_t port, unsigned flows)
{
	struct sl_agg_key k = {.src = {10, 7, 0, 2},
			       .dport = port,
			       .iface = 1,
			       .proto = 6,
			       .version = 4,
			       .flags = SL_AGG_FROM_TUNNEL};
	struct sl_gw_peer_info info;
	struct sl_pubkey key;

	assert_int_equal(sl_gw_peer_lookup(r->fx.gw, "wg0", "alice", &key, &r->e), 0);
	assert_int_equal(sl_gw_peer_info(r->fx.gw, "wg0", &key, &info), 0);
	k.peer_id = info.id;
	memcpy(k.dst, fx_ip(dst).b, 4);
	sl_agg_add(&r->agg, &k, 0, 0, SL_WHY_NO_ROLE, flows, 2 * flows, 200 * flows, r->fx.now_ns);
	rx_pass(r, 4);
}

void
rx_open(struct rx *r)
{
	fx_open(&r->fx);
	fx_ports(&r->fx);
	open_evidence(r);
	make_plan(&r->plan);
	r->log[0] = 0;
	r->quit = false;
	sl_log_set_sink(sink, r);
	sl_log_set_level(SL_LOG_INFO);
	rte_log_set_global_level(RTE_LOG_CRIT); /* the ports of the fixture are no devices */
	make_drain(r);
	sl_gw_set_drain(r->fx.gw, r->drain);
	r->ctl = (struct sl_ctl){.gw = r->fx.gw,
				 .dp = r->fx.dp,
				 .drain = r->drain,
				 .evidence = r->evidence,
				 .plan = &r->plan,
				 .mono_ns = mono,
				 .clock_ctx = &r->fx,
				 .boot_id = "00112233445566778899aabbccddeeff",
				 .quit = quit,
				 .quit_ctx = r};
	r->rpc = sl_rpc_new(&sl_gateway_schema, &r->ctl);
	assert_non_null(r->rpc);
	assert_int_equal(sl_ctl_register(r->rpc), 0);
	sl_rpc_set_state(r->rpc, SL_RPC_RUNNING);
}

void
rx_close(struct rx *r)
{
	sl_rpc_free(r->rpc);
	sl_ctl_clear(&r->ctl);
	sl_evidence_free(r->evidence);
	free(r->agg_table[0]);
	free(r->agg_table[1]);
	fx_turn(&r->fx);
	fx_close(&r->fx);
	sl_drain_free(r->drain);
	free(r->ring);
	unlink(r->audit_file);
	sl_log_set_sink(NULL, NULL);
}

static void
open_with_alice(struct rx *r)
{
	rx_open(r);
	rx_do(r, "interface.set",
	      "{\"interface\":\"wg0\",\"listen_port\":51820,\"key_store\":\"memory\","
	      "\"addresses\":[\"10.7.0.1/24\",\"fd00:7::1/64\"],"
	      "\"inside\":{\"port\":\"lan\",\"prefixes\":[\"10.20.0.0/24\"]}}");
	rx_do(r, "peer.set",
	      "{\"interface\":\"wg0\",\"public_key\":\"" ALICE "\",\"name\":\"alice\","
	      "\"allowed_ips\":[\"10.7.0.2/32\",\"fd00:7::2/128\"]}");
	fx_turn(&r->fx);
	r->log[0] = 0;
}

void
rx_init(struct rx *r)
{
	fx_init(&r->fx);
	open_with_alice(r);
}

void
rx_init_lockstep(struct rx *r)
{
	fx_init(&r->fx);
	r->fx.conf.lockstep = true;
	open_with_alice(r);
}

void
rx_fini(struct rx *r)
{
	rx_close(r);
	fx_fini(&r->fx);
}

json_t *
rx_try(struct rx *r, const char *method, const char *params)
{
	json_t *p = params ? json_loads(params, 0, NULL) : NULL, *result;

	if (params && !p)
		fail_msg("not JSON: %s", params);
	sl_rpc_call(r->rpc, &rx_unix, method, p, &result, &r->e);
	json_decref(p);
	return result;
}

json_t *
rx_call(struct rx *r, const char *method, const char *params)
{
	json_t *result = rx_try(r, method, params);

	if (!result)
		fail_msg("%s %s: %s (%s) at %s", method, params ? params : "", r->e.message,
			 r->e.reason, r->e.path);
	return result;
}

void
rx_do(struct rx *r, const char *method, const char *params)
{
	json_decref(rx_call(r, method, params));
}

void
rx_refused_at(struct rx *r, const char *method, const char *params, int err, const char *reason,
	      const char *path, const char *file, int line)
{
	json_t *result = rx_try(r, method, params);

	if (result || r->e.err != err || strcmp(r->e.reason, reason) || strcmp(r->e.path, path) ||
	    !r->e.message[0])
		fail_msg("%s:%d: %s %s: %s, %d %s at %s (%s), wanted %d %s at %s", file, line,
			 method, params, result ? "done" : "refused", r->e.err, r->e.reason,
			 r->e.path, r->e.message, err, reason, path);
}

void
rx_is(const json_t *v, const char *want)
{
	json_t *w = json_loads(want, JSON_DECODE_ANY, NULL);
	char *got = json_dumps(v, JSON_SORT_KEYS | JSON_ENCODE_ANY);

	if (!w || !json_equal(v, w))
		fail_msg("%s\nwanted %s", got, want);
	free(got);
	json_decref(w);
}
