/* SPDX-License-Identifier: BSD-3-Clause */
/* Does somebody answer at an address? Asked before two servers become primaries of one log. */
#include <errno.h>
#include <netdb.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control.h"

#define WAIT_S 5

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
enum answer { ANSWER_YES, ANSWER_NO, ANSWER_UNKNOWN };

/** A call failed: for want of something here, or because of what is there? */
static enum answer
failed(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOMEM || err == ENOBUFS ? ANSWER_UNKNOWN
										 : ANSWER_NO;
}

static enum answer
ask_address(const struct addrinfo *a)
{
	int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol), err;

	if (fd < 0)
		return failed(errno);
	err = connect(fd, a->ai_addr, a->ai_addrlen) == 0 ? 0 : errno;
	close(fd);
	return err == 0 ? ANSWER_YES : failed(err);
}

static enum answer
ask(const char *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	enum answer all = ANSWER_NO, one;
	char host[256], port[8];
	int rc;

	split(url, host, port);
	rc = getaddrinfo(host, port, &hints, &list);
	if (rc != 0)
		return rc == EAI_MEMORY || rc == EAI_SYSTEM ? ANSWER_UNKNOWN : ANSWER_NO;
	for (const struct addrinfo *a = list; a != NULL && all != ANSWER_YES; a = a->ai_next) {
		one = ask_address(a);
		if (one != ANSWER_NO)
			all = one;
	}
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

/** How the child ended. One that ran out of time got no answer. */
static int
answer_of(int status, const char *url, struct sl_error *e)
{
	if (WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_YES)
		return 1;
	if (WIFEXITED(status) && WEXITSTATUS(status) == ANSWER_NO)
		return 0;
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM)
		return 0;
	return unknown(url, "this host is short of memory or descriptors", e);
}

/* Names and dead hosts take their time, and neither call can be told how long: a process can. */
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
