/* SPDX-License-Identifier: BSD-3-Clause */
#include "file_end.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK (64U << 10)
#define LINE_MAX_BYTES (1U << 20)

static json_t *
chained_record(const char *line, size_t len)
{
	static const char mark[] = "\"chain\":\"";
	struct sl_seal_view w;
	json_t *o;

	if (memmem(line, len, mark, sizeof(mark) - 1) == NULL)
		return NULL;
	o = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	sl_seal_view(o, &w);
	if (w.chain != NULL && w.n > 0)
		return o;
	json_decref(o);
	return NULL;
}

/* --- backwards, to the last record of ours ---------------------------------------------------- */

/** What is read of a file from its end. */
struct back {
	int fd;
	const struct sl_seal_key *key;
	struct file_end *out;
	char *text; /* begin of what was read: a part of a line */
	size_t len;
	unsigned records;
	uint64_t behind; /* where the line behind the record of ours begins */
};

/** @return true: no earlier line is needed */
static bool
look_at(struct back *b, const char *line, size_t len, uint64_t behind)
{
	json_t *o = chained_record(line, len);
	bool ours = o != NULL && sl_seal_ours(o, b->key, &b->out->ours);

	if (o != NULL)
		b->out->chained = true;
	b->records += o != NULL;
	b->behind = behind;
	json_decref(o);
	return ours || b->records >= FILE_END_RECORDS;
}

/** The lines of b->text, last one first, but for what may be a part of one. */
static bool
look_at_lines(struct back *b, uint64_t at)
{
	char *nl;

	if (b->out->whole == UINT64_MAX) {
		nl = b->len > 0 ? memrchr(b->text, '\n', b->len) : NULL;
		if (nl == NULL && at > 0)
			return false;
		b->len = nl != NULL ? (size_t)(nl + 1 - b->text) : 0;
		b->out->whole = at + b->len;
	}
	while (b->len > 0) {
		size_t end = b->text[b->len - 1] == '\n' ? b->len - 1 : b->len;

		nl = memrchr(b->text, '\n', end);
		if (nl == NULL && at > 0)
			return false;
		nl = nl != NULL ? nl + 1 : b->text;
		if (look_at(b, nl, (size_t)(b->text + end - nl), at + b->len))
			return true;
		b->len = (size_t)(nl - b->text);
	}
	return false;
}

static bool
read_at(int fd, char *text, size_t n, uint64_t at)
{
	for (size_t k = 0; k < n;) {
		ssize_t got = pread(fd, text + k, n - k, (off_t)(at + k));

		if (got <= 0)
			return false;
		k += (size_t)got;
	}
	return true;
}

/** Put the block before `at` in front of what is there. */
static bool
read_block(struct back *b, uint64_t *at)
{
	size_t n = (size_t)SL_MIN(*at, (uint64_t)BLOCK);
	char *text = b->len <= LINE_MAX_BYTES ? malloc(n + b->len + 1) : NULL;

	if (text == NULL)
		return false;
	if (!read_at(b->fd, text, n, *at - n)) {
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

/* --- forwards, what fits behind it ------------------------------------------------------------ */

static bool
same_place(const struct sl_seal_chain *a, const struct sl_seal_chain *b)
{
	return b != NULL && a->n == b->n && strcmp(a->id, b->id) == 0 &&
	       memcmp(a->hash, b->hash, SL_SEAL_HASH) == 0;
}

static void
follow(struct file_end *out, const char *text, size_t len, const struct sl_seal_chain *kept)
{
	const char *nl;

	out->at = out->ours;
	for (; len > 0 && (nl = memchr(text, '\n', len)) != NULL; text = nl + 1) {
		json_t *o = chained_record(text, (size_t)(nl - text));
		bool fits = o == NULL || sl_seal_follows(&out->at, o);

		json_decref(o);
		if (!fits)
			return;
		out->passes |= same_place(&out->at, kept);
		len -= (size_t)(nl + 1 - text);
	}
}

void
file_end_read(int fd, const struct sl_seal_key *key, const struct sl_seal_chain *kept,
	      struct file_end *out)
{
	struct back b = {.fd = fd, .key = key, .out = out};
	uint64_t at, size;
	struct stat st;
	char *tail;
	size_t len;

	*out = (struct file_end){.whole = UINT64_MAX};
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return;
	at = size = (uint64_t)st.st_size;
	while (at > 0 && size - at < FILE_END_BYTES && read_block(&b, &at) &&
	       !look_at_lines(&b, at))
		;
	free(b.text);
	out->all = at == 0 || out->ours.n > 0;
	if (out->ours.n == 0)
		return;
	len = (size_t)(out->whole - b.behind);
	tail = malloc(len + 1);
	out->at = out->ours;
	if (tail != NULL && read_at(fd, tail, len, b.behind))
		follow(out, tail, len, kept);
	free(tail);
}
