/* SPDX-License-Identifier: BSD-3-Clause */
/* Members beside the document, limits that grow, and what outlives the process. */
#include "policy_fixture.h"
#include "sl_log.h"

#include <sys/stat.h>
#include <unistd.h>

/* --- members beside the document
 * ------------------------------------------------------------------
 */

static void
test_members(void **state)
{
	struct sl_pol_member bob = px_member("bob", NULL, "", 0);
	struct sl_pol_member net = px_member(NULL, "10.7.9.0/24", "wg0", 0), bad;
	struct fx *f = *state;
	uint64_t generation;

	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	px_peer(f, "wg0", 2, "bob", "10.7.0.3/32");
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bob, &f->e), -ENOENT, "role_unknown",
		   "/role");
	px_load(f, DOC);
	generation = px_last_generation;
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &bob, &f->e), 0);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &bob, &f->e), 0); /* again */
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &net, &f->e), 0);
	assert_true(px_allows(f, "wg0", 0, "10.7.9.1", "10.20.0.10", 5432));
	px_load(f, DOC); /* they outlive a load */
	assert_true(px_last_generation > generation);
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_true(px_allows(f, "wg0", 0, "10.7.9.1", "10.20.0.10", 5432));
	assert_int_equal(sl_gw_member_del(f->gw, "eng", &bob, &f->e), 0);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	fx_refused(f, sl_gw_member_del(f->gw, "eng", &bob, &f->e), -ENOENT, "not_found", "/peer");
	/* what the document says is not taken back here */
	bad = px_member("alice", NULL, "", 0);
	fx_refused(f, sl_gw_member_del(f->gw, "eng", &bad, &f->e), -ENOENT, "not_found", "/peer");
	bad = px_member("nobody", NULL, "", 0);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bad, &f->e), -ENOENT, "peer_unknown",
		   "/peer");
	bad = px_member(NULL, "10.7.9.1/24", "wg0", 0);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bad, &f->e), -EINVAL, "prefix_host_bits",
		   "/prefix");
	bad = px_member(NULL, "10.7.0.0/24", "", 0);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bad, &f->e), -EINVAL,
		   "any_interface_is_tunnel", "/prefix");
	bad = px_member(NULL, "10.7.8.0/24", "wg8", 0);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bad, &f->e), -ENOENT, "interface_unknown",
		   "/interface");
	bad = px_member("bob", NULL, "", f->wall_ns);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &bad, &f->e), -EINVAL, "expired", "/expires");
}

/* Of two that give the same role the longer one holds; when it goes, the other is left. */
static void
test_members_overlap(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member short_ = px_member("bob", NULL, "", f->wall_ns + 60 * S);
	struct sl_pol_member here = px_member("bob", NULL, "wg0", f->wall_ns + 600 * S);
	struct sl_pol_member alice = px_member("alice", NULL, "", f->wall_ns + 60 * S);

	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	px_peer(f, "wg0", 2, "bob", "10.7.0.3/32");
	px_load(f, DOC);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &alice, &f->e), 0);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &here, &f->e), 0);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &short_, &f->e), 0);
	px_advance(f, 61);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_int_equal(sl_gw_members_beside(f->gw, "eng"), 1);
	assert_int_equal(sl_gw_member_del(f->gw, "eng", &here, &f->e), 0);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
}

static void
test_members_role_gone(void **state)
{
	struct sl_pol_member bob = px_member("bob", NULL, "", 0);
	struct fx *f = *state;

	px_peer(f, "wg0", 2, "bob", "10.7.0.3/32");
	px_load(f, DOC);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &bob, &f->e), 0);
	px_load(f, "{\"version\":8}");
	assert_int_equal(sl_gw_members_beside(f->gw, "eng"), 0);
	px_load(f, DOC);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
}

/* --- limits
 * ---------------------------------------------------------------------------------------
 */

static void
test_capacity(void **state)
{
	struct sl_pol_member more = px_member(NULL, "10.7.9.0/24", "wg0", 0);
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char *text;

	fx_close(f);
	f->conf.policy_prefixes = 16;
	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	text = px_many_prefixes(12);
	px_load(f, text);
	free(text);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.use.prefixes, 12);
	assert_int_equal(i.use.prefixes_cap, 16);
	assert_int_equal(i.prefixes_max, 128);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &more, &f->e), 0);
	px_advance(f, 30);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.use.prefixes_cap, 16);
	px_advance(f, 31); /* 13 of 16 are more than 80 % */
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.use.prefixes, 13);
	assert_int_equal(i.use.prefixes_cap, 32);
	text = px_many_prefixes(127);
	px_load(f, text);
	free(text);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.use.prefixes_cap, 128);
	more = px_member(NULL, "10.7.10.0/24", "wg0", 0);
	fx_refused(f, sl_gw_member_add(f->gw, "eng", &more, &f->e), -ENOSPC, "limit_prefixes",
		   "/prefix");
	text = px_many_prefixes(129);
	assert_int_equal(px_submit(f, text, NULL), 0);
	assert_string_equal(px_last_e.reason, "limit_prefixes");
	free(text);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.use.prefixes, 128);
}

/* --- what outlives the process
 * --------------------------------------------------------------------
 */

static void
restart(struct fx *f, const char *file, int want)
{
	fx_turn(f);
	fx_close(f);
	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	px_peer(f, "wg0", 1, "alice", "10.7.0.2/32");
	px_peer(f, "wg0", 2, "bob", "10.7.0.3/32");
	sl_gw_begin(f->gw);
	assert_int_equal(sl_gw_policy_boot(f->gw, file, &f->e), want);
	sl_gw_commit(f->gw);
}

static void
write_file(const char *name, const char *text)
{
	char path[512];
	FILE *o;

	mkdir(px_state_dir, 0700);
	snprintf(path, sizeof(path), "%s/%s", px_state_dir, name);
	o = fopen(path, "w");
	assert_non_null(o);
	fputs(text, o);
	fclose(o);
}

static void
test_kept(void **state)
{
	struct fx *f = *state;
	struct sl_pol_member bob = px_member("bob", NULL, "", 0);
	struct sl_gw_policy_info i;
	char text[1024];
	size_t len;

	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_false(i.loaded);
	snprintf(text, sizeof(text),
		 "{\"version\":9, // with a comment\n" ZONES
		 "\"roles\":{\"eng\":{\"members\":[\"peer:alice\"]}},"
		 "\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","
		 "\"action\":\"allow\"},{\"id\":2,\"role\":\"eng\",\"to\":[\"*\"],\"protocol\":"
		 "\"udp\",\"action\":\"allow\",\"expires\":\"%s\"}]}",
		 px_at(f->wall_ns + 100 * S));
	px_load(f, text);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &bob, &f->e), 0);
	f->wall_ns += 1000 * S; /* a rule has ended while it was down */
	restart(f, "/nowhere/policy.json", 0);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.version, 9);
	assert_string_equal(i.origin, "state");
	assert_string_equal(sl_gw_policy_text(f->gw, &len), text);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 1));
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 1));
	/* a refused one is not kept */
	px_load_refused(f, "{\"version\":10,", "json_syntax", "");
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.version, 9);
	assert_int_equal(sl_gw_member_del(f->gw, "eng", &bob, &f->e), 0);
	restart(f, NULL, 0);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 1));
}

/* A kept document that cannot be loaded: closed, and told; not the older file. */
static void
test_broken_state(void **state)
{
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char file[512];

	write_file("file.json", DOC);
	snprintf(file, sizeof(file), "%s/file.json", px_state_dir);
	write_file("policy.json", "{\"version\":");
	restart(f, file, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_false(i.loaded);
	assert_non_null(strstr(i.broken, "policy.json"));
	assert_int_equal(px_judge(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432).why, SL_WHY_NO_ROLE);
	px_load(f, DOC);
	sl_gw_policy_info(f->gw, &i);
	assert_string_equal(i.broken, "");
	restart(f, NULL, 0);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
}

static unsigned n_warned;
static char warned[512];

static void
listen(void *ctx, enum sl_log_level level, const char *topic, const char *text)
{
	if (level != SL_LOG_WARN || strstr(text, "tests") == NULL)
		return;
	n_warned++;
	snprintf(warned, sizeof(warned), "%s", text);
}

/** What is said of the document's tests once a gateway that began with it turns. */
static unsigned
warnings(struct fx *f)
{
	n_warned = 0;
	sl_log_set_sink(listen, NULL); /* as quiet as the fixture's for all else */
	for (unsigned i = 0; i < 20; i++)
		fx_turn(f);
	return n_warned;
}

/** Some of it is over after 100 s. @param peer whom its test is about */
static void
write_old_file(const struct fx *f, const char *peer)
{
	const char *end = px_at(f->wall_ns + 100 * S);
	char text[1024];

	snprintf(text, sizeof(text),
		 "{\"version\":5," ZONES "\"roles\":{\"eng\":{\"members\":[\"peer:alice\","
		 "{\"peer\":\"bob\",\"expires\":\"%s\"}]}},"
		 "\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","
		 "\"action\":\"allow\"},{\"id\":2,\"role\":\"eng\",\"to\":[\"*\"],\"protocol\":"
		 "\"any\",\"action\":\"allow\",\"expires\":\"%s\"}],"
		 "\"tests\":[{\"from\":{\"peer\":\"%s\"},\"to\":\"db1\",\"protocol\":\"tcp\","
		 "\"port\":1,\"expect\":\"allow\"}]}",
		 end, end, peer);
	write_file("file.json", text);
}

/* A file that was sound when it was written: time alone must not keep a gateway from starting, nor
 * must a test whose peer is gone. */
static void
test_old_file(void **state)
{
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char file[512];

	write_old_file(f, "gone");
	snprintf(file, sizeof(file), "%s/file.json", px_state_dir);
	f->wall_ns += 1000 * S;
	restart(f, file, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_string_equal(i.origin, "file");
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 1));
	assert_false(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.99", 1));
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 1));
	/* its test does not hold, which is told once, and changes nothing */
	assert_int_equal(warnings(f), 1);
	assert_non_null(strstr(warned, "/tests/0"));
	assert_int_equal(warnings(f), 0);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 1));
	/* nothing to tell where it holds, or where another policy came first */
	f->wall_ns -= 1000 * S;
	write_old_file(f, "alice");
	f->wall_ns += 1000 * S;
	restart(f, file, 0);
	assert_int_equal(warnings(f), 0);
	/* what is wrong in itself still ends the start */
	write_file("file.json", "{\"version\":5,");
	restart(f, file, -EINVAL);
	assert_string_equal(f->e.reason, "json_syntax");
}

static void
test_tests_of_a_start(void **state)
{
	struct fx *f = *state;
	char file[512], text[1024];

	write_old_file(f, "gone");
	snprintf(file, sizeof(file), "%s/file.json", px_state_dir);
	restart(f, file, 0);
	px_load(f, DOC); /* before the loop came to it */
	assert_int_equal(warnings(f), 0);
	/* one that is kept from the last run, whose rule has ended since */
	snprintf(text, sizeof(text),
		 "{\"version\":6," ZONES "\"roles\":{\"eng\":{\"members\":[\"peer:alice\"]}},"
		 "\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","
		 "\"action\":\"allow\",\"expires\":\"%s\"}],"
		 "\"tests\":[{\"from\":{\"peer\":\"alice\"},\"to\":\"db1\",\"protocol\":\"tcp\","
		 "\"port\":1,\"expect\":\"allow\"}]}",
		 px_at(f->wall_ns + 100 * S));
	px_load(f, text);
	restart(f, file, 0);
	assert_int_equal(warnings(f), 0);
	f->wall_ns += 1000 * S;
	restart(f, file, 0);
	assert_int_equal(warnings(f), 1);
	assert_non_null(strstr(warned, "/tests/0"));
}

#define HOUR_S UINT64_C(3600)

static void
later(struct fx *f, uint64_t seconds)
{
	f->now_ns += seconds * S;
	f->wall_ns += seconds * S;
}

/** As policy.test does. */
static int
ask_tests(struct fx *f)
{
	const struct sl_gw_policy_load l = {
		.again = true, .run_tests = true, .dry_run = true, .lenient = true, .wait = true};
	struct sl_gw_policy_info i;

	assert_int_equal(sl_gw_policy_load(f->gw, &l, &f->e), 0);
	sl_gw_policy_info(f->gw, &i);
	return i.tests_failed[0] == '\0' ? 0 : -EINVAL;
}

/* What a test is about may end later: it is run each day, told each time, and changes nothing. */
static void
test_tests_of_each_day(void **state)
{
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char text[1024];

	restart(f, NULL, 0);
	snprintf(text, sizeof(text),
		 "{\"version\":7," ZONES "\"roles\":{\"eng\":{\"members\":[\"peer:alice\"]}},"
		 "\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","
		 "\"action\":\"allow\",\"expires\":\"%s\"}],"
		 "\"tests\":[{\"from\":{\"peer\":\"alice\"},\"to\":\"db1\",\"protocol\":\"tcp\","
		 "\"port\":1,\"expect\":\"allow\"}]}",
		 px_at(f->wall_ns + 36 * HOUR_S * S));
	px_load(f, text);
	later(f, 25 * HOUR_S); /* they hold */
	assert_int_equal(warnings(f), 0);
	later(f, 22 * HOUR_S); /* no more, but it is not time */
	assert_int_equal(warnings(f), 0);
	later(f, 2 * HOUR_S);
	assert_int_equal(warnings(f), 1);
	assert_non_null(strstr(warned, "/tests/0"));
	assert_int_equal(warnings(f), 0);
	sl_gw_policy_info(f->gw, &i);
	assert_non_null(strstr(i.tests_failed, "/tests/0"));
	assert_int_equal(i.version, 7);
	later(f, 25 * HOUR_S);
	assert_int_equal(warnings(f), 1);
	/* who asks and finds that they hold has mended it */
	f->wall_ns -= 60 * HOUR_S * S;
	assert_int_equal(ask_tests(f), 0);
	f->wall_ns += 60 * HOUR_S * S;
	assert_int_equal(ask_tests(f), -EINVAL);
	/* nothing is left to run under another policy, or under none */
	px_load(f, DOC);
	assert_int_equal(warnings(f), 0);
	sl_gw_policy_info(f->gw, &i);
	assert_string_equal(i.tests_failed, "");
	later(f, 25 * HOUR_S);
	assert_int_equal(warnings(f), 0);
}

/* --- without a policy
 * ------------------------------------------------------------------------------
 */

static unsigned n_cleared;

static void
cleared(void *ctx, int rc, const struct sl_error *e, const struct sl_gw_policy_result *r)
{
	assert_int_equal(rc, 0);
	assert_null(r);
	n_cleared++;
}

static int
clear(struct fx *f, bool force, uint32_t if_version)
{
	struct sl_gw_policy_clear c = {.force = force, .if_version = if_version, .done = cleared};

	n_cleared = 0;
	return sl_gw_policy_clear(f->gw, &c, &f->e);
}

static void
test_clear(void **state)
{
	struct sl_pol_member bob = px_member("bob", NULL, "", 0);
	struct fx *f = *state;
	struct sl_gw_policy_info i;

	restart(f, NULL, 0);
	px_load(f, DOC);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &bob, &f->e), 0);
	fx_refused(f, clear(f, true, 6), -EBUSY, "version_mismatch", "/if_version");
	assert_int_equal(sl_gw_mode_set_default(f->gw, SL_MODE_ENFORCE, &f->e), 0);
	fx_refused(f, clear(f, false, 7), -EPERM, "mode_enforced", "/force");
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_int_equal(clear(f, true, 7), 0);
	assert_int_equal(n_cleared, 1);
	assert_int_equal(px_judge(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432).why, SL_WHY_NO_ROLE);
	sl_gw_policy_info(f->gw, &i);
	assert_false(i.loaded || i.compiling);
	assert_int_equal(i.generation, 0);
	assert_null(sl_gw_policy(f->gw));
	/* peers and interfaces come and go, time passes, as without a policy */
	px_peer(f, "wg0", 3, "carol", "10.7.0.4/32");
	px_advance(f, 3600);
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_false(i.loaded);
	/* the same document is no way back for members that were forgotten with it */
	px_load(f, DOC);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
}

/* What enforces may be a prefix alone; observing asks for nothing; a broken document goes, too. */
static void
test_clear_modes(void **state)
{
	struct fx *f = *state;
	struct sl_prefix db = fx_prefix("10.20.0.10/32");
	struct sl_gw_policy_info i;

	restart(f, NULL, 0);
	assert_int_equal(clear(f, false, 0), 0); /* none was in force */
	px_load(f, DOC);
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &db, SL_MODE_ENFORCE, false, &f->e), 0);
	fx_refused(f, clear(f, false, 0), -EPERM, "mode_enforced", "/force");
	assert_int_equal(sl_gw_mode_set_prefix(f->gw, &db, SL_MODE_OBSERVE, true, &f->e), 0);
	assert_int_equal(clear(f, false, 0), 0);
	assert_int_equal(n_cleared, 1);
	write_file("policy.json", "{\"version\":");
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_string_not_equal(i.broken, "");
	assert_int_equal(clear(f, true, 0), 0);
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_string_equal(i.broken, "");
}

/* A kept document that cannot be removed stays in force. */
static void
test_clear_write(void **state)
{
	struct fx *f = *state;
	char path[512];

	restart(f, NULL, 0);
	px_load(f, DOC);
	snprintf(path, sizeof(path), "%s/policy.json", px_state_dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkdir(path, 0700), 0);
	fx_refused(f, clear(f, true, 0), -EIO, "state_write", "");
	assert_int_equal(n_cleared, 0);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	rmdir(path);
}

/* Peers come first at a start: what is kept for "*" and theirs now gives them nothing. */
static void
test_kept_any(void **state)
{
	static const char text[] =
		"{\"version\":3," ZONES "\"roles\":{\"eng\":{\"members\":[\"10.7.0.0/24@*\"]}},"
		"\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"db1\"],\"protocol\":\"tcp\","
		"\"action\":\"allow\"}]}";
	struct sl_pol_member any = px_member(NULL, "10.7.0.0/24", "", 0);
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char path[512];

	px_load(f, text);
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_false(i.loaded);
	assert_non_null(strstr(i.broken, "any_interface_is_tunnel"));
	assert_int_equal(px_judge(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432).why, SL_WHY_NO_ROLE);
	/* the same beside the document, which is in force then */
	snprintf(path, sizeof(path), "%s/policy.json", px_state_dir);
	assert_int_equal(unlink(path), 0);
	fx_turn(f);
	fx_close(f);
	fx_open(f);
	fx_ports(f);
	fx_iface(f, "wg0", 51820);
	px_load(f, DOC);
	assert_int_equal(sl_gw_member_add(f->gw, "eng", &any, &f->e), 0);
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_true(i.loaded);
	assert_non_null(strstr(i.broken, "any_interface_is_tunnel"));
	assert_int_equal(sl_gw_members_beside(f->gw, "eng"), 0);
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432)); /* as alice */
	assert_int_equal(px_judge(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432).why, SL_WHY_NO_ROLE);
}

static void
test_broken_members(void **state)
{
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char path[512];

	write_file("members.json", "{\"version\":1,\"members\":[{\"role\":1}]}");
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_non_null(strstr(i.broken, "members.json"));
	snprintf(path, sizeof(path), "%s/members.json.broken", px_state_dir);
	assert_int_equal(access(path, F_OK), 0);
}

static void
test_file(void **state)
{
	struct fx *f = *state;
	struct sl_gw_policy_info i;
	char file[512];

	write_file("file.json", DOC);
	snprintf(file, sizeof(file), "%s/file.json", px_state_dir);
	restart(f, file, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_string_equal(i.origin, "file");
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	write_file("file.json", "{\"version\":1,\"roles\":{\"a b\":{}}}");
	restart(f, file, -EINVAL); /* it is read anew as long as nothing else was loaded */
	assert_string_equal(f->e.reason, "name_invalid");
	restart(f, "/nowhere/policy.json", -ENOENT);
	assert_string_equal(f->e.path, "/file");
}

/* The disk refuses: nothing changes. */
static void
test_state_write(void **state)
{
	struct fx *f = *state;
	char path[512];

	restart(f, NULL, 0);
	px_load(f, DOC);
	snprintf(path, sizeof(path), "%s/policy.json.new", px_state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	px_load_refused(f, "{\"version\":8}", "state_write", "");
	assert_true(px_allows(f, "wg0", 1, "10.7.0.2", "10.20.0.10", 5432));
	rmdir(path);
}

static bool
file_has(const char *name, const char *what)
{
	char path[512], text[4096];
	size_t n = 0;
	FILE *in;

	snprintf(path, sizeof(path), "%s/%s", px_state_dir, name);
	in = fopen(path, "r");
	if (in != NULL) {
		n = fread(text, 1, sizeof(text) - 1, in);
		fclose(in);
	}
	text[n] = '\0';
	return in != NULL && strstr(text, what) != NULL;
}

/* --- changes whose file the helper writes
 * ---------------------------------------------------------
 */

static unsigned n_changes, n_refused;
static char refused_for[48];

static void
change_done(void *ctx, int rc, const struct sl_error *e)
{
	n_changes++;
	n_refused += rc != 0;
	if (rc != 0)
		snprintf(refused_for, sizeof(refused_for), "%s", e->reason);
}

static void
change(struct fx *f, bool add, const struct sl_pol_member *m)
{
	assert_int_equal(sl_gw_member_change(f->gw, add, "eng", m, change_done, NULL, &f->e), 0);
}

static void
until_changes(struct fx *f, unsigned n)
{
	struct timespec ts = {.tv_nsec = 1000000};

	for (unsigned i = 0; i < 5000 && n_changes < n; i++) {
		nanosleep(&ts, NULL);
		sl_gw_poll(f->gw);
	}
	assert_int_equal(n_changes, n);
}

static void
with_helper(struct fx *f)
{
	f->conf.lockstep = true;
	restart(f, NULL, 0);
	px_load(f, DOC);
	f->conf.lockstep = false;
	n_changes = n_refused = 0;
	restart(f, NULL, 0);
}

static void
test_change(void **state)
{
	struct sl_pol_member bob = px_member("bob", NULL, "", 0), no;
	struct sl_pol_member net = px_member(NULL, "10.7.9.0/24", "wg0", 0);
	struct fx *f = *state;

	with_helper(f);
	no = px_member("nobody", NULL, "", 0);
	assert_int_equal(sl_gw_member_change(f->gw, true, "eng", &no, change_done, NULL, &f->e),
			 -ENOENT);
	change(f, true, &bob);
	change(f, true, &net);
	change(f, false, &net);
	change(f, false, &net); /* is not there any more */
	assert_int_equal(n_changes, 0);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	until_changes(f, 4);
	assert_int_equal(n_refused, 1);
	assert_string_equal(refused_for, "not_found");
	assert_true(file_has("members.json", "bob"));
	assert_false(file_has("members.json", "10.7.9.0"));
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_false(px_allows(f, "wg0", 0, "10.7.9.1", "10.20.0.10", 5432));
	/* one that is under way when the gateway ends is answered, and does what the answer says */
	change(f, false, &bob);
	sl_gw_poll(f->gw);
	change(f, true, &net);
	fx_close(f);
	assert_int_equal(n_changes, 6);
	assert_int_equal(n_refused, 2);
	assert_string_equal(refused_for, "stopping");
	fx_open(f);
	restart(f, NULL, 0);
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_int_equal(sl_gw_members_beside(f->gw, "eng"), 0);
}

/* The disk refuses: what was is in force. */
static void
test_change_refused(void **state)
{
	struct sl_pol_member bob = px_member("bob", NULL, "", 0);
	struct sl_pol_member net = px_member(NULL, "10.7.9.0/24", "wg0", 0);
	struct fx *f = *state;
	char path[512];

	with_helper(f);
	change(f, true, &net);
	until_changes(f, 1);
	snprintf(path, sizeof(path), "%s/members.json.new", px_state_dir);
	assert_int_equal(mkdir(path, 0700), 0);
	change(f, true, &bob);
	change(f, false, &net);
	until_changes(f, 3);
	rmdir(path);
	assert_int_equal(n_refused, 2);
	assert_string_equal(refused_for, "state_write");
	assert_false(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
	assert_true(px_allows(f, "wg0", 0, "10.7.9.1", "10.20.0.10", 5432));
	change(f, true, &bob);
	until_changes(f, 4);
	assert_int_equal(n_refused, 2);
	assert_true(px_allows(f, "wg0", 2, "10.7.0.3", "10.20.0.10", 5432));
}

/* --- ids of roles
 * ---------------------------------------------------------------------------------
 */

#define ROLES(version, roles) "{\"version\":" #version ",\"roles\":{" roles "}}"

static uint32_t
role_id(struct fx *f, const char *name)
{
	const struct sl_policy *p = sl_gw_policy(f->gw);

	for (unsigned i = 0; p != NULL && i < p->n_roles; i++)
		if (strcmp(p->roles[i].name, name) == 0)
			return p->roles[i].id;
	return 0;
}

/* Names keep their ids over loads and starts, whether the document was kept or not. */
static void
test_role_ids(void **state)
{
	struct fx *f = *state;
	uint32_t audit, lab, ops;

	restart(f, NULL, 0);
	px_load(f, ROLES(1, "\"eng\":{},\"ops\":{}"));
	assert_int_equal(role_id(f, "eng"), 1);
	assert_int_equal(role_id(f, "ops"), 2);
	px_load(f, ROLES(2, "\"audit\":{},\"eng\":{}"));
	audit = role_id(f, "audit");
	assert_int_equal(role_id(f, "eng"), 1);
	assert_int_equal(audit, 3);
	assert_string_equal(sl_gw_role_name(f->gw, 2), "ops"); /* flows of before still name it */
	restart(f, NULL, 0);
	assert_int_equal(role_id(f, "eng"), 1);
	assert_int_equal(role_id(f, "audit"), audit);
	px_load(f, ROLES(3, "\"lab\":{},\"ops\":{},\"audit\":{}"));
	lab = role_id(f, "lab");
	assert_int_equal(role_id(f, "ops"), 2);
	assert_int_equal(role_id(f, "audit"), audit);
	assert_int_equal(lab, 4); /* eng had 1 */
	/* a written id wins: of one that is here, and of one that is not */
	px_load(f, ROLES(4, "\"ops\":{},\"lab\":{},\"root\":{\"id\":2},\"web\":{\"id\":1}"));
	ops = role_id(f, "ops");
	assert_int_equal(role_id(f, "root"), 2);
	assert_int_equal(role_id(f, "web"), 1);
	assert_int_equal(role_id(f, "lab"), lab);
	assert_int_equal(ops, 5);
	assert_string_equal(sl_gw_role_name(f->gw, 2), "root");
	/* what is refused teaches nothing */
	assert_int_equal(px_submit(f, ROLES(5, "\"x\":{},\"y\":{\"id\":9},\"z\":{\"id\":9}"), NULL),
			 0);
	assert_int_equal(px_last_rc, -EEXIST);
	assert_null(sl_gw_role_name(f->gw, 6));
	sl_gw_poll(f->gw);
	assert_true(file_has("roles.json", "\"audit\": 3"));
	write_file("roles.json", "{\"version\":1,\"roles\":{\"ops\":7,\"lab\":7}}");
	restart(f, NULL, 0);
	assert_int_equal(role_id(f, "ops"), 3); /* anew: the lowest that is free */
	assert_true(role_id(f, "root") == 2);
}

/* --- a load that is refused after its text was written
 * --------------------------------------------
 */

/* its test fails where there is no wg1 */
#define NEXT                                                                                       \
	"{\"version\":8,\"targets\":{\"far\":{\"addresses\":[\"10.20.0.10/32@wg1\"]}},"            \
	"\"roles\":{\"eng\":{\"members\":[\"peer:alice\"]}},"                                      \
	"\"rules\":[{\"id\":1,\"role\":\"eng\",\"to\":[\"far\"],\"protocol\":\"tcp\","             \
	"\"action\":\"allow\"}],"                                                                  \
	"\"tests\":[{\"name\":\"t\",\"from\":{\"roles\":[\"eng\"]},\"to\":\"far\","                \
	"\"protocol\":\"tcp\",\"port\":1,\"expect\":\"allow\"}]}"

/* DOC in force, NEXT on the disk but not decided on: the helper has it, and no turn was made since.
 */
static void
load_until_written(struct fx *f)
{
	struct timespec ts = {.tv_nsec = 1000000};
	unsigned i;

	f->conf.lockstep = false;
	px_n_done = 0;
	restart(f, NULL, 0);
	fx_iface(f, "wg1", 51821);
	assert_int_equal(px_submit(f, DOC, NULL), 0);
	for (i = 0; i < 5000 && px_n_done == 0; i++) {
		nanosleep(&ts, NULL);
		sl_gw_poll(f->gw);
	}
	assert_int_equal(px_last_rc, 0);
	assert_true(file_has("policy.json", "\"version\":7"));
	assert_int_equal(px_submit(f, NEXT, NULL), 0);
	for (i = 0; i < 3; i++) { /* build; peers; test and text */
		sl_gw_poll(f->gw);
		ts.tv_nsec = 100000000;
		nanosleep(&ts, NULL);
	}
	assert_int_equal(px_n_done, 1);
	assert_true(file_has("policy.json.new", "\"version\":8") ||
		    file_has("policy.json", "\"version\":8"));
}

static void
old_one_is_kept(struct fx *f)
{
	struct sl_gw_policy_info i;

	assert_true(file_has("policy.json", "\"version\":7"));
	assert_false(file_has("policy.json.new", ""));
	f->conf.lockstep = true;
	restart(f, NULL, 0);
	sl_gw_policy_info(f->gw, &i);
	assert_int_equal(i.version, 7);
}

/* An interface that goes makes the rules be compiled anew, and then a test fails. */
static void
test_refused_late(void **state)
{
	struct timespec ts = {.tv_nsec = 1000000};
	struct fx *f = *state;

	load_until_written(f);
	assert_int_equal(sl_gw_iface_del(f->gw, "wg1", &f->e), 0);
	for (unsigned i = 0; i < 5000 && px_n_done == 1; i++) {
		nanosleep(&ts, NULL);
		sl_gw_poll(f->gw);
	}
	assert_int_equal(px_n_done, 2);
	assert_string_equal(px_last_e.reason, "test_failed");
	old_one_is_kept(f);
}

static void
test_ended_late(void **state)
{
	struct fx *f = *state;

	load_until_written(f);
	fx_close(f);
	assert_int_equal(px_n_done, 2);
	assert_string_equal(px_last_e.reason, "stopping");
	fx_open(f);
	old_one_is_kept(f);
}

/* The process was killed there: the file that was on its way is nothing. */
static void
test_killed_late(void **state)
{
	struct fx *f = *state;

	restart(f, NULL, 0);
	px_load(f, DOC);
	fx_close(f);
	write_file("policy.json.new", NEXT);
	fx_open(f);
	old_one_is_kept(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_members, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_members_overlap, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_members_role_gone, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_capacity, px_setup, px_teardown),
		cmocka_unit_test_setup_teardown(test_kept, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_old_file, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_tests_of_a_start, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_tests_of_each_day, px_setup_state,
						px_teardown),
		cmocka_unit_test_setup_teardown(test_broken_state, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_clear, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_clear_modes, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_clear_write, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_role_ids, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_kept_any, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_broken_members, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_file, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_state_write, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_change, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_change_refused, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_refused_late, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_ended_late, px_setup_state, px_teardown),
		cmocka_unit_test_setup_teardown(test_killed_late, px_setup_state, px_teardown),
	};

	fx_start("test_policy_state");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
