/* SPDX-License-Identifier: BSD-3-Clause */
#include "impl.h"

#include <stdio.h>
#include <stdlib.h>

#include <intel-ipsec-mb.h>

#include "sl_secret.h"

#define KEY_LEN 32
#define NONCE_LEN 12
#define CHUNK 32
#define AHEAD 4 /* jobs between the prefetch of a payload and its cipher */

struct mb {
	struct sl_aead a;
	IMB_MGR *mgr;
	/* written for a whole chunk first: the cipher loads 16 bytes where two stores of 4 and 8
	 * bytes have just been made, and would wait for them */
	uint8_t nonces[CHUNK][16] SL_ALIGNED(SL_CACHE_LINE);
	uint8_t tags[CHUNK][SL_AEAD_TAG]; /* open: what the tags should have been */
};

static inline void
prefetch_job(const struct sl_aead_job *j)
{
	const uint8_t *p = j->data, *end = p + j->len + SL_AEAD_TAG;

	sl_prefetch(j->key);
	for (p -= (uintptr_t)p % SL_CACHE_LINE; p < end; p += SL_CACHE_LINE)
		sl_prefetch(p);
}

/** Run one job; ipsec-mb completes ChaCha20-Poly1305 inside the submission. */
static inline void
submit(IMB_MGR *mgr, const struct sl_aead_job *j, const uint8_t *nonce, uint8_t *tag,
       IMB_CIPHER_DIRECTION dir)
{
	IMB_JOB *m = IMB_GET_NEXT_JOB(mgr);

	m->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
	m->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
	m->cipher_direction = dir;
	m->chain_order = dir == IMB_DIR_ENCRYPT ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
	m->enc_keys = j->key;
	m->dec_keys = j->key;
	m->key_len_in_bytes = KEY_LEN;
	m->src = j->data;
	m->dst = j->data;
	m->cipher_start_src_offset_in_bytes = 0;
	m->msg_len_to_cipher_in_bytes = j->len;
	m->hash_start_src_offset_in_bytes = 0;
	m->msg_len_to_hash_in_bytes = j->len;
	m->iv = nonce;
	m->iv_len_in_bytes = NONCE_LEN;
	m->u.CHACHA20_POLY1305.aad = nonce; /* none, but a valid address */
	m->u.CHACHA20_POLY1305.aad_len_in_bytes = 0;
	m->auth_tag_output = tag;
	m->auth_tag_output_len_in_bytes = SL_AEAD_TAG;
	IMB_SUBMIT_JOB_NOCHECK(mgr);
}

static inline void
write_nonces(struct mb *b, const struct sl_aead_job *jobs, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		sl_store_le64(b->nonces[i] + 4, jobs[i].counter);
}

/** Equal in constant time: nothing depends on where two tags differ. */
static inline bool
tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t d =
		(sl_load_le64(a) ^ sl_load_le64(b)) | (sl_load_le64(a + 8) ^ sl_load_le64(b + 8));

	__asm__("" : "+r"(d)); /* keep the compiler from comparing the halves one by one */
	return d == 0;
}

static void
seal_chunk(struct mb *b, const struct sl_aead_job *jobs, unsigned n, unsigned total)
{
	unsigned i;

	write_nonces(b, jobs, n);
	for (i = 0; i < n; i++) {
		if (i + AHEAD < total)
			prefetch_job(&jobs[i + AHEAD]);
		submit(b->mgr, &jobs[i], b->nonces[i], jobs[i].data + jobs[i].len, IMB_DIR_ENCRYPT);
	}
}

static void
open_chunk(struct mb *b, struct sl_aead_job *jobs, unsigned n, unsigned total)
{
	unsigned i;

	write_nonces(b, jobs, n);
	for (i = 0; i < n; i++) {
		if (i + AHEAD < total)
			prefetch_job(&jobs[i + AHEAD]);
		submit(b->mgr, &jobs[i], b->nonces[i], b->tags[i], IMB_DIR_DECRYPT);
	}
	for (i = 0; i < n; i++)
		jobs[i].ok = tag_equal(b->tags[i], jobs[i].data + jobs[i].len);
}

/** The payloads that no earlier job of the burst brings in. */
static void
prefetch_first(const struct sl_aead_job *jobs, unsigned n)
{
	unsigned i;

	for (i = 0; i < SL_MIN(n, AHEAD); i++)
		prefetch_job(&jobs[i]);
}

static void
mb_seal(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	struct mb *b = (struct mb *)a;
	unsigned k;

	prefetch_first(jobs, n);
	for (; n > 0; jobs += k, n -= k) {
		k = SL_MIN(n, CHUNK);
		seal_chunk(b, jobs, k, n);
	}
}

static void
mb_open(struct sl_aead *a, struct sl_aead_job *jobs, unsigned n)
{
	struct mb *b = (struct mb *)a;
	unsigned k;

	prefetch_first(jobs, n);
	for (; n > 0; jobs += k, n -= k) {
		k = SL_MIN(n, CHUNK);
		open_chunk(b, jobs, k, n);
	}
}

static void
mb_free(struct sl_aead *a)
{
	struct mb *b = (struct mb *)a;

	free_mb_mgr(b->mgr);
	sl_wipe(b, sizeof(*b));
	free(b);
}

static const char *
arch_name(IMB_ARCH arch)
{
	if (arch == IMB_ARCH_AVX512)
		return "avx512";
	if (arch == IMB_ARCH_AVX2)
		return "avx2";
	if (arch == IMB_ARCH_SSE)
		return "sse";
	return arch > IMB_ARCH_AVX512 ? "avx10" : "x86-64"; /* only newer versions go higher */
}

static bool
is_usable(IMB_MGR *mgr)
{
	if (imb_get_errno(mgr) != 0)
		return false;
	return !(mgr->features & IMB_FEATURE_SELF_TEST) ||
	       (mgr->features & IMB_FEATURE_SELF_TEST_PASS);
}

struct sl_aead *
aead_ipsec_mb_new(void)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	struct mb *b = aligned_alloc(SL_CACHE_LINE, sizeof(*b));

	if (b == NULL)
		return NULL;
	memset(b, 0, sizeof(*b));
	b->mgr = alloc_mb_mgr(0);
	if (b->mgr == NULL)
		goto fail;
	init_mb_mgr_auto(b->mgr, &arch);
	if (!is_usable(b->mgr))
		goto fail;
	b->a.seal = mb_seal;
	b->a.open = mb_open;
	b->a.free = mb_free;
	snprintf(b->a.name, sizeof(b->a.name), "ipsec-mb %s %s", imb_get_version_str(),
		 arch_name(arch));
	return &b->a;
fail:
	if (b->mgr != NULL)
		free_mb_mgr(b->mgr);
	free(b);
	return NULL;
}
