/* SPDX-License-Identifier: BSD-3-Clause */
#include "line.h"

#include <stdlib.h>

#include "sl_secret.h"

ssize_t
rpc_line_length(struct evbuffer *in, size_t *scanned)
{
	size_t have = evbuffer_get_length(in);
	struct evbuffer_ptr at;

	if (*scanned >= have || evbuffer_ptr_set(in, &at, *scanned, EVBUFFER_PTR_SET))
		return -1;
	at = evbuffer_search_eol(in, &at, NULL, EVBUFFER_EOL_LF);
	*scanned = at.pos < 0 ? have : (size_t)at.pos;
	return at.pos;
}

static void
wipe_front(struct evbuffer *in, size_t len)
{
	struct evbuffer_iovec v;

	while (len && evbuffer_peek(in, (ev_ssize_t)len, NULL, &v, 1) > 0 && v.iov_len) {
		size_t part = SL_MIN(len, v.iov_len);

		sl_wipe(v.iov_base, part);
		evbuffer_drain(in, part);
		len -= part;
	}
}

char *
rpc_line_take(struct evbuffer *in, size_t *scanned, bool wipe, size_t *len)
{
	ssize_t n = rpc_line_length(in, scanned);
	char *line = n < 0 ? NULL : malloc((size_t)n + 1);

	if (!line)
		return NULL;
	*len = (size_t)n;
	evbuffer_copyout(in, line, *len);
	line[*len] = 0;
	if (wipe)
		wipe_front(in, *len);
	evbuffer_drain(in, wipe ? 1 : *len + 1);
	*scanned = 0;
	return line;
}
