/* SPDX-License-Identifier: BSD-3-Clause */
/* Backups: copied by a thread of their own, while the server goes on. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "call.h"

struct job {
	struct sl_call *c; /* NULL: nobody waits any more */
	struct event *ev;
	pthread_t thread;
	int pipe[2]; /* the thread closes its end when it is done */
	char from[256], to[320];
	uint64_t seq;
	int rc;
	struct sl_error e;
};

static void *
copy(void *arg)
{
	struct job *j = arg;

	j->rc = sl_store_backup(j->from, j->to, &j->e);
	close(j->pipe[1]);
	return NULL;
}

static void
job_free(struct job *j)
{
	if (j->ev != NULL)
		event_free(j->ev);
	close(j->pipe[0]);
	free(j);
}

static int
answer(struct job *j)
{
	struct stat st;

	if (j->rc != 0)
		return j->rc;
	if (stat(j->to, &st) != 0)
		return sl_fail(&j->e, -errno, "store_io", "", "%s: %s", j->to, strerror(errno));
	return sl_call_answer(j->c, 201,
			      json_pack("{s:s, s:I, s:I}", "file", j->to, "bytes",
					(json_int_t)st.st_size, "seq", (json_int_t)j->seq),
			      &j->e);
}

static void
copied(evutil_socket_t fd, short what, void *arg)
{
	struct job *j = arg;
	struct sl_error e;
	int rc;

	pthread_join(j->thread, NULL);
	j->c->pending = NULL;
	rc = answer(j);
	e = j->e;
	sl_call_finish(j->c, rc, &e);
	job_free(j);
}

/** The server ends: the copy does too, soon. */
static void
cancel(struct sl_call *c)
{
	struct job *j = c->pending;

	if (j == NULL)
		return;
	pthread_join(j->thread, NULL);
	job_free(j);
}

static int
make_paths(struct sl_call *c, struct job *j, struct sl_error *e)
{
	time_t now = (time_t)(sl_rest_wall_ns() / 1000000000);
	char dir[280], stamp[32];
	struct tm tm;

	snprintf(dir, sizeof(dir), "%s/backup", c->rest->state_dir);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return sl_fail(e, -EIO, "store_io", "", "%s: %s", dir, strerror(errno));
	gmtime_r(&now, &tm);
	strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
	snprintf(j->from, sizeof(j->from), "%s/store.db", c->rest->state_dir);
	snprintf(j->to, sizeof(j->to), "%.260s/store-%s-%.8s.db", dir, stamp, c->id);
	j->seq = sl_store_head(c->store);
	return 0;
}

/** The directory is there; nothing else is to be tried. */
static int
dry_run(struct sl_call *c, struct sl_error *e)
{
	return sl_call_answer(c, 200,
			      json_pack("{s:b, s:[], s:[]}", "dry_run", 1, "diff", "gateways"), e);
}

static int
start(struct sl_call *c, struct job *j, struct sl_error *e)
{
	j->ev = event_new(c->rest->c.base, j->pipe[0], EV_READ, copied, j);
	if (j->ev == NULL || event_add(j->ev, NULL) != 0 ||
	    pthread_create(&j->thread, NULL, copy, j) != 0)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no thread for the backup");
	c->pending = j;
	c->cancel = cancel;
	return SL_CALL_LATER;
}

int
sl_op_create_backup(struct sl_call *c, struct sl_error *e)
{
	struct job *j = calloc(1, sizeof(*j));
	int rc;

	if (j == NULL || pipe2(j->pipe, O_CLOEXEC) != 0) {
		free(j);
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory for the backup");
	}
	j->c = c;
	rc = make_paths(c, j, e);
	if (rc == 0)
		rc = sl_call_dry_run(c) ? dry_run(c, e) : start(c, j, e);
	if (rc == SL_CALL_LATER)
		return rc;
	close(j->pipe[1]);
	job_free(j);
	return rc;
}
