/* SPDX-License-Identifier: BSD-3-Clause */
/* sluice-control epoch: what a follower may take that it refuses by itself. */
#include <stdlib.h>

#include "accepted_epoch.h"

const char control_epoch_usage[] =
	"Usage: sluice-control epoch accept ID [--state-dir DIR]\n"
	"\n"
	"A follower does not take a source's epoch that is before its own, or beside it: the log\n"
	"and GET /api/v1/replication tell the ID. If the source is right and this data store is\n"
	"not (a former primary serves again), this takes it: all that the store has is replaced.\n"
	"It is remembered until the store is in another epoch than now. The follower may run.\n";

static int
accept_epoch(const struct control_paths *p, struct sl_store *s, const char *id, struct sl_error *e)
{
	struct accepted_epoch a = {0};
	struct sl_epoch epoch;
	int rc;

	if (sl_store_role(s) != SL_STORE_FOLLOWER) {
		sl_fail(e, -EPERM, "not_a_follower", "", "a primary's epoch is its own");
		sl_hint(e, "to go back to a former state: sluice-control restore FILE");
		return -EPERM;
	}
	sl_store_epoch(s, &epoch);
	if (strcmp(epoch.id, id) == 0)
		return sl_fail(e, -EEXIST, "epoch_same", "", "this data store is in that epoch");
	if (epoch.number == 0)
		return sl_fail(e, -EPERM, "never_followed", "",
			       "this data store has nothing yet, and takes any epoch");
	snprintf(a.id, sizeof(a.id), "%s", id);
	snprintf(a.from, sizeof(a.from), "%s", epoch.id);
	control_actor(a.by);
	sl_time_str(control_wall_ns(), a.at);
	rc = accepted_epoch_write(p, &a, e);
	if (rc == 0)
		printf("epoch %s will be taken from a source that has it, instead of epoch "
		       "%" PRIu64 " (%s)\n",
		       a.id, epoch.number, a.from);
	return rc;
}

int
control_epoch(const struct control_command *c, int argc, char **argv)
{
	struct control_simple o = {0};
	struct control_paths p;
	struct sl_error e = {0};
	struct sl_store *s;
	char **words;
	int rc = control_simple_options(c, argc, argv, 2, 2, &o, &words);

	if (rc >= 0)
		return rc;
	if (strcmp(words[0], "accept") != 0)
		return control_misuse_of(c, "accept is what there is", words[0]);
	if (!accepted_epoch_is_id(words[1]))
		return control_misuse_of(c, "an epoch's id has 32 hex digits", words[1]);
	s = control_open(o.state_dir, SL_STORE_READ, &p);
	if (s == NULL)
		return 1;
	rc = accept_epoch(&p, s, words[1], &e);
	sl_store_close(s);
	return rc < 0 ? control_fail(&e) : 0;
}
