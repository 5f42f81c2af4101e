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
	rc = rotate(f);
	if (rc == 0)
		return;
	f->next_rotate_ns = now_ns + SL_NS_PER_S;
	sl_sink_set(&f->s, SL_SINK_DOWN, "cannot rotate: %s", strerror(-rc));
	sl_sink_set(&f->s, SL_SINK_UP, NULL);
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
		k = write_lines(f, l + i, n - i);
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
	for (;;) {
		if (write_some(f))
			continue;
		if (atomic_load_explicit(&f->stop, memory_order_acquire))
			return NULL;
		sl_queue_wait(&f->s.q, WAIT_MS);
	}
}

static void
turn(struct sl_sink *s, uint64_t now_ns)
{
	(void)now_ns;
	while (s->env->lockstep && write_some(of(s)))
		;
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
