/* SPDX-License-Identifier: BSD-3-Clause */
/* How things end: keypairs, key material, peers, interfaces; and what memory still holds then. */
#include "fixture.h"

static void
one(struct fx **fx, struct far *f)
{
	*fx = fx_begin(1);
	far_init(*fx, f, 10, "198.51.100.7:4000");
	far_add(*fx, f, far_add_cmd(*fx, f, false, false));
}

static struct sl_hs_cmd *
peer_cmd(struct fx *fx, struct far *f, enum sl_hs_cmd_type type)
{
	struct sl_hs_cmd *cmd = fx_cmd(fx, type);

	cmd->peer = f->peer;
	return cmd;
}

/** Unpublished, answered, grace period, released: each step waits for the one before. */
static void
test_retire_steps(void **state)
{
	struct sl_keypair *kp;
	struct fx *fx;
	struct far f;
	uint32_t index;

	one(&fx, &f);
	far_session(fx, &f, 0);
	kp = far_kp(fx, &f);
	index = f.keys.remote_index;
	fx_advance(fx, 180 * S - 2 * MS);
	assert_ptr_equal(far_kp(fx, &f), kp);
	fx->hold_acks = true;
	fx->hold_grace = true;
	fx_advance(fx, 4 * MS);
	assert_null(far_kp(fx, &f));
	assert_int_equal(fx_count(fx, 0, SL_WK_RETIRE, 0), 1);
	assert_int_equal(fx_last(fx, SL_WK_RETIRE)->msg.index, index);
	fx_advance(fx, 5 * S);
	assert_int_equal(fx_slots(fx).retired, 1);
	assert_memory_equal(kp->recv_key, f.keys.send.b, 32); /* somebody may still read it */
	fx_release_acks(fx);
	fx_advance(fx, 10 * MS);
	assert_int_equal(fx_slots(fx).retired, 1);
	assert_memory_equal(kp->recv_key, f.keys.send.b, 32);
	fx->hold_grace = false;
	fx_settle(fx);
	assert_int_equal(fx_slots(fx).retired, 0);
	assert_int_equal(fx_slots(fx).live, 0);
	assert_true(sl_ct_is_zero(kp->recv_key, 64));
	assert_int_equal(far_state(&f), SL_HS_EXPIRED);
	far_gone(fx, &f);
	fx_free(fx);
}

/** 540 s after the last session nothing is left; a hint that hs asked for them is one note. */
static void
test_zero_keys(void **state)
{
	struct fx *fx;
	struct far f;

	one(&fx, &f);
	far_session(fx, &f, 0);
	fx_advance(fx, 100 * S);
	far_initiate(fx, &f, 0); /* an unconfirmed keypair counts from its own birth */
	assert_true(far_take_response(fx, &f, 0));
	fx_advance(fx, 539 * S);
	assert_int_equal(fx_notes(fx, SL_NOTE_ZEROED), 0);
	fx_advance(fx, 2 * S);
	assert_int_equal(fx_notes(fx, SL_NOTE_ZEROED), 1);
	assert_int_equal(fx_slots(fx).live + fx_slots(fx).retired + fx_slots(fx).pending, 0);
	fx_advance(fx, 600 * S);
	assert_int_equal(fx_notes(fx, SL_NOTE_ZEROED), 1);
	far_session(fx, &f, 0); /* the peer itself is well */
	far_gone(fx, &f);
	fx_free(fx);
}

/** An attempt under way when the keys are wiped goes on with new ones. */
static void
test_zero_keys_while_trying(void **state)
{
	struct fx_out out;
	struct fx *fx;
	struct far f;
	unsigned n = 0;

	one(&fx, &f);
	far_session(fx, &f, 0);
	fx_advance(fx, 530 * S);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	while (fx_take(fx, 0).any)
		n++;
	assert_int_equal(n, 1);
	fx_advance(fx, 30 * S);
	assert_int_equal(fx_notes(fx, SL_NOTE_ZEROED), 1);
	out = fx_take(fx, 0);
	while (rte_ring_count(fx->worker[0]->inject[0]) != 0)
		out = fx_take(fx, 0);
	assert_true(out.any);
	fx_advance(fx, 5 * S + 334 * MS);
	far_session_back(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_peer_del_steps(void **state)
{
	struct sl_hs_peer_view v;
	struct fx *fx;
	struct far f, g;

	one(&fx, &f);
	far_init(fx, &g, 11, "198.51.100.8:4000");
	far_add(fx, &g, far_add_cmd(fx, &g, true, false));
	far_session(fx, &f, 0);
	far_session(fx, &g, 0);
	fx->hold_acks = true;
	fx_send(fx, peer_cmd(fx, &f, SL_HS_PEER_DEL));
	fx_send(fx, peer_cmd(fx, &f, SL_HS_PEER_DEL)); /* twice is once */
	fx_settle(fx);
	assert_null(far_kp(fx, &f));
	assert_int_equal(fx_count(fx, 0, SL_WK_PEER_GONE, 0), 1);
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_UNKNOWN_PEER), 1);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_advance(fx, 3 * S);
	fx_none(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), 0);
	fx->hold_grace = true;
	fx_release_acks(fx);
	fx_advance(fx, S);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), 0);
	fx->hold_grace = false;
	fx_settle(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), 1);
	assert_ptr_equal(fx->notes[fx->n_notes - 1].peer, f.peer);
	assert_null(atomic_load(&f.peer->current));
	sl_hs_peer_view(f.peer, &v);
	assert_int_equal(v.session_ns, 0);
	far_check_keys(fx, &g);
	/* once more: there is nothing left to delete, and it is answered */
	fx_send(fx, peer_cmd(fx, &f, SL_HS_PEER_DEL));
	fx_settle(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_PEER_DELETED), 2);
	atomic_store(&fx->dp.peers->slot[f.peer->id], NULL);
	far_free(&f);
	far_gone(fx, &g);
	fx_free(fx);
}

static void
test_peer_del_in_handshake(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f;

	far_init(fx, &f, 10, "198.51.100.7:4000");
	far_add(fx, &f, far_add_cmd(fx, &f, true, true));
	assert_int_equal(fx_slots(fx).pending, 1);
	far_gone(fx, &f);
	assert_int_equal(fx_slots(fx).pending, 0);
	assert_true(fx_take(fx, 0).any);
	fx_advance(fx, 20 * S);
	fx_none(fx);
	fx_free(fx);
}

/** A disabled peer loses its session at once and gets no other. */
static void
test_peer_disabled(void **state)
{
	struct fx *fx;
	struct far f;

	one(&fx, &f);
	far_session(fx, &f, 0);
	atomic_store(&f.peer->enabled, 0);
	fx_send(fx, peer_cmd(fx, &f, SL_HS_PEER_SET));
	fx_settle(fx);
	assert_null(far_kp(fx, &f));
	assert_int_equal(fx_slots(fx).retired, 0);
	fx_raise(fx, &f, SL_PEER_EV_WANT_HS, true);
	fx_advance(fx, 10 * S);
	fx_none(fx);
	atomic_store(&f.peer->enabled, 1);
	far_session(fx, &f, 0);
	far_gone(fx, &f);
	fx_free(fx);
}

/** The interface's key changes: all its sessions end, no others, and the new key works at once. */
static void
test_key_change(void **state)
{
	struct fx *fx = fx_begin(1);
	struct far f[3], g;
	struct sl_hs_cmd *cmd;
	struct sl_noise_local other;
	unsigned i;

	for (i = 0; i < 3; i++) {
		far_init(fx, &f[i], 10 + i, "198.51.100.7:4000");
		far_add(fx, &f[i], far_add_cmd(fx, &f[i], true, false));
		far_session(fx, &f[i], 0);
	}
	other = fx->gw;
	fx_iface(fx, 2, 2);
	fx_iface(fx, FX_IFACE, 2); /* so that a far side is made for that key */
	far_init(fx, &g, 20, "198.51.100.9:4000");
	fx_iface(fx, FX_IFACE, 1); /* there and back */
	cmd = far_add_cmd(fx, &g, true, false);
	cmd->iface_id = 2;
	far_add(fx, &g, cmd);
	far_session(fx, &g, 0);
	assert_memory_equal(other.pk.b, fx->gw.pk.b, 32);
	for (i = 0; i < 3; i++) {
		assert_null(far_kp(fx, &f[i]));
		assert_int_equal(far_state(&f[i]), SL_HS_EXPIRED);
		fx_advance(fx, 20 * MS);
		far_session(fx, &f[i], 0);
	}

	fx_iface(fx, FX_IFACE, 1); /* the same key: nothing happens */
	far_check_keys(fx, &f[0]);
	fx_iface(fx, FX_IFACE, 7);
	assert_int_equal(fx_slots(fx).live, 1);
	far_check_keys(fx, &g);
	fx_advance(fx, S);
	far_initiate(fx, &f[0], 0); /* made for the old key */
	assert_int_equal(fx_drops(fx, SL_DROP_HS_MAC1), 1);
	for (i = 0; i < 3; i++) {
		sl_noise_peer_init(&f[i].noise, &fx->gw.pk, NULL);
		sl_cookie_maker_init(&f[i].maker, &fx->gw.pk);
	}
	far_session(fx, &f[0], 0);
	fx_raise(fx, &f[1], SL_PEER_EV_WANT_HS, true);
	fx_settle(fx);
	far_session_back(fx, &f[1], 0);

	fx_iface(fx, FX_IFACE, 0); /* no key at all */
	assert_null(far_kp(fx, &f[0]));
	fx_raise(fx, &f[0], SL_PEER_EV_WANT_HS, true);
	fx_advance(fx, 10 * S);
	fx_none(fx);
	assert_true(fx_drops(fx, SL_DROP_HS_NO_KEY) > 0);
	for (i = 0; i < 3; i++)
		far_gone(fx, &f[i]);
	far_gone(fx, &g);
	fx_free(fx);
}

/** An initiation for the new key right behind the command, before hs came to its peer. */
static void
test_key_change_and_initiation(void **state)
{
	struct sl_msg_initiation m;
	struct sl_hs_cmd *cmd;
	struct fx *fx;
	struct far f;
	unsigned n;

	one(&fx, &f);
	far_session(fx, &f, 0);
	fx_advance(fx, S);
	cmd = fx_cmd(fx, SL_HS_IFACE_SET);
	cmd->fields = SL_HS_F_KEY;
	memset(cmd->key.b, 0x42, 32);
	sl_noise_local_set(&fx->gw, &cmd->key);
	sl_noise_peer_init(&f.noise, &fx->gw.pk, NULL);
	sl_cookie_maker_init(&f.maker, &fx->gw.pk);
	far_initiation(fx, &f, &m);
	fx_send(fx, cmd);
	far_send(fx, &f, 0, 2, &m, sizeof(m));
	n = rte_ring_count(fx->worker[0]->inject[0]);
	sl_hs_poll(fx->hs, fx->now_ns);
	assert_int_equal(rte_ring_count(fx->worker[0]->inject[0]), n + 1);
	fx_settle(fx);
	assert_true(far_take_response(fx, &f, 0));
	far_check_keys(fx, &f);
	assert_int_equal(fx_slots(fx).live, 1);
	far_gone(fx, &f);
	fx_free(fx);
}

static void
test_iface_del(void **state)
{
	struct sl_hs_cmd *cmd;
	struct fx *fx;
	struct far f;

	one(&fx, &f);
	far_session(fx, &f, 0);
	cmd = fx_cmd(fx, SL_HS_IFACE_DEL);
	fx_send(fx, cmd);
	fx_settle(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_IFACE_DELETED), 0);
	assert_null(far_kp(fx, &f));
	far_initiate(fx, &f, 0);
	assert_int_equal(fx_drops(fx, SL_DROP_HS_NO_KEY), 1);
	far_gone(fx, &f);
	assert_int_equal(fx_notes(fx, SL_NOTE_IFACE_DELETED), 1);
	fx_send(fx, fx_cmd(fx, SL_HS_IFACE_DEL));
	fx_settle(fx);
	assert_int_equal(fx_notes(fx, SL_NOTE_IFACE_DELETED), 2);
	fx_free(fx);
}

/* --- memory -------------------------------------------------------------------------------- */

/** Volatile, or the compiler would take the mask off the key instead of putting it on memory. */
static volatile uint64_t mask_word = UINT64_C(0x5a5aa5a55a5aa5a5);

/** A key kept under a mask, so that this copy is not what the search finds. */
struct masked {
	uint64_t w[4];
};

static struct masked
mask(const uint8_t key[32])
{
	struct masked m;
	uint64_t w;
	unsigned i;

	for (i = 0; i < 4; i++) {
		memcpy(&w, key + 8 * i, 8);
		m.w[i] = w ^ mask_word;
	}
	sl_wipe(&w, sizeof(w));
	return m;
}

struct unaligned {
	uint64_t w;
} SL_PACKED;

__attribute__((no_sanitize("address", "thread"))) static unsigned
count_words(const uint8_t *p, const uint8_t *end, const struct masked *m)
{
	const uint8_t *q = p;
	unsigned hits = 0, i;
	uint64_t w;

	for (w = 0; w == 0 && q < end; q++) /* most pages are empty */
		w = *(const volatile uint8_t *)q;
	if (w == 0)
		return 0;
	for (; p + 8 <= end; p++) { /* keys lie at any address */
		w = ((const volatile struct unaligned *)p)->w ^ mask_word;
		for (i = 0; i < 4; i++)
			hits += w == m->w[i];
	}
	return hits;
}

/** Pieces of a key in the writable pages that are really there. */
static unsigned
search(const struct masked *m)
{
	FILE *maps = fopen("/proc/self/maps", "r"), *pm = fopen("/proc/self/pagemap", "r");
	unsigned long from, to, at;
	char line[512], perm[8];
	unsigned hits = 0;
	uint64_t entry;

	assert_non_null(maps);
	assert_non_null(pm);
	setvbuf(pm, NULL, _IONBF, 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		if (sscanf(line, "%lx-%lx %7s", &from, &to, perm) != 3 || perm[0] != 'r' ||
		    perm[1] != 'w' || strstr(line, "[v") != NULL || to - from > 1UL << 36)
			continue;
		fseek(pm, (long)(from / 4096 * 8), SEEK_SET);
		for (at = from; at < to; at += 4096) {
			if (fread(&entry, 8, 1, pm) != 1)
				break;
			if (entry >> 62 != 0) /* present or swapped */
				hits += count_words((const uint8_t *)at,
						    (const uint8_t *)SL_MIN(at + 4096 + 7, to), m);
		}
	}
	fclose(pm);
	fclose(maps);
	return hits;
}

/** Transport keys are nowhere once their session ended; PSK and private key once they are removed.
 */
static void
test_memory(void **state)
{
	struct masked send, recv, psk, sk;
	struct sl_hs_cmd *cmd;
	struct fx *fx;
	struct far f;

	fx = fx_begin(1);
	far_init(fx, &f, 10, "198.51.100.7:4000");
	sl_rng_fill(&fx->far_rng, f.noise.psk.b, 32);
	cmd = far_add_cmd(fx, &f, false, false);
	cmd->fields |= SL_HS_F_PSK;
	cmd->key = f.noise.psk;
	psk = mask(f.noise.psk.b);
	far_add(fx, &f, cmd);
	far_session(fx, &f, 0);
	send = mask(f.keys.send.b);
	recv = mask(f.keys.recv.b);
	sk = mask(fx->gw.sk.b);
	sl_wipe(&f.keys.send, 64);
	sl_wipe(&f.noise, sizeof(f.noise));
	sl_wipe(&fx->gw.sk, 32);
	assert_int_equal(search(&send), 4); /* in one place each */
	assert_int_equal(search(&recv), 4);
	assert_int_equal(search(&psk), 4);
	assert_int_equal(search(&sk), 4);

	fx_advance(fx, 181 * S);
	assert_int_equal(search(&send), 0);
	assert_int_equal(search(&recv), 0);
	far_gone(fx, &f);
	assert_int_equal(search(&psk), 0);
	fx_iface(fx, FX_IFACE, 0);
	assert_int_equal(search(&sk), 0);
	fx_free(fx);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_retire_steps),
		cmocka_unit_test(test_zero_keys),
		cmocka_unit_test(test_zero_keys_while_trying),
		cmocka_unit_test(test_peer_del_steps),
		cmocka_unit_test(test_peer_del_in_handshake),
		cmocka_unit_test(test_peer_disabled),
		cmocka_unit_test(test_key_change),
		cmocka_unit_test(test_key_change_and_initiation),
		cmocka_unit_test(test_iface_del),
		cmocka_unit_test(test_memory),
	};

	eal_start("test_hs_life");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
