/* SPDX-License-Identifier: BSD-3-Clause */
/* Sessions of peers as records: open, rekey, close with its reason; and what is counted alone. */
#include "fixture.h"

static struct sl_rec rec[FX_RECS];

static void
one(struct fx **fx, struct far *f)
{
	*fx = fx_begin(1);
	far_init(*fx, f, 10, "198.51.100.7:4000");
	far_add(*fx, f, far_add_cmd(*fx, f, false, false));
}

static void
tell(struct fx *fx, struct far *f, enum sl_hs_cmd_type type)
{
	struct sl_hs_cmd *cmd = fx_cmd(fx, type);

	cmd->peer = f->peer;
	fx_send(fx, cmd);
	fx_settle(fx);
}

/** One record came since, of this type and peer. */
static const struct sl_rec *
the_record(struct fx *fx, const struct far *f, enum sl_rec_type t)
{
	assert_int_equal(fx_recs(fx, rec), 1);
	assert_int_equal(rec[0].type, t);
	assert_int_equal(rec[0].peer_id, f->peer->id);
	assert_int_equal(rec[0].iface, FX_IFACE);
	assert_int_equal(rec[0].count, 1);
	assert_int_equal(rec[0].role, UINT16_MAX);
	assert_int_equal(rec[0].mono_ns, fx->now_ns);
	return &rec[0];
}

static void
the_end(struct fx *fx, const struct far *f, enum sl_rec_reason why, uint64_t opened_ns)
{
	const struct sl_rec *r;

	assert_int_equal(fx_recs(fx, rec), 1);
	r = &rec[0];
	assert_int_equal(r->type, SL_REC_SESSION_CLOSE);
	assert_int_equal(r->peer_id, f->peer->id);
	assert_int_equal(r->reason, why);
	assert_int_equal(r->bytes[0], r->mono_ns - opened_ns);
}

static void
nothing(struct fx *fx)
{
	assert_int_equal(fx_recs(fx, rec), 0);
}

/** seen = recorded + suppressed + not_selected, and what was recorded was taken. */
static void
check_counts(struct fx *fx, enum sl_rec_type t, unsigned seen, unsigned recorded,
	     unsigned suppressed)
{
	const struct sl_rec_ring *ring = fx->dp.hs_records;

	assert_int_equal(ring->counts.seen[t], seen);
	assert_int_equal(ring->counts.recorded[t], recorded);
	assert_int_equal(ring->counts.suppressed[t], suppressed);
	assert_int_equal(ring->counts.not_selected[t], seen - recorded - suppressed);
	assert_int_equal(ring->taken[t], recorded);
}

/* It opens once, is renewed from either side, and ends when its keys may not be used any more. */
static void
test_life(void **state)
{
	uint64_t opened;
	struct fx *fx;
	struct far f;

	one(&fx, &f);
	far_initiate(fx, &f, 0);
	assert_true(far_take_response(fx, &f, 0));
	nothing(fx); /* the far side has not proved that it has the key */
	fx_confirm(fx, &f);
	assert_int_equal(the_record(fx, &f, SL_REC_SESSION_OPEN)->flags, SL_RF_FROM_TUNNEL);
	opened = rec[0].mono_ns;
	fx_advance(fx, 120 * S);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	far_session_back(fx, &f, 0);
	assert_int_equal(the_record(fx, &f, SL_REC_SESSION_REKEY)->flags, 0);
	fx_advance(fx, 179 * S);
	nothing(fx);
	fx_advance(fx, 2 * S);
	the_end(fx, &f, SL_RR_EXPIRED, opened);
	assert_in_range(rec[0].bytes[0], 300 * S, 300 * S + S);
	fx_advance(fx, 600 * S); /* what is left is wiped: that is no news */
	nothing(fx);
	far_session(fx, &f, 0);
	the_record(fx, &f, SL_REC_SESSION_OPEN);
	check_counts(fx, SL_REC_SESSION_OPEN, 2, 2, 0);
	check_counts(fx, SL_REC_SESSION_REKEY, 1, 1, 0);
	check_counts(fx, SL_REC_SESSION_CLOSE, 1, 1, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

static uint64_t
opened(struct fx *fx, struct far *f)
{
	fx_advance(fx, S);
	far_session(fx, f, 0);
	return the_record(fx, f, SL_REC_SESSION_OPEN)->mono_ns;
}

/* Why it ends is told, once; without a session there is no end. */
static void
test_ends(void **state)
{
	struct fx *fx;
	struct far f;
	uint64_t at;

	one(&fx, &f);
	tell(fx, &f, SL_HS_PEER_KICK);
	nothing(fx);
	at = opened(fx, &f);
	tell(fx, &f, SL_HS_PEER_KICK);
	the_end(fx, &f, SL_RR_KICKED, at);
	tell(fx, &f, SL_HS_PEER_KICK);
	nothing(fx);
	at = opened(fx, &f);
	atomic_store(&f.peer->enabled, false);
	tell(fx, &f, SL_HS_PEER_SET);
	the_end(fx, &f, SL_RR_REVOKED, at);
	atomic_store(&f.peer->enabled, true);
	at = opened(fx, &f);
	fx_iface(fx, FX_IFACE, 7);
	fx_settle(fx);
	the_end(fx, &f, SL_RR_KEY_CHANGED, at);
	sl_noise_peer_init(&f.noise, &fx->gw.pk, NULL);
	sl_cookie_maker_init(&f.maker, &fx->gw.pk);
	at = opened(fx, &f);
	sl_hs_purge(fx->hs);
	the_end(fx, &f, SL_RR_SHUTDOWN, at);
	sl_hs_purge(fx->hs);
	nothing(fx);
	tell(fx, &f, SL_HS_PEER_KICK);
	nothing(fx);
	at = opened(fx, &f);
	far_gone(fx, &f);
	assert_int_equal(fx_recs(fx, rec), 1);
	assert_int_equal(rec[0].reason, SL_RR_PEER_GONE);
	sl_hs_purge(fx->hs);
	nothing(fx);
	check_counts(fx, SL_REC_SESSION_OPEN, 5, 5, 0);
	check_counts(fx, SL_REC_SESSION_CLOSE, 5, 5, 0);
	fx_free(fx);
}

/* Where logging is off, or more happens than may be told, it is counted. */
static void
test_limits(void **state)
{
	struct fx *fx;
	struct far f;

	one(&fx, &f);
	fx->root.authz.logging = false;
	far_session(fx, &f, 0);
	nothing(fx);
	check_counts(fx, SL_REC_SESSION_OPEN, 1, 0, 0);
	fx->root.authz.logging = true;
	tell(fx, &f, SL_HS_PEER_KICK);
	the_record(fx, &f, SL_REC_SESSION_CLOSE);
	sl_rec_buckets_init(fx->dp.hs_buckets, 2);
	for (unsigned i = 0; i < 5; i++) {
		fx_advance(fx, 22 * MS); /* as quick as initiations are accepted */
		far_session(fx, &f, 0);
		tell(fx, &f, SL_HS_PEER_KICK);
	}
	assert_int_equal(fx_recs(fx, rec), 4);
	check_counts(fx, SL_REC_SESSION_OPEN, 6, 2, 3);
	check_counts(fx, SL_REC_SESSION_CLOSE, 6, 3, 3);
	far_gone(fx, &f);
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_limits),
	};

	eal_start("test_hs_record");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
