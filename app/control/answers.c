/* SPDX-License-Identifier: BSD-3-Clause */
/* Does somebody answer at an address? Asked before two servers become primaries of one log. */
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"
#include "sl_env.h"

#define WAIT_S 5 /* for its name, and again for its addresses */

/** "https://HOST[:PORT][/]", the host in brackets where it is an IPv6 address. */
static void
split(const char *url, char host[256], char port[8])
{
	const char *at = url + strlen("https://"), *end;
	bool bracket = at[0] == '[';

	at += bracket;
	end = at + strcspn(at, bracket ? "]" : ":/");
	snprintf(host, 256, "%.*s", (int)(end - at), at);
	end += bracket && end[0] == ']';
	snprintf(port, 8, "%.*s", end[0] == ':' ? (int)strcspn(end + 1, "/") : 3,
		 end[0] == ':' ? end + 1 : "443");
}

/** What the child ends with. */
enum answer { ANSWER_YES, ANSWER_NO, ANSWER_UNKNOWN, ANSWER_NAMELESS };

/** A call failed: for want of something here, or because of what is there? */
static enum answer
failed(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS ? ANSWER_UNKNOWN
										 : ANSWER_NO;
}

/** How far it came: to an answer, or to its error. */
static enum answer
outcome(int err)
{
	return err == 0 ? ANSWER_YES : failed(err);
}

/** @return 0: it is under way or there, poll() tells; else an errno */
static int
dial(const struct addrinfo *a, struct pollfd *out)
{
	*out = (struct pollfd){.fd = socket(a->ai_family,
					    a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
					    a->ai_protocol),
			       .events = POLLOUT};
	if (out->fd < 0)
		return errno;
	if (connect(out->fd, a->ai_addr, a->ai_addrlen) == 0 || errno == EINPROGRESS)
		return 0;
	close(out->fd);
	out->fd = -1;
	return errno;
}

/** Those that have come to an end. @return how many still have not */
static unsigned
look(struct pollfd *v, unsigned n, enum answer *all)
{
	unsigned open = 0;

	for (unsigned i = 0; i < n && *all != ANSWER_YES; i++) {
		int err = 0;
		socklen_t len = sizeof(err);

		open += v[i].fd >= 0 && v[i].revents == 0;
		if (v[i].fd < 0 || v[i].revents == 0)
			continue;
		if (getsockopt(v[i].fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
			err = errno;
		close(v[i].fd);
		v[i].fd = -1;
		if (outcome(err) != ANSWER_NO)
			*all = outcome(err);
	}
	return open;
}

/** All at once, for one that is silent says nothing of the others. */
static enum answer
ask_addresses(const struct addrinfo *list)
{
	uint64_t end_ns = sl_clock_mono_ns() + WAIT_S * SL_NS_PER_S, now_ns;
	enum answer all = ANSWER_NO;
	struct pollfd *v;
	unsigned n = 0, open;
	int left_ms;

	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		n++;
	v = calloc(n + 1, sizeof(*v));
	if (v == NULL)
		return ANSWER_UNKNOWN;
	n = 0;
	for (const struct addrinfo *a = list; a != NULL; a = a->ai_next)
		if (failed(dial(a, &v[n++])) == ANSWER_UNKNOWN)
			all = ANSWER_UNKNOWN;
	do {
		open = look(v, n, &all);
		now_ns = sl_clock_mono_ns();
		left_ms = now_ns < end_ns ? (int)((end_ns - now_ns) / 1000000 + 1) : 0;
		if (open > 0 && all != ANSWER_YES && left_ms > 0 && poll(v, n, left_ms) < 0)
			all = ANSWER_UNKNOWN;
	} while (open > 0 && all != ANSWER_YES && left_ms > 0);
	for (unsigned i = 0; i < n; i++)
		if (v[i].fd >= 0)
			close(v[i].fd);
	free(v);
	return all;
}

static enum answer
ask(const char *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char host[256], port[8];
	enum answer all;
	int rc;

	split(url, host, port);
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc == EAI_NONAME || rc == EAI_NODATA)
		return ANSWER_NO; /* nobody has that name */
	if (rc != 0)
		return rc == EAI_MEMORY || rc == EAI_SYSTEM ? ANSWER_UNKNOWN : ANSWER_NAMELESS;
	alarm(0);
	all = ask_addresses(list);
	freeaddrinfo(list);
	return all;
}

static int
unknown(const char *url, const char *why, struct sl_error *e)
{
	sl_fail(e, -EIO, "primary_unknown", "", "cannot find out whether %.160s answers: %s", url,
		why);
	sl_hint(e, "try again; --force if you know that no primary runs there");
	return -EIO;
}

/** How the child ended: by its alarm while it asked for the name. */
static int
answer_of(int status, const char *url, struct sl_error *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_YES)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_NO)
		return 0;
	if ((WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_NAMELESS) ||
	    (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM))
		return unknown(url, "its name cannot be resolved at present", e);
	return unknown(url, "this host is short of memory or descriptors", e);
}

/* Names take their time, and that call cannot be told how long: a process can. */
int
control_answers(const char *url, struct sl_error *e)
{
	pid_t child;
	int status;

	if (!control_is_url(url))
		return 0;
	signal(SIGCHLD, SIG_DFL); /* who is told to ignore it cannot wait for a child */
	child = fork();
	if (child == 0) {
		signal(SIGALRM, SIG_DFL);
		alarm(WAIT_S);
		_exit(ask(url));
	}
	if (child < 0 || waitpid(child, &status, 0) != child)
		return unknown(url, strerror(errno), e);
	return answer_of(status, url, e);
}
