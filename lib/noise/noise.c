/* SPDX-License-Identifier: BSD-3-Clause */
#include "sl_noise.h"

#include <errno.h>

#include "noise_core.h"

#define NS_PER_S 1000000000u

static const char prologue[] = "WireGuard v1 zx2c4 Jason@zx2c4.com";

static void
start(struct sl_noise_sym *s, const struct sl_pubkey *responder)
{
	sl_noise_core_start(s, prologue, sizeof(prologue) - 1, responder);
}

static void
save(struct sl_noise_hs *hs, struct sl_noise_sym *s)
{
	memcpy(hs->ck, s->ck, sizeof(hs->ck));
	memcpy(hs->h, s->h, sizeof(hs->h));
	sl_wipe(s, sizeof(*s));
}

static void
load(struct sl_noise_sym *s, const uint8_t ck[32], const uint8_t h[32])
{
	memcpy(s->ck, ck, sizeof(s->ck));
	memcpy(s->h, h, sizeof(s->h));
}

/* The static-static secret, computed at first use. */
static int
static_static(const struct sl_noise_local *l, struct sl_noise_peer *p)
{
	if (p->ss_bad)
		return -EKEYREJECTED;
	if (p->ss_ready)
		return 0;
	if (sl_x25519(p->ss.b, &l->sk, &p->remote)) {
		p->ss_bad = true;
		return -EKEYREJECTED;
	}
	p->ss_ready = true;
	return 0;
}

/* The label after `ts`, one nanosecond later (big-endian seconds, then nanoseconds). */
static void
label_after(uint8_t out[SL_TAI64N_LEN], const uint8_t ts[SL_TAI64N_LEN])
{
	uint64_t s = sl_load_be64(ts);
	uint32_t ns = sl_load_be32(ts + 8) + 1;

	if (ns >= NS_PER_S) {
		ns = 0;
		s++;
	}
	sl_store_be64(out, s);
	sl_store_be32(out + 8, ns);
}

void
sl_noise_local_set(struct sl_noise_local *l, const struct sl_secret *sk)
{
	sl_noise_local_clear(l);
	if (!sk || sl_ct_is_zero(sk->b, sizeof(sk->b)))
		return;
	l->sk = *sk;
	sl_x25519_clamp(&l->sk);
	sl_x25519_public(&l->pk, &l->sk);
	l->has_key = true;
}

void
sl_noise_local_clear(struct sl_noise_local *l)
{
	sl_wipe(l, sizeof(*l));
}

void
sl_noise_peer_init(struct sl_noise_peer *p, const struct sl_pubkey *remote,
		   const struct sl_secret *psk)
{
	memset(p, 0, sizeof(*p));
	p->remote = *remote;
	if (psk)
		p->psk = *psk;
}

void
sl_noise_peer_rekey_local(struct sl_noise_peer *p)
{
	sl_noise_hs_clear(&p->hs);
	sl_wipe(&p->ss, sizeof(p->ss));
	p->ss_ready = false;
	p->ss_bad = false;
}

void
sl_noise_hs_clear(struct sl_noise_hs *hs)
{
	sl_wipe(hs, sizeof(*hs));
}

void
sl_noise_peer_clear(struct sl_noise_peer *p)
{
	sl_noise_peer_rekey_local(p);
	sl_wipe(&p->psk, sizeof(p->psk));
}

void
sl_noise_rx_clear(struct sl_noise_rx *rx)
{
	sl_wipe(rx, sizeof(*rx));
}

int
sl_noise_create_initiation(const struct sl_noise_local *l, struct sl_noise_peer *p,
			   uint32_t local_index, const struct sl_secret *eph,
			   const uint8_t wall[SL_TAI64N_LEN], struct sl_msg_initiation *out)
{
	struct sl_noise_sym s;
	struct sl_noise_pair e;
	uint8_t ts[SL_TAI64N_LEN];
	int err;

	if (!l->has_key)
		return -ENOKEY;
	err = static_static(l, p);
	if (err)
		return err;
	label_after(ts, p->last_sent_ts);
	if (sl_tai64n_cmp(wall, ts) > 0)
		memcpy(ts, wall, sizeof(ts));
	sl_noise_core_pair(&e, eph);
	start(&s, &p->remote);
	memset(out, 0, sizeof(*out));
	err = sl_noise_core_write1(&s, &e, &l->pk, &p->remote, p->ss.b, ts, sizeof(ts),
				   out->enc_static, out->enc_timestamp);
	if (err)
		goto out;
	sl_store_le32(out->type, SL_WIRE_INITIATION);
	sl_store_le32(out->sender, local_index);
	memcpy(out->ephemeral, e.pk.b, sizeof(out->ephemeral));
	sl_noise_hs_clear(&p->hs);
	p->hs.state = SL_NOISE_SENT_INITIATION;
	p->hs.initiator = true;
	p->hs.local_index = local_index;
	p->hs.eph_sk = e.sk;
	save(&p->hs, &s);
	memcpy(p->last_sent_ts, ts, sizeof(ts));
out:
	sl_wipe(&s, sizeof(s));
	sl_wipe(&e, sizeof(e));
	return err;
}

int
sl_noise_consume_initiation(const struct sl_noise_local *l, const struct sl_msg_initiation *m,
			    struct sl_noise_rx *rx)
{
	struct sl_noise_sym s;
	int err;

	sl_noise_rx_clear(rx);
	if (!l->has_key)
		return -ENOKEY;
	if (sl_load_le32(m->type) != SL_WIRE_INITIATION)
		return -EBADMSG;
	memcpy(rx->remote_eph.b, m->ephemeral, sizeof(rx->remote_eph.b));
	rx->remote_index = sl_load_le32(m->sender);
	start(&s, &l->pk);
	err = sl_noise_core_read1_static(&s, &l->sk, &rx->remote_eph, m->enc_static, &rx->remote);
	if (!err) {
		memcpy(rx->ck, s.ck, sizeof(rx->ck));
		memcpy(rx->h, s.h, sizeof(rx->h));
	} else {
		sl_noise_rx_clear(rx);
	}
	sl_wipe(&s, sizeof(s));
	/* A low-order ephemeral is just another message that nobody honest sends. */
	return err ? -EBADMSG : 0;
}

int
sl_noise_accept_initiation(const struct sl_noise_local *l, struct sl_noise_peer *p,
			   const struct sl_msg_initiation *m, const struct sl_noise_rx *rx)
{
	struct sl_noise_sym s;
	uint8_t ts[SL_TAI64N_LEN];
	int err;

	if (!l->has_key || memcmp(p->remote.b, rx->remote.b, sizeof(p->remote.b)) != 0)
		return -EBADMSG;
	err = static_static(l, p);
	if (err)
		return err;
	load(&s, rx->ck, rx->h);
	err = sl_noise_core_read1_payload(&s, p->ss.b, m->enc_timestamp, sizeof(m->enc_timestamp),
					  ts);
	if (!err && sl_tai64n_cmp(ts, p->last_ts) <= 0)
		err = -EALREADY;
	if (err)
		goto out;
	memcpy(p->last_ts, ts, sizeof(ts));
	sl_noise_hs_clear(&p->hs);
	p->hs.state = SL_NOISE_CONSUMED_INITIATION;
	p->hs.remote_index = rx->remote_index;
	p->hs.remote_eph = rx->remote_eph;
	save(&p->hs, &s);
out:
	sl_wipe(&s, sizeof(s));
	return err;
}

int
sl_noise_create_response(const struct sl_noise_local *l, struct sl_noise_peer *p,
			 uint32_t local_index, const struct sl_secret *eph,
			 struct sl_msg_response *out)
{
	struct sl_noise_sym s;
	struct sl_noise_pair e;
	int err;

	if (!l->has_key || p->hs.state != SL_NOISE_CONSUMED_INITIATION)
		return -EINVAL;
	sl_noise_core_pair(&e, eph);
	load(&s, p->hs.ck, p->hs.h);
	memset(out, 0, sizeof(*out));
	err = sl_noise_core_write2(&s, &e, &p->hs.remote_eph, &p->remote, &p->psk, NULL, 0,
				   out->enc_empty);
	if (err)
		goto out;
	sl_store_le32(out->type, SL_WIRE_RESPONSE);
	sl_store_le32(out->sender, local_index);
	sl_store_le32(out->receiver, p->hs.remote_index);
	memcpy(out->ephemeral, e.pk.b, sizeof(out->ephemeral));
	p->hs.local_index = local_index;
	p->hs.state = SL_NOISE_DONE;
	save(&p->hs, &s);
out:
	sl_wipe(&s, sizeof(s));
	sl_wipe(&e, sizeof(e));
	return err;
}

int
sl_noise_consume_response(const struct sl_noise_local *l, struct sl_noise_peer *p,
			  const struct sl_msg_response *m)
{
	struct sl_noise_sym s;
	struct sl_pubkey eph;
	uint8_t none[1];
	int err;

	if (!l->has_key || p->hs.state != SL_NOISE_SENT_INITIATION ||
	    sl_load_le32(m->receiver) != p->hs.local_index)
		return -EINVAL;
	if (sl_load_le32(m->type) != SL_WIRE_RESPONSE)
		return -EBADMSG;
	memcpy(eph.b, m->ephemeral, sizeof(eph.b));
	load(&s, p->hs.ck, p->hs.h);
	err = sl_noise_core_read2(&s, &p->hs.eph_sk, &l->sk, &eph, &p->psk, m->enc_empty,
				  sizeof(m->enc_empty), none);
	if (err)
		goto out;
	p->hs.remote_eph = eph;
	p->hs.remote_index = sl_load_le32(m->sender);
	p->hs.state = SL_NOISE_DONE;
	sl_wipe(&p->hs.eph_sk, sizeof(p->hs.eph_sk));
	save(&p->hs, &s);
out:
	sl_wipe(&s, sizeof(s));
	return err;
}

int
sl_noise_begin(struct sl_noise_peer *p, struct sl_noise_keys *out)
{
	struct sl_noise_sym s;

	if (p->hs.state != SL_NOISE_DONE)
		return -EINVAL;
	load(&s, p->hs.ck, p->hs.h);
	out->initiator = p->hs.initiator;
	out->local_index = p->hs.local_index;
	out->remote_index = p->hs.remote_index;
	if (out->initiator)
		sl_noise_core_split(&s, &out->send, &out->recv);
	else
		sl_noise_core_split(&s, &out->recv, &out->send);
	sl_wipe(&s, sizeof(s));
	sl_noise_hs_clear(&p->hs);
	return 0;
}
