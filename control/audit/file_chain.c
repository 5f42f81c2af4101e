/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_chain.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "drain_int.h"
#include "sl_json.h"
#include "sl_log.h"

#define BLOCK (64U << 10)
#define LINE_MAX_BYTES (1U << 20)

void
file_chain_init(struct file_chain *c, const struct sl_sink_env *env, const char *path)
{
	uint8_t h[16];
	char name[2 * sizeof(h) + 1];

	*c = (struct file_chain){.env = env, .path = path};
	if (!file_chain_on(c))
		return;
	crypto_generichash(h, sizeof(h), (const uint8_t *)path, strlen(path), NULL, 0);
	sodium_bin2hex(name, sizeof(name), h, sizeof(h));
	snprintf(c->place, sizeof(c->place), "%s/audit-%s.json", env->state_dir, name);
}

bool
file_chain_on(const struct file_chain *c)
{
	return c->env->seal_key != NULL;
}

/* --- where it ended --------------------------------------------------------------------------- */

/** What is read of a file from its end. */
struct back {
	struct sl_seal_chain at; /* of the last record; n is 0: none yet */
	char *text;		 /* begin of what was read: a part of a line */
	size_t len;
	bool whole;	 /* the end was looked at */
	uint64_t cut_at; /* where what is no whole line begins */
};

/** @return true: no earlier line is needed */
static bool
look_at(struct back *b, const char *line, size_t len)
{
	static const char mark[] = "\"chain\":\"";
	struct sl_seal_view w;
	json_t *o;
	bool done;

	if (memmem(line, len, mark, sizeof(mark) - 1) == NULL)
		return false;
	o = json_loadb(line, len, 0, NULL);
	sl_seal_view(o, &w);
	if (w.chain == NULL || w.n == 0) {
		json_decref(o);
		return false;
	}
	if (b->at.n == 0 && sl_seal_hash_parse(w.chain, b->at.hash))
		b->at.n = w.n;
	done = b->at.n > 0 && w.seal != NULL; /* which names the chain */
	if (done)
		snprintf(b->at.id, sizeof(b->at.id), "%s", sl_json_text(w.seal, "id"));
	json_decref(o);
	return done;
}

/** The lines of b->text, last one first, but for what may be a part of one. */
static bool
look_at_lines(struct back *b, uint64_t at)
{
	char *nl;

	if (!b->whole) {
		nl = b->len > 0 ? memrchr(b->text, '\n', b->len) : NULL;
		if (nl == NULL && at > 0)
			return false;
		b->len = nl != NULL ? (size_t)(nl + 1 - b->text) : 0;
		b->cut_at = at + b->len;
		b->whole = true;
	}
	while (b->len > 0) {
		size_t end = b->text[b->len - 1] == '\n' ? b->len - 1 : b->len;

		nl = memrchr(b->text, '\n', end);
		if (nl == NULL && at > 0)
			return false;
		nl = nl != NULL ? nl + 1 : b->text;
		if (look_at(b, nl, (size_t)(b->text + end - nl)))
			return true;
		b->len = (size_t)(nl - b->text);
	}
	return false;
}

/** Put the block before `at` in front of what is there. */
static bool
read_block(struct back *b, int fd, uint64_t *at)
{
	size_t n = (size_t)SL_MIN(*at, (uint64_t)BLOCK);
	char *text = b->len <= LINE_MAX_BYTES ? malloc(n + b->len + 1) : NULL;

	if (text == NULL)
		return false;
	if (pread(fd, text, n, (off_t)(*at - n)) != (ssize_t)n) {
		free(text);
		return false;
	}
	if (b->len > 0)
		memcpy(text + n, b->text, b->len);
	free(b->text);
	b->text = text;
	b->len += n;
	*at -= n;
	return true;
}

static void
read_back(const char *path, struct back *b)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	uint64_t at;

	*b = (struct back){.cut_at = UINT64_MAX};
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		at = (uint64_t)st.st_size;
		while (at > 0 && read_block(b, fd, &at) && !look_at_lines(b, at))
			;
	}
	close(fd);
	free(b->text);
	if (b->at.id[0] == '\0')
		b->at.n = 0;
}

void
file_chain_find(struct file_chain *c, uint64_t *whole)
{
	char before[PATH_MAX + 4];
	struct sl_seal_chain kept;
	struct back b;
	int rc = sl_seal_place_read(c->place, &kept);

	read_back(c->path, &b);
	*whole = b.cut_at;
	if (b.at.n == 0) {
		snprintf(before, sizeof(before), "%s.1", c->path);
		read_back(before, &b);
	}
	c->found = c->begin = true;
	c->why = "continue";
	if (rc != 0 && rc != -ENOENT)
		sl_log(SL_LOG_WARN, "audit", "%s says no place of a chain: %s", c->place,
		       strerror(-rc));
	if (rc == 0 && (b.at.n <= kept.n || strcmp(b.at.id, kept.id) != 0)) {
		c->at = kept;
	} else if (b.at.n > 0) {
		c->at = b.at;
	} else {
		c->at = (struct sl_seal_chain){.n = 0};
		sl_seal_chain_name(&c->at);
		c->why = "start";
	}
}

/* --- records ---------------------------------------------------------------------------------- */

/** Fractions have no canonical form: they become text. */
static void
no_fractions(json_t *v)
{
	const char *key;
	json_t *item;
	size_t i;

	if (json_is_object(v)) {
		json_object_foreach (v, key, item) {
			if (json_is_real(item))
				json_object_set_new(v, key,
						    json_sprintf("%.17g", json_real_value(item)));
			else
				no_fractions(item);
		}
		return;
	}
	json_array_foreach (v, i, item) {
		if (json_is_real(item))
			json_array_set_new(v, i, json_sprintf("%.17g", json_real_value(item)));
		else
			no_fractions(item);
	}
}

static struct sl_line *
chained(const struct file_chain *c, struct sl_seal_chain *at, const struct sl_line *l,
	const struct sl_seal_say *say)
{
	json_t *o = json_loadb(l->text, l->len, 0, NULL);
	struct sl_line *out = NULL;
	char *text = NULL;
	size_t n;

	no_fractions(o);
	if (!json_is_object(json_object_get(o, "sluice")))
		json_object_set_new(o, "sluice", json_object());
	if (o != NULL && sl_seal_add(at, o, say, c->env->seal_key) == 0)
		text = json_dumps(o, JSON_COMPACT);
	json_decref(o);
	if (text != NULL) {
		n = strlen(text);
		text[n] = '\n'; /* in place of its zero */
		out = sl_line_new(text, n + 1, l->seq, l->severity, l->action);
	}
	free(text);
	if (out != NULL)
		out->kind = l->kind;
	return out;
}

struct sl_line *
file_chain_link(const struct file_chain *c, struct sl_seal_chain *at, const struct sl_line *l)
{
	return chained(c, at, l, NULL);
}

struct sl_line *
file_chain_seal(const struct file_chain *c, struct sl_seal_chain *at, const char *why)
{
	struct sl_seal_say say = {.why = why};
	struct sl_line *plain = drain_seal_line(c->env->drain), *out = NULL;

	if (plain != NULL)
		out = chained(c, at, plain, &say);
	sl_line_unref(plain);
	return out;
}

void
file_chain_wrote(struct file_chain *c, const struct sl_seal_chain *at, unsigned n, bool seal)
{
	int rc;

	c->at = *at;
	if (seal) {
		c->unsigned_n = 0;
	} else {
		if (c->unsigned_n == 0)
			c->since_ns = drain_mono(c->env->drain);
		c->unsigned_n += n;
	}
	rc = sl_seal_place_write(c->place, c->env->owner, c->env->group, at);
	if (rc != 0 && seal) /* not with each record */
		sl_log(SL_LOG_WARN, "audit", "%s cannot be written: %s", c->place, strerror(-rc));
}

bool
file_chain_due(const struct file_chain *c)
{
	return c->unsigned_n > 0 &&
	       drain_mono(c->env->drain) - c->since_ns >= SL_SEAL_CHECKPOINT_S * SL_NS_PER_S;
}
