/* SPDX-License-Identifier: BSD-3-Clause */
/** @file Files that hold one key: a line of 44 characters of base64, as `wg genkey` and `wg genpsk`
 * write. */
#ifndef SL_KEY_FILE_H
#define SL_KEY_FILE_H

#include "sl_error.h"
#include "sl_secret.h"

/**
 * Read a key; a file that others may read is a warning. The file's text is wiped from memory and
 * never told.
 * @param path where the name came from, for the error
 * @return 0; -ENOENT, -EACCES... key_file; -EINVAL key_invalid
 */
int sl_key_file_read(const char *file, const char *path, struct sl_secret *out, struct sl_error *e);

#endif
