/* SPDX-License-Identifier: BSD-3-Clause */
/* The boot cache and its journal as they are before they are sealed: the cache, then records with a
 * zero byte before each. What is read has the sum that the cache says; a record makes
 * the position that it names, and one that does not follow leaves a hole. */
#include <stdio.h>
#include <stdlib.h>

#include "../require.h"
#include "cp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
set_sum(struct cp_cache *c, const char *objects)
{
	/* a fuzzer finds no hash: the head is made for whatever follows */
	struct cp_cache other = {.gateway = c->gateway, .dir = c->dir};
	struct sl_hash_sum sum;
	char hash[SL_HASH_STR], *text = strdup(objects), *line, *end;
	size_t room = strlen(objects) + 512;

	other.r = sl_replica_new();
	require(text != NULL && other.r != NULL);
	for (line = text; (end = strchr(line, '\n')) != NULL; line = end + 1) {
		*end = '\0';
		if (cp_cache_object(&other, line) != 0)
			break;
	}
	sl_replica_sum(other.r, &sum);
	sl_replica_free(other.r);
	free(text);
	c->text = malloc(room);
	require(c->text != NULL);
	snprintf(c->text, room,
		 "{\"version\":1,\"gateway\":\"gw-1\",\"epoch\":{\"number\":3,\"id\":"
		 "\"00112233445566778899aabbccddeeff\",\"parent_id\":\"\",\"parent_seq\":0},"
		 "\"seq\":10,\"chain\":\"b2b:00\",\"hash\":\"%s\",\"alive\":1,\"written\":1}\n%s",
		 sl_hash_str(&sum, hash), objects);
}

static void
take_records(struct cp_cache *c, char *record, const char *end)
{
	uint64_t before;
	char *next;
	int rc = 0;

	for (; rc == 0 && record < end; record = next) {
		before = c->at.seq;
		next = record + strlen(record) + 1;
		rc = cp_journal_take(c, record);
		require(rc == 0 || rc == -EBADMSG);
		require(c->at.seq >= before);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cp_cache c = {.gateway = (char *)(uintptr_t) "gw-1",
			     .dir = (char *)(uintptr_t) "state"};
	char *in = malloc(size + 2);
	size_t n;

	require(in != NULL);
	memcpy(in, data, size);
	in[size] = in[size + 1] = '\0';
	n = strlen(in);
	if (n > 0 && in[0] == '{') { /* with a head of its own */
		c.text = strdup(in);
		require(c.text != NULL);
	} else {
		set_sum(&c, in);
	}
	if (cp_cache_parse(&c) == 0)
		take_records(&c, in + n + 1, in + size);
	else
		require(c.e.err != 0 && c.e.reason[0] != '\0');
	sl_replica_free(c.r);
	free(c.text);
	free(in);
	return 0;
}
