/* SPDX-License-Identifier: BSD-3-Clause */
/* config.show, config.save, config.load. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "key_file.h"
#include "rpc_int.h"
#include "sl_file.h"
#include "sl_log.h"

#define FILE_VERSION 1
#define FILE_MAX_BYTES (64 * 1024 * 1024)

int
sl_rpc_h_config_show(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_config_show *p, json_t **result, struct sl_error *e)
{
	struct ctl_calls c;
	int rc = ctl_calls(user, (uint64_t)p->after, p->has_limit ? (unsigned)p->limit : CTL_PAGE,
			   &c, NULL);

	(void)caller;
	(void)e;
	if (rc)
		return rc;
	*result = json_pack("{s:o}", "calls", c.calls);
	if (*result && c.next)
		json_object_set_new(*result, "next", json_integer((json_int_t)c.next));
	return *result ? 0 : -ENOMEM;
}

static int
file_failed(struct sl_error *e, const char *file, const char *hint)
{
	int rc = -errno;

	sl_fail(e, rc ? rc : -EIO, "file", "/file", "%.200s: %s", file, strerror(-rc));
	if (hint)
		sl_hint(e, "%s", hint);
	return rc ? rc : -EIO;
}

static int
check_path(const char *file, struct sl_error *e)
{
	if (file[0] == '/')
		return 0;
	sl_fail(e, -EINVAL, "path_relative", "/file", "\"%.200s\" is not an absolute path", file);
	sl_hint(e, "the file lies on the gateway's host: begin with /");
	return -EINVAL;
}

/* --- save ----------------------------------------------------------------------------------- */

/**
 * The gateway may write where the caller may not: members of the socket's group save into the state
 * directory alone.
 */
static int
check_place(const struct sl_ctl *ctl, const struct sl_rpc_caller *caller, const char *file,
	    struct sl_error *e)
{
	const char *dir = ctl->config && ctl->config->state_dir ? ctl->config->state_dir : "";
	size_t n = strlen(dir);

	if (caller->via != SL_RPC_VIA_UNIX || geteuid() != 0 ||
	    strcmp(caller->principal, "uid:0") == 0)
		return 0;
	if (n && strncmp(file, dir, n) == 0 && file[n] == '/' && !strchr(file + n + 1, '/'))
		return 0;
	sl_fail(e, -EPERM, "not_permitted", "/file", "only root saves to %.200s", file);
	sl_hint(e, "save to a file in %.160s", n ? dir : "the state directory");
	return -EPERM;
}

/** A file of anything else is not replaced. */
static int
check_target(const char *file, struct sl_error *e)
{
	static const char head[] = "{\"sluice_config\":";
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	char text[sizeof(head)] = "";
	struct stat st;
	bool ours;

	if (fd < 0 && errno == ENOENT)
		return 0;
	ours = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, head) == 0;
	if (fd >= 0)
		close(fd);
	if (ours)
		return 0;
	sl_fail(e, -EEXIST, "file_in_use", "/file", "%.200s is there and no saved configuration",
		file);
	sl_hint(e, "name another file, or remove it");
	return -EEXIST;
}

/** All calls, one a line. @return how many, or a negative errno */
static long
write_calls(struct sl_ctl *ctl, FILE *f, json_t *left_out)
{
	struct ctl_calls c = {0};
	json_t *call;
	long n = 0;
	size_t i;

	fprintf(f, "{\"sluice_config\": %d, \"calls\": [", FILE_VERSION);
	do {
		int rc = ctl_calls(ctl, c.next, CTL_PAGE, &c, left_out);

		if (rc)
			return rc;
		json_array_foreach (c.calls, i, call) {
			fputs(n++ ? ",\n" : "\n", f);
			if (json_dumpf(call, f, 0)) {
				json_decref(c.calls);
				return -EIO;
			}
		}
		json_decref(c.calls);
	} while (c.next);
	fputs("\n]}\n", f);
	return n;
}

static long
save(struct sl_ctl *ctl, const char *file, const char *tmp, json_t *left_out, struct sl_error *e)
{
	int fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
	int rc = 0;
	long n;

	if (!f)
		return file_failed(e, tmp, "the directory must be there and writable");
	n = write_calls(ctl, f, left_out);
	if (n >= 0 && (fflush(f) || fsync(fd)))
		n = -errno;
	if (fclose(f) && n >= 0)
		n = -errno;
	if (n >= 0 && rename(tmp, file))
		n = -errno;
	if (n >= 0)
		rc = sl_file_sync_parent(file); /* a power cut cannot take the new name away */
	if (rc < 0)
		n = rc;
	if (n >= 0)
		return n;
	errno = (int)-n;
	n = file_failed(e, file, NULL);
	unlink(tmp);
	return n;
}

int
sl_rpc_h_config_save(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_config_save *p, json_t **result, struct sl_error *e)
{
	json_t *left_out = json_array();
	char tmp[4200];
	long n = check_path(p->file, e);

	if (n == 0)
		n = check_place(user, caller, p->file, e);
	if (n == 0)
		n = check_target(p->file, e);
	if (n == 0) {
		snprintf(tmp, sizeof(tmp), "%s.%d.tmp", p->file, (int)getpid());
		n = save(user, p->file, tmp, left_out, e);
	}
	if (n < 0) {
		json_decref(left_out);
		return (int)n;
	}
	sl_log(SL_LOG_NOTICE, "audit", "config.save by %s", caller->principal);
	return ctl_answer(result,
			  json_pack("{s:I, s:o}", "calls", (json_int_t)n, "left_out", left_out));
}

/* --- load ----------------------------------------------------------------------------------- */

static int
file_invalid(struct sl_error *e, const char *file, const char *why, int line)
{
	/* not the parser's own words: they repeat pieces of the file */
	if (line > 0)
		sl_fail(e, -EINVAL, "file_invalid", "/file", "%.160s:%d: %s", file, line, why);
	else
		sl_fail(e, -EINVAL, "file_invalid", "/file", "%.160s: %s", file, why);
	sl_hint(e, "config.save writes such files; the gateway's own configuration is read at its "
		   "start only");
	return -EINVAL;
}

static int
read_file(const char *file, json_t **out, struct sl_error *e)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	json_error_t je;
	struct stat st;

	if (fd < 0)
		return file_failed(e, file, NULL);
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES) {
		close(fd);
		return file_invalid(e, file, "not a file of at most 64 MiB", 0);
	}
	*out = json_loadfd(fd, JSON_REJECT_DUPLICATES, &je);
	close(fd);
	if (!*out)
		return file_invalid(e, file, "not JSON", je.line);
	if (!json_is_object(*out) ||
	    json_integer_value(json_object_get(*out, "sluice_config")) != FILE_VERSION ||
	    !json_is_array(json_object_get(*out, "calls")))
		return file_invalid(e, file, "not a saved configuration of this version", 0);
	return 0;
}

static bool
may_load(const char *method)
{
	static const char *const allowed[] = {"interface.set", "peer.set", "route.add",
					      "neighbour.set", "sys.log_level.set"};

	for (size_t i = 0; i < SL_ARRAY_SIZE(allowed); i++)
		if (strcmp(method, allowed[i]) == 0)
			return true;
	return false;
}

static int
check_key_file(const json_t *params, const char *name, struct sl_error *e)
{
	const char *file = json_string_value(json_object_get(params, name));
	struct sl_secret key;
	char path[40];
	int rc;

	if (!file || !file[0])
		return 0;
	snprintf(path, sizeof(path), "/%s", name);
	rc = sl_key_file_read(file, path, &key, e);
	sl_wipe(&key, sizeof(key));
	return rc;
}

/** What can be told wrong of one call before anything changes. */
static int
check_call(const struct sl_rpc_caller *caller, const json_t *call, struct sl_error *e)
{
	const char *method = json_string_value(json_object_get(call, "method"));
	json_t *params = json_object_get(call, "params");
	struct sl_schema_arena *arena = NULL;
	const struct sl_schema_method *m;
	void *decoded;
	int rc;

	if (!method || !may_load(method))
		return sl_fail(e, -EINVAL, "method_not_allowed", "",
			       "\"%.40s\" is no call of a saved configuration",
			       method ? method : "");
	m = sl_schema_find(sl_schema_gateway, sl_schema_gateway_n, method);
	decoded = calloc(1, m->params_size + 1);
	if (!decoded)
		return sl_fail(e, -ENOMEM, "no_memory", "", "no memory");
	rc = sl_schema_decode(m, params, caller, decoded, &arena, e);
	sl_schema_free(arena);
	free(decoded);
	rc = rc ? rc : check_key_file(params, "private_key_file", e);
	return rc ? rc : check_key_file(params, "preshared_key_file", e);
}

static int
fail_call(struct sl_error *e, const struct sl_error *inner, const json_t *call, size_t i,
	  const char *effect)
{
	const char *method = json_string_value(json_object_get(call, "method"));

	sl_fail(e, inner->err, inner->reason, inner->path, "call %zu (%.40s): %.160s; %s", i + 1,
		method ? method : "?", inner->message, effect);
	sl_error_under(e, "/calls/%zu/params", i);
	if (inner->hint[0])
		sl_hint(e, "%s", inner->hint);
	return inner->err;
}

static int
carry_out(struct sl_ctl *ctl, const struct sl_rpc_caller *caller, json_t *calls, struct sl_error *e)
{
	/* config.load is local itself; a file is loaded as the one at the start is */
	const struct sl_rpc_caller file = {SL_RPC_VIA_CONFIG, caller->principal, caller->who};
	struct sl_error inner = {0};
	json_t *call, *result;
	int rc = 0;
	size_t i;

	json_array_foreach (calls, i, call) {
		if (check_call(&file, call, &inner))
			return fail_call(e, &inner, call, i, "nothing was changed");
	}
	sl_gw_begin(ctl->gw);
	json_array_foreach (calls, i, call) {
		rc = sl_rpc_call(ctl->rpc, &file,
				 json_string_value(json_object_get(call, "method")),
				 json_object_get(call, "params"), &result, &inner);
		json_decref(result);
		if (rc) {
			fail_call(e, &inner, call, i, "the calls before it are in effect");
			break;
		}
	}
	sl_gw_commit(ctl->gw);
	return rc;
}

int
sl_rpc_h_config_load(void *user, const struct sl_rpc_caller *caller,
		     const struct sl_rpc_config_load *p, json_t **result, struct sl_error *e)
{
	struct sl_ctl *ctl = user;
	json_t *root = NULL, *calls;
	int rc = check_path(p->file, e);

	if (rc == 0)
		rc = read_file(p->file, &root, e);
	calls = json_object_get(root, "calls");
	if (rc == 0)
		rc = carry_out(ctl, caller, calls, e);
	if (rc == 0)
		rc = ctl_answer(result,
				json_pack("{s:I, s:I}", "calls", (json_int_t)json_array_size(calls),
					  "generation", (json_int_t)sl_gw_generation(ctl->gw)));
	sl_log(SL_LOG_NOTICE, "audit", "config.load by %s%s%s", caller->principal,
	       rc ? " failed: " : "", rc ? e->reason : "");
	json_decref(root);
	return rc;
}
