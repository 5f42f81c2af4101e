/* SPDX-License-Identifier: BSD-3-Clause */
/* The name of an epoch as JSON, and the revisions that belong to it. */
#include "sl_object.h"

#define NUMBER_MAX (INT64_C(1) << 53)

#define COUNTED UINT64_C(0x200000) /* larger numbers are seconds since 2024 */

uint64_t
sl_epoch_rev_base(uint64_t number)
{
	if (number < COUNTED)
		return (number - 1) << 32;
	return (number / 3600) << 32 | (number % 3600) << 20;
}

bool
sl_epoch_same(const struct sl_epoch *a, const struct sl_epoch *b)
{
	return a->number == b->number && strcmp(a->id, b->id) == 0;
}

json_t *
sl_epoch_json(const struct sl_epoch *e)
{
	return json_pack("{s:I, s:s, s:s, s:I}", "number", (json_int_t)e->number, "id", e->id,
			 "parent_id", e->parent_id, "parent_seq", (json_int_t)e->parent_seq);
}

/** 32 hex digits; absent, null or "" is none. */
static int
read_id(const json_t *v, const char *key, char out[33])
{
	const json_t *s = json_object_get(v, key);

	out[0] = '\0';
	if (s == NULL || json_is_null(s))
		return 0;
	if (!json_is_string(s))
		return -EINVAL;
	if (json_string_length(s) == 0)
		return 0;
	if (json_string_length(s) != 32 || strspn(json_string_value(s), "0123456789abcdef") != 32)
		return -EINVAL;
	memcpy(out, json_string_value(s), 33);
	return 0;
}

static int
read_number(const json_t *v, const char *key, uint64_t *out)
{
	const json_t *n = json_object_get(v, key);
	json_int_t i = json_integer_value(n);

	*out = (uint64_t)i;
	if (n == NULL)
		return 0;
	return json_is_integer(n) && i >= 0 && i < NUMBER_MAX ? 0 : -EINVAL;
}

bool
sl_epoch_later(const struct sl_epoch *ours, const struct sl_epoch *theirs)
{
	return theirs->number > ours->number && strcmp(theirs->id, ours->id) != 0;
}

int
sl_epoch_parse(const json_t *v, struct sl_epoch *out)
{
	struct sl_epoch e = {0};

	if (read_number(v, "number", &e.number) < 0 || read_id(v, "id", e.id) < 0 ||
	    read_id(v, "parent_id", e.parent_id) < 0 ||
	    read_number(v, "parent_seq", &e.parent_seq) < 0)
		return -EINVAL;
	if (e.number == 0 || e.id[0] == '\0')
		return -EINVAL;
	*out = e;
	return 0;
}
