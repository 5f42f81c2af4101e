/* SPDX-License-Identifier: BSD-3-Clause */
/* sluiced: the gateway. */
#include <errno.h>
#include <rte_eal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "sl_env.h"
#include "sl_log.h"
#include "sluiced.h"

/** Place, what is wrong, remedy. A message of the configuration file names its line itself. */
static void
tell(const char *config, const struct sl_error *e)
{
	char place[512] = "";

	if (strchr(e->path, ':') != NULL) /* FILE:LINE: /POINTER */
		snprintf(place, sizeof(place), "%s: ", e->path);
	else if (e->path[0] != '\0' && strncmp(e->message, config, strlen(config)) != 0)
		snprintf(place, sizeof(place), "%s: %s: ", config, e->path);
	fprintf(stderr, "sluiced: error: %s%s [%s]\n", place, e->message, e->reason);
	if (e->hint[0])
		fprintf(stderr, "sluiced: remedy: %s\n", e->hint);
}

static int
serve(struct sl_assembly *a, struct sl_config *c, const struct sluiced_options *o,
      struct sl_error *e)
{
	int rc, lock;

	rc = sluiced_privileges_limit(e);
	if (rc)
		return rc;
	lock = sluiced_lock(SLUICED_LOCK_DIR, c->instance, e);
	if (lock < 0)
		return lock;
	rc = sluiced_dir_make(c->run_dir, "/system/run_dir", c->user, e);
	if (rc == 0)
		rc = sluiced_dir_make(c->state_dir, "/system/state_dir", c->user, e);
	if (rc == 0)
		rc = sl_assembly_eal(a, c, o->eal, e);
	if (rc == 0)
		rc = sl_assembly_build(a, e);
	if (rc == 0)
		rc = sluiced_loop(a, c, o, e);
	sl_assembly_free(a);
	if (a->eal_up)
		rte_eal_cleanup();
	rmdir(rte_eal_get_runtime_dir()); /* EAL leaves it, empty */
	close(lock);
	return rc;
}

static void
warn_of(void *ctx, const char *code, const char *path, const char *text)
{
	const struct sl_config *config = ctx;

	printf("%s: warning: %s: %s (%s)\n", config->policy_file, path, text, code);
}

static void
tell_valid(struct sl_config *config, const char *file)
{
	sl_config_lint(config, sl_clock_wall_ns(), warn_of, config);
	printf("%s: the configuration is valid: %u ports, %u calls\n", file, config->n_ports,
	       config->n_calls);
}

int
main(int argc, char **argv)
{
	static struct sl_assembly assembly;
	struct sluiced_options o;
	struct sl_config *config = NULL;
	struct sl_error e = {0};
	int rc = sluiced_options_parse(argc, argv, &o);

	if (rc)
		return rc == 1 ? EXIT_SUCCESS : rc;
	if (o.backup != NULL || o.restore != NULL) {
		rc = sluiced_keep(&o, &e);
		if (rc)
			tell(o.config, &e);
		return rc ? EXIT_FAILURE : EXIT_SUCCESS;
	}
	rc = sl_config_load(o.config, &config, &e);
	if (rc == 0 && o.instance)
		rc = sl_config_set_instance(config, o.instance, &e);
	if (rc == 0 && o.check)
		tell_valid(config, o.config);
	else if (rc == 0)
		rc = serve(&assembly, config, &o, &e);
	if (rc)
		tell(o.config, &e);
	sl_config_free(config);
	return rc ? EXIT_FAILURE : EXIT_SUCCESS;
}
