/* SPDX-License-Identifier: BSD-3-Clause */
#include <sodium.h>
#include <stdlib.h>
#include <unistd.h>

#include "fuzz_store.h"
#include "require.h"
#include "sl_log.h"

static struct sl_store *store;
static char dir[64], path[80];

static void
clean_up(void)
{
	static const char *const ends[] = {"", "-wal", "-shm"};
	char file[96];

	sl_store_close(store);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(ends); i++) {
		snprintf(file, sizeof(file), "%s%s", path, ends[i]);
		unlink(file);
	}
	rmdir(dir);
}

struct sl_store *
fuzz_store_new(enum sl_store_role role)
{
	struct sl_error e;

	snprintf(dir, sizeof(dir), "%s/sl-fuzz-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	require(sodium_init() >= 0 && mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/store.db", dir);
	sl_log_set_level(SL_LOG_ERR);
	require_ok(sl_store_init(path, role, &e) == 0, e);
	store = sl_store_open(path, SL_STORE_WRITE, &e);
	require_ok(store != NULL, e);
	atexit(clean_up);
	return store;
}
