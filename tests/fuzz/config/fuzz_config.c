/* SPDX-License-Identifier: BSD-3-Clause */
/* The configuration file: libconfig and what is made of it. Every refusal must say why. */
#include <fcntl.h>
#include <sanitizer/lsan_interface.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../require.h"
#include "config_int.h"
#include "sl_gw_policy.h"
#include "sl_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
void sl_gw_begin(struct sl_gw *gw);
void sl_gw_commit(struct sl_gw *gw);

/* the scanner of libconfig 1.5 forgets a string that has no end */
const char *
__lsan_default_suppressions(void)
{
	return "leak:libconfig.so\n";
}

/* carrying the calls out is not what is tested here */
void
sl_gw_begin(struct sl_gw *gw)
{
	(void)gw;
}

void
sl_gw_commit(struct sl_gw *gw)
{
	(void)gw;
}

int
sl_gw_policy_boot(struct sl_gw *gw, const char *file, struct sl_error *e)
{
	(void)gw;
	(void)file;
	return sl_fail(e, -ENOSYS, "file", "/file", "no gateway here");
}

/* documents have a target of their own */
int
sl_gw_policy_read(const char *file, char **text, size_t *len, struct sl_error *e)
{
	(void)text;
	(void)len;
	return sl_fail(e, -ENOENT, "file", "/file", "%.100s: not read here", file);
}

static void
quiet(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	(void)ctx;
	(void)level;
	(void)topic;
	(void)text;
}

/** Other files are not ours to read: includes and key files that are not in a place of no harm. */
static bool
names_files(const uint8_t *data, size_t size)
{
	return memmem(data, size, "@include", 8) || memmem(data, size, "_file", 5);
}

/** No deeper than 200: libconfig's own recursion is not ours to judge. */
static bool
too_deep(const uint8_t *data, size_t size)
{
	unsigned open = 0;

	for (size_t i = 0; i < size; i++)
		open += data[i] == '(' || data[i] == '{' || data[i] == '[';
	return open > 200;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char path[64];
	static int fd = -1;
	struct sl_config *c = NULL;
	struct sl_error e;

	if (fd < 0) {
		sl_log_set_sink(quiet, NULL);
		fd = memfd_create("sluice.conf", 0);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	}
	if (names_files(data, size) || too_deep(data, size))
		return -1;
	require(ftruncate(fd, 0) == 0 && pwrite(fd, data, size, 0) == (ssize_t)size);
	if (sl_config_load(path, &c, &e)) {
		require(c == NULL && e.err < 0 && e.reason[0] &&
			strncmp(e.message, path, strlen(path)) == 0);
		return 0;
	}
	require(c->n_ports > 0 && sl_config_set_instance(c, "x", &e) == 0);
	for (unsigned i = 0; i < c->n_calls; i++)
		require(json_is_object(c->calls[i].params) &&
			sl_config_line_of(&c->calls[i], "/x/y") <= 1000000);
	sl_config_free(c);
	return 0;
}
