/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Privileges (D42). Capabilities belong to threads: they are cut before EAL makes its threads, so
 * that each of them starts with the small set. Ports of the kernel kind need NET_ADMIN and NET_RAW,
 * af_xdp also SYS_ADMIN and IPC_LOCK; key files of other owners need DAC_READ_SEARCH.
 */
#include <grp.h>
#include <linux/capability.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
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
	struct rlimit none = {0, 0}, all = {RLIM_INFINITY, RLIM_INFINITY};
	uint64_t mask = 0;

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		return sl_fail(e, -errno, "no_dump", "", "cannot forbid core dumps: %s",
			       strerror(errno));
	/* keys of new sessions are locked after a change of user as well, where we may say so */
	(void)!setrlimit(RLIMIT_MEMLOCK, &all);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return sl_fail(e, -errno, "no_new_privs", "", "no_new_privs: %s", strerror(errno));
	for (unsigned i = 0; i < SL_ARRAY_SIZE(kept); i++)
		mask |= UINT64_C(1) << kept[i];
	return cap_set(mask, e);
}

static const struct passwd *
find_user(const char *user, struct sl_error *e)
{
	const struct passwd *pw = getpwnam(user);

	if (!pw) {
		sl_fail(e, -ENOENT, "user_unknown", "/system/user", "no user \"%s\" on this host",
			user);
		sl_hint(e, "adduser --system --group %s", user);
	}
	return pw;
}

/** Give a directory that is nobody else's to the user. */
static int
give_dir(int fd, const struct stat *st, const char *dir, const char *option,
	 const struct passwd *pw, struct sl_error *e)
{
	if (st->st_uid == pw->pw_uid)
		return 0;
	if ((st->st_mode & 077) == 0 && fchown(fd, pw->pw_uid, pw->pw_gid) == 0)
		return 0;
	sl_fail(e, -EPERM, "directory", option, "%s does not belong to %s, who is to write there",
		dir, pw->pw_name);
	sl_hint(e, "chown %s %s", pw->pw_name, dir);
	return -EPERM;
}

int
sluiced_dir_secure(const char *dir, const char *option, const char *user, struct sl_error *e)
{
	const struct passwd *pw = user && user[0] ? find_user(user, e) : NULL;
	int fd, rc = 0;
	struct stat st;

	if (user && user[0] && !pw)
		return -ENOENT;
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		rc = sl_fail(e, -errno, "directory", option, "%s: %s", dir, strerror(errno));
	} else if ((st.st_mode & 022) ||
		   (st.st_uid != 0 && st.st_uid != geteuid() && !(pw && st.st_uid == pw->pw_uid))) {
		sl_fail(e, -EPERM, "directory", option, "others may write to %s", dir);
		sl_hint(e, "chmod 700 %s, and its owner must be the gateway's", dir);
		rc = -EPERM;
	} else if (pw) {
		rc = give_dir(fd, &st, dir, option, pw, e);
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

int
sluiced_dir_make(const char *path, const char *option, const char *user, struct sl_error *e)
{
	char buf[512];

	snprintf(buf, sizeof(buf), "%s", path);
	for (char *p = buf + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = 0;
		if (mkdir(buf, 0755) && errno != EEXIST)
			goto fail;
		*p = '/';
	}
	if (mkdir(buf, 0700) && errno != EEXIST)
		goto fail;
	return sluiced_dir_secure(path, option, user, e);
fail:
	sl_fail(e, -errno, "directory", option, "%s: %s", buf, strerror(errno));
	sl_hint(e, "make it, or name another one in the configuration (%s)", option + 1);
	return e->err;
}

int
sluiced_privileges_drop(const char *user, struct sl_error *e)
{
	const struct passwd *pw;

	if (!user || !user[0])
		return 0;
	pw = find_user(user, e);
	if (!pw)
		return -ENOENT;
	/* glibc carries these to every thread */
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid))
		return sl_fail(e, -errno, "user_change", "/system/user", "cannot become \"%s\": %s",
			       user, strerror(errno));
	prctl(PR_SET_DUMPABLE, 0);
	sl_log(SL_LOG_INFO, "start", "running as %s", user);
	return 0;
}
