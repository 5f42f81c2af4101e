/* SPDX-License-Identifier: BSD-3-Clause */
#include "cp_fixture.h"

struct cx cx;

static void
on_done(struct sl_cp *cp, int rc, json_t *ack, const struct sl_error *e)
{
	cx.n_done++;
	cx.rc = rc;
	json_decref(cx.ack);
	cx.ack = ack;
	if (e != NULL)
		cx.e = *e;
}

static int
on_call(struct sl_cp *cp, const char *method, json_t *params, sl_rpc_answered done)
{
	json_t *result = NULL;

	cx.n_calls++;
	json_array_append_new(cx.calls,
			      json_pack("{s:s, s:O}", "method", method, "params", params));
	if (cx.call_answer == 0 && strcmp(method, "log.push") == 0)
		result = json_pack("{s:I}", "acked",
				   json_integer_value(json_object_get(params, "first")) +
					   (json_int_t)json_array_size(
						   json_object_get(params, "rows")) -
					   1);
	if (done != NULL)
		done(cp, cx.call_answer, result, &(struct sl_error){.reason = "test"});
	json_decref(result);
	json_decref(params);
	return 0;
}

void
cx_start(void)
{
	struct sl_cp_conf c = {.gw = cx.f->gw,
			       .config = &cx.config,
			       .state_dir = cx.f->conf.state_dir,
			       .boot_id = "b00t",
			       .evidence = cx.evidence};

	cx.cp = cp_new_bare(&c, &cx.f->e);
	if (cx.cp == NULL)
		fail_msg("%s: %s", cx.f->e.reason, cx.f->e.message);
	cx.cp->done = on_done;
	cx.cp->call = on_call;
	sl_cp_poll(cx.cp);
}

void
cx_stop(void)
{
	sl_cp_free(cx.cp);
	cx.cp = NULL;
}

static int
setup(void)
{
	static char *interfaces[] = {(char *)(uintptr_t) "wg0"};
	static struct sl_config_source source = {"cp.example.net", 7444};

	cx = (struct cx){.f = &px_fx};
	cx.config = (struct sl_config_cp){.name = (char *)(uintptr_t) "gw-1",
					  .sources = &source,
					  .n_sources = 1,
					  .interfaces = interfaces,
					  .n_interfaces = 1,
					  .boot_cache = true,
					  .boot_wait_s = 3,
					  .cache_max_age_h = 168,
					  .idp_grace_h = 24,
					  .control_stale_after_h = 24,
					  .stats_s = 10};
	cx.epoch = (struct sl_epoch){.number = 1, .id = CX_EPOCH1};
	cx.calls = json_array();
	cx_start();
	return 0;
}

int
cx_setup(void **state)
{
	return px_setup(state) != 0 || setup() != 0;
}

int
cx_setup_state(void **state)
{
	return px_setup_state(state) != 0 || setup() != 0;
}

int
cx_setup_large(void **state, unsigned peers_max)
{
	if (px_setup_state(state) != 0)
		return 1;
	fx_close(&px_fx);
	px_fx.conf.peers_max = peers_max;
	fx_open(&px_fx);
	fx_ports(&px_fx);
	fx_iface(&px_fx, "wg0", 51820);
	return setup();
}

int
cx_teardown(void **state)
{
	cx_stop();
	json_decref(cx.ack);
	json_decref(cx.calls);
	return px_teardown(state);
}

void
cx_turns(unsigned n)
{
	while (n-- > 0) {
		bool any = sl_cp_poll(cx.cp);

		fx_turn(cx.f);
		if (!any)
			break;
	}
}

json_t *
cx_json(const char *text)
{
	size_t n = strlen(text);
	char *out = malloc(n * 50 + 1), *to = out, key[SL_KEY_B64_LEN + 1];
	json_error_t why;
	json_t *v;

	assert_non_null(out);
	for (; *text != '\0'; text++) {
		if (*text == '%') {
			struct sl_pubkey pk = fx_key((unsigned)(*++text - '0'));

			sl_key_to_base64(pk.b, key);
			memcpy(to, key, SL_KEY_B64_LEN);
			to += SL_KEY_B64_LEN;
		} else {
			*to++ = *text == '\'' ? '"' : *text;
		}
	}
	*to = '\0';
	v = json_loads(out, 0, &why);
	if (v == NULL)
		fail_msg("%s at %d of %s", why.text, why.position, out);
	free(out);
	return v;
}

/* A list in text, which may end with a comma. */
static json_t *
list(const char *items)
{
	size_t n = strlen(items);
	char *text = malloc(n + 3);
	json_t *v;

	assert_non_null(text);
	snprintf(text, n + 3, "[%s", items);
	n = strlen(text);
	if (text[n - 1] == ',')
		n--;
	text[n] = ']';
	text[n + 1] = '\0';
	v = cx_json(text);
	free(text);
	return v;
}

static void
sum_of(const json_t *objects, struct sl_hash_sum *sum)
{
	struct sl_replica *r = sl_replica_new();
	enum sl_kind k;
	json_t *o;
	size_t i;

	json_array_foreach (objects, i, o) {
		assert_int_equal(sl_kind_parse(json_string_value(json_object_get(o, "kind")), &k),
				 0);
		assert_int_equal(sl_replica_put(r, k, json_string_value(json_object_get(o, "id")),
						1, json_object_get(o, "obj")),
				 0);
	}
	sl_replica_sum(r, sum);
	sl_replica_free(r);
}

void
cx_snapshot(uint64_t seq, const char *objects)
{
	json_t *v = list(objects);
	struct sl_hash_sum sum;
	unsigned n = cx.n_done;

	assert_int_equal(cp_sub_ops.snapshot_begin(cx.cp, &cx.epoch, seq, "test", &cx.f->e), 0);
	assert_int_equal(cx.n_done, n + 1);
	assert_int_equal(cp_sub_ops.snapshot_part(cx.cp, v, &cx.f->e), 0);
	cx_turns(100000);
	assert_int_equal(cx.n_done, n + 2);
	assert_int_equal(cx.rc, 0);
	sum_of(v, &sum);
	assert_int_equal(cp_sub_ops.snapshot_end(cx.cp, json_array_size(v), &sum, "b2b:00",
						 &cx.f->e),
			 0);
	json_decref(v);
	cx_turns(100000);
	assert_int_equal(cx.n_done, n + 3);
}

void
cx_txn(uint64_t seq, const char *ops)
{
	json_t *t = json_pack("{s:I, s:I, s:s, s:o}", "seq", (json_int_t)seq, "prev",
			      (json_int_t)seq - 1, "chain", "b2b:01", "ops", list(ops));
	unsigned n = cx.n_done;

	if (cp_sub_ops.txn(cx.cp, t, &cx.f->e) != 0)
		fail_msg("%s: %s", cx.f->e.reason, cx.f->e.message);
	json_decref(t);
	cx_turns(100000);
	assert_int_equal(cx.n_done, n + 1);
}

void
cx_acked(void)
{
	if (cx.rc != 0)
		fail_msg("%s at %s: %s", cx.e.reason, cx.e.path, cx.e.message);
}

void
cx_refused(const char *code, const char *path)
{
	if (cx.rc == 0 || strcmp(cx.e.reason, code) != 0 || strcmp(cx.e.path, path) != 0)
		fail_msg("%d %s at \"%s\" (%s); wanted %s at \"%s\"", cx.rc, cx.e.reason, cx.e.path,
			 cx.e.message, code, path);
}

bool
cx_peer(const char *name, struct sl_gw_peer_info *out)
{
	struct sl_pubkey key;

	return sl_gw_peer_lookup(cx.f->gw, "wg0", name, &key, NULL) == 0 &&
	       sl_gw_peer_info(cx.f->gw, "wg0", &key, out) == 0;
}

bool
cx_has_peer(const char *name)
{
	struct sl_gw_peer_info i;

	return cx_peer(name, &i);
}

void
cx_handshake(unsigned key)
{
	struct sl_pubkey pk = fx_key(key);
	struct sl_gw_peer_info i;
	struct sl_peer *p;

	assert_int_equal(sl_gw_peer_info(cx.f->gw, "wg0", &pk, &i), 0);
	p = sl_peer_get(cx.f->dp->peers, i.id);
	atomic_store_explicit(&p->last_handshake_wall_ns, cx.f->wall_ns, memory_order_relaxed);
}

void
cx_advance(unsigned seconds)
{
	for (unsigned i = 0; i < seconds * 2; i++) {
		cx.f->now_ns += S / 2;
		cx.f->wall_ns += S / 2;
		sl_gw_poll(cx.f->gw);
		sl_cp_poll(cx.cp);
	}
	cx_turns(1000);
}

bool
cx_allows(unsigned key, const char *src, uint16_t port)
{
	return px_allows(cx.f, "wg0", key, src, "10.20.0.10", port);
}

/* --- what a state directory holds ----------------------------------------------------------------
 */

void
cx_restart(void)
{
	cx_stop();
	fx_close(cx.f);
	fx_open(cx.f);
	fx_ports(cx.f);
	fx_iface(cx.f, "wg0", 51820);
	cx_start();
	cx_turns(100);
}

void
cx_later(uint64_t seconds)
{
	cx.f->now_ns += seconds * S;
	cx.f->wall_ns += seconds * S;
}

void
cx_state_path(const char *name, char out[128])
{
	snprintf(out, 128, "%.60s/%s", px_state_dir, name);
}

void
cx_restore_backup(uint64_t number, const char *objects)
{
	cx.epoch = (struct sl_epoch){.number = number};
	snprintf(cx.epoch.id, sizeof(cx.epoch.id), "%032llx", (unsigned long long)number * 0x1111);
	cx_snapshot(5, objects);
	cx_acked();
}

void
cx_die(void)
{
	cx.cp->cache_due = false;
}
