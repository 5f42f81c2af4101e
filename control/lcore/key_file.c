/* SPDX-License-Identifier: BSD-3-Clause */
#include "key_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sl_log.h"

int
sl_key_file_read(const char *file, const char *path, struct sl_secret *out, struct sl_error *e)
{
	char text[SL_KEY_B64_LEN + 16] = {0};
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	struct stat st;
	ssize_t n;

	sl_wipe(out, sizeof(*out));
	if (fd < 0) {
		rc = -errno;
		sl_fail(e, rc, "key_file", path, "%.200s: %s", file, strerror(-rc));
		if (rc == -ENOENT)
			sl_hint(e, "(umask 077; wg genkey > %.150s)", file);
		else
			sl_hint(e, "the gateway must be able to read it");
		return rc;
	}
	if (fstat(fd, &st) == 0 && (st.st_mode & 077))
		sl_log(SL_LOG_WARN, "keys",
		       "%s: others may read this key (mode %03o); chmod 600 %s", file,
		       (unsigned)st.st_mode & 0777, file);
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, " \t\r\n")] = 0;
	rc = sl_key_from_base64(text, out->b);
	sl_wipe(text, sizeof(text));
	if (rc) {
		sl_fail(e, -EINVAL, "key_invalid", path, "%.200s does not hold a key", file);
		sl_hint(e, "one line of 44 characters of base64, as `wg genkey` prints");
		return -EINVAL;
	}
	return 0;
}
