/* SPDX-License-Identifier: BSD-3-Clause */
/* What was received since the boot cache was written: each transaction is added to a file, and on
 * the disk before it is acknowledged, so that a gateway that dies knows at its start whatever it
 * said that it knew. Sealed as the cache is, one record a transaction: length, nonce, lines. The
 * next cache empties the file.
 *
 * A last record that was not written to its end was never acknowledged, and goes. One that was
 * harmed later may have revoked something: what follows it is taken, for it tells how far the
 * gateway had come and who is gone, but the whole serves nobody until a source has sent all of it
 * anew. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cp.h"

#define FILE_NAME "control-journal"
#define FILE_MAX (1U << 30)
#define LABEL "SLJRNL01"
#define LABEL_LEN 8
#define ROOM 4096
#define NONCE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define SEAL crypto_aead_xchacha20poly1305_ietf_ABYTES
#define HEAD (sizeof(uint32_t) + NONCE)
#define MARK                                                                                       \
	UINT32_C(0x4c4a4c53) /* the nonce begins with this and the length: a record begins here */
static_assert(SL_CHAIN_STR == 69, "as cp_journal_take() reads it");

/* --- writing (helper) ---------------------------------------------------------------------------
 */

static uint8_t *
seal(const struct cp_cache *c, const uint8_t key[32], size_t *len)
{
	uint8_t *out = malloc(HEAD + c->len + SEAL);
	uint32_t size = (uint32_t)(c->len + SEAL), mark = size ^ MARK;
	unsigned long long n;

	if (out == NULL)
		return NULL;
	memcpy(out, &size, sizeof(size));
	memcpy(out + sizeof(size), &mark, sizeof(mark));
	randombytes_buf(out + sizeof(size) + sizeof(mark), NONCE - sizeof(mark));
	crypto_aead_xchacha20poly1305_ietf_encrypt(out + HEAD, &n, (const uint8_t *)c->text, c->len,
						   (const uint8_t *)LABEL, LABEL_LEN, NULL,
						   out + sizeof(size), key);
	*len = HEAD + n;
	return out;
}

static void
add_task(struct gw_task *t)
{
	struct cp_cache *c = SL_CONTAINER_OF(t, struct cp_cache, task);
	uint8_t key[32], *record = NULL;
	size_t len = 0;

	c->rc = cp_cache_key(c, true, key);
	if (c->rc == 0) {
		record = seal(c, key, &len);
		c->rc = record != NULL ? gw_file_add(c->dir, FILE_NAME, (char *)record, len, &c->e)
				       : gw_no_memory(&c->e);
	}
	sl_wipe(key, sizeof(key));
	free(record);
}

static void
cut(const char *dir, off_t len)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/" FILE_NAME, dir);
	if (truncate(path, len) != 0 && errno != ENOENT)
		sl_log(SL_LOG_WARN, "control", "%s cannot be cut to %lld bytes: %s", path,
		       (long long)len, strerror(errno));
}

void
cp_journal_empty(const char *dir)
{
	cut(dir, 0);
}

/* --- a transaction (control) --------------------------------------------------------------------
 */

/* An object as the replica now has it, or that it is gone. */
static int
add_object(struct sl_cp *cp, struct cp_cache *c, enum sl_kind k, const char *id)
{
	struct sl_replica_obj o;

	if (!sl_replica_get(cp->r, k, id, &o))
		return cp_cache_append(c, "-%s\t%s\n", sl_kind_name(k), id);
	return cp_cache_append(c, "+%s\t%s\t%llu\t%.*s\n", sl_kind_name(k), id,
			       (unsigned long long)o.rev, (int)o.len, o.text);
}

static int
add_objects(struct sl_cp *cp, struct cp_cache *c, const json_t *ops)
{
	const char *id;
	enum sl_kind k;
	json_t *op;
	size_t i;
	int rc = 0;

	json_array_foreach (ops, i, op) {
		id = json_string_value(json_object_get(op, "id"));
		if (sl_kind_parse(json_string_value(json_object_get(op, "kind")), &k) == 0)
			rc = rc != 0 ? rc : add_object(cp, c, k, id);
	}
	return rc;
}

void
cp_journal_add(struct sl_cp *cp, uint64_t from, const json_t *ops)
{
	struct cp_cache *c;

	if (!cp_cache_is_on(cp) || (c = cp_cache_new(cp)) == NULL)
		return;
	c->room = ROOM;
	c->text = malloc(c->room);
	if (c->text == NULL ||
	    cp_cache_append(c, "%s %llu %llu %s\n", cp->epoch.id, (unsigned long long)from,
			    (unsigned long long)cp->seq, cp->chain) != 0 ||
	    add_objects(cp, c, ops) != 0) {
		cp_cache_drop(c);
		cp_cache_touch(cp);
		return;
	}
	cp->journal = c;
	cp->journal_given = false;
	cp_journal_done(cp);
}

bool
cp_journal_done(struct sl_cp *cp)
{
	struct cp_cache *c = cp->journal;

	if (c == NULL)
		return true;
	if (!cp->journal_given) {
		if (!cp_tomb_poll(cp)) /* else a crash between the two forgets who was deleted */
			return false;
		cp->journal_given = true;
		cp_give(cp, &c->task, add_task);
	}
	if (!gw_task_done(&c->task))
		return false;
	cp->journal = NULL;
	if (c->rc != 0) {
		snprintf(cp->cache_error, sizeof(cp->cache_error), "%.199s", c->e.message);
		sl_log(SL_LOG_ERR, "control", "%s", c->e.message);
		cp_cache_touch(cp);
	}
	cp_cache_drop(c);
	return true;
}

/* --- reading (helper) ---------------------------------------------------------------------------
 */

static int
take_line(struct cp_cache *c, char *line)
{
	char *id;
	enum sl_kind k;

	if (line[0] == '+')
		return cp_cache_object(c, line + 1);
	id = strchr(line, '\t');
	if (line[0] != '-' || id == NULL)
		return -EBADMSG;
	*id++ = '\0';
	if (sl_kind_parse(line + 1, &k) != 0)
		return -EBADMSG;
	sl_replica_del(c->r, k, id);
	return 0;
}

int
cp_journal_take(struct cp_cache *c, char *text)
{
	char epoch[33], chain[SL_CHAIN_STR] = "", *line = text, *end = strchr(text, '\n');
	unsigned long long from, seq;
	int rc = 0, n;

	if (end == NULL)
		return -EBADMSG;
	*end = '\0';
	n = sscanf(line, "%32s %llu %llu %68s", epoch, &from, &seq, chain);
	if (n < 3 || seq <= from)
		return -EBADMSG;
	if (strcmp(epoch, c->at.epoch.id) != 0 || seq <= c->at.seq)
		return 0;
	c->hole |= from != c->at.seq;
	for (line = end + 1; rc == 0 && *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL)
			return -EBADMSG;
		*end = '\0';
		rc = take_line(c, line);
	}
	c->at.seq = seq;
	memcpy(c->at.chain, chain, sizeof(chain));
	return rc;
}

static bool
begins(const uint8_t *in, size_t left, uint32_t *size)
{
	uint32_t mark;

	if (left < HEAD)
		return false;
	memcpy(size, in, sizeof(*size));
	memcpy(&mark, in + sizeof(*size), sizeof(mark));
	return *size >= SEAL && mark == (*size ^ MARK);
}

/* A disk that lost its power gives a beginning, or zeros for what it had no time to write. */
static bool
is_unfinished(const uint8_t *in, size_t left)
{
	uint32_t size;

	if (left < HEAD || sodium_is_zero(in, left))
		return true;
	if (!begins(in, left, &size))
		return false;
	return size > left - HEAD ||
	       (size == left - HEAD && sodium_is_zero(in + left - SEAL, SEAL));
}

/* @return bytes of a record that is whole and ours, 0: there is none */
static size_t
read_record(struct cp_cache *c, const uint8_t *in, size_t left, const uint8_t key[32], int *rc)
{
	unsigned long long n;
	uint32_t size;
	char *text;

	if (left < HEAD + SEAL)
		return 0;
	memcpy(&size, in, sizeof(size));
	if (size < SEAL || size > left - HEAD)
		return 0;
	text = malloc(size - SEAL + 1);
	if (text == NULL) {
		*rc = gw_no_memory(&c->e);
		return 0;
	}
	if (crypto_aead_xchacha20poly1305_ietf_decrypt((uint8_t *)text, &n, NULL, in + HEAD, size,
						       (const uint8_t *)LABEL, LABEL_LEN,
						       in + sizeof(size), key) != 0) {
		free(text);
		return 0;
	}
	text[n] = '\0';
	*rc = cp_journal_take(c, text);
	free(text);
	return HEAD + size;
}

/* Behind what stays unread nothing that is added would be read either. */
static void
drop_rest(const struct cp_cache *c, size_t at, size_t len)
{
	sl_log(SL_LOG_WARN, "control",
	       "%s/" FILE_NAME ": its last %zu bytes were not written to the end: they are dropped",
	       c->dir, len - at);
	cut(c->dir, (off_t)at);
}

/* Where a record that follows what is known comes behind a harmed one, nothing is missing: the
 * cache has that one. */
static void
read_all(struct cp_cache *c, const uint8_t *in, size_t len, const uint8_t key[32], int *rc)
{
	size_t at = 0, n, harmed = 0;
	uint32_t size;

	while (*rc == 0 && at < len) {
		n = read_record(c, in + at, len - at, key, rc);
		if (n > 0) {
			at += n;
			harmed = 0;
		} else if (harmed == 0 && is_unfinished(in + at, len - at)) {
			drop_rest(c, at, len);
			return;
		} else {
			do {
				at++;
				harmed++;
			} while (at < len && !begins(in + at, len - at, &size));
		}
	}
	c->hole |= harmed > 0;
}

int
cp_journal_read(struct cp_cache *c, const uint8_t key[32])
{
	char *in = NULL;
	size_t len = 0;
	int rc = gw_file_read(c->dir, FILE_NAME, FILE_MAX, &in, &len, &c->e);

	if (rc != 0)
		return rc == -ENOENT ? 0 : rc;
	read_all(c, (const uint8_t *)in, len, key, &rc);
	free(in);
	if (rc == -EBADMSG)
		sl_fail(&c->e, rc, "cache_broken", "",
			"%s/" FILE_NAME " has a record that cannot be read", c->dir);
	sl_replica_sum(c->r, &c->at.sum);
	return rc;
}
