/* SPDX-License-Identifier: BSD-3-Clause */
/* Checkpoints that were kept elsewhere: what was signed once must still be there. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "check_int.h"
#include "sl_json.h"

int
sl_seal_check_keep(struct sl_seal_check *v, const json_t *o)
{
	struct check_kept k = {0}, *all;
	struct sl_seal_view w;
	const char *id;

	sl_seal_view(o, &w);
	id = w.seal != NULL ? sl_json_text(w.seal, "id") : sl_json_text(o, "chain_id");
	if (w.n == 0)
		w.n = (uint64_t)json_integer_value(json_object_get(o, "chain_n"));
	if (strlen(id) != SL_SEAL_ID_STR - 1 || w.n == 0 || !sl_seal_hash_parse(w.chain, k.at.hash))
		return -EINVAL;
	memcpy(k.at.id, id, sizeof(k.at.id));
	k.at.n = w.n;
	all = realloc(v->kept, (v->n_kept + 1) * sizeof(*all));
	if (all == NULL)
		return -ENOMEM;
	v->kept = all;
	v->kept[v->n_kept++] = k;
	return 0;
}

int
check_kept_record(struct sl_seal_check *v, const char *place, struct sl_error *e)
{
	const struct sl_seal_chain *at = &v->r.head;

	for (unsigned i = 0; i < v->n_kept; i++) {
		struct check_kept *k = &v->kept[i];

		if (strcmp(k->at.id, at->id) != 0)
			continue;
		k->first = k->first == 0 ? at->n : k->first;
		k->last = at->n;
		if (k->at.n != at->n)
			continue;
		if (memcmp(k->at.hash, at->hash, SL_SEAL_HASH) != 0)
			return check_bad(e, place,
					 "record %" PRIu64
					 " is another one than the checkpoint that was kept: it, "
					 "or what is before it, was written anew",
					 at->n);
		k->found = true;
	}
	return 0;
}

int
check_kept_end(struct sl_seal_check *v, struct sl_error *e)
{
	for (unsigned i = 0; i < v->n_kept; i++) {
		const struct check_kept *k = &v->kept[i];

		if (k->found) {
			v->r.kept++;
		} else if (k->last == 0) {
			return sl_fail(e, -EBADMSG, "audit_broken", "",
				       "the chain %.32s of a checkpoint that was kept is not here",
				       k->at.id);
		} else if (k->at.n > k->last) {
			return sl_fail(e, -EBADMSG, "audit_broken", "",
				       "the end is missing: a checkpoint of record %" PRIu64
				       " was kept, the last one here is %" PRIu64,
				       k->at.n, k->last);
		} else if (k->at.n >= k->first) {
			return sl_fail(e, -EBADMSG, "audit_broken", "",
				       "a checkpoint of record %" PRIu64
				       " was kept, but that one is here without a chain",
				       k->at.n);
		} else {
			v->r.kept_before++;
		}
	}
	return 0;
}
