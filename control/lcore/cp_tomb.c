/* SPDX-License-Identifier: BSD-3-Clause */
/* What was deleted: kept in the state directory beside the highest epoch, so that an older backup
 * of the control plane brings nobody back. A text file to which lines are added; it is written anew
 * when the gateway starts. */
#include <stdio.h>
#include <stdlib.h>

#include "cp.h"

#define FILE_NAME "control-revoked"
#define FILE_MAX (256U << 20)
#define TOMBS_MAX 1000000
#define KEEP_S (120 * 86400)
#define RETRY_NS SL_NS_PER_S
#define SKEW_NS (60 * SL_NS_PER_S)
#define AGE_BATCH 1000
#define LOOK_BATCH 500
#define LOOK_NAMES 100
#define LINE_MAX_LEN (SL_OBJ_ID + 128)

static bool
keeps(enum sl_kind k)
{
	return k == SL_KIND_PEER || k == SL_KIND_ROLE_MAP || k == SL_KIND_RULE;
}

static struct cp_tomb *
find(const struct sl_cp *cp, enum sl_kind k, const char *id)
{
	struct gw_link *l = gw_hash_find(&cp->tombs_by_id, cp_key(cp, k, id));
	struct cp_tomb *t;

	for (; l != NULL; l = gw_hash_next(l)) {
		t = SL_CONTAINER_OF(l, struct cp_tomb, link);
		if (t->kind == k && strcmp(t->id, id) == 0)
			return t;
	}
	return NULL;
}

static void
drop(struct sl_cp *cp, struct cp_tomb *t)
{
	if (cp->look == t)
		cp->look = TAILQ_NEXT(t, at);
	gw_hash_del(&cp->tombs_by_id, &t->link);
	TAILQ_REMOVE(&cp->tombs, t, at);
	cp->n_tombs--;
	free(t);
}

static int
enter(struct sl_cp *cp, const struct cp_tomb *like, const char *id)
{
	size_t n = strlen(id) + 1;
	struct cp_tomb *t = find(cp, like->kind, id);

	if (t != NULL)
		drop(cp, t);
	t = malloc(sizeof(*t) + n);
	if (t == NULL)
		return -ENOMEM;
	*t = *like;
	memcpy(t->id, id, n);
	gw_hash_add(&cp->tombs_by_id, &t->link, cp_key(cp, t->kind, id));
	TAILQ_INSERT_TAIL(&cp->tombs, t, at);
	if (++cp->n_tombs > TOMBS_MAX) {
		drop(cp, TAILQ_FIRST(&cp->tombs));
		cp->tombs_dropped++;
	}
	return 0;
}

/* --- the file ----------------------------------------------------------------------------------
 */

static void
write_task(struct gw_task *t)
{
	struct cp_write *w = SL_CONTAINER_OF(t, struct cp_write, task);

	w->rc = (w->whole ? gw_file_write : gw_file_add)(w->dir, FILE_NAME, w->text, w->len, &w->e);
}

static void
free_write(struct cp_write *w)
{
	if (w == NULL)
		return;
	free(w->dir);
	free(w->text);
	free(w);
}

/* One at a time: what is added goes behind what is there. */
static void
give(struct sl_cp *cp, char *text, size_t len, bool whole)
{
	struct cp_write *w = cp->state_dir != NULL && text != NULL ? calloc(1, sizeof(*w)) : NULL;

	if (w == NULL || (w->dir = strdup(cp->state_dir)) == NULL) {
		free(w);
		free(text);
		return;
	}
	w->text = text;
	w->len = len;
	w->whole = whole;
	cp->tomb_write = w;
	cp_give(cp, &w->task, write_task);
}

/* Lines that wait are written with the next turn, as one. */
static void
add_line(struct sl_cp *cp, const char *line)
{
	size_t n = strlen(line), room = cp->lines_room;
	char *grown;

	if (cp->state_dir == NULL)
		return;
	if (cp->lines_len + n > room) {
		room = SL_MAX(2 * room, cp->lines_len + n + 4096);
		grown = realloc(cp->lines, room);
		if (grown == NULL)
			return;
		cp->lines = grown;
		cp->lines_room = room;
	}
	memcpy(cp->lines + cp->lines_len, line, n);
	cp->lines_len += n;
}

static void
failed(struct sl_cp *cp, const struct cp_write *w)
{
	if (!cp->tombs_fail)
		sl_log(SL_LOG_ERR, "control", "%s: deleted peers may come back", w->e.message);
	cp->tombs_fail = true;
	cp->tomb_retry_ns = gw_mono_ns(cp->gw) + RETRY_NS;
}

/* @return false while something is under way */
static bool
collect(struct sl_cp *cp)
{
	struct cp_write *w = cp->tomb_write;

	if (w == NULL)
		return true;
	if (!gw_task_done(&w->task))
		return false;
	if (w->rc == 0) {
		cp->tombs_fail = false;
		cp->tomb_write = NULL;
		free_write(w);
		return true;
	}
	if (!cp->tombs_fail) {
		failed(cp, w);
	} else if (gw_mono_ns(cp->gw) >= cp->tomb_retry_ns) {
		cp->tomb_retry_ns = gw_mono_ns(cp->gw) + RETRY_NS;
		cp_give(cp, &w->task, write_task); /* the same again, and what came later waits */
	}
	return false;
}

bool
cp_tomb_poll(struct sl_cp *cp)
{
	if (collect(cp) && cp->lines_len > 0) {
		give(cp, cp->lines, cp->lines_len, false);
		cp->lines = NULL;
		cp->lines_len = cp->lines_room = 0;
	}
	return cp->tombs_fail || (collect(cp) && cp->lines_len == 0);
}

static void
line_of(const struct cp_tomb *t, char out[LINE_MAX_LEN])
{
	snprintf(out, LINE_MAX_LEN, "+ %s %llu %llu %llu %llu %s\n", sl_kind_name(t->kind),
		 (unsigned long long)t->epoch, (unsigned long long)t->seq,
		 (unsigned long long)t->rev, (unsigned long long)t->wall_s, t->id);
}

void
cp_tomb_epoch(struct sl_cp *cp)
{
	char line[LINE_MAX_LEN];

	if (cp->epoch.number == 0)
		return;
	snprintf(line, sizeof(line), "E %llu %s\n", (unsigned long long)cp->epoch.number,
		 cp->epoch.id);
	add_line(cp, line);
}

void
cp_tomb_accepted(struct sl_cp *cp)
{
	char line[LINE_MAX_LEN];

	snprintf(line, sizeof(line), "A %llu %s\n", (unsigned long long)cp->accepted.number,
		 cp->accepted.id);
	add_line(cp, line);
}

static bool
read_epoch(const char *line, struct sl_epoch *out)
{
	struct sl_epoch e = {0};
	unsigned long long number;
	char kind;

	if (sscanf(line, "%c %llu %32s", &kind, &number, e.id) != 3 || number == 0)
		return false;
	e.number = number;
	*out = e;
	return true;
}

/* An acceptance outlives the entry into its epoch: a cache that is of the one before is known as
 * that. */
static bool
read_entered(struct sl_cp *cp, const char *line)
{
	if (!read_epoch(line, &cp->seen))
		return false;
	if (!sl_epoch_same(&cp->seen, &cp->accepted))
		cp->accepted = (struct sl_epoch){0};
	return true;
}

/* @return false: no line of ours */
static bool
read_line(struct sl_cp *cp, char *line)
{
	unsigned long long epoch, seq, rev, wall;
	struct cp_tomb t = {0};
	char kind[32];
	int at = 0;

	if (line[0] == 'E')
		return read_entered(cp, line);
	if (line[0] == 'A')
		return read_epoch(line, &cp->accepted);
	if (line[0] == '-') {
		if (sscanf(line, "- %31s %n", kind, &at) != 1 || at == 0 ||
		    sl_kind_parse(kind, &t.kind) != 0)
			return false;
		if (find(cp, t.kind, line + at) != NULL)
			drop(cp, find(cp, t.kind, line + at));
		return true;
	}
	if (sscanf(line, "+ %31s %llu %llu %llu %llu %n", kind, &epoch, &seq, &rev, &wall, &at) !=
		    5 ||
	    at == 0 || sl_kind_parse(kind, &t.kind) != 0 || line[at] == '\0')
		return false;
	t.epoch = epoch;
	t.seq = seq;
	t.rev = rev;
	t.wall_s = wall;
	return enter(cp, &t, line + at) == 0;
}

static void
write_whole(struct sl_cp *cp)
{
	char *text = NULL, line[LINE_MAX_LEN];
	size_t len = 0;
	struct cp_tomb *t;
	FILE *o = open_memstream(&text, &len);

	if (o == NULL)
		return;
	if (cp->seen.number != 0)
		fprintf(o, "E %llu %s\n", (unsigned long long)cp->seen.number, cp->seen.id);
	if (cp->accepted.number != 0)
		fprintf(o, "A %llu %s\n", (unsigned long long)cp->accepted.number, cp->accepted.id);
	TAILQ_FOREACH (t, &cp->tombs, at) {
		line_of(t, line);
		fputs(line, o);
	}
	fclose(o);
	give(cp, text, len, true);
}

/* Once, at the start: nothing runs yet that could wait for it. */
void
cp_tomb_load(struct sl_cp *cp)
{
	struct sl_error e = {0};
	char *text = NULL, *line, *end;
	unsigned bad = 0;
	size_t len;
	int rc;

	if (cp->state_dir == NULL)
		return;
	rc = gw_file_read(cp->state_dir, FILE_NAME, FILE_MAX, &text, &len, &e);
	if (rc != 0) {
		if (rc != -ENOENT)
			sl_log(SL_LOG_ERR, "control", "%s: deleted peers may come back", e.message);
		return;
	}
	for (line = text; *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		if (end == NULL) { /* cut off by a crash */
			bad++;
			break;
		}
		*end = '\0';
		bad += !read_line(cp, line);
	}
	free(text);
	if (bad > 0)
		sl_log(SL_LOG_WARN, "control", "%u lines of %s/" FILE_NAME " are damaged", bad,
		       cp->state_dir);
	write_whole(cp);
}

/* --- deaths --------------------------------------------------------------------------------------
 */

/* A rule that denies may well come back; one that denied at last may not as it was when it allowed.
 */
static bool
gives_access(const struct sl_replica_obj *o)
{
	return keeps(o->kind) &&
	       (o->kind != SL_KIND_RULE || strstr(o->text, "\"action\":\"allow\"") != NULL);
}

void
cp_tomb_add(struct sl_cp *cp, const struct sl_replica_obj *was, uint64_t rev, uint64_t seq)
{
	struct cp_tomb t = {.kind = was->kind,
			    .epoch = cp->epoch.number,
			    .seq = seq,
			    .rev = SL_MAX(rev, was->rev),
			    .wall_s = SL_MAX(gw_wall_ns(cp->gw), cp->source_wall_ns) / SL_NS_PER_S};
	char line[LINE_MAX_LEN];

	if (!keeps(was->kind))
		return;
	if (enter(cp, &t, was->id) != 0) {
		sl_log(SL_LOG_ERR, "control", "no memory to remember that %s %s is deleted",
		       sl_kind_name(was->kind), was->id);
		return;
	}
	line_of(find(cp, was->kind, was->id), line);
	add_line(cp, line);
}

static void
forget(struct sl_cp *cp, struct cp_tomb *t)
{
	char line[LINE_MAX_LEN];

	snprintf(line, sizeof(line), "- %s %s\n", sl_kind_name(t->kind), t->id);
	add_line(cp, line);
	drop(cp, t);
}

void
cp_tomb_clear(struct sl_cp *cp, enum sl_kind k, const char *id, uint64_t rev, uint64_t seq)
{
	struct cp_tomb *t = keeps(k) ? find(cp, k, id) : NULL;

	if (t != NULL && ((t->epoch == cp->epoch.number && seq > t->seq) || rev > t->rev))
		forget(cp, t);
}

/* Alone, a clock that is wrong after the start would forget all of them. */
void
cp_tomb_age(struct sl_cp *cp, uint64_t source_wall_ns)
{
	uint64_t now = gw_wall_ns(cp->gw);
	struct cp_tomb *t;

	cp->source_wall_ns = source_wall_ns;
	if (SL_MAX(now, source_wall_ns) - SL_MIN(now, source_wall_ns) > SKEW_NS)
		return;
	for (unsigned i = 0; i < AGE_BATCH && (t = TAILQ_FIRST(&cp->tombs)) != NULL &&
			     t->wall_s + KEEP_S < now / SL_NS_PER_S;
	     i++)
		forget(cp, t);
}

bool
cp_tomb_blocks(const struct sl_cp *cp, const struct sl_replica_obj *o)
{
	const struct cp_tomb *t;

	if (cp->n_tombs == 0 || !gives_access(o))
		return false;
	t = find(cp, o->kind, o->id);
	if (t == NULL)
		return false;
	if (cp->epoch.number > t->epoch)
		return o->rev <= t->rev;
	/* a boot cache from before the deletion */
	return cp->epoch.number == t->epoch && cp->seq < t->seq;
}

/* --- what an operator sees -----------------------------------------------------------------------
 */

static bool
blocked_now(const struct sl_cp *cp, const struct cp_tomb *t)
{
	struct sl_replica_obj o;

	return sl_replica_get(cp->r, t->kind, t->id, &o) && cp_tomb_blocks(cp, &o);
}

static json_t *
tomb_json(const struct sl_cp *cp, const struct cp_tomb *t)
{
	char text[SL_TIME_STR];

	return json_pack("{s:s, s:s, s:I, s:I, s:I, s:s, s:b}", "kind", sl_kind_name(t->kind), "id",
			 t->id, "epoch", (json_int_t)t->epoch, "seq", (json_int_t)t->seq, "rev",
			 (json_int_t)t->rev, "time", sl_time_str(t->wall_s * SL_NS_PER_S, text),
			 "blocks", (int)blocked_now(cp, t));
}

void
cp_tomb_look(struct sl_cp *cp)
{
	cp->look = TAILQ_FIRST(&cp->tombs);
}

bool
cp_tomb_look_on(struct sl_cp *cp, unsigned *n, json_t *names)
{
	char name[SL_OBJ_ID + 32];

	for (unsigned i = 0; i < LOOK_BATCH && cp->look != NULL; i++) {
		const struct cp_tomb *t = cp->look;

		cp->look = TAILQ_NEXT(t, at);
		if (!blocked_now(cp, t) || (*n)++ >= LOOK_NAMES)
			continue;
		snprintf(name, sizeof(name), "%s/%s", sl_kind_name(t->kind), t->id);
		json_array_append_new(names, json_string(name));
	}
	return cp->look != NULL;
}

unsigned
sl_cp_tombstones(struct sl_cp *cp, unsigned after, unsigned limit, json_t *list)
{
	const struct cp_tomb *t;
	unsigned n = 0;

	TAILQ_FOREACH (t, &cp->tombs, at) {
		if (n >= after && n - after < limit)
			json_array_append_new(list, tomb_json(cp, t));
		n++;
	}
	return n;
}

int
sl_cp_tombstone_confirm(struct sl_cp *cp, const char *kind, const char *id, struct sl_error *e)
{
	struct cp_tomb *t;
	enum sl_kind k;

	if (sl_kind_parse(kind, &k) != 0 || !keeps(k)) {
		sl_fail(e, -EINVAL, "kind_unknown", "/kind", "\"%.40s\" is no kind that is kept",
			kind);
		sl_hint(e, "peer, role_map or rule");
		return -EINVAL;
	}
	t = find(cp, k, id);
	if (t == NULL) {
		sl_fail(e, -ENOENT, "tombstone_unknown", "/id", "no %s \"%.100s\" was deleted",
			kind, id);
		sl_hint(e, "control.tombstones lists them");
		return -ENOENT;
	}
	forget(cp, t);
	if (cp_work_add(cp, k, id) != 0)
		return gw_no_memory(e);
	cp_event(cp, "tombstone_confirmed", "success",
		 json_pack("{s:s, s:s}", "kind", kind, "id", id));
	cp_round(cp);
	return 0;
}

int
sl_cp_saved(struct sl_cp *cp, struct sl_error *e)
{
	bool done = cp_tomb_poll(cp);

	if (!cp->tombs_fail)
		return done ? 0 : 1;
	*e = cp->tomb_write->e;
	return e->err;
}

void
cp_tomb_save(struct sl_cp *cp)
{
	while (!cp_tomb_poll(cp))
		gw_helper_wait(cp->gw->policy->helper, &cp->tomb_write->task);
}

void
cp_tomb_free(struct sl_cp *cp)
{
	struct cp_tomb *t;

	if (cp->tomb_write != NULL && !gw_task_done(&cp->tomb_write->task))
		gw_helper_wait(cp->gw->policy->helper, &cp->tomb_write->task);
	free_write(cp->tomb_write);

	while ((t = TAILQ_FIRST(&cp->tombs)) != NULL)
		drop(cp, t);
	free(cp->lines);
}
