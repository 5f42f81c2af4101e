/* SPDX-License-Identifier: BSD-3-Clause */
/* Where a writer was when it wrote last: a small file beside its key. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sl_json.h"
#include "sl_seal.h"

json_t *
sl_seal_place_json(const struct sl_seal_chain *c)
{
	char hash[SL_SEAL_HASH_STR];

	sl_seal_hash_text(c->hash, hash);
	return json_pack("{s:s, s:I, s:s}", "chain_id", c->id, "chain_n", (json_int_t)c->n, "chain",
			 hash);
}

int
sl_seal_place_read(const char *file, struct sl_seal_chain *out)
{
	FILE *f = fopen(file, "re");
	json_int_t n;
	json_t *o;
	int rc;

	if (f == NULL)
		return -errno;
	o = json_loadf(f, JSON_REJECT_DUPLICATES, NULL);
	fclose(f);
	n = json_integer_value(json_object_get(o, "chain_n"));
	*out = (struct sl_seal_chain){.n = n > 0 ? (uint64_t)n : 0};
	snprintf(out->id, sizeof(out->id), "%s", sl_json_text(o, "chain_id"));
	rc = sl_seal_hash_parse(sl_json_text(o, "chain"), out->hash) && out->n > 0 &&
			     strlen(out->id) == SL_SEAL_ID_STR - 1
		     ? 0
		     : -EINVAL;
	json_decref(o);
	return rc;
}

int
sl_seal_place_write(const char *file, uint32_t owner, uint32_t group, const struct sl_seal_chain *c)
{
	char next[PATH_MAX], *text;
	json_t *o = sl_seal_place_json(c);
	int fd, rc = 0;
	size_t len;

	text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
	json_decref(o);
	if (text == NULL)
		return -ENOMEM;
	len = strlen(text);
	snprintf(next, sizeof(next), "%s.new", file);
	unlink(next); /* of a run that was cut short, perhaps of another user */
	fd = open(next, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, len) != (ssize_t)len ||
	    (owner != UINT32_MAX && geteuid() != owner && fchown(fd, owner, group) != 0))
		rc = errno != 0 ? -errno : -EIO;
	if (fd >= 0)
		close(fd);
	if (rc == 0 && rename(next, file) != 0)
		rc = -errno;
	free(text);
	return rc;
}
