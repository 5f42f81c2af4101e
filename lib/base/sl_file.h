/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Files that outlive a power cut.
 *
 * A name is on the disk only once its directory was synced too, and a file that is replaced by
 * rename() is at any time the old one or the new one, whole. These block: not for data lcores, and
 * on loops only where a file is small and written seldom.
 */
#ifndef SL_FILE_H
#define SL_FILE_H

#include "sl_base.h"

/** Write all and sync the file. @return 0, -errno (-ENOSPC, -EIO ...): a piece may be written */
int sl_file_put(int fd, const void *data, size_t len);

/** Sync a directory, so that a name made, renamed or removed in it stays so. @return 0, -errno */
int sl_file_sync_dir(const char *dir);

/** Sync the directory that `path` lies in. @return 0, -errno */
int sl_file_sync_parent(const char *path);

/**
 * Write DIR/NAME.new (0600, in place of what has that name) and sync it; it has the name once it is
 * renamed.
 *
 * @return 0, -errno; -ENAMETOOLONG. On an error there is no DIR/NAME.new.
 */
int sl_file_stage(const char *dir, const char *name, const void *data, size_t len);

/**
 * Replace DIR/NAME, or make it (0600): sl_file_stage(), rename, sync of the directory.
 *
 * @return 0: it is on the disk; -errno: DIR/NAME is what it was, or whole and new but perhaps not
 *         after a power cut
 */
int sl_file_write(const char *dir, const char *name, const void *data, size_t len);

#endif
