/* SPDX-License-Identifier: BSD-3-Clause */
#include "accepted_epoch.h"

#include <stdlib.h>

#include "sl_file.h"

#define FILE_NAME "epoch-accepted"
#define FILE_PATH (CONTROL_PATH + 32)

bool
accepted_epoch_is_id(const char *text)
{
	return strlen(text) == 32 && strspn(text, "0123456789abcdef") == 32;
}

static int
line_of(const struct accepted_epoch *a, char out[ACCEPTED_EPOCH_LINE])
{
	return snprintf(out, ACCEPTED_EPOCH_LINE, "%s %s %s %s\n", a->id, a->from, a->by, a->at);
}

bool
accepted_epoch_parse(const char *text, struct accepted_epoch *out)
{
	char line[ACCEPTED_EPOCH_LINE];

	if (sscanf(text, "%32s %32s %31s %31s", out->id, out->from, out->by, out->at) != 4)
		return false;
	line_of(out, line);
	return strcmp(line, text) == 0 && accepted_epoch_is_id(out->id) &&
	       accepted_epoch_is_id(out->from);
}

int
accepted_epoch_write(const struct control_paths *p, const struct accepted_epoch *a,
		     struct sl_error *e)
{
	char line[ACCEPTED_EPOCH_LINE];
	int n = line_of(a, line), rc = sl_file_write(p->dir, FILE_NAME, line, (size_t)n);

	if (rc == 0)
		return 0;
	return sl_fail(e, -EIO, "state_io", "", "%.200s/" FILE_NAME ": %s", p->dir, strerror(-rc));
}

bool
accepted_epoch_read(const struct control_paths *p, struct accepted_epoch *out)
{
	char path[FILE_PATH], text[ACCEPTED_EPOCH_LINE + 1];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/" FILE_NAME, p->dir);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	text[n] = '\0';
	fclose(f);
	return accepted_epoch_parse(text, out);
}
