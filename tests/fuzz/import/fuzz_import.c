/* SPDX-License-Identifier: BSD-3-Clause */
/* Files that sluicectl imports: 'w' and a wg0.conf, 'c' and a table. What is read has a name and a
 * key and no field that the control plane does not take; what is refused says where. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../require.h"
#include "import.h"
#include "sl_secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const fields[] = {"name",	    "public_key", "allowed_ips", "roles",
				     "keepalive_s", "expires_at", "description", "enabled",
				     "psk_ref",	    "line"};

static bool
is_field(const char *name)
{
	for (unsigned i = 0; i < SL_ARRAY_SIZE(fields); i++)
		if (strcmp(name, fields[i]) == 0)
			return true;
	return false;
}

static void
check_texts(const json_t *list)
{
	json_t *item;
	size_t i;

	json_array_foreach (list, i, item)
		require(json_string_length(item) > 0);
}

static void
check_peer(json_t *peer, bool wg)
{
	const char *name = json_string_value(json_object_get(peer, "name"));
	const char *key = json_string_value(json_object_get(peer, "public_key")), *k;
	json_t *keepalive = json_object_get(peer, "keepalive_s"), *v;
	uint8_t bytes[SL_KEY_LEN];

	require(name != NULL && name[0] != '\0' && key != NULL);
	json_object_foreach (peer, k, v)
		require(is_field(k));
	if (wg) {
		require(strlen(name) < 80 &&
			strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(name));
		require(sl_key_from_base64(key, bytes) == 0);
	}
	require(keepalive == NULL ||
		(json_integer_value(keepalive) >= 0 && json_integer_value(keepalive) <= 65535));
	check_texts(json_object_get(peer, "allowed_ips"));
	check_texts(json_object_get(peer, "roles"));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct sl_error e = {0};
	unsigned secrets = 0;
	json_t *peers, *peer;
	char path[32];
	bool wg;
	size_t i;

	if (size < 1)
		return 0;
	if (fd < 0)
		fd = memfd_create("import", MFD_CLOEXEC);
	wg = data[0] == 'w';
	require(fd >= 0 && ftruncate(fd, 0) == 0);
	require(pwrite(fd, data + 1, size - 1, 0) == (ssize_t)size - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	peers = wg ? import_wg_conf(path, &secrets, &e) : import_csv(path, &e);
	if (peers == NULL) {
		require(e.err < 0 && strncmp(e.message, path, strlen(path)) == 0);
		return 0;
	}
	json_array_foreach (peers, i, peer)
		check_peer(peer, wg);
	json_decref(peers);
	return 0;
}
