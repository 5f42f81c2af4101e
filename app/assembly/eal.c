/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>
#include <stdio.h>
#include <stdlib.h>

#include "sl_assembly.h"
#include "sl_log.h"

#define EAL_ARGS_MAX 64

struct args {
	int n;
	char *v[EAL_ARGS_MAX];	  /* EAL reorders these */
	char *text[EAL_ARGS_MAX]; /* the same, to be freed */
};

static void
args_add(struct args *a, const char *s)
{
	char *copy = strdup(s);

	if (!copy || a->n == EAL_ARGS_MAX - 1) {
		free(copy);
		return;
	}
	a->text[a->n] = copy;
	a->v[a->n++] = copy;
}

static void
args_free(struct args *a)
{
	for (int i = 0; i < a->n; i++)
		free(a->text[i]);
}

/** Free memory in 2 MiB hugepages, in MiB. */
static unsigned
hugepages_free_mb(void)
{
	FILE *f = fopen("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "re");
	unsigned n = 0;

	if (!f)
		return 0;
	if (fscanf(f, "%u", &n) != 1)
		n = 0;
	fclose(f);
	return n * 2;
}

static int
choose_memory(const struct sl_eal_wish *w, bool *huge, struct sl_error *e)
{
	unsigned free_mb = w->hugepages == SL_HUGE_OFF ? 0 : hugepages_free_mb();

	*huge = w->hugepages != SL_HUGE_OFF && free_mb >= w->memory_mb;
	if (*huge || w->hugepages == SL_HUGE_OFF)
		return 0;
	if (w->hugepages == SL_HUGE_REQUIRE) {
		sl_fail(e, -ENOMEM, "no_hugepages", "/system/hugepages",
			"%u MiB of hugepages are free, %u MiB are needed", free_mb, w->memory_mb);
		sl_hint(e, "echo %u > /proc/sys/vm/nr_hugepages, or system.hugepages = \"auto\"",
			(w->memory_mb - free_mb) / 2 + 64);
		return -ENOMEM;
	}
	sl_log(SL_LOG_WARN, "memory",
	       "%u MiB of hugepages are free, %u MiB are needed: running without hugepages, "
	       "slower; "
	       "remedy: echo %u > /proc/sys/vm/nr_hugepages",
	       free_mb, w->memory_mb, (w->memory_mb - free_mb) / 2 + 64);
	return 0;
}

int
sl_eal_start(const struct sl_eal_wish *w, bool *got_hugepages, struct sl_error *e)
{
	static struct args a; /* EAL keeps pointers into argv for its own lifetime */
	char buf[160];
	int rc = choose_memory(w, got_hugepages, e);

	if (rc)
		return rc;
	args_add(&a, "sluice");
	snprintf(buf, sizeof(buf), "--lcores=%s", w->lcores);
	args_add(&a, buf);
	snprintf(buf, sizeof(buf), "--file-prefix=%s", w->prefix);
	args_add(&a, buf);
	args_add(&a, "--iova-mode=va");
	if (*got_hugepages) {
		args_add(&a, "--in-memory");
		args_add(&a, "--single-file-segments");
	} else {
		args_add(&a, "--no-huge");
		args_add(&a, "--no-shconf");
		snprintf(buf, sizeof(buf), "-m%u", w->memory_mb);
		args_add(&a, buf);
	}
	args_add(&a, "--no-telemetry");
	if (!w->pci || !w->pci[0])
		args_add(&a, "--no-pci");
	for (const char *const *p = w->pci; p && *p; p++) {
		snprintf(buf, sizeof(buf), "--allow=%s", *p);
		args_add(&a, buf);
	}
	snprintf(buf, sizeof(buf), "--log-level=*:%s",
		 sl_log_get_level() >= SL_LOG_DEBUG ? "info" : "error");
	args_add(&a, buf);
	for (const char *const *x = w->extra; x && *x; x++)
		args_add(&a, *x);
	rc = rte_eal_init(a.n, a.v);
	if (rc < 0) {
		rc = -rte_errno;
		sl_fail(e, rc ? rc : -EIO, "eal_failed", "", "DPDK did not start: %s",
			rte_strerror(rte_errno));
		sl_hint(e, "run with --log-level debug to see DPDK's own messages");
		args_free(&a);
		return rc ? rc : -EIO;
	}
	return 0;
}

uint64_t
sl_tsc_ns(void)
{
	static uint64_t base_tsc, base_ns, mult;
	uint64_t now = rte_rdtsc();

	if (mult == 0) {
		/* first called on the main lcore, before any other thread runs */
		base_ns = sl_clock_mono_ns();
		base_tsc = now;
		mult = ((unsigned __int128)SL_NS_PER_S << 32) / rte_get_tsc_hz();
	}
	return base_ns + (uint64_t)(((unsigned __int128)(now - base_tsc) * mult) >> 32);
}
