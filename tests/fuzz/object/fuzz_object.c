/* SPDX-License-Identifier: BSD-3-Clause */
/* An object as a gateway or a data store receives it: a byte for the kind, the id up to a newline,
 * the body. What is accepted has a canonical form that says the same, can be kept, and leaves no
 * trace in the sum when it is deleted; what is refused is refused with a reason. A body is never
 * changed by its check. */
#include <stdlib.h>

#include "../require.h"
#include "sl_policy_doc.h"
#include "sl_policy_objects.h"
#include "sl_replica.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/** Nothing that was accepted may stop the parser of the joined document. */
static void
join(enum sl_kind k, const char *id, json_t *body)
{
	struct sl_policy_join *j = sl_policy_join_new();
	struct sl_policy *p = NULL;
	struct sl_error e = {0};
	json_t *doc;
	char *text;

	require(sl_policy_join_add(j, k, id, body) == 0);
	doc = sl_policy_join_done(j);
	text = json_dumps(doc, 0);
	require(sl_policy_doc_parse(text, strlen(text), &p, &e) == 0);
	require(k == SL_KIND_RULE || sl_policy_check(p, NULL, 0, &e) == 0);
	sl_policy_free(p);
	free(text);
	json_decref(doc);
	sl_policy_join_free(j);
}

static void
keep(enum sl_kind k, const char *id, json_t *body)
{
	struct sl_replica *r = sl_replica_new();
	struct sl_hash_sum sum, one = {0};
	struct sl_replica_obj o;
	json_t *back;

	require(sl_replica_put(r, k, id, 1, body) == 0);
	require(sl_replica_get(r, k, id, &o) && strcmp(o.id, id) == 0);
	sl_replica_sum(r, &sum);
	sl_hash_add(&one, o.hash);
	require(sl_hash_equal(&sum, &one));
	back = sl_replica_body(r, k, id);
	require(json_equal(back, body));
	json_decref(back);
	require(sl_replica_del(r, k, id) == 0);
	sl_replica_sum(r, &sum);
	require(sl_hash_equal(&sum, &(struct sl_hash_sum){0}) && sl_replica_count(r) == 0);
	sl_replica_free(r);
}

/** What is stripped is never refused as forbidden again. */
static void
strip(enum sl_kind k, const char *id, json_t *body)
{
	json_t *paths = json_array();
	struct sl_error e = {0};

	sl_object_strip(k, body, paths);
	require(sl_object_check(k, id, body, NULL, &e) != -EPERM || k == SL_KIND_SETTING);
	json_decref(paths);
}

static void
check(enum sl_kind k, const char *id, json_t *body)
{
	json_t *unknown = json_array(), *before = json_deep_copy(body);
	struct sl_error e = {0}, again = {0};
	int lax = sl_object_check(k, id, body, unknown, &e);
	int rc = sl_object_check(k, id, body, NULL, &again);

	require(json_equal(body, before));
	require(lax == 0 || (e.err == lax && e.reason[0] != '\0' && e.message[0] != '\0'));
	require(rc == 0 || (again.err == rc && again.reason[0] != '\0'));
	require(lax == 0 || rc != 0);
	if (lax == 0)
		keep(k, id, body);
	if (rc == 0 && sl_kind_is_policy(k))
		join(k, id, body);
	if (rc == 0)
		require(json_array_size(unknown) == 0);
	strip(k, id, body);
	json_decref(before);
	json_decref(unknown);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 1 ? memchr(data + 1, '\n', size - 1) : NULL;
	size_t n = end != NULL ? (size_t)(end - data) - 1 : 0;
	struct sl_epoch epoch;
	char id[SL_OBJ_ID];
	json_t *body;

	if (end == NULL || n >= sizeof(id))
		return 0;
	memcpy(id, data + 1, n);
	id[n] = '\0';
	body = json_loadb((const char *)end + 1, size - n - 2, JSON_REJECT_DUPLICATES, NULL);
	if (body == NULL)
		return 0;
	check(data[0] % (SL_KIND_N + 1), id, body);
	if (sl_epoch_parse(body, &epoch) == 0)
		require(epoch.number > 0 && epoch.id[0] != '\0');
	json_decref(body);
	return 0;
}
