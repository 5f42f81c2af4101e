/* SPDX-License-Identifier: BSD-3-Clause */
/* What a follower gets of its source: 'r' and a row of the log, 's' and the objects of a snapshot;
 * 't' and the text of a token, which comes from anybody; 'e' and the file that says which epoch
 * somebody accepted. What is taken leaves a whole store; what
 * is refused leaves it as it was. */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../fuzz_store.h"
#include "../require.h"
#include "accepted_epoch.h"
#include "sl_token.h"
#include "store_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct sl_store *store;
static struct sl_error e;

/** Nothing but a place in the log; its chain is not known, so that any row may follow. */
static void
begin(void)
{
	const struct sl_epoch epoch = {.number = 1, .id = "00112233445566778899aabbccddeeff"};
	const struct sl_hash_sum none = {0};

	require_ok(sl_store_load_begin(store, &epoch, 1, "", &e) == 0, e);
	require_ok(sl_store_load_end(store, 0, &none, &e) == 0, e);
}

static void
must_be_whole(void)
{
	struct sl_store_report r;

	require_ok(store_verify(store, &r, &e) == 0, e);
}

static void
row(json_t *v)
{
	e = (struct sl_error){0};
	if (sl_store_follow(store, v, &e) == 0) {
		require(sl_store_head(store) > 1);
	} else {
		require(e.reason[0] != '\0');
		require(sl_store_head(store) == 1);
	}
	must_be_whole();
}

static void
snapshot(json_t *v)
{
	const struct sl_epoch epoch = {.number = 2, .id = "ffeeddccbbaa99887766554433221100"};

	e = (struct sl_error){0};
	require_ok(sl_store_load_begin(store, &epoch, 7, "", &e) == 0, e);
	if (sl_store_load_part(store, v, &e) < 0)
		require(e.reason[0] != '\0');
	sl_store_load_abort(store);
	require(sl_store_head(store) == 1);
}

static void
token(const char *text)
{
	const struct sl_pepper pepper = {{1}};
	struct sl_principal who;

	require(sl_token_check(store, &pepper, text, NULL, 1, &who) < 0);
}

static void
accepted_epoch(const char *text)
{
	struct accepted_epoch *a = malloc(sizeof(*a)); /* so that a byte behind it is found */

	require(a != NULL);
	if (accepted_epoch_parse(text, a))
		require(accepted_epoch_is_id(a->id) && accepted_epoch_is_id(a->from) &&
			strlen(a->by) > 0 && strlen(a->at) > 0);
	free(a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text;
	json_t *v;

	if (size < 2)
		return 0;
	if (store == NULL)
		store = fuzz_store_new(SL_STORE_FOLLOWER);
	text = malloc(size);
	require(text != NULL);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	v = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	if (data[0] == 't')
		token(text);
	if (data[0] == 'e')
		accepted_epoch(text);
	if (v != NULL && data[0] == 'r') {
		begin();
		row(v);
	} else if (v != NULL && data[0] == 's') {
		begin();
		snapshot(v);
	}
	json_decref(v);
	free(text);
	return 0;
}
