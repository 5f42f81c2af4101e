/* SPDX-License-Identifier: BSD-3-Clause */
/* sluiced --backup and --restore: the command line of control's sl_backup.h. */
#include <sodium.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_backup.h"
#include "sluiced.h"

static void
tell_file(void *ctx, const char *name, const char *what)
{
	unsigned *n = ctx;

	printf("  %-40s %s\n", name, what);
	++*n;
}

static int
restore(const struct sluiced_options *o, const struct sl_config *c,
	const struct sl_backup_tell *tell, struct sl_error *e)
{
	int lock = sluiced_lock(SLUICED_LOCK_DIR, c->instance, e), rc;

	if (lock < 0)
		return lock;
	rc = sluiced_dir_make(c->state_dir, "/system/state_dir", c->user, e);
	if (rc == 0)
		rc = sl_backup_restore(c, o->restore, o->force, tell, e);
	close(lock);
	return rc;
}

int
sluiced_keep(const struct sluiced_options *o, struct sl_error *e)
{
	const char *file = o->backup != NULL ? o->backup : o->restore;
	struct sl_config *c = NULL;
	unsigned n = 0;
	struct sl_backup_tell tell = {tell_file, &n};
	/* at a restore the keys are not there yet */
	int rc = sl_config_load_keyless(o->config, &c, e);

	umask(077);
	if (rc == 0 && o->instance != NULL)
		rc = sl_config_set_instance(c, o->instance, e);
	if (rc == 0)
		rc = sluiced_privileges_limit(e); /* keys pass through: no dumps */
	if (rc == 0 && sodium_init() < 0)
		rc = sl_fail(e, -EIO, "no_random", "", "libsodium cannot start");
	if (rc == 0)
		rc = o->backup != NULL ? sl_backup_write(c, file, &tell, e)
				       : restore(o, c, &tell, e);
	if (rc == 0)
		printf("%s: %u files %s%s\n", file, n, o->backup != NULL ? "kept" : "looked at",
		       o->backup != NULL ? "; it holds private keys: guard it" : "");
	sl_config_free(c);
	return rc;
}
