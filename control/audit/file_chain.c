/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_chain.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "drain_int.h"
#include "file_end.h"
#include "sl_log.h"

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

static void
read_end(const struct file_chain *c, const char *path, const struct sl_seal_chain *kept,
	 struct file_end *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	*out = (struct file_end){.whole = UINT64_MAX, .all = true};
	if (fd < 0)
		return;
	file_end_read(fd, c->env->seal_key, kept, out);
	close(fd);
}

/** What stands in the file behind the last record of ours is not vouched for, and told. */
static void
go_on_behind(struct file_chain *c, const struct file_end *end)
{
	c->at = end->at;
	if (end->at.n == end->ours.n)
		return;
	c->unsealed_from = end->ours.n + 1;
	sl_log(SL_LOG_WARN, "audit",
	       "%s: records %" PRIu64 " to %" PRIu64 " are not signed; the next seal, and audit "
	       "verify, tell that nobody vouches for them",
	       c->path, c->unsealed_from, end->at.n);
}

void
file_chain_find(struct file_chain *c, uint64_t *whole)
{
	char before[PATH_MAX + 4];
	struct sl_seal_chain kept = {.n = 0};
	struct file_end end;
	int rc = sl_seal_place_read(c->place, &kept);
	bool noted = rc == 0, same;

	read_end(c, c->path, noted ? &kept : NULL, &end);
	*whole = end.whole;
	if (!end.chained && end.all) {
		snprintf(before, sizeof(before), "%s.1", c->path);
		read_end(c, before, noted ? &kept : NULL, &end);
	}
	c->found = c->begin = true;
	c->why = noted ? "continue" : "found";
	if (rc != 0 && rc != -ENOENT)
		sl_log(SL_LOG_WARN, "audit", "%s says no place of a chain: %s", c->place,
		       strerror(-rc));
	same = end.ours.n > 0 && strcmp(end.ours.id, kept.id) == 0;
	if (noted && !(same && (kept.n <= end.ours.n || end.passes))) {
		c->at = kept; /* what the file lacks, or has in its place, is missed there */
	} else if (end.ours.n > 0) {
		go_on_behind(c, &end);
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
	return chained(c, at, l, &sl_seal_record);
}

struct sl_line *
file_chain_seal(const struct file_chain *c, struct sl_seal_chain *at, const char *why)
{
	struct sl_seal_say say = {.why = why,
				  .each = true,
				  .unsealed_from = c->unsealed_from,
				  .unsealed_to = c->unsealed_from > 0 ? at->n : 0};
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
		c->since_seal = c->unsealed_from = 0;
	} else {
		if (c->since_seal == 0)
			c->since_ns = drain_mono(c->env->drain);
		c->since_seal += n;
	}
	rc = sl_seal_place_write(c->place, c->env->owner, c->env->group, at);
	if (rc != 0 && seal) /* not with each record */
		sl_log(SL_LOG_WARN, "audit", "%s cannot be written: %s", c->place, strerror(-rc));
}

bool
file_chain_due(const struct file_chain *c)
{
	return c->since_seal > 0 &&
	       drain_mono(c->env->drain) - c->since_ns >= SL_SEAL_CHECKPOINT_S * SL_NS_PER_S;
}
