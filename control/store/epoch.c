/* SPDX-License-Identifier: BSD-3-Clause */
/* Epochs: a store that may have forgotten something goes on under a new name. */
#include <stdio.h>

#include "sl_log.h"
#include "store_int.h"

void
store_epoch_next(struct sl_epoch *e, uint64_t at_least, uint64_t head)
{
	snprintf(e->parent_id, sizeof(e->parent_id), "%s", e->id);
	e->parent_seq = head;
	e->number = SL_MAX(e->number, at_least) + 1;
	store_epoch_id(e->id);
}

static int
change(struct sl_store *s, bool promote, const char *why, struct sl_error *e)
{
	struct store_state st;
	int rc = store_do(s, ST_BEGIN, e);

	if (rc < 0)
		return rc;
	rc = store_state_get(s, &st, e);
	if (rc == 0 && promote != (st.role == SL_STORE_FOLLOWER)) {
		rc = sl_fail(e, -EPERM, promote ? "not_a_follower" : "readonly", "",
			     promote ? "this data store is the primary already"
				     : "the epochs of a follower are its source's");
		sl_hint(e, promote ? "nothing is to be done"
				   : "sluice-control promote makes it "
				     "the primary");
	}
	if (rc == 0 && promote && st.epoch.number == 0) {
		rc = sl_fail(e, -EPERM, "never_followed", "",
			     "this data store has nothing from a primary yet");
		sl_hint(e, "let it catch up first; a new control plane is made by init");
	}
	if (rc == 0) {
		store_epoch_next(&st.epoch, 0, st.head);
		st.role = SL_STORE_PRIMARY;
		if (promote)
			st.primary[0] = '\0';
		rc = store_state_set(s, &st, e);
	}
	store_step(s, "epoch");
	if (rc == 0)
		rc = store_do(s, ST_COMMIT, e);
	if (rc < 0)
		store_do(s, ST_ROLLBACK, NULL);
	else
		sl_log(SL_LOG_NOTICE, "store", "epoch %" PRIu64 " begins at seq %" PRIu64 ": %s",
		       st.epoch.number, st.head, why);
	return rc;
}

int
sl_store_new_epoch(struct sl_store *s, const char *why, struct sl_error *e)
{
	return change(s, false, why, e);
}

int
sl_store_promote(struct sl_store *s, struct sl_error *e)
{
	return change(s, true, "promoted to primary", e);
}
