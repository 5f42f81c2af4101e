/* SPDX-License-Identifier: BSD-3-Clause */
/* audit export: the audit of the control plane as a file, whole or not at all. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control.h"

#define ARGS_MAX 8

/** Beside the file, until it is whole: actors and what they changed are for auditors' eyes. */
static FILE *
open_part(const char *part, struct sl_error *e)
{
	int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f) {
		sl_fail(e, -errno, "file", "", "%.200s: %s", part, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	return f;
}

static int
close_part(FILE *f, const char *part, const char *out, int rc, struct sl_error *e)
{
	bool bad = fflush(f) != 0 || fsync(fileno(f)) != 0;

	bad |= fclose(f) != 0;
	if (rc == 0 && (bad || rename(part, out) != 0)) {
		sl_fail(e, -errno, "file", "", "%.200s: %s", out, strerror(errno));
		rc = EXIT_FAILED;
	}
	if (rc != 0)
		unlink(part);
	return rc;
}

static int
fetch(struct rest *r, struct control_request *q, FILE *to, struct sl_error *e)
{
	struct rest_answer a = {0};
	int rc;

	q->to = to;
	rc = control_ask(r, q, &a, e);
	rest_answer_free(&a);
	return rc;
}

static int
fetch_file(struct rest *r, struct control_request *q, const char *out, struct sl_error *e)
{
	char part[4200];
	FILE *f;

	if (snprintf(part, sizeof(part), "%s.part", out) >= (int)sizeof(part)) {
		sl_fail(e, -ENAMETOOLONG, "file", "", "the file's name is too long");
		return EXIT_USAGE;
	}
	f = open_part(part, e);
	return f ? close_part(f, part, out, fetch(r, q, f, e), e) : EXIT_FAILED;
}

/** Take --out FILE out of the words. @return how many are left, -1: not so */
static int
take_out(int argc, char **argv, char *rest[ARGS_MAX], const char **out)
{
	int n = 0;

	*out = NULL;
	for (int i = 0; i < argc; i++) {
		if (strncmp(argv[i], "--out=", 6) == 0)
			*out = argv[i] + 6;
		else if (strcmp(argv[i], "--out") == 0 && i + 1 < argc)
			*out = argv[++i];
		else if (n < ARGS_MAX && strcmp(argv[i], "--out") != 0)
			rest[n++] = argv[i];
		else
			return -1;
	}
	return n;
}

int
audit_export_command(struct rest *r, int argc, char **argv, bool json, struct sl_error *e)
{
	struct control_request q = {0};
	char *rest[ARGS_MAX];
	const char *out;
	int n = take_out(argc, argv, rest, &out), rc;

	if (n < 0) {
		sl_fail(e, -EINVAL, "usage", "", "audit export: a file behind --out is missing");
		return EXIT_USAGE;
	}
	rc = control_parse(&q, op_find("exportAudit"), NULL, n, rest, e) ? EXIT_USAGE : 0;
	if (rc == 0)
		rc = out ? fetch_file(r, &q, out, e) : fetch(r, &q, stdout, e);
	if (rc == 0 && !out && fflush(stdout) != 0) {
		sl_fail(e, -errno, "file", "", "standard output: %s", strerror(errno));
		rc = EXIT_FAILED;
	}
	control_request_free(&q);
	return rc;
}
