/* SPDX-License-Identifier: BSD-3-Clause */
/* What outlives the process: the authz mode on the disk, endpoints and timestamps in memory. */
#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "gw_fixture.h"
#include "sl_gw_policy.h"
#include "sl_log.h"

static struct fx fx;
static char state_dir[64], run_dir[64];

static void
remove_dir(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *de;
	char path[512];

	while (d != NULL && (de = readdir(d)) != NULL) {
		snprintf(path, sizeof(path), "%s/%s", dir, de->d_name);
		if (de->d_name[0] != '.')
			unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(dir);
}

static int
setup(void **state)
{
	snprintf(state_dir, sizeof(state_dir), "/tmp/sl-test-state-%ld", (long)getpid());
	snprintf(run_dir, sizeof(run_dir), "/dev/shm/sl-test-run-%ld", (long)getpid());
	fx_init(&fx);
	fx.conf.state_dir = state_dir;
	fx.conf.run_dir = run_dir;
	*state = &fx;
	return 0;
}

static int
teardown(void **state)
{
	struct fx *f = *state;

	fx_fini(f);
	remove_dir(state_dir);
	remove_dir(run_dir);
	return 0;
}

static void
write_text(const char *dir, const char *name, const char *text)
{
	char path[512];
	FILE *fp;

	mkdir(dir, 0700);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "w");
	assert_non_null(fp);
	fputs(text, fp);
	fclose(fp);
}

static char *
read_text(const char *dir, const char *name)
{
	static char text[65536];
	char path[512];
	size_t n;
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "r");
	if (fp == NULL)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, fp);
	text[n] = '\0';
	fclose(fp);
	return text;
}

static void
reopen(struct fx *f)
{
	fx_close(f);
	fx_open(f);
}

/* --- authz mode
 * ------------------------------------------------------------------------------------ */

static void
test_mode_survives(void **state)
{
	struct fx *f = *state;
	struct sl_prefix a = fx_prefix("10.20.0.0/16"), b = fx_prefix("fd20::/64");
	struct sl_gw_mode m;
	struct stat st;
	char path[512];

	fx_open(f);
	assert_false(sl_gw_mode_from_state(f->gw));
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_OBSERVE);
	reopen(f); /* nothing was said: nothing is kept */
	assert_false(sl_gw_mode_from_state(f->gw));
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &a, SL_MODE_OBSERVE, false, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &b, SL_MODE_ENFORCE, false, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_panic(f->gw, true, &f->e), 0);
	assert_true(fx_root(f)->authz.panic_observe);
	assert_int_equal(fx_root(f)->authz.deflt, SL_MODE_ENFORCE);
	snprintf(path, sizeof(path), "%s/authz-mode.json", state_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	reopen(f);
	assert_true(sl_gw_mode_from_state(f->gw));
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE);
	assert_true(m.panic);
	assert_int_equal(m.n_prefixes, 2);
	assert_true(sl_prefix_equal(&m.prefixes[0].prefix, &a));
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "10.20.3.4"),
			 SL_MODE_OBSERVE);
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "fd20::1"),
			 SL_MODE_ENFORCE);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &a, SL_MODE_ENFORCE, false, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &b, 0, true, &f->e), 0);
	reopen(f);
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.n_prefixes, 1);
	assert_int_equal(m.prefixes[0].mode, SL_MODE_ENFORCE);
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "fd20::1"),
			 SL_LPM_NONE);
}

/* A crash at any moment leaves the old file or the new one: what lies beside it does not matter. */
static void
test_mode_crash(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;

	fx_open(f);
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	write_text(state_dir, "authz-mode.json.new", "{\"version\":1,\"defau");
	reopen(f);
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE);
	/* the half-written one is in nobody's way */
	assert_int_equal(sl_gw_mode_set_panic(f->gw, true, &f->e), 0);
	assert_null(read_text(state_dir, "authz-mode.json.new"));
}

/* What cannot be written is not done. */
static void
test_mode_not_written(void **state)
{
	struct fx *f = *state;
	struct sl_prefix p = fx_prefix("10.0.0.0/8");
	struct sl_gw_mode m;
	char path[512];
	int rc;

	fx_open(f);
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	snprintf(path, sizeof(path), "%s/authz-mode.json.new", state_dir);
	assert_int_equal(mkdir(path, 0700), 0); /* in the way of the temporary file */
	rc = sl_gw_mode_set_default(f->gw, SL_MODE_OBSERVE, &f->e);
	fx_refused(f, rc, -EISDIR, "state_write", "");
	rc = sl_gw_mode_set_prefix(f->gw, &p, SL_MODE_OBSERVE, false, &f->e);
	fx_refused(f, rc, -EISDIR, "state_write", "");
	assert_int_equal(fx_root(f)->authz.deflt, SL_MODE_ENFORCE);
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "10.1.1.1"),
			 SL_LPM_NONE);
	rmdir(path);
	reopen(f);
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE);
	assert_int_equal(m.n_prefixes, 0);
}

static void
test_mode_invalid(void **state)
{
#define REQUIRED(list)                                                                             \
	"{\"version\":2,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],\"logging\":true," \
	"\"log_required\":" list "}"
	static const char *const bad[] = {
		"",
		"{}",
		"[1]",
		"{\"version\":2,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[]}",
		"{\"version\":1,\"default\":\"Enforce\",\"panic\":false,\"prefixes\":[]}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],\"x\":1}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[{}]}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":"
		"[{\"prefix\":\"10.0.0.1/8\",\"mode\":\"enforce\"}]}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":"
		"[{\"prefix\":\"10.0.0.0/8\",\"mode\":\"deny\"}]}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"logging\":true}",
		"{\"version\":3,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"logging\":true}",
		"{\"version\":2,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"logging\":1}",
		"{\"version\":2,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"logging\":true,\"pending\":{\"id\":\"c-1\"}}",
		"{\"version\":2,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"logging\":true,\"pending\":{\"id\":\"c-1\",\"before\":{\"default\":\"observe\","
		"\"panic\":false,\"prefixes\":[],\"logging\":true}}}",
		"{\"version\":1,\"default\":\"enforce\",\"panic\":false,\"prefixes\":[],"
		"\"log_required\":[]}",
		REQUIRED("{}"),
		REQUIRED("[\"10.0.0.0/8\"]"),
		REQUIRED("[{\"prefix\":\"10.0.0.1/8\"}]"),
		REQUIRED("[{\"prefix\":\"10.0.0.0/8\",\"mode\":\"enforce\"}]"),
		REQUIRED("[{\"target\":\"db\"}]")};
#undef REQUIRED
	struct fx *f = *state;
	unsigned i;

	f->conf.reclaim = sl_rcu_queue_new(f->rcu);
	for (i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		write_text(state_dir, "authz-mode.json", bad[i]);
		assert_null(sl_gw_new(&f->conf, &f->e));
		assert_string_equal(f->e.reason, "state_invalid");
		assert_non_null(strstr(f->e.message, state_dir));
	}
	sl_rcu_queue_free(f->conf.reclaim);
}

/* The file of a gateway that knew neither targets nor logging nor confirmation. */
static void
test_mode_old_file(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;

	write_text(state_dir, "authz-mode.json",
		   "{\"version\":1,\"default\":\"enforce\",\"panic\":true,\"prefixes\":"
		   "[{\"prefix\":\"10.0.0.0/8\",\"mode\":\"observe\"}]}");
	fx_open(f);
	assert_true(sl_gw_mode_from_state(f->gw));
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE);
	assert_true(m.panic);
	assert_int_equal(m.n_prefixes, 1);
	assert_string_equal(m.prefixes[0].target, "");
	assert_string_equal(m.pending.id, "");
	assert_true(sl_gw_logging(f->gw));
	assert_int_equal(sl_gw_mode_set_panic(f->gw, false, &f->e), 0);
	assert_non_null(strstr(read_text(state_dir, "authz-mode.json"), "\"version\": 2"));
	reopen(f);
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE);
	assert_false(m.panic);
	assert_int_equal(m.n_prefixes, 1);
}

#define DAY_NS (86400 * SL_NS_PER_S)

/* Enforcing begins on no clock that is earlier than the program; what enforces may go back. */
static void
test_clock_before_build(void **state)
{
	struct fx *f = *state;
	struct sl_prefix a = fx_prefix("10.20.0.0/16"), b = fx_prefix("10.20.1.0/24");
	struct sl_gw_mode m;

	f->conf.built_wall_ns = f->wall_ns + DAY_NS; /* as much as is let pass */
	fx_open(f);
	f->conf.built_wall_ns += SL_NS_PER_S;
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &a, SL_MODE_ENFORCE, false, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &b, SL_MODE_OBSERVE, false, &f->e), 0);
	fx_close(f);
	f->conf.reclaim = sl_rcu_queue_new(f->rcu);
	f->gw = sl_gw_new(&f->conf, &f->e); /* it does not observe instead */
	assert_null(f->gw);
	sl_rcu_queue_free(f->conf.reclaim);
	assert_string_equal(f->e.reason, "clock_before_build");
	assert_non_null(strstr(f->e.hint, "set the clock"));
	f->conf.built_wall_ns -= SL_NS_PER_S;
	fx_open(f);
	f->wall_ns -= DAY_NS;
	fx_refused(f, sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), -EAGAIN,
		   "clock_before_build", "/default");
	fx_refused(f, sl_gw_mode_set_prefix(f->gw, &b, SL_MODE_ENFORCE, false, &f->e), -EAGAIN,
		   "clock_before_build", "");
	fx_refused(f, sl_gw_mode_set_prefix(f->gw, &b, 0, true, &f->e), -EAGAIN,
		   "clock_before_build", "");
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_OBSERVE);
	assert_int_equal(m.n_prefixes, 2);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &a, SL_MODE_ENFORCE, false, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_panic(f->gw, true, &f->e), 0);
	fx_refused(f, sl_gw_mode_set_panic(f->gw, false, &f->e), -EAGAIN, "clock_before_build", "");
	reopen(f); /* all observe: it starts */
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &a, 0, true, &f->e), 0);
	assert_int_equal(sl_gw_mode_set_panic(f->gw, false, &f->e), 0);
	f->wall_ns += DAY_NS;
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
}

static void
test_logging(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;
	char path[512];
	int rc;

	fx_open(f);
	assert_true(sl_gw_logging(f->gw));
	assert_true(fx_root(f)->authz.logging);
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	assert_int_equal(sl_gw_logging_set(f->gw, false, &f->e), 0);
	assert_false(fx_root(f)->authz.logging);
	reopen(f);
	assert_false(sl_gw_logging(f->gw));
	assert_false(fx_root(f)->authz.logging);
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE); /* one does not touch the other */
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_OBSERVE, &f->e), 0);
	assert_false(sl_gw_logging(f->gw));
	snprintf(path, sizeof(path), "%s/authz-mode.json.new", state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	rc = sl_gw_logging_set(f->gw, true, &f->e);
	fx_refused(f, rc, -EISDIR, "state_write", "");
	assert_false(fx_root(f)->authz.logging);
	rmdir(path);
}

/* --- targets that require their records ---------------------------------------------------------
 */

static bool
is_required(struct fx *f, const char *addr)
{
	struct sl_ip ip = fx_ip(addr);
	const struct sl_authz_view *a = &fx_root(f)->authz;

	return sl_lpm_lookup(ip.family == 4 ? &a->required4 : &a->required6, ip.b) != SL_LPM_NONE;
}

static void
holds_two(struct fx *f)
{
	const struct sl_gw_mode_prefix *list;
	struct sl_gw_mode m;
	unsigned n;

	list = sl_gw_log_required(f->gw, &n);
	assert_int_equal(n, 2);
	assert_string_equal(list[0].target, "db");
	assert_string_equal(list[1].target, "");
	assert_true(is_required(f, "10.20.0.10"));
	assert_false(is_required(f, "10.20.0.11"));
	assert_true(is_required(f, "fd00:20::1"));
	assert_false(is_required(f, "fd00:21::1"));
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.deflt, SL_MODE_ENFORCE); /* one does not touch the other */
	assert_int_equal(m.n_prefixes, 0);
}

static void
test_required(void **state)
{
	static struct sl_gw_mode_prefix many[1001];
	struct sl_gw_mode_prefix two[2] = {{.prefix = fx_prefix("10.20.0.10/32"), .target = "db"},
					   {.prefix = fx_prefix("fd00:20::/64")}};
	struct fx *f = *state;
	char path[512];
	unsigned n;
	int rc;

	fx_open(f);
	assert_null(sl_gw_log_required(f->gw, &n));
	assert_int_equal(n, 0);
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	assert_null(strstr(read_text(state_dir, "authz-mode.json"), "log_required"));
	assert_int_equal(sl_gw_log_required_set(f->gw, two, 2, &f->e), 0);
	holds_two(f);
	reopen(f);
	holds_two(f);
	assert_int_equal(sl_gw_logging_set(f->gw, true, &f->e), 0); /* writes the file anew */
	reopen(f);
	holds_two(f);
	snprintf(path, sizeof(path), "%s/authz-mode.json.new", state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	rc = sl_gw_log_required_set(f->gw, NULL, 0, &f->e);
	fx_refused(f, rc, -EISDIR, "state_write", "");
	rmdir(path);
	holds_two(f);
	for (unsigned i = 0; i < SL_ARRAY_SIZE(many); i++) {
		many[i].prefix = fx_prefix("10.1.0.0/32");
		many[i].prefix.ip.b[2] = (uint8_t)(i >> 8);
		many[i].prefix.ip.b[3] = (uint8_t)i;
	}
	rc = sl_gw_log_required_set(f->gw, many, 1001, &f->e);
	fx_refused(f, rc, -ENOSPC, "limit_prefixes", "/targets");
	holds_two(f);
	assert_int_equal(sl_gw_log_required_set(f->gw, &two[1], 1, &f->e), 0);
	assert_false(is_required(f, "10.20.0.10"));
	assert_true(is_required(f, "fd00:20::1"));
	assert_int_equal(sl_gw_log_required_set(f->gw, NULL, 0, &f->e), 0);
	reopen(f); /* none is known to be none: the configuration file does not bring them back */
	assert_non_null(sl_gw_log_required(f->gw, &n));
	assert_int_equal(n, 0);
	assert_false(is_required(f, "fd00:20::1"));
}

/* --- changes that wait for their confirmation ---------------------------------------------------
 */

static void pass(struct fx *f, uint64_t ns);

static int
enforce(struct fx *f, const char *prefix, const char *target, unsigned confirm_s, bool remove)
{
	struct sl_gw_mode_prefix p = {.prefix = fx_prefix(prefix), .mode = SL_MODE_ENFORCE};
	struct sl_gw_mode_change c = {.prefixes = &p,
				      .n_prefixes = 1,
				      .confirm_s = confirm_s,
				      .remove = remove,
				      .principal = "uid:7"};

	snprintf(p.target, sizeof(p.target), "%s", target);
	return sl_gw_mode_change(f->gw, &c, &f->e);
}

static uint32_t
mode_of(struct fx *f, const char *ip)
{
	uint32_t v = fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, ip);

	return v == SL_LPM_NONE ? (uint32_t)fx_root(f)->authz.deflt : v;
}

static void
test_confirm(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;
	char id[SL_GW_CONFIRM_ID];

	fx_open(f);
	assert_int_equal(enforce(f, "10.20.0.10/32", "db1", 600, false), 0);
	sl_gw_mode_get(f->gw, &m);
	memcpy(id, m.pending.id, sizeof(id));
	assert_true(id[0] != '\0');
	assert_int_equal(m.pending.revert_wall_ns, f->wall_ns + 600 * S);
	assert_string_equal(m.prefixes[0].target, "db1");
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
	fx_refused(f, enforce(f, "10.20.0.11/32", "", 600, false), -EBUSY, "confirm_pending",
		   "/confirm_within_s");
	fx_refused(f, sl_gw_mode_confirm(f->gw, "c-0", &f->e), -ENOENT, "confirm_unknown",
		   "/confirm_id");
	pass(f, 599 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
	assert_int_equal(sl_gw_mode_confirm(f->gw, id, &f->e), 0);
	pass(f, 10 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
	fx_refused(f, sl_gw_mode_confirm(f->gw, id, &f->e), -ENOENT, "confirm_unknown",
		   "/confirm_id");
	reopen(f);
	sl_gw_mode_get(f->gw, &m);
	assert_string_equal(m.prefixes[0].target, "db1");
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
}

static void
test_confirm_falls_back(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;

	fx_open(f);
	assert_int_equal(enforce(f, "10.30.0.0/16", "", 0, false), 0);
	assert_int_equal(enforce(f, "10.20.0.10/32", "", 10, false), 0);
	/* what is changed beside it stays: one prefix more, one less, the switch */
	assert_int_equal(enforce(f, "10.40.0.0/16", "", 0, false), 0);
	assert_int_equal(enforce(f, "10.30.0.0/16", "", 0, true), 0);
	assert_int_equal(sl_gw_mode_set_panic(f->gw, true, &f->e), 0);
	pass(f, 10 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
	assert_int_equal(mode_of(f, "10.40.0.1"), SL_MODE_ENFORCE);
	assert_int_equal(mode_of(f, "10.30.0.1"), SL_MODE_OBSERVE);
	assert_true(fx_root(f)->authz.panic_observe);
	sl_gw_mode_get(f->gw, &m);
	assert_string_equal(m.pending.id, "");
	assert_int_equal(m.n_prefixes, 1);
	reopen(f);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
	assert_int_equal(mode_of(f, "10.40.0.1"), SL_MODE_ENFORCE);
	/* a step of the wall clock neither hastens nor delays it */
	assert_int_equal(enforce(f, "10.20.0.10/32", "", 10, false), 0);
	f->wall_ns += 3600 * S;
	pass(f, 5 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
	f->wall_ns -= 7200 * S;
	pass(f, 5 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
}

static char told[4096];

static void
listen_log(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	size_t n = strlen(told);

	(void)ctx;
	(void)level;
	snprintf(told + n, sizeof(told) - n, "%s: %s\n", topic, text);
}

/* Whatever ended the process: the change that nobody confirmed is gone at the next start. */
static void
test_confirm_crash(void **state)
{
	struct fx *f = *state;
	struct sl_gw_mode m;
	char text[4096];

	fx_open(f);
	assert_int_equal(enforce(f, "10.30.0.0/16", "", 0, false), 0);
	assert_int_equal(enforce(f, "10.20.0.10/32", "", 600, false), 0);
	assert_int_equal(sl_gw_logging_set(f->gw, false, &f->e), 0);
	assert_true((size_t)snprintf(text, sizeof(text), "%s",
				     read_text(state_dir, "authz-mode.json")) < sizeof(text));
	told[0] = '\0';
	sl_log_set_sink(listen_log, NULL);
	reopen(f); /* the file is as a crash would leave it */
	assert_non_null(strstr(told, "audit: authz.mode.revert of c-"));
	assert_non_null(strstr(told, "the gateway ended before it was confirmed"));
	assert_non_null(strstr(told, ": prefix 10.20.0.10/32: enforce -> default"));
	assert_null(strstr(told, "10.30.0.0"));
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
	assert_int_equal(mode_of(f, "10.30.0.1"), SL_MODE_ENFORCE);
	assert_false(sl_gw_logging(f->gw));
	sl_gw_mode_get(f->gw, &m);
	assert_string_equal(m.pending.id, "");
	assert_null(strstr(read_text(state_dir, "authz-mode.json"), "pending"));
	fx_close(f);
	/* also where the deadline is long over */
	write_text(state_dir, "authz-mode.json", text);
	f->wall_ns += 86400 * S;
	fx_open(f);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
	assert_int_equal(mode_of(f, "10.30.0.1"), SL_MODE_ENFORCE);
}

/* What cannot be taken back on the disk is tried again. */
static void
test_confirm_not_written(void **state)
{
	struct fx *f = *state;
	char path[512];

	fx_open(f);
	assert_int_equal(enforce(f, "10.20.0.10/32", "", 10, false), 0);
	snprintf(path, sizeof(path), "%s/authz-mode.json.new", state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	pass(f, 11 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_ENFORCE);
	rmdir(path);
	pass(f, 2 * S);
	assert_int_equal(mode_of(f, "10.20.0.10"), SL_MODE_OBSERVE);
	assert_null(strstr(read_text(state_dir, "authz-mode.json"), "10.20.0.10"));
}

/* All prefixes of a change or none; lists in any order keep tables and file alike. */
static void
test_mode_lists(void **state)
{
	struct sl_gw_mode_prefix p[3] = {{.prefix = fx_prefix("10.0.0.0/8")},
					 {.prefix = fx_prefix("10.1.0.0/16"), .mode = 1},
					 {.prefix = fx_prefix("10.1.1.0/24")}};
	struct sl_gw_mode_change c = {.prefixes = p, .n_prefixes = 3};
	struct fx *f = *state;
	struct sl_gw_mode m;

	fx_open(f);
	assert_int_equal(sl_gw_mode_change(f->gw, &c, &f->e), 0);
	assert_int_equal(mode_of(f, "10.1.0.1"), SL_MODE_ENFORCE);
	c = (struct sl_gw_mode_change){.prefixes = p, .n_prefixes = 3, .remove = true};
	p[1].prefix = fx_prefix("10.9.0.0/16");
	fx_refused(f, sl_gw_mode_change(f->gw, &c, &f->e), -ENOENT, "not_found", "/prefixes/1");
	sl_gw_mode_get(f->gw, &m);
	assert_int_equal(m.n_prefixes, 3);
	assert_int_equal(mode_of(f, "10.1.0.1"), SL_MODE_ENFORCE);
	p[1].prefix = fx_prefix("10.0.0.0/8");
	c.n_prefixes = 1;
	assert_int_equal(sl_gw_mode_change(f->gw, &c, &f->e), 0);
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "10.2.0.1"),
			 SL_LPM_NONE);
	assert_int_equal(mode_of(f, "10.1.0.1"), SL_MODE_ENFORCE);
	reopen(f);
	assert_int_equal(mode_of(f, "10.1.0.1"), SL_MODE_ENFORCE);
	assert_int_equal(fx_lookup(&fx_root(f)->authz.mode4, &fx_root(f)->authz.mode6, "10.1.1.1"),
			 SL_MODE_OBSERVE);
}

static void
test_state_dir_missing(void **state)
{
	struct fx *f = *state;

	f->conf.reclaim = sl_rcu_queue_new(f->rcu);
	f->conf.state_dir = "/nowhere/at/all";
	assert_null(sl_gw_new(&f->conf, &f->e));
	assert_string_equal(f->e.reason, "state_dir");
	sl_rcu_queue_free(f->conf.reclaim);
}

/* --- run files
 * --------------------------------------------------------------------------------------- */

static void
pass(struct fx *f, uint64_t ns)
{
	f->now_ns += ns;
	f->wall_ns += ns;
	fx_turn(f);
	fx_turn(f);
}

static void
learn(struct fx *f, unsigned n, const char *endpoint)
{
	struct sl_pubkey key = fx_key(n);
	struct sl_gw_peer_info info;
	struct sl_peer_path path = {0};
	struct sl_endpoint ep;

	assert_int_equal(sl_endpoint_parse(endpoint, &ep), 0);
	assert_int_equal(sl_gw_peer_info(f->gw, "wg0", &key, &info), 0);
	path.outer.dst = ep.ip;
	path.outer.dport = ep.port;
	sl_peer_path_write(sl_peer_get(f->dp->peers, info.id), &path);
}

static void
open_with_peers(struct fx *f, unsigned n)
{
	unsigned i;

	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	for (i = 0; i < n; i++)
		fx_peer(f, "wg0", i, NULL);
	fx_turn(f);
}

static void
test_endpoints_come_back(void **state)
{
	struct fx *f = *state;
	struct stat st;
	char path[512];
	unsigned i;

	open_with_peers(f, 3);
	pass(f, 6 * S);
	assert_null(read_text(run_dir, "peers")); /* nothing to say yet */
	learn(f, 1, "198.51.100.7:4444");
	learn(f, 2, "[2001:db8::7]:5555");
	pass(f, 6 * S);
	assert_non_null(read_text(run_dir, "peers"));
	snprintf(path, sizeof(path), "%s/peers", run_dir);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	/* unchanged: not written again */
	assert_int_equal(unlink(path), 0);
	pass(f, 6 * S);
	assert_null(read_text(run_dir, "peers"));
	learn(f, 1, "198.51.100.8:4445");
	fx_close(f); /* saved at the end */
	assert_non_null(strstr(read_text(run_dir, "peers"), "198.51.100.8:4445"));
	open_with_peers(f, 3);
	assert_int_equal(fx_count(f, SL_HS_PEER_ADD), 3);
	for (i = 0; i < f->n_cmd; i++) {
		struct fx_cmd *c = &f->cmd[i];

		if (c->type != SL_HS_PEER_ADD)
			continue;
		if (memcmp(c->peer->key.b, fx_key(0).b, 32) == 0) {
			assert_int_equal(c->initiate, 0);
			assert_false(c->fields & SL_HS_F_ENDPOINT);
			continue;
		}
		assert_int_equal(c->initiate, 1);
		assert_true(c->fields & SL_HS_F_ENDPOINT);
		assert_true(c->fields & SL_HS_F_LAST_TS);
		if (memcmp(c->peer->key.b, fx_key(1).b, 32) == 0)
			assert_int_equal(c->outer.dport, 4445);
		else
			assert_memory_equal(c->outer.dst.b, fx_ip("2001:db8::7").b, 16);
	}
}

static const char *
record(unsigned n, const char *rest)
{
	static char line[512];
	char b64[SL_KEY_B64_LEN + 1];

	sl_key_to_base64(fx_key(n).b, b64);
	snprintf(line, sizeof(line), "sluice-run 1\nwg0 %s %s\n", b64, rest);
	return line;
}

static void
test_timestamps(void **state)
{
	struct fx *f = *state;
	struct sl_pubkey key = fx_key(1);
	static const uint8_t ts[SL_TAI64N_LEN] = {0x40, 0, 0, 0, 0x65, 0x53, 1, 2, 3, 4, 5, 6};

	write_text(run_dir, "peers", record(1, "198.51.100.7:4444 - 400000006553010203040506"));
	open_with_peers(f, 2);
	assert_memory_equal(fx_last(f, SL_HS_PEER_ADD)->last_ts, ts, sizeof(ts));
	/* kept while hs has nothing greater, even before it has looked at the peer */
	pass(f, 6 * S);
	assert_non_null(strstr(read_text(run_dir, "peers"), "400000006553010203040506"));
	/* a peer that is deleted is forgotten */
	assert_int_equal(sl_gw_peer_del(f->gw, "wg0", &key, &f->e), 0);
	pass(f, 6 * S);
	assert_null(strstr(read_text(run_dir, "peers"), "400000006553010203040506"));
	fx_peer(f, "wg0", 1, NULL);
	fx_turn(f);
	assert_false(fx_last(f, SL_HS_PEER_ADD)->fields & SL_HS_F_LAST_TS);
}

/* A peer that comes later (by `wg`, say) finds its record, also after further saves. */
static void
test_late_peer(void **state)
{
	struct fx *f = *state;

	write_text(run_dir, "peers", record(5, "198.51.100.7:4444 - 400000006553010203040506"));
	open_with_peers(f, 2);
	learn(f, 1, "198.51.100.9:1");
	pass(f, 6 * S);
	fx_close(f);
	open_with_peers(f, 2);
	fx_peer(f, "wg0", 5, NULL);
	fx_turn(f);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->outer.dport, 4444);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->initiate, 1);
}

static void
test_configured_endpoint_wins_when_changed(void **state)
{
	struct fx *f = *state;
	struct sl_gw_peer_spec s = {.iface = "wg0",
				    .public_key = fx_key(1),
				    .fields = SL_PF_ENDPOINT,
				    .endpoint = {fx_ip("203.0.113.1"), 51820}};

	write_text(run_dir, "peers",
		   record(1, "198.51.100.7:4444 203.0.113.1:51820 400000006553010203040506"));
	open_with_peers(f, 0);
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0); /* as it was: the learned one */
	fx_turn(f);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->outer.dport, 4444);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->initiate, 1);
	fx_close(f);
	s.endpoint.port = 51821;
	s.initiate = true;
	open_with_peers(f, 0);
	assert_int_equal(sl_gw_peer_set(f->gw, &s, &f->e), 0);
	fx_turn(f);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->outer.dport, 51821);
	assert_true(fx_last(f, SL_HS_PEER_ADD)->fields & SL_HS_F_LAST_TS);
	assert_int_equal(fx_last(f, SL_HS_PEER_ADD)->initiate, 1);
}

static void
test_garbage_is_passed_over(void **state)
{
	struct fx *f = *state;
	char text[2048];

	snprintf(text, sizeof(text), "%swg0 short\n\nwg0 %s", record(1, "- - 4000"), "\xff\xfe");
	write_text(run_dir, "peers", text);
	open_with_peers(f, 2);
	assert_false(fx_last(f, SL_HS_PEER_ADD)->fields & SL_HS_F_LAST_TS);
	fx_close(f);
	write_text(run_dir, "peers", "something else");
	open_with_peers(f, 2);
	learn(f, 1, "198.51.100.9:1");
	pass(f, 6 * S);
	assert_non_null(strstr(read_text(run_dir, "peers"), "198.51.100.9:1"));
}

/* Outer addresses never reach a disk (C18). */
static void
test_only_in_memory(void **state)
{
	struct fx *f = *state;

	struct statfs st;

	mkdir(state_dir, 0700);
	assert_int_equal(statfs(state_dir, &st), 0);
	if (st.f_type == TMPFS_MAGIC)
		skip();
	f->conf.run_dir = state_dir;
	open_with_peers(f, 2);
	learn(f, 1, "198.51.100.9:1");
	pass(f, 6 * S);
	fx_close(f);
	assert_null(read_text(state_dir, "peers"));
}

static void
test_many(void **state)
{
	struct fx *f = *state;
	unsigned i;
	const char *p;

	open_with_peers(f, 900);
	for (i = 0; i < 900; i++)
		learn(f, i, "198.51.100.9:1000");
	for (i = 0; i < 12; i++) /* slices of one look and one writing */
		pass(f, S);
	p = read_text(run_dir, "peers");
	assert_non_null(p);
	for (i = 0; (p = strstr(p, "198.51.100.9:1000")) != NULL; i++)
		p++;
	assert_true(i > 500); /* as many as fit into the test's buffer */
	fx_close(f);
	open_with_peers(f, 900);
	f->n_cmd = SL_MIN(f->n_cmd, FX_LOG);
	for (i = 0; i < f->n_cmd; i++)
		assert_true(f->cmd[i].type != SL_HS_PEER_ADD || f->cmd[i].initiate);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_mode_survives, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_not_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_invalid, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_old_file, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mode_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(test_clock_before_build, setup, teardown),
		cmocka_unit_test_setup_teardown(test_logging, setup, teardown),
		cmocka_unit_test_setup_teardown(test_required, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirm, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirm_falls_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirm_crash, setup, teardown),
		cmocka_unit_test_setup_teardown(test_confirm_not_written, setup, teardown),
		cmocka_unit_test_setup_teardown(test_state_dir_missing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_endpoints_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_late_peer, setup, teardown),
		cmocka_unit_test_setup_teardown(test_configured_endpoint_wins_when_changed, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_garbage_is_passed_over, setup, teardown),
		cmocka_unit_test_setup_teardown(test_only_in_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_many, setup, teardown),
	};

	(void)argc;
	fx_start(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
