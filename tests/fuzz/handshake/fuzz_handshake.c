/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshake messages and cookie replies with fixed keys. The first byte chooses what is done with
 * the others: taken as a message, or laid over a valid one (XOR), so that zeros pass and every
 * other input is a near miss. What is refused must leave no trace; what is accepted must be the
 * valid message in all that is authenticated.
 */
#include <errno.h>

#include "../require.h"
#include "sl_cookie.h"
#include "sl_crypto.h"
#include "sl_noise.h"

#define NOW (1000 * SL_NS_PER_S)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_noise_local li, lr;
static struct sl_noise_peer pi, pr; /* the initiator waits, the responder has seen nothing */
static struct sl_msg_initiation initiation;
static struct sl_msg_response response;
static struct sl_cookie_checker checker;
static struct sl_cookie_maker maker;
static struct sl_msg_cookie reply;
static uint8_t counter;

static void
count_up(void *ctx, void *out, size_t n)
{
	for (uint8_t *p = out; n-- > 0; p++)
		*p = counter++;
}

static const struct sl_rng rng = {.fill = count_up};
static const struct sl_endpoint source = {.ip = {.family = 4, .b = {192, 0, 2, 1}}, .port = 51820};

static struct sl_secret
secret(uint8_t b)
{
	struct sl_secret s;

	memset(s.b, b, sizeof(s.b));
	return s;
}

static int
receive(struct sl_noise_peer *p, const struct sl_msg_initiation *m)
{
	struct sl_noise_rx rx;
	int err = sl_noise_consume_initiation(&lr, m, &rx);

	if (!err && memcmp(rx.remote.b, p->remote.b, sizeof(rx.remote.b)) != 0)
		err = -ENOENT;
	if (!err)
		err = sl_noise_accept_initiation(&lr, p, m, &rx);
	sl_noise_rx_clear(&rx);
	return err;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const uint8_t wall[SL_TAI64N_LEN] = {0x40, [4] = 0x65, [8] = 1};
	struct sl_secret psk = secret(3), e = secret(4), si = secret(1), sr = secret(2);
	struct sl_noise_peer p;

	require(sl_crypto_init() == 0);
	sl_noise_local_set(&li, &si);
	sl_noise_local_set(&lr, &sr);
	sl_noise_peer_init(&pi, &lr.pk, &psk);
	sl_noise_peer_init(&pr, &li.pk, &psk);
	require(sl_noise_create_initiation(&li, &pi, 0x01020304, &e, wall, &initiation) == 0);
	p = pr;
	require(receive(&p, &initiation) == 0);
	pr.ss = p.ss;
	pr.ss_ready = true;
	e = secret(5);
	require(sl_noise_create_response(&lr, &p, 0x0a0b0c0d, &e, &response) == 0);
	sl_cookie_checker_init(&checker, &lr.pk);
	sl_cookie_maker_init(&maker, &lr.pk);
	sl_cookie_mac(&maker, &initiation, sizeof(initiation), NOW);
	sl_cookie_reply(&checker, &initiation, sizeof(initiation), 0x01020304, &source, NOW, &rng,
			&reply);
	return 0;
}

/* A message of `len` bytes: the input itself, or the input laid over `valid`. */
static void
lay(void *out, const void *valid, size_t len, bool over, const uint8_t *data, size_t size)
{
	uint8_t *p = out;

	memset(p, 0, len);
	memcpy(p, data, SL_MIN(size, len));
	for (size_t i = 0; over && i < len; i++)
		p[i] ^= ((const uint8_t *)valid)[i];
}

/* Are the bytes from `field` to `end` of both structs equal? */
#define SAME(type, a, b, field, end)                                                               \
	(memcmp((const uint8_t *)(a) + offsetof(struct type, field),                               \
		(const uint8_t *)(b) + offsetof(struct type, field),                               \
		offsetof(struct type, end) - offsetof(struct type, field)) == 0)

static void
try_initiation(bool over, const uint8_t *data, size_t size)
{
	struct sl_secret e = secret(8);
	struct sl_noise_peer p = pr;
	struct sl_msg_initiation m;
	struct sl_msg_response out;
	int err;

	lay(&m, &initiation, sizeof(m), over, data, size);
	err = receive(&p, &m);
	if (err) {
		require(memcmp(&p, &pr, sizeof(p)) == 0);
		return;
	}
	require(SAME(sl_msg_initiation, &m, &initiation, type, sender));
	require(SAME(sl_msg_initiation, &m, &initiation, ephemeral, mac1));
	require(p.hs.state == SL_NOISE_CONSUMED_INITIATION);
	require(p.hs.remote_index == sl_load_le32(m.sender));
	require(receive(&p, &m) == -EALREADY);
	require(sl_noise_create_response(&lr, &p, 8, &e, &out) == 0);
	require(sl_load_le32(out.receiver) == sl_load_le32(m.sender));
}

static void
try_response(bool over, const uint8_t *data, size_t size)
{
	struct sl_noise_peer p = pi;
	struct sl_noise_keys keys;
	struct sl_msg_response m;

	lay(&m, &response, sizeof(m), over, data, size);
	if (sl_noise_consume_response(&li, &p, &m)) {
		require(memcmp(&p, &pi, sizeof(p)) == 0);
		require(sl_noise_begin(&p, &keys) == -EINVAL);
		return;
	}
	require(SAME(sl_msg_response, &m, &response, type, sender));
	require(SAME(sl_msg_response, &m, &response, receiver, mac1));
	require(sl_noise_begin(&p, &keys) == 0);
	require(keys.remote_index == sl_load_le32(m.sender));
}

static void
try_reply(bool over, const uint8_t *data, size_t size)
{
	struct sl_cookie_maker k = maker;
	struct sl_msg_cookie m;

	lay(&m, &reply, sizeof(m), over, data, size);
	if (sl_cookie_consume(&k, &m, NOW)) {
		require(memcmp(&k, &maker, sizeof(k)) == 0);
		return;
	}
	require(SAME(sl_msg_cookie, &m, &reply, type, receiver));
	require(memcmp(m.nonce, reply.nonce, sizeof(m.nonce) + sizeof(m.enc_cookie)) == 0);
	require(k.has_cookie && !k.has_last_mac1);
}

/* A peer with the right keys sends any two timestamps in turn. */
static void
try_insider(const uint8_t *data, size_t size)
{
	uint8_t ts[2 * SL_TAI64N_LEN] = {0};
	struct sl_secret e = secret(6);
	struct sl_noise_peer from = pi, p = pr;
	struct sl_msg_initiation m;

	memcpy(ts, data, SL_MIN(size, sizeof(ts)));
	memcpy(p.last_ts, ts + SL_TAI64N_LEN, SL_TAI64N_LEN);
	memcpy(from.last_sent_ts, ts + (size > 24 && data[24] & 1 ? SL_TAI64N_LEN : 0),
	       SL_TAI64N_LEN);
	require(sl_noise_create_initiation(&li, &from, 7, &e, ts, &m) == 0);
	require(receive(&p, &m) ==
		(sl_tai64n_cmp(from.last_sent_ts, ts + SL_TAI64N_LEN) > 0 ? 0 : -EALREADY));
}

/* A datagram of any length at the mac check, then as the subject of a cookie reply. */
static void
try_macs(bool over, const uint8_t *data, size_t size)
{
	struct sl_endpoint from = source;
	struct sl_cookie_checker c = checker;
	struct sl_msg_cookie out;
	uint8_t m[sizeof(initiation)];
	size_t len = over ? sizeof(m) : SL_MIN(size, sizeof(m));
	enum sl_cookie_verdict v;

	lay(m, &initiation, len, over, data, size);
	v = sl_cookie_check(&c, m, len, &from, NOW, &rng);
	if (v != SL_MAC_BAD && over)
		require(memcmp(m, &initiation, sizeof(m) - 16) == 0);
	require(v != SL_MAC2_OK);
	if (len >= 32)
		sl_cookie_reply(&c, m, len, 1, &from, NOW, &rng, &out);
	from.port ^= 1;
	require(sl_cookie_check(&c, m, len, &from, NOW, &rng) == v);
}

/* An initiation comes while our own is under way. */
static void
try_crossing(const uint8_t *data, size_t size)
{
	struct sl_noise_peer p = pr;
	struct sl_msg_initiation ours, m;
	struct sl_secret e = secret(7);
	static const uint8_t wall[SL_TAI64N_LEN] = {0x40};

	require(sl_noise_create_initiation(&lr, &p, 9, &e, wall, &ours) == 0);
	lay(&m, &initiation, sizeof(m), true, data, size);
	if (receive(&p, &m))
		require(p.hs.state == SL_NOISE_SENT_INITIATION && p.hs.local_index == 9);
	else
		require(p.hs.state == SL_NOISE_CONSUMED_INITIATION && !p.hs.initiator);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool over;

	if (size == 0)
		return 0;
	over = data[0] < 128;
	switch (data[0] % 6) {
	case 0:
		try_initiation(over, data + 1, size - 1);
		break;
	case 1:
		try_response(over, data + 1, size - 1);
		break;
	case 2:
		try_reply(over, data + 1, size - 1);
		break;
	case 3:
		try_insider(data + 1, size - 1);
		break;
	case 4:
		try_macs(over, data + 1, size - 1);
		break;
	default:
		try_crossing(data + 1, size - 1);
		break;
	}
	return 0;
}
