/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * JSON lines in a file, written by a thread of its own, so that a disk that stalls holds back
 * nothing else. Only whole lines: what a short write left of one is cut off again.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "drain_int.h"
#include "file_chain.h"
#include "sink.h"
#include "sl_env.h"
#include "sl_log.h"

#define BATCH 512
#define BATCH_BYTES (1U << 20)
#define RETRY_MS 50
#define WAIT_MS 500
#define KEEP_MAX 1000

struct file {
	struct sl_sink s;
	int fd;
	uint64_t size;		 /* w: writer */
	struct file_chain chain; /* w: writer */
	uint64_t failing_ns;	 /* since when, 0: not */
	uint64_t next_rotate_ns; /* not before, after one that failed */
	pthread_t thread;
	bool running;
	_Atomic bool reopen; /* w: drain sets, writer clears */
	_Atomic bool stop;   /* w: drain */
	_Atomic uint64_t deadline_ns;
};

static struct file *
of(struct sl_sink *s)
{
	return SL_CONTAINER_OF(s, struct file, s);
}

/** @return a descriptor, or a negative errno; *size is the file's */
static int
open_file(const struct file *f, uint64_t *size)
{
	int flags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = open(f->s.conf.path, flags, 0640);
	const struct sl_sink_env *env = f->s.env;
	struct stat st;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	/* after a change of user it must still be ours to open again */
	if (env->owner != UINT32_MAX && st.st_uid == geteuid() && st.st_uid != env->owner)
		(void)!fchown(fd, env->owner, env->group);
	*size = (uint64_t)st.st_size;
	return fd;
}

static void seal(struct file *f, const char *why);

/** NAME.2 -> NAME.3, NAME.1 -> NAME.2, NAME -> NAME.1, and a new NAME. */
static int
rotate(struct file *f)
{
	unsigned keep = f->s.conf.keep, i;
	char from[PATH_MAX], to[PATH_MAX];
	uint64_t size;
	int fd;

	for (i = keep; i > 0; i--) {
		if (i == 1)
			snprintf(from, sizeof(from), "%s", f->s.conf.path);
		else
			snprintf(from, sizeof(from), "%s.%u", f->s.conf.path, i - 1);
		snprintf(to, sizeof(to), "%s.%u", f->s.conf.path, i);
		if (rename(from, to) != 0 && (i == 1 || errno != ENOENT))
			return -errno;
	}
	fd = open_file(f, &size);
	if (fd < 0)
		return fd;
	close(f->fd);
	f->fd = fd;
	f->size = size;
	return 0;
}

static void
rotate_if_due(struct file *f, size_t bytes, uint64_t now_ns)
{
	uint64_t max = f->s.conf.rotate_bytes;
	struct stat st;
	int rc;

	if (max > 0 && fstat(f->fd, &st) == 0) /* others may have emptied it */
		f->size = (uint64_t)st.st_size;
	if (max == 0 || f->size == 0 || f->size + bytes <= max || now_ns < f->next_rotate_ns)
		return;
	seal(f, "checkpoint"); /* the file is signed to its end */
	rc = rotate(f);
	if (rc == 0) {
		f->chain.begin = true;
		return;
	}
	f->next_rotate_ns = now_ns + SL_NS_PER_S;
	sl_sink_set(&f->s, SL_SINK_DOWN, "cannot rotate: %s", strerror(-rc));
	sl_sink_set(&f->s, SL_SINK_UP, NULL);
}

static bool
same_file(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev &&
	       x.st_ino == y.st_ino;
}

static void
reopen_if_asked(struct file *f)
{
	uint64_t size;
	int fd;

	if (!atomic_exchange_explicit(&f->reopen, false, memory_order_relaxed))
		return;
	fd = open_file(f, &size);
	if (fd < 0) {
		sl_sink_set(&f->s, SL_SINK_DOWN, "cannot open again: %s", strerror(-fd));
		return;
	}
	if (!same_file(f->fd, fd)) {
		seal(f, "checkpoint");
		f->chain.begin = true;
	}
	close(f->fd);
	f->fd = fd;
	f->size = size;
}

/** Take a part of a line from the end of the file. */
static void
cut_off(struct file *f, ssize_t bytes)
{
	struct stat st;

	if (fstat(f->fd, &st) != 0 || st.st_size < bytes ||
	    ftruncate(f->fd, st.st_size - bytes) != 0)
		sl_log(SL_LOG_ERR, "audit", "sink %s: part of a line stays in %s: %s",
		       f->s.conf.name, f->s.conf.path, strerror(errno));
}

/**
 * One writev of lines that stand at the end of the file whole or not at all.
 * @return how many whole lines, or a negative errno
 */
static int
write_lines(struct file *f, struct sl_line *const *l, unsigned n)
{
	struct iovec iov[BATCH];
	unsigned i;
	ssize_t k;

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){l[i]->text, l[i]->len};
	do
		k = writev(f->fd, iov, (int)n);
	while (k < 0 && errno == EINTR);
	if (k < 0)
		return -errno;
	for (i = 0; i < n && (size_t)k >= l[i]->len; i++)
		k -= (ssize_t)l[i]->len;
	if (k > 0)
		cut_off(f, k);
	return i > 0 ? (int)i : -ENOSPC;
}

/* --- the chain -------------------------------------------------------------------------------- */

/** For who asks how the sink does. */
static void
tell_chain(struct file *f)
{
	pthread_mutex_lock(&f->s.q.lock);
	f->s.chain = f->chain.at;
	pthread_mutex_unlock(&f->s.q.lock);
}

/** @return 0 or negative errno: nothing was written */
static int
write_seal(struct file *f, const char *why)
{
	struct sl_seal_chain at = f->chain.at;
	struct sl_line *l = file_chain_seal(&f->chain, &at, why);
	int k = l != NULL ? write_lines(f, &l, 1) : -ENOMEM;

	if (k != 1) {
		sl_line_unref(l);
		return k;
	}
	file_chain_wrote(&f->chain, &at, 1, true);
	tell_chain(f);
	sl_queue_own(&f->s.q, 1);
	drain_offer(f->s.env->drain, l);
	return 0;
}

/** A seal that others get too, if anything is new. One that cannot be written is tried again later.
 */
static void
seal(struct file *f, const char *why)
{
	if (f->chain.since_seal > 0 && write_seal(f, why) != 0)
		f->chain.since_ns = drain_mono(f->s.env->drain);
}

static bool
is_admin(const struct sl_line *l)
{
	return l->kind != SL_LINE_FLOW;
}

/** A file's first record of the chain is a seal; also of one that others have emptied. */
static int
begin_chain(struct file *f)
{
	struct stat st;
	int rc;

	if (!f->chain.begin && (fstat(f->fd, &st) != 0 || st.st_size > 0))
		return 0;
	rc = write_seal(f, f->chain.why);
	if (rc != 0)
		return rc;
	f->chain.begin = false;
	f->chain.why = "continue";
	return 0;
}

/** Lines of which some are in the chain: as write_lines(). What is not written is not in it. */
static int
write_chained(struct file *f, struct sl_line *const *l, unsigned n)
{
	struct sl_seal_chain at = f->chain.at, after[BATCH];
	struct sl_line *out[BATCH];
	unsigned made, i, admin = 0;
	int k = begin_chain(f);

	if (k != 0)
		return k;
	at = f->chain.at;
	for (made = 0; made < n; made++) {
		out[made] = is_admin(l[made]) ? file_chain_link(&f->chain, &at, l[made])
					      : sl_line_ref(l[made]);
		if (out[made] == NULL)
			break;
		after[made] = at;
	}
	k = made > 0 ? write_lines(f, out, made) : -ENOMEM;
	for (i = 0; (int)i < k; i++)
		admin += is_admin(l[i]);
	if (admin > 0) {
		file_chain_wrote(&f->chain, &after[k - 1], admin, false);
		tell_chain(f);
	}
	for (i = 0; i < made; i++)
		sl_line_unref(out[i]);
	return k;
}

static int
write_any(struct file *f, struct sl_line *const *l, unsigned n)
{
	for (unsigned i = 0; file_chain_on(&f->chain) && i < n; i++)
		if (is_admin(l[i]))
			return write_chained(f, l, n);
	return write_lines(f, l, n);
}

/** Before anything is written: where did the chain end? What a crash left of a line goes. */
static void
find_chain(struct file *f)
{
	struct stat st;
	uint64_t whole;

	if (!file_chain_on(&f->chain) || f->chain.found)
		return;
	file_chain_find(&f->chain, &whole);
	if (fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > whole)
		cut_off(f, st.st_size - (off_t)whole);
}

static enum sl_dropped
reason(int err)
{
	return err == -ENOSPC || err == -EDQUOT || err == -EFBIG ? SL_DROPPED_NO_SPACE
								 : SL_DROPPED_WRITE;
}

static bool
give_up(struct file *f, uint64_t now_ns)
{
	return f->s.env->lockstep || now_ns - f->failing_ns >= f->s.flush_ns ||
	       (atomic_load_explicit(&f->stop, memory_order_acquire) &&
		now_ns >= atomic_load_explicit(&f->deadline_ns, memory_order_relaxed));
}

static void
pause_ms(unsigned ms)
{
	struct timespec ts = {.tv_nsec = (long)ms * 1000000L};

	nanosleep(&ts, NULL);
}

static void
write_batch(struct file *f, struct sl_line *const *l, unsigned n)
{
	size_t bytes = 0;
	uint64_t now;
	unsigned i;
	int k;

	for (i = 0; i < n; i++)
		bytes += l[i]->len;
	rotate_if_due(f, bytes, sl_clock_mono_ns());
	for (i = 0; i < n;) {
		reopen_if_asked(f);
		k = write_any(f, l + i, n - i);
		if (k > 0) {
			sl_queue_ack(&f->s.q, l + i, (unsigned)k);
			i += (unsigned)k;
			f->failing_ns = 0;
			sl_sink_set(&f->s, SL_SINK_UP, NULL);
			continue;
		}
		now = sl_clock_mono_ns();
		if (f->failing_ns == 0)
			f->failing_ns = now;
		sl_sink_set(&f->s, SL_SINK_DOWN, "%s", strerror(-k));
		if (give_up(f, now)) {
			sl_queue_drop(&f->s.q, l + i, n - i, reason(k));
			return;
		}
		pause_ms(RETRY_MS);
	}
}

static bool
write_some(struct file *f)
{
	struct sl_line *l[BATCH];
	size_t room = BATCH_BYTES;
	unsigned n;

	if (f->s.conf.rotate_bytes > 0)
		room = (size_t)SL_MIN((uint64_t)room, f->s.conf.rotate_bytes);
	n = sl_queue_take(&f->s.q, l, BATCH, room, 0);
	if (n > 0)
		write_batch(f, l, n);
	else
		reopen_if_asked(f);
	return n > 0;
}

static void *
writer(void *arg)
{
	struct file *f = arg;

	sl_drain_thread_setup("sl-audit-file", f->s.env->cpus, f->s.env->n_cpus);
	find_chain(f);
	for (;;) {
		bool more = write_some(f);

		if (file_chain_due(&f->chain))
			seal(f, "checkpoint");
		if (more)
			continue;
		if (atomic_load_explicit(&f->stop, memory_order_acquire)) {
			seal(f, "stop");
			return NULL;
		}
		sl_queue_wait(&f->s.q, WAIT_MS);
	}
}

static void
turn(struct sl_sink *s, uint64_t now_ns)
{
	(void)now_ns;
	if (!s->env->lockstep)
		return;
	find_chain(of(s));
	while (write_some(of(s)))
		;
	if (file_chain_due(&of(s)->chain))
		seal(of(s), "checkpoint");
}

static void
reopen(struct sl_sink *s)
{
	atomic_store_explicit(&of(s)->reopen, true, memory_order_relaxed);
	sl_queue_kick(&s->q);
}

static bool
stop(struct sl_sink *s, uint64_t deadline_ns)
{
	struct file *f = of(s);
	uint64_t now = sl_clock_mono_ns(), left = deadline_ns > now ? deadline_ns - now : 0;
	struct timespec until;

	if (s->env->lockstep)
		seal(f, "stop");
	if (!f->running)
		return true;
	atomic_store_explicit(&f->deadline_ns, deadline_ns, memory_order_relaxed);
	atomic_store_explicit(&f->stop, true, memory_order_release);
	sl_queue_kick(&s->q);
	clock_gettime(CLOCK_REALTIME, &until);
	left += 100 * SL_NS_PER_MS + (uint64_t)until.tv_nsec;
	until.tv_sec += (time_t)(left / SL_NS_PER_S);
	until.tv_nsec = (long)(left % SL_NS_PER_S);
	if (pthread_timedjoin_np(f->thread, NULL, &until) != 0) {
		sl_log(SL_LOG_WARN, "audit", "sink %s: the disk does not answer, left behind",
		       s->conf.name);
		pthread_detach(f->thread);
		return false;
	}
	f->running = false;
	return true;
}

static void
destroy(struct sl_sink *s)
{
	struct file *f = of(s);

	if (f->fd >= 0)
		close(f->fd);
	sl_queue_free(&s->q);
	free(f);
}

static const struct sl_sink_ops ops = {turn, reopen, stop, destroy};

struct sl_sink *
sl_sink_file_new(const struct sl_sink_env *env)
{
	struct file *f = calloc(1, sizeof(*f));

	(void)env;
	if (f == NULL)
		return NULL;
	f->fd = -1;
	f->s.ops = &ops;
	return &f->s;
}

int
sl_sink_file_open(struct sl_sink *s, struct sl_error *e)
{
	struct file *f = of(s);
	int rc;

	if (s->conf.path == NULL || s->conf.path[0] != '/' || strlen(s->conf.path) > PATH_MAX - 16)
		return sl_fail(e, -EINVAL, "sink_invalid", "/path",
			       "a file sink needs an absolute path");
	if (s->conf.rotate_bytes > 0 && (s->conf.keep < 1 || s->conf.keep > KEEP_MAX))
		return sl_fail(e, -EINVAL, "sink_invalid", "/keep",
			       "a file that is rotated keeps 1 to %u old ones", KEEP_MAX);
	snprintf(s->target, sizeof(s->target), "%.300s", s->conf.path);
	file_chain_init(&f->chain, s->env, s->conf.path);
	f->fd = open_file(f, &f->size);
	if (f->fd < 0) {
		sl_fail(e, f->fd, "sink_file", "/path", "%s: %s", s->conf.path,
			f->fd == -EINVAL ? "not a file" : strerror(-f->fd));
		sl_hint(e, "make its directory, writable for the gateway's user");
		return f->fd;
	}
	s->state = SL_SINK_UP;
	if (s->env->lockstep)
		return 0;
	rc = pthread_create(&f->thread, NULL, writer, f);
	f->running = rc == 0;
	if (rc != 0)
		return sl_fail(e, -rc, "no_memory", "", "no thread for a sink: %s", strerror(rc));
	return 0;
}
