/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot cache: the replica as it was received last, sealed with a key that is this gateway's
 * own. It holds public keys and policy, no secret. Copied in slices, written by the helper. */
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cp.h"
#include "sl_file.h"

#define FILE_NAME "control-cache"
#define KEY_NAME "control-cache.key"
#define MAGIC "SLCACH01"
#define MAGIC_LEN 8
#define HEAD (MAGIC_LEN + crypto_secretstream_xchacha20poly1305_HEADERBYTES)
#define CHUNK 65536
#define SEALED (CHUNK + crypto_secretstream_xchacha20poly1305_ABYTES)
#define FILE_MAX (1U << 30)
#define QUIET_NS (SL_NS_PER_S / 2)
#define LARGE (1U << 20)
#define LARGE_NS (10 * SL_NS_PER_S) /* between two writes of a large one */
#define REFRESH_NS (3600 * SL_NS_PER_S)
#define COPY_BATCH 64

/* --- the key (helper) ---------------------------------------------------------------------------
 */

static int
key_fail(struct cp_cache *c, const char *what)
{
	return sl_fail(&c->e, -EACCES, "cache_key", "", "%s: %s", c->key_file, what);
}

static int
key_make(struct cp_cache *c, uint8_t key[32])
{
	int fd = open(c->key_file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0400);
	int rc;

	if (fd < 0)
		return key_fail(c, strerror(errno));
	randombytes_buf(key, 32);
	rc = sl_file_put(fd, key, 32);
	close(fd);
	if (rc == 0)
		return 0;
	unlink(c->key_file);
	return key_fail(c, strerror(-rc));
}

int
cp_cache_key(struct cp_cache *c, bool make, uint8_t key[32])
{
	int fd = open(c->key_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0 && errno == ENOENT && make)
		return key_make(c, key);
	if (fd < 0)
		return errno == ENOENT ? -ENOENT : key_fail(c, strerror(errno));
	n = fstat(fd, &st) == 0 && (st.st_mode & 077) == 0 ? read(fd, key, 32) : -2;
	close(fd);
	if (n == -2)
		return key_fail(c, "others may read it: chmod 0400");
	return n == 32 ? 0 : key_fail(c, "is not 32 bytes");
}

/* --- writing -----------------------------------------------------------------------------------
 */

static uint8_t *
seal(const char *text, size_t len, const uint8_t key[32], size_t *out_len)
{
	size_t n_chunks = len / CHUNK + 1, at = HEAD, i, n;
	uint8_t *out = malloc(HEAD + n_chunks * SEALED);
	crypto_secretstream_xchacha20poly1305_state st;

	if (out == NULL)
		return NULL;
	memcpy(out, MAGIC, MAGIC_LEN);
	crypto_secretstream_xchacha20poly1305_init_push(&st, out + MAGIC_LEN, key);
	for (i = 0; i < n_chunks; i++) {
		n = SL_MIN(len - i * CHUNK, (size_t)CHUNK);
		crypto_secretstream_xchacha20poly1305_push(
			&st, out + at, NULL, (const uint8_t *)text + i * CHUNK, n,
			(const uint8_t *)MAGIC, MAGIC_LEN,
			i + 1 == n_chunks ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
		at += n + crypto_secretstream_xchacha20poly1305_ABYTES;
	}
	sl_wipe(&st, sizeof(st));
	*out_len = at;
	return out;
}

static void
write_task(struct gw_task *t)
{
	struct cp_cache *c = SL_CONTAINER_OF(t, struct cp_cache, task);
	uint8_t key[32], *sealed = NULL;
	size_t len = 0;

	c->rc = cp_cache_key(c, true, key);
	if (c->rc == 0) {
		sealed = seal(c->text, c->len, key, &len);
		c->rc = sealed != NULL
				? gw_file_write(c->dir, FILE_NAME, (char *)sealed, len, &c->e)
				: gw_no_memory(&c->e);
	}
	if (c->rc == 0)
		cp_journal_empty(c->dir);
	sl_wipe(key, sizeof(key));
	free(sealed);
}

struct cp_cache *
cp_cache_new(struct sl_cp *cp)
{
	struct cp_cache *c = calloc(1, sizeof(*c));
	const char *key = cp->config->cache_key_file;

	if (c == NULL)
		return NULL;
	c->dir = strdup(cp->state_dir);
	c->gateway = strdup(cp->config->name);
	if (key != NULL)
		c->key_file = strdup(key);
	else if (asprintf(&c->key_file, "%s/" KEY_NAME, cp->state_dir) < 0)
		c->key_file = NULL;
	return c;
}

void
cp_cache_drop(struct cp_cache *c)
{
	if (c == NULL)
		return;
	free(c->dir);
	free(c->key_file);
	free(c->gateway);
	free(c->text);
	sl_replica_free(c->r);
	free(c);
}

int
cp_cache_append(struct cp_cache *c, const char *fmt, ...)
{
	va_list ap;
	char *grown;
	int n;

	for (;;) {
		va_start(ap, fmt);
		n = vsnprintf(c->text + c->len, c->room - c->len, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < c->room - c->len) {
			c->len += (size_t)n;
			return 0;
		}
		grown = n >= 0 ? realloc(c->text, 2 * c->room + (size_t)n) : NULL;
		if (grown == NULL)
			return -ENOMEM;
		c->text = grown;
		c->room = 2 * c->room + (size_t)n;
	}
}

static int
begin_copy(struct sl_cp *cp)
{
	struct cp_cache *c = cp->writing = cp_cache_new(cp);
	struct sl_hash_sum sum;
	char hash[SL_HASH_STR], *text = NULL;
	json_t *head;
	int rc = -ENOMEM;

	if (c == NULL)
		return rc;
	c->wall_ns = gw_wall_ns(cp->gw);
	c->room = 4096 + sl_replica_bytes(cp->r);
	c->text = malloc(c->room);
	sl_replica_sum(cp->r, &sum);
	head = json_pack("{s:i, s:s, s:o, s:I, s:s, s:s, s:I, s:I, s:i}", "version", 1, "gateway",
			 cp->config->name, "epoch", sl_epoch_json(&cp->epoch), "seq",
			 (json_int_t)cp->seq, "chain", cp->chain, "hash", sl_hash_str(&sum, hash),
			 "alive", (json_int_t)cp_heard_wall_ns(cp), "written",
			 (json_int_t)c->wall_ns, "schema", (int)cp->schema);
	text = head != NULL ? json_dumps(head, JSON_COMPACT) : NULL;
	if (text != NULL && c->text != NULL)
		rc = cp_cache_append(c, "%s\n", text);
	free(text);
	json_decref(head);
	return rc;
}

/* @return true at the end */
static bool
copy_some(struct sl_cp *cp, unsigned budget)
{
	struct cp_cache *c = cp->writing;
	struct sl_replica_obj o;

	for (; budget > 0 && c->kind < SL_KIND_N; budget--) {
		if (!sl_replica_next(cp->r, c->kind, &c->cursor, &o)) {
			c->cursor = (struct sl_replica_cursor){0};
			c->kind++;
			continue;
		}
		c->rc = cp_cache_append(c, "%s\t%s\t%llu\t%.*s\n", sl_kind_name(o.kind), o.id,
					(unsigned long long)o.rev, (int)o.len, o.text);
		if (c->rc != 0)
			return true;
	}
	return c->kind >= SL_KIND_N;
}

bool
cp_cache_is_on(const struct sl_cp *cp)
{
	return cp->state_dir != NULL && cp->config->boot_cache && cp->epoch.number != 0;
}

void
cp_cache_touch(struct sl_cp *cp)
{
	uint64_t now = gw_mono_ns(cp->gw), apart = QUIET_NS;

	if (!cp->cache_due && cp_cache_is_on(cp)) {
		if (sl_replica_bytes(cp->r) > LARGE && cp->cached_ns != 0)
			apart = LARGE_NS;
		cp->due_ns = SL_MAX(now + QUIET_NS, cp->cached_ns + apart);
		cp->cache_due = true;
	}
}

static void
end_write(struct sl_cp *cp)
{
	struct cp_cache *c = cp->writing;

	cp->writing = NULL;
	if (c->awaited)
		cp->cache_now = false;
	cp->cached_ns = gw_mono_ns(cp->gw);
	if (c->rc == 0) {
		cp->cache_wall_ns = c->wall_ns;
		cp->cache_error[0] = '\0';
	} else {
		snprintf(cp->cache_error, sizeof(cp->cache_error), "%.199s", c->e.message);
		sl_log(SL_LOG_ERR, "control", "the boot cache is not written: %s", c->e.message);
		cp_cache_touch(cp);
	}
	cp_cache_drop(c);
}

bool
cp_cache_poll(struct sl_cp *cp)
{
	uint64_t now = gw_mono_ns(cp->gw);
	bool awaited = cp->cache_now && cp->phase == CP_END;

	if (cp->copying) {
		if (!copy_some(cp, COPY_BATCH))
			return true;
		if (!cp_tomb_poll(cp)) /* before a state without those who are deleted */
			return false;
		cp->copying = false;
		if (cp->writing->rc == 0)
			cp_give(cp, &cp->writing->task, write_task);
		else
			end_write(cp);
		return true;
	}
	if (cp->writing != NULL) {
		if (!gw_task_done(&cp->writing->task))
			return false;
		end_write(cp);
		return true;
	}
	if (!cp->cache_due && cp->up && cp->cached_ns != 0 && now - cp->cached_ns >= REFRESH_NS)
		cp_cache_touch(cp);
	if (!awaited &&
	    (!cp->cache_due || now < cp->due_ns || cp->phase != CP_IDLE || cp->unserved))
		return false;
	cp->cache_due = false;
	cp->copying = begin_copy(cp) == 0;
	if (cp->copying) {
		cp->writing->awaited = awaited;
	} else {
		cp_cache_drop(cp->writing);
		cp->writing = NULL;
		cp->cache_now = false;
	}
	return true;
}

void
cp_cache_save(struct sl_cp *cp)
{
	cp_tomb_save(cp);
	while (!cp_journal_done(cp))
		gw_helper_wait(cp->gw->policy->helper, &cp->journal->task);
	if (cp->writing != NULL && !cp->copying) {
		if (!gw_task_done(&cp->writing->task))
			gw_helper_wait(cp->gw->policy->helper, &cp->writing->task);
		end_write(cp);
	}
	if (!cp->copying && (!cp_cache_is_on(cp) || cp->unserved || !cp->cache_due))
		return;
	if (!cp->copying && begin_copy(cp) != 0)
		return;
	while (!copy_some(cp, COPY_BATCH))
		;
	cp->copying = false;
	write_task(&cp->writing->task);
	end_write(cp);
}

void
cp_cache_free(struct sl_cp *cp)
{
	cp_cache_drop(cp->writing);
	cp_cache_drop(cp->reading);
	cp_cache_drop(cp->journal);
	cp->writing = cp->reading = cp->journal = NULL;
}

/* --- reading (helper) ---------------------------------------------------------------------------
 */

static int
broken(struct cp_cache *c, const char *why)
{
	return sl_fail(&c->e, -EBADMSG, "cache_broken", "", "%s/" FILE_NAME " %s", c->dir, why);
}

/* In place: what was sealed becomes the text. */
static int
unseal(struct cp_cache *c, uint8_t *in, size_t len, const uint8_t key[32])
{
	crypto_secretstream_xchacha20poly1305_state st;
	unsigned long long n;
	uint8_t tag = 0;
	size_t at = HEAD, take;
	int rc = 0;

	if (len < HEAD || memcmp(in, MAGIC, MAGIC_LEN) != 0)
		return broken(c, "is no boot cache of this version");
	c->text = malloc(len);
	if (c->text == NULL)
		return gw_no_memory(&c->e);
	if (crypto_secretstream_xchacha20poly1305_init_pull(&st, in + MAGIC_LEN, key) != 0)
		rc = -EBADMSG;
	while (rc == 0 && tag != crypto_secretstream_xchacha20poly1305_TAG_FINAL) {
		take = SL_MIN(len - at, (size_t)SEALED);
		rc = crypto_secretstream_xchacha20poly1305_pull(&st, (uint8_t *)c->text + c->len,
								&n, &tag, in + at, take,
								(const uint8_t *)MAGIC, MAGIC_LEN);
		c->len += rc == 0 ? n : 0;
		at += take;
	}
	sl_wipe(&st, sizeof(st));
	if (rc != 0 || at != len)
		return broken(c, "was changed, or sealed with another key");
	c->text[c->len] = '\0';
	return 0;
}

static int
read_head(struct cp_cache *c, const char *line, char hash[SL_HASH_STR])
{
	json_t *head = json_loads(line, 0, NULL), *epoch;
	const char *gateway, *chain, *sum;
	json_int_t seq, alive, written;
	int version, rc = -EBADMSG;

	if (head != NULL &&
	    json_unpack(head, "{s:i, s:s, s:o, s:I, s:s, s:s, s:I, s:I}", "version", &version,
			"gateway", &gateway, "epoch", &epoch, "seq", &seq, "chain", &chain, "hash",
			&sum, "alive", &alive, "written", &written) == 0 &&
	    version == 1 && strcmp(gateway, c->gateway) == 0 &&
	    sl_epoch_parse(epoch, &c->at.epoch) == 0) {
		c->at.seq = (uint64_t)seq;
		/* one that was written before there was a second: the first */
		c->at.schema = (unsigned)json_integer_value(json_object_get(head, "schema"));
		c->alive_wall_ns = (uint64_t)alive;
		c->wall_ns = (uint64_t)written;
		snprintf(c->at.chain, sizeof(c->at.chain), "%s", chain);
		snprintf(hash, SL_HASH_STR, "%s", sum);
		rc = 0;
	}
	json_decref(head);
	return rc == 0 ? 0 : broken(c, "is of another gateway or version");
}

int
cp_cache_object(struct cp_cache *c, char *line)
{
	char *id = strchr(line, '\t'), *rev = id != NULL ? strchr(id + 1, '\t') : NULL;
	char *text = rev != NULL ? strchr(rev + 1, '\t') : NULL;
	enum sl_kind k;
	json_t *body;
	int rc;

	if (text == NULL)
		return -EBADMSG;
	*id++ = *rev++ = *text++ = '\0';
	body = json_loads(text, 0, NULL);
	rc = body != NULL && sl_kind_parse(line, &k) == 0
		     ? sl_replica_put(c->r, k, id, strtoull(rev, NULL, 10), body)
		     : -EBADMSG;
	json_decref(body);
	return rc == -EINVAL ? -EBADMSG : rc;
}

int
cp_cache_parse(struct cp_cache *c)
{
	char *line, *end, want[SL_HASH_STR] = "", have[SL_HASH_STR];
	struct sl_hash_sum sum;
	bool first = true;
	int rc = 0;

	c->r = sl_replica_new();
	if (c->r == NULL)
		return gw_no_memory(&c->e);
	for (line = c->text; rc == 0 && *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL)
			return broken(c, "is cut off");
		*end = '\0';
		rc = first ? read_head(c, line, want) : cp_cache_object(c, line);
		first = false;
	}
	if (rc != 0)
		return c->e.err != 0 ? rc : broken(c, "has an object that cannot be read");
	sl_replica_sum(c->r, &sum);
	if (strcmp(sl_hash_str(&sum, have), want) != 0)
		return broken(c, "does not have the sum that it says");
	c->at.sum = sum;
	return 0;
}

static void
read_task(struct gw_task *t)
{
	struct cp_cache *c = SL_CONTAINER_OF(t, struct cp_cache, task);
	uint8_t key[32];
	char *sealed = NULL;
	size_t len = 0;

	c->rc = gw_file_read(c->dir, FILE_NAME, FILE_MAX, &sealed, &len, &c->e);
	if (c->rc == 0)
		c->rc = cp_cache_key(c, false, key);
	if (c->rc == 0)
		c->rc = unseal(c, (uint8_t *)sealed, len, key);
	if (c->rc == 0)
		c->rc = cp_cache_parse(c);
	if (c->rc == 0)
		c->rc = cp_journal_read(c, key);
	sl_wipe(key, sizeof(key));
	free(sealed);
	free(c->text);
	c->text = NULL;
}

void
cp_cache_read(struct sl_cp *cp)
{
	if (cp->state_dir == NULL || !cp->config->boot_cache)
		return;
	cp->reading = cp_cache_new(cp);
	if (cp->reading != NULL)
		cp_give(cp, &cp->reading->task, read_task);
}

/* May it serve? Age is counted from when a control plane was heard last. What only the clock speaks
 * against, or a hole in what came since, serves nobody, but tells where a source goes on and who is
 * deleted since. */
static int
judge(struct sl_cp *cp, struct cp_cache *c)
{
	uint64_t now = gw_wall_ns(cp->gw), age = now - c->alive_wall_ns;

	if (c->rc != 0)
		return c->rc;
	if (sl_epoch_same(&cp->accepted, &c->at.epoch)) /* and it was entered */
		cp->seen = c->at.epoch;
	if (cp->seen.number > c->at.epoch.number)
		return sl_fail(&c->e, -ESTALE, "cache_old", "",
			       "the boot cache is of an epoch before the last one");
	if (cp->seen.number == c->at.epoch.number && strcmp(cp->seen.id, c->at.epoch.id) != 0)
		return sl_fail(&c->e, -ESTALE, "cache_old", "",
			       "the boot cache is of another epoch of the same number as the last "
			       "one");
	cp->cache_barred = true;
	cp->cache_hole = c->hole;
	if (c->hole)
		return sl_fail(&c->e, -EBADMSG, "journal_hole", "",
			       "what was acknowledged since the boot cache is not all there any "
			       "more (%s/control-journal is damaged)",
			       c->dir);
	if (now < c->wall_ns)
		return sl_fail(&c->e, -EINVAL, "cache_future", "",
			       "the boot cache is from the future: the clock is wrong");
	if (age > (uint64_t)cp->config->cache_max_age_h * 3600 * SL_NS_PER_S)
		return sl_fail(&c->e, -ESTALE, "cache_old", "",
			       "the boot cache is %llu hours old, %u are allowed",
			       (unsigned long long)(age / (3600 * SL_NS_PER_S)),
			       cp->config->cache_max_age_h);
	cp->cache_barred = false;
	return 0;
}

static void
take(struct sl_cp *cp, struct cp_cache *c)
{
	uint64_t now = gw_mono_ns(cp->gw), age = gw_wall_ns(cp->gw) - c->alive_wall_ns;

	sl_replica_free(cp->r);
	cp->r = c->r;
	c->r = NULL;
	cp->epoch = c->at.epoch;
	/* a later epoch than the last one that was noted: the note was lost, or the operator's
	 * choice is not in the cache yet, and known by itself */
	if (cp->epoch.number > cp->seen.number)
		cp->seen = cp->epoch;
	cp->seq = c->at.seq;
	memcpy(cp->chain, c->at.chain, sizeof(cp->chain));
	cp->schema = c->at.schema;
	cp->heard_ns = now > age ? now - age : 1;
	cp->cache_wall_ns = c->wall_ns;
	cp->cached_ns = now;
	cp->unserved = true;
}

bool
cp_cache_ready(struct sl_cp *cp)
{
	struct cp_cache *c = cp->reading;
	int rc;

	if (c == NULL)
		return true;
	if (!gw_task_done(&c->task))
		return false;
	cp->reading = NULL;
	rc = judge(cp, c);
	if (rc == 0 || cp->cache_barred)
		take(cp, c);
	if (rc != 0 && rc != -ENOENT) {
		snprintf(cp->cache_error, sizeof(cp->cache_error), "%.199s", c->e.message);
		sl_log(SL_LOG_WARN, "control", "%s: without a control plane nobody is let in",
		       c->e.message);
		cp_event(cp, "boot_cache_refused", "failure",
			 json_pack("{s:s, s:s}", "reason", c->e.reason, "message", c->e.message));
	}
	cp_cache_drop(c);
	return true;
}
