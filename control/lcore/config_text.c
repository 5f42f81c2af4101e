/* SPDX-License-Identifier: BSD-3-Clause */
/* The text of the configuration file, as libconfig can read it: UTF-8 without a mark before it. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config_int.h"

#define TEXT_MAX (64u * 1024 * 1024)

/** What can be read, a pipe too. @return malloc'ed, its length in *len; NULL with errno */
static char *
read_text(const char *path, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err = 0;
	size_t room = 0, n = 0;
	char *text = NULL, *grown;
	ssize_t r = fd < 0 ? -1 : 1;

	while (r > 0) {
		if (n + 1 >= room) {
			room = room ? room * 2 : 65536;
			grown = realloc(text, room);
			if (grown == NULL)
				break;
			text = grown;
		}
		r = read(fd, text + n, room - 1 - n);
		n += r > 0 ? (size_t)r : 0;
		if (n > TEXT_MAX) {
			errno = EFBIG;
			break;
		}
		if (r < 0 && errno == EINTR)
			r = 1;
	}
	err = r == 0 ? 0 : errno;
	if (fd >= 0)
		close(fd);
	if (err) {
		free(text);
		errno = err;
		return NULL;
	}
	text[n] = '\0';
	*len = n;
	return text;
}

/** The line of the first zero byte. */
static unsigned
line_of_zero(const char *text)
{
	unsigned line = 1;

	for (; *text; text++)
		line += *text == '\n';
	return line;
}

static bool
is_utf16(const char *text, size_t len)
{
	return len >= 2 && (memcmp(text, "\xff\xfe", 2) == 0 || memcmp(text, "\xfe\xff", 2) == 0 ||
			    (text[0] == '\0') != (text[1] == '\0'));
}

int
sl_config_text(const struct sl_config *c, char **out, struct sl_error *e)
{
	static const char mark[] = "\xef\xbb\xbf"; /* some editors begin so */
	size_t len = 0;
	char *text = read_text(c->path, &len);
	int rc = 0;

	if (text == NULL) {
		sl_fail(e, -ENOENT, "file", "", "%s: %s", c->path, strerror(errno ? errno : EIO));
		sl_hint(e, "name another file with -c FILE; docs/examples/sluice.conf is a full "
			   "example");
		return -ENOENT;
	}
	if (is_utf16(text, len))
		rc = sl_config_fail(c, 1, e, -EINVAL, "not_utf8", "", "this is UTF-16");
	else if (strlen(text) < len)
		rc = sl_config_fail(c, line_of_zero(text), e, -EINVAL, "not_utf8", "",
				    "a byte that is zero: this is no text");
	if (rc) {
		sl_hint(e, "save it as UTF-8: iconv -f UTF-16 -t UTF-8");
		free(text);
		return rc;
	}
	if (strncmp(text, mark, strlen(mark)) == 0)
		memmove(text, text + strlen(mark), len - strlen(mark) + 1);
	*out = text;
	return 0;
}
