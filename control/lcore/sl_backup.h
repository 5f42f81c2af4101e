/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Backup of what only this gateway knows: modes and logging, the kept policy and role members, what
 * a control plane revoked, the boot cache's key, preshared keys, and the private keys of interfaces
 * that stand in files. Never endpoints that peers were seen at, nor what was counted.
 *
 * One file: a line that names the format, a line of JSON {instance, gateway, written, files}, the
 * bytes of the files, and BLAKE2b-256 over all of it. It holds private keys: made with mode 0600,
 * and whoever moves it has to keep it so. For the program's command line: reads and writes files,
 * never to be called beside the data path.
 */
#ifndef SL_BACKUP_H
#define SL_BACKUP_H

#include "sl_config.h"

/** Tells of a file of the backup: `what` became of it. */
struct sl_backup_tell {
	void (*file)(void *ctx, const char *name, const char *what);
	void *ctx;
};

/**
 * Write a backup, also while the gateway runs: all files are of one moment.
 * @param file must not exist
 * @return 0; -EEXIST exists; -ENOENT backup_empty (no file to keep); -EBUSY state_changes; -errno
 * state_read, key_file, file; -ENAMETOOLONG path_too_long; -ENOMEM no_memory
 */
int sl_backup_write(const struct sl_config *c, const char *file, const struct sl_backup_tell *tell,
		    struct sl_error *e);

/**
 * Put a backup's files where the configuration wants them. The caller holds the instance's lock and
 * has made the state directory. All is checked before the first file is touched. What was revoked
 * since stays revoked: a file of revocations that is there is never replaced.
 * @param force replace what is there and differs, take another instance's backup
 * @return 0; -EBADMSG backup_broken (sum, form, a mode file that is none); -EEXIST state_present;
 * -EINVAL backup_foreign (another instance), backup_mismatch (a key of an interface or peer that
 * the configuration does not have); -errno state_read, state_write; -ENOMEM no_memory
 */
int sl_backup_restore(const struct sl_config *c, const char *file, bool force,
		      const struct sl_backup_tell *tell, struct sl_error *e);

#endif
