/* SPDX-License-Identifier: BSD-3-Clause */
/* Does somebody answer at an address? Asked before two servers become primaries of one log. */
#include <netdb.h>
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

static bool
connects(const char *url)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	char host[256], port[8];
	bool yes = false;

	split(url, host, port);
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return false;
	for (const struct addrinfo *a = list; a != NULL && !yes; a = a->ai_next) {
		int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);

		yes = fd >= 0 && connect(fd, a->ai_addr, a->ai_addrlen) == 0;
		if (fd >= 0)
			close(fd);
	}
	freeaddrinfo(list);
	return yes;
}

/* Names and dead hosts take their time, and neither call can be told how long: a process can. */
bool
control_answers(const char *url)
{
	pid_t child;
	int status;

	if (!control_is_url(url))
		return false;
	child = fork();
	if (child < 0)
		return false;
	if (child == 0) {
		alarm(WAIT_S);
		_exit(connects(url) ? 0 : 1);
	}
	return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}
