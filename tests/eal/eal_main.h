/* SPDX-License-Identifier: BSD-3-Clause */
/**
 * @file
 * Start EAL once for a test program: no hugepages, no devices, nothing shared between processes.
 * Call eal_start() at the top of main(); the program's own pid makes the file prefix unique.
 */
#ifndef SL_TEST_EAL_MAIN_H
#define SL_TEST_EAL_MAIN_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <rte_eal.h>

/** EAL leaves its directory behind, empty, one for each run. */
static inline void
eal_remove_dir(void)
{
	rmdir(rte_eal_get_runtime_dir());
}

/** @param lcores text for -l, NULL means "0" */
static inline void
eal_start_lcores(const char *program, const char *lcores)
{
	static char name[64], prefix[64], list[64];
	const char *argv[] = {name,	     "--no-huge",	  "-m",
			      "256",	     "--no-pci",	  "--no-telemetry",
			      "--no-shconf", "--iova-mode=va",	  "-l",
			      list,	     "--log-level=error", prefix,
			      NULL};

	snprintf(name, sizeof(name), "%s", program);
	snprintf(list, sizeof(list), "%s", lcores != NULL ? lcores : "0");
	snprintf(prefix, sizeof(prefix), "--file-prefix=sl-test-%ld", (long)getpid());
	if (rte_eal_init((int)(sizeof(argv) / sizeof(argv[0])) - 1, (char **)argv) < 0) {
		fprintf(stderr, "%s: EAL does not start\n", program);
		exit(1);
	}
	atexit(eal_remove_dir);
}

static inline void
eal_start(const char *program)
{
	eal_start_lcores(program, NULL);
}

#endif
