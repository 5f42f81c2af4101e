/* SPDX-License-Identifier: BSD-3-Clause */
#include "rpc_fixture.h"

#include <rte_log.h>

const struct sl_rpc_caller rx_unix = {SL_RPC_VIA_UNIX, "uid:0"};
const struct sl_rpc_caller rx_tcp = {SL_RPC_VIA_TCP, "tcp:loopback"};
const struct sl_rpc_caller rx_config = {SL_RPC_VIA_CONFIG, "config"};

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

void
rx_open(struct rx *r)
{
	fx_open(&r->fx);
	fx_ports(&r->fx);
	make_plan(&r->plan);
	r->log[0] = 0;
	r->quit = false;
	sl_log_set_sink(sink, r);
	sl_log_set_level(SL_LOG_INFO);
	rte_log_set_global_level(RTE_LOG_CRIT); /* the ports of the fixture are no devices */
	make_drain(r);
	r->ctl = (struct sl_ctl){.gw = r->fx.gw,
				 .dp = r->fx.dp,
				 .drain = r->drain,
				 .plan = &r->plan,
				 .mono_ns = mono,
				 .clock_ctx = &r->fx,
				 .boot_id = "00112233445566778899aabbccddeeff",
				 .quit = quit,
				 .quit_ctx = r};
	r->rpc = sl_rpc_new(&r->ctl);
	assert_non_null(r->rpc);
	assert_int_equal(sl_ctl_register(r->rpc), 0);
	sl_rpc_set_state(r->rpc, SL_RPC_RUNNING);
}

void
rx_close(struct rx *r)
{
	sl_rpc_free(r->rpc);
	sl_ctl_clear(&r->ctl);
	fx_turn(&r->fx);
	fx_close(&r->fx);
	sl_drain_free(r->drain);
	free(r->ring);
	unlink(r->audit_file);
	sl_log_set_sink(NULL, NULL);
}

void
rx_init(struct rx *r)
{
	fx_init(&r->fx);
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
