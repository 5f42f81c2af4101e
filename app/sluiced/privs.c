/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Privileges (D42). Capabilities belong to threads: they are cut before EAL makes its threads, so
 * that each of them starts with the small set. Ports of the kernel kind need NET_ADMIN and NET_RAW,
 * af_xdp also SYS_ADMIN and IPC_LOCK; key files of other owners need DAC_READ_SEARCH.
 */
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sl_log.h"
#include "sluiced.h"

static const unsigned kept[] = {
	CAP_NET_ADMIN,	  CAP_NET_RAW,	       CAP_IPC_LOCK,  CAP_SYS_ADMIN,
	CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_CHOWN,     CAP_FOWNER,
	CAP_SETUID,	  CAP_SETGID,	       CAP_SYS_RAWIO, CAP_SYS_NICE,
};

static int
cap_set(uint64_t mask, struct sl_error *e)
{
	struct __user_cap_header_struct hdr = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &hdr, data))
		return sl_fail(e, -errno, "capabilities", "", "capget: %s", strerror(errno));
	for (unsigned i = 0; i < 2; i++) {
		uint32_t m = (uint32_t)(mask >> (32 * i));

		data[i].effective &= m;
		data[i].permitted &= m;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &hdr, data))
		return sl_fail(e, -errno, "capabilities", "", "capset: %s", strerror(errno));
	return 0;
}

int
sluiced_privileges_limit(struct sl_error *e)
{
	struct rlimit none = {0, 0};
	uint64_t mask = 0;

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		return sl_fail(e, -errno, "no_dump", "", "cannot forbid core dumps: %s",
			       strerror(errno));
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return sl_fail(e, -errno, "no_new_privs", "", "no_new_privs: %s", strerror(errno));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(kept); i++)
		mask |= UINT64_C(1) << kept[i];
	return cap_set(mask, e);
}

int
sluiced_privileges_drop(const char *user, struct sl_error *e)
{
	const struct passwd *pw;

	if (!user || !user[0])
		return 0;
	pw = getpwnam(user);
	if (!pw) {
		sl_fail(e, -ENOENT, "user_unknown", "/system/user", "no user \"%s\" on this host",
			user);
		sl_hint(e, "adduser --system --group %s", user);
		return -ENOENT;
	}
	/* glibc carries these to every thread */
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return sl_fail(e, -errno, "user_change", "/system/user", "cannot become \"%s\": %s",
			       user, strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
	sl_log(SL_LOG_INFO, "start", "running as %s", user);
	return 0;
}
