/* SPDX-License-Identifier: BSD-3-Clause */
/* What a restart wants to know of each peer: its learned endpoint and its greatest handshake
 * timestamp (D33, C18). Kept in one text file of a memory-backed directory only:
 *
 *	sluice-run 1
 *	INTERFACE PUBLIC-KEY LEARNED CONFIGURED TIMESTAMP
 *
 * with "-" for no endpoint and the timestamp in hex. Saving goes through the peers in slices: first
 * to see whether anything changed, then to write. */
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "gw.h"

#define RUN_FILE "peers"
#define RUN_HEAD "sluice-run 1\n"
#define RUN_FILE_MAX (256U << 20)
#define SAVE_NS SL_NS_PER_S
#define SAVE_MANY_NS (5 * SL_NS_PER_S) /* with more peers than MANY */
#define MANY 4096
#define SLICE 256		      /* peers in one turn */
#define SLICE_LOOK 8192		      /* ids in one turn */
#define CARRY_NS (3600 * SL_NS_PER_S) /* peers of the former run that nobody has configured yet */
#define LINE_MAX_LEN 256

struct former {
	char iface[16];
	struct sl_pubkey key;
	struct gw_run_peer was;
	bool gone; /* taken or forgotten */
};

enum phase { RUN_IDLE, RUN_LOOK, RUN_WRITE };

struct gw_run {
	struct former *former;
	unsigned n_former;
	enum phase phase;
	uint32_t next; /* peer id */
	uint64_t began_ns, start_ns;
	bool changed, warned;
	int fd;
	char path[4096], tmp[4096];
};

/* --- text ----------------------------------------------------------------------------------------
 */

static const char *
endpoint_text(const struct sl_endpoint *ep, char buf[SL_ENDPOINT_STR])
{
	return ep->ip.family == 0 ? "-" : sl_endpoint_str(ep, buf);
}

static int
format(char line[LINE_MAX_LEN], const char *iface, const struct sl_pubkey *key,
       const struct gw_run_peer *r)
{
	char b64[SL_KEY_B64_LEN + 1], learned[SL_ENDPOINT_STR], conf[SL_ENDPOINT_STR];
	char ts[2 * SL_TAI64N_LEN + 1];
	unsigned i;

	sl_key_to_base64(key->b, b64);
	for (i = 0; i < SL_TAI64N_LEN; i++)
		snprintf(ts + 2 * i, 3, "%02x", r->last_ts[i]);
	return snprintf(line, LINE_MAX_LEN, "%s %s %s %s %s\n", iface, b64,
			endpoint_text(&r->learned, learned), endpoint_text(&r->configured, conf),
			ts);
}

static int
parse_endpoint(const char *s, struct sl_endpoint *ep)
{
	if (strcmp(s, "-") != 0)
		return sl_endpoint_parse(s, ep);
	*ep = (struct sl_endpoint){0};
	return 0;
}

static int
parse_line(const char *line, struct former *f)
{
	char key[64], learned[64], conf[64], ts[32];
	unsigned i, byte;

	*f = (struct former){0};
	if (sscanf(line, "%15s %63s %63s %63s %31s", f->iface, key, learned, conf, ts) != 5 ||
	    strlen(ts) != 2 * SL_TAI64N_LEN || sl_key_from_base64(key, f->key.b) != 0 ||
	    parse_endpoint(learned, &f->was.learned) != 0 ||
	    parse_endpoint(conf, &f->was.configured) != 0)
		return -EINVAL;
	for (i = 0; i < SL_TAI64N_LEN; i++) {
		if (sscanf(ts + 2 * i, "%2x", &byte) != 1)
			return -EINVAL;
		f->was.last_ts[i] = (uint8_t)byte;
	}
	return 0;
}

/* --- loading -------------------------------------------------------------------------------------
 */

static int
former_cmp(const void *a, const void *b)
{
	const struct former *x = a, *y = b;
	int c = strcmp(x->iface, y->iface);

	return c != 0 ? c : memcmp(x->key.b, y->key.b, SL_KEY_LEN);
}

static void
parse_file(struct gw_run *run, char *text)
{
	unsigned lines = 0, bad = 0;
	char *p, *end;

	for (p = text; *p != '\0'; p++)
		lines += *p == '\n';
	run->former = calloc(lines + 1, sizeof(*run->former));
	if (run->former == NULL || strncmp(text, RUN_HEAD, strlen(RUN_HEAD)) != 0) {
		sl_log(SL_LOG_WARN, "run", "%s is not usable; endpoints are learned anew",
		       run->path);
		return;
	}
	for (p = text + strlen(RUN_HEAD); (end = strchr(p, '\n')) != NULL; p = end + 1) {
		*end = '\0';
		if (parse_line(p, &run->former[run->n_former]) == 0)
			run->n_former++;
		else
			bad++;
	}
	if (bad > 0)
		sl_log(SL_LOG_WARN, "run", "%s: %u lines are not usable", run->path, bad);
	qsort(run->former, run->n_former, sizeof(*run->former), former_cmp);
}

static bool
memory_backed(const char *dir)
{
	struct statfs st;

	return statfs(dir, &st) == 0 && (st.f_type == TMPFS_MAGIC || st.f_type == RAMFS_MAGIC);
}

void
gw_run_load(struct sl_gw *gw)
{
	struct sl_error e;
	struct gw_run *run;
	char *text = NULL;
	size_t len;

	if (gw->run_dir == NULL)
		return;
	if (gw_dir_make(gw->run_dir, &e) != 0) {
		sl_log(SL_LOG_WARN, "run", "%s; endpoints are not kept across a restart",
		       e.message);
		return;
	}
	if (!memory_backed(gw->run_dir)) {
		sl_log(SL_LOG_WARN, "run",
		       "%s is not memory-backed (tmpfs); endpoints are not kept across a restart",
		       gw->run_dir);
		return;
	}
	run = calloc(1, sizeof(*run));
	if (run == NULL)
		return;
	run->fd = -1;
	run->start_ns = run->began_ns = gw_mono_ns(gw);
	snprintf(run->path, sizeof(run->path), "%s/%s", gw->run_dir, RUN_FILE);
	snprintf(run->tmp, sizeof(run->tmp), "%s/%s.new", gw->run_dir, RUN_FILE);
	gw->run = run;
	if (gw_file_read(gw->run_dir, RUN_FILE, RUN_FILE_MAX, &text, &len, &e) == 0) {
		parse_file(run, text);
		free(text);
	}
}

static struct former *
find(struct gw_run *run, const char *iface, const struct sl_pubkey *key)
{
	struct former k = {.key = *key}, *f;

	if (run == NULL || run->n_former == 0)
		return NULL;
	snprintf(k.iface, sizeof(k.iface), "%s", iface);
	f = bsearch(&k, run->former, run->n_former, sizeof(k), former_cmp);
	return f != NULL && !f->gone ? f : NULL;
}

bool
gw_run_take(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key,
	    struct gw_run_peer *out)
{
	struct former *f = find(gw->run, iface, key);

	if (f == NULL)
		return false;
	f->gone = true;
	*out = f->was;
	return true;
}

void
gw_run_forget(struct sl_gw *gw, const char *iface, const struct sl_pubkey *key)
{
	struct former *f = find(gw->run, iface, key);

	if (f != NULL)
		f->gone = true;
	if (gw->run != NULL)
		gw->run->changed = true;
}

/* --- saving --------------------------------------------------------------------------------------
 */

/* What is known of a peer now. @return its digest, 0: nothing worth keeping */
static uint64_t
look(struct sl_gw *gw, struct gw_peer *p, struct gw_run_peer *r)
{
	static const uint8_t zero[SL_TAI64N_LEN];
	struct sl_hs_peer_view hs = {0};
	struct sl_peer_path path;

	sl_peer_path_read(p->p, &path);
	if (path.outer.dst.family != 0)
		p->learned = (struct sl_endpoint){.ip = path.outer.dst, .port = path.outer.dport};
	if (gw->conf.hs != NULL)
		sl_hs_peer_view(p->p, &hs);
	if (memcmp(hs.last_ts, p->last_ts, SL_TAI64N_LEN) > 0) /* big-endian: in time order */
		memcpy(p->last_ts, hs.last_ts, SL_TAI64N_LEN);
	memset(r, 0, sizeof(*r));
	r->learned = p->learned;
	r->configured = p->endpoint;
	memcpy(r->last_ts, p->last_ts, SL_TAI64N_LEN);
	if (r->learned.ip.family == 0 && memcmp(r->last_ts, zero, SL_TAI64N_LEN) == 0)
		return 0;
	return sl_siphash(gw->hash_key, r, sizeof(*r)) | 1;
}

static int
put(struct gw_run *run, const char *text, size_t len)
{
	return write(run->fd, text, len) == (ssize_t)len ? 0 : -1;
}

/* One slice of peers; in the writing phase their lines go to the file. */
static int
slice(struct sl_gw *gw, struct gw_run *run)
{
	uint32_t end = SL_MIN(run->next + SLICE_LOOK, gw->next_id);
	char text[SLICE * LINE_MAX_LEN];
	struct gw_run_peer r;
	unsigned n = 0;
	size_t len = 0;
	uint64_t digest;

	for (; run->next < end && n < SLICE; run->next++) {
		struct sl_peer *dp = sl_peer_get(gw->dp->peers, run->next);
		struct gw_peer *p = dp != NULL ? dp->ctl_priv : NULL;

		if (p == NULL || p->iface == NULL)
			continue;
		n++;
		digest = look(gw, p, &r);
		run->changed |= digest != p->saved;
		if (run->phase != RUN_WRITE)
			continue;
		p->saved = digest;
		if (digest != 0)
			len += (size_t)format(text + len, p->iface->name, &p->p->key, &r);
	}
	return len > 0 ? put(run, text, len) : 0;
}

static int
put_former(struct sl_gw *gw, struct gw_run *run)
{
	char line[LINE_MAX_LEN];
	unsigned i;

	if (gw_mono_ns(gw) - run->start_ns > CARRY_NS)
		run->n_former = 0;
	for (i = 0; i < run->n_former; i++) {
		const struct former *f = &run->former[i];

		if (!f->gone &&
		    put(run, line, (size_t)format(line, f->iface, &f->key, &f->was)) != 0)
			return -1;
	}
	return 0;
}

static void
write_begin(struct gw_run *run)
{
	run->phase = RUN_WRITE;
	run->next = 0;
	run->fd = open(run->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
}

static void
write_end(struct gw_run *run, bool ok)
{
	if (run->fd >= 0)
		close(run->fd);
	run->fd = -1;
	run->phase = RUN_IDLE;
	ok = ok && rename(run->tmp, run->path) == 0;
	run->changed = !ok; /* tried again at the next pass */
	if (!ok && !run->warned)
		sl_log(SL_LOG_WARN, "run", "%s cannot be written", run->path);
	run->warned = !ok;
}

/* @return false when the pass has come to its end */
static bool
step(struct sl_gw *gw, struct gw_run *run)
{
	bool ok = run->phase != RUN_WRITE || run->fd >= 0;

	if (ok && run->phase == RUN_WRITE && run->next == 0)
		ok = put(run, RUN_HEAD, strlen(RUN_HEAD)) == 0;
	ok = ok && slice(gw, run) == 0;
	if (ok && run->next < gw->next_id)
		return true;
	if (run->phase == RUN_LOOK && run->changed) {
		write_begin(run);
		return true;
	}
	if (run->phase == RUN_WRITE)
		write_end(run, ok && put_former(gw, run) == 0);
	run->phase = RUN_IDLE;
	return false;
}

unsigned
gw_run_poll(struct sl_gw *gw)
{
	struct gw_run *run = gw->run;
	uint64_t now_ns;

	if (run == NULL)
		return 0;
	if (run->phase != RUN_IDLE) {
		step(gw, run);
		return 1;
	}
	now_ns = gw_mono_ns(gw);
	if (now_ns - run->began_ns < (gw->n_peers > MANY ? SAVE_MANY_NS : SAVE_NS))
		return 0;
	run->began_ns = now_ns;
	run->next = 0;
	run->phase = RUN_LOOK;
	return 1;
}

void
gw_run_save(struct sl_gw *gw)
{
	struct gw_run *run = gw->run;

	if (run == NULL)
		return;
	if (run->phase == RUN_WRITE)
		write_end(run, false);
	run->phase = RUN_LOOK;
	run->next = 0;
	while (step(gw, run))
		;
}

void
gw_run_free(struct sl_gw *gw)
{
	if (gw->run == NULL)
		return;
	if (gw->run->fd >= 0) {
		close(gw->run->fd);
		unlink(gw->run->tmp);
	}
	free(gw->run->former);
	free(gw->run);
	gw->run = NULL;
}
