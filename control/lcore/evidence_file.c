/* SPDX-License-Identifier: BSD-3-Clause */
/* Two files in the state directory: "evidence" holds rows and names, "evidence-times" what they
 * cover. Both are copied on control's thread, in slices, and written on the helper, the rows first:
 * so the times never promise rows that are not on the disk. Numbers are little-endian. */
#include <stdio.h>
#include <stdlib.h>

#include "evidence_int.h"

#define ROWS_FILE "evidence"
#define TIMES_FILE "evidence-times"
#define ROWS_MAGIC "SLEVROWS"
#define TIMES_MAGIC "SLEVTIME"
#define VERSION 1
#define HEAD 48 /* magic 8, version 4, counts 4 + 4, reserved 4, serial 8, digest 16 */
#define DIGEST_AT 32
#define WHO_LEN 80
#define ROW_LEN 96
#define SPAN_LEN 16
#define LOST_LEN 12
#define FILE_MAX (1U << 30)
#define SAVE_NS (60 * SL_NS_PER_S)
#define SLICE 4096 /* rows copied in one turn */

/* --- bytes ---------------------------------------------------------------------------------------
 */

static void
digest_of(uint8_t out[16], const char *file, size_t len)
{
	uint8_t both[32];

	sl_blake2s(both, 16, file, DIGEST_AT, NULL, 0);
	sl_blake2s(both + 16, 16, file + HEAD, len - HEAD, NULL, 0);
	sl_blake2s(out, 16, both, sizeof(both), NULL, 0);
}

static void
head_put(char *file, size_t len, const char *magic, uint32_t a, uint32_t b, uint64_t serial)
{
	memset(file, 0, HEAD);
	memcpy(file, magic, 8);
	sl_store_le32(file + 8, VERSION);
	sl_store_le32(file + 12, a);
	sl_store_le32(file + 16, b);
	sl_store_le64(file + 24, serial);
	digest_of((uint8_t *)file + DIGEST_AT, file, len);
}

/* @return the counts and the serial of a whole file, or false */
static bool
head_get(const char *file, size_t len, const char *magic, size_t len_a, size_t len_b, uint32_t *a,
	 uint32_t *b, uint64_t *serial)
{
	uint8_t digest[16];

	if (len < HEAD || memcmp(file, magic, 8) != 0 || sl_load_le32(file + 8) != VERSION)
		return false;
	*a = sl_load_le32(file + 12);
	*b = sl_load_le32(file + 16);
	*serial = sl_load_le64(file + 24);
	if (len != HEAD + *a * len_a + *b * len_b)
		return false;
	digest_of(digest, file, len);
	return memcmp(digest, file + DIGEST_AT, 16) == 0;
}

static void
row_put(char *p, const struct ev_row *r)
{
	memcpy(p, r->src, 16);
	memcpy(p + 16, r->dst, 16);
	sl_store_le32(p + 32, r->who);
	sl_store_le32(p + 36, r->hour);
	sl_store_le32(p + 40, (uint32_t)r->dport << 16 | r->sport);
	p[44] = (char)r->proto;
	p[45] = (char)r->version;
	p[46] = (char)r->flags;
	p[47] = 0;
	sl_store_le32(p + 48, r->rule_id);
	sl_store_le32(p + 52, r->role_id);
	sl_store_le64(p + 56, r->flows);
	sl_store_le64(p + 64, r->packets);
	sl_store_le64(p + 72, r->bytes);
	sl_store_le64(p + 80, r->first_ns);
	sl_store_le64(p + 88, r->last_ns);
}

static void
row_get(const char *p, struct ev_row *r)
{
	memset(r, 0, sizeof(*r));
	memcpy(r->src, p, 16);
	memcpy(r->dst, p + 16, 16);
	r->who = sl_load_le32(p + 32);
	r->hour = sl_load_le32(p + 36);
	r->sport = (uint16_t)sl_load_le32(p + 40);
	r->dport = (uint16_t)(sl_load_le32(p + 40) >> 16);
	r->proto = (uint8_t)p[44];
	r->version = (uint8_t)p[45];
	r->flags = (uint8_t)p[46];
	r->rule_id = sl_load_le32(p + 48);
	r->role_id = sl_load_le32(p + 52);
	r->flows = sl_load_le64(p + 56);
	r->packets = sl_load_le64(p + 64);
	r->bytes = sl_load_le64(p + 72);
	r->first_ns = sl_load_le64(p + 80);
	r->last_ns = sl_load_le64(p + 88);
}

/* --- copying -------------------------------------------------------------------------------------
 */

/* Rows that have not changed stand in their file already. */
static bool
copy_begin(struct sl_evidence *ev)
{
	struct ev_job *j = &ev->job;
	bool rows = ev->changes != ev->saved_changes || ev->serial == 0;

	j->rows = rows ? malloc(HEAD + (size_t)ev->max * ROW_LEN) : NULL;
	if (rows && j->rows == NULL)
		return false;
	j->n_rows = HEAD;
	ev->copied = 0;
	ev->saved_changes = ev->changes;
	ev->copy_end_ns = ev->n_spans > 0 ? ev->span[ev->n_spans - 1].end_ns : 0;
	ev->save = EV_COPY;
	return true;
}

/* @return false: there are more */
static bool
copy_rows(struct sl_evidence *ev, uint32_t budget)
{
	struct ev_job *j = &ev->job;
	uint32_t end = (uint32_t)SL_MIN((uint64_t)ev->copied + budget, ev->n_slots);

	if (j->rows == NULL)
		return true;

	for (; ev->copied < end; ev->copied++) {
		if (ev->row[ev->copied].version == 0)
			continue;
		row_put(j->rows + j->n_rows, &ev->row[ev->copied]);
		j->n_rows += ROW_LEN;
	}
	return ev->copied >= ev->n_slots;
}

/* Names stand behind the rows. */
static bool
copy_names(struct sl_evidence *ev)
{
	struct ev_job *j = &ev->job;
	uint32_t n_rows = (uint32_t)((j->n_rows - HEAD) / ROW_LEN), i;
	size_t who = j->n_rows;
	char *rows = realloc(j->rows, who + (size_t)ev->n_who * WHO_LEN);

	if (rows == NULL)
		return false;
	for (i = 0; i < ev->n_who; i++) {
		memcpy(rows + who + i * WHO_LEN, ev->who[i].iface, 16);
		memcpy(rows + who + i * WHO_LEN + 16, ev->who[i].peer, 64);
	}
	j->rows = rows;
	j->n_rows = who + (size_t)ev->n_who * WHO_LEN;
	ev->serial++;
	head_put(rows, j->n_rows, ROWS_MAGIC, n_rows, ev->n_who, ev->serial);
	return true;
}

/* The times, as they were when the copy began. */
static bool
copy_end(struct sl_evidence *ev)
{
	size_t lost = HEAD + ev->n_spans * SPAN_LEN;
	struct ev_job *j = &ev->job;
	unsigned i;

	if (j->rows != NULL && !copy_names(ev))
		return false;
	j->n_times = lost + ev->n_lost * LOST_LEN;
	j->times = malloc(j->n_times);
	if (j->times == NULL)
		return false;
	for (i = 0; i < ev->n_spans; i++) {
		uint64_t end_ns = i + 1 == ev->n_spans ? ev->copy_end_ns : ev->span[i].end_ns;

		sl_store_le64(j->times + HEAD + i * SPAN_LEN, ev->span[i].begin_ns);
		sl_store_le64(j->times + HEAD + i * SPAN_LEN + 8, end_ns);
	}
	for (i = 0; i < ev->n_lost; i++) {
		sl_store_le32(j->times + lost + i * LOST_LEN, ev->lost[i].hour);
		sl_store_le64(j->times + lost + i * LOST_LEN + 4, ev->lost[i].flows);
	}
	head_put(j->times, j->n_times, TIMES_MAGIC, ev->n_spans, ev->n_lost, ev->serial);
	return true;
}

/* --- writing -------------------------------------------------------------------------------------
 */

static void
write_files(struct gw_task *t)
{
	struct ev_job *j = SL_CONTAINER_OF(t, struct ev_job, task);

	j->rc = 0;
	if (j->rows != NULL)
		j->rc = gw_file_write(j->dir, ROWS_FILE, j->rows, j->n_rows, &j->e);
	if (j->rc == 0)
		j->rc = gw_file_write(j->dir, TIMES_FILE, j->times, j->n_times, &j->e);
}

static void
job_end(struct sl_evidence *ev)
{
	struct ev_job *j = &ev->job;
	void (*done)(void *ctx) = ev->clear_done;

	if (j->rc != 0 && !ev->warned)
		sl_log(SL_LOG_WARN, "evidence", "%s; what was seen is kept in memory only",
		       j->e.message);
	ev->warned = j->rc != 0;
	if (j->rc != 0)
		ev->saved_changes = UINT64_MAX; /* again */
	else
		ev->written_ns = gw_mono_ns(ev->gw);
	free(j->rows);
	free(j->times);
	j->rows = j->times = NULL;
	ev->save = EV_IDLE;
	if (done == NULL || ev->save_due)
		return;
	ev->clear_done = NULL;
	done(ev->clear_ctx);
}

static void
job_fail(struct sl_evidence *ev)
{
	ev->job.rc = sl_fail(&ev->job.e, -ENOMEM, "no_memory", "", "no memory to save evidence");
	job_end(ev);
}

unsigned
ev_save_poll(struct sl_evidence *ev)
{
	uint64_t now = gw_mono_ns(ev->gw);

	if (ev->dir == NULL)
		return 0;
	switch (ev->save) {
	case EV_IDLE:
		if (!ev->save_due &&
		    (now - ev->saved_ns < SAVE_NS || (ev->n_spans == 0 && ev->used == 0)))
			return 0;
		ev->save_due = false;
		ev->saved_ns = now;
		if (!copy_begin(ev))
			job_fail(ev);
		return 1;
	case EV_COPY:
		if (!copy_rows(ev, SLICE))
			return 1;
		if (!copy_end(ev)) {
			job_fail(ev);
			return 1;
		}
		ev->job.dir = ev->dir;
		ev->job.task = (struct gw_task){.run = write_files};
		ev->save = EV_WRITE;
		gw_helper_give(ev->helper, &ev->job.task);
		return 1;
	default:
		if (!gw_task_done(&ev->job.task))
			return 0;
		job_end(ev);
		return 1;
	}
}

void
ev_save_again(struct sl_evidence *ev)
{
	ev->save_due = true;
	if (ev->save != EV_COPY)
		return;
	free(ev->job.rows);
	ev->job.rows = NULL;
	ev->save = EV_IDLE;
}

void
ev_save_now(struct sl_evidence *ev)
{
	if (ev->save == EV_WRITE)
		gw_helper_wait(ev->helper, &ev->job.task);
	if (ev->save == EV_WRITE)
		job_end(ev);
	free(ev->job.rows);
	ev->job.rows = NULL;
	ev->save_due = false;
	if (!copy_begin(ev) || !copy_rows(ev, UINT32_MAX) || !copy_end(ev)) {
		job_fail(ev);
		return;
	}
	ev->job.dir = ev->dir;
	write_files(&ev->job.task);
	job_end(ev);
}

/* --- reading -------------------------------------------------------------------------------------
 */

static int
load_rows(struct sl_evidence *ev, const char *file, size_t len)
{
	uint32_t n_rows, n_who, i, *who = NULL;
	const char *names;
	struct ev_row r;
	char iface[16], peer[64];
	int rc = 0;

	if (!head_get(file, len, ROWS_MAGIC, ROW_LEN, WHO_LEN, &n_rows, &n_who, &ev->serial))
		return -EINVAL;
	who = malloc((n_who + 1) * sizeof(*who));
	if (who == NULL)
		return -ENOMEM;
	names = file + HEAD + (size_t)n_rows * ROW_LEN;
	for (i = 0; i < n_who; i++) {
		memcpy(iface, names + (size_t)i * WHO_LEN, 16);
		memcpy(peer, names + (size_t)i * WHO_LEN + 16, 64);
		iface[15] = peer[63] = '\0';
		who[i] = iface[0] != '\0' ? ev_who_get(ev, iface, peer) : EV_NONE;
	}
	for (i = 0; i < n_rows && rc == 0; i++) {
		row_get(file + HEAD + (size_t)i * ROW_LEN, &r);
		if ((r.version != 4 && r.version != 6) || r.who >= n_who || who[r.who] == EV_NONE) {
			rc = -EINVAL;
			break;
		}
		r.who = who[r.who];
		rc = ev_row_add(ev, &r);
	}
	free(who);
	return rc;
}

/* @param serial of the rows; times of later rows speak of what is not here */
static int
load_times(struct sl_evidence *ev, const char *file, size_t len)
{
	const char *p = file + HEAD;
	uint32_t n_spans, n_lost, i;
	uint64_t serial;

	if (!head_get(file, len, TIMES_MAGIC, SPAN_LEN, LOST_LEN, &n_spans, &n_lost, &serial) ||
	    n_spans > EV_SPANS || n_lost > EV_LOST || serial > ev->serial)
		return -EINVAL;
	for (i = 0; i < n_spans; i++, p += SPAN_LEN)
		ev->span[i] = (struct ev_span){sl_load_le64(p), sl_load_le64(p + 8)};
	ev->n_spans = n_spans;
	for (i = 0; i < n_lost; i++, p += LOST_LEN)
		ev_lost_add(ev, sl_load_le32(p), sl_load_le64(p + 4));
	return 0;
}

static void
put_aside(struct sl_evidence *ev, const char *name)
{
	char from[4096], to[4096];

	snprintf(from, sizeof(from), "%s/%s", ev->dir, name);
	snprintf(to, sizeof(to), "%s/%s.bad", ev->dir, name);
	if (rename(from, to) == 0)
		sl_log(SL_LOG_WARN, "evidence",
		       "%s is damaged and was put aside as %s; what it covered is a gap now", from,
		       to);
}

/* @return 0, -ENOENT, or what is wrong; a damaged file is put aside */
static int
load_file(struct sl_evidence *ev, const char *name,
	  int (*fn)(struct sl_evidence *ev, const char *file, size_t len))
{
	struct sl_error e = {0};
	char *text;
	size_t len;
	int rc = gw_file_read(ev->dir, name, FILE_MAX, &text, &len, &e);

	if (rc == -ENOENT)
		return rc;
	if (rc == 0) {
		rc = fn(ev, text, len);
		free(text);
	}
	if (rc == -EINVAL)
		put_aside(ev, name);
	else if (rc != 0)
		sl_log(SL_LOG_WARN, "evidence", "%s is not read: %s", name,
		       e.message[0] != '\0' ? e.message : strerror(-rc));
	return rc;
}

void
ev_load(struct sl_evidence *ev)
{
	int rows = load_file(ev, ROWS_FILE, load_rows);

	if (rows != 0)
		ev_drop_all(ev); /* half of it proves nothing */
	else
		ev->saved_changes = ev->changes;
	if (rows == 0 && load_file(ev, TIMES_FILE, load_times) == 0)
		return;
	ev->n_spans = ev->n_lost = 0;
}
